/* test_watch.c: what changes is told, in order, once, and whoever missed something is told that. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

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

static bool readable(starling_watch *watch)
{
    struct pollfd p = {.fd = starling_watch_fd(watch), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static starling_watch *watch_from(starling_node *node, const char *service, uint64_t since)
{
    starling_watch_filter filter = {.service = service, .since = since};
    starling_watch *watch = NULL;
    must(starling_watch_open(node, &filter, &watch));
    return watch;
}

/* The next event, waiting for it on the descriptor as an event loop does. */
static starling_event next(starling_watch *watch)
{
    starling_event event;
    struct pollfd p = {.fd = starling_watch_fd(watch), .events = POLLIN};
    ck_assert_msg(poll(&p, 1, PATIENCE_MS) == 1, "no event came");
    ck_assert_int_eq(starling_watch_next(watch, &event), 1);
    return event;
}

/* The next event of this type; others are passed over. */
static starling_event next_of(starling_watch *watch, enum starling_event_type type)
{
    starling_event event;
    do {
        event = next(watch);
    } while (event.type != type);
    return event;
}

START_TEST(an_instance_is_added_changed_and_removed)
{
    flock_open_all(&f, 2);
    starling_watch *watch = watch_from(f.node[1], "payments", 0);
    starling_registration *reg = offer(f.node[0], "payments", 8080);
    starling_event event = next(watch);
    ck_assert_int_eq((int)event.type, STARLING_INSTANCE_ADDED);
    ck_assert_str_eq(event.node, "n0");
    ck_assert_str_eq(event.id, starling_node_id(f.node[0]));
    ck_assert_str_eq(event.service, "payments");
    ck_assert_str_eq(event.tenant, "default");
    ck_assert_str_eq(event.address, "127.0.0.1:8080");
    must(starling_set_health(reg, STARLING_CRITICAL, NULL));
    do {
        event = next(watch);
        ck_assert_int_eq((int)event.type, STARLING_INSTANCE_CHANGED);
    } while (event.health != STARLING_CRITICAL);
    starling_deregister(reg);
    event = next_of(watch, STARLING_INSTANCE_REMOVED);
    ck_assert_str_eq(event.service, "payments");
}
END_TEST

START_TEST(a_member_is_up_and_leaves)
{
    starling_watch *watch = watch_from(flock_open(&f), NULL, 0);
    (void)flock_open(&f);
    starling_event event;
    do {
        event = next_of(watch, STARLING_MEMBER_UP);
    } while (strcmp(event.node, "n1") != 0);
    ck_assert_str_eq(event.address, starling_node_address(f.node[1]));
    ck_assert_str_eq(event.id, starling_node_id(f.node[1]));
    flock_close(&f, 1);
    ck_assert_str_eq(next_of(watch, STARLING_MEMBER_LEFT).node, "n1");
}
END_TEST

START_TEST(events_are_numbered_without_gaps_and_carry_the_time)
{
    starling_node *node = flock_open(&f);
    starling_watch *watch = watch_from(node, NULL, 0);
    char name[16];
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "s%u", i);
        (void)offer(node, name, 1 + i);
    }
    starling_event last = next(watch);
    for (unsigned i = 1; i < 10; i++) {
        starling_event event = next(watch);
        ck_assert_uint_eq(event.seq, last.seq + 1);
        ck_assert_int_ge(event.wall_ms, now_ms - 5000);
        ck_assert_int_le(event.wall_ms, now_ms + 90000);
        last = event;
    }
}
END_TEST

