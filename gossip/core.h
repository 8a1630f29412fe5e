/* core.h: the core from the inside, for the files of this room only.
 *
 * How news travels through them:
 *
 *   gossip.c   the verbs; a message's first element says whose it is
 *     link.c   connections: hello, dialling, retiring
 *     join.c   whom to dial besides neighbours: seeds, referrals, meetings
 *     shift.c  when an edge looks
 *     watch.c  beats on edges, time-outs, self-doubt, what we accuse and answer
 *     table.c  members and their facts: merge, events, forgetting
 *     tree.c   the reconciliation tree: sums over those facts
 *     ring.c   who is whose neighbour
 *     verdict.c  accusations and what follows from them
 *     twins.c  two live nodes of one name
 *     clone.c  two processes with one key
 *     spread.c flooding; pages for whoever lacks something
 *     sync.c   finding out who lacks what
 *     self.c   what this node publishes of itself
 *     revoke.c certificates taken back
 *     renew.c  another certificate while everything runs
 *     out.c    the queue of things to do */
#ifndef SL_GOSSIP_CORE_H
#define SL_GOSSIP_CORE_H

#include "base/idmap.h"
#include "base/pack.h"
#include "gossip/gossip.h"
#include "gossip/hello.h"
#include "gossip/params.h"
#include "gossip/pool.h"
#include "gossip/revocation.h"

#define NONE UINT32_MAX
#define NEIGHBOURS_MAX (2 * SL_RINGS * (SL_RING_WALK_MAX + 1))

/* Messages on a proven link: [type, ...]. */
enum message {
    MSG_BEAT = 1,  /* seq, next scheduled beat in ms, root, against-epoch, against-seq */
    MSG_ECHO = 2,  /* seq of the beat, seq, next (or unwatched for) in ms, free slots, root, against-epoch, against-seq */
    MSG_ACK = 3,   /* seq of the echo, next in ms */
    MSG_FACTS = 4, /* fact, fact, ... */
    MSG_TREE = 5,  /* depth, prefix, root, 16 sums */
    MSG_LIST = 6,  /* depth, prefix, entries: id 16 | kind 1 | epoch 8 | seq 8 | hash 8 */
    MSG_WANT = 7,  /* entries: id 16 | kind 1 */
    MSG_HEARD = 8, /* your goodbye has been heard */
    MSG_REFER = 9, /* addresses: knock there, there is no room for you here */
    MSG_REVOKED = 10, /* last 0 or 1, entries of revocation.h in one bin */
    MSG_FORGOTTEN = 11 /* id, epoch, seq: nothing of it up to this is taken here any more */
};

/* ---- members ----------------------------------------------------------------------------
 *
 * This node's view of one other: kept small, since a simulator holds one for each pair of nodes, and by the
 * identity's number in the pool. Times are in tenths of a second since the core was made: 13 years. */

enum { DIRTY_STATUS = 1, DIRTY_RECORD = 2, DIRTY_VITALS = 4, DIRTY_FORGOTTEN = 8, DIRTY_QUEUED = 16 };

struct member {
    uint32_t fact[SL_KINDS]; /* by kind - 1, numbers in the pool + 1; the record is always there while in use */
    uint32_t heard;          /* something new of it was received */
    uint32_t since;          /* it went down, left or came back, or was first seen; never too early */
    uint32_t case_index;     /* in g->cases, NONE = nobody accuses it */
    uint32_t dirty_next;     /* the next one that has events */
    uint32_t later;          /* facts of kinds that this version does not know: in g->later, + 1; 0 = none */
    uint16_t quota_at;       /* low bits of the tenth in which quota_left was counted */
    uint8_t quota_left;
    uint8_t sighted_at;      /* low bits of the SL_SIGHTINGS_EARN in which sightings_left was counted */
    uint8_t sightings_left;  /* versions of its sightings that we still pass on */
    uint8_t status; /* enum sl_status */
    uint8_t dirty;
    bool used : 1, self : 1, in_tree : 1;
    bool gone : 1;     /* forgotten, waiting for its last event */
    bool returned : 1; /* it was down, and came back at `since` */
    bool accuses : 1;  /* there is somebody in its sightings */
};

