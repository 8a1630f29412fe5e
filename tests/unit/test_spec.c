/* test_spec.c: which instances a view asks for. */
#include "store/spec.h"

#include "store/roster.h"
#include "tests/unit/roster_help.h"

static struct memory memory;

/* An instance of that version with metadata "env=prod", "shard=7", "empty=". */
static bool matches(const char *version, const char *ranges, const char *select)
{
    struct sl_view_spec spec = a_spec("web", STARLING_P2C_EWMA);
    struct sl_store_member m = a_member(1, STARLING_ALIVE);
    struct sl_service s = a_service("web", 80);
    memory_init(&memory);
    set_text(s.version, sizeof s.version, version);
    set_text(spec.version, sizeof spec.version, ranges);
    set_text(spec.select, sizeof spec.select, select);
    add_meta(&s, "env", "prod");
    add_meta(&s, "shard", "7");
    add_meta(&s, "empty", "");
    ck_assert_msg(sl_view_fault(&spec) == NULL, "\"%s\" \"%s\": %s", ranges, select,
                  sl_view_fault(&spec));
    struct sl_offer *o = an_offer(&memory.alloc, &m, &s);
    bool result = sl_spec_matches(&spec, &o->inst);
    sl_offer_unref(&memory.alloc, o);
    ck_assert_uint_eq(memory.bytes, 0);
    return result;
}

static const struct {
    const char *version, *ranges;
    bool in;
} versions[] = {
    {"", "", true},
    {"anything", "", true},
    {"anything", ">=0", false},
    {"", ">=0", false},
    {"1.2.3", "1.2.3", true},
    {"1.2.3", "1.2", true},
    {"1.2.3", "1", true},
    {"1.20.3", "1.2", false},
    {"1.2.3", "=1.2", false},
    {"1.2", "=1.2.0", true},
    {"v1.2", "1.2", true},
    {"1.2", "v1.2", true},
    {"1.10", ">1.9", true},
    {"1.9", ">1.10", false},
    {"1.9", "<1.10", true},
    {"1.2.0", ">1.2", false},
    {"1.2.0", ">=1.2", true},
    {"1.2.1", "<=1.2", false},
    {"1.5", ">=1.2 <2", true},
    {"2.0", ">=1.2 <2", false},
    {"2.0-rc1", "<2", true}, /* SemVer: before the release */
    {"2.0-rc1", ">=2", false},
    {"2.0-rc1", "2.0", false},
    {"2.0+build7", "=2", true},
    {"1.4294967296", ">1.2", true}, /* a number beyond 32 bits stays a large one */
    {"1.2.3.4", "1.2.3.4", true},
};

START_TEST(versions_are_compared_as_numbers)
{
    ck_assert_msg(matches(versions[_i].version, versions[_i].ranges, "") == versions[_i].in,
                  "%s in \"%s\"", versions[_i].version, versions[_i].ranges);
}
END_TEST

static const struct {
    const char *select;
    bool matches;
} selectors[] = {
    {"", true},
    {"env=prod", true},
    {"env=pro", false},
    {"env=production", false},
    {"env!=prod", false},
    {"env!=test", true},
    {"none!=test", true},
    {"env", true},
    {"!env", false},
    {"!none", true},
    {"none", false},
    {"empty", true},
    {"empty=", true},
    {"shard=", false},
    {"env=prod,shard=7", true},
    {"env=prod, shard=8", false},
    {",env=prod,,!none,", true},
};

START_TEST(all_terms_of_a_selector_must_hold)
{
    ck_assert_msg(matches("1", "", selectors[_i].select) == selectors[_i].matches, "\"%s\"",
                  selectors[_i].select);
}
END_TEST

static const struct {
    const char *ranges, *select;
} faults[] = {
    {">=", ""},    {"abc", ""},   {">=1.x", ""}, {"1..2", ""},  {">>1", ""},
    {"1.2 <", ""}, {"", "=prod"}, {"", "!"},     {"", "a,!=b"}, {"1.2.3.4.5", ""},
};

START_TEST(what_cannot_be_read_is_a_fault_of_the_spec)
{
    struct sl_view_spec spec = a_spec("web", STARLING_P2C_EWMA);
    set_text(spec.version, sizeof spec.version, faults[_i].ranges);
    set_text(spec.select, sizeof spec.select, faults[_i].select);
    ck_assert_msg(sl_view_fault(&spec) != NULL, "\"%s\" \"%s\"", faults[_i].ranges,
                  faults[_i].select);
}
END_TEST

/* Ranges and versions come from other people: whatever they are, reading ends within the text. */
START_TEST(no_text_is_read_beyond_its_end)
{
    static const char letters[] = "0123456789.-+v<>= ,!ab";
    struct sl_rand r;
    sl_rand_seed(&r, 11);
    for (int round = 0; round < 200000; round++) {
        struct sl_view_spec spec = a_spec("web", STARLING_P2C_EWMA);
        char version[12] = "";
        for (uint64_t i = sl_rand_below(&r, 12); i-- > 0;)
            spec.version[i] = letters[sl_rand_below(&r, sizeof letters - 1)];
        for (uint64_t i = sl_rand_below(&r, 12); i-- > 0;)
            spec.select[i] = letters[sl_rand_below(&r, sizeof letters - 1)];
        for (uint64_t i = sl_rand_below(&r, 11); i-- > 0;)
            version[i] = letters[sl_rand_below(&r, sizeof letters - 1)];
        struct sl_instance inst = {.version = version};
        if (sl_view_fault(&spec) == NULL && spec.version[0] == '\0' && spec.select[0] == '\0')
            ck_assert(sl_spec_matches(&spec, &inst));
        else if (sl_view_fault(&spec) == NULL)
            (void)sl_spec_matches(&spec, &inst);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("spec");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, versions_are_compared_as_numbers, 0, SL_COUNT(versions));
    tcase_add_loop_test(t, all_terms_of_a_selector_must_hold, 0, SL_COUNT(selectors));
    tcase_add_loop_test(t, what_cannot_be_read_is_a_fault_of_the_spec, 0, SL_COUNT(faults));
    tcase_add_test(t, no_text_is_read_beyond_its_end);
    suite_add_tcase(s, t);
    return run_suite(s);
}
