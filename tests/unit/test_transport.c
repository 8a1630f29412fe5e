/* test_transport.c: transports on loopback, among them peers that do not keep to the rules. Time
 * that the transport is told can be moved on or stopped, so that no test waits for a time-out; what
 * libzmq and the kernel do takes real time, and is waited for as a state with a deadline. */
#include "node/transport.h"

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
static uint8_t door_public[32], door_secret[32];
static const struct sl_log silent;
static void *raw_context; /* of clients that are no transports */

static sl_usec real_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return SL_SEC(ts.tv_sec) + ts.tv_nsec / 1000;
}

static sl_usec now(void)
{
    return stopped_at != 0 ? stopped_at : real_now() + skipped;
}

/* For what must not depend on how fast the machine is: time passes by skip() alone, until the clock
 * is started again. */
static void stop_the_clock(void)
{
    stopped_at = now();
}

static void start_the_clock(void)
{
    if (stopped_at > real_now() + skipped)
        skipped = stopped_at - real_now();
    stopped_at = 0;
}

static void skip(sl_usec span)
{
    if (stopped_at != 0)
        stopped_at += span;
    else
        skipped += span;
}

/* ---- the world -------------------------------------------------------------------------- */

static struct side *open_side_at(const char *listen)
{
    struct side *s = calloc(1, sizeof *s);
    struct sl_addr at;
    ck_assert_int_eq(sl_addr_parse(&at, listen, strlen(listen), 0), 0);
    memcpy(s->identity.bundle.door_public, door_public, 32);
    memcpy(s->identity.door_secret, door_secret, 32);
    crypto_box_keypair(s->identity.dial_public, s->identity.dial_secret);
    int r = sl_transport_open(&at, &s->identity, &sl_alloc_system, &silent, &s->t, &s->addr);
    ck_assert_msg(r == 0, "open failed: %d, %s", r, sl_fail_text());
    s->admits = true;
    sides[n_sides++] = s;
    return s;
}

static struct side *open_side(void)
{
    return open_side_at("127.0.0.1:0");
}

static void close_side(struct side *s)
{
    for (size_t i = 0; i < n_sides; i++) {
        if (sides[i] == s)
            sides[i] = sides[--n_sides];
    }
    sl_transport_close(s->t);
    free(s);
}

static void setup(void)
{
    ck_assert_int_eq(sl_crypto_setup(), 0);
    crypto_box_keypair(door_public, door_secret);
    n_sides = 0;
    skipped = stopped_at = 0;
    next_link = 1;
}

static void teardown(void)
{
    while (n_sides > 0)
        close_side(sides[0]);
    if (raw_context != NULL)
        zmq_ctx_term(raw_context);
    raw_context = NULL;
}

static void hear(struct side *s)
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
static void turn_all(void)
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
static size_t heard(const struct side *s, enum sl_heard_type type, sl_link link, const char *text)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->heard[i].type == type && (link == 0 || s->heard[i].link == link) &&
            (text == NULL || strcmp(s->heard[i].text, text) == 0))
            return i + 1;
    }
    return 0;
}

static struct sl_transport_stats stats(const struct side *s)
{
    struct sl_transport_stats st;
    sl_transport_stats(s->t, &st);
    return st;
}

static sl_link dial(struct side *from, const struct sl_addr *to)
{
    sl_link link = next_link;
    next_link += 2;
    sl_transport_dial(from->t, now(), link, to);
    return link;
}

static bool say(struct side *s, sl_link link, const char *text)
{
    return sl_transport_send(s->t, link, sl_span_of(text, strlen(text)));
}

struct pair {
    sl_link at_dialler, at_acceptor;
};

/* A link from a to b over which b has heard `text`. An address rests between two dials, so this may
 * take more than one. */
static struct pair meet(struct side *a, struct side *b, const char *text)
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

static struct sl_addr closed_port(const char *host)
{
    struct side *s = open_side_at(host);
    struct sl_addr addr = s->addr;
    close_side(s);
    return addr;
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void tcp_connect(int fd, const struct sl_addr *to)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    memcpy(&a.sin_addr, to->ip, 4);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
}

static int tcp(const struct sl_addr *to)
{
    int fd = tcp_socket();
    tcp_connect(fd, to);
    return fd;
}

