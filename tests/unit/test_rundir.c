/* test_rundir.c: address files, their owners, and what is done about the dead. */
#include "node/rundir.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[] = "/tmp/starling-test-XXXXXX";
static char runtime[64];
static struct sl_rundir a, b;
static const char id_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char id_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void setup(void)
{
    memcpy(base + sizeof base - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(base));
    (void)snprintf(runtime, sizeof runtime, "%s/run", base);
    ck_assert_int_eq(sl_rundir_open(&a, runtime, "f"), 0);
    ck_assert_int_eq(sl_rundir_open(&b, runtime, "f"), 0);
}

static void teardown(void)
{
    char command[128];
    sl_rundir_close(&a);
    sl_rundir_close(&b);
    (void)snprintf(command, sizeof command, "rm -rf %s", base);
    ck_assert_int_eq(system(command), 0);
}

static struct sl_addr at(uint16_t port)
{
    return (struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = port};
}

static void publish(struct sl_rundir *d, const char *id, uint16_t port)
{
    struct sl_addr addr = at(port);
    ck_assert_int_eq(sl_rundir_publish(d, "n1", id, &addr), 0);
}

static bool exists(const char *name)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/f/%s", runtime, name);
    return lstat(path, &st) == 0;
}

static void put(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/f/%s", runtime, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(text, f) >= 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* What kill -9 leaves: the file stays, the lock goes. */
static void die(struct sl_rundir *d)
{
    ck_assert_int_eq(close(d->fd), 0);
    d->file[0] = '\0';
}

struct seen {
    unsigned n;
    struct sl_addr last;
};

static void on_found(void *context, const struct sl_addr *addr)
{
    struct seen *seen = context;
    seen->n++;
    seen->last = *addr;
}

static struct seen scan(const struct sl_rundir *d)
{
    struct seen seen = {0};
    sl_rundir_scan(d, on_found, &seen);
    return seen;
}

START_TEST(directories_are_closed_to_others)
{
    struct stat st;
    ck_assert_int_eq(stat(runtime, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(stat(a.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

START_TEST(a_directory_open_to_others_writing_is_refused)
{
    struct sl_rundir c;
    ck_assert_int_eq(chmod(runtime, 0777), 0);
    ck_assert_int_eq(sl_rundir_open(&c, runtime, "f"), STARLING_EAUTH);
}
END_TEST

START_TEST(a_symbolic_link_in_place_of_the_directory_is_refused)
{
    struct sl_rundir c;
    char link[128];
    (void)snprintf(link, sizeof link, "%s/link", base);
    ck_assert_int_eq(symlink(runtime, link), 0);
    ck_assert_int_lt(sl_rundir_open(&c, link, "f"), 0);
}
END_TEST

START_TEST(a_node_is_found_by_others_and_not_by_itself)
{
    struct sl_addr expected = at(7701);
    publish(&a, id_a, 7701);
    ck_assert_uint_eq(scan(&a).n, 0);
    struct seen seen = scan(&b);
    ck_assert_uint_eq(seen.n, 1);
    ck_assert(sl_addr_eq(&seen.last, &expected));
}
END_TEST

START_TEST(a_live_namesake_keeps_its_file)
{
    publish(&a, id_a, 7701);
    publish(&b, id_b, 7702);
    ck_assert(exists("n1.addr"));
    ck_assert(exists("n1@bbbbbbbb.addr"));
    ck_assert_uint_eq(scan(&a).last.port, 7702);
    ck_assert_uint_eq(scan(&b).last.port, 7701);
}
END_TEST

START_TEST(a_dead_namesake_is_replaced)
{
    publish(&a, id_a, 7701);
    die(&a);
    publish(&b, id_b, 7702);
    ck_assert(!exists("n1@bbbbbbbb.addr"));
    ck_assert_uint_eq(scan(&a).n, 1);
    ck_assert_uint_eq(scan(&a).last.port, 7702);
}
END_TEST

START_TEST(publishing_changes_the_time_of_the_directory)
{
    struct stat before, after;
    publish(&a, id_a, 7701);
    die(&a);
    ck_assert_int_eq(stat(b.path, &before), 0);
    publish(&b, id_b, 7702);
    ck_assert_int_eq(stat(b.path, &after), 0);
    ck_assert(before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
              before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
}
END_TEST

START_TEST(a_file_that_was_swept_away_is_written_again)
{
    publish(&a, id_a, 7701);
    ck_assert_int_eq(unlink(a.file), 0);
    publish(&a, id_a, 7701);
    ck_assert_uint_eq(scan(&b).n, 1);
}
END_TEST

START_TEST(what_is_no_address_is_skipped)
{
    put("x1.addr", "");
    put("x2.addr", "127.0.0.1:7701 abc"); /* no newline: still being written */
    put("x3.addr", "nonsense\n");
    put("x4.addr", "127.0.0.1:0 abc\n");
    put("x5.txt", "127.0.0.1:7701 abc\n");
    ck_assert_uint_eq(scan(&a).n, 0);
}
END_TEST

START_TEST(the_dead_are_removed_with_their_socket)
{
    struct sl_addr addr = at(7701);
    publish(&a, id_a, 7701);
    put("n1.sock", "");
    put("n1.lock", "");
    die(&a);
    sl_rundir_remove_dead(&b, &addr);
    ck_assert(!exists("n1.addr"));
    ck_assert(!exists("n1.sock"));
    ck_assert(!exists("n1.lock"));
}
END_TEST

START_TEST(a_file_whose_owner_lives_is_not_removed)
{
    struct sl_addr addr = at(7701);
    publish(&a, id_a, 7701);
    sl_rundir_remove_dead(&b, &addr);
    ck_assert(exists("n1.addr"));
}
END_TEST

START_TEST(another_address_is_not_removed)
{
    struct sl_addr other = at(7702);
    publish(&a, id_a, 7701);
    die(&a);
    sl_rundir_remove_dead(&b, &other);
    ck_assert(exists("n1.addr"));
}
END_TEST

START_TEST(closing_removes_our_own_file)
{
    publish(&a, id_a, 7701);
    sl_rundir_close(&a);
    ck_assert(!exists("n1.addr"));
}
END_TEST

START_TEST(three_of_one_name_and_id_have_three_names)
{
    char path[SL_PATH_MAX];
    int fd[4];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sl_rundir_claim_name(a.path, "n1", id_a, ".lock", path, &fd[i]), 0);
    ck_assert_int_eq(sl_rundir_claim_name(a.path, "n1", id_a, ".lock", path, &fd[3]), STARLING_EIO);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(close(fd[i]), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rundir");
    TCase *c = tcase_create("rundir");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, directories_are_closed_to_others);
    tcase_add_test(c, a_directory_open_to_others_writing_is_refused);
    tcase_add_test(c, a_symbolic_link_in_place_of_the_directory_is_refused);
    tcase_add_test(c, a_node_is_found_by_others_and_not_by_itself);
    tcase_add_test(c, a_live_namesake_keeps_its_file);
    tcase_add_test(c, a_dead_namesake_is_replaced);
    tcase_add_test(c, publishing_changes_the_time_of_the_directory);
    tcase_add_test(c, a_file_that_was_swept_away_is_written_again);
    tcase_add_test(c, what_is_no_address_is_skipped);
    tcase_add_test(c, the_dead_are_removed_with_their_socket);
    tcase_add_test(c, a_file_whose_owner_lives_is_not_removed);
    tcase_add_test(c, another_address_is_not_removed);
    tcase_add_test(c, closing_removes_our_own_file);
    tcase_add_test(c, three_of_one_name_and_id_have_three_names);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
