/* link.c: connections, from the first message to the last (PROTOCOL.md, "A link"). Whom to dial is decided by the
 * rings (watch.c) and by who wants to meet (join.c). */
#include <starling.h>

#include "base/pack.h"
#include "gossip/core.h"

bool tokens_take(int64_t *tokens, sl_usec *at, sl_usec now, int64_t per_second, int64_t burst, int64_t n)
{
    int64_t earned = (now - *at) / (SL_SEC(1) / per_second);
    if (earned > 0) {
        *tokens = *tokens + earned > burst ? burst : *tokens + earned;
        *at = now;
    }
    if (*tokens < n)
        return false;
    *tokens -= n;
    return true;
}

void link_init(struct sl_gossip *g)
{
    g->next_link = 1;
    g->dial_tokens = SL_EDGES_BURST;
    g->admit_tokens = SL_ADMIT_PER_SECOND;
    g->guest_tokens = SL_EDGES_BURST;
    g->dial_tokens_at = g->admit_tokens_at = g->guest_tokens_at = g->now;
    g->next_review = SL_NEVER;
    g->warn_refusals_at = g->now;
}

struct conn *conn_find(struct sl_gossip *g, sl_link link)
{
    for (size_t i = 0; i < g->n_conns; i++) {
        if (g->conns[i].link == link)
            return &g->conns[i];
    }
    return NULL;
}

static int64_t wall_s(const struct sl_gossip *g)
{
    return (g->now + g->config.wall_offset_us) / SL_SEC(1);
}

/* Our own certificate has ended: nobody whose own is good lets us in, and those like us have each other. */
static bool has_ended(const struct sl_gossip *g)
{
    return wall_s(g) > g->not_after;
}

static struct sl_hello hello_of(const struct sl_gossip *g)
{
    return (struct sl_hello){.crypto = g->ports.crypto, .bundle = &g->config.bundle, .cert = g->config.cert,
                             .id = g->id, .revoked = &g->revoked, .wall_s = wall_s(g), .ended = has_ended(g)};
}

static struct conn *conn_new(struct sl_gossip *g, sl_link link, enum stage stage, sl_usec deadline)
{
    size_t i = 0;
    while (i < g->n_conns && g->conns[i].link)
        i++;
    if (i == SL_LINKS_MAX)
        return NULL;
    if (sl_alloc_grow(mem(g), (void **)&g->conns, sizeof *g->conns, &g->cap_conns, i + 1) < 0)
        return NULL;
    if (i == g->n_conns)
        g->n_conns++;
    struct conn *c = &g->conns[i];
    memset(c, 0, sizeof *c);
    c->link = link;
    c->stage = stage;
    c->member = NONE;
    c->deadline = g->now + deadline;
    c->retire_at = SL_NEVER;
    c->tokens = SL_EDGE_BYTES_BURST;
    c->tokens_at = c->repeats_at = c->sync_at = g->now;
    c->news_at = g->stats.facts_new;
    c->sync_tokens = SL_SYNC_BYTES_BURST;
    return c;
}

static void drop_m1(struct sl_gossip *g, struct conn *c)
{
    sl_alloc_free(mem(g), c->m1, c->m1_len);
    c->m1 = NULL;
    c->m1_len = 0;
}

void link_fini(struct sl_gossip *g)
{
    for (size_t i = 0; i < g->n_conns; i++)
        drop_m1(g, &g->conns[i]);
    sl_alloc_free(mem(g), g->conns, g->cap_conns * sizeof *g->conns);
}

static void conn_free(struct sl_gossip *g, struct conn *c)
{
    uint32_t slot = (uint32_t)(c - g->conns);
    struct edge *e = c->member == NONE ? NULL : edge_of(g, c->member);
    if (e && e->conn == slot) {
        e->conn = NONE;
        e->working = false;
    }
    spread_conn_gone(g, slot);
    drop_m1(g, c);
    memset(c, 0, sizeof *c);
    while (g->n_conns > 0 && g->conns[g->n_conns - 1].link == 0)
        g->n_conns--;
}

