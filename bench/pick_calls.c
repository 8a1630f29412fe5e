/* pick_calls.c: what a pick asks of others: memory, locks, the system. Counted.
 *
 * Calls for memory and locks pass through functions of ours (interpose.c). System calls are counted
 * by a filter of the kernel's (seccomp) in a child, which turns each into a signal. Each counter must
 * first show that it counts: on a table behind a lock, on the opening of a view, on a getppid(). */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/interpose.h"
#include "bench/pick_parts.h"

enum { PICKS = 1000000 };

static void report_count(const char *what, double value, const char *unit, const char *control,
                         double control_value)
{
    report(&(struct figure){.bench = "calls",
                            .what = what,
                            .value = value,
                            .unit = unit,
                            .bound = AT_MOST,
                            .limit = 0,
                            .baseline = &(struct baseline){control, control_value},
                            .n_baseline = 1});
}

/* ---- memory and locks ----------------------------------------------------------------------- */

static void count_library_calls(void)
{
    struct world w;
    struct table *t = table_new(100);
    world_init(&w, 100);
    calls_count();
    (void)time_table(t, 1000);
    double control_locks = (double)calls_counted().locks / 1000;
    calls_count();
    starling_view_close(world_view(&w, STARLING_P2C_EWMA));
    double control_memory = (double)calls_counted().memory;
    must(control_locks == 2 && control_memory > 0, "counting calls of the controls");

    for (size_t i = 0; i < n_subjects; i++) {
        unsigned n = subjects[i].by_key ? PICKS / 100 : PICKS;
        starling_view *view = world_view(&w, subjects[i].strategy);
        char what[96];
        (void)time_picks(view, &subjects[i], 1); /* this thread's first */
        calls_count();
        (void)time_picks(view, &subjects[i], n);
        struct calls calls = calls_counted();
        snprintf(what, sizeof what, "calls for memory, %s", subjects[i].name);
        report_count(what, (double)calls.memory / n, "a pick", "opening_a_view", control_memory);
        snprintf(what, sizeof what, "locks, %s", subjects[i].name);
        report_count(what, (double)calls.locks / n, "a pick", "rwlock_table", control_locks);
        starling_view_close(view);
    }
    world_fini(&w);
    table_free(t);
}

/* ---- system calls --------------------------------------------------------------------------- */

static volatile sig_atomic_t n_system_calls;

static void on_system_call(int number)
{
    (void)number;
    n_system_calls++;
}

/* From here on each system call but those that the child ends with is a SIGSYS, and not made. */
static bool trap_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    struct sigaction action = {.sa_handler = on_system_call};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct counted {
    double control;
    double each[CONTESTANTS_MAX];
};

/* time_picks() without its clock, which is a system call. */
static void pick_only(starling_view *view, const struct subject *subject, unsigned n)
{
    starling_instance who;
    uint64_t key = 88172645463325252u;
    for (unsigned i = 0; i < n; i++) {
        draw(&key);
        starling_pick_options how = {.key = &key, .key_len = subject->by_key ? sizeof key : 0};
        must(starling_pick_with(view, &how, &who) == 0, "picking");
        if (subject->gives_back)
            (void)starling_done(view, &who, STARLING_OK, 1000);
    }
}

static void count_in_child(int result_fd)
{
    struct world w;
    struct counted counted = {0};
    starling_view *views[CONTESTANTS_MAX];
    world_init(&w, 100);
    for (size_t i = 0; i < n_subjects; i++) {
        views[i] = world_view(&w, subjects[i].strategy);
        pick_only(views[i], &subjects[i], 1); /* this thread's first */
    }
    if (!trap_system_calls())
        _exit(EXIT_FAILURE);
    (void)syscall(SYS_getppid);
    counted.control = n_system_calls;
    for (size_t i = 0; i < n_subjects; i++) {
        unsigned n = subjects[i].by_key ? PICKS / 100 : PICKS;
        n_system_calls = 0;
        pick_only(views[i], &subjects[i], n);
        counted.each[i] = (double)n_system_calls / n;
    }
    _exit(write(result_fd, &counted, sizeof counted) == sizeof counted ? EXIT_SUCCESS
                                                                       : EXIT_FAILURE);
}

static void count_system_calls(void)
{
    int ends[2], status;
    struct counted counted;
    must(pipe(ends) == 0, "a pipe");
    fflush(stdout);
    pid_t child = fork();
    must(child >= 0, "a child");
    if (child == 0)
        count_in_child(ends[1]);
    close(ends[1]);
    bool whole = read(ends[0], &counted, sizeof counted) == sizeof counted;
    close(ends[0]);
    must(waitpid(child, &status, 0) == child, "waiting for the child");
    if (!whole) {
        not_measured("calls", "system calls", "this system allows no seccomp filter");
        return;
    }
    must(counted.control == 1, "counting the control's system call");
    for (size_t i = 0; i < n_subjects; i++) {
        char what[96];
        snprintf(what, sizeof what, "system calls, %s", subjects[i].name);
        report_count(what, counted.each[i], "a pick", "getppid", counted.control);
    }
}

void bench_calls(void)
{
    count_library_calls();
    count_system_calls();
}
