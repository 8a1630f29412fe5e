/* join.c: whom to dial when the rings do not say (PROTOCOL.md, "Joining, leaving, healing"): seeds, those whom a
 * door without room named, and now and then somebody at random, so that a partition ends without an operator. */
#include <starling.h>

#include "base/pack.h"
#include "gossip/core.h"

void join_init(struct sl_gossip *g)
{
    g->next_meeting = g->now + SL_MEETING_MIN / 2; /* by then we know how large the flock is, and draw a time */
}

void join_fini(struct sl_gossip *g)
{
    sl_alloc_free(mem(g), g->seeds, g->cap_seeds * sizeof *g->seeds);
}

/* ---- seeds ------------------------------------------------------------------------------ */

static struct seed *seed_of(struct sl_gossip *g, const struct sl_addr *addr)
{
    for (size_t i = 0; i < g->n_seeds; i++) {
        if (sl_addr_eq(&g->seeds[i].addr, addr))
            return &g->seeds[i];
    }
    return NULL;
}

static void seed_add(struct sl_gossip *g, const struct sl_addr *addr, sl_usec next, bool once)
{
    struct seed *s = seed_of(g, addr);
    if (s)
        s->once &= once; /* who is a seed stays one, whoever names him */
    else if (g->n_seeds < SL_SEEDS_KEPT && !sl_addr_eq(addr, &g->config.addr) &&
             sl_alloc_grow(mem(g), (void **)&g->seeds, sizeof *g->seeds, &g->cap_seeds, g->n_seeds + 1) == 0)
        g->seeds[g->n_seeds++] = (struct seed){.addr = *addr, .next = next, .once = once};
}

void sl_gossip_seed(struct sl_gossip *g, sl_usec now, const struct sl_addr *addr)
{
    seed_add(g, addr, now, false);
}

void sl_gossip_unseed(struct sl_gossip *g, const struct sl_addr *addr)
{
    struct seed *s = seed_of(g, addr);
    if (s)
        *s = g->seeds[--g->n_seeds];
}

void join_again(struct sl_gossip *g)
{
    for (size_t i = 0; i < g->n_seeds; i++) {
        g->seeds[i].backoff = 0;
        g->seeds[i].next = g->now;
    }
}

static bool alive_member_at(const struct sl_gossip *g, const struct sl_addr *addr)
{
    for (struct sl_fact *f = sl_pool_first_at(g->pool, addr); f; f = sl_pool_next(g->pool, SL_BY_ADDR, f)) {
        if (table_holds(g, f) && is_live(member_at(g, f->identity)))
            return true;
    }
    return false;
}

static size_t n_alive(const struct sl_gossip *g)
{
    return g->n_by_status[SL_ALIVE] + g->n_by_status[SL_SUSPECT];
}

static void seed_wait(struct sl_gossip *g, struct seed *s, bool reached)
{
    if (s->once) {
        *s = g->seeds[--g->n_seeds];
        return;
    }
    sl_usec most = n_alive(g) <= 1 ? SL_SEED_ALONE_MAX : SL_SEED_BACKOFF_MAX;
    s->dialling = false;
    s->backoff = reached          ? SL_SEED_BACKOFF_MAX
                 : s->backoff ? sl_earlier(2 * s->backoff, most)
                              : SL_SEED_BACKOFF;
    s->next = g->now + sl_rand_span(&g->rand, s->backoff / 2, s->backoff);
}

/* What became of a dial to this address. */
void join_dialled(struct sl_gossip *g, const struct sl_addr *addr, bool reached)
{
    struct seed *s = seed_of(g, addr);
    if (s)
        seed_wait(g, s, reached);
}

/* Connected to a few: news and neighbours come by themselves from here on. */
static bool is_inside(const struct sl_gossip *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_conns; i++)
        n += g->conns[i].link && g->conns[i].stage == STAGE_PROVEN;
    return n >= SL_SEED_DIALS;
}

static void seeds_tick(struct sl_gossip *g)
{
    size_t dialling = 0;
    for (size_t i = 0; i < g->n_seeds; i++)
        dialling += g->seeds[i].dialling;
    /* Start somewhere else each time, so that many newcomers do not all knock at the same door. */
    size_t first = g->n_seeds ? sl_rand_below(&g->rand, g->n_seeds) : 0;
    for (size_t k = 0; k < g->n_seeds && dialling < SL_SEED_DIALS; k++) {
        struct seed *s = &g->seeds[(first + k) % g->n_seeds]; /* a place may close up behind one that goes */
        if (s->dialling || g->now < s->next)
            continue;
        if (alive_member_at(g, &s->addr) || (s->once && is_inside(g))) {
            seed_wait(g, s, true);
        } else if (conn_dial(g, &s->addr, NULL)) {
            s->dialling = true;
            dialling++;
        } else {
            seed_wait(g, s, false);
        }
    }
}

