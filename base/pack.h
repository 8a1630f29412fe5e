/* pack.h: MessagePack in both directions, bounded.
 * Writing goes through msgpack-c's packer into a buffer of the caller's; nothing is allocated.
 * Reading is our own pull reader: msgpack-c's unpacker allocates what a peer declares (five bytes
 * ask it for 4 GB), this one allocates nothing and checks every count against the bytes that are
 * left, the depth and the number of elements (limits.h). */
#ifndef SL_BASE_PACK_H
#define SL_BASE_PACK_H

#include "base/types.h"

/* A writer over a fixed buffer. Once something did not fit, `failed` stays set and the rest is
 * ignored, so that a caller checks once at the end. */
struct sl_pack {
    uint8_t *p;
    size_t cap;
    size_t len;
    bool failed;
};

void sl_pack_init(struct sl_pack *w, void *buffer, size_t cap);
void sl_pack_array(struct sl_pack *w, size_t n);
void sl_pack_map(struct sl_pack *w, size_t n);
void sl_pack_uint(struct sl_pack *w, uint64_t v);
void sl_pack_nil(struct sl_pack *w);
void sl_pack_bin(struct sl_pack *w, const void *p, size_t len);
void sl_pack_str(struct sl_pack *w, const char *s, size_t len);
/* Elements that are MessagePack already. */
void sl_pack_raw(struct sl_pack *w, struct sl_span elements);

/* A reader over borrowed bytes. Every sl_read_* returns true and advances, or returns false and
 * leaves `failed` set for good. */
struct sl_read {
    const uint8_t *p;
    const uint8_t *end;
    unsigned depth; /* open containers, as counted by sl_read_skip */
    unsigned nodes; /* elements seen */
    bool failed;
};

void sl_read_init(struct sl_read *r, const void *p, size_t len);
/* Array header; at most max_n elements and never more than bytes left. */
bool sl_read_array(struct sl_read *r, size_t max_n, size_t *ret_n) SL_MUST_USE;
bool sl_read_map(struct sl_read *r, size_t max_n, size_t *ret_n) SL_MUST_USE;
bool sl_read_uint(struct sl_read *r, uint64_t max, uint64_t *ret_v) SL_MUST_USE;
/* Binary or text of at most max_len bytes; the span borrows. */
bool sl_read_bin(struct sl_read *r, size_t max_len, struct sl_span *ret) SL_MUST_USE;
bool sl_read_str(struct sl_read *r, size_t max_len, struct sl_span *ret) SL_MUST_USE;
/* Binary of exactly len bytes, copied. */
bool sl_read_fixed(struct sl_read *r, void *out, size_t len) SL_MUST_USE;
/* True and consumed when the next element is nil; false and untouched otherwise. */
bool sl_read_nil(struct sl_read *r);
/* Whether the next element is binary; nothing is consumed. */
bool sl_read_is_bin(const struct sl_read *r);
/* Skip n elements of whatever type, without recursion. */
bool sl_read_skip(struct sl_read *r, size_t n) SL_MUST_USE;
/* Nothing failed and nothing is left. */
bool sl_read_done(const struct sl_read *r);

#endif
