/* checks.c: health checks as non-blocking sockets, polled with the rest of the loop. One check of a
 * service at a time; what each may read in a turn is bounded, so that a service which floods its
 * checker takes its own time only. */
#include "node/checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/node.h"
#include "node/offer.h"

#define READ_BYTES 4096
#define READS_MAX 4 /* of one check in one turn */

static void hang_up(struct sl_checker *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
}

void sl_checker_free(struct sl_checker *c)
{
    if (c == NULL)
        return;
    hang_up(c);
    sl_call_fini(&c->call);
    free(c->http);
    free(c);
}

/* ---- verdicts ------------------------------------------------------------------------------- */

static void tell_log(const starling_node *node, const struct sl_checker *c, uint8_t was,
                     bool was_held)
{
    const char *note = c->state.note;
    const char *colon = note[0] != '\0' ? ": " : "";
    if (c->state.held)
        return;
    if (was_held)
        sl_log(&node->log, SL_INFO, "service %s has passed its check and is offered", c->service);
    if (c->state.health == was || (was_held && c->state.health == STARLING_PASSING))
        return;
    if (c->state.health == STARLING_CRITICAL)
        sl_log(&node->log, SL_WARNING, "service %s is critical%s%s; not picked any more",
               c->service, colon, note);
    else
        sl_log(&node->log, SL_WARNING, "service %s is %s%s%s", c->service,
               c->state.health == STARLING_PASSING ? "passing again" : "warning", colon, note);
}

static void result(starling_node *node, struct sl_checker *c, sl_usec now,
                   enum starling_health health, const char *note)
{
    uint8_t was = c->state.health;
    bool was_held = c->state.held;
    hang_up(c);
    if (!sl_check_result(&c->state, now, &node->checks.rand, health, note))
        return;
    c->changed = true;
    tell_log(node, c, was, was_held);
}

static void fails(starling_node *node, struct sl_checker *c, sl_usec now, const char *note)
{
    result(node, c, now, STARLING_CRITICAL, note);
}

static void cannot_connect(starling_node *node, struct sl_checker *c, sl_usec now, int error)
{
    char note[64];
    switch (error) {
    case ECONNREFUSED:
        fails(node, c, now, "connection refused");
        return;
    case ECONNRESET:
        fails(node, c, now, "connection reset");
        return;
    case EHOSTUNREACH:
        fails(node, c, now, "no route to the host");
        return;
    case ENETUNREACH:
        fails(node, c, now, "the network is unreachable");
        return;
    case EMFILE:
    case ENFILE:
        fails(node, c, now, "no descriptor is left for the check");
        return;
    default:
        (void)snprintf(note, sizeof note, "no connection (errno %d)", error);
        fails(node, c, now, note);
    }
}

/* ---- one check ------------------------------------------------------------------------------ */

static void connected(starling_node *node, struct sl_checker *c, sl_usec now)
{
    c->connected = true;
    if (c->kind == STARLING_CHECK_TCP)
        result(node, c, now, STARLING_PASSING, "");
}

static void ask(starling_node *node, struct sl_checker *c, sl_usec now)
{
    int r = sl_call_ask(&c->call);
    char note[64];
    if (r == STARLING_EBUSY) {
        (void)snprintf(note, sizeof note, "the check has not returned for more than %lld ms",
                       (long long)(c->state.rules.timeout / 1000));
        fails(node, c, now, note);
    } else if (r < 0) {
        fails(node, c, now, "no thread is left for the check");
    }
}

static void start(starling_node *node, struct sl_checker *c, sl_usec now)
{
    if (c->kind == STARLING_CHECK_CALL) {
        ask(node, c, now);
        return;
    }
    c->connected = false;
    c->sent = 0;
    if (c->http != NULL)
        c->request_len = sl_http_request(c->http, &c->addr, c->request);
    int error = sl_dial(&c->addr, &c->fd);
    if (error == 0)
        connected(node, c, now);
    else if (error != EINPROGRESS)
        cannot_connect(node, c, now, error);
}

static void stop(starling_node *node, struct sl_checker *c, sl_usec now)
{
    char note[64];
    (void)snprintf(note, sizeof note, "no answer within %lld ms",
                   (long long)(c->state.rules.timeout / 1000));
    fails(node, c, now, note);
}

/* True: go on with reading. */
static bool send_request(starling_node *node, struct sl_checker *c, sl_usec now)
{
    ssize_t n = send(c->fd, c->request + c->sent, c->request_len - c->sent, MSG_NOSIGNAL);
    if (n >= 0)
        c->sent += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        cannot_connect(node, c, now, errno);
    return c->fd >= 0 && c->sent == c->request_len;
}

static void read_answer(starling_node *node, struct sl_checker *c, sl_usec now)
{
    uint8_t bytes[READ_BYTES];
    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0 && c->http->n_total == 0) {
            cannot_connect(node, c, now, errno);
            return;
        }
        if (n <= 0)
            sl_http_ended(c->http);
        if (n <= 0 || sl_http_receive(c->http, bytes, (size_t)n)) {
            result(node, c, now, c->http->health, c->http->note);
            return;
        }
    }
}

static void ready(starling_node *node, struct sl_checker *c, sl_usec now)
{
    if (!c->connected) {
        int error = sl_dial_result(c->fd);
        if (error != 0) {
            cannot_connect(node, c, now, error);
            return;
        }
        connected(node, c, now);
    }
    if (c->fd < 0 || (c->sent < c->request_len && !send_request(node, c, now)))
        return;
    read_answer(node, c, now);
}

