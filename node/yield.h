/* yield.h: what a node does when another process lives with its key (gossip/clone.c has found out). */
#ifndef SL_NODE_YIELD_H
#define SL_NODE_YIELD_H

#include "base/types.h"

/* An id that this node has, or had. */
struct sl_own_id {
    struct sl_own_id *before; /* owned; NULL = this was the first */
    char hex[];
};

struct starling_node;

/* Be known by the id in node->identity from now on. 0 or STARLING_ENOMEM. */
int sl_own_id_set(struct starling_node *node) SL_MUST_USE;
void sl_own_id_free(struct starling_node *node);

/* The core has given way: be somebody else, where the certificate is our own making; else stay out. */
void sl_yield(struct starling_node *node, sl_usec now);
/* Say from time to time that this node stays out. */
void sl_yield_turn(struct starling_node *node, sl_usec now);
#endif
