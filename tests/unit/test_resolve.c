/* test_resolve.c: numbers at once, names without waiting, and again for ever.
 * No name server is asked: "localhost" is in the hosts file or built in, and "x.invalid" may or
 * may not be answered by whoever is there (RFC 6761), but never with an address. */
#include "node/resolve.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/crypto.h"
#include "tests/suite.h"

static struct sl_resolver *r;
static unsigned n_found;
static struct sl_addr last;
static unsigned n_lines;
static char line_seen[256];

static void on_found(void *context, const struct sl_addr *addr)
{
    ck_assert_ptr_eq(context, &n_found);
    n_found++;
    last = *addr;
}

static void on_line(void *context, int level, const char *line)
{
    (void)context;
    if (level > SL_WARNING)
        return;
    n_lines++;
    (void)snprintf(line_seen, sizeof line_seen, "%s", line);
}

static const struct sl_log log_port = {.write = on_line, .level = SL_DEBUG};

static void open_with(const char *host, uint16_t port)
{
    struct sl_seed seed = {.port = port};
    (void)snprintf(seed.host, sizeof seed.host, "%s", host);
    n_found = n_lines = 0;
    ck_assert_int_eq(sl_resolver_new(&seed, 1, &sl_alloc_system, &log_port, on_found, &n_found, &r),
                     0);
}

static void teardown(void)
{
    sl_resolver_free(r);
    r = NULL;
}

static sl_usec now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return SL_SEC(t.tv_sec) + t.tv_nsec / 1000;
}

/* Turn, with `ahead` added to the clock, until the condition holds. */
static void turn_until(const unsigned *count, unsigned n, sl_usec ahead)
{
    sl_usec end = now() + SL_SEC(30);
    for (;;) {
        struct pollfd fds[SL_RESOLVER_POLL_MAX];
        size_t n_fds = sl_resolver_poll(r, fds, SL_RESOLVER_POLL_MAX);
        (void)poll(fds, (nfds_t)n_fds, n_fds > 0 ? 50 : 0);
        sl_resolver_turn(r, now() + ahead, fds, n_fds);
        if (*count >= n)
            return;
        ck_assert_msg(now() < end, "not seen within 30 seconds");
    }
}

START_TEST(a_numeric_seed_is_told_at_the_first_turn_and_once)
{
    open_with("10.0.0.1", 7700);
    ck_assert_int_eq(sl_resolver_deadline(r), 0);
    sl_resolver_turn(r, 1, NULL, 0);
    ck_assert_uint_eq(n_found, 1);
    ck_assert_uint_eq(last.port, 7700);
    sl_resolver_turn(r, SL_SEC(1000), NULL, 0);
    ck_assert_uint_eq(n_found, 1);
    ck_assert_int_eq(sl_resolver_deadline(r), SL_NEVER);
}
END_TEST

START_TEST(localhost_is_resolved_with_its_port)
{
    open_with("localhost", 7712);
    turn_until(&n_found, 1, 0);
    ck_assert(sl_addr_is_loopback(&last));
    ck_assert_uint_eq(last.port, 7712);
    ck_assert_uint_eq(n_lines, 0);
}
END_TEST

START_TEST(a_name_is_asked_again)
{
    open_with("localhost", 7712);
    turn_until(&n_found, 1, 0);
    sl_resolver_turn(r, now(), NULL, 0);
    unsigned before = n_found;
    ck_assert_int_gt(sl_resolver_deadline(r), now());
    turn_until(&n_found, before + 1, SL_SEC(60));
    ck_assert_uint_gt(n_found, before);
}
END_TEST

START_TEST(a_name_that_leads_nowhere_is_told_once)
{
    open_with("x.invalid", 7700);
    turn_until(&n_lines, 1, 0);
    ck_assert_ptr_nonnull(strstr(line_seen, "x.invalid"));
    ck_assert_uint_eq(n_found, 0);
    ck_assert_uint_eq(n_lines, 1);
}
END_TEST

START_TEST(a_resolver_can_be_freed_in_the_middle_of_a_question)
{
    open_with("x.invalid", 7700);
    sl_resolver_turn(r, now(), NULL, 0);
    sl_resolver_free(r);
    r = NULL;
    ck_assert_uint_eq(n_found, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *c = tcase_create("resolve");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, a_numeric_seed_is_told_at_the_first_turn_and_once);
    tcase_add_test(c, localhost_is_resolved_with_its_port);
    tcase_add_test(c, a_name_is_asked_again);
    tcase_add_test(c, a_name_that_leads_nowhere_is_told_once);
    tcase_add_test(c, a_resolver_can_be_freed_in_the_middle_of_a_question);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
