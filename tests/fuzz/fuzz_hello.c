/* fuzz_hello.c: the first messages of a link, at both ends.
 * The input: which end and whether signatures count, then the message. */
#include "gossip/hello.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static struct fuzz_person self, peer;
static const uint8_t c_d[SL_KEY_LEN] = "a dialler's CURVE key", nonce[SL_NONCE_LEN] = "a nonce";

static void accept_m1(const struct sl_hello *h, struct sl_span m1)
{
    struct sl_cert cert;
    uint8_t out[SL_M1_MAX];
    size_t len = 0;
    enum sl_reason reason = sl_hello_accept(h, c_d, m1, nonce, &cert, out, &len);
    FUZZ_CHECK(strcmp(sl_reason_text(reason), "unknown reason") != 0);
    if (reason)
        return;
    FUZZ_CHECK(len > 0 && len <= sizeof out && !sl_id_eq(&cert.id, &h->id));
    /* The other end takes what we answer, whoever it is. */
    struct sl_hello other = *h;
    struct sl_cert ours;
    other.id = cert.id;
    FUZZ_CHECK(sl_hello_finish(&other, c_d, m1, &h->id, sl_span_of(out, len), &ours) == SL_OK);
    FUZZ_CHECK(sl_id_eq(&ours.id, &h->id));
}

static void finish_m2(const struct sl_hello *h, struct sl_span m2)
{
    struct sl_cert cert;
    uint8_t m1[SL_M1_MAX];
    size_t len = sl_hello_dial(h, c_d, nonce, NULL, m1);
    enum sl_reason reason = sl_hello_finish(h, c_d, sl_span_of(m1, len), NULL, m2, &cert);
    FUZZ_CHECK(reason || !sl_id_eq(&cert.id, &h->id));
    (void)sl_hello_finish(h, c_d, sl_span_of(m1, len), &peer.id, m2, &cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    if (self.cert_len == 0) {
        fuzz_person(&self, 1);
        fuzz_person(&peer, 10);
    }
    uint8_t how = fuzz_byte(&in);
    struct sl_crypto crypto = fuzz_crypto(&self, (how & 1) != 0);
    struct sl_hello h = {.crypto = &crypto,
                         .bundle = fuzz_bundle(),
                         .cert = sl_span_of(self.cert, self.cert_len),
                         .id = self.id,
                         .wall_s = FUZZ_WALL_S};
    if (how & 2)
        finish_m2(&h, in);
    else
        accept_m1(&h, in);
    return 0;
}
