/* test_store_torture.c: readers in many threads while the owner publishes as fast as it can.
 * Meant for the thread sanitizer, and of use without: freed memory is overwritten at once, and all
 * that is said of an instance follows from one number, its generation, so that a reader who looks
 * at freed or half-built rosters reads nonsense and notices. */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/store_help.h"

enum { MEMBERS = 24, ROUNDS = 400, READERS = 3, SERVICES = 3 };

static const char *const names[SERVICES] = {"api", "db", "web"};

static struct sl_store *store;
static pthread_mutex_t views_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool done;
static atomic_uint oldest_generation; /* none older is published any more */
static atomic_ullong n_picks;
static _Atomic uint32_t clock_ms;
enum { STRATEGIES = STARLING_LOCAL_FIRST + 1 };

/* Check's own assertions are for the main thread: they write to one file and jump. */
static const char *_Atomic failure;

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            atomic_store(&failure, #condition);                                                    \
    } while (0)

static void expect_no_failure(void)
{
    const char *text = atomic_load(&failure);
    ck_assert_msg(text == NULL, "not true in some thread: %s", text ? text : "");
}

/* ---- memory that turns to nonsense when freed; any thread --------------------------------- */

static atomic_llong bytes_in_use;

static void *poisoning_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context;
    void *p = NULL;
    if (new_size > 0) {
        p = malloc(new_size);
        if (!p)
            return NULL;
        memset(p, 0xaa, new_size);
        if (ptr)
            memcpy(p, ptr, old_size < new_size ? old_size : new_size);
    }
    if (ptr) {
        memset(ptr, 0xdd, old_size);
        free(ptr);
    }
    atomic_fetch_add(&bytes_in_use, (long long)new_size - (long long)(ptr ? old_size : 0));
    return p;
}

static const struct sl_alloc poisoning = {poisoning_resize, NULL};

/* ---- an instance of a generation ------------------------------------------------------------ */

static unsigned port_of(unsigned generation)
{
    return 1 + generation % 60000;
}

static unsigned weight_of(unsigned generation)
{
    return 1 + generation % 1000;
}

static void feed_generation(unsigned member, unsigned generation)
{
    struct sl_service s[SERVICES];
    char text[16];
    snprintf(text, sizeof text, "%u", generation);
    for (size_t i = 0; i < SERVICES; i++) {
        s[i] = a_service(names[i], port_of(generation));
        s[i].weight = (uint16_t)weight_of(generation);
        set_text(s[i].version, sizeof s[i].version, text);
        add_meta(&s[i], "generation", text);
    }
    ck_assert_int_eq(feed_record(store, member, s, SERVICES), 0);
    ck_assert_int_eq(feed_vitals(store, member, s, SERVICES), 0);
}

static unsigned check_instance(const struct starling_instance *who)
{
    char *end;
    unsigned generation = (unsigned)strtoul(who->version, &end, 10);
    MUST(*end == '\0' && end != who->version);
    MUST(who->port == port_of(generation));
    MUST(who->weight == weight_of(generation));
    MUST(number_of(who) < MEMBERS);
    MUST(strcmp(who->zone, "z1") == 0);
    return generation;
}

/* ---- threads -------------------------------------------------------------------------------- */

static struct sl_view *open_locked(const char *name, uint64_t strategy)
{
    struct sl_view *v = NULL;
    struct sl_view_spec spec = a_spec(name, (enum starling_strategy)(strategy % STRATEGIES));
    spec.load_bound = strategy % STRATEGIES == STARLING_RENDEZVOUS ? 125 : 0;
    pthread_mutex_lock(&views_lock);
    MUST(sl_view_open(store, &spec, SL_SEC(1000), NULL, &v) == 0);
    pthread_mutex_unlock(&views_lock);
    return v;
}

static void close_locked(struct sl_view *v)
{
    pthread_mutex_lock(&views_lock);
    sl_view_close(store, v);
    pthread_mutex_unlock(&views_lock);
}

static void pick_once(struct sl_view *v, struct sl_rand *r)
{
    struct starling_instance who;
    /* Acquire, pairs with the release after the publish that replaced all older ones. */
    unsigned oldest = atomic_load_explicit(&oldest_generation, memory_order_acquire);
    uint32_t now_ms = atomic_fetch_add_explicit(&clock_ms, 7, memory_order_relaxed);
    struct sl_pick how = {.rand = r, .now_ms = now_ms};
    if (sl_view_pick(v, &how, &who) != 0)
        return;
    MUST(check_instance(&who) >= oldest);
    /* Most tickets come back, some twice, some never. */
    for (uint64_t n = who.ticket != 0 ? sl_rand_below(r, 8) : 0; n > 0 && n < 3; n--)
        sl_view_done(v, now_ms + 3, who.ticket, (int)sl_rand_below(r, 6), 1000);
    atomic_fetch_add_explicit(&n_picks, 1, memory_order_relaxed);
}

