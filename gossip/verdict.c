/* verdict.c: decide from everyone's sightings who is reachable (PROTOCOL.md, "Verdicts").
 *
 * An accusation is an entry in a node's sightings: (T, how, seen). It stands until T's vitals say
 * answered >= seen. T is down when standing accusers are three quarters of its live watchers (for SL_VOICE_HOLD,
 * when it has answered some who accuse it still), or half of them for SL_HALF_HOLD without a break (at once
 * when they were refused), or an eighth for SL_SUSPECT_HOLD without an answer; suspect when there is any. Nothing
 * is consumed and nobody remembers who was told: the verdict follows from facts and time, so the same facts give
 * the same verdict everywhere. */
#include <starling.h>

#include "gossip/core.h"

struct count {
    size_t standing;         /* accusers that count */
    size_t refused;          /* those of them to whom the kernel there said no */
    size_t undenied;         /* those of them whom the accused does not deny */
    size_t watchers;         /* live ones */
    size_t able;             /* those of them that accuse it, or are not themselves accused by most of their own */
    struct sl_version seen;  /* highest of the standing */
    sl_usec recheck;         /* an accuser's word will count then */
};

#define ACCUSERS_MAX 128 /* of one member; more watchers than this no member has */

static struct accused *case_of(const struct sl_gossip *g, uint32_t index)
{
    uint32_t c = member_at(g, index)->case_index;
    return c == NONE ? NULL : &g->cases[c];
}

/* What a member says to its accusers, in its present epoch. */
static struct sl_vitals answer_of(const struct sl_gossip *g, const struct member *m)
{
    struct sl_vitals vitals;
    const struct sl_fact *f = fact_of(g, m, SL_VITALS);
    if (!f || f->version.epoch != newest(g, m).epoch || !sl_vitals_read(sl_fact_body(f), &vitals))
        return (struct sl_vitals){0};
    return vitals;
}

static bool denies(const struct sl_vitals *v, const struct sl_id *id)
{
    for (size_t at = 0; at < v->deny.len; at += SL_ID_LEN) {
        if (memcmp(v->deny.p + at, id->b, SL_ID_LEN) == 0)
            return true;
    }
    return false;
}

/* Whether most of its own watchers accuse it: its silence about others then says nothing. */
static bool has_majority(const struct sl_gossip *g, uint32_t index)
{
    const struct accused *a = case_of(g, index);
    return a && a->majority;
}

/* Bring the rings up to date that were seen to change. */
static void look_again(const struct sl_gossip *g, struct accused *a)
{
    unsigned changed = ring_vicinity(g, a->member, a->around);
    for (size_t i = 0; changed && i < a->n; i++)
        a->list[i].unread |= (uint8_t)changed;
}

/* Whether the accuser is near on any ring. Mostly one tells that has not changed, and the others stay unread. */
static bool is_near(const struct vicinity *v, struct accusation *x)
{
    if (x->near & ~x->unread)
        return true;
    x->near = (uint8_t)ring_near(v, x->accuser, x->unread);
    x->unread = 0;
    return x->near != 0;
}

