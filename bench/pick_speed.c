/* pick_speed.c: one thread picks, next to what any such read must pay.
 *
 * The floor is a copy of an instance out of a plain array at a random place: a pick has to fetch and
 * copy one as well. The table behind a rwlock is what a service would write for itself. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pick_parts.h"

enum { PICKS = 300000, LOADS = 2000000 };

const struct subject subjects[] = {
    {"round_robin", STARLING_ROUND_ROBIN, false, false, 20},
    {"weighted_random", STARLING_WEIGHTED_RANDOM, false, false, 30},
    {"p2c_ewma with its ticket", STARLING_P2C_EWMA, true, false, 60},
    {"least_connections with its ticket", STARLING_LEAST_CONNECTIONS, true, false, 0},
    {"rendezvous by a key of 8 bytes", STARLING_RENDEZVOUS, false, true, 0},
};
const size_t n_subjects = sizeof subjects / sizeof subjects[0];

/* What was found must be used, or the compiler leaves the work out. */
static _Atomic uint64_t sink;

static void use(uint64_t sum)
{
    must(sum > 0, "picking");
    atomic_fetch_add_explicit(&sink, sum, memory_order_relaxed);
}

static double time_by_key(starling_view *view, unsigned n)
{
    starling_instance who;
    uint64_t sum = 0, key = 88172645463325252u;
    double begin = cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        draw(&key);
        starling_pick_options how = {.key = &key, .key_len = sizeof key};
        sum += starling_pick_with(view, &how, &who) == 0 ? who.port : 0;
    }
    double ns = (cpu_ns() - begin) / n;
    use(sum);
    return ns;
}

double time_picks(starling_view *view, const struct subject *subject, unsigned n)
{
    starling_instance who;
    uint64_t sum = 0;
    if (subject->by_key)
        return time_by_key(view, n);
    double begin = cpu_ns();
    if (subject->gives_back) {
        for (unsigned i = 0; i < n; i++) {
            sum += starling_pick(view, &who) == 0 ? who.port : 0;
            (void)starling_done(view, &who, STARLING_OK, 1000);
        }
    } else {
        for (unsigned i = 0; i < n; i++)
            sum += starling_pick(view, &who) == 0 ? who.port : 0;
    }
    double ns = (cpu_ns() - begin) / n;
    use(sum);
    return ns;
}

/* ---- baselines ------------------------------------------------------------------------------ */

struct table {
    pthread_rwlock_t lock;
    unsigned n;
    starling_instance all[];
};

struct table *table_new(unsigned n)
{
    struct table *t = calloc(1, sizeof *t + n * sizeof t->all[0]);
    must(t != NULL && pthread_rwlock_init(&t->lock, NULL) == 0, "a table");
    t->n = n;
    for (unsigned i = 0; i < n; i++) {
        starling_instance *who = &t->all[i];
        *who = (starling_instance){.port = 1024 + i, .weight = 100, .zone = "eu-1"};
        snprintf(who->host, sizeof who->host, "10.0.%u.%u", i >> 8, i & 255);
        snprintf(who->node, sizeof who->node, "node-%04u", i);
        snprintf(who->id, sizeof who->id, "%032x", i);
        memcpy(who->version, "1.4.2", 6);
    }
    return t;
}

void table_free(struct table *t)
{
    pthread_rwlock_destroy(&t->lock);
    free(t);
}

double time_table(struct table *t, unsigned n)
{
    starling_instance who;
    uint64_t sum = 0, random = 88172645463325252u;
    double begin = cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        pthread_rwlock_rdlock(&t->lock);
        memcpy(&who, &t->all[(draw(&random) >> 32) * t->n >> 32], sizeof who);
        pthread_rwlock_unlock(&t->lock);
        atomic_signal_fence(memory_order_seq_cst); /* the whole copy is made */
        sum += who.port;
    }
    double ns = (cpu_ns() - begin) / n;
    use(sum);
    return ns;
}

