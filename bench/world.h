/* world.h: a flock that is only told of: a store fed with members, behind a node without a network. */
#ifndef SL_BENCH_WORLD_H
#define SL_BENCH_WORLD_H

#include <pthread.h>
#include <starling.h>
#include <stdatomic.h>

#include "store/store.h"

struct world {
    starling_node *node; /* enough of one for starling_view_open() and what follows it */
    struct sl_store *store;
    unsigned n;
    sl_usec ahead; /* of the clock, so that nobody is a newcomer */
};

/* `n` members that each offer "web" with a version, metadata and various weights; all of them older
 * than any slow start. Ends the program when out of memory. */
void world_init(struct world *w, unsigned n);
/* So many more. */
void world_add(struct world *w, unsigned n);
void world_fini(struct world *w);

/* Member i says so in its vitals. */
void world_say(struct world *w, unsigned i, enum starling_health health, unsigned weight);
/* As the I/O thread does: publish, and take the changes. */
void world_publish(struct world *w);

starling_view *world_view(struct world *w, enum starling_strategy strategy);

/* Publishes a change of one member each `every_us` from a thread of its own, until stopped. */
struct publisher {
    struct world *world;
    unsigned every_us;
    atomic_bool stop;
    pthread_t thread;
    unsigned published; /* once stopped */
};
void publisher_start(struct publisher *p, struct world *w, unsigned every_us);
void publisher_stop(struct publisher *p);

#endif
