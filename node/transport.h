/* transport.h: the flock's connections over ZeroMQ, CURVE-encrypted (docs/PROTOCOL.md, "A link").
 *
 * Two ROUTER sockets in a context of their own: one only binds, one only connects, each connect
 * under a routing id never used before, and one zmq_connect is one session (libzmq never
 * reconnects: we dial again). Mixing the two lets a remote peer abort the process. What libzmq
 * 4.3.4 gets wrong and how each case is met is told where it is met. One owner thread; the owner
 * polls sl_transport_poll_items. */
#ifndef SL_NODE_TRANSPORT_H
#define SL_NODE_TRANSPORT_H

#include <zmq.h>

#include "base/addr.h"
#include "base/port.h"
#include "gossip/gossip.h"
#include "node/identity.h"

struct sl_transport;

/* What the transport has to tell, pulled like the core's output. */
enum sl_heard_type {
    SL_HEARD_ACCEPT, /* a first message came over a new accepted connection: c_d is its CURVE key */
    SL_HEARD_BYTES,  /* one whole message of `link` */
    SL_HEARD_DOWN,   /* the connection ended, or a dial failed */
    SL_HEARD_REFUSED /* a dial was refused */
};
struct sl_heard {
    enum sl_heard_type type;
    sl_link link;
    uint8_t c_d[SL_KEY_LEN]; /* of ACCEPT */
    struct sl_span bytes;    /* of BYTES; until the next call */
};

struct sl_transport_stats {
    uint64_t accepted, handshakes, handshakes_failed, zap_allowed, zap_refused, zap_barred,
        no_user_id, multipart, brought_identity, oversized, send_dropped, lobby_evicted,
        turned_away; /* closed unseen at the gate; what the kernel dropped in front of it is not known */
    unsigned links_in, links_out, half_open;
    unsigned held_off; /* addresses that connect too often now */
};

/* Binds (port 0 = a free one; the bound address is *ret_bound). Checks descriptor headroom first.
 * 0, STARLING_EUNAVAIL (address in use or not of this host), ELIMIT (descriptors), ENOMEM, EIO. */
int sl_transport_open(const struct sl_addr *listen, const struct sl_identity *identity,
                      const struct sl_alloc *alloc, const struct sl_log *log,
                      struct sl_transport **ret, struct sl_addr *ret_bound) SL_MUST_USE;
void sl_transport_close(struct sl_transport *t);

/* Listen on the first door and dial all, from now on; links stay. Those of `identity` are borrowed for the call. 0, or
 * STARLING_ELIMIT, EIO: all is as it was, and a start of the process would do it. Waits for libzmq's thread, up to a second. */
int sl_transport_doors(struct sl_transport *t, const struct sl_identity *identity) SL_MUST_USE;

#define SL_TRANSPORT_POLL_MAX 8
/* Fill items to poll; returns how many. */
size_t sl_transport_poll_items(struct sl_transport *t, zmq_pollitem_t *items);
/* Serve ZAP and the monitors (first, always: an undrained monitor stops libzmq's I/O thread). */
void sl_transport_turn(struct sl_transport *t, sl_usec now);
/* The next thing heard; false when there is nothing more for now. Monitors before payloads. */
bool sl_transport_next(struct sl_transport *t, sl_usec now, struct sl_heard *ret);
/* When turn wants to be called although nothing arrived (dial and lobby time-outs); SL_NEVER. */
sl_usec sl_transport_deadline(const struct sl_transport *t);

void sl_transport_dial(struct sl_transport *t, sl_usec now, sl_link link,
                       const struct sl_addr *addr);
/* False when it was dropped: no such link, or its queue is full. */
bool sl_transport_send(struct sl_transport *t, sl_link link, struct sl_span bytes);
void sl_transport_cut(struct sl_transport *t, sl_link link);
/* Whoever dialled this link is refused in the handshake for ten seconds, as long as it dials with the same key. */
void sl_transport_bar(struct sl_transport *t, sl_usec now, sl_link link);
/* The accepted link proved its hello (core let it live): it leaves the lobby. */
void sl_transport_admit(struct sl_transport *t, sl_link link);
void sl_transport_stats(const struct sl_transport *t, struct sl_transport_stats *ret);
#endif
