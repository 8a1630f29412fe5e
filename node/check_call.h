/* check_call.h: a function of the application that says how a service is, on a thread of its own:
 * it may block for as long as it likes, and only its own check waits for it. */
#ifndef SL_NODE_CHECK_CALL_H
#define SL_NODE_CHECK_CALL_H

#include <pthread.h>
#include <starling.h>

#include "base/types.h"

struct sl_call {
    int (*function)(void *context, char note[STARLING_NOTE_MAX]);
    void *context;
    starling_node *node; /* to wake */

    pthread_mutex_t lock; /* held for a copy, never across the call */
    pthread_cond_t asked_cond;
    pthread_t thread;
    bool started, asked, running, answered, quit; /* under lock */
    int health;                                   /* of the answer */
    char note[STARLING_NOTE_MAX];
};

void sl_call_init(struct sl_call *c, starling_node *node,
                  int (*function)(void *context, char note[STARLING_NOTE_MAX]), void *context);
/* Ends the thread, after waiting for the function. */
void sl_call_fini(struct sl_call *c);

/* Begin a call; starts the thread when there is none. 0, EBUSY (the last one has not returned),
 * ELIMIT (no thread). */
int sl_call_ask(struct sl_call *c) SL_MUST_USE;
/* True once for each call that has returned. */
bool sl_call_answer(struct sl_call *c, int *ret_health, char note[STARLING_NOTE_MAX]);
bool sl_call_is_running(struct sl_call *c);
/* No more calls. With `wait` its thread has ended on return. */
void sl_call_stop(struct sl_call *c, bool wait);

/* The calling thread is inside such a function of this node. */
bool sl_call_is_inside(const starling_node *node);
#endif
