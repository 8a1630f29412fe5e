/* ca_help.h: an authority in a directory of its own, what it issues, and files changed by hand. */
#ifndef SL_TESTS_CA_HELP_H
#define SL_TESTS_CA_HELP_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/ca.h"
#include "node/files.h"
#include "tests/suite.h"

#define NOW_S 1750000000
#define DAY_S 86400

static char root[256], place[512], file[512];
static struct sl_ca ca;

static inline void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/starling-ca-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(place, sizeof place, "%s/authority", root);
    snprintf(file, sizeof file, "%s/n7.credentials", root);
    ck_assert_int_eq(sl_ca_make(place, false, &ca), 0);
}

static inline void teardown(void)
{
    folder_remove(root);
}

static inline struct sl_ca_order order(void)
{
    return (struct sl_ca_order){.flock = "prod",
                                .name = "n7",
                                .tenants = {"shop", "bank"},
                                .n_tenants = 2,
                                .patterns = {"api-*", "users"},
                                .n_patterns = 2,
                                .not_before = NOW_S,
                                .not_after = NOW_S + 30 * DAY_S};
}

static inline struct sl_credentials issue(struct sl_ca_order o)
{
    struct sl_credentials made;
    int r = sl_ca_issue(&ca, &o, &made);
    ck_assert_msg(r == 0, "not issued: %d, %s", r, sl_fail_text());
    return made;
}

static inline struct sl_cert decoded(const struct sl_credentials *c)
{
    struct sl_signer none;
    struct sl_cert cert;
    memset(&none, 0, sizeof none);
    const struct sl_crypto crypto = sl_crypto_port(&none);
    ck_assert(sl_cert_decode(&crypto, sl_span_of(c->cert, c->cert_len), &cert));
    return cert;
}

/* But for the lines where grants are, which only who has read a file knows. */
static inline bool same(const struct sl_credentials *a, const struct sl_credentials *b)
{
    struct sl_credentials one = *a, other = *b;
    memset(one.grant_line, 0, sizeof one.grant_line);
    memset(other.grant_line, 0, sizeof other.grant_line);
    return memcmp(&one, &other, sizeof one) == 0; /* both were cleared before they were filled in */
}

static inline struct sl_identity_options with_file(const char *path)
{
    return (struct sl_identity_options){
        .flock = "prod", .name = "n7", .credentials = path, .wall_s = NOW_S};
}

struct content {
    uint8_t p[SL_CREDENTIALS_FILE_MAX];
    size_t len;
};

static inline struct content content_of(const char *path)
{
    struct content c;
    ssize_t n = sl_file_read(path, c.p, sizeof c.p);
    ck_assert_int_gt(n, 0);
    c.len = (size_t)n;
    return c;
}

/* A new file each time and no fsync(2): the disk would be most of the time of ten thousand. */
static inline void put(const char *path, const void *p, size_t len)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
    ck_assert_int_eq(close(fd), 0);
}

#endif
