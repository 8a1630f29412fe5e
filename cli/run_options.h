/* run_options.h: what `starling run` was asked to do. */
#ifndef SL_CLI_RUN_OPTIONS_H
#define SL_CLI_RUN_OPTIONS_H

#include <stdint.h>

#include "cli/common.h"

struct run_options {
    struct node_options node;
    starling_service service; /* its strings are the arguments', or below */
    struct starling_meta meta[STARLING_META_PAIRS_MAX];
    char check_host[STARLING_ADDRESS_MAX];
    char check_path[1024];
    const char *check_command; /* of --check exec:CMD, else NULL */
    int64_t every_ms, timeout_ms, grace_ms;
    char **command;
};

/* DONE, USAGE after a complaint, or -1 when help was printed. */
int run_options_parse(struct run_options *o, int argc, char **argv);

#endif
