/* test_rules.c: one core and the finer rules: kinds of a later version, denied accusers, flapping, twins, doors
 * without room, sightings without end. */
#include <check.h>
#include <starling.h>
#include <stdlib.h>

#include "core_help.h"
#include "gossip/params.h"
#include "tests/suite.h"

static struct sl_span looked_for;
static uint64_t against;
static unsigned own_facts, found, told_accused, referrals, busy, conflicts;
static struct sl_id conflict_id;

static bool holds(struct sl_span in, struct sl_span what)
{
    for (size_t at = 0; at + what.len <= in.len; at++) {
        if (memcmp(in.p + at, what.p, what.len) == 0)
            return true;
    }
    return false;
}

/* What a beat holds against whom it goes to. */
static uint64_t against_of(const struct sl_out *o)
{
    struct sl_read r;
    size_t n;
    uint64_t element = 0;
    sl_read_init(&r, o->bytes.p, o->bytes.len);
    ck_assert(sl_read_array(&r, 16, &n) && n == 6);
    for (size_t i = 0; i < n; i++)
        ck_assert(sl_read_uint(&r, UINT64_MAX, &element));
    return element;
}

static void look(const struct sl_out *o)
{
    uint64_t seq;
    if (o->type != SL_OUT_SEND)
        return;
    if (o->link == 6 && is_beat(o, &seq)) /* peer 2's */
        against = against_of(o);
    if (o->link == 4 && o->bytes.len > 9 && o->bytes.p[0] == 0xdd && holds(o->bytes, sl_span_of(self.id.b, SL_ID_LEN)))
        own_facts++; /* to peer 1 */
    if (looked_for.len && o->link == 4 && holds(o->bytes, looked_for))
        found++;
    if (looked_for.len && o->link == 8 && holds(o->bytes, looked_for)) /* peer 3's */
        told_accused++;
    if (o->bytes.len > 2 && o->bytes.p[0] == SL_M3 && o->bytes.p[1] == SL_REASON_BUSY)
        busy++;
    if (o->bytes.len > 2 && o->bytes.p[0] == 0x92 && o->bytes.p[1] == 9)
        referrals++;
}

static void hear(const struct sl_event *e)
{
    if (e->type == SL_EV_CONFLICT) {
        conflicts++;
        conflict_id = e->id;
    }
}

static void begin(void)
{
    setup();
    looked_for = sl_span_of(NULL, 0);
    found = told_accused = referrals = busy = conflicts = 0;
    on_out = look;
    on_event = hear;
    answering = true;
    everybody();
    for (unsigned p = 1; p < PEERS; p++)
        link_as(&peers[p], 2 + 2 * p); /* peer 1 has link 4 */
}

static size_t later_make(unsigned p, uint8_t kind, uint64_t epoch, uint64_t seq, uint8_t *out)
{
    return fact_make(&peers[p], (enum sl_kind)kind, epoch, seq, sl_span_of("of a later version", 18), out);
}

START_TEST(facts_of_a_later_version_are_kept_compared_and_passed_on)
{
    uint8_t fact[SL_UNKNOWN_MAX];
    pass(SL_SEC(2));
    uint64_t before = root();
    size_t len = later_make(2, 9, 5, 3, fact);
    looked_for = sl_span_of(fact, len);
    give(fact, len);
    ck_assert_uint_ne(root(), before);
    ck_assert_uint_eq(version_of(2).seq, 3);
    pass(SL_SEC(1));
    ck_assert_uint_ge(found, 1);
    /* The newer version of a kind takes the older one's place, an older one none. */
    uint64_t with = root();
    give(fact, later_make(2, 9, 5, 3, fact));
    ck_assert_uint_eq(root(), with);
    /* A newer epoch lets go of it. */
    give_record(2, 6, 1);
    give_vitals(2, 6, 2, (struct sl_vitals){0});
    uint64_t voided = root();
    give(fact, later_make(2, 9, 5, 9, fact));
    ck_assert_uint_eq(root(), voided);
}
END_TEST

