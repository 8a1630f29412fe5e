/* fuzz_http.c: the answer to a health check over HTTP. The verdict does not depend on where the
 * bytes were cut on their way, and comes however long the answer is. The input: where to cut, the
 * status that is expected, the text that is looked for with a zero byte behind it, then the answer.
 */
#include "node/check_http.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static void feed(struct sl_http *h, struct sl_span bytes, size_t step)
{
    static const struct sl_addr to = {.family = 4, .ip = {127, 0, 0, 1}, .port = 80};
    char out[SL_HTTP_REQUEST_MAX];
    FUZZ_CHECK(sl_http_request(h, &to, out) < sizeof out);
    bool done = false;
    while (!done && bytes.len > 0) {
        struct sl_span part = fuzz_take(&bytes, step);
        done = sl_http_receive(h, part.p, part.len);
        FUZZ_CHECK(done == (h->state == SL_HTTP_DONE));
    }
    sl_http_ended(h);
    FUZZ_CHECK(h->state == SL_HTTP_DONE && h->health <= STARLING_CRITICAL);
    FUZZ_CHECK(strnlen(h->note, sizeof h->note) < sizeof h->note);
    FUZZ_CHECK(h->n_total <= SL_HTTP_TOTAL_MAX + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_http whole, parts;
    struct sl_span in = sl_span_of(data, size);
    char text[SL_HTTP_BODY_TEXT_MAX];
    uint8_t step = fuzz_byte(&in);
    unsigned status = fuzz_number(&in) % 700;
    fuzz_text(&in, text, sizeof text);
    if (sl_http_init(&whole, "/health", status, text) != NULL)
        return 0;
    FUZZ_CHECK(sl_http_init(&parts, "/health", status, text) == NULL);
    feed(&whole, in, in.len);
    feed(&parts, in, step + 1u);
    FUZZ_CHECK(whole.health == parts.health && strcmp(whole.note, parts.note) == 0);
    return 0;
}
