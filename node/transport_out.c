/* transport_out.c: dialled connections. Each has its own zmq_connect under a routing id of its own,
 * ends with its first disconnect, and is dialled again, if at all, by the core. A dial takes more than one session in
 * two cases only, which are no failure of the peer that the core should hear of: while doors are rotated, since who
 * listens on the other door cannot be told before one was shut; and when it is reset before anything was said, as a gate
 * does that has to turn away most of what comes from our address (gate.h). */
#include <errno.h>
#include <stdio.h>

#include "base/bytes.h"
#include "node/transport_parts.h"

/* 'D', or 'E' at the second door | knock 1 | slot 2 | link 8. Never used twice, since links are not: dialling with an id whose pipe
 * still exists aborts the process (router.cpp:463). Not starting with 00, like those libzmq
 * makes. */
#define RID_LEN 12

static void make_rid(const struct sl_transport *t, const struct sl_dialled *d, uint8_t rid[RID_LEN])
{
    rid[0] = d->second_door ? 'E' : 'D';
    rid[1] = d->n_knocks;
    sl_put16(rid + 2, (uint16_t)(d - t->dialled));
    sl_put64(rid + 4, d->number);
}

static struct sl_dialled *find_rid(struct sl_transport *t, const uint8_t *rid, size_t len)
{
    if (len != RID_LEN || sl_get16(rid + 2) >= t->n_dialled)
        return NULL;
    struct sl_dialled *d = &t->dialled[sl_get16(rid + 2)];
    bool same_knock = rid[0] == (d->second_door ? 'E' : 'D') && rid[1] == d->n_knocks;
    return same_knock && d->number == sl_get64(rid + 4) ? d : NULL;
}

static struct sl_dialled *find_link(struct sl_transport *t, sl_link link)
{
    for (size_t i = 0; link != 0 && i < t->n_dialled; i++) {
        if (t->dialled[i].state != SL_DIAL_FREE && t->dialled[i].number == link)
            return &t->dialled[i];
    }
    return NULL;
}

/* At most one, see sl_transport_dial. */
static struct sl_dialled *find_dialling(struct sl_transport *t, const struct sl_addr *addr)
{
    for (size_t i = 0; i < t->n_dialled; i++) {
        struct sl_dialled *d = &t->dialled[i];
        if (d->state == SL_DIAL_DIALLING && sl_addr_eq(&d->addr, addr))
            return d;
    }
    return NULL;
}

static struct sl_dialled *find_connected(struct sl_transport *t, int fd, const struct sl_addr *addr)
{
    for (size_t i = 0; i < t->n_dialled; i++) {
        struct sl_dialled *d = &t->dialled[i];
        if ((d->state == SL_DIAL_DIALLING || d->state == SL_DIAL_OPEN ||
             d->state == SL_DIAL_CLOSING) &&
            d->fd == fd && sl_addr_eq(&d->addr, addr))
            return d;
    }
    return NULL;
}

/* A session to this address is there, or was until a moment ago. */
static bool is_busy(const struct sl_transport *t, const struct sl_addr *addr)
{
    for (size_t i = 0; i < t->n_dialled; i++) {
        const struct sl_dialled *d = &t->dialled[i];
        bool over =
            d->state == SL_DIAL_FREE || (d->state == SL_DIAL_RESTING && t->now >= d->deadline);
        if (!over && sl_addr_eq(&d->addr, addr))
            return true;
    }
    return false;
}

static void endpoint_of(const struct sl_dialled *d, char out[SL_ADDR_TEXT + 8])
{
    char text[SL_ADDR_TEXT];
    sl_addr_format(text, &d->addr);
    (void)snprintf(out, SL_ADDR_TEXT + 8, "tcp://%s", text);
}

/* ---- ending one ------------------------------------------------------------------------- */

static void tell(struct sl_transport *t, struct sl_dialled *d, enum sl_tell what)
{
    if (d->number != 0 && d->tell == SL_TELL_NOTHING) {
        d->tell = what;
        t->n_tell++;
    }
}

static void drop_hello(struct sl_transport *t, struct sl_dialled *d)
{
    sl_alloc_free(t->alloc, d->hello, d->hello_len);
    d->hello = NULL;
    d->hello_len = 0;
    d->other_door = d->same_door = false;
}

void sl_dialled_fini(struct sl_transport *t)
{
    for (size_t i = 0; i < t->n_dialled; i++)
        drop_hello(t, &t->dialled[i]);
}

