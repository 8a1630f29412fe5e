/* child.h: a program that does not outlive the one that started it. It runs in a process group of
 * its own. The kernel kills it when we die (PR_SET_PDEATHSIG), and a guard, a small process that
 * only waits for our end, kills the rest of its group: what it started itself. Who leaves the
 * group on purpose (setsid) gets away. */
#ifndef SL_CLI_CHILD_H
#define SL_CLI_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid; /* and its process group; 0 = none */
    pid_t guard;
    int guard_pipe; /* its other end is the guard's; it closes when we die */
    bool ended;
    int status; /* exit status, or 128 + signal, once ended */
};

/* Process groups that the guard knows: the program's, and that of a check which runs. */
enum { GUARD_PROGRAM, GUARD_CHECK, GUARD_GROUPS };

/* Before the process has threads. 0, or -1 with errno. */
int child_guard(struct child *c);
/* Run argv with the signal mask `mask`. 0, or the errno of what failed; EXEC_FAILED is or-ed in
 * when it was exec. */
#define EXEC_FAILED 0x10000
int child_start(struct child *c, char *const argv[], const sigset_t *mask);
/* Let the guard kill this group when we die; 0: none any more. */
void child_guard_group(const struct child *c, int which, pid_t group);
/* Send to the whole group. */
void child_signal(const struct child *c, int number);
/* After SIGCHLD: any process that has ended, not reaped yet; 0 = none. */
pid_t child_next_ended(void);
/* Reap it; its status as of waitpid(). */
int child_reap(struct child *c, pid_t pid);
/* Kill what is left of the group, and dismiss the guard. */
void child_finish(struct child *c);

#endif
