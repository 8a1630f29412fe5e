/* snapshot_file.c: who offered what, as bytes on disk. The seal is checked before anything behind
 * it is read; what is read then still goes through the bounded reader, for a version to come may
 * write what this one does not understand. */
#include "node/snapshot_file.h"

#include <sodium.h>

#include "base/bytes.h"
#include "store/store.h"

static const char magic[16] = "starling/1 seen";
static const char seal_domain[] = "starling/1 seal"; /* hashed with its NUL */

enum {
    AT_FLOCK = sizeof magic,
    AT_ID = AT_FLOCK + SL_FLOCK_LEN,
    AT_WALL = AT_ID + SL_ID_LEN,
    AT_SEAL = AT_WALL + 8,
    SEAL_LEN = 32,
    AT_ENTRIES = AT_SEAL + SEAL_LEN,
    N_FIELDS = 8,
    FIELDS_MIN = 7, /* before there was a serial */
    FIELDS_MAX = 16 /* of a later version */
};

void sl_snapshot_owner_init(struct sl_snapshot_owner *owner, const struct sl_crypto *crypto,
                            const uint8_t flock[SL_FLOCK_LEN], const struct sl_id *id,
                            const uint8_t seed[32])
{
    const struct sl_span parts[] = {sl_span_of(seal_domain, sizeof seal_domain),
                                    sl_span_of(flock, SL_FLOCK_LEN)};
    owner->crypto = crypto;
    memcpy(owner->flock, flock, sizeof owner->flock);
    owner->id = *id;
    crypto->hash(crypto->context, owner->key, sizeof owner->key, seed, 32, parts, SL_COUNT(parts));
}

void sl_snapshot_owner_fini(struct sl_snapshot_owner *owner)
{
    sodium_memzero(owner, sizeof *owner);
}

static void seal(const struct sl_snapshot_owner *owner, struct sl_span file, uint8_t out[SEAL_LEN])
{
    const struct sl_span parts[] = {sl_span_of(file.p, AT_SEAL),
                                    sl_span_of(file.p + AT_ENTRIES, file.len - AT_ENTRIES)};
    owner->crypto->hash(owner->crypto->context, out, SEAL_LEN, owner->key, sizeof owner->key, parts,
                        SL_COUNT(parts));
}

/* ---- writing ------------------------------------------------------------------------------ */

void sl_snapshot_begin(struct sl_pack *w, void *buffer, size_t cap)
{
    sl_pack_init(w, buffer, cap);
    w->failed = cap < AT_ENTRIES;
    if (!w->failed)
        w->len = AT_ENTRIES;
}

bool sl_snapshot_add(struct sl_pack *w, const struct sl_snapshot_entry *entry)
{
    uint8_t addr[SL_ADDR_BYTES];
    size_t len = w->len, addr_len = sl_addr_write(&entry->addr, addr);
    if (w->failed)
        return false;
    sl_pack_array(w, N_FIELDS);
    sl_pack_bin(w, entry->id.b, SL_ID_LEN);
    sl_pack_str(w, entry->name, strlen(entry->name));
    sl_pack_str(w, entry->zone, strlen(entry->zone));
    sl_pack_bin(w, addr, addr_len);
    sl_pack_uint(w, entry->epoch);
    sl_pack_bin(w, entry->record.p, entry->record.len);
    sl_pack_bin(w, entry->vitals.p, entry->vitals.len);
    sl_pack_bin(w, entry->serial, sizeof entry->serial);
    if (!w->failed)
        return true;
    w->failed = false;
    w->len = len;
    return false;
}

struct sl_span sl_snapshot_entries(const struct sl_pack *w)
{
    return w->failed ? (struct sl_span){0} : sl_span_of(w->p + AT_ENTRIES, w->len - AT_ENTRIES);
}

