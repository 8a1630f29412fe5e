/* fact.c: facts, from bytes and back. */
#include "gossip/fact.h"

#include "base/bytes.h"
#include "base/pack.h"
#include "gossip/cert.h"

static const char FACT_DOMAIN[] = "starling/1 fact"; /* hashed and signed with its NUL */

size_t sl_fact_max(uint8_t kind)
{
    switch (kind) {
    case SL_RECORD:
        return SL_RECORD_MAX;
    case SL_VITALS:
        return SL_VITALS_MAX;
    case SL_SIGHTINGS:
        return SL_SIGHTINGS_MAX;
    }
    return SL_UNKNOWN_MAX;
}

bool sl_fact_peek(struct sl_span bytes, struct sl_fact_header *ret)
{
    if (bytes.len < SL_FACT_MIN || bytes.p[0] != SL_FACT_VERSION)
        return false;
    uint8_t kind = bytes.p[1];
    if (kind == 0 || bytes.len > sl_fact_max(kind))
        return false;
    if (sl_get16(bytes.p + 2) != bytes.len - SL_FACT_MIN)
        return false;
    struct sl_fact_header h = {.kind = kind};
    memcpy(h.origin.b, bytes.p + 4, SL_ID_LEN);
    h.version.epoch = sl_get64(bytes.p + 20);
    h.version.seq = sl_get64(bytes.p + 28);
    if (h.version.epoch >> 63)
        return false;
    *ret = h;
    return true;
}

int sl_fact_cmp(const struct sl_fact *a, const struct sl_fact *b)
{
    int by_version = sl_version_cmp(a->version, b->version);
    if (by_version)
        return by_version;
    if (a->check != b->check)
        return a->check < b->check ? -1 : 1;
    int by_bytes = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
    return by_bytes ? by_bytes : (a->len > b->len) - (a->len < b->len);
}

/* What the signature covers, into a buffer with room for FACT_DOMAIN, F and `len` bytes. */
static size_t signed_text(const struct sl_bundle *bundle, const uint8_t *bytes, size_t len, uint8_t *out)
{
    memcpy(out, FACT_DOMAIN, sizeof FACT_DOMAIN);
    memcpy(out + sizeof FACT_DOMAIN, bundle->flock, SL_FLOCK_LEN);
    memcpy(out + sizeof FACT_DOMAIN + SL_FLOCK_LEN, bytes, len);
    return sizeof FACT_DOMAIN + SL_FLOCK_LEN + len;
}

bool sl_fact_verify(const struct sl_fact *f, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                    const uint8_t key[SL_KEY_LEN])
{
    uint8_t text[sizeof FACT_DOMAIN + SL_FLOCK_LEN + SL_RECORD_MAX];
    size_t len = f->len - SL_SIG_LEN;
    return crypto->verify(crypto->context, key, text, signed_text(bundle, f->bytes, len, text),
                          f->bytes + len);
}

size_t sl_fact_sign(const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                    const struct sl_fact_header *header, struct sl_span body, uint8_t *out)
{
    if (body.len > sl_fact_max(header->kind) - SL_FACT_MIN)
        return 0;
    out[0] = SL_FACT_VERSION;
    out[1] = header->kind;
    sl_put16(out + 2, (uint16_t)body.len);
    memcpy(out + 4, header->origin.b, SL_ID_LEN);
    sl_put64(out + 20, header->version.epoch);
    sl_put64(out + 28, header->version.seq);
    memcpy(out + SL_FACT_HEADER, body.p, body.len);
    size_t len = SL_FACT_HEADER + body.len;
    uint8_t text[sizeof FACT_DOMAIN + SL_FLOCK_LEN + SL_RECORD_MAX];
    crypto->sign(crypto->context, out + len, text, signed_text(bundle, out, len, text));
    return len + SL_SIG_LEN;
}

