/* table.c: members and their facts. Merging is "the newer version wins", so it commutes, associates and is
 * idempotent; nothing it looks at differs between nodes (no clock, no configuration), or the flock would never
 * agree on what there is. The reconciliation tree is kept beside it (PROTOCOL.md, "Reconciling"). */
#include <starling.h>

#include "base/bytes.h"
#include "gossip/core.h"

/* ---- the tree --------------------------------------------------------------------------- */

uint32_t tree_node(unsigned depth, uint32_t prefix)
{
    static const uint32_t first[] = {0, 1, 17, 273};
    return first[depth] + prefix;
}

static uint32_t leaf_of(const struct member *m)
{
    return (uint32_t)(who(m)->place >> 52);
}

static uint64_t entry_hash(const struct sl_gossip *g, const struct sl_fact *f)
{
    uint8_t text[SL_ID_LEN + 1 + 8 + 8 + 8];
    memcpy(text, f->origin.b, SL_ID_LEN);
    text[16] = f->kind;
    sl_put64(text + 17, f->version.epoch);
    sl_put64(text + 25, f->version.seq);
    memcpy(text + 33, f->hash, 8);
    return sl_siphash(g->config.bundle.flock, text, sizeof text);
}

static void tree_count(struct sl_gossip *g, uint32_t leaf, uint64_t hash, int sign)
{
    for (unsigned depth = 0; depth <= TREE_DEPTH; depth++) {
        uint32_t node = tree_node(depth, leaf >> (4 * (TREE_DEPTH - depth)));
        g->tree->sum[node] += sign > 0 ? hash : 0 - hash;
        g->tree->count[node] += (uint32_t)sign;
    }
}

static void tree_fact(struct sl_gossip *g, const struct member *m, const struct sl_fact *f, int sign)
{
    if (f && m->in_tree)
        tree_count(g, leaf_of(m), entry_hash(g, f), sign);
}

static void tree_join(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    if (m->in_tree)
        return;
    uint32_t leaf = leaf_of(m);
    m->in_tree = true;
    m->leaf_next = g->tree->leaf[leaf];
    g->tree->leaf[leaf] = index + 1;
    for (size_t k = 0; k < SL_KINDS; k++)
        tree_fact(g, m, m->fact[k], 1);
}

/* Who left is no longer part of what nodes compare: the forgetting that follows happens at slightly
 * different times everywhere and must not look like a difference. */
static void tree_part(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    if (!m->in_tree)
        return;
    for (size_t k = 0; k < SL_KINDS; k++)
        tree_fact(g, m, m->fact[k], -1);
    uint32_t *at = &g->tree->leaf[leaf_of(m)];
    while (*at != index + 1)
        at = &g->members[*at - 1].leaf_next;
    *at = m->leaf_next;
    m->in_tree = false;
}

/* ---- members ---------------------------------------------------------------------------- */

static const struct sl_id *id_by_index(void *context, uint32_t index)
{
    return id_of(member_at((struct sl_gossip *)context, index));
}

static const struct sl_id *grave_by_index(void *context, uint32_t index)
{
    return &((struct sl_gossip *)context)->graves[index].id;
}

int table_init(struct sl_gossip *g)
{
    uint8_t key[16];
    sl_put64(key, sl_rand_u64(&g->rand));
    sl_put64(key + 8, sl_rand_u64(&g->rand));
    sl_idmap_init(&g->by_id, mem(g), key, id_by_index, g);
    sl_idmap_init(&g->by_grave, mem(g), key, grave_by_index, g);
    g->tree = sl_alloc_zero(mem(g), sizeof *g->tree);
    return g->tree ? 0 : STARLING_ENOMEM;
}

