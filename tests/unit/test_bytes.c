/* test_bytes.c: integers, hexadecimal, names and SipHash against published values. */
#include "base/bytes.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/error.h"
#include "tests/suite.h"

START_TEST(integers_are_big_endian_and_read_back)
{
    uint8_t b[8];
    sl_put64(b, UINT64_C(0x0123456789abcdef));
    static const uint8_t expected[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    ck_assert_mem_eq(b, expected, 8);
    ck_assert_uint_eq(sl_get64(b), UINT64_C(0x0123456789abcdef));
    ck_assert_uint_eq(sl_get32(b), 0x01234567);
    ck_assert_uint_eq(sl_get16(b), 0x0123);
    sl_put32(b, 0xfffefdfc);
    ck_assert_uint_eq(sl_get32(b), 0xfffefdfc);
    sl_put16(b, 0xfffe);
    ck_assert_uint_eq(sl_get16(b), 0xfffe);
}
END_TEST

START_TEST(hexadecimal_goes_both_ways)
{
    static const uint8_t bytes[4] = {0x00, 0x7f, 0xa0, 0xff};
    char text[9];
    sl_hex(text, bytes, sizeof bytes);
    ck_assert_str_eq(text, "007fa0ff");
    uint8_t back[4];
    ck_assert(sl_unhex(back, 4, "007FA0ff", 8));
    ck_assert_mem_eq(back, bytes, 4);
}
END_TEST

START_TEST(unhex_refuses_wrong_lengths_and_digits_and_then_writes_nothing)
{
    uint8_t out[2] = {9, 9};
    ck_assert(!sl_unhex(out, 2, "0102", 3));
    ck_assert(!sl_unhex(out, 2, "010203", 6));
    ck_assert(!sl_unhex(out, 2, "01", 2));
    ck_assert(!sl_unhex(out, 2, "010g", 4));
    ck_assert(!sl_unhex(out, 2, "01-1", 4));
    ck_assert_uint_eq(out[0], 9);
    ck_assert(sl_unhex(out, 0, "", 0));
}
END_TEST

START_TEST(names_are_one_to_63_of_the_allowed_characters)
{
    char longest[64];
    memset(longest, 'a', sizeof longest);
    ck_assert(sl_name_ok(longest, 63));
    ck_assert(!sl_name_ok(longest, 64));
    ck_assert(sl_name_ok("a0.b_c-d", 8));
    ck_assert(!sl_name_ok("", 0));
    ck_assert(!sl_name_ok("Upper", 5));
    ck_assert(!sl_name_ok("a/b", 3));
    ck_assert(!sl_name_ok("a\0b", 3));
    ck_assert(!sl_name_ok("\xc3\xa4", 2));
}
END_TEST

START_TEST(copied_text_is_cut_to_the_buffer_and_terminated)
{
    char out[4] = "xyz";
    sl_copy_text(out, sizeof out, "abcdef", 6);
    ck_assert_str_eq(out, "abc");
    sl_copy_text(out, sizeof out, NULL, 0);
    ck_assert_str_eq(out, "");
    sl_copy_text(out, 0, "ignored", 7);
    ck_assert_str_eq(out, "");
}
END_TEST

/* Appendix A of the paper: key 00..0f, input 00..0e. */
START_TEST(siphash_gives_the_value_of_the_paper)
{
    uint8_t key[16], in[15];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    memcpy(in, key, sizeof in);
    ck_assert_uint_eq(sl_siphash(key, in, sizeof in), UINT64_C(0xa129ca6149be45e5));
}
END_TEST

START_TEST(siphash_agrees_with_libsodium_at_every_length)
{
    uint8_t key[16], in[300], digest[8];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(200 + 3 * i);
    for (size_t len = 0; len <= sizeof in; len++) {
        uint64_t h = sl_siphash(key, in, len);
        crypto_shorthash_siphash24(digest, in, len, key);
        for (size_t i = 0; i < 8; i++)
            ck_assert_msg(digest[i] == (uint8_t)(h >> (8 * i)), "differs at length %zu", len);
    }
}
END_TEST

START_TEST(a_failure_text_may_quote_the_one_before_it)
{
    ck_assert_int_eq(sl_fail(-1, "no %s", "file"), -1);
    ck_assert_int_eq(sl_fail(-2, "opening: %s", sl_fail_text()), -2);
    ck_assert_str_eq(sl_fail_text(), "opening: no file");
}
END_TEST

START_TEST(a_long_failure_text_is_cut)
{
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(sl_fail(-3, "%s", text), -3);
    ck_assert_uint_gt(strlen(sl_fail_text()), 100);
    ck_assert_uint_lt(strlen(sl_fail_text()), sizeof text - 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bytes");
    TCase *t = tcase_create("bytes");
    tcase_add_test(t, integers_are_big_endian_and_read_back);
    tcase_add_test(t, hexadecimal_goes_both_ways);
    tcase_add_test(t, unhex_refuses_wrong_lengths_and_digits_and_then_writes_nothing);
    tcase_add_test(t, names_are_one_to_63_of_the_allowed_characters);
    tcase_add_test(t, copied_text_is_cut_to_the_buffer_and_terminated);
    tcase_add_test(t, siphash_gives_the_value_of_the_paper);
    tcase_add_test(t, siphash_agrees_with_libsodium_at_every_length);
    tcase_add_test(t, a_failure_text_may_quote_the_one_before_it);
    tcase_add_test(t, a_long_failure_text_is_cut);
    suite_add_tcase(s, t);
    return run_suite(s);
}
