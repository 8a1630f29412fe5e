/* script.h: scenarios as text, one command a line (docs/SIMULATION.md, "Scenarios").
 *   script.c   reading them, names and sets, when what is due
 *   command.c  what each command does
 *   swarm.c    faults drawn from the seed */
#ifndef SL_SIM_SCRIPT_H
#define SL_SIM_SCRIPT_H

#include "tests/sim/world.h"

#define SIM_WORDS_MAX 16
#define SIM_LINES_MAX 20000
#define SIM_NAMES_MAX 64
#define SIM_VALUE_MAX 64

struct sim_line {
    unsigned number; /* in the file; 0 = the swarm drew it */
    char *text;      /* owns the words */
    char *word[SIM_WORDS_MAX + 1];
    size_t n_words;
    sl_usec at;        /* of the scenario's time */
    sl_usec every, to; /* every > 0: again and again until `to` */
    bool finally;      /* when all is over */
};

struct sim_script {
    char name[64];
    char *path;
    char *about;
    struct sim_line *lines;
    size_t n_lines, cap_lines;
    void (*on_drawn)(const struct sim_line *l, void *context); /* a line by the swarm; or NULL */
    void *on_drawn_context;
    uint64_t seed; /* of the scenario, where it has one */
    bool has_seed;
    size_t nodes;   /* 0 = the scenario does not say */
    char begin[64]; /* the set that starts before time 0; "" = all */
    sl_usec until;  /* of the scenario's time */
    bool has_until;
    struct {
        char name[32], value[SIM_VALUE_MAX];
        bool outside; /* from the command line: `set` in the file does not touch it */
    } values[SIM_NAMES_MAX];
    size_t n_values;
    struct {
        char name[32];
        struct sim_set set;
    } sets[SIM_NAMES_MAX];
    size_t n_sets;
    sl_usec swarm_until;
    struct sim_swarm *swarm;
};

/* Something planned for later. */
enum sim_task_kind {
    SIM_TASK_START,
    SIM_TASK_WAKE,
    SIM_TASK_KILL,
    SIM_TASK_LEAVE,
    SIM_TASK_THAW,
    SIM_TASK_SLOW_END,
    SIM_TASK_OOM_END,
    SIM_TASK_CONVERGED,
    SIM_TASK_WINDOW_END,
    SIM_TASK_SWARM
};
struct sim_task {
    enum sim_task_kind kind;
    size_t node;
    unsigned flags;
    struct sim_window *window;
};
void sim_later(struct sim_world *w, sl_usec wait, struct sim_task task);

/* ---- script.c ---- */

/* A value of --set: a setting of the world or a name of the scenario's own. False and a
 * sentence. */
bool sim_script_value(struct sim_script *s, const char *name, const char *value, bool outside,
                      char *error, size_t cap);
/* Read a file (a name is looked for among those that come with the program). False and a
 * sentence. */
bool sim_script_read(struct sim_script *s, const char *name, char *error, size_t cap);
/* Likewise from text, which is changed; `name` is for messages. */
bool sim_script_parse(struct sim_script *s, const char *name, char *text, char *error, size_t cap);
/* A command at a time of this world, as a line of the scenario. */
void sim_script_add(struct sim_script *s, struct sim_world *w, sl_usec at, const char *text);
/* The words of a line; the caller frees. */
char *sim_line_text(const struct sim_line *l);
/* Whether a value is one of the world's settings, and not the scenario's own. */
bool sim_script_is_setting(const struct sim_script *s, size_t value);
/* Values that are settings go into the settings; the others must be used by the scenario. */
bool sim_script_settings(struct sim_script *s, struct sim_settings *settings, char *error,
                         size_t cap);
/* Try every line without doing anything, so that a mistake shows before the run. */
bool sim_script_check(struct sim_script *s, struct sim_world *w, char *error, size_t cap);
/* From now on this script answers for what is planned in this world. */
void sim_script_begin(struct sim_script *s, struct sim_world *w);
/* Plan all lines, counted from the world's time 0. */
void sim_script_plan(struct sim_script *s, struct sim_world *w);
void sim_script_end(struct sim_script *s, struct sim_world *w);
void sim_script_fini(struct sim_script *s);
/* Name and first line of every scenario that comes with the program. */
void sim_script_list(void (*line)(const char *name, const char *about));

/* "all", "3", "2-5", "first:3", "last:10%", "any:1", "NAME"; several with commas; each may end in
 * "!NAME" (but not those). False and a sentence. */
bool sim_script_set(struct sim_script *s, struct sim_world *w, const char *text,
                    struct sim_set *ret, char *error, size_t cap);

/* ---- command.c ---- */

/* False and a sentence when the words make no sense; `dry` does nothing. */
bool sim_command(struct sim_script *s, struct sim_world *w, char *const *word, size_t n, bool dry,
                 char *error, size_t cap);
void sim_task(struct sim_script *s, struct sim_world *w, const struct sim_task *task);
/* No fault any more: heal, thaw, switch on, start whatever is dead. */
void sim_calm(struct sim_world *w);

/* ---- expect.c ---- */
bool sim_expect(struct sim_script *s, struct sim_world *w, char *const *word, size_t n, bool dry,
                char *error, size_t cap);

/* ---- swarm.c ---- */
void sim_swarm_begin(struct sim_script *s, struct sim_world *w, sl_usec until);
void sim_swarm_step(struct sim_script *s, struct sim_world *w);

#endif