/* Whatever happens in a flock, nobody is woken for it more than ten times a second. */
START_TEST(what_many_say_one_after_the_other_is_told_in_batches)
{
    enum { N = 8 };
    flock_open_all(&f, N);
    starling_watch *watch = watch_from(f.node[0], "web", 0);
    starling_registration *reg[N];
    for (unsigned i = 0; i < N; i++)
        reg[i] = offer(f.node[i], "web", 1 + i);
    for (unsigned i = 0; i < N; i++)
        (void)next_of(watch, STARLING_INSTANCE_ADDED);
    for (unsigned i = 0; i < N; i++) {
        must(starling_set_health(reg[i], STARLING_CRITICAL, NULL));
        breathe(); /* the pace is what is tested */
        breathe();
    }
    int64_t first = 0, last = 0, batches = 0;
    for (unsigned left = N; left > 0;) {
        starling_event event = next_of(watch, STARLING_INSTANCE_CHANGED);
        if (event.health != STARLING_CRITICAL)
            continue;
        batches += event.wall_ms - last > 5;
        last = event.wall_ms;
        first = first ? first : last;
        left--;
    }
    /* Twice what fits: a thread that has to wait for its processor within a batch makes two of it. */
    ck_assert_int_le(batches, 2 * (1 + (last - first) / 100));
}
END_TEST

START_TEST(the_descriptor_is_readable_exactly_while_events_wait)
{
    starling_node *node = flock_open(&f);
    starling_watch *watch = watch_from(node, "web", 0);
    starling_event event;
    ck_assert(!readable(watch));
    ck_assert_int_eq(starling_watch_next(watch, &event), 0);
    (void)offer(node, "other", 1);
    (void)offer(node, "web", 2);
    until(readable(watch));
    ck_assert_int_eq(starling_watch_next(watch, &event), 1);
    ck_assert_str_eq(event.service, "web");
    ck_assert(!readable(watch));
    ck_assert_int_eq(starling_watch_next(watch, &event), 0);
}
END_TEST

START_TEST(a_filter_hides_members_and_other_services)
{
    flock_open_all(&f, 2);
    starling_watch *watch = watch_from(f.node[0], "wanted", 0);
    (void)offer(f.node[1], "unwanted", 1);
    (void)flock_open(&f);
    must(starling_wait_members(f.node[0], 3, PATIENCE_MS));
    must(starling_wait_fit(view_of(f.node[0], "unwanted"), 1, PATIENCE_MS));
    (void)offer(f.node[1], "wanted", 2);
    ck_assert_str_eq(next(watch).service, "wanted");
}
END_TEST

START_TEST(a_watcher_resumes_after_the_last_event_that_it_saw)
{
    starling_node *node = flock_open(&f);
    starling_watch *watch = watch_from(node, NULL, 0);
    (void)offer(node, "first", 1);
    starling_event seen = next_of(watch, STARLING_INSTANCE_ADDED);
    starling_watch_close(watch);
    (void)offer(node, "second", 2);
    must(starling_wait_fit(view_of(node, "second"), 1, PATIENCE_MS));
    watch = watch_from(node, NULL, seen.seq);
    starling_event event = next_of(watch, STARLING_INSTANCE_ADDED);
    ck_assert_str_eq(event.service, "second");
    ck_assert_uint_eq(event.seq, seen.seq + 1);
}
END_TEST

START_TEST(a_number_that_was_never_given_is_answered_with_resync)
{
    starling_node *node = flock_open(&f);
    starling_watch *watch = watch_from(node, "web", UINT64_MAX);
    starling_event event = next(watch);
    ck_assert_int_eq((int)event.type, STARLING_RESYNC);
    (void)offer(node, "web", 1);
    ck_assert_str_eq(next(watch).service, "web");
}
END_TEST

/* Every service that a node may offer, offered and withdrawn: so many events a node and time. */
static void commotion(size_t node, starling_registration **reg, bool on)
{
    char name[32];
    for (unsigned i = 0; i < STARLING_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "%s-%u", f.name[node], i);
        if (on)
            reg[i] = offer(f.node[node], name, 1 + i);
        else
            starling_deregister(reg[i]);
    }
}

