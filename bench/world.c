/* world.c: a store fed with members, behind a node without a network. */
#include "bench/world.h"

#include <stdlib.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/members.h"
#include "node/barrier.h"
#include "node/node.h"

static unsigned base_weight(unsigned i)
{
    return 50 + i * 37 % 101;
}

static sl_usec now_of(const struct world *w)
{
    return (sl_usec)(wall_ns() / 1000) + w->ahead;
}

void world_init(struct world *w, unsigned n)
{
    *w = (struct world){.ahead = SL_SEC(1000)};
    w->node = calloc(1, sizeof *w->node);
    must(w->node != NULL, "memory");
    must(sl_store_new(&sl_alloc_system, 1, sl_barrier_of_process(), &w->store) == 0, "a store");
    w->node->store = w->store;
    w->node->process = sl_process();
    w->node->wake_fd = -1; /* nobody to rouse */
    pthread_mutex_init(&w->node->store_lock, NULL);
    world_add(w, n);
}

void world_add(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++, w->n++)
        tell(w->store, &(struct told){.number = w->n, .offers = true, .weight = base_weight(w->n)});
    world_publish(w);
    w->ahead += SL_SEC(120);
    world_publish(w);
}

void world_fini(struct world *w)
{
    sl_store_free(w->store);
    pthread_mutex_destroy(&w->node->store_lock);
    free(w->node);
}

void world_say(struct world *w, unsigned i, enum starling_health health, unsigned weight)
{
    tell_vitals(w->store, &(struct told){.number = i, .health = health, .weight = weight});
}

void world_publish(struct world *w)
{
    pthread_mutex_lock(&w->node->store_lock);
    tell_readers(w->store, now_of(w));
    pthread_mutex_unlock(&w->node->store_lock);
}

starling_view *world_view(struct world *w, enum starling_strategy strategy)
{
    starling_view *view;
    starling_view_options options = {.strategy = strategy};
    must(starling_view_open(w->node, "web", &options, &view) == 0, "opening a view");
    return view;
}

static void *publish_always(void *context)
{
    struct publisher *p = context;
    struct timespec pause = {.tv_nsec = (long)p->every_us * 1000};
    while (!atomic_load_explicit(&p->stop, memory_order_relaxed)) {
        unsigned i = p->published++;
        world_say(p->world, i % p->world->n, STARLING_PASSING, 50 + i % 101);
        world_publish(p->world);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void publisher_start(struct publisher *p, struct world *w, unsigned every_us)
{
    *p = (struct publisher){.world = w, .every_us = every_us};
    must(pthread_create(&p->thread, NULL, publish_always, p) == 0, "a thread");
}

void publisher_stop(struct publisher *p)
{
    atomic_store_explicit(&p->stop, true, memory_order_relaxed);
    pthread_join(p->thread, NULL);
}
