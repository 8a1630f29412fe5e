/* weigh.c: how much each service takes: what the application and the operator say, what its load
 * leaves of it, and draining, which ends all of that. */
#include "base/error.h"
#include "node/node.h"
#include "node/offer.h"

/* By then the flock knows of weights of 0: urgent news goes everywhere at once. */
#define DRAIN_HEARD_MS 100

/* ---- what the application says -------------------------------------------------------------- */

int starling_set_weight(starling_registration *reg, unsigned weight)
{
    if (weight > STARLING_WEIGHT_MAX)
        return sl_fail(STARLING_EINVAL, "weight %u is not in 0-%d", weight, STARLING_WEIGHT_MAX);
    int r = sl_change_begin(reg);
    if (r < 0)
        return r;
    reg->base = (uint16_t)weight;
    sl_registration_weigh(reg);
    sl_change_end(reg);
    return 0;
}

int starling_report_load(starling_registration *reg, double utilisation, unsigned in_flight)
{
    if (!(utilisation >= 0)) /* nor a NaN */
        return sl_fail(STARLING_EINVAL, "utilisation %g is not 0 or more", utilisation);
    int r = sl_change_begin(reg);
    if (r < 0)
        return r;
    starling_node *node = reg->node;
    sl_shed_report(&reg->load, sl_now(), utilisation);
    reg->reports = true;
    reg->in_flight = in_flight;
    bool waited_for = node->commands.draining && in_flight == 0;
    pthread_mutex_unlock(&node->commands.lock);
    if (waited_for)
        sl_node_tell_waiters(node);
    return 0;
}

/* ---- what the load says, on the I/O thread, under the lock ------------------------------------ */

void sl_weigh_turn(starling_node *node, sl_usec now)
{
    struct sl_commands *c = &node->commands;
    if (c->n_offers == 0 || c->closed) {
        c->weigh_at = SL_NEVER; /* a node without a service has nothing to look at */
        c->cpu.at = 0;
        return;
    }
    if (c->weigh_at != SL_NEVER && now < c->weigh_at)
        return;
    c->weigh_at = sl_after(now, SL_SHED_EVERY);
    double cpu = sl_cpu_look(&c->cpu, now);
    for (size_t i = 0; i < c->n_offers; i++) {
        struct starling_registration *reg = c->offers[i];
        uint16_t before = reg->service.weight;
        if (!sl_shed_sample(&reg->load, now, cpu))
            continue;
        sl_registration_weigh(reg);
        c->vitals_changed = c->vitals_changed || reg->service.weight != before;
    }
}

/* ---- what the operator says, over the debug socket, on the I/O thread, which never waits ------ */

static int begin_debug(starling_node *node)
{
    struct sl_commands *c = &node->commands;
    if (pthread_mutex_trylock(&c->lock) != 0)
        return sl_fail(STARLING_EBUSY, "an application thread is changing the services: try again");
    if (!c->closed)
        return 0;
    pthread_mutex_unlock(&c->lock);
    return sl_fail(STARLING_ECLOSED, "the node is leaving its flock");
}

static void override(struct starling_registration *reg, bool overridden, unsigned weight)
{
    reg->overridden = overridden;
    reg->override = (uint16_t)weight;
    sl_registration_weigh(reg);
}

int sl_node_set_weight(starling_node *node, const char *tenant, const char *name, bool base,
                       unsigned weight)
{
    struct sl_commands *c = &node->commands;
    if (weight > STARLING_WEIGHT_MAX)
        return sl_fail(STARLING_EINVAL, "weight %u is not in 0-%d", weight, STARLING_WEIGHT_MAX);
    int r = begin_debug(node);
    if (r < 0)
        return r;
    size_t i = sl_commands_find(c, tenant, name);
    if (i == c->n_offers) {
        pthread_mutex_unlock(&c->lock);
        return sl_fail(STARLING_ENOENT, "this node offers no service \"%.80s\"", name);
    }
    override(c->offers[i], !base, weight);
    sl_change_end(c->offers[i]);
    return 0;
}

int sl_node_drain(starling_node *node)
{
    struct sl_commands *c = &node->commands;
    int r = begin_debug(node);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c->n_offers; i++)
        override(c->offers[i], true, 0);
    c->vitals_changed = c->vitals_urgent = true;
    pthread_mutex_unlock(&c->lock);
    sl_node_wake(node);
    return 0;
}

/* ---- draining ------------------------------------------------------------------------------- */

static int begin_drain(starling_node *node)
{
    struct sl_commands *c = &node->commands;
    pthread_mutex_lock(&c->lock);
    bool closed = c->closed;
    if (!closed) {
        c->draining = c->vitals_changed = c->vitals_urgent = true;
        for (size_t i = 0; i < c->n_offers; i++)
            sl_registration_weigh(c->offers[i]);
    }
    pthread_mutex_unlock(&c->lock);
    if (closed)
        return sl_fail(STARLING_ECLOSED, "the node has left its flock");
    sl_node_wake(node);
    return 0;
}

/* Somebody reports, and nobody who does has a request left; or there is nothing to drain. */
static bool is_drained(struct sl_commands *c)
{
    bool busy = false;
    pthread_mutex_lock(&c->lock);
    bool reports = c->n_offers == 0;
    for (size_t i = 0; i < c->n_offers; i++) {
        reports = reports || c->offers[i]->reports;
        busy = busy || c->offers[i]->in_flight > 0;
    }
    pthread_mutex_unlock(&c->lock);
    return reports && !busy;
}

static struct timespec to_timespec(sl_usec t)
{
    return (struct timespec){.tv_sec = t / SL_SEC(1), .tv_nsec = (long)(t % SL_SEC(1)) * 1000};
}

static sl_usec monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return SL_SEC(t.tv_sec) + t.tv_nsec / 1000;
}

int starling_drain(starling_node *node, unsigned grace_ms)
{
    int r = sl_node_check(node);
    if (r < 0)
        return r;
    if (sl_node_in_callback(node) || sl_call_is_inside(node))
        return sl_fail(STARLING_EINVAL, "draining from inside a callback would wait for itself");
    r = begin_drain(node);
    if (r < 0)
        return r;
    /* Before the flock has heard of it requests still come, and "0 in flight" ends nothing. */
    sl_usec now = monotonic(), end = now + SL_MS(grace_ms);
    sl_usec heard = sl_earlier(end, now + SL_MS(DRAIN_HEARD_MS));
    uint64_t seen = 0; /* what was told before costs one round */
    for (;;) {
        if (atomic_load_explicit(&node->stopped, memory_order_acquire)) /* pairs with loop.c */
            return sl_fail(STARLING_ECLOSED, "the node has left its flock");
        now = monotonic();
        if (now >= end || (now >= heard && is_drained(&node->commands)))
            return 0;
        struct timespec until = to_timespec(now < heard ? heard : end);
        (void)sl_node_wait_news(node, &seen, &until);
    }
}
