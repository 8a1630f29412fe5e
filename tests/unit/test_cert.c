/* test_cert.c: one golden certificate, made by another implementation (Python's hashlib and
 * cryptography) from the layout in cert.h; and everything near it, which must be refused. */
#include "gossip/cert.h"

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "node/crypto.h"
#include "tests/suite.h"

/* Authority's seed 00..1f, node's seed 20..3f, flock "default", serial 5e x 16, name "n1", one
 * tenant a0..a7, patterns "payments" and "api*", valid from 1700000000 to 1800000000. */
static const char golden[] =
    "017751cda99a5951225e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e6ef5e1028e73c2ba2318f9088b0c1b"
    "9729acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd700000000006553"
    "f100000000006b49d200026e3101a0a1a2a3a4a5a6a702087061796d656e7473046170692aa5d838"
    "e8745db50a9f9a5364445a697b20852453b5dd2b8222970be7ec65a1be44a12ad9fa930806287965"
    "2aa2a61b55cd179201c3bf31d4cb5c3845b286eb0f";
#define GOLDEN_LEN 181

static uint8_t cert_bytes[GOLDEN_LEN];
static struct sl_signer authority;
static struct sl_crypto crypto;
static struct sl_bundle bundle;

static struct sl_span golden_span(void)
{
    return sl_span_of(cert_bytes, sizeof cert_bytes);
}

static void setup(void)
{
    uint8_t seed[32];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    ck_assert_int_eq(sl_crypto_setup(), 0);
    sl_signer_from_seed(&authority, seed);
    crypto = sl_crypto_port(&authority);
    memset(&bundle, 0, sizeof bundle);
    memcpy(bundle.authority[0], authority.public_key, SL_KEY_LEN);
    bundle.n_authorities = 1;
    sl_flock_id(&crypto, "default", bundle.flock);
    ck_assert(sl_unhex(cert_bytes, sizeof cert_bytes, golden, sizeof golden - 1));
}

/* Sign what is in `cert` as the authority would; the length. */
static size_t sign(const struct sl_cert *cert, uint8_t out[SL_CERT_MAX])
{
    uint8_t text[SL_CERT_MAX + 64];
    size_t len = sl_cert_encode(cert, out, SL_CERT_MAX - SL_SIG_LEN);
    ck_assert_uint_gt(len, 0);
    size_t text_len = sl_cert_signed_text(sl_span_of(out, len), text, sizeof text);
    ck_assert_uint_gt(text_len, len);
    crypto.sign(crypto.context, out + len, text, text_len);
    return len + SL_SIG_LEN;
}

static struct sl_cert golden_cert(void)
{
    struct sl_cert cert;
    ck_assert(sl_cert_decode(&crypto, golden_span(), &cert));
    return cert;
}

START_TEST(the_golden_certificate_reads_as_it_was_written)
{
    struct sl_cert cert;
    char hex[2 * SL_KEY_LEN + 1];
    ck_assert(sl_cert_check(&crypto, &bundle, golden_span(), &cert));
    sl_hex(hex, cert.flock, sizeof cert.flock);
    ck_assert_str_eq(hex, "6ef5e1028e73c2ba2318f9088b0c1b97");
    sl_hex(hex, cert.id.b, SL_ID_LEN);
    ck_assert_str_eq(hex, "e59e9dc22d8156d0f2dcab2ea9125ccf");
    ck_assert_uint_eq(cert.role, 0);
    ck_assert_int_eq(cert.not_before, 1700000000);
    ck_assert_int_eq(cert.not_after, 1800000000);
    ck_assert_str_eq(cert.name, "n1");
    ck_assert_uint_eq(cert.n_tenants, 1);
    ck_assert_mem_eq(cert.tenants[0], "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7", 8);
    ck_assert_uint_eq(cert.n_patterns, 2);
    ck_assert_str_eq(cert.patterns[0], "payments");
    ck_assert_str_eq(cert.patterns[1], "api*");
}
END_TEST

START_TEST(encoding_and_signing_it_again_gives_the_same_bytes)
{
    struct sl_cert cert = golden_cert();
    uint8_t out[SL_CERT_MAX];
    ck_assert_uint_eq(sign(&cert, out), GOLDEN_LEN);
    ck_assert_mem_eq(out, cert_bytes, GOLDEN_LEN);
}
END_TEST