static struct count count_standing(const struct sl_gossip *g, struct accused *a)
{
    const struct member *m = member_at(g, a->member);
    struct sl_vitals answer = answer_of(g, m);
    struct sl_version held = newest(g, m);
    struct accusation *stand[ACCUSERS_MAX];
    size_t n = 0, n_live = 0;
    struct count c = {.recheck = SL_NEVER};
    for (size_t i = 0; i < a->n && n < ACCUSERS_MAX; i++) {
        struct accusation *x = &a->list[i];
        const struct member *accuser = member_at(g, x->accuser);
        if (!is_live(accuser))
            continue;
        n_live++;
        if (x->seen.epoch == held.epoch && x->seen.seq <= answer.answered)
            a->voice = held.epoch;
        /* One version behind its epoch, answered, or never signed as far as we know: it does not stand. */
        if (x->seen.epoch != held.epoch || x->seen.seq <= answer.answered || sl_version_cmp(x->seen, held) > 0)
            continue;
        if (accuser->returned && g->now - since_of(g, accuser) < SL_RETURN_HOLD) {
            c.recheck = sl_earlier(c.recheck, since_of(g, accuser) + SL_RETURN_HOLD);
            continue;
        }
        stand[n++] = x;
    }
    if (n_live == 0)
        a->voice = 0;
    look_again(g, a);
    size_t n_able = 0;
    for (size_t i = 0; i < a->around->n_watchers; i++)
        n_able += !has_majority(g, a->around->watchers[i]);
    for (size_t i = 0; i < n; i++) {
        struct accusation *x = stand[i];
        if (!is_near(a->around, x))
            continue;
        c.standing++;
        c.refused += x->how == SL_REFUSED;
        c.undenied += !denies(&answer, id_at(g, x->accuser));
        n_able += has_majority(g, x->accuser);
        if (sl_version_cmp(x->seen, c.seen) > 0)
            c.seen = x->seen;
    }
    c.watchers = a->around->n_watchers;
    c.able = n_able;
    return c;
}

/* Whether a newer identity lives at the address of this one's record. (Live: one that started while its clock was
 * ahead is the newer of two, and would fell its successor for as long as it is remembered; simulator, swarm, seed 1.) */
static bool is_superseded(const struct sl_gossip *g, uint32_t index)
{
    const struct member *m = member_at(g, index);
    const struct sl_fact *record = fact_of(g, m, SL_RECORD);
    for (struct sl_fact *f = sl_pool_first(g->pool, SL_BY_ADDR, record); f; f = sl_pool_next(g->pool, SL_BY_ADDR, f)) {
        if (f->identity != index && table_holds(g, f) && is_live(member_at(g, f->identity)) &&
            newest(g, member_at(g, f->identity)).epoch > newest(g, m).epoch)
            return true;
    }
    return false;
}

static size_t eighth_of(size_t watchers)
{
    return watchers < 8 ? 1 : (watchers + 7) / 8;
}

/* Keep `since` while the condition holds without a break. */
static void keep_since(sl_usec *since, bool holds, sl_usec now)
{
    if (!holds)
        *since = SL_NEVER;
    else if (*since == SL_NEVER)
        *since = now;
}

static bool held_for(sl_usec since, sl_usec span, sl_usec now, sl_usec *recheck)
{
    if (since == SL_NEVER)
        return false;
    if (now - since >= span)
        return true;
    *recheck = sl_earlier(*recheck, since + span);
    return false;
}

/* Whoever was accused and answered, and is still accused by somebody who cannot hear it, speaks to some and not to
 * others. Those others hear of its answer at one moment, look for themselves at one moment, and accuse it at one moment,
 * before its next answer can be there (simulator, `oneway`, 1,000 nodes, seed 1). */
static sl_usec voice_hold(const struct sl_gossip *g, const struct accused *a)
{
    return a->voice && a->voice == newest(g, member_at(g, a->member)).epoch ? SL_VOICE_HOLD : 0;
}

/* Enough of them to matter soon: those whom the accused denies count when they are half of all, for only there can
 * they fell it. Otherwise a few liars would make it talk for ever, and draw its traffic (simulator, liar, accuse). */
static bool presses(const struct count *c)
{
    return c->undenied >= eighth_of(c->watchers) || (c->standing > 0 && 2 * c->standing >= c->able);
}

/* Whether they may press in somebody else's view, who holds a few of our watchers down that we do not: to him eight are an
 * eighth of what to us are nine, and where he is no neighbour of ours he cannot say so (simulator, swarm, seed 80). */
static bool presses_for_others(const struct count *c)
{
    struct count there = *c;
    there.watchers -= there.watchers < SL_WATCHERS_DIFFER ? there.watchers : SL_WATCHERS_DIFFER;
    return presses(&there);
}

static struct flap *flap_of(struct sl_gossip *g, uint32_t index)
{
    for (size_t i = 0; i < g->n_flaps; i++) {
        if (g->flaps[i].member == index)
            return &g->flaps[i];
    }
    return NULL;
}

