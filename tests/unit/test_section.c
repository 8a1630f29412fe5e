/* test_section.c: what a node says of its services: the bytes, and what is made of bad ones. */
#include "store/section.h"

#include "tests/unit/store_help.h"

#include "base/bytes.h"

static size_t write_record(const struct sl_service *services, size_t n, uint8_t *out, size_t cap)
{
    const struct sl_service *list[SL_SERVICES_MAX + 1];
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    return sl_sections_write_record(list, n, out, cap);
}

static size_t write_vitals(const struct sl_service *services, size_t n, uint8_t *out, size_t cap)
{
    const struct sl_service *list[SL_SERVICES_MAX + 1];
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    return sl_sections_write_vitals(list, n, out, cap);
}

struct reading {
    struct sl_service services[SL_SERVICES_MAX];
    size_t n, n_refused;
    bool ok;
};

static struct reading *read_record(const void *bytes, size_t len)
{
    static struct reading got;
    struct sl_sections it;
    int r;
    got.n = got.n_refused = 0;
    sl_sections_begin(&it, sl_span_of(bytes, len));
    while ((r = sl_sections_next(&it, &got.services[got.n])) != 0) {
        got.n += r > 0;
        got.n_refused += r < 0;
        if (got.n == SL_SERVICES_MAX)
            break;
    }
    got.ok = sl_sections_ok(&it);
    return &got;
}

static struct sl_service a_full_service(void)
{
    struct sl_service s = a_service("web", 8080);
    set_text(s.version, sizeof s.version, "1");
    set_text(s.note, sizeof s.note, "ok");
    add_meta(&s, "a", "b");
    return s;
}

/* ---- bytes ---- */

START_TEST(a_record_section_has_these_bytes)
{
    static const uint8_t expected[] = {0x91, 0x97, 0xa0, 0xa3, 'w',  'e',  'b', 0xa0, 0xcd, 0x1f,
                                       0x90, 0xa1, '1',  0x64, 0x81, 0xa1, 'a', 0xa1, 'b'};
    struct sl_service s = a_full_service();
    uint8_t out[64];
    ck_assert_uint_eq(write_record(&s, 1, out, sizeof out), sizeof expected);
    ck_assert_mem_eq(out, expected, sizeof expected);
}
END_TEST

START_TEST(a_vitals_section_has_these_bytes)
{
    /* 64aae40db1756d81: SipHash-2-4 with the key 0 over "default\0web\0", from another program. */
    static const uint8_t expected[] = {0x91, 0x94, 0xcf, 0x64, 0xaa, 0xe4, 0x0d, 0xb1,
                                       0x75, 0x6d, 0x81, 0x00, 0x64, 0xa2, 'o',  'k'};
    struct sl_service s = a_full_service();
    uint8_t out[64];
    ck_assert_uint_eq(write_vitals(&s, 1, out, sizeof out), sizeof expected);
    ck_assert_mem_eq(out, expected, sizeof expected);
}
END_TEST

START_TEST(what_is_written_is_read_back)
{
    struct sl_service s = a_full_service();
    uint8_t out[256];
    set_text(s.host, sizeof s.host, "2001:db8::5");
    s.base_weight = 1000;
    add_meta(&s, "empty", "");
    struct reading *got = read_record(out, write_record(&s, 1, out, sizeof out));
    ck_assert(got->ok);
    ck_assert_uint_eq(got->n, 1);
    const struct sl_service *g = &got->services[0];
    ck_assert_str_eq(g->tenant, "default");
    ck_assert_str_eq(g->name, "web");
    ck_assert_str_eq(g->host, "2001:db8::5");
    ck_assert_uint_eq(g->port, 8080);
    ck_assert_str_eq(g->version, "1");
    ck_assert_uint_eq(g->base_weight, 1000);
    ck_assert_uint_eq(g->n_meta, 2);
    ck_assert_mem_eq(g->meta[1].key.p, "empty", 5);
    ck_assert_uint_eq(g->meta[1].value.len, 0);
}
END_TEST

