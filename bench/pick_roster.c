/* pick_roster.c: opening by name, rebuilding and publishing, applying a change, memory. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/pick_parts.h"

enum { OPENS = 200000, REBUILDS = 200, N = 1000 };

/* ---- opening -------------------------------------------------------------------------------- */

struct opening {
    struct world *world;
    bool closes;
};

static double run_opening(void *context)
{
    const struct opening *o = context;
    starling_instance who;
    starling_view *view;
    unsigned sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < OPENS; i++) {
        if (starling_view_open(o->world->node, "web", NULL, &view) < 0)
            break;
        sum += starling_pick(view, &who) == 0;
        if (o->closes)
            starling_view_close(view);
    }
    double ns = (cpu_ns() - begin) / OPENS;
    must(sum == OPENS, "opening and picking");
    return ns;
}

static double run_rwlock(void *context)
{
    return time_table(context, OPENS);
}

static double run_load(void *context)
{
    (void)context;
    return time_load(OPENS);
}

static void bench_open(const struct lookups *lookups)
{
    struct world w;
    struct table *t = table_new(100);
    world_init(&w, 100);
    starling_view *kept = world_view(&w, STARLING_P2C_EWMA);
    struct opening both = {&w, true}, open_only = {&w, false};
    struct contestant contestants[] = {{.run = run_opening, .context = &both},
                                       {.run = run_opening, .context = &open_only},
                                       {.run = run_rwlock, .context = t},
                                       {.run = run_load}};
    race(contestants, 4);
    const struct baseline baseline[] = {{"atomic_load_ns", contestants[3].median},
                                        {"rwlock_table_ns", contestants[2].median},
                                        {"redis_get_ns", lookups->redis_us * 1000},
                                        {"etcd_range_ns", lookups->etcd_us * 1000}};
    size_t n_baseline = lookups->etcd_us > 0 ? 4 : lookups->redis_us > 0 ? 3 : 2;
    const char *const what[] = {"open by name, pick, close; the view is open elsewhere",
                                "open by name, pick; the view is open elsewhere"};
    for (size_t i = 0; i < 2; i++)
        report(&(struct figure){.bench = "open",
                                .what = what[i],
                                .value = contestants[i].median,
                                .unit = "ns",
                                .bound = AT_MOST,
                                .limit = 150,
                                .baseline = baseline,
                                .n_baseline = n_baseline});
    starling_view_close(kept);
    world_fini(&w);
    table_free(t);
}

/* ---- rebuilding ----------------------------------------------------------------------------- */

struct rebuilding {
    struct world *world;
    unsigned n_changed; /* of the members, before each publish */
    bool publishing;    /* is what is timed; else the applying */
    unsigned turn;
};

static double run_rebuilding(void *context)
{
    struct rebuilding *r = context;
    double applying = 0, publishing = 0;
    for (unsigned k = 0; k < REBUILDS; k++) {
        double begin = cpu_ns();
        r->turn++;
        for (unsigned i = 0; i < r->n_changed; i++)
            world_say(r->world, (r->turn * 31 + i) % N, STARLING_PASSING, 50 + r->turn % 101);
        double middle = cpu_ns();
        world_publish(r->world);
        applying += middle - begin;
        publishing += cpu_ns() - middle;
    }
    return r->publishing ? publishing / REBUILDS / 1000 : applying / REBUILDS / r->n_changed / 1000;
}