/* Each answer clears everything, so a node that hears one message in five comes and goes. Who has come back twice
 * within two minutes stays suspect for a while, offered last; its answers are never delayed, or one accuser could
 * kill. */
static void has_returned(struct sl_gossip *g, uint32_t index)
{
    struct flap *f = flap_of(g, index);
    if (!f && g->n_flaps < SL_FLAPS_MAX)
        *(f = &g->flaps[g->n_flaps++]) = (struct flap){.member = NONE};
    if (!f) { /* the one that has been quiet for longest makes room */
        f = &g->flaps[0];
        for (size_t i = 1; i < g->n_flaps; i++)
            f = g->flaps[i].last < f->last ? &g->flaps[i] : f;
    }
    if (f->member != index || g->now - f->last >= SL_FLAP_WINDOW)
        *f = (struct flap){.member = index, .until = SL_NEVER};
    f->last = g->now;
    if (f->returns > 0)
        f->until = g->now + sl_earlier(SL_FLAP_HOLD << (f->returns < 8 ? f->returns - 1 : 7), SL_FLAP_HOLD_MAX);
    f->returns++;
}

static bool is_flapping(struct sl_gossip *g, uint32_t index)
{
    const struct flap *f = flap_of(g, index);
    return f && f->until != SL_NEVER && g->now < f->until;
}

static void recheck_at(struct sl_gossip *g, struct accused *a, sl_usec t)
{
    a->recheck = t;
    g->recheck_at = sl_earlier(g->recheck_at, t);
}

static void judge(struct sl_gossip *g, uint32_t index)
{
    struct member *m = member_at(g, index);
    struct accused *a = case_of(g, index);
    if (!a)
        return;
    a->recheck = SL_NEVER; /* whatever follows: or the clock would ask again for ever (simulator, swarm, seed 3) */
    if (m->status == SL_LEFT)
        return;
    struct count c = count_standing(g, a);
    bool majority = c.standing > 0 && 2 * c.standing >= c.watchers;
    if (majority != a->majority) {
        a->majority = majority;
        verdict_moved(g, index, true);
    }
    if (m->self) { /* what did not count may count now: an accuser came back (simulator, swarm, seed 8) */
        recheck_at(g, a, c.recheck);
        bool hurry = presses_for_others(&c);
        if (c.undenied > 0 || hurry)
            self_accused(g, c.seen, hurry);
        return;
    }
    sl_usec recheck = c.recheck;
    keep_since(&a->half_since, c.standing > 0 && 2 * c.standing >= c.able, g->now);
    keep_since(&a->eighth_since, c.undenied >= eighth_of(c.watchers), g->now);
    bool most = c.standing > 0 && 4 * c.standing >= 3 * c.watchers;
    keep_since(&a->most_since, most, g->now);
    bool down = most && held_for(a->most_since, voice_hold(g, a), g->now, &recheck);
    /* A record can claim any address: it takes half of the watchers as well (simulator, liar, claim). */
    down |= majority && is_superseded(g, index);
    down |= held_for(a->half_since, SL_HALF_HOLD, g->now, &recheck);
    down |= held_for(a->eighth_since, SL_SUSPECT_HOLD, g->now, &recheck);
    /* A refusal crossed the network and is the kernel's word: no doubt holds it back. */
    bool refused = c.refused > 0 && 2 * c.refused >= c.watchers;
    /* Who is down stays down while anything stands: its accusers may change places, the dead do not answer. */
    if (m->status == SL_DOWN) {
        down = c.standing > 0;
    } else if (refused) {
        down = true;
    } else if (down) {
        sl_usec hold = g->no_down_until;
        if (m->returned)
            hold = hold > since_of(g, m) + SL_RETURN_HOLD ? hold : since_of(g, m) + SL_RETURN_HOLD;
        if (g->now < hold || g->isolated) {
            down = false;
            recheck = sl_earlier(recheck, hold > g->now ? hold : SL_NEVER);
        }
    }
    if (!down)
        recheck_at(g, a, recheck);
    if (m->status == SL_DOWN && !down)
        has_returned(g, index);
    bool doubtful = c.undenied > 0 || presses(&c) || is_flapping(g, index);
    table_set_status(g, index, down ? SL_DOWN : doubtful ? SL_SUSPECT : SL_ALIVE);
}

