/* test_snapshot.c: who offered what, over a restart: the file alone, and a node that starts with
 * files that no node would have written just now. */
#include "node/snapshot_file.h"

#include <check.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "node/files.h"
#include "node/identity.h"
#include "store/store.h"
#include "tests/suite.h"

#define WALL 1800000000 /* seconds; some time */

static struct sl_signer signer, other_signer;
static struct sl_crypto crypto;
static struct sl_snapshot_owner owner;
static uint8_t flock[SL_FLOCK_LEN] = {1, 2, 3};
static uint8_t file[2 * SL_RECORD_MAX];
static size_t file_len;

static const struct sl_id own_id = {{9, 9}};

static void setup(void)
{
    uint8_t seed[32] = {7};
    ck_assert_int_eq(sl_crypto_setup(), 0);
    sl_signer_from_seed(&signer, seed);
    seed[0] = 8;
    sl_signer_from_seed(&other_signer, seed);
    crypto = sl_crypto_port(&signer);
    sl_snapshot_owner_init(&owner, &crypto, flock, &own_id, signer.seed);
}

static struct sl_snapshot_entry member(unsigned i)
{
    static const uint8_t record[] = {0x91, 0x90}, vitals[] = {0x90};
    struct sl_snapshot_entry e = {.id = {{(uint8_t)(i >> 8), (uint8_t)i, 1}},
                                  .addr = {.family = 4, .ip = {10, 0, 0, 1}, .port = 7700},
                                  .epoch = 1000 + i,
                                  .serial = {(uint8_t)i, 7},
                                  .record = sl_span_of(record, sizeof record),
                                  .vitals = sl_span_of(vitals, sizeof vitals)};
    (void)snprintf(e.name, sizeof e.name, "n%u", i);
    (void)snprintf(e.zone, sizeof e.zone, "%s", i % 2 ? "eu-1a" : "");
    return e;
}

static void write_members(unsigned n)
{
    struct sl_pack w;
    sl_snapshot_begin(&w, file, sizeof file);
    for (unsigned i = 0; i < n; i++) {
        struct sl_snapshot_entry e = member(i);
        ck_assert(sl_snapshot_add(&w, &e));
    }
    file_len = sl_snapshot_end(&w, &owner, WALL);
    ck_assert_uint_gt(file_len, 0);
}

static const char *fault_of(size_t len, int64_t wall_s)
{
    struct sl_span entries;
    int64_t written;
    return sl_snapshot_check(sl_span_of(file, len), &owner, wall_s, &entries, &written);
}

START_TEST(what_is_written_is_read)
{
    struct sl_span entries;
    int64_t written = 0;
    struct sl_snapshot_entry e;
    write_members(3);
    ck_assert_ptr_null(
        sl_snapshot_check(sl_span_of(file, file_len), &owner, WALL + 5, &entries, &written));
    ck_assert_int_eq(written, WALL);
    for (unsigned i = 0; i < 3; i++) {
        struct sl_snapshot_entry want = member(i);
        ck_assert(sl_snapshot_next(&entries, &e));
        ck_assert(sl_id_eq(&e.id, &want.id));
        ck_assert_str_eq(e.name, want.name);
        ck_assert_str_eq(e.zone, want.zone);
        ck_assert(sl_addr_eq(&e.addr, &want.addr));
        ck_assert_uint_eq(e.epoch, want.epoch);
        ck_assert_int_eq(memcmp(e.serial, want.serial, sizeof e.serial), 0);
        ck_assert_uint_eq(e.record.len, want.record.len);
        ck_assert_int_eq(memcmp(e.record.p, want.record.p, want.record.len), 0);
        ck_assert_uint_eq(e.vitals.len, want.vitals.len);
    }
    ck_assert(!sl_snapshot_next(&entries, &e));
    ck_assert_uint_eq(entries.len, 0);
}
END_TEST

START_TEST(nobody_is_a_snapshot_too)
{
    write_members(0);
    ck_assert_ptr_null(fault_of(file_len, WALL));
}
END_TEST

