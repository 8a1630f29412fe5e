/* scene.c: a scenario as lines that can be dropped, moved and renumbered. */
#include "tests/sim/scene.h"

#include <ctype.h>
#include <stdlib.h>

#define BEGIN SL_SEC(1)     /* the first fault not before this */
#define PAUSE_MIN SL_MS(20) /* shorter pauses are not worth a run */

void sim_scene_free(struct sim_scene *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->line[i].text);
    free(c->line);
    *c = (struct sim_scene){0};
}

void sim_scene_add(struct sim_scene *c, enum sim_scene_kind kind, sl_usec at, const char *text)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->line = sim_resize(c->line, c->cap * sizeof *c->line);
    }
    /* Lines of one instant stay in the order in which they came. */
    size_t i = c->n++;
    for (; i > 0 && c->line[i - 1].at > at; i--)
        c->line[i] = c->line[i - 1];
    char *copy = strcpy(sim_zero(strlen(text) + 1), text);
    c->line[i] = (struct sim_scene_line){kind, at, copy};
}

void sim_scene_join(struct sim_scene *c, struct sim_scene *from)
{
    for (size_t i = 0; i < from->n; i++)
        sim_scene_add(c, from->line[i].kind, from->line[i].at, from->line[i].text);
    sim_scene_free(from);
}

struct sim_scene sim_scene_copy(const struct sim_scene *c)
{
    struct sim_scene copy = {.nodes = c->nodes, .seed = c->seed, .until = c->until};
    for (size_t i = 0; i < c->n; i++)
        sim_scene_add(&copy, c->line[i].kind, c->line[i].at, c->line[i].text);
    return copy;
}

void sim_scene_drop(struct sim_scene *c, size_t at, size_t n)
{
    size_t kept = at;
    for (size_t i = at; i < c->n; i++) {
        if (i < at + n)
            free(c->line[i].text);
        else
            c->line[kept++] = c->line[i];
    }
    c->n = kept;
}

static bool same_command(const struct sim_scene_line *a, const struct sim_scene_line *b)
{
    size_t n = strcspn(a->text, " ");
    return a->kind == b->kind && n == strcspn(b->text, " ") && memcmp(a->text, b->text, n) == 0;
}

bool sim_scene_drop_like(struct sim_scene *c, size_t line)
{
    struct sim_scene_line like = c->line[line];
    for (size_t i = 0; i < line; i++)
        if (same_command(&c->line[i], &like))
            return false;
    for (size_t i = c->n - 1; i > line; i--)
        if (same_command(&c->line[i], &like))
            sim_scene_drop(c, i, 1);
    sim_scene_drop(c, line, 1);
    return true;
}

/* ---- reading and writing ---- */

static bool begins(const char *text, const char *word)
{
    size_t n = strlen(word);
    return strncmp(text, word, n) == 0 && (text[n] == ' ' || text[n] == '\0');
}

#define SECONDS(t) (long long)((t) / 1000000), (long long)((t) % 1000000)

static void add_line(struct sim_scene *c, const struct sim_line *l)
{
    char *text = sim_line_text(l), *every;
    if (l->finally) {
        sim_scene_add(c, SIM_SCENE_FINALLY, -1, text);
    } else if (begins(text, "let")) {
        sim_scene_add(c, SIM_SCENE_SET, -1, text);
    } else if (l->every) {
        size_t n = strlen(text) + 128;
        every = sim_zero(n);
        snprintf(every, n, "every %lld.%06llds from %lld.%06llds to %lld.%06llds %s",
                 SECONDS(l->every), SECONDS(l->at), SECONDS(l->to), text);
        sim_scene_add(c, SIM_SCENE_EVERY, -1, every);
        free(every);
    } else if (!begins(text, "swarm")) {
        sim_scene_add(c, SIM_SCENE_AT, l->at, text);
    }
    free(text);
}

