/* publish.c: turn what members said into rosters, and hand these to the readers.
 *
 * In two steps. Preparing works out what will be, allocates all of it and changes nothing; should
 * memory run out, it is thrown away and the store is as before. Committing allocates nothing and
 * cannot fail. Only what touched members offer, or offered, is rebuilt: their instances old and new
 * are the edits, and a new roster is the old one with the edits of its service merged in, both
 * being in order. */
#include "store/inside.h"

#include <assert.h>
#include <stdlib.h>

#include "store/section.h"

/* What becomes of one instance; `was` NULL: new, `is` NULL: gone. */
struct edit {
    struct sl_offer *was, *is;
};

/* What becomes of one listing. */
struct relisting {
    struct sl_listing *listing;
    struct sl_offer **offers; /* borrowed from the edits and the listing; n 0: nobody any more */
    uint32_t n;
    bool is_new;
};

/* What becomes of one member in the roster of members. */
struct member_edit {
    struct sl_seen *was, *is;
    uint32_t n_services;
};

struct batch {
    sl_usec now;
    struct sl_view *made; /* views whose rosters are made */
    struct edit *edits;
    size_t n_edits, cap_edits;
    struct relisting *relistings;
    size_t n_relistings, cap_relistings;
    struct member_edit *member_edits;
    size_t n_member_edits, cap_member_edits;
    size_t n_new_listings, n_gone_listings;
    struct sl_flock *flock; /* NULL: members are as they were */
};

/* ---- preparing: the instances of touched members -------------------------------------------- */

/* The published instance of that service, from *at on. */
static struct sl_offer *published_offer(const struct sl_member *m, const struct sl_service *service,
                                        uint32_t *at)
{
    for (; *at < m->n_offers; ++*at) {
        struct sl_offer *o = m->offers[*at];
        int c = sl_service_cmp(o->tenant, o->service, service->tenant, service->name);
        if (c >= 0)
            return c == 0 ? o : NULL;
    }
    return NULL;
}

/* How many services the record names without fault; none when it is malformed. */
static uint32_t count_services(const struct sl_member *m)
{
    struct sl_sections it;
    struct sl_service service;
    uint32_t n = 0;
    int r;
    sl_sections_begin(&it, sl_span_of(m->record.p, m->record.len));
    while ((r = sl_sections_next(&it, &service)) != 0)
        n += r > 0;
    return sl_sections_ok(&it) ? n : 0;
}

/* Fill made[n] with the instances that the record names. 0 or ENOMEM. */
static int fill_offers(struct sl_store *s, const struct sl_member *m, sl_usec now,
                       struct sl_offer **made, uint32_t n)
{
    struct sl_service_vitals vitals[SL_SERVICES_MAX];
    size_t n_vitals, n_refused;
    if (!sl_sections_read_vitals(sl_span_of(m->vitals.p, m->vitals.len), vitals, &n_vitals,
                                 &n_refused))
        n_vitals = 0;
    struct sl_sections it;
    struct sl_service service;
    uint32_t i = 0, at = 0;
    int r;
    sl_sections_begin(&it, sl_span_of(m->record.p, m->record.len));
    while ((r = sl_sections_next(&it, &service)) != 0) {
        if (r < 0)
            continue;
        sl_sections_apply(&service, vitals, n_vitals);
        struct sl_offer *is = sl_offer_new(s->alloc, m->now, &service);
        if (!is)
            return STARLING_ENOMEM;
        struct sl_offer *was = published_offer(m, &service, &at);
        if (was && sl_offer_compare(was, is) == SL_SAME) {
            sl_offer_unref(s->alloc, is);
            is = sl_offer_ref(was);
        } else {
            sl_offer_inherit(is, was, now);
        }
        made[i++] = is;
    }
    assert(i == n);
    (void)n;
    return 0;
}

/* Set m->made to what the member offers; what is as published is shared. 0 or ENOMEM. */
static int make_offers(struct sl_store *s, struct sl_member *m, sl_usec now)
{
    assert(!m->made && m->n_made == 0);
    uint32_t n = m->now && m->now->status != STARLING_LEFT ? count_services(m) : 0;
    if (n == 0)
        return 0;
    struct sl_offer **made = sl_alloc_zero(s->alloc, n * sizeof *made);
    if (!made)
        return STARLING_ENOMEM;
    int r = fill_offers(s, m, now, made, n);
    if (r < 0) {
        sl_store_free_offers(s, made, n);
        return r;
    }
    m->made = made;
    m->n_made = n;
    return 0;
}

