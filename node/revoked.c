/* revoked.c: read, extend and write a list of revoked certificates. The checksum finds damage; who
 * may take back what is told by each entry's own signature. */
#include "node/revoked.h"

#include <sodium.h>
#include <starling.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/files.h"

#define MAGIC_LEN 16
#define SUM_LEN 16
#define UNSIGNED_LEN (SL_REVOKED_ENTRY - SL_SIG_LEN)
#define HEAD_LEN (MAGIC_LEN + 4)
#define FILE_MAX (HEAD_LEN + SL_REVOKED_MAX * SL_REVOKED_ENTRY + SUM_LEN)

static const char magic[MAGIC_LEN] = "starling/1 revo";
static const char domain[] = "starling/1 revocation"; /* signed with its NUL */

static void put_entry(const struct sl_revocation *r, uint8_t out[UNSIGNED_LEN])
{
    memcpy(out, r->flock, 16);
    memcpy(out + 16, r->issuer, 8);
    memcpy(out + 24, r->id.b, 16);
    memcpy(out + 40, r->serial, 16);
    sl_put64(out + 56, (uint64_t)r->at);
    sl_put64(out + 64, (uint64_t)r->until);
    out[72] = r->reason;
}

static void signed_text(const uint8_t entry[UNSIGNED_LEN],
                        uint8_t out[sizeof domain + UNSIGNED_LEN])
{
    memcpy(out, domain, sizeof domain);
    memcpy(out + sizeof domain, entry, UNSIGNED_LEN);
}

bool sl_revoked_get(const struct sl_revoked *list, size_t i, struct sl_revocation *ret)
{
    if (i >= list->n)
        return false;
    const uint8_t *p = list->entries[i];
    uint64_t at = sl_get64(p + 56), until = sl_get64(p + 64);
    if (at > INT64_MAX || until > INT64_MAX)
        return false;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->flock, p, 16);
    memcpy(ret->issuer, p + 16, 8);
    memcpy(ret->id.b, p + 24, 16);
    memcpy(ret->serial, p + 40, 16);
    ret->at = (int64_t)at;
    ret->until = (int64_t)until;
    ret->reason = p[72];
    return true;
}

bool sl_revoked_verify(const struct sl_revoked *list, size_t i, const uint8_t key[SL_KEY_LEN])
{
    uint8_t text[sizeof domain + UNSIGNED_LEN];
    if (i >= list->n)
        return false;
    signed_text(list->entries[i], text);
    return crypto_sign_verify_detached(list->entries[i] + UNSIGNED_LEN, text, sizeof text, key) ==
           0;
}

int sl_revoked_add(struct sl_revoked *list, const struct sl_revocation *what,
                   const struct sl_signer *by)
{
    const size_t same_len = 56; /* flock, issuer, id, serial */
    uint8_t entry[SL_REVOKED_ENTRY], text[sizeof domain + UNSIGNED_LEN];
    put_entry(what, entry);
    for (size_t i = 0; i < list->n; i++) {
        if (memcmp(list->entries[i], entry, same_len) == 0)
            return sl_fail(STARLING_EEXIST, "it is in the list already");
    }
    if (list->n >= SL_REVOKED_MAX)
        return sl_fail(STARLING_ELIMIT, "the list has %d entries, and no more fit in",
                       SL_REVOKED_MAX);
    uint8_t(*more)[SL_REVOKED_ENTRY] =
        realloc(list->entries, (list->n + 1) * sizeof *list->entries);
    if (more == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for a list of %zu", list->n + 1);
    signed_text(entry, text);
    crypto_sign_detached(entry + UNSIGNED_LEN, NULL, text, sizeof text, by->secret);
    list->entries = more;
    memcpy(list->entries[list->n++], entry, sizeof entry);
    return 0;
}

/* ---- the file --------------------------------------------------------------------------- */

static int decode(const char *path, const uint8_t *file, size_t len, struct sl_revoked *ret)
{
    uint8_t sum[SUM_LEN];
    struct sl_revoked list = {.n = 0};
    size_t n = len >= HEAD_LEN + SUM_LEN ? sl_get32(file + MAGIC_LEN) : SL_REVOKED_MAX + 1;
    bool good = n <= SL_REVOKED_MAX && len == HEAD_LEN + n * SL_REVOKED_ENTRY + SUM_LEN &&
                memcmp(file, magic, sizeof magic) == 0;
    if (good) {
        crypto_generichash(sum, sizeof sum, file, len - SUM_LEN, NULL, 0);
        good = sodium_memcmp(sum, file + len - SUM_LEN, SUM_LEN) == 0;
    }
    if (!good)
        return sl_fail(STARLING_EAUTH, "%s is damaged: put it back from a backup", path);
    if (n > 0) {
        list.entries = malloc(n * sizeof *list.entries);
        if (list.entries == NULL)
            return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
        memcpy(list.entries, file + HEAD_LEN, n * SL_REVOKED_ENTRY);
        list.n = n;
    }
    *ret = list;
    return 0;
}

int sl_revoked_read(const char *path, struct sl_revoked *ret)
{
    uint8_t *file = malloc(FILE_MAX);
    if (file == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
    ssize_t n = sl_file_read_secret(path, file, FILE_MAX);
    int r = n == STARLING_ELIMIT ? STARLING_EAUTH : (int)n;
    if (n >= 0)
        r = decode(path, file, (size_t)n, ret);
    free(file);
    return r;
}

int sl_revoked_write(const char *path, const struct sl_revoked *list)
{
    size_t body = HEAD_LEN + list->n * SL_REVOKED_ENTRY;
    uint8_t *file = malloc(body + SUM_LEN);
    if (file == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
    memcpy(file, magic, MAGIC_LEN);
    sl_put32(file + MAGIC_LEN, (uint32_t)list->n);
    if (list->n > 0)
        memcpy(file + HEAD_LEN, list->entries, list->n * SL_REVOKED_ENTRY);
    crypto_generichash(file + body, SUM_LEN, file, body, NULL, 0);
    int r = sl_file_write(path, file, body + SUM_LEN, 0600);
    free(file);
    return r;
}

void sl_revoked_fini(struct sl_revoked *list)
{
    if (list == NULL)
        return;
    free(list->entries);
    list->entries = NULL;
    list->n = 0;
}
