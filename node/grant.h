/* grant.h: a tenant's key on its way to one node, in that node's credentials (docs/PROTOCOL.md,
 * "Tenants").
 *
 *   tenant 8 | epoch 4 | node id 16 | use after 8 | crypto_box_seal of the key to the node's key 80
 *     | signature 64 over "starling/1 grant\0" | F | all before it
 *
 * The node's Ed25519 key is converted to X25519, so that its public half is enough to grant. */
#ifndef SL_NODE_GRANT_H
#define SL_NODE_GRANT_H

#include "node/crypto.h"
#include "node/keyring.h"

#define SL_GRANT_LEN (8 + 4 + 16 + 8 + 80 + 64)

struct sl_grant {
    struct sl_tenant_epoch what;
    struct sl_id node;
};

/* 0, or STARLING_EINVAL where node_key is no key that can be sealed to. */
int sl_grant_make(const struct sl_signer *authority, const uint8_t flock[SL_FLOCK_LEN],
                  const struct sl_tenant_epoch *what, const uint8_t node_key[SL_KEY_LEN],
                  const uint8_t key[32], uint8_t out[SL_GRANT_LEN]) SL_MUST_USE;
/* What it says, which is nobody's word before it is checked. */
void sl_grant_read(const uint8_t grant[SL_GRANT_LEN], struct sl_grant *ret);
/* Did an authority of the bundle sign it, for this flock? */
bool sl_grant_check(const struct sl_bundle *bundle, const uint8_t grant[SL_GRANT_LEN]);
/* The key in it; false: it is sealed to somebody else. */
bool sl_grant_open(const uint8_t grant[SL_GRANT_LEN], const struct sl_signer *node,
                   uint8_t ret_key[32]);
#endif
