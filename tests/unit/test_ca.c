/* test_ca.c: what `starling ca` writes is read again as it was, or not at all; a rotation never skips
 * a step; a list of revoked certificates says what was signed. */
#include "node/ca.h"

#include <check.h>
#include <starling.h>
#include <sys/wait.h>

#include "node/files.h"
#include "tests/suite.h"
#include "tests/unit/ca_help.h"

/* ---- authority -------------------------------------------------------------------------- */

START_TEST(an_authority_is_made_once_and_never_again)
{
    struct sl_ca again, other;
    struct content before = content_of(place);
    ck_assert_uint_eq(before.len, 96);
    ck_assert_int_eq(sl_ca_make(place, false, &other), STARLING_EEXIST);
    struct content after = content_of(place);
    ck_assert_mem_eq(before.p, after.p, 96);
    ck_assert_int_eq(sl_ca_open(place, &again), 0);
    ck_assert_mem_eq(&again, &ca, sizeof ca);
    struct stat st;
    ck_assert_int_eq(stat(place, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(the_file_is_the_one_that_nodes_of_one_user_make_themselves)
{
    char run[512];
    struct sl_identity identity;
    snprintf(run, sizeof run, "%s/run", root);
    const struct sl_identity_options o = {
        .flock = "prod", .name = "n1", .config_dir = root, .runtime_dir = run, .wall_s = NOW_S};
    ck_assert_int_eq(sl_identity_load(&o, &identity), 0);
    ck_assert_mem_eq(identity.bundle.authority[0], ca.bundle.authority[0], SL_KEY_LEN);
}
END_TEST

START_TEST(no_bit_of_an_authority_may_change_and_no_byte_may_miss)
{
    struct content good = content_of(place);
    struct sl_ca opened;
    struct sl_ca_shown shown;
    for (size_t i = 0; i < good.len; i++) {
        struct content bad = good;
        bad.p[i] ^= (uint8_t)(1 << i % 8);
        put(place, bad.p, bad.len);
        ck_assert_int_eq(sl_ca_open(place, &opened), STARLING_EAUTH);
        ck_assert_int_eq(sl_ca_look(place, &shown), STARLING_EAUTH);
        put(place, good.p, i);
        ck_assert_int_eq(sl_ca_open(place, &opened), STARLING_EAUTH);
    }
}
END_TEST

START_TEST(an_authority_that_is_lost_is_not_made_anew_beside_its_bundle)
{
    char moved[SL_FINGERPRINT_TEXT], run[512];
    struct sl_identity identity;
    struct sl_ca other;
    snprintf(run, sizeof run, "%s/run", root);
    const struct sl_identity_options o = {
        .flock = "prod", .name = "n1", .config_dir = root, .runtime_dir = run, .wall_s = NOW_S};
    ck_assert_int_eq(sl_ca_rotate(&ca, true, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(unlink(place), 0);
    ck_assert_int_eq(sl_identity_load(&o, &identity), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "is gone"));
    ck_assert_int_eq(sl_ca_make(place, false, &other), STARLING_EEXIST);
    ck_assert_int_ne(access(place, F_OK), 0);
}
END_TEST

/* ---- credentials ------------------------------------------------------------------------ */

START_TEST(what_is_issued_is_what_was_asked_for_and_a_node_starts_with_it)
{
    struct sl_credentials made = issue(order()), read;
    struct sl_cert cert = decoded(&made);
    struct sl_identity identity;
    ck_assert_str_eq(cert.name, "n7");
    ck_assert_uint_eq(cert.n_tenants, 2);
    ck_assert_str_eq(cert.patterns[0], "api-*");
    ck_assert_str_eq(cert.patterns[1], "users");
    ck_assert_int_eq(cert.not_after, NOW_S + 30 * DAY_S);
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    ck_assert_int_eq(sl_credentials_read(file, &read), 0);
    ck_assert(same(&made, &read));
    struct sl_identity_options o = with_file(file);
    ck_assert_int_eq(sl_identity_load(&o, &identity), 0);
    ck_assert_mem_eq(identity.id.b, cert.id.b, SL_ID_LEN);
    ck_assert(!identity.bundle.two_doors);
    struct stat st;
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), STARLING_EEXIST);
}
END_TEST

/* As full as they get. */
static struct sl_credentials full(void)
{
    char moved[SL_FINGERPRINT_TEXT];
    struct sl_ca_order o = order();
    static char tenant[8][24];
    o.n_tenants = 8;
    for (size_t i = 0; i < o.n_tenants; i++) {
        snprintf(tenant[i], sizeof tenant[i], "t%zu", i);
        o.tenants[i] = tenant[i];
    }
    for (int i = 1; i < SL_AUTHORITIES_MAX; i++)
        ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, true, SL_CA_ADD, moved), 0);
    return issue(o);
}

