/* test_keyring.c: one golden section, made by another implementation (Python's hashlib and
 * cryptography, with HChaCha20 written out) from the layout in keyring.h; everything near it, which
 * must not open; and which key is written with when. */
#include "node/keyring.h"

#include <check.h>
#include <starling.h>

#include "base/bytes.h"
#include "node/crypto.h"
#include "tests/suite.h"

/* Authority's seed 00..1f, flock "prod", tenant "shop", epoch 3, record of origin 40..4f, chance 5e x
 * 16, "a section of the shop". */
static const char golden_key[] = "80a4530ee64b4ab89a9f991399dd7ee3b6667cd6fa825bfdb80b6333c92431ae";
static const char golden[] =
    "08c7097bf4602587000000030ced129744a1c3841fe5cd947b494bca029cc820fa1731d291e87103"
    "6f71ec59d4641573a46c753c5d73b9c118ca5109e07167b19da6abcef1f05b5a42e5ce9cc1f90d47"
    "560ac382fdfcb498259e9aec3793997a74b90e9052a86829ec0140bd2f71d361bfada3b7";
#define GOLDEN_LEN 116
static const char golden_text[] = "a section of the shop";

#define NOW_S 1750000000
#define CAP 512

static uint8_t seed[32], flock[SL_FLOCK_LEN], shop[SL_TENANT_LEN], root[32];
static struct sl_id origin;
static struct sl_crypto crypto;
static struct sl_keyring all, granted;

static struct sl_tenant_epoch epoch_of(uint32_t number, int64_t use_after)
{
    struct sl_tenant_epoch e = {.epoch = number, .use_after = use_after};
    memcpy(e.tenant, shop, sizeof e.tenant);
    return e;
}

static int grant(struct sl_keyring *k, uint32_t number, int64_t use_after)
{
    struct sl_tenant_epoch e = epoch_of(number, use_after);
    uint8_t key[32];
    sl_tenant_key(root, shop, number, key);
    return sl_keyring_add(k, &e, key);
}

static void setup(void)
{
    ck_assert_int_eq(sl_crypto_setup(), 0);
    crypto = sl_crypto_port(NULL);
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    for (size_t i = 0; i < SL_ID_LEN; i++)
        origin.b[i] = (uint8_t)(0x40 + i);
    sl_flock_id(&crypto, "prod", flock);
    sl_tenant_id(&crypto, flock, "shop", shop);
    sl_tenant_root(seed, flock, root);
    sl_keyring_init(&all, flock);
    sl_keyring_take_seed(&all, seed);
    sl_keyring_init(&granted, flock);
    ck_assert_int_eq(grant(&granted, 1, 0), 0);
}

static struct sl_span text_of(const char *text)
{
    return sl_span_of(text, strlen(text));
}

static size_t seal_at(const struct sl_keyring *k, int64_t wall_s, uint8_t out[CAP])
{
    return sl_keyring_seal(k, SL_RECORD, &origin, "shop", text_of(golden_text), wall_s, out, CAP);
}

static int open_with(const struct sl_keyring *k, const uint8_t *sealed, size_t len)
{
    uint8_t out[CAP], tenant[SL_TENANT_LEN];
    size_t text_len;
    int r = sl_keyring_open(k, SL_RECORD, &origin, sl_span_of(sealed, len), tenant, out, sizeof out,
                            &text_len);
    if (r == 1) {
        ck_assert_uint_eq(text_len, strlen(golden_text));
        ck_assert_mem_eq(out, golden_text, text_len);
        ck_assert_mem_eq(tenant, shop, sizeof tenant);
    }
    return r;
}

/* Under which epoch is it written at that time? 0 = not at all. */
static uint32_t written_at(const struct sl_keyring *k, int64_t wall_s)
{
    uint8_t sealed[CAP];
    return seal_at(k, wall_s, sealed) == 0 ? 0 : sl_get32(sealed + SL_TENANT_LEN);
}

START_TEST(the_golden_section_is_made_and_opens)
{
    uint8_t key[32], want[GOLDEN_LEN], chance[16], made[CAP];
    char hex[65];
    const struct sl_tenant_epoch third = epoch_of(3, 0);
    memset(chance, 0x5e, sizeof chance);
    sl_tenant_key(root, shop, 3, key);
    sl_hex(hex, key, sizeof key);
    ck_assert_str_eq(hex, golden_key);
    ck_assert(sl_unhex(want, sizeof want, golden, sizeof golden - 1));
    ck_assert_uint_eq(sl_section_seal(key, &third, flock, SL_RECORD, &origin, chance,
                                      text_of(golden_text), made, sizeof made),
                      GOLDEN_LEN);
    ck_assert_mem_eq(made, want, GOLDEN_LEN);
    ck_assert_int_eq(open_with(&all, want, sizeof want), 1);
    ck_assert_int_eq(open_with(&granted, want, sizeof want), 0);
    ck_assert_int_eq(grant(&granted, 3, 0), 0);
    ck_assert_int_eq(open_with(&granted, want, sizeof want), 1);
}
END_TEST

