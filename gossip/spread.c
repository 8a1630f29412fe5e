/* spread.c: pass news on (PROTOCOL.md, "Spreading").
 * A new fact goes to every neighbour but the one it came from, after a short delay in which a copy arriving
 * from a neighbour cancels the one queued for it. Only the newest version of a fact waits. What somebody lacks
 * (reconciliation) waits in the same place with one connection's bit set, so that pages and news share one
 * budget of bytes an edge. What cannot be sent is not kept for ever: reconciliation finds it. */
#include <starling.h>

#include "base/bytes.h"
#include "base/pack.h"
#include "gossip/core.h"

/* ---- (member, kind) to place in g->waiting: open addressing, deletion shifts back -------- */

static size_t home_of(const struct sl_gossip *g, uint32_t member, uint8_t kind)
{
    uint64_t x = ((uint64_t)member << 8 | kind) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(x >> 32) & (g->cap_waiting_map - 1);
}

static size_t slot_of(const struct sl_gossip *g, uint32_t member, uint8_t kind)
{
    size_t i = home_of(g, member, kind);
    while (g->waiting_map[i]) {
        const struct waiting *w = &g->waiting[g->waiting_map[i] - 1];
        if (w->member == member && w->kind == kind)
            break;
        i = (i + 1) & (g->cap_waiting_map - 1);
    }
    return i;
}

static struct waiting *find(const struct sl_gossip *g, uint32_t member, uint8_t kind)
{
    if (g->n_waiting == 0)
        return NULL;
    uint32_t at = g->waiting_map[slot_of(g, member, kind)];
    return at ? &g->waiting[at - 1] : NULL;
}

static void map_remove(struct sl_gossip *g, size_t i)
{
    size_t mask = g->cap_waiting_map - 1;
    for (size_t next = (i + 1) & mask; g->waiting_map[next]; next = (next + 1) & mask) {
        const struct waiting *w = &g->waiting[g->waiting_map[next] - 1];
        size_t home = home_of(g, w->member, w->kind);
        if (((next - home) & mask) >= ((next - i) & mask)) {
            g->waiting_map[i] = g->waiting_map[next];
            i = next;
        }
    }
    g->waiting_map[i] = 0;
}

static void drop(struct sl_gossip *g, size_t at)
{
    map_remove(g, slot_of(g, g->waiting[at].member, g->waiting[at].kind));
    size_t last = --g->n_waiting;
    if (at != last) {
        g->waiting_map[slot_of(g, g->waiting[last].member, g->waiting[last].kind)] = (uint32_t)at + 1;
        g->waiting[at] = g->waiting[last];
    }
}

static struct waiting *add(struct sl_gossip *g, uint32_t member, uint8_t kind)
{
    struct waiting *w = find(g, member, kind);
    if (w)
        return w;
    size_t n = g->n_waiting + 1;
    if (sl_alloc_grow(mem(g), (void **)&g->waiting, sizeof *g->waiting, &g->cap_waiting, n) < 0)
        return NULL;
    if (2 * n > g->cap_waiting_map) {
        size_t cap = g->cap_waiting_map ? 2 * g->cap_waiting_map : 64;
        uint32_t *map = sl_alloc_zero(mem(g), cap * sizeof *map);
        if (!map)
            return NULL;
        sl_alloc_free(mem(g), g->waiting_map, g->cap_waiting_map * sizeof *map);
        g->waiting_map = map;
        g->cap_waiting_map = cap;
        for (size_t i = 0; i < g->n_waiting; i++)
            map[slot_of(g, g->waiting[i].member, g->waiting[i].kind)] = (uint32_t)i + 1;
    }
    w = &g->waiting[g->n_waiting];
    memset(w, 0, sizeof *w);
    w->member = member;
    w->kind = kind;
    w->due = SL_NEVER;
    g->waiting_map[slot_of(g, member, kind)] = (uint32_t)++g->n_waiting;
    return w;
}

void spread_fini(struct sl_gossip *g)
{
    sl_alloc_free(mem(g), g->waiting, g->cap_waiting * sizeof *g->waiting);
    sl_alloc_free(mem(g), g->flushing, g->cap_flushing * sizeof *g->flushing);
    sl_alloc_free(mem(g), g->waiting_map, g->cap_waiting_map * sizeof *g->waiting_map);
}

/* ---- what waits ------------------------------------------------------------------------- */

static void bit_set(struct waiting *w, uint32_t conn)
{
    w->mask[conn / 64] |= UINT64_C(1) << conn % 64;
}

static void bit_clear(struct waiting *w, uint32_t conn)
{
    w->mask[conn / 64] &= ~(UINT64_C(1) << conn % 64);
}

static bool bit_is_set(const uint64_t *mask, uint32_t conn)
{
    return mask[conn / 64] >> conn % 64 & 1;
}

