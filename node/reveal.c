/* reveal.c: of what a member says, that which this node can read and the member may say.
 * All of it was written by somebody else. Form, keys, tenants and names are looked at in that order,
 * the cheap before the dear; whatever fails is left out and counted, alone where it stands alone.
 * What is left depends on the newest facts, our keys and the member's certificate, and on nothing
 * that was said before. */
#include "node/sections.h"

#include "base/bytes.h"
#include "node/rights.h"
#include "store/section.h"

/* ---- pieces --------------------------------------------------------------------------------- */

static void begin(struct sl_reveal *r)
{
    r->n_pieces = r->n_entries = r->plain_len = 0;
    memcpy(r->tenants[0], SL_DEFAULT_TENANT, sizeof SL_DEFAULT_TENANT);
    r->n_tenants = 1;
    r->found = (struct sl_sections_stats){0};
}

/* False: malformed as a whole. */
static bool split(struct sl_reveal *r, struct sl_span said)
{
    struct sl_read in;
    size_t n = 0;
    sl_read_init(&in, said.p, said.len);
    if (said.len > 0 && !sl_read_array(&in, SL_SERVICES_MAX, &n))
        return false;
    for (; r->n_pieces < n; r->n_pieces++) {
        struct sl_piece *piece = &r->pieces[r->n_pieces];
        const uint8_t *start = in.p;
        *piece = (struct sl_piece){.kept = false};
        if (sl_read_is_bin(&in) ? !sl_read_bin(&in, SL_RECORD_MAX, &piece->sealed)
                                : !sl_read_skip(&in, 1))
            return false;
        piece->bytes = sl_span_of(start, (size_t)(in.p - start));
    }
    return sl_read_done(&in);
}

/* False: no room, for a member offers SL_SERVICES_MAX in all. */
static bool add_entry(struct sl_reveal *r, struct sl_span bytes, size_t tenant)
{
    if (r->n_entries == SL_SERVICES_MAX) {
        r->found.malformed++;
        return false;
    }
    r->entries[r->n_entries++] = (struct sl_entry){.bytes = bytes, .tenant = (uint8_t)tenant};
    return true;
}

/* ---- in clear ------------------------------------------------------------------------------- */

