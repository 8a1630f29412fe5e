/* heap.c: a binary heap on (time, sequence). */
#include "tests/sim/heap.h"

#include <stdlib.h>

#include "tests/sim/memory.h"

#define LATER (UINT64_C(1) << 63) /* behind those that come first */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void push(struct sim_heap *h, struct sim_event e)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 1024;
        h->events = sim_resize(h->events, h->cap * sizeof *h->events);
    }
    size_t i = h->n++;
    while (i > 0 && is_before(&e, &h->events[(i - 1) / 2])) {
        h->events[i] = h->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->events[i] = e;
}

void sim_heap_push(struct sim_heap *h, struct sim_event e)
{
    e.seq = h->seq++ | LATER;
    push(h, e);
}

void sim_heap_push_first(struct sim_heap *h, struct sim_event e)
{
    e.seq = h->first_seq++;
    push(h, e);
}

const struct sim_event *sim_heap_first(const struct sim_heap *h)
{
    return h->n ? &h->events[0] : NULL;
}

bool sim_heap_pop(struct sim_heap *h, struct sim_event *ret)
{
    if (h->n == 0)
        return false;
    *ret = h->events[0];
    struct sim_event last = h->events[--h->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && is_before(&h->events[child + 1], &h->events[child]))
            child++;
        if (!is_before(&h->events[child], &last))
            break;
        h->events[i] = h->events[child];
        i = child;
    }
    if (h->n)
        h->events[i] = last;
    return true;
}

void sim_heap_fini(struct sim_heap *h)
{
    free(h->events);
    *h = (struct sim_heap){0};
}
