/* pick_tail.c: the slowest of 10^8 picks beside a busy publisher, by the processor's own clock.
 *
 * Next to it the same loop with an empty body: what interrupts and the reading of the clock cost by
 * themselves. They hit what lasts longer more often, so there is also the loop with a body of plain
 * arithmetic that lasts as long as a pick. The three take turns in pieces, so that what else the
 * machine does hits all alike.
 *
 * On a machine that is shared the scheduler takes the processor away for milliseconds, from each of
 * the three as often as it runs; a thread that waited for another would give it up by itself. So a
 * slow sample during which the kernel counted an involuntary switch is set aside, in all three;
 * how many, and the quantile with them, is printed as well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "bench/pick_parts.h"

enum {
    PIECES = 40,
    PICKS = 2500000,   /* a piece */
    PUBLISH_US = 1000, /* beside it */
    SLOW_NS = 5000,    /* a sample that may have been cut */
    LINEAR = 4096,     /* ticks counted one by one; beyond that in steps of 1/64 */
    BUCKETS = LINEAR + 64 * 52
};

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    unsigned cpu;
    return __rdtscp(&cpu);
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

/* How many nanoseconds a tick is. */
static double tick_ns(void)
{
    double begin = wall_ns();
    uint64_t first = ticks();
    while (wall_ns() - begin < 5e7) {
    }
    return (wall_ns() - begin) / (double)(ticks() - first);
}

static unsigned bucket_of(uint64_t t)
{
    if (t < LINEAR)
        return (unsigned)t;
    unsigned power = 63 - (unsigned)__builtin_clzll(t); /* 12 or more */
    return LINEAR + (power - 12) * 64 + (unsigned)(t >> (power - 6) & 63);
}

static double bucket_top(unsigned i)
{
    if (i < LINEAR)
        return i;
    unsigned power = 12 + (i - LINEAR) / 64;
    return (double)((UINT64_C(65) + (i - LINEAR) % 64) << (power - 6));
}

struct histogram {
    uint64_t n[BUCKETS], cut[BUCKETS]; /* samples; those that the scheduler cut */
    uint64_t slow_ticks;               /* from here on it is asked */
    long switches;                     /* as counted last */
};

/* Involuntary ones of this thread so far. */
static long switches(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static void __attribute__((noinline)) record_slow(struct histogram *h, uint64_t t)
{
    long now = switches();
    if (now != h->switches)
        h->cut[bucket_of(t)]++;
    else
        h->n[bucket_of(t)]++;
    h->switches = now;
}

static inline void record(struct histogram *h, uint64_t t)
{
    if (t >= h->slow_ticks)
        record_slow(h, t);
    else
        h->n[bucket_of(t)]++;
}

static uint64_t n_cut(const struct histogram *h)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        n += h->cut[i];
    return n;
}

static double of_histogram(const struct histogram *h, double q, bool with_cut)
{
    uint64_t all = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        all += h->n[i] + (with_cut ? h->cut[i] : 0);
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += h->n[i] + (with_cut ? h->cut[i] : 0);
        if ((double)seen >= q * (double)all)
            return bucket_top(i);
    }
    return 0;
}

static inline void spin(unsigned n)
{
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < n; i++) {
        draw(&x);
        __asm__ volatile("" : "+r"(x));
    }
}

/* A piece of each loop. One function for each: the body must not cost a call. */
static void empty_piece(struct histogram *h)
{
    h->switches = switches();
    for (unsigned i = 0; i < PICKS; i++) {
        uint64_t begin = ticks();
        record(h, ticks() - begin);
    }
}

static void spin_piece(struct histogram *h, unsigned n)
{
    h->switches = switches();
    for (unsigned i = 0; i < PICKS; i++) {
        uint64_t begin = ticks();
        spin(n);
        record(h, ticks() - begin);
    }
}

static void pick_piece(struct histogram *h, starling_view *view, bool gives_back)
{
    starling_instance who;
    h->switches = switches();
    for (unsigned i = 0; i < PICKS; i++) {
        uint64_t begin = ticks();
        if (starling_pick(view, &who) == 0 && gives_back)
            (void)starling_done(view, &who, STARLING_OK, 1000);
        record(h, ticks() - begin);
    }
}

/* So many rounds of arithmetic as last `wanted` nanoseconds. */
static unsigned calibrate(double wanted)
{
    enum { TRIAL = 5000000 };
    double begin = cpu_ns();
    spin(TRIAL);
    return (unsigned)(wanted * TRIAL / (cpu_ns() - begin) + 0.5);
}

static void clear(struct histogram *h, double ns)
{
    memset(h, 0, sizeof *h);
    h->slow_ticks = (uint64_t)(SLOW_NS / ns);
}

static void bench_subject(struct world *w, const struct subject *subject, double ns)
{
    static struct histogram empty, spun, picked;
    starling_view *view = world_view(w, subject->strategy);
    struct publisher publisher;
    unsigned n = calibrate(time_picks(view, subject, PICKS));
    clear(&empty, ns);
    clear(&spun, ns);
    clear(&picked, ns);
    publisher_start(&publisher, w, PUBLISH_US);
    for (unsigned i = 0; i < PIECES; i++) {
        empty_piece(&empty);
        spin_piece(&spun, n);
        pick_piece(&picked, view, subject->gives_back);
    }
    publisher_stop(&publisher);

    const struct baseline baseline[] = {
        {"empty_body_p99.999_ns", of_histogram(&empty, 0.99999, false) * ns},
        {"as_long_a_body_p99.999_ns", of_histogram(&spun, 0.99999, false) * ns},
        {"empty_body_p50_ns", of_histogram(&empty, 0.5, false) * ns},
        {"as_long_a_body_p50_ns", of_histogram(&spun, 0.5, false) * ns},
        {"pick_p50_ns", of_histogram(&picked, 0.5, false) * ns},
        {"pick_p99.9_ns", of_histogram(&picked, 0.999, false) * ns},
        {"pick_p99.999_cut_ones_too_ns", of_histogram(&picked, 0.99999, true) * ns},
        {"as_long_a_body_p99.999_cut_ones_too_ns", of_histogram(&spun, 0.99999, true) * ns},
        {"empty_bodies_cut", (double)n_cut(&empty)},
        {"as_long_bodies_cut", (double)n_cut(&spun)},
        {"picks_cut", (double)n_cut(&picked)},
        {"rosters_published", publisher.published}};
    for (unsigned i = 0; i < 2; i++) {
        char what[128];
        snprintf(what, sizeof what,
                 "p99.999 of 10^8 beside a publisher, limit twice that of %s, %s",
                 i == 0 ? "an empty body" : "a body as long", subject->name);
        report(&(struct figure){.bench = "tail",
                                .what = what,
                                .value = of_histogram(&picked, 0.99999, false) * ns,
                                .unit = "ns",
                                .bound = AT_MOST,
                                .limit = 2 * baseline[i].value,
                                .baseline = baseline,
                                .n_baseline = sizeof baseline / sizeof baseline[0]});
    }
    starling_view_close(view);
}

void bench_tail(void)
{
    struct world w;
    double ns = tick_ns();
    world_init(&w, 100);
    for (size_t i = 0; i < n_subjects; i++) {
        if (subjects[i].limit_ns > 0)
            bench_subject(&w, &subjects[i], ns);
    }
    world_fini(&w);
}
