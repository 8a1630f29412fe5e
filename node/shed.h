/* shed.h: a service's weight from its load. Pure: time and measurements are arguments.
 *
 * Each second: utilisation = the larger of this process's CPU and what the application reported;
 * averaged over SL_SHED_AVERAGE; above one half the base weight is multiplied by 0.5 / average, down
 * to a quarter, in steps of a quarter of a doubling (19 %). Below one half nothing happens. */
#ifndef SL_NODE_SHED_H
#define SL_NODE_SHED_H

#include "base/types.h"

#define SL_SHED_EVERY SL_SEC(1)       /* between samples */
#define SL_SHED_AVERAGE SL_SEC(10)    /* time constant */
#define SL_SHED_REPORT_AGE SL_SEC(10) /* an older report does not count */
#define SL_SHED_SETTLE SL_SEC(10) /* of a node's life are not looked at: starting up is no load */
#define SL_SHED_HOLD SL_SEC(2)    /* between two changes */
#define SL_SHED_STEPS 8           /* of a quarter of a doubling: down to 1/4 */

struct sl_shed {
    sl_usec from;        /* samples count from here on */
    sl_usec sampled;     /* the last one */
    double average;      /* of the utilisation */
    double reported;     /* by the application, at reported_at */
    sl_usec reported_at; /* SL_NEVER = not yet */
    unsigned step;       /* 0 = full weight, SL_SHED_STEPS = a quarter */
    sl_usec changed;     /* when the step did */
};

/* opened: when the node began. */
void sl_shed_init(struct sl_shed *l, sl_usec opened, sl_usec now);
/* utilisation >= 0; 1 is all there is, more is overload. */
void sl_shed_report(struct sl_shed *l, sl_usec now, double utilisation);
/* cpu: of this process since the last sample, 1 = all processors it may use. True: the weight has
 * changed. */
bool sl_shed_sample(struct sl_shed *l, sl_usec now, double cpu);
/* base lowered to what the load leaves of it; at least 1, unless the base is 0. */
unsigned sl_shed_weight(const struct sl_shed *l, unsigned base);

/* ---- the processors (shed_cpu.c) ------------------------------------------------------------ */

struct sl_cpu {
    sl_usec at, spent; /* of the last look; at 0 = none yet */
    double processors; /* this process may use: affinity, and the quota of its control group */
    sl_usec counted;   /* when that was found out */
};

/* CPU of this process over what it may use, since the last look; 0 at the first. */
double sl_cpu_look(struct sl_cpu *c, sl_usec now);
#endif
