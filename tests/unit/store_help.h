/* store_help.h: a small world for the tests of store/: memory that can fail and is accounted for,
 * and members that speak through real section bytes. */
#ifndef SL_TESTS_STORE_HELP_H
#define SL_TESTS_STORE_HELP_H

#include <check.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store.h"
#include "tests/suite.h"

/* ---- memory ---- */

struct memory {
    struct sl_alloc alloc;
    size_t bytes;   /* in use */
    size_t n_calls; /* that asked for memory */
    size_t fail_at; /* the call of that number fails, counted from 1; 0 = none */
};

static inline void *memory_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct memory *m = context;
    if (new_size > 0 && ++m->n_calls == m->fail_at)
        return NULL;
    if (m->bytes < (ptr ? old_size : 0))
        ck_abort_msg("more was freed than allocated");
    m->bytes -= ptr ? old_size : 0;
    m->bytes += new_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    void *p = realloc(ptr, new_size);
    if (!p)
        ck_abort_msg("this machine has no memory left");
    return p;
}

static inline void memory_init(struct memory *m)
{
    *m = (struct memory){.alloc = {memory_resize, m}};
}

/* ---- services ---- */

static inline void set_text(char *out, size_t cap, const char *text)
{
    ck_assert_uint_lt(strlen(text), cap);
    memcpy(out, text, strlen(text) + 1);
}

static inline struct sl_service a_service(const char *name, unsigned port)
{
    struct sl_service s = {.port = (uint16_t)port, .base_weight = 100, .weight = 100};
    set_text(s.tenant, sizeof s.tenant, "default");
    set_text(s.name, sizeof s.name, name);
    return s;
}

static inline void add_meta(struct sl_service *s, const char *key, const char *value)
{
    s->meta[s->n_meta++] =
        (struct sl_service_meta){sl_span_of(key, strlen(key)), sl_span_of(value, strlen(value))};
}

/* ---- members ---- */

static inline struct sl_id an_id(unsigned number)
{
    struct sl_id id = {{0}};
    id.b[0] = 0xa0;
    id.b[14] = (uint8_t)(number >> 8);
    id.b[15] = (uint8_t)number;
    return id;
}

/* Member `number` is called nNUMBER and listens at 10.0.HIGH.LOW:7700. */
static inline struct sl_store_member a_member(unsigned number, enum starling_status status)
{
    struct sl_store_member m = {.id = an_id(number), .epoch = 1, .status = (uint8_t)status};
    snprintf(m.name, sizeof m.name, "n%04u", number);
    set_text(m.zone, sizeof m.zone, "z1");
    m.addr = (struct sl_addr){
        .family = 4, .ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}, .port = 7700};
    return m;
}

static inline int feed_member(struct sl_store *s, unsigned number, enum starling_status status)
{
    struct sl_store_member m = a_member(number, status);
    return sl_store_member(s, &m);
}

static inline int feed_record(struct sl_store *s, unsigned number,
                              const struct sl_service *services, size_t n)
{
    uint8_t bytes[SL_RECORD_SECTIONS_MAX];
    const struct sl_service *list[SL_SERVICES_MAX];
    struct sl_id id = an_id(number);
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    size_t len = sl_sections_write_record(list, n, bytes, sizeof bytes);
    ck_assert_uint_gt(len, 0);
    return sl_store_record(s, &id, sl_span_of(bytes, len));
}

static inline int feed_vitals(struct sl_store *s, unsigned number,
                              const struct sl_service *services, size_t n)
{
    uint8_t bytes[SL_VITALS_SECTIONS_MAX];
    const struct sl_service *list[SL_SERVICES_MAX];
    struct sl_id id = an_id(number);
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    size_t len = sl_sections_write_vitals(list, n, bytes, sizeof bytes);
    ck_assert_uint_gt(len, 0);
    return sl_store_vitals(s, &id, sl_span_of(bytes, len));
}

/* A member that offers one service, which passes, with that weight. */
static inline void offer(struct sl_store *s, unsigned number, const char *name, unsigned weight)
{
    struct sl_service service = a_service(name, 8000 + number % 1000);
    service.weight = (uint16_t)weight;
    ck_assert_int_eq(feed_member(s, number, STARLING_ALIVE), 0);
    ck_assert_int_eq(feed_vitals(s, number, &service, 1), 0);
    ck_assert_int_eq(feed_record(s, number, &service, 1), 0);
}

static sl_usec now_of_test = SL_SEC(1000);

static inline struct sl_view_spec a_spec(const char *name, enum starling_strategy strategy)
{
    struct sl_view_spec spec;
    memset(&spec, 0, sizeof spec);
    set_text(spec.tenant, sizeof spec.tenant, "default");
    set_text(spec.name, sizeof spec.name, name);
    spec.strategy = (uint8_t)strategy;
    return spec;
}

static inline void publish(struct sl_store *s)
{
    ck_assert_int_eq(sl_store_publish(s, now_of_test), 0);
}

static inline struct sl_view *open_view(struct sl_store *s, const char *name)
{
    struct sl_view *v = NULL;
    struct sl_view_spec spec = a_spec(name, STARLING_WEIGHTED_RANDOM);
    ck_assert_int_eq(sl_view_open(s, &spec, now_of_test, NULL, &v), 0);
    return v;
}

/* The number of the member in what pick and list fill in. */
static inline unsigned number_of(const struct starling_instance *who)
{
    return (unsigned)strtoul(who->node + 1, NULL, 10);
}

static inline int pick(struct sl_view *v, struct sl_rand *r, unsigned *ret_number)
{
    struct starling_instance who;
    struct sl_pick how = {.rand = r, .now_ms = (uint32_t)(now_of_test / 1000)};
    int result = sl_view_pick(v, &how, &who);
    if (result == 0)
        *ret_number = number_of(&who);
    return result;
}

#endif
