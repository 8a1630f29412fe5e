/* test_gossip.c: one core and a script of what reaches it: merging, refusing, judging. What many cores do
 * together is tests/sim's. */
#include <check.h>
#include <starling.h>
#include <stdlib.h>

#include "core_help.h"
#include "tests/suite.h"

/* We reach all of them, so that what is said against somebody is what others say. */
static void everybody_answers(void)
{
    everybody();
    for (unsigned p = 1; p < PEERS; p++)
        link_as(&peers[p], 2 + 2 * (sl_link)p);
    answering = true;
}

START_TEST(a_fact_of_an_unknown_origin_waits_for_its_record)
{
    give_vitals(1, 5, 2, (struct sl_vitals){0});
    ck_assert_uint_eq(stats().refused_unknown_origin, 1);
    give_record(1, 5, 1);
    give_vitals(1, 5, 2, (struct sl_vitals){0});
    ck_assert_uint_eq(version_of(1).seq, 2);
}
END_TEST

START_TEST(an_older_version_never_replaces_a_newer_one)
{
    give_record(1, 5, 7);
    give_record(1, 5, 6);
    give_record(1, 4, 9);
    ck_assert_uint_eq(version_of(1).epoch, 5);
    ck_assert_uint_eq(version_of(1).seq, 7);
}
END_TEST

START_TEST(nobody_can_speak_in_anothers_name)
{
    uint8_t fact[SL_RECORD_MAX];
    give_record(1, 5, 1);
    size_t len = record_make(&peers[1], 11, 5, 2, fact);
    fact[len - 1] ^= 1; /* the signature */
    give(fact, len);
    ck_assert_uint_eq(stats().refused_signature, 1);
    /* Peer 2 signs vitals that name peer 1 as their origin. */
    struct person thief = peers[2];
    thief.id = peers[1].id;
    give(fact, vitals_make(&thief, 5, 3, (struct sl_vitals){0}, fact));
    ck_assert_uint_eq(stats().refused_signature, 2);
    /* ... or a record with its own certificate under that name. */
    give(fact, record_make(&thief, 12, 5, 4, fact));
    ck_assert_uint_eq(stats().refused_fact, 1);
    ck_assert_uint_eq(version_of(1).seq, 1);
}
END_TEST

