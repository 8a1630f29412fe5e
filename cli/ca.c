/* ca.c: `starling ca`: the authority of a flock, for people. What a certificate is and how files are
 * written is node/ca.h's; here are options, and words for what was done and what comes next. */
#include "cli/ca.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/common.h"
#include "node/ca.h"

#define DAY_S 86400
#define DAYS_DEFAULT 365
#define DAYS_MAX 36600
#define AFTER_DEFAULT DAY_S

static const char usage[] =
    "Usage: starling ca init [--config-dir DIR | --out FILE]\n"
    "       starling ca issue --flock NAME --name NAME --out FILE [--tenant NAME]...\n"
    "                         [--service PATTERN]... [--days N] [--from TIME] [--key FILE]\n"
    "       starling ca show [FILE]\n"
    "       starling ca rotate [--door] [--add | --swap | --retire] [--days N] [FILE]...\n"
    "       starling ca rotate --tenant NAME --flock NAME [--after TIME] [--days N] [FILE]...\n"
    "       starling ca revoke --file FILE | --flock NAME --id ID [--serial SERIAL]\n"
    "The certificate authority of a flock.\n\n"
    "  init                 make an authority; one that is there is never replaced\n"
    "  issue                make credentials for a node (starlingd --credentials FILE)\n"
    "  show                 what an authority, a bundle, credentials or a list of revoked\n"
    "                       certificates says; never a secret\n"
    "  rotate               one step to a new authority, or with --door to a new door; then the\n"
    "                       credentials FILE... are renewed. FILE... alone renews them. Neither: "
    "--add\n"
    "                       With --tenant the tenant gets another key instead\n"
    "  revoke               add a certificate to the list of those taken back\n\n"
    "  --authority FILE     the authority (CONFIG/authority)\n"
    "  --config-dir DIR     where it is ($STARLING_CONFIG_DIR, else ~/.config/starling)\n"
    "  --out FILE           what to make; never overwritten\n"
    "  --tenant NAME        issue: one the node may have and gets the keys of; none named:\n"
    "                       \"default\", which is in clear and which everybody has\n"
    "                       rotate: the one that gets another key\n"
    "  --after TIME         rotate: from when on it is used, 30m, 24h, 7d; 0 is at once (24h)\n"
    "  --service PATTERN    issue: services the node may offer, * for any characters; none: all\n"
    "  --days N             how long it is valid, 0.5 is twelve hours (365; rotate: as it was)\n"
    "  --from TIME          issue: from when, 2026-01-31 or 2026-01-31T12:00:00Z (now)\n"
    "  --key FILE           issue: for the key of a state directory (node.key) or of other\n"
    "                       credentials, so that the node stays who it is (a new key)\n"
    "  --add                rotate: one more is trusted, and not used yet\n"
    "  --swap               rotate: the new one is used, the old one still trusted\n"
    "  --retire             rotate: the last of the bundle goes\n"
    "  --file FILE          revoke: the certificate in these credentials\n"
    "  --id ID              revoke: of this node, every certificate of its key\n"
    "  --serial SERIAL      revoke: this certificate alone\n"
    "  --reason WORD        revoke: key-lost, replaced or gone\n"
    "  --json               show: one JSON document\n"
    "  --help\n\n"
    "Exit status: 0 done, 1 no, 2 usage.\n";

struct asked {
    const char *config_dir, *authority, *out, *file, *id, *serial, *reason;
    struct sl_ca_order order;
    int64_t now, from, life; /* life 0 = not said */
    int64_t after;           /* -1 = not said */
    bool door, add, swap, retire, json;
    char **rest; /* behind the command */
    int n_rest;
};

/* Say what failed. EINVAL is what was asked for, anything else is what was found. */
static int failed(int code)
{
    complain("%s", sl_fail_text());
    return code == STARLING_EINVAL ? USAGE : NO;
}

static int place_of(const struct asked *a, char path[PATH_MAX])
{
    if (a->authority == NULL)
        return sl_ca_path(a->config_dir, path);
    sl_copy_text(path, PATH_MAX, a->authority, strlen(a->authority));
    return 0;
}

static int open_authority(const struct asked *a, struct sl_ca *ca)
{
    char path[PATH_MAX];
    int r = place_of(a, path);
    if (r == 0)
        r = sl_ca_open(path, ca);
    if (r == STARLING_ENOENT)
        complain("there is no authority %s: make one with starling ca init, or name it with "
                 "--authority",
                 path);
    else if (r < 0)
        return failed(r);
    return r < 0 ? NO : DONE;
}

