/* types.h: the handful of types every room speaks. */
#ifndef SL_BASE_TYPES_H
#define SL_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Monotonic time or a span of it, in microseconds. Always passed in, never fetched. */
typedef int64_t sl_usec;
#define SL_NEVER INT64_MAX
#define SL_MS(n) (1000 * (sl_usec)(n))
#define SL_SEC(n) (1000000 * (sl_usec)(n))

/* t + span, saturating at SL_NEVER: a deadline never wraps into the past. */
static inline sl_usec sl_after(sl_usec t, sl_usec span)
{
    return span > SL_NEVER - t ? SL_NEVER : t + span;
}

static inline sl_usec sl_earlier(sl_usec a, sl_usec b)
{
    return a < b ? a : b;
}

#define SL_ID_LEN 16
#define SL_KEY_LEN 32 /* Ed25519 and X25519 public keys */
#define SL_SIG_LEN 64

/* Node id: BLAKE2b-128 of the node's Ed25519 key. */
struct sl_id {
    uint8_t b[SL_ID_LEN];
};

static inline bool sl_id_eq(const struct sl_id *a, const struct sl_id *b)
{
    return memcmp(a->b, b->b, SL_ID_LEN) == 0;
}

static inline int sl_id_cmp(const struct sl_id *a, const struct sl_id *b)
{
    return memcmp(a->b, b->b, SL_ID_LEN);
}

/* Borrowed bytes. */
struct sl_span {
    const uint8_t *p;
    size_t len;
};

static inline struct sl_span sl_span_of(const void *p, size_t len)
{
    struct sl_span s = {(const uint8_t *)p, len};
    return s;
}

#if defined(__GNUC__)
#define SL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SL_MUST_USE __attribute__((warn_unused_result))
#else
#define SL_PRINTF(fmt, args)
#define SL_MUST_USE
#endif

#define SL_COUNT(array) (sizeof(array) / sizeof(array)[0])

#endif
