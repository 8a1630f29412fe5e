/* debug.c: the debug socket's listener and its clients.
 * A Unix stream socket of our own, not libzmq's ipc://, which aborts the host at its descriptor
 * limit, unlinks whatever is at its path and takes its mode from the umask. Nothing in
 * here blocks the I/O thread: a client gets what its socket takes, and the rest is made when it
 * has read that. */
#include "node/debug.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/crypto.h"
#include "node/debug_answer.h"
#include "node/debug_request.h"
#include "node/node.h"

#define SEND_AHEAD (16 * 1024)  /* bytes made before they are sent */
#define TURN_BYTES (256 * 1024) /* sent to one client in one turn: the flock comes first */
#define SLOW_AFTER SL_SEC(10)   /* nothing read for so long: dropped, with a marker */
#define IDLE_AFTER SL_SEC(60)   /* no request for so long */
#define ACCEPT_AGAIN SL_SEC(1)  /* after there was no descriptor */
#define BUSY_AGAIN SL_MS(1)
#define DRAIN_FOR SL_SEC(1) /* what a client still sends when its last answer is out */
#define READS_MAX 16        /* of one client in one turn */
#define BACKLOG 64
#define ACCEPT_MAX 32 /* in one turn */

enum client_state {
    READING,   /* wants a line */
    ANSWERING, /* `answer` has more */
    WATCHING,  /* likewise, once there are events */
    ENDING,    /* sends what is left */
    DRAINING   /* all is sent; to close now would take it from a client that still sends */
};

struct client {
    int fd; /* -1 = free */
    enum client_state state;
    bool eof; /* sends no more requests */
    bool told_slow;
    bool busy; /* the store's lock was taken */
    char in[SL_DEBUG_REQUEST_MAX + 1];
    size_t in_len;
    struct sl_text out;
    struct sl_answer answer;
    sl_usec deadline; /* to read on, or to ask */
};

struct sl_debug {
    starling_node *node;
    struct sl_rand rand;
    char path[SL_PATH_MAX], lock_path[SL_PATH_MAX];
    int lock_fd, listen_fd;
    int reserve_fd; /* so that somebody can look inside a host that has no descriptor left */
    ino_t inode;    /* of our socket's name */
    sl_usec now, accept_at;
    struct client clients[SL_DEBUG_CLIENTS_MAX];
};

/* ---- opening ---------------------------------------------------------------------------- */

static int reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Bind under a passing name, then rename over what a dead predecessor left. fchmod before bind
 * gives the name its mode without a moment of another one. */
static int listen_at(struct sl_debug *d, const char *dir)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    uint8_t random[6];
    char hex[2 * sizeof random + 1];
    sl_entropy(random, sizeof random);
    sl_hex(hex, random, sizeof random);
    int len = snprintf(sun.sun_path, sizeof sun.sun_path, "%s/%s.new", dir, hex);
    if (len < 0 || (size_t)len >= sizeof sun.sun_path || strlen(d->path) >= sizeof sun.sun_path)
        return sl_fail(
            STARLING_ELIMIT,
            "%s is too long for a socket (107 bytes): choose a shorter runtime directory", d->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool bound = false;
    if (fd < 0 || fchmod(fd, 0600) < 0)
        goto fail;
    if (bind(fd, (const struct sockaddr *)&sun, sizeof sun) < 0)
        goto fail;
    bound = true;
    struct stat st;
    if (listen(fd, BACKLOG) < 0 || lstat(sun.sun_path, &st) < 0 ||
        rename(sun.sun_path, d->path) < 0)
        goto fail;
    d->inode = st.st_ino;
    d->listen_fd = fd;
    return 0;

fail:;
    int error = errno;
    if (bound)
        (void)unlink(sun.sun_path);
    if (fd >= 0)
        (void)close(fd);
    return sl_fail(error == EMFILE || error == ENFILE ? STARLING_ELIMIT : STARLING_EIO,
                   "cannot listen at %s: %s", d->path, strerror(error));
}

