/* state.c: who owns the state directory; known peers on disk, so that a flock restarts with every seed gone.
 * A damaged line costs that line alone: the file is a hint, and whom it leads to proves itself. */
#include "node/state.h"

#include <errno.h>
#include <fcntl.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "node/files.h"

#define FILE_BYTES_MAX ((size_t)SL_PEERS_MAX * SL_ADDR_TEXT)
#define PATH_BYTES_MAX 1100

static int peers_path(const char *state_dir, char out[PATH_BYTES_MAX])
{
    int len = snprintf(out, PATH_BYTES_MAX, "%s/peers", state_dir);
    if (len < 0 || len >= PATH_BYTES_MAX)
        return sl_fail(STARLING_EIO, "the path of the state directory is too long");
    return 0;
}

int sl_state_read_peers(const char *state_dir, struct sl_addr *ret_peers, size_t cap)
{
    char path[PATH_BYTES_MAX];
    int r = peers_path(state_dir, path);
    if (r < 0)
        return r;
    char *text = malloc(FILE_BYTES_MAX);
    if (text == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory");

    ssize_t len = sl_file_read(path, text, FILE_BYTES_MAX);
    size_t n = 0;
    for (ssize_t at = 0; at < len && n < cap && n < SL_PEERS_MAX;) {
        const char *line = text + at;
        const char *end = memchr(line, '\n', (size_t)(len - at));
        if (end == NULL) /* cut off in the middle */
            break;
        struct sl_addr a;
        if (sl_addr_parse(&a, line, (size_t)(end - line), 0) == 0 && a.port != 0 &&
            !sl_addr_is_wildcard(&a))
            ret_peers[n++] = a;
        at += end - line + 1;
    }
    free(text);
    if (len < 0 && len != STARLING_ENOENT)
        return sl_fail(STARLING_EIO, "cannot read known peers from %s", path);
    return (int)n;
}

int sl_state_write_peers(const char *state_dir, const struct sl_addr *peers, size_t n)
{
    char path[PATH_BYTES_MAX];
    int r = peers_path(state_dir, path);
    if (r < 0)
        return r;
    char *text = malloc(FILE_BYTES_MAX);
    if (text == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory");

    size_t len = 0;
    for (size_t i = 0; i < n && i < SL_PEERS_MAX; i++) {
        char line[SL_ADDR_TEXT];
        sl_addr_format(line, &peers[i]);
        size_t line_len = strlen(line);
        memcpy(text + len, line, line_len);
        text[len + line_len] = '\n';
        len += line_len + 1;
    }
    r = sl_file_write(path, text, len, 0600);
    free(text);
    return r;
}

int sl_state_make_dir(const char *dir)
{
    return sl_dir_make(dir);
}

/* ---- whose it is ------------------------------------------------------------------------ */

static int lock_as(int fd, short type)
{
    /* Of the open file, not of the process: a POSIX lock would be granted twice in one process. */
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole);
}

/* "process 4711", for whoever finds the lock held. */
static void sign(int fd)
{
    char text[32];
    int len = snprintf(text, sizeof text, "process %ld\n", (long)getpid());
    if (pwrite(fd, text, (size_t)len, 0) ==
        len) /* only words: what cannot be written does no harm */
        (void)!ftruncate(fd, len);
}

static int held(int fd, const char *dir)
{
    char who[32];
    ssize_t len = pread(fd, who, sizeof who - 1, 0);
    who[len > 0 ? len : 0] = '\0';
    who[strcspn(who, "\n")] = '\0';
    return sl_fail(STARLING_EUNAVAIL,
                   "the state directory %s is in use by a running node (%s): give each node one of "
                   "its own, or stop that one first",
                   dir, who[0] != '\0' ? who : "unknown process");
}

int sl_state_lock(const char *dir, int *ret_fd)
{
    char path[PATH_BYTES_MAX];
    int len = snprintf(path, sizeof path, "%s/lock", dir);
    if (len < 0 || (size_t)len >= sizeof path)
        return sl_fail(STARLING_EIO, "the path of the state directory is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return sl_fail(STARLING_EIO, "cannot open %s: %s", path, strerror(errno));
    if (lock_as(fd, F_WRLCK) == 0) {
        sign(fd);
        *ret_fd = fd;
        return 0;
    }
    int r = errno == EAGAIN || errno == EACCES
                ? held(fd, dir)
                : sl_fail(STARLING_EIO, "cannot lock %s: %s", path, strerror(errno));
    (void)close(fd);
    return r;
}

void sl_state_unlock(int fd)
{
    if (fd < 0)
        return;
    (void)lock_as(fd, F_UNLCK);
    (void)close(fd);
}