/* ---- the tree: sums over (id, kind, version, hash), 16-fold, three levels under the root ---- */

#define TREE_DEPTH SL_TREE_DEPTH
#define TREE_NODES (1 + 16 + 256 + SL_TREE_LEAVES)

struct tree {
    uint64_t sum[TREE_NODES];
    uint32_t count[TREE_NODES]; /* facts below */
};

/* ---- connections and edges -------------------------------------------------------------- */

enum stage { STAGE_DIALLED, STAGE_ACCEPTED, STAGE_PROVEN };

struct conn {
    sl_link link; /* 0 = slot free */
    enum stage stage;
    bool ours; /* we dialled */
    struct sl_addr addr; /* dialled */
    struct sl_id id;     /* proven; of a dial to somebody in particular: whom we want */
    bool wants;
    uint8_t c_d[SL_KEY_LEN]; /* the dialler's */
    uint8_t *m1; /* what we sent, until m2 is here; owned */
    size_t m1_len;
    uint32_t member; /* of a proven one, once its record is known */
    sl_usec deadline; /* for the hello */
    unsigned bad;     /* messages that could not be read */
    unsigned forged;  /* facts that it brought and their origins did not sign */
    sl_usec excess, strange; /* until when what was refused of it counts: its own facts beyond its quota, records of
                              * whom no authority of ours knows */
    int64_t repeats; /* facts that were no news, less what may be such; negative: it may bring more */
    sl_usec repeats_at;
    uint64_t news_at; /* stats.facts_new then */
    int64_t sync_tokens; /* bytes of reconciliation that it may still ask for */
    sl_usec sync_at;
    bool told_heard;  /* we said that its goodbye was heard */
    uint8_t issuer[8], serial[16]; /* of the certificate that was proven, or that its record has brought since */
    int64_t not_after;             /* likewise, in seconds since 1970 */
    bool awaits_revoked; /* proven, and no fact is exchanged before it said what was revoked */
    sl_usec proven_at;
    sl_usec retire_at; /* nobody here wants it any more; SL_NEVER */
    int64_t tokens;    /* bytes it may still take */
    sl_usec tokens_at;
};

/* What this node has to do with one other: it is a ring neighbour, or there is a proven link to it. */
struct edge {
    uint32_t member;
    bool initiates;   /* of the pair, we beat on schedule: SipHash says */
    uint32_t conn;    /* slot of its proven connection, NONE */
    bool wanted;      /* a ring neighbour, or a down one that we have the duty to keep trying */
    bool eager;       /* gets all news, not the urgent alone */
    bool working;     /* an echo came over the present connection, and nothing failed since */

    /* the exchange under way */
    uint32_t first_seq; /* of our beats that no echo answered yet; 0 = none */
    sl_usec first_at, await_until;
    unsigned repeats;   /* left */
    uint32_t echo_seq;  /* our echo waits for its acknowledgement; 0 = no */
    sl_usec echo_at, ack_until;
    uint32_t scheduled_seq; /* of the last scheduled or extra beat, until its echo is here; 0 = no */
    bool extra;         /* that was an extra one */
    bool promised;      /* next_beat is known, to the one that beats or by its promise */
    sl_usec next_beat;  /* the scheduled or an extra one, or when the peer's promise is broken */
    sl_usec slot_at;    /* where we beat on schedule: the scheduled one */
    sl_usec compare_at; /* compare roots once more, when what the new edge brought has settled; SL_NEVER */

    /* trying */
    unsigned failures;  /* exchanges and dials that came to nothing since the last echo */
    bool refused;       /* the kernel, or whoever listens there now, said no */
    sl_usec next_try;   /* dial, or beat a failing one; SL_NEVER */
    sl_usec tried_at;
    sl_link probe;      /* SL_OUT_PROBE under way: its number, 0 = none */

