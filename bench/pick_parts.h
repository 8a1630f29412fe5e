/* pick_parts.h: the parts of bench/pick, and what they measure picks with. */
#ifndef SL_BENCH_PICK_PARTS_H
#define SL_BENCH_PICK_PARTS_H

#include "bench/bench.h"
#include "bench/world.h"

/* Median microseconds of a lookup elsewhere, for the baselines of picks; 0 = not measured. */
struct lookups {
    double redis_us, etcd_us;
};
/* Start both servers on loopback, look up, end them; prints its own figures. remote.c */
void bench_remote(struct lookups *ret);

/* One pick, and its ticket given back where the strategy learns from it. */
struct subject {
    const char *name;
    enum starling_strategy strategy;
    bool gives_back, by_key;
    double limit_ns; /* 0: none */
};
extern const struct subject subjects[];
extern const size_t n_subjects;

/* Pick n times; nanoseconds of this thread for one. pick_speed.c */
double time_picks(starling_view *view, const struct subject *subject, unsigned n);
/* Likewise for a table of as many instances behind a rwlock. */
struct table;
struct table *table_new(unsigned n);
void table_free(struct table *t);
double time_table(struct table *t, unsigned n);
/* And for a bare atomic load. */
double time_load(unsigned n);

void bench_speed(const struct lookups *lookups);  /* pick_speed.c */
void bench_threads(void);                         /* pick_threads.c */
void bench_calls(void);                           /* pick_calls.c */
void bench_tail(void);                            /* pick_tail.c */
void bench_roster(const struct lookups *lookups); /* pick_roster.c */
/* Before all others: what these gave back to the heap would hide growth. pick_roster.c */
void bench_memory(void);

#endif
