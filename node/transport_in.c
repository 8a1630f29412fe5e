/* transport_in.c: accepted connections, from the descriptor in a monitor event to a link that is
 * admitted.
 *
 * Three sources speak of one connection and only two of them name its descriptor: ACCEPTED and
 * DISCONNECTED (descriptor), the ZAP request (CURVE key), a message (descriptor, routing id, and
 * the user id that our ZAP answer chose). Descriptors are reused, so a message may come from an
 * earlier connection than the one that has its descriptor now. What decides is the handshake's
 * number in the user id: a connection remembers the next number at the time its ACCEPTED was read,
 * and monitors are drained before each number is given, so that whatever bears a smaller number is
 * not of this connection. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "node/transport_parts.h"

/* Numbers of accepted links are even; the slot is part of them. */
#define SLOT_BITS 9
_Static_assert(SL_ACCEPTED_MAX <= 1 << SLOT_BITS, "the slot must fit into the number");

static struct sl_accepted *find_link(struct sl_transport *t, sl_link link)
{
    size_t slot = (size_t)(link >> 1) & ((1 << SLOT_BITS) - 1);
    if (link == 0 || (link & 1) != 0 || slot >= t->n_accepted)
        return NULL;
    struct sl_accepted *a = &t->accepted[slot];
    return a->state != SL_ACC_FREE && a->number == link ? a : NULL;
}

static struct sl_accepted *find_fd(struct sl_transport *t, int fd)
{
    for (size_t i = 0; fd >= 0 && i < t->n_accepted; i++) {
        if (t->accepted[i].state != SL_ACC_FREE && t->accepted[i].fd == fd)
            return &t->accepted[i];
    }
    return NULL;
}

static struct sl_accepted *find_handshake(struct sl_transport *t, uint64_t handshake)
{
    for (size_t i = 0; i < t->n_accepted; i++) {
        struct sl_accepted *a = &t->accepted[i];
        if (a->state != SL_ACC_FREE && a->handshake == handshake)
            return a;
    }
    return NULL;
}

/* The one in `state` whose time is up first. Since deadlines in one state are handed out in order,
 * that is the oldest. */
static struct sl_accepted *oldest(struct sl_transport *t, enum sl_accepted_state state)
{
    struct sl_accepted *found = NULL;
    for (size_t i = 0; i < t->n_accepted; i++) {
        struct sl_accepted *a = &t->accepted[i];
        if (a->state == state && (found == NULL || a->deadline < found->deadline))
            found = a;
    }
    return found;
}

static unsigned count(const struct sl_transport *t, enum sl_accepted_state state)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->n_accepted; i++)
        n += t->accepted[i].state == state;
    return n;
}

/* ---- cutting one of them ---------------------------------------------------------------- */

static bool addr_of(int fd, int (*call)(int, struct sockaddr *, socklen_t *), struct sl_addr *ret)
{
    struct sockaddr_storage s;
    socklen_t len = sizeof s;
    memset(ret, 0, sizeof *ret);
    if (call(fd, (struct sockaddr *)&s, &len) < 0)
        return false;
    if (s.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&s;
        ret->family = 4;
        ret->port = ntohs(v4->sin_port);
        memcpy(ret->ip, &v4->sin_addr, 4);
    } else if (s.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&s;
        ret->family = 6;
        ret->port = ntohs(v6->sin6_port);
        memcpy(ret->ip, &v6->sin6_addr, 16);
    }
    return ret->family != 0;
}

bool sl_addr_of_socket(int fd, struct sl_addr *ret)
{
    return addr_of(fd, getsockname, ret);
}

/* libzmq cannot close one accepted connection, so it is done behind its back. The descriptor is
 * libzmq's: it may have been closed and given to anybody in this process since the event, so
 * nothing is done to the number itself. It is duplicated, the duplicate is checked to be a
 * connection to our listener from the peer that was seen at ACCEPTED, and that is shut down; libzmq
 * then reads its end and says DISCONNECTED. dup3 over a descriptor kept for this works at the
 * descriptor limit too, where making room matters most. */
