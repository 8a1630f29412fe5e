/* loop.c: the I/O thread: wait until something is due or arrives, hear, think, speak, publish.
 * Everything happens here, in one order, so that nothing in a node needs a lock but what
 * applications read. A turn is bounded: what is left over makes the next one start at once. */
#include "node/loop.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "node/feed.h"
#include "node/places.h"

#define HEAR_MAX 64 /* messages of one turn */
#define WAIT_MAX SL_SEC(60)
#define WALL_EVERY SL_SEC(1)
#define WALL_STEP SL_MS(500) /* less than this is a clock being slewed */

/* The usual stack of a thread (8 MiB) is for programs; this one has no deep calls, but an
 * application's callbacks run on it, and the thread-local data of the whole program comes out of
 * it. */
#define STACK_BYTES (512 * 1024)

#define POLL_MAX                                                                                   \
    (SL_TRANSPORT_POLL_MAX + 1 + SL_PROBES_MAX + SL_CHECKS_POLL_MAX + SL_RESOLVER_POLL_MAX +       \
     SL_DEBUG_POLL_MAX)

/* The node whose thread this is. */
static _Thread_local const starling_node *own_node;

struct waiting {
    zmq_pollitem_t items[POLL_MAX];
    size_t n;
    struct pollfd resolver[SL_RESOLVER_POLL_MAX];
    size_t n_resolver;
    struct pollfd debug[SL_DEBUG_POLL_MAX];
    size_t n_debug;
};

/* ---- waiting ------------------------------------------------------------------------------ */

static sl_usec deadline(const starling_node *node)
{
    sl_usec at = sl_gossip_deadline(node->gossip);
    at = sl_earlier(at, sl_transport_deadline(node->transport));
    at = sl_earlier(at, sl_probes_deadline(&node->probes));
    if (!node->leaving)
        at = sl_earlier(at, sl_checks_deadline(&node->checks));
    at = sl_earlier(at, sl_resolver_deadline(node->resolver));
    at = sl_earlier(at, sl_debug_deadline(node->debug));
    at = sl_earlier(at, sl_places_deadline(node));
    at = sl_earlier(at, sl_feed_deadline(node));
    at = sl_earlier(at, sl_snapshot_deadline(node));
    at = sl_earlier(at, node->say_at);
    return node->leaving ? sl_earlier(at, node->leave_at) : at;
}

/* Milliseconds until then, rounded up: rounded down, the last one would be spent spinning. */
static long time_out(sl_usec at, sl_usec now)
{
    if (at <= now)
        return 0;
    sl_usec span = at - now < WAIT_MAX ? at - now : WAIT_MAX;
    return (long)((span + 999) / 1000);
}

static void poll_for(struct waiting *w, const struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        short events = 0;
        if (fds[i].events & POLLIN)
            events |= ZMQ_POLLIN;
        if (fds[i].events & POLLOUT)
            events |= ZMQ_POLLOUT;
        w->items[w->n++] = (zmq_pollitem_t){.fd = fds[i].fd, .events = events};
    }
}

static void polled(const zmq_pollitem_t *items, struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fds[i].revents = 0;
        if (items[i].revents & ZMQ_POLLIN)
            fds[i].revents |= POLLIN;
        if (items[i].revents & ZMQ_POLLOUT)
            fds[i].revents |= POLLOUT;
        if (items[i].revents & ZMQ_POLLERR)
            fds[i].revents |= POLLERR;
    }
}

