/* plan.c: from who offers a service to a roster that answers picks by looking up: who may be picked,
 * in which tier and how near, how often.
 *
 * Health. Suspect instances come last. With STARLING_TIER_HEALTHY those that pass come before those
 * that warn, and a tier takes 1.4 times its share of the instances; what is left over goes to the next
 * (Envoy's priority levels and overprovisioning factor). Panic comes after that: when most are not fit, more likely the checks
 * are wrong than the instances, and the few would drown.
 *
 * Distance. With STARLING_TIER_LOCAL the instances at this host and in this zone take
 * min(1, S / C) of the requests, S their share of the weight and C the share of the flock's members
 * that are as near: what servers here can take if members here call as much as others (the idea of
 * Finagle's and Envoy's zone aware routing; who calls what is not known, so every member counts as a
 * caller). The rest goes to other zones by what they have to spare, which keeps all zones equally
 * loaded.
 *
 * Newcomers, and those that come back, begin with a tenth of their weight and have all of it after
 * 30 s, unless everybody is new. Keys are not moved to and fro for that. */
#include "store/roster.h"

#include <assert.h>
#include <stdlib.h>

#include "store/spec.h"

#define RAMP SL_SEC(30)
#define RAMP_LEAST 0.1f
#define RAMP_STEP SL_SEC(1)
#define OVERPROVISION 1.4f
#define PANIC_OF 3       /* instances, below which "half" says nothing */
#define NEAR_OF 6        /* instances, below which distance does not count */
#define NEAR_CHANGE 0.1f /* of a share, below which it stays */
#define UNITS_MAX 64000  /* times SL_MEMBERS_MAX is below 2^32 */

enum { TIERS = 3, PLACES = 3 };
enum place { HOST, ZONE, FAR }; /* where distance does not count, all are FAR */
_Static_assert(TIERS *PLACES == SL_GROUPS_MAX, "");

enum starling_strategy sl_spec_strategy(const struct sl_view_spec *spec)
{
    enum starling_strategy s = (enum starling_strategy)spec->strategy;
    return s == STARLING_HEALTHY_FIRST || s == STARLING_LOCAL_FIRST ? STARLING_P2C_EWMA : s;
}

bool sl_spec_wants_feedback(const struct sl_view_spec *spec)
{
    enum starling_strategy s = sl_spec_strategy(spec);
    return s == STARLING_P2C_EWMA || s == STARLING_LEAST_CONNECTIONS ||
           (s == STARLING_RENDEZVOUS && spec->load_bound > 0);
}

bool sl_spec_looks_near(const struct sl_view_spec *spec)
{
    return spec->strategy == STARLING_LOCAL_FIRST ||
           (spec->tiers & (STARLING_TIER_LOCAL | STARLING_TIER_STRICT)) != 0;
}

/* ---- who may be picked ---------------------------------------------------------------------- */

/* What is worked out of the offers before anything is filled in. */
struct draft {
    bool healthy_first, near_first, strict;
    bool all_new; /* nobody has been usable for long: nobody ramps */
    bool panic;
    uint32_t n;                  /* there, with a weight */
    uint32_t n_fit;              /* of these alive and not critical */
    uint32_t count[TIERS];       /* candidates */
    float weight[TIERS][PLACES]; /* of these */
    float zone_weight[SL_ZONES_MAX];
    float share[TIERS][PLACES]; /* of the requests */
    float spare[SL_ZONES_MAX];  /* how much of its weight a far zone can give */
};

/* Draining instances take no part in anything, panic included: nobody says they are unwell. */
static bool is_there(const struct sl_offer *o)
{
    return sl_offer_is_reachable(o) && o->weight > 0;
}

static bool is_candidate(const struct draft *d, const struct sl_offer *o)
{
    return d->panic ? is_there(o) : sl_offer_is_usable(o);
}

