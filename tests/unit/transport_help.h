/* transport_help.h: transports on loopback, and clients that are none, for the tests of both. Time
 * that the transport is told can be moved on or stopped, so that no test waits for a time-out; what
 * libzmq and the kernel do takes real time, and is waited for as a state with a deadline. */
#ifndef TESTS_UNIT_TRANSPORT_HELP_H
#define TESTS_UNIT_TRANSPORT_HELP_H

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "node/transport.h"
#include "tests/suite.h"

#define HEARD_MAX 8192
#define SIDES_MAX 4

struct side {
    struct sl_identity identity;
    struct sl_transport *t;
    struct sl_addr addr;
    bool admits; /* whoever is accepted, with its first message */
    struct {
        enum sl_heard_type type;
        sl_link link;
        uint8_t c_d[SL_KEY_LEN];
        char text[64];
        size_t len;
    } heard[HEARD_MAX];
    size_t n;
};

static struct side *sides[SIDES_MAX];
static size_t n_sides;
static sl_usec skipped, stopped_at;
static sl_link next_link;
static uint8_t door_public[32], door_secret[32], second_door_public[32];
static bool two_doors;
static const struct sl_log silent;
static void *raw_context; /* of clients that are no transports */
static void *raw[64];
static size_t n_raw;

static inline sl_usec real_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return SL_SEC(ts.tv_sec) + ts.tv_nsec / 1000;
}

static inline sl_usec now(void)
{
    return stopped_at != 0 ? stopped_at : real_now() + skipped;
}

/* For what must not depend on how fast the machine is: time passes by skip() alone, until the clock
 * is started again. */
static inline void stop_the_clock(void)
{
    stopped_at = now();
}

static inline void start_the_clock(void)
{
    if (stopped_at > real_now() + skipped)
        skipped = stopped_at - real_now();
    stopped_at = 0;
}

static inline void skip(sl_usec span)
{
    if (stopped_at != 0)
        stopped_at += span;
    else
        skipped += span;
}

/* ---- the world -------------------------------------------------------------------------- */

static inline struct side *open_side_at(const char *listen)
{
    struct side *s = calloc(1, sizeof *s);
    struct sl_addr at;
    ck_assert_int_eq(sl_addr_parse(&at, listen, strlen(listen), 0), 0);
    memcpy(s->identity.bundle.door_public, door_public, 32);
    memcpy(s->identity.bundle.second_door_public, second_door_public, 32);
    s->identity.bundle.two_doors = two_doors;
    memcpy(s->identity.door_secret, door_secret, 32);
    crypto_box_keypair(s->identity.dial_public, s->identity.dial_secret);
    int r = sl_transport_open(&at, &s->identity, &sl_alloc_system, &silent, &s->t, &s->addr);
    ck_assert_msg(r == 0, "open failed: %d, %s", r, sl_fail_text());
    s->admits = true;
    sides[n_sides++] = s;
    return s;
}

static inline struct side *open_side(void)
{
    return open_side_at("127.0.0.1:0");
}

static inline void close_side(struct side *s)
{
    for (size_t i = 0; i < n_sides; i++) {
        if (sides[i] == s)
            sides[i] = sides[--n_sides];
    }
    sl_transport_close(s->t);
    free(s);
}

static inline void setup(void)
{
    ck_assert_int_eq(sl_crypto_setup(), 0);
    crypto_box_keypair(door_public, door_secret);
    two_doors = false;
    n_sides = 0;
    skipped = stopped_at = 0;
    next_link = 1;
}

static inline void teardown(void)
{
    while (n_sides > 0)
        close_side(sides[0]);
    while (n_raw > 0)
        zmq_close(raw[--n_raw]);
    if (raw_context != NULL)
        zmq_ctx_term(raw_context);
    raw_context = NULL;
}

static inline void hear(struct side *s)
{
    struct sl_heard h;
    const size_t first = s->n;
    sl_transport_turn(s->t, now());
    while (sl_transport_next(s->t, now(), &h)) {
        ck_assert_uint_lt(s->n, HEARD_MAX);
        s->heard[s->n].type = h.type;
        s->heard[s->n].link = h.link;
        memcpy(s->heard[s->n].c_d, h.c_d, SL_KEY_LEN);
        s->heard[s->n].len = h.bytes.len;
        size_t len =
            h.bytes.len < sizeof s->heard[0].text ? h.bytes.len : sizeof s->heard[0].text - 1;
        if (len > 0)
            memcpy(s->heard[s->n].text, h.bytes.p, len);
        s->heard[s->n++].text[len] = '\0';
    }
    /* Like the core, which answers after it has heard all there is. */
    for (size_t i = first; i < s->n && s->admits; i++) {
        if (s->heard[i].type == SL_HEARD_ACCEPT)
            sl_transport_admit(s->t, s->heard[i].link);
    }
}