START_TEST(one_origin_has_a_few_later_kinds_and_no_more)
{
    uint8_t fact[SL_UNKNOWN_MAX];
    for (uint8_t kind = 10; kind < 10 + SL_LATER_KINDS_MAX; kind++)
        give(fact, later_make(2, kind, 5, kind, fact));
    uint64_t full = root(), refused = stats().refused_quota;
    give(fact, later_make(2, 200, 5, 200, fact));
    ck_assert_uint_eq(root(), full);
    ck_assert_uint_eq(stats().refused_quota, refused + 1);
    give(fact, later_make(2, 11, 5, 201, fact)); /* one of those it has */
    ck_assert_uint_ne(root(), full);
    /* The lowest are kept, whatever came first: else no two nodes would ever agree. */
    full = root();
    give(fact, later_make(2, 5, 5, 202, fact));
    ck_assert_uint_ne(root(), full);
    full = root();
    give(fact, later_make(2, 10 + SL_LATER_KINDS_MAX - 1, 5, 203, fact));
    ck_assert_uint_eq(root(), full);
    ck_assert_uint_eq(stats().refused_quota, refused + 2);
}
END_TEST

static struct sl_vitals own_vitals(void)
{
    struct sl_member_info m;
    struct sl_vitals v;
    ck_assert(sl_gossip_find(g, &self.id, &m) && m.vitals && sl_vitals_read(sl_fact_body(m.vitals), &v));
    return v;
}

START_TEST(who_accuses_again_and_again_and_is_answered_is_denied)
{
    for (unsigned round = 0; round < 4; round++) {
        uint8_t fact[SL_SIGHTINGS_MAX];
        struct sl_gossip_info i;
        sl_gossip_info(g, &i);
        struct sl_sighting s = {.accused = self.id, .how = SL_SILENT, .seen = i.version};
        ck_assert_uint_eq(own_vitals().deny.len, round < 3 ? 0 : SL_ID_LEN);
        give(fact, sighting_make(&peers[1], 5, 3 + round, &s, 1, fact));
        pass(SL_SEC(70)); /* past the longest wait for an answer */
        if (round < 3) /* then nobody has to be told again */
            ck_assert_uint_ge(own_vitals().answered, i.version.seq);
        else
            ck_assert_uint_lt(own_vitals().answered, i.version.seq);
    }
    struct sl_vitals v = own_vitals();
    ck_assert_uint_eq(v.deny.len, SL_ID_LEN);
    ck_assert(memcmp(v.deny.p, peers[1].id.b, SL_ID_LEN) == 0);
}
END_TEST

START_TEST(a_denied_accuser_alone_fells_nobody_and_counts_among_many)
{
    pass(SL_SEC(4));
    give_vitals(2, 5, 3, (struct sl_vitals){.deny = sl_span_of(peers[1].id.b, SL_ID_LEN)});
    give_vitals(3, 5, 3, (struct sl_vitals){0});
    accuse(1, 4, 2, 3); /* 7 members: one accuser is an eighth */
    accuse(4, 4, 3, 3);
    pass(SL_SEC(6));
    ck_assert_int_eq(status_of(2), SL_ALIVE); /* or it could draw what others would get */
    ck_assert_int_eq(status_of(3), SL_DOWN);
    accuse(0, 4, 2, 3); /* with others it counts: live watchers are 5, half of them for 2 s */
    accuse(5, 4, 2, 3);
    pass(SL_SEC(3));
    ck_assert_int_eq(status_of(2), SL_DOWN);
}
END_TEST

/* Down by five of six, and back by its answer. */
static void fall_and_return(uint64_t seq)
{
    for (unsigned by = 0; by < PEERS; by++) {
        if (by != 2)
            accuse(by, seq, 2, seq);
    }
    pass(SL_MS(600)); /* from the second time on it has a voice */
    ck_assert_int_eq(status_of(2), SL_DOWN);
    pass(SL_SEC(1));
    give_vitals(2, 5, seq + 1, (struct sl_vitals){.answered = seq});
}

