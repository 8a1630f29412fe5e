/* drive.c: what node/ does around a core, in virtual time: hand it what arrives, do what it asks
 * for, feed its events to a registry, and call it again when it wants to be called. */
#include <starling.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/sim/world.h"

#define SPINS_MAX 1000 /* ticks at one instant before we say that the core does not get on */

/* Every message is hashed, for the trace: multiply and fold, for nobody here chooses bytes to
 * collide. */
uint64_t sim_bytes_hash(struct sl_span bytes)
{
    const uint64_t odd = 0x9e3779b97f4a7c15;
    uint64_t h = bytes.len * odd, last = 0;
    size_t i = 0;
    for (; i + 8 <= bytes.len; i += 8) {
        h = (h ^ sl_get64(bytes.p + i)) * odd;
        h ^= h >> 32;
    }
    for (; i < bytes.len; i++)
        last = last << 8 | bytes.p[i];
    h = (h ^ last) * odd;
    return (h ^ h >> 29) * odd;
}

/* ---- registry ---- */

static void feed_member(struct sim_node *n, const struct sl_id *id, bool with_services)
{
    struct sl_member_info info;
    struct sl_record record;
    if (!sl_gossip_find(n->core, id, &info) || info.record == NULL || info.record->who == NULL ||
        !sl_record_read(sl_fact_body(info.record), &record))
        return;
    const struct sl_who *who = info.record->who;
    struct sl_store_member m = {.id = *id,
                                .addr = who->addr,
                                .epoch = info.version.epoch,
                                .status = (uint8_t)info.status,
                                .self = info.self};
    sl_copy_text(m.name, sizeof m.name, (const char *)who->name.p, who->name.len);
    sl_copy_text(m.zone, sizeof m.zone, (const char *)record.zone.p, record.zone.len);
    n->store_failed |= sl_store_member(n->store, &m) < 0;
    if (with_services)
        n->store_failed |= sl_store_record(n->store, id, record.sections) < 0;
}

static void feed_store(struct sim_node *n, const struct sl_event *e)
{
    struct sl_vitals vitals;
    switch (e->type) {
    case SL_EV_STATUS:
    case SL_EV_RECORD:
        feed_member(n, &e->id, e->type == SL_EV_RECORD);
        break;
    case SL_EV_VITALS:
        if (sl_vitals_read(sl_fact_body(e->fact), &vitals))
            n->store_failed |= sl_store_vitals(n->store, &e->id, vitals.sections) < 0;
        break;
    case SL_EV_FORGOTTEN:
        sl_store_forget(n->store, &e->id);
        break;
    case SL_EV_STALE:
        sl_store_stale(n->store, e->status == SL_DOWN);
        break;
    case SL_EV_CONFLICT:
    case SL_EV_YIELDED:
    case SL_EV_LEFT:
        break;
    }
}

/* Memory ran out while it was fed: it is fed anew, until all has gone in. */
static void feed_again(struct sim_node *n)
{
    struct sl_member_info info;
    struct sl_vitals vitals;
    n->store_failed = false;
    for (size_t i = 0; i < sl_gossip_n_members(n->core) && !n->store_failed; i++) {
        if (!sl_gossip_member(n->core, i, &info))
            continue;
        feed_member(n, &info.id, true);
        if (sl_gossip_member(n->core, i, &info) && info.vitals &&
            sl_vitals_read(sl_fact_body(info.vitals), &vitals))
            n->store_failed |= sl_store_vitals(n->store, &info.id, vitals.sections) < 0;
    }
}

/* ---- output ---- */

void sim_enter(struct sim_world *w, size_t node)
{
    w->pool_account.fail_ppm = w->nodes[node].account.fail_ppm;
}

void sim_exit(struct sim_world *w)
{
    w->pool_account.fail_ppm = 0;
}

static void act(struct sim_world *w, size_t node, const struct sl_out *out)
{
    struct sim_node *n = &w->nodes[node];
    struct sl_span said;
    switch (out->type) {
    case SL_OUT_SEND:
        if (out->bytes.len == 0 || out->bytes.len > SL_FRAME_MAX)
            sim_violation(w, "node %zu sends a message of %zu bytes", node, out->bytes.len);
        if (n->liar == NULL)
            (void)sim_send(w, node, out->link, out->bytes);
        else if ((said = sim_liar_says(w, node, out->bytes)).len)
            (void)sim_send(w, node, out->link, said);
        return;
    case SL_OUT_DIAL:
        sim_dial(w, node, out->link, &out->addr);
        return;
    case SL_OUT_CUT:
        for (size_t i = 0; i < n->n_links; i++) {
            if (n->links[i].link == out->link) {
                sim_conn_close(w, n->links[i].conn, n->links[i].end, true);
                return;
            }
        }
        return;
    case SL_OUT_BAR: /* spares processor time alone */
        return;
    case SL_OUT_PROBE:
        sim_probe(w, node, out->link, &out->addr);
        return;
    }
}

