/* credentials.c: read a credentials file or a bundle with libinih, and write one. Both hold secrets:
 * every copy made here is wiped. */
#include "node/credentials.h"

#include <ini.h>
#include <sodium.h>
#include <starling.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/files.h"

#define FILE_MAX SL_CREDENTIALS_FILE_MAX
#define SUM_LEN 16
#define GRANT_DIGITS ((size_t)2 * SL_GRANT_LEN)

enum key { AUTHORITY, DOOR, CERTIFICATE, KEY, CHECK, N_KEYS };

static const struct {
    const char *name;
    size_t max; /* digits */
} keys[N_KEYS] = {
    [AUTHORITY] = {"authority", 2 * SL_AUTHORITIES_MAX *SL_KEY_LEN},
    [DOOR] = {"door", 64 * SL_DOORS_MAX},
    [CERTIFICATE] = {"certificate", 2 * SL_CERT_MAX},
    [KEY] = {"key", 64},
    [CHECK] = {"check", 2 * SUM_LEN},
};

struct reading {
    const char *path;
    char file[FILE_MAX];
    size_t len, at;
    unsigned line;     /* being read, from 1 */
    unsigned bad_line; /* the first that was refused; the error text says why */
    bool inside;       /* the rest of an overlong line follows */
    size_t began;      /* where this line begins in the file */
    size_t checked;    /* what `check` covers: all before its line */
    char digits[N_KEYS][2 * SL_CERT_MAX];
    size_t n_digits[N_KEYS];
    unsigned at_line[N_KEYS]; /* where each began */
    size_t n_grant_digits;
    struct sl_credentials *names;
};

/* The next line for libinih. Its buffer holds 200 bytes and it would cut a longer line in two
 * without a word; so an overlong one is handed over in pieces that begin with a blank, which
 * libinih takes for the continuation of a value. */
static char *next_piece(char *out, int cap, void *context)
{
    struct reading *in = context;
    if (in->bad_line != 0 || in->at == in->len || cap < 16)
        return NULL;
    size_t n = 0, room = (size_t)cap - 4; /* libinih wants place for "\r\n" and the NUL */
    if (in->inside) {
        out[n++] = ' ';
    } else {
        in->line++;
        in->began = in->at;
    }
    in->inside = true;
    while (n < room && in->at < in->len && in->inside) {
        char c = in->file[in->at++];
        in->inside = c != '\n';
        out[n++] = c;
    }
    if (in->at == in->len)
        in->inside = false;
    if (out[n - 1] != '\n')
        out[n++] = '\n';
    out[n] = '\0';
    return out;
}

static int refuse_line(struct reading *in, const char *what, const char *why)
{
    in->bad_line = in->line;
    (void)sl_fail(STARLING_EAUTH, "%s, line %u: %s %s", in->path, in->line, what, why);
    return 0;
}

static int take_flock(struct reading *in, const char *value)
{
    size_t len = strlen(value);
    if (!sl_name_ok(value, len))
        return refuse_line(in, "flock", "is no name of a flock");
    if (in->names->flock[0] != '\0')
        return refuse_line(in, "flock", "is there twice");
    sl_copy_text(in->names->flock, sizeof in->names->flock, value, len);
    return 1;
}

static int take_tenant(struct reading *in, const char *value)
{
    size_t len = strlen(value);
    if (!sl_name_ok(value, len))
        return refuse_line(in, "tenant", "is no name of a tenant");
    if (in->names->n_tenants == SL_CERT_TENANTS_MAX)
        return refuse_line(in, "tenant", "is there too often");
    sl_copy_text(in->names->tenant[in->names->n_tenants++], SL_NAME_LEN_MAX + 1, value, len);
    return 1;
}

/* Straight to where it belongs, digit by digit: libinih hands it over in pieces. A grant is one line,
 * so that a short one does not begin the next. */
static int take_grant(struct reading *in, const char *value)
{
    struct sl_credentials *c = in->names;
    for (; *value != '\0'; value++) {
        const char digits[] = {*value, '0'};
        uint8_t high;
        if (in->n_grant_digits % GRANT_DIGITS == 0) {
            if (c->n_grants == SL_GRANTS_MAX)
                return refuse_line(in, "grant", "is there too often");
            if (c->n_grants > 0 && c->grant_line[c->n_grants - 1] == in->line)
                return refuse_line(in, "grant", "is longer than 360 digits");
            c->grant_line[c->n_grants++] = in->line;
        }
        if (!sl_unhex(&high, 1, digits, 2))
            return refuse_line(in, "grant", "has something other than hexadecimal digits");
        size_t at = in->n_grant_digits++ % GRANT_DIGITS;
        uint8_t *byte = &c->grant[c->n_grants - 1][at / 2];
        if (c->grant_line[c->n_grants - 1] != in->line)
            return refuse_line(in, "grant", "stands behind one that is not 360 digits");
        *byte = at % 2 == 0 ? high : (uint8_t)(*byte | high >> 4);
    }
    return 1;
}

