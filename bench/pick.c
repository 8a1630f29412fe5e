/* pick.c: what a pick costs, next to one bare atomic load, which any lock-free read must pay.
 *
 * Prints a line of JSON for each number of instances and threads: nanoseconds for one pick and for
 * one load in each thread, the median and the least of several runs, taken in turn in one process.
 * The time is the thread's own on the processor, so that other work on the machine hardly shows;
 * for what threads cost each other, two of them must have a processor each. */
#include <pthread.h>
#include <starling.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/store.h"

enum { RUNS = 9, PICKS = 400000, LOADS = 4000000, THREADS_MAX = 2 };

static void *system_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

static const struct sl_alloc heap = {system_resize, NULL};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "pick: %s failed\n", what);
    exit(EXIT_FAILURE);
}

/* Of this thread, on the processor. */
static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A store in which n members offer one service with various weights. */
static struct sl_store *a_store(unsigned n)
{
    struct sl_store *s;
    must(sl_store_new(&heap, 1, NULL, &s) == 0, "store");
    for (unsigned i = 0; i < n; i++) {
        struct sl_store_member m = {.epoch = 1, .addr = {.family = 4, .ip = {127, 0, 0, 1}}};
        struct sl_service service = {.tenant = "default", .name = "web", .version = "1.0"};
        const struct sl_service *list[] = {&service};
        uint8_t bytes[SL_RECORD_SECTIONS_MAX];
        m.id.b[0] = (uint8_t)(i >> 8);
        m.id.b[1] = (uint8_t)i;
        snprintf(m.name, sizeof m.name, "node-%u", i);
        service.port = (uint16_t)(1024 + i);
        service.base_weight = (uint16_t)(1 + i * 37 % 1000);
        size_t len = sl_sections_write_record(list, 1, bytes, sizeof bytes);
        must(sl_store_member(s, &m) == 0, "member");
        must(sl_store_record(s, &m.id, sl_span_of(bytes, len)) == 0, "record");
    }
    must(sl_store_publish(s, 0) == 0, "publish");
    return s;
}

struct work {
    struct sl_view *view; /* NULL: load instead */
    pthread_barrier_t *start;
    unsigned seed;
    double ns;    /* each */
    unsigned sum; /* of what was found, so that the work cannot be left out */
};

static _Atomic(const char *) shared = "";

static void *measure(void *context)
{
    struct work *w = context;
    struct starling_instance who;
    struct sl_rand r;
    const struct sl_pick how = {.rand = &r};
    unsigned sum = 0;
    sl_rand_seed(&r, w->seed);
    pthread_barrier_wait(w->start);
    double begin = now_ns();
    if (w->view) {
        for (unsigned i = 0; i < PICKS; i++)
            sum += sl_view_pick(w->view, &how, &who) == 0 ? who.port : 0;
        w->ns = (now_ns() - begin) / PICKS;
    } else {
        for (unsigned i = 0; i < LOADS; i++)
            sum += *atomic_load_explicit(&shared, memory_order_acquire) == '\0';
        w->ns = (now_ns() - begin) / LOADS;
    }
    w->sum = sum;
    return NULL;
}

/* Nanoseconds for one, on average over the threads. */
static double run(struct sl_view *view, unsigned n_threads)
{
    pthread_t threads[THREADS_MAX];
    struct work work[THREADS_MAX];
    pthread_barrier_t start;
    double ns = 0;
    must(pthread_barrier_init(&start, NULL, n_threads) == 0, "barrier");
    for (unsigned i = 0; i < n_threads; i++) {
        work[i] = (struct work){.view = view, .start = &start, .seed = i + 1};
        must(pthread_create(&threads[i], NULL, measure, &work[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
        must(work[i].sum > 0, "pick");
        ns += work[i].ns / n_threads;
    }
    pthread_barrier_destroy(&start);
    return ns;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench(unsigned n_instances, unsigned n_threads)
{
    double picks[RUNS], loads[RUNS];
    struct sl_view *view;
    struct sl_store *s = a_store(n_instances);
    struct sl_view_spec spec = {
        .tenant = "default", .name = "web", .strategy = STARLING_WEIGHTED_RANDOM};
    must(sl_view_open(s, &spec, 0, NULL, &view) == 0, "view");
    for (int i = 0; i < RUNS; i++) {
        picks[i] = run(view, n_threads);
        loads[i] = run(NULL, n_threads);
    }
    qsort(picks, RUNS, sizeof *picks, compare);
    qsort(loads, RUNS, sizeof *loads, compare);
    printf("{\"bench\":\"pick\",\"instances\":%u,\"threads\":%u,\"pick_ns\":%.1f,"
           "\"pick_ns_min\":%.1f,\"load_ns\":%.2f,\"load_ns_min\":%.2f,\"runs\":%d}\n",
           n_instances, n_threads, picks[RUNS / 2], picks[0], loads[RUNS / 2], loads[0], RUNS);
    fflush(stdout);
    sl_view_close(s, view);
    sl_store_free(s);
}

int main(void)
{
    static const unsigned instances[] = {10, 100, 1000};
    for (size_t i = 0; i < SL_COUNT(instances); i++) {
        for (unsigned n_threads = 1; n_threads <= THREADS_MAX; n_threads++)
            bench(instances[i], n_threads);
    }
    return EXIT_SUCCESS;
}
