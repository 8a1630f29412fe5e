/* resolve.h: seeds by name, without ever blocking the I/O thread (c-ares; libzmq would resolve in place).
 * A name may have many addresses (a headless Kubernetes service): all are given, and the name is asked again
 * for ever. */
#ifndef SL_NODE_RESOLVE_H
#define SL_NODE_RESOLVE_H

#include <poll.h>

#include "base/port.h"
#include "node/settings.h"

struct sl_resolver;

/* Numeric seeds are reported at the first turn. `found` is called from sl_resolver_turn. 0, ENOMEM, EIO. */
int sl_resolver_new(const struct sl_seed *seeds, size_t n, const struct sl_alloc *alloc,
                    const struct sl_log *log,
                    void (*found)(void *context, const struct sl_addr *addr), void *context,
                    struct sl_resolver **ret) SL_MUST_USE;
void sl_resolver_free(struct sl_resolver *r);
#define SL_RESOLVER_POLL_MAX 16
size_t sl_resolver_poll(struct sl_resolver *r, struct pollfd *fds, size_t cap);
/* `fds` as filled by sl_resolver_poll, with revents. */
void sl_resolver_turn(struct sl_resolver *r, sl_usec now, const struct pollfd *fds, size_t n);
sl_usec sl_resolver_deadline(const struct sl_resolver *r);
#endif
