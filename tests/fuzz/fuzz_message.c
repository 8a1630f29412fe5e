/* fuzz_message.c: one message of a proven peer to a core that knows a small flock: beats, facts,
 * lists and wishes of reconciling, referrals, and what later versions may send. The input: whether
 * signatures count, then the message. */
#include "tests/fuzz/core.h"

const struct fuzz_cost fuzz_cost = {.fixed = 8192, .per_byte = 4};

#define KNOWN 3

/* Record and vitals of those who are known, made once. */
static struct {
    uint8_t record[1024], vitals[1024];
    size_t record_len, vitals_len;
} known[KNOWN];

static void make_known(void)
{
    struct sl_vitals running = {.state = SL_RUNNING};
    for (unsigned p = 0; p < KNOWN; p++) {
        struct fuzz_person *who = fuzz_peer(p);
        known[p].record_len = fuzz_record(who, 10 + p, 1, sl_span_of(NULL, 0), known[p].record);
        known[p].vitals_len = fuzz_vitals(who, 2, &running, known[p].vitals);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_core c;
    struct sl_span in = sl_span_of(data, size);
    if (known[0].record_len == 0)
        make_known();
    if (!fuzz_core_new(&c, (fuzz_byte(&in) & 1) != 0, 0))
        return 0;
    fuzz_core_accept(&c);
    fuzz_core_hello(&c, 2, 0);
    for (unsigned p = 0; p < KNOWN; p++) {
        fuzz_core_fact(&c, 2, sl_span_of(known[p].record, known[p].record_len));
        fuzz_core_fact(&c, 2, sl_span_of(known[p].vitals, known[p].vitals_len));
    }
    fuzz_core_receive(&c, 2, in);
    fuzz_core_pass(&c, SL_MS(100));
    fuzz_core_free(&c);
    return 0;
}
