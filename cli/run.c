/* run.c: `starling run`: any program as a service of the flock.
 * A node of its own, a check, and the order of the end: withdraw the service, then stop the
 * program, then leave. One loop over a signalfd and the check's descriptor; no threads besides the
 * node's. */
#include "cli/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/check.h"
#include "cli/child.h"
#include "cli/common.h"

#define FAILED 125 /* our own failure, as of env(1), timeout(1) */
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127
#define LOOK_EVERY_MS 500   /* whether the node was told to leave */
#define WITHDRAW_MS 100     /* between withdrawing and the signal: the flock knows by then */
#define SLOW_START_MS 30000 /* not open yet: say so */
#define EVERY_DEFAULT_MS 2000
#define EVERY_MIN_MS 100
#define EVERY_MAX_MS 3600000

static const char usage[] =
    "Usage: starling run --service NAME --port N [OPTION]... -- COMMAND [ARG]...\n"
    "Run COMMAND and offer it as a service of the flock while it answers at its port.\n\n"
    "  --service NAME     as others look for it\n"
    "  --port N           where it listens\n"
    "  --host ADDRESS     where it listens, numeric (the node's advertised address)\n"
    "  --tenant NAME      (default)\n"
    "  --weight N         share of requests, 1 to 1000 (100)\n"
    "  --meta KEY=VALUE   metadata, may be repeated\n"
    "  --version TEXT     of the service\n"
    "  --check tcp        offered once a TCP connect works (tcp)\n"
    "  --every TIME       between checks, 500ms, 2s, 1m (2s); critical after 3 failures\n\n";

static const char usage_rest[] =
    "  --help\n\n"
    "Signals are passed on. SIGTERM, SIGINT and SIGQUIT first withdraw the service. The node\n"
    "leaves when COMMAND ends, and COMMAND is killed when starling is.\n"
    "Exit status: that of COMMAND, 128 + N when signal N killed it; 125 starling itself failed,\n"
    "126 COMMAND cannot be run, 127 COMMAND is not found.\n";

struct run {
    struct node_options node_options;
    starling_service service;
    struct starling_meta meta[STARLING_META_PAIRS_MAX];
    int64_t every_ms;
    char **command;

    starling_node *node;
    starling_registration *registration;
    struct check check;
    struct child child;
    int signal_fd;
    bool ending; /* never offer it again */
    int pending; /* signal to pass on at pass_at */
    int64_t pass_at;
    int64_t started, look_at;
    bool told_slow;
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
    if (level > r->node_options.options.log_level)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_line(NULL, level, line);
}

/* ---- options ---------------------------------------------------------------------------- */

static bool parse_number(const char *text, unsigned low, unsigned high, unsigned *ret)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < (long)low || n > (long)high)
        return false;
    *ret = (unsigned)n;
    return true;
}

/* "500ms", "2s", "1m"; a bare number is seconds. */
static bool parse_time(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}};
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    if (errno != 0 || end == text)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double ms = n * units[i].ms;
        if (strcmp(end, units[i].unit) == 0 && ms >= EVERY_MIN_MS && ms <= EVERY_MAX_MS) {
            *ret_ms = (int64_t)ms;
            return true;
        }
    }
    return false;
}

static int add_meta(struct run *r, char *pair)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair)
        return misused("--meta takes KEY=VALUE, not '%s'", pair);
    if (r->service.n_meta == STARLING_META_PAIRS_MAX)
        return misused("--meta: at most %d pairs", STARLING_META_PAIRS_MAX);
    *equals = '\0';
    r->meta[r->service.n_meta++] = (struct starling_meta){.key = pair, .value = equals + 1};
    return DONE;
}

/* Known before the program runs, so that a slip does not show only once it answers. */
static int check_name(const char *option, const char *name)
{
    size_t len = strlen(name);
    if (len >= 1 && len < STARLING_NAME_MAX &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len)
        return DONE;
    return misused("%s takes 1 to 63 of a-z 0-9 . _ -, not '%s'", option, name);
}

static int check_kind(const char *kind)
{
    if (strcmp(kind, "tcp") == 0)
        return DONE;
    if (strncmp(kind, "http://", 7) == 0 || strncmp(kind, "exec:", 5) == 0)
        return misused("--check %s is not in this version, which has: tcp", kind);
    return misused("--check is tcp, not '%s'", kind);
}

