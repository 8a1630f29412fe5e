/* world.c: a store fed with members, behind a node without a network. */
#include "bench/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "node/barrier.h"
#include "node/node.h"

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

static const struct sl_alloc heap = {resize, NULL};

static struct sl_id id_of(unsigned i)
{
    struct sl_id id = {{0xb0, (uint8_t)(i >> 8), (uint8_t)i}};
    return id;
}

static unsigned base_weight(unsigned i)
{
    return 50 + i * 37 % 101;
}

static struct sl_service service_of(unsigned i)
{
    static const char key[] = "env", value[] = "production";
    struct sl_service s = {.tenant = "default", .name = "web", .version = "1.4.2"};
    s.port = (uint16_t)(1024 + i);
    s.base_weight = s.weight = (uint16_t)base_weight(i);
    s.meta[0] = (struct sl_service_meta){sl_span_of(key, sizeof key - 1),
                                         sl_span_of(value, sizeof value - 1)};
    s.n_meta = 1;
    return s;
}

static void feed(struct world *w, unsigned i)
{
    struct sl_store_member m = {.id = id_of(i), .epoch = 1, .zone = "eu-1"};
    m.addr =
        (struct sl_addr){.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .port = 7700};
    snprintf(m.name, sizeof m.name, "node-%04u", i);
    struct sl_service service = service_of(i);
    const struct sl_service *list[] = {&service};
    uint8_t bytes[SL_RECORD_SECTIONS_MAX];
    size_t len = sl_sections_write_record(list, 1, bytes, sizeof bytes);
    must(sl_store_member(w->store, &m) == 0, "feeding a member");
    must(sl_store_record(w->store, &m.id, sl_span_of(bytes, len)) == 0, "feeding a record");
    world_say(w, i, STARLING_PASSING, base_weight(i));
}

void world_init(struct world *w, unsigned n)
{
    *w = (struct world){.n = n, .now = SL_SEC(1000)};
    w->node = calloc(1, sizeof *w->node);
    must(w->node != NULL, "memory");
    must(sl_store_new(&heap, 1, sl_barrier_of_process(), &w->store) == 0, "a store");
    w->node->store = w->store;
    w->node->process = sl_process();
    w->node->wake_fd = -1; /* nobody to rouse */
    pthread_mutex_init(&w->node->store_lock, NULL);
    for (unsigned i = 0; i < n; i++)
        feed(w, i);
    world_publish(w);
    w->now += SL_SEC(120);
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
    struct sl_service service = service_of(i);
    const struct sl_service *list[] = {&service};
    uint8_t bytes[SL_VITALS_SECTIONS_MAX];
    struct sl_id id = id_of(i);
    service.health = (uint8_t)health;
    service.weight = (uint16_t)weight;
    size_t len = sl_sections_write_vitals(list, 1, bytes, sizeof bytes);
    must(sl_store_vitals(w->store, &id, sl_span_of(bytes, len)) == 0, "feeding vitals");
}

void world_publish(struct world *w)
{
    struct sl_change change;
    pthread_mutex_lock(&w->node->store_lock);
    w->now += SL_MS(10);
    must(sl_store_publish(w->store, w->now) == 0, "publishing");
    while (sl_store_next_change(w->store, &change)) {
    }
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