    sl_usec named_until; /* its beats have asked us for answers: one in SL_NAMED_GAP takes it to here */

    /* what we say of it */
    uint8_t accused;    /* enum sl_how, 0 = nothing */
    bool told;          /* it is in what we last published */
    uint16_t place;     /* among the neighbours, in the order of the rings: where not all can be told, the first are */
    struct sl_version seen;
    sl_usec accuse_next, accuse_backoff;
    sl_usec good_since, good_for; /* it answers again since; it last did so for that long */

    sl_usec rtt; /* of the path; 0 = not measured */

    /* reconciliation */
    sl_usec differ_since; /* SL_NEVER = roots agree */
    sl_usec sync_at;      /* look again, and start an exchange if they still differ; SL_NEVER */
    bool sync_asked;      /* looked again: the next difference starts it */
    sl_usec sync_backoff;
};

/* ---- accusations ------------------------------------------------------------------------ */

#define ALL_RINGS ((1u << SL_RINGS) - 1) /* as bits */

struct accusation {
    uint32_t accuser;
    uint8_t how;
    uint8_t near;   /* on which rings, as bits, but for those unread since the case's vicinity changed there */
    uint8_t unread;
    struct sl_version seen;
};

/* Who watches a member in our view, and who is so near that in its own view it may. Kept with a case; of each ring,
 * until something changes on the stretch that it was read from. */
#define NEAR_MAX (2 * (SL_HOST_SKIP + 2 * SL_WATCHER_SLACK + 2))
struct vicinity {
    uint32_t near[SL_RINGS * NEAR_MAX]; /* ring after ring; NONE fills it up */
    uint32_t chosen[SL_RINGS][SL_HOST_SKIP + 2]; /* by it and of it; likewise */
    struct stretch {
        uint64_t from, length; /* in places of the ring, which has 2^64 */
    } seen[SL_RINGS];
    uint32_t watchers[SL_RINGS * (SL_HOST_SKIP + 2)]; /* all who were chosen, once: live ones */
    unsigned n_watchers;
    unsigned known; /* rings that are up to date, as bits */
    bool whole;
};

struct accused {
    uint32_t member;
    struct vicinity *around; /* owned */
    struct accusation *list;
    size_t n, cap;
    sl_usec most_since, half_since, eighth_since; /* SL_NEVER = not at the moment */
    uint64_t voice;                   /* epoch in which it answered one who is in the list still; 0 = none */
    sl_usec recheck;                  /* when time alone may change the verdict; SL_NEVER */
    bool open;                        /* something was said: to be judged before the verb ends */
    bool moved;                       /* a neighbour is down, back or gone: to be judged with g->judge_moved_at */
    bool majority;                    /* at least half of its live watchers accuse it */
};

/* A fact of a kind that a later version of the protocol has: kept, compared and passed on, not read. */
struct later {
    uint32_t fact; /* number in the pool + 1; 0 = free */
    uint32_t next; /* of the same member, or the next free one, + 1 */
};

/* A member that brought forged facts. */
struct foul {
    struct sl_id id;
    sl_usec until;
};

/* Somebody who was told all revocations. */
struct told {
    struct sl_id id;
    int64_t bytes; /* that it may still be told */
    sl_usec bytes_at; /* 0 = free */
};

struct waiting { /* a fact on its way out */
    uint32_t member;
    uint8_t kind;
    sl_usec due;
    uint64_t mask[SL_LINKS_MAX / 64]; /* connections that still get it */
};

struct seed {
    struct sl_addr addr;
    sl_usec next;
    sl_usec backoff;
    bool dialling;
    bool once; /* somebody referred us to it: tried and dropped */
};

struct grave {
    struct sl_id id;
    struct sl_version version;
    struct sl_fact *goodbye; /* what it said when it left, for who missed that; NULL = it was down. A reference. */
};

struct todo {
    struct sl_out out;
    uint8_t *bytes;
};

/* Somebody whom this node has answered. */
struct doubter {
    struct sl_id id;
    unsigned answers;
    sl_usec since; /* the first of them */
};

