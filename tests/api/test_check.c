/* test_check.c: health checks by the node that offers: against a server that answers, refuses, hangs
 * or talks nonsense; callbacks that block; renewals; and all of it ending at any moment. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "flock.h"

static struct flock_of f;

/* ---- a server with moods ------------------------------------------------------------------- */

#define GUESTS_MAX 32

enum mood {
    ANSWERS_200,
    ANSWERS_503,
    ANSWERS_429,
    ANSWERS_WRONG_BODY,
    ANSWERS_CHUNKED,
    HANGS,
    TALKS_GARBAGE,
    STOPS_HALFWAY,
    NEVER_ENDS_ITS_HEADER,
    HANGS_UP
};

static struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_int mood;
    atomic_bool quit;
    atomic_uint n_guests, n_at_once, most_at_once; /* connections in all, now, and at most */
} server;

static void say(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* True: and hang up. */
static bool answer(int fd)
{
    switch ((enum mood)atomic_load(&server.mood)) {
    case ANSWERS_200:
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall ready");
        return true;
    case ANSWERS_503:
        say(fd, "HTTP/1.1 503 Service Unavailable\r\n\r\n");
        return true;
    case ANSWERS_429:
        say(fd, "HTTP/1.1 429 Too Many Requests\r\n\r\n");
        return true;
    case ANSWERS_WRONG_BODY:
        say(fd, "HTTP/1.1 200 OK\r\n\r\nnot yet");
        return true;
    case ANSWERS_CHUNKED:
        say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n");
        say(fd, "2\r\ndy\r\n0\r\n\r\n");
        return true;
    case TALKS_GARBAGE:
        say(fd, "\x16\x03\x01 \xff\xfe nonsense\r\n\r\n");
        return true;
    case STOPS_HALFWAY:
        say(fd, "HTTP/1.1 200 OK\r\nContent-");
        return true;
    case HANGS_UP:
        return true;
    case NEVER_ENDS_ITS_HEADER:
        say(fd, "HTTP/1.1 200 OK\r\n");
        for (unsigned i = 0; i < 3000; i++)
            say(fd, "X-More: and more\r\n");
        return true;
    case HANGS:
        return false;
    }
    return true;
}

static void hang_up(struct pollfd *guest)
{
    (void)close(guest->fd);
    guest->fd = -1;
    atomic_fetch_sub(&server.n_at_once, 1);
}

static void welcome(struct pollfd guests[GUESTS_MAX], int fd)
{
    size_t i = 0;
    while (i < GUESTS_MAX && guests[i].fd >= 0)
        i++;
    if (i == GUESTS_MAX) {
        (void)close(fd);
        return;
    }
    guests[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    atomic_fetch_add(&server.n_guests, 1);
    unsigned now = atomic_fetch_add(&server.n_at_once, 1) + 1;
    if (now > atomic_load(&server.most_at_once))
        atomic_store(&server.most_at_once, now);
}

static void serve(struct pollfd *guest)
{
    char request[2048];
    ssize_t n = recv(guest->fd, request, sizeof request, MSG_DONTWAIT);
    if (n <= 0 || answer(guest->fd))
        hang_up(guest);
}

static void *server_main(void *arg)
{
    struct pollfd guests[GUESTS_MAX + 1];
    (void)arg;
    for (size_t i = 0; i < GUESTS_MAX; i++)
        guests[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    guests[GUESTS_MAX] = (struct pollfd){.fd = server.fd, .events = POLLIN};
    while (!atomic_load(&server.quit)) {
        if (poll(guests, GUESTS_MAX + 1, 20) <= 0)
            continue;
        for (size_t i = 0; i < GUESTS_MAX; i++)
            if (guests[i].fd >= 0 && guests[i].revents != 0)
                serve(&guests[i]);
        if (guests[GUESTS_MAX].revents != 0) {
            int fd = accept(server.fd, NULL, NULL);
            if (fd >= 0)
                welcome(guests, fd);
        }
    }
    for (size_t i = 0; i < GUESTS_MAX; i++)
        if (guests[i].fd >= 0)
            hang_up(&guests[i]);
    return NULL;
}

static void server_listen(unsigned port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof in;
    int one = 1;
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(server.fd, 0);
    (void)setsockopt(server.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&in, sizeof in), 0);
    ck_assert_int_eq(listen(server.fd, 64), 0);
    ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&in, &len), 0);
    server.port = ntohs(in.sin_port);
    atomic_store(&server.quit, false);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, server_main, NULL), 0);
}

