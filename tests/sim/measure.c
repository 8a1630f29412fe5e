/* measure.c: deaths, changes, agreement and traffic, counted while they happen. */
#include "tests/sim/measure.h"

#include <stdlib.h>

#include "tests/sim/world.h"

#define OPEN_CHANGES_MAX 4096
#define LATE SL_SEC(30) /* a change still unknown somewhere after this is late */

/* ---- histogram ---- */

static size_t bucket_of(uint64_t v)
{
    unsigned shift = 0;
    if (v < SIM_HIST_FINE)
        return v;
    while (v >> shift >= 2 * SIM_HIST_FINE)
        shift++;
    size_t i = SIM_HIST_FINE * (size_t)(shift + 1) + (v >> shift) - SIM_HIST_FINE;
    return i < SIM_HIST_BUCKETS ? i : SIM_HIST_BUCKETS - 1;
}

static sl_usec bucket_top(size_t i)
{
    if (i < SIM_HIST_FINE)
        return (sl_usec)i;
    size_t shift = i / SIM_HIST_FINE - 1;
    return (sl_usec)(((uint64_t)(i % SIM_HIST_FINE + SIM_HIST_FINE + 1) << shift) - 1);
}

void sim_hist_add(struct sim_hist *h, sl_usec v)
{
    h->bucket[bucket_of((uint64_t)v)]++;
    h->n++;
    if (v > h->max)
        h->max = v;
}

sl_usec sim_hist_at(const struct sim_hist *h, unsigned percent)
{
    uint64_t rank = (h->n * percent + 99) / 100, seen = 0;
    for (size_t i = 0; i < SIM_HIST_BUCKETS && h->n; i++) {
        seen += h->bucket[i];
        if (seen >= rank)
            return sl_earlier(bucket_top(i), h->max);
    }
    return h->max;
}

/* ---- */

void sim_measure_init(struct sim_measure *m, size_t n)
{
    *m = (struct sim_measure){.n = n, .version = 1, .converged = -1, .converged_first = -1, .settled = -1};
    m->deaths = sim_zero(n * sizeof *m->deaths);
    m->changes = sim_zero(n * sizeof *m->changes);
    sim_set_init(&m->down, n * n);
}

static void close_death(struct sim_measure *m, size_t node)
{
    if (m->deaths[node] == NULL)
        return;
    m->n_missed += m->deaths[node]->n_waiting;
    sim_set_fini(&m->deaths[node]->waiting);
    free(m->deaths[node]);
    m->deaths[node] = NULL;
}

static void drop_change(struct sim_measure *m, struct sim_change **at)
{
    struct sim_change *c = *at;
    *at = c->next;
    sim_set_fini(&c->waiting);
    free(c);
    m->n_open_changes--;
}

void sim_measure_fini(struct sim_measure *m)
{
    for (size_t i = 0; i < m->n; i++) {
        close_death(m, i);
        while (m->changes[i])
            drop_change(m, &m->changes[i]);
    }
    free(m->deaths);
    free(m->changes);
    sim_set_fini(&m->down);
    sim_set_fini(&m->cut_off);
    sim_parts_free(m->parts);
}

/* Somebody published. */
static void news(struct sim_world *w)
{
    w->measure.changed = w->now;
    w->measure.quiet_judged = false;
}

void sim_measure_changed(struct sim_world *w)
{
    news(w);
    w->measure.version++;
}

/* Everybody healthy from whom nothing separates `node`. */
static size_t audience(const struct sim_world *w, size_t node, struct sim_set *ret)
{
    size_t n = 0;
    sim_set_init(ret, w->n);
    for (size_t i = 0; i < w->n; i++) {
        if (i != node && sim_is_healthy(w, i) && sim_pair_fine(w, i, node)) {
            sim_set_add(ret, i);
            n++;
        }
    }
    return n;
}

static void finish_change(struct sim_world *w, struct sim_change **at, size_t last)
{
    sl_usec took = w->now - (*at)->at;
    sim_hist_add(&w->measure.spread, took);
    w->measure.n_late_changes += took > LATE;
    if (took > LATE)
        sim_say(w, "LATE: node %zu hears only now what node %u said %.3f s ago", last,
                w->identities[(*at)->identity]->node, (double)took / 1e6);
    drop_change(&w->measure, at);
}

/* An observer has got this change, and with it every older one of that kind. */
static void reached(struct sim_world *w, size_t origin, struct sim_change *until, size_t observer)
{
    struct sim_change **at = &w->measure.changes[origin];
    for (bool more = true; more && *at;) {
        struct sim_change *c = *at;
        more = c != until;
        bool had = c->kind != until->kind || !sim_set_has(&c->waiting, observer);
        if (!had) {
            sim_set_drop(&c->waiting, observer);
            c->n_waiting--;
        }
        if (!had && c->n_waiting == 0)
            finish_change(w, at, observer);
        else
            at = &c->next;
    }
}