/* Everybody takes a turn when something arrives, or after 20 ms. */
static inline void turn_all(void)
{
    zmq_pollitem_t items[SIDES_MAX * SL_TRANSPORT_POLL_MAX];
    size_t n = 0;
    for (size_t i = 0; i < n_sides; i++)
        n += sl_transport_poll_items(sides[i]->t, items + n);
    long wait_ms = 20;
    for (size_t i = 0; i < n_sides; i++) {
        sl_usec left = sl_transport_deadline(sides[i]->t) - now();
        if (left < SL_MS(20))
            wait_ms = left < 0                            ? 0
                      : (long)(left / 1000 + 1) < wait_ms ? (long)(left / 1000 + 1)
                                                          : wait_ms;
    }
    (void)zmq_poll(items, (int)n, wait_ms);
    for (size_t i = 0; i < n_sides; i++)
        hear(sides[i]);
}

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        sl_usec until_ = real_now() + SL_SEC(20);                                                  \
        while (!(condition) && real_now() < until_)                                                \
            turn_all();                                                                            \
        ck_assert_msg(condition, "not within 20 s: " #condition);                                  \
    } while (0)

/* Index + 1 of the first such thing heard; 0 = none. link 0 and text NULL match all. */
static inline size_t heard(const struct side *s, enum sl_heard_type type, sl_link link,
                           const char *text)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->heard[i].type == type && (link == 0 || s->heard[i].link == link) &&
            (text == NULL || strcmp(s->heard[i].text, text) == 0))
            return i + 1;
    }
    return 0;
}

static inline struct sl_transport_stats stats(const struct side *s)
{
    struct sl_transport_stats st;
    sl_transport_stats(s->t, &st);
    return st;
}

static inline sl_link dial(struct side *from, const struct sl_addr *to)
{
    sl_link link = next_link;
    next_link += 2;
    sl_transport_dial(from->t, now(), link, to);
    return link;
}

static inline bool say(struct side *s, sl_link link, const char *text)
{
    return sl_transport_send(s->t, link, sl_span_of(text, strlen(text)));
}

struct pair {
    sl_link at_dialler, at_acceptor;
};

/* A link from a to b over which b has heard `text`. An address rests between two dials, so this may
 * take more than one. */
static inline struct pair meet(struct side *a, struct side *b, const char *text)
{
    struct pair p;
    sl_usec until = real_now() + SL_SEC(20);
    do {
        p.at_dialler = dial(a, &b->addr);
        (void)say(a, p.at_dialler, text);
        UNTIL(heard(b, SL_HEARD_BYTES, 0, text) || heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
        if (!heard(b, SL_HEARD_BYTES, 0, text))
            (void)zmq_poll(NULL, 0, 10);
    } while (!heard(b, SL_HEARD_BYTES, 0, text) && real_now() < until);
    ck_assert_msg(heard(b, SL_HEARD_BYTES, 0, text), "'%s' was never heard", text);
    p.at_acceptor = b->heard[heard(b, SL_HEARD_BYTES, 0, text) - 1].link;
    return p;
}

static inline struct sl_addr closed_port(const char *host)
{
    struct side *s = open_side_at(host);
    struct sl_addr addr = s->addr;
    close_side(s);
    return addr;
}

static inline int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static inline void tcp_connect(int fd, const struct sl_addr *to)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    memcpy(&a.sin_addr, to->ip, 4);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
}

static inline int tcp(const struct sl_addr *to)
{
    int fd = tcp_socket();
    tcp_connect(fd, to);
    return fd;
}

static inline bool has_ended(int fd)
{
    char c[256];
    ssize_t n;
    while ((n = recv(fd, c, sizeof c, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}

static inline unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* A client of libzmq's own that holds the door but is no transport. A `stubborn` one connects again
 * until it is let in. Closed at the end of the test at the latest. */
static inline void *raw_open(const struct side *to, bool stubborn, const char *routing_id,
                             size_t routing_id_len)
{
    if (raw_context == NULL)
        raw_context = zmq_ctx_new();
    void *c = zmq_socket(raw_context, ZMQ_DEALER);
    uint8_t pk[32], sk[32];
    int zero = 0, ivl = stubborn ? 100 : -1;
    char text[SL_ADDR_TEXT], endpoint[SL_ADDR_TEXT + 8];
    crypto_box_keypair(pk, sk);
    zmq_setsockopt(c, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(c, ZMQ_RECONNECT_IVL, &ivl, sizeof ivl);
    zmq_setsockopt(c, ZMQ_CURVE_PUBLICKEY, pk, 32);
    zmq_setsockopt(c, ZMQ_CURVE_SECRETKEY, sk, 32);
    zmq_setsockopt(c, ZMQ_CURVE_SERVERKEY, door_public, 32);
    if (routing_id != NULL)
        ck_assert_int_eq(zmq_setsockopt(c, ZMQ_ROUTING_ID, routing_id, routing_id_len), 0);
    sl_addr_format(text, &to->addr);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", text);
    ck_assert_int_eq(zmq_connect(c, endpoint), 0);
    ck_assert_uint_lt(n_raw, SL_COUNT(raw));
    raw[n_raw++] = c;
    return c;
}

static inline void raw_close(void *c)
{
    for (size_t i = 0; i < n_raw; i++) {
        if (raw[i] == c)
            raw[i] = raw[--n_raw];
    }
    zmq_close(c);
}

/* Run one case of tests, with a transport-free world around each. */
static inline int run_case(const char *name, void (*add)(TCase *t))
{
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    add(t);
    suite_add_tcase(s, t);
    return run_suite(s);
}

#endif