static void server_stop(void)
{
    if (server.fd < 0)
        return;
    atomic_store(&server.quit, true);
    pthread_join(server.thread, NULL);
    (void)close(server.fd);
    server.fd = -1;
}

/* ---- what is seen --------------------------------------------------------------------------- */

static starling_view *view;

/* Health of the only instance as n1 sees it; -1 = there is none. */
static int health(void)
{
    starling_instance list[4];
    size_t n = 0;
    must(starling_view_list(view, 4, list, &n));
    return n == 1 ? (int)list[0].health : -1;
}

/* The note of the service, as n0's log last told it. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[65536];

static void keep_log(void *context, int level, const char *line)
{
    (void)context, (void)level;
    pthread_mutex_lock(&log_lock);
    size_t len = strlen(log_text);
    snprintf(log_text + len, sizeof log_text - len, "%s\n", line);
    pthread_mutex_unlock(&log_lock);
}

static void forget_log(void)
{
    pthread_mutex_lock(&log_lock);
    log_text[0] = '\0';
    pthread_mutex_unlock(&log_lock);
}

static bool logged(const char *text)
{
    pthread_mutex_lock(&log_lock);
    bool found = strstr(log_text, text) != NULL;
    pthread_mutex_unlock(&log_lock);
    return found;
}

static void begin(void)
{
    forget_log();
    memset(&server, 0, sizeof server);
    server_listen(0);
    flock_begin(&f);
    starling_options o = flock_options(&f, "n0");
    o.log = keep_log;
    must(starling_open(&o, &f.node[0]));
    f.n = 1;
    (void)flock_open(&f);
    for (size_t i = 0; i < 2; i++)
        must(starling_wait_members(f.node[i], 2, PATIENCE_MS));
    view = view_of(f.node[1], "web");
}

static void end(void)
{
    flock_end(&f);
    server_stop();
}

static starling_service web(enum starling_check check)
{
    starling_service s = {.name = "web",
                          .port = server.port,
                          .check = check,
                          .check_interval_ms = 50,
                          .check_timeout_ms = 200,
                          .check_fall = 1};
    return s;
}

static starling_registration *offered(const starling_service *s)
{
    starling_registration *reg = NULL;
    must(starling_register(f.node[0], s, &reg));
    return reg;
}

#define until_health(h) until(health() == (int)(h))

/* ---- TCP ------------------------------------------------------------------------------------- */

START_TEST(a_service_that_is_not_listened_for_is_critical_and_comes_back)
{
    starling_service s = web(STARLING_CHECK_TCP);
    (void)offered(&s);
    until_health(STARLING_PASSING);
    server_stop();
    until_health(STARLING_CRITICAL);
    until(logged("connection refused"));
    server_listen(s.port);
    until_health(STARLING_PASSING);
    ck_assert_int_eq(pick_says(view), 0);
}
END_TEST

START_TEST(a_held_service_is_not_seen_before_its_first_pass)
{
    starling_service s = web(STARLING_CHECK_TCP);
    s.check_hold = 1;
    server_stop();
    (void)offered(&s);
    /* A second service is told later than the first would be. */
    (void)offer(f.node[0], "other", 1);
    must(starling_wait_fit(view_of(f.node[1], "other"), 1, PATIENCE_MS));
    ck_assert_int_eq(pick_says(view), STARLING_ENOENT);
    server_listen(s.port);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    ck_assert_int_eq(health(), STARLING_PASSING);
}
END_TEST

START_TEST(a_held_service_still_has_its_name)
{
    starling_service s = web(STARLING_CHECK_TCP);
    s.check_hold = 1;
    server_stop();
    starling_registration *reg = offered(&s);
    refuses(STARLING_EEXIST, starling_register(f.node[0], &s, NULL));
    starling_deregister(reg);
    server_listen(s.port);
    s.check_hold = 0;
    (void)offered(&s);
    until_health(STARLING_PASSING);
}
END_TEST

START_TEST(the_check_may_look_at_another_port)
{
    starling_service s = web(STARLING_CHECK_TCP);
    s.port = 9;
    s.check_host = "127.0.0.1";
    s.check_port = server.port;
    (void)offered(&s);
    unsigned before = atomic_load(&server.n_guests);
    until(atomic_load(&server.n_guests) >= before + 3);
    ck_assert_int_eq(health(), STARLING_PASSING);
}
END_TEST

