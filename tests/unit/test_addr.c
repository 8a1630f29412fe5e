/* test_addr.c: what an address looks like in text, and what does not pass for one. */
#include "base/addr.h"
#include "tests/suite.h"

#include <check.h>
#include <starling.h>
#include <stdlib.h>

static int parse(const char *text, struct sl_addr *ret)
{
    return sl_addr_parse(ret, text, strlen(text), 7700);
}

START_TEST(what_is_parsed_is_formatted_canonically)
{
    static const struct {
        const char *in, *out, *host;
        uint8_t family;
    } cases[] = {
        {"1.2.3.4:80", "1.2.3.4:80", "1.2.3.4", 4},
        {"1.2.3.4", "1.2.3.4:7700", "1.2.3.4", 4},
        {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 4},
        {"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", 4},
        {"::1", "[::1]:7700", "::1", 6},
        {"[::1]", "[::1]:7700", "::1", 6},
        {"[2001:DB8:0:0::5]:1", "[2001:db8::5]:1", "2001:db8::5", 6},
        {"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:7700", "::ffff:10.0.0.1", 6},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 6},
    };
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        struct sl_addr a;
        char text[SL_ADDR_TEXT];
        ck_assert_msg(parse(cases[i].in, &a) == 0, "%s is refused", cases[i].in);
        ck_assert_uint_eq(a.family, cases[i].family);
        sl_addr_format(text, &a);
        ck_assert_str_eq(text, cases[i].out);
        sl_addr_format_host(text, &a);
        ck_assert_str_eq(text, cases[i].host);
    }
}
END_TEST

START_TEST(what_is_no_numeric_address_is_refused_and_leaves_the_output_alone)
{
    static const char *const bad[] = {
        "",
        "1.2.3",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:1x",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.256",
        "01.2.3.4",
        "host",
        "host:80",
        ":80",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[::1]:70000",
        "[1.2.3.4]:5",
        "::1:",
        "1:2:3",
        "[]:5",
        "::1]:5",
        "fe80::1%eth0",
        "[::1]:5:6",
        "1.2.3.4:+5",
        "1.2.3.4:000080",
        "[::1]]:5",
        "2001:db8::5:1:2:3:4:5:6",
    };
    for (size_t i = 0; i < SL_COUNT(bad); i++) {
        struct sl_addr a = {.family = 99};
        ck_assert_msg(parse(bad[i], &a) == STARLING_EINVAL, "'%s' is accepted", bad[i]);
        ck_assert_uint_eq(a.family, 99);
    }
    struct sl_addr a;
    ck_assert_int_eq(sl_addr_parse(&a, "1.2.3.4\0x", 9, 1), STARLING_EINVAL);
    ck_assert_int_eq(sl_addr_parse(&a, NULL, 0, 1), STARLING_EINVAL);
}
END_TEST

START_TEST(the_length_bounds_what_is_read)
{
    struct sl_addr a;
    ck_assert_int_eq(sl_addr_parse(&a, "1.2.3.45:99", 7, 80), 0);
    char text[SL_ADDR_TEXT];
    sl_addr_format(text, &a);
    ck_assert_str_eq(text, "1.2.3.4:80");
}
END_TEST

static void check_split(const char *text, const char *host, unsigned port)
{
    const char *h;
    size_t len;
    uint16_t p;
    ck_assert_msg(sl_addr_split(text, strlen(text), 7700, &h, &len, &p) == 0, "%s refused", text);
    ck_assert_uint_eq(len, strlen(host));
    ck_assert_mem_eq(h, host, len);
    ck_assert_uint_eq(p, port);
}

START_TEST(a_name_is_split_from_its_port)
{
    check_split("seeds.example.org:7701", "seeds.example.org", 7701);
    check_split("Seed_1", "Seed_1", 7700);
    check_split("10.0.0.9:0", "10.0.0.9", 0);
    check_split("fe80::1", "fe80::1", 7700);
    check_split("[fe80::1]:9", "fe80::1", 9);
}
END_TEST

START_TEST(names_with_foreign_characters_or_too_long_are_refused)
{
    const char *h;
    size_t len;
    uint16_t p;
    char name[300];
    memset(name, 'a', sizeof name);
    ck_assert_int_eq(sl_addr_split(name, 253, 1, &h, &len, &p), 0);
    ck_assert_int_eq(sl_addr_split(name, 254, 1, &h, &len, &p), STARLING_EINVAL);
    static const char *const bad[] = {"a b", "a,b", "tcp://a:5", "a/b", "a\tb", "[name]:5", "a:b"};
    for (size_t i = 0; i < SL_COUNT(bad); i++)
        ck_assert_int_eq(sl_addr_split(bad[i], strlen(bad[i]), 1, &h, &len, &p), STARLING_EINVAL);
}
END_TEST

START_TEST(equality_compares_family_port_and_used_bytes)
{
    struct sl_addr a, b;
    ck_assert_int_eq(parse("1.2.3.4:5", &a), 0);
    ck_assert_int_eq(parse("1.2.3.4:5", &b), 0);
    b.ip[4] = 7; /* beyond an IPv4 address */
    ck_assert(sl_addr_eq(&a, &b));
    b.port = 6;
    ck_assert(!sl_addr_eq(&a, &b));
    ck_assert_int_eq(parse("1.2.3.5:5", &b), 0);
    ck_assert(!sl_addr_eq(&a, &b));
    ck_assert_int_eq(parse("[::1]:5", &b), 0);
    ck_assert(!sl_addr_eq(&a, &b));
}
END_TEST

START_TEST(loopback_and_wildcard_are_known_in_both_families)
{
    static const struct {
        const char *text;
        bool loopback, wildcard;
    } cases[] = {
        {"127.0.0.1", true, false},        {"127.9.9.9", true, false},      {"::1", true, false},
        {"::ffff:127.0.0.1", true, false}, {"0.0.0.0", false, true},        {"::", false, true},
        {"10.0.0.1", false, false},        {"::ffff:0.0.0.0", false, true}, {"::2", false, false},
        {"fe80::1", false, false},
    };
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        struct sl_addr a;
        ck_assert_int_eq(parse(cases[i].text, &a), 0);
        ck_assert_msg(sl_addr_is_loopback(&a) == cases[i].loopback, "%s", cases[i].text);
        ck_assert_msg(sl_addr_is_wildcard(&a) == cases[i].wildcard, "%s", cases[i].text);
    }
}
END_TEST

START_TEST(no_address_has_a_text_too)
{
    struct sl_addr none = {0};
    char text[SL_ADDR_TEXT];
    sl_addr_format_host(text, &none);
    ck_assert_str_eq(text, "-");
    ck_assert(!sl_addr_is_loopback(&none) && !sl_addr_is_wildcard(&none));
    ck_assert(sl_addr_eq(&none, &none));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("addr");
    TCase *t = tcase_create("addr");
    tcase_add_test(t, what_is_parsed_is_formatted_canonically);
    tcase_add_test(t, what_is_no_numeric_address_is_refused_and_leaves_the_output_alone);
    tcase_add_test(t, the_length_bounds_what_is_read);
    tcase_add_test(t, a_name_is_split_from_its_port);
    tcase_add_test(t, names_with_foreign_characters_or_too_long_are_refused);
    tcase_add_test(t, equality_compares_family_port_and_used_bytes);
    tcase_add_test(t, loopback_and_wildcard_are_known_in_both_families);
    tcase_add_test(t, no_address_has_a_text_too);
    suite_add_tcase(s, t);
    return run_suite(s);
}
