/* judge.c: the oracle. It knows who lives and what lies between whom (parts.c), and says what each
 * should think. Where a fault leaves room for opinions (one bad edge, a slow node) it has none.
 *
 * That all think right of all is a question about pairs, asked every few milliseconds while
 * agreement is awaited. It is answered without looking at them all: first whether what was wrong
 * last time still is; then roots and counts of each node; and then each node's opinion of those
 * who should not be in its count, who are few. Nobody wrong is in it and the count is right: then
 * everybody right is in it. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/world.h"

/* Opinions looked at in one go; of larger flocks in many parts only a sample of observers is. */
#define PAIRS_MAX ((size_t)1 << 24)

static const char *const names[] = {"alive", "suspect", "down", "left"};

static bool holds(const struct sim_world *w, size_t observer, const struct sl_id *id,
                  enum sl_status *ret)
{
    struct sl_member_info info;
    if (w->nodes[observer].core == NULL || !sl_gossip_find(w->nodes[observer].core, id, &info))
        return false;
    *ret = info.status;
    return true;
}

bool sim_thinks(const struct sim_world *w, size_t observer, size_t subject, enum sl_status *ret)
{
    return holds(w, observer, &sim_self(w, subject)->id, ret);
}

static bool no(char *why, size_t cap, const char *format, ...) SL_PRINTF(3, 4);
static bool no(char *why, size_t cap, const char *format, ...)
{
    if (why) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, cap, format, args);
        va_end(args);
    }
    return false;
}

/* ---- one question ---- */

/* Cut off from all others, a node keeps to what it last knew. */
static bool is_alone(const struct sim_parts *p, size_t node)
{
    return p->n > 1 && p->size[p->of[node]] == 1;
}

static struct sl_gossip_info info_of(const struct sim_world *w, size_t node)
{
    struct sl_gossip_info info;
    sl_gossip_info(w->nodes[node].core, &info);
    return info;
}

static bool roots_right(const struct sim_world *w, const struct sim_parts *p, size_t a, size_t b,
                        char *why, size_t cap)
{
    return p->of[a] == SIZE_MAX || p->of[a] != p->of[b] ||
           info_of(w, a).root == info_of(w, b).root ||
           no(why, cap, "nodes %zu and %zu hold different facts", a, b);
}

static bool count_right(const struct sim_world *w, const struct sim_parts *p, size_t node,
                        char *why, size_t cap)
{
    if (p->opinions || p->of[node] == SIZE_MAX || is_alone(p, node))
        return true;
    size_t held = info_of(w, node).n_alive, size = p->size[p->of[node]];
    return held == size ||
           no(why, cap, "node %zu holds %zu alive, there are %zu", node, held, size);
}

/* What `observer` thinks of this identity; both may be of the same part or not. */
static bool pair_right(const struct sim_world *w, const struct sim_parts *p, size_t observer,
                       size_t identity, char *why, size_t cap)
{
    const struct sim_identity *who = w->identities[identity];
    size_t s = who->node;
    bool former = who != sim_self(w, s);
    enum sl_status status;
    if (p->of[observer] == SIZE_MAX || is_alone(p, observer))
        return true;
    bool known = holds(w, observer, &who->id, &status);
    bool up = known && status <= SL_SUSPECT;
    if (!former && p->of[s] == p->of[observer])
        return up || no(why, cap, "node %zu holds node %zu %s, which is well", observer, s,
                        known ? names[status] : "unknown");
    bool should_be_gone = former || sim_is_gone(w, s) || p->of[s] != SIZE_MAX;
    if (should_be_gone && up)
        return no(why, cap, "node %zu holds node %zu%s %s, which is gone", observer, s,
                  former ? " (as it was before)" : "", names[status]);
    return true;
}

/* ---- what was wrong last time ---- */

