/* test_pick.c: strategies, keys, what was tried, and tickets, as a program uses them. */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "flock.h"

#define N 3

static struct flock_of f;
static starling_node *node; /* of the one who picks */
static starling_registration *regs[N];

/* Three nodes offer "web". */
static void begin(void)
{
    flock_begin(&f);
    flock_open_all(&f, N);
    node = f.node[0];
    for (unsigned i = 0; i < N; i++)
        regs[i] = offer(f.node[i], "web", 8000 + i);
    must(starling_wait_fit(view_of(node, "web"), N, PATIENCE_MS));
}

static void end(void)
{
    flock_end(&f);
}

static starling_view *view_with(starling_view_options options)
{
    starling_view *view = NULL;
    must(starling_view_open(node, "web", &options, &view));
    return view;
}

START_TEST(every_strategy_finds_everybody)
{
    starling_view_options options = {.strategy = (enum starling_strategy)_i};
    starling_view *view = view_with(options);
    unsigned count[N] = {0};
    starling_instance who;
    for (unsigned i = 0; i < 600; i++) {
        must(starling_pick(view, &who));
        ck_assert_uint_lt(who.port - 8000, N);
        count[who.port - 8000]++;
        must(starling_done(view, &who, STARLING_OK, 900 + i % 7 * 30));
    }
    for (unsigned i = 0; i < N; i++)
        ck_assert_msg(count[i] >= 50, "%u of 600 at %u", count[i], i);
    /* The same options are the same view, others another. */
    ck_assert_ptr_eq(view_with(options), view);
    options.timeout_ms = 50;
    ck_assert_ptr_ne(view_with(options), view);
}
END_TEST

START_TEST(a_key_goes_to_one_instance_wherever_it_is_asked_for)
{
    starling_view_options options = {.strategy = STARLING_RENDEZVOUS};
    starling_view *here = view_with(options), *there;
    unsigned seen = 0;
    must(starling_view_open(f.node[1], "web", &options, &there));
    must(starling_wait_fit(there, N, PATIENCE_MS));
    for (unsigned i = 0; i < 100; i++) {
        starling_instance a, b;
        starling_pick_options key = {.key = &i, .key_len = sizeof i};
        must(starling_pick_with(here, &key, &a));
        must(starling_pick_with(there, &key, &b));
        ck_assert_str_eq(a.id, b.id);
        seen |= 1u << (a.port - 8000);
    }
    ck_assert_uint_eq(seen, 7);
}
END_TEST

START_TEST(what_was_tried_is_not_picked_again_until_all_were)
{
    starling_view *view = view_with((starling_view_options){0});
    starling_instance tried[N], who;
    for (unsigned i = 0; i < N; i++) {
        starling_pick_options options = {.tried = tried, .n_tried = i};
        must(starling_pick_with(view, &options, &tried[i]));
        for (unsigned k = 0; k < i; k++)
            ck_assert_str_ne(tried[i].id, tried[k].id);
    }
    starling_pick_options options = {.tried = tried, .n_tried = N};
    refuses(STARLING_EUNAVAIL, starling_pick_with(view, &options, &who));
    must(starling_pick_with(view, NULL, &who));
}
END_TEST

START_TEST(requests_out_are_counted_until_they_are_done)
{
    starling_view *view =
        view_with((starling_view_options){.strategy = STARLING_LEAST_CONNECTIONS});
    starling_instance first[N], who;
    for (unsigned i = 0; i < N; i++) {
        must(starling_pick(view, &first[i]));
        ck_assert_uint_ne(first[i].ticket, 0);
        for (unsigned k = 0; k < i; k++)
            ck_assert_str_ne(first[i].id, first[k].id);
    }
    must(starling_done(view, &first[1], STARLING_CANCELLED, 0));
    must(starling_pick(view, &who));
    ck_assert_str_eq(who.id, first[1].id);
    /* Twice, or made up: of no effect. */
    must(starling_done(view, &first[1], STARLING_OK, 5));
    must(starling_done(view, &first[1], STARLING_OK, 5));
    who.ticket = UINT64_MAX;
    must(starling_done(view, &who, STARLING_FAILED, UINT32_MAX));
    who.ticket = 0;
    must(starling_done(view, &who, STARLING_FAILED, 1));
    /* Of an instance that has gone: likewise. */
    starling_deregister(regs[2]);
    until(starling_wait_fit(view, N, 0) == STARLING_ETIMEDOUT);
    for (unsigned i = 0; i < N; i++)
        must(starling_done(view, &first[i], STARLING_TIMED_OUT, 1000));
}
END_TEST

