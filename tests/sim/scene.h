/* scene.h: a scenario as lines that can be dropped, moved and renumbered, for shrink.c. */
#ifndef SL_SIM_SCENE_H
#define SL_SIM_SCENE_H

#include "tests/sim/run.h"

enum sim_scene_kind { SIM_SCENE_SET, SIM_SCENE_AT, SIM_SCENE_EVERY, SIM_SCENE_FINALLY };

struct sim_scene_line {
    enum sim_scene_kind kind;
    sl_usec at; /* of SIM_SCENE_AT */
    char *text; /* owned; all of the line but `at T` and `finally` */
};

struct sim_scene {
    struct sim_scene_line *line; /* in order of time, the others in front */
    size_t n, cap;
    size_t nodes;
    uint64_t seed;
    sl_usec until;
};

/* The lines of a scenario as it was asked for, without those that let the swarm loose. */
bool sim_scene_read(struct sim_scene *c, const struct sim_options *o, char *error, size_t cap);
void sim_scene_free(struct sim_scene *c);
struct sim_scene sim_scene_copy(const struct sim_scene *c);
/* The caller frees. `about` goes in front. */
char *sim_scene_text(const struct sim_scene *c, const char *about);

void sim_scene_add(struct sim_scene *c, enum sim_scene_kind kind, sl_usec at, const char *text);
/* Moves all lines of `from` over. */
void sim_scene_join(struct sim_scene *c, struct sim_scene *from);
void sim_scene_drop(struct sim_scene *c, size_t at, size_t n);
/* This line and all of the same command. False when an earlier line is of that command. */
bool sim_scene_drop_like(struct sim_scene *c, size_t line);
/* Nothing happens behind this moment. */
void sim_scene_end(struct sim_scene *c, sl_usec at);
/* Only faults of the last `span` before calm, or before the end; what is kept moves to the
 * beginning. False when that is all of them. */
bool sim_scene_keep_last(struct sim_scene *c, sl_usec span);
/* The pause in front of this line becomes so much shorter. False when there is none to speak of:
 * what is asked when faults are over keeps its distance to calm. */
bool sim_scene_closer(struct sim_scene *c, size_t line, unsigned divisor);
/* Nodes that a line names alone. */
size_t sim_scene_nodes_needed(const struct sim_scene *c);
/* So many of the nodes, those needed among them, under new numbers. */
void sim_scene_keep_nodes(struct sim_scene *c, size_t n);

#endif
