/* crypto.c: SipHash-128 (Aumasson, Bernstein 2012; 128-bit variant of the reference code, with 1
 * and 3 rounds), the model signatures made of it, and libsodium in the same shape. */
#include "tests/sim/crypto.h"

#include <sodium.h>
#include <starling.h>

#include "base/bytes.h"

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
}

void sim_hash_init(struct sim_hash *h, uint64_t k0, uint64_t k1)
{
    *h = (struct sim_hash){.v = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee,
                                 k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}};
}

void sim_hash_bytes(struct sim_hash *h, const void *p, size_t len)
{
    const uint8_t *b = p;
    while (len > 0 && h->len % 8) {
        h->tail |= (uint64_t)*b++ << 8 * (h->len % 8);
        len--;
        if (++h->len % 8 == 0) {
            sip_word(h->v, h->tail);
            h->tail = 0;
        }
    }
    for (; len >= 8; b += 8, len -= 8, h->len += 8)
        sip_word(h->v, sl_get64_le(b));
    for (; len > 0; len--)
        h->tail |= (uint64_t)*b++ << 8 * (h->len++ % 8);
}

void sim_hash_u64(struct sim_hash *h, uint64_t v)
{
    uint8_t b[8];
    sl_put64(b, v);
    sim_hash_bytes(h, b, sizeof b);
}

void sim_hash_sum(const struct sim_hash *h, uint64_t ret[2])
{
    uint64_t v[4];
    memcpy(v, h->v, sizeof v);
    sip_word(v, h->tail | h->len << 56);
    v[2] ^= 0xee;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    ret[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    ret[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Stretch 128 bits to out_len bytes. */
static void spread(const struct sim_hash *h, uint8_t *out, size_t out_len)
{
    uint64_t sum[2];
    sim_hash_sum(h, sum);
    for (size_t i = 0; i < out_len; i += 16) {
        uint8_t block[16];
        sl_put64(block, sum[0]);
        sl_put64(block + 8, sum[1]);
        memcpy(out + i, block, out_len - i < 16 ? out_len - i : 16);
        uint64_t next = sum[0] * 0x9e3779b97f4a7c15 + sum[1] + i;
        sum[0] = sum[1] ^ rotl(next, 29);
        sum[1] = next ^ next >> 31;
    }
}

static void model_hash(void *context, uint8_t *out, size_t out_len, const uint8_t *key,
                       size_t key_len, const struct sl_span *parts, size_t n_parts)
{
    struct sim_signer *s = context;
    s->count->n_hashes++;
    struct sim_hash h;
    /* Output and key length are parameters of BLAKE2b: other lengths are other functions. */
    sim_hash_init(&h, out_len, key_len);
    if (key_len)
        sim_hash_bytes(&h, key, key_len);
    for (size_t i = 0; i < n_parts; i++)
        sim_hash_bytes(&h, parts[i].p, parts[i].len);
    spread(&h, out, out_len);
}

static void model_tag(const uint8_t key[SL_KEY_LEN], const uint8_t *msg, size_t len,
                      uint8_t sig[SL_SIG_LEN])
{
    struct sim_hash h;
    sim_hash_init(&h, sl_get64(key) ^ 0x73696d2f7369676e, sl_get64(key + 8));
    sim_hash_bytes(&h, msg, len);
    spread(&h, sig, SL_SIG_LEN);
}

static void model_sign(void *context, uint8_t sig[SL_SIG_LEN], const uint8_t *msg, size_t len)
{
    struct sim_signer *s = context;
    s->count->n_signs++;
    model_tag(s->public_key, msg, len, sig);
}

static bool said(struct sim_signer *s, bool good)
{
    s->count->n_verifies++;
    s->count->n_forged += !good;
    return good;
}

static bool model_verify(void *context, const uint8_t key[SL_KEY_LEN], const uint8_t *msg,
                         size_t len, const uint8_t sig[SL_SIG_LEN])
{
    uint8_t expected[SL_SIG_LEN];
    model_tag(key, msg, len, expected);
    return said(context, memcmp(expected, sig, SL_SIG_LEN) == 0);
}

static void real_hash(void *context, uint8_t *out, size_t out_len, const uint8_t *key,
                      size_t key_len, const struct sl_span *parts, size_t n_parts)
{
    struct sim_signer *s = context;
    s->count->n_hashes++;
    crypto_generichash_state state;
    /* The streaming functions take the 8 bytes of output that the one-shot function refuses. */
    crypto_generichash_blake2b_init(&state, key_len ? key : NULL, key_len, out_len);
    for (size_t i = 0; i < n_parts; i++)
        crypto_generichash_blake2b_update(&state, parts[i].p, parts[i].len);
    crypto_generichash_blake2b_final(&state, out, out_len);
}

static void real_sign(void *context, uint8_t sig[SL_SIG_LEN], const uint8_t *msg, size_t len)
{
    struct sim_signer *s = context;
    s->count->n_signs++;
    crypto_sign_detached(sig, NULL, msg, len, s->secret);
}

static bool real_verify(void *context, const uint8_t key[SL_KEY_LEN], const uint8_t *msg,
                        size_t len, const uint8_t sig[SL_SIG_LEN])
{
    return said(context, crypto_sign_verify_detached(sig, msg, len, key) == 0);
}

int sim_crypto_setup(bool real)
{
    return real && sodium_init() < 0 ? STARLING_EIO : 0;
}

void sim_signer_init(struct sim_signer *s, bool real, struct sim_crypto_count *count,
                     struct sl_rand *r)
{
    *s = (struct sim_signer){.real = real, .count = count};
    uint8_t seed[32];
    for (size_t i = 0; i < sizeof seed; i += 8)
        sl_put64(seed + i, sl_rand_u64(r));
    if (real)
        crypto_sign_seed_keypair(s->public_key, s->secret, seed);
    else
        memcpy(s->public_key, seed, sizeof seed);
}

struct sl_crypto sim_signer_port(struct sim_signer *s)
{
    if (s->real)
        return (struct sl_crypto){real_hash, real_sign, real_verify, s};
    return (struct sl_crypto){model_hash, model_sign, model_verify, s};
}

uint64_t sim_seed(uint64_t seed, const char *purpose, uint64_t n)
{
    struct sim_hash h;
    sim_hash_init(&h, seed, n);
    sim_hash_bytes(&h, purpose, strlen(purpose));
    uint64_t sum[2];
    sim_hash_sum(&h, sum);
    return sum[0];
}