static void shut(struct sl_transport *t, int fd, const struct sl_addr *peer)
{
    struct sl_addr local, remote;
    if (dup3(fd, t->spare_fd, O_CLOEXEC) < 0)
        return; /* closed by libzmq: its DISCONNECTED is on the way */
    if (addr_of(t->spare_fd, getsockname, &local) && local.port == t->bound.port &&
        addr_of(t->spare_fd, getpeername, &remote) && sl_addr_eq(&remote, peer))
        (void)shutdown(t->spare_fd, SHUT_RDWR);
    (void)dup3(t->nothing_fd, t->spare_fd, O_CLOEXEC);
}

static void release(struct sl_accepted *a)
{
    if (a->fd < 0 && !a->tell)
        a->state = SL_ACC_FREE;
}

/* Cut at `when`. The slot stays until libzmq has closed the descriptor and the core knows. */
static void cut_at(struct sl_transport *t, struct sl_accepted *a, sl_usec when)
{
    a->state = SL_ACC_CUT;
    a->deadline = when;
    if (a->fd < 0) {
        release(a);
    } else if (when <= t->now) {
        a->deadline = SL_NEVER;
        shut(t, a->fd, &a->peer);
    }
}

/* Our own decision: the core hears of it. */
static void throw_out(struct sl_transport *t, struct sl_accepted *a)
{
    if (a->number != 0 && !a->tell) {
        a->tell = true;
        t->n_tell++;
    }
    cut_at(t, a, t->now);
}

static void evict(struct sl_transport *t, struct sl_accepted *a)
{
    t->stats.lobby_evicted++;
    throw_out(t, a);
}

void sl_accepted_cut(struct sl_transport *t, sl_link link)
{
    struct sl_accepted *a = find_link(t, link);
    if (a == NULL)
        return;
    a->number = 0;
    if (a->tell) {
        a->tell = false;
        t->n_tell--;
    }
    cut_at(t, a, sl_after(a->last_sent, SL_LAST_WORDS));
}

/* ---- coming and going ------------------------------------------------------------------- */

/* Strangers are evicted, not held off: a newcomer may be a member, and whoever sits here without a
 * word has had its chance. */
static void make_room(struct sl_transport *t)
{
    unsigned half_open = count(t, SL_ACC_HALF) + count(t, SL_ACC_LOBBY);
    struct sl_accepted *a = oldest(t, SL_ACC_HALF);
    if (a == NULL || half_open < SL_HALF_OPEN_MAX / 2)
        return;
    sl_usec age = t->now - (a->deadline - SL_LOBBY_TIME);
    if (half_open >= SL_HALF_OPEN_MAX || age > SL_HALF_OPEN_YOUNG)
        evict(t, a);
}

unsigned sl_accepted_unproven(const struct sl_transport *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->n_accepted; i++)
        n += t->accepted[i].state != SL_ACC_FREE && t->accepted[i].state != SL_ACC_LIVE &&
             t->accepted[i].fd >= 0;
    return n;
}

static bool same_host(const struct sl_addr *a, const struct sl_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 6 ? 16 : 4) == 0;
}

/* There is a link with this host. */
static bool is_known(const struct sl_transport *t, const struct sl_addr *peer)
{
    for (size_t i = 0; i < t->n_accepted; i++) {
        if (t->accepted[i].state == SL_ACC_LIVE && same_host(&t->accepted[i].peer, peer))
            return true;
    }
    for (size_t i = 0; i < t->n_dialled; i++) {
        if (t->dialled[i].state == SL_DIAL_OPEN && same_host(&t->dialled[i].addr, peer))
            return true;
    }
    return false;
}

static struct sl_accepted *free_slot(struct sl_transport *t)
{
    for (size_t i = 0; i < t->n_accepted; i++) {
        if (t->accepted[i].state == SL_ACC_FREE)
            return &t->accepted[i];
    }
    return t->n_accepted < SL_ACCEPTED_MAX ? &t->accepted[t->n_accepted++] : NULL;
}

static void disconnected(struct sl_transport *t, int fd)
{
    struct sl_accepted *a = find_fd(t, fd);
    if (a == NULL)
        return;
    a->fd = -1;
    a->deadline = SL_NEVER;
    if (a->number != 0 && !a->tell) {
        a->tell = true;
        t->n_tell++;
    }
    release(a);
}

