/* pick_threads.c: what a second thread costs the first one.
 *
 * Each thread's time is its own on a processor: with two processors and more to do than that, time on
 * the wall would tell of the machine. What threads do to each other's cache lines shows all the
 * same, as long as they run at once: both start from a barrier, and the median of the rounds counts. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/pick_parts.h"

enum { PICKS = 1000000, THREADS = 2, PUBLISH_US = 10000 };

struct work {
    starling_view *view;
    const struct subject *subject;
    struct table *table; /* instead of the view */
    unsigned n_threads;
};

struct worker {
    const struct work *work;
    pthread_barrier_t *start;
    double ns;
};

static void *work(void *context)
{
    struct worker *w = context;
    pthread_barrier_wait(w->start);
    w->ns = w->work->table != NULL ? time_table(w->work->table, PICKS)
                                   : time_picks(w->work->view, w->work->subject, PICKS);
    return NULL;
}

/* Nanoseconds for one, on average over the threads. */
static double run_work(void *context)
{
    const struct work *what = context;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    pthread_barrier_t start;
    double ns = 0;
    must(pthread_barrier_init(&start, NULL, what->n_threads) == 0, "a barrier");
    for (unsigned i = 0; i < what->n_threads; i++) {
        workers[i] = (struct worker){.work = what, .start = &start};
        must(pthread_create(&threads[i], NULL, work, &workers[i]) == 0, "a thread");
    }
    for (unsigned i = 0; i < what->n_threads; i++) {
        pthread_join(threads[i], NULL);
        ns += workers[i].ns / what->n_threads;
    }
    pthread_barrier_destroy(&start);
    return ns;
}

static void bench_subject(struct world *w, struct table *t, const struct subject *subject,
                          bool published)
{
    starling_view *view = world_view(w, subject->strategy);
    struct work works[] = {{.view = view, .subject = subject, .n_threads = 1},
                           {.view = view, .subject = subject, .n_threads = 2},
                           {.table = t, .n_threads = 1},
                           {.table = t, .n_threads = 2}};
    struct contestant contestants[4];
    struct publisher publisher;
    for (size_t i = 0; i < 4; i++)
        contestants[i] = (struct contestant){.run = run_work, .context = &works[i]};
    if (published)
        publisher_start(&publisher, w, PUBLISH_US);
    race(contestants, 4);
    if (published)
        publisher_stop(&publisher);

    const struct baseline baseline[] = {
        {"one_thread_ns", contestants[0].median},
        {"two_threads_ns", contestants[1].median},
        {"rwlock_table_times", THREADS * contestants[2].median / contestants[3].median}};
    char what[128];
    snprintf(what, sizeof what, "two threads by one, %s%s", subject->name,
             published ? ", 100 instances published 100 times a second" : ", 100 instances");
    report(&(struct figure){.bench = "threads",
                            .what = what,
                            .value = THREADS * contestants[0].median / contestants[1].median,
                            .unit = "times",
                            .bound = AT_LEAST,
                            .limit = 1.9,
                            .baseline = baseline,
                            .n_baseline = 3});
    starling_view_close(view);
}

void bench_threads(void)
{
    struct world w;
    if (sysconf(_SC_NPROCESSORS_ONLN) < THREADS) {
        not_measured("threads", "two threads by one", "this machine has one processor");
        return;
    }
    struct table *t = table_new(100);
    world_init(&w, 100);
    for (size_t i = 0; i < n_subjects; i++) {
        if (subjects[i].limit_ns > 0) {
            bench_subject(&w, t, &subjects[i], false);
            bench_subject(&w, t, &subjects[i], true);
        }
    }
    world_fini(&w);
    table_free(t);
}
