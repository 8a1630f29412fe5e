/* measure.h: how fast the flock sees deaths and changes, how soon it agrees, what it sends; and
 * who is right about whom (judge.c). Deaths and changes that are being watched keep one bit per
 * node. */
#ifndef SL_SIM_MEASURE_H
#define SL_SIM_MEASURE_H

#include "gossip/gossip.h"
#include "tests/sim/set.h"

struct sim_world;

/* Log-linear: exact below 512 us, within 0.2 % above; constant memory, however many samples. */
#define SIM_HIST_FINE 512 /* buckets an octave */
#define SIM_HIST_BUCKETS (SIM_HIST_FINE * 32)
struct sim_hist {
    uint64_t bucket[SIM_HIST_BUCKETS];
    uint64_t n;
    sl_usec max;
};
void sim_hist_add(struct sim_hist *h, sl_usec v);
/* The value that `percent` of the samples do not exceed; 0 of none. */
sl_usec sim_hist_at(const struct sim_hist *h, unsigned percent);

struct sim_death {
    uint32_t identity;
    sl_usec at;
    struct sim_set waiting; /* observers that do not hold it down yet */
    size_t n_waiting;
};

struct sim_change {
    struct sim_change *next; /* the next newer one of this node */
    uint32_t identity;
    enum sl_kind kind;
    uint64_t hash; /* of the sections */
    sl_usec at;
    struct sim_set waiting; /* observers that do not have it yet */
    size_t n_waiting;
};

struct sim_window {
    bool open, done;
    sl_usec since, span;
    uint64_t bytes, messages, changes;
};

struct sim_measure {
    size_t n;
    struct sim_hist detect, spread;
    struct sim_death **deaths;   /* of each node, or NULL */
    struct sim_change **changes; /* of each node, oldest first */
    size_t n_open_changes;
    uint64_t n_deaths, n_missed, n_changes, n_late_changes;
    uint64_t n_false_down, n_conflicts, n_status;
    char first_false_down[160];

    uint64_t version;               /* rises with each change of the world */
    struct sim_parts *parts;        /* judge.c: who can reach whom, of one version */
    sl_usec changed, rules_changed; /* when the world last changed what nodes should think */
    bool quiet_judged;              /* since then */

    bool awaiting, polling; /* agreement */
    sl_usec await_since,
        converged;   /* converged: how long the last awaited agreement took; -1 = none */
    sl_usec settled; /* how long the start took; -1 = it did not come about */

    struct sim_window rest, load;
    uint64_t zero_bytes, zero_messages; /* at time 0 of the scenario */
};

void sim_measure_init(struct sim_measure *m, size_t n);
void sim_measure_fini(struct sim_measure *m);

/* Somebody lives or dies, a rule begins or ends, something is published. */
void sim_measure_changed(struct sim_world *w);
void sim_measure_rules_changed(struct sim_world *w);
void sim_measure_death(struct sim_world *w, size_t node);
void sim_measure_back(struct sim_world *w, size_t node);
void sim_measure_change(struct sim_world *w, size_t node, enum sl_kind kind, uint64_t hash);
/* What a core told. */
void sim_measure_status(struct sim_world *w, size_t observer, const struct sl_id *id,
                        enum sl_status status);
void sim_measure_fact(struct sim_world *w, size_t observer, const struct sl_fact *f);

void sim_window_open(struct sim_world *w, struct sim_window *win);
void sim_window_close(struct sim_world *w, struct sim_window *win);
/* Look for agreement from now on, every settings.poll. */
void sim_await(struct sim_world *w);
void sim_poll(struct sim_world *w);

/* ---- judge.c ---- */

/* Its process runs, unhurried, with all the memory it wants. */
bool sim_is_healthy(const struct sim_world *w, size_t node);
/* Both healthy, and nothing wrong between them, for the time of grace. */
bool sim_is_wrong_to_fell(const struct sim_world *w, size_t observer, size_t subject);
/* All healthy nodes that can reach each other hold the same facts, and hold alive exactly each
 * other. Otherwise false and a sentence in why[cap]. `deep` looks at every pair. */
bool sim_agree(struct sim_world *w, bool deep, char *why, size_t cap);
/* One pair; false and a sentence when `observer` thinks of `subject` what it should not. */
bool sim_thinks(const struct sim_world *w, size_t observer, size_t subject, enum sl_status *ret);
/* What registries of services say against what is offered. */
bool sim_stores_right(const struct sim_world *w, char *why, size_t cap);
/* If nothing has changed for long enough, all must agree: a violation otherwise. */
void sim_judge_quiet(struct sim_world *w);

#endif
