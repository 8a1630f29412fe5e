/* flock.h: small flocks of real nodes in this process, for the tests of the public API.
 * Each test has directories of its own under /tmp, so that no node of anybody else is in sight, and
 * waits for states, with a deadline that only a failure reaches. */
#ifndef TESTS_API_FLOCK_H
#define TESTS_API_FLOCK_H

#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <starling.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/suite.h"

#define NODES_MAX 8

/* The call fails with this code and says something. */
#define refuses(code, call)                                                                        \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        ck_assert_msg(r_ == (code), "%s: %d (%s), not %s", #call, r_, starling_error_text(),       \
                      #code);                                                                      \
        ck_assert_msg(starling_error_text()[0] != '\0', "%s says nothing", #call);                 \
    } while (0)

struct flock_of {
    char dir[64], runtime[80], config[80];
    starling_node *node[NODES_MAX];
    char name[NODES_MAX][16];
    size_t n;
};

static inline void flock_begin(struct flock_of *f)
{
    static const char *const variables[] = {"FLOCK",      "NAME",       "LISTEN",    "ADVERTISE",
                                            "SEEDS",      "ZONE",       "STATE_DIR", "RUNTIME_DIR",
                                            "CONFIG_DIR", "CREDENTIALS"}; /* LOG stays: it helps */
    char name[64];
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        snprintf(name, sizeof name, "STARLING_%s", variables[i]);
        unsetenv(name);
    }
    snprintf(f->dir, sizeof f->dir, "/tmp/starling-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    snprintf(f->runtime, sizeof f->runtime, "%s/run", f->dir);
    snprintf(f->config, sizeof f->config, "%s/config", f->dir);
}

static inline starling_options flock_options(const struct flock_of *f, const char *name)
{
    starling_options o = {.flock = "test",
                          .name = name,
                          .listen = "127.0.0.1:0",
                          .runtime_dir = f->runtime,
                          .config_dir = f->config};
    return o;
}

/* Nodes n0, n1, ... */
static inline starling_node *flock_open(struct flock_of *f)
{
    snprintf(f->name[f->n], sizeof f->name[f->n], "n%zu", f->n);
    starling_options o = flock_options(f, f->name[f->n]);
    must(starling_open(&o, &f->node[f->n]));
    return f->node[f->n++];
}

/* n nodes that know each other. */
static inline void flock_open_all(struct flock_of *f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)flock_open(f);
    for (size_t i = 0; i < n; i++)
        must(starling_wait_members(f->node[i], (unsigned)n, PATIENCE_MS));
}

static inline void flock_close(struct flock_of *f, size_t i)
{
    starling_close(f->node[i]);
    f->node[i] = NULL;
}

static inline void flock_end(struct flock_of *f)
{
    for (size_t i = f->n; i-- > 0;)
        flock_close(f, i);
    if (f->dir[0] != '\0')
        folder_remove(f->dir);
}

/* ---- what somebody sees ------------------------------------------------------------------- */

/* Status of the member `name` as `node` sees it; -1 = not in the table. */
static inline int status_of(starling_node *node, const char *name)
{
    starling_member members[2 * NODES_MAX];
    size_t n;
    must(starling_members(node, 2 * NODES_MAX, members, &n));
    for (size_t i = 0; i < n && i < 2 * NODES_MAX; i++) {
        if (strcmp(members[i].name, name) == 0)
            return (int)members[i].status;
    }
    return -1;
}

static inline starling_view *view_of(starling_node *node, const char *service)
{
    starling_view *view = NULL;
    must(starling_view_open(node, service, NULL, &view));
    return view;
}

static inline int pick_says(starling_view *view)
{
    starling_instance who;
    return starling_pick(view, &who);
}

static inline starling_registration *offer(starling_node *node, const char *service, unsigned port)
{
    starling_service s = {.name = service, .port = port};
    starling_registration *reg = NULL;
    must(starling_register(node, &s, &reg));
    return reg;
}

static inline size_t count_entries(const char *path, const char *suffix)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        size_t len = strlen(e->d_name), end = strlen(suffix);
        if (e->d_name[0] != '.' && len >= end && strcmp(e->d_name + len - end, suffix) == 0)
            n++;
    }
    closedir(dir);
    return n;
}

static inline size_t count_descriptors(void)
{
    return count_entries("/proc/self/fd", "");
}

#endif
