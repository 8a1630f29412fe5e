/* test_roster.c: who is picked how often, and when a roster may be freed. */
#include "store/roster.h"

#include "tests/unit/store_help.h"

static struct memory memory;

/* A roster of n instances of members 0.. with these weights, all alive and passing. */
static struct sl_roster *a_roster(const uint16_t *weights, uint32_t n)
{
    memory_init(&memory);
    struct sl_roster *r = sl_roster_new(&memory.alloc, n);
    ck_assert_ptr_nonnull(r);
    for (uint32_t i = 0; i < n; i++) {
        struct sl_store_member m = a_member(i, STARLING_ALIVE);
        struct sl_service s = a_service("web", 1 + i);
        s.weight = weights[i];
        r->offers[i] = sl_offer_new(&memory.alloc, &m, &s);
        ck_assert_ptr_nonnull(r->offers[i]);
    }
    return r;
}

static void seal(struct sl_roster *r)
{
    sl_roster_seal(r);
    for (uint32_t i = 0; i < r->n; i++)
        sl_offer_unref(&memory.alloc, r->offers[i]);
}

static void drop(struct sl_roster *r)
{
    sl_roster_release(&memory.alloc, &r->garbage);
    ck_assert_uint_eq(memory.bytes, 0);
}

/* Of n_columns * sum equally likely throws, how many give offer i. */
static uint64_t throws_for(const struct sl_roster *r, uint32_t i)
{
    uint64_t n = 0;
    for (uint32_t c = 0; c < r->n_columns; c++) {
        const struct sl_column *column = &r->columns[c];
        uint64_t own = column->share < r->sum ? column->share : r->sum;
        n += column->own == i ? own : 0;
        n += column->alias == i ? r->sum - own : 0;
    }
    return n;
}

START_TEST(each_instance_has_exactly_its_share_of_the_throws)
{
    struct sl_rand rand;
    sl_rand_seed(&rand, 7);
    for (int round = 0; round < 400; round++) {
        uint16_t weights[64];
        uint32_t n = (uint32_t)sl_rand_below(&rand, 64) + 1;
        uint64_t widest = round % 3 == 0 ? 2 : round % 3 == 1 ? 10 : 1001;
        for (uint32_t i = 0; i < n; i++)
            weights[i] = (uint16_t)sl_rand_below(&rand, widest);
        struct sl_roster *r = a_roster(weights, n);
        seal(r);
        for (uint32_t i = 0; i < n; i++)
            ck_assert_uint_eq(throws_for(r, i), (uint64_t)weights[i] * r->n_columns);
        drop(r);
    }
}
END_TEST

START_TEST(weights_at_the_limits_of_a_flock_do_not_overflow)
{
    static uint16_t weights[SL_MEMBERS_MAX];
    for (uint32_t i = 0; i < SL_MEMBERS_MAX; i++)
        weights[i] = i == 0 ? 1 : STARLING_WEIGHT_MAX;
    struct sl_roster *r = a_roster(weights, SL_MEMBERS_MAX);
    seal(r);
    ck_assert_uint_eq(throws_for(r, 0), SL_MEMBERS_MAX);
    ck_assert_uint_eq(throws_for(r, SL_MEMBERS_MAX - 1), UINT64_C(1000) * SL_MEMBERS_MAX);
    drop(r);
}
END_TEST

START_TEST(picks_follow_the_weights_within_statistical_bounds)
{
    static const uint16_t weights[] = {1, 10, 100, 1000, 0, 500, 37, 250};
    enum { N = SL_COUNT(weights), PICKS = 1000000 };
    struct sl_roster *r = a_roster(weights, N);
    unsigned got[N] = {0};
    struct sl_rand rand;
    double chi_square = 0;
    seal(r);
    sl_rand_seed(&rand, 42);
    for (int i = 0; i < PICKS; i++) {
        const struct sl_offer *o = sl_roster_pick(r, &rand);
        got[o->inst.port - 1]++;
    }
    for (int i = 0; i < N; i++) {
        double expected = (double)PICKS * weights[i] / 1898;
        if (weights[i] > 0)
            chi_square += (got[i] - expected) * (got[i] - expected) / expected;
    }
    ck_assert_uint_eq(got[4], 0);
    /* 6 degrees of freedom: 22.5 is exceeded once in a thousand seeds; this seed is fixed. */
    ck_assert_msg(chi_square < 22.5, "chi square is %.1f", chi_square);
    drop(r);
}
END_TEST

START_TEST(one_instance_is_always_picked)
{
    static const uint16_t weight = 1;
    struct sl_roster *r = a_roster(&weight, 1);
    struct sl_rand rand;
    seal(r);
    sl_rand_seed(&rand, 1);
    for (int i = 0; i < 1000; i++)
        ck_assert_ptr_eq(sl_roster_pick(r, &rand), r->offers[0]);
    drop(r);
}
END_TEST

