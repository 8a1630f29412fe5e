/* shed.c: damped, so that weights trim and never swing.
 *
 * balancing.md draws weight = base x clamp(median-scaled throughput / utilisation, 1/4, 4). Two
 * things are left out. Nothing is multiplied above 1: an idle instance would ask for more than its
 * share, get it, be idle no more and give it back, in step with all the other idle ones; where
 * all are idle, the spread of a few percent of CPU would become a spread of weights (a signal that
 * erases itself). And the median: an instance that only ever sheds needs to know nobody else's
 * load. So weight = base x clamp(0.5 / utilisation, 1/4, 1): who is half idle keeps his weight,
 * who is overloaded says so, and the fast feedback stays with the callers. */
#include "node/shed.h"

/* 2^(-step / 4) */
static const double factor[SL_SHED_STEPS + 1] = {1,      0.8409, 0.7071, 0.5946, 0.5,
                                                 0.4204, 0.3536, 0.2973, 0.25};

/* Hysteresis: a step is taken when the load is a quarter of a step beyond the middle to the next
 * one: 0.5 x 2^(+-3/16), over the factor where it is. Two loads that differ by less than half a step (9 %)
 * cannot make the weight go back and forth. */
#define UP 0.5694
#define DOWN 0.4391

void sl_shed_init(struct sl_shed *l, sl_usec opened, sl_usec now)
{
    sl_usec from = sl_after(opened, SL_SHED_SETTLE);
    memset(l, 0, sizeof *l);
    l->from = l->sampled = from > now ? from : now;
    l->reported_at = SL_NEVER;
    l->changed = -SL_SHED_HOLD;
}

void sl_shed_report(struct sl_shed *l, sl_usec now, double utilisation)
{
    l->reported = utilisation;
    l->reported_at = now;
}

/* The average of a constant load reaches 63 % of it after SL_SHED_AVERAGE; a sample that comes
 * late counts for the time it stands for. */
static void average(struct sl_shed *l, sl_usec now, double utilisation)
{
    double span = (double)(now - l->sampled);
    l->average += (utilisation - l->average) * span / (span + (double)SL_SHED_AVERAGE);
    l->sampled = now;
}

bool sl_shed_sample(struct sl_shed *l, sl_usec now, double cpu)
{
    if (now <= l->sampled)
        return false;
    double utilisation = cpu > 0 ? cpu : 0;
    bool fresh = l->reported_at != SL_NEVER && now - l->reported_at <= SL_SHED_REPORT_AGE;
    if (fresh && l->reported > utilisation)
        utilisation = l->reported;
    if (utilisation >
        4) /* the weight is a quarter from 2 on; a wild figure must not stay for minutes */
        utilisation = 4;
    average(l, now, utilisation);

    if (now - l->changed < SL_SHED_HOLD)
        return false;
    unsigned step = l->step;
    while (step < SL_SHED_STEPS && l->average > UP / factor[step])
        step++;
    while (step > 0 && l->average < DOWN / factor[step])
        step--;
    if (step == l->step)
        return false;
    l->step = step;
    l->changed = now;
    return true;
}

unsigned sl_shed_weight(const struct sl_shed *l, unsigned base)
{
    unsigned weight = (unsigned)((double)base * factor[l->step] + 0.5);
    return weight == 0 && base > 0 ? 1 : weight;
}
