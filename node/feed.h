/* feed.h: from the core's events to the store, and from the store's changes to the application. */
#ifndef SL_NODE_FEED_H
#define SL_NODE_FEED_H

#include "node/node.h"

/* Changes reach the application in batches, at most one in this time (the first at once). */
#define SL_BATCH SL_MS(100)

/* Take the core's events into the store. */
void sl_feed_take(starling_node *node, sl_usec now);
/* Our keys changed: what members say is read anew. */
void sl_feed_again(starling_node *node, sl_usec now);
/* Publish what changed to readers, and in batches to watches and callbacks. */
void sl_feed_publish(starling_node *node, sl_usec now);
sl_usec sl_feed_deadline(const starling_node *node);
#endif