static bool mask_is_empty(const struct waiting *w)
{
    uint64_t any = 0;
    for (size_t i = 0; i < SL_COUNT(w->mask); i++)
        any |= w->mask[i];
    return any == 0;
}

static void wait_until(struct sl_gossip *g, struct waiting *w, sl_usec due)
{
    w->due = sl_earlier(w->due, due);
    g->spread_due = sl_earlier(g->spread_due, w->due);
}

/* Ready for whoever is told of it, `delay` from now. What is not urgent goes with whatever else is waiting: a message
 * costs as much as a fact. Nothing goes before `at_least`. */
static void wait_for(struct sl_gossip *g, struct waiting *w, sl_usec delay, sl_usec at_least)
{
    if (delay > SL_SPREAD_URGENT) {
        if (g->batch_at <= g->now)
            g->batch_at = g->now + delay;
        delay = g->batch_at - g->now;
    }
    wait_until(g, w, g->now + (delay > at_least ? delay : at_least));
}

/* Our own goes to everybody connected: a newcomer's neighbours are not settled when it begins to offer. So does what is
 * urgent, the rest to those who are to have it. What others say of each other is not said over an edge that fails: in a
 * flock cut in two, more than half of all went nowhere. */
static bool gets(const struct edge *e, uint8_t kind, bool wide, uint32_t from)
{
    if (e->conn == NONE || e->conn == from)
        return false;
    if (from == NONE)
        return true;
    return (wide || (e->wanted && e->eager)) && !(kind == SL_SIGHTINGS && edge_fails(e));
}

/* What we say of ourselves keeps within what others take of us, or they would take us for one who floods: the host may
 * change its mind as often as it likes, the newest version goes when there is room for it. */
static sl_usec own_wait(struct sl_gossip *g, uint32_t self, uint8_t kind, bool waits)
{
    const sl_usec one = SL_SEC(1) / SL_FACTS_PER_SECOND, burst = SL_OWN_BURST * one;
    const struct sl_fact *f = fact_of_any(g, member_at(g, self), kind);
    if (!waits) /* or an older version that has not left has paid for this one */
        g->own_until = (g->own_until > g->now ? g->own_until : g->now) + one * (f ? fact_price(f->len) : 1);
    return g->own_until - g->now > burst ? g->own_until - g->now - burst : 0;
}

static void tell(struct sl_gossip *g, uint32_t member, uint8_t kind, sl_usec delay, bool wide, uint32_t from)
{
    struct waiting *w = find(g, member, kind);
    sl_usec at_least = from == NONE ? own_wait(g, member, kind, w != NULL) : 0;
    for (size_t i = 0; i < g->n_edges; i++) {
        const struct edge *e = &g->edges[i];
        if (!gets(e, kind, wide, from))
            continue;
        if (!w && (w = add(g, member, kind)) == NULL)
            return;
        bit_set(w, e->conn);
    }
    if (!w)
        return;
    if (from != NONE)
        bit_clear(w, from);
    wait_for(g, w, delay, at_least);
}

/* Whom sightings accuse is told of them, whoever else is: who does not hear cannot answer, and would be felled by one
 * accuser in a small flock (simulator, swarm, seed 86). */
static void tell_accused(struct sl_gossip *g, uint32_t member, const struct news *news, uint32_t from)
{
    for (size_t i = 0; i < news->n; i++) {
        uint32_t accused = table_find(g, &news->fresh[i]);
        const struct edge *e = accused == NONE ? NULL : edge_of(g, accused);
        struct waiting *w = e && e->conn != NONE && e->conn != from ? add(g, member, SL_SIGHTINGS) : NULL;
        if (!w)
            continue;
        bit_set(w, e->conn);
        wait_for(g, w, SL_SPREAD_URGENT, 0);
    }
}

/* A node whose network comes and goes changes its sightings all the time: of one origin we pass on a burst, then
 * one version in half a minute. Whoever lacks one finds it by the roots, which by then differ no more. */
unsigned spread_sightings_left(const struct sl_gossip *g, struct member *m)
{
    uint8_t at = (uint8_t)(tenth_of(g, g->now) / (SL_SIGHTINGS_EARN / SL_MS(100))), earned = (uint8_t)(at - m->sighted_at);
    m->sighted_at = at;
    m->sightings_left = (uint8_t)(earned > SL_SIGHTINGS_BURST - m->sightings_left ? SL_SIGHTINGS_BURST
                                                                                  : m->sightings_left + earned);
    return m->sightings_left;
}

/* What is in these sightings that was not in those before. Whom they hold the same against as before need not hear that
 * they do so in another way. */
