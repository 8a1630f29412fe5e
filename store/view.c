/* view.c: reading from any thread, and the views that readers hold.
 * A reader is inside an epoch (epoch.h) from the load of the pointer to its last look at the
 * roster, and copies what it wants; no pointer into the store leaves a call. */
#include "store/inside.h"

#include "base/bytes.h"
#include "store/spec.h"

/* ---- views, under the lock ------------------------------------------------------------------ */

static uint64_t hash_of(const struct sl_store *s, const char *tenant, const char *name)
{
    char text[128];
    size_t tenant_len = strlen(tenant), name_len = strlen(name);
    memcpy(text, tenant, tenant_len + 1);
    memcpy(text + tenant_len + 1, name, name_len);
    return sl_siphash(s->key, text, tenant_len + 1 + name_len);
}

struct sl_view *sl_store_views_of(const struct sl_store *s, const char *tenant, const char *name,
                                  uint64_t *ret_hash)
{
    *ret_hash = hash_of(s, tenant, name);
    return s->n_buckets > 0 ? s->views[*ret_hash & (s->n_buckets - 1)] : NULL;
}

bool sl_view_is_of(const struct sl_view *v, uint64_t hash, const char *tenant, const char *name)
{
    return v->hash == hash && strcmp(v->spec.tenant, tenant) == 0 &&
           strcmp(v->spec.name, name) == 0;
}

/* Twice as many buckets as soon as there are as many views. 0 or ENOMEM. */
static int make_room(struct sl_store *s)
{
    if (s->n_views < s->n_buckets)
        return 0;
    size_t n = s->n_buckets > 0 ? 2 * s->n_buckets : 16;
    struct sl_view **buckets = sl_alloc_zero(s->alloc, n * sizeof *buckets);
    if (!buckets)
        return STARLING_ENOMEM;
    for (size_t i = 0; i < s->n_buckets; i++) {
        for (struct sl_view *v = s->views[i], *next; v; v = next) {
            next = v->next;
            v->next = buckets[v->hash & (n - 1)];
            buckets[v->hash & (n - 1)] = v;
        }
    }
    sl_alloc_free(s->alloc, s->views, s->n_buckets * sizeof *s->views);
    s->views = buckets;
    s->n_buckets = n;
    return 0;
}

#define TURNS_BYTES (SL_EPOCH_SLOTS * sizeof(struct sl_turn) + SL_CACHE_LINE - 1)

static int make_turns(struct sl_view *v)
{
    if (v->spec.strategy != STARLING_ROUND_ROBIN)
        return 0;
    v->turns_memory = sl_alloc_zero(v->store->alloc, TURNS_BYTES);
    if (!v->turns_memory)
        return STARLING_ENOMEM;
    uintptr_t at = (uintptr_t)v->turns_memory + SL_CACHE_LINE - 1;
    v->turns = (struct sl_turn *)(at & ~(uintptr_t)(SL_CACHE_LINE - 1));
    return 0;
}

/* All who opened it have closed it: nobody reads. */
static void free_view(struct sl_view *v)
{
    const struct sl_alloc *alloc = v->store->alloc;
    struct sl_roster *r = atomic_load_explicit(&v->roster, memory_order_relaxed);
    if (r) {
        sl_roster_release(alloc, &r->garbage);
        atomic_fetch_add_explicit(&v->store->rosters_freed, 1, memory_order_relaxed);
    }
    sl_alloc_free(alloc, v->turns_memory, TURNS_BYTES);
    sl_alloc_free(alloc, v, sizeof *v);
}

int sl_view_make(struct sl_view *v, struct sl_offer *const *offers, uint32_t n, sl_usec now)
{
    struct sl_plan plan = {
        .alloc = v->store->alloc,
        .spec = &v->spec,
        .crowd = &v->store->crowd,
        .loads = &v->store->loads,
        .now = now,
        .near = {v->near[0], v->near[1]},
    };
    int r = sl_roster_make(&plan, offers, n, &v->made);
    v->again_made = plan.again_at;
    memcpy(v->near_made, plan.near, sizeof plan.near);
    return r;
}

void sl_view_exchange(struct sl_view *v)
{
    struct sl_store *s = v->store;
    /* O1 of epoch.h; pairs with the load in roster_of. */
    struct sl_roster *old = atomic_exchange_explicit(&v->roster, v->made, memory_order_seq_cst);
    atomic_fetch_add_explicit(&s->rosters_published, v->made != NULL, memory_order_relaxed);
    if (old)
        sl_epoch_retire(&s->epoch, &old->garbage);
    v->made = NULL;
    v->is_made = false;
    v->again_at = v->again_made;
    s->again_at = sl_earlier(s->again_at, v->again_at);
    memcpy(v->near, v->near_made, sizeof v->near);
}

