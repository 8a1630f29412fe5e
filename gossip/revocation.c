/* revocation.c: the layout of a revocation, and a set of them that two nodes compare by one number. The
 * number is of what was taken back, not of the bytes: two authorities may have signed the same at
 * different times, and nodes that each know one of them agree. */
#include "gossip/revocation.h"

#include <starling.h>

#include "base/bytes.h"

#define UNSIGNED_LEN (SL_REVOCATION_LEN - SL_SIG_LEN)
#define WHAT_AT 24
#define WHAT_LEN 32 /* id, serial */

static const char domain[] = "starling/1 revocation"; /* signed with its NUL */
static const uint8_t whole_key[16];

static void signed_text(const uint8_t *entry, uint8_t out[sizeof domain + UNSIGNED_LEN])
{
    memcpy(out, domain, sizeof domain);
    memcpy(out + sizeof domain, entry, UNSIGNED_LEN);
}

void sl_revocation_sign(const struct sl_crypto *c, const uint8_t key[SL_KEY_LEN],
                        const struct sl_revocation *what, uint8_t out[SL_REVOCATION_LEN])
{
    uint8_t text[sizeof domain + UNSIGNED_LEN];
    memcpy(out, what->flock, SL_FLOCK_LEN);
    sl_issuer_id(c, key, out + 16);
    memcpy(out + WHAT_AT, what->id.b, SL_ID_LEN);
    memcpy(out + WHAT_AT + SL_ID_LEN, what->serial, sizeof what->serial);
    sl_put64(out + 56, (uint64_t)what->at);
    sl_put64(out + 64, (uint64_t)what->until);
    out[72] = what->reason;
    signed_text(out, text);
    c->sign(c->context, out + UNSIGNED_LEN, text, sizeof text);
}

bool sl_revocation_read(const uint8_t entry[SL_REVOCATION_LEN], struct sl_revocation *ret)
{
    uint64_t at = sl_get64(entry + 56), until = sl_get64(entry + 64);
    if (at > INT64_MAX || until > INT64_MAX)
        return false;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->flock, entry, SL_FLOCK_LEN);
    memcpy(ret->signer, entry + 16, sizeof ret->signer);
    memcpy(ret->id.b, entry + WHAT_AT, SL_ID_LEN);
    memcpy(ret->serial, entry + WHAT_AT + SL_ID_LEN, sizeof ret->serial);
    ret->at = (int64_t)at;
    ret->until = (int64_t)until;
    ret->reason = entry[72];
    return true;
}

bool sl_revocation_verify(const struct sl_crypto *c, const uint8_t entry[SL_REVOCATION_LEN],
                          const uint8_t key[SL_KEY_LEN])
{
    uint8_t text[sizeof domain + UNSIGNED_LEN];
    signed_text(entry, text);
    return c->verify(c->context, key, text, sizeof text, entry + UNSIGNED_LEN);
}

/* ---- the set ---------------------------------------------------------------------------- */

/* The first place whose entry is not below `what`. */
static size_t place_of(const struct sl_revoked *set, const uint8_t what[WHAT_LEN])
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (memcmp(set->entries[mid] + WHAT_AT, what, WHAT_LEN) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_at(const struct sl_revoked *set, size_t place, const uint8_t what[WHAT_LEN])
{
    return place < set->n && memcmp(set->entries[place] + WHAT_AT, what, WHAT_LEN) == 0;
}

int sl_revoked_insert(struct sl_revoked *set, const struct sl_alloc *alloc,
                      const struct sl_crypto *c, const uint8_t entry[SL_REVOCATION_LEN])
{
    const uint8_t *what = entry + WHAT_AT;
    size_t place = place_of(set, what);
    if (is_at(set, place, what))
        return STARLING_EEXIST;
    if (set->n >= SL_REVOKED_MAX)
        return STARLING_ELIMIT;
    int r =
        sl_alloc_grow(alloc, (void **)&set->entries, sizeof *set->entries, &set->cap, set->n + 1);
    if (r < 0)
        return r;
    memmove(set->entries[place + 1], set->entries[place], (set->n - place) * sizeof *set->entries);
    memcpy(set->entries[place], entry, SL_REVOCATION_LEN);
    set->n++;

    uint8_t hash[8];
    const struct sl_span parts[] = {sl_span_of(domain, sizeof domain), sl_span_of(what, WHAT_LEN)};
    c->hash(c->context, hash, sizeof hash, NULL, 0, parts, SL_COUNT(parts));
    set->root ^= sl_get64(hash);
    return 0;
}

bool sl_revoked_holds(const struct sl_revoked *set, const struct sl_id *id, const uint8_t *serial)
{
    uint8_t what[WHAT_LEN];
    if (set->n == 0)
        return false;
    memcpy(what, id->b, SL_ID_LEN);
    memcpy(what + SL_ID_LEN, whole_key, sizeof whole_key);
    if (is_at(set, place_of(set, what), what))
        return true;
    if (serial == NULL)
        return false;
    memcpy(what + SL_ID_LEN, serial, sizeof whole_key);
    return is_at(set, place_of(set, what), what);
}

void sl_revoked_free(struct sl_revoked *set, const struct sl_alloc *alloc)
{
    sl_alloc_free(alloc, set->entries, set->cap * sizeof *set->entries);
    *set = (struct sl_revoked){0};
}
