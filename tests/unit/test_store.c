/* test_store.c: from members and what they say to what is picked, listed and told. */
#include "tests/unit/store_help.h"

static struct memory memory;
static struct sl_store *store;
static struct sl_rand rand_of_test;
static const struct sl_pick how_of_test = {.rand = &rand_of_test};

static void setup(void)
{
    memory_init(&memory);
    sl_rand_seed(&rand_of_test, 1);
    ck_assert_int_eq(sl_store_new(&memory.alloc, 1, NULL, &store), 0);
}

static void teardown(void)
{
    sl_store_free(store);
    ck_assert_msg(memory.bytes == 0, "%zu bytes leaked", memory.bytes);
}

/* ---- what the tests say --------------------------------------------------------------------- */

static void expect_pick(struct sl_view *v, unsigned number)
{
    for (int i = 0; i < 50; i++) {
        unsigned got = UINT32_MAX;
        ck_assert_int_eq(pick(v, &rand_of_test, &got), 0);
        ck_assert_uint_eq(got, number);
    }
}

static void expect_nobody(struct sl_view *v, int error)
{
    unsigned got;
    ck_assert_int_eq(pick(v, &rand_of_test, &got), error);
}

static size_t n_listed(struct sl_view *v)
{
    size_t n;
    sl_view_list(v, 0, NULL, sizeof(struct starling_instance), &n);
    return n;
}

static struct starling_instance first_of(struct sl_view *v)
{
    struct starling_instance who;
    size_t n;
    sl_view_list(v, 1, &who, sizeof who, &n);
    ck_assert_uint_ge(n, 1);
    return who;
}

static void say(unsigned number, const char *name, enum starling_health health, unsigned weight)
{
    struct sl_service s = a_service(name, 8000 + number);
    s.health = (uint8_t)health;
    s.weight = (uint16_t)weight;
    ck_assert_int_eq(feed_vitals(store, number, &s, 1), 0);
}

static void turn(unsigned number, enum starling_status status)
{
    ck_assert_int_eq(feed_member(store, number, status), 0);
}

static void forget(unsigned number)
{
    struct sl_id id = an_id(number);
    sl_store_forget(store, &id);
}

/* All waiting changes as words: "n0001=alive +n0001/web ~n0001/web -n0001/web !web .web lost". */
static const char *told(void)
{
    static char text[65536];
    static const char *const status[] = {"alive", "suspect", "down", "left"};
    struct sl_change c;
    size_t len = 0;
    text[0] = '\0';
    while (sl_store_next_change(store, &c)) {
        const char *space = len > 0 ? " " : "";
        switch (c.type) {
        case SL_MEMBER_STATUS:
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s", space, c.node,
                                    status[c.status]);
            break;
        case SL_INSTANCE_ADDED:
        case SL_INSTANCE_CHANGED:
        case SL_INSTANCE_REMOVED:
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%c%s/%s", space,
                                    "+~-"[c.type - SL_INSTANCE_ADDED], c.node, c.service);
            break;
        case SL_SERVICE_PANIC:
        case SL_SERVICE_CALM:
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%c%s", space,
                                    "!."[c.type - SL_SERVICE_PANIC], c.service);
            break;
        case SL_CHANGES_LOST:
            len += (size_t)snprintf(text + len, sizeof text - len, "%slost", space);
            break;
        }
        ck_assert_uint_lt(len, sizeof text - 200);
    }
    return text;
}

/* ---- picking -------------------------------------------------------------------------------- */

START_TEST(an_instance_is_picked_with_all_that_is_known_of_it)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_service s = a_service("web", 8443);
    struct starling_instance who;
    set_text(s.version, sizeof s.version, "1.2");
    s.health = STARLING_WARNING;
    s.weight = 7;
    turn(1, STARLING_ALIVE);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    ck_assert_int_eq(feed_vitals(store, 1, &s, 1), 0);
    publish(store);
    memset(&who, 0xee, sizeof who);
    ck_assert_int_eq(sl_view_pick(v, &how_of_test, &who), 0);
    ck_assert_str_eq(who.host, "10.0.0.1");
    ck_assert_uint_eq(who.port, 8443);
    ck_assert_int_eq(who.health, STARLING_WARNING);
    ck_assert_uint_eq(who.weight, 7);
    ck_assert_uint_eq(who.flags, 0);
    ck_assert_str_eq(who.node, "n0001");
    ck_assert_str_eq(who.id, "a0000000000000000000000000000001");
    ck_assert_str_eq(who.zone, "z1");
    ck_assert_str_eq(who.version, "1.2");
}
END_TEST

