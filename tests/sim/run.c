/* run.c: a whole run. The flock comes about; its agreement is time 0 of the scenario; the scenario
 * happens; what it demands when all is over is judged. */
#include "tests/sim/run.h"

#include <stdlib.h>
#include <time.h>

#define STAGGER SL_MS(10) /* between two starts with --start staggered */
#define LOOK SL_MS(500)   /* how often is looked for what must hold in quiet, and for memory */

bool sim_run_read(struct sim_script *s, const struct sim_options *o, struct sim_settings *settings,
                  char *error, size_t cap)
{
    for (size_t i = 0; i < o->n_sets; i++) {
        char name[64];
        const char *equals = strchr(o->sets[i], '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - o->sets[i]), o->sets[i]);
        if (!sim_script_value(s, name, equals + 1, true, error, cap))
            return false;
    }
    sim_settings_init(settings);
    if (o->text == NULL)
        return sim_script_read(s, o->scenario, error, cap) &&
               sim_script_settings(s, settings, error, cap);
    char *text = strcpy(sim_zero(strlen(o->text) + 1), o->text);
    bool ok = sim_script_parse(s, "scenario", text, error, cap) &&
              sim_script_settings(s, settings, error, cap);
    free(text);
    return ok;
}

bool sim_run_init(struct sim_run *r, const struct sim_options *o, char *error, size_t cap)
{
    struct sim_settings settings;
    struct sim_script *s = &r->script;
    struct sim_world *w = &r->world;
    if (!sim_run_read(s, o, &settings, error, cap))
        return false;
    uint64_t seed = o->has_seed || !s->has_seed ? o->seed : s->seed;
    size_t n = o->nodes ? o->nodes : s->nodes ? s->nodes : 3 + sim_seed(seed, "nodes", 0) % 58;
    if (sim_world_init(w, n, seed, &settings, o->real) < 0) {
        snprintf(error, cap, "the world does not come about");
        return false;
    }
    w->verbose = o->verbose;
    r->until = o->until ? o->until : s->has_until ? s->until : SL_SEC(60);
    return sim_script_check(s, w, error, cap) &&
           sim_script_set(s, w, s->begin[0] ? s->begin : "all", &r->begin, error, cap);
}

void sim_run_fini(struct sim_run *r)
{
    sim_set_fini(&r->begin);
    sim_world_fini(&r->world);
    sim_script_fini(&r->script);
}

/* ---- the start ---- */

static void start_cold(struct sim_world *w, const struct sim_set *set)
{
    size_t k = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!sim_set_has(set, i))
            continue;
        sl_usec wait = w->settings.start == SIM_START_STAGGERED
                           ? (sl_usec)k++ * STAGGER
                           : sl_rand_span(&w->start_rand, 0, w->settings.spread);
        sim_later(w, wait, (struct sim_task){.kind = SIM_TASK_START, .node = i});
    }
}

/* Tables are full from the first moment; nodes make their first moves within `spread`. */
static void start_warm(struct sim_world *w, const struct sim_set *set)
{
    sim_start_warm(w, set);
    for (size_t i = 0; i < w->n; i++)
        if (sim_set_has(set, i))
            sim_later(w, sl_rand_span(&w->start_rand, 0, w->settings.spread),
                      (struct sim_task){.kind = SIM_TASK_WAKE, .node = i});
}

static double real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show_progress(struct sim_run *r)
{
    const struct sim_world *w = &r->world;
    double now = real_now();
    if (now - r->shown_s < 1)
        return;
    r->shown_s = now;
    fprintf(stderr, "\r\033[K");
    if (!r->stands)
        fprintf(stderr, "%s: comes about, %.1f virtual s", r->script.name, (double)w->now / 1e6);
    else
        fprintf(stderr, "%s: %.0f of %.0f virtual s", r->script.name, (double)(w->now - w->zero) / 1e6,
                (double)r->until / 1e6);
    fprintf(stderr, ", %.0f real, %.1f million events", now - r->began_s, (double)w->n_events / 1e6);
}

/* Run on, and look on the way for what must hold at any time. */
static void advance(struct sim_run *r, sl_usec until)
{
    struct sim_world *w = &r->world;
    while (w->now < until && !w->stopped) {
        sim_world_run(w, sl_earlier(until, w->now + LOOK));
        sim_always_look(w);
        if (r->progress)
            show_progress(r);
    }
}

static bool all_started(const struct sim_world *w, const struct sim_set *set)
{
    for (size_t i = 0; i < w->n; i++)
        if (sim_set_has(set, i) && w->nodes[i].process == 0)
            return false;
    return true;
}

static void settle(struct sim_run *r)
{
    struct sim_world *w = &r->world;
    while (!all_started(w, &r->begin) && !w->stopped)
        advance(r, w->now + SL_MS(100));
    if (w->settings.start == SIM_START_WARM)
        advance(r, w->now + w->settings.stand);
    sim_await(w);
    while (w->measure.awaiting && w->now < w->settings.settle_max && !w->stopped)
        advance(r, w->now + SL_MS(100));
    w->measure.settled = w->measure.awaiting ? -1 : w->now;
    if (w->measure.awaiting) {
        char why[160] = "nothing is wrong by now";
        (void)sim_agree(w, why, sizeof why);
        sim_violation(w, "the flock does not come about in %.0f s: %s", (double)w->now / 1e6, why);
    }
    w->measure.awaiting = false;
    w->measure.converged = w->measure.converged_first = -1;
}

/* ---- all of it ---- */

static void live(struct sim_run *r)
{
    struct sim_world *w = &r->world;
    sim_script_begin(&r->script, w);
    if (w->settings.start == SIM_START_WARM)
        start_warm(w, &r->begin);
    else
        start_cold(w, &r->begin);
    if (w->settings.settle)
        settle(r);
    w->zero = w->now;
    r->stands = true;
    w->measure.zero_bytes = w->net.n_bytes;
    w->measure.zero_messages = w->net.n_messages;
    w->measure.n_false_down = w->measure.n_deaths = w->measure.n_changes = 0;
    sim_script_plan(&r->script, w);
    sl_usec end = w->zero + r->until;
    while (w->now < end && !w->stopped) {
        advance(r, sl_earlier(end, w->now + LOOK));
        sim_judge_quiet(w);
    }
    if (!w->stopped)
        sim_script_end(&r->script, w);
}

void sim_run_all(struct sim_run *r)
{
    r->began_s = r->shown_s = real_now();
    live(r);
    r->real_s = real_now() - r->began_s;
    if (r->progress)
        fprintf(stderr, "\r\033[K");
}