static void look_at_sightings(const struct sl_fact *before, const struct sl_fact *f, struct news *ret)
{
    struct sl_sighting old[SL_SIGHTING_ENTRIES_MAX], now[SL_SIGHTING_ENTRIES_MAX];
    size_t n_old = 0, n_now = 0;
    if (before && (before->version.epoch != f->version.epoch || !sl_sightings_read(sl_fact_body(before), old, &n_old)))
        n_old = 0;
    if (!sl_sightings_read(sl_fact_body(f), now, &n_now))
        n_now = 0;
    for (size_t i = 0; i < n_now; i++) {
        size_t k = 0;
        while (k < n_old && !(sl_id_eq(&now[i].accused, &old[k].accused) && sl_version_cmp(now[i].seen, old[k].seen) == 0))
            k++;
        if (k < n_old && now[i].how == old[k].how)
            continue;
        if (k == n_old)
            ret->fresh[ret->n++] = now[i].accused;
        ret->urgent = true;
        ret->refused |= now[i].how == SL_REFUSED;
    }
}

void spread_look(const struct sl_fact *before, const struct sl_fact *f, struct news *ret)
{
    struct sl_vitals vitals;
    ret->kind = f->kind;
    ret->n = 0;
    ret->urgent = ret->refused = false;
    if (f->kind == SL_SIGHTINGS) { /* who only takes back what it said has time: no verdict of down waits for it */
        look_at_sightings(before, f, ret);
    } else if (f->kind == SL_VITALS) {
        ret->urgent = sl_vitals_read(sl_fact_body(f), &vitals) && (vitals.urgent || vitals.state == SL_GONE);
    }
}

void spread_news(struct sl_gossip *g, uint32_t member, const struct news *news, uint32_t from)
{
    sl_usec delay = news->refused ? SL_SPREAD_REFUSED : news->urgent ? SL_SPREAD_URGENT
                                  : sl_rand_span(&g->rand, SL_SPREAD_LOW, SL_SPREAD_HIGH);
    bool wide = news->urgent;
    if (news->kind == SL_SIGHTINGS && from != NONE) {
        struct member *m = member_at(g, member);
        unsigned left = spread_sightings_left(g, m);
        wide &= news->refused || left > SL_SIGHTINGS_BURST - SL_SIGHTINGS_WIDE;
        tell_accused(g, member, news, from);
        if (left == 0)
            return;
        m->sightings_left--;
    }
    tell(g, member, news->kind, delay, wide, from);
}

/* The neighbour has this very version: it need not get it from us. */
void spread_seen(struct sl_gossip *g, uint32_t member, uint8_t kind, uint32_t from)
{
    struct waiting *w = from == NONE ? NULL : find(g, member, kind);
    if (w)
        bit_clear(w, from);
}

void spread_push(struct sl_gossip *g, uint32_t member, uint8_t kind, uint32_t conn)
{
    if (!fact_of_any(g, member_at(g, member), kind))
        return;
    struct waiting *w = add(g, member, kind);
    if (!w)
        return;
    bit_set(w, conn);
    wait_until(g, w, g->now);
}

void spread_forget(struct sl_gossip *g, uint32_t member)
{
    uint32_t at = 0;
    for (struct sl_fact *f; (f = fact_next(g, member_at(g, member), &at)) != NULL;) {
        struct waiting *w = find(g, member, f->kind);
        if (w)
            drop(g, (size_t)(w - g->waiting));
    }
}

void spread_conn_gone(struct sl_gossip *g, uint32_t conn)
{
    for (size_t i = 0; i < g->n_waiting; i++)
        bit_clear(&g->waiting[i], conn);
}

void spread_drop_all(struct sl_gossip *g)
{
    while (g->n_waiting > 0)
        drop(g, g->n_waiting - 1);
    g->spread_due = SL_NEVER;
}

/* ---- sending ---------------------------------------------------------------------------- */

#define FRAME_HEAD 6 /* array 32 header and the message's type */

struct frame {
    uint8_t bytes[FRAME_HEAD + SL_PAGE];
    struct sl_pack w;
    uint32_t n;
};

static void frame_open(struct frame *f)
{
    sl_pack_init(&f->w, f->bytes + FRAME_HEAD, sizeof f->bytes - FRAME_HEAD);
    f->n = 0;
}

static void frame_send(struct sl_gossip *g, struct conn *c, struct frame *f)
{
    if (f->n == 0)
        return;
    f->bytes[0] = 0xdd;
    sl_put32(f->bytes + 1, f->n + 1);
    f->bytes[5] = MSG_FACTS;
    size_t len = FRAME_HEAD + f->w.len;
    c->tokens -= (int64_t)len;
    out_send(g, c, f->bytes, len);
    frame_open(f);
}

