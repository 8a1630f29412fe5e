/* identity.c: put together who this node is: a bundle, a key, a certificate, and the two CURVE
 * pairs. Where they come from differs (the user's own authority, or a credentials file); what is
 * checked at the end does not: the certificate must verify against the bundle and be about our
 * key. */
#include "node/identity.h"

#include <limits.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/ca.h"
#include "node/files.h"
#include "node/rights.h"
#include "node/tenants.h"

static const char door_domain[] = "starling/1 door"; /* hashed with its NUL */
static const char key_magic[16] = "starling/1 node";

/* The CURVE pair of a listening side. From the door, not from the authority's key, which is
 * public knowledge among those it must keep out and would change the door whenever it is
 * rotated. */
static int derive_door(const uint8_t door[32], const uint8_t flock[SL_FLOCK_LEN],
                       uint8_t ret_secret[32], uint8_t ret_public[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, door, 32, 32);
    crypto_generichash_update(&state, (const uint8_t *)door_domain, sizeof door_domain);
    crypto_generichash_update(&state, flock, SL_FLOCK_LEN);
    crypto_generichash_final(&state, ret_secret, 32);
    sodium_memzero(&state, sizeof state);
    if (crypto_scalarmult_base(ret_public, ret_secret) != 0)
        return sl_fail(STARLING_EIO, "libsodium could not derive the door's key");
    return 0;
}

/* Whom to trust and where to knock. We listen on the first door; of the second, which others may
 * listen on while doors are rotated, the public half is enough. */
static int take_bundle(const struct sl_credentials *from, struct sl_identity *identity)
{
    struct sl_bundle *bundle = &identity->bundle;
    memcpy(bundle->authority, from->authority, sizeof bundle->authority);
    bundle->n_authorities = from->n_authorities;
    int r = derive_door(from->door[0], bundle->flock, identity->door_secret, bundle->door_public);
    bundle->two_doors = from->n_doors > 1;
    if (r == 0 && bundle->two_doors) {
        uint8_t secret[32];
        r = derive_door(from->door[1], bundle->flock, secret, bundle->second_door_public);
        sodium_memzero(secret, sizeof secret);
    }
    return r;
}

int sl_node_key_read(const char *path, uint8_t seed[32])
{
    return sl_secret_read(path, key_magic, seed, 32);
}

static int key_path(const char *state_dir, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/node.key", state_dir);
    if (n < 0 || n >= PATH_MAX)
        return sl_fail(STARLING_EIO, "the path %.64s... is too long", state_dir);
    return 0;
}

/* The node's own key: from the state directory (made there on first use), or new and for this
 * process. */
static int own_key(const char *state_dir, struct sl_identity *identity)
{
    uint8_t seed[32];
    int r = 0;
    if (state_dir == NULL) {
        sl_entropy(seed, sizeof seed);
    } else {
        char path[PATH_MAX];
        r = key_path(state_dir, path);
        if (r < 0)
            return r;
        r = sl_node_key_read(path, seed);
        if (r == STARLING_ENOENT) {
            sl_entropy(seed, sizeof seed);
            r = sl_dir_make(state_dir);
            if (r == 0)
                r = sl_secret_make(path, key_magic, seed, sizeof seed);
            if (r == 0) /* another may have been faster: what is there counts */
                r = sl_node_key_read(path, seed);
            if (r == STARLING_ENOENT)
                r = sl_fail(STARLING_EIO, "%s was removed while it was made", path);
        }
    }
    if (r == 0) {
        sl_signer_from_seed(&identity->signer, seed);
        identity->lasting = state_dir != NULL;
    }
    sodium_memzero(seed, sizeof seed);
    return r;
}

/* Issue ourselves a certificate, without limits: who holds the authority can issue any other as
 * well. From a day before now for ten years: nodes of one user on hosts whose clocks differ, or on
 * one whose clock is set right after the start, must not turn each other away, and a certificate
 * that lives no longer than the process protects nobody by ending early. */
static int issue(const struct sl_ca *ca, const struct sl_identity_options *options,
                 struct sl_identity *identity)
{
    const int64_t day_s = 86400;
    struct sl_cert cert;
    struct sl_signer signer = ca->signer;
    const struct sl_crypto crypto = sl_crypto_port(&signer);
    memset(&cert, 0, sizeof cert);
    sl_issuer_id(&crypto, signer.public_key, cert.issuer);
    sl_entropy(cert.serial, sizeof cert.serial);
    memcpy(cert.flock, identity->bundle.flock, sizeof cert.flock);
    memcpy(cert.key, identity->signer.public_key, sizeof cert.key);
    cert.not_before = options->wall_s > day_s ? options->wall_s - day_s : 0;
    cert.not_after = cert.not_before + 3653 * day_s;
    sl_copy_text(cert.name, sizeof cert.name, options->name, strlen(options->name));
    identity->cert_len = sl_cert_sign(&crypto, &cert, identity->cert);
    sl_signer_fini(&signer);
    if (identity->cert_len == 0)
        return sl_fail(STARLING_EINVAL, "no certificate can be made for the name '%.64s'",
                       options->name);
    return 0;
}

