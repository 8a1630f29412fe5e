/* members.h: members that a store is told of, without a network. */
#ifndef SL_BENCH_MEMBERS_H
#define SL_BENCH_MEMBERS_H

#include <starling.h>

#include "node/crypto.h" /* sl_alloc_system */
#include "store/store.h"

/* Member `number`, called node-NUMBER; in zone "eu-1" unless said otherwise. */
struct told {
    unsigned number;
    const char *zone;
    bool self;
    bool offers; /* the service "web", with a version and metadata */
    enum starling_health health;
    unsigned weight;
};

/* All of a member, or what changed: the store's words are fed through real section bytes. Ends the
 * program when out of memory. */
void tell(struct sl_store *s, const struct told *member);
/* Its vitals alone. */
void tell_vitals(struct sl_store *s, const struct told *member);
void tell_gone(struct sl_store *s, unsigned number);
/* Publish, and take the changes. */
void tell_readers(struct sl_store *s, sl_usec now);

/* The number in the name of who was picked. */
unsigned number_of(const starling_instance *who);

#endif
