/* test_settings.c: one setting, three spellings, and errors that name the place. */
#include "node/settings.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "tests/suite.h"

static const char *const variables[] = {
    "STARLING_FLOCK",      "STARLING_NAME",        "STARLING_LISTEN",    "STARLING_ADVERTISE",
    "STARLING_SEEDS",      "STARLING_ZONE",        "STARLING_STATE_DIR", "STARLING_RUNTIME_DIR",
    "STARLING_CONFIG_DIR", "STARLING_CREDENTIALS", "STARLING_LEAVE_MS",  "STARLING_LOG",
    "STARLING_CONFIG"};

static char dir[] = "/tmp/starling-test-XXXXXX";
static char conf[64];
static struct sl_settings s;

static void clean_environment(void)
{
    for (size_t i = 0; i < SL_COUNT(variables); i++)
        unsetenv(variables[i]);
    memset(&s, 0, sizeof s);
}

static void setup(void)
{
    clean_environment();
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(conf, sizeof conf, "%s/node.conf", dir);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    setenv("XDG_CONFIG_HOME", dir, 1);
}

static void teardown(void)
{
    (void)unlink(conf);
    (void)rmdir(dir);
}

static void write_conf(const char *text)
{
    FILE *f = fopen(conf, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(text, f) >= 0);
    ck_assert_int_eq(fclose(f), 0);
}

static int load_conf(const char *text)
{
    starling_options o = {.config_file = conf};
    write_conf(text);
    return sl_settings_load(&o, &s);
}

static void refuses(const starling_options *o, const char *names)
{
    ck_assert_int_eq(sl_settings_load(o, &s), STARLING_EINVAL);
    ck_assert_msg(strstr(sl_fail_text(), names) != NULL, "'%s' does not name '%s'", sl_fail_text(),
                  names);
}

START_TEST(with_nothing_set_everything_has_its_default)
{
    char path[64];
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    ck_assert_str_eq(s.flock, "default");
    ck_assert(sl_name_ok(s.name, strlen(s.name)));
    ck_assert_str_eq(s.zone, "");
    ck_assert_uint_eq(s.listen.family, 0);
    ck_assert_uint_eq(s.n_seeds, 0);
    ck_assert_str_eq(s.state_dir, "");
    ck_assert_uint_eq(s.leave_ms, 1000);
    ck_assert_int_eq(s.log_level, 0);
    (void)snprintf(path, sizeof path, "%s/starling", dir);
    ck_assert_str_eq(s.runtime_dir, path);
    ck_assert_str_eq(s.config_dir, path);
}
END_TEST

START_TEST(two_generated_names_differ)
{
    char first[64];
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    memcpy(first, s.name, sizeof first);
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    ck_assert_str_ne(s.name, first);
}
END_TEST

START_TEST(environment_beats_the_file_and_an_option_beats_both)
{
    starling_options o = {.config_file = conf, .zone = "option"};
    write_conf("flock = file\nname = file\nzone = file\n");
    setenv("STARLING_NAME", "environment", 1);
    setenv("STARLING_ZONE", "environment", 1);
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    ck_assert_str_eq(s.flock, "file");
    ck_assert_str_eq(s.name, "environment");
    ck_assert_str_eq(s.zone, "option");
}
END_TEST

START_TEST(an_empty_variable_is_an_unset_one)
{
    setenv("STARLING_FLOCK", "", 1);
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    ck_assert_str_eq(s.flock, "default");
}
END_TEST

START_TEST(the_file_may_be_named_by_the_environment)
{
    write_conf("flock = birds\n");
    setenv("STARLING_CONFIG", conf, 1);
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    ck_assert_str_eq(s.flock, "birds");
}
END_TEST

START_TEST(an_unknown_key_names_file_and_line)
{
    ck_assert_int_eq(load_conf("# seeds\nflock = a\nsedes = b\n"), STARLING_EINVAL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), conf));
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 3"));
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "sedes"));
}
END_TEST