START_TEST(suspects_are_candidates_only_where_nobody_else_is_able)
{
    static const uint16_t weights[] = {100, 100, 100};
    struct sl_roster *r = a_roster(weights, 3);
    struct sl_rand rand;
    sl_rand_seed(&rand, 1);
    r->offers[0]->inst.status = STARLING_SUSPECT;
    r->offers[1]->inst.status = STARLING_DOWN;
    seal(r);
    ck_assert_uint_eq(r->n_fit, 1);
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_eq(sl_roster_pick(r, &rand), r->offers[2]);
    drop(r);

    r = a_roster(weights, 3);
    r->offers[0]->inst.status = STARLING_SUSPECT;
    r->offers[1]->inst.status = STARLING_DOWN;
    r->offers[2]->inst.health = STARLING_CRITICAL;
    seal(r);
    ck_assert_uint_eq(r->n_fit, 0);
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_eq(sl_roster_pick(r, &rand), r->offers[0]);
    drop(r);
}
END_TEST

START_TEST(nobody_able_is_nobody_picked)
{
    static const uint16_t weights[] = {0, 100};
    struct sl_roster *r = a_roster(weights, 2);
    struct sl_rand rand;
    sl_rand_seed(&rand, 1);
    r->offers[1]->inst.health = STARLING_CRITICAL;
    seal(r);
    ck_assert_ptr_null(sl_roster_pick(r, &rand));
    drop(r);
}
END_TEST

START_TEST(a_warning_is_fit)
{
    static const uint16_t weights[] = {1};
    struct sl_roster *r = a_roster(weights, 1);
    r->offers[0]->inst.health = STARLING_WARNING;
    seal(r);
    ck_assert_uint_eq(r->n_fit, 1);
    drop(r);
}
END_TEST

START_TEST(a_difference_is_loud_unless_it_is_status_or_note)
{
    memory_init(&memory);
    struct sl_store_member m = a_member(1, STARLING_ALIVE);
    struct sl_service s = a_service("web", 80);
    struct sl_offer *a = sl_offer_new(&memory.alloc, &m, &s);
#define DIFFERS(difference, ...)                                                                   \
    do {                                                                                           \
        m = a_member(1, STARLING_ALIVE);                                                           \
        s = a_service("web", 80);                                                                  \
        __VA_ARGS__;                                                                               \
        struct sl_offer *b = sl_offer_new(&memory.alloc, &m, &s);                                  \
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

struct thing {
    struct sl_garbage garbage;
    bool freed;
};

static void free_thing(const struct sl_alloc *alloc, struct sl_garbage *g)
{
    (void)alloc;
    ((struct thing *)(void *)g)->freed = true;
}

#define A_THING                                                                                    \
    {                                                                                              \
        .garbage = {.release = free_thing }                                                        \
    }

START_TEST(what_nobody_reads_is_freed_at_once)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e);
    sl_epoch_retire(&e, &t.garbage);
    ck_assert_uint_eq(sl_epoch_poll(&e, NULL), 1);
    ck_assert(t.freed);
}
END_TEST

START_TEST(what_a_reader_may_hold_stays_until_it_is_out)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e);
    _Atomic uint32_t *reader = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(sl_epoch_poll(&e, NULL), 0);
    sl_epoch_exit(reader);
    ck_assert_uint_eq(sl_epoch_poll(&e, NULL), 1);
    ck_assert(t.freed);
}
END_TEST

START_TEST(readers_that_come_later_do_not_delay_what_was_retired_before)
{
    static struct sl_epoch e;
    struct thing t = A_THING;
    sl_epoch_init(&e);
    _Atomic uint32_t *early = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    ck_assert_uint_eq(sl_epoch_poll(&e, NULL), 0);
    _Atomic uint32_t *late = sl_epoch_enter(&e);
    sl_epoch_exit(early);
    ck_assert_uint_eq(sl_epoch_poll(&e, NULL), 1);
    sl_epoch_exit(late);
}
END_TEST

START_TEST(what_is_retired_while_a_batch_waits_asks_every_reader_anew)
{
    static struct sl_epoch e;
    struct thing first = A_THING, second = A_THING;
    sl_epoch_init(&e);
    _Atomic uint32_t *early = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &first.garbage);
    sl_epoch_poll(&e, NULL);
    _Atomic uint32_t *late = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &second.garbage);
    sl_epoch_exit(early);
    sl_epoch_poll(&e, NULL);
    ck_assert(first.freed);
    ck_assert(!second.freed);
    sl_epoch_exit(late);
    sl_epoch_poll(&e, NULL);
    ck_assert(second.freed);
}
END_TEST