START_TEST(a_file_cut_off_anywhere_is_not_read)
{
    write_members(2);
    for (size_t len = 0; len < file_len; len++)
        ck_assert_msg(fault_of(len, WALL) != NULL, "cut off at %zu of %zu", len, file_len);
}
END_TEST

START_TEST(a_file_with_a_byte_flipped_anywhere_is_not_read)
{
    write_members(2);
    for (size_t i = 0; i < file_len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file[i] ^= (uint8_t)(1u << bit);
            ck_assert_msg(fault_of(file_len, WALL) != NULL, "byte %zu, bit %u", i, bit);
            file[i] ^= (uint8_t)(1u << bit);
        }
    }
    ck_assert_ptr_null(fault_of(file_len, WALL));
}
END_TEST

START_TEST(bytes_behind_the_end_are_noticed)
{
    write_members(1);
    file[file_len] = 0x90;
    ck_assert_ptr_nonnull(fault_of(file_len + 1, WALL));
}
END_TEST

/* Names what the fault is about. */
#define faults(what, call)                                                                         \
    do {                                                                                           \
        const char *fault_ = (call);                                                               \
        ck_assert_msg(fault_ != NULL && strstr(fault_, what) != NULL, "'%s' does not say '%s'",    \
                      fault_ != NULL ? fault_ : "nothing", what);                                  \
    } while (0)

START_TEST(the_file_of_another_flock_node_or_key_is_not_read)
{
    static const uint8_t elsewhere[SL_FLOCK_LEN] = {3, 2, 1};
    static const struct sl_id somebody = {{1}};
    write_members(1);
    sl_snapshot_owner_init(&owner, &crypto, elsewhere, &own_id, signer.seed);
    faults("another flock", fault_of(file_len, WALL));
    sl_snapshot_owner_init(&owner, &crypto, flock, &somebody, signer.seed);
    faults("another node", fault_of(file_len, WALL));
    sl_snapshot_owner_init(&owner, &crypto, flock, &own_id, other_signer.seed);
    faults("not written by this node", fault_of(file_len, WALL));
    sl_snapshot_owner_init(&owner, &crypto, flock, &own_id, signer.seed);
    ck_assert_ptr_null(fault_of(file_len, WALL));
}
END_TEST

START_TEST(a_file_is_read_for_a_day)
{
    write_members(1);
    ck_assert_ptr_null(fault_of(file_len, WALL + SL_SNAPSHOT_LIFE_S - 1));
    faults("older", fault_of(file_len, WALL + SL_SNAPSHOT_LIFE_S));
    faults("older", fault_of(file_len, INT64_MAX - SL_SNAPSHOT_AHEAD_S));
}
END_TEST

START_TEST(a_file_from_the_future_is_not_read)
{
    write_members(1);
    ck_assert_ptr_null(fault_of(file_len, WALL - SL_SNAPSHOT_AHEAD_S));
    faults("future", fault_of(file_len, WALL - SL_SNAPSHOT_AHEAD_S - 1));
    faults("future", fault_of(file_len, 0));
}
END_TEST

START_TEST(whom_there_is_no_room_for_is_left_out)
{
    struct sl_pack w;
    struct sl_snapshot_entry e = member(1), big = member(2);
    static uint8_t sections[200];
    big.record = sl_span_of(sections, sizeof sections);
    sl_snapshot_begin(&w, file, 250);
    ck_assert(sl_snapshot_add(&w, &e));
    ck_assert(!sl_snapshot_add(&w, &big));
    e = member(3);
    ck_assert(sl_snapshot_add(&w, &e));
    file_len = sl_snapshot_end(&w, &owner, WALL);
    ck_assert_uint_le(file_len, 250);

    struct sl_span entries;
    int64_t written;
    ck_assert_ptr_null(
        sl_snapshot_check(sl_span_of(file, file_len), &owner, WALL, &entries, &written));
    ck_assert(sl_snapshot_next(&entries, &e));
    ck_assert_str_eq(e.name, "n1");
    ck_assert(sl_snapshot_next(&entries, &e));
    ck_assert_str_eq(e.name, "n3");
    ck_assert(!sl_snapshot_next(&entries, &e));
}
END_TEST

