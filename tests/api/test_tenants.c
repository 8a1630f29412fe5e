/* test_tenants.c: tenants among nodes that issue themselves certificates, and so have every key:
 * what is offered to one is found by who asks for it, and nowhere else. */
#include <stdatomic.h>

#include "tests/api/flock.h"

static struct flock_of f;
static const starling_view_options blue_view = {.tenant = "blue"};

static void setup(void)
{
    flock_begin(&f);
}

static void teardown(void)
{
    flock_end(&f);
}

static starling_registration *offer_to(starling_node *node, const char *tenant, const char *name,
                                       unsigned port)
{
    static const struct starling_meta meta[] = {{"shard", "7"}};
    starling_service s = {
        .tenant = tenant, .name = name, .port = port, .version = "2.0", .meta = meta, .n_meta = 1};
    starling_registration *reg = NULL;
    must(starling_register(node, &s, &reg));
    return reg;
}

static starling_view *blue_view_of(starling_node *node, const char *name)
{
    starling_view *view;
    must(starling_view_open(node, name, &blue_view, &view));
    return view;
}

START_TEST(one_name_in_two_tenants_is_two_services)
{
    starling_instance who;
    char value[8];
    size_t n;
    flock_open_all(&f, 2);
    starling_view *blue = blue_view_of(f.node[1], "db"), *plain = view_of(f.node[1], "db");
    (void)offer_to(f.node[0], "blue", "db", 1001);
    (void)offer_to(f.node[0], "default", "db", 1002);
    (void)offer_to(f.node[0], "red", "db", 1003);
    must(starling_wait_fit(blue, 1, PATIENCE_MS));
    must(starling_wait_fit(plain, 1, PATIENCE_MS));
    for (int i = 0; i < 20; i++) {
        must(starling_pick(blue, &who));
        ck_assert_uint_eq(who.port, 1001);
        ck_assert_str_eq(who.version, "2.0");
        must(starling_instance_meta(blue, &who, "shard", sizeof value, value));
        ck_assert_str_eq(value, "7");
        must(starling_pick(plain, &who));
        ck_assert_uint_eq(who.port, 1002);
    }
    must(starling_view_list(blue, 1, &who, &n));
    ck_assert_uint_eq(n, 1);
    starling_member members[2];
    must(starling_members(f.node[1], 2, members, &n));
    ck_assert_uint_eq(members[0].n_services, 3);
}
END_TEST

START_TEST(health_and_withdrawal_reach_the_tenant)
{
    starling_instance who;
    size_t n;
    flock_open_all(&f, 2);
    starling_view *blue = blue_view_of(f.node[1], "db");
    starling_registration *reg = offer_to(f.node[0], "blue", "db", 1001);
    must(starling_wait_fit(blue, 1, PATIENCE_MS));
    must(starling_set_health(reg, STARLING_CRITICAL, "disk"));
    until(pick_says(blue) == STARLING_EUNAVAIL);
    must(starling_set_health(reg, STARLING_PASSING, NULL));
    must(starling_set_weight(reg, 7));
    until(starling_pick(blue, &who) == 0 && who.weight == 7);
    starling_deregister(reg);
    until(pick_says(blue) == STARLING_ENOENT);
    must(starling_view_list(blue, 0, NULL, &n));
    ck_assert_uint_eq(n, 0);
}
END_TEST

static atomic_uint told_blue, told_plain, told_members;

static void on_event(void *context, const starling_event *event)
{
    (void)context;
    if (event->tenant[0] == '\0')
        told_members++;
    else if (strcmp(event->tenant, "default") == 0)
        told_plain++;
    else
        told_blue++;
}

/* What comes until an instance of `last` does. */
static void take(starling_watch *watch, const char *last, unsigned *ret_members,
                 unsigned *ret_tenant)
{
    starling_event event = {0};
    *ret_members = *ret_tenant = 0;
    do {
        until(starling_watch_next(watch, &event) == 1);
        ck_assert_int_ne(event.type, STARLING_RESYNC);
        *ret_members += event.tenant[0] == '\0';
        *ret_tenant += event.tenant[0] != '\0';
    } while (strcmp(event.service, last) != 0);
    ck_assert_int_eq(starling_watch_next(watch, &event), 0);
}