static int new_view(struct sl_store *s, const struct sl_view_spec *spec, sl_usec now,
                    struct sl_view **ret)
{
    struct sl_view *v = sl_alloc_zero(s->alloc, sizeof *v);
    size_t at;
    int r = 0;
    if (!v)
        return STARLING_ENOMEM;
    v->store = s;
    v->spec = *spec;
    v->refs = 1;
    v->feedback = sl_spec_wants_feedback(spec);
    v->again_made = SL_NEVER;
    atomic_init(&v->roster, NULL);
    s->n_near += sl_spec_looks_near(spec);
    if (sl_store_find_listing(s, spec->tenant, spec->name, &at))
        r = sl_view_make(v, s->listings[at]->offers, s->listings[at]->n, now);
    if (r == 0)
        r = make_turns(v);
    if (r == 0)
        r = make_room(s);
    if (r < 0) {
        if (v->made)
            sl_roster_release(s->alloc, &v->made->garbage);
        v->made = NULL;
        s->n_near -= sl_spec_looks_near(spec);
        free_view(v);
        return r;
    }
    if (sl_spec_looks_near(spec) && s->crowd.host[0] == '\0')
        v->again_made = now; /* who is where is counted by the owner: this may be another thread */
    sl_view_exchange(v);
    *ret = v;
    return 0;
}

struct sl_view *sl_view_again(struct sl_store *s, const struct sl_view_spec *spec)
{
    uint64_t hash;
    for (struct sl_view *v = sl_store_views_of(s, spec->tenant, spec->name, &hash); v;
         v = v->next) {
        if (v->hash == hash && memcmp(&v->spec, spec, sizeof *spec) == 0) {
            v->refs++;
            return v;
        }
    }
    return NULL;
}

int sl_view_open(struct sl_store *s, const struct sl_view_spec *spec, sl_usec now, void *user,
                 struct sl_view **ret)
{
    struct sl_view *v;
    if (sl_view_fault(spec))
        return STARLING_EINVAL;
    v = sl_view_again(s, spec);
    if (v) {
        *ret = v;
        return 0;
    }
    int r = new_view(s, spec, now, &v);
    if (r < 0)
        return r;
    v->user = user;
    v->hash = hash_of(s, spec->tenant, spec->name);
    v->next = s->views[v->hash & (s->n_buckets - 1)];
    s->views[v->hash & (s->n_buckets - 1)] = v;
    s->n_views++;
    *ret = v;
    return 0;
}

void sl_view_close(struct sl_store *s, struct sl_view *v)
{
    if (!v || --v->refs > 0)
        return;
    struct sl_view **at = &s->views[v->hash & (s->n_buckets - 1)];
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    s->n_views--;
    s->n_near -= sl_spec_looks_near(&v->spec);
    free_view(v);
}

void sl_views_free(struct sl_store *s)
{
    for (size_t i = 0; i < s->n_buckets; i++) {
        for (struct sl_view *v = s->views[i], *next; v; v = next) {
            next = v->next;
            free_view(v);
        }
    }
    sl_alloc_free(s->alloc, s->views, s->n_buckets * sizeof *s->views);
}

void *sl_view_user(const struct sl_view *v)
{
    return v->user;
}

const char *sl_view_service(const struct sl_view *v)
{
    return v->spec.name;
}

bool sl_view_wants_time(const struct sl_view *v)
{
    return v->feedback;
}

/* ---- reading instances ---------------------------------------------------------------------- */

/* R3 of epoch.h; pairs with the exchanges in publish.c. NULL: nobody offers it. */
static const struct sl_roster *roster_of(struct sl_view *v)
{
    return atomic_load_explicit(&v->roster, memory_order_seq_cst);
}

static unsigned flags_of(const struct sl_store *s, const struct sl_offer *o)
{
    unsigned flags = 0;
    if (o->status == STARLING_SUSPECT)
        flags |= STARLING_F_SUSPECT;
    if (o->status == STARLING_DOWN)
        flags |= STARLING_F_DOWN;
    /* Pairs with sl_store_stale. */
    if (atomic_load_explicit(&s->stale, memory_order_relaxed))
        flags |= STARLING_F_STALE;
    return flags;
}

/* Copy a text of up to 63 bytes with its NUL, in steps of a size that the compiler knows: what lies
 * behind is of no meaning on either side (SL_TEXT_SLACK). The start of the next one. */
static const char *copy_text(char *out, const char *text, size_t len)
{
    for (size_t i = 0; i <= len; i += SL_TEXT_SLACK)
        memcpy(out + i, text + i, SL_TEXT_SLACK);
    return text + len + 1;
}

static void copy_instance(struct starling_instance *out, const struct sl_offer *o, unsigned flags)
{
    const char *text = copy_text(out->host, o->text, o->host_len);
    out->port = o->port;
    out->health = (enum starling_health)o->health;
    out->weight = o->weight;
    out->flags = flags;
    out->ticket = 0;
    memcpy(out->id, o->id_text, sizeof out->id);
    text = copy_text(out->node, text, o->node_len);
    text = copy_text(out->zone, text, o->zone_len);
    copy_text(out->version, text, o->version_len);
}

