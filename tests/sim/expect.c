/* expect.c: what a scenario demands at a moment, or of the figures when all is over. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/report.h"
#include "tests/sim/script.h"

static bool fail(char *error, size_t cap, const char *format, ...) SL_PRINTF(3, 4);
static bool fail(char *error, size_t cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, cap, format, args);
    va_end(args);
    return false;
}

static const struct thought {
    const char *name;
    bool alive, suspect, down, left, unknown; /* which fulfil it */
} thoughts[] = {
    {"alive", true, false, false, false, false},   {"offered", true, true, false, false, false},
    {"suspect", false, true, false, false, false}, {"down", false, false, true, false, false},
    {"left", false, false, false, true, true},     {"gone", false, false, true, true, true},
};

static bool fulfils(const struct thought *t, bool known, enum sl_status status)
{
    if (!known)
        return t->unknown;
    switch (status) {
    case SL_ALIVE:
        return t->alive;
    case SL_SUSPECT:
        return t->suspect;
    case SL_DOWN:
        return t->down;
    case SL_LEFT:
        return t->left;
    }
    return false;
}

#define OPINIONS_MAX ((size_t)1 << 24) /* asked for at once; beyond, of a sample of the observers */

/* Every healthy observer outside the set, or inside `by`, thinks so of each of the set. */
static void judge(struct sim_world *w, const struct thought *t, const struct sim_set *set,
                  const struct sim_set *by)
{
    static const char *const names[] = {"alive", "suspect", "down", "left"};
    size_t every = 1 + w->n * sim_set_count(set) / OPINIONS_MAX;
    for (size_t o = 0; o < w->n; o += every) {
        if (!sim_is_healthy(w, o) || (by ? !sim_set_has(by, o) : sim_set_has(set, o) && !t->alive))
            continue;
        for (size_t s = 0; s < w->n; s++) {
            enum sl_status status = SL_ALIVE;
            if (s == o || !sim_set_has(set, s))
                continue;
            bool known = sim_thinks(w, o, s, &status);
            if (!fulfils(t, known, status)) {
                sim_violation(w, "node %zu holds node %zu %s, expected %s", o, s,
                              known ? names[status] : "unknown", t->name);
                return;
            }
        }
    }
}

static bool expect_thought(struct sim_script *s, struct sim_world *w, const struct thought *t,
                           char *const *word, size_t n, bool dry, char *error, size_t cap)
{
    struct sim_set set, by;
    bool has_by = n == 4 && strcmp(word[2], "by") == 0;
    if (n != 2 && !has_by)
        return fail(error, cap, "expect %s SET [by SET]", t->name);
    if (!sim_script_set(s, w, word[1], &set, error, cap))
        return false;
    bool ok = !has_by || sim_script_set(s, w, word[3], &by, error, cap);
    if (ok && !dry)
        judge(w, t, &set, has_by ? &by : NULL);
    if (ok && has_by)
        sim_set_fini(&by);
    sim_set_fini(&set);
    return ok;
}

static bool expect_stale(struct sim_script *s, struct sim_world *w, const char *text, bool dry,
                         char *error, size_t cap)
{
    struct sim_set set;
    if (!sim_script_set(s, w, text, &set, error, cap))
        return false;
    for (size_t i = 0; i < w->n && !dry; i++)
        if (sim_set_has(&set, i) && sim_is_healthy(w, i) && !w->nodes[i].isolated)
            sim_violation(w, "node %zu does not know that it is cut off", i);
    sim_set_fini(&set);
    return true;
}

/* FIELD <|> NUMBER, of the report. A figure that was not measured fulfils nothing. */
static bool expect_figure(struct sim_world *w, char *const *word, bool dry, char *error, size_t cap)
{
    char *end;
    double limit = strtod(word[2], &end), value;
    bool measured, less = strcmp(word[1], "<") == 0;
    if (*end != '\0' || (!less && strcmp(word[1], ">") != 0))
        return fail(error, cap, "expect %s < NUMBER", word[0]);
    if (!sim_report_figure(w, word[0], &value, &measured))
        return fail(error, cap, "the report has no figure '%s'", word[0]);
    if (!dry && (!measured || (less ? value >= limit : value <= limit)))
        sim_violation(w, "%s is %.3f, expected %s %s", word[0], measured ? value : 0.0, word[1],
                      word[2]);
    return true;
}

/* One format for each, for it names the kind of violation. */
static void agree(struct sim_world *w)
{
    char why[160];
    if (!sim_agree(w, why, sizeof why))
        sim_violation(w, "expected agreement: %s", why);
}

static void registries(struct sim_world *w)
{
    char why[160];
    if (!sim_stores_right(w, why, sizeof why))
        sim_violation(w, "expected right registries: %s", why);
}

static void revoked_unknown(struct sim_world *w)
{
    size_t who = sim_knows_revoked(w);
    if (who != SIZE_MAX)
        sim_violation(w, "node %zu still knows somebody who was revoked", who);
}

static void nobody_down(struct sim_world *w)
{
    if (w->measure.n_false_down)
        sim_violation(w, "%llu times somebody was held down wrongly; %s",
                      (unsigned long long)w->measure.n_false_down, w->measure.first_false_down);
}

bool sim_expect(struct sim_script *s, struct sim_world *w, char *const *word, size_t n, bool dry,
                char *error, size_t cap)
{
    static const struct {
        const char *words[3];
        void (*check)(struct sim_world *);
    } checks[] = {{{"agree"}, agree},
                  {{"revoked", "unknown"}, revoked_unknown},
                  {{"registries"}, registries},
                  {{"nobody", "down"}, nobody_down},
                  {{"nobody", "else", "down"}, nobody_down}};
    for (size_t i = 0; i < SL_COUNT(checks); i++) {
        size_t k = 0;
        while (k < 3 && checks[i].words[k] && k < n && strcmp(word[k], checks[i].words[k]) == 0)
            k++;
        if (k != n || (k < 3 && checks[i].words[k]))
            continue;
        if (!dry)
            checks[i].check(w);
        return true;
    }
    for (size_t i = 0; i < SL_COUNT(thoughts) && n; i++)
        if (strcmp(word[0], thoughts[i].name) == 0)
            return expect_thought(s, w, &thoughts[i], word, n, dry, error, cap);
    if (n == 2 && strcmp(word[0], "stale") == 0)
        return expect_stale(s, w, word[1], dry, error, cap);
    if (n == 3)
        return expect_figure(w, word, dry, error, cap);
    return fail(error, cap, "nobody knows how to expect '%s'", n ? word[0] : "nothing");
}
