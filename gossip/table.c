/* table.c: members and their facts. Merging is "the newer version wins", so it commutes, associates and is
 * idempotent; nothing it looks at differs between nodes (no clock, no configuration), or the flock would never
 * agree on what there is. */
#include <starling.h>

#include "base/bytes.h"
#include "gossip/core.h"

/* ---- members ---------------------------------------------------------------------------- */

static const struct sl_id *grave_by_index(void *context, uint32_t index)
{
    return &((struct sl_gossip *)context)->graves[index].id;
}

int table_init(struct sl_gossip *g)
{
    uint8_t key[16];
    sl_put64(key, sl_rand_u64(&g->rand));
    sl_put64(key + 8, sl_rand_u64(&g->rand));
    sl_idmap_init(&g->by_grave, mem(g), key, grave_by_index, g);
    g->dirty_first = g->dirty_last = NONE;
    g->pool = g->ports.pool;
    g->own_pool = !g->pool;
    if (g->own_pool && sl_pool_new(mem(g), g->ports.crypto, &g->config.bundle, &g->pool) < 0)
        return STARLING_ENOMEM;
    g->tree = sl_alloc_zero(mem(g), sizeof *g->tree);
    return g->tree ? 0 : STARLING_ENOMEM;
}

/* ---- facts of a member ------------------------------------------------------------------ */

struct sl_fact *fact_of_any(const struct sl_gossip *g, const struct member *m, uint8_t kind)
{
    if (kind <= SL_KINDS)
        return fact_of(g, m, (enum sl_kind)kind);
    for (uint32_t at = m->later; at; at = g->later[at - 1].next) {
        struct sl_fact *f = sl_pool_fact(g->pool, g->later[at - 1].fact - 1);
        if (f->kind == kind)
            return f;
    }
    return NULL;
}

struct sl_fact *fact_next(const struct sl_gossip *g, const struct member *m, uint32_t *at)
{
    while (*at < SL_KINDS) {
        uint32_t number = m->fact[(*at)++];
        if (number)
            return sl_pool_fact(g->pool, number - 1);
    }
    /* Behind the known kinds *at is SL_KINDS, then SL_KINDS + the place of the one that was last. */
    uint32_t place = *at == SL_KINDS ? m->later : g->later[*at - SL_KINDS - 1].next;
    if (!place)
        return NULL;
    *at = SL_KINDS + place;
    return sl_pool_fact(g->pool, g->later[place - 1].fact - 1);
}

/* Where a member's fact of this kind stands, or NULL; of a later kind: a new place. Of too many the lowest kinds are
 * kept: those that came first would not be the same everywhere, and no roots would ever agree (simulator, liar, seed 17). */
static uint32_t *fact_place(struct sl_gossip *g, struct member *m, uint8_t kind)
{
    if (kind <= SL_KINDS)
        return &m->fact[kind - 1];
    size_t n = 0;
    struct later *top = NULL;
    struct sl_fact *highest = NULL;
    for (uint32_t at = m->later; at; at = g->later[at - 1].next, n++) {
        struct sl_fact *f = sl_pool_fact(g->pool, g->later[at - 1].fact - 1);
        if (f->kind == kind)
            return &g->later[at - 1].fact;
        if (!highest || f->kind > highest->kind) {
            highest = f;
            top = &g->later[at - 1];
        }
    }
    if (n == SL_LATER_KINDS_MAX) {
        if (highest->kind < kind)
            return NULL;
        tree_fact(g, m, highest, -1);
        sl_pool_unref(g->pool, highest);
        return &top->fact;
    }
    uint32_t place = g->later_free;
    if (place) {
        g->later_free = g->later[place - 1].next;
    } else if (sl_alloc_grow(mem(g), (void **)&g->later, sizeof *g->later, &g->cap_later, g->n_later + 1) < 0) {
        return NULL;
    } else {
        place = (uint32_t)++g->n_later;
    }
    g->later[place - 1] = (struct later){.next = m->later};
    m->later = place;
    return &g->later[place - 1].fact;
}