void conn_cut(struct sl_gossip *g, struct conn *c, enum sl_reason reason)
{
    if (reason) {
        uint8_t m3[2] = {SL_M3, (uint8_t)reason};
        out_send(g, c, m3, sizeof m3);
    }
    out_simple(g, SL_OUT_CUT, c->link, NULL);
    conn_free(g, c);
}

/* ---- dialling and the hello ------------------------------------------------------------- */

static void draw_nonce(struct sl_gossip *g, uint8_t nonce[SL_NONCE_LEN])
{
    for (size_t i = 0; i < SL_NONCE_LEN; i += 8) {
        uint64_t x = sl_rand_u64(&g->rand); /* fresh, not secret */
        memcpy(nonce + i, &x, 8);
    }
}

static bool is_foul(const struct sl_gossip *g, const struct sl_id *id)
{
    for (size_t i = 0; i < SL_FOULS_MAX; i++) {
        if (g->now < g->fouls[i].until && sl_id_eq(&g->fouls[i].id, id))
            return true;
    }
    return false;
}

void conn_break(struct sl_gossip *g, struct conn *c)
{
    sl_log(g->ports.log, SL_WARNING, "a peer sent %u messages that cannot be read; its link is cut", c->bad);
    out_simple(g, SL_OUT_CUT, c->link, NULL);
    conn_gone(g, c, false);
}

/* It dialled with a CURVE key that is proven to be its own, and dials with it again. What its record says of that key proves
 * nothing: it could name somebody else's. */
void conn_bar(struct sl_gossip *g, const struct conn *c)
{
    if (!c->ours)
        out_simple(g, SL_OUT_BAR, c->link, NULL);
}

void conn_expel(struct sl_gossip *g, struct conn *c)
{
    sl_log(g->ports.log, SL_WARNING, "a member forges facts or floods us; its link is cut, for %lld s",
           (long long)(SL_FOUL_HOLD / SL_SEC(1)));
    g->fouls[g->next_foul] = (struct foul){c->id, g->now + SL_FOUL_HOLD};
    g->next_foul = (g->next_foul + 1) % SL_FOULS_MAX;
    conn_bar(g, c);
    out_simple(g, SL_OUT_CUT, c->link, NULL);
    conn_gone(g, c, false);
}

static size_t n_links(const struct sl_gossip *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_conns; i++)
        n += g->conns[i].link != 0;
    return n;
}

struct conn *conn_dial(struct sl_gossip *g, const struct sl_addr *addr, const struct sl_id *want)
{
    if ((want && is_foul(g, want)) || n_links(g) >= SL_LINKS_DIAL_MAX)
        return NULL;
    for (size_t i = 0; i < g->n_conns; i++) {
        const struct conn *c = &g->conns[i];
        if (c->link && c->stage == STAGE_DIALLED && sl_addr_eq(&c->addr, addr))
            return NULL; /* one dial to an address at a time */
    }
    struct conn *c = sl_addr_eq(addr, &g->config.addr) ? NULL
                                                       : conn_new(g, g->next_link, STAGE_DIALLED, SL_HELLO_TIMEOUT);
    if (!c)
        return NULL;
    uint8_t nonce[SL_NONCE_LEN], m1[SL_M1_MAX];
    struct sl_hello h = hello_of(g);
    draw_nonce(g, nonce);
    size_t len = sl_hello_dial(&h, g->config.c_d, nonce, want, m1);
    c->m1 = sl_alloc_zero(mem(g), len);
    if (!c->m1) {
        conn_free(g, c);
        return NULL;
    }
    memcpy(c->m1, m1, len);
    c->m1_len = len;
    g->next_link += 2;
    c->ours = true;
    c->addr = *addr;
    c->wants = want != NULL;
    if (want)
        c->id = *want;
    memcpy(c->c_d, g->config.c_d, SL_KEY_LEN);
    out_simple(g, SL_OUT_DIAL, c->link, addr);
    out_send(g, c, c->m1, c->m1_len);
    g->stats.dials++;
    return c;
}

