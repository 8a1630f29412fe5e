/* self.c: what this node publishes of itself, when, and how it answers what is said of it. */
#include <starling.h>

#include "gossip/core.h"

/* Sign and merge one fact of our own; the table spreads it like anybody's. */
static int publish(struct sl_gossip *g, enum sl_kind kind, struct sl_span body)
{
    struct sl_fact_header h = {.kind = (uint8_t)kind, .origin = g->id,
                               .version = {g->config.epoch, ++g->seq}};
    uint8_t bytes[SL_RECORD_MAX];
    size_t len = sl_fact_sign(g->ports.crypto, &g->config.bundle, &h, body, bytes);
    if (len == 0)
        return STARLING_ELIMIT;
    return table_merge(g, sl_span_of(bytes, len), NONE) ? 0 : STARLING_ENOMEM;
}

/* What memory was missing for is said as soon as there is some. */
static sl_usec again_after(const struct sl_gossip *g, int r)
{
    return r == STARLING_ENOMEM ? g->now + SL_PUBLISH_AGAIN : SL_NEVER;
}

int self_publish_record(struct sl_gossip *g)
{
    struct sl_record r = {.cert = g->config.cert, .addr = g->config.addr, .host = g->config.host,
                          .zone = sl_span_of(g->config.zone, strlen(g->config.zone)),
                          .flags = g->config.lasting ? SL_RECORD_LASTING : 0,
                          .sections = g->record_sections};
    uint8_t body[SL_RECORD_MAX];
    memcpy(r.c_d, g->config.c_d, SL_KEY_LEN);
    size_t len = sl_record_write(&r, body, sizeof body - SL_FACT_MIN);
    int e = len ? publish(g, SL_RECORD, sl_span_of(body, len)) : STARLING_ELIMIT;
    g->record_due = again_after(g, e);
    return e;
}

int self_publish_later(struct sl_gossip *g, uint8_t kind, struct sl_span body)
{
    return publish(g, (enum sl_kind)kind, body);
}

/* Those whom we have answered again and again: what they go on saying counts less (PROTOCOL.md, "Verdicts"). */
static size_t denied(const struct sl_gossip *g, uint8_t out[SL_DENY_MAX * SL_ID_LEN])
{
    size_t n = 0;
    for (size_t i = 0; i < SL_DOUBTERS_MAX && n < SL_DENY_MAX; i++) {
        const struct doubter *d = &g->doubters[i];
        if (d->answers >= SL_DENY_AFTER && g->now - d->since < SL_QUIET_RESET)
            memcpy(out + SL_ID_LEN * n++, d->id.b, SL_ID_LEN);
    }
    return n * SL_ID_LEN;
}

static void publish_vitals(struct sl_gossip *g)
{
    uint8_t deny[SL_DENY_MAX * SL_ID_LEN];
    struct sl_vitals v = {.answered = g->answered, .state = g->state, .urgent = g->vitals_urgent,
                          .sections = g->vitals_sections, .deny = sl_span_of(deny, denied(g, deny))};
    uint8_t body[SL_VITALS_MAX];
    size_t len = sl_vitals_write(&v, body, sizeof body - SL_FACT_MIN); /* too long was refused when it was put */
    g->vitals_due = again_after(g, len ? publish(g, SL_VITALS, sl_span_of(body, len)) : STARLING_ELIMIT);
    g->vitals_urgent &= g->vitals_due != SL_NEVER;
}

void self_vitals_soon(struct sl_gossip *g, sl_usec at, bool urgent)
{
    g->vitals_due = sl_earlier(g->vitals_due, at);
    g->vitals_urgent |= urgent;
}

/* ---- answering -------------------------------------------------------------------------- */

/* Somebody holds version `seen` of ours against us. Enough accusers to matter get their answer at once; a
 * few get it after 1, 2 ... 64 s, or a lone liar could make us talk for ever. True: it comes the sooner for this word. */
bool self_accused(struct sl_gossip *g, struct sl_version seen, bool by_quorum)
{
    if (seen.epoch != g->config.epoch || seen.seq > g->seq || seen.seq <= g->answered)
        return false;
    if (seen.seq > g->heard_seen)
        g->heard_seen = seen.seq;
    if (g->now - g->answered_at > SL_QUIET_RESET)
        g->answer_backoff = 0;
    sl_usec gap = by_quorum ? SL_ANSWER_GAP : g->answer_backoff ? g->answer_backoff : SL_ANSWER_GAP;
    sl_usec due = g->answered_at ? g->answered_at + gap : g->now;
    due = due > g->now ? due : g->now;
    bool sooner = due < g->answer_due;
    if (sooner)
        g->answer_due = due;
    return sooner;
}

static void count_doubter(struct sl_gossip *g, const struct sl_id *id)
{
    struct doubter *at = &g->doubters[0];
    for (size_t i = 0; i < SL_DOUBTERS_MAX; i++) {
        struct doubter *d = &g->doubters[i];
        if (sl_id_eq(&d->id, id)) {
            at = d;
            break;
        }
        if (d->since < at->since)
            at = d;
    }
    if (!sl_id_eq(&at->id, id) || g->now - at->since >= SL_QUIET_RESET)
        *at = (struct doubter){.id = *id, .since = g->now};
    if (++at->answers >= SL_DENY_AFTER) /* for as long as it goes on, and a while */
        at->since = g->now;
}

