/* swarm.c: faults drawn from the seed. A seed first draws which kinds of fault there are at all
 * and how dense they come (swarm testing: Groce et al., ISSTA 2012), then the faults. Each ends
 * by itself; at the end of the phase all do, and what is left of the scenario demands agreement.
 *
 * A fault is drawn as the lines of a scenario that would make it: the same lines in a file give
 * the same run, so that a failing one can be cut down to what matters (shrink.c). */
#include <stdarg.h>
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

/* ---- lines ---- */

static void line(struct sim_script *s, struct sim_world *w, sl_usec wait, const char *format, ...)
    SL_PRINTF(4, 5);
static void line(struct sim_script *s, struct sim_world *w, sl_usec wait, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t n = (size_t)vsnprintf(NULL, 0, format, args) + 1;
    va_end(args);
    char *text = sim_zero(n);
    va_start(args, format);
    vsnprintf(text, n, format, args);
    va_end(args);
    sim_script_add(s, w, w->now + wait, text);
    free(text);
}

/* A time as two numbers for "%lld.%06llds". */
#define SECONDS(t) (long long)((t) / 1000000), (long long)((t) % 1000000)

static char *some(struct sim_world *w, size_t want, char **ret_rest)
{
    struct sim_set set, rest;
    sim_set_init(&set, w->n);
    sim_set_init(&rest, w->n);
    for (size_t i = 0, left = w->n; i < w->n; i++, left--) {
        bool taken = below(w, left) < want;
        sim_set_add(taken ? &set : &rest, i);
        want -= taken;
    }
    char *text = sim_set_text(&set);
    if (ret_rest)
        *ret_rest = sim_set_text(&rest);
    sim_set_fini(&set);
    sim_set_fini(&rest);
    return text;
}

static void start_later(struct sim_script *s, struct sim_world *w, size_t node)
{
    static const char *const how[] = {"", "", " bare", " new", " new bare"};
    const char *drawn = how[below(w, SL_COUNT(how))];
    line(s, w, span(w, SL_MS(50), SL_SEC(60)), "start %zu%s", node, drawn);
}

static void thaw_later(struct sim_script *s, struct sim_world *w, size_t node)
{
    line(s, w, span(w, SL_MS(100), SL_SEC(40)), "thaw %zu", node);
}

/* The compiler may choose in which order arguments and initialisers are worked out, but not for
 * us: each draw from the stream is a statement of its own. */
static void partition(struct sim_script *s, struct sim_world *w)
{
    struct sim_swarm *m = s->swarm;
    if (m->part_until > w->now || w->n < 2)
        return;
    char *rest, *part = some(w, 1 + below(w, w->n - 1), &rest);
    /* Some outlast the memory of those who left. */
    sl_usec longest = below(w, 4) ? SL_SEC(120) : SL_SEC(300), lasts = span(w, SL_SEC(2), longest);
    m->part_until = w->now + lasts;
    line(s, w, 0, "cut %s %s for %lld.%06llds", part, rest, SECONDS(lasts));
    free(part);
    free(rest);
}

/* Between one node and another, or all. */
static void between(struct sim_script *s, struct sim_world *w, enum fault f)
{
    bool one_way = below(w, 2);
    char *from = some(w, 1, NULL), *to = f == F_EDGES ? some(w, 1, NULL) : NULL;
    const char *target = to ? to : "all", *way = one_way ? " oneway" : "";
    unsigned loss = (unsigned)below(w, 300000), edges = 100000 + (unsigned)below(w, 500000);
    unsigned salt = (unsigned)below(w, UINT32_MAX);
    sl_usec lasts = span(w, SL_SEC(1), f == F_HOLD ? SL_SEC(20) : SL_SEC(60));
    if (f == F_LOSS)
        line(s, w, 0, "loss %s %s 0.%06u%s for %lld.%06llds", from, target, loss, way,
             SECONDS(lasts));
    else if (f == F_HOLD)
        line(s, w, 0, "hold %s %s%s of 0.%06u salt %u for %lld.%06llds", from, target, way, edges,
             salt, SECONDS(lasts));
    else
        line(s, w, 0, "cut %s %s%s for %lld.%06llds", from, target, way, SECONDS(lasts));
    free(from);
    free(to);
}

static void reset_some(struct sim_script *s, struct sim_world *w)
{
    unsigned share = 1000000 / (2 + (unsigned)below(w, 20));
    unsigned salt = (unsigned)below(w, UINT32_MAX);
    line(s, w, 0, "reset all all of 0.%06u salt %u", share, salt);
}

static void strike(struct sim_script *s, struct sim_world *w, enum fault f, size_t node)
{
    sl_usec t;
    switch (f) {
    case F_KILL:
        line(s, w, 0, "kill %zu", node);
        start_later(s, w, node);
        return;
    case F_OFF:
        line(s, w, 0, "off %zu", node);
        start_later(s, w, node);
        return;
    case F_FREEZE:
        line(s, w, 0, "freeze %zu", node);
        thaw_later(s, w, node);
        return;
    case F_SUSPEND:
        line(s, w, 0, "suspend %zu", node);
        thaw_later(s, w, node);
        return;
    case F_LEAVE:
        line(s, w, 0, "leave %zu", node);
        start_later(s, w, node);
        return;
    case F_SLOW:
        t = span(w, 100, SL_MS(50));
        line(s, w, 0, "slow %zu %lldus for %llds", node, (long long)t, 1 + (long long)below(w, 30));
        return;
    case F_OOM:
        t = SL_SEC(1 + (sl_usec)below(w, 20));
        line(s, w, 0, "oom %zu 0.%06u for %lld.%06llds", node, (unsigned)below(w, 200000),
             SECONDS(t));
        return;
    case F_CLOCK:
        t = (sl_usec)below(w, 86400);
        line(s, w, 0, "clock %zu %c%llds", node, below(w, 2) ? '+' : '-', (long long)t);
        return;
    case F_UPDATE:
        line(s, w, 0, "%s %zu", below(w, 5) ? "health" : "record", node);
        return;
    case F_RESET:
        reset_some(s, w);
        return;
    case F_PARTITION:
        partition(s, w);
        return;
    case F_EDGES:
    case F_ISOLATE:
    case F_LOSS:
    case F_HOLD:
        between(s, w, f);
        return;
    case N_FAULTS:
        return;
    }
}

void sim_swarm_step(struct sim_script *s, struct sim_world *w)
{
    struct sim_swarm *m = s->swarm;
    if (w->now >= m->until) {
        line(s, w, 0, "calm");
        return;
    }
    enum fault f = (enum fault)below(w, N_FAULTS);
    size_t node = below(w, w->n);
    bool harmless = f == F_CLOCK || f == F_UPDATE || f == F_RESET;
    if (m->on[f] && (harmless || n_hurt(w) < m->hurt_max))
        strike(s, w, f, node);
    sim_later(w, span(w, SL_MS(10), m->gap_max) / (m->on[f] ? 1 : 10),
              (struct sim_task){.kind = SIM_TASK_SWARM});
}
