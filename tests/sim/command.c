/* command.c: what can happen in a scenario. Each command reads its words first, so that a dry
 * run finds every mistake, and then does it. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/script.h"

struct call {
    struct sim_script *s;
    struct sim_world *w;
    char *const *word; /* behind the command */
    size_t n;
    bool dry;
    char *error;
    size_t cap;
};

static bool fail(struct call *c, const char *format, ...) SL_PRINTF(2, 3);
static bool fail(struct call *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->error, c->cap, format, args);
    va_end(args);
    return false;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Take the next word if it is this one. */
static bool next_is(struct call *c, const char *word)
{
    if (c->n == 0 || !is(c->word[0], word))
        return false;
    c->word++;
    c->n--;
    return true;
}

static const char *next(struct call *c)
{
    if (c->n == 0)
        return NULL;
    c->n--;
    return *c->word++;
}

static bool next_set(struct call *c, struct sim_set *ret)
{
    const char *text = next(c);
    if (text == NULL)
        return fail(c, "a set of nodes is missing");
    return sim_script_set(c->s, c->w, text, ret, c->error, c->cap);
}

static bool next_time(struct call *c, sl_usec *ret)
{
    const char *text = next(c);
    if (text == NULL || !sim_parse_time(text, ret))
        return fail(c, "'%s' is no time", text ? text : "");
    return true;
}

/* [of RATE] [salt N]: so many of the pairs, drawn by a hash. True when it was one of these. */
static bool next_share(struct call *c, struct sim_rule *r, bool *ok)
{
    const char *text;
    if (next_is(c, "of")) {
        *ok = ((text = next(c)) && sim_parse_rate(text, &r->edges)) || fail(c, "of how many?");
        return true;
    }
    if (next_is(c, "salt")) {
        r->has_salt = true;
        *ok = ((text = next(c)) && sim_parse_count(text, UINT32_MAX, &r->salt)) ||
              fail(c, "salt is a number");
        return true;
    }
    return false;
}

static bool done(struct call *c)
{
    return c->n == 0 || fail(c, "'%s' is too much", c->word[0]);
}

/* ---- for each node of a set ---- */

static bool each(struct call *c, void (*act)(struct sim_world *, size_t))
{
    struct sim_set set;
    if (!next_set(c, &set))
        return false;
    bool ok = done(c);
    for (size_t i = 0; i < c->w->n && ok && !c->dry; i++)
        if (sim_set_has(&set, i))
            act(c->w, i);
    sim_set_fini(&set);
    return ok;
}

static void put_weight(struct sim_world *w, size_t node)
{
    (void)sim_put(w, node, SL_VITALS, false);
}

static void put_health(struct sim_world *w, size_t node)
{
    (void)sim_put(w, node, SL_VITALS, true);
}

static void put_record(struct sim_world *w, size_t node)
{
    (void)sim_put(w, node, SL_RECORD, false);
}

static bool kill_all(struct call *c)
{
    return each(c, sim_kill);
}
static bool off(struct call *c)
{
    return each(c, sim_off);
}
static bool on(struct call *c)
{
    return each(c, sim_on);
}
static bool freeze(struct call *c)
{
    return each(c, sim_freeze);
}
static bool suspend(struct call *c)
{
    return each(c, sim_suspend);
}
static bool thaw(struct call *c)
{
    return each(c, sim_thaw);
}
static bool leave(struct call *c)
{
    return each(c, sim_leave);
}
static bool update(struct call *c)
{
    return each(c, put_weight);
}
static bool health(struct call *c)
{
    return each(c, put_health);
}
static bool record(struct call *c)
{
    return each(c, put_record);
}

static bool start_flags(struct call *c, unsigned *flags)
{
    if (next_is(c, "new"))
        *flags |= SIM_START_NEW;
    else if (next_is(c, "bare"))
        *flags |= SIM_START_BARE;
    else
        return false;
    return true;
}

