/* test_size.c: what a member costs in memory, all in: its facts, its places in the pool, this node's view of it, and
 * the room that tables keep in reserve. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "flock.h"
#include "gossip/pool.h"
#include "store_help.h"
#include "tests/suite.h"

#define MEMBERS 3000

static struct sl_fact *fact_of_number(struct sl_pool *pool, uint32_t number, enum sl_kind kind)
{
    struct person p;
    uint8_t seed[32] = "member", fact[SL_RECORD_MAX], body[SL_RECORD_MAX], sections[SL_VITALS_MAX];
    char name[24];
    sl_put32(seed + 8, number);
    snprintf(name, sizeof name, "host-%u.example", number);
    person_make_seeded(&p, seed, name);
    static struct sl_service service = {.tenant = "default", .name = "checkout", .port = 8080, .version = "1.4.2",
                                        .base_weight = 100, .weight = 100};
    const struct sl_service *list[] = {&service};
    size_t len;
    if (kind == SL_RECORD) {
        struct sl_record r = {.cert = sl_span_of(p.cert, p.cert_len), .host = number + 1, .zone = sl_span_of("eu-1", 4),
                              .addr = {.family = 4, .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                                           (uint8_t)number}, .port = 7700}};
        r.sections = sl_span_of(sections, sl_sections_write_record(list, 1, sections, sizeof sections));
        len = sl_record_write(&r, body, sizeof body);
    } else {
        struct sl_vitals v = {.answered = 5};
        v.sections = sl_span_of(sections, sl_sections_write_vitals(list, 1, sections, sizeof sections));
        len = sl_vitals_write(&v, body, sizeof body);
    }
    len = fact_make(&p, kind, UINT64_C(1) << 56, kind, sl_span_of(body, len), fact);
    struct sl_fact *f = sl_pool_take(pool, sl_span_of(fact, len));
    ck_assert_ptr_nonnull(f);
    return f;
}

START_TEST(a_member_with_a_service_costs_at_most_a_kibibyte)
{
    struct memory memory = {.alloc = {.resize = memory_resize, .context = &memory}};
    struct person self;
    struct sl_pool *pool;
    struct sl_gossip *g;
    struct sl_event e;
    struct sl_log quiet = {0};
    flock_make(1);
    person_make(&self, 1);
    ck_assert_int_eq(sl_pool_new(&memory.alloc, &self.crypto, &bundle, &pool), 0);
    struct sl_ports ports = {.alloc = &memory.alloc, .crypto = &self.crypto, .log = &quiet, .pool = pool};
    struct sl_gossip_config c = {.bundle = bundle, .cert = sl_span_of(self.cert, self.cert_len),
                                 .addr = address_number(1), .seed = 1, .epoch = UINT64_C(1000) << 16};
    ck_assert_int_eq(sl_gossip_new(&c, &ports, SL_SEC(1), &g), 0);
    size_t alone = memory.bytes;
    for (uint32_t number = 0; number < MEMBERS; number++) {
        for (enum sl_kind kind = SL_RECORD; kind <= SL_VITALS; kind++) {
            struct sl_fact *f = fact_of_number(pool, number, kind);
            sl_gossip_restore(g, SL_SEC(1), f);
            sl_pool_unref(pool, f);
        }
        while (sl_gossip_next_event(g, &e)) {
        }
    }
    struct sl_gossip_info info;
    sl_gossip_info(g, &info);
    ck_assert_uint_eq(info.n_members, MEMBERS + 1);
    ck_assert_uint_eq(info.n_facts, 2 * (MEMBERS + 1));
    size_t each = (memory.bytes - alone) / MEMBERS;
    printf("# %zu bytes a member; %zu for a node that is alone\n", each, alone);
    ck_assert_uint_le(each, 1024);
    sl_gossip_free(g);
    sl_pool_free(pool);
    ck_assert_uint_eq(memory.bytes, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("size");
    TCase *t = tcase_create("member");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_member_with_a_service_costs_at_most_a_kibibyte);
    suite_add_tcase(s, t);
    return run_suite(s);
}