static void wait_for_something(starling_node *node, struct waiting *w, bool more)
{
    struct pollfd probes[SL_PROBES_MAX], checks[SL_CHECKS_POLL_MAX];
    eventfd_t ignored;
    w->n = sl_transport_poll_items(node->transport, w->items);
    w->items[w->n++] = (zmq_pollitem_t){.fd = node->wake_fd, .events = ZMQ_POLLIN};
    size_t n_probes = sl_probes_poll(&node->probes, probes, SL_PROBES_MAX);
    size_t n_checks = sl_checks_poll(&node->checks, checks, SL_CHECKS_POLL_MAX);
    w->n_resolver = sl_resolver_poll(node->resolver, w->resolver, SL_RESOLVER_POLL_MAX);
    w->n_debug = sl_debug_poll(node->debug, w->debug, SL_DEBUG_POLL_MAX);
    poll_for(w, probes, n_probes);
    poll_for(w, checks, n_checks);
    poll_for(w, w->resolver, w->n_resolver);
    poll_for(w, w->debug, w->n_debug);

    long ms = more ? 0 : time_out(deadline(node), sl_now());
    if (zmq_poll(w->items, (int)w->n, ms) < 0) {
        for (size_t i = 0; i < w->n; i++)
            w->items[i].revents = 0;
    }
    polled(&w->items[w->n - w->n_debug - w->n_resolver], w->resolver, w->n_resolver);
    polled(&w->items[w->n - w->n_debug], w->debug, w->n_debug);
    (void)eventfd_read(node->wake_fd, &ignored);
}

/* ---- hearing and speaking ----------------------------------------------------------------- */

static void hear_one(starling_node *node, sl_usec now, const struct sl_heard *heard)
{
    switch (heard->type) {
    case SL_HEARD_ACCEPT:
        if (!sl_gossip_accept(node->gossip, now, heard->link, heard->c_d))
            sl_transport_cut(node->transport, heard->link);
        return;
    case SL_HEARD_BYTES:
        sl_gossip_receive(node->gossip, now, heard->link, heard->bytes.p, heard->bytes.len);
        return;
    case SL_HEARD_DOWN:
        sl_gossip_link(node->gossip, now, heard->link, SL_LINK_DOWN);
        return;
    case SL_HEARD_REFUSED:
        sl_places_refused(node, heard->link);
        sl_gossip_link(node->gossip, now, heard->link, SL_LINK_REFUSED);
        return;
    }
}

/* True when there may be more. */
static bool hear(starling_node *node, sl_usec now)
{
    struct sl_heard heard;
    for (unsigned i = 0; i < HEAR_MAX; i++) {
        if (!sl_transport_next(node->transport, now, &heard))
            return false;
        hear_one(node, now, &heard);
    }
    return true;
}

static void hear_probes(starling_node *node, sl_usec now)
{
    static const enum sl_link_event event[] = {[SL_PROBE_OPEN] = SL_LINK_OPEN,
                                               [SL_PROBE_REFUSED] = SL_LINK_REFUSED,
                                               [SL_PROBE_SILENT] = SL_LINK_SILENT};
    uint64_t number;
    enum sl_probe_result result;
    while (sl_probes_next(&node->probes, now, &number, &result)) {
        if (result == SL_PROBE_REFUSED)
            sl_places_refused(node, number);
        sl_gossip_link(node->gossip, now, number, event[result]);
    }
}

static void speak_one(starling_node *node, sl_usec now, const struct sl_out *out)
{
    switch (out->type) {
    case SL_OUT_SEND:
        /* Even numbers were accepted. The core answers only whom it lets live, or says a last word
         * before it cuts: either way the peer has left the lobby. */
        if (out->link % 2 == 0)
            sl_transport_admit(node->transport, out->link);
        (void)sl_transport_send(node->transport, out->link, out->bytes); /* repaired by section 5 */
        return;
    case SL_OUT_DIAL:
        sl_places_dialled(node, out->link, &out->addr);
        sl_transport_dial(node->transport, now, out->link, &out->addr);
        return;
    case SL_OUT_CUT:
        sl_transport_cut(node->transport, out->link);
        return;
    case SL_OUT_BAR:
        sl_transport_bar(node->transport, now, out->link);
        return;
    case SL_OUT_PROBE:
        sl_places_dialled(node, out->link, &out->addr);
        sl_probes_start(&node->probes, now, out->link, &out->addr);
        return;
    }
}

void sl_loop_pump(starling_node *node, sl_usec now)
{
    struct sl_out out;
    while (sl_gossip_next_out(node->gossip, &out))
        speak_one(node, now, &out);
    sl_feed_take(node, now);
    sl_snapshot_turn(node, now);
    sl_feed_publish(node, now);
}

/* ---- a turn ------------------------------------------------------------------------------- */

