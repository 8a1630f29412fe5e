/* bytes.c: big-endian integers, hexadecimal, names, SipHash.
 * What the wire formats and the tables are written with; nothing here allocates or fails. */
#include "base/bytes.h"

#include "base/limits.h"

void sl_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void sl_put32(uint8_t *p, uint32_t v)
{
    sl_put16(p, (uint16_t)(v >> 16));
    sl_put16(p + 2, (uint16_t)v);
}

void sl_put64(uint8_t *p, uint64_t v)
{
    sl_put32(p, (uint32_t)(v >> 32));
    sl_put32(p + 4, (uint32_t)v);
}

uint16_t sl_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t sl_get32(const uint8_t *p)
{
    return (uint32_t)sl_get16(p) << 16 | sl_get16(p + 2);
}

uint64_t sl_get64(const uint8_t *p)
{
    return (uint64_t)sl_get32(p) << 32 | sl_get32(p + 4);
}

uint64_t sl_get64_le(const uint8_t *p)
{
    /* Without a loop: of this compilers make one load. */
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

void sl_hex(char *out, const uint8_t *p, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool sl_unhex(uint8_t *out, size_t len, const char *text, size_t text_len)
{
    if (text_len % 2 != 0 || text_len / 2 != len)
        return false;
    /* Looked through before the first byte is written: `out` changes on success only. */
    for (size_t i = 0; i < text_len; i++) {
        if (hex_digit(text[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return true;
}

bool sl_name_ok(const char *name, size_t len)
{
    if (len < 1 || len > SL_NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool ok =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!ok)
            return false;
    }
    return true;
}

void sl_copy_text(char *out, size_t cap, const char *text, size_t len)
{
    if (cap == 0)
        return;
    size_t n = len < cap ? len : cap - 1;
    if (n > 0)
        memcpy(out, text, n);
    out[n] = '\0';
}

/* ---- SipHash-2-4 (Aumasson, Bernstein 2012); words are little-endian ------------------------ */

static uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_rounds(v, 2);
    v[0] ^= m;
}

uint64_t sl_siphash(const uint8_t key[16], const void *p, size_t len)
{
    uint64_t k0 = sl_get64_le(key), k1 = sl_get64_le(key + 8);
    uint64_t v[4] = {
        k0 ^ UINT64_C(0x736f6d6570736575), /* "somepseudorandomlygeneratedbytes" */
        k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *in = p;
    size_t i = 0;
    for (; len - i >= 8; i += 8)
        sip_word(v, sl_get64_le(in + i));

    uint64_t last = (uint64_t)(len & 255) << 56;
    for (unsigned shift = 0; i < len; i++, shift += 8)
        last |= (uint64_t)in[i] << shift;
    sip_word(v, last);

    v[2] ^= 255;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
