/* check.h: a command that says how a service is: `starling run --check exec:CMD`.
 * The library asks, through a callback on a thread of its own, when it is time; the command is
 * started, heard and ended by the one loop of `starling run`, which is the only one that starts
 * and reaps processes. When to ask and what the answers mean is the library's business. */
#ifndef SL_CLI_CHECK_H
#define SL_CLI_CHECK_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <starling.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/child.h"

#define CHECK_FDS 2

struct check {
    const char *command; /* for sh -c; NULL = none */
    int64_t timeout_ms;
    const struct child *child; /* whose guard knows of the command as well */
    sigset_t mask;             /* signals of the command */

    /* between the library's thread and the loop, under lock */
    pthread_mutex_t lock;
    pthread_cond_t answered_cond;
    bool asked, answered, stopped;
    int health;
    char note[STARLING_NOTE_MAX];
    int asked_fd; /* eventfd */

    /* the loop's */
    pid_t pid; /* and its process group; 0 = none runs */
    int out_fd;
    int64_t due; /* it is killed then */
    bool killed;
    char text[STARLING_NOTE_MAX]; /* the first line it says */
    size_t text_len;
    bool line_ended;
};

/* 0, or -1 with errno. */
int check_init(struct check *c, const char *command, int64_t timeout_ms, const struct child *child,
               const sigset_t *mask);
/* Kill what runs, wait for its end. After check_stop(). */
void check_fini(struct check *c);
/* The starling_service.check_call; context is the struct check. */
int check_call(void *context, char note[STARLING_NOTE_MAX]);
/* No more commands: the library's thread is let go. Before the service is withdrawn, which waits
 * for it. */
void check_stop(struct check *c);

/* ---- the loop's ---- */

void check_poll(const struct check *c, struct pollfd fds[CHECK_FDS]);
/* When to come back without an event; INT64_MAX = never. */
int64_t check_due(const struct check *c);
void check_turn(struct check *c, int64_t now);
/* A process has ended and is not reaped yet: its number is still its own. */
void check_ends(struct check *c, pid_t pid);
/* And now it is reaped. */
void check_ended(struct check *c, pid_t pid, int status);

#endif
