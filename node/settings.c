/* settings.c: gather what was set, wherever it was set, and check it.
 * Each setting is looked for in the program's options, then in the environment, then in the file;
 * the first that has it wins, and an error names that place. Checking comes after choosing, so
 * that a bad line in a file does no harm where the environment overrides it. */
#include "node/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/crypto.h"

#define FILE_BYTES_MAX (64 * 1024)
#define SEEDS_TEXT_MAX (SL_SEEDS_MAX * 272)
#define LEAVE_MS_DEFAULT 1000
#define LEAVE_MS_MAX 60000

enum key {
    K_FLOCK,
    K_NAME,
    K_LISTEN,
    K_ADVERTISE,
    K_SEEDS,
    K_ZONE,
    K_STATE_DIR,
    K_RUNTIME_DIR,
    K_CONFIG_DIR,
    K_CREDENTIALS,
    K_LEAVE_MS,
    K_LOG,
    K_COUNT
};

/* Spelling in the file and of the option, and in the environment. */
static const struct {
    const char *name, *env;
} keys[K_COUNT] = {
    [K_FLOCK] = {"flock", "STARLING_FLOCK"},
    [K_NAME] = {"name", "STARLING_NAME"},
    [K_LISTEN] = {"listen", "STARLING_LISTEN"},
    [K_ADVERTISE] = {"advertise", "STARLING_ADVERTISE"},
    [K_SEEDS] = {"seeds", "STARLING_SEEDS"},
    [K_ZONE] = {"zone", "STARLING_ZONE"},
    [K_STATE_DIR] = {"state_dir", "STARLING_STATE_DIR"},
    [K_RUNTIME_DIR] = {"runtime_dir", "STARLING_RUNTIME_DIR"},
    [K_CONFIG_DIR] = {"config_dir", "STARLING_CONFIG_DIR"},
    [K_CREDENTIALS] = {"credentials", "STARLING_CREDENTIALS"},
    [K_LEAVE_MS] = {"leave_ms", "STARLING_LEAVE_MS"},
    [K_LOG] = {"log", "STARLING_LOG"},
};

enum place { UNSET, IN_FILE, IN_ENVIRONMENT, IN_OPTIONS };

struct given {
    const char *text; /* NULL = unset */
    char *owned;      /* text of the file */
    enum place place;
    unsigned line;
};

struct gathering {
    const starling_options *options;
    const char *file; /* NULL = none */
    FILE *stream;
    unsigned line;     /* being read */
    size_t bytes;      /* read so far */
    unsigned bad_line; /* first line the handler refused; its text is the thread's error text */
    bool too_long;     /* reading stopped at an overlong line */
    struct given given[K_COUNT];
};

/* An error about one setting, naming where it was set. */
static int refuse(const struct gathering *g, enum key k, const char *why)
{
    const struct given *v = &g->given[k];
    switch (v->place) {
    case IN_FILE:
        return sl_fail(STARLING_EINVAL, "%s, line %u: %s is '%.80s': %s", g->file, v->line,
                       keys[k].name, v->text, why);
    case IN_ENVIRONMENT:
        return sl_fail(STARLING_EINVAL, "%s is '%.80s': %s", keys[k].env, v->text, why);
    case IN_OPTIONS:
    case UNSET:
        break;
    }
    return sl_fail(STARLING_EINVAL, "option %s is '%.80s': %s", keys[k].name,
                   v->text != NULL ? v->text : "", why);
}

/* ---- the file --------------------------------------------------------------------------- */

/* One line for libinih, which would cut a long one in two without a word. */
static char *read_line(char *out, int cap, void *context)
{
    struct gathering *g = context;
    if (g->bad_line != 0 || fgets(out, cap, g->stream) == NULL)
        return NULL;
    size_t len = strlen(out);
    g->line++;
    g->bytes += len;
    if (len + 1 >= (size_t)cap && out[len - 1] != '\n') {
        g->too_long = true;
        return NULL;
    }
    return g->bytes > FILE_BYTES_MAX ? NULL : out;
}

static int refuse_line(struct gathering *g, const char *name, const char *why)
{
    g->bad_line = g->line;
    (void)sl_fail(STARLING_EINVAL, "%s, line %u: '%.64s' %s", g->file, g->line, name, why);
    return 0;
}