/* A reader that has read the phase and sleeps before it counts itself in. */
static _Atomic uint32_t *wake_late(struct sl_epoch *e, uint32_t phase)
{
    _Atomic uint32_t *readers = &e->slots[3].readers[phase];
    atomic_fetch_add(readers, 1);
    return readers;
}

START_TEST(a_reader_that_slept_through_turns_is_seen_by_every_later_batch)
{
    for (int n_turns = 0; n_turns < 4; n_turns++) {
        for (int n_polls = 0; n_polls < 3; n_polls++) {
            static struct sl_epoch e;
            struct thing before[4] = {A_THING, A_THING, A_THING, A_THING};
            struct thing held = A_THING, after = A_THING;
            sl_epoch_init(&e);
            uint32_t phase = atomic_load(&e.phase); /* the sleeper's */
            for (int i = 0; i < n_turns; i++) {
                sl_epoch_retire(&e, &before[i].garbage);
                sl_epoch_poll(&e, NULL);
            }
            _Atomic uint32_t *sleeper =
                wake_late(&e, phase); /* and loads what is current: `held` */
            sl_epoch_retire(&e, &held.garbage);
            for (int i = 0; i < n_polls; i++)
                sl_epoch_poll(&e, NULL);
            sl_epoch_retire(&e, &after.garbage);
            sl_epoch_poll(&e, NULL);
            ck_assert_msg(!held.freed, "%d turns, %d polls", n_turns, n_polls);
            sl_epoch_exit(sleeper);
            sl_epoch_poll(&e, NULL);
            ck_assert(held.freed && after.freed);
        }
    }
}
END_TEST

START_TEST(readers_that_overlap_without_end_do_not_keep_anything_for_ever)
{
    static struct sl_epoch e;
    static struct thing things[100];
    sl_epoch_init(&e);
    _Atomic uint32_t *reader = sl_epoch_enter(&e);
    for (int i = 0; i < 100; i++) {
        things[i] = (struct thing)A_THING;
        sl_epoch_retire(&e, &things[i].garbage);
        sl_epoch_poll(&e, NULL);
        _Atomic uint32_t *next = sl_epoch_enter(&e); /* somebody is always inside */
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
    sl_epoch_init(&e);
    _Atomic uint32_t *outer = sl_epoch_enter(&e);
    _Atomic uint32_t *inner = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &t.garbage);
    sl_epoch_exit(inner);
    sl_epoch_poll(&e, NULL);
    ck_assert(!t.freed);
    sl_epoch_exit(outer);
    sl_epoch_poll(&e, NULL);
    ck_assert(t.freed);
}
END_TEST

START_TEST(the_end_frees_what_still_waits)
{
    static struct sl_epoch e;
    struct thing first = A_THING, second = A_THING;
    sl_epoch_init(&e);
    _Atomic uint32_t *reader = sl_epoch_enter(&e);
    sl_epoch_retire(&e, &first.garbage);
    sl_epoch_poll(&e, NULL);
    sl_epoch_retire(&e, &second.garbage);
    sl_epoch_exit(reader);
    sl_epoch_fini(&e, NULL);
    ck_assert(first.freed && second.freed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roster");
    TCase *t = tcase_create("pick");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, each_instance_has_exactly_its_share_of_the_throws);
    tcase_add_test(t, weights_at_the_limits_of_a_flock_do_not_overflow);
    tcase_add_test(t, picks_follow_the_weights_within_statistical_bounds);
    tcase_add_test(t, one_instance_is_always_picked);
    tcase_add_test(t, suspects_are_candidates_only_where_nobody_else_is_able);
    tcase_add_test(t, nobody_able_is_nobody_picked);
    tcase_add_test(t, a_warning_is_fit);
    tcase_add_test(t, a_difference_is_loud_unless_it_is_status_or_note);
    suite_add_tcase(s, t);
    t = tcase_create("epoch");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, what_nobody_reads_is_freed_at_once);
    tcase_add_test(t, what_a_reader_may_hold_stays_until_it_is_out);
    tcase_add_test(t, readers_that_come_later_do_not_delay_what_was_retired_before);
    tcase_add_test(t, what_is_retired_while_a_batch_waits_asks_every_reader_anew);
    tcase_add_test(t, a_reader_that_slept_through_turns_is_seen_by_every_later_batch);
    tcase_add_test(t, readers_that_overlap_without_end_do_not_keep_anything_for_ever);
    tcase_add_test(t, reading_nests);
    tcase_add_test(t, the_end_frees_what_still_waits);
    suite_add_tcase(s, t);
    return run(s);
}