START_TEST(four_authorities_two_doors_and_many_tenants_are_read_as_they_were_written)
{
    struct sl_credentials made = full(), read;
    ck_assert_uint_eq(made.n_authorities, 4);
    ck_assert_uint_eq(made.n_doors, 2);
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    ck_assert_int_eq(sl_credentials_read(file, &read), 0);
    ck_assert(same(&made, &read));
    struct sl_identity identity;
    struct sl_identity_options o = with_file(file);
    ck_assert_int_eq(sl_identity_load(&o, &identity), 0);
    ck_assert(identity.bundle.two_doors);
    ck_assert_mem_ne(identity.bundle.door_public, identity.bundle.second_door_public, SL_KEY_LEN);
}
END_TEST

/* Read, refused or the same: nothing else comes of damage. What a comment says is nobody's loss. */
static void expect_no_other(const struct sl_credentials *good, const char *what, size_t at)
{
    struct sl_credentials read;
    struct sl_ca_shown shown;
    int r = sl_credentials_read(file, &read);
    ck_assert_msg(r == STARLING_EAUTH || (r == 0 && same(good, &read)), "%s at %zu: %d", what, at,
                  r);
    if (sl_ca_look(file, &shown) == 0) {
        ck_assert_int_eq(shown.kind, SL_CA_CREDENTIALS);
        ck_assert(shown.sound);
        sl_ca_shown_fini(&shown);
    }
}

START_TEST(no_byte_of_credentials_may_change_and_none_may_miss)
{
    struct sl_credentials made = full();
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    struct content good = content_of(file);
    size_t n_read = 0;
    for (size_t i = 0; i < good.len; i++) {
        struct content bad = good;
        for (unsigned bit = 0; bit < 8; bit++) {
            struct sl_credentials read;
            bad.p[i] = (uint8_t)(good.p[i] ^ 1 << bit);
            put(file, bad.p, bad.len);
            expect_no_other(&made, "flipped bit", i);
            n_read += sl_credentials_read(file, &read) == 0;
        }
        put(file, good.p, i);
        expect_no_other(&made, "truncation", i);
    }
    /* The check itself made a comment, or its digits' capitals: no more than that. */
    ck_assert_uint_le(n_read, 64);
}
END_TEST

START_TEST(the_check_covers_the_names_for_people_too)
{
    struct sl_credentials made = issue(order()), read;
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    struct content c = content_of(file);
    uint8_t *name = memmem(c.p, c.len, "flock = prod", 12);
    ck_assert_ptr_nonnull(name);
    memcpy(name, "flock = test", 12);
    put(file, c.p, c.len);
    ck_assert_int_eq(sl_credentials_read(file, &read), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "changed by hand"));
}
END_TEST

