/* test_debug.c: one line to the debug socket, in words or in JSON. */
#include "node/debug_request.h"
#include "tests/suite.h"

#include <check.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>

static struct sl_request r;
static char error[SL_REQUEST_ERROR_MAX];

static int parse(const char *line)
{
    memset(&r, 0xee, sizeof r);
    error[0] = '\0';
    return sl_request_parse(line, strlen(line), &r, error);
}

START_TEST(a_word_is_a_command)
{
    static const struct {
        const char *line;
        enum sl_request_cmd cmd;
    } cases[] = {{"help", SL_ASK_HELP},
                 {"version", SL_ASK_VERSION},
                 {"members", SL_ASK_MEMBERS},
                 {"info", SL_ASK_INFO},
                 {"watch", SL_ASK_WATCH},
                 {"services", SL_ASK_SERVICES},
                 {"drain", SL_ASK_DRAIN},
                 {"leave", SL_ASK_LEAVE},
                 {" members \t\r", SL_ASK_MEMBERS},
                 {"{\"cmd\":\"members\"}", SL_ASK_MEMBERS}};
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        ck_assert_msg(parse(cases[i].line) == 0, "%s: %s", cases[i].line, error);
        ck_assert_int_eq(r.cmd, cases[i].cmd);
        ck_assert_str_eq(r.tenant, "default");
        ck_assert_str_eq(r.node, "");
    }
}
END_TEST

static const char *const picks[] = {"pick users t1",
                                    "{\"cmd\":\"pick\",\"service\":\"users\",\"tenant\":\"t1\"}",
                                    "{\"tenant\":\"t1\",\"service\":\"users\",\"cmd\":\"pick\"}\r"};
START_TEST(words_and_json_mean_the_same)
{
    ck_assert_msg(parse(picks[_i]) == 0, "%s: %s", picks[_i], error);
    ck_assert_int_eq(r.cmd, SL_ASK_PICK);
    ck_assert_str_eq(r.service, "users");
    ck_assert_str_eq(r.tenant, "t1");
}
END_TEST

/* In the order of enum starling_strategy. */
static const char *const strategies[] = {"p2c_ewma",          "round_robin", "weighted_random",
                                         "least_connections", "rendezvous",  "healthy_first",
                                         "local_first"};
START_TEST(pick_takes_a_strategy_by_name)
{
    bool keyed = strcmp(strategies[_i], "rendezvous") == 0;
    char line[200];
    (void)snprintf(line, sizeof line, "pick users default %s%s", strategies[_i],
                   keyed ? " user-7" : "");
    ck_assert_msg(parse(line) == 0, "%s: %s", line, error);
    ck_assert_uint_eq(r.strategy, (unsigned)_i);
    ck_assert_str_eq(r.key, keyed ? "user-7" : "");
    (void)snprintf(line, sizeof line,
                   "{%s\"strategy\":\"%s\",\"service\":\"users\",\"cmd\":\"pick\"}",
                   keyed ? "\"key\":\"user 7\"," : "", strategies[_i]);
    ck_assert_msg(parse(line) == 0, "%s: %s", line, error);
    ck_assert_uint_eq(r.strategy, (unsigned)_i);
    ck_assert_str_eq(r.key, keyed ? "user 7" : "");
    ck_assert_uint_eq(r.key_len, keyed ? 6 : 0);
}
END_TEST

START_TEST(pick_without_a_strategy_takes_the_default)
{
    ck_assert_int_eq(parse("pick users"), 0);
    ck_assert_uint_eq(r.strategy, STARLING_WEIGHTED_RANDOM);
    ck_assert_uint_eq(r.key_len, 0);
}
END_TEST

START_TEST(a_key_has_a_length_that_is_kept)
{
    char line[400];
    int len = snprintf(line, sizeof line, "pick a default rendezvous ");
    memset(line + len, 'k', sizeof line - (size_t)len);
    ck_assert_int_eq(sl_request_parse(line, (size_t)len + SL_REQUEST_KEY_MAX, &r, error), 0);
    ck_assert_uint_eq(r.key_len, SL_REQUEST_KEY_MAX);
    ck_assert_int_eq(sl_request_parse(line, (size_t)len + SL_REQUEST_KEY_MAX + 1, &r, error),
                     STARLING_EINVAL);
}
END_TEST

START_TEST(watch_tells_a_given_number_from_none)
{
    ck_assert_int_eq(parse("watch"), 0);
    ck_assert(!r.has_since);
    ck_assert_int_eq(parse("watch 0"), 0);
    ck_assert(r.has_since);
    ck_assert_int_eq(parse("{\"cmd\":\"watch\",\"since\":41}"), 0);
    ck_assert_uint_eq(r.since, 41);
    ck_assert_int_eq(parse("{\"cmd\":\"watch\",\"since\":null,\"service\":\"users\"}"), 0);
    ck_assert(!r.has_since);
    ck_assert_str_eq(r.service, "users");
}
END_TEST