START_TEST(who_fails_is_left_alone)
{
    starling_view *view = view_with((starling_view_options){.timeout_ms = 100});
    unsigned n_failed = 0;
    for (unsigned i = 0; i < 3000; i++) {
        starling_instance who;
        must(starling_pick(view, &who));
        bool fails = who.port == 8001;
        n_failed += fails;
        must(starling_done(view, &who, fails ? STARLING_REFUSED : STARLING_OK, fails ? 50 : 2000));
    }
    ck_assert_msg(n_failed < 30, "%u of 3000", n_failed);
}
END_TEST

START_TEST(a_view_holds_what_it_selects)
{
    static const struct starling_meta meta[] = {{"env", "test"}};
    starling_service s = {.name = "web2", .port = 1, .version = "2.1", .meta = meta, .n_meta = 1};
    starling_view *view, *other;
    must(starling_register(node, &s, NULL));
    starling_view_options options = {.version = ">=2 <3", .select = "env=test"};
    must(starling_view_open(node, "web2", &options, &view));
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    options.select = "env!=test";
    must(starling_view_open(node, "web2", &options, &other));
    ck_assert_int_eq(pick_says(other), STARLING_ENOENT);
    options.select = NULL;
    options.version = "<2";
    must(starling_view_open(node, "web2", &options, &other));
    ck_assert_int_eq(pick_says(other), STARLING_ENOENT);
}
END_TEST

START_TEST(panic_spreads_or_fails_and_is_an_event)
{
    starling_view *view = view_with((starling_view_options){0});
    starling_view *strict = view_with((starling_view_options){.panic = STARLING_PANIC_FAIL});
    starling_watch_filter filter = {.service = "web"};
    starling_watch *watch;
    starling_event event;
    starling_instance who = {0};
    must(starling_watch_open(node, &filter, &watch));
    must(starling_set_health(regs[0], STARLING_CRITICAL, "test"));
    must(starling_set_health(regs[1], STARLING_CRITICAL, "test"));
    until(pick_says(strict) == STARLING_EUNAVAIL);
    must(starling_pick(view, &who));
    ck_assert_uint_eq(who.flags, STARLING_F_PANIC);
    until(starling_watch_next(watch, &event) == 1 && event.type == STARLING_PANIC);
    ck_assert_str_eq(event.service, "web");
    ck_assert_str_eq(event.tenant, "default");
    ck_assert_str_eq(event.node, "");
    must(starling_set_health(regs[0], STARLING_PASSING, NULL));
    until(starling_watch_next(watch, &event) == 1 && event.type == STARLING_CALM);
    must(starling_pick(strict, &who));
    ck_assert_uint_eq(who.flags, 0);
}
END_TEST

START_TEST(near_instances_come_first)
{
    starling_view_options options = {.tiers = STARLING_TIER_LOCAL | STARLING_TIER_STRICT};
    starling_view *view = view_with(options);
    starling_instance who;
    /* All are on this host, and so as near as each other. */
    unsigned seen = 0;
    for (unsigned i = 0; i < 300; i++) {
        must(starling_pick(view, &who));
        must(starling_done(view, &who, STARLING_OK, 1000 + i % 50));
        seen |= 1u << (who.port - 8000);
    }
    ck_assert_uint_eq(seen, 7);
}
END_TEST

