/* revoke.c: certificates taken back, before anything else (PROTOCOL.md, "Revocation"). Two nodes that
 * differ in what they know of them tell each other all of it first, and no fact until then: else who was
 * put out would be believed for as long as it takes to find out. What is new goes to everybody at once. */
#include <starling.h>

#include "base/bytes.h"
#include "gossip/core.h"

#define PER_MESSAGE 400 /* entries: 55 KB */

static void send_some(struct sl_gossip *g, struct conn *c, const uint8_t *entries, size_t n, bool last)
{
    const size_t cap = PER_MESSAGE * SL_REVOCATION_LEN + 16;
    uint8_t *bytes = sl_alloc_zero(mem(g), cap);
    struct sl_pack w;
    if (!bytes)
        return; /* the hello's time is over before it is opened, and is tried again */
    sl_pack_init(&w, bytes, cap);
    sl_pack_array(&w, 3);
    sl_pack_uint(&w, MSG_REVOKED);
    sl_pack_uint(&w, last);
    sl_pack_bin(&w, entries, n * SL_REVOCATION_LEN);
    out_send(g, c, bytes, w.len);
    sl_alloc_free(mem(g), bytes, cap);
}

static void send_entries(struct sl_gossip *g, struct conn *c, const uint8_t *entries, size_t n_all, bool whole)
{
    size_t at = 0;
    do {
        size_t n = n_all - at < PER_MESSAGE ? n_all - at : PER_MESSAGE;
        send_some(g, c, entries + at * SL_REVOCATION_LEN, n, whole && at + n == n_all);
        at += n;
    } while (at < n_all);
}

/* All that is known to one peer, again and again, is what one hello can make us send: a peer has a budget of bytes for
 * it. Who is pushed out of the table begins with a whole one. */
static bool may_tell_all(struct sl_gossip *g, const struct sl_id *id, int64_t bytes)
{
    struct told *at = &g->told[0];
    for (size_t i = 0; i < SL_COUNT(g->told); i++) {
        struct told *t = &g->told[i];
        if (t->bytes_at && sl_id_eq(&t->id, id)) {
            at = t;
            break;
        }
        if (t->bytes_at < at->bytes_at)
            at = t;
    }
    if (!at->bytes_at || !sl_id_eq(&at->id, id))
        *at = (struct told){.id = *id, .bytes = SL_TOLD_BURST, .bytes_at = g->now};
    return tokens_take(&at->bytes, &at->bytes_at, g->now, SL_TOLD_PER_SECOND, SL_TOLD_BURST, bytes);
}

bool revoke_send_all(struct sl_gossip *g, struct conn *c)
{
    if (!may_tell_all(g, &c->id, (int64_t)(g->revoked.n * SL_REVOCATION_LEN)))
        return false;
    const uint8_t *entries = g->revoked.n > 0 ? g->revoked.entries[0] : (const uint8_t *)"";
    send_entries(g, c, entries, g->revoked.n, true);
    return true;
}

/* ---- what follows from one -------------------------------------------------------------- */

static bool record_is_revoked(const struct sl_gossip *g, const struct sl_fact *record)
{
    struct sl_record r;
    const struct sl_id *id = sl_fact_origin(record);
    if (!sl_record_read(sl_fact_body(record), &r) || r.cert.len < SL_CERT_SERIAL_AT + 16)
        return sl_revoked_holds(&g->revoked, id, NULL);
    return sl_revoked_holds(&g->revoked, id, r.cert.p + SL_CERT_SERIAL_AT);
}

bool revoke_refuses(const struct sl_gossip *g, const struct sl_fact_header *h, const struct sl_fact *f)
{
    if (g->revoked.n == 0)
        return false;
    return f && f->kind == SL_RECORD ? record_is_revoked(g, f) : sl_revoked_holds(&g->revoked, &h->origin, NULL);
}

static void put_out(struct sl_gossip *g, const struct sl_id *id)
{
    char hex[9];
    sl_hex(hex, id->b, 4);
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (!c->link || c->stage != STAGE_PROVEN || !sl_id_eq(&c->id, id) ||
            !sl_revoked_holds(&g->revoked, id, c->serial))
            continue;
        conn_bar(g, c);
        out_simple(g, SL_OUT_CUT, c->link, NULL);
        conn_gone(g, c, false);
    }
    uint32_t member = table_find(g, id);
    struct sl_fact *record = member == NONE ? NULL : fact_of(g, member_at(g, member), SL_RECORD);
    if (!record || !record_is_revoked(g, record))
        return;
    if (member == g->self) {
        sl_log(g->ports.log, SL_ERROR, "the certificate of this node was revoked: nobody lets it in any more");
        return;
    }
    sl_log(g->ports.log, SL_WARNING, "the certificate of node %s was revoked: it is out", hex);
    table_put_out(g, member);
}

