/* test_pack.c: MessagePack written and read back, every width, and bytes that mean harm.
 * Hostile input is parsed right before an inaccessible page, so that one byte read too far is a crash,
 * with and without a sanitizer. */
#include "base/pack.h"

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/port.h"
#include "tests/suite.h"

/* ---- bytes that end where memory ends ----------------------------------------------------- */

static uint8_t *guard; /* the inaccessible page; GUARDED bytes before it are ours */
#define GUARDED (256 * 1024)

static void guard_up(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p =
        mmap(NULL, GUARDED + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(p != MAP_FAILED);
    guard = p + GUARDED;
    ck_assert_int_eq(mprotect(guard, page, PROT_NONE), 0);
}

static void guard_down(void)
{
    munmap(guard - GUARDED, GUARDED + (size_t)sysconf(_SC_PAGESIZE));
}

static struct sl_read read_guarded(const void *p, size_t len)
{
    ck_assert_uint_le(len, GUARDED);
    if (len > 0)
        memcpy(guard - len, p, len);
    struct sl_read r;
    sl_read_init(&r, guard - len, len);
    return r;
}

/* ---- a message with a bit of everything ----------------------------------------------------- */

static size_t write_sample(uint8_t *out, size_t cap)
{
    struct sl_pack w;
    sl_pack_init(&w, out, cap);
    sl_pack_array(&w, 6);
    sl_pack_uint(&w, 300);
    sl_pack_nil(&w);
    sl_pack_bin(&w, "0123456789abcdef", 16);
    sl_pack_str(&w, "name", 4);
    sl_pack_map(&w, 1);
    sl_pack_uint(&w, 1);
    sl_pack_uint(&w, UINT64_MAX);
    sl_pack_bin(&w, NULL, 0);
    return w.failed ? 0 : w.len;
}

static bool read_sample(struct sl_read *r)
{
    size_t n;
    uint64_t v;
    uint8_t id[16];
    struct sl_span s;
    return sl_read_array(r, 6, &n) && n == 6 && sl_read_uint(r, 1000, &v) && v == 300 &&
           sl_read_nil(r) && sl_read_fixed(r, id, 16) && sl_read_str(r, 4, &s) && s.len == 4 &&
           sl_read_map(r, 1, &n) && n == 1 && sl_read_uint(r, 1, &v) &&
           sl_read_uint(r, UINT64_MAX, &v) && v == UINT64_MAX && sl_read_bin(r, 0, &s) &&
           s.len == 0 && sl_read_done(r);
}

START_TEST(what_is_written_is_read_back)
{
    uint8_t b[128];
    size_t len = write_sample(b, sizeof b);
    ck_assert_uint_gt(len, 0);
    struct sl_read r = read_guarded(b, len);
    ck_assert(read_sample(&r));
    ck_assert_uint_eq(r.nodes, 9);
    r = read_guarded(b, len);
    ck_assert(sl_read_skip(&r, 1) && sl_read_done(&r));
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    uint8_t b[128];
    size_t len = write_sample(b, sizeof b);
    for (size_t cut = 0; cut < len; cut++) {
        struct sl_read r = read_guarded(b, cut);
        ck_assert_msg(!read_sample(&r), "%zu of %zu bytes are accepted", cut, len);
        r = read_guarded(b, cut);
        ck_assert_msg(!sl_read_skip(&r, 1), "%zu of %zu bytes are skipped", cut, len);
        ck_assert(r.failed);
    }
}
END_TEST

START_TEST(bytes_left_over_are_noticed)
{
    struct sl_read r = read_guarded("\x01\x02", 2);
    uint64_t v;
    ck_assert(sl_read_uint(&r, 9, &v));
    ck_assert(!sl_read_done(&r));
}
END_TEST

START_TEST(a_writer_never_leaves_its_buffer_and_stays_failed)
{
    uint8_t b[128];
    size_t len = write_sample(b, sizeof b);
    for (size_t cap = 0; cap < len; cap++) {
        uint8_t *at = guard - cap; /* one byte more would crash */
        ck_assert_uint_eq(write_sample(at, cap), 0);
    }
    struct sl_pack w;
    sl_pack_init(&w, b, 4);
    sl_pack_bin(&w, "12345", 5);
    ck_assert(w.failed);
    size_t before = w.len;
    sl_pack_uint(&w, 1);
    ck_assert(w.failed);
    ck_assert_uint_eq(w.len, before);
}
END_TEST

START_TEST(lengths_beyond_32_bits_are_not_written)
{
    uint8_t b[16];
    struct sl_pack w;
    sl_pack_init(&w, b, sizeof b);
    sl_pack_bin(&w, b, (size_t)UINT32_MAX + 2);
    ck_assert(w.failed);
    sl_pack_init(&w, b, sizeof b);
    sl_pack_array(&w, (size_t)UINT32_MAX + 1);
    ck_assert(w.failed);
}
END_TEST

/* ---- widths --------------------------------------------------------------------------------- */

START_TEST(a_number_is_read_from_every_width)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t v;
    } cases[] = {
        {"\x05", 1, 5},
        {"\x7f", 1, 127},
        {"\xcc\x05", 2, 5},
        {"\xcd\x00\x05", 3, 5},
        {"\xce\x00\x00\x00\x05", 5, 5},
        {"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, UINT64_MAX},
        {"\xd0\x05", 2, 5},
        {"\xd1\x01\x00", 3, 256},
        {"\xd2\x00\x00\x00\x05", 5, 5},
        {"\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", 9, INT64_MAX},
    };
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        struct sl_read r = read_guarded(cases[i].bytes, cases[i].len);
        uint64_t v;
        ck_assert_msg(sl_read_uint(&r, UINT64_MAX, &v), "case %zu is refused", i);
        ck_assert_uint_eq(v, cases[i].v);
        ck_assert(sl_read_done(&r));
    }
}
END_TEST