static int take_line(void *context, const char *section, const char *name, const char *value)
{
    struct gathering *g = context;
    if (section[0] != '\0')
        return refuse_line(g, section, "is a [section]; there are only lines 'key = value'");
    enum key k = 0;
    while (k < K_COUNT && strcmp(keys[k].name, name) != 0)
        k++;
    if (k == K_COUNT)
        return refuse_line(g, name, "is not a setting");
    struct given *v = &g->given[k];
    if (v->owned != NULL && k != K_SEEDS)
        return refuse_line(g, name, "is set twice");

    char *text = NULL; /* seeds may be spread over several lines */
    if (asprintf(&text, "%s%s%s", v->owned != NULL ? v->owned : "", v->owned != NULL ? "," : "",
                 value) < 0)
        return refuse_line(g, name, "does not fit in memory");
    free(v->owned);
    v->owned = text;
    v->text = text;
    v->place = IN_FILE;
    v->line = g->line;
    return 1;
}

static int read_file(struct gathering *g)
{
    int fd = open(g->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        goto fail;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        goto fail;
    }
    g->stream = fdopen(fd, "r");
    if (g->stream == NULL)
        goto fail;

    int bad = ini_parse_stream(read_line, g, take_line, g);
    int failed = ferror(g->stream);
    (void)fclose(g->stream);
    g->stream = NULL;
    if (g->too_long)
        return sl_fail(STARLING_EINVAL,
                       "%s, line %u is too long for the file; 'seeds' may be given several times",
                       g->file, g->line);
    if (g->bytes > FILE_BYTES_MAX)
        return sl_fail(STARLING_EINVAL, "%s is longer than %d bytes", g->file, FILE_BYTES_MAX);
    if (failed)
        return sl_fail(STARLING_EIO, "cannot read the settings in %s", g->file);
    if (bad > 0 && (unsigned)bad != g->bad_line)
        return sl_fail(STARLING_EINVAL, "%s, line %d: expected 'key = value'", g->file, bad);
    return bad == 0 ? 0 : bad > 0 ? STARLING_EINVAL : STARLING_ENOMEM;

fail:;
    int error = errno;
    if (fd >= 0)
        (void)close(fd);
    return sl_fail(STARLING_EIO, "cannot read the settings in %s: %s", g->file, strerror(error));
}

/* ---- environment and options ------------------------------------------------------------ */

static const char *option_text(const starling_options *o, enum key k)
{
    switch (k) {
    case K_FLOCK:
        return o->flock;
    case K_NAME:
        return o->name;
    case K_LISTEN:
        return o->listen;
    case K_ADVERTISE:
        return o->advertise;
    case K_SEEDS:
        return o->seeds;
    case K_ZONE:
        return o->zone;
    case K_STATE_DIR:
        return o->state_dir;
    case K_RUNTIME_DIR:
        return o->runtime_dir;
    case K_CONFIG_DIR:
        return o->config_dir;
    case K_CREDENTIALS:
        return o->credentials;
    case K_LEAVE_MS: /* numbers in the options, see check_numbers */
    case K_LOG:
    case K_COUNT:
        break;
    }
    return NULL;
}