static void flaps_tick(struct sl_gossip *g)
{
    for (size_t i = 0; i < g->n_flaps; i++) {
        uint32_t index = g->flaps[i].member;
        if (g->now < g->flaps[i].until)
            continue;
        g->flaps[i].until = SL_NEVER;
        if (!is_used(g, index) || member_at(g, index)->status != SL_SUSPECT)
            continue;
        if (case_of(g, index))
            judge(g, index);
        else
            table_set_status(g, index, SL_ALIVE);
    }
}

void verdict_moved(struct sl_gossip *g, uint32_t index, bool to_judge)
{
    for (size_t i = 0; i < g->n_cases; i++) {
        struct accused *a = &g->cases[i];
        unsigned seen = ring_seen(g, a->around, index);
        if (a->member == index) /* its host or zone, perhaps */
            a->around->known = 0;
        else if (!seen)
            continue;
        a->around->known &= ~seen;
        a->moved |= to_judge;
        if (to_judge)
            g->judge_moved_at = sl_earlier(g->judge_moved_at, g->now + SL_MS(10));
    }
    if (to_judge)
        verdict_new_address(g, index);
}

void verdict_tick(struct sl_gossip *g)
{
    bool moved = g->now >= g->judge_moved_at;
    if (moved)
        g->judge_moved_at = SL_NEVER;
    if (moved || g->now >= g->recheck_at) {
        for (size_t i = 0; i < g->n_cases; i++) {
            struct accused *a = &g->cases[i];
            if ((moved && a->moved) || g->now >= a->recheck) {
                a->moved = false;
                judge(g, a->member);
            }
        }
        g->recheck_at = SL_NEVER;
        for (size_t i = 0; i < g->n_cases; i++)
            g->recheck_at = sl_earlier(g->recheck_at, g->cases[i].recheck);
    }
    verdict_settle(g);
    flaps_tick(g);
}

sl_usec verdict_deadline(const struct sl_gossip *g)
{
    sl_usec t = g->any_open ? g->now : sl_earlier(g->judge_moved_at, g->recheck_at);
    for (size_t i = 0; i < g->n_flaps; i++)
        t = sl_earlier(t, g->flaps[i].until);
    return t;
}

static void shift_since(sl_usec *since, sl_usec lag, sl_usec now)
{
    if (*since != SL_NEVER)
        *since = sl_earlier(sl_after(*since, lag), now);
}

/* A stall of ours must not count as silence of theirs, nor the time in which we were cut off, all of it (SL_NEVER): no answer
 * could come (simulator, swarm, seed 364). */
void verdict_shift(struct sl_gossip *g, sl_usec lag)
{
    for (size_t i = 0; i < g->n_cases; i++) {
        shift_since(&g->cases[i].most_since, lag, g->now);
        shift_since(&g->cases[i].half_since, lag, g->now);
        shift_since(&g->cases[i].eighth_since, lag, g->now);
    }
}

struct sl_version verdict_against(const struct sl_gossip *g, uint32_t index, size_t *ret_n, bool *ret_presses)
{
    struct accused *a = case_of(g, index);
    struct count c = {0};
    if (a)
        c = count_standing(g, a);
    *ret_n = c.standing;
    *ret_presses = a && presses(&c);
    return c.seen;
}

size_t verdict_accusers(const struct sl_gossip *g, uint32_t index, uint64_t answered, uint32_t *ret, size_t max)
{
    const struct accused *a = case_of(g, index);
    size_t n = 0;
    for (size_t i = 0; a && i < a->n && n < max; i++) {
        if (a->list[i].seen.epoch == newest(g, member_at(g, index)).epoch && a->list[i].seen.seq > answered)
            ret[n++] = a->list[i].accuser;
    }
    return n;
}

