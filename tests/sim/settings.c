/* settings.c: one table says name, kind, place, default and meaning of each setting. */
#include "tests/sim/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { TIME, RANGE, RATE, COUNT, COUNT64, YESNO, START };

#define AT(field) offsetof(struct sim_settings, field)

static const struct setting {
    const char *name;
    enum kind kind;
    size_t at;
    const char *value, *meaning;
} settings[] = {
    {"delay", RANGE, AT(delay_min), "500us..1500us", "one-way delay of a message"},
    {"loss", RATE, AT(loss), "0", "packet loss everywhere; becomes TCP's waits for a resend"},
    {"stall_rate", RATE, AT(stall_rate), "0", "messages that find their direction stalled"},
    {"stall", TIME, AT(stall), "1s", "how long such a stall lasts"},
    {"bandwidth", COUNT64, AT(bandwidth), "0", "bytes/s of a direction; 0 = unlimited"},
    {"hwm", COUNT, AT(hwm), "200", "messages on their way in one direction; more are dropped"},
    {"dial_timeout", TIME, AT(dial_timeout), "3s", "a dial that is not answered ends"},
    {"cost", TIME, AT(cost), "0", "CPU time of one input"},
    {"link_cost", TIME, AT(link_cost), "0", "besides, of a handshake at each end"},
    {"end_cost", TIME, AT(end_cost), "0", "besides, of a connection's end or of a failed dial"},
    {"processors", COUNT, AT(processors), "0", "of a host, for all its nodes; 0 = one for each"},
    {"per_host", COUNT, AT(per_host), "1", "nodes on one host"},
    {"zones", COUNT, AT(zones), "0", "zones, nodes spread evenly; 0 = none"},
    {"seeds", COUNT, AT(seeds), "3", "the first so many nodes are everybody's seeds"},
    {"services", COUNT, AT(services), "1", "services of each node"},
    {"stores", COUNT, AT(stores), "2", "nodes that keep a registry of services"},
    {"known", COUNT, AT(known), "16", "peers that a node remembers over a restart"},
    {"lasting", YESNO, AT(lasting), "yes", "identities are kept on disk"},
    {"reissue", YESNO, AT(reissue), "yes", "who gives way to a copy of itself takes another key"},
    {"later", RATE, AT(later), "0", "nodes that also publish facts of a kind of a later version"},
    {"start", START, AT(start), "all", "or staggered, or warm: as --start"},
    {"stand", TIME, AT(stand), "5s", "a warm start takes at least so long, to connect"},
    {"spread", TIME, AT(spread), "1s", "all nodes start within this time"},
    {"settle", YESNO, AT(settle), "yes", "wait for the flock to stand before time 0"},
    {"settle_max", TIME, AT(settle_max), "300s", "and at most so long"},
    {"grace", TIME, AT(grace), "3s", "healthy for so long before holding it down is wrong"},
    {"quiet", TIME, AT(quiet), "60s", "after so long without a change all must agree"},
    {"quiet_cut", TIME, AT(quiet_cut), "180s", "likewise while something is cut"},
    {"loss_fine", RATE, AT(loss_fine), "5%", "loss up to which a pair counts as healthy"},
    {"paths_fine", RATE, AT(paths_fine), "50%", "fine paths, fewer of which may fell a node"},
    {"poll", TIME, AT(poll), "10ms", "how often agreement is looked for"},
    {"pairs_max", COUNT, AT(pairs_max), "256", "nodes whose view of all versions is watched"},
    {"core_bytes", COUNT, AT(core_bytes), "131072", "memory that a node may take for itself"},
    {"member_bytes", COUNT, AT(member_bytes), "4096", "and for each member"},
    {"link_bytes", COUNT, AT(link_bytes), "131072",
     "and for each connection: what its budget lets out at once"},
    {"strict", YESNO, AT(strict), "no", "holding a healthy node down is a violation at once"},
};

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A decimal number with at most six places, in millionths; *text moves behind it. */
static bool parse_decimal(const char **text, uint64_t *ret)
{
    const char *p = *text;
    if (!digit(*p))
        return false;
    uint64_t v = 0;
    for (; digit(*p); p++) {
        if (v > 1000000000000)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    v *= 1000000;
    if (*p == '.') {
        uint64_t place = 100000;
        for (p++; digit(*p); p++, place /= 10)
            v += place * (uint64_t)(*p - '0');
    }
    *text = p;
    *ret = v;
    return true;
}

bool sim_parse_time(const char *text, sl_usec *ret)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = {{"us", 1},       {"ms", 1000},      {"s", 1000000},
                 {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000}};
    uint64_t v;
    if (!parse_decimal(&text, &v))
        return false;
    if (v == 0 && *text == '\0') {
        *ret = 0;
        return true;
    }
    for (size_t i = 0; i < SL_COUNT(units); i++) {
        if (strcmp(text, units[i].name) != 0)
            continue;
        if (v / 1000000 > (uint64_t)SL_SEC(100000000) / units[i].us)
            return false;
        *ret = (sl_usec)(v / 1000000 * units[i].us + v % 1000000 * units[i].us / 1000000);
        return true;
    }
    return false;
}

