/* shed_cpu.c: how much of the processors that this process may use it does use.
 * "May" is the smaller of its affinity and the quota of its control group, so that half a processor
 * is full at half a processor's work. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "node/shed.h"

#define COUNT_EVERY SL_SEC(60) /* an orchestrator may change both */
#define PATH_BYTES 512

/* A small file of the kernel's. False: it is not there. */
static bool read_small(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, out, cap - 1);
    (void)close(fd);
    if (len <= 0)
        return false;
    out[len] = '\0';
    return true;
}

/* Our group in the unified hierarchy: the line "0::/PATH". */
static bool find_group(char out[PATH_BYTES])
{
    char text[4096];
    if (!read_small("/proc/self/cgroup", text, sizeof text))
        return false;
    const char *line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (line == NULL)
        return false;
    line = strchr(line, '/');
    int len = (int)strcspn(line, "\n");
    return snprintf(out, PATH_BYTES, "/sys/fs/cgroup%.*s", len, line) < PATH_BYTES;
}

/* "QUOTA PERIOD" or "max PERIOD" of this group. */
static double quota_at(const char *group)
{
    char path[PATH_BYTES + 16], text[64];
    double quota, period;
    (void)snprintf(path, sizeof path, "%s/cpu.max", group);
    if (read_small(path, text, sizeof text) && sscanf(text, "%lf %lf", &quota, &period) == 2 &&
        quota > 0 && period > 0)
        return quota / period;
    return 1e9;
}

/* A quota of a group binds all below it. Without a unified hierarchy: that of version 1. */
static double quota(void)
{
    char group[PATH_BYTES], text[32], period[32];
    double least = 1e9;
    if (find_group(group)) {
        for (unsigned depth = 0; depth < 16; depth++) {
            double q = quota_at(group);
            least = q < least ? q : least;
            char *end = strrchr(group, '/');
            if (end == NULL || strcmp(end, "/cgroup") == 0)
                break;
            *end = '\0';
        }
    }
    if (read_small("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text) &&
        read_small("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period)) {
        double q = strtod(text, NULL), p = strtod(period, NULL);
        if (q > 0 && p > 0 && q / p < least)
            least = q / p;
    }
    return least;
}

static double count_processors(void)
{
    cpu_set_t set;
    double n = sched_getaffinity(0, sizeof set, &set) == 0
                   ? (double)CPU_COUNT(&set)
                   : (double)sysconf(_SC_NPROCESSORS_ONLN); /* more than 1024: not a cpu_set_t */
    double most = quota();
    n = n < most ? n : most;
    return n > 0.01 ? n : 0.01;
}

double sl_cpu_look(struct sl_cpu *c, sl_usec now)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    if (c->processors <= 0 || now - c->counted >= COUNT_EVERY) {
        c->processors = count_processors();
        c->counted = now;
    }
    sl_usec spent = SL_SEC(t.tv_sec) + t.tv_nsec / 1000;
    double share = 0;
    if (c->at > 0 && now > c->at)
        share = (double)(spent - c->spent) / (double)(now - c->at) / c->processors;
    c->at = now;
    c->spent = spent;
    return share;
}
