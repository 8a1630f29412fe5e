/* debug.h: the debug socket, RUNTIME/FLOCK/NAME.sock (docs/DEBUG-SOCKET.md): a line in, a line of
 * JSON out. Served by the I/O thread between messages; a long answer is produced as the client
 * reads it, a slow client is dropped with a marker, and nothing a client does makes the node wait. */
#ifndef SL_NODE_DEBUG_H
#define SL_NODE_DEBUG_H

#include <poll.h>

#include "base/types.h"

struct sl_debug;
struct starling_node;

#define SL_DEBUG_CLIENTS_MAX 16
#define SL_DEBUG_REQUEST_MAX 4096
#define SL_DEBUG_POLL_MAX (SL_DEBUG_CLIENTS_MAX + 1)

/* dir is RUNTIME/FLOCK. A live namesake keeps its socket; then ours is NAME@IDPREFIX.sock.
 * 0, EIO, EAUTH, ELIMIT (path too long for a Unix socket). */
int sl_debug_open(struct starling_node *node, const char *dir, const char *name, const char *id_hex,
                  struct sl_debug **ret) SL_MUST_USE;
void sl_debug_close(struct sl_debug *d);
const char *sl_debug_path(const struct sl_debug *d);
size_t sl_debug_poll(const struct sl_debug *d, struct pollfd *fds, size_t cap);
void sl_debug_turn(struct sl_debug *d, sl_usec now, const struct pollfd *fds, size_t n);
sl_usec sl_debug_deadline(const struct sl_debug *d);
/* New events are in the node's ring: serve the watchers. */
void sl_debug_events(struct sl_debug *d);
#endif
