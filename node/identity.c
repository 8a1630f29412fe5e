/* identity.c: put together who this node is: a bundle, a key, a certificate, and the two CURVE
 * pairs. Where they come from differs (the user's own authority, or a credentials file); what is
 * checked at the end does not: the certificate must verify against the bundle and be about our
 * key. */
#include "node/identity.h"

#include <limits.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/authority.h"
#include "node/credentials.h"
#include "node/files.h"

static const char door_domain[] = "starling/1 door"; /* hashed with its NUL */
static const char key_magic[16] = "starling/1 node";

/* The CURVE pair of the listening side. From the door, not from the authority's key, which is
 * public knowledge among those it must keep out and would change the door whenever it is
 * rotated. */
static int derive_door(const uint8_t door[32], struct sl_identity *identity)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, door, 32, sizeof identity->door_secret);
    crypto_generichash_update(&state, (const uint8_t *)door_domain, sizeof door_domain);
    crypto_generichash_update(&state, identity->bundle.flock, SL_FLOCK_LEN);
    crypto_generichash_final(&state, identity->door_secret, sizeof identity->door_secret);
    sodium_memzero(&state, sizeof state);
    if (crypto_scalarmult_base(identity->bundle.door_public, identity->door_secret) != 0)
        return sl_fail(STARLING_EIO, "libsodium could not derive the door's key");
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
        int n = snprintf(path, sizeof path, "%s/node.key", state_dir);
        if (n < 0 || (size_t)n >= sizeof path)
            return sl_fail(STARLING_EIO, "the path %.64s... is too long", state_dir);
        r = sl_secret_read(path, key_magic, seed, sizeof seed);
        if (r == STARLING_ENOENT) {
            sl_entropy(seed, sizeof seed);
            r = sl_dir_make(state_dir);
            if (r == 0)
                r = sl_secret_make(path, key_magic, seed, sizeof seed);
            if (r == 0) /* another may have been faster: what is there counts */
                r = sl_secret_read(path, key_magic, seed, sizeof seed);
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
static int issue(const struct sl_authority *authority, const struct sl_identity_options *options,
                 struct sl_identity *identity)
{
    const int64_t day_s = 86400;
    struct sl_cert cert;
    memset(&cert, 0, sizeof cert);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof cert.issuer);
    crypto_generichash_update(&state, authority->signer.public_key, SL_KEY_LEN);
    crypto_generichash_final(&state, cert.issuer, sizeof cert.issuer);
    sl_entropy(cert.serial, sizeof cert.serial);
    memcpy(cert.flock, identity->bundle.flock, sizeof cert.flock);
    memcpy(cert.key, identity->signer.public_key, sizeof cert.key);
    cert.not_before = options->wall_s > day_s ? options->wall_s - day_s : 0;
    cert.not_after = cert.not_before + 3653 * day_s;
    sl_copy_text(cert.name, sizeof cert.name, options->name, strlen(options->name));

    uint8_t text[SL_CERT_MAX + 64];
    size_t len = sl_cert_encode(&cert, identity->cert, sizeof identity->cert - SL_SIG_LEN);
    size_t text_len = 0;
    if (len > 0)
        text_len = sl_cert_signed_text(sl_span_of(identity->cert, len), text, sizeof text);
    if (text_len == 0)
        return sl_fail(STARLING_EINVAL, "no certificate can be made for the name '%.64s'",
                       options->name);
    crypto_sign_detached(identity->cert + len, NULL, text, text_len, authority->signer.secret);
    identity->cert_len = len + SL_SIG_LEN;
    return 0;
}

static int from_authority(const struct sl_identity_options *options, struct sl_identity *identity)
{
    struct sl_authority authority;
    int r = sl_authority_load(options->config_dir, options->runtime_dir, &authority);
    if (r < 0)
        return r;
    memcpy(identity->bundle.authority[0], authority.signer.public_key, SL_KEY_LEN);
    identity->bundle.n_authorities = 1;
    r = derive_door(authority.door, identity);
    if (r == 0)
        r = own_key(options->state_dir, identity);
    if (r == 0)
        r = issue(&authority, options, identity);
    sl_authority_fini(&authority);
    return r;
}

static int from_credentials(const struct sl_identity_options *options, struct sl_identity *identity)
{
    struct sl_credentials given;
    int r = sl_credentials_read(options->credentials, &given);
    if (r < 0)
        return r;
    memcpy(identity->bundle.authority, given.authority, sizeof given.authority);
    identity->bundle.n_authorities = given.n_authorities;
    memcpy(identity->cert, given.cert, given.cert_len);
    identity->cert_len = given.cert_len;
    sl_signer_from_seed(&identity->signer, given.seed);
    identity->lasting = true;
    r = derive_door(given.door, identity);
    sl_credentials_fini(&given);
    return r;
}

/* What any peer would refuse at the hello is a sentence here. */
static int check(const struct sl_identity_options *options, struct sl_identity *identity)
{
    const struct sl_crypto crypto = sl_crypto_port(&identity->signer);
    const struct sl_span bytes = sl_span_of(identity->cert, identity->cert_len);
    const char *file = options->credentials != NULL ? options->credentials : "the certificate";
    struct sl_cert cert;
    if (!sl_cert_decode(&crypto, bytes, &cert))
        return sl_fail(STARLING_EAUTH, "%s: the certificate is damaged", file);
    if (memcmp(cert.flock, identity->bundle.flock, SL_FLOCK_LEN) != 0)
        return sl_fail(STARLING_EAUTH, "%s: the certificate of '%s' is for another flock than '%s'",
                       file, cert.name, options->flock);
    if (!sl_cert_check(&crypto, &identity->bundle, bytes, &cert))
        return sl_fail(STARLING_EAUTH,
                       "%s: the certificate of '%s' is not signed by an authority of the same file",
                       file, cert.name);
    if (memcmp(cert.key, identity->signer.public_key, SL_KEY_LEN) != 0)
        return sl_fail(STARLING_EAUTH, "%s: the key is not the one in the certificate of '%s'",
                       file, cert.name);
    if (!sl_cert_valid_at(&cert, options->wall_s))
        return sl_fail(
            STARLING_EAUTH,
            "%s: by this host's clock the certificate of '%s' %s; have a new one issued, or "
            "set the clock",
            file, cert.name,
            options->wall_s < cert.not_before ? "is not valid yet" : "has expired");
    memcpy(identity->name, cert.name, sizeof identity->name);
    identity->id = cert.id;
    return 0;
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

    r = options->credentials != NULL ? from_credentials(options, &identity)
                                     : from_authority(options, &identity);
    if (r == 0)
        r = check(options, &identity);
    if (r == 0) {
        crypto_box_keypair(identity.dial_public, identity.dial_secret);
        *ret = identity;
    }
    sl_identity_fini(&identity);
    return r;
}

void sl_identity_fini(struct sl_identity *identity)
{
    if (identity != NULL)
        sodium_memzero(identity, sizeof *identity);
}