static void accepted(struct sl_transport *t, int fd)
{
    struct sl_addr local, peer;
    t->stats.accepted++;
    disconnected(t, fd); /* whoever had this number before has it no more */
    make_room(t);
    /* What has this number by now may be something else; then DISCONNECTED is in the queue. */
    if (!addr_of(fd, getsockname, &local) || local.port != t->bound.port ||
        !addr_of(fd, getpeername, &peer))
        memset(&peer, 0, sizeof peer);
    sl_gate_came(&t->gate, t->now, &peer, is_known(t, &peer));

    struct sl_accepted *a = free_slot(t);
    if (a == NULL) {
        t->stats.lobby_evicted++;
        shut(t, fd, &peer);
        return;
    }
    *a = (struct sl_accepted){.state = SL_ACC_HALF,
                              .fd = fd,
                              .first_handshake = t->zap.handshakes,
                              .deadline = sl_after(t->now, SL_LOBBY_TIME),
                              .last_sent = t->now - SL_LAST_WORDS,
                              .peer = peer};
}

void sl_accepted_event(struct sl_transport *t, const struct sl_monitor_event *e)
{
    switch (e->type) {
    case ZMQ_EVENT_ACCEPTED:
        accepted(t, e->value);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        disconnected(t, e->value);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: /* names no descriptor */
        t->stats.handshakes++;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        t->stats.handshakes_failed++;
        break;
    default: /* of the listener itself */
        break;
    }
}

void sl_accepted_turn(struct sl_transport *t)
{
    for (size_t i = 0; i < t->n_accepted; i++) {
        struct sl_accepted *a = &t->accepted[i];
        if (t->now < a->deadline)
            continue;
        switch (a->state) {
        case SL_ACC_HALF:
        case SL_ACC_LOBBY:
            evict(t, a);
            break;
        case SL_ACC_CUT:
            cut_at(t, a, t->now);
            break;
        case SL_ACC_FREE:
        case SL_ACC_LIVE:
            break;
        }
    }
}

/* ---- messages --------------------------------------------------------------------------- */

/* The lobby is full: the one that has been in it longest goes, since a hello that is good is proven
 * in the turn it is heard in. */
static void make_lobby_room(struct sl_transport *t)
{
    if (count(t, SL_ACC_LOBBY) < SL_LOBBY_PLACES)
        return;
    struct sl_accepted *a = oldest(t, SL_ACC_LOBBY);
    if (a != NULL)
        evict(t, a);
}

bool sl_accepted_lobby_busy(const struct sl_transport *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->n_accepted; i++)
        n += t->accepted[i].state == SL_ACC_LOBBY && t->accepted[i].turn == t->turn;
    return n >= SL_LOBBY_PLACES;
}

/* Who may choose its routing id can choose the one that libzmq makes next, and libzmq aborts when
 * it does. As things are that is a guess (transport.c, make_sockets), and nobody here gets to guess
 * for long. A name that begins with 00 reads as an empty Identity; it is told by the counter, which
 * cannot be further than handshakes were let in. */
static bool brought_identity(struct sl_transport *t)
{
    const char *identity = zmq_msg_gets(&t->body, "Identity");
    const uint8_t *rid = zmq_msg_data(&t->rid);
    if ((identity != NULL && identity[0] != '\0') || zmq_msg_size(&t->rid) != SL_RID_LEN ||
        rid[0] != 0)
        return true;
    uint32_t nth = sl_get32(rid + 1) - t->first_rid;
    return nth == 0 || nth >= t->zap.handshakes;
}