static bool still_wrong(const struct sim_world *w, const struct sim_parts *p, char *why, size_t cap)
{
    const struct sim_doubt *d = &w->measure.doubt;
    switch (d->kind) {
    case SIM_DOUBT_NONE:
        return false;
    case SIM_DOUBT_ROOTS:
        return !roots_right(w, p, d->a, d->b, why, cap);
    case SIM_DOUBT_COUNT:
        return !count_right(w, p, d->a, why, cap);
    case SIM_DOUBT_PAIR:
        return !pair_right(w, p, d->a, d->b, why, cap);
    }
    return false;
}

static bool doubt(struct sim_world *w, enum sim_doubt_kind kind, size_t a, size_t b)
{
    w->measure.doubt = (struct sim_doubt){kind, a, b};
    return false;
}

/* ---- all nodes, one question each ---- */

static bool same_roots(struct sim_world *w, const struct sim_parts *p, char *why, size_t cap)
{
    size_t *first = sim_zero(p->n * sizeof *first);
    bool same = true;
    for (size_t i = 0; i < w->n && same; i++) {
        size_t part = p->of[i];
        if (part == SIZE_MAX)
            continue;
        if (first[part] == 0)
            first[part] = i + 1;
        else if (!roots_right(w, p, first[part] - 1, i, why, cap))
            same = doubt(w, SIM_DOUBT_ROOTS, first[part] - 1, i);
        if (same && !count_right(w, p, i, why, cap))
            same = doubt(w, SIM_DOUBT_COUNT, i, i);
    }
    free(first);
    return same;
}

/* ---- all nodes, the few who should not be in their counts ---- */

/* First verdict of each part on each stranger: all others of the part must not contradict it. */
struct verdicts {
    uint32_t *by; /* observer + 1, [part * n_strangers + stranger] */
    uint8_t *held;
};

static bool consistent(const struct sim_world *w, const struct sim_parts *p, struct verdicts *v,
                       size_t observer, size_t stranger, enum sl_status status, char *why,
                       size_t cap)
{
    size_t at = p->of[observer] * p->n_strangers + stranger;
    if (v->by[at] == 0) {
        v->by[at] = (uint32_t)observer + 1;
        v->held[at] = (uint8_t)status;
    }
    return v->held[at] == status ||
           no(why, cap, "nodes %u and %zu hold node %u %s and %s", v->by[at] - 1, observer,
              w->identities[p->strangers[stranger]]->node, names[v->held[at]], names[status]);
}

/* Healthy nodes of other parts. */
static bool others_right(struct sim_world *w, const struct sim_parts *p, size_t observer, char *why,
                         size_t cap)
{
    for (size_t s = 0; s < w->n && p->n > 1; s++)
        if (p->of[s] != SIZE_MAX && p->of[s] != p->of[observer] &&
            !pair_right(w, p, observer, w->nodes[s].identity, why, cap))
            return doubt(w, SIM_DOUBT_PAIR, observer, w->nodes[s].identity);
    return true;
}

/* The count was not right, or says nothing: who is it? */
static bool own_right(struct sim_world *w, const struct sim_parts *p, size_t observer, char *why,
                      size_t cap)
{
    for (size_t s = 0; s < w->n; s++)
        if (s != observer && p->of[s] == p->of[observer] &&
            !pair_right(w, p, observer, w->nodes[s].identity, why, cap))
            return doubt(w, SIM_DOUBT_PAIR, observer, w->nodes[s].identity);
    return true;
}

