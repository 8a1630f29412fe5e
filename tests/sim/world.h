/* world.h: a flock in virtual time.
 *
 *   world.c    keys, addresses, the loop over events
 *   life.c     nodes' lives: start, kill, freeze, leave ...
 *   drive.c    one core between its inputs and its outputs, as node/ drives it
 *   process.c  a process from its start to its end, and what it publishes
 *   liar.c     members who lie; trust.c keys that are copied, and revoked
 *   net.c      connections, dials and probes over a TCP-like network; rules.c what breaks it
 *   measure.c  what is measured
 *   parts.c    who can reach whom; judge.c who is right; always.c what must hold at any time
 *   script.c   scenarios; command.c, expect.c what is in them; swarm.c faults drawn from the seed
 *   run.c      a whole run; shrink.c many of them (trial.c), of ever smaller scenarios (scene.c)
 *
 * One thread. Chance comes in separate streams (network, faults, workload, each node), so that
 * more of one thing does not move the others. Nothing decides by an address or by the order of a
 * hash table. */
#ifndef SL_SIM_WORLD_H
#define SL_SIM_WORLD_H

#include <stdio.h>

#include "base/idmap.h"
#include "gossip/gossip.h"
#include "gossip/pool.h"
#include "store/store.h"
#include "tests/sim/always.h"
#include "tests/sim/crypto.h"
#include "tests/sim/heap.h"
#include "tests/sim/liar.h"
#include "tests/sim/measure.h"
#include "tests/sim/memory.h"
#include "tests/sim/net.h"
#include "tests/sim/set.h"
#include "tests/sim/settings.h"

#define SIM_NODES_MAX 20000
#define SIM_WALL_S INT64_C(1767225600) /* wall clock at virtual time 0: 2026-01-01 */
#define SIM_FLOCK "simulated"

enum sim_event_kind {
    SIM_TIMER,        /* node; n = number of the timer */
    SIM_WORK,         /* node has CPU time for its next input */
    SIM_ARRIVE,       /* p = connection; n = direction; its message is the next of that direction */
    SIM_FLUSH,        /* likewise: what was held back goes on */
    SIM_GIVE_UP,      /* likewise: TCP ends a connection after a quarter of an hour of silence */
    SIM_SYN,          /* p = connection being dialled */
    SIM_OPEN,         /* likewise, the handshake is through */
    SIM_DIAL_TIMEOUT, /* likewise */
    SIM_ANSWER,       /* node; p = an item that reaches it now */
    SIM_PROBE,        /* node; p = probe */
    SIM_LEAVE_OVER,   /* node; n = process: it has waited long enough for its goodbye */
    SIM_RULE_OVER,    /* n = rule */
    SIM_POLL,         /* look for agreement */
    SIM_LIE,          /* node: a liar has its turn */
    SIM_SCRIPT,       /* n = command of the scenario */
    SIM_TASK          /* p = something of the scenario that repeats */
};

enum sim_life {
    SIM_UNBORN, /* its host is there, its process has never run */
    SIM_RUNNING,
    SIM_FROZEN,    /* its process stands still, its kernel does not (SIGSTOP) */
    SIM_SUSPENDED, /* its host sleeps, monotonic clock included */
    SIM_DEAD,      /* the process has ended; the host answers for it */
    SIM_OFF        /* the host is off */
};

/* A key and its certificate. A node that restarts as somebody new takes another one. */
struct sim_identity {
    struct sl_id id;
    struct sim_signer signer;
    uint8_t cert[SL_CERT_MAX];
    uint16_t cert_len;
    uint32_t node, number;
    bool revoked;
    uint64_t *forgotten; /* by each observer: the epoch it was in then, 0 = it is not; NULL: by nobody (always.c) */
};

/* Something that reaches a process, in the order in which its kernel saw it. */
enum sim_item_kind {
    SIM_ITEM_MESSAGE,
    SIM_ITEM_HANDSHAKE,
    SIM_ITEM_SHAKEN,
    SIM_ITEM_LINK,
    SIM_ITEM_TICK
};
struct sim_item {
    struct sim_item *next;
    enum sim_item_kind kind;
    uint32_t process;
    struct sim_conn *conn; /* held */
    unsigned dir;
    struct sim_msg *msg; /* owned */
    sl_link link;
    enum sl_link_event event;
};

struct sim_link {
    sl_link link;
    struct sim_conn *conn;
    unsigned end;
};

/* Bytes on the wire, headers included, acknowledgements not. */
struct sim_traffic {
    uint64_t sent, heard;
};