START_TEST(the_callers_order_does_not_show_in_the_bytes)
{
    struct sl_service s[3] = {a_service("a", 1), a_service("b", 2), a_service("c", 3)};
    struct sl_service t[3];
    uint8_t one[512], other[512];
    add_meta(&s[0], "k", "1");
    add_meta(&s[0], "l", "2");
    t[0] = s[2];
    t[1] = s[0];
    t[2] = s[1];
    t[1].n_meta = 0;
    add_meta(&t[1], "l", "2");
    add_meta(&t[1], "k", "1");
    size_t len = write_record(s, 3, one, sizeof one);
    ck_assert_uint_eq(write_record(t, 3, other, sizeof other), len);
    ck_assert_mem_eq(one, other, len);
    len = write_vitals(s, 3, one, sizeof one);
    ck_assert_uint_eq(write_vitals(t, 3, other, sizeof other), len);
    ck_assert_mem_eq(one, other, len);
}
END_TEST

START_TEST(what_does_not_fit_is_not_written)
{
    struct sl_service s = a_full_service();
    uint8_t out[64];
    size_t len = write_record(&s, 1, out, sizeof out);
    for (size_t cap = 0; cap < len; cap++)
        ck_assert_uint_eq(write_record(&s, 1, out, cap), 0);
    ck_assert_uint_eq(write_record(&s, 1, out, len), len);
}
END_TEST

/* ---- faults ---- */

static void check_fault(const struct sl_service *s, const char *word)
{
    uint8_t out[16384];
    const char *fault = sl_service_fault(s);
    ck_assert_msg(fault && strstr(fault, word), "fault is %s, not about %s", fault ? fault : "none",
                  word);
    ck_assert_uint_eq(write_record(s, 1, out, sizeof out), 0);
    ck_assert_uint_eq(write_vitals(s, 1, out, sizeof out), 0);
}

START_TEST(each_fault_is_named_and_keeps_a_service_from_being_written)
{
    static char big[STARLING_META_BYTES_MAX + 1];
    memset(big, 'x', sizeof big - 1);
    struct sl_service s;
#define FAULT(word, ...)                                                                           \
    do {                                                                                           \
        s = a_full_service();                                                                      \
        __VA_ARGS__;                                                                               \
        check_fault(&s, word);                                                                     \
    } while (0)
    FAULT("name", s.name[0] = '\0');
    FAULT("name", s.name[0] = 'W');
    FAULT("name", memset(s.name, 'a', sizeof s.name));
    FAULT("tenant", s.tenant[0] = '\0');
    FAULT("tenant", set_text(s.tenant, sizeof s.tenant, "Other"));
    FAULT("host", set_text(s.host, sizeof s.host, "example.org"));
    FAULT("host", set_text(s.host, sizeof s.host, "10.0.0.1:80"));
    FAULT("host", set_text(s.host, sizeof s.host, "[::1]"));
    FAULT("host", set_text(s.host, sizeof s.host, "0.0.0.0"));
    FAULT("port", s.port = 0);
    FAULT("version", set_text(s.version, sizeof s.version, "1\x1b[2J"));
    FAULT("version", set_text(s.version, sizeof s.version, "\xff"));
    FAULT("version", memset(s.version, 'v', sizeof s.version));
    FAULT("base weight", s.base_weight = 0);
    FAULT("base weight", s.base_weight = 1001);
    FAULT("health", s.health = 3);
    FAULT("weight", s.weight = 1001);
    FAULT("note", set_text(s.note, sizeof s.note, "\xc2\x9b"));
    FAULT("note", set_text(s.note, sizeof s.note, "\xed\xa0\x80"));
    FAULT("note", set_text(s.note, sizeof s.note, "\xc0\xaf"));
    FAULT("pairs", s.n_meta = 65);
    FAULT("key", add_meta(&s, "", "x"));
    FAULT("key", add_meta(&s, "\n", "x"));
    FAULT("value", s.meta[0].value = sl_span_of("a\0b", 3));
    FAULT("twice", add_meta(&s, "a", "x"));
    FAULT("4096", add_meta(&s, "b", big));
#undef FAULT
}
END_TEST

