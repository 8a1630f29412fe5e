/* tree.c: the reconciliation tree (PROTOCOL.md, "Reconciling"): sums over facts, kept incrementally. What a leaf
 * holds follows from the identities' places in the pool. */
#include "gossip/core.h"

uint32_t tree_node(unsigned depth, uint32_t prefix)
{
    static const uint32_t first[] = {0, 1, 17, 273};
    return first[depth] + prefix;
}

void tree_fact(struct sl_gossip *g, const struct member *m, const struct sl_fact *f, int sign)
{
    if (!f || !m->in_tree)
        return;
    uint32_t leaf = g->pool->identities[f->identity].leaf;
    for (unsigned depth = 0; depth <= TREE_DEPTH; depth++) {
        uint32_t node = tree_node(depth, leaf >> (4 * (TREE_DEPTH - depth)));
        g->tree->sum[node] += sign > 0 ? f->sum : 0 - f->sum;
        g->tree->count[node] += (uint32_t)sign;
    }
}

void tree_join(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    if (m->in_tree)
        return;
    m->in_tree = true;
    uint32_t at = 0;
    for (struct sl_fact *f; (f = fact_next(g, m, &at)) != NULL;)
        tree_fact(g, m, f, 1);
}

/* Who left is no longer part of what nodes compare: the forgetting that follows happens at slightly
 * different times everywhere and must not look like a difference. */
void tree_part(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    uint32_t at = 0;
    for (struct sl_fact *f; (f = fact_next(g, m, &at)) != NULL;)
        tree_fact(g, m, f, -1);
    m->in_tree = false;
}
