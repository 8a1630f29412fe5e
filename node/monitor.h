/* monitor.h: what libzmq does to the connections of one socket, as a stream of events. */
#ifndef SL_NODE_MONITOR_H
#define SL_NODE_MONITOR_H

#include <zmq.h>

#include "base/addr.h"

/* All that links come and go by. */
#define SL_MONITOR_LINKS                                                                           \
    (ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |        \
     ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |                        \
     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct sl_monitor {
    void *watched; /* the socket it is about */
    void *socket;  /* where its events are read */
};

struct sl_monitor_event {
    unsigned type; /* ZMQ_EVENT_... */
    int value;     /* a descriptor or an error, as the type says */
    struct sl_addr
        addr; /* our listener's (accepting) or the peer's (connecting); family 0 = unreadable */
};

/* `events` are libzmq's, or-ed; `name` is unique in the context. 0 or STARLING_EIO. */
int sl_monitor_open(struct sl_monitor *m, void *zmq_context, void *watched, int events,
                    const char *name) SL_MUST_USE;
/* Before the socket that is watched is closed. */
void sl_monitor_close(struct sl_monitor *m);
/* The next event; false when there is none. */
bool sl_monitor_next(struct sl_monitor *m, struct sl_monitor_event *ret) SL_MUST_USE;
#endif
