/* starlingd.c: a node with no service of its own: the door through which newcomers join.
 * Foreground; whoever starts it keeps it running. It ends on SIGTERM, on SIGINT and when it is
 * told to leave over its debug socket. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/common.h"

#define QUIET_MS 8000                  /* without an event */
#define LATER_MS 60000                 /* and from then on what a flood of strangers left behind */
#define WORTH_IT ((size_t)1024 * 1024) /* free bytes of the heap */

static const char usage[] = "Usage: starlingd [OPTION]...\n"
                            "Run a node with no service of its own, a seed, in the foreground.\n\n";

static const char usage_rest[] =
    "  --help, --version\n\n"
    "SIGTERM and SIGINT leave the flock gracefully; a second one ends at once.\n"
    "SIGHUP does no harm: a credentials file that has changed is taken within a second.\n"
    "Exit status: 0 left, 1 could not start, 2 usage.\n";

/* sd_notify(3) in a few lines; a supervisor that cannot be told is no reason to stop. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof sun.sun_path)
        return;
    size_t len = strlen(path);
    memcpy(sun.sun_path, path, len);
    if (path[0] == '@') /* abstract */
        sun.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&sun,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}

/* Nothing was heard for a while: after news for the first time, or again. */
static void trim(bool first)
{
    if (first || mallinfo2().fordblks >= WORTH_IT)
        (void)malloc_trim(0);
}

/* Until a signal comes that ends it (its number) or the node has stopped (0). What the rush of joining needed goes back to
 * the system once the flock is quiet: a seed stays small. */
static int wait_for_end(starling_watch *watch, int signal_fd)
{
    int quiet_ms = QUIET_MS;
    for (;;) {
        struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = starling_watch_fd(watch), .events = POLLIN}};
        struct signalfd_siginfo info;
        starling_event event;
        int n = poll(fds, 2, quiet_ms), more = 1;
        if (n > 0 && fds[0].revents && read(signal_fd, &info, sizeof info) == sizeof info) {
            if (info.ssi_signo != SIGHUP)
                return (int)info.ssi_signo;
            log_line(NULL, 3, "SIGHUP: credentials that have changed are taken within a second");
        }
        while (n > 0 && (more = starling_watch_next(watch, &event)) == 1) {
        }
        if (more < 0)
            return 0;
        if (n == 0)
            trim(quiet_ms == QUIET_MS);
        quiet_ms = n == 0 ? LATER_MS : QUIET_MS;
    }
}

static int serve(const starling_options *options, const sigset_t *ends)
{
    starling_node *node;
    int signal_fd = signalfd(-1, ends, SFD_CLOEXEC);
    if (signal_fd < 0) {
        complain("no descriptor for signals: %s", strerror(errno));
        return NO;
    }
    starling_watch *watch;
    if (starling_open(options, &node) < 0) {
        complain("%s", starling_error_text());
        (void)close(signal_fd);
        return NO;
    }
    if (starling_watch_open(node, NULL, &watch) < 0) {
        complain("%s", starling_error_text());
        starling_close(node);
        (void)close(signal_fd);
        return NO;
    }
    (void)fprintf(stderr, "starlingd %s at %s, flock %s, id %s\n", starling_node_name(node),
                  starling_node_address(node), starling_node_flock(node), starling_node_id(node));
    notify("READY=1");
    int number = wait_for_end(watch, signal_fd);
    notify("STOPPING=1");
    if (number != 0)
        log_line(NULL, 3,
                 number == SIGINT ? "SIGINT: leaving the flock" : "SIGTERM: leaving the flock");
    else
        log_line(NULL, 3, "told to leave");

    /* From here on a second signal has its usual effect. */
    (void)sigprocmask(SIG_UNBLOCK, ends, NULL);
    starling_close(node);
    (void)close(signal_fd);
    return DONE;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {NODE_LONG_OPTIONS,
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
    static struct node_options node;
    int c;
    program = "starlingd";
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        switch (c) {
        case 'h':
            (void)printf("%s%s%s", usage, node_options_help, usage_rest);
            return DONE;
        case 'V':
            (void)printf("starlingd %s\n", starling_version());
            return DONE;
        case ':':
            return misused("%s needs a value", argv[optind - 1]);
        case '?':
            return misused("unknown option %s", argv[optind - 1]);
        default:
            if (node_option(&node, c, optarg) != DONE)
                return USAGE;
        }
    }
    if (optind < argc)
        return misused("do not know what to do with '%s'", argv[optind]);
    if (node_log_to_stderr(&node, 3) != DONE)
        return USAGE;

    /* Blocked before the node has threads, so that none of them is picked for a signal. */
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGHUP); /* no end: what it asks for is done without it */
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return serve(&node.options, &ends);
}