START_TEST(nothing_shows_before_it_is_published)
{
    struct sl_view *v = open_view(store, "web");
    size_t n;
    offer(store, 1, "web", 100);
    expect_nobody(v, STARLING_ENOENT);
    ck_assert_uint_eq(sl_store_n_alive(store), 0);
    sl_store_members(store, 0, NULL, sizeof(struct starling_member), &n);
    ck_assert_uint_eq(n, 0);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_view_finds_what_was_published_before_it_was_opened)
{
    offer(store, 1, "web", 100);
    publish(store);
    expect_pick(open_view(store, "web"), 1);
}
END_TEST

START_TEST(a_service_without_vitals_passes_with_its_base_weight)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_service s = a_service("web", 80);
    s.base_weight = 30;
    turn(1, STARLING_ALIVE);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    publish(store);
    ck_assert_uint_eq(first_of(v).weight, 30);
    ck_assert_int_eq(first_of(v).health, STARLING_PASSING);
}
END_TEST

START_TEST(vitals_that_come_before_the_record_count)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_service s = a_service("web", 80);
    turn(1, STARLING_ALIVE);
    say(1, "web", STARLING_CRITICAL, 100);
    publish(store);
    expect_nobody(v, STARLING_ENOENT);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    publish(store);
    expect_nobody(v, STARLING_EUNAVAIL);
}
END_TEST

START_TEST(the_critical_and_the_weightless_are_not_picked)
{
    struct sl_view *v = open_view(store, "web");
    for (unsigned i = 1; i <= 3; i++)
        offer(store, i, "web", 100);
    say(1, "web", STARLING_CRITICAL, 100);
    say(3, "web", STARLING_PASSING, 0);
    publish(store);
    expect_pick(v, 2);
    ck_assert_uint_eq(sl_view_n_fit(v), 1);
    say(2, "web", STARLING_CRITICAL, 100);
    publish(store);
    expect_nobody(v, STARLING_EUNAVAIL);
    ck_assert_uint_eq(n_listed(v), 3);
}
END_TEST

START_TEST(a_suspect_is_picked_last_and_flagged)
{
    struct sl_view *v = open_view(store, "web");
    struct starling_instance who;
    offer(store, 1, "web", 1);
    offer(store, 2, "web", 1000);
    turn(2, STARLING_SUSPECT);
    publish(store);
    expect_pick(v, 1);
    say(1, "web", STARLING_CRITICAL, 1);
    publish(store);
    ck_assert_int_eq(sl_view_pick(v, &how_of_test, &who), 0);
    ck_assert_uint_eq(number_of(&who), 2);
    ck_assert_uint_eq(who.flags, STARLING_F_SUSPECT);
    ck_assert_uint_eq(sl_view_n_fit(v), 0);
}
END_TEST

START_TEST(a_down_instance_is_listed_and_flagged_and_never_picked)
{
    struct sl_view *v = open_view(store, "web");
    offer(store, 1, "web", 100);
    turn(1, STARLING_DOWN);
    publish(store);
    expect_nobody(v, STARLING_EUNAVAIL);
    ck_assert_uint_eq(n_listed(v), 1);
    ck_assert_uint_eq(first_of(v).flags, STARLING_F_DOWN);
    turn(1, STARLING_ALIVE);
    publish(store);
    expect_pick(v, 1);
}
END_TEST

START_TEST(who_left_or_is_forgotten_offers_nothing)
{
    struct sl_view *v = open_view(store, "web");
    offer(store, 1, "web", 100);
    offer(store, 2, "web", 100);
    publish(store);
    turn(1, STARLING_LEFT);
    publish(store);
    expect_pick(v, 2);
    ck_assert_uint_eq(n_listed(v), 1);
    forget(2);
    publish(store);
    expect_nobody(v, STARLING_ENOENT);
    ck_assert_uint_eq(n_listed(v), 0);
}
END_TEST

