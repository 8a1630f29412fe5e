/* rights.h: what a certificate lets its node say of tenants and services. Judged where a fact is used,
 * never where facts are merged. */
#ifndef SL_NODE_RIGHTS_H
#define SL_NODE_RIGHTS_H

#include "gossip/cert.h"

/* None listed = any. The default tenant needs no listing: it is not asked about. */
bool sl_cert_has_tenant(const struct sl_cert *cert, const uint8_t tenant[8]);
/* Whether the name fits a pattern, in which '*' is any run of characters; without patterns: any. */
bool sl_cert_may_offer(const struct sl_cert *cert, const char *service);

#endif
