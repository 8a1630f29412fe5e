/* test_revoke.c: who was revoked is out, and stays out, whatever anybody sends; and who says so must be
 * an authority. Who has expired is out an hour later, unless it seems to be everybody. */
#include <starling.h>
#include <stdlib.h>

#include "core_help.h"
#include "gossip/revocation.h"
#include "tests/suite.h"

#define MSG_REVOKED 10

static unsigned n_cuts, n_bars, n_told, n_facts;
static sl_link cut, barred;
static uint64_t cut_mask;

static void look_out(const struct sl_out *o)
{
    struct sl_read r;
    size_t n;
    uint64_t type = 0;
    if (o->type == SL_OUT_BAR) {
        n_bars++;
        barred = o->link;
    }
    if (o->type == SL_OUT_CUT) {
        n_cuts++;
        cut = o->link;
        cut_mask |= o->link < 64 ? UINT64_C(1) << o->link : 0;
    }
    if (o->type != SL_OUT_SEND)
        return;
    sl_read_init(&r, o->bytes.p, o->bytes.len);
    if (!sl_read_array(&r, 100, &n) || !sl_read_uint(&r, 255, &type))
        return;
    n_told += type == MSG_REVOKED;
    n_facts += type == 4;
}

static void setup_core(void)
{
    on_out = NULL;
    setup();
    n_cuts = n_bars = n_told = n_facts = 0;
    on_out = look_out;
}

/* Peer `p`'s key, or the certificate it has (its serial is its seed). */
static void revoke_by(struct sl_signer *by, unsigned p, bool whole_key, uint8_t out[SL_REVOCATION_LEN])
{
    struct sl_crypto c = sl_crypto_port(by);
    struct sl_revocation r = {.id = peers[p].id, .at = 1700000000, .until = 1800000000};
    memcpy(r.flock, bundle.flock, sizeof r.flock);
    if (!whole_key)
        r.serial[0] = (uint8_t)(10 + p);
    sl_revocation_sign(&c, by->public_key, &r, out);
}

static int revoke(unsigned p, bool whole_key)
{
    uint8_t entry[SL_REVOCATION_LEN];
    revoke_by(&authority_signer, p, whole_key, entry);
    int r = sl_gossip_revoke(g, now, sl_span_of(entry, sizeof entry));
    drain();
    return r;
}

static bool knows(unsigned p)
{
    struct sl_member_info m;
    return sl_gossip_find(g, &peers[p].id, &m);
}

/* A message with entries, over a link. */
static void say_revoked(sl_link link, bool last, const uint8_t *entries, size_t n)
{
    struct sl_pack w;
    sl_pack_init(&w, bytes, sizeof bytes);
    sl_pack_array(&w, 3);
    sl_pack_uint(&w, MSG_REVOKED);
    sl_pack_uint(&w, last);
    sl_pack_bin(&w, entries, n * SL_REVOCATION_LEN);
    sl_gossip_receive(g, now, link, bytes, w.len);
    drain();
}

/* Open a link as peer `p`, which knows of `set`. */
static void link_knowing(unsigned p, sl_link link, const struct sl_revoked *set)
{
    struct sl_hello h = {.crypto = &peers[p].crypto, .bundle = &bundle, .cert = sl_span_of(peers[p].cert, peers[p].cert_len),
                         .id = peers[p].id, .revoked = set, .wall_s = 1700000000};
    uint8_t nonce[SL_NONCE_LEN] = {(uint8_t)link}, m1[SL_M1_MAX];
    ck_assert(sl_gossip_accept(g, now, link, c_peer));
    sl_gossip_receive(g, now, link, m1, sl_hello_dial(&h, c_peer, nonce, NULL, m1));
    drain();
}

START_TEST(who_is_revoked_is_out_and_everybody_is_told)
{
    everybody();
    link_as(&peers[3], 4);
    ck_assert(knows(3));
    n_told = n_cuts = 0;
    ck_assert_int_eq(revoke(3, false), 0);
    ck_assert(!knows(3));
    ck_assert(n_cuts == 1 && cut == 4);
    ck_assert(n_bars == 1 && barred == 4); /* the transport spares us its next hellos */
    ck_assert_uint_ge(n_told, 1);
    give_record(3, 6, 1); /* newer than anything, from somebody who has not heard */
    ck_assert(!knows(3));
    ck_assert_uint_eq(stats().refused_revoked, 1);
    ck_assert(knows(2) && status_of(2) == SL_ALIVE);
}
END_TEST

