/* pick_threads.c: what a second thread costs the first one.
 *
 * Two threads, each on a processor of its own, pick in batches. On a machine that has other work as
 * well they do not always run at once, and alone each is as fast as one: so only such batches count
 * during which the other thread completed one or more. The median batch is taken, by the thread's own
 * time on its processor. The table behind a rwlock shows that the method sees what threads cost. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/pick_parts.h"

enum {
    BATCH = 1000,   /* picks */
    BATCHES = 1500, /* that count, of each thread in a round */
    TRIES = 60000,  /* batches, before a round gives up */
    TURNS = 7,      /* rounds */
    PUBLISH_US = 10000
};

struct work {
    starling_view *view;
    const struct subject *subject;
    struct table *table; /* instead of the view */
};

struct worker {
    const struct work *work;
    struct worker *other; /* NULL: alone */
    pthread_barrier_t *start;
    int cpu;
    unsigned n_counted, n_tried;
    double took[BATCHES];
    _Alignas(64) atomic_uint progress; /* batches completed; read by the other one */
    _Alignas(64) char end[64];
};

static double batch(const struct work *work)
{
    return work->table != NULL ? time_table(work->table, BATCH)
                               : time_picks(work->view, work->subject, BATCH);
}

static unsigned progress_of(struct worker *w)
{
    return w != NULL ? atomic_load_explicit(&w->progress, memory_order_relaxed) : 0;
}

static void *work(void *context)
{
    struct worker *w = context;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(w->cpu, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    pthread_barrier_wait(w->start);
    /* The other one needs company to the end. */
    while (w->n_tried < TRIES &&
           (w->n_counted < BATCHES || (w->other && progress_of(w->other) < TRIES))) {
        unsigned before = progress_of(w->other);
        double ns = batch(w->work);
        bool counts = w->other == NULL || progress_of(w->other) > before;
        if (counts && w->n_counted < BATCHES && w->n_tried > BATCHES / 10)
            w->took[w->n_counted++] = ns;
        w->n_tried++;
        atomic_fetch_add_explicit(&w->progress, w->n_counted < BATCHES ? 1 : TRIES,
                                  memory_order_relaxed);
    }
    return NULL;
}

/* Nanoseconds for one pick, the mean of the threads' medians; 0: they hardly ever ran at once. */
static double run(const struct work *what, const int cpus[2], unsigned n_threads)
{
    static struct worker workers[2];
    pthread_t threads[2];
    pthread_barrier_t start;
    double ns = 0;
    must(pthread_barrier_init(&start, NULL, n_threads) == 0, "a barrier");
    for (unsigned i = 0; i < n_threads; i++) {
        workers[i].work = what;
        workers[i].other = n_threads == 2 ? &workers[1 - i] : NULL;
        workers[i].start = &start;
        workers[i].cpu = cpus[i];
        workers[i].n_counted = workers[i].n_tried = 0;
        atomic_store(&workers[i].progress, 0);
    }
    for (unsigned i = 0; i < n_threads; i++)
        must(pthread_create(&threads[i], NULL, work, &workers[i]) == 0, "a thread");
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    for (unsigned i = 0; i < n_threads; i++) {
        if (workers[i].n_counted < BATCHES)
            return 0;
        ns += quantile(workers[i].took, BATCHES, 0.5) / n_threads;
    }
    return ns;
}

/* How many times the picks of one thread two make, and a pick's nanoseconds with one and two. False:
 * they hardly ever ran at once. */
static bool compare(const struct work *what, const int cpus[2], double ret[3])
{
    double one[TURNS], two[TURNS], times[TURNS];
    size_t n = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        one[n] = run(what, cpus, 1);
        two[n] = run(what, cpus, 2);
        if (two[n] > 0) {
            times[n] = 2 * one[n] / two[n];
            n++;
        }
    }
    if (n < TURNS / 2 + 1)
        return false;
    ret[0] = quantile(times, n, 0.5);
    ret[1] = quantile(one, n, 0.5);
    ret[2] = quantile(two, n, 0.5);
    return true;
}

static void bench_subject(struct world *w, const struct subject *subject, const int cpus[2],
                          double table_times, bool published)
{
    struct work what = {.view = world_view(w, subject->strategy), .subject = subject};
    struct publisher publisher;
    double got[3];
    char name[128];
    snprintf(name, sizeof name, "two threads by one, %s%s", subject->name,
             published ? ", 100 instances published 100 times a second" : ", 100 instances");
    if (published)
        publisher_start(&publisher, w, PUBLISH_US);
    bool good = compare(&what, cpus, got);
    if (published)
        publisher_stop(&publisher);
    starling_view_close(what.view);
    if (!good) {
        not_measured("threads", name, "the machine is too busy to run two threads at once");
        return;
    }
    const struct baseline baseline[] = {
        {"one_thread_ns", got[1]}, {"two_threads_ns", got[2]}, {"rwlock_table_times", table_times}};
    report(&(struct figure){.bench = "threads",
                            .what = name,
                            .value = got[0],
                            .unit = "times",
                            .bound = AT_LEAST,
                            .limit = 1.9,
                            .baseline = baseline,
                            .n_baseline = 3});
}

/* The first two processors that we may run on. */
static bool two_cpus(int cpus[2])
{
    cpu_set_t set;
    int n = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return false;
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++) {
        if (CPU_ISSET(i, &set))
            cpus[n++] = i;
    }
    return n == 2;
}

void bench_threads(void)
{
    struct world w;
    int cpus[2];
    double got[3] = {0};
    if (!two_cpus(cpus)) {
        not_measured("threads", "two threads by one", "there is one processor");
        return;
    }
    struct table *t = table_new(100);
    (void)compare(&(struct work){.table = t}, cpus, got);
    world_init(&w, 100);
    for (size_t i = 0; i < n_subjects; i++) {
        if (subjects[i].limit_ns > 0) {
            bench_subject(&w, &subjects[i], cpus, got[0], false);
            bench_subject(&w, &subjects[i], cpus, got[0], true);
        }
    }
    world_fini(&w);
    table_free(t);
}
