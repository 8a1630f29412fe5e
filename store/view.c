/* view.c: reading from any thread, and the views that readers hold.
 * A reader is inside an epoch (epoch.h) from the load of the pointer to its last look at the
 * roster, and copies what it wants; no pointer into the store leaves a call. */
#include "store/inside.h"

#include <assert.h>

#include "base/bytes.h"

/* ---- views, under the lock ------------------------------------------------------------------ */

bool sl_store_find_view(const struct sl_store *s, const char *tenant, const char *name,
                        size_t *ret_at)
{
    size_t low = 0, high = s->n_views;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct sl_view *v = s->views[middle];
        if (sl_service_cmp(v->tenant, v->name, tenant, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return low < s->n_views &&
           sl_service_cmp(s->views[low]->tenant, s->views[low]->name, tenant, name) == 0;
}

static struct sl_view *new_view(struct sl_store *s, const char *tenant, const char *name)
{
    size_t tenant_size = strlen(tenant) + 1, name_size = strlen(name) + 1;
    size_t size = sizeof(struct sl_view) + tenant_size + name_size;
    struct sl_view *v = sl_alloc_zero(s->alloc, size);
    if (!v)
        return NULL;
    v->store = s;
    v->refs = 1;
    v->size = (uint32_t)size;
    memcpy(v->text, tenant, tenant_size);
    memcpy(v->text + tenant_size, name, name_size);
    v->tenant = v->text;
    v->name = v->text + tenant_size;
    size_t at;
    bool listed = sl_store_find_listing(s, tenant, name, &at);
    atomic_init(&v->roster, listed ? s->listings[at]->roster : NULL);
    return v;
}

int sl_view_open(struct sl_store *s, const char *tenant, const char *name, struct sl_view **ret)
{
    size_t at;
    if (!sl_name_ok(tenant, strlen(tenant)) || !sl_name_ok(name, strlen(name)))
        return STARLING_EINVAL;
    if (sl_store_find_view(s, tenant, name, &at)) {
        s->views[at]->refs++;
        *ret = s->views[at];
        return 0;
    }
    int r = sl_alloc_grow(s->alloc, (void **)&s->views, sizeof *s->views, &s->cap_views,
                          s->n_views + 1);
    if (r < 0)
        return r;
    struct sl_view *v = new_view(s, tenant, name);
    if (!v)
        return STARLING_ENOMEM;
    memmove(&s->views[at + 1], &s->views[at], (s->n_views - at) * sizeof *s->views);
    s->views[at] = v;
    s->n_views++;
    *ret = v;
    return 0;
}

void sl_view_close(struct sl_store *s, struct sl_view *v)
{
    size_t at;
    if (!v || --v->refs > 0)
        return;
    bool found = sl_store_find_view(s, v->tenant, v->name, &at);
    assert(found && s->views[at] == v);
    (void)found;
    s->n_views--;
    memmove(&s->views[at], &s->views[at + 1], (s->n_views - at) * sizeof *s->views);
    sl_alloc_free(s->alloc, v, v->size); /* all who opened it have closed it: nobody reads it */
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
    if (o->inst.status == STARLING_SUSPECT)
        flags |= STARLING_F_SUSPECT;
    if (o->inst.status == STARLING_DOWN)
        flags |= STARLING_F_DOWN;
    /* Pairs with sl_store_stale. */
    if (atomic_load_explicit(&s->stale, memory_order_relaxed))
        flags |= STARLING_F_STALE;
    return flags;
}

static void copy_instance(struct starling_instance *out, const struct sl_offer *o, unsigned flags)
{
    memcpy(out->host, o->inst.host, o->host_len + 1u);
    out->port = o->inst.port;
    out->health = (enum starling_health)o->inst.health;
    out->weight = o->inst.weight;
    out->flags = flags;
    out->ticket = 0; /* nobody counts requests yet */
    memcpy(out->node, o->inst.node, o->node_len + 1u);
    memcpy(out->id, o->id_text, sizeof out->id);
    memcpy(out->zone, o->inst.zone, o->zone_len + 1u);
    memcpy(out->version, o->inst.version, o->version_len + 1u);
}

int sl_view_pick(struct sl_view *v, struct sl_rand *r, struct starling_instance *ret)
{
    int result = STARLING_ENOENT;
    _Atomic uint32_t *inside = sl_epoch_enter(&v->store->epoch);
    const struct sl_roster *roster = roster_of(v);
    if (roster) {
        const struct sl_offer *o = sl_roster_pick(roster, r);
        result = o ? 0 : STARLING_EUNAVAIL;
        if (o)
            copy_instance(ret, o, flags_of(v->store, o));
    }
    sl_epoch_exit(inside);
    return result;
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
    _Atomic uint32_t *inside = sl_epoch_enter(&v->store->epoch);
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
    _Atomic uint32_t *inside = sl_epoch_enter(&v->store->epoch);
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
    _Atomic uint32_t *inside = sl_epoch_enter(&v->store->epoch);
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
    const struct sl_store_member *info = &e->seen->info;
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
    _Atomic uint32_t *inside = sl_epoch_enter(&s->epoch);
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
    _Atomic uint32_t *inside = sl_epoch_enter(&s->epoch);
    size_t n = flock_of(s)->n_alive;
    sl_epoch_exit(inside);
    return n;
}
