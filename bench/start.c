/* start.c: from the start of a process to its first pick, out of the snapshot in its state
 * directory, while nobody else is there.
 *
 * Milliseconds from spawning the process to the pick it made, of which starling_open() alone, next to
 * the same program started to do nothing; medians of several runs, taken in turn. Everything is below one temporary directory. */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "node/crypto.h"
#include "node/files.h"
#include "node/identity.h"
#include "node/snapshot_file.h"
#include "store/store.h"

enum { RUNS = 21 };

extern char **environ;

/* What the started process says of itself. */
struct times {
    double main_ms, opened_ms, picked_ms; /* on the clock that all processes share */
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- what is remembered ------------------------------------------------------------------- */

static void add_member(struct sl_pack *w, unsigned i)
{
    struct sl_service service = {.tenant = "default",
                                 .name = "web",
                                 .version = "1.0",
                                 .port = (uint16_t)(1024 + i),
                                 .base_weight = 100,
                                 .weight = 100};
    const struct sl_service *list[] = {&service};
    uint8_t record[1024], vitals[256];
    struct sl_snapshot_entry e = {.id = {{(uint8_t)(i >> 8), (uint8_t)i, 1}},
                                  .addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = 1},
                                  .epoch = 1};
    snprintf(e.name, sizeof e.name, "node-%u", i);
    e.record = sl_span_of(record, sl_sections_write_record(list, 1, record, sizeof record));
    e.vitals = sl_span_of(vitals, sl_sections_write_vitals(list, 1, vitals, sizeof vitals));
    must(e.record.len > 0 && e.vitals.len > 0 && sl_snapshot_add(w, &e), "writing a member");
}

static void write_snapshot(const char *dir, unsigned n)
{
    static uint8_t file[1024 * 1024];
    char config[128], runtime[128], state[128], path[160];
    snprintf(config, sizeof config, "%s/config", dir);
    snprintf(runtime, sizeof runtime, "%s/run", dir);
    snprintf(state, sizeof state, "%s/state", dir);
    snprintf(path, sizeof path, "%s/snapshot", state);
    struct sl_identity_options options = {.flock = "default",
                                          .name = "bench",
                                          .config_dir = config,
                                          .runtime_dir = runtime,
                                          .state_dir = state,
                                          .wall_s = time(NULL)};
    struct sl_identity identity;
    must(sl_identity_load(&options, &identity) == 0, "an identity");
    struct sl_crypto crypto = sl_crypto_port(&identity.signer);
    struct sl_snapshot_owner owner;
    struct sl_pack w;
    sl_snapshot_owner_init(&owner, &crypto, identity.bundle.flock, &identity.id,
                           identity.signer.seed);
    sl_snapshot_begin(&w, file, sizeof file);
    for (unsigned i = 0; i < n; i++)
        add_member(&w, i);
    size_t len = sl_snapshot_end(&w, &owner, time(NULL));
    must(sl_file_write(path, file, len, 0600) == 0, "writing the snapshot");
    sl_identity_fini(&identity);
}

/* ---- the process that is measured --------------------------------------------------------- */

static int child(const char *dir)
{
    struct times t = {.main_ms = now_ms()};
    char config[128], runtime[128], state[128];
    if (dir[0] != '\0') {
        snprintf(config, sizeof config, "%s/config", dir);
        snprintf(runtime, sizeof runtime, "%s/run", dir);
        snprintf(state, sizeof state, "%s/state", dir);
        starling_options o = {.name = "bench",
                              .listen = "127.0.0.1:0",
                              .config_dir = config,
                              .runtime_dir = runtime,
                              .state_dir = state,
                              .leave_ms = 1};
        starling_node *node;
        starling_view *view;
        starling_instance who;
        must(starling_open(&o, &node) == 0, "starling_open");
        t.opened_ms = now_ms();
        must(starling_view_open(node, "web", NULL, &view) == 0, "starling_view_open");
        must(starling_pick(view, &who) == 0, "starling_pick");
        t.picked_ms = now_ms();
        must((who.flags & STARLING_F_STALE) != 0, "being stale");
    }
    must(write(STDOUT_FILENO, &t, sizeof t) == sizeof t, "telling");
    _exit(EXIT_SUCCESS); /* the parent has seen enough, and the next one comes anew */
}

/* ---- measuring ---------------------------------------------------------------------------- */

/* Start ourselves again with this directory; when it was started, and what it says. */
static double run(const char *self, const char *dir, struct times *ret)
{
    int fds[2], status;
    pid_t pid;
    char *argv[] = {(char *)(uintptr_t)self, "--child", (char *)(uintptr_t)dir, NULL};
    posix_spawn_file_actions_t actions;
    must(pipe2(fds, O_CLOEXEC) == 0, "a pipe");
    must(posix_spawn_file_actions_init(&actions) == 0 &&
             posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO) == 0,
         "preparing a process");
    double started = now_ms();
    must(posix_spawn(&pid, self, &actions, NULL, argv, environ) == 0, "starting a process");
    close(fds[1]);
    bool told = read(fds[0], ret, sizeof *ret) == sizeof *ret;
    must(waitpid(pid, &status, 0) == pid && status == 0 && told, "the process");
    close(fds[0]);
    posix_spawn_file_actions_destroy(&actions);
    return started;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void measure(const char *self, unsigned n)
{
    char dir[] = "/tmp/starling-start-XXXXXX";
    must(mkdtemp(dir) != NULL, "a place");
    write_snapshot(dir, n);
    double whole[RUNS], open[RUNS], pick[RUNS], nothing[RUNS], most = 0;
    struct times t;
    for (int i = 0; i < RUNS; i++) {
        double started = run(self, "", &t);
        nothing[i] = t.main_ms - started;
        started = run(self, dir, &t);
        whole[i] = t.picked_ms - started;
        open[i] = t.opened_ms - t.main_ms;
        pick[i] = t.picked_ms - t.opened_ms;
        most = whole[i] > most ? whole[i] : most;
    }
    char what[96];
    snprintf(what, sizeof what, "process start to a pick from the snapshot on disk, %u instances",
             n);
    const struct baseline baseline[] = {
        {"start_of_an_empty_process_ms", quantile(nothing, RUNS, 0.5)},
        {"starling_open_ms", quantile(open, RUNS, 0.5)},
        {"view_and_pick_ms", quantile(pick, RUNS, 0.5)},
        {"slowest_ms", most}};
    report(&(struct figure){.bench = "start",
                            .what = what,
                            .value = quantile(whole, RUNS, 0.5),
                            .unit = "ms",
                            .bound = n == 50 ? AT_MOST : NO_BOUND,
                            .limit = 10,
                            .baseline = baseline,
                            .n_baseline = 4});
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return child(argv[2]);
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    must(len > 0, "finding ourselves");
    self[len] = '\0';
    measure(self, 50);
    measure(self, 1000);
    return n_missed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
