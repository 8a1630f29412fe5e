/* gossip.c: the verbs. Each takes the time, does its part, and leaves what should happen in queues. */
#include "gossip/gossip.h"

#include <starling.h>

#include "base/pack.h"
#include "gossip/core.h"

/* ---- life ------------------------------------------------------------------------------- */

static int setup(struct sl_gossip *g)
{
    struct sl_cert cert;
    if (!sl_cert_check(g->ports.crypto, &g->config.bundle, g->config.cert, &cert))
        return STARLING_EAUTH;
    g->id = cert.id;
    g->not_after = cert.not_after;
    if (table_init(g) < 0 ||
        sl_alloc_grow(mem(g), (void **)&g->conns, sizeof *g->conns, &g->cap_conns, 4 * SL_RINGS) < 0)
        return STARLING_ENOMEM;
    link_init(g);
    join_init(g);
    int r = self_publish_record(g);
    if (r < 0)
        return r;
    g->self = table_find(g, &g->id);
    self_vitals_soon(g, g->now, false);
    self_tick(g);
    return fact_of(g, member_at(g, g->self), SL_VITALS) ? 0 : STARLING_ENOMEM;
}

int sl_gossip_new(const struct sl_gossip_config *config, const struct sl_ports *ports, sl_usec now,
                  struct sl_gossip **ret)
{
    struct sl_gossip *g = sl_alloc_zero(ports->alloc, sizeof *g);
    if (!g)
        return STARLING_ENOMEM;
    g->ports = *ports;
    g->config = *config;
    if (config->cert.len > sizeof g->cert) {
        sl_alloc_free(ports->alloc, g, sizeof *g);
        return STARLING_EAUTH;
    }
    memcpy(g->cert, config->cert.p, config->cert.len);
    g->config.cert.p = g->cert;
    sl_rand_seed(&g->rand, config->seed);
    g->now = g->started = now;
    g->due = g->spread_due = g->judge_moved_at = g->recheck_at = g->next_sweep = SL_NEVER;
    g->rings_due = g->rings_grew = SL_NEVER;
    g->record_due = g->vitals_due = g->sightings_due = g->answer_due = SL_NEVER;
    int r = setup(g);
    if (r < 0) {
        sl_gossip_free(g);
        return r;
    }
    *ret = g;
    return 0;
}

static void free_text(struct sl_gossip *g, struct sl_span *s)
{
    sl_alloc_free(mem(g), (void *)(uintptr_t)s->p, s->len);
    *s = sl_span_of(NULL, 0);
}

void sl_gossip_free(struct sl_gossip *g)
{
    if (!g)
        return;
    out_free(g);
    spread_fini(g);
    verdict_fini(g);
    if (g->pool)
        table_fini(g);
    free_text(g, &g->record_sections);
    free_text(g, &g->vitals_sections);
    sl_revoked_free(&g->revoked, mem(g));
    link_fini(g);
    join_fini(g);
    sl_alloc_free(mem(g), g->edges, g->cap_edges * sizeof *g->edges);
    sl_alloc_free(mem(g), g, sizeof *g);
}

/* ---- time ------------------------------------------------------------------------------- */

/* Every verb begins here. Whoever comes much later than he was asked to did not run meanwhile: then what is
 * overdue says nothing about others. */
static void enter(struct sl_gossip *g, sl_usec now)
{
    if (now < g->now)
        now = g->now;
    sl_usec lag = g->due == SL_NEVER ? 0 : now - g->due;
    g->now = now;
    if (lag < SL_STALL)
        return;
    g->due = SL_NEVER;
    g->stats.stalls++;
    sl_log(g->ports.log, SL_INFO, "this process did not run for %lld ms; deadlines shifted",
           (long long)(lag / 1000));
    for (size_t i = 0; i < g->n_conns; i++) {
        if (g->conns[i].link && (g->conns[i].stage != STAGE_PROVEN || g->conns[i].awaits_revoked))
            g->conns[i].deadline += lag;
    }
    watch_stall(g, lag);
}

static void leave_progress(struct sl_gossip *g)
{
    if (!g->leaving || g->left)
        return;
    bool anybody = false;
    for (size_t i = 0; i < g->n_conns && !anybody; i++)
        anybody = g->conns[i].link && g->conns[i].stage == STAGE_PROVEN;
    if (!anybody || g->leave_acks >= g->leave_needs) {
        g->left = true;
        g->tell_left = true;
    }
}

void sl_gossip_tick(struct sl_gossip *g, sl_usec now)
{
    enter(g, now);
    if (g->yielded) { /* what it last knew stays as it was */
        leave_progress(g);
        return;
    }
    link_tick(g);
    watch_tick(g);
    verdict_tick(g);
    self_tick(g);
    verdict_settle(g);
    spread_tick(g);
    twins_tick(g);
    table_sweep(g);
    leave_progress(g);
}

