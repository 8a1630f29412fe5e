/* test_plan.c: who may be picked, and how often: tiers, distance, newcomers, panic, weights. */
#include "store/roster.h"

#include <math.h>

#include "tests/unit/roster_help.h"

enum { PICKS = 40000, MANY = 64 };

static struct memory memory;
static struct sl_store *store;
static struct sl_rand rand_of_test;

static void setup(void)
{
    memory_init(&memory);
    sl_rand_seed(&rand_of_test, 3);
    now_of_test = SL_SEC(1000);
    ck_assert_int_eq(sl_store_new(&memory.alloc, 1, NULL, &store), 0);
}

static void teardown(void)
{
    sl_store_free(store);
    ck_assert_uint_eq(memory.bytes, 0);
}

static struct sl_view *view_with(enum starling_strategy strategy, unsigned tiers)
{
    struct sl_view *v;
    struct sl_view_spec spec = a_spec("web", strategy);
    spec.tiers = (uint8_t)tiers;
    ck_assert_int_eq(sl_view_open(store, &spec, now_of_test, NULL, &v), 0);
    publish(store); /* who is where is counted now */
    return v;
}

static void say(unsigned number, enum starling_health health, unsigned weight)
{
    struct sl_service s = a_service("web", 8000 + number);
    s.health = (uint8_t)health;
    s.weight = (uint16_t)weight;
    ck_assert_int_eq(feed_vitals(store, number, &s, 1), 0);
}

/* Shares of n_picks, by number of the member. */
static void count_picks(struct sl_view *v, unsigned n_picks, double share[MANY])
{
    memset(share, 0, MANY * sizeof *share);
    for (unsigned i = 0; i < n_picks; i++) {
        unsigned number = 0;
        ck_assert_int_eq(pick(v, &rand_of_test, &number), 0);
        ck_assert_uint_lt(number, MANY);
        share[number] += 1.0 / n_picks;
    }
}

/* Within 2 %, and three standard deviations of n_picks throws. */
static void expect_share_of(double got, double wanted, unsigned n_picks, const char *what,
                            unsigned number)
{
    double error = fabs(got - wanted);
    ck_assert_msg(error <= 0.02 * wanted + 3 * sqrt(wanted / n_picks), "%s: %u has %.4f, not %.4f",
                  what, number, got, wanted);
}

static void expect_share(double got, double wanted, const char *what, unsigned number)
{
    expect_share_of(got, wanted, PICKS, what, number);
}

/* As long as it takes to be nobody's newcomer. */
static void grow_old(void)
{
    publish(store);
    now_of_test += SL_SEC(31);
    publish(store);
}

/* ---- weights -------------------------------------------------------------------------------- */

/* A roster of n instances with these weights, all alive and passing. */
static struct sl_roster *a_roster(const uint16_t *weights, uint32_t n)
{
    static struct sl_offer *offers[SL_MEMBERS_MAX];
    static const struct sl_crowd nobody;
    struct sl_view_spec spec = a_spec("web", STARLING_WEIGHTED_RANDOM);
    struct sl_plan plan = {.alloc = &memory.alloc, .spec = &spec, .crowd = &nobody};
    struct sl_roster *r;
    for (uint32_t i = 0; i < n; i++) {
        struct sl_store_member m = a_member(i, STARLING_ALIVE);
        struct sl_service s = a_service("web", 1 + i);
        s.weight = weights[i];
        offers[i] = an_offer(&memory.alloc, &m, &s);
        ck_assert_ptr_nonnull(offers[i]);
    }
    ck_assert_int_eq(sl_roster_make(&plan, offers, n, &r), 0);
    for (uint32_t i = 0; i < n; i++)
        sl_offer_unref(&memory.alloc, offers[i]);
    return r;
}

/* Of n * sum equally likely throws, how many give candidate i; n_throws[i] for all. */
static void count_throws(const struct sl_roster *r, uint64_t *n_throws)
{
    const struct sl_group *g = r->groups;
    memset(n_throws, 0, g->n * sizeof *n_throws);
    for (uint32_t i = 0; i < g->n; i++) {
        const struct sl_candidate *c = &r->candidates[i];
        uint64_t own = g->even || c->share > g->sum ? g->sum : c->share;
        n_throws[i] += own;
        if (own < g->sum)
            n_throws[c->alias] += g->sum - own;
    }
}