static void stop_waiting(struct sim_change *c, size_t observer)
{
    if (!sim_set_has(&c->waiting, observer))
        return;
    sim_set_drop(&c->waiting, observer);
    c->n_waiting--;
}

static void drop_unawaited(struct sim_measure *m, size_t origin)
{
    for (struct sim_change **at = &m->changes[origin]; *at;) {
        if ((*at)->n_waiting == 0)
            drop_change(m, at);
        else
            at = &(*at)->next;
    }
}

/* Nobody waits for whom something separates from the origin now: a cut can come before the news. */
void sim_measure_rules_changed(struct sim_world *w)
{
    sim_measure_changed(w);
    w->measure.rules_changed = w->now;
    for (size_t origin = 0; origin < w->n && w->measure.n_open_changes; origin++) {
        for (struct sim_change *c = w->measure.changes[origin]; c; c = c->next)
            for (size_t i = 0; i < w->n; i++)
                if (!sim_pair_fine(w, i, origin))
                    stop_waiting(c, i);
        drop_unawaited(&w->measure, origin);
    }
}

/* Nobody waits for an observer that is no longer there. */
static void forget_observer(struct sim_world *w, size_t observer)
{
    struct sim_measure *m = &w->measure;
    for (size_t i = 0; i < w->n && m->n_open_changes; i++) {
        for (struct sim_change *c = m->changes[i]; c; c = c->next)
            stop_waiting(c, observer);
        drop_unawaited(m, i);
    }
    for (size_t i = 0; i < w->n; i++) {
        struct sim_death *d = m->deaths[i];
        if (d && sim_set_has(&d->waiting, observer)) {
            sim_set_drop(&d->waiting, observer);
            d->n_waiting--;
        }
    }
}

void sim_measure_death(struct sim_world *w, size_t node)
{
    struct sim_measure *m = &w->measure;
    sim_measure_changed(w);
    forget_observer(w, node);
    while (m->changes[node])
        drop_change(m, &m->changes[node]);
    close_death(m, node);
    struct sim_death *d = sim_zero(sizeof *d);
    d->identity = w->nodes[node].identity;
    d->at = w->now;
    d->n_waiting = audience(w, node, &d->waiting);
    m->deaths[node] = d;
    m->n_deaths++;
}

void sim_measure_out(struct sim_world *w, size_t node)
{
    sim_measure_changed(w);
    forget_observer(w, node);
    while (w->measure.changes[node])
        drop_change(&w->measure, &w->measure.changes[node]);
}

void sim_measure_back(struct sim_world *w, size_t node)
{
    sim_measure_changed(w);
    close_death(&w->measure, node);
}

void sim_measure_change(struct sim_world *w, size_t node, enum sl_kind kind, uint64_t hash)
{
    struct sim_measure *m = &w->measure;
    news(w);
    m->n_changes++;
    if (m->n_open_changes == OPEN_CHANGES_MAX || !sim_is_healthy(w, node))
        return;
    struct sim_change *c = sim_zero(sizeof *c);
    c->identity = w->nodes[node].identity;
    c->kind = kind;
    c->hash = hash;
    c->at = w->now;
    c->n_waiting = audience(w, node, &c->waiting);
    /* Nobody can tell a newcomer who knows but seeds behind a cut (swarm, seeds 430 and 497). */
    c->n_waiting -= sim_drop_strangers(w, node, &c->waiting);
    struct sim_change **at = &m->changes[node];
    while (*at)
        at = &(*at)->next;
    *at = c;
    m->n_open_changes++;
    if (c->n_waiting == 0)
        drop_change(m, at);
}

/* ---- what cores tell ---- */

static void wrong(struct sim_world *w, size_t observer, size_t subject)
{
    struct sim_measure *m = &w->measure;
    sim_say(w, "FALSE: node %zu holds node %zu down", observer, subject);
    if (m->n_false_down++ > 0)
        return;
    snprintf(m->first_false_down, sizeof m->first_false_down,
             "at %.3f s node %zu held node %zu down, and nothing was wrong with either",
             (double)(w->now - w->zero) / 1e6, observer, subject);
    if (w->settings.strict)
        sim_violation(w, "node %zu holds node %zu down, and nothing is wrong with either", observer,
                      subject);
}

/* Whom an observer held down it sees again: how long since agreement is awaited, which begins with healing? */
static void recovered(struct sim_world *w, size_t observer, const struct sim_identity *who,
                      enum sl_status status)
{
    struct sim_measure *m = &w->measure;
    size_t pair = observer * w->n + who->node;
    if (who != sim_self(w, who->node))
        return;
    if (status == SL_DOWN) {
        sim_set_add(&m->down, pair);
    } else if (sim_set_has(&m->down, pair)) {
        sim_set_drop(&m->down, pair);
        if (m->awaiting && status != SL_LEFT)
            sim_hist_add(&m->recover, w->now - m->await_since);
    }
}

