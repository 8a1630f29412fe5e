/* test_weigh.c: weights: the application's, the load's, the operator's; and draining. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "flock.h"

static struct flock_of f;
static starling_view *view;
static starling_registration *reg;

static void begin(void)
{
    flock_begin(&f);
    flock_open_all(&f, 2);
    view = view_of(f.node[1], "web");
    reg = offer(f.node[0], "web", 80);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
}

static void end(void)
{
    flock_end(&f);
}

/* As n1 sees it; -1 = there is none. */
static int weight_of(starling_view *of)
{
    starling_instance list[2];
    size_t n;
    must(starling_view_list(of, 2, list, &n));
    return n == 1 ? (int)list[0].weight : -1;
}

#define until_weight(w) until(weight_of(view) == (w))

/* Ask n0's debug socket, as an operator does. */
static void operator_says(const char *line)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char answer[512];
    snprintf(un.sun_path, sizeof un.sun_path, "%s/test/n0.sock", f.runtime);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
    ck_assert_int_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ssize_t n = read(fd, answer, sizeof answer - 1);
    ck_assert_int_gt(n, 0);
    answer[n] = '\0';
    ck_assert_msg(strncmp(answer, "{\"ok\":true", 10) == 0, "%s: %s", line, answer);
    (void)close(fd);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- who beats whom -------------------------------------------------------------------------- */

START_TEST(the_operator_beats_the_application_until_he_gives_back)
{
    operator_says("weight web 7");
    until_weight(7);
    must(starling_set_weight(reg, 300));
    must(starling_set_health(reg, STARLING_WARNING, NULL));
    starling_instance who;
    until(starling_pick(view, &who) == 0 && who.health == STARLING_WARNING);
    ck_assert_int_eq(weight_of(view), 7);
    operator_says("{\"cmd\":\"weight\",\"service\":\"web\",\"weight\":\"base\"}");
    until_weight(300);
    operator_says("weight web 0");
    until(pick_says(view) == STARLING_EUNAVAIL);
    operator_says("weight web base");
    until_weight(300);
}
END_TEST

START_TEST(the_operator_drains_and_gives_back)
{
    operator_says("drain");
    until(pick_says(view) == STARLING_EUNAVAIL);
    operator_says("weight web base");
    until_weight(STARLING_WEIGHT_DEFAULT);
}
END_TEST

/* ---- load ------------------------------------------------------------------------------------ */

START_TEST(an_overloaded_service_sheds_and_recovers)
{
    until(starling_report_load(reg, 3.0, 5) == 0 && weight_of(view) < STARLING_WEIGHT_DEFAULT);
    ck_assert_int_ge(weight_of(view), STARLING_WEIGHT_DEFAULT / 4);
    until(starling_report_load(reg, 3.0, 5) == 0 && weight_of(view) <= STARLING_WEIGHT_DEFAULT / 2);
    operator_says("weight web 42"); /* beats the load as well */
    until_weight(42);
    operator_says("weight web base");
    until(weight_of(view) <= STARLING_WEIGHT_DEFAULT / 2);
    for (unsigned i = 0; i < 3 && weight_of(view) != STARLING_WEIGHT_DEFAULT; i++) {
        int tries = PATIENCE_MS / 5;
        while (tries-- > 0 && weight_of(view) != STARLING_WEIGHT_DEFAULT) {
            must(starling_report_load(reg, 0.0, 0));
            breathe();
        }
    }
    ck_assert_int_eq(weight_of(view), STARLING_WEIGHT_DEFAULT);
}
END_TEST

START_TEST(loads_that_are_none_are_refused)
{
    refuses(STARLING_EINVAL, starling_report_load(reg, -0.1, 0));
    refuses(STARLING_EINVAL, starling_report_load(reg, (double)NAN, 0));
    refuses(STARLING_EINVAL, starling_report_load(NULL, 0.5, 0));
    must(starling_report_load(reg, (double)INFINITY, 0));
    must(starling_report_load(reg, 0.0, 4000000000u));
}
END_TEST

/* ---- draining -------------------------------------------------------------------------------- */

static double drain_takes(unsigned grace_ms)
{
    double start = now_ms();
    must(starling_drain(f.node[0], grace_ms));
    return now_ms() - start;
}

