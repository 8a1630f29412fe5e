/* bench.h: what the benchmarks share: figures as lines of JSON, medians, clocks. */
#ifndef SL_BENCH_BENCH_H
#define SL_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One thing that was measured in the same run, by name with its unit: "atomic_load_ns". */
struct baseline {
    const char *name;
    double value;
};

enum bound { NO_BOUND, AT_MOST, AT_LEAST };

struct figure {
    const char *bench; /* the group */
    const char *what;
    double value;
    const char *unit;
    enum bound bound;
    double limit;                    /* ignored with NO_BOUND */
    const struct baseline *baseline; /* n_baseline of them */
    size_t n_baseline;
};

/* Print a figure; a limit that was missed is counted. */
void report(const struct figure *figure);
/* Print that a figure could not be had, and why. */
void not_measured(const char *bench, const char *what, const char *why);
/* How many limits were missed so far. */
unsigned n_missed(void);

/* End the program with a sentence when `ok` is false. */
void must(bool ok, const char *what);

/* Nanoseconds: of this thread on its processor, so that other work on the machine hardly shows; and
 * on the wall. */
double cpu_ns(void);
double wall_ns(void);

double quantile(double *values, size_t n, double q); /* sorts */

/* Things to be compared are measured in turn, several times, so that what else the machine does
 * hits all alike; `run` returns its figure for one round. */
enum { ROUNDS = 9, CONTESTANTS_MAX = 12 };
struct contestant {
    double (*run)(void *context);
    void *context;
    double median; /* set by race() */
};
void race(struct contestant *contestants, size_t n);

/* A cheap generator for whatever the benchmark itself draws. */
static inline uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
