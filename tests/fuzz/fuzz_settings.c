/* fuzz_settings.c: the file of settings, through libinih. It is read, or refused with a text that
 * says where. */
#include "node/settings.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {.fixed = 1024, .per_byte = 4};

extern char **environ;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *nothing[] = {NULL};
    static struct sl_settings s;
    starling_options o = {.config_file = fuzz_file("settings", sl_span_of(data, size))};
    environ = nothing; /* what the file says, and nothing else */
    if (sl_settings_load(&o, &s) < 0) {
        FUZZ_CHECK(sl_fail_text()[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(s.n_seeds <= SL_SEEDS_MAX && s.leave_ms <= 60000 && s.log_level >= 0 &&
               s.log_level <= SL_DEBUG);
    FUZZ_CHECK(sl_name_ok(s.flock, strlen(s.flock)) && sl_name_ok(s.name, strlen(s.name)));
    for (size_t i = 0; i < s.n_seeds; i++)
        FUZZ_CHECK(s.seeds[i].host[0] != '\0' && s.seeds[i].port != 0);
    return 0;
}