static unsigned tier_of(const struct draft *d, const struct sl_offer *o)
{
    if (d->panic)
        return 0;
    if (o->status == STARLING_SUSPECT)
        return 2;
    return d->healthy_first && o->health == STARLING_WARNING ? 1 : 0;
}

static uint32_t zone_index(const struct sl_crowd *crowd, const char *zone)
{
    for (uint32_t i = 0; i < crowd->n_zones; i++) {
        if (strcmp(crowd->zones[i].name, zone) == 0)
            return i;
    }
    return SL_ZONES_MAX - 1;
}

static bool distance_counts(const struct draft *d, unsigned tier)
{
    return d->near_first && (d->count[tier] >= NEAR_OF || d->strict);
}

static enum place place_of(const struct draft *d, const struct sl_crowd *crowd, unsigned tier,
                           const struct sl_offer *o)
{
    if (!distance_counts(d, tier))
        return FAR;
    if (strcmp(o->inst.host, crowd->host) == 0)
        return HOST;
    return zone_index(crowd, o->inst.zone) == crowd->own_zone ? ZONE : FAR;
}

static float weight_of(const struct sl_plan *plan, const struct draft *d, const struct sl_offer *o)
{
    sl_usec age = plan->now - o->since;
    if (d->all_new || d->panic || age >= RAMP || plan->spec->strategy == STARLING_RENDEZVOUS)
        return o->weight;
    float part = (float)age / (float)RAMP;
    return (float)o->weight * (part > RAMP_LEAST ? part : RAMP_LEAST);
}

bool sl_offers_panic(struct sl_offer *const *offers, uint32_t n)
{
    uint32_t n_there = 0, n_usable = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_there += is_there(offers[i]);
        n_usable += sl_offer_is_usable(offers[i]);
    }
    return n_there >= PANIC_OF && 2 * n_usable < n_there;
}

/* Who there is; then, by what that says, what they weigh together. */
static void survey(const struct sl_plan *plan, struct sl_offer *const *offers, uint32_t n,
                   struct draft *d)
{
    const struct sl_view_spec *spec = plan->spec;
    *d = (struct draft){.all_new = true, .panic = sl_offers_panic(offers, n)};
    d->healthy_first = !d->panic && ((spec->tiers & STARLING_TIER_HEALTHY) != 0 ||
                                     spec->strategy == STARLING_HEALTHY_FIRST);
    d->strict = (spec->tiers & STARLING_TIER_STRICT) != 0;
    d->near_first = !d->panic && plan->crowd->host[0] != '\0' && sl_spec_looks_near(spec);
    for (uint32_t i = 0; i < n; i++) {
        const struct sl_offer *o = offers[i];
        bool usable = sl_offer_is_usable(o);
        d->n += is_there(o);
        d->n_fit += usable && o->status == STARLING_ALIVE;
        if (usable && plan->now - o->since >= RAMP)
            d->all_new = false;
        if (is_candidate(d, o))
            d->count[tier_of(d, o)]++;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct sl_offer *o = offers[i];
        if (!is_candidate(d, o))
            continue;
        unsigned tier = tier_of(d, o);
        float weight = weight_of(plan, d, o);
        d->weight[tier][place_of(d, plan->crowd, tier, o)] += weight;
        if (d->near_first)
            d->zone_weight[zone_index(plan->crowd, o->inst.zone)] += weight;
    }
}

/* ---- how often: tiers of health ------------------------------------------------------------- */

/* What each tier takes of the requests, in all. Nothing spills to suspects while there is anybody
 * else: an overloaded instance may answer late, a dead one not at all. */
static void share_by_health(const struct draft *d, float ret[TIERS])
{
    if (d->count[0] + d->count[1] == 0) {
        ret[2] = d->count[2] > 0 ? 1 : 0;
        return;
    }
    float share = OVERPROVISION * (float)d->count[0] / (float)d->n;
    float next = OVERPROVISION * (float)d->count[1] / (float)d->n;
    share = share < 1 ? share : 1;
    next = next < 1 - share ? next : 1 - share;
    ret[0] = share / (share + next);
    ret[1] = next / (share + next);
}

