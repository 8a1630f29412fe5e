/* test_clone.c: of two processes with one key one gives way; an earlier life of a node, however often it was set back,
 * and whatever a member repeats or invents, makes nobody do so. */
#include <starling.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "core_help.h"
#include "tests/suite.h"

static unsigned n_cuts, n_sends, n_yields, n_stale;
static struct sl_id yielded;

static void look_out(const struct sl_out *o)
{
    n_cuts += o->type == SL_OUT_CUT;
    n_sends += o->type == SL_OUT_SEND;
}

static void look_event(const struct sl_event *e)
{
    n_stale += e->type == SL_EV_STALE && e->status == SL_DOWN;
    if (e->type != SL_EV_YIELDED)
        return;
    n_yields++;
    yielded = e->id;
}

static void setup_core(void)
{
    on_out = NULL;
    on_event = NULL;
    setup();
    everybody();
    n_cuts = n_sends = n_yields = n_stale = 0;
    on_out = look_out;
    on_event = look_event;
}

static struct sl_gossip_info info(void)
{
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    return i;
}

/* Something that was said with the core's key, somewhere else. */
static void give_own(uint64_t epoch, uint64_t seq)
{
    uint8_t fact[SL_RECORD_MAX];
    give(fact, record_make(&self, 1, epoch, seq, fact));
}

/* What a copy says that has heard `over`: PROTOCOL.md, "Facts". */
static uint64_t jump_over(uint64_t over, uint64_t ms_more)
{
    uint8_t text[16];
    uint64_t ms = (over >> 16) + ms_more;
    sl_put64(text, over);
    sl_put64(text + 8, ms);
    return ms << 16 | (sl_siphash(bundle.flock, text, sizeof text) & 0xffff);
}

static uint64_t meet_an_earlier_life(uint64_t epoch)
{
    uint64_t before = info().version.epoch;
    give_own(epoch, 40);
    ck_assert_uint_gt(info().version.epoch, epoch);
    ck_assert_uint_gt(info().version.epoch, before);
    return info().version.epoch;
}

START_TEST(earlier_lives_are_jumped_over_however_many_there_were)
{
    uint64_t epoch = info().version.epoch;
    for (unsigned k = 0; k < 10; k++)
        epoch = meet_an_earlier_life(epoch + (UINT64_C(9000) << 16));
    ck_assert_uint_eq(n_yields, 0);
    ck_assert_uint_eq(info().n_links, 1);
}
END_TEST

START_TEST(an_epoch_that_jumps_over_another_bears_its_mark)
{
    uint64_t over = (UINT64_C(5000) << 16) + 77, epoch = meet_an_earlier_life(over);
    ck_assert_uint_eq(epoch, jump_over(over, (epoch >> 16) - 5000));
}
END_TEST

START_TEST(who_is_jumped_over_gives_way_without_a_goodbye)
{
    struct sl_member_info m;
    give_own(jump_over(info().version.epoch, 3), 1);
    ck_assert_uint_eq(n_yields, 1);
    ck_assert(sl_id_eq(&yielded, &self.id));
    ck_assert_uint_eq(n_stale, 1);
    ck_assert_uint_eq(n_cuts, 1);
    ck_assert(info().yielded && info().n_links == 0);
    n_sends = 0;
    ck_assert(!sl_gossip_accept(g, now, 8, c_peer));
    ck_assert_int_eq(sl_gossip_put(g, now, SL_VITALS, sl_span_of("\x90", 1), true), 0);
    ck_assert(sl_gossip_deadline(g) == SL_NEVER);
    now += SL_SEC(60);
    sl_gossip_tick(g, now);
    drain();
    ck_assert_uint_eq(n_sends, 0);
    ck_assert(sl_gossip_find(g, &self.id, &m) && m.status == SL_ALIVE);
}
END_TEST

START_TEST(nobody_else_makes_it_give_way)
{
    uint8_t fact[SL_RECORD_MAX];
    uint64_t epoch = jump_over(info().version.epoch, 3);
    size_t len = record_make(&self, 1, epoch, 1, fact);
    fact[len - 1] ^= 1;
    give(fact, len);
    struct person liar = {.crypto = peers[0].crypto, .id = self.id};
    give(fact, vitals_make(&liar, epoch, 1, (struct sl_vitals){0}, fact));
    ck_assert_uint_eq(n_yields, 0);
    ck_assert_uint_eq(info().version.epoch, UINT64_C(1000) << 16);
    ck_assert_uint_eq(stats().refused_signature, 2);
}
END_TEST

START_TEST(what_it_said_itself_is_no_copy_of_it_nor_is_what_it_said_before_it_jumped)
{
    struct sl_member_info m;
    uint8_t before[SL_RECORD_MAX];
    ck_assert(sl_gossip_find(g, &self.id, &m));
    size_t len = m.record->len;
    memcpy(before, m.record->bytes, len);
    give(before, len);
    ck_assert_uint_eq(info().version.epoch, UINT64_C(1000) << 16);
    uint64_t epoch = meet_an_earlier_life(UINT64_C(5000) << 16);
    give(before, len);
    give_own(UINT64_C(5000) << 16, 40);
    ck_assert_uint_eq(info().version.epoch, epoch);
    ck_assert_uint_eq(n_yields, 0);
}
END_TEST

