/* fuzz_credentials.c: a credentials file, through libinih. It is read, or refused with a text; the
 * certificate in it is decoded; and each grant is judged as a node with that key would. */
#include "node/credentials.h"

#include "base/error.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static void judge_grants(const struct sl_credentials *c, const struct sl_crypto *crypto)
{
    struct sl_bundle bundle;
    struct sl_signer node;
    struct sl_keyring ring;
    memset(&bundle, 0, sizeof bundle);
    memcpy(bundle.authority, c->authority, sizeof bundle.authority);
    bundle.n_authorities = c->n_authorities;
    sl_flock_id(crypto, "test", bundle.flock);
    sl_keyring_init(&ring, bundle.flock);
    sl_signer_from_seed(&node, c->seed);
    for (size_t i = 0; i < c->n_grants; i++) {
        struct sl_grant said;
        uint8_t key[32];
        FUZZ_CHECK(c->grant_line[i] > 0 && (i == 0 || c->grant_line[i] > c->grant_line[i - 1]));
        sl_grant_read(c->grant[i], &said);
        (void)sl_grant_check(&bundle, c->grant[i]);
        if (sl_grant_open(c->grant[i], &node, key) && sl_keyring_add(&ring, &said.what, key) == 0)
            FUZZ_CHECK(said.what.epoch > 0 && said.what.use_after >= 0);
    }
    FUZZ_CHECK(ring.n_epochs <= SL_GRANTS_MAX);
}

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
    FUZZ_CHECK(c.n_grants <= SL_GRANTS_MAX);
    judge_grants(&c, &reader.crypto);
    sl_credentials_fini(&c);
    return 0;
}
