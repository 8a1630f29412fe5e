/* snapshot.h: what a node knew of who offers what outlives it in the state directory, so that it
 * finds others as soon as it is open again: marked stale, until the flock has answered.
 *
 * Remembered members are in the store as suspect ones: nobody here has reached them. So whoever is
 * known to be alive is picked before them, and nobody who waits for members or fit instances is
 * told that they are there. The core knows nothing of them: a member is who proves itself. */
#ifndef SL_NODE_SNAPSHOT_H
#define SL_NODE_SNAPSHOT_H

#include <starling.h>

#include "node/snapshot_file.h"

struct sl_snapshot {
    struct sl_snapshot_owner owner;
    bool kept; /* there is a state directory */

    /* From the file, by id; NULL = none, or the flock has answered. */
    struct sl_remembered {
        struct sl_id id;
        uint64_t epoch;
        uint8_t serial[16];
        bool known; /* the core has a record of it by now */
    } * remembered;
    size_t n_remembered, n_missing; /* n_missing: of these not known */
    size_t n_revoked; /* bytes of revocations that they were looked through for */
    sl_usec expire_at;              /* nobody answered for a day: nothing is served any more */
    sl_usec answered_at;            /* somebody is connected since; SL_NEVER = nobody is */
    sl_usec grew_at;                /* since then nobody was new */
    size_t n_members;               /* in the core then */

    bool seen_any;    /* of the flock, since the start */
    bool changed;     /* since it was written */
    sl_usec save_at;  /* not before */
    sl_usec again_at; /* even when nothing changed: the file's age is counted from its writing */
    uint64_t sum;     /* of the entries as written */
    bool complained;  /* about a disk that refuses */
    struct sl_saving *saving; /* a file on its way to the disk, or NULL */
};

/* Feed the store with what is remembered, if anything is. Never fails: a file that does not serve
 * is a line in the log. */
void sl_snapshot_open(starling_node *node, sl_usec now);
/* Remembered members are served that the flock has not been asked about: what is seen is stale. */
bool sl_snapshot_waits(const starling_node *node);
/* How many of these nobody has spoken of since the start. */
size_t sl_snapshot_remembered(const starling_node *node);
/* Something about a member that is not this node changed. */
void sl_snapshot_changed(starling_node *node, sl_usec now);
/* The core has a record of this member, of this epoch. True when what the store has of it so far
 * was remembered from an earlier one, and says nothing about this. Once for each. */
bool sl_snapshot_heard(starling_node *node, const struct sl_id *id, uint64_t epoch);
/* Look whether the flock has answered; write when it is time. After the core's events were taken
 * and before they are published. */
void sl_snapshot_turn(starling_node *node, sl_usec now);
sl_usec sl_snapshot_deadline(const starling_node *node);
/* Around a change of this node's key, which seals the file: wait for the disk; seal anew. */
void sl_snapshot_pause(starling_node *node);
void sl_snapshot_rekey(starling_node *node, sl_usec now);
/* Write what is known now, before everybody is gone from sight. */
void sl_snapshot_leave(starling_node *node, sl_usec now);
/* Wait for the disk; nothing is served from memory any more but by the store. */
void sl_snapshot_close(starling_node *node);

#endif
