/* test_snapshot.c: who offered what outlives a restart in the state directory. */
#include <fcntl.h>
#include <stdatomic.h>

#include "flock.h"

static struct flock_of f;
static char address[3][STARLING_ADDRESS_MAX]; /* of the nodes below, once they had one */

static void begin(void)
{
    flock_begin(&f);
    memset(address, 0, sizeof address);
}

static void end(void)
{
    flock_end(&f);
}

static void state_path(char out[160], size_t i, const char *name)
{
    snprintf(out, 160, "%s/state%zu%s%s", f.dir, i, name[0] != '\0' ? "/" : "", name);
}

/* Node i, with its state directory, where it was before. */
static starling_node *start(size_t i)
{
    char state[160];
    state_path(state, i, "");
    snprintf(f.name[i], sizeof f.name[i], "n%zu", i);
    starling_options o = flock_options(&f, f.name[i]);
    o.state_dir = state;
    if (address[i][0] != '\0')
        o.listen = address[i];
    must(starling_open(&o, &f.node[i]));
    snprintf(address[i], sizeof address[i], "%s", starling_node_address(f.node[i]));
    f.n = f.n > i + 1 ? f.n : i + 1;
    return f.node[i];
}

/* All but the first offer "users". */
static void start_all(size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)start(i);
    for (size_t i = 1; i < n; i++)
        (void)offer(f.node[i], "users", 8000 + (unsigned)i);
    starling_view *view = view_of(f.node[0], "users");
    must(starling_wait_fit(view, (unsigned)n - 1, PATIENCE_MS));
    starling_view_close(view);
}

static size_t listed(starling_view *view)
{
    size_t n;
    must(starling_view_list(view, 0, NULL, &n));
    return n;
}

static unsigned flags_of_pick(starling_view *view)
{
    starling_instance who;
    must(starling_pick(view, &who));
    return who.flags;
}

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

START_TEST(a_node_that_starts_alone_serves_what_it_knew_as_stale)
{
    starling_instance who;
    start_all(2);
    flock_close(&f, 0);
    flock_close(&f, 1);

    starling_view *view = view_of(start(0), "users");
    must(starling_pick(view, &who));
    ck_assert_str_eq(who.node, "n1");
    ck_assert_uint_eq(who.port, 8001);
    ck_assert_uint_eq(who.flags, STARLING_F_STALE | STARLING_F_SUSPECT);
    /* Nobody is told that it is there. */
    refuses(STARLING_ETIMEDOUT, starling_wait_members(f.node[0], 2, 0));
    refuses(STARLING_ETIMEDOUT, starling_wait_fit(view, 1, 0));
}
END_TEST

START_TEST(whoever_comes_back_is_not_stale_any_more)
{
    start_all(2);
    flock_close(&f, 0);
    flock_close(&f, 1);

    starling_view *view = view_of(start(0), "users");
    ck_assert_uint_eq(flags_of_pick(view), STARLING_F_STALE | STARLING_F_SUSPECT);
    (void)offer(start(1), "users", 8001);
    until(flags_of_pick(view) == 0);
    ck_assert_uint_eq(listed(view), 1);
}
END_TEST

START_TEST(who_does_not_come_back_is_forgotten_once_the_flock_has_answered)
{
    start_all(3);
    for (size_t i = 0; i < 3; i++)
        flock_close(&f, i);

    starling_view *view = view_of(start(0), "users");
    ck_assert_uint_eq(listed(view), 2);
    ck_assert_int_eq(status_of(f.node[0], "n2"), STARLING_SUSPECT);
    (void)offer(start(1), "users", 8001);
    until(listed(view) == 1);
    until(flags_of_pick(view) == 0);
    ck_assert_int_eq(status_of(f.node[0], "n1"), STARLING_ALIVE);
    ck_assert_int_eq(status_of(f.node[0], "n2"), -1);
}
END_TEST

START_TEST(what_a_node_says_anew_counts_and_not_what_is_remembered)
{
    start_all(2);
    flock_close(&f, 0);
    flock_close(&f, 1);

    starling_view *users = view_of(start(0), "users"), *orders = view_of(f.node[0], "orders");
    ck_assert_uint_eq(listed(users), 1);
    (void)offer(start(1), "orders", 8002); /* it offers something else by now */
    must(starling_wait_fit(orders, 1, PATIENCE_MS));
    until(listed(users) == 0);
    until(flags_of_pick(orders) == 0);
}
END_TEST

START_TEST(an_unanswered_snapshot_outlives_further_restarts)
{
    start_all(2);
    flock_close(&f, 0);
    flock_close(&f, 1);
    for (int i = 0; i < 2; i++) {
        starling_view *view = view_of(start(0), "users");
        ck_assert_uint_eq(flags_of_pick(view), STARLING_F_STALE | STARLING_F_SUSPECT);
        (void)offer(f.node[0], "users", 8000); /* its own is not kept, and does not push out */
        must(starling_wait_fit(view, 1, PATIENCE_MS));
        flock_close(&f, 0);
    }
    ck_assert_uint_eq(listed(view_of(start(0), "users")), 1);
}
END_TEST

