/* rights.c: the two lists of a certificate, and what fits them. */
#include "node/rights.h"

bool sl_cert_has_tenant(const struct sl_cert *cert, const uint8_t tenant[8])
{
    for (size_t i = 0; i < cert->n_tenants; i++) {
        if (memcmp(cert->tenants[i], tenant, sizeof cert->tenants[i]) == 0)
            return true;
    }
    return cert->n_tenants == 0;
}

/* '*' stands for any run of characters. One that did not suffice takes one more: no recursion. */
static bool fits(const char *pattern, const char *name)
{
    const char *star = NULL, *tried = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            tried = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++tried;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool sl_cert_may_offer(const struct sl_cert *cert, const char *service)
{
    for (size_t i = 0; i < cert->n_patterns; i++) {
        if (fits(cert->patterns[i], service))
            return true;
    }
    return cert->n_patterns == 0;
}
