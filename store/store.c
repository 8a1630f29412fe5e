/* store.c: the owner's side: take in members and what they said, look inside.
 * Feeding keeps the newest words as they came and notes whose they are; what they mean for services
 * is worked out by publish.c from these alone, so that the order of arrival cannot matter. */
#include "store/inside.h"

#include <assert.h>

#include "base/bytes.h"
#include "store/section.h"

/* ---- tables --------------------------------------------------------------------------------- */

static const struct sl_id *id_of_member(void *context, uint32_t index)
{
    const struct sl_store *s = context;
    return &s->members[index]->id;
}

int sl_store_new(const struct sl_alloc *alloc, uint64_t seed, sl_barrier *barrier,
                 struct sl_store **ret)
{
    struct sl_store *s = sl_alloc_zero(alloc, sizeof *s);
    if (!s)
        return STARLING_ENOMEM;
    struct sl_flock *flock = sl_flock_new(alloc, 0);
    if (!flock) {
        sl_alloc_free(alloc, s, sizeof *s);
        return STARLING_ENOMEM;
    }
    s->alloc = alloc;
    sl_epoch_init(&s->epoch, barrier);
    sl_loads_init(&s->loads, alloc);
    atomic_init(&s->flock, flock);
    atomic_init(&s->stale, false);
    atomic_init(&s->rosters_published, 1);
    atomic_init(&s->rosters_freed, 0);
    atomic_init(&s->again_at, SL_NEVER);
    s->crowd_is_old = true;

    struct sl_rand r;
    sl_rand_seed(&r, seed);
    sl_put64(s->key, sl_rand_u64(&r));
    sl_put64(s->key + 8, sl_rand_u64(&r));
    sl_idmap_init(&s->by_id, alloc, s->key, id_of_member, s);
    *ret = s;
    return 0;
}

static void free_blob(struct sl_store *s, struct sl_blob *b)
{
    sl_alloc_free(s->alloc, b->p, b->len);
    *b = (struct sl_blob){0};
}

void sl_store_free_offers(struct sl_store *s, struct sl_offer **offers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sl_offer_unref(s->alloc, offers[i]);
    sl_alloc_free(s->alloc, offers, n * sizeof *offers);
}

static void free_member(struct sl_store *s, struct sl_member *m)
{
    free_blob(s, &m->record);
    free_blob(s, &m->vitals);
    sl_store_free_offers(s, m->offers, m->n_offers);
    sl_seen_unref(s->alloc, m->now);
    sl_seen_unref(s->alloc, m->told);
    sl_alloc_free(s->alloc, m, sizeof *m);
}

void sl_store_free(struct sl_store *s)
{
    if (!s)
        return;
    const struct sl_alloc *a = s->alloc;
    sl_epoch_fini(&s->epoch, a);
    sl_flock_release(a, &atomic_load_explicit(&s->flock, memory_order_relaxed)->garbage);
    sl_views_free(s);
    for (size_t i = 0; i < s->n_listings; i++) {
        sl_store_free_offers(s, s->listings[i]->offers, s->listings[i]->n);
        sl_alloc_free(a, s->listings[i], s->listings[i]->size);
    }
    for (size_t i = 0; i < s->n_members; i++)
        free_member(s, s->members[i]);
    sl_changes_fini(&s->changes, a);
    sl_idmap_fini(&s->by_id);
    sl_alloc_free(a, s->listings, s->cap_listings * sizeof *s->listings);
    sl_alloc_free(a, s->members, s->cap_members * sizeof *s->members);
    sl_loads_fini(&s->loads);
    sl_alloc_free(a, s, sizeof *s);
}

static struct sl_member *find_member(const struct sl_store *s, const struct sl_id *id)
{
    uint32_t index = sl_idmap_find(&s->by_id, id);
    return index == SL_IDMAP_NONE ? NULL : s->members[index];
}

/* A member without words; *ret is in the tables. 0 or ENOMEM. */
static int add_member(struct sl_store *s, const struct sl_id *id, struct sl_member **ret)
{
    int r = sl_alloc_grow(s->alloc, (void **)&s->members, sizeof *s->members, &s->cap_members,
                          s->n_members + 1);
    if (r < 0)
        return r;
    struct sl_member *m = sl_alloc_zero(s->alloc, sizeof *m);
    if (!m)
        return STARLING_ENOMEM;
    m->id = *id;
    m->index = (uint32_t)s->n_members;
    s->members[m->index] = m;
    r = sl_idmap_add(&s->by_id, id, m->index);
    if (r < 0) {
        sl_alloc_free(s->alloc, m, sizeof *m);
        return r;
    }
    s->n_members++;
    *ret = m;
    return 0;
}

