/* test_hello.c: nobody gets through the hello who does not hold the key his certificate names, nor by
 * standing in the middle: neither by relaying m1 or m2, nor by claiming another's C_d, answering as itself or
 * reflecting (tests `in_the_middle_...`). */
#include <check.h>
#include <stdlib.h>

#include "flock.h"
#include "gossip/hello.h"
#include "tests/suite.h"

static struct person dialler, acceptor, member; /* the member stands in the middle */
static struct sl_hello at_dialler, at_acceptor, at_member;
static uint8_t c_d[32] = "the dialler's CURVE key", c_m[32] = "the member's CURVE key";
static uint8_t nonce[SL_NONCE_LEN] = "nonce";
static uint8_t m1[SL_M1_MAX], m2[SL_M1_MAX];
static size_t m1_len, m2_len;
static struct sl_cert peer;

static struct sl_hello hello_of(struct person *p)
{
    return (struct sl_hello){.crypto = &p->crypto, .bundle = &bundle, .cert = sl_span_of(p->cert, p->cert_len),
                             .id = p->id, .wall_s = 1700000000};
}

static void setup(void)
{
    flock_make(1);
    person_make(&dialler, 10);
    person_make(&acceptor, 11);
    person_make(&member, 12);
    at_dialler = hello_of(&dialler);
    at_acceptor = hello_of(&acceptor);
    at_member = hello_of(&member);
    m1_len = sl_hello_dial(&at_dialler, c_d, nonce, &acceptor.id, m1);
}

static enum sl_reason accept_at(struct sl_hello *h, const uint8_t *curve_key)
{
    return sl_hello_accept(h, curve_key, sl_span_of(m1, m1_len), nonce, &peer, m2, &m2_len);
}

static enum sl_reason finish(void)
{
    return sl_hello_finish(&at_dialler, c_d, sl_span_of(m1, m1_len), &acceptor.id, sl_span_of(m2, m2_len), &peer);
}

START_TEST(two_members_of_one_flock_prove_themselves_to_each_other)
{
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    ck_assert(sl_id_eq(&peer.id, &dialler.id));
    ck_assert_int_eq(finish(), SL_OK);
    ck_assert(sl_id_eq(&peer.id, &acceptor.id));
}
END_TEST

START_TEST(in_the_middle_a_relayed_m1_fails_because_the_transport_saw_another_curve_key)
{
    ck_assert_int_eq(accept_at(&at_acceptor, c_m), SL_REASON_SIG);
}
END_TEST

START_TEST(in_the_middle_a_relayed_m2_made_for_another_curve_key_fails_at_the_dialler)
{
    /* The member dials the acceptor itself and hands the answer on. */
    uint8_t own[SL_M1_MAX];
    size_t len = sl_hello_dial(&at_member, c_m, nonce, &acceptor.id, own);
    ck_assert_int_eq(sl_hello_accept(&at_acceptor, c_m, sl_span_of(own, len), nonce, &peer, m2, &m2_len), SL_OK);
    ck_assert_int_eq(finish(), SL_REASON_SIG);
}
END_TEST

START_TEST(in_the_middle_who_claims_the_diallers_curve_key_is_not_believed)
{
    /* Its own certificate and signature, over the key that the dialler has and it has not. */
    m1_len = sl_hello_dial(&at_member, c_d, nonce, &acceptor.id, m1);
    ck_assert_int_eq(accept_at(&at_acceptor, c_m), SL_REASON_SIG);
}
END_TEST

START_TEST(in_the_middle_a_member_who_answers_as_itself_is_not_whom_the_dialler_wants)
{
    ck_assert_int_eq(accept_at(&at_member, c_d), SL_REASON_WANT);
    m1_len = sl_hello_dial(&at_dialler, c_d, nonce, &member.id, m1);
    ck_assert_int_eq(accept_at(&at_member, c_d), SL_OK);
    ck_assert_int_eq(finish(), SL_REASON_WANT);
}
END_TEST

START_TEST(in_the_middle_an_m1_reflected_to_its_sender_is_refused)
{
    m1_len = sl_hello_dial(&at_dialler, c_d, nonce, NULL, m1);
    ck_assert_int_eq(accept_at(&at_dialler, c_d), SL_REASON_SELF);
}
END_TEST

