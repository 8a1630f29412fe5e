/* load.c: requests out and how long they take, for each instance.
 * Peak-sensitive EWMA after Finagle's `peakEwma` and its successor in Linkerd: a slower answer counts
 * at once, a faster one little by little. Failures count as slow answers (go-zero, brpc), or an
 * instance that fails within microseconds would attract everything. */
#include "store/load.h"

#include <assert.h>

_Static_assert(sizeof(struct sl_load) <= 64, "one cache line");

struct line {
    _Alignas(64) struct sl_load load;
};

/* The middle level of the table. */
struct sl_load_chunks {
    struct line *_Atomic chunk[SL_LOAD_FAN];
    void *memory[SL_LOAD_FAN]; /* as allocated, before it was aligned */
};

#define CHUNK_BYTES (SL_LOAD_CHUNK * sizeof(struct line) + 63)

/* ---- the table ------------------------------------------------------------------------------ */

void sl_loads_init(struct sl_loads *t, const struct sl_alloc *alloc)
{
    memset(t, 0, sizeof *t);
    t->alloc = alloc;
}

void sl_loads_fini(struct sl_loads *t)
{
    for (size_t i = 0; i < SL_LOAD_FAN; i++) {
        struct sl_load_chunks *c = atomic_load_explicit(&t->chunks[i], memory_order_relaxed);
        for (size_t k = 0; c && k < SL_LOAD_FAN; k++)
            sl_alloc_free(t->alloc, c->memory[k], CHUNK_BYTES);
        sl_alloc_free(t->alloc, c, sizeof *c);
    }
}

/* NULL where no block of that number was ever made. */
static struct sl_load *block_of(const struct sl_loads *t, uint32_t number)
{
    uint32_t chunk = number / SL_LOAD_CHUNK;
    if (chunk / SL_LOAD_FAN >= SL_LOAD_FAN)
        return NULL;
    /* Both pair with the stores in add_chunk. */
    struct sl_load_chunks *c =
        atomic_load_explicit(&t->chunks[chunk / SL_LOAD_FAN], memory_order_acquire);
    if (!c)
        return NULL;
    struct line *line = atomic_load_explicit(&c->chunk[chunk % SL_LOAD_FAN], memory_order_acquire);
    return line ? &line[number % SL_LOAD_CHUNK].load : NULL;
}