/* ---- how often: distance -------------------------------------------------------------------- */

/* min(1, S / C) */
static float near_share(float servers, float of_servers, uint32_t callers, uint32_t of_callers)
{
    float s = servers / of_servers;
    float c = of_callers > 0 ? (float)callers / (float)of_callers : 0;
    return s >= c ? (s > 0 ? 1 : 0) : s / c;
}

/* Small changes leave a share as it was, or a flock of many of them would send requests to and
 * fro. */
static float settle_share(float share, float *last)
{
    float difference = share > *last ? share - *last : *last - share;
    if (share <= 0 || share >= 1 || difference >= NEAR_CHANGE * *last)
        *last = share;
    return *last;
}

static void share_by_distance(struct sl_plan *plan, struct draft *d, unsigned tier, float of)
{
    const struct sl_crowd *crowd = plan->crowd;
    const float *w = d->weight[tier];
    float all = w[HOST] + w[ZONE] + w[FAR], host = 0, zone = 0;
    if (all <= 0)
        return;
    if (w[HOST] + w[ZONE] > 0) {
        host = near_share(w[HOST], all, crowd->n_here, crowd->n);
        zone = near_share(w[HOST] + w[ZONE], all, crowd->zones[crowd->own_zone].n, crowd->n);
        if (tier == 0) {
            host = settle_share(host, &plan->near[0]);
            zone = settle_share(zone, &plan->near[1]);
        }
        if (w[FAR] <= 0 || d->strict)
            zone = 1;
        if (w[ZONE] <= 0 || host > zone)
            host = zone;
    }
    d->share[tier][HOST] = of * host;
    d->share[tier][ZONE] = of * (zone - host);
    d->share[tier][FAR] = of * (1 - zone);
}

/* What other zones can take beyond what their own members ask, as a part of their weight; alike where
 * nobody has anything to spare. */
static void find_spare(const struct sl_crowd *crowd, struct draft *d)
{
    float all = 0, sum = 0;
    for (uint32_t z = 0; z < SL_ZONES_MAX; z++)
        all += d->zone_weight[z];
    for (uint32_t z = 0; z < SL_ZONES_MAX && all > 0; z++) {
        float s = d->zone_weight[z] / all;
        float c = crowd->n > 0 ? (float)crowd->zones[z].n / (float)crowd->n : 0;
        d->spare[z] = s > c && z != crowd->own_zone ? (s - c) / s : 0;
        sum += d->spare[z];
    }
    for (uint32_t z = 0; z < SL_ZONES_MAX && sum <= 0; z++)
        d->spare[z] = 1;
}

/* ---- filling in ----------------------------------------------------------------------------- */

/* The group an instance belongs to: tier times distance; -1: none. */
static int group_of(const struct sl_plan *plan, const struct draft *d, const struct sl_offer *o)
{
    if (!is_candidate(d, o))
        return -1;
    unsigned tier = tier_of(d, o);
    enum place place = place_of(d, plan->crowd, tier, o);
    if (d->share[tier][place] <= 0)
        return -1;
    if (place == FAR && d->weight[tier][HOST] + d->weight[tier][ZONE] > 0 &&
        d->spare[zone_index(plan->crowd, o->inst.zone)] <= 0)
        return -1; /* it has nothing to spare, and others are there */
    return (int)(tier * PLACES + place);
}

/* Where the strategy weighs two against each other they are drawn without regard to their weight. */
static float pull_of(const struct sl_plan *plan, float weight, float part)
{
    enum starling_strategy s = sl_spec_strategy(plan->spec);
    return s == STARLING_P2C_EWMA || s == STARLING_LEAST_CONNECTIONS ? part : weight * part;
}