static void rest(struct sl_transport *t, struct sl_dialled *d, sl_usec span)
{
    drop_hello(t, d);
    d->state = SL_DIAL_RESTING;
    d->fd = -1;
    d->deadline = sl_after(t->now, span);
}

/* End the session. False when libzmq had done so itself. */
static bool disconnect(struct sl_transport *t, const struct sl_dialled *d)
{
    char endpoint[SL_ADDR_TEXT + 8];
    endpoint_of(d, endpoint);
    return zmq_disconnect(t->out, endpoint) == 0;
}

static void hang_up(struct sl_transport *t, struct sl_dialled *d)
{
    (void)disconnect(t, d);
    rest(t, d, SL_QUARANTINE);
}

/* libzmq has ended the session itself. What is sent to find out goes nowhere: there is no
 * connection, and none will be made. */
static bool has_ended(struct sl_transport *t, const struct sl_dialled *d)
{
    uint8_t rid[RID_LEN];
    int error = 0;
    make_rid(t, d, rid);
    return !sl_transport_put(t->out, rid, sizeof rid, sl_span_of("", 0), &error) &&
           error == EHOSTUNREACH;
}

void sl_dialled_cut(struct sl_transport *t, sl_link link)
{
    struct sl_dialled *d = find_link(t, link);
    if (d == NULL)
        return;
    d->number = 0;
    if (d->tell != SL_TELL_NOTHING) {
        d->tell = SL_TELL_NOTHING;
        t->n_tell--;
    }
    switch (d->state) {
    case SL_DIAL_OPEN:
        d->state = SL_DIAL_CLOSING;
        d->deadline = sl_after(d->last_sent, SL_LAST_WORDS);
        break;
    case SL_DIAL_DIALLING:
    case SL_DIAL_ASKING:
        hang_up(t, d);
        break;
    case SL_DIAL_AGAIN:
        rest(t, d, SL_LONG_QUARANTINE);
        break;
    case SL_DIAL_FREE:
    case SL_DIAL_CLOSING:
    case SL_DIAL_RESTING:
        break;
    }
}

/* ---- dialling --------------------------------------------------------------------------- */

static void dial(struct sl_transport *t, struct sl_dialled *d)
{
    uint8_t rid[RID_LEN];
    char endpoint[SL_ADDR_TEXT + 8];
    make_rid(t, d, rid);
    endpoint_of(d, endpoint);
    /* Off for IPv4: else libzmq looks up, and in its events names, the address mapped into IPv6. */
    int ipv6 = d->addr.family == 6;
    d->state = SL_DIAL_DIALLING;
    d->deadline = d->give_up;
    if (zmq_setsockopt(t->out, ZMQ_IPV6, &ipv6, sizeof ipv6) < 0 ||
        zmq_setsockopt(t->out, ZMQ_CURVE_SERVERKEY, t->door_public[d->second_door], SL_KEY_LEN) <
            0 ||
        zmq_setsockopt(t->out, ZMQ_CONNECT_ROUTING_ID, rid, sizeof rid) < 0 ||
        zmq_connect(t->out, endpoint) < 0) {
        tell(t, d, SL_TELL_DOWN);
        rest(t, d, 0);
    }
}

/* Each knock has a routing id of its own, and says what was said at the first. */
static void knock_again(struct sl_transport *t, struct sl_dialled *d)
{
    uint8_t rid[RID_LEN];
    int error = 0;
    if (d->other_door) {
        d->second_door = true;
        d->give_up = sl_after(t->now, SL_DIAL_TIME);
    }
    d->other_door = d->same_door = false;
    d->n_knocks++;
    d->fd = -1;
    d->n_asked = 0;
    dial(t, d);
    if (d->state != SL_DIAL_DIALLING)
        return;
    make_rid(t, d, rid);
    (void)sl_transport_put(t->out, rid, sizeof rid, sl_span_of(d->hello, d->hello_len), &error);
}

static void wait_to_knock(struct sl_transport *t, struct sl_dialled *d, sl_usec span)
{
    d->state = SL_DIAL_AGAIN;
    d->fd = -1;
    d->deadline = sl_after(t->now, span);
}

/* Not all at one moment who were turned away at one. */
static sl_usec knock_pause(const struct sl_dialled *d)
{
    return SL_KNOCK_PAUSE +
           (sl_usec)((d->number * 29 + d->n_knocks * 17u) % 100) * SL_KNOCK_PAUSE / 100;
}

