/* revoked.c: read and write a list of revoked certificates. The checksum finds damage; who may take
 * back what is told by each entry's own signature. */
#include "node/revoked.h"

#include <sodium.h>
#include <starling.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/files.h"

#define MAGIC_LEN 16
#define SUM_LEN 16
#define HEAD_LEN (MAGIC_LEN + 4)
#define FILE_MAX (HEAD_LEN + SL_REVOKED_MAX * SL_REVOCATION_LEN + SUM_LEN)

static const char magic[MAGIC_LEN] = "starling/1 revo";

static int decode(const char *path, const uint8_t *file, size_t len, struct sl_revoked *ret)
{
    uint8_t sum[SUM_LEN];
    struct sl_revoked list = {.n = 0};
    struct sl_signer none;
    memset(&none, 0, sizeof none);
    const struct sl_crypto crypto = sl_crypto_port(&none);
    size_t n = len >= HEAD_LEN + SUM_LEN ? sl_get32(file + MAGIC_LEN) : SL_REVOKED_MAX + 1;
    bool good = n <= SL_REVOKED_MAX && len == HEAD_LEN + n * SL_REVOCATION_LEN + SUM_LEN &&
                memcmp(file, magic, sizeof magic) == 0;
    if (good) {
        crypto_generichash(sum, sizeof sum, file, len - SUM_LEN, NULL, 0);
        good = sodium_memcmp(sum, file + len - SUM_LEN, SUM_LEN) == 0;
    }
    if (!good)
        return sl_fail(STARLING_EAUTH, "%s is damaged: put it back from a backup", path);
    for (size_t i = 0; i < n; i++) {
        if (sl_revoked_insert(&list, &sl_alloc_system, &crypto,
                              file + HEAD_LEN + i * SL_REVOCATION_LEN) == STARLING_ENOMEM) {
            sl_revoked_free(&list, &sl_alloc_system);
            return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
        }
    }
    *ret = list;
    return 0;
}

int sl_revoked_file_read(const char *path, struct sl_revoked *ret)
{
    uint8_t *file = malloc(FILE_MAX);
    if (file == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
    ssize_t n = sl_file_read_given(path, file, FILE_MAX); /* laid there as credentials are */
    int r = n == STARLING_ELIMIT ? STARLING_EAUTH : (int)n;
    if (n >= 0)
        r = decode(path, file, (size_t)n, ret);
    free(file);
    return r;
}

int sl_revoked_file_write(const char *path, struct sl_span entries)
{
    size_t body = HEAD_LEN + entries.len;
    uint8_t *file = malloc(body + SUM_LEN);
    if (file == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
    memcpy(file, magic, MAGIC_LEN);
    sl_put32(file + MAGIC_LEN, (uint32_t)(entries.len / SL_REVOCATION_LEN));
    if (entries.len > 0)
        memcpy(file + HEAD_LEN, entries.p, entries.len);
    crypto_generichash(file + body, SUM_LEN, file, body, NULL, 0);
    int r = sl_file_write(path, file, body + SUM_LEN, 0600);
    free(file);
    return r;
}
