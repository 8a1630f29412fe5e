/* parts.c: who can reach whom. Healthy nodes fall into parts that can reach each other, directly
 * or over others; the oracle looks at them only after something changed. */
#include <stdlib.h>

#include "tests/sim/world.h"

bool sim_is_healthy(const struct sim_world *w, size_t node)
{
    const struct sim_node *n = &w->nodes[node];
    return n->life == SIM_RUNNING && !n->leaving && !n->out && !sim_self(w, node)->revoked && n->cost == w->settings.cost &&
           n->account.fail_ppm == 0 && n->liar == NULL;
}

/* Enough of the healthy can reach it for a quorum to be wrong about it. */
static bool is_reached(const struct sim_world *w, size_t subject)
{
    size_t n = 0, fine = 0;
    for (size_t i = 0; i < w->n && w->net.n_used; i++) {
        if (i == subject || !sim_is_healthy(w, i))
            continue;
        n++;
        fine += sim_pair_fine(w, i, subject);
    }
    return (uint64_t)fine * 1000000 >= (uint64_t)n * w->settings.paths_fine;
}

bool sim_is_wrong_to_fell(const struct sim_world *w, size_t observer, size_t subject)
{
    sl_usec before = w->now - w->settings.grace;
    return sim_is_healthy(w, observer) && sim_is_healthy(w, subject) &&
           w->nodes[observer].since <= before && w->nodes[subject].since <= before &&
           w->measure.rules_changed <= before && sim_pair_fine(w, observer, subject) &&
           is_reached(w, subject);
}

bool sim_is_gone(const struct sim_world *w, size_t node)
{
    switch (w->nodes[node].life) {
    case SIM_UNBORN:
    case SIM_FROZEN:
    case SIM_SUSPENDED:
    case SIM_DEAD:
    case SIM_OFF:
        return true;
    case SIM_RUNNING:
        return w->nodes[node].out || sim_self(w, node)->revoked;
    }
    return false;
}

/* ---- who has heard of whom ---- */

/* `node` was given the other's address when it started, and knocks there: every few seconds while it is alone. */
static bool has_address(const struct sim_world *w, size_t node, size_t other)
{
    const struct sim_node *n = &w->nodes[node];
    struct sl_addr addr = sim_address(w, other);
    if (other < w->settings.seeds)
        return true;
    for (size_t i = 0; i < n->n_known && !n->bare; i++)
        if (sl_addr_eq(&n->known[i], &addr))
            return true;
    return false;
}

/* As it is now, by its present name. Who is down is tried again and again, who has left is not. */
static bool knows(const struct sim_world *w, size_t node, size_t other)
{
    enum sl_status status;
    return sim_thinks(w, node, other, &status) && status != SL_LEFT;
}

static bool holds_nobody(const struct sim_world *w, size_t node)
{
    struct sl_gossip_info info;
    sl_gossip_info(w->nodes[node].core, &info);
    return info.n_alive <= 1;
}

/* Who has others lets up to a quarter of an hour pass between two knocks: it need not find a newcomer by them soon. */
static bool are_acquainted(const struct sim_world *w, size_t node, size_t other)
{
    return knows(w, node, other) || knows(w, other, node) || has_address(w, other, node) ||
           (has_address(w, node, other) && holds_nobody(w, node));
}

size_t sim_drop_strangers(const struct sim_world *w, size_t node, struct sim_set *set)
{
    if (w->net.n_used == 0)
        return 0;
    size_t *left = sim_resize(NULL, w->n * sizeof *left), n_left = 0;
    size_t *todo = sim_resize(NULL, (w->n + 1) * sizeof *todo), n_todo = 0;
    for (size_t i = 0; i < w->n; i++)
        if (sim_set_has(set, i))
            left[n_left++] = i;
    todo[n_todo++] = node;
    while (n_todo && n_left) {
        size_t at = todo[--n_todo], kept = 0;
        for (size_t i = 0; i < n_left; i++) {
            size_t other = left[i];
            if (sim_pair_fine(w, at, other) && are_acquainted(w, at, other))
                todo[n_todo++] = other;
            else
                left[kept++] = other;
        }
        n_left = kept;
    }
    for (size_t i = 0; i < n_left; i++)
        sim_set_drop(set, left[i]);
    free(left);
    free(todo);
    return n_left;
}