START_TEST(each_instance_has_exactly_its_share_of_the_throws)
{
    struct sl_rand rand;
    sl_rand_seed(&rand, 7);
    for (int round = 0; round < 400; round++) {
        uint16_t weights[64], most = 0;
        uint64_t n_throws[64];
        uint32_t n = (uint32_t)sl_rand_below(&rand, 64) + 1, at = 0;
        uint64_t widest = round % 3 == 0 ? 2 : round % 3 == 1 ? 10 : 1001;
        for (uint32_t i = 0; i < n; i++) {
            weights[i] = (uint16_t)sl_rand_below(&rand, widest);
            most = weights[i] > most ? weights[i] : most;
        }
        struct sl_roster *r = a_roster(weights, n);
        if (r->n_groups > 0)
            count_throws(r, n_throws);
        for (uint32_t i = 0; i < n; i++) {
            if (weights[i] == 0)
                continue;
            uint64_t units = (uint64_t)((float)weights[i] / (float)most * 64000 + 0.5f);
            ck_assert_uint_eq(n_throws[at++], units * r->groups[0].n);
        }
        ck_assert_uint_eq(at, r->n_groups > 0 ? r->groups[0].n : 0);
        sl_roster_release(&memory.alloc, &r->garbage);
    }
}
END_TEST

START_TEST(weights_at_the_limits_of_a_flock_do_not_overflow)
{
    static uint16_t weights[SL_MEMBERS_MAX];
    static uint64_t n_throws[SL_MEMBERS_MAX];
    for (uint32_t i = 0; i < SL_MEMBERS_MAX; i++)
        weights[i] = i == 0 ? 1 : STARLING_WEIGHT_MAX;
    struct sl_roster *r = a_roster(weights, SL_MEMBERS_MAX);
    count_throws(r, n_throws);
    ck_assert_uint_eq(n_throws[0], UINT64_C(64) * SL_MEMBERS_MAX);
    ck_assert_uint_eq(n_throws[SL_MEMBERS_MAX - 1], UINT64_C(64000) * SL_MEMBERS_MAX);
    sl_roster_release(&memory.alloc, &r->garbage);
}
END_TEST

/* Round robin is no throw of dice: its shares are right to within a few picks at any time. */
START_TEST(shares_follow_the_weights)
{
    static const enum starling_strategy strategies[] = {STARLING_WEIGHTED_RANDOM,
                                                        STARLING_ROUND_ROBIN, STARLING_RENDEZVOUS};
    static const unsigned weights[] = {1, 10, 100, 1000, 0, 500, 37, 250, 100, 100};
    double share[MANY];
    for (unsigned i = 0; i < SL_COUNT(weights); i++)
        offer(store, i, "web", weights[i]);
    grow_old();
    struct sl_view *v = view_with(strategies[_i], 0);
    count_picks(v, 5 * PICKS, share);
    for (unsigned i = 0; i < SL_COUNT(weights); i++)
        expect_share_of(share[i], weights[i] / 2098.0, 5 * PICKS, "weights", i);
}
END_TEST

START_TEST(equals_take_turns)
{
    unsigned first = 0, number = 0, seen[10] = {0};
    for (unsigned i = 0; i < 10; i++)
        offer(store, i, "web", 7);
    publish(store);
    struct sl_view *v = view_with(STARLING_ROUND_ROBIN, 0);
    ck_assert_int_eq(pick(v, &rand_of_test, &first), 0);
    for (unsigned i = 1; i <= 100; i++) {
        ck_assert_int_eq(pick(v, &rand_of_test, &number), 0);
        ck_assert_uint_eq(number, (first + i) % 10);
    }
    /* The turn goes on where it was when the roster changes. */
    offer(store, 10, "web", 7);
    publish(store);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(pick(v, &rand_of_test, &number), 0);
        seen[number % 10]++;
        ck_assert_uint_ne(number, first);
    }
    /* A view opened later begins somewhere else, by chance. */
    unsigned n_other = 0;
    for (unsigned i = 0; i < 20; i++) {
        sl_view_close(store, v);
        v = view_with(STARLING_ROUND_ROBIN, 0);
        ck_assert_int_eq(pick(v, &rand_of_test, &number), 0);
        n_other += number != first;
    }
    ck_assert_uint_gt(n_other, 10);
}
END_TEST

/* ---- health --------------------------------------------------------------------------------- */