/* ---- HTTP ------------------------------------------------------------------------------------ */

static void becomes(enum mood mood, enum starling_health expected, const char *note)
{
    forget_log();
    atomic_store(&server.mood, ANSWERS_200);
    until_health(STARLING_PASSING);
    atomic_store(&server.mood, mood);
    until_health(expected);
    for (unsigned i = 0; i < 400 && !logged(note); i++)
        breathe();
    ck_assert_msg(logged(note), "no \"%s\" in:\n%s", note, log_text);
}

START_TEST(answers_decide_and_say_why)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    s.check_path = "/health";
    s.check_body = "ready";
    (void)offered(&s);
    becomes(ANSWERS_503, STARLING_CRITICAL, "HTTP 503");
    becomes(ANSWERS_429, STARLING_WARNING, "HTTP 429");
    becomes(ANSWERS_WRONG_BODY, STARLING_CRITICAL, "body lacks \"ready\"");
    becomes(TALKS_GARBAGE, STARLING_CRITICAL, "the answer is not HTTP");
    becomes(STOPS_HALFWAY, STARLING_CRITICAL, "ended in its header");
    becomes(HANGS_UP, STARLING_CRITICAL, "closed without an HTTP answer");
    becomes(NEVER_ENDS_ITS_HEADER, STARLING_CRITICAL, "header of the HTTP answer does not end");
    becomes(HANGS, STARLING_CRITICAL, "no answer within 200 ms");
    atomic_store(&server.mood, ANSWERS_CHUNKED);
    until_health(STARLING_PASSING);
}
END_TEST

START_TEST(a_hanging_service_is_asked_by_one_connection_at_a_time)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    s.check_interval_ms = 10;
    s.check_timeout_ms = 100;
    atomic_store(&server.mood, HANGS);
    (void)offered(&s);
    until(atomic_load(&server.n_guests) >= 10);
    /* The server may see the next one before the end of the last. */
    ck_assert_uint_le(atomic_load(&server.most_at_once), 2);
}
END_TEST

START_TEST(an_expected_status_passes_and_others_do_not)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    s.check_status = 503;
    atomic_store(&server.mood, ANSWERS_503);
    (void)offered(&s);
    until_health(STARLING_PASSING);
    atomic_store(&server.mood, ANSWERS_200);
    until_health(STARLING_CRITICAL);
}
END_TEST

START_TEST(a_service_goes_while_its_check_is_in_flight)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    s.check_timeout_ms = 60000;
    atomic_store(&server.mood, HANGS);
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = atomic_load(&server.n_guests);
        starling_registration *reg = offered(&s);
        until(atomic_load(&server.n_guests) > before);
        starling_deregister(reg);
        until(atomic_load(&server.n_at_once) == 0); /* its connection is closed */
    }
}
END_TEST

START_TEST(a_node_closes_while_checks_are_in_flight)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    s.check_timeout_ms = 60000;
    atomic_store(&server.mood, HANGS);
    (void)offered(&s);
    until(atomic_load(&server.n_at_once) == 1);
    flock_close(&f, 0);
    until(atomic_load(&server.n_at_once) == 0);
}
END_TEST

START_TEST(many_services_are_checked_at_once)
{
    char name[32];
    starling_service s = web(STARLING_CHECK_HTTP);
    s.name = name;
    for (unsigned i = 0; i < STARLING_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "web-%u", i);
        (void)offered(&s);
    }
    starling_view *last = view_of(f.node[1], name);
    must(starling_wait_fit(last, 1, PATIENCE_MS));
    atomic_store(&server.mood, ANSWERS_503);
    until(pick_says(last) == STARLING_EUNAVAIL);
    until(pick_says(view_of(f.node[1], "web-0")) == STARLING_EUNAVAIL);
    atomic_store(&server.mood, ANSWERS_200);
    until(pick_says(last) == 0);
}
END_TEST

/* ---- the application's word ------------------------------------------------------------------ */

START_TEST(the_worse_of_check_and_application_is_told)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    starling_registration *reg = offered(&s);
    until_health(STARLING_PASSING);
    must(starling_set_health(reg, STARLING_WARNING, "half the disks are gone"));
    until_health(STARLING_WARNING);
    atomic_store(&server.mood, ANSWERS_503);
    until_health(STARLING_CRITICAL);
    must(starling_set_health(reg, STARLING_PASSING, NULL));
    unsigned before = atomic_load(&server.n_guests);
    until(atomic_load(&server.n_guests) > before + 2);
    ck_assert_int_eq(health(), STARLING_CRITICAL);
    atomic_store(&server.mood, ANSWERS_200);
    until_health(STARLING_PASSING);
}
END_TEST

