/* test_ca_tenants.c: who is given which key of a tenant, in a form that is for one node alone; what a
 * rotation changes, and that nobody stops hearing another who is renewed node by node. */
#include "node/ca.h"

#include <check.h>
#include <starling.h>

#include "base/bytes.h"
#include "node/tenants.h"
#include "tests/suite.h"
#include "tests/unit/ca_help.h"

static struct sl_identity load(struct sl_identity_options o)
{
    struct sl_identity identity;
    int r = sl_identity_load(&o, &identity);
    ck_assert_msg(r == 0, "does not start: %d, %s", r, sl_fail_text());
    return identity;
}

/* A node with these credentials, and one that issues itself a certificate of the same authority. */
static struct sl_identity with_credentials(const struct sl_credentials *c)
{
    ck_assert_int_eq(sl_credentials_write(file, c, "a title", true), 0);
    return load(with_file(file));
}

static struct sl_identity self_issued(void)
{
    static char run[512];
    snprintf(run, sizeof run, "%s/run", root);
    return load((struct sl_identity_options){
        .flock = "prod", .name = "n1", .config_dir = root, .runtime_dir = run, .wall_s = NOW_S});
}

/* The epoch that `from` writes the tenant with at that time, which `to` reads; 0 = it does not. */
static unsigned heard(const struct sl_identity *from, const struct sl_identity *to,
                      const char *tenant, int64_t wall_s)
{
    uint8_t sealed[256], plain[256], id[8];
    size_t len = sl_keyring_seal(&from->keyring, SL_RECORD, &from->id, tenant, sl_span_of("x", 1),
                                 wall_s, sealed, sizeof sealed),
           plain_len;
    ck_assert_msg(len > 0, "nothing to write '%s' with", tenant);
    int r = sl_keyring_open(&to->keyring, SL_RECORD, &from->id, sl_span_of(sealed, len), id, plain,
                            sizeof plain, &plain_len);
    ck_assert_msg(r == 0 || (r == 1 && plain_len == 1 && plain[0] == 'x'), "%d", r);
    return r == 1 ? sl_get32(sealed + SL_TENANT_LEN) : 0;
}

/* Not one of these; the text says why. */
static void expect_refused(const struct sl_credentials *c, const char *why)
{
    struct sl_identity identity;
    struct sl_identity_options o = with_file(file);
    ck_assert_int_eq(sl_credentials_write(file, c, "a title", true), 0);
    ck_assert_int_eq(sl_identity_load(&o, &identity), STARLING_EAUTH);
    ck_assert_msg(strstr(sl_fail_text(), why) != NULL, "'%s', not '%s'", sl_fail_text(), why);
}

START_TEST(a_node_has_the_tenants_it_was_given_and_a_self_issued_one_has_all)
{
    struct sl_credentials c = issue(order());
    struct sl_identity node = with_credentials(&c), user = self_issued();
    ck_assert_uint_eq(c.n_grants, 2);
    ck_assert(sl_keyring_has(&node.keyring, "shop") && sl_keyring_has(&node.keyring, "bank"));
    ck_assert(!sl_keyring_has(&node.keyring, "mill"));
    ck_assert(sl_keyring_has(&user.keyring, "mill"));
    ck_assert_uint_eq(heard(&node, &user, "shop", NOW_S), 1);
    ck_assert_uint_eq(heard(&user, &node, "bank", NOW_S), 1);
    ck_assert_uint_eq(heard(&user, &node, "mill", NOW_S), 0);
    /* What is in memory for years opens tenants, and signs nothing. */
    ck_assert_ptr_null(memmem(&user, sizeof user, ca.first_seed, sizeof ca.first_seed));
}
END_TEST

