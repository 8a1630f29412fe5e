/* shrink.c: delta debugging (Zeller, Hildebrandt 2002) over the lines of a scenario that fails:
 * fewer faults, then fewer nodes, then less time, as long as something of the same kind is
 * violated. A change to a run moves all chance behind it, so that each candidate is given several
 * seeds. */
#include "tests/sim/shrink.h"

#include <stdlib.h>

#include "tests/sim/scene.h"
#include "tests/sim/trial.h"

#define SLACK SL_SEC(30) /* a smaller scenario may fail a little later than the larger one */

struct shrink {
    const struct sim_options *asked;
    struct sim_scene best;
    char kind[256], text[256]; /* of the violation */
    sl_usec at;                /* when `best` fails */
    double deadline_s, took_s; /* the last run that failed to fail took so long */
    unsigned n_runs;
    bool told_crash;
    size_t told; /* measure of what progress was told of */
};

static bool has_time(const struct shrink *s)
{
    return sim_clock_s() < s->deadline_s;
}

/* More seeds where they cost little. */
static unsigned n_seeds(const struct shrink *s)
{
    return s->took_s < 0.3 ? 6 : s->took_s < 1 ? 3 : s->took_s < 3 ? 2 : 1;
}

static bool fails(struct shrink *s, struct sim_scene *c, uint64_t seed, struct sim_trial *t)
{
    c->seed = seed;
    char *text = sim_scene_text(c, "");
    struct sim_options o = {.text = text, .seed = 1, .real = s->asked->real};
    double from = sim_clock_s();
    sim_try(&o, s->kind, s->deadline_s, NULL, NULL, t);
    s->n_runs++;
    if (!t->violated && !t->timed_out)
        s->took_s = sim_clock_s() - from;
    if (t->crash && !t->violated && !s->told_crash) {
        s->told_crash = true;
        fprintf(stderr,
                "starling-sim: one candidate crashed (signal %d), which is another matter:\n%s",
                t->crash, text);
    }
    free(text);
    return t->violated;
}

/* It is the best one from now on when it fails in the same way; taken over in any case. */
static bool better(struct shrink *s, struct sim_scene c)
{
    struct sim_trial t = {0};
    uint64_t seed = c.seed;
    bool failed = false;
    for (unsigned i = 0; i < n_seeds(s) && has_time(s) && !failed; i++)
        failed = fails(s, &c, seed + i, &t);
    if (!failed) {
        sim_scene_free(&c);
        return false;
    }
    s->at = t.at;
    snprintf(s->text, sizeof s->text, "%s", t.text);
    if (t.at != SL_NEVER) {
        sim_scene_end(&c, t.at);
        c.until = sl_earlier(c.until, t.at + SLACK);
    }
    sim_scene_free(&s->best);
    s->best = c;
    return true;
}

static void progress(struct shrink *s, const char *what)
{
    size_t size = s->best.n + s->best.nodes + (size_t)s->best.until;
    if (size == s->told)
        return;
    s->told = size;
    fprintf(stderr, "starling-sim: %s: %zu lines, %zu nodes, ", what, s->best.n, s->best.nodes);
    if (s->at != SL_NEVER)
        fprintf(stderr, "fails at %.3f s ", (double)s->at / 1e6);
    fprintf(stderr, "(%u runs)\n", s->n_runs);
}

/* ---- less ---- */

/* Only the last faults, moved to the beginning. */
static void take_last(struct shrink *s)
{
    for (sl_usec span = SL_SEC(10); has_time(s); span *= 2) {
        struct sim_scene c = sim_scene_copy(&s->best);
        if (!sim_scene_keep_last(&c, span)) {
            sim_scene_free(&c);
            return;
        }
        if (better(s, c))
            return;
    }
}

/* Without all lines of one command. */
static void drop_commands(struct shrink *s)
{
    for (size_t i = 0; i < s->best.n && has_time(s);) {
        struct sim_scene c = sim_scene_copy(&s->best);
        if (!sim_scene_drop_like(&c, i))
            sim_scene_free(&c);
        else if (better(s, c))
            continue;
        i++;
    }
}

/* Without some of the lines: half of them, a quarter ... one. */
static bool drop_lines(struct shrink *s)
{
    bool any = false;
    for (size_t size = (s->best.n + 1) / 2; size > 0 && has_time(s); size /= 2) {
        for (size_t at = 0; at < s->best.n && has_time(s);) {
            struct sim_scene c = sim_scene_copy(&s->best);
            sim_scene_drop(&c, at, size);
            bool dropped = better(s, c);
            any |= dropped;
            at += dropped ? 0 : size;
        }
    }
    return any;
}

