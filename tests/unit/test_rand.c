/* test_rand.c: the generator against published sequences, its ranges, and the small helpers that share
 * its file: growing memory and log lines. */
#include "base/port.h"
#include "tests/suite.h"

#include <check.h>
#include <starling.h>
#include <stdlib.h>

/* Sequence of the reference implementation from state {1, 2, 3, 4}. */
START_TEST(xoshiro_gives_the_reference_sequence)
{
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
    };
    struct sl_rand r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < SL_COUNT(expected); i++)
        ck_assert_uint_eq(sl_rand_u64(&r), expected[i]);
}
END_TEST

START_TEST(seeding_gives_the_reference_sequence_of_splitmix)
{
    struct sl_rand r;
    sl_rand_seed(&r, 1234567);
    ck_assert_uint_eq(r.s[0], UINT64_C(6457827717110365317));
    ck_assert_uint_eq(r.s[1], UINT64_C(3203168211198807973));
}
END_TEST

START_TEST(below_stays_below_and_reaches_every_value)
{
    struct sl_rand r;
    sl_rand_seed(&r, 1);
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t v = sl_rand_below(&r, 7);
        ck_assert_uint_lt(v, 7);
        seen[v]++;
    }
    for (size_t i = 0; i < SL_COUNT(seen); i++)
        ck_assert_msg(seen[i] > 800 && seen[i] < 1200, "value %zu came %u times", i, seen[i]);
    ck_assert_uint_eq(sl_rand_below(&r, 1), 0);
}
END_TEST

START_TEST(a_span_includes_both_ends_and_may_cover_all_of_time)
{
    struct sl_rand r;
    sl_rand_seed(&r, 2);
    bool low = false, high = false;
    for (int i = 0; i < 200; i++) {
        sl_usec v = sl_rand_span(&r, -1, 1);
        ck_assert_int_ge(v, -1);
        ck_assert_int_le(v, 1);
        low = low || v == -1;
        high = high || v == 1;
    }
    ck_assert(low && high);
    ck_assert_int_eq(sl_rand_span(&r, 5, 5), 5);
    ck_assert_int_ne(sl_rand_span(&r, INT64_MIN, INT64_MAX),
                     sl_rand_span(&r, INT64_MIN, INT64_MAX));
}
END_TEST

START_TEST(deadlines_saturate)
{
    ck_assert_int_eq(sl_after(SL_NEVER - 5, 10), SL_NEVER);
    ck_assert_int_eq(sl_after(SL_SEC(1), SL_MS(500)), 1500000);
    ck_assert_int_eq(sl_after(SL_NEVER, SL_NEVER), SL_NEVER);
}
END_TEST

/* realloc that refuses when *context reaches zero. */
static void *counting_resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)old_size;
    int *left = context;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return (*left)-- > 0 ? realloc(ptr, new_size) : NULL;
}

START_TEST(grown_room_is_zeroed_and_keeps_what_was_there)
{
    int left = 100;
    struct sl_alloc a = {counting_resize, &left};
    uint32_t *array = NULL;
    size_t cap = 0;
    ck_assert_int_eq(sl_alloc_grow(&a, (void **)&array, sizeof *array, &cap, 1), 0);
    ck_assert_uint_eq(cap, 8);
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_uint_eq(array[i], 0);
        array[i] = i + 1;
    }
    ck_assert_int_eq(sl_alloc_grow(&a, (void **)&array, sizeof *array, &cap, 17), 0);
    ck_assert_uint_eq(cap, 32);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_eq(array[i], i < 8 ? i + 1 : 0);
    sl_alloc_free(&a, array, cap * sizeof *array);
}
END_TEST

START_TEST(growing_that_fails_changes_nothing)
{
    int left = 1;
    struct sl_alloc a = {counting_resize, &left};
    uint64_t *array = NULL;
    size_t cap = 0;
    ck_assert_int_eq(sl_alloc_grow(&a, (void **)&array, sizeof *array, &cap, 8), 0);
    uint64_t *before = array;
    ck_assert_int_eq(sl_alloc_grow(&a, (void **)&array, sizeof *array, &cap, 9), STARLING_ENOMEM);
    left = 100;
    ck_assert_int_eq(sl_alloc_grow(&a, (void **)&array, sizeof *array, &cap, SIZE_MAX),
                     STARLING_ENOMEM);
    ck_assert_int_eq(sl_alloc_grow(&a, (void **)&array, sizeof *array, &cap, SIZE_MAX / 4),
                     STARLING_ENOMEM);
    ck_assert_ptr_eq(array, before);
    ck_assert_uint_eq(cap, 8);
    sl_alloc_free(&a, array, cap * sizeof *array);
}
END_TEST

struct heard {
    int n;
    char line[600];
};

static void hear(void *context, int level, const char *line)
{
    struct heard *h = context;
    (void)level;
    h->n++;
    ck_assert_uint_lt(strlen(line), sizeof h->line);
    strcpy(h->line, line);
}

START_TEST(a_log_line_below_the_level_is_written_and_one_above_is_not)
{
    struct heard h = {0};
    struct sl_log log = {hear, &h, SL_INFO};
    sl_log(&log, SL_INFO, "node %d", 7);
    sl_log(&log, SL_DEBUG, "unheard");
    sl_log(NULL, SL_ERROR, "unheard");
    sl_log(&(struct sl_log){.level = SL_DEBUG}, SL_ERROR, "unheard");
    ck_assert_int_eq(h.n, 1);
    ck_assert_str_eq(h.line, "node 7");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rand");
    TCase *t = tcase_create("rand");
    tcase_add_test(t, xoshiro_gives_the_reference_sequence);
    tcase_add_test(t, seeding_gives_the_reference_sequence_of_splitmix);
    tcase_add_test(t, below_stays_below_and_reaches_every_value);
    tcase_add_test(t, a_span_includes_both_ends_and_may_cover_all_of_time);
    tcase_add_test(t, deadlines_saturate);
    tcase_add_test(t, grown_room_is_zeroed_and_keeps_what_was_there);
    tcase_add_test(t, growing_that_fails_changes_nothing);
    tcase_add_test(t, a_log_line_below_the_level_is_written_and_one_above_is_not);
    suite_add_tcase(s, t);
    return run_suite(s);
}
