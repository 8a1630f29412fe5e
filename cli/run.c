/* run.c: `starling run`: any program as a service of the flock.
 * A node of its own, a check, and the order of the end: no new requests, then withdraw the service
 * and stop the program, then leave. The library makes the checks; a check that is a command is
 * carried out by the one loop here, which starts and reaps all processes. */
#include "cli/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/check.h"
#include "cli/child.h"
#include "cli/run_options.h"

#define FAILED 125 /* our own failure, as of env(1), timeout(1) */
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127
#define LOOK_EVERY_MS 500 /* whether the node was told to leave */
/* A command is killed by us when its time is over; the library's own time-out is for the case that
 * even that takes long. */
#define KILL_MS 1000

struct run {
    struct run_options options;
    starling_node *node;
    starling_registration *registration;
    struct check check;
    struct child child;
    int signal_fd;
    bool ending; /* never offer it again */
    int pending; /* signal to pass on at pass_at */
    int64_t pass_at;
    int64_t look_at;
    int failed; /* our own failure; the child was told to end */
};

static int64_t now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A log line of our own, at the level that was asked for. */
static void note(const struct run *r, int level, const char *format, ...) CLI_PRINTF(3, 4);
static void note(const struct run *r, int level, const char *format, ...)
{
    char line[512];
    va_list args;
    if (level > r->options.node.options.log_level)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_line(NULL, level, line);
}

/* ---- the service ------------------------------------------------------------------------ */

static void withdraw(struct run *r)
{
    check_stop(&r->check); /* or withdrawing would wait for us to answer its thread */
    starling_deregister(r->registration);
    r->registration = NULL;
}

/* Pass a signal on; one that ends the program only after the flock has been told and what it was
 * given before is done. */
static void pass_on(struct run *r, int number)
{
    bool ends = number == SIGTERM || number == SIGINT || number == SIGQUIT;
    bool waits = ends && !r->ending && r->registration != NULL;
    r->ending = r->ending || ends;
    if (!waits) {
        child_signal(&r->child, number);
        return;
    }
    /* Over what the operator said as well; a failure means that the node has left already. */
    if (starling_drain(r->node, 0) == 0)
        note(r, 3, "%s takes no new requests; signal %d in %lld ms", r->options.service.name,
             number, (long long)r->options.grace_ms);
    r->pending = number;
    r->pass_at = now_ms() + r->options.grace_ms;
}

static void pass_on_pending(struct run *r)
{
    withdraw(r);
    note(r, 3, "%s withdrawn; then signal %d", r->options.service.name, r->pending);
    child_signal(&r->child, r->pending);
    r->pending = 0;
}

static void end_with(struct run *r, int failed)
{
    r->failed = failed;
    pass_on(r, SIGTERM);
}

/* Held back by the library until its check passes. */
static void offer(struct run *r)
{
    starling_service service = r->options.service;
    if (r->options.check_command != NULL) {
        service.check_call = check_call;
        service.check_context = &r->check;
        service.check_timeout_ms += KILL_MS;
    }
    if (starling_register(r->node, &service, &r->registration) == 0)
        return;
    r->registration = NULL;
    complain("cannot offer %s: %s", service.name, starling_error_text());
    end_with(r, FAILED);
}

/* ---- the loop --------------------------------------------------------------------------- */

static void reap(struct run *r)
{
    pid_t pid;
    while ((pid = child_next_ended()) > 0) {
        check_ends(&r->check, pid);
        int status = child_reap(&r->child, pid);
        check_ended(&r->check, pid, status);
    }
}

static void take_signals(struct run *r)
{
    struct signalfd_siginfo info;
    while (read(r->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(r);
        else
            pass_on(r, (int)info.ssi_signo);
    }
}

static void do_what_is_due(struct run *r)
{
    int64_t now = now_ms();
    if (r->pending != 0 && now >= r->pass_at)
        pass_on_pending(r);
    check_turn(&r->check, now);
    if (now < r->look_at)
        return;
    r->look_at = now + LOOK_EVERY_MS;
    if (!r->ending && starling_wait_members(r->node, 1, 0) == STARLING_ECLOSED) {
        note(r, 2, "the node was told to leave: ending %s", r->options.command[0]);
        pass_on(r, SIGTERM);
    }
}

static void loop(struct run *r)
{
    while (!r->child.ended) {
        struct pollfd fds[1 + CHECK_FDS] = {{.fd = r->signal_fd, .events = POLLIN}};
        int64_t now = now_ms(), due = r->look_at;
        check_poll(&r->check, fds + 1);
        if (check_due(&r->check) < due)
            due = check_due(&r->check);
        if (r->pending != 0 && r->pass_at < due)
            due = r->pass_at;
        (void)poll(fds, 1 + CHECK_FDS, due > now ? (int)(due - now) : 0);
        take_signals(r); /* whatever poll said: its descriptors do not block */
        if (!r->child.ended)
            do_what_is_due(r);
    }
}

static int cannot_run(const struct run *r, int error)
{
    int reason = error & ~EXEC_FAILED;
    complain("cannot run %s: %s", r->options.command[0], strerror(reason));
    if ((error & EXEC_FAILED) == 0)
        return FAILED;
    return reason == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/* The signals that are passed on, and SIGCHLD. Blocked before the node has threads. */
static int catch_signals(struct run *r, sigset_t *old)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)sigaddset(&set, numbers[i]);
    (void)sigprocmask(SIG_BLOCK, &set, old);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* where it is ignored nothing can be reaped */
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signal_fd < 0 ? -1 : 0;
}

static int run_with_node(struct run *r, const sigset_t *mask)
{
    int error = child_start(&r->child, r->options.command, mask);
    if (error != 0)
        return cannot_run(r, error);
    offer(r);
    loop(r);
    withdraw(r);
    check_fini(&r->check);
    child_signal(&r->child, SIGTERM); /* what the program left behind; killed after the goodbye */
    return r->failed != 0 ? r->failed : r->child.status;
}

int run_main(int argc, char **argv)
{
    static struct run r = {.signal_fd = -1};
    sigset_t mask;
    program = "starling run";
    int status = run_options_parse(&r.options, argc, argv);
    if (status != DONE)
        return status < 0 ? DONE : FAILED;
    if (catch_signals(&r, &mask) < 0 || child_guard(&r.child) < 0 ||
        check_init(&r.check, r.options.check_command, r.options.timeout_ms, &r.child, &mask) < 0) {
        complain("the system refuses: %s", strerror(errno));
        return FAILED;
    }
    if (starling_open(&r.options.node.options, &r.node) < 0) {
        complain("%s", starling_error_text());
        child_finish(&r.child);
        return FAILED;
    }
    status = run_with_node(&r, &mask);
    starling_close(r.node);
    child_finish(&r.child);
    return status;
}