START_TEST(who_comes_and_goes_stays_suspect_for_a_while)
{
    pass(SL_SEC(4));
    give_vitals(2, 5, 10, (struct sl_vitals){0});
    fall_and_return(10);
    ck_assert_int_eq(status_of(2), SL_ALIVE);
    pass(SL_SEC(10));
    fall_and_return(11);
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    pass(SL_MS(1900));
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    pass(SL_MS(200));
    ck_assert_int_eq(status_of(2), SL_ALIVE);
    pass(SL_SEC(10));
    fall_and_return(12);
    pass(SL_MS(3900)); /* twice as long */
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    pass(SL_MS(200));
    ck_assert_int_eq(status_of(2), SL_ALIVE);
}
END_TEST

START_TEST(who_has_just_come_back_is_not_felled_again_at_once)
{
    pass(SL_SEC(4));
    give_vitals(2, 5, 10, (struct sl_vitals){0});
    fall_and_return(10);
    /* An accuser and its answer in between change nothing about when it came back. */
    accuse(1, 20, 2, 11);
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    give_vitals(2, 5, 12, (struct sl_vitals){.answered = 11});
    ck_assert_int_eq(status_of(2), SL_ALIVE);
    pass(SL_SEC(1));
    for (unsigned by = 0; by < PEERS; by++) {
        if (by != 2)
            accuse(by, 21, 2, 12);
    }
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
    pass(SL_MS(2200)); /* 3 s after its return they count */
    ck_assert_int_eq(status_of(2), SL_DOWN);
}
END_TEST

static void all_accuse(uint64_t seq, uint64_t seen)
{
    for (unsigned by = 0; by < PEERS; by++) {
        if (by != 2)
            accuse(by, seq, 2, seen);
    }
}

START_TEST(who_has_answered_some_of_its_accusers_has_half_a_second_to_answer_all)
{
    pass(SL_SEC(4));
    accuse(1, 3, 2, 2);
    give_vitals(2, 5, 3, (struct sl_vitals){.answered = 2});
    ck_assert_int_eq(status_of(2), SL_ALIVE);
    for (uint64_t seq = 4; seq < 8; seq++) { /* again and again: no sum of short times */
        all_accuse(seq, seq - 1);
        pass(SL_MS(400));
        ck_assert_int_eq(status_of(2), SL_SUSPECT);
        give_vitals(2, 5, seq, (struct sl_vitals){.answered = seq - 1});
        ck_assert_int_eq(status_of(2), SL_ALIVE);
    }
    all_accuse(8, 7);
    pass(SL_MS(600));
    ck_assert_int_eq(status_of(2), SL_DOWN);
}
END_TEST

START_TEST(who_is_accused_by_nobody_any_more_or_speaks_anew_has_to_earn_a_voice_again)
{
    uint8_t fact[SL_SIGHTINGS_MAX];
    pass(SL_SEC(4));
    accuse(1, 3, 2, 2);
    give_vitals(2, 5, 3, (struct sl_vitals){.answered = 2});
    give(fact, sighting_make(&peers[1], 5, 4, NULL, 0, fact)); /* it is heard by all again */
    all_accuse(5, 3);
    ck_assert_int_eq(status_of(2), SL_DOWN);
    give_vitals(2, 5, 4, (struct sl_vitals){.answered = 3});
    pass(SL_SEC(4));
    give_record(2, 6, 1); /* a life in which it has answered nobody */
    give_vitals(2, 6, 2, (struct sl_vitals){0});
    for (unsigned by = 0; by < PEERS; by++) {
        struct sl_sighting s = {.accused = peers[2].id, .how = SL_SILENT, .seen = {6, 2}};
        if (by != 2)
            give(fact, sighting_make(&peers[by], 5, 6, &s, 1, fact));
    }
    ck_assert_int_eq(status_of(2), SL_DOWN);
}
END_TEST

