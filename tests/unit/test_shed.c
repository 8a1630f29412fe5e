/* test_shed.c: weights from load in virtual time: how fast, how steady, how seldom. */
#include "node/shed.h"
#include "tests/suite.h"

#include <check.h>
#include <stdlib.h>

#define OPENED SL_SEC(500)

static struct sl_shed l;
static sl_usec now;
static unsigned n_changes;
static sl_usec changed_at, shortest; /* between two changes */

static void setup(void)
{
    now = OPENED;
    n_changes = 0;
    changed_at = 0;
    shortest = SL_NEVER;
    sl_shed_init(&l, OPENED, now);
}

static void second(double cpu)
{
    unsigned before = sl_shed_weight(&l, 1000);
    now += SL_SEC(1);
    bool changed = sl_shed_sample(&l, now, cpu);
    ck_assert(changed == (sl_shed_weight(&l, 1000) != before));
    if (!changed)
        return;
    if (n_changes++ > 0 && now - changed_at < shortest)
        shortest = now - changed_at;
    changed_at = now;
}

static void seconds(unsigned n, double cpu)
{
    for (unsigned i = 0; i < n; i++)
        second(cpu);
}

START_TEST(up_to_one_half_nothing_is_shed)
{
    seconds(300, 0.5);
    ck_assert_uint_eq(n_changes, 0);
    seconds(300, 0.0);
    ck_assert_uint_eq(n_changes, 0);
    ck_assert_uint_eq(sl_shed_weight(&l, 100), 100);
}
END_TEST

START_TEST(a_full_processor_halves_the_weight_within_a_minute_and_not_at_once)
{
    seconds(20, 0.0);
    seconds(3, 1.0);
    ck_assert_uint_eq(sl_shed_weight(&l, 100), 100);
    seconds(57, 1.0);
    ck_assert_uint_ge(sl_shed_weight(&l, 100), 50);
    ck_assert_uint_le(sl_shed_weight(&l, 100), 59); /* one step off at most */
}
END_TEST

START_TEST(overload_sheds_down_to_a_quarter_and_no_further)
{
    seconds(20, 0.0);
    for (unsigned i = 0; i < 120; i++) {
        sl_shed_report(&l, now, 1000.0);
        second(0.1);
    }
    ck_assert_uint_eq(sl_shed_weight(&l, 100), 25);
    ck_assert_uint_eq(sl_shed_weight(&l, 1), 1);
    ck_assert_uint_eq(sl_shed_weight(&l, 0), 0);
}
END_TEST

START_TEST(the_weight_comes_back_when_the_load_goes)
{
    seconds(20, 0.0);
    for (unsigned i = 0; i < 120; i++) {
        sl_shed_report(&l, now, 1000.0);
        second(1.0);
    }
    seconds(40, 0.1); /* ln(4 / 0.4) x 10 s, and the hold */
    ck_assert_uint_eq(sl_shed_weight(&l, 100), 100);
}
END_TEST

START_TEST(two_changes_are_never_closer_than_two_seconds)
{
    for (unsigned i = 0; i < 2000; i++) {
        sl_shed_report(&l, now, i / 17 % 2 == 0 ? 3.0 : 0.0);
        second(i % 3 == 0 ? 1.0 : 0.0);
    }
    ck_assert_uint_gt(n_changes, 100);
    ck_assert_int_ge(shortest, SL_SHED_HOLD);
}
END_TEST

START_TEST(no_change_is_missed_by_looking_more_often)
{
    /* Ten times a second: the same speed, and the same rest between changes. */
    sl_usec last = 0;
    seconds(20, 0.0);
    for (unsigned i = 0; i < 600; i++) {
        now += SL_MS(100);
        if (sl_shed_sample(&l, now, 1.0)) {
            ck_assert_int_ge(now - last, SL_SHED_HOLD);
            last = now;
        }
    }
    ck_assert_uint_le(sl_shed_weight(&l, 100), 59);
}
END_TEST

