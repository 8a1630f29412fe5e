/* hello.c: the three messages that open a link. Pure: nonces, keys and the wall clock are arguments. */
#include "gossip/hello.h"

#include "base/bytes.h"

static const char DIAL_DOMAIN[] = "starling/1 hello dial"; /* signed with their NUL */
static const char ACCEPT_DOMAIN[] = "starling/1 hello accept";
static const struct sl_id ANYBODY;

#define TEXT_MAX (sizeof ACCEPT_DOMAIN + SL_FLOCK_LEN + 2 * SL_KEY_LEN + 32 + SL_M1_MAX)

struct text {
    uint8_t p[TEXT_MAX];
    size_t len;
};

static void add(struct text *t, const void *p, size_t len)
{
    memcpy(t->p + t->len, p, len);
    t->len += len;
}

/* What both signatures have in front. We sign for our own door. While doors are rotated a peer may have
 * the two in the other order, so what it signed may be for either. */
static void text_open(struct text *t, const struct sl_hello *h, bool second_door, const char *domain,
                      size_t domain_len, const uint8_t c_d[SL_KEY_LEN])
{
    t->len = 0;
    add(t, domain, domain_len);
    add(t, h->bundle->flock, SL_FLOCK_LEN);
    add(t, second_door ? h->bundle->second_door_public : h->bundle->door_public, SL_KEY_LEN);
    add(t, c_d, SL_KEY_LEN);
}

static void text_m1(struct text *t, const struct sl_hello *h, bool second_door, const uint8_t c_d[SL_KEY_LEN],
                    struct sl_span body)
{
    text_open(t, h, second_door, DIAL_DOMAIN, sizeof DIAL_DOMAIN, c_d);
    add(t, body.p, body.len);
}

static void text_m2(struct text *t, const struct sl_hello *h, bool second_door, const uint8_t c_d[SL_KEY_LEN],
                    struct sl_span m1, struct sl_span body)
{
    uint8_t hash[32];
    h->crypto->hash(h->crypto->context, hash, sizeof hash, NULL, 0, &m1, 1);
    text_open(t, h, second_door, ACCEPT_DOMAIN, sizeof ACCEPT_DOMAIN, c_d);
    add(t, hash, sizeof hash);
    add(t, body.p, body.len);
}

/* nonce, revocation root, certificate: the common tail. */
static size_t put_tail(const struct sl_hello *h, uint8_t *out, size_t len)
{
    sl_put64(out + len, h->revoked ? h->revoked->root : 0);
    sl_put16(out + len + 8, (uint16_t)h->cert.len);
    memcpy(out + len + 10, h->cert.p, h->cert.len);
    return len + 10 + h->cert.len;
}

/* Find certificate and signature in a message whose tail starts at `at`. */
static bool find_tail(struct sl_span m, size_t at, struct sl_span *ret_cert, struct sl_span *ret_body)
{
    if (m.len < at + 10 + SL_SIG_LEN)
        return false;
    size_t cert_len = sl_get16(m.p + at + 8);
    if (cert_len > SL_CERT_MAX || m.len != at + 10 + cert_len + SL_SIG_LEN)
        return false;
    *ret_cert = sl_span_of(m.p + at + 10, cert_len);
    *ret_body = sl_span_of(m.p, m.len - SL_SIG_LEN);
    return true;
}

static bool in_time(const struct sl_hello *h, const struct sl_cert *peer)
{
    return h->ended ? sl_cert_lately_valid_at(peer, h->wall_s) : sl_cert_valid_at(peer, h->wall_s);
}

static enum sl_reason check_cert(const struct sl_hello *h, struct sl_span bytes, struct sl_cert *ret)
{
    if (!sl_cert_check(h->crypto, h->bundle, bytes, ret) || !in_time(h, ret))
        return SL_REASON_CERT;
    if (h->revoked && sl_revoked_holds(h->revoked, &ret->id, ret->serial))
        return SL_REASON_CERT;
    return sl_id_eq(&ret->id, &h->id) ? SL_REASON_SELF : SL_OK;
}

size_t sl_hello_dial(const struct sl_hello *h, const uint8_t c_d[SL_KEY_LEN],
                     const uint8_t nonce[SL_NONCE_LEN], const struct sl_id *want, uint8_t *out)
{
    struct text t;
    out[0] = SL_M1;
    out[1] = SL_PROTOCOL_VERSION;
    out[2] = SL_PROTOCOL_VERSION;
    memcpy(out + 3, nonce, SL_NONCE_LEN);
    memcpy(out + 19, want ? want->b : ANYBODY.b, SL_ID_LEN);
    size_t len = put_tail(h, out, 35);
    text_m1(&t, h, false, c_d, sl_span_of(out, len));
    h->crypto->sign(h->crypto->context, out + len, t.p, t.len);
    return len + SL_SIG_LEN;
}

