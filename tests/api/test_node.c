/* test_node.c: nodes open, find each other, notice who goes, and leave nothing behind. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "flock.h"

static struct flock_of f;

static void begin(void)
{
    flock_begin(&f);
}

static void end(void)
{
    flock_end(&f);
}

/* ---- opening and closing ------------------------------------------------------------------ */

START_TEST(a_node_sees_itself_as_soon_as_it_is_open)
{
    starling_node *node = flock_open(&f);
    starling_member self;
    size_t n;
    must(starling_members(node, 1, &self, &n));
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(self.name, "n0");
    ck_assert_int_eq((int)self.status, STARLING_ALIVE);
    must(starling_wait_members(node, 1, 0));
}
END_TEST

START_TEST(a_node_knows_its_name_id_and_address)
{
    starling_node *node = flock_open(&f);
    starling_member self;
    size_t n;
    must(starling_members(node, 1, &self, &n));
    ck_assert_str_eq(starling_node_flock(node), "test");
    ck_assert_str_eq(starling_node_name(node), "n0");
    ck_assert_str_eq(starling_node_id(node), self.id);
    ck_assert_str_eq(starling_node_address(node), self.address);
    ck_assert_uint_eq(strlen(self.id), 32);
    ck_assert_int_eq(strncmp(self.address, "127.0.0.1:", 10), 0);
}
END_TEST

START_TEST(a_node_without_a_name_gets_one)
{
    starling_options o = flock_options(&f, NULL);
    starling_node *node;
    must(starling_open(&o, &node));
    ck_assert_str_ne(starling_node_name(node), "");
    starling_close(node);
}
END_TEST

START_TEST(options_of_an_older_program_are_enough)
{
    /* As if the struct had ended before `zone`, behind which there is rubbish. */
    starling_options o = flock_options(&f, "old");
    starling_node *node;
    o.zone = (const char *)8;
    o.state_dir = (const char *)8;
    setenv("STARLING_RUNTIME_DIR", f.runtime, 1);
    setenv("STARLING_CONFIG_DIR", f.config, 1);
    must(starling_open_sized(&o, offsetof(starling_options, zone), &node));
    ck_assert_str_eq(starling_node_name(node), "old");
    starling_close(node);
}
END_TEST

START_TEST(a_closed_node_leaves_no_file_in_the_runtime_directory)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/test", f.runtime);
    (void)flock_open(&f);
    ck_assert_uint_eq(count_entries(dir, ".addr"), 1);
    ck_assert_uint_eq(count_entries(dir, ".sock"), 1);
    flock_close(&f, 0);
    ck_assert_uint_eq(count_entries(dir, ".addr"), 0);
    ck_assert_uint_eq(count_entries(dir, ".sock"), 0);
}
END_TEST

START_TEST(a_hundred_nodes_opened_and_closed_leave_no_descriptor_open)
{
    starling_options o = flock_options(&f, "again");
    starling_node *node;
    must(starling_open(&o, &node)); /* what a library opens once and for all */
    starling_close(node);
    size_t before = count_descriptors();
    for (int i = 0; i < 100; i++) {
        must(starling_open(&o, &node));
        starling_close(node);
    }
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(signals_are_left_to_the_threads_of_the_host)
{
    sigset_t set, old, after;
    (void)flock_open(&f);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    ck_assert_int_eq(sigismember(&after, SIGUSR1), 0); /* ours is as it was */
    /* Blocked in the only other thread, a signal to the process waits for us: nobody takes it. */
    pthread_sigmask(SIG_BLOCK, &set, &old);
    kill(getpid(), SIGUSR1);
    struct timespec patience = {.tv_sec = 5};
    ck_assert_int_eq(sigtimedwait(&set, NULL, &patience), SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
END_TEST

/* ---- finding each other ------------------------------------------------------------------- */

START_TEST(two_nodes_of_one_user_find_each_other_without_configuration)
{
    flock_open_all(&f, 2);
    ck_assert_int_eq(status_of(f.node[0], "n1"), STARLING_ALIVE);
    ck_assert_int_eq(status_of(f.node[1], "n0"), STARLING_ALIVE);
}
END_TEST

START_TEST(three_nodes_all_see_each_other)
{
    flock_open_all(&f, 3);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++)
            ck_assert_int_eq(status_of(f.node[i], f.name[k]), STARLING_ALIVE);
    }
}
END_TEST

START_TEST(a_seed_leads_to_nodes_of_another_runtime_directory)
{
    starling_node *seed = flock_open(&f), *node;
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f.dir);
    starling_options o = flock_options(&f, "far");
    o.runtime_dir = elsewhere;
    o.seeds = starling_node_address(seed);
    must(starling_open(&o, &node));
    must(starling_wait_members(node, 2, PATIENCE_MS));
    must(starling_wait_members(seed, 2, PATIENCE_MS));
    starling_close(node);
}
END_TEST

