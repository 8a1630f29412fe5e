/* test_choose.c: which instance gets the next request: keys, turns, two choices, what was tried. */
#include "store/roster.h"

#include "tests/unit/store_help.h"

enum { MANY = 64, KEYS = 20000 };

static struct memory memory;
static struct sl_store *store;
static struct sl_rand rand_of_test;
static uint32_t now_ms;

static void setup(void)
{
    memory_init(&memory);
    sl_rand_seed(&rand_of_test, 5);
    now_ms = 5000;
    ck_assert_int_eq(sl_store_new(&memory.alloc, 1, NULL, &store), 0);
}

static void teardown(void)
{
    sl_store_free(store);
    ck_assert_uint_eq(memory.bytes, 0);
}

static struct sl_view *view_of(enum starling_strategy strategy, unsigned load_bound)
{
    struct sl_view *v;
    struct sl_view_spec spec = a_spec("web", strategy);
    spec.load_bound = (uint16_t)load_bound;
    ck_assert_int_eq(sl_view_open(store, &spec, now_of_test, NULL, &v), 0);
    return v;
}

static void offer_many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        offer(store, i, "web", 100);
    publish(store);
}

/* A pick at now_ms. */
static unsigned ask(struct sl_view *v, struct starling_instance *ret)
{
    struct sl_pick how = {.rand = &rand_of_test, .now_ms = now_ms};
    ck_assert_int_eq(sl_view_pick(v, &how, ret), 0);
    return number_of(ret);
}

