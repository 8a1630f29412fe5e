/* starling.h: embed a node of a flock in this process.
 *
 * Every service process embeds a node. Nodes gossip who is there, how healthy they are and how much
 * they can take, so that each holds the registry in its own memory and starling_pick() is a memory
 * read. There is no server to ask and none to fail.
 *
 * Rules that hold for every call:
 *  - 0 or a count on success, a negative enum starling_error on failure; never errno. The sentence
 *    behind the last failure of the calling thread is starling_error_text().
 *  - Strings passed in are copied. Outputs (ret_...) are set only on success.
 *  - Structs grow: zero-initialise them, zero means default. The inline wrappers pass the size the
 *    program was compiled with to the exported _sized symbol, so old programs run on new libraries.
 *  - Any thread may call, and no call waits for the network unless it takes a timeout. No call may
 *    race the close of its own handle, as with free().
 *  - After fork() the child gets STARLING_EFORK; exec, or open a node of its own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef STARLING_H
#define STARLING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STARLING_API __attribute__((visibility("default")))
#define STARLING_MUST_USE __attribute__((warn_unused_result))
#else
#define STARLING_API
#define STARLING_MUST_USE
#endif

#define STARLING_VERSION_MAJOR 0
#define STARLING_VERSION_MINOR 1
#define STARLING_VERSION_PATCH 0

/* Sizes of fixed buffers, terminating NUL included. Names are [a-z0-9._-]{1,63}. */
#define STARLING_NAME_MAX 64
#define STARLING_HOST_MAX 64
#define STARLING_ADDRESS_MAX 72 /* "[ipv6]:port" */
#define STARLING_ID_MAX 33      /* 128 bits in hexadecimal */
#define STARLING_NOTE_MAX 128

#define STARLING_SERVICES_MAX 64    /* services one node offers */
#define STARLING_META_PAIRS_MAX 64  /* metadata pairs of a service */
#define STARLING_META_BYTES_MAX 4096 /* all keys and values of a service together */
#define STARLING_WEIGHT_DEFAULT 100
#define STARLING_WEIGHT_MAX 1000
#define STARLING_PORT_DEFAULT 7700

enum starling_error {
    STARLING_EINVAL = -1,    /* an argument or a setting is wrong; the text names it */
    STARLING_ENOMEM = -2,    /* out of memory */
    STARLING_ENOENT = -3,    /* no such thing: nobody offers the service, no such registration */
    STARLING_EEXIST = -4,    /* it is there already */
    STARLING_EUNAVAIL = -5,  /* offered, but no instance is fit; or the address is taken */
    STARLING_EBUSY = -6,     /* the node cannot take it at this moment: try again */
    STARLING_ETIMEDOUT = -7, /* the deadline passed first */
    STARLING_ELIMIT = -8,    /* a limit of this header, or of the process (descriptors) */
    STARLING_EAUTH = -9,     /* credentials missing, damaged, readable by others or of another flock;
                              * or they do not grant this */
    STARLING_EFORK = -10,    /* the node belongs to the parent process */
    STARLING_ECLOSED = -11,  /* the node stopped */
    STARLING_EIO = -12       /* the system refused; the text names file and reason */
};

enum starling_health { STARLING_PASSING = 0, STARLING_WARNING = 1, STARLING_CRITICAL = 2 };

enum starling_status {
    STARLING_ALIVE = 0,   /* reachable as far as the flock knows */
    STARLING_SUSPECT = 1, /* somebody who watches it cannot reach it; offered last */
    STARLING_DOWN = 2,    /* most of those who watch it cannot reach it */
    STARLING_LEFT = 3     /* it said goodbye */
};

typedef struct starling_node starling_node;
typedef struct starling_registration starling_registration;
typedef struct starling_view starling_view;
typedef struct starling_watch starling_watch;

/* ---- about ------------------------------------------------------------------------------ */

/* Version of the library in use, "MAJOR.MINOR.PATCH". Static storage, any thread. */
STARLING_API const char *starling_version(void);

/* Short text for an error code, never NULL. Static storage, any thread. */
STARLING_API const char *starling_strerror(int error);

/* The last failure of the calling thread as a sentence that says what a person can do about it;
 * "" when there was none. Valid until this thread's next failing call. */
STARLING_API const char *starling_error_text(void);

/* ---- events ----------------------------------------------------------------------------- */

