/* cert.c: the fixed layout of a certificate and who may have signed it (PROTOCOL.md, "Trust").
 * Decoding is strict: every length is checked before a byte is copied, and nothing may be left
 * over, so that one certificate has exactly one form and a signature covers all of it. */
#include "gossip/cert.h"

#include "base/bytes.h"

#define CERT_VERSION 1
#define CERT_FIXED 90 /* version to not-after */
/* With their final NUL: no domain is the beginning of another. */
static const char flock_domain[] = "starling/1 flock";
static const char cert_domain[] = "starling/1 cert";

void sl_flock_id(const struct sl_crypto *c, const char *name, uint8_t out[SL_FLOCK_LEN])
{
    const struct sl_span parts[] = {sl_span_of(flock_domain, sizeof flock_domain),
                                    sl_span_of(name, strlen(name))};
    c->hash(c->context, out, SL_FLOCK_LEN, NULL, 0, parts, SL_COUNT(parts));
}

void sl_node_id(const struct sl_crypto *c, const uint8_t key[SL_KEY_LEN], struct sl_id *ret)
{
    const struct sl_span part = sl_span_of(key, SL_KEY_LEN);
    c->hash(c->context, ret->b, SL_ID_LEN, NULL, 0, &part, 1);
}

void sl_issuer_id(const struct sl_crypto *c, const uint8_t key[SL_KEY_LEN], uint8_t out[8])
{
    const struct sl_span part = sl_span_of(key, SL_KEY_LEN);
    c->hash(c->context, out, 8, NULL, 0, &part, 1);
}

void sl_tenant_id(const struct sl_crypto *c, const uint8_t flock[SL_FLOCK_LEN], const char *name,
                  uint8_t out[8])
{
    const struct sl_span parts[] = {sl_span_of(flock, SL_FLOCK_LEN),
                                    sl_span_of(name, strlen(name))};
    c->hash(c->context, out, 8, NULL, 0, parts, SL_COUNT(parts));
}

/* A pattern is a service name in which '*' stands for any run of characters. */
static bool pattern_ok(const char *p, size_t len)
{
    if (len == 0 || len > SL_NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-' || c == '*';
        if (!ok)
            return false;
    }
    return true;
}

/* ---- writing ---------------------------------------------------------------------------- */

struct writer {
    uint8_t *p;
    size_t cap, len;
    bool failed;
};

static void put(struct writer *w, const void *p, size_t len)
{
    if (w->failed || len > w->cap - w->len) {
        w->failed = true;
        return;
    }
    memcpy(w->p + w->len, p, len);
    w->len += len;
}

static void put_byte(struct writer *w, size_t v)
{
    uint8_t b = (uint8_t)v;
    put(w, &b, 1);
}

static void put_time(struct writer *w, int64_t v)
{
    uint8_t b[8];
    sl_put64(b, (uint64_t)v);
    put(w, b, sizeof b);
}

size_t sl_cert_encode(const struct sl_cert *cert, uint8_t *out, size_t cap)
{
    size_t name_len = strnlen(cert->name, sizeof cert->name);
    if (!sl_name_ok(cert->name, name_len) || cert->n_tenants > SL_CERT_TENANTS_MAX ||
        cert->n_patterns > SL_CERT_PATTERNS_MAX || cert->not_before < 0 ||
        cert->not_after < cert->not_before)
        return 0;

    const size_t most = SL_CERT_MAX - SL_SIG_LEN;
    struct writer w = {.p = out, .cap = cap < most ? cap : most};
    put_byte(&w, CERT_VERSION);
    put(&w, cert->issuer, sizeof cert->issuer);
    put(&w, cert->serial, sizeof cert->serial);
    put(&w, cert->flock, sizeof cert->flock);
    put(&w, cert->key, sizeof cert->key);
    put_byte(&w, cert->role);
    put_time(&w, cert->not_before);
    put_time(&w, cert->not_after);
    put_byte(&w, name_len);
    put(&w, cert->name, name_len);
    put_byte(&w, cert->n_tenants);
    put(&w, cert->tenants, cert->n_tenants * sizeof cert->tenants[0]);
    put_byte(&w, cert->n_patterns);
    for (size_t i = 0; i < cert->n_patterns; i++) {
        size_t len = strnlen(cert->patterns[i], sizeof cert->patterns[i]);
        if (!pattern_ok(cert->patterns[i], len))
            return 0;
        put_byte(&w, len);
        put(&w, cert->patterns[i], len);
    }
    return w.failed ? 0 : w.len;
}

size_t sl_cert_signed_text(struct sl_span unsigned_bytes, uint8_t *out, size_t cap)
{
    struct writer w = {.p = out, .cap = cap};
    put(&w, cert_domain, sizeof cert_domain);
    put(&w, unsigned_bytes.p, unsigned_bytes.len);
    return w.failed ? 0 : w.len;
}

