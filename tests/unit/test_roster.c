/* test_roster.c: when two versions of an instance differ, and when a roster may be freed. */
#include "store/roster.h"

#include <pthread.h>

#include "tests/unit/roster_help.h"

static struct memory memory;

START_TEST(a_difference_is_loud_unless_it_is_status_or_note)
{
    memory_init(&memory);
    struct sl_store_member m = a_member(1, STARLING_ALIVE);
    struct sl_service s = a_service("web", 80);
    struct sl_offer *a = an_offer(&memory.alloc, &m, &s);
#define DIFFERS(difference, ...)                                                                   \
    do {                                                                                           \
        m = a_member(1, STARLING_ALIVE);                                                           \
        s = a_service("web", 80);                                                                  \
        __VA_ARGS__;                                                                               \
        struct sl_offer *b = an_offer(&memory.alloc, &m, &s);                                      \
        ck_assert_msg(sl_offer_compare(a, b) == (difference), "%s", #__VA_ARGS__);                 \
        sl_offer_unref(&memory.alloc, b);                                                          \
    } while (0)
    DIFFERS(SL_SAME, m.epoch = 9);
    DIFFERS(SL_QUIET, m.status = STARLING_SUSPECT);
    DIFFERS(SL_QUIET, s.note[0] = 'x');
    DIFFERS(SL_LOUD, s.health = STARLING_WARNING);
    DIFFERS(SL_LOUD, s.weight = 1);
    DIFFERS(SL_LOUD, s.port = 81);
    DIFFERS(SL_LOUD, set_text(s.host, sizeof s.host, "10.9.9.9"));
    DIFFERS(SL_LOUD, m.addr.ip[3] = 77);
    DIFFERS(SL_LOUD, m.zone[0] = 'y');
    DIFFERS(SL_LOUD, s.version[0] = '2');
    DIFFERS(SL_LOUD, add_meta(&s, "k", "v"));
#undef DIFFERS
    sl_offer_unref(&memory.alloc, a);
    ck_assert_uint_eq(memory.bytes, 0);
}
END_TEST

/* ---- epochs --------------------------------------------------------------------------------- */

static unsigned n_barriers;
static bool works;

static bool barrier(void)
{
    n_barriers++;
    return works;
}

/* Each test with and without. One thread needs none. */
static sl_barrier *const barriers[] = {NULL, barrier};

static void setup(void)
{
    n_barriers = 0;
    works = true;
}

struct thing {
    struct sl_garbage garbage;
    bool freed;
};

static void free_thing(const struct sl_alloc *alloc, struct sl_garbage *g)
{
    (void)alloc;
    ((struct thing *)(void *)g)->freed = true;
}

static sl_usec now_of_epoch;

static size_t poll_later(struct sl_epoch *e)
{
    return sl_epoch_poll(e, NULL, now_of_epoch += SL_EPOCH_EVERY);
}

#define A_THING                                                                                    \
    {                                                                                              \
        .garbage = {.release = free_thing }                                                        \
    }

START_TEST(what_nobody_reads_is_freed_at_once)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e, barriers[_i]);
    sl_epoch_retire(&e, &t.garbage);
    ck_assert_uint_eq(poll_later(&e), 1);
    ck_assert(t.freed);
}
END_TEST

START_TEST(what_a_reader_may_hold_stays_until_it_is_out)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader reader = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(poll_later(&e), 0);
    sl_epoch_exit(reader);
    ck_assert_uint_eq(poll_later(&e), 1);
    ck_assert(t.freed);
}
END_TEST

START_TEST(readers_that_come_later_do_not_delay_what_was_retired_before)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader early = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    ck_assert_uint_eq(poll_later(&e), 0);
    struct sl_reader late = sl_epoch_enter(&e);
    sl_epoch_exit(early);
    ck_assert_uint_eq(poll_later(&e), 1);
    sl_epoch_exit(late);
}
END_TEST

START_TEST(what_is_retired_while_a_batch_waits_asks_every_reader_anew)
{
    static struct sl_epoch e;
    struct thing first = A_THING, second = A_THING;
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader early = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &first.garbage);
    poll_later(&e);
    struct sl_reader late = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &second.garbage);
    sl_epoch_exit(early);
    poll_later(&e);
    ck_assert(first.freed);
    ck_assert(!second.freed);
    sl_epoch_exit(late);
    poll_later(&e);
    ck_assert(second.freed);
}
END_TEST

