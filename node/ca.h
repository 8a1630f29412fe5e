/* ca.h: a certificate authority as people use it: make one, issue and renew certificates, rotate
 * authorities and doors, revoke (docs/PROTOCOL.md, "Trust"). The one header of this room that cli/
 * includes. Nothing here runs inside a node except sl_ca_open, for nodes that issue themselves a
 * certificate.
 *
 *   AUTHORITY              the first one, 96 bytes, never rewritten (authority.h)
 *   AUTHORITY.FINGERPRINT  one that a rotation added, in the same form
 *   AUTHORITY.bundle       which are trusted and which doors are open, in order; written by the
 *                          first rotation, before that it is what AUTHORITY says
 *   AUTHORITY.revoked      certificates taken back (revoked.h)
 *   AUTHORITY.tenants      tenants that have another key than their first (tenants.h) */
#ifndef SL_NODE_CA_H
#define SL_NODE_CA_H

#include <limits.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/authority.h"
#include "node/credentials.h"
#include "node/identity.h"
#include "node/revoked.h"
#include "node/tenants.h"

#define SL_FINGERPRINT_TEXT (2 * 16 + 1)

struct sl_ca {
    char path[PATH_MAX];
    struct sl_credentials bundle; /* its first authority signs */
    struct sl_signer signer;      /* that one */
    uint8_t first_seed[32];       /* of AUTHORITY itself: tenants' keys derive from it for good */
};

/* CONFIG/authority of a directory, or of the one that settings name when it is NULL. */
int sl_ca_path(const char *config_dir, char out[PATH_MAX]) SL_MUST_USE;
/* Make an authority, with the directory it is in when `with_dir`. 0, STARLING_EEXIST, EAUTH, EIO. */
int sl_ca_make(const char *path, bool with_dir, struct sl_ca *ret) SL_MUST_USE;
/* 0, STARLING_ENOENT, EAUTH, EIO; the text says what to do. Wiped by sl_ca_fini. */
int sl_ca_open(const char *path, struct sl_ca *ret) SL_MUST_USE;
void sl_ca_fini(struct sl_ca *ca);

/* ---- certificates ---- */

struct sl_ca_order {
    const char *flock, *name;
    const char *tenants[SL_CERT_TENANTS_MAX]; /* none = "default" alone */
    size_t n_tenants;
    const char *patterns[SL_CERT_PATTERNS_MAX]; /* none = all */
    size_t n_patterns;
    int64_t not_before, not_after;
    const char *key_file; /* a node's key or credentials; NULL = a new key */
};

/* 0, STARLING_EINVAL (a name, a pattern, too long in all), EAUTH, EIO. Wiped by
 * sl_credentials_fini. */
int sl_ca_issue(const struct sl_ca *ca, const struct sl_ca_order *order, struct sl_credentials *ret)
    SL_MUST_USE;
/* The same node, key and rights again, valid from now for `life_s` (0 = as long as it was), signed by
 * who signs now, with the bundle and the tenants' keys as they are now. */
int sl_ca_renew(const struct sl_ca *ca, int64_t wall_s, int64_t life_s,
                struct sl_credentials *credentials) SL_MUST_USE;
/* A comment for the head of a credentials file or a bundle. */
void sl_ca_title(const struct sl_credentials *credentials, char *out, size_t cap);

/* ---- rotation ---- */

enum sl_ca_step {
    SL_CA_ADD,   /* one more, behind those there are: trusted (a door: dialled), not used yet */
    SL_CA_SWAP,  /* the last one to the front: it signs (a door: is listened on) */
    SL_CA_RETIRE /* the last one goes: after a swap that is the old one */
};

/* Take one step with the authorities or the doors, and write the bundle. *ret_moved says which was
 * added, came to the front or went. 0, STARLING_EINVAL (no such step now), EIO. */
int sl_ca_rotate(struct sl_ca *ca, bool door, enum sl_ca_step step,
                 char ret_moved[SL_FINGERPRINT_TEXT]) SL_MUST_USE;

/* Raise the epoch of a tenant's key, to be used `after_s` from wall_s on: AUTHORITY.tenants. A key that
 * is not in use yet is replaced with after_s 0 only. 0, STARLING_EINVAL (a name, "default", a key not
 * in use yet), ELIMIT, EAUTH, EIO, ENOMEM. */
int sl_ca_rotate_tenant(const struct sl_ca *ca, const char *flock, const char *tenant,
                        int64_t wall_s, int64_t after_s, struct sl_tenant_epoch *ret) SL_MUST_USE;

/* ---- revocation ---- */

/* Add to AUTHORITY.revoked, signed by who signs now. 0, STARLING_EEXIST (in it already), ELIMIT,
 * EAUTH, EIO. */
int sl_ca_revoke(const struct sl_ca *ca, const struct sl_revocation *what) SL_MUST_USE;

/* ---- looking ---- */

enum sl_ca_kind { SL_CA_AUTHORITY, SL_CA_BUNDLE, SL_CA_CREDENTIALS, SL_CA_NODE_KEY, SL_CA_REVOKED };

struct sl_ca_shown {
    enum sl_ca_kind kind;
    struct sl_credentials held; /* of all kinds that have some of it; secrets are wiped */
    struct sl_cert cert;        /* of CREDENTIALS */
    struct sl_id id;            /* of NODE_KEY */
    char key[2 * SL_KEY_LEN + 1];
    size_t issuer; /* of the certificate, among held.authority; SL_AUTHORITIES_MAX = none */
    bool sound;    /* that one signed it, and it is about the key beside it */
    char tenant[SL_CERT_TENANTS_MAX][SL_NAME_LEN_MAX + 1]; /* of cert: name, or id where unknown */
    struct sl_revoked revoked;
    struct sl_tenants tenants; /* of AUTHORITY: which were rotated */
    struct sl_ca_granted {
        char tenant[SL_NAME_LEN_MAX + 1]; /* name, or id where unknown */
        struct sl_tenant_epoch what;
        bool sound;         /* an authority of these signed it, and the key beside it opens it */
    } grant[SL_GRANTS_MAX]; /* of CREDENTIALS; held.n_grants of them */
    char authority[SL_AUTHORITIES_MAX][SL_FINGERPRINT_TEXT],
        door[SL_DOORS_MAX][SL_FINGERPRINT_TEXT];
};

/* What a file is and says. 0, STARLING_ENOENT, EAUTH (none of these, damaged, open to others), EIO,
 * ENOMEM. Freed by sl_ca_shown_fini. */
int sl_ca_look(const char *path, struct sl_ca_shown *ret) SL_MUST_USE;
void sl_ca_shown_fini(struct sl_ca_shown *shown);

/* BLAKE2b-128 of an authority's key; of a door behind a domain of its own. */
void sl_authority_fingerprint(const uint8_t key[SL_KEY_LEN], char out[SL_FINGERPRINT_TEXT]);
void sl_door_fingerprint(const uint8_t door[32], char out[SL_FINGERPRINT_TEXT]);
#endif
