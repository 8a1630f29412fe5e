/* credentials.c: read a credentials file with libinih. It holds secrets: every copy made here is
 * wiped. */
#include "node/credentials.h"

#include <ini.h>
#include <sodium.h>
#include <starling.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/files.h"

#define FILE_MAX 8192

enum key { AUTHORITY, DOOR, CERTIFICATE, KEY, N_KEYS };

static const struct {
    const char *name;
    size_t max; /* digits */
} keys[N_KEYS] = {
    [AUTHORITY] = {"authority", 2 * SL_AUTHORITIES_MAX *SL_KEY_LEN},
    [DOOR] = {"door", 64},
    [CERTIFICATE] = {"certificate", 2 * SL_CERT_MAX},
    [KEY] = {"key", 64},
};

struct reading {
    const char *path;
    char file[FILE_MAX];
    size_t len, at;
    unsigned line;     /* being read, from 1 */
    unsigned bad_line; /* the first that was refused; the error text says why */
    bool inside;       /* the rest of an overlong line follows */
    char digits[N_KEYS][2 * SL_CERT_MAX];
    size_t n_digits[N_KEYS];
    unsigned at_line[N_KEYS]; /* where each began */
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
    if (in->inside)
        out[n++] = ' ';
    else
        in->line++;
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
    if (k == N_KEYS)
        return refuse_line(in, "the key", "is none of authority, door, certificate, key");
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

/* Digits only were let in, so that nothing but the number of them can be wrong. */
static int decode(const struct reading *in, struct sl_credentials *ret)
{
    const size_t *n = in->n_digits;
    int r = check_length(in, AUTHORITY, n[AUTHORITY] % 64 == 0, "is 64 digits each");
    if (r == 0)
        r = check_length(in, DOOR, n[DOOR] == 64, "is 64 digits");
    if (r == 0)
        r = check_length(in, CERTIFICATE, n[CERTIFICATE] % 2 == 0, "is an even number of digits");
    if (r == 0)
        r = check_length(in, KEY, n[KEY] == 64, "is 64 digits");
    if (r < 0)
        return r;
    ret->n_authorities = n[AUTHORITY] / 64;
    ret->cert_len = n[CERTIFICATE] / 2;
    bool ok = sl_unhex((uint8_t *)ret->authority, n[AUTHORITY] / 2, in->digits[AUTHORITY],
                       n[AUTHORITY]) &&
              sl_unhex(ret->door, sizeof ret->door, in->digits[DOOR], n[DOOR]) &&
              sl_unhex(ret->cert, ret->cert_len, in->digits[CERTIFICATE], n[CERTIFICATE]) &&
              sl_unhex(ret->seed, sizeof ret->seed, in->digits[KEY], n[KEY]);
    return ok ? 0 : sl_fail(STARLING_EAUTH, "%s is damaged", in->path);
}

int sl_credentials_read(const char *path, struct sl_credentials *ret)
{
    struct reading in = {.path = path};
    struct sl_credentials credentials;
    memset(&credentials, 0, sizeof credentials);
    ssize_t n = sl_file_read_given(path, in.file, sizeof in.file);
    int r = (int)n;
    if (n == STARLING_ENOENT || n == STARLING_ELIMIT) {
        r = STARLING_EAUTH; /* the text stands */
    } else if (n >= 0) {
        in.len = (size_t)n;
        int bad = ini_parse_stream(next_piece, &in, take_piece, &in);
        /* libinih counts pieces; our own count is of lines. */
        if (in.bad_line != 0)
            r = STARLING_EAUTH;
        else if (bad != 0)
            r = sl_fail(STARLING_EAUTH, "%s has a line that is not 'key = value'", path);
        else
            r = decode(&in, &credentials);
        sodium_stackzero(1024); /* libinih's line buffer */
    }
    if (r == 0)
        *ret = credentials;
    sodium_memzero(&in, sizeof in);
    sl_credentials_fini(&credentials);
    return r;
}

void sl_credentials_fini(struct sl_credentials *credentials)
{
    if (credentials != NULL)
        sodium_memzero(credentials, sizeof *credentials);
}