/* Copying as many instances is what a rebuild in one piece would cost at least. */
static double run_copying(void *context)
{
    starling_instance *from = context, *to = from + N;
    double begin = cpu_ns();
    for (unsigned k = 0; k < REBUILDS; k++) {
        for (unsigned i = 0; i < N; i++)
            to[i] = from[i];
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return (cpu_ns() - begin) / REBUILDS / 1000;
}

static void bench_rebuild(void)
{
    struct world w;
    starling_instance *copies = calloc(2 * N, sizeof *copies);
    must(copies != NULL, "memory");
    world_init(&w, N);
    starling_view *view = world_view(&w, STARLING_P2C_EWMA);
    struct rebuilding one = {&w, 1, true, 0}, all = {&w, N, true, 0}, apply = {&w, 1, false, 0};
    struct contestant contestants[] = {{.run = run_rebuilding, .context = &one},
                                       {.run = run_rebuilding, .context = &all},
                                       {.run = run_rebuilding, .context = &apply},
                                       {.run = run_copying, .context = copies}};
    race(contestants, 4);
    const struct baseline baseline[] = {{"copying_1000_instances_us", contestants[3].median}};
    const struct figure figures[] = {
        {"roster", "roster of 1,000 rebuilt and published, one changed", contestants[0].median,
         "us", AT_MOST, 200, baseline, 1},
        {"roster", "roster of 1,000 rebuilt and published, all changed", contestants[1].median,
         "us", NO_BOUND, 0, baseline, 1},
        {"roster", "one change of vitals applied", contestants[2].median, "us", AT_MOST, 5,
         baseline, 1}};
    for (size_t i = 0; i < 3; i++)
        report(&figures[i]);
    starling_view_close(view);
    world_fini(&w);
    free(copies);
}

/* ---- memory --------------------------------------------------------------------------------- */

struct growth {
    double rss, heap; /* bytes */
};

/* Counted page by page: the quick number of statm is off by some hundred kilobytes. */
static double rss_bytes(void)
{
    unsigned long kilobytes = 0;
    char line[128];
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    must(f != NULL, "opening /proc/self/smaps_rollup");
    while (fgets(line, sizeof line, f) != NULL && sscanf(line, "Rss: %lu", &kilobytes) != 1)
        ;
    fclose(f);
    must(kilobytes > 0, "reading /proc/self/smaps_rollup");
    return (double)kilobytes * 1024;
}

/* In a process of its own. */
static void grow(int result_fd)
{
    struct world w;
    world_init(&w, 1); /* what the first of all costs is not theirs */
    starling_view *view = world_view(&w, STARLING_P2C_EWMA);
    starling_instance who;
    world_publish(&w);
    must(starling_pick(view, &who) == 0, "picking");
    double rss = rss_bytes();
    struct mallinfo2 before = mallinfo2();
    world_add(&w, N);
    must(starling_pick(view, &who) == 0, "picking");
    struct mallinfo2 after = mallinfo2();
    struct growth growth = {.rss = rss_bytes() - rss,
                            .heap = (double)(after.uordblks + after.hblkhd) -
                                    (double)(before.uordblks + before.hblkhd)};
    _exit(write(result_fd, &growth, sizeof growth) == sizeof growth ? EXIT_SUCCESS : EXIT_FAILURE);
}

static struct growth grow_in_a_child(void)
{
    int ends[2], status;
    struct growth growth;
    must(pipe(ends) == 0, "a pipe");
    fflush(stdout);
    pid_t child = fork();
    must(child >= 0, "a child");
    if (child == 0)
        grow(ends[1]);
    must(read(ends[0], &growth, sizeof growth) == sizeof growth, "growing");
    must(waitpid(child, &status, 0) == child, "waiting for the child");
    close(ends[0]);
    close(ends[1]);
    return growth;
}

/* Where the heap begins and ends in its pages differs from process to process. */
enum { CHILDREN = 9 };

void bench_memory(void)
{
    double rss[CHILDREN], heap[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        struct growth growth = grow_in_a_child();
        rss[i] = growth.rss;
        heap[i] = growth.heap;
    }
    const struct baseline baseline[] = {
        {"sizeof_starling_instance_bytes", sizeof(starling_instance)}};
    const struct figure figures[] = {
        {"memory", "growth of the process (RSS) for 1,000 instances, for one",
         quantile(rss, CHILDREN, 0.5) / N, "bytes", AT_MOST, 1024, baseline, 1},
        {"memory", "growth of the heap (mallinfo2) for 1,000 instances, for one",
         quantile(heap, CHILDREN, 0.5) / N, "bytes", AT_MOST, 1024, baseline, 1}};
    report(&figures[0]);
    report(&figures[1]);
}

void bench_roster(const struct lookups *lookups)
{
    bench_open(lookups);
    bench_rebuild();
}
