/* tenants.h: AUTHORITY.tenants, which tenants of which flock have another key than their first, as
 * text (docs/PROTOCOL.md, "Tenants"). No keys are in it: they derive.
 *
 *   # a comment
 *   FLOCK TENANT EPOCH USE-AFTER      seconds since 1970; two lines of each, the older key first
 *   check DIGITS                      last: BLAKE2b-128 of all before this line */
#ifndef SL_NODE_TENANTS_H
#define SL_NODE_TENANTS_H

#include <limits.h>

#include "base/limits.h"
#include "node/keyring.h"

struct sl_rotated {
    char flock[SL_NAME_LEN_MAX + 1], tenant[SL_NAME_LEN_MAX + 1];
    uint32_t epoch;
    int64_t use_after;
};

struct sl_tenants {
    struct sl_rotated *line; /* freed by sl_tenants_free */
    size_t n;                /* at most SL_TENANT_EPOCHS_MAX */
};

/* Where it is beside this authority. 0 or STARLING_EIO (too long). */
int sl_tenants_path(const char *authority, char out[PATH_MAX]) SL_MUST_USE;
/* The file beside this authority; an empty list where there is none. 0, STARLING_EAUTH (damaged,
 * open to others), EIO, ENOMEM. */
int sl_tenants_read(const char *authority, struct sl_tenants *ret) SL_MUST_USE;
/* Whole or not at all, mode 0600. 0, STARLING_EIO, ENOMEM. */
int sl_tenants_write(const char *authority, const struct sl_tenants *tenants) SL_MUST_USE;
void sl_tenants_free(struct sl_tenants *tenants);

/* Raise the epoch of one: the key in use stays as the old one. A new key that is not in use yet at
 * wall_s is replaced when this one is to be used at once, else it is STARLING_EINVAL. Also ELIMIT,
 * ENOMEM. What was added goes to *ret. */
int sl_tenants_raise(struct sl_tenants *tenants, const char *flock, const char *tenant,
                     int64_t wall_s, int64_t use_after, struct sl_rotated *ret) SL_MUST_USE;
/* The epochs of a tenant by its id, which is of one flock; the first alone where it was never rotated.
 * How many. */
size_t sl_tenants_epochs(const struct sl_tenants *tenants, const uint8_t tenant[SL_TENANT_LEN],
                         struct sl_tenant_epoch ret[SL_TENANT_EPOCHS]);
/* Those of this flock into the ring of a node that has all keys. 0 or STARLING_EAUTH. */
int sl_tenants_into(const struct sl_tenants *tenants, struct sl_keyring *ring) SL_MUST_USE;
#endif
