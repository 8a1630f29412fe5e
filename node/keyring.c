/* keyring.c: derive tenants' keys, seal and open sections. The nonce is a hash under the key of all
 * that is sealed and of fresh chance: a copied machine, whose chance may repeat, cannot take one nonce
 * for two texts, and equal texts do not show while there is chance. */
#include "node/keyring.h"

#include <sodium.h>
#include <starling.h>

#include "base/bytes.h"
#include "node/crypto.h"

#define NONCE_LEN 24
#define TAG_LEN 16
#define HEAD_LEN (SL_TENANT_LEN + 4)
#define PLAIN_MAX SL_RECORD_MAX /* no fact holds more */

_Static_assert(NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SL_SEALED_OVERHEAD == HEAD_LEN + NONCE_LEN + TAG_LEN, "overhead");

/* With their final NUL: no domain is the beginning of another. */
static const char root_domain[] = "starling/1 tenant root";
static const char master_domain[] = "starling/1 tenant master";
static const char key_domain[] = "starling/1 tenant";
static const char section_domain[] = "starling/1 section";

#define BOUND_LEN (sizeof section_domain + SL_FLOCK_LEN + 1 + SL_ID_LEN + HEAD_LEN)

static void keyed_hash(const uint8_t key[32], uint8_t *out, size_t out_len,
                       const struct sl_span *parts, size_t n_parts)
{
    const struct sl_crypto crypto = sl_crypto_port(NULL); /* hashing needs no signer */
    crypto.hash(crypto.context, out, out_len, key, 32, parts, n_parts);
}

/* ---- keys ------------------------------------------------------------------------------- */

void sl_tenant_root(const uint8_t seed[32], const uint8_t flock[SL_FLOCK_LEN], uint8_t out[32])
{
    const struct sl_span parts[] = {sl_span_of(root_domain, sizeof root_domain),
                                    sl_span_of(flock, SL_FLOCK_LEN)};
    keyed_hash(seed, out, 32, parts, SL_COUNT(parts));
}

void sl_tenant_key(const uint8_t root[32], const uint8_t tenant[SL_TENANT_LEN], uint32_t epoch,
                   uint8_t out[32])
{
    uint8_t master[32], number[4];
    const struct sl_span of_master[] = {sl_span_of(master_domain, sizeof master_domain),
                                        sl_span_of(tenant, SL_TENANT_LEN)};
    const struct sl_span of_key[] = {sl_span_of(key_domain, sizeof key_domain),
                                     sl_span_of(tenant, SL_TENANT_LEN),
                                     sl_span_of(number, sizeof number)};
    sl_put32(number, epoch);
    keyed_hash(root, master, sizeof master, of_master, SL_COUNT(of_master));
    keyed_hash(master, out, 32, of_key, SL_COUNT(of_key));
    sodium_memzero(master, sizeof master);
}

static bool is_default(const struct sl_keyring *k, const uint8_t tenant[SL_TENANT_LEN])
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    uint8_t id[SL_TENANT_LEN];
    sl_tenant_id(&crypto, k->flock, SL_DEFAULT_TENANT, id);
    return memcmp(id, tenant, sizeof id) == 0;
}

/* The key of an epoch that is said, false: we have none. Which epochs there are is no question where
 * all derive: somebody may have heard of a rotation before us. */
static bool key_of(const struct sl_keyring *k, const struct sl_tenant_epoch *said, uint8_t key[32])
{
    if (k->has_all) {
        if (is_default(k, said->tenant))
            return false;
        sl_tenant_key(k->root, said->tenant, said->epoch, key);
        return true;
    }
    for (size_t i = 0; i < k->n_epochs; i++) {
        const struct sl_tenant_epoch *e = &k->epochs[i];
        if (e->epoch == said->epoch && memcmp(e->tenant, said->tenant, SL_TENANT_LEN) == 0) {
            memcpy(key, k->key[i], 32);
            return true;
        }
    }
    return false;
}

