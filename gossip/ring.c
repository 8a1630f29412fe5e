/* ring.c: who is whose neighbour (PROTOCOL.md, "Overlay").
 * K rings, each ordering all members by a keyed hash of (ring, id). A node's neighbours are the ones next to
 * it on each ring, both ways; the down ones it passes on the way to the first live one are its duty too, or
 * newcomers would believe the long dead alive. Small flocks are whole: everybody is everybody's neighbour. */
#include <starling.h>

#include "gossip/core.h"

#define WHOLE (2 * SL_RINGS + 1)

/* The pool's rings hold everybody whom anybody in this process knows: who is not in our view, or has left, is
 * passed without counting. */
static bool on_ring(const struct sl_gossip *g, uint32_t index)
{
    return is_used(g, index) && member_at(g, index)->status != SL_LEFT;
}

/* While members pour in, neighbours of now are not those of a moment later: each needless edge costs both ends a
 * handshake. */
void ring_grew(struct sl_gossip *g)
{
    if (g->rings_grew == SL_NEVER)
        g->rings_grew = g->now;
    sl_usec due = sl_earlier(g->now + SL_RING_SETTLE, g->rings_grew + SL_RING_SETTLE_MAX);
    if (g->rings_due == SL_NEVER || due > g->rings_due)
        g->rings_due = due;
}

/* Somebody is down, gone or back: at once. */
void ring_changed(struct sl_gossip *g)
{
    g->rings_due = g->now;
    g->rings_grew = g->now - SL_RING_SETTLE_MAX;
}

/* A walk along a ring, away from somebody's place, over members of our view. */
struct walk {
    const uint32_t *ring;
    size_t n, at, left; /* members not visited yet */
    int way;
};

static struct walk walk_from(const struct sl_gossip *g, size_t r, int way, size_t at)
{
    size_t n = g->pool->n_ring;
    return (struct walk){.ring = g->pool->ring[r], .n = n, .at = at, .left = n - 1, .way = way};
}

/* Members on the rings besides `index`. */
static size_t n_others(const struct sl_gossip *g, uint32_t index)
{
    return g->n_ring - on_ring(g, index);
}

static uint32_t walk_next(const struct sl_gossip *g, struct walk *w)
{
    while (w->left > 0) {
        w->left--;
        if (w->way == 0)
            w->at = w->at + 1 == w->n ? 0 : w->at + 1;
        else
            w->at = w->at == 0 ? w->n - 1 : w->at - 1;
        if (on_ring(g, w->ring[w->at]))
            return w->ring[w->at];
    }
    return NONE;
}

static size_t add_once(struct neighbour *list, size_t n, struct neighbour one)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].member == one.member) {
            list[i].successor |= one.successor;
            list[i].eager |= one.eager;
            return n;
        }
    }
    list[n] = one;
    return n + 1;
}

size_t ring_neighbours(const struct sl_gossip *g, uint32_t index, struct neighbour *ret)
{
    size_t n = 0;
    if (g->n_ring <= WHOLE) {
        struct walk w = walk_from(g, 0, 0, sl_pool_place(g->pool, 0, index));
        for (uint32_t other; n < n_others(g, index) && (other = walk_next(g, &w)) != NONE;)
            n = add_once(ret, n, (struct neighbour){other, sl_pool_place_cmp(g->pool, 0, index, other) < 0, true});
        return n;
    }
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = sl_pool_place(g->pool, r, index);
        for (int way = 0; way < 2; way++) {
            struct walk w = walk_from(g, r, way, at);
            for (size_t step = 0; step < SL_RING_WALK_MAX; step++) {
                uint32_t other = walk_next(g, &w);
                if (other == NONE)
                    break;
                n = add_once(ret, n, (struct neighbour){other, way == 0, r < SL_EAGER_RINGS});
                if (is_live(member_at(g, other)))
                    break;
            }
        }
    }
    return n;
}

size_t ring_watchers(const struct sl_gossip *g, uint32_t index, const uint32_t *ask, size_t n_ask,
                     bool *ret_counts)
{
    if (g->n_ring <= WHOLE) {
        size_t live = 0, seen = 0;
        struct walk w = walk_from(g, 0, 0, sl_pool_place(g->pool, 0, index));
        for (uint32_t other; seen < n_others(g, index) && (other = walk_next(g, &w)) != NONE; seen++)
            live += is_live(member_at(g, other));
        for (size_t i = 0; i < n_ask; i++)
            ret_counts[i] = ask[i] != index;
        return live;
    }
    struct neighbour first[2 * SL_RINGS], near[2 * SL_RINGS * (1 + SL_WATCHER_SLACK)];
    size_t n_first = 0, n_near = 0;
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = sl_pool_place(g->pool, r, index);
        for (int way = 0; way < 2; way++) {
            struct walk w = walk_from(g, r, way, at);
            unsigned live = 0;
            for (size_t step = 0; step < SL_RING_WALK_MAX && live <= SL_WATCHER_SLACK; step++) {
                uint32_t other = walk_next(g, &w);
                if (other == NONE)
                    break;
                if (!is_live(member_at(g, other)))
                    continue;
                n_near = add_once(near, n_near, (struct neighbour){.member = other});
                if (live++ == 0)
                    n_first = add_once(first, n_first, (struct neighbour){.member = other});
            }
        }
    }
    for (size_t i = 0; i < n_ask; i++) {
        ret_counts[i] = false;
        for (size_t k = 0; k < n_near && !ret_counts[i]; k++)
            ret_counts[i] = near[k].member == ask[i];
    }
    return n_first;
}
