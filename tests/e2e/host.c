/* host.c: an application with few descriptors that embeds a node, for tests/e2e/test_admission.py.
 *
 *     host LIMIT     the node's settings come from the environment
 *
 * Limits itself to LIMIT descriptors and from then on does, a hundred times a second, what an application does: it opens
 * FILES files at once and closes them. A line on stdin is answered by one line of JSON: "opened" and "failed" files since the
 * line before, and "most", the most descriptors that were seen in use. Before it answers `trim` it gives the
 * heap's free pages back. From `exhaust` on it takes all descriptors there are, until the next line. It leaves at the
 * end of stdin. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <starling.h>

enum { FILES = 16, EVERY_MS = 10, HELD_MAX = 4096 };

static unsigned opened, failed, most;
static int held[HELD_MAX], n_held;
static bool exhausting;

static unsigned in_use(int limit)
{
    unsigned n = 0;
    for (int fd = 0; fd < limit; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void work(int limit)
{
    int fds[FILES];
    unsigned n = in_use(limit);
    most = n > most ? n : most;
    for (int i = 0; i < FILES; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        *(fds[i] < 0 ? &failed : &opened) += 1;
    }
    for (int i = 0; i < FILES; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

/* Again and again: what the node gives back is taken too. */
static void take_all(void)
{
    int fd;
    while (n_held < HELD_MAX && (fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        held[n_held++] = fd;
}

static void give_back(void)
{
    while (n_held > 0)
        close(held[--n_held]);
}

static void answer(const char *line)
{
    give_back();
    if (strcmp(line, "trim\n") == 0)
        (void)malloc_trim(0);
    exhausting = strcmp(line, "exhaust\n") == 0;
    const struct mallinfo2 heap = mallinfo2();
    printf("{\"opened\":%u,\"failed\":%u,\"most\":%u,\"heap_kb\":%zu}\n", opened, failed, most,
           (heap.uordblks + heap.hblkhd) / 1024);
    opened = failed = most = 0;
}

int main(int argc, char **argv)
{
    const int limit = argc == 2 ? atoi(argv[1]) : 0;
    const struct rlimit few = {(rlim_t)limit, (rlim_t)limit};
    char line[64];
    starling_node *node;
    if (limit <= 0 || setrlimit(RLIMIT_NOFILE, &few) < 0) {
        fprintf(stderr, "usage: host LIMIT\n");
        return 2;
    }
    if (starling_open(NULL, &node) < 0) {
        fprintf(stderr, "host: %s\n", starling_error_text());
        return 1;
    }
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&in, 1, EVERY_MS) > 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                break;
            answer(line);
        }
        if (exhausting)
            take_all();
        else
            work(limit);
    }
    starling_close(node);
    return 0;
}