START_TEST(without_a_tenant_a_certificate_lists_the_one_that_is_in_clear)
{
    struct sl_ca_order o = order();
    uint8_t in_clear[8];
    o.n_tenants = 0;
    struct sl_credentials c = issue(o);
    const struct sl_cert cert = decoded(&c);
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    sl_tenant_id(&crypto, cert.flock, "default", in_clear);
    ck_assert_uint_eq(cert.n_tenants, 1); /* none would be all */
    ck_assert_mem_eq(cert.tenants[0], in_clear, sizeof in_clear);
    ck_assert_uint_eq(c.n_grants, 0);
    struct sl_identity node = with_credentials(&c);
    ck_assert(sl_keyring_has(&node.keyring, "default"));
    ck_assert(!sl_keyring_has(&node.keyring, "shop"));
    o.tenants[0] = o.tenants[1] = "shop"; /* said twice it is one grant */
    o.n_tenants = 2;
    c = issue(o);
    ck_assert_uint_eq(c.n_grants, 1);
    node = with_credentials(&c);
    ck_assert(sl_keyring_has(&node.keyring, "shop"));
}
END_TEST

START_TEST(a_tenant_gets_another_key_and_the_old_one_stays_readable)
{
    struct sl_credentials c = issue(order()), other = issue(order());
    struct sl_tenant_epoch now;
    struct sl_identity before = with_credentials(&c);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, DAY_S, &now), 0);
    ck_assert_uint_eq(now.epoch, 2);
    ck_assert_int_eq(now.use_after, NOW_S + DAY_S);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S, 0, &c), 0);
    ck_assert_uint_eq(c.n_grants, 3);
    struct sl_identity node = with_credentials(&c), user = self_issued();
    /* Node by node: who is renewed is still heard by who is not. */
    ck_assert_uint_eq(heard(&node, &before, "shop", NOW_S + DAY_S - 1), 1);
    ck_assert_uint_eq(heard(&node, &before, "shop", NOW_S + DAY_S), 0);
    ck_assert_uint_eq(heard(&before, &node, "shop", NOW_S + DAY_S), 1);
    ck_assert_uint_eq(heard(&node, &user, "shop", NOW_S + DAY_S), 2);
    ck_assert_uint_eq(heard(&user, &node, "shop", NOW_S + DAY_S - 1), 1);
    ck_assert_uint_eq(heard(&user, &node, "shop", NOW_S + DAY_S), 2);
    ck_assert_uint_eq(heard(&user, &node, "bank", NOW_S + DAY_S), 1);

    /* The third: the first goes. Not before the second is used, unless at once. */
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S + 5, DAY_S, &now),
                     STARLING_EINVAL);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S + DAY_S, 0, &now), 0);
    ck_assert_uint_eq(now.epoch, 3);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S, 0, &other), 0);
    struct sl_identity last = with_credentials(&other);
    ck_assert_uint_eq(heard(&last, &node, "shop", NOW_S + DAY_S), 0);
    ck_assert_uint_eq(heard(&node, &last, "shop", NOW_S + DAY_S), 2);
    ck_assert_uint_eq(heard(&before, &last, "shop", NOW_S + DAY_S), 0);
}
END_TEST

START_TEST(switched_at_once_what_was_to_be_used_later_is_not_used_at_all)
{
    struct sl_credentials c = issue(order());
    struct sl_tenant_epoch now;
    struct sl_identity before = with_credentials(&c);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, DAY_S, &now), 0);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S + 1, 0, &now), 0);
    ck_assert_uint_eq(now.epoch, 3);
    ck_assert_int_eq(now.use_after, NOW_S + 1);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S, 0, &c), 0);
    struct sl_identity node = with_credentials(&c), user = self_issued();
    ck_assert_uint_eq(heard(&node, &user, "shop", NOW_S + 1), 3);
    ck_assert_uint_eq(heard(&user, &node, "shop", NOW_S + 1), 3);
    ck_assert_uint_eq(heard(&user, &before, "shop", NOW_S + 1), 0);
    ck_assert_uint_eq(heard(&before, &node, "shop", NOW_S + 1), 1);
}
END_TEST

START_TEST(a_key_is_of_one_flock_and_outlives_the_authority_that_signs)
{
    char moved[SL_FINGERPRINT_TEXT];
    struct sl_tenant_epoch now;
    struct sl_ca_order o = order();
    struct sl_credentials c = issue(order());
    struct sl_identity node = with_credentials(&c);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, 0, &now), 0);
    o.flock = "staging";
    c = issue(o);
    ck_assert_uint_eq(c.n_grants, 2); /* a rotation in prod is none here */

    for (int step = SL_CA_ADD; step <= SL_CA_RETIRE; step++)
        ck_assert_int_eq(sl_ca_rotate(&ca, false, (enum sl_ca_step)step, moved), 0);
    ck_assert_mem_ne(ca.signer.seed, ca.first_seed, 32);
    c = issue(order());
    struct sl_identity later = with_credentials(&c);
    ck_assert_uint_eq(heard(&node, &later, "shop", NOW_S), 1);
    ck_assert_uint_eq(heard(&later, &node, "bank", NOW_S), 1);

    struct sl_ca gone;
    ck_assert_int_eq(unlink(place), 0);
    ck_assert_int_eq(sl_ca_open(place, &gone), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "no keys of tenants"));
}
END_TEST