static bool has_ended(int fd)
{
    char c[256];
    ssize_t n;
    while ((n = recv(fd, c, sizeof c, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* A client of libzmq's own that holds the door but is no transport. */

static void *raw_open(const struct side *to, const char *routing_id, size_t routing_id_len)
{
    if (raw_context == NULL)
        raw_context = zmq_ctx_new();
    void *c = zmq_socket(raw_context, ZMQ_DEALER);
    uint8_t pk[32], sk[32];
    int zero = 0, ivl = -1;
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
    return c;
}

/* ---- what members do -------------------------------------------------------------------- */

START_TEST(an_accepted_link_is_announced_with_the_diallers_key_before_its_first_message)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "hello");
    ck_assert_uint_eq(b->n, 2);
    ck_assert_int_eq(b->heard[0].type, SL_HEARD_ACCEPT);
    ck_assert_uint_eq(b->heard[0].link, p.at_acceptor);
    ck_assert_uint_eq(p.at_acceptor % 2, 0);
    ck_assert_mem_eq(b->heard[0].c_d, a->identity.dial_public, SL_KEY_LEN);
}
END_TEST

START_TEST(bytes_go_both_ways_in_order)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "there %d", i);
        ck_assert(say(a, p.at_dialler, text));
        snprintf(text, sizeof text, "back %d", i);
        ck_assert(say(b, p.at_acceptor, text));
    }
    UNTIL(heard(a, SL_HEARD_BYTES, p.at_dialler, "back 49"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "there 49"));
    for (int i = 1; i < 50; i++) {
        char one[32], next[32];
        snprintf(one, sizeof one, "there %d", i - 1);
        snprintf(next, sizeof next, "there %d", i);
        ck_assert_uint_lt(heard(b, SL_HEARD_BYTES, 0, one), heard(b, SL_HEARD_BYTES, 0, next));
    }
}
END_TEST

START_TEST(the_largest_frame_arrives_whole_and_a_larger_one_is_not_sent)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    uint8_t *big = calloc(1, SL_FRAME_MAX + 1);
    ck_assert(!sl_transport_send(a->t, p.at_dialler, sl_span_of(big, SL_FRAME_MAX + 1)));
    ck_assert(sl_transport_send(a->t, p.at_dialler, sl_span_of(big, SL_FRAME_MAX)));
    free(big);
    UNTIL(b->n == 3);
    ck_assert_uint_eq(b->heard[2].len, SL_FRAME_MAX);
}
END_TEST

START_TEST(two_links_in_opposite_directions_do_not_mix)
{
    struct side *a = open_side(), *b = open_side();
    struct pair ab = meet(a, b, "from a");
    struct pair ba = meet(b, a, "from b");
    ck_assert(say(a, ba.at_acceptor, "answer of a"));
    ck_assert(say(b, ab.at_acceptor, "answer of b"));
    UNTIL(heard(a, SL_HEARD_BYTES, ab.at_dialler, "answer of b"));
    UNTIL(heard(b, SL_HEARD_BYTES, ba.at_dialler, "answer of a"));
}
END_TEST

START_TEST(links_go_over_ipv6_as_well)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool here = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    if (fd >= 0)
        close(fd);
    if (!here)
        return; /* this host has none */
    struct side *a = open_side_at("[::1]:0"), *b = open_side_at("[::1]:0");
    struct pair p = meet(a, b, "hello");
    ck_assert(say(b, p.at_acceptor, "back"));
    UNTIL(heard(a, SL_HEARD_BYTES, p.at_dialler, "back"));
    struct sl_addr nobody = closed_port("[::1]:0");
    sl_link refused = dial(a, &nobody);
    UNTIL(heard(a, SL_HEARD_REFUSED, refused, NULL));
    sl_transport_cut(b->t, p.at_acceptor);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------- */

START_TEST(when_the_acceptor_closes_the_dialler_hears_that_the_link_is_down)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    close_side(b);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    ck_assert(!say(a, p.at_dialler, "too late"));
}
END_TEST

START_TEST(when_the_dialler_closes_the_acceptor_hears_that_the_link_is_down)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    close_side(a);
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    ck_assert(!say(b, p.at_acceptor, "too late"));
}
END_TEST

