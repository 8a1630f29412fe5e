/* ca.c: make an authority, issue certificates, renew them, rotate authorities and doors. Every step
 * of a rotation is one that nodes with the step before still understand, so that a flock goes
 * through it node by node: first everybody knows the new one, then it is used, then the old one
 * goes. */
#include "node/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/ca_parts.h"
#include "node/files.h"
#include "node/identity.h"
#include "node/settings.h"

static const char door_name_domain[] = "starling/1 door name"; /* hashed with its NUL */

void sl_authority_fingerprint(const uint8_t key[SL_KEY_LEN], char out[SL_FINGERPRINT_TEXT])
{
    uint8_t hash[16];
    crypto_generichash(hash, sizeof hash, key, SL_KEY_LEN, NULL, 0);
    sl_hex(out, hash, sizeof hash);
}

void sl_door_fingerprint(const uint8_t door[32], char out[SL_FINGERPRINT_TEXT])
{
    uint8_t hash[16], text[sizeof door_name_domain + 32];
    memcpy(text, door_name_domain, sizeof door_name_domain);
    memcpy(text + sizeof door_name_domain, door, 32);
    crypto_generichash(hash, sizeof hash, text, sizeof text, NULL, 0);
    sodium_memzero(text, sizeof text);
    sl_hex(out, hash, sizeof hash);
}

/* ---- files ------------------------------------------------------------------------------ */

int sl_ca_path(const char *config_dir, char out[PATH_MAX])
{
    struct sl_settings settings;
    const starling_options options = {.config_dir = config_dir};
    int r = sl_settings_load(&options, &settings);
    if (r < 0)
        return r;
    int n = snprintf(out, PATH_MAX, "%s/authority", settings.config_dir);
    if (n < 0 || n >= PATH_MAX)
        return sl_fail(STARLING_EIO, "the path %.64s... is too long", settings.config_dir);
    return 0;
}

int sl_ca_beside(const char *path, const char *suffix, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s.%s", path, suffix);
    if (n < 0 || n >= PATH_MAX)
        return sl_fail(STARLING_EIO, "the path %.64s... is too long", path);
    return 0;
}

/* The directory part, made where it is missing. */
static int make_dir_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return 0;
    sl_copy_text(dir, sizeof dir, path, (size_t)(slash - path));
    return sl_dir_make(dir);
}

int sl_ca_make(const char *path, bool with_dir, struct sl_ca *ret)
{
    uint8_t seed[32], door[32];
    char bundle[PATH_MAX];
    int r = sl_crypto_setup();
    if (r == 0)
        r = sl_authority_bundle_path(path, bundle);
    if (r == 0 && access(bundle, F_OK) == 0)
        return sl_fail(STARLING_EEXIST, "%s is there already: an authority had this name", bundle);
    if (r == 0 && with_dir)
        r = make_dir_of(path);
    if (r < 0)
        return r;
    sl_entropy(seed, sizeof seed);
    sl_entropy(door, sizeof door);
    r = sl_authority_create(path, seed, door);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(door, sizeof door);
    return r < 0 ? r : sl_ca_open(path, ret);
}

/* The secret of the authority that signs: in the first file, or in one that a rotation added. */
static int find_signer(struct sl_ca *ca, const struct sl_authority *first)
{
    const uint8_t *key = ca->bundle.authority[0];
    if (memcmp(first->signer.public_key, key, SL_KEY_LEN) == 0) {
        ca->signer = first->signer;
        return 0;
    }
    char fingerprint[SL_FINGERPRINT_TEXT], path[PATH_MAX];
    struct sl_authority other;
    sl_authority_fingerprint(key, fingerprint);
    int r = sl_ca_beside(ca->path, fingerprint, path);
    if (r == 0)
        r = sl_authority_read(path, &other);
    if (r == STARLING_ENOENT)
        return sl_fail(
            STARLING_EAUTH,
            "the bundle of %s says that authority %s signs, and its file %s is not there", ca->path,
            fingerprint, path);
    if (r < 0)
        return r;
    if (memcmp(other.signer.public_key, key, SL_KEY_LEN) == 0)
        ca->signer = other.signer;
    else
        r = sl_fail(STARLING_EAUTH, "%s is another authority than its name says", path);
    sl_authority_fini(&other);
    return r;
}

