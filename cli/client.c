/* client.c: the debug socket from the other side.
 * A node that does not answer within two seconds is passed over for the next: it may be stopped. */
#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/common.h"

#define ANSWER_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define NODES_MAX 1024
#define PATH_BYTES 1200
#define SUFFIX ".sock"

/* ---- where ------------------------------------------------------------------------------ */

static const char *environment(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* RUNTIME/FLOCK, found as the library finds it (interfaces: STARLING_RUNTIME_DIR). */
static void directory(const struct client_place *place, char out[PATH_BYTES])
{
    const char *flock = place->flock != NULL ? place->flock : environment("STARLING_FLOCK");
    const char *runtime =
        place->runtime_dir != NULL ? place->runtime_dir : environment("STARLING_RUNTIME_DIR");
    const char *xdg = environment("XDG_RUNTIME_DIR");
    struct stat st;
    if (flock == NULL)
        flock = "default";
    bool foreign = xdg != NULL && stat(xdg, &st) == 0 && st.st_uid != geteuid();
    if (runtime != NULL)
        (void)snprintf(out, PATH_BYTES, "%s/%s", runtime, flock);
    else if (xdg != NULL && xdg[0] == '/' && !foreign)
        (void)snprintf(out, PATH_BYTES, "%s/starling/%s", xdg, flock);
    else
        (void)snprintf(out, PATH_BYTES, "/tmp/starling-%u/%s", (unsigned)geteuid(), flock);
}

static bool is_socket(const char *name)
{
    size_t len = strlen(name), suffix = strlen(SUFFIX);
    return len > suffix && strcmp(name + len - suffix, SUFFIX) == 0;
}

/* NAME.sock, or NAME@PREFIX.sock of a namesake. */
static bool is_called(const char *file, const char *node)
{
    size_t len = strlen(node);
    return strncmp(file, node, len) == 0 && (file[len] == '@' || strcmp(file + len, SUFFIX) == 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_sockets(const char *dir_path, char *names[NODES_MAX])
{
    DIR *dir = opendir(dir_path);
    const struct dirent *entry;
    size_t n = 0;
    while (dir != NULL && n < NODES_MAX && (entry = readdir(dir)) != NULL)
        if (is_socket(entry->d_name) && (names[n] = strdup(entry->d_name)) != NULL)
            n++;
    if (dir != NULL)
        (void)closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    return n;
}

/* ---- one socket ------------------------------------------------------------------------- */

void client_close(struct client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    free(c->buffer);
    c->fd = -1;
    c->buffer = NULL;
    c->len = c->cap = 0;
}

static bool send_line(int fd, const char *request)
{
    char line[4200];
    int len = snprintf(line, sizeof line, "%s\n", request);
    return len > 0 && (size_t)len < sizeof line && send(fd, line, (size_t)len, MSG_NOSIGNAL) == len;
}

static bool client_open(struct client *c, const char *path, const char *request)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = 2};
    *c = (struct client){.fd = -1};
    (void)snprintf(c->path, sizeof c->path, "%s", path);
    if (strlen(path) >= sizeof sun.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(sun.sun_path, path, strlen(path));
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (connect(c->fd, (const struct sockaddr *)&sun, sizeof sun) == 0 && send_line(c->fd, request))
        return true;
    int error = errno;
    client_close(c);
    errno = error;
    return false;
}

bool client_ready(const struct client *c)
{
    return c->len > 0 && memchr(c->buffer, '\n', c->len) != NULL;
}

static bool read_more(struct client *c)
{
    if (c->len == c->cap) {
        size_t cap = c->cap == 0 ? 65536 : c->cap * 2;
        char *grown = cap <= ANSWER_BYTES_MAX ? realloc(c->buffer, cap) : NULL;
        if (grown == NULL)
            return false;
        c->buffer = grown;
        c->cap = cap;
    }
    ssize_t n;
    do
        n = recv(c->fd, c->buffer + c->len, c->cap - c->len, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    c->len += (size_t)n;
    return true;
}

json_t *client_next(struct client *c)
{
    size_t searched = 0;
    const char *end;
    while (c->len == searched ||
           (end = memchr(c->buffer + searched, '\n', c->len - searched)) == NULL) {
        searched = c->len;
        if (!read_more(c))
            return NULL;
    }
    size_t len = (size_t)(end - c->buffer);
    json_t *line = json_loadb(c->buffer, len, JSON_ALLOW_NUL, NULL);
    memmove(c->buffer, c->buffer + len + 1, c->len - len - 1);
    c->len -= len + 1;
    return line;
}

static json_t *try_one(struct client *c, const char *path, const char *request)
{
    if (!client_open(c, path, request))
        return NULL;
    json_t *answer = client_next(c);
    if (json_is_object(answer))
        return answer;
    json_decref(answer);
    client_close(c);
    return NULL;
}

/* ---- which ------------------------------------------------------------------------------ */

static bool has_id(const char *path, const char *prefix)
{
    struct client c;
    json_t *answer = try_one(&c, path, "info");
    const char *id = json_string_value(json_object_get(json_object_get(answer, "data"), "id"));
    bool same = id != NULL && strncmp(id, prefix, strlen(prefix)) == 0;
    json_decref(answer);
    client_close(&c);
    return same;
}

static bool looks_like_id(const char *text)
{
    return strlen(text) >= 6 && strspn(text, "0123456789abcdef") == strlen(text);
}

/* Keep the sockets of `node` at the front: those of its name, else those whose id begins so. */
static size_t choose(const char *dir, const char *node, char **names, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_called(names[i], node)) {
            char *swap = names[kept];
            names[kept++] = names[i];
            names[i] = swap;
        }
    }
    for (size_t i = 0; kept == 0 && i < n && looks_like_id(node); i++) {
        char path[PATH_BYTES + 300];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (has_id(path, node)) {
            char *swap = names[0];
            names[0] = names[i];
            names[i] = swap;
            return 1;
        }
    }
    return kept;
}

static bool answers(const char *path)
{
    struct client c;
    json_t *answer = try_one(&c, path, "version");
    bool live = answer != NULL;
    json_decref(answer);
    client_close(&c);
    return live;
}

/* Several nodes fit and one is meant: leave only the one that lives, if there is but one. */
static size_t only_live(const char *dir, char **names, size_t n)
{
    size_t live = 0;
    for (size_t i = 0; i < n; i++) {
        char path[PATH_BYTES + 300];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (answers(path)) {
            char *swap = names[live];
            names[live++] = names[i];
            names[i] = swap;
        }
    }
    return live;
}

static int ask_in(const struct client_place *place, const char *dir, bool one, const char *request,
                  struct client *c, json_t **ret_answer)
{
    char *names[NODES_MAX];
    size_t n_all = list_sockets(dir, names);
    size_t n = place->node != NULL ? choose(dir, place->node, names, n_all) : n_all;
    int status = NO_NODE;
    if (one && n > 1)
        n = only_live(dir, names, n);
    if (one && n > 1) {
        complain("%zu nodes could be meant; say which with --node: %.*s, %.*s%s", n,
                 (int)(strlen(names[0]) - strlen(SUFFIX)), names[0],
                 (int)(strlen(names[1]) - strlen(SUFFIX)), names[1], n > 2 ? ", ..." : "");
        status = USAGE;
        n = 0;
    }
    for (size_t i = 0; i < n && status == NO_NODE; i++) {
        char path[PATH_BYTES + 300];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        *ret_answer = try_one(c, path, request);
        if (*ret_answer != NULL)
            status = DONE;
    }
    for (size_t i = 0; i < n_all; i++)
        free(names[i]);
    if (status == NO_NODE && place->node != NULL && n_all > 0)
        complain("no node %s of this user answers in %s", place->node, dir);
    else if (status == NO_NODE)
        complain("no node of this user answers in %s; start one (starlingd), or see --flock and "
                 "--runtime-dir",
                 dir);
    return status;
}

bool client_is_here(const struct client_place *place, const char *node)
{
    char dir[PATH_BYTES], *names[NODES_MAX];
    bool here = false;
    directory(place, dir);
    size_t n = list_sockets(dir, names);
    for (size_t i = 0; i < n; i++) {
        char path[PATH_BYTES + 300];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        here = here || (is_called(names[i], node) && answers(path));
        free(names[i]);
    }
    return here;
}

int client_ask(const struct client_place *place, bool one, const char *request, struct client *c,
               json_t **ret_answer)
{
    char dir[PATH_BYTES];
    *c = (struct client){.fd = -1};
    if (place->socket == NULL) {
        directory(place, dir);
        return ask_in(place, dir, one, request, c, ret_answer);
    }
    errno = 0;
    *ret_answer = try_one(c, place->socket, request);
    if (*ret_answer != NULL)
        return DONE;
    complain("no node answers at %s%s%s", place->socket, errno != 0 ? ": " : "",
             errno != 0 ? strerror(errno) : "");
    return NO_NODE;
}
