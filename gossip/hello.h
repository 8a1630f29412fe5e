/* hello.h: how two ends of a link prove who they are (PROTOCOL.md, "A link").
 *
 *   m1 dialler -> acceptor  1 | vmin | vmax | nonce 16 | want 16 | revocation root 8 | cert length 2 | cert | sig 64
 *                           sig over "starling/1 hello dial" | F | door public | C_d | m1 without sig
 *   m2 acceptor -> dialler  2 | version | nonce 16 | revocation root 8 | cert length 2 | cert | sig 64
 *                           sig over "starling/1 hello accept" | F | door public | C_d | BLAKE2b-256(m1)
 *                                    | m2 without sig
 *   m3 either way           3 | reason, then cut
 *
 * While doors are rotated, "door public" is the signer's first door, and one that knows two tries both.
 *
 * C_d is the CURVE key of the dialler. The acceptor takes it from the transport, the dialler from its own
 * memory, never from the message: so a member in the middle can neither relay nor reflect either of them. */
#ifndef SL_GOSSIP_HELLO_H
#define SL_GOSSIP_HELLO_H

#include "gossip/revocation.h"

#define SL_PROTOCOL_VERSION 1
#define SL_M1 1
#define SL_M2 2
#define SL_M3 3
#define SL_NONCE_LEN 16
#define SL_M1_MAX (45 + SL_CERT_MAX + SL_SIG_LEN)

enum sl_reason {
    SL_OK = 0,
    SL_REASON_FORM = 1,    /* cannot be read */
    SL_REASON_VERSION = 2, /* no version in common */
    SL_REASON_CERT = 3,    /* not a certificate of this flock, or out of its time */
    SL_REASON_SIG = 4,     /* signature wrong */
    SL_REASON_WANT = 5,    /* I am not the one you want */
    SL_REASON_SELF = 6,    /* that is myself */
    SL_REASON_BUSY = 7     /* no place now: come back later */
};

/* The constant surroundings of every hello of this node. */
struct sl_hello {
    const struct sl_crypto *crypto;
    const struct sl_bundle *bundle;
    struct sl_span cert; /* own */
    struct sl_id id;     /* own */
    const struct sl_revoked *revoked; /* NULL = none */
    int64_t wall_s;
    bool ended; /* the own certificate has: then others' may have too, within a day */
};

/* Write m1 into out (SL_M1_MAX bytes); length. */
size_t sl_hello_dial(const struct sl_hello *h, const uint8_t c_d[SL_KEY_LEN],
                     const uint8_t nonce[SL_NONCE_LEN], const struct sl_id *want, uint8_t *out);
/* Check m1; on SL_OK *ret_peer is proven to hold its key and out has m2. Otherwise it is what the message claims, or
 * nothing. */
enum sl_reason sl_hello_accept(const struct sl_hello *h, const uint8_t c_d[SL_KEY_LEN], struct sl_span m1,
                               const uint8_t nonce[SL_NONCE_LEN], struct sl_cert *ret_peer, uint8_t *out,
                               size_t *ret_len);
/* Check m2 against the m1 that was sent. */
enum sl_reason sl_hello_finish(const struct sl_hello *h, const uint8_t c_d[SL_KEY_LEN], struct sl_span m1,
                               const struct sl_id *want, struct sl_span m2, struct sl_cert *ret_peer);
/* What is wrong with the certificate in m1 or m2, for the log: more than a stranger is told. *ret_peer is as
 * far as it could be read (name "" = not at all) and proves nothing. */
const char *sl_hello_cert_fault(const struct sl_hello *h, struct sl_span m, struct sl_cert *ret_peer);
/* The revocation root in m1 or m2, whose form was checked. */
uint64_t sl_hello_root(struct sl_span m);
const char *sl_reason_text(enum sl_reason reason);

#endif
