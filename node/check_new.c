/* check_new.c: a health check as an application describes it, looked at in the caller's thread. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

#define INTERVAL_DEFAULT_MS 2000
#define RENEWAL_DEFAULT_MS 10000
#define INTERVAL_MIN_MS 10
#define INTERVAL_MAX_MS 3600000
#define TIMEOUT_DEFAULT_MS 1000
#define TIMEOUT_MAX_MS 600000
#define COUNT_MAX 1000

static int read_rules(const starling_service *s, struct sl_check_rules *rules)
{
    bool ttl = s->check == STARLING_CHECK_TTL;
    unsigned interval = s->check_interval_ms, timeout = s->check_timeout_ms;
    if (interval == 0)
        interval = ttl ? RENEWAL_DEFAULT_MS : INTERVAL_DEFAULT_MS;
    if (timeout == 0)
        timeout = TIMEOUT_DEFAULT_MS;
    if (interval < INTERVAL_MIN_MS || interval > INTERVAL_MAX_MS)
        return sl_fail(STARLING_EINVAL, "check_interval_ms %u of service \"%s\" is not in %d-%d",
                       interval, s->name, INTERVAL_MIN_MS, INTERVAL_MAX_MS);
    if (timeout > TIMEOUT_MAX_MS)
        return sl_fail(STARLING_EINVAL, "check_timeout_ms %u of service \"%s\" is not in 1-%d",
                       timeout, s->name, TIMEOUT_MAX_MS);
    if (s->check_rise > COUNT_MAX || s->check_fall > COUNT_MAX)
        return sl_fail(STARLING_EINVAL,
                       "check_rise and check_fall of service \"%s\" are at most %d", s->name,
                       COUNT_MAX);
    *rules = (struct sl_check_rules){.interval = SL_MS(interval),
                                     .timeout = SL_MS(timeout),
                                     .rise = s->check_rise != 0 ? s->check_rise : 1,
                                     .fall = s->check_fall != 0 ? s->check_fall : 3,
                                     .ttl = ttl};
    return 0;
}

/* check_host, else the service's, else the node's. The service's own was looked at already. */
static int read_place(const starling_node *node, const starling_service *s, struct sl_addr *addr)
{
    const char *host = s->check_host != NULL ? s->check_host : "";
    const char *fallback = s->host != NULL ? s->host : "";
    if (s->check_port > UINT16_MAX)
        return sl_fail(STARLING_EINVAL, "check_port %u of service \"%s\" is not in 1-65535",
                       s->check_port, s->name);
    *addr = node->advertised;
    if (host[0] != '\0' && (sl_addr_parse(addr, host, strlen(host), 0) < 0 || addr->port != 0 ||
                            sl_addr_is_wildcard(addr)))
        return sl_fail(STARLING_EINVAL,
                       "check_host \"%.80s\" of service \"%s\" must be a numeric address without a "
                       "port",
                       host, s->name);
    if (host[0] == '\0' && fallback[0] != '\0' &&
        sl_addr_parse(addr, fallback, strlen(fallback), 0) < 0)
        return sl_fail(STARLING_EINVAL, "host \"%.80s\" must be a numeric address", fallback);
    addr->port = (uint16_t)(s->check_port != 0 ? s->check_port : s->port);
    return 0;
}

static int read_http(struct sl_checker *c, const starling_service *s)
{
    const char *path = s->check_path != NULL && s->check_path[0] != '\0' ? s->check_path : "/";
    c->http = calloc(1, sizeof *c->http);
    if (c->http == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for service \"%s\"", s->name);
    const char *fault = sl_http_init(c->http, path, s->check_status, s->check_body);
    return fault == NULL ? 0
                         : sl_fail(STARLING_EINVAL, "check of service \"%s\": %s", s->name, fault);
}

static int read_kind(starling_node *node, const starling_service *s, struct sl_checker *c)
{
    switch (s->check) {
    case STARLING_CHECK_NONE:
    case STARLING_CHECK_TTL:
        return 0;
    case STARLING_CHECK_TCP:
        return read_place(node, s, &c->addr);
    case STARLING_CHECK_HTTP: {
        int r = read_place(node, s, &c->addr);
        return r < 0 ? r : read_http(c, s);
    }
    case STARLING_CHECK_CALL:
        return s->check_call != NULL ? 0
                                     : sl_fail(STARLING_EINVAL,
                                               "check_call of service \"%s\" is "
                                               "NULL",
                                               s->name);
    }
    return sl_fail(STARLING_EINVAL, "check %d of service \"%s\" is none", (int)s->check, s->name);
}

int sl_checker_new(starling_node *node, const starling_service *s, struct sl_checker **ret)
{
    struct sl_check_rules rules;
    if (s->check == STARLING_CHECK_NONE) {
        *ret = NULL;
        return s->check_hold == 0 ? 0
                                  : sl_fail(STARLING_EINVAL,
                                            "check_hold of service \"%s\" needs a check: without "
                                            "one it would never be offered",
                                            s->name);
    }
    struct sl_checker *c = calloc(1, sizeof *c);
    if (c == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for service \"%s\"", s->name);
    c->fd = -1;
    c->kind = s->check;
    c->since = sl_now();
    sl_copy_text(c->service, sizeof c->service, s->name, strlen(s->name));
    sl_call_init(&c->call, node, s->check_call, s->check_context);
    int r = read_rules(s, &rules);
    if (r == 0)
        r = read_kind(node, s, c);
    if (r < 0) {
        sl_checker_free(c);
        return r;
    }
    sl_check_init(&c->state, &rules, s->health, s->check_hold != 0, c->since);
    *ret = c;
    return 0;
}
