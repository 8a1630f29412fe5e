/* cert.h: certificates, and what every member of a flock holds (PROTOCOL.md, "Trust").
 *
 *   1 | issuer 8 | serial 16 | F 16 | key 32 | role 1 | not-before 8 | not-after 8 | name
 *     | tenants 8 each | service-name patterns
 *     | signature 64 over "starling/1 cert\0" and all before it
 *
 * `name` and each pattern carry a length byte, tenants and patterns a count byte in front. Times
 * are seconds since 1970. Encoding is canonical: one certificate has one form. */
#ifndef SL_GOSSIP_CERT_H
#define SL_GOSSIP_CERT_H

#include "base/limits.h"
#include "base/port.h"

#define SL_AUTHORITIES_MAX 4
#define SL_DOORS_MAX 2
#define SL_CERT_SERIAL_AT 9 /* in its bytes */
#define SL_FLOCK_LEN 16
#define SL_CERT_TENANTS_MAX 16
#define SL_CERT_PATTERNS_MAX 16
#define SL_CERT_SKEW_S 600 /* between the clocks of two hosts */
#define SL_CERT_LATELY_S 86400 /* revocations are kept for so long behind the end */

/* What every member of the flock holds. Public keys and the flock's id; doors stay in node/. */
struct sl_bundle {
    uint8_t authority[SL_AUTHORITIES_MAX][SL_KEY_LEN];
    size_t n_authorities;
    uint8_t flock[SL_FLOCK_LEN];     /* F = BLAKE2b-128("starling/1 flock\0" | flock name) */
    uint8_t door_public[SL_KEY_LEN]; /* CURVE key of the listening side */
    /* While doors are rotated: of the second one, which others may listen on; else zeros. */
    uint8_t second_door_public[SL_KEY_LEN];
    bool two_doors;
};

struct sl_cert {
    uint8_t issuer[8]; /* BLAKE2b-64 of the authority's key */
    uint8_t serial[16];
    uint8_t flock[SL_FLOCK_LEN];
    uint8_t key[SL_KEY_LEN];
    uint8_t role; /* 0 node */
    int64_t not_before, not_after;
    char name[SL_NAME_LEN_MAX + 1];
    uint8_t tenants[SL_CERT_TENANTS_MAX][8]; /* none = all (self-issued) */
    size_t n_tenants;
    char patterns[SL_CERT_PATTERNS_MAX][SL_NAME_LEN_MAX + 1]; /* none = all */
    size_t n_patterns;
    struct sl_id id; /* BLAKE2b-128 of key; derived, not encoded */
};

/* F of a flock name. */
void sl_flock_id(const struct sl_crypto *c, const char *name, uint8_t out[SL_FLOCK_LEN]);
void sl_node_id(const struct sl_crypto *c, const uint8_t key[SL_KEY_LEN], struct sl_id *ret);
/* What certificates call an authority: BLAKE2b-64 of its key. */
void sl_issuer_id(const struct sl_crypto *c, const uint8_t key[SL_KEY_LEN], uint8_t out[8]);
/* The key of the one that is called so, or NULL when it is not trusted. */
const uint8_t *sl_bundle_authority(const struct sl_crypto *c, const struct sl_bundle *bundle,
                                   const uint8_t issuer[8]);
/* What certificates call a tenant: BLAKE2b-64(F | name). */
void sl_tenant_id(const struct sl_crypto *c, const uint8_t flock[SL_FLOCK_LEN], const char *name,
                  uint8_t out[8]);

/* The bytes an authority signs, into out; the caller appends the signature over
 * "starling/1 cert\0" | bytes. Length, or 0 when it does not fit. */
size_t sl_cert_encode(const struct sl_cert *cert, uint8_t *out, size_t cap);
/* "starling/1 cert\0" | bytes into out: what the signature covers. Length, or 0. */
size_t sl_cert_signed_text(struct sl_span unsigned_bytes, uint8_t *out, size_t cap);

/* Encode and sign with the key behind `c` into out[SL_CERT_MAX]; length, or 0 when it cannot be
 * encoded. The issuer is the caller's to fill in. */
size_t sl_cert_sign(const struct sl_crypto *c, const struct sl_cert *cert, uint8_t *out);

/* Decode; form alone is checked. */
bool sl_cert_decode(const struct sl_crypto *c, struct sl_span bytes, struct sl_cert *ret)
    SL_MUST_USE;
/* Decode and check flock, issuer and signature. Never a clock: times are judged where a certificate
 * is used (sl_cert_valid_at), or nodes would disagree about which facts exist. */
bool sl_cert_check(const struct sl_crypto *c, const struct sl_bundle *bundle, struct sl_span bytes,
                   struct sl_cert *ret) SL_MUST_USE;
/* Where key and name stand in the bytes of a certificate that was decoded. */
void sl_cert_places(struct sl_span bytes, const uint8_t **ret_key, struct sl_span *ret_name);
/* Within its time, give or take ten minutes. */
bool sl_cert_valid_at(const struct sl_cert *cert, int64_t wall_s);
/* Likewise, or it has ended within the last day: all that a node whose own has ended can ask of others. */
bool sl_cert_lately_valid_at(const struct sl_cert *cert, int64_t wall_s);

#endif
