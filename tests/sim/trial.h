/* trial.h: a run in a process of its own, which may fail, crash or take too long. */
#ifndef SL_SIM_TRIAL_H
#define SL_SIM_TRIAL_H

#include "tests/sim/run.h"

struct sim_trial {
    bool violated, timed_out, made_no_sense;
    int crash;                 /* it ended by this signal, whatever was asked for; 0 = it did not */
    char kind[256], text[256]; /* of the violation */
    sl_usec at;                /* of the scenario's time; SL_NEVER = not known */
    size_t nodes;
    uint64_t seed;
    sl_usec until;
};

/* Seconds by a clock that nobody sets. */
double sim_clock_s(void);
/* Run until something of this kind is violated ("" = anything), to the end, or until the clock
 * shows `deadline_s`. `drawn` hears each line that the swarm draws; it may be NULL. */
void sim_try(const struct sim_options *o, const char *kind, double deadline_s,
             void (*drawn)(void *context, sl_usec at, const char *text), void *context,
             struct sim_trial *ret);

#endif