/* Does the record carry this certificate? */
static bool carries(const struct sl_fact *f, struct sl_span cert)
{
    struct sl_record record;
    return sl_record_read(sl_fact_body(f), &record) && record.cert.len == cert.len &&
           memcmp(record.cert.p, cert.p, cert.len) == 0;
}

static bool who_read(struct sl_who *who, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                     const struct sl_fact *f, const struct sl_fact *known)
{
    struct sl_record record;
    struct sl_cert cert;
    if (!sl_record_read(sl_fact_body(f), &record))
        return false;
    /* The known one may be from before an authority went. */
    bool good = known && carries(known, record.cert)
                    ? sl_cert_decode(crypto, record.cert, &cert) && sl_bundle_authority(crypto, bundle, cert.issuer)
                    : sl_cert_check(crypto, bundle, record.cert, &cert);
    if (!good || !sl_id_eq(&cert.id, sl_fact_origin(f)))
        return false;
    sl_cert_places(record.cert, &who->key, &who->name);
    who->zone = record.zone;
    who->addr = record.addr;
    who->host = record.host;
    who->flags = record.flags;
    return true;
}

bool sl_fact_check(struct sl_fact *f, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                   const struct sl_fact *known)
{
    struct sl_vitals vitals;
    struct sl_sighting entries[SL_SIGHTING_ENTRIES_MAX];
    size_t n;
    switch ((enum sl_kind)f->kind) {
    case SL_RECORD:
        return who_read(f->who, crypto, bundle, f, known);
    case SL_VITALS:
        return sl_vitals_read(sl_fact_body(f), &vitals);
    case SL_SIGHTINGS:
        return sl_sightings_read(sl_fact_body(f), entries, &n);
    }
    return true; /* of a later version: nothing to look at */
}

/* ---- bodies ----------------------------------------------------------------------------- */

/* record: [cert, address, host, zone, C_d, flags, sections]; an address is [family, ip, port] packed as
 * one binary: family 1, ip 4 or 16, port 2. Elements that a later version adds behind are skipped. */
#define RECORD_ELEMENTS 7
#define VITALS_ELEMENTS 4

/* Open the body's array, which holds at least `expected` elements; *ret_extra are those behind. */
static bool body_open(struct sl_read *r, struct sl_span body, size_t expected, size_t *ret_extra)
{
    size_t n;
    sl_read_init(r, body.p, body.len);
    if (!sl_read_array(r, 64, &n) || n < expected)
        return false;
    *ret_extra = n - expected;
    return true;
}

static bool body_close(struct sl_read *r, size_t extra)
{
    return sl_read_skip(r, extra) && sl_read_done(r);
}

bool sl_record_read(struct sl_span body, struct sl_record *ret)
{
    struct sl_read r;
    struct sl_record x = {0};
    struct sl_span addr;
    size_t extra;
    if (!body_open(&r, body, RECORD_ELEMENTS, &extra) || !sl_read_bin(&r, SL_CERT_MAX, &x.cert) ||
        !sl_read_bin(&r, SL_ADDR_BYTES, &addr) || !sl_addr_read(addr, &x.addr) ||
        !sl_read_uint(&r, UINT64_MAX, &x.host) || !sl_read_str(&r, SL_NAME_LEN_MAX, &x.zone) ||
        !sl_read_fixed(&r, x.c_d, SL_KEY_LEN) || !sl_read_uint(&r, UINT64_MAX, &x.flags) ||
        !sl_read_bin(&r, SL_RECORD_MAX, &x.sections) || !body_close(&r, extra))
        return false;
    if (x.zone.len && !sl_name_ok((const char *)x.zone.p, x.zone.len))
        return false;
    *ret = x;
    return true;
}

