/* balance_load.c: open-loop load on ten instances of which one fails or is slow.
 *
 * Requests arrive as a Poisson stream, 2,000 a second, whatever the answers do. An instance has four
 * servers and a queue; a request takes 12 ms in the mean, exponentially distributed, so that all ten
 * are 60 % busy. The clients share the stream; each has a store, a view and a generator of its own
 * and sees its own requests only, as processes do. All in virtual time, an event at a time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/balance.h"

enum {
    N = 10,
    SERVERS = 4,
    CLIENTS_MAX = 10,
    RATE = 2000, /* a second */
    WARM_S = 30,
    MEASURED_S = 120,
    REQUESTS_MAX = RATE * (WARM_S + MEASURED_S) * 11 / 10,
    SEEDS = 3
};
#define MEAN_US 12000.0
#define SLOW_TIMES 20
#define FAIL_US 50

enum fault { NO_FAULT, SLOW, FAILS_FAST };

struct scene {
    enum starling_strategy strategy;
    unsigned n_clients;
    enum fault fault; /* of instance 0 */
};

struct outcome {
    double p50_ms, p99_ms, share_percent; /* share of picks that went to instance 0 */
};

/* A request that is out. */
struct request {
    double ends_us;
    double took_us;
    uint64_t ticket;
    unsigned client;
    bool failed;
};

struct simulation {
    const struct scene *scene;
    struct client {
        struct sl_store *store;
        struct sl_view *view;
        struct sl_rand rand;
    } clients[CLIENTS_MAX];
    struct sl_rand rand;
    double free_at_us[N][SERVERS];
    struct request *out; /* a heap, the one that ends first on top */
    size_t n_out;
    double *took_ms; /* of those that arrived after warming up and did not fail */
    size_t n_took, n_picks, n_first;
};

/* ---- requests that are out, by their ends ---- */

static void swap(struct request *a, struct request *b)
{
    struct request c = *a;
    *a = *b;
    *b = c;
}

static void push(struct simulation *s, struct request r)
{
    size_t i = s->n_out++;
    s->out[i] = r;
    for (; i > 0 && s->out[(i - 1) / 2].ends_us > s->out[i].ends_us; i = (i - 1) / 2)
        swap(&s->out[i], &s->out[(i - 1) / 2]);
}

static struct request pop(struct simulation *s)
{
    struct request top = s->out[0];
    s->out[0] = s->out[--s->n_out];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->n_out; k++) {
            if (s->out[k].ends_us < s->out[least].ends_us)
                least = k;
        }
        if (least == i)
            return top;
        swap(&s->out[i], &s->out[least]);
        i = least;
    }
}

/* ---- time ---- */

static double exponential(struct sl_rand *r, double mean)
{
    return -mean * log((double)((sl_rand_u64(r) >> 11) + 1) / 9007199254740992.0);
}

static uint32_t clock_ms(double us)
{
    return (uint32_t)((uint64_t)(BALANCE_BEGIN / 1000) + (uint64_t)(us / 1000));
}

/* When the instance is done with a request that arrives now: the queue is first come, first served. */
static double serve(struct simulation *s, unsigned instance, double now_us)
{
    unsigned first = 0;
    double *free_at = s->free_at_us[instance];
    for (unsigned i = 1; i < SERVERS; i++)
        first = free_at[i] < free_at[first] ? i : first;
    double mean = s->scene->fault == SLOW && instance == 0 ? MEAN_US * SLOW_TIMES : MEAN_US;
    double starts = free_at[first] > now_us ? free_at[first] : now_us;
    free_at[first] = starts + exponential(&s->rand, mean);
    return free_at[first];
}

static void arrive(struct simulation *s, double now_us)
{
    unsigned at = (unsigned)sl_rand_below(&s->rand, s->scene->n_clients);
    struct client *c = &s->clients[at];
    struct sl_pick how = {.rand = &c->rand, .now_ms = clock_ms(now_us)};
    starling_instance who;
    must(sl_view_pick(c->view, &how, &who) == 0, "picking");
    unsigned instance = number_of(&who);
    bool fails = s->scene->fault == FAILS_FAST && instance == 0;
    struct request r = {.client = at, .ticket = who.ticket, .failed = fails};
    r.ends_us = fails ? now_us + FAIL_US : serve(s, instance, now_us);
    r.took_us = r.ends_us - now_us;
    push(s, r);
    if (now_us < WARM_S * 1e6)
        return;
    s->n_picks++;
    s->n_first += instance == 0;
    if (!fails)
        s->took_ms[s->n_took++] = r.took_us / 1000;
}

static void answer(struct simulation *s)
{
    struct request r = pop(s);
    struct client *c = &s->clients[r.client];
    if (r.ticket != 0)
        (void)sl_view_done(c->view, clock_ms(r.ends_us), r.ticket,
                           r.failed ? STARLING_FAILED : STARLING_OK, (uint32_t)r.took_us);
}