START_TEST(what_was_registered_counts_until_the_first_verdict)
{
    starling_service s = web(STARLING_CHECK_HTTP);
    s.health = STARLING_CRITICAL;
    s.check_timeout_ms = 60000;
    atomic_store(&server.mood, HANGS);
    starling_registration *reg = offered(&s);
    until_health(STARLING_CRITICAL);
    starling_deregister(reg);
    until(pick_says(view) == STARLING_ENOENT);
    atomic_store(&server.mood, ANSWERS_200);
    (void)offered(&s);
    until_health(STARLING_PASSING);
}
END_TEST

/* ---- callbacks ------------------------------------------------------------------------------- */

static struct call {
    atomic_int health, block_ms;
    atomic_uint n_calls, n_inside, most_inside;
    _Atomic(starling_registration *) withdraw; /* from inside */
} call;

static int check_call(void *context, char note[STARLING_NOTE_MAX])
{
    struct call *c = context;
    atomic_fetch_add(&c->n_calls, 1);
    unsigned inside = atomic_fetch_add(&c->n_inside, 1) + 1;
    if (inside > atomic_load(&c->most_inside))
        atomic_store(&c->most_inside, inside);
    int ms = atomic_load(&c->block_ms);
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
    starling_registration *reg = atomic_exchange(&c->withdraw, NULL);
    if (reg != NULL)
        starling_deregister(reg);
    snprintf(note, STARLING_NOTE_MAX, "the callback says so");
    atomic_fetch_sub(&c->n_inside, 1);
    return atomic_load(&c->health);
}

static starling_service called(void)
{
    starling_service s = web(STARLING_CHECK_CALL);
    memset(&call, 0, sizeof call);
    s.check_call = check_call;
    s.check_context = &call;
    return s;
}

START_TEST(a_callback_says_how_the_service_is)
{
    starling_service s = called();
    (void)offered(&s);
    until(atomic_load(&call.n_calls) > 1);
    until_health(STARLING_PASSING);
    atomic_store(&call.health, STARLING_WARNING);
    until_health(STARLING_WARNING);
    atomic_store(&call.health, STARLING_CRITICAL);
    until_health(STARLING_CRITICAL);
    until(logged("critical: the callback says so"));
    atomic_store(&call.health, STARLING_PASSING);
    until_health(STARLING_PASSING);
    atomic_store(&call.health, 99);
    until_health(STARLING_CRITICAL);
    until(logged("the check returned 99"));
}
END_TEST

START_TEST(a_blocking_callback_is_critical_and_never_called_twice_at_once)
{
    starling_service s = called();
    s.check_interval_ms = 10;
    s.check_timeout_ms = 20;
    atomic_store(&call.block_ms, 300);
    (void)offered(&s);
    until_health(STARLING_CRITICAL);
    until(logged("no answer within 20 ms"));
    until(atomic_load(&call.n_calls) >= 3);
    ck_assert_uint_eq(atomic_load(&call.most_inside), 1);
    atomic_store(&call.block_ms, 0);
    until_health(STARLING_PASSING);
}
END_TEST

START_TEST(the_node_lives_on_while_a_callback_blocks)
{
    starling_service s = called();
    atomic_store(&call.block_ms, 1000);
    starling_registration *reg = offered(&s);
    until(atomic_load(&call.n_inside) == 1);
    starling_registration *other = offer(f.node[0], "other", 1);
    starling_view *others = view_of(f.node[1], "other");
    must(starling_wait_fit(others, 1, PATIENCE_MS));
    starling_deregister(other);
    until(pick_says(others) == STARLING_ENOENT);
    must(starling_set_health(reg, STARLING_WARNING, NULL));
}
END_TEST

START_TEST(withdrawing_waits_for_the_callback)
{
    starling_service s = called();
    atomic_store(&call.block_ms, 200);
    starling_registration *reg = offered(&s);
    until(atomic_load(&call.n_inside) == 1);
    starling_deregister(reg);
    unsigned n = atomic_load(&call.n_calls);
    ck_assert_uint_eq(atomic_load(&call.n_inside), 0);
    (void)offer(f.node[0], "other", 1);
    must(starling_wait_fit(view_of(f.node[1], "other"), 1, PATIENCE_MS));
    ck_assert_uint_eq(atomic_load(&call.n_calls), n);
}
END_TEST