START_TEST(suspects_are_picked_only_where_nobody_else_is_able)
{
    double share[MANY];
    for (unsigned i = 0; i < 3; i++)
        offer(store, i, "web", 100);
    ck_assert_int_eq(feed_member(store, 0, STARLING_SUSPECT), 0);
    ck_assert_int_eq(feed_member(store, 1, STARLING_DOWN), 0);
    publish(store);
    struct sl_view *v = view_with((enum starling_strategy)_i, 0);
    count_picks(v, 1000, share);
    ck_assert(share[2] > 0.999);
    say(2, STARLING_WARNING, 100);
    publish(store);
    count_picks(v, 1000, share);
    ck_assert(share[2] > 0.999);
    say(2, STARLING_CRITICAL, 100);
    publish(store);
    count_picks(v, 1000, share);
    ck_assert(share[0] > 0.999);
    ck_assert_uint_eq(sl_view_n_fit(v), 0);
}
END_TEST

START_TEST(nobody_able_is_nobody_picked)
{
    unsigned number;
    offer(store, 0, "web", 0);
    offer(store, 1, "web", 100);
    say(1, STARLING_CRITICAL, 100);
    publish(store);
    struct sl_view *v = view_with((enum starling_strategy)_i, 0);
    ck_assert_int_eq(pick(v, &rand_of_test, &number), STARLING_EUNAVAIL);
}
END_TEST

START_TEST(a_tier_takes_what_its_size_allows_and_the_rest_spills)
{
    /* 5 pass, 4 warn, 1 is suspect. */
    double share[MANY], sum[3] = {0};
    for (unsigned i = 0; i < 10; i++) {
        offer(store, i, "web", 100);
        if (i >= 5 && i < 9)
            say(i, STARLING_WARNING, 100);
        if (i >= 9)
            ck_assert_int_eq(feed_member(store, i, STARLING_SUSPECT), 0);
    }
    grow_old();
    count_picks(view_with(STARLING_WEIGHTED_RANDOM, STARLING_TIER_HEALTHY), PICKS, share);
    for (unsigned i = 0; i < 10; i++)
        sum[i < 5 ? 0 : i < 9 ? 1 : 2] += share[i];
    expect_share(sum[0], 0.7, "passing", 0);
    expect_share(sum[1], 0.3, "warning", 1);
    expect_share(sum[2], 0, "suspect", 2);

    /* 8 of 10 pass: they can take it all. */
    for (unsigned i = 5; i < 10; i++) {
        ck_assert_int_eq(feed_member(store, i, STARLING_ALIVE), 0);
        say(i, i < 8 ? STARLING_PASSING : STARLING_WARNING, 100);
    }
    grow_old();
    count_picks(view_with(STARLING_HEALTHY_FIRST, 0), 10000, share);
    ck_assert(share[8] + share[9] <= 0);
}
END_TEST

START_TEST(in_panic_all_take_requests_unless_told_to_fail)
{
    double share[MANY];
    struct starling_instance who = {0};
    struct sl_pick how = {.rand = &rand_of_test};
    unsigned number;
    for (unsigned i = 0; i < 8; i++) {
        offer(store, i, "web", i == 7 ? 0 : 100); /* one drains: it is not asked */
        if (i < 4)
            say(i, STARLING_CRITICAL, 100);
    }
    grow_old();
    struct sl_view *v = view_with((enum starling_strategy)_i, STARLING_TIER_HEALTHY);
    count_picks(v, 10000, share);
    for (unsigned i = 0; i < 7; i++)
        ck_assert_msg(share[i] > 0.05, "%u has %.4f", i, share[i]);
    ck_assert(share[7] <= 0);
    ck_assert_int_eq(sl_view_pick(v, &how, &who), 0);
    ck_assert_uint_eq(who.flags, STARLING_F_PANIC);
    ck_assert_uint_eq(sl_view_n_fit(v), 3);

    struct sl_view_spec spec = a_spec("web", (enum starling_strategy)_i);
    spec.panic = STARLING_PANIC_FAIL;
    ck_assert_int_eq(sl_view_open(store, &spec, now_of_test, NULL, &v), 0);
    ck_assert_int_eq(pick(v, &rand_of_test, &number), STARLING_EUNAVAIL);
    say(0, STARLING_PASSING, 100);
    publish(store);
    ck_assert_int_eq(sl_view_pick(v, &how, &who), 0);
    ck_assert_uint_eq(who.flags, 0);
}
END_TEST