enum starling_event_type {
    STARLING_MEMBER_UP = 1,
    STARLING_MEMBER_SUSPECT = 2,
    STARLING_MEMBER_DOWN = 3,
    STARLING_MEMBER_LEFT = 4,
    STARLING_INSTANCE_ADDED = 5,
    STARLING_INSTANCE_CHANGED = 6,
    STARLING_INSTANCE_REMOVED = 7,
    STARLING_CONFLICT = 8, /* two live nodes share one name; or, with the id that this node has had, another
                            * process lives with its key: it has another id now, or is out (picks are stale) */
    STARLING_RESYNC = 9,   /* events were lost to overflow: list again, nothing before counts */
    STARLING_PANIC = 10,   /* fewer than half of a service's instances are fit (STARLING_F_PANIC) */
    STARLING_CALM = 11     /* enough are again, or nobody offers it any more */
};

struct starling_event {
    uint64_t seq;      /* rises by one for each event of a node, of whatever tenant */
    int64_t wall_ms;   /* wall clock, milliseconds since 1970 */
    enum starling_event_type type;
    char node[STARLING_NAME_MAX];  /* of the member it is about, "" for resync, panic and calm */
    char id[STARLING_ID_MAX];      /* its id */
    char address[STARLING_ADDRESS_MAX]; /* of the member, or host:port of the instance */
    char service[STARLING_NAME_MAX];    /* of instance events, panic and calm, else "" */
    char tenant[STARLING_NAME_MAX];     /* likewise */
    enum starling_health health;        /* of instance events */
    unsigned weight;                    /* of instance events */
};

/* ---- node ------------------------------------------------------------------------------- */

/* Settings; each unset one (NULL, 0) is taken from the environment (STARLING_...), then from the
 * configuration file, then has its default. Copied. */
struct starling_options {
    const char *flock;       /* the mesh to join; default "default" */
    const char *name;        /* this node; default HOSTNAME-RANDOM */
    const char *listen;      /* HOST[:PORT]; default a loopback address on a free port */
    const char *advertise;   /* what others are told; default what is listened on */
    const char *seeds;       /* comma-separated HOST[:PORT]; default none */
    const char *zone;        /* label of the failure domain; default "" */
    const char *state_dir;   /* keeps key, peers, who offered what; default none, nothing */
    const char *runtime_dir; /* sockets and address files; default $XDG_RUNTIME_DIR/starling */
    const char *config_dir;  /* the authority; default $XDG_CONFIG_HOME/starling */
    const char *credentials; /* certificate file; default self-issued from the authority */
    const char *config_file; /* key = value lines; default none */
    unsigned leave_ms;       /* how long starling_close() may take to say goodbye; default 1000 */
    /* Log lines, on the I/O thread; must not block. level: 1 error, 2 warning, 3 info, 4 debug.
     * Unset: the library is silent unless STARLING_LOG asks for stderr. */
    void (*log)(void *context, int level, const char *line);
    void *log_context;
    int log_level; /* highest level delivered; 0 = info */
    /* Every event of members and of the default tenant, on the I/O thread; must not block and may
     * call only the functions that are marked so. */
    void (*on_event)(void *context, const struct starling_event *event);
    void *event_context;
};
typedef struct starling_options starling_options;
typedef struct starling_event starling_event;

/* Open a node and start joining in the background; never waits for the network.
 * `options` may be NULL. The node is the caller's, to be closed with starling_close().
 * 0, EINVAL, ENOMEM, EAUTH, ELIMIT (descriptors), EUNAVAIL (address or state directory in use), EIO. */
STARLING_API int starling_open_sized(const starling_options *options, size_t size,
                                     starling_node **ret_node) STARLING_MUST_USE;
static inline int starling_open(const starling_options *options, starling_node **ret_node)
{
    return starling_open_sized(options, sizeof *options, ret_node);
}

/* Leave the flock (up to leave_ms), stop the node and free it with all its handles. NULL is fine.
 * Not from a callback. */
STARLING_API void starling_close(starling_node *node);

/* Wait until `n` members, this one included, are alive here. timeout_ms < 0 waits for ever.
 * 0, ETIMEDOUT, EINVAL, EFORK, ECLOSED. Not from a callback. */
STARLING_API int starling_wait_members(starling_node *node, unsigned n,
                                       int timeout_ms) STARLING_MUST_USE;

