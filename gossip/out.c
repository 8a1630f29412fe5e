/* out.c: what should happen next, in the order in which it was decided; the driver pulls it. */
#include "gossip/core.h"

static struct todo *push(struct sl_gossip *g)
{
    if (g->todo_head + g->n_todo == g->cap_todo && g->todo_head > 0) {
        memmove(g->todo, g->todo + g->todo_head, g->n_todo * sizeof *g->todo);
        g->todo_head = 0;
    }
    if (sl_alloc_grow(mem(g), (void **)&g->todo, sizeof *g->todo, &g->cap_todo,
                      g->todo_head + g->n_todo + 1) < 0)
        return NULL;
    struct todo *t = &g->todo[g->todo_head + g->n_todo++];
    memset(t, 0, sizeof *t);
    return t;
}

/* Out of memory drops the message: reconciliation and the next beat make up for it. */
void out_send(struct sl_gossip *g, struct conn *c, const void *p, size_t len)
{
    uint8_t *copy = sl_alloc_zero(mem(g), len);
    struct todo *t = copy ? push(g) : NULL;
    if (!t) {
        sl_alloc_free(mem(g), copy, len);
        g->stats.facts_dropped_queue++;
        return;
    }
    memcpy(copy, p, len);
    t->out.type = SL_OUT_SEND;
    t->out.link = c->link;
    t->out.bytes = sl_span_of(copy, len);
    t->bytes = copy;
    g->stats.messages_out++;
    g->stats.bytes_out += len;
}

void out_simple(struct sl_gossip *g, enum sl_out_type type, sl_link link, const struct sl_addr *addr)
{
    struct todo *t = push(g);
    if (!t)
        return;
    t->out.type = type;
    t->out.link = link;
    if (addr)
        t->out.addr = *addr;
}

static void give_back(struct sl_gossip *g)
{
    sl_alloc_free(mem(g), g->lent, g->lent_len);
    g->lent = NULL;
    g->lent_len = 0;
}

bool sl_gossip_next_out(struct sl_gossip *g, struct sl_out *ret)
{
    give_back(g);
    if (g->n_todo == 0)
        return false;
    struct todo *t = &g->todo[g->todo_head];
    *ret = t->out;
    g->lent = t->bytes;
    g->lent_len = t->out.bytes.len;
    g->n_todo--;
    g->todo_head = g->n_todo ? g->todo_head + 1 : 0;
    return true;
}

void out_free(struct sl_gossip *g)
{
    give_back(g);
    for (size_t i = 0; i < g->n_todo; i++) {
        struct todo *t = &g->todo[g->todo_head + i];
        sl_alloc_free(mem(g), t->bytes, t->out.bytes.len);
    }
    sl_alloc_free(mem(g), g->todo, g->cap_todo * sizeof *g->todo);
}