START_TEST(no_bit_of_a_grant_may_change)
{
    struct sl_ca_order o = order();
    o.n_tenants = 1;
    struct sl_credentials good = issue(o);
    struct sl_identity identity = with_credentials(&good);
    for (size_t i = 0; i < 8 * SL_GRANT_LEN; i++) {
        uint8_t bad[SL_GRANT_LEN];
        memcpy(bad, good.grant[0], sizeof bad);
        bad[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert_msg(!sl_grant_check(&identity.bundle, bad), "bit %zu", i);
    }
    good.grant[0][SL_GRANT_LEN - 1] ^= 1;
    /* title, flock, authority, door, certificate, tenant, and then the grant */
    expect_refused(&good, "line 7: the grant is not signed by an authority");
    struct sl_ca_shown shown;
    ck_assert_int_eq(sl_ca_look(file, &shown), 0);
    ck_assert(!shown.grant[0].sound && shown.sound);
}
END_TEST

START_TEST(a_grant_is_for_one_node_of_one_flock_and_for_tenants_it_may_have)
{
    struct sl_ca_order o = order();
    struct sl_credentials good = issue(o), bad = good, other = issue(o);
    memcpy(bad.grant[1], other.grant[1], SL_GRANT_LEN);
    expect_refused(&bad, "line 9: the grant is for another node");

    bad = good;
    memcpy(bad.grant[1], good.grant[0], SL_GRANT_LEN);
    expect_refused(&bad, "line 9: the grant is there twice");

    /* Signed by who may, and still nothing that this node is to have. */
    struct sl_identity node = with_credentials(&good);
    struct sl_tenant_epoch what = {.epoch = 1};
    const uint8_t key[32] = {1};
    memset(what.tenant, 9, sizeof what.tenant);
    ck_assert_int_eq(sl_grant_make(&ca.signer, node.bundle.flock, &what, node.signer.public_key,
                                   key, bad.grant[1]),
                     0);
    expect_refused(&bad, "the certificate does not list");
    memcpy(what.tenant, decoded(&good).tenants[0], sizeof what.tenant);
    what.epoch = 0;
    ck_assert_int_eq(sl_grant_make(&ca.signer, node.bundle.flock, &what, node.signer.public_key,
                                   key, bad.grant[1]),
                     0);
    expect_refused(&bad, "line 9: the grant has no sense");
    bad = good;
    for (uint32_t e = 2; e <= 3; e++) {
        what.epoch = e;
        ck_assert_int_eq(sl_grant_make(&ca.signer, node.bundle.flock, &what, node.signer.public_key,
                                       key, bad.grant[e]),
                         0);
    }
    bad.n_grants = 4;
    expect_refused(&bad, "line 11: the grant is the third of one tenant");

    uint8_t staging[SL_FLOCK_LEN];
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    sl_flock_id(&crypto, "staging", staging);
    what.epoch = 2;
    bad.n_grants = 3;
    ck_assert_int_eq(
        sl_grant_make(&ca.signer, staging, &what, node.signer.public_key, key, bad.grant[2]), 0);
    expect_refused(&bad, "line 10: the grant is not signed");
}
END_TEST

/* The text of good credentials without their check, with `from` replaced. */
static void put_changed(const struct content *good, const char *from, size_t skip, const char *to)
{
    struct content c = *good;
    uint8_t *at = memmem(c.p, c.len, from, strlen(from)), *check = memmem(c.p, c.len, "check", 5);
    ck_assert(at != NULL && check != NULL);
    size_t head = (size_t)(at - c.p), to_len = strlen(to), tail = head + skip;
    memcpy(c.p + head, to, to_len);
    memcpy(c.p + head + to_len, good->p + tail, (size_t)(check - c.p) - tail);
    put(file, c.p, (size_t)(check - c.p) - skip + to_len);
}

START_TEST(grants_of_another_form_are_refused_with_their_line)
{
    struct sl_credentials made = issue(order()), read;
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    const struct content good = content_of(file);
    put_changed(&good, "grant", 0, "");
    ck_assert_int_eq(sl_credentials_read(file, &read), 0);
    ck_assert_uint_eq(read.grant_line[1], 9);
    put_changed(&good, "grant = ", 10, "grant = "); /* two digits less, in the first of two */
    ck_assert_int_eq(sl_credentials_read(file, &read), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 9: grant stands behind one"));
    put_changed(&good, "key =", 0, "grant = 00\n");
    ck_assert_int_eq(sl_credentials_read(file, &read), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 10: grant is 360 digits, not 2"));
    put_changed(&good, "grant = ", 9, "grant = g");
    ck_assert_int_eq(sl_credentials_read(file, &read), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "line 8: grant has something other"));

    made.n_grants = SL_GRANTS_MAX;
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", true), 0);
    ck_assert_int_eq(sl_credentials_read(file, &read), 0);
    ck_assert_uint_eq(read.n_grants, SL_GRANTS_MAX);
    const struct content most = content_of(file);
    put_changed(&most, "key =", 0, "grant = 00\n");
    ck_assert_int_eq(sl_credentials_read(file, &read), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "is there too often"));
}
END_TEST

START_TEST(no_byte_of_the_list_of_tenants_may_change_and_none_may_miss)
{
    char list[600];
    struct sl_tenant_epoch now;
    struct sl_tenants read;
    struct sl_credentials made;
    snprintf(list, sizeof list, "%s.tenants", place);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, DAY_S, &now), 0);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "bank", NOW_S, 0, &now), 0);
    struct stat st;
    ck_assert_int_eq(stat(list, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    const struct content good = content_of(list);
    for (size_t i = 0; i < good.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct content bad = good;
            bad.p[i] ^= (uint8_t)(1 << bit);
            put(list, bad.p, bad.len);
            int r = sl_tenants_read(place, &read);
            /* Capitals among the digits of the check are the same digits. */
            ck_assert_msg(r == STARLING_EAUTH || (bit == 5 && r == 0), "bit %u at %zu: %d", bit, i,
                          r);
            if (r == 0) {
                ck_assert_uint_eq(read.n, 4);
                sl_tenants_free(&read);
            }
        }
        put(list, good.p, i);
        ck_assert_int_eq(sl_tenants_read(place, &read), STARLING_EAUTH);
    }
    struct sl_ca_order o = order();
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EAUTH);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, 0, &now), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "is damaged"));
    const struct content after = content_of(list);
    ck_assert_uint_eq(after.len, good.len - 1);
}
END_TEST

