/* sections.h: services on their way between a node's table and store/, as bytes inside a record and
 * inside vitals (docs/PROTOCOL.md, "Facts").
 *
 *     [service in clear or sealed section, ...]
 *
 * An array is a service in clear, of the tenant "default", which the whole flock may read. A binary
 * is one other tenant's services: `tenant 8 | key epoch 4 | nonce 24 | ciphertext`, and behind the
 * seal once more such an array, with the tenant's name in each service. gossip/ carries all of it
 * unread; store/ gets one array of what this node can read and the member's certificate lets it
 * say, so that it knows of neither keys nor certificates. */
#ifndef SL_NODE_SECTIONS_H
#define SL_NODE_SECTIONS_H

#include "gossip/cert.h"
#include "gossip/fact.h"
#include "node/keyring.h"
#include "store/store.h"

/* ---- writing -------------------------------------------------------------------------------- */

struct sl_sealer {
    const struct sl_keyring *keyring;
    const struct sl_id *origin;
    int64_t wall_s;
    uint8_t *plain, *sealed; /* room for `cap` bytes each, the caller's */
    size_t cap;
};

/* The services as section bytes of `kind`: the default tenant's in clear, those of each other tenant
 * that there is a key of sealed together. Notes are shortened before vitals fail to fit. Length, or
 * 0 when it does not fit. Sealing takes chance, so the bytes differ each time; *ret_sum is of what
 * they say and of the keys they are sealed under. */
size_t sl_sections_write(const struct sl_sealer *sealer, enum sl_kind kind,
                         const struct sl_service *const *services, size_t n, uint8_t *out,
                         size_t cap, uint64_t *ret_sum);

/* ---- reading -------------------------------------------------------------------------------- */

/* Counters, all rising; once for each fact that was new. */
#define SL_SECTIONS_COUNTERS(X)                                                                    \
    X(opened) X(forged) X(malformed) X(tenants_refused) X(names_refused)

struct sl_sections_stats {
#define SL_X(name) uint64_t name;
    SL_SECTIONS_COUNTERS(SL_X)
#undef SL_X
};

/* Who reads, and room for what is read. */
struct sl_reveal {
    const struct sl_crypto *crypto;
    const struct sl_keyring *keyring;
    const uint8_t *flock;

    /* of the sections at hand; each piece borrows from them or from `plain` */
    struct sl_piece {
        struct sl_span bytes;
        struct sl_span sealed; /* the section inside; empty: it is a service in clear */
        bool kept;             /* all of it can be read, and may be said */
    } pieces[SL_SERVICES_MAX];
    size_t n_pieces;
    struct sl_entry {
        struct sl_span bytes;
        uint8_t tenant; /* index of its tenant */
    } entries[SL_SERVICES_MAX];
    size_t n_entries;
    char tenants[SL_SERVICES_MAX + 1][SL_NAME_LEN_MAX + 1]; /* the first is "default" */
    size_t n_tenants;
    uint8_t plain[SL_RECORD_MAX];
    size_t plain_len;
    uint8_t out[SL_RECORD_MAX];
    struct sl_sections_stats found;
};

/* What a member says, as far as this node can read it and its certificate lets it: one section for
 * sl_store_record or sl_store_vitals, borrowed until the next call or as long as `said`. Malformed
 * sections come to an empty one. `found` counts what was found in them. */
struct sl_span sl_sections_reveal(struct sl_reveal *r, enum sl_kind kind,
                                  const struct sl_id *origin, const struct sl_cert *cert,
                                  struct sl_span said);
/* The same, but as it came, sealed where it was: for keeping. Left out is also what cannot be read,
 * and a sealed section of which a part may not be said. In `out`, which has room for said.len bytes,
 * or it is `said` itself. */
struct sl_span sl_sections_keep(struct sl_reveal *r, enum sl_kind kind, const struct sl_id *origin,
                                const struct sl_cert *cert, struct sl_span said, uint8_t *out);
/* Reveal what was kept: it was judged by the certificate then. */
struct sl_span sl_sections_reveal_kept(struct sl_reveal *r, enum sl_kind kind,
                                       const struct sl_id *origin, struct sl_span kept);

#endif
