/* addr.h: numeric addresses. Names never reach the rooms without I/O; node/ resolves them. */
#ifndef SL_BASE_ADDR_H
#define SL_BASE_ADDR_H

#include "base/types.h"

struct sl_addr {
    uint8_t family; /* 4, 6; 0 = none */
    uint8_t ip[16]; /* first 4 bytes for IPv4 */
    uint16_t port;
};

#define SL_ADDR_TEXT 72 /* "[ipv6]:port" with NUL */

/* "1.2.3.4:7700", "[::1]:7700", "1.2.3.4", "::1", "[::1]"; a missing port becomes default_port.
 * 0 or STARLING_EINVAL. */
int sl_addr_parse(struct sl_addr *ret_addr, const char *text, size_t len, uint16_t default_port)
    SL_MUST_USE;
void sl_addr_format(char out[SL_ADDR_TEXT], const struct sl_addr *a);
/* The host part alone, without brackets. */
void sl_addr_format_host(char out[SL_ADDR_TEXT], const struct sl_addr *a);
bool sl_addr_eq(const struct sl_addr *a, const struct sl_addr *b);
bool sl_addr_is_loopback(const struct sl_addr *a);
bool sl_addr_is_wildcard(const struct sl_addr *a);

/* Split "HOST[:PORT]" where HOST may be a name, an IPv4 address or a bracketed or bare IPv6
 * address. *host, *host_len borrow from text; *port is default_port where none is given. 0 or
 * EINVAL. */
int sl_addr_split(const char *text, size_t len, uint16_t default_port, const char **host,
                  size_t *host_len, uint16_t *port) SL_MUST_USE;

/* family 1 | ip 4 or 16 | port 2, as it travels. Length written; false when it is no address one could dial. */
#define SL_ADDR_BYTES 19
size_t sl_addr_write(const struct sl_addr *a, uint8_t out[SL_ADDR_BYTES]);
bool sl_addr_read(struct sl_span s, struct sl_addr *ret) SL_MUST_USE;

#endif
