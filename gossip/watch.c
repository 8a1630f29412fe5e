/* watch.c: watching in shifts (PROTOCOL.md, "Watching in shifts").
 *
 * A node has about 2K watchers, and each beats it once a shift; so it is looked at about once a second by
 * somebody. One exchange of three messages (beat; echo with a number of its own; acknowledgement) proves both
 * directions to both ends. Only an echo is proof, and extra beats never move the scheduled phase: when any
 * message counted, one flood aligned all watchers, and the node was then unwatched for a whole shift.
 * What stays unanswered is a sighting; but a node doubts itself before it doubts others. */
#include <starling.h>

#include "base/bytes.h"
#include "base/pack.h"
#include "gossip/core.h"

/* ---- edges ------------------------------------------------------------------------------ */

struct edge *edge_of(struct sl_gossip *g, uint32_t member)
{
    for (size_t i = 0; i < g->n_edges; i++) {
        if (g->edges[i].member == member)
            return &g->edges[i];
    }
    return NULL;
}

/* Both ends agree who of them beats on schedule. */
static bool who_initiates(const struct sl_gossip *g, uint32_t member)
{
    const struct sl_id *a = &g->id, *b = id_at(g, member);
    uint8_t pair[2 * SL_ID_LEN];
    bool first = sl_id_cmp(a, b) < 0;
    memcpy(pair, first ? a->b : b->b, SL_ID_LEN);
    memcpy(pair + SL_ID_LEN, first ? b->b : a->b, SL_ID_LEN);
    return (sl_siphash(g->config.bundle.flock, pair, sizeof pair) & 1) == first;
}

struct edge *edge_add(struct sl_gossip *g, uint32_t member)
{
    if (sl_alloc_grow(mem(g), (void **)&g->edges, sizeof *g->edges, &g->cap_edges, g->n_edges + 1) < 0)
        return NULL;
    struct edge *e = &g->edges[g->n_edges++];
    memset(e, 0, sizeof *e);
    e->member = member;
    e->initiates = who_initiates(g, member);
    e->conn = NONE;
    e->next_beat = e->next_try = e->compare_at = SL_NEVER;
    e->differ_since = e->sync_at = SL_NEVER;
    return e;
}

void edge_remove(struct sl_gossip *g, struct edge *e)
{
    if (e->accused)
        self_sightings_changed(g, false, true);
    *e = g->edges[--g->n_edges];
}

bool edge_fails(const struct edge *e)
{
    return e->failures > 0 || e->refused;
}

static sl_usec timeout_of(const struct sl_gossip *g, const struct edge *e)
{
    sl_usec base = shift_edges(g) < SL_EDGES_SMALL ? SL_BEAT_TIMEOUT_SMALL : SL_BEAT_TIMEOUT;
    return base + sl_earlier(3 * e->rtt, SL_RTT_TIMEOUT_MAX);
}

static unsigned repeats_of(const struct sl_gossip *g)
{
    return shift_edges(g) < SL_EDGES_TINY ? 2 : 1;
}

/* Those who went down together are not tried together for ever: the first try after a cut has healed brings the others. */
static sl_usec retry_after(struct sl_gossip *g, const struct edge *e)
{
    const struct member *m = member_at(g, e->member);
    if (m->status == SL_DOWN && g->now - since_of(g, m) >= SL_DOWN_LONG)
        return sl_rand_span(&g->rand, SL_RETRY_DOWN - SL_RETRY_DOWN / 5, SL_RETRY_DOWN + SL_RETRY_DOWN / 5);
    return e->failures < SL_RETRY_FAST_N ? SL_RETRY_FAST : SL_RETRY_SLOW;
}

/* ---- accusing --------------------------------------------------------------------------- */

static bool still_stands(const struct sl_gossip *g, const struct edge *e)
{
    struct sl_vitals vitals;
    const struct member *m = member_at(g, e->member);
    const struct sl_fact *f = fact_of(g, m, SL_VITALS);
    uint64_t epoch = newest(g, m).epoch;
    if (e->seen.epoch != epoch)
        return false;
    return !f || !sl_vitals_read(sl_fact_body(f), &vitals) || f->version.epoch != epoch ||
           e->seen.seq > vitals.answered;
}

