/* memory.c: the counting allocator. A refusal is drawn from the account's own stream, so that it
 * never moves anybody else's chance. */
#include "tests/sim/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define GUARD 16 /* bytes in front of a block; keeps the alignment of malloc */

void *sim_resize(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (q == NULL) {
        fputs("starling-sim: out of memory\n", stderr);
        exit(2);
    }
    return q;
}

void *sim_zero(size_t size)
{
    return memset(sim_resize(NULL, size), 0, size);
}

/* The block as malloc knows it; its recorded size is compared with what the core believes. */
static void *unwrap(struct sim_memory *m, void *ptr, size_t old_size)
{
    if (ptr == NULL || !m->exact)
        return ptr;
    uint8_t *base = (uint8_t *)ptr - GUARD;
    size_t recorded;
    memcpy(&recorded, base, sizeof recorded);
    if (recorded != old_size)
        m->n_wrong_sizes++;
    return base;
}

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct sim_account *a = context;
    struct sim_memory *m = a->memory;
    if (new_size == 0) {
        free(unwrap(m, ptr, old_size));
        m->used -= ptr ? old_size : 0;
        a->used -= ptr ? old_size : 0;
        return NULL;
    }
    if (a->fail_ppm && sl_rand_below(&a->rand, 1000000) < a->fail_ppm) {
        m->n_failed++;
        return NULL;
    }
    size_t guard = m->exact ? GUARD : 0;
    uint8_t *base = realloc(unwrap(m, ptr, old_size), new_size + guard);
    if (base == NULL)
        return NULL;
    if (guard)
        memcpy(base, &new_size, sizeof new_size);
    m->used += new_size - (ptr ? old_size : 0);
    a->used += new_size - (ptr ? old_size : 0);
    if (m->used > m->peak)
        m->peak = m->used;
    if (a->used > a->peak)
        a->peak = a->used;
    return base + guard;
}

struct sl_alloc sim_account_alloc(struct sim_account *a)
{
    return (struct sl_alloc){.resize = resize, .context = a};
}
