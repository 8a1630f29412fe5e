/* fuzz_fact.c: whole facts of any kind, as the pool takes them: header, body, the certificate of a
 * record, the signature; and that each is given back, also when memory runs out. The input: whether
 * signatures count, which allocation fails (0 = none), then facts with their lengths. */
#include "gossip/pool.h"

#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {.fixed = 8192, .per_byte = 4};

#define FACTS_MAX 16

/* The form that came is the form that is kept. */
static void check_fact(const struct sl_fact *f, struct sl_span bytes)
{
    struct sl_fact_header h;
    FUZZ_CHECK(sl_fact_peek(bytes, &h));
    FUZZ_CHECK(f->len == bytes.len && memcmp(f->bytes, bytes.p, bytes.len) == 0);
    FUZZ_CHECK(f->kind == h.kind && f->kind != 0 && sl_version_cmp(f->version, h.version) == 0);
    FUZZ_CHECK(sl_id_eq(sl_fact_origin(f), &h.origin));
    FUZZ_CHECK((f->kind == SL_RECORD) == (f->who != NULL));
    FUZZ_CHECK(sl_fact_cmp(f, f) == 0);
    if (f->who == NULL)
        return;
    struct sl_span whole = sl_span_of(f->bytes, f->len);
    FUZZ_CHECK(fuzz_inside(f->who->name, whole) && fuzz_inside(f->who->zone, whole));
    FUZZ_CHECK(fuzz_inside(sl_span_of(f->who->key, SL_KEY_LEN), whole));
}

static struct sl_fact *take(struct sl_pool *pool, struct sl_span bytes,
                            const uint8_t key[SL_KEY_LEN])
{
    struct sl_fact *f = sl_pool_take(pool, bytes);
    if (f == NULL)
        return NULL;
    check_fact(f, bytes);
    bool verified = sl_pool_verify(pool, f, f->who ? f->who->key : key);
    FUZZ_CHECK(!verified || f->verified);
    FUZZ_CHECK(f->who == NULL || sl_pool_first(pool, SL_BY_NAME, f) != NULL);
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_person reader;
    struct sl_span in = sl_span_of(data, size);
    struct fuzz_memory memory;
    struct sl_pool *pool;
    struct sl_fact *facts[FACTS_MAX], *last = NULL;
    size_t n = 0;
    if (reader.cert_len == 0)
        fuzz_person(&reader, 10);
    struct sl_crypto crypto = fuzz_crypto(&reader, (fuzz_byte(&in) & 1) != 0);
    fuzz_memory_init(&memory, fuzz_byte(&in));
    if (sl_pool_new(&memory.alloc, &crypto, fuzz_bundle(), &pool) < 0)
        pool = NULL;
    while (pool != NULL && in.len > 0 && n < FACTS_MAX) {
        facts[n] = take(pool, fuzz_chunk(&in), reader.signer.public_key);
        if (facts[n] == NULL)
            continue;
        if (last != NULL && last->kind == facts[n]->kind)
            FUZZ_CHECK((sl_fact_cmp(last, facts[n]) > 0) == (sl_fact_cmp(facts[n], last) < 0));
        last = facts[n++];
    }
    while (n > 0)
        sl_pool_unref(pool, facts[--n]);
    sl_pool_free(pool);
    FUZZ_CHECK(memory.live == 0);
    return 0;
}