/* This node's flock, name, id and advertised address. Valid until the node is closed. Callbacks may call.
 * The id is another, behind another pointer, after a STARLING_CONFLICT about this node: see there. */
STARLING_API const char *starling_node_flock(const starling_node *node);
STARLING_API const char *starling_node_name(const starling_node *node);
STARLING_API const char *starling_node_id(const starling_node *node);
STARLING_API const char *starling_node_address(const starling_node *node);

struct starling_member {
    char id[STARLING_ID_MAX];
    char name[STARLING_NAME_MAX];
    char address[STARLING_ADDRESS_MAX];
    char zone[STARLING_NAME_MAX];
    enum starling_status status;
    uint64_t epoch;      /* rises with each start of that node */
    unsigned n_services; /* services it offers, as far as this node can read them */
};
typedef struct starling_member starling_member;

/* Copy up to `cap` members, ordered by name and id. Returns how many there are in *ret_n, which may
 * exceed `cap`. `ret_members` may be NULL when cap is 0. Wait-free. 0, EINVAL, EFORK. */
STARLING_API int starling_members_sized(starling_node *node, size_t cap,
                                        starling_member *ret_members, size_t size,
                                        size_t *ret_n) STARLING_MUST_USE;
static inline int starling_members(starling_node *node, size_t cap, starling_member *ret_members,
                                   size_t *ret_n)
{
    return starling_members_sized(node, cap, ret_members, sizeof *ret_members, ret_n);
}

/* ---- offering --------------------------------------------------------------------------- */

struct starling_meta {
    const char *key;
    const char *value;
};

/* How this node finds out whether the service works. The worse of what it finds and what
 * starling_set_health() says is told. */
enum starling_check {
    STARLING_CHECK_NONE = 0, /* it is as starling_set_health() says */
    STARLING_CHECK_TCP,      /* a connection can be made */
    STARLING_CHECK_HTTP,     /* a GET is answered as it should be; 429 is a warning */
    STARLING_CHECK_CALL,     /* a function of yours says */
    STARLING_CHECK_TTL       /* starling_renew() is called in time */
};

struct starling_service {
    const char *name;    /* required */
    const char *tenant;  /* default "default", which every member can read; another's is read by
                          * nodes that have its key, others pass it on sealed */
    const char *host;    /* numeric address; default the node's advertised host */
    unsigned port;       /* required, 1-65535 */
    const char *version; /* free text up to 63 bytes; default "" */
    const struct starling_meta *meta; /* n_meta pairs */
    size_t n_meta;
    unsigned weight;             /* 1-1000; 0 = 100 */
    enum starling_health health; /* to start with; with a check, until its first verdict */

    enum starling_check check;
    const char *check_host;   /* TCP, HTTP: numeric address; default the service's own */
    unsigned check_port;      /* TCP, HTTP: default the service's own */
    const char *check_path;   /* HTTP: default "/" */
    unsigned check_status;    /* HTTP: the one that passes; 0 = any 2xx */
    const char *check_body;   /* HTTP: text that the first 64 KiB of the body must have, up to 255
                               * bytes; default any body */
    /* CALL: returns an enum starling_health, and may write a note. On a thread of its own, where it
     * may block and signals are blocked: no answer in time counts as a failure, and it is never
     * called again before it has returned. It may call everything but starling_close() and
     * starling_drain(). */
    int (*check_call)(void *context, char note[STARLING_NOTE_MAX]);
    void *check_context;
    unsigned check_interval_ms; /* 10 to 3600000; 0 = 2000. TTL: how long a renewal lasts; 0 = 10000 */
    unsigned check_timeout_ms;  /* 1 to 600000; 0 = 1000 */
    unsigned check_rise;        /* passes in a row until it is fit again; 0 = 1 */
    unsigned check_fall;        /* failures in a row until it is critical; 0 = 3 */
    unsigned check_hold;        /* 1: not offered before check_rise checks in a row have passed */
};
typedef struct starling_meta starling_meta;
typedef struct starling_service starling_service;

/* Offer a service on this node until deregistered or closed. `ret_registration` may be NULL.
 * 0, EINVAL, EEXIST (this node offers it already), EAUTH (no key of the tenant, or a name that this
 * node's certificate does not let it offer), ELIMIT, ENOMEM, EFORK, ECLOSED. */
