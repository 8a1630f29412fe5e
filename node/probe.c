/* probe.c: non-blocking connects that ask one question.
 * Refused is the kernel's word that the process is gone, and worth a sighting at once; accepted
 * says only that a kernel is there (a stopped process's backlog accepts too); anything else is
 * silence. */
#include "node/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

void sl_probes_init(struct sl_probes *p)
{
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < SL_PROBES_MAX; i++)
        p->slot[i].fd = -1;
}

void sl_probes_fini(struct sl_probes *p)
{
    for (size_t i = 0; i < SL_PROBES_MAX; i++)
        if (p->slot[i].used && p->slot[i].fd >= 0)
            (void)close(p->slot[i].fd);
    sl_probes_init(p);
}

static void answer(struct sl_probe *s, enum sl_probe_result result)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    s->answered = true;
    s->result = result;
}

/* Connecting to a free local port can meet itself (simultaneous open, RFC 793 3.4): then nobody
 * listens there. */
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

static int start(int fd, const struct sl_addr *addr)
{
    if (addr->family == 6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
        memcpy(&in6.sin6_addr, addr->ip, 16);
        return connect(fd, (const struct sockaddr *)&in6, sizeof in6);
    }
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    memcpy(&in.sin_addr, addr->ip, 4);
    return connect(fd, (const struct sockaddr *)&in, sizeof in);
}

int sl_dial(const struct sl_addr *addr, int *ret_fd)
{
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    *ret_fd = -1;
    if (addr->family == 0)
        return EADDRNOTAVAIL;
    int fd = socket(addr->family == 6 ? AF_INET6 : AF_INET, type, 0);
    if (fd < 0)
        return errno;
    *ret_fd = fd;
    if (start(fd, addr) < 0)
        return errno;
    return met_itself(fd) ? ECONNREFUSED : 0;
}

int sl_dial_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno;
    return error == 0 && met_itself(fd) ? ECONNREFUSED : error;
}

static enum sl_probe_result judge(int error)
{
    if (error == 0)
        return SL_PROBE_OPEN;
    return error == ECONNREFUSED ? SL_PROBE_REFUSED : SL_PROBE_SILENT;
}

static struct sl_probe *free_slot(struct sl_probes *p)
{
    for (size_t i = 0; i < SL_PROBES_MAX; i++)
        if (!p->slot[i].used)
            return &p->slot[i];
    return NULL;
}

void sl_probes_start(struct sl_probes *p, sl_usec now, uint64_t number, const struct sl_addr *addr)
{
    struct sl_probe *s = free_slot(p);
    if (s == NULL) {
        if (p->n_crowded < SL_PROBES_CROWDED_MAX)
            p->crowded[p->n_crowded++] = number;
        return;
    }
    *s = (struct sl_probe){
        .fd = -1, .used = true, .number = number, .deadline = sl_after(now, SL_PROBE_TIMEOUT)};
    p->n++;
    int error = sl_dial(addr, &s->fd);
    if (error != EINPROGRESS)
        answer(s, judge(error));
}

size_t sl_probes_poll(const struct sl_probes *p, struct pollfd *fds, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; p->n > 0 && i < SL_PROBES_MAX && n < cap; i++)
        if (p->slot[i].used && p->slot[i].fd >= 0)
            fds[n++] = (struct pollfd){.fd = p->slot[i].fd, .events = POLLOUT};
    return n;
}

/* Settle every connect that has an answer or has waited long enough. */
static void settle(struct sl_probes *p, sl_usec now)
{
    struct pollfd fds[SL_PROBES_MAX];
    struct sl_probe *slots[SL_PROBES_MAX];
    nfds_t n = 0;
    for (size_t i = 0; i < SL_PROBES_MAX; i++) {
        struct sl_probe *s = &p->slot[i];
        if (!s->used || s->answered)
            continue;
        slots[n] = s;
        fds[n++] = (struct pollfd){.fd = s->fd, .events = POLLOUT};
    }
    if (n > 0 && poll(fds, n, 0) < 0)
        return;
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].revents != 0) {
            answer(slots[i], judge(sl_dial_result(fds[i].fd)));
        } else if (slots[i]->deadline <= now) {
            answer(slots[i], SL_PROBE_SILENT);
        }
    }
}

static bool take_answer(struct sl_probes *p, uint64_t *ret_number, enum sl_probe_result *ret)
{
    for (size_t i = 0; i < SL_PROBES_MAX; i++) {
        struct sl_probe *s = &p->slot[i];
        if (!s->used || !s->answered)
            continue;
        *ret_number = s->number;
        *ret = s->result;
        *s = (struct sl_probe){.fd = -1};
        p->n--;
        return true;
    }
    return false;
}

bool sl_probes_next(struct sl_probes *p, sl_usec now, uint64_t *ret_number,
                    enum sl_probe_result *ret)
{
    if (p->n_crowded > 0) {
        *ret_number = p->crowded[--p->n_crowded];
        *ret = SL_PROBE_SILENT;
        return true;
    }
    if (p->n == 0)
        return false;
    if (take_answer(p, ret_number, ret))
        return true;
    settle(p, now);
    return take_answer(p, ret_number, ret);
}

sl_usec sl_probes_deadline(const struct sl_probes *p)
{
    sl_usec due = p->n_crowded > 0 ? 0 : SL_NEVER;
    for (size_t i = 0; p->n > 0 && i < SL_PROBES_MAX; i++)
        if (p->slot[i].used)
            due = sl_earlier(due, p->slot[i].answered ? 0 : p->slot[i].deadline);
    return due;
}
