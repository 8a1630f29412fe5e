/* judge.c: the oracle. It knows who lives and what lies between whom, and says what each should
 * think. Where a fault leaves room for opinions (one bad edge, a slow node) it has none. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/world.h"

bool sim_is_healthy(const struct sim_world *w, size_t node)
{
    const struct sim_node *n = &w->nodes[node];
    return n->life == SIM_RUNNING && !n->leaving && n->cost == w->settings.cost &&
           n->account.fail_ppm == 0;
}

bool sim_is_wrong_to_fell(const struct sim_world *w, size_t observer, size_t subject)
{
    sl_usec before = w->now - w->settings.grace;
    return sim_is_healthy(w, observer) && sim_is_healthy(w, subject) &&
           w->nodes[observer].since <= before && w->nodes[subject].since <= before &&
           w->measure.rules_changed <= before && sim_pair_fine(w, observer, subject);
}

bool sim_thinks(const struct sim_world *w, size_t observer, size_t subject, enum sl_status *ret)
{
    struct sl_member_info info;
    if (w->nodes[observer].core == NULL ||
        !sl_gossip_find(w->nodes[observer].core, &sim_self(w, subject)->id, &info))
        return false;
    *ret = info.status;
    return true;
}

/* ---- who can reach whom ---- */

/* Label the healthy nodes by connected part; SIZE_MAX for the others. Counts the parts. */
static size_t label_parts(const struct sim_world *w, size_t *part)
{
    size_t *todo = sim_resize(NULL, w->n * sizeof *todo), n_parts = 0;
    bool whole = w->net.n_used == 0 && w->settings.loss <= w->settings.loss_fine;
    for (size_t i = 0; i < w->n; i++)
        part[i] = whole && sim_is_healthy(w, i) ? 0 : SIZE_MAX;
    for (size_t i = 0; i < w->n && !whole; i++) {
        if (part[i] != SIZE_MAX || !sim_is_healthy(w, i))
            continue;
        size_t n_todo = 0;
        part[i] = n_parts;
        todo[n_todo++] = i;
        while (n_todo) {
            size_t a = todo[--n_todo];
            for (size_t b = 0; b < w->n; b++) {
                if (part[b] == SIZE_MAX && sim_is_healthy(w, b) && sim_pair_fine(w, a, b)) {
                    part[b] = n_parts;
                    todo[n_todo++] = b;
                }
            }
        }
        n_parts++;
    }
    free(todo);
    return whole ? 1 : n_parts;
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

static bool is_gone(enum sim_life life)
{
    switch (life) {
    case SIM_UNBORN:
    case SIM_FROZEN:
    case SIM_SUSPENDED:
    case SIM_DEAD:
    case SIM_OFF:
        return true;
    case SIM_RUNNING:
        return false;
    }
    return false;
}

/* ---- agreement ---- */

/* As they stood after the world's last change. */
struct sim_parts {
    uint64_t version;
    size_t n;
    bool opinions; /* somebody is neither healthy nor gone: counts say nothing */
    size_t *size;  /* of each part */
    size_t of[];   /* each node's part, then the sizes */
};

static const struct sim_parts *parts_of(struct sim_world *w)
{
    struct sim_parts *p = w->measure.parts;
    if (p && p->version == w->measure.version)
        return p;
    if (p == NULL)
        p = w->measure.parts = sim_resize(NULL, sizeof *p + 2 * w->n * sizeof *p->of);
    p->version = w->measure.version;
    p->size = p->of + w->n;
    p->n = label_parts(w, p->of);
    p->opinions = false;
    memset(p->size, 0, w->n * sizeof *p->size);
    for (size_t i = 0; i < w->n; i++) {
        if (p->of[i] != SIZE_MAX)
            p->size[p->of[i]]++;
        else if (!is_gone(w->nodes[i].life))
            p->opinions = true;
    }
    return p;
}

/* Cut off from all others, a node keeps to what it last knew. */
static bool is_alone(const struct sim_parts *p, size_t node)
{
    return p->n > 1 && p->size[p->of[node]] == 1;
}

static bool same_roots(const struct sim_world *w, const struct sim_parts *p, char *why, size_t cap)
{
    uint64_t *root = sim_zero(p->n * sizeof *root);
    size_t *first = sim_zero(p->n * sizeof *first);
    bool same = true;
    for (size_t i = 0; i < w->n && same; i++) {
        size_t part = p->of[i];
        if (part == SIZE_MAX)
            continue;
        struct sl_gossip_info info;
        sl_gossip_info(w->nodes[i].core, &info);
        if (first[part] == 0) {
            first[part] = i + 1;
            root[part] = info.root;
        } else if (root[part] != info.root) {
            same = no(why, cap, "nodes %zu and %zu hold different facts", first[part] - 1, i);
        }
        if (same && !p->opinions && !is_alone(p, i) && info.n_alive != p->size[part])
            same = no(why, cap, "node %zu holds %zu alive, there are %zu", i, info.n_alive,
                      p->size[part]);
    }
    free(root);
    free(first);
    return same;
}

static bool pair_right(const struct sim_world *w, const struct sim_parts *p, size_t o, size_t s,
                       char *why, size_t cap)
{
    static const char *const names[] = {"alive", "suspect", "down", "left"};
    enum sl_status status;
    bool known = sim_thinks(w, o, s, &status);
    bool held_alive = known && (status == SL_ALIVE || status == SL_SUSPECT);
    if (p->of[s] == p->of[o])
        return held_alive || no(why, cap, "node %zu holds node %zu %s, which is well", o, s,
                                known ? names[status] : "unknown");
    bool should_be_gone = is_gone(w->nodes[s].life) || p->of[s] != SIZE_MAX;
    if (should_be_gone && held_alive)
        return no(why, cap, "node %zu holds node %zu %s, which is gone", o, s, names[status]);
    return true;
}

bool sim_agree(struct sim_world *w, bool deep, char *why, size_t cap)
{
    const struct sim_parts *p = parts_of(w);
    bool agree = same_roots(w, p, why, cap);
    for (size_t o = 0; o < w->n && agree && deep; o++) {
        if (p->of[o] == SIZE_MAX || is_alone(p, o))
            continue;
        for (size_t s = 0; s < w->n && agree; s++)
            agree = s == o || pair_right(w, p, o, s, why, cap);
    }
    return agree;
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
    if (!sim_agree(w, true, why, sizeof why))
        sim_violation(w, "%lld s after the last change %s", (long long)(quiet / 1000000), why);
    else if (w->net.n_used == 0 && !sim_stores_right(w, why, sizeof why))
        sim_violation(w, "%lld s after the last change %s", (long long)(quiet / 1000000), why);
}