enum sl_reason sl_hello_accept(const struct sl_hello *h, const uint8_t c_d[SL_KEY_LEN], struct sl_span m1,
                               const uint8_t nonce[SL_NONCE_LEN], struct sl_cert *ret_peer, uint8_t *out,
                               size_t *ret_len)
{
    struct sl_span cert, body;
    struct sl_cert peer;
    struct text t;
    if (m1.len < 3 || m1.len > SL_M1_MAX || m1.p[0] != SL_M1)
        return SL_REASON_FORM;
    if (m1.p[1] > SL_PROTOCOL_VERSION || m1.p[2] < SL_PROTOCOL_VERSION)
        return SL_REASON_VERSION;
    if (!find_tail(m1, 35, &cert, &body))
        return SL_REASON_FORM;
    struct sl_id want;
    memcpy(want.b, m1.p + 19, SL_ID_LEN);
    if (!sl_id_eq(&want, &ANYBODY) && !sl_id_eq(&want, &h->id))
        return SL_REASON_WANT;
    memset(&peer, 0, sizeof peer);
    enum sl_reason reason = check_cert(h, cert, &peer);
    *ret_peer = peer;
    if (reason)
        return reason;
    text_m1(&t, h, false, c_d, body);
    bool good = h->crypto->verify(h->crypto->context, peer.key, t.p, t.len, body.p + body.len);
    if (!good && h->bundle->two_doors) {
        text_m1(&t, h, true, c_d, body);
        good = h->crypto->verify(h->crypto->context, peer.key, t.p, t.len, body.p + body.len);
    }
    if (!good)
        return SL_REASON_SIG;

    out[0] = SL_M2;
    out[1] = SL_PROTOCOL_VERSION;
    memcpy(out + 2, nonce, SL_NONCE_LEN);
    size_t len = put_tail(h, out, 18);
    text_m2(&t, h, false, c_d, m1, sl_span_of(out, len));
    h->crypto->sign(h->crypto->context, out + len, t.p, t.len);
    *ret_len = len + SL_SIG_LEN;
    return SL_OK;
}

enum sl_reason sl_hello_finish(const struct sl_hello *h, const uint8_t c_d[SL_KEY_LEN], struct sl_span m1,
                               const struct sl_id *want, struct sl_span m2, struct sl_cert *ret_peer)
{
    struct sl_span cert, body;
    struct sl_cert peer;
    struct text t;
    if (m2.len < 2 || m2.len > SL_M1_MAX || m2.p[0] != SL_M2)
        return SL_REASON_FORM;
    if (m2.p[1] != SL_PROTOCOL_VERSION)
        return SL_REASON_VERSION;
    if (!find_tail(m2, 18, &cert, &body))
        return SL_REASON_FORM;
    enum sl_reason reason = check_cert(h, cert, &peer);
    if (reason)
        return reason;
    if (want && !sl_id_eq(want, &peer.id))
        return SL_REASON_WANT;
    text_m2(&t, h, false, c_d, m1, body);
    bool good = h->crypto->verify(h->crypto->context, peer.key, t.p, t.len, body.p + body.len);
    if (!good && h->bundle->two_doors) {
        text_m2(&t, h, true, c_d, m1, body);
        good = h->crypto->verify(h->crypto->context, peer.key, t.p, t.len, body.p + body.len);
    }
    if (!good)
        return SL_REASON_SIG;
    *ret_peer = peer;
    return SL_OK;
}

uint64_t sl_hello_root(struct sl_span m)
{
    return sl_get64(m.p + (m.p[0] == SL_M1 ? 35 : 18));
}

const char *sl_hello_cert_fault(const struct sl_hello *h, struct sl_span m, struct sl_cert *ret_peer)
{
    struct sl_span bytes, body;
    memset(ret_peer, 0, sizeof *ret_peer);
    if (m.len < 1 || !find_tail(m, m.p[0] == SL_M1 ? 35 : 18, &bytes, &body) ||
        !sl_cert_decode(h->crypto, bytes, ret_peer))
        return "its certificate cannot be read";
    if (memcmp(ret_peer->flock, h->bundle->flock, SL_FLOCK_LEN) != 0)
        return "its certificate is for another flock";
    if (!sl_cert_check(h->crypto, h->bundle, bytes, ret_peer))
        return "its certificate is not signed by an authority that this node trusts";
    if (!in_time(h, ret_peer))
        return h->wall_s < ret_peer->not_before ? "its certificate is not valid yet"
                                                : "its certificate has expired";
    if (h->revoked && sl_revoked_holds(h->revoked, &ret_peer->id, ret_peer->serial))
        return "its certificate was revoked";
    return "its certificate is in order";
}

const char *sl_reason_text(enum sl_reason reason)
{
    switch (reason) {
    case SL_OK:
        return "accepted";
    case SL_REASON_FORM:
        return "the message cannot be read";
    case SL_REASON_VERSION:
        return "no protocol version in common";
    case SL_REASON_CERT:
        return "the certificate is not of this flock, or out of its time";
    case SL_REASON_SIG:
        return "the signature is wrong";
    case SL_REASON_WANT:
        return "another node answers at this address";
    case SL_REASON_SELF:
        return "the address is this node's own";
    case SL_REASON_BUSY:
        return "no place at the moment";
    }
    return "unknown reason";
}
