/* process.c: a process from its start to its end, and what it publishes of itself. */
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/sim/world.h"

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

#define LATER_KIND 9

/* What a later version would say besides. */
static void publish_later(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    uint8_t body[8];
    if (sim_seed(w->seed, "later", node) % 1000000 >= w->settings.later)
        return;
    sl_put64(body, n->change);
    if (sl_gossip_put(n->core, sim_mono(w, n), (enum sl_kind)LATER_KIND,
                      sl_span_of(body, sizeof body), false) < 0 &&
        n->account.fail_ppm == 0)
        sim_violation(w, "node %zu cannot publish a fact of a later version", node);
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
    n->unsaid |= r < 0;
    free(buffer);
    publish_later(w, node);
    return r == 0;
}

void sim_put_again(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    uint64_t hash;
    if (n->core == NULL || n->life != SIM_RUNNING || n->leaving || !n->unsaid)
        return;
    n->unsaid = false;
    sim_enter(w, node);
    (void)publish(w, node, SL_RECORD, false, &hash);
    (void)publish(w, node, SL_VITALS, false, &hash);
    sim_drain(w, node);
    sim_exit(w);
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
    sim_enter(w, node);
    if (publish(w, node, kind, urgent, &hash))
        sim_measure_change(w, node, kind, hash);
    sim_drain(w, node);
    sim_exit(w);
    return n->change;
}

/* ---- a process ---- */

uint64_t sim_epoch(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    int64_t ms = SIM_WALL_S * 1000 + (w->now + n->skew) / 1000;
    return (uint64_t)ms << 16 | sl_rand_below(&n->rand, 65536);
}

static void plant_seeds(struct sim_world *w, size_t node, unsigned flags)
{
    struct sim_node *n = &w->nodes[node];
    n->bare = flags & SIM_START_BARE;
    for (size_t i = 0; i < w->settings.seeds && i < w->n; i++) {
        struct sl_addr a = sim_address(w, i);
        sl_gossip_seed(n->core, sim_mono(w, n), &a);
    }
    for (size_t i = 0; i < n->n_known && !n->bare; i++)
        sl_gossip_seed(n->core, sim_mono(w, n), &n->known[i]);
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
        .epoch = sim_epoch(w, node),
        .wall_offset_us = SIM_WALL_S * 1000000 + n->skew - n->mono,
    };
    for (size_t i = 0; i < sizeof n->c_d; i += 8)
        sl_put64(n->c_d + i, sl_rand_u64(&n->rand));
    memcpy(config.c_d, n->c_d, sizeof n->c_d);
    if (w->settings.zones)
        snprintf(config.zone, sizeof config.zone, "zone-%zu",
                 sim_host(w, node) % w->settings.zones);
    n->crypto = sim_signer_port(&self->signer);
    n->ports = (struct sl_ports){
        .alloc = &n->alloc, .crypto = &n->crypto, .log = &w->log, .pool = w->pool};
    uint64_t hash;
    sim_enter(w, node);
    if (sl_gossip_new(&config, &n->ports, sim_mono(w, n), &n->core) < 0) {
        sim_exit(w);
        return false;
    }
    if (node < w->settings.stores && sl_store_new(&n->alloc, config.seed, NULL, &n->store) < 0)
        n->store = NULL;
    n->weight = 100;
    n->timer_at = SL_NEVER;
    n->busy_until = w->now;
    (void)publish(w, node, SL_RECORD, false, &hash);
    (void)publish(w, node, SL_VITALS, false, &hash);
    sim_exit(w);
    if (!(flags & SIM_START_ASLEEP))
        sim_core_wake(w, node, flags);
    return true;
}

void sim_core_wake(struct sim_world *w, size_t node, unsigned flags)
{
    if (w->nodes[node].core == NULL)
        return;
    plant_seeds(w, node, flags);
    sim_drain(w, node);
}

/* Each as likely as the others. */
void sim_remember_peers(struct sim_world *w, size_t node)
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
    while (n->inbox) {
        struct sim_item *item = n->inbox;
        n->inbox = item->next;
        sim_item_free(w, item);
    }
    sim_always_stopping(w, node);
    sl_store_free(n->store);
    sl_gossip_free(n->core);
    n->store = NULL;
    n->core = NULL;
    n->account.peak = n->account.used;
    n->too_large = false;
    n->members = n->links_peak = 0;
    n->working = n->tick_waits = n->leaving = n->left_known = n->isolated = n->out = false;
    n->timer_no++;
}

/* ---- a warm start ---- */

/* What the node publishes of itself; borrowed until its core is called with a new time. */
struct published {
    const struct sl_fact *record, *vitals;
};

static void restore_all(struct sim_world *w, size_t node, const struct published *of)
{
    struct sl_gossip *core = w->nodes[node].core;
    sl_usec now = sim_mono(w, &w->nodes[node]);
    for (size_t i = 0; i < w->n; i++) {
        if (of[i].record == NULL || i == node)
            continue;
        sl_gossip_restore(core, now, of[i].record);
        if (of[i].vitals)
            sl_gossip_restore(core, now, of[i].vitals);
    }
    sim_drain_restored(w, node);
}

/* Everybody's tables are filled at one instant; their first moves are made within `spread`. */
void sim_start_warm(struct sim_world *w, const struct sim_set *set)
{
    struct published *of = sim_zero(w->n * sizeof *of);
    struct sl_member_info info;
    for (size_t i = 0; i < w->n; i++) {
        if (!sim_set_has(set, i))
            continue;
        sim_start(w, i, SIM_START_ASLEEP);
        if (w->nodes[i].core && sl_gossip_find(w->nodes[i].core, &sim_self(w, i)->id, &info))
            of[i] = (struct published){info.record, info.vitals};
    }
    for (size_t i = 0; i < w->n; i++)
        if (of[i].record)
            restore_all(w, i, of);
    free(of);
}
