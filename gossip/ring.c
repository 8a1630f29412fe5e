/* ring.c: who is whose neighbour (PROTOCOL.md, "Overlay").
 * K rings, each ordering all members by a keyed hash of (ring, id). A node's neighbours are the ones next to
 * it on each ring, both ways; the down ones it passes on the way to the first live one are its duty too, or
 * newcomers would believe the long dead alive. Small flocks are whole: everybody is everybody's neighbour. */
#include <starling.h>

#include "gossip/core.h"

#define WHOLE (2 * SL_RINGS + 1)

static int place_cmp(const struct sl_gossip *g, size_t r, uint32_t a, uint32_t b)
{
    const struct member *ma = member_at(g, a), *mb = member_at(g, b);
    uint64_t ka = who(ma)->ring[r], kb = who(mb)->ring[r];
    if (ka != kb)
        return ka < kb ? -1 : 1;
    return sl_id_cmp(id_of(ma), id_of(mb));
}

/* Where `index` stands, or would stand. */
static size_t place_of(const struct sl_gossip *g, size_t r, uint32_t index)
{
    size_t low = 0, high = g->n_ring;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (place_cmp(g, r, g->ring[r][mid], index) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int ring_reserve(struct sl_gossip *g, size_t n)
{
    for (size_t r = 0; r < SL_RINGS; r++) {
        if (sl_alloc_grow(mem(g), (void **)&g->ring[r], sizeof *g->ring[r], &g->cap_ring[r], n) < 0)
            return STARLING_ENOMEM;
    }
    return 0;
}

void ring_add(struct sl_gossip *g, uint32_t index)
{
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = place_of(g, r, index);
        memmove(g->ring[r] + at + 1, g->ring[r] + at, (g->n_ring - at) * sizeof *g->ring[r]);
        g->ring[r][at] = index;
    }
    g->n_ring++;
    /* While members pour in, neighbours of now are not those of a moment later: each needless edge costs both
     * ends a handshake. */
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

void ring_remove(struct sl_gossip *g, uint32_t index)
{
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = place_of(g, r, index);
        memmove(g->ring[r] + at, g->ring[r] + at + 1, (g->n_ring - at - 1) * sizeof *g->ring[r]);
    }
    g->n_ring--;
    ring_changed(g);
}

static size_t add_once(struct neighbour *list, size_t n, uint32_t member, bool successor)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].member == member) {
            list[i].successor |= successor;
            return n;
        }
    }
    list[n].member = member;
    list[n].successor = successor;
    return n + 1;
}

size_t ring_neighbours(const struct sl_gossip *g, uint32_t index, struct neighbour *ret)
{
    size_t n = 0;
    if (g->n_ring <= WHOLE) {
        for (size_t i = 0; i < g->n_ring; i++) {
            uint32_t other = g->ring[0][i];
            if (other != index)
                n = add_once(ret, n, other, place_cmp(g, 0, index, other) < 0);
        }
        return n;
    }
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = place_of(g, r, index);
        for (int way = 0; way < 2; way++) {
            for (size_t step = 1; step < g->n_ring && step <= SL_RING_WALK_MAX; step++) {
                size_t to = way == 0 ? at + step : at + g->n_ring - step;
                uint32_t other = g->ring[r][to % g->n_ring];
                n = add_once(ret, n, other, way == 0);
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
        size_t live = 0;
        for (size_t i = 0; i < g->n_ring; i++)
            live += g->ring[0][i] != index && is_live(member_at(g, g->ring[0][i]));
        for (size_t i = 0; i < n_ask; i++)
            ret_counts[i] = ask[i] != index;
        return live;
    }
    struct neighbour first[2 * SL_RINGS], near[2 * SL_RINGS * (1 + SL_WATCHER_SLACK)];
    size_t n_first = 0, n_near = 0;
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = place_of(g, r, index);
        for (int way = 0; way < 2; way++) {
            unsigned live = 0;
            for (size_t step = 1; step < g->n_ring && step <= SL_RING_WALK_MAX; step++) {
                size_t to = way == 0 ? at + step : at + g->n_ring - step;
                uint32_t other = g->ring[r][to % g->n_ring];
                if (!is_live(member_at(g, other)))
                    continue;
                n_near = add_once(near, n_near, other, false);
                if (live == 0)
                    n_first = add_once(first, n_first, other, false);
                if (++live > SL_WATCHER_SLACK)
                    break;
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