/* start SET [new] [bare] [over D] */
static bool start(struct call *c)
{
    struct sim_set set;
    unsigned flags = 0;
    sl_usec over = 0;
    if (!next_set(c, &set))
        return false;
    while (start_flags(c, &flags))
        ;
    bool ok = (!next_is(c, "over") || next_time(c, &over)) && done(c);
    for (size_t i = 0; i < c->w->n && ok && !c->dry; i++)
        if (sim_set_has(&set, i))
            sim_later(c->w, sl_rand_span(&c->w->start_rand, 0, over),
                      (struct sim_task){.kind = SIM_TASK_START, .node = i, .flags = flags});
    sim_set_fini(&set);
    return ok;
}

/* copy SET of NODE [bare]: they run with its key, where they are */
static bool copy(struct call *c)
{
    struct sim_set set, of;
    unsigned flags = 0;
    if (!next_set(c, &set))
        return false;
    if ((!next_is(c, "of") && !fail(c, "copy SET of whom?")) || !next_set(c, &of)) {
        sim_set_fini(&set);
        return false;
    }
    while (start_flags(c, &flags))
        ;
    bool ok = done(c);
    size_t whose = 0;
    while (whose < c->w->n && !sim_set_has(&of, whose))
        whose++;
    for (size_t i = 0; i < c->w->n && whose < c->w->n && ok && !c->dry; i++)
        if (sim_set_has(&set, i))
            sim_copy(c->w, i, whose, flags);
    sim_set_fini(&set);
    sim_set_fini(&of);
    return ok;
}

/* revoke SET by NODE [serial]: it learns that their keys, or these certificates alone, are taken back */
static bool revoke(struct call *c)
{
    struct sim_set set, by;
    if (!next_set(c, &set))
        return false;
    if ((!next_is(c, "by") && !fail(c, "revoke SET by whom?")) || !next_set(c, &by)) {
        sim_set_fini(&set);
        return false;
    }
    bool serial = next_is(c, "serial"), ok = done(c);
    size_t who = 0;
    while (who < c->w->n && !sim_set_has(&by, who))
        who++;
    for (size_t i = 0; i < c->w->n && who < c->w->n && ok && !c->dry; i++)
        if (sim_set_has(&set, i))
            sim_revoke(c->w, i, who, !serial);
    sim_set_fini(&set);
    sim_set_fini(&by);
    return ok;
}

/* roll SET every D pause D [kill] [new] [bare]: one after the other goes and comes back.
 * restart SET [pause D] [kill] [new] [bare]: all at once. */
static bool roll(struct call *c, bool one_by_one)
{
    struct sim_set set;
    sl_usec every = 0, pause = SL_MS(500);
    unsigned flags = 0;
    bool ok = true, hard = false, more = true;
    if (!next_set(c, &set))
        return false;
    while (ok && more) {
        if (next_is(c, "every"))
            ok = next_time(c, &every);
        else if (next_is(c, "pause"))
            ok = next_time(c, &pause);
        else if (next_is(c, "kill"))
            hard = true;
        else
            more = start_flags(c, &flags);
    }
    ok = ok && done(c) && (!one_by_one || every > 0 || fail(c, "roll every how long?"));
    for (size_t i = 0, k = 0; i < c->w->n && ok && !c->dry; i++) {
        if (!sim_set_has(&set, i))
            continue;
        sl_usec at = (sl_usec)k++ * every;
        sim_later(c->w, at,
                  (struct sim_task){.kind = hard ? SIM_TASK_KILL : SIM_TASK_LEAVE, .node = i});
        sim_later(c->w, at + pause,
                  (struct sim_task){.kind = SIM_TASK_START, .node = i, .flags = flags});
    }
    sim_set_fini(&set);
    return ok;
}

static bool roll_over(struct call *c)
{
    return roll(c, true);
}
static bool restart(struct call *c)
{
    return roll(c, false);
}

