/* test_outsider.c: a node whose credentials have no key of a tenant, through the whole public API: what
 * others offer to the tenant does not exist for it, and it offers nothing to it. */
#include <starling.h>
#include <stdatomic.h>
#include <time.h>

#include "node/credentials.h"
#include "tests/unit/ca_help.h"

static atomic_uint n_warned, n_told;
static char runtime[300];

static void on_log(void *context, int level, const char *line)
{
    (void)context;
    n_warned += level == 2 && strstr(line, "tenant blue, of which this node has no key") != NULL;
}

static void on_event(void *context, const starling_event *event)
{
    (void)context;
    n_told += event->service[0] != '\0';
}

/* A node called `name`, with the tenant (NULL: with none) and the pattern (NULL: any). */
static starling_node *join(const char *name, const char *tenant, const char *pattern)
{
    char path[512];
    const int64_t now = time(NULL);
    starling_node *node;
    struct sl_ca_order o = {.flock = "prod",
                            .name = name,
                            .tenants = {tenant},
                            .n_tenants = tenant != NULL,
                            .patterns = {pattern},
                            .n_patterns = pattern != NULL,
                            .not_before = now - 60,
                            .not_after = now + DAY_S};
    struct sl_credentials made = issue(o);
    (void)snprintf(path, sizeof path, "%s/%s.credentials", root, name);
    ck_assert_int_eq(sl_credentials_write(path, &made, name, false), 0);
    sl_credentials_fini(&made);
    (void)snprintf(runtime, sizeof runtime, "%s/run", root);
    starling_options options = {.flock = "prod",
                                .name = name,
                                .listen = "127.0.0.1:0",
                                .runtime_dir = runtime,
                                .config_dir = root,
                                .credentials = path,
                                .log = on_log,
                                .log_level = 2,
                                .on_event = on_event};
    must(starling_open(&options, &node));
    return node;
}

static int offers(starling_node *node, const char *tenant, const char *name)
{
    starling_service s = {.name = name, .tenant = tenant, .port = 80};
    return starling_register(node, &s, NULL);
}

static starling_view *view_of(starling_node *node, const char *tenant, const char *name)
{
    starling_view_options o = {.tenant = tenant};
    starling_view *view;
    must(starling_view_open(node, name, &o, &view));
    return view;
}

START_TEST(without_the_key_a_tenants_service_is_as_one_that_nobody_offers)
{
    starling_node *inside = join("a", "blue", NULL), *outside = join("c", NULL, NULL);
    starling_view *seen = view_of(inside, "blue", "db"), *blue = view_of(outside, "blue", "db"),
                  *plain = view_of(outside, "default", "db"), *nobody;
    starling_watch_filter of_blue = {.tenant = "blue"};
    starling_watch *watches[2];
    starling_instance who, list[2];
    starling_event event;
    char text[2][200];
    size_t n;
    must(starling_watch_open(outside, &of_blue, &watches[0]));
    must(starling_watch_open(outside, NULL, &watches[1]));
    must(starling_wait_members(outside, 2, PATIENCE_MS));
    n_told = 0;
    must(offers(inside, "blue", "db"));
    must(starling_wait_fit(seen, 1, PATIENCE_MS));
    /* Behind it, from the same node: what is seen of this, and not of that, is a matter of keys. */
    must(offers(inside, NULL, "later"));
    must(starling_wait_fit(view_of(outside, "default", "later"), 1, PATIENCE_MS));
    until(n_told >= 2); /* each node's callback hears of "later", and of nothing else */

    ck_assert_int_eq(starling_pick(blue, &who), STARLING_ENOENT);
    (void)snprintf(text[0], sizeof text[0], "%s", starling_error_text());
    nobody = view_of(outside, "green", "db");
    ck_assert_int_eq(starling_pick(nobody, &who), STARLING_ENOENT);
    (void)snprintf(text[1], sizeof text[1], "%s", starling_error_text());
    ck_assert_str_eq(text[0], text[1]);
    ck_assert_int_eq(starling_pick(plain, &who), STARLING_ENOENT);
    must(starling_view_list(blue, 2, list, &n));
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(starling_wait_fit(blue, 1, 10), STARLING_ETIMEDOUT);

    for (int i = 0; i < 2; i++) {
        unsigned n_later = 0;
        while (starling_watch_next(watches[i], &event) == 1) {
            ck_assert_str_ne(event.tenant, "blue");
            n_later += strcmp(event.service, "later") == 0;
        }
        ck_assert_uint_eq(n_later, i);
    }
    ck_assert_uint_eq(n_told, 2);
    starling_member members[2];
    must(starling_members(outside, 2, members, &n));
    ck_assert_uint_eq(members[0].n_services, 1);
    until(n_warned == 1); /* two views and a watch of it */
    starling_close(outside);
    starling_close(inside);
}
END_TEST

START_TEST(what_others_would_ignore_is_refused_with_what_to_do_about_it)
{
    static const struct {
        const char *tenant, *name;
        int says;
        const char *word;
    } cases[] = {
        {NULL, "api-1", 0, ""},
        {"blue", "api-1", 0, ""},
        {NULL, "db", STARLING_EAUTH, "--service PATTERN"},
        {"blue", "db", STARLING_EAUTH, "--service PATTERN"},
        {"red", "api-1", STARLING_EAUTH, "starling ca issue --tenant red"},
    };
    starling_node *node = join("a", "blue", "api-*");
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        int r = offers(node, cases[i].tenant, cases[i].name);
        ck_assert_msg(r == cases[i].says, "case %zu: %d, %s", i, r, starling_error_text());
        if (r < 0)
            ck_assert_msg(strstr(starling_error_text(), cases[i].word) != NULL, "case %zu: %s", i,
                          starling_error_text());
    }
    must(starling_wait_fit(view_of(node, "blue", "api-1"), 1, PATIENCE_MS));
    must(starling_wait_fit(view_of(node, "default", "api-1"), 1, PATIENCE_MS));
    starling_close(node);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outsider");
    TCase *t = tcase_create("outsider");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, without_the_key_a_tenants_service_is_as_one_that_nobody_offers);
    tcase_add_test(t, what_others_would_ignore_is_refused_with_what_to_do_about_it);
    suite_add_tcase(s, t);
    return run_suite(s);
}