START_TEST(every_bit_counts)
{
    uint8_t bad[GOLDEN_LEN];
    struct sl_cert cert;
    for (size_t bit = 0; bit < 8 * sizeof bad; bit++) {
        memcpy(bad, cert_bytes, sizeof bad);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!sl_cert_check(&crypto, &bundle, sl_span_of(bad, sizeof bad), &cert),
                      "bit %zu of byte %zu does not count", bit % 8, bit / 8);
    }
}
END_TEST

/* The bytes end where the page does: reading one too many is a fault. */
START_TEST(every_truncation_is_refused_without_a_look_beyond_the_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(p != MAP_FAILED);
    ck_assert_int_eq(mprotect(p + page, page, PROT_NONE), 0);
    struct sl_cert cert;
    for (size_t len = 0; len <= GOLDEN_LEN; len++) {
        uint8_t *at = p + page - len;
        memcpy(at, cert_bytes, len);
        ck_assert_msg(sl_cert_decode(&crypto, sl_span_of(at, len), &cert) == (len == GOLDEN_LEN),
                      "at %zu bytes", len);
        ck_assert_int_eq(sl_cert_check(&crypto, &bundle, sl_span_of(at, len), &cert),
                         len == GOLDEN_LEN);
    }
    /* the same with each length byte as large as it gets */
    static const size_t length_bytes[] = {90, 93, 102, 103, 112};
    for (size_t i = 0; i < SL_COUNT(length_bytes); i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t *at = p + page - GOLDEN_LEN;
            memcpy(at, cert_bytes, GOLDEN_LEN);
            at[length_bytes[i]] = (uint8_t)value;
            bool same = value == cert_bytes[length_bytes[i]];
            ck_assert_int_eq(sl_cert_check(&crypto, &bundle, sl_span_of(at, GOLDEN_LEN), &cert),
                             same);
        }
    }
    munmap(p, 2 * page);
}
END_TEST

START_TEST(nothing_may_follow_and_nothing_may_exceed_the_limit)
{
    uint8_t longer[SL_CERT_MAX + 64] = {0};
    struct sl_cert cert;
    memcpy(longer, cert_bytes, GOLDEN_LEN);
    for (size_t len = GOLDEN_LEN + 1; len <= sizeof longer; len++)
        ck_assert(!sl_cert_decode(&crypto, sl_span_of(longer, len), &cert));
}
END_TEST

START_TEST(a_refused_certificate_leaves_the_output_alone)
{
    struct sl_cert cert, before;
    memset(&cert, 0x77, sizeof cert);
    before = cert;
    ck_assert(!sl_cert_check(&crypto, &bundle, sl_span_of(cert_bytes, GOLDEN_LEN - 1), &cert));
    cert_bytes[GOLDEN_LEN - 1] ^= 1;
    ck_assert(!sl_cert_check(&crypto, &bundle, golden_span(), &cert));
    ck_assert_mem_eq(&cert, &before, sizeof cert);
}
END_TEST

START_TEST(a_certificate_of_another_flock_is_worth_nothing)
{
    struct sl_cert cert;
    sl_flock_id(&crypto, "staging", bundle.flock);
    ck_assert(sl_cert_decode(&crypto, golden_span(), &cert));
    ck_assert(!sl_cert_check(&crypto, &bundle, golden_span(), &cert));
}
END_TEST

START_TEST(only_an_authority_of_the_bundle_counts_whichever_place_it_has)
{
    struct sl_cert cert;
    memcpy(bundle.authority[2], bundle.authority[0], SL_KEY_LEN);
    memset(bundle.authority[0], 9, SL_KEY_LEN);
    memset(bundle.authority[1], 8, SL_KEY_LEN);
    bundle.n_authorities = 3;
    ck_assert(sl_cert_check(&crypto, &bundle, golden_span(), &cert));
    bundle.n_authorities = 2;
    ck_assert(!sl_cert_check(&crypto, &bundle, golden_span(), &cert));
    bundle.n_authorities = 0;
    ck_assert(!sl_cert_check(&crypto, &bundle, golden_span(), &cert));
}
END_TEST

START_TEST(who_names_the_authority_as_issuer_must_have_its_key)
{
    struct sl_cert cert = golden_cert();
    struct sl_signer forger;
    uint8_t out[SL_CERT_MAX], seed[32] = {7};
    sl_signer_from_seed(&forger, seed);
    crypto = sl_crypto_port(&forger);
    size_t len = sign(&cert, out);
    ck_assert(sl_cert_decode(&crypto, sl_span_of(out, len), &cert));
    ck_assert(!sl_cert_check(&crypto, &bundle, sl_span_of(out, len), &cert));
}
END_TEST