static int add_edit(struct sl_store *s, struct batch *b, struct sl_offer *was, struct sl_offer *is)
{
    if (was == is)
        return 0;
    /* A node that changed its name moves to another place in the roster. */
    if (was && is && sl_offer_cmp(was, is) != 0) {
        int r = add_edit(s, b, was, NULL);
        return r < 0 ? r : add_edit(s, b, NULL, is);
    }
    int r = sl_alloc_grow(s->alloc, (void **)&b->edits, sizeof *b->edits, &b->cap_edits,
                          b->n_edits + 1);
    if (r < 0)
        return r;
    b->edits[b->n_edits++] = (struct edit){.was = was, .is = is};
    return 0;
}

/* The edits between what the member offered and what it does now. 0 or ENOMEM. */
static int add_edits_of(struct sl_store *s, struct batch *b, const struct sl_member *m)
{
    uint32_t i = 0, k = 0;
    while (i < m->n_offers || k < m->n_made) {
        struct sl_offer *was = i < m->n_offers ? m->offers[i] : NULL;
        struct sl_offer *is = k < m->n_made ? m->made[k] : NULL;
        int c = !was  ? 1
                : !is ? -1
                      : sl_service_cmp(was->tenant, was->service, is->tenant, is->service);
        int r = add_edit(s, b, c <= 0 ? was : NULL, c >= 0 ? is : NULL);
        if (r < 0)
            return r;
        i += c <= 0;
        k += c >= 0;
    }
    return 0;
}

static int compare_edits(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;
    const struct sl_offer *o = x->is ? x->is : x->was, *p = y->is ? y->is : y->was;
    int c = sl_service_cmp(o->tenant, o->service, p->tenant, p->service);
    return c != 0 ? c : sl_offer_cmp(o, p);
}

/* ---- preparing: rosters --------------------------------------------------------------------- */

/* How many edits from `first` on are about the same service as it. */
static size_t edits_of_service(const struct batch *b, size_t first)
{
    const struct sl_offer *o = b->edits[first].is ? b->edits[first].is : b->edits[first].was;
    size_t n = 1;
    for (; first + n < b->n_edits; n++) {
        const struct edit *e = &b->edits[first + n];
        const struct sl_offer *p = e->is ? e->is : e->was;
        if (sl_service_cmp(o->tenant, o->service, p->tenant, p->service) != 0)
            break;
    }
    return n;
}

/* The offers of the listing with the edits merged in. */
static void merge_offers(const struct sl_listing *old, const struct edit *edits, size_t n_edits,
                         struct relisting *re)
{
    uint32_t i = 0, n = 0;
    for (size_t k = 0; k < n_edits; k++) {
        const struct sl_offer *o = edits[k].was ? edits[k].was : edits[k].is;
        while (i < old->n && sl_offer_cmp(old->offers[i], o) < 0)
            re->offers[n++] = old->offers[i++];
        if (edits[k].was) {
            assert(i < old->n && old->offers[i] == edits[k].was);
            i++;
        }
        if (edits[k].is)
            re->offers[n++] = edits[k].is;
    }
    while (i < old->n)
        re->offers[n++] = old->offers[i++];
    assert(n == re->n);
}

static struct sl_listing *new_listing(struct sl_store *s, const struct sl_offer *o)
{
    size_t tenant_size = strlen(o->tenant) + 1, name_size = strlen(o->service) + 1;
    size_t size = sizeof(struct sl_listing) + tenant_size + name_size;
    struct sl_listing *l = sl_alloc_zero(s->alloc, size);
    if (!l)
        return NULL;
    l->size = (uint32_t)size;
    memcpy(l->text, o->tenant, tenant_size);
    memcpy(l->text + tenant_size, o->service, name_size);
    l->tenant = l->text;
    l->name = l->text + tenant_size;
    return l;
}