bool link_accept(struct sl_gossip *g, sl_link link, const uint8_t c_d[SL_KEY_LEN])
{
    struct conn *c = g->leaving ? NULL : conn_new(g, link, STAGE_ACCEPTED, SL_LOBBY_TIMEOUT);
    if (!c)
        return false;
    memcpy(c->c_d, c_d, SL_KEY_LEN);
    g->stats.links_in++;
    return true;
}

/* What the peer needs in order to make sense of anything else we say. */
static void introduce(struct sl_gossip *g, struct conn *c)
{
    const struct member *m = member_at(g, g->self);
    uint32_t at = 0;
    for (struct sl_fact *f; (f = fact_next(g, m, &at)) != NULL;)
        spread_push(g, g->self, f->kind, (uint32_t)(c - g->conns));
}

static void retire(struct sl_gossip *g, struct conn *c, sl_usec after)
{
    c->retire_at = sl_earlier(c->retire_at, g->now + after);
    g->next_review = sl_earlier(g->next_review, c->retire_at);
}

/* Two connections to one peer: both ends must keep the same. Dialled at about the same time from both ends, the
 * one of the smaller id stays; otherwise the newer one, since whoever dialled it had none. */
static bool newer_stays(const struct sl_gossip *g, const struct conn *old, const struct conn *fresh)
{
    if (old->ours == fresh->ours || fresh->proven_at - old->proven_at > SL_HELLO_TIMEOUT)
        return true;
    bool mine_smaller = sl_id_cmp(&g->id, &fresh->id) < 0;
    return fresh->ours == mine_smaller;
}

static void attach(struct sl_gossip *g, struct conn *c, uint32_t member)
{
    struct edge *e = edge_of(g, member);
    if (!e && (e = edge_add(g, member)) == NULL)
        return;
    c->member = member;
    if (e->conn != NONE) {
        struct conn *old = &g->conns[e->conn];
        bool fresh_stays = newer_stays(g, old, c);
        struct conn *loser = fresh_stays ? old : c;
        if (loser->ours)
            conn_cut(g, loser, SL_OK);
        else
            retire(g, loser, SL_HELLO_TIMEOUT); /* its dialler cuts it */
        if (!fresh_stays)
            return;
    }
    c->retire_at = SL_NEVER;
    edge_up(g, e, (uint32_t)(c - g->conns));
    if (!e->wanted)
        g->next_review = sl_earlier(g->next_review, g->now + SL_EDGE_LINGER);
}

void conns_attach(struct sl_gossip *g, uint32_t member)
{
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (c->link && c->stage == STAGE_PROVEN && !c->awaits_revoked && c->member == NONE &&
            sl_id_eq(&c->id, id_at(g, member)))
            attach(g, c, member);
    }
}

/* Both ends know what was revoked: facts may come and go. */
void conn_open(struct sl_gossip *g, struct conn *c)
{
    c->awaits_revoked = false;
    introduce(g, c);
    uint32_t member = table_find(g, &c->id);
    if (member != NONE && member_at(g, member)->status != SL_LEFT)
        attach(g, c, member);
    else
        retire(g, c, SL_GUEST_LINGER); /* unless its record comes and gives it a place */
}

/* `said` and `heard`: the revocation roots in the two hellos, which both ends compare alike. */
static void proven(struct sl_gossip *g, struct conn *c, const struct sl_cert *peer, uint64_t said, uint64_t heard)
{
    drop_m1(g, c);
    c->stage = STAGE_PROVEN;
    c->id = peer->id;
    conn_certified(c, peer);
    c->proven_at = g->now;
    g->stats.links_proven++;
    if (c->ours)
        join_dialled(g, &c->addr, true);
    bool told = true;
    if (said != heard || said != g->revoked.root) /* or we have learned more since we said it */
        told = revoke_send_all(g, c);
    if (said == heard && told) {
        conn_open(g, c);
        return;
    }
    c->awaits_revoked = true;
    c->deadline = g->now + SL_HELLO_TIMEOUT;
}

