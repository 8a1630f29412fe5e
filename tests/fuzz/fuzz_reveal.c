/* fuzz_reveal.c: sections of a record or of vitals, in clear and sealed. What is read is of tenants
 * that there is a key of and that the certificate lists, and has names that it allows; keeping and
 * reading again shows nothing more. The input: how, then the bytes as they are; or pieces, a byte and
 * a chunk each, of which some are sealed here, as by a member that has keys. */
#include "node/sections.h"

#include "node/crypto.h"
#include "node/rights.h"
#include "store/section.h"
#include "tests/fuzz/fuzz.h"

const struct fuzz_cost fuzz_cost = {0}; /* it allocates nothing */

enum { VITALS = 1, PIECES = 2, ONE_KEY = 4, LISTED = 8, NAMED = 16 };

static struct sl_crypto crypto;
static struct sl_keyring all_keys, blue_key;
static const uint8_t flock[SL_FLOCK_LEN] = {1};
static const struct sl_id origin = {{2}};
static const char *const tenants[] = {"blue", "red"};
static struct sl_tenant_epoch epochs[SL_COUNT(tenants)];
static uint8_t keys[SL_COUNT(tenants)][32];
static struct sl_reveal reader;

static void begin(void)
{
    static const uint8_t seed[32] = {3};
    FUZZ_CHECK(sl_crypto_setup() == 0);
    crypto = sl_crypto_port(NULL);
    sl_keyring_init(&all_keys, flock);
    blue_key = all_keys;
    sl_keyring_take_seed(&all_keys, seed);
    for (size_t i = 0; i < SL_COUNT(tenants); i++) {
        epochs[i].epoch = 1;
        sl_tenant_id(&crypto, flock, tenants[i], epochs[i].tenant);
        sl_tenant_key(all_keys.root, epochs[i].tenant, 1, keys[i]);
    }
    FUZZ_CHECK(sl_keyring_add(&blue_key, &epochs[0], keys[0]) == 0);
    reader = (struct sl_reveal){.crypto = &crypto, .flock = flock};
}

/* The pieces as one array; those that do not fit are left out. */
static struct sl_span build(struct sl_span in, enum sl_kind kind)
{
    static uint8_t pieces[SL_RECORD_MAX], bytes[SL_RECORD_MAX + 8], sealed[SL_RECORD_MAX];
    static const uint8_t chance[16] = {0};
    struct sl_pack w, whole;
    size_t n = 0;
    sl_pack_init(&w, pieces, sizeof pieces);
    while (in.len > 0 && !w.failed) {
        uint8_t what = fuzz_byte(&in);
        struct sl_span chunk = fuzz_chunk(&in);
        size_t t = what >> 1 & 1, len = w.len;
        if ((what & 1) == 0)
            sl_pack_raw(&w, chunk);
        else
            sl_pack_bin(&w, sealed,
                        sl_section_seal(keys[t], &epochs[t], flock, kind, &origin, chance, chunk,
                                        sealed, sizeof sealed));
        if (w.failed)
            w.len = len;
        else
            n++;
    }
    sl_pack_init(&whole, bytes, sizeof bytes);
    sl_pack_array(&whole, n);
    sl_pack_raw(&whole, sl_span_of(pieces, w.len));
    return sl_span_of(bytes, whole.failed ? 0 : whole.len);
}

/* How many services are read; all of them may be. */
static size_t check_record(struct sl_span plain, uint8_t how, const struct sl_cert *cert)
{
    static struct sl_service s;
    struct sl_sections it;
    size_t n = 0;
    int r;
    sl_sections_begin(&it, plain);
    while ((r = sl_sections_next(&it, &s)) != 0) {
        if (r < 0)
            continue;
        bool blue = strcmp(s.tenant, "blue") == 0;
        bool red = strcmp(s.tenant, "red") == 0 && (how & (ONE_KEY | LISTED)) == 0;
        FUZZ_CHECK(blue || red || strcmp(s.tenant, "default") == 0);
        FUZZ_CHECK(sl_cert_may_offer(cert, s.name));
        n++;
    }
    FUZZ_CHECK(n <= SL_SERVICES_MAX);
    return n;
}

static size_t check_vitals(struct sl_span plain)
{
    static struct sl_service_vitals vitals[SL_SERVICES_MAX];
    size_t n = 0, n_refused;
    return sl_sections_read_vitals(plain, vitals, &n, &n_refused) ? n : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[SL_RECORD_MAX + 8];
    struct sl_span in = sl_span_of(data, size);
    struct sl_cert cert;
    memset(&cert, 0, sizeof cert);
    if (reader.crypto == NULL)
        begin();
    uint8_t how = fuzz_byte(&in);
    enum sl_kind kind = (how & VITALS) != 0 ? SL_VITALS : SL_RECORD;
    reader.keyring = (how & ONE_KEY) != 0 ? &blue_key : &all_keys;
    if ((how & LISTED) != 0)
        memcpy(cert.tenants[cert.n_tenants++], epochs[0].tenant, sizeof cert.tenants[0]);
    if ((how & NAMED) != 0)
        memcpy(cert.patterns[cert.n_patterns++], "*a*i", 5);
    struct sl_span said = (how & PIECES) != 0 ? build(in, kind) : in;
    if (said.len > SL_RECORD_MAX)
        said.len = SL_RECORD_MAX;

    struct sl_span plain = sl_sections_reveal(&reader, kind, &origin, &cert, said);
    FUZZ_CHECK(plain.len <= said.len + 3);
    size_t n = kind == SL_RECORD ? check_record(plain, how, &cert) : check_vitals(plain);
    struct sl_span kept = sl_sections_keep(&reader, kind, &origin, &cert, said, room);
    FUZZ_CHECK(kept.len <= said.len);
    plain = sl_sections_reveal_kept(&reader, kind, &origin, kept);
    FUZZ_CHECK((kind == SL_RECORD ? check_record(plain, how, &cert) : check_vitals(plain)) <= n);
    return 0;
}
