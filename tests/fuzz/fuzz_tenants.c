/* fuzz_tenants.c: AUTHORITY.tenants. Only what has its checksum is read; what was read fits on a ring,
 * and is the same after it was written and read again. The input: whether a checksum is put behind it,
 * then the file. */
#include "node/tenants.h"

#include <sodium.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/crypto.h"
#include "tests/fuzz/fuzz.h"

/* A good file is read twice: one list more than for any other. */
const struct fuzz_cost fuzz_cost = {.fixed =
                                        SL_TENANT_EPOCHS_MAX * sizeof(struct sl_rotated) + 4096};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    static char file[8192];
    char digits[33], path[512];
    uint8_t how = fuzz_byte(&in), sum[16];
    size_t len = in.len < sizeof file - 64 ? in.len : sizeof file - 64;
    struct sl_tenants t, again;
    if (len > 0)
        memcpy(file, in.p, len);
    if (how & 1) {
        (void)crypto_generichash(sum, sizeof sum, (const uint8_t *)file, len, NULL, 0);
        sl_hex(digits, sum, sizeof sum);
        len += (size_t)snprintf(file + len, 64, "check %s\n", digits);
    }
    (void)snprintf(path, sizeof path, "%s", fuzz_file("authority.tenants", sl_span_of(file, len)));
    path[strlen(path) - strlen(".tenants")] = '\0';
    if (sl_tenants_read(path, &t) < 0) {
        FUZZ_CHECK(sl_fail_text()[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(t.n <= SL_TENANT_EPOCHS_MAX);
    for (size_t i = 0; i < t.n; i++) {
        struct sl_keyring ring;
        uint8_t flock[SL_FLOCK_LEN];
        const struct sl_crypto crypto = sl_crypto_port(NULL);
        FUZZ_CHECK(t.line[i].epoch > 0 && t.line[i].use_after >= 0);
        sl_flock_id(&crypto, t.line[i].flock, flock);
        sl_keyring_init(&ring, flock);
        ring.has_all = true;
        FUZZ_CHECK(sl_tenants_into(&t, &ring) == 0);
    }
    FUZZ_CHECK(sl_tenants_write(path, &t) == 0 && sl_tenants_read(path, &again) == 0);
    FUZZ_CHECK(again.n == t.n);
    for (size_t i = 0; i < t.n; i++)
        FUZZ_CHECK(strcmp(t.line[i].flock, again.line[i].flock) == 0 &&
                   strcmp(t.line[i].tenant, again.line[i].tenant) == 0 &&
                   t.line[i].epoch == again.line[i].epoch &&
                   t.line[i].use_after == again.line[i].use_after);
    sl_tenants_free(&again);
    sl_tenants_free(&t);
    return 0;
}