/* Let go of what the member said in kinds of a later version, before `epoch`. */
static void later_void(struct sl_gossip *g, struct member *m, uint64_t epoch)
{
    for (uint32_t *at = &m->later; *at;) {
        struct later *l = &g->later[*at - 1];
        struct sl_fact *f = sl_pool_fact(g->pool, l->fact - 1);
        if (f->version.epoch >= epoch) {
            at = &l->next;
            continue;
        }
        tree_fact(g, m, f, -1);
        sl_pool_unref(g->pool, f);
        uint32_t place = *at;
        *at = l->next;
        *l = (struct later){.next = g->later_free};
        g->later_free = place;
    }
}

/* The number and its facts are the pool's again. */
static void slot_release(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    for (uint8_t kind = 1; kind <= SL_KINDS; kind++)
        sl_pool_unref(g->pool, fact_of(g, m, (enum sl_kind)kind));
    later_void(g, m, UINT64_MAX);
    memset(m, 0, sizeof *m);
    sl_pool_release(g->pool, index);
}

void table_fini(struct sl_gossip *g)
{
    for (uint32_t i = 0; i < g->n_slots; i++) {
        if (g->members[i].used || g->members[i].gone)
            slot_release(g, i);
    }
    for (size_t i = 0; i < g->n_graves; i++)
        sl_pool_unref(g->pool, g->graves[i].goodbye);
    sl_pool_unref(g->pool, g->lent_fact);
    sl_alloc_free(mem(g), g->members, g->cap_slots * sizeof *g->members);
    sl_alloc_free(mem(g), g->later, g->cap_later * sizeof *g->later);
    sl_alloc_free(mem(g), g->graves, g->cap_graves * sizeof *g->graves);
    sl_alloc_free(mem(g), g->tree, sizeof *g->tree);
    sl_idmap_fini(&g->by_grave);
    if (g->own_pool)
        sl_pool_free(g->pool);
}

uint32_t table_find(const struct sl_gossip *g, const struct sl_id *id)
{
    uint32_t index = sl_pool_find(g->pool, id);
    return index != SL_POOL_NONE && is_used(g, index) ? index : NONE;
}

struct sl_version newest(const struct sl_gossip *g, const struct member *m)
{
    struct sl_version v = {0, 0};
    uint32_t at = 0;
    for (const struct sl_fact *f; (f = fact_next(g, m, &at)) != NULL;) {
        if (sl_version_cmp(f->version, v) > 0)
            v = f->version;
    }
    return v;
}

void table_mark(struct sl_gossip *g, uint32_t index, unsigned dirty)
{
    struct member *m = member_at(g, index);
    if (!(m->dirty & DIRTY_QUEUED)) {
        m->dirty_next = NONE;
        if (g->dirty_first == NONE)
            g->dirty_first = index;
        else
            member_at(g, g->dirty_last)->dirty_next = index;
        g->dirty_last = index;
    }
    m->dirty |= (uint8_t)(dirty | DIRTY_QUEUED);
}

void table_conflict(struct sl_gossip *g, const struct sl_id *id)
{
    if (g->n_conflicts < SL_COUNT(g->conflicts))
        g->conflicts[g->n_conflicts++] = *id;
}

/* How long somebody who is down or left is remembered. */
static sl_usec kept_for(const struct sl_gossip *g, uint32_t index)
{
    if (member_at(g, index)->status == SL_LEFT)
        return SL_FORGET_LEFT;
    return who_at(g, index)->flags & SL_RECORD_LASTING ? SL_FORGET_LASTING : SL_FORGET_FLEETING;
}