START_TEST(what_has_no_form_is_not_encoded)
{
    uint8_t out[SL_CERT_MAX];
    struct sl_cert cert = golden_cert();
    memcpy(cert.name, "No", 3);
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    cert.name[0] = '\0';
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    memset(cert.name, 'a', sizeof cert.name); /* without a NUL */
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    cert.not_after = cert.not_before - 1;
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    cert.not_before = -1;
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    cert.n_tenants = SL_CERT_TENANTS_MAX + 1;
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    cert.n_patterns = SL_CERT_PATTERNS_MAX + 1;
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    cert = golden_cert();
    memcpy(cert.patterns[1], "a b", 4);
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
}
END_TEST

START_TEST(encoding_stops_at_the_room_there_is_and_at_the_limit)
{
    uint8_t out[2 * SL_CERT_MAX];
    struct sl_cert cert = golden_cert();
    const size_t len = GOLDEN_LEN - SL_SIG_LEN;
    for (size_t cap = 0; cap < len; cap++)
        ck_assert_uint_eq(sl_cert_encode(&cert, out, cap), 0);
    ck_assert_uint_eq(sl_cert_encode(&cert, out, len), len);

    cert.n_patterns = SL_CERT_PATTERNS_MAX;
    for (size_t i = 0; i < cert.n_patterns; i++)
        memcpy(cert.patterns[i], "a-service-of-some-length-at-least-*", 36);
    ck_assert_uint_eq(sl_cert_encode(&cert, out, sizeof out), 0);
    for (size_t cap = 0; cap < len + sizeof "starling/1 cert"; cap++)
        ck_assert_uint_eq(sl_cert_signed_text(sl_span_of(cert_bytes, len), out, cap), 0);
}
END_TEST

START_TEST(a_certificate_with_neither_tenants_nor_patterns_is_one)
{
    uint8_t out[SL_CERT_MAX];
    struct sl_cert cert = golden_cert(), back;
    cert.n_tenants = cert.n_patterns = 0;
    size_t len = sign(&cert, out);
    ck_assert(sl_cert_check(&crypto, &bundle, sl_span_of(out, len), &back));
    ck_assert_uint_eq(back.n_tenants + back.n_patterns, 0);
}
END_TEST

START_TEST(it_is_valid_from_its_beginning_to_its_end_give_or_take_ten_minutes)
{
    struct sl_cert cert = golden_cert();
    ck_assert(!sl_cert_valid_at(&cert, 1700000000 - 601));
    ck_assert(sl_cert_valid_at(&cert, 1700000000 - 600));
    ck_assert(sl_cert_valid_at(&cert, 1750000000));
    ck_assert(sl_cert_valid_at(&cert, 1800000000 + 600));
    ck_assert(!sl_cert_valid_at(&cert, 1800000000 + 601));
    ck_assert(!sl_cert_valid_at(&cert, INT64_MIN));
    ck_assert(!sl_cert_valid_at(&cert, INT64_MAX));
    cert.not_before = 0;
    cert.not_after = INT64_MAX;
    ck_assert(sl_cert_valid_at(&cert, 0));
    ck_assert(sl_cert_valid_at(&cert, INT64_MAX));
    ck_assert(!sl_cert_valid_at(&cert, -1));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cert");
    TCase *t = tcase_create("cert");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_golden_certificate_reads_as_it_was_written);
    tcase_add_test(t, encoding_and_signing_it_again_gives_the_same_bytes);
    tcase_add_test(t, every_bit_counts);
    tcase_add_test(t, every_truncation_is_refused_without_a_look_beyond_the_end);
    tcase_add_test(t, nothing_may_follow_and_nothing_may_exceed_the_limit);
    tcase_add_test(t, a_refused_certificate_leaves_the_output_alone);
    tcase_add_test(t, a_certificate_of_another_flock_is_worth_nothing);
    tcase_add_test(t, only_an_authority_of_the_bundle_counts_whichever_place_it_has);
    tcase_add_test(t, who_names_the_authority_as_issuer_must_have_its_key);
    tcase_add_test(t, what_has_no_form_is_not_encoded);
    tcase_add_test(t, encoding_stops_at_the_room_there_is_and_at_the_limit);
    tcase_add_test(t, a_certificate_with_neither_tenants_nor_patterns_is_one);
    tcase_add_test(t, it_is_valid_from_its_beginning_to_its_end_give_or_take_ten_minutes);
    suite_add_tcase(s, t);
    return run_suite(s);
}