START_TEST(a_machine_set_back_to_a_moment_twice_is_no_copy_of_itself)
{
    const uint64_t epoch = info().version.epoch;
    uint64_t seen[3];
    for (unsigned k = 0; k < 3; k++) {
        sl_gossip_free(g);
        g = core_new(); /* same epoch, same chance */
        link_as(&peers[0], 2);
        give_own(epoch, 40); /* it went on without itself */
        seen[k] = info().version.epoch;
        ck_assert_uint_gt(seen[k], epoch);
        for (unsigned i = 0; i < k; i++) /* and said that before it was set back again */
            give_own(seen[i] + i, 1);
    }
    ck_assert_uint_eq(n_yields, 0);
}
END_TEST

START_TEST(other_words_under_a_version_of_its_own_are_a_copys)
{
    uint8_t fact[SL_RECORD_MAX];
    struct sl_member_info m;
    ck_assert(sl_gossip_find(g, &self.id, &m));
    struct sl_version said = m.record->version;
    give(fact, record_make(&self, 9, said.epoch, said.seq, fact));
    uint64_t epoch = info().version.epoch;
    ck_assert_uint_gt(epoch, said.epoch);
    ck_assert_uint_eq(n_yields, 0);
    give_own(jump_over(epoch, 1), 1);
    ck_assert_uint_eq(n_yields, 1);
}
END_TEST

START_TEST(where_no_epoch_is_left_above_it_gives_way)
{
    give_own(INT64_MAX, 1);
    ck_assert_uint_eq(n_yields, 1);
}
END_TEST

START_TEST(with_another_key_it_is_there_again_with_what_it_offered)
{
    static const uint8_t sections[] = "\x91\x95what it offers";
    struct person next;
    struct sl_member_info m;
    struct sl_record r;
    const uint64_t epoch = UINT64_C(2000) << 16;
    ck_assert_int_eq(sl_gossip_put(g, now, SL_RECORD, sl_span_of(sections, sizeof sections), false), 0);
    drain();
    person_make(&next, 99);
    ck_assert_int_eq(sl_gossip_rekey(g, now, sl_span_of(next.cert, next.cert_len), epoch), STARLING_EAUTH);
    give_own(jump_over(info().version.epoch, 3), 1);
    ck_assert_int_eq(sl_gossip_rekey(g, now, sl_span_of(self.cert, self.cert_len), epoch), STARLING_EAUTH);
    struct person before = self;
    before.crypto = sl_crypto_port(&before.signer);
    self = next; /* the port signs with its key now */
    self.crypto = sl_crypto_port(&self.signer);
    ck_assert_int_eq(sl_gossip_rekey(g, now, sl_span_of(self.cert, self.cert_len), epoch), 0);
    drain();
    struct sl_gossip_info i = info();
    ck_assert(sl_id_eq(&i.id, &next.id) && !i.yielded);
    ck_assert(sl_gossip_find(g, &next.id, &m) && m.self && m.record && m.vitals);
    ck_assert(sl_record_read(sl_fact_body(m.record), &r));
    ck_assert(r.sections.len == sizeof sections && memcmp(r.sections.p, sections, sizeof sections) == 0);
    ck_assert(sl_gossip_find(g, &before.id, &m) && !m.self);
    for (unsigned p = 0; p < PEERS; p++)
        ck_assert_int_eq(status_of(p), SL_ALIVE);

    n_sends = 0;
    answering = true;
    link_as(&peers[0], 4); /* whom it lets in again, and tells who it is */
    pass(SL_SEC(2));
    ck_assert_uint_gt(n_sends, 1);
    uint8_t fact[SL_RECORD_MAX];
    size_t len = record_make(&before, 9, UINT64_C(9000) << 16, 1, fact), n = 0;
    bytes[n++] = 0x92;
    bytes[n++] = 4;
    bytes[n++] = 0xc5;
    bytes[n++] = (uint8_t)(len >> 8);
    bytes[n++] = (uint8_t)len;
    memcpy(bytes + n, fact, len);
    sl_gossip_receive(g, now, 4, bytes, n + len);
    ck_assert(sl_gossip_find(g, &before.id, &m) && m.version.epoch == UINT64_C(9000) << 16);
    ck_assert_uint_eq(info().version.epoch, epoch);
    answering = false;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clone");
    TCase *t = tcase_create("one key, two processes");
    tcase_add_checked_fixture(t, setup_core, teardown);
    tcase_add_test(t, earlier_lives_are_jumped_over_however_many_there_were);
    tcase_add_test(t, an_epoch_that_jumps_over_another_bears_its_mark);
    tcase_add_test(t, who_is_jumped_over_gives_way_without_a_goodbye);
    tcase_add_test(t, nobody_else_makes_it_give_way);
    tcase_add_test(t, what_it_said_itself_is_no_copy_of_it_nor_is_what_it_said_before_it_jumped);
    tcase_add_test(t, a_machine_set_back_to_a_moment_twice_is_no_copy_of_itself);
    tcase_add_test(t, other_words_under_a_version_of_its_own_are_a_copys);
    tcase_add_test(t, where_no_epoch_is_left_above_it_gives_way);
    tcase_add_test(t, with_another_key_it_is_there_again_with_what_it_offered);
    suite_add_tcase(s, t);
    return run_suite(s);
}