/* A member that came back from down. */
struct flap {
    uint32_t member;
    unsigned returns;
    sl_usec last, until; /* it stays suspect until then; SL_NEVER = not at the moment */
};

/* A member whose name another live one has. */
struct twin {
    uint32_t member;
    sl_usec due; /* still so then: told */
};

struct sl_gossip {
    struct sl_gossip_config config;
    struct sl_ports ports;
    uint8_t cert[SL_CERT_MAX];
    int64_t not_after; /* of it, in seconds since 1970 */
    struct sl_rand rand;
    struct sl_id id;
    sl_usec now;   /* of the verb being served */
    sl_usec due;   /* what deadline() said last */
    sl_usec started;

    struct sl_pool *pool;
    bool own_pool;
    struct member *members; /* by number in the pool; most of them in use */
    size_t n_slots, cap_slots;
    size_t n_members; /* in use, not gone */
    size_t n_ring;    /* those of them that have not left */
    size_t n_by_status[4];
    uint32_t self;
    struct later *later;
    size_t n_later, cap_later;
    uint32_t later_free;
    struct tree *tree;
    bool stray_accusations; /* somebody accuses an id that was not in the table */
    uint64_t named[64];     /* ids that are accused, as bits by what they hash to; some that no longer are */
    sl_usec next_sweep;
    sl_usec changed_at; /* something new was merged */
    sl_usec joining_until; /* a newcomer's first exchange is under way */

    sl_usec rings_due; /* our neighbours may be others now; SL_NEVER = no */
    sl_usec rings_grew; /* first newcomer since they were looked at; SL_NEVER */

    struct conn *conns; /* SL_LINKS_MAX slots at most */
    size_t n_conns, cap_conns;
    uint64_t next_link; /* odd */
    struct foul fouls[SL_FOULS_MAX]; /* a ring; whoever is pushed out of it is refused no longer */
    size_t next_foul;
    struct edge *edges;
    size_t n_edges, cap_edges;
    int64_t dial_tokens;
    sl_usec dial_tokens_at;
    int64_t admit_tokens, guest_tokens;
    sl_usec admit_tokens_at, guest_tokens_at;
    struct seed *seeds;
    size_t n_seeds, cap_seeds;
    sl_usec next_meeting, next_review;
    struct sl_revoked revoked;
    struct told told[SL_TOLD_MAX];
    sl_usec next_ends;          /* when to look whose certificate is over, if awake */
    sl_usec warn_refusals_at;   /* the next warning about a refused hello: not before */
    uint64_t n_refusals_unsaid; /* since the last */
    bool meeting_drawn;
    uint32_t meet_next; /* one after the other while cut off, so that nobody is left out */

    struct accused *cases;
    size_t n_cases, cap_cases;
    struct flap flaps[SL_FLAPS_MAX];
    size_t n_flaps;
    bool any_open;
    sl_usec judge_moved_at; /* somebody's status changed: cases that it stands near are judged again; SL_NEVER */
    sl_usec recheck_at;     /* the earliest `recheck` of all cases, or before it */
    sl_usec no_down_until;
    bool isolated;
    sl_usec look_next;  /* not before this all edges are looked at again */
    uint32_t beat_seq;

    /* what we publish */
    struct sl_span record_sections, vitals_sections; /* owned copies */
    uint64_t seq, answered, heard_seen; /* heard_seen: highest `seen` anybody held against us */
    uint64_t state;
    sl_usec record_due, vitals_due, sightings_due, answer_due; /* the record: when memory was missing */
    sl_usec record_again_at; /* when it was said once more, since somebody has forgotten us; 0 = never */
    bool vitals_urgent;
    sl_usec answer_backoff, answered_at;
    struct doubter doubters[SL_DOUBTERS_MAX];
    sl_usec sightings_at, sightings_gap;
    struct sl_sighting published[SL_SIGHTING_ENTRIES_MAX];
    size_t n_published;

