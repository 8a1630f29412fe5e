/* credentials.h: what `starling ca` hands out, as text: lines "key = value", for a node with its key
 * and certificate (credentials), or without them for all of a flock (a bundle).
 *
 *   flock        name, for people; the certificate has the last word
 *   authority    64 digits; up to four such lines. The first signs what is issued
 *   door         64 digits; one or two. A node listens on the first and dials both
 *   certificate  as issued, in one line or spread over several
 *   tenant       name of one that the certificate lists, for people; up to 16
 *   grant        360 digits, in one line: a tenant's key for this node (grant.h); up to 32
 *   key          64 digits: the seed of the node's Ed25519 key
 *   check        32 digits, last: BLAKE2b-128 of all before this line; credentials without it are
 *                taken: they can be put together by hand */
#ifndef SL_NODE_CREDENTIALS_H
#define SL_NODE_CREDENTIALS_H

#include "gossip/cert.h"
#include "node/grant.h"

#define SL_CREDENTIALS_FILE_MAX 16384

struct sl_credentials {
    char flock[SL_NAME_LEN_MAX + 1]; /* "" = the file does not say */
    uint8_t authority[SL_AUTHORITIES_MAX][SL_KEY_LEN];
    size_t n_authorities;
    uint8_t door[SL_DOORS_MAX][32];
    size_t n_doors;
    uint8_t cert[SL_CERT_MAX];
    size_t cert_len; /* 0 in a bundle */
    char tenant[SL_CERT_TENANTS_MAX][SL_NAME_LEN_MAX + 1];
    size_t n_tenants;
    uint8_t grant[SL_GRANTS_MAX][SL_GRANT_LEN];
    unsigned grant_line[SL_GRANTS_MAX]; /* where each is in the file that was read; 0 = in none */
    size_t n_grants;
    uint8_t seed[32];
};

/* Form alone is checked. 0, STARLING_EAUTH, EIO; the text names file and line. Wiped by the
 * _fini. */
int sl_credentials_read(const char *path, struct sl_credentials *ret) SL_MUST_USE;
/* The same without certificate and key, and with its check: nobody but `starling ca` writes one.
 * STARLING_ENOENT where there is no file. */
int sl_bundle_read(const char *path, struct sl_credentials *ret) SL_MUST_USE;
/* Write either, mode 0600: whole or not at all. `title` is a comment in front, of printable
 * characters. With `replace` in place of what is there, else STARLING_EEXIST when something is. 0,
 * EEXIST, EIO. */
int sl_credentials_write(const char *path, const struct sl_credentials *credentials,
                         const char *title, bool replace) SL_MUST_USE;
void sl_credentials_fini(struct sl_credentials *credentials);
#endif