void table_set_status(struct sl_gossip *g, uint32_t index, enum sl_status status)
{
    struct member *m = member_at(g, index);
    enum sl_status before = (enum sl_status)m->status;
    if (before == status)
        return;
    g->n_by_status[before]--;
    g->n_by_status[status]++;
    m->status = (uint8_t)status;
    if (before >= SL_DOWN || status >= SL_DOWN) { /* between alive and suspect the time since the return counts on */
        m->since = tenth_of(g, g->now) + 1;
        m->returned = before == SL_DOWN && status < SL_DOWN;
    }
    table_mark(g, index, DIRTY_STATUS);
    if (before == SL_LEFT) {
        g->n_ring++;
        ring_grew(g);
        tree_join(g, index);
    } else if (status == SL_LEFT) {
        g->n_ring--;
        tree_part(g, index);
        edges_drop_member(g, index);
    }
    if (status == SL_DOWN)
        g->stats.verdicts_down++;
    if (status >= SL_DOWN || before >= SL_DOWN) {
        verdict_moved(g, index, true);
        ring_changed(g);
        g->next_sweep = sl_earlier(g->next_sweep, sl_after(g->now, kept_for(g, index)));
    }
}

/* Room for the member with this number. It grows by an eighth: in a flock each node's table is nearly full. */
static int slot_reserve(struct sl_gossip *g, uint32_t index)
{
    size_t n = (size_t)index + 1;
    if (n > g->cap_slots) {
        size_t cap = n + n / 8 + 8;
        struct member *grown = mem(g)->resize(mem(g)->context, g->members, g->cap_slots * sizeof *grown,
                                              cap * sizeof *grown);
        if (!grown)
            return STARLING_ENOMEM;
        memset(grown + g->cap_slots, 0, (cap - g->cap_slots) * sizeof *grown);
        g->members = grown;
        g->cap_slots = cap;
    }
    g->n_slots = n > g->n_slots ? n : g->n_slots;
    return 0;
}

/* A member from its first record, whose reference it takes over. False when out of memory. */
static bool member_new(struct sl_gossip *g, struct sl_fact *record)
{
    uint32_t index = record->identity;
    /* A forgotten one whose last event is not told yet comes back with the next copy. */
    if (slot_reserve(g, index) < 0 || member_at(g, index)->gone)
        return false;
    struct member *m = member_at(g, index);
    memset(m, 0, sizeof *m);
    sl_pool_hold(g->pool, index);
    m->fact[SL_RECORD - 1] = record->number + 1;
    m->used = true;
    m->self = sl_id_eq(sl_fact_origin(record), &g->id);
    m->case_index = NONE;
    m->quota_left = SL_FACTS_BURST;
    m->sightings_left = SL_SIGHTINGS_BURST;
    m->status = SL_ALIVE;
    m->since = m->heard = tenth_of(g, g->now);
    g->n_members++;
    g->n_ring++;
    g->n_by_status[SL_ALIVE]++;
    verdict_moved(g, index, false);
    ring_grew(g);
    tree_join(g, index);
    table_mark(g, index, DIRTY_STATUS | DIRTY_RECORD);
    return true;
}

/* ---- graves ----------------------------------------------------------------------------- */

bool grave_holds(const struct sl_gossip *g, const struct sl_id *id, struct sl_version version)
{
    uint32_t index = sl_idmap_find(&g->by_grave, id);
    return index != SL_IDMAP_NONE && sl_version_cmp(version, g->graves[index].version) <= 0;
}

struct sl_fact *grave_goodbye(const struct sl_gossip *g, const struct sl_id *id)
{
    uint32_t index = sl_idmap_find(&g->by_grave, id);
    return index == SL_IDMAP_NONE ? NULL : g->graves[index].goodbye;
}

static void bury(struct sl_gossip *g, const struct sl_id *id, struct sl_version version, struct sl_fact *goodbye)
{
    uint32_t index = sl_idmap_find(&g->by_grave, id);
    if (goodbye)
        goodbye->refs++;
    if (index != SL_IDMAP_NONE) {
        sl_pool_unref(g->pool, g->graves[index].goodbye);
        g->graves[index].version = version;
        g->graves[index].goodbye = goodbye;
        return;
    }
    if (g->n_graves < SL_GRAVES_MAX) {
        if (sl_alloc_grow(mem(g), (void **)&g->graves, sizeof *g->graves, &g->cap_graves,
                          g->n_graves + 1) < 0) {
            sl_pool_unref(g->pool, goodbye);
            return; /* a grave less: at worst a stale replica is believed until it is accused again */
        }
        index = (uint32_t)g->n_graves++;
    } else {
        index = (uint32_t)sl_rand_below(&g->rand, g->n_graves);
        sl_idmap_remove(&g->by_grave, &g->graves[index].id);
        sl_pool_unref(g->pool, g->graves[index].goodbye);
    }
    g->graves[index] = (struct grave){.id = *id, .version = version, .goodbye = goodbye};
    if (sl_idmap_add(&g->by_grave, id, index) < 0) {
        sl_pool_unref(g->pool, goodbye);
        g->graves[index] = (struct grave){0};
    }
}