/* Timers run on the monotonic clock; only certificates and epochs look at the wall. */
static void look_at_the_wall(starling_node *node, sl_usec now)
{
    if (now < node->wall_at)
        return;
    node->wall_at = sl_after(now, WALL_EVERY);
    int64_t offset = sl_wall_us() - sl_now();
    sl_renewal_turn(node, now, (now + offset) / SL_SEC(1));
    sl_revocations_turn(node, now);
    sl_yield_turn(node, now);
    int64_t step = offset - node->wall_offset_us;
    if (step > -WALL_STEP && step < WALL_STEP)
        return;
    sl_log(&node->log, SL_INFO, "the wall clock was stepped by %lld ms", (long long)step / 1000);
    node->wall_offset_us = offset;
    sl_gossip_wall(node->gossip, offset);
}

static void leave(starling_node *node, sl_usec now)
{
    if (node->leaving)
        return;
    node->leaving = true;
    node->leave_at = sl_after(now, SL_MS(node->settings.leave_ms));
    sl_places_save(node, now); /* before everybody is gone from sight */
    sl_snapshot_leave(node, now);
    sl_checks_close(&node->checks); /* nothing is said of services any more */
    sl_gossip_leave(node->gossip, now);
}

/* True when more waits to be heard. */
static bool turn(starling_node *node, const struct waiting *w)
{
    sl_usec now = sl_now();
    sl_transport_turn(node->transport, now);
    bool more = hear(node, now);
    hear_probes(node, now);
    sl_resolver_turn(node->resolver, now, w->resolver, w->n_resolver);
    if (!node->leaving)
        sl_checks_turn(node, now);
    node->say_at = sl_commands_turn(node, now);
    if (node->commands.leaving)
        leave(node, now);
    sl_debug_turn(node->debug, now, w->debug, w->n_debug);
    sl_places_turn(node, now);
    look_at_the_wall(node, now);
    sl_gossip_tick(node->gossip, now);
    sl_loop_pump(node, now);
    if (node->leaving && now >= node->leave_at)
        node->left = true;
    return more;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Readers read on, but nobody renews what they see. */
static void stop(starling_node *node)
{
    pthread_mutex_lock(&node->commands.lock);
    node->commands.closed = true;
    pthread_mutex_unlock(&node->commands.lock);

    pthread_mutex_lock(&node->store_lock);
    sl_store_stale(node->store, true);
    if (sl_store_publish(node->store, sl_now()) < 0)
        sl_log(&node->log, SL_WARNING, "out of memory: what was last known stays unflagged");
    pthread_mutex_unlock(&node->store_lock);

    /* Pairs with the loads in find.c and watch.c. */
    atomic_store_explicit(&node->stopped, true, memory_order_release);
    sl_node_tell_waiters(node);
    sl_watches_tell_stopped(node);
}

static void *thread_main(void *arg)
{
    starling_node *node = arg;
    struct waiting w;
    bool more = true;
    own_node = node;
    (void)pthread_setname_np(pthread_self(), "starling");
    memset(&w, 0, sizeof w);
    while (!node->left) {
        wait_for_something(node, &w, more);
        more = turn(node, &w);
    }
    sl_loop_fini(node);
    stop(node);
    return NULL;
}

bool sl_node_in_callback(const starling_node *node)
{
    return own_node == node;
}

int sl_loop_start(starling_node *node)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return sl_fail(STARLING_ENOMEM, "out of memory for a thread");
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES); /* refused: the default does as well */
    int failed = pthread_create(&node->thread, &attr, thread_main, node);
    (void)pthread_attr_destroy(&attr);
    if (failed != 0)
        return sl_fail(STARLING_ELIMIT, "the system gives no further thread to this process");
    node->has_thread = true;
    return 0;
}

void sl_loop_fini(starling_node *node)
{
    sl_debug_close(node->debug);
    node->debug = NULL;
    sl_rundir_close(&node->rundir);
    sl_transport_close(node->transport);
    node->transport = NULL;
    sl_probes_fini(&node->probes);
    sl_checks_close(&node->checks);
    sl_resolver_free(node->resolver);
    node->resolver = NULL;
    sl_snapshot_close(node);
    sl_gossip_free(node->gossip);
    node->gossip = NULL;
}