STARLING_API int starling_register_sized(starling_node *node, const starling_service *service,
                                         size_t size,
                                         starling_registration **ret_registration) STARLING_MUST_USE;
static inline int starling_register(starling_node *node, const starling_service *service,
                                    starling_registration **ret_registration)
{
    return starling_register_sized(node, service, sizeof *service, ret_registration);
}

/* Withdraw the service and free the handle. NULL is fine. Waits for a check_call that runs, unless
 * called from inside one: then its context is not needed any more. */
STARLING_API void starling_deregister(starling_registration *registration);

/* Say how the service is; `note` may be NULL: UTF-8 text, of which 127 bytes are kept. Spreads at once.
 * 0, EINVAL, EFORK, ECLOSED.
 * Callbacks may call. */
STARLING_API int starling_set_health(starling_registration *registration,
                                     enum starling_health health,
                                     const char *note) STARLING_MUST_USE;

/* Weight 1-1000 for a share of requests, 0 takes no new ones. Load lowers it (starling_report_load),
 * an operator's word (starling weight) beats it. 0, EINVAL, EFORK, ECLOSED. Callbacks may call. */
STARLING_API int starling_set_weight(starling_registration *registration,
                                     unsigned weight) STARLING_MUST_USE;

/* The service works: passing until check_interval_ms from now. For STARLING_CHECK_TTL; cheap.
 * 0, EINVAL, EFORK, ECLOSED. Callbacks may call. */
STARLING_API int starling_renew(starling_registration *registration) STARLING_MUST_USE;

/* Say how loaded the service is: `utilisation` is its share of what it can do, 1 is all, more is
 * overload; `in_flight` requests are being worked on. The larger of this (for 10 s) and the CPU of
 * this process, averaged over 10 s, lowers the weight from 0.5 on: to 0.5 / utilisation of it, at
 * least a quarter. `in_flight` is what starling_drain() waits for. Cheap, call it as often as you
 * like. 0, EINVAL (negative or not a number), EFORK, ECLOSED. Callbacks may call. */
STARLING_API int starling_report_load(starling_registration *registration, double utilisation,
                                      unsigned in_flight) STARLING_MUST_USE;

/* Weight 0 for every service of this node from now on, also for those registered later. Returns
 * after grace_ms, or sooner (but not before the flock had 100 ms to hear of it) once every service
 * that reports its load has 0 in flight; where none does, after grace_ms. 0 returns at once. Then
 * close the node. 0, EINVAL, EFORK, ECLOSED. Not from a callback. */
STARLING_API int starling_drain(starling_node *node, unsigned grace_ms) STARLING_MUST_USE;

/* ---- finding ---------------------------------------------------------------------------- */

/* How one of several fit instances is chosen. Sources: docs/DESIGN.md, "Balancing". */
enum starling_strategy {
    /* Of two at random the one with the smaller latency x (requests out + 1) / weight; latencies are
     * peak-sensitive averages of what starling_done() said, a failure counts as slow. */
    STARLING_P2C_EWMA = 0,
    STARLING_ROUND_ROBIN,       /* in turn, for each thread from a random start; by weight */
    STARLING_WEIGHTED_RANDOM,   /* at random, by weight */
    STARLING_LEAST_CONNECTIONS, /* fewest requests out for its weight: of two, of all up to eight */
    STARLING_RENDEZVOUS,        /* by the key of starling_pick_with(), on node names: the keys of an
                                   instance that comes or goes move, no others */
    STARLING_HEALTHY_FIRST,     /* STARLING_P2C_EWMA behind STARLING_TIER_HEALTHY */
    STARLING_LOCAL_FIRST        /* STARLING_P2C_EWMA behind STARLING_TIER_LOCAL */
};

/* What comes before the strategy, or-ed. Suspect instances are last in any case. */
enum starling_tier {
    STARLING_TIER_HEALTHY = 1, /* passing before warning: these take 1.4 times their share of the
                                  instances, what is left over goes to the others */
    STARLING_TIER_LOCAL = 2,   /* this host, this zone, then the rest, as far as servers here suffice
                                  for the nodes here; from six instances on */
    STARLING_TIER_STRICT = 4   /* never leave the zone while it has anybody */
};