/* For libinih: 1 goes on, 0 refuses. Pieces of a value, and further lines of one key, are put
 * together; the total is judged at the end. */
static int take_piece(void *context, const char *section, const char *name, const char *value)
{
    struct reading *in = context;
    if (section[0] != '\0')
        return refuse_line(in, "a [section]",
                           "has no place here; there are only lines 'key = value'");
    enum key k = 0;
    while (k < N_KEYS && strcmp(keys[k].name, name) != 0)
        k++;
    if (in->n_digits[CHECK] != 0 && k != CHECK)
        return refuse_line(in, "a line", "stands behind the check");
    if (strcmp(name, "flock") == 0)
        return take_flock(in, value);
    if (strcmp(name, "tenant") == 0)
        return take_tenant(in, value);
    if (strcmp(name, "grant") == 0)
        return take_grant(in, value);
    if (k == N_KEYS)
        return refuse_line(
            in, "the key",
            "is none of flock, authority, door, certificate, tenant, grant, key, check");
    if (k == CHECK && in->n_digits[k] == 0)
        in->checked = in->began;
    size_t len = strlen(value);
    if (strspn(value, "0123456789abcdefABCDEF") != len)
        return refuse_line(in, keys[k].name, "has something other than hexadecimal digits");
    if (len > keys[k].max - in->n_digits[k])
        return refuse_line(in, keys[k].name, "is too long, or is there too often");
    if (in->n_digits[k] == 0)
        in->at_line[k] = in->line;
    memcpy(in->digits[k] + in->n_digits[k], value, len);
    in->n_digits[k] += len;
    return 1;
}

static int check_length(const struct reading *in, enum key k, bool ok, const char *rule)
{
    if (in->n_digits[k] == 0)
        return sl_fail(STARLING_EAUTH, "%s has no line '%s = ...'", in->path, keys[k].name);
    if (!ok)
        return sl_fail(STARLING_EAUTH, "%s, line %u: %s %s, not %zu digits", in->path,
                       in->at_line[k], keys[k].name, rule, in->n_digits[k]);
    return 0;
}

/* All before the line of the check is as it was written. */
static int check_sum(const struct reading *in, bool bundle)
{
    uint8_t said[SUM_LEN], sum[SUM_LEN];
    if (in->n_digits[CHECK] == 0 && !bundle)
        return 0;
    crypto_generichash(sum, sizeof sum, (const uint8_t *)in->file, in->checked, NULL, 0);
    if (!sl_unhex(said, sizeof said, in->digits[CHECK], in->n_digits[CHECK]) ||
        sodium_memcmp(said, sum, sizeof sum) != 0)
        return sl_fail(STARLING_EAUTH,
                       "%s is damaged or was changed by hand: put it back from a backup, or have a "
                       "new one issued",
                       in->path);
    return 0;
}

static int check_lengths(const struct reading *in, bool bundle)
{
    const size_t *n = in->n_digits;
    int r = check_length(in, AUTHORITY, n[AUTHORITY] % 64 == 0, "is 64 digits each");
    if (r == 0)
        r = check_length(in, DOOR, n[DOOR] % 64 == 0, "is 64 digits");
    if (r < 0)
        return r;
    if (bundle)
        return n[CERTIFICATE] + n[KEY] + in->n_grant_digits == 0
                   ? 0
                   : sl_fail(STARLING_EAUTH,
                             "%s is no bundle: it has a certificate, a grant or a key", in->path);
    if (in->n_grant_digits % GRANT_DIGITS != 0)
        return sl_fail(STARLING_EAUTH, "%s, line %u: grant is %zu digits, not %zu", in->path,
                       in->names->grant_line[in->names->n_grants - 1], GRANT_DIGITS,
                       in->n_grant_digits % GRANT_DIGITS);
    r = check_length(in, CERTIFICATE, n[CERTIFICATE] % 2 == 0, "is an even number of digits");
    return r < 0 ? r : check_length(in, KEY, n[KEY] == 64, "is 64 digits");
}

/* Digits only were let in, so that nothing but the number of them can be wrong. */
static int decode(const struct reading *in, bool bundle, struct sl_credentials *ret)
{
    const size_t *n = in->n_digits;
    int r = check_sum(in, bundle);
    if (r == 0)
        r = check_lengths(in, bundle);
    if (r < 0)
        return r;
    ret->n_authorities = n[AUTHORITY] / 64;
    ret->n_doors = n[DOOR] / 64;
    ret->cert_len = n[CERTIFICATE] / 2;
    bool ok = sl_unhex((uint8_t *)ret->authority, n[AUTHORITY] / 2, in->digits[AUTHORITY],
                       n[AUTHORITY]) &&
              sl_unhex((uint8_t *)ret->door, n[DOOR] / 2, in->digits[DOOR], n[DOOR]) &&
              sl_unhex(ret->cert, ret->cert_len, in->digits[CERTIFICATE], n[CERTIFICATE]) &&
              sl_unhex(ret->seed, n[KEY] / 2, in->digits[KEY], n[KEY]);
    return ok ? 0 : sl_fail(STARLING_EAUTH, "%s is damaged", in->path);
}

