/* test_reveal.c: what is read of a member's sections: by whom there is a key for, as far as its
 * certificate goes, and no matter what a member with a key of its own wrote. */
#include "node/sections.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "node/crypto.h"
#include "node/rights.h"
#include "store/section.h"
#include "tests/unit/store_help.h"

#define WALL 1800000000

static struct sl_crypto crypto;
static const uint8_t flock[SL_FLOCK_LEN] = {1, 2, 3};
static struct sl_keyring all_keys, blue_key, no_key;
static struct sl_cert cert; /* of the origin; says nothing unless a test does */
static const struct sl_id origin = {{5, 5}}, other = {{6, 6}};
static struct sl_reveal reader;
static uint8_t plain_room[SL_RECORD_MAX], sealed_room[SL_RECORD_MAX], bytes[SL_RECORD_MAX];

static void setup(void)
{
    const uint8_t seed[32] = {7};
    struct sl_tenant_epoch blue = {.epoch = 1};
    uint8_t key[32];
    ck_assert_int_eq(sl_crypto_setup(), 0);
    crypto = sl_crypto_port(NULL);
    sl_keyring_init(&no_key, flock);
    all_keys = blue_key = no_key;
    sl_keyring_take_seed(&all_keys, seed);
    sl_tenant_id(&crypto, flock, "blue", blue.tenant);
    sl_tenant_key(all_keys.root, blue.tenant, 1, key);
    ck_assert_int_eq(sl_keyring_add(&blue_key, &blue, key), 0);
    memset(&cert, 0, sizeof cert);
    reader = (struct sl_reveal){.crypto = &crypto, .keyring = &all_keys, .flock = flock};
}

static void allow_tenant(const char *name)
{
    sl_tenant_id(&crypto, flock, name, cert.tenants[cert.n_tenants++]);
}

static void allow_name(const char *pattern)
{
    set_text(cert.patterns[cert.n_patterns++], sizeof cert.patterns[0], pattern);
}

static struct sl_service of(const char *tenant, const char *name)
{
    struct sl_service s = a_service(name, 80);
    set_text(s.tenant, sizeof s.tenant, tenant);
    return s;
}

/* ---- writing ---- */

static struct sl_span write_as(const struct sl_keyring *keyring, enum sl_kind kind,
                               const struct sl_service *services, size_t n, size_t cap,
                               uint64_t *ret_sum)
{
    const struct sl_service *list[SL_SERVICES_MAX];
    struct sl_sealer sealer = {keyring, &origin, WALL, plain_room, sealed_room, sizeof sealed_room};
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    size_t len = sl_sections_write(&sealer, kind, list, n, bytes, cap, ret_sum);
    return sl_span_of(bytes, len);
}

static struct sl_span write_all(enum sl_kind kind, const struct sl_service *services, size_t n)
{
    uint64_t sum;
    struct sl_span said = write_as(&all_keys, kind, services, n, sizeof bytes, &sum);
    ck_assert_uint_gt(said.len, 0);
    return said;
}

/* What no honest node writes: each part sealed as it is told, by a holder of every key. */
static struct sl_pack forging;

static void forge(size_t n_pieces)
{
    sl_pack_init(&forging, bytes, sizeof bytes);
    sl_pack_array(&forging, n_pieces);
}

static void forge_sealed(const char *tenant, const struct sl_id *by, struct sl_span plain)
{
    size_t len = sl_keyring_seal(&all_keys, SL_RECORD, by, tenant, plain, WALL, sealed_room,
                                 sizeof sealed_room);
    ck_assert_uint_gt(len, 0);
    sl_pack_bin(&forging, sealed_room, len);
}

/* The entries of a plain section, put into the array. */
static void forge_clear(struct sl_span plain)
{
    sl_pack_raw(&forging, sl_span_of(plain.p + 1, plain.len - 1)); /* of up to 15 */
}

static struct sl_span forged(void)
{
    ck_assert(!forging.failed);
    return sl_span_of(bytes, forging.len);
}

static struct sl_span plain_of(const struct sl_service *services, size_t n)
{
    const struct sl_service *list[SL_SERVICES_MAX];
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    size_t len = sl_sections_write_record(list, n, plain_room, sizeof plain_room);
    ck_assert_uint_gt(len, 0);
    return sl_span_of(plain_room, len);
}

/* ---- reading ---- */