void sl_store_drop_member(struct sl_store *s, struct sl_member *m)
{
    assert(!m->now && !m->dirty);
    struct sl_member *last = s->members[s->n_members - 1];
    sl_idmap_remove(&s->by_id, &m->id);
    if (last != m) {
        /* The last one moves to the free place. Two fewer, one more: the map need not grow. */
        sl_idmap_remove(&s->by_id, &last->id);
        s->members[m->index] = last;
        last->index = m->index;
        int r = sl_idmap_add(&s->by_id, &last->id, last->index);
        assert(r == 0);
        (void)r;
    }
    s->n_members--;
    free_member(s, m);
}

static void touch(struct sl_store *s, struct sl_member *m)
{
    if (m->dirty)
        return;
    m->dirty = true;
    m->next_dirty = NULL;
    if (s->last_dirty)
        s->last_dirty->next_dirty = m;
    else
        s->first_dirty = m;
    s->last_dirty = m;
}

/* ---- feeding -------------------------------------------------------------------------------- */

static bool same_info(const struct sl_seen *a, const struct sl_store_member *b)
{
    return a->epoch == b->epoch && a->status == b->status && a->self == b->self &&
           sl_addr_eq(&a->addr, &b->addr) && strcmp(a->name, b->name) == 0 &&
           strcmp(a->zone, b->zone) == 0;
}

int sl_store_member(struct sl_store *s, const struct sl_store_member *info)
{
    struct sl_member *m = find_member(s, &info->id);
    if (m && m->now && same_info(m->now, info))
        return 0;
    bool is_new = !m || !m->now;
    if (is_new && s->n_known >= SL_MEMBERS_MAX)
        return STARLING_ELIMIT;
    struct sl_seen *seen = sl_seen_new(s->alloc, info);
    if (!seen)
        return STARLING_ENOMEM;
    if (!m) {
        int r = add_member(s, &info->id, &m);
        if (r < 0) {
            sl_seen_unref(s->alloc, seen);
            return r;
        }
    }
    sl_seen_unref(s->alloc, m->now);
    m->now = seen;
    s->n_known += is_new;
    s->crowd_is_old = true;
    touch(s, m);
    return 0;
}

/* What is wrong in a record section: entries with a fault, or the whole for one. */
static size_t record_faults(struct sl_span sections)
{
    struct sl_sections it;
    struct sl_service service;
    size_t n = 0;
    int r;
    sl_sections_begin(&it, sections);
    while ((r = sl_sections_next(&it, &service)) != 0)
        n += r < 0;
    return sl_sections_ok(&it) ? n : 1;
}

static size_t vitals_faults(struct sl_span sections)
{
    struct sl_service_vitals vitals[SL_SERVICES_MAX];
    size_t n, n_refused;
    return sl_sections_read_vitals(sections, vitals, &n, &n_refused) ? n_refused : 1;
}

/* Keep a copy of what the member says now, as it came: publish.c makes of malformed bytes what it
 * makes of none. What was said before goes with them, since nodes that never heard it must come to
 * the same registry. The same words again are nothing new. 0 or ENOMEM. */
static int take_words(struct sl_store *s, struct sl_member *m, struct sl_blob *blob, size_t max,
                      struct sl_span bytes, size_t (*faults)(struct sl_span))
{
    bool too_long = bytes.len > max;
    if (too_long)
        bytes.len = 0;
    if (blob->len == bytes.len && (bytes.len == 0 || memcmp(blob->p, bytes.p, bytes.len) == 0))
        return 0;
    uint8_t *copy = NULL;
    if (bytes.len > 0) {
        copy = sl_alloc_zero(s->alloc, bytes.len);
        if (!copy)
            return STARLING_ENOMEM;
        memcpy(copy, bytes.p, bytes.len);
    }
    free_blob(s, blob);
    *blob = (struct sl_blob){.p = copy, .len = bytes.len};
    s->sections_refused += too_long ? 1 : faults(bytes);
    touch(s, m);
    return 0;
}

int sl_store_record(struct sl_store *s, const struct sl_id *id, struct sl_span sections)
{
    struct sl_member *m = find_member(s, id);
    if (!m || !m->now)
        return STARLING_ENOENT;
    return take_words(s, m, &m->record, SL_RECORD_MAX, sections, record_faults);
}

int sl_store_vitals(struct sl_store *s, const struct sl_id *id, struct sl_span sections)
{
    struct sl_member *m = find_member(s, id);
    if (!m || !m->now)
        return STARLING_ENOENT;
    return take_words(s, m, &m->vitals, SL_VITALS_MAX, sections, vitals_faults);
}

