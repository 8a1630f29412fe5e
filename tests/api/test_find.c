/* test_find.c: views and picks. */
#include <pthread.h>
#include <stdatomic.h>

#include "flock.h"

static struct flock_of f;

static void begin(void)
{
    flock_begin(&f);
}

static void end(void)
{
    flock_end(&f);
}

START_TEST(a_view_of_a_service_that_nobody_offers_opens_and_picks_say_so)
{
    starling_view *view = view_of(flock_open(&f), "nobody");
    starling_instance who;
    size_t n = 7;
    refuses(STARLING_ENOENT, starling_pick(view, &who));
    must(starling_view_list(view, 0, NULL, &n));
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(a_view_is_open_until_it_was_closed_as_often_as_opened)
{
    starling_node *node = flock_open(&f);
    starling_view *first = view_of(node, "twice"), *second = view_of(node, "twice");
    ck_assert_ptr_eq(first, second);
    (void)offer(node, "twice", 1);
    must(starling_wait_fit(first, 1, PATIENCE_MS));
    starling_view_close(first);
    ck_assert_int_eq(pick_says(second), 0);
    starling_view_close(second);
}
END_TEST

START_TEST(views_left_open_are_freed_with_their_node)
{
    starling_node *node = flock_open(&f);
    (void)view_of(node, "a");
    (void)view_of(node, "a");
    (void)view_of(node, "b");
    flock_close(&f, 0);
}
END_TEST

START_TEST(a_view_of_another_tenant_sees_nothing_of_the_default_one)
{
    starling_node *node = flock_open(&f);
    starling_view_options o = {.tenant = "acme"};
    starling_view *other, *view = view_of(node, "payments");
    must(starling_view_open(node, "payments", &o, &other));
    (void)offer(node, "payments", 1);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    ck_assert_int_eq(pick_says(other), STARLING_ENOENT);
}
END_TEST

START_TEST(a_list_is_ordered_by_node_and_counts_beyond_cap)
{
    starling_instance list[3];
    size_t n;
    flock_open_all(&f, 3);
    starling_view *view = view_of(f.node[1], "db");
    for (unsigned i = 0; i < 3; i++)
        (void)offer(f.node[2 - i], "db", 100 + i);
    must(starling_wait_fit(view, 3, PATIENCE_MS));
    must(starling_view_list(view, 3, list, &n));
    ck_assert_uint_eq(n, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_str_eq(list[i].node, f.name[i]);
        ck_assert_uint_eq(list[i].port, 102 - i);
    }
    memset(list, 0, sizeof list);
    must(starling_view_list(view, 1, list, &n));
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(list[1].node, "");
}
END_TEST

START_TEST(a_list_shows_the_unfit_as_well)
{
    starling_instance one;
    size_t n;
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "db");
    starling_registration *reg = offer(node, "db", 1);
    must(starling_set_health(reg, STARLING_CRITICAL, NULL));
    until(pick_says(view) == STARLING_EUNAVAIL);
    must(starling_view_list(view, 1, &one, &n));
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq((int)one.health, STARLING_CRITICAL);
}
END_TEST

START_TEST(picks_share_by_weight)
{
    enum { PICKS = 20000 };
    unsigned heavy = 0;
    flock_open_all(&f, 2);
    starling_view *view = view_of(f.node[0], "web");
    for (unsigned i = 0; i < 2; i++) {
        starling_service s = {.name = "web", .port = 1 + i, .weight = i == 0 ? 100 : 300};
        must(starling_register(f.node[i], &s, NULL));
    }
    must(starling_wait_fit(view, 2, PATIENCE_MS));
    for (int i = 0; i < PICKS; i++) {
        starling_instance who;
        must(starling_pick(view, &who));
        heavy += who.port == 2;
    }
    /* 3/4 of them; the band is sixteen standard deviations wide to each side. */
    ck_assert_uint_gt(heavy, PICKS * 70 / 100);
    ck_assert_uint_lt(heavy, PICKS * 80 / 100);
}
END_TEST

struct reader {
    pthread_t thread;
    starling_view *view;
    atomic_bool *stop;
    unsigned long wrong, picks;
};

static void *read_on(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(r->stop)) {
        starling_instance who;
        int said = starling_pick(r->view, &who);
        r->picks++;
        if (said == 0)
            r->wrong += who.port != 4242 || strcmp(who.host, "127.0.0.1") != 0;
        else
            r->wrong += said != STARLING_ENOENT && said != STARLING_EUNAVAIL;
    }
    return NULL;
}