/* Warnings about refusals come now and then, however many knock. */
static bool may_warn(struct sl_gossip *g)
{
    if (g->now < g->warn_refusals_at) {
        g->n_refusals_unsaid++;
        return false;
    }
    g->warn_refusals_at = g->now + SL_REFUSALS_EVERY;
    return true;
}

/* Somebody with the flock's door and the wrong certificate is a mistake of an operator, and he reads this
 * log: what is wrong with it. */
static void say_refused(struct sl_gossip *g, const struct sl_hello *h, struct sl_span m, enum sl_reason reason)
{
    struct sl_cert peer;
    if (reason != SL_REASON_CERT || !may_warn(g)) {
        sl_log(g->ports.log, SL_DEBUG, "hello of a peer refused: %s", sl_reason_text(reason));
        return;
    }
    const char *fault = sl_hello_cert_fault(h, m, &peer);
    sl_log(g->ports.log, SL_WARNING, "refused a node that calls itself \"%s\": %s (%llu more refused since the last warning)",
           peer.name, fault, (unsigned long long)g->n_refusals_unsaid);
    g->n_refusals_unsaid = 0;
}

/* Both clocks may be wrong, and either end may be the one with the wrong file: the refused one says so too. */
static void say_turned_away(struct sl_gossip *g, const struct sl_addr *addr, enum sl_reason why)
{
    char text[SL_ADDR_TEXT];
    bool warn = why == SL_REASON_CERT && may_warn(g);
    sl_addr_format(text, addr);
    sl_log(g->ports.log, warn ? SL_WARNING : SL_DEBUG, "the node at %s refused our hello: %s", text,
           sl_reason_text(why));
}

static void hello_refused(struct sl_gossip *g, struct conn *c, enum sl_reason reason)
{
    if (reason == SL_REASON_VERSION)
        g->stats.refused_version++;
    else
        g->stats.refused_hello++;
    conn_cut(g, c, reason);
}

/* No room for it: name some others, and let it go. False when there is nobody to name. */
static bool refer(struct sl_gossip *g, struct conn *c)
{
    uint8_t names[SL_REFER_MAX * (SL_ADDR_BYTES + 1)], out[sizeof names + 16];
    size_t len = join_names(g, names);
    struct sl_pack w;
    if (len == 0)
        return false;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 2);
    sl_pack_uint(&w, MSG_REFER);
    sl_pack_bin(&w, names, len);
    out_send(g, c, out, w.len);
    retire(g, c, SL_REFER_LINGER);
    return true;
}

static void hello_busy(struct sl_gossip *g, struct conn *c)
{
    uint8_t m3[2 + SL_REFER_MAX * (SL_ADDR_BYTES + 1)] = {SL_M3, SL_REASON_BUSY};
    out_send(g, c, m3, 2 + join_names(g, m3 + 2));
    conn_cut(g, c, SL_OK);
}

static void hello_accept(struct sl_gossip *g, struct conn *c, struct sl_span m)
{
    uint8_t nonce[SL_NONCE_LEN], m2[SL_M1_MAX];
    size_t len;
    struct sl_cert peer = {.serial = {0}};
    struct sl_hello h = hello_of(g);
    if (n_links(g) > SL_LINKS_ACCEPT_MAX || !tokens_take(&g->admit_tokens, &g->admit_tokens_at, g->now, SL_ADMIT_PER_SECOND,
                     SL_ADMIT_PER_SECOND, 1)) {
        hello_busy(g, c);
        return;
    }
    draw_nonce(g, nonce);
    enum sl_reason reason = sl_hello_accept(&h, c->c_d, m, nonce, &peer, m2, &len);
    bool is_out = is_foul(g, &peer.id) || sl_revoked_holds(&g->revoked, &peer.id, peer.serial);
    if (!reason && is_out)
        reason = SL_REASON_SIG;
    if (is_out)
        conn_bar(g, c);
    if (reason) {
        say_refused(g, &h, m, reason);
        hello_refused(g, c, reason);
        return;
    }
    out_send(g, c, m2, len);
    proven(g, c, &peer, g->revoked.root, sl_hello_root(m));
    /* Somebody new: some find their way into the flock here, the others elsewhere. */
    bool stays = table_find(g, &peer.id) != NONE ||
                 (n_links(g) < SL_LINKS_ACCEPT_MAX / 2 &&
                  tokens_take(&g->guest_tokens, &g->guest_tokens_at, g->now, SL_EDGES_PER_SECOND, SL_EDGES_BURST, 1));
    if (!stays)
        (void)refer(g, c);
}

