/* test_offer.c: what one node offers another can pick, and what it says of it is believed at
 * once. */
#include "flock.h"

static struct flock_of f;

static void begin(void)
{
    flock_begin(&f);
    flock_open_all(&f, 2);
}

static void end(void)
{
    flock_end(&f);
}

START_TEST(a_service_registered_here_is_picked_there)
{
    starling_view *view = view_of(f.node[1], "payments");
    starling_instance who;
    (void)offer(f.node[0], "payments", 8080);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    must(starling_pick(view, &who));
    ck_assert_str_eq(who.host, "127.0.0.1");
    ck_assert_uint_eq(who.port, 8080);
    ck_assert_str_eq(who.node, "n0");
    ck_assert_str_eq(who.id, starling_node_id(f.node[0]));
    ck_assert_uint_eq(who.weight, STARLING_WEIGHT_DEFAULT);
    ck_assert_int_eq((int)who.health, STARLING_PASSING);
    ck_assert_uint_eq(who.flags, 0);
}
END_TEST

START_TEST(a_node_picks_its_own_service_too)
{
    starling_view *view = view_of(f.node[0], "own");
    (void)offer(f.node[0], "own", 8080);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    ck_assert_int_eq(pick_says(view), 0);
}
END_TEST

START_TEST(a_service_without_a_handle_is_offered_until_the_node_is_closed)
{
    starling_view *view = view_of(f.node[1], "unheld");
    starling_service s = {.name = "unheld", .port = 1};
    must(starling_register(f.node[0], &s, NULL));
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    flock_close(&f, 0);
    until(pick_says(view) == STARLING_ENOENT);
}
END_TEST

START_TEST(a_deregistered_service_is_gone)
{
    starling_view *view = view_of(f.node[1], "payments");
    starling_registration *reg = offer(f.node[0], "payments", 8080);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    starling_deregister(reg);
    until(pick_says(view) == STARLING_ENOENT);
}
END_TEST

START_TEST(the_other_services_of_a_node_stay_when_one_goes)
{
    starling_view *view[3];
    starling_registration *reg[3];
    static const char *const names[] = {"first", "second", "third"};
    for (unsigned i = 0; i < 3; i++) {
        view[i] = view_of(f.node[1], names[i]);
        reg[i] = offer(f.node[0], names[i], 1000 + i);
    }
    for (unsigned i = 0; i < 3; i++)
        must(starling_wait_fit(view[i], 1, PATIENCE_MS));
    must(starling_set_health(reg[2], STARLING_CRITICAL, NULL));
    until(pick_says(view[2]) == STARLING_EUNAVAIL);
    starling_deregister(reg[0]);
    until(pick_says(view[0]) == STARLING_ENOENT);
    ck_assert_int_eq(pick_says(view[1]), 0);
    ck_assert_int_eq(pick_says(view[2]), STARLING_EUNAVAIL);
}
END_TEST

START_TEST(a_critical_service_is_not_picked_until_it_passes_again)
{
    starling_view *view = view_of(f.node[1], "payments");
    starling_registration *reg = offer(f.node[0], "payments", 8080);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    must(starling_set_health(reg, STARLING_CRITICAL, "disk full"));
    until(pick_says(view) == STARLING_EUNAVAIL);
    must(starling_set_health(reg, STARLING_PASSING, NULL));
    until(pick_says(view) == 0);
}
END_TEST

START_TEST(a_warning_service_is_picked_and_says_so)
{
    starling_view *view = view_of(f.node[1], "payments");
    starling_registration *reg = offer(f.node[0], "payments", 8080);
    starling_instance who;
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    must(starling_set_health(reg, STARLING_WARNING, NULL));
    until(starling_pick(view, &who) == 0 && who.health == STARLING_WARNING);
}
END_TEST

START_TEST(a_service_that_starts_critical_is_never_fit)
{
    starling_service s = {.name = "slow", .port = 1, .health = STARLING_CRITICAL};
    starling_view *view = view_of(f.node[1], "slow");
    must(starling_register(f.node[0], &s, NULL));
    until(pick_says(view) != STARLING_ENOENT);
    ck_assert_int_eq(pick_says(view), STARLING_EUNAVAIL);
}
END_TEST

START_TEST(weight_zero_takes_no_requests)
{
    starling_view *view = view_of(f.node[1], "payments");
    starling_registration *reg = offer(f.node[0], "payments", 8080);
    starling_instance who;
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    must(starling_set_weight(reg, 0));
    until(pick_says(view) == STARLING_EUNAVAIL);
    must(starling_set_weight(reg, 7));
    until(starling_pick(view, &who) == 0 && who.weight == 7);
}
END_TEST

START_TEST(the_last_of_many_changes_is_what_others_see)
{
    starling_view *view = view_of(f.node[1], "busy");
    starling_registration *reg = offer(f.node[0], "busy", 8080);
    starling_instance who;
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    for (unsigned i = 0; i < 2000; i++)
        must(starling_set_weight(reg, 1 + i % 900));
    must(starling_set_weight(reg, 999));
    until(starling_pick(view, &who) == 0 && who.weight == 999);
}
END_TEST