/* What watchers were told since the last time: '!' panic, '.' calm. */
static const char *told(void)
{
    static char text[64];
    struct sl_change c;
    size_t n = 0;
    while (sl_store_next_change(store, &c)) {
        if (c.type != SL_SERVICE_PANIC && c.type != SL_SERVICE_CALM)
            continue;
        ck_assert_str_eq(c.service, "web");
        ck_assert_str_eq(c.node, "");
        text[n++] = c.type == SL_SERVICE_PANIC ? '!' : '.';
    }
    text[n] = '\0';
    return text;
}

START_TEST(panic_is_told_as_a_service_gets_into_it_and_out_of_it)
{
    static const struct {
        unsigned number;
        enum starling_health health;
        const char *told;
    } steps[] = {
        {1, STARLING_CRITICAL, ""},  {2, STARLING_CRITICAL, ""}, /* half of them are not fewer than half */
        {3, STARLING_CRITICAL, "!"}, {4, STARLING_WARNING, ""},  {1, STARLING_PASSING, "."},
        {4, STARLING_CRITICAL, "!"},
    };
    for (unsigned i = 1; i <= 4; i++)
        offer(store, i, "web", 100);
    publish(store);
    for (size_t i = 0; i < SL_COUNT(steps); i++) {
        say(steps[i].number, steps[i].health, 100);
        publish(store);
        ck_assert_str_eq(told(), steps[i].told);
    }
    for (unsigned i = 1; i <= 4; i++) {
        struct sl_id id = an_id(i);
        sl_store_forget(store, &id);
    }
    publish(store);
    ck_assert_str_eq(told(), ".");
}
END_TEST

/* ---- newcomers ------------------------------------------------------------------------------ */

static double share_of(struct sl_view *v, unsigned number)
{
    double share[MANY];
    count_picks(v, PICKS, share);
    return share[number];
}

/* Publish as node/ does: when it is due. */
static void let_pass(sl_usec span)
{
    sl_usec end = now_of_test + span;
    while (sl_store_deadline(store) <= end) {
        now_of_test = sl_store_deadline(store);
        publish(store);
    }
    now_of_test = end;
}

START_TEST(newcomers_and_those_that_come_back_begin_with_a_tenth)
{
    struct sl_view *v = view_with((enum starling_strategy)_i, 0);
    for (unsigned i = 0; i < 10; i++)
        offer(store, i, "web", 100);
    publish(store);
    for (unsigned i = 0; i < 10; i++) /* all are new: nobody waits for anybody */
        expect_share(share_of(v, i), 0.1, "all new", i);
    grow_old();
    offer(store, 10, "web", 100);
    publish(store);
    expect_share(share_of(v, 10), 0.1 / 10.1, "new", 10);
    let_pass(SL_SEC(15));
    expect_share(share_of(v, 10), 0.5 / 10.5, "half grown", 10);
    let_pass(SL_SEC(16));
    expect_share(share_of(v, 10), 1 / 11.0, "grown", 10);
    ck_assert_int_eq(sl_store_deadline(store), SL_NEVER);

    say(3, STARLING_CRITICAL, 100);
    publish(store);
    let_pass(SL_SEC(5));
    say(3, STARLING_PASSING, 100);
    publish(store);
    expect_share(share_of(v, 3), 0.1 / 10.1, "recovered", 3);
    let_pass(SL_SEC(10));
    say(3, STARLING_WARNING, 100); /* was and is able: goes on */
    publish(store);
    let_pass(SL_SEC(5));
    expect_share(share_of(v, 3), 0.5 / 10.5, "half recovered", 3);
    let_pass(SL_SEC(16));
    expect_share(share_of(v, 3), 1 / 11.0, "recovered for long", 3);
}
END_TEST

/* ---- distance ------------------------------------------------------------------------------- */

enum { ZONES = 3 };

/* A flock of `members` nodes in three zones, `servers` of which offer web, as seen from zone `own`. */
static struct sl_store *a_zoned_store(const unsigned members[ZONES], const unsigned servers[ZONES],
                                      unsigned own)
{
    struct sl_store *s;
    struct sl_service web = a_service("web", 80);
    unsigned number = 0;
    bool self = true;
    ck_assert_int_eq(sl_store_new(&memory.alloc, own, NULL, &s), 0);
    for (unsigned z = 0; z < ZONES; z++) {
        for (unsigned i = 0; i < members[z]; i++, number++) {
            struct sl_store_member m = a_member(number, STARLING_ALIVE);
            m.zone[1] = (char)('1' + z);
            m.self = z == own && i + 1 == members[z] && self;
            ck_assert_int_eq(sl_store_member(s, &m), 0);
            if (i < servers[z])
                ck_assert_int_eq(feed_record(s, number, &web, 1), 0);
        }
    }
    return s;
}

