/* swarm.c: faults drawn from the seed. A seed first draws which kinds of fault there are at all
 * and how dense they come (swarm testing: Groce et al., ISSTA 2012), then the faults. Each ends
 * by itself; at the end of the phase all do, and what is left of the scenario demands agreement. */
#include <stdlib.h>

#include "tests/sim/script.h"

enum fault {
    F_KILL, /* and a restart, with or without its memory of peers, perhaps as somebody new */
    F_OFF,
    F_FREEZE,
    F_SUSPEND,
    F_LEAVE,
    F_PARTITION,
    F_EDGES, /* a few bad edges, one way or both */
    F_ISOLATE,
    F_LOSS,
    F_HOLD,
    F_RESET,
    F_SLOW,
    F_CLOCK,
    F_UPDATE,
    F_OOM,
    N_FAULTS
};

struct sim_swarm {
    bool on[N_FAULTS];
    sl_usec gap_max;    /* between two faults */
    size_t hurt_max;    /* faults at once */
    sl_usec part_until; /* one partition at a time */
    sl_usec until;
};

static uint64_t below(struct sim_world *w, uint64_t n)
{
    return sl_rand_below(&w->fault_rand, n);
}

static sl_usec span(struct sim_world *w, sl_usec low, sl_usec high)
{
    return sl_rand_span(&w->fault_rand, low, high);
}

void sim_swarm_begin(struct sim_script *s, struct sim_world *w, sl_usec until)
{
    static const char *const names[N_FAULTS] = {"kill",      "off",   "freeze",  "suspend", "leave",
                                                "partition", "edges", "isolate", "loss",    "hold",
                                                "reset",     "slow",  "clock",   "update",  "oom"};
    if (s->swarm == NULL)
        s->swarm = sim_zero(sizeof *s->swarm);
    struct sim_swarm *m = s->swarm;
    uint64_t mask = 0;
    while (mask == 0)
        mask = below(w, UINT64_C(1) << N_FAULTS);
    for (int i = 0; i < N_FAULTS; i++) {
        m->on[i] = mask >> i & 1;
        if (m->on[i])
            sim_say(w, "swarm: %s", names[i]);
    }
    m->gap_max = SL_SEC(1 + (sl_usec)below(w, 30));
    m->hurt_max = 1 + below(w, w->n / 3 + 1);
    m->until = until;
    sim_later(w, 0, (struct sim_task){.kind = SIM_TASK_SWARM});
}

/* Nodes that are not well, and faults of the network. */
static size_t n_hurt(const struct sim_world *w)
{
    size_t n = w->net.n_used;
    for (size_t i = 0; i < w->n; i++)
        n += !sim_is_healthy(w, i);
    return n;
}

static struct sim_set some(struct sim_world *w, size_t want)
{
    struct sim_set set;
    sim_set_init(&set, w->n);
    for (size_t i = 0, left = w->n; i < w->n; i++, left--) {
        if (below(w, left) < want) {
            sim_set_add(&set, i);
            want--;
        }
    }
    return set;
}

static struct sim_set rest_of(const struct sim_set *a)
{
    struct sim_set set;
    sim_set_init(&set, a->n);
    for (size_t i = 0; i < a->n; i++)
        if (!sim_set_has(a, i))
            sim_set_add(&set, i);
    return set;
}

static struct sim_set everybody(const struct sim_world *w)
{
    struct sim_set set;
    sim_set_init(&set, w->n);
    sim_set_all(&set);
    return set;
}

static void start_later(struct sim_world *w, size_t node)
{
    static const unsigned flags[] = {0, 0, SIM_START_BARE, SIM_START_NEW,
                                     SIM_START_NEW | SIM_START_BARE};
    struct sim_task task = {.kind = SIM_TASK_START, .node = node, .flags = flags[below(w, 5)]};
    sim_later(w, span(w, SL_MS(50), SL_SEC(60)), task);
}

static void thaw_later(struct sim_world *w, size_t node)
{
    sim_later(w, span(w, SL_MS(100), SL_SEC(40)),
              (struct sim_task){.kind = SIM_TASK_THAW, .node = node});
}

