/* roster.h: what readers read: immutable instances, the roster of a service, the roster of members.
 *
 * All three are built by the owner, never changed once published, and dropped through epoch.h.
 * Instances and members are shared by the rosters that list them and counted by the owner alone:
 * readers hold on to a roster by being inside an epoch and never touch a count. */
#ifndef SL_STORE_ROSTER_H
#define SL_STORE_ROSTER_H

#include <starling.h>

#include "store/epoch.h"
#include "store/store.h"

/* ---- one instance ---- */

struct sl_offer {
    uint32_t refs;
    uint32_t size; /* of the allocation */
    /* For copying into a starling_instance without looking for the NUL. */
    uint8_t host_len, node_len, zone_len, version_len;
    char id_text[STARLING_ID_MAX];
    const char *tenant, *service;
    struct sl_instance inst;
    char text[]; /* what the pointers above and in `inst` point to */
};

/* The instance of `service` on the member; one reference is the caller's. NULL: out of memory. */
struct sl_offer *sl_offer_new(const struct sl_alloc *alloc, const struct sl_store_member *member,
                              const struct sl_service *service) SL_MUST_USE;
struct sl_offer *sl_offer_ref(struct sl_offer *o);
void sl_offer_unref(const struct sl_alloc *alloc, struct sl_offer *o);

/* Order of services, and of the instances of one. */
int sl_service_cmp(const char *tenant_a, const char *name_a, const char *tenant_b,
                   const char *name_b);
int sl_offer_cmp(const struct sl_offer *a, const struct sl_offer *b);

/* Two versions of one instance. QUIET: status or note, which make no change for watchers. */
enum sl_difference { SL_SAME, SL_QUIET, SL_LOUD };
enum sl_difference sl_offer_compare(const struct sl_offer *a, const struct sl_offer *b);

/* Its node is as far as we know there: alive or suspect. */
bool sl_offer_is_reachable(const struct sl_offer *o);

/* ---- the roster of a service ---- */

/* One column of the alias table (Walker 1977, Vose 1991) in whole numbers: with a coin in [0, sum
 * of weights), below `share` it is `own`, else `alias`; both index offers. */
struct sl_column {
    uint32_t share, own, alias;
};

struct sl_roster {
    struct sl_garbage garbage; /* first */
    uint32_t n;                /* offers, by (node name, id) */
    uint32_t n_fit;            /* of these alive, not critical, weight above 0 */
    uint32_t
        n_columns; /* candidates of a pick: the fit, or where there are none the suspect ones */
    uint32_t sum;  /* of the candidates' weights */
    struct sl_column *columns;
    struct sl_offer *offers[];
};

/* Room for n > 0 offers, to be filled in, in order, before sl_roster_seal. NULL: out of memory. */
struct sl_roster *sl_roster_new(const struct sl_alloc *alloc, uint32_t n) SL_MUST_USE;
/* Take a reference to each offer and compute the rest. */
void sl_roster_seal(struct sl_roster *r);
/* Drop a roster that was not sealed. */
void sl_roster_discard(const struct sl_alloc *alloc, struct sl_roster *r);
/* Drop a sealed one; `garbage.release` of a retired one. */
void sl_roster_release(const struct sl_alloc *alloc, struct sl_garbage *g);
/* By chance, by weight; NULL when there is no candidate. */
const struct sl_offer *sl_roster_pick(const struct sl_roster *r, struct sl_rand *rand);

/* ---- one member, the roster of members ---- */

struct sl_seen {
    uint32_t refs;
    struct sl_store_member info;
};

struct sl_seen *sl_seen_new(const struct sl_alloc *alloc, const struct sl_store_member *info)
    SL_MUST_USE;
struct sl_seen *sl_seen_ref(struct sl_seen *m);
void sl_seen_unref(const struct sl_alloc *alloc, struct sl_seen *m);
/* Order of members. */
int sl_seen_cmp(const struct sl_seen *a, const struct sl_seen *b);

struct sl_flock {
    struct sl_garbage garbage; /* first */
    uint32_t n;
    uint32_t n_alive;
    struct sl_flock_entry {
        struct sl_seen *seen;
        uint32_t n_services;
    } members[]; /* by (name, id) */
};

/* As for rosters; n may be 0. */
struct sl_flock *sl_flock_new(const struct sl_alloc *alloc, uint32_t n) SL_MUST_USE;
void sl_flock_seal(struct sl_flock *f);
void sl_flock_discard(const struct sl_alloc *alloc, struct sl_flock *f);
void sl_flock_release(const struct sl_alloc *alloc, struct sl_garbage *g);

#endif
