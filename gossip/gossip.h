/* gossip.h: the protocol core as a passive object (PROTOCOL.md).
 *
 * It has no socket, clock, entropy, file or thread: bytes, link events and time go in, and what should
 * happen comes out by asking. Whoever drives it does, in a loop:
 *
 *     in:   sl_gossip_receive / _link / _accept / _put / _tick, with `now`
 *     out:  while (sl_gossip_next_out(...))    send, dial, cut, probe
 *           while (sl_gossip_next_event(...))  members and their facts, for store/
 *           wait until sl_gossip_deadline(...) or something arrives
 *
 * Output is pulled, so nothing re-enters. The same object files run in the library, the simulator and
 * the fuzzers. Not thread-safe: one owner at a time. */
#ifndef SL_GOSSIP_GOSSIP_H
#define SL_GOSSIP_GOSSIP_H

#include "base/addr.h"
#include "gossip/cert.h"
#include "gossip/fact.h"

struct sl_gossip;

/* A connection. The core numbers those it dials (odd), the driver those it accepts (even); a number
 * is never used twice. */
typedef uint64_t sl_link;

struct sl_gossip_config {
    struct sl_bundle bundle;
    struct sl_span cert;          /* this node's, encoded; copied */
    uint8_t c_d[SL_KEY_LEN];      /* CURVE public key this process dials with */
    struct sl_addr addr;          /* advertised */
    uint64_t host;                /* keyed hash of the machine id; 0 = unknown */
    char zone[SL_NAME_LEN_MAX + 1];
    bool lasting;                 /* the identity is kept on disk */
    uint64_t seed;                /* chance; the driver's entropy */
    uint64_t epoch;               /* 48 bits of milliseconds | 16 random bits, below 2^63 */
    sl_usec wall_offset_us;       /* wall clock minus monotonic clock */
};

struct sl_pool;

struct sl_ports {
    const struct sl_alloc *alloc;
    const struct sl_crypto *crypto;
    const struct sl_log *log;
    struct sl_pool *pool; /* pool.h; shared with other cores of this thread. NULL: one of its own */
};

/* 0, STARLING_ENOMEM, STARLING_EAUTH (own certificate does not verify). Ports are borrowed for life. */
int sl_gossip_new(const struct sl_gossip_config *config, const struct sl_ports *ports, sl_usec now,
                  struct sl_gossip **ret) SL_MUST_USE;
void sl_gossip_free(struct sl_gossip *g);

/* ---- in --------------------------------------------------------------------------------- */

/* The peer connected to us; c_d is the CURVE key that ZAP saw. False: no place, cut it. */
bool sl_gossip_accept(struct sl_gossip *g, sl_usec now, sl_link link,
                      const uint8_t c_d[SL_KEY_LEN]) SL_MUST_USE;
/* One whole message of an open link. Borrowed for the call. */
void sl_gossip_receive(struct sl_gossip *g, sl_usec now, sl_link link, const void *p, size_t len);

enum sl_link_event {
    SL_LINK_DOWN,    /* the connection ended, or a dial did not come about */
    SL_LINK_REFUSED, /* answer to a dial or a probe: nobody listens there */
    SL_LINK_SILENT,  /* answer to a probe: no answer in time */
    SL_LINK_OPEN     /* answer to a probe: somebody listens */
};
/* What became of a link. Answers to SL_OUT_PROBE name the probe by its number. */
void sl_gossip_link(struct sl_gossip *g, sl_usec now, sl_link link, enum sl_link_event event);

/* Publish what this node says of itself: SL_RECORD (body = service sections, replaced whole) or
 * SL_VITALS (body = service sections). `urgent` spreads without waiting to batch. A kind above SL_KINDS is one of a
 * later version: the body as it is. 0, ENOMEM (nothing is changed), ELIMIT, EINVAL (a kind that the core makes itself).
 * What is taken and cannot be said at once for want of memory is said later. */
int sl_gossip_put(struct sl_gossip *g, sl_usec now, enum sl_kind kind, struct sl_span sections,
                  bool urgent) SL_MUST_USE;
/* A fact that another core of the same pool holds: merged as if received, but neither checked again nor spread. */
void sl_gossip_restore(struct sl_gossip *g, sl_usec now, const struct sl_fact *fact);
/* A place to join at: a seed or a known peer. Kept for ever, at most 1,024; duplicates are ignored. */
void sl_gossip_seed(struct sl_gossip *g, sl_usec now, const struct sl_addr *addr);
/* The address no longer leads anywhere (its file is gone). */
void sl_gossip_unseed(struct sl_gossip *g, const struct sl_addr *addr);
/* Say goodbye. SL_EV_LEFT follows once two neighbours (or all, if fewer) know. */
void sl_gossip_leave(struct sl_gossip *g, sl_usec now);
/* Certificates that an authority took back: whole entries of revocation.h, from a file. Told to everybody; who
 * is meant is out. 0, STARLING_EAUTH (one is forged; those before it count), EINVAL (no whole entries). */
int sl_gossip_revoke(struct sl_gossip *g, sl_usec now, struct sl_span entries) SL_MUST_USE;
/* This certificate of this key, or the whole key. */
bool sl_gossip_is_revoked(const struct sl_gossip *g, const struct sl_id *id, const uint8_t serial[16]);
/* All that are known; borrowed until the next call that takes `now`. */
struct sl_span sl_gossip_revoked(const struct sl_gossip *g);
/* Another certificate of the same key, and whom to trust from now on: published at once. Who has a certificate of
 * an authority that is trusted no more is out. The bundle of a pool that is shared stays as it is. 0, ENOMEM (all
 * is taken, and published with the next record), EAUTH (not for this flock, or not signed by one of them), EINVAL
 * (another node's). */
