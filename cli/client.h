/* client.h: find a node's debug socket and talk to it (docs/DEBUG-SOCKET.md). */
#ifndef SL_CLI_CLIENT_H
#define SL_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct client_place {
    const char *socket;      /* one path, or NULL */
    const char *node;        /* a name, NAME@PREFIX or the beginning of an id; NULL = any */
    const char *flock;       /* NULL = $STARLING_FLOCK, else default */
    const char *runtime_dir; /* NULL = as nodes choose it */
};

struct client {
    int fd;
    char path[1200];
    char *buffer; /* bytes read, [0, len) */
    size_t len, cap;
};

/* Ask any node that fits the place, one after the other until one answers; with `one`, the only one
 * that fits. On success *ret_answer is the first line, whole, and the client stays open behind it.
 * DONE, USAGE (several fit) or NO_NODE; complained already. */
int client_ask(const struct client_place *place, bool one, const char *request, struct client *c,
               json_t **ret_answer);
/* The next line; NULL when the node has gone or what it said is no JSON. */
json_t *client_next(struct client *c);
/* A whole line lies ready: client_next will not wait. */
bool client_ready(const struct client *c);
/* A node of this name runs on this host, as this user. */
bool client_is_here(const struct client_place *place, const char *node);
void client_close(struct client *c);

#endif