START_TEST(a_cut_by_the_dialler_ends_the_link_at_the_acceptor_alone)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    sl_transport_cut(a->t, p.at_dialler);
    ck_assert(!say(a, p.at_dialler, "too late"));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    ck_assert(!heard(a, SL_HEARD_DOWN, 0, NULL));
}
END_TEST

START_TEST(one_accepted_peer_is_cut_and_the_others_stay)
{
    struct side *a = open_side(), *b = open_side(), *c = open_side();
    struct pair ac = meet(a, c, "from a"), bc = meet(b, c, "from b");
    sl_transport_cut(c->t, ac.at_acceptor);
    ck_assert(!say(c, ac.at_acceptor, "too late"));
    UNTIL(heard(a, SL_HEARD_DOWN, ac.at_dialler, NULL));
    ck_assert(say(c, bc.at_acceptor, "still here"));
    UNTIL(heard(b, SL_HEARD_BYTES, bc.at_dialler, "still here"));
    ck_assert(!heard(c, SL_HEARD_DOWN, 0, NULL));
    ck_assert_uint_eq(stats(c).links_in, 1);
}
END_TEST

START_TEST(what_is_said_right_before_a_cut_is_heard_at_the_other_end)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    stop_the_clock();
    ck_assert(say(b, p.at_acceptor, "the reason"));
    sl_transport_cut(b->t, p.at_acceptor);
    UNTIL(heard(a, SL_HEARD_BYTES, p.at_dialler, "the reason"));
    skip(SL_MS(20));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    start_the_clock();

    p = meet(a, b, "m1 again");
    stop_the_clock();
    ck_assert(say(a, p.at_dialler, "goodbye"));
    sl_transport_cut(a->t, p.at_dialler);
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "goodbye"));
    skip(SL_MS(20));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
}
END_TEST

START_TEST(a_dial_where_nobody_listens_is_refused)
{
    struct side *a = open_side();
    struct sl_addr nobody = closed_port("127.0.0.1:0");
    for (int i = 0; i < 20; i++) {
        sl_link link = dial(a, &nobody);
        (void)say(a, link, "into the void"); /* by now libzmq may know, or not */
        UNTIL(heard(a, SL_HEARD_REFUSED, link, NULL) || heard(a, SL_HEARD_DOWN, link, NULL));
        ck_assert(heard(a, SL_HEARD_REFUSED, link, NULL));
        skip(SL_SEC(1));
    }
}
END_TEST

START_TEST(what_was_queued_for_the_dead_never_reaches_whoever_listens_there_next)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    char at[SL_ADDR_TEXT];
    sl_addr_format(at, &b->addr);
    close_side(b);
    for (int i = 0; i < 20; i++)
        (void)say(a, p.at_dialler, "for b alone");
    struct side *next = open_side_at(at);
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    (void)meet(a, next, "for the next");
    ck_assert(!heard(next, SL_HEARD_BYTES, 0, "for b alone"));
}
END_TEST

START_TEST(a_dial_that_gets_no_answer_is_down_after_its_time)
{
    struct side *a = open_side();
    int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    ck_assert_int_eq(bind(mute, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(mute, 8), 0);
    ck_assert_int_eq(getsockname(mute, (struct sockaddr *)&at, &len), 0);
    struct sl_addr addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = ntohs(at.sin_port)};
    sl_link link = dial(a, &addr);
    turn_all();
    ck_assert(!heard(a, SL_HEARD_DOWN, link, NULL));
    skip(SL_SEC(3));
    turn_all();
    ck_assert(heard(a, SL_HEARD_DOWN, link, NULL));
    close(mute);
}
END_TEST

START_TEST(a_second_dial_to_an_address_fails_while_the_first_stands)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    sl_link second = dial(a, &b->addr);
    UNTIL(heard(a, SL_HEARD_DOWN, second, NULL));
    ck_assert(say(a, p.at_dialler, "unharmed"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "unharmed"));
}
END_TEST