struct sim_node {
    enum sim_life life;
    sl_usec since;    /* of this life */
    uint32_t process; /* counts starts; what is meant for an older one is void */
    uint32_t identity;
    struct sl_gossip *core;
    struct sl_store *store;
    struct sim_liar *liar; /* it lies, or did; NULL: it is honest */
    struct sl_crypto crypto;
    struct sim_account account;
    struct sl_alloc alloc;
    struct sl_ports ports;
    uint8_t c_d[SL_KEY_LEN];
    struct sl_rand rand;
    sl_usec mono;    /* its monotonic clock minus virtual time */
    sl_usec skew;    /* its wall clock minus the right one */
    sl_usec stopped; /* when it was suspended */

    sl_usec cost; /* CPU time of one input */
    sl_usec busy_until;
    bool working;    /* a SIM_WORK is planned */
    bool tick_waits; /* a tick is in the inbox */
    sl_usec timer_at;
    uint64_t timer_no;
    sl_usec spin_at;
    unsigned spins; /* ticks at one instant */
    struct sim_item *inbox, **inbox_end;

    struct sim_link *links;
    size_t n_links, cap_links;
    struct sim_traffic traffic, rest; /* until now; in the window `rest`, at its beginning while it lasts */
    sl_link next_accept;
    bool leaving, left_known, isolated, store_failed;
    bool out;          /* it gave way to a copy of itself, and has no other key */
    bool unsaid;       /* memory ran out when it published: as node/ does, it tries again */
    bool too_large;    /* and it has been said */
    size_t members;    /* in its table when its memory was last looked at */
    size_t links_peak; /* connections, since then */

    struct sl_addr *known; /* peers remembered over a restart */
    size_t n_known;
    bool bare;       /* it was started without them */
    uint64_t change; /* number of its newest change, part of its vitals */
    uint16_t weight;
};

/* How a process starts. */
enum {
    SIM_START_NEW = 1,   /* another identity on the same address */
    SIM_START_BARE = 2,  /* remembers no peers, only its seeds */
    SIM_START_ASLEEP = 4 /* its first moves are made by sim_core_wake */
};

struct sim_violation {
    const char *kind; /* the same for all violations of a kind */
    sl_usec at;       /* of the scenario's time */
    char text[256];
};

struct sim_world {
    struct sim_settings settings;
    uint64_t seed;
    bool real_crypto, verbose;
    size_t n;
    struct sim_node *nodes;
    sl_usec *processors; /* of all hosts: when each is free; NULL when every node has its own */
    struct sim_identity **identities; /* they stay where they are: cores sign through them */
    size_t n_identities, cap_identities;
    struct sl_idmap by_id;
    struct sim_identity *told_last; /* by a core; NULL at first */
    struct sim_account own_account; /* for by_id */
    struct sl_alloc own_alloc;
    struct sl_pool *pool; /* of all cores */
    struct sim_account pool_account;
    struct sl_alloc pool_alloc;
    struct sl_crypto pool_crypto;
    struct sl_bundle bundle;
    struct sim_signer authority;
    struct sim_crypto_count crypto_count;
    struct sim_memory memory;
    struct sl_log log; /* cores are silent */
    struct sim_hash trace;

    sl_usec now;
    sl_usec zero; /* virtual time of the scenario's time 0 */
    struct sim_heap heap;
    uint64_t n_events;
    size_t n_liars; /* who began to lie */
    struct sl_rand net_rand, fault_rand, work_rand, start_rand;
    struct sim_net net;
    struct sim_measure measure;
    struct sim_always always;

    struct sim_violation violations[32];
    size_t n_violations;  /* may be more than are kept */
    const char *stop_for; /* end the run at a violation of this kind; "" = of any; NULL = go on */
    bool stopped;
    void (*on_violation)(struct sim_world *w, const struct sim_violation *v); /* or NULL */
    void (*script)(struct sim_world *w, const struct sim_event *e); /* SIM_SCRIPT, SIM_TASK */
    void *script_context;
    void *context; /* of on_violation */
};

/* ---- world.c ---- */

/* 0, STARLING_EIO (libsodium), STARLING_EINVAL (no certificate came about). */
int sim_world_init(struct sim_world *w, size_t n, uint64_t seed,
                   const struct sim_settings *settings, bool real_crypto) SL_MUST_USE;
void sim_world_fini(struct sim_world *w);
/* Let everything happen up to `until`, itself included. */
void sim_world_run(struct sim_world *w, sl_usec until);
void sim_at(struct sim_world *w, sl_usec at, enum sim_event_kind kind, size_t node, uint64_t n,
            void *p);