    struct waiting *waiting;
    size_t n_waiting, cap_waiting;
    uint32_t *waiting_map; /* open addressing over (member, kind), index + 1 */
    size_t cap_waiting_map;
    uint32_t *flushing; /* scratch of spread_tick */
    size_t cap_flushing;
    sl_usec own_until; /* facts of our own, at the rate that others take, have been sent up to here */
    sl_usec spread_due, batch_at; /* batch_at: when what is not urgent goes, all together */

    bool leaving, left; /* left: told so */
    unsigned leave_acks, leave_needs;

    struct grave *graves;
    size_t n_graves, cap_graves;
    struct sl_idmap by_grave;

    struct todo *todo;
    size_t todo_head, n_todo, cap_todo;
    uint8_t *lent; /* bytes of the last next_out */
    size_t lent_len;
    struct sl_fact *lent_fact;
    uint32_t dirty_first, dirty_last; /* members that have events, by dirty_next; NONE = no */
    struct twin twins[16];
    size_t n_twins;
    struct sl_id conflicts[16];
    size_t n_conflicts;
    bool must_yield;  /* a live copy of this node was met: before the verb ends we give way */
    bool yielded;     /* no connections, and nothing is said, until there is another key */
    bool tell_stale, tell_left, tell_yielded;

    struct sl_gossip_stats stats;
};

static inline const struct sl_alloc *mem(const struct sl_gossip *g)
{
    return g->ports.alloc;
}

static inline struct member *member_at(const struct sl_gossip *g, uint32_t index)
{
    return &g->members[index];
}

static inline struct sl_fact *fact_of(const struct sl_gossip *g, const struct member *m, enum sl_kind kind)
{
    uint32_t number = m->fact[kind - 1];
    return number ? sl_pool_fact(g->pool, number - 1) : NULL;
}

/* Likewise, of any kind; and one after the other: *at is 0 at first. */
struct sl_fact *fact_of_any(const struct sl_gossip *g, const struct member *m, uint8_t kind);
struct sl_fact *fact_next(const struct sl_gossip *g, const struct member *m, uint32_t *at);

static inline const struct sl_who *who_at(const struct sl_gossip *g, uint32_t index)
{
    return fact_of(g, member_at(g, index), SL_RECORD)->who;
}

static inline const struct sl_id *id_at(const struct sl_gossip *g, uint32_t index)
{
    return &g->pool->identities[index].id;
}

static inline bool is_used(const struct sl_gossip *g, uint32_t index)
{
    return index < g->n_slots && g->members[index].used;
}

/* Which tenth of a second of this core's life it is; and when a later one began. */
static inline uint32_t tenth_of(const struct sl_gossip *g, sl_usec t)
{
    return (uint32_t)((t - g->started) / SL_MS(100));
}

static inline sl_usec since_of(const struct sl_gossip *g, const struct member *m)
{
    return g->started + m->since * SL_MS(100);
}

static inline bool is_live(const struct member *m)
{
    return m->status == SL_ALIVE || m->status == SL_SUSPECT;
}

/* out.c */
void out_send(struct sl_gossip *g, struct conn *c, const void *p, size_t len);
void out_simple(struct sl_gossip *g, enum sl_out_type type, sl_link link, const struct sl_addr *addr);
void out_free(struct sl_gossip *g);