START_TEST(nonsense_is_refused_with_a_sentence)
{
    starling_view *view = view_with((starling_view_options){0}), *other;
    starling_instance who;
    char text[300];
    must(starling_pick(view, &who));
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const starling_view_options bad[] = {
        {.strategy = (enum starling_strategy)77},
        {.tiers = 8},
        {.panic = (enum starling_panic)2},
        {.load_bound = 99},
        {.load_bound = 70000},
        {.timeout_ms = UINT_MAX},
        {.version = ">="},
        {.version = text},
        {.select = "=x"},
        {.select = text},
        {.tenant = "A"},
        {.tenant = text},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(STARLING_EINVAL, starling_view_open(node, "web", &bad[i], &other));
    refuses(STARLING_EINVAL, starling_view_open(node, text, NULL, &other));
    starling_pick_options options = {.key_len = 1};
    refuses(STARLING_EINVAL, starling_pick_with(view, &options, &who));
    options = (starling_pick_options){.n_tried = 1};
    refuses(STARLING_EINVAL, starling_pick_with(view, &options, &who));
    refuses(STARLING_EINVAL, starling_pick_with(NULL, NULL, &who));
    refuses(STARLING_EINVAL, starling_pick_with_sized(view, NULL, 0, NULL, sizeof who));
    refuses(STARLING_EINVAL, starling_done(NULL, &who, STARLING_OK, 0));
    refuses(STARLING_EINVAL, starling_done_sized(view, NULL, sizeof who, STARLING_OK, 0));
    refuses(STARLING_EINVAL, starling_done_sized(view, &who, 8, STARLING_OK, 0));
    refuses(STARLING_EINVAL, starling_done(view, &who, (enum starling_outcome)6, 0));
}
END_TEST

/* ---- threads -------------------------------------------------------------------------------- */

static atomic_bool stop;

static void *pick_on(void *context)
{
    enum starling_strategy strategy = (enum starling_strategy)(uintptr_t)context;
    while (!atomic_load(&stop)) {
        starling_view_options options = {.strategy = strategy};
        starling_view *view;
        if (starling_view_open(node, "web", &options, &view) != 0)
            return "a view did not open";
        for (int i = 0; i < 500; i++) {
            starling_instance who;
            if (starling_pick(view, &who) == 0 && who.port - 8000 >= N)
                return "an instance that never was";
            if (i % 5 != 0 && starling_done(view, &who, STARLING_OK, 1000) != 0)
                return "a ticket was refused";
        }
        starling_view_close(view);
    }
    return NULL;
}

static unsigned weight_in(starling_view *view, unsigned port)
{
    starling_instance list[N];
    size_t n = 0;
    must(starling_view_list(view, N, list, &n));
    for (size_t i = 0; i < n && i < N; i++) {
        if (list[i].port == port)
            return list[i].weight;
    }
    return 0;
}

START_TEST(threads_pick_and_open_while_the_flock_changes)
{
    pthread_t threads[4];
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pick_on, (void *)i), 0);
    for (unsigned i = 0; i < 40; i++) {
        enum starling_health health = i % 2 ? STARLING_PASSING : STARLING_WARNING;
        starling_view *all = view_of(node, "web");
        must(starling_set_health(regs[1], health, NULL));
        must(starling_set_weight(regs[0], 50 + i));
        until(weight_in(all, 8000) == 50 + i);
        starling_view_close(all);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 4; i++) {
        void *failure;
        ck_assert_int_eq(pthread_join(threads[i], &failure), 0);
        ck_assert_msg(failure == NULL, "%s", (char *)failure);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pick");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_loop_test(t, every_strategy_finds_everybody, 0, STARLING_LOCAL_FIRST + 1);
    tcase_add_test(t, a_key_goes_to_one_instance_wherever_it_is_asked_for);
    tcase_add_test(t, what_was_tried_is_not_picked_again_until_all_were);
    tcase_add_test(t, requests_out_are_counted_until_they_are_done);
    tcase_add_test(t, who_fails_is_left_alone);
    tcase_add_test(t, a_view_holds_what_it_selects);
    tcase_add_test(t, panic_spreads_or_fails_and_is_an_event);
    tcase_add_test(t, near_instances_come_first);
    tcase_add_test(t, nonsense_is_refused_with_a_sentence);
    tcase_add_test(t, threads_pick_and_open_while_the_flock_changes);
    suite_add_tcase(s, t);
    return run_suite(s);
}
