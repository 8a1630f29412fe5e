/* report.h: the one JSON document a run prints (docs/SIMULATION.md, "What is printed"). */
#ifndef SL_SIM_REPORT_H
#define SL_SIM_REPORT_H

#include "tests/sim/world.h"

/* A figure by its name, as "detect_ms.max"; false when there is none of that name. */
bool sim_report_figure(const struct sim_world *w, const char *name, double *ret,
                       bool *ret_measured);
void sim_report_print(FILE *out, const struct sim_world *w, const char *scenario, double real_s,
                      const char *reproduce);

#endif
