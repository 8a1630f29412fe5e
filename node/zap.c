/* zap.c: answer libzmq's questions about who connects.
 *
 * Everybody who holds the door is let in here, and no further than the lobby: who it is, its hello
 * has to prove. Except who was shown the door by the core a moment ago, and comes with the same key. What the answer is for is the user id that libzmq then puts on each message of that
 * connection: the peer's CURVE key, which the hello's signature must cover, and the number of the
 * handshake, by which a message is told from one of an earlier connection that had the same
 * descriptor. */
#include "node/zap.h"

#include <errno.h>
#include <starling.h>
#include <stdio.h>
#include <zmq.h>

#include "base/bytes.h"
#include "base/error.h"

#define FRAMES 7 /* version, request id, domain, address, routing id, mechanism, credentials */

int sl_zap_open(struct sl_zap *z, void *zmq_context)
{
    memset(z, 0, sizeof *z);
    z->handshakes = 1;
    z->socket = zmq_socket(zmq_context, ZMQ_REP);
    int linger = 0;
    if (z->socket == NULL || zmq_setsockopt(z->socket, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
        zmq_bind(z->socket, "inproc://zeromq.zap.01") < 0) {
        int r = sl_fail(STARLING_EIO, "cannot start ZeroMQ's authentication: %s",
                        zmq_strerror(zmq_errno()));
        sl_zap_close(z);
        return r;
    }
    return 0;
}

void sl_zap_close(struct sl_zap *z)
{
    if (z->socket != NULL)
        (void)zmq_close(z->socket);
    z->socket = NULL;
}

static bool frame_is(zmq_msg_t *frame, const char *text)
{
    size_t len = strlen(text);
    return zmq_msg_size(frame) == len && memcmp(zmq_msg_data(frame), text, len) == 0;
}

static void note_frame(struct sl_zap *z, unsigned i, zmq_msg_t *frame)
{
    size_t len = zmq_msg_size(frame);
    switch (i) {
    case 0:
        z->sound = frame_is(frame, "1.0");
        break;
    case 1:
        z->sound = z->sound && len <= sizeof z->request_id;
        z->request_id_len = len <= sizeof z->request_id ? len : 0;
        memcpy(z->request_id, zmq_msg_data(frame), z->request_id_len);
        break;
    case 5:
        z->sound = z->sound && frame_is(frame, "CURVE");
        break;
    case 6:
        z->sound = z->sound && len == sizeof z->key;
        if (z->sound)
            memcpy(z->key, zmq_msg_data(frame), sizeof z->key);
        break;
    default: /* domain, address, our own routing id: of no use here */
        break;
    }
}

bool sl_zap_receive(struct sl_zap *z)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    z->request_id_len = 0;
    unsigned n = 0;
    bool more = true;
    while (more) {
        int r = zmq_msg_recv(&frame, z->socket, ZMQ_DONTWAIT);
        if (r < 0 && zmq_errno() == EINTR)
            continue;
        if (r < 0)
            break; /* a message is whole or not there: this can only be its first frame */
        note_frame(z, n++, &frame);
        more = zmq_msg_more(&frame) != 0;
    }
    zmq_msg_close(&frame);
    z->sound = z->sound && n == FRAMES;
    return !more;
}

static void send_frame(struct sl_zap *z, const void *p, size_t len, int flags)
{
    while (zmq_send(z->socket, p, len, ZMQ_DONTWAIT | flags) < 0 && zmq_errno() == EINTR)
        ;
}

void sl_zap_bar(struct sl_zap *z, sl_usec now, const uint8_t key[SL_KEY_LEN])
{
    struct sl_zap_barred *place = NULL;
    for (size_t i = 0; i < SL_ZAP_BARRED_MAX && place == NULL; i++) {
        if (memcmp(z->barred[i].key, key, SL_KEY_LEN) == 0)
            place = &z->barred[i];
    }
    if (place == NULL) {
        place = &z->barred[z->next_barred];
        z->next_barred = (z->next_barred + 1) % SL_ZAP_BARRED_MAX;
    }
    memcpy(place->key, key, SL_KEY_LEN);
    place->until = sl_after(now, SL_ZAP_BAR_TIME);
}

bool sl_zap_is_barred(const struct sl_zap *z, sl_usec now)
{
    for (size_t i = 0; z->sound && i < SL_ZAP_BARRED_MAX; i++) {
        if (now < z->barred[i].until && memcmp(z->barred[i].key, z->key, SL_KEY_LEN) == 0)
            return true;
    }
    return false;
}

bool sl_zap_answer(struct sl_zap *z, sl_usec now)
{
    const bool allowed = z->sound && !sl_zap_is_barred(z, now);
    char user_id[2 * SL_KEY_LEN + 1 + 16 + 1] = "";
    if (allowed) {
        uint8_t number[8];
        sl_put64(number, z->handshakes++);
        sl_hex(user_id, z->key, sizeof z->key);
        user_id[2 * SL_KEY_LEN] = '.';
        sl_hex(user_id + 2 * SL_KEY_LEN + 1, number, sizeof number);
    }
    send_frame(z, "1.0", 3, ZMQ_SNDMORE);
    send_frame(z, z->request_id, z->request_id_len, ZMQ_SNDMORE);
    send_frame(z, allowed ? "200" : "400", 3, ZMQ_SNDMORE);
    send_frame(z, allowed ? "OK" : "no", 2, ZMQ_SNDMORE);
    send_frame(z, user_id, strlen(user_id), ZMQ_SNDMORE);
    send_frame(z, "", 0, 0);
    return allowed;
}

bool sl_zap_read_user_id(const char *text, uint8_t ret_key[SL_KEY_LEN], uint64_t *ret_handshake)
{
    uint8_t key[SL_KEY_LEN], number[8];
    const size_t key_len = 2 * sizeof key;
    if (strlen(text) != key_len + 1 + 2 * sizeof number || text[key_len] != '.' ||
        !sl_unhex(key, sizeof key, text, key_len) ||
        !sl_unhex(number, sizeof number, text + key_len + 1, 2 * sizeof number))
        return false;
    memcpy(ret_key, key, sizeof key);
    *ret_handshake = sl_get64(number);
    return true;
}