int sl_ca_open(const char *path, struct sl_ca *ret)
{
    struct sl_ca ca;
    struct sl_authority first;
    char bundle[PATH_MAX];
    memset(&ca, 0, sizeof ca);
    int r = sl_crypto_setup();
    if (r == 0)
        r = sl_authority_bundle_path(path, bundle);
    if (r == 0)
        r = sl_authority_read(path, &first);
    if (r == STARLING_ENOENT && access(bundle, F_OK) == 0)
        r = sl_fail(STARLING_EAUTH,
                    "%s is gone, and %s says that there was one: put it back from a backup; "
                    "without it there are no keys of tenants, even when another signs by now",
                    path, bundle);
    if (r < 0)
        return r;
    sl_copy_text(ca.path, sizeof ca.path, path, strlen(path));
    r = sl_bundle_read(bundle, &ca.bundle);
    if (r == STARLING_ENOENT) {
        memcpy(ca.bundle.authority[0], first.signer.public_key, SL_KEY_LEN);
        memcpy(ca.bundle.door[0], first.door, sizeof first.door);
        ca.bundle.n_authorities = ca.bundle.n_doors = 1;
        r = 0;
    }
    memcpy(ca.first_seed, first.signer.seed, sizeof ca.first_seed);
    if (r == 0)
        r = find_signer(&ca, &first);
    if (r == 0)
        *ret = ca;
    sl_authority_fini(&first);
    sl_ca_fini(&ca);
    return r;
}

void sl_ca_fini(struct sl_ca *ca)
{
    if (ca != NULL)
        sodium_memzero(ca, sizeof *ca);
}

/* ---- certificates ----------------------------------------------------------------------- */

static void take_bundle(const struct sl_ca *ca, struct sl_credentials *to)
{
    memcpy(to->authority, ca->bundle.authority, sizeof to->authority);
    to->n_authorities = ca->bundle.n_authorities;
    memcpy(to->door, ca->bundle.door, sizeof to->door);
    to->n_doors = ca->bundle.n_doors;
}

/* A key of a state directory (STATE/node.key), or that of other credentials. */
static int node_key(const char *path, uint8_t seed[32])
{
    struct sl_credentials given;
    if (path == NULL) {
        sl_entropy(seed, 32);
        return 0;
    }
    int r = sl_node_key_read(path, seed);
    if (r != STARLING_EAUTH || sl_credentials_read(path, &given) < 0)
        return r == STARLING_EAUTH ? sl_fail(r, "%s is neither a node's key nor credentials", path)
                                   : r;
    memcpy(seed, given.seed, 32);
    sl_credentials_fini(&given);
    return 0;
}

