/* bytes.h: big-endian integers, hexadecimal, names. */
#ifndef SL_BASE_BYTES_H
#define SL_BASE_BYTES_H

#include "base/types.h"

void sl_put16(uint8_t *p, uint16_t v);
void sl_put32(uint8_t *p, uint32_t v);
void sl_put64(uint8_t *p, uint64_t v);
uint16_t sl_get16(const uint8_t *p);
uint32_t sl_get32(const uint8_t *p);
uint64_t sl_get64(const uint8_t *p);
uint64_t sl_get64_le(const uint8_t *p); /* the other end first, for SipHash */

/* Lower-case hexadecimal with NUL into out[2 * len + 1]. */
void sl_hex(char *out, const uint8_t *p, size_t len);
/* Exactly 2 * len hex digits into out[len]; false otherwise. */
bool sl_unhex(uint8_t *out, size_t len, const char *text, size_t text_len);

/* [a-z0-9._-]{1,63}: flocks, nodes, zones, services, tenants. */
bool sl_name_ok(const char *name, size_t len);

/* Copy at most cap - 1 bytes and a NUL. */
void sl_copy_text(char *out, size_t cap, const char *text, size_t len);

/* 64-bit mix of 8..n bytes with a key: SipHash-2-4 (Aumasson, Bernstein 2012). Keyed with a secret
 * of the process or the flock wherever a peer could choose the input. */
uint64_t sl_siphash(const uint8_t key[16], const void *p, size_t len);

#endif
