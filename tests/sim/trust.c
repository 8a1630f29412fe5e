/* trust.c: keys that are copied, and what becomes of their owners. */
#include <stdlib.h>

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
