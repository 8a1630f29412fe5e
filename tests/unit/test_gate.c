/* test_gate.c: who comes too often is turned away by the kernel, and nobody else is. Time is told; what the
 * kernel does with a connection on loopback it has done when connect() returns. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <starling.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "node/gate.h"
#include "tests/suite.h"

static struct sl_gate gate;
static int listener;
static struct sl_addr bound;
static sl_usec now;
static struct sl_addr known[4];
static size_t n_known;
static const struct sl_log silent;

static struct sl_addr addr(const char *text)
{
    struct sl_addr a;
    ck_assert_int_eq(sl_addr_parse(&a, text, strlen(text), 1), 0);
    return a;
}

static void open_at(const char *text)
{
    struct sl_addr at = addr(text);
    int r = sl_gate_open(&gate, &at, &silent, &listener, &bound);
    ck_assert_msg(r == 0, "open: %d, %s", r, sl_fail_text());
    ck_assert_int_ge(gate.sink, 0);
}

static void setup(void)
{
    now = SL_SEC(1000);
    n_known = 0;
    open_at("127.0.0.1:0");
}

static void teardown(void)
{
    sl_gate_close(&gate);
    close(listener);
}

static void turn(void)
{
    if (sl_gate_turn(&gate, now))
        sl_gate_set(&gate, known, n_known);
}

static void come(const char *from, unsigned times, bool is_known)
{
    struct sl_addr a = addr(from);
    for (unsigned i = 0; i < times; i++)
        sl_gate_came(&gate, now, &a, is_known);
    turn();
}

/* Half a minute in which nobody comes. */
static void calm_down(void)
{
    for (int i = 0; i < 600; i++) {
        now += SL_MS(50);
        turn();
    }
}

static socklen_t sockaddr_of(struct sockaddr_storage *s, const char *ip, uint16_t port)
{
    struct sockaddr_in *v4 = (void *)s;
    struct sockaddr_in6 *v6 = (void *)s;
    memset(s, 0, sizeof *s);
    if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof *v6;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET, ip, &v4->sin_addr), 1);
    return sizeof *v4;
}

/* Of so many connections from there, how many reach who listens? */
static unsigned arrive(const char *from, const char *to, unsigned times)
{
    unsigned n = 0;
    for (unsigned i = 0; i < times; i++) {
        struct sockaddr_storage s;
        socklen_t len = sockaddr_of(&s, from, 0);
        int fd = socket(s.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), got;
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&s, len), 0);
        len = sockaddr_of(&s, to, bound.port);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&s, len), 0);
        while ((got = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
            n++;
            close(got);
        }
        while ((got = accept4(gate.sink, NULL, NULL, SOCK_CLOEXEC)) >= 0)
            close(got);
        close(fd);
    }
    return n;
}

START_TEST(everybody_comes_through_while_nobody_comes_too_often)
{
    come("127.0.0.9:1", SL_GATE_BURST, false);
    ck_assert_uint_eq(gate.n_busy, 0);
    ck_assert_uint_eq(arrive("127.0.0.9", "127.0.0.1", 50), 50);
}
END_TEST

START_TEST(who_comes_too_often_is_mostly_turned_away_and_nobody_else_is)
{
    come("127.0.0.9:1", SL_GATE_BURST + 1, false);
    ck_assert_uint_eq(gate.n_busy, 1);
    unsigned n = arrive("127.0.0.9", "127.0.0.1", 400);
    ck_assert_msg(n > 4 && n < 80, "%u of 400 came through, where 25 should", n);
    ck_assert_uint_eq(arrive("127.0.0.8", "127.0.0.1", 50), 50);
}
END_TEST

START_TEST(who_is_calm_again_comes_through_again)
{
    come("127.0.0.9:1", SL_GATE_BURST + 1, false);
    calm_down();
    ck_assert_uint_eq(gate.n_busy, 0);
    ck_assert_uint_eq(arrive("127.0.0.9", "127.0.0.1", 50), 50);
}
END_TEST

START_TEST(who_comes_through_too_often_still_is_held_harder)
{
    come("127.0.0.9:1", SL_GATE_BURST + 1, false);
    for (int i = 0; i < 20; i++) { /* a thousand a second */
        now += SL_MS(200);
        come("127.0.0.9:1", 200, false);
    }
    unsigned n = arrive("127.0.0.9", "127.0.0.1", 400);
    ck_assert_msg(n <= 4, "%u of 400 came through", n);
    calm_down();
    ck_assert_uint_eq(gate.n_busy, 0);
}
END_TEST

START_TEST(a_pace_that_is_allowed_is_never_held)
{
    for (int i = 0; i < 600; i++) {
        now += SL_MS(100);
        come("127.0.0.9:1", SL_GATE_PER_SECOND / 10, false);
        ck_assert_uint_eq(gate.n_busy, 0);
    }
}
END_TEST