static void answer(struct sl_gossip *g)
{
    g->answer_due = SL_NEVER;
    if (g->heard_seen <= g->answered)
        return;
    uint32_t accusers[SL_DOUBTERS_MAX];
    size_t n = verdict_accusers(g, g->self, g->answered, accusers, SL_COUNT(accusers));
    for (size_t i = 0; i < n; i++)
        count_doubter(g, id_at(g, accusers[i]));
    g->answered = g->heard_seen;
    g->answered_at = g->now;
    g->answer_backoff = g->answer_backoff ? sl_earlier(2 * g->answer_backoff, SL_ANSWER_BACKOFF_MAX) : SL_SEC(1);
    g->stats.answers++;
    self_vitals_soon(g, g->now, true);
}

/* ---- sightings -------------------------------------------------------------------------- */

/* Refused ones leave at once; the others keep a growing distance from the ones before, and withdrawals are
 * gathered, so that a stormy network does not become a stormy flock. */
void self_sightings_changed(struct sl_gossip *g, bool urgent, bool withdrawn)
{
    sl_usec gap = g->sightings_gap ? g->sightings_gap : 0;
    sl_usec due = g->sightings_at + gap;
    if (urgent || due < g->now)
        due = g->now;
    if (withdrawn && due < g->now + SL_WITHDRAW_GATHER)
        due = g->now + SL_WITHDRAW_GATHER;
    g->sightings_due = sl_earlier(g->sightings_due, due);
}

/* An accused edge, and what it is to the fact that has no room for all: those who have yet to fall come first, for their
 * other accusers may be few; then what was said before, or each change of places would be news; then the rest. */
enum urgency { TO_FALL, TOLD, UNTOLD };
struct candidate {
    enum urgency urgency;
    const struct edge *edge;
};

static bool comes_before(const struct candidate *a, const struct candidate *b)
{
    return a->urgency != b->urgency ? a->urgency < b->urgency : a->edge->place < b->edge->place;
}

/* A node of a small part has more down ones in its care than there is room for. In the order of the rings each of the
 * down is named by its nearest ones on the first rings, to whomever has yet to see it fall. */
static size_t choose_sightings(const struct sl_gossip *g, struct candidate first[SL_SIGHTING_ENTRIES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_edges; i++) {
        const struct edge *e = &g->edges[i];
        if (!e->accused)
            continue;
        struct candidate c = {is_live(member_at(g, e->member)) ? TO_FALL : e->told ? TOLD : UNTOLD, e};
        size_t at = n;
        while (at > 0 && comes_before(&c, &first[at - 1]))
            at--;
        if (n < SL_SIGHTING_ENTRIES_MAX)
            n++;
        if (at < n) {
            memmove(first + at + 1, first + at, (n - 1 - at) * sizeof c);
            first[at] = c;
        }
    }
    return n;
}

static void publish_sightings(struct sl_gossip *g)
{
    struct candidate chosen[SL_SIGHTING_ENTRIES_MAX];
    struct sl_sighting list[SL_SIGHTING_ENTRIES_MAX];
    size_t n = choose_sightings(g, chosen);
    bool same = n == g->n_published;
    g->sightings_due = SL_NEVER;
    for (size_t i = 0; i < n; i++) {
        const struct edge *e = chosen[i].edge;
        list[i] = (struct sl_sighting){.accused = *id_at(g, e->member), .how = e->accused, .seen = e->seen};
        const struct sl_sighting *was = sl_sightings_about(g->published, g->n_published, &list[i].accused);
        same &= was && was->how == list[i].how && sl_version_cmp(was->seen, list[i].seen) == 0;
    }
    if (same)
        return;
    uint8_t body[SL_SIGHTINGS_MAX];
    size_t len = sl_sightings_write(list, n, body, sizeof body - SL_FACT_MIN);
    if (len == 0 || publish(g, SL_SIGHTINGS, sl_span_of(body, len)) < 0) {
        g->sightings_due = g->now + SL_SIGHTINGS_GAP_MAX;
        return;
    }
    memcpy(g->published, list, n * sizeof *list);
    g->n_published = n;
    for (size_t i = 0; i < g->n_edges; i++)
        g->edges[i].told = sl_sightings_about(list, n, id_at(g, g->edges[i].member)) != NULL;
    bool calm = g->now - g->sightings_at > 4 * SL_SIGHTINGS_GAP_MAX;
    g->sightings_gap = calm || !g->sightings_gap ? SL_SIGHTINGS_GAP_MIN
                                                 : sl_earlier(2 * g->sightings_gap, SL_SIGHTINGS_GAP_MAX);
    g->sightings_at = g->now;
}

void self_tick(struct sl_gossip *g)
{
    if (g->now >= g->answer_due)
        answer(g);
    if (g->now >= g->record_due)
        (void)self_publish_record(g);
    if (g->now >= g->vitals_due)
        publish_vitals(g);
    if (g->now >= g->sightings_due) {
        if (g->isolated) /* publish nothing; the first answer brings us back here */
            g->sightings_due = g->now + SL_SIGHTINGS_GAP_MAX;
        else
            publish_sightings(g);
    }
}

sl_usec self_deadline(const struct sl_gossip *g)
{
    return sl_earlier(sl_earlier(g->answer_due, g->record_due), sl_earlier(g->vitals_due, g->sightings_due));
}