START_TEST(version_host_weight_and_metadata_travel)
{
    const struct starling_meta meta[] = {{"proto", "h2"}, {"shard", ""}, {"owner", "team a"}};
    starling_service s = {.name = "rich",
                          .host = "::1",
                          .port = 9,
                          .version = "1.2.3 (spring)",
                          .meta = meta,
                          .n_meta = 3,
                          .weight = 250};
    starling_view *view = view_of(f.node[1], "rich");
    starling_instance who;
    char value[16];
    must(starling_register(f.node[0], &s, NULL));
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    must(starling_pick(view, &who));
    ck_assert_str_eq(who.host, "::1");
    ck_assert_str_eq(who.version, "1.2.3 (spring)");
    ck_assert_uint_eq(who.weight, 250);
    for (size_t i = 0; i < 3; i++) {
        must(starling_instance_meta(view, &who, meta[i].key, sizeof value, value));
        ck_assert_str_eq(value, meta[i].value);
    }
    refuses(STARLING_ENOENT, starling_instance_meta(view, &who, "none", sizeof value, value));
    refuses(STARLING_ELIMIT, starling_instance_meta(view, &who, "owner", 6, value));
}
END_TEST

START_TEST(a_service_can_be_offered_again_after_it_was_withdrawn)
{
    starling_view *view = view_of(f.node[1], "payments");
    starling_instance who;
    starling_deregister(offer(f.node[0], "payments", 8080));
    (void)offer(f.node[0], "payments", 8081);
    until(starling_pick(view, &who) == 0 && who.port == 8081);
}
END_TEST

START_TEST(a_node_offers_as_many_services_as_the_limit_says)
{
    char name[32];
    starling_service s = {.name = name, .port = 1};
    for (unsigned i = 0; i < STARLING_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "service-%u", i);
        must(starling_register(f.node[0], &s, NULL));
    }
    must(starling_wait_fit(view_of(f.node[1], name), 1, PATIENCE_MS));
    s.name = "one-too-many";
    refuses(STARLING_ELIMIT, starling_register(f.node[0], &s, NULL));
}
END_TEST

START_TEST(services_longer_than_a_record_are_refused_and_harm_nobody)
{
    char value[STARLING_META_BYTES_MAX], name[32];
    const struct starling_meta meta = {"k", value};
    starling_service s = {.name = name, .port = 1, .meta = &meta, .n_meta = 1};
    starling_view *view = view_of(f.node[1], "big-0");
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 2] = '\0';
    int r = 0;
    for (unsigned i = 0; i < 8 && r == 0; i++) {
        snprintf(name, sizeof name, "big-%u", i);
        r = starling_register(f.node[0], &s, NULL);
    }
    ck_assert_int_eq(r, STARLING_ELIMIT);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
}
END_TEST

START_TEST(long_notes_of_many_services_do_not_keep_health_from_others)
{
    char name[32], note[STARLING_NOTE_MAX + 50];
    starling_registration *reg[STARLING_SERVICES_MAX];
    memset(note, 'n', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    for (unsigned i = 0; i < STARLING_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "service-%u", i);
        reg[i] = offer(f.node[0], name, 1 + i);
    }
    starling_view *view = view_of(f.node[1], name);
    must(starling_wait_fit(view, 1, PATIENCE_MS));
    for (unsigned i = 0; i < STARLING_SERVICES_MAX; i++)
        must(starling_set_health(reg[i], STARLING_CRITICAL, note));
    until(pick_says(view) == STARLING_EUNAVAIL);
}
END_TEST

START_TEST(a_service_of_an_older_program_is_enough)
{
    /* As if the struct had ended before `version`, behind which there is rubbish. */
    starling_service s = {.name = "old", .port = 80, .version = (const char *)8, .n_meta = 99};
    starling_view *view = view_of(f.node[1], "old");
    starling_registration *reg;
    must(starling_register_sized(f.node[0], &s, offsetof(starling_service, version), &reg));
    must(starling_wait_fit(view, 1, PATIENCE_MS));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("offer");
    TCase *tc = tcase_create("offer");
    tcase_set_timeout(tc, 90);
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, a_service_registered_here_is_picked_there);
    tcase_add_test(tc, a_node_picks_its_own_service_too);
    tcase_add_test(tc, a_service_without_a_handle_is_offered_until_the_node_is_closed);
    tcase_add_test(tc, a_deregistered_service_is_gone);
    tcase_add_test(tc, the_other_services_of_a_node_stay_when_one_goes);
    tcase_add_test(tc, a_critical_service_is_not_picked_until_it_passes_again);
    tcase_add_test(tc, a_warning_service_is_picked_and_says_so);
    tcase_add_test(tc, a_service_that_starts_critical_is_never_fit);
    tcase_add_test(tc, weight_zero_takes_no_requests);
    tcase_add_test(tc, the_last_of_many_changes_is_what_others_see);
    tcase_add_test(tc, version_host_weight_and_metadata_travel);
    tcase_add_test(tc, a_service_can_be_offered_again_after_it_was_withdrawn);
    tcase_add_test(tc, a_node_offers_as_many_services_as_the_limit_says);
    tcase_add_test(tc, services_longer_than_a_record_are_refused_and_harm_nobody);
    tcase_add_test(tc, long_notes_of_many_services_do_not_keep_health_from_others);
    tcase_add_test(tc, a_service_of_an_older_program_is_enough);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