void sl_store_forget(struct sl_store *s, const struct sl_id *id)
{
    struct sl_member *m = find_member(s, id);
    if (!m || !m->now)
        return;
    sl_seen_unref(s->alloc, m->now);
    m->now = NULL;
    free_blob(s, &m->record);
    free_blob(s, &m->vitals);
    s->n_known--;
    s->crowd_is_old = true;
    touch(s, m);
}

static void near_views_are_due(struct sl_store *s, sl_usec at)
{
    for (size_t i = 0; i < s->n_buckets; i++) {
        for (struct sl_view *v = s->views[i]; v; v = v->next) {
            if (sl_spec_looks_near(&v->spec))
                v->again_at = sl_earlier(v->again_at, at);
        }
    }
    s->again_at = sl_earlier(s->again_at, at);
}

void sl_store_count_crowd(struct sl_store *s, sl_usec now)
{
    struct sl_crowd *c = &s->crowd;
    const struct sl_seen *self = NULL;
    if (s->n_near == 0 || !s->crowd_is_old)
        return;
    s->crowd_is_old = false;
    near_views_are_due(s, c->host[0] == '\0' ? now : sl_after(now, SL_SEC(1)));
    *c = (struct sl_crowd){0};
    for (size_t i = 0; i < s->n_members && !self; i++) {
        if (s->members[i]->now && s->members[i]->now->self)
            self = s->members[i]->now;
    }
    if (!self)
        return;
    char host[SL_ADDR_TEXT];
    sl_addr_format_host(host, &self->addr);
    sl_copy_text(c->host, sizeof c->host, host, strlen(host));
    for (size_t i = 0; i < s->n_members; i++) {
        const struct sl_seen *m = s->members[i]->now;
        if (!m || m->status != STARLING_ALIVE)
            continue;
        uint32_t z = 0;
        while (z < c->n_zones && strcmp(c->zones[z].name, m->zone) != 0)
            z++;
        if (z == c->n_zones && z < SL_ZONES_MAX - 1)
            sl_copy_text(c->zones[c->n_zones++].name, sizeof c->zones[z].name, m->zone,
                         strlen(m->zone));
        c->zones[z].n++;
        c->n++;
        c->n_here += memcmp(m->addr.ip, self->addr.ip, sizeof m->addr.ip) == 0;
    }
    for (uint32_t z = 0; z < SL_ZONES_MAX; z++) {
        if (z == SL_ZONES_MAX - 1 ||
            (z < c->n_zones && strcmp(c->zones[z].name, self->zone) == 0)) {
            c->own_zone = z;
            break;
        }
    }
}

void sl_store_stale(struct sl_store *s, bool stale)
{
    /* Pairs with the load in view.c. A flag on its own: orders nothing. */
    atomic_store_explicit(&s->stale, stale, memory_order_relaxed);
}

bool sl_store_next_change(struct sl_store *s, struct sl_change *ret)
{
    return sl_changes_next(&s->changes, s->alloc, ret);
}

/* ---- looking inside ------------------------------------------------------------------------- */

bool sl_store_find_listing(const struct sl_store *s, const char *tenant, const char *name,
                           size_t *ret_at)
{
    size_t low = 0, high = s->n_listings;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct sl_listing *l = s->listings[middle];
        if (sl_service_cmp(l->tenant, l->name, tenant, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return low < s->n_listings &&
           sl_service_cmp(s->listings[low]->tenant, s->listings[low]->name, tenant, name) == 0;
}

bool sl_store_service(const struct sl_store *s, size_t i, const char **ret_tenant,
                      const char **ret_name, size_t *ret_n_instances)
{
    if (i >= s->n_listings)
        return false;
    *ret_tenant = s->listings[i]->tenant;
    *ret_name = s->listings[i]->name;
    *ret_n_instances = s->listings[i]->n;
    return true;
}

const struct sl_instance *sl_store_instance(const struct sl_store *s, size_t i, size_t k)
{
    if (i >= s->n_listings || k >= s->listings[i]->n)
        return NULL;
    return &s->listings[i]->offers[k]->inst;
}

size_t sl_store_n_services(const struct sl_store *s, const struct sl_id *id)
{
    const struct sl_member *m = find_member(s, id);
    return m ? m->n_offers : 0;
}

void sl_store_stats(const struct sl_store *s, struct sl_store_stats *ret)
{
    *ret = (struct sl_store_stats){
        .sections_refused = s->sections_refused,
        .rosters_published = atomic_load_explicit(&s->rosters_published, memory_order_relaxed),
        .rosters_freed = atomic_load_explicit(&s->rosters_freed, memory_order_relaxed),
        .services = s->n_listings,
        .instances = s->n_instances,
        .tickets_expired = atomic_load_explicit(&s->loads.expired, memory_order_relaxed),
    };
}