/* To who is there, and has been silent for longer than it is remembered: asleep, or behind a cut; or to who remembers
 * somebody whom we have forgotten. */
void grave_tell(struct sl_gossip *g, uint32_t conn, const struct sl_id *id)
{
    const struct grave *grave = &g->graves[sl_idmap_find(&g->by_grave, id)];
    uint8_t said[48];
    struct sl_pack w;
    sl_pack_init(&w, said, sizeof said);
    sl_pack_array(&w, 4);
    sl_pack_uint(&w, MSG_FORGOTTEN);
    sl_pack_bin(&w, id->b, SL_ID_LEN);
    sl_pack_uint(&w, grave->version.epoch);
    sl_pack_uint(&w, grave->version.seq);
    out_send(g, &g->conns[conn], said, w.len);
}

static void forget(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    bury(g, id_at(g, index), newest(g, m), m->status == SL_LEFT ? fact_of(g, m, SL_VITALS) : NULL);
    verdict_forget(g, index);
    edges_drop_member(g, index);
    spread_forget(g, index);
    tree_part(g, index);
    if (m->status != SL_LEFT) {
        g->n_ring--;
        verdict_moved(g, index, false);
        ring_changed(g);
    }
    g->n_by_status[m->status]--;
    g->n_members--;
    m->used = false;
    m->gone = true;
    table_mark(g, index, DIRTY_FORGOTTEN);
}

/* Who heard of a death later forgets it later, and until then compares the dead with everybody. Not sooner than after a
 * part of the time for which it is kept, or one liar could make all forget the other side of a cut at once. */
void grave_told(struct sl_gossip *g, const struct sl_id *id, struct sl_version version)
{
    uint32_t index = table_find(g, id);
    if (index == NONE || member_at(g, index)->status != SL_DOWN)
        return;
    const struct member *m = member_at(g, index);
    if (sl_version_cmp(newest(g, m), version) <= 0 && g->now - since_of(g, m) >= kept_for(g, index) / SL_FORGET_PART)
        forget(g, index);
}

/* Its certificate was revoked: it is nobody's watcher and nobody's accuser any more. */
void table_put_out(struct sl_gossip *g, uint32_t index)
{
    if (is_live(member_at(g, index)))
        table_set_status(g, index, SL_DOWN);
    forget(g, index);
}

void table_sweep(struct sl_gossip *g)
{
    if (g->now < g->next_sweep)
        return;
    g->next_sweep = SL_NEVER;
    if (g->n_by_status[SL_DOWN] + g->n_by_status[SL_LEFT] == 0)
        return;
    for (uint32_t i = 0; i < g->n_slots; i++) {
        struct member *m = member_at(g, i);
        if (!m->used || m->self || is_live(m))
            continue;
        sl_usec over = sl_after(since_of(g, m), kept_for(g, i));
        if (g->now >= over)
            forget(g, i);
        else /* many go together: a second more or less is nothing to them */
            g->next_sweep = sl_earlier(g->next_sweep, over > g->now + SL_SEC(1) ? over : g->now + SL_SEC(1));
    }
}

/* ---- merging ---------------------------------------------------------------------------- */

/* An origin may change its mind SL_FACTS_PER_SECOND times a second, with a burst. Long facts take more of it; so do
 * sightings beyond those that are passed on, and they leave enough for answers. How much was taken, 0 = there is too
 * little. */
