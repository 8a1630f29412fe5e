/* tenants.c: read and write AUTHORITY.tenants, and raise an epoch in it. A tenant has at most two
 * lines, so that readers get the old key with the new one and writers change over at use-after. */
#include "node/tenants.h"

#include <limits.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/crypto.h"
#include "node/files.h"

#define LINE_MAX_LEN 192 /* two names, two numbers */
#define FILE_MAX ((SL_TENANT_EPOCHS_MAX + 2) * LINE_MAX_LEN)
#define SUM_LEN 16
#define CHECK_LEN (sizeof "check " - 1 + 2 * SUM_LEN + 1) /* with its line's end */

int sl_tenants_path(const char *authority, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s.tenants", authority);
    if (n < 0 || n >= PATH_MAX)
        return sl_fail(STARLING_EIO, "the path %.64s... is too long", authority);
    return 0;
}

static bool same(const struct sl_rotated *l, const char *flock, const char *tenant)
{
    return strcmp(l->flock, flock) == 0 && strcmp(l->tenant, tenant) == 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* "flock tenant epoch use-after" and nothing else. */
static bool parse_line(const char *text, struct sl_rotated *ret)
{
    unsigned long long epoch, after;
    int end = -1;
    if (sscanf(text, "%63[^ ] %63[^ ] %10llu %18llu%n", ret->flock, ret->tenant, &epoch, &after,
               &end) != 4 ||
        end < 0 || text[end] != '\0')
        return false;
    ret->epoch = (uint32_t)epoch;
    ret->use_after = (int64_t)after; /* eighteen digits fit */
    return sl_name_ok(ret->flock, strlen(ret->flock)) &&
           sl_name_ok(ret->tenant, strlen(ret->tenant)) && epoch >= 1 && epoch <= UINT32_MAX &&
           ret->use_after >= 0 && strcmp(ret->tenant, SL_DEFAULT_TENANT) != 0;
}

/* At most two of one tenant, the older one first. */
static bool fits(const struct sl_tenants *t, const struct sl_rotated *line)
{
    size_t n_same = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!same(&t->line[i], line->flock, line->tenant))
            continue;
        if (t->line[i].epoch >= line->epoch)
            return false;
        n_same++;
    }
    return n_same < SL_TENANT_EPOCHS && t->n < SL_TENANT_EPOCHS_MAX;
}

static bool sum_is_right(const char *text, size_t len)
{
    uint8_t said[SUM_LEN], sum[SUM_LEN];
    if (len < CHECK_LEN || text[len - 1] != '\n')
        return false;
    const char *check = text + len - CHECK_LEN;
    crypto_generichash(sum, sizeof sum, (const uint8_t *)text, len - CHECK_LEN, NULL, 0);
    return memcmp(check, "check ", 6) == 0 &&
           sl_unhex(said, sizeof said, check + 6, (size_t)2 * SUM_LEN) &&
           memcmp(said, sum, sizeof sum) == 0;
}

/* `text` has a NUL behind it and is taken apart. */
static bool parse(char *text, size_t len, struct sl_tenants *t)
{
    if (!sum_is_right(text, len) || memchr(text, '\0', len) != NULL)
        return false;
    text[len - CHECK_LEN] = '\0';
    char *rest = text;
    while (*rest != '\0') {
        char *line = rest, *end = strchr(rest, '\n');
        struct sl_rotated said = {.epoch = 0};
        if (end == NULL)
            return false;
        *end = '\0';
        rest = end + 1;
        if (*line == '#')
            continue;
        if (!parse_line(line, &said) || !fits(t, &said))
            return false;
        t->line[t->n++] = said;
    }
    return true;
}

int sl_tenants_read(const char *authority, struct sl_tenants *ret)
{
    char path[PATH_MAX];
    int r = sl_tenants_path(authority, path);
    if (r < 0)
        return r;
    struct sl_tenants t = {.line = calloc(SL_TENANT_EPOCHS_MAX, sizeof *t.line)};
    char *text = malloc(FILE_MAX + 1);
    if (t.line == NULL || text == NULL) {
        r = sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
    } else {
        ssize_t n = sl_file_read_secret(path, text, FILE_MAX);
        text[n > 0 ? n : 0] = '\0';
        r = n == STARLING_ENOENT ? 0 : n == STARLING_ELIMIT ? STARLING_EAUTH : n < 0 ? (int)n : 0;
        if (n >= 0 && !parse(text, (size_t)n, &t))
            r = sl_fail(STARLING_EAUTH,
                        "%s is damaged or was changed by hand: put it back from a backup", path);
    }
    free(text);
    if (r == 0)
        *ret = t;
    else
        sl_tenants_free(&t);
    return r;
}

/* ---- writing ---------------------------------------------------------------------------- */