/* table.c */
int table_init(struct sl_gossip *g);
void table_fini(struct sl_gossip *g);
uint32_t table_find(const struct sl_gossip *g, const struct sl_id *id);
struct sl_version newest(const struct sl_gossip *g, const struct member *m);
/* Whether this node's view has this very fact. */
static inline bool table_holds(const struct sl_gossip *g, const struct sl_fact *f)
{
    return is_used(g, f->identity) && fact_of_any(g, member_at(g, f->identity), f->kind) == f;
}
/* A fact as received; from = slot of the connection, NONE for our own. True when it was new. */
bool table_merge(struct sl_gossip *g, struct sl_span bytes, uint32_t from);
void table_set_status(struct sl_gossip *g, uint32_t index, enum sl_status status);
void table_mark(struct sl_gossip *g, uint32_t index, unsigned dirty);
void table_conflict(struct sl_gossip *g, const struct sl_id *id);
void table_sweep(struct sl_gossip *g);
void table_put_out(struct sl_gossip *g, uint32_t index);
/* The goodbye of somebody forgotten who said one, or NULL. */
struct sl_fact *grave_goodbye(const struct sl_gossip *g, const struct sl_id *id);
bool grave_holds(const struct sl_gossip *g, const struct sl_id *id, struct sl_version version);
/* Tells a peer that we have a grave for `id`, which must be so. */
void grave_tell(struct sl_gossip *g, uint32_t conn, const struct sl_id *id);
/* A peer says so of somebody other than us. */
void grave_told(struct sl_gossip *g, const struct sl_id *id, struct sl_version version);

/* tree.c */
uint32_t tree_node(unsigned depth, uint32_t prefix);
void tree_fact(struct sl_gossip *g, const struct member *m, const struct sl_fact *f, int sign);
void tree_join(struct sl_gossip *g, uint32_t index);
void tree_part(struct sl_gossip *g, uint32_t index);

/* ring.c */
void ring_grew(struct sl_gossip *g);
void ring_changed(struct sl_gossip *g);
struct neighbour {
    uint32_t member;
    bool successor; /* dials at once; a predecessor is expected to dial us */
    bool eager;     /* gets all news, not the urgent alone */
};
/* Everybody `index` watches: on each ring, both ways, up to the first live one. */
size_t ring_neighbours(const struct sl_gossip *g, uint32_t index, struct neighbour *ret);
/* Read from the rings what of `v` is not known; which rings these were, as bits. */
unsigned ring_vicinity(const struct sl_gossip *g, uint32_t index, struct vicinity *v);
/* On which rings, as bits, what was read depends on that member. */
unsigned ring_seen(const struct sl_gossip *g, const struct vicinity *v, uint32_t member);
/* On which of these rings it is near. */
unsigned ring_near(const struct vicinity *v, uint32_t member, unsigned rings);

/* link.c */
void link_init(struct sl_gossip *g);
void link_fini(struct sl_gossip *g);
struct conn *conn_find(struct sl_gossip *g, sl_link link);
void conn_hello(struct sl_gossip *g, struct conn *c, struct sl_span m);
void conn_cut(struct sl_gossip *g, struct conn *c, enum sl_reason reason);
void conn_gone(struct sl_gossip *g, struct conn *c, bool refused);
/* The peer lies: its link is cut, and it is not let in again for a while. */
void conn_expel(struct sl_gossip *g, struct conn *c);
/* Have its next handshakes refused, if it dialled. */
void conn_bar(struct sl_gossip *g, const struct conn *c);
/* What it says cannot be read: its link is cut. */
void conn_break(struct sl_gossip *g, struct conn *c);
/* Facts may be exchanged from now on. */
void conn_open(struct sl_gossip *g, struct conn *c);

/* ---- revoke.c ---- */

/* False: it was told so often that it has to wait. */
bool revoke_send_all(struct sl_gossip *g, struct conn *c);
void revoke_receive(struct sl_gossip *g, struct conn *c, struct sl_read *r);
/* By a fact's header alone (f NULL): its whole key. Of a record, by its certificate. */
bool revoke_refuses(const struct sl_gossip *g, const struct sl_fact_header *h, const struct sl_fact *f);

/* ---- renew.c ---- */

void conn_certified(struct conn *c, const struct sl_cert *peer);
/* A record of somebody known took the place of the one before. */
void renew_peer(struct sl_gossip *g, uint32_t member);

void conns_attach(struct sl_gossip *g, uint32_t member);
bool link_accept(struct sl_gossip *g, sl_link link, const uint8_t c_d[SL_KEY_LEN]);
void link_tick(struct sl_gossip *g);
sl_usec link_deadline(const struct sl_gossip *g);
struct conn *conn_dial(struct sl_gossip *g, const struct sl_addr *addr, const struct sl_id *want);
/* Take n from a bucket that fills at per_second up to burst; false when there is too little. */
bool tokens_take(int64_t *tokens, sl_usec *at, sl_usec now, int64_t per_second, int64_t burst, int64_t n);

