/* fuzz_credentials.c: a credentials file, through libinih. It is read, or refused with a text; and
 * the certificate in it is decoded. */
#include "node/credentials.h"

#include "base/error.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_person reader;
    struct sl_credentials c;
    struct sl_cert cert;
    if (reader.cert_len == 0)
        fuzz_person(&reader, 1);
    if (sl_credentials_read(fuzz_file("credentials", sl_span_of(data, size)), &c) < 0) {
        FUZZ_CHECK(sl_fail_text()[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(c.n_authorities >= 1 && c.n_authorities <= SL_AUTHORITIES_MAX &&
               c.cert_len <= sizeof c.cert);
    (void)!sl_cert_decode(&reader.crypto, sl_span_of(c.cert, c.cert_len), &cert);
    sl_credentials_fini(&c);
    return 0;
}