START_TEST(weight_takes_a_service_and_a_number)
{
    ck_assert_int_eq(parse("weight users 0"), 0);
    ck_assert_uint_eq(r.weight, 0);
    ck_assert_int_eq(parse("{\"cmd\":\"weight\",\"service\":\"users\",\"weight\":1000}"), 0);
    ck_assert_uint_eq(r.weight, 1000);
    ck_assert(!r.base);
    ck_assert_int_eq(parse("weight users base"), 0);
    ck_assert(r.base);
}
END_TEST

static const struct {
    const char *line, *names;
} bad[] = {
    {"", "help"},
    {"   ", "help"},
    {"membrs", "membrs"},
    {"members now", "now"},
    {"pick", "service"},
    {"pick Users", "service"},
    {"pick a b c", "'c'"},
    {"pick a b ewma", "p2c_ewma"},
    {"pick a b random", "local_first"},
    {"pick a b rendezvous", "needs a key"},
    {"pick a b round_robin k", "key"},
    {"pick a b rendezvous k more", "'more'"},
    {"{\"cmd\":\"pick\",\"service\":\"a\",\"key\":\"k\"}", "rendezvous"},
    {"{\"cmd\":\"pick\",\"service\":\"a\",\"key\":\"\"}", "key"},
    {"{\"cmd\":\"pick\",\"service\":\"a\",\"strategy\":\"\"}", "strategy"},
    {"{\"cmd\":\"pick\",\"service\":\"a\",\"strategy\":1}", "strategy"},
    {"{\"cmd\":\"weight\",\"service\":\"a\",\"weight\":1,\"strategy\":\"round_robin\"}",
     "strategy"},
    {"weight users", "weight"},
    {"weight users many", "weight"},
    {"weight users 1001", "weight"},
    {"watch 1x", "since"},
    {"watch 9999999999999999999", "since"},
    {"watch -1", "since"},
    {"{", "JSON"},
    {"{}", "cmd"},
    {"{\"cmd\":1}", "cmd"},
    {"{\"cmd\":\"members\"} x", "JSON"},
    {"{\"cmd\":\"members\",\"cmd\":\"leave\"}", "JSON"},
    {"{\"cmd\":\"pick\"}", "service"},
    {"{\"cmd\":\"pick\",\"service\":null}", "service"},
    {"{\"cmd\":\"pick\",\"service\":1}", "service"},
    {"{\"cmd\":\"pick\",\"service\":\"a\\u0000b\"}", "JSON"},
    {"{\"cmd\":\"watch\",\"since\":-1}", "since"},
    {"{\"cmd\":\"watch\",\"since\":1.5}", "since"},
    {"{\"cmd\":\"watch\",\"sinse\":1}", "sinse"},
    {"{\"cmd\":\"\\u0007\"}", "command"},
};
START_TEST(what_is_not_understood_is_named)
{
    ck_assert_int_eq(parse(bad[_i].line), STARLING_EINVAL);
    ck_assert_msg(strstr(error, bad[_i].names) != NULL, "%s: '%s' does not name '%s'", bad[_i].line,
                  error, bad[_i].names);
}
END_TEST

START_TEST(a_request_of_brackets_is_refused)
{
    char line[4096];
    memset(line, '[', sizeof line);
    memcpy(line, "{\"cmd\":", 7);
    ck_assert_int_eq(sl_request_parse(line, sizeof line, &r, error), STARLING_EINVAL);
}
END_TEST

START_TEST(every_byte_is_survived)
{
    char line[3] = "a";
    for (int i = 0; i < 256; i++) {
        line[1] = (char)i;
        ck_assert_int_eq(sl_request_parse(line, 2, &r, error), STARLING_EINVAL);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("debug");
    TCase *c = tcase_create("request");
    tcase_add_test(c, a_word_is_a_command);
    tcase_add_loop_test(c, words_and_json_mean_the_same, 0, (int)SL_COUNT(picks));
    tcase_add_loop_test(c, pick_takes_a_strategy_by_name, 0, (int)SL_COUNT(strategies));
    tcase_add_test(c, pick_without_a_strategy_takes_the_default);
    tcase_add_test(c, a_key_has_a_length_that_is_kept);
    tcase_add_test(c, watch_tells_a_given_number_from_none);
    tcase_add_test(c, weight_takes_a_service_and_a_number);
    tcase_add_loop_test(c, what_is_not_understood_is_named, 0, (int)SL_COUNT(bad));
    tcase_add_test(c, a_request_of_brackets_is_refused);
    tcase_add_test(c, every_byte_is_survived);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
