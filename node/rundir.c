/* rundir.c: address files, and who owns them.
 * A file is locked by its node for life and written in place with one pwrite of one line, since a
 * rename would put an unlocked file under the name. Readers take a line only with its newline. The
 * lock is an OFD lock: a POSIX lock would be granted twice in one process and dropped by any
 * close. */
#include "node/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "node/files.h"

#define LINE_BYTES_MAX (SL_ADDR_TEXT + STARLING_ID_MAX + 2)
#define SCAN_FILES_MAX 4096 /* looked at in one pass over the directory */
#define CLAIM_TRIES 8
#define SUFFIX ".addr"

int sl_rundir_open(struct sl_rundir *d, const char *runtime_dir, const char *flock)
{
    memset(d, 0, sizeof *d);
    d->fd = -1;
    int len = snprintf(d->path, sizeof d->path, "%s/%s", runtime_dir, flock);
    if (len < 0 || (size_t)len >= sizeof d->path)
        return sl_fail(STARLING_EIO, "the runtime directory's path is too long: %.200s...",
                       runtime_dir);
    int r = sl_dir_make(runtime_dir);
    return r < 0 ? r : sl_dir_make(d->path);
}

/* Two bytes of a file are locked: the owner holds OWNER for life; REMOVER is held for a moment by
 * whoever removes the file of a dead owner, and tried by a new owner once it has its own. So a
 * node that starts is never taken for its own dead predecessor, nor the remover for a live
 * namesake. */
enum { OWNER = 0, REMOVER = 1 };

static bool lock(int fd, off_t byte)
{
    struct flock one = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &one) == 0;
}

static void unlock(int fd, off_t byte)
{
    struct flock one = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    (void)fcntl(fd, F_OFD_SETLK, &one);
}

static bool owned(int fd)
{
    struct flock one = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = OWNER, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &one) != 0 || one.l_type != F_UNLCK;
}

/* The file we hold is still the one under the name. */
static bool same_file(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/* A descriptor that owns the file, EEXIST (its owner lives) or EIO. */
static int claim(const char *path)
{
    for (int i = 0; i < CLAIM_TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
            return sl_fail(STARLING_EIO, "cannot open %s: %s", path, strerror(errno));
        if (!lock(fd, OWNER)) {
            int error = errno;
            (void)close(fd);
            if (error == EAGAIN || error == EACCES)
                return STARLING_EEXIST;
            return sl_fail(STARLING_EIO, "cannot lock %s: %s", path, strerror(error));
        }
        bool removing = !lock(fd, REMOVER);
        if (!removing && same_file(fd, path)) {
            unlock(fd, REMOVER);
            return fd;
        }
        (void)close(fd); /* the file of the last owner, on its way out */
        if (removing)
            (void)usleep(1000);
    }
    return STARLING_EEXIST;
}

int sl_rundir_claim_name(const char *dir, const char *name, const char *id_hex, const char *suffix,
                         char ret_path[SL_PATH_MAX], int *ret_fd)
{
    /* A copy of a node, with its key, has name and prefix in common with it. */
    static const int prefix[] = {0, 8, STARLING_ID_MAX - 1};
    for (size_t i = 0; i < SL_COUNT(prefix); i++) {
        char path[SL_PATH_MAX];
        int len = snprintf(path, sizeof path, "%s/%s%s%.*s%s", dir, name, i > 0 ? "@" : "",
                           prefix[i], id_hex, suffix);
        if (len < 0 || (size_t)len >= sizeof path)
            return sl_fail(STARLING_EIO, "path too long: %.200s...", path);
        int fd = claim(path);
        if (fd >= 0) {
            memcpy(ret_path, path, (size_t)len + 1);
            *ret_fd = fd;
            return 0;
        }
        if (fd != STARLING_EEXIST)
            return fd;
    }
    return sl_fail(STARLING_EIO, "%s/%s%s is held by other live nodes of this name and id", dir,
                   name, suffix);
}

/* Others look again when the directory's time changed, which writing into a file does not do. The
 * clock is finer than the kernel's own stamps, so that two changes in one tick differ. */
static void touch(const char *path)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    if (clock_gettime(CLOCK_REALTIME, &times[1]) == 0)
        (void)utimensat(AT_FDCWD, path, times, 0);
}

