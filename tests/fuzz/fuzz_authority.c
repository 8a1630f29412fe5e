/* fuzz_authority.c: secret files of the authority's form. Only what has its checksum is read; any
 * other file is refused and left as it is. The input: whether the checksum is put right, then the
 * file. */
#include "node/authority.h"

#include <sodium.h>

#include "base/error.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

#define SUM_LEN 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char magic[16] = "starling/1 auth";
    struct sl_span in = sl_span_of(data, size);
    uint8_t file[SL_SECRET_FILE_MAX * 2], secret[64];
    uint8_t how = fuzz_byte(&in);
    size_t len = in.len < sizeof file ? in.len : sizeof file;
    if (len > 0)
        memcpy(file, in.p, len);
    if ((how & 1) && len > SUM_LEN)
        (void)crypto_generichash(file + len - SUM_LEN, SUM_LEN, file, len - SUM_LEN, NULL, 0);
    size_t secret_len = how & 2 ? 32 : 64;
    int r =
        sl_secret_read(fuzz_file("authority", sl_span_of(file, len)), magic, secret, secret_len);
    if (r == 0)
        FUZZ_CHECK(len == sizeof magic + secret_len + SUM_LEN &&
                   memcmp(secret, file + sizeof magic, secret_len) == 0);
    else
        FUZZ_CHECK(sl_fail_text()[0] != '\0');
    return 0;
}
