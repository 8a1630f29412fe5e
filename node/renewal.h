/* renewal.h: credentials that change while a node runs (docs/PROTOCOL.md, "Renewal"). What is watched is the
 * credentials file or, for a node that issues itself a certificate, what the rotations of its user's
 * authority have come to (AUTHORITY.bundle, AUTHORITY.tenants). */
#ifndef SL_NODE_RENEWAL_H
#define SL_NODE_RENEWAL_H

#include <limits.h>
#include <stdbool.h>
#include <time.h>

#include "node/identity.h"

struct sl_renewal {
    struct sl_watched {
        char path[PATH_MAX];   /* "" = none */
        struct timespec mtime; /* of what was read last */
        unsigned long long ino, size;
    } file[2];
};

#define SL_RENEWAL_NOTE 512
/* What an operator has to know of the certificate in use and to do; "" = nothing. */
enum sl_life sl_renewal_note(const struct sl_identity *identity, int64_t wall_s,
                             char out[SL_RENEWAL_NOTE]);

struct starling_node;
/* Be `next` from now on, as far as it can differ while the node runs (not the name, C_d), and have all services said
 * again under it. What application threads ask of the identity, they ask under commands.lock, as this does. */
void sl_renewal_take(struct starling_node *node, const struct sl_identity *next);
void sl_renewal_open(struct starling_node *node);
/* Take what has changed, or say what is wrong with it, and what comes to its end. Cheap: to be called about every
 * second. */
void sl_renewal_turn(struct starling_node *node, sl_usec now, int64_t wall_s);
#endif