static void list_once(struct sl_view *v)
{
    struct starling_instance who[MEMBERS];
    char value[16];
    size_t n;
    sl_view_list(v, MEMBERS, who, sizeof *who, &n);
    MUST(n <= MEMBERS);
    for (size_t i = 0; i < n; i++) {
        check_instance(&who[i]);
        MUST(i == 0 || strcmp(who[i - 1].node, who[i].node) < 0);
    }
    if (n == 0)
        return;
    struct sl_id id = an_id(number_of(&who[n - 1]));
    int r = sl_view_meta(v, &id, "generation", sizeof value, value);
    MUST(r == 0 || r == STARLING_ENOENT);
    if (r == 0)
        MUST(strtoul(value, NULL, 10) >= strtoul(who[n - 1].version, NULL, 10));
}

static void members_once(void)
{
    struct starling_member m[MEMBERS];
    size_t n;
    sl_store_members(store, MEMBERS, m, sizeof *m, &n);
    MUST(n <= MEMBERS);
    MUST(sl_store_n_alive(store) <= MEMBERS);
    for (size_t i = 0; i < n; i++) {
        MUST(m[i].n_services <= SERVICES);
        MUST(i == 0 || strcmp(m[i - 1].name, m[i].name) < 0);
    }
}

static void *read_on(void *seed)
{
    struct sl_rand r;
    struct sl_view *views[SERVICES];
    sl_rand_seed(&r, *(unsigned *)seed);
    for (size_t i = 0; i < SERVICES; i++)
        views[i] = open_locked(names[i], sl_rand_u64(&r));
    while (!atomic_load(&done)) {
        for (unsigned i = 0; i < 60; i++)
            pick_once(views[i % SERVICES], &r);
        list_once(views[sl_rand_below(&r, SERVICES)]);
        members_once();
    }
    for (size_t i = 0; i < SERVICES; i++)
        close_locked(views[i]);
    return NULL;
}

static void *open_and_close(void *seed)
{
    struct sl_rand r;
    sl_rand_seed(&r, *(unsigned *)seed);
    while (!atomic_load(&done)) {
        /* Sometimes of a service that nobody offers, so that views come and go for good. */
        uint64_t which = sl_rand_below(&r, SERVICES + 1);
        struct sl_view *v = open_locked(which < SERVICES ? names[which] : "nobody", sl_rand_u64(&r));
        for (int i = 0; i < 10; i++)
            pick_once(v, &r);
        MUST(sl_view_n_fit(v) <= MEMBERS);
        close_locked(v);
    }
    return NULL;
}

/* As node/ does: try, and come back later. */
static void publish_locked(void)
{
    while (pthread_mutex_trylock(&views_lock) != 0)
        sched_yield();
    publish(store);
    pthread_mutex_unlock(&views_lock);
}

static void shake_members(struct sl_rand *r)
{
    for (int i = 0; i < 3; i++) {
        unsigned member = (unsigned)sl_rand_below(r, MEMBERS);
        struct sl_id id = an_id(member);
        uint64_t what = sl_rand_below(r, 8);
        if (what == 0)
            sl_store_forget(store, &id);
        else
            ck_assert_int_eq(feed_member(store, member, (enum starling_status)(what % 4)), 0);
    }
}

/* The owner does so without the lock, while others open views. */
static void look_inside(void)
{
    const char *tenant, *name;
    size_t n;
    for (size_t i = 0; sl_store_service(store, i, &tenant, &name, &n); i++)
        ck_assert_ptr_nonnull(sl_store_instance(store, i, n - 1));
}

/* So that the readers, of whom the scheduler may prefer none, are in the midst of it. */
static void wait_for_picks(unsigned long long n)
{
    while (atomic_load(&n_picks) < n && !atomic_load(&failure))
        sched_yield();
}

static void feed_all(unsigned generation)
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        ck_assert_int_eq(feed_member(store, m, STARLING_ALIVE), 0);
        feed_generation(m, generation);
    }
}

