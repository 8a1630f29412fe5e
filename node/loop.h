/* loop.h: the I/O thread. */
#ifndef SL_NODE_LOOP_H
#define SL_NODE_LOOP_H

#include "node/node.h"

/* Take what the core has to do and to tell until it has nothing more. */
void sl_loop_pump(starling_node *node, sl_usec now);
/* Start the thread. 0, STARLING_ENOMEM or STARLING_ELIMIT. */
int sl_loop_start(starling_node *node) SL_MUST_USE;
/* Close what the thread owns, but not the store, which readers read on. Also after half an open. */
void sl_loop_fini(starling_node *node);
#endif
