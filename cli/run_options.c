/* run_options.c: the options of `starling run`. A slip shows before the program runs. */
#include "cli/run_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_DEFAULT_MS 2000
#define EVERY_MIN_MS 100
#define EVERY_MAX_MS 3600000
#define TIMEOUT_DEFAULT_MS 1000
#define TIMEOUT_MIN_MS 10
#define TIMEOUT_MAX_MS 300000
#define GRACE_DEFAULT_MS 100 /* the flock knows by then */
#define GRACE_MAX_MS 3600000
#define COUNT_MAX 100

static const char usage[] =
    "Usage: starling run --service NAME --port N [OPTION]... -- COMMAND [ARG]...\n"
    "Run COMMAND and offer it as a service of the flock while its check passes.\n\n"
    "  --service NAME     as others look for it\n"
    "  --port N           where it listens\n"
    "  --host ADDRESS     where it listens, numeric (the node's advertised address)\n"
    "  --tenant NAME      to whom it is offered; its key is in the credentials (default)\n"
    "  --weight N         share of requests, 1 to 1000 (100)\n"
    "  --meta KEY=VALUE   metadata, may be repeated\n"
    "  --version TEXT     of the service\n"
    "  --check tcp        offered once a TCP connect works (tcp)\n"
    "  --check http://[HOST[:PORT]]/PATH\n"
    "                     or once a GET is answered with 2xx; 429 is a warning\n"
    "  --check exec:CMD   or once CMD, run by sh, exits with 0; 1 is a warning\n"
    "  --every TIME       between checks, 500ms, 2s, 1m (2s)\n"
    "  --timeout TIME     a check that takes longer has failed, and CMD is killed (1s)\n"
    "  --rise N           passes in a row until it is offered, and fit again (1)\n"
    "  --fall N           failures in a row until it is critical (3)\n"
    "  --grace TIME       before it ends: no new requests for so long, then the signal (100ms)\n\n";

static const char usage_rest[] =
    "  --help\n\n"
    "Signals are passed on. SIGTERM, SIGINT and SIGQUIT first set the weight to 0 and withdraw "
    "the\n"
    "service after --grace; a second one is passed on at once. The node leaves when COMMAND ends,\n"
    "and COMMAND is killed when starling is.\n"
    "Exit status: that of COMMAND, 128 + N when signal N killed it; 125 starling itself failed,\n"
    "126 COMMAND cannot be run, 127 COMMAND is not found.\n";

static bool parse_number(const char *text, unsigned low, unsigned high, unsigned *ret)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < (long)low || n > (long)high)
        return false;
    *ret = (unsigned)n;
    return true;
}

/* "500ms", "2s", "1m"; a bare number is seconds. */
static bool parse_time(const char *text, int64_t low_ms, int64_t high_ms, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}};
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    if (errno != 0 || end == text)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double ms = n * units[i].ms;
        if (strcmp(end, units[i].unit) == 0 && ms >= (double)low_ms && ms <= (double)high_ms) {
            *ret_ms = (int64_t)ms;
            return true;
        }
    }
    return false;
}

static int add_meta(struct run_options *o, char *pair)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair)
        return misused("--meta takes KEY=VALUE, not '%s'", pair);
    if (o->service.n_meta == STARLING_META_PAIRS_MAX)
        return misused("--meta: at most %d pairs", STARLING_META_PAIRS_MAX);
    *equals = '\0';
    o->meta[o->service.n_meta++] = (struct starling_meta){.key = pair, .value = equals + 1};
    return DONE;
}

static int check_name(const char *option, const char *name)
{
    size_t len = strlen(name);
    if (len >= 1 && len < STARLING_NAME_MAX &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len)
        return DONE;
    return misused("%s takes 1 to 63 of a-z 0-9 . _ -, not '%s'", option, name);
}

static bool is_numeric(const char *host)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;
}

/* ---- --check -------------------------------------------------------------------------------- */