START_TEST(a_record_replaces_all_services)
{
    struct sl_view *web = open_view(store, "web"), *api = open_view(store, "api");
    struct sl_service s = a_service("api", 81);
    offer(store, 1, "web", 100);
    publish(store);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    publish(store);
    expect_nobody(web, STARLING_ENOENT);
    expect_pick(api, 1);
    ck_assert_int_eq(feed_record(store, 1, NULL, 0), 0);
    publish(store);
    expect_nobody(api, STARLING_ENOENT);
}
END_TEST

START_TEST(a_malformed_section_counts_once_and_leaves_nothing)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_store_stats stats;
    struct sl_id id = an_id(1);
    offer(store, 1, "web", 100);
    publish(store);
    /* A good service, and a byte too few for the second: no half of it counts. */
    static const uint8_t bytes[] = {0x92, 0x97, 0xa0, 0xa1, 'w', 0xa0,
                                    0x01, 0xa0, 0x01, 0x80, 0x97};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(sl_store_record(store, &id, sl_span_of(bytes, sizeof bytes)), 0);
    ck_assert_int_eq(sl_store_vitals(store, &id, sl_span_of(NULL, 0)), 0);
    publish(store);
    expect_nobody(v, STARLING_ENOENT);
    expect_nobody(open_view(store, "w"), STARLING_ENOENT);
    sl_store_stats(store, &stats);
    ck_assert_uint_eq(stats.sections_refused, 1);
}
END_TEST

START_TEST(words_of_a_stranger_are_refused)
{
    struct sl_service s = a_service("web", 80);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), STARLING_ENOENT);
    ck_assert_int_eq(feed_vitals(store, 1, &s, 1), STARLING_ENOENT);
    turn(1, STARLING_ALIVE);
    forget(1);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), STARLING_ENOENT);
    forget(2);
}
END_TEST

START_TEST(a_host_of_its_own_beats_the_nodes_address)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_service s = a_service("web", 80);
    set_text(s.host, sizeof s.host, "2001:DB8:0:0:0:0:0:5");
    offer(store, 1, "web", 100);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    publish(store);
    told();
    ck_assert_str_eq(first_of(v).host, "2001:db8::5");
    s.port = 81;
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    publish(store);
    struct sl_change c;
    ck_assert(sl_store_next_change(store, &c));
    ck_assert_str_eq(c.address, "[2001:db8::5]:81");
}
END_TEST

START_TEST(instances_follow_their_nodes_address_and_name)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_store_member m = a_member(5, STARLING_ALIVE);
    offer(store, 1, "web", 100);
    offer(store, 5, "web", 100);
    publish(store);
    told();
    set_text(m.name, sizeof m.name, "a-first");
    m.addr.ip[3] = 99;
    ck_assert_int_eq(sl_store_member(store, &m), 0);
    publish(store);
    ck_assert_str_eq(first_of(v).node, "a-first");
    ck_assert_str_eq(first_of(v).host, "10.0.0.99");
    ck_assert_uint_eq(n_listed(v), 2);
    ck_assert_str_eq(told(), "+a-first/web -n0005/web");
}
END_TEST

START_TEST(results_are_flagged_while_this_node_is_cut_off)
{
    struct sl_view *v = open_view(store, "web");
    struct starling_instance who;
    offer(store, 1, "web", 100);
    publish(store);
    sl_store_stale(store, true);
    ck_assert_int_eq(sl_view_pick(v, &how_of_test, &who), 0);
    ck_assert_uint_eq(who.flags, STARLING_F_STALE);
    sl_store_stale(store, false);
    ck_assert_int_eq(sl_view_pick(v, &how_of_test, &who), 0);
    ck_assert_uint_eq(who.flags, 0);
}
END_TEST

/* ---- views and lists ------------------------------------------------------------------------ */

START_TEST(a_view_is_one_however_often_it_is_opened)
{
    struct sl_view *v = open_view(store, "web");
    ck_assert_ptr_eq(open_view(store, "web"), v);
    ck_assert_ptr_ne(open_view(store, "api"), v);
    sl_view_close(store, v);
    offer(store, 1, "web", 100);
    publish(store);
    expect_pick(v, 1);
    sl_view_close(store, v);
    sl_view_close(store, NULL);
    expect_pick(open_view(store, "web"), 1);
}
END_TEST