START_TEST(negative_numbers_and_numbers_above_the_bound_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\xff", 1},         {"\xe0", 1},
        {"\xd0\x80", 2},     {"\xd1\xff\xff", 3},
        {"\x0b", 1},         {"\xd2\x80\x00\x00\x00", 5},
        {"\xcd\x01\x00", 3}, {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9},
        {"\xc3", 1},         {"\xca\x00\x00\x00\x00", 5},
        {"\xc0", 1},         {"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 9},
    };
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        struct sl_read r = read_guarded(cases[i].bytes, cases[i].len);
        uint64_t v = 77;
        ck_assert_msg(!sl_read_uint(&r, 10, &v), "case %zu is accepted", i);
        ck_assert_uint_eq(v, 77);
        ck_assert(r.failed && !sl_read_uint(&r, 10, &v)); /* for good */
    }
}
END_TEST

START_TEST(text_binary_arrays_and_maps_are_read_from_every_width)
{
    static const struct {
        char type;
        const char *bytes;
        size_t len;
    } cases[] = {
        {'s', "\xa2hi", 3},
        {'s', "\xd9\x02hi", 4},
        {'s', "\xda\x00\x02hi", 5},
        {'s', "\xdb\x00\x00\x00\x02hi", 7},
        {'b', "\xc4\x02hi", 4},
        {'b', "\xc5\x00\x02hi", 5},
        {'b', "\xc6\x00\x00\x00\x02hi", 7},
        {'a', "\x92\x01\x01", 3},
        {'a', "\xdc\x00\x02\x01\x01", 5},
        {'a', "\xdd\x00\x00\x00\x02\x01\x01", 7},
        {'m', "\x82\x01\x01\x01\x01", 5},
        {'m', "\xde\x00\x02\x01\x01\x01\x01", 7},
        {'m', "\xdf\x00\x00\x00\x02\x01\x01\x01\x01", 9},
    };
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        struct sl_read all[4];
        bool ok[4];
        struct sl_span s[2] = {{NULL, 0}, {NULL, 0}};
        size_t n[2] = {0, 0};
        for (size_t k = 0; k < 4; k++)
            all[k] = read_guarded(cases[i].bytes, cases[i].len);
        ok[0] = sl_read_str(&all[0], 2, &s[0]);
        ok[1] = sl_read_bin(&all[1], 2, &s[1]);
        ok[2] = sl_read_array(&all[2], 2, &n[0]);
        ok[3] = sl_read_map(&all[3], 2, &n[1]);
        for (size_t k = 0; k < 4; k++)
            ck_assert_msg(ok[k] == ("sbam"[k] == cases[i].type), "case %zu as %c", i, "sbam"[k]);
        ck_assert_uint_eq(s[0].len + s[1].len + n[0] + n[1], 2);
        struct sl_read r = read_guarded(cases[i].bytes, cases[i].len);
        ck_assert(sl_read_skip(&r, 1) && sl_read_done(&r));
    }
}
END_TEST

START_TEST(longer_than_the_caller_allows_is_refused)
{
    struct sl_span s;
    size_t n;
    uint8_t out[4];
    struct sl_read r = read_guarded("\xc4\x03"
                                    "abc",
                                    5);
    ck_assert(!sl_read_bin(&r, 2, &s));
    r = read_guarded("\xa3"
                     "abc",
                     4);
    ck_assert(!sl_read_str(&r, 2, &s));
    r = read_guarded("\x93\x01\x01\x01", 4);
    ck_assert(!sl_read_array(&r, 2, &n));
    r = read_guarded("\xc4\x03"
                     "abc",
                     5);
    ck_assert(!sl_read_fixed(&r, out, 4));
    r = read_guarded("\xc4\x03"
                     "abc",
                     5);
    ck_assert(!sl_read_fixed(&r, out, 2));
}
END_TEST

