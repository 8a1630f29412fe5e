/* epoch.h: when may the owner free what readers in any thread may still be reading?
 *
 * Readers count themselves in and out, the owner replaces pointers and retires what they pointed
 * to, and frees it once nobody who could have seen it is left. No thread registers, no reader
 * waits, the owner polls and never waits.
 *
 * There are SL_EPOCH_SLOTS slots, each with two counters, one for each phase. A thread has a slot
 * to itself from its first read until it ends; those that come when none is free share the last. A
 * reader
 *      R1  reads the phase (only a hint which of the two counters to take),
 *      R2  adds one to that counter of its slot,
 *      R3  loads the pointer and reads what is behind it,
 *      R4  takes the one away from the same counter.
 * The owner
 *      O1  exchanges every pointer to an object for another, then retires the object,
 *      O2  some time later begins a grace period with all that is retired by then, with a barrier,
 *      O3  reads each counter of both phases, again and again, until it has seen it at zero once,
 *      O4  and frees that batch when that is so for every counter.
 *
 * The barrier of O2 makes every thread of the process run a full memory barrier at some moment
 * between its begin and its end (membarrier(2), as in liburcu's `memb` flavour: Desnoyers et al.,
 * "User-level implementations of read-copy update", IEEE TPDS 23(2), 2012, section 4.2). It is the
 * owner that pays for it, some hundred nanoseconds a batch, and a reader with a slot to itself needs
 * neither a fence nor a locked instruction. Where there is no such call R2 is a sequentially
 * consistent read-modify-write, as it always is in the shared slot.
 *
 * Safe. Take a reader, the counter it uses, and the moment of O3 at which the owner saw that
 * counter at zero.
 *  - With the barrier: take the moment at which the reader's thread ran it. R3 after that moment
 *    finds the new pointer, since O1 was before the barrier. R3 before it: so was R2, which is
 *    earlier in the program (the compiler keeps that order), and so is visible to O3, which is after
 *    the barrier.
 *  - Without it: R2, R3, O1 and O3 are sequentially consistent, so they have one total order. R2
 *    after O3 means O1 < O3 < R2 < R3, so the reader finds the new pointer; R2 before O3 is seen.
 *  - A counter that shows R2 holds the reader's one until R4, and the owner saw zero, so R4 was
 *    before. R4 releases and O3 acquires: whatever the reader read happened before O4. (In the
 *    shared slot later changes are read-modify-writes and belong to the release sequence of R4; in a
 *    thread's own they come after R4 in that thread.)
 * The phase does not occur in this argument. Take the race that schemes of this kind fail on: a
 * reader reads the phase, sleeps through any number of turns, and only then counts itself into a
 * counter long seen at zero. It finds the new pointers for all that was retired before, and is seen
 * by O3 of every later batch, since each batch asks every counter of both phases anew.
 *
 * Live: with one counter, readers that overlap could keep it above zero for ever. So once in a
 * grace period, when the counters of the idle phase have all been seen at zero, the owner turns the
 * phase: newcomers use the counters that are done with, and those still asked for drain.
 *
 * Bounded by readers alone: a thread that died in the middle of a read holds everything retired
 * after it. Reads do not block, so that takes an asynchronous cancellation. */
#ifndef SL_STORE_EPOCH_H
#define SL_STORE_EPOCH_H

#include <stdatomic.h>

#include "store/store.h"

#define SL_EPOCH_SLOTS 64 /* the last is shared */
#define SL_CACHE_LINE 64

/* Embedded in what is retired. */
struct sl_garbage {
    struct sl_garbage *next;
    void (*release)(const struct sl_alloc *alloc, struct sl_garbage *g);
};

struct sl_epoch_slot {
    _Atomic uint32_t readers[2];
    char apart[SL_CACHE_LINE - 2 * sizeof(uint32_t)]; /* two slots never share a cache line */
};

struct sl_epoch {
    struct sl_epoch_slot slots[SL_EPOCH_SLOTS];
    _Atomic uint32_t phase; /* 0 or 1: the counters that newcomers use */
    sl_barrier *barrier;    /* NULL: readers order themselves */
    /* the owner's */
    struct sl_garbage *fresh; /* retired since the grace period began */
    uint32_t n_fresh;
    sl_usec begin_at;           /* no grace period before, unless much waits */
    sl_usec again_at;           /* when to ask the counters again; SL_NEVER: nothing waits */
    sl_usec patience;           /* until then; doubles */
    struct sl_garbage *waiting; /* freed at its end; NULL: there is none */
    uint64_t unseen[2];         /* slots whose counter of a phase was not seen at zero in it yet */
    bool turned;                /* the phase was turned in it */
};

/* `barrier` may be NULL. */
void sl_epoch_init(struct sl_epoch *e, sl_barrier *barrier);
/* Free everything. No reader may be inside. */
void sl_epoch_fini(struct sl_epoch *e, const struct sl_alloc *alloc);

/* A reader inside: where it counted itself in. */
struct sl_reader {
    _Atomic uint32_t *readers;
    uint32_t
        slot; /* of this thread: who has a slot may have other things of its own by that number */
};

/* Begin to read; load pointers with memory_order_seq_cst (R3). Nests, and signal handlers may. */
struct sl_reader sl_epoch_enter(struct sl_epoch *e);
void sl_epoch_exit(struct sl_reader r);

/* No pointer that readers load leads to *g any more; exchanged with memory_order_seq_cst (O1). */
void sl_epoch_retire(struct sl_epoch *e, struct sl_garbage *g);
/* Free what no reader can hold any more, by its `release`; how many that were. A barrier interrupts
 * the processors that readers run on, so with one a grace period begins at most every SL_EPOCH_EVERY,
 * or when SL_EPOCH_FRESH_MAX objects wait. Call again at e->again_at. */
#define SL_EPOCH_EVERY SL_MS(100)
#define SL_EPOCH_FRESH_MAX 256
size_t sl_epoch_poll(struct sl_epoch *e, const struct sl_alloc *alloc, sl_usec now);

#endif