size_t sl_record_write(const struct sl_record *r, uint8_t *out, size_t cap)
{
    struct sl_pack w;
    uint8_t addr[SL_ADDR_BYTES];
    sl_pack_init(&w, out, cap);
    sl_pack_array(&w, RECORD_ELEMENTS);
    sl_pack_bin(&w, r->cert.p, r->cert.len);
    sl_pack_bin(&w, addr, sl_addr_write(&r->addr, addr));
    sl_pack_uint(&w, r->host);
    sl_pack_str(&w, (const char *)r->zone.p, r->zone.len);
    sl_pack_bin(&w, r->c_d, SL_KEY_LEN);
    sl_pack_uint(&w, r->flags);
    sl_pack_bin(&w, r->sections.p, r->sections.len);
    return w.failed ? 0 : w.len;
}

bool sl_vitals_read(struct sl_span body, struct sl_vitals *ret)
{
    struct sl_read r;
    struct sl_vitals x = {0};
    size_t extra;
    if (!body_open(&r, body, VITALS_ELEMENTS, &extra) || !sl_read_uint(&r, UINT64_MAX, &x.answered) ||
        !sl_read_uint(&r, SL_GONE, &x.state) || !sl_read_uint(&r, 1, &x.urgent) ||
        !sl_read_bin(&r, SL_VITALS_MAX, &x.sections))
        return false;
    if (extra > 0) { /* left out when nobody is denied */
        if (!sl_read_bin(&r, SL_DENY_MAX * SL_ID_LEN, &x.deny) || x.deny.len % SL_ID_LEN)
            return false;
        extra--;
    }
    if (!body_close(&r, extra))
        return false;
    *ret = x;
    return true;
}

size_t sl_vitals_write(const struct sl_vitals *v, uint8_t *out, size_t cap)
{
    struct sl_pack w;
    sl_pack_init(&w, out, cap);
    sl_pack_array(&w, VITALS_ELEMENTS + (v->deny.len > 0));
    sl_pack_uint(&w, v->answered);
    sl_pack_uint(&w, v->state);
    sl_pack_uint(&w, v->urgent);
    sl_pack_bin(&w, v->sections.p, v->sections.len);
    if (v->deny.len > 0)
        sl_pack_bin(&w, v->deny.p, v->deny.len);
    return w.failed ? 0 : w.len;
}

/* sightings: [id, how, epoch, seq, id, how, epoch, seq, ...] */
bool sl_sightings_read(struct sl_span body, struct sl_sighting *entries, size_t *ret_n)
{
    struct sl_read r;
    size_t n;
    sl_read_init(&r, body.p, body.len);
    if (!sl_read_array(&r, 4 * SL_SIGHTING_ENTRIES_MAX, &n) || n % 4)
        return false;
    for (size_t i = 0; i < n / 4; i++) {
        struct sl_sighting *e = &entries[i];
        uint64_t how;
        if (!sl_read_fixed(&r, e->accused.b, SL_ID_LEN) || !sl_read_uint(&r, SL_SILENT, &how) || how == 0 ||
            !sl_read_uint(&r, INT64_MAX, &e->seen.epoch) || !sl_read_uint(&r, UINT64_MAX, &e->seen.seq))
            return false;
        e->how = (uint8_t)how;
    }
    if (!sl_read_done(&r))
        return false;
    *ret_n = n / 4;
    return true;
}

const struct sl_sighting *sl_sightings_about(const struct sl_sighting *entries, size_t n, const struct sl_id *accused)
{
    for (size_t i = 0; i < n; i++) {
        if (sl_id_eq(&entries[i].accused, accused))
            return &entries[i];
    }
    return NULL;
}

size_t sl_sightings_write(const struct sl_sighting *entries, size_t n, uint8_t *out, size_t cap)
{
    struct sl_pack w;
    sl_pack_init(&w, out, cap);
    sl_pack_array(&w, 4 * n);
    for (size_t i = 0; i < n; i++) {
        sl_pack_bin(&w, entries[i].accused.b, SL_ID_LEN);
        sl_pack_uint(&w, entries[i].how);
        sl_pack_uint(&w, entries[i].seen.epoch);
        sl_pack_uint(&w, entries[i].seen.seq);
    }
    return w.failed ? 0 : w.len;
}