/* Who said how many there are wants so many: many failures have cousins among two nodes. */
static bool drop_nodes(struct shrink *s)
{
    if (s->asked->nodes)
        return false;
    size_t least = sim_scene_nodes_needed(&s->best), most = s->best.nodes;
    for (size_t part = 0; part < 4 && least < most && has_time(s); part++) {
        struct sim_scene c = sim_scene_copy(&s->best);
        sim_scene_keep_nodes(&c, least + (most - least) * part / 4);
        if (better(s, c))
            return true;
    }
    return false;
}

static bool drop_time(struct shrink *s)
{
    bool any = false;
    for (unsigned divisor = 8; divisor > 1 && has_time(s); divisor /= 2) {
        struct sim_scene c = sim_scene_copy(&s->best);
        for (size_t i = 0; i < c.n; i++)
            sim_scene_closer(&c, i, divisor);
        any |= better(s, c);
    }
    for (size_t i = 0; i < s->best.n && has_time(s); i++) {
        struct sim_scene c = sim_scene_copy(&s->best);
        if (sim_scene_closer(&c, i, 4))
            any |= better(s, c);
        else
            sim_scene_free(&c);
    }
    return any;
}

static void shrink(struct shrink *s)
{
    take_last(s);
    progress(s, "the last faults alone");
    drop_commands(s);
    progress(s, "fewer kinds of faults");
    for (bool more = true; more && has_time(s);) {
        drop_lines(s);
        progress(s, "fewer faults");
        more = drop_nodes(s);
        progress(s, "fewer nodes");
        more |= drop_time(s);
        progress(s, "less time");
    }
}

/* ---- from the beginning to the end ---- */

static void drawn(void *context, sl_usec at, const char *text)
{
    sim_scene_add(context, SIM_SCENE_AT, at, text);
}

/* The run as asked for, with the swarm's faults written out. 0, or an exit status. */
static int first_run(struct shrink *s, const char *reproduce)
{
    struct sim_trial t;
    char error[512];
    struct sim_scene swarm = {0};
    if (!sim_scene_read(&s->best, s->asked, error, sizeof error)) {
        fprintf(stderr, "starling-sim: %s\n", error);
        return 2;
    }
    sim_try(s->asked, "", s->deadline_s, drawn, &swarm, &t);
    s->n_runs++;
    sim_scene_join(&s->best, &swarm);
    if (t.made_no_sense) {
        fprintf(stderr, "starling-sim: %s\n", t.text);
        return 2;
    }
    if (!t.violated) {
        fprintf(stderr, "starling-sim: %s: %s\n", reproduce,
                t.timed_out ? "the time is over before its end" : "nothing is violated");
        return t.timed_out ? 2 : 0;
    }
    s->best.nodes = t.nodes;
    s->best.seed = t.seed;
    s->best.until = t.until;
    s->at = t.at;
    snprintf(s->kind, sizeof s->kind, "%s", t.kind);
    snprintf(s->text, sizeof s->text, "%s", t.text);
    fprintf(stderr, "starling-sim: %s\n", s->text);
    return 0;
}

int sim_shrink(const struct sim_options *o, unsigned seconds, const char *reproduce)
{
    struct shrink s = {.asked = o, .deadline_s = sim_clock_s() + seconds};
    int status = first_run(&s, reproduce);
    if (status == 0 && s.n_runs && *s.kind) {
        size_t n = s.best.n;
        if (better(&s, sim_scene_copy(&s.best)))
            shrink(&s);
        else if (has_time(&s))
            fprintf(stderr, "starling-sim: its lines alone do not fail, which should not be\n");
        if (!has_time(&s))
            fprintf(stderr, "starling-sim: given up after %u s; longer: --shrink=SECONDS\n",
                    seconds);
        if (s.at != SL_NEVER)
            s.best.until = sl_earlier(s.best.until, s.at + SL_MS(500));
        char note[1024];
        snprintf(note, sizeof note, "about Shrunk from %s (%zu lines, %u runs).\n# %s\n", reproduce,
                 n, s.n_runs, s.text);
        char *text = sim_scene_text(&s.best, note);
        fputs(text, stdout);
        free(text);
        status = 1;
    }
    sim_scene_free(&s.best);
    return status;
}