void table_fini(struct sl_gossip *g)
{
    for (size_t i = 0; i < g->n_slots; i++) {
        for (size_t k = 0; k < SL_KINDS; k++)
            sl_fact_unref(mem(g), g->members[i].fact[k]);
    }
    sl_fact_unref(mem(g), g->lent_fact);
    sl_alloc_free(mem(g), g->members, g->cap_slots * sizeof *g->members);
    sl_alloc_free(mem(g), g->free_slots, g->cap_free * sizeof *g->free_slots);
    sl_alloc_free(mem(g), g->dirty, g->cap_dirty * sizeof *g->dirty);
    sl_alloc_free(mem(g), g->graves, g->cap_graves * sizeof *g->graves);
    for (size_t r = 0; r < SL_RINGS; r++)
        sl_alloc_free(mem(g), g->ring[r], g->cap_ring[r] * sizeof *g->ring[r]);
    sl_alloc_free(mem(g), g->tree, sizeof *g->tree);
    sl_idmap_fini(&g->by_id);
    sl_idmap_fini(&g->by_grave);
}

uint32_t table_find(const struct sl_gossip *g, const struct sl_id *id)
{
    return sl_idmap_find(&g->by_id, id);
}

struct sl_version newest(const struct member *m)
{
    struct sl_version v = {0, 0};
    for (size_t k = 0; k < SL_KINDS; k++) {
        if (m->fact[k] && sl_version_cmp(m->fact[k]->version, v) > 0)
            v = m->fact[k]->version;
    }
    return v;
}

void table_mark(struct sl_gossip *g, uint32_t index, unsigned dirty)
{
    struct member *m = member_at(g, index);
    if (!(m->dirty & DIRTY_QUEUED)) {
        /* Room for every slot was reserved when the slot was made. */
        g->dirty[(g->dirty_head + g->n_dirty++) % g->cap_dirty] = index;
    }
    m->dirty |= (uint8_t)(dirty | DIRTY_QUEUED);
}

void table_conflict(struct sl_gossip *g, const struct sl_id *id)
{
    if (g->n_conflicts < SL_COUNT(g->conflicts))
        g->conflicts[g->n_conflicts++] = *id;
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
    m->since = g->now;
    m->returned = before == SL_DOWN && status < SL_DOWN;
    table_mark(g, index, DIRTY_STATUS);
    if (before == SL_LEFT) {
        ring_add(g, index);
        tree_join(g, index);
    } else if (status == SL_LEFT) {
        ring_remove(g, index);
        tree_part(g, index);
        edges_drop_member(g, index);
    }
    if (status == SL_DOWN)
        g->stats.verdicts_down++;
    if (status >= SL_DOWN || before >= SL_DOWN) {
        verdict_reopen(g);
        ring_changed(g);
        g->next_sweep = sl_earlier(g->next_sweep, sl_after(g->now, SL_SWEEP));
    }
}

/* A free slot with all that its member may need reserved, or NONE. */
static uint32_t slot_take(struct sl_gossip *g)
{
    if (g->n_free > 0)
        return g->free_slots[--g->n_free];
    size_t n = g->n_slots + 1;
    if (ring_reserve(g, n) < 0 ||
        sl_alloc_grow(mem(g), (void **)&g->free_slots, sizeof *g->free_slots, &g->cap_free, n) < 0)
        return NONE;
    if (n > g->cap_dirty) { /* a ring: unroll it before it grows */
        size_t cap = 0;
        uint32_t *grown = NULL;
        if (sl_alloc_grow(mem(g), (void **)&grown, sizeof *grown, &cap, 2 * n) < 0)
            return NONE;
        for (size_t i = 0; i < g->n_dirty; i++)
            grown[i] = g->dirty[(g->dirty_head + i) % g->cap_dirty];
        sl_alloc_free(mem(g), g->dirty, g->cap_dirty * sizeof *g->dirty);
        g->dirty = grown;
        g->dirty_head = 0;
        g->cap_dirty = cap;
    }
    if (sl_alloc_grow(mem(g), (void **)&g->members, sizeof *g->members, &g->cap_slots, n) < 0)
        return NONE;
    return (uint32_t)g->n_slots++;
}

static void slot_release(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    for (size_t k = 0; k < SL_KINDS; k++)
        sl_fact_unref(mem(g), m->fact[k]);
    memset(m, 0, sizeof *m);
    g->free_slots[g->n_free++] = index;
}

