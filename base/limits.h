/* limits.h: every bound on what somebody else can make this process hold or do, in one place.
 * Checked before anything is allocated; what exceeds one is refused and counted. The numbers are
 * part of the protocol (docs/PROTOCOL.md, "Limits"): all nodes of a flock use the same. */
#ifndef SL_BASE_LIMITS_H
#define SL_BASE_LIMITS_H

#define SL_FRAME_MAX (128 * 1024) /* bytes of one message on the wire */
#define SL_LOBBY_FRAME_MAX 1024   /* bytes of the one message a peer may send before m1 is proven */
#define SL_RECORD_MAX (16 * 1024) /* bytes of a record, header and signature included */
#define SL_VITALS_MAX (4 * 1024)  /* likewise */
#define SL_SIGHTINGS_MAX (4 * 1024) /* likewise */
#define SL_UNKNOWN_MAX 1024         /* bytes of a fact of a kind this version does not know */
#define SL_LATER_KINDS_MAX 4        /* of those kinds one origin may have */
#define SL_SIGHTING_ENTRIES_MAX 64
#define SL_MEMBERS_MAX 20000
#define SL_CERT_MAX 640
#define SL_REVOKED_MAX 10000 /* certificates taken back */
#define SL_READ_DEPTH_MAX 8     /* nesting of MessagePack */
#define SL_READ_NODES_MAX 65536 /* elements of one message */
#define SL_LINKS_MAX 256        /* connections of one node, each way together */
#define SL_FACTS_PER_SECOND 10  /* of one origin, as accepted from the flock */
#define SL_FACTS_BURST 50
#define SL_NAME_LEN_MAX 63
#define SL_SERVICES_MAX 64

#endif
