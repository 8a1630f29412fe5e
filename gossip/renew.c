/* renew.c: another certificate, and other authorities, while everything runs (PROTOCOL.md, "Renewal").
 * A link outlives the certificates that it was proven with: what its peer has now stands in its record, and by
 * that it is judged. An authority that is trusted no more takes along whom it vouched for. */
#include <starling.h>

#include "base/bytes.h"
#include "gossip/core.h"

/* The certificate in a record that was checked when it came. */
static bool cert_of(const struct sl_gossip *g, const struct sl_fact *record, struct sl_cert *ret)
{
    struct sl_record r;
    return sl_record_read(sl_fact_body(record), &r) && sl_cert_decode(g->ports.crypto, r.cert, ret);
}

void conn_certified(struct conn *c, const struct sl_cert *peer)
{
    memcpy(c->issuer, peer->issuer, sizeof c->issuer);
    memcpy(c->serial, peer->serial, sizeof c->serial);
    c->not_after = peer->not_after;
}

void renew_peer(struct sl_gossip *g, uint32_t member)
{
    struct sl_cert cert;
    bool read = false;
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (!c->link || c->stage != STAGE_PROVEN || !sl_id_eq(&c->id, id_at(g, member)))
            continue;
        if (!read && !cert_of(g, fact_of(g, member_at(g, member), SL_RECORD), &cert))
            return;
        read = true;
        conn_certified(c, &cert);
    }
}

/* ---- who is trusted no more ------------------------------------------------------------- */

static bool is_trusted(const struct sl_gossip *g, const uint8_t issuer[8])
{
    return sl_bundle_authority(g->ports.crypto, &g->config.bundle, issuer) != NULL;
}

static void put_out_links(struct sl_gossip *g)
{
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (!c->link || c->stage != STAGE_PROVEN || is_trusted(g, c->issuer))
            continue;
        out_simple(g, SL_OUT_CUT, c->link, NULL);
        conn_gone(g, c, false);
    }
}

static size_t put_out_members(struct sl_gossip *g)
{
    size_t n = 0;
    for (uint32_t i = 0; i < g->n_slots; i++) {
        const struct member *m = member_at(g, i);
        struct sl_cert cert;
        if (!m->used || m->self || !cert_of(g, fact_of(g, m, SL_RECORD), &cert) || is_trusted(g, cert.issuer))
            continue;
        n += is_live(m);
        table_put_out(g, i);
    }
    return n;
}

static bool one_went(const struct sl_crypto *crypto, const struct sl_bundle *before, const struct sl_bundle *after)
{
    for (size_t i = 0; i < before->n_authorities; i++) {
        uint8_t id[8];
        sl_issuer_id(crypto, before->authority[i], id);
        if (!sl_bundle_authority(crypto, after, id))
            return true;
    }
    return false;
}

int sl_gossip_renew(struct sl_gossip *g, sl_usec now, const struct sl_bundle *bundle, struct sl_span cert)
{
    struct sl_cert own;
    const struct sl_bundle before = g->config.bundle;
    g->now = now > g->now ? now : g->now;
    if (cert.len > sizeof g->cert || memcmp(bundle->flock, before.flock, SL_FLOCK_LEN) != 0 ||
        !sl_cert_check(g->ports.crypto, bundle, cert, &own))
        return STARLING_EAUTH;
    if (!sl_id_eq(&own.id, &g->id))
        return STARLING_EINVAL;
    g->config.bundle = *bundle;
    if (g->own_pool)
        g->pool->bundle = *bundle;
    memcpy(g->cert, cert.p, cert.len);
    g->config.cert.len = cert.len;
    g->not_after = own.not_after;
    int r = self_publish_record(g);
    join_again(g);
    if (one_went(g->ports.crypto, &before, bundle)) {
        put_out_links(g);
        size_t n = put_out_members(g);
        if (n > 0)
            sl_log(g->ports.log, SL_WARNING,
                   "%zu members have certificates of an authority that is trusted no more: they are out", n);
        verdict_settle(g);
    }
    return r;
}
