/* pool.h: what the cores of one process share: facts, once each, and the identities they are about.
 *
 * Facts are immutable and the same for everybody, and so are an identity's places on the rings and in the
 * reconciliation tree: they follow from its id. A core keeps what differs, its own view of each member, and
 * addresses members by their identity's number here. A process with one node has one core and one pool; many
 * nodes in one process (a simulator) pay for each fact once, and check each signature once.
 * Not thread-safe: one owner at a time. */
#ifndef SL_GOSSIP_POOL_H
#define SL_GOSSIP_POOL_H

#include "base/idmap.h"
#include "gossip/cert.h"
#include "gossip/fact.h"

#define SL_TREE_DEPTH 3 /* 16-fold levels under the root */
#define SL_TREE_LEAVES 4096
#define SL_POOL_NONE UINT32_MAX

struct sl_identity {
    struct sl_id id;
    uint64_t ring[SL_RINGS]; /* place on each ring: BLAKE2b keyed with F, of the id */
    uint32_t refs;           /* facts about it, and cores that know it; 0 = number free */
    uint16_t leaf;           /* of the tree: SipHash keyed with F, of the id */
    uint32_t leaf_next;      /* next number in that leaf */
    uint32_t latest[SL_KINDS]; /* the newest fact made of each kind, number + 1: most that arrive are these */
};

/* Record facts by something they say, for who asks "who else?": heads of chains through who->next[]. */
enum sl_pool_index { SL_BY_ADDR, SL_BY_NAME };

struct sl_pool {
    const struct sl_alloc *alloc;
    struct sl_crypto crypto;
    struct sl_bundle bundle;
    struct sl_identity *identities;
    size_t n_identities, cap_identities; /* numbers ever used */
    uint32_t *free_identities;
    size_t n_free_identities, cap_free_identities;
    struct sl_idmap by_id;
    uint32_t *ring[SL_RINGS]; /* identities in order of place, then id */
    size_t n_ring, cap_ring[SL_RINGS];
    uint32_t leaf[SL_TREE_LEAVES]; /* first identity of each leaf, by number + 1; 0 = none */
    struct sl_fact **facts;        /* by number */
    size_t n_facts, cap_facts;     /* numbers ever used */
    uint32_t *free_facts;
    size_t n_free_facts, cap_free_facts;
    uint32_t *by_bytes; /* open addressing over fact->check, number + 1; 0 = free */
    size_t n_by_bytes, cap_by_bytes;
    uint32_t *index[2]; /* enum sl_pool_index: buckets of chains, fact number + 1 */
    size_t cap_index, n_records;
};

/* Crypto's hash and verify are used, never sign. 0 or STARLING_ENOMEM. The allocator is borrowed for life. */
int sl_pool_new(const struct sl_alloc *alloc, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                struct sl_pool **ret) SL_MUST_USE;
void sl_pool_free(struct sl_pool *p); /* after all its cores */

/* The fact with these bytes, with one reference for the caller. Form and, for a record, certificate are checked
 * (flock, authority's signature, origin = hash of the key); the fact's own signature is sl_pool_verify's. NULL
 * when refused or out of memory. */
struct sl_fact *sl_pool_take(struct sl_pool *p, struct sl_span bytes) SL_MUST_USE;
/* The origin's signature with `key`, looked at once for each fact. */
bool sl_pool_verify(struct sl_pool *p, struct sl_fact *f, const uint8_t key[SL_KEY_LEN]) SL_MUST_USE;
void sl_pool_unref(struct sl_pool *p, struct sl_fact *f); /* NULL is nothing */

static inline struct sl_fact *sl_pool_fact(const struct sl_pool *p, uint32_t number)
{
    return p->facts[number];
}

/* The number of an id that somebody holds, or SL_POOL_NONE. */
uint32_t sl_pool_find(const struct sl_pool *p, const struct sl_id *id);
void sl_pool_hold(struct sl_pool *p, uint32_t identity);
void sl_pool_release(struct sl_pool *p, uint32_t identity);
/* Where an identity stands on a ring. */
size_t sl_pool_place(const struct sl_pool *p, size_t ring, uint32_t identity);
int sl_pool_place_cmp(const struct sl_pool *p, size_t ring, uint32_t a, uint32_t b);

/* Records with the same address or name as `f`, itself among them: walk from first by `next`. */
struct sl_fact *sl_pool_first(const struct sl_pool *p, enum sl_pool_index by, const struct sl_fact *f);
struct sl_fact *sl_pool_first_at(const struct sl_pool *p, const struct sl_addr *addr);
struct sl_fact *sl_pool_next(const struct sl_pool *p, enum sl_pool_index by, const struct sl_fact *f);

#endif
