/* pool.c: facts and identities, kept once (pool.h).
 * Tables are keyed with the flock's id: who could grind collisions holds certificates for as many identities,
 * and each identity has at most a handful of facts alive. */
#include "gossip/pool.h"

#include <starling.h>

#include "base/bytes.h"

#define INDEX_MIN 64

static const struct sl_id *id_by_number(void *context, uint32_t number)
{
    return &((struct sl_pool *)context)->identities[number].id;
}

int sl_pool_new(const struct sl_alloc *alloc, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                struct sl_pool **ret)
{
    struct sl_pool *p = sl_alloc_zero(alloc, sizeof *p);
    if (!p)
        return STARLING_ENOMEM;
    p->alloc = alloc;
    p->crypto = *crypto;
    p->bundle = *bundle;
    sl_idmap_init(&p->by_id, alloc, bundle->flock, id_by_number, p);
    *ret = p;
    return 0;
}

void sl_pool_free(struct sl_pool *p)
{
    if (!p)
        return;
    sl_alloc_free(p->alloc, p->identities, p->cap_identities * sizeof *p->identities);
    sl_alloc_free(p->alloc, p->free_identities, p->cap_free_identities * sizeof *p->free_identities);
    for (size_t r = 0; r < SL_RINGS; r++)
        sl_alloc_free(p->alloc, p->ring[r], p->cap_ring[r] * sizeof *p->ring[r]);
    sl_alloc_free(p->alloc, p->facts, p->cap_facts * sizeof *p->facts);
    sl_alloc_free(p->alloc, p->free_facts, p->cap_free_facts * sizeof *p->free_facts);
    sl_alloc_free(p->alloc, p->by_bytes, p->cap_by_bytes * sizeof *p->by_bytes);
    for (size_t by = 0; by < SL_COUNT(p->index); by++)
        sl_alloc_free(p->alloc, p->index[by], p->cap_index * sizeof *p->index[by]);
    sl_idmap_fini(&p->by_id);
    sl_alloc_free(p->alloc, p, sizeof *p);
}

/* ---- identities ------------------------------------------------------------------------- */

int sl_pool_place_cmp(const struct sl_pool *p, size_t ring, uint32_t a, uint32_t b)
{
    const struct sl_identity *ia = &p->identities[a], *ib = &p->identities[b];
    if (ia->ring[ring] != ib->ring[ring])
        return ia->ring[ring] < ib->ring[ring] ? -1 : 1;
    return sl_id_cmp(&ia->id, &ib->id);
}

/* Where it stands, or would stand. */
size_t sl_pool_place(const struct sl_pool *p, size_t ring, uint32_t identity)
{
    size_t low = 0, high = p->n_ring;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sl_pool_place_cmp(p, ring, p->ring[ring][mid], identity) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t sl_pool_find(const struct sl_pool *p, const struct sl_id *id)
{
    return sl_idmap_find(&p->by_id, id);
}

void sl_pool_hold(struct sl_pool *p, uint32_t identity)
{
    p->identities[identity].refs++;
}

/* A free number with room for it everywhere, or SL_POOL_NONE. */
static uint32_t number_take(struct sl_pool *p)
{
    if (p->n_free_identities > 0)
        return p->free_identities[--p->n_free_identities];
    size_t n = p->n_identities + 1;
    for (size_t r = 0; r < SL_RINGS; r++) {
        if (sl_alloc_grow(p->alloc, (void **)&p->ring[r], sizeof *p->ring[r], &p->cap_ring[r], n) < 0)
            return SL_POOL_NONE;
    }
    if (sl_alloc_grow(p->alloc, (void **)&p->free_identities, sizeof *p->free_identities,
                      &p->cap_free_identities, n) < 0 ||
        sl_alloc_grow(p->alloc, (void **)&p->identities, sizeof *p->identities, &p->cap_identities, n) < 0)
        return SL_POOL_NONE;
    return (uint32_t)p->n_identities++;
}

static void places_take(struct sl_pool *p, uint32_t number)
{
    struct sl_identity *who = &p->identities[number];
    uint8_t places[SL_RINGS * 8];
    struct sl_span text = sl_span_of(who->id.b, SL_ID_LEN);
    p->crypto.hash(p->crypto.context, places, sizeof places, p->bundle.flock, SL_FLOCK_LEN, &text, 1);
    for (size_t r = 0; r < SL_RINGS; r++)
        who->ring[r] = sl_get64(places + 8 * r);
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = sl_pool_place(p, r, number);
        memmove(p->ring[r] + at + 1, p->ring[r] + at, (p->n_ring - at) * sizeof *p->ring[r]);
        p->ring[r][at] = number;
    }
    p->n_ring++;
    who->leaf = (uint16_t)(sl_siphash(p->bundle.flock, who->id.b, SL_ID_LEN) >> 52);
    who->leaf_next = p->leaf[who->leaf];
    p->leaf[who->leaf] = number + 1;
}