START_TEST(what_is_at_its_limit_has_no_fault)
{
    static char big[STARLING_META_BYTES_MAX];
    struct sl_service s = a_full_service();
    memset(big, 'x', sizeof big);
    memset(s.name, 'n', 63);
    memset(s.version, 'v', 63);
    memset(s.note, 'w', 127);
    s.name[63] = s.version[63] = s.note[127] = '\0';
    s.port = 65535;
    s.base_weight = s.weight = STARLING_WEIGHT_MAX;
    s.health = STARLING_CRITICAL;
    s.meta[0].value = sl_span_of(big, sizeof big - 1);
    ck_assert_ptr_null(sl_service_fault(&s));
    s.n_meta = 0;
    s.weight = 0;
    add_meta(&s, "gr\xc3\xbc\xc3\x9f", "two\nlines\tand \xf0\x9f\x90\xa6");
    ck_assert_ptr_null(sl_service_fault(&s));
}
END_TEST

START_TEST(one_name_twice_is_not_written)
{
    struct sl_service s[2] = {a_service("web", 1), a_service("web", 2)};
    uint8_t out[256];
    ck_assert_uint_eq(write_record(s, 2, out, sizeof out), 0);
    ck_assert_uint_eq(write_vitals(s, 2, out, sizeof out), 0);
}
END_TEST

/* n services with names of 63 bytes and notes of 127. */
static struct sl_service *long_services(size_t n)
{
    static struct sl_service s[SL_SERVICES_MAX + 1];
    for (size_t i = 0; i < n; i++) {
        s[i] = a_service("x", 1);
        snprintf(s[i].name, sizeof s[i].name, "%063zu", i);
        s[i].weight = 1000;
        for (size_t k = 0; k + 1 < sizeof s[i].note - 1; k += 2)
            memcpy(s[i].note + k, "\xc3\xbc", 3);
    }
    return s;
}

START_TEST(more_than_64_services_are_not_written)
{
    static uint8_t out[65536];
    ck_assert_uint_gt(write_record(long_services(64), 64, out, sizeof out), 0);
    ck_assert_uint_eq(write_record(long_services(65), 65, out, sizeof out), 0);
    ck_assert_uint_eq(write_vitals(long_services(65), 65, out, sizeof out), 0);
}
END_TEST

START_TEST(the_vitals_of_64_services_always_fit_with_shorter_notes_of_whole_characters)
{
    uint8_t out[SL_VITALS_SECTIONS_MAX];
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    size_t len = write_vitals(long_services(64), 64, out, sizeof out);
    ck_assert_uint_gt(len, 0);
    ck_assert(sl_sections_read_vitals(sl_span_of(out, len), v, &n, &refused));
    ck_assert_uint_eq(n, 64);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_ge(v[0].note.len, 30);
    ck_assert_uint_eq(v[0].note.len % 2, 0);
}
END_TEST

/* ---- reading ---- */

/* A record section of n entries by hand. */
static void pack_service(struct sl_pack *w, const char *name, unsigned port, unsigned weight)
{
    sl_pack_array(w, 7);
    sl_pack_str(w, "", 0);
    sl_pack_str(w, name, strlen(name));
    sl_pack_str(w, "", 0);
    sl_pack_uint(w, port);
    sl_pack_str(w, "", 0);
    sl_pack_uint(w, weight);
    sl_pack_map(w, 0);
}

START_TEST(no_bytes_are_an_empty_section)
{
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n = 1, refused = 1;
    struct reading *got = read_record(NULL, 0);
    ck_assert(got->ok);
    ck_assert_uint_eq(got->n, 0);
    ck_assert(sl_sections_read_vitals(sl_span_of(NULL, 0), v, &n, &refused));
    ck_assert_uint_eq(n + refused, 0);
}
END_TEST

START_TEST(a_service_with_a_fault_is_ignored_and_the_others_are_not)
{
    uint8_t out[512];
    struct sl_pack w;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 7);
    pack_service(&w, "a", 1, 100);
    pack_service(&w, "b", 0, 100);
    pack_service(&w, "c", 65536, 100);
    pack_service(&w, "d", 1, 0);
    pack_service(&w, "e", 1, 70000);
    pack_service(&w, "F", 1, 100);
    pack_service(&w, "g", 1, 100);
    struct reading *got = read_record(out, w.len);
    ck_assert(got->ok);
    ck_assert_uint_eq(got->n_refused, 5);
    ck_assert_uint_eq(got->n, 2);
    ck_assert_str_eq(got->services[1].name, "g");
}
END_TEST