/* The alias table of a group of uneven candidates, each of whose columns holds its share times
 * their number: `sum` on average. Each that holds less is filled up from one that holds at least
 * that, whose own share shrinks by as much. All numbers are whole, so nothing is lost: columns not
 * levelled yet hold `sum` on average, and where one holds less another holds more. `rich` only moves
 * on: those behind it have fallen below `sum`, and are levelled when the outer loop reaches them or,
 * when it has passed, at once. */
static void level_columns(struct sl_candidate *c, uint32_t first, uint32_t n, uint32_t sum)
{
    uint32_t rich = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t poor = i;
        while (c[poor].share < sum && c[poor].alias == first + poor) {
            while (rich < n && c[rich].share < sum)
                rich++;
            assert(rich < n);
            c[poor].alias = first + rich;
            c[rich].share -= sum - c[poor].share;
            if (rich > i)
                break;
            poor = rich;
        }
    }
}

static void finish_group(struct sl_roster *r, struct sl_group *g, bool by_key)
{
    struct sl_candidate *c = &r->candidates[g->first];
    float most = 0;
    g->even = true;
    for (uint32_t i = 0; i < g->n && by_key; i++)
        c[i].point = c[i].offer->point;
    if (by_key)
        return;
    for (uint32_t i = 0; i < g->n; i++)
        most = c[i].pull > most ? c[i].pull : most;
    for (uint32_t i = 0; i < g->n; i++) {
        float units = most > 0 ? c[i].pull / most * UNITS_MAX + 0.5f : 1;
        c[i].share = units >= 1 ? (uint32_t)units : 1;
        c[i].alias = g->first + i;
        g->sum += c[i].share;
        g->even = g->even && c[i].share == c[0].share;
    }
    for (uint32_t i = 0; i < g->n && !g->even; i++)
        c[i].share *= g->n;
    if (!g->even)
        level_columns(c, g->first, g->n, g->sum);
}

/* Groups in order of tier and distance, those alone that get requests. */
static void fill_groups(const struct sl_plan *plan, const struct draft *d, struct sl_roster *r)
{
    uint32_t size[SL_GROUPS_MAX] = {0}, at[SL_GROUPS_MAX] = {0}, n = 0;
    float sum = 0, below = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        int group = group_of(plan, d, r->offers[i]);
        if (group >= 0)
            size[group]++;
    }
    for (unsigned k = 0; k < SL_GROUPS_MAX; k++)
        sum += size[k] > 0 ? d->share[k / PLACES][k % PLACES] : 0;
    for (unsigned k = 0; k < SL_GROUPS_MAX; k++) {
        if (size[k] == 0)
            continue;
        at[k] = n;
        below += d->share[k / PLACES][k % PLACES] / sum;
        float coin = below * 4294967296.0f;
        r->groups[r->n_groups++] = (struct sl_group){
            .first = n, .n = size[k], .below = coin < 4294967040.0f ? (uint32_t)coin : UINT32_MAX};
        n += size[k];
    }
    if (r->n_groups > 0)
        r->groups[r->n_groups - 1].below = UINT32_MAX;
    for (uint32_t i = 0; i < r->n; i++) {
        struct sl_offer *o = r->offers[i];
        int group = group_of(plan, d, o);
        if (group < 0)
            continue;
        float weight = weight_of(plan, d, o), part = 1;
        if (group % PLACES == FAR && distance_counts(d, (unsigned)group / PLACES))
            part = d->spare[zone_index(plan->crowd, o->inst.zone)];
        r->candidates[at[group]++] = (struct sl_candidate){
            .offer = o,
            .load = o->load,
            .weight = weight * (part > 0 ? part : 1),
            .pull = pull_of(plan, weight, part),
        };
    }
    for (uint32_t i = 0; i < r->n_groups; i++)
        finish_group(r, &r->groups[i], plan->spec->strategy == STARLING_RENDEZVOUS);
}

/* ---- what is known of their speed ----------------------------------------------------------- */