int sl_debug_open(starling_node *node, const char *dir, const char *name, const char *id_hex,
                  struct sl_debug **ret)
{
    struct sl_debug *d = calloc(1, sizeof *d);
    if (d == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory");
    d->node = node;
    d->lock_fd = d->listen_fd = d->reserve_fd = -1;
    for (size_t i = 0; i < SL_DEBUG_CLIENTS_MAX; i++)
        d->clients[i].fd = -1;
    uint64_t seed;
    sl_entropy(&seed, sizeof seed);
    sl_rand_seed(&d->rand, seed);

    int r = sl_rundir_claim_name(dir, name, id_hex, ".lock", d->lock_path, &d->lock_fd);
    if (r < 0)
        goto fail;
    int base = (int)(strlen(d->lock_path) - strlen(".lock"));
    (void)snprintf(d->path, sizeof d->path, "%.*s.sock", base, d->lock_path);
    r = listen_at(d, dir);
    if (r < 0)
        goto fail;
    d->reserve_fd = reserve();
    *ret = d;
    return 0;

fail:
    sl_debug_close(d);
    return r;
}

static void client_close(struct sl_debug *d, struct client *c)
{
    (void)close(c->fd);
    c->fd = -1;
    sl_text_fini(&c->out);
    if (d->reserve_fd < 0)
        d->reserve_fd = reserve();
    d->accept_at = 0;
}

void sl_debug_close(struct sl_debug *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < SL_DEBUG_CLIENTS_MAX; i++)
        if (d->clients[i].fd >= 0)
            client_close(d, &d->clients[i]);
    struct stat st;
    if (d->listen_fd >= 0) {
        if (lstat(d->path, &st) == 0 && st.st_ino == d->inode)
            (void)unlink(d->path);
        (void)close(d->listen_fd);
    }
    if (d->lock_fd >= 0) {
        (void)unlink(d->lock_path); /* while it is ours: later it may be a successor's */
        (void)close(d->lock_fd);
    }
    if (d->reserve_fd >= 0)
        (void)close(d->reserve_fd);
    free(d);
}

const char *sl_debug_path(const struct sl_debug *d)
{
    return d->path;
}

/* ---- serving one client ----------------------------------------------------------------- */

static size_t unsent(const struct client *c)
{
    return c->out.len - c->out.sent;
}

/* The rest of its line cannot be had any more: end it, say why, and keep that for a while. */
static void drop_slow(struct sl_debug *d, struct client *c)
{
    c->told_slow = true;
    c->state = ENDING;
    c->deadline = sl_after(d->now, SLOW_AFTER);
    if (c->out.p[c->out.len - 1] != '\n')
        sl_text_add(&c->out, "\n", 1);
    sl_answer_error(&c->out, STARLING_ELIMIT, "dropped: the answer was not read in time");
}

static void begin(struct sl_debug *d, struct client *c, const char *line, size_t len)
{
    struct sl_request ask;
    char error[SL_REQUEST_ERROR_MAX];
    int r = sl_request_parse(line, len, &ask, error);
    c->deadline = sl_after(d->now, SLOW_AFTER);
    if (r < 0) {
        sl_answer_error(&c->out, r, error);
        return;
    }
    sl_answer_start(&c->answer, &ask);
    c->state = ask.cmd == SL_ASK_WATCH ? WATCHING : ANSWERING;
}

/* Take the next line out of what was read. */
static bool next_request(struct sl_debug *d, struct client *c)
{
    char *end = memchr(c->in, '\n', c->in_len);
    size_t len = end != NULL ? (size_t)(end - c->in) : c->in_len;
    if (end == NULL && !(c->eof && c->in_len > 0)) {
        if (c->in_len <= SL_DEBUG_REQUEST_MAX)
            return false;
        sl_answer_error(&c->out, STARLING_ELIMIT, "a request has at most 4096 bytes");
        c->state = ENDING;
        return true;
    }
    size_t taken = end != NULL ? len + 1 : len;
    begin(d, c, c->in, len);
    memmove(c->in, c->in + taken, c->in_len - taken);
    c->in_len -= taken;
    return true;
}

