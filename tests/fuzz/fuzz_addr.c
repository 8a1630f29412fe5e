/* fuzz_addr.c: addresses as text and as they travel. What is read can be written, and is then read
 * as the same. The input: a default port, then the text. */
#include "base/addr.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static void check_text(const char *text, size_t len, uint16_t port)
{
    struct sl_addr a, again;
    char out[SL_ADDR_TEXT];
    if (sl_addr_parse(&a, text, len, port) < 0)
        return;
    FUZZ_CHECK(a.family == 4 || a.family == 6);
    sl_addr_format(out, &a);
    FUZZ_CHECK(sl_addr_parse(&again, out, strlen(out), 0) == 0 && sl_addr_eq(&a, &again));
    sl_addr_format_host(out, &a);
    FUZZ_CHECK(sl_addr_parse(&again, out, strlen(out), a.port) == 0 && sl_addr_eq(&a, &again));
    (void)sl_addr_is_loopback(&a);
    (void)sl_addr_is_wildcard(&a);
}

static void check_split(const char *text, size_t len, uint16_t port)
{
    const char *host;
    size_t host_len;
    if (sl_addr_split(text, len, port, &host, &host_len, &port) == 0)
        FUZZ_CHECK(fuzz_inside(sl_span_of(host, host_len), sl_span_of(text, len)));
}

static void check_bytes(struct sl_span bytes)
{
    struct sl_addr a, again;
    uint8_t out[SL_ADDR_BYTES];
    if (!sl_addr_read(bytes, &a))
        return;
    size_t len = sl_addr_write(&a, out);
    FUZZ_CHECK(len == bytes.len && memcmp(out, bytes.p, len) == 0);
    FUZZ_CHECK(sl_addr_read(sl_span_of(out, len), &again) && sl_addr_eq(&a, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    check_bytes(in);
    uint16_t port = fuzz_number(&in);
    const char *text = in.len > 0 ? (const char *)in.p : "";
    check_text(text, in.len, port);
    check_split(text, in.len, port);
    return 0;
}