/* When fewer than half of three or more instances that are there and take requests are fit. */
enum starling_panic {
    STARLING_PANIC_SPREAD = 0, /* health is not believed: all take requests, STARLING_F_PANIC says so */
    STARLING_PANIC_FAIL = 1    /* STARLING_EUNAVAIL */
};

enum starling_instance_flags {
    STARLING_F_SUSPECT = 1, /* picked although its node is suspect: nobody better was there */
    STARLING_F_STALE = 2,   /* this node is cut off from its flock, or knows only what it kept in
                             * state_dir, not having heard from it yet: maybe out of date */
    STARLING_F_DOWN = 4,    /* listed, never picked: its node is down */
    STARLING_F_PANIC = 8    /* picked although it may not be fit: too few are */
};

struct starling_instance {
    char host[STARLING_HOST_MAX];
    unsigned port;
    enum starling_health health;
    unsigned weight;
    unsigned flags; /* enum starling_instance_flags, or-ed */
    uint64_t ticket; /* opaque, for starling_done(); 0 where the strategy learns nothing from it */
    char node[STARLING_NAME_MAX];
    char id[STARLING_ID_MAX];
    char zone[STARLING_NAME_MAX];
    char version[STARLING_NAME_MAX];
};
typedef struct starling_instance starling_instance;

struct starling_view_options {
    const char *tenant; /* default "default"; one that this node has no key of: nobody offers it */
    enum starling_strategy strategy;
    unsigned tiers;      /* enum starling_tier, or-ed */
    const char *version; /* only such versions: ">=1.2 <2", "1.4" (all of 1.4); default any */
    const char *select;  /* only such metadata: "key=value,other!=value,key,!key"; default any */
    enum starling_panic panic;
    unsigned load_bound; /* percent of the average an instance may have out before a key goes to its
                            next one, for STARLING_RENDEZVOUS: 125, say; default 0, no bound */
    unsigned timeout_ms; /* what a failed request counts as at least; default 0, as it took */
};
typedef struct starling_view_options starling_view_options;

/* Open the view of a service; also of one nobody offers yet. Interned and counted: as many closes
 * as opens, and opening it again is a lookup. `options` may be NULL. 0, EINVAL, ENOMEM, EFORK. */
STARLING_API int starling_view_open_sized(starling_node *node, const char *service,
                                          const starling_view_options *options, size_t size,
                                          starling_view **ret_view) STARLING_MUST_USE;
static inline int starling_view_open(starling_node *node, const char *service,
                                     const starling_view_options *options, starling_view **ret_view)
{
    return starling_view_open_sized(node, service, options, sizeof *options, ret_view);
}
STARLING_API void starling_view_close(starling_view *view);

/* Pick one instance for the next request, by the view's strategy among the fit ones (alive, not
 * critical, weight above 0), a suspect one only where nobody better is left.
 * Copies into *ret_instance; nothing to free. Give the ticket back with starling_done() so that load
 * can be balanced. Wait-free. Callbacks may call.
 * 0, ENOENT (nobody offers it), EUNAVAIL (offered, nobody is fit), EINVAL, EFORK. */
STARLING_API int starling_pick_sized(starling_view *view, starling_instance *ret_instance,
                                     size_t size) STARLING_MUST_USE;
static inline int starling_pick(starling_view *view, starling_instance *ret_instance)
{
    return starling_pick_sized(view, ret_instance, sizeof *ret_instance);
}

struct starling_pick_options {
    const void *key;  /* for STARLING_RENDEZVOUS: the same key, the same instance; key_len bytes */
    size_t key_len;   /* default 0: a key at random */
    const starling_instance *tried; /* n_tried instances not to pick again */
    size_t n_tried;
};
typedef struct starling_pick_options starling_pick_options;

/* Pick as starling_pick() does, with a key or past instances that were tried. `options` may be NULL.
 * Wait-free, for keys in time that grows with the instances. Callbacks may call.
 * 0, ENOENT, EUNAVAIL (also: all have been tried), EINVAL, EFORK. */
STARLING_API int starling_pick_with_sized(starling_view *view, const starling_pick_options *options,
                                          size_t options_size, starling_instance *ret_instance,
                                          size_t size) STARLING_MUST_USE;
static inline int starling_pick_with(starling_view *view, const starling_pick_options *options,
                                     starling_instance *ret_instance)
{
    return starling_pick_with_sized(view, options, sizeof *options, ret_instance,
                                    sizeof *ret_instance);
}