/* "[HOST[:PORT]]" of a URL. False: not that. */
static bool parse_place(struct run_options *o, const char *text, size_t len)
{
    char place[STARLING_ADDRESS_MAX];
    if (len >= sizeof place)
        return false;
    memcpy(place, text, len);
    place[len] = '\0';
    char *host = place, *port = strrchr(place, ':');
    if (place[0] == '[') {
        char *end = strchr(place, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0'))
            return false;
        port = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
        host++;
    }
    if (port != NULL) {
        if (!parse_number(port + 1, 1, 65535, &o->service.check_port))
            return false;
        *port = '\0';
    }
    if (strcmp(host, "localhost") == 0)
        host = strcpy(place, "127.0.0.1"); /* longer, but there is room */
    if (host[0] != '\0' && !is_numeric(host))
        return false;
    (void)snprintf(o->check_host, sizeof o->check_host, "%s", host);
    return true;
}

static int parse_url(struct run_options *o, const char *url)
{
    const char *place = url + strlen("http://");
    size_t len = strcspn(place, "/");
    if (!parse_place(o, place, len))
        return misused("--check http://[HOST[:PORT]]/PATH takes a numeric HOST, not '%s'", url);
    const char *path = place[len] == '/' ? place + len : "/";
    size_t path_len = strlen(path);
    if (path_len >= sizeof o->check_path)
        return misused("the path of --check is longer than %zu bytes", sizeof o->check_path - 1);
    for (size_t i = 0; i < path_len; i++)
        if ((unsigned char)path[i] <= ' ' || path[i] == 0x7f)
            return misused("the path of --check has spaces or control characters: write %%20");
    memcpy(o->check_path, path, path_len + 1);
    o->service.check = STARLING_CHECK_HTTP;
    o->service.check_host = o->check_host;
    o->service.check_path = o->check_path;
    return DONE;
}

static int parse_check(struct run_options *o, const char *kind)
{
    o->check_command = NULL;
    o->service.check_host = o->service.check_path = NULL;
    o->service.check_port = 0;
    if (strcmp(kind, "tcp") == 0) {
        o->service.check = STARLING_CHECK_TCP;
        return DONE;
    }
    if (strncmp(kind, "http://", 7) == 0)
        return parse_url(o, kind);
    if (strncmp(kind, "exec:", 5) == 0 && kind[5] != '\0') {
        o->service.check = STARLING_CHECK_CALL;
        o->check_command = kind + 5;
        return DONE;
    }
    return misused("--check is tcp, http://[HOST[:PORT]]/PATH or exec:CMD, not '%s'", kind);
}

/* ---- one after the other -------------------------------------------------------------------- */

static int number_option(const char *name, const char *value, unsigned low, unsigned high,
                         unsigned *ret)
{
    return parse_number(value, low, high, ret)
               ? DONE
               : misused("--%s is %u to %u, not '%s'", name, low, high, value);
}

static int time_option(const char *name, const char *value, int64_t low_ms, int64_t high_ms,
                       const char *range, int64_t *ret_ms)
{
    return parse_time(value, low_ms, high_ms, ret_ms)
               ? DONE
               : misused("--%s is %s, not '%s'", name, range, value);
}

static int own_option(struct run_options *o, int option, char *value)
{
    starling_service *s = &o->service;
    switch (option) {
    case 's':
        s->name = value;
        return check_name("--service", value);
    case 'p':
        return number_option("port", value, 1, 65535, &s->port);
    case 'H':
        s->host = value;
        return is_numeric(value) ? DONE
                                 : misused("--host must be a numeric address, not '%s'", value);
    case 't':
        s->tenant = value;
        return check_name("--tenant", value);
    case 'w':
        return number_option("weight", value, 1, STARLING_WEIGHT_MAX, &s->weight);
    case 'm':
        return add_meta(o, value);
    case 'v':
        s->version = value;
        return DONE;
    case 'c':
        return parse_check(o, value);
    case 'e':
        return time_option("every", value, EVERY_MIN_MS, EVERY_MAX_MS, "100ms to 60m",
                           &o->every_ms);
    case 'T':
        return time_option("timeout", value, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, "10ms to 5m",
                           &o->timeout_ms);
    case 'r':
        return number_option("rise", value, 1, COUNT_MAX, &s->check_rise);
    case 'f':
        return number_option("fall", value, 1, COUNT_MAX, &s->check_fall);
    case 'g':
        return time_option("grace", value, 0, GRACE_MAX_MS, "0 to 60m", &o->grace_ms);
    default:
        return node_option(&o->node, option, value);
    }
}

static int complete(struct run_options *o)
{
    if (o->service.name == NULL)
        return misused("--service is missing");
    if (o->service.port == 0)
        return misused("--port is missing");
    if (o->command[0] == NULL)
        return misused("no command to run");
    o->service.meta = o->meta;
    o->service.check_hold = 1;
    o->service.check_interval_ms = (unsigned)o->every_ms;
    o->service.check_timeout_ms = (unsigned)o->timeout_ms;
    return node_log_to_stderr(&o->node, 2);
}

int run_options_parse(struct run_options *o, int argc, char **argv)
{
    static const struct option longs[] = {NODE_LONG_OPTIONS,
                                          {"service", required_argument, NULL, 's'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"host", required_argument, NULL, 'H'},
                                          {"tenant", required_argument, NULL, 't'},
                                          {"weight", required_argument, NULL, 'w'},
                                          {"meta", required_argument, NULL, 'm'},
                                          {"version", required_argument, NULL, 'v'},
                                          {"check", required_argument, NULL, 'c'},
                                          {"every", required_argument, NULL, 'e'},
                                          {"timeout", required_argument, NULL, 'T'},
                                          {"rise", required_argument, NULL, 'r'},
                                          {"fall", required_argument, NULL, 'f'},
                                          {"grace", required_argument, NULL, 'g'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int c;
    o->every_ms = EVERY_DEFAULT_MS;
    o->timeout_ms = TIMEOUT_DEFAULT_MS;
    o->grace_ms = GRACE_DEFAULT_MS;
    o->service.check = STARLING_CHECK_TCP;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
        if (c == 'h') {
            (void)printf("%s%s%s", usage, node_options_help, usage_rest);
            return -1;
        }
        if (c == ':')
            return misused("%s needs a value", argv[optind - 1]);
        if (c == '?')
            return misused("unknown option %s", argv[optind - 1]);
        if (own_option(o, c, optarg) != DONE)
            return USAGE;
    }
    o->command = argv + optind;
    return complete(o);
}
