/* clone.c: two processes with one key: a copied machine, a copied state directory (PROTOCOL.md, "Facts").
 *
 * A newer epoch of ours may be an earlier life's (a lost disk, a clock set back) or a copy's. Both are jumped over. An
 * earlier life says nothing more; a copy jumps over that in its turn, and its new epoch bears a mark of the one that it
 * jumped over. Who finds its own present epoch jumped over has met a live copy, and yields: no earlier life can have
 * seen an epoch that this process drew, however often it was started, frozen or set back. Of any number one stays, for
 * nobody jumps over the highest. */
#include <starling.h>

#include "base/bytes.h"
#include "gossip/core.h"

#define JUMP_MAX 4096 /* milliseconds; chance, so that two copies that jump over one epoch do not meet in the next */

/* The low bits of an epoch at this millisecond that jumps over another. */
static uint64_t mark_of(const struct sl_gossip *g, uint64_t over, uint64_t ms)
{
    uint8_t text[16];
    sl_put64(text, over);
    sl_put64(text + 8, ms);
    return sl_siphash(g->config.bundle.flock, text, sizeof text) & 0xffff;
}

static bool jumps_over(const struct sl_gossip *g, uint64_t epoch, uint64_t over)
{
    return epoch > over && (epoch >> 16) - (over >> 16) <= JUMP_MAX && (epoch & 0xffff) == mark_of(g, over, epoch >> 16);
}

/* Above `over`; 0 = there is none left. */
static uint64_t epoch_above(struct sl_gossip *g, uint64_t over)
{
    uint64_t ms = (over >> 16) + 1 + sl_rand_below(&g->rand, JUMP_MAX);
    if (ms >= UINT64_C(1) << 47)
        return 0;
    /* A machine that was set back to a moment at which it ran already finds its own epoch, gone on without it: what it
     * says about that must not be an answer to itself when it is set back there once more. */
    bool own = over == g->config.epoch;
    return ms << 16 | (own ? sl_rand_u64(&g->rand) & 0xffff : mark_of(g, over, ms));
}

static void begin_epoch(struct sl_gossip *g, uint64_t epoch)
{
    g->config.epoch = epoch;
    g->seq = g->answered = g->heard_seen = 0;
    g->n_published = 0;
}

static void publish_all(struct sl_gossip *g)
{
    (void)self_publish_record(g);
    self_vitals_soon(g, g->now, true);
    self_sightings_changed(g, true, false);
}

bool clone_is_foreign(const struct sl_gossip *g, const struct sl_fact_header *h, struct sl_span bytes)
{
    struct sl_version own = {g->config.epoch, g->seq};
    if (sl_version_cmp(h->version, own) > 0)
        return true;
    const struct sl_fact *said = fact_of_any(g, member_at(g, g->self), h->kind);
    return said && sl_version_cmp(said->version, h->version) == 0 &&
           (said->len != bytes.len || memcmp(said->bytes, bytes.p, bytes.len) != 0);
}

void clone_met(struct sl_gossip *g, const struct sl_fact_header *h)
{
    uint64_t epoch = jumps_over(g, h->version.epoch, g->config.epoch) ? 0 : epoch_above(g, h->version.epoch);
    if (g->must_yield || g->yielded)
        return;
    if (epoch == 0) { /* or none is left: only a copy of our key can have said so, and we could say nothing more */
        g->must_yield = true;
        return;
    }
    sl_log(g->ports.log, SL_INFO,
           "an earlier life of this node, or a copy of it, is remembered with a newer epoch; new epoch taken");
    begin_epoch(g, epoch);
    publish_all(g);
}

/* ---- giving way ------------------------------------------------------------------------- */

void clone_settle(struct sl_gossip *g)
{
    if (!g->must_yield)
        return;
    g->must_yield = false;
    g->yielded = g->tell_yielded = true;
    for (size_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (c->link && c->stage == STAGE_DIALLED)
            join_dialled(g, &c->addr, false);
        if (c->link)
            conn_cut(g, c, SL_OK);
    }
    while (g->n_edges > 0)
        edge_remove(g, &g->edges[g->n_edges - 1]);
    spread_drop_all(g);
    g->tell_stale |= !g->isolated;
    g->isolated = true; /* until an edge answers to who we are next */
}

int sl_gossip_rekey(struct sl_gossip *g, sl_usec now, struct sl_span cert, uint64_t epoch)
{
    struct sl_cert read;
    struct sl_id id = g->id;
    uint32_t before = g->self;
    g->now = now > g->now ? now : g->now;
    if (!g->yielded || cert.len > sizeof g->cert || !sl_cert_check(g->ports.crypto, &g->config.bundle, cert, &read) ||
        sl_id_eq(&read.id, &g->id))
        return STARLING_EAUTH;
    memcpy(g->cert, cert.p, cert.len);
    g->config.cert.len = cert.len;
    g->not_after = read.not_after;
    g->id = read.id;
    begin_epoch(g, epoch);
    if (self_publish_record(g) < 0 || table_find(g, &g->id) == NONE) {
        g->id = id;
        g->record_due = SL_NEVER;
        return STARLING_ENOMEM;
    }
    g->self = table_find(g, &g->id);
    g->yielded = false;
    memset(g->doubters, 0, sizeof g->doubters);
    /* Whoever has the old key is a member like others. */
    member_at(g, before)->self = false;
    table_mark(g, before, DIRTY_STATUS | DIRTY_RECORD | DIRTY_VITALS);
    ring_changed(g);
    self_vitals_soon(g, g->now, true);
    self_tick(g);
    return 0;
}