/* "blue/a default/b" of what is read. */
static const char *names_in(struct sl_span plain)
{
    static char text[SL_SERVICES_MAX * 130];
    struct sl_sections it;
    struct sl_service s;
    size_t len = 0;
    int r;
    text[0] = '\0';
    sl_sections_begin(&it, plain);
    while ((r = sl_sections_next(&it, &s)) != 0) {
        ck_assert_int_eq(r, 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s/%s", len > 0 ? " " : "",
                                s.tenant, s.name);
    }
    ck_assert(sl_sections_ok(&it));
    return text;
}

static const char *read_by(const struct sl_keyring *keyring, const struct sl_id *who,
                           struct sl_span said)
{
    reader.keyring = keyring;
    return names_in(sl_sections_reveal(&reader, SL_RECORD, who, &cert, said));
}

static void check_found(unsigned opened, unsigned forged_n, unsigned malformed, unsigned tenants,
                        unsigned names)
{
    const struct sl_sections_stats *f = &reader.found;
    ck_assert_msg(f->opened == opened && f->forged == forged_n && f->malformed == malformed &&
                      f->tenants_refused == tenants && f->names_refused == names,
                  "opened %u, forged %u, malformed %u, tenants %u, names %u; found %u %u %u %u %u",
                  opened, forged_n, malformed, tenants, names, (unsigned)f->opened,
                  (unsigned)f->forged, (unsigned)f->malformed, (unsigned)f->tenants_refused,
                  (unsigned)f->names_refused);
}

START_TEST(the_default_tenant_alone_is_written_and_read_as_it_stands)
{
    struct sl_service s[] = {of("default", "a"), of("default", "b")};
    struct sl_span said = write_all(SL_RECORD, s, 2), plain = plain_of(s, 2);
    ck_assert_mem_eq(said.p, plain.p, said.len);
    ck_assert_uint_eq(said.len, plain.len);
    ck_assert_ptr_eq(sl_sections_reveal(&reader, SL_RECORD, &origin, &cert, said).p, said.p);
}
END_TEST

/* Made once by this code, with a seal that test_keyring.c knows from elsewhere. */
START_TEST(a_section_with_a_sealed_one_has_these_bytes)
{
    static const uint8_t golden[] = {
        0x92, 0x97, 0xa0, 0xa3, 0x77, 0x65, 0x62, 0xa0, 0xcd, 0x1f, 0x90, 0xa0, 0x64, 0x80, 0xc4,
        0x74, 0x8f, 0x58, 0x0c, 0xfd, 0x6f, 0x9c, 0xe0, 0x64, 0x00, 0x00, 0x00, 0x01, 0xb8, 0x43,
        0x66, 0xa0, 0xae, 0x39, 0xe6, 0x9a, 0x38, 0x74, 0x1a, 0x57, 0x31, 0xef, 0x8f, 0x27, 0x63,
        0x45, 0x37, 0xd9, 0xcf, 0x76, 0x55, 0x3a, 0x95, 0x77, 0x68, 0xfe, 0xcb, 0x73, 0xb7, 0xf8,
        0x22, 0xb1, 0xae, 0x4e, 0xbe, 0xf3, 0x4f, 0x29, 0x3c, 0xed, 0xa1, 0x77, 0xf9, 0x63, 0x49,
        0xa0, 0xe6, 0x56, 0x9c, 0xe3, 0x42, 0x1b, 0x42, 0xe2, 0xc7, 0xb4, 0x10, 0xdd, 0x8e, 0x97,
        0x34, 0xd4, 0xe9, 0x15, 0x4b, 0x67, 0x38, 0x5d, 0xf6, 0x0d, 0xfa, 0x91, 0x5b, 0x3c, 0xea,
        0x46, 0x4e, 0xb5, 0xb8, 0x5e, 0x24, 0x97, 0x05, 0x04, 0x06, 0x2f, 0xaf, 0xb3, 0xb5, 0x87,
        0x08, 0xb2, 0xe4, 0x42, 0x69, 0x7f, 0x2e, 0xe8, 0x0a, 0xf4, 0xac, 0xf0,
    };
    struct sl_span said = sl_span_of(golden, sizeof golden);
    ck_assert_str_eq(read_by(&blue_key, &origin, said), "blue/web default/web");
    ck_assert_str_eq(read_by(&no_key, &origin, said), "default/web");
}
END_TEST