START_TEST(a_list_of_tenants_is_bounded_and_refuses_what_has_no_key)
{
    struct sl_tenants t;
    struct sl_rotated line;
    struct sl_tenant_epoch now;
    char name[16];
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "default", NOW_S, 0, &now), STARLING_EINVAL);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "a b", NOW_S, 0, &now), STARLING_EINVAL);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "p/", "shop", NOW_S, 0, &now), STARLING_EINVAL);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, -1, &now), STARLING_EINVAL);
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, INT64_MAX, &now),
                     STARLING_EINVAL);
    ck_assert_int_eq(sl_tenants_read(place, &t), 0);
    ck_assert_uint_eq(t.n, 0);
    for (int i = 0; i <= SL_ROTATED_MAX; i++) {
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_int_eq(sl_tenants_raise(&t, "prod", name, NOW_S, NOW_S, &line),
                         i < SL_ROTATED_MAX ? 0 : STARLING_ELIMIT);
    }
    ck_assert_uint_eq(t.n, SL_TENANT_EPOCHS_MAX);
    ck_assert_int_eq(sl_tenants_raise(&t, "prod", "t7", NOW_S, NOW_S, &line), 0);
    ck_assert_int_eq(sl_tenants_write(place, &t), 0);
    sl_tenants_free(&t);
    ck_assert_int_eq(sl_tenants_read(place, &t), 0);
    ck_assert_uint_eq(t.n, SL_TENANT_EPOCHS_MAX);
    sl_tenants_free(&t);
    struct sl_identity user = self_issued(); /* all of it fits on a ring */
    ck_assert_uint_eq(heard(&user, &user, "t7", NOW_S), 3);
    ck_assert_uint_eq(heard(&user, &user, "t127", NOW_S), 2);

    /* Lines that no rotation writes, though their check is right. */
    struct sl_rotated falling[] = {{"prod", "shop", 2, 0}, {"prod", "shop", 1, 0}},
                      third[] = {{"a", "shop", 1, 0}, {"a", "shop", 2, 0}, {"a", "shop", 3, 0}},
                      in_clear[] = {{"prod", "default", 2, 0}};
    const struct sl_tenants bad[] = {{falling, 2}, {third, 3}, {in_clear, 1}};
    for (size_t i = 0; i < SL_COUNT(bad); i++) {
        ck_assert_int_eq(sl_tenants_write(place, &bad[i]), 0);
        ck_assert_int_eq(sl_tenants_read(place, &t), STARLING_EAUTH);
    }
}
END_TEST