/* ---- init ------------------------------------------------------------------------------- */

static int init(const struct asked *a)
{
    char path[PATH_MAX], fingerprint[SL_FINGERPRINT_TEXT];
    struct sl_ca ca;
    struct asked at = *a;
    if (a->out != NULL && (a->config_dir != NULL || a->authority != NULL))
        return misused("init takes --out or --config-dir, not both");
    if (a->n_rest > 0)
        return misused("do not know what to do with '%s'", a->rest[0]);
    if (a->out != NULL)
        at.authority = a->out;
    int r = place_of(&at, path);
    if (r == 0)
        r = sl_ca_make(path, at.authority == NULL, &ca);
    if (r < 0)
        return failed(r);
    sl_authority_fingerprint(ca.bundle.authority[0], fingerprint);
    (void)printf(
        "authority    %s\nfingerprint  %s\n"
        "Keep this file secret, and a copy of it elsewhere: whoever has it can let anybody "
        "into the flock.\n",
        ca.path, fingerprint);
    sl_ca_fini(&ca);
    return DONE;
}

/* ---- issue ------------------------------------------------------------------------------ */

static int issue(const struct asked *a)
{
    struct sl_ca ca;
    struct sl_credentials made;
    char title[160], when[SL_TIME_TEXT];
    struct sl_ca_order order = a->order;
    if (order.flock == NULL || order.name == NULL || a->out == NULL)
        return misused("issue needs --flock, --name and --out");
    if (a->n_rest > 0)
        return misused("do not know what to do with '%s'", a->rest[0]);
    int status = open_authority(a, &ca);
    if (status != DONE)
        return status;
    order.not_before = a->from;
    order.not_after = a->from + (a->life > 0 ? a->life : (int64_t)DAYS_DEFAULT * DAY_S);
    int r = sl_ca_issue(&ca, &order, &made);
    if (r == 0) {
        sl_ca_title(&made, title, sizeof title);
        r = sl_credentials_write(a->out, &made, title, false);
        sl_credentials_fini(&made);
    }
    sl_ca_fini(&ca);
    if (r < 0)
        return failed(r);
    sl_time_text(order.not_after, when);
    (void)printf("%s: node %s of flock %s, valid until %s\n", a->out, order.name, order.flock,
                 when);
    return DONE;
}

/* ---- rotate ----------------------------------------------------------------------------- */

static void explain(bool door, enum sl_ca_step step, const char *moved)
{
    const char *what = door ? "door" : "authority";
    switch (step) {
    case SL_CA_ADD:
        (void)printf(
            "added %s %s: it is trusted, and not used yet.\n"
            "Next: starling ca rotate FILE... for the credentials of every node, bring every node "
            "its new file\n(one that runs takes it by itself), and only then starling ca rotate%s "
            "--swap.\n",
            what, moved, door ? " --door" : "");
        return;
    case SL_CA_SWAP:
        (void)printf(
            "%s %s %s from now on; the one before stays trusted.\n"
            "Next: starling ca rotate FILE... for the credentials of every node, bring every node "
            "its new file\n(one that runs takes it by itself), and only then starling ca rotate%s "
            "--retire.\n",
            what, moved, door ? "is listened on" : "signs", door ? " --door" : "");
        return;
    case SL_CA_RETIRE:
        (void)printf(
            "removed %s %s: whoever gets a new file does not trust it any more.\n"
            "Next: starling ca rotate FILE... for the credentials of every node, and bring every "
            "node its new file.\n",
            what, moved);
        return;
    }
}

/* The fingerprints in the order they have now. */
static void tell_bundle(const struct sl_ca *ca)
{
    char fingerprint[SL_FINGERPRINT_TEXT];
    for (size_t i = 0; i < ca->bundle.n_authorities; i++) {
        sl_authority_fingerprint(ca->bundle.authority[i], fingerprint);
        (void)printf("authority  %s%s\n", fingerprint, i == 0 ? "  signs" : "");
    }
    for (size_t i = 0; i < ca->bundle.n_doors; i++) {
        sl_door_fingerprint(ca->bundle.door[i], fingerprint);
        (void)printf("door       %s%s\n", fingerprint, i == 0 ? "  listened on" : "");
    }
}