static struct outcome simulate(const struct scene *scene, uint64_t seed)
{
    static struct simulation s;
    s = (struct simulation){.scene = scene};
    s.out = calloc(REQUESTS_MAX, sizeof *s.out);
    s.took_ms = calloc(REQUESTS_MAX, sizeof *s.took_ms);
    must(s.out != NULL && s.took_ms != NULL, "memory");
    sl_rand_seed(&s.rand, seed);
    for (unsigned i = 0; i < scene->n_clients; i++) {
        struct client *c = &s.clients[i];
        must(sl_store_new(&sl_alloc_system, seed * 100 + i, NULL, &c->store) == 0, "a store");
        for (unsigned k = 0; k < N; k++)
            tell(c->store, &(struct told){.number = k, .offers = true, .weight = 100});
        tell_readers(c->store, BALANCE_EPOCH);
        tell_readers(c->store, BALANCE_BEGIN);
        c->view = balance_view(c->store, scene->strategy, 0);
        sl_rand_seed(&c->rand, seed * 1000 + i);
    }
    for (double now = 0; now < (WARM_S + MEASURED_S) * 1e6;
         now += exponential(&s.rand, 1e6 / RATE)) {
        while (s.n_out > 0 && s.out[0].ends_us <= now)
            answer(&s);
        arrive(&s, now);
    }
    struct outcome o = {.p50_ms = quantile(s.took_ms, s.n_took, 0.5),
                        .p99_ms = quantile(s.took_ms, s.n_took, 0.99),
                        .share_percent = 100.0 * (double)s.n_first / (double)s.n_picks};
    for (unsigned i = 0; i < scene->n_clients; i++) {
        sl_view_close(s.clients[i].store, s.clients[i].view);
        sl_store_free(s.clients[i].store);
    }
    free(s.out);
    free(s.took_ms);
    return o;
}

/* The worst of several seeds. */
static struct outcome worst(enum starling_strategy strategy, unsigned n_clients, enum fault fault)
{
    struct scene scene = {strategy, n_clients, fault};
    struct outcome w = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct outcome o = simulate(&scene, seed);
        w.p50_ms = fmax(w.p50_ms, o.p50_ms);
        w.p99_ms = fmax(w.p99_ms, o.p99_ms);
        w.share_percent = fmax(w.share_percent, o.share_percent);
    }
    return w;
}

/* ---- figures ---- */

static const struct balanced {
    const char *name;
    enum starling_strategy strategy;
    bool bound; /* it is promised for this one */
} balanced[] = {{"p2c_ewma", STARLING_P2C_EWMA, true},
                {"least_connections", STARLING_LEAST_CONNECTIONS, false},
                {"round_robin", STARLING_ROUND_ROBIN, false},
                {"weighted_random", STARLING_WEIGHTED_RANDOM, false}};

static void bench_strategy(const struct balanced *b, unsigned n_clients)
{
    char what[160];
    const char *clients = n_clients == 1 ? "1 client" : "10 clients";
    struct outcome well = worst(b->strategy, n_clients, NO_FAULT);
    struct outcome fails = worst(b->strategy, n_clients, FAILS_FAST);
    snprintf(what, sizeof what, "picks of an instance that fails in 50 us, %s, %s", b->name,
             clients);
    report(&(struct figure){.bench = "load",
                            .what = what,
                            .value = fails.share_percent,
                            .unit = "%",
                            .bound = b->bound ? AT_MOST : NO_BOUND,
                            .limit = 5,
                            .baseline =
                                &(struct baseline){"share_when_well_percent", well.share_percent},
                            .n_baseline = 1});
    struct outcome slow = worst(b->strategy, n_clients, SLOW);
    const struct baseline baseline[] = {{"p99_when_well_ms", well.p99_ms},
                                        {"p99_ms", slow.p99_ms},
                                        {"p50_when_well_ms", well.p50_ms},
                                        {"p50_ms", slow.p50_ms},
                                        {"picks_of_the_slow_one_percent", slow.share_percent}};
    snprintf(what, sizeof what, "p99 with one of ten 20 times as slow by p99 without, %s, %s",
             b->name, clients);
    report(&(struct figure){.bench = "load",
                            .what = what,
                            .value = slow.p99_ms / well.p99_ms,
                            .unit = "times",
                            .bound = b->bound ? AT_MOST : NO_BOUND,
                            .limit = 1.5,
                            .baseline = baseline,
                            .n_baseline = 5});
}

void bench_load(void)
{
    for (size_t i = 0; i < sizeof balanced / sizeof balanced[0]; i++) {
        bench_strategy(&balanced[i], 1);
        bench_strategy(&balanced[i], CLIENTS_MAX);
    }
}