START_TEST(a_load_that_wavers_by_a_few_percent_changes_nothing)
{
    /* At every level, also in the middle between two steps. */
    for (double level = 0.5; level < 2.2; level *= 1.01) {
        setup();
        seconds(100, level);
        unsigned settled = n_changes;
        for (unsigned i = 0; i < 200; i++)
            second(i / 20 % 2 == 0 ? level * 1.04 : level * 0.96);
        ck_assert_msg(n_changes <= settled + 1, "%u changes at %.2f", n_changes - settled, level);
    }
}
END_TEST

START_TEST(what_was_reported_lapses_after_ten_seconds)
{
    seconds(20, 0.0);
    sl_shed_report(&l, now, 2.0);
    seconds(10, 0.0);
    unsigned loaded = sl_shed_weight(&l, 100);
    ck_assert_uint_lt(loaded, 60);
    seconds(40, 0.0);
    ck_assert_uint_eq(sl_shed_weight(&l, 100), 100);
}
END_TEST

START_TEST(the_larger_of_cpu_and_report_counts)
{
    for (unsigned i = 0; i < 120; i++) {
        sl_shed_report(&l, now, 0.1);
        second(1.0);
    }
    ck_assert_uint_le(sl_shed_weight(&l, 100), 59);
}
END_TEST

START_TEST(the_first_ten_seconds_of_a_node_do_not_count)
{
    seconds(10, 1.0);
    ck_assert_uint_eq(n_changes, 0);
    seconds(300, 0.4);
    ck_assert_uint_eq(n_changes, 0);
}
END_TEST

START_TEST(a_service_offered_later_counts_from_then_on)
{
    now = OPENED + SL_SEC(1000);
    sl_shed_init(&l, OPENED, now);
    seconds(30, 1.0);
    ck_assert_uint_lt(sl_shed_weight(&l, 100), 100);
}
END_TEST

START_TEST(steps_are_a_quarter_of_a_doubling)
{
    unsigned last = 1000;
    for (unsigned i = 0; i < 400; i++) {
        sl_shed_report(&l, now, 0.4 + i / 100.0);
        second(0.0);
        unsigned weight = sl_shed_weight(&l, 1000);
        if (weight == last)
            continue;
        ck_assert_uint_ge(weight, last * 83 / 100);
        ck_assert_uint_le(weight, last * 85 / 100);
        last = weight;
    }
    ck_assert_uint_eq(last, 250);
}
END_TEST

START_TEST(the_processors_are_seen_to_work)
{
    struct sl_cpu cpu = {0};
    sl_usec t = SL_SEC(1);
    ck_assert(sl_cpu_look(&cpu, t) <= 0);
    ck_assert(cpu.processors > 0);
    volatile unsigned sink = 0;
    for (unsigned i = 0; i < 50000000; i++)
        sink = sink + i;
    double share = sl_cpu_look(&cpu, t + SL_SEC(1)); /* a second, says the clock of this test */
    ck_assert_msg(share > 0.0001 && share < 10, "%f", share);
    ck_assert(sl_cpu_look(&cpu, t + SL_SEC(1000)) < share);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shed");
    TCase *tc = tcase_create("load");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, up_to_one_half_nothing_is_shed);
    tcase_add_test(tc, a_full_processor_halves_the_weight_within_a_minute_and_not_at_once);
    tcase_add_test(tc, overload_sheds_down_to_a_quarter_and_no_further);
    tcase_add_test(tc, the_weight_comes_back_when_the_load_goes);
    tcase_add_test(tc, two_changes_are_never_closer_than_two_seconds);
    tcase_add_test(tc, no_change_is_missed_by_looking_more_often);
    tcase_add_test(tc, a_load_that_wavers_by_a_few_percent_changes_nothing);
    tcase_add_test(tc, what_was_reported_lapses_after_ten_seconds);
    tcase_add_test(tc, the_larger_of_cpu_and_report_counts);
    tcase_add_test(tc, the_first_ten_seconds_of_a_node_do_not_count);
    tcase_add_test(tc, a_service_offered_later_counts_from_then_on);
    tcase_add_test(tc, steps_are_a_quarter_of_a_doubling);
    tcase_add_test(tc, the_processors_are_seen_to_work);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