START_TEST(two_hundred_dials_and_ends_leave_no_descriptor_behind)
{
    struct side *a = open_side(), *b = open_side();
    struct sl_addr nobody = closed_port("127.0.0.1:0");
    (void)meet(b, a, "warm");
    unsigned before = descriptors();
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof text, "round %d", i);
        struct pair p = meet(a, b, text);
        sl_link refused = dial(a, &nobody);
        if (i % 2 == 0) {
            sl_transport_cut(b->t, p.at_acceptor);
            UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
        } else {
            sl_transport_cut(a->t, p.at_dialler);
            UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
        }
        UNTIL(heard(a, SL_HEARD_REFUSED, refused, NULL) || heard(a, SL_HEARD_DOWN, refused, NULL));
        skip(SL_SEC(1));
        a->n = b->n = 0;
    }
    UNTIL(descriptors() <= before);
    ck_assert_uint_eq(stats(a).links_out, 0);
    ck_assert_uint_eq(stats(b).links_in + stats(b).half_open, 0);
}
END_TEST

START_TEST(a_transport_can_be_opened_and_closed_many_times)
{
    close_side(open_side());
    unsigned before = descriptors();
    for (int i = 0; i < 30; i++)
        close_side(open_side());
    ck_assert_uint_eq(descriptors(), before);
}
END_TEST

START_TEST(a_link_nobody_knows_takes_no_bytes)
{
    struct side *a = open_side();
    ck_assert(!say(a, 1, "x"));
    ck_assert(!say(a, 2, "x"));
    ck_assert(!say(a, 4711, "x"));
    ck_assert(!say(a, UINT64_MAX, "x"));
    ck_assert(!say(a, UINT64_MAX - 1, "x"));
    sl_transport_cut(a->t, 1);
    sl_transport_cut(a->t, 2);
    sl_transport_admit(a->t, 2);
    ck_assert_uint_eq(stats(a).send_dropped, 5);
}
END_TEST

/* ---- strangers -------------------------------------------------------------------------- */