static int renew(const struct asked *a, const struct sl_ca *ca, const char *path)
{
    struct sl_credentials credentials;
    struct sl_ca_shown shown;
    char title[160], when[SL_TIME_TEXT];
    int r = sl_credentials_read(path, &credentials);
    if (r < 0)
        return failed(r);
    r = sl_ca_renew(ca, a->now, a->life, &credentials);
    if (r < 0) {
        complain("%s: %s", path, sl_fail_text());
        sl_credentials_fini(&credentials);
        return NO;
    }
    sl_ca_title(&credentials, title, sizeof title);
    r = sl_credentials_write(path, &credentials, title, true);
    sl_credentials_fini(&credentials);
    if (r == 0)
        r = sl_ca_look(path, &shown); /* what is told is what is there */
    if (r < 0)
        return failed(r);
    sl_time_text(shown.cert.not_after, when);
    (void)printf("%s: node %s, valid until %s\n", path, shown.cert.name, when);
    sl_ca_shown_fini(&shown);
    return DONE;
}

/* Another key for one tenant. */
static int rotate_tenant(const struct asked *a, const struct sl_ca *ca)
{
    struct sl_tenant_epoch now;
    char when[SL_TIME_TEXT];
    const char *tenant = a->order.tenants[0];
    int r = sl_ca_rotate_tenant(ca, a->order.flock, tenant, a->now,
                                a->after < 0 ? AFTER_DEFAULT : a->after, &now);
    if (r < 0)
        return failed(r);
    sl_time_text(now.use_after, when);
    (void)printf(
        "tenant %s of flock %s: key %lu, used from %s on; the one before stays readable.\n"
        "Next: starling ca rotate FILE... for the credentials of every node that has this tenant, "
        "and start every such node with its new file%s.\n",
        tenant, a->order.flock, (unsigned long)now.epoch, when,
        now.use_after > a->now ? " before then" : " now: until then it reads nothing new");
    return DONE;
}

static int rotate(const struct asked *a)
{
    struct sl_ca ca;
    char moved[SL_FINGERPRINT_TEXT];
    const int n_steps = a->add + a->swap + a->retire;
    const bool tenant = a->order.n_tenants > 0;
    if (tenant && (a->door || n_steps > 0))
        return misused(
            "--tenant is a rotation of its own: without --door, --add, --swap, --retire");
    if (tenant && (a->order.n_tenants > 1 || a->order.flock == NULL))
        return misused("rotate takes one --tenant, and the --flock it is of");
    if (!tenant && a->after >= 0)
        return misused("--after goes with --tenant");
    if (n_steps > 1)
        return misused(
            "--add, --swap and --retire are three steps: one at a time, each for all nodes");
    if (a->door && n_steps == 0 && a->n_rest > 0)
        return misused("--door goes with --add, --swap or --retire");
    int status = open_authority(a, &ca);
    if (status != DONE)
        return status;
    if (tenant) {
        status = rotate_tenant(a, &ca);
        if (status != DONE) {
            sl_ca_fini(&ca);
            return status;
        }
    } else if (n_steps == 1 || a->n_rest == 0) {
        enum sl_ca_step step = a->swap ? SL_CA_SWAP : a->retire ? SL_CA_RETIRE : SL_CA_ADD;
        int r = sl_ca_rotate(&ca, a->door, step, moved);
        if (r < 0) {
            sl_ca_fini(&ca);
            return failed(r);
        }
        explain(a->door, step, moved);
        tell_bundle(&ca);
    }
    for (int i = 0; i < a->n_rest; i++) {
        if (renew(a, &ca, a->rest[i]) != DONE)
            status = NO;
    }
    sl_ca_fini(&ca);
    return status;
}

/* ---- revoke ----------------------------------------------------------------------------- */

static int reason_of(const char *word)
{
    static const char *const words[] = {[SL_REVOKED_UNSAID] = "",
                                        [SL_REVOKED_KEY_LOST] = "key-lost",
                                        [SL_REVOKED_REPLACED] = "replaced",
                                        [SL_REVOKED_GONE] = "gone"};
    for (size_t i = 0; i < SL_COUNT(words); i++)
        if (strcmp(words[i], word) == 0)
            return (int)i;
    return -1;
}

/* By what is in a credentials file. */
static int from_file(const struct asked *a, struct sl_revocation *what)
{
    struct sl_ca_shown shown;
    int r = sl_ca_look(a->file, &shown);
    if (r < 0)
        return failed(r);
    if (shown.kind != SL_CA_CREDENTIALS) {
        complain("%s has no certificate", a->file);
        sl_ca_shown_fini(&shown);
        return NO;
    }
    memcpy(what->flock, shown.cert.flock, sizeof what->flock);
    memcpy(what->serial, shown.cert.serial, sizeof what->serial);
    what->id = shown.cert.id;
    if (shown.cert.not_after > what->until - DAY_S) /* PROTOCOL.md: a day beyond its end at least */
        what->until =
            shown.cert.not_after > INT64_MAX - DAY_S ? INT64_MAX : shown.cert.not_after + DAY_S;
    sl_ca_shown_fini(&shown);
    return DONE;
}

