/* fact.h: what a node says of itself, signed by it alone (PROTOCOL.md, "Facts").
 *
 *   ver 1 | kind 1 | len 2 | origin 16 | epoch 8 | seq 8 | body | signature 64
 *
 * A fact is immutable, counted by reference (pool.h) and kept exactly as received: verified, relayed, hashed,
 * never re-encoded. Its order among the facts of one origin and kind is (epoch, seq, the first 8 bytes of the
 * bytes' BLAKE2b-256, the bytes); what follows the version decides between two facts of one version, so that
 * every node keeps the same. */
#ifndef SL_GOSSIP_FACT_H
#define SL_GOSSIP_FACT_H

#include "base/addr.h"
#include "base/limits.h"
#include "base/port.h"

#define SL_FACT_VERSION 1
#define SL_FACT_HEADER 36
#define SL_FACT_MIN (SL_FACT_HEADER + SL_SIG_LEN)

enum sl_kind { SL_RECORD = 1, SL_VITALS = 2, SL_SIGHTINGS = 3 };
#define SL_KINDS 3 /* known ones, numbered from 1; those above are of a later version: passed on unread */

struct sl_version {
    uint64_t epoch;
    uint64_t seq;
};

static inline int sl_version_cmp(struct sl_version a, struct sl_version b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

struct sl_fact_header {
    uint8_t kind;
    struct sl_id origin;
    struct sl_version version;
};

#define SL_RINGS 8 /* K; PROTOCOL.md, "Overlay" */

/* What a record says, read once when it arrives. Spans borrow from the fact's bytes. */
struct sl_who {
    const uint8_t *key;  /* Ed25519, from the certificate; SL_KEY_LEN bytes */
    struct sl_span name; /* of the certificate */
    struct sl_span zone;
    struct sl_addr addr;
    uint32_t next[2];    /* pool: the next record of the same address or name, number + 1 */
    uint64_t host;       /* keyed hash of the machine id */
    uint64_t flags;      /* SL_RECORD_... */
};

struct sl_fact {
    uint32_t refs;
    uint32_t number;   /* in its pool */
    uint32_t identity; /* likewise: its origin's */
    uint16_t len;      /* of bytes */
    uint8_t kind;
    bool verified;     /* its signature has been checked */
    struct sl_version version;
    uint64_t check;    /* first 8 bytes of BLAKE2b-256 of the bytes */
    uint64_t sum;      /* its share of the reconciliation tree (PROTOCOL.md, "Reconciling") */
    struct sl_who *who; /* of a record; else NULL */
    uint8_t bytes[];
};

static inline const struct sl_id *sl_fact_origin(const struct sl_fact *f)
{
    return (const struct sl_id *)(f->bytes + 4);
}

struct sl_bundle;

/* The origin's signature, over "starling/1 fact\0" | F | all before it. */
bool sl_fact_verify(const struct sl_fact *f, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                    const uint8_t key[SL_KEY_LEN]) SL_MUST_USE;
/* Form of the body; of a record the certificate as well (flock, authority's signature, origin = hash of the
 * key), and what it says into f->who. `known` (may be NULL) is another record that passed here:
 * the authority's signature under the certificate in it need not be checked again. */
bool sl_fact_check(struct sl_fact *f, const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                   const struct sl_fact *known) SL_MUST_USE;
/* Header, body and signature into out (room for sl_fact_max(kind)); length, or 0 when the body is too long. */
size_t sl_fact_sign(const struct sl_crypto *crypto, const struct sl_bundle *bundle,
                    const struct sl_fact_header *header, struct sl_span body, uint8_t *out);

/* Larger wins. Both of one origin and kind. */
int sl_fact_cmp(const struct sl_fact *a, const struct sl_fact *b);
static inline struct sl_span sl_fact_body(const struct sl_fact *f)
{
    return sl_span_of(f->bytes + SL_FACT_HEADER, f->len - SL_FACT_MIN);
}

/* The header of a fact in `bytes`: lengths, kind and version are checked, the signature is not. */
bool sl_fact_peek(struct sl_span bytes, struct sl_fact_header *ret) SL_MUST_USE;

/* The largest fact of a kind, header and signature included. */
size_t sl_fact_max(uint8_t kind);

/* ---- bodies ----------------------------------------------------------------------------- */

/* Spans borrow from the fact. */
struct sl_record {
    struct sl_span cert; /* encoded certificate; cert.h */
    struct sl_addr addr; /* where it listens */
    uint64_t host;       /* keyed hash of the machine id: who shares a host with whom */
    struct sl_span zone;
    uint8_t c_d[SL_KEY_LEN]; /* CURVE key it dials with */
    uint64_t flags;          /* SL_RECORD_... */
    struct sl_span sections; /* services; opaque here, read by store/ */
};
#define SL_RECORD_LASTING 1 /* the identity outlives the process (state directory) */

enum sl_state { SL_RUNNING = 0, SL_DRAINING = 1, SL_GONE = 2 };

struct sl_vitals {
    uint64_t answered; /* highest `seen` sequence of any accusation against me that I have heard */
    uint64_t state;    /* enum sl_state */
    uint64_t urgent;   /* 1: relays do not wait to batch it (health, an answer, leaving) */
    struct sl_span sections;
    struct sl_span deny; /* ids, SL_DENY_MAX at most: they accuse me again and again, and I answer */
};

#define SL_DENY_MAX 4

enum sl_how { SL_REFUSED = 1, SL_SILENT = 2 };

struct sl_sighting {
    struct sl_id accused;
    uint8_t how; /* enum sl_how */
    struct sl_version seen; /* newest version of the accused that the accuser held */
};

bool sl_record_read(struct sl_span body, struct sl_record *ret) SL_MUST_USE;
bool sl_vitals_read(struct sl_span body, struct sl_vitals *ret) SL_MUST_USE;
/* At most SL_SIGHTING_ENTRIES_MAX entries. */
bool sl_sightings_read(struct sl_span body, struct sl_sighting *entries, size_t *ret_n) SL_MUST_USE;
/* The first of them about this member, or NULL. */
const struct sl_sighting *sl_sightings_about(const struct sl_sighting *entries, size_t n, const struct sl_id *accused);

/* Number of bytes written, or 0 when it does not fit. */
size_t sl_record_write(const struct sl_record *r, uint8_t *out, size_t cap);
size_t sl_vitals_write(const struct sl_vitals *v, uint8_t *out, size_t cap);
size_t sl_sightings_write(const struct sl_sighting *entries, size_t n, uint8_t *out, size_t cap);

#endif