START_TEST(in_the_middle_an_m1_reflected_as_m2_is_refused)
{
    memcpy(m2, m1, m1_len);
    m2_len = m1_len;
    ck_assert_int_ne(finish(), SL_OK);
    m2[0] = SL_M2; /* and dressed up as one: it is 17 bytes longer before its tail */
    ck_assert_int_ne(finish(), SL_OK);
    memmove(m2 + 18, m2 + 35, m1_len - 35);
    m2_len = m1_len - 17;
    ck_assert_int_ne(finish(), SL_OK);
}
END_TEST

START_TEST(an_m2_for_an_earlier_m1_is_refused)
{
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    uint8_t other[SL_NONCE_LEN] = "another nonce";
    m1_len = sl_hello_dial(&at_dialler, c_d, other, &acceptor.id, m1);
    ck_assert_int_eq(finish(), SL_REASON_SIG);
}
END_TEST

START_TEST(another_flock_is_refused_by_its_certificate)
{
    flock_make(2);
    person_make(&member, 12);
    at_member = hello_of(&member);
    m1_len = sl_hello_dial(&at_member, c_m, nonce, NULL, m1);
    flock_make(1);
    ck_assert_int_eq(accept_at(&at_acceptor, c_m), SL_REASON_CERT);
}
END_TEST

/* Of a bundle with the old door first and one with the new door first. */
START_TEST(while_doors_are_rotated_either_order_proves_itself_to_the_other)
{
    struct sl_bundle old_first = bundle, new_first = bundle;
    old_first.two_doors = new_first.two_doors = true;
    new_first.door_public[0] = old_first.second_door_public[0] = 77;
    new_first.second_door_public[0] = old_first.door_public[0];
    at_dialler.bundle = &old_first;
    at_acceptor.bundle = &new_first;
    for (int i = 0; i < 2; i++) {
        m1_len = sl_hello_dial(&at_dialler, c_d, nonce, &acceptor.id, m1);
        ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
        ck_assert_int_eq(finish(), SL_OK);
        at_dialler.bundle = &new_first;
        at_acceptor.bundle = &old_first;
    }
    at_acceptor.bundle = &bundle; /* knows the old door alone, and the dialler signs for the new one */
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_REASON_SIG);
}
END_TEST

START_TEST(certificates_of_two_authorities_of_one_bundle_prove_themselves_to_each_other)
{
    struct sl_bundle both = bundle;
    flock_make(2);
    person_make(&member, 12);
    memcpy(both.authority[1], bundle.authority[0], SL_KEY_LEN);
    both.n_authorities = 2;
    at_dialler = hello_of(&member);
    at_dialler.bundle = at_acceptor.bundle = &both;
    m1_len = sl_hello_dial(&at_dialler, c_d, nonce, &acceptor.id, m1);
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    ck_assert_int_eq(finish(), SL_OK);
    both.n_authorities = 1; /* the second is retired */
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_REASON_CERT);
}
END_TEST

static const char *fault_at(struct sl_hello *h)
{
    const char *fault = sl_hello_cert_fault(h, sl_span_of(m1, m1_len), &peer);
    ck_assert_int_eq(accept_at(h, c_d), SL_REASON_CERT);
    return fault;
}

START_TEST(what_is_wrong_with_a_certificate_is_said_to_the_one_who_refuses)
{
    at_acceptor.wall_s = INT64_C(4102444800) + 601;
    ck_assert_str_eq(fault_at(&at_acceptor), "its certificate has expired");
    ck_assert_str_eq(peer.name, "n10");
    at_acceptor.wall_s = -601;
    ck_assert_str_eq(fault_at(&at_acceptor), "its certificate is not valid yet");
    at_acceptor.wall_s = 1700000000;
    struct sl_bundle other = bundle;
    other.flock[0] ^= 1;
    at_acceptor.bundle = &other;
    ck_assert_str_eq(fault_at(&at_acceptor), "its certificate is for another flock");
    other = bundle;
    other.authority[0][0] ^= 1;
    ck_assert_str_eq(fault_at(&at_acceptor),
                     "its certificate is not signed by an authority that this node trusts");
    at_acceptor.bundle = &bundle;
    m1[45] ^= 0xff; /* its first byte, the version */
    ck_assert_str_eq(fault_at(&at_acceptor), "its certificate cannot be read");
    ck_assert_str_eq(peer.name, "");
}
END_TEST

