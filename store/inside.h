/* inside.h: the store from the inside, for the files of store/.
 *
 * Who may touch what:
 *  - members, dirty list, counters: the owner, without a lock;
 *  - changes, counts of references, the table of loads: the owner or who opens a view, with the lock;
 *  - listings: written by publishing (owner, with the lock), read by the owner and under the lock;
 *  - views, crowd: under the lock alone;
 *  - what is atomic, and the rosters behind it: read by anybody inside an epoch. */
#ifndef SL_STORE_INSIDE_H
#define SL_STORE_INSIDE_H

#include "base/idmap.h"
#include "store/roster.h"

struct sl_blob {
    uint8_t *p; /* NULL when empty */
    size_t len;
};

/* A member: what it said last, and what of that is published. */
struct sl_member {
    struct sl_id id;
    struct sl_seen *now;      /* NULL: forgotten, goes with the next publish */
    struct sl_blob record;    /* sections, as they came */
    struct sl_blob vitals;    /* likewise */
    struct sl_seen *told;     /* as published; NULL: nothing yet */
    struct sl_offer **offers; /* as published, by (tenant, name) */
    struct sl_offer **made;   /* being published */
    uint32_t n_offers, n_made;
    uint32_t index; /* in sl_store.members */
    bool dirty;
    struct sl_member *next_dirty; /* in the order in which they were first touched */
};

/* A service that somebody offers. */
struct sl_listing {
    struct sl_offer **offers; /* by (node name, id); references; n > 0 once listed */
    uint32_t n;
    uint32_t size;
    bool panic; /* as told */
    const char *tenant, *name;
    char text[];
};

/* Read by anybody: the first line and the spec, which never change; under the lock: the rest. */
struct sl_view {
    _Atomic(struct sl_roster *) roster; /* NULL: nobody offers it */
    struct sl_store *store;
    void *user;
    struct sl_turn *turns; /* SL_EPOCH_SLOTS of them, aligned; NULL: not needed */
    bool feedback;
    struct sl_view_spec spec;
    uint64_t hash; /* of tenant and name */
    uint32_t refs;
    float near[2];    /* sl_plan */
    sl_usec again_at; /* sl_plan */
    void *turns_memory;
    struct sl_view *next;      /* in its bucket */
    struct sl_roster *made;    /* being published */
    struct sl_view *next_made; /* likewise */
    bool is_made;              /* likewise */
    float near_made[2];
    sl_usec again_made;
};

/* Changes that wait for sl_store_next_change: a ring. */
struct sl_waiting_change {
    enum sl_change_type type;
    uint8_t status;         /* of SL_MEMBER_STATUS */
    struct sl_seen *seen;   /* of SL_MEMBER_STATUS; a reference, like: */
    struct sl_offer *offer; /* of the others */
};

struct sl_changes {
    struct sl_waiting_change *ring;
    uint32_t cap, head, n;
    bool lost; /* to be told before the rest */
};

struct sl_store {
    struct sl_epoch epoch;
    _Atomic(struct sl_flock *) flock; /* never NULL */
    atomic_bool stale;

    const struct sl_alloc *alloc;
    struct sl_member **members;
    size_t n_members, cap_members;
    size_t n_known; /* members not forgotten */
    struct sl_idmap by_id;
    struct sl_member *first_dirty, *last_dirty;
    struct sl_changes changes;
    uint64_t sections_refused;
    _Atomic uint64_t rosters_published, rosters_freed; /* also by who opens and closes views */
    uint64_t n_instances;                              /* in all rosters */

    struct sl_listing **listings; /* by (tenant, name) */
    size_t n_listings, cap_listings;
    struct sl_view **views; /* buckets by hash of (tenant, name): all views of a service in one */
    size_t n_views, n_buckets;
    uint8_t key[16];          /* of that hash */
    size_t n_near;            /* views that ask how near an instance is */
    _Atomic sl_usec again_at; /* the earliest of the views'; changed under the lock */

    struct sl_loads loads;
    struct sl_crowd crowd;
    bool crowd_is_old;
};

/* The index of a listing, or where it would go; true when it is there. */
bool sl_store_find_listing(const struct sl_store *s, const char *tenant, const char *name,
                           size_t *ret_at);
/* The first view in the bucket of a service, which may hold views of others too. */
struct sl_view *sl_store_views_of(const struct sl_store *s, const char *tenant, const char *name,
                                  uint64_t *ret_hash);
bool sl_view_is_of(const struct sl_view *v, uint64_t hash, const char *tenant, const char *name);
/* Make the roster of a view of these offers, to be published: v->made. 0 or ENOMEM. */
int sl_view_make(struct sl_view *v, struct sl_offer *const *offers, uint32_t n, sl_usec now)
    SL_MUST_USE;
/* Readers find v->made from here on. */
void sl_view_exchange(struct sl_view *v);
/* All of them, with their rosters. */
void sl_views_free(struct sl_store *s);
/* Count who is where, if a view asks and it has changed; these views are due in a second, at once
 * where nothing was known before. The owner's, with the lock. */
void sl_store_count_crowd(struct sl_store *s, sl_usec now);

/* Take a member that is forgotten and published as such out of the tables. */
void sl_store_drop_member(struct sl_store *s, struct sl_member *m);
void sl_store_free_offers(struct sl_store *s, struct sl_offer **offers, uint32_t n);

/* Make room for `more` changes; beyond SL_CHANGES_MAX the oldest will go. 0 or ENOMEM. */
int sl_changes_reserve(struct sl_changes *c, const struct sl_alloc *alloc, size_t more) SL_MUST_USE;
/* Room must have been made. Takes references of its own. */
void sl_changes_push_status(struct sl_changes *c, const struct sl_alloc *alloc,
                            struct sl_seen *seen, uint8_t status);
/* Also for panic and calm, which are about the service of the offer. */
void sl_changes_push_instance(struct sl_changes *c, const struct sl_alloc *alloc,
                              enum sl_change_type type, struct sl_offer *offer);
bool sl_changes_next(struct sl_changes *c, const struct sl_alloc *alloc, struct sl_change *ret);
void sl_changes_fini(struct sl_changes *c, const struct sl_alloc *alloc);

#endif
