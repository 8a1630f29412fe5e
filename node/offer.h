/* offer.h: one service that this node offers; the handle starling_registration. */
#ifndef SL_NODE_OFFER_H
#define SL_NODE_OFFER_H

#include <starling.h>

#include "node/checks.h"
#include "node/shed.h"
#include "store/store.h"

/* What the flock is told is made of what several say; each says its own part. Under
 * commands.lock. */
struct starling_registration {
    struct starling_node *node;
    struct sl_service service; /* as the flock is told */
    bool held;                 /* it is not told at all, yet */

    /* health: the worse of two */
    uint8_t said; /* by the application */
    char said_note[STARLING_NOTE_MAX];
    uint8_t found; /* by the check; passing where there is none */
    char found_note[STARLING_NOTE_MAX];
    struct sl_checker *checker; /* or NULL; the I/O thread's, but for `offer` and `renewed` */

    /* weight: 0 when draining, else the operator's word, else base x load */
    uint16_t base;
    bool overridden;
    uint16_t override;
    struct sl_shed load;
    bool reports; /* its load, and with it: */
    unsigned in_flight;

    uint8_t bytes[]; /* keys and values, borrowed by service.meta */
};

/* 0, EINVAL, ELIMIT, ENOMEM, with a text. */
int sl_registration_new(struct starling_node *node, const starling_service *s,
                        struct starling_registration **ret) SL_MUST_USE;
void sl_registration_free(struct starling_registration *reg);

/* ---- under commands.lock ---- */

/* What the application, or the check, says of its health. */
void sl_registration_say(struct starling_registration *reg, enum starling_health health,
                         const char *note);
void sl_registration_judge(struct starling_registration *reg, enum starling_health health,
                           const char *note, bool held);
/* Make the weight out of its parts. */
void sl_registration_weigh(struct starling_registration *reg);
#endif
