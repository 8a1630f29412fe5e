/* params.h: the protocol's constants, each with its unit, its reason and its section of PROTOCOL.md. */
#ifndef SL_GOSSIP_PARAMS_H
#define SL_GOSSIP_PARAMS_H

#include "base/types.h"

/* "Overlay" */
#define SL_HOST_SKIP 2           /* successors on the own host that are passed for one on another */
#define SL_ZONE_LOOK 24          /* successors among which one of the own zone is looked for */
#define SL_EDGES_PER_SECOND 10   /* new edges a node dials */
#define SL_EDGES_BURST 20        /* so that a small flock is whole at once */
#define SL_RING_SETTLE SL_MS(150) /* after a newcomer, before neighbours are looked for */
#define SL_RING_SETTLE_MAX SL_SEC(1) /* after the first of many */
#define SL_PREDECESSOR_WAIT SL_SEC(2) /* the one in front dials; after this, we do */
#define SL_EDGE_LINGER SL_SEC(5) /* an edge nobody here wants any more stays this long */
#define SL_WATCHER_SLACK 2       /* ring places by which two views may differ about who watches whom */
#define SL_RING_WALK_MAX 64      /* steps over the down on one ring, each way */

/* "Watching in shifts" */
#define SL_SHIFT_MAX SL_SEC(16)
#define SL_SHIFT_EDGES 12        /* with more edges a shift is SL_SHIFT_MAX */
#define SL_SLOTS 32              /* places of the next beat to choose from, in a shift around the present one */
#define SL_SLOTS_ALL ((UINT64_C(1) << SL_SLOTS) - 1)
#define SL_GAP_MAX SL_SEC(2)      /* nobody looks at a node for longer than this: an extra beat */
#define SL_GAP_LOOK SL_SEC(1)    /* so far into the gap */
#define SL_LOOK_GAP SL_SEC(4)    /* between looks at all edges, when two fail */
#define SL_BEAT_TIMEOUT SL_MS(550)       /* a freeze of 2 s must end before two rounds of two do */
#define SL_BEAT_TIMEOUT_SMALL SL_MS(750) /* below SL_EDGES_SMALL edges */
#define SL_EDGES_SMALL 8
#define SL_EDGES_TINY 3          /* below: repeat twice, for nobody else can be asked */
#define SL_PROMISE_GRACE SL_MS(150)
#define SL_RTT_TIMEOUT_MAX SL_SEC(3)
#define SL_RTT_FIRST_MAX SL_MS(250) /* what a first sample is believed up to */
#define SL_RETRY_FAST SL_SEC(1)  /* to a failing neighbour, up to SL_RETRY_FAST_N times */
#define SL_RETRY_FAST_N 8
#define SL_RETRY_SLOW SL_SEC(4)
#define SL_RETRY_DOWN SL_SEC(15) /* once it is down for SL_DOWN_LONG; give or take a fifth */
#define SL_DOWN_LONG SL_SEC(60)
#define SL_SETTLE SL_SEC(1)      /* to twice that after an edge came up its roots are compared again */
#define SL_STALL SL_MS(200)      /* this late, we were stalled */
#define SL_STALL_LONG SL_SEC(1)  /* others may have noticed: publish fresh vitals */
#define SL_DOUBT_HOLD SL_SEC(3)  /* after a stall no new verdict of down */

/* "Verdicts" */
#define SL_VOICE_HOLD SL_MS(500)   /* three quarters, of who has answered: a gap between answers (200), a packet
                                    * sent again (200), and the way there and back */
#define SL_HALF_HOLD SL_SEC(2)     /* half of the watchers, without a break */
#define SL_SUSPECT_HOLD SL_SEC(5)  /* an eighth of them, without an answer */
#define SL_WATCHERS_DIFFER 2       /* so many fewer others may count than the accused does */
#define SL_RETURN_HOLD SL_SEC(3)   /* who just came back is not felled, and does not fell */
#define SL_ACCUSE_BACKOFF_MAX SL_SEC(64)
#define SL_GOOD_RESET SL_SEC(4)    /* an edge that worked this long starts its back-off anew */
#define SL_ANSWER_GAP SL_MS(200)   /* between answers when enough accuse me to matter */
#define SL_ANSWER_BACKOFF_MAX SL_SEC(64)
#define SL_NAMED_BURST 8           /* answers that one peer's beats may ask of me at once */
#define SL_NAMED_GAP SL_SEC(16)    /* and then */
#define SL_AGAIN_GAP SL_SEC(60)     /* between two times that our record is said again, since others have forgotten us */
#define SL_DENY_AFTER 3             /* answers within SL_QUIET_RESET, and an accuser is denied */
#define SL_DOUBTERS_MAX 16
#define SL_FLAP_WINDOW SL_SEC(120)  /* who comes back twice within it stays suspect */
#define SL_FLAP_HOLD SL_SEC(2)      /* at first; doubles */
#define SL_FLAP_HOLD_MAX SL_SEC(32)
#define SL_FLAPS_MAX 64
#define SL_QUIET_RESET SL_SEC(600) /* back-offs start anew after this long without cause */