/* join.c */
void join_init(struct sl_gossip *g);
void join_fini(struct sl_gossip *g);
/* Seeds that did not answer, or refused us, may do so now. */
void join_again(struct sl_gossip *g);
void join_dialled(struct sl_gossip *g, const struct sl_addr *addr, bool reached);
void join_meet_soon(struct sl_gossip *g); /* not at the next time that is drawn */
size_t join_names(struct sl_gossip *g, uint8_t out[SL_REFER_MAX * (SL_ADDR_BYTES + 1)]);
void join_referred(struct sl_gossip *g, struct sl_span names);
void join_tick(struct sl_gossip *g);
sl_usec join_deadline(const struct sl_gossip *g);

/* shift.c */
size_t shift_edges(const struct sl_gossip *g); /* connected ones */
/* Within which each of them looks once. */
sl_usec shift_length(const struct sl_gossip *g);
/* From now until another edge than `e` is due. */
sl_usec shift_unwatched(const struct sl_gossip *g, const struct edge *e);
/* Places of the next scheduled beat around the present one, as bits. Low half: free on this side; high half: in the
 * middle of a gap that is too long. */
uint64_t shift_free(const struct sl_gossip *g, const struct edge *e);
/* When to beat next, given those of the other end. */
sl_usec shift_next(const struct sl_gossip *g, const struct edge *e, uint64_t bits);
sl_usec shift_first(struct sl_gossip *g, const struct edge *e);

/* watch.c */
struct edge *edge_of(struct sl_gossip *g, uint32_t member);
struct edge *edge_add(struct sl_gossip *g, uint32_t member);
void edge_remove(struct sl_gossip *g, struct edge *e);
void edge_up(struct sl_gossip *g, struct edge *e, uint32_t conn);
void edge_lost(struct sl_gossip *g, struct edge *e);
void edge_dial_failed(struct sl_gossip *g, struct edge *e, bool refused);
void edge_probe_answer(struct sl_gossip *g, sl_link probe, enum sl_link_event answer);
void edges_drop_member(struct sl_gossip *g, uint32_t member);
bool edge_fails(const struct edge *e);
void watch_beat(struct sl_gossip *g, struct conn *c, struct sl_read *r);
void watch_echo(struct sl_gossip *g, struct conn *c, struct sl_read *r);
void watch_ack(struct sl_gossip *g, struct conn *c, struct sl_read *r);
/* Half of the edges fail, or more: whom of its own part is a node to hear? (PROTOCOL.md, "Joining, leaving, healing") */
bool watch_cut_off(const struct sl_gossip *g);
/* And hardly any other edge works. */
bool watch_forlorn(const struct sl_gossip *g);
void watch_doubt(struct sl_gossip *g, uint32_t member);
void watch_fresh_word(struct sl_gossip *g, uint32_t member);
void watch_stall(struct sl_gossip *g, sl_usec lag);
void watch_tick(struct sl_gossip *g);
sl_usec watch_deadline(const struct sl_gossip *g);

/* verdict.c */
void verdict_sightings(struct sl_gossip *g, uint32_t accuser, const struct sl_fact *before,
                       const struct sl_fact *after);
void verdict_new_member(struct sl_gossip *g, uint32_t index);
void verdict_new_address(struct sl_gossip *g, uint32_t index);
/* A member is new on the rings, off them, down or back (`to_judge`), or has another host or zone: whoever
 * it stands near to is watched by others now. */
