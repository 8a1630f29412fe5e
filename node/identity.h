/* identity.h: who this node is and whom it trusts (docs/PROTOCOL.md, "Trust"). On first use a
 * user's authority is made in the configuration directory, once and for all processes that start at
 * the same moment, and each node issues itself a certificate from it. With a credentials file the
 * authority stays elsewhere. */
#ifndef SL_NODE_IDENTITY_H
#define SL_NODE_IDENTITY_H

#include "gossip/cert.h"
#include "node/crypto.h"

struct sl_identity {
    struct sl_bundle bundle;
    struct sl_signer signer; /* this node's key */
    struct sl_id id;
    uint8_t cert[SL_CERT_MAX]; /* encoded */
    size_t cert_len;
    char name[SL_NAME_LEN_MAX + 1]; /* as the certificate says */
    bool lasting;                   /* the key came from, or went to, the state directory */
    uint8_t
        door_secret[32]; /* CURVE secret of the listening side; its public half is in the bundle */
    uint8_t dial_public[32]; /* C_d: CURVE pair this process dials with, made anew each time */
    uint8_t dial_secret[32];
};

struct sl_identity_options {
    const char *flock;
    const char *name;       /* checked already */
    const char *config_dir; /* where `authority` is or will be */
    const char *
        runtime_dir; /* falls back to it when config_dir cannot be written; holds the fingerprint */
    const char *state_dir;   /* NULL = the key stays in memory */
    const char *credentials; /* NULL = self-issued */
    int64_t wall_s;
};

/* 0, STARLING_EAUTH (damaged, foreign-owned, symlinked, readable by others, other flock), EIO,
 * ENOMEM; error text says which file and what to do. Nothing damaged is ever replaced. */
int sl_identity_load(const struct sl_identity_options *options, struct sl_identity *ret)
    SL_MUST_USE;
/* Wipes secrets. */
void sl_identity_fini(struct sl_identity *identity);
#endif