static void keep_key(const struct sl_identity *held, struct sl_identity *identity)
{
    identity->signer = held->signer;
    identity->lasting = held->lasting;
}

static void keep_cert(const struct sl_identity *held, struct sl_identity *identity)
{
    memcpy(identity->cert, held->cert, sizeof identity->cert);
    identity->cert_len = held->cert_len;
}

static bool same_cert(const struct sl_identity *a, const struct sl_identity *b)
{
    return a->cert_len == b->cert_len && memcmp(a->cert, b->cert, a->cert_len) == 0;
}

static bool same_bundle(const struct sl_bundle *a, const struct sl_bundle *b)
{
    return a->n_authorities == b->n_authorities && a->two_doors == b->two_doors &&
           memcmp(a->authority, b->authority, a->n_authorities * sizeof a->authority[0]) == 0 &&
           memcmp(a->door_public, b->door_public, SL_KEY_LEN) == 0 &&
           memcmp(a->second_door_public, b->second_door_public, SL_KEY_LEN) == 0;
}

static bool same_keys(const struct sl_keyring *a, const struct sl_keyring *b)
{
    if (a->has_all != b->has_all || a->n_epochs != b->n_epochs ||
        sodium_memcmp(a->root, b->root, sizeof a->root) != 0)
        return false;
    for (size_t i = 0; i < a->n_epochs; i++) {
        const struct sl_tenant_epoch *x = &a->epochs[i], *y = &b->epochs[i];
        if (x->epoch != y->epoch || x->use_after != y->use_after ||
            memcmp(x->tenant, y->tenant, sizeof x->tenant) != 0 ||
            (!a->has_all && sodium_memcmp(a->key[i], b->key[i], sizeof a->key[i]) != 0))
            return false;
    }
    return true;
}

bool sl_identity_same(const struct sl_identity *a, const struct sl_identity *b)
{
    return same_cert(a, b) && same_bundle(&a->bundle, &b->bundle) &&
           same_keys(&a->keyring, &b->keyring);
}

/* "is valid from 2026-01-31T12:00:00Z on" and the like. */
static int refuse_time(const char *file, const struct sl_cert *cert, int64_t wall_s)
{
    char when[SL_TIME_TEXT];
    bool early = wall_s < cert->not_before;
    sl_time_text(early ? cert->not_before : cert->not_after, when);
    return sl_fail(STARLING_EAUTH,
                   "%s: by this host's clock the certificate of '%s' %s%s; have a new one issued, "
                   "or set the clock",
                   file, cert->name, early ? "is not valid yet, but from " : "has expired, on ",
                   when);
}

/* What a node that runs does not take in the place of what it has. The same certificate with another
 * bundle is taken whatever its time. */
static int check_follows(const char *file, const struct sl_identity *held,
                         const struct sl_identity *next, const struct sl_cert *cert, int64_t wall_s)
{
    if (memcmp(cert->key, held->signer.public_key, SL_KEY_LEN) != 0)
        return sl_fail(STARLING_EAUTH,
                       "%s: the key is another one: start the node anew to become another node",
                       file);
    if (strcmp(cert->name, held->name) != 0)
        return sl_fail(STARLING_EAUTH,
                       "%s: the name is '%s' now: start the node anew to be called that", file,
                       cert->name);
    if (same_cert(next, held))
        return 0;
    if (!sl_cert_valid_at(cert, wall_s))
        return refuse_time(file, cert, wall_s);
    if (cert->not_before < held->not_before)
        return sl_fail(STARLING_EAUTH, "%s: the certificate of '%s' is older than the one in use",
                       file, cert->name);
    return 0;
}

