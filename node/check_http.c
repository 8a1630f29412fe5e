/* check_http.c: reading an HTTP/1.1 answer byte by byte (RFC 9112), only as far as health needs it.
 * The whole header must have come before a status counts: half an answer is no answer. Chunks are
 * taken apart, so that a text which they cut in two is found; other codings are never asked for,
 * and what comes in one all the same is searched as it is. */
#include "node/check_http.h"

#include <stdio.h>
#include <strings.h>

/* ---- asking --------------------------------------------------------------------------------- */

static const char *path_fault(const char *path)
{
    if (path[0] != '/')
        return "the path must begin with /";
    for (size_t i = 0; path[i] != '\0'; i++) {
        if (i + 1 == SL_HTTP_PATH_MAX)
            return "the path is longer than 1023 bytes";
        if ((unsigned char)path[i] <= ' ' || path[i] == 0x7f)
            return "the path has spaces or control characters: write them as %XX";
    }
    return NULL;
}

static void prepare_search(struct sl_http *h)
{
    size_t k = 0;
    h->fallback[0] = 0;
    for (size_t i = 1; h->body[i] != '\0'; i++) {
        while (k > 0 && h->body[i] != h->body[k])
            k = h->fallback[k - 1];
        if (h->body[i] == h->body[k])
            k++;
        h->fallback[i] = (uint8_t)k;
    }
}

const char *sl_http_init(struct sl_http *h, const char *path, unsigned status, const char *body)
{
    memset(h, 0, sizeof *h);
    const char *fault = path_fault(path);
    if (fault != NULL)
        return fault;
    if (status != 0 && (status < 200 || status > 599))
        return "the status must be 200-599";
    size_t body_len = body != NULL ? strnlen(body, SL_HTTP_BODY_TEXT_MAX) : 0;
    if (body_len == SL_HTTP_BODY_TEXT_MAX)
        return "the text of the body is longer than 255 bytes";
    memcpy(h->path, path, strlen(path) + 1);
    if (body_len > 0)
        memcpy(h->body, body, body_len + 1);
    h->status = status;
    prepare_search(h);
    return NULL;
}

size_t sl_http_request(struct sl_http *h, const struct sl_addr *to, char out[SL_HTTP_REQUEST_MAX])
{
    char host[SL_ADDR_TEXT];
    sl_addr_format(host, to);
    h->state = SL_HTTP_STATUS_LINE;
    h->line_len = h->n_header = h->n_body = h->n_total = h->matched = 0;
    h->got_status = 0;
    h->chunked = h->has_length = false;
    h->left = 0;
    int len = snprintf(out, SL_HTTP_REQUEST_MAX,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: starling/%d.%d\r\n"
                       "Accept: */*\r\nConnection: close\r\n\r\n",
                       h->path, host, STARLING_VERSION_MAJOR, STARLING_VERSION_MINOR);
    return (size_t)len; /* the limits above leave room for it */
}

/* ---- judging -------------------------------------------------------------------------------- */

static void settle(struct sl_http *h, enum starling_health health, const char *note)
{
    h->state = SL_HTTP_DONE;
    h->health = health;
    (void)snprintf(h->note, sizeof h->note, "%s", note);
}

static void lacks(struct sl_http *h)
{
    char note[STARLING_NOTE_MAX];
    /* The text is up to 255 bytes: what fits, and whole characters of it. */
    int len = (int)strlen(h->body);
    const char *dots = "";
    if (len > 80) {
        len = 80;
        while (len > 0 && ((unsigned char)h->body[len] & 0xc0) == 0x80)
            len--;
        dots = "...";
    }
    (void)snprintf(note, sizeof note, "body lacks \"%.*s%s\"", len, h->body, dots);
    settle(h, STARLING_CRITICAL, note);
}

/* The header is complete. */
static void judge_status(struct sl_http *h)
{
    char note[32];
    unsigned s = h->got_status;
    (void)snprintf(note, sizeof note, "HTTP %u", s);
    if (h->status != 0 ? s == h->status : s >= 200 && s <= 299) {
        if (h->body[0] == '\0')
            settle(h, STARLING_PASSING, "");
        return;
    }
    /* "Too many requests" (RFC 6585): it works, and has enough to do. */
    settle(h, s == 429 ? STARLING_WARNING : STARLING_CRITICAL, note);
}

static void search(struct sl_http *h, char c)
{
    if (++h->n_body > SL_HTTP_BODY_MAX) {
        lacks(h);
        return;
    }
    while (h->matched > 0 && h->body[h->matched] != c)
        h->matched = h->fallback[h->matched - 1];
    if (h->body[h->matched] == c)
        h->matched++;
    if (h->body[h->matched] == '\0')
        settle(h, STARLING_PASSING, "");
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_status(struct sl_http *h)
{
    const char *l = h->line;
    if (h->line_len < 12 || memcmp(l, "HTTP/1.", 7) != 0 || !is_digit(l[7]) || l[8] != ' ' ||
        l[9] < '1' || l[9] > '5' || !is_digit(l[10]) || !is_digit(l[11]) ||
        (h->line_len > 12 && l[12] != ' '))
        return false;
    h->got_status = (unsigned)((l[9] - '0') * 100 + (l[10] - '0') * 10 + (l[11] - '0'));
    return true;
}

/* The value of the header `name`, if this line is one. */
static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    line += len + 1;
    return line + strspn(line, " \t");
}