START_TEST(with_another_door_key_nobody_gets_in)
{
    struct side *b = open_side();
    crypto_box_keypair(door_public, door_secret);
    struct side *stranger = open_side();
    sl_link link = dial(stranger, &b->addr);
    (void)say(stranger, link, "let me in");
    /* libzmq gives up after its own 3 s, or our own time-out comes first */
    UNTIL(heard(stranger, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(b->n, 0);
    ck_assert_uint_eq(stats(b).zap_allowed, 0);
}
END_TEST

START_TEST(garbage_on_the_port_disturbs_nobody)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    unsigned seed = 1;
    for (int i = 0; i < 300; i++) {
        uint8_t junk[300];
        int fd = tcp(&b->addr);
        for (size_t k = 0; k < sizeof junk; k++)
            junk[k] = (uint8_t)(rand_r(&seed) >> 7);
        if (i % 3 == 0) /* looks like the beginning of a greeting */
            memcpy(junk, "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                   32);
        (void)send(fd, junk, 1 + (size_t)rand_r(&seed) % sizeof junk, MSG_NOSIGNAL);
        if (i % 10 == 0)
            turn_all();
        close(fd);
    }
    ck_assert(say(a, p.at_dialler, "after it"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "after it"));
    ck_assert_uint_eq(b->n, 3);
    UNTIL(stats(b).half_open == 0);
}
END_TEST

START_TEST(a_silent_connection_is_cut_after_two_seconds)
{
    struct side *b = open_side();
    int fd = tcp(&b->addr);
    UNTIL(stats(b).half_open == 1);
    ck_assert(!has_ended(fd));
    skip(SL_SEC(2));
    UNTIL(has_ended(fd));
    UNTIL(stats(b).half_open == 0);
    ck_assert_uint_eq(stats(b).lobby_evicted, 1);
    close(fd);
}
END_TEST

START_TEST(a_crowd_of_silent_connections_keeps_no_member_out)
{
    int fds[200];
    struct side *a = open_side(), *b = open_side();
    for (size_t i = 0; i < SL_COUNT(fds); i++) {
        fds[i] = tcp(&b->addr);
        turn_all();
        ck_assert_uint_le(stats(b).half_open, 64);
    }
    (void)meet(a, b, "let me in");
    skip(SL_SEC(2));
    UNTIL(stats(b).half_open == 0);
    ck_assert_uint_eq(stats(b).links_in, 1);
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        close(fds[i]);
}
END_TEST

START_TEST(who_is_not_admitted_in_two_seconds_is_cut_and_the_core_hears_of_it)
{
    struct side *a = open_side(), *b = open_side();
    b->admits = false;
    struct pair p = meet(a, b, "m1");
    skip(SL_SEC(2));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
}
END_TEST

START_TEST(an_admitted_link_stays_for_as_long_as_it_likes)
{
    struct side *a = open_side(), *b = open_side();
    struct pair p = meet(a, b, "m1");
    skip(SL_SEC(100000));
    ck_assert(say(a, p.at_dialler, "still here"));
    UNTIL(heard(b, SL_HEARD_BYTES, p.at_acceptor, "still here"));
}
END_TEST

START_TEST(a_second_message_in_the_lobby_ends_the_link)
{
    struct side *a = open_side(), *b = open_side();
    b->admits = false;
    struct pair p = meet(a, b, "m1");
    ck_assert(say(a, p.at_dialler, "and another thing"));
    UNTIL(heard(b, SL_HEARD_DOWN, p.at_acceptor, NULL));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    ck_assert(!heard(b, SL_HEARD_BYTES, 0, "and another thing"));
}
END_TEST

START_TEST(a_first_message_that_is_too_large_is_not_heard)
{
    struct side *a = open_side(), *b = open_side();
    uint8_t big[SL_LOBBY_FRAME_MAX + 1] = {0};
    sl_link link = dial(a, &b->addr);
    ck_assert(sl_transport_send(a->t, link, sl_span_of(big, sizeof big)));
    UNTIL(heard(a, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(b->n, 0);
    ck_assert_uint_eq(stats(b).oversized, 1);
}
END_TEST

START_TEST(a_link_that_is_cut_when_announced_is_not_heard)
{
    struct side *a = open_side(), *b = open_side();
    sl_link link = dial(a, &b->addr);
    struct sl_heard h;
    bool accepted = false;
    sl_usec until = real_now() + SL_SEC(20);
    ck_assert(say(a, link, "m1"));
    while (!accepted && real_now() < until) {
        hear(a);
        sl_transport_turn(b->t, now());
        accepted = sl_transport_next(b->t, now(), &h);
    }
    ck_assert(accepted);
    ck_assert_int_eq(h.type, SL_HEARD_ACCEPT);
    sl_transport_cut(b->t, h.link);
    UNTIL(heard(a, SL_HEARD_DOWN, link, NULL));
    ck_assert_uint_eq(b->n, 0);
}
END_TEST

/* Turns of `s` alone, in which it does not look at messages. */
#define UNTIL_DEAF(s, condition)                                                                   \
    do {                                                                                           \
        zmq_pollitem_t items_[SL_TRANSPORT_POLL_MAX];                                              \
        sl_usec until_ = real_now() + SL_SEC(20);                                                  \
        while (!(condition) && real_now() < until_) {                                              \
            (void)zmq_poll(items_, (int)sl_transport_poll_items((s)->t, items_), 5);               \
            sl_transport_turn((s)->t, now());                                                      \
        }                                                                                          \
        ck_assert_msg(condition, "not within 20 s: " #condition);                                  \
    } while (0)

static bool has_message(struct side *s)
{
    zmq_pollitem_t items[SL_TRANSPORT_POLL_MAX];
    int n = (int)sl_transport_poll_items(s->t, items), ready = 0;
    (void)zmq_poll(items, n, 0);
    for (int i = 3; i < n; i++) /* behind the monitors and ZAP */
        ready += items[i].revents != 0;
    return ready > 0;
}

START_TEST(more_newcomers_in_one_turn_than_the_lobby_has_places_all_get_in)
{
    void *crowd[60];
    struct side *b = open_side();
    stop_the_clock();
    for (size_t i = 0; i < SL_COUNT(crowd); i++) {
        crowd[i] = raw_open(b, NULL, 0);
        ck_assert_int_eq(zmq_send(crowd[i], "m1", 2, 0), 2);
    }
    UNTIL_DEAF(b, stats(b).handshakes == SL_COUNT(crowd));
    UNTIL(stats(b).links_in == SL_COUNT(crowd));
    ck_assert(!heard(b, SL_HEARD_DOWN, 0, NULL));
    for (size_t i = 0; i < SL_COUNT(crowd); i++)
        zmq_close(crowd[i]);
    UNTIL(stats(b).links_in == 0);
}
END_TEST

START_TEST(a_descriptor_used_again_does_not_inherit_what_was_said_before)
{
    struct side *b = open_side();
    int fds[8];
    void *dead = raw_open(b, NULL, 0);
    ck_assert_int_eq(zmq_send(dead, "m1", 2, 0), 2);
    UNTIL_DEAF(b, has_message(b));
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        fds[i] = tcp_socket();
    /* What the dead one frees now, the accepting side of the next connections gets. */
    zmq_close(dead);
    UNTIL_DEAF(b, stats(b).half_open == 0);
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        tcp_connect(fds[i], &b->addr);
    UNTIL_DEAF(b, stats(b).half_open == SL_COUNT(fds));
    UNTIL(!has_message(b));
    ck_assert_uint_eq(b->n, 0);
    for (size_t i = 0; i < SL_COUNT(fds); i++)
        close(fds[i]);
}
END_TEST

START_TEST(a_message_of_several_frames_ends_the_link)
{
    struct side *b = open_side();
    void *early = raw_open(b, NULL, 0);
    zmq_send(early, "m1", 2, ZMQ_SNDMORE);
    zmq_send(early, "m2", 2, 0);
    UNTIL(stats(b).multipart == 1);
    ck_assert_uint_eq(b->n, 0);

    void *late = raw_open(b, NULL, 0);
    zmq_send(late, "m1", 2, 0);
    UNTIL(heard(b, SL_HEARD_BYTES, 0, "m1"));
    for (int i = 0; i < 9; i++)
        zmq_send(late, "m2", 2, ZMQ_SNDMORE);
    zmq_send(late, "m2", 2, 0);
    UNTIL(heard(b, SL_HEARD_DOWN, 0, NULL));
    ck_assert(!heard(b, SL_HEARD_BYTES, 0, "m2"));
    UNTIL(stats(b).half_open + stats(b).links_in == 0);
    zmq_close(early);
    zmq_close(late);
}
END_TEST

START_TEST(a_peer_that_brings_a_routing_id_is_cut)
{
    struct side *b = open_side();
    void *named = raw_open(b, "me", 2), *posing = raw_open(b, "\0\1\2\3\4", 5);
    zmq_send(named, "m1", 2, 0);
    zmq_send(posing, "m1", 2, 0);
    UNTIL(stats(b).brought_identity == 2);
    UNTIL(stats(b).half_open == 0);
    ck_assert_uint_eq(b->n, 0);
    zmq_close(named);
    zmq_close(posing);
}
END_TEST

/* ---- opening ---------------------------------------------------------------------------- */

START_TEST(an_address_in_use_is_named)
{
    struct side *a = open_side();
    struct sl_transport *t = NULL;
    struct sl_addr bound;
    char text[SL_ADDR_TEXT];
    sl_addr_format(text, &a->addr);
    int r = sl_transport_open(&a->addr, &a->identity, &sl_alloc_system, &silent, &t, &bound);
    ck_assert_int_eq(r, STARLING_EUNAVAIL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), text));
    ck_assert_ptr_null(t);

    struct sl_addr foreign = {.family = 4, .ip = {192, 0, 2, 1}, .port = 7700};
    r = sl_transport_open(&foreign, &a->identity, &sl_alloc_system, &silent, &t, &bound);
    ck_assert_int_eq(r, STARLING_EUNAVAIL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "192.0.2.1:7700"));
}
END_TEST

START_TEST(without_free_descriptors_nothing_is_opened)
{
    struct side *a = open_side();
    struct sl_transport *t;
    struct sl_addr bound, at = {.family = 4, .ip = {127, 0, 0, 1}};
    struct rlimit old, low;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 60;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    int r = sl_transport_open(&at, &a->identity, &sl_alloc_system, &silent, &t, &bound);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(r, STARLING_ELIMIT);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "descriptors"));
}
END_TEST

