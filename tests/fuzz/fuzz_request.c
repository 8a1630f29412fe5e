/* fuzz_request.c: a line to the debug socket, as words or as JSON. What is understood is within its
 * limits, what is not is answered with a sentence. */
#include "node/debug_request.h"

#include <starling.h>

#include "base/bytes.h"
#include "node/debug.h"
#include "tests/fuzz/fuzz.h"

/* jansson makes an object of 72 bytes of "{}," : bounded by the length of a line alone, and gone
 * with the answer. */
const struct fuzz_cost fuzz_cost = {.fixed = 1024, .per_byte = 80};

static void check_name(const char *name)
{
    FUZZ_CHECK(name[0] == '\0' || sl_name_ok(name, strlen(name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_request r;
    char error[SL_REQUEST_ERROR_MAX];
    memset(error, 0, sizeof error);
    if (size > SL_DEBUG_REQUEST_MAX) /* refused before it is looked at */
        return 0;
    const char *line = size > 0 ? (const char *)data : "";
    if (sl_request_parse(line, size, &r, error) < 0) {
        size_t len = strnlen(error, sizeof error);
        FUZZ_CHECK(len > 0 && len < sizeof error);
        return 0;
    }
    FUZZ_CHECK(r.cmd <= SL_ASK_LEAVE && r.key_len <= SL_REQUEST_KEY_MAX);
    FUZZ_CHECK(r.weight <= STARLING_WEIGHT_MAX && r.strategy <= STARLING_LOCAL_FIRST);
    check_name(r.node);
    check_name(r.service);
    check_name(r.tenant);
    FUZZ_CHECK(r.tenant[0] != '\0');
    return 0;
}
