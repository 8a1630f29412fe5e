/* store.h: the registry of services, built from facts; what applications read.
 *
 * The owner (the I/O thread in node/) feeds members and their facts; readers in any thread read
 * immutable rosters through a pointer that is exchanged when something changed. The store knows no
 * network, clock, entropy or thread: time and chance are arguments, memory comes through the port.
 *
 * What is published is a function of the newest facts alone, never of the order in which they came:
 *  - An instance is (node id, tenant, name). Those of members that left or are forgotten are gone;
 *    those of members that are down are listed, never picked, and to watchers they are removed.
 *  - A service without an entry in its node's vitals passes, with its base weight: put vitals
 *    before the record when that is not so.
 *
 * Threads. Feeding and looking inside are for the one owner, without a lock. sl_store_publish,
 * sl_store_next_change and sl_view_open/_close exclude each other by a lock of the caller's. Reading is wait-free from any
 * thread: no lock, no allocation, no system call. The allocator serves all of the former. */
#ifndef SL_STORE_STORE_H
#define SL_STORE_STORE_H

#include "base/addr.h"
#include "base/limits.h"
#include "base/port.h"

struct sl_store;
struct sl_view;

/* ---- what a service section says -------------------------------------------------------- */

/* One service as its node offers it. The codec below turns lists of these into section bytes, which
 * travel inside a record (all fields but health, weight, note) and inside vitals (health, weight,
 * note). Which tenants a member may speak for, and what is sealed on the way, is node/sections.h's. */
struct sl_service {
    char tenant[64];
    char name[64];
    char host[64]; /* numeric; "" = the node's address */
    uint16_t port;
    char version[64];
    uint16_t base_weight; /* 1-1000 */
    struct sl_service_meta {
        struct sl_span key, value; /* borrowed from whoever filled this in; key 1-255 bytes */
    } meta[64];
    size_t n_meta;
    uint8_t health;  /* enum starling_health */
    uint16_t weight; /* 0-1000 */
    char note[128];
};

/* Room for sections in the two facts, next to what else they carry (PROTOCOL.md, "Facts"). */
#define SL_RECORD_SECTIONS_MAX (SL_RECORD_MAX - 1024)
#define SL_VITALS_SECTIONS_MAX (SL_VITALS_MAX - 256)

/* What is wrong with a service, as words after "service: "; NULL when nothing is. Readers ignore a
 * service with a fault, so ask before offering one. */
const char *sl_service_fault(const struct sl_service *service);

/* Bytes written, 0 when it does not fit, a service has a fault or is there twice. Canonical:
 * services are written in order of (tenant, name) and metadata in order of keys, whatever the
 * caller's order. Notes are shortened before vitals fail to fit: SL_SERVICES_MAX services always do
 * in SL_VITALS_SECTIONS_MAX. */
size_t sl_sections_write_record(const struct sl_service *const *services, size_t n, uint8_t *out,
                                size_t cap);
size_t sl_sections_write_vitals(const struct sl_service *const *services, size_t n, uint8_t *out,
                                size_t cap);
/* Vitals with notes of at most note_max bytes each. */
size_t sl_sections_write_short(const struct sl_service *const *services, size_t n, size_t note_max,
                               uint8_t *out, size_t cap);

/* ---- feeding (owner) -------------------------------------------------------------------- */

struct sl_store_member {
    struct sl_id id;
    char name[64];
    char zone[64];
    struct sl_addr addr;
    uint64_t epoch;
    uint8_t status; /* enum starling_status */
    bool self;
};

/* Makes all threads of the process run a full memory barrier (epoch.h). False: it could not, what
 * readers no longer see is kept until it can. */
typedef bool sl_barrier(void);

/* `barrier` may be NULL: then reads are dearer. 0 or ENOMEM. */
int sl_store_new(const struct sl_alloc *alloc, uint64_t seed, sl_barrier *barrier,
                 struct sl_store **ret) SL_MUST_USE;
/* No reader may be inside. */
void sl_store_free(struct sl_store *s);