/* Of two keys of a tenant, is `a` the one to write with? */
static bool is_better(const struct sl_tenant_epoch *a, const struct sl_tenant_epoch *b,
                      int64_t wall_s)
{
    bool a_begun = a->use_after <= wall_s, b_begun = b->use_after <= wall_s;
    if (a_begun != b_begun)
        return a_begun;
    return a_begun ? a->epoch > b->epoch : a->epoch < b->epoch;
}

/* Which key to write with now. Without a rotation that we know of it is the first. */
static bool choose(const struct sl_keyring *k, const uint8_t tenant[SL_TENANT_LEN], int64_t wall_s,
                   struct sl_tenant_epoch *ret)
{
    const struct sl_tenant_epoch *best = NULL;
    for (size_t i = 0; i < k->n_epochs; i++) {
        const struct sl_tenant_epoch *e = &k->epochs[i];
        if (memcmp(e->tenant, tenant, SL_TENANT_LEN) == 0 &&
            (best == NULL || is_better(e, best, wall_s)))
            best = e;
    }
    if (best == NULL && !k->has_all)
        return false;
    *ret = (struct sl_tenant_epoch){.epoch = 1};
    memcpy(ret->tenant, tenant, SL_TENANT_LEN);
    if (best != NULL)
        *ret = *best;
    return true;
}

/* ---- the ring --------------------------------------------------------------------------- */

void sl_keyring_init(struct sl_keyring *k, const uint8_t flock[SL_FLOCK_LEN])
{
    memset(k, 0, sizeof *k);
    memcpy(k->flock, flock, SL_FLOCK_LEN);
}

void sl_keyring_take_seed(struct sl_keyring *k, const uint8_t seed[32])
{
    k->has_all = true;
    sl_tenant_root(seed, k->flock, k->root);
}

int sl_keyring_add(struct sl_keyring *k, const struct sl_tenant_epoch *what, const uint8_t *key)
{
    const size_t most = k->has_all ? SL_TENANT_EPOCHS_MAX : SL_GRANTS_MAX;
    size_t n_same = 0;
    if (what->epoch == 0 || what->use_after < 0 || is_default(k, what->tenant))
        return STARLING_EINVAL;
    for (size_t i = 0; i < k->n_epochs; i++) {
        if (memcmp(k->epochs[i].tenant, what->tenant, SL_TENANT_LEN) != 0)
            continue;
        if (k->epochs[i].epoch == what->epoch)
            return STARLING_EEXIST;
        n_same++;
    }
    if (n_same == SL_TENANT_EPOCHS || k->n_epochs == most)
        return STARLING_ELIMIT;
    if (!k->has_all)
        memcpy(k->key[k->n_epochs], key, 32);
    k->epochs[k->n_epochs++] = *what;
    return 0;
}

bool sl_keyring_has(const struct sl_keyring *k, const char *tenant)
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    struct sl_tenant_epoch any;
    uint8_t id[SL_TENANT_LEN];
    if (!sl_name_ok(tenant, strlen(tenant)))
        return false;
    if (k->has_all || strcmp(tenant, SL_DEFAULT_TENANT) == 0)
        return true;
    sl_tenant_id(&crypto, k->flock, tenant, id);
    return choose(k, id, 0, &any);
}

void sl_keyring_fini(struct sl_keyring *k)
{
    if (k != NULL)
        sodium_memzero(k, sizeof *k);
}

/* ---- sections --------------------------------------------------------------------------- */

/* What a section is bound to, and does not carry. */
static void bind(const uint8_t flock[SL_FLOCK_LEN], enum sl_kind kind, const struct sl_id *origin,
                 const uint8_t head[HEAD_LEN], uint8_t out[BOUND_LEN])
{
    uint8_t *p = out;
    memcpy(p, section_domain, sizeof section_domain);
    p += sizeof section_domain;
    memcpy(p, flock, SL_FLOCK_LEN);
    p += SL_FLOCK_LEN;
    *p++ = (uint8_t)kind;
    memcpy(p, origin->b, SL_ID_LEN);
    memcpy(p + SL_ID_LEN, head, HEAD_LEN);
}