static bool opinions_right(struct sim_world *w, const struct sim_parts *p, struct verdicts *v,
                           size_t observer, char *why, size_t cap)
{
    size_t n_alive = info_of(w, observer).n_alive;
    for (size_t i = 0; i < p->n_strangers; i++) {
        const struct sim_identity *who = w->identities[p->strangers[i]];
        enum sl_status status;
        if (!holds(w, observer, &who->id, &status))
            continue;
        if (!pair_right(w, p, observer, who->number, why, cap))
            return doubt(w, SIM_DOUBT_PAIR, observer, who->number);
        if (status <= SL_SUSPECT) /* nobody says that it should not be */
            n_alive--;
        else if ((who != sim_self(w, who->node) || sim_is_gone(w, who->node)) &&
                 !consistent(w, p, v, observer, i, status, why, cap))
            return doubt(w, SIM_DOUBT_NONE, 0, 0);
    }
    size_t size = p->size[p->of[observer]];
    if (!others_right(w, p, observer, why, cap))
        return false;
    return n_alive == size ||
           (own_right(w, p, observer, why, cap) &&
            no(why, cap, "node %zu counts %zu alive, there are %zu", observer, n_alive, size));
}

static bool all_opinions_right(struct sim_world *w, const struct sim_parts *p, char *why,
                               size_t cap)
{
    size_t cells = p->n * p->n_strangers + 1;
    size_t foreign = p->n > 1 ? w->n : 0, every = 1 + w->n * (p->n_strangers + foreign) / PAIRS_MAX;
    struct verdicts v = {sim_zero(cells * sizeof *v.by), sim_zero(cells)};
    bool right = true;
    for (size_t o = 0; o < w->n && right; o += every)
        if (p->of[o] != SIZE_MAX && !is_alone(p, o))
            right = opinions_right(w, p, &v, o, why, cap);
    free(v.by);
    free(v.held);
    return right;
}

bool sim_agree(struct sim_world *w, char *why, size_t cap)
{
    const struct sim_parts *p = sim_parts_now(w);
    if (still_wrong(w, p, why, cap))
        return false;
    w->measure.doubt.kind = SIM_DOUBT_NONE;
    return same_roots(w, p, why, cap) && all_opinions_right(w, p, why, cap);
}

/* ---- registries ---- */

/* Each service of each healthy node that this one can reach is there, under its newest weight. */
static bool store_right(const struct sim_world *w, size_t o, char *why, size_t cap)
{
    size_t *seen = sim_zero(w->n * sizeof *seen);
    const char *tenant, *name;
    size_t n;
    bool right = true;
    for (size_t i = 0; sl_store_service(w->nodes[o].store, i, &tenant, &name, &n); i++) {
        for (size_t k = 0; k < n; k++) {
            const struct sl_instance *at = sl_store_instance(w->nodes[o].store, i, k);
            struct sim_identity *who = at ? sim_identity_of(w, &at->id) : NULL;
            if (who && who == sim_self(w, who->node) && at->weight == w->nodes[who->node].weight)
                seen[who->node]++;
        }
    }
    for (size_t s = 0; s < w->n && right; s++)
        if (sim_is_healthy(w, s) && sim_pair_fine(w, o, s) && seen[s] != w->settings.services)
            right =
                no(why, cap,
                   "the registry of node %zu holds %zu services of node %zu as they are, not %u", o,
                   seen[s], s, w->settings.services);
    free(seen);
    return right;
}

bool sim_stores_right(const struct sim_world *w, char *why, size_t cap)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].store && sim_is_healthy(w, i) && !store_right(w, i, why, cap))
            return false;
    return true;
}

void sim_judge_quiet(struct sim_world *w)
{
    struct sim_measure *m = &w->measure;
    sl_usec quiet = w->net.n_used ? w->settings.quiet_cut : w->settings.quiet;
    if (m->quiet_judged || w->now - m->changed < quiet || w->settings.loss > w->settings.loss_fine)
        return;
    m->quiet_judged = true;
    char why[160];
    if (!sim_agree(w, why, sizeof why))
        sim_violation(w, "%lld s after the last change %s", (long long)(quiet / 1000000), why);
    else if (w->net.n_used == 0 && !sim_stores_right(w, why, sizeof why))
        sim_violation(w, "%lld s after the last change, of registries: %s",
                      (long long)(quiet / 1000000), why);
}
