/* fuzz_snapshot.c: the file of who offered what. As it is read from a disk, where nothing passes
 * that this node did not seal; and sealed anew, so that what is behind the seal is read as well.
 * The input: how, then the file or its entries. */
#include "node/sections.h"
#include "node/snapshot_file.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "node/crypto.h"
#include "tests/fuzz/fuzz.h"

/* The copy that is sealed is made here. */
const struct fuzz_cost fuzz_cost = {.fixed = 256, .per_byte = 1};

/* What is remembered goes to the store as it would after a restart. */
static void check_sections(const struct sl_snapshot_entry *e)
{
    static const uint8_t flock[SL_FLOCK_LEN] = {1};
    static struct sl_keyring keyring;
    static struct sl_reveal reader;
    struct sl_crypto crypto = sl_crypto_port(NULL);
    sl_keyring_init(&keyring, flock);
    reader.crypto = &crypto;
    reader.keyring = &keyring;
    reader.flock = flock;
    FUZZ_CHECK(sl_sections_reveal_kept(&reader, SL_RECORD, &e->id, e->record).len <= e->record.len);
    FUZZ_CHECK(sl_sections_reveal_kept(&reader, SL_VITALS, &e->id, e->vitals).len <= e->vitals.len);
}

static void check_entries(struct sl_span entries)
{
    struct sl_snapshot_entry e;
    struct sl_span whole = entries;
    static uint8_t out[SL_RECORD_MAX + SL_VITALS_MAX + 1024];
    while (sl_snapshot_next(&entries, &e)) {
        struct sl_pack w;
        FUZZ_CHECK(fuzz_inside(entries, whole));
        FUZZ_CHECK(fuzz_inside(e.record, whole) && fuzz_inside(e.vitals, whole));
        FUZZ_CHECK(sl_name_ok(e.name, strlen(e.name)));
        sl_snapshot_begin(&w, out, sizeof out);
        FUZZ_CHECK(sl_snapshot_add(&w, &e));
        check_sections(&e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_person self;
    static struct sl_snapshot_owner owner;
    static uint8_t seed[32];
    struct sl_span in = sl_span_of(data, size), entries;
    int64_t written_s;
    if (self.cert_len == 0) {
        fuzz_person(&self, 1);
        sl_snapshot_owner_init(&owner, &self.crypto, fuzz_bundle()->flock, &self.id, seed);
    }
    uint8_t how = fuzz_byte(&in);
    if ((how & 1) == 0) {
        if (sl_snapshot_check(in, &owner, FUZZ_WALL_S, &entries, &written_s) == NULL)
            check_entries(entries);
        return 0;
    }
    /* The head and its seal are written over: an exact copy, so that a read too far is seen. */
    struct sl_pack w;
    sl_snapshot_begin(&w, NULL, SIZE_MAX);
    size_t head = w.len, whole = head + in.len;
    uint8_t *file = malloc(whole);
    if (file == NULL)
        return 0;
    if (in.len > 0)
        memcpy(file + head, in.p, in.len);
    w = (struct sl_pack){.p = file, .cap = whole, .len = whole};
    FUZZ_CHECK(sl_snapshot_end(&w, &owner, FUZZ_WALL_S - how) == whole);
    if (sl_snapshot_check(sl_span_of(file, whole), &owner, FUZZ_WALL_S, &entries, &written_s) ==
        NULL) {
        FUZZ_CHECK(written_s == FUZZ_WALL_S - how && entries.len == in.len);
        check_entries(entries);
    }
    free(file);
    return 0;
}