START_TEST(whose_own_certificate_has_ended_takes_those_that_ended_within_a_day)
{
    const int64_t end = INT64_C(4102444800);
    at_acceptor.wall_s = at_dialler.wall_s = end + 3600;
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_REASON_CERT); /* its own is a good one, and it knows better */
    at_acceptor.ended = at_dialler.ended = true;
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    ck_assert_int_eq(finish(), SL_OK);
    at_dialler.ended = false;
    ck_assert_int_eq(finish(), SL_REASON_CERT);
    at_dialler.ended = true;
    at_dialler.wall_s = end + 86401;
    ck_assert_int_eq(finish(), SL_REASON_CERT);
    at_acceptor.wall_s = end + 86400;
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    at_acceptor.wall_s = end + 86401;
    ck_assert_str_eq(fault_at(&at_acceptor), "its certificate has expired");
    at_acceptor.wall_s = -601; /* too early is too early for everybody */
    ck_assert_str_eq(fault_at(&at_acceptor), "its certificate is not valid yet");
}
END_TEST

START_TEST(another_protocol_version_is_refused_and_named)
{
    m1[1] = m1[2] = 2;
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_REASON_VERSION);
    m1_len = sl_hello_dial(&at_dialler, c_d, nonce, &acceptor.id, m1);
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    m2[1] = 2;
    ck_assert_int_eq(finish(), SL_REASON_VERSION);
}
END_TEST

START_TEST(no_flipped_bit_and_no_truncation_passes)
{
    for (size_t i = 0; i < m1_len * 8; i++) {
        m1[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert_msg(accept_at(&at_acceptor, c_d) != SL_OK, "bit %zu of m1", i);
        m1[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t len = 0; len < m1_len; len++)
        ck_assert(sl_hello_accept(&at_acceptor, c_d, sl_span_of(m1, len), nonce, &peer, m2, &m2_len) != SL_OK);
    ck_assert_int_eq(accept_at(&at_acceptor, c_d), SL_OK);
    for (size_t i = 0; i < m2_len * 8; i++) {
        m2[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert_msg(finish() != SL_OK, "bit %zu of m2", i);
        m2[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hello");
    TCase *t = tcase_create("hello");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, two_members_of_one_flock_prove_themselves_to_each_other);
    tcase_add_test(t, in_the_middle_a_relayed_m1_fails_because_the_transport_saw_another_curve_key);
    tcase_add_test(t, in_the_middle_a_relayed_m2_made_for_another_curve_key_fails_at_the_dialler);
    tcase_add_test(t, in_the_middle_who_claims_the_diallers_curve_key_is_not_believed);
    tcase_add_test(t, in_the_middle_a_member_who_answers_as_itself_is_not_whom_the_dialler_wants);
    tcase_add_test(t, in_the_middle_an_m1_reflected_to_its_sender_is_refused);
    tcase_add_test(t, in_the_middle_an_m1_reflected_as_m2_is_refused);
    tcase_add_test(t, an_m2_for_an_earlier_m1_is_refused);
    tcase_add_test(t, another_flock_is_refused_by_its_certificate);
    tcase_add_test(t, while_doors_are_rotated_either_order_proves_itself_to_the_other);
    tcase_add_test(t, certificates_of_two_authorities_of_one_bundle_prove_themselves_to_each_other);
    tcase_add_test(t, what_is_wrong_with_a_certificate_is_said_to_the_one_who_refuses);
    tcase_add_test(t, whose_own_certificate_has_ended_takes_those_that_ended_within_a_day);
    tcase_add_test(t, another_protocol_version_is_refused_and_named);
    tcase_add_test(t, no_flipped_bit_and_no_truncation_passes);
    suite_add_tcase(s, t);
    return run_suite(s);
}
