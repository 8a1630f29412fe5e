/* first_pick.c: from the start of a process to its first good pick, for tests/e2e/test_picks.py.
 *
 * The parent says when it started us, in nanoseconds of CLOCK_MONOTONIC, which both share: the time in
 * /proc/self/stat counts hundredths of a second, and the loading of the program is to be counted.
 * Prints one line of JSON: milliseconds since then at each step. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <starling.h>

static long long started_ns;

static double elapsed_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ((double)t.tv_sec * 1e9 + (double)t.tv_nsec - (double)started_ns) / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "first_pick: %s: %s\n", what, starling_error_text());
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: first_pick START_NS NAME SERVICE\n");
        return 2;
    }
    started_ns = strtoll(argv[1], NULL, 10);
    double main_ms = elapsed_ms();

    starling_node *node;
    starling_view *view;
    starling_instance who;
    starling_options options = {.name = argv[2]};
    if (starling_open(&options, &node) < 0)
        die("open");
    double open_ms = elapsed_ms();
    if (starling_view_open(node, argv[3], NULL, &view) < 0)
        die("view");
    /* What a snapshot on disk knows is there at once, and nothing that wait_fit() waits for. */
    if (starling_pick(view, &who) < 0) {
        if (starling_wait_fit(view, 1, 10000) < 0)
            die("wait");
        if (starling_pick(view, &who) < 0)
            die("pick");
    }
    double pick_ms = elapsed_ms();
    printf("{\"main_ms\":%.3f,\"open_ms\":%.3f,\"pick_ms\":%.3f,\"stale\":%s,\"picked\":\"%s\"}\n",
           main_ms, open_ms, pick_ms, who.flags & STARLING_F_STALE ? "true" : "false", who.node);
    fflush(stdout);
    starling_close(node);
    return EXIT_SUCCESS;
}
