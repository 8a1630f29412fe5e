/* load.h: what this process has seen of an instance: how many of its own requests are out, and how
 * long answers take. It changes with every request, so it is kept apart from the rosters, which
 * change with news: a block of one cache line for each instance, which outlives rosters and versions
 * of the instance. What one caller saw is his alone and never told to the flock.
 *
 * Blocks are taken from and given back to a table by the owner. A ticket names a block by its
 * number, its life (a block given back and taken again begins another) and the period of the pick,
 * so that one given back late, twice or never does no harm:
 *
 * Requests out are counted in four buckets, by the period of 20 s in which they were picked, each
 * tagged with life and period. A bucket whose tag is not one of the last four periods of this life
 * counts for nothing: a ticket that is never given back is forgotten 60 to 80 s later without
 * anybody looking after it. The count sits in the upper half of the word: what is taken off by
 * mistake and added again never touches the tag.
 *
 * All but taking and giving back is for any thread, wait-free, one locked instruction for a pick and
 * one for a `done`. */
#ifndef SL_STORE_LOAD_H
#define SL_STORE_LOAD_H

#include <starling.h>
#include <stdatomic.h>

#include "base/port.h"

#define SL_LOAD_BUCKETS 4
#define SL_LOAD_PERIOD_MS 20000
#define SL_LOAD_SAMPLE_MAX_US 30000000u /* what a failure counts at most */

struct sl_load {
    _Atomic uint64_t out[SL_LOAD_BUCKETS]; /* requests << 32 | life << 16 | period */
    _Atomic uint64_t latency;   /* ms of the last sample << 32 | EWMA in us, 0 = unknown */
    _Atomic uint32_t picked_ms; /* when last picked */
    _Atomic uint32_t moved_ms;  /* last answer, or pick while nothing was out */
    /* the owner's */
    uint32_t number;
    uint32_t refs;
    uint32_t next_free; /* + 1 */
    _Atomic uint16_t life;
};

/* ---- the table ---- */

#define SL_LOAD_CHUNK 64 /* blocks allocated together */
#define SL_LOAD_FAN 256  /* of both levels above: 4,194,304 blocks */

struct sl_loads {
    const struct sl_alloc *alloc;
    struct sl_load_chunks *_Atomic chunks[SL_LOAD_FAN];
    uint32_t n;               /* blocks there are */
    uint32_t free;            /* first of those not in use, + 1 */
    _Atomic uint64_t expired; /* tickets that were never given back, as far as it was noticed */
};

void sl_loads_init(struct sl_loads *t, const struct sl_alloc *alloc);
/* No reader may be inside. */
void sl_loads_fini(struct sl_loads *t);
/* A block nobody uses, with one reference; NULL: out of memory, or of numbers. */
struct sl_load *sl_load_take(struct sl_loads *t) SL_MUST_USE;
void sl_load_unref(struct sl_loads *t, struct sl_load *load);

/* ---- requests, `now` in milliseconds of any clock that does not go back; wraps ---- */

/* Count one that goes out; its ticket, never 0. `idle`: none was out. */
uint64_t sl_load_begin(struct sl_loads *t, struct sl_load *load, uint32_t now_ms, bool idle);
/* One came back. False: the ticket was given back before, has expired, or the instance has gone. */
bool sl_load_end(struct sl_loads *t, uint64_t ticket, uint32_t now_ms,
                 enum starling_outcome outcome, uint32_t latency_us, uint32_t timeout_us);
/* ---- looking, inline: a pick looks at two ---- */

#define SL_LOAD_TAU_MS 10000.0f
#define SL_LOAD_AGE_MIN_MS 16 /* a caller's coarse clock moves in steps of up to 10 ms */

static inline uint32_t sl_load_tag(const struct sl_load *load, uint32_t now_ms)
{
    uint32_t life = atomic_load_explicit(&load->life, memory_order_relaxed);
    return life << 16 | (now_ms / SL_LOAD_PERIOD_MS & 0xffff);
}

/* What was taken off once too often reads as a number near 2^32 until it is added again. */
static inline uint32_t sl_load_count(uint64_t word)
{
    uint32_t n = (uint32_t)(word >> 32);
    return n < UINT32_C(1) << 31 ? n : 0;
}

/* Requests out. */
static inline uint32_t sl_load_out(const struct sl_load *load, uint32_t now_ms)
{
    uint32_t tag = sl_load_tag(load, now_ms), n = 0;
    for (int i = 0; i < SL_LOAD_BUCKETS; i++) {
        uint64_t word = atomic_load_explicit(&load->out[i], memory_order_relaxed);
        uint32_t own = (uint32_t)word;
        bool counts = own >> 16 == tag >> 16 && ((tag - own) & 0xffff) < SL_LOAD_BUCKETS;
        n += counts ? sl_load_count(word) : 0;
    }
    return n;
}

/* e^(-ms / tau), to 2 % and without a division up to tau, from above beyond: what is old counts a
 * little longer. */
static inline float sl_load_decay(uint32_t ms)
{
    float x = (float)ms * (1 / SL_LOAD_TAU_MS);
    if (x < 1)
        return 1 - x * (1 - x * (0.5f - x * (1.0f / 6 - x * (1.0f / 24))));
    return 1 / (1 + x * (1 + x * (0.5f + x * (1.0f / 6))));
}

/* Microseconds that an answer is expected to take: the EWMA as it has decayed by now, or the age of
 * what is out when that is more. 0: nothing is known. */
static inline float sl_load_latency(const struct sl_load *load, uint32_t now_ms, uint32_t out)
{
    uint64_t word = atomic_load_explicit(&load->latency, memory_order_relaxed);
    float us = (float)(uint32_t)word;
    uint32_t age_ms = now_ms - (uint32_t)(word >> 32);
    if (us > 0 && age_ms > 0 && age_ms < UINT32_C(1) << 31)
        us *= sl_load_decay(age_ms);
    if (out > 0) {
        /* Nothing came back for longer than an answer takes: it hangs, or is about to be slow. */
        uint32_t still_ms = now_ms - atomic_load_explicit(&load->moved_ms, memory_order_relaxed);
        if (still_ms >= SL_LOAD_AGE_MIN_MS && still_ms < UINT32_C(1) << 31 &&
            (float)still_ms * 1000 > us)
            us = (float)still_ms * 1000;
    }
    return us;
}

#endif
