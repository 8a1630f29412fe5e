/* authority.h: the authority of one user, made once in the configuration directory and never
 * rewritten (docs/PROTOCOL.md, "Trust"). With a credentials file it stays elsewhere and none of
 * this is used by a node. What people do with one is ca.h. */
#ifndef SL_NODE_AUTHORITY_H
#define SL_NODE_AUTHORITY_H

#include <limits.h>

#include "node/crypto.h"

#define SL_SECRET_FILE_MAX 128

struct sl_authority {
    struct sl_signer signer;
    uint8_t door[32];
};

/* One file. 0, STARLING_ENOENT, EAUTH, EIO. */
int sl_authority_read(const char *path, struct sl_authority *ret) SL_MUST_USE;
/* Make one whole with this seed and door; never replaces. 0, STARLING_EEXIST, EIO. */
int sl_authority_create(const char *path, const uint8_t seed[32], const uint8_t door[32])
    SL_MUST_USE;

/* Read CONFIG/authority, making it first where there is none; RUNTIME/@authority where CONFIG
 * cannot be written. Many processes may do so at once: all get the same. 0, STARLING_EAUTH
 * (damaged, foreign, a link, open to others; or another authority is in use in RUNTIME), EIO. Its
 * place is told in ret_path. Wiped by sl_authority_fini. */
int sl_authority_load(const char *config_dir, const char *runtime_dir, struct sl_authority *ret,
                      char ret_path[PATH_MAX]) SL_MUST_USE;
void sl_authority_fini(struct sl_authority *authority);

/* "AUTHORITY.bundle": what its rotation has come to (ca.h); the authority's own key and door where
 * there is none. 0 or STARLING_EIO (too long). */
int sl_authority_bundle_path(const char *path, char out[PATH_MAX]) SL_MUST_USE;

/* A secret file: 16 bytes of magic, `secret`, and the BLAKE2b-128 of both. Reading checks owner,
 * mode, form and checksum: 0, STARLING_ENOENT, EAUTH, EIO. Making never replaces: 0 also when
 * somebody was faster, but _create then STARLING_EEXIST. */
int sl_secret_read(const char *path, const char magic[16], uint8_t *secret, size_t len) SL_MUST_USE;
int sl_secret_make(const char *path, const char magic[16], const uint8_t *secret, size_t len)
    SL_MUST_USE;
int sl_secret_create(const char *path, const char magic[16], const uint8_t *secret, size_t len)
    SL_MUST_USE;
/* In the place of the one that is there, whole or not at all. 0 or STARLING_EIO. */
int sl_secret_replace(const char *path, const char magic[16], const uint8_t *secret, size_t len)
    SL_MUST_USE;
#endif