START_TEST(it_cannot_come_in_again)
{
    everybody();
    ck_assert_int_eq(revoke(3, false), 0);
    n_cuts = 0;
    uint64_t before = stats().refused_hello;
    struct sl_revoked none = {.n = 0};
    link_knowing(3, 6, &none);
    ck_assert_uint_eq(stats().refused_hello, before + 1);
    ck_assert(n_cuts == 1 && cut == 6);
    ck_assert(n_bars == 1 && barred == 6);
}
END_TEST

START_TEST(its_accusations_count_no_more)
{
    everybody();
    accuse(3, 7, 2, 2);
    ck_assert_uint_eq(sl_gossip_standing(g, &peers[2].id), 1);
    ck_assert_int_eq(revoke(3, true), 0);
    ck_assert_uint_eq(sl_gossip_standing(g, &peers[2].id), 0);
    accuse(3, 8, 2, 2);
    ck_assert_uint_eq(sl_gossip_standing(g, &peers[2].id), 0);
}
END_TEST

START_TEST(another_certificate_of_the_key_is_not_meant_unless_the_whole_key_is)
{
    uint8_t fact[SL_RECORD_MAX];
    struct person renewed = peers[3];
    everybody();
    ck_assert_int_eq(revoke(3, false), 0);
    struct sl_crypto by = sl_crypto_port(&authority_signer);
    struct sl_cert cert;
    ck_assert(sl_cert_decode(&by, sl_span_of(renewed.cert, renewed.cert_len), &cert));
    cert.serial[5] ^= 1;
    renewed.cert_len = sl_cert_sign(&by, &cert, renewed.cert);
    give(fact, record_make(&renewed, 13, 6, 1, fact));
    ck_assert(knows(3));
    ck_assert_int_eq(revoke(3, true), 0);
    ck_assert(!knows(3));
    give(fact, record_make(&renewed, 13, 7, 1, fact));
    ck_assert(!knows(3));
}
END_TEST

START_TEST(who_is_no_authority_takes_nothing_back)
{
    uint8_t entry[SL_REVOCATION_LEN];
    everybody();
    revoke_by(&peers[1].signer, 3, true, entry); /* a member, in its own name: unknown as an authority */
    ck_assert_int_eq(sl_gossip_revoke(g, now, sl_span_of(entry, sizeof entry)), 0);
    drain();
    ck_assert(knows(3));
    revoke_by(&authority_signer, 3, true, entry);
    entry[30] ^= 1; /* somebody else's id under the authority's name */
    ck_assert_int_eq(sl_gossip_revoke(g, now, sl_span_of(entry, sizeof entry)), STARLING_EAUTH);
    entry[30] ^= 1;
    entry[0] ^= 1; /* of another flock: none of ours */
    ck_assert_int_eq(sl_gossip_revoke(g, now, sl_span_of(entry, sizeof entry)), 0);
    drain();
    ck_assert(knows(3));
    ck_assert_uint_eq(sl_gossip_revoked(g).len, 0);
}
END_TEST

START_TEST(a_peer_that_passes_on_a_forged_one_is_cut)
{
    uint8_t entry[SL_REVOCATION_LEN];
    everybody();
    revoke_by(&authority_signer, 3, true, entry);
    entry[SL_REVOCATION_LEN - 1] ^= 1;
    n_cuts = 0;
    say_revoked(2, false, entry, 1);
    ck_assert(n_cuts == 1 && cut == 2);
    ck_assert(knows(3));
}
END_TEST

START_TEST(what_a_peer_tells_is_passed_on_and_told_once)
{
    uint8_t entry[SL_REVOCATION_LEN];
    everybody();
    link_as(&peers[1], 4);
    revoke_by(&authority_signer, 3, true, entry);
    n_told = 0;
    say_revoked(2, false, entry, 1);
    ck_assert(!knows(3));
    ck_assert_uint_eq(n_told, 1); /* to peer 1, not back */
    say_revoked(4, false, entry, 1);
    ck_assert_uint_eq(n_told, 1);
}
END_TEST

START_TEST(two_who_differ_tell_each_other_before_any_fact)
{
    struct sl_revoked set = {.n = 0};
    uint8_t entry[SL_REVOCATION_LEN];
    everybody();
    revoke_by(&authority_signer, 3, true, entry);
    ck_assert_int_eq(sl_revoked_insert(&set, &sl_alloc_system, &peers[1].crypto, entry), 0);
    n_told = n_facts = 0;
    link_knowing(1, 4, &set);
    pass(SL_MS(300));
    ck_assert_uint_eq(n_told, 1); /* nothing, but that it is all */
    say_revoked(4, false, entry, 1);
    ck_assert(!knows(3));
    unsigned before = n_facts;
    say_revoked(4, true, entry, 0);
    pass(SL_MS(300));
    ck_assert_uint_gt(n_facts, before);
    sl_revoked_free(&set, &sl_alloc_system);
}
END_TEST