/* Say of T what we know, unless it is said already. When T has answered and we still cannot reach it, say it
 * again with the newer `seen`, more and more rarely. */
static void edge_accuse(struct sl_gossip *g, struct edge *e, enum sl_how how)
{
    struct member *m = member_at(g, e->member);
    if (!e->wanted || m->status == SL_LEFT || g->leaving)
        return;
    if (e->accused && still_stands(g, e)) {
        if (how == SL_REFUSED && e->accused == SL_SILENT) {
            e->accused = SL_REFUSED;
            self_sightings_changed(g, true, false);
        }
        return;
    }
    if (e->seen.epoch != newest(g, m).epoch || e->good_for >= SL_GOOD_RESET)
        e->accuse_next = e->accuse_backoff = 0;
    e->good_for = 0; /* it counts once: or an edge that once worked would accuse at every answer for ever */
    if (g->now < e->accuse_next)
        return;
    e->accuse_backoff = e->accuse_backoff ? sl_earlier(2 * e->accuse_backoff, SL_ACCUSE_BACKOFF_MAX) : SL_SEC(1);
    e->accuse_next = g->now + e->accuse_backoff;
    e->accused = (uint8_t)how;
    e->seen = newest(g, m);
    g->stats.sightings++;
    self_sightings_changed(g, how == SL_REFUSED, false);
}

/* ---- self-doubt ------------------------------------------------------------------------- */

struct edge_count {
    size_t live, failing, working; /* edges to members that are not down; failing: silent ones */
};

static struct edge_count count_edges(const struct sl_gossip *g)
{
    struct edge_count n = {0};
    for (size_t i = 0; i < g->n_edges; i++) {
        const struct edge *e = &g->edges[i];
        bool live = is_live(member_at(g, e->member));
        n.working += e->working || (e->refused && live); /* a refusal crossed the network as well */
        if (!e->wanted || !live)
            continue;
        n.live++;
        n.failing += e->failures > 0 && !e->refused;
    }
    return n;
}

bool watch_cut_off(const struct sl_gossip *g)
{
    struct edge_count n = count_edges(g);
    return n.live >= 2 && 2 * n.failing >= n.live;
}

bool watch_forlorn(const struct sl_gossip *g)
{
    return count_edges(g).working <= SL_FORLORN && watch_cut_off(g);
}

static void leave_isolation(struct sl_gossip *g)
{
    g->isolated = false;
    g->tell_stale = true;
    g->no_down_until = g->now + SL_DOUBT_HOLD;
    verdict_shift(g, SL_NEVER);
    sl_log(g->ports.log, SL_INFO, "an edge answers again; this node is no longer cut off");
}

/* No edge works at all: judge nobody. (That half of them fail is no reason to be silent: it is what a cut looks like,
 * and whom one node accuses wrongly has answered before it matters; simulator, wreck.) */
static void doubt_self(struct sl_gossip *g)
{
    struct edge_count n = count_edges(g);
    if (!g->isolated && n.working == 0 && n.live >= 2 && n.failing == n.live) {
        g->isolated = true;
        g->tell_stale = true;
        sl_log(g->ports.log, SL_WARNING, "none of %zu neighbours answers: this node is cut off, judges nobody",
               n.live);
    }
}

/* The edge worked until now: for how long? */
static void edge_worked(struct sl_gossip *g, struct edge *e)
{
    if (!edge_fails(e))
        e->good_for = e->good_since ? g->now - e->good_since : SL_NEVER;
}

static void beat(struct sl_gossip *g, struct edge *e, unsigned repeats);
static void beat_now(struct sl_gossip *g, struct edge *e);

/* Two neighbours that are not known to be down do not answer: hosts, racks and networks fail as a whole, and whose
 * other watchers went with it would not be looked at for long. */
static void look_at_all(struct sl_gossip *g)
{
    if (g->now < g->look_next || count_edges(g).failing < 2)
        return;
    g->look_next = g->now + SL_LOOK_GAP;
    for (size_t i = 0; i < g->n_edges; i++) {
        if (!edge_fails(&g->edges[i]))
            beat_now(g, &g->edges[i]);
    }
}

