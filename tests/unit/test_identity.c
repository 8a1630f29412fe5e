/* test_identity.c: one authority for all, whatever happens; and nothing damaged is ever replaced.
 * Each test has directories of its own under $TMPDIR. */
#include "node/identity.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/credentials.h"
#include "node/files.h"
#include "tests/suite.h"

#define NOW_S 1750000000

static char root[256];
static char config[512], runtime[512], state[512], file[1024];

/* ---- the world -------------------------------------------------------------------------- */

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/starling-identity-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(config, sizeof config, "%s/home/config", root);
    snprintf(runtime, sizeof runtime, "%s/run", root);
    snprintf(state, sizeof state, "%s/state", root);
    snprintf(file, sizeof file, "%s/authority", config);
}

static void teardown(void)
{
    folder_remove(root);
}

static struct sl_identity_options options(void)
{
    return (struct sl_identity_options){.flock = "default",
                                        .name = "n1",
                                        .config_dir = config,
                                        .runtime_dir = runtime,
                                        .wall_s = NOW_S};
}

static struct sl_identity load(struct sl_identity_options o)
{
    struct sl_identity identity;
    int r = sl_identity_load(&o, &identity);
    ck_assert_msg(r == 0, "not loaded: %d, %s", r, sl_fail_text());
    return identity;
}

/* The load fails with EAUTH and a text that has `part` in it. */
static void expect_refusal(struct sl_identity_options o, const char *part)
{
    struct sl_identity identity;
    int r = sl_identity_load(&o, &identity);
    ck_assert_msg(r == STARLING_EAUTH, "%d instead of EAUTH", r);
    ck_assert_msg(strstr(sl_fail_text(), part) != NULL, "'%s' lacks '%s'", sl_fail_text(), part);
}

struct content {
    uint8_t p[4096];
    ssize_t len;
};

static struct content content_of(const char *path)
{
    struct content c;
    memset(&c, 0, sizeof c);
    c.len = sl_file_read(path, c.p, sizeof c.p);
    return c;
}

static bool same(const struct content *a, const struct content *b)
{
    return a->len == b->len && a->len >= 0 && memcmp(a->p, b->p, (size_t)a->len) == 0;
}

static void put_file(const char *path, const void *p, size_t len, mode_t mode)
{
    ck_assert_int_eq(sl_file_write(path, p, len, mode), 0);
}

static unsigned entries(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.' || (e->d_name[1] != '\0' && e->d_name[1] != '.');
    closedir(d);
    return n;
}

static struct sl_cert checked_cert(const struct sl_identity *identity)
{
    struct sl_signer none;
    struct sl_cert cert;
    memset(&none, 0, sizeof none);
    struct sl_crypto crypto = sl_crypto_port(&none);
    ck_assert(sl_cert_check(&crypto, &identity->bundle,
                            sl_span_of(identity->cert, identity->cert_len), &cert));
    return cert;
}

/* ---- first use -------------------------------------------------------------------------- */