START_TEST(nil_is_taken_and_anything_else_left_untouched)
{
    struct sl_read r = read_guarded("\xc0\x07", 2);
    ck_assert(sl_read_nil(&r));
    ck_assert(!sl_read_nil(&r));
    uint64_t v;
    ck_assert(sl_read_uint(&r, 9, &v));
    ck_assert_uint_eq(v, 7);
    ck_assert(!sl_read_nil(&r));
    ck_assert(sl_read_done(&r));
}
END_TEST

START_TEST(every_type_is_skipped)
{
    static const char bytes[] =
        "\xc0\xc2\xc3\x7f\xe0\xcc\x01\xd0\xff"
        "\xca\x00\x00\x00\x00\xcb\x00\x00\x00\x00\x00\x00\x00\x00"
        "\xd4\x01\x02\xd5\x01\x02\x03\xd6\x01\x02\x03\x04\x05"
        "\xd7\x01\x01\x02\x03\x04\x05\x06\x07\x08"
        "\xd8\x01\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08"
        "\xc7\x02\x01\x61\x62\xc8\x00\x01\x01\x61\xc9\x00\x00\x00\x00\x01"
        "\xa1x\xc4\x01x\x90\x80\x92\x01\x81\x01\xc0";
    size_t len = sizeof bytes - 1;
    struct sl_read r = read_guarded(bytes, len);
    ck_assert(sl_read_skip(&r, 22));
    ck_assert(sl_read_done(&r));
    for (size_t cut = 0; cut < len; cut++) {
        r = read_guarded(bytes, cut);
        ck_assert_msg(!sl_read_skip(&r, 22), "cut at %zu", cut);
    }
}
END_TEST

/* ---- harm ------------------------------------------------------------------------------------- */

START_TEST(five_bytes_that_declare_gigabytes_are_refused)
{
    static const uint8_t firsts[] = {0xdd, 0xdf, 0xc6, 0xdb, 0xc9};
    for (size_t i = 0; i < SL_COUNT(firsts); i++) {
        for (int high = 0; high < 2; high++) {
            uint8_t b[5] = {firsts[i], high ? 0xff : 0, high ? 0xff : 0, 0xff, 0xff};
            size_t n;
            struct sl_span s;
            struct sl_read r = read_guarded(b, 5);
            ck_assert(!sl_read_array(&r, SIZE_MAX, &n));
            r = read_guarded(b, 5);
            ck_assert(!sl_read_map(&r, SIZE_MAX, &n));
            r = read_guarded(b, 5);
            ck_assert(!sl_read_bin(&r, SIZE_MAX, &s));
            r = read_guarded(b, 5);
            ck_assert(!sl_read_str(&r, SIZE_MAX, &s));
            r = read_guarded(b, 5);
            ck_assert(!sl_read_skip(&r, 1));
        }
    }
}
END_TEST

START_TEST(a_map_needs_two_bytes_for_each_pair)
{
    size_t n;
    struct sl_read r = read_guarded("\x82\x01\x01\x01", 4);
    ck_assert(!sl_read_map(&r, 9, &n));
}
END_TEST

START_TEST(the_unused_first_byte_is_refused)
{
    struct sl_read r = read_guarded("\xc1", 1);
    ck_assert(!sl_read_skip(&r, 1));
}
END_TEST

START_TEST(nesting_is_skipped_to_the_limit_and_no_deeper)
{
    uint8_t b[SL_READ_DEPTH_MAX + 2];
    memset(b, 0x91, sizeof b);
    b[SL_READ_DEPTH_MAX] = 0x01;
    struct sl_read r = read_guarded(b, SL_READ_DEPTH_MAX + 1);
    ck_assert(sl_read_skip(&r, 1) && sl_read_done(&r));
    b[SL_READ_DEPTH_MAX] = 0x91;
    b[SL_READ_DEPTH_MAX + 1] = 0x01;
    r = read_guarded(b, sizeof b);
    ck_assert(!sl_read_skip(&r, 1));
}
END_TEST

START_TEST(more_elements_than_a_message_may_have_are_refused)
{
    static uint8_t b[SL_READ_NODES_MAX + 1]; /* so many zeros, each a number */
    struct sl_read r = read_guarded(b, SL_READ_NODES_MAX);
    ck_assert(sl_read_skip(&r, SL_READ_NODES_MAX) && sl_read_done(&r));
    r = read_guarded(b, SL_READ_NODES_MAX + 1);
    ck_assert(!sl_read_skip(&r, SL_READ_NODES_MAX + 1));
}
END_TEST

