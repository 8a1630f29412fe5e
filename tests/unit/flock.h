/* flock.h: authorities, certificates and cores for the tests of gossip/, with real signatures. */
#ifndef SL_TESTS_FLOCK_H
#define SL_TESTS_FLOCK_H

#include <stdio.h>

#include "gossip/cert.h"
#include "gossip/gossip.h"
#include "node/crypto.h"

struct person {
    struct sl_signer signer;
    struct sl_crypto crypto;
    uint8_t cert[SL_CERT_MAX];
    size_t cert_len;
    struct sl_id id;
};

static struct sl_signer authority_signer;
static struct sl_bundle bundle;

static inline void signer_number(struct sl_signer *s, uint8_t number)
{
    uint8_t seed[32] = {number};
    sl_signer_from_seed(s, seed);
}

/* An authority of its own for each number, in flock "test". */
static inline void flock_make(uint8_t number)
{
    if (sl_crypto_setup() < 0)
        abort();
    signer_number(&authority_signer, number);
    struct sl_crypto c = sl_crypto_port(&authority_signer);
    memset(&bundle, 0, sizeof bundle);
    bundle.n_authorities = 1;
    memcpy(bundle.authority[0], authority_signer.public_key, SL_KEY_LEN);
    sl_flock_id(&c, "test", bundle.flock);
    bundle.door_public[0] = number;
}

static inline void person_make_seeded(struct person *p, const uint8_t seed[32], const char *name)
{
    struct sl_crypto by = sl_crypto_port(&authority_signer);
    struct sl_cert cert = {.not_after = INT64_C(4102444800)};
    struct sl_span key = sl_span_of(bundle.authority[0], SL_KEY_LEN);
    uint8_t text[SL_CERT_MAX + 64];
    sl_signer_from_seed(&p->signer, seed);
    p->crypto = sl_crypto_port(&p->signer);
    by.hash(by.context, cert.issuer, sizeof cert.issuer, NULL, 0, &key, 1);
    memcpy(cert.flock, bundle.flock, SL_FLOCK_LEN);
    memcpy(cert.key, p->signer.public_key, SL_KEY_LEN);
    memcpy(cert.serial, seed, sizeof cert.serial);
    snprintf(cert.name, sizeof cert.name, "%s", name);
    p->cert_len = sl_cert_encode(&cert, p->cert, sizeof p->cert);
    size_t len = sl_cert_signed_text(sl_span_of(p->cert, p->cert_len), text, sizeof text);
    by.sign(by.context, p->cert + p->cert_len, text, len);
    p->cert_len += SL_SIG_LEN;
    sl_node_id(&by, cert.key, &p->id);
}

static inline void person_make_named(struct person *p, uint8_t number, const char *name)
{
    uint8_t seed[32] = {number};
    person_make_seeded(p, seed, name);
}

static inline void person_make(struct person *p, uint8_t number)
{
    char name[8];
    snprintf(name, sizeof name, "n%u", number);
    person_make_named(p, number, name);
}

static inline struct sl_addr address_number(uint8_t number)
{
    return (struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(7000 + number)};
}

/* A signed fact of `p` into out; its length. */
static inline size_t fact_make(const struct person *p, enum sl_kind kind, uint64_t epoch, uint64_t seq,
                               struct sl_span body, uint8_t *out)
{
    struct sl_fact_header h = {.kind = (uint8_t)kind, .origin = p->id, .version = {epoch, seq}};
    return sl_fact_sign(&p->crypto, &bundle, &h, body, out);
}

static inline size_t record_make(const struct person *p, uint8_t number, uint64_t epoch, uint64_t seq, uint8_t *out)
{
    uint8_t body[SL_RECORD_MAX];
    struct sl_record r = {.cert = sl_span_of(p->cert, p->cert_len), .addr = address_number(number)};
    size_t len = sl_record_write(&r, body, sizeof body);
    return fact_make(p, SL_RECORD, epoch, seq, sl_span_of(body, len), out);
}

static inline size_t vitals_make(const struct person *p, uint64_t epoch, uint64_t seq, struct sl_vitals v, uint8_t *out)
{
    uint8_t body[SL_VITALS_MAX];
    size_t len = sl_vitals_write(&v, body, sizeof body);
    return fact_make(p, SL_VITALS, epoch, seq, sl_span_of(body, len), out);
}

static inline size_t sighting_make(const struct person *p, uint64_t epoch, uint64_t seq, const struct sl_sighting *s,
                                   size_t n, uint8_t *out)
{
    uint8_t body[SL_SIGHTINGS_MAX];
    size_t len = sl_sightings_write(s, n, body, sizeof body);
    return fact_make(p, SL_SIGHTINGS, epoch, seq, sl_span_of(body, len), out);
}

#endif
