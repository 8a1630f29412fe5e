/* bench.c: figures as lines of JSON, medians, clocks. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned missed;

void report(const struct figure *f)
{
    printf("{\"bench\":\"%s\",\"what\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"", f->bench, f->what,
           f->value, f->unit);
    if (f->bound == NO_BOUND) {
        printf(",\"limit\":null,\"ok\":null");
    } else {
        bool ok = f->bound == AT_MOST ? f->value <= f->limit : f->value >= f->limit;
        printf(",\"bound\":\"%s\",\"limit\":%.4g,\"ok\":%s",
               f->bound == AT_MOST ? "<=" : ">=", f->limit, ok ? "true" : "false");
        missed += !ok;
    }
    printf(",\"baseline\":{");
    for (size_t i = 0; i < f->n_baseline; i++)
        printf("%s\"%s\":%.4g", i > 0 ? "," : "", f->baseline[i].name, f->baseline[i].value);
    printf("}}\n");
    fflush(stdout);
}

void not_measured(const char *bench, const char *what, const char *why)
{
    printf("{\"bench\":\"%s\",\"what\":\"%s\",\"value\":null,\"note\":\"not measured: %s\"}\n",
           bench, what, why);
    fflush(stdout);
}

unsigned n_missed(void)
{
    return missed;
}

void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(EXIT_FAILURE);
}

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, compare);
    size_t at = (size_t)(q * (double)n);
    return values[at < n ? at : n - 1];
}

void race(struct contestant *contestants, size_t n)
{
    static double results[CONTESTANTS_MAX][ROUNDS];
    must(n <= CONTESTANTS_MAX, "room for contestants");
    for (size_t i = 0; i < n; i++)
        contestants[i].run(contestants[i].context); /* warm */
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < n; i++)
            results[i][round] = contestants[i].run(contestants[i].context);
    }
    for (size_t i = 0; i < n; i++)
        contestants[i].median = quantile(results[i], ROUNDS, 0.5);
}
