/* transport_parts.h: the transport from the inside, shared by its three files: transport.c
 * (sockets, the order of things), transport_in.c (accepted connections), transport_out.c (dialled
 * ones). */
#ifndef SL_NODE_TRANSPORT_PARTS_H
#define SL_NODE_TRANSPORT_PARTS_H

#include "base/limits.h"
#include "node/gate.h"
#include "node/monitor.h"
#include "node/transport.h"
#include "node/zap.h"

/* PROTOCOL.md, "A link". Half-open = accepted and not admitted: above half of the cap the oldest is
 * cut unless it is younger than SL_HALF_OPEN_YOUNG, at the cap whatever its age. */
#define SL_LOBBY_TIME SL_SEC(2) /* from accepted to admitted */
#define SL_LOBBY_PLACES 32      /* first message heard, hello not proven */
#define SL_HALF_OPEN_MAX 64
#define SL_HALF_OPEN_YOUNG SL_MS(50)
/* Descriptors of those who are not admitted, those that libzmq is still to close included: then the gate is shut. */
#define SL_UNPROVEN_MAX 96
#define SL_DIAL_TIME SL_SEC(3) /* from the dial to the end of the handshake */
/* Turned away by a gate: to twice as long until the next knock, within the dial's time. */
#define SL_KNOCK_PAUSE SL_MS(50)
#define SL_KNOCKS_MAX 64
/* A cut waits so long after a send: libzmq cannot flush one link. */
#define SL_LAST_WORDS SL_MS(20)
/* See sl_dialled_event. */
#define SL_ASK_TIME SL_MS(5)
#define SL_ASK_TIMES 10
#define SL_QUARANTINE SL_MS(100)
#define SL_LONG_QUARANTINE SL_SEC(1)

#define SL_ACCEPTED_MAX (SL_LINKS_MAX + 2 * SL_HALF_OPEN_MAX)
#define SL_DIALLED_MAX (SL_LINKS_MAX + 64) /* some rest */

#define SL_LISTENERS_MAX 17 /* doors that one process listens on, one after the other */

#define SL_RID_LEN 5 /* of the routing ids libzmq makes: 00 | counter 4 */

enum sl_accepted_state {
    SL_ACC_FREE,
    SL_ACC_HALF,  /* accepted; nothing heard */
    SL_ACC_LOBBY, /* its first message was passed on */
    SL_ACC_LIVE,  /* admitted */
    SL_ACC_CUT    /* to be shut down at `deadline`, or done and waiting for libzmq to notice */
};

struct sl_accepted {
    enum sl_accepted_state state;
    int fd;                   /* libzmq's, as ACCEPTED named it; -1 once DISCONNECTED was read */
    bool tell;                /* the core is still to hear that it is down */
    uint32_t rid;             /* of the routing id that libzmq made: 00 | rid */
    uint64_t handshake;       /* its messages bear this number; 0 = none came yet */
    sl_link number;           /* 0 = the core does not know it, or no longer */
    uint64_t first_handshake; /* what bears a smaller number is of an earlier connection */
    uint64_t turn;            /* in which it entered the lobby */
    sl_usec deadline;
    sl_usec last_sent;
    uint8_t c_d[SL_KEY_LEN]; /* once its first message was passed on */
    struct sl_addr peer;     /* family 0 = it had gone before we looked */
};

enum sl_dialled_state {
    SL_DIAL_FREE,
    SL_DIAL_DIALLING,
    SL_DIAL_OPEN,
    SL_DIAL_CLOSING, /* cut, after its last words */
    SL_DIAL_ASKING,  /* failed or lost; libzmq is given the time to do its part */
    SL_DIAL_AGAIN,   /* another knock, once the address has rested */
    SL_DIAL_RESTING  /* over; the address is not dialled again yet */
};

enum sl_tell { SL_TELL_NOTHING, SL_TELL_DOWN, SL_TELL_REFUSED };

