/* ring.c: who is whose neighbour (PROTOCOL.md, "Overlay").
 * K rings, each ordering all members by a keyed hash of (ring, id). On each ring a node chooses one successor: the
 * next live member, but on half of the rings one of another host, and on the other half one of its own zone, if
 * there is one near. Its neighbours are those it chose and those that chose it; the down ones it passes on the way
 * are its duty too, or newcomers would believe the long dead alive. Small flocks are whole: everybody is
 * everybody's neighbour. */
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

/* The ones next to somebody on a ring that are not down, at most `n`. */
static size_t walk_live(const struct sl_gossip *g, struct walk w, uint32_t *ret, size_t n)
{
    size_t found = 0;
    for (size_t step = 0; found < n && step < SL_RING_WALK_MAX; step++) {
        uint32_t other = walk_next(g, &w);
        if (other == NONE)
            break;
        if (is_live(member_at(g, other)))
            ret[found++] = other;
    }
    return found;
}

static bool zone_ring(size_t r)
{
    return r >= SL_RINGS / 2;
}

static bool same_zone(const struct sl_who *a, const struct sl_who *b)
{
    return a->zone.len > 0 && a->zone.len == b->zone.len && memcmp(a->zone.p, b->zone.p, a->zone.len) == 0;
}

static bool same_host(const struct sl_who *a, const struct sl_who *b)
{
    return a->host != 0 && a->host == b->host;
}

static bool suits(const struct sl_gossip *g, size_t r, uint32_t index, uint32_t other)
{
    const struct sl_who *a = who_at(g, index), *b = who_at(g, other);
    return zone_ring(r) ? a->zone.len == 0 || same_zone(a, b) : !same_host(a, b);
}

/* Whom `index` chooses among the live ones in front of it; NONE when there is nobody. Bounded, so that a host or a
 * zone with nearly all members does not make one node the neighbour of all (1 and 99 nodes on two hosts: 99 edges). */
static uint32_t choose(const struct sl_gossip *g, size_t r, uint32_t index, const uint32_t *front, size_t n)
{
    size_t look = zone_ring(r) ? SL_ZONE_LOOK : SL_HOST_SKIP + 1;
    for (size_t i = 0; i < n && i < look; i++) {
        if (suits(g, r, index, front[i]))
            return front[i];
    }
    return n > 0 ? front[0] : NONE;
}

/* The ring around one member: live ones in front and behind, whom it chose in front, and who chose it. */
struct around {
    uint32_t front[SL_ZONE_LOOK], back[SL_ZONE_LOOK], chose, chosen_by[SL_HOST_SKIP + 1];
    size_t look; /* how many were looked for on each side */
    size_t n_front, n_back, n_chosen_by;
};

static uint64_t place_of(const struct sl_gossip *g, size_t r, uint32_t index)
{
    return g->pool->identities[index].ring[r];
}

static bool chose_us(const struct sl_gossip *g, size_t r, uint32_t who, uint32_t us)
{
    uint32_t front[SL_ZONE_LOOK];
    size_t look = zone_ring(r) && who_at(g, who)->zone.len > 0 ? SL_ZONE_LOOK : SL_HOST_SKIP + 1;
    size_t n = 0;
    struct walk w = walk_from(g, r, 0, sl_pool_place(g->pool, r, who));
    /* As `who` would see it: we count as live, or a down one would lose its watchers. */
    for (size_t step = 0; n < look && step < SL_RING_WALK_MAX; step++) {
        uint32_t other = walk_next(g, &w);
        if (other == NONE)
            break;
        if (other == us || is_live(member_at(g, other)))
            front[n++] = other;
    }
    return choose(g, r, who, front, n) == us;
}

static void look_around(const struct sl_gossip *g, size_t r, uint32_t index, struct around *ret)
{
    size_t at = sl_pool_place(g->pool, r, index);
    const struct sl_who *self = who_at(g, index);
    bool by_zone = zone_ring(r) && self->zone.len > 0;
    ret->look = by_zone ? SL_ZONE_LOOK : SL_HOST_SKIP + 1 + SL_WATCHER_SLACK;
    ret->n_front = walk_live(g, walk_from(g, r, 0, at), ret->front, ret->look);
    ret->n_back = walk_live(g, walk_from(g, r, 1, at), ret->back, ret->look);
    ret->chose = choose(g, r, index, ret->front, ret->n_front);
    ret->n_chosen_by = 0;
    bool zone_seen = false;
    for (size_t i = 0; i < ret->n_back && ret->n_chosen_by < SL_COUNT(ret->chosen_by); i++) {
        uint32_t who = ret->back[i];
        /* The one just behind, if we suit it, without looking; else only the nearest few can have chosen us, or the
         * nearest of our zone. */
        bool of_zone = by_zone && !zone_seen && same_zone(self, who_at(g, who));
        bool may = i == 0 || of_zone || (!zone_ring(r) && i <= SL_HOST_SKIP && !suits(g, r, who, ret->back[i - 1]));
        zone_seen |= of_zone;
        if (may && ((i == 0 && suits(g, r, who, index)) || chose_us(g, r, who, index)))
            ret->chosen_by[ret->n_chosen_by++] = who;
    }
}