START_TEST(who_never_tells_is_cut)
{
    struct sl_revoked set = {.root = 77};
    everybody();
    link_knowing(1, 4, &set);
    cut_mask = 0;
    pass(SL_SEC(4));
    ck_assert_uint_ne(cut_mask & 1 << 4, 0);
}
END_TEST

/* A list of `n` entries that mean nobody here. */
static uint8_t *long_list(uint32_t n)
{
    struct sl_crypto c = sl_crypto_port(&authority_signer);
    uint8_t *all = malloc((size_t)n * SL_REVOCATION_LEN);
    ck_assert_ptr_nonnull(all);
    for (uint32_t i = 0; i < n; i++) {
        struct sl_revocation r = {.at = 1};
        memcpy(r.flock, bundle.flock, sizeof r.flock);
        memcpy(r.id.b, &i, sizeof i);
        r.id.b[15] = 1;
        sl_revocation_sign(&c, authority_signer.public_key, &r, all + (size_t)i * SL_REVOCATION_LEN);
    }
    return all;
}

START_TEST(a_peer_that_asks_again_and_again_is_told_so_many_bytes_and_no_more)
{
    uint8_t *all = long_list(2000);
    ck_assert_int_eq(sl_gossip_revoke(g, now, sl_span_of(all, (size_t)2000 * SL_REVOCATION_LEN)), 0);
    everybody();
    drain();
    uint64_t before = stats().bytes_out;
    struct sl_revoked lies = {.root = 77};
    for (unsigned k = 0; k < 100; k++) {
        lies.root++;
        link_knowing(1, (sl_link)(8 + 2 * k), &lies);
        sl_gossip_link(g, now, (sl_link)(8 + 2 * k), SL_LINK_DOWN);
        pass(SL_MS(100));
    }
    uint64_t liar = stats().bytes_out - before;
    ck_assert_uint_le(liar, 5 * 1024 * 1024); /* of 27 MB that it asked for */
    struct sl_revoked none = {.n = 0};
    n_told = 0;
    link_knowing(2, 300, &none); /* somebody else is told at once */
    ck_assert_uint_eq(n_told, 5);
    free(all);
}
END_TEST

START_TEST(ten_thousand_are_kept_and_told_and_no_more)
{
    uint8_t *all = long_list(SL_REVOKED_MAX + 1);
    ck_assert_int_eq(sl_gossip_revoke(g, now, sl_span_of(all, (size_t)(SL_REVOKED_MAX + 1) * SL_REVOCATION_LEN)), 0);
    ck_assert_uint_eq(sl_gossip_revoked(g).len, (size_t)SL_REVOKED_MAX * SL_REVOCATION_LEN);
    drain();
    ck_assert_uint_le(n_told, SL_REVOKED_MAX / 400); /* in batches, to the one neighbour */
    struct sl_revoked none = {.n = 0};
    n_told = 0;
    link_knowing(1, 4, &none);
    ck_assert_uint_eq(n_told, SL_REVOKED_MAX / 400);
    free(all);
}
END_TEST

/* ---- the end of a certificate ----------------------------------------------------------- */

#define ENDS INT64_C(1700002000)

/* Peers that expire ENDS, over links from 4 on. */
static void link_short_lived(unsigned first, unsigned n)
{
    for (unsigned p = first; p < first + n; p++) {
        struct sl_crypto by = sl_crypto_port(&authority_signer);
        struct sl_cert cert;
        ck_assert(sl_cert_decode(&by, sl_span_of(peers[p].cert, peers[p].cert_len), &cert));
        cert.not_after = ENDS;
        peers[p].cert_len = sl_cert_sign(&by, &cert, peers[p].cert);
        uint64_t proven = stats().links_proven;
        link_as(&peers[p], 4 + 2 * p);
        ck_assert_uint_eq(stats().links_proven, proven + 1);
    }
}

static void wall_at(int64_t wall_s)
{
    sl_gossip_wall(g, SL_SEC(wall_s) - now);
    cut_mask = 0;
    pass(SL_SEC(11));
}