static void edge_failed(struct sl_gossip *g, struct edge *e)
{
    edge_worked(g, e);
    e->failures++;
    e->working = e->refused = false;
    e->first_seq = 0;
    e->next_try = g->now + retry_after(g, e);
    g->stats.beat_timeouts++;
    doubt_self(g);
    if (!g->isolated)
        edge_accuse(g, e, SL_SILENT);
    look_at_all(g);
    if (watch_cut_off(g))
        join_meet_soon(g);
    if (e->conn != NONE && e->failures >= SL_RETRY_FAST_N) {
        /* TCP backs off for minutes after a cut; a connection of now finds out sooner. */
        conn_cut(g, &g->conns[e->conn], SL_OK);
        e->conn = NONE;
    }
}

/* An echo or its acknowledgement: both directions work. */
static void edge_good(struct sl_gossip *g, struct edge *e)
{
    bool was_isolated = g->isolated;
    if (edge_fails(e))
        e->good_since = g->now;
    e->failures = 0;
    e->refused = false;
    e->working = true;
    e->next_try = SL_NEVER;
    if (e->accused) {
        e->accused = 0;
        self_sightings_changed(g, false, true);
    }
    if (was_isolated) {
        leave_isolation(g);
        watch_stall(g, 0);
    }
    doubt_self(g);
}

/* ---- the exchange ----------------------------------------------------------------------- */

/* What this node holds against the receiver: only where it matters to the verdict, or our own edge fails. */
static struct sl_version held_against(const struct sl_gossip *g, const struct edge *e)
{
    struct sl_version v = {0, 0};
    size_t n;
    bool presses;
    struct sl_version seen = verdict_against(g, e->member, &n, &presses);
    /* Whatever its status: the beat at the first word of an accusation goes before the verdict that follows. */
    if (n > 0 && (member_at(g, e->member)->status == SL_DOWN || presses))
        v = seen;
    if (e->accused && sl_version_cmp(e->seen, v) > 0)
        v = e->seen;
    return v;
}

static uint32_t next_seq(struct sl_gossip *g)
{
    if (++g->beat_seq == 0)
        g->beat_seq = 1;
    return g->beat_seq;
}

static void pack_common(struct sl_gossip *g, struct sl_pack *w, const struct edge *e)
{
    struct sl_version against = held_against(g, e);
    sl_pack_uint(w, g->tree->sum[0]);
    sl_pack_uint(w, against.epoch);
    sl_pack_uint(w, against.seq);
}

/* When our next beat comes, scheduled or extra, in ms; 0 when it is the other end that beats. */
static uint64_t promise_of(const struct sl_gossip *g, const struct edge *e)
{
    if (!e->initiates || e->next_beat <= g->now)
        return 0;
    return (uint64_t)((e->next_beat - g->now + 999) / 1000);
}

static void take_promise(struct sl_gossip *g, struct edge *e, uint64_t ms)
{
    if (ms == 0 || e->initiates) /* our own beats are not the other end's to move */
        return;
    e->next_beat = g->now + SL_MS(ms) + SL_PROMISE_GRACE;
    e->promised = true;
}

static void beat(struct sl_gossip *g, struct edge *e, unsigned repeats)
{
    uint8_t out[64];
    struct sl_pack w;
    uint32_t seq = next_seq(g);
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 6);
    sl_pack_uint(&w, MSG_BEAT);
    sl_pack_uint(&w, seq);
    sl_pack_uint(&w, promise_of(g, e));
    pack_common(g, &w, e);
    out_send(g, &g->conns[e->conn], out, w.len);
    if (e->first_seq == 0) {
        e->first_seq = seq;
        e->first_at = g->now;
    }
    e->tried_at = g->now;
    e->await_until = g->now + timeout_of(g, e);
    e->repeats = repeats;
    g->stats.beats++;
}

/* An extra beat: repeats as usual, moves no schedule. */
static void beat_now(struct sl_gossip *g, struct edge *e)
{
    if (e->conn != NONE && e->first_seq == 0)
        beat(g, e, edge_fails(e) ? 0 : repeats_of(g));
}

