/* drive.c: what node/ does around a core, in virtual time: hand it what arrives, do what it asks
 * for, feed its events to a registry, and call it again when it wants to be called. */
#include <starling.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/sim/world.h"

#define SPINS_MAX 1000 /* ticks at one instant before we say that the core does not get on */

static const uint8_t hash_key[16] = "starling-sim key";

uint64_t sim_bytes_hash(struct sl_span bytes)
{
    return sl_siphash(hash_key, bytes.p, bytes.len);
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

static void act(struct sim_world *w, size_t node, const struct sl_out *out)
{
    struct sim_node *n = &w->nodes[node];
    switch (out->type) {
    case SL_OUT_SEND:
        if (out->bytes.len == 0 || out->bytes.len > SL_FRAME_MAX)
            sim_violation(w, "node %zu sends a message of %zu bytes", node, out->bytes.len);
        (void)sim_send(w, node, out->link, out->bytes);
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
    case SL_OUT_PROBE:
        sim_probe(w, node, out->link, &out->addr);
        return;
    }
}

static void told(struct sim_world *w, size_t node, const struct sl_event *e)
{
    struct sim_node *n = &w->nodes[node];
    sim_trace(w, node, 16 + (unsigned)e->type, sl_get64(e->id.b) + (unsigned)e->status);
    switch (e->type) {
    case SL_EV_STATUS:
        if (e->self && e->status == SL_DOWN)
            sim_violation(w, "node %zu holds itself down", node);
        else if (!e->self)
            sim_measure_status(w, node, &e->id, e->status);
        break;
    case SL_EV_RECORD:
    case SL_EV_VITALS:
        sim_measure_fact(w, node, e->fact);
        break;
    case SL_EV_CONFLICT:
        w->measure.n_conflicts++;
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
    if (n->store && (fed || n->store_failed)) {
        struct sl_change change;
        if (n->store_failed)
            feed_again(n);
        n->store_failed |= sl_store_publish(n->store) < 0;
        if (n->store_failed && n->account.fail_ppm == 0)
            sim_violation(w, "the registry of node %zu does not take what it is fed", node);
        while (sl_store_next_change(n->store, &change))
            sim_trace(w, node, 32 + (unsigned)change.type, sl_get64(change.id.b) + change.status);
    }
    plan_tick(w, node);
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

static void process(struct sim_world *w, size_t node, struct sim_item *item)
{
    struct sim_node *n = &w->nodes[node];
    switch (item->kind) {
    case SIM_ITEM_MESSAGE:
        read_message(w, node, item);
        break;
    case SIM_ITEM_HANDSHAKE:
        sim_shake(w, item->conn);
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
    n->busy_until = w->now + n->cost;
    sim_drain(w, node);
}

static void plan_work(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    if (n->working || n->inbox == NULL || n->life != SIM_RUNNING)
        return;
    n->working = true;
    sim_at(w, n->busy_until > w->now ? n->busy_until : w->now, SIM_WORK, node, n->process, NULL);
}

void sim_input(struct sim_world *w, size_t node, struct sim_item *item)
{
    struct sim_node *n = &w->nodes[node];
    if (n->core == NULL || item->process != n->process) {
        sim_item_free(w, item);
        return;
    }
    if (n->life == SIM_RUNNING && n->inbox == NULL && n->busy_until <= w->now) {
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
    n->working = false;
    while (n->core && n->process == process_no && n->life == SIM_RUNNING && n->inbox &&
           n->busy_until <= w->now) {
        struct sim_item *item = n->inbox;
        n->inbox = item->next;
        process(w, node, item);
    }
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

/* ---- what a node says of itself ---- */

static size_t sections(struct sim_world *w, size_t node, enum sl_kind kind, uint8_t *out,
                       size_t cap)
{
    struct sim_node *n = &w->nodes[node];
    size_t n_services =
        w->settings.services < SL_SERVICES_MAX ? w->settings.services : SL_SERVICES_MAX;
    struct sl_service *all = sim_zero((n_services + 1) * sizeof *all);
    const struct sl_service *list[SL_SERVICES_MAX];
    for (size_t i = 0; i < n_services; i++) {
        struct sl_service *s = &all[i];
        snprintf(s->tenant, sizeof s->tenant, "default");
        snprintf(s->name, sizeof s->name, "service-%zu", (node + i) % (10 + n_services));
        snprintf(s->version, sizeof s->version, "%llu",
                 kind == SL_RECORD ? (unsigned long long)n->change : 1);
        snprintf(s->note, sizeof s->note, "%llu", (unsigned long long)n->change);
        s->port = (uint16_t)(8000 + i);
        s->base_weight = 100;
        s->weight = n->weight;
        list[i] = s;
    }
    size_t len = kind == SL_RECORD ? sl_sections_write_record(list, n_services, out, cap)
                                   : sl_sections_write_vitals(list, n_services, out, cap);
    free(all);
    return len;
}

static bool publish(struct sim_world *w, size_t node, enum sl_kind kind, bool urgent,
                    uint64_t *ret_hash)
{
    struct sim_node *n = &w->nodes[node];
    uint8_t *buffer = sim_resize(NULL, SL_RECORD_MAX);
    size_t cap = kind == SL_RECORD ? SL_RECORD_MAX - SL_CERT_MAX - 512 : SL_VITALS_MAX - 256;
    struct sl_span s = sl_span_of(buffer, sections(w, node, kind, buffer, cap));
    sim_trace(w, node, 8 + (unsigned)kind, n->change);
    *ret_hash = sim_bytes_hash(s);
    int r = sl_gossip_put(n->core, sim_mono(w, n), kind, s, urgent);
    if (r < 0 && n->account.fail_ppm == 0)
        sim_violation(w, "node %zu cannot publish: error %d", node, r);
    free(buffer);
    return r == 0;
}

uint64_t sim_put(struct sim_world *w, size_t node, enum sl_kind kind, bool urgent)
{
    struct sim_node *n = &w->nodes[node];
    uint64_t hash;
    if (n->life != SIM_RUNNING || n->leaving)
        return 0;
    n->change++;
    if (kind == SL_VITALS)
        n->weight = (uint16_t)(1 + sl_rand_below(&w->work_rand, 1000));
    if (publish(w, node, kind, urgent, &hash))
        sim_measure_change(w, node, kind, hash);
    sim_drain(w, node);
    return n->change;
}

/* ---- a process ---- */

static uint64_t new_epoch(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    int64_t ms = SIM_WALL_S * 1000 + (w->now + n->skew) / 1000;
    return (uint64_t)ms << 16 | sl_rand_below(&n->rand, 65536);
}

static void plant_seeds(struct sim_world *w, size_t node, unsigned flags)
{
    struct sim_node *n = &w->nodes[node];
    for (size_t i = 0; i < w->settings.seeds && i < w->n; i++) {
        struct sl_addr a = sim_address(w, i);
        sl_gossip_seed(n->core, sim_mono(w, n), &a);
    }
    for (size_t i = 0; i < n->n_known && !(flags & SIM_START_BARE); i++)
        sl_gossip_seed(n->core, sim_mono(w, n), &n->known[i]);
}

static void forget_versions(struct sim_world *w, size_t node)
{
    if (w->pairs)
        memset(w->pair_identity + node * w->n * 2, 0, w->n * 2 * sizeof *w->pair_identity);
}

bool sim_core_start(struct sim_world *w, size_t node, unsigned flags)
{
    struct sim_node *n = &w->nodes[node];
    struct sim_identity *self = sim_self(w, node);
    struct sl_gossip_config config = {
        .bundle = w->bundle,
        .cert = sl_span_of(self->cert, self->cert_len),
        .addr = sim_address(w, node),
        .host = sim_seed(w->seed, "host", sim_host(w, node)) | 1,
        .lasting = w->settings.lasting,
        .seed = sl_rand_u64(&n->rand),
        .epoch = new_epoch(w, node),
        .wall_offset_us = SIM_WALL_S * 1000000 + n->skew - n->mono,
    };
    for (size_t i = 0; i < sizeof n->c_d; i += 8)
        sl_put64(n->c_d + i, sl_rand_u64(&n->rand));
    memcpy(config.c_d, n->c_d, sizeof n->c_d);
    if (w->settings.zones)
        snprintf(config.zone, sizeof config.zone, "zone-%zu",
                 sim_host(w, node) % w->settings.zones);
    n->crypto = sim_signer_port(&self->signer);
    n->ports = (struct sl_ports){.alloc = &n->alloc, .crypto = &n->crypto, .log = &w->log};
    uint64_t hash;
    if (sl_gossip_new(&config, &n->ports, sim_mono(w, n), &n->core) < 0)
        return false;
    if (node < w->settings.stores && sl_store_new(&n->alloc, config.seed, &n->store) < 0)
        n->store = NULL;
    n->weight = 100;
    n->timer_at = SL_NEVER;
    n->busy_until = w->now;
    forget_versions(w, node);
    (void)publish(w, node, SL_RECORD, false, &hash);
    (void)publish(w, node, SL_VITALS, false, &hash);
    plant_seeds(w, node, flags);
    sim_drain(w, node);
    return true;
}

/* A sample of the members that a state directory would list, each as likely as the others. */
static void remember_peers(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    size_t cap = w->settings.known, seen = 0;
    n->known = sim_resize(n->known, (cap + 1) * sizeof *n->known);
    n->n_known = 0;
    struct sl_member_info info;
    for (size_t i = 0; i < sl_gossip_n_members(n->core); i++) {
        if (!sl_gossip_member(n->core, i, &info) || info.self || info.record == NULL ||
            info.record->who == NULL || info.status > SL_SUSPECT)
            continue;
        size_t at = seen < cap ? seen : sl_rand_below(&n->rand, seen + 1);
        seen++;
        if (at < cap)
            n->known[at] = info.record->who->addr;
    }
    n->n_known = seen < cap ? seen : cap;
}

void sim_core_stop(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    remember_peers(w, node);
    while (n->inbox) {
        struct sim_item *item = n->inbox;
        n->inbox = item->next;
        sim_item_free(w, item);
    }
    sl_store_free(n->store);
    sl_gossip_free(n->core);
    n->store = NULL;
    n->core = NULL;
    n->working = n->tick_waits = n->leaving = n->left_known = n->isolated = false;
    n->timer_no++;
}
