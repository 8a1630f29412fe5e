/* transport.c: the two sockets, their options, and the order in which things are looked at.
 *
 * Every option is set although some have this value already: the defaults of libzmq are made for
 * other uses (linger for ever, thousands of queued messages, reconnect to whoever is there). A send
 * that fails, a connection that ends and a message that is not wanted are all ordinary here. */
#include "node/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/transport_parts.h"

#define DESCRIPTORS_FREE 64 /* asked for at open */
#define DRAIN_EVERY 64      /* messages between two looks at the monitors */
#define HOLD_BACK_MAX 256   /* messages that may overtake the news of a link's end */
#define DRAIN_MAX 4096      /* events of one monitor at a time */

/* In libzmq since 4.3.3 and 4.3.4, but only its draft header names them. */
#define OPTION_ZAP_ENFORCE_DOMAIN 93
#define OPTION_RECONNECT_STOP 109
#define STOP_CONN_REFUSED 1

/* ---- opening ---------------------------------------------------------------------------- */

/* libzmq aborts when it finds no descriptor for its own signalling (epoll.cpp:65,
 * ip_resolver.cpp:542), so room is looked for before it is asked for anything. */
static int check_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return sl_fail(STARLING_EIO, "cannot learn the limit of descriptors: %s", strerror(errno));
    unsigned n_free = 0;
    for (rlim_t fd = 0; fd < limit.rlim_cur && fd < INT_MAX && n_free < DESCRIPTORS_FREE; fd++)
        n_free += fcntl((int)fd, F_GETFD) < 0;
    if (n_free < DESCRIPTORS_FREE)
        return sl_fail(
            STARLING_ELIMIT,
            "only %u of this process's %llu descriptors are free and a node needs %d: raise "
            "the limit (ulimit -n, LimitNOFILE=)",
            n_free, (unsigned long long)limit.rlim_cur, DESCRIPTORS_FREE);
    return 0;
}

static int zmq_failure(const char *what)
{
    int reason = zmq_errno();
    return sl_fail(reason == ENOMEM   ? STARLING_ENOMEM
                   : reason == EMFILE ? STARLING_ELIMIT
                                      : STARLING_EIO,
                   "ZeroMQ cannot %s: %s", what, zmq_strerror(reason));
}

/* A ROUTER names the connections it accepts by a counter that starts from rand(), which nobody
 * seeded: the same number in every process. A peer that brings this name as its own makes libzmq
 * abort when it comes to it. So the counter is made to start from chance, and the host's rand()
 * goes on as if nothing had been: it gets back the state it had. (REP is a ROUTER inside. The state
 * lent meanwhile is static, so that a host that swaps states in another thread at this moment is
 * never left with a dangling one.) */
static int make_sockets(struct sl_transport *t)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char state[64];
    unsigned seed;
    sl_entropy(&seed, sizeof seed);
    pthread_mutex_lock(&lock);
    char *old = initstate(seed, state, sizeof state);
    int r = sl_zap_open(&t->zap, t->context);
    if (r == 0) {
        /* One binds and one connects: on a socket that does both, a peer that brings the routing id
         * which is dialled next makes libzmq abort (router.cpp:463). */
        t->in = zmq_socket(t->context, ZMQ_ROUTER);
        t->out = t->in != NULL ? zmq_socket(t->context, ZMQ_ROUTER) : NULL;
        if (t->out == NULL)
            r = zmq_failure("make a socket");
    }
    if (old != NULL)
        (void)setstate(old);
    pthread_mutex_unlock(&lock);
    return r;
}

/* Where that counter stands, from a connection of our own that never leaves the process: it tells a
 * name that libzmq made from one of the same form that a peer brought. */