static void beat_scheduled(struct sl_gossip *g, struct edge *e)
{
    if (!e->initiates) { /* the peer broke its promise: look for ourselves, and again after a shift */
        e->next_beat = shift_next(g, e, SL_SLOTS_ALL) + SL_PROMISE_GRACE;
        beat_now(g, e);
        return;
    }
    bool extra = g->now < e->slot_at;
    if (!extra)
        e->slot_at = shift_next(g, e, SL_SLOTS_ALL);
    e->next_beat = e->slot_at;
    e->scheduled_seq = 0;
    if (e->first_seq != 0)
        return;
    beat(g, e, edge_fails(e) ? 0 : repeats_of(g));
    e->scheduled_seq = e->first_seq;
    e->extra = extra;
}

/* The echo of a scheduled beat says when the next one suits the other end, and how long nobody else looks at it. Where
 * that is too long, of either end, this edge looks once more in between: new edges leave gaps until all have found their
 * places. The echo of any other beat changes nothing. */
static void settle_slot(struct sl_gossip *g, struct edge *e, uint32_t of, uint64_t bits, sl_usec unwatched)
{
    if (of != e->scheduled_seq)
        return;
    e->scheduled_seq = 0;
    if (!e->extra && bits & SL_SLOTS_ALL)
        e->slot_at = e->next_beat = shift_next(g, e, bits);
    sl_usec gap = shift_unwatched(g, e);
    if (gap > SL_GAP_MAX || unwatched > SL_GAP_MAX)
        e->next_beat = sl_earlier(e->slot_at, g->now + SL_GAP_LOOK);
}

/* The path's round trip, not the peer's pauses: a faster answer counts at once, a slower one lifts the
 * estimate by a quarter at most, and the first is believed up to SL_RTT_FIRST_MAX: of two nodes that met just before one
 * of them stood still for 2 s, the other took that for the path, and 13 s to see the next stop. */
static void measure_rtt(struct edge *e, sl_usec rtt)
{
    sl_usec slower = e->rtt ? e->rtt + e->rtt / 4 + SL_MS(1) : SL_RTT_FIRST_MAX;
    e->rtt = sl_earlier(slower, rtt);
}

/* The peer says what it holds against us. It may hurry us so often; or a liar would make us talk for ever
 * (simulator, liar, nag). Only who does hurry us pays: when all had paid for each answer that one asked for, nobody could
 * hurry one that had stood still eight times (simulator, starve, seed 17). */
static void named(struct sl_gossip *g, struct edge *e, struct sl_version against)
{
    bool hurry = e->wanted && e->named_until - g->now <= (SL_NAMED_BURST - 1) * SL_NAMED_GAP;
    if (self_accused(g, against, hurry) && hurry)
        e->named_until = (e->named_until > g->now ? e->named_until : g->now) + SL_NAMED_GAP;
}

/* root, against-epoch, against-seq: what beats and echoes have in common. */
static bool read_common(struct sl_gossip *g, struct sl_read *r, struct edge *e)
{
    uint64_t root;
    struct sl_version against;
    if (!sl_read_uint(r, UINT64_MAX, &root) || !sl_read_uint(r, INT64_MAX, &against.epoch) ||
        !sl_read_uint(r, UINT64_MAX, &against.seq)) {
        g->stats.refused_frame++;
        return false;
    }
    if (against.epoch)
        named(g, e, against);
    sync_root(g, e, root);
    return true;
}

static struct edge *edge_on(struct sl_gossip *g, const struct conn *c)
{
    return c->member == NONE ? NULL : edge_of(g, c->member);
}

void watch_beat(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    uint64_t seq, promise_ms;
    struct edge *e = edge_on(g, c);
    if (!sl_read_uint(r, UINT32_MAX, &seq) || !sl_read_uint(r, 60000, &promise_ms)) {
        g->stats.refused_frame++;
        return;
    }
    if (!e || !read_common(g, r, e))
        return;
    take_promise(g, e, promise_ms);
    uint8_t out[64];
    struct sl_pack w;
    e->echo_seq = next_seq(g);
    e->echo_at = g->now;
    e->ack_until = g->now + timeout_of(g, e);
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 8);
    sl_pack_uint(&w, MSG_ECHO);
    sl_pack_uint(&w, seq);
    sl_pack_uint(&w, e->echo_seq);
    sl_pack_uint(&w, e->initiates ? promise_of(g, e) : (uint64_t)shift_unwatched(g, e) / 1000);
    sl_pack_uint(&w, e->initiates ? 0 : shift_free(g, e));
    pack_common(g, &w, e);
    out_send(g, c, out, w.len);
}

