/* trust.c: keys that are copied, certificates that are taken back, and what becomes of their owners. */
#include <stdlib.h>

#include "gossip/revocation.h"
#include "tests/sim/world.h"

void sim_copy(struct sim_world *w, size_t node, size_t of, unsigned flags)
{
    struct sim_node *n = &w->nodes[node], *from = &w->nodes[of];
    if (n->core || node == of)
        return;
    sim_say(w, "node %zu has the key of node %zu", node, of);
    if (from->core)
        sim_remember_peers(w, of);
    n->known = sim_resize(n->known, (from->n_known + 1) * sizeof *n->known);
    if (from->n_known)
        memcpy(n->known, from->known, from->n_known * sizeof *n->known);
    n->n_known = from->n_known;
    n->identity = from->identity;
    w->measure.copied_at = w->now;
    sim_start(w, node, flags);
}

/* Another process with this key, which is its owner from now on; false when there is none. */
static bool leave_to_another(struct sim_world *w, size_t node)
{
    for (size_t i = 0; i < w->n; i++) {
        if (i == node || w->nodes[i].core == NULL || w->nodes[i].out ||
            w->nodes[i].identity != w->nodes[node].identity)
            continue;
        sim_self(w, node)->node = (uint32_t)i;
        return true;
    }
    return false;
}

void sim_yield(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    sim_say(w, "node %zu gives way to a copy of itself", node);
    w->measure.n_yields++;
    w->measure.yielded_at = w->now;
    if (!leave_to_another(w, node))
        sim_violation(w, "node %zu gives way to a copy of itself that is not there", node);
    sim_measure_changed(w);
    n->out = !w->settings.reissue;
    if (n->out) {
        sim_measure_out(w, node);
        return;
    }
    if (!sim_identity_new(w, node)) {
        sim_violation(w, "node %zu gets no new certificate", node);
        return;
    }
    struct sim_identity *self = sim_self(w, node);
    n->crypto = sim_signer_port(&self->signer);
    if (sl_gossip_rekey(n->core, sim_mono(w, n), sl_span_of(self->cert, self->cert_len),
                        sim_epoch(w, node)) < 0 &&
        n->account.fail_ppm == 0)
        sim_violation(w, "node %zu cannot take another key", node);
}

/* ---- taken back ------------------------------------------------------------------------- */

void sim_revoke(struct sim_world *w, size_t node, size_t by, bool whole_key)
{
    struct sim_measure *m = &w->measure;
    struct sim_identity *who = sim_self(w, node);
    struct sim_node *n = &w->nodes[by];
    struct sl_crypto port = sim_signer_port(&w->authority);
    struct sl_revocation what = {.id = who->id, .at = SIM_WALL_S};
    uint8_t entry[SL_REVOCATION_LEN];
    if (n->core == NULL || n->life != SIM_RUNNING)
        return;
    sim_say(w, "node %zu learns that node %zu is revoked", by, node);
    memcpy(what.flock, w->bundle.flock, sizeof what.flock);
    if (!whole_key)
        memcpy(what.serial, who->cert + SL_CERT_SERIAL_AT, sizeof what.serial);
    sl_revocation_sign(&port, w->authority.public_key, &what, entry);
    who->revoked = true;
    sim_measure_out(w, node);
    m->revoked_at = w->now;
    if (m->cut_off.bits == NULL)
        sim_set_init(&m->cut_off, w->n);
    for (size_t i = 0; i < w->n; i++) {
        if (i != by && !sim_pair_fine(w, by, i))
            sim_set_add(&m->cut_off, i);
        else
            sim_set_drop(&m->cut_off, i);
    }
    sim_enter(w, by);
    if (sl_gossip_revoke(n->core, sim_mono(w, n), sl_span_of(entry, sizeof entry)) < 0)
        sim_violation(w, "node %zu does not take a revocation", by);
    sim_drain(w, by);
    sim_exit(w);
}

void sim_revoked_forgotten(struct sim_world *w, size_t observer, const struct sim_identity *who)
{
    struct sim_measure *m = &w->measure;
    if (!who->revoked || !sim_is_healthy(w, observer))
        return;
    if (!sim_set_has(&m->cut_off, observer))
        sim_hist_add(&m->out, w->now - m->revoked_at);
    else if (m->rules_changed > m->revoked_at) /* healed since */
        sim_hist_add(&m->out_healed, w->now - m->rules_changed);
}

size_t sim_knows_revoked(const struct sim_world *w)
{
    struct sl_member_info info;
    for (size_t i = 0; i < w->n_identities; i++)
        for (size_t o = 0; o < w->n && w->identities[i]->revoked; o++)
            if (sim_is_healthy(w, o) &&
                sl_gossip_find(w->nodes[o].core, &w->identities[i]->id, &info))
                return o;
    return SIZE_MAX;
}