static bool add_chunk(struct sl_loads *t)
{
    uint32_t chunk = t->n / SL_LOAD_CHUNK;
    if (chunk / SL_LOAD_FAN >= SL_LOAD_FAN)
        return false;
    struct sl_load_chunks *c =
        atomic_load_explicit(&t->chunks[chunk / SL_LOAD_FAN], memory_order_relaxed);
    if (!c) {
        c = sl_alloc_zero(t->alloc, sizeof *c);
        if (!c)
            return false;
        atomic_store_explicit(&t->chunks[chunk / SL_LOAD_FAN], c, memory_order_release);
    }
    void *memory = sl_alloc_zero(t->alloc, CHUNK_BYTES);
    if (!memory)
        return false;
    struct line *lines = (struct line *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    for (uint32_t i = SL_LOAD_CHUNK; i-- > 0;) {
        struct sl_load *load = &lines[i].load;
        load->number = t->n + i;
        load->next_free = t->free;
        t->free = load->number + 1;
    }
    c->memory[chunk % SL_LOAD_FAN] = memory;
    atomic_store_explicit(&c->chunk[chunk % SL_LOAD_FAN], lines, memory_order_release);
    t->n += SL_LOAD_CHUNK;
    return true;
}

struct sl_load *sl_load_take(struct sl_loads *t)
{
    if (t->free == 0 && !add_chunk(t))
        return NULL;
    struct sl_load *load = block_of(t, t->free - 1);
    t->free = load->next_free;
    /* Another life: the buckets of the former one count for nothing, and its tickets end nothing. */
    uint16_t life = atomic_load_explicit(&load->life, memory_order_relaxed);
    atomic_store_explicit(&load->life, (uint16_t)(life + 1), memory_order_relaxed);
    atomic_store_explicit(&load->latency, 0, memory_order_relaxed);
    atomic_store_explicit(&load->picked_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&load->moved_ms, 0, memory_order_relaxed);
    load->refs = 1;
    return load;
}

void sl_load_unref(struct sl_loads *t, struct sl_load *load)
{
    if (!load || --load->refs > 0)
        return;
    load->next_free = t->free;
    t->free = load->number + 1;
}

/* ---- requests out --------------------------------------------------------------------------- */

/* number << 40 | life << 24 | period << 8 | 1 */
static uint64_t make_ticket(uint32_t number, uint32_t tag)
{
    return (uint64_t)number << 40 | (uint64_t)tag << 8 | 1;
}

/* The bucket begins the period anew. False: somebody else was faster. */
static bool turn_bucket(struct sl_loads *t, _Atomic uint64_t *bucket, uint64_t word, uint32_t tag)
{
    if (!atomic_compare_exchange_strong_explicit(bucket, &word, UINT64_C(1) << 32 | tag,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    if ((uint32_t)word >> 16 == tag >> 16 && sl_load_count(word) > 0)
        atomic_fetch_add_explicit(&t->expired, sl_load_count(word), memory_order_relaxed);
    return true;
}

uint64_t sl_load_begin(struct sl_loads *t, struct sl_load *load, uint32_t now_ms, bool idle)
{
    uint32_t tag = sl_load_tag(load, now_ms);
    _Atomic uint64_t *bucket = &load->out[tag % SL_LOAD_BUCKETS];
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
    /* A loser of the turn finds the bucket turned; should it have turned once more, 80 s have passed
     * in between, and the count is off by one until it turns again. */
    if ((uint32_t)word == tag || !turn_bucket(t, bucket, word, tag))
        atomic_fetch_add_explicit(bucket, UINT64_C(1) << 32, memory_order_relaxed);
    atomic_store_explicit(&load->picked_ms, now_ms, memory_order_relaxed);
    if (idle)
        atomic_store_explicit(&load->moved_ms, now_ms, memory_order_relaxed);
    return make_ticket(load->number, tag);
}

/* ---- latency -------------------------------------------------------------------------------- */

static uint32_t cost_of_failure(uint32_t elapsed_us, uint32_t ewma_us, uint32_t timeout_us)
{
    uint32_t us = elapsed_us;
    if (us < timeout_us)
        us = timeout_us;
    if (us < SL_LOAD_SAMPLE_MAX_US && us < 2 * ewma_us)
        us = 2 * ewma_us;
    return us < SL_LOAD_SAMPLE_MAX_US ? us : SL_LOAD_SAMPLE_MAX_US;
}

/* Threads that answer at once may lose one another's samples: the next one makes up for it. */
static void take_sample(struct sl_load *load, uint32_t now_ms, bool failed, uint32_t latency_us,
                        uint32_t timeout_us)
{
    uint64_t word = atomic_load_explicit(&load->latency, memory_order_relaxed);
    uint32_t age_ms = now_ms - (uint32_t)(word >> 32);
    float keep = age_ms < UINT32_C(1) << 31 ? sl_load_decay(age_ms) : 1.0f;
    float before = (float)(uint32_t)word * keep;
    uint32_t sample = latency_us < SL_LOAD_SAMPLE_MAX_US ? latency_us : SL_LOAD_SAMPLE_MAX_US;
    if (failed)
        sample = cost_of_failure(sample, (uint32_t)before, timeout_us);
    float us = (float)sample;
    if (us < before)
        us = before + us * (1.0f - keep);
    uint64_t after = (uint64_t)now_ms << 32 | (us < 1.0f ? 1u : (uint32_t)us);
    atomic_store_explicit(&load->latency, after, memory_order_relaxed);
}

bool sl_load_end(struct sl_loads *t, uint64_t ticket, uint32_t now_ms,
                 enum starling_outcome outcome, uint32_t latency_us, uint32_t timeout_us)
{
    uint32_t tag = (uint32_t)(ticket >> 8);
    struct sl_load *load = (ticket & 0xff) == 1 ? block_of(t, (uint32_t)(ticket >> 40)) : NULL;
    if (!load)
        return false;
    _Atomic uint64_t *bucket = &load->out[tag % SL_LOAD_BUCKETS];
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
    if ((uint32_t)word != tag || sl_load_count(word) == 0 ||
        tag >> 16 != sl_load_tag(load, now_ms) >> 16)
        return false;
    word = atomic_fetch_sub_explicit(bucket, UINT64_C(1) << 32, memory_order_relaxed);
    if ((uint32_t)word != tag || sl_load_count(word) == 0) {
        atomic_fetch_add_explicit(bucket, UINT64_C(1) << 32, memory_order_relaxed);
        return false;
    }
    atomic_store_explicit(&load->moved_ms, now_ms, memory_order_relaxed);
    if (outcome == STARLING_OK && latency_us > 0)
        take_sample(load, now_ms, false, latency_us, timeout_us);
    else if (outcome != STARLING_OK && outcome != STARLING_CANCELLED)
        take_sample(load, now_ms, true, latency_us, timeout_us);
    return true;
}
