/* files.c: read and write small files so that neither a crash nor another process is ever seen half
 * way. A file is completed under a name nobody looks at and gets its own in one step: rename(2)
 * where it replaces, link(2) where it must not. Checks are made on the open descriptor, never on a
 * path that somebody can exchange in between. */
#include "node/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <starling.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/crypto.h"

/* "cannot VERB PATH: reason", with errno left standing. */
static int fail_io(const char *verb, const char *path)
{
    int reason = errno;
    (void)sl_fail(STARLING_EIO, "cannot %s %s: %s", verb, path, strerror(reason));
    errno = reason;
    return STARLING_EIO;
}

/* ---- reading ---------------------------------------------------------------------------- */

enum care { PLAIN, SECRET, GIVEN };

/* Who may own a secret and who may read it, as `care` says. */
static int check_secret(const char *path, const struct stat *st, enum care care)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return sl_fail(STARLING_EAUTH,
                       "%s belongs to user %u, and this process runs as user %u: it must belong to "
                       "the one who uses it",
                       path, (unsigned)st->st_uid, (unsigned)geteuid());
    /* PostgreSQL draws the same line for its server key: 0600, or 0640 when it is root's. */
    mode_t closed =
        care == GIVEN && st->st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if ((st->st_mode & closed) != 0)
        return sl_fail(
            STARLING_EAUTH,
            "%s holds secrets and is open to others (mode %03o): if nobody can have read "
            "it, chmod 600 it; otherwise make new ones",
            path, (unsigned)(st->st_mode & 0777));
    return 0;
}

static int open_error(const char *path, enum care care)
{
    int reason = errno;
    struct stat st;
    if (reason == ENOENT) {
        (void)sl_fail(STARLING_ENOENT, "there is no file %s", path);
        errno = reason;
        return STARLING_ENOENT;
    }
    if (care != PLAIN && reason == ELOOP)
        return sl_fail(STARLING_EAUTH, "%s is a symbolic link: a secret must be a file of its own",
                       path);
    /* Its name can be seen but not its content: it is somebody else's. (Where not even the name can
     * be, the directory is closed, which says nothing about the file.) */
    if (care != PLAIN && reason == EACCES && lstat(path, &st) == 0)
        return sl_fail(STARLING_EAUTH, "%s belongs to user %u and cannot be read by user %u", path,
                       (unsigned)st.st_uid, (unsigned)geteuid());
    errno = reason;
    return fail_io("read", path);
}

/* Read to the end; one byte more than cap tells that the file is longer. */
static ssize_t read_whole(int fd, const char *path, uint8_t *buffer, size_t cap)
{
    size_t len = 0;
    for (;;) {
        uint8_t more;
        ssize_t n = len < cap ? read(fd, buffer + len, cap - len) : read(fd, &more, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_io("read", path);
        if (n == 0)
            return (ssize_t)len;
        if (len == cap)
            return sl_fail(STARLING_ELIMIT, "%s is longer than %zu bytes", path, cap);
        len += (size_t)n;
    }
}

static ssize_t read_file(const char *path, uint8_t *buffer, size_t cap, enum care care)
{
    /* O_NONBLOCK: opening a FIFO for reading would wait for somebody who writes. */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (care == GIVEN ? 0 : O_NOFOLLOW);
    int fd = open(path, flags);
    if (fd < 0)
        return open_error(path, care);

    ssize_t r;
    struct stat st;
    if (fstat(fd, &st) < 0)
        r = fail_io("read", path);
    else if (!S_ISREG(st.st_mode))
        r = sl_fail(care == PLAIN ? STARLING_EIO : STARLING_EAUTH, "%s is not an ordinary file",
                    path);
    else
        r = care == PLAIN ? 0 : check_secret(path, &st, care);
    if (r == 0)
        r = read_whole(fd, path, buffer, cap);
    int reason = errno;
    close(fd);
    errno = reason;
    return r;
}

ssize_t sl_file_read(const char *path, void *buffer, size_t cap)
{
    return read_file(path, buffer, cap, PLAIN);
}

ssize_t sl_file_read_secret(const char *path, void *buffer, size_t cap)
{
    return read_file(path, buffer, cap, SECRET);
}

ssize_t sl_file_read_given(const char *path, void *buffer, size_t cap)
{
    return read_file(path, buffer, cap, GIVEN);
}

/* ---- writing ---------------------------------------------------------------------------- */

/* The directory of `path` into out, "." where it names none. */
static int dir_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    if (len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return fail_io("write", path);
    }
    memcpy(out, slash == NULL ? "." : path, len);
    out[len] = '\0';
    return 0;
}

/* A name that nobody else has, next to `path`. */
static int temporary_name(const char *path, char out[PATH_MAX])
{
    uint8_t chance[8];
    char hex[2 * sizeof chance + 1];
    sl_entropy(chance, sizeof chance);
    sl_hex(hex, chance, sizeof chance);
    const char *slash = strrchr(path, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - path) + 1;
    int n = snprintf(out, PATH_MAX, "%.*s.%s.%s", dir_len, path, path + dir_len, hex);
    if (n < 0 || n >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return fail_io("write", path);
    }
    return 0;
}