/* A command of the scenario, before whatever else happens at that instant. */
void sim_at_script(struct sim_world *w, sl_usec at, uint64_t line);
void sim_trace(struct sim_world *w, size_t node, unsigned kind, uint64_t what);
uint64_t sim_bytes_hash(struct sl_span bytes);
/* A line on stderr when --verbose. */
void sim_say(const struct sim_world *w, const char *format, ...) SL_PRINTF(2, 3);
/* The format names the kind of violation: one format, one kind. */
void sim_violation(struct sim_world *w, const char *format, ...) SL_PRINTF(2, 3);

struct sl_addr sim_address(const struct sim_world *w, size_t node);
/* SIZE_MAX when no node has it. */
size_t sim_node_at(const struct sim_world *w, const struct sl_addr *addr);
size_t sim_host(const struct sim_world *w, size_t node);
bool sim_host_up(const struct sim_world *w, size_t node);
/* NULL when the world does not know it. */
struct sim_identity *sim_identity_of(const struct sim_world *w, const struct sl_id *id);
static inline struct sim_identity *sim_self(const struct sim_world *w, size_t node)
{
    return w->identities[w->nodes[node].identity];
}

/* The node becomes somebody it has never been. */
bool sim_identity_new(struct sim_world *w, size_t node) SL_MUST_USE;

/* ---- life.c: each does nothing where it makes no sense (killing the dead). ---- */

void sim_start(struct sim_world *w, size_t node, unsigned flags);
void sim_kill(struct sim_world *w, size_t node);
void sim_off(struct sim_world *w, size_t node); /* its host, with everybody on it */
void sim_on(struct sim_world *w, size_t node);  /* its host; nothing runs there yet */
void sim_freeze(struct sim_world *w, size_t node);
void sim_suspend(struct sim_world *w, size_t node);
void sim_thaw(struct sim_world *w, size_t node); /* from either */
void sim_leave(struct sim_world *w, size_t node);
void sim_slow(struct sim_world *w, size_t node, sl_usec cost);
/* So many of its allocations fail, in millionths. */
void sim_oom(struct sim_world *w, size_t node, uint32_t fail_ppm);
void sim_clock(struct sim_world *w, size_t node, sl_usec step);
/* It has waited for its goodbye to be known. */
void sim_leave_over(struct sim_world *w, size_t node, uint64_t process);

/* ---- trust.c ---- */

/* The node is another process with the key of `of`, and starts. */
void sim_copy(struct sim_world *w, size_t node, size_t of, unsigned flags);
/* Its core has given way to a copy. */
void sim_yield(struct sim_world *w, size_t node);

/* The node's certificate is taken back, and one node is given the list. */
void sim_revoke(struct sim_world *w, size_t node, size_t by, bool whole_key);
/* Somebody is no longer known to this observer. */
void sim_revoked_forgotten(struct sim_world *w, size_t observer, const struct sim_identity *who);
/* Who is healthy and still knows somebody who was revoked: SIZE_MAX = nobody. */
size_t sim_knows_revoked(const struct sim_world *w);

/* ---- drive.c ---- */

/* The process's own view of time. */
static inline sl_usec sim_mono(const struct sim_world *w, const struct sim_node *n)
{
    return w->now + n->mono;
}
/* Around calls into a core: where memory is short for it, it is so for what it shares. */
void sim_enter(struct sim_world *w, size_t node);
void sim_exit(struct sim_world *w);
/* Takes the item: now, or when the process gets to it, or never. */
void sim_input(struct sim_world *w, size_t node, struct sim_item *item);
void sim_item_free(struct sim_world *w, struct sim_item *item);
void sim_timer(struct sim_world *w, size_t node, uint64_t number);
void sim_work(struct sim_world *w, size_t node);
/* Take what the core wants done and has to tell, and plan its next tick. */
void sim_drain(struct sim_world *w, size_t node);
/* Likewise after a warm start has filled its table: nothing of it is news. */
void sim_drain_restored(struct sim_world *w, size_t node);

/* ---- process.c ---- */

/* What a process draws when it starts. */
uint64_t sim_epoch(struct sim_world *w, size_t node);
bool sim_core_start(struct sim_world *w, size_t node, unsigned flags);
void sim_core_stop(struct sim_world *w, size_t node);
/* A sample of the members that a state directory would list, for its next start. */
void sim_remember_peers(struct sim_world *w, size_t node);
/* Each of the set starts, with every other's facts in its table and no connection yet. */
void sim_start_warm(struct sim_world *w, const struct sim_set *set);
void sim_core_wake(struct sim_world *w, size_t node, unsigned flags);
/* Publish a change of the node's services; its number. */
uint64_t sim_put(struct sim_world *w, size_t node, enum sl_kind kind, bool urgent);
/* Memory is back: publish what could not be. */
void sim_put_again(struct sim_world *w, size_t node);

#endif
