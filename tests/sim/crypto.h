/* crypto.h: the secrets of a simulated flock, in two makes.
 *
 * model: hashes and signatures from SipHash-128. A signature is a hash keyed with a secret that
 *        follows from the public key; a core can sign only with its own key, so a forged or
 *        altered fact fails to verify as it would outside, for a fiftieth of the price. Nothing
 *        here protects anything.
 * real:  BLAKE2b and Ed25519 from libsodium, to prove that the model hides nothing. */
#ifndef SL_SIM_CRYPTO_H
#define SL_SIM_CRYPTO_H

#include "base/port.h"

/* SipHash-1-3 with 128 bits of output, fed piece by piece. Also the trace hash. */
struct sim_hash {
    uint64_t v[4];
    uint64_t tail;
    uint64_t len;
};
void sim_hash_init(struct sim_hash *h, uint64_t k0, uint64_t k1);
void sim_hash_bytes(struct sim_hash *h, const void *p, size_t len);
void sim_hash_u64(struct sim_hash *h, uint64_t v);
/* May be called at any time; the hash can be fed on. */
void sim_hash_sum(const struct sim_hash *h, uint64_t ret[2]);

struct sim_crypto_count {
    uint64_t n_hashes, n_signs, n_verifies, n_forged; /* n_forged: verifications that said no */
};

/* A key pair. In the model the secret stays unused: it is derived from the public key. */
struct sim_signer {
    bool real;
    uint8_t public_key[SL_KEY_LEN];
    uint8_t secret[64];
    struct sim_crypto_count *count;
};

/* 0, or STARLING_EIO when libsodium does not start. */
int sim_crypto_setup(bool real) SL_MUST_USE;
void sim_signer_init(struct sim_signer *s, bool real, struct sim_crypto_count *count,
                     struct sl_rand *r);
/* The port for a core with this key; the signer is borrowed. */
struct sl_crypto sim_signer_port(struct sim_signer *s);

/* 64 bits from a seed, a purpose and a number: one independent stream for each. */
uint64_t sim_seed(uint64_t seed, const char *purpose, uint64_t n);

#endif
