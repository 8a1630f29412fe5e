/* fuzz_sealed.c: sealed sections. Nothing opens but what was sealed with the key; what was, comes back
 * as it went in. The input: what to do, then a sealed section, a text to seal, or a text that somebody
 * who has the key sealed without padding it as one should. */
#include <sodium.h>
#include <starling.h>

#include "base/bytes.h"
#include "node/keyring.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

#define TEXT_AT (SL_TENANT_LEN + 4 + 24)
static const char domain[] = "starling/1 section";

static struct sl_keyring ring;
static const struct sl_id origin = {{7}};
static uint8_t sealed[SL_RECORD_MAX + 1024], plain[SL_RECORD_MAX + 1024];

static int open_it(size_t len, size_t *plain_len)
{
    uint8_t tenant[SL_TENANT_LEN];
    int r = sl_keyring_open(&ring, SL_VITALS, &origin, sl_span_of(sealed, len), tenant, plain,
                            sizeof plain, plain_len);
    FUZZ_CHECK(r == 0 || r == STARLING_EAUTH ||
               (r == 1 && *plain_len < len - SL_SEALED_OVERHEAD &&
                memcmp(tenant, sealed, sizeof tenant) == 0));
    return r;
}

/* As a member of the tenant would that does not keep to the form. */
static size_t seal_as_it_is(struct sl_span in)
{
    uint8_t bound[sizeof domain + SL_FLOCK_LEN + 1 + SL_ID_LEN + SL_TENANT_LEN + 4], key[32], *p;
    size_t len = in.len < SL_RECORD_MAX ? in.len : SL_RECORD_MAX;
    memset(sealed, 0, TEXT_AT);
    sl_put32(sealed + SL_TENANT_LEN, 1);
    memcpy(bound, domain, sizeof domain);
    p = bound + sizeof domain;
    memcpy(p, ring.flock, SL_FLOCK_LEN);
    p += SL_FLOCK_LEN;
    *p++ = SL_VITALS;
    memcpy(p, origin.b, SL_ID_LEN);
    memcpy(p + SL_ID_LEN, sealed, SL_TENANT_LEN + 4);
    sl_tenant_key(ring.root, sealed, 1, key);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + TEXT_AT, NULL, in.p, len, bound,
                                                     sizeof bound, NULL, sealed + SL_TENANT_LEN + 4,
                                                     key);
    return TEXT_AT + len + 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    uint8_t how = fuzz_byte(&in), seed[32] = {0}, flock[SL_FLOCK_LEN] = {0};
    size_t len, n;
    if (!ring.has_all) {
        sl_keyring_init(&ring, flock);
        sl_keyring_take_seed(&ring, seed);
    }
    switch (how % 3) {
    case 0: /* nobody guesses a tag */
        len = in.len < sizeof sealed ? in.len : sizeof sealed;
        if (len > 0)
            memcpy(sealed, in.p, len);
        (void)open_it(len, &n);
        break;
    case 1:
        len = sl_keyring_seal(&ring, SL_VITALS, &origin, "shop", in, FUZZ_WALL_S, sealed,
                              sizeof sealed);
        FUZZ_CHECK((len > 0) == (in.len <= SL_RECORD_MAX));
        if (len > 0 && len <= SL_RECORD_MAX) {
            FUZZ_CHECK(open_it(len, &n) == 1 && n == in.len &&
                       (n == 0 || memcmp(plain, in.p, n) == 0));
            sealed[len - 1] ^= 1;
            FUZZ_CHECK(open_it(len, &n) == STARLING_EAUTH);
        }
        break;
    default:
        len = seal_as_it_is(in);
        if (open_it(len, &n) == 1)
            FUZZ_CHECK(plain[n] == 0x80 && (n == 0 || memcmp(plain, in.p, n) == 0));
    }
    return 0;
}