/* The compiler may choose in which order arguments and initialisers are worked out, but not for
 * us: each draw from the stream is a statement of its own. */
static void between(struct sim_world *w, struct sim_swarm *m, enum fault f)
{
    struct sim_rule r = {.kind = SIM_CUT, .edges = 1000000};
    sl_usec low = SL_SEC(1), high = SL_SEC(60);
    if (f == F_PARTITION && m->part_until > w->now)
        return;
    r.one_way = below(w, 2) && f != F_PARTITION;
    r.from = some(w, f == F_PARTITION ? 1 + below(w, w->n) : 1);
    if (f == F_PARTITION) {
        r.to = rest_of(&r.from);
        low = SL_SEC(2);
        high = SL_SEC(120);
    } else if (f == F_EDGES) {
        r.to = some(w, 1);
    } else {
        r.to = everybody(w);
    }
    if (f == F_LOSS) {
        r.kind = SIM_LOSS;
        r.loss = (uint32_t)below(w, 300000);
    } else if (f == F_HOLD) {
        r.kind = SIM_HOLD;
        r.edges = 100000 + (uint32_t)below(w, 500000);
        high = SL_SEC(20);
    }
    sl_usec lasts = span(w, low, high);
    if (f == F_PARTITION)
        m->part_until = w->now + lasts;
    (void)sim_rule_add(w, r, lasts);
}

static void reset_some(struct sim_world *w)
{
    uint64_t share = 1 + below(w, 20);
    for (struct sim_conn *c = w->net.first; c; c = c->next)
        if (c->state == SIM_CONN_OPEN && below(w, share) == 0)
            sim_conn_reset(w, c);
}

static void strike(struct sim_world *w, struct sim_swarm *m, enum fault f, size_t node)
{
    switch (f) {
    case F_KILL:
        sim_kill(w, node);
        start_later(w, node);
        return;
    case F_OFF:
        sim_off(w, node);
        start_later(w, node);
        return;
    case F_FREEZE:
        sim_freeze(w, node);
        thaw_later(w, node);
        return;
    case F_SUSPEND:
        sim_suspend(w, node);
        thaw_later(w, node);
        return;
    case F_LEAVE:
        sim_leave(w, node);
        start_later(w, node);
        return;
    case F_SLOW:
        sim_slow(w, node, w->settings.cost + span(w, 100, SL_MS(50)));
        sim_later(w, span(w, SL_SEC(1), SL_SEC(30)),
                  (struct sim_task){.kind = SIM_TASK_SLOW_END, .node = node});
        return;
    case F_OOM:
        sim_oom(w, node, (uint32_t)below(w, 200000));
        sim_later(w, span(w, SL_SEC(1), SL_SEC(20)),
                  (struct sim_task){.kind = SIM_TASK_OOM_END, .node = node});
        return;
    case F_CLOCK:
        sim_clock(w, node, span(w, -SL_SEC(86400), SL_SEC(86400)));
        return;
    case F_UPDATE:
        (void)sim_put(w, node, below(w, 5) ? SL_VITALS : SL_RECORD, true);
        return;
    case F_RESET:
        reset_some(w);
        return;
    case F_PARTITION:
    case F_EDGES:
    case F_ISOLATE:
    case F_LOSS:
    case F_HOLD:
        between(w, m, f);
        return;
    case N_FAULTS:
        return;
    }
}

void sim_swarm_step(struct sim_script *s, struct sim_world *w)
{
    struct sim_swarm *m = s->swarm;
    if (w->now >= m->until) {
        sim_calm(w);
        return;
    }
    enum fault f = (enum fault)below(w, N_FAULTS);
    size_t node = below(w, w->n);
    bool harmless = f == F_CLOCK || f == F_UPDATE || f == F_RESET;
    if (m->on[f] && (harmless || n_hurt(w) < m->hurt_max))
        strike(w, m, f, node);
    sim_later(w, span(w, SL_MS(10), m->gap_max) / (m->on[f] ? 1 : 10),
              (struct sim_task){.kind = SIM_TASK_SWARM});
}