/* A reader that has read the phase and sleeps before it counts itself in. */
static struct sl_reader wake_late(struct sl_epoch *e, uint32_t phase)
{
    _Atomic uint32_t *readers = &e->slots[3].readers[phase];
    atomic_fetch_add(readers, 1);
    return (struct sl_reader){.readers = readers, .slot = 3};
}

START_TEST(a_reader_that_slept_through_turns_is_seen_by_every_later_batch)
{
    for (int n_turns = 0; n_turns < 4; n_turns++) {
        for (int n_polls = 0; n_polls < 3; n_polls++) {
            static struct sl_epoch e;
            struct thing before[4] = {A_THING, A_THING, A_THING, A_THING};
            struct thing held = A_THING, after = A_THING;
            sl_epoch_init(&e, barriers[_i]);
            uint32_t phase = atomic_load(&e.phase); /* the sleeper's */
            for (int i = 0; i < n_turns; i++) {
                sl_epoch_retire(&e, &before[i].garbage);
                poll_later(&e);
            }
            struct sl_reader sleeper = wake_late(&e, phase); /* and loads what is current: `held` */
            sl_epoch_retire(&e, &held.garbage);
            for (int i = 0; i < n_polls; i++)
                poll_later(&e);
            sl_epoch_retire(&e, &after.garbage);
            poll_later(&e);
            ck_assert_msg(!held.freed, "%d turns, %d polls", n_turns, n_polls);
            sl_epoch_exit(sleeper);
            poll_later(&e);
            ck_assert(held.freed && after.freed);
        }
    }
}
END_TEST

START_TEST(readers_that_overlap_without_end_do_not_keep_anything_for_ever)
{
    static struct sl_epoch e;
    static struct thing things[100];
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader reader = sl_epoch_enter(&e);
    for (int i = 0; i < 100; i++) {
        things[i] = (struct thing)A_THING;
        sl_epoch_retire(&e, &things[i].garbage);
        poll_later(&e);
        struct sl_reader next = sl_epoch_enter(&e); /* somebody is always inside */
        sl_epoch_exit(reader);
        reader = next;
        ck_assert_msg(i < 4 || things[i - 4].freed, "round %d: kept for four rounds", i);
    }
    sl_epoch_exit(reader);
}
END_TEST

START_TEST(reading_nests)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader outer = sl_epoch_enter(&e);
    struct sl_reader inner = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    sl_epoch_exit(inner);
    poll_later(&e);
    ck_assert(!t.freed);
    sl_epoch_exit(outer);
    poll_later(&e);
    ck_assert(t.freed);
}
END_TEST

START_TEST(barriers_are_few_however_much_is_retired)
{
    enum { N = 1000 };
    static struct sl_epoch e;
    static struct thing things[N];
    size_t n_freed = 0, most = 0;
    sl_epoch_init(&e, barrier);
    for (unsigned i = 0; i < N; i++) { /* within one moment */
        things[i] = (struct thing)A_THING;
        sl_epoch_retire(&e, &things[i].garbage);
        n_freed += sl_epoch_poll(&e, NULL, now_of_epoch);
        most = i + 1 - n_freed > most ? i + 1 - n_freed : most;
    }
    ck_assert_uint_le(n_barriers, 1 + N / SL_EPOCH_FRESH_MAX);
    ck_assert_uint_le(most, SL_EPOCH_FRESH_MAX);
    ck_assert_int_le(e.again_at, now_of_epoch + SL_EPOCH_EVERY);
    now_of_epoch = e.again_at;
    ck_assert_uint_eq(n_freed + sl_epoch_poll(&e, NULL, now_of_epoch), N);
    ck_assert_int_eq(e.again_at, SL_NEVER);
}
END_TEST

/* Asked ever more seldom: it may have died inside. */
START_TEST(a_reader_that_stays_inside_is_asked_once_a_second_in_the_end)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    unsigned n_asked = 0;
    sl_usec begin = now_of_epoch;
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader reader = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    for (sl_epoch_poll(&e, NULL, now_of_epoch); e.again_at < begin + SL_SEC(60); n_asked++) {
        now_of_epoch = e.again_at;
        ck_assert_uint_eq(sl_epoch_poll(&e, NULL, now_of_epoch), 0);
    }
    ck_assert_uint_lt(n_asked, 70);
    sl_epoch_exit(reader);
    ck_assert_uint_eq(sl_epoch_poll(&e, NULL, e.again_at), 1);
}
END_TEST

