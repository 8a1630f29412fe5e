/* script.c: reading scenarios. A line is words; `$name` in a word is replaced by a value while
 * reading, sets are worked out when they are used. */
#include "tests/sim/script.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>

#ifndef SIM_SCENARIO_DIR
#define SIM_SCENARIO_DIR "tests/sim/scenarios"
#endif
#define FILE_MAX (4 * 1024 * 1024)

static bool fail(char *error, size_t cap, const char *format, ...) SL_PRINTF(3, 4);
static bool fail(char *error, size_t cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, cap, format, args);
    va_end(args);
    return false;
}

/* ---- values ---- */

bool sim_script_value(struct sim_script *s, const char *name, const char *value, bool outside,
                      char *error, size_t cap)
{
    size_t i = 0;
    while (i < s->n_values && strcmp(s->values[i].name, name) != 0)
        i++;
    if (i < s->n_values && s->values[i].outside && !outside)
        return true;
    if (i == SIM_NAMES_MAX || strlen(name) >= sizeof s->values[i].name ||
        strlen(value) >= sizeof s->values[i].value)
        return fail(error, cap, "too many values, or '%s' is too long", name);
    strcpy(s->values[i].name, name);
    strcpy(s->values[i].value, value);
    s->values[i].outside = outside;
    s->n_values += i == s->n_values;
    return true;
}

static const char *value_of(const struct sim_script *s, const char *name, size_t len)
{
    for (size_t i = 0; i < s->n_values; i++)
        if (strlen(s->values[i].name) == len && memcmp(s->values[i].name, name, len) == 0)
            return s->values[i].value;
    return NULL;
}

bool sim_script_is_setting(const struct sim_script *s, size_t value)
{
    const char *name = s->values[value].name;
    bool own = name[0] == '.'; /* declared by `default` */
    for (size_t i = 0; i < s->n_values && !own; i++)
        own = s->values[i].name[0] == '.' && strcmp(s->values[i].name + 1, name) == 0;
    return !own;
}

bool sim_script_settings(struct sim_script *s, struct sim_settings *settings, char *error,
                         size_t cap)
{
    for (size_t i = 0; i < s->n_values; i++)
        if (sim_script_is_setting(s, i) &&
            !sim_settings_set(settings, s->values[i].name, s->values[i].value, error, cap))
            return false;
    return true;
}

/* ---- reading ---- */

/* Replace $name; the result has room for `cap` bytes. */
static bool expand(const struct sim_script *s, const char *in, char *out, size_t cap, char *error,
                   size_t error_cap)
{
    size_t n = 0;
    while (*in && *in != '#') {
        if (*in != '$') {
            if (n + 1 >= cap)
                return fail(error, error_cap, "the line is too long");
            out[n++] = *in++;
            continue;
        }
        size_t len = strspn(++in, "abcdefghijklmnopqrstuvwxyz0123456789_");
        const char *value = value_of(s, in, len);
        if (value == NULL)
            return fail(error, error_cap, "nothing gives $%.*s a value", (int)len, in);
        if (n + strlen(value) + 1 >= cap)
            return fail(error, error_cap, "the line is too long");
        n += (size_t)snprintf(out + n, cap - n, "%s", value);
        in += len;
    }
    out[n] = '\0';
    return true;
}