START_TEST(threads_pick_whole_instances_while_services_come_and_go)
{
    struct reader reader[4];
    atomic_bool stop = false;
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "comes-and-goes");
    for (int i = 0; i < 4; i++) {
        reader[i] = (struct reader){.view = view, .stop = &stop};
        ck_assert_int_eq(pthread_create(&reader[i].thread, NULL, read_on, &reader[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        starling_registration *reg = offer(node, "comes-and-goes", 4242);
        until(pick_says(view) == 0);
        starling_deregister(reg);
        until(pick_says(view) == STARLING_ENOENT);
        starling_view_close(view_of(node, "passing-by"));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) {
        pthread_join(reader[i].thread, NULL);
        ck_assert_uint_eq(reader[i].wrong, 0);
        ck_assert_uint_gt(reader[i].picks, 0);
    }
}
END_TEST

START_TEST(waiting_for_instances_ends_when_enough_are_fit_or_time_is_up)
{
    flock_open_all(&f, 2);
    starling_view *view = view_of(f.node[0], "web");
    must(starling_wait_fit(view, 0, 0));
    refuses(STARLING_ETIMEDOUT, starling_wait_fit(view, 1, 0));
    (void)offer(f.node[0], "web", 1);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    refuses(STARLING_ETIMEDOUT, starling_wait_fit(view, 2, 50));
    (void)offer(f.node[1], "web", 2);
    must(starling_wait_fit(view, 2, -1));
}
END_TEST

START_TEST(an_instance_is_copied_no_further_than_the_caller_knows_it)
{
    enum { KNOWN = offsetof(starling_instance, ticket) };
    starling_instance who;
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "web");
    (void)offer(node, "web", 77);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    memset(&who, 0x5a, sizeof who);
    must(starling_pick_sized(view, &who, KNOWN));
    ck_assert_uint_eq(who.port, 77);
    for (size_t i = KNOWN; i < sizeof who; i++)
        ck_assert_int_eq(((const unsigned char *)&who)[i], 0x5a);
}
END_TEST

START_TEST(a_list_is_copied_at_the_stride_of_the_caller)
{
    enum { KNOWN = offsetof(starling_instance, ticket) };
    unsigned char list[2 * KNOWN + 8];
    unsigned port;
    size_t n;
    flock_open_all(&f, 2);
    starling_view *view = view_of(f.node[0], "web");
    (void)offer(f.node[0], "web", 10);
    (void)offer(f.node[1], "web", 11);
    must(starling_wait_fit(view, 2, PATIENCE_MS));
    memset(list, 0x5a, sizeof list);
    must(starling_view_list_sized(view, 2, (starling_instance *)(void *)list, KNOWN, &n));
    for (unsigned i = 0; i < 2; i++) {
        memcpy(&port, list + i * KNOWN + offsetof(starling_instance, port), sizeof port);
        ck_assert_uint_eq(port, 10 + i);
    }
    for (size_t i = 0; i < 8; i++)
        ck_assert_uint_eq(list[2 * KNOWN + i], 0x5a);
}
END_TEST

START_TEST(metadata_of_an_instance_that_has_gone_is_not_there)
{
    const struct starling_meta meta = {"k", "v"};
    starling_service s = {.name = "web", .port = 1, .meta = &meta, .n_meta = 1};
    starling_registration *reg;
    starling_instance who;
    char value[8];
    starling_node *node = flock_open(&f);
    starling_view *view = view_of(node, "web");
    must(starling_register(node, &s, &reg));
    until(starling_pick(view, &who) == 0);
    must(starling_instance_meta(view, &who, "k", sizeof value, value));
    starling_deregister(reg);
    until(starling_instance_meta(view, &who, "k", sizeof value, value) == STARLING_ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("find");
    TCase *tc = tcase_create("find");
    tcase_set_timeout(tc, 90);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, a_view_of_a_service_that_nobody_offers_opens_and_picks_say_so);
    tcase_add_test(tc, a_view_is_open_until_it_was_closed_as_often_as_opened);
    tcase_add_test(tc, views_left_open_are_freed_with_their_node);
    tcase_add_test(tc, a_view_of_another_tenant_sees_nothing_of_the_default_one);
    tcase_add_test(tc, a_list_is_ordered_by_node_and_counts_beyond_cap);
    tcase_add_test(tc, a_list_shows_the_unfit_as_well);
    tcase_add_test(tc, picks_share_by_weight);
    tcase_add_test(tc, threads_pick_whole_instances_while_services_come_and_go);
    tcase_add_test(tc, waiting_for_instances_ends_when_enough_are_fit_or_time_is_up);
    tcase_add_test(tc, an_instance_is_copied_no_further_than_the_caller_knows_it);
    tcase_add_test(tc, a_list_is_copied_at_the_stride_of_the_caller);
    tcase_add_test(tc, metadata_of_an_instance_that_has_gone_is_not_there);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
