/* shrink.h: a small scenario that fails as a large run does. */
#ifndef SL_SIM_SHRINK_H
#define SL_SIM_SHRINK_H

#include "tests/sim/run.h"

/* Prints the scenario on stdout, progress on stderr; goes on for so many seconds at most. Exit
 * status: 1 with a scenario, 0 when nothing is violated, 2 when the arguments make no sense. */
int sim_shrink(const struct sim_options *o, unsigned seconds, const char *reproduce);

#endif