/* libzmq's part in the end of a session was to come by now: see sl_dialled_event. */
static void conclude(struct sl_transport *t, struct sl_dialled *d)
{
    const bool failed = d->fd < 0;
    if (failed && !has_ended(t, d) && ++d->n_asked < SL_ASK_TIMES) {
        d->deadline = sl_after(t->now, SL_ASK_TIME);
        return;
    }
    const bool was_there = disconnect(t, d);
    if ((d->other_door || d->same_door) && d->number != 0) {
        if (was_there)
            wait_to_knock(t, d, SL_LONG_QUARANTINE);
        else if (d->same_door)
            wait_to_knock(t, d, knock_pause(d));
        else
            knock_again(t, d);
        return;
    }
    if (failed)
        tell(t, d, was_there ? SL_TELL_DOWN : SL_TELL_REFUSED);
    rest(t, d, !was_there ? 0 : failed ? SL_QUARANTINE : SL_LONG_QUARANTINE);
}

static struct sl_dialled *free_slot(struct sl_transport *t)
{
    struct sl_dialled *resting = NULL;
    for (size_t i = 0; i < t->n_dialled; i++) {
        if (t->dialled[i].state == SL_DIAL_FREE)
            return &t->dialled[i];
        if (t->dialled[i].state == SL_DIAL_RESTING && t->dialled[i].tell == SL_TELL_NOTHING)
            resting = &t->dialled[i];
    }
    return t->n_dialled < SL_DIALLED_MAX ? &t->dialled[t->n_dialled++] : resting;
}

void sl_transport_dial(struct sl_transport *t, sl_usec now, sl_link link,
                       const struct sl_addr *addr)
{
    t->now = now;
    bool busy = is_busy(t, addr);
    struct sl_dialled *d = free_slot(t);
    if (d == NULL) { /* the core holds at most SL_LINKS_MAX links, so there is one */
        sl_log(t->log, SL_ERROR, "no slot is left to dial with; the dial is forgotten");
        return;
    }
    *d = (struct sl_dialled){.fd = -1,
                             .number = link,
                             .last_sent = now - SL_LAST_WORDS,
                             .give_up = sl_after(now, SL_DIAL_TIME),
                             .addr = *addr};
    /* One at a time: libzmq's events name nothing but the address before there is a descriptor. */
    if (addr->family == 0 || busy) {
        tell(t, d, SL_TELL_DOWN);
        d->state = SL_DIAL_RESTING;
        d->deadline = now;
    } else {
        dial(t, d);
    }
}

/* ---- events ----------------------------------------------------------------------------- */

/* How a session ends. After a disconnect, and after a dial that was refused
 * (ZMQ_RECONNECT_STOP_CONN_REFUSED), libzmq ends the endpoint by a command to itself, a moment
 * after the event; after a dial that failed for any other reason it does nothing, and keeps the
 * pipe. The event does not say which it was. So a failed dial is looked at again after SL_ASK_TIME,
 * a few times: if there is no such endpoint any more, it was refused.
 * That command goes by the address and would end a newer session to it as well. If it has not been
 * carried out by then, or if we hung up ourselves, the address rests before it is dialled again. */
void sl_dialled_event(struct sl_transport *t, const struct sl_monitor_event *e)
{
    struct sl_dialled *d = find_dialling(t, &e->addr);
    switch (e->type) {
    case ZMQ_EVENT_CONNECTED: /* by TCP: a stopped process gets as far as this */
        if (d != NULL)
            d->fd = e->value;
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        t->stats.handshakes++;
        if (d != NULL && d->fd >= 0) {
            drop_hello(t, d);
            d->state = SL_DIAL_OPEN;
            d->deadline = SL_NEVER;
        }
        break;
    case ZMQ_EVENT_CLOSED: /* the dial failed */
        if (d != NULL && d->fd < 0) {
            d->state = SL_DIAL_ASKING;
            d->deadline = sl_after(t->now, SL_ASK_TIME);
        }
        break;
    case ZMQ_EVENT_DISCONNECTED:
        d = find_connected(t, e->value, &e->addr);
        if (d != NULL) {
            /* Shut before the handshake was done: we were turned away unseen, or it may be for the other door. */
            const bool unheard = d->state == SL_DIAL_DIALLING && d->hello != NULL;
            d->same_door =
                unheard && d->reset && d->n_knocks < SL_KNOCKS_MAX && t->now < d->give_up;
            d->other_door = unheard && !d->same_door && t->two_doors && !d->second_door;
            d->reset = false;
            if (!d->same_door && !d->other_door)
                tell(t, d, SL_TELL_DOWN);
            d->state = SL_DIAL_ASKING;
            d->deadline = sl_after(t->now, SL_ASK_TIME);
        }
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: /* DISCONNECTED follows */
        if (d != NULL)
            d->reset = e->value == ECONNRESET;
        t->stats.handshakes_failed++;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: /* likewise */
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        t->stats.handshakes_failed++;
        break;
    default:
        break;
    }
}