START_TEST(a_node_keeps_its_key_when_credentials_are_made_for_it)
{
    struct sl_credentials made = issue(order());
    struct sl_ca_order o = order();
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    o.key_file = file;
    struct sl_credentials second = issue(o);
    struct sl_cert a = decoded(&made), b = decoded(&second);
    ck_assert_mem_eq(a.id.b, b.id.b, SL_ID_LEN);
    ck_assert_mem_ne(a.serial, b.serial, sizeof a.serial);

    char run[512], state[512], key[600];
    struct sl_identity identity;
    snprintf(run, sizeof run, "%s/run", root);
    snprintf(state, sizeof state, "%s/state", root);
    const struct sl_identity_options self = {.flock = "prod",
                                             .name = "n7",
                                             .config_dir = root,
                                             .runtime_dir = run,
                                             .state_dir = state,
                                             .wall_s = NOW_S};
    ck_assert_int_eq(sl_identity_load(&self, &identity), 0);
    snprintf(key, sizeof key, "%s/node.key", state);
    o.key_file = key;
    struct sl_credentials third = issue(o);
    ck_assert_mem_eq(decoded(&third).id.b, identity.id.b, SL_ID_LEN);
    o.key_file = place; /* an authority's seed must not become a node's key */
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &second), STARLING_EAUTH);
}
END_TEST

START_TEST(what_cannot_be_certified_is_refused_with_a_reason)
{
    struct sl_credentials made;
    struct sl_ca_order o = order();
    o.patterns[0] = "API";
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    o = order();
    o.flock = "Prod";
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    o = order();
    o.name = "";
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    o = order();
    o.tenants[1] = "a b";
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    o = order();
    o.not_after = o.not_before;
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    o = order();
    o.n_patterns = SL_CERT_PATTERNS_MAX;
    for (size_t i = 0; i < o.n_patterns; i++)
        o.patterns[i] = "a-long-pattern-of-sixty-three-characters-which-is-the-most-there.";
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    for (size_t i = 0; i < o.n_patterns; i++)
        o.patterns[i] = "a-pattern-of-forty-eight-characters-and-no-more*";
    ck_assert_int_eq(sl_ca_issue(&ca, &o, &made), STARLING_EINVAL);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "640 bytes"));
}
END_TEST

START_TEST(a_certificate_ends_in_thirds)
{
    const struct sl_identity identity = {.not_before = 1000, .not_after = 4000};
    ck_assert_int_eq(sl_identity_life(&identity, 1000), SL_LIFE_GOOD);
    ck_assert_int_eq(sl_identity_life(&identity, 2999), SL_LIFE_GOOD);
    ck_assert_int_eq(sl_identity_life(&identity, 3000), SL_LIFE_ENDING);
    ck_assert_int_eq(sl_identity_life(&identity, 4000), SL_LIFE_ENDING);
    ck_assert_int_eq(sl_identity_life(&identity, 4001), SL_LIFE_ENDED);
    ck_assert_int_eq(sl_identity_life(&identity, 4000 + 86400), SL_LIFE_ENDED);
    ck_assert_int_eq(sl_identity_life(&identity, 4001 + 86400), SL_LIFE_OVER);
    const struct sl_identity for_ever = {.not_before = 0, .not_after = INT64_MAX};
    ck_assert_int_eq(sl_identity_life(&for_ever, NOW_S), SL_LIFE_GOOD);
    char text[SL_TIME_TEXT];
    sl_time_text(NOW_S, text);
    ck_assert_str_eq(text, "2025-06-15T15:06:40Z");
    sl_time_text(INT64_MAX, text);
    ck_assert_str_eq(text, "never");
}
END_TEST

/* ---- rotation --------------------------------------------------------------------------- */

static bool starts(const struct sl_credentials *c)
{
    struct sl_identity identity;
    struct sl_identity_options o = with_file(file);
    ck_assert_int_eq(sl_credentials_write(file, c, "a title", true), 0);
    return sl_identity_load(&o, &identity) == 0;
}

