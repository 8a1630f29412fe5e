/* fuzz_vitals.c: the body of vitals. What is read can be written, and is then read as the same. */
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static bool same(struct sl_span a, struct sl_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span body = sl_span_of(data, size);
    struct sl_vitals v, again;
    static uint8_t out[2 * SL_VITALS_MAX];
    if (!sl_vitals_read(body, &v))
        return 0;
    FUZZ_CHECK(fuzz_inside(v.sections, body) && v.sections.len <= SL_VITALS_MAX);
    FUZZ_CHECK(fuzz_inside(v.deny, body) && v.deny.len <= SL_DENY_MAX * SL_ID_LEN &&
               v.deny.len % SL_ID_LEN == 0);
    FUZZ_CHECK(v.state <= SL_GONE && v.urgent <= 1);
    size_t len = sl_vitals_write(&v, out, sizeof out);
    FUZZ_CHECK(len > 0 && sl_vitals_read(sl_span_of(out, len), &again));
    FUZZ_CHECK(same(v.sections, again.sections) && same(v.deny, again.deny));
    FUZZ_CHECK(v.answered == again.answered && v.state == again.state && v.urgent == again.urgent);
    return 0;
}
