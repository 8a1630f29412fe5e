/* trial.c: a run in a process of its own. The child writes a line for all that the parent wants to
 * know as it happens, so that a crash loses nothing. */
#include "tests/sim/trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double sim_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the child ---- */

static void tell_violation(struct sim_world *w, const struct sim_violation *v)
{
    fprintf(w->context, "V%lld\t%s\t%s\n", (long long)v->at, v->kind, v->text);
    fflush(w->context);
}

static void tell_line(const struct sim_line *l, void *context)
{
    char *text = sim_line_text(l);
    fprintf(context, "L%lld\t%s\n", (long long)l->at, text);
    fflush(context);
    free(text);
}

static void child(const struct sim_options *o, const char *kind, FILE *out)
{
    char error[512];
    struct sim_run *r = sim_zero(sizeof *r);
    if (!sim_run_init(r, o, error, sizeof error)) {
        fprintf(out, "E\t%s\n", error);
        fflush(out);
        return;
    }
    fprintf(out, "W%zu\t%llu\t%lld\n", r->world.n, (unsigned long long)r->world.seed,
            (long long)r->until);
    fflush(out);
    r->world.stop_for = kind;
    r->world.on_violation = tell_violation;
    r->world.context = out;
    r->script.on_drawn = tell_line;
    r->script.on_drawn_context = out;
    sim_run_all(r);
}

/* ---- the parent ---- */

struct listener {
    const char *kind;
    struct sim_trial *ret;
    void (*drawn)(void *context, sl_usec at, const char *text);
    void *context;
};

static void heard_violation(struct listener *l, char *line)
{
    char *save = NULL, *at = strtok_r(line, "\t", &save), *kind = strtok_r(NULL, "\t", &save);
    char *text = strtok_r(NULL, "\t", &save);
    if (text == NULL || l->ret->violated || (*l->kind && strcmp(kind, l->kind) != 0))
        return;
    l->ret->violated = true;
    l->ret->at = strtoll(at, NULL, 10);
    snprintf(l->ret->kind, sizeof l->ret->kind, "%s", kind);
    snprintf(l->ret->text, sizeof l->ret->text, "%s", text);
}

static void heard(struct listener *l, char *line)
{
    char *tab = strchr(line, '\t');
    unsigned long long seed;
    long long until;
    if (line[0] == 'E' && tab) {
        l->ret->made_no_sense = true;
        snprintf(l->ret->text, sizeof l->ret->text, "%s", tab + 1);
    } else if (line[0] == 'V')
        heard_violation(l, line + 1);
    else if (line[0] == 'L' && tab && l->drawn)
        l->drawn(l->context, strtoll(line + 1, NULL, 10), tab + 1);
    else if (line[0] == 'W' &&
             sscanf(line + 1, "%zu\t%llu\t%lld", &l->ret->nodes, &seed, &until) == 3) {
        l->ret->seed = seed;
        l->ret->until = until;
    }
}

/* False when the clock has run out first. */
static bool listen_to(int fd, double deadline_s, struct listener *l)
{
    char *line = NULL;
    size_t n = 0, cap = 0;
    for (char buffer[4096];;) {
        double left = deadline_s - sim_clock_s();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || (poll(&p, 1, (int)(left * 1000) + 1) < 0 && errno != EINTR)) {
            free(line);
            return false;
        }
        ssize_t got = p.revents ? read(fd, buffer, sizeof buffer) : 0;
        if (p.revents && got <= 0)
            break;
        for (ssize_t i = 0; i < got; i++) {
            if (n + 1 >= cap) {
                cap = cap ? 2 * cap : 256;
                line = sim_resize(line, cap);
            }
            line[n++] = buffer[i] == '\n' ? '\0' : buffer[i];
            if (buffer[i] == '\n') {
                heard(l, line);
                n = 0;
            }
        }
    }
    free(line);
    return true;
}

static void crashed(const char *kind, int signal_number, struct sim_trial *ret)
{
    char crash[64];
    ret->crash = signal_number;
    snprintf(crash, sizeof crash, "the program ended by signal %d", signal_number);
    if (ret->violated || (*kind && strcmp(kind, crash) != 0))
        return;
    ret->violated = true;
    snprintf(ret->kind, sizeof ret->kind, "%s", crash);
    snprintf(ret->text, sizeof ret->text, "%s", crash);
}

void sim_try(const struct sim_options *o, const char *kind, double deadline_s,
             void (*drawn)(void *context, sl_usec at, const char *text), void *context,
             struct sim_trial *ret)
{
    int ends[2], status = 0;
    struct listener l = {kind, ret, drawn, context};
    *ret = (struct sim_trial){.at = SL_NEVER};
    fflush(NULL);
    pid_t pid = pipe(ends) == 0 ? fork() : -1;
    if (pid < 0) {
        perror("starling-sim");
        exit(2);
    }
    if (pid == 0) {
        close(ends[0]);
        child(o, kind, fdopen(ends[1], "w"));
        _exit(0);
    }
    close(ends[1]);
    ret->timed_out = !listen_to(ends[0], deadline_s, &l);
    close(ends[0]);
    if (ret->timed_out)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (!ret->timed_out && WIFSIGNALED(status))
        crashed(kind, WTERMSIG(status), ret);
}