size_t sl_gossip_standing(const struct sl_gossip *g, const struct sl_id *id)
{
    size_t n = 0;
    bool presses;
    uint32_t index = table_find(g, id);
    if (index != NONE)
        verdict_against(g, index, &n, &presses);
    return n;
}

/* ---- keeping the lists ------------------------------------------------------------------ */

static struct accused *case_open(struct sl_gossip *g, uint32_t index)
{
    struct accused *a = case_of(g, index);
    if (a)
        return a;
    if (sl_alloc_grow(mem(g), (void **)&g->cases, sizeof *g->cases, &g->cap_cases, g->n_cases + 1) < 0)
        return NULL;
    struct vicinity *around = sl_alloc_zero(mem(g), sizeof *around);
    if (!around)
        return NULL;
    a = &g->cases[g->n_cases];
    memset(a, 0, sizeof *a);
    a->member = index;
    a->around = around;
    a->most_since = a->half_since = a->eighth_since = a->recheck = SL_NEVER;
    member_at(g, index)->case_index = (uint32_t)g->n_cases++;
    return a;
}

static void case_close(struct sl_gossip *g, struct accused *a)
{
    uint32_t at = (uint32_t)(a - g->cases);
    member_at(g, a->member)->case_index = NONE;
    sl_alloc_free(mem(g), a->list, a->cap * sizeof *a->list);
    sl_alloc_free(mem(g), a->around, sizeof *a->around);
    *a = g->cases[--g->n_cases];
    if (at < g->n_cases)
        member_at(g, a->member)->case_index = at;
}

void verdict_reconsider(struct sl_gossip *g, uint32_t index)
{
    struct accused *a = case_of(g, index);
    if (a)
        a->open = g->any_open = true;
}

void verdict_settle(struct sl_gossip *g)
{
    if (!g->any_open)
        return;
    g->any_open = false;
    for (size_t i = g->n_cases; i-- > 0;) { /* backwards: the last one takes the place of one that is closed */
        struct accused *a = &g->cases[i];
        if (!a->open)
            continue;
        a->open = false;
        judge(g, a->member);
        if (a->n == 0)
            case_close(g, a);
    }
}

void verdict_fini(struct sl_gossip *g)
{
    while (g->n_cases > 0)
        case_close(g, &g->cases[g->n_cases - 1]);
    sl_alloc_free(mem(g), g->cases, g->cap_cases * sizeof *g->cases);
}

static void accuse(struct sl_gossip *g, uint32_t accuser, uint32_t index, const struct sl_sighting *s)
{
    struct accused *a = case_open(g, index);
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++) {
        if (a->list[i].accuser == accuser) {
            a->list[i].how = s->how;
            a->list[i].seen = s->seen;
            return;
        }
    }
    if (a->n >= ACCUSERS_MAX ||
        sl_alloc_grow(mem(g), (void **)&a->list, sizeof *a->list, &a->cap, a->n + 1) < 0)
        return;
    a->list[a->n++] = (struct accusation){
        .accuser = accuser,
        .how = s->how,
        .unread = ALL_RINGS,
        .seen = s->seen,
    };
}

static void acquit(struct sl_gossip *g, uint32_t accuser, uint32_t index)
{
    struct accused *a = case_of(g, index);
    for (size_t i = 0; a && i < a->n; i++) {
        if (a->list[i].accuser == accuser) {
            a->list[i] = a->list[--a->n];
            break;
        }
    }
    verdict_reconsider(g, index);
}

/* Two bits of g->named for an id, which is a hash already. */
static void name_one(struct sl_gossip *g, const struct sl_id *id)
{
    for (size_t i = 0; i < 4; i += 2)
        g->named[id->b[i] % SL_COUNT(g->named)] |= UINT64_C(1) << id->b[i + 1] % 64;
}