static double time_copy(struct table *t, unsigned n)
{
    static starling_instance who; /* where the compiler cannot see that most of it is not read */
    uint64_t sum = 0, random = 88172645463325252u;
    double begin = cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        memcpy(&who, &t->all[(draw(&random) >> 32) * t->n >> 32], sizeof who);
        atomic_signal_fence(memory_order_seq_cst);
        sum += who.port;
    }
    double ns = (cpu_ns() - begin) / n;
    use(sum);
    return ns;
}

double time_load(unsigned n)
{
    static _Atomic uint64_t shared = 1;
    uint64_t sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < n; i++)
        sum += atomic_load_explicit(&shared, memory_order_acquire);
    double ns = (cpu_ns() - begin) / n;
    use(sum);
    return ns;
}

static double time_add(unsigned n)
{
    static _Atomic uint64_t shared = 1;
    double begin = cpu_ns();
    for (unsigned i = 0; i < n; i++)
        atomic_fetch_add_explicit(&shared, 1, memory_order_relaxed);
    double ns = (cpu_ns() - begin) / n;
    use(shared);
    return ns;
}

/* ---- the race ------------------------------------------------------------------------------- */

struct of_picks {
    starling_view *view;
    const struct subject *subject;
    unsigned n;
};

static double run_picks(void *context)
{
    const struct of_picks *p = context;
    return time_picks(p->view, p->subject, p->n);
}

static double run_table(void *context)
{
    return time_table(context, PICKS);
}

static double run_copy(void *context)
{
    return time_copy(context, PICKS);
}

static double run_load(void *context)
{
    (void)context;
    return time_load(LOADS);
}

static double run_add(void *context)
{
    (void)context;
    return time_add(LOADS);
}

static void bench_size(unsigned n, const struct lookups *lookups)
{
    struct world w;
    struct of_picks picks[sizeof subjects / sizeof subjects[0]];
    struct contestant contestants[CONTESTANTS_MAX];
    struct table *t = table_new(n);
    size_t k = 0;
    world_init(&w, n);
    contestants[k++] = (struct contestant){.run = run_load};
    contestants[k++] = (struct contestant){.run = run_add};
    contestants[k++] = (struct contestant){.run = run_copy, .context = t};
    contestants[k++] = (struct contestant){.run = run_table, .context = t};
    for (size_t i = 0; i < n_subjects; i++) {
        /* A scan by key is longer the more there are. */
        picks[i] = (struct of_picks){.view = world_view(&w, subjects[i].strategy),
                                     .subject = &subjects[i],
                                     .n = subjects[i].by_key ? PICKS / n : PICKS};
        contestants[k++] = (struct contestant){.run = run_picks, .context = &picks[i]};
    }
    race(contestants, k);

    const struct baseline baseline[] = {
        {"atomic_load_ns", contestants[0].median},     {"atomic_add_ns", contestants[1].median},
        {"copy_from_array_ns", contestants[2].median}, {"rwlock_table_ns", contestants[3].median},
        {"redis_get_ns", lookups->redis_us * 1000},    {"etcd_range_ns", lookups->etcd_us * 1000}};
    size_t n_baseline = lookups->etcd_us > 0 ? 6 : lookups->redis_us > 0 ? 5 : 4;
    for (size_t i = 0; i < n_subjects; i++) {
        char what[96];
        snprintf(what, sizeof what, "%s, %u instances", subjects[i].name, n);
        report(&(struct figure){.bench = "pick",
                                .what = what,
                                .value = contestants[4 + i].median,
                                .unit = "ns",
                                .bound = subjects[i].limit_ns > 0 ? AT_MOST : NO_BOUND,
                                .limit = subjects[i].limit_ns,
                                .baseline = baseline,
                                .n_baseline = n_baseline});
        starling_view_close(picks[i].view);
    }
    table_free(t);
    world_fini(&w);
}

void bench_speed(const struct lookups *lookups)
{
    bench_size(10, lookups);
    bench_size(100, lookups);
    bench_size(1000, lookups);
}
