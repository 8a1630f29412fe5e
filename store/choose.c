/* choose.c: one instance of a roster for the next request. Nothing here allocates, waits or writes
 * anything that threads share but the block of the instance that is chosen.
 *
 * Sources: two choices (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001;
 * with in-flight x latency as in Finagle's P2C with peak EWMA); alias method (Walker 1977, Vose 1991);
 * rendezvous (Thaler, Ravishankar 1998, weighted after Schindelhauer, Schomaker 2005); bounded loads
 * (Mirrokni, Thorup, Zadimoghaddam 2018). */
#include "store/roster.h"

#include <math.h>

#include "base/bytes.h"

#define EXACT_UP_TO 8    /* instances of which least_connections looks at all */
#define DRAWS 8          /* before all candidates are gone through for one that was not tried */
#define FULL_MAX 16      /* full instances that a key passes over */
#define UNPICKED_MS 1000 /* an instance not picked for so long gets one, */
#define TRAFFIC_MS 100   /* while others were picked within this */
#define PHI UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / the golden ratio */

/* ---- drawing from a group ------------------------------------------------------------------- */

static const struct sl_group *group_of(const struct sl_roster *r, uint32_t coin)
{
    const struct sl_group *g = r->groups;
    for (uint32_t i = 1; i < r->n_groups && coin >= g->below; i++)
        g++;
    return g;
}

/* High half for the column, low half for the coin. Multiplying instead of dividing favours none by
 * more than n / 2^32 or sum / 2^32, and asks for no second draw (Lemire 2019). */
static uint32_t draw(const struct sl_roster *r, const struct sl_group *g, uint64_t v)
{
    uint32_t at = g->first + (uint32_t)((v >> 32) * g->n >> 32);
    if (g->even)
        return at;
    const struct sl_candidate *c = &r->candidates[at];
    return (uint32_t)((v & UINT32_MAX) * g->sum >> 32) < c->share ? at : c->alias;
}

/* Another than `at`, of a group of two or more. */
static uint32_t draw_other(const struct sl_roster *r, const struct sl_group *g, uint64_t v,
                           uint32_t at, struct sl_rand *rand)
{
    if (g->even) {
        uint32_t other = g->first + (uint32_t)((v & UINT32_MAX) * (g->n - 1) >> 32);
        return other + (other >= at);
    }
    for (int i = 0; i < DRAWS; i++) {
        uint32_t other = draw(r, g, sl_rand_u64(rand));
        if (other != at)
            return other;
    }
    return at + 1 < g->first + g->n ? at + 1 : g->first;
}

/* ---- p2c_ewma, least_connections ------------------------------------------------------------ */

/* One of two that are compared. */
struct rival {
    uint32_t at;
    uint32_t out;
    float busy; /* to be divided by its weight, which comparing need not do */
    float weight;
};

static inline struct rival least_of(const struct sl_roster *r, const struct sl_pick *how,
                                    uint32_t at)
{
    const struct sl_candidate *c = &r->candidates[at];
    uint32_t out = c->load ? sl_load_out(c->load, how->now_ms) : 0;
    return (struct rival){.at = at, .out = out, .busy = (float)(out + 1), .weight = c->weight};
}

static inline struct rival fastest_of(const struct sl_roster *r, const struct sl_pick *how,
                                      uint32_t at)
{
    struct rival rival = least_of(r, how, at);
    const struct sl_candidate *c = &r->candidates[at];
    float us = c->load ? sl_load_latency(c->load, how->now_ms, rival.out) : 0;
    if (us <= 0)
        us = r->unknown_us;
    rival.busy *= us > 1 ? us : 1;
    return rival;
}

static inline bool costs_less(const struct rival *a, const struct rival *b)
{
    return a->busy * b->weight < b->busy * a->weight;
}

static uint32_t unpicked_ms(const struct sl_candidate *c, uint32_t now_ms)
{
    if (!c->load)
        return 0;
    uint32_t ms = now_ms - atomic_load_explicit(&c->load->picked_ms, memory_order_relaxed);
    return ms < UINT32_C(1) << 31 ? ms : 0;
}

/* What nobody asks for a while is asked once, lest it be thought slow for ever. */
static bool wants_a_try(const struct sl_roster *r, const struct sl_pick *how, uint32_t at,
                        uint32_t other)
{
    return unpicked_ms(&r->candidates[at], how->now_ms) > UNPICKED_MS &&
           unpicked_ms(&r->candidates[other], how->now_ms) <= TRAFFIC_MS;
}