static void time_is_up(struct sl_transport *t, struct sl_dialled *d)
{
    switch (d->state) {
    case SL_DIAL_DIALLING: /* with no descriptor left, this is all one ever hears of a dial */
        tell(t, d, SL_TELL_DOWN);
        hang_up(t, d);
        break;
    case SL_DIAL_CLOSING:
        hang_up(t, d);
        break;
    case SL_DIAL_ASKING:
        conclude(t, d);
        break;
    case SL_DIAL_AGAIN:
        knock_again(t, d);
        break;
    case SL_DIAL_RESTING:
        if (d->tell == SL_TELL_NOTHING)
            d->state = SL_DIAL_FREE;
        break;
    case SL_DIAL_FREE:
    case SL_DIAL_OPEN:
        break;
    }
}

void sl_dialled_turn(struct sl_transport *t)
{
    for (size_t i = 0; i < t->n_dialled; i++) {
        if (t->now >= t->dialled[i].deadline)
            time_is_up(t, &t->dialled[i]);
    }
}

/* ---- messages --------------------------------------------------------------------------- */

bool sl_dialled_message(struct sl_transport *t, struct sl_heard *ret)
{
    struct sl_dialled *d = find_rid(t, zmq_msg_data(&t->rid), zmq_msg_size(&t->rid));
    if (d == NULL || d->number == 0 || d->tell != SL_TELL_NOTHING)
        return false;
    if (t->multipart || t->oversized) {
        tell(t, d, SL_TELL_DOWN);
        hang_up(t, d);
        return false;
    }
    /* In SL_DIAL_DIALLING too: its events are on the way, and only they name its descriptor. */
    ret->type = SL_HEARD_BYTES;
    ret->link = d->number;
    ret->bytes = sl_span_of(zmq_msg_data(&t->body), zmq_msg_size(&t->body));
    return true;
}

bool sl_dialled_tell(struct sl_transport *t, struct sl_heard *ret)
{
    for (size_t i = 0; i < t->n_dialled; i++) {
        struct sl_dialled *d = &t->dialled[i];
        if (d->state == SL_DIAL_FREE || d->tell == SL_TELL_NOTHING)
            continue;
        ret->type = d->tell == SL_TELL_REFUSED ? SL_HEARD_REFUSED : SL_HEARD_DOWN;
        ret->link = d->number;
        d->tell = SL_TELL_NOTHING;
        d->number = 0;
        t->n_tell--;
        return true;
    }
    return false;
}

/* What is said first, a hello. Without memory for it nobody knocks again. */
static void keep_hello(struct sl_transport *t, struct sl_dialled *d, struct sl_span bytes)
{
    d->hello = bytes.len > 0 ? sl_alloc_zero(t->alloc, bytes.len) : NULL;
    if (d->hello == NULL)
        return;
    memcpy(d->hello, bytes.p, bytes.len);
    d->hello_len = bytes.len;
}

bool sl_dialled_send(struct sl_transport *t, sl_link link, struct sl_span bytes)
{
    struct sl_dialled *d = find_link(t, link);
    if (d == NULL || d->tell != SL_TELL_NOTHING)
        return false;
    uint8_t rid[RID_LEN];
    int error = 0;
    if (d->state == SL_DIAL_AGAIN || d->other_door || d->same_door)
        return false; /* the hello was said already, and nothing follows before its answer */
    if (d->state == SL_DIAL_DIALLING && d->hello == NULL)
        keep_hello(t, d, bytes);
    make_rid(t, d, rid);
    d->last_sent = t->now;
    if (sl_transport_put(t->out, rid, sizeof rid, bytes, &error))
        return true;
    if (d->hello != NULL && d->state == SL_DIAL_DIALLING)
        return true; /* shut already, and it will be said at the next knock */
    /* libzmq has given the session up. Of one that was not open yet its events tell more. */
    if (error == EHOSTUNREACH && d->state == SL_DIAL_OPEN) {
        tell(t, d, SL_TELL_DOWN);
        hang_up(t, d);
    }
    return false;
}
