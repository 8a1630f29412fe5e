/* check.h: what a health check makes of its results, and when the next one is due. Pure: time,
 * chance and results are arguments; sockets are check_run.c's, HTTP is check_http.c's, threads for
 * callbacks check_call.c's. */
#ifndef SL_NODE_CHECK_H
#define SL_NODE_CHECK_H

#include <starling.h>

#include "base/port.h"

/* A service that is held back is asked more often, so that it is offered soon after it answers: */
#define SL_CHECK_HELD_FIRST SL_MS(50) /* then twice that, */
#define SL_CHECK_HELD_MAX SL_MS(200)  /* and so on up to this, and never rarer than the interval */

/* A note that changes while the health stays is told at most this often: a callback may well put
 * a number in it. */
#define SL_CHECK_NOTE_EVERY SL_SEC(30)

struct sl_check_rules {
    sl_usec interval; /* from start to start; of a TTL: how long one renewal lasts */
    sl_usec timeout;  /* no answer after this is a failure */
    unsigned rise;    /* results in a row, not critical, until a critical or held one is fit */
    unsigned fall;    /* critical results in a row until it is critical */
    bool ttl;         /* results are renewals; timeout, rise and fall do not matter */
};

struct sl_check {
    struct sl_check_rules rules;
    uint8_t health; /* enum starling_health: the verdict */
    char note[STARLING_NOTE_MAX];
    bool held;     /* not offered yet */
    bool running;  /* started, no result yet */
    sl_usec began; /* the one that runs, or the last one */
    sl_usec due;   /* the next start, the latest end of the one that runs, the end of a TTL */
    sl_usec told;  /* when the verdict or its note last changed */
    unsigned n_good, n_bad; /* in a row, only one of them above 0 */
    sl_usec held_pause;
};

enum sl_check_step {
    SL_CHECK_WAIT,  /* nothing until sl_check_deadline() */
    SL_CHECK_START, /* begin one; its result is sl_check_result()'s */
    SL_CHECK_STOP,  /* it took too long: give it up, and report so as its result */
    SL_CHECK_LAPSED /* of a TTL: not renewed in time, and the verdict says so now */
};

/* The first check is due at once. */
void sl_check_init(struct sl_check *c, const struct sl_check_rules *rules,
                   enum starling_health health, bool held, sl_usec now);
sl_usec sl_check_deadline(const struct sl_check *c);
enum sl_check_step sl_check_turn(struct sl_check *c, sl_usec now);
/* What the check that runs has found. True: the flock should know, since the verdict, its note or
 * whether it is held has changed. */
bool sl_check_result(struct sl_check *c, sl_usec now, struct sl_rand *rand,
                     enum starling_health health, const char *note);
/* It was renewed at `at`. True as above. */
bool sl_check_renewed(struct sl_check *c, sl_usec at);

/* As much of a note as there is room for: whole characters (UTF-8), control characters as
 * spaces. */
void sl_check_note(char out[STARLING_NOTE_MAX], const char *note);
#endif
