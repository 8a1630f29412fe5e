/* snapshot_file.h: who offered what, as bytes on disk: STATE/snapshot.
 *
 *     "starling/1 seen\0" 16 | flock 16 | node id 16 | wall clock, s 8 | seal 32 | entries
 *
 * An entry is one member, [id, name, zone, address, epoch, record sections, vitals sections, serial] in
 * MessagePack: what store/ is fed, not the signed facts, for these would have to be verified one by
 * one (100 us a member). Instead the whole is sealed: hashed under a key that is derived from the
 * node's own. Who can make a seal has the node's key and could speak in its name; what a crash, a
 * disk or somebody else's file did to the bytes does not pass it. */
#ifndef SL_NODE_SNAPSHOT_FILE_H
#define SL_NODE_SNAPSHOT_FILE_H

#include "base/addr.h"
#include "base/pack.h"
#include "base/port.h"
#include "gossip/cert.h"

/* 10,000 members that say 400 bytes each; whom there is no room for is left out. */
#define SL_SNAPSHOT_BYTES_MAX (4 * 1024 * 1024)
#define SL_SNAPSHOT_LIFE_S (24 * 3600) /* older is not served any more */
#define SL_SNAPSHOT_AHEAD_S 600        /* by which the clock may have been set back since */

/* Whose the file is. */
struct sl_snapshot_owner {
    const struct sl_crypto *crypto; /* borrowed */
    uint8_t flock[SL_FLOCK_LEN];
    struct sl_id id;
    uint8_t key[32];
};

struct sl_snapshot_entry {
    struct sl_id id;
    char name[SL_NAME_LEN_MAX + 1];
    char zone[SL_NAME_LEN_MAX + 1]; /* "" = none */
    struct sl_addr addr;
    uint64_t epoch;
    uint8_t serial[16];            /* of its certificate; 0 = an older file does not say */
    struct sl_span record, vitals; /* sections; borrowed */
};

/* `seed` is the secret half of the node's identity. */
void sl_snapshot_owner_init(struct sl_snapshot_owner *owner, const struct sl_crypto *crypto,
                            const uint8_t flock[SL_FLOCK_LEN], const struct sl_id *id,
                            const uint8_t seed[32]);
/* Wipes the key. */
void sl_snapshot_owner_fini(struct sl_snapshot_owner *owner);

/* Writing, into a buffer of the caller's. */
void sl_snapshot_begin(struct sl_pack *w, void *buffer, size_t cap);
/* False: there is no room for it, and nothing changed. */
bool sl_snapshot_add(struct sl_pack *w, const struct sl_snapshot_entry *entry);
/* The bytes of the entries alone. */
struct sl_span sl_snapshot_entries(const struct sl_pack *w);
/* Seal it. Length of the whole, 0 when the buffer was too small for anything. */
size_t sl_snapshot_end(struct sl_pack *w, const struct sl_snapshot_owner *owner, int64_t wall_s);

/* Reading. NULL, and the entries (borrowed) with the wall clock they were written at; or why the
 * file counts for nothing, as words behind its name. */
const char *sl_snapshot_check(struct sl_span file, const struct sl_snapshot_owner *owner,
                              int64_t wall_s, struct sl_span *ret_entries, int64_t *ret_written_s);
/* The next entry, which is taken off *entries. False: there is none, or (entries->len > 0) it is
 * malformed, which sl_snapshot_check would have found. */
bool sl_snapshot_next(struct sl_span *entries, struct sl_snapshot_entry *ret) SL_MUST_USE;

#endif