START_TEST(a_watcher_that_falls_behind_gets_one_resync_and_then_only_what_is_new)
{
    static starling_registration *reg[3][STARLING_SERVICES_MAX];
    char last[32];
    flock_open_all(&f, 3);
    starling_watch *slow = watch_from(f.node[0], NULL, 0);
    starling_watch *filtered = watch_from(f.node[0], "quiet", 0);
    for (int round = 0; round < 4; round++) { /* 3 * 64 events each */
        for (size_t i = 0; i < 3; i++) {
            commotion(i, reg[i], round % 2 == 0);
            snprintf(last, sizeof last, "n%zu-63", i);
            starling_view *view = view_of(f.node[0], last);
            until((pick_says(view) == 0) == (round % 2 == 0));
        }
    }
    starling_watch *late = watch_from(f.node[0], NULL, 1);
    ck_assert_int_eq((int)next(slow).type, STARLING_RESYNC);
    ck_assert_int_eq((int)next(late).type, STARLING_RESYNC);
    ck_assert_msg(!readable(filtered), "a filter for a quiet service fell behind");
    (void)offer(f.node[1], "quiet", 9);
    ck_assert_str_eq(next(filtered).service, "quiet");
    starling_event event;
    do {
        event = next(slow);
        ck_assert_int_ne((int)event.type, STARLING_RESYNC);
    } while (strcmp(event.service, "quiet") != 0);
}
END_TEST

START_TEST(watches_are_limited_and_can_be_opened_again_when_closed)
{
    starling_node *node = flock_open(&f);
    starling_watch *watch[1024], *more;
    size_t n = 0;
    int r = 0;
    while (n < 1024 && (r = starling_watch_open(node, NULL, &watch[n])) == 0)
        n++;
    ck_assert_int_eq(r, STARLING_ELIMIT);
    ck_assert_uint_ge(n, 16);
    starling_watch_close(watch[--n]);
    must(starling_watch_open(node, NULL, &more));
    starling_watch_close(more);
    while (n > 1)
        starling_watch_close(watch[--n]); /* the last is freed with the node */
}
END_TEST

START_TEST(an_event_is_copied_no_further_than_the_caller_knows_it)
{
    enum { KNOWN = offsetof(starling_event, tenant) };
    starling_node *node = flock_open(&f);
    starling_watch *watch = watch_from(node, "web", 0);
    starling_event event;
    (void)offer(node, "web", 1);
    until(readable(watch));
    memset(&event, 0x5a, sizeof event);
    ck_assert_int_eq(starling_watch_next_sized(watch, &event, KNOWN), 1);
    ck_assert_str_eq(event.service, "web");
    for (size_t i = KNOWN; i < sizeof event; i++)
        ck_assert_int_eq(((const unsigned char *)&event)[i], 0x5a);
}
END_TEST

START_TEST(a_filter_of_an_older_program_is_enough)
{
    starling_node *node = flock_open(&f);
    starling_watch_filter filter = {.service = "web", .since = UINT64_MAX};
    starling_watch *watch;
    must(starling_watch_open_sized(node, &filter, offsetof(starling_watch_filter, since), &watch));
    ck_assert(!readable(watch)); /* `since` was not read */
}
END_TEST

/* ---- the callback ------------------------------------------------------------------------- */

struct listener {
    starling_node *node;
    starling_registration *reg;
    starling_view *view;
    atomic_uint added, removed;
    atomic_int set_said, pick_said, wait_said;
    atomic_bool named;
};

static void on_event(void *context, const starling_event *event)
{
    struct listener *l = context;
    starling_instance who;
    if (event->type == STARLING_INSTANCE_REMOVED)
        atomic_fetch_add(&l->removed, 1);
    if (event->type != STARLING_INSTANCE_ADDED || strcmp(event->service, "web") != 0)
        return;
    atomic_store(&l->set_said, starling_set_weight(l->reg, 7));
    atomic_store(&l->pick_said, starling_pick(l->view, &who));
    atomic_store(&l->wait_said, starling_wait_fit(l->view, 99, 60000));
    atomic_store(&l->named, strcmp(starling_node_name(l->node), "listener") == 0);
    atomic_fetch_add(&l->added, 1);
}

