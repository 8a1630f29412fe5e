/* zap.h: the ZAP handler (RFC 27) of one ZeroMQ context: who may finish a CURVE handshake with our
 * listener, and under which name its messages then arrive. Served by the owner of the sockets; no
 * thread of its own. */
#ifndef SL_NODE_ZAP_H
#define SL_NODE_ZAP_H

#include "base/types.h"

/* A key that was shown the door is refused for so long; then it may try a hello again. */
#define SL_ZAP_BAR_TIME SL_SEC(10) /* whoever has a new certificate by then is let in */
#define SL_ZAP_BARRED_MAX 64 /* the oldest makes room */

struct sl_zap_barred {
    uint8_t key[SL_KEY_LEN];
    sl_usec until;
};

struct sl_zap {
    void *socket;
    uint64_t handshakes; /* answered so far; the next one gets this number */
    char request_id[64]; /* of the request in hand */
    size_t request_id_len;
    bool sound; /* it is a CURVE request with a key */
    uint8_t key[SL_KEY_LEN];
    struct sl_zap_barred barred[SL_ZAP_BARRED_MAX]; /* a ring */
    size_t next_barred;
};

/* Bind. Before the first bind of any other socket in this context: libzmq lets everybody in while
 * there is no handler (and ZMQ_ZAP_ENFORCE_DOMAIN is off). 0 or STARLING_EIO. */
int sl_zap_open(struct sl_zap *z, void *zmq_context) SL_MUST_USE;
void sl_zap_close(struct sl_zap *z);

/* Take the next request, if one waits. Each is to be answered before the next. */
bool sl_zap_receive(struct sl_zap *z) SL_MUST_USE;
/* Answer it: true when it was let in. */
bool sl_zap_answer(struct sl_zap *z, sl_usec now);
/* From now on refuse whoever proves to hold this CURVE key. */
void sl_zap_bar(struct sl_zap *z, sl_usec now, const uint8_t key[SL_KEY_LEN]);
/* Of the request in hand. */
bool sl_zap_is_barred(const struct sl_zap *z, sl_usec now);

/* A message's User-Id, as sl_zap_answer set it: the peer's CURVE key and the number of its
 * handshake. */
bool sl_zap_read_user_id(const char *text, uint8_t ret_key[SL_KEY_LEN], uint64_t *ret_handshake)
    SL_MUST_USE;
#endif
