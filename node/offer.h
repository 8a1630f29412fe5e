/* offer.h: one service that this node offers; the handle starling_registration. */
#ifndef SL_NODE_OFFER_H
#define SL_NODE_OFFER_H

#include <starling.h>

#include "store/store.h"

struct starling_registration {
    struct starling_node *node;
    struct sl_service service; /* as the flock is told; under commands.lock */
    uint8_t bytes[];           /* keys and values, borrowed by service.meta */
};

/* 0, EINVAL, ELIMIT, ENOMEM, with a text. */
int sl_registration_new(struct starling_node *node, const starling_service *s,
                        struct starling_registration **ret) SL_MUST_USE;
void sl_registration_free(struct starling_registration *reg);
#endif
