/* test_probe.c: refused, open and silent, as the kernel tells them. */
#include "node/probe.h"
#include "tests/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sl_probes p;

static void setup(void)
{
    sl_probes_init(&p);
}

static void teardown(void)
{
    sl_probes_fini(&p);
}

static sl_usec now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return SL_SEC(t.tv_sec) + t.tv_nsec / 1000;
}

/* A loopback socket; listening or merely bound, so that nobody else gets its port. */
static int bound(bool listening, struct sl_addr *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    if (listening)
        ck_assert_int_eq(listen(fd, 128), 0);
    *ret = (struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = ntohs(in.sin_port)};
    return fd;
}

static enum sl_probe_result answer_to(uint64_t number)
{
    uint64_t got;
    enum sl_probe_result result;
    sl_usec end = now() + SL_SEC(5);
    while (!sl_probes_next(&p, now(), &got, &result)) {
        struct pollfd fds[SL_PROBES_MAX];
        size_t n = sl_probes_poll(&p, fds, SL_PROBES_MAX);
        ck_assert_msg(now() < end, "no answer within five seconds");
        (void)poll(fds, (nfds_t)n, 50);
    }
    ck_assert_uint_eq(got, number);
    return result;
}

START_TEST(a_listener_is_open)
{
    struct sl_addr addr;
    int fd = bound(true, &addr);
    sl_probes_start(&p, now(), 7, &addr);
    ck_assert_int_eq(answer_to(7), SL_PROBE_OPEN);
    (void)close(fd);
}
END_TEST

START_TEST(a_port_without_a_listener_refuses)
{
    struct sl_addr addr;
    int fd = bound(false, &addr);
    sl_probes_start(&p, now(), 8, &addr);
    ck_assert_int_eq(answer_to(8), SL_PROBE_REFUSED);
    (void)close(fd);
}
END_TEST

START_TEST(an_address_that_cannot_be_dialled_is_silent)
{
    struct sl_addr nowhere = {0};
    sl_probes_start(&p, now(), 9, &nowhere);
    ck_assert_int_eq(sl_probes_deadline(&p), 0);
    ck_assert_int_eq(answer_to(9), SL_PROBE_SILENT);
}
END_TEST

START_TEST(what_does_not_answer_in_time_is_silent)
{
    /* A listener whose backlog is full drops what comes. */
    struct sl_addr addr;
    int fd = bound(true, &addr), fill[4];
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(addr.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(listen(fd, 0), 0);
    for (size_t i = 0; i < SL_COUNT(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&in, sizeof in);
    }
    sl_usec start = now();
    uint64_t number;
    enum sl_probe_result result;
    sl_probes_start(&p, start, 10, &addr);
    ck_assert(!sl_probes_next(&p, start, &number, &result));
    ck_assert_int_eq(sl_probes_deadline(&p), start + SL_PROBE_TIMEOUT);
    ck_assert(sl_probes_next(&p, start + SL_PROBE_TIMEOUT, &number, &result));
    ck_assert_int_eq(result, SL_PROBE_SILENT);
    for (size_t i = 0; i < SL_COUNT(fill); i++)
        (void)close(fill[i]);
    (void)close(fd);
}
END_TEST

START_TEST(every_probe_gets_its_answer_also_in_a_crowd)
{
    struct sl_addr addr;
    int fd = bound(false, &addr);
    bool told[SL_PROBES_MAX + 10] = {false};
    for (uint64_t i = 0; i < SL_COUNT(told); i++)
        sl_probes_start(&p, now(), i, &addr);
    uint64_t number;
    enum sl_probe_result result;
    size_t n = 0;
    sl_usec end = now() + SL_SEC(5);
    while (n < SL_COUNT(told) && now() < end) {
        if (sl_probes_next(&p, now(), &number, &result)) {
            ck_assert(!told[number]);
            told[number] = true;
            n++;
        }
    }
    ck_assert_uint_eq(n, SL_COUNT(told));
    ck_assert_int_eq(sl_probes_deadline(&p), SL_NEVER);
    (void)close(fd);
}
END_TEST

START_TEST(without_a_descriptor_the_answer_is_silence_at_once)
{
    struct rlimit old, none = {0};
    struct sl_addr addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = 1};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none.rlim_max = old.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    sl_probes_start(&p, now(), 11, &addr);
    uint64_t number = 0;
    enum sl_probe_result result = SL_PROBE_OPEN;
    bool answered = sl_probes_next(&p, now(), &number, &result);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert(answered);
    ck_assert_uint_eq(number, 11);
    ck_assert_int_eq(result, SL_PROBE_SILENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe");
    TCase *c = tcase_create("probe");
    tcase_set_timeout(c, 20);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_listener_is_open);
    tcase_add_test(c, a_port_without_a_listener_refuses);
    tcase_add_test(c, an_address_that_cannot_be_dialled_is_silent);
    tcase_add_test(c, what_does_not_answer_in_time_is_silent);
    tcase_add_test(c, every_probe_gets_its_answer_also_in_a_crowd);
    tcase_add_test(c, without_a_descriptor_the_answer_is_silence_at_once);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