START_TEST(many_addresses_together_are_held_and_those_we_have_links_with_are_not)
{
    known[0] = addr("127.0.0.1:1");
    n_known = 1;
    for (unsigned i = 0; i <= SL_GATE_ALL_BURST; i++) {
        char from[32];
        snprintf(from, sizeof from, "127.1.%u.%u:1", i / 250, 1 + i % 250);
        come(from, 1, false);
    }
    ck_assert_uint_eq(gate.n_busy, 1);
    ck_assert_uint_gt(gate.all.shift, 0);
    unsigned n = arrive("127.0.0.7", "127.0.0.1", 400);
    ck_assert_msg(n > 4 && n < 80, "%u of 400 strangers came through, where 25 should", n);
    ck_assert_uint_eq(arrive("127.0.0.1", "127.0.0.1", 50), 50);
    calm_down();
    ck_assert_uint_eq(arrive("127.0.0.7", "127.0.0.1", 50), 50);
}
END_TEST

START_TEST(a_busy_address_is_not_forgotten_for_a_thousand_quiet_ones)
{
    come("127.0.0.9:1", SL_GATE_BURST + 1, true);
    for (unsigned i = 0; i < 1000; i++) {
        char from[32];
        snprintf(from, sizeof from, "127.1.%u.%u:1", i / 250, 1 + i % 250);
        come(from, 1, true);
    }
    ck_assert_uint_eq(gate.n_busy, 1);
    ck_assert_uint_lt(arrive("127.0.0.9", "127.0.0.1", 400), 80);
}
END_TEST

START_TEST(all_busy_addresses_that_are_kept_in_mind_fit_into_one_filter)
{
    for (unsigned i = 0; i < SL_GATE_SOURCES + 10; i++) {
        char from[32];
        snprintf(from, sizeof from, "[2001:db8:%x::1]:1", i + 1);
        come(from, SL_GATE_BURST + 1, true);
    }
    ck_assert_uint_eq(gate.n_busy, SL_GATE_SOURCES);
    ck_assert_int_ge(gate.sink, 0);
    ck_assert_uint_eq(arrive("127.0.0.8", "127.0.0.1", 50), 50);
}
END_TEST

START_TEST(a_shut_gate_lets_nobody_in_until_it_is_opened)
{
    sl_gate_shut(&gate, true);
    turn();
    ck_assert_uint_eq(arrive("127.0.0.8", "127.0.0.1", 20), 0);
    sl_gate_shut(&gate, false);
    turn();
    ck_assert_uint_eq(arrive("127.0.0.8", "127.0.0.1", 20), 20);
}
END_TEST

START_TEST(over_ipv6_a_network_is_held_as_one_and_ipv4_apart_from_it)
{
    teardown();
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool here = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    if (fd >= 0)
        close(fd);
    if (!here) {
        setup();
        return; /* this host has none */
    }
    open_at("[::]:0");
    come("[::2]:1", SL_GATE_BURST / 2 + 1, false);
    come("[::3]:1", SL_GATE_BURST / 2, false);
    unsigned n = arrive("::1", "::1", 400);
    ck_assert_msg(n > 4 && n < 80, "%u of 400 came through, where 25 should", n);
    ck_assert_uint_eq(arrive("127.0.0.9", "127.0.0.1", 50), 50);
    come("[::ffff:127.0.0.9]:1", SL_GATE_BURST + 1, false); /* as it is seen on such a socket */
    ck_assert_uint_lt(arrive("127.0.0.9", "127.0.0.1", 400), 80);
    ck_assert_uint_eq(arrive("127.0.0.8", "127.0.0.1", 50), 50);
}
END_TEST

START_TEST(an_address_in_use_is_refused_although_its_port_is_shared)
{
    struct sl_gate second;
    struct sl_addr other;
    int fd;
    ck_assert_int_eq(sl_gate_open(&second, &bound, &silent, &fd, &other), STARLING_EUNAVAIL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "in use"));
}
END_TEST

START_TEST(what_was_turned_away_is_closed_and_counted)
{
    struct sockaddr_storage s;
    char c;
    sl_gate_shut(&gate, true);
    turn();
    socklen_t len = sockaddr_of(&s, "127.0.0.1", bound.port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&s, len), 0);
    now = sl_gate_deadline(&gate);
    turn();
    ck_assert_int_lt((int)recv(fd, &c, 1, 0), 0); /* reset, and at once */
    ck_assert_uint_eq(gate.turned_away, 1);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate");
    TCase *t = tcase_create("gate");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, everybody_comes_through_while_nobody_comes_too_often);
    tcase_add_test(t, who_comes_too_often_is_mostly_turned_away_and_nobody_else_is);
    tcase_add_test(t, who_is_calm_again_comes_through_again);
    tcase_add_test(t, who_comes_through_too_often_still_is_held_harder);
    tcase_add_test(t, a_pace_that_is_allowed_is_never_held);
    tcase_add_test(t, many_addresses_together_are_held_and_those_we_have_links_with_are_not);
    tcase_add_test(t, a_busy_address_is_not_forgotten_for_a_thousand_quiet_ones);
    tcase_add_test(t, all_busy_addresses_that_are_kept_in_mind_fit_into_one_filter);
    tcase_add_test(t, a_shut_gate_lets_nobody_in_until_it_is_opened);
    tcase_add_test(t, over_ipv6_a_network_is_held_as_one_and_ipv4_apart_from_it);
    tcase_add_test(t, an_address_in_use_is_refused_although_its_port_is_shared);
    tcase_add_test(t, what_was_turned_away_is_closed_and_counted);
    suite_add_tcase(s, t);
    return run_suite(s);
}
