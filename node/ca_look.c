/* ca_look.c: say what a file of the authority is: the authority itself, a bundle, credentials, a
 * node's key, a list of revoked certificates. Secrets are wiped before anything is handed out. */
#include <sodium.h>
#include <starling.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/ca.h"
#include "node/files.h"
#include "node/identity.h"

#define MAGIC_LEN 16

static void name_all(struct sl_ca_shown *s)
{
    for (size_t i = 0; i < s->held.n_authorities; i++)
        sl_authority_fingerprint(s->held.authority[i], s->authority[i]);
    for (size_t i = 0; i < s->held.n_doors; i++)
        sl_door_fingerprint(s->held.door[i], s->door[i]);
    sodium_memzero(s->held.door, sizeof s->held.door);
    sodium_memzero(s->held.seed, sizeof s->held.seed);
}

static int look_at_authority(const char *path, struct sl_ca_shown *s)
{
    struct sl_ca ca;
    int r = sl_ca_open(path, &ca);
    if (r < 0)
        return r;
    s->kind = SL_CA_AUTHORITY;
    s->held = ca.bundle;
    sl_ca_fini(&ca);
    return sl_tenants_read(path, &s->tenants);
}

static int look_at_node_key(const char *path, struct sl_ca_shown *s)
{
    uint8_t seed[32];
    struct sl_signer signer;
    int r = sl_node_key_read(path, seed);
    if (r < 0)
        return r;
    sl_signer_from_seed(&signer, seed);
    const struct sl_crypto crypto = sl_crypto_port(&signer);
    s->kind = SL_CA_NODE_KEY;
    sl_node_id(&crypto, signer.public_key, &s->id);
    sl_hex(s->key, signer.public_key, SL_KEY_LEN);
    sl_signer_fini(&signer);
    sodium_memzero(seed, sizeof seed);
    return 0;
}

/* What the grants say, and whether this node would take them. */
static void read_grants(struct sl_ca_shown *s, const struct sl_bundle *bundle,
                        const struct sl_signer *node)
{
    uint8_t key[32];
    for (size_t i = 0; i < s->held.n_grants; i++) {
        struct sl_ca_granted *g = &s->grant[i];
        struct sl_grant said;
        sl_grant_read(s->held.grant[i], &said);
        g->what = said.what;
        sl_hex(g->tenant, said.what.tenant, SL_TENANT_LEN);
        g->sound = sl_id_eq(&said.node, &s->cert.id) && sl_grant_check(bundle, s->held.grant[i]) &&
                   sl_grant_open(s->held.grant[i], node, key);
    }
    sodium_memzero(key, sizeof key);
}

/* Who signed it, and whether it belongs to the key beside it. */
static int judge_certificate(const char *path, struct sl_ca_shown *s)
{
    struct sl_signer signer;
    struct sl_bundle bundle;
    struct sl_cert checked;
    uint8_t issuer[8];
    const struct sl_span bytes = sl_span_of(s->held.cert, s->held.cert_len);
    sl_signer_from_seed(&signer, s->held.seed);
    const struct sl_crypto crypto = sl_crypto_port(&signer);
    memset(&bundle, 0, sizeof bundle);
    int r = sl_cert_decode(&crypto, bytes, &s->cert)
                ? 0
                : sl_fail(STARLING_EAUTH, "%s: the certificate is damaged", path);
    if (r == 0) {
        memcpy(bundle.authority, s->held.authority, sizeof bundle.authority);
        memcpy(bundle.flock, s->cert.flock, sizeof bundle.flock);
        bundle.n_authorities = s->held.n_authorities;
        s->issuer = SL_AUTHORITIES_MAX;
        for (size_t i = 0; i < s->held.n_authorities; i++) {
            sl_issuer_id(&crypto, s->held.authority[i], issuer);
            if (memcmp(issuer, s->cert.issuer, sizeof issuer) == 0)
                s->issuer = i;
        }
        s->sound = sl_cert_check(&crypto, &bundle, bytes, &checked) &&
                   memcmp(s->cert.key, signer.public_key, SL_KEY_LEN) == 0;
        sl_hex(s->key, s->cert.key, SL_KEY_LEN);
        read_grants(s, &bundle, &signer);
        s->kind = SL_CA_CREDENTIALS;
    }
    sl_signer_fini(&signer);
    return r;
}