static void frame_add(struct sl_gossip *g, struct conn *c, struct frame *f, const struct sl_fact *fact)
{
    if (f->w.len + fact->len + 5 > f->w.cap)
        frame_send(g, c, f);
    sl_pack_bin(&f->w, fact->bytes, fact->len);
    f->n++;
}

void spread_fact(struct sl_gossip *g, struct sl_fact *f, uint32_t conn)
{
    struct frame frame;
    frame_open(&frame);
    frame_add(g, &g->conns[conn], &frame, f);
    frame_send(g, &g->conns[conn], &frame);
}

static void tokens_earn(struct conn *c, sl_usec now)
{
    int64_t earned = (now - c->tokens_at) * SL_EDGE_BYTES_PER_SECOND / SL_SEC(1);
    if (earned == 0)
        return;
    c->tokens = c->tokens + earned > SL_EDGE_BYTES_BURST ? SL_EDGE_BYTES_BURST : c->tokens + earned;
    c->tokens_at = now;
}

/* What is due, in the order in which it waits, and for whom any of each group is. While a flock joins, tens of thousands
 * wait, most of them for those whose budget is used up: looking at each for each connection cost more than all else. */
#define GROUPS 256
struct due {
    const uint32_t *at; /* in g->waiting */
    size_t n, group_len;
    uint64_t any[GROUPS][SL_LINKS_MAX / 64];
};

static void look_at_due(struct sl_gossip *g, struct due *ret)
{
    ret->at = g->flushing;
    ret->n = 0;
    ret->group_len = g->n_waiting / GROUPS + 1;
    for (uint32_t i = 0; i < g->n_waiting; i++) {
        const struct waiting *w = &g->waiting[i];
        if (w->due > g->now)
            continue;
        uint64_t *any = ret->any[ret->n / ret->group_len];
        if (ret->n % ret->group_len == 0)
            memset(any, 0, sizeof ret->any[0]);
        for (size_t k = 0; k < SL_COUNT(w->mask); k++)
            any[k] |= w->mask[k];
        g->flushing[ret->n++] = i;
    }
}

/* The first from the `i`th on that this connection still gets; due->n when there is none. */
static size_t next_for(const struct sl_gossip *g, const struct due *due, uint32_t conn, size_t i)
{
    while (i < due->n) {
        size_t group = i / due->group_len, end = (group + 1) * due->group_len;
        end = end < due->n ? end : due->n;
        if (bit_is_set(due->any[group], conn)) {
            for (; i < end; i++) {
                if (bit_is_set(g->waiting[due->at[i]].mask, conn))
                    return i;
            }
        }
        i = end;
    }
    return i;
}

/* All that is due for one connection, within its budget. False when something had to stay. */
static bool flush(struct sl_gossip *g, uint32_t conn, const struct due *due)
{
    struct conn *c = &g->conns[conn];
    struct frame f;
    tokens_earn(c, g->now);
    frame_open(&f);
    bool all = true;
    for (size_t i = 0; (i = next_for(g, due, conn, i)) < due->n; i++) {
        struct waiting *w = &g->waiting[due->at[i]];
        if (c->tokens <= (int64_t)f.w.len) {
            all = false;
            break;
        }
        /* Nobody can check a fact without its origin's record. */
        struct waiting *record = find(g, w->member, SL_RECORD);
        if (record && record != w && bit_is_set(record->mask, conn)) {
            frame_add(g, c, &f, fact_of(g, member_at(g, w->member), SL_RECORD));
            bit_clear(record, conn);
        }
        struct sl_fact *fact = fact_of_any(g, member_at(g, w->member), w->kind);
        if (fact) /* a newer epoch may have voided it meanwhile */
            frame_add(g, c, &f, fact);
        bit_clear(w, conn);
    }
    frame_send(g, c, &f);
    return all;
}

void spread_tick(struct sl_gossip *g)
{
    if (g->now < g->spread_due)
        return;
    g->spread_due = SL_NEVER;
    if (sl_alloc_grow(mem(g), (void **)&g->flushing, sizeof *g->flushing, &g->cap_flushing, g->n_waiting) < 0) {
        g->spread_due = g->now + SL_MS(100);
        return;
    }
    struct due due;
    look_at_due(g, &due);
    bool all = true;
    for (uint32_t i = 0; i < g->n_conns && due.n > 0; i++) {
        if (g->conns[i].link && g->conns[i].stage == STAGE_PROVEN)
            all &= flush(g, i, &due);
    }
    for (size_t i = g->n_waiting; i-- > 0;) {
        struct waiting *w = &g->waiting[i];
        if (mask_is_empty(w))
            drop(g, i);
        else if (w->due > g->now)
            g->spread_due = sl_earlier(g->spread_due, w->due);
    }
    if (!all) /* a budget ran out: a page's worth is earned in a quarter of a second */
        g->spread_due = sl_earlier(g->spread_due, g->now + SL_MS(100));
}
