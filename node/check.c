/* check.c: from results to a verdict: rise and fall count, jitter spreads, a note explains.
 * A result is one probe's; the verdict is what the flock is told. One probe at a time: the next
 * one starts an interval after the last start, but never before that one has ended, so that slow
 * answers make checks rare instead of many. */
#include "node/check.h"

#include <stdio.h>

void sl_check_init(struct sl_check *c, const struct sl_check_rules *rules,
                   enum starling_health health, bool held, sl_usec now)
{
    memset(c, 0, sizeof *c);
    c->rules = *rules;
    c->health = (uint8_t)health;
    c->held = held;
    c->began = now;
    c->told = now - SL_CHECK_NOTE_EVERY; /* the first note is told at once */
    c->held_pause = SL_CHECK_HELD_FIRST;
    c->due = rules->ttl ? sl_after(now, rules->interval) : now;
}

sl_usec sl_check_deadline(const struct sl_check *c)
{
    return c->due;
}

void sl_check_note(char out[STARLING_NOTE_MAX], const char *note)
{
    size_t len = strnlen(note, STARLING_NOTE_MAX);
    if (len == STARLING_NOTE_MAX) {
        len--;
        while (len > 0 && ((unsigned char)note[len] & 0xc0) == 0x80)
            len--;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char b = (unsigned char)note[i];
        out[i] = b < 0x20 || b == 0x7f ? ' ' : note[i];
    }
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
}

/* ---- the verdict -------------------------------------------------------------------------- */

/* True when it differs from what was told. */
static bool decide(struct sl_check *c, sl_usec now, enum starling_health health, const char *note)
{
    char text[STARLING_NOTE_MAX];
    sl_check_note(text, note);
    bool same_note = strcmp(text, c->note) == 0;
    if (health == c->health && (same_note || now - c->told < SL_CHECK_NOTE_EVERY))
        return false;
    c->health = (uint8_t)health;
    memcpy(c->note, text, sizeof text);
    c->told = now;
    return true;
}

static bool good(struct sl_check *c, sl_usec now, enum starling_health health, const char *note)
{
    c->n_bad = 0;
    if (c->n_good < c->rules.rise)
        c->n_good++;
    bool waits = c->held || c->health == STARLING_CRITICAL;
    if (waits && c->n_good < c->rules.rise)
        return false;
    bool was_held = c->held;
    c->held = false;
    return decide(c, now, health, note) || was_held;
}

static bool bad(struct sl_check *c, sl_usec now, const char *note)
{
    c->n_good = 0;
    if (c->n_bad < c->rules.fall)
        c->n_bad++;
    if (c->n_bad < c->rules.fall && c->health != STARLING_CRITICAL)
        return false;
    return decide(c, now, STARLING_CRITICAL, note);
}

/* ---- when ----------------------------------------------------------------------------------- */

/* Ten percent either way: checks of many services that began together come apart. */
static sl_usec next_start(struct sl_check *c, sl_usec now, struct sl_rand *rand)
{
    sl_usec pause = c->rules.interval;
    if (c->held && c->held_pause < pause) {
        pause = c->held_pause;
        c->held_pause = sl_earlier(2 * c->held_pause, SL_CHECK_HELD_MAX);
    }
    sl_usec at = sl_after(c->began, sl_rand_span(rand, pause - pause / 10, pause + pause / 10));
    return at > now ? at : now;
}

enum sl_check_step sl_check_turn(struct sl_check *c, sl_usec now)
{
    if (now < c->due)
        return SL_CHECK_WAIT;
    if (c->running)
        return SL_CHECK_STOP;
    if (!c->rules.ttl) {
        c->running = true;
        c->began = now;
        c->due = sl_after(now, c->rules.timeout);
        return SL_CHECK_START;
    }
    char note[STARLING_NOTE_MAX];
    (void)snprintf(note, sizeof note, "not renewed for %lld ms",
                   (long long)(c->rules.interval / 1000));
    c->due = SL_NEVER; /* until it is renewed */
    (void)decide(c, now, STARLING_CRITICAL, note);
    return SL_CHECK_LAPSED;
}

bool sl_check_result(struct sl_check *c, sl_usec now, struct sl_rand *rand,
                     enum starling_health health, const char *note)
{
    bool changed = health == STARLING_CRITICAL ? bad(c, now, note) : good(c, now, health, note);
    c->running = false;
    c->due = next_start(c, now, rand);
    return changed;
}

bool sl_check_renewed(struct sl_check *c, sl_usec at)
{
    bool was_held = c->held;
    c->held = false;
    c->due = sl_after(at, c->rules.interval);
    return decide(c, at, STARLING_PASSING, "") || was_held;
}
