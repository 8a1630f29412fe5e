/* test_check.c: verdicts of health checks in virtual time: rise, fall, time-outs, jitter, renewals. */
#include "node/check.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct sl_check c;
static struct sl_rand chance;
static sl_usec now;
static struct sl_check_rules rules;

static void setup(void)
{
    now = SL_SEC(1000);
    sl_rand_seed(&chance, 7);
    rules =
        (struct sl_check_rules){.interval = SL_SEC(2), .timeout = SL_SEC(1), .rise = 1, .fall = 3};
}

static void begin(enum starling_health health, bool held)
{
    sl_check_init(&c, &rules, health, held, now);
}

/* Let time pass until the next check starts. */
static void start(void)
{
    now = sl_check_deadline(&c) > now ? sl_check_deadline(&c) : now;
    ck_assert_int_eq(sl_check_turn(&c, now), SL_CHECK_START);
}

/* The next check, with this result after 10 ms. */
static bool gives(enum starling_health health, const char *note)
{
    start();
    now += SL_MS(10);
    return sl_check_result(&c, now, &chance, health, note);
}

static bool passes(void)
{
    return gives(STARLING_PASSING, "");
}

static bool fails(void)
{
    return gives(STARLING_CRITICAL, "connection refused");
}

START_TEST(the_first_check_is_due_at_once)
{
    begin(STARLING_PASSING, false);
    ck_assert_int_eq(sl_check_deadline(&c), now);
    ck_assert_int_eq(sl_check_turn(&c, now), SL_CHECK_START);
}
END_TEST

START_TEST(a_service_is_critical_after_as_many_failures_as_fall_says)
{
    begin(STARLING_PASSING, false);
    ck_assert(!passes());
    ck_assert(!fails());
    ck_assert(!fails());
    ck_assert_int_eq(c.health, STARLING_PASSING);
    ck_assert(fails());
    ck_assert_int_eq(c.health, STARLING_CRITICAL);
    ck_assert_str_eq(c.note, "connection refused");
    ck_assert(!fails());
}
END_TEST

START_TEST(failures_count_only_in_a_row)
{
    begin(STARLING_PASSING, false);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(!fails());
        ck_assert(!fails());
        ck_assert(!passes());
    }
    ck_assert_int_eq(c.health, STARLING_PASSING);
}
END_TEST

START_TEST(a_critical_service_rises_after_as_many_passes_as_rise_says)
{
    rules.rise = 3;
    begin(STARLING_CRITICAL, false);
    ck_assert(!passes());
    ck_assert(!passes());
    ck_assert(fails()); /* why it is critical is news */
    ck_assert(!passes());
    ck_assert(!passes());
    ck_assert_int_eq(c.health, STARLING_CRITICAL);
    ck_assert(passes());
    ck_assert_int_eq(c.health, STARLING_PASSING);
    ck_assert_str_eq(c.note, "");
}
END_TEST

START_TEST(a_warning_counts_towards_rising_and_is_told_at_once)
{
    begin(STARLING_PASSING, false);
    ck_assert(gives(STARLING_WARNING, "HTTP 429"));
    ck_assert_int_eq(c.health, STARLING_WARNING);
    ck_assert(passes());
    ck_assert(!fails());
    ck_assert(!fails());
    ck_assert(fails());
    ck_assert(gives(STARLING_WARNING, "HTTP 429"));
    ck_assert_int_eq(c.health, STARLING_WARNING);
}
END_TEST

START_TEST(a_held_service_is_let_go_by_its_first_pass)
{
    begin(STARLING_PASSING, true);
    for (unsigned i = 0; i < 5; i++)
        (void)fails();
    ck_assert(c.held);
    ck_assert(passes());
    ck_assert(!c.held);
    ck_assert_int_eq(c.health, STARLING_PASSING);
    ck_assert(!passes());
}
END_TEST

START_TEST(a_held_service_is_asked_more_often_until_it_passes)
{
    begin(STARLING_PASSING, true);
    sl_usec last = now;
    for (unsigned i = 0; i < 20; i++) {
        (void)fails();
        sl_usec gap = sl_check_deadline(&c) - c.began;
        ck_assert_int_le(gap, SL_CHECK_HELD_MAX * 11 / 10);
        ck_assert_int_ge(gap, SL_CHECK_HELD_FIRST * 9 / 10);
        last = c.began;
    }
    ck_assert_int_gt(last, SL_SEC(1000) + SL_SEC(2));
    (void)passes();
    ck_assert_int_ge(sl_check_deadline(&c) - c.began, rules.interval * 9 / 10);
}
END_TEST

START_TEST(checks_come_at_the_interval_give_or_take_a_tenth)
{
    begin(STARLING_PASSING, false);
    sl_usec least = SL_NEVER, most = 0, sum = 0;
    for (unsigned i = 0; i < 1000; i++) {
        (void)passes();
        sl_usec gap = sl_check_deadline(&c) - c.began;
        least = gap < least ? gap : least;
        most = gap > most ? gap : most;
        sum += gap;
    }
    ck_assert_int_ge(least, SL_MS(1800));
    ck_assert_int_le(most, SL_MS(2200));
    ck_assert_int_lt(least, SL_MS(1820)); /* the range is used */
    ck_assert_int_gt(most, SL_MS(2180));
    ck_assert_int_gt(sum / 1000, SL_MS(1980));
    ck_assert_int_lt(sum / 1000, SL_MS(2020));
}
END_TEST

