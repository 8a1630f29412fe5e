/* fuzz_health.c: what vitals say of services: health, weight, a note. Whatever is read leaves a
 * service that has no fault. */
#include "store/section.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span bytes = sl_span_of(data, size);
    struct sl_service_vitals vitals[SL_SERVICES_MAX];
    size_t n, refused;
    if (!sl_sections_read_vitals(bytes, vitals, &n, &refused))
        return 0;
    FUZZ_CHECK(n + refused <= SL_SERVICES_MAX);
    static const char *const names[] = {"api", "db", "web"};
    for (size_t i = 0; i < SL_COUNT(names); i++) {
        struct sl_service service = {.tenant = "default", .port = 80, .base_weight = 100};
        memcpy(service.name, names[i], strlen(names[i]) + 1);
        sl_sections_apply(&service, vitals, n);
        FUZZ_CHECK(sl_service_fault(&service) == NULL);
    }
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(fuzz_inside(vitals[i].note, bytes));
    return 0;
}