START_TEST(tenants_do_not_see_each_other)
{
    struct sl_view *v;
    struct sl_view_spec spec = a_spec("web", STARLING_P2C_EWMA);
    offer(store, 1, "web", 100);
    publish(store);
    set_text(spec.tenant, sizeof spec.tenant, "other");
    ck_assert_int_eq(sl_view_open(store, &spec, 0, NULL, &v), 0);
    expect_nobody(v, STARLING_ENOENT);
}
END_TEST

START_TEST(a_view_needs_names)
{
    struct sl_view *v;
    struct sl_view_spec spec = a_spec("", STARLING_P2C_EWMA);
    ck_assert_int_eq(sl_view_open(store, &spec, 0, NULL, &v), STARLING_EINVAL);
    spec = a_spec("Web", STARLING_P2C_EWMA);
    ck_assert_int_eq(sl_view_open(store, &spec, 0, NULL, &v), STARLING_EINVAL);
    spec = a_spec("web", STARLING_P2C_EWMA);
    spec.tenant[0] = '\0';
    ck_assert_int_eq(sl_view_open(store, &spec, 0, NULL, &v), STARLING_EINVAL);
}
END_TEST

START_TEST(lists_are_in_order_and_stop_at_the_cap)
{
    struct sl_view *v = open_view(store, "web");
    struct starling_instance who[4];
    size_t n;
    static const unsigned order[] = {3, 1, 4, 2, 5};
    for (size_t i = 0; i < SL_COUNT(order); i++)
        offer(store, order[i], "web", 100);
    publish(store);
    memset(who, 0xee, sizeof who);
    sl_view_list(v, 3, who, sizeof *who, &n);
    ck_assert_uint_eq(n, 5);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(number_of(&who[i]), i + 1);
    ck_assert_uint_eq(((uint8_t *)&who[3])[0], 0xee);
}
END_TEST