START_TEST(an_authority_goes_in_three_steps_and_the_node_stays_who_it_is)
{
    char added[SL_FINGERPRINT_TEXT], moved[SL_FINGERPRINT_TEXT];
    struct sl_credentials c = issue(order());
    const struct sl_cert first = decoded(&c);
    const struct sl_ca before = ca;
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, added), 0);
    ck_assert_mem_eq(ca.signer.seed, before.signer.seed, 32);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S, 0, &c), 0);
    ck_assert_uint_eq(c.n_authorities, 2);
    ck_assert(starts(&c));

    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_SWAP, moved), 0);
    ck_assert_str_eq(moved, added);
    ck_assert_mem_ne(ca.signer.seed, before.signer.seed, 32);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S, 0, &c), 0);
    ck_assert(starts(&c));

    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_RETIRE, moved), 0);
    ck_assert_str_ne(moved, added);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S + 5, 2 * DAY_S, &c), 0);
    ck_assert_uint_eq(c.n_authorities, 1);
    ck_assert(starts(&c));
    const struct sl_cert last = decoded(&c);
    ck_assert_mem_eq(first.id.b, last.id.b, SL_ID_LEN);
    ck_assert_mem_ne(first.issuer, last.issuer, sizeof first.issuer);
    ck_assert_mem_eq(first.tenants, last.tenants, sizeof first.tenants);
    ck_assert_int_eq(last.not_before, NOW_S + 5);
    ck_assert_int_eq(last.not_after, NOW_S + 5 + 2 * DAY_S);
    struct sl_ca again;
    ck_assert_int_eq(sl_ca_open(place, &again), 0);
    ck_assert_mem_eq(&again, &ca, sizeof ca);
}
END_TEST

START_TEST(steps_that_are_not_there_are_refused_and_change_nothing)
{
    char moved[SL_FINGERPRINT_TEXT];
    for (int door = 0; door < 2; door++) {
        ck_assert_int_eq(sl_ca_rotate(&ca, door, SL_CA_SWAP, moved), STARLING_EINVAL);
        ck_assert_int_eq(sl_ca_rotate(&ca, door, SL_CA_RETIRE, moved), STARLING_EINVAL);
        for (int i = 1; i < (door ? SL_DOORS_MAX : SL_AUTHORITIES_MAX); i++)
            ck_assert_int_eq(sl_ca_rotate(&ca, door, SL_CA_ADD, moved), 0);
        const struct sl_ca before = ca;
        ck_assert_int_eq(sl_ca_rotate(&ca, door, SL_CA_ADD, moved), STARLING_EINVAL);
        ck_assert_mem_eq(&before, &ca, sizeof ca);
    }
}
END_TEST

START_TEST(a_node_that_issues_itself_a_certificate_goes_along_with_a_rotation)
{
    char moved[SL_FINGERPRINT_TEXT], run[512];
    struct sl_identity identity;
    snprintf(run, sizeof run, "%s/run", root);
    const struct sl_identity_options o = {
        .flock = "prod", .name = "n1", .config_dir = root, .runtime_dir = run, .wall_s = NOW_S};
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_SWAP, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, true, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_identity_load(&o, &identity), 0);
    ck_assert_uint_eq(identity.bundle.n_authorities, 2);
    ck_assert(identity.bundle.two_doors);
    ck_assert_mem_eq(identity.bundle.authority[0], ca.signer.public_key, SL_KEY_LEN);
}
END_TEST

/* What a node that runs, and was started with `held`, says of the file. */
static void expect_kept(const struct sl_credentials *c, const struct sl_identity *held,
                        int64_t wall_s, const char *part)
{
    struct sl_identity next;
    struct sl_identity_options o = with_file(file);
    o.held = held;
    o.wall_s = wall_s;
    ck_assert_int_eq(sl_credentials_write(file, c, "a title", true), 0);
    ck_assert_int_eq(sl_identity_load(&o, &next), STARLING_EAUTH);
    ck_assert_msg(strstr(sl_fail_text(), part) != NULL, "'%s' lacks '%s'", sl_fail_text(), part);
}