/* slow SET D [for D]; 0 ends it */
static bool slow(struct call *c)
{
    struct sim_set set;
    sl_usec cost, span = SL_NEVER;
    if (!next_set(c, &set))
        return false;
    bool ok = next_time(c, &cost) && (!next_is(c, "for") || next_time(c, &span)) && done(c);
    for (size_t i = 0; i < c->w->n && ok && !c->dry; i++) {
        if (!sim_set_has(&set, i))
            continue;
        sim_slow(c->w, i, c->w->settings.cost + cost);
        if (span != SL_NEVER)
            sim_later(c->w, span, (struct sim_task){.kind = SIM_TASK_SLOW_END, .node = i});
    }
    sim_set_fini(&set);
    return ok;
}

/* oom SET RATE [for D]: so many of its allocations fail */
static bool oom(struct call *c)
{
    struct sim_set set;
    uint32_t rate = 0;
    sl_usec span = SL_NEVER;
    if (!next_set(c, &set))
        return false;
    const char *text = next(c);
    bool ok = (text && sim_parse_rate(text, &rate)) || fail(c, "'%s' is no rate", text ? text : "");
    ok = ok && (!next_is(c, "for") || next_time(c, &span)) && done(c);
    for (size_t i = 0; i < c->w->n && ok && !c->dry; i++) {
        if (!sim_set_has(&set, i))
            continue;
        sim_oom(c->w, i, rate);
        if (span != SL_NEVER)
            sim_later(c->w, span, (struct sim_task){.kind = SIM_TASK_OOM_END, .node = i});
    }
    sim_set_fini(&set);
    return ok;
}

/* lie SET AT WAYS [every D] [rate N]: to or about the nodes AT */
static bool lie(struct call *c)
{
    struct sim_set set, at;
    sl_usec every = SL_MS(100);
    uint64_t rate = 10;
    const char *text;
    if (!next_set(c, &set))
        return false;
    if (!next_set(c, &at)) {
        sim_set_fini(&set);
        return false;
    }
    unsigned ways = (text = next(c)) ? sim_lies_read(text) : 0;
    bool ok = ways != 0 || fail(c, "'%s' is no lie", text ? text : ""), more = true;
    while (ok && more) {
        if (next_is(c, "every"))
            ok = next_time(c, &every) && (every > 0 || fail(c, "every how long?"));
        else if (next_is(c, "rate"))
            ok = ((text = next(c)) && sim_parse_count(text, UINT32_MAX, &rate)) ||
                 fail(c, "rate is a number");
        else
            more = false;
    }
    ok = ok && done(c);
    for (size_t i = 0; i < c->w->n && ok && !c->dry; i++)
        if (sim_set_has(&set, i))
            sim_lie(c->w, i, ways, &at, every, (uint32_t)rate);
    sim_set_fini(&set);
    sim_set_fini(&at);
    return ok;
}

static void lie_no_more(struct sim_world *w, size_t node)
{
    sim_lie(w, node, 0, NULL, 0, 0);
}

static bool truth(struct call *c)
{
    return each(c, lie_no_more);
}

/* clock SET +D | -D */
static bool clock_step(struct call *c)
{
    struct sim_set set;
    sl_usec step = 0;
    if (!next_set(c, &set))
        return false;
    const char *text = next(c);
    bool ok = (text && (*text == '+' || *text == '-') && sim_parse_time(text + 1, &step)) ||
              fail(c, "'%s' is no step, like +1h", text ? text : "");
    ok = ok && done(c);
    for (size_t i = 0; i < c->w->n && ok && !c->dry; i++)
        if (sim_set_has(&set, i))
            sim_clock(c->w, i, *text == '-' ? -step : step);
    sim_set_fini(&set);
    return ok;
}

/* ---- between two sets ---- */