int sl_rundir_publish(struct sl_rundir *d, const char *name, const char *id_hex,
                      const struct sl_addr *addr)
{
    if (d->file[0] != '\0' && !same_file(d->fd, d->file))
        sl_rundir_close(d); /* swept away with what is old in /tmp */
    if (d->file[0] == '\0') {
        int r = sl_rundir_claim_name(d->path, name, id_hex, SUFFIX, d->file, &d->fd);
        if (r < 0)
            return r;
    }
    char address[SL_ADDR_TEXT], line[LINE_BYTES_MAX];
    sl_addr_format(address, addr);
    int len = snprintf(line, sizeof line, "%s %s\n", address, id_hex);
    if (pwrite(d->fd, line, (size_t)len, 0) != len || ftruncate(d->fd, len) < 0) {
        int error = errno;
        sl_rundir_close(d);
        return sl_fail(STARLING_EIO, "cannot write an address file in %s: %s", d->path,
                       strerror(error));
    }
    touch(d->path);
    return 0;
}

static bool parse_line(const char *text, size_t len, struct sl_addr *ret)
{
    const char *end = memchr(text, '\n', len);
    const char *space = memchr(text, ' ', len);
    if (end == NULL || space == NULL || space > end)
        return false;
    return sl_addr_parse(ret, text, (size_t)(space - text), 0) == 0 && ret->port != 0 &&
           !sl_addr_is_wildcard(ret);
}

static bool read_address(const char *path, struct sl_addr *ret)
{
    char text[LINE_BYTES_MAX];
    ssize_t len = sl_file_read(path, text, sizeof text);
    return len > 0 && parse_line(text, (size_t)len, ret);
}

/* The next address file but our own; its path into `path`. */
static bool next_file(const struct sl_rundir *d, DIR *dir, int *left, char path[SL_PATH_MAX])
{
    const struct dirent *entry;
    while ((*left)-- > 0 && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        size_t suffix = strlen(SUFFIX);
        if (len <= suffix || strcmp(entry->d_name + len - suffix, SUFFIX) != 0)
            continue;
        int n = snprintf(path, SL_PATH_MAX, "%s/%s", d->path, entry->d_name);
        if (n > 0 && n < SL_PATH_MAX && strcmp(path, d->file) != 0)
            return true;
    }
    return false;
}

void sl_rundir_scan(const struct sl_rundir *d,
                    void (*found)(void *context, const struct sl_addr *addr), void *context)
{
    DIR *dir = opendir(d->path);
    if (dir == NULL)
        return;
    char path[SL_PATH_MAX];
    int left = SCAN_FILES_MAX;
    while (next_file(d, dir, &left, path)) {
        struct sl_addr a;
        if (read_address(path, &a))
            found(context, &a);
    }
    (void)closedir(dir);
}

/* The file at `path`, held against a new owner; -1 when it has an owner or is gone. */
static int hold_dead(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (lock(fd, REMOVER) && !owned(fd) && same_file(fd, path))
        return fd;
    (void)close(fd);
    return -1;
}

/* Remove the socket that the dead owner of this address file left, unless somebody took it over. */
static void remove_socket(const char *addr_path)
{
    char path[SL_PATH_MAX + 8], sock[SL_PATH_MAX + 8];
    int base = (int)(strlen(addr_path) - strlen(SUFFIX));
    (void)snprintf(path, sizeof path, "%.*s.lock", base, addr_path);
    (void)snprintf(sock, sizeof sock, "%.*s.sock", base, addr_path);
    int fd = hold_dead(path);
    if (fd < 0)
        return;
    (void)unlink(sock);
    (void)unlink(path);
    (void)close(fd);
}

static void remove_file(const char *path, const struct sl_addr *addr)
{
    int fd = hold_dead(path);
    if (fd < 0)
        return;
    char text[LINE_BYTES_MAX];
    struct sl_addr now;
    ssize_t len = pread(fd, text, sizeof text, 0);
    if (len > 0 && parse_line(text, (size_t)len, &now) && sl_addr_eq(&now, addr)) {
        remove_socket(path);
        (void)unlink(path);
    }
    (void)close(fd);
}

void sl_rundir_remove_dead(const struct sl_rundir *d, const struct sl_addr *addr)
{
    DIR *dir = opendir(d->path);
    if (dir == NULL)
        return;
    char path[SL_PATH_MAX];
    int left = SCAN_FILES_MAX;
    while (next_file(d, dir, &left, path)) {
        struct sl_addr a;
        if (read_address(path, &a) && sl_addr_eq(&a, addr))
            remove_file(path, addr);
    }
    (void)closedir(dir);
}

void sl_rundir_close(struct sl_rundir *d)
{
    if (d->file[0] == '\0')
        return;
    if (same_file(d->fd, d->file))
        (void)unlink(d->file);
    (void)close(d->fd);
    d->fd = -1;
    d->file[0] = '\0';
}