/* Ask and be answered at once, after so many microseconds of work, a fifth more or less. */
static unsigned ask_and_answer(struct sl_view *v, const uint32_t latency_us[MANY],
                               enum starling_outcome outcome)
{
    struct starling_instance who;
    unsigned number = ask(v, &who);
    ck_assert_uint_ne(who.ticket, 0);
    uint32_t us = latency_us[number] * (80 + (uint32_t)sl_rand_below(&rand_of_test, 41)) / 100;
    ck_assert(sl_view_done(v, now_ms, who.ticket, (int)outcome, us));
    return number;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static unsigned instance_of_key(struct sl_view *v, unsigned key)
{
    struct starling_instance who;
    struct sl_pick how = {.rand = &rand_of_test, .key = sl_span_of(&key, sizeof key)};
    ck_assert_int_eq(sl_view_pick(v, &how, &who), 0);
    return number_of(&who);
}

static void map_keys(struct sl_view *v, unsigned char where[KEYS])
{
    for (unsigned i = 0; i < KEYS; i++)
        where[i] = (unsigned char)instance_of_key(v, i);
}

START_TEST(only_the_keys_of_who_comes_or_goes_move)
{
    static unsigned char before[KEYS], after[KEYS], back[KEYS];
    struct sl_view *v = view_of(STARLING_RENDEZVOUS, 0);
    bool uneven = _i == 1;
    for (unsigned i = 0; i < 20; i++)
        offer(store, i, "web", uneven ? 10 + 37 * i : 100);
    publish(store);
    map_keys(v, before);
    for (unsigned gone = 0; gone < 20; gone += 7) {
        unsigned n_moved = 0;
        ck_assert_int_eq(feed_member(store, gone, STARLING_DOWN), 0);
        publish(store);
        map_keys(v, after);
        for (unsigned i = 0; i < KEYS; i++) {
            ck_assert_uint_ne(after[i], gone);
            n_moved += before[i] != after[i];
            ck_assert_msg(before[i] == gone || before[i] == after[i], "key %u of %u moved to %u", i,
                          before[i], after[i]);
        }
        ck_assert_uint_gt(n_moved, 0);
        ck_assert_int_eq(feed_member(store, gone, STARLING_ALIVE), 0);
        publish(store);
        map_keys(v, back);
        ck_assert_mem_eq(before, back, KEYS);
    }
    offer(store, 20, "web", 100);
    publish(store);
    map_keys(v, after);
    for (unsigned i = 0; i < KEYS; i++)
        ck_assert(after[i] == before[i] || after[i] == 20);
}
END_TEST

START_TEST(a_node_that_comes_back_under_another_id_keeps_its_keys)
{
    static unsigned char before[KEYS], after[KEYS];
    struct sl_view *v = view_of(STARLING_RENDEZVOUS, 0);
    struct sl_service web = a_service("web", 80);
    offer_many(10);
    map_keys(v, before);
    ck_assert_int_eq(feed_member(store, 4, STARLING_LEFT), 0);
    struct sl_store_member again = a_member(4, STARLING_ALIVE);
    again.id = an_id(77);
    ck_assert_int_eq(sl_store_member(store, &again), 0);
    ck_assert_int_eq(feed_record(store, 77, &web, 1), 0);
    publish(store);
    map_keys(v, after);
    ck_assert_mem_eq(before, after, KEYS);
}
END_TEST

/* So that processes agree, and releases: keys of data already cached must not move. */
START_TEST(keys_go_where_they_always_went)
{
    static const unsigned wanted[] = {2, 5, 6, 9, 9, 8, 9, 7, 2, 9, 2, 4};
    struct sl_view *v = view_of(STARLING_RENDEZVOUS, 0);
    offer_many(10);
    for (unsigned i = 0; i < SL_COUNT(wanted); i++)
        ck_assert_msg(instance_of_key(v, i) == wanted[i], "key %u goes to %u", i,
                      instance_of_key(v, i));
}
END_TEST

START_TEST(a_bound_on_the_load_moves_what_is_too_much)
{
    struct sl_view *v = view_of(STARLING_RENDEZVOUS, 125);
    struct starling_instance who;
    unsigned count[10] = {0}, hot = 42;
    struct sl_pick how = {
        .rand = &rand_of_test, .now_ms = now_ms, .key = sl_span_of(&hot, sizeof hot)};
    offer_many(10);
    for (unsigned i = 1; i <= 1000; i++) {
        ck_assert_int_eq(sl_view_pick(v, &how, &who), 0);
        count[number_of(&who)]++;
        for (unsigned k = 0; k < 10; k++)
            ck_assert_msg(count[k] <= 1.25 * (i + 1) / 10 + 1, "%u of %u at %u", count[k], i, k);
    }
}
END_TEST

/* ---- what was tried ------------------------------------------------------------------------- */

START_TEST(what_was_tried_is_not_picked_again)
{
    enum { N = 12 };
    struct starling_instance tried[N];
    struct sl_view *v = view_of((enum starling_strategy)_i, 0);
    struct sl_view_spec spec = a_spec("web", (enum starling_strategy)_i);
    spec.tiers = STARLING_TIER_HEALTHY;
    ck_assert_int_eq(sl_view_open(store, &spec, now_of_test, NULL, &v), 0);
    offer_many(N);
    struct sl_service warns = a_service("web", 80);
    warns.health = STARLING_WARNING;
    ck_assert_int_eq(feed_vitals(store, 3, &warns, 1), 0);
    publish(store);
    for (unsigned round = 0; round < 100; round++) {
        unsigned key = round;
        struct sl_pick how = {.rand = &rand_of_test,
                              .now_ms = now_ms,
                              .key = sl_span_of(&key, sizeof key),
                              .tried = tried,
                              .stride = sizeof tried[0]};
        for (unsigned i = 0; i < N; i++) {
            how.n_tried = i;
            /* 11 of 12 pass and so take it all: the one that warns is left to the end, or never. */
            int r = sl_view_pick(v, &how, &tried[i]);
            if (r < 0 && i == N - 1)
                break;
            ck_assert_int_eq(r, 0);
            for (unsigned k = 0; k < i; k++)
                ck_assert_str_ne(tried[k].id, tried[i].id);
            ck_assert(number_of(&tried[i]) != 3 || i == N - 1);
        }
        how.n_tried = N - 1;
        ck_assert_int_eq(sl_view_pick(v, &how, &tried[N - 1]), STARLING_EUNAVAIL);
    }
}
END_TEST

/* ---- two choices ---------------------------------------------------------------------------- */

START_TEST(the_slow_is_left_alone_and_tried_now_and_then)
{
    uint32_t latency[MANY] = {20000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
    struct sl_view *v = view_of(STARLING_P2C_EWMA, 0);
    unsigned n_slow = 0, n_early = 0;
    offer_many(10);
    for (unsigned i = 0; i < 20000; i++, now_ms += i % 2) { /* 2,000 a second for 10 s */
        bool slow = ask_and_answer(v, latency, STARLING_OK) == 0;
        n_slow += slow;
        n_early += slow && i < 2000;
    }
    ck_assert_uint_le(n_early, 4);
    ck_assert_msg(n_slow >= 5 && n_slow <= 15, "%u of 20000 in 10 s", n_slow);
    /* It recovers: within a minute it has its part again. */
    latency[0] = 1000;
    for (unsigned i = 0; i < 120000; i++, now_ms += i % 2)
        ask_and_answer(v, latency, STARLING_OK);
    n_slow = 0;
    for (unsigned i = 0; i < 20000; i++, now_ms += i % 2)
        n_slow += ask_and_answer(v, latency, STARLING_OK) == 0;
    ck_assert_msg(n_slow > 1000, "%u of 20000", n_slow);
}
END_TEST

START_TEST(who_fails_fast_attracts_nothing)
{
    static const enum starling_outcome outcomes[] = {STARLING_FAILED, STARLING_REFUSED,
                                                     STARLING_TIMED_OUT, STARLING_OVERLOADED};
    static const uint32_t latency[MANY] = {50,   5000, 5000, 5000, 5000,
                                           5000, 5000, 5000, 5000, 5000};
    struct sl_view *v = view_of(STARLING_P2C_EWMA, 0);
    struct starling_instance who;
    unsigned n_failed = 0;
    offer_many(10);
    for (unsigned i = 0; i < 20000; i++, now_ms += i % 2) {
        unsigned number = ask(v, &who);
        n_failed += number == 0;
        sl_view_done(v, now_ms, who.ticket, number == 0 ? (int)outcomes[_i] : STARLING_OK,
                     latency[number]);
    }
    ck_assert_msg(n_failed < 200, "%u of 20000", n_failed);
}
END_TEST

START_TEST(who_does_not_answer_is_seen_before_its_time_outs)
{
    static const uint32_t latency[MANY] = {[1] = 1000, 1000, 1000, 1000, 1000};
    struct sl_view *v = view_of(STARLING_P2C_EWMA, 0);
    struct starling_instance who;
    unsigned n_hung = 0;
    offer_many(6);
    for (unsigned i = 0; i < 3000; i++, now_ms += i % 2) {
        unsigned number = ask(v, &who);
        n_hung += number == 0; /* these never come back */
        if (number != 0)
            sl_view_done(v, now_ms, who.ticket, STARLING_OK, latency[number]);
    }
    ck_assert_msg(n_hung <= 20, "%u of 3000 went to one that answers nothing", n_hung);
}
END_TEST

START_TEST(weights_count_against_what_is_out)
{
    struct sl_view *v = view_of((enum starling_strategy)_i, 0);
    struct starling_instance who;
    unsigned count[20] = {0};
    for (unsigned i = 0; i < 20; i++)
        offer(store, i, "web", i < 10 ? 100 : 300);
    publish(store);
    for (unsigned i = 0; i < 4000; i++)
        count[ask(v, &who)]++;
    for (unsigned i = 0; i < 20; i++) {
        unsigned wanted = i < 10 ? 100 : 300;
        ck_assert_msg(count[i] > wanted * 9 / 10 && count[i] < wanted * 11 / 10,
                      "%u out at %u of weight %u", count[i], i, wanted);
    }
}
END_TEST

START_TEST(of_a_few_exactly_the_least_busy_is_picked)
{
    struct sl_view *v = view_of(STARLING_LEAST_CONNECTIONS, 0);
    struct starling_instance who;
    unsigned count[8] = {0}, first[8] = {0};
    offer_many(8);
    for (unsigned i = 0; i < 8000; i++) {
        unsigned number = ask(v, &who);
        unsigned least = count[0];
        for (unsigned k = 1; k < 8; k++)
            least = count[k] < least ? count[k] : least;
        ck_assert_uint_eq(count[number], least);
        count[number]++;
        first[number] += i % 8 == 0; /* among equals, by chance */
    }
    for (unsigned k = 0; k < 8; k++)
        ck_assert_uint_gt(first[k], 50);
}
END_TEST

/* ---- removal -------------------------------------------------------------------------------- */

START_TEST(who_is_gone_is_never_picked_again)
{
    struct sl_view *v = view_of((enum starling_strategy)_i, 0);
    struct starling_instance who;
    offer_many(40);
    for (unsigned gone = 0; gone < 39; gone++) {
        for (int i = 0; i < 50; i++)
            ask(v, &who);
        ck_assert_int_eq(feed_member(store, gone, gone % 2 ? STARLING_DOWN : STARLING_LEFT), 0);
        publish(store);
        for (int i = 0; i < 200; i++)
            ck_assert_uint_gt(ask(v, &who), gone);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("choose");
    TCase *t = tcase_create("all");
    int n = STARLING_LOCAL_FIRST + 1;
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, only_the_keys_of_who_comes_or_goes_move, 0, 2);
    tcase_add_test(t, a_node_that_comes_back_under_another_id_keeps_its_keys);
    tcase_add_test(t, keys_go_where_they_always_went);
    tcase_add_test(t, a_bound_on_the_load_moves_what_is_too_much);
    tcase_add_loop_test(t, what_was_tried_is_not_picked_again, 0, n);
    tcase_add_test(t, the_slow_is_left_alone_and_tried_now_and_then);
    tcase_add_loop_test(t, who_fails_fast_attracts_nothing, 0, 4);
    tcase_add_test(t, who_does_not_answer_is_seen_before_its_time_outs);
    tcase_add_loop_test(t, weights_count_against_what_is_out, 0, 1);
    tcase_add_loop_test(t, weights_count_against_what_is_out, STARLING_LEAST_CONNECTIONS,
                        STARLING_LEAST_CONNECTIONS + 1);
    tcase_add_test(t, of_a_few_exactly_the_least_busy_is_picked);
    tcase_add_loop_test(t, who_is_gone_is_never_picked_again, 0, n);
    suite_add_tcase(s, t);
    return run_suite(s);
}