START_TEST(credentials_with_all_that_there_can_be_are_written_and_read)
{
    struct sl_ca_order o = order();
    struct sl_tenant_epoch now;
    static char tenant[SL_CERT_TENANTS_MAX][SL_NAME_LEN_MAX + 1];
    char moved[SL_FINGERPRINT_TEXT], long_name[SL_NAME_LEN_MAX + 1];
    memset(long_name, 'n', SL_NAME_LEN_MAX);
    long_name[SL_NAME_LEN_MAX] = '\0';
    for (size_t i = 0; i < SL_CERT_TENANTS_MAX; i++) {
        snprintf(tenant[i], sizeof tenant[i], "%02zu%.61s", i, long_name);
        o.tenants[i] = tenant[i];
        ck_assert_int_eq(sl_ca_rotate_tenant(&ca, long_name, tenant[i], NOW_S, 0, &now), 0);
    }
    o.n_tenants = SL_CERT_TENANTS_MAX;
    o.flock = o.name = long_name;
    for (int i = 1; i < SL_AUTHORITIES_MAX; i++)
        ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, true, SL_CA_ADD, moved), 0);
    struct sl_credentials c = issue(o);
    ck_assert_uint_eq(c.n_grants, SL_GRANTS_MAX);
    ck_assert_int_eq(sl_credentials_write(file, &c, "a title", true), 0);
    struct sl_identity_options with = with_file(file);
    with.flock = long_name;
    struct sl_identity node = load(with);
    ck_assert(sl_keyring_has(&node.keyring, tenant[15]));
    struct sl_ca_shown shown;
    ck_assert_int_eq(sl_ca_look(file, &shown), 0);
    ck_assert_str_eq(shown.grant[31].tenant, tenant[15]);
    ck_assert_uint_eq(shown.grant[31].what.epoch, 2);
    ck_assert(shown.grant[31].sound);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ca_tenants");
    TCase *t = tcase_create("ca_tenants");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_node_has_the_tenants_it_was_given_and_a_self_issued_one_has_all);
    tcase_add_test(t, without_a_tenant_a_certificate_lists_the_one_that_is_in_clear);
    tcase_add_test(t, a_tenant_gets_another_key_and_the_old_one_stays_readable);
    tcase_add_test(t, switched_at_once_what_was_to_be_used_later_is_not_used_at_all);
    tcase_add_test(t, a_key_is_of_one_flock_and_outlives_the_authority_that_signs);
    tcase_add_test(t, no_bit_of_a_grant_may_change);
    tcase_add_test(t, a_grant_is_for_one_node_of_one_flock_and_for_tenants_it_may_have);
    tcase_add_test(t, grants_of_another_form_are_refused_with_their_line);
    tcase_add_test(t, no_byte_of_the_list_of_tenants_may_change_and_none_may_miss);
    tcase_add_test(t, a_list_of_tenants_is_bounded_and_refuses_what_has_no_key);
    tcase_add_test(t, credentials_with_all_that_there_can_be_are_written_and_read);
    suite_add_tcase(s, t);
    return run_suite(s);
}