START_TEST(first_use_makes_an_authority_of_96_bytes_for_us_alone)
{
    struct stat st;
    (void)load(options());
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(st.st_size, 96);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(st.st_nlink, 1);
    ck_assert_int_eq(stat(config, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    ck_assert_uint_eq(entries(config), 1);
}
END_TEST

START_TEST(the_certificate_is_ours_signed_and_without_limits)
{
    struct sl_identity identity = load(options());
    struct sl_cert cert = checked_cert(&identity);
    ck_assert_mem_eq(cert.key, identity.signer.public_key, SL_KEY_LEN);
    ck_assert_mem_eq(cert.id.b, identity.id.b, SL_ID_LEN);
    ck_assert_str_eq(cert.name, "n1");
    ck_assert_str_eq(identity.name, "n1");
    ck_assert_uint_eq(cert.n_tenants + cert.n_patterns, 0);
    ck_assert(sl_cert_valid_at(&cert, NOW_S - 86400));
    ck_assert(sl_cert_valid_at(&cert, NOW_S + 9 * (int64_t)366 * 86400));
    ck_assert(!identity.lasting);
}
END_TEST

START_TEST(each_load_has_keys_of_its_own_and_the_authority_in_common)
{
    struct sl_identity a = load(options()), b = load(options());
    ck_assert_mem_eq(&a.bundle, &b.bundle, sizeof a.bundle);
    ck_assert_mem_eq(a.door_secret, b.door_secret, 32);
    ck_assert_mem_ne(a.id.b, b.id.b, SL_ID_LEN);
    ck_assert_mem_ne(a.dial_public, b.dial_public, 32);
    ck_assert_mem_ne(a.dial_secret, b.dial_secret, 32);
}
END_TEST

START_TEST(another_flock_has_another_door)
{
    struct sl_identity_options o = options();
    struct sl_identity a = load(o);
    o.flock = "staging";
    struct sl_identity b = load(o);
    ck_assert_mem_eq(a.bundle.authority, b.bundle.authority, sizeof a.bundle.authority);
    ck_assert_mem_ne(a.bundle.flock, b.bundle.flock, SL_FLOCK_LEN);
    ck_assert_mem_ne(a.door_secret, b.door_secret, 32);
    ck_assert_mem_ne(a.bundle.door_public, b.bundle.door_public, 32);
}
END_TEST

/* Computed by another implementation: seed 00..1f, door 40..5f, flock "default". */
START_TEST(the_file_and_what_is_derived_from_it_are_as_specified)
{
    uint8_t golden[96] = "starling/1 auth";
    char hex[65];
    for (size_t i = 0; i < 32; i++) {
        golden[16 + i] = (uint8_t)i;
        golden[48 + i] = (uint8_t)(64 + i);
    }
    ck_assert(sl_unhex(golden + 80, 16, "ffca460dca4b6518dc17f35bf42c69f4", 32));
    ck_assert_int_eq(sl_dir_make(config), 0);
    put_file(file, golden, sizeof golden, 0600);
    struct sl_identity identity = load(options());
    sl_hex(hex, identity.bundle.authority[0], 32);
    ck_assert_str_eq(hex, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    sl_hex(hex, identity.door_secret, 32);
    ck_assert_str_eq(hex, "a69cd898916b5c3c941f6ec3ca770882ea305c168bc0f2f64bb758230887f9a8");
    sl_hex(hex, identity.bundle.door_public, 32);
    ck_assert_str_eq(hex, "3961093e9457ac6b257ec66b69b5338bcd56da2d78151e930b2f17f2a489ba68");
}
END_TEST

/* A process that waits for a byte of `go`, loads, and writes the authority's key to `out`. */
static pid_t racer(int go, int out)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid != 0)
        return pid;
    char c;
    struct sl_identity_options o = options();
    struct sl_identity identity;
    while (read(go, &c, 1) < 0 && errno == EINTR)
        ;
    int r = sl_identity_load(&o, &identity);
    if (r == 0 && write(out, identity.bundle.authority[0], SL_KEY_LEN) != SL_KEY_LEN)
        r = -1;
    _exit(r == 0 ? 0 : 1);
}

#define RACERS 50

/* Start them all at once; the first `n_killed` are killed at some point. Every key that comes out
 * is the one in `key`, if that is set, and sets it, if it is not. The number of processes that
 * failed. */
static unsigned race(unsigned n_killed, unsigned *seed, uint8_t key[SL_KEY_LEN], bool *known)
{
    int go[2], out[2];
    pid_t pids[RACERS];
    unsigned failed = 0;
    ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    for (size_t i = 0; i < RACERS; i++)
        pids[i] = racer(go[0], out[1]);
    close(out[1]);
    uint8_t shots[RACERS] = {0};
    ck_assert_int_eq(write(go[1], shots, sizeof shots), (ssize_t)sizeof shots);
    for (unsigned i = 0; i < n_killed; i++) {
        for (volatile int spin = rand_r(seed) % 20000; spin > 0; spin--)
            ;
        kill(pids[i], SIGKILL);
    }
    for (size_t i = 0; i < RACERS; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        failed += WIFEXITED(status) && WEXITSTATUS(status) != 0;
    }
    uint8_t one[SL_KEY_LEN];
    while (read(out[0], one, sizeof one) == (ssize_t)sizeof one) {
        if (!*known)
            memcpy(key, one, sizeof one);
        *known = true;
        ck_assert_mem_eq(one, key, sizeof one);
    }
    close(out[0]);
    close(go[0]);
    close(go[1]);
    return failed;
}

START_TEST(fifty_processes_that_start_at_once_agree_on_one_authority)
{
    unsigned seed = (unsigned)_i;
    uint8_t key[SL_KEY_LEN];
    bool known = false;
    ck_assert_uint_eq(race(0, &seed, key, &known), 0);
    ck_assert(known);
    struct sl_identity later = load(options());
    ck_assert_mem_eq(later.bundle.authority[0], key, SL_KEY_LEN);
    ck_assert_uint_eq(entries(config), 1);
}
END_TEST

START_TEST(processes_killed_in_the_middle_leave_nothing_that_disturbs_the_others)
{
    unsigned seed = (unsigned)_i * 7919 + 1;
    uint8_t key[SL_KEY_LEN];
    bool known = false;
    ck_assert_uint_eq(race(25, &seed, key, &known), 0);
    ck_assert_uint_eq(race(RACERS, &seed, key, &known), 0);
    struct sl_identity later = load(options());
    if (known)
        ck_assert_mem_eq(later.bundle.authority[0], key, SL_KEY_LEN);
    ck_assert_uint_eq(race(0, &seed, key, &known), 0);
    ck_assert_mem_eq(later.bundle.authority[0], key, SL_KEY_LEN);
}
END_TEST

/* ---- what is refused -------------------------------------------------------------------- */

START_TEST(a_damaged_authority_is_an_error_and_stays_as_it_is)
{
    (void)load(options());
    struct content good = content_of(file);
    ck_assert_int_eq(good.len, 96);
    for (size_t i = 0; i < 96; i++) {
        struct content bad = good;
        bad.p[i] ^= 0x10;
        put_file(file, bad.p, 96, 0600);
        expect_refusal(options(), file);
        struct content after = content_of(file);
        ck_assert(same(&after, &bad));
    }
    static const size_t lengths[] = {0, 1, 95};
    for (size_t i = 0; i < SL_COUNT(lengths); i++) {
        put_file(file, good.p, lengths[i], 0600);
        expect_refusal(options(), "damaged");
    }
    good.p[96] = 0;
    put_file(file, good.p, 97, 0600);
    expect_refusal(options(), "damaged");
    ck_assert_int_eq(content_of(file).len, 97);
}
END_TEST

START_TEST(a_symbolic_link_is_not_followed)
{
    char other[PATH_MAX];
    (void)load(options());
    snprintf(other, sizeof other, "%s/elsewhere", root);
    ck_assert_int_eq(rename(file, other), 0);
    ck_assert_int_eq(symlink(other, file), 0);
    expect_refusal(options(), "symbolic link");
    ck_assert_int_eq(unlink(other), 0); /* dangling: still not a place to make one */
    expect_refusal(options(), "symbolic link");
    ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

START_TEST(an_authority_that_others_can_read_is_refused)
{
    static const mode_t modes[] = {0604, 0640, 0620, 0602, 0644, 0666};
    (void)load(options());
    struct content before = content_of(file);
    for (size_t i = 0; i < SL_COUNT(modes); i++) {
        ck_assert_int_eq(chmod(file, modes[i]), 0);
        expect_refusal(options(), "open to others");
    }
    struct content after = content_of(file);
    ck_assert(same(&after, &before));
}
END_TEST

START_TEST(what_is_no_file_is_refused_without_waiting_for_it)
{
    ck_assert_int_eq(sl_dir_make(config), 0);
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    expect_refusal(options(), "not an ordinary file");
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(mkdir(file, 0700), 0);
    expect_refusal(options(), "not an ordinary file");
}
END_TEST

/* As root only: nobody else can give files away. */
START_TEST(a_file_or_directory_of_somebody_else_is_refused)
{
    if (geteuid() != 0)
        return;
    (void)load(options());
    struct content before = content_of(file);
    ck_assert_int_eq(chown(file, 12345, 12345), 0);
    expect_refusal(options(), "belongs to user 12345");
    struct content after = content_of(file);
    ck_assert(same(&after, &before));

    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(chown(config, 12345, 12345), 0); /* root with somebody else's HOME */
    expect_refusal(options(), "belongs to user 12345");
    ck_assert_int_eq(access(file, F_OK), -1);
}
END_TEST

START_TEST(a_directory_that_others_may_write_to_gets_no_authority)
{
    ck_assert_int_eq(sl_dir_make(config), 0);
    ck_assert_int_eq(chmod(config, 0777), 0);
    expect_refusal(options(), "may write");
    ck_assert_int_eq(access(file, F_OK), -1);
}
END_TEST

/* In a child that is nobody: for root no directory is closed. */
START_TEST(where_the_configuration_directory_cannot_be_written_the_runtime_directory_serves)
{
    char there[PATH_MAX], home[PATH_MAX];
    snprintf(home, sizeof home, "%s/home", root);
    snprintf(there, sizeof there, "%s/@authority", runtime);
    ck_assert_int_eq(mkdir(home, 0555), 0);
    ck_assert_int_eq(chmod(root, 0777), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sl_identity_options o = options();
        struct sl_identity a, b;
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        _exit(sl_identity_load(&o, &a) != 0 || sl_identity_load(&o, &b) != 0 ||
              memcmp(&a.bundle, &b.bundle, sizeof a.bundle) != 0 || access(there, R_OK) < 0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(two_authorities_for_one_user_are_a_sentence_that_names_both)
{
    char other[512], theirs[PATH_MAX];
    struct sl_identity_options o = options();
    (void)load(o);
    snprintf(other, sizeof other, "%s/other", root);
    snprintf(theirs, sizeof theirs, "%s/authority", other);
    o.config_dir = other;
    expect_refusal(o, "two authorities");
    expect_refusal(o, file);
    expect_refusal(o, theirs);
    (void)load(options());
    o.runtime_dir = state; /* one of its own is fine */
    (void)load(o);
}
END_TEST

START_TEST(a_refused_load_leaves_the_output_alone)
{
    struct sl_identity identity, before;
    struct sl_identity_options o = options();
    memset(&identity, 0x5a, sizeof identity);
    before = identity;
    ck_assert_int_eq(sl_dir_make(config), 0);
    put_file(file, "x", 1, 0600);
    ck_assert_int_eq(sl_identity_load(&o, &identity), STARLING_EAUTH);
    ck_assert_mem_eq(&identity, &before, sizeof before);
}
END_TEST

/* ---- the node's key --------------------------------------------------------------------- */

START_TEST(with_a_state_directory_the_node_keeps_its_key)
{
    struct sl_identity_options o = options();
    struct stat st;
    char key[PATH_MAX];
    o.state_dir = state;
    struct sl_identity a = load(o), b = load(o);
    ck_assert_mem_eq(a.id.b, b.id.b, SL_ID_LEN);
    ck_assert_mem_ne(a.dial_secret, b.dial_secret, 32);
    ck_assert(a.lasting && b.lasting);
    snprintf(key, sizeof key, "%s/node.key", state);
    ck_assert_int_eq(stat(key, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(entries(state), 1);
}
END_TEST

START_TEST(a_damaged_node_key_is_an_error_and_stays)
{
    struct sl_identity_options o = options();
    char key[PATH_MAX];
    o.state_dir = state;
    (void)load(o);
    snprintf(key, sizeof key, "%s/node.key", state);
    struct content bad = content_of(key);
    bad.p[20] ^= 1;
    put_file(key, bad.p, (size_t)bad.len, 0600);
    expect_refusal(o, key);
    struct content after = content_of(key);
    ck_assert(same(&after, &bad));
}
END_TEST

START_TEST(the_authoritys_file_is_no_node_key)
{
    struct sl_identity_options o = options();
    char key[PATH_MAX];
    (void)load(o);
    struct content authority = content_of(file);
    ck_assert_int_eq(sl_dir_make(state), 0);
    snprintf(key, sizeof key, "%s/node.key", state);
    put_file(key, authority.p, (size_t)authority.len, 0600);
    o.state_dir = state;
    expect_refusal(o, "damaged");
}
END_TEST

/* ---- credentials ------------------------------------------------------------------------ */

/* The parts of a good credentials file for node "n7" in `flock`, as hexadecimal. */
struct paper {
    char authority[65], door[65], key[65], cert[2 * SL_CERT_MAX + 1];
};

static struct paper issue_paper(const char *flock, int64_t not_before, int64_t not_after)
{
    struct paper p;
    struct sl_signer ca, node;
    struct sl_cert cert;
    uint8_t seed[32], door[32], bytes[SL_CERT_MAX], text[SL_CERT_MAX + 64];
    ck_assert_int_eq(sl_crypto_setup(), 0);
    sl_entropy(door, sizeof door);
    sl_entropy(seed, sizeof seed);
    sl_signer_from_seed(&ca, seed);
    sl_entropy(seed, sizeof seed);
    sl_signer_from_seed(&node, seed);
    struct sl_crypto crypto = sl_crypto_port(&ca);
    memset(&cert, 0, sizeof cert);
    const struct sl_span part = sl_span_of(ca.public_key, SL_KEY_LEN);
    crypto.hash(crypto.context, cert.issuer, sizeof cert.issuer, NULL, 0, &part, 1);
    sl_flock_id(&crypto, flock, cert.flock);
    memcpy(cert.key, node.public_key, SL_KEY_LEN);
    cert.not_before = not_before;
    cert.not_after = not_after;
    memcpy(cert.name, "n7", 3);
    cert.n_patterns = 2;
    memcpy(cert.patterns[0], "payments", 9);
    memcpy(cert.patterns[1], "api-*", 6);
    size_t len = sl_cert_encode(&cert, bytes, sizeof bytes - SL_SIG_LEN);
    size_t text_len = sl_cert_signed_text(sl_span_of(bytes, len), text, sizeof text);
    crypto.sign(crypto.context, bytes + len, text, text_len);
    sl_hex(p.authority, ca.public_key, 32);
    sl_hex(p.door, door, 32);
    sl_hex(p.key, node.seed, 32);
    sl_hex(p.cert, bytes, len + SL_SIG_LEN);
    return p;
}

static struct sl_identity_options with_file(const char *text)
{
    static char path[PATH_MAX];
    struct sl_identity_options o = options();
    snprintf(path, sizeof path, "%s/n7.credentials", root);
    put_file(path, text, strlen(text), 0600);
    o.credentials = path;
    return o;
}

static struct sl_identity_options with_paper(const struct paper *p)
{
    char text[4096];
    snprintf(text, sizeof text,
             "# of node n7\nauthority = %s\ndoor = %s\ncertificate = %s\nkey = %s\n", p->authority,
             p->door, p->cert, p->key);
    return with_file(text);
}

START_TEST(credentials_need_no_authority_on_this_host)
{
    struct paper p = issue_paper("default", NOW_S - 10, NOW_S + 1000000);
    struct sl_identity identity = load(with_paper(&p));
    struct sl_cert cert = checked_cert(&identity);
    char hex[65];
    ck_assert_str_eq(identity.name, "n7");
    ck_assert_uint_eq(cert.n_patterns, 2);
    ck_assert(identity.lasting);
    sl_hex(hex, identity.signer.seed, 32);
    ck_assert_str_eq(hex, p.key);
    ck_assert_int_eq(access(file, F_OK), -1);
}
END_TEST

START_TEST(a_certificate_may_be_spread_over_lines_and_authorities_may_be_several)
{
    struct paper p = issue_paper("default", NOW_S, NOW_S + 1000),
                 other = issue_paper("default", 0, 1);
    char text[4096];
    snprintf(text, sizeof text,
             "key = %s\r\nauthority = %s\r\nauthority = %s\r\ncertificate = %.60s\r\n  "
             "%.100s\r\n\t%s\r\n"
             "door=%s",
             p.key, other.authority, p.authority, p.cert, p.cert + 60, p.cert + 160, p.door);
    struct sl_identity identity = load(with_file(text));
    ck_assert_uint_eq(identity.bundle.n_authorities, 2);
    ck_assert_str_eq(identity.name, "n7");
}
END_TEST

START_TEST(what_is_wrong_with_credentials_is_said_with_file_and_line)
{
    struct paper p = issue_paper("default", NOW_S, NOW_S + 1000);
    char text[4096];
    snprintf(text, sizeof text, "authority = %s\ndoor = %s\nbell = 1\n", p.authority, p.door);
    expect_refusal(with_file(text), "n7.credentials, line 3: the key");
    snprintf(text, sizeof text, "\n\ncertificate = %s\nkey = zz\n", p.cert);
    expect_refusal(with_file(text), "n7.credentials, line 4: key has something other");
    snprintf(text, sizeof text, "[node]\nkey = %s\n", p.key);
    expect_refusal(with_file(text), "line 2: a [section]");
    snprintf(text, sizeof text, "door = %s\ndoor = %s\ndoor = %s\n", p.door, p.door, p.door);
    expect_refusal(with_file(text), "line 3: door is too long");
    snprintf(text, sizeof text, "authority = %s\ndoor = %s\nkey = %s\n", p.authority, p.door,
             p.key);
    expect_refusal(with_file(text), "no line 'certificate");
    snprintf(text, sizeof text, "authority = %s\ndoor = %.62s\ncertificate = %s\nkey = %s\n",
             p.authority, p.door, p.cert, p.key);
    expect_refusal(with_file(text), "line 2: door is 64 digits, not 62");
    expect_refusal(with_file("nonsense\n"), "not 'key = value'");
    expect_refusal(with_file(""), "no line 'authority");
    static char long_text[SL_CREDENTIALS_FILE_MAX + 2];
    memset(long_text, '#', sizeof long_text - 1);
    expect_refusal(with_file(long_text), "longer than");
    struct sl_identity_options o = options();
    o.credentials = "/nonexistent/n7.credentials";
    expect_refusal(o, "/nonexistent/n7.credentials");
}
END_TEST

START_TEST(credentials_that_do_not_belong_together_are_refused)
{
    struct paper p = issue_paper("default", NOW_S, NOW_S + 1000),
                 q = issue_paper("default", NOW_S, NOW_S + 9);
    struct paper mixed = p;
    memcpy(mixed.authority, q.authority, sizeof mixed.authority);
    expect_refusal(with_paper(&mixed), "not signed by an authority");
    mixed = p;
    memcpy(mixed.key, q.key, sizeof mixed.key);
    expect_refusal(with_paper(&mixed), "the key is not the one");
    mixed = p;
    mixed.cert[0] = '7';
    expect_refusal(with_paper(&mixed), "damaged");
    mixed = issue_paper("staging", NOW_S, NOW_S + 1000);
    expect_refusal(with_paper(&mixed), "another flock than 'default'");
    mixed = issue_paper("default", NOW_S - 100000, NOW_S - 86401);
    expect_refusal(with_paper(&mixed), "has expired");
    mixed = issue_paper("default", NOW_S + 1000, NOW_S + 10000);
    expect_refusal(with_paper(&mixed), "not valid yet");
}
END_TEST

START_TEST(credentials_open_to_others_are_refused_but_a_link_to_them_is_fine)
{
    char link_path[PATH_MAX];
    struct paper p = issue_paper("default", NOW_S, NOW_S + 1000);
    struct sl_identity_options o = with_paper(&p);
    ck_assert_int_eq(chmod(o.credentials, 0644), 0);
    expect_refusal(o, "open to others");
    /* how a cluster mounts a secret: root's, readable by its group, behind a link */
    ck_assert_int_eq(chmod(o.credentials, 0440), 0);
    if (geteuid() == 0)
        (void)load(o);
    else
        expect_refusal(o, "open to others");
    ck_assert_int_eq(chmod(o.credentials, 0600), 0);
    snprintf(link_path, sizeof link_path, "%s/link", root);
    ck_assert_int_eq(symlink(o.credentials, link_path), 0);
    o.credentials = link_path;
    (void)load(o);
}
END_TEST

/* ---- small files ------------------------------------------------------------------------ */

START_TEST(a_file_is_replaced_whole_and_created_only_once)
{
    char path[PATH_MAX];
    ck_assert_int_eq(sl_dir_make(state), 0);
    snprintf(path, sizeof path, "%s/f", state);
    ck_assert_int_eq(sl_file_create(path, "one", 3, 0644), 0);
    ck_assert_int_eq(sl_file_create(path, "two", 3, 0644), STARLING_EEXIST);
    struct content c = content_of(path);
    ck_assert(c.len == 3 && memcmp(c.p, "one", 3) == 0);
    ck_assert_int_eq(sl_file_write(path, "three", 5, 0600), 0);
    c = content_of(path);
    ck_assert(c.len == 5 && memcmp(c.p, "three", 5) == 0);
    ck_assert_uint_eq(entries(state), 1);
    ck_assert_int_eq(sl_file_read(path, c.p, 4), STARLING_ELIMIT);
    ck_assert_int_eq(sl_file_read(path, c.p, 5), 5);
    snprintf(path, sizeof path, "%s/none/f", state);
    ck_assert_int_eq(sl_file_read(path, c.p, 5), STARLING_ENOENT);
    ck_assert_int_eq(sl_file_write(path, "x", 1, 0600), STARLING_EIO);
    ck_assert_int_eq(sl_file_create(path, "x", 1, 0600), STARLING_EIO);
}
END_TEST

START_TEST(a_directory_is_made_with_its_parents_and_taken_only_if_it_is_ours)
{
    char path[PATH_MAX], deep[PATH_MAX];
    struct stat st;
    snprintf(deep, sizeof deep, "%s/a/b//c/", root);
    ck_assert_int_eq(sl_dir_make(deep), 0);
    ck_assert_int_eq(sl_dir_make(deep), 0);
    ck_assert_int_eq(stat(deep, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    snprintf(path, sizeof path, "%s/link", root);
    ck_assert_int_eq(symlink(deep, path), 0);
    ck_assert_int_eq(sl_dir_make(path), STARLING_EAUTH);
    snprintf(path, sizeof path, "%s/link/", root);
    ck_assert_int_eq(sl_dir_make(path), STARLING_EAUTH);
    snprintf(path, sizeof path, "%s/f", root);
    put_file(path, "x", 1, 0600);
    ck_assert_int_eq(sl_dir_make(path), STARLING_EAUTH);
    snprintf(path, sizeof path, "%s/f/g", root);
    ck_assert_int_eq(sl_dir_make(path), STARLING_EIO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("identity");
    TCase *t = tcase_create("identity");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, first_use_makes_an_authority_of_96_bytes_for_us_alone);
    tcase_add_test(t, the_certificate_is_ours_signed_and_without_limits);
    tcase_add_test(t, each_load_has_keys_of_its_own_and_the_authority_in_common);
    tcase_add_test(t, another_flock_has_another_door);
    tcase_add_test(t, the_file_and_what_is_derived_from_it_are_as_specified);
    tcase_add_loop_test(t, fifty_processes_that_start_at_once_agree_on_one_authority, 0, 8);
    tcase_add_loop_test(t, processes_killed_in_the_middle_leave_nothing_that_disturbs_the_others, 0,
                        8);
    tcase_add_test(t, a_damaged_authority_is_an_error_and_stays_as_it_is);
    tcase_add_test(t, a_symbolic_link_is_not_followed);
    tcase_add_test(t, an_authority_that_others_can_read_is_refused);
    tcase_add_test(t, what_is_no_file_is_refused_without_waiting_for_it);
    tcase_add_test(t, a_file_or_directory_of_somebody_else_is_refused);
    tcase_add_test(t, a_directory_that_others_may_write_to_gets_no_authority);
    tcase_add_test(
        t, where_the_configuration_directory_cannot_be_written_the_runtime_directory_serves);
    tcase_add_test(t, two_authorities_for_one_user_are_a_sentence_that_names_both);
    tcase_add_test(t, a_refused_load_leaves_the_output_alone);
    tcase_add_test(t, with_a_state_directory_the_node_keeps_its_key);
    tcase_add_test(t, a_damaged_node_key_is_an_error_and_stays);
    tcase_add_test(t, the_authoritys_file_is_no_node_key);
    tcase_add_test(t, credentials_need_no_authority_on_this_host);
    tcase_add_test(t, a_certificate_may_be_spread_over_lines_and_authorities_may_be_several);
    tcase_add_test(t, what_is_wrong_with_credentials_is_said_with_file_and_line);
    tcase_add_test(t, credentials_that_do_not_belong_together_are_refused);
    tcase_add_test(t, credentials_open_to_others_are_refused_but_a_link_to_them_is_fine);
    tcase_add_test(t, a_file_is_replaced_whole_and_created_only_once);
    tcase_add_test(t, a_directory_is_made_with_its_parents_and_taken_only_if_it_is_ours);
    suite_add_tcase(s, t);
    return run_suite(s);
}