static bool write_whole(int fd, const uint8_t *p, size_t len, mode_t mode)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    /* The mode explicitly, since open() gave it through the umask; the content to the disk before
     * it has a name, or a power cut leaves an empty file that nobody dares to replace. */
    return fchmod(fd, mode) == 0 && fsync(fd) == 0;
}

/* So that the name, too, survives a power cut. Best effort: some file systems refuse it. */
static void sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* Write a new file under `name`; nothing is left of it on failure. */
static int write_named(const char *name, const void *p, size_t len, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_io("write", name);
    int r = write_whole(fd, p, len, mode) ? 0 : fail_io("write", name);
    int reason = errno;
    if (close(fd) < 0 && r == 0)
        r = fail_io("write", name);
    else
        errno = reason;
    if (r < 0) {
        reason = errno;
        (void)unlink(name);
        errno = reason;
    }
    return r;
}

int sl_file_write(const char *path, const void *p, size_t len, mode_t mode)
{
    char dir[PATH_MAX], name[PATH_MAX];
    if (dir_of(path, dir) < 0 || temporary_name(path, name) < 0 ||
        write_named(name, p, len, mode) < 0)
        return STARLING_EIO;
    if (rename(name, path) < 0) {
        int r = fail_io("write", path), reason = errno;
        (void)unlink(name);
        errno = reason;
        return r;
    }
    sync_dir(dir);
    return 0;
}

/* link(2) never replaces, whoever else tries: that is the whole lock. */
static int give_name(int r, const char *path)
{
    if (r == 0)
        return 0;
    if (errno == EEXIST)
        return sl_fail(STARLING_EEXIST, "%s is there already", path);
    return fail_io("make", path);
}

/* By a file without a name, of which nothing remains when the process is killed. False when the
 * system has no such thing (a file system without O_TMPFILE, no /proc). */
static bool create_unnamed(const char *dir, const char *path, const void *p, size_t len,
                           mode_t mode, int *ret)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    char self[32];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    bool done = true;
    if (!write_whole(fd, p, len, mode)) {
        *ret = fail_io("write", path);
    } else {
        int r = linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
        if (r < 0 && errno != EEXIST)
            done =
                false; /* the named way finds out whether this was about /proc or about the place */
        else
            *ret = give_name(r, path);
    }
    int reason = errno;
    close(fd);
    errno = reason;
    return done;
}

int sl_file_create(const char *path, const void *p, size_t len, mode_t mode)
{
    char dir[PATH_MAX], name[PATH_MAX];
    int r;
    if (dir_of(path, dir) < 0 || temporary_name(path, name) < 0)
        return STARLING_EIO;
    if (!create_unnamed(dir, path, p, len, mode, &r)) {
        r = write_named(name, p, len, mode);
        if (r < 0)
            return r;
        r = give_name(link(name, path), path);
        int reason = errno;
        (void)unlink(name);
        errno = reason;
    }
    if (r == 0)
        sync_dir(dir);
    return r;
}

/* ---- directories ------------------------------------------------------------------------ */

static int check_dir(const char *path)
{
    struct stat st;
    /* lstat: in /tmp anybody could have put a link where our directory should be. */
    if (lstat(path, &st) < 0)
        return fail_io("use", path);
    if (!S_ISDIR(st.st_mode))
        return sl_fail(STARLING_EAUTH, "%s is %s, not a directory", path,
                       S_ISLNK(st.st_mode) ? "a symbolic link" : "a file");
    if (st.st_uid != geteuid())
        return sl_fail(STARLING_EAUTH,
                       "directory %s belongs to user %u, and this process runs as user %u: name "
                       "another one",
                       path, (unsigned)st.st_uid, (unsigned)geteuid());
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return sl_fail(STARLING_EAUTH, "others may write to directory %s (mode %03o): chmod 700 it",
                       path, (unsigned)(st.st_mode & 0777));
    return 0;
}

/* It is there, now or already. */
static bool make_one(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    /* Some file systems refuse before they look (a mount on demand, one that is read-only). */
    int reason = errno;
    struct stat st;
    bool there = stat(path, &st) == 0;
    errno = reason;
    return there;
}

int sl_dir_make(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') /* a slash at the end would make lstat follow a link */
        len--;
    if (len == 0 || len >= sizeof part) {
        errno = len == 0 ? ENOENT : ENAMETOOLONG;
        return fail_io("make directory", path);
    }
    memcpy(part, path, len);
    part[len] = '\0';
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        if (!make_one(part))
            return fail_io("make directory", part);
        part[i] = '/';
    }
    if (!make_one(part))
        return fail_io("make directory", part);
    return check_dir(part);
}