static int learn_counter(struct sl_transport *t)
{
    static const char endpoint[] = "inproc://starling.first";
    uint8_t rid[SL_RID_LEN], nothing;
    int linger = 0;
    void *first = zmq_socket(t->context, ZMQ_DEALER);
    bool ok = first != NULL && zmq_setsockopt(first, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
              zmq_bind(t->in, endpoint) == 0 && zmq_connect(first, endpoint) == 0 &&
              zmq_send(first, "", 0, ZMQ_DONTWAIT) == 0 &&
              zmq_recv(t->in, rid, sizeof rid, ZMQ_DONTWAIT) == SL_RID_LEN && rid[0] == 0 &&
              zmq_recv(t->in, &nothing, sizeof nothing, ZMQ_DONTWAIT) == 0 &&
              zmq_unbind(t->in, endpoint) == 0;
    if (ok)
        t->first_rid = sl_get32(rid + 1);
    int r = ok ? 0 : zmq_failure("name its connections");
    if (first != NULL)
        (void)zmq_close(first);
    return r;
}

struct option {
    int name;
    int value;
};

static int set_options(void *socket, const struct option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof options[i].value) < 0)
            return -1;
    }
    return 0;
}

static int set_common(void *socket)
{
    static const struct option options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM,
         64}, /* messages of one link; what does not fit is dropped and repaired later */
        {ZMQ_RCVHWM, 16},          /* likewise; further ones wait in the kernel */
        {ZMQ_ROUTER_MANDATORY, 1}, /* say when there is no such connection, or no room */
        /* With it, descriptors of peers that bring one routing id stay open after they were shut. Without it, what the second of
         * two such peers has said stays in memory (SECURITY.md, "libzmq"). */
        {ZMQ_ROUTER_HANDOVER, 0},
        {ZMQ_HANDSHAKE_IVL, 3000},
        {ZMQ_HEARTBEAT_IVL, 0}, /* the core has its own, which prove more */
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_TCP_KEEPALIVE_IDLE, 30},
        {ZMQ_TCP_KEEPALIVE_INTVL, 10},
        {ZMQ_TCP_KEEPALIVE_CNT, 3},
        {ZMQ_TCP_MAXRT, 30000},
    };
    /* libzmq counts what CURVE adds (33 bytes) as well. Of each frame; several at once are cut. */
    const int64_t largest = SL_FRAME_MAX + 64;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) < 0)
        return -1;
    return set_options(socket, options, SL_COUNT(options));
}

static int set_listener(struct sl_transport *t, bool ipv6)
{
    const struct option options[] = {
        {ZMQ_CURVE_SERVER, 1},
        {OPTION_ZAP_ENFORCE_DOMAIN, 1}, /* no answer from ZAP means no, not yes */
        {ZMQ_IPV6, ipv6},
    };
    static const char domain[] = "starling"; /* any, but there must be one for ZAP to be asked */
    if (set_common(t->in) < 0 || set_options(t->in, options, SL_COUNT(options)) < 0 ||
        zmq_setsockopt(t->in, ZMQ_ZAP_DOMAIN, domain, sizeof domain - 1) < 0)
        return -1;
    return 0;
}

static int set_dialler(struct sl_transport *t, const struct sl_identity *identity)
{
    static const struct option options[] = {
        {ZMQ_RECONNECT_IVL,
         -1}, /* else what is queued goes to whoever listens there next, unproven */
        {OPTION_RECONNECT_STOP, STOP_CONN_REFUSED}, /* see sl_dialled_event */
        {ZMQ_CONNECT_TIMEOUT, 2000},
        {ZMQ_IMMEDIATE, 0}, /* the hello is queued while the connection is made */
    };
    if (set_common(t->out) < 0 || set_options(t->out, options, SL_COUNT(options)) < 0 ||
        zmq_setsockopt(t->out, ZMQ_CURVE_PUBLICKEY, identity->dial_public, 32) < 0 ||
        zmq_setsockopt(t->out, ZMQ_CURVE_SECRETKEY, identity->dial_secret, 32) < 0)
        return -1;
    return 0;
}