START_TEST(flocks_of_two_names_do_not_mix)
{
    starling_options o = flock_options(&f, "stranger");
    starling_node *stranger, *node = flock_open(&f);
    o.flock = "other";
    o.seeds = starling_node_address(node); /* even when shown the way */
    must(starling_open(&o, &stranger));
    refuses(STARLING_ETIMEDOUT, starling_wait_members(stranger, 2, 1500));
    ck_assert_int_eq(status_of(node, "stranger"), -1);
    starling_close(stranger);
}
END_TEST

START_TEST(members_are_ordered_by_name_and_counted_beyond_cap)
{
    flock_open_all(&f, 3);
    starling_member members[3];
    size_t n;
    must(starling_members(f.node[1], 3, members, &n));
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(members[i].name, f.name[i]);
    must(starling_members(f.node[1], 1, members, &n));
    ck_assert_uint_eq(n, 3);
    must(starling_members(f.node[1], 0, NULL, &n));
    ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(members_are_copied_at_the_stride_of_the_caller)
{
    enum { BEFORE_STATUS = offsetof(starling_member, status) };
    char list[2 * BEFORE_STATUS + 8];
    size_t n;
    flock_open_all(&f, 2);
    memset(list, 0x5a, sizeof list);
    must(starling_members_sized(f.node[0], 2, (starling_member *)(void *)list, BEFORE_STATUS, &n));
    ck_assert_str_eq(list + offsetof(starling_member, name), "n0");
    ck_assert_str_eq(list + BEFORE_STATUS + offsetof(starling_member, name), "n1");
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(list[2 * BEFORE_STATUS + i], 0x5a);
}
END_TEST

START_TEST(the_zone_of_a_member_is_told)
{
    starling_options o = flock_options(&f, "zoned");
    starling_node *zoned, *node = flock_open(&f);
    starling_member members[2];
    size_t n;
    o.zone = "eu-1a";
    must(starling_open(&o, &zoned));
    must(starling_wait_members(node, 2, PATIENCE_MS));
    must(starling_members(node, 2, members, &n));
    ck_assert_str_eq(members[1].name, "zoned");
    ck_assert_str_eq(members[1].zone, "eu-1a");
    starling_close(zoned);
}
END_TEST

/* ---- going -------------------------------------------------------------------------------- */

START_TEST(a_node_that_is_closed_has_left)
{
    flock_open_all(&f, 3);
    flock_close(&f, 2);
    until(status_of(f.node[0], "n2") == STARLING_LEFT || status_of(f.node[0], "n2") == -1);
    until(status_of(f.node[1], "n2") == STARLING_LEFT || status_of(f.node[1], "n2") == -1);
}
END_TEST

/* A process with one node, which lives until it is killed. Before any node is open here. */
static pid_t start_process(const char *name)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    starling_options o = flock_options(&f, name);
    starling_node *node;
    if (starling_open(&o, &node) < 0)
        _exit(1);
    for (;;)
        pause();
}

START_TEST(a_process_that_is_killed_is_down_and_its_address_file_goes)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/test", f.runtime);
    pid_t child = start_process("victim");
    flock_open_all(&f, 2);
    for (size_t i = 0; i < 2; i++)
        must(starling_wait_members(f.node[i], 3, PATIENCE_MS));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    until(status_of(f.node[0], "victim") == STARLING_DOWN);
    until(status_of(f.node[1], "victim") == STARLING_DOWN);
    until(count_entries(dir, ".addr") == 2);
}
END_TEST

START_TEST(a_flock_meets_again_at_addresses_kept_in_the_state_directory)
{
    char state[2][128], runtime[2][128], address[STARLING_ADDRESS_MAX];
    starling_node *node[2];
    starling_options o[2];
    for (int i = 0; i < 2; i++) {
        snprintf(state[i], sizeof state[i], "%s/state%d", f.dir, i);
        snprintf(runtime[i], sizeof runtime[i], "%s/run%d", f.dir, i);
        o[i] = flock_options(&f, i == 0 ? "first" : "second");
        o[i].runtime_dir = runtime[i];
        o[i].state_dir = state[i];
    }
    must(starling_open(&o[0], &node[0]));
    snprintf(address, sizeof address, "%s", starling_node_address(node[0]));
    o[1].seeds = address;
    must(starling_open(&o[1], &node[1]));
    must(starling_wait_members(node[1], 2, PATIENCE_MS));
    starling_close(node[1]);
    starling_close(node[0]);

    o[0].listen = address; /* where it was; nobody is told this time */
    o[1].seeds = NULL;
    must(starling_open(&o[0], &node[0]));
    must(starling_open(&o[1], &node[1]));
    must(starling_wait_members(node[1], 2, PATIENCE_MS));
    starling_close(node[1]);
    starling_close(node[0]);
}
END_TEST