START_TEST(a_node_that_runs_takes_what_is_newer_and_remains_who_it_is)
{
    char moved[SL_FINGERPRINT_TEXT];
    struct sl_credentials c = issue(order()), old = c;
    struct sl_identity_options o = with_file(file);
    struct sl_identity held, next;
    ck_assert_int_eq(sl_credentials_write(file, &c, "a title", true), 0);
    ck_assert_int_eq(sl_identity_load(&o, &held), 0);
    o.held = &held;
    ck_assert_int_eq(sl_identity_load(&o, &next), 0);
    ck_assert(sl_identity_same(&next, &held));

    ck_assert_int_eq(sl_ca_rotate(&ca, true, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_renew(&ca, NOW_S + 5, 2 * DAY_S, &c), 0);
    ck_assert_int_eq(sl_credentials_write(file, &c, "a title", true), 0);
    o.wall_s = NOW_S + 5;
    ck_assert_int_eq(sl_identity_load(&o, &next), 0);
    ck_assert(!sl_identity_same(&next, &held) && next.bundle.two_doors);
    ck_assert(sl_id_eq(&next.id, &held.id));
    ck_assert_mem_eq(next.dial_public, held.dial_public, SL_KEY_LEN); /* it is in the record */
    ck_assert_int_eq(next.not_after, NOW_S + 5 + 2 * DAY_S);

    expect_kept(&old, &next, NOW_S + 5, "is older than the one in use");
    expect_kept(&c, &held, NOW_S + 5 + 2 * DAY_S + 601, "has expired");
    struct sl_credentials other = issue(order()); /* with a key of its own */
    expect_kept(&other, &held, NOW_S, "start the node anew to become another node");
    struct sl_ca_order renamed = order();
    ck_assert_int_eq(sl_credentials_write(file, &c, "a title", true), 0);
    renamed.name = "n8";
    renamed.key_file = file;
    other = issue(renamed);
    expect_kept(&other, &held, NOW_S, "the name is 'n8' now");
}
END_TEST

START_TEST(one_that_issues_itself_a_certificate_keeps_it_until_its_user_rotates)
{
    char moved[SL_FINGERPRINT_TEXT], run[512];
    struct sl_identity held, next;
    snprintf(run, sizeof run, "%s/run", root);
    struct sl_identity_options o = {
        .flock = "prod", .name = "n1", .config_dir = root, .runtime_dir = run, .wall_s = NOW_S};
    ck_assert_int_eq(sl_identity_load(&o, &held), 0);
    o.held = &held;
    ck_assert_int_eq(sl_identity_load(&o, &next), 0);
    ck_assert(sl_identity_same(&next, &held));
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_SWAP, moved), 0);
    ck_assert_int_eq(sl_identity_load(&o, &next), 0);
    ck_assert(!sl_identity_same(&next, &held) && sl_id_eq(&next.id, &held.id));
    ck_assert_mem_eq(next.bundle.authority[0], ca.signer.public_key, SL_KEY_LEN);
    ck_assert_mem_eq(next.dial_public, held.dial_public, SL_KEY_LEN);

    struct sl_tenant_epoch raised; /* of a tenant: the certificate is the one it has */
    held = next;
    ck_assert_int_eq(sl_ca_rotate_tenant(&ca, "prod", "shop", NOW_S, 0, &raised), 0);
    ck_assert_int_eq(sl_identity_load(&o, &next), 0);
    ck_assert(!sl_identity_same(&next, &held));
    ck_assert_mem_eq(next.cert, held.cert, held.cert_len);
}
END_TEST

START_TEST(without_the_secret_of_who_signs_nothing_is_signed)
{
    char moved[SL_FINGERPRINT_TEXT], added[1024], bundle[600];
    struct sl_ca opened;
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_SWAP, moved), 0);
    snprintf(added, sizeof added, "%s.%s", place, moved);
    struct content first = content_of(place);
    put(added, first.p, first.len);
    ck_assert_int_eq(sl_ca_open(place, &opened), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "another authority than its name says"));
    ck_assert_int_eq(unlink(added), 0);
    ck_assert_int_eq(sl_ca_open(place, &opened), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "is not there"));

    snprintf(bundle, sizeof bundle, "%s.bundle", place);
    ck_assert_int_eq(chmod(bundle, 0640), 0);
    ck_assert_int_eq(sl_ca_open(place, &opened), STARLING_EAUTH);
    ck_assert_ptr_nonnull(strstr(sl_fail_text(), "open to others"));
}
END_TEST

/* ---- looking ---------------------------------------------------------------------------- */

static struct sl_ca_shown look(const char *path)
{
    struct sl_ca_shown shown;
    int r = sl_ca_look(path, &shown);
    ck_assert_msg(r == 0, "%d, %s", r, sl_fail_text());
    return shown;
}