/* What any peer would refuse at the hello is a sentence here. */
static int check(const struct sl_identity_options *options, struct sl_identity *identity,
                 struct sl_cert *ret_cert)
{
    const struct sl_crypto crypto = sl_crypto_port(&identity->signer);
    const struct sl_span bytes = sl_span_of(identity->cert, identity->cert_len);
    const char *file = options->credentials != NULL ? options->credentials : "the certificate";
    struct sl_cert cert;
    if (!sl_cert_decode(&crypto, bytes, &cert))
        return sl_fail(STARLING_EAUTH, "%s: the certificate is damaged", file);
    if (memcmp(cert.flock, identity->bundle.flock, SL_FLOCK_LEN) != 0)
        return sl_fail(STARLING_EAUTH,
                       "%s: the certificate of '%s' is for another flock than '%s'%s%s", file,
                       cert.name, options->flock, identity->said_flock[0] != '\0' ? ": " : "",
                       identity->said_flock);
    if (!sl_cert_check(&crypto, &identity->bundle, bytes, &cert))
        return sl_fail(STARLING_EAUTH,
                       "%s: the certificate of '%s' is not signed by an authority of the same file",
                       file, cert.name);
    if (memcmp(cert.key, identity->signer.public_key, SL_KEY_LEN) != 0)
        return sl_fail(STARLING_EAUTH, "%s: the key is not the one in the certificate of '%s'",
                       file, cert.name);
    /* At a start it may have ended: others whose own has ended as well let it in, for a day. */
    int r = options->held != NULL
                ? check_follows(file, options->held, identity, &cert, options->wall_s)
            : sl_cert_lately_valid_at(&cert, options->wall_s)
                ? 0
                : refuse_time(file, &cert, options->wall_s);
    if (r < 0)
        return r;
    identity->not_before = cert.not_before;
    identity->not_after = cert.not_after;
    memcpy(identity->name, cert.name, sizeof identity->name);
    identity->id = cert.id;
    *ret_cert = cert;
    return 0;
}

/* ---- tenants ----------------------------------------------------------------------------- */

/* All of them: who holds the authority can issue itself whatever it likes. */
static int take_all_tenants(const char *authority, const struct sl_ca *ca,
                            struct sl_identity *identity)
{
    struct sl_tenants tenants;
    int r = sl_tenants_read(authority, &tenants);
    if (r < 0)
        return r;
    sl_keyring_take_seed(&identity->keyring, ca->first_seed);
    r = sl_tenants_into(&tenants, &identity->keyring);
    sl_tenants_free(&tenants);
    return r;
}

/* Put one key on the ring, or say what is wrong with its grant. */
static const char *take_grant(const uint8_t grant[SL_GRANT_LEN], const struct sl_cert *cert,
                              struct sl_identity *identity)
{
    struct sl_grant said;
    uint8_t key[32];
    if (!sl_grant_check(&identity->bundle, grant))
        return "is not signed by an authority of the same file for this flock";
    sl_grant_read(grant, &said);
    if (!sl_id_eq(&said.node, &identity->id))
        return "is for another node";
    if (!sl_cert_has_tenant(cert, said.what.tenant))
        return "is for a tenant that the certificate does not list";
    if (!sl_grant_open(grant, &identity->signer, key))
        return "does not open with the key of this node";
    int r = sl_keyring_add(&identity->keyring, &said.what, key);
    sodium_memzero(key, sizeof key);
    return r == 0                 ? NULL
           : r == STARLING_EEXIST ? "is there twice"
           : r == STARLING_ELIMIT ? "is the third of one tenant"
                                  : "has no sense";
}

static int take_grants(const char *file, const struct sl_credentials *given,
                       const struct sl_cert *cert, struct sl_identity *identity)
{
    for (size_t i = 0; i < given->n_grants; i++) {
        const char *wrong = take_grant(given->grant[i], cert, identity);
        if (wrong != NULL)
            return sl_fail(STARLING_EAUTH, "%s, line %u: the grant %s; have a new file issued",
                           file, given->grant_line[i], wrong);
    }
    return 0;
}

/* ---- from where --------------------------------------------------------------------------- */

static int from_authority(const struct sl_identity_options *options, struct sl_identity *identity)
{
    struct sl_authority authority;
    struct sl_ca ca;
    struct sl_cert cert;
    char path[PATH_MAX];
    int r = sl_authority_load(options->config_dir, options->runtime_dir, &authority, path);
    if (r < 0)
        return r;
    sl_authority_fini(&authority);
    r = sl_ca_open(path, &ca); /* with what rotation has made of it */
    if (r < 0)
        return r == STARLING_ENOENT ? STARLING_EIO : r;
    memcpy(identity->authority, path, sizeof path);
    r = take_bundle(&ca.bundle, identity);
    if (r == 0 && options->held != NULL)
        keep_key(options->held, identity);
    else if (r == 0)
        r = own_key(options->state_dir, identity);
    if (r == 0 && options->held != NULL && same_bundle(&identity->bundle, &options->held->bundle))
        keep_cert(options->held, identity);
    else if (r == 0)
        r = issue(&ca, options, identity);
    if (r == 0)
        r = check(options, identity, &cert);
    if (r == 0)
        r = take_all_tenants(path, &ca, identity);
    sl_ca_fini(&ca);
    return r;
}