bool sim_parse_rate(const char *text, uint32_t *ret)
{
    uint64_t v;
    if (!parse_decimal(&text, &v))
        return false;
    if (strcmp(text, "%") == 0)
        v /= 100;
    else if (*text != '\0')
        return false;
    if (v > 1000000)
        return false;
    *ret = (uint32_t)v;
    return true;
}

bool sim_parse_range(const char *text, sl_usec *ret_low, sl_usec *ret_high)
{
    char low[32];
    const char *dots = strstr(text, "..");
    if (dots == NULL) {
        if (!sim_parse_time(text, ret_low))
            return false;
        *ret_high = *ret_low;
        return true;
    }
    size_t n = (size_t)(dots - text);
    if (n >= sizeof low)
        return false;
    memcpy(low, text, n);
    low[n] = '\0';
    return sim_parse_time(low, ret_low) && sim_parse_time(dots + 2, ret_high) &&
           *ret_low <= *ret_high;
}

bool sim_parse_count(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t v;
    if (strchr(text, '.') != NULL || !parse_decimal(&text, &v) || *text != '\0' ||
        v / 1000000 > max)
        return false;
    *ret = v / 1000000;
    return true;
}

bool sim_parse_seed(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 0);
    return digit(*text) && *end == '\0' && errno == 0;
}

static bool parse_start(const char *text, uint32_t *ret)
{
    static const char *const ways[] = {"all", "staggered", "warm"};
    for (uint32_t i = 0; i < SL_COUNT(ways); i++) {
        if (strcmp(text, ways[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool assign(struct sim_settings *s, const struct setting *which, const char *value)
{
    char *at = (char *)s + which->at;
    uint64_t v;
    switch (which->kind) {
    case TIME:
        return sim_parse_time(value, (sl_usec *)(void *)at);
    case RANGE: /* two fields, one behind the other */
        return sim_parse_range(value, (sl_usec *)(void *)at, (sl_usec *)(void *)at + 1);
    case RATE:
        return sim_parse_rate(value, (uint32_t *)(void *)at);
    case COUNT:
        if (!sim_parse_count(value, UINT32_MAX, &v))
            return false;
        *(uint32_t *)(void *)at = (uint32_t)v;
        return true;
    case COUNT64:
        if (!sim_parse_count(value, UINT32_MAX, &v))
            return false;
        *(uint64_t *)(void *)at = v;
        return true;
    case START:
        return parse_start(value, (uint32_t *)(void *)at);
    case YESNO:
        *(bool *)at = strcmp(value, "yes") == 0;
        return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
    }
    return false;
}

bool sim_settings_set(struct sim_settings *s, const char *name, const char *value, char *error,
                      size_t cap)
{
    for (size_t i = 0; i < SL_COUNT(settings); i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        if (assign(s, &settings[i], value) && s->per_host > 0 && s->hwm > 0 && s->poll > 0)
            return true;
        snprintf(error, cap, "'%s' is no value for %s (for example %s: %s)", value, name,
                 settings[i].value, settings[i].meaning);
        return false;
    }
    snprintf(error, cap, "there is no setting '%s'; --help lists them", name);
    return false;
}

void sim_settings_init(struct sim_settings *s)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < SL_COUNT(settings); i++)
        (void)assign(s, &settings[i], settings[i].value);
}

void sim_settings_help(void (*line)(const char *name, const char *value, const char *meaning))
{
    for (size_t i = 0; i < SL_COUNT(settings); i++)
        line(settings[i].name, settings[i].value, settings[i].meaning);
}
