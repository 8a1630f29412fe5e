/* twins.c: two live nodes of one name. Both stay, both are told of: commands then want an id. A node that was
 * started again under its name is no twin of what it was before; that one is down or gone a moment later. */
#include "gossip/core.h"

static bool has_twin(const struct sl_gossip *g, uint32_t index)
{
    const struct sl_fact *record = fact_of(g, member_at(g, index), SL_RECORD);
    for (struct sl_fact *f = sl_pool_first(g->pool, SL_BY_NAME, record); f; f = sl_pool_next(g->pool, SL_BY_NAME, f)) {
        if (f->identity != index && table_holds(g, f) && is_live(member_at(g, f->identity)) &&
            !sl_addr_eq(&f->who->addr, &record->who->addr))
            return true;
    }
    return false;
}

/* A member's record is new to us. */
void twins_look(struct sl_gossip *g, uint32_t index)
{
    if (g->n_twins == SL_COUNT(g->twins) || !has_twin(g, index))
        return;
    for (size_t i = 0; i < g->n_twins; i++) {
        if (g->twins[i].member == index)
            return;
    }
    g->twins[g->n_twins++] = (struct twin){.member = index, .due = g->now + SL_TWINS_HOLD};
}

void twins_tick(struct sl_gossip *g)
{
    for (size_t i = g->n_twins; i-- > 0;) {
        uint32_t index = g->twins[i].member;
        if (g->now < g->twins[i].due)
            continue;
        g->twins[i] = g->twins[--g->n_twins];
        if (!is_used(g, index) || !is_live(member_at(g, index)) || !has_twin(g, index))
            continue;
        table_conflict(g, id_at(g, index));
    }
}

sl_usec twins_deadline(const struct sl_gossip *g)
{
    sl_usec t = SL_NEVER;
    for (size_t i = 0; i < g->n_twins; i++)
        t = sl_earlier(t, g->twins[i].due);
    return t;
}