sl_usec sl_gossip_deadline(struct sl_gossip *g)
{
    sl_usec t = sl_earlier(link_deadline(g), watch_deadline(g));
    t = sl_earlier(t, sl_earlier(verdict_deadline(g), self_deadline(g)));
    t = sl_earlier(t, sl_earlier(g->spread_due, sl_earlier(g->next_sweep, twins_deadline(g))));
    if (g->yielded)
        t = SL_NEVER;
    g->due = t < g->now ? g->now : t;
    return g->due;
}

void sl_gossip_wall(struct sl_gossip *g, sl_usec wall_offset_us)
{
    g->config.wall_offset_us = wall_offset_us;
}

/* ---- in --------------------------------------------------------------------------------- */

bool sl_gossip_accept(struct sl_gossip *g, sl_usec now, sl_link link, const uint8_t c_d[SL_KEY_LEN])
{
    enter(g, now);
    return !g->yielded && link_accept(g, link, c_d);
}

void sl_gossip_link(struct sl_gossip *g, sl_usec now, sl_link link, enum sl_link_event event)
{
    enter(g, now);
    struct conn *c = link ? conn_find(g, link) : NULL;
    if (c)
        conn_gone(g, c, event == SL_LINK_REFUSED);
    else
        edge_probe_answer(g, link, event);
}

static void take_facts(struct sl_gossip *g, struct conn *c, struct sl_read *r, size_t n)
{
    uint32_t slot = (uint32_t)(c - g->conns);
    sl_link link = c->link;
    struct sl_id peer = c->id;
    for (size_t i = 0; i < n; i++) {
        struct sl_span bytes;
        if (!sl_read_bin(r, SL_RECORD_MAX, &bytes))
            return;
        table_merge(g, bytes, slot);
        if (g->conns[slot].forged >= SL_BAD_MAX)
            return;
    }
    uint32_t member = table_find(g, &peer);
    if (c->link != link || c->told_heard || member == NONE || member_at(g, member)->status != SL_LEFT)
        return;
    uint8_t heard[2];
    struct sl_pack w;
    sl_pack_init(&w, heard, sizeof heard);
    sl_pack_array(&w, 1);
    sl_pack_uint(&w, MSG_HEARD);
    out_send(g, c, heard, w.len);
    c->told_heard = true;
}

static void take_referral(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    struct sl_span names;
    if (!sl_read_bin(r, SL_REFER_MAX * (SL_ADDR_BYTES + 1), &names) || !c->ours)
        return;
    join_referred(g, names);
}

/* The peer has a grave for somebody; or for us, and we live: what we say from now on is newer. A version that we have
 * not come to yet is of another life, or a lie; and liars hear of us no more often than others. */
static void take_forgotten(struct sl_gossip *g, struct sl_read *r)
{
    struct sl_id id;
    struct sl_version v;
    if (!sl_read_fixed(r, id.b, SL_ID_LEN) || !sl_read_uint(r, UINT64_MAX, &v.epoch) || !sl_read_uint(r, UINT64_MAX, &v.seq))
        return;
    if (!sl_id_eq(&id, &g->id)) {
        grave_told(g, &id, v);
        return;
    }
    if (g->leaving || v.epoch != g->config.epoch || v.seq > g->seq ||
        (g->record_again_at && g->now - g->record_again_at < SL_AGAIN_GAP))
        return;
    g->record_again_at = g->now;
    (void)self_publish_record(g);
}

static void dispatch(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    size_t n;
    uint64_t type;
    if (!sl_read_array(r, SL_READ_NODES_MAX, &n) || n == 0 || !sl_read_uint(r, UINT32_MAX, &type)) {
        r->failed = true;
        return;
    }
    if (c->awaits_revoked && type != MSG_REVOKED && type != MSG_REFER)
        return; /* it was to say what was revoked first */
    switch (type) {
    case MSG_BEAT:
        watch_beat(g, c, r);
        break;
    case MSG_ECHO:
        watch_echo(g, c, r);
        break;
    case MSG_ACK:
        watch_ack(g, c, r);
        break;
    case MSG_FACTS:
        take_facts(g, c, r, n - 1);
        break;
    case MSG_TREE:
        sync_tree(g, c, r);
        break;
    case MSG_LIST:
        sync_list(g, c, r);
        break;
    case MSG_WANT:
        sync_want(g, c, r);
        break;
    case MSG_HEARD:
        g->leave_acks++;
        break;
    case MSG_REFER:
        take_referral(g, c, r);
        break;
    case MSG_REVOKED:
        revoke_receive(g, c, r);
        break;
    case MSG_FORGOTTEN:
        take_forgotten(g, r);
        break;
    default: /* of a later version: skipped */
        break;
    }
}