static void feed_some(unsigned generation, struct sl_rand *r)
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (sl_rand_below(r, 4) == 0) {
            ck_assert_int_eq(feed_member(store, m, STARLING_ALIVE), 0);
            feed_generation(m, generation);
        }
    }
}

static void publish_on(void)
{
    struct sl_rand r;
    struct sl_change c;
    sl_rand_seed(&r, 99);
    for (unsigned generation = 2; generation <= ROUNDS && !atomic_load(&failure); generation++) {
        bool all = generation % 8 == 0;
        sl_store_stale(store, generation % 2);
        shake_members(&r);
        if (all)
            feed_all(generation);
        else
            feed_some(generation, &r);
        publish_locked();
        if (all) /* pairs with the acquire in pick_once */
            atomic_store_explicit(&oldest_generation, generation, memory_order_release);
        pthread_mutex_lock(&views_lock);
        while (sl_store_next_change(store, &c))
            ;
        pthread_mutex_unlock(&views_lock);
        look_inside();
        wait_for_picks(atomic_load(&n_picks) + 20);
    }
}

/* What is published and not freed, beyond what is current. */
static uint64_t n_held(void)
{
    struct sl_store_stats stats;
    sl_store_stats(store, &stats);
    return stats.rosters_published - stats.rosters_freed - 1; /* of members */
}

/* As node/ has it; a system without it has readers pay instead. */
static bool barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static sl_barrier *barriers[2];

START_TEST(readers_see_whole_and_current_rosters_and_nothing_is_kept)
{
    pthread_t threads[READERS + 1];
    unsigned seeds[READERS + 1];
    atomic_store(&done, false);
    atomic_store(&n_picks, 0);
    atomic_store(&oldest_generation, 0);
    ck_assert_int_eq(sl_store_new(&poisoning, 1, barriers[_i], &store), 0);
    feed_all(1);
    publish(store);
    for (unsigned i = 0; i <= READERS; i++) {
        seeds[i] = i + 1;
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, i < READERS ? read_on : open_and_close, &seeds[i]),
            0);
    }
    publish_on();
    atomic_store(&done, true);
    for (unsigned i = 0; i <= READERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    expect_no_failure();
    now_of_test += SL_SEC(1);
    publish(store);
    ck_assert_uint_eq(n_held(), 0);
    sl_store_free(store);
    ck_assert_int_eq(atomic_load(&bytes_in_use), 0);
}
END_TEST

/* ---- a reader that is always inside --------------------------------------------------------- */

static atomic_ullong rounds_of_readers;

static void *read_without_pause(void *view)
{
    struct sl_rand r;
    struct starling_instance who[MEMBERS];
    size_t n;
    sl_rand_seed(&r, 5);
    while (!atomic_load(&done)) {
        sl_view_list(view, MEMBERS, who, sizeof *who, &n);
        atomic_fetch_add(&rounds_of_readers, 1);
    }
    return NULL;
}

START_TEST(readers_without_a_pause_do_not_keep_rosters_for_ever)
{
    pthread_t threads[READERS];
    atomic_store(&done, false);
    ck_assert_int_eq(sl_store_new(&poisoning, 1, barriers[_i], &store), 0);
    struct sl_view *v = open_view(store, "web");
    for (unsigned m = 0; m < MEMBERS; m++)
        offer(store, m, "web", 100);
    publish(store);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_without_pause, v), 0);
    for (unsigned round = 0; round < 500; round++) {
        offer(store, round % MEMBERS, "web", 1 + round % 1000);
        publish(store);
    }
    /* However the threads overlap, what was retired goes while they go on reading. */
    struct sl_store_stats before, now;
    sl_store_stats(store, &before);
    do {
        publish(store);
        now_of_test += SL_MS(100); /* the owner comes back later */
        sl_store_stats(store, &now);
        sched_yield();
    } while (now.rosters_freed + 2 < before.rosters_published);
    ck_assert_uint_gt(atomic_load(&rounds_of_readers), 0);
    atomic_store(&done, true);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    sl_store_free(store);
    ck_assert_int_eq(atomic_load(&bytes_in_use), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_torture");
    TCase *t = tcase_create("threads");
    tcase_set_timeout(t, 120);
    int n = 1;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
        barriers[n++] = barrier;
    tcase_add_loop_test(t, readers_see_whole_and_current_rosters_and_nothing_is_kept, 0, n);
    tcase_add_loop_test(t, readers_without_a_pause_do_not_keep_rosters_for_ever, 0, n);
    suite_add_tcase(s, t);
    return run_suite(s);
}
