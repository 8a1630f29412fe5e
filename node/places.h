/* places.h: where others may be found: configured seeds, the runtime directory, peers known from
 * before. */
#ifndef SL_NODE_PLACES_H
#define SL_NODE_PLACES_H

#include "node/node.h"

/* Read the known peers and scan the runtime directory. 0 or STARLING_EIO. */
int sl_places_open(starling_node *node, sl_usec now) SL_MUST_USE;
/* Behind a configured seed (called by the resolver; context is the node). */
void sl_places_configured(void *context, const struct sl_addr *addr);
/* A member is alive there. */
void sl_places_alive(starling_node *node, const struct sl_addr *addr);
/* The core dials or probes addr under this number. */
void sl_places_dialled(starling_node *node, sl_link link, const struct sl_addr *addr);
/* What was dialled or probed under this number refused: nobody listens there. */
void sl_places_refused(starling_node *node, sl_link link);
/* Scan and save when it is time. */
void sl_places_turn(starling_node *node, sl_usec now);
/* Save the known peers now, if they changed. */
void sl_places_save(starling_node *node, sl_usec now);
sl_usec sl_places_deadline(const starling_node *node);
#endif
