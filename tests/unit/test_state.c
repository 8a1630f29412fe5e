/* test_state.c: known peers over a restart. */
#include "node/state.h"
#include "tests/suite.h"

#include <check.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/starling-test-XXXXXX";
static char file[64];

static void setup(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(file, sizeof file, "%s/peers", dir);
}

static void teardown(void)
{
    (void)unlink(file);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void put(const char *text)
{
    FILE *f = fopen(file, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(text, f) >= 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(what_is_written_is_read)
{
    struct sl_addr peers[2] = {{.family = 4, .ip = {10, 0, 0, 1}, .port = 1},
                               {.family = 6, .ip = {[15] = 1}, .port = 65535}};
    struct sl_addr read[4];
    ck_assert_int_eq(sl_state_write_peers(dir, peers, 2), 0);
    ck_assert_int_eq(sl_state_read_peers(dir, read, 4), 2);
    ck_assert(sl_addr_eq(&read[0], &peers[0]));
    ck_assert(sl_addr_eq(&read[1], &peers[1]));
}
END_TEST

START_TEST(without_a_file_there_are_no_peers)
{
    struct sl_addr read[1];
    ck_assert_int_eq(sl_state_read_peers(dir, read, 1), 0);
}
END_TEST

START_TEST(a_damaged_line_costs_that_line_alone)
{
    struct sl_addr read[4];
    put("10.0.0.1:1\nnonsense\n\n10.0.0.2:0\n0.0.0.0:1\n10.0.0.3:3\n10.0.0.4:4");
    ck_assert_int_eq(sl_state_read_peers(dir, read, 4), 2);
    ck_assert_uint_eq(read[1].port, 3);
}
END_TEST

START_TEST(no_more_are_read_than_there_is_room_for)
{
    struct sl_addr read[1];
    put("10.0.0.1:1\n10.0.0.2:2\n");
    ck_assert_int_eq(sl_state_read_peers(dir, read, 1), 1);
    ck_assert_uint_eq(read[0].port, 1);
}
END_TEST

START_TEST(a_full_list_survives)
{
    static struct sl_addr peers[SL_PEERS_MAX], read[SL_PEERS_MAX];
    for (size_t i = 0; i < SL_PEERS_MAX; i++) {
        memset(&peers[i], 0xfe, sizeof peers[i]);
        peers[i].family = 6;
    }
    ck_assert_int_eq(sl_state_write_peers(dir, peers, SL_PEERS_MAX), 0);
    ck_assert_int_eq(sl_state_read_peers(dir, read, SL_PEERS_MAX), SL_PEERS_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *c = tcase_create("state");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, what_is_written_is_read);
    tcase_add_test(c, without_a_file_there_are_no_peers);
    tcase_add_test(c, a_damaged_line_costs_that_line_alone);
    tcase_add_test(c, no_more_are_read_than_there_is_room_for);
    tcase_add_test(c, a_full_list_survives);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
