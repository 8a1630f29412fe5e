/* main.c: starling-sim, the flock in virtual time (docs/SIMULATION.md). Prints one JSON
 * document; ends with 0, or with 1 when something was violated, or with 2 when it was called
 * wrongly. */
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/report.h"
#include "tests/sim/run.h"
#include "tests/sim/shrink.h"

#define SHRINK_S 120 /* how long to go on with --shrink */

struct options {
    struct sim_options run;
    unsigned shrink; /* seconds; 0 = one run */
    char start[32];  /* as a setting */
};

static void help_line(const char *name, const char *value, const char *meaning)
{
    printf("  %-13s %-15s %s\n", name, value, meaning);
}

static void list_line(const char *name, const char *about)
{
    printf("%-12s %s\n", name, about);
}

static int help(void)
{
    puts(
        "usage: starling-sim [--nodes N] [--seed S] [--scenario NAME|FILE] [--set K=V]...\n"
        "                    [--until SECONDS] [--start all|staggered|warm] [--crypto model|real]\n"
        "                    [--shrink[=SECONDS]] [--verbose] [--list] [--help]\n\n"
        "Runs the gossip and store code of this tree in virtual time, with the faults of a "
        "scenario, and\n"
        "prints one JSON document. The same arguments give the same trace. Exit status: 0, 1 when "
        "an\n"
        "invariant or an expectation broke, 2 when the arguments make no sense.\n\n"
        "  --nodes N      how many nodes (default: what the scenario says)\n"
        "  --seed S       default 1\n"
        "  --scenario     default crash; --list names those that come with the program\n"
        "  --until S      end so many seconds after the flock stands\n"
        "  --start        all within `spread`; staggered: one every 10 ms; warm: at once, each "
        "with "
        "the\n"
        "                 facts of all others, so that only the edges are built (large flocks)\n"
        "  --crypto       cheap model signatures (default), or libsodium\n"
        "  --shrink[=S]   print a small scenario that fails as this run does; give up after S = "
        "120 s\n"
        "  --verbose      faults (as lines of a scenario) and verdicts on stderr as they happen\n\n"
        "Settings for --set, with their defaults:");
    sim_settings_help(help_line);
    return 0;
}

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "starling-sim: %s '%s'; --help says more\n", what, value);
    return 2;
}

/* 0 = go on, 1 = done, 2 = wrong. */
static int parse(int argc, char **argv, struct options *all)
{
    static const struct option longs[] = {
        {"nodes", required_argument, NULL, 'n'},    {"seed", required_argument, NULL, 's'},
        {"scenario", required_argument, NULL, 'f'}, {"set", required_argument, NULL, 'k'},
        {"until", required_argument, NULL, 'u'},    {"start", required_argument, NULL, 'a'},
        {"crypto", required_argument, NULL, 'c'},   {"shrink", optional_argument, NULL, 'm'},
        {"verbose", no_argument, NULL, 'v'},        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    struct sim_options *o = &all->run;
    uint64_t seconds = SHRINK_S;
    char text[64];
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'n':
            if (!sim_parse_count(optarg, SIM_NODES_MAX, &o->nodes) || o->nodes == 0)
                return usage("no number of nodes:", optarg);
            break;
        case 's':
            o->has_seed = true;
            if (!sim_parse_seed(optarg, &o->seed))
                return usage("no seed:", optarg);
            break;
        case 'f':
            o->scenario = optarg;
            break;
        case 'k':
            if (o->n_sets == SL_COUNT(o->sets) || strchr(optarg, '=') == NULL)
                return usage("no setting of the form K=V:", optarg);
            o->sets[o->n_sets++] = optarg;
            break;
        case 'u':
            snprintf(text, sizeof text, "%s%s", optarg, strpbrk(optarg, "smhdu") ? "" : "s");
            if (!sim_parse_time(text, &o->until) || o->until == 0)
                return usage("no time:", optarg);
            break;
        case 'a':
            snprintf(all->start, sizeof all->start, "start=%s", optarg);
            if (o->n_sets == SL_COUNT(o->sets))
                return usage("too many settings before", optarg);
            o->sets[o->n_sets++] = all->start;
            break;
        case 'c':
            o->real = strcmp(optarg, "real") == 0;
            if (!o->real && strcmp(optarg, "model") != 0)
                return usage("crypto model or real, not", optarg);
            break;
        case 'm':
            if (optarg && (!sim_parse_count(optarg, 86400, &seconds) || seconds == 0))
                return usage("no number of seconds:", optarg);
            all->shrink = (unsigned)seconds;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'l':
            sim_script_list(list_line);
            return 1;
        case 'h':
            help();
            return 1;
        default:
            return 2;
        }
    }
    return optind < argc ? usage("what is", argv[optind]) : 0;
}

static int simulate(const struct sim_options *o, const char *reproduce)
{
    char error[512];
    struct sim_run *r = sim_zero(sizeof *r);
    int status = 2;
    if (sim_run_init(r, o, error, sizeof error)) {
        r->progress = isatty(STDERR_FILENO) && !o->verbose;
        sim_run_all(r);
        sim_report_print(stdout, &r->world, r->script.name, r->real_s, reproduce);
        status = r->world.n_violations ? 1 : 0;
    } else {
        fprintf(stderr, "starling-sim: %s\n", error);
    }
    sim_run_fini(r);
    free(r);
    return status;
}

/* The tables of a flock are read here and there: with huge pages a run takes less time (docs/SIMULATION.md), and
 * only the environment tells glibc to ask for them. Where that fails it goes on without. */
static void take_huge_pages(char **argv)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1); /* run by that, its name would be "exe" */
    if (n <= 0 || getenv("GLIBC_TUNABLES") || setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1) < 0)
        return;
    self[n] = '\0';
    execv(self, argv);
}

int main(int argc, char **argv)
{
    struct options o = {.run = {.seed = 1, .scenario = "crash"}};
    char reproduce[512] = "starling-sim";
    for (int i = 1; i < argc; i++) {
        size_t len = strlen(reproduce);
        if (strcmp(argv[i], "--verbose") != 0 && strncmp(argv[i], "--shrink", 8) != 0)
            snprintf(reproduce + len, sizeof reproduce - len, " %s", argv[i]);
    }
    int r = parse(argc, argv, &o);
    if (r != 0)
        return r == 1 ? 0 : 2;
    take_huge_pages(argv);
    return o.shrink ? sim_shrink(&o.run, o.shrink, reproduce) : simulate(&o.run, reproduce);
}