/* The new roster of the service that the edits are about. 0 or ENOMEM. */
static int relist(struct sl_store *s, struct batch *b, const struct edit *edits, size_t n_edits)
{
    const struct sl_offer *o = edits[0].is ? edits[0].is : edits[0].was;
    size_t at;
    struct relisting re = {0};
    int r = sl_alloc_grow(s->alloc, (void **)&b->relistings, sizeof *b->relistings,
                          &b->cap_relistings, b->n_relistings + 1);
    if (r < 0)
        return r;
    re.is_new = !sl_store_find_listing(s, o->tenant, o->service, &at);
    re.listing = re.is_new ? new_listing(s, o) : s->listings[at];
    if (!re.listing)
        return STARLING_ENOMEM;

    re.n = re.listing->n;
    for (size_t i = 0; i < n_edits; i++)
        re.n = re.n + !!edits[i].is - !!edits[i].was;
    if (re.n > 0) {
        re.offers = sl_alloc_zero(s->alloc, re.n * sizeof *re.offers);
        if (!re.offers) {
            if (re.is_new)
                sl_alloc_free(s->alloc, re.listing, re.listing->size);
            return STARLING_ENOMEM;
        }
        merge_offers(re.listing, edits, n_edits, &re);
    }
    b->relistings[b->n_relistings++] = re;
    b->n_new_listings += re.is_new;
    b->n_gone_listings += re.n == 0;
    return 0;
}

/* ---- preparing: views ----------------------------------------------------------------------- */

static int make_view(struct batch *b, struct sl_view *v, struct sl_offer *const *offers, uint32_t n)
{
    v->made = NULL;
    v->is_made = true;
    v->next_made = b->made;
    b->made = v;
    return sl_view_make(v, offers, n, b->now);
}