int sl_tenants_write(const char *authority, const struct sl_tenants *t)
{
    char path[PATH_MAX], digits[2 * SUM_LEN + 1];
    uint8_t sum[SUM_LEN];
    int r = sl_tenants_path(authority, path);
    if (r < 0)
        return r;
    char *text = malloc(FILE_MAX);
    if (text == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for %s", path);
    size_t len = (size_t)snprintf(text, FILE_MAX,
                                  "# Starling: flock, tenant, epoch of its key, used after\n");
    /* All of it fits: FILE_MAX is of the longest lines. */
    for (size_t i = 0; i < t->n; i++)
        len += (size_t)snprintf(text + len, FILE_MAX - len, "%s %s %lu %lld\n", t->line[i].flock,
                                t->line[i].tenant, (unsigned long)t->line[i].epoch,
                                (long long)t->line[i].use_after);
    crypto_generichash(sum, sizeof sum, (const uint8_t *)text, len, NULL, 0);
    sl_hex(digits, sum, sizeof sum);
    len += (size_t)snprintf(text + len, FILE_MAX - len, "check %s\n", digits);
    r = sl_file_write(path, text, len, 0600);
    free(text);
    return r;
}

void sl_tenants_free(struct sl_tenants *t)
{
    if (t == NULL)
        return;
    free(t->line);
    t->line = NULL;
    t->n = 0;
}

/* ---- epochs ----------------------------------------------------------------------------- */

/* Take all lines of a tenant out, and hand back the one to keep: the newest key that is in use, since what
 * was written last must stay readable; one that nobody uses yet needs no reader. */
static struct sl_rotated take_out(struct sl_tenants *t, const char *flock, const char *tenant,
                                  int64_t wall_s)
{
    struct sl_rotated kept = {.epoch = 0};
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!same(&t->line[i], flock, tenant))
            t->line[n++] = t->line[i];
        else if (kept.epoch == 0 || t->line[i].use_after <= wall_s)
            kept = t->line[i]; /* older ones come first */
    }
    t->n = n;
    if (kept.epoch == 0) {
        kept.epoch = 1;
        sl_copy_text(kept.flock, sizeof kept.flock, flock, strlen(flock));
        sl_copy_text(kept.tenant, sizeof kept.tenant, tenant, strlen(tenant));
    }
    return kept;
}

int sl_tenants_raise(struct sl_tenants *t, const char *flock, const char *tenant, int64_t wall_s,
                     int64_t use_after, struct sl_rotated *ret)
{
    uint32_t newest = 1;
    size_t n_others = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct sl_rotated *l = &t->line[i];
        if (!same(l, flock, tenant)) {
            n_others++;
            continue;
        }
        if (l->epoch > newest)
            newest = l->epoch;
        if (l->use_after > wall_s && use_after > wall_s)
            return sl_fail(STARLING_EINVAL,
                           "key %lu of tenant '%s' is not in use yet: wait until it is, or switch "
                           "to another one at once",
                           (unsigned long)l->epoch, tenant);
    }
    if (newest == UINT32_MAX)
        return sl_fail(STARLING_ELIMIT, "tenant '%s' has had all its keys", tenant);
    if (n_others + SL_TENANT_EPOCHS > SL_TENANT_EPOCHS_MAX)
        return sl_fail(STARLING_ELIMIT, "%d tenants were rotated, and no more fit in",
                       SL_ROTATED_MAX);
    struct sl_rotated line = take_out(t, flock, tenant, wall_s);
    t->line[t->n++] = line;
    line.epoch = newest + 1;
    line.use_after = use_after;
    t->line[t->n++] = line;
    *ret = line;
    return 0;
}

size_t sl_tenants_epochs(const struct sl_tenants *t, const uint8_t tenant[SL_TENANT_LEN],
                         struct sl_tenant_epoch ret[SL_TENANT_EPOCHS])
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    uint8_t of_flock[SL_FLOCK_LEN], id[SL_TENANT_LEN];
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        sl_flock_id(&crypto, t->line[i].flock, of_flock);
        sl_tenant_id(&crypto, of_flock, t->line[i].tenant, id);
        if (memcmp(id, tenant, SL_TENANT_LEN) != 0)
            continue;
        ret[n].epoch = t->line[i].epoch;
        ret[n++].use_after = t->line[i].use_after;
    }
    if (n == 0)
        ret[n++] = (struct sl_tenant_epoch){.epoch = 1};
    for (size_t i = 0; i < n; i++)
        memcpy(ret[i].tenant, tenant, SL_TENANT_LEN);
    return n;
}

int sl_tenants_into(const struct sl_tenants *t, struct sl_keyring *ring)
{
    const struct sl_crypto crypto = sl_crypto_port(NULL);
    for (size_t i = 0; i < t->n; i++) {
        struct sl_tenant_epoch e = {.epoch = t->line[i].epoch, .use_after = t->line[i].use_after};
        uint8_t of_flock[SL_FLOCK_LEN];
        sl_flock_id(&crypto, t->line[i].flock, of_flock);
        if (memcmp(of_flock, ring->flock, SL_FLOCK_LEN) != 0)
            continue;
        sl_tenant_id(&crypto, of_flock, t->line[i].tenant, e.tenant);
        int r = sl_keyring_add(ring, &e, NULL);
        if (r < 0) /* two names with one hash of 64 bits */
            return sl_fail(STARLING_EAUTH, "tenant '%s' has more keys than there can be",
                           t->line[i].tenant);
    }
    return 0;
}