static uint8_t quota_take(struct sl_gossip *g, struct member *m, uint8_t kind, size_t len)
{
    bool many = kind == SL_SIGHTINGS && spread_sightings_left(g, m) == 0;
    uint8_t takes = (uint8_t)(many ? SL_SIGHTINGS_TAKE : fact_price(len));
    uint16_t tenth = (uint16_t)tenth_of(g, g->now);
    uint16_t earned = (uint16_t)(tenth - m->quota_at); /* one a tenth of a second; forgets whole rounds of 109 min */
    m->quota_at = tenth;
    m->quota_left = (uint8_t)(earned > SL_FACTS_BURST - m->quota_left ? SL_FACTS_BURST : m->quota_left + earned);
    if (m->quota_left < takes + (many ? SL_SIGHTINGS_SPARE : 0))
        return 0;
    m->quota_left = (uint8_t)(m->quota_left - takes);
    return takes;
}

/* An origin that speaks with an older epoch than we hold of it had its clock set back. It will jump above what
 * it said before, if somebody tells it; and nobody else may, when it had left (simulator, setback). */
static void remind(struct sl_gossip *g, uint32_t index, uint32_t from)
{
    if (from == NONE || !sl_id_eq(&g->conns[from].id, id_at(g, index)))
        return;
    const struct member *m = member_at(g, index);
    uint32_t at = 0;
    for (const struct sl_fact *f; (f = fact_next(g, m, &at)) != NULL;) {
        if (f->version.epoch == newest(g, m).epoch)
            spread_push(g, index, f->kind, from);
    }
}

/* One more fact that is no news. Gossip brings what is news once over each link, and reconciliation a table that was
 * behind; whoever brings more repeats what it heard (simulator, liar, replay). */
static void is_no_news(struct sl_gossip *g, uint32_t from)
{
    g->stats.facts_old++;
    if (from == NONE)
        return;
    struct conn *c = &g->conns[from];
    int64_t burst = SL_REPEATS_BURST + 2 * (int64_t)g->tree->count[0];
    int64_t earned = (g->now - c->repeats_at) * SL_REPEATS_PER_SECOND / SL_SEC(1);
    if (earned > 0)
        c->repeats_at = g->now;
    c->repeats -= earned + (int64_t)(g->stats.facts_new - c->news_at);
    c->news_at = g->stats.facts_new;
    c->repeats = (c->repeats < -burst ? -burst : c->repeats) + 1;
    if (c->repeats > burst && g->now >= g->no_down_until) /* after a stall all of it comes at once */
        c->forged = SL_BAD_MAX;
}

/* Whether a fact with this header could be news. */
static bool may_be_new(struct sl_gossip *g, const struct sl_fact_header *h, struct sl_span bytes,
                       uint32_t index, uint32_t from)
{
    if (index == NONE) {
        if (h->kind != SL_RECORD) {
            g->stats.refused_unknown_origin++;
            return false;
        }
        if (grave_holds(g, &h->origin, h->version)) {
            struct sl_fact *goodbye = grave_goodbye(g, &h->origin);
            if (goodbye && from != NONE)
                spread_fact(g, goodbye, from);
            else if (from != NONE)
                grave_tell(g, from, &h->origin);
            is_no_news(g, from);
            return false;
        }
        if (g->n_members >= SL_MEMBERS_MAX) {
            g->stats.refused_quota++;
            return false;
        }
        return true;
    }
    const struct member *m = member_at(g, index);
    const struct sl_fact *held = fact_of_any(g, m, h->kind);
    if (held && bytes.len == held->len && memcmp(bytes.p, held->bytes, held->len) == 0) { /* most are copies */
        is_no_news(g, from);
        spread_seen(g, index, h->kind, from);
        return false;
    }
    uint64_t epoch = newest(g, m).epoch;
    int order = held ? sl_version_cmp(h->version, held->version) : 1;
    if (h->version.epoch < epoch || order < 0) {
        is_no_news(g, from);
        if (h->version.epoch < epoch)
            remind(g, index, from);
        else if (m->status == SL_LEFT && h->kind == SL_VITALS && from != NONE)
            spread_push(g, index, SL_VITALS, from);
        return false;
    }
    return true; /* or one version, two contents: the hash decides below */
}