/* ---- learning --------------------------------------------------------------------------- */

/* 1 when it is new, 0 when there is nothing to do, -1 when it is forged. */
static int learn(struct sl_gossip *g, const uint8_t *entry)
{
    struct sl_revocation r;
    if (!sl_revocation_read(entry, &r))
        return -1;
    if (memcmp(r.flock, g->config.bundle.flock, SL_FLOCK_LEN) != 0)
        return 0;
    const uint8_t *serial = memcmp(r.serial, (const uint8_t[16]){0}, 16) == 0 ? NULL : r.serial;
    if (sl_revoked_holds(&g->revoked, &r.id, serial))
        return 0;
    /* While authorities are rotated one of them may be unknown to us: who does not trust it is not bound by
     * what it takes back, and the peer who passes it on is not to blame. */
    const uint8_t *signer = sl_bundle_authority(g->ports.crypto, &g->config.bundle, r.signer);
    if (!signer)
        return 0;
    if (!sl_revocation_verify(g->ports.crypto, entry, signer))
        return -1;
    int inserted = sl_revoked_insert(&g->revoked, mem(g), g->ports.crypto, entry);
    if (inserted == STARLING_ELIMIT)
        sl_log(g->ports.log, SL_ERROR, "%d certificates are revoked, and no more are kept", SL_REVOKED_MAX);
    return inserted == 0;
}

/* To everybody but who told us. */
static void pass_on(struct sl_gossip *g, const uint8_t *entries, size_t n, sl_link from)
{
    for (size_t i = 0; n > 0 && i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (c->link && c->link != from && c->stage == STAGE_PROVEN)
            send_entries(g, c, entries, n, false);
    }
}

/* False when one of them is forged: those before it count. Without memory for the new ones they are not
 * passed on, and go with the next hello. */
static bool take(struct sl_gossip *g, struct sl_span entries, sl_link from)
{
    size_t n = entries.len / SL_REVOCATION_LEN, n_new = 0;
    uint8_t *fresh = entries.len > 0 ? sl_alloc_zero(mem(g), entries.len) : NULL;
    int learned = 0;
    for (size_t i = 0; i < n && learned >= 0; i++) {
        const uint8_t *entry = entries.p + i * SL_REVOCATION_LEN;
        learned = learn(g, entry);
        if (learned <= 0)
            continue;
        if (fresh)
            memcpy(fresh + n_new++ * SL_REVOCATION_LEN, entry, SL_REVOCATION_LEN);
        struct sl_revocation r;
        if (sl_revocation_read(entry, &r))
            put_out(g, &r.id);
        g->changed_at = g->now;
    }
    pass_on(g, fresh, n_new, from);
    sl_alloc_free(mem(g), fresh, entries.len);
    return learned >= 0;
}

void revoke_receive(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    uint64_t last;
    struct sl_span entries;
    sl_link link = c->link;
    if (!sl_read_uint(r, 1, &last) || !sl_read_bin(r, PER_MESSAGE * SL_REVOCATION_LEN, &entries) ||
        entries.len % SL_REVOCATION_LEN != 0) {
        r->failed = true;
        return;
    }
    bool good = take(g, entries, link);
    c = conn_find(g, link); /* it may have been its own */
    if (!c)
        return;
    if (!good) {
        sl_log(g->ports.log, SL_WARNING, "a peer passed on a forged revocation; its link is cut");
        g->stats.refused_signature++;
        out_simple(g, SL_OUT_CUT, link, NULL);
        conn_gone(g, c, false);
        return;
    }
    if (last && c->awaits_revoked)
        conn_open(g, c);
}

int sl_gossip_revoke(struct sl_gossip *g, sl_usec now, struct sl_span entries)
{
    g->now = now > g->now ? now : g->now;
    if (entries.len % SL_REVOCATION_LEN != 0)
        return STARLING_EINVAL;
    bool good = take(g, entries, 0);
    verdict_settle(g);
    return good ? 0 : STARLING_EAUTH;
}

struct sl_span sl_gossip_revoked(const struct sl_gossip *g)
{
    return sl_span_of(g->revoked.entries, g->revoked.n * SL_REVOCATION_LEN);
}

bool sl_gossip_is_revoked(const struct sl_gossip *g, const struct sl_id *id, const uint8_t serial[16])
{
    return sl_revoked_holds(&g->revoked, id, serial);
}
