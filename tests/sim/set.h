/* set.h: sets of nodes, one bit each. */
#ifndef SL_SIM_SET_H
#define SL_SIM_SET_H

#include "base/types.h"

struct sim_set {
    uint64_t *bits;
    size_t n; /* nodes it can tell apart */
};

void sim_set_init(struct sim_set *s, size_t n);
void sim_set_fini(struct sim_set *s);
void sim_set_copy(struct sim_set *to, const struct sim_set *from); /* `to` is initialised */
void sim_set_all(struct sim_set *s);
void sim_set_clear(struct sim_set *s);
void sim_set_join(struct sim_set *to, const struct sim_set *from);
/* As a scenario writes it, "0,3-5"; the caller frees. */
char *sim_set_text(const struct sim_set *s);
size_t sim_set_count(const struct sim_set *s);

static inline bool sim_set_has(const struct sim_set *s, size_t i)
{
    return s->bits[i / 64] >> i % 64 & 1;
}

static inline void sim_set_add(struct sim_set *s, size_t i)
{
    s->bits[i / 64] |= (uint64_t)1 << i % 64;
}

static inline void sim_set_drop(struct sim_set *s, size_t i)
{
    s->bits[i / 64] &= ~((uint64_t)1 << i % 64);
}

#endif