/* A member from its first record. NONE when out of memory; then `record` is still the caller's. */
static uint32_t member_new(struct sl_gossip *g, struct sl_fact *record)
{
    uint32_t index = slot_take(g);
    if (index == NONE)
        return NONE;
    struct member *m = member_at(g, index);
    memset(m, 0, sizeof *m);
    m->fact[SL_RECORD - 1] = record;
    if (sl_idmap_add(&g->by_id, &record->origin, index) < 0) {
        m->fact[SL_RECORD - 1] = NULL;
        g->free_slots[g->n_free++] = index;
        return NONE;
    }
    m->used = true;
    m->self = sl_id_eq(&record->origin, &g->id);
    m->epoch = record->version.epoch;
    m->case_index = NONE;
    m->quota_left = SL_FACTS_BURST;
    m->status = SL_ALIVE;
    m->since = g->now;
    m->heard = g->now;
    g->n_members++;
    g->n_by_status[SL_ALIVE]++;
    ring_add(g, index);
    tree_join(g, index);
    table_mark(g, index, DIRTY_STATUS | DIRTY_RECORD);
    return index;
}

/* ---- graves ----------------------------------------------------------------------------- */

bool grave_holds(const struct sl_gossip *g, const struct sl_id *id, struct sl_version version)
{
    uint32_t index = sl_idmap_find(&g->by_grave, id);
    return index != SL_IDMAP_NONE && sl_version_cmp(version, g->graves[index].version) <= 0;
}

static void bury(struct sl_gossip *g, const struct sl_id *id, struct sl_version version)
{
    uint32_t index = sl_idmap_find(&g->by_grave, id);
    if (index != SL_IDMAP_NONE) {
        g->graves[index].version = version;
        return;
    }
    if (g->n_graves < SL_GRAVES_MAX) {
        if (sl_alloc_grow(mem(g), (void **)&g->graves, sizeof *g->graves, &g->cap_graves,
                          g->n_graves + 1) < 0)
            return; /* a grave less: at worst a stale replica is believed until it is accused again */
        index = (uint32_t)g->n_graves++;
    } else {
        index = (uint32_t)sl_rand_below(&g->rand, g->n_graves);
        sl_idmap_remove(&g->by_grave, &g->graves[index].id);
    }
    g->graves[index].id = *id;
    g->graves[index].version = version;
    if (sl_idmap_add(&g->by_grave, id, index) < 0)
        memset(&g->graves[index], 0, sizeof g->graves[index]);
}

static void forget(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    bury(g, id_of(m), newest(m));
    verdict_forget(g, index);
    edges_drop_member(g, index);
    spread_forget(g, index);
    tree_part(g, index);
    if (m->status != SL_LEFT)
        ring_remove(g, index);
    sl_idmap_remove(&g->by_id, id_of(m));
    g->n_by_status[m->status]--;
    g->n_members--;
    m->used = false;
    m->gone = true;
    table_mark(g, index, DIRTY_FORGOTTEN);
}

void table_sweep(struct sl_gossip *g)
{
    if (g->now < g->next_sweep)
        return;
    bool any = g->n_by_status[SL_DOWN] + g->n_by_status[SL_LEFT] > 0;
    g->next_sweep = any ? sl_after(g->now, SL_SWEEP) : SL_NEVER;
    for (uint32_t i = 0; any && i < g->n_slots; i++) {
        struct member *m = member_at(g, i);
        if (!m->used || m->self || is_live(m))
            continue;
        sl_usec keep = m->status == SL_LEFT                   ? SL_FORGET_LEFT
                       : who(m)->flags & SL_RECORD_LASTING ? SL_FORGET_LASTING
                                                              : SL_FORGET_FLEETING;
        if (g->now - m->since >= keep)
            forget(g, i);
    }
}

/* ---- merging ---------------------------------------------------------------------------- */

/* An origin may change its mind SL_FACTS_PER_SECOND times a second, with a burst. */
static bool within_quota(struct sl_gossip *g, struct member *m)
{
    uint32_t tenth = (uint32_t)(g->now / SL_MS(100));
    uint32_t earned = tenth - m->quota_at; /* one a tenth of a second */
    m->quota_at = tenth;
    m->quota_left = (uint8_t)(earned > (uint32_t)(SL_FACTS_BURST - m->quota_left) ? SL_FACTS_BURST
                                                                                 : m->quota_left + earned);
    if (m->quota_left == 0)
        return false;
    m->quota_left--;
    return true;
}