static int open_sockets(struct sl_transport *t, const struct sl_addr *listen,
                        const struct sl_identity *identity)
{
    t->nothing_fd = eventfd(0, EFD_CLOEXEC);
    if (t->nothing_fd >= 0)
        t->spare_fd = fcntl(t->nothing_fd, F_DUPFD_CLOEXEC, 0);
    if (t->spare_fd < 0)
        return sl_fail(STARLING_EIO, "cannot keep a descriptor in reserve: %s", strerror(errno));
    /* A context of our own: ZAP has one handler a context, and the host's is the host's. */
    t->context = zmq_ctx_new();
    if (t->context == NULL || zmq_ctx_set(t->context, ZMQ_IO_THREADS, 1) < 0 ||
        zmq_ctx_set(t->context, ZMQ_MAX_SOCKETS, 16) < 0)
        return zmq_failure("start");
    int r = make_sockets(t);
    if (r < 0)
        return r;
    if (set_listener(t, listen->family == 6) < 0 || set_dialler(t, identity) < 0)
        return zmq_failure("do what is needed for a closed flock (is it built with CURVE?)");
    r = learn_counter(t);
    if (r == 0)
        r = sl_monitor_open(&t->in_monitor, t->context, t->in, SL_MONITOR_LINKS,
                            "inproc://starling.in");
    if (r == 0)
        r = sl_monitor_open(&t->out_monitor, t->context, t->out, SL_MONITOR_LINKS,
                            "inproc://starling.out");
    if (r == 0)
        r = sl_listen_open(t, listen, identity);
    return r;
}

int sl_transport_open(const struct sl_addr *listen, const struct sl_identity *identity,
                      const struct sl_alloc *alloc, const struct sl_log *log,
                      struct sl_transport **ret, struct sl_addr *ret_bound)
{
    int r = check_descriptors();
    if (r < 0)
        return r;
    struct sl_transport *t = sl_alloc_zero(alloc, sizeof *t);
    if (t == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for the node's connections");
    t->alloc = alloc;
    t->log = log;
    t->spare_fd = t->nothing_fd = t->listen_fd = t->deaf_fd = t->gate.sink = -1;
    zmq_msg_init(&t->rid);
    zmq_msg_init(&t->body);
    r = open_sockets(t, listen, identity);
    if (r < 0) {
        sl_transport_close(t);
        return r;
    }
    *ret = t;
    *ret_bound = t->bound;
    return 0;
}

void sl_transport_close(struct sl_transport *t)
{
    if (t == NULL)
        return;
    zmq_msg_close(&t->rid);
    zmq_msg_close(&t->body);
    sl_dialled_fini(t);
    sl_gate_close(&t->gate);
    /* Monitors first: a socket that is closed while its monitor is full would wait for ever. */
    sl_monitor_close(&t->in_monitor);
    sl_monitor_close(&t->out_monitor);
    sl_listen_restore(t);
    if (t->in != NULL)
        (void)zmq_close(t->in);
    if (t->out != NULL)
        (void)zmq_close(t->out);
    sl_zap_close(&t->zap);
    /* Nothing lingers, so this takes no longer than libzmq's threads need to end. (It also calls
     * randombytes_close(), which on systems with getrandom(2) has nothing to close.) */
    while (t->context != NULL && zmq_ctx_term(t->context) < 0 && zmq_errno() == EINTR)
        ;
    sl_listen_close(t);
    if (t->spare_fd >= 0)
        (void)close(t->spare_fd);
    if (t->nothing_fd >= 0)
        (void)close(t->nothing_fd);
    sl_alloc_free(t->alloc, t, sizeof *t);
}

/* ---- a turn ----------------------------------------------------------------------------- */

size_t sl_transport_poll_items(struct sl_transport *t, zmq_pollitem_t *items)
{
    void *const sockets[] = {t->in_monitor.socket, t->out_monitor.socket, t->zap.socket, t->in,
                             t->out};
    _Static_assert(SL_COUNT(sockets) <= SL_TRANSPORT_POLL_MAX, "the owner's array is too short");
    for (size_t i = 0; i < SL_COUNT(sockets); i++)
        items[i] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
    return SL_COUNT(sockets);
}

/* Whom what everybody else does is not to hold off: the addresses at the other ends of links. */
static size_t known_addresses(const struct sl_transport *t, struct sl_addr *out)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_accepted && n < SL_LINKS_MAX; i++) {
        if (t->accepted[i].state == SL_ACC_LIVE && t->accepted[i].peer.family != 0)
            out[n++] = t->accepted[i].peer;
    }
    for (size_t i = 0; i < t->n_dialled && n < SL_LINKS_MAX; i++) {
        if (t->dialled[i].state == SL_DIAL_OPEN)
            out[n++] = t->dialled[i].addr;
    }
    return n;
}