START_TEST(nothing_is_freed_while_the_barrier_fails)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e, barrier);
    works = false;
    sl_epoch_retire(&e, &t.garbage);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(poll_later(&e), 0);
    works = true;
    ck_assert_uint_eq(poll_later(&e), 1);
    ck_assert(t.freed);
    ck_assert_uint_eq(poll_later(&e), 0);
    ck_assert_uint_eq(n_barriers, 11); /* a batch costs one, nothing to free costs none */
}
END_TEST

struct many {
    struct sl_epoch *e;
    pthread_barrier_t *all_in;
    uint32_t slot;
};

static void *read_together(void *context)
{
    struct many *m = context;
    struct sl_reader r = sl_epoch_enter(m->e);
    m->slot = r.slot;
    pthread_barrier_wait(m->all_in); /* the others have a slot too */
    pthread_barrier_wait(m->all_in); /* the owner has looked */
    sl_epoch_exit(r);
    return NULL;
}

/* Returns how many slots were in use. */
static unsigned read_in_threads(struct sl_epoch *e, unsigned n)
{
    static struct many many[200];
    static pthread_t threads[200];
    struct thing t = A_THING;
    pthread_barrier_t all_in;
    uint64_t used = 0;
    pthread_barrier_init(&all_in, NULL, n + 1);
    for (unsigned i = 0; i < n; i++) {
        many[i] = (struct many){.e = e, .all_in = &all_in};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_together, &many[i]), 0);
    }
    pthread_barrier_wait(&all_in);
    sl_epoch_retire(e, &t.garbage);
    poll_later(e);
    ck_assert(!t.freed);
    pthread_barrier_wait(&all_in);
    for (unsigned i = 0; i < n; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        used |= UINT64_C(1) << many[i].slot;
    }
    poll_later(e);
    ck_assert(t.freed);
    pthread_barrier_destroy(&all_in);
    return (unsigned)__builtin_popcountll(used);
}

START_TEST(threads_beyond_the_slots_share_one_and_slots_come_back_as_threads_end)
{
    static struct sl_epoch e;
    sl_epoch_init(&e, barriers[_i]);
    sl_epoch_exit(sl_epoch_enter(&e)); /* one is this thread's */
    for (int round = 0; round < 3; round++) {
        ck_assert_uint_eq(read_in_threads(&e, 40), 40);
        ck_assert_uint_eq(read_in_threads(&e, 200), SL_EPOCH_SLOTS - 1);
    }
}
END_TEST

START_TEST(the_end_frees_what_still_waits)
{
    static struct sl_epoch e;
    struct thing first = A_THING, second = A_THING;
    sl_epoch_init(&e, barriers[_i]);
    struct sl_reader reader = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &first.garbage);
    poll_later(&e);
    sl_epoch_retire(&e, &second.garbage);
    sl_epoch_exit(reader);
    sl_epoch_fini(&e, NULL);
    ck_assert(first.freed && second.freed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roster");
    TCase *t = tcase_create("instances");
    tcase_add_test(t, a_difference_is_loud_unless_it_is_status_or_note);
    suite_add_tcase(s, t);
    t = tcase_create("epoch");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, what_nobody_reads_is_freed_at_once, 0, 2);
    tcase_add_loop_test(t, what_a_reader_may_hold_stays_until_it_is_out, 0, 2);
    tcase_add_loop_test(t, readers_that_come_later_do_not_delay_what_was_retired_before, 0, 2);
    tcase_add_loop_test(t, what_is_retired_while_a_batch_waits_asks_every_reader_anew, 0, 2);
    tcase_add_loop_test(t, a_reader_that_slept_through_turns_is_seen_by_every_later_batch, 0, 2);
    tcase_add_loop_test(t, readers_that_overlap_without_end_do_not_keep_anything_for_ever, 0, 2);
    tcase_add_loop_test(t, reading_nests, 0, 2);
    tcase_add_loop_test(t, threads_beyond_the_slots_share_one_and_slots_come_back_as_threads_end, 0,
                        2);
    tcase_add_test(t, barriers_are_few_however_much_is_retired);
    tcase_add_loop_test(t, a_reader_that_stays_inside_is_asked_once_a_second_in_the_end, 0, 2);
    tcase_add_test(t, nothing_is_freed_while_the_barrier_fails);
    tcase_add_loop_test(t, the_end_frees_what_still_waits, 0, 2);
    suite_add_tcase(s, t);
    return run_suite(s);
}