/* Our dial came to nothing. `gone`: whoever we wanted is certainly not there. */
static void dial_failed(struct sl_gossip *g, struct conn *c, bool gone)
{
    struct sl_id id = c->id;
    bool wants = c->wants;
    join_dialled(g, &c->addr, false);
    conn_free(g, c);
    uint32_t member = wants ? table_find(g, &id) : NONE;
    struct edge *e = member == NONE ? NULL : edge_of(g, member);
    if (e)
        edge_dial_failed(g, e, gone);
}

static void hello_finish(struct sl_gossip *g, struct conn *c, struct sl_span m)
{
    struct sl_cert peer;
    struct sl_hello h = hello_of(g);
    if (m.len >= 2 && m.len <= 2 + SL_REFER_MAX * (SL_ADDR_BYTES + 1) && m.p[0] == SL_M3) {
        enum sl_reason why = (enum sl_reason)m.p[1];
        if (why == SL_REASON_BUSY)
            join_referred(g, sl_span_of(m.p + 2, m.len - 2));
        if (why != SL_REASON_SELF)
            say_turned_away(g, &c->addr, why);
        struct sl_addr addr = c->addr;
        out_simple(g, SL_OUT_CUT, c->link, NULL);
        /* A member of the flock answers there and is somebody else: as good as a refusal. */
        dial_failed(g, c, why == SL_REASON_WANT);
        if (why == SL_REASON_SELF)
            sl_gossip_unseed(g, &addr);
        return;
    }
    enum sl_reason reason = sl_hello_finish(&h, c->c_d, sl_span_of(c->m1, c->m1_len), c->wants ? &c->id : NULL,
                                            m, &peer);
    if (!reason && is_foul(g, &peer.id)) /* dialled as a seed, by its address alone */
        reason = SL_REASON_SIG;
    if (reason) {
        g->stats.refused_hello++;
        say_refused(g, &h, m, reason);
        out_simple(g, SL_OUT_CUT, c->link, NULL);
        dial_failed(g, c, reason == SL_REASON_WANT);
        return;
    }
    proven(g, c, &peer, sl_hello_root(sl_span_of(c->m1, c->m1_len)), sl_hello_root(m));
}

void conn_hello(struct sl_gossip *g, struct conn *c, struct sl_span m)
{
    switch (c->stage) {
    case STAGE_ACCEPTED:
        hello_accept(g, c, m);
        break;
    case STAGE_DIALLED:
        hello_finish(g, c, m);
        break;
    case STAGE_PROVEN:
        break;
    }
}

void conn_gone(struct sl_gossip *g, struct conn *c, bool refused)
{
    switch (c->stage) {
    case STAGE_DIALLED:
        dial_failed(g, c, refused);
        return;
    case STAGE_ACCEPTED:
        conn_free(g, c);
        return;
    case STAGE_PROVEN:
        if (c->awaits_revoked && c->ours) { /* to whoever wanted it, the dial came to nothing */
            g->stats.links_down++;
            dial_failed(g, c, false);
            return;
        }
        break;
    }
    struct edge *e = c->member == NONE ? NULL : edge_of(g, c->member);
    bool was_its = e && e->conn == (uint32_t)(c - g->conns);
    g->stats.links_down++;
    conn_free(g, c);
    if (was_its)
        edge_lost(g, e);
}

/* ---- reviewing -------------------------------------------------------------------------- */

