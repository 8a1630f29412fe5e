/* settings_listen.c: where to listen, and what to tell others, when nobody said.
 * Which address leads to a seed is asked of the kernel: a UDP socket that is connected sends
 * nothing, but has chosen its source address. Never a wildcard by default. */
#include "node/settings.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Addresses for documentation (RFC 5737, RFC 3849): whatever leads there is the default route. */
#define BEYOND_IPV4 "192.0.2.1"
#define BEYOND_IPV6 "2001:db8::1"

static socklen_t to_sockaddr(const struct sl_addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
}

static bool from_sockaddr(const struct sockaddr *sa, struct sl_addr *ret)
{
    struct sl_addr a = {0};
    if (sa == NULL)
        return false;
    if (sa->sa_family == AF_INET) {
        a.family = 4;
        memcpy(a.ip, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        a.family = 6;
        memcpy(a.ip, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    } else {
        return false;
    }
    *ret = a;
    return true;
}

static bool same_ip(const struct sl_addr *a, const struct sl_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

static bool on_this_host(const struct sl_addr *a)
{
    struct ifaddrs *all;
    if (sl_addr_is_loopback(a))
        return true;
    if (getifaddrs(&all) < 0)
        return false;
    bool here = false;
    for (const struct ifaddrs *i = all; i != NULL && !here; i = i->ifa_next) {
        struct sl_addr own;
        here = from_sockaddr(i->ifa_addr, &own) && same_ip(&own, a);
    }
    freeifaddrs(all);
    return here;
}

/* The local address from which packets to `to` would leave. */
static bool route_to(const struct sl_addr *to, struct sl_addr *ret)
{
    struct sockaddr_storage sa;
    struct sl_addr target = *to, source;
    if (target.port == 0)
        target.port = 9; /* any but 0, which some systems refuse */
    socklen_t len = to_sockaddr(&target, &sa);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool found = connect(fd, (const struct sockaddr *)&sa, len) == 0;
    len = sizeof sa;
    found = found && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
            from_sockaddr((const struct sockaddr *)&sa, &source) && !sl_addr_is_wildcard(&source);
    (void)close(fd);
    if (found)
        *ret = source;
    return found;
}

static bool default_route(uint8_t family, struct sl_addr *ret)
{
    const char *text = family == 6 ? BEYOND_IPV6 : BEYOND_IPV4;
    struct sl_addr beyond;
    return sl_addr_parse(&beyond, text, strlen(text), 9) == 0 && route_to(&beyond, ret);
}

/* The address that leads to the first seed elsewhere; a seed known by name only may be anywhere but
 * here, so the default route stands for it. `family` 0 = either. */
static bool route_to_seeds(const struct sl_settings *s, uint8_t family, struct sl_addr *ret)
{
    char hostname[256] = "";
    if (gethostname(hostname, sizeof hostname - 1) < 0)
        hostname[0] = '\0';
    for (size_t i = 0; i < s->n_seeds; i++) {
        const struct sl_seed *seed = &s->seeds[i];
        struct sl_addr a;
        if (sl_addr_parse(&a, seed->host, strlen(seed->host), seed->port) == 0) {
            if ((family == 0 || family == a.family) && !on_this_host(&a) && route_to(&a, ret))
                return true;
        } else if (strcasecmp(seed->host, "localhost") != 0 &&
                   strcasecmp(seed->host, hostname) != 0) {
            if (family != 6 && default_route(4, ret))
                return true;
            if (family != 4 && default_route(6, ret))
                return true;
        }
    }
    return false;
}

void sl_settings_choose_listen(struct sl_settings *s)
{
    struct sl_addr found;
    if (s->listen.family == 0) {
        if (route_to_seeds(s, 0, &found)) {
            s->listen = found;
        } else {
            s->listen = (struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}};
        }
        s->listen.port = 0;
    }
    /* A wildcard cannot be told to anybody. */
    if (s->advertise.family == 0 && sl_addr_is_wildcard(&s->listen)) {
        uint8_t family = s->listen.family;
        if (route_to_seeds(s, family, &found) || default_route(family, &found)) {
            s->advertise = found;
        } else {
            s->advertise = (struct sl_addr){.family = 4, .ip = {127, 0, 0, 1}};
            if (family == 6)
                s->advertise = (struct sl_addr){.family = 6, .ip = {[15] = 1}};
        }
        s->advertise.port = s->listen.port;
    }
}