START_TEST(two_live_nodes_of_one_name_are_told_of_once)
{
    uint8_t record[SL_RECORD_MAX];
    struct person twin;
    person_make_named(&twin, 60, "n12"); /* as peer 2 */
    give(record, record_make(&twin, 60, 5, 1, record));
    pass(SL_SEC(5));
    ck_assert_uint_eq(conflicts, 0); /* the other one may be on its way out */
    pass(SL_SEC(10));
    ck_assert_uint_eq(conflicts, 1);
    ck_assert(sl_id_eq(&conflict_id, &twin.id) || sl_id_eq(&conflict_id, &peers[2].id));
    pass(SL_SEC(60));
    ck_assert_uint_eq(conflicts, 1);
}
END_TEST

START_TEST(a_node_restarted_under_its_name_is_no_twin)
{
    uint8_t record[SL_RECORD_MAX];
    struct person next;
    person_make_named(&next, 60, "n12");
    give(record, record_make(&next, 60, 5, 1, record));
    give_vitals(2, 5, 3, (struct sl_vitals){.state = SL_GONE});
    pass(SL_SEC(30));
    ck_assert_uint_eq(conflicts, 0);
}
END_TEST

/* Knock as somebody new, on a link of its own. */
static void knock(uint8_t number, sl_link link)
{
    struct person p;
    person_make(&p, number);
    link_as(&p, link);
}

static size_t n_links(void)
{
    struct sl_gossip_info info;
    sl_gossip_info(g, &info);
    return info.n_links;
}

START_TEST(a_door_without_room_names_others)
{
    for (unsigned i = 0; i < 60; i++)
        knock((uint8_t)(100 + i), 100 + 2 * i);
    ck_assert_uint_gt(referrals, 0); /* more newcomers than find their way in here */
    for (unsigned i = 60; i < 150; i++)
        knock((uint8_t)(100 + i), 100 + 2 * i);
    ck_assert_uint_gt(busy, 0); /* no place at all: told so, with names, and let go */
    ck_assert_uint_le(n_links(), SL_LINKS_ACCEPT_MAX);
}
END_TEST

/* Hear of somebody of many. */
static void hear_of(unsigned number, struct person *ret)
{
    uint8_t fact[SL_RECORD_MAX], body[SL_RECORD_MAX], seed[32] = {(uint8_t)number, (uint8_t)(number >> 8), 1};
    char name[16];
    snprintf(name, sizeof name, "many%u", number);
    person_make_seeded(ret, seed, name);
    struct sl_record r = {.cert = sl_span_of(ret->cert, ret->cert_len), .addr = address_number(0)};
    r.addr.port = (uint16_t)(10000 + number);
    size_t len = sl_record_write(&r, body, sizeof body);
    give(fact, fact_make(ret, SL_RECORD, 5, 1, sl_span_of(body, len), fact));
}

/* While thousands join at once its neighbours change from second to second, and all others knock at its door as well
 * (simulator, join, 10,000 nodes: 157). */
START_TEST(a_full_house_dials_no_more_than_it_has_places_for)
{
    struct person p;
    for (unsigned i = 0; n_links() < SL_LINKS_ACCEPT_MAX; i++) {
        hear_of(i, &p);
        link_as(&p, 100 + 2 * (sl_link)i);
    }
    pass(SL_SEC(2)); /* now it may dial many at once again */
    size_t most = 0;
    for (unsigned i = 200; i < 1600; i++) {
        hear_of(i, &p);
        if (i % 400 == 399)
            pass(i == 399 ? SL_PREDECESSOR_WAIT + SL_MS(200) : SL_MS(300));
        most = n_links() > most ? n_links() : most;
    }
    ck_assert_uint_eq(most, SL_LINKS_DIAL_MAX);
}
END_TEST