/* Nothing more is answered: what still comes is thrown away. */
static bool unwanted(const struct client *c)
{
    return c->state == ENDING || c->state == DRAINING;
}

static void client_read(struct client *c)
{
    for (int i = 0; i < READS_MAX && !c->eof; i++) {
        if (unwanted(c))
            c->in_len = 0;
        if (c->in_len == sizeof c->in)
            return;
        ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT);
        if (n > 0)
            c->in_len += (size_t)n;
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        else
            c->eof = true;
    }
}

/* 1 when something went, 0 when the socket is full, -1 when the client has gone. */
static int client_send(struct sl_debug *d, struct client *c)
{
    ssize_t n = send(c->fd, c->out.p + c->out.sent, unsent(c), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    c->out.sent += (size_t)n;
    c->deadline = sl_after(d->now, unsent(c) > 0 || c->state != READING ? SLOW_AFTER : IDLE_AFTER);
    return 1;
}

/* Make pieces until enough lie ready. */
static void client_fill(struct sl_debug *d, struct client *c)
{
    c->busy = false;
    while ((c->state == ANSWERING || c->state == WATCHING) && unsent(c) < SEND_AHEAD &&
           !c->out.failed) {
        switch (sl_answer_step(&c->answer, d->node, &d->rand, d->now, &c->out)) {
        case SL_ANSWER_MORE:
            break;
        case SL_ANSWER_DONE:
            c->state = READING;
            break;
        case SL_ANSWER_WAIT:
            return;
        case SL_ANSWER_BUSY:
            c->busy = true;
            return;
        }
    }
}

/* Everything that can be done for a client now. */
static void client_turn(struct sl_debug *d, struct client *c)
{
    size_t start_sent = 0;
    for (;;) {
        if (c->state == READING && unsent(c) < SEND_AHEAD)
            (void)next_request(d, c);
        client_fill(d, c);
        if (c->out.failed) {
            client_close(d, c);
            return;
        }
        size_t left = unsent(c);
        if (left == 0)
            break;
        int sent = client_send(d, c);
        if (sent < 0) {
            client_close(d, c);
            return;
        }
        start_sent += left - unsent(c);
        if (sent == 0 || start_sent >= TURN_BYTES)
            return;
    }
    if (c->state == ENDING) {
        c->state = DRAINING;
        c->in_len = 0;
        c->deadline = sl_after(d->now, DRAIN_FOR);
        (void)shutdown(c->fd, SHUT_WR);
    }
    if (c->eof && (c->state == DRAINING || (c->state == READING && c->in_len == 0)))
        client_close(d, c);
}

/* ---- newcomers -------------------------------------------------------------------------- */

static bool welcome(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void turn_away(int fd, const char *text, int code)
{
    struct sl_text out = {0};
    sl_answer_error(&out, code, text);
    if (!out.failed)
        (void)!send(fd, out.p, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    sl_text_fini(&out);
    (void)close(fd);
}

/* With no descriptor left the reserve makes room for one client; it is taken back when one goes. */
static int accept_one(struct sl_debug *d)
{
    int fd = accept4(d->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
        return fd;
    if (d->reserve_fd >= 0) {
        (void)close(d->reserve_fd);
        d->reserve_fd = -1;
        fd = accept4(d->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    if (fd < 0)
        d->accept_at = sl_after(d->now, ACCEPT_AGAIN);
    return fd;
}

static void accept_all(struct sl_debug *d)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept_one(d);
        if (fd < 0)
            return;
        struct client *c = NULL;
        for (size_t k = 0; k < SL_DEBUG_CLIENTS_MAX && c == NULL; k++)
            if (d->clients[k].fd < 0)
                c = &d->clients[k];
        if (!welcome(fd)) {
            turn_away(fd, "only the node's own user and root may ask", STARLING_EAUTH);
        } else if (c == NULL) {
            turn_away(fd, "16 clients are being served already", STARLING_ELIMIT);
        } else {
            memset(c, 0, sizeof *c);
            c->fd = fd;
            c->deadline = sl_after(d->now, IDLE_AFTER);
            continue;
        }
        if (d->reserve_fd < 0)
            d->reserve_fd = reserve();
    }
}

/* ---- driven by the loop ----------------------------------------------------------------- */

static bool wants_input(const struct client *c)
{
    return !c->eof && (c->in_len < sizeof c->in || unwanted(c));
}

size_t sl_debug_poll(const struct sl_debug *d, struct pollfd *fds, size_t cap)
{
    size_t n = 0;
    if (n < cap && d->accept_at <= d->now)
        fds[n++] = (struct pollfd){.fd = d->listen_fd, .events = POLLIN};
    for (size_t i = 0; i < SL_DEBUG_CLIENTS_MAX && n < cap; i++) {
        const struct client *c = &d->clients[i];
        if (c->fd < 0)
            continue;
        short events = 0;
        if (wants_input(c))
            events |= POLLIN;
        if (unsent(c) > 0)
            events |= POLLOUT;
        fds[n++] = (struct pollfd){.fd = c->fd, .events = events};
    }
    return n;
}

static void client_poll(struct sl_debug *d, struct client *c, short revents)
{
    /* Both ends of the connection are shut: nobody is left to read. */
    if ((revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 && (revents & POLLIN) == 0) {
        client_close(d, c);
        return;
    }
    if ((revents & POLLIN) != 0)
        client_read(c);
    if (revents != 0 || c->busy)
        client_turn(d, c);
    if (c->fd < 0 || c->deadline > d->now)
        return;
    if (c->state == WATCHING && unsent(c) == 0) /* silence is no fault of the client's */
        c->deadline = SL_NEVER;
    else if (unsent(c) > 0 && !c->told_slow)
        drop_slow(d, c);
    else if (!c->busy)
        client_close(d, c);
}

void sl_debug_turn(struct sl_debug *d, sl_usec now, const struct pollfd *fds, size_t n)
{
    d->now = now;
    bool newcomers = false;
    for (size_t i = 0; i < n; i++)
        newcomers = newcomers || (fds[i].fd == d->listen_fd && fds[i].revents != 0);
    for (size_t k = 0; k < SL_DEBUG_CLIENTS_MAX; k++) {
        struct client *c = &d->clients[k];
        short revents = 0;
        if (c->fd < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (fds[i].fd == c->fd)
                revents = fds[i].revents;
        client_poll(d, c, revents);
    }
    if (newcomers)
        accept_all(d);
}

void sl_debug_events(struct sl_debug *d)
{
    for (size_t i = 0; i < SL_DEBUG_CLIENTS_MAX; i++) {
        struct client *c = &d->clients[i];
        if (c->fd < 0 || c->state != WATCHING)
            continue;
        if (unsent(c) == 0) /* the time to read starts with something to read */
            c->deadline = sl_after(d->now, SLOW_AFTER);
        client_turn(d, c);
    }
}

sl_usec sl_debug_deadline(const struct sl_debug *d)
{
    sl_usec due = d->accept_at > d->now ? d->accept_at : SL_NEVER;
    for (size_t i = 0; i < SL_DEBUG_CLIENTS_MAX; i++) {
        const struct client *c = &d->clients[i];
        if (c->fd < 0)
            continue;
        due = sl_earlier(due, c->busy ? sl_after(d->now, BUSY_AGAIN) : c->deadline);
    }
    return due;
}
