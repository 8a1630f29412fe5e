/* check.c: a connect that says whether a service answers. */
#include "cli/check.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int check_init(struct check *c, const char *host, unsigned port, int64_t every_ms)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[16];
    *c = (struct check){.fd = -1, .every_ms = every_ms};
    (void)snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return -1;
    memcpy(&c->addr, found->ai_addr, found->ai_addrlen);
    c->addr_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void check_fini(struct check *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
}

static enum check_news settle(struct check *c, int64_t now, bool passed)
{
    check_fini(c);
    c->due = now + (c->passed_once || passed ? c->every_ms : CHECK_FIRST_MS);
    if (passed) {
        bool was_critical = c->critical, first = !c->passed_once;
        c->passed_once = true;
        c->critical = false;
        c->n_failed = 0;
        return first ? CHECK_FIRST_PASS : was_critical ? CHECK_PASSING : CHECK_NOTHING;
    }
    c->n_failed++;
    if (!c->passed_once || c->critical || c->n_failed < CHECK_FALL)
        return CHECK_NOTHING;
    c->critical = true;
    return CHECK_CRITICAL;
}

/* Connecting to a free port of this host can meet itself; nobody listens then. */
static bool met_itself(int fd)
{
    struct sockaddr_storage own, peer;
    socklen_t own_len = sizeof own, peer_len = sizeof peer;
    memset(&own, 0, sizeof own);
    memset(&peer, 0, sizeof peer);
    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && own_len == peer_len &&
           memcmp(&own, &peer, own_len) == 0;
}

static enum check_news start(struct check *c, int64_t now)
{
    c->fd = socket(c->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return settle(c, now, false);
    if (connect(c->fd, (const struct sockaddr *)&c->addr, c->addr_len) == 0)
        return settle(c, now, !met_itself(c->fd));
    if (errno != EINPROGRESS)
        return settle(c, now, false);
    c->due = now + CHECK_TIMEOUT_MS;
    return CHECK_NOTHING;
}

enum check_news check_turn(struct check *c, int64_t now, bool ready)
{
    if (c->fd >= 0 && ready) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
        return settle(c, now, error == 0 && !met_itself(c->fd));
    }
    if (now < c->due)
        return CHECK_NOTHING;
    return c->fd >= 0 ? settle(c, now, false) : start(c, now);
}