size_t sl_section_seal(const uint8_t key[32], const struct sl_tenant_epoch *epoch,
                       const uint8_t flock[SL_FLOCK_LEN], enum sl_kind kind,
                       const struct sl_id *origin, const uint8_t chance[16], struct sl_span plain,
                       uint8_t *out, size_t cap)
{
    uint8_t bound[BOUND_LEN];
    if (plain.len > PLAIN_MAX)
        return 0;
    size_t padded = plain.len - plain.len % SL_SEALED_STEP + SL_SEALED_STEP;
    if (cap < SL_SEALED_OVERHEAD || padded > cap - SL_SEALED_OVERHEAD)
        return 0;
    uint8_t *nonce = out + HEAD_LEN, *text = nonce + NONCE_LEN;
    memcpy(out, epoch->tenant, SL_TENANT_LEN);
    sl_put32(out + SL_TENANT_LEN, epoch->epoch);
    bind(flock, kind, origin, out, bound);
    const struct sl_span parts[] = {sl_span_of(bound, sizeof bound), sl_span_of(chance, 16), plain};
    keyed_hash(key, nonce, NONCE_LEN, parts, SL_COUNT(parts));

    /* In place: padded first, then encrypted where it stands. */
    if (plain.len > 0)
        memcpy(text, plain.p, plain.len);
    if (sodium_pad(&padded, text, plain.len, SL_SEALED_STEP, padded) != 0)
        return 0;
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(text, NULL, text, padded, bound, sizeof bound,
                                                     NULL, nonce, key);
    return SL_SEALED_OVERHEAD + padded;
}

size_t sl_keyring_seal(const struct sl_keyring *k, enum sl_kind kind, const struct sl_id *origin,
                       const char *tenant, struct sl_span plain, int64_t wall_s, uint8_t *out,
                       size_t cap)
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    struct sl_tenant_epoch epoch;
    uint8_t id[SL_TENANT_LEN], key[32], chance[16];
    sl_tenant_id(&crypto, k->flock, tenant, id);
    if (!choose(k, id, wall_s, &epoch) || !key_of(k, &epoch, key))
        return 0;
    sl_entropy(chance, sizeof chance);
    size_t len = sl_section_seal(key, &epoch, k->flock, kind, origin, chance, plain, out, cap);
    sodium_memzero(key, sizeof key);
    return len;
}

int sl_keyring_open(const struct sl_keyring *k, enum sl_kind kind, const struct sl_id *origin,
                    struct sl_span sealed, uint8_t ret_tenant[SL_TENANT_LEN], uint8_t *out,
                    size_t cap, size_t *ret_len)
{
    struct sl_tenant_epoch said = {.use_after = 0};
    uint8_t key[32], bound[BOUND_LEN];
    size_t len;
    if (sealed.len < SL_SEALED_OVERHEAD + SL_SEALED_STEP || sealed.len > SL_RECORD_MAX ||
        (sealed.len - SL_SEALED_OVERHEAD) % SL_SEALED_STEP != 0)
        return STARLING_EAUTH;
    if (cap < sealed.len)
        return STARLING_EINVAL;
    memcpy(said.tenant, sealed.p, SL_TENANT_LEN);
    said.epoch = sl_get32(sealed.p + SL_TENANT_LEN);
    if (said.epoch == 0)
        return STARLING_EAUTH;
    if (!key_of(k, &said, key))
        return 0;

    const uint8_t *nonce = sealed.p + HEAD_LEN, *text = nonce + NONCE_LEN;
    bind(k->flock, kind, origin, sealed.p, bound);
    int r = crypto_aead_xchacha20poly1305_ietf_decrypt(
        out, NULL, NULL, text, sealed.len - HEAD_LEN - NONCE_LEN, bound, sizeof bound, nonce, key);
    sodium_memzero(key, sizeof key);
    if (r != 0 || sodium_unpad(&len, out, sealed.len - SL_SEALED_OVERHEAD, SL_SEALED_STEP) != 0)
        return STARLING_EAUTH;
    memcpy(ret_tenant, said.tenant, SL_TENANT_LEN);
    *ret_len = len;
    return 1;
}