START_TEST(a_file_says_what_it_is_and_keeps_its_secrets)
{
    struct sl_credentials made = full();
    const uint8_t nothing[32] = {0};
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    struct sl_ca_shown shown = look(file);
    ck_assert_int_eq(shown.kind, SL_CA_CREDENTIALS);
    ck_assert(shown.sound);
    ck_assert_uint_eq(shown.issuer, 0);
    ck_assert_str_eq(shown.tenant[7], "t7");
    ck_assert_mem_eq(shown.held.seed, nothing, 32);
    ck_assert_mem_eq(shown.held.door[1], nothing, 32);
    ck_assert_ptr_null(memmem(&shown, sizeof shown, made.seed, 32));
    ck_assert_ptr_null(memmem(&shown, sizeof shown, made.door[0], 32));
    sl_ca_shown_fini(&shown);

    shown = look(place);
    ck_assert_int_eq(shown.kind, SL_CA_AUTHORITY);
    ck_assert_uint_eq(shown.held.n_authorities, 4);
    sl_ca_shown_fini(&shown);
    char path[600];
    snprintf(path, sizeof path, "%s.bundle", place);
    shown = look(path);
    ck_assert_int_eq(shown.kind, SL_CA_BUNDLE);
    sl_ca_shown_fini(&shown);
    put(path, "nonsense\n", 9);
    ck_assert_int_eq(sl_ca_look(path, &shown), STARLING_EAUTH);
}
END_TEST

START_TEST(credentials_that_no_node_would_take_are_shown_as_such)
{
    struct sl_credentials made = issue(order());
    made.seed[0] ^= 1;
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", false), 0);
    struct sl_ca_shown shown = look(file);
    ck_assert(!shown.sound);
    sl_ca_shown_fini(&shown);
    made.seed[0] ^= 1;
    made.authority[0][0] ^= 1;
    ck_assert_int_eq(sl_credentials_write(file, &made, "a title", true), 0);
    shown = look(file);
    ck_assert(!shown.sound);
    ck_assert_uint_eq(shown.issuer, SL_AUTHORITIES_MAX);
    sl_ca_shown_fini(&shown);
}
END_TEST

/* ---- revocation ------------------------------------------------------------------------- */

static struct sl_revocation revocation(uint8_t number)
{
    struct sl_revocation r = {.at = NOW_S, .until = NOW_S + DAY_S, .reason = SL_REVOKED_GONE};
    r.id.b[0] = r.serial[15] = number;
    return r;
}

START_TEST(a_list_grows_and_each_entry_is_signed)
{
    char path[600], moved[SL_FINGERPRINT_TEXT];
    struct sl_revoked list;
    struct sl_revocation a = revocation(1), b = revocation(2), read;
    const struct sl_ca first = ca;
    const struct sl_crypto crypto = sl_crypto_port(&ca.signer);
    snprintf(path, sizeof path, "%s.revoked", place);
    ck_assert_int_eq(sl_ca_revoke(&ca, &a), 0);
    ck_assert_int_eq(sl_ca_revoke(&ca, &a), STARLING_EEXIST);
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_SWAP, moved), 0);
    ck_assert_int_eq(sl_ca_revoke(&ca, &b), 0);
    ck_assert_int_eq(sl_revoked_file_read(path, &list), 0);
    ck_assert_uint_eq(list.n, 2);
    ck_assert(sl_revocation_read(list.entries[1], &read));
    ck_assert_mem_eq(read.id.b, b.id.b, SL_ID_LEN);
    ck_assert_int_eq(read.until, b.until);
    ck_assert_int_eq(read.reason, SL_REVOKED_GONE);
    ck_assert(sl_revocation_verify(&crypto, list.entries[0], first.signer.public_key));
    ck_assert(!sl_revocation_verify(&crypto, list.entries[1], first.signer.public_key));
    ck_assert(sl_revocation_verify(&crypto, list.entries[1], ca.signer.public_key));
    for (size_t i = 0; i < SL_REVOCATION_LEN; i++) {
        list.entries[0][i] ^= 1;
        ck_assert(!sl_revocation_verify(&crypto, list.entries[0], first.signer.public_key));
        list.entries[0][i] ^= 1;
    }
    sl_revoked_free(&list, &sl_alloc_system);
}
END_TEST