/* An empty variable counts as unset, as shells have it. */
static const char *environment(const char *name)
{
    const char *text = secure_getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int gather(struct gathering *g)
{
    g->file = g->options->config_file;
    if (g->file == NULL)
        g->file = environment("STARLING_CONFIG");
    if (g->file != NULL) {
        int r = read_file(g);
        if (r < 0)
            return r;
    }
    for (enum key k = 0; k < K_COUNT; k++) {
        const char *env = environment(keys[k].env);
        const char *option = option_text(g->options, k);
        struct given *v = &g->given[k];
        if (option != NULL) {
            v->text = option;
            v->place = IN_OPTIONS;
        } else if (env != NULL) {
            v->text = env;
            v->place = IN_ENVIRONMENT;
        }
    }
    return 0;
}

/* ---- checks ----------------------------------------------------------------------------- */

static int check_name(const struct gathering *g, enum key k, const char *fallback, char out[64])
{
    const char *text = g->given[k].text;
    if (text == NULL || (text[0] == '\0' && fallback[0] == '\0')) {
        sl_copy_text(out, 64, fallback, strlen(fallback));
        return 0;
    }
    if (!sl_name_ok(text, strlen(text)))
        return refuse(g, k, "names are 1 to 63 of a-z 0-9 . _ -");
    /* They become parts of paths. */
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return refuse(g, k, "this name means a directory");
    sl_copy_text(out, 64, text, strlen(text));
    return 0;
}

/* HOSTNAME-RANDOM: in containers every process is number 1, so a pid would tell nothing apart. */
static void generate_name(char out[64])
{
    char host[65] = "";
    uint8_t random[4];
    char hex[2 * sizeof random + 1];
    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    host[50] = '\0';
    host[strcspn(host, ".")] = '\0';
    for (char *c = host; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (!sl_name_ok(c, 1))
            *c = '-';
    }
    sl_entropy(random, sizeof random);
    sl_hex(hex, random, sizeof random);
    (void)snprintf(out, 64, "%.50s-%s", host[0] != '\0' ? host : "node", hex);
}

static int check_address(const struct gathering *g, enum key k, uint16_t default_port,
                         struct sl_addr *ret)
{
    const char *text = g->given[k].text;
    if (text == NULL || text[0] == '\0')
        return 0;
    const char *host;
    size_t len;
    uint16_t port;
    if (sl_addr_split(text, strlen(text), default_port, &host, &len, &port) < 0)
        return refuse(g, k, "expected HOST[:PORT], for IPv6 [HOST]:PORT");
    if (len == 9 && memcmp(host, "localhost", 9) == 0) {
        host = "127.0.0.1";
        len = 9;
    }
    struct sl_addr a;
    if (sl_addr_parse(&a, host, len, port) < 0)
        return refuse(g, k,
                      "HOST must be a numeric address (0.0.0.0 or [::] for all of this host)");
    a.port = port;
    *ret = a;
    return 0;
}

static bool host_ok(const char *host, size_t len)
{
    struct sl_addr a;
    if (len == 0 || len > 253)
        return false;
    if (sl_addr_parse(&a, host, len, 0) == 0)
        return !sl_addr_is_wildcard(&a);
    for (size_t i = 0; i < len; i++) {
        char c = host[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_'))
            return false;
    }
    return host[0] != '-' && host[0] != '.';
}

static int check_seeds(const struct gathering *g, struct sl_settings *s)
{
    const char *p = g->given[K_SEEDS].text;
    if (p == NULL)
        return 0;
    if (strlen(p) > SEEDS_TEXT_MAX)
        return refuse(g, K_SEEDS, "the list is too long");
    while (*p != '\0') {
        size_t len = strcspn(p, ",");
        const char *item = p, *end = p + len;
        p += len + (p[len] == ',');
        while (item < end && (*item == ' ' || *item == '\t'))
            item++;
        while (end > item && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        if (item == end)
            continue;
        const char *host;
        size_t host_len;
        uint16_t port;
        if (sl_addr_split(item, (size_t)(end - item), STARLING_PORT_DEFAULT, &host, &host_len,
                          &port) < 0 ||
            port == 0 || !host_ok(host, host_len))
            return refuse(g, K_SEEDS, "expected HOST[:PORT],... with names or addresses");
        if (s->n_seeds == SL_SEEDS_MAX)
            return refuse(g, K_SEEDS, "more than 64 seeds; a name may have many addresses");
        struct sl_seed *seed = &s->seeds[s->n_seeds++];
        sl_copy_text(seed->host, sizeof seed->host, host, host_len);
        seed->port = port;
    }
    return 0;
}

int sl_log_level_parse(const char *text)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (strcmp(text, levels[i]) == 0)
            return i + 1;
    return 0;
}

static int check_numbers(const struct gathering *g, struct sl_settings *s)
{
    const starling_options *o = g->options;
    const char *log = g->given[K_LOG].text, *leave = g->given[K_LEAVE_MS].text;
    s->leave_ms = o->leave_ms;
    if (o->leave_ms == 0 && leave != NULL) {
        char *end;
        errno = 0;
        unsigned long ms = strtoul(leave, &end, 10);
        if (errno != 0 || *end != '\0' || leave[0] < '0' || leave[0] > '9' || ms > LEAVE_MS_MAX)
            return refuse(g, K_LEAVE_MS, "expected milliseconds, at most 60000");
        s->leave_ms = (unsigned)ms;
    } else if (o->leave_ms > LEAVE_MS_MAX) {
        return sl_fail(STARLING_EINVAL, "option leave_ms is %u: at most %d milliseconds",
                       o->leave_ms, LEAVE_MS_MAX);
    } else if (o->leave_ms == 0) {
        s->leave_ms = LEAVE_MS_DEFAULT;
    }

    if (o->log_level < 0 || o->log_level > SL_DEBUG)
        return sl_fail(STARLING_EINVAL, "option log_level is %d: expected 1 (error) to 4 (debug)",
                       o->log_level);
    if (log != NULL) {
        s->log_level = sl_log_level_parse(log);
        if (s->log_level == 0)
            return refuse(g, K_LOG, "expected error, warning, info or debug");
    }
    if (o->log != NULL && o->log_level != 0)
        s->log_level = o->log_level;
    return 0;
}

/* ---- directories ------------------------------------------------------------------------ */

/* A directory that belongs to somebody else is not our home, whatever the environment says
 * (`sudo -E`): files made there would be theirs, or ours in their way. */
static bool foreign(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_uid != geteuid();
}

void sl_settings_runtime_dir(char out[SL_PATH_MAX])
{
    const char *xdg = environment("XDG_RUNTIME_DIR");
    int len = -1;
    if (xdg != NULL && xdg[0] == '/' && !foreign(xdg))
        len = snprintf(out, SL_PATH_MAX, "%s/starling", xdg);
    if (len < 0 || len >= SL_PATH_MAX)
        (void)snprintf(out, SL_PATH_MAX, "/tmp/starling-%u", (unsigned)geteuid());
}

static bool own_home(char out[SL_PATH_MAX])
{
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) != 0 || found == NULL ||
        found->pw_dir == NULL || found->pw_dir[0] != '/' || strlen(found->pw_dir) >= SL_PATH_MAX)
        return false;
    sl_copy_text(out, SL_PATH_MAX, found->pw_dir, strlen(found->pw_dir));
    return true;
}