static struct rival choose_p2c(const struct sl_roster *r, const struct sl_pick *how)
{
    uint64_t v = sl_rand_u64(how->rand);
    const struct sl_group *g =
        r->n_groups == 1 ? r->groups : group_of(r, (uint32_t)sl_rand_u64(how->rand));
    struct rival a = {.at = draw(r, g, v)};
    if (g->n == 1)
        return least_of(r, how, a.at);
    uint32_t other = draw_other(r, g, v, a.at, how->rand);
    __builtin_prefetch(r->candidates[a.at].load);
    __builtin_prefetch(r->candidates[other].load);
    a = fastest_of(r, how, a.at);
    struct rival b = fastest_of(r, how, other);
    if (wants_a_try(r, how, a.at, b.at))
        return a;
    return costs_less(&b, &a) || wants_a_try(r, how, b.at, a.at) ? b : a;
}

static struct rival choose_least(const struct sl_roster *r, const struct sl_pick *how)
{
    uint64_t v = sl_rand_u64(how->rand);
    const struct sl_group *g =
        r->n_groups == 1 ? r->groups : group_of(r, (uint32_t)sl_rand_u64(how->rand));
    struct rival best = least_of(r, how, draw(r, g, v));
    if (g->n > EXACT_UP_TO) {
        struct rival b = least_of(r, how, draw_other(r, g, v, best.at, how->rand));
        return costs_less(&b, &best) ? b : best;
    }
    /* Beginning anywhere, so that the first of equals is any of them. */
    for (uint32_t i = 1, at = best.at; i < g->n; i++) {
        at = at + 1 < g->first + g->n ? at + 1 : g->first;
        struct rival b = least_of(r, how, at);
        if (costs_less(&b, &best))
            best = b;
    }
    return best;
}

/* ---- round_robin ---------------------------------------------------------------------------- */

/* Equals strictly in turn. Where shares differ the turn is a Weyl sequence through the alias table,
 * which keeps every share to within a few picks at any time and costs the same for any number. Each
 * thread has a turn of its own, so that no cache line is shared, from a random start: otherwise the
 * first instance would be everybody's first. */
static uint32_t choose_next(const struct sl_roster *r, const struct sl_pick *how,
                            struct sl_turn *turn)
{
    uint64_t weyl = atomic_load_explicit(&turn->weyl, memory_order_relaxed);
    uint32_t at = atomic_load_explicit(&turn->at, memory_order_relaxed);
    if (weyl == 0) {
        weyl = sl_rand_u64(how->rand) | 1;
        at = (uint32_t)sl_rand_below(how->rand, r->groups[0].n);
    }
    if (r->n_groups == 1 && r->groups[0].even) {
        at = at + 1 < r->groups[0].n ? at + 1 : 0;
        uint32_t then = at + 1 < r->groups[0].n ? at + 1 : 0;
        __builtin_prefetch(r->candidates[then].offer);
    }
    weyl += PHI;
    weyl += weyl == 0;
    atomic_store_explicit(&turn->weyl, weyl, memory_order_relaxed);
    atomic_store_explicit(&turn->at, at, memory_order_relaxed);
    if (r->n_groups == 1 && r->groups[0].even)
        return at;
    /* Another multiple for the group: the two must not follow each other. */
    return draw(r, group_of(r, (uint32_t)(weyl * UINT64_C(0xd1342543de82ef95) >> 32)), weyl);
}

/* ---- rendezvous ----------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30; /* the finaliser of splitmix64 (Steele, Lea, Flood 2014) */
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The same in every process. */
static uint64_t hash_of_key(const struct sl_pick *how)
{
    static const uint8_t no_key[16];
    return how->key.len > 0 ? sl_siphash(no_key, how->key.p, how->key.len) : sl_rand_u64(how->rand);
}

/* How far the key is from the instance: -ln(1 - y) / weight, y uniform in [0, 1); the nearest gets it.
 * Never less than y / weight, which spares most of a scan the logarithm. */
static double far_at_least(const struct sl_candidate *c, uint64_t key)
{
    return (double)(mix(key ^ c->point) >> 11) * 0x1p-53;
}

static double distance(const struct sl_candidate *c, double y)
{
    return -log1p(-y) / (double)c->pull;
}

static bool was_tried(const struct sl_pick *how, const struct sl_offer *o)
{
    for (size_t i = 0; i < how->n_tried; i++) {
        const char *id =
            (const char *)how->tried + i * how->stride + offsetof(struct starling_instance, id);
        if (memcmp(id, o->id_text, sizeof o->id_text) == 0)
            return true;
    }
    return false;
}

/* Out of what the whole group has out, no more than `load_bound` percent of its part. */
static bool is_full(const struct sl_roster *r, const struct sl_group *g,
                    const struct sl_view_spec *spec, const struct sl_pick *how, uint32_t at,
                    uint32_t all)
{
    const struct sl_candidate *c = &r->candidates[at];
    double weights = 0;
    for (uint32_t i = 0; i < g->n; i++)
        weights += (double)r->candidates[g->first + i].weight;
    double part = (double)(all + 1) * (double)c->weight / weights * spec->load_bound / 100;
    return (double)sl_load_out(c->load, how->now_ms) + 1 > ceil(part);
}

