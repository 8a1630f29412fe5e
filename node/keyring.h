/* keyring.h: the keys of tenants, and sections sealed under them (docs/PROTOCOL.md, "Tenants"). A
 * tenant's key comes in a grant (grant.h), or, for a node that issues itself its certificate, from
 * the authority's seed: such a node has every tenant. Tenant "default" is in clear and has no key.
 *
 *   sealed   tenant 8 | key epoch 4 | nonce 24 | XChaCha20-Poly1305 of the plain text, padded to 64
 *   with     "starling/1 section\0" | F | fact kind 1 | origin 16 | tenant 8 | key epoch 4
 *
 * so that a section copied into another's fact, or another kind of fact, does not open. */
#ifndef SL_NODE_KEYRING_H
#define SL_NODE_KEYRING_H

#include "gossip/cert.h"
#include "gossip/fact.h"

#define SL_TENANT_LEN 8
#define SL_DEFAULT_TENANT "default"
#define SL_SEALED_OVERHEAD (8 + 4 + 24 + 16) /* and padding to SL_SEALED_STEP */
#define SL_SEALED_STEP 64
#define SL_TENANT_EPOCHS 2                                     /* the old key and the new one */
#define SL_GRANTS_MAX (SL_CERT_TENANTS_MAX * SL_TENANT_EPOCHS) /* of one node */
#define SL_ROTATED_MAX                                                                             \
    128 /* tenants of one authority that have
                                                                   another key than their first */
#define SL_TENANT_EPOCHS_MAX (SL_ROTATED_MAX * SL_TENANT_EPOCHS)

/* One key of a tenant: who it is for and from when on it is used; not the key itself. */
struct sl_tenant_epoch {
    uint8_t tenant[SL_TENANT_LEN];
    uint32_t epoch;    /* from 1 */
    int64_t use_after; /* seconds since 1970; the one before is used until then */
};

/* Copied by assignment; every copy is wiped by sl_keyring_fini. */
struct sl_keyring {
    uint8_t flock[SL_FLOCK_LEN];
    bool has_all;     /* keys derive from `root`; epochs lists tenants that were rotated */
    uint8_t root[32]; /* not the authority's seed: a host's memory is no place for that */
    struct sl_tenant_epoch epochs[SL_TENANT_EPOCHS_MAX];
    size_t n_epochs;
    uint8_t key[SL_GRANTS_MAX][32]; /* of epochs[i], unless has_all */
};

/* May this node read and write the tenant? "default", which has no key: always. */
bool sl_keyring_has(const struct sl_keyring *k, const char *tenant);
/* Seal `plain` for `tenant` in a fact of `kind` of `origin`, under the newest key whose use-after is
 * past at wall_s (the oldest where none is: then it is the clock that is wrong). Length written to
 * out, 0: no key, or it does not fit in cap. */
size_t sl_keyring_seal(const struct sl_keyring *k, enum sl_kind kind, const struct sl_id *origin,
                       const char *tenant, struct sl_span plain, int64_t wall_s, uint8_t *out,
                       size_t cap);
/* Open one. 1: plain (in `out`, cap >= sealed.len) and its length, and the tenant's id; 0: it is none
 * of ours (no key); STARLING_EAUTH: forged or damaged; STARLING_EINVAL: cap is too small. `out` is
 * written to in any case. */
int sl_keyring_open(const struct sl_keyring *k, enum sl_kind kind, const struct sl_id *origin,
                    struct sl_span sealed, uint8_t ret_tenant[SL_TENANT_LEN], uint8_t *out,
                    size_t cap, size_t *ret_len) SL_MUST_USE;

/* ---- filling it ---- */

/* Empty. */
void sl_keyring_init(struct sl_keyring *k, const uint8_t flock[SL_FLOCK_LEN]);
/* Every tenant of the flock, from the seed of its first authority. */
void sl_keyring_take_seed(struct sl_keyring *k, const uint8_t seed[32]);
/* One more key (NULL when all derive). 0, STARLING_EINVAL (epoch 0, a time before 1970, "default"),
 * EEXIST (there already), ELIMIT (a third of this tenant, or more than fit). */
int sl_keyring_add(struct sl_keyring *k, const struct sl_tenant_epoch *what, const uint8_t *key)
    SL_MUST_USE;
/* Wipes it. NULL is fine. */
void sl_keyring_fini(struct sl_keyring *k);

/* ---- its parts ---- */

/* What all keys of a flock derive from: BLAKE2b-256(key = seed, "starling/1 tenant root\0" | F). */
void sl_tenant_root(const uint8_t seed[32], const uint8_t flock[SL_FLOCK_LEN], uint8_t out[32]);
/* BLAKE2b-256(key = master, "starling/1 tenant\0" | tenant | epoch), where the master is
 * BLAKE2b-256(key = root, "starling/1 tenant master\0" | tenant). */
void sl_tenant_key(const uint8_t root[32], const uint8_t tenant[SL_TENANT_LEN], uint32_t epoch,
                   uint8_t out[32]);
/* Sealing with a key and chance that are given; epoch's use_after is not looked at. The nonce is
 * BLAKE2b-192(key, associated data | chance | plain). */
size_t sl_section_seal(const uint8_t key[32], const struct sl_tenant_epoch *epoch,
                       const uint8_t flock[SL_FLOCK_LEN], enum sl_kind kind,
                       const struct sl_id *origin, const uint8_t chance[16], struct sl_span plain,
                       uint8_t *out, size_t cap);
#endif