/* A member appeared or changed (status, name, address). 0, ENOMEM, ELIMIT (SL_MEMBERS_MAX are
 * known). */
int sl_store_member(struct sl_store *s, const struct sl_store_member *m) SL_MUST_USE;
/* Its record's service sections: what cannot be read is ignored and counted once, a bad service
 * alone, a malformed section as a whole (then the member offers nothing). 0, ENOMEM (then nothing
 * changed), ENOENT without sl_store_member before it. */
int sl_store_record(struct sl_store *s, const struct sl_id *id, struct sl_span sections)
    SL_MUST_USE;
/* Its vitals' service sections, likewise. May arrive before the record. */
int sl_store_vitals(struct sl_store *s, const struct sl_id *id, struct sl_span sections)
    SL_MUST_USE;
void sl_store_forget(struct sl_store *s, const struct sl_id *id);
/* This node is cut off (or no longer): readers see STARLING_F_STALE. */
void sl_store_stale(struct sl_store *s, bool stale);
/* Rebuild and publish what changed since the last call, free what no reader holds any more. Call
 * once after a batch of changes and when sl_store_deadline says so, holding the lock that sl_view_open and _close are called under
 * (node/ takes it with trylock and comes back a millisecond later: the owner never waits for an
 * application). 0, or ENOMEM: then nothing changed for readers, call again. */
int sl_store_publish(struct sl_store *s, sl_usec now) SL_MUST_USE;
/* When publishing is due although nothing changed: weights of newcomers rise, or readers may have let
 * go of what waits to be freed. SL_NEVER: not. */
sl_usec sl_store_deadline(const struct sl_store *s);

/* What publishing changed, for watchers: the difference between two publishes, so that a flip back
 * and forth in between does not show. Of one publish: members in the order in which they were first
 * touched, then instances by (tenant, service, node, id). A member appears with its status,
 * whatever that is; one forgotten while reachable is told as down. An instance is added and removed
 * as its member becomes reachable (alive, suspect) or not, and changed by health, weight, endpoint,
 * zone, version, metadata. */
enum sl_change_type {
    SL_MEMBER_STATUS,
    SL_INSTANCE_ADDED,
    SL_INSTANCE_CHANGED,
    SL_INSTANCE_REMOVED,
    SL_SERVICE_PANIC, /* of those who offer it and take requests fewer than half are fit */
    SL_SERVICE_CALM,  /* no longer, or there is none */
    SL_CHANGES_LOST   /* more than SL_CHANGES_MAX waited and the oldest were dropped: list again */
};
#define SL_CHANGES_MAX 4096
struct sl_change {
    enum sl_change_type type;
    uint8_t status; /* of MEMBER_STATUS: enum starling_status */
    struct sl_id id;
    char node[64];
    char address[SL_ADDR_TEXT]; /* of the member, or host:port of the instance */
    char tenant[64], service[64];
    uint8_t health;
    uint16_t weight;
};
/* With the lock of sl_store_publish, too. */
bool sl_store_next_change(struct sl_store *s, struct sl_change *ret);

/* ---- looking inside (owner) ------------------------------------------------------------- */
/* As last published. */

struct sl_instance {
    struct sl_id id;                                 /* of the node */
    const char *node, *zone, *version, *host, *note; /* texts live as long as the instance */
    uint16_t port;
    uint16_t weight;
    uint8_t status; /* enum starling_status */
    uint8_t health;
    const uint8_t *meta; /* n_meta times: key length 1, value length 2 (big-endian), key, value */
    size_t meta_len, n_meta;
};
/* Services in order of (tenant, name); false past the end. `i` counts from 0. Texts are borrowed
 * until the next publish. */
bool sl_store_service(const struct sl_store *s, size_t i, const char **ret_tenant,
                      const char **ret_name, size_t *ret_n_instances);
/* Instance k of service i, ordered by node name and id; NULL past the end. Borrowed until the next
 * publish. */