bool sim_scene_read(struct sim_scene *c, const struct sim_options *o, char *error, size_t cap)
{
    struct sim_settings settings;
    struct sim_script *s = sim_zero(sizeof *s);
    char text[128];
    bool ok = sim_run_read(s, o, &settings, error, cap);
    *c = (struct sim_scene){0};
    for (size_t i = 0; i < s->n_values && ok; i++) {
        if (!sim_script_is_setting(s, i))
            continue;
        snprintf(text, sizeof text, "set %s %s", s->values[i].name, s->values[i].value);
        sim_scene_add(c, SIM_SCENE_SET, -1, text);
    }
    if (ok && s->begin[0]) {
        snprintf(text, sizeof text, "begin %s", s->begin);
        sim_scene_add(c, SIM_SCENE_SET, -1, text);
    }
    for (size_t i = 0; i < s->n_lines && ok; i++)
        add_line(c, &s->lines[i]);
    sim_script_fini(s);
    free(s);
    return ok;
}

char *sim_scene_text(const struct sim_scene *c, const char *about)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        fputs("starling-sim: out of memory\n", stderr);
        exit(2);
    }
    fprintf(f, "%snodes %zu\nseed %llu\n", about, c->nodes, (unsigned long long)c->seed);
    for (size_t i = 0; i < c->n; i++) {
        const struct sim_scene_line *l = &c->line[i];
        if (l->kind == SIM_SCENE_AT)
            fprintf(f, "at %lld.%06llds ", SECONDS(l->at));
        fprintf(f, "%s%s\n", l->kind == SIM_SCENE_FINALLY ? "finally " : "", l->text);
    }
    fprintf(f, "until %lld.%06llds\n", SECONDS(c->until));
    fclose(f);
    return text;
}

/* ---- time ---- */

/* Faults are over, and something is asked. */
static bool is_after(const struct sim_scene_line *l)
{
    return l->kind == SIM_SCENE_AT &&
           (begins(l->text, "calm") || begins(l->text, "expect") || begins(l->text, "measure"));
}

/* The first of the lines at the end that are no faults; n when there are none. */
static size_t first_after(const struct sim_scene *c)
{
    size_t i = c->n;
    while (i > 0 && is_after(&c->line[i - 1]))
        i--;
    return i;
}

void sim_scene_end(struct sim_scene *c, sl_usec at)
{
    size_t n = c->n;
    while (n > 0 && c->line[n - 1].at > at)
        n--;
    sim_scene_drop(c, n, c->n - n);
}

bool sim_scene_keep_last(struct sim_scene *c, sl_usec span)
{
    size_t after = first_after(c);
    sl_usec end = after < c->n ? c->line[after].at : c->n ? c->line[c->n - 1].at : 0;
    sl_usec shift = end - span - BEGIN;
    if (shift <= 0)
        return false;
    size_t dropped = 0;
    for (size_t i = 0; i < c->n;) {
        struct sim_scene_line *l = &c->line[i];
        bool early = l->kind == SIM_SCENE_AT && l->at < end - span;
        if (early)
            sim_scene_drop(c, i, 1);
        else if (l->kind == SIM_SCENE_AT)
            l->at -= shift;
        dropped += early;
        i += !early;
    }
    c->until -= shift;
    return dropped > 0;
}

bool sim_scene_closer(struct sim_scene *c, size_t line, unsigned divisor)
{
    if (line >= c->n || c->line[line].kind != SIM_SCENE_AT || line > first_after(c))
        return false;
    sl_usec before =
        line > 0 && c->line[line - 1].kind == SIM_SCENE_AT ? c->line[line - 1].at : BEGIN;
    sl_usec pause = c->line[line].at - before, shift = pause - pause / divisor;
    if (shift < PAUSE_MIN)
        return false;
    for (size_t i = line; i < c->n; i++)
        c->line[i].at -= shift;
    c->until -= shift;
    return true;
}

/* ---- nodes ---- */

/* A set written in numbers: "3", "0,2-5". */
static bool read_numbers(const char *text, size_t len, size_t n_nodes, struct sim_set *ret)
{
    for (const char *p = text; p < text + len;) {
        char *end;
        if (!isdigit((unsigned char)*p))
            return false;
        size_t low = strtoull(p, &end, 10), high = low;
        if (*end == '-' && isdigit((unsigned char)end[1]))
            high = strtoull(end + 1, &end, 10);
        for (size_t i = low; i <= high && i < n_nodes; i++)
            sim_set_add(ret, i);
        if (end < text + len && *end != ',')
            return false;
        p = end + 1;
    }
    return len > 0;
}