size_t sl_cert_sign(const struct sl_crypto *c, const struct sl_cert *cert, uint8_t *out)
{
    uint8_t text[sizeof cert_domain + SL_CERT_MAX];
    size_t len = sl_cert_encode(cert, out, SL_CERT_MAX - SL_SIG_LEN);
    size_t text_len = len == 0 ? 0 : sl_cert_signed_text(sl_span_of(out, len), text, sizeof text);
    if (text_len == 0)
        return 0;
    c->sign(c->context, out + len, text, text_len);
    return len + SL_SIG_LEN;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The next `len` bytes, or NULL when there are not as many. */
static const uint8_t *take(struct sl_span *s, size_t len)
{
    if (len > s->len)
        return NULL;
    const uint8_t *p = s->p;
    s->p += len;
    s->len -= len;
    return p;
}

/* A length byte and as many characters, into out with a NUL; they are not checked yet. */
static bool take_text(struct sl_span *s, char out[SL_NAME_LEN_MAX + 1], size_t *ret_len)
{
    const uint8_t *len = take(s, 1);
    if (len == NULL || *len > SL_NAME_LEN_MAX)
        return false;
    const uint8_t *p = take(s, *len);
    if (p == NULL)
        return false;
    memcpy(out, p, *len);
    out[*len] = '\0';
    *ret_len = *len;
    return true;
}

static bool take_fixed(struct sl_span *s, struct sl_cert *cert)
{
    const uint8_t *p = take(s, CERT_FIXED);
    if (p == NULL || p[0] != CERT_VERSION)
        return false;
    memcpy(cert->issuer, p + 1, sizeof cert->issuer);
    memcpy(cert->serial, p + 9, sizeof cert->serial);
    memcpy(cert->flock, p + 25, sizeof cert->flock);
    memcpy(cert->key, p + 41, sizeof cert->key);
    cert->role = p[73];
    uint64_t before = sl_get64(p + 74), after = sl_get64(p + 82);
    if (after > INT64_MAX || before > after)
        return false;
    cert->not_before = (int64_t)before;
    cert->not_after = (int64_t)after;
    return true;
}

static bool take_lists(struct sl_span *s, struct sl_cert *cert)
{
    const uint8_t *n = take(s, 1);
    if (n == NULL || *n > SL_CERT_TENANTS_MAX)
        return false;
    cert->n_tenants = *n;
    const uint8_t *tenants = take(s, cert->n_tenants * sizeof cert->tenants[0]);
    if (tenants == NULL)
        return false;
    memcpy(cert->tenants, tenants, cert->n_tenants * sizeof cert->tenants[0]);

    n = take(s, 1);
    if (n == NULL || *n > SL_CERT_PATTERNS_MAX)
        return false;
    cert->n_patterns = *n;
    for (size_t i = 0; i < cert->n_patterns; i++) {
        size_t len;
        if (!take_text(s, cert->patterns[i], &len) || !pattern_ok(cert->patterns[i], len))
            return false;
    }
    return true;
}

bool sl_cert_decode(const struct sl_crypto *c, struct sl_span bytes, struct sl_cert *ret)
{
    if (bytes.len > SL_CERT_MAX)
        return false;
    struct sl_cert cert;
    size_t name_len;
    memset(&cert, 0, sizeof cert);
    if (!take_fixed(&bytes, &cert) || !take_text(&bytes, cert.name, &name_len) ||
        !sl_name_ok(cert.name, name_len) || !take_lists(&bytes, &cert) || bytes.len != SL_SIG_LEN)
        return false;
    sl_node_id(c, cert.key, &cert.id);
    *ret = cert;
    return true;
}

const uint8_t *sl_bundle_authority(const struct sl_crypto *c, const struct sl_bundle *bundle,
                                   const uint8_t issuer[8])
{
    for (size_t i = 0; i < bundle->n_authorities; i++) {
        uint8_t of_key[8];
        sl_issuer_id(c, bundle->authority[i], of_key);
        if (memcmp(of_key, issuer, sizeof of_key) == 0)
            return bundle->authority[i];
    }
    return NULL;
}

bool sl_cert_check(const struct sl_crypto *c, const struct sl_bundle *bundle, struct sl_span bytes,
                   struct sl_cert *ret)
{
    struct sl_cert cert;
    /* The flock before the signature: the cheap refusal first. */
    if (!sl_cert_decode(c, bytes, &cert) || memcmp(cert.flock, bundle->flock, SL_FLOCK_LEN) != 0)
        return false;
    const uint8_t *authority = sl_bundle_authority(c, bundle, cert.issuer);
    if (authority == NULL)
        return false;

    uint8_t text[sizeof cert_domain + SL_CERT_MAX];
    size_t unsigned_len = bytes.len - SL_SIG_LEN; /* decoding saw to it that it is there */
    size_t len = sl_cert_signed_text(sl_span_of(bytes.p, unsigned_len), text, sizeof text);
    if (len == 0 || !c->verify(c->context, authority, text, len, bytes.p + unsigned_len))
        return false;
    *ret = cert;
    return true;
}

void sl_cert_places(struct sl_span bytes, const uint8_t **ret_key, struct sl_span *ret_name)
{
    *ret_key = bytes.p + 41;
    *ret_name = sl_span_of(bytes.p + CERT_FIXED + 1, bytes.p[CERT_FIXED]);
}

bool sl_cert_valid_at(const struct sl_cert *cert, int64_t wall_s)
{
    /* Neither time is negative, so neither difference can overflow. */
    return wall_s >= 0 && wall_s >= cert->not_before - SL_CERT_SKEW_S &&
           wall_s - SL_CERT_SKEW_S <= cert->not_after;
}

bool sl_cert_lately_valid_at(const struct sl_cert *cert, int64_t wall_s)
{
    return wall_s >= 0 && wall_s >= cert->not_before - SL_CERT_SKEW_S &&
           wall_s - SL_CERT_LATELY_S <= cert->not_after;
}