START_TEST(what_one_seals_the_other_opens_whatever_its_length)
{
    uint8_t plain[200], sealed[CAP], out[CAP], tenant[SL_TENANT_LEN];
    size_t out_len;
    for (size_t len = 0; len <= sizeof plain; len++) {
        memset(plain, (int)len, len);
        const struct sl_keyring *writer = len % 2 == 0 ? &all : &granted;
        const struct sl_keyring *reader = len % 2 == 0 ? &granted : &all;
        size_t n = sl_keyring_seal(writer, SL_VITALS, &origin, "shop", sl_span_of(plain, len),
                                   NOW_S, sealed, sizeof sealed);
        /* Sizes show in steps alone. */
        ck_assert_uint_eq(n, SL_SEALED_OVERHEAD + (len / SL_SEALED_STEP + 1) * SL_SEALED_STEP);
        int r = sl_keyring_open(reader, SL_VITALS, &origin, sl_span_of(sealed, n), tenant, out,
                                sizeof out, &out_len);
        ck_assert_msg(r == 1 && out_len == len && memcmp(out, plain, len) == 0,
                      "%zu bytes: %d, and %zu came back", len, r, out_len);
    }
}
END_TEST

START_TEST(no_bit_may_change_and_no_byte_may_miss)
{
    uint8_t sealed[CAP], bad[CAP];
    size_t len = seal_at(&granted, NOW_S, sealed);
    ck_assert_uint_gt(len, 0);
    for (size_t i = 0; i < 8 * len; i++) {
        memcpy(bad, sealed, len);
        bad[i / 8] ^= (uint8_t)(1 << i % 8);
        /* Another tenant or epoch is one that we have no key of; who has all keys finds it forged. */
        bool named = i / 8 < SL_TENANT_LEN + 4;
        int r = open_with(&granted, bad, len), s = open_with(&all, bad, len);
        bool no_epoch = sl_get32(bad + SL_TENANT_LEN) == 0;
        ck_assert_msg(r == (named && !no_epoch ? 0 : STARLING_EAUTH) && s == STARLING_EAUTH,
                      "bit %zu: %d with its key, %d with all", i, r, s);
    }
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(open_with(&granted, sealed, i), STARLING_EAUTH);
    memset(bad, 0, sizeof bad);
    memcpy(bad, sealed, len);
    ck_assert_int_eq(open_with(&granted, bad, len + 1), STARLING_EAUTH);
    ck_assert_int_eq(open_with(&granted, bad, len + SL_SEALED_STEP), STARLING_EAUTH);
}
END_TEST

START_TEST(a_section_opens_in_its_own_fact_of_its_own_flock_alone)
{
    uint8_t sealed[CAP], out[CAP], tenant[SL_TENANT_LEN], key[32];
    size_t n, len = seal_at(&granted, NOW_S, sealed);
    const struct sl_span bytes = sl_span_of(sealed, len);
    struct sl_id stranger = origin;
    struct sl_keyring other;
    stranger.b[15] ^= 1;
    ck_assert_int_eq(open_with(&granted, sealed, len), 1);
    ck_assert_int_eq(
        sl_keyring_open(&granted, SL_VITALS, &origin, bytes, tenant, out, sizeof out, &n),
        STARLING_EAUTH);
    ck_assert_int_eq(
        sl_keyring_open(&granted, SL_RECORD, &stranger, bytes, tenant, out, sizeof out, &n),
        STARLING_EAUTH);

    /* The same key in a keyring of another flock: F is in what is bound, not in the key alone. */
    uint8_t staging[SL_FLOCK_LEN];
    const struct sl_tenant_epoch first = epoch_of(1, 0);
    sl_flock_id(&crypto, "staging", staging);
    sl_keyring_init(&other, staging);
    sl_tenant_key(root, shop, 1, key);
    ck_assert_int_eq(sl_keyring_add(&other, &first, key), 0);
    ck_assert_int_eq(open_with(&other, sealed, len), STARLING_EAUTH);
}
END_TEST