static void look_at_the_gate(struct sl_transport *t)
{
    struct sl_addr known[SL_LINKS_MAX];
    const unsigned held = sl_accepted_unproven(t);
    if (held >= SL_UNPROVEN_MAX || held < SL_UNPROVEN_MAX / 2)
        sl_gate_shut(&t->gate, held >= SL_UNPROVEN_MAX);
    if (sl_gate_turn(&t->gate, t->now))
        sl_gate_set(&t->gate, known, known_addresses(t, known));
}

static void drain(struct sl_transport *t)
{
    struct sl_monitor_event e;
    for (unsigned i = 0; i < DRAIN_MAX && sl_monitor_next(&t->in_monitor, &e); i++)
        sl_accepted_event(t, &e);
    for (unsigned i = 0; i < DRAIN_MAX && sl_monitor_next(&t->out_monitor, &e); i++)
        sl_dialled_event(t, &e);
    t->undrained = 0;
    look_at_the_gate(t);
}

static void serve_zap(struct sl_transport *t)
{
    for (unsigned i = 0; i < SL_HALF_OPEN_MAX && sl_zap_receive(&t->zap); i++) {
        drain(t); /* before the handshake gets its number: transport_in.c, at the top */
        const bool barred = sl_zap_is_barred(&t->zap, t->now);
        const bool allowed = sl_zap_answer(&t->zap, t->now);
        t->stats.zap_allowed += allowed;
        t->stats.zap_refused += !allowed;
        t->stats.zap_barred += barred;
    }
}

void sl_transport_turn(struct sl_transport *t, sl_usec now)
{
    t->now = now;
    t->turn++;
    drain(t);
    serve_zap(t);
    sl_accepted_turn(t);
    sl_dialled_turn(t);
}

sl_usec sl_transport_deadline(const struct sl_transport *t)
{
    sl_usec at = sl_gate_deadline(&t->gate);
    for (size_t i = 0; i < t->n_accepted; i++) {
        if (t->accepted[i].state != SL_ACC_FREE)
            at = sl_earlier(at, t->accepted[i].deadline);
    }
    for (size_t i = 0; i < t->n_dialled; i++) {
        if (t->dialled[i].state != SL_DIAL_FREE)
            at = sl_earlier(at, t->dialled[i].deadline);
    }
    return t->n_tell > 0 ? sl_earlier(at, t->now) : at;
}

/* ---- hearing ---------------------------------------------------------------------------- */

static bool receive_frame(void *socket, zmq_msg_t *frame)
{
    int r;
    do
        r = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (r < 0 && zmq_errno() == EINTR);
    return r >= 0;
}

/* One message into t->rid and t->body. libzmq hands over whole messages only. */
static bool receive(struct sl_transport *t, void *socket)
{
    if (!receive_frame(socket, &t->rid))
        return false;
    t->multipart = t->oversized = false;
    if (!zmq_msg_more(&t->rid)) { /* a ROUTER does not do this */
        zmq_msg_close(&t->body);
        zmq_msg_init(&t->body);
        return true;
    }
    if (!receive_frame(socket, &t->body))
        return false;
    t->multipart = zmq_msg_more(&t->body) != 0;
    t->stats.multipart += t->multipart;
    t->oversized = zmq_msg_size(&t->body) > SL_FRAME_MAX;
    t->stats.oversized += t->oversized;
    if (t->multipart) {
        zmq_msg_t rest;
        zmq_msg_init(&rest);
        while (receive_frame(socket, &rest) && zmq_msg_more(&rest))
            ;
        zmq_msg_close(&rest);
    }
    return true;
}

