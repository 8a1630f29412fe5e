/* life.c: what happens to nodes: they start, die, freeze, leave; their hosts with them. */
#include "tests/sim/world.h"

#define LEAVE_MAX SL_SEC(3) /* a process waits at most so long for its goodbye to be known */

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
    if ((flags & SIM_START_NEW) && n->process > 0 && !sim_identity_new(w, node)) {
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
    sim_remember_peers(w, node);
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
    if (fail_ppm == 0)
        sim_put_again(w, node);
}

void sim_clock(struct sim_world *w, size_t node, sl_usec step)
{
    struct sim_node *n = &w->nodes[node];
    n->skew += step;
    sim_say(w, "node %zu sets its clock by %lld s", node, (long long)(step / 1000000));
    if (n->core)
        sl_gossip_wall(n->core, SIM_WALL_S * 1000000 + n->skew - n->mono);
}

void sim_leave_over(struct sim_world *w, size_t node, uint64_t process)
{
    if (w->nodes[node].process != process || !w->nodes[node].leaving)
        return;
    stop(w, node, SIM_DEAD);
    sim_measure_changed(w);
}
