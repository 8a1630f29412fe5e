/* crypto.h: libsodium behind the port that gossip/ speaks, and the system's memory and entropy. */
#ifndef SL_NODE_CRYPTO_H
#define SL_NODE_CRYPTO_H

#include "base/port.h"

/* sodium_init, once. 0 or STARLING_EIO. */
int sl_crypto_setup(void) SL_MUST_USE;

/* An Ed25519 signing key; wiped by sl_signer_fini. */
struct sl_signer {
    uint8_t seed[32];
    uint8_t public_key[SL_KEY_LEN];
    uint8_t secret[64];
};
void sl_signer_from_seed(struct sl_signer *s, const uint8_t seed[32]);
void sl_signer_fini(struct sl_signer *s);

/* The port; `context` is the signer, borrowed. */
struct sl_crypto sl_crypto_port(struct sl_signer *signer);
/* realloc and free. */
extern const struct sl_alloc sl_alloc_system;
void sl_entropy(void *out, size_t len);
#endif
