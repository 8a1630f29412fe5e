/* memory.h: memory for the world, and the counting allocator it lends to its cores. The world
 * itself does not survive a lack of memory: it says so and ends with status 2. A core must
 * survive it, so what is lent to cores can be told to fail. */
#ifndef SL_SIM_MEMORY_H
#define SL_SIM_MEMORY_H

#include "base/port.h"

/* Never NULL; new memory is zeroed by sim_zero alone. */
void *sim_resize(void *p, size_t size);
void *sim_zero(size_t size);

/* Shared by all cores of a world. */
struct sim_memory {
    uint64_t used, peak;    /* bytes lent now, and at most */
    uint64_t n_failed;      /* refused on purpose */
    uint64_t n_wrong_sizes; /* blocks given back with another size than they were taken with */
    bool exact;             /* keep each block's size and compare (16 bytes a block) */
};

/* One core's account, or that of what they share. */
struct sim_account {
    struct sim_memory *memory;
    uint64_t used, peak; /* bytes; the peak since somebody last looked (always.c) */
    struct sl_rand rand;
    uint32_t fail_ppm; /* of its allocations, in millionths; 0 = none */
};

struct sl_alloc sim_account_alloc(struct sim_account *a);

#endif