START_TEST(a_set_is_the_same_in_whatever_order_it_was_told)
{
    struct sl_revoked there = {.n = 0}, back = {.n = 0};
    const struct sl_crypto crypto = sl_crypto_port(&ca.signer);
    uint8_t entry[40][SL_REVOCATION_LEN];
    struct sl_revocation r;
    for (uint8_t i = 0; i < 40; i++) {
        r = revocation((uint8_t)(i * 7 + 1));
        sl_revocation_sign(&crypto, ca.signer.public_key, &r, entry[i]);
    }
    for (size_t i = 0; i < 40; i++) {
        ck_assert_int_eq(sl_revoked_insert(&there, &sl_alloc_system, &crypto, entry[i]), 0);
        ck_assert_int_eq(sl_revoked_insert(&back, &sl_alloc_system, &crypto, entry[39 - i]), 0);
        ck_assert_int_eq(sl_revoked_insert(&there, &sl_alloc_system, &crypto, entry[i]),
                         STARLING_EEXIST);
    }
    ck_assert_uint_eq(there.root, back.root);
    ck_assert_mem_eq(there.entries, back.entries, there.n * SL_REVOCATION_LEN);
    ck_assert(sl_revoked_holds(&there, &r.id, r.serial));
    ck_assert(!sl_revoked_holds(&there, &r.id, NULL)); /* this certificate, not its key */
    r.serial[0] ^= 1;
    ck_assert(!sl_revoked_holds(&there, &r.id, r.serial));
    memset(r.serial, 0, sizeof r.serial);
    sl_revocation_sign(&crypto, ca.signer.public_key, &r, entry[0]);
    ck_assert_int_eq(sl_revoked_insert(&there, &sl_alloc_system, &crypto, entry[0]), 0);
    r.serial[0] ^= 1;
    ck_assert(sl_revoked_holds(&there, &r.id, r.serial)); /* any */
    ck_assert(sl_revoked_holds(&there, &r.id, NULL));
    sl_revoked_free(&there, &sl_alloc_system);
    sl_revoked_free(&back, &sl_alloc_system);
}
END_TEST

START_TEST(no_bit_of_a_list_may_change_and_no_byte_may_miss)
{
    char path[600];
    struct sl_revoked list;
    struct sl_revocation a = revocation(1);
    snprintf(path, sizeof path, "%s.revoked", place);
    ck_assert_int_eq(sl_ca_revoke(&ca, &a), 0);
    struct content good = content_of(path);
    for (size_t i = 0; i < good.len; i++) {
        struct content bad = good;
        bad.p[i] ^= (uint8_t)(1 << i % 8);
        put(path, bad.p, bad.len);
        ck_assert_int_eq(sl_revoked_file_read(path, &list), STARLING_EAUTH);
        put(path, good.p, i);
        ck_assert_int_eq(sl_revoked_file_read(path, &list), STARLING_EAUTH);
    }
    ck_assert_int_eq(sl_ca_revoke(&ca, &a),
                     STARLING_EAUTH); /* a damaged list is not written over */
    struct content now = content_of(path);
    ck_assert_uint_eq(now.len, good.len - 1);
}
END_TEST

/* Twenty processes at once, each with one. */
START_TEST(of_many_who_revoke_at_once_none_undoes_another)
{
    char path[600];
    struct sl_revoked list;
    pid_t child[20];
    for (uint8_t i = 0; i < SL_COUNT(child); i++) {
        child[i] = fork();
        ck_assert_int_ge(child[i], 0);
        if (child[i] == 0) {
            struct sl_revocation r = revocation(i);
            _exit(sl_ca_revoke(&ca, &r) == 0 ? 0 : 1);
        }
    }
    for (size_t i = 0; i < SL_COUNT(child); i++) {
        int status;
        ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
        ck_assert_int_eq(status, 0);
    }
    snprintf(path, sizeof path, "%s.revoked", place);
    ck_assert_int_eq(sl_revoked_file_read(path, &list), 0);
    ck_assert_uint_eq(list.n, SL_COUNT(child));
    sl_revoked_free(&list, &sl_alloc_system);
}
END_TEST

