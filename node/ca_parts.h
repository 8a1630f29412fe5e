/* ca_parts.h: what the files of the authority share among themselves. */
#ifndef SL_NODE_CA_PARTS_H
#define SL_NODE_CA_PARTS_H

#include "node/ca.h"

/* PATH.SUFFIX. 0 or STARLING_EIO (too long). */
int sl_ca_beside(const char *path, const char *suffix, char out[PATH_MAX]) SL_MUST_USE;
/* One writer at a time: a descriptor to close, or STARLING_EIO. */
int sl_ca_lock(const struct sl_ca *ca) SL_MUST_USE;
/* The keys of all tenants that the certificate lists, in the place of the grants that `to` had. 0,
 * STARLING_EINVAL, EAUTH, EIO, ENOMEM. */
int sl_ca_grant(const struct sl_ca *ca, const struct sl_cert *cert, struct sl_credentials *to)
    SL_MUST_USE;
#endif
