/* check.c: one command at a time, in a process group of its own, killed with its group when it takes
 * too long. */
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 4096
#define READS_MAX 16 /* of one turn: one that floods us takes its own time */

int check_init(struct check *c, const char *command, int64_t timeout_ms, const struct child *child,
               const sigset_t *mask)
{
    *c = (struct check){.command = command,
                        .timeout_ms = timeout_ms,
                        .child = child,
                        .mask = *mask,
                        .asked_fd = -1,
                        .out_fd = -1};
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->answered_cond, NULL);
    if (command == NULL)
        return 0;
    c->asked_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return c->asked_fd < 0 ? -1 : 0;
}

/* ---- the library's thread ------------------------------------------------------------------- */

int check_call(void *context, char note[STARLING_NOTE_MAX])
{
    struct check *c = context;
    int health = STARLING_CRITICAL;
    (void)pthread_mutex_lock(&c->lock);
    c->asked = true;
    c->answered = false;
    (void)eventfd_write(c->asked_fd, 1);
    while (!c->answered && !c->stopped)
        (void)pthread_cond_wait(&c->answered_cond, &c->lock);
    if (c->answered) {
        health = c->health;
        memcpy(note, c->note, sizeof c->note);
    }
    c->asked = false;
    (void)pthread_mutex_unlock(&c->lock);
    return health;
}

static void answer(struct check *c, enum starling_health health, const char *note)
{
    (void)pthread_mutex_lock(&c->lock);
    c->asked = false;
    c->answered = true;
    c->health = health;
    (void)snprintf(c->note, sizeof c->note, "%s", note);
    (void)pthread_cond_signal(&c->answered_cond);
    (void)pthread_mutex_unlock(&c->lock);
}

/* ---- a command ------------------------------------------------------------------------------ */

static void kill_group(const struct check *c)
{
    if (c->pid > 0)
        (void)kill(-c->pid, SIGKILL);
}

/* Between fork and exec: system calls only. */
static _Noreturn void become(const struct check *c, pid_t parent, int out)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(127);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        (void)dup2(null, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    if (null > STDERR_FILENO)
        (void)close(null);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &c->mask, NULL);
    (void)execl("/bin/sh", "sh", "-c", c->command, (char *)NULL);
    _exit(127);
}

static void start(struct check *c, int64_t now)
{
    int fds[2];
    pid_t parent = getpid();
    if (pipe2(fds, O_CLOEXEC) < 0) {
        answer(c, STARLING_CRITICAL, "no descriptor is left for the check");
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(c, parent, fds[1]);
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        answer(c, STARLING_CRITICAL, "no process is left for the check");
        return;
    }
    (void)setpgid(pid, pid); /* whoever of the two comes first */
    child_guard_group(c->child, GUARD_CHECK, pid);
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    c->pid = pid;
    c->out_fd = fds[0];
    c->due = now + c->timeout_ms;
    c->killed = c->line_ended = false;
    c->text_len = 0;
}

static void keep_line(struct check *c, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && !c->line_ended; i++) {
        if (bytes[i] == '\n')
            c->line_ended = true;
        else if (c->text_len < sizeof c->text - 1)
            c->text[c->text_len++] = bytes[i];
    }
}

/* What it has said so far; all of it is read, so that it never waits for us. */
static void hear(struct check *c)
{
    char bytes[READ_BYTES];
    for (unsigned i = 0; c->out_fd >= 0 && i < READS_MAX; i++) {
        ssize_t n = read(c->out_fd, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0) {
            keep_line(c, bytes, (size_t)n);
            continue;
        }
        (void)close(c->out_fd);
        c->out_fd = -1;
    }
}

void check_ends(struct check *c, pid_t pid)
{
    if (c->pid == 0 || pid != c->pid)
        return;
    kill_group(c); /* what it has left behind */
    child_guard_group(c->child, GUARD_CHECK, 0);
}

static void judge(struct check *c, int status)
{
    char note[STARLING_NOTE_MAX];
    c->text[c->text_len] = '\0';
    if (c->killed) {
        (void)snprintf(note, sizeof note, "no answer within %lld ms", (long long)c->timeout_ms);
        answer(c, STARLING_CRITICAL, note);
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
        answer(c, WEXITSTATUS(status) == 0 ? STARLING_PASSING : STARLING_WARNING, c->text);
        return;
    }
    if (WIFSIGNALED(status))
        (void)snprintf(note, sizeof note, "the check died of signal %d", WTERMSIG(status));
    else
        (void)snprintf(note, sizeof note, "exit status %d", WEXITSTATUS(status));
    answer(c, STARLING_CRITICAL, c->text_len > 0 ? c->text : note);
}

void check_ended(struct check *c, pid_t pid, int status)
{
    if (c->pid == 0 || pid != c->pid)
        return;
    hear(c);
    if (c->out_fd >= 0)
        (void)close(c->out_fd);
    c->out_fd = -1;
    c->pid = 0;
    judge(c, status);
}

/* ---- the loop's ----------------------------------------------------------------------------- */

void check_poll(const struct check *c, struct pollfd fds[CHECK_FDS])
{
    fds[0] = (struct pollfd){.fd = c->asked_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = c->out_fd, .events = POLLIN};
}

int64_t check_due(const struct check *c)
{
    return c->pid > 0 && !c->killed ? c->due : INT64_MAX;
}

void check_turn(struct check *c, int64_t now)
{
    eventfd_t ignored;
    if (c->command == NULL)
        return;
    hear(c);
    (void)eventfd_read(c->asked_fd, &ignored);
    if (c->pid > 0) {
        if (now >= c->due && !c->killed) {
            c->killed = true;
            kill_group(c);
        }
        return;
    }
    (void)pthread_mutex_lock(&c->lock);
    bool asked = c->asked && !c->stopped;
    (void)pthread_mutex_unlock(&c->lock);
    if (asked)
        start(c, now);
}

void check_stop(struct check *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->stopped = true;
    (void)pthread_cond_signal(&c->answered_cond);
    (void)pthread_mutex_unlock(&c->lock);
    kill_group(c); /* the loop, or check_fini, reaps it */
}

void check_fini(struct check *c)
{
    if (c->pid > 0) {
        kill_group(c);
        (void)waitpid(c->pid, NULL, 0);
        child_guard_group(c->child, GUARD_CHECK, 0);
    }
    if (c->out_fd >= 0)
        (void)close(c->out_fd);
    if (c->asked_fd >= 0)
        (void)close(c->asked_fd);
    c->pid = 0;
    c->out_fd = c->asked_fd = -1;
}
