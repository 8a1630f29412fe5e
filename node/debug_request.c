/* debug_request.c: words or JSON to one struct.
 * Both spellings go through one table of arguments, so that they cannot come to mean different
 * things; what is not understood is refused by name, never guessed. */
#include "node/debug_request.h"

#include <jansson.h>
#include <starling.h>
#include <stdio.h>

#include "base/bytes.h"

enum arg {
    ARG_NONE,
    ARG_NODE,
    ARG_SERVICE,
    ARG_TENANT,
    ARG_WEIGHT,
    ARG_SINCE,
    ARG_STRATEGY,
    ARG_KEY
};

static const char *const arg_names[] = {
    [ARG_NONE] = "",
    [ARG_NODE] = "node",
    [ARG_SERVICE] = "service",
    [ARG_TENANT] = "tenant",
    [ARG_WEIGHT] = "weight",
    [ARG_SINCE] = "since",
    [ARG_STRATEGY] = "strategy",
    [ARG_KEY] = "key",
};

/* By enum starling_strategy. */
enum { RENDEZVOUS = 4 };
static const char *const strategies[] = {
    "p2c_ewma",   "round_robin",   "weighted_random", "least_connections",
    "rendezvous", "healthy_first", "local_first",
};

/* Arguments in the order of the words; the first n_needed must be there. */
static const struct command {
    const char *name;
    enum arg args[4];
    unsigned n_needed;
} commands[] = {
    [SL_ASK_HELP] = {"help", {0}, 0},
    [SL_ASK_VERSION] = {"version", {0}, 0},
    [SL_ASK_MEMBERS] = {"members", {0}, 0},
    [SL_ASK_SERVICES] = {"services", {ARG_TENANT}, 0},
    [SL_ASK_INFO] = {"info", {ARG_NODE, ARG_TENANT}, 0},
    [SL_ASK_WATCH] = {"watch", {ARG_SINCE, ARG_SERVICE, ARG_TENANT}, 0},
    [SL_ASK_PICK] = {"pick", {ARG_SERVICE, ARG_TENANT, ARG_STRATEGY, ARG_KEY}, 1},
    [SL_ASK_WEIGHT] = {"weight", {ARG_SERVICE, ARG_WEIGHT, ARG_TENANT}, 2},
    [SL_ASK_DRAIN] = {"drain", {0}, 0},
    [SL_ASK_LEAVE] = {"leave", {0}, 0},
};

/* Room for what a person may have typed, in a message of ours. */
#define SHOWN 40

static int refuse(char *error, const char *before, const char *what, size_t len, const char *after)
{
    (void)snprintf(error, SL_REQUEST_ERROR_MAX, "%s'%.*s'%s", before,
                   (int)(len < SHOWN ? len : SHOWN), what, after);
    return STARLING_EINVAL;
}

static int find_command(const char *name, size_t len, struct sl_request *r, char *error)
{
    for (size_t i = 0; i < SL_COUNT(commands); i++) {
        if (strlen(commands[i].name) == len && memcmp(commands[i].name, name, len) == 0) {
            r->cmd = (enum sl_request_cmd)i;
            return 0;
        }
    }
    return refuse(error, "", name, len, " is not a command; try 'help'");
}

static int take_name(char out[64], enum arg arg, const char *text, size_t len, char *error)
{
    if (!sl_name_ok(text, len)) {
        (void)snprintf(error, SL_REQUEST_ERROR_MAX, "%s must be 1 to 63 of a-z 0-9 . _ -",
                       arg_names[arg]);
        return STARLING_EINVAL;
    }
    sl_copy_text(out, 64, text, len);
    return 0;
}

static int take_strategy(struct sl_request *r, const char *text, size_t len, char *error)
{
    for (unsigned i = 0; i < SL_COUNT(strategies); i++) {
        if (strlen(strategies[i]) == len && memcmp(strategies[i], text, len) == 0) {
            r->strategy = i;
            return 0;
        }
    }
    return refuse(error, "strategy ", text, len,
                  " is none of round_robin weighted_random least_connections p2c_ewma rendezvous "
                  "healthy_first local_first");
}

