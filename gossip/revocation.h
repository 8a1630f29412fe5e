/* revocation.h: certificates that an authority took back (PROTOCOL.md, "Revocation").
 *
 *   F 16 | signer 8 | node id 16 | serial 16 (0 = the whole key) | at 8 | until 8 | reason 1
 *     | signature 64 over "starling/1 revocation\0" and all before it
 *
 * The signer is named as a certificate's issuer is, and need not be the one who issued what it takes
 * back: any authority of the bundle may. What was taken back is never given again: a set only grows. */
#ifndef SL_GOSSIP_REVOCATION_H
#define SL_GOSSIP_REVOCATION_H

#include "gossip/cert.h"

#define SL_REVOCATION_LEN 137

struct sl_revocation {
    uint8_t flock[SL_FLOCK_LEN];
    uint8_t signer[8]; /* filled in by sl_revocation_sign */
    struct sl_id id;
    uint8_t serial[16];
    int64_t at, until; /* until: for people; nothing is forgotten yet */
    uint8_t reason;    /* enum sl_revoked_reason */
};

enum sl_revoked_reason {
    SL_REVOKED_UNSAID = 0,
    SL_REVOKED_KEY_LOST = 1, /* somebody else may have the key */
    SL_REVOKED_REPLACED = 2, /* another certificate is in use */
    SL_REVOKED_GONE = 3      /* the node is no more */
};

/* `key` is the public one of whoever signs behind `c`. */
void sl_revocation_sign(const struct sl_crypto *c, const uint8_t key[SL_KEY_LEN],
                        const struct sl_revocation *what, uint8_t out[SL_REVOCATION_LEN]);
/* Form alone. */
bool sl_revocation_read(const uint8_t entry[SL_REVOCATION_LEN], struct sl_revocation *ret)
    SL_MUST_USE;
bool sl_revocation_verify(const struct sl_crypto *c, const uint8_t entry[SL_REVOCATION_LEN],
                          const uint8_t key[SL_KEY_LEN]) SL_MUST_USE;

/* In order of what was taken back; that is what two of them are compared by. */
struct sl_revoked {
    uint8_t (*entries)[SL_REVOCATION_LEN]; /* as signed; NULL = none */
    size_t n, cap;
    uint64_t root; /* of what is in it, whoever signed it; 0 = nothing */
};

/* 0, STARLING_EEXIST, ELIMIT (SL_REVOKED_MAX), ENOMEM. Neither form nor signature is looked at. */
int sl_revoked_insert(struct sl_revoked *set, const struct sl_alloc *alloc,
                      const struct sl_crypto *c, const uint8_t entry[SL_REVOCATION_LEN])
    SL_MUST_USE;
/* This certificate of this key, or the whole key. serial NULL: the whole key only. */
bool sl_revoked_holds(const struct sl_revoked *set, const struct sl_id *id, const uint8_t *serial);
void sl_revoked_free(struct sl_revoked *set, const struct sl_alloc *alloc);
#endif
