/* test_renew.c: certificates and authorities change while everything runs. Who has the new one stays, over the link
 * that was there; who has an old one alone is out when its authority goes. */
#include <starling.h>
#include <stdlib.h>

#include "core_help.h"
#include "gossip/pool.h"
#include "tests/suite.h"

static uint64_t cuts; /* links below 64 */
static struct sl_signer old_signer, new_signer;
static struct sl_bundle old_alone, both, new_alone;

static void look_out(const struct sl_out *o)
{
    if (o->type == SL_OUT_CUT && o->link < 64)
        cuts |= UINT64_C(1) << o->link;
}

static bool was_cut(sl_link link)
{
    return (cuts >> link & 1) != 0;
}

static void setup_core(void)
{
    on_out = NULL;
    setup();
    cuts = 0;
    on_out = look_out;
    answering = true;
    old_signer = authority_signer;
    old_alone = both = new_alone = bundle;
    signer_number(&new_signer, 2);
    both.n_authorities = 2;
    memcpy(both.authority[1], new_signer.public_key, SL_KEY_LEN);
    memcpy(new_alone.authority[0], new_signer.public_key, SL_KEY_LEN);
}

/* The certificate that `p` has, issued anew. */
static void certify(struct person *p, struct sl_signer *by, int64_t not_after)
{
    struct sl_crypto c = sl_crypto_port(by);
    struct sl_cert cert;
    ck_assert(sl_cert_decode(&c, sl_span_of(p->cert, p->cert_len), &cert));
    sl_issuer_id(&c, by->public_key, cert.issuer);
    cert.serial[7]++;
    cert.not_after = not_after;
    p->cert_len = sl_cert_sign(&c, &cert, p->cert);
}

static int renew(const struct sl_bundle *b, const struct person *p)
{
    int r = sl_gossip_renew(g, now, b, sl_span_of(p->cert, p->cert_len));
    drain();
    return r;
}

static bool knows(unsigned p)
{
    struct sl_member_info m;
    return sl_gossip_find(g, &peers[p].id, &m);
}

static bool says(const struct person *p)
{
    struct sl_member_info m;
    struct sl_record r;
    ck_assert(sl_gossip_find(g, &self.id, &m));
    ck_assert(sl_record_read(sl_fact_body(m.record), &r));
    return r.cert.len == p->cert_len && memcmp(r.cert.p, p->cert, r.cert.len) == 0;
}

static void wall_at(int64_t wall_s)
{
    sl_gossip_wall(g, SL_SEC(wall_s) - now);
    cuts = 0;
    pass(SL_SEC(11));
}

#define LATER INT64_C(4102444800)
#define SOON INT64_C(1700002000)

START_TEST(the_new_certificate_is_published_under_the_same_name)
{
    everybody();
    struct sl_gossip_info before, after;
    sl_gossip_info(g, &before);
    certify(&self, &old_signer, LATER + 1);
    ck_assert_int_eq(renew(&old_alone, &self), 0);
    sl_gossip_info(g, &after);
    ck_assert(says(&self));
    ck_assert(sl_id_eq(&before.id, &after.id));
    ck_assert_uint_eq(after.version.epoch, before.version.epoch);
    ck_assert_uint_gt(after.version.seq, before.version.seq);
    ck_assert_uint_eq(cuts, 0);
    ck_assert_uint_eq(after.n_members, before.n_members);
}
END_TEST

START_TEST(what_is_not_ours_is_refused_and_changes_nothing)
{
    struct person was = self, other = peers[1];
    everybody();
    ck_assert_int_eq(renew(&old_alone, &other), STARLING_EINVAL);
    certify(&self, &new_signer, LATER);
    ck_assert_int_eq(renew(&old_alone, &self), STARLING_EAUTH);
    struct sl_bundle foreign = both;
    foreign.flock[0] ^= 1;
    ck_assert_int_eq(renew(&foreign, &self), STARLING_EAUTH);
    ck_assert(says(&was));
    link_as(&peers[2], 8); /* and is heard by the old rules */
    ck_assert(!was_cut(8));
}
END_TEST

START_TEST(a_link_lives_by_the_certificate_that_its_peer_has_now)
{
    uint8_t fact[SL_RECORD_MAX];
    everybody();
    for (unsigned p = 1; p < 5; p++) { /* so many that one who has expired is not "half" */
        if (p == 1 || p == 2)
            certify(&peers[p], &old_signer, SOON);
        link_as(&peers[p], 2 + 2 * p);
    }
    certify(&peers[1], &old_signer, LATER);
    give(fact, record_make(&peers[1], 11, 5, 9, fact));
    wall_at(SOON + 3601);
    ck_assert(!was_cut(4)); /* renewed */
    ck_assert(was_cut(6));  /* not */
}
END_TEST

