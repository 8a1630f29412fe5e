/* rules.c: what is cut, held, slow or lossy between which nodes. A rule names two sets, one way
 * or both, and perhaps a share of the pairs between them, drawn by a hash of the pair: that
 * costs nothing per pair and stays the same for the life of the rule. */
#include "tests/sim/world.h"

bool sim_is_drawn(const struct sim_rule *r, size_t from, size_t to)
{
    if (r->edges >= 1000000)
        return true;
    size_t low = from < to || r->one_way ? from : to;
    size_t high = low == from ? to : from;
    return sim_seed(r->salt, "pair", (uint64_t)low << 32 | high) % 1000000 < r->edges;
}

static bool is_met(const struct sim_rule *r, size_t from, size_t to)
{
    if (!r->used)
        return false;
    bool there = sim_set_has(&r->from, from) && sim_set_has(&r->to, to);
    bool back = !r->one_way && sim_set_has(&r->to, from) && sim_set_has(&r->from, to);
    return (there || back) && sim_is_drawn(r, from, to);
}

void sim_path_of(const struct sim_world *w, size_t from, size_t to, struct sim_path *ret)
{
    const struct sim_settings *s = &w->settings;
    *ret = (struct sim_path){.loss = s->loss, .delay_min = s->delay_min, .delay_max = s->delay_max};
    if (from == to) {
        *ret = (struct sim_path){.delay_min = 50, .delay_max = 50};
        return;
    }
    for (size_t i = 0; i < w->net.n_rules; i++) {
        const struct sim_rule *r = &w->net.rules[i];
        if (!is_met(r, from, to))
            continue;
        switch (r->kind) {
        case SIM_CUT:
            ret->cut = true;
            break;
        case SIM_HOLD:
            ret->held = true;
            break;
        case SIM_LOSS:
            ret->loss = r->loss > ret->loss ? r->loss : ret->loss;
            break;
        case SIM_DELAY:
            ret->delay_min = r->delay_min;
            ret->delay_max = r->delay_max;
            break;
        }
    }
}

bool sim_blocked(const struct sim_world *w, size_t from, size_t to)
{
    if (!sim_host_up(w, from) || !sim_host_up(w, to))
        return true;
    if (w->net.n_used == 0)
        return false;
    struct sim_path p;
    sim_path_of(w, from, to, &p);
    return p.cut || p.held;
}

static bool is_fine(const struct sim_world *w, size_t from, size_t to)
{
    struct sim_path p;
    sim_path_of(w, from, to, &p);
    return !p.cut && !p.held && p.loss <= w->settings.loss_fine;
}

bool sim_pair_fine(const struct sim_world *w, size_t a, size_t b)
{
    if (w->net.n_used == 0)
        return w->settings.loss <= w->settings.loss_fine;
    return is_fine(w, a, b) && is_fine(w, b, a);
}

uint64_t sim_rules_signature(const struct sim_world *w, size_t node)
{
    uint64_t signature = 1;
    for (size_t i = 0; i < w->net.n_rules; i++) {
        const struct sim_rule *r = &w->net.rules[i];
        if (!r->used)
            continue;
        if (r->edges < 1000000)
            return 0;
        uint64_t bits = (uint64_t)sim_set_has(&r->from, node) * 2 + sim_set_has(&r->to, node);
        signature = (signature ^ (bits + 1)) * 0x9e3779b97f4a7c15;
        signature ^= signature >> 29;
    }
    return signature ? signature : 1;
}

int sim_rule_add(struct sim_world *w, struct sim_rule rule, sl_usec span)
{
    size_t i = 0;
    while (i < SIM_RULES_MAX && w->net.rules[i].used)
        i++;
    if (i == SIM_RULES_MAX) {
        sim_set_fini(&rule.from);
        sim_set_fini(&rule.to);
        return -1;
    }
    rule.used = true;
    rule.number = ++w->net.n_rules_made;
    if (!rule.has_salt)
        rule.salt = sl_rand_u64(&w->fault_rand);
    w->net.rules[i] = rule;
    w->net.n_used++;
    if (i >= w->net.n_rules)
        w->net.n_rules = i + 1;
    if (span != SL_NEVER)
        sim_at(w, sl_after(w->now, span), SIM_RULE_OVER, 0, rule.number, NULL);
    sim_measure_rules_changed(w);
    return (int)i;
}

static void end_rule(struct sim_world *w, struct sim_rule *r)
{
    sim_set_fini(&r->from);
    sim_set_fini(&r->to);
    r->used = false;
    w->net.n_used--;
}

/* Named by its number, for its place may belong to another rule by now. */
void sim_rule_end(struct sim_world *w, uint64_t number)
{
    for (size_t i = 0; i < w->net.n_rules; i++) {
        if (!w->net.rules[i].used || w->net.rules[i].number != number)
            continue;
        end_rule(w, &w->net.rules[i]);
        sim_measure_rules_changed(w);
        sim_net_release(w);
    }
}

void sim_heal(struct sim_world *w, int kind)
{
    for (size_t i = 0; i < w->net.n_rules; i++)
        if (w->net.rules[i].used && (kind < 0 || (int)w->net.rules[i].kind == kind))
            end_rule(w, &w->net.rules[i]);
    sim_measure_rules_changed(w);
    sim_net_release(w);
}

void sim_rules_fini(struct sim_world *w)
{
    for (size_t i = 0; i < w->net.n_rules; i++)
        if (w->net.rules[i].used)
            end_rule(w, &w->net.rules[i]);
}
