/* pick.c: what a pick costs, next to what else it could be. One line of JSON a figure.
 *
 *     bench/pick [speed] [threads] [calls] [tail] [roster] [memory]      all without an argument
 *
 * Measured through the public calls, on a store that is fed without a network (world.h). Exit status
 * 1: a limit was missed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pick_parts.h"

static bool wanted(int argc, char **argv, const char *part)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], part) == 0)
            return true;
    }
    return argc == 1;
}

static bool is_part(const char *word)
{
    static const char *const parts[] = {"speed", "threads", "calls", "tail", "roster", "memory"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(word, parts[i]) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct lookups lookups = {0};
    for (int i = 1; i < argc; i++) {
        if (!is_part(argv[i])) {
            fprintf(stderr, "usage: pick [speed] [threads] [calls] [tail] [roster] [memory]\n");
            return 2;
        }
    }
    if (wanted(argc, argv, "memory"))
        bench_memory();
    if (wanted(argc, argv, "speed") || wanted(argc, argv, "roster"))
        bench_remote(&lookups);
    if (wanted(argc, argv, "speed"))
        bench_speed(&lookups);
    if (wanted(argc, argv, "threads"))
        bench_threads();
    if (wanted(argc, argv, "calls"))
        bench_calls();
    if (wanted(argc, argv, "tail"))
        bench_tail();
    if (wanted(argc, argv, "roster"))
        bench_roster(&lookups);
    return n_missed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