START_TEST(closing_a_node_waits_for_the_callback)
{
    starling_service s = called();
    atomic_store(&call.block_ms, 200);
    (void)offered(&s);
    until(atomic_load(&call.n_inside) == 1);
    flock_close(&f, 0);
    ck_assert_uint_eq(atomic_load(&call.n_inside), 0);
}
END_TEST

START_TEST(a_callback_may_withdraw_its_own_service)
{
    for (unsigned i = 0; i < 10; i++) {
        starling_service s = called();
        starling_registration *reg = offered(&s);
        until_health(STARLING_PASSING);
        atomic_store(&call.withdraw, reg);
        until(pick_says(view) == STARLING_ENOENT);
        until(atomic_load(&call.n_inside) == 0);
    }
}
END_TEST

static atomic_int drain_says;

static int drains(void *context, char note[STARLING_NOTE_MAX])
{
    (void)note;
    atomic_store(&drain_says, starling_drain(context, 0));
    starling_close(context); /* does nothing */
    return STARLING_PASSING;
}

START_TEST(a_callback_cannot_drain_or_close_its_node)
{
    starling_service s = called();
    s.check_call = drains;
    s.check_context = f.node[0];
    (void)offered(&s);
    until(atomic_load(&drain_says) == STARLING_EINVAL);
    until_health(STARLING_PASSING);
}
END_TEST

/* ---- renewals -------------------------------------------------------------------------------- */

START_TEST(a_service_that_is_not_renewed_is_critical_until_it_is)
{
    starling_service s = web(STARLING_CHECK_TTL);
    s.check_interval_ms = 100;
    starling_registration *reg = offered(&s);
    until_health(STARLING_CRITICAL);
    until(logged("not renewed for 100 ms"));
    until((starling_renew(reg) == 0) && health() == STARLING_PASSING);
    for (unsigned i = 0; i < 30; i++) { /* longer than the interval */
        must(starling_renew(reg));
        breathe();
    }
    until_health(STARLING_CRITICAL);
}
END_TEST

START_TEST(one_renewal_brings_a_lapsed_service_back)
{
    starling_service s = web(STARLING_CHECK_TTL);
    s.check_interval_ms = 2000;
    starling_registration *reg = offered(&s);
    until_health(STARLING_CRITICAL);
    must(starling_renew(reg)); /* once */
    until_health(STARLING_PASSING);
}
END_TEST

START_TEST(a_held_service_is_offered_with_its_first_renewal)
{
    starling_service s = web(STARLING_CHECK_TTL);
    s.check_hold = 1;
    starling_registration *reg = offered(&s);
    (void)offer(f.node[0], "other", 1);
    must(starling_wait_fit(view_of(f.node[1], "other"), 1, PATIENCE_MS));
    ck_assert_int_eq(pick_says(view), STARLING_ENOENT);
    must(starling_renew(reg));
    until((starling_renew(reg) == 0) && pick_says(view) == 0);
}
END_TEST

/* ---- all at once ------------------------------------------------------------------------------ */

#define HANDS 4

static int counted(void *context, char note[STARLING_NOTE_MAX])
{
    unsigned n = ++*(unsigned *)context; /* freed by the hand as soon as it is withdrawn */
    snprintf(note, STARLING_NOTE_MAX, "call %u", n);
    return (int)(n % 3);
}

/* One service after the other, of every kind, gone again before or while it is checked. */
static void *hand_main(void *name)
{
    for (unsigned i = 0; i < 60; i++) {
        starling_service s = web((enum starling_check)(i % 5));
        starling_registration *mine;
        unsigned *n = calloc(1, sizeof *n);
        s.name = name;
        s.check_interval_ms = 10;
        s.check_hold = i % 5 != 0 && i % 2 == 0;
        s.check_call = counted;
        s.check_context = n;
        if (n == NULL || starling_register(f.node[0], &s, &mine) < 0)
            return "registering failed";
        for (unsigned k = 0; k < i % 7; k++) {
            int r = starling_renew(mine);
            if (r != (s.check == STARLING_CHECK_TTL ? 0 : STARLING_EINVAL) ||
                starling_report_load(mine, k, k) < 0 ||
                starling_set_health(mine, (enum starling_health)(k % 3), "by hand") < 0 ||
                starling_set_weight(mine, k) < 0)
                return "a change failed";
            breathe();
        }
        starling_deregister(mine);
        free(n);
    }
    return NULL;
}