/* What the servers of each zone get when every member asks as much. */
static void load_of_zones(const unsigned members[ZONES], const unsigned servers[ZONES],
                          unsigned tiers, enum starling_strategy strategy, double load[ZONES],
                          double *ret_local)
{
    double all = 0, local = 0;
    for (unsigned z = 0; z < ZONES; z++)
        all += members[z];
    memset(load, 0, ZONES * sizeof *load);
    for (unsigned own = 0; own < ZONES; own++) {
        struct sl_store *s = a_zoned_store(members, servers, own), *before = store;
        double share[MANY];
        unsigned number = 0;
        store = s;
        publish(store);
        count_picks(view_with(strategy, tiers), PICKS, share);
        for (unsigned z = 0; z < ZONES; z++) {
            for (unsigned i = 0; i < members[z]; i++, number++) {
                load[z] += share[number] * members[own] / all;
                local += z == own ? share[number] * members[own] / all : 0;
            }
        }
        store = before;
        sl_store_free(s);
    }
    *ret_local = local;
}

START_TEST(zones_stay_balanced_and_most_requests_stay_in_theirs)
{
    static const struct {
        unsigned members[ZONES], servers[ZONES];
        double local; /* sum over zones of min(members, servers), as shares */
    } flocks[] = {
        {{12, 12, 12}, {4, 4, 4}, 1.0},
        {{20, 10, 10}, {4, 4, 4}, 1.0 / 3 + 0.25 + 0.25},
        {{10, 10, 20}, {6, 3, 3}, 0.25 + 0.25 + 0.25},
        {{20, 20, 4}, {2, 6, 4}, 2.0 / 12 + 20.0 / 44 + 4.0 / 44},
    };
    for (size_t k = 0; k < SL_COUNT(flocks); k++) {
        const unsigned *servers = flocks[k].servers;
        double load[ZONES], local, all = servers[0] + servers[1] + servers[2];
        load_of_zones(flocks[k].members, servers, STARLING_TIER_LOCAL, (enum starling_strategy)_i,
                      load, &local);
        for (unsigned z = 0; z < ZONES; z++)
            expect_share(load[z], servers[z] / all, "zone", z);
        expect_share(local, flocks[k].local, "stays", (unsigned)k);
    }
}
END_TEST

START_TEST(few_instances_are_used_wherever_they_are_unless_strictly_near)
{
    static const unsigned members[ZONES] = {5, 5, 5}, servers[ZONES] = {1, 2, 1};
    double load[ZONES], local;
    load_of_zones(members, servers, STARLING_TIER_LOCAL, STARLING_WEIGHTED_RANDOM, load, &local);
    expect_share(local, 1.0 / 3, "stays by chance", 0);
    load_of_zones(members, servers, STARLING_TIER_STRICT, STARLING_WEIGHTED_RANDOM, load, &local);
    expect_share(local, 1, "stays", 0);
    expect_share(load[0], 1.0 / 3, "zone", 0);
}
END_TEST

START_TEST(the_same_host_comes_first)
{
    double share[MANY];
    struct sl_service web = a_service("web", 80);
    for (unsigned i = 0; i < 8; i++) {
        struct sl_store_member m = a_member(i, STARLING_ALIVE);
        m.self = i == 3;
        ck_assert_int_eq(sl_store_member(store, &m), 0);
        ck_assert_int_eq(feed_record(store, i, &web, 1), 0);
    }
    publish(store);
    struct sl_view *v = view_with(STARLING_LOCAL_FIRST, 0);
    count_picks(v, 1000, share);
    ck_assert(share[3] > 0.999);
    web.health = STARLING_CRITICAL;
    ck_assert_int_eq(feed_vitals(store, 3, &web, 1), 0);
    publish(store);
    count_picks(v, 7000, share);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_msg(i == 3 ? share[i] <= 0 : share[i] > 0.1, "%u has %.3f", i, share[i]);
}
END_TEST

