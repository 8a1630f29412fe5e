/* test_idmap.c: the map against a plain array, under random operations and a failing allocator. */
#include "base/idmap.h"
#include "tests/suite.h"

#include <check.h>
#include <starling.h>
#include <stdlib.h>

#define N_IDS 400

struct world {
    struct sl_id ids[N_IDS];
    bool in[N_IDS]; /* the model */
    uint32_t n;
    struct sl_rand rand;
    unsigned fail_one_in; /* allocations; 0 = none */
    size_t held;          /* bytes */
};

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size)
{
    struct world *w = context;
    if (new_size == 0) {
        free(ptr);
        w->held -= old_size;
        return NULL;
    }
    if (w->fail_one_in > 0 && sl_rand_below(&w->rand, w->fail_one_in) == 0)
        return NULL;
    void *p = realloc(ptr, new_size);
    if (p)
        w->held += new_size - old_size;
    return p;
}

static const struct sl_id *id_of(void *context, uint32_t index)
{
    struct world *w = context;
    ck_assert_uint_lt(index, N_IDS);
    return &w->ids[index];
}

static void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    sl_rand_seed(&w->rand, seed);
    for (size_t i = 0; i < N_IDS; i++) {
        uint64_t v[2] = {sl_rand_u64(&w->rand), i}; /* distinct through the second half */
        memcpy(w->ids[i].b, v, sizeof v);
    }
}

static void check_all(const struct sl_idmap *m, const struct world *w, uint64_t seed)
{
    ck_assert_uint_eq(m->n, w->n);
    for (uint32_t i = 0; i < N_IDS; i++) {
        uint32_t found = sl_idmap_find(m, &w->ids[i]);
        uint32_t expected = w->in[i] ? i : SL_IDMAP_NONE;
        ck_assert_msg(found == expected, "seed %llu: id %u found at %u, expected %u",
                      (unsigned long long)seed, i, found, expected);
    }
}

static void run(uint64_t seed, unsigned fail_one_in)
{
    struct world *w = malloc(sizeof *w);
    ck_assert_ptr_nonnull(w);
    world_init(w, seed);
    w->fail_one_in = fail_one_in;
    struct sl_alloc alloc = {resize, w};
    struct sl_idmap m;
    static const uint8_t key[16] = "0123456789abcde";
    sl_idmap_init(&m, &alloc, key, id_of, w);

    for (int step = 0; step < 4000; step++) {
        uint32_t i = (uint32_t)sl_rand_below(&w->rand, N_IDS);
        bool filling = step / 500 % 2 == 0; /* waves: mostly adding, then mostly removing */
        bool add = filling == (sl_rand_below(&w->rand, 4) > 0);
        if (add && !w->in[i]) {
            int r = sl_idmap_add(&m, &w->ids[i], i);
            ck_assert(r == 0 || (r == STARLING_ENOMEM && fail_one_in > 0));
            if (r == 0) {
                w->in[i] = true;
                w->n++;
            }
        } else if (!add) {
            sl_idmap_remove(&m, &w->ids[i]); /* also of what is not there */
            w->n -= w->in[i];
            w->in[i] = false;
        }
        if (step % 50 == 0)
            check_all(&m, w, seed);
    }
    check_all(&m, w, seed);
    sl_idmap_fini(&m);
    ck_assert_uint_eq(w->held, 0);
    free(w);
}

START_TEST(an_empty_map_finds_nothing_and_holds_no_memory)
{
    struct world *w = malloc(sizeof *w);
    ck_assert_ptr_nonnull(w);
    world_init(w, 1);
    struct sl_alloc alloc = {resize, w};
    struct sl_idmap m;
    static const uint8_t key[16];
    sl_idmap_init(&m, &alloc, key, id_of, w);
    ck_assert_uint_eq(sl_idmap_find(&m, &w->ids[0]), SL_IDMAP_NONE);
    sl_idmap_remove(&m, &w->ids[0]);
    ck_assert_uint_eq(w->held, 0);
    sl_idmap_fini(&m);
    free(w);
}
END_TEST

START_TEST(it_agrees_with_a_plain_array_under_random_operations)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        run(seed, 0);
}
END_TEST

START_TEST(a_failed_allocation_changes_nothing)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        run(seed, 2);
}
END_TEST

START_TEST(a_pair_costs_at_most_ten_bytes_once_there_are_a_few)
{
    struct world *w = malloc(sizeof *w);
    ck_assert_ptr_nonnull(w);
    world_init(w, 3);
    struct sl_alloc alloc = {resize, w};
    struct sl_idmap m;
    static const uint8_t key[16];
    sl_idmap_init(&m, &alloc, key, id_of, w);
    for (uint32_t i = 0; i < N_IDS; i++) {
        ck_assert_int_eq(sl_idmap_add(&m, &w->ids[i], i), 0);
        if (i + 1 >= 7)
            ck_assert_uint_le(w->held, (i + 1) * 10);
    }
    sl_idmap_fini(&m);
    free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("idmap");
    TCase *t = tcase_create("idmap");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, an_empty_map_finds_nothing_and_holds_no_memory);
    tcase_add_test(t, it_agrees_with_a_plain_array_under_random_operations);
    tcase_add_test(t, a_failed_allocation_changes_nothing);
    tcase_add_test(t, a_pair_costs_at_most_ten_bytes_once_there_are_a_few);
    suite_add_tcase(s, t);
    return run_suite(s);
}