int sl_view_pick(struct sl_view *v, const struct sl_pick *how, struct starling_instance *ret)
{
    int result = STARLING_ENOENT;
    struct sl_reader inside = sl_epoch_enter(&v->store->epoch);
    const struct sl_roster *roster = roster_of(v);
    if (roster) {
        uint32_t out;
        const struct sl_candidate *c =
            sl_roster_choose(roster, &v->spec, how, v->turns ? &v->turns[inside.slot] : NULL, &out);
        result = c ? 0 : STARLING_EUNAVAIL;
        if (c) {
            copy_instance(ret, c->offer,
                          flags_of(v->store, c->offer) | (roster->panic ? STARLING_F_PANIC : 0));
            if (v->feedback)
                ret->ticket = sl_load_begin(&v->store->loads, c->load, how->now_ms, out == 0);
        }
    }
    sl_epoch_exit(inside);
    return result;
}

bool sl_view_done(struct sl_view *v, uint32_t now_ms, uint64_t ticket, int outcome,
                  uint32_t latency_us)
{
    return sl_load_end(&v->store->loads, ticket, now_ms, (enum starling_outcome)outcome, latency_us,
                       v->spec.timeout_us);
}

/* Element i of the caller's array: what both sides know, then zeroes. */
static void put_element(void *array, size_t i, size_t stride, const void *element, size_t size)
{
    uint8_t *to = (uint8_t *)array + i * stride;
    size_t known = stride < size ? stride : size;
    memcpy(to, element, known);
    memset(to + known, 0, stride - known);
}

void sl_view_list(struct sl_view *v, size_t cap, void *ret_instances, size_t stride, size_t *ret_n)
{
    struct sl_reader inside = sl_epoch_enter(&v->store->epoch);
    const struct sl_roster *roster = roster_of(v);
    size_t n = roster ? roster->n : 0;
    for (size_t i = 0; i < n && i < cap; i++) {
        const struct sl_offer *o = roster->offers[i];
        struct starling_instance element = {0};
        copy_instance(&element, o, flags_of(v->store, o));
        put_element(ret_instances, i, stride, &element, sizeof element);
    }
    sl_epoch_exit(inside);
    *ret_n = n;
}

size_t sl_view_n_fit(struct sl_view *v)
{
    struct sl_reader inside = sl_epoch_enter(&v->store->epoch);
    const struct sl_roster *roster = roster_of(v);
    size_t n = roster ? roster->n_fit : 0;
    sl_epoch_exit(inside);
    return n;
}

static int copy_meta(const struct sl_instance *inst, const char *key, size_t cap, char *buffer)
{
    size_t key_len = strlen(key);
    const uint8_t *p = inst->meta;
    for (size_t i = 0; i < inst->n_meta; i++) {
        size_t k_len = p[0], v_len = sl_get16(p + 1);
        const uint8_t *k = p + 3;
        p = k + k_len + v_len;
        if (k_len != key_len || memcmp(k, key, key_len) != 0)
            continue;
        if (v_len >= cap)
            return STARLING_ELIMIT;
        sl_copy_text(buffer, cap, (const char *)k + k_len, v_len);
        return 0;
    }
    return STARLING_ENOENT;
}

int sl_view_meta(struct sl_view *v, const struct sl_id *id, const char *key, size_t cap,
                 char *buffer)
{
    int result = STARLING_ENOENT;
    struct sl_reader inside = sl_epoch_enter(&v->store->epoch);
    const struct sl_roster *roster = roster_of(v);
    for (size_t i = 0; roster && i < roster->n; i++) {
        if (sl_id_eq(&roster->offers[i]->inst.id, id)) {
            result = copy_meta(&roster->offers[i]->inst, key, cap, buffer);
            break;
        }
    }
    sl_epoch_exit(inside);
    return result;
}

/* ---- reading members ------------------------------------------------------------------------ */

/* R3 of epoch.h; pairs with the exchange in publish.c. */
static const struct sl_flock *flock_of(struct sl_store *s)
{
    return atomic_load_explicit(&s->flock, memory_order_seq_cst);
}

static void copy_member(struct starling_member *out, const struct sl_flock_entry *e)
{
    const struct sl_seen *info = e->seen;
    sl_hex(out->id, info->id.b, sizeof info->id.b);
    sl_copy_text(out->name, sizeof out->name, info->name, strlen(info->name));
    sl_addr_format(out->address, &info->addr);
    sl_copy_text(out->zone, sizeof out->zone, info->zone, strlen(info->zone));
    out->status = (enum starling_status)info->status;
    out->epoch = info->epoch;
    out->n_services = e->n_services;
}

void sl_store_members(struct sl_store *s, size_t cap, void *ret_members, size_t stride,
                      size_t *ret_n)
{
    struct sl_reader inside = sl_epoch_enter(&s->epoch);
    const struct sl_flock *flock = flock_of(s);
    size_t n = flock->n;
    for (size_t i = 0; i < n && i < cap; i++) {
        struct starling_member element = {0};
        copy_member(&element, &flock->members[i]);
        put_element(ret_members, i, stride, &element, sizeof element);
    }
    sl_epoch_exit(inside);
    *ret_n = n;
}

size_t sl_store_n_alive(struct sl_store *s)
{
    struct sl_reader inside = sl_epoch_enter(&s->epoch);
    size_t n = flock_of(s)->n_alive;
    sl_epoch_exit(inside);
    return n;
}
