/* common.h: what the programs share: usage errors, node options, log lines. */
#ifndef SL_CLI_COMMON_H
#define SL_CLI_COMMON_H

#include <getopt.h>
#include <starling.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit statuses. `starling run` has those of its program and 125-127. */
enum { DONE = 0, NO = 1, USAGE = 2, NO_NODE = 3 };

#if defined(__GNUC__)
#define CLI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define CLI_PRINTF(fmt, args)
#endif

/* "PROGRAM: ..." on stderr, one line. */
void complain(const char *format, ...) CLI_PRINTF(1, 2);
/* The same, with what to do about it; returns USAGE. */
int misused(const char *format, ...) CLI_PRINTF(1, 2);
extern const char *program; /* as shown in messages */

/* Options of every program that embeds a node. */
struct node_options {
    starling_options options;
    char seeds[8192]; /* every --seed */
};

/* For getopt_long: put these in front of a program's own, whose values are below 256. */
#define NODE_LONG_OPTIONS                                                                          \
    {"flock", required_argument, NULL, 300}, {"name", required_argument, NULL, 301},               \
        {"listen", required_argument, NULL, 302}, {"advertise", required_argument, NULL, 303},     \
        {"seed", required_argument, NULL, 304}, {"zone", required_argument, NULL, 305},            \
        {"state-dir", required_argument, NULL, 306},                                               \
        {"runtime-dir", required_argument, NULL, 307},                                             \
        {"config-dir", required_argument, NULL, 308},                                              \
        {"credentials", required_argument, NULL, 309}, {"config", required_argument, NULL, 310},   \
    {                                                                                              \
        "log", required_argument, NULL, 311                                                        \
    }
extern const char node_options_help[];

/* Take one of the options above: DONE, or USAGE after a complaint. */
int node_option(struct node_options *o, int option, const char *value);
/* Log to stderr, as "time level message"; `level` unless --log or STARLING_LOG say otherwise. */
int node_log_to_stderr(struct node_options *o, int level);
void log_line(void *context, int level, const char *line);

#endif