static bool was_cut(unsigned p)
{
    return (cut_mask & UINT64_C(1) << (4 + 2 * p)) != 0;
}

START_TEST(a_link_ends_an_hour_after_the_certificate)
{
    answering = true;
    link_as(&peers[2], 8);
    link_short_lived(1, 1);
    everybody();
    wall_at(ENDS + 3590 - 12);
    ck_assert(!was_cut(1));
    wall_at(ENDS + 3601);
    ck_assert(was_cut(1));
    ck_assert(!was_cut(2));
    answering = false;
}
END_TEST

START_TEST(when_half_of_the_peers_have_expired_the_own_clock_is_doubted)
{
    answering = true;
    link_short_lived(1, 1); /* one of two: peer 0 is there from the start */
    everybody();
    wall_at(ENDS + 4000);
    ck_assert(!was_cut(1));
    answering = false;
}
END_TEST

/* The hello that the core said last to the address of peer `p`, and how often it dialled there. */
static struct {
    unsigned p, n_dials;
    sl_link link;
    uint8_t m1[SL_M1_MAX];
    size_t m1_len;
} dialled;

static void look_for_dials(const struct sl_out *o)
{
    struct sl_addr addr = address_number((uint8_t)(10 + dialled.p));
    look_out(o);
    if (o->type == SL_OUT_DIAL && sl_addr_eq(&o->addr, &addr)) {
        dialled.n_dials++;
        dialled.link = o->link;
    }
    if (o->type == SL_OUT_SEND && o->link == dialled.link && o->bytes.p[0] == SL_M1) {
        memcpy(dialled.m1, o->bytes.p, o->bytes.len);
        dialled.m1_len = o->bytes.len;
    }
}

START_TEST(a_dial_whose_peer_never_tells_is_tried_again)
{
    struct sl_revoked set = {.root = 77};
    const uint8_t c_core[SL_KEY_LEN] = {0}; /* as core_new leaves it */
    uint8_t nonce[SL_NONCE_LEN] = {1}, m2[SL_M1_MAX];
    size_t len;
    struct sl_cert cert;
    memset(&dialled, 0, sizeof dialled);
    dialled.p = 1;
    on_out = look_for_dials;
    everybody();
    for (unsigned i = 0; i < 100 && dialled.m1_len == 0; i++)
        pass(SL_MS(50));
    ck_assert_uint_gt(dialled.m1_len, 0);
    struct sl_hello h = {.crypto = &peers[1].crypto, .bundle = &bundle, .cert = sl_span_of(peers[1].cert, peers[1].cert_len),
                         .id = peers[1].id, .revoked = &set, .wall_s = 1700000000};
    ck_assert_int_eq(sl_hello_accept(&h, c_core, sl_span_of(dialled.m1, dialled.m1_len), nonce, &cert, m2, &len), SL_OK);
    sl_gossip_receive(g, now, dialled.link, m2, len);
    drain();
    const unsigned before = dialled.n_dials;
    const sl_link waits = dialled.link;
    cut_mask = 0;
    pass(SL_SEC(20));
    ck_assert(waits < 64 && (cut_mask & UINT64_C(1) << waits) != 0);
    ck_assert_uint_gt(dialled.n_dials, before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("revoke");
    TCase *t = tcase_create("revoke");
    tcase_add_checked_fixture(t, setup_core, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, who_is_revoked_is_out_and_everybody_is_told);
    tcase_add_test(t, it_cannot_come_in_again);
    tcase_add_test(t, its_accusations_count_no_more);
    tcase_add_test(t, another_certificate_of_the_key_is_not_meant_unless_the_whole_key_is);
    tcase_add_test(t, who_is_no_authority_takes_nothing_back);
    tcase_add_test(t, a_peer_that_passes_on_a_forged_one_is_cut);
    tcase_add_test(t, what_a_peer_tells_is_passed_on_and_told_once);
    tcase_add_test(t, two_who_differ_tell_each_other_before_any_fact);
    tcase_add_test(t, who_never_tells_is_cut);
    tcase_add_test(t, a_peer_that_asks_again_and_again_is_told_so_many_bytes_and_no_more);
    tcase_add_test(t, ten_thousand_are_kept_and_told_and_no_more);
    tcase_add_test(t, a_link_ends_an_hour_after_the_certificate);
    tcase_add_test(t, when_half_of_the_peers_have_expired_the_own_clock_is_doubted);
    tcase_add_test(t, a_dial_whose_peer_never_tells_is_tried_again);
    suite_add_tcase(s, t);
    return run_suite(s);
}