START_TEST(a_line_without_equals_is_named)
{
    ck_assert_int_eq(load_conf("flock = a\nnonsense\n"), STARLING_EINVAL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 2"));
}
END_TEST

START_TEST(a_section_is_refused)
{
    ck_assert_int_eq(load_conf("[node]\nflock = a\n"), STARLING_EINVAL);
}
END_TEST

START_TEST(a_key_set_twice_is_refused)
{
    ck_assert_int_eq(load_conf("flock = a\nflock = b\n"), STARLING_EINVAL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 2"));
}
END_TEST

START_TEST(a_line_too_long_for_the_file_is_refused_and_not_cut)
{
    char text[600] = "state_dir = /";
    memset(text + strlen(text), 'x', 500);
    ck_assert_int_eq(load_conf(text), STARLING_EINVAL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 1"));
}
END_TEST

START_TEST(a_bad_value_names_the_line_it_was_set_in)
{
    ck_assert_int_eq(load_conf("\nflock = Not A Name\n"), STARLING_EINVAL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 2"));
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error)
{
    starling_options o = {.config_file = "/nonexistent/starling.conf"};
    ck_assert_int_eq(sl_settings_load(&o, &s), STARLING_EIO);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), o.config_file));
}
END_TEST

START_TEST(a_fifo_is_not_waited_for)
{
    starling_options o = {.config_file = conf};
    ck_assert_int_eq(mkfifo(conf, 0600), 0);
    ck_assert_int_eq(sl_settings_load(&o, &s), STARLING_EIO);
}
END_TEST

START_TEST(seeds_have_the_default_port_and_may_be_names)
{
    starling_options o = {.seeds = "10.0.0.1, seed.example:7800 ,[fd00::1]:1,fd00::2,"};
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    ck_assert_uint_eq(s.n_seeds, 4);
    ck_assert_str_eq(s.seeds[0].host, "10.0.0.1");
    ck_assert_uint_eq(s.seeds[0].port, 7700);
    ck_assert_str_eq(s.seeds[1].host, "seed.example");
    ck_assert_uint_eq(s.seeds[1].port, 7800);
    ck_assert_str_eq(s.seeds[2].host, "fd00::1");
    ck_assert_uint_eq(s.seeds[2].port, 1);
    ck_assert_str_eq(s.seeds[3].host, "fd00::2");
    ck_assert_uint_eq(s.seeds[3].port, 7700);
}
END_TEST

START_TEST(seeds_of_several_lines_add_up)
{
    ck_assert_int_eq(load_conf("seeds = a:1\nflock = f\nseeds = b:2, c:3\n"), 0);
    ck_assert_uint_eq(s.n_seeds, 3);
    ck_assert_str_eq(s.seeds[2].host, "c");
}
END_TEST

static const char *const bad_seeds[] = {"a b",     "host:0", "host:65536", "host:x", "[::1",
                                        "0.0.0.0", ":7700",  "-x",         "h/ost"};
START_TEST(a_seed_that_cannot_be_one_is_refused)
{
    setenv("STARLING_SEEDS", bad_seeds[_i], 1);
    refuses(NULL, "STARLING_SEEDS");
}
END_TEST

START_TEST(more_than_64_seeds_are_refused)
{
    char text[1024] = "";
    for (int i = 0; i < 65; i++)
        strcat(text, "h:1,");
    starling_options o = {.seeds = text};
    refuses(&o, "64");
}
END_TEST

START_TEST(listen_has_the_default_port_unless_it_is_given)
{
    starling_options o = {.listen = "10.0.0.1"};
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    ck_assert_uint_eq(s.listen.port, 7700);
    o.listen = "localhost:0";
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    ck_assert(sl_addr_is_loopback(&s.listen));
    ck_assert_uint_eq(s.listen.port, 0);
}
END_TEST

START_TEST(a_wildcard_cannot_be_advertised)
{
    starling_options o = {.advertise = "0.0.0.0:7700"};
    refuses(&o, "advertise");
}
END_TEST

START_TEST(a_name_that_means_a_directory_is_refused)
{
    starling_options o = {.flock = ".."};
    refuses(&o, "flock");
}
END_TEST

START_TEST(log_levels_are_words)
{
    ck_assert_int_eq(sl_log_level_parse("error"), 1);
    ck_assert_int_eq(sl_log_level_parse("debug"), 4);
    ck_assert_int_eq(sl_log_level_parse("loud"), 0);
    setenv("STARLING_LOG", "loud", 1);
    refuses(NULL, "STARLING_LOG");
}
END_TEST

START_TEST(a_relative_directory_is_made_absolute)
{
    starling_options o = {.state_dir = "state"};
    ck_assert_int_eq(chdir("/tmp"), 0);
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    ck_assert_str_eq(s.state_dir, "/tmp/state");
}
END_TEST

START_TEST(a_runtime_directory_of_somebody_else_is_not_used)
{
    char expected[64];
    if (geteuid() != 0)
        return; /* only root can make one */
    ck_assert_int_eq(chown(dir, 12345, 12345), 0);
    char path[SL_PATH_MAX];
    sl_settings_runtime_dir(path);
    (void)snprintf(expected, sizeof expected, "/tmp/starling-%u", (unsigned)geteuid());
    ck_assert_str_eq(path, expected);
}
END_TEST

START_TEST(root_with_a_foreign_home_uses_its_own)
{
    if (geteuid() != 0)
        return;
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", dir, 1);
    ck_assert_int_eq(chown(dir, 12345, 12345), 0);
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    ck_assert_str_ne(s.config_dir, "");
    ck_assert_ptr_null(strstr(s.config_dir, dir));
}
END_TEST

START_TEST(without_seeds_a_node_listens_on_loopback_and_a_free_port)
{
    ck_assert_int_eq(sl_settings_load(NULL, &s), 0);
    sl_settings_choose_listen(&s);
    ck_assert(sl_addr_is_loopback(&s.listen));
    ck_assert_uint_eq(s.listen.port, 0);
    ck_assert_uint_eq(s.advertise.family, 0);
}
END_TEST

START_TEST(with_a_local_seed_a_node_stays_on_loopback)
{
    starling_options o = {.seeds = "127.0.0.1,localhost"};
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    sl_settings_choose_listen(&s);
    ck_assert(sl_addr_is_loopback(&s.listen));
}
END_TEST

START_TEST(a_wildcard_listener_advertises_an_address)
{
    starling_options o = {.listen = "0.0.0.0:7711"};
    ck_assert_int_eq(sl_settings_load(&o, &s), 0);
    sl_settings_choose_listen(&s);
    ck_assert_uint_eq(s.advertise.family, 4);
    ck_assert(!sl_addr_is_wildcard(&s.advertise));
    ck_assert_uint_eq(s.advertise.port, 7711);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *c = tcase_create("settings");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, with_nothing_set_everything_has_its_default);
    tcase_add_test(c, two_generated_names_differ);
    tcase_add_test(c, environment_beats_the_file_and_an_option_beats_both);
    tcase_add_test(c, an_empty_variable_is_an_unset_one);
    tcase_add_test(c, the_file_may_be_named_by_the_environment);
    tcase_add_test(c, an_unknown_key_names_file_and_line);
    tcase_add_test(c, a_line_without_equals_is_named);
    tcase_add_test(c, a_section_is_refused);
    tcase_add_test(c, a_key_set_twice_is_refused);
    tcase_add_test(c, a_line_too_long_for_the_file_is_refused_and_not_cut);
    tcase_add_test(c, a_bad_value_names_the_line_it_was_set_in);
    tcase_add_test(c, a_file_that_is_not_there_is_an_error);
    tcase_add_test(c, a_fifo_is_not_waited_for);
    tcase_add_test(c, seeds_have_the_default_port_and_may_be_names);
    tcase_add_test(c, seeds_of_several_lines_add_up);
    tcase_add_loop_test(c, a_seed_that_cannot_be_one_is_refused, 0, (int)SL_COUNT(bad_seeds));
    tcase_add_test(c, more_than_64_seeds_are_refused);
    tcase_add_test(c, listen_has_the_default_port_unless_it_is_given);
    tcase_add_test(c, a_wildcard_cannot_be_advertised);
    tcase_add_test(c, a_name_that_means_a_directory_is_refused);
    tcase_add_test(c, log_levels_are_words);
    tcase_add_test(c, a_relative_directory_is_made_absolute);
    tcase_add_test(c, a_runtime_directory_of_somebody_else_is_not_used);
    tcase_add_test(c, root_with_a_foreign_home_uses_its_own);
    tcase_add_test(c, without_seeds_a_node_listens_on_loopback_and_a_free_port);
    tcase_add_test(c, with_a_local_seed_a_node_stays_on_loopback);
    tcase_add_test(c, a_wildcard_listener_advertises_an_address);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