/* The first fact of a newer epoch voids what the origin said before; the record alone stays until its
 * successor is here, for its key. */
static void epoch_advance(struct sl_gossip *g, uint32_t index, uint64_t epoch)
{
    struct member *m = member_at(g, index);
    for (uint8_t kind = SL_VITALS; kind <= SL_KINDS; kind++) {
        struct sl_fact *f = fact_of(g, m, (enum sl_kind)kind);
        if (!f || f->version.epoch >= epoch)
            continue;
        tree_fact(g, m, f, -1);
        m->fact[kind - 1] = 0;
        if (kind == SL_SIGHTINGS)
            verdict_sightings(g, index, f, NULL);
        sl_pool_unref(g->pool, f);
    }
    later_void(g, m, epoch);
}

static void after_vitals(struct sl_gossip *g, uint32_t index, const struct sl_fact *f)
{
    struct sl_vitals vitals;
    if (!sl_vitals_read(sl_fact_body(f), &vitals))
        return;
    if (vitals.state == SL_GONE)
        table_set_status(g, index, SL_LEFT);
    else if (member_at(g, index)->status == SL_LEFT)
        table_set_status(g, index, SL_ALIVE);
    table_mark(g, index, DIRTY_VITALS);
    verdict_reconsider(g, index);
}

/* Put a checked fact in its place; the reference is the table's now. False when there is no place. */
static bool install(struct sl_gossip *g, uint32_t index, struct sl_fact *f)
{
    struct member *m = member_at(g, index);
    if (f->version.epoch > newest(g, m).epoch) {
        epoch_advance(g, index, f->version.epoch);
        if (m->status == SL_LEFT)
            table_set_status(g, index, SL_ALIVE);
    }
    /* Only now: a newer epoch has let go of what was there (simulator, swarm, seed 6). */
    struct sl_fact *before = fact_of_any(g, m, f->kind);
    if (before != f) { /* not the record that made the member */
        uint32_t *place = fact_place(g, m, f->kind);
        if (!place) {
            g->stats.refused_quota++;
            sl_pool_unref(g->pool, f);
            return false;
        }
        tree_fact(g, m, before, -1);
        *place = f->number + 1;
        tree_fact(g, m, f, 1);
    }
    m->heard = tenth_of(g, g->now);
    switch ((enum sl_kind)f->kind) {
    case SL_RECORD:
        twins_look(g, index);
        if (before == f) {
            conns_attach(g, index);
            verdict_new_member(g, index);
        } else {
            table_mark(g, index, DIRTY_RECORD);
            renew_peer(g, index);
            verdict_moved(g, index, false); /* to another host or zone, perhaps */
            verdict_new_address(g, index);
            verdict_reconsider(g, index);
        }
        break;
    case SL_VITALS:
        after_vitals(g, index, f);
        break;
    case SL_SIGHTINGS:
        verdict_sightings(g, index, before, f);
        verdict_reconsider(g, index); /* it holds a newer version now */
        break;
    }
    if (before != f)
        sl_pool_unref(g->pool, before);
    watch_fresh_word(g, index);
    return true;
}

/* A fact whose signature is good, with a reference that is ours. */
static bool merge(struct sl_gossip *g, struct sl_fact *f)
{
    uint32_t index = f->identity;
    struct sl_fact *held = is_used(g, index) ? fact_of_any(g, member_at(g, index), f->kind) : NULL;
    if (held && sl_version_cmp(held->version, f->version) == 0) {
        table_conflict(g, sl_fact_origin(f));
        if (sl_fact_cmp(f, held) < 0) {
            sl_pool_unref(g->pool, f);
            return false;
        }
    }
    if (!is_used(g, index) && !member_new(g, f)) {
        sl_pool_unref(g->pool, f);
        return false;
    }
    if (!install(g, index, f))
        return false;
    g->stats.facts_new++;
    g->changed_at = g->now;
    return true;
}