#define SAMPLES 31

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The median of what is known, of up to SAMPLES of them. */
static float typical_latency(const struct sl_roster *r)
{
    float known[SAMPLES];
    uint32_t n = 0, step = r->n / SAMPLES + 1;
    for (uint32_t i = 0; i < r->n && n < SAMPLES; i += step) {
        const struct sl_load *load = r->offers[i]->load;
        /* Its sample as it was taken: the readers' clock is not known here. */
        uint32_t us =
            load ? (uint32_t)atomic_load_explicit(&load->latency, memory_order_relaxed) : 0;
        if (us > 0)
            known[n++] = (float)us;
    }
    if (n == 0)
        return 0;
    qsort(known, n, sizeof *known, compare_floats);
    return known[n / 2];
}

/* Everybody who may be picked gets a block. 0 or ENOMEM. */
static int take_loads(struct sl_loads *loads, struct sl_roster *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        struct sl_offer *o = r->offers[i];
        if (o->load || !is_there(o))
            continue;
        o->load = sl_load_take(loads);
        o->loads = loads;
        if (!o->load)
            return STARLING_ENOMEM;
    }
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static size_t roster_size(size_t n)
{
    return sizeof(struct sl_roster) + n * (sizeof(struct sl_offer *) + sizeof(struct sl_candidate));
}

static struct sl_roster *roster_new(const struct sl_plan *plan, struct sl_offer *const *offers,
                                    uint32_t n, uint32_t n_matching)
{
    struct sl_roster *r = sl_alloc_zero(plan->alloc, roster_size(n_matching));
    if (!r)
        return NULL;
    r->garbage.release = sl_roster_release;
    r->candidates = (struct sl_candidate *)(void *)(r->offers + n_matching);
    for (uint32_t i = 0; i < n && r->n < n_matching; i++) {
        if (sl_spec_matches(plan->spec, &offers[i]->inst))
            r->offers[r->n++] = sl_offer_ref(offers[i]);
    }
    return r;
}

void sl_roster_release(const struct sl_alloc *alloc, struct sl_garbage *g)
{
    struct sl_roster *r = (struct sl_roster *)(void *)g;
    for (uint32_t i = 0; i < r->n; i++)
        sl_offer_unref(alloc, r->offers[i]);
    sl_alloc_free(alloc, r, roster_size(r->n));
}

int sl_roster_make(struct sl_plan *plan, struct sl_offer *const *offers, uint32_t n,
                   struct sl_roster **ret)
{
    struct draft d;
    float tier_share[TIERS] = {0};
    uint32_t n_matching = 0;
    plan->again_at = SL_NEVER;
    *ret = NULL;
    for (uint32_t i = 0; i < n; i++)
        n_matching += sl_spec_matches(plan->spec, &offers[i]->inst);
    if (n_matching == 0)
        return 0;
    struct sl_roster *r = roster_new(plan, offers, n, n_matching);
    if (!r)
        return STARLING_ENOMEM;
    if (sl_spec_wants_feedback(plan->spec) && take_loads(plan->loads, r) < 0) {
        sl_roster_release(plan->alloc, &r->garbage);
        return STARLING_ENOMEM;
    }
    survey(plan, r->offers, r->n, &d);
    r->n_fit = d.n_fit;
    r->panic = d.panic;
    r->unknown_us = typical_latency(r);
    share_by_health(&d, tier_share);
    if (d.near_first)
        find_spare(plan->crowd, &d);
    for (unsigned t = 0; t < TIERS; t++)
        share_by_distance(plan, &d, t, tier_share[t]);
    if (!d.panic || plan->spec->panic == STARLING_PANIC_SPREAD)
        fill_groups(plan, &d, r);
    for (uint32_t i = 0; i < r->n && !d.all_new && plan->spec->strategy != STARLING_RENDEZVOUS;
         i++) {
        if (sl_offer_is_usable(r->offers[i]) && plan->now - r->offers[i]->since < RAMP)
            plan->again_at = sl_after(plan->now, RAMP_STEP);
    }
    *ret = r;
    return 0;
}
