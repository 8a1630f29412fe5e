/* fuzz_pack.c: the MessagePack reader: whatever is asked of whatever bytes, it stays inside them,
 * goes forward only, and announces nothing that is not there. The input: a count of calls, a byte
 * for each (which one, and the limit it gets), the bytes that are read. */
#include "base/pack.h"

#include "base/limits.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

#define CALLS_MAX 64

static void check_place(const struct sl_read *r, struct sl_span in, const uint8_t *before)
{
    FUZZ_CHECK(r->p >= before && r->p <= r->end);
    FUZZ_CHECK(in.len == 0 || r->end == in.p + in.len);
    FUZZ_CHECK(r->nodes <= SL_READ_NODES_MAX);
    FUZZ_CHECK(!sl_read_done(r) || !r->failed);
}

static void call(struct sl_read *r, struct sl_span in, uint8_t what)
{
    static const size_t limits[] = {0, 1, 8, 32, 256, 4096, SIZE_MAX, SL_READ_NODES_MAX};
    size_t limit = limits[what >> 4 & 7], n = 0;
    uint8_t fixed[4096];
    struct sl_span span = {0};
    uint64_t v;
    switch (what & 15) {
    case 0:
    case 1:
        if (sl_read_array(r, limit, &n))
            FUZZ_CHECK(n <= limit && n <= (size_t)(r->end - r->p));
        break;
    case 2:
    case 3:
        if (sl_read_map(r, limit, &n))
            FUZZ_CHECK(n <= limit && n <= (size_t)(r->end - r->p) / 2);
        break;
    case 4:
    case 5:
        if (sl_read_uint(r, limit, &v))
            FUZZ_CHECK(v <= limit);
        break;
    case 6:
    case 7:
        if (sl_read_bin(r, limit, &span))
            FUZZ_CHECK(span.len <= limit && fuzz_inside(span, in));
        break;
    case 8:
    case 9:
        if (sl_read_str(r, limit, &span))
            FUZZ_CHECK(span.len <= limit && fuzz_inside(span, in));
        break;
    case 10:
        (void)!sl_read_fixed(r, fixed, limit < sizeof fixed ? limit : sizeof fixed);
        break;
    case 11:
        (void)sl_read_nil(r);
        break;
    default:
        if (sl_read_skip(r, limit < 4096 ? limit : 4096))
            FUZZ_CHECK(r->depth == 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    struct sl_read r;
    struct sl_span calls = fuzz_take(&in, fuzz_byte(&in) % CALLS_MAX);
    sl_read_init(&r, in.p, in.len);
    for (size_t i = 0; i < calls.len; i++) {
        const uint8_t *before = r.p;
        bool failed = r.failed;
        call(&r, in, calls.p[i]);
        check_place(&r, in, before);
        FUZZ_CHECK(!failed || (r.failed && r.p == before));
    }
    /* One after the other: as many as are well-formed. */
    sl_read_init(&r, in.p, in.len);
    while (r.p < r.end && sl_read_skip(&r, 1))
        check_place(&r, in, in.p);
    return 0;
}