static int take_names(const struct sl_ca_order *order, const struct sl_crypto *crypto,
                      struct sl_credentials *to, struct sl_cert *cert)
{
    if (!sl_name_ok(order->flock, strlen(order->flock)))
        return sl_fail(STARLING_EINVAL, "'%.64s' is no name of a flock", order->flock);
    if (!sl_name_ok(order->name, strlen(order->name)))
        return sl_fail(STARLING_EINVAL, "'%.64s' is no name of a node", order->name);
    if (order->not_before < 0 || order->not_after <= order->not_before)
        return sl_fail(STARLING_EINVAL, "the certificate would end before it begins");
    sl_copy_text(to->flock, sizeof to->flock, order->flock, strlen(order->flock));
    sl_flock_id(crypto, order->flock, cert->flock);
    sl_copy_text(cert->name, sizeof cert->name, order->name, strlen(order->name));
    /* An empty list would be all tenants, as in the certificates that nodes issue themselves. */
    const bool none = order->n_tenants == 0;
    to->n_tenants = cert->n_tenants = none ? 1 : order->n_tenants;
    for (size_t i = 0; i < cert->n_tenants; i++) {
        const char *tenant = none ? SL_DEFAULT_TENANT : order->tenants[i];
        if (!sl_name_ok(tenant, strlen(tenant)))
            return sl_fail(STARLING_EINVAL, "'%.64s' is no name of a tenant", tenant);
        sl_copy_text(to->tenant[i], sizeof to->tenant[i], tenant, strlen(tenant));
        sl_tenant_id(crypto, cert->flock, tenant, cert->tenants[i]);
    }
    for (size_t i = 0; i < order->n_patterns; i++) {
        const char *pattern = order->patterns[i];
        if (strlen(pattern) > SL_NAME_LEN_MAX)
            return sl_fail(STARLING_EINVAL, "the pattern '%.64s...' is too long", pattern);
        sl_copy_text(cert->patterns[i], sizeof cert->patterns[i], pattern, strlen(pattern));
    }
    cert->n_patterns = order->n_patterns;
    return 0;
}

/* Fresh serial, signed by who signs now, and the keys of its tenants as they are now. */
static int sign(const struct sl_ca *ca, struct sl_cert *cert, struct sl_credentials *to)
{
    struct sl_signer signer = ca->signer;
    const struct sl_crypto crypto = sl_crypto_port(&signer);
    sl_issuer_id(&crypto, signer.public_key, cert->issuer);
    sl_entropy(cert->serial, sizeof cert->serial);
    to->cert_len = sl_cert_sign(&crypto, cert, to->cert);
    sl_signer_fini(&signer);
    if (to->cert_len == 0)
        return sl_fail(STARLING_EINVAL,
                       "no certificate can be made of this: a pattern has other characters than "
                       "a-z 0-9 . _ - *, or all together is longer than %d bytes",
                       SL_CERT_MAX);
    take_bundle(ca, to);
    return sl_ca_grant(ca, cert, to);
}

int sl_ca_issue(const struct sl_ca *ca, const struct sl_ca_order *order, struct sl_credentials *ret)
{
    struct sl_credentials made;
    struct sl_cert cert;
    struct sl_signer node;
    memset(&made, 0, sizeof made);
    memset(&cert, 0, sizeof cert);
    memset(&node, 0, sizeof node);
    const struct sl_crypto crypto = sl_crypto_port(&node);
    if (order->n_tenants > SL_CERT_TENANTS_MAX || order->n_patterns > SL_CERT_PATTERNS_MAX)
        return sl_fail(STARLING_EINVAL, "a certificate lists up to %d tenants and %d patterns",
                       SL_CERT_TENANTS_MAX, SL_CERT_PATTERNS_MAX);
    int r = take_names(order, &crypto, &made, &cert);
    if (r == 0)
        r = node_key(order->key_file, made.seed);
    if (r == 0) {
        sl_signer_from_seed(&node, made.seed);
        memcpy(cert.key, node.public_key, sizeof cert.key);
        cert.not_before = order->not_before;
        cert.not_after = order->not_after;
        r = sign(ca, &cert, &made);
    }
    if (r == 0)
        *ret = made;
    sl_signer_fini(&node);
    sl_credentials_fini(&made);
    return r;
}

int sl_ca_renew(const struct sl_ca *ca, int64_t wall_s, int64_t life_s,
                struct sl_credentials *credentials)
{
    struct sl_signer node;
    struct sl_cert cert;
    sl_signer_from_seed(&node, credentials->seed);
    const struct sl_crypto crypto = sl_crypto_port(&node);
    int r = 0;
    if (!sl_cert_decode(&crypto, sl_span_of(credentials->cert, credentials->cert_len), &cert))
        r = sl_fail(STARLING_EAUTH, "the certificate is damaged");
    else if (memcmp(cert.key, node.public_key, SL_KEY_LEN) != 0)
        r = sl_fail(STARLING_EAUTH, "the key is not the one in the certificate of '%s'", cert.name);
    if (r == 0) {
        int64_t life = life_s > 0 ? life_s : cert.not_after - cert.not_before;
        cert.not_before = wall_s;
        cert.not_after = life > INT64_MAX - wall_s ? INT64_MAX : wall_s + life;
        r = sign(ca, &cert, credentials);
    }
    sl_signer_fini(&node);
    return r;
}