void sl_gossip_receive(struct sl_gossip *g, sl_usec now, sl_link link, const void *p, size_t len)
{
    enter(g, now);
    struct conn *c = conn_find(g, link);
    if (!c || link == 0)
        return;
    g->stats.messages_in++;
    g->stats.bytes_in += len;
    if (c->stage != STAGE_PROVEN) {
        conn_hello(g, c, sl_span_of(p, len));
        return;
    }
    struct sl_read r;
    sl_read_init(&r, p, len);
    dispatch(g, c, &r);
    verdict_settle(g);
    clone_settle(g);
    g->stats.refused_frame += r.failed;
    if (c->link != link) /* it ended meanwhile */
        return;
    c->bad += r.failed;
    if (c->forged >= SL_BAD_MAX)
        conn_expel(g, c);
    else if (c->bad >= SL_BAD_MAX)
        conn_break(g, c);
}

int sl_gossip_put(struct sl_gossip *g, sl_usec now, enum sl_kind kind, struct sl_span sections, bool urgent)
{
    enter(g, now);
    if (sections.len > sl_fact_max((uint8_t)kind) / 4 * 3) /* room for what surrounds it */
        return STARLING_ELIMIT;
    if (kind == 0 || kind == SL_SIGHTINGS)
        return STARLING_EINVAL;
    if (kind > SL_KINDS)
        return self_publish_later(g, (uint8_t)kind, sections);
    uint8_t *copy = sections.len ? sl_alloc_zero(mem(g), sections.len) : NULL;
    if (sections.len && !copy)
        return STARLING_ENOMEM;
    if (copy)
        memcpy(copy, sections.p, sections.len);
    struct sl_span *place = kind == SL_RECORD ? &g->record_sections : &g->vitals_sections;
    free_text(g, place);
    *place = sl_span_of(copy, sections.len);
    if (kind == SL_RECORD) {
        int r = self_publish_record(g);
        return r == STARLING_ENOMEM ? 0 : r; /* it is taken, and said later, as vitals are */
    }
    self_vitals_soon(g, g->now, urgent);
    self_tick(g);
    return 0;
}

void sl_gossip_leave(struct sl_gossip *g, sl_usec now)
{
    enter(g, now);
    if (g->leaving)
        return;
    size_t n = 0;
    for (size_t i = 0; i < g->n_edges; i++)
        n += g->edges[i].conn != NONE && is_live(member_at(g, g->edges[i].member));
    g->leaving = true;
    g->leave_needs = (unsigned)(n < SL_LEAVE_ACKS ? n : SL_LEAVE_ACKS);
    g->state = SL_GONE;
    self_vitals_soon(g, g->now, true);
    self_tick(g);
    g->spread_due = g->now; /* no company to wait for */
    for (uint32_t i = 0; i < g->n_conns; i++) {
        if (g->conns[i].link && g->conns[i].stage == STAGE_PROVEN)
            spread_push(g, g->self, SL_VITALS, i);
    }
    for (size_t i = 0; i < g->n_waiting; i++)
        g->waiting[i].due = g->now;
    spread_tick(g);
    leave_progress(g);
}

/* ---- looking inside --------------------------------------------------------------------- */

size_t sl_gossip_n_members(const struct sl_gossip *g)
{
    return g->n_slots;
}

bool sl_gossip_member(const struct sl_gossip *g, size_t index, struct sl_member_info *ret)
{
    if (index >= g->n_slots || !g->members[index].used)
        return false;
    const struct member *m = &g->members[index];
    bool neighbour = false;
    for (size_t i = 0; i < g->n_edges && !neighbour; i++)
        neighbour = g->edges[i].member == index && g->edges[i].conn != NONE;
    *ret = (struct sl_member_info){.id = *id_at(g, (uint32_t)index), .status = (enum sl_status)m->status,
                                   .self = m->self, .neighbour = neighbour,
                                   .heard_us = m->self ? SL_NEVER : g->started + m->heard * SL_MS(100),
                                   .version = newest(g, m), .record = fact_of(g, m, SL_RECORD),
                                   .vitals = fact_of(g, m, SL_VITALS)};
    return true;
}

bool sl_gossip_find(const struct sl_gossip *g, const struct sl_id *id, struct sl_member_info *ret)
{
    uint32_t index = table_find(g, id);
    return index != NONE && sl_gossip_member(g, index, ret);
}

void sl_gossip_info(const struct sl_gossip *g, struct sl_gossip_info *ret)
{
    size_t n_links = 0, n_edges = 0;
    for (size_t i = 0; i < g->n_conns; i++)
        n_links += g->conns[i].link != 0;
    for (size_t i = 0; i < g->n_edges; i++)
        n_edges += g->edges[i].conn != NONE;
    *ret = (struct sl_gossip_info){.id = g->id, .version = {g->config.epoch, g->seq}, .root = g->tree->sum[0],
                                   .n_members = g->n_members,
                                   .n_alive = g->n_by_status[SL_ALIVE] + g->n_by_status[SL_SUSPECT],
                                   .n_edges = n_edges, .n_links = n_links, .n_facts = g->tree->count[0],
                                   .isolated = g->isolated, .yielded = g->yielded, .stats = g->stats};
}
