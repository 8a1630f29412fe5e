/* world.c: the flock's keys and addresses, its nodes' lives, and the loop over events. */
#include "tests/sim/world.h"

#include <starling.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/bytes.h"

#define PORT 7700
#define MONO_MAX SL_SEC(400 * 86400) /* a host may be up for more than a year */

void sim_at(struct sim_world *w, sl_usec at, enum sim_event_kind kind, size_t node, uint64_t n,
            void *p)
{
    sim_heap_push(&w->heap, (struct sim_event){
                                .at = at, .kind = kind, .node = (uint32_t)node, .n = n, .p = p});
}

void sim_at_script(struct sim_world *w, sl_usec at, uint64_t line)
{
    sim_heap_push_first(&w->heap, (struct sim_event){.at = at, .kind = SIM_SCRIPT, .n = line});
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
    struct sim_violation v = {.kind = format, .at = w->now - w->zero};
    size_t at = (size_t)snprintf(v.text, sizeof v.text, "at %.6f s: ", (double)v.at / 1e6);
    va_list args;
    va_start(args, format);
    vsnprintf(v.text + at, sizeof v.text - at, format, args);
    va_end(args);
    sim_say(w, "VIOLATION %s", v.text);
    if (w->n_violations < SL_COUNT(w->violations))
        w->violations[w->n_violations] = v;
    w->n_violations++;
    if (w->on_violation)
        w->on_violation(w, &v);
    if (w->stop_for && (*w->stop_for == '\0' || strcmp(w->stop_for, format) == 0))
        w->stopped = true;
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

bool sim_identity_new(struct sim_world *w, size_t node)
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

/* What it takes is the flock's; it checks and hashes, but has no key to sign with. */
static bool pool_new(struct sim_world *w)
{
    w->pool_account.memory = &w->memory;
    sl_rand_seed(&w->pool_account.rand, sim_seed(w->seed, "pool", 0));
    w->pool_alloc = sim_account_alloc(&w->pool_account);
    w->pool_crypto = sim_signer_port(&w->authority);
    return sl_pool_new(&w->pool_alloc, &w->pool_crypto, &w->bundle, &w->pool) == 0;
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
    sim_always_init(w);
    w->nodes = sim_zero(n * sizeof *w->nodes);
    if (settings->processors)
        w->processors =
            sim_zero((sim_host(w, n) + 1) * settings->processors * sizeof *w->processors);
    bool ok = pool_new(w);
    for (size_t i = 0; i < n && ok; i++) {
        node_init(w, i);
        ok = sim_identity_new(w, i);
    }
    if (!ok)
        sim_world_fini(w);
    return ok ? 0 : STARLING_EINVAL;
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
    case SIM_LIE:
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
        sim_liar_free(w->nodes[i].liar);
    }
    while (sim_heap_pop(&w->heap, &e))
        drop_event(w, &e);
    sim_heap_fini(&w->heap);
    sim_net_fini(w);
    sim_measure_fini(&w->measure);
    sim_always_fini(w);
    sl_idmap_fini(&w->by_id);
    if (w->pool)
        sl_pool_free(w->pool);
    for (size_t i = 0; i < w->n_identities; i++)
        free(w->identities[i]);
    free(w->identities);
    free(w->nodes);
    free(w->processors);
    memset(w, 0, sizeof *w);
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
        sim_leave_over(w, e->node, e->n);
        break;
    case SIM_RULE_OVER:
        sim_rule_end(w, e->n);
        break;
    case SIM_POLL:
        sim_poll(w);
        break;
    case SIM_LIE:
        sim_liar_turn(w, e->node);
        break;
    case SIM_SCRIPT:
    case SIM_TASK:
        w->script(w, e);
        break;
    }
}

void sim_world_run(struct sim_world *w, sl_usec until)
{
    for (const struct sim_event *next;
         (next = sim_heap_first(&w->heap)) && next->at <= until && !w->stopped;) {
        struct sim_event e;
        (void)sim_heap_pop(&w->heap, &e);
        w->now = e.at;
        w->n_events++;
        dispatch(w, &e);
    }
    if (!w->stopped)
        w->now = until;
}