START_TEST(elements_of_another_size_get_what_they_have_room_for)
{
    struct sl_view *v = open_view(store, "web");
    static uint8_t array[2 * sizeof(struct starling_instance) + 65];
    size_t n, size = sizeof(struct starling_instance);
    offer(store, 1, "web", 100);
    offer(store, 2, "web", 100);
    publish(store);
    for (size_t stride = 1; stride <= size + 32; stride++) {
        memset(array, 0xee, sizeof array);
        sl_view_list(v, 2, array, stride, &n);
        struct starling_instance who = {0};
        memcpy(&who, array + stride, stride < size ? stride : size);
        ck_assert_str_eq(who.host, stride >= 9 ? "10.0.0.2" : who.host);
        if (stride > size)
            ck_assert_uint_eq(array[2 * stride - 1], 0);
        ck_assert_msg(array[2 * stride] == 0xee, "wrote beyond two strides of %zu", stride);
    }
    sl_store_members(store, 2, array, 40, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq((char *)array + 40, "a0000000000000000000000000000002");
}
END_TEST

START_TEST(members_are_listed_in_order_with_all_that_is_known_of_them)
{
    struct starling_member m[4];
    size_t n;
    offer(store, 2, "web", 100);
    turn(1, STARLING_SUSPECT);
    turn(3, STARLING_LEFT);
    publish(store);
    sl_store_members(store, 4, m, sizeof *m, &n);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(sl_store_n_alive(store), 1);
    ck_assert_str_eq(m[0].name, "n0001");
    ck_assert_int_eq(m[0].status, STARLING_SUSPECT);
    ck_assert_str_eq(m[1].id, "a0000000000000000000000000000002");
    ck_assert_str_eq(m[1].address, "10.0.0.2:7700");
    ck_assert_str_eq(m[1].zone, "z1");
    ck_assert_uint_eq(m[1].epoch, 1);
    ck_assert_uint_eq(m[1].n_services, 1);
    ck_assert_int_eq(m[2].status, STARLING_LEFT);
    forget(1);
    publish(store);
    sl_store_members(store, 4, m, sizeof *m, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(m[0].name, "n0002");
}
END_TEST

START_TEST(metadata_is_found_by_node_and_key)
{
    struct sl_view *v = open_view(store, "web");
    struct sl_service s = a_service("web", 80);
    struct sl_id one = an_id(1), two = an_id(2);
    char value[8];
    add_meta(&s, "shard", "17");
    add_meta(&s, "role", "primary");
    add_meta(&s, "empty", "");
    offer(store, 1, "web", 100);
    ck_assert_int_eq(feed_record(store, 1, &s, 1), 0);
    publish(store);
    ck_assert_int_eq(sl_view_meta(v, &one, "shard", sizeof value, value), 0);
    ck_assert_str_eq(value, "17");
    ck_assert_int_eq(sl_view_meta(v, &one, "role", 8, value), 0);
    ck_assert_str_eq(value, "primary");
    ck_assert_int_eq(sl_view_meta(v, &one, "role", 7, value), STARLING_ELIMIT);
    ck_assert_int_eq(sl_view_meta(v, &one, "empty", 1, value), 0);
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(sl_view_meta(v, &one, "empty", 0, NULL), STARLING_ELIMIT);
    ck_assert_int_eq(sl_view_meta(v, &one, "shar", sizeof value, value), STARLING_ENOENT);
    ck_assert_int_eq(sl_view_meta(v, &two, "shard", sizeof value, value), STARLING_ENOENT);
}
END_TEST

START_TEST(the_owner_sees_services_in_order_with_their_instances)
{
    struct sl_service s[3] = {a_service("web", 80), a_service("api", 81), a_service("db", 82)};
    static const char *const names[] = {"api", "db", "web"};
    const char *tenant, *name;
    size_t n;
    set_text(s[2].note, sizeof s[2].note, "compacting");
    turn(1, STARLING_ALIVE);
    ck_assert_int_eq(feed_record(store, 1, s, 3), 0);
    ck_assert_int_eq(feed_vitals(store, 1, s, 3), 0);
    offer(store, 2, "db", 5);
    turn(2, STARLING_DOWN);
    publish(store);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(sl_store_service(store, i, &tenant, &name, &n));
        ck_assert_str_eq(name, names[i]);
        ck_assert_str_eq(tenant, "default");
        ck_assert_uint_eq(n, i == 1 ? 2 : 1);
    }
    ck_assert(!sl_store_service(store, 3, &tenant, &name, &n));
    ck_assert_str_eq(sl_store_instance(store, 1, 0)->note, "compacting");
    ck_assert_uint_eq(sl_store_instance(store, 1, 1)->status, STARLING_DOWN);
    ck_assert_ptr_null(sl_store_instance(store, 1, 2));
    ck_assert_ptr_null(sl_store_instance(store, 3, 0));
    struct sl_id one = an_id(1), stranger = an_id(9);
    ck_assert_uint_eq(sl_store_n_services(store, &one), 3);
    ck_assert_uint_eq(sl_store_n_services(store, &stranger), 0);
    struct sl_store_stats stats;
    sl_store_stats(store, &stats);
    ck_assert_uint_eq(stats.services, 3);
    ck_assert_uint_eq(stats.instances, 4);
}
END_TEST

/* ---- changes -------------------------------------------------------------------------------- */

START_TEST(members_come_and_go_in_words)
{
    offer(store, 1, "web", 100);
    publish(store);
    ck_assert_str_eq(told(), "n0001=alive +n0001/web");
    turn(1, STARLING_SUSPECT);
    publish(store);
    ck_assert_str_eq(told(), "n0001=suspect");
    turn(1, STARLING_DOWN);
    publish(store);
    ck_assert_str_eq(told(), "n0001=down -n0001/web");
    turn(1, STARLING_ALIVE);
    publish(store);
    ck_assert_str_eq(told(), "n0001=alive +n0001/web");
    turn(1, STARLING_LEFT);
    publish(store);
    ck_assert_str_eq(told(), "n0001=left -n0001/web");
    forget(1);
    publish(store);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(who_is_forgotten_while_reachable_goes_down_in_words)
{
    offer(store, 1, "web", 100);
    publish(store);
    told();
    forget(1);
    publish(store);
    ck_assert_str_eq(told(), "n0001=down -n0001/web");
}
END_TEST

START_TEST(instances_come_change_and_go_in_words)
{
    struct sl_service s[2] = {a_service("api", 1), a_service("web", 8001)};
    offer(store, 1, "web", 100);
    publish(store);
    told();
    ck_assert_int_eq(feed_record(store, 1, s, 2), 0);
    publish(store);
    ck_assert_str_eq(told(), "+n0001/api");
    say(1, "web", STARLING_WARNING, 100);
    publish(store);
    ck_assert_str_eq(told(), "~n0001/web");
    s[0].port = 2;
    ck_assert_int_eq(feed_record(store, 1, s, 1), 0);
    publish(store);
    ck_assert_str_eq(told(), "~n0001/api -n0001/web");
}
END_TEST

START_TEST(a_change_of_a_down_member_is_not_told)
{
    offer(store, 1, "web", 100);
    turn(1, STARLING_DOWN);
    publish(store);
    told();
    say(1, "web", STARLING_CRITICAL, 1);
    publish(store);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(what_flips_back_before_it_is_published_is_not_told)
{
    offer(store, 1, "web", 100);
    publish(store);
    told();
    say(1, "web", STARLING_CRITICAL, 100);
    turn(1, STARLING_DOWN);
    say(1, "web", STARLING_PASSING, 100);
    turn(1, STARLING_ALIVE);
    publish(store);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_change_names_what_it_is_about)
{
    struct sl_change c;
    offer(store, 1, "web", 7);
    publish(store);
    ck_assert(sl_store_next_change(store, &c));
    ck_assert_int_eq(c.type, SL_MEMBER_STATUS);
    ck_assert_str_eq(c.address, "10.0.0.1:7700");
    ck_assert_str_eq(c.service, "");
    ck_assert(sl_store_next_change(store, &c));
    ck_assert_int_eq(c.type, SL_INSTANCE_ADDED);
    ck_assert_str_eq(c.address, "10.0.0.1:8001");
    ck_assert_str_eq(c.tenant, "default");
    ck_assert_str_eq(c.service, "web");
    ck_assert_uint_eq(c.weight, 7);
    struct sl_id id = an_id(1);
    ck_assert(sl_id_eq(&c.id, &id));
    ck_assert(!sl_store_next_change(store, &c));
}
END_TEST

START_TEST(when_too_many_wait_the_oldest_go_and_that_is_told_first)
{
    struct sl_change c;
    unsigned n = 0, last = 0;
    for (unsigned i = 0; i < SL_CHANGES_MAX + 10; i++)
        turn(i, STARLING_ALIVE);
    publish(store);
    ck_assert(sl_store_next_change(store, &c));
    ck_assert_int_eq(c.type, SL_CHANGES_LOST);
    for (; sl_store_next_change(store, &c); n++)
        last = (unsigned)strtoul(c.node + 1, NULL, 10);
    ck_assert_uint_eq(n, SL_CHANGES_MAX);
    ck_assert_uint_eq(last, SL_CHANGES_MAX + 9);
    turn(0, STARLING_DOWN);
    publish(store);
    ck_assert_str_eq(told(), "n0000=down");
}
END_TEST

START_TEST(changes_that_wait_survive_the_growth_of_their_queue)
{
    struct sl_change c;
    unsigned taken = 0, published = 0;
    for (unsigned step = 1; step < 200; step++) {
        for (unsigned i = 0; i < step; i++)
            turn(published++, STARLING_ALIVE);
        publish(store);
        for (unsigned i = 0; i < step - step / 16; i++, taken++) {
            ck_assert(sl_store_next_change(store, &c));
            ck_assert_int_eq(c.type, SL_MEMBER_STATUS);
            ck_assert_uint_eq(strtoul(c.node + 1, NULL, 10), taken);
        }
    }
}
END_TEST

/* ---- bounds --------------------------------------------------------------------------------- */

START_TEST(a_flock_has_at_most_so_many_members)
{
    for (unsigned i = 0; i < SL_MEMBERS_MAX; i++)
        turn(i, STARLING_ALIVE);
    ck_assert_int_eq(feed_member(store, SL_MEMBERS_MAX, STARLING_ALIVE), STARLING_ELIMIT);
    turn(7, STARLING_DOWN);
    forget(7);
    turn(SL_MEMBERS_MAX, STARLING_ALIVE);
    publish(store);
    ck_assert_uint_eq(sl_store_n_alive(store), SL_MEMBERS_MAX);
}
END_TEST

START_TEST(an_instance_costs_less_than_a_kilobyte_its_node_included)
{
    struct sl_change c;
    size_t before = memory.bytes;
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "a-service-of-its-own-%04u", i);
        struct sl_service s = a_service(name, 8000);
        add_meta(&s, "role", "primary");
        add_meta(&s, "revision", "4f2a9c1d");
        turn(i, STARLING_ALIVE);
        ck_assert_int_eq(feed_record(store, i, &s, 1), 0);
        ck_assert_int_eq(feed_vitals(store, i, &s, 1), 0);
    }
    publish(store);
    while (sl_store_next_change(store, &c))
        ;
    size_t each = (memory.bytes - before) / 1000;
    ck_assert_msg(each <= 1024, "%zu bytes each", each);
}
END_TEST

START_TEST(only_what_changed_is_rebuilt)
{
    struct sl_store_stats before, after;
    for (unsigned i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i % 4);
        offer(store, i, name, 100);
        open_view(store, name);
    }
    publish(store);
    sl_store_stats(store, &before);
    say(1, "s1", STARLING_CRITICAL, 100);
    publish(store);
    sl_store_stats(store, &after);
    ck_assert_uint_eq(after.rosters_published - before.rosters_published, 1);
    offer(store, 1, "s1", 100);
    say(1, "s1", STARLING_CRITICAL, 100);
    publish(store);
    sl_store_stats(store, &before);
    ck_assert_uint_eq(after.rosters_published, before.rosters_published);
    ck_assert_uint_eq(after.rosters_published - after.rosters_freed, 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("reading");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_instance_is_picked_with_all_that_is_known_of_it);
    tcase_add_test(t, nothing_shows_before_it_is_published);
    tcase_add_test(t, a_view_finds_what_was_published_before_it_was_opened);
    tcase_add_test(t, a_service_without_vitals_passes_with_its_base_weight);
    tcase_add_test(t, vitals_that_come_before_the_record_count);
    tcase_add_test(t, the_critical_and_the_weightless_are_not_picked);
    tcase_add_test(t, a_suspect_is_picked_last_and_flagged);
    tcase_add_test(t, a_down_instance_is_listed_and_flagged_and_never_picked);
    tcase_add_test(t, who_left_or_is_forgotten_offers_nothing);
    tcase_add_test(t, a_record_replaces_all_services);
    tcase_add_test(t, a_malformed_section_counts_once_and_leaves_nothing);
    tcase_add_test(t, words_of_a_stranger_are_refused);
    tcase_add_test(t, a_host_of_its_own_beats_the_nodes_address);
    tcase_add_test(t, instances_follow_their_nodes_address_and_name);
    tcase_add_test(t, results_are_flagged_while_this_node_is_cut_off);
    tcase_add_test(t, a_view_is_one_however_often_it_is_opened);
    tcase_add_test(t, tenants_do_not_see_each_other);
    tcase_add_test(t, a_view_needs_names);
    tcase_add_test(t, lists_are_in_order_and_stop_at_the_cap);
    tcase_add_test(t, elements_of_another_size_get_what_they_have_room_for);
    tcase_add_test(t, members_are_listed_in_order_with_all_that_is_known_of_them);
    tcase_add_test(t, metadata_is_found_by_node_and_key);
    tcase_add_test(t, the_owner_sees_services_in_order_with_their_instances);
    suite_add_tcase(s, t);

    t = tcase_create("changes");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, members_come_and_go_in_words);
    tcase_add_test(t, who_is_forgotten_while_reachable_goes_down_in_words);
    tcase_add_test(t, instances_come_change_and_go_in_words);
    tcase_add_test(t, a_change_of_a_down_member_is_not_told);
    tcase_add_test(t, what_flips_back_before_it_is_published_is_not_told);
    tcase_add_test(t, a_change_names_what_it_is_about);
    tcase_add_test(t, when_too_many_wait_the_oldest_go_and_that_is_told_first);
    tcase_add_test(t, changes_that_wait_survive_the_growth_of_their_queue);
    suite_add_tcase(s, t);

    t = tcase_create("bounds");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_flock_has_at_most_so_many_members);
    tcase_add_test(t, an_instance_costs_less_than_a_kilobyte_its_node_included);
    tcase_add_test(t, only_what_changed_is_rebuilt);
    suite_add_tcase(s, t);
    return run_suite(s);
}