static int take_key(struct sl_request *r, const char *text, size_t len, char *error)
{
    if (len == 0 || len > SL_REQUEST_KEY_MAX) {
        (void)snprintf(error, SL_REQUEST_ERROR_MAX, "key must be 1 to %d bytes",
                       SL_REQUEST_KEY_MAX);
        return STARLING_EINVAL;
    }
    sl_copy_text(r->key, sizeof r->key, text, len);
    r->key_len = len;
    return 0;
}

/* What one argument alone does not show. */
static int check_pick(const struct sl_request *r, char *error)
{
    if (r->cmd != SL_ASK_PICK || (r->strategy == RENDEZVOUS) == (r->key_len > 0))
        return 0;
    (void)snprintf(error, SL_REQUEST_ERROR_MAX,
                   r->key_len > 0 ? "a key is for the strategy rendezvous, not for %s"
                                  : "the strategy %s needs a key",
                   strategies[r->strategy]);
    return STARLING_EINVAL;
}

static int take_text(struct sl_request *r, enum arg arg, const char *text, size_t len, char *error)
{
    switch (arg) {
    case ARG_NODE:
        return take_name(r->node, arg, text, len, error);
    case ARG_SERVICE:
        return take_name(r->service, arg, text, len, error);
    case ARG_TENANT:
        return take_name(r->tenant, arg, text, len, error);
    case ARG_STRATEGY:
        return take_strategy(r, text, len, error);
    case ARG_KEY:
        return take_key(r, text, len, error);
    case ARG_WEIGHT:
        r->base = len == 4 && memcmp(text, "base", 4) == 0;
        if (r->base)
            return 0;
        (void)snprintf(error, SL_REQUEST_ERROR_MAX, "weight must be a number, or base");
        return STARLING_EINVAL;
    case ARG_NONE:
    case ARG_SINCE:
        break;
    }
    (void)snprintf(error, SL_REQUEST_ERROR_MAX, "%s must be a number", arg_names[arg]);
    return STARLING_EINVAL;
}

static int take_number(struct sl_request *r, enum arg arg, uint64_t v, char *error)
{
    switch (arg) {
    case ARG_WEIGHT:
        if (v > STARLING_WEIGHT_MAX)
            break;
        r->weight = (unsigned)v;
        return 0;
    case ARG_SINCE:
        r->has_since = true;
        r->since = v;
        return 0;
    case ARG_NONE:
    case ARG_NODE:
    case ARG_SERVICE:
    case ARG_TENANT:
    case ARG_STRATEGY:
    case ARG_KEY:
        (void)snprintf(error, SL_REQUEST_ERROR_MAX, "%s must be text", arg_names[arg]);
        return STARLING_EINVAL;
    }
    (void)snprintf(error, SL_REQUEST_ERROR_MAX, "weight is 0 to %d", STARLING_WEIGHT_MAX);
    return STARLING_EINVAL;
}

static bool parse_number(const char *text, size_t len, uint64_t *ret)
{
    uint64_t v = 0;
    if (len == 0 || len > 18) /* always fits */
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    *ret = v;
    return true;
}

static bool is_number(enum arg arg)
{
    return arg == ARG_WEIGHT || arg == ARG_SINCE;
}

static int missing(const struct command *c, unsigned i, char *error)
{
    (void)snprintf(error, SL_REQUEST_ERROR_MAX, "%s needs a %s", c->name, arg_names[c->args[i]]);
    return STARLING_EINVAL;
}

/* ---- words ------------------------------------------------------------------------------ */

