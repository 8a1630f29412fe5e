/* fuzz_sightings.c: the body of sightings. What is read can be written, and is then read as the
 * same. */
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_sighting entries[SL_SIGHTING_ENTRIES_MAX], again[SL_SIGHTING_ENTRIES_MAX];
    uint8_t out[SL_SIGHTINGS_MAX];
    size_t n, n_again;
    if (!sl_sightings_read(sl_span_of(data, size), entries, &n))
        return 0;
    FUZZ_CHECK(n <= SL_SIGHTING_ENTRIES_MAX);
    size_t len = sl_sightings_write(entries, n, out, sizeof out);
    FUZZ_CHECK(len > 0 && len <= size && sl_sightings_read(sl_span_of(out, len), again, &n_again) &&
               n == n_again);
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(sl_id_eq(&entries[i].accused, &again[i].accused) &&
                   entries[i].how == again[i].how);
        FUZZ_CHECK(sl_version_cmp(entries[i].seen, again[i].seen) == 0);
        FUZZ_CHECK(entries[i].how == SL_REFUSED || entries[i].how == SL_SILENT);
    }
    return 0;
}