static int own_option(struct run *r, int option, char *value)
{
    starling_service *s = &r->service;
    switch (option) {
    case 's':
        s->name = value;
        return check_name("--service", value);
    case 'p':
        return parse_number(value, 1, 65535, &s->port)
                   ? DONE
                   : misused("--port is 1 to 65535, not '%s'", value);
    case 'H':
        s->host = value;
        return DONE;
    case 't':
        s->tenant = value;
        return check_name("--tenant", value);
    case 'w':
        return parse_number(value, 1, STARLING_WEIGHT_MAX, &s->weight)
                   ? DONE
                   : misused("--weight is 1 to %d, not '%s'", STARLING_WEIGHT_MAX, value);
    case 'm':
        return add_meta(r, value);
    case 'v':
        s->version = value;
        return DONE;
    case 'c':
        return check_kind(value);
    case 'e':
        return parse_time(value, &r->every_ms)
                   ? DONE
                   : misused("--every is 100ms to 60m, not '%s'", value);
    default:
        return node_option(&r->node_options, option, value);
    }
}

/* DONE, USAGE, or -1 when help was printed. */
static int parse_options(struct run *r, int argc, char **argv)
{
    static const struct option longs[] = {NODE_LONG_OPTIONS,
                                          {"service", required_argument, NULL, 's'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"host", required_argument, NULL, 'H'},
                                          {"tenant", required_argument, NULL, 't'},
                                          {"weight", required_argument, NULL, 'w'},
                                          {"meta", required_argument, NULL, 'm'},
                                          {"version", required_argument, NULL, 'v'},
                                          {"check", required_argument, NULL, 'c'},
                                          {"every", required_argument, NULL, 'e'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
        if (c == 'h') {
            (void)printf("%s%s%s", usage, node_options_help, usage_rest);
            return -1;
        }
        if (c == ':')
            return misused("%s needs a value", argv[optind - 1]);
        if (c == '?')
            return misused("unknown option %s", argv[optind - 1]);
        if (own_option(r, c, optarg) != DONE)
            return USAGE;
    }
    r->command = argv + optind;
    if (r->service.name == NULL)
        return misused("--service is missing");
    if (r->service.port == 0)
        return misused("--port is missing");
    if (r->command[0] == NULL)
        return misused("no command to run");
    r->service.meta = r->meta;
    return node_log_to_stderr(&r->node_options, 2);
}

/* ---- the service ------------------------------------------------------------------------ */

/* The numeric host of the node's address, "1.2.3.4:7700" or "[::1]:7700". */
static void host_of(const char *address, char out[STARLING_ADDRESS_MAX])
{
    bool ipv6 = address[0] == '[';
    (void)snprintf(out, STARLING_ADDRESS_MAX, "%s", address + ipv6);
    char *end = strrchr(out, ipv6 ? ']' : ':');
    if (end != NULL)
        *end = '\0';
}

/* Pass a signal on; one that ends the program only after the flock has been told. */
static void pass_on(struct run *r, int number)
{
    bool ends = number == SIGTERM || number == SIGINT || number == SIGQUIT;
    if (!ends || r->registration == NULL) {
        r->ending = r->ending || ends;
        child_signal(&r->child, number);
        return;
    }
    r->ending = true;
    starling_deregister(r->registration);
    r->registration = NULL;
    note(r, 3, "%s withdrawn; then signal %d", r->service.name, number);
    r->pending = number;
    r->pass_at = now_ms() + WITHDRAW_MS;
}

static void end_with(struct run *r, int failed)
{
    r->failed = failed;
    pass_on(r, SIGTERM);
}

static void offer(struct run *r)
{
    int e = starling_register(r->node, &r->service, &r->registration);
    if (e == 0) {
        note(r, 3, "%s offered at port %u", r->service.name, r->service.port);
        return;
    }
    r->registration = NULL;
    if (e == STARLING_EBUSY || e == STARLING_ENOMEM) {
        r->check.passed_once = false; /* comes again as the first pass */
        return;
    }
    complain("cannot offer %s: %s", r->service.name, starling_error_text());
    end_with(r, FAILED);
}

static void heard(struct run *r, enum check_news news)
{
    enum starling_health health = STARLING_PASSING;
    const char *text = NULL;
    switch (news) {
    case CHECK_NOTHING:
        return;
    case CHECK_FIRST_PASS:
        offer(r);
        return;
    case CHECK_PASSING:
        note(r, 2, "%s answers at its port again", r->service.name);
        break;
    case CHECK_CRITICAL:
        note(r, 2, "%s does not answer at its port any more: critical", r->service.name);
        health = STARLING_CRITICAL;
        text = "no TCP connection";
        break;
    }
    if (starling_set_health(r->registration, health, text) < 0)
        r->check.critical = !r->check.critical; /* not told: comes again */
}

/* ---- the loop --------------------------------------------------------------------------- */

static void take_signals(struct run *r)
{
    struct signalfd_siginfo info;
    while (read(r->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            child_reap(&r->child);
        else
            pass_on(r, (int)info.ssi_signo);
    }
}

static void do_what_is_due(struct run *r, bool check_ready)
{
    int64_t now = now_ms();
    if (r->pending != 0 && now >= r->pass_at) {
        child_signal(&r->child, r->pending);
        r->pending = 0;
    }
    if (!r->ending)
        heard(r, check_turn(&r->check, now, check_ready));
    if (!r->check.passed_once && !r->told_slow && now - r->started >= SLOW_START_MS) {
        r->told_slow = true;
        note(r, 2, "nothing listens at port %u yet; %s is not offered", r->service.port,
             r->service.name);
    }
    if (now >= r->look_at) {
        r->look_at = now + LOOK_EVERY_MS;
        if (!r->ending && starling_wait_members(r->node, 1, 0) == STARLING_ECLOSED) {
            note(r, 2, "the node was told to leave: ending %s", r->command[0]);
            pass_on(r, SIGTERM);
        }
    }
}

static void loop(struct run *r)
{
    while (!r->child.ended) {
        struct pollfd fds[2] = {{.fd = r->signal_fd, .events = POLLIN},
                                {.fd = r->ending ? -1 : r->check.fd, .events = POLLOUT}};
        int64_t now = now_ms(), due = r->look_at;
        if (!r->ending && r->check.due < due)
            due = r->check.due;
        if (r->pending != 0 && r->pass_at < due)
            due = r->pass_at;
        if (poll(fds, 2, due > now ? (int)(due - now) : 0) < 0)
            fds[0].revents = fds[1].revents = 0;
        take_signals(r);
        if (!r->child.ended)
            do_what_is_due(r, fds[1].revents != 0);
    }
}

static int cannot_run(const struct run *r, int error)
{
    int reason = error & ~EXEC_FAILED;
    complain("cannot run %s: %s", r->command[0], strerror(reason));
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
    char host[STARLING_ADDRESS_MAX];
    host_of(starling_node_address(r->node), host);
    if (r->service.host != NULL)
        (void)snprintf(host, sizeof host, "%s", r->service.host);
    if (check_init(&r->check, host, r->service.port, r->every_ms) < 0) {
        complain("--host must be a numeric address, not '%s'", host);
        return FAILED;
    }
    int error = child_start(&r->child, r->command, mask);
    if (error != 0)
        return cannot_run(r, error);
    r->started = now_ms();
    loop(r);
    check_fini(&r->check);
    starling_deregister(r->registration);
    r->registration = NULL;
    child_signal(&r->child, SIGTERM); /* what the program left behind; killed after the goodbye */
    return r->failed != 0 ? r->failed : r->child.status;
}

int run_main(int argc, char **argv)
{
    static struct run r = {.every_ms = EVERY_DEFAULT_MS, .signal_fd = -1};
    sigset_t mask;
    program = "starling run";
    int status = parse_options(&r, argc, argv);
    if (status != DONE)
        return status < 0 ? DONE : FAILED;
    if (catch_signals(&r, &mask) < 0 || child_guard(&r.child) < 0) {
        complain("the system refuses: %s", strerror(errno));
        return FAILED;
    }
    if (starling_open(&r.node_options.options, &r.node) < 0) {
        complain("%s", starling_error_text());
        child_finish(&r.child);
        return FAILED;
    }
    status = run_with_node(&r, &mask);
    starling_close(r.node);
    child_finish(&r.child);
    return status;
}