START_TEST(a_drained_node_takes_nothing_whatever_is_said_later)
{
    must(starling_drain(f.node[0], 0));
    until(pick_says(view) == STARLING_EUNAVAIL);
    starling_view *later = view_of(f.node[1], "later");
    (void)offer(f.node[0], "later", 81);
    must(starling_set_weight(reg, 500));
    operator_says("weight web 9");
    until(pick_says(later) != STARLING_ENOENT);
    ck_assert_int_eq(pick_says(later), STARLING_EUNAVAIL);
    ck_assert_int_eq(pick_says(view), STARLING_EUNAVAIL);
    ck_assert_int_eq(weight_of(view), 0);
}
END_TEST

START_TEST(who_reports_nothing_gets_the_whole_grace)
{
    ck_assert(drain_takes(300) >= 299);
    until(pick_says(view) == STARLING_EUNAVAIL);
}
END_TEST

START_TEST(nothing_in_flight_ends_the_grace)
{
    (void)offer(f.node[0], "silent", 82); /* does not report: nobody waits for it */
    must(starling_report_load(reg, 0.1, 0));
    double took = drain_takes(PATIENCE_MS);
    ck_assert_msg(took < PATIENCE_MS / 2, "%.0f ms", took);
    until(pick_says(view) == STARLING_EUNAVAIL);
}
END_TEST

static atomic_int drained;

static void *drain_main(void *node)
{
    int r = starling_drain(node, 60000);
    atomic_store(&drained, r == 0 ? 1 : r);
    return NULL;
}

START_TEST(draining_waits_for_the_last_request)
{
    pthread_t thread;
    starling_registration *other = offer(f.node[0], "other", 83);
    must(starling_report_load(reg, 0.1, 3));
    must(starling_report_load(other, 0.1, 1));
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_main, f.node[0]), 0);
    until(pick_says(view) == STARLING_EUNAVAIL);
    must(starling_report_load(reg, 0.1, 0));
    double start = now_ms();
    while (now_ms() - start < 300) /* one is still at work: it must not end */
        breathe();
    ck_assert_int_eq(atomic_load(&drained), 0);
    must(starling_report_load(other, 0.1, 0));
    until(atomic_load(&drained) == 1); /* long before the grace is over */
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_service_that_goes_is_not_waited_for)
{
    pthread_t thread;
    must(starling_report_load(reg, 0.1, 3));
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_main, f.node[0]), 0);
    until(pick_says(view) == STARLING_EUNAVAIL);
    starling_deregister(reg);
    until(atomic_load(&drained) == 1); /* long before the grace is over */
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(draining_ends_when_the_node_stops)
{
    pthread_t thread;
    must(starling_report_load(reg, 0.1, 3));
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_main, f.node[0]), 0);
    until(pick_says(view) == STARLING_EUNAVAIL);
    operator_says("leave");
    pthread_join(thread, NULL);
    ck_assert_int_eq(atomic_load(&drained), STARLING_ECLOSED);
    refuses(STARLING_ECLOSED, starling_drain(f.node[0], 0));
}
END_TEST

static _Atomic(starling_node *) own;
static atomic_int says_inside;

static void drain_inside(void *context, const struct starling_event *event)
{
    (void)context, (void)event;
    starling_node *node = atomic_load(&own);
    if (node != NULL)
        atomic_store(&says_inside, starling_drain(node, 1000));
}

START_TEST(draining_is_refused_inside_callbacks_and_without_a_node)
{
    starling_options o = flock_options(&f, "n2");
    o.on_event = drain_inside;
    refuses(STARLING_EINVAL, starling_drain(NULL, 0));
    must(starling_open(&o, &f.node[2]));
    atomic_store(&own, f.node[2]);
    f.n = 3;
    /* Something for it to hear of. */
    until((starling_set_health(reg, (enum starling_health)(rand() % 2), NULL) == 0) &&
          atomic_load(&says_inside) == STARLING_EINVAL);
    atomic_store(&own, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weigh");
    TCase *tc = tcase_create("weigh");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, the_operator_beats_the_application_until_he_gives_back);
    tcase_add_test(tc, the_operator_drains_and_gives_back);
    tcase_add_test(tc, an_overloaded_service_sheds_and_recovers);
    tcase_add_test(tc, loads_that_are_none_are_refused);
    tcase_add_test(tc, a_drained_node_takes_nothing_whatever_is_said_later);
    tcase_add_test(tc, who_reports_nothing_gets_the_whole_grace);
    tcase_add_test(tc, nothing_in_flight_ends_the_grace);
    tcase_add_test(tc, draining_waits_for_the_last_request);
    tcase_add_test(tc, a_service_that_goes_is_not_waited_for);
    tcase_add_test(tc, draining_ends_when_the_node_stops);
    tcase_add_test(tc, draining_is_refused_inside_callbacks_and_without_a_node);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
