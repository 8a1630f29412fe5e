/* fuzz_record.c: the body of a record. What is read can be written, and is then read as the same.
 */
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static bool same(struct sl_span a, struct sl_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span body = sl_span_of(data, size);
    struct sl_record r, again;
    static uint8_t out[2 * SL_RECORD_MAX];
    if (!sl_record_read(body, &r))
        return 0;
    FUZZ_CHECK(fuzz_inside(r.cert, body) && fuzz_inside(r.zone, body) &&
               fuzz_inside(r.sections, body));
    FUZZ_CHECK(r.cert.len <= SL_CERT_MAX && r.zone.len <= SL_NAME_LEN_MAX &&
               r.sections.len <= SL_RECORD_MAX);
    FUZZ_CHECK(r.addr.port != 0);
    size_t len = sl_record_write(&r, out, sizeof out);
    FUZZ_CHECK(len > 0 && sl_record_read(sl_span_of(out, len), &again));
    FUZZ_CHECK(same(r.cert, again.cert) && same(r.zone, again.zone) &&
               same(r.sections, again.sections));
    FUZZ_CHECK(sl_addr_eq(&r.addr, &again.addr) && r.host == again.host && r.flags == again.flags);
    FUZZ_CHECK(memcmp(r.c_d, again.c_d, SL_KEY_LEN) == 0);
    return 0;
}
