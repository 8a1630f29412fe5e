/* heap.h: what will happen, in the order in which it will. Ordered by (time, sequence number):
 * two events of one instant happen in the order in which they were planned, so a run never
 * depends on how the heap is laid out. Commands of a scenario come before all else of their
 * instant, whenever they were planned: faults drawn during a run and the same faults read from a
 * file give the same run. */
#ifndef SL_SIM_HEAP_H
#define SL_SIM_HEAP_H

#include "base/types.h"

struct sim_event {
    sl_usec at;
    uint64_t seq;
    uint32_t kind;
    uint32_t node;
    uint64_t n;
    void *p;
};

struct sim_heap {
    struct sim_event *events;
    size_t n, cap;
    uint64_t seq, first_seq;
};

/* Memory that cannot be had ends the program (memory.h). `seq` is filled in. */
void sim_heap_push(struct sim_heap *h, struct sim_event e);
/* Likewise, before whatever else happens at that instant. */
void sim_heap_push_first(struct sim_heap *h, struct sim_event e);
/* The earliest event without taking it; NULL when there is none. */
const struct sim_event *sim_heap_first(const struct sim_heap *h);
bool sim_heap_pop(struct sim_heap *h, struct sim_event *ret);
void sim_heap_fini(struct sim_heap *h);

#endif
