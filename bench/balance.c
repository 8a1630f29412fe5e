/* balance.c: do picks go where they should? Simulated in virtual time over the store itself: shares of
 * a million picks, and open-loop load on servers of which one fails or is slow.
 *
 * One line of JSON a figure. Exit status 1: a limit was missed. */
#include "bench/balance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sl_view *balance_view(struct sl_store *s, enum starling_strategy strategy, unsigned tiers)
{
    struct sl_view_spec spec;
    struct sl_view *view;
    memset(&spec, 0, sizeof spec); /* padding too: views are told apart by their bytes */
    snprintf(spec.tenant, sizeof spec.tenant, "default");
    snprintf(spec.name, sizeof spec.name, "web");
    spec.strategy = (uint8_t)strategy;
    spec.tiers = (uint8_t)tiers;
    must(sl_view_open(s, &spec, BALANCE_BEGIN, NULL, &view) == 0, "opening a view");
    tell_readers(s, BALANCE_BEGIN); /* who is how near is counted once somebody wants to know */
    return view;
}

int main(int argc, char **argv)
{
    bool spread = argc == 1 || strcmp(argv[1], "spread") == 0;
    bool load = argc == 1 || strcmp(argv[1], "load") == 0;
    if (argc > 2 || (!spread && !load)) {
        fprintf(stderr, "usage: balance [spread|load]\n");
        return 2;
    }
    if (spread)
        bench_spread();
    if (load)
        bench_load();
    return n_missed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