/* The first message of a connection: do we let it speak? */
static bool first_message(struct sl_transport *t, uint64_t handshake, struct sl_heard *ret)
{
    struct sl_accepted *a = find_fd(t, zmq_msg_get(&t->body, ZMQ_SRCFD));
    if (a == NULL || a->state != SL_ACC_HALF || handshake < a->first_handshake)
        return false; /* its connection has ended, or is to end */
    a->handshake = handshake;

    bool too_long = zmq_msg_size(&t->body) > SL_LOBBY_FRAME_MAX && !t->oversized;
    bool brought = brought_identity(t);
    t->stats.oversized += too_long;
    t->stats.brought_identity += brought;
    if (brought || too_long || t->oversized || t->multipart) {
        throw_out(t, a);
        return false;
    }

    make_lobby_room(t);
    a->state = SL_ACC_LOBBY;
    a->turn = t->turn;
    memcpy(a->c_d, ret->c_d, SL_KEY_LEN);
    a->rid = sl_get32((const uint8_t *)zmq_msg_data(&t->rid) + 1);
    a->number = (++t->n_numbers << (SLOT_BITS + 1)) | (uint64_t)(a - t->accepted) << 1;
    t->announced = a->number;
    ret->type = SL_HEARD_ACCEPT;
    ret->link = a->number;
    return true;
}

bool sl_accepted_message(struct sl_transport *t, struct sl_heard *ret)
{
    /* Of the payload, not of the routing id's frame, where 4.3.4 loses it after a poll. */
    const char *user_id = zmq_msg_gets(&t->body, "User-Id");
    uint64_t handshake;
    if (user_id == NULL || !sl_zap_read_user_id(user_id, ret->c_d, &handshake)) {
        /* ZAP is enforced, so this cannot be; if it is, nobody has checked who that is. */
        struct sl_accepted *stranger = find_fd(t, zmq_msg_get(&t->body, ZMQ_SRCFD));
        t->stats.no_user_id++;
        if (stranger != NULL && stranger->state != SL_ACC_CUT)
            throw_out(t, stranger);
        return false;
    }
    struct sl_accepted *a = find_handshake(t, handshake);
    if (a == NULL)
        return first_message(t, handshake, ret);
    if (a->state == SL_ACC_CUT || a->number == 0)
        return false;
    if (a->state == SL_ACC_LOBBY) {
        evict(t, a); /* one small message is all a stranger gets */
        return false;
    }
    if (t->multipart || t->oversized) {
        throw_out(t, a);
        return false;
    }
    ret->type = SL_HEARD_BYTES;
    ret->link = a->number;
    ret->bytes = sl_span_of(zmq_msg_data(&t->body), zmq_msg_size(&t->body));
    return true;
}

bool sl_accepted_knows(const struct sl_transport *t, sl_link link)
{
    size_t slot = (size_t)(link >> 1) & ((1 << SLOT_BITS) - 1);
    return slot < t->n_accepted && t->accepted[slot].number == link &&
           (t->accepted[slot].state == SL_ACC_LOBBY || t->accepted[slot].state == SL_ACC_LIVE);
}

bool sl_accepted_tell(struct sl_transport *t, struct sl_heard *ret)
{
    for (size_t i = 0; i < t->n_accepted; i++) {
        struct sl_accepted *a = &t->accepted[i];
        if (a->state == SL_ACC_FREE || !a->tell)
            continue;
        ret->type = SL_HEARD_DOWN;
        ret->link = a->number;
        a->tell = false;
        a->number = 0;
        t->n_tell--;
        release(a);
        return true;
    }
    return false;
}

bool sl_accepted_send(struct sl_transport *t, sl_link link, struct sl_span bytes)
{
    struct sl_accepted *a = find_link(t, link);
    if (a == NULL || a->state == SL_ACC_CUT)
        return false;
    uint8_t rid[SL_RID_LEN] = {0};
    int error;
    sl_put32(rid + 1, a->rid);
    a->last_sent = t->now;
    /* No route: the connection has ended, and its DISCONNECTED is on the way. */
    return sl_transport_put(t->in, rid, sizeof rid, bytes, &error);
}

void sl_transport_bar(struct sl_transport *t, sl_usec now, sl_link link)
{
    const struct sl_accepted *a = find_link(t, link);
    if (a != NULL)
        sl_zap_bar(&t->zap, now, a->c_d);
}

void sl_transport_admit(struct sl_transport *t, sl_link link)
{
    struct sl_accepted *a = find_link(t, link);
    if (a == NULL || a->state != SL_ACC_LOBBY)
        return;
    a->state = SL_ACC_LIVE;
    a->deadline = SL_NEVER;
}
