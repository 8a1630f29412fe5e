/* checks.h: the health checks of this node's services, carried out on the I/O thread. */
#ifndef SL_NODE_CHECKS_H
#define SL_NODE_CHECKS_H

#include <poll.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "node/check.h"
#include "node/check_call.h"
#include "node/check_http.h"

#define SL_CHECKS_POLL_MAX SL_SERVICES_MAX
#define SL_CHECK_SLOW SL_SEC(30) /* held back for as long: say so */

/* Made by whoever registers, then the I/O thread's, which frees it once `offer` is NULL. */
struct sl_checker {
    struct sl_checker *next;
    starling_registration *offer; /* whose it is; under commands.lock, NULL = withdrawn */
    _Atomic sl_usec renewed;      /* TTL: when last; 0 = never */

    char service[STARLING_NAME_MAX];
    enum starling_check kind;
    struct sl_addr addr;
    struct sl_check state;
    sl_usec since;
    sl_usec renewal; /* TTL: the one that the state knows of */
    bool told_slow;
    bool changed; /* the table does not have the verdict yet */
    bool gone;    /* withdrawn, seen so by the I/O thread */

    int fd; /* of the connection, or -1 */
    bool connected;
    struct sl_http *http; /* of an HTTP check */
    char request[SL_HTTP_REQUEST_MAX];
    size_t request_len, sent;

    struct sl_call call; /* of a CALL */
};

struct sl_checks {
    struct sl_checker *first;
    struct sl_rand rand;
};

/* *ret is NULL when the service has no check. 0, EINVAL, ENOMEM, with a text. */
int sl_checker_new(starling_node *node, const starling_service *s, struct sl_checker **ret)
    SL_MUST_USE;
/* Waits for a callback that runs. */
void sl_checker_free(struct sl_checker *c);

/* ---- the I/O thread's ---- */

/* Carry out what is due. */
void sl_checks_turn(starling_node *node, sl_usec now);
/* Under commands.lock: take over new ones, give the table new verdicts, and move those that were
 * withdrawn to *ret_gone. */
void sl_checks_meet(starling_node *node, struct sl_checker **ret_gone);
/* Without the lock: free what is gone. One whose callback still runs, for it has withdrawn itself,
 * is kept until it has returned. */
void sl_checks_bury(starling_node *node, struct sl_checker *gone);
size_t sl_checks_poll(const struct sl_checks *checks, struct pollfd *fds, size_t cap);
sl_usec sl_checks_deadline(const struct sl_checks *checks);
/* No more connections. */
void sl_checks_close(struct sl_checks *checks);
/* The I/O thread has ended. */
void sl_checks_free(struct sl_checks *checks);
#endif