START_TEST(each_reads_what_it_has_a_key_for_in_order_of_tenant_and_name)
{
    struct sl_service s[] = {of("red", "r"), of("default", "d"), of("blue", "z"), of("blue", "a"),
                             of("azure", "x")};
    struct sl_span said = write_all(SL_RECORD, s, 5);
    ck_assert_str_eq(read_by(&all_keys, &origin, said), "azure/x blue/a blue/z default/d red/r");
    check_found(3, 0, 0, 0, 0);
    ck_assert_str_eq(read_by(&blue_key, &origin, said), "blue/a blue/z default/d");
    check_found(1, 0, 0, 0, 0);
    ck_assert_str_eq(read_by(&no_key, &origin, said), "default/d");
    check_found(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(what_is_sealed_holds_no_word_and_steps_by_64_bytes)
{
    struct sl_service s[] = {of("blue", "orders-of-somebody"), of("blue", "zz")};
    struct sl_span one = write_all(SL_RECORD, s, 1);
    ck_assert_ptr_null(memmem(one.p, one.len, "orders", 6));
    ck_assert_ptr_null(memmem(one.p, one.len, "blue", 4));
    size_t len = one.len;
    ck_assert_uint_eq(write_all(SL_RECORD, s, 2).len, len); /* 34 bytes, and 52 */
    add_meta(&s[0], "key-of-23-bytes-1234567", "value-of-25-bytes-1234567");
    ck_assert_uint_eq(write_all(SL_RECORD, s, 2).len, len + 64);
}
END_TEST

START_TEST(health_comes_through_the_seal)
{
    struct sl_service s[] = {of("blue", "a"), of("default", "a")}, got;
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, n_refused;
    s[0].health = STARLING_WARNING;
    set_text(s[0].note, sizeof s[0].note, "slow");
    s[1].health = STARLING_CRITICAL;
    struct sl_span said = write_all(SL_VITALS, s, 2);
    struct sl_span plain = sl_sections_reveal(&reader, SL_VITALS, &origin, &cert, said);
    ck_assert(sl_sections_read_vitals(plain, v, &n, &n_refused));
    ck_assert_uint_eq(n, 2);
    for (size_t i = 0; i < 2; i++) {
        got = of(s[i].tenant, "a");
        sl_sections_apply(&got, v, n);
        ck_assert_int_eq(got.health, s[i].health);
        ck_assert_str_eq(got.note, s[i].note);
    }
    reader.keyring = &no_key;
    plain = sl_sections_reveal(&reader, SL_VITALS, &origin, &cert, said);
    ck_assert(sl_sections_read_vitals(plain, v, &n, &n_refused));
    ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(a_section_copied_into_another_record_draws_nothing)
{
    struct sl_service s[] = {of("blue", "a"), of("default", "d")};
    struct sl_span said = write_all(SL_RECORD, s, 2);
    ck_assert_str_eq(read_by(&blue_key, &other, said), "default/d");
    check_found(0, 1, 0, 0, 0);
    /* nor does one of a record in vitals */
    (void)sl_sections_reveal(&reader, SL_VITALS, &origin, &cert, said);
    ck_assert_uint_eq(reader.found.forged, 1);
}
END_TEST

START_TEST(a_tenant_that_the_certificate_does_not_list_is_not_even_opened)
{
    struct sl_service s[] = {of("blue", "a"), of("default", "d"), of("red", "r")};
    struct sl_span said = write_all(SL_RECORD, s, 3);
    allow_tenant("red");
    ck_assert_str_eq(read_by(&all_keys, &origin, said), "default/d red/r");
    check_found(1, 0, 0, 1, 0);
    said = write_all(SL_VITALS, s, 3);
    (void)sl_sections_reveal(&reader, SL_VITALS, &origin, &cert, said);
    check_found(1, 0, 0, 1, 0);
}
END_TEST

START_TEST(a_name_that_fits_no_pattern_of_the_certificate_is_ignored_by_every_reader)
{
    struct sl_service s[] = {of("blue", "api-1"), of("blue", "db"), of("default", "api-2"),
                             of("default", "mail")};
    struct sl_span said = write_all(SL_RECORD, s, 4);
    allow_name("api-*");
    ck_assert_str_eq(read_by(&all_keys, &origin, said), "blue/api-1 default/api-2");
    check_found(1, 0, 0, 0, 2);
    ck_assert_str_eq(read_by(&no_key, &origin, said), "default/api-2");
    check_found(0, 0, 0, 0, 1);
    allow_name("db");
    ck_assert_str_eq(read_by(&blue_key, &origin, said), "blue/api-1 blue/db default/api-2");
    check_found(1, 0, 0, 0, 1);
}
END_TEST

START_TEST(a_star_in_a_pattern_is_any_run_of_characters)
{
    static const struct {
        const char *pattern, *name;
        bool fits;
    } cases[] = {
        {"api", "api", true},
        {"api", "apis", false},
        {"api", "ap", false},
        {"api-*", "api-", true},
        {"api-*", "api-x.y", true},
        {"api-*", "xapi-1", false},
        {"*", "anything", true},
        {"*-db", "users-db", true},
        {"*-db", "users-db2", false},
        {"a*b*c", "abc", true},
        {"a*b*c", "axxbxbyc", true},
        {"a*b*c", "acb", false},
        {"a**b", "ab", true},
        {"*aab", "aaaab", true},
        {"a*", "b", false},
        {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < SL_COUNT(cases); i++) {
        memset(&cert, 0, sizeof cert);
        allow_name(cases[i].pattern);
        ck_assert_msg(sl_cert_may_offer(&cert, cases[i].name) == cases[i].fits, "%s and %s",
                      cases[i].pattern, cases[i].name);
    }
    cert.n_patterns = 0;
    ck_assert(sl_cert_may_offer(&cert, "anything"));
}
END_TEST

START_TEST(in_clear_there_is_only_the_default_tenant)
{
    struct sl_service s[] = {of("blue", "a"), of("default", "d")};
    forge(2);
    forge_clear(plain_of(s, 2));
    ck_assert_str_eq(read_by(&all_keys, &origin, forged()), "default/d");
    check_found(0, 0, 0, 1, 0);
}
END_TEST

START_TEST(a_section_with_a_service_of_another_tenant_counts_for_nothing)
{
    struct sl_service two[] = {of("blue", "a"), of("red", "r")}, red[] = {of("red", "r")},
                      plain[] = {of("default", "d")};
    forge(3);
    forge_sealed("blue", &origin, plain_of(two, 2));
    forge_sealed("red", &origin, plain_of(plain, 1));
    forge_sealed("azure", &origin, plain_of(red, 1));
    ck_assert_str_eq(read_by(&all_keys, &origin, forged()), "");
    check_found(3, 0, 3, 0, 0);
}
END_TEST

START_TEST(the_order_of_sections_says_nothing_and_that_of_services_must_rise)
{
    struct sl_service r[] = {of("red", "r")}, b[] = {of("blue", "a"), of("blue", "b")},
                      d[] = {of("default", "d")};
    forge(3);
    forge_sealed("red", &origin, plain_of(r, 1));
    forge_clear(plain_of(d, 1));
    forge_sealed("blue", &origin, plain_of(b, 2));
    ck_assert_str_eq(read_by(&all_keys, &origin, forged()), "blue/a blue/b default/d red/r");

    /* b before a: a is as if it were not there */
    uint8_t wrong[512];
    struct sl_span first = plain_of(b, 1);
    size_t a_len = first.len - 1, len = 1;
    memcpy(wrong + 200, first.p + 1, a_len);
    first = plain_of(b + 1, 1);
    wrong[0] = 0x92;
    memcpy(wrong + 1, first.p + 1, first.len - 1);
    len += first.len - 1;
    memmove(wrong + len, wrong + 200, a_len);
    forge(1);
    forge_sealed("blue", &origin, sl_span_of(wrong, len + a_len));
    ck_assert_str_eq(read_by(&all_keys, &origin, forged()), "blue/b");
    check_found(1, 0, 1, 0, 0);
}
END_TEST

START_TEST(of_many_sections_of_one_tenant_the_first_is_opened)
{
    struct sl_service s = of("blue", "a");
    forge(SL_SERVICES_MAX);
    for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
        s.port = (uint16_t)(i + 1);
        forge_sealed("blue", &origin, plain_of(&s, 1));
    }
    reader.keyring = &all_keys;
    struct sl_span plain = sl_sections_reveal(&reader, SL_RECORD, &origin, &cert, forged());
    struct sl_sections it;
    ck_assert_str_eq(names_in(plain), "blue/a");
    sl_sections_begin(&it, plain);
    ck_assert_int_eq(sl_sections_next(&it, &s), 1);
    ck_assert_uint_eq(s.port, 1);
    check_found(1, 0, SL_SERVICES_MAX - 1, 0, 0);
}
END_TEST

START_TEST(of_too_many_services_those_in_clear_stay_for_everybody)
{
    struct sl_service s[SL_SERVICES_MAX];
    char name[64], with_key[SL_SERVICES_MAX * 130];
    for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "s%02u", i);
        s[i] = of("blue", name);
    }
    struct sl_service d[] = {of("default", "d"), of("default", "e")};
    forge(3);
    forge_sealed("blue", &origin, plain_of(s, SL_SERVICES_MAX));
    forge_clear(plain_of(d, 2));
    snprintf(with_key, sizeof with_key, "%s", read_by(&all_keys, &origin, forged()));
    ck_assert_ptr_nonnull(strstr(with_key, "blue/s61 default/d default/e"));
    check_found(1, 0, 2, 0, 0);
    ck_assert_str_eq(read_by(&no_key, &origin, forged()), "default/d default/e");
}
END_TEST

START_TEST(what_is_malformed_as_a_whole_says_nothing)
{
    static const uint8_t cut[] = {0x92, 0x90}, no_array[] = {0xc4, 0x01, 0x00},
                         numbers[] = {0x91, 0x05}, tail[] = {0x90, 0x00},
                         not_text[] = {0x91, 0x92, 0x01, 0x02};
    const struct sl_span spans[] = {
        sl_span_of(cut, sizeof cut), sl_span_of(no_array, sizeof no_array),
        sl_span_of(numbers, sizeof numbers), sl_span_of(tail, sizeof tail),
        sl_span_of(not_text, sizeof not_text)};
    for (size_t i = 0; i < SL_COUNT(spans); i++) {
        struct sl_span got = sl_sections_reveal(&reader, SL_RECORD, &origin, &cert, spans[i]);
        ck_assert_uint_eq(got.len, 0);
        check_found(0, 0, 1, 0, 0);
    }
    /* one that is too short to be sealed, and an empty one, cost themselves alone */
    static const uint8_t scraps[] = {0x92, 0xc4, 0x01, 0x00, 0xc4, 0x00};
    ck_assert_str_eq(read_by(&all_keys, &origin, sl_span_of(scraps, sizeof scraps)), "");
    check_found(0, 0, 2, 0, 0);
}
END_TEST

/* ---- keeping ---- */

START_TEST(what_is_kept_is_sealed_as_it_came_and_reads_the_same_again)
{
    static uint8_t room[SL_RECORD_MAX], again[SL_RECORD_MAX];
    struct sl_service s[] = {of("blue", "a"), of("default", "d"), of("red", "r")};
    struct sl_span said = write_all(SL_RECORD, s, 3);
    reader.keyring = &all_keys;
    struct sl_span kept = sl_sections_keep(&reader, SL_RECORD, &origin, &cert, said, room);
    ck_assert_ptr_eq(kept.p, said.p);
    ck_assert_uint_eq(kept.len, said.len);

    reader.keyring = &blue_key; /* red's it cannot judge */
    kept = sl_sections_keep(&reader, SL_RECORD, &origin, &cert, said, room);
    ck_assert_ptr_eq(kept.p, room);
    ck_assert_ptr_null(memmem(kept.p, kept.len, "blue", 4));
    memcpy(again, kept.p, kept.len);
    kept = sl_sections_reveal_kept(&reader, SL_RECORD, &origin, sl_span_of(again, kept.len));
    ck_assert_str_eq(names_in(kept), "blue/a default/d");
}
END_TEST

START_TEST(what_the_certificate_does_not_allow_is_not_kept)
{
    static uint8_t room[SL_RECORD_MAX];
    struct sl_service s[] = {of("blue", "api"), of("default", "api"), of("default", "mail"),
                             of("red", "api"),  of("azure", "mail"),  of("azure", "api")};
    struct sl_span said = write_all(SL_RECORD, s, 6);
    allow_tenant("blue");
    allow_tenant("azure");
    allow_name("api");
    struct sl_span kept = sl_sections_keep(&reader, SL_RECORD, &origin, &cert, said, room);
    kept = sl_sections_reveal_kept(&reader, SL_RECORD, &origin, kept);
    ck_assert_str_eq(names_in(kept), "blue/api default/api");
}
END_TEST

/* ---- the sum, and fitting ---- */

START_TEST(the_same_services_have_one_sum_though_they_are_sealed_anew)
{
    struct sl_service s[] = {of("blue", "a"), of("default", "d")};
    struct sl_tenant_epoch next = {.epoch = 2, .use_after = WALL};
    static uint8_t before[SL_RECORD_MAX];
    uint64_t sum, again;
    struct sl_span said = write_as(&blue_key, SL_VITALS, s, 2, sizeof bytes, &sum);
    memcpy(before, said.p, said.len);
    said = write_as(&blue_key, SL_VITALS, s, 2, sizeof bytes, &again);
    ck_assert_mem_ne(before, said.p, said.len);
    ck_assert_uint_eq(sum, again);

    s[0].health = STARLING_CRITICAL;
    (void)write_as(&blue_key, SL_VITALS, s, 2, sizeof bytes, &again);
    ck_assert_uint_ne(sum, again);
    s[0].health = STARLING_PASSING;
    sl_tenant_id(&crypto, flock, "blue", next.tenant);
    ck_assert_int_eq(sl_keyring_add(&blue_key, &next, before), 0);
    (void)write_as(&blue_key, SL_VITALS, s, 2, sizeof bytes, &again);
    ck_assert_uint_ne(sum, again);
}
END_TEST

START_TEST(a_tenant_whose_key_has_gone_takes_nobody_elses_services_along)
{
    struct sl_service s[] = {of("blue", "a"), of("default", "d"), of("red", "r")};
    uint64_t sum;
    struct sl_span said = write_as(&blue_key, SL_RECORD, s, 3, sizeof bytes, &sum);
    ck_assert_str_eq(read_by(&all_keys, &origin, said), "blue/a default/d");
}
END_TEST

START_TEST(notes_give_way_before_health_does_and_what_does_not_fit_is_refused)
{
    static struct sl_service s[SL_SERVICES_MAX];
    char name[64];
    uint64_t sum;
    for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "s%02u", i);
        s[i] = of(i % 3 == 0 ? "default" : i % 3 == 1 ? "blue" : "red", name);
        memset(s[i].note, 'n', sizeof s[i].note - 1);
    }
    struct sl_span said = write_as(&all_keys, SL_VITALS, s, SL_SERVICES_MAX, 3072, &sum);
    ck_assert_uint_gt(said.len, 2000);
    ck_assert_uint_le(said.len, 3072);
    for (unsigned i = 0; i < SL_SERVICES_MAX; i++)
        snprintf(s[i].tenant, sizeof s[i].tenant, "t%02u", i);
    said = write_as(&all_keys, SL_VITALS, s, SL_SERVICES_MAX, 3072, &sum);
    ck_assert_uint_eq(said.len, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reveal");
    TCase *t = tcase_create("sections");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_default_tenant_alone_is_written_and_read_as_it_stands);
    tcase_add_test(t, a_section_with_a_sealed_one_has_these_bytes);
    tcase_add_test(t, each_reads_what_it_has_a_key_for_in_order_of_tenant_and_name);
    tcase_add_test(t, what_is_sealed_holds_no_word_and_steps_by_64_bytes);
    tcase_add_test(t, health_comes_through_the_seal);
    tcase_add_test(t, a_section_copied_into_another_record_draws_nothing);
    tcase_add_test(t, a_tenant_that_the_certificate_does_not_list_is_not_even_opened);
    tcase_add_test(t, a_name_that_fits_no_pattern_of_the_certificate_is_ignored_by_every_reader);
    tcase_add_test(t, a_star_in_a_pattern_is_any_run_of_characters);
    tcase_add_test(t, in_clear_there_is_only_the_default_tenant);
    tcase_add_test(t, a_section_with_a_service_of_another_tenant_counts_for_nothing);
    tcase_add_test(t, the_order_of_sections_says_nothing_and_that_of_services_must_rise);
    tcase_add_test(t, of_many_sections_of_one_tenant_the_first_is_opened);
    tcase_add_test(t, of_too_many_services_those_in_clear_stay_for_everybody);
    tcase_add_test(t, what_is_malformed_as_a_whole_says_nothing);
    tcase_add_test(t, what_is_kept_is_sealed_as_it_came_and_reads_the_same_again);
    tcase_add_test(t, what_the_certificate_does_not_allow_is_not_kept);
    tcase_add_test(t, the_same_services_have_one_sum_though_they_are_sealed_anew);
    tcase_add_test(t, a_tenant_whose_key_has_gone_takes_nobody_elses_services_along);
    tcase_add_test(t, notes_give_way_before_health_does_and_what_does_not_fit_is_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