START_TEST(a_zone_whose_last_instance_goes_is_served_by_the_others)
{
    static const unsigned members[ZONES] = {10, 10, 10}, servers[ZONES] = {2, 4, 4};
    double share[MANY];
    struct sl_store *before = store;
    store = a_zoned_store(members, servers, 0);
    publish(store);
    struct sl_view *v = view_with(STARLING_P2C_EWMA, STARLING_TIER_STRICT);
    count_picks(v, 1000, share);
    expect_share(share[0] + share[1], 1, "strictly near", 0);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(feed_member(store, i, STARLING_DOWN), 0);
    publish(store);
    count_picks(v, 1000, share);
    ck_assert(share[0] + share[1] <= 0);
    sl_store_free(store);
    store = before;
}
END_TEST

/* ---- selection ------------------------------------------------------------------------------ */

START_TEST(a_view_holds_only_what_it_asks_for)
{
    struct sl_view *v, *all;
    struct sl_view_spec spec = a_spec("web", STARLING_WEIGHTED_RANDOM);
    size_t n;
    for (unsigned i = 0; i < 6; i++) {
        struct sl_service s = a_service("web", 80);
        set_text(s.version, sizeof s.version, i % 2 == 0 ? "1.9" : "2.0");
        add_meta(&s, "env", i < 4 ? "prod" : "test");
        ck_assert_int_eq(feed_member(store, i, STARLING_ALIVE), 0);
        ck_assert_int_eq(feed_record(store, i, &s, 1), 0);
    }
    publish(store);
    ck_assert_int_eq(sl_view_open(store, &spec, now_of_test, NULL, &all), 0);
    set_text(spec.version, sizeof spec.version, ">=2");
    set_text(spec.select, sizeof spec.select, "env=prod");
    ck_assert_int_eq(sl_view_open(store, &spec, now_of_test, NULL, &v), 0);
    ck_assert_ptr_ne(v, all);
    sl_view_list(all, 0, NULL, 0, &n);
    ck_assert_uint_eq(n, 6);
    sl_view_list(v, 0, NULL, 0, &n);
    ck_assert_uint_eq(n, 2);
    for (int i = 0; i < 100; i++) {
        unsigned number = 0;
        ck_assert_int_eq(pick(v, &rand_of_test, &number), 0);
        ck_assert(number == 1 || number == 3);
    }
    /* Nobody of that kind is nobody, whoever else offers the service. */
    for (unsigned i = 1; i <= 3; i += 2)
        ck_assert_int_eq(feed_member(store, i, STARLING_LEFT), 0);
    publish(store);
    unsigned number;
    ck_assert_int_eq(pick(v, &rand_of_test, &number), STARLING_ENOENT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plan");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, each_instance_has_exactly_its_share_of_the_throws);
    tcase_add_test(t, weights_at_the_limits_of_a_flock_do_not_overflow);
    tcase_add_loop_test(t, shares_follow_the_weights, 0, 3);
    tcase_add_test(t, equals_take_turns);
    tcase_add_loop_test(t, suspects_are_picked_only_where_nobody_else_is_able, 0,
                        STARLING_LOCAL_FIRST + 1);
    tcase_add_loop_test(t, nobody_able_is_nobody_picked, 0, STARLING_LOCAL_FIRST + 1);
    tcase_add_test(t, a_tier_takes_what_its_size_allows_and_the_rest_spills);
    tcase_add_loop_test(t, in_panic_all_take_requests_unless_told_to_fail, 0,
                        STARLING_LOCAL_FIRST + 1);
    tcase_add_test(t, panic_is_told_as_a_service_gets_into_it_and_out_of_it);
    tcase_add_loop_test(t, newcomers_and_those_that_come_back_begin_with_a_tenth,
                        STARLING_ROUND_ROBIN, STARLING_WEIGHTED_RANDOM + 1);
    tcase_add_loop_test(t, zones_stay_balanced_and_most_requests_stay_in_theirs, STARLING_P2C_EWMA,
                        STARLING_WEIGHTED_RANDOM + 1);
    tcase_add_test(t, few_instances_are_used_wherever_they_are_unless_strictly_near);
    tcase_add_test(t, the_same_host_comes_first);
    tcase_add_test(t, a_zone_whose_last_instance_goes_is_served_by_the_others);
    tcase_add_test(t, a_view_holds_only_what_it_asks_for);
    suite_add_tcase(s, t);
    return run_suite(s);
}