START_TEST(an_empty_message_holds_nothing)
{
    struct sl_read r;
    sl_read_init(&r, NULL, 0);
    ck_assert(sl_read_done(&r) && !sl_read_nil(&r) && sl_read_skip(&r, 0));
    uint64_t v;
    ck_assert(!sl_read_uint(&r, 1, &v));
}
END_TEST

/* Read whatever comes, as a decoder would that follows the types it finds. */
static void wander(struct sl_read *r, struct sl_rand *rand)
{
    for (int i = 0; i < 64 && !r->failed && r->p < r->end; i++) {
        const uint8_t *before = r->p;
        uint64_t v;
        size_t n;
        struct sl_span s = {NULL, 0};
        uint8_t out[16];
        volatile uint8_t last = 0;
        bool ok = false;
        switch (sl_rand_below(rand, 7)) {
        case 0:
            ok = sl_read_uint(r, UINT64_MAX, &v);
            break;
        case 1:
            ok = sl_read_array(r, SIZE_MAX, &n);
            break;
        case 2:
            ok = sl_read_map(r, SIZE_MAX, &n);
            break;
        case 3:
            ok = sl_read_bin(r, SIZE_MAX, &s);
            break;
        case 4:
            ok = sl_read_str(r, SIZE_MAX, &s);
            break;
        case 5:
            ok = sl_read_fixed(r, out, sizeof out);
            break;
        case 6:
            ok = sl_read_skip(r, 1);
            break;
        }
        ck_assert(ok != r->failed);
        ck_assert(r->p <= r->end && (!ok || r->p > before));
        for (size_t k = 0; k < s.len; k++)
            last = s.p[k]; /* the span is readable */
        (void)last;
    }
}

START_TEST(mutated_messages_never_lead_out_of_the_buffer)
{
    struct sl_rand rand;
    sl_rand_seed(&rand, 20240229);
    uint8_t sample[128], b[128];
    size_t sample_len = write_sample(sample, sizeof sample);
    for (int round = 0; round < 100000; round++) {
        memcpy(b, sample, sample_len);
        size_t len = sample_len - sl_rand_below(&rand, 3);
        for (uint64_t k = sl_rand_below(&rand, 5); k > 0; k--)
            b[sl_rand_below(&rand, len)] = (uint8_t)sl_rand_u64(&rand);
        struct sl_read r = read_guarded(b, len);
        read_sample(&r);
        r = read_guarded(b, len);
        (void)!sl_read_skip(&r, 1);
        r = read_guarded(b, len);
        wander(&r, &rand);
    }
}
END_TEST

START_TEST(random_bytes_never_lead_out_of_the_buffer)
{
    struct sl_rand rand;
    sl_rand_seed(&rand, 20240301);
    uint8_t b[64];
    for (int round = 0; round < 100000; round++) {
        size_t len = sl_rand_below(&rand, sizeof b + 1);
        for (size_t i = 0; i < len; i++)
            b[i] = (uint8_t)sl_rand_u64(&rand);
        struct sl_read r = read_guarded(b, len);
        (void)!sl_read_skip(&r, len);
        r = read_guarded(b, len);
        wander(&r, &rand);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pack");
    TCase *t = tcase_create("pack");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, guard_up, guard_down);
    tcase_add_test(t, what_is_written_is_read_back);
    tcase_add_test(t, every_truncation_is_refused);
    tcase_add_test(t, bytes_left_over_are_noticed);
    tcase_add_test(t, a_writer_never_leaves_its_buffer_and_stays_failed);
    tcase_add_test(t, lengths_beyond_32_bits_are_not_written);
    tcase_add_test(t, a_number_is_read_from_every_width);
    tcase_add_test(t, negative_numbers_and_numbers_above_the_bound_are_refused);
    tcase_add_test(t, text_binary_arrays_and_maps_are_read_from_every_width);
    tcase_add_test(t, longer_than_the_caller_allows_is_refused);
    tcase_add_test(t, nil_is_taken_and_anything_else_left_untouched);
    tcase_add_test(t, every_type_is_skipped);
    tcase_add_test(t, five_bytes_that_declare_gigabytes_are_refused);
    tcase_add_test(t, a_map_needs_two_bytes_for_each_pair);
    tcase_add_test(t, the_unused_first_byte_is_refused);
    tcase_add_test(t, nesting_is_skipped_to_the_limit_and_no_deeper);
    tcase_add_test(t, more_elements_than_a_message_may_have_are_refused);
    tcase_add_test(t, an_empty_message_holds_nothing);
    tcase_add_test(t, mutated_messages_never_lead_out_of_the_buffer);
    tcase_add_test(t, random_bytes_never_lead_out_of_the_buffer);
    suite_add_tcase(s, t);
    return run_suite(s);
}