static bool rule(struct call *c, enum sim_rule_kind kind)
{
    struct sim_rule r = {.kind = kind, .edges = 1000000};
    sl_usec span = SL_NEVER;
    const char *text;
    if (!next_set(c, &r.from))
        return false;
    bool ok = next_set(c, &r.to), more = true;
    if (ok && kind == SIM_LOSS)
        ok = ((text = next(c)) && sim_parse_rate(text, &r.loss)) || fail(c, "loss of how much?");
    if (ok && kind == SIM_DELAY)
        ok = ((text = next(c)) && sim_parse_range(text, &r.delay_min, &r.delay_max)) ||
             fail(c, "delay of how long?");
    while (ok && more) {
        if (next_is(c, "oneway"))
            r.one_way = true;
        else if (next_is(c, "for"))
            ok = next_time(c, &span);
        else
            more = next_share(c, &r, &ok);
    }
    ok = ok && done(c);
    if (!ok || c->dry) {
        sim_set_fini(&r.from);
        sim_set_fini(&r.to);
        return ok;
    }
    return sim_rule_add(c->w, r, span) >= 0 ||
           fail(c, "more than %d faults at once", SIM_RULES_MAX);
}

static bool cut(struct call *c)
{
    return rule(c, SIM_CUT);
}
static bool hold(struct call *c)
{
    return rule(c, SIM_HOLD);
}
static bool loss(struct call *c)
{
    return rule(c, SIM_LOSS);
}
static bool delay(struct call *c)
{
    return rule(c, SIM_DELAY);
}

/* heal [cut | hold | loss | delay] */
static bool heal(struct call *c)
{
    static const char *const kinds[] = {"cut", "hold", "loss", "delay"};
    int kind = -1;
    for (size_t i = 0; i < SL_COUNT(kinds); i++)
        if (next_is(c, kinds[i]))
            kind = (int)i;
    if (!done(c))
        return false;
    if (!c->dry)
        sim_heal(c->w, kind);
    return true;
}

static bool is_between(const struct sim_rule *r, size_t from, size_t to)
{
    return ((sim_set_has(&r->from, from) && sim_set_has(&r->to, to)) ||
            (sim_set_has(&r->to, from) && sim_set_has(&r->from, to))) &&
           sim_is_drawn(r, from, to);
}

/* reset SET SET [of RATE [salt N]]: their connections end at once */
static bool reset(struct call *c)
{
    struct sim_rule r = {.edges = 1000000};
    if (!next_set(c, &r.from))
        return false;
    bool ok = next_set(c, &r.to);
    while (ok && next_share(c, &r, &ok))
        ;
    ok = ok && done(c);
    if (ok && !r.has_salt)
        r.salt = sl_rand_u64(&c->w->fault_rand);
    for (struct sim_conn *k = c->w->net.first; k && ok && !c->dry; k = k->next)
        if (k->state == SIM_CONN_OPEN && is_between(&r, k->end[0].node, k->end[1].node))
            sim_conn_reset(c->w, k);
    sim_set_fini(&r.from);
    sim_set_fini(&r.to);
    return ok;
}

/* ---- all ---- */

void sim_calm(struct sim_world *w)
{
    sim_say(w, "calm: all faults end");
    sim_heal(w, -1);
    for (size_t i = 0; i < w->n; i++) {
        if (w->nodes[i].cost != w->settings.cost)
            sim_slow(w, i, w->settings.cost);
        sim_lie(w, i, 0, NULL, 0, 0);
        if (w->nodes[i].account.fail_ppm)
            sim_oom(w, i, 0);
        sim_thaw(w, i);
        if (w->nodes[i].life != SIM_UNBORN)
            sim_start(w, i, 0);
    }
}

static bool calm(struct call *c)
{
    if (!done(c))
        return false;
    if (!c->dry)
        sim_calm(c->w);
    return true;
}

/* swarm for D */
static bool swarm(struct call *c)
{
    sl_usec span;
    if (!next_is(c, "for"))
        return fail(c, "swarm for how long?");
    if (!next_time(c, &span) || !done(c))
        return false;
    if (!c->dry)
        sim_swarm_begin(c->s, c->w, c->w->now + span);
    return true;
}

