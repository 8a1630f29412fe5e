/* measure.h: how fast the flock sees deaths and changes, how soon it agrees, what it sends; and
 * who is right about whom (judge.c). Deaths and changes that are being watched keep one bit per
 * node. */
#ifndef SL_SIM_MEASURE_H
#define SL_SIM_MEASURE_H

#include "gossip/gossip.h"
#include "tests/sim/set.h"

struct sim_world;
struct sim_identity;

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

/* Who can reach whom (parts.c). */
struct sim_parts {
    uint64_t version;
    size_t n;            /* parts */
    size_t *of;          /* each node's, SIZE_MAX = it is not healthy */
    size_t *size;        /* of each part */
    bool opinions;       /* somebody is neither healthy nor gone: counts say nothing */
    uint32_t *strangers; /* identities that are nobody healthy: former ones, the dead, the slow */
    size_t n_strangers;
};

/* What was wrong when agreement was last looked for (judge.c): most often it still is. */
enum sim_doubt_kind { SIM_DOUBT_NONE, SIM_DOUBT_ROOTS, SIM_DOUBT_COUNT, SIM_DOUBT_PAIR };
struct sim_doubt {
    enum sim_doubt_kind kind;
    size_t a, b; /* nodes; of a pair, b is an identity */
};

struct sim_measure {
    size_t n;
    struct sim_hist detect, spread, recover;
    struct sim_hist out, out_healed; /* since somebody was revoked; since those healed who were cut off then */
    struct sim_set cut_off;          /* these */
    sl_usec revoked_at;
    struct sim_set down;         /* observer * n + subject: held down at the moment */
    struct sim_death **deaths;   /* of each node, or NULL */
    struct sim_change **changes; /* of each node, oldest first */
    size_t n_open_changes;
    uint64_t n_deaths, n_missed, n_changes, n_late_changes;
    uint64_t n_false_down, n_conflicts, n_status, n_yields;
    sl_usec copied_at, yielded_at; /* the last time */
    char first_false_down[160];

    uint64_t version;        /* rises when somebody's life or a rule changes */
    struct sim_parts *parts; /* of one version */
    struct sim_doubt doubt;
    sl_usec changed, rules_changed; /* when the world last changed what nodes should think */
    bool quiet_judged;              /* since then */

    bool awaiting, polling; /* agreement */
    sl_usec await_since,
        converged, converged_first; /* how long the last, the first awaited agreement took; -1 = none */
    sl_usec settled; /* how long the start took; -1 = it did not come about */

    struct sim_window rest, load;
    uint64_t n_doubted; /* pairs of healthy nodes of whom one held the other suspect at the end of `rest` */
    uint64_t node_peak; /* most memory that one honest core took */
    uint64_t zero_bytes, zero_messages; /* at time 0 of the scenario */
};

void sim_measure_init(struct sim_measure *m, size_t n);
void sim_measure_fini(struct sim_measure *m);

/* Somebody lives or dies, a rule begins or ends. */
void sim_measure_changed(struct sim_world *w);
void sim_measure_rules_changed(struct sim_world *w);
void sim_measure_death(struct sim_world *w, size_t node);
/* It lives and has no part in the flock any more. */
void sim_measure_out(struct sim_world *w, size_t node);
void sim_measure_back(struct sim_world *w, size_t node);
void sim_measure_change(struct sim_world *w, size_t node, enum sl_kind kind, uint64_t hash);
/* What a core told. */
void sim_measure_status(struct sim_world *w, size_t observer, const struct sim_identity *who,
                        enum sl_status status);
void sim_measure_fact(struct sim_world *w, size_t observer, const struct sim_identity *who,
                      const struct sl_fact *f);

void sim_window_open(struct sim_world *w, struct sim_window *win);
void sim_window_close(struct sim_world *w, struct sim_window *win);
/* Look for agreement from now on, every settings.poll. */
void sim_await(struct sim_world *w);
void sim_poll(struct sim_world *w);

/* ---- parts.c ---- */

/* Its process runs, unhurried, with all the memory it wants. */
bool sim_is_healthy(const struct sim_world *w, size_t node);
/* Drops from the set who cannot have heard of `node` nor be found by it: newcomers all of whose addresses are dead or
 * behind a cut, in the part of the flock that `node` is in and that does not know of them. How many. */
size_t sim_drop_strangers(const struct sim_world *w, size_t node, struct sim_set *set);
/* Nothing of it runs. */
bool sim_is_gone(const struct sim_world *w, size_t node);
/* Both healthy, and nothing wrong between them, for the time of grace; nor between the subject and
 * most others (settings.paths_fine). */
bool sim_is_wrong_to_fell(const struct sim_world *w, size_t observer, size_t subject);
/* As they stand after the world's last change; borrowed until the next one. */
const struct sim_parts *sim_parts_now(struct sim_world *w);
void sim_parts_free(struct sim_parts *p);

/* ---- judge.c ---- */

/* All healthy nodes that can reach each other hold the same facts, hold alive exactly each other,
 * and do not contradict each other about the rest. Otherwise false and a sentence in why[cap]. */
bool sim_agree(struct sim_world *w, char *why, size_t cap);
/* One pair; false when `observer` does not know `subject`. */
bool sim_thinks(const struct sim_world *w, size_t observer, size_t subject, enum sl_status *ret);
/* What registries of services say against what is offered. */
bool sim_stores_right(const struct sim_world *w, char *why, size_t cap);
/* If nothing has changed for long enough, all must agree: a violation otherwise. */
void sim_judge_quiet(struct sim_world *w);

#endif