START_TEST(a_name_that_comes_late_or_twice_is_ignored)
{
    uint8_t out[512];
    struct sl_pack w;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 4);
    pack_service(&w, "b", 1, 100);
    pack_service(&w, "b", 2, 100);
    pack_service(&w, "a", 3, 100);
    pack_service(&w, "c", 4, 100);
    struct reading *got = read_record(out, w.len);
    ck_assert(got->ok);
    ck_assert_uint_eq(got->n_refused, 2);
    ck_assert_uint_eq(got->n, 2);
    ck_assert_uint_eq(got->services[0].port, 1);
    ck_assert_str_eq(got->services[1].name, "c");
}
END_TEST

START_TEST(a_tenant_other_than_the_default_is_written_with_its_name)
{
    struct sl_service s = a_service("n", 1);
    uint8_t out[64];
    set_text(s.tenant, sizeof s.tenant, "blue");
    struct reading *got = read_record(out, write_record(&s, 1, out, sizeof out));
    ck_assert(got->ok);
    ck_assert_uint_eq(got->n, 1);
    ck_assert_str_eq(got->services[0].tenant, "blue");
}
END_TEST

START_TEST(further_elements_of_a_later_version_are_skipped)
{
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    uint8_t out[64];
    struct sl_pack w;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 2);
    for (int i = 0; i < 2; i++) {
        sl_pack_array(&w, 6);
        sl_pack_uint(&w, (uint64_t)i);
        sl_pack_uint(&w, 1);
        sl_pack_uint(&w, 7);
        sl_pack_str(&w, "n", 1);
        sl_pack_map(&w, 1);
        sl_pack_nil(&w);
        sl_pack_nil(&w);
        sl_pack_array(&w, 0);
    }
    ck_assert(sl_sections_read_vitals(sl_span_of(out, w.len), v, &n, &refused));
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(v[1].weight, 7);

    uint8_t record[64] = {0x91, 0x98, 0xa0, 0xa1, 'n', 0xa0, 0x01, 0xa0, 0x01, 0x80, 0x91, 0xc0};
    struct reading *got = read_record(record, 12);
    ck_assert(got->ok);
    ck_assert_uint_eq(got->n, 1);
}
END_TEST

START_TEST(vitals_out_of_range_are_ignored_and_counted)
{
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    static const uint8_t out[] = {0x93, 0x94, 0x01, 0x03, 0x01, 0xa0, 0x94, 0x02, 0x00,
                                  0xcd, 0x03, 0xe9, 0xa0, 0x94, 0x03, 0x02, 0x00, 0xa0};
    ck_assert(sl_sections_read_vitals(sl_span_of(out, sizeof out), v, &n, &refused));
    ck_assert_uint_eq(refused, 2);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(v[0].key, 3);
}
END_TEST

START_TEST(vitals_find_their_service_by_name_whatever_the_record_holds)
{
    struct sl_service s[3] = {a_service("a", 1), a_service("b", 1), a_service("c", 1)};
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    uint8_t out[256];
    s[1].health = STARLING_CRITICAL;
    s[1].weight = 5;
    set_text(s[1].note, sizeof s[1].note, "disk full");
    size_t len = write_vitals(&s[1], 2, out, sizeof out);
    ck_assert(sl_sections_read_vitals(sl_span_of(out, len), v, &n, &refused));
    struct sl_service got = a_service("b", 1);
    sl_sections_apply(&got, v, n);
    ck_assert_uint_eq(got.health, STARLING_CRITICAL);
    ck_assert_uint_eq(got.weight, 5);
    ck_assert_str_eq(got.note, "disk full");
    got = a_service("a", 1);
    sl_sections_apply(&got, v, n);
    ck_assert_uint_eq(got.health, STARLING_PASSING);
    ck_assert_uint_eq(got.weight, 100);
}
END_TEST

START_TEST(every_truncation_is_malformed)
{
    struct sl_service s[2] = {a_full_service(), a_service("x", 9)};
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    uint8_t out[256];
    size_t len = write_record(s, 2, out, sizeof out);
    for (size_t cut = 1; cut < len; cut++) {
        uint8_t *exact = malloc(cut); /* so that a sanitizer sees a byte too many */
        memcpy(exact, out, cut);
        ck_assert_msg(!read_record(exact, cut)->ok, "%zu of %zu bytes pass", cut, len);
        free(exact);
    }
    len = write_vitals(s, 2, out, sizeof out);
    for (size_t cut = 1; cut < len; cut++) {
        uint8_t *exact = malloc(cut);
        memcpy(exact, out, cut);
        ck_assert(!sl_sections_read_vitals(sl_span_of(exact, cut), v, &n, &refused));
        free(exact);
    }
}
END_TEST