/* ---- labels ---- */

/* A search over nodes that have no part yet. What a node reaches is known once one of its
 * signature has been asked (rules.c), which keeps a partition of thousands cheap. */
struct search {
    const struct sim_world *w;
    size_t *part;
    size_t *left, n_left; /* healthy, without a part */
    size_t *todo, n_todo;
    uint64_t *asked; /* signatures */
    size_t n_asked;
};

static bool was_asked(struct search *s, size_t node)
{
    uint64_t signature = sim_rules_signature(s->w, node);
    for (size_t i = 0; i < s->n_asked; i++)
        if (s->asked[i] == signature)
            return true;
    if (signature && s->n_asked < SIM_RULES_MAX)
        s->asked[s->n_asked++] = signature;
    return false;
}

/* Everybody without a part whom `node` reaches gets this one. */
static void spread_part(struct search *s, size_t node, size_t part)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_left; i++) {
        size_t other = s->left[i];
        if (other != node && !sim_pair_fine(s->w, node, other)) {
            s->left[kept++] = other;
            continue;
        }
        s->part[other] = part;
        if (other != node)
            s->todo[s->n_todo++] = other;
    }
    s->n_left = kept;
}

/* Takes the first node that is left as the beginning of a part. */
static void search_part(struct search *s, size_t part)
{
    size_t first = s->left[0];
    s->part[first] = part;
    s->left[0] = s->left[--s->n_left];
    s->todo[s->n_todo++] = first;
    while (s->n_todo) {
        size_t node = s->todo[--s->n_todo];
        if (s->n_left && !was_asked(s, node))
            spread_part(s, node, part);
    }
}

/* Label the healthy nodes by part; SIZE_MAX for the others. Counts the parts. */
static size_t label_parts(const struct sim_world *w, size_t *part)
{
    bool whole = w->net.n_used == 0 && w->settings.loss <= w->settings.loss_fine;
    struct search s = {.w = w, .part = part};
    s.left = sim_resize(NULL, w->n * sizeof *s.left);
    s.todo = sim_resize(NULL, w->n * sizeof *s.todo);
    s.asked = sim_resize(NULL, SIM_RULES_MAX * sizeof *s.asked);
    size_t n_parts = whole;
    for (size_t i = 0; i < w->n; i++) {
        bool healthy = sim_is_healthy(w, i);
        part[i] = healthy && whole ? 0 : SIZE_MAX;
        if (healthy && !whole)
            s.left[s.n_left++] = i;
    }
    while (s.n_left)
        search_part(&s, n_parts++);
    free(s.left);
    free(s.todo);
    free(s.asked);
    return n_parts;
}

/* ---- the parts as they are now ---- */

static void list_strangers(struct sim_world *w, struct sim_parts *p)
{
    p->n_strangers = 0;
    p->strangers = sim_resize(p->strangers, (w->n_identities + 1) * sizeof *p->strangers);
    for (size_t i = 0; i < w->n_identities; i++) {
        const struct sim_identity *who = w->identities[i];
        if (who != sim_self(w, who->node) || p->of[who->node] == SIZE_MAX)
            p->strangers[p->n_strangers++] = (uint32_t)i;
    }
}

const struct sim_parts *sim_parts_now(struct sim_world *w)
{
    struct sim_parts *p = w->measure.parts;
    if (p && p->version == w->measure.version)
        return p;
    if (p == NULL) {
        p = w->measure.parts = sim_zero(sizeof *p);
        p->of = sim_resize(NULL, w->n * sizeof *p->of);
        p->size = sim_resize(NULL, w->n * sizeof *p->size);
    }
    p->version = w->measure.version;
    p->n = label_parts(w, p->of);
    p->opinions = false;
    memset(p->size, 0, w->n * sizeof *p->size);
    for (size_t i = 0; i < w->n; i++) {
        if (p->of[i] != SIZE_MAX)
            p->size[p->of[i]]++;
        else if (!sim_is_gone(w, i))
            p->opinions = true;
    }
    list_strangers(w, p);
    return p;
}

void sim_parts_free(struct sim_parts *p)
{
    if (p == NULL)
        return;
    free(p->of);
    free(p->size);
    free(p->strangers);
    free(p);
}
