/* fuzz_spec.c: version ranges and selectors, and the versions and metadata that others say of
 * themselves. The input: a range, a selector and a version, each ended by a zero byte; then
 * metadata, pairs with their lengths. Faulty ones are matched as well: that must be harmless. */
#include "store/spec.h"

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

/* As store/ keeps it: key length 1, value length 2, key, value. */
static void take_meta(struct sl_span *in, struct sl_instance *inst, uint8_t *out, size_t cap)
{
    inst->meta = out;
    while (in->len > 0 && inst->n_meta < 64) {
        struct sl_span key = fuzz_take(in, fuzz_byte(in)), value = fuzz_take(in, fuzz_byte(in));
        if (inst->meta_len + 3 + key.len + value.len > cap)
            return;
        uint8_t *p = out + inst->meta_len;
        p[0] = (uint8_t)key.len;
        sl_put16(p + 1, (uint16_t)value.len);
        if (key.len > 0)
            memcpy(p + 3, key.p, key.len);
        if (value.len > 0)
            memcpy(p + 3 + key.len, value.p, value.len);
        inst->meta_len += 3 + key.len + value.len;
        inst->n_meta++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    struct sl_view_spec spec = {.tenant = "default", .name = "api"};
    struct sl_instance inst = {.node = "n1", .zone = "", .host = "", .note = ""};
    char version[64];
    uint8_t meta[4096 + 3 * 64];
    fuzz_text(&in, spec.version, sizeof spec.version);
    fuzz_text(&in, spec.select, sizeof spec.select);
    fuzz_text(&in, version, sizeof version);
    inst.version = version;
    take_meta(&in, &inst, meta, sizeof meta);
    bool fault = sl_view_fault(&spec) != NULL, matches = sl_spec_matches(&spec, &inst);
    if (!fault && spec.version[0] == '\0' && spec.select[0] == '\0')
        FUZZ_CHECK(matches);
    return 0;
}
