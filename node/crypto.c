/* crypto.c: libsodium behind the port that gossip/ speaks. Domain strings and layouts belong to the
 * callers; here is only what needs the library. */
#include "node/crypto.h"

#include <sodium.h>
#include <starling.h>
#include <stdlib.h>

#include "base/error.h"

int sl_crypto_setup(void)
{
    /* Thread-safe, and 1 when somebody in this process has done it already. */
    if (sodium_init() < 0)
        return sl_fail(STARLING_EIO, "libsodium could not start: the system gives no entropy");
    return 0;
}

void sl_signer_from_seed(struct sl_signer *s, const uint8_t seed[32])
{
    memcpy(s->seed, seed, sizeof s->seed);
    crypto_sign_seed_keypair(s->public_key, s->secret, seed);
}

void sl_signer_fini(struct sl_signer *s)
{
    if (s != NULL)
        sodium_memzero(s, sizeof *s);
}

static void hash(void *context, uint8_t *out, size_t out_len, const uint8_t *key, size_t key_len,
                 const struct sl_span *parts, size_t n_parts)
{
    (void)context;
    crypto_generichash_state state;
    crypto_generichash_init(&state, key, key_len, out_len);
    for (size_t i = 0; i < n_parts; i++)
        crypto_generichash_update(&state, parts[i].p, parts[i].len);
    crypto_generichash_final(&state, out, out_len);
    sodium_memzero(&state, sizeof state); /* it may have hashed a secret */
}

static void sign(void *context, uint8_t sig[SL_SIG_LEN], const uint8_t *msg, size_t len)
{
    const struct sl_signer *s = context;
    crypto_sign_detached(sig, NULL, msg, len, s->secret);
}

static bool verify(void *context, const uint8_t key[SL_KEY_LEN], const uint8_t *msg, size_t len,
                   const uint8_t sig[SL_SIG_LEN])
{
    (void)context;
    return crypto_sign_verify_detached(sig, msg, len, key) == 0;
}

struct sl_crypto sl_crypto_port(struct sl_signer *signer)
{
    return (struct sl_crypto){.hash = hash, .sign = sign, .verify = verify, .context = signer};
}

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

const struct sl_alloc sl_alloc_system = {.resize = resize};

void sl_entropy(void *out, size_t len)
{
    randombytes_buf(out, len);
}
