/* fuzz_service.c: the services in a record. What is read has no fault, comes in order, and can be
 * written and read again. */
#include "store/section.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

static bool same(struct sl_span a, struct sl_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void check_same(const struct sl_service *a, const struct sl_service *b)
{
    FUZZ_CHECK(strcmp(a->tenant, b->tenant) == 0 && strcmp(a->name, b->name) == 0);
    FUZZ_CHECK(strcmp(a->host, b->host) == 0 && strcmp(a->version, b->version) == 0);
    FUZZ_CHECK(a->port == b->port && a->base_weight == b->base_weight && a->n_meta == b->n_meta);
    for (size_t i = 0; i < a->n_meta; i++)
        FUZZ_CHECK(same(a->meta[i].key, b->meta[i].key) &&
                   same(a->meta[i].value, b->meta[i].value));
}

static void check_again(const struct sl_service *services, size_t n)
{
    static uint8_t out[256 * 1024];
    const struct sl_service *list[SL_SERVICES_MAX];
    struct sl_sections it;
    static struct sl_service again;
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    size_t len = sl_sections_write_record(list, n, out, sizeof out);
    FUZZ_CHECK(len > 0);
    sl_sections_begin(&it, sl_span_of(out, len));
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(sl_sections_next(&it, &again) == 1);
        check_same(&services[i], &again);
    }
    FUZZ_CHECK(sl_sections_next(&it, &again) == 0 && sl_sections_ok(&it));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_service services[SL_SERVICES_MAX];
    struct sl_span bytes = sl_span_of(data, size);
    struct sl_sections it;
    size_t n = 0, entries = 0;
    int r;
    sl_sections_begin(&it, bytes);
    while (n < SL_SERVICES_MAX && (r = sl_sections_next(&it, &services[n])) != 0) {
        FUZZ_CHECK(++entries <= SL_SERVICES_MAX);
        if (r < 0)
            continue;
        FUZZ_CHECK(sl_service_fault(&services[n]) == NULL);
        for (size_t i = 0; i < services[n].n_meta; i++)
            FUZZ_CHECK(fuzz_inside(services[n].meta[i].key, bytes) &&
                       fuzz_inside(services[n].meta[i].value, bytes));
        n++;
    }
    check_again(services, n);
    return 0;
}