START_TEST(who_said_goodbye_is_not_remembered)
{
    start_all(2);
    flock_close(&f, 1);
    until(status_of(f.node[0], "n1") == STARLING_LEFT || status_of(f.node[0], "n1") == -1);
    flock_close(&f, 0);
    starling_view *view = view_of(start(0), "users");
    refuses(STARLING_ENOENT, starling_pick(view, &(starling_instance){0}));
    (void)offer(f.node[0], "users", 8000);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    ck_assert_uint_eq(flags_of_pick(view), 0); /* nothing is remembered, so nothing is stale */
}
END_TEST

START_TEST(the_file_is_written_while_the_node_runs_and_closed_to_others)
{
    char path[160], tmp[160];
    struct stat st;
    start_all(2);
    state_path(path, 0, "snapshot");
    until(is_there(path));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    state_path(tmp, 0, "");
    flock_close(&f, 0);
    ck_assert_uint_eq(count_entries(tmp, ""), 4); /* node.key, peers, snapshot, lock: nothing half done */
}
END_TEST

START_TEST(what_happens_to_remembered_instances_is_told_to_watches)
{
    starling_watch *watch;
    starling_event e;
    starling_watch_filter filter = {.service = "users"};
    start_all(3);
    for (size_t i = 0; i < 3; i++)
        flock_close(&f, i);
    must(starling_watch_open(start(0), &filter, &watch));
    starling_view *view = view_of(f.node[0], "users");
    (void)offer(start(1), "users", 8001);
    until(listed(view) == 1);
    bool removed = false;
    for (int tries = 0; !removed && tries < PATIENCE_MS / 5; tries++) {
        while (starling_watch_next(watch, &e) == 1)
            removed |= e.type == STARLING_INSTANCE_REMOVED && strcmp(e.node, "n2") == 0;
        breathe();
    }
    ck_assert(removed);
    starling_watch_close(watch);
}
END_TEST

static atomic_size_t n_complaints; /* by the I/O thread */

static void count_complaints(void *context, int level, const char *line)
{
    (void)context;
    n_complaints += level == 2 && strstr(line, "a restart finds others only") != NULL;
}

START_TEST(a_disk_that_refuses_is_told_once_and_tried_again)
{
    char state[160], path[160], away[200];
    starling_node *node;
    state_path(state, 0, "");
    state_path(path, 0, "snapshot");
    snprintf(away, sizeof away, "%s-away", state);
    (void)offer(start(1), "users", 8001);
    starling_options o = flock_options(&f, "n0");
    o.state_dir = state;
    o.log = count_complaints;
    n_complaints = 0;
    must(starling_open(&o, &node));
    ck_assert_int_eq(rename(state, away), 0); /* not even root can write into what is not there */
    starling_view *view = view_of(node, "users");
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    until(n_complaints == 1);
    ck_assert_int_eq(rename(away, state), 0);
    until(is_there(path));
    ck_assert_uint_eq(n_complaints, 1);
    starling_close(node);
}
END_TEST

/* ---- files that do not serve -------------------------------------------------------------- */

static char last_warning[300];

static void keep_warning(void *context, int level, const char *line)
{
    (void)context;
    if (level == 2 && strstr(line, "snapshot") != NULL)
        snprintf(last_warning, sizeof last_warning, "%s", line);
}

static void starts_without_it(const char *flock, const char *why)
{
    char state[160];
    starling_node *node;
    state_path(state, 0, "");
    starling_options o = flock_options(&f, "n0");
    o.flock = flock;
    o.state_dir = state;
    o.log = keep_warning;
    last_warning[0] = '\0';
    must(starling_open(&o, &node));
    ck_assert_msg(strstr(last_warning, why) != NULL, "'%s' does not say '%s'", last_warning, why);
    starling_view *view = view_of(node, "users");
    refuses(STARLING_ENOENT, starling_pick(view, &(starling_instance){0}));
    starling_close(node);
}

static void overwrite(const char *path, off_t at, const void *p, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, p, len, at), (ssize_t)len);
    close(fd);
}

START_TEST(a_file_that_does_not_serve_is_named_and_ignored)
{
    char path[160];
    start_all(2);
    flock_close(&f, 0);
    flock_close(&f, 1);
    state_path(path, 0, "snapshot");
    starts_without_it("other", "another flock");

    overwrite(path, 100, "x", 1);
    starts_without_it("test", "damaged");
    ck_assert_int_eq(truncate(path, 20), 0);
    starts_without_it("test", "cut off");
    ck_assert_int_eq(truncate(path, 5 * 1024 * 1024), 0);
    starts_without_it("test", "longer than");
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
    starts_without_it("test", "open to others");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    starts_without_it("test", "ordinary file");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tc = tcase_create("snapshot");
    tcase_set_timeout(tc, 90);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, a_node_that_starts_alone_serves_what_it_knew_as_stale);
    tcase_add_test(tc, whoever_comes_back_is_not_stale_any_more);
    tcase_add_test(tc, who_does_not_come_back_is_forgotten_once_the_flock_has_answered);
    tcase_add_test(tc, what_a_node_says_anew_counts_and_not_what_is_remembered);
    tcase_add_test(tc, an_unanswered_snapshot_outlives_further_restarts);
    tcase_add_test(tc, who_said_goodbye_is_not_remembered);
    tcase_add_test(tc, the_file_is_written_while_the_node_runs_and_closed_to_others);
    tcase_add_test(tc, what_happens_to_remembered_instances_is_told_to_watches);
    tcase_add_test(tc, a_disk_that_refuses_is_told_once_and_tried_again);
    tcase_add_test(tc, a_file_that_does_not_serve_is_named_and_ignored);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