/* The certificate knows its flock and tenants by hashes; the names beside it must fit. */
static int name_tenants(const char *path, struct sl_ca_shown *s)
{
    struct sl_signer none;
    uint8_t hash[16];
    memset(&none, 0, sizeof none);
    const struct sl_crypto crypto = sl_crypto_port(&none);
    for (size_t i = 0; i < s->cert.n_tenants; i++)
        sl_hex(s->tenant[i], s->cert.tenants[i], sizeof s->cert.tenants[i]);
    if (s->held.flock[0] == '\0')
        return 0;
    sl_flock_id(&crypto, s->held.flock, hash);
    if (memcmp(hash, s->cert.flock, sizeof hash) != 0)
        return sl_fail(STARLING_EAUTH, "%s: the certificate is not for the flock '%s'", path,
                       s->held.flock);
    for (size_t k = 0; k < s->held.n_tenants; k++) {
        sl_tenant_id(&crypto, s->cert.flock, s->held.tenant[k], hash);
        for (size_t i = 0; i < s->cert.n_tenants; i++) {
            if (memcmp(hash, s->cert.tenants[i], sizeof s->cert.tenants[i]) == 0)
                memcpy(s->tenant[i], s->held.tenant[k], sizeof s->tenant[i]);
        }
        for (size_t i = 0; i < s->held.n_grants; i++) {
            if (memcmp(hash, s->grant[i].what.tenant, SL_TENANT_LEN) == 0)
                memcpy(s->grant[i].tenant, s->held.tenant[k], sizeof s->grant[i].tenant);
        }
    }
    return 0;
}

static bool has_line(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, key, len) == 0 && strspn(p + len, " \t=") > 0)
            return true;
    }
    return false;
}

static int look_at_text(const char *path, const char *text, struct sl_ca_shown *s)
{
    if (!has_line(text, "authority"))
        return sl_fail(STARLING_EAUTH,
                       "%s is no authority, bundle, credentials, node key or list of revoked "
                       "certificates, or it is damaged",
                       path);
    if (has_line(text, "certificate") || has_line(text, "key")) {
        int r = sl_credentials_read(path, &s->held);
        if (r == 0)
            r = judge_certificate(path, s);
        return r < 0 ? r : name_tenants(path, s);
    }
    int r = sl_bundle_read(path, &s->held);
    s->kind = SL_CA_BUNDLE;
    return r;
}

int sl_ca_look(const char *path, struct sl_ca_shown *ret)
{
    /* What a kind has in front; what follows is checked by its own reader. */
    static const struct {
        char magic[MAGIC_LEN];
        int (*look)(const char *path, struct sl_ca_shown *s);
    } kinds[] = {{"starling/1 auth", look_at_authority}, {"starling/1 node", look_at_node_key}};
    struct sl_ca_shown shown;
    char text[SL_CREDENTIALS_FILE_MAX + 1];
    memset(&shown, 0, sizeof shown);
    int r = sl_crypto_setup();
    if (r < 0)
        return r;
    ssize_t n = sl_file_read_given(path, text, sizeof text - 1);
    if (n < 0 && n != STARLING_ELIMIT)
        return (int)n;
    size_t len = n < 0 ? sizeof text - 1 : (size_t)n;
    text[len] = '\0';
    r = 1;
    for (size_t i = 0; i < SL_COUNT(kinds) && r == 1; i++) {
        if (len >= MAGIC_LEN && memcmp(text, kinds[i].magic, MAGIC_LEN) == 0)
            r = kinds[i].look(path, &shown);
    }
    if (r == 1 && len >= MAGIC_LEN && memcmp(text, "starling/1 revo", MAGIC_LEN) == 0) {
        shown.kind = SL_CA_REVOKED;
        r = sl_revoked_file_read(path, &shown.revoked);
    }
    if (r == 1)
        r = look_at_text(path, text, &shown);
    sodium_memzero(text, sizeof text);
    name_all(&shown);
    if (r == 0)
        *ret = shown;
    else
        sl_ca_shown_fini(&shown);
    return r;
}

void sl_ca_shown_fini(struct sl_ca_shown *shown)
{
    if (shown == NULL)
        return;
    sl_revoked_free(&shown->revoked, &sl_alloc_system);
    sl_tenants_free(&shown->tenants);
    sodium_memzero(shown, sizeof *shown);
}