START_TEST(services_of_all_kinds_come_and_go_from_many_threads)
{
    static char names[HANDS][16];
    pthread_t hands[HANDS];
    for (size_t i = 0; i < HANDS; i++) {
        snprintf(names[i], sizeof names[i], "hand-%zu", i);
        ck_assert_int_eq(pthread_create(&hands[i], NULL, hand_main, names[i]), 0);
    }
    for (size_t i = 0; i < HANDS; i++) {
        void *problem;
        pthread_join(hands[i], &problem);
        ck_assert_msg(problem == NULL, "%s", (const char *)problem);
    }
    for (size_t i = 0; i < HANDS; i++)
        until(pick_says(view_of(f.node[1], names[i])) == STARLING_ENOENT);
    starling_service s = web(STARLING_CHECK_HTTP); /* and it still checks */
    (void)offered(&s);
    becomes(ANSWERS_503, STARLING_CRITICAL, "HTTP 503");
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------- */

#define wrong(field, value)                                                                        \
    do {                                                                                           \
        starling_service s_ = web(STARLING_CHECK_HTTP);                                            \
        s_.field = (value);                                                                        \
        refuses(STARLING_EINVAL, starling_register(f.node[0], &s_, NULL));                         \
    } while (0)

START_TEST(wrong_checks_are_refused)
{
    static char endless[2000];
    memset(endless, '/', sizeof endless - 1);
    wrong(check, (enum starling_check)77);
    wrong(check, STARLING_CHECK_CALL); /* without a function */
    wrong(check_host, "localhost");
    wrong(check_host, "127.0.0.1:80");
    wrong(check_host, "0.0.0.0");
    wrong(check_port, 65536);
    wrong(check_path, "health");
    wrong(check_path, "/a b");
    wrong(check_path, "/\r\nX: y");
    wrong(check_path, endless);
    wrong(check_body, endless);
    wrong(check_status, 42);
    wrong(check_interval_ms, 9);
    wrong(check_interval_ms, 3600001);
    wrong(check_timeout_ms, 600001);
    wrong(check_rise, 1001);
    wrong(check_fall, 1001);
    starling_service s = {.name = "web", .port = 1, .check_hold = 1};
    refuses(STARLING_EINVAL, starling_register(f.node[0], &s, NULL));
    starling_registration *reg = offer(f.node[0], "web", 1);
    refuses(STARLING_EINVAL, starling_renew(reg));
    refuses(STARLING_EINVAL, starling_renew(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tc = tcase_create("check");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, a_service_that_is_not_listened_for_is_critical_and_comes_back);
    tcase_add_test(tc, a_held_service_is_not_seen_before_its_first_pass);
    tcase_add_test(tc, a_held_service_still_has_its_name);
    tcase_add_test(tc, the_check_may_look_at_another_port);
    tcase_add_test(tc, answers_decide_and_say_why);
    tcase_add_test(tc, a_hanging_service_is_asked_by_one_connection_at_a_time);
    tcase_add_test(tc, an_expected_status_passes_and_others_do_not);
    tcase_add_test(tc, a_service_goes_while_its_check_is_in_flight);
    tcase_add_test(tc, a_node_closes_while_checks_are_in_flight);
    tcase_add_test(tc, many_services_are_checked_at_once);
    tcase_add_test(tc, the_worse_of_check_and_application_is_told);
    tcase_add_test(tc, what_was_registered_counts_until_the_first_verdict);
    tcase_add_test(tc, a_callback_says_how_the_service_is);
    tcase_add_test(tc, a_blocking_callback_is_critical_and_never_called_twice_at_once);
    tcase_add_test(tc, the_node_lives_on_while_a_callback_blocks);
    tcase_add_test(tc, withdrawing_waits_for_the_callback);
    tcase_add_test(tc, closing_a_node_waits_for_the_callback);
    tcase_add_test(tc, a_callback_may_withdraw_its_own_service);
    tcase_add_test(tc, a_callback_cannot_drain_or_close_its_node);
    tcase_add_test(tc, a_service_that_is_not_renewed_is_critical_until_it_is);
    tcase_add_test(tc, one_renewal_brings_a_lapsed_service_back);
    tcase_add_test(tc, a_held_service_is_offered_with_its_first_renewal);
    tcase_add_test(tc, services_of_all_kinds_come_and_go_from_many_threads);
    tcase_add_test(tc, wrong_checks_are_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