static bool split(struct sim_line *l, char *error, size_t cap)
{
    char *save = NULL;
    for (char *word = strtok_r(l->text, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
        if (l->n_words == SIM_WORDS_MAX)
            return fail(error, cap, "more than %d words", SIM_WORDS_MAX);
        l->word[l->n_words++] = word;
    }
    return true;
}

static bool keep(struct sim_script *s, struct sim_line *l, size_t skip, char *error, size_t cap)
{
    if (s->n_lines == SIM_LINES_MAX || l->n_words <= skip)
        return fail(error, cap, l->n_words <= skip ? "what should happen then?" : "too many lines");
    if (s->n_lines == s->cap_lines) {
        s->cap_lines = s->cap_lines ? 2 * s->cap_lines : 64;
        s->lines = sim_resize(s->lines, s->cap_lines * sizeof *s->lines);
    }
    memmove(l->word, l->word + skip, (l->n_words - skip) * sizeof *l->word);
    l->n_words -= skip;
    s->lines[s->n_lines++] = *l;
    l->text = NULL; /* the script's now */
    return true;
}

/* `at T ...`, `every D from A to B ...`, `finally ...`: things to do; the rest says what the
 * world is. */
static bool read_line(struct sim_script *s, struct sim_line *l, char *error, size_t cap)
{
    char *const *w = l->word;
    uint64_t count;
    char own[40];
    if (strcmp(w[0], "at") == 0 && l->n_words > 1 && sim_parse_time(w[1], &l->at))
        return keep(s, l, 2, error, cap);
    if (strcmp(w[0], "every") == 0 && l->n_words > 6 && strcmp(w[2], "from") == 0 &&
        strcmp(w[4], "to") == 0 && sim_parse_time(w[1], &l->every) && l->every > 0 &&
        sim_parse_time(w[3], &l->at) && sim_parse_time(w[5], &l->to))
        return keep(s, l, 6, error, cap);
    if (strcmp(w[0], "finally") == 0) {
        l->finally = true;
        return keep(s, l, 1, error, cap);
    }
    if (strcmp(w[0], "let") == 0 && l->n_words == 3)
        return keep(s, l, 0, error, cap);
    if (strcmp(w[0], "nodes") == 0 && l->n_words == 2 &&
        sim_parse_count(w[1], SIM_NODES_MAX, &count)) {
        s->nodes = (size_t)count;
        return true;
    }
    if (strcmp(w[0], "seed") == 0 && l->n_words == 2 && sim_parse_seed(w[1], &s->seed)) {
        s->has_seed = true;
        return true;
    }
    if (strcmp(w[0], "begin") == 0 && l->n_words == 2 && strlen(w[1]) < sizeof s->begin) {
        strcpy(s->begin, w[1]);
        return true;
    }
    if (strcmp(w[0], "until") == 0 && l->n_words == 2 && sim_parse_time(w[1], &s->until)) {
        s->has_until = true;
        return true;
    }
    if (strcmp(w[0], "set") == 0 && l->n_words == 3)
        return sim_script_value(s, w[1], w[2], false, error, cap);
    if (strcmp(w[0], "default") == 0 && l->n_words == 3) {
        snprintf(own, sizeof own, ".%s", w[1]);
        return sim_script_value(s, own, "", false, error, cap) &&
               sim_script_value(s, w[1], w[2], false, error, cap);
    }
    return fail(error, cap, "'%s' here is not understood", w[0]);
}

/* What a line may become when its names are replaced. */
static size_t room_for(const char *line)
{
    size_t n = strlen(line) + 1;
    for (const char *p = line; (p = strchr(p, '$')) != NULL; p++)
        n += SIM_VALUE_MAX;
    return n;
}

bool sim_script_parse(struct sim_script *s, const char *name, char *text, char *error, size_t cap)
{
    unsigned number = 0;
    for (char *at = text, *next; at; at = next) {
        next = strchr(at, '\n');
        if (next)
            *next++ = '\0';
        size_t room = room_for(at);
        struct sim_line l = {.number = ++number, .text = sim_zero(room)};
        char why[200] = "";
        bool ok = true;
        if (strncmp(at, "about ", 6) == 0) {
            free(s->about);
            s->about = strcpy(sim_zero(strlen(at)), at + 6);
        } else {
            ok = expand(s, at, l.text, room, why, sizeof why) && split(&l, why, sizeof why) &&
                 (l.n_words == 0 || read_line(s, &l, why, sizeof why));
        }
        free(l.text);
        if (!ok)
            return fail(error, cap, "%s:%u: %s", name, number, why);
    }
    return true;
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return NULL;
    char *text = sim_zero(FILE_MAX + 1);
    size_t n = fread(text, 1, FILE_MAX, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

/* Scenarios lie where STARLING_SIM_SCENARIOS says, where the build said, or beside the working
 * directory. */
static char *find(struct sim_script *s, const char *name)
{
    const char *const dirs[] = {getenv("STARLING_SIM_SCENARIOS"), SIM_SCENARIO_DIR,
                                "tests/sim/scenarios"};
    s->path = sim_zero(4096);
    snprintf(s->path, 4096, "%s", name);
    if (strchr(name, '/') || strchr(name, '.'))
        return slurp(name);
    char *text = NULL;
    for (size_t i = 0; i < SL_COUNT(dirs) && text == NULL; i++) {
        if (dirs[i] == NULL)
            continue;
        snprintf(s->path, 4096, "%s/%s.scn", dirs[i], name);
        text = slurp(s->path);
    }
    return text;
}

bool sim_script_read(struct sim_script *s, const char *name, char *error, size_t cap)
{
    const char *slash = strrchr(name, '/');
    snprintf(s->name, sizeof s->name, "%s", slash ? slash + 1 : name);
    s->name[strcspn(s->name, ".")] = '\0';
    char *text = find(s, name);
    if (text == NULL)
        return fail(error, cap, "no scenario '%s'; --list names those there are", name);
    bool ok = sim_script_parse(s, s->path, text, error, cap);
    free(text);
    return ok;
}

static int is_scenario(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return dot && strcmp(dot, ".scn") == 0;
}

void sim_script_list(void (*line)(const char *name, const char *about))
{
    const char *dir = getenv("STARLING_SIM_SCENARIOS");
    struct dirent **found;
    int n = -1;
    const char *const dirs[] = {dir, SIM_SCENARIO_DIR, "tests/sim/scenarios"};
    size_t at = 0;
    for (; at < SL_COUNT(dirs) && n < 0; at++)
        n = dirs[at] ? scandir(dirs[at], &found, is_scenario, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        char path[4096], error[256];
        struct sim_script *s = sim_zero(sizeof *s);
        snprintf(path, sizeof path, "%s/%s", dirs[at - 1], found[i]->d_name);
        bool ok = sim_script_read(s, path, error, sizeof error);
        line(s->name, ok ? s->about ? s->about : "" : error);
        sim_script_fini(s);
        free(s);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
}

void sim_script_fini(struct sim_script *s)
{
    for (size_t i = 0; i < s->n_lines; i++)
        free(s->lines[i].text);
    free(s->lines);
    for (size_t i = 0; i < s->n_sets; i++)
        sim_set_fini(&s->sets[i].set);
    free(s->path);
    free(s->about);
    free(s->swarm);
}

/* ---- sets ---- */

static const struct sim_set *set_named(const struct sim_script *s, const char *name)
{
    for (size_t i = 0; i < s->n_sets; i++)
        if (strcmp(s->sets[i].name, name) == 0)
            return &s->sets[i].set;
    return NULL;
}

/* Keep `want` of the set: the first, the last, or any. */
static void reduce(struct sim_world *w, struct sim_set *set, const char *how, size_t want)
{
    size_t n = sim_set_count(set);
    for (size_t i = 0, seen = 0, left = n, need = want < n ? want : n; i < set->n; i++) {
        if (!sim_set_has(set, i))
            continue;
        bool taken;
        if (how[0] == 'f')
            taken = seen < need;
        else if (how[0] == 'l')
            taken = left <= want;
        else /* selection sampling (Knuth, 3.4.2 S) */
            taken = sl_rand_below(&w->fault_rand, left) < need && need-- > 0;
        seen++;
        left--;
        if (!taken)
            sim_set_drop(set, i);
    }
}

static bool amount(const char *text, size_t n, size_t *ret)
{
    uint32_t rate;
    uint64_t count;
    if (strchr(text, '%') && sim_parse_rate(text, &rate)) {
        uint64_t share = ((uint64_t)rate * n + 500000) / 1000000;
        *ret = (size_t)(share ? share : 1);
        return true;
    }
    if (!sim_parse_count(text, SIM_NODES_MAX, &count))
        return false;
    *ret = (size_t)count;
    return true;
}

static bool term(struct sim_script *s, struct sim_world *w, char *text, struct sim_set *set,
                 char *error, size_t cap)
{
    char *save = NULL;
    char *base = strtok_r(text, "!", &save), *colon = base ? strchr(base, ':') : NULL;
    const struct sim_set *named = base ? set_named(s, base) : NULL;
    size_t low, high, want = SIZE_MAX;
    int used = 0;
    if (base == NULL)
        return fail(error, cap, "an empty set");
    if (colon)
        *colon++ = '\0';
    if (named && colon == NULL)
        sim_set_copy(set, named);
    else if (strcmp(base, "all") == 0 ||
             (colon && (strcmp(base, "first") == 0 || strcmp(base, "last") == 0 ||
                        strcmp(base, "any") == 0)))
        sim_set_all(set);
    else if (sscanf(base, "%zu-%zu%n", &low, &high, &used) == 2 && base[used] == '\0' &&
             low <= high)
        for (size_t i = low; i <= high && i < w->n; i++)
            sim_set_add(set, i);
    else if (sscanf(base, "%zu%n", &low, &used) == 1 && base[used] == '\0' && low < w->n)
        sim_set_add(set, low);
    else
        return fail(error, cap, "'%s' is no set of %zu nodes", base, w->n);
    if (colon && !amount(colon, w->n, &want))
        return fail(error, cap, "'%s' is no number of nodes", colon);
    for (char *name; (name = strtok_r(NULL, "!", &save)) != NULL;) {
        const struct sim_set *without = set_named(s, name);
        if (without == NULL)
            return fail(error, cap, "no set is called '%s'", name);
        for (size_t i = 0; i < w->n; i++)
            if (sim_set_has(without, i))
                sim_set_drop(set, i);
    }
    if (colon)
        reduce(w, set, base, want);
    return true;
}

bool sim_script_set(struct sim_script *s, struct sim_world *w, const char *text,
                    struct sim_set *ret, char *error, size_t cap)
{
    char *copy = strcpy(sim_zero(strlen(text) + 1), text), *save = NULL;
    struct sim_set one;
    bool ok = true;
    sim_set_init(ret, w->n);
    sim_set_init(&one, w->n);
    for (char *t = strtok_r(copy, ",", &save); t && ok; t = strtok_r(NULL, ",", &save)) {
        sim_set_clear(&one);
        ok = term(s, w, t, &one, error, cap);
        if (ok)
            sim_set_join(ret, &one);
    }
    free(copy);
    sim_set_fini(&one);
    if (!ok)
        sim_set_fini(ret);
    return ok;
}

/* ---- running ---- */

static bool let(struct sim_script *s, struct sim_world *w, const struct sim_line *l, char *error,
                size_t cap)
{
    size_t i = s->n_sets;
    struct sim_set set;
    if (i == SIM_NAMES_MAX || strlen(l->word[1]) >= sizeof s->sets[i].name ||
        set_named(s, l->word[1]))
        return fail(error, cap, "'%s' is too long, or there already", l->word[1]);
    if (!sim_script_set(s, w, l->word[2], &set, error, cap))
        return false;
    strcpy(s->sets[i].name, l->word[1]);
    s->sets[i].set = set;
    s->n_sets++;
    return true;
}

static bool is_let(const struct sim_line *l)
{
    return strcmp(l->word[0], "let") == 0;
}

bool sim_script_check(struct sim_script *s, struct sim_world *w, char *error, size_t cap)
{
    char why[200];
    for (size_t i = 0; i < s->n_lines; i++) {
        struct sim_line *l = &s->lines[i];
        struct sl_rand before = w->fault_rand; /* a trial draws nothing */
        bool ok = is_let(l) ? let(s, w, l, why, sizeof why)
                            : sim_command(s, w, l->word, l->n_words, true, why, sizeof why);
        if (!is_let(l))
            w->fault_rand = before;
        if (!ok)
            return fail(error, cap, "%s:%u: %s", s->path, l->number, why);
    }
    return true;
}

char *sim_line_text(const struct sim_line *l)
{
    size_t n = 1;
    for (size_t i = 0; i < l->n_words; i++)
        n += strlen(l->word[i]) + 1;
    char *text = sim_zero(n);
    for (size_t i = 0, at = 0; i < l->n_words; i++)
        at += (size_t)sprintf(text + at, "%s%s", i ? " " : "", l->word[i]);
    return text;
}

void sim_script_add(struct sim_script *s, struct sim_world *w, sl_usec at, const char *text)
{
    char why[200];
    struct sim_line l = {.text = strcpy(sim_zero(strlen(text) + 1), text), .at = at - w->zero};
    if (!split(&l, why, sizeof why) || !keep(s, &l, 0, why, sizeof why)) {
        sim_violation(w, "a line of the swarm: %s", why);
        free(l.text);
        return;
    }
    const struct sim_line *kept = &s->lines[s->n_lines - 1];
    sim_say(w, "swarm: at %lld.%06llds %s", (long long)(kept->at / 1000000),
            (long long)(kept->at % 1000000), text);
    if (s->on_drawn)
        s->on_drawn(kept, s->on_drawn_context);
    sim_at_script(w, at, s->n_lines - 1);
}

/* The command may add lines, so that a pointer to this one does not last. */
static void carry_out(struct sim_script *s, struct sim_world *w, size_t line)
{
    char why[200];
    struct sim_line l = s->lines[line];
    if (!sim_command(s, w, l.word, l.n_words, false, why, sizeof why))
        sim_violation(w, "line %u: %s", l.number, why);
}

static void on_event(struct sim_world *w, const struct sim_event *e)
{
    struct sim_script *s = w->script_context;
    if (e->kind == SIM_SCRIPT) {
        carry_out(s, w, e->n);
        const struct sim_line *l = &s->lines[e->n];
        if (l->every && w->now + l->every <= w->zero + l->to)
            sim_at_script(w, w->now + l->every, e->n);
        return;
    }
    struct sim_task *task = e->p;
    sim_task(s, w, task);
    free(task);
}

void sim_later(struct sim_world *w, sl_usec wait, struct sim_task task)
{
    struct sim_task *t = sim_zero(sizeof *t);
    *t = task;
    sim_at(w, sl_after(w->now, wait), SIM_TASK, 0, 0, t);
}

void sim_script_begin(struct sim_script *s, struct sim_world *w)
{
    w->script = on_event;
    w->script_context = s;
}

void sim_script_plan(struct sim_script *s, struct sim_world *w)
{
    for (size_t i = 0; i < s->n_lines; i++)
        if (!is_let(&s->lines[i]) && !s->lines[i].finally)
            sim_at_script(w, w->zero + s->lines[i].at, i);
}

void sim_script_end(struct sim_script *s, struct sim_world *w)
{
    for (size_t i = 0; i < s->n_lines; i++)
        if (s->lines[i].finally)
            carry_out(s, w, i);
}