/* An origin that speaks with an older epoch than we hold of it had its clock set back. It will jump above what
 * it said before, if somebody tells it; and nobody else may, when it had left (simulator, setback). */
static void remind(struct sl_gossip *g, uint32_t index, uint32_t from)
{
    if (from == NONE || !sl_id_eq(&g->conns[from].id, id_of(member_at(g, index))))
        return;
    for (size_t k = 0; k < SL_KINDS; k++) {
        struct sl_fact *f = member_at(g, index)->fact[k];
        if (f && f->version.epoch == member_at(g, index)->epoch)
            spread_push(g, index, (enum sl_kind)(k + 1), from);
    }
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
            g->stats.facts_old++;
            return false;
        }
        if (g->n_members >= SL_MEMBERS_MAX) {
            g->stats.refused_quota++;
            return false;
        }
        return true;
    }
    const struct member *m = member_at(g, index);
    const struct sl_fact *held = fact_of(m, (enum sl_kind)h->kind);
    int order = held ? sl_version_cmp(h->version, held->version) : 1;
    if (h->version.epoch < m->epoch || order < 0) {
        g->stats.facts_old++;
        if (h->version.epoch < m->epoch)
            remind(g, index, from);
        return false;
    }
    if (order > 0)
        return true;
    if (bytes.len == held->len && memcmp(bytes.p, held->bytes, held->len) == 0) {
        g->stats.facts_old++;
        spread_seen(g, index, (enum sl_kind)h->kind, from);
        return false;
    }
    return true; /* one version, two contents: the hash decides below */
}

/* The first fact of a newer epoch voids what the origin said before; the record alone stays until its
 * successor is here, for its key. */
static void epoch_advance(struct sl_gossip *g, uint32_t index, uint64_t epoch)
{
    struct member *m = member_at(g, index);
    m->epoch = epoch;
    for (size_t k = SL_VITALS - 1; k < SL_KINDS; k++) {
        struct sl_fact *f = m->fact[k];
        if (!f || f->version.epoch >= epoch)
            continue;
        tree_fact(g, m, f, -1);
        m->fact[k] = NULL;
        if (f->kind == SL_SIGHTINGS)
            verdict_sightings(g, index, f, NULL);
        sl_fact_unref(mem(g), f);
    }
}

static bool names_refused(const struct sl_fact *f)
{
    struct sl_sighting entries[SL_SIGHTING_ENTRIES_MAX];
    size_t n = 0;
    if (!sl_sightings_read(sl_fact_body(f), entries, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].how == SL_REFUSED)
            return true;
    }
    return false;
}

/* How long it may wait for company on its way to the neighbours. */
static sl_usec spread_delay(struct sl_gossip *g, const struct sl_fact *f)
{
    struct sl_vitals vitals;
    switch ((enum sl_kind)f->kind) {
    case SL_SIGHTINGS:
        return names_refused(f) ? SL_SPREAD_REFUSED : SL_SPREAD_URGENT;
    case SL_VITALS:
        if (sl_vitals_read(sl_fact_body(f), &vitals) && (vitals.urgent || vitals.state == SL_GONE))
            return SL_SPREAD_URGENT;
        break;
    case SL_RECORD:
        break;
    }
    return sl_rand_span(&g->rand, SL_SPREAD_LOW, SL_SPREAD_HIGH);
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
    verdict_judge(g, index);
}