/* The number of an id, made where there is none; one reference more. SL_POOL_NONE: out of memory. */
static uint32_t identity_take(struct sl_pool *p, const struct sl_id *id)
{
    uint32_t number = sl_pool_find(p, id);
    if (number == SL_POOL_NONE) {
        number = number_take(p);
        if (number == SL_POOL_NONE)
            return number;
        memset(&p->identities[number], 0, sizeof *p->identities);
        p->identities[number].id = *id;
        if (sl_idmap_add(&p->by_id, id, number) < 0) {
            p->free_identities[p->n_free_identities++] = number;
            return SL_POOL_NONE;
        }
        places_take(p, number);
    }
    sl_pool_hold(p, number);
    return number;
}

void sl_pool_release(struct sl_pool *p, uint32_t identity)
{
    struct sl_identity *who = &p->identities[identity];
    if (--who->refs)
        return;
    for (size_t r = 0; r < SL_RINGS; r++) {
        size_t at = sl_pool_place(p, r, identity);
        memmove(p->ring[r] + at, p->ring[r] + at + 1, (p->n_ring - at - 1) * sizeof *p->ring[r]);
    }
    p->n_ring--;
    uint32_t *at = &p->leaf[who->leaf];
    while (*at != identity + 1)
        at = &p->identities[*at - 1].leaf_next;
    *at = who->leaf_next;
    sl_idmap_remove(&p->by_id, &who->id);
    p->free_identities[p->n_free_identities++] = identity;
}

/* ---- records by address and by name ----------------------------------------------------- */

static size_t bucket_of(const struct sl_pool *p, enum sl_pool_index by, const struct sl_addr *addr,
                        struct sl_span name)
{
    uint64_t h;
    if (by == SL_BY_ADDR) {
        uint8_t text[19] = {addr->family};
        memcpy(text + 1, addr->ip, addr->family == 6 ? 16 : 4);
        sl_put16(text + 17, addr->port);
        h = sl_siphash(p->bundle.flock, text, sizeof text);
    } else {
        h = sl_siphash(p->bundle.flock, name.p, name.len);
    }
    return (size_t)h & (p->cap_index - 1);
}

static void index_put(struct sl_pool *p, struct sl_fact *f)
{
    for (size_t by = 0; by < SL_COUNT(p->index); by++) {
        uint32_t *head = &p->index[by][bucket_of(p, (enum sl_pool_index)by, &f->who->addr, f->who->name)];
        f->who->next[by] = *head;
        *head = f->number + 1;
    }
}

static int index_grow(struct sl_pool *p)
{
    size_t cap = p->cap_index ? 2 * p->cap_index : INDEX_MIN;
    uint32_t *grown[SL_COUNT(p->index)];
    for (size_t by = 0; by < SL_COUNT(p->index); by++) {
        grown[by] = sl_alloc_zero(p->alloc, cap * sizeof *grown[by]);
        if (!grown[by]) {
            while (by-- > 0)
                sl_alloc_free(p->alloc, grown[by], cap * sizeof *grown[by]);
            return STARLING_ENOMEM;
        }
    }
    for (size_t by = 0; by < SL_COUNT(p->index); by++) {
        sl_alloc_free(p->alloc, p->index[by], p->cap_index * sizeof *p->index[by]);
        p->index[by] = grown[by];
    }
    p->cap_index = cap;
    for (size_t i = 0; i < p->n_facts; i++) {
        if (p->facts[i] && p->facts[i]->who)
            index_put(p, p->facts[i]);
    }
    return 0;
}

static void index_drop(struct sl_pool *p, struct sl_fact *f)
{
    for (size_t by = 0; by < SL_COUNT(p->index); by++) {
        uint32_t *at = &p->index[by][bucket_of(p, (enum sl_pool_index)by, &f->who->addr, f->who->name)];
        while (*at != f->number + 1)
            at = &p->facts[*at - 1]->who->next[by];
        *at = f->who->next[by];
    }
    p->n_records--;
}

static bool same(enum sl_pool_index by, const struct sl_fact *a, const struct sl_addr *addr, struct sl_span name)
{
    if (by == SL_BY_ADDR)
        return sl_addr_eq(&a->who->addr, addr);
    return a->who->name.len == name.len && memcmp(a->who->name.p, name.p, name.len) == 0;
}

