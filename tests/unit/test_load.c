/* test_load.c: requests out and how long they take: tickets given back late, twice, never or by
 * somebody who made them up. */
#include "store/load.h"

#include <math.h>
#include <pthread.h>

#include "tests/unit/store_help.h"

static struct memory memory;
static struct sl_loads loads;

static void setup(void)
{
    memory_init(&memory);
    sl_loads_init(&loads, &memory.alloc);
}

static void teardown(void)
{
    sl_loads_fini(&loads);
    ck_assert_uint_eq(memory.bytes, 0);
}

static struct sl_load *take(void)
{
    struct sl_load *load = sl_load_take(&loads);
    ck_assert_ptr_nonnull(load);
    return load;
}

static bool end(uint64_t ticket, uint32_t now_ms)
{
    return sl_load_end(&loads, ticket, now_ms, STARLING_OK, 1000, 0);
}

START_TEST(a_ticket_counts_once)
{
    struct sl_load *load = take();
    uint64_t one = sl_load_begin(&loads, load, 100, true);
    uint64_t two = sl_load_begin(&loads, load, 101, false);
    ck_assert_uint_eq(sl_load_out(load, 101), 2);
    ck_assert(end(one, 102));
    ck_assert_uint_eq(sl_load_out(load, 102), 1);
    /* Tickets of one period are alike: as many are taken back as were given. */
    ck_assert(end(two, 103));
    ck_assert(!end(two, 103));
    ck_assert(!end(one, 103));
    ck_assert_uint_eq(sl_load_out(load, 103), 0);
}
END_TEST

START_TEST(a_ticket_never_given_back_is_forgotten_after_60_to_80_s)
{
    for (uint32_t at = 0; at < 20000; at += 1999) {
        struct sl_load *load = take();
        uint64_t ticket = sl_load_begin(&loads, load, at, true);
        for (uint32_t age = 0; age <= 60000; age += 500)
            ck_assert_uint_eq(sl_load_out(load, at + age), 1);
        ck_assert_uint_eq(sl_load_out(load, at + 80000), 0);
        uint64_t expired = atomic_load(&loads.expired);
        /* Noticed when the bucket is used again. */
        sl_load_begin(&loads, load, at + 80000, true);
        ck_assert_uint_eq(atomic_load(&loads.expired), expired + 1);
        ck_assert(!end(ticket, at + 80001));
        ck_assert_uint_eq(sl_load_out(load, at + 80001), 1);
    }
}
END_TEST

START_TEST(a_ticket_of_an_instance_that_has_gone_does_nothing_to_the_next)
{
    struct sl_load *load = take();
    uint64_t ticket = sl_load_begin(&loads, load, 100, true);
    sl_load_unref(&loads, load);
    ck_assert_ptr_eq(take(), load); /* the same block in another life */
    ck_assert_uint_eq(sl_load_out(load, 100), 0);
    ck_assert(!end(ticket, 100));
    sl_load_begin(&loads, load, 100, true);
    ck_assert(!end(ticket, 100));
    ck_assert_uint_eq(sl_load_out(load, 100), 1);
    ck_assert(sl_load_latency(load, 100, 0) <= 0);
}
END_TEST

START_TEST(tickets_that_were_made_up_do_no_harm)
{
    struct sl_rand r;
    struct sl_load *blocks[100];
    sl_rand_seed(&r, 17);
    for (size_t i = 0; i < SL_COUNT(blocks); i++)
        blocks[i] = take();
    uint64_t ticket = sl_load_begin(&loads, blocks[50], 100, true);
    for (int i = 0; i < 2000000; i++) {
        uint64_t v = sl_rand_u64(&r);
        if (i % 2 == 0)
            v = ticket ^ UINT64_C(1) << v % 64; /* one bit beside a good one */
        ck_assert(v == ticket || !end(v, 100));
    }
    for (size_t i = 0; i < SL_COUNT(blocks); i++)
        ck_assert_uint_eq(sl_load_out(blocks[i], 100), i == 50 ? 1 : 0);
    ck_assert(end(ticket, 100));
}
END_TEST

START_TEST(a_slower_answer_counts_at_once_and_a_faster_one_little_by_little)
{
    struct sl_load *load = take();
    uint32_t now = 1000;
    for (int i = 0; i < 3; i++)
        sl_load_end(&loads, sl_load_begin(&loads, load, now, true), now, STARLING_OK, 1000, 0);
    ck_assert_float_eq_tol(sl_load_latency(load, now, 0), 1000, 1);
    sl_load_end(&loads, sl_load_begin(&loads, load, now, true), now, STARLING_OK, 20000, 0);
    ck_assert_float_eq_tol(sl_load_latency(load, now, 0), 20000, 1);
    /* Decays when it is read, with 10 s. */
    for (uint32_t s = 1; s <= 10; s++)
        ck_assert_float_eq_tol(sl_load_latency(load, now + s * 1000, 0),
                               20000 * expf(-(float)s / 10), 20000 * 0.02f);
    for (int i = 0; i < 1000; i++, now += 10)
        sl_load_end(&loads, sl_load_begin(&loads, load, now, true), now, STARLING_OK, 1000, 0);
    ck_assert_float_eq_tol(sl_load_latency(load, now, 0), 1000 + 19000 * expf(-1), 800);
}
END_TEST