/* One more of what is refused of a link: for how long all of it still counts. */
static sl_usec adds_up(const struct sl_gossip *g, sl_usec *until, sl_usec gap)
{
    *until = (*until > g->now ? *until : g->now) + gap;
    return *until - g->now;
}

/* Whether a fact that may be new is within what its origin, or of an origin that we do not know its bringer, may ask of
 * us. Who goes far beyond that with facts of its own is not talked with any longer (simulator, liar, flood). */
static bool may_look_at(struct sl_gossip *g, const struct sl_fact_header *h, size_t len, uint32_t index, uint32_t from,
                        uint8_t *ret_taken)
{
    struct conn *c = &g->conns[from];
    if ((index == NONE || h->kind == SL_RECORD) && c->strange - g->now > SL_STRANGE_MAX)
        return false;
    if (index == NONE)
        return true;
    *ret_taken = quota_take(g, member_at(g, index), h->kind, len);
    if (*ret_taken)
        return true;
    bool stalled = g->now < g->no_down_until; /* then what it said meanwhile comes at once */
    if (sl_id_eq(&h->origin, &c->id) && !stalled && adds_up(g, &c->excess, SL_EXCESS_GAP) > SL_EXCESS_MAX)
        c->forged = SL_BAD_MAX;
    return false;
}

/* Its origin said no such thing: the quota is for what it says. */
static void give_back(struct sl_gossip *g, uint32_t index, uint8_t taken)
{
    if (index != NONE)
        member_at(g, index)->quota_left = (uint8_t)(member_at(g, index)->quota_left + taken);
}

/* A peer checks what it passes on: who brings a fact with a wrong signature made it (simulator, liar). */
static void brought_forgery(struct sl_gossip *g, uint32_t from)
{
    g->stats.refused_signature++;
    g->conns[from].forged++;
}

/* Whether something said in our name, and newer than what we said, bears our signature. Before this was asked a header
 * alone made a node take a new epoch, and one near the end of all epochs silenced it for good (simulator, liar, jump). */
static bool is_signed(struct sl_gossip *g, struct sl_span bytes, uint32_t from)
{
    struct sl_fact *f = sl_pool_take(g->pool, bytes);
    if (!f) { /* out of memory, or our own record under an authority that is no longer ours */
        (void)adds_up(g, &g->conns[from].strange, SL_STRANGE_GAP);
        g->stats.refused_fact++;
        return false;
    }
    bool good = sl_pool_verify(g->pool, f, who_at(g, g->self)->key);
    sl_pool_unref(g->pool, f);
    g->stats.facts_verified++;
    if (!good)
        brought_forgery(g, from);
    return good;
}

bool table_merge(struct sl_gossip *g, struct sl_span bytes, uint32_t from)
{
    struct sl_fact_header h;
    if (!sl_fact_peek(bytes, &h)) {
        g->stats.refused_fact++;
        return false;
    }
    if (from != NONE && sl_id_eq(&h.origin, &g->id)) {
        if (clone_is_foreign(g, &h, bytes) && g->conns[from].strange - g->now <= SL_STRANGE_MAX &&
            is_signed(g, bytes, from))
            clone_met(g, &h);
        return false;
    }
    if (revoke_refuses(g, &h, NULL)) {
        g->stats.refused_revoked++;
        return false;
    }
    uint32_t index = table_find(g, &h.origin);
    if (!may_be_new(g, &h, bytes, index, from))
        return false;
    uint8_t taken = 0;
    if (from != NONE && !may_look_at(g, &h, bytes.len, index, from, &taken)) {
        g->stats.refused_quota++;
        return false;
    }
    struct sl_fact *f = sl_pool_take(g->pool, bytes);
    if (!f) {
        if (from != NONE)
            (void)adds_up(g, &g->conns[from].strange, SL_STRANGE_GAP);
        give_back(g, index, taken);
        g->stats.refused_fact++;
        return false;
    }
    if (revoke_refuses(g, &h, f)) {
        if (from != NONE) /* to find that out costs as much */
            (void)adds_up(g, &g->conns[from].strange, SL_STRANGE_GAP);
        give_back(g, index, taken);
        g->stats.refused_revoked++;
        sl_pool_unref(g->pool, f);
        return false;
    }
    const uint8_t *key = f->who ? f->who->key : who_at(g, index)->key;
    if (from != NONE) {
        g->stats.facts_verified++;
        if (!sl_pool_verify(g->pool, f, key)) {
            brought_forgery(g, from);
            give_back(g, index, taken);
            sl_pool_unref(g->pool, f);
            return false;
        }
    }
    index = f->identity;
    struct news news;
    spread_look(is_used(g, index) ? fact_of_any(g, member_at(g, index), h.kind) : NULL, f, &news);
    if (!merge(g, f))
        return false;
    spread_news(g, index, &news, from);
    return true;
}

