/* run.h: a whole run, from what was asked for on the command line to figures and violations. */
#ifndef SL_SIM_RUN_H
#define SL_SIM_RUN_H

#include "tests/sim/script.h"

struct sim_options {
    uint64_t nodes; /* 0 = as the scenario says */
    uint64_t seed;
    bool has_seed;        /* else as the scenario says, else 1 */
    const char *scenario; /* a name or a file */
    const char *text;     /* the scenario itself, where it is not in a file */
    const char *sets[SIM_NAMES_MAX];
    size_t n_sets;
    bool verbose, real;
    sl_usec until; /* 0 = as the scenario says */
};

struct sim_run {
    struct sim_script script;
    struct sim_world world;
    struct sim_set begin; /* who starts before time 0 */
    sl_usec until;        /* of the scenario's time */
    double real_s;
    bool progress; /* show on stderr how far it is, once a second */
    bool stands;   /* the flock does, and the scenario's time runs */
    double began_s, shown_s;
};

/* Read the scenario that is asked for, and what it makes of the settings. False and a sentence. */
bool sim_run_read(struct sim_script *s, const struct sim_options *o, struct sim_settings *settings,
                  char *error, size_t cap);
/* Read the scenario, make the world, try every line. False and a sentence. A run is large: it
 * belongs on the heap, zeroed. */
bool sim_run_init(struct sim_run *r, const struct sim_options *o, char *error, size_t cap);
void sim_run_all(struct sim_run *r);
void sim_run_fini(struct sim_run *r); /* also of one that did not come about */

#endif
