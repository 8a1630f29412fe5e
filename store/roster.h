/* roster.h: what readers read: immutable instances, the roster of a service, the roster of members.
 *
 * All three are built by the owner, never changed once published, and dropped through epoch.h.
 * Instances and members are shared by the rosters that list them and counted by the owner alone:
 * readers hold on to a roster by being inside an epoch and never touch a count. */
#ifndef SL_STORE_ROSTER_H
#define SL_STORE_ROSTER_H

#include <starling.h>

#include "store/epoch.h"
#include "store/load.h"

/* ---- one instance ---- */

struct sl_seen;

/* The first line and the beginning of `text` are all that a pick copies. */
struct sl_offer {
    /* For copying into a starling_instance without looking for the NUL. */
    uint8_t host_len, node_len, zone_len, version_len;
    uint16_t port, weight;
    uint8_t health, status;
    char id_text[STARLING_ID_MAX];
    uint32_t refs;
    uint32_t size;  /* of the allocation */
    uint64_t point; /* hash of the node's name: its place among keys, in all processes the same */
    const char *tenant, *service;
    struct sl_instance inst;
    /* The owner's, handed on from version to version of one instance. */
    sl_usec since;        /* when it became usable; meaningless while it is not */
    struct sl_load *load; /* NULL until a view wants to know; a reference into */
    struct sl_loads *loads;
    char text[]; /* host, node, zone, version, each with its NUL; then the rest of what the pointers
                    point to, and SL_TEXT_SLACK bytes that may be read and mean nothing */
};
#define SL_TEXT_SLACK 16

/* The instance of `service` on the member; one reference is the caller's. NULL: out of memory. */
struct sl_offer *sl_offer_new(const struct sl_alloc *alloc, const struct sl_seen *member,
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
/* It takes requests if somebody asks: reachable, not critical, weight above 0. */
bool sl_offer_is_usable(const struct sl_offer *o);
/* `is` is the next version of `was` (NULL: there was none): it inherits what is known of it. */
void sl_offer_inherit(struct sl_offer *is, const struct sl_offer *was, sl_usec now);

/* ---- the roster of a view ---- */

/* One that may be picked, and its column of the alias table of its group (Walker 1977, Vose 1991) in
 * whole numbers: with a coin in [0, sum) below `share` it is itself, else `alias`. */
struct sl_candidate {
    const struct sl_offer *offer;
    struct sl_load *load; /* where the view wants feedback, else NULL */
    float weight;         /* of the instance as of now: newcomers start small */
    float pull;           /* how often it is drawn, relative to the others of its group */
    union {
        struct {
            uint32_t share, alias; /* alias: index of a candidate */
        };
        uint64_t point; /* rendezvous: of the offer, here so that a scan stays in one array */
    };
};

/* Candidates among which the strategy chooses. */
struct sl_group {
    uint32_t first, n;
    uint32_t below; /* picks whose coin in [0, 2^32) is below this and not below the one before */
    uint32_t sum;   /* of pulls, in whole numbers */
    bool even;      /* all have the same: share and alias are not filled in */
};
#define SL_GROUPS_MAX 9 /* three tiers of health times three of distance */

struct sl_roster {
    struct sl_garbage garbage; /* first */
    uint32_t n;                /* offers, by (node name, id) */
    uint32_t n_fit;            /* of these alive, not critical, weight above 0 */
    uint32_t n_groups;         /* 0: nobody can be picked */
    bool panic;
    float
        unknown_us; /* what is expected of an instance nobody has asked yet; 0 = likewise unknown */
    struct sl_group groups[SL_GROUPS_MAX];
    struct sl_candidate *candidates; /* group after group */
    struct sl_offer *offers[];
};

/* Who is there, as far as the choice of near instances needs it. */
#define SL_ZONES_MAX 64 /* zones told apart; those that come later count as one */
struct sl_crowd {
    char host[64]; /* own address; "" = not known yet */
    uint32_t own_zone;
    uint32_t n, n_here; /* members alive, and those at our address */
    uint32_t n_zones;
    struct sl_zone {
        char name[64];
        uint32_t n;
    } zones[SL_ZONES_MAX];
};

/* What a roster is made of. */
struct sl_plan {
    const struct sl_alloc *alloc;
    const struct sl_view_spec *spec;
    const struct sl_crowd *crowd;
    struct sl_loads *loads;
    sl_usec now;
    /* in and out, of one view: shares of near instances as last used, which small changes leave */
    float near[2];
    sl_usec again_at; /* out: when to make it anew although nothing changed */
};

/* The roster of those among the offers (by (node name, id)) that the spec asks for, with a
 * reference to each; NULL when there is none. 0 or ENOMEM. */
int sl_roster_make(struct sl_plan *plan, struct sl_offer *const *offers, uint32_t n,
                   struct sl_roster **ret) SL_MUST_USE;
/* Drop it; `garbage.release` of a retired one. */
void sl_roster_release(const struct sl_alloc *alloc, struct sl_garbage *g);

/* Would a service of these offers be in panic? Of at least three that are there with a weight,
 * fewer than half can take requests. */
bool sl_offers_panic(struct sl_offer *const *offers, uint32_t n);

/* ---- choosing ---- */

/* Where a thread stands in its turn through a view; its own cache line. */
struct sl_turn {
    _Atomic uint64_t weyl; /* 0: not begun */
    _Atomic uint32_t at;
    char apart[64 - 12 - 4];
};

/* Strategies that learn from tickets. */
bool sl_spec_wants_feedback(const struct sl_view_spec *spec);
enum starling_strategy sl_spec_strategy(const struct sl_view_spec *spec);
bool sl_spec_looks_near(const struct sl_view_spec *spec);

/* The candidate for the next request, NULL when there is none; `turn` is needed for round robin.
 * *ret_out: its requests out, where the view wants feedback. */
const struct sl_candidate *sl_roster_choose(const struct sl_roster *r,
                                            const struct sl_view_spec *spec,
                                            const struct sl_pick *how, struct sl_turn *turn,
                                            uint32_t *ret_out);

/* ---- one member, the roster of members ---- */

/* What sl_store_member told, in as many bytes as it takes. */
struct sl_seen {
    uint32_t refs;
    uint32_t size; /* of the allocation */
    uint64_t epoch;
    struct sl_id id;
    struct sl_addr addr;
    uint8_t status; /* enum starling_status */
    bool self;
    const char *zone; /* behind the name */
    char name[];
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