void verdict_moved(struct sl_gossip *g, uint32_t index, bool to_judge);
void verdict_fini(struct sl_gossip *g);
void verdict_forget(struct sl_gossip *g, uint32_t index);
/* Facts about a member are new: its case, if there is one, is judged by verdict_settle. */
void verdict_reconsider(struct sl_gossip *g, uint32_t index);
/* Judge what is open: once, however many accusations a message brought. */
void verdict_settle(struct sl_gossip *g);
/* Who accuses `index` of a version above `answered`; at most `max`. */
size_t verdict_accusers(const struct sl_gossip *g, uint32_t index, uint64_t answered, uint32_t *ret, size_t max);
void verdict_shift(struct sl_gossip *g, sl_usec lag);
void verdict_tick(struct sl_gossip *g);
sl_usec verdict_deadline(const struct sl_gossip *g);
/* What stands against a member: the highest `seen`, by how many that count, and whether these could soon fell it. */
struct sl_version verdict_against(const struct sl_gossip *g, uint32_t index, size_t *ret_n, bool *ret_presses);

/* twins.c */
void twins_look(struct sl_gossip *g, uint32_t index);
void twins_tick(struct sl_gossip *g);
sl_usec twins_deadline(const struct sl_gossip *g);

/* clone.c */
/* Whether something in our name, whose signature was not looked at yet, is nothing that we have said in this life. */
bool clone_is_foreign(const struct sl_gossip *g, const struct sl_fact_header *h, struct sl_span bytes);
/* That, and it bears our signature. */
void clone_met(struct sl_gossip *g, const struct sl_fact_header *h);
/* Give way, if we have to: connections end, so not while one is being read. */
void clone_settle(struct sl_gossip *g);

/* What a fact takes of its origin's quota. */
static inline unsigned fact_price(size_t len)
{
    return 1 + (unsigned)(len / SL_FACT_PRICE);
}

/* spread.c */
/* What a fact says that the one before it did not; looked at before it takes its place. */
struct news {
    uint8_t kind;
    bool urgent, refused; /* refused: the kernel said so */
    struct sl_id fresh[SL_SIGHTING_ENTRIES_MAX]; /* whom it accuses anew */
    size_t n;
};
void spread_look(const struct sl_fact *before, const struct sl_fact *f, struct news *ret);
void spread_news(struct sl_gossip *g, uint32_t member, const struct news *news, uint32_t from);
/* How many versions of its sightings are passed on to all before we wait for SL_SIGHTINGS_EARN. */
unsigned spread_sightings_left(const struct sl_gossip *g, struct member *m);
void spread_seen(struct sl_gossip *g, uint32_t member, uint8_t kind, uint32_t from);
void spread_push(struct sl_gossip *g, uint32_t member, uint8_t kind, uint32_t conn);
/* Straight to one connection, of whomever it is. */
void spread_fact(struct sl_gossip *g, struct sl_fact *f, uint32_t conn);
void spread_forget(struct sl_gossip *g, uint32_t member);
void spread_conn_gone(struct sl_gossip *g, uint32_t conn);
void spread_drop_all(struct sl_gossip *g);
void spread_tick(struct sl_gossip *g);
void spread_fini(struct sl_gossip *g);

/* sync.c */
void sync_root(struct sl_gossip *g, struct edge *e, uint64_t root);
/* Roots differed a while ago: true when it is time to compare them once more, with a beat. */
bool sync_due(struct sl_gossip *g, struct edge *e);
void sync_tree(struct sl_gossip *g, struct conn *c, struct sl_read *r);
void sync_list(struct sl_gossip *g, struct conn *c, struct sl_read *r);
void sync_want(struct sl_gossip *g, struct conn *c, struct sl_read *r);

/* self.c */
int self_publish_record(struct sl_gossip *g);
int self_publish_later(struct sl_gossip *g, uint8_t kind, struct sl_span body);
void self_vitals_soon(struct sl_gossip *g, sl_usec at, bool urgent);
void self_sightings_changed(struct sl_gossip *g, bool urgent, bool withdrawn);
bool self_accused(struct sl_gossip *g, struct sl_version seen, bool by_quorum);
void self_tick(struct sl_gossip *g);
sl_usec self_deadline(const struct sl_gossip *g);

#endif