/* The down ones between `index` and the first live one. */
static size_t add_duty(const struct sl_gossip *g, struct walk w, bool successor, struct neighbour *ret, size_t n)
{
    for (size_t step = 0; step < SL_RING_WALK_MAX; step++) {
        uint32_t other = walk_next(g, &w);
        if (other == NONE || is_live(member_at(g, other)))
            break;
        n = add_once(ret, n, (struct neighbour){.member = other, .successor = successor});
    }
    return n;
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
        struct around a;
        size_t at = sl_pool_place(g->pool, r, index);
        bool eager = (r & 2) == 0; /* half of either half */
        look_around(g, r, index, &a);
        n = add_duty(g, walk_from(g, r, 0, at), true, ret, n);
        n = add_duty(g, walk_from(g, r, 1, at), false, ret, n);
        if (a.chose != NONE)
            n = add_once(ret, n, (struct neighbour){a.chose, true, eager});
        for (size_t i = 0; i < a.n_chosen_by; i++)
            n = add_once(ret, n, (struct neighbour){a.chosen_by[i], false, eager});
    }
    return n;
}

/* The first few of a side may count as watchers, since views differ by a place or two; on a ring by zones also the first
 * few of the zone. */
static size_t add_near(const struct sl_gossip *g, size_t r, uint32_t index, const uint32_t *side, size_t n_side,
                       uint32_t *near, size_t n)
{
    size_t of_zone = 0;
    for (size_t k = 0; k < n_side && of_zone <= SL_WATCHER_SLACK; k++) {
        bool first = k <= SL_HOST_SKIP + SL_WATCHER_SLACK, suited = zone_ring(r) && suits(g, r, index, side[k]);
        if (first || suited)
            near[n++] = side[k];
        of_zone += suited && !first;
    }
    return n;
}

unsigned ring_near(const struct vicinity *v, uint32_t member, unsigned rings)
{
    unsigned on = 0;
    for (size_t r = 0; r < SL_RINGS; r++) {
        if (!(rings >> r & 1))
            continue;
        bool found = false;
        for (size_t i = 0; i < NEAR_MAX; i++) /* without a branch: the compiler takes many at a time */
            found |= v->near[r * NEAR_MAX + i] == member;
        on |= (unsigned)found << r;
    }
    return on;
}

unsigned ring_seen(const struct sl_gossip *g, const struct vicinity *v, uint32_t member)
{
    const uint64_t *place = g->pool->identities[member].ring;
    unsigned rings = 0;
    for (size_t r = 0; r < SL_RINGS; r++)
        rings |= (unsigned)(place[r] - v->seen[r].from <= v->seen[r].length) << r;
    return rings;
}

static void read_ring(const struct sl_gossip *g, size_t r, uint32_t index, struct vicinity *v)
{
    struct around a;
    look_around(g, r, index, &a);
    uint32_t *near = v->near + r * NEAR_MAX;
    memset(near, 0xff, NEAR_MAX * sizeof *near);
    memset(v->chosen[r], 0xff, sizeof v->chosen[r]);
    v->chosen[r][0] = a.chose;
    memcpy(v->chosen[r] + 1, a.chosen_by, a.n_chosen_by * sizeof a.chosen_by[0]);
    size_t n = add_near(g, r, index, a.front, a.n_front, near, 0);
    add_near(g, r, index, a.back, a.n_back, near, n);
    v->seen[r] = (struct stretch){0, UINT64_MAX};
    if (a.n_front < a.look || a.n_back < a.look)
        return;
    uint64_t here = place_of(g, r, index);
    uint64_t ahead = place_of(g, r, a.front[a.look - 1]) - here, behind = here - place_of(g, r, a.back[a.look - 1]);
    if (ahead <= UINT64_MAX - behind) /* else the two sides meet: all of the ring (simulator, swarm, seed 304) */
        v->seen[r] = (struct stretch){here - behind, ahead + behind};
}

static void add_watcher(struct vicinity *v, uint32_t member)
{
    for (size_t i = 0; i < v->n_watchers; i++) {
        if (v->watchers[i] == member)
            return;
    }
    v->watchers[v->n_watchers++] = member;
}

/* Everybody is near, and everybody who is live watches. */
static void read_whole(const struct sl_gossip *g, uint32_t index, struct vicinity *v)
{
    struct walk w = walk_from(g, 0, 0, sl_pool_place(g->pool, 0, index));
    memset(v->near, 0xff, sizeof v->near);
    v->seen[0] = (struct stretch){0, UINT64_MAX};
    size_t n = 0;
    for (uint32_t other; n < n_others(g, index) && (other = walk_next(g, &w)) != NONE; n++) {
        v->near[n] = other;
        if (is_live(member_at(g, other)))
            add_watcher(v, other);
    }
}

unsigned ring_vicinity(const struct sl_gossip *g, uint32_t index, struct vicinity *v)
{
    bool whole = g->n_ring <= WHOLE;
    if (v->whole != whole)
        v->known = 0;
    unsigned unknown = ALL_RINGS & ~v->known;
    if (!unknown)
        return 0;
    v->whole = whole;
    v->n_watchers = 0;
    for (size_t r = 0; r < SL_RINGS && !whole; r++) {
        if (unknown >> r & 1)
            read_ring(g, r, index, v);
        for (size_t i = 0; i < SL_COUNT(v->chosen[r]) && v->chosen[r][i] != NONE; i++)
            add_watcher(v, v->chosen[r][i]);
    }
    if (whole)
        read_whole(g, index, v);
    v->known = ALL_RINGS;
    return whole ? ALL_RINGS : unknown;
}