const struct sl_instance *sl_store_instance(const struct sl_store *s, size_t i, size_t k);
size_t sl_store_n_services(const struct sl_store *s, const struct sl_id *id);

struct sl_store_stats {
    uint64_t sections_refused; /* whole sections, and single entries of others */
    /* Of services and of members together. What is published and not freed is current, or a reader
     * may still hold it. */
    uint64_t rosters_published, rosters_freed;
    uint64_t services, instances; /* now */
    uint64_t tickets_expired;     /* never given back, as far as it was noticed */
};
void sl_store_stats(const struct sl_store *s, struct sl_store_stats *ret);

/* ---- reading (any thread) --------------------------------------------------------------- */

/* What a view asks for. Zeroed before it is filled in: views are interned by its bytes. */
struct sl_view_spec {
    char tenant[64], name[64];
    char version[64]; /* spec.h */
    char select[256];
    uint8_t strategy, tiers, panic; /* enum starling_strategy, starling_tier, starling_panic */
    uint16_t load_bound;            /* percent; 0 = none */
    uint32_t timeout_us;            /* what a failure counts at least */
};

/* What is wrong with the spec, in words; NULL when nothing is. */
const char *sl_view_fault(const struct sl_view_spec *spec);
/* Views are interned by their spec and counted; opening finds what was last published. `user` is
 * whatever the caller wants to find again, as given at the first open. Opening and closing are
 * called under the lock of sl_store_publish; reading takes none. 0, ENOMEM, EINVAL (see
 * sl_view_fault). */
int sl_view_open(struct sl_store *s, const struct sl_view_spec *spec, sl_usec now, void *user,
                 struct sl_view **ret) SL_MUST_USE;
/* The same view once more, if it is open: without looking for faults. NULL: it is not. */
struct sl_view *sl_view_again(struct sl_store *s, const struct sl_view_spec *spec);
void sl_view_close(struct sl_store *s, struct sl_view *v);
void *sl_view_user(const struct sl_view *v);
const char *sl_view_service(const struct sl_view *v);

/* How to pick. */
struct sl_pick {
    uint32_t now_ms;      /* any clock that does not go back; may be coarse, may wrap */
    struct sl_rand *rand; /* the calling thread's */
    struct sl_span key;   /* rendezvous; empty: one at random */
    const void *tried;    /* n_tried times struct starling_instance, one each `stride` bytes */
    size_t n_tried, stride;
};

/* Pick by the view's strategy. Copies used bytes of texts only. 0, ENOENT, EUNAVAIL. */
struct starling_instance;
int sl_view_pick(struct sl_view *v, const struct sl_pick *how, struct starling_instance *ret)
    SL_MUST_USE;
/* Whether picks of this view look at how->now_ms. */
bool sl_view_wants_time(const struct sl_view *v);
/* A request ended (enum starling_outcome). False: the ticket says nothing (any more). */
bool sl_view_done(struct sl_view *v, uint32_t now_ms, uint64_t ticket, int outcome,
                  uint32_t latency_us);
/* Copy up to cap instances (struct starling_instance), ordered by node name and id, one each
 * `stride` bytes and no longer than that: a shorter struct gets the fields it has, the tail of a
 * longer one zeroes. *ret_n is how many there are. Suspect and down ones are flagged. */
void sl_view_list(struct sl_view *v, size_t cap, void *ret_instances, size_t stride, size_t *ret_n);
/* How many are fit: alive, not critical, weight above 0. */
size_t sl_view_n_fit(struct sl_view *v);
/* Metadata value with its NUL. 0, ENOENT (no such instance or key), ELIMIT (buffer too small). */
int sl_view_meta(struct sl_view *v, const struct sl_id *id, const char *key, size_t cap,
                 char *buffer) SL_MUST_USE;

/* Members (struct starling_member), ordered by name and id, likewise. */
void sl_store_members(struct sl_store *s, size_t cap, void *ret_members, size_t stride,
                      size_t *ret_n);
/* Members that are alive, this node included. */
size_t sl_store_n_alive(struct sl_store *s);

#endif
