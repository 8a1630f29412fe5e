/* main.c: starling-sim, the flock in virtual time (docs/SIMULATION.md). Prints one JSON
 * document; ends with 0, or with 1 when something was violated, or with 2 when it was called
 * wrongly. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/report.h"
#include "tests/sim/script.h"

#define STAGGER SL_MS(10) /* between two starts with --start staggered */

struct options {
    uint64_t nodes; /* 0 = as the scenario says */
    uint64_t seed;
    const char *scenario, *sets[SIM_NAMES_MAX];
    size_t n_sets;
    bool verbose, real, staggered;
    sl_usec until; /* 0 = as the scenario says */
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
    puts("usage: starling-sim [--nodes N] [--seed S] [--scenario NAME|FILE] [--set K=V]...\n"
         "                    [--until SECONDS] [--start all|staggered] [--crypto model|real]\n"
         "                    [--verbose] [--list] [--help]\n\n"
         "Runs the gossip and store code of this tree in virtual time, with the faults of a "
         "scenario, and\n"
         "prints one JSON document. The same arguments give the same trace. Exit status: 0, 1 when "
         "an\n"
         "invariant or an expectation broke, 2 when the arguments make no sense.\n\n"
         "  --nodes N      how many nodes (default: what the scenario says)\n"
         "  --seed S       default 1\n"
         "  --scenario     default crash; --list names those that come with the program\n"
         "  --until S      end so many seconds after the flock stands\n"
         "  --start        all within `spread`, or one every 10 ms\n"
         "  --crypto       cheap model signatures (default), or libsodium\n"
         "  --verbose      faults and verdicts on stderr while they happen\n\n"
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
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"nodes", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"scenario", required_argument, NULL, 'f'},
                                          {"set", required_argument, NULL, 'k'},
                                          {"until", required_argument, NULL, 'u'},
                                          {"start", required_argument, NULL, 'a'},
                                          {"crypto", required_argument, NULL, 'c'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    char text[64];
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        char *end;
        switch (c) {
        case 'n':
            if (!sim_parse_count(optarg, SIM_NODES_MAX, &o->nodes) || o->nodes == 0)
                return usage("no number of nodes:", optarg);
            break;
        case 's':
            errno = 0;
            o->seed = strtoull(optarg, &end, 0);
            if (*end != '\0' || end == optarg || errno)
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
            o->staggered = strcmp(optarg, "staggered") == 0;
            if (!o->staggered && strcmp(optarg, "all") != 0)
                return usage("start all or staggered, not", optarg);
            break;
        case 'c':
            o->real = strcmp(optarg, "real") == 0;
            if (!o->real && strcmp(optarg, "model") != 0)
                return usage("crypto model or real, not", optarg);
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

/* ---- a run ---- */

static bool read_scenario(const struct options *o, struct sim_script *s,
                          struct sim_settings *settings, char *error, size_t cap)
{
    for (size_t i = 0; i < o->n_sets; i++) {
        char name[64];
        const char *equals = strchr(o->sets[i], '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - o->sets[i]), o->sets[i]);
        if (!sim_script_value(s, name, equals + 1, true, error, cap))
            return false;
    }
    sim_settings_init(settings);
    return sim_script_read(s, o->scenario, error, cap) &&
           sim_script_settings(s, settings, error, cap);
}

static void start_all(struct sim_world *w, const struct sim_set *set, bool staggered)
{
    size_t k = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!sim_set_has(set, i))
            continue;
        sl_usec wait = staggered ? (sl_usec)k++ * STAGGER
                                 : sl_rand_span(&w->start_rand, 0, w->settings.spread);
        sim_later(w, wait, (struct sim_task){.kind = SIM_TASK_START, .node = i});
    }
}

static bool all_started(const struct sim_world *w, const struct sim_set *set)
{
    for (size_t i = 0; i < w->n; i++)
        if (sim_set_has(set, i) && w->nodes[i].process == 0)
            return false;
    return true;
}

/* Let the flock come about; its agreement is time 0. */
static void settle(struct sim_world *w, const struct sim_set *set)
{
    while (!all_started(w, set))
        sim_world_run(w, w->now + SL_MS(100));
    sim_await(w);
    while (w->measure.awaiting && w->now < w->settings.settle_max)
        sim_world_run(w, w->now + SL_MS(100));
    w->measure.settled = w->measure.awaiting ? -1 : w->now;
    if (w->measure.awaiting) {
        char why[160] = "nothing is wrong by now";
        (void)sim_agree(w, true, why, sizeof why);
        sim_violation(w, "the flock does not come about in %.0f s: %s", (double)w->now / 1e6, why);
    }
    w->measure.awaiting = false;
    w->measure.converged = -1;
}

static void run(struct sim_world *w, struct sim_script *s, const struct sim_set *begin,
                const struct options *o)
{
    sim_script_begin(s, w);
    start_all(w, begin, o->staggered);
    if (w->settings.settle)
        settle(w, begin);
    w->zero = w->now;
    w->measure.zero_bytes = w->net.n_bytes;
    w->measure.zero_messages = w->net.n_messages;
    w->measure.n_false_down = w->measure.n_deaths = w->measure.n_changes = 0;
    sim_script_plan(s, w);
    sl_usec until = w->zero + (o->until ? o->until : s->has_until ? s->until : SL_SEC(60));
    while (w->now < until) {
        sim_world_run(w, sl_earlier(until, w->now + SL_MS(500)));
        sim_judge_quiet(w);
    }
    sim_script_end(s, w);
}

static int simulate(const struct options *o, const char *reproduce)
{
    char error[512];
    struct sim_settings settings;
    struct sim_script *s = sim_zero(sizeof *s);
    struct sim_world *w = sim_zero(sizeof *w);
    struct sim_set begin = {0};
    struct timespec from, to;
    int status = 2;
    bool ok = read_scenario(o, s, &settings, error, sizeof error);
    size_t n = o->nodes ? o->nodes : s->nodes ? s->nodes : 3 + sim_seed(o->seed, "nodes", 0) % 58;
    if (ok && sim_world_init(w, n, o->seed, &settings, o->real) < 0) {
        snprintf(error, sizeof error, "the world does not come about");
        ok = false;
    }
    w->verbose = o->verbose;
    ok = ok && sim_script_check(s, w, error, sizeof error) &&
         sim_script_set(s, w, s->begin[0] ? s->begin : "all", &begin, error, sizeof error);
    if (ok) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        run(w, s, &begin, o);
        clock_gettime(CLOCK_MONOTONIC, &to);
        sim_report_print(stdout, w, s->name,
                         (double)(to.tv_sec - from.tv_sec) +
                             (double)(to.tv_nsec - from.tv_nsec) / 1e9,
                         reproduce);
        status = w->n_violations ? 1 : 0;
    } else {
        fprintf(stderr, "starling-sim: %s\n", error);
    }
    sim_set_fini(&begin);
    sim_world_fini(w);
    sim_script_fini(s);
    free(w);
    free(s);
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .scenario = "crash"};
    char reproduce[512] = "starling-sim";
    for (int i = 1; i < argc; i++) {
        size_t len = strlen(reproduce);
        if (strcmp(argv[i], "--verbose") != 0)
            snprintf(reproduce + len, sizeof reproduce - len, " %s", argv[i]);
    }
    int r = parse(argc, argv, &o);
    return r == 0 ? simulate(&o, reproduce) : r == 1 ? 0 : 2;
}