size_t sl_snapshot_end(struct sl_pack *w, const struct sl_snapshot_owner *owner, int64_t wall_s)
{
    if (w->failed)
        return 0;
    memcpy(w->p, magic, sizeof magic);
    memcpy(w->p + AT_FLOCK, owner->flock, SL_FLOCK_LEN);
    memcpy(w->p + AT_ID, owner->id.b, SL_ID_LEN);
    sl_put64(w->p + AT_WALL, (uint64_t)wall_s);
    seal(owner, sl_span_of(w->p, w->len), w->p + AT_SEAL);
    return w->len;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool read_name(struct sl_read *r, char out[SL_NAME_LEN_MAX + 1], bool may_be_empty)
{
    struct sl_span text;
    if (!sl_read_str(r, SL_NAME_LEN_MAX, &text))
        return false;
    if (!(may_be_empty && text.len == 0) && !sl_name_ok((const char *)text.p, text.len))
        return false;
    sl_copy_text(out, SL_NAME_LEN_MAX + 1, (const char *)text.p, text.len);
    return true;
}

bool sl_snapshot_next(struct sl_span *entries, struct sl_snapshot_entry *ret)
{
    struct sl_snapshot_entry e = {.epoch = 0};
    struct sl_read r;
    struct sl_span addr;
    size_t n;
    if (entries->len == 0)
        return false;
    /* A reader for each: it bounds the elements of one message, and this is as many as members. */
    sl_read_init(&r, entries->p, entries->len);
    if (!sl_read_array(&r, FIELDS_MAX, &n) || n < FIELDS_MIN ||
        !sl_read_fixed(&r, e.id.b, SL_ID_LEN) || !read_name(&r, e.name, false) ||
        !read_name(&r, e.zone, true) || !sl_read_bin(&r, SL_ADDR_BYTES, &addr) ||
        !sl_addr_read(addr, &e.addr) || !sl_read_uint(&r, INT64_MAX, &e.epoch) ||
        !sl_read_bin(&r, SL_RECORD_SECTIONS_MAX, &e.record) ||
        !sl_read_bin(&r, SL_VITALS_SECTIONS_MAX, &e.vitals) ||
        (n >= N_FIELDS && !sl_read_fixed(&r, e.serial, sizeof e.serial)) ||
        !sl_read_skip(&r, n > N_FIELDS ? n - N_FIELDS : 0))
        return false;
    *entries = sl_span_of(r.p, (size_t)(r.end - r.p));
    *ret = e;
    return true;
}

const char *sl_snapshot_check(struct sl_span file, const struct sl_snapshot_owner *owner,
                              int64_t wall_s, struct sl_span *ret_entries, int64_t *ret_written_s)
{
    uint8_t expected[SEAL_LEN];
    struct sl_snapshot_entry entry;
    if (file.len < AT_ENTRIES || memcmp(file.p, magic, sizeof magic) != 0)
        return "is cut off, or not a snapshot of this version";
    if (memcmp(file.p + AT_FLOCK, owner->flock, SL_FLOCK_LEN) != 0)
        return "is about another flock";
    if (memcmp(file.p + AT_ID, owner->id.b, SL_ID_LEN) != 0)
        return "was written by another node";
    seal(owner, file, expected);
    if (sodium_memcmp(expected, file.p + AT_SEAL, SEAL_LEN) != 0)
        return "is damaged, or was not written by this node";

    /* Sealed, so the time is what our clock said; and no difference of two such overflows. */
    int64_t written_s = (int64_t)sl_get64(file.p + AT_WALL);
    if (written_s > wall_s + SL_SNAPSHOT_AHEAD_S)
        return "is from the future by this host's clock";
    if (wall_s - written_s >= SL_SNAPSHOT_LIFE_S)
        return "is older than a day";
    struct sl_span entries = sl_span_of(file.p + AT_ENTRIES, file.len - AT_ENTRIES), rest = entries;
    while (sl_snapshot_next(&rest, &entry))
        continue;
    if (rest.len > 0)
        return "says what this version does not understand";
    *ret_entries = entries;
    *ret_written_s = written_s;
    return NULL;
}
