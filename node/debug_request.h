/* debug_request.h: one line to the debug socket, as words or as a JSON object
 * (docs/DEBUG-SOCKET.md). */
#ifndef SL_NODE_DEBUG_REQUEST_H
#define SL_NODE_DEBUG_REQUEST_H

#include "base/types.h"

#define SL_REQUEST_KEY_MAX 255

enum sl_request_cmd {
    SL_ASK_HELP,
    SL_ASK_VERSION,
    SL_ASK_MEMBERS,
    SL_ASK_SERVICES,
    SL_ASK_INFO,
    SL_ASK_WATCH,
    SL_ASK_PICK,
    SL_ASK_WEIGHT,
    SL_ASK_DRAIN,
    SL_ASK_LEAVE
};

struct sl_request {
    enum sl_request_cmd cmd;
    char node[64];     /* of info: a name, an id or the beginning of one; "" = the node itself */
    char service[64];  /* of pick and weight; of watch "" = everything */
    char tenant[64];   /* "default" when not given */
    unsigned strategy; /* of pick: enum starling_strategy; weighted random when not given */
    char key[SL_REQUEST_KEY_MAX + 1]; /* of pick with rendezvous: UTF-8 text without NUL */
    size_t key_len;                   /* bytes; 0 = not given */
    unsigned weight;                  /* of weight: 0-1000 */
    bool base;                        /* of weight: give it back */
    bool has_since;
    uint64_t since; /* of watch */
};

#define SL_REQUEST_ERROR_MAX 200

/* Parse a line without its newline. 0, or STARLING_EINVAL with a sentence in `error`. */
int sl_request_parse(const char *line, size_t len, struct sl_request *ret,
                     char error[SL_REQUEST_ERROR_MAX]) SL_MUST_USE;

#endif
