/* reclaim.c: what it costs to read what may be freed, by our epochs, liburcu and Concurrency Kit.
 *
 * The other two take part where this was compiled with them (Makefile.am asks pkg-config): they are no
 * dependency of the library. One thread; a read is: enter, load a pointer, look at what is behind it, leave. A
 * turn of the writer is: exchange the pointer, retire what it pointed to, free what may be freed. */
#include <stdatomic.h>
#include <stdlib.h>

#ifdef BENCH_URCU
#define URCU_INLINE_SMALL_FUNCTIONS
#define _LGPL_SOURCE
#include <urcu-bp.h>
#endif
#ifdef BENCH_CK
#include <ck_epoch.h>
#endif

#include "bench/bench.h"
#include "bench/members.h"
#include "node/barrier.h"
#include "store/epoch.h"

enum { READS = 2000000, TURNS = 2000 };

struct thing {
    struct sl_garbage garbage; /* first */
    uint64_t value;
#ifdef BENCH_URCU
    struct rcu_head head;
#endif
#ifdef BENCH_CK
    ck_epoch_entry_t entry;
#endif
};

static _Atomic(struct thing *) shared;
static volatile uint64_t sink;

static struct thing *a_thing(void)
{
    struct thing *t = calloc(1, sizeof *t);
    must(t != NULL, "memory");
    t->value = 1;
    return t;
}

static double run_load(void *context)
{
    (void)context;
    uint64_t sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < READS; i++)
        sum += atomic_load_explicit(&shared, memory_order_acquire)->value;
    sink = sum;
    return (cpu_ns() - begin) / READS;
}

/* ---- ours ----------------------------------------------------------------------------------- */

static void release(const struct sl_alloc *alloc, struct sl_garbage *g)
{
    (void)alloc;
    free(g);
}

static double run_own_read(void *context)
{
    struct sl_epoch *e = context;
    uint64_t sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < READS; i++) {
        struct sl_reader inside = sl_epoch_enter(e);
        sum += atomic_load_explicit(&shared, memory_order_seq_cst)->value;
        sl_epoch_exit(inside);
    }
    sink = sum;
    return (cpu_ns() - begin) / READS;
}

static double run_own_turn(void *context)
{
    struct sl_epoch *e = context;
    double begin = cpu_ns();
    for (unsigned i = 0; i < TURNS; i++) {
        struct thing *old = atomic_exchange_explicit(&shared, a_thing(), memory_order_seq_cst);
        old->garbage.release = release;
        sl_epoch_retire(e, &old->garbage);
        sl_epoch_poll(e, &sl_alloc_system, SL_NEVER);
    }
    return (cpu_ns() - begin) / TURNS;
}

/* ---- liburcu -------------------------------------------------------------------------------- */

#ifdef BENCH_URCU
static double run_urcu_read(void *context)
{
    (void)context;
    uint64_t sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < READS; i++) {
        urcu_bp_read_lock();
        sum += atomic_load_explicit(&shared, memory_order_consume)->value;
        urcu_bp_read_unlock();
    }
    sink = sum;
    return (cpu_ns() - begin) / READS;
}

/* Through its functions, as a program has it that may not take in code under the LGPL. */
extern void urcu_by_call_enter(void) __asm__("urcu_bp_read_lock");
extern void urcu_by_call_exit(void) __asm__("urcu_bp_read_unlock");

static double run_urcu_calls(void *context)
{
    (void)context;
    uint64_t sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < READS; i++) {
        urcu_by_call_enter();
        sum += atomic_load_explicit(&shared, memory_order_consume)->value;
        urcu_by_call_exit();
    }
    sink = sum;
    return (cpu_ns() - begin) / READS;
}

/* There is no polling in the Debian 12 version: the writer waits. */
static double run_urcu_turn(void *context)
{
    (void)context;
    double begin = cpu_ns();
    for (unsigned i = 0; i < TURNS; i++) {
        struct thing *old = atomic_exchange_explicit(&shared, a_thing(), memory_order_seq_cst);
        urcu_bp_synchronize_rcu();
        free(old);
    }
    return (cpu_ns() - begin) / TURNS;
}
#endif

/* ---- Concurrency Kit ------------------------------------------------------------------------ */

#ifdef BENCH_CK
static ck_epoch_t ck;
static ck_epoch_record_t ck_record;

static double run_ck_read(void *context)
{
    (void)context;
    uint64_t sum = 0;
    double begin = cpu_ns();
    for (unsigned i = 0; i < READS; i++) {
        ck_epoch_section_t section;
        ck_epoch_begin(&ck_record, &section);
        sum += atomic_load_explicit(&shared, memory_order_acquire)->value;
        ck_epoch_end(&ck_record, &section);
    }
    sink = sum;
    return (cpu_ns() - begin) / READS;
}

static void ck_release(ck_epoch_entry_t *entry)
{
    free((char *)entry - offsetof(struct thing, entry));
}

static double run_ck_turn(void *context)
{
    (void)context;
    double begin = cpu_ns();
    for (unsigned i = 0; i < TURNS; i++) {
        struct thing *old = atomic_exchange_explicit(&shared, a_thing(), memory_order_seq_cst);
        ck_epoch_call(&ck_record, &old->entry, ck_release);
        ck_epoch_poll(&ck_record);
    }
    return (cpu_ns() - begin) / TURNS;
}
#endif

/* ---- the race ------------------------------------------------------------------------------- */

static void show(const char *what, const struct contestant *c, double load_ns)
{
    report(&(struct figure){.bench = "reclaim",
                            .what = what,
                            .value = c->median,
                            .unit = "ns",
                            .baseline = &(struct baseline){"atomic_load_ns", load_ns},
                            .n_baseline = 1});
}

int main(void)
{
    static struct sl_epoch with, without;
    atomic_init(&shared, a_thing());
    sl_epoch_init(&with, sl_barrier_of_process());
    sl_epoch_init(&without, NULL);
    struct contestant c[CONTESTANTS_MAX] = {{.run = run_load},
                                            {.run = run_own_read, .context = &with},
                                            {.run = run_own_read, .context = &without},
                                            {.run = run_own_turn, .context = &with},
                                            {.run = run_own_turn, .context = &without}};
    const char *names[CONTESTANTS_MAX] = {"", "a read, own epochs with membarrier(2)",
                                          "a read, own epochs without it",
                                          "a turn of the writer, own epochs with membarrier(2)",
                                          "a turn of the writer, own epochs without it"};
    size_t n = 5;
#ifdef BENCH_URCU
    names[n] = "a read, urcu-bp inlined";
    c[n++] = (struct contestant){.run = run_urcu_read};
    names[n] = "a read, urcu-bp through its functions";
    c[n++] = (struct contestant){.run = run_urcu_calls};
    names[n] = "a turn of the writer, urcu-bp, which waits";
    c[n++] = (struct contestant){.run = run_urcu_turn};
#else
    not_measured("reclaim", "urcu-bp", "liburcu-dev is not installed");
#endif
#ifdef BENCH_CK
    ck_epoch_init(&ck);
    ck_epoch_register(&ck, &ck_record, NULL);
    names[n] = "a read, ck_epoch";
    c[n++] = (struct contestant){.run = run_ck_read};
    names[n] = "a turn of the writer, ck_epoch";
    c[n++] = (struct contestant){.run = run_ck_turn};
#else
    not_measured("reclaim", "ck_epoch", "libck-dev is not installed");
#endif
    race(c, n);
    for (size_t i = 1; i < n; i++)
        show(names[i], &c[i], c[0].median);
    return EXIT_SUCCESS;
}
