/* epoch.c: safe memory reclamation. Why it is safe is in epoch.h; R1-R4 and O1-O4 are its steps. */
#include "store/epoch.h"

#define ALL_SLOTS UINT32_MAX
_Static_assert(SL_EPOCH_SLOTS == 32, "one bit each in `unseen`");

/* Slots are dealt out to threads in turn: the one piece of state that outlives a store. It decides
 * who shares a cache line with whom and nothing else. */
static _Atomic uint32_t threads_seen;
static _Thread_local uint32_t own_slot; /* + 1; 0 = none yet */

static uint32_t slot_of_this_thread(void)
{
    if (own_slot == 0)
        own_slot =
            atomic_fetch_add_explicit(&threads_seen, 1, memory_order_relaxed) % SL_EPOCH_SLOTS + 1;
    return own_slot - 1;
}

void sl_epoch_init(struct sl_epoch *e)
{
    memset(e, 0, sizeof *e);
    for (size_t i = 0; i < SL_EPOCH_SLOTS; i++) {
        atomic_init(&e->slots[i].readers[0], 0);
        atomic_init(&e->slots[i].readers[1], 0);
    }
    atomic_init(&e->phase, 0);
}

static size_t release_all(struct sl_garbage **list, const struct sl_alloc *alloc)
{
    size_t n = 0;
    struct sl_garbage *g = *list;
    *list = NULL;
    for (; g; n++) {
        struct sl_garbage *next = g->next;
        g->release(alloc, g);
        g = next;
    }
    return n;
}

void sl_epoch_fini(struct sl_epoch *e, const struct sl_alloc *alloc)
{
    release_all(&e->waiting, alloc);
    release_all(&e->fresh, alloc);
}

_Atomic uint32_t *sl_epoch_enter(struct sl_epoch *e)
{
    /* R1. Relaxed, pairs with the turn in sl_epoch_poll: any value will do. */
    uint32_t phase = atomic_load_explicit(&e->phase, memory_order_relaxed);
    _Atomic uint32_t *readers = &e->slots[slot_of_this_thread()].readers[phase];
    /* R2. Pairs with the load in scan: one of the two sees the other. */
    atomic_fetch_add_explicit(readers, 1, memory_order_seq_cst);
    return readers;
}

void sl_epoch_exit(_Atomic uint32_t *readers)
{
    /* R4. Pairs with the load in scan: the reads are over before anything is freed. */
    atomic_fetch_sub_explicit(readers, 1, memory_order_release);
}

void sl_epoch_retire(struct sl_epoch *e, struct sl_garbage *g)
{
    g->next = e->fresh;
    e->fresh = g;
}

/* O3: tick off the counters of a phase that are at zero. */
static void scan(struct sl_epoch *e, uint32_t phase)
{
    for (uint32_t i = 0; i < SL_EPOCH_SLOTS; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if (!(e->unseen[phase] & bit))
            continue;
        /* Pairs with R2 and R4 above. */
        if (atomic_load_explicit(&e->slots[i].readers[phase], memory_order_seq_cst) == 0)
            e->unseen[phase] &= ~bit;
    }
}

size_t sl_epoch_poll(struct sl_epoch *e, const struct sl_alloc *alloc)
{
    size_t n_freed = 0;
    while (e->waiting || e->fresh) {
        if (!e->waiting) { /* O2 */
            e->waiting = e->fresh;
            e->fresh = NULL;
            e->unseen[0] = e->unseen[1] = ALL_SLOTS;
            e->turned = false;
        }
        uint32_t phase = atomic_load_explicit(&e->phase, memory_order_relaxed); /* ours alone */
        scan(e, phase ^ 1);
        if (e->unseen[phase ^ 1] == 0 && !e->turned) {
            /* Pairs with R1. */
            atomic_store_explicit(&e->phase, phase ^ 1, memory_order_relaxed);
            e->turned = true;
        }
        scan(e, phase);
        if (e->unseen[0] != 0 || e->unseen[1] != 0)
            break;
        n_freed += release_all(&e->waiting, alloc); /* O4 */
    }
    return n_freed;
}