sl_usec join_deadline(const struct sl_gossip *g)
{
    sl_usec t = SL_NEVER;
    size_t dialling = 0;
    for (size_t i = 0; i < g->n_seeds; i++) {
        dialling += g->seeds[i].dialling;
        if (!g->seeds[i].dialling)
            t = sl_earlier(t, g->seeds[i].next);
    }
    return sl_earlier(g->next_meeting, dialling < SL_SEED_DIALS ? t : SL_NEVER);
}

/* ---- referral --------------------------------------------------------------------------- */

/* A few members at random, for somebody who needs another door: length byte and address each. */
size_t join_names(struct sl_gossip *g, uint8_t out[SL_REFER_MAX * (SL_ADDR_BYTES + 1)])
{
    size_t len = 0, n = 0;
    for (int tries = 0; tries < 4 * SL_REFER_MAX && n < SL_REFER_MAX; tries++) {
        uint32_t i = (uint32_t)sl_rand_below(&g->rand, g->n_slots);
        if (!is_used(g, i) || member_at(g, i)->self || member_at(g, i)->status != SL_ALIVE)
            continue;
        out[len] = (uint8_t)sl_addr_write(&who_at(g, i)->addr, out + len + 1);
        len += 1 + out[len];
        n++;
    }
    return len;
}

/* A door we knocked at sends us on. Each door further on may do so again: only until we are inside. */
void join_referred(struct sl_gossip *g, struct sl_span names)
{
    for (size_t n = 0; !is_inside(g) && names.len > 0 && n < SL_REFER_MAX; n++) {
        struct sl_addr addr;
        size_t len = names.p[0];
        if (len >= names.len || !sl_addr_read(sl_span_of(names.p + 1, len), &addr))
            return;
        names = sl_span_of(names.p + 1 + len, names.len - 1 - len);
        seed_add(g, &addr, g->now, true);
    }
}

/* ---- meetings --------------------------------------------------------------------------- */

/* Dial one random member we have no connection with. */
static void meet(struct sl_gossip *g, bool live)
{
    for (int tries = 0; tries < 8; tries++) {
        uint32_t i = g->meet_next++ % g->n_slots;
        const struct member *m = member_at(g, i);
        if (!m->used || m->self || m->status == SL_LEFT || (live && !is_live(m)) || edge_of(g, i))
            continue;
        struct conn *c = conn_dial(g, &who_at(g, i)->addr, id_at(g, i));
        if (c)
            g->stats.meetings++;
        return;
    }
}

/* The flock makes about one meeting in two seconds, not each node; where all are connected there is nobody to meet. The
 * first time is drawn when we know how large it is. Where neighbours are on the other side of a cut, few of a small part
 * have an edge to each other, and what one of them sees the others do not hear (simulator, split, 94/6): they look for
 * each other among those who are not down. */
static void meetings_tick(struct sl_gossip *g)
{
    if (g->now < g->next_meeting)
        return;
    bool cut_off = watch_cut_off(g);
    sl_usec wait = sl_earlier(2 * SL_SEC(n_alive(g)), SL_MEETING_MAX);
    if (cut_off)
        wait = g->isolated ? SL_MEETING_ALONE : SL_MEETING_CUT_OFF;
    else if (wait < SL_MEETING_MIN)
        wait = SL_MEETING_MIN;
    sl_usec from = g->meeting_drawn ? wait / 2 : 0;
    if (!cut_off)
        g->meet_next = (uint32_t)sl_rand_below(&g->rand, g->n_slots);
    if (g->meeting_drawn || cut_off)
        meet(g, cut_off);
    g->next_meeting = g->now + sl_rand_span(&g->rand, from, from + wait);
    g->meeting_drawn = true;
}

void join_meet_soon(struct sl_gossip *g)
{
    g->next_meeting = sl_earlier(g->next_meeting, g->now + sl_rand_span(&g->rand, 0, SL_MEETING_CUT_OFF));
}

void join_tick(struct sl_gossip *g)
{
    seeds_tick(g);
    meetings_tick(g);
}
