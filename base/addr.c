/* addr.c: text and numeric addresses.
 * Only numbers are understood here; a name is split from its port and left for node/ to resolve. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <starling.h>
#include <stdio.h>

#include "base/bytes.h"

#define HOST_NAME_LEN_MAX 253 /* bytes of a domain name in text (RFC 1035, 2.3.4) */

/* Decimal digits only, 0-65535. */
static bool parse_port(const char *text, size_t len, uint16_t *ret_port)
{
    if (len < 1 || len > 5)
        return false;
    unsigned v = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    if (v > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)v;
    return true;
}

/* inet_pton() over text without a NUL of its own. */
static bool parse_ip(int family, const char *text, size_t len, void *ret_ip)
{
    char copy[INET6_ADDRSTRLEN];
    if (len >= sizeof copy || memchr(text, '\0', len))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(family, copy, ret_ip) == 1;
}

static bool is_ipv6(const char *text, size_t len)
{
    uint8_t ip[16];
    return parse_ip(AF_INET6, text, len, ip);
}

/* A name or an IPv4 address, by its characters; '_' occurs in names of containers. */
static bool is_host(const char *text, size_t len)
{
    if (len < 1 || len > HOST_NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_';
        if (!ok)
            return false;
    }
    return true;
}

int sl_addr_split(const char *text, size_t len, uint16_t default_port, const char **host,
                  size_t *host_len, uint16_t *port)
{
    const char *end = text + len;
    const char *h = text;
    const char *h_end = end;
    const char *rest = end; /* "" or ":PORT" */
    const char *colon = len > 0 ? memchr(text, ':', len) : NULL;
    bool ok;

    if (len > 0 && text[0] == '[') {
        const char *bracket = memchr(text, ']', len);
        if (!bracket)
            return STARLING_EINVAL;
        h = text + 1;
        h_end = bracket;
        rest = bracket + 1;
        ok = is_ipv6(h, (size_t)(h_end - h));
    } else if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
        ok = is_ipv6(text, len); /* two colons: bare IPv6, which leaves no room for a port */
    } else {
        if (colon)
            h_end = rest = colon;
        ok = is_host(h, (size_t)(h_end - h));
    }
    uint16_t p = default_port;
    if (rest != end)
        ok = ok && *rest == ':' && parse_port(rest + 1, (size_t)(end - rest - 1), &p);
    if (!ok)
        return STARLING_EINVAL;
    *host = h;
    *host_len = (size_t)(h_end - h);
    *port = p;
    return 0;
}

int sl_addr_parse(struct sl_addr *ret_addr, const char *text, size_t len, uint16_t default_port)
{
    struct sl_addr a = {0};
    const char *host;
    size_t host_len;
    int r = sl_addr_split(text, len, default_port, &host, &host_len, &a.port);
    if (r < 0)
        return r;
    if (parse_ip(AF_INET6, host, host_len, a.ip))
        a.family = 6;
    else if (parse_ip(AF_INET, host, host_len, a.ip))
        a.family = 4;
    else
        return STARLING_EINVAL;
    *ret_addr = a;
    return 0;
}

void sl_addr_format_host(char out[SL_ADDR_TEXT], const struct sl_addr *a)
{
    int family = a->family == 6 ? AF_INET6 : AF_INET;
    if (a->family == 0 || !inet_ntop(family, a->ip, out, SL_ADDR_TEXT))
        memcpy(out, "-", 2);
}

void sl_addr_format(char out[SL_ADDR_TEXT], const struct sl_addr *a)
{
    char host[SL_ADDR_TEXT];
    sl_addr_format_host(host, a);
    /* An IPv6 address is at most 45 bytes, so this always fits. */
    int n = snprintf(out, SL_ADDR_TEXT, a->family == 6 ? "[%.45s]:%u" : "%.45s:%u", host, a->port);
    assert(n > 0 && n < SL_ADDR_TEXT);
    (void)n;
}

static size_t ip_len(const struct sl_addr *a)
{
    return a->family == 6 ? 16 : a->family == 4 ? 4 : 0;
}

bool sl_addr_eq(const struct sl_addr *a, const struct sl_addr *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, ip_len(a)) == 0;
}

/* The IPv4 address in `a`, also where it is mapped into IPv6 (::ffff:a.b.c.d), or NULL. */
static const uint8_t *ipv4_of(const struct sl_addr *a)
{
    static const uint8_t mapped[12] = {[10] = 255, [11] = 255};
    if (a->family == 4)
        return a->ip;
    return a->family == 6 && memcmp(a->ip, mapped, sizeof mapped) == 0 ? a->ip + 12 : NULL;
}

bool sl_addr_is_loopback(const struct sl_addr *a)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    const uint8_t *v4 = ipv4_of(a);
    if (v4)
        return v4[0] == 127;
    return a->family == 6 && memcmp(a->ip, loopback6, sizeof loopback6) == 0;
}

bool sl_addr_is_wildcard(const struct sl_addr *a)
{
    static const uint8_t zero[16];
    const uint8_t *v4 = ipv4_of(a);
    if (v4)
        return memcmp(v4, zero, 4) == 0;
    return a->family == 6 && memcmp(a->ip, zero, sizeof zero) == 0;
}

size_t sl_addr_write(const struct sl_addr *a, uint8_t out[SL_ADDR_BYTES])
{
    size_t ip_len = a->family == 6 ? 16 : 4;
    out[0] = a->family;
    memcpy(out + 1, a->ip, ip_len);
    sl_put16(out + 1 + ip_len, a->port);
    return 3 + ip_len;
}

bool sl_addr_read(struct sl_span s, struct sl_addr *ret)
{
    struct sl_addr a = {0};
    if (s.len < 1 || (s.p[0] != 4 && s.p[0] != 6))
        return false;
    size_t ip_len = s.p[0] == 6 ? 16 : 4;
    if (s.len != 3 + ip_len)
        return false;
    a.family = s.p[0];
    memcpy(a.ip, s.p + 1, ip_len);
    a.port = sl_get16(s.p + 1 + ip_len);
    if (a.port == 0)
        return false;
    *ret = a;
    return true;
}