/* Words of a line that are sets: the second, and of some commands the third. */
static size_t n_sets(const char *text)
{
    static const char *const one[] = {"kill",  "off",    "on",      "freeze", "suspend", "thaw",
                                      "leave", "start",  "restart", "roll",   "slow",    "oom",
                                      "clock", "update", "health",  "record", "truth"};
    static const char *const two[] = {"cut", "hold", "loss", "delay", "reset", "lie"};
    for (size_t i = 0; i < SL_COUNT(two); i++)
        if (begins(text, two[i]))
            return 2;
    for (size_t i = 0; i < SL_COUNT(one); i++)
        if (begins(text, one[i]))
            return 1;
    return 0;
}

static void need(const char *text, struct sim_set *needed)
{
    size_t n = n_sets(text);
    for (const char *p = strchr(text, ' '); p && n > 0; p = strchr(p + 1, ' '), n--) {
        struct sim_set set;
        sim_set_init(&set, needed->n);
        if (read_numbers(p + 1, strcspn(p + 1, " "), needed->n, &set) && sim_set_count(&set) == 1)
            sim_set_join(needed, &set);
        sim_set_fini(&set);
    }
}

static struct sim_set needed_by(const struct sim_scene *c)
{
    struct sim_set needed;
    sim_set_init(&needed, c->nodes);
    for (size_t i = 0; i < c->n; i++)
        if (c->line[i].kind == SIM_SCENE_AT)
            need(c->line[i].text, &needed);
    return needed;
}

size_t sim_scene_nodes_needed(const struct sim_scene *c)
{
    struct sim_set needed = needed_by(c);
    size_t n = sim_set_count(&needed);
    sim_set_fini(&needed);
    return n < 2 ? 2 : n;
}

/* The numbers that are kept, under their new names; NULL when none is. */
static char *renumber(const struct sim_set *set, const struct sim_set *kept)
{
    struct sim_set out;
    sim_set_init(&out, set->n);
    for (size_t i = 0, number = 0; i < set->n; i++) {
        if (!sim_set_has(kept, i))
            continue;
        if (sim_set_has(set, i))
            sim_set_add(&out, number);
        number++;
    }
    char *text = sim_set_count(&out) ? sim_set_text(&out) : NULL;
    sim_set_fini(&out);
    return text;
}

/* The line with its nodes renumbered, or NULL when it is about nobody any more. Takes the text. */
static char *rewrite(char *text, const struct sim_set *kept)
{
    char *out = sim_zero(2 * strlen(text) + 16), *save = NULL;
    size_t left = n_sets(text), at = 0;
    bool about_somebody = true;
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct sim_set set;
        char *named = NULL;
        sim_set_init(&set, kept->n);
        bool is_set = at > 0 && left > 0 && read_numbers(word, strlen(word), kept->n, &set);
        left -= at > 0 && left > 0;
        if (is_set)
            named = renumber(&set, kept);
        about_somebody &= !is_set || named != NULL;
        at += (size_t)sprintf(out + at, "%s%s", at ? " " : "", named ? named : word);
        free(named);
        sim_set_fini(&set);
    }
    free(text);
    if (about_somebody)
        return out;
    free(out);
    return NULL;
}

void sim_scene_keep_nodes(struct sim_scene *c, size_t n)
{
    struct sim_set kept = needed_by(c);
    for (size_t i = 0, have = sim_set_count(&kept); i < c->nodes && have < n; i++) {
        have += !sim_set_has(&kept, i);
        sim_set_add(&kept, i);
    }
    for (size_t i = 0; i < c->n;) {
        if (c->line[i].kind == SIM_SCENE_AT)
            c->line[i].text = rewrite(c->line[i].text, &kept);
        if (c->line[i].text)
            i++;
        else
            sim_scene_drop(c, i, 1);
    }
    c->nodes = sim_set_count(&kept);
    sim_set_fini(&kept);
}