START_TEST(a_node_with_a_state_directory_keeps_its_id)
{
    char state[128], id[STARLING_ID_MAX];
    starling_options o = flock_options(&f, "lasting");
    starling_node *node;
    snprintf(state, sizeof state, "%s/state", f.dir);
    o.state_dir = state;
    must(starling_open(&o, &node));
    snprintf(id, sizeof id, "%s", starling_node_id(node));
    starling_close(node);
    must(starling_open(&o, &node));
    ck_assert_str_eq(starling_node_id(node), id);
    starling_close(node);
}
END_TEST

static void tell_debug_socket(const char *name, const char *line)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char answer[256] = "";
    snprintf(to.sun_path, sizeof to.sun_path, "%s/test/%s.sock", f.runtime, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
    ck_assert_int_gt(read(fd, answer, sizeof answer - 1), 0);
    ck_assert_msg(strncmp(answer, "{\"ok\":true", 10) == 0, "%s: %s", line, answer);
    close(fd);
}

START_TEST(a_node_that_was_told_to_leave_stops_and_says_so)
{
    flock_open_all(&f, 2);
    starling_registration *reg = offer(f.node[1], "late", 80);
    starling_view *view = view_of(f.node[1], "late");
    starling_instance who;
    starling_service s = {.name = "later", .port = 81};
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    tell_debug_socket("n1", "leave\n");
    refuses(STARLING_ECLOSED, starling_wait_members(f.node[1], 9, PATIENCE_MS));
    refuses(STARLING_ECLOSED, starling_wait_fit(view, 9, PATIENCE_MS));
    refuses(STARLING_ECLOSED, starling_register(f.node[1], &s, NULL));
    refuses(STARLING_ECLOSED, starling_set_health(reg, STARLING_WARNING, NULL));
    refuses(STARLING_ECLOSED, starling_set_weight(reg, 1));
    starling_deregister(reg);
    until(status_of(f.node[0], "n1") == STARLING_LEFT || status_of(f.node[0], "n1") == -1);
    /* What it knew can still be read, and says that it is old. */
    if (starling_pick(view, &who) == 0)
        ck_assert_uint_ne(who.flags & STARLING_F_STALE, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node");
    TCase *tc = tcase_create("node");
    tcase_set_timeout(tc, 90);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, a_node_sees_itself_as_soon_as_it_is_open);
    tcase_add_test(tc, a_node_knows_its_name_id_and_address);
    tcase_add_test(tc, a_node_without_a_name_gets_one);
    tcase_add_test(tc, options_of_an_older_program_are_enough);
    tcase_add_test(tc, a_closed_node_leaves_no_file_in_the_runtime_directory);
    tcase_add_test(tc, a_hundred_nodes_opened_and_closed_leave_no_descriptor_open);
    tcase_add_test(tc, signals_are_left_to_the_threads_of_the_host);
    tcase_add_test(tc, two_nodes_of_one_user_find_each_other_without_configuration);
    tcase_add_test(tc, three_nodes_all_see_each_other);
    tcase_add_test(tc, a_seed_leads_to_nodes_of_another_runtime_directory);
    tcase_add_test(tc, flocks_of_two_names_do_not_mix);
    tcase_add_test(tc, members_are_ordered_by_name_and_counted_beyond_cap);
    tcase_add_test(tc, members_are_copied_at_the_stride_of_the_caller);
    tcase_add_test(tc, the_zone_of_a_member_is_told);
    tcase_add_test(tc, a_node_that_is_closed_has_left);
    tcase_add_test(tc, a_process_that_is_killed_is_down_and_its_address_file_goes);
    tcase_add_test(tc, a_flock_meets_again_at_addresses_kept_in_the_state_directory);
    tcase_add_test(tc, a_node_with_a_state_directory_keeps_its_id);
    tcase_add_test(tc, a_node_that_was_told_to_leave_stops_and_says_so);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