START_TEST(every_flock_tenant_and_epoch_has_a_key_of_its_own)
{
    uint8_t key[4][32], bank[SL_TENANT_LEN], staging[SL_FLOCK_LEN], other_root[32];
    sl_tenant_id(&crypto, flock, "bank", bank);
    sl_flock_id(&crypto, "staging", staging);
    sl_tenant_root(seed, staging, other_root);
    sl_tenant_key(root, shop, 1, key[0]);
    sl_tenant_key(root, shop, 2, key[1]);
    sl_tenant_key(root, bank, 1, key[2]);
    sl_tenant_key(other_root, shop, 1, key[3]);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(memcmp(key[i], key[j], 32) != 0, "keys %zu and %zu are one", j, i);
}
END_TEST

START_TEST(copies_with_the_same_chance_have_other_nonces_for_other_texts)
{
    static const uint8_t chance[16];
    uint8_t key[32], one[CAP], two[CAP], again[CAP];
    const struct sl_tenant_epoch first = epoch_of(1, 0);
    sl_tenant_key(root, shop, 1, key);
    size_t len = sl_section_seal(key, &first, flock, SL_RECORD, &origin, chance,
                                 text_of("shop at 10.0.0.1"), one, sizeof one);
    ck_assert_uint_eq(sl_section_seal(key, &first, flock, SL_RECORD, &origin, chance,
                                      text_of("shop at 10.0.0.2"), two, sizeof two),
                      len);
    const uint8_t *nonce = one + SL_TENANT_LEN + 4;
    ck_assert_mem_ne(nonce, two + SL_TENANT_LEN + 4, 24);
    /* Texts that differ in what padding would hide. */
    (void)sl_section_seal(key, &first, flock, SL_RECORD, &origin, chance, sl_span_of("\x80", 1),
                          one, sizeof one);
    (void)sl_section_seal(key, &first, flock, SL_RECORD, &origin, chance, sl_span_of("\x80\x80", 2),
                          two, sizeof two);
    ck_assert_mem_ne(nonce, two + SL_TENANT_LEN + 4, 24);
    /* And with chance, one text twice shows nothing. */
    ck_assert_uint_gt(seal_at(&granted, NOW_S, one), 0);
    ck_assert_uint_eq(seal_at(&granted, NOW_S, again), len);
    ck_assert_mem_ne(nonce, again + SL_TENANT_LEN + 4, 24);
    ck_assert_mem_ne(one + SL_TENANT_LEN + 28, again + SL_TENANT_LEN + 28, SL_SEALED_STEP);
}
END_TEST

START_TEST(the_newest_key_that_is_to_be_used_is_written_with)
{
    struct sl_keyring *rings[] = {&granted, &all};
    const struct sl_tenant_epoch first = epoch_of(1, 0);
    ck_assert_uint_eq(written_at(&all, NOW_S), 1); /* never rotated */
    ck_assert_int_eq(sl_keyring_add(&all, &first, NULL), 0);
    for (size_t i = 0; i < SL_COUNT(rings); i++) {
        ck_assert_int_eq(grant(rings[i], 2, NOW_S + 60), 0);
        ck_assert_uint_eq(written_at(rings[i], NOW_S + 59), 1);
        ck_assert_uint_eq(written_at(rings[i], NOW_S + 60), 2);
        ck_assert_int_eq(grant(rings[i], 3, 0), STARLING_ELIMIT);
    }
    /* Both of them are read at any time. */
    uint8_t sealed[CAP];
    size_t len = seal_at(&all, NOW_S, sealed);
    ck_assert_int_eq(open_with(&granted, sealed, len), 1);
    len = seal_at(&all, NOW_S + 60, sealed);
    ck_assert_int_eq(open_with(&granted, sealed, len), 1);
}
END_TEST

START_TEST(a_clock_before_all_keys_writes_with_the_oldest)
{
    struct sl_keyring k;
    sl_keyring_init(&k, flock);
    ck_assert_int_eq(grant(&k, 5, NOW_S + 60), 0);
    ck_assert_int_eq(grant(&k, 4, NOW_S), 0);
    ck_assert_uint_eq(written_at(&k, NOW_S - 1), 4);
    ck_assert_uint_eq(written_at(&k, NOW_S), 4);
    ck_assert_uint_eq(written_at(&k, NOW_S + 60), 5);
}
END_TEST