void sl_gossip_restore(struct sl_gossip *g, sl_usec now, const struct sl_fact *fact)
{
    g->now = now > g->now ? now : g->now;
    struct sl_fact_header h = {.kind = fact->kind, .origin = *sl_fact_origin(fact), .version = fact->version};
    struct sl_fact *f = sl_pool_fact(g->pool, fact->number);
    uint32_t index = is_used(g, f->identity) ? f->identity : NONE;
    if (index == g->self || !may_be_new(g, &h, sl_span_of(f->bytes, f->len), index, NONE))
        return;
    f->refs++;
    (void)merge(g, f);
}

/* ---- events ----------------------------------------------------------------------------- */

static bool event_of(struct sl_gossip *g, uint32_t index, struct sl_event *ret)
{
    struct member *m = member_at(g, index);
    static const struct {
        unsigned dirty;
        enum sl_event_type type;
        unsigned kind; /* 0 = no fact */
    } order[] = {{DIRTY_STATUS, SL_EV_STATUS, 0},
                 {DIRTY_RECORD, SL_EV_RECORD, SL_RECORD},
                 {DIRTY_VITALS, SL_EV_VITALS, SL_VITALS},
                 {DIRTY_FORGOTTEN, SL_EV_FORGOTTEN, SL_RECORD}};
    for (size_t i = 0; i < SL_COUNT(order); i++) {
        if (!(m->dirty & order[i].dirty))
            continue;
        m->dirty &= (uint8_t)~order[i].dirty;
        struct sl_fact *f = order[i].kind ? fact_of(g, m, (enum sl_kind)order[i].kind) : NULL;
        if (order[i].kind && !f && order[i].type != SL_EV_FORGOTTEN)
            continue;
        *ret = (struct sl_event){.type = order[i].type, .id = *id_at(g, index), .status = (enum sl_status)m->status,
                                 .self = m->self, .fact = f};
        if (f)
            f->refs++;
        g->lent_fact = f;
        return true;
    }
    return false;
}

bool sl_gossip_next_event(struct sl_gossip *g, struct sl_event *ret)
{
    sl_pool_unref(g->pool, g->lent_fact);
    g->lent_fact = NULL;
    while (g->dirty_first != NONE) {
        uint32_t index = g->dirty_first;
        struct member *m = member_at(g, index);
        if (event_of(g, index, ret))
            return true;
        g->dirty_first = m->dirty_next;
        m->dirty = 0;
        if (m->gone)
            slot_release(g, index);
    }
    if (g->n_conflicts > 0) {
        *ret = (struct sl_event){.type = SL_EV_CONFLICT, .id = g->conflicts[--g->n_conflicts]};
        return true;
    }
    if (g->tell_stale) {
        g->tell_stale = false;
        *ret = (struct sl_event){.type = SL_EV_STALE, .id = g->id, .self = true,
                                 .status = g->isolated ? SL_DOWN : SL_ALIVE};
        return true;
    }
    if (g->tell_yielded) {
        g->tell_yielded = false;
        *ret = (struct sl_event){.type = SL_EV_YIELDED, .id = g->id, .self = true};
        return true;
    }
    if (g->tell_left) {
        g->tell_left = false;
        *ret = (struct sl_event){.type = SL_EV_LEFT, .id = g->id, .self = true};
        return true;
    }
    return false;
}
