/* always.c: what must hold at every moment, whatever is broken: the version that a node holds of
 * another never goes back; who was forgotten does not come back in the life that was known; a core
 * takes no more memory than its members account for. */
#include <stdlib.h>

#include "tests/sim/world.h"

#define KINDS 2 /* records and vitals are told; sightings are not */

/* ---- the forgotten ---- */

/* Its process is there, awake or not. */
static bool lives(const struct sim_world *w, const struct sim_identity *who)
{
    return who == sim_self(w, who->node) && w->nodes[who->node].core != NULL;
}

void sim_always_forgotten(struct sim_world *w, size_t observer, struct sim_identity *who,
                          const struct sl_fact *record)
{
    if (lives(w, who) && !who->revoked) /* behind a partition, for longer than it is remembered: it may come back */
        return;
    if (who->forgotten == NULL)
        who->forgotten = sim_zero(w->n * sizeof *who->forgotten);
    who->forgotten[observer] = record ? record->version.epoch : 1;
}

/* A later life, which ended on the other side of a cut, is news; the one that was forgotten is a ghost. */
static void known_again(struct sim_world *w, size_t observer, const struct sim_identity *who, const struct sl_fact *f)
{
    if (who->forgotten == NULL || who->forgotten[observer] == 0)
        return;
    if (f->version.epoch <= who->forgotten[observer])
        sim_violation(w, "node %zu knows node %u again, in the life that it had forgotten", observer, who->node);
    who->forgotten[observer] = 0;
}

/* ---- versions ---- */

/* Each observer's up to pairs_max nodes; beyond that of so many observers, evenly spread. */
void sim_always_init(struct sim_world *w)
{
    struct sim_always *a = &w->always;
    size_t max = w->settings.pairs_max;
    a->every = max == 0 ? 0 : 1 + (w->n - 1) / max;
    size_t n_rows = a->every ? (w->n + a->every - 1) / a->every : 0;
    a->version = sim_zero(n_rows * w->n * KINDS * sizeof *a->version);
    a->identity = sim_zero(n_rows * w->n * KINDS * sizeof *a->identity);
}

void sim_always_fini(struct sim_world *w)
{
    free(w->always.version);
    free(w->always.identity);
    for (size_t i = 0; i < w->n_identities; i++)
        free(w->identities[i]->forgotten);
}

static bool is_watched(const struct sim_world *w, size_t observer)
{
    return w->always.every && observer % w->always.every == 0;
}

static size_t place(const struct sim_world *w, size_t observer, size_t subject)
{
    return (observer / w->always.every * w->n + subject) * KINDS;
}

void sim_always_fact(struct sim_world *w, size_t observer, const struct sim_identity *who,
                     const struct sl_fact *f)
{
    known_again(w, observer, who, f);
    if (!is_watched(w, observer) || f->kind < SL_RECORD || f->kind > SL_VITALS)
        return;
    size_t i = place(w, observer, who->node) + f->kind - 1;
    struct sl_version *seen = &w->always.version[i];
    if (w->always.identity[i] == who->number + 1 && sl_version_cmp(f->version, *seen) < 0)
        sim_violation(w, "node %zu went back from (%llu, %llu) to (%llu, %llu) of node %u",
                      observer, (unsigned long long)seen->epoch, (unsigned long long)seen->seq,
                      (unsigned long long)f->version.epoch, (unsigned long long)f->version.seq,
                      who->node);
    w->always.identity[i] = who->number + 1;
    *seen = f->version;
}

/* Whoever lies, what an honest node holds of another is what that one signed. */
void sim_always_signed(struct sim_world *w, size_t observer, const struct sim_identity *who,
                       const struct sl_fact *f)
{
    if (w->n_liars && sim_is_healthy(w, observer) &&
        !sl_fact_verify(f, &w->pool_crypto, &w->bundle, who->signer.public_key))
        sim_violation(w, "node %zu holds a fact of node %u that it never signed", observer,
                      who->node);
}

/* ---- memory ---- */

#define SLOT_BYTES 48 /* of a core's table, the eighth by which it grows with it */

/* Its queues are bounded when the whole is. What it had most of since the last look counts: memory, members, connections.
 * Its table has a place for each identity of the pool, which here is everybody's: that is no fault of its own. */
static void look_at(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    struct sl_gossip_info info;
    uint64_t peak = n->account.peak, links = n->links_peak;
    n->account.peak = n->account.used;
    n->links_peak = n->n_links;
    if (n->liar == NULL && peak > w->measure.node_peak)
        w->measure.node_peak = peak;
    uint64_t own = w->settings.core_bytes + SLOT_BYTES * w->n_identities;
    if (n->too_large || peak <= own)
        return;
    sl_gossip_info(n->core, &info);
    uint64_t members = info.n_members > n->members ? info.n_members : n->members;
    n->members = info.n_members;
    if (peak <= own + w->settings.member_bytes * members + w->settings.link_bytes * links)
        return;
    n->too_large = true;
    sim_violation(w, "node %zu takes %llu bytes for %llu members and %llu connections", node,
                  (unsigned long long)peak, (unsigned long long)members, (unsigned long long)links);
}

void sim_always_look(struct sim_world *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].core)
            look_at(w, i);
    if (w->memory.n_wrong_sizes && !w->always.told_sizes) {
        w->always.told_sizes = true;
        sim_violation(w, "%llu blocks of memory were given back with a wrong size",
                      (unsigned long long)w->memory.n_wrong_sizes);
    }
}

/* ---- a process ends ---- */

void sim_always_stopping(struct sim_world *w, size_t node)
{
    look_at(w, node);
    if (is_watched(w, node))
        memset(w->always.identity + place(w, node, 0), 0,
               w->n * KINDS * sizeof *w->always.identity);
    for (size_t i = 0; i < w->n_identities; i++)
        if (w->identities[i]->forgotten)
            w->identities[i]->forgotten[node] = 0;
}