START_TEST(more_bytes_than_announced_are_malformed)
{
    struct sl_service s = a_full_service();
    uint8_t out[256];
    size_t len = write_record(&s, 1, out, sizeof out);
    out[len] = 0xc0;
    ck_assert(!read_record(out, len + 1)->ok);
}
END_TEST

START_TEST(a_count_beyond_the_limit_is_malformed)
{
    static uint8_t out[4096] = {0xdc, 0x00, 0x41}; /* 65 services */
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    memset(out + 3, 0x90, sizeof out - 3);
    ck_assert(!read_record(out, sizeof out)->ok);
    ck_assert(!sl_sections_read_vitals(sl_span_of(out, sizeof out), v, &n, &refused));
    static const uint8_t bomb[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    ck_assert(!read_record(bomb, sizeof bomb)->ok);
}
END_TEST

START_TEST(whatever_mutated_bytes_say_what_is_read_has_no_fault)
{
    struct sl_service s[3] = {a_full_service(), a_service("x", 9), a_service("y", 10)};
    struct sl_service_vitals v[SL_SERVICES_MAX];
    size_t n, refused;
    uint8_t good[256], good_vitals[256], bad[256];
    add_meta(&s[1], "k", "v");
    size_t len = write_record(s, 3, good, sizeof good);
    size_t vitals_len = write_vitals(s, 3, good_vitals, sizeof good_vitals);
    struct sl_rand r;
    sl_rand_seed(&r, 1);
    for (int round = 0; round < 20000; round++) {
        memcpy(bad, good, len);
        for (uint64_t k = sl_rand_below(&r, 4) + 1; k > 0; k--)
            bad[sl_rand_below(&r, len)] = (uint8_t)sl_rand_u64(&r);
        struct reading *got = read_record(bad, len);
        for (size_t i = 0; i < got->n; i++)
            ck_assert_ptr_null(sl_service_fault(&got->services[i]));
        memcpy(bad, good_vitals, vitals_len);
        bad[sl_rand_below(&r, vitals_len)] = (uint8_t)sl_rand_u64(&r);
        if (!sl_sections_read_vitals(sl_span_of(bad, vitals_len), v, &n, &refused))
            continue;
        for (size_t i = 0; i < n; i++)
            ck_assert(v[i].health <= STARLING_CRITICAL && v[i].weight <= STARLING_WEIGHT_MAX);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("section");
    TCase *t = tcase_create("section");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_record_section_has_these_bytes);
    tcase_add_test(t, a_vitals_section_has_these_bytes);
    tcase_add_test(t, what_is_written_is_read_back);
    tcase_add_test(t, the_callers_order_does_not_show_in_the_bytes);
    tcase_add_test(t, what_does_not_fit_is_not_written);
    tcase_add_test(t, each_fault_is_named_and_keeps_a_service_from_being_written);
    tcase_add_test(t, what_is_at_its_limit_has_no_fault);
    tcase_add_test(t, one_name_twice_is_not_written);
    tcase_add_test(t, more_than_64_services_are_not_written);
    tcase_add_test(t, the_vitals_of_64_services_always_fit_with_shorter_notes_of_whole_characters);
    tcase_add_test(t, no_bytes_are_an_empty_section);
    tcase_add_test(t, a_service_with_a_fault_is_ignored_and_the_others_are_not);
    tcase_add_test(t, a_name_that_comes_late_or_twice_is_ignored);
    tcase_add_test(t, a_tenant_other_than_the_default_is_written_with_its_name);
    tcase_add_test(t, further_elements_of_a_later_version_are_skipped);
    tcase_add_test(t, vitals_out_of_range_are_ignored_and_counted);
    tcase_add_test(t, vitals_find_their_service_by_name_whatever_the_record_holds);
    tcase_add_test(t, every_truncation_is_malformed);
    tcase_add_test(t, more_bytes_than_announced_are_malformed);
    tcase_add_test(t, a_count_beyond_the_limit_is_malformed);
    tcase_add_test(t, whatever_mutated_bytes_say_what_is_read_has_no_fault);
    suite_add_tcase(s, t);
    return run_suite(s);
}
