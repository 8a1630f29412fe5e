/* transport_listen.c: the listening socket, and how it comes to another door while links are open.
 *
 * The CURVE secret of a listener is fixed when it is bound, and zmq_unbind drops whoever it accepted; between an
 * unbind and the next bind nobody listens, and whoever asks the kernel then is told that this process is gone,
 * which fells it. So the socket is ours, and libzmq gets duplicates of it (ZMQ_USE_FD). For another door the
 * same ROUTER is bound once more, to a further duplicate and with the new secret. The listener before it keeps
 * its connections, and is made deaf: its number is made to mean another socket, to which nobody can connect. The
 * kernel's queue is never without a listener, and no link ends.
 *
 * epoll knows a descriptor by its number and by the socket that it meant when it was added. So a deaf listener is
 * still woken for each connection, and finds nothing to accept (EAGAIN); and before libzmq takes it out, at the
 * end, its number has to mean the first socket again, or libzmq aborts (epoll.cpp, rm_fd). */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <starling.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/transport_parts.h"

#define WAIT_MS 1000 /* for libzmq's thread; it usually takes less than one */

/* One more listener of libzmq's on our socket, for this door. */
static int add_listener(struct sl_transport *t, const uint8_t secret[32])
{
    char text[SL_ADDR_TEXT], endpoint[SL_ADDR_TEXT + 8];
    int fd = fcntl(t->listen_fd, F_DUPFD_CLOEXEC, 0);
    sl_addr_format(text, &t->bound);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://%s", text);
    if (fd < 0)
        return sl_fail(STARLING_ELIMIT, "no descriptor is left to listen with");
    if (zmq_setsockopt(t->in, ZMQ_CURVE_SECRETKEY, secret, 32) < 0 ||
        zmq_setsockopt(t->in, ZMQ_USE_FD, &fd, sizeof fd) < 0 || zmq_bind(t->in, endpoint) < 0) {
        int reason = zmq_errno();
        (void)close(fd);
        return sl_fail(STARLING_EIO, "ZeroMQ cannot listen on %s: %s", text, zmq_strerror(reason));
    }
    t->listener_fd[t->n_listeners++] = fd;
    return 0;
}

static void take_doors(struct sl_transport *t, const struct sl_identity *identity)
{
    memcpy(t->door_public[0], identity->bundle.door_public, SL_KEY_LEN);
    memcpy(t->door_public[1], identity->bundle.second_door_public, SL_KEY_LEN);
    t->two_doors = identity->bundle.two_doors;
}

int sl_listen_open(struct sl_transport *t, const struct sl_addr *at,
                   const struct sl_identity *identity)
{
    int r = sl_gate_open(&t->gate, at, t->log, &t->listen_fd, &t->bound);
    if (r < 0)
        return r;
    take_doors(t, identity);
    return add_listener(t, identity->door_secret);
}

/* ---- another door ----------------------------------------------------------------------- */

/* A listener to whom nobody gets through: what arrives for it is dropped before it is looked at. */
static int open_deaf(struct sl_transport *t)
{
    const struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    static struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    static const struct sock_fprog filter = {.len = 1, .filter = &drop};
    if (t->deaf_fd >= 0)
        return 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 &&
        bind(fd, (const struct sockaddr *)&here, sizeof here) == 0 && listen(fd, 1) == 0) {
        t->deaf_fd = fd;
        return 0;
    }
    int r = sl_fail(STARLING_EIO, "no socket can be closed to everybody: %s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* zmq_bind returns before libzmq's thread has told epoll of the listener: had its number another meaning by then, it
 * would be the other socket that epoll knows, and the end would abort. That thread does what it is told in order, so an event of
 * a connection that was asked for later says that the listeners are in. It leads to the deaf socket, and nowhere. */
static int wait_for_listeners(struct sl_transport *t)
{
    char text[SL_ADDR_TEXT], endpoint[SL_ADDR_TEXT + 8];
    struct sl_addr deaf;
    struct sl_monitor monitor = {.socket = NULL};
    void *socket = zmq_socket(t->context, ZMQ_DEALER);
    const int linger = 0;
    bool seen = false;
    if (socket != NULL && zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
        sl_addr_of_socket(t->deaf_fd, &deaf) &&
        sl_monitor_open(&monitor, t->context, socket, ZMQ_EVENT_CONNECT_DELAYED,
                        "inproc://starling.listeners") == 0) {
        sl_addr_format(text, &deaf);
        (void)snprintf(endpoint, sizeof endpoint, "tcp://%s", text);
        zmq_pollitem_t item = {.socket = monitor.socket, .events = ZMQ_POLLIN};
        seen = zmq_connect(socket, endpoint) == 0 && zmq_poll(&item, 1, WAIT_MS) == 1;
    }
    sl_monitor_close(&monitor);
    if (socket != NULL)
        (void)zmq_close(socket);
    return seen ? 0 : sl_fail(STARLING_EIO, "ZeroMQ does not come to listen within %d ms", WAIT_MS);
}

int sl_transport_doors(struct sl_transport *t, const struct sl_identity *identity)
{
    if (memcmp(t->door_public[0], identity->bundle.door_public, SL_KEY_LEN) != 0) {
        if (t->n_listeners == SL_LISTENERS_MAX)
            return sl_fail(STARLING_ELIMIT, "the door has changed %d times since this node started",
                           SL_LISTENERS_MAX - 1);
        int r = open_deaf(t);
        if (r == 0)
            r = add_listener(t, identity->door_secret);
        if (r == 0)
            r = wait_for_listeners(t);
        if (r < 0)
            return r;
        /* Those before too: one of them may be left by a change that failed. dup3 over an open number fails in no way that
         * is of this world. */
        for (size_t i = 0; i + 1 < t->n_listeners; i++)
            (void)dup3(t->deaf_fd, t->listener_fd[i], O_CLOEXEC);
    }
    take_doors(t, identity);
    return 0;
}

void sl_listen_restore(struct sl_transport *t)
{
    for (size_t i = 0; i + 1 < t->n_listeners; i++)
        (void)dup3(t->listen_fd, t->listener_fd[i], O_CLOEXEC);
}

void sl_listen_close(struct sl_transport *t)
{
    if (t->listen_fd >= 0)
        (void)close(t->listen_fd);
    if (t->deaf_fd >= 0)
        (void)close(t->deaf_fd);
}