START_TEST(a_peer_is_cut_at_the_descriptor_limit_too)
{
    struct side *a = open_side(), *b = open_side();
    int held[512];
    size_t n = 0;
    struct rlimit old, low;
    b->admits = false;
    struct pair p = meet(a, b, "m1");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 256;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < SL_COUNT(held) && (held[n] = dup(0)) >= 0)
        n++;
    skip(SL_SEC(2));
    UNTIL(heard(a, SL_HEARD_DOWN, p.at_dialler, NULL));
    while (n > 0)
        close(held[--n]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

START_TEST(the_hosts_random_numbers_go_on_as_if_nothing_had_been_opened)
{
    srandom(42);
    long undisturbed[4], seen[4];
    for (size_t i = 0; i < SL_COUNT(undisturbed); i++)
        undisturbed[i] = random();
    srandom(42);
    for (size_t i = 0; i < SL_COUNT(seen); i++) {
        seen[i] = random();
        if (i == 1)
            close_side(open_side());
    }
    for (size_t i = 0; i < SL_COUNT(seen); i++)
        ck_assert_int_eq(seen[i], undisturbed[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("transport");
    TCase *t = tcase_create("transport");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_accepted_link_is_announced_with_the_diallers_key_before_its_first_message);
    tcase_add_test(t, bytes_go_both_ways_in_order);
    tcase_add_test(t, the_largest_frame_arrives_whole_and_a_larger_one_is_not_sent);
    tcase_add_test(t, two_links_in_opposite_directions_do_not_mix);
    tcase_add_test(t, links_go_over_ipv6_as_well);
    tcase_add_test(t, when_the_acceptor_closes_the_dialler_hears_that_the_link_is_down);
    tcase_add_test(t, when_the_dialler_closes_the_acceptor_hears_that_the_link_is_down);
    tcase_add_test(t, a_cut_by_the_dialler_ends_the_link_at_the_acceptor_alone);
    tcase_add_test(t, one_accepted_peer_is_cut_and_the_others_stay);
    tcase_add_test(t, what_is_said_right_before_a_cut_is_heard_at_the_other_end);
    tcase_add_test(t, a_dial_where_nobody_listens_is_refused);
    tcase_add_test(t, what_was_queued_for_the_dead_never_reaches_whoever_listens_there_next);
    tcase_add_test(t, a_dial_that_gets_no_answer_is_down_after_its_time);
    tcase_add_test(t, a_second_dial_to_an_address_fails_while_the_first_stands);
    tcase_add_test(t, two_hundred_dials_and_ends_leave_no_descriptor_behind);
    tcase_add_test(t, a_transport_can_be_opened_and_closed_many_times);
    tcase_add_test(t, a_link_nobody_knows_takes_no_bytes);
    tcase_add_test(t, with_another_door_key_nobody_gets_in);
    tcase_add_test(t, garbage_on_the_port_disturbs_nobody);
    tcase_add_test(t, a_silent_connection_is_cut_after_two_seconds);
    tcase_add_test(t, a_crowd_of_silent_connections_keeps_no_member_out);
    tcase_add_test(t, who_is_not_admitted_in_two_seconds_is_cut_and_the_core_hears_of_it);
    tcase_add_test(t, an_admitted_link_stays_for_as_long_as_it_likes);
    tcase_add_test(t, a_second_message_in_the_lobby_ends_the_link);
    tcase_add_test(t, a_first_message_that_is_too_large_is_not_heard);
    tcase_add_test(t, a_link_that_is_cut_when_announced_is_not_heard);
    tcase_add_test(t, more_newcomers_in_one_turn_than_the_lobby_has_places_all_get_in);
    tcase_add_test(t, a_descriptor_used_again_does_not_inherit_what_was_said_before);
    tcase_add_test(t, a_message_of_several_frames_ends_the_link);
    tcase_add_test(t, a_peer_that_brings_a_routing_id_is_cut);
    tcase_add_test(t, an_address_in_use_is_named);
    tcase_add_test(t, without_free_descriptors_nothing_is_opened);
    tcase_add_test(t, a_peer_is_cut_at_the_descriptor_limit_too);
    tcase_add_test(t, the_hosts_random_numbers_go_on_as_if_nothing_had_been_opened);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_tap(r, "-");
    srunner_run_all(r, CK_SILENT);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
