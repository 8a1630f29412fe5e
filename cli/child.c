/* child.c: start a program, and see that it ends with us. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Learn the group, wait for the end of the pipe, kill the group. A group 0 means there is nothing
 * left to kill: a number that was given back may already belong to somebody else. */
static _Noreturn void guard(int fd)
{
    pid_t group = 0, said;
    sigset_t all;
    (void)setsid(); /* out of reach of the terminal */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)prctl(PR_SET_NAME, "starling-guard", 0, 0, 0);
    for (;;) {
        ssize_t n = read(fd, &said, sizeof said);
        if (n == sizeof said)
            group = said;
        else if (n >= 0 || errno != EINTR)
            break;
    }
    if (group > 0)
        (void)kill(-group, SIGKILL);
    _exit(0);
}

int child_guard(struct child *c)
{
    int fds[2];
    *c = (struct child){.guard_pipe = -1};
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[1]);
        (void)close(STDIN_FILENO);
        (void)close(STDOUT_FILENO); /* or a reader of ours would wait for the guard */
        (void)close(STDERR_FILENO);
        guard(fds[0]);
    }
    int error = errno;
    (void)close(fds[0]);
    if (pid < 0) {
        (void)close(fds[1]);
        errno = error;
        return -1;
    }
    c->guard = pid;
    c->guard_pipe = fds[1];
    return 0;
}

static void tell_guard(const struct child *c, pid_t group)
{
    ssize_t n;
    do
        n = write(c->guard_pipe, &group, sizeof group);
    while (n < 0 && errno == EINTR);
}

/* In the child, between fork and exec: system calls only. */
static _Noreturn void become(char *const argv[], const sigset_t *mask, pid_t parent, int report)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) /* it died before we asked to be told */
        _exit(127);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)execvp(argv[0], argv);
    int error = errno;
    if (write(report, &error, sizeof error) < 0)
        _exit(126);
    _exit(error == ENOENT ? 127 : 126);
}

int child_start(struct child *c, char *const argv[], const sigset_t *mask)
{
    int fds[2], error = 0;
    pid_t parent = getpid();
    if (pipe2(fds, O_CLOEXEC) < 0)
        return errno;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, mask, parent, fds[1]);
    int fork_error = errno;
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        return fork_error;
    }
    (void)setpgid(pid, pid); /* whoever of the two comes first */
    c->pid = pid;
    tell_guard(c, pid);
    ssize_t n;
    do
        n = read(fds[0], &error, sizeof error); /* ends with exec */
    while (n < 0 && errno == EINTR);
    (void)close(fds[0]);
    return n == sizeof error ? error | EXEC_FAILED : 0;
}

void child_signal(const struct child *c, int number)
{
    if (c->pid > 0)
        (void)kill(-c->pid, number);
}

void child_reap(struct child *c)
{
    int status;
    pid_t pid;
    /* Any process: as number 1 of a container we are given orphans. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != c->pid)
            continue;
        c->ended = true;
        c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

void child_finish(struct child *c)
{
    if (c->pid > 0) {
        (void)kill(-c->pid, SIGKILL);
        tell_guard(c, 0);
    }
    if (c->guard_pipe >= 0)
        (void)close(c->guard_pipe);
    if (c->guard > 0)
        (void)waitpid(c->guard, NULL, 0);
    *c = (struct child){.guard_pipe = -1, .ended = c->ended, .status = c->status};
}