struct sl_dialled {
    enum sl_dialled_state state;
    enum sl_tell tell;
    int fd; /* as CONNECTED named it, else -1 */
    unsigned n_asked;
    uint8_t n_knocks; /* after the first */
    sl_link number;
    sl_usec deadline;
    sl_usec give_up; /* on the handshake */
    sl_usec last_sent;
    struct sl_addr addr;
    bool second_door, other_door; /* knocks at the second one; will at the other one */
    bool reset, same_door; /* the handshake ended by a reset; will knock at the same one again */
    uint8_t *hello;        /* what was said so far, for the next knock; NULL = nothing */
    size_t hello_len;
};

struct sl_transport {
    void *context, *in, *out;
    struct sl_zap zap;
    struct sl_gate gate;
    struct sl_monitor in_monitor, out_monitor;
    const struct sl_alloc *alloc;
    const struct sl_log *log;
    struct sl_addr bound;
    int spare_fd, nothing_fd;          /* see shut() in transport_in.c */
    int listen_fd, deaf_fd;            /* see transport_listen.c */
    int listener_fd[SL_LISTENERS_MAX]; /* libzmq's; the last one accepts */
    size_t n_listeners;
    struct sl_transport_stats stats;

    struct sl_accepted accepted[SL_ACCEPTED_MAX];
    size_t n_accepted;  /* slots ever used */
    uint64_t n_numbers; /* given to accepted links */
    uint32_t first_rid; /* libzmq's counter when the listener was opened */
    struct sl_dialled dialled[SL_DIALLED_MAX];
    size_t n_dialled;
    uint8_t door_public[SL_DOORS_MAX][SL_KEY_LEN]; /* of those we dial; we listen on the first */
    bool two_doors;

    sl_usec now; /* as the owner last said */
    uint64_t turn;
    unsigned n_tell;           /* links with something to tell */
    unsigned held_back;        /* messages passed on since there is */
    unsigned undrained;        /* calls of sl_transport_next since the monitors were drained */
    bool in_turn;              /* the accepting socket is read next */
    sl_link announced;         /* ACCEPT was told, and its first message is in `body` */
    zmq_msg_t rid, body;       /* the message in hand */
    bool multipart, oversized; /* of it: reasons to cut */
};

int sl_listen_open(struct sl_transport *t, const struct sl_addr *at,
                   const struct sl_identity *identity) SL_MUST_USE;
void sl_listen_restore(struct sl_transport *t); /* before the accepting socket is closed */
void sl_listen_close(struct sl_transport *t);   /* after libzmq has ended */
/* Its own address. */
bool sl_addr_of_socket(int fd, struct sl_addr *ret);

/* Of a message in hand: true when *ret has something to tell. */
bool sl_accepted_message(struct sl_transport *t, struct sl_heard *ret);
bool sl_dialled_message(struct sl_transport *t, struct sl_heard *ret);

void sl_accepted_event(struct sl_transport *t, const struct sl_monitor_event *e);
void sl_dialled_event(struct sl_transport *t, const struct sl_monitor_event *e);

void sl_accepted_turn(struct sl_transport *t);
unsigned sl_accepted_unproven(const struct sl_transport *t);
void sl_dialled_turn(struct sl_transport *t);

/* The next link that has to tell of its end. */
bool sl_accepted_tell(struct sl_transport *t, struct sl_heard *ret);
bool sl_dialled_tell(struct sl_transport *t, struct sl_heard *ret);

/* No place in the lobby, and whoever is in it has only just come: first let the core look at
 * them. */
bool sl_accepted_lobby_busy(const struct sl_transport *t);
bool sl_accepted_knows(const struct sl_transport *t, sl_link link);

/* Send under a routing id. */
bool sl_transport_put(void *socket, const void *rid, size_t rid_len, struct sl_span bytes,
                      int *ret_error);
bool sl_accepted_send(struct sl_transport *t, sl_link link, struct sl_span bytes);
bool sl_dialled_send(struct sl_transport *t, sl_link link, struct sl_span bytes);
void sl_accepted_cut(struct sl_transport *t, sl_link link);
void sl_dialled_cut(struct sl_transport *t, sl_link link);
void sl_dialled_fini(struct sl_transport *t);
#endif
