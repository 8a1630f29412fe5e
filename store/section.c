/* section.c: what a node says of its services, as bytes inside its record and its vitals.
 * A section is written by its origin alone and read by everybody, so a reader takes nothing on
 * trust: shapes are checked by base/pack.h, values here, and what has a fault is as if it were not
 * there. */
#include "store/section.h"

#include <starling.h>

#include "base/addr.h"
#include "base/bytes.h"

#define DEFAULT_TENANT "default"
#define META_KEY_MAX 255 /* one length byte in sl_instance.meta */

/* ---- values --------------------------------------------------------------------------------- */

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* One character of UTF-8 (RFC 3629) at p: its length, 0 when it is none. */
static size_t utf8_character(const uint8_t *p, size_t len, uint32_t *ret)
{
    if (p[0] < 0x80) {
        *ret = p[0];
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    size_t more = p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
    if (more >= len)
        return 0;
    uint32_t c = p[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret = c;
    return more + 1;
}

/* UTF-8 without NUL: it ends up in C strings, in JSON and, short of controls, on terminals. */
static bool text_ok(struct sl_span text, bool controls)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t n = utf8_character(text.p + i, text.len - i, &c);
        if (n == 0 || c == 0 || (!controls && is_control(c)))
            return false;
        i += n;
    }
    return true;
}

/* The text in a buffer of `cap`; cap bytes long when there is no NUL. */
static struct sl_span text_of(const char *buffer, size_t cap)
{
    const char *end = memchr(buffer, '\0', cap);
    return sl_span_of(buffer, end ? (size_t)(end - buffer) : cap);
}

static bool line_ok(const char *buffer, size_t cap)
{
    struct sl_span text = text_of(buffer, cap);
    return text.len < cap && text_ok(text, false);
}

static bool name_ok(const char *buffer, size_t cap)
{
    return sl_name_ok(buffer, text_of(buffer, cap).len);
}

/* A numeric address and nothing else: no brackets, no port. */
static bool host_ok(const char *host, size_t cap)
{
    struct sl_span text = text_of(host, cap);
    struct sl_addr a;
    if (text.len == 0)
        return true;
    if (text.len == cap || sl_addr_parse(&a, host, text.len, 1) < 0 || sl_addr_is_wildcard(&a))
        return false;
    return a.family == 6 ? host[0] != '[' : !memchr(host, ':', text.len);
}

