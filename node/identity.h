/* identity.h: who this node is and whom it trusts (docs/PROTOCOL.md, "Trust"). On first use a
 * user's authority is made in the configuration directory, once and for all processes that start at
 * the same moment, and each node issues itself a certificate from it. With a credentials file the
 * authority stays elsewhere. */
#ifndef SL_NODE_IDENTITY_H
#define SL_NODE_IDENTITY_H

#include <limits.h>

#include "gossip/cert.h"
#include "node/crypto.h"
#include "node/keyring.h"

struct sl_identity {
    struct sl_bundle bundle;
    struct sl_signer signer; /* this node's key */
    struct sl_id id;
    uint8_t cert[SL_CERT_MAX]; /* encoded */
    size_t cert_len;
    char name[SL_NAME_LEN_MAX + 1]; /* as the certificate says */
    char
        said_flock[SL_NAME_LEN_MAX + 1]; /* as credentials say, for an error's text; "" = nothing */
    int64_t not_before, not_after;
    char authority[PATH_MAX]; /* the file it was issued from; "" with credentials */
    bool lasting;             /* the key came from, or went to, the state directory */
    uint8_t
        door_secret[32]; /* CURVE secret of the listening side; its public half is in the bundle */
    uint8_t dial_public[32]; /* C_d: CURVE pair this process dials with, made anew each time */
    uint8_t dial_secret[32];
    struct sl_keyring keyring; /* the tenants it may read and write */
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
    /* A node that runs, and is to remain who it is: its key and its CURVE pair are kept, and a
     * certificate of another key or name, out of its time, or older than the one it has is refused.
     * NULL = at the start. */
    const struct sl_identity *held;
};

/* 0, STARLING_EAUTH (damaged, foreign-owned, symlinked, readable by others, other flock), EIO,
 * ENOMEM; error text says which file and what to do. Nothing damaged is ever replaced. */
int sl_identity_load(const struct sl_identity_options *options, struct sl_identity *ret)
    SL_MUST_USE;
/* `held` with another key, and a certificate for it from the authority that the present one came from; the
 * state directory's key, where there is one, is exchanged. The name, the door and C_d stay. Only where
 * `authority` of `held` is not "". 0, STARLING_EAUTH, EIO. Wiped by sl_identity_fini. */
int sl_identity_rekey(const struct sl_identity_options *options, const struct sl_identity *held,
                      struct sl_identity *ret) SL_MUST_USE;
/* The seed of a node's own key, STATE/node.key. 0, STARLING_ENOENT, EAUTH, EIO. */
int sl_node_key_read(const char *path, uint8_t seed[32]) SL_MUST_USE;

/* Where the certificate is in its life. */
enum sl_life {
    SL_LIFE_GOOD,
    SL_LIFE_ENDING, /* two thirds are over: time to renew it */
    SL_LIFE_ENDED,  /* less than a day ago: others whose own has ended let it in */
    SL_LIFE_OVER    /* nobody does */
};
enum sl_life sl_identity_life(const struct sl_identity *identity, int64_t wall_s);

/* Certificate, authorities, doors and tenants' keys. */
bool sl_identity_same(const struct sl_identity *a, const struct sl_identity *b);
#define SL_SERIAL_TEXT 33
void sl_identity_serial(const struct sl_identity *identity, char out[SL_SERIAL_TEXT]);

#define SL_TIME_TEXT 24
/* UTC, "2026-01-31T12:00:00Z"; "never" for what is beyond the year 9999. */
void sl_time_text(int64_t wall_s, char out[SL_TIME_TEXT]);
/* Wipes secrets. */
void sl_identity_fini(struct sl_identity *identity);
#endif