/* The rosters of all views of a service. 0 or ENOMEM. */
static int make_views(struct sl_store *s, struct batch *b, const struct relisting *re)
{
    const struct sl_listing *l = re->listing;
    uint64_t hash;
    for (struct sl_view *v = sl_store_views_of(s, l->tenant, l->name, &hash); v; v = v->next) {
        int r = sl_view_is_of(v, hash, l->tenant, l->name) ? make_view(b, v, re->offers, re->n) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* The rosters that are due although nothing about their service changed. 0 or ENOMEM. */
static int make_due_views(struct sl_store *s, struct batch *b)
{
    size_t at;
    for (size_t i = 0; i < s->n_buckets && b->now >= s->again_at; i++) {
        for (struct sl_view *v = s->views[i]; v; v = v->next) {
            if (b->now < v->again_at || v->is_made ||
                !sl_store_find_listing(s, v->spec.tenant, v->spec.name, &at))
                continue;
            int r = make_view(b, v, s->listings[at]->offers, s->listings[at]->n);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* ---- preparing: the roster of members ------------------------------------------------------- */

static int add_member_edit(struct sl_store *s, struct batch *b, struct sl_seen *was,
                           struct sl_seen *is, uint32_t n_services)
{
    int r = sl_alloc_grow(s->alloc, (void **)&b->member_edits, sizeof *b->member_edits,
                          &b->cap_member_edits, b->n_member_edits + 1);
    if (r < 0)
        return r;
    b->member_edits[b->n_member_edits++] =
        (struct member_edit){.was = was, .is = is, .n_services = n_services};
    return 0;
}

static int add_member_edits_of(struct sl_store *s, struct batch *b, const struct sl_member *m)
{
    if (m->told == m->now && m->n_offers == m->n_made)
        return 0;
    if (m->told && m->now && sl_seen_cmp(m->told, m->now) != 0) { /* another name, another place */
        int r = add_member_edit(s, b, m->told, NULL, 0);
        return r < 0 ? r : add_member_edit(s, b, NULL, m->now, m->n_made);
    }
    return add_member_edit(s, b, m->told, m->now, m->n_made);
}

static int compare_member_edits(const void *a, const void *b)
{
    const struct member_edit *x = a, *y = b;
    return sl_seen_cmp(x->is ? x->is : x->was, y->is ? y->is : y->was);
}

static const struct sl_flock *flock_of(const struct sl_store *s)
{
    /* Only the owner stores. */
    return atomic_load_explicit(&s->flock, memory_order_relaxed);
}

/* The members published with the edits merged in, unless there are none. 0 or ENOMEM. */
static int make_flock(struct sl_store *s, struct batch *b)
{
    if (b->n_member_edits == 0)
        return 0;
    qsort(b->member_edits, b->n_member_edits, sizeof *b->member_edits, compare_member_edits);
    const struct sl_flock *old = flock_of(s);
    uint32_t n = old->n, i = 0;
    for (size_t k = 0; k < b->n_member_edits; k++)
        n = n + !!b->member_edits[k].is - !!b->member_edits[k].was;
    struct sl_flock *f = sl_flock_new(s->alloc, n);
    if (!f)
        return STARLING_ENOMEM;
    n = 0;
    for (size_t k = 0; k < b->n_member_edits; k++) {
        const struct member_edit *e = &b->member_edits[k];
        while (i < old->n && sl_seen_cmp(old->members[i].seen, e->was ? e->was : e->is) < 0)
            f->members[n++] = old->members[i++];
        i += e->was != NULL;
        if (e->is)
            f->members[n++] = (struct sl_flock_entry){.seen = e->is, .n_services = e->n_services};
    }
    while (i < old->n)
        f->members[n++] = old->members[i++];
    assert(n == f->n);
    b->flock = f;
    return 0;
}

/* ---- preparing: all of it ------------------------------------------------------------------- */

static int prepare(struct sl_store *s, struct batch *b)
{
    size_t n_touched = 0;
    for (struct sl_member *m = s->first_dirty; m; m = m->next_dirty, n_touched++) {
        int r = make_offers(s, m, b->now);
        if (r == 0)
            r = add_edits_of(s, b, m);
        if (r == 0)
            r = add_member_edits_of(s, b, m);
        if (r < 0)
            return r;
    }
    if (b->n_edits > 0)
        qsort(b->edits, b->n_edits, sizeof *b->edits, compare_edits);
    for (size_t i = 0, n; i < b->n_edits; i += n) {
        n = edits_of_service(b, i);
        int r = relist(s, b, &b->edits[i], n);
        if (r < 0)
            return r;
    }
    sl_store_count_crowd(s, b->now);
    for (size_t i = 0; i < b->n_relistings; i++) {
        int r = make_views(s, b, &b->relistings[i]);
        if (r < 0)
            return r;
    }
    int r = make_due_views(s, b);
    if (r == 0)
        r = make_flock(s, b);
    if (r == 0)
        r = sl_alloc_grow(s->alloc, (void **)&s->listings, sizeof *s->listings, &s->cap_listings,
                          s->n_listings + b->n_new_listings);
    if (r == 0)
        r = sl_changes_reserve(&s->changes, s->alloc, n_touched + b->n_edits + b->n_relistings);
    return r;
}

static void discard(struct sl_store *s, struct batch *b)
{
    for (size_t i = 0; i < b->n_relistings; i++) {
        struct relisting *re = &b->relistings[i];
        sl_alloc_free(s->alloc, re->offers, re->n * sizeof *re->offers);
        if (re->is_new)
            sl_alloc_free(s->alloc, re->listing, re->listing->size);
    }
    for (struct sl_view *v = b->made; v; v = v->next_made) {
        if (v->made)
            sl_roster_release(s->alloc, &v->made->garbage);
        v->made = NULL;
        v->is_made = false;
    }
    sl_flock_discard(s->alloc, b->flock);
    for (struct sl_member *m = s->first_dirty; m; m = m->next_dirty) {
        sl_store_free_offers(s, m->made, m->n_made);
        m->made = NULL;
        m->n_made = 0;
    }
}

/* ---- committing ----------------------------------------------------------------------------- */

static void tell_status(struct sl_store *s, struct sl_member *m)
{
    if (m->now) {
        if (!m->told || m->told->status != m->now->status)
            sl_changes_push_status(&s->changes, s->alloc, m->now, m->now->status);
    } else if (m->told && (m->told->status == STARLING_ALIVE ||
                           m->told->status == STARLING_SUSPECT)) {
        sl_changes_push_status(&s->changes, s->alloc, m->told, STARLING_DOWN);
    }
}

static void tell_edit(struct sl_store *s, const struct edit *e)
{
    bool was = e->was && sl_offer_is_reachable(e->was);
    bool is = e->is && sl_offer_is_reachable(e->is);
    if (was && !is)
        sl_changes_push_instance(&s->changes, s->alloc, SL_INSTANCE_REMOVED, e->was);
    else if (is && !was)
        sl_changes_push_instance(&s->changes, s->alloc, SL_INSTANCE_ADDED, e->is);
    else if (is && sl_offer_compare(e->was, e->is) == SL_LOUD)
        sl_changes_push_instance(&s->changes, s->alloc, SL_INSTANCE_CHANGED, e->is);
}

/* Watchers hear of panic as a service gets into it or out of it. */
static void tell_panic(struct sl_store *s, const struct relisting *re)
{
    struct sl_listing *l = re->listing;
    bool panic = sl_offers_panic(re->offers, re->n);
    if (panic != l->panic)
        sl_changes_push_instance(&s->changes, s->alloc, panic ? SL_SERVICE_PANIC : SL_SERVICE_CALM,
                                 re->n > 0 ? re->offers[0] : l->offers[0]);
    l->panic = panic;
}

static void exchange_offers(struct sl_store *s, struct relisting *re)
{
    struct sl_listing *l = re->listing;
    for (uint32_t i = 0; i < re->n; i++)
        sl_offer_ref(re->offers[i]);
    s->n_instances += re->n;
    s->n_instances -= l->n;
    sl_store_free_offers(s, l->offers, l->n);
    l->offers = re->offers;
    l->n = re->n;
}

/* Listings without an offer go, new ones are merged in from the back; there is room. */
static void reindex(struct sl_store *s, struct batch *b)
{
    if (b->n_new_listings == 0 && b->n_gone_listings == 0)
        return;
    size_t n = 0;
    for (size_t i = 0; i < s->n_listings; i++) {
        struct sl_listing *l = s->listings[i];
        if (l->n > 0)
            s->listings[n++] = l;
        else
            sl_alloc_free(s->alloc, l, l->size);
    }
    size_t to = n + b->n_new_listings;
    s->n_listings = to;
    for (size_t k = b->n_relistings; k-- > 0;) {
        struct sl_listing *l = b->relistings[k].listing;
        if (!b->relistings[k].is_new)
            continue;
        for (; n > 0; n--) {
            struct sl_listing *before = s->listings[n - 1];
            if (sl_service_cmp(before->tenant, before->name, l->tenant, l->name) < 0)
                break;
            s->listings[--to] = before;
        }
        s->listings[--to] = l;
    }
}

static void exchange_flock(struct sl_store *s, struct sl_flock *f)
{
    sl_flock_seal(f);
    atomic_fetch_add_explicit(&s->rosters_published, 1, memory_order_relaxed);
    /* O1 of epoch.h; pairs with the loads in view.c. */
    struct sl_flock *old = atomic_exchange_explicit(&s->flock, f, memory_order_seq_cst);
    sl_epoch_retire(&s->epoch, &old->garbage);
}

/* What was being published is. */
static void settle_member(struct sl_store *s, struct sl_member *m)
{
    sl_store_free_offers(s, m->offers, m->n_offers);
    m->offers = m->made;
    m->n_offers = m->n_made;
    m->made = NULL;
    m->n_made = 0;
    sl_seen_unref(s->alloc, m->told);
    m->told = m->now ? sl_seen_ref(m->now) : NULL;
    m->dirty = false;
    if (!m->now)
        sl_store_drop_member(s, m);
}

static void commit(struct sl_store *s, struct batch *b)
{
    if (b->now >= s->again_at) {
        s->again_at = SL_NEVER;
        for (size_t i = 0; i < s->n_buckets; i++) {
            for (struct sl_view *v = s->views[i]; v; v = v->next)
                s->again_at =
                    b->now < v->again_at ? sl_earlier(s->again_at, v->again_at) : s->again_at;
        }
    }
    for (struct sl_view *v = b->made; v; v = v->next_made)
        sl_view_exchange(v);
    if (b->flock)
        exchange_flock(s, b->flock);

    for (struct sl_member *m = s->first_dirty; m; m = m->next_dirty)
        tell_status(s, m);
    for (size_t i = 0; i < b->n_edits; i++)
        tell_edit(s, &b->edits[i]);
    for (size_t i = 0; i < b->n_relistings; i++)
        tell_panic(s, &b->relistings[i]);
    for (size_t i = 0; i < b->n_relistings; i++)
        exchange_offers(s, &b->relistings[i]);
    reindex(s, b);

    struct sl_member *m = s->first_dirty;
    s->first_dirty = s->last_dirty = NULL;
    while (m) {
        struct sl_member *next = m->next_dirty;
        settle_member(s, m);
        m = next;
    }
}

sl_usec sl_store_deadline(const struct sl_store *s)
{
    return sl_earlier(s->again_at, s->epoch.again_at);
}

int sl_store_publish(struct sl_store *s, sl_usec now)
{
    int r = 0;
    if (s->first_dirty || now >= s->again_at) {
        struct batch b = {.now = now};
        r = prepare(s, &b);
        if (r == 0)
            commit(s, &b);
        else
            discard(s, &b);
        sl_alloc_free(s->alloc, b.edits, b.cap_edits * sizeof *b.edits);
        sl_alloc_free(s->alloc, b.relistings, b.cap_relistings * sizeof *b.relistings);
        sl_alloc_free(s->alloc, b.member_edits, b.cap_member_edits * sizeof *b.member_edits);
    }
    atomic_fetch_add_explicit(&s->rosters_freed, sl_epoch_poll(&s->epoch, s->alloc, now),
                              memory_order_relaxed);
    return r;
}
