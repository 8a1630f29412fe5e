/* node.h: a node from the inside. The I/O thread (loop.c) owns everything but the parts marked
 * shared. */
#ifndef SL_NODE_NODE_H
#define SL_NODE_NODE_H

#include <pthread.h>
#include <starling.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "gossip/gossip.h"
#include "node/checks.h"
#include "node/command.h"
#include "node/debug.h"
#include "node/identity.h"
#include "node/renewal.h"
#include "node/revoked.h"
#include "node/probe.h"
#include "node/resolve.h"
#include "node/rundir.h"
#include "node/sections.h"
#include "node/settings.h"
#include "node/snapshot.h"
#include "node/state.h"
#include "node/transport.h"
#include "node/yield.h"
#include "store/store.h"

#define SL_EVENTS_KEPT 512 /* ring of past events, for watchers that resume with `since` */
#define SL_WATCHES_MAX 64

/* Ring of the newest events, shared between the I/O thread (writes) and watches (read). */
struct sl_events {
    pthread_mutex_t lock;                /* held for a copy, never across a call out */
    starling_event ring[SL_EVENTS_KEPT]; /* the event numbered `seq` is at seq % SL_EVENTS_KEPT */
    uint64_t next_seq;                   /* of the next event; starts at 1 */
    struct starling_watch *watches;
    unsigned n_watches;
};

/* Where somebody was dialled or probed, by link number: only a memory aid for "it refused", so
 * an entry that was overwritten does no harm. */
#define SL_DIALLED_KEPT 512
/* Addresses read from the runtime directory, and addresses behind the configured seeds. */
#define SL_PLACES_KEPT 256

struct sl_places {
    struct sl_dialled {
        sl_link link; /* 0 = unused */
        struct sl_addr addr;
    } dialled[SL_DIALLED_KEPT];
    struct sl_addr files[SL_PLACES_KEPT]; /* as of the last scan */
    size_t n_files;
    struct sl_addr configured[SL_PLACES_KEPT];
    size_t n_configured;
    sl_usec scan_at;
    struct timespec scanned; /* the directory's mtime then; 0 = scan whatever it says */

    struct sl_addr known[SL_PEERS_MAX]; /* newest first; STATE/peers */
    size_t n_known;
    bool known_changed;
    sl_usec save_at; /* not before */
};

struct starling_node {
    /* fixed after open */
    struct sl_settings settings;
    struct sl_identity identity;
    unsigned process; /* sl_process() of who may use the handle; a forked child may not */
    char address[STARLING_ADDRESS_MAX];
    struct sl_addr advertised;
    starling_options options; /* callbacks */
    struct sl_log log;
    struct sl_crypto crypto;
    struct sl_ports ports;

    /* the I/O thread's */
    pthread_t thread;
    bool has_thread;
    struct sl_gossip *gossip;
    struct sl_store *store; /* readers' side is shared, see store.h */
    struct sl_transport *transport;
    struct sl_rundir rundir;
    struct sl_probes probes;
    struct sl_checks checks;
    struct sl_resolver *resolver;
    struct sl_debug *debug;
    struct sl_places places;
    struct sl_snapshot snapshot;
    struct sl_reveal reveal;
    struct sl_sections_stats sections; /* of what others said */
    sl_usec started;
    int64_t wall_offset_us; /* as last told to gossip */
    struct sl_revocations revocations;
    struct sl_renewal renewal;
    sl_usec wall_at;        /* when to look again, if awake */
    enum sl_life life;      /* as last told in the log */
    sl_usec life_at;        /* when to tell it again */
    sl_usec say_at;         /* commands want another turn then */
    sl_usec publish_at;     /* the store waits to be published; SL_NEVER = it does not */
    sl_usec deliver_at;     /* no batch of changes to the application before this */
    bool changes_wait;      /* there may be some */
    sl_usec refeed_at;      /* memory was short: feed the store anew; SL_NEVER = no */
    bool out;               /* gave way to another process with its key, and has no other */
    sl_usec out_said_at;    /* when to say so again */
    bool isolated;          /* the core says so: cut off from everybody */
    bool leaving, left;
    sl_usec leave_at; /* the latest end of leaving */

    /* shared */
    const char *_Atomic id_hex; /* the present one of own_ids, which are the I/O thread's */
    struct sl_own_id *own_ids;
    pthread_mutex_t store_lock;  /* views open and close, publish tries */
    struct sl_events events;
    int state_fd; /* the lock on the state directory; -1 = none */
    int wake_fd; /* eventfd: commands wait */
    struct sl_commands commands;
    atomic_bool stopped;       /* the I/O thread ended */
    pthread_mutex_t wait_lock; /* starling_wait_*: held to compare `published` */
    pthread_cond_t wait_cond;  /* signalled after a publish */
    uint64_t published;        /* under wait_lock */
};

/* Monotonic and wall clock (CLOCK_BOOTTIME, so that a suspend counts as time; CLOCK_REALTIME). */
sl_usec sl_now(void);
int64_t sl_wall_us(void);
/* Milliseconds of a monotonic clock that costs no system call and moves in steps of up to 10; wraps.
 * What picks are given. */
uint32_t sl_coarse_ms(void);

/* An epoch drawn at this wall clock: 48 bits of milliseconds, 16 of chance. */
uint64_t sl_epoch_of(int64_t wall_us, uint64_t chance);

/* Which process this is: changes in a child after fork(), costs no system call. */
unsigned sl_process(void);

/* 0, STARLING_EINVAL (NULL) or STARLING_EFORK: what every public call asks first. */
int sl_node_check(const starling_node *node) SL_MUST_USE;
/* Called from inside a callback, that is, on the I/O thread itself. */
bool sl_node_in_callback(const starling_node *node);
/* Rouse the I/O thread. Any thread. */
void sl_node_wake(starling_node *node);

/* Wait until they are told something later than *seen, which is then that; false when the deadline
 * (CLOCK_MONOTONIC; NULL = none) came first. An application's thread. */
bool sl_node_wait_news(starling_node *node, uint64_t *seen, const struct timespec *deadline);
/* Tell everybody who waits in starling_wait_* and starling_drain. */
void sl_node_tell_waiters(starling_node *node);

/* Number the event, keep it, wake watches, call on_event unless it is another tenant's than the
 * default. The I/O thread's. */
void sl_events_add(starling_node *node, starling_event *event);
/* Copy the first event after number *cursor that is about no service, or about one of this tenant and
 * (unless "") this name, and move *cursor there. When some were lost: a RESYNC with the number of the
 * newest one. False: none waits. */
bool sl_events_next(struct sl_events *e, const char *tenant, const char *service, uint64_t *cursor,
                    starling_event *ret);
void sl_watches_free(starling_node *node);
void sl_watches_tell_stopped(starling_node *node);

/* For the debug socket, on the I/O thread. */
/* The operator's word beats all others, until `base` gives the weight back. 0, EINVAL, ENOENT,
 * EBUSY, ECLOSED. */
int sl_node_set_weight(starling_node *node, const char *tenant, const char *name, bool base,
                       unsigned weight) SL_MUST_USE;
/* Weight 0 for every service. 0, EBUSY, ECLOSED. */
int sl_node_drain(starling_node *node) SL_MUST_USE;
/* Look at the load, when it is time. On the I/O thread, under commands.lock. */
void sl_weigh_turn(starling_node *node, sl_usec now);
void sl_node_leave(starling_node *node); /* say goodbye and stop; the handle stays */
#endif
