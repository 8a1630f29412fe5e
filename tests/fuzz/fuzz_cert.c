/* fuzz_cert.c: certificates. One certificate has exactly one form: what is decoded is encoded to
 * the same bytes. */
#include "gossip/cert.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static void check_form(const struct sl_cert *cert, struct sl_span bytes)
{
    uint8_t out[SL_CERT_MAX];
    size_t len = sl_cert_encode(cert, out, sizeof out);
    FUZZ_CHECK(len > 0 && len + SL_SIG_LEN == bytes.len && memcmp(out, bytes.p, len) == 0);

    const uint8_t *key;
    struct sl_span name;
    sl_cert_places(bytes, &key, &name);
    FUZZ_CHECK(fuzz_inside(sl_span_of(key, SL_KEY_LEN), bytes) && fuzz_inside(name, bytes));
    FUZZ_CHECK(memcmp(key, cert->key, SL_KEY_LEN) == 0);
    FUZZ_CHECK(name.len == strlen(cert->name) && memcmp(name.p, cert->name, name.len) == 0);
    FUZZ_CHECK(!sl_cert_valid_at(cert, -1));
    (void)sl_cert_valid_at(cert, FUZZ_WALL_S);
    (void)sl_cert_valid_at(cert, INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_person reader;
    struct sl_span bytes = sl_span_of(data, size);
    struct sl_cert cert;
    if (reader.cert_len == 0)
        fuzz_person(&reader, 1);
    struct sl_crypto honest = fuzz_crypto(&reader, false), believing = fuzz_crypto(&reader, true);
    if (sl_cert_decode(&honest, bytes, &cert))
        check_form(&cert, bytes);
    if (sl_cert_check(&honest, fuzz_bundle(), bytes, &cert))
        FUZZ_CHECK(sl_cert_check(&believing, fuzz_bundle(), bytes, &cert));
    if (sl_cert_check(&believing, fuzz_bundle(), bytes, &cert))
        check_form(&cert, bytes);
    return 0;
}
