/* revoked.h: certificates that were taken back, as a file, and how a node comes by one.
 *
 *   "starling/1 revo" 16 | count 4 | entries of 137 bytes (gossip/revocation.h) | BLAKE2b-128 of all
 *
 * `starling ca revoke` writes AUTHORITY.revoked. A node reads the list beside its credentials
 * (CREDENTIALS.revoked), or beside the authority that it issues itself a certificate from, at its
 * start and whenever it changes; and keeps what the flock told it in STATE/revoked. */
#ifndef SL_NODE_REVOKED_H
#define SL_NODE_REVOKED_H

#include <limits.h>
#include <time.h>

#include "gossip/revocation.h"
#include "node/crypto.h"

/* 0, STARLING_ENOENT, EAUTH (damaged, open to others), EIO, ENOMEM. Entries count as they are: their
 * signatures are not looked at. Freed with sl_revoked_free(.., &sl_alloc_system). */
int sl_revoked_file_read(const char *path, struct sl_revoked *ret) SL_MUST_USE;
/* 0, STARLING_EIO, ENOMEM. */
int sl_revoked_file_write(const char *path, struct sl_span entries) SL_MUST_USE;

/* What a node remembers of its lists. */
struct sl_revocations {
    char given[PATH_MAX];   /* "" = none */
    char kept[PATH_MAX];    /* in the state directory; "" = none */
    struct timespec mtime;  /* of `given` when it was read */
    unsigned long long ino; /* likewise; 0 = never */
    size_t n_kept;          /* entries in `kept` */
};

struct starling_node;
/* Where the lists are, and what the node kept: before it meets anybody. */
void sl_revocations_open(struct starling_node *node, sl_usec now);
/* Read again what changed, keep what was told. Cheap: to be called about every second. */
void sl_revocations_turn(struct starling_node *node, sl_usec now);
#endif
