/* change.c: what watchers are still to be told, a bounded ring.
 * An entry is a few words and a reference to what it is about; texts are made when it is taken. */
#include "store/inside.h"

#include <assert.h>
#include <stdio.h>

#include "base/bytes.h"

#define RING_KEPT 64 /* entries of room kept while nothing waits */

int sl_changes_reserve(struct sl_changes *c, const struct sl_alloc *alloc, size_t more)
{
    size_t need = more < SL_CHANGES_MAX - c->n ? c->n + more : SL_CHANGES_MAX;
    if (need <= c->cap)
        return 0;
    size_t cap = RING_KEPT;
    while (cap < need)
        cap *= 2;
    struct sl_waiting_change *ring = sl_alloc_zero(alloc, cap * sizeof *ring);
    if (!ring)
        return STARLING_ENOMEM;
    for (uint32_t i = 0; i < c->n; i++)
        ring[i] = c->ring[(c->head + i) % c->cap];
    sl_alloc_free(alloc, c->ring, c->cap * sizeof *ring);
    c->ring = ring;
    c->cap = (uint32_t)cap;
    c->head = 0;
    return 0;
}

static void drop_oldest(struct sl_changes *c, const struct sl_alloc *alloc)
{
    struct sl_waiting_change *w = &c->ring[c->head];
    sl_seen_unref(alloc, w->seen);
    sl_offer_unref(alloc, w->offer);
    c->head = (c->head + 1) % c->cap;
    c->n--;
}

static void push(struct sl_changes *c, const struct sl_alloc *alloc,
                 struct sl_waiting_change change)
{
    if (c->n == SL_CHANGES_MAX) {
        drop_oldest(c, alloc);
        c->lost = true;
    }
    assert(c->n < c->cap);
    c->ring[(c->head + c->n) % c->cap] = change;
    c->n++;
}

void sl_changes_push_status(struct sl_changes *c, const struct sl_alloc *alloc,
                            struct sl_seen *seen, uint8_t status)
{
    push(c, alloc,
         (struct sl_waiting_change){
             .type = SL_MEMBER_STATUS, .status = status, .seen = sl_seen_ref(seen)});
}

void sl_changes_push_instance(struct sl_changes *c, const struct sl_alloc *alloc,
                              enum sl_change_type type, struct sl_offer *offer)
{
    push(c, alloc, (struct sl_waiting_change){.type = type, .offer = sl_offer_ref(offer)});
}

static void copy_text(char *out, size_t cap, const char *text)
{
    sl_copy_text(out, cap, text, strlen(text));
}

static void tell_member(const struct sl_waiting_change *w, struct sl_change *ret)
{
    const struct sl_seen *info = w->seen;
    ret->status = w->status;
    ret->id = info->id;
    copy_text(ret->node, sizeof ret->node, info->name);
    sl_addr_format(ret->address, &info->addr);
}

static void tell_instance(const struct sl_waiting_change *w, struct sl_change *ret)
{
    const struct sl_instance *inst = &w->offer->inst;
    copy_text(ret->tenant, sizeof ret->tenant, w->offer->tenant);
    copy_text(ret->service, sizeof ret->service, w->offer->service);
    if (w->type == SL_SERVICE_PANIC || w->type == SL_SERVICE_CALM)
        return;
    ret->status = inst->status;
    ret->id = inst->id;
    copy_text(ret->node, sizeof ret->node, inst->node);
    snprintf(ret->address, sizeof ret->address, strchr(inst->host, ':') ? "[%s]:%u" : "%s:%u",
             inst->host, inst->port);
    ret->health = inst->health;
    ret->weight = inst->weight;
}

bool sl_changes_next(struct sl_changes *c, const struct sl_alloc *alloc, struct sl_change *ret)
{
    if (c->lost) {
        c->lost = false;
        *ret = (struct sl_change){.type = SL_CHANGES_LOST};
        return true;
    }
    if (c->n == 0)
        return false;
    const struct sl_waiting_change *w = &c->ring[c->head];
    *ret = (struct sl_change){.type = w->type};
    if (w->seen)
        tell_member(w, ret);
    else
        tell_instance(w, ret);
    drop_oldest(c, alloc);
    if (c->n == 0 && c->cap > RING_KEPT)
        sl_changes_fini(c, alloc);
    return true;
}

void sl_changes_fini(struct sl_changes *c, const struct sl_alloc *alloc)
{
    while (c->n > 0)
        drop_oldest(c, alloc);
    sl_alloc_free(alloc, c->ring, c->cap * sizeof *c->ring);
    c->ring = NULL;
    c->cap = c->head = 0;
}