START_TEST(no_flipped_bit_of_a_fact_is_believed)
{
    uint8_t fact[SL_RECORD_MAX];
    give_record(1, 5, 1);
    size_t len = vitals_make(&peers[1], 5, 2, (struct sl_vitals){.answered = 1}, fact);
    for (size_t i = 0; i < len * 8; i++) {
        fact[i / 8] ^= (uint8_t)(1 << i % 8);
        now += SL_SEC(1); /* within the origin's quota */
        sl_gossip_deadline(g);
        give(fact, len);
        ck_assert_msg(version_of(1).seq == 1, "bit %zu", i);
        fact[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}
END_TEST

/* The certificate in a record is known from the one before: what differs from it has to be checked again. */
START_TEST(nobody_can_alter_the_own_certificate)
{
    uint8_t fact[SL_RECORD_MAX];
    give_record(1, 5, 1);
    struct person vain = peers[1];
    for (size_t i = 0; i < vain.cert_len * 8; i++) {
        vain.cert[i / 8] ^= (uint8_t)(1 << i % 8);
        now += SL_SEC(1); /* within the origin's quota */
        sl_gossip_deadline(g);
        give(fact, record_make(&vain, 11, 5, 2, fact));
        ck_assert_msg(version_of(1).seq == 1, "bit %zu", i);
        vain.cert[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    give(fact, record_make(&vain, 11, 5, 2, fact));
    ck_assert_uint_eq(version_of(1).seq, 2);
}
END_TEST

static unsigned n_verified;
static bool (*verify_really)(void *, const uint8_t *, const uint8_t *, size_t, const uint8_t *);

static bool verify_counted(void *context, const uint8_t key[SL_KEY_LEN], const uint8_t *msg, size_t len,
                           const uint8_t sig[SL_SIG_LEN])
{
    n_verified++;
    return verify_really(context, key, msg, len, sig);
}

START_TEST(a_certificate_is_checked_once_and_a_record_once)
{
    teardown();
    verify_really = self.crypto.verify;
    self.crypto.verify = verify_counted;
    g = core_new();
    link_as(&peers[0], 2);
    n_verified = 0;
    give_record(1, 5, 1);
    ck_assert_uint_eq(n_verified, 2); /* the authority's signature and its own */
    give_record(1, 5, 1);
    ck_assert_uint_eq(n_verified, 2);
    give_record(1, 5, 2);
    ck_assert_uint_eq(n_verified, 3);
}
END_TEST

START_TEST(two_facts_of_one_version_leave_every_node_with_the_same)
{
    struct sl_vitals a = {.answered = 0, .sections = sl_span_of("a", 1)}, b = {.sections = sl_span_of("b", 1)};
    uint64_t roots[2];
    for (int order = 0; order < 2; order++) {
        teardown();
        setup();
        everybody();
        give_vitals(1, 5, 9, order ? a : b);
        give_vitals(1, 5, 9, order ? b : a);
        roots[order] = root(); /* our own facts are the same both times: same key, epoch and numbers */
    }
    ck_assert_uint_eq(roots[0], roots[1]);
}
END_TEST

START_TEST(facts_in_any_order_end_in_the_same_state)
{
    uint64_t first = 0;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct sl_rand r;
        unsigned order[24];
        sl_rand_seed(&r, seed);
        teardown();
        setup();
        for (unsigned p = 0; p < PEERS; p++)
            give_record(p, 5, 1);
        for (unsigned i = 0; i < 24; i++)
            order[i] = i;
        for (unsigned i = 24; i > 1; i--) {
            unsigned k = (unsigned)sl_rand_below(&r, i), x = order[k];
            order[k] = order[i - 1];
            order[i - 1] = x;
        }
        for (unsigned i = 0; i < 24; i++)
            give_vitals(order[i] % PEERS, 5, 2 + order[i] / PEERS, (struct sl_vitals){.answered = order[i]});
        if (seed == 0)
            first = root();
        ck_assert_msg(root() == first, "seed %u", seed);
    }
}
END_TEST

START_TEST(a_newer_epoch_voids_what_was_said_before)
{
    everybody();
    accuse(1, 3, 2, 2);
    ck_assert_uint_eq(sl_gossip_standing(g, &peers[2].id), 1);
    give_record(1, 6, 1);
    ck_assert_uint_eq(sl_gossip_standing(g, &peers[2].id), 0);
    struct sl_member_info m;
    ck_assert(sl_gossip_find(g, &peers[1].id, &m) && m.vitals == NULL);
}
END_TEST

START_TEST(vitals_of_a_newer_epoch_take_the_place_of_the_old_ones)
{
    everybody();
    give_vitals(1, 6, 1, (struct sl_vitals){.answered = 0}); /* the new record comes later */
    ck_assert_uint_eq(version_of(1).epoch, 6);
    give_record(1, 6, 2);
    ck_assert_uint_eq(version_of(1).seq, 2);
}
END_TEST

START_TEST(an_accused_node_whose_address_another_takes_lets_the_clock_rest)
{
    everybody();
    uint8_t fact[SL_SIGHTINGS_MAX], record[SL_RECORD_MAX];
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    struct sl_sighting s = {.accused = self.id, .how = SL_SILENT, .seen = i.version};
    give(fact, sighting_make(&peers[1], 5, 3, &s, 1, fact));
    struct person other;
    person_make(&other, 50);
    give(record, record_make(&other, 1, i.version.epoch + 1, 1, record)); /* number 1: our own address */
    sl_gossip_tick(g, now);
    drain();
    pass(SL_SEC(1));
    ck_assert_int_gt(sl_gossip_deadline(g), now);
}
END_TEST

START_TEST(an_accusation_stands_until_it_is_answered_and_not_a_moment_longer)
{
    everybody();
    pass(SL_SEC(4)); /* past the doubt of the first seconds */
    accuse(1, 3, 2, 2);
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    give_vitals(2, 5, 3, (struct sl_vitals){0}); /* newer, but no answer: it may be deaf */
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    give_vitals(2, 5, 4, (struct sl_vitals){.answered = 2});
    ck_assert_int_eq(status_of(2), SL_ALIVE);
}
END_TEST

/* A beat of the peer on that link, which says what version of ours it holds against us. */
static void name_us(sl_link link, struct sl_version against)
{
    static uint32_t seq;
    uint8_t out[64];
    struct sl_pack w;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 6);
    sl_pack_uint(&w, 1);
    sl_pack_uint(&w, ++seq);
    sl_pack_uint(&w, 0); /* no promise */
    sl_pack_uint(&w, root());
    sl_pack_uint(&w, against.epoch);
    sl_pack_uint(&w, against.seq);
    sl_gossip_receive(g, now, link, out, w.len);
}

/* Rounds in which `n` neighbours name our newest version in one moment, until one is not answered within half a second. */
static unsigned rounds_answered(unsigned n)
{
    unsigned rounds = 0;
    uint64_t before;
    do {
        struct sl_gossip_info i;
        sl_gossip_info(g, &i);
        before = i.stats.answers;
        for (unsigned p = 1; p <= n; p++)
            name_us(2 + 2 * (sl_link)p, i.version);
        pass(SL_MS(500));
        rounds++;
    } while (stats().answers > before && rounds < 1000);
    return rounds - 1;
}

START_TEST(neighbours_that_name_us_in_one_moment_hurry_us_once)
{
    everybody_answers();
    pass(SL_SEC(4));
    unsigned of_one = rounds_answered(1), of_four = rounds_answered(4); /* of whom one has hurried us as often as it may */
    ck_assert_uint_ge(of_one, 8);
    ck_assert_uint_le(of_one, 10); /* what it earns meanwhile */
    ck_assert_uint_ge(of_four, 3 * 8);
    ck_assert_uint_le(of_four, 4 * 10);
}
END_TEST

START_TEST(one_accuser_fells_nobody_whom_others_vouch_for_by_silence)
{
    everybody();
    pass(SL_SEC(4));
    accuse(1, 3, 2, 2);
    give_vitals(2, 5, 3, (struct sl_vitals){.answered = 2});
    pass(SL_SEC(20));
    ck_assert_int_ne(status_of(2), SL_DOWN);
}
END_TEST

START_TEST(three_quarters_of_the_watchers_fell_at_once)
{
    everybody_answers(); /* 7 members: 6 watchers of each, of whom we accuse nobody */
    pass(SL_SEC(4));
    for (unsigned by = 0; by < 5; by++) {
        if (by != 2) /* the accused itself */
            accuse(by, 3, 2, 2);
    }
    ck_assert_int_eq(status_of(2), SL_SUSPECT); /* 4 of 6 */
    accuse(5, 3, 2, 2);
    ck_assert_int_eq(status_of(2), SL_DOWN); /* 5 of 6 */
    give_vitals(2, 5, 3, (struct sl_vitals){.answered = 2});
    ck_assert_int_eq(status_of(2), SL_ALIVE);
}
END_TEST

START_TEST(a_version_that_was_never_signed_accuses_nobody)
{
    everybody();
    accuse(1, 3, 2, 900);
    ck_assert_uint_eq(sl_gossip_standing(g, &peers[2].id), 0);
    ck_assert_int_eq(status_of(2), SL_ALIVE);
}
END_TEST

START_TEST(who_was_forgotten_stays_forgotten_until_it_says_something_new)
{
    everybody();
    give_vitals(3, 5, 3, (struct sl_vitals){.state = SL_GONE});
    ck_assert_int_eq(status_of(3), SL_LEFT);
    pass(SL_SEC(200));
    struct sl_member_info m;
    ck_assert(!sl_gossip_find(g, &peers[3].id, &m));
    link_as(&peers[0], 4);
    give_record(3, 5, 1);
    ck_assert(!sl_gossip_find(g, &peers[3].id, &m));
    uint8_t fact[SL_RECORD_MAX];
    size_t len = record_make(&peers[3], 13, 6, 1, fact), n = 5;
    memcpy(bytes, "\x92\x04\xc5", 3);
    bytes[3] = (uint8_t)(len >> 8);
    bytes[4] = (uint8_t)len;
    memcpy(bytes + n, fact, len);
    sl_gossip_receive(g, now, 4, bytes, n + len);
    ck_assert(sl_gossip_find(g, &peers[3].id, &m));
}
END_TEST

START_TEST(an_origin_cannot_change_its_mind_faster_than_its_quota)
{
    everybody();
    for (uint64_t seq = 3; seq < 203; seq++)
        give_vitals(1, 5, seq, (struct sl_vitals){0});
    ck_assert_uint_ge(stats().refused_quota, 140);
    ck_assert_uint_lt(version_of(1).seq, 60);
    pass(SL_SEC(1));
    give_vitals(1, 5, 500, (struct sl_vitals){0});
    ck_assert_uint_eq(version_of(1).seq, 500);
}
END_TEST

START_TEST(the_own_key_from_outside_makes_the_node_jump_above_it)
{
    uint8_t fact[SL_RECORD_MAX];
    struct sl_gossip_info i;
    uint64_t foreign = UINT64_C(5000) << 16;
    give(fact, record_make(&self, 1, foreign, 40, fact));
    sl_gossip_info(g, &i);
    ck_assert_uint_gt(i.version.epoch, foreign);
}
END_TEST

static size_t links(void)
{
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    return i.n_links;
}

START_TEST(who_repeats_what_it_heard_without_end_is_cut)
{
    uint8_t old[SL_RECORD_MAX];
    size_t len = record_make(&peers[1], 11, 5, 1, old);
    everybody();
    for (unsigned k = 0; k < 500; k++) /* a table that was behind, and copies of news, are no offence */
        give(old, len);
    ck_assert_uint_eq(links(), 1);
    for (unsigned k = 0; k < 1000; k++)
        give(old, len);
    ck_assert_uint_eq(links(), 0);
}
END_TEST

START_TEST(who_brings_each_news_once_more_is_not)
{
    everybody();
    for (uint64_t seq = 3; seq < 6000; seq++) {
        give_vitals(1, 5, seq, (struct sl_vitals){0});
        give_vitals(1, 5, seq, (struct sl_vitals){0});
        now += SL_MS(100);
    }
    ck_assert_uint_eq(links(), 1);
}
END_TEST

START_TEST(sums_that_differ_are_answered_within_a_budget)
{
    uint8_t out[256], sums[16 * 8];
    struct sl_pack w;
    everybody();
    uint64_t before = stats().bytes_out;
    for (unsigned k = 0; k < 5000; k++) {
        memset(sums, (int)k, sizeof sums);
        sl_pack_init(&w, out, sizeof out);
        sl_pack_array(&w, 5);
        sl_pack_uint(&w, 5);
        sl_pack_uint(&w, 0);
        sl_pack_uint(&w, 0);
        sl_pack_uint(&w, k + 1);
        sl_pack_bin(&w, sums, sizeof sums);
        sl_gossip_receive(g, now, 2, out, w.len);
        drain();
    }
    uint64_t said = stats().bytes_out - before;
    ck_assert_uint_gt(said, 500 * 1024);
    ck_assert_uint_le(said, 1100 * 1024);
}
END_TEST

START_TEST(garbage_on_a_proven_link_is_counted_and_cuts_it_in_the_end)
{
    struct sl_gossip_info i;
    for (int k = 0; k < 3; k++)
        sl_gossip_receive(g, now, 2, "\xdd\xff\xff\xff\xff", 5);
    ck_assert_uint_eq(stats().refused_frame, 3);
    sl_gossip_info(g, &i);
    ck_assert_uint_eq(i.n_links, 0);
}
END_TEST

START_TEST(random_messages_on_a_proven_link_never_harm)
{
    struct sl_rand r;
    sl_rand_seed(&r, 7);
    everybody_answers();
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t m[96];
        size_t len = 1 + sl_rand_below(&r, sizeof m);
        for (size_t k = 0; k < len; k++)
            m[k] = (uint8_t)sl_rand_u64(&r);
        if (round % 2) { /* half of them begin like a message */
            m[0] = (uint8_t)(0x91 + sl_rand_below(&r, 6));
            m[1 % sizeof m] = (uint8_t)(1 + sl_rand_below(&r, 8));
        }
        sl_link link = 1000 + 2 * (sl_link)(round / 3);
        if (round % 3 == 0)
            link_as(&peers[0], link);
        sl_gossip_receive(g, now, link, m, len);
        drain();
        now += SL_MS(20);
        sl_gossip_tick(g, now);
    }
    ck_assert_int_eq(status_of(1), SL_ALIVE);
}
END_TEST

/* Memory that fails from the n-th allocation on, k times. */
static size_t fail_at, fail_count, allocations;

static void *failing(void *context, void *ptr, size_t old_size, size_t new_size)
{
    (void)context;
    if (new_size > 0) {
        size_t n = allocations++;
        if (n >= fail_at && n < fail_at + fail_count)
            return NULL;
    }
    return sl_alloc_system.resize(sl_alloc_system.context, ptr, old_size, new_size);
}

START_TEST(running_out_of_memory_anywhere_is_survived)
{
    static const struct sl_alloc alloc = {.resize = failing};
    for (size_t at = 0;; at++) {
        ck_assert_msg(at < 2000, "the scenario allocates without end");
        teardown();
        struct sl_gossip_config c = {.bundle = bundle, .cert = sl_span_of(self.cert, self.cert_len),
                                     .addr = address_number(1), .seed = 1, .epoch = UINT64_C(1000) << 16,
                                     .wall_offset_us = SL_SEC(1700000000)};
        ports.alloc = &alloc;
        allocations = 0;
        fail_at = at;
        fail_count = 1;
        now = SL_SEC(1000);
        g = NULL;
        if (sl_gossip_new(&c, &ports, now, &g) < 0) {
            g = NULL;
            continue;
        }
        link_as(&peers[0], 2);
        everybody();
        accuse(1, 3, 2, 2);
        give_vitals(2, 5, 4, (struct sl_vitals){.answered = 2});
        pass(SL_SEC(2));
        bool whole = allocations <= at;
        fail_count = 0;
        now += SL_SEC(1);
        sl_gossip_deadline(g);
        everybody(); /* what failed can be said again */
        give_vitals(2, 5, 5, (struct sl_vitals){.answered = 2});
        for (unsigned p = 0; p < PEERS; p++)
            ck_assert_int_eq(status_of(p), SL_ALIVE);
        if (whole)
            break;
    }
    ports.alloc = &sl_alloc_system;
    teardown();
    setup();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gossip");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, a_fact_of_an_unknown_origin_waits_for_its_record);
    tcase_add_test(t, an_older_version_never_replaces_a_newer_one);
    tcase_add_test(t, nobody_can_speak_in_anothers_name);
    tcase_add_test(t, no_flipped_bit_of_a_fact_is_believed);
    tcase_add_test(t, nobody_can_alter_the_own_certificate);
    tcase_add_test(t, a_certificate_is_checked_once_and_a_record_once);
    tcase_add_test(t, two_facts_of_one_version_leave_every_node_with_the_same);
    tcase_add_test(t, facts_in_any_order_end_in_the_same_state);
    tcase_add_test(t, a_newer_epoch_voids_what_was_said_before);
    tcase_add_test(t, vitals_of_a_newer_epoch_take_the_place_of_the_old_ones);
    tcase_add_test(t, an_accused_node_whose_address_another_takes_lets_the_clock_rest);
    tcase_add_test(t, an_accusation_stands_until_it_is_answered_and_not_a_moment_longer);
    tcase_add_test(t, neighbours_that_name_us_in_one_moment_hurry_us_once);
    tcase_add_test(t, one_accuser_fells_nobody_whom_others_vouch_for_by_silence);
    tcase_add_test(t, three_quarters_of_the_watchers_fell_at_once);
    tcase_add_test(t, a_version_that_was_never_signed_accuses_nobody);
    tcase_add_test(t, who_was_forgotten_stays_forgotten_until_it_says_something_new);
    tcase_add_test(t, an_origin_cannot_change_its_mind_faster_than_its_quota);
    tcase_add_test(t, the_own_key_from_outside_makes_the_node_jump_above_it);
    tcase_add_test(t, who_repeats_what_it_heard_without_end_is_cut);
    tcase_add_test(t, who_brings_each_news_once_more_is_not);
    tcase_add_test(t, sums_that_differ_are_answered_within_a_budget);
    tcase_add_test(t, garbage_on_a_proven_link_is_counted_and_cuts_it_in_the_end);
    tcase_add_test(t, random_messages_on_a_proven_link_never_harm);
    tcase_add_test(t, running_out_of_memory_anywhere_is_survived);
    suite_add_tcase(s, t);
    return run_suite(s);
}