/* $XDG_CONFIG_HOME/starling, else ~/.config/starling; without any home, the runtime directory. */
static void default_config_dir(const char *runtime_dir, char out[SL_PATH_MAX])
{
    const char *xdg = environment("XDG_CONFIG_HOME"), *home = environment("HOME");
    char own[SL_PATH_MAX];
    bool root = geteuid() == 0;
    int len = -1;
    if (xdg != NULL && xdg[0] == '/' && !(root && foreign(xdg)))
        len = snprintf(out, SL_PATH_MAX, "%s/starling", xdg);
    else if (home != NULL && home[0] == '/' && !(root && foreign(home)))
        len = snprintf(out, SL_PATH_MAX, "%s/.config/starling", home);
    else if (own_home(own))
        len = snprintf(out, SL_PATH_MAX, "%s/.config/starling", own);
    if (len < 0 || len >= SL_PATH_MAX)
        sl_copy_text(out, SL_PATH_MAX, runtime_dir, strlen(runtime_dir));
}

/* Absolute, so that a host that changes its directory later does not move our files. */
static int check_path(const struct gathering *g, enum key k, char out[SL_PATH_MAX])
{
    const char *text = g->given[k].text;
    if (text == NULL || text[0] == '\0')
        return 0;
    char here[SL_PATH_MAX] = "";
    if (text[0] != '/' && getcwd(here, sizeof here) == NULL)
        return refuse(g, k, "relative, and the current directory has no name");
    int len = snprintf(out, SL_PATH_MAX, "%s%s%s", here, here[0] != '\0' ? "/" : "", text);
    if (len < 0 || len >= SL_PATH_MAX)
        return refuse(g, k, "the path is longer than 1023 bytes");
    return 0;
}

static int check_paths(const struct gathering *g, struct sl_settings *s)
{
    sl_settings_runtime_dir(s->runtime_dir);
    int r = check_path(g, K_RUNTIME_DIR, s->runtime_dir);
    if (r < 0)
        return r;
    default_config_dir(s->runtime_dir, s->config_dir);
    r = check_path(g, K_CONFIG_DIR, s->config_dir);
    if (r < 0)
        return r;
    r = check_path(g, K_STATE_DIR, s->state_dir);
    if (r < 0)
        return r;
    return check_path(g, K_CREDENTIALS, s->credentials);
}

static int check(const struct gathering *g, struct sl_settings *s)
{
    int r = check_name(g, K_FLOCK, "default", s->flock);
    if (r < 0)
        return r;
    r = check_name(g, K_NAME, "", s->name);
    if (r < 0)
        return r;
    if (s->name[0] == '\0')
        generate_name(s->name);
    r = check_name(g, K_ZONE, "", s->zone);
    if (r < 0)
        return r;
    r = check_address(g, K_LISTEN, STARLING_PORT_DEFAULT, &s->listen);
    if (r < 0)
        return r;
    /* Port 0: whatever port is bound. */
    r = check_address(g, K_ADVERTISE, 0, &s->advertise);
    if (r < 0)
        return r;
    if (s->advertise.family != 0 && sl_addr_is_wildcard(&s->advertise))
        return refuse(g, K_ADVERTISE, "nobody can reach a wildcard; give the address others see");
    r = check_seeds(g, s);
    if (r < 0)
        return r;
    r = check_numbers(g, s);
    return r < 0 ? r : check_paths(g, s);
}

int sl_settings_load(const starling_options *options, struct sl_settings *ret)
{
    static const starling_options none = {0};
    struct gathering g = {.options = options != NULL ? options : &none};
    struct sl_settings *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory");
    int r = gather(&g);
    if (r == 0)
        r = check(&g, s);
    if (r == 0)
        *ret = *s;
    for (enum key k = 0; k < K_COUNT; k++)
        free(g.given[k].owned);
    free(s);
    return r;
}