static bool is_named(const struct sl_gossip *g, const struct sl_id *id)
{
    bool is = true;
    for (size_t i = 0; i < 4; i += 2)
        is &= g->named[id->b[i] % SL_COUNT(g->named)] >> id->b[i + 1] % 64 & 1;
    return is;
}

void verdict_sightings(struct sl_gossip *g, uint32_t accuser, const struct sl_fact *before,
                       const struct sl_fact *after)
{
    struct sl_sighting old[SL_SIGHTING_ENTRIES_MAX], now[SL_SIGHTING_ENTRIES_MAX];
    size_t n_old = 0, n_now = 0;
    if (before && !sl_sightings_read(sl_fact_body(before), old, &n_old))
        n_old = 0;
    if (after && !sl_sightings_read(sl_fact_body(after), now, &n_now))
        n_now = 0;
    member_at(g, accuser)->accuses = n_now > 0;
    for (size_t i = 0; i < n_now; i++)
        name_one(g, &now[i].accused);
    for (size_t i = 0; i < n_old; i++) {
        if (sl_sightings_about(now, n_now, &old[i].accused))
            continue;
        uint32_t index = table_find(g, &old[i].accused);
        if (index != NONE)
            acquit(g, accuser, index);
    }
    for (size_t i = 0; i < n_now; i++) {
        uint32_t index = table_find(g, &now[i].accused);
        if (index == NONE) {
            g->stray_accusations = true;
            continue;
        }
        const struct sl_sighting *was = sl_sightings_about(old, n_old, &now[i].accused);
        if (was && was->how == now[i].how && sl_version_cmp(was->seen, now[i].seen) == 0)
            continue;
        accuse(g, accuser, index, &now[i]);
        if (accuser != g->self && index != g->self && member_at(g, accuser)->sightings_left > 0)
            watch_doubt(g, index); /* not at every word of one who says something new all the time */
        verdict_reconsider(g, index);
    }
}

/* A newer identity on somebody's address: the one before will not come back there, if anybody accuses it. */
void verdict_new_address(struct sl_gossip *g, uint32_t index)
{
    if (g->n_cases == 0) /* as while a flock joins, when everybody is new */
        return;
    const struct sl_fact *record = fact_of(g, member_at(g, index), SL_RECORD);
    for (struct sl_fact *f = sl_pool_first(g->pool, SL_BY_ADDR, record); f; f = sl_pool_next(g->pool, SL_BY_ADDR, f)) {
        struct accused *a = table_holds(g, f) ? case_of(g, f->identity) : NULL;
        if (a)
            recheck_at(g, a, g->now);
    }
}

void verdict_new_member(struct sl_gossip *g, uint32_t index)
{
    verdict_new_address(g, index);
    if (!g->stray_accusations)
        return;
    const struct sl_id *id = id_at(g, index);
    if (!is_named(g, id)) /* while a flock joins, that is nearly everybody, and each looked at all sightings */
        return;
    memset(g->named, 0, sizeof g->named);
    for (uint32_t i = 0; i < g->n_slots; i++) {
        struct sl_sighting entries[SL_SIGHTING_ENTRIES_MAX];
        size_t n = 0;
        const struct member *m = member_at(g, i);
        if (!m->accuses || !sl_sightings_read(sl_fact_body(fact_of(g, m, SL_SIGHTINGS)), entries, &n))
            continue;
        for (size_t k = 0; k < n; k++)
            name_one(g, &entries[k].accused);
        const struct sl_sighting *s = sl_sightings_about(entries, n, id);
        if (s)
            accuse(g, i, index, s);
    }
    verdict_reconsider(g, index);
}

/* `index` leaves the table: nothing it said counts, and nothing said of it. */
void verdict_forget(struct sl_gossip *g, uint32_t index)
{
    struct accused *a = case_of(g, index);
    struct flap *flap = flap_of(g, index);
    if (a)
        case_close(g, a);
    if (flap)
        *flap = g->flaps[--g->n_flaps];
    const struct sl_fact *f = fact_of(g, member_at(g, index), SL_SIGHTINGS);
    if (f)
        verdict_sightings(g, index, f, NULL);
}