void sl_ca_title(const struct sl_credentials *credentials, char *out, size_t cap)
{
    struct sl_signer none;
    struct sl_cert cert;
    memset(&none, 0, sizeof none);
    const struct sl_crypto crypto = sl_crypto_port(&none);
    if (credentials->cert_len == 0)
        (void)snprintf(out, cap,
                       "Starling: the authorities and doors of a flock (starling ca show)");
    else if (sl_cert_decode(&crypto, sl_span_of(credentials->cert, credentials->cert_len), &cert))
        (void)snprintf(out, cap, "Starling: credentials of node %s (starling ca show)", cert.name);
    else
        (void)snprintf(out, cap, "Starling: credentials (starling ca show)");
}

/* ---- one at a time ---------------------------------------------------------------------- */

/* Of two rotations, or two revocations, at once the later one would undo the other. Held until the
 * descriptor is closed, so that a killed command leaves none behind; nodes do not look at it. */
int sl_ca_lock(const struct sl_ca *ca)
{
    int fd = open(ca->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int r = fd;
    while (fd >= 0 && (r = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
        ;
    if (r >= 0)
        return fd;
    r = sl_fail(STARLING_EIO, "cannot lock %s: %s", ca->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return r;
}

/* Read again what is there now. */
static int reopen(struct sl_ca *ca)
{
    struct sl_ca now;
    int r = sl_ca_open(ca->path, &now);
    if (r < 0)
        return r;
    *ca = now;
    sl_ca_fini(&now);
    return 0;
}

/* ---- rotation --------------------------------------------------------------------------- */

static int write_bundle(const struct sl_ca *ca)
{
    char path[PATH_MAX], title[128];
    int r = sl_authority_bundle_path(ca->path, path);
    if (r < 0)
        return r;
    sl_ca_title(&ca->bundle, title, sizeof title);
    return sl_credentials_write(path, &ca->bundle, title, true);
}

static int add_authority(struct sl_ca *ca)
{
    uint8_t seed[32];
    char fingerprint[SL_FINGERPRINT_TEXT], path[PATH_MAX];
    struct sl_signer fresh;
    sl_entropy(seed, sizeof seed);
    sl_signer_from_seed(&fresh, seed);
    sl_authority_fingerprint(fresh.public_key, fingerprint);
    int r = sl_ca_beside(ca->path, fingerprint, path);
    /* Its secret before anybody is told to trust it. */
    if (r == 0)
        r = sl_authority_create(path, seed, ca->bundle.door[0]);
    if (r == 0)
        memcpy(ca->bundle.authority[ca->bundle.n_authorities++], fresh.public_key, SL_KEY_LEN);
    sl_signer_fini(&fresh);
    sodium_memzero(seed, sizeof seed);
    return r;
}

/* The last of n keys to the front. */
static void to_front(uint8_t (*keys)[32], size_t n)
{
    uint8_t last[32];
    memcpy(last, keys[n - 1], sizeof last);
    memmove(keys[1], keys[0], (n - 1) * sizeof last);
    memcpy(keys[0], last, sizeof last);
    sodium_memzero(last, sizeof last);
}

static int take_step(struct sl_ca *ca, bool door, enum sl_ca_step step)
{
    uint8_t(*keys)[32] = door ? ca->bundle.door : ca->bundle.authority;
    size_t *n = door ? &ca->bundle.n_doors : &ca->bundle.n_authorities;
    const size_t most = door ? SL_DOORS_MAX : SL_AUTHORITIES_MAX;
    const char *what = door ? "door" : "authority";
    switch (step) {
    case SL_CA_ADD:
        if (*n == most)
            return sl_fail(STARLING_EINVAL,
                           "the bundle has %zu of the kind '%s', and no more fit in", most, what);
        if (!door)
            return add_authority(ca);
        sl_entropy(keys[(*n)++], 32);
        return 0;
    case SL_CA_SWAP:
        if (*n < 2)
            return sl_fail(STARLING_EINVAL, "there is one %s only: add another first", what);
        to_front(keys, *n);
        return 0;
    case SL_CA_RETIRE:
        if (*n < 2)
            return sl_fail(STARLING_EINVAL, "there is one %s only, and it cannot go", what);
        sodium_memzero(keys[--*n], 32);
        return 0;
    }
    return STARLING_EINVAL;
}

static int rotate(struct sl_ca *ca, bool door, enum sl_ca_step step,
                  char ret_moved[SL_FINGERPRINT_TEXT])
{
    void (*name)(const uint8_t *, char *) = door ? sl_door_fingerprint : sl_authority_fingerprint;
    uint8_t(*keys)[32] = door ? ca->bundle.door : ca->bundle.authority;
    size_t *n = door ? &ca->bundle.n_doors : &ca->bundle.n_authorities;
    if (step == SL_CA_RETIRE)
        name(keys[*n - 1], ret_moved);
    int r = take_step(ca, door, step);
    if (r == 0)
        r = write_bundle(ca);
    if (r == 0 && step != SL_CA_RETIRE)
        name(keys[step == SL_CA_ADD ? *n - 1 : 0], ret_moved);
    return r;
}

int sl_ca_rotate(struct sl_ca *ca, bool door, enum sl_ca_step step,
                 char ret_moved[SL_FINGERPRINT_TEXT])
{
    struct sl_ca next = *ca;
    int fd = sl_ca_lock(ca), r = fd;
    if (r >= 0)
        r = reopen(&next);
    if (r >= 0)
        r = rotate(&next, door, step, ret_moved);
    if (r >= 0)
        r = reopen(ca); /* who signs may have changed */
    sl_ca_fini(&next);
    if (fd >= 0)
        close(fd);
    return r < 0 ? r : 0;
}

/* ---- revocation ------------------------------------------------------------------------- */

/* Signed by who signs now. */
static int add_revocation(const struct sl_ca *ca, const struct sl_revocation *what,
                          struct sl_revoked *list)
{
    uint8_t entry[SL_REVOCATION_LEN];
    struct sl_signer signer = ca->signer;
    const struct sl_crypto crypto = sl_crypto_port(&signer);
    sl_revocation_sign(&crypto, signer.public_key, what, entry);
    int r = sl_revoked_insert(list, &sl_alloc_system, &crypto, entry);
    sl_signer_fini(&signer);
    if (r == STARLING_EEXIST)
        return sl_fail(r, "it is in the list already");
    if (r == STARLING_ELIMIT)
        return sl_fail(r, "the list has %d entries, and no more fit in", SL_REVOKED_MAX);
    return r < 0 ? sl_fail(r, "out of memory for a list of %zu", list->n + 1) : 0;
}

int sl_ca_revoke(const struct sl_ca *ca, const struct sl_revocation *what)
{
    char path[PATH_MAX];
    struct sl_revoked list = {.n = 0};
    int fd = sl_ca_lock(ca), r = fd;
    if (r >= 0)
        r = sl_ca_beside(ca->path, "revoked", path);
    if (r >= 0)
        r = sl_revoked_file_read(path, &list);
    if (r == STARLING_ENOENT)
        r = 0;
    if (r >= 0)
        r = add_revocation(ca, what, &list);
    if (r >= 0)
        r = sl_revoked_file_write(path, sl_span_of(list.entries, list.n * SL_REVOCATION_LEN));
    sl_revoked_free(&list, &sl_alloc_system);
    if (fd >= 0)
        close(fd);
    return r < 0 ? r : 0;
}