START_TEST(when_an_authority_goes_those_stay_who_have_a_certificate_of_the_new_one)
{
    uint8_t fact[SL_RECORD_MAX];
    everybody();
    link_as(&peers[1], 4);
    link_as(&peers[2], 6);
    ck_assert_int_eq(renew(&both, &self), 0); /* added */
    certify(&self, &new_signer, LATER);
    ck_assert_int_eq(renew(&both, &self), 0); /* swapped */
    struct person late = peers[2];
    certify(&peers[0], &new_signer, LATER);
    certify(&peers[1], &new_signer, LATER);
    give(fact, record_make(&peers[0], 10, 5, 9, fact));
    give(fact, record_make(&peers[1], 11, 5, 9, fact));
    ck_assert(knows(1) && knows(2) && cuts == 0);
    ck_assert_int_eq(renew(&new_alone, &self), 0); /* retired */
    ck_assert(knows(0) && knows(1) && status_of(1) == SL_ALIVE);
    ck_assert(!was_cut(2) && !was_cut(4));
    ck_assert(was_cut(6) && !knows(2) && !knows(3));
    give(fact, record_make(&late, 12, 5, 10, fact)); /* whoever still passes it on */
    ck_assert(!knows(2));
    uint64_t refused = stats().refused_hello;
    link_as(&late, 8);
    ck_assert_uint_eq(stats().refused_hello, refused + 1);
    bundle = new_alone;
    certify(&late, &new_signer, LATER);
    link_as(&late, 10);
    give(fact, record_make(&late, 12, 5, 11, fact));
    ck_assert(!was_cut(10) && knows(2) && status_of(2) == SL_ALIVE);
}
END_TEST

static unsigned n_dials;

static void count_dials(const struct sl_out *o)
{
    const struct sl_addr seed = address_number(99);
    n_dials += o->type == SL_OUT_DIAL && sl_addr_eq(&o->addr, &seed);
    if (o->type == SL_OUT_DIAL)
        sl_gossip_link(g, now, o->link, SL_LINK_DOWN);
}

START_TEST(seeds_that_refused_the_old_certificate_are_tried_with_the_new_one_at_once)
{
    const struct sl_addr seed = address_number(99);
    everybody();
    link_as(&peers[1], 4); /* not alone: it takes its time */
    on_out = count_dials;
    sl_gossip_seed(g, now, &seed);
    pass(SL_SEC(600));
    n_dials = 0;
    for (int s = 0; s < 900 && n_dials == 0; s++) /* 15 min apart at most */
        pass(SL_SEC(1));
    ck_assert_uint_eq(n_dials, 1); /* it was just tried: minutes until the next time */
    n_dials = 0;
    pass(SL_SEC(60));
    ck_assert_uint_eq(n_dials, 0);
    certify(&self, &old_signer, LATER + 1);
    ck_assert_int_eq(renew(&old_alone, &self), 0);
    pass(SL_SEC(1));
    ck_assert_uint_ge(n_dials, 1);
}
END_TEST

START_TEST(a_record_is_refused_whose_authority_went_although_the_one_before_is_held)
{
    uint8_t fact[SL_RECORD_MAX];
    struct sl_pool *pool;
    ck_assert_int_eq(sl_pool_new(&sl_alloc_system, &self.crypto, &bundle, &pool), 0);
    struct sl_fact *held = sl_pool_take(pool, sl_span_of(fact, record_make(&peers[1], 11, 5, 1, fact)));
    ck_assert_ptr_nonnull(held);
    pool->bundle = new_alone;
    struct sl_fact *next = sl_pool_take(pool, sl_span_of(fact, record_make(&peers[1], 11, 5, 2, fact)));
    ck_assert_ptr_null(next);
    sl_pool_unref(pool, held);
    sl_pool_free(pool);
}
END_TEST

START_TEST(whose_own_certificate_has_ended_keeps_and_takes_others_for_a_day)
{
    everybody();
    certify(&self, &old_signer, SOON);
    ck_assert_int_eq(renew(&old_alone, &self), 0);
    for (unsigned p = 1; p < 5; p++) {
        if (p == 2)
            certify(&peers[p], &old_signer, SOON);
        link_as(&peers[p], 2 + 2 * p);
    }
    wall_at(SOON + 7200);
    ck_assert(!was_cut(6)); /* with a good one of our own it would be */
    wall_at(SOON + 86402);
    ck_assert(was_cut(6));
    certify(&self, &old_signer, LATER);
    ck_assert_int_eq(renew(&old_alone, &self), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("renew");
    TCase *t = tcase_create("renew");
    tcase_add_checked_fixture(t, setup_core, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_new_certificate_is_published_under_the_same_name);
    tcase_add_test(t, what_is_not_ours_is_refused_and_changes_nothing);
    tcase_add_test(t, a_link_lives_by_the_certificate_that_its_peer_has_now);
    tcase_add_test(t, when_an_authority_goes_those_stay_who_have_a_certificate_of_the_new_one);
    tcase_add_test(t, seeds_that_refused_the_old_certificate_are_tried_with_the_new_one_at_once);
    tcase_add_test(t, a_record_is_refused_whose_authority_went_although_the_one_before_is_held);
    tcase_add_test(t, whose_own_certificate_has_ended_keeps_and_takes_others_for_a_day);
    suite_add_tcase(s, t);
    return run_suite(s);
}
