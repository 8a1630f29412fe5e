/* command.h: what application threads ask of the I/O thread.
 *
 * Not a queue of orders but a table of what this node offers, and marks for what the I/O thread
 * has not yet told the flock. The table is bounded by its nature, so that nothing can be too
 * busy for a service to be withdrawn or reported critical, and a hundred changes in one turn
 * become one fact. */
#ifndef SL_NODE_COMMAND_H
#define SL_NODE_COMMAND_H

#include <pthread.h>
#include <starling.h>

#include "base/limits.h"
#include "base/types.h"
#include "node/shed.h"

struct starling_node;
struct starling_registration;
struct sl_checker;

/* Bytes of service sections in a fact: what sl_gossip_put takes; the rest is for what surrounds
 * them. */
#define SL_OFFER_RECORD_MAX (SL_RECORD_MAX / 4 * 3)
#define SL_OFFER_VITALS_MAX (SL_VITALS_MAX / 4 * 3)

/* Facts this node may say of its services: a burst, then one each SL_SAY_EVERY. Others accept
 * SL_FACTS_PER_SECOND of one origin, and its answers need some of them. */
#define SL_SAY_EVERY SL_MS(250)
#define SL_SAY_BURST 8
#define SL_SEAL_EVERY SL_SEC(10) /* looks whether another key of a tenant is in use by now */

struct sl_saying {
    uint8_t bytes[SL_OFFER_RECORD_MAX];
    size_t len;
    uint64_t sum; /* of what they say; sealed, the same is other bytes each time */
    bool due, urgent;
};

struct sl_commands {
    pthread_mutex_t lock; /* held for a copy or an encoding, never across a call out */
    struct starling_registration *offers[SL_SERVICES_MAX]; /* in order of registration */
    size_t n_offers;
    bool record_changed, vitals_changed; /* since the I/O thread looked */
    bool withdrawn;                      /* something was taken out of the record */
    bool vitals_urgent;
    bool leave;                           /* the application asks to leave */
    bool closed;                          /* leaving or stopped: no more changes */
    bool draining;                        /* starling_drain(): weight 0, whoever says what */
    struct sl_checker *fresh;             /* of new services, which the I/O thread has not met */
    uint8_t scratch[SL_OFFER_RECORD_MAX]; /* to try whether it fits */
    uint8_t plain[SL_OFFER_RECORD_MAX];   /* a tenant's, before it is sealed */
    uint8_t sealed[SL_OFFER_RECORD_MAX];  /* and after */
    char unknown_tenant[STARLING_NAME_MAX]; /* asked for, and there is no key; "" = none */
    bool unknown_told;                      /* the log has it, or has nothing to say */

    /* the I/O thread's */
    struct sl_saying record, vitals; /* as last encoded */
    bool record_first;
    bool leaving;     /* somebody asked to leave */
    sl_usec said;     /* time up to which the allowance of facts is spent */
    sl_usec weigh_at; /* the next look at the load */
    sl_usec seal_at;  /* the next look at which keys are in use */
    struct sl_cpu cpu;
};

void sl_commands_init(struct sl_commands *c);
/* Frees the registrations. */
void sl_commands_fini(struct sl_commands *c);
/* Where each change of a registration by an application thread begins (0 with the lock held) and
 * ends (the lock is given back). */
int sl_change_begin(struct starling_registration *registration) SL_MUST_USE;
void sl_change_end(struct starling_registration *registration);
/* May this node read and offer the tenant's services? For an application's thread, which is not
 * refused but warned, once: it looks, and there is nothing. */
void sl_commands_ask_tenant(struct starling_node *node, const char *tenant);
/* Warn about each service that a new certificate or its keys no longer let us offer: it stays
 * registered, and counts again with one that does. */
void sl_commands_warn_rights(struct starling_node *node);
/* Our keys or our certificate changed: say all again. Under the lock. */
void sl_commands_say_again(struct sl_commands *c);
/* The place of a service in the table, n_offers when it has none. Under the lock. */
size_t sl_commands_find(const struct sl_commands *c, const char *tenant, const char *name);
/* On the I/O thread: say what changed. When to come back, SL_NEVER when all is said. */
sl_usec sl_commands_turn(struct starling_node *node, sl_usec now);
#endif