void sim_measure_status(struct sim_world *w, size_t observer, const struct sim_identity *who,
                        enum sl_status status)
{
    struct sim_measure *m = &w->measure;
    m->n_status++;
    size_t subject = who->node;
    if (w->verbose)
        sim_say(w, "node %zu holds node %zu%s %s", observer, subject,
                who == sim_self(w, subject) ? "" : " (as it was before)",
                (const char *[]){"alive", "suspect", "down", "left"}[status]);
    recovered(w, observer, who, status);
    if (status != SL_DOWN && status != SL_LEFT)
        return;
    struct sim_death *d = m->deaths[subject];
    if (d && w->identities[d->identity] == who && sim_set_has(&d->waiting, observer)) {
        sim_set_drop(&d->waiting, observer);
        d->n_waiting--;
        sim_hist_add(&m->detect, w->now - d->at);
    }
    if (status == SL_DOWN && who == sim_self(w, subject) &&
        sim_is_wrong_to_fell(w, observer, subject))
        wrong(w, observer, subject);
}

void sim_measure_fact(struct sim_world *w, size_t observer, const struct sim_identity *who,
                      const struct sl_fact *f)
{
    sim_always_fact(w, observer, who, f);
    sim_always_signed(w, observer, who, f);
    if (w->measure.changes[who->node] == NULL)
        return;
    struct sl_record record;
    struct sl_vitals vitals;
    struct sl_span sections;
    if (f->kind == SL_RECORD && sl_record_read(sl_fact_body(f), &record))
        sections = record.sections;
    else if (f->kind == SL_VITALS && sl_vitals_read(sl_fact_body(f), &vitals))
        sections = vitals.sections;
    else
        return;
    uint64_t hash = sim_bytes_hash(sections);
    for (struct sim_change *c = w->measure.changes[who->node]; c; c = c->next) {
        if (c->kind == (enum sl_kind)f->kind && c->hash == hash) {
            reached(w, who->node, c, observer);
            return;
        }
    }
}

/* ---- traffic ---- */

void sim_window_open(struct sim_world *w, struct sim_window *win)
{
    *win = (struct sim_window){.open = true,
                               .since = w->now,
                               .bytes = w->net.n_bytes,
                               .messages = w->net.n_messages,
                               .changes = w->measure.n_changes};
    for (size_t i = 0; i < w->n && win == &w->measure.rest; i++)
        w->nodes[i].rest = w->nodes[i].traffic;
}

/* Who is suspect is offered last. */
static uint64_t count_doubted(const struct sim_world *w)
{
    uint64_t n = 0;
    enum sl_status status;
    for (size_t o = 0; o < w->n; o++)
        for (size_t s = 0; s < w->n && sim_is_healthy(w, o); s++)
            n += s != o && sim_is_healthy(w, s) && sim_thinks(w, o, s, &status) &&
                 status == SL_SUSPECT;
    return n;
}

void sim_window_close(struct sim_world *w, struct sim_window *win)
{
    if (!win->open)
        return;
    win->open = false;
    win->done = true;
    win->span = w->now - win->since;
    win->bytes = w->net.n_bytes - win->bytes;
    win->messages = w->net.n_messages - win->messages;
    win->changes = w->measure.n_changes - win->changes;
    if (win == &w->measure.rest)
        w->measure.n_doubted = count_doubted(w);
    for (size_t i = 0; i < w->n && win == &w->measure.rest; i++) {
        struct sim_node *n = &w->nodes[i];
        n->rest = (struct sim_traffic){n->traffic.sent - n->rest.sent, n->traffic.heard - n->rest.heard};
    }
}

/* ---- agreement ---- */

void sim_await(struct sim_world *w)
{
    struct sim_measure *m = &w->measure;
    m->awaiting = true;
    m->await_since = w->now;
    m->converged = -1;
    if (!m->polling)
        sim_at(w, w->now + w->settings.poll, SIM_POLL, 0, 0, NULL);
    m->polling = true;
}

void sim_poll(struct sim_world *w)
{
    struct sim_measure *m = &w->measure;
    if (m->awaiting && sim_agree(w, NULL, 0)) {
        m->awaiting = false;
        m->converged = w->now - m->await_since;
        if (m->converged_first < 0)
            m->converged_first = m->converged;
        sim_say(w, "all agree after %.3f s", (double)m->converged / 1e6);
    }
    m->polling = m->awaiting;
    if (m->polling)
        sim_at(w, w->now + w->settings.poll, SIM_POLL, 0, 0, NULL);
}
