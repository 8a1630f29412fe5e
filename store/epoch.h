/* epoch.h: when may the owner free what readers in any thread may still be reading?
 *
 * Readers count themselves in and out, the owner replaces pointers and retires what they pointed
 * to, and frees it once nobody who could have seen it is left. No thread registers, no reader
 * waits, the owner polls and never waits.
 *
 * There are SL_EPOCH_SLOTS slots (a thread uses one for life; several may share one), each with two
 * counters, one for each phase. A reader
 *      R1  reads the phase (only a hint which of the two counters to take),
 *      R2  adds one to that counter of its slot,
 *      R3  loads the pointer and reads what is behind it,
 *      R4  takes the one away from the same counter.
 * The owner
 *      O1  exchanges every pointer to an object for another, then retires the object,
 *      O2  some time later begins a grace period with all that is retired by then,
 *      O3  reads each counter of both phases, again and again, until it has seen it at zero once,
 *      O4  and frees that batch when that is so for every counter.
 *
 * Safe: R2, R3, O1 and O3 are sequentially consistent, so they have one total order S. Take a
 * reader and the counter it uses, and the moment of O3 at which the owner saw that counter at zero.
 *  - R2 after O3 in S: O1 < O3 < R2 < R3, so the reader finds the new pointer and never had the
 *    object.
 *  - R2 before O3 in S: the counter holds the reader's one until R4, and the owner saw zero, so R4
 *    was before. R4 releases, later changes of the counter are read-modify-writes and so belong to
 *    its release sequence, O3 acquires: whatever the reader read happened before O4.
 * The phase does not occur in this argument. Take the race that schemes of this kind fail on: a
 * reader reads the phase, sleeps through any number of turns, and only then counts itself into a
 * counter long seen at zero. It falls under the first case for all that was retired before, and is
 * seen by O3 of every later batch, since each batch asks every counter of both phases anew.
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

#include "base/port.h"

#define SL_EPOCH_SLOTS 32
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
    /* the owner's */
    struct sl_garbage *fresh;   /* retired since the grace period began */
    struct sl_garbage *waiting; /* freed at its end; NULL: there is none */
    uint32_t unseen[2];         /* slots whose counter of a phase was not seen at zero in it yet */
    bool turned;                /* the phase was turned in it */
};

void sl_epoch_init(struct sl_epoch *e);
/* Free everything. No reader may be inside. */
void sl_epoch_fini(struct sl_epoch *e, const struct sl_alloc *alloc);

/* Begin to read; load pointers with memory_order_seq_cst (R3). What comes back is for
 * sl_epoch_exit. Nests, and signal handlers may. */
_Atomic uint32_t *sl_epoch_enter(struct sl_epoch *e);
void sl_epoch_exit(_Atomic uint32_t *readers);

/* No pointer that readers load leads to *g any more; exchanged with memory_order_seq_cst (O1). */
void sl_epoch_retire(struct sl_epoch *e, struct sl_garbage *g);
/* Free what no reader can hold any more, by its `release`; how many that were. */
size_t sl_epoch_poll(struct sl_epoch *e, const struct sl_alloc *alloc);

#endif