START_TEST(a_watch_hears_of_its_tenant_and_of_members)
{
    starling_watch *plain, *blue, *red;
    starling_watch_filter of_blue = {.tenant = "blue"}, of_red = {.tenant = "red"};
    starling_event event;
    unsigned members, tenant;
    starling_options o = flock_options(&f, "n0");
    o.on_event = on_event;
    must(starling_open(&o, &f.node[f.n++]));
    must(starling_watch_open(f.node[0], NULL, &plain));
    must(starling_watch_open(f.node[0], &of_blue, &blue));
    must(starling_watch_open(f.node[0], &of_red, &red));
    (void)flock_open(&f);
    must(starling_wait_members(f.node[0], 2, PATIENCE_MS));
    (void)offer_to(f.node[1], "blue", "b1", 1);
    until(told_members >= 2);
    take(blue, "b1", &members, &tenant);
    ck_assert_uint_ge(members, 1);
    ck_assert_uint_eq(tenant, 1);
    (void)offer(f.node[1], "d1", 2);
    take(plain, "d1", &members, &tenant);
    ck_assert_uint_ge(members, 1);
    ck_assert_uint_eq(tenant, 1);
    while (starling_watch_next(red, &event) == 1)
        ck_assert_str_eq(event.tenant, "");
    ck_assert_int_eq(starling_watch_next(blue, &event), 0);
    until(told_plain == 1);
    ck_assert_uint_eq(told_blue, 0);

    of_blue.since = 1; /* and so does one that looks back */
    must(starling_watch_open(f.node[0], &of_blue, &red));
    take(red, "b1", &members, &tenant);
    ck_assert_uint_eq(tenant, 1);
}
END_TEST

START_TEST(sixty_four_services_of_several_tenants_fit_and_no_more)
{
    char name[16];
    starling_service one_more = {.name = "more", .port = 1, .tenant = "blue"};
    starling_node *node = flock_open(&f);
    for (unsigned i = 0; i < STARLING_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        starling_service s = {.name = name, .port = 1, .tenant = i % 3 ? "blue" : NULL};
        must(starling_register(node, &s, NULL));
    }
    refuses(STARLING_ELIMIT, starling_register(node, &one_more, NULL));
    starling_view *blue = blue_view_of(node, "s61");
    must(starling_wait_fit(blue, 1, PATIENCE_MS));
}
END_TEST

START_TEST(what_a_seal_would_make_too_long_is_refused_at_once)
{
    char tenant[16];
    starling_node *node = flock_open(&f);
    int r = 0;
    unsigned n = 0;
    for (; n < STARLING_SERVICES_MAX && r == 0; n++) {
        snprintf(tenant, sizeof tenant, "t%u", n);
        starling_service s = {.name = "one", .port = 1, .tenant = tenant};
        r = starling_register(node, &s, NULL);
    }
    ck_assert_int_eq(r, STARLING_ELIMIT); /* of the 3,072 bytes for health each tenant takes 118 */
    ck_assert_uint_eq(n, 27);
    starling_view *view;
    starling_view_options o = {.tenant = "t25"};
    must(starling_view_open(node, "one", &o, &view));
    must(starling_wait_fit(view, 1, PATIENCE_MS));
}
END_TEST

START_TEST(the_same_service_of_one_tenant_is_there_once)
{
    starling_node *node = flock_open(&f);
    starling_service s = {.name = "db", .port = 1, .tenant = "blue"};
    (void)offer_to(node, "blue", "db", 1);
    refuses(STARLING_EEXIST, starling_register(node, &s, NULL));
    (void)offer(node, "db", 1);
    starling_watch *watch;
    starling_watch_filter bad = {.tenant = "Blue"};
    refuses(STARLING_EINVAL, starling_watch_open(node, &bad, &watch));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tenants");
    TCase *tc = tcase_create("tenants");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, one_name_in_two_tenants_is_two_services);
    tcase_add_test(tc, health_and_withdrawal_reach_the_tenant);
    tcase_add_test(tc, a_watch_hears_of_its_tenant_and_of_members);
    tcase_add_test(tc, sixty_four_services_of_several_tenants_fit_and_no_more);
    tcase_add_test(tc, what_a_seal_would_make_too_long_is_refused_at_once);
    tcase_add_test(tc, the_same_service_of_one_tenant_is_there_once);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