static struct sl_fact *walk(const struct sl_pool *p, uint32_t at, enum sl_pool_index by,
                            const struct sl_addr *addr, struct sl_span name)
{
    while (at && !same(by, p->facts[at - 1], addr, name))
        at = p->facts[at - 1]->who->next[by];
    return at ? p->facts[at - 1] : NULL;
}

struct sl_fact *sl_pool_first(const struct sl_pool *p, enum sl_pool_index by, const struct sl_fact *f)
{
    const struct sl_who *who = f->who;
    return walk(p, p->index[by][bucket_of(p, by, &who->addr, who->name)], by, &who->addr, who->name);
}

struct sl_fact *sl_pool_first_at(const struct sl_pool *p, const struct sl_addr *addr)
{
    struct sl_span none = {0};
    return p->cap_index ? walk(p, p->index[SL_BY_ADDR][bucket_of(p, SL_BY_ADDR, addr, none)], SL_BY_ADDR, addr, none)
                        : NULL;
}

struct sl_fact *sl_pool_next(const struct sl_pool *p, enum sl_pool_index by, const struct sl_fact *f)
{
    return walk(p, f->who->next[by], by, &f->who->addr, f->who->name);
}

/* ---- facts by their bytes --------------------------------------------------------------- */

static size_t slot_of(const struct sl_pool *p, uint64_t check, struct sl_span bytes)
{
    size_t mask = p->cap_by_bytes - 1, i = (size_t)check & mask;
    while (p->by_bytes[i]) {
        const struct sl_fact *f = p->facts[p->by_bytes[i] - 1];
        if (f->check == check && f->len == bytes.len && memcmp(f->bytes, bytes.p, bytes.len) == 0)
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static int by_bytes_grow(struct sl_pool *p)
{
    if (4 * (p->n_by_bytes + 1) <= 3 * p->cap_by_bytes)
        return 0;
    size_t cap = p->cap_by_bytes ? 2 * p->cap_by_bytes : 64;
    uint32_t *grown = sl_alloc_zero(p->alloc, cap * sizeof *grown);
    if (!grown)
        return STARLING_ENOMEM;
    for (size_t k = 0; k < p->cap_by_bytes; k++) {
        if (p->by_bytes[k] == 0)
            continue;
        size_t i = (size_t)p->facts[p->by_bytes[k] - 1]->check & (cap - 1);
        while (grown[i])
            i = (i + 1) & (cap - 1);
        grown[i] = p->by_bytes[k];
    }
    sl_alloc_free(p->alloc, p->by_bytes, p->cap_by_bytes * sizeof *p->by_bytes);
    p->by_bytes = grown;
    p->cap_by_bytes = cap;
    return 0;
}

static void by_bytes_drop(struct sl_pool *p, const struct sl_fact *f)
{
    size_t mask = p->cap_by_bytes - 1, hole = slot_of(p, f->check, sl_span_of(f->bytes, f->len));
    p->n_by_bytes--;
    for (size_t i = (hole + 1) & mask; p->by_bytes[i]; i = (i + 1) & mask) {
        size_t from = (size_t)p->facts[p->by_bytes[i] - 1]->check & mask;
        if (((i - from) & mask) >= ((i - hole) & mask)) {
            p->by_bytes[hole] = p->by_bytes[i];
            hole = i;
        }
    }
    p->by_bytes[hole] = 0;
}

/* ---- facts ------------------------------------------------------------------------------ */

static void fact_free(struct sl_pool *p, struct sl_fact *f)
{
    sl_alloc_free(p->alloc, f->who, sizeof *f->who);
    sl_alloc_free(p->alloc, f, sizeof *f + f->len);
}

static uint64_t sum_of(const struct sl_pool *p, const struct sl_fact *f)
{
    uint8_t text[SL_ID_LEN + 1 + 8 + 8 + 8];
    memcpy(text, sl_fact_origin(f)->b, SL_ID_LEN);
    text[16] = f->kind;
    sl_put64(text + 17, f->version.epoch);
    sl_put64(text + 25, f->version.seq);
    sl_put64(text + 33, f->check);
    return sl_siphash(p->bundle.flock, text, sizeof text);
}

/* The record, vitals or sightings of that origin that were made last; NULL = none are held. */
static struct sl_fact *latest_of(const struct sl_pool *p, const struct sl_fact_header *header)
{
    uint32_t identity = header->kind > SL_KINDS ? SL_POOL_NONE : sl_pool_find(p, &header->origin);
    uint32_t number = identity == SL_POOL_NONE ? 0 : p->identities[identity].latest[header->kind - 1];
    return number ? p->facts[number - 1] : NULL;
}

/* Form and certificate are in order; not in the pool yet. */
static struct sl_fact *fact_read(struct sl_pool *p, const struct sl_fact_header *header, struct sl_span bytes,
                                 uint64_t check, const struct sl_fact *latest)
{
    struct sl_fact *f = sl_alloc_zero(p->alloc, sizeof *f + bytes.len);
    if (!f)
        return NULL;
    f->len = (uint16_t)bytes.len;
    f->kind = header->kind;
    f->version = header->version;
    f->check = check;
    memcpy(f->bytes, bytes.p, bytes.len);
    if (f->kind == SL_RECORD)
        f->who = sl_alloc_zero(p->alloc, sizeof *f->who);
    if ((f->kind == SL_RECORD && !f->who) || !sl_fact_check(f, &p->crypto, &p->bundle, latest)) {
        fact_free(p, f);
        return NULL;
    }
    f->sum = sum_of(p, f);
    return f;
}

static uint32_t fact_number(struct sl_pool *p)
{
    if (p->n_free_facts > 0)
        return p->free_facts[--p->n_free_facts];
    size_t n = p->n_facts + 1;
    if (sl_alloc_grow(p->alloc, (void **)&p->free_facts, sizeof *p->free_facts, &p->cap_free_facts, n) < 0 ||
        sl_alloc_grow(p->alloc, (void **)&p->facts, sizeof *p->facts, &p->cap_facts, n) < 0)
        return SL_POOL_NONE;
    return (uint32_t)p->n_facts++;
}

struct sl_fact *sl_pool_take(struct sl_pool *p, struct sl_span bytes)
{
    struct sl_fact_header header;
    if (!sl_fact_peek(bytes, &header))
        return NULL;
    /* What most cores of a pool are about to take, another has just taken. */
    struct sl_fact *latest = latest_of(p, &header);
    if (latest && latest->len == bytes.len && memcmp(latest->bytes, bytes.p, bytes.len) == 0) {
        latest->refs++;
        return latest;
    }
    uint8_t hash[32];
    p->crypto.hash(p->crypto.context, hash, sizeof hash, NULL, 0, &bytes, 1);
    uint64_t check = sl_get64(hash);
    if (p->n_by_bytes > 0) {
        uint32_t known = p->by_bytes[slot_of(p, check, bytes)];
        if (known) {
            p->facts[known - 1]->refs++;
            return p->facts[known - 1];
        }
    }
    struct sl_fact *f = fact_read(p, &header, bytes, check, latest);
    if (!f)
        return NULL;
    uint32_t number = SL_POOL_NONE;
    f->identity = SL_POOL_NONE;
    if (by_bytes_grow(p) < 0 || (f->who && p->n_records >= p->cap_index && index_grow(p) < 0) ||
        (number = fact_number(p)) == SL_POOL_NONE ||
        (f->identity = identity_take(p, sl_fact_origin(f))) == SL_POOL_NONE) {
        if (number != SL_POOL_NONE)
            p->free_facts[p->n_free_facts++] = number;
        fact_free(p, f);
        return NULL;
    }
    f->refs = 1;
    f->number = number;
    if (f->kind <= SL_KINDS)
        p->identities[f->identity].latest[f->kind - 1] = number + 1;
    p->facts[number] = f;
    p->by_bytes[slot_of(p, check, bytes)] = number + 1;
    p->n_by_bytes++;
    if (f->who) {
        index_put(p, f);
        p->n_records++;
    }
    return f;
}

bool sl_pool_verify(struct sl_pool *p, struct sl_fact *f, const uint8_t key[SL_KEY_LEN])
{
    if (!f->verified)
        f->verified = sl_fact_verify(f, &p->crypto, &p->bundle, key);
    return f->verified;
}

void sl_pool_unref(struct sl_pool *p, struct sl_fact *f)
{
    if (!f || --f->refs)
        return;
    by_bytes_drop(p, f);
    if (f->who)
        index_drop(p, f);
    uint32_t *latest = p->identities[f->identity].latest;
    if (f->kind <= SL_KINDS && latest[f->kind - 1] == f->number + 1)
        latest[f->kind - 1] = 0;
    p->facts[f->number] = NULL;
    p->free_facts[p->n_free_facts++] = f->number;
    sl_pool_release(p, f->identity);
    fact_free(p, f);
}