/* Let go of what nobody here wants any more. We end what we dialled; the rest is its dialler's to end. */
static void review(struct sl_gossip *g)
{
    bool whole = true; /* every neighbour is connected or failing: old edges have done their duty */
    g->next_review = SL_NEVER;
    for (size_t i = 0; i < g->n_edges; i++) {
        const struct edge *e = &g->edges[i];
        whole &= !e->wanted || e->working || edge_fails(e);
    }
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (!c->link || c->stage != STAGE_PROVEN)
            continue;
        struct edge *e = c->member == NONE ? NULL : edge_of(g, c->member);
        bool mine = e && e->conn == i;
        if (mine && e->wanted) {
            c->retire_at = SL_NEVER;
            continue;
        }
        if (mine && watch_forlorn(g)) { /* what a meeting found is all that a small part hears of itself */
            c->retire_at = SL_NEVER;
            g->next_review = sl_earlier(g->next_review, g->now + SL_SEC(1));
            continue;
        }
        /* An unwanted edge stays until its replacements are proven and what was to be repaired is. */
        bool idle = mine && c->ours && whole && (e->differ_since == SL_NEVER || g->now - c->proven_at > SL_SEC(30));
        if (idle && c->retire_at == SL_NEVER)
            c->retire_at = g->now + SL_EDGE_LINGER;
        if (g->now >= c->retire_at) {
            conn_cut(g, c, SL_OK);
            if (mine)
                edge_remove(g, e);
            continue;
        }
        if (mine && c->ours && c->retire_at == SL_NEVER)
            g->next_review = sl_earlier(g->next_review, g->now + SL_SEC(1));
        g->next_review = sl_earlier(g->next_review, c->retire_at);
    }
}

/* Links outlive a certificate by an hour, or by a day where our own has ended as well. When half of the peers
 * seem to be over it is our clock that is wrong, or an operator who forgot all of them: then everything stays,
 * and is said. */
static void end_with_certificates(struct sl_gossip *g)
{
    if (g->now < g->next_ends)
        return;
    g->next_ends = g->now + SL_ENDS_EVERY;
    const int64_t last = wall_s(g) - (has_ended(g) ? SL_CERT_LATELY_S : SL_OUTLIVES_S);
    size_t n = 0, n_over = 0;
    for (size_t i = 0; i < g->n_conns; i++) {
        const struct conn *c = &g->conns[i];
        bool live = c->link && c->stage == STAGE_PROVEN;
        n += live;
        n_over += live && last > c->not_after;
    }
    if (n_over == 0)
        return;
    if (n > 1 && 2 * n_over >= n) {
        if (may_warn(g))
            sl_log(g->ports.log, SL_ERROR,
                   "by this host's clock the certificates of %zu of %zu peers have expired: is the clock right? They stay "
                   "connected",
                   n_over, n);
        return;
    }
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (!c->link || c->stage != STAGE_PROVEN || last <= c->not_after)
            continue;
        sl_log(g->ports.log, SL_WARNING, "a peer's certificate has expired %s ago; its link is cut",
               has_ended(g) ? "a day" : "an hour");
        out_simple(g, SL_OUT_CUT, c->link, NULL);
        conn_gone(g, c, false);
    }
}

void link_tick(struct sl_gossip *g)
{
    end_with_certificates(g);
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (!c->link || (c->stage == STAGE_PROVEN && !c->awaits_revoked) || g->now < c->deadline)
            continue;
        out_simple(g, SL_OUT_CUT, c->link, NULL);
        conn_gone(g, c, false);
    }
    if (g->leaving)
        return;
    if (g->now >= g->next_review)
        review(g);
    join_tick(g);
}

sl_usec link_deadline(const struct sl_gossip *g)
{
    sl_usec t = SL_NEVER;
    for (size_t i = 0; i < g->n_conns; i++) {
        const struct conn *c = &g->conns[i];
        if (c->link && (c->stage != STAGE_PROVEN || c->awaits_revoked))
            t = sl_earlier(t, c->deadline);
    }
    if (g->leaving)
        return t;
    return sl_earlier(t, sl_earlier(g->next_review, join_deadline(g)));
}