/* The two sockets take turns. */
static bool hear_one(struct sl_transport *t, struct sl_heard *ret, bool *ret_told)
{
    const bool lobby_busy = sl_accepted_lobby_busy(t);
    for (int i = 0; i < 2; i++) {
        t->in_turn = !t->in_turn;
        if (t->in_turn && !lobby_busy && receive(t, t->in)) {
            *ret_told = sl_accepted_message(t, ret);
            return true;
        }
        if (!t->in_turn && receive(t, t->out)) {
            *ret_told = sl_dialled_message(t, ret);
            return true;
        }
    }
    return false;
}

bool sl_transport_next(struct sl_transport *t, sl_usec now, struct sl_heard *ret)
{
    t->now = now;
    if (t->announced !=
        0) { /* ACCEPT was told; now what it said, if the core still wants to know */
        sl_link link = t->announced;
        t->announced = 0;
        if (sl_accepted_knows(t, link)) {
            *ret = (struct sl_heard){.type = SL_HEARD_BYTES, .link = link};
            ret->bytes = sl_span_of(zmq_msg_data(&t->body), zmq_msg_size(&t->body));
            return true;
        }
    }
    if (++t->undrained >= DRAIN_EVERY)
        drain(t);

    /* What a peer said before it went is heard before its end is told, as long as that does not
     * take long: a reason, a goodbye. */
    if (t->n_tell == 0)
        t->held_back = 0;
    for (unsigned i = 0; i < HOLD_BACK_MAX && t->held_back < HOLD_BACK_MAX; i++) {
        bool told = false;
        memset(ret, 0, sizeof *ret);
        if (!hear_one(t, ret, &told))
            break;
        t->held_back += t->n_tell > 0;
        if (told)
            return true;
    }
    return sl_accepted_tell(t, ret) || sl_dialled_tell(t, ret);
}

/* ---- speaking --------------------------------------------------------------------------- */

bool sl_transport_put(void *socket, const void *rid, size_t rid_len, struct sl_span bytes,
                      int *ret_error)
{
    int r;
    do
        r = zmq_send(socket, rid, rid_len, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    while (r < 0 && zmq_errno() == EINTR);
    /* Once the first frame was taken there is room for the second. */
    while (r >= 0 && (r = zmq_send(socket, bytes.p, bytes.len, ZMQ_DONTWAIT)) < 0 &&
           zmq_errno() == EINTR)
        r = 0;
    *ret_error = r < 0 ? zmq_errno() : 0;
    return r >= 0;
}

bool sl_transport_send(struct sl_transport *t, sl_link link, struct sl_span bytes)
{
    bool sent = bytes.len <= SL_FRAME_MAX && (link % 2 == 0 ? sl_accepted_send(t, link, bytes)
                                                            : sl_dialled_send(t, link, bytes));
    t->stats.send_dropped += !sent;
    return sent;
}

void sl_transport_cut(struct sl_transport *t, sl_link link)
{
    if (link % 2 == 0)
        sl_accepted_cut(t, link);
    else
        sl_dialled_cut(t, link);
}

void sl_transport_stats(const struct sl_transport *t, struct sl_transport_stats *ret)
{
    *ret = t->stats;
    ret->turned_away = t->gate.turned_away;
    ret->held_off = t->gate.n_busy;
    for (size_t i = 0; i < t->n_accepted; i++) {
        ret->half_open +=
            t->accepted[i].state == SL_ACC_HALF || t->accepted[i].state == SL_ACC_LOBBY;
        ret->links_in += t->accepted[i].state == SL_ACC_LIVE;
    }
    for (size_t i = 0; i < t->n_dialled; i++)
        ret->links_out += t->dialled[i].state == SL_DIAL_OPEN;
}