START_TEST(a_callback_hears_of_events_and_may_call_what_is_marked_so)
{
    struct listener l = {.set_said = 1, .pick_said = 1, .wait_said = 1};
    starling_options o = flock_options(&f, "listener");
    starling_instance who;
    o.on_event = on_event;
    o.event_context = &l;
    must(starling_open(&o, &l.node));
    l.view = view_of(l.node, "web");
    l.reg = offer(l.node, "settled", 1);
    starling_view *settled = view_of(l.node, "settled");
    must(starling_wait_fit(settled, 1, PATIENCE_MS));
    starling_registration *web = offer(l.node, "web", 2);
    until(atomic_load(&l.added) == 1);
    ck_assert_int_eq(atomic_load(&l.set_said), 0);
    ck_assert_int_eq(atomic_load(&l.pick_said), 0);
    ck_assert_int_eq(atomic_load(&l.wait_said), STARLING_EINVAL);
    ck_assert(atomic_load(&l.named));
    until(starling_pick(settled, &who) == 0 && who.weight == 7);
    starling_deregister(web);
    until(atomic_load(&l.removed) == 1);
    starling_close(l.node);
}
END_TEST

static void count_lines(void *context, int level, const char *line)
{
    atomic_uint *lines = context;
    ck_assert_int_ge(level, 1);
    ck_assert_str_ne(line, "");
    atomic_fetch_add(lines, 1);
}

/* What `starling leave` does. */
static void tell_to_leave(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/test/%s.sock", f.runtime, name);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(write(fd, "leave\n", 6), 6);
    close(fd);
}

START_TEST(a_node_that_was_told_to_leave_closes_its_watches_after_the_last_event)
{
    starling_node *node = flock_open(&f);
    starling_watch *watch = watch_from(node, NULL, 0);
    starling_event event;
    tell_to_leave("n0");
    refuses(STARLING_ECLOSED, starling_wait_members(node, 5, PATIENCE_MS));
    until(readable(watch));
    int r;
    while ((r = starling_watch_next(watch, &event)) == 1) {
    }
    ck_assert_int_eq(r, STARLING_ECLOSED);
}
END_TEST

START_TEST(a_log_callback_gets_lines)
{
    atomic_uint lines = 0;
    starling_options o = flock_options(&f, "talker");
    starling_node *node;
    o.log = count_lines;
    o.log_context = &lines;
    o.log_level = 4;
    must(starling_open(&o, &node));
    (void)offer(node, "web", 1);
    until(atomic_load(&lines) > 0);
    starling_close(node);
}
END_TEST

START_TEST(the_library_is_silent_unless_asked)
{
    char path[128];
    struct stat st;
    unsetenv("STARLING_LOG");
    snprintf(path, sizeof path, "%s/output", f.dir);
    fflush(stdout);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    flock_open_all(&f, 2);
    (void)offer(f.node[0], "web", 1);
    must(starling_wait_fit(view_of(f.node[1], "web"), 1, PATIENCE_MS));
    flock_close(&f, 0);
    flock_close(&f, 1);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    fclose(file);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tc = tcase_create("watch");
    tcase_set_timeout(tc, 90);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, an_instance_is_added_changed_and_removed);
    tcase_add_test(tc, a_member_is_up_and_leaves);
    tcase_add_test(tc, events_are_numbered_without_gaps_and_carry_the_time);
    tcase_add_test(tc, what_many_say_one_after_the_other_is_told_in_batches);
    tcase_add_test(tc, the_descriptor_is_readable_exactly_while_events_wait);
    tcase_add_test(tc, a_filter_hides_members_and_other_services);
    tcase_add_test(tc, a_watcher_resumes_after_the_last_event_that_it_saw);
    tcase_add_test(tc, a_number_that_was_never_given_is_answered_with_resync);
    tcase_add_test(tc, a_watcher_that_falls_behind_gets_one_resync_and_then_only_what_is_new);
    tcase_add_test(tc, watches_are_limited_and_can_be_opened_again_when_closed);
    tcase_add_test(tc, an_event_is_copied_no_further_than_the_caller_knows_it);
    tcase_add_test(tc, a_filter_of_an_older_program_is_enough);
    tcase_add_test(tc, a_callback_hears_of_events_and_may_call_what_is_marked_so);
    tcase_add_test(tc, a_node_that_was_told_to_leave_closes_its_watches_after_the_last_event);
    tcase_add_test(tc, a_log_callback_gets_lines);
    tcase_add_test(tc, the_library_is_silent_unless_asked);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
