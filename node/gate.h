/* gate.h: who may knock how often, decided by the kernel before libzmq is woken (docs/DESIGN.md, "The gate").
 *
 * Accepting a connection costs libzmq about 0.2 ms, and a CURVE handshake 0.4 ms more, whoever it is; there is
 * no way to make it accept less. So the listening socket is ours, lent to libzmq, with a second one beside it on the
 * same port: a filter in the kernel (SO_ATTACH_REUSEPORT_CBPF, which needs no privilege) sends each new connection to
 * the one or to the other, and what comes to the other is closed unseen. Normally all go to libzmq. From an address
 * that connects too often one in 2^n does, and n follows what comes. */
#ifndef SL_NODE_GATE_H
#define SL_NODE_GATE_H

#include "base/addr.h"
#include "base/port.h"

/* An address, or a /64 of IPv6, may make so many connections at once, and so many a second from then on. A cold
 * start of a hundred nodes on one host stays below it. */
#define SL_GATE_BURST 192
#define SL_GATE_PER_SECOND 48
/* All those together that have no link with us. */
#define SL_GATE_ALL_BURST 768
#define SL_GATE_ALL_PER_SECOND 64
#define SL_GATE_SOURCES 64 /* addresses kept in mind */

struct sl_gate_source {
    uint8_t family;    /* 4, 6; 0 = unused */
    uint8_t prefix[8]; /* 4 bytes, or the first 8 of IPv6 */
    unsigned shift;    /* one in 2^shift of its connections comes through; 0 = all */
    unsigned came;     /* since the last look */
    unsigned calm;     /* looks in a row at which little came */
    int64_t tokens;
    sl_usec tokens_at;
};

struct sl_gate {
    int sink; /* the second socket; -1 = the kernel has no such filter, and everybody comes through */
    struct sl_gate_source sources[SL_GATE_SOURCES], all;
    bool closed;     /* everybody is sent away: too many descriptors are held by people unknown */
    bool changed;    /* the filter is to be made anew */
    unsigned n_busy; /* with a shift, `all` included */
    sl_usec look_at, empty_at, said_at;
    uint64_t
        turned_away; /* seen at the sink; what the kernel dropped in front of it is not known */
    const struct sl_log *log;
};

/* Make both sockets; the one to lend to libzmq, the caller's to close, is *ret_listener. 0, EUNAVAIL (in
 * use, not of this host), EIO. */
int sl_gate_open(struct sl_gate *g, const struct sl_addr *listen, const struct sl_log *log,
                 int *ret_listener, struct sl_addr *ret_bound) SL_MUST_USE;
void sl_gate_close(struct sl_gate *g);

/* Somebody came through; family 0 = and has gone before we looked. `known`: there is a link with this address, so
 * that it does not count with the rest. */
void sl_gate_came(struct sl_gate *g, sl_usec now, const struct sl_addr *from, bool known);
/* Stop or go on letting anybody in. */
void sl_gate_shut(struct sl_gate *g, bool closed);
/* Look at what came. True when the filter is to be made anew, with sl_gate_set. */
bool sl_gate_turn(struct sl_gate *g, sl_usec now) SL_MUST_USE;
/* `known`: addresses of those we have links with, whom what the rest does will not hold off. */
void sl_gate_set(struct sl_gate *g, const struct sl_addr *known, size_t n_known);
sl_usec sl_gate_deadline(const struct sl_gate *g);
#endif
