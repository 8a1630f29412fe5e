/* roster.c: instances and members as readers see them. Which of the instances are picked, and how
 * often, is worked out in plan.c. */
#include "store/roster.h"

#include <assert.h>

#include "base/bytes.h"

/* ---- one instance --------------------------------------------------------------------------- */

/* Append text with its NUL at *at; the copy. */
static const char *put_text(char **at, const char *text, size_t len)
{
    char *copy = *at;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

static void put_meta(char **at, const struct sl_service *service, struct sl_instance *inst)
{
    uint8_t *p = (uint8_t *)*at;
    inst->meta = p;
    inst->n_meta = service->n_meta;
    for (size_t i = 0; i < service->n_meta; i++) {
        const struct sl_service_meta *m = &service->meta[i];
        *p++ = (uint8_t)m->key.len;
        sl_put16(p, (uint16_t)m->value.len);
        p += 2;
        memcpy(p, m->key.p, m->key.len);
        p += m->key.len;
        if (m->value.len > 0)
            memcpy(p, m->value.p, m->value.len);
        p += m->value.len;
    }
    inst->meta_len = (size_t)(p - inst->meta);
    *at = (char *)p;
}

static size_t meta_len(const struct sl_service *service)
{
    size_t len = 3 * service->n_meta;
    for (size_t i = 0; i < service->n_meta; i++)
        len += service->meta[i].key.len + service->meta[i].value.len;
    return len;
}

/* The service's own address, or its node's, in the usual spelling. */
static void host_text(char out[SL_ADDR_TEXT], const struct sl_seen *member,
                      const struct sl_service *service)
{
    struct sl_addr a;
    size_t len = strlen(service->host);
    if (len > 0 && sl_addr_parse(&a, service->host, len, 1) == 0)
        sl_addr_format_host(out, &a);
    else
        sl_addr_format_host(out, &member->addr);
}

struct sl_offer *sl_offer_new(const struct sl_alloc *alloc, const struct sl_seen *member,
                              const struct sl_service *service)
{
    char host[SL_ADDR_TEXT];
    host_text(host, member, service);
    size_t host_len = strlen(host), node_len = strlen(member->name),
           zone_len = strlen(member->zone), version_len = strlen(service->version),
           note_len = strlen(service->note), tenant_len = strlen(service->tenant),
           name_len = strlen(service->name);
    size_t size = sizeof(struct sl_offer) + host_len + node_len + zone_len + version_len +
                  note_len + tenant_len + name_len + 7 + meta_len(service) + SL_TEXT_SLACK;
    struct sl_offer *o = sl_alloc_zero(alloc, size);
    if (!o)
        return NULL;

    char *at = o->text;
    o->refs = 1;
    o->size = (uint32_t)size;
    o->host_len = (uint8_t)host_len;
    o->node_len = (uint8_t)node_len;
    o->zone_len = (uint8_t)zone_len;
    o->version_len = (uint8_t)version_len;
    o->port = service->port;
    o->weight = service->weight;
    o->health = service->health;
    o->status = member->status;
    sl_hex(o->id_text, member->id.b, sizeof member->id.b);
    /* Unkeyed: every process must send a key to the same place. A member that chooses its name so as
     * to attract keys gains what it could have by weight. */
    static const uint8_t no_key[16];
    o->point = sl_siphash(no_key, member->name, node_len);
    o->inst = (struct sl_instance){
        .id = member->id,
        .port = service->port,
        .weight = service->weight,
        .status = member->status,
        .health = service->health,
    };
    o->inst.host = put_text(&at, host, host_len);
    o->inst.node = put_text(&at, member->name, node_len);
    o->inst.zone = put_text(&at, member->zone, zone_len);
    o->inst.version = put_text(&at, service->version, version_len);
    o->inst.note = put_text(&at, service->note, note_len);
    o->tenant = put_text(&at, service->tenant, tenant_len);
    o->service = put_text(&at, service->name, name_len);
    put_meta(&at, service, &o->inst);
    assert(at + SL_TEXT_SLACK == (char *)o + size);
    return o;
}

struct sl_offer *sl_offer_ref(struct sl_offer *o)
{
    o->refs++;
    return o;
}

void sl_offer_unref(const struct sl_alloc *alloc, struct sl_offer *o)
{
    if (!o || --o->refs > 0)
        return;
    if (o->load)
        sl_load_unref(o->loads, o->load);
    sl_alloc_free(alloc, o, o->size);
}

int sl_service_cmp(const char *tenant_a, const char *name_a, const char *tenant_b,
                   const char *name_b)
{
    int c = strcmp(tenant_a, tenant_b);
    return c != 0 ? c : strcmp(name_a, name_b);
}

int sl_offer_cmp(const struct sl_offer *a, const struct sl_offer *b)
{
    int c = strcmp(a->inst.node, b->inst.node);
    return c != 0 ? c : sl_id_cmp(&a->inst.id, &b->inst.id);
}

enum sl_difference sl_offer_compare(const struct sl_offer *a, const struct sl_offer *b)
{
    const struct sl_instance *x = &a->inst, *y = &b->inst;
    if (x->health != y->health || x->weight != y->weight || x->port != y->port ||
        x->meta_len != y->meta_len || x->n_meta != y->n_meta || strcmp(x->host, y->host) != 0 ||
        strcmp(x->node, y->node) != 0 || strcmp(x->zone, y->zone) != 0 ||
        strcmp(x->version, y->version) != 0 || memcmp(x->meta, y->meta, x->meta_len) != 0)
        return SL_LOUD;
    return x->status != y->status || strcmp(x->note, y->note) != 0 ? SL_QUIET : SL_SAME;
}

bool sl_offer_is_reachable(const struct sl_offer *o)
{
    return o->status == STARLING_ALIVE || o->status == STARLING_SUSPECT;
}

bool sl_offer_is_usable(const struct sl_offer *o)
{
    return sl_offer_is_reachable(o) && o->health != STARLING_CRITICAL && o->weight > 0;
}

void sl_offer_inherit(struct sl_offer *is, const struct sl_offer *was, sl_usec now)
{
    is->since = was && sl_offer_is_usable(was) ? was->since : now;
    if (was && was->load) {
        is->load = was->load;
        is->loads = was->loads;
        is->load->refs++;
    }
}

/* ---- one member, the roster of members ------------------------------------------------------ */

struct sl_seen *sl_seen_new(const struct sl_alloc *alloc, const struct sl_store_member *info)
{
    size_t name_size = strlen(info->name) + 1, zone_size = strlen(info->zone) + 1;
    size_t size = sizeof(struct sl_seen) + name_size + zone_size;
    struct sl_seen *m = sl_alloc_zero(alloc, size);
    if (!m)
        return NULL;
    m->refs = 1;
    m->size = (uint32_t)size;
    m->epoch = info->epoch;
    m->id = info->id;
    m->addr = info->addr;
    m->status = info->status;
    m->self = info->self;
    m->zone = m->name + name_size;
    memcpy(m->name, info->name, name_size);
    memcpy(m->name + name_size, info->zone, zone_size);
    return m;
}

struct sl_seen *sl_seen_ref(struct sl_seen *m)
{
    m->refs++;
    return m;
}

void sl_seen_unref(const struct sl_alloc *alloc, struct sl_seen *m)
{
    if (m && --m->refs == 0)
        sl_alloc_free(alloc, m, m->size);
}

int sl_seen_cmp(const struct sl_seen *a, const struct sl_seen *b)
{
    int c = strcmp(a->name, b->name);
    return c != 0 ? c : sl_id_cmp(&a->id, &b->id);
}

static size_t flock_size(size_t n)
{
    return sizeof(struct sl_flock) + n * sizeof(struct sl_flock_entry);
}

struct sl_flock *sl_flock_new(const struct sl_alloc *alloc, uint32_t n)
{
    struct sl_flock *f = sl_alloc_zero(alloc, flock_size(n));
    if (!f)
        return NULL;
    f->garbage.release = sl_flock_release;
    f->n = n;
    return f;
}

void sl_flock_seal(struct sl_flock *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        sl_seen_ref(f->members[i].seen);
        if (f->members[i].seen->status == STARLING_ALIVE)
            f->n_alive++;
    }
}

void sl_flock_discard(const struct sl_alloc *alloc, struct sl_flock *f)
{
    if (f)
        sl_alloc_free(alloc, f, flock_size(f->n));
}

void sl_flock_release(const struct sl_alloc *alloc, struct sl_garbage *g)
{
    struct sl_flock *f = (struct sl_flock *)(void *)g;
    for (uint32_t i = 0; i < f->n; i++)
        sl_seen_unref(alloc, f->members[i].seen);
    sl_flock_discard(alloc, f);
}
