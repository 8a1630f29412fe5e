/* check_http.h: one GET of HTTP/1.1, and what its answer says about health. Bytes in, verdict out;
 * no socket, no clock, no memory but this struct, however much the other end sends. */
#ifndef SL_NODE_CHECK_HTTP_H
#define SL_NODE_CHECK_HTTP_H

#include <starling.h>

#include "base/addr.h"

#define SL_HTTP_PATH_MAX 1024     /* with NUL */
#define SL_HTTP_BODY_TEXT_MAX 256 /* with NUL */
#define SL_HTTP_REQUEST_MAX (SL_HTTP_PATH_MAX + 256)
#define SL_HTTP_HEADER_MAX (16 * 1024) /* bytes of status line and header */
#define SL_HTTP_BODY_MAX (64 * 1024)   /* bytes of the body that are searched */
#define SL_HTTP_TOTAL_MAX (128 * 1024) /* bytes read, what surrounds the chunks included */

struct sl_http {
    /* what is asked and expected */
    char path[SL_HTTP_PATH_MAX];
    unsigned status;                         /* 0 = any 2xx */
    char body[SL_HTTP_BODY_TEXT_MAX];        /* "" = any body */
    uint8_t fallback[SL_HTTP_BODY_TEXT_MAX]; /* Knuth, Morris, Pratt: where to go on after a miss */

    /* of the answer so far */
    enum sl_http_state {
        SL_HTTP_STATUS_LINE,
        SL_HTTP_HEADER_LINE,
        SL_HTTP_BODY, /* up to `left` bytes, or to the end of the connection */
        SL_HTTP_CHUNK_SIZE,
        SL_HTTP_CHUNK_DATA,
        SL_HTTP_CHUNK_END,
        SL_HTTP_DONE
    } state;
    char line[256]; /* its beginning; the rest does not matter */
    size_t line_len;
    size_t n_header, n_body, n_total;
    unsigned got_status;
    bool chunked, has_length;
    uint64_t left;  /* of the body, or of the chunk */
    size_t matched; /* bytes of `body` found up to here */

    enum starling_health health; /* when done */
    char note[STARLING_NOTE_MAX];
};

/* path: "/..." without spaces and control characters; body may be NULL. What is wrong with them
 * as words, or NULL. */
const char *sl_http_init(struct sl_http *h, const char *path, unsigned status, const char *body);
/* Length of the request. Also forgets the last answer. */
size_t sl_http_request(struct sl_http *h, const struct sl_addr *to, char out[SL_HTTP_REQUEST_MAX]);
/* Bytes have come; true when the verdict is there, in `health` and `note`. */
bool sl_http_receive(struct sl_http *h, const uint8_t *bytes, size_t len);
/* The connection has ended: the verdict is there. */
void sl_http_ended(struct sl_http *h);
#endif