START_TEST(sightings_without_end_are_not_passed_on_without_end)
{
    uint8_t fact[SL_SIGHTINGS_MAX];
    pass(SL_SEC(2));
    for (unsigned i = 0; i < 100; i++) {
        struct sl_sighting s = {.accused = peers[3].id, .how = SL_SILENT, .seen = {5, 100 + i}};
        size_t len = sighting_make(&peers[2], 5, 10 + i, &s, 1, fact);
        looked_for = sl_span_of(fact, len);
        give(fact, len);
        pass(SL_MS(150)); /* within the quota of merging */
    }
    ck_assert_uint_ge(version_of(2).seq, 95); /* the last two seconds' are still to come */
    ck_assert_uint_ge(found, 30);
    ck_assert_uint_le(found, 34);
    ck_assert_uint_ge(told_accused, 35); /* whom they accuse hears more of them: one in two seconds */
    ck_assert_uint_le(told_accused, 42);
}
END_TEST

/* ---- members who lie (docs/PROTOCOL.md, "Hostile members") ------------------------------- */

/* What peer 0 would like somebody to have said. */
static size_t forge(const struct person *whose, uint64_t epoch, uint64_t seq, uint8_t *out)
{
    uint8_t body[64];
    struct sl_vitals v = {.answered = UINT64_MAX};
    struct sl_fact_header h = {.kind = SL_VITALS, .origin = whose->id, .version = {epoch, seq}};
    size_t len = sl_vitals_write(&v, body, sizeof body);
    return sl_fact_sign(&peers[0].crypto, &bundle, &h, sl_span_of(body, len), out);
}

static struct sl_gossip_info info_now(void)
{
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    return i;
}

START_TEST(a_forger_moves_nobody_and_is_refused_for_a_while)
{
    uint8_t fact[SL_VITALS_MAX];
    struct sl_gossip_info before = info_now();
    give(fact, forge(&self, INT64_MAX, 1, fact));
    ck_assert_uint_eq(info_now().version.epoch, before.version.epoch);
    give(fact, forge(&peers[2], 6, 1, fact));
    ck_assert_uint_eq(version_of(2).epoch, 5);
    ck_assert_uint_eq(info_now().n_links, before.n_links);
    give(fact, forge(&peers[2], 6, 1, fact));
    ck_assert_uint_eq(info_now().n_links, before.n_links - 1);
    uint64_t proven = stats().links_proven;
    link_as(&peers[0], 200);
    ck_assert_uint_eq(stats().links_proven, proven);
    pass(SL_SEC(61));
    link_as(&peers[0], 202);
    ck_assert_uint_eq(stats().links_proven, proven + 1);
}
END_TEST

static struct {
    sl_link link;
    uint8_t m1[SL_M1_MAX];
    size_t m1_len;
} seed_dial;

static void look_for_the_seed(const struct sl_out *o)
{
    const struct sl_addr seed = address_number(99);
    if (o->type == SL_OUT_DIAL && sl_addr_eq(&o->addr, &seed)) {
        seed_dial.link = o->link;
        seed_dial.m1_len = 0;
    }
    if (o->type == SL_OUT_SEND && o->link == seed_dial.link && seed_dial.m1_len == 0 && o->bytes.p[0] == SL_M1) {
        memcpy(seed_dial.m1, o->bytes.p, o->bytes.len);
        seed_dial.m1_len = o->bytes.len;
    }
}