START_TEST(a_failure_is_slow_and_a_cancellation_says_nothing)
{
    struct sl_load *load = take();
    uint32_t now = 1000;
    float before = 0;
    sl_load_end(&loads, sl_load_begin(&loads, load, now, true), now, STARLING_CANCELLED, 9000, 0);
    ck_assert(sl_load_latency(load, now, 0) <= 0);
    sl_load_end(&loads, sl_load_begin(&loads, load, now, true), now, STARLING_FAILED, 50, 7000);
    ck_assert_float_eq_tol(sl_load_latency(load, now, 0), 7000, 1); /* the time-out of the view */
    for (int i = 0; i < 20; i++) {
        before = sl_load_latency(load, now, 0);
        sl_load_end(&loads, sl_load_begin(&loads, load, now, true), now, STARLING_FAILED, 50, 0);
        ck_assert_float_eq_tol(sl_load_latency(load, now, 0), fminf(2 * before, 30e6f), 3);
    }
    ck_assert_float_eq_tol(before, 30e6f, 3);
}
END_TEST

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 100000, STEP = 2000 };
static pthread_barrier_t step;
static struct sl_load *shared;
static _Atomic uint32_t clock_ms;

static void *begin_and_end(void *context)
{
    uint64_t tickets[8] = {0};
    struct sl_rand r;
    sl_rand_seed(&r, *(unsigned *)context);
    for (unsigned i = 0; i < ROUNDS; i++) {
        /* A thread that is suspended for 80 s of this clock may miscount (store/load.c), and it runs through that in
         * milliseconds: nobody gets further ahead than eight. */
        if (i % STEP == 0)
            (void)pthread_barrier_wait(&step);
        uint32_t now = atomic_fetch_add_explicit(&clock_ms, 1, memory_order_relaxed);
        uint64_t which = sl_rand_below(&r, SL_COUNT(tickets));
        if (tickets[which] != 0)
            sl_load_end(&loads, tickets[which], now, STARLING_OK, 100, 0);
        tickets[which] = sl_load_begin(&loads, shared, now, sl_load_out(shared, now) == 0);
    }
    for (size_t i = 0; i < SL_COUNT(tickets); i++)
        sl_load_end(&loads, tickets[i], atomic_load(&clock_ms), STARLING_OK, 100, 0);
    return NULL;
}

START_TEST(whatever_threads_do_at_once_all_that_came_back_is_counted)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    shared = take();
    ck_assert_int_eq(pthread_barrier_init(&step, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i + 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, begin_and_end, &seeds[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&step);
    /* The clock went through some twenty periods, every bucket was turned several times. */
    ck_assert_uint_gt(atomic_load(&clock_ms), 4 * SL_LOAD_BUCKETS * SL_LOAD_PERIOD_MS);
    ck_assert_uint_eq(sl_load_out(shared, atomic_load(&clock_ms)), 0);
}
END_TEST

START_TEST(blocks_are_lines_of_their_own_and_come_back)
{
    enum { N = 1000 };
    static struct sl_load *blocks[N];
    for (unsigned i = 0; i < N; i++) {
        blocks[i] = take();
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        for (unsigned k = 0; k < i; k += 61)
            ck_assert_ptr_ne(blocks[i], blocks[k]);
    }
    size_t bytes = memory.bytes;
    ck_assert_uint_le(bytes, N * 64 + 40000);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < N; i++)
            sl_load_unref(&loads, blocks[i]);
        for (unsigned i = 0; i < N; i++)
            blocks[i] = take();
    }
    ck_assert_uint_eq(memory.bytes, bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("load");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_ticket_counts_once);
    tcase_add_test(t, a_ticket_never_given_back_is_forgotten_after_60_to_80_s);
    tcase_add_test(t, a_ticket_of_an_instance_that_has_gone_does_nothing_to_the_next);
    tcase_add_test(t, tickets_that_were_made_up_do_no_harm);
    tcase_add_test(t, a_slower_answer_counts_at_once_and_a_faster_one_little_by_little);
    tcase_add_test(t, a_failure_is_slow_and_a_cancellation_says_nothing);
    tcase_add_test(t, whatever_threads_do_at_once_all_that_came_back_is_counted);
    tcase_add_test(t, blocks_are_lines_of_their_own_and_come_back);
    suite_add_tcase(s, t);
    return run_suite(s);
}