static uint32_t choose_nearest(const struct sl_roster *r, const struct sl_group *g,
                               const struct sl_view_spec *spec, const struct sl_pick *how,
                               uint64_t key)
{
    uint32_t all = 0, best = UINT32_MAX;
    double after = -1; /* those up to there are full */
    for (uint32_t i = 0; i < g->n && spec->load_bound > 0; i++)
        all += sl_load_out(r->candidates[g->first + i].load, how->now_ms);
    for (uint32_t round = 0; round < FULL_MAX && round < g->n; round++) {
        double least = HUGE_VAL;
        uint32_t nearest = UINT32_MAX;
        for (uint32_t at = g->first; at < g->first + g->n; at++) {
            const struct sl_candidate *c = &r->candidates[at];
            double y = far_at_least(c, key);
            if (y >= least * (double)c->pull)
                continue;
            double d = distance(c, y);
            if (d <= after || d >= least || (how->n_tried > 0 && was_tried(how, c->offer)))
                continue;
            nearest = at;
            least = d;
        }
        if (nearest == UINT32_MAX)
            break;
        best = best == UINT32_MAX ? nearest : best;
        if (spec->load_bound == 0 || !is_full(r, g, spec, how, nearest, all))
            return nearest;
        after = least;
    }
    return best;
}

static const struct sl_candidate *choose_by_key(const struct sl_roster *r,
                                                const struct sl_view_spec *spec,
                                                const struct sl_pick *how)
{
    uint64_t key = hash_of_key(how);
    const struct sl_group *g = group_of(r, (uint32_t)(mix(key) >> 32));
    uint32_t at = choose_nearest(r, g, spec, how, key);
    /* All of them tried: the next groups, then from the first. */
    for (uint32_t i = 0; i < r->n_groups && at == UINT32_MAX; i++)
        at = choose_nearest(r, &r->groups[i], spec, how, key);
    return at == UINT32_MAX ? NULL : &r->candidates[at];
}

/* ---- all of them ---------------------------------------------------------------------------- */

static const struct sl_candidate *choose(const struct sl_roster *r, enum starling_strategy strategy,
                                         const struct sl_pick *how, struct sl_turn *turn,
                                         uint32_t *ret_out)
{
    struct rival rival = {0};
    switch (strategy) {
    case STARLING_P2C_EWMA:
    case STARLING_HEALTHY_FIRST:
    case STARLING_LOCAL_FIRST:
        rival = choose_p2c(r, how);
        break;
    case STARLING_LEAST_CONNECTIONS:
        rival = choose_least(r, how);
        break;
    case STARLING_ROUND_ROBIN:
        rival.at = choose_next(r, how, turn);
        break;
    case STARLING_RENDEZVOUS: /* choose_by_key */
        break;
    case STARLING_WEIGHTED_RANDOM:
        rival.at =
            draw(r, r->n_groups == 1 ? r->groups : group_of(r, (uint32_t)sl_rand_u64(how->rand)),
                 sl_rand_u64(how->rand));
        break;
    }
    *ret_out = rival.out;
    return &r->candidates[rival.at];
}

/* The first not tried in the best group that has one, beginning anywhere in it. */
static const struct sl_candidate *any_not_tried(const struct sl_roster *r,
                                                const struct sl_pick *how)
{
    for (uint32_t k = 0; k < r->n_groups; k++) {
        const struct sl_group *g = &r->groups[k];
        uint32_t at = g->first + (uint32_t)sl_rand_below(how->rand, g->n);
        for (uint32_t i = 0; i < g->n; i++) {
            if (!was_tried(how, r->candidates[at].offer))
                return &r->candidates[at];
            at = at + 1 < g->first + g->n ? at + 1 : g->first;
        }
    }
    return NULL;
}

const struct sl_candidate *sl_roster_choose(const struct sl_roster *r,
                                            const struct sl_view_spec *spec,
                                            const struct sl_pick *how, struct sl_turn *turn,
                                            uint32_t *ret_out)
{
    enum starling_strategy strategy = (enum starling_strategy)spec->strategy;
    const struct sl_candidate *c;
    *ret_out = 0;
    if (r->n_groups == 0)
        return NULL;
    if (strategy == STARLING_RENDEZVOUS) {
        c = choose_by_key(r, spec, how);
    } else {
        c = choose(r, strategy, how, turn, ret_out);
        for (int i = 1; i < DRAWS && how->n_tried > 0 && was_tried(how, c->offer); i++)
            c = choose(r, strategy, how, turn, ret_out);
        if (how->n_tried == 0 || !was_tried(how, c->offer))
            return c;
        c = any_not_tried(r, how);
    }
    *ret_out = c && c->load ? sl_load_out(c->load, how->now_ms) : 0;
    return c;
}
