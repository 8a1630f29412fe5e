/* shift.c: when an edge looks (PROTOCOL.md, "Watching in shifts"): its place among the others of both ends, which it
 * keeps, and the gaps that they leave. */
#include <starling.h>

#include "gossip/core.h"

size_t shift_edges(const struct sl_gossip *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_edges; i++)
        n += g->edges[i].conn != NONE;
    return n;
}

/* How long until each of my watchers has looked once: a second for each edge. Between nodes with many edges always
 * the same, or the places in it would drift apart. */
sl_usec shift_length(const struct sl_gossip *g)
{
    size_t n = shift_edges(g);
    return n > SL_SHIFT_EDGES ? SL_SHIFT_MAX : SL_SEC(n ? n : 1);
}

/* When an edge's scheduled exchange begins, if nothing is amiss. */
static sl_usec due_of(const struct edge *e)
{
    return e->initiates ? e->slot_at : e->next_beat - SL_PROMISE_GRACE;
}

/* How long from now until another edge is due, extra beats included: nobody looks at us in between. */
sl_usec shift_unwatched(const struct sl_gossip *g, const struct edge *e)
{
    sl_usec t = SL_NEVER;
    for (size_t k = 0; k < g->n_edges; k++) {
        const struct edge *other = &g->edges[k];
        sl_usec due = other->next_beat - (other->initiates ? 0 : SL_PROMISE_GRACE);
        if (other != e && other->conn != NONE && other->wanted && other->promised && due > g->now)
            t = sl_earlier(t, due);
    }
    return t == SL_NEVER ? shift_length(g) : sl_earlier(t - g->now, shift_length(g));
}

/* How far `t` is from when our other edges are due, this shift or any, if all keep their places. What is less than `least`
 * need not be known to be the least. */
static sl_usec gap_at(const struct sl_gossip *g, const struct edge *e, sl_usec shift, sl_usec t, sl_usec least)
{
    sl_usec gap = shift;
    for (size_t k = 0; k < g->n_edges && gap >= least; k++) {
        const struct edge *other = &g->edges[k];
        if (other == e || other->conn == NONE || !other->promised)
            continue;
        sl_usec due = due_of(other);
        sl_usec d = t > due ? t - due : due - t;
        if (d >= shift)
            d %= shift;
        gap = sl_earlier(gap, sl_earlier(d, shift - d));
    }
    return gap;
}

/* An edge beats once a shift, at a place in it that it keeps while nothing else of either end is near. Left to
 * chance a node is looked at like a bus stop, once a second on average and now and then not for five. So the end
 * that echoes says as bits which of SL_SLOTS places around the present one are free on its side, and which are in
 * gaps that are too long; and the end that beats moves to such a gap, or, where it is too near to another, to a
 * place that is free on both sides: an edge colouring that mends itself. */
static sl_usec slot_start(const struct sl_gossip *g, sl_usec shift, unsigned slot)
{
    return g->now + shift / 2 + shift / SL_SLOTS * slot;
}

#define SLOT_PRESENT (SL_SLOTS / 2) /* a shift from now */

/* Far enough from the others: half of what it would be if all were even. */
static sl_usec slot_apart(const struct sl_gossip *g, sl_usec shift)
{
    size_t n = shift_edges(g);
    return shift / 2 / (sl_usec)(n ? n : 1);
}

/* Low half: free; high half: in the middle of a gap that is too long. */
uint64_t shift_free(const struct sl_gossip *g, const struct edge *e)
{
    uint64_t bits = 0;
    sl_usec shift = shift_length(g), apart = slot_apart(g, shift);
    for (unsigned i = 0; i < SL_SLOTS; i++) {
        sl_usec gap = gap_at(g, e, shift, slot_start(g, shift, i), apart);
        bits |= (uint64_t)(gap >= apart) << i | (uint64_t)(gap >= apart * 3 / 2) << (SL_SLOTS + i);
    }
    return bits;
}

sl_usec shift_next(const struct sl_gossip *g, const struct edge *e, uint64_t bits)
{
    sl_usec shift = shift_length(g), apart = slot_apart(g, shift), best_gap = -1;
    sl_usec present = slot_start(g, shift, SLOT_PRESENT), best = present, here = gap_at(g, e, shift, present, apart);
    bool stays = (bits >> SLOT_PRESENT & 1) && here >= apart;
    for (unsigned i = 0; i < SL_SLOTS; i++) {
        if (!(bits >> i & 1))
            continue;
        sl_usec gap = gap_at(g, e, shift, slot_start(g, shift, i), apart);
        bool hole = bits >> (SL_SLOTS + i) & 1 || gap >= apart * 3 / 2;
        if (gap < apart || (stays && !hole))
            continue;
        gap += hole ? SL_SHIFT_MAX : 0;
        if (gap > best_gap) {
            best_gap = gap;
            best = slot_start(g, shift, i);
        }
    }
    return best;
}

/* Somewhere in the first shift. Of the one to come: the neighbours that are not connected yet soon will be. */
sl_usec shift_first(struct sl_gossip *g, const struct edge *e)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_edges; i++)
        n += g->edges[i].conn != NONE || (g->edges[i].wanted && is_live(member_at(g, g->edges[i].member)));
    sl_usec shift = sl_earlier(SL_SEC(n ? n : 1), SL_SHIFT_MAX), best = 0, best_gap = -1;
    for (unsigned i = 0; i < SL_SLOTS; i++) {
        sl_usec t = g->now + sl_rand_span(&g->rand, 0, shift), gap = gap_at(g, e, shift_length(g), t, 0);
        if (gap > best_gap) {
            best_gap = gap;
            best = t;
        }
    }
    return best;
}