/* Put a checked fact in its place. */
static void install(struct sl_gossip *g, uint32_t index, struct sl_fact *f, uint32_t from)
{
    struct member *m = member_at(g, index);
    if (f->version.epoch > m->epoch) {
        epoch_advance(g, index, f->version.epoch);
        if (m->status == SL_LEFT)
            table_set_status(g, index, SL_ALIVE);
    }
    /* Only now: a newer epoch has let go of what was there (simulator, swarm, seed 6). */
    struct sl_fact *before = m->fact[f->kind - 1];
    if (before != f) { /* not the record that made the member */
        tree_fact(g, m, before, -1);
        m->fact[f->kind - 1] = f;
        tree_fact(g, m, f, 1);
    }
    m->heard = g->now;
    spread_news(g, index, (enum sl_kind)f->kind, spread_delay(g, f), from);
    switch ((enum sl_kind)f->kind) {
    case SL_RECORD:
        if (before == f) {
            conns_attach(g, index);
            verdict_new_member(g, index);
        } else {
            table_mark(g, index, DIRTY_RECORD);
            verdict_new_address(g, index);
            verdict_judge(g, index);
        }
        break;
    case SL_VITALS:
        after_vitals(g, index, f);
        break;
    case SL_SIGHTINGS:
        verdict_sightings(g, index, before, f);
        verdict_judge(g, index); /* it holds a newer version now */
        break;
    }
    if (before != f)
        sl_fact_unref(mem(g), before);
    watch_fresh_word(g, index);
}

bool table_merge(struct sl_gossip *g, struct sl_span bytes, uint32_t from)
{
    struct sl_fact_header h;
    if (!sl_fact_peek(bytes, &h)) {
        g->stats.refused_fact++;
        return false;
    }
    if (from != NONE && sl_id_eq(&h.origin, &g->id)) {
        self_foreign(g, &h);
        return false;
    }
    uint32_t index = table_find(g, &h.origin);
    if (!may_be_new(g, &h, bytes, index, from))
        return false;
    if (index != NONE && from != NONE && !within_quota(g, member_at(g, index))) {
        g->stats.refused_quota++;
        return false;
    }
    struct sl_fact *f = sl_fact_new(mem(g), g->ports.crypto, &g->config.bundle, bytes);
    if (!f) {
        g->stats.refused_fact++;
        return false;
    }
    const uint8_t *key = f->who ? f->who->key : who(member_at(g, index))->key;
    if (from != NONE) {
        g->stats.facts_verified++;
        if (!sl_fact_verify(f, g->ports.crypto, &g->config.bundle, key)) {
            g->stats.refused_signature++;
            sl_fact_unref(mem(g), f);
            return false;
        }
    }
    struct sl_fact *held = index == NONE ? NULL : fact_of(member_at(g, index), (enum sl_kind)h.kind);
    if (held && sl_version_cmp(held->version, f->version) == 0) {
        table_conflict(g, &f->origin);
        if (sl_fact_cmp(f, held) < 0) {
            sl_fact_unref(mem(g), f);
            return false;
        }
    }
    if (index == NONE && (index = member_new(g, f)) == NONE) {
        sl_fact_unref(mem(g), f);
        return false;
    }
    g->stats.facts_new++;
    g->changed_at = g->now;
    install(g, index, f, from);
    return true;
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
                 {DIRTY_FORGOTTEN, SL_EV_FORGOTTEN, 0}};
    for (size_t i = 0; i < SL_COUNT(order); i++) {
        if (!(m->dirty & order[i].dirty))
            continue;
        m->dirty &= (uint8_t)~order[i].dirty;
        struct sl_fact *f = order[i].kind ? m->fact[order[i].kind - 1] : NULL;
        if (order[i].kind && !f)
            continue;
        *ret = (struct sl_event){.type = order[i].type, .id = *id_of(m), .status = (enum sl_status)m->status,
                                 .self = m->self, .fact = f};
        g->lent_fact = f ? sl_fact_ref(f) : NULL;
        return true;
    }
    m->dirty = 0;
    if (m->gone)
        slot_release(g, index);
    return false;
}

bool sl_gossip_next_event(struct sl_gossip *g, struct sl_event *ret)
{
    sl_fact_unref(mem(g), g->lent_fact);
    g->lent_fact = NULL;
    while (g->n_dirty > 0) {
        if (event_of(g, g->dirty[g->dirty_head], ret))
            return true;
        g->dirty_head = (g->dirty_head + 1) % g->cap_dirty;
        g->n_dirty--;
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
    if (g->tell_left) {
        g->tell_left = false;
        *ret = (struct sl_event){.type = SL_EV_LEFT, .id = g->id, .self = true};
        return true;
    }
    return false;
}