/* measure converge [within D] | measure rest|load for D */
static bool measure(struct call *c)
{
    sl_usec span = SL_NEVER;
    bool converge = next_is(c, "converge"), load = !converge && next_is(c, "load");
    if (!converge && !load && !next_is(c, "rest"))
        return fail(c, "measure converge, rest or load?");
    if (next_is(c, converge ? "within" : "for") && !next_time(c, &span))
        return false;
    if (!done(c) || (!converge && span == SL_NEVER && !fail(c, "for how long?")))
        return false;
    if (c->dry)
        return true;
    struct sim_window *win = load ? &c->w->measure.load : &c->w->measure.rest;
    if (converge)
        sim_await(c->w);
    else
        sim_window_open(c->w, win);
    if (span != SL_NEVER)
        sim_later(c->w, span,
                  (struct sim_task){.kind = converge ? SIM_TASK_CONVERGED : SIM_TASK_WINDOW_END,
                                    .window = win});
    return true;
}

static bool expect(struct call *c)
{
    return sim_expect(c->s, c->w, c->word, c->n, c->dry, c->error, c->cap);
}

/* ---- */

static const struct {
    const char *name;
    bool (*run)(struct call *c);
} commands[] = {
    {"kill", kill_all},    {"off", off},         {"on", on},       {"freeze", freeze},
    {"suspend", suspend},  {"thaw", thaw},       {"leave", leave}, {"start", start},
    {"roll", roll_over},   {"restart", restart}, {"slow", slow},   {"oom", oom},
    {"clock", clock_step}, {"cut", cut},         {"hold", hold},   {"loss", loss},
    {"delay", delay},      {"heal", heal},       {"reset", reset}, {"update", update},
    {"health", health},    {"record", record},   {"calm", calm},   {"swarm", swarm},
    {"measure", measure},  {"expect", expect},   {"lie", lie},     {"truth", truth},
    {"copy", copy},        {"revoke", revoke},
};

bool sim_command(struct sim_script *s, struct sim_world *w, char *const *word, size_t n, bool dry,
                 char *error, size_t cap)
{
    struct call c = {s, w, word + 1, n - 1, dry, error, cap};
    for (size_t i = 0; i < SL_COUNT(commands); i++)
        if (is(word[0], commands[i].name))
            return commands[i].run(&c);
    return fail(&c, "there is no command '%s'", word[0]);
}

void sim_task(struct sim_script *s, struct sim_world *w, const struct sim_task *task)
{
    char why[160] = "";
    switch (task->kind) {
    case SIM_TASK_START:
        if (w->nodes[task->node].leaving) /* it takes its time over its goodbye */
            sim_later(w, SL_MS(500), *task);
        else
            sim_start(w, task->node, task->flags);
        return;
    case SIM_TASK_WAKE:
        sim_core_wake(w, task->node, task->flags);
        return;
    case SIM_TASK_KILL:
        sim_kill(w, task->node);
        return;
    case SIM_TASK_LEAVE:
        sim_leave(w, task->node);
        return;
    case SIM_TASK_THAW:
        sim_thaw(w, task->node);
        return;
    case SIM_TASK_SLOW_END:
        sim_slow(w, task->node, w->settings.cost);
        return;
    case SIM_TASK_OOM_END:
        sim_oom(w, task->node, 0);
        return;
    case SIM_TASK_CONVERGED:
        if (!w->measure.awaiting)
            return;
        if (sim_agree(w, why, sizeof why))
            snprintf(why, sizeof why, "nothing is wrong by now");
        sim_violation(w, "no agreement %.1f s after it was awaited: %s",
                      (double)(w->now - w->measure.await_since) / 1e6, why);
        return;
    case SIM_TASK_WINDOW_END:
        sim_window_close(w, task->window);
        return;
    case SIM_TASK_SWARM:
        sim_swarm_step(s, w);
        return;
    }
}