static bool is_text(struct sl_span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

/* May it be said in clear? Only tenant and name are looked at; store/ looks at the rest. */
static bool may_be_clear(struct sl_reveal *r, const struct sl_cert *cert, struct sl_span entry)
{
    struct sl_read in;
    struct sl_span tenant, name;
    char text[SL_NAME_LEN_MAX + 1];
    size_t n;
    sl_read_init(&in, entry.p, entry.len);
    if (!sl_read_array(&in, SL_RECORD_MAX, &n) || n < 2 ||
        !sl_read_str(&in, SL_RECORD_MAX, &tenant) || !sl_read_str(&in, SL_RECORD_MAX, &name)) {
        r->found.malformed++;
        return false;
    }
    if (tenant.len > 0 && !is_text(tenant, SL_DEFAULT_TENANT)) {
        r->found.tenants_refused++;
        return false;
    }
    sl_copy_text(text, sizeof text, (const char *)name.p, name.len);
    bool may = sl_cert_may_offer(cert, text);
    r->found.names_refused += !may;
    return may;
}

/* ---- sealed --------------------------------------------------------------------------------- */

/* A tenant's services are in one section: a second one is refused before it costs anything. */
static bool is_second(const struct sl_reveal *r, struct sl_span sealed)
{
    for (size_t i = 0; r->pieces[i].sealed.p != sealed.p; i++) {
        struct sl_span before = r->pieces[i].sealed;
        if (before.len >= SL_TENANT_LEN && memcmp(before.p, sealed.p, SL_TENANT_LEN) == 0)
            return true;
    }
    return false;
}

/* The plain text of a sealed section; NULL: there is none for us. */
static struct sl_span open_piece(struct sl_reveal *r, enum sl_kind kind, const struct sl_id *origin,
                                 const struct sl_cert *cert, struct sl_span sealed)
{
    uint8_t tenant[SL_TENANT_LEN];
    uint8_t *out = r->plain + r->plain_len;
    size_t len;
    if (sealed.len < SL_SEALED_OVERHEAD || is_second(r, sealed)) {
        r->found.malformed++;
        return (struct sl_span){0};
    }
    if (!sl_cert_has_tenant(cert, sealed.p)) {
        r->found.tenants_refused++;
        return (struct sl_span){0};
    }
    int opened = sl_keyring_open(r->keyring, kind, origin, sealed, tenant, out,
                                 sizeof r->plain - r->plain_len, &len);
    r->found.opened += opened > 0;
    r->found.forged += opened < 0;
    if (opened <= 0)
        return (struct sl_span){0};
    r->plain_len += len;
    return sl_span_of(out, len);
}

/* Is it well-formed, and every service in it of the tenant whose section it is? Then that is the next
 * of r->tenants. */
static bool is_of_tenant(struct sl_reveal *r, struct sl_span plain, const uint8_t tenant[8])
{
    struct sl_sections it;
    struct sl_service service;
    char *name = r->tenants[r->n_tenants];
    uint8_t id[8];
    int got;
    name[0] = '\0';
    sl_sections_begin(&it, plain);
    while ((got = sl_sections_next(&it, &service)) != 0) {
        if (got < 0)
            continue;
        if (name[0] == '\0')
            memcpy(name, service.tenant, sizeof r->tenants[0]);
        if (strcmp(service.tenant, name) != 0)
            return false;
    }
    if (!sl_sections_ok(&it) || name[0] == '\0')
        return false;
    sl_tenant_id(r->crypto, r->flock, name, id);
    return memcmp(id, tenant, sizeof id) == 0;
}

/* The services of an opened section. True: all of them. */
static bool take_services(struct sl_reveal *r, const struct sl_cert *cert, struct sl_span plain,
                          const uint8_t tenant_id[8])
{
    struct sl_sections it;
    struct sl_service service;
    bool all = true;
    if (!is_of_tenant(r, plain, tenant_id)) {
        r->found.malformed++;
        return false;
    }
    size_t tenant = r->n_tenants++;
    sl_sections_begin(&it, plain);
    for (;;) {
        const uint8_t *start = it.r.p;
        int got = sl_sections_next(&it, &service);
        if (got == 0)
            return all;
        bool may = got > 0 && sl_cert_may_offer(cert, service.name);
        r->found.malformed += got < 0;
        r->found.names_refused += got > 0 && !may;
        all = may && add_entry(r, sl_span_of(start, (size_t)(it.r.p - start)), tenant) && all;
    }
}

/* The entries of an opened section of vitals, which name services by a hash: they say nothing where
 * the record does not. True: all of them. */
static bool take_vitals(struct sl_reveal *r, struct sl_span plain)
{
    struct sl_service_vitals vitals[SL_SERVICES_MAX];
    struct sl_read in;
    size_t n, n_refused;
    if (plain.len == 0 || !sl_sections_read_vitals(plain, vitals, &n, &n_refused)) {
        r->found.malformed++;
        return false;
    }
    sl_read_init(&in, plain.p, plain.len);
    if (!sl_read_array(&in, SL_SERVICES_MAX, &n))
        return false;
    bool all = true;
    for (; all && n > 0; n--) {
        const uint8_t *start = in.p;
        all = sl_read_skip(&in, 1) && add_entry(r, sl_span_of(start, (size_t)(in.p - start)), 0);
    }
    return all;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Services in clear first: whoever has more keys must not see less of them. */
static bool judge(struct sl_reveal *r, enum sl_kind kind, const struct sl_id *origin,
                  const struct sl_cert *cert, struct sl_span said)
{
    begin(r);
    bool whole = split(r, said);
    for (size_t i = 0; whole && i < r->n_pieces; i++) {
        struct sl_piece *p = &r->pieces[i];
        if (p->sealed.p != NULL)
            continue;
        p->kept =
            (kind != SL_RECORD || may_be_clear(r, cert, p->bytes)) && add_entry(r, p->bytes, 0);
    }
    if (!whole || r->found.malformed > 0) {
        r->found.malformed = 1;
        return false;
    }
    for (size_t i = 0; i < r->n_pieces; i++) {
        struct sl_piece *p = &r->pieces[i];
        if (p->sealed.p == NULL)
            continue;
        struct sl_span plain = open_piece(r, kind, origin, cert, p->sealed);
        if (plain.p != NULL)
            p->kept = kind == SL_RECORD ? take_services(r, cert, plain, p->sealed.p)
                                        : take_vitals(r, plain);
    }
    return true;
}

static bool is_as_it_came(const struct sl_reveal *r, bool sealed_too)
{
    for (size_t i = 0; i < r->n_pieces; i++) {
        if (!r->pieces[i].kept || (!sealed_too && r->pieces[i].sealed.p != NULL))
            return false;
    }
    return true;
}

/* Indices of tenants in order of their names. */
static void sort_tenants(const struct sl_reveal *r, uint8_t order[SL_SERVICES_MAX + 1])
{
    for (size_t i = 0; i < r->n_tenants; i++) {
        size_t at = i;
        for (; at > 0 && strcmp(r->tenants[order[at - 1]], r->tenants[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

static struct sl_span reveal(struct sl_reveal *r, enum sl_kind kind, const struct sl_id *origin,
                             const struct sl_cert *cert, struct sl_span said)
{
    uint8_t order[SL_SERVICES_MAX + 1];
    struct sl_pack w;
    if (!judge(r, kind, origin, cert, said))
        return (struct sl_span){0};
    if (is_as_it_came(r, false))
        return said;
    sort_tenants(r, order);
    sl_pack_init(&w, r->out, sizeof r->out);
    sl_pack_array(&w, r->n_entries);
    for (size_t t = 0; t < r->n_tenants; t++) {
        for (size_t i = 0; i < r->n_entries; i++) {
            if (r->entries[i].tenant == order[t])
                sl_pack_raw(&w, r->entries[i].bytes);
        }
    }
    return w.failed ? (struct sl_span){0} : sl_span_of(r->out, w.len);
}

struct sl_span sl_sections_reveal(struct sl_reveal *r, enum sl_kind kind,
                                  const struct sl_id *origin, const struct sl_cert *cert,
                                  struct sl_span said)
{
    return reveal(r, kind, origin, cert, said);
}

struct sl_span sl_sections_reveal_kept(struct sl_reveal *r, enum sl_kind kind,
                                       const struct sl_id *origin, struct sl_span kept)
{
    const struct sl_cert anything = {.n_tenants = 0, .n_patterns = 0};
    return reveal(r, kind, origin, &anything, kept);
}

struct sl_span sl_sections_keep(struct sl_reveal *r, enum sl_kind kind, const struct sl_id *origin,
                                const struct sl_cert *cert, struct sl_span said, uint8_t *out)
{
    struct sl_pack w;
    size_t n = 0;
    if (!judge(r, kind, origin, cert, said))
        return (struct sl_span){0};
    if (is_as_it_came(r, true))
        return said;
    for (size_t i = 0; i < r->n_pieces; i++)
        n += r->pieces[i].kept;
    sl_pack_init(&w, out, said.len);
    sl_pack_array(&w, n);
    for (size_t i = 0; i < r->n_pieces; i++) {
        if (r->pieces[i].kept)
            sl_pack_raw(&w, r->pieces[i].bytes);
    }
    return w.failed ? (struct sl_span){0} : sl_span_of(out, w.len);
}
