/* fuzz_store.c: the registry, fed with what members say in whatever order, also when memory runs
 * out, and read through views. The input: which allocation fails (0 = none), a version range and a
 * selector with zero bytes behind them, then steps: a byte for the step and the member, and what it
 * takes. */
#include <starling.h>
#include <stdio.h>

#include "store/store.h"
#include "tests/fuzz/fuzz.h"

/* A service that is offered in ten bytes takes some 480; there are 64 of a member at most
 * (SL_SERVICES_MAX), which bounds what one can make of it. */
const struct fuzz_cost fuzz_cost = {.fixed = 65536, .per_byte = 64};

#define STEPS_MAX 64

static struct sl_store_member member(uint8_t number, uint8_t more)
{
    struct sl_store_member m = {.id = {{number}}, .addr = fuzz_address(number), .epoch = more >> 4};
    (void)snprintf(m.name, sizeof m.name, "n%u", number);
    m.status = more % 4;
    m.self = number == 0;
    return m;
}

static void step(struct sl_store *s, struct sl_span *in, sl_usec *now)
{
    uint8_t what = fuzz_byte(in);
    struct sl_store_member m = member(what >> 4, fuzz_byte(in));
    struct sl_change change;
    switch (what & 7) {
    case 0:
    case 1:
        (void)!sl_store_member(s, &m);
        break;
    case 2:
    case 3:
        (void)!sl_store_record(s, &m.id, fuzz_chunk(in));
        break;
    case 4:
        (void)!sl_store_vitals(s, &m.id, fuzz_chunk(in));
        break;
    case 5:
        sl_store_forget(s, &m.id);
        break;
    case 6:
        sl_store_stale(s, (what & 16) != 0);
        *now += SL_MS(fuzz_number(in));
        break;
    default:
        (void)!sl_store_publish(s, *now);
        while (sl_store_next_change(s, &change))
            continue;
        break;
    }
}

static void read_view(struct sl_view *v)
{
    struct sl_rand chance;
    struct starling_instance picked, list[8];
    size_t n;
    sl_rand_seed(&chance, 1);
    struct sl_pick how = {.now_ms = 1, .rand = &chance};
    for (int i = 0; i < 4; i++) {
        memset(&picked, 0, sizeof picked);
        if (sl_view_pick(v, &how, &picked) == 0)
            FUZZ_CHECK(sl_view_n_fit(v) > 0 || (picked.flags & STARLING_F_PANIC) != 0 ||
                       picked.host[0] != '\0');
    }
    sl_view_list(v, SL_COUNT(list), list, sizeof list[0], &n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span in = sl_span_of(data, size);
    struct fuzz_memory memory;
    struct sl_store *s;
    struct sl_view *v = NULL;
    struct sl_view_spec spec;
    sl_usec now = SL_SEC(1);
    memset(&spec, 0, sizeof spec);
    memcpy(spec.tenant, "default", 8);
    memcpy(spec.name, "api", 4);
    fuzz_memory_init(&memory, fuzz_byte(&in));
    fuzz_text(&in, spec.version, sizeof spec.version);
    fuzz_text(&in, spec.select, sizeof spec.select);
    if (sl_store_new(&memory.alloc, 1, NULL, &s) < 0)
        goto done;
    if (sl_view_open(s, &spec, now, NULL, &v) < 0)
        v = NULL;
    for (int i = 0; i < STEPS_MAX && in.len > 0; i++)
        step(s, &in, &now);
    memory.fail_at = 0;
    FUZZ_CHECK(sl_store_publish(s, now) == 0);
    if (v != NULL) {
        read_view(v);
        sl_view_close(s, v);
    }
    sl_store_free(s);
done:
    FUZZ_CHECK(memory.live == 0);
    return 0;
}
