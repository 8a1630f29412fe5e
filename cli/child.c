/* child.c: start a program, and see that it ends with us. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct guard_word {
    int which;
    pid_t group;
};

/* Learn the groups, wait for the end of the pipe, kill the groups. A group 0 means there is nothing
 * left to kill: a number that was given back may already belong to somebody else. */
static _Noreturn void guard(int fd)
{
    pid_t group[GUARD_GROUPS] = {0};
    struct guard_word said;
    sigset_t all;
    (void)setsid(); /* out of reach of the terminal */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)prctl(PR_SET_NAME, "starling-guard", 0, 0, 0);
    for (;;) {
        ssize_t n = read(fd, &said, sizeof said);
        if (n == sizeof said && said.which >= 0 && said.which < GUARD_GROUPS)
            group[said.which] = said.group;
        else if (n >= 0 || errno != EINTR)
            break;
    }
    for (int i = 0; i < GUARD_GROUPS; i++)
        if (group[i] > 0)
            (void)kill(-group[i], SIGKILL);
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

void child_guard_group(const struct child *c, int which, pid_t group)
{
    const struct guard_word word = {.which = which, .group = group};
    ssize_t n;
    if (c->guard_pipe < 0)
        return;
    do
        n = write(c->guard_pipe, &word, sizeof word);
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
    child_guard_group(c, GUARD_PROGRAM, pid);
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

pid_t child_next_ended(void)
{
    /* Any process: as number 1 of a container we are given orphans. */
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? info.si_pid : 0;
}

int child_reap(struct child *c, pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid && pid == c->pid) {
        c->ended = true;
        c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return status;
}

void child_finish(struct child *c)
{
    if (c->pid > 0) {
        (void)kill(-c->pid, SIGKILL);
        child_guard_group(c, GUARD_PROGRAM, 0);
    }
    if (c->guard_pipe >= 0)
        (void)close(c->guard_pipe);
    if (c->guard > 0)
        (void)waitpid(c->guard, NULL, 0);
    *c = (struct child){.guard_pipe = -1, .ended = c->ended, .status = c->status};
}
