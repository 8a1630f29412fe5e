/* authority.c: one authority for all processes of a user, though they start at the same moment and
 * any of them may be killed at any point. There is no lock to be left behind: whoever finds no file
 * makes one whole and tries to link it to the name, and then *everybody, also who succeeded, reads
 * the name again* and uses what is there. A file that is damaged or not ours alone is an error and
 * is never replaced: a second authority would split the user's nodes into two flocks that cannot
 * hear each other. */
#include "node/authority.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/files.h"

#define MAGIC_LEN 16
#define SUM_LEN 16

static const char authority_magic[MAGIC_LEN] = "starling/1 auth";

static int join(char out[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    if (n < 0 || n >= PATH_MAX)
        return sl_fail(STARLING_EIO, "the path %.64s.../%s is too long", dir, name);
    return 0;
}

/* ---- secret files ----------------------------------------------------------------------- */

int sl_secret_read(const char *path, const char magic[16], uint8_t *secret, size_t len)
{
    uint8_t file[SL_SECRET_FILE_MAX], sum[SUM_LEN];
    const size_t body = MAGIC_LEN + len, whole = body + SUM_LEN;
    ssize_t n = sl_file_read_secret(path, file, whole);
    int r = (int)n;
    if (n == STARLING_ELIMIT || n >= 0) {
        r = STARLING_EAUTH;
        if (n == (ssize_t)whole && memcmp(file, magic, MAGIC_LEN) == 0) {
            crypto_generichash(sum, sizeof sum, file, body, NULL, 0);
            if (sodium_memcmp(sum, file + body, sizeof sum) == 0)
                r = 0;
        }
        if (r < 0)
            (void)sl_fail(r,
                          "%s is damaged: put it back from a backup, or stop this user's nodes and "
                          "remove it, and a new one is made",
                          path);
    }
    if (r == 0)
        memcpy(secret, file + MAGIC_LEN, len);
    int reason = errno;
    sodium_memzero(file, sizeof file);
    errno = reason;
    return r;
}

/* Its length. */
static size_t secret_file(uint8_t file[SL_SECRET_FILE_MAX], const char magic[16],
                          const uint8_t *secret, size_t len)
{
    const size_t body = MAGIC_LEN + len;
    memcpy(file, magic, MAGIC_LEN);
    memcpy(file + MAGIC_LEN, secret, len);
    crypto_generichash(file + body, SUM_LEN, file, body, NULL, 0);
    return body + SUM_LEN;
}

int sl_secret_create(const char *path, const char magic[16], const uint8_t *secret, size_t len)
{
    uint8_t file[SL_SECRET_FILE_MAX];
    int r = sl_file_create(path, file, secret_file(file, magic, secret, len), 0600);
    int reason = errno;
    sodium_memzero(file, sizeof file);
    errno = reason;
    return r;
}

int sl_secret_make(const char *path, const char magic[16], const uint8_t *secret, size_t len)
{
    int r = sl_secret_create(path, magic, secret, len);
    return r == STARLING_EEXIST ? 0 : r;
}

int sl_secret_replace(const char *path, const char magic[16], const uint8_t *secret, size_t len)
{
    uint8_t file[SL_SECRET_FILE_MAX];
    int r = sl_file_write(path, file, secret_file(file, magic, secret, len), 0600);
    sodium_memzero(file, sizeof file);
    return r;
}

/* ---- the authority ---------------------------------------------------------------------- */

int sl_authority_read(const char *path, struct sl_authority *ret)
{
    uint8_t secret[64]; /* seed, door */
    int r = sl_secret_read(path, authority_magic, secret, sizeof secret);
    if (r == 0) {
        sl_signer_from_seed(&ret->signer, secret);
        memcpy(ret->door, secret + 32, sizeof ret->door);
        sodium_memzero(secret, sizeof secret);
    }
    return r;
}

int sl_authority_create(const char *path, const uint8_t seed[32], const uint8_t door[32])
{
    uint8_t secret[64];
    memcpy(secret, seed, 32);
    memcpy(secret + 32, door, 32);
    int r = sl_secret_create(path, authority_magic, secret, sizeof secret);
    int reason = errno;
    sodium_memzero(secret, sizeof secret);
    errno = reason;
    return r;
}

int sl_authority_bundle_path(const char *path, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s.bundle", path);
    if (n < 0 || n >= PATH_MAX)
        return sl_fail(STARLING_EIO, "the path %.64s... is too long", path);
    return 0;
}

/* A bundle without its authority is no first use: a new one would be a flock of its own. */
static int check_not_lost(const char *path)
{
    char bundle[PATH_MAX];
    int r = sl_authority_bundle_path(path, bundle);
    if (r == 0 && access(bundle, F_OK) == 0)
        r = sl_fail(STARLING_EAUTH,
                    "%s is gone, and %s says that there was one: put it back from a backup, or "
                    "remove that as well to begin anew",
                    path, bundle);
    return r;
}

/* Read the authority in `dir`, making it where there is none. */
static int obtain(const char *dir, const char *name, char path[PATH_MAX], struct sl_authority *ret)
{
    int r = join(path, dir, name);
    if (r < 0)
        return r;
    r = sl_authority_read(path, ret);
    if (r != STARLING_ENOENT)
        return r;

    r = check_not_lost(path);
    if (r == 0)
        r = sl_dir_make(dir);
    if (r < 0)
        return r;
    uint8_t secret[64];
    sl_entropy(secret, sizeof secret);
    r = sl_authority_create(path, secret, secret + 32);
    int reason = errno;
    sodium_memzero(secret, sizeof secret);
    errno = reason;
    if (r < 0 && r != STARLING_EEXIST)
        return r;
    /* Whatever link(2) said: what is there now is what everybody uses. */
    r = sl_authority_read(path, ret);
    return r == STARLING_ENOENT ? sl_fail(STARLING_EIO, "%s was removed while it was made", path)
                                : r;
}

/* RUNTIME/@authority.id names the authority that the nodes of this user run with, so that two of
 * them (a configuration directory of one's own for each of two programs, say) are a sentence and
 * not a silence. No flock can have a name with '@', so neither file meets a flock's directory. */
static int check_fingerprint(const char *runtime_dir, const char *authority_path,
                             const struct sl_authority *authority)
{
    char path[PATH_MAX], ours[2 * SL_ID_LEN + 1], line[PATH_MAX + 64];
    uint8_t id[SL_ID_LEN];
    int r = sl_dir_make(runtime_dir);
    if (r == 0)
        r = join(path, runtime_dir, "@authority.id");
    if (r < 0)
        return r;
    crypto_generichash(id, sizeof id, authority->signer.public_key, SL_KEY_LEN, NULL, 0);
    sl_hex(ours, id, sizeof id);
    const size_t hex_len = sizeof ours - 1;

    ssize_t n = sl_file_read(path, line, sizeof line - 1);
    if (n == STARLING_ENOENT) {
        int len = snprintf(line, sizeof line, "%s %s\n", ours, authority_path);
        if (len < 0 || (size_t)len >= sizeof line)
            return sl_fail(STARLING_EIO, "the path %.64s... is too long", authority_path);
        r = sl_file_create(path, line, (size_t)len, 0600);
        if (r < 0 && r != STARLING_EEXIST)
            return r;
        n = sl_file_read(path, line, sizeof line - 1);
    }
    if (n < 0 && n != STARLING_ELIMIT)
        return n == STARLING_ENOENT ? STARLING_EIO : (int)n;
    size_t len = n < 0 ? 0 : (size_t)n;
    line[len] = '\0';
    if (len < hex_len + 2 || line[hex_len] != ' ' || line[len - 1] != '\n')
        return sl_fail(STARLING_EAUTH, "%s is damaged: remove it", path);
    if (memcmp(line, ours, hex_len) == 0)
        return 0;
    line[len - 1] = '\0';
    return sl_fail(
        STARLING_EAUTH,
        "two authorities are in use: %s says that nodes here run with %s, and this one has "
        "%s; they would never hear each other. Give all the same configuration directory, or "
        "this one a runtime directory of its own, or remove the former file if those nodes "
        "are gone",
        path, line + hex_len + 1, authority_path);
}

int sl_authority_load(const char *config_dir, const char *runtime_dir, struct sl_authority *ret,
                      char ret_path[PATH_MAX])
{
    struct sl_authority authority;
    char path[PATH_MAX];
    int r = obtain(config_dir, "authority", path, &authority);
    /* A home that is read-only, closed or missing: the runtime directory is ours in any case. Never
     * where a file is there and cannot be used, which is EAUTH. */
    if (r == STARLING_EIO && (errno == EROFS || errno == EACCES || errno == EPERM)) {
        r = sl_dir_make(runtime_dir);
        if (r == 0)
            r = obtain(runtime_dir, "@authority", path, &authority);
    }
    if (r < 0)
        return r;
    r = check_fingerprint(runtime_dir, path, &authority);
    if (r == 0) {
        *ret = authority;
        memcpy(ret_path, path, sizeof path);
    }
    sl_authority_fini(&authority);
    return r;
}

void sl_authority_fini(struct sl_authority *authority)
{
    if (authority != NULL)
        sodium_memzero(authority, sizeof *authority);
}
