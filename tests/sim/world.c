/* world.c: the flock's keys and addresses, its nodes' lives, and the loop over events. */
#include "tests/sim/world.h"

#include <starling.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/bytes.h"

#define PORT 7700
#define MONO_MAX SL_SEC(400 * 86400) /* a host may be up for more than a year */
#define LEAVE_MAX SL_SEC(3) /* a process waits at most so long for its goodbye to be known */

void sim_at(struct sim_world *w, sl_usec at, enum sim_event_kind kind, size_t node, uint64_t n,
            void *p)
{
    sim_heap_push(&w->heap, (struct sim_event){
                                .at = at, .kind = kind, .node = (uint32_t)node, .n = n, .p = p});
}

void sim_trace(struct sim_world *w, size_t node, unsigned kind, uint64_t what)
{
    sim_hash_u64(&w->trace, (uint64_t)w->now);
    sim_hash_u64(&w->trace, (uint64_t)node << 8 | kind);
    sim_hash_u64(&w->trace, what);
}

void sim_say(const struct sim_world *w, const char *format, ...)
{
    if (!w->verbose)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%12.6f  ", (double)(w->now - w->zero) / 1e6);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void sim_violation(struct sim_world *w, const char *format, ...)
{
    char text[256];
    size_t at =
        (size_t)snprintf(text, sizeof text, "at %.6f s: ", (double)(w->now - w->zero) / 1e6);
    va_list args;
    va_start(args, format);
    vsnprintf(text + at, sizeof text - at, format, args);
    va_end(args);
    sim_say(w, "VIOLATION %s", text);
    if (w->n_violations < SL_COUNT(w->violations)) {
        size_t len = strlen(text) + 1;
        w->violations[w->n_violations] = memcpy(sim_resize(NULL, len), text, len);
    }
    w->n_violations++;
}

/* ---- places ---- */

size_t sim_host(const struct sim_world *w, size_t node)
{
    return node / w->settings.per_host;
}

/* 10.0.0.0/8, one address a host, one port a node on it. */
struct sl_addr sim_address(const struct sim_world *w, size_t node)
{
    struct sl_addr a = {.family = 4, .port = (uint16_t)(PORT + node % w->settings.per_host)};
    sl_put32(a.ip, (uint32_t)(10u << 24 | (sim_host(w, node) + 1)));
    return a;
}

size_t sim_node_at(const struct sim_world *w, const struct sl_addr *addr)
{
    uint32_t ip = sl_get32(addr->ip);
    if (addr->family != 4 || ip >> 24 != 10 || (ip & 0xffffff) == 0 || addr->port < PORT ||
        addr->port >= PORT + w->settings.per_host)
        return SIZE_MAX;
    size_t node = ((size_t)(ip & 0xffffff) - 1) * w->settings.per_host + (addr->port - PORT);
    return node < w->n ? node : SIZE_MAX;
}

bool sim_host_up(const struct sim_world *w, size_t node)
{
    return w->nodes[node].life != SIM_OFF && w->nodes[node].life != SIM_SUSPENDED;
}

/* ---- identities ---- */

static const struct sl_id *id_at(void *context, uint32_t index)
{
    const struct sim_world *w = context;
    return &w->identities[index]->id;
}

struct sim_identity *sim_identity_of(const struct sim_world *w, const struct sl_id *id)
{
    uint32_t index = sl_idmap_find(&w->by_id, id);
    return index == SL_IDMAP_NONE ? NULL : w->identities[index];
}

static bool certify(struct sim_world *w, struct sim_identity *self)
{
    struct sl_crypto port = sim_signer_port(&w->authority);
    /* Ten years each way: clocks that scenarios set by days stay inside. */
    const int64_t span = 3650 * INT64_C(86400);
    struct sl_cert cert = {.not_before = SIM_WALL_S - span, .not_after = SIM_WALL_S + span};
    struct sl_span key = sl_span_of(w->authority.public_key, SL_KEY_LEN);
    port.hash(port.context, cert.issuer, sizeof cert.issuer, NULL, 0, &key, 1);
    sl_put64(cert.serial, sim_seed(w->seed, "serial", self->number));
    memcpy(cert.flock, w->bundle.flock, sizeof cert.flock);
    memcpy(cert.key, self->signer.public_key, sizeof cert.key);
    snprintf(cert.name, sizeof cert.name, "node-%u", self->node);
    uint8_t text[SL_CERT_MAX + 64];
    size_t len = sl_cert_encode(&cert, self->cert, sizeof self->cert - SL_SIG_LEN);
    size_t text_len = sl_cert_signed_text(sl_span_of(self->cert, len), text, sizeof text);
    if (len == 0 || text_len == 0)
        return false;
    port.sign(port.context, self->cert + len, text, text_len);
    self->cert_len = (uint16_t)(len + SL_SIG_LEN);
    sl_node_id(&port, self->signer.public_key, &self->id);
    return true;
}

/* The node becomes somebody it has never been. */
static bool identity_new(struct sim_world *w, size_t node)
{
    if (w->n_identities == w->cap_identities) {
        w->cap_identities = w->cap_identities ? 2 * w->cap_identities : 64;
        w->identities = sim_resize(w->identities, w->cap_identities * sizeof *w->identities);
    }
    struct sim_identity *self = sim_zero(sizeof *self);
    self->node = (uint32_t)node;
    self->number = (uint32_t)w->n_identities;
    w->identities[w->n_identities++] = self;
    struct sl_rand r;
    sl_rand_seed(&r, sim_seed(w->seed, "identity", self->number));
    sim_signer_init(&self->signer, w->real_crypto, &w->crypto_count, &r);
    if (!certify(w, self) || sl_idmap_add(&w->by_id, &self->id, self->number) < 0)
        return false;
    w->nodes[node].identity = self->number;
    return true;
}

static void flock_new(struct sim_world *w)
{
    struct sl_rand r;
    sl_rand_seed(&r, sim_seed(w->seed, "authority", 0));
    sim_signer_init(&w->authority, w->real_crypto, &w->crypto_count, &r);
    struct sl_crypto port = sim_signer_port(&w->authority);
    memcpy(w->bundle.authority[0], w->authority.public_key, SL_KEY_LEN);
    w->bundle.n_authorities = 1;
    sl_flock_id(&port, SIM_FLOCK, w->bundle.flock);
    for (size_t i = 0; i < SL_KEY_LEN; i += 8)
        sl_put64(w->bundle.door_public + i, sl_rand_u64(&r));
}

/* ---- the world ---- */

static void node_init(struct sim_world *w, size_t i)
{
    struct sim_node *n = &w->nodes[i];
    sl_rand_seed(&n->rand, sim_seed(w->seed, "node", i));
    n->account.memory = &w->memory;
    sl_rand_seed(&n->account.rand, sim_seed(w->seed, "memory", i));
    n->alloc = sim_account_alloc(&n->account);
    n->mono = sl_rand_span(&n->rand, 0, MONO_MAX);
    n->skew = sl_rand_span(&n->rand, -SL_SEC(2), SL_SEC(2));
    n->cost = w->settings.cost;
    n->timer_at = SL_NEVER;
}

int sim_world_init(struct sim_world *w, size_t n, uint64_t seed,
                   const struct sim_settings *settings, bool real_crypto)
{
    memset(w, 0, sizeof *w);
    w->settings = *settings;
    w->seed = seed;
    w->n = n;
    w->real_crypto = real_crypto;
    if (sim_crypto_setup(real_crypto) < 0)
        return STARLING_EIO;
    w->memory.exact = n <= 2000;
    w->own_account.memory = &w->memory;
    w->own_alloc = sim_account_alloc(&w->own_account);
    sim_hash_init(&w->trace, seed, n);
    sl_rand_seed(&w->net_rand, sim_seed(seed, "network", 0));
    sl_rand_seed(&w->fault_rand, sim_seed(seed, "faults", 0));
    sl_rand_seed(&w->work_rand, sim_seed(seed, "workload", 0));
    sl_rand_seed(&w->start_rand, sim_seed(seed, "start", 0));
    static const uint8_t map_key[16] = "simulated flock";
    sl_idmap_init(&w->by_id, &w->own_alloc, map_key, id_at, w);
    flock_new(w);
    sim_measure_init(&w->measure, n);
    w->nodes = sim_zero(n * sizeof *w->nodes);
    if (n <= settings->pairs_max) {
        w->pairs = sim_zero(n * n * 2 * sizeof *w->pairs);
        w->pair_identity = sim_zero(n * n * 2 * sizeof *w->pair_identity);
    }
    for (size_t i = 0; i < n; i++) {
        node_init(w, i);
        if (!identity_new(w, i)) {
            sim_world_fini(w);
            return STARLING_EINVAL;
        }
    }
    return 0;
}

static void drop_event(struct sim_world *w, const struct sim_event *e)
{
    switch ((enum sim_event_kind)e->kind) {
    case SIM_ARRIVE:
    case SIM_FLUSH:
    case SIM_GIVE_UP:
    case SIM_SYN:
    case SIM_OPEN:
    case SIM_DIAL_TIMEOUT:
        sim_conn_unref(w, e->p);
        break;
    case SIM_ANSWER:
        sim_item_free(w, e->p);
        break;
    case SIM_PROBE:
    case SIM_TASK:
        free(e->p);
        break;
    case SIM_TIMER:
    case SIM_WORK:
    case SIM_LEAVE_OVER:
    case SIM_RULE_OVER:
    case SIM_POLL:
    case SIM_SCRIPT:
        break;
    }
}

void sim_world_fini(struct sim_world *w)
{
    struct sim_event e;
    for (size_t i = 0; i < w->n; i++) {
        if (w->nodes[i].core)
            sim_core_stop(w, i);
        free(w->nodes[i].links);
        free(w->nodes[i].known);
    }
    while (sim_heap_pop(&w->heap, &e))
        drop_event(w, &e);
    sim_heap_fini(&w->heap);
    sim_net_fini(w);
    sim_measure_fini(&w->measure);
    sl_idmap_fini(&w->by_id);
    for (size_t i = 0; i < SL_COUNT(w->violations); i++)
        free(w->violations[i]);
    for (size_t i = 0; i < w->n_identities; i++)
        free(w->identities[i]);
    free(w->identities);
    free(w->nodes);
    free(w->pairs);
    free(w->pair_identity);
    w->n = 0;
}

/* ---- lives ---- */

static void set_life(struct sim_world *w, size_t node, enum sim_life life)
{
    w->nodes[node].life = life;
    w->nodes[node].since = w->now;
}

static bool has_process(const struct sim_world *w, size_t node)
{
    return w->nodes[node].core != NULL;
}

void sim_start(struct sim_world *w, size_t node, unsigned flags)
{
    struct sim_node *n = &w->nodes[node];
    if (has_process(w, node))
        return;
    sim_say(w, "node %zu starts%s", node, flags & SIM_START_NEW ? " as somebody new" : "");
    /* Who said goodbye comes back by a newer epoch; a new identity takes the address over. */
    if ((flags & SIM_START_NEW) && n->process > 0 && !identity_new(w, node)) {
        sim_violation(w, "node %zu gets no new certificate", node);
        return;
    }
    sim_measure_back(w, node);
    n->process++;
    bool was_off = n->life == SIM_OFF;
    set_life(w, node, SIM_RUNNING);
    if (!sim_core_start(w, node, flags)) {
        set_life(w, node, SIM_DEAD);
        if (n->account.fail_ppm == 0)
            sim_violation(w, "node %zu does not start", node);
    }
    sim_measure_changed(w);
    if (was_off)
        sim_net_release(w);
}

/* The process is gone; its kernel closes its connections, or is gone as well. */
static void stop(struct sim_world *w, size_t node, enum sim_life life)
{
    struct sim_node *n = &w->nodes[node];
    sim_core_stop(w, node);
    while (n->n_links)
        sim_conn_close(w, n->links[n->n_links - 1].conn, n->links[n->n_links - 1].end,
                       life == SIM_DEAD);
    set_life(w, node, life);
}

void sim_kill(struct sim_world *w, size_t node)
{
    if (!has_process(w, node) || w->nodes[node].life == SIM_SUSPENDED)
        return;
    sim_say(w, "node %zu is killed", node);
    sim_measure_death(w, node);
    stop(w, node, SIM_DEAD);
    sim_measure_changed(w);
}

void sim_off(struct sim_world *w, size_t node)
{
    size_t host = sim_host(w, node);
    for (size_t i = host * w->settings.per_host; i < w->n && sim_host(w, i) == host; i++) {
        if (w->nodes[i].life == SIM_OFF)
            continue;
        sim_say(w, "node %zu is switched off", i);
        if (has_process(w, i)) {
            sim_measure_death(w, i);
            stop(w, i, SIM_OFF);
        } else {
            set_life(w, i, SIM_OFF);
        }
    }
    sim_measure_changed(w);
}

void sim_on(struct sim_world *w, size_t node)
{
    if (w->nodes[node].life != SIM_OFF)
        return;
    set_life(w, node, SIM_DEAD);
    sim_measure_changed(w);
    sim_net_release(w);
}

void sim_freeze(struct sim_world *w, size_t node)
{
    if (w->nodes[node].life != SIM_RUNNING)
        return;
    sim_say(w, "node %zu freezes", node);
    sim_measure_death(w, node);
    set_life(w, node, SIM_FROZEN);
    sim_measure_changed(w);
}

void sim_suspend(struct sim_world *w, size_t node)
{
    if (w->nodes[node].life != SIM_RUNNING)
        return;
    sim_say(w, "node %zu is suspended", node);
    sim_measure_death(w, node);
    set_life(w, node, SIM_SUSPENDED);
    w->nodes[node].stopped = w->now;
    sim_measure_changed(w);
}

void sim_thaw(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    if (n->life != SIM_FROZEN && n->life != SIM_SUSPENDED)
        return;
    sim_say(w, "node %zu goes on", node);
    bool slept = n->life == SIM_SUSPENDED;
    sim_measure_back(w, node);
    set_life(w, node, SIM_RUNNING);
    sim_measure_changed(w);
    if (slept) {
        n->mono -= w->now - n->stopped;
        sl_gossip_wall(n->core, SIM_WALL_S * 1000000 + n->skew - n->mono);
        sim_net_release(w);
    }
    n->busy_until = w->now;
    n->timer_at = SL_NEVER;
    n->timer_no++;
    n->working = true; /* whatever was planned before is void: this goes first */
    sim_at(w, w->now, SIM_WORK, node, n->process, NULL);
    sim_drain(w, node);
}

void sim_leave(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    if (n->life != SIM_RUNNING || n->leaving)
        return;
    sim_say(w, "node %zu leaves", node);
    sim_measure_death(w, node);
    n->leaving = true;
    sim_measure_changed(w);
    sim_trace(w, node, 12, 0);
    sim_at(w, w->now + LEAVE_MAX, SIM_LEAVE_OVER, node, n->process, NULL);
    sl_gossip_leave(n->core, sim_mono(w, n));
    sim_drain(w, node);
}

void sim_slow(struct sim_world *w, size_t node, sl_usec cost)
{
    sim_say(w, "node %zu needs %lld us for an input", node, (long long)cost);
    w->nodes[node].cost = cost;
    w->nodes[node].since = w->now;
    sim_measure_changed(w);
}

void sim_oom(struct sim_world *w, size_t node, uint32_t fail_ppm)
{
    sim_say(w, "node %zu is refused %u of a million allocations", node, fail_ppm);
    w->nodes[node].account.fail_ppm = fail_ppm;
    w->nodes[node].since = w->now;
    sim_measure_changed(w);
}

void sim_clock(struct sim_world *w, size_t node, sl_usec step)
{
    struct sim_node *n = &w->nodes[node];
    n->skew += step;
    sim_say(w, "node %zu sets its clock by %lld s", node, (long long)(step / 1000000));
    if (n->core)
        sl_gossip_wall(n->core, SIM_WALL_S * 1000000 + n->skew - n->mono);
}

/* ---- the loop ---- */

static void dispatch(struct sim_world *w, const struct sim_event *e)
{
    switch ((enum sim_event_kind)e->kind) {
    case SIM_TIMER:
        sim_timer(w, e->node, e->n);
        break;
    case SIM_WORK:
        if (w->nodes[e->node].process == e->n)
            sim_work(w, e->node);
        break;
    case SIM_ARRIVE:
    case SIM_FLUSH:
    case SIM_GIVE_UP:
    case SIM_SYN:
    case SIM_OPEN:
    case SIM_DIAL_TIMEOUT:
    case SIM_PROBE:
        sim_net_event(w, e);
        break;
    case SIM_ANSWER:
        sim_input(w, e->node, e->p);
        break;
    case SIM_LEAVE_OVER:
        if (w->nodes[e->node].process == e->n && w->nodes[e->node].leaving)
            stop(w, e->node, SIM_DEAD);
        break;
    case SIM_RULE_OVER:
        sim_rule_end(w, e->n);
        break;
    case SIM_POLL:
        sim_poll(w);
        break;
    case SIM_SCRIPT:
    case SIM_TASK:
        w->script(w, e);
        break;
    }
}

void sim_world_run(struct sim_world *w, sl_usec until)
{
    for (const struct sim_event *next; (next = sim_heap_first(&w->heap)) && next->at <= until;) {
        struct sim_event e;
        (void)sim_heap_pop(&w->heap, &e);
        w->now = e.at;
        w->n_events++;
        dispatch(w, &e);
    }
    w->now = until;
}
