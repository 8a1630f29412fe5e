/* grant.c: make a grant, check it, open it. Sealing tells nobody who sealed; that is what the
 * authority's signature over the sealed bytes is for. */
#include "node/grant.h"

#include <sodium.h>
#include <starling.h>

#include "base/bytes.h"
#include "base/error.h"

#define SEALED_AT (SL_TENANT_LEN + 4 + SL_ID_LEN + 8)
#define SEALED_LEN (crypto_box_SEALBYTES + 32)
#define SIG_AT (SEALED_AT + SEALED_LEN)

_Static_assert(SIG_AT + SL_SIG_LEN == SL_GRANT_LEN, "a grant is what grant.h says");

static const char domain[] = "starling/1 grant"; /* signed with its NUL */
#define TEXT_LEN (sizeof domain + SL_FLOCK_LEN + SIG_AT)

static void signed_text(const uint8_t flock[SL_FLOCK_LEN], const uint8_t grant[SL_GRANT_LEN],
                        uint8_t out[TEXT_LEN])
{
    memcpy(out, domain, sizeof domain);
    memcpy(out + sizeof domain, flock, SL_FLOCK_LEN);
    memcpy(out + sizeof domain + SL_FLOCK_LEN, grant, SIG_AT);
}

int sl_grant_make(const struct sl_signer *authority, const uint8_t flock[SL_FLOCK_LEN],
                  const struct sl_tenant_epoch *what, const uint8_t node_key[SL_KEY_LEN],
                  const uint8_t key[32], uint8_t out[SL_GRANT_LEN])
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    uint8_t to[crypto_box_PUBLICKEYBYTES], text[TEXT_LEN];
    struct sl_id node;
    sl_node_id(&crypto, node_key, &node);
    memcpy(out, what->tenant, SL_TENANT_LEN);
    sl_put32(out + 8, what->epoch);
    memcpy(out + 12, node.b, SL_ID_LEN);
    sl_put64(out + 28, (uint64_t)what->use_after);
    if (crypto_sign_ed25519_pk_to_curve25519(to, node_key) != 0 ||
        crypto_box_seal(out + SEALED_AT, key, 32, to) != 0)
        return sl_fail(STARLING_EINVAL, "nothing can be sealed to the node's key");
    signed_text(flock, out, text);
    crypto_sign_detached(out + SIG_AT, NULL, text, sizeof text, authority->secret);
    return 0;
}

void sl_grant_read(const uint8_t grant[SL_GRANT_LEN], struct sl_grant *ret)
{
    memcpy(ret->what.tenant, grant, SL_TENANT_LEN);
    ret->what.epoch = sl_get32(grant + 8);
    memcpy(ret->node.b, grant + 12, SL_ID_LEN);
    uint64_t after = sl_get64(grant + 28);
    ret->what.use_after = after > INT64_MAX ? -1 : (int64_t)after; /* the keyring refuses that */
}

bool sl_grant_check(const struct sl_bundle *bundle, const uint8_t grant[SL_GRANT_LEN])
{
    uint8_t text[TEXT_LEN];
    signed_text(bundle->flock, grant, text);
    for (size_t i = 0; i < bundle->n_authorities; i++) {
        if (crypto_sign_verify_detached(grant + SIG_AT, text, sizeof text, bundle->authority[i]) ==
            0)
            return true;
    }
    return false;
}

bool sl_grant_open(const uint8_t grant[SL_GRANT_LEN], const struct sl_signer *node,
                   uint8_t ret_key[32])
{
    uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
    bool open =
        crypto_sign_ed25519_pk_to_curve25519(public_key, node->public_key) == 0 &&
        crypto_sign_ed25519_sk_to_curve25519(secret, node->secret) == 0 &&
        crypto_box_seal_open(ret_key, grant + SEALED_AT, SEALED_LEN, public_key, secret) == 0;
    sodium_memzero(secret, sizeof secret);
    return open;
}