START_TEST(a_rotation_begins_with_what_another_left)
{
    char moved[SL_FINGERPRINT_TEXT];
    struct sl_ca stale = ca;
    ck_assert_int_eq(sl_ca_rotate(&ca, false, SL_CA_ADD, moved), 0);
    ck_assert_int_eq(sl_ca_rotate(&stale, true, SL_CA_ADD, moved), 0);
    ck_assert_uint_eq(stale.bundle.n_authorities, 2);
    ck_assert_uint_eq(stale.bundle.n_doors, 2);
}
END_TEST

START_TEST(a_list_is_bounded)
{
    struct sl_revoked list = {.n = SL_REVOKED_MAX, .cap = SL_REVOKED_MAX};
    struct sl_revocation r = revocation(0);
    uint8_t entry[SL_REVOCATION_LEN];
    const struct sl_crypto crypto = sl_crypto_port(&ca.signer);
    list.entries = calloc(SL_REVOKED_MAX, sizeof *list.entries);
    ck_assert_ptr_nonnull(list.entries);
    memset(list.entries, 0xee, SL_REVOKED_MAX * sizeof *list.entries);
    sl_revocation_sign(&crypto, ca.signer.public_key, &r, entry);
    ck_assert_int_eq(sl_revoked_insert(&list, &sl_alloc_system, &crypto, entry), STARLING_ELIMIT);
    sl_revoked_free(&list, &sl_alloc_system);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ca");
    TCase *t = tcase_create("ca");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_authority_is_made_once_and_never_again);
    tcase_add_test(t, the_file_is_the_one_that_nodes_of_one_user_make_themselves);
    tcase_add_test(t, no_bit_of_an_authority_may_change_and_no_byte_may_miss);
    tcase_add_test(t, an_authority_that_is_lost_is_not_made_anew_beside_its_bundle);
    tcase_add_test(t, what_is_issued_is_what_was_asked_for_and_a_node_starts_with_it);
    tcase_add_test(t, four_authorities_two_doors_and_many_tenants_are_read_as_they_were_written);
    tcase_add_test(t, no_byte_of_credentials_may_change_and_none_may_miss);
    tcase_add_test(t, the_check_covers_the_names_for_people_too);
    tcase_add_test(t, a_node_keeps_its_key_when_credentials_are_made_for_it);
    tcase_add_test(t, what_cannot_be_certified_is_refused_with_a_reason);
    tcase_add_test(t, a_certificate_ends_in_thirds);
    tcase_add_test(t, an_authority_goes_in_three_steps_and_the_node_stays_who_it_is);
    tcase_add_test(t, steps_that_are_not_there_are_refused_and_change_nothing);
    tcase_add_test(t, a_node_that_issues_itself_a_certificate_goes_along_with_a_rotation);
    tcase_add_test(t, a_node_that_runs_takes_what_is_newer_and_remains_who_it_is);
    tcase_add_test(t, one_that_issues_itself_a_certificate_keeps_it_until_its_user_rotates);
    tcase_add_test(t, without_the_secret_of_who_signs_nothing_is_signed);
    tcase_add_test(t, a_file_says_what_it_is_and_keeps_its_secrets);
    tcase_add_test(t, credentials_that_no_node_would_take_are_shown_as_such);
    tcase_add_test(t, a_list_grows_and_each_entry_is_signed);
    tcase_add_test(t, a_set_is_the_same_in_whatever_order_it_was_told);
    tcase_add_test(t, no_bit_of_a_list_may_change_and_no_byte_may_miss);
    tcase_add_test(t, of_many_who_revoke_at_once_none_undoes_another);
    tcase_add_test(t, a_rotation_begins_with_what_another_left);
    tcase_add_test(t, a_list_is_bounded);
    suite_add_tcase(s, t);
    return run_suite(s);
}