void watch_echo(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    uint64_t of, seq, promise_ms, bits;
    struct edge *e = edge_on(g, c);
    if (!sl_read_uint(r, UINT32_MAX, &of) || !sl_read_uint(r, UINT32_MAX, &seq) ||
        !sl_read_uint(r, 60000, &promise_ms) || !sl_read_uint(r, UINT64_MAX, &bits)) {
        g->stats.refused_frame++;
        return;
    }
    if (!e || !read_common(g, r, e))
        return;
    take_promise(g, e, promise_ms);
    if (e->initiates)
        settle_slot(g, e, (uint32_t)of, bits, SL_MS(promise_ms));
    uint8_t out[16];
    struct sl_pack w;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 3);
    sl_pack_uint(&w, MSG_ACK);
    sl_pack_uint(&w, seq);
    sl_pack_uint(&w, promise_of(g, e));
    out_send(g, c, out, w.len);
    /* Serial numbers: an answer to any of the beats that wait (RFC 1982). */
    if (e->first_seq == 0 || (int32_t)((uint32_t)of - e->first_seq) < 0 ||
        (int32_t)(g->beat_seq - (uint32_t)of) < 0)
        return;
    if (of == e->first_seq) /* of a repeated beat it would be a guess (Karn, Partridge 1987) */
        measure_rtt(e, g->now - e->first_at);
    e->first_seq = 0;
    edge_good(g, e);
}

void watch_ack(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    uint64_t seq, promise_ms;
    struct edge *e = edge_on(g, c);
    if (!sl_read_uint(r, UINT32_MAX, &seq) || !sl_read_uint(r, 60000, &promise_ms)) {
        g->stats.refused_frame++;
        return;
    }
    if (!e || e->echo_seq == 0 || seq != e->echo_seq)
        return;
    take_promise(g, e, promise_ms);
    measure_rtt(e, g->now - e->echo_at);
    e->echo_seq = e->first_seq = 0;
    edge_good(g, e);
}

/* ---- connections come and go ------------------------------------------------------------ */

void edge_up(struct sl_gossip *g, struct edge *e, uint32_t conn)
{
    struct conn *c = &g->conns[conn];
    e->conn = conn;
    e->working = false;
    e->echo_seq = 0;
    if (e->next_try != SL_NEVER && !edge_fails(e))
        e->next_try = SL_NEVER;
    /* The dialler proves the edge at once; the schedule starts somewhere in a shift. */
    e->next_beat = e->slot_at = e->initiates ? shift_first(g, e) : g->now + SL_SHIFT_MAX + SL_PROMISE_GRACE;
    e->promised = e->initiates;
    e->compare_at = g->now + sl_rand_span(&g->rand, SL_SETTLE, 2 * SL_SETTLE);
    if (c->ours || edge_fails(e))
        beat(g, e, repeats_of(g));
}

/* Who is to be a neighbour as soon as the rings are looked at again is one when it matters. */
static void want_if_neighbour(struct sl_gossip *g, struct edge *e)
{
    struct neighbour list[NEIGHBOURS_MAX];
    size_t n = ring_neighbours(g, g->self, list);
    for (size_t i = 0; i < n; i++) {
        if (list[i].member == e->member) {
            e->wanted = true;
            e->eager = list[i].eager;
            e->place = (uint16_t)i;
        }
    }
}

/* From now on it owes us an answer, over whichever connection. */
static void expect_answer(struct sl_gossip *g, struct edge *e)
{
    if (e->first_seq != 0)
        return;
    e->first_seq = next_seq(g);
    e->repeats = 0;
    e->await_until = g->now + timeout_of(g, e) * (1 + repeats_of(g));
}

/* The connection of a neighbour ended, and we did not end it. Is its process dead? The kernel there knows. */
void edge_lost(struct sl_gossip *g, struct edge *e)
{
    e->conn = NONE;
    e->working = false;
    e->echo_seq = 0;
    if (!e->wanted && g->rings_due != SL_NEVER) /* it died before they had settled (simulator, infant) */
        want_if_neighbour(g, e);
    if (!e->wanted) {
        edge_remove(g, e);
        return;
    }
    e->probe = g->next_link;
    g->next_link += 2;
    out_simple(g, SL_OUT_PROBE, e->probe, &who_at(g, e->member)->addr);
    e->next_try = g->now;
    expect_answer(g, e);
}