/* Peer 0 answers where the core looks for a seed, and only then says who it is. */
static void answer_as_the_seed(void)
{
    const uint8_t c_core[SL_KEY_LEN] = {0}; /* as core_new leaves it */
    struct sl_hello h = {.crypto = &peers[0].crypto, .bundle = &bundle, .cert = sl_span_of(peers[0].cert, peers[0].cert_len),
                         .id = peers[0].id, .wall_s = 1700000000};
    uint8_t nonce[SL_NONCE_LEN] = {1}, m2[SL_M1_MAX];
    const struct sl_addr seed = address_number(99);
    struct sl_cert cert;
    size_t len;
    memset(&seed_dial, 0, sizeof seed_dial);
    sl_gossip_unseed(g, &seed);
    sl_gossip_seed(g, now, &seed);
    for (unsigned i = 0; i < 100 && seed_dial.m1_len == 0; i++)
        pass(SL_MS(50));
    ck_assert_uint_gt(seed_dial.m1_len, 0);
    ck_assert_int_eq(sl_hello_accept(&h, c_core, sl_span_of(seed_dial.m1, seed_dial.m1_len), nonce, &cert, m2, &len),
                     SL_OK);
    sl_gossip_receive(g, now, seed_dial.link, m2, len);
    drain();
}

START_TEST(a_forger_is_not_met_as_a_seed_either)
{
    uint8_t fact[SL_VITALS_MAX];
    on_out = look_for_the_seed;
    for (int i = 0; i < SL_BAD_MAX; i++)
        give(fact, forge(&peers[2], 6, 1, fact));
    uint64_t proven = stats().links_proven;
    answer_as_the_seed();
    ck_assert_uint_eq(stats().links_proven, proven);
    pass(SL_SEC(61));
    answer_as_the_seed();
    ck_assert_uint_eq(stats().links_proven, proven + 1);
}
END_TEST

START_TEST(forgeries_do_not_use_up_the_quota_of_their_victim)
{
    uint8_t fact[SL_VITALS_MAX];
    for (unsigned i = 0; i < SL_BAD_MAX - 1; i++)
        give(fact, forge(&peers[2], 5, 500 + i, fact));
    for (unsigned i = 0; i < SL_FACTS_BURST - 1; i++) /* one went for what everybody said first */
        give_vitals(2, 5, 10 + i, (struct sl_vitals){0});
    ck_assert_uint_eq(version_of(2).seq, 10 + SL_FACTS_BURST - 2);
}
END_TEST

START_TEST(who_floods_with_its_own_facts_is_cut)
{
    uint8_t fact[SL_VITALS_MAX];
    size_t links = info_now().n_links;
    unsigned n = 0;
    for (; n < 1000 && info_now().n_links == links; n++)
        give(fact, vitals_make(&peers[0], 5, 100 + n, (struct sl_vitals){0}, fact));
    ck_assert_uint_gt(n, SL_FACTS_BURST);
    ck_assert_uint_le(n, 300);
}
END_TEST

START_TEST(a_claimed_address_and_one_accuser_fell_nobody)
{
    uint8_t fact[SL_RECORD_MAX];
    pass(SL_SEC(4));
    give_vitals(2, 5, 3, (struct sl_vitals){0});
    struct sl_sighting s = {.accused = peers[2].id, .how = SL_REFUSED, .seen = version_of(2)};
    give(fact, record_make(&peers[1], 12, 6, 1, fact)); /* the address of peer 2 */
    give(fact, sighting_make(&peers[1], 6, 2, &s, 1, fact));
    ck_assert_int_eq(status_of(2), SL_SUSPECT);
}
END_TEST

START_TEST(what_we_say_ourselves_keeps_within_what_others_take)
{
    uint8_t weight[8];
    pass(SL_SEC(2));
    own_facts = 0;
    for (unsigned i = 0; i < 1000; i++) { /* ten seconds */
        memset(weight, (int)i, sizeof weight);
        ck_assert_int_eq(sl_gossip_put(g, now, SL_VITALS, sl_span_of(weight, sizeof weight), true), 0);
        pass(SL_MS(10));
    }
    ck_assert_uint_ge(own_facts, 100);
    ck_assert_uint_le(own_facts, SL_FACTS_BURST + 10 * SL_FACTS_PER_SECOND);
}
END_TEST

