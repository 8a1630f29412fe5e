/* port.c: the small helpers over the ports: zeroed and growing memory, chance, log lines. */
#include "base/port.h"

#include <assert.h>
#include <starling.h>
#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 512

void *sl_alloc_zero(const struct sl_alloc *a, size_t size)
{
    assert(size > 0); /* 0 means free to `resize` */
    void *p = a->resize(a->context, NULL, 0, size);
    if (p)
        memset(p, 0, size);
    return p;
}

void sl_alloc_free(const struct sl_alloc *a, void *ptr, size_t size)
{
    if (ptr)
        a->resize(a->context, ptr, size, 0);
}

int sl_alloc_grow(const struct sl_alloc *a, void **array, size_t size, size_t *cap, size_t n)
{
    if (n <= *cap)
        return 0;
    size_t room = *cap < 8 ? 8 : *cap;
    while (room < n) {
        if (room > SIZE_MAX / 2)
            return STARLING_ENOMEM;
        room *= 2;
    }
    if (room > PTRDIFF_MAX / size)
        return STARLING_ENOMEM;

    /* The caller's pointer is of its own type; copied, so as not to look at it through void **. */
    void *old;
    memcpy(&old, array, sizeof old);
    uint8_t *p = a->resize(a->context, old, *cap * size, room * size);
    if (!p)
        return STARLING_ENOMEM;
    memset(p + *cap * size, 0, (room - *cap) * size);
    memcpy(array, &p, sizeof p);
    *cap = room;
    return 0;
}

/* ---- chance ------------------------------------------------------------------------------- */

static uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

void sl_rand_seed(struct sl_rand *r, uint64_t seed)
{
    for (size_t i = 0; i < SL_COUNT(r->s); i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t sl_rand_u64(struct sl_rand *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sl_rand_below(struct sl_rand *r, uint64_t n)
{
    assert(n > 0);
    /* 2^64 mod n values at the low end would make some remainders likelier: drawn again. */
    uint64_t skip = (0 - n) % n;
    uint64_t v;
    do
        v = sl_rand_u64(r);
    while (v < skip);
    return v % n;
}

sl_usec sl_rand_span(struct sl_rand *r, sl_usec low, sl_usec high)
{
    assert(low <= high);
    uint64_t width = (uint64_t)high - (uint64_t)low;
    uint64_t v = width == UINT64_MAX ? sl_rand_u64(r) : sl_rand_below(r, width + 1);
    return (sl_usec)((uint64_t)low + v);
}

/* ---- log lines ---------------------------------------------------------------------------- */

void sl_log(const struct sl_log *log, int level, const char *format, ...)
{
    if (!log || !log->write || level > log->level)
        return;
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n >= 0)
        log->write(log->context, level, line);
}
