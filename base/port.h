/* port.h: what the rooms without I/O are handed instead of fetching it: memory, chance, secrets, a
 * place for log lines. node/ implements these over the system, tests/sim over its own world. */
#ifndef SL_BASE_PORT_H
#define SL_BASE_PORT_H

#include "base/types.h"

/* Memory. `resize` follows realloc, with sizes: new_size 0 frees and returns NULL, ptr NULL
 * allocates; NULL on failure, then the old block stands. */
struct sl_alloc {
    void *(*resize)(void *context, void *ptr, size_t old_size, size_t new_size);
    void *context;
};

/* Zeroed memory, or NULL. */
void *sl_alloc_zero(const struct sl_alloc *a, size_t size) SL_MUST_USE;
void sl_alloc_free(const struct sl_alloc *a, void *ptr, size_t size);

/* Grow *array (elements of `size` bytes, room for *cap) so that `n` fit: doubles from 8, new room
 * is zeroed. 0 or STARLING_ENOMEM, then nothing changed. */
int sl_alloc_grow(const struct sl_alloc *a, void **array, size_t size, size_t *cap, size_t n)
    SL_MUST_USE;

/* Chance: xoshiro256** (Blackman, Vigna 2018), seeded through splitmix64. Not for secrets. */
struct sl_rand {
    uint64_t s[4];
};

void sl_rand_seed(struct sl_rand *r, uint64_t seed);
uint64_t sl_rand_u64(struct sl_rand *r);
/* Uniform in [0, n), n > 0. */
uint64_t sl_rand_below(struct sl_rand *r, uint64_t n);
/* Uniform in [low, high]. */
sl_usec sl_rand_span(struct sl_rand *r, sl_usec low, sl_usec high);

/* Secrets and hashes. node/crypto.c implements them with libsodium; the simulator may use a cheap
 * model with the same shape. */
struct sl_crypto {
    /* BLAKE2b over the concatenated parts; out_len 8..64, key_len 0..64. */
    void (*hash)(void *context, uint8_t *out, size_t out_len, const uint8_t *key, size_t key_len,
                 const struct sl_span *parts, size_t n_parts);
    /* Ed25519 with this node's own secret key. */
    void (*sign)(void *context, uint8_t sig[SL_SIG_LEN], const uint8_t *msg, size_t len);
    bool (*verify)(void *context, const uint8_t key[SL_KEY_LEN], const uint8_t *msg, size_t len,
                   const uint8_t sig[SL_SIG_LEN]);
    void *context;
};

/* Log lines. */
enum sl_log_level { SL_ERROR = 1, SL_WARNING = 2, SL_INFO = 3, SL_DEBUG = 4 };

struct sl_log {
    void (*write)(void *context, int level, const char *line); /* NULL = silent */
    void *context;
    int level; /* highest level written */
};

void sl_log(const struct sl_log *log, int level, const char *format, ...) SL_PRINTF(3, 4);

#endif