/* About a member; NULL when nobody in the world has that id. Of a new one its status, record and vitals are told in a
 * row, and in a large flock to look for it is to wait for memory. */
static struct sim_identity *told_of(struct sim_world *w, size_t node, const struct sl_event *e)
{
    struct sim_identity *who = w->told_last;
    if (!who || !sl_id_eq(&who->id, &e->id))
        who = w->told_last = sim_identity_of(w, &e->id);
    if (!who)
        sim_violation(w, "node %zu knows somebody who never was", node);
    return who;
}

static void told(struct sim_world *w, size_t node, const struct sl_event *e)
{
    struct sim_node *n = &w->nodes[node];
    struct sim_identity *who;
    sim_trace(w, node, 16 + (unsigned)e->type, sl_get64(e->id.b) + (unsigned)e->status);
    switch (e->type) {
    case SL_EV_STATUS:
        if (e->self && e->status == SL_DOWN)
            sim_violation(w, "node %zu holds itself down", node);
        else if (!e->self && (who = told_of(w, node, e)) != NULL)
            sim_measure_status(w, node, who, e->status);
        break;
    case SL_EV_RECORD:
    case SL_EV_VITALS:
        if ((who = told_of(w, node, e)) != NULL)
            sim_measure_fact(w, node, who, e->fact);
        break;
    case SL_EV_CONFLICT:
        w->measure.n_conflicts++;
        break;
    case SL_EV_YIELDED:
        sim_yield(w, node);
        break;
    case SL_EV_STALE:
        n->isolated = e->status == SL_DOWN;
        break;
    case SL_EV_LEFT:
        if (n->leaving && !n->left_known) {
            n->left_known = true;
            sim_at(w, w->now, SIM_LEAVE_OVER, node, n->process, NULL);
        }
        break;
    case SL_EV_FORGOTTEN:
        if ((who = told_of(w, node, e)) != NULL) {
            sim_always_forgotten(w, node, who, e->fact);
            sim_revoked_forgotten(w, node, who);
        }
        break;
    }
    if (n->store)
        feed_store(n, e);
}

static void plan_tick(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    sl_usec deadline = sl_gossip_deadline(n->core);
    if (deadline == SL_NEVER)
        return;
    sl_usec at = deadline - n->mono;
    if (at <= w->now)
        at = n->spins > SPINS_MAX ? w->now + SL_MS(1) : w->now;
    /* A timer that is early does no harm: it looks again when it is there. */
    if (n->timer_at <= at)
        return;
    n->timer_at = at;
    sim_at(w, at, SIM_TIMER, node, ++n->timer_no, NULL);
}

static void publish_store(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    struct sl_change change;
    if (n->store_failed)
        feed_again(n);
    n->store_failed |= sl_store_publish(n->store, w->now) < 0;
    if (n->store_failed && n->account.fail_ppm == 0)
        sim_violation(w, "the registry of node %zu does not take what it is fed", node);
    while (sl_store_next_change(n->store, &change))
        sim_trace(w, node, 32 + (unsigned)change.type, sl_get64(change.id.b) + change.status);
}

void sim_drain(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    struct sl_out out;
    struct sl_event event;
    bool fed = false;
    while (sl_gossip_next_out(n->core, &out))
        act(w, node, &out);
    while (sl_gossip_next_event(n->core, &event)) {
        told(w, node, &event);
        fed = true;
    }
    if (n->store && (fed || n->store_failed))
        publish_store(w, node);
    plan_tick(w, node);
}

void sim_drain_restored(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    struct sl_event event;
    while (sl_gossip_next_event(n->core, &event))
        if (n->store)
            feed_store(n, &event);
    if (n->store)
        publish_store(w, node);
    sim_trace(w, node, 13, sl_gossip_n_members(n->core));
}

/* ---- input ---- */

void sim_item_free(struct sim_world *w, struct sim_item *item)
{
    if (item->conn)
        sim_conn_unref(w, item->conn);
    free(item->msg);
    free(item);
}

static void read_message(struct sim_world *w, size_t node, struct sim_item *item)
{
    struct sim_node *n = &w->nodes[node];
    struct sim_conn *c = item->conn;
    unsigned end = 1 - item->dir;
    sl_link link = c->end[end].link;
    if (!c->end[end].open)
        return;
    if (item->msg->last) {
        sim_conn_close(w, c, end, false);
        sim_trace(w, node, 1, link);
        if (link)
            sl_gossip_link(n->core, sim_mono(w, n), link, SL_LINK_DOWN);
        return;
    }
    c->dir[item->dir].n--;
    if (link == 0 && !sim_net_accept(w, c)) {
        sim_conn_close(w, c, end, true);
        return;
    }
    struct sl_span bytes = sl_span_of(item->msg->bytes, item->msg->len);
    link = c->end[end].link;
    sim_trace(w, node, 2, link * 31 + sim_bytes_hash(bytes));
    if (n->liar)
        bytes = sim_liar_hears(w, node, bytes);
    if (bytes.len)
        sl_gossip_receive(n->core, sim_mono(w, n), link, bytes.p, bytes.len);
}