START_TEST(a_buffer_too_small_for_anything_gives_nothing)
{
    struct sl_pack w;
    struct sl_snapshot_entry e = member(1);
    sl_snapshot_begin(&w, file, 87);
    ck_assert(!sl_snapshot_add(&w, &e));
    ck_assert_uint_eq(sl_snapshot_entries(&w).len, 0);
    ck_assert_uint_eq(sl_snapshot_end(&w, &owner, WALL), 0);
}
END_TEST

/* Sealed, so by ourselves, but not as this version would. */
static const char *fault_of_entry(void (*write)(struct sl_pack *w))
{
    struct sl_pack w;
    sl_snapshot_begin(&w, file, sizeof file);
    write(&w);
    file_len = sl_snapshot_end(&w, &owner, WALL);
    return fault_of(file_len, WALL);
}

static void write_fields(struct sl_pack *w, size_t n, const char *name, size_t record_len)
{
    static const uint8_t zeroes[SL_RECORD_MAX];
    static const uint8_t addr[] = {4, 10, 0, 0, 1, 0x1e, 0x14};
    sl_pack_array(w, n);
    sl_pack_bin(w, own_id.b, SL_ID_LEN);
    sl_pack_str(w, name, strlen(name));
    sl_pack_str(w, "", 0);
    sl_pack_bin(w, addr, sizeof addr);
    sl_pack_uint(w, 1);
    sl_pack_bin(w, zeroes, record_len);
    sl_pack_bin(w, zeroes, 0);
    if (n > 7)
        sl_pack_bin(w, zeroes, 16); /* the certificate's serial */
    for (size_t i = 8; i < n; i++)
        sl_pack_nil(w);
}

static void usual(struct sl_pack *w)
{
    write_fields(w, 8, "n1", 10);
}

static void without_a_serial(struct sl_pack *w)
{
    write_fields(w, 7, "n1", 10);
}

static void longer(struct sl_pack *w)
{
    write_fields(w, 10, "n1", 10);
}

static void bad_name(struct sl_pack *w)
{
    write_fields(w, 7, "N 1", 10);
}

static void too_long(struct sl_pack *w)
{
    write_fields(w, 7, "n1", SL_RECORD_SECTIONS_MAX + 1);
}

static void no_array(struct sl_pack *w)
{
    sl_pack_uint(w, 1);
}

static void short_array(struct sl_pack *w)
{
    sl_pack_array(w, 7);
    sl_pack_bin(w, own_id.b, SL_ID_LEN);
}

START_TEST(entries_are_read_within_bounds)
{
    ck_assert_ptr_null(fault_of_entry(usual));
    ck_assert_ptr_null(fault_of_entry(without_a_serial)); /* of an earlier version */
    ck_assert_ptr_null(fault_of_entry(longer)); /* fields of a later version */
    faults("does not understand", fault_of_entry(bad_name));
    faults("does not understand", fault_of_entry(too_long));
    faults("does not understand", fault_of_entry(no_array));
    faults("does not understand", fault_of_entry(short_array));
}
END_TEST

/* ---- a node that starts with a file ------------------------------------------------------- */

static char dir[] = "/tmp/starling-test-XXXXXX";
static char config[64], runtime[64], state[64], path[80];
static struct sl_identity identity;

static void setup_node(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(config, sizeof config, "%s/config", dir);
    (void)snprintf(runtime, sizeof runtime, "%s/run", dir);
    (void)snprintf(state, sizeof state, "%s/state", dir);
    (void)snprintf(path, sizeof path, "%s/snapshot", state);
    struct sl_identity_options options = {.flock = "test",
                                          .name = "n0",
                                          .config_dir = config,
                                          .runtime_dir = runtime,
                                          .state_dir = state,
                                          .wall_s = time(NULL)};
    ck_assert_int_eq(sl_identity_load(&options, &identity), 0);
    crypto = sl_crypto_port(&identity.signer);
    sl_snapshot_owner_init(&owner, &crypto, identity.bundle.flock, &identity.id,
                           identity.signer.seed);
}

static void teardown_node(void)
{
    folder_remove(dir);
}

