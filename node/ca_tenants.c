/* ca_tenants.c: hand out tenants' keys, and give a tenant another one. The old key is handed out with
 * the new, so that nodes can be renewed one after the other: whoever has the new file reads both, and
 * writes with the old one until use-after. */
#include <sodium.h>
#include <starling.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/ca_parts.h"
#include "node/tenants.h"

/* The old key and the new one of a tenant, for the node that the certificate is about. */
static int grant_one(const struct sl_ca *ca, const struct sl_cert *cert,
                     const struct sl_tenants *tenants, const uint8_t tenant[SL_TENANT_LEN],
                     struct sl_credentials *to)
{
    struct sl_tenant_epoch epochs[SL_TENANT_EPOCHS];
    uint8_t root[32], key[32];
    size_t n = sl_tenants_epochs(tenants, tenant, epochs);
    int r = 0;
    sl_tenant_root(ca->first_seed, cert->flock, root);
    for (size_t i = 0; i < n && r == 0; i++) {
        sl_tenant_key(root, tenant, epochs[i].epoch, key);
        r = sl_grant_make(&ca->signer, cert->flock, &epochs[i], cert->key, key,
                          to->grant[to->n_grants]);
        if (r == 0)
            to->n_grants++;
    }
    sodium_memzero(root, sizeof root);
    sodium_memzero(key, sizeof key);
    return r;
}

static bool is_listed_before(const struct sl_cert *cert, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(cert->tenants[i], cert->tenants[n], SL_TENANT_LEN) == 0)
            return true;
    }
    return false;
}

int sl_ca_grant(const struct sl_ca *ca, const struct sl_cert *cert, struct sl_credentials *to)
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    uint8_t in_clear[SL_TENANT_LEN];
    struct sl_tenants tenants;
    int r = sl_tenants_read(ca->path, &tenants);
    if (r < 0)
        return r;
    memset(to->grant, 0, sizeof to->grant);
    memset(to->grant_line, 0, sizeof to->grant_line);
    to->n_grants = 0;
    sl_tenant_id(&crypto, cert->flock, SL_DEFAULT_TENANT, in_clear);
    for (size_t i = 0; i < cert->n_tenants && r == 0; i++) {
        if (memcmp(cert->tenants[i], in_clear, sizeof in_clear) != 0 && !is_listed_before(cert, i))
            r = grant_one(ca, cert, &tenants, cert->tenants[i], to);
    }
    sl_tenants_free(&tenants);
    return r;
}

static int raise_epoch(const struct sl_ca *ca, const char *flock, const char *tenant,
                       int64_t wall_s, int64_t use_after, struct sl_tenant_epoch *ret)
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    struct sl_tenants tenants;
    struct sl_rotated line;
    uint8_t of_flock[SL_FLOCK_LEN];
    int r = sl_tenants_read(ca->path, &tenants);
    if (r < 0)
        return r;
    r = sl_tenants_raise(&tenants, flock, tenant, wall_s, use_after, &line);
    if (r == 0)
        r = sl_tenants_write(ca->path, &tenants);
    if (r == 0) {
        *ret = (struct sl_tenant_epoch){.epoch = line.epoch, .use_after = line.use_after};
        sl_flock_id(&crypto, flock, of_flock);
        sl_tenant_id(&crypto, of_flock, tenant, ret->tenant);
    }
    sl_tenants_free(&tenants);
    return r;
}

int sl_ca_rotate_tenant(const struct sl_ca *ca, const char *flock, const char *tenant,
                        int64_t wall_s, int64_t after_s, struct sl_tenant_epoch *ret)
{
    if (!sl_name_ok(flock, strlen(flock)))
        return sl_fail(STARLING_EINVAL, "'%.64s' is no name of a flock", flock);
    if (!sl_name_ok(tenant, strlen(tenant)))
        return sl_fail(STARLING_EINVAL, "'%.64s' is no name of a tenant", tenant);
    if (strcmp(tenant, SL_DEFAULT_TENANT) == 0)
        return sl_fail(STARLING_EINVAL, "tenant 'default' is in clear and has no key");
    if (wall_s < 0 || after_s < 0 || after_s > INT64_MAX - wall_s)
        return sl_fail(STARLING_EINVAL, "there is no such time");
    int fd = sl_ca_lock(ca), r = fd;
    if (r >= 0)
        r = raise_epoch(ca, flock, tenant, wall_s, wall_s + after_s, ret);
    if (fd >= 0)
        close(fd);
    return r < 0 ? r : 0;
}
