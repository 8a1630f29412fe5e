/* epoch.c: safe memory reclamation. Why it is safe is in epoch.h; R1-R4 and O1-O4 are its steps. */
#include "store/epoch.h"

#include <pthread.h>

#define SHARED (SL_EPOCH_SLOTS - 1)
_Static_assert(SL_EPOCH_SLOTS == 64, "one bit each in `unseen` and `taken`");

/* ---- who has which slot --------------------------------------------------------------------- */

/* The one piece of state that outlives a store: a thread has the same number in all of them. */
static _Atomic uint64_t taken = UINT64_C(1) << SHARED;
static _Thread_local uint32_t own_slot; /* + 1; 0 = none yet */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;
static bool ends_are_told;

/* Runs as the thread ends: its counters are at zero, and its last word on them is released. */
static void give_back(void *value)
{
    uint32_t slot = (uint32_t)((uintptr_t)value - 1);
    atomic_fetch_and_explicit(&taken, ~(UINT64_C(1) << slot), memory_order_release);
    own_slot = SHARED + 1; /* a destructor that runs later may still read */
}

static void prepare_ends(void)
{
    ends_are_told = pthread_key_create(&at_thread_end, give_back) == 0;
}

/* Out of the way of a read, which comes here once in a thread. */
static uint32_t take_slot(void)
{
    own_slot = SHARED + 1;
    (void)pthread_once(&once, prepare_ends);
    uint64_t seen = atomic_load_explicit(&taken, memory_order_relaxed);
    while (ends_are_told && seen != UINT64_MAX) {
        uint32_t slot = (uint32_t)__builtin_ctzll(~seen);
        /* Acquires what the slot's last thread released. */
        if (!atomic_compare_exchange_weak_explicit(&taken, &seen, seen | UINT64_C(1) << slot,
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        if (pthread_setspecific(at_thread_end, (void *)(uintptr_t)(slot + 1)) == 0)
            own_slot = slot + 1;
        else
            atomic_fetch_and_explicit(&taken, ~(UINT64_C(1) << slot), memory_order_release);
        break;
    }
    return own_slot - 1;
}

static inline uint32_t slot_of_this_thread(void)
{
    return own_slot != 0 ? own_slot - 1 : take_slot();
}

/* ---- reading -------------------------------------------------------------------------------- */

void sl_epoch_init(struct sl_epoch *e, sl_barrier *barrier)
{
    memset(e, 0, sizeof *e);
    for (size_t i = 0; i < SL_EPOCH_SLOTS; i++) {
        atomic_init(&e->slots[i].readers[0], 0);
        atomic_init(&e->slots[i].readers[1], 0);
    }
    atomic_init(&e->phase, 0);
    e->barrier = barrier;
    e->again_at = SL_NEVER;
    e->patience = SL_EPOCH_EVERY;
}

struct sl_reader sl_epoch_enter(struct sl_epoch *e)
{
    uint32_t slot = slot_of_this_thread();
    /* R1. Relaxed, pairs with the turn in sl_epoch_poll: any value will do. */
    uint32_t phase = atomic_load_explicit(&e->phase, memory_order_relaxed);
    _Atomic uint32_t *readers = &e->slots[slot].readers[phase];
    /* R2. Pairs with the load in scan. A signal handler in between leaves the count as it was. */
    if (e->barrier && slot != SHARED) {
        uint32_t n = atomic_load_explicit(readers, memory_order_relaxed);
        atomic_store_explicit(readers, n + 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst); /* the compiler's half; O2 has the other */
    } else {
        atomic_fetch_add_explicit(readers, 1, memory_order_seq_cst);
    }
    return (struct sl_reader){.readers = readers, .slot = slot};
}

void sl_epoch_exit(struct sl_reader r)
{
    /* R4. Pairs with the load in scan: the reads are over before anything is freed. */
    if (r.slot != SHARED) {
        uint32_t n = atomic_load_explicit(r.readers, memory_order_relaxed);
        atomic_store_explicit(r.readers, n - 1, memory_order_release);
    } else {
        atomic_fetch_sub_explicit(r.readers, 1, memory_order_release);
    }
}

/* ---- the owner ------------------------------------------------------------------------------ */

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

void sl_epoch_retire(struct sl_epoch *e, struct sl_garbage *g)
{
    g->next = e->fresh;
    e->fresh = g;
    e->n_fresh++;
}

/* O3: tick off the counters of a phase that are at zero. */
static void scan(struct sl_epoch *e, uint32_t phase)
{
    for (uint32_t i = 0; i < SL_EPOCH_SLOTS; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (!(e->unseen[phase] & bit))
            continue;
        /* Pairs with R2 and R4 above. */
        if (atomic_load_explicit(&e->slots[i].readers[phase], memory_order_seq_cst) == 0)
            e->unseen[phase] &= ~bit;
    }
}

/* O2. False: not yet, or the barrier failed. */
static bool begin(struct sl_epoch *e, sl_usec now)
{
    if (e->barrier) {
        if ((now < e->begin_at && e->n_fresh < SL_EPOCH_FRESH_MAX) || !e->barrier())
            return false;
        e->begin_at = sl_after(now, SL_EPOCH_EVERY);
    }
    e->waiting = e->fresh;
    e->fresh = NULL;
    e->n_fresh = 0;
    e->unseen[0] = e->unseen[1] = UINT64_MAX;
    e->turned = false;
    e->patience = SL_EPOCH_EVERY;
    return true;
}

/* When to ask again: ever more seldom, since some readers are inside for long, and one that has died
 * there is for ever. */
static sl_usec come_back(struct sl_epoch *e, sl_usec now)
{
    if (!e->waiting)
        return !e->fresh           ? SL_NEVER
               : e->begin_at > now ? e->begin_at
                                   : sl_after(now, SL_EPOCH_EVERY);
    sl_usec at = sl_after(now, e->patience);
    if (e->patience < SL_SEC(1))
        e->patience *= 2;
    return at;
}

size_t sl_epoch_poll(struct sl_epoch *e, const struct sl_alloc *alloc, sl_usec now)
{
    size_t n_freed = 0;
    while (e->waiting || e->fresh) {
        if (!e->waiting && !begin(e, now))
            break;
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
        e->patience = SL_EPOCH_EVERY;
    }
    e->again_at = come_back(e, now);
    return n_freed;
}