int sl_gossip_renew(struct sl_gossip *g, sl_usec now, const struct sl_bundle *bundle, struct sl_span cert) SL_MUST_USE;
/* After SL_EV_YIELDED, until which nothing is said to anybody and nobody let in: be somebody else, with what this core
 * knows and offers. `ports.crypto` signs with the new key already. 0, STARLING_EAUTH (the certificate does not verify or
 * is of the old key, or there was no such event), ENOMEM (as before the call). */
int sl_gossip_rekey(struct sl_gossip *g, sl_usec now, struct sl_span cert, uint64_t epoch) SL_MUST_USE;
/* The wall clock was stepped. */
void sl_gossip_wall(struct sl_gossip *g, sl_usec wall_offset_us);
/* Do what is due. Early and extra calls are harmless. */
void sl_gossip_tick(struct sl_gossip *g, sl_usec now);

/* ---- out -------------------------------------------------------------------------------- */

/* When tick wants to be called next; SL_NEVER = not before something arrives. The core remembers it: who
 * comes much later was stalled, and doubts himself before he doubts others. */
sl_usec sl_gossip_deadline(struct sl_gossip *g);

enum sl_out_type {
    SL_OUT_SEND,  /* bytes over link; dropped when the link cannot take them */
    SL_OUT_DIAL,  /* open link to addr */
    SL_OUT_CUT,   /* close link; no SL_LINK_DOWN need follow */
    SL_OUT_BAR,   /* the other end of link, which it dialled, is out: spare us its next hellos for a while */
    SL_OUT_PROBE  /* does anybody listen at addr? answer by sl_gossip_link(link, ...) within 2 s */
};

struct sl_out {
    enum sl_out_type type;
    sl_link link;
    struct sl_addr addr;
    struct sl_span bytes; /* valid until the next call on this core */
};
bool sl_gossip_next_out(struct sl_gossip *g, struct sl_out *ret);

enum sl_status { SL_ALIVE, SL_SUSPECT, SL_DOWN, SL_LEFT };

enum sl_event_type {
    SL_EV_STATUS,   /* a member appeared or its verdict changed */
    SL_EV_RECORD,   /* its record changed: body in `record` */
    SL_EV_VITALS,   /* its vitals changed: body in `vitals` */
    SL_EV_FORGOTTEN, /* it is no longer in the table */
    SL_EV_CONFLICT, /* two live nodes of one name, or one key from two places */
    SL_EV_STALE,    /* this node is cut off: `status` is SL_DOWN; or no longer: SL_ALIVE */
    SL_EV_YIELDED,  /* another process lives with this node's key: this one has given way, see sl_gossip_rekey */
    SL_EV_LEFT      /* our goodbye is known, or nobody is there to hear it */
};

struct sl_event {
    enum sl_event_type type;
    struct sl_id id;
    enum sl_status status;
    bool self;            /* about this node */
    const struct sl_fact *fact; /* of RECORD and VITALS; of FORGOTTEN the last record, or NULL; borrowed until the next
                                 * call on this core */
};
bool sl_gossip_next_event(struct sl_gossip *g, struct sl_event *ret);

/* ---- looking inside --------------------------------------------------------------------- */

struct sl_member_info {
    struct sl_id id;
    enum sl_status status;
    bool self;
    bool neighbour;           /* there is a proven edge */
    sl_usec heard_us;         /* when anything new of it was last received, to a tenth of a second; SL_NEVER for self */
    struct sl_version version; /* newest seen */
    const struct sl_fact *record; /* borrowed until the next call that takes `now` */
    const struct sl_fact *vitals; /* may be NULL */
};
size_t sl_gossip_n_members(const struct sl_gossip *g);
/* By index below n_members; false for an index that is not in use. */
bool sl_gossip_member(const struct sl_gossip *g, size_t index, struct sl_member_info *ret);
bool sl_gossip_find(const struct sl_gossip *g, const struct sl_id *id, struct sl_member_info *ret);

/* Counters, all rising. Names as in `starling info --json`. */
#define SL_GOSSIP_COUNTERS(X)                                                                      \
    X(messages_in) X(messages_out) X(bytes_in) X(bytes_out)                                        \
    X(facts_new) X(facts_old) X(facts_verified) X(facts_dropped_queue)                             \
    X(refused_frame) X(refused_hello) X(refused_version) X(refused_fact) X(refused_signature)     \
    X(refused_quota) X(refused_unknown_origin) X(refused_revoked)                                                     \
    X(dials) X(links_in) X(links_proven) X(links_down)                                             \
    X(beats) X(beat_timeouts) X(sightings) X(answers) X(verdicts_down) X(stalls)                   \
    X(syncs) X(sync_bytes) X(meetings)

struct sl_gossip_stats {
#define SL_X(name) uint64_t name;
    SL_GOSSIP_COUNTERS(SL_X)
#undef SL_X
};

struct sl_gossip_info {
    struct sl_id id;
    struct sl_version version;
    uint64_t root;     /* reconciliation root */
    size_t n_members;  /* in the table, self included */
    size_t n_alive;    /* alive or suspect, self included */
    size_t n_edges;    /* proven neighbours */
    size_t n_links;    /* all connections */
    size_t n_facts;
    bool isolated;
    bool yielded;      /* to a copy of this node: out of the flock */
    struct sl_gossip_stats stats;
};
void sl_gossip_info(const struct sl_gossip *g, struct sl_gossip_info *ret);

/* For invariants in tests: the watchers of a member in this node's view, how many accusations stand. */
size_t sl_gossip_standing(const struct sl_gossip *g, const struct sl_id *id);

#endif