static void hear_of_link(struct sim_world *w, size_t node, struct sim_item *item)
{
    struct sim_node *n = &w->nodes[node];
    sl_link link = item->link;
    if (item->conn) {
        struct sim_end *e = &item->conn->end[item->dir];
        link = e->link;
        if (!e->open)
            return;
        sim_conn_close(w, item->conn, item->dir, true);
        if (link == 0)
            return;
    }
    sim_trace(w, node, 3 + (unsigned)item->event, link);
    sl_gossip_link(n->core, sim_mono(w, n), link, item->event);
}

static void tick(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    n->spins = n->spin_at == w->now ? n->spins + 1 : 0;
    n->spin_at = w->now;
    if (n->spins == SPINS_MAX)
        sim_violation(w, "node %zu wants to be called again and again at one instant", node);
    sim_trace(w, node, 0, 0);
    sl_gossip_tick(n->core, sim_mono(w, n));
}

/* CPU time of what waits first. */
static sl_usec cost_of(const struct sim_world *w, size_t node, const struct sim_item *item)
{
    sl_usec cost = w->nodes[node].cost;
    if (item->kind == SIM_ITEM_HANDSHAKE || item->kind == SIM_ITEM_SHAKEN)
        cost += w->settings.link_cost;
    if ((item->kind == SIM_ITEM_LINK && item->conn) ||
        (item->kind == SIM_ITEM_MESSAGE && item->msg->last))
        cost += w->settings.end_cost;
    return cost;
}

/* When work that begins now is done: the node has one thread, its host so many processors. */
static sl_usec done_at(struct sim_world *w, size_t node, sl_usec cost)
{
    struct sim_node *n = &w->nodes[node];
    sl_usec at = n->busy_until > w->now ? n->busy_until : w->now;
    if (w->processors && cost) {
        sl_usec *mine = w->processors + sim_host(w, node) * w->settings.processors, *first = mine;
        for (size_t i = 1; i < w->settings.processors; i++)
            if (mine[i] < *first)
                first = &mine[i];
        at = *first > at ? *first : at;
        *first = at + cost;
    }
    return at + cost;
}

static void process(struct sim_world *w, size_t node, struct sim_item *item)
{
    struct sim_node *n = &w->nodes[node];
    sim_enter(w, node);
    switch (item->kind) {
    case SIM_ITEM_MESSAGE:
        read_message(w, node, item);
        break;
    case SIM_ITEM_HANDSHAKE:
        sim_shake(w, item->conn);
        break;
    case SIM_ITEM_SHAKEN:
        sim_shaken(w, item->conn);
        break;
    case SIM_ITEM_LINK:
        hear_of_link(w, node, item);
        break;
    case SIM_ITEM_TICK:
        n->tick_waits = false;
        tick(w, node);
        break;
    }
    sim_item_free(w, item);
    sim_drain(w, node);
    sim_exit(w);
}

/* The first in the inbox is dealt with when its time on a processor is over: not before does anything
 * that comes of it leave the node. */
static void plan_work(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    if (n->working || n->inbox == NULL || n->life != SIM_RUNNING)
        return;
    n->working = true;
    n->busy_until = done_at(w, node, cost_of(w, node, n->inbox));
    sim_at(w, n->busy_until, SIM_WORK, node, n->process, NULL);
}

void sim_input(struct sim_world *w, size_t node, struct sim_item *item)
{
    struct sim_node *n = &w->nodes[node];
    if (n->core == NULL || item->process != n->process) {
        sim_item_free(w, item);
        return;
    }
    if (n->life == SIM_RUNNING && n->inbox == NULL && !n->working && n->busy_until <= w->now &&
        cost_of(w, node, item) == 0) {
        process(w, node, item);
        return;
    }
    item->next = NULL;
    *(n->inbox ? n->inbox_end : &n->inbox) = item;
    n->inbox_end = &item->next;
    plan_work(w, node);
}

void sim_work(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    uint32_t process_no = n->process;
    bool paid = true; /* the first one's time is over */
    while (n->core && n->process == process_no && n->life == SIM_RUNNING && n->inbox &&
           n->busy_until <= w->now && (paid || cost_of(w, node, n->inbox) == 0)) {
        struct sim_item *item = n->inbox;
        n->inbox = item->next;
        paid = false;
        process(w, node, item);
    }
    n->working = false;
    plan_work(w, node);
}

void sim_timer(struct sim_world *w, size_t node, uint64_t number)
{
    struct sim_node *n = &w->nodes[node];
    if (n->core == NULL || number != n->timer_no)
        return;
    n->timer_at = SL_NEVER;
    if (n->life == SIM_RUNNING && sl_gossip_deadline(n->core) > sim_mono(w, n)) {
        plan_tick(w, node);
        return;
    }
    if (n->tick_waits)
        return;
    struct sim_item *item = sim_zero(sizeof *item);
    item->kind = SIM_ITEM_TICK;
    item->process = n->process;
    n->tick_waits = true;
    sim_input(w, node, item);
}
