/* section.h: reading service sections; the writing side is in store.h.
 *
 * record:  [[tenant, name, host, port, version, weight, {key: value, ...}], ...]
 * vitals:  [[key, health, weight, note], ...]
 *
 * Texts are MessagePack str, numbers uint, further elements of an inner array are skipped, so that
 * later versions can add some. Tenant "" is "default". Services rise by (tenant, name), metadata by
 * key, nothing is there twice. Vitals name a service by a hash of (tenant, name) rather than by its
 * place: record and vitals are facts that travel apart, so a place could belong to another version
 * of the record. */
#ifndef SL_STORE_SECTION_H
#define SL_STORE_SECTION_H

#include "base/pack.h"
#include "store/store.h"

/* ---- record ---- */

struct sl_sections {
    struct sl_read r;
    size_t left; /* entries still to come */
    bool any;    /* an entry was good; its names are: */
    char last_tenant[64], last_name[64];
};

/* No bytes at all are an empty section. */
void sl_sections_begin(struct sl_sections *it, struct sl_span bytes);
/* The next service: 1 = filled (metadata borrows from the bytes; health and weight are what a
 * service without vitals has), STARLING_EINVAL = this one has a fault, go on; 0 = the end, see
 * sl_sections_ok. */
int sl_sections_next(struct sl_sections *it, struct sl_service *ret) SL_MUST_USE;
/* At the end: were the bytes well-formed as a whole? */
bool sl_sections_ok(const struct sl_sections *it);

/* ---- vitals ---- */

struct sl_service_vitals {
    uint64_t key;
    uint8_t health;
    uint16_t weight;
    struct sl_span note; /* borrowed */
};

/* Fills up to SL_SERVICES_MAX entries; entries with a fault are left out and counted. False:
 * malformed, nothing counts. */
bool sl_sections_read_vitals(struct sl_span bytes, struct sl_service_vitals *ret, size_t *ret_n,
                             size_t *ret_refused) SL_MUST_USE;
/* Give the service what the vitals say of it. */
void sl_sections_apply(struct sl_service *service, const struct sl_service_vitals *vitals,
                       size_t n);

#endif
