/* authority.h: the authority of one user, made once in the configuration directory and never
 * rewritten (docs/PROTOCOL.md, "Trust"). With a credentials file it stays elsewhere and none of
 * this is used. */
#ifndef SL_NODE_AUTHORITY_H
#define SL_NODE_AUTHORITY_H

#include "node/crypto.h"

#define SL_SECRET_FILE_MAX 128

struct sl_authority {
    struct sl_signer signer;
    uint8_t door[32];
};

/* Read CONFIG/authority, making it first where there is none; RUNTIME/@authority where CONFIG
 * cannot be written. Many processes may do so at once: all get the same. 0, STARLING_EAUTH
 * (damaged, foreign, a link, open to others; or another authority is in use in RUNTIME), EIO. Wiped
 * by sl_authority_fini. */
int sl_authority_load(const char *config_dir, const char *runtime_dir, struct sl_authority *ret)
    SL_MUST_USE;
void sl_authority_fini(struct sl_authority *authority);

/* A secret file: 16 bytes of magic, `secret`, and the BLAKE2b-128 of both. Reading checks owner,
 * mode, form and checksum: 0, STARLING_ENOENT, EAUTH, EIO. Making never replaces: 0 also when
 * somebody was faster. */
int sl_secret_read(const char *path, const char magic[16], uint8_t *secret, size_t len) SL_MUST_USE;
int sl_secret_make(const char *path, const char magic[16], const uint8_t *secret, size_t len)
    SL_MUST_USE;
#endif
