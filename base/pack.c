/* pack.c: MessagePack, written through msgpack-c's packer and read by a pull reader of our own.
 * The reader trusts nothing: a declared length or count is compared with the bytes that are left
 * before anybody sees it, so that no caller can be made to allocate or loop on it (pack.h). */
#include "base/pack.h"

#include <assert.h>
#include <msgpack/pack.h>

#include "base/bytes.h"
#include "base/limits.h"

/* ---- writing ------------------------------------------------------------------------------ */

void sl_pack_init(struct sl_pack *w, void *buffer, size_t cap)
{
    *w = (struct sl_pack){.p = buffer, .cap = cap};
}

/* msgpack_packer_write: what does not fit is refused, and so is all that follows. */
static int write_bounded(void *data, const char *p, size_t len)
{
    struct sl_pack *w = data;
    if (w->failed || len > w->cap - w->len) {
        w->failed = true;
        return -1;
    }
    if (len > 0)
        memcpy(w->p + w->len, p, len);
    w->len += len;
    return 0;
}

static msgpack_packer packer_of(struct sl_pack *w)
{
    msgpack_packer k;
    msgpack_packer_init(&k, w, write_bounded);
    return k;
}

/* Lengths have 32 bits on the wire, and nothing longer than the buffer could follow. */
static bool may_declare(struct sl_pack *w, size_t n)
{
    if (n > UINT32_MAX || n > w->cap)
        w->failed = true;
    return !w->failed;
}

void sl_pack_array(struct sl_pack *w, size_t n)
{
    msgpack_packer k = packer_of(w);
    if (may_declare(w, n))
        msgpack_pack_array(&k, n);
}

void sl_pack_map(struct sl_pack *w, size_t n)
{
    msgpack_packer k = packer_of(w);
    if (may_declare(w, n))
        msgpack_pack_map(&k, n);
}

void sl_pack_uint(struct sl_pack *w, uint64_t v)
{
    msgpack_packer k = packer_of(w);
    msgpack_pack_uint64(&k, v);
}

void sl_pack_nil(struct sl_pack *w)
{
    msgpack_packer k = packer_of(w);
    msgpack_pack_nil(&k);
}

void sl_pack_bin(struct sl_pack *w, const void *p, size_t len)
{
    msgpack_packer k = packer_of(w);
    if (may_declare(w, len)) {
        msgpack_pack_bin(&k, len);
        msgpack_pack_bin_body(&k, p, len);
    }
}

void sl_pack_str(struct sl_pack *w, const char *s, size_t len)
{
    msgpack_packer k = packer_of(w);
    if (may_declare(w, len)) {
        msgpack_pack_str(&k, len);
        msgpack_pack_str_body(&k, s, len);
    }
}

void sl_pack_raw(struct sl_pack *w, struct sl_span elements)
{
    (void)write_bounded(w, (const char *)elements.p, elements.len);
}

/* ---- reading ------------------------------------------------------------------------------ */

enum type { INVALID, NIL, OTHER, UINT, INT, STR, BIN, EXT, ARRAY, MAP };

/* The start of an element: its type, the bytes it took and what they declare. */
struct head {
    enum type type;
    size_t len;       /* of the head itself */
    uint64_t v;       /* value of UINT and INT (two's complement), count of ARRAY and MAP */
    size_t n_payload; /* bytes that follow the head and belong to no other element */
    size_t n_inside;  /* elements that follow the head */
};

/* First bytes 0xc0-0xdf: type, width of the big-endian number that follows, further bytes. */
static const struct {
    uint8_t type, width, more;
} forms[32] = {
    [0x00] = {NIL, 0, 0},    [0x01] = {INVALID, 0, 0}, [0x02] = {OTHER, 0, 0},
    [0x03] = {OTHER, 0, 0},  [0x04] = {BIN, 1, 0},     [0x05] = {BIN, 2, 0},
    [0x06] = {BIN, 4, 0},    [0x07] = {EXT, 1, 1},     [0x08] = {EXT, 2, 1},
    [0x09] = {EXT, 4, 1},    [0x0a] = {OTHER, 0, 4},   [0x0b] = {OTHER, 0, 8},
    [0x0c] = {UINT, 1, 0},   [0x0d] = {UINT, 2, 0},    [0x0e] = {UINT, 4, 0},
    [0x0f] = {UINT, 8, 0},   [0x10] = {INT, 1, 0},     [0x11] = {INT, 2, 0},
    [0x12] = {INT, 4, 0},    [0x13] = {INT, 8, 0},     [0x14] = {OTHER, 0, 2},
    [0x15] = {OTHER, 0, 3},  [0x16] = {OTHER, 0, 5},   [0x17] = {OTHER, 0, 9},
    [0x18] = {OTHER, 0, 17}, [0x19] = {STR, 1, 0},     [0x1a] = {STR, 2, 0},
    [0x1b] = {STR, 4, 0},    [0x1c] = {ARRAY, 2, 0},   [0x1d] = {ARRAY, 4, 0},
    [0x1e] = {MAP, 2, 0},    [0x1f] = {MAP, 4, 0},
};

static uint64_t get_number(const uint8_t *p, unsigned width)
{
    switch (width) {
    case 1:
        return p[0];
    case 2:
        return sl_get16(p);
    case 4:
        return sl_get32(p);
    case 8:
        return sl_get64(p);
    default:
        return 0;
    }
}