static int from_words(const struct asked *a, const struct sl_ca *ca, struct sl_revocation *what)
{
    struct sl_signer signer = ca->signer;
    const struct sl_crypto crypto = sl_crypto_port(&signer);
    if (a->order.flock == NULL || a->id == NULL)
        return misused("revoke needs --file, or --flock and --id");
    if (!sl_unhex(what->id.b, sizeof what->id.b, a->id, strlen(a->id)))
        return misused("--id is 32 digits, as starling ca show prints them");
    if (a->serial != NULL &&
        !sl_unhex(what->serial, sizeof what->serial, a->serial, strlen(a->serial)))
        return misused("--serial is 32 digits, as starling ca show prints them");
    sl_flock_id(&crypto, a->order.flock, what->flock);
    sl_signer_fini(&signer);
    return DONE;
}

static int revoke(const struct asked *a)
{
    struct sl_ca ca;
    /* Without its certificate nobody knows when it ends: as long as one can be made for. */
    struct sl_revocation what = {.at = a->now, .until = a->now + (int64_t)DAYS_MAX * DAY_S};
    int reason = a->reason != NULL ? reason_of(a->reason) : SL_REVOKED_UNSAID;
    if (reason < 0)
        return misused("--reason is key-lost, replaced or gone, not '%s'", a->reason);
    if (a->n_rest > 0)
        return misused("do not know what to do with '%s'", a->rest[0]);
    what.reason = (uint8_t)reason;
    int status = open_authority(a, &ca);
    if (status != DONE)
        return status;
    if (a->file != NULL) {
        what.until = 0;
        status = from_file(a, &what);
    } else {
        status = from_words(a, &ca, &what);
    }
    int r = status == DONE ? sl_ca_revoke(&ca, &what) : 0;
    if (r < 0)
        status = failed(r);
    if (status == DONE)
        (void)printf("%s.revoked: one more.\n"
                     "Next: copy it to one node that runs, beside its credentials as "
                     "CREDENTIALS.revoked, with mode 0600; the flock knows within seconds.\n",
                     ca.path);
    sl_ca_fini(&ca);
    return status;
}

/* ---- options ---------------------------------------------------------------------------- */

static int show(const struct asked *a)
{
    char path[PATH_MAX];
    if (a->n_rest > 1)
        return misused("do not know what to do with '%s'", a->rest[1]);
    if (a->n_rest == 1)
        return ca_show(a->rest[0], a->json);
    int r = place_of(a, path);
    return r < 0 ? failed(r) : ca_show(path, a->json);
}

static int take_days(struct asked *a, const char *text)
{
    char *end;
    errno = 0;
    double days = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(days) || days * DAY_S < 1 ||
        days > DAYS_MAX)
        return misused("--days is a number up to %d, not '%s'", DAYS_MAX, text);
    a->life = (int64_t)(days * DAY_S);
    return DONE;
}

/* "24h", "30m", "7d", "90s"; a bare number is seconds. */
static int take_after(struct asked *a, const char *text)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, DAY_S};
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    const char *unit = *end == '\0' ? units : strchr(units, *end);
    if (errno != 0 || end == text || n < 0 || unit == NULL || (*end != '\0' && end[1] != '\0') ||
        n > (int64_t)DAYS_MAX * DAY_S / seconds[unit - units])
        return misused("--after is a time like 0, 30m, 24h or 7d, not '%s'", text);
    a->after = n * seconds[unit - units];
    return DONE;
}

static int take_time(struct asked *a, const char *text)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"};
    for (size_t i = 0; i < SL_COUNT(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end == NULL || *end != '\0')
            continue;
        a->from = (int64_t)timegm(&tm);
        if (a->from >= 0)
            return DONE;
    }
    return misused("--from is a time like 2026-01-31 or 2026-01-31T12:00:00Z, not '%s'", text);
}

enum {
    AUTHORITY = 256,
    CONFIG_DIR,
    OUT,
    FLOCK,
    NAME,
    TENANT,
    SERVICE,
    DAYS,
    FROM,
    AFTER,
    KEY,
    DOOR,
    ADD,
    SWAP,
    RETIRE,
    FILE_OPTION,
    ID,
    SERIAL,
    REASON,
    JSON
};