static int span_cmp(struct sl_span a, struct sl_span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static const char *meta_fault(const struct sl_service *service)
{
    size_t bytes = 0;
    if (service->n_meta > STARLING_META_PAIRS_MAX)
        return "more than 64 metadata pairs";
    for (size_t i = 0; i < service->n_meta; i++) {
        const struct sl_service_meta *m = &service->meta[i];
        if (m->key.len < 1 || m->key.len > META_KEY_MAX || !text_ok(m->key, false))
            return "a metadata key must have 1-255 bytes of UTF-8 without control characters";
        if (m->value.len > STARLING_META_BYTES_MAX || !text_ok(m->value, true))
            return "a metadata value must be UTF-8 without NUL";
        bytes += m->key.len + m->value.len;
        for (size_t k = 0; k < i; k++) {
            if (span_cmp(m->key, service->meta[k].key) == 0)
                return "a metadata key is there twice";
        }
    }
    return bytes > STARLING_META_BYTES_MAX ? "metadata of more than 4096 bytes" : NULL;
}

const char *sl_service_fault(const struct sl_service *service)
{
    if (!name_ok(service->name, sizeof service->name))
        return "the name must be [a-z0-9._-]{1,63}";
    if (!name_ok(service->tenant, sizeof service->tenant))
        return "the tenant must be [a-z0-9._-]{1,63}";
    if (!host_ok(service->host, sizeof service->host))
        return "the host must be a numeric address";
    if (service->port == 0)
        return "the port must be 1-65535";
    if (!line_ok(service->version, sizeof service->version))
        return "the version must be up to 63 bytes of UTF-8 without control characters";
    if (service->base_weight < 1 || service->base_weight > STARLING_WEIGHT_MAX)
        return "the base weight must be 1-1000";
    if (service->health > STARLING_CRITICAL)
        return "the health must be passing, warning or critical";
    if (service->weight > STARLING_WEIGHT_MAX)
        return "the weight must be 0-1000";
    if (!line_ok(service->note, sizeof service->note))
        return "the note must be up to 127 bytes of UTF-8 without control characters";
    return meta_fault(service);
}

static int names_cmp(const char *tenant_a, const char *name_a, const char *tenant_b,
                     const char *name_b)
{
    int c = strcmp(tenant_a, tenant_b);
    return c != 0 ? c : strcmp(name_a, name_b);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Indices of the services in order of (tenant, name). False: too many, a fault, or one twice. */
static bool sort_services(const struct sl_service *const *services, size_t n, uint8_t *order)
{
    if (n > SL_SERVICES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct sl_service *service = services[i];
        if (sl_service_fault(service))
            return false;
        size_t at = i;
        for (; at > 0; at--) {
            const struct sl_service *before = services[order[at - 1]];
            int c = names_cmp(before->tenant, before->name, service->tenant, service->name);
            if (c == 0)
                return false;
            if (c < 0)
                break;
            order[at] = order[at - 1];
        }
        order[at] = (uint8_t)i;
    }
    return true;
}

static void write_text(struct sl_pack *w, const char *text)
{
    sl_pack_str(w, text, strlen(text));
}

static void write_meta(struct sl_pack *w, const struct sl_service *service)
{
    uint8_t order[SL_COUNT(service->meta)];
    for (size_t i = 0; i < service->n_meta; i++) {
        size_t at = i;
        for (; at > 0; at--) {
            if (span_cmp(service->meta[order[at - 1]].key, service->meta[i].key) < 0)
                break;
            order[at] = order[at - 1];
        }
        order[at] = (uint8_t)i;
    }
    sl_pack_map(w, service->n_meta);
    for (size_t i = 0; i < service->n_meta; i++) {
        const struct sl_service_meta *m = &service->meta[order[i]];
        sl_pack_str(w, (const char *)m->key.p, m->key.len);
        sl_pack_str(w, (const char *)m->value.p, m->value.len);
    }
}

size_t sl_sections_write_record(const struct sl_service *const *services, size_t n, uint8_t *out,
                                size_t cap)
{
    uint8_t order[SL_SERVICES_MAX];
    if (!sort_services(services, n, order))
        return 0;
    struct sl_pack w;
    sl_pack_init(&w, out, cap);
    sl_pack_array(&w, n);
    for (size_t i = 0; i < n; i++) {
        const struct sl_service *service = services[order[i]];
        sl_pack_array(&w, 7);
        write_text(&w, strcmp(service->tenant, DEFAULT_TENANT) == 0 ? "" : service->tenant);
        write_text(&w, service->name);
        write_text(&w, service->host);
        sl_pack_uint(&w, service->port);
        write_text(&w, service->version);
        sl_pack_uint(&w, service->base_weight);
        write_meta(&w, service);
    }
    return w.failed ? 0 : w.len;
}

/* SipHash with the key 0 over tenant NUL name NUL: short and without secrets. Only the origin of a
 * record could arrange for two of its names to meet, and would then mistake its own services. */
static uint64_t vitals_key(const char *tenant, const char *name)
{
    static const uint8_t no_key[16];
    char text[2 * (SL_NAME_LEN_MAX + 1)];
    size_t tenant_len = strlen(tenant) + 1, name_len = strlen(name) + 1;
    memcpy(text, tenant, tenant_len);
    memcpy(text + tenant_len, name, name_len);
    return sl_siphash(no_key, text, tenant_len + name_len);
}

/* At most max_len bytes of the note, whole characters. */
static size_t note_len(const char *note, size_t max_len)
{
    size_t len = strlen(note);
    if (len <= max_len)
        return len;
    len = max_len;
    while (len > 0 && ((uint8_t)note[len] & 0xc0) == 0x80)
        len--;
    return len;
}

size_t sl_sections_write_short(const struct sl_service *const *services, size_t n, size_t note_max,
                               uint8_t *out, size_t cap)
{
    uint8_t order[SL_SERVICES_MAX];
    struct sl_pack w;
    if (!sort_services(services, n, order))
        return 0;
    sl_pack_init(&w, out, cap);
    sl_pack_array(&w, n);
    for (size_t i = 0; i < n; i++) {
        const struct sl_service *service = services[order[i]];
        sl_pack_array(&w, 4);
        sl_pack_uint(&w, vitals_key(service->tenant, service->name));
        sl_pack_uint(&w, service->health);
        sl_pack_uint(&w, service->weight);
        sl_pack_str(&w, service->note, note_len(service->note, note_max));
    }
    return w.failed ? 0 : w.len;
}

size_t sl_sections_write_vitals(const struct sl_service *const *services, size_t n, uint8_t *out,
                                size_t cap)
{
    /* Health must get out; words about it as far as there is room. */
    for (size_t note_max = STARLING_NOTE_MAX - 1;; note_max /= 2) {
        size_t len = sl_sections_write_short(services, n, note_max, out, cap);
        if (len > 0 || note_max == 0)
            return len;
    }
}

/* ---- reading -------------------------------------------------------------------------------- */

void sl_sections_begin(struct sl_sections *it, struct sl_span bytes)
{
    *it = (struct sl_sections){.left = 0};
    sl_read_init(&it->r, bytes.p, bytes.len);
    if (bytes.len > 0 && !sl_read_array(&it->r, SL_SERVICES_MAX, &it->left))
        it->left = 0;
}

bool sl_sections_ok(const struct sl_sections *it)
{
    return it->left == 0 && sl_read_done(&it->r);
}

/* Text into a buffer of `cap`; *fits turns false when it is longer or has a NUL inside. */
static bool read_text(struct sl_read *r, char *out, size_t cap, bool *fits)
{
    struct sl_span text;
    if (!sl_read_str(r, SL_RECORD_MAX, &text))
        return false;
    if (text.len >= cap || memchr(text.p, '\0', text.len)) {
        *fits = false;
        text.len = 0;
    }
    sl_copy_text(out, cap, (const char *)text.p, text.len);
    return true;
}

/* A number up to `max`; *fits turns false when it is larger. */
static bool read_number(struct sl_read *r, uint16_t max, uint16_t *ret, bool *fits)
{
    uint64_t v;
    if (!sl_read_uint(r, UINT64_MAX, &v))
        return false;
    if (v > max)
        *fits = false;
    *ret = v > max ? 0 : (uint16_t)v;
    return true;
}

/* Keys must rise; *fits turns false when they do not. */
static bool read_meta(struct sl_read *r, struct sl_service *service, bool *fits)
{
    size_t n;
    if (!sl_read_map(r, STARLING_META_PAIRS_MAX, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct sl_service_meta *m = &service->meta[i];
        if (!sl_read_str(r, SL_RECORD_MAX, &m->key) || !sl_read_str(r, SL_RECORD_MAX, &m->value))
            return false;
        if (i > 0 && span_cmp(service->meta[i - 1].key, m->key) >= 0)
            *fits = false;
    }
    service->n_meta = n;
    return true;
}

/* One entry. False: malformed. */
static bool read_service(struct sl_read *r, struct sl_service *service, bool *fits)
{
    size_t n;
    if (!sl_read_array(r, SL_RECORD_MAX, &n) || n < 7) {
        r->failed = true;
        return false;
    }
    if (!read_text(r, service->tenant, sizeof service->tenant, fits) ||
        !read_text(r, service->name, sizeof service->name, fits) ||
        !read_text(r, service->host, sizeof service->host, fits) ||
        !read_number(r, UINT16_MAX, &service->port, fits) ||
        !read_text(r, service->version, sizeof service->version, fits) ||
        !read_number(r, STARLING_WEIGHT_MAX, &service->base_weight, fits) ||
        !read_meta(r, service, fits))
        return false;
    if (service->tenant[0] == '\0')
        sl_copy_text(service->tenant, sizeof service->tenant, DEFAULT_TENANT,
                     strlen(DEFAULT_TENANT));
    service->health = STARLING_PASSING;
    service->weight = service->base_weight;
    service->note[0] = '\0';
    return sl_read_skip(r, n - 7);
}

int sl_sections_next(struct sl_sections *it, struct sl_service *ret)
{
    bool fits = true;
    if (it->left == 0)
        return 0;
    if (!read_service(&it->r, ret, &fits)) {
        it->left = 0;
        return 0;
    }
    it->left--;
    if (!fits || sl_service_fault(ret))
        return STARLING_EINVAL;
    if (it->any && names_cmp(it->last_tenant, it->last_name, ret->tenant, ret->name) >= 0)
        return STARLING_EINVAL;
    it->any = true;
    memcpy(it->last_tenant, ret->tenant, sizeof it->last_tenant);
    memcpy(it->last_name, ret->name, sizeof it->last_name);
    return 1;
}

/* One entry. False: malformed. */
static bool read_vitals(struct sl_read *r, struct sl_service_vitals *v, bool *fits)
{
    size_t n;
    uint16_t health;
    if (!sl_read_array(r, SL_VITALS_MAX, &n) || n < 4) {
        r->failed = true;
        return false;
    }
    if (!sl_read_uint(r, UINT64_MAX, &v->key) ||
        !read_number(r, STARLING_CRITICAL, &health, fits) ||
        !read_number(r, STARLING_WEIGHT_MAX, &v->weight, fits) ||
        !sl_read_str(r, SL_VITALS_MAX, &v->note))
        return false;
    v->health = (uint8_t)health;
    if (v->note.len >= STARLING_NOTE_MAX || !text_ok(v->note, false))
        *fits = false;
    return sl_read_skip(r, n - 4);
}

bool sl_sections_read_vitals(struct sl_span bytes, struct sl_service_vitals *ret, size_t *ret_n,
                             size_t *ret_refused)
{
    struct sl_read r;
    size_t left = 0, n = 0, refused = 0;
    sl_read_init(&r, bytes.p, bytes.len);
    if (bytes.len > 0 && !sl_read_array(&r, SL_SERVICES_MAX, &left))
        return false;
    for (; left > 0; left--) {
        bool fits = true;
        if (!read_vitals(&r, &ret[n], &fits))
            return false;
        if (fits)
            n++;
        else
            refused++;
    }
    if (!sl_read_done(&r))
        return false;
    *ret_n = n;
    *ret_refused = refused;
    return true;
}

void sl_sections_apply(struct sl_service *service, const struct sl_service_vitals *vitals, size_t n)
{
    uint64_t key = vitals_key(service->tenant, service->name);
    for (size_t i = 0; i < n; i++) {
        if (vitals[i].key != key)
            continue;
        service->health = vitals[i].health;
        service->weight = vitals[i].weight;
        sl_copy_text(service->note, sizeof service->note, (const char *)vitals[i].note.p,
                     vitals[i].note.len);
        return;
    }
}