/* Type and number of the element at r->p, which has at least one byte. */
static struct head head_form(const struct sl_read *r)
{
    uint8_t first = r->p[0];
    if (first < 0x80)
        return (struct head){.type = UINT, .len = 1, .v = first};
    if (first < 0x90)
        return (struct head){.type = MAP, .len = 1, .v = first & 15u};
    if (first < 0xa0)
        return (struct head){.type = ARRAY, .len = 1, .v = first & 15u};
    if (first < 0xc0)
        return (struct head){.type = STR, .len = 1, .v = first & 31u};
    if (first >= 0xe0)
        return (struct head){.type = INT, .len = 1, .v = UINT64_MAX}; /* some negative number */

    struct head h = {.type = forms[first - 0xc0].type, .len = 1u + forms[first - 0xc0].width};
    h.n_payload = forms[first - 0xc0].more;
    if (h.len > (size_t)(r->end - r->p))
        return (struct head){.type = INVALID};
    h.v = get_number(r->p + 1, forms[first - 0xc0].width);
    return h;
}

/* Look at the next element; its whole payload and a byte for each element inside are there. */
static bool peek(const struct sl_read *r, struct head *ret)
{
    if (r->failed || r->p == r->end || r->nodes >= SL_READ_NODES_MAX)
        return false;
    struct head h = head_form(r);
    if (h.type == INVALID)
        return false;
    size_t left = (size_t)(r->end - r->p) - h.len;
    if (h.type == STR || h.type == BIN || h.type == EXT)
        h.n_payload += (size_t)h.v; /* at most 2^32 */
    if (h.type == ARRAY)
        h.n_inside = (size_t)h.v;
    if (h.type == MAP)
        h.n_inside = h.v > left ? left + 1 : (size_t)h.v * 2;
    if (h.n_payload > left || h.n_inside > left || h.n_inside > SL_READ_NODES_MAX - r->nodes)
        return false;
    *ret = h;
    return true;
}

static void advance(struct sl_read *r, const struct head *h)
{
    r->p += h->len + h->n_payload;
    r->nodes++;
}

static bool fail(struct sl_read *r)
{
    r->failed = true;
    return false;
}

void sl_read_init(struct sl_read *r, const void *p, size_t len)
{
    static const uint8_t nothing[1];
    const uint8_t *start = len > 0 ? p : nothing;
    *r = (struct sl_read){.p = start, .end = start + len};
}

/* The next element when it is of `type`, not beyond r->p yet. */
static bool expect(struct sl_read *r, enum type type, uint64_t max, struct head *ret)
{
    if (!peek(r, ret) || ret->type != type || ret->v > max)
        return fail(r);
    return true;
}

static bool read_count(struct sl_read *r, enum type type, size_t max_n, size_t *ret_n)
{
    struct head h;
    if (!expect(r, type, max_n, &h))
        return false;
    advance(r, &h);
    *ret_n = (size_t)h.v;
    return true;
}

bool sl_read_array(struct sl_read *r, size_t max_n, size_t *ret_n)
{
    return read_count(r, ARRAY, max_n, ret_n);
}

bool sl_read_map(struct sl_read *r, size_t max_n, size_t *ret_n)
{
    return read_count(r, MAP, max_n, ret_n);
}

/* A signed form of a number that is not negative, as some encoders write it. */
static bool is_natural(const struct head *h)
{
    return h->type == UINT || (h->type == INT && h->len > 1 && h->v >> (8 * (h->len - 1) - 1) == 0);
}

bool sl_read_uint(struct sl_read *r, uint64_t max, uint64_t *ret_v)
{
    struct head h;
    if (!peek(r, &h) || !is_natural(&h) || h.v > max)
        return fail(r);
    advance(r, &h);
    *ret_v = h.v;
    return true;
}

static bool read_bytes(struct sl_read *r, enum type type, size_t max_len, struct sl_span *ret)
{
    struct head h;
    if (!expect(r, type, max_len, &h))
        return false;
    *ret = sl_span_of(r->p + h.len, h.n_payload);
    advance(r, &h);
    return true;
}

bool sl_read_bin(struct sl_read *r, size_t max_len, struct sl_span *ret)
{
    return read_bytes(r, BIN, max_len, ret);
}

bool sl_read_str(struct sl_read *r, size_t max_len, struct sl_span *ret)
{
    return read_bytes(r, STR, max_len, ret);
}

bool sl_read_fixed(struct sl_read *r, void *out, size_t len)
{
    struct head h;
    if (!expect(r, BIN, len, &h))
        return false;
    if (h.n_payload != len)
        return fail(r);
    if (len > 0)
        memcpy(out, r->p + h.len, len);
    advance(r, &h);
    return true;
}

bool sl_read_nil(struct sl_read *r)
{
    struct head h;
    if (!peek(r, &h) || h.type != NIL)
        return false;
    advance(r, &h);
    return true;
}

bool sl_read_is_bin(const struct sl_read *r)
{
    struct head h;
    return peek(r, &h) && h.type == BIN;
}

bool sl_read_skip(struct sl_read *r, size_t n)
{
    size_t left[SL_READ_DEPTH_MAX + 1] = {n}; /* elements still to come, at each depth */
    r->depth = 0;
    for (;;) {
        if (r->failed)
            return false;
        if (left[r->depth] == 0) {
            if (r->depth == 0)
                return true;
            r->depth--;
            continue;
        }
        struct head h;
        if (!peek(r, &h))
            return fail(r);
        advance(r, &h);
        left[r->depth]--;
        if (h.n_inside == 0)
            continue;
        if (r->depth == SL_READ_DEPTH_MAX)
            return fail(r);
        left[++r->depth] = h.n_inside;
    }
}

bool sl_read_done(const struct sl_read *r)
{
    return !r->failed && r->p == r->end;
}