static void edge_refused(struct sl_gossip *g, struct edge *e)
{
    edge_worked(g, e);
    e->refused = true;
    e->first_seq = 0;
    e->failures++;
    e->next_try = g->now + retry_after(g, e);
    edge_accuse(g, e, SL_REFUSED);
}

void edge_probe_answer(struct sl_gossip *g, sl_link probe, enum sl_link_event answer)
{
    for (size_t i = 0; i < g->n_edges; i++) {
        struct edge *e = &g->edges[i];
        if (e->probe != probe)
            continue;
        e->probe = 0;
        if (answer == SL_LINK_REFUSED && e->conn == NONE) {
            e->accuse_next = 0; /* its connection ended this moment: news, whatever was said before */
            edge_refused(g, e);
        }
        return;
    }
}

void edge_dial_failed(struct sl_gossip *g, struct edge *e, bool refused)
{
    if (e->conn != NONE)
        return; /* the other one's dial came about */
    if (!e->wanted) {
        edge_remove(g, e);
    } else if (refused) {
        edge_refused(g, e);
    } else {
        edge_failed(g, e);
    }
}

void edges_drop_member(struct sl_gossip *g, uint32_t member)
{
    struct edge *e = edge_of(g, member);
    if (e) {
        /* Who is forgotten is not said to be well: who heard of its death later has yet to forget it (simulator, lateborn). */
        if (member_at(g, member)->status == SL_DOWN)
            e->accused = 0;
        edge_remove(g, e);
    }
    for (uint32_t i = 0; i < g->n_conns; i++) {
        struct conn *c = &g->conns[i];
        if (c->link && c->member == member) {
            c->member = NONE; /* what it still says is heard, until it closes or lingers too long */
            c->retire_at = g->now + SL_EDGE_LINGER;
            g->next_review = sl_earlier(g->next_review, c->retire_at);
        }
    }
}

/* ---- prompts ---------------------------------------------------------------------------- */

/* Somebody cannot reach a node that we watch too: look at once, so that our testimony is there in time. */
void watch_doubt(struct sl_gossip *g, uint32_t member)
{
    struct edge *e = edge_of(g, member);
    if (!e || !e->wanted || edge_fails(e))
        return;
    if (e->conn == NONE && e->tried_at == 0) /* it was to dial us, and may be dead */
        e->next_try = g->now;
    beat_now(g, e);
}

/* Something new of a node that we cannot reach: perhaps we can now. */
void watch_fresh_word(struct sl_gossip *g, uint32_t member)
{
    struct edge *e = edge_of(g, member);
    if (!e || !edge_fails(e))
        return;
    sl_usec soon = e->tried_at + SL_ANSWER_GAP;
    e->next_try = sl_earlier(e->next_try, soon > g->now ? soon : g->now);
}

/* We did not run for `lag`. What waited meanwhile says nothing about others. */
void watch_stall(struct sl_gossip *g, sl_usec lag)
{
    bool noticed = lag == 0 || lag >= SL_BEAT_TIMEOUT;
    sl_usec shift = shift_length(g);
    g->no_down_until = g->now + SL_DOUBT_HOLD;
    verdict_shift(g, lag);
    for (size_t i = 0; i < g->n_edges; i++) {
        struct edge *e = &g->edges[i];
        e->first_seq = e->echo_seq = 0;
        if (e->conn == NONE) {
            if (noticed)
                e->next_try = sl_earlier(e->next_try, g->now);
            continue;
        }
        if (e->next_beat < g->now) /* overdue ones are spread anew, or all would come at once for ever */
            e->next_beat = e->slot_at = g->now + sl_rand_span(&g->rand, 0, shift);
        if (noticed)
            beat_now(g, e);
    }
    if (lag >= SL_STALL_LONG)
        self_vitals_soon(g, g->now, true);
}

/* ---- the clock -------------------------------------------------------------------------- */

