/* probe.h: does anybody listen there? Non-blocking TCP connects of our own, closed as soon as they
 * answer. On the disconnect of a killed process the kernel's ECONNREFUSED is there within 2 ms;
 * libzmq's own retry would say it 90 ms later. */
#ifndef SL_NODE_PROBE_H
#define SL_NODE_PROBE_H

#include <poll.h>

#include "base/addr.h"

#define SL_PROBES_MAX 64
#define SL_PROBES_CROWDED_MAX 256
#define SL_PROBE_TIMEOUT SL_SEC(2)

enum sl_probe_result { SL_PROBE_OPEN, SL_PROBE_REFUSED, SL_PROBE_SILENT };

struct sl_probes {
    struct sl_probe {
        int fd; /* -1 = free, or answered at once and not yet told */
        bool used, answered;
        uint64_t number;
        sl_usec deadline;
        enum sl_probe_result result;
    } slot[SL_PROBES_MAX];
    size_t n;
    uint64_t crowded[SL_PROBES_CROWDED_MAX]; /* found no slot, and are told so next */
    size_t n_crowded;
};

void sl_probes_init(struct sl_probes *p);
void sl_probes_fini(struct sl_probes *p);
/* When all slots are taken or no descriptor is left the answer is SILENT at once. (More than
 * SL_PROBES_CROWDED_MAX such between two calls of sl_probes_next get none: who asks has a
 * time-out.) */
void sl_probes_start(struct sl_probes *p, sl_usec now, uint64_t number, const struct sl_addr *addr);
/* Descriptors to poll (POLLOUT), up to cap; returns how many. */
size_t sl_probes_poll(const struct sl_probes *p, struct pollfd *fds, size_t cap);
/* The next answer; false when there is none yet. */
bool sl_probes_next(struct sl_probes *p, sl_usec now, uint64_t *ret_number, enum sl_probe_result *ret);
sl_usec sl_probes_deadline(const struct sl_probes *p);

/* ---- a connect of one's own, which health checks make as well ---- */

/* Begin to connect. 0 connected, EINPROGRESS (wait for POLLOUT, then ask sl_dial_result), or the
 * errno of why not. *ret_fd is the caller's to close whenever it is not -1. */
int sl_dial(const struct sl_addr *addr, int *ret_fd) SL_MUST_USE;
/* 0, or the errno of why not. */
int sl_dial_result(int fd) SL_MUST_USE;
#endif
