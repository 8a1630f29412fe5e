/* always.h: invariants that are looked at while things happen (always.c). */
#ifndef SL_SIM_ALWAYS_H
#define SL_SIM_ALWAYS_H

#include "gossip/gossip.h"

struct sim_world;
struct sim_identity;

struct sim_always {
    size_t every;               /* observers whose versions are watched: 0, every, 2 every ... */
    struct sl_version *version; /* newest version that a watched observer was told of each node */
    uint32_t *identity;         /* of which identity, number + 1 */
    bool told_sizes;
};

void sim_always_init(struct sim_world *w);
void sim_always_fini(struct sim_world *w);
/* What a core told: a fact. */
void sim_always_fact(struct sim_world *w, size_t observer, const struct sim_identity *who,
                     const struct sl_fact *f);
/* Likewise: whose is the signature? */
void sim_always_signed(struct sim_world *w, size_t observer, const struct sim_identity *who,
                       const struct sl_fact *f);
/* It is no longer known; `record` is the last one, or NULL. */
void sim_always_forgotten(struct sim_world *w, size_t observer, struct sim_identity *who,
                          const struct sl_fact *record);
/* A process is about to end, and its core is still there. */
void sim_always_stopping(struct sim_world *w, size_t node);
/* Now and then: memory. */
void sim_always_look(struct sim_world *w);

#endif