START_TEST(a_check_that_takes_too_long_is_given_up)
{
    begin(STARLING_PASSING, false);
    start();
    ck_assert_int_eq(sl_check_deadline(&c), now + rules.timeout);
    ck_assert_int_eq(sl_check_turn(&c, now + rules.timeout - 1), SL_CHECK_WAIT);
    ck_assert_int_eq(sl_check_turn(&c, now + rules.timeout), SL_CHECK_STOP);
}
END_TEST

START_TEST(a_check_slower_than_its_interval_never_overlaps_itself)
{
    rules.interval = SL_MS(100);
    rules.timeout = SL_SEC(5);
    begin(STARLING_PASSING, false);
    for (unsigned i = 0; i < 20; i++) {
        start();
        for (unsigned k = 0; k < 30; k++) {
            now += SL_MS(100);
            ck_assert_int_eq(sl_check_turn(&c, now), SL_CHECK_WAIT);
        }
        (void)sl_check_result(&c, now, &chance, STARLING_PASSING, "");
        ck_assert_int_eq(sl_check_deadline(&c), now);
    }
}
END_TEST

START_TEST(a_note_that_changes_every_time_is_not_told_every_time)
{
    char note[32];
    unsigned told = 0;
    begin(STARLING_PASSING, false);
    ck_assert(gives(STARLING_PASSING, "the first one")); /* is told at once */
    for (unsigned i = 0; i < 100; i++) { /* 200 s */
        (void)snprintf(note, sizeof note, "%u in the queue", i);
        told += gives(STARLING_PASSING, note);
    }
    ck_assert_uint_ge(told, 5);
    ck_assert_uint_le(told, 8);
}
END_TEST

START_TEST(a_renewal_lasts_as_long_as_the_interval)
{
    rules.ttl = true;
    rules.interval = SL_SEC(10);
    begin(STARLING_PASSING, false);
    for (unsigned i = 0; i < 10; i++) {
        now += SL_SEC(9);
        ck_assert_int_eq(sl_check_turn(&c, now), SL_CHECK_WAIT);
        ck_assert(!sl_check_renewed(&c, now));
    }
    now += SL_SEC(10);
    ck_assert_int_eq(sl_check_turn(&c, now), SL_CHECK_LAPSED);
    ck_assert_int_eq(c.health, STARLING_CRITICAL);
    ck_assert_str_eq(c.note, "not renewed for 10000 ms");
    ck_assert_int_eq(sl_check_deadline(&c), SL_NEVER);
    ck_assert(sl_check_renewed(&c, now));
    ck_assert_int_eq(c.health, STARLING_PASSING);
}
END_TEST

START_TEST(before_the_first_renewal_the_health_is_what_was_registered)
{
    rules.ttl = true;
    begin(STARLING_WARNING, false);
    ck_assert_int_eq(sl_check_turn(&c, now + rules.interval - 1), SL_CHECK_WAIT);
    ck_assert_int_eq(c.health, STARLING_WARNING);
    ck_assert_int_eq(sl_check_turn(&c, now + rules.interval), SL_CHECK_LAPSED);
}
END_TEST

START_TEST(notes_are_cut_between_characters_and_lose_control_characters)
{
    char long_note[200], out[STARLING_NOTE_MAX];
    memset(long_note, 'x', sizeof long_note);
    memcpy(long_note + 126, "\xc3\xa4", 3);
    sl_check_note(out, long_note);
    ck_assert_uint_eq(strlen(out), 126);
    sl_check_note(out, "two\nlines\t\r\n");
    ck_assert_str_eq(out, "two lines");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tc = tcase_create("check");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, the_first_check_is_due_at_once);
    tcase_add_test(tc, a_service_is_critical_after_as_many_failures_as_fall_says);
    tcase_add_test(tc, failures_count_only_in_a_row);
    tcase_add_test(tc, a_critical_service_rises_after_as_many_passes_as_rise_says);
    tcase_add_test(tc, a_warning_counts_towards_rising_and_is_told_at_once);
    tcase_add_test(tc, a_held_service_is_let_go_by_its_first_pass);
    tcase_add_test(tc, a_held_service_is_asked_more_often_until_it_passes);
    tcase_add_test(tc, checks_come_at_the_interval_give_or_take_a_tenth);
    tcase_add_test(tc, a_check_that_takes_too_long_is_given_up);
    tcase_add_test(tc, a_check_slower_than_its_interval_never_overlaps_itself);
    tcase_add_test(tc, a_note_that_changes_every_time_is_not_told_every_time);
    tcase_add_test(tc, a_renewal_lasts_as_long_as_the_interval);
    tcase_add_test(tc, before_the_first_renewal_the_health_is_what_was_registered);
    tcase_add_test(tc, notes_are_cut_between_characters_and_lose_control_characters);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