static int parse(struct reading *in, bool bundle, struct sl_credentials *ret)
{
    if (memchr(in->file, '\0', in->len) != NULL)
        return sl_fail(STARLING_EAUTH, "%s is no text", in->path);
    int bad = ini_parse_stream(next_piece, in, take_piece, in);
    sodium_stackzero(1024); /* libinih's line buffer */
    /* libinih counts pieces; our own count is of lines. */
    if (in->bad_line != 0)
        return STARLING_EAUTH;
    if (bad != 0)
        return sl_fail(STARLING_EAUTH, "%s has a line that is not 'key = value'", in->path);
    return decode(in, bundle, ret);
}

static int read_either(const char *path, bool bundle, struct sl_credentials *ret)
{
    struct sl_credentials credentials;
    struct reading in = {.path = path, .names = &credentials};
    memset(&credentials, 0, sizeof credentials);
    ssize_t n = bundle ? sl_file_read_secret(path, in.file, sizeof in.file)
                       : sl_file_read_given(path, in.file, sizeof in.file);
    int r = (int)n;
    if ((n == STARLING_ENOENT && !bundle) || n == STARLING_ELIMIT) {
        r = STARLING_EAUTH; /* the text stands */
    } else if (n >= 0) {
        in.len = (size_t)n;
        r = parse(&in, bundle, &credentials);
    }
    if (r == 0)
        *ret = credentials;
    sodium_memzero(&in, sizeof in);
    sl_credentials_fini(&credentials);
    return r;
}

int sl_credentials_read(const char *path, struct sl_credentials *ret)
{
    return read_either(path, false, ret);
}

int sl_bundle_read(const char *path, struct sl_credentials *ret)
{
    return read_either(path, true, ret);
}

/* ---- writing ---------------------------------------------------------------------------- */

struct writing {
    char text[FILE_MAX];
    size_t len; /* FILE_MAX = it does not fit */
};

static void add(struct writing *out, const char *format, ...) SL_PRINTF(2, 3);
static void add(struct writing *out, const char *format, ...)
{
    va_list args;
    size_t room = sizeof out->text - out->len;
    va_start(args, format);
    int n = vsnprintf(out->text + out->len, room, format, args);
    va_end(args);
    out->len = n < 0 || (size_t)n >= room ? sizeof out->text : out->len + (size_t)n;
}

static void add_hex(struct writing *out, const char *name, const uint8_t *p, size_t len)
{
    char digits[2 * SL_CERT_MAX + 1];
    sl_hex(digits, p, len);
    add(out, "%s = %s\n", name, digits);
    sodium_memzero(digits, sizeof digits);
}

static void compose(struct writing *out, const struct sl_credentials *c, const char *title)
{
    add(out, "# %s\n", title);
    if (c->flock[0] != '\0')
        add(out, "flock = %s\n", c->flock);
    for (size_t i = 0; i < c->n_authorities; i++)
        add_hex(out, keys[AUTHORITY].name, c->authority[i], SL_KEY_LEN);
    for (size_t i = 0; i < c->n_doors; i++)
        add_hex(out, keys[DOOR].name, c->door[i], sizeof c->door[i]);
    if (c->cert_len > 0) {
        add_hex(out, keys[CERTIFICATE].name, c->cert, c->cert_len);
        for (size_t i = 0; i < c->n_tenants; i++)
            add(out, "tenant = %s\n", c->tenant[i]);
        for (size_t i = 0; i < c->n_grants; i++)
            add_hex(out, "grant", c->grant[i], SL_GRANT_LEN);
        add_hex(out, keys[KEY].name, c->seed, sizeof c->seed);
    }
    uint8_t sum[SUM_LEN];
    crypto_generichash(sum, sizeof sum, (const uint8_t *)out->text, out->len, NULL, 0);
    add_hex(out, keys[CHECK].name, sum, sizeof sum);
}

int sl_credentials_write(const char *path, const struct sl_credentials *credentials,
                         const char *title, bool replace)
{
    struct writing out = {.len = 0};
    int r;
    compose(&out, credentials, title);
    if (out.len >= sizeof out.text)
        r = sl_fail(STARLING_EIO, "%s would be longer than %zu bytes", path, sizeof out.text);
    else if (replace)
        r = sl_file_write(path, out.text, out.len, 0600);
    else
        r = sl_file_create(path, out.text, out.len, 0600);
    sodium_memzero(&out, sizeof out);
    return r;
}

void sl_credentials_fini(struct sl_credentials *credentials)
{
    if (credentials != NULL)
        sodium_memzero(credentials, sizeof *credentials);
}
