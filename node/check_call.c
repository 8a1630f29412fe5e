/* check_call.c: one thread for each registration with a callback, asleep between calls. */
#include "node/check_call.h"

#include "node/node.h"

static _Thread_local const starling_node *inside;

bool sl_call_is_inside(const starling_node *node)
{
    return inside == node;
}

void sl_call_init(struct sl_call *c, starling_node *node,
                  int (*function)(void *context, char note[STARLING_NOTE_MAX]), void *context)
{
    memset(c, 0, sizeof *c);
    c->node = node;
    c->function = function;
    c->context = context;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->asked_cond, NULL);
}

void sl_call_fini(struct sl_call *c)
{
    sl_call_stop(c, true);
    pthread_cond_destroy(&c->asked_cond);
    pthread_mutex_destroy(&c->lock);
}

/* ---- its thread ------------------------------------------------------------------------------ */

/* False: time to end. */
static bool wait_until_asked(struct sl_call *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->asked && !c->quit)
        pthread_cond_wait(&c->asked_cond, &c->lock);
    bool go_on = !c->quit;
    c->asked = false;
    c->running = go_on;
    pthread_mutex_unlock(&c->lock);
    return go_on;
}

static void answer(struct sl_call *c, int health, const char note[STARLING_NOTE_MAX])
{
    pthread_mutex_lock(&c->lock);
    c->running = false;
    c->answered = true;
    c->health = health;
    memcpy(c->note, note, sizeof c->note);
    c->note[sizeof c->note - 1] = '\0';
    pthread_mutex_unlock(&c->lock);
    sl_node_wake(c->node);
}

static void *thread_main(void *arg)
{
    struct sl_call *c = arg;
    (void)pthread_setname_np(pthread_self(), "starling-check");
    inside = c->node;
    while (wait_until_asked(c)) {
        char note[STARLING_NOTE_MAX] = "";
        int health = c->function(c->context, note);
        answer(c, health, note);
    }
    return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

/* The I/O thread starts it, whose signals are all blocked: the host's handlers stay out of it. */
int sl_call_ask(struct sl_call *c)
{
    int r = 0;
    pthread_mutex_lock(&c->lock);
    if (c->quit || c->asked || c->running)
        r = STARLING_EBUSY;
    else if (!c->started && pthread_create(&c->thread, NULL, thread_main, c) != 0)
        r = STARLING_ELIMIT;
    if (r == 0) {
        c->started = c->asked = true;
        c->answered = false; /* of a call that was given up: too late */
        pthread_cond_signal(&c->asked_cond);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

bool sl_call_answer(struct sl_call *c, int *ret_health, char note[STARLING_NOTE_MAX])
{
    pthread_mutex_lock(&c->lock);
    bool answered = c->answered;
    if (answered) {
        *ret_health = c->health;
        memcpy(note, c->note, sizeof c->note);
    }
    c->answered = false;
    pthread_mutex_unlock(&c->lock);
    return answered;
}

bool sl_call_is_running(struct sl_call *c)
{
    pthread_mutex_lock(&c->lock);
    bool running = c->running;
    pthread_mutex_unlock(&c->lock);
    return running;
}

void sl_call_stop(struct sl_call *c, bool wait)
{
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    bool join = wait && c->started;
    if (join)
        c->started = false; /* quit: nobody starts it again */
    pthread_cond_signal(&c->asked_cond);
    pthread_mutex_unlock(&c->lock);
    if (join)
        (void)pthread_join(c->thread, NULL);
}
