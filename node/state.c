/* state.c: known peers on disk, so that a flock restarts with every seed gone.
 * A damaged line costs that line alone: the file is a hint, and whom it leads to proves itself. */
#include "node/state.h"

#include <starling.h>
#include <stdio.h>
#include <stdlib.h>

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