static bool next_word(const char **p, const char *end, const char **ret_word, size_t *ret_len)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        (*p)++;
    *ret_word = *p;
    while (*p < end && **p != ' ' && **p != '\t')
        (*p)++;
    *ret_len = (size_t)(*p - *ret_word);
    return *ret_len > 0;
}

static int parse_words(const char *p, const char *end, struct sl_request *r, char *error)
{
    const char *word;
    size_t len;
    if (!next_word(&p, end, &word, &len)) {
        (void)snprintf(error, SL_REQUEST_ERROR_MAX, "an empty line; try 'help'");
        return STARLING_EINVAL;
    }
    int e = find_command(word, len, r, error);
    if (e < 0)
        return e;
    const struct command *c = &commands[r->cmd];
    unsigned n = 0;
    while (next_word(&p, end, &word, &len)) {
        if (n == SL_COUNT(c->args) || c->args[n] == ARG_NONE)
            return refuse(error, "do not know what to do with ", word, len, "");
        enum arg arg = c->args[n++];
        uint64_t v;
        if (is_number(arg) && parse_number(word, len, &v))
            e = take_number(r, arg, v, error);
        else
            e = take_text(r, arg, word, len, error);
        if (e < 0)
            return e;
    }
    return n < c->n_needed ? missing(c, n, error) : 0;
}

/* ---- JSON ------------------------------------------------------------------------------- */

static int take_member(const struct command *c, struct sl_request *r, const char *key,
                       const json_t *value, unsigned *seen, char *error)
{
    for (unsigned i = 0; i < SL_COUNT(c->args) && c->args[i] != ARG_NONE; i++) {
        enum arg arg = c->args[i];
        if (strcmp(arg_names[arg], key) != 0)
            continue;
        *seen |= 1u << i;
        if (json_is_string(value))
            return take_text(r, arg, json_string_value(value), json_string_length(value), error);
        if (json_is_integer(value) && json_integer_value(value) >= 0)
            return take_number(r, arg, (uint64_t)json_integer_value(value), error);
        return refuse(error, "", key, strlen(key),
                      is_number(arg) ? " must be a number" : " must be text");
    }
    return refuse(error, "", key, strlen(key), " is not an argument of this command");
}

static int parse_object(json_t *object, struct sl_request *r, char *error)
{
    const json_t *cmd = json_object_get(object, "cmd");
    if (!json_is_string(cmd)) {
        (void)snprintf(error, SL_REQUEST_ERROR_MAX, "expected {\"cmd\":\"...\"}");
        return STARLING_EINVAL;
    }
    int e = find_command(json_string_value(cmd), json_string_length(cmd), r, error);
    if (e < 0)
        return e;
    const struct command *c = &commands[r->cmd];
    unsigned seen = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "cmd") == 0 || json_is_null(value))
            continue;
        e = take_member(c, r, key, value, &seen, error);
        if (e < 0)
            return e;
    }
    for (unsigned i = 0; i < c->n_needed; i++)
        if ((seen & 1u << i) == 0)
            return missing(c, i, error);
    return 0;
}

int sl_request_parse(const char *line, size_t len, struct sl_request *ret,
                     char error[SL_REQUEST_ERROR_MAX])
{
    struct sl_request r = {.tenant = "default", .strategy = STARLING_WEIGHTED_RANDOM};
    const char *p = line, *end = line + len;
    while (end > p && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    int e;
    if (p < end && *p == '{') {
        json_error_t where;
        json_t *object = json_loadb(p, (size_t)(end - p), JSON_REJECT_DUPLICATES, &where);
        if (object == NULL) {
            (void)snprintf(error, SL_REQUEST_ERROR_MAX, "not JSON, at byte %d: %.100s",
                           where.position, where.text);
            return STARLING_EINVAL;
        }
        e = parse_object(object, &r, error);
        json_decref(object);
    } else {
        e = parse_words(p, end, &r, error);
    }
    if (e == 0)
        e = check_pick(&r, error);
    if (e == 0)
        *ret = r;
    return e;
}
