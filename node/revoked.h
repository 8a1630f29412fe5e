/* revoked.h: the list of certificates that an authority took back, as a file.
 *
 *   "starling/1 revo" 16 | count 4 | entries of 137 bytes | BLAKE2b-128 of all before it
 *   entry    F 16 | issuer 8 | node id 16 | serial 16 (0 = the whole key) | at 8 | until 8 | reason 1
 *            | signature 64 over "starling/1 revocation\0" | entry without signature
 *
 * Integers are big-endian, times seconds since 1970. Each entry stands for itself, so that lists of
 * several authorities can be put together. Nodes do not read this yet: docs/PROTOCOL.md, "Trust". */
#ifndef SL_NODE_REVOKED_H
#define SL_NODE_REVOKED_H

#include "gossip/cert.h"
#include "node/crypto.h"

#define SL_REVOKED_MAX 10000 /* entries of one list */

struct sl_revocation {
    uint8_t flock[SL_FLOCK_LEN];
    uint8_t issuer[8]; /* of the certificate */
    struct sl_id id;
    uint8_t serial[16];
    int64_t at, until;
    uint8_t reason; /* enum sl_revoked_reason */
};

enum sl_revoked_reason {
    SL_REVOKED_UNSAID = 0,
    SL_REVOKED_KEY_LOST = 1, /* somebody else may have the key */
    SL_REVOKED_REPLACED = 2, /* another certificate is in use */
    SL_REVOKED_GONE = 3      /* the node is no more */
};

#define SL_REVOKED_ENTRY 137

struct sl_revoked {
    uint8_t (*entries)[SL_REVOKED_ENTRY]; /* signed, as in the file; NULL = none */
    size_t n;
};

/* 0, STARLING_ENOENT, EAUTH (damaged, open to others), EIO, ENOMEM. */
int sl_revoked_read(const char *path, struct sl_revoked *ret) SL_MUST_USE;
/* 0, STARLING_EIO, ENOMEM. */
int sl_revoked_write(const char *path, const struct sl_revoked *list) SL_MUST_USE;
/* 0, STARLING_EEXIST, ELIMIT, ENOMEM. */
int sl_revoked_add(struct sl_revoked *list, const struct sl_revocation *what,
                   const struct sl_signer *by) SL_MUST_USE;
/* False when i is beyond the end or the form is wrong. */
bool sl_revoked_get(const struct sl_revoked *list, size_t i, struct sl_revocation *ret) SL_MUST_USE;
/* An authority with this key signed the entry. */
bool sl_revoked_verify(const struct sl_revoked *list, size_t i, const uint8_t key[SL_KEY_LEN])
    SL_MUST_USE;
void sl_revoked_fini(struct sl_revoked *list);
#endif