/* A file in which this member offers "users", written so many seconds ago. */
static void remember(const struct sl_id *id, int64_t age_s)
{
    struct sl_service service = {
        .tenant = "default", .name = "users", .port = 80, .base_weight = 100, .weight = 100};
    const struct sl_service *list[] = {&service};
    uint8_t record[256];
    struct sl_pack w;
    struct sl_snapshot_entry e = member(1);
    e.id = *id;
    e.record = sl_span_of(record, sl_sections_write_record(list, 1, record, sizeof record));
    e.vitals = (struct sl_span){0};
    sl_snapshot_begin(&w, file, sizeof file);
    ck_assert(sl_snapshot_add(&w, &e));
    file_len = sl_snapshot_end(&w, &owner, time(NULL) - age_s);
    ck_assert_int_eq(sl_file_write(path, file, file_len, 0600), 0);
}

static starling_node *start(starling_view **ret_view)
{
    starling_options o = {.flock = "test",
                          .name = "n0",
                          .listen = "127.0.0.1:0",
                          .config_dir = config,
                          .runtime_dir = runtime,
                          .state_dir = state};
    starling_node *node;
    ck_assert_msg(starling_open(&o, &node) == 0, "%s", starling_error_text());
    ck_assert_int_eq(starling_view_open(node, "users", NULL, ret_view), 0);
    return node;
}

static size_t count_members(starling_node *node)
{
    size_t n;
    ck_assert_int_eq(starling_members(node, 0, NULL, &n), 0);
    return n;
}

START_TEST(what_nobody_confirms_is_forgotten_when_it_is_a_day_old)
{
    static const struct sl_id somebody = {{1}};
    starling_view *view;
    starling_instance who;
    remember(&somebody, SL_SNAPSHOT_LIFE_S - 3);
    starling_node *node = start(&view);
    ck_assert_int_eq(starling_pick(view, &who), 0);
    ck_assert_uint_eq(who.flags, STARLING_F_STALE | STARLING_F_SUSPECT);
    ck_assert_uint_eq(count_members(node), 2);
    until(starling_pick(view, &who) == STARLING_ENOENT);
    ck_assert_uint_eq(count_members(node), 1);

    starling_service own = {.name = "users", .port = 81};
    ck_assert_int_eq(starling_register(node, &own, NULL), 0);
    ck_assert_int_eq(starling_wait_fit(view, 1, 10000), 0);
    ck_assert_int_eq(starling_pick(view, &who), 0);
    ck_assert_uint_eq(who.flags, 0); /* alone, like any first node: nothing is out of date */
    starling_close(node);
}
END_TEST

START_TEST(what_a_node_offered_itself_is_not_taken_from_its_file)
{
    starling_view *view;
    starling_instance who;
    remember(&identity.id, 0);
    starling_node *node = start(&view);
    ck_assert_int_eq(starling_pick(view, &who), STARLING_ENOENT);
    ck_assert_uint_eq(count_members(node), 1);
    starling_close(node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *c = tcase_create("file");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, what_is_written_is_read);
    tcase_add_test(c, nobody_is_a_snapshot_too);
    tcase_add_test(c, a_file_cut_off_anywhere_is_not_read);
    tcase_add_test(c, a_file_with_a_byte_flipped_anywhere_is_not_read);
    tcase_add_test(c, bytes_behind_the_end_are_noticed);
    tcase_add_test(c, the_file_of_another_flock_node_or_key_is_not_read);
    tcase_add_test(c, a_file_is_read_for_a_day);
    tcase_add_test(c, a_file_from_the_future_is_not_read);
    tcase_add_test(c, whom_there_is_no_room_for_is_left_out);
    tcase_add_test(c, a_buffer_too_small_for_anything_gives_nothing);
    tcase_add_test(c, entries_are_read_within_bounds);
    suite_add_tcase(suite, c);
    c = tcase_create("node");
    tcase_set_timeout(c, 30);
    tcase_add_checked_fixture(c, setup_node, teardown_node);
    tcase_add_test(c, what_nobody_confirms_is_forgotten_when_it_is_a_day_old);
    tcase_add_test(c, what_a_node_offered_itself_is_not_taken_from_its_file);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