/* False: no number. */
static bool read_number(const char *text, unsigned base, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t n = 0;
    size_t i = 0;
    for (; text[i] != '\0' && i < 15; i++) { /* always fits */
        char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
        const char *d = memchr(digits, c, base);
        if (d == NULL)
            break;
        n = n * base + (uint64_t)(d - digits);
    }
    *ret = n;
    return i > 0 && (text[i] == '\0' || text[i] == ' ' || text[i] == '\t' || text[i] == ';');
}

static void header_complete(struct sl_http *h)
{
    if (h->got_status < 200) { /* interim: the real one follows */
        h->state = SL_HTTP_STATUS_LINE;
        h->chunked = h->has_length = false;
        return;
    }
    judge_status(h);
    if (h->state == SL_HTTP_DONE)
        return;
    bool none = h->got_status == 204 || h->got_status == 304 ||
                (!h->chunked && h->has_length && h->left == 0);
    if (none)
        lacks(h);
    else
        h->state = h->chunked ? SL_HTTP_CHUNK_SIZE : SL_HTTP_BODY;
}

static void header_line(struct sl_http *h)
{
    if (h->line_len == 0) {
        header_complete(h);
        return;
    }
    const char *value = value_of(h->line, "Content-Length");
    if (value != NULL)
        h->has_length = read_number(value, 10, &h->left);
    value = value_of(h->line, "Transfer-Encoding");
    if (value != NULL && strncasecmp(value, "chunked", 7) == 0)
        h->chunked = true;
}

static void chunk_size(struct sl_http *h)
{
    if (!read_number(h->line, 16, &h->left)) {
        settle(h, STARLING_CRITICAL, "the chunks of the HTTP answer are damaged");
        return;
    }
    if (h->left == 0)
        lacks(h);
    else
        h->state = SL_HTTP_CHUNK_DATA;
}

static void line_complete(struct sl_http *h)
{
    switch (h->state) {
    case SL_HTTP_STATUS_LINE:
        if (read_status(h))
            h->state = SL_HTTP_HEADER_LINE;
        else
            settle(h, STARLING_CRITICAL, "the answer is not HTTP");
        break;
    case SL_HTTP_HEADER_LINE:
        header_line(h);
        break;
    case SL_HTTP_CHUNK_SIZE:
        chunk_size(h);
        break;
    case SL_HTTP_CHUNK_END:
        h->state = SL_HTTP_CHUNK_SIZE;
        break;
    case SL_HTTP_BODY:
    case SL_HTTP_CHUNK_DATA:
    case SL_HTTP_DONE:
        break;
    }
    h->line_len = 0;
}

/* What cannot become "HTTP/1." is told from the first byte: no need to wait for a line. */
static bool begins_wrong(const struct sl_http *h)
{
    size_t len = h->line_len < 7 ? h->line_len : 7;
    return h->state == SL_HTTP_STATUS_LINE && memcmp(h->line, "HTTP/1.", len) != 0;
}

static void line_byte(struct sl_http *h, char c)
{
    if (++h->n_header > SL_HTTP_HEADER_MAX && h->state <= SL_HTTP_HEADER_LINE) {
        settle(h, STARLING_CRITICAL, "the header of the HTTP answer does not end");
        return;
    }
    if (c != '\n') {
        if (h->line_len < sizeof h->line - 1)
            h->line[h->line_len++] = c;
        if (begins_wrong(h))
            settle(h, STARLING_CRITICAL, "the answer is not HTTP");
        return;
    }
    if (h->line_len > 0 && h->line[h->line_len - 1] == '\r')
        h->line_len--;
    h->line[h->line_len] = '\0';
    line_complete(h);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void body_byte(struct sl_http *h, char c)
{
    bool counted = h->state == SL_HTTP_CHUNK_DATA || h->has_length;
    search(h, c);
    if (h->state == SL_HTTP_DONE || !counted || --h->left > 0)
        return;
    if (h->state == SL_HTTP_BODY)
        lacks(h);
    else
        h->state = SL_HTTP_CHUNK_END;
}

bool sl_http_receive(struct sl_http *h, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && h->state != SL_HTTP_DONE; i++) {
        if (++h->n_total > SL_HTTP_TOTAL_MAX)
            settle(h, STARLING_CRITICAL, "the HTTP answer does not end");
        else if (h->state == SL_HTTP_BODY || h->state == SL_HTTP_CHUNK_DATA)
            body_byte(h, (char)bytes[i]);
        else
            line_byte(h, (char)bytes[i]);
    }
    return h->state == SL_HTTP_DONE;
}

void sl_http_ended(struct sl_http *h)
{
    if (h->state == SL_HTTP_DONE)
        return;
    if (h->n_total == 0)
        settle(h, STARLING_CRITICAL, "closed without an HTTP answer");
    else if (h->state <= SL_HTTP_HEADER_LINE)
        settle(h, STARLING_CRITICAL, "the HTTP answer ended in its header");
    else
        lacks(h);
}
