/* common.c: what the programs share. */
#include "cli/common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *program = "starling";

static void say(const char *format, va_list args, const char *more)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s: ", program);
    (void)vfprintf(stderr, format, args);
    (void)fputs(more, stderr);
    (void)fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args, "");
    va_end(args);
}

int misused(const char *format, ...)
{
    char more[64];
    va_list args;
    (void)snprintf(more, sizeof more, " (see %s --help)", program);
    va_start(args, format);
    say(format, args, more);
    va_end(args);
    return USAGE;
}

const char node_options_help[] =
    "Node options (each also as STARLING_... in the environment or a line of the file):\n"
    "  --flock NAME           the mesh to join (default)\n"
    "  --name NAME            of this node (HOSTNAME-RANDOM)\n"
    "  --listen HOST[:PORT]   where peers connect; port 0 is a free one\n"
    "  --advertise HOST[:PORT]  what others are told (where it listens)\n"
    "  --seed HOST[:PORT]     where to join, may be repeated; port 7700 where none is given\n"
    "  --zone ZONE            label of the failure domain\n"
    "  --state-dir DIR        keeps key and known peers (nothing is kept)\n"
    "  --runtime-dir DIR      sockets and address files ($XDG_RUNTIME_DIR/starling)\n"
    "  --config-dir DIR       the authority (~/.config/starling)\n"
    "  --credentials FILE     certificate made by an authority elsewhere\n"
    "  --config FILE          lines 'key = value'\n"
    "  --log LEVEL            error, warning, info or debug\n";

static int add_seed(struct node_options *o, const char *value)
{
    size_t len = strlen(o->seeds), more = strlen(value);
    if (len + more + 2 > sizeof o->seeds)
        return misused("too many seeds");
    (void)snprintf(o->seeds + len, sizeof o->seeds - len, "%s%s", len > 0 ? "," : "", value);
    o->options.seeds = o->seeds;
    return DONE;
}

static int log_level(const char *text)
{
    static const char *const levels[] = {"", "error", "warning", "info", "debug"};
    for (int i = 1; i <= 4; i++)
        if (strcmp(text, levels[i]) == 0)
            return i;
    return 0;
}

int node_option(struct node_options *o, int option, const char *value)
{
    starling_options *to = &o->options;
    const char **const places[] = {
        &to->flock,      &to->name,      &to->listen,      &to->advertise,  NULL,
        &to->zone,       &to->state_dir, &to->runtime_dir, &to->config_dir, &to->credentials,
        &to->config_file};
    if (option == 304)
        return add_seed(o, value);
    if (option == 311) {
        to->log_level = log_level(value);
        return to->log_level != 0
                   ? DONE
                   : misused("--log is error, warning, info or debug, not '%s'", value);
    }
    *places[option - 300] = value;
    return DONE;
}

int node_log_to_stderr(struct node_options *o, int level)
{
    const char *env = getenv("STARLING_LOG");
    o->options.log = log_line;
    if (o->options.log_level != 0)
        return DONE;
    o->options.log_level = level;
    if (env == NULL || env[0] == '\0')
        return DONE;
    o->options.log_level = log_level(env);
    return o->options.log_level != 0
               ? DONE
               : misused("STARLING_LOG is error, warning, info or debug, not '%s'", env);
}

void log_line(void *context, int level, const char *line)
{
    static const char *const levels[] = {"", "error", "warning", "info", "debug"};
    struct timespec now = {0};
    struct tm tm = {0};
    char when[40] = "", text[1024];
    (void)context;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    int len = snprintf(text, sizeof text, "%s.%03ldZ %s %s\n", when, now.tv_nsec / 1000000,
                       level >= 1 && level <= 4 ? levels[level] : "info", line);
    if (len >= (int)sizeof text) {
        len = (int)sizeof text - 1;
        text[len - 1] = '\n';
    }
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        return; /* nowhere left to say it */
}