static void called(starling_node *node, struct sl_checker *c, sl_usec now)
{
    int health;
    char note[STARLING_NOTE_MAX];
    if (!sl_call_answer(&c->call, &health, note) || !c->state.running)
        return;
    if (health >= STARLING_PASSING && health <= STARLING_CRITICAL) {
        result(node, c, now, (enum starling_health)health, note);
        return;
    }
    (void)snprintf(note, sizeof note, "the check returned %d, which is no health", health);
    fails(node, c, now, note);
}

/* ---- renewals ------------------------------------------------------------------------------- */

/* Pairs with the store in starling_renew(), under the lock of the table: either this sees the
 * renewal, or that sees the verdict it must wake us for. */
static sl_usec last_renewal(const struct sl_checker *c)
{
    return atomic_load_explicit(&c->renewed, memory_order_acquire);
}

static void renewed(starling_node *node, struct sl_checker *c, sl_usec now)
{
    sl_usec at = last_renewal(c);
    if (at == c->renewal)
        return;
    c->renewal = at;
    if (sl_after(at, c->state.rules.interval) <= now)
        return; /* it has lapsed again */
    uint8_t was = c->state.health;
    bool was_held = c->state.held;
    if (!sl_check_renewed(&c->state, at))
        return;
    c->changed = true;
    tell_log(node, c, was, was_held);
}

static void lapsed(starling_node *node, struct sl_checker *c, uint8_t was)
{
    c->changed = true;
    tell_log(node, c, was, c->state.held);
}

/* ---- a turn --------------------------------------------------------------------------------- */

static void step(starling_node *node, struct sl_checker *c, sl_usec now)
{
    uint8_t was = c->state.health;
    if (c->kind == STARLING_CHECK_TTL)
        renewed(node, c, now);
    if (c->kind == STARLING_CHECK_CALL)
        called(node, c, now);
    switch (sl_check_turn(&c->state, now)) {
    case SL_CHECK_WAIT:
        break;
    case SL_CHECK_START:
        start(node, c, now);
        break;
    case SL_CHECK_STOP:
        stop(node, c, now);
        break;
    case SL_CHECK_LAPSED:
        lapsed(node, c, was);
        break;
    }
    if (c->state.held && !c->told_slow && now - c->since >= SL_CHECK_SLOW) {
        c->told_slow = true;
        sl_log(&node->log, SL_WARNING,
               "service %s has not passed its check for %d s: not offered%s%s", c->service,
               (int)(SL_CHECK_SLOW / SL_SEC(1)), c->state.note[0] != '\0' ? ": " : "",
               c->state.note);
    }
}

static void hear(starling_node *node, sl_usec now)
{
    struct pollfd fds[SL_CHECKS_POLL_MAX];
    size_t n = sl_checks_poll(&node->checks, fds, SL_CHECKS_POLL_MAX), i = 0;
    if (n == 0 || poll(fds, (nfds_t)n, 0) <= 0)
        return;
    for (struct sl_checker *c = node->checks.first; c != NULL && i < n; c = c->next) {
        if (c->fd < 0 || c->fd != fds[i].fd)
            continue;
        if (fds[i++].revents != 0)
            ready(node, c, now);
    }
}

void sl_checks_turn(starling_node *node, sl_usec now)
{
    hear(node, now); /* before the time-outs: an answer that is here is not late */
    for (struct sl_checker *c = node->checks.first; c != NULL; c = c->next)
        if (!c->gone)
            step(node, c, now);
}

void sl_checks_meet(starling_node *node, struct sl_checker **ret_gone)
{
    struct sl_commands *commands = &node->commands;
    struct sl_checker **at = &node->checks.first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = commands->fresh;
    commands->fresh = NULL;
    for (at = &node->checks.first; *at != NULL;) {
        struct sl_checker *c = *at;
        if (c->offer == NULL) {
            *at = c->next;
            c->next = *ret_gone;
            *ret_gone = c;
            continue;
        }
        if (c->changed)
            sl_registration_judge(c->offer, (enum starling_health)c->state.health, c->state.note,
                                  c->state.held);
        c->changed = false;
        at = &c->next;
    }
}

void sl_checks_bury(starling_node *node, struct sl_checker *gone)
{
    while (gone != NULL) {
        struct sl_checker *c = gone;
        gone = c->next;
        hang_up(c);
        if (!sl_call_is_running(&c->call)) {
            sl_checker_free(c);
            continue;
        }
        c->gone = true;
        c->next = node->checks.first;
        node->checks.first = c;
    }
}

size_t sl_checks_poll(const struct sl_checks *checks, struct pollfd *fds, size_t cap)
{
    size_t n = 0;
    for (const struct sl_checker *c = checks->first; c != NULL && n < cap; c = c->next) {
        if (c->fd < 0)
            continue;
        bool writes = !c->connected || c->sent < c->request_len;
        fds[n++] = (struct pollfd){.fd = c->fd, .events = writes ? POLLOUT : POLLIN};
    }
    return n;
}

sl_usec sl_checks_deadline(const struct sl_checks *checks)
{
    sl_usec due = SL_NEVER;
    for (const struct sl_checker *c = checks->first; c != NULL; c = c->next) {
        if (c->gone)
            continue;
        due = sl_earlier(due, sl_check_deadline(&c->state));
        if (c->kind == STARLING_CHECK_TTL && c->state.health != STARLING_PASSING &&
            last_renewal(c) != c->renewal)
            return 0;
        if (c->state.held && !c->told_slow)
            due = sl_earlier(due, sl_after(c->since, SL_CHECK_SLOW));
    }
    return due;
}

void sl_checks_close(struct sl_checks *checks)
{
    for (struct sl_checker *c = checks->first; c != NULL; c = c->next)
        hang_up(c);
}

void sl_checks_free(struct sl_checks *checks)
{
    while (checks->first != NULL) {
        struct sl_checker *c = checks->first;
        checks->first = c->next;
        sl_checker_free(c);
    }
}