static bool is_accused(const struct sl_gossip *g, uint32_t member)
{
    size_t n;
    bool presses;
    (void)verdict_against(g, member, &n, &presses);
    return n > 0;
}

static void retry(struct sl_gossip *g, struct edge *e)
{
    if (e->conn != NONE) {
        e->next_try = SL_NEVER;
        beat_now(g, e);
        return;
    }
    if (!tokens_take(&g->dial_tokens, &g->dial_tokens_at, g->now, SL_EDGES_PER_SECOND, SL_EDGES_BURST, 1)) {
        e->next_try = g->now + SL_MS(100);
        return;
    }
    e->tried_at = g->now;
    struct conn *c = conn_dial(g, &who_at(g, e->member)->addr, id_at(g, e->member));
    if (c && !edge_fails(e) && is_accused(g, e->member)) /* the dial's own time-out is three times as long */
        expect_answer(g, e);
    e->next_try = c ? SL_NEVER : g->now + SL_SEC(1); /* busy with that address already, or no place */
}

static void edge_tick(struct sl_gossip *g, struct edge *e)
{
    if (e->first_seq && g->now >= e->await_until) {
        if (e->repeats > 0 && e->conn != NONE) {
            g->stats.beat_timeouts++;
            beat(g, e, e->repeats - 1);
        } else {
            edge_failed(g, e);
        }
    }
    if (e->echo_seq && g->now >= e->ack_until) { /* they hear us no longer? that is the first of two tries */
        e->echo_seq = 0;
        if (e->conn != NONE && e->first_seq == 0)
            beat(g, e, repeats_of(g) - 1);
    }
    if (e->conn != NONE && g->now >= e->next_beat)
        beat_scheduled(g, e);
    if (g->now >= e->compare_at) {
        e->compare_at = SL_NEVER;
        beat_now(g, e);
    }
    if (g->now >= e->next_try)
        retry(g, e);
    if (e->conn != NONE && g->now >= e->sync_at && sync_due(g, e))
        beat_now(g, e);
}

static void refresh_neighbours(struct sl_gossip *g)
{
    struct neighbour list[NEIGHBOURS_MAX];
    size_t n = ring_neighbours(g, g->self, list);
    g->rings_due = g->rings_grew = SL_NEVER;
    for (size_t i = 0; i < g->n_edges; i++)
        g->edges[i].wanted = false;
    for (size_t i = 0; i < n; i++) {
        struct edge *e = edge_of(g, list[i].member);
        if (!e && (e = edge_add(g, list[i].member)) == NULL)
            continue;
        e->place = (uint16_t)i;
        e->wanted = true;
        e->eager = list[i].eager;
        if (e->conn == NONE && e->next_try == SL_NEVER && e->tried_at == 0)
            e->next_try = g->now + (list[i].successor || is_accused(g, e->member) ? 0 : SL_PREDECESSOR_WAIT);
    }
    for (size_t i = g->n_edges; i-- > 0;) {
        struct edge *e = &g->edges[i];
        if (e->wanted)
            continue;
        if (e->accused) {
            e->accused = 0;
            self_sightings_changed(g, false, true);
        }
        if (e->conn == NONE)
            edge_remove(g, e);
    }
    g->next_review = sl_earlier(g->next_review, g->now + SL_SEC(1));
}

void watch_tick(struct sl_gossip *g)
{
    if (g->now >= g->rings_due && !g->leaving)
        refresh_neighbours(g);
    /* By index: an edge may go while it is looked at. */
    for (size_t i = 0; i < g->n_edges && !g->leaving; i++)
        edge_tick(g, &g->edges[i]);
}

sl_usec watch_deadline(const struct sl_gossip *g)
{
    if (g->leaving)
        return SL_NEVER;
    sl_usec t = g->rings_due;
    for (size_t i = 0; i < g->n_edges; i++) {
        const struct edge *e = &g->edges[i];
        if (e->first_seq)
            t = sl_earlier(t, e->await_until);
        if (e->echo_seq)
            t = sl_earlier(t, e->ack_until);
        if (e->conn != NONE)
            t = sl_earlier(sl_earlier(t, e->next_beat), e->sync_at);
        t = sl_earlier(t, sl_earlier(e->compare_at, e->next_try));
    }
    return t;
}