enum starling_outcome {
    STARLING_OK = 0,
    STARLING_FAILED,     /* an answer that counts against the instance: 5xx, a broken connection */
    STARLING_REFUSED,    /* no connection */
    STARLING_TIMED_OUT,
    STARLING_OVERLOADED, /* it said that it has too much to do */
    STARLING_CANCELLED   /* nobody waits for the answer any more: says nothing of the instance */
};

/* The request that `who` was picked for has ended. latency_us: until its answer, 0 where unknown.
 * A ticket counts once; one never given back is forgotten after 60 to 80 seconds, one of an instance
 * that has gone is of no effect. Wait-free, any thread. Callbacks may call. 0, EINVAL, EFORK. */
STARLING_API int starling_done_sized(starling_view *view, const starling_instance *who, size_t size,
                                     enum starling_outcome outcome, uint32_t latency_us);
static inline int starling_done(starling_view *view, const starling_instance *who,
                                enum starling_outcome outcome, uint32_t latency_us)
{
    return starling_done_sized(view, who, sizeof *who, outcome, latency_us);
}

/* Copy up to `cap` instances, fit or not, ordered by node name and id; *ret_n says how many there
 * are. Wait-free. 0, EINVAL, EFORK. */
STARLING_API int starling_view_list_sized(starling_view *view, size_t cap,
                                          starling_instance *ret_instances, size_t size,
                                          size_t *ret_n) STARLING_MUST_USE;
static inline int starling_view_list(starling_view *view, size_t cap,
                                     starling_instance *ret_instances, size_t *ret_n)
{
    return starling_view_list_sized(view, cap, ret_instances, sizeof *ret_instances, ret_n);
}

/* Metadata value of an instance that was picked or listed, copied with its NUL into `buffer`.
 * 0, ENOENT (no such key, or the instance has gone), ELIMIT (buffer too small), EINVAL, EFORK. */
STARLING_API int starling_instance_meta_sized(starling_view *view, const starling_instance *who,
                                              size_t size, const char *key, size_t cap,
                                              char *buffer) STARLING_MUST_USE;
static inline int starling_instance_meta(starling_view *view, const starling_instance *who,
                                         const char *key, size_t cap, char *buffer)
{
    return starling_instance_meta_sized(view, who, sizeof *who, key, cap, buffer);
}

/* Wait until `n` instances are fit. timeout_ms < 0 waits for ever. 0, ETIMEDOUT, EINVAL, EFORK,
 * ECLOSED. Not from a callback. */
STARLING_API int starling_wait_fit(starling_view *view, unsigned n,
                                   int timeout_ms) STARLING_MUST_USE;

/* ---- watching --------------------------------------------------------------------------- */

struct starling_watch_filter {
    const char *service; /* only instance events of this service; default all events */
    uint64_t since;      /* first deliver remembered events with seq > since; 0 = only new ones */
    const char *tenant;  /* whose services, in events of instances, panic and calm; default
                          * "default". Events of members come to every watch */
};
typedef struct starling_watch_filter starling_watch_filter;

/* Open a stream of changes with a bounded queue of its own. `filter` may be NULL.
 * 0, EINVAL, ENOMEM, ELIMIT, EFORK. */
STARLING_API int starling_watch_open_sized(starling_node *node, const starling_watch_filter *filter,
                                           size_t size, starling_watch **ret_watch) STARLING_MUST_USE;
static inline int starling_watch_open(starling_node *node, const starling_watch_filter *filter,
                                      starling_watch **ret_watch)
{
    return starling_watch_open_sized(node, filter, sizeof *filter, ret_watch);
}

/* A descriptor that polls readable while events wait, and once the node has stopped; owned by the watch.
 * Negative on error. */
STARLING_API int starling_watch_fd(starling_watch *watch);

/* Take the next event; never waits. 1 (filled), 0 (none waiting), EINVAL, EFORK, ECLOSED (the node was told
 * to leave over its debug socket, and no event is left). */
STARLING_API int starling_watch_next_sized(starling_watch *watch, starling_event *ret_event,
                                           size_t size) STARLING_MUST_USE;
static inline int starling_watch_next(starling_watch *watch, starling_event *ret_event)
{
    return starling_watch_next_sized(watch, ret_event, sizeof *ret_event);
}
STARLING_API void starling_watch_close(starling_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