START_TEST(a_tenant_without_a_key_is_not_written_and_not_read)
{
    uint8_t sealed[CAP], bank[CAP], tenant[SL_TENANT_LEN];
    struct sl_keyring none;
    sl_keyring_init(&none, flock);
    ck_assert(sl_keyring_has(&granted, "shop"));
    ck_assert(!sl_keyring_has(&granted, "bank"));
    ck_assert(sl_keyring_has(&all, "bank"));
    ck_assert(!sl_keyring_has(&none, "shop"));
    ck_assert(!sl_keyring_has(&all, "No Name"));
    ck_assert_uint_eq(written_at(&none, NOW_S), 0);
    size_t len = sl_keyring_seal(&all, SL_RECORD, &origin, "bank", text_of("x"), NOW_S, bank, CAP);
    ck_assert_uint_gt(len, 0);
    ck_assert_int_eq(open_with(&granted, bank, len), 0);

    /* The default tenant is everybody's and in clear: there is no key to seal it with. */
    const struct sl_keyring *rings[] = {&none, &granted, &all};
    for (size_t i = 0; i < SL_COUNT(rings); i++) {
        ck_assert(sl_keyring_has(rings[i], "default"));
        ck_assert_uint_eq(sl_keyring_seal(rings[i], SL_RECORD, &origin, "default", text_of("x"),
                                          NOW_S, sealed, CAP),
                          0);
    }
    sl_tenant_id(&crypto, flock, "default", tenant);
    memcpy(bank, tenant, sizeof tenant);
    ck_assert_int_eq(open_with(&all, bank, len), 0);
}
END_TEST

START_TEST(a_ring_takes_no_more_than_it_may)
{
    struct sl_tenant_epoch e = epoch_of(1, 0);
    uint8_t key[32] = {0};
    ck_assert_int_eq(sl_keyring_add(&granted, &e, key), STARLING_EEXIST);
    e.epoch = 0;
    ck_assert_int_eq(sl_keyring_add(&granted, &e, key), STARLING_EINVAL);
    e = epoch_of(2, -1);
    ck_assert_int_eq(sl_keyring_add(&granted, &e, key), STARLING_EINVAL);
    e = epoch_of(2, 0);
    sl_tenant_id(&crypto, flock, "default", e.tenant);
    ck_assert_int_eq(sl_keyring_add(&granted, &e, key), STARLING_EINVAL);
    for (size_t i = 1; i <= SL_GRANTS_MAX; i++) {
        memset(e.tenant, (int)i, sizeof e.tenant);
        ck_assert_int_eq(sl_keyring_add(&granted, &e, key),
                         i < SL_GRANTS_MAX ? 0 : STARLING_ELIMIT);
    }
    sl_keyring_fini(&granted);
    ck_assert_uint_eq(written_at(&granted, NOW_S), 0);
}
END_TEST

START_TEST(nothing_is_written_behind_the_end)
{
    uint8_t *sealed = malloc(SL_SEALED_OVERHEAD + SL_SEALED_STEP);
    uint8_t whole[CAP], out[CAP], tenant[SL_TENANT_LEN];
    size_t n, len = SL_SEALED_OVERHEAD + SL_SEALED_STEP;
    ck_assert_ptr_nonnull(sealed);
    for (size_t cap = 0; cap <= len; cap++) /* AddressSanitizer looks at the last one */
        ck_assert_uint_eq(sl_keyring_seal(&granted, SL_RECORD, &origin, "shop",
                                          text_of(golden_text), NOW_S, sealed, cap),
                          cap < len ? 0 : len);
    ck_assert_int_eq(sl_keyring_open(&granted, SL_RECORD, &origin, sl_span_of(sealed, len), tenant,
                                     out, len - 1, &n),
                     STARLING_EINVAL);
    static uint8_t long_text[SL_RECORD_MAX + 1], room[2 * SL_RECORD_MAX];
    ck_assert_uint_eq(sl_keyring_seal(&granted, SL_RECORD, &origin, "shop",
                                      sl_span_of(long_text, sizeof long_text), NOW_S, room,
                                      sizeof room),
                      0);
    ck_assert_uint_eq(seal_at(&granted, NOW_S, whole), len);
    free(sealed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("keyring");
    TCase *t = tcase_create("keyring");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_golden_section_is_made_and_opens);
    tcase_add_test(t, what_one_seals_the_other_opens_whatever_its_length);
    tcase_add_test(t, no_bit_may_change_and_no_byte_may_miss);
    tcase_add_test(t, a_section_opens_in_its_own_fact_of_its_own_flock_alone);
    tcase_add_test(t, every_flock_tenant_and_epoch_has_a_key_of_its_own);
    tcase_add_test(t, copies_with_the_same_chance_have_other_nonces_for_other_texts);
    tcase_add_test(t, the_newest_key_that_is_to_be_used_is_written_with);
    tcase_add_test(t, a_clock_before_all_keys_writes_with_the_oldest);
    tcase_add_test(t, a_tenant_without_a_key_is_not_written_and_not_read);
    tcase_add_test(t, a_ring_takes_no_more_than_it_may);
    tcase_add_test(t, nothing_is_written_behind_the_end);
    suite_add_tcase(s, t);
    return run_suite(s);
}