/* "Spreading" */
#define SL_SPREAD_REFUSED SL_MS(2)
#define SL_SPREAD_URGENT SL_MS(10)
#define SL_SPREAD_LOW SL_MS(50)
#define SL_SPREAD_HIGH SL_MS(100)
#define SL_SIGHTINGS_GAP_MIN SL_MS(50)
#define SL_SIGHTINGS_GAP_MAX SL_MS(800)
#define SL_FACT_PRICE 1024 /* bytes of a fact that take as much of its origin's quota as another fact */
#define SL_OWN_BURST 40 /* of SL_FACTS_BURST: facts of our own sent at once */
#define SL_SIGHTINGS_BURST 30 /* versions of one origin's that are passed on, then one in: */
#define SL_SIGHTINGS_EARN SL_SEC(30)
#define SL_SIGHTINGS_WIDE 4   /* of the burst go to everybody; the others to the eager half of the neighbours */
#define SL_SIGHTINGS_TAKE 20  /* of the origin's quota for each version beyond: one in two seconds */
#define SL_SIGHTINGS_SPARE 20 /* and so much of it stays for its other facts */
#define SL_WITHDRAW_GATHER SL_MS(200)
#define SL_EDGE_BYTES_PER_SECOND (128 * 1024)
#define SL_EDGE_BYTES_BURST (512 * 1024)
#define SL_PAGE (32 * 1024)

/* "Reconciling" */
#define SL_SYNC_WAIT SL_SEC(1) /* roots may differ this long: news on its way */
#define SL_SYNC_QUIET SL_MS(200)  /* news is pouring in while it came less than this ago */
#define SL_SYNC_BUSY_MAX SL_SEC(4) /* but no longer than this */
#define SL_SYNC_BACKOFF_MAX SL_SEC(30)
#define SL_SYNC_LIST_MAX 48    /* facts in a subtree that are listed instead of split */
#define SL_SYNC_ENTRIES_MAX 512  /* of one list */
#define SL_SYNC_BYTES_PER_SECOND (32 * 1024) /* of sums and lists that one link may ask for, */
#define SL_SYNC_BYTES_BURST (1024 * 1024)    /* and once: two halves of 10,000 that have nothing in common ask for less */

/* "Joining, leaving, healing" */
#define SL_HELLO_TIMEOUT SL_SEC(3)
#define SL_LOBBY_TIMEOUT SL_SEC(2)
#define SL_BAD_MAX 3            /* messages that cannot be read, or forged facts, of one link: then it is cut */
#define SL_EXCESS_GAP SL_MS(500) /* a peer's own facts beyond its quota: two a second do no harm, */
#define SL_EXCESS_MAX SL_SEC(100) /* 200 more, and its link is cut as well */
#define SL_STRANGE_GAP SL_MS(100) /* records that do not hold: ten a second of one link are looked at, */
#define SL_STRANGE_MAX SL_SEC(5)  /* and 50 at once */
#define SL_REPEATS_PER_SECOND 20 /* facts of one link that are no news: as many as were news to us meanwhile, these, */
#define SL_REPEATS_BURST 500      /* and once so many and twice all that we hold */
#define SL_FOUL_HOLD SL_SEC(60) /* and its peer is refused for so long */
#define SL_FOULS_MAX 32
#define SL_TOLD_BURST (3 * 1024 * 1024) /* bytes of revocations that the hellos of one peer may ask for: all of them twice, */
#define SL_TOLD_PER_SECOND (64 * 1024)  /* and again every 21 s */
#define SL_TOLD_MAX 32
#define SL_ADMIT_PER_SECOND 200
#define SL_SEEDS_KEPT 1024
#define SL_SEED_DIALS 3 /* at once */
#define SL_LINKS_ACCEPT_MAX 128 /* connections, beyond which no more are accepted: own dials keep their places, */
#define SL_LINKS_DIAL_MAX 148   /* and wait from here on: whatever happens, 150 descriptors are enough */
#define SL_REFER_MAX 4      /* members named to who finds no room */
#define SL_REFER_LINGER SL_SEC(1)
#define SL_ENDS_EVERY SL_SEC(10) /* between two looks at the certificates of live links */
#define SL_OUTLIVES_S 3600 /* seconds that a link outlives them */
#define SL_REFUSALS_EVERY SL_SEC(60) /* between two warnings about refused hellos */
#define SL_SEED_BACKOFF SL_SEC(1)
#define SL_SEED_BACKOFF_MAX SL_SEC(900)
#define SL_SEED_ALONE_MAX SL_SEC(5) /* while nobody else is known */
#define SL_GUEST_LINGER SL_SEC(10) /* who has proven itself and shows no record */
#define SL_MEETING_MIN SL_SEC(100) /* a meeting costs some 4 KB: 40 bytes a second */
#define SL_MEETING_MAX SL_SEC(900)
#define SL_MEETING_CUT_OFF SL_SEC(4) /* while half of the edges fail */
#define SL_MEETING_ALONE SL_MS(500) /* while all of them do */
#define SL_FORLORN 3 /* edges that work, when half of them fail: so few are kept, whoever they lead to */
#define SL_PUBLISH_AGAIN SL_SEC(1) /* what memory was missing for */
#define SL_LEAVE_ACKS 2
#define SL_FORGET_LASTING SL_SEC(24 * 3600)
#define SL_FORGET_FLEETING SL_SEC(600)
#define SL_FORGET_LEFT SL_SEC(120)
#define SL_FORGET_PART 10 /* of that time over, who is down is forgotten when others say that they have */
#define SL_TWINS_HOLD SL_SEC(10) /* two of one name live for so long: a conflict */
#define SL_GRAVES_MAX 20000

#endif