/* Peer 2 accuses peer 3 of a version; how often link 4 (peer 1) and peer 3 itself hear of it. */
static void say_of_3(uint64_t seq, uint64_t seen)
{
    uint8_t fact[SL_SIGHTINGS_MAX];
    struct sl_sighting s = {.accused = peers[3].id, .how = SL_SILENT, .seen = {5, seen}};
    looked_for = sl_span_of(fact, sighting_make(&peers[2], 5, seq, &s, 1, fact));
    found = told_accused = 0;
    give(looked_for.p, looked_for.len);
    pass(SL_MS(20));
    looked_for = sl_span_of(NULL, 0);
}

START_TEST(the_first_beat_after_an_accusation_says_so)
{
    pass(SL_SEC(4));
    against = 0;
    accuse(1, 3, 2, 2); /* an eighth of six watchers */
    ck_assert_uint_eq(against, 2);
}
END_TEST

START_TEST(who_only_takes_back_what_it_said_has_time)
{
    pass(SL_SEC(4));
    say_of_3(3, 2);
    ck_assert_uint_eq(found, 1);
    ck_assert_uint_eq(told_accused, 1);
    uint8_t fact[SL_SIGHTINGS_MAX];
    size_t len = sighting_make(&peers[2], 5, 4, NULL, 0, fact);
    looked_for = sl_span_of(fact, len);
    found = 0;
    give(fact, len);
    pass(SL_MS(20));
    ck_assert_uint_eq(found, 0);
    pass(SL_MS(100));
    ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(over_an_edge_that_fails_sightings_go_to_the_accused_alone)
{
    pass(SL_SEC(4));
    answering = false;
    accuse(4, 3, 1, 2); /* so that it is looked at, */
    accuse(4, 4, 3, 2);
    pass(SL_SEC(2)); /* and does not answer */
    say_of_3(3, 2);
    ck_assert_uint_eq(found, 0);
    ck_assert_uint_eq(told_accused, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, begin, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, facts_of_a_later_version_are_kept_compared_and_passed_on);
    tcase_add_test(t, one_origin_has_a_few_later_kinds_and_no_more);
    tcase_add_test(t, who_accuses_again_and_again_and_is_answered_is_denied);
    tcase_add_test(t, a_denied_accuser_alone_fells_nobody_and_counts_among_many);
    tcase_add_test(t, who_comes_and_goes_stays_suspect_for_a_while);
    tcase_add_test(t, who_has_just_come_back_is_not_felled_again_at_once);
    tcase_add_test(t, who_has_answered_some_of_its_accusers_has_half_a_second_to_answer_all);
    tcase_add_test(t, who_is_accused_by_nobody_any_more_or_speaks_anew_has_to_earn_a_voice_again);
    tcase_add_test(t, two_live_nodes_of_one_name_are_told_of_once);
    tcase_add_test(t, a_node_restarted_under_its_name_is_no_twin);
    tcase_add_test(t, a_door_without_room_names_others);
    tcase_add_test(t, a_full_house_dials_no_more_than_it_has_places_for);
    tcase_add_test(t, sightings_without_end_are_not_passed_on_without_end);
    tcase_add_test(t, the_first_beat_after_an_accusation_says_so);
    tcase_add_test(t, who_only_takes_back_what_it_said_has_time);
    tcase_add_test(t, over_an_edge_that_fails_sightings_go_to_the_accused_alone);
    tcase_add_test(t, a_forger_moves_nobody_and_is_refused_for_a_while);
    tcase_add_test(t, a_forger_is_not_met_as_a_seed_either);
    tcase_add_test(t, forgeries_do_not_use_up_the_quota_of_their_victim);
    tcase_add_test(t, who_floods_with_its_own_facts_is_cut);
    tcase_add_test(t, a_claimed_address_and_one_accuser_fell_nobody);
    tcase_add_test(t, what_we_say_ourselves_keeps_within_what_others_take);
    suite_add_tcase(s, t);
    return run_suite(s);
}