static int take_list(const char **list, size_t *n, size_t most, const char *value, const char *what)
{
    if (*n == most)
        return misused("a certificate lists up to %zu %s", most, what);
    list[(*n)++] = value;
    return DONE;
}

static int take(struct asked *a, int option, const char *value)
{
    const char **const texts[] = {[AUTHORITY - 256] = &a->authority,
                                  [CONFIG_DIR - 256] = &a->config_dir,
                                  [OUT - 256] = &a->out,
                                  [FLOCK - 256] = &a->order.flock,
                                  [NAME - 256] = &a->order.name,
                                  [KEY - 256] = &a->order.key_file,
                                  [FILE_OPTION - 256] = &a->file,
                                  [ID - 256] = &a->id,
                                  [SERIAL - 256] = &a->serial,
                                  [REASON - 256] = &a->reason};
    bool *const flags[] = {[DOOR - DOOR] = &a->door,
                           [ADD - DOOR] = &a->add,
                           [SWAP - DOOR] = &a->swap,
                           [RETIRE - DOOR] = &a->retire};
    struct sl_ca_order *o = &a->order;
    if (option == TENANT)
        return take_list(o->tenants, &o->n_tenants, SL_CERT_TENANTS_MAX, value, "tenants");
    if (option == SERVICE)
        return take_list(o->patterns, &o->n_patterns, SL_CERT_PATTERNS_MAX, value, "patterns");
    if (option == DAYS)
        return take_days(a, value);
    if (option == FROM)
        return take_time(a, value);
    if (option == AFTER)
        return take_after(a, value);
    if (option == JSON)
        a->json = true;
    else if (option >= DOOR && option <= RETIRE)
        *flags[option - DOOR] = true;
    else
        *texts[option - 256] = value;
    return DONE;
}

static const struct option longs[] = {{"authority", required_argument, NULL, AUTHORITY},
                                      {"config-dir", required_argument, NULL, CONFIG_DIR},
                                      {"out", required_argument, NULL, OUT},
                                      {"flock", required_argument, NULL, FLOCK},
                                      {"name", required_argument, NULL, NAME},
                                      {"tenant", required_argument, NULL, TENANT},
                                      {"service", required_argument, NULL, SERVICE},
                                      {"days", required_argument, NULL, DAYS},
                                      {"from", required_argument, NULL, FROM},
                                      {"after", required_argument, NULL, AFTER},
                                      {"key", required_argument, NULL, KEY},
                                      {"door", no_argument, NULL, DOOR},
                                      {"add", no_argument, NULL, ADD},
                                      {"swap", no_argument, NULL, SWAP},
                                      {"retire", no_argument, NULL, RETIRE},
                                      {"file", required_argument, NULL, FILE_OPTION},
                                      {"id", required_argument, NULL, ID},
                                      {"serial", required_argument, NULL, SERIAL},
                                      {"reason", required_argument, NULL, REASON},
                                      {"json", no_argument, NULL, JSON},
                                      {"help", no_argument, NULL, 'h'},
                                      {0}};

static const struct command {
    const char *name;
    int (*run)(const struct asked *a);
} commands[] = {
    {"init", init}, {"issue", issue}, {"show", show}, {"rotate", rotate}, {"revoke", revoke}};

int ca_main(int argc, char **argv)
{
    struct asked a = {.now = (int64_t)time(NULL), .after = -1};
    int c;
    program = "starling ca";
    a.from = a.now;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (c == 'h') {
            (void)fputs(usage, stdout);
            return DONE;
        }
        if (c == ':')
            return misused("%s needs a value", argv[optind - 1]);
        if (c == '?')
            return misused("unknown option %s", argv[optind - 1]);
        int status = take(&a, c, optarg);
        if (status != DONE)
            return status;
    }
    if (optind == argc)
        return misused("ca needs one of init, issue, show, rotate, revoke");
    a.rest = argv + optind + 1;
    a.n_rest = argc - optind - 1;
    for (size_t i = 0; i < SL_COUNT(commands); i++) {
        if (strcmp(commands[i].name, argv[optind]) != 0)
            continue;
        int status = commands[i].run(&a);
        if (fflush(stdout) != 0 && status == DONE && errno != EPIPE) {
            complain("cannot write the answer: %s", strerror(errno));
            return NO;
        }
        return status;
    }
    return misused("'%s' is not a command", argv[optind]);
}
