/* credentials.h: what `starling ca issue` hands to a node whose authority stays elsewhere: a text
 * file of lines "key = value", all values in hexadecimal.
 *
 *   authority    64 digits; up to four such lines
 *   door         64 digits
 *   certificate  as issued, in one line or spread over several
 *   key          64 digits: the seed of the node's Ed25519 key */
#ifndef SL_NODE_CREDENTIALS_H
#define SL_NODE_CREDENTIALS_H

#include "gossip/cert.h"

struct sl_credentials {
    uint8_t authority[SL_AUTHORITIES_MAX][SL_KEY_LEN];
    size_t n_authorities;
    uint8_t door[32];
    uint8_t cert[SL_CERT_MAX];
    size_t cert_len;
    uint8_t seed[32];
};

/* Form alone is checked. 0, STARLING_EAUTH, EIO; the text names file and line. Wiped by the
 * _fini. */
int sl_credentials_read(const char *path, struct sl_credentials *ret) SL_MUST_USE;
void sl_credentials_fini(struct sl_credentials *credentials);
#endif
