/* monitor.c: read a socket's monitor.
 * Two traps (libzmq 4.3.4): whoever leaves 2,000 events unread stops libzmq's whole I/O thread,
 * which waits to write the next; and it waits with the lock that stopping a monitor needs. So
 * monitors are drained first in every turn, and drained once more right before they are stopped. */
#include "node/monitor.h"

#include <errno.h>
#include <starling.h>
#include <zmq.h>

#include "base/error.h"

int sl_monitor_open(struct sl_monitor *m, void *zmq_context, void *watched, int events,
                    const char *name)
{
    int linger = 0;
    m->watched = watched;
    m->socket = NULL;
    if (zmq_socket_monitor(watched, name, events) < 0)
        goto fail;
    m->socket = zmq_socket(zmq_context, ZMQ_PAIR);
    if (m->socket == NULL || zmq_setsockopt(m->socket, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
        zmq_connect(m->socket, name) < 0)
        goto fail;
    return 0;
fail:;
    int r = sl_fail(STARLING_EIO, "cannot watch a ZeroMQ socket: %s", zmq_strerror(zmq_errno()));
    sl_monitor_close(m);
    return r;
}

void sl_monitor_close(struct sl_monitor *m)
{
    struct sl_monitor_event ignored;
    while (m->socket != NULL && sl_monitor_next(m, &ignored))
        ;
    if (m->watched != NULL)
        (void)zmq_socket_monitor(m->watched, NULL, 0);
    if (m->socket != NULL)
        (void)zmq_close(m->socket);
    m->watched = m->socket = NULL;
}

/* One frame into out, at most cap bytes of it. Its length, or -1. */
static int take_frame(void *socket, void *out, size_t cap, bool *ret_more)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    int r;
    do
        r = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT);
    while (r < 0 && zmq_errno() == EINTR);
    if (r >= 0) {
        size_t len = zmq_msg_size(&frame) < cap ? zmq_msg_size(&frame) : cap;
        memcpy(out, zmq_msg_data(&frame), len);
        r = (int)len;
        *ret_more = zmq_msg_more(&frame) != 0;
    }
    zmq_msg_close(&frame);
    return r;
}

bool sl_monitor_next(struct sl_monitor *m, struct sl_monitor_event *ret)
{
    uint8_t head[6];
    char where[SL_ADDR_TEXT + 8];
    bool more = false;
    uint16_t type;
    int32_t value;
    int len = take_frame(m->socket, head, sizeof head, &more);
    if (len < 0)
        return false;

    memset(ret, 0, sizeof *ret);
    if (len == (int)sizeof head) { /* in the host's byte order */
        memcpy(&type, head, sizeof type);
        memcpy(&value, head + 2, sizeof value);
        ret->type = type;
        ret->value = value;
    }
    while (more) {
        len = take_frame(m->socket, where, sizeof where, &more);
        if (len < 0)
            break;
        if (len > 6 && memcmp(where, "tcp://", 6) == 0 &&
            sl_addr_parse(&ret->addr, where + 6, (size_t)len - 6, 0) < 0)
            ret->addr.family = 0;
    }
    return true;
}