static int from_credentials(const struct sl_identity_options *options, struct sl_identity *identity)
{
    struct sl_credentials given;
    struct sl_cert cert;
    int r = sl_credentials_read(options->credentials, &given);
    if (r < 0)
        return r;
    memcpy(identity->cert, given.cert, given.cert_len);
    identity->cert_len = given.cert_len;
    sl_copy_text(identity->said_flock, sizeof identity->said_flock, given.flock,
                 strlen(given.flock));
    sl_signer_from_seed(&identity->signer, given.seed);
    identity->lasting = true;
    r = take_bundle(&given, identity);
    if (r == 0)
        r = check(options, identity, &cert);
    if (r == 0)
        r = take_grants(options->credentials, &given, &cert, identity);
    sl_credentials_fini(&given);
    return r;
}

int sl_identity_load(const struct sl_identity_options *options, struct sl_identity *ret)
{
    struct sl_identity identity;
    memset(&identity, 0, sizeof identity);
    int r = sl_crypto_setup();
    if (r < 0)
        return r;
    const struct sl_crypto crypto = sl_crypto_port(&identity.signer);
    sl_flock_id(&crypto, options->flock, identity.bundle.flock);
    sl_keyring_init(&identity.keyring, identity.bundle.flock);

    r = options->credentials != NULL ? from_credentials(options, &identity)
                                     : from_authority(options, &identity);
    if (options->held != NULL) {
        memcpy(identity.dial_public, options->held->dial_public, sizeof identity.dial_public);
        memcpy(identity.dial_secret, options->held->dial_secret, sizeof identity.dial_secret);
    } else {
        crypto_box_keypair(identity.dial_public, identity.dial_secret);
    }
    if (r == 0)
        *ret = identity;
    sl_identity_fini(&identity);
    return r;
}

static int exchange_key(const char *state_dir, const uint8_t seed[32])
{
    char path[PATH_MAX];
    int r = key_path(state_dir, path);
    return r < 0 ? r : sl_secret_replace(path, key_magic, seed, 32);
}

int sl_identity_rekey(const struct sl_identity_options *options, const struct sl_identity *held,
                      struct sl_identity *ret)
{
    struct sl_identity next = *held;
    struct sl_cert cert;
    struct sl_ca ca;
    uint8_t seed[32];
    int r = sl_ca_open(held->authority, &ca);
    if (r < 0) {
        sl_identity_fini(&next);
        return r == STARLING_ENOENT ? STARLING_EIO : r;
    }
    sl_entropy(seed, sizeof seed);
    sl_signer_from_seed(&next.signer, seed);
    r = issue(&ca, options, &next);
    sl_ca_fini(&ca);
    if (r == 0)
        r = check(options, &next, &cert);
    if (r == 0 && options->state_dir != NULL)
        r = exchange_key(options->state_dir, seed);
    if (r == 0)
        *ret = next;
    sodium_memzero(seed, sizeof seed);
    sl_identity_fini(&next);
    return r;
}

enum sl_life sl_identity_life(const struct sl_identity *identity, int64_t wall_s)
{
    /* Two thirds without a product that could overflow. */
    int64_t life = identity->not_after - identity->not_before;
    if (wall_s > identity->not_after)
        return wall_s - SL_CERT_LATELY_S > identity->not_after ? SL_LIFE_OVER : SL_LIFE_ENDED;
    return wall_s >= identity->not_after - life / 3 ? SL_LIFE_ENDING : SL_LIFE_GOOD;
}

void sl_identity_serial(const struct sl_identity *identity, char out[SL_SERIAL_TEXT])
{
    sl_hex(out, identity->cert + SL_CERT_SERIAL_AT, 16);
}

void sl_time_text(int64_t wall_s, char out[SL_TIME_TEXT])
{
    time_t seconds = (time_t)wall_s;
    struct tm tm;
    /* Years of more than four digits are of certificates that never end. */
    if (wall_s > INT64_C(253402300799) || gmtime_r(&seconds, &tm) == NULL ||
        strftime(out, SL_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, SL_TIME_TEXT, "never");
}

void sl_identity_fini(struct sl_identity *identity)
{
    if (identity != NULL)
        sodium_memzero(identity, sizeof *identity);
}
