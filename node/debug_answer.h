/* debug_answer.h: answers in pieces, made as the client reads. */
#ifndef SL_NODE_DEBUG_ANSWER_H
#define SL_NODE_DEBUG_ANSWER_H

#include "node/debug_request.h"
#include "node/node.h"

/* What is still to be sent to a client: bytes [sent, len). */
struct sl_text {
    char *p;
    size_t len, cap, sent;
    bool
        failed; /* a piece did not fit in memory or under SL_TEXT_MAX: the client must be dropped */
};
#define SL_TEXT_MAX (1024 * 1024)

void sl_text_fini(struct sl_text *t);
void sl_text_add(struct sl_text *t, const char *p, size_t len);

enum sl_answer_state {
    SL_ANSWER_MORE, /* a piece was added; ask again */
    SL_ANSWER_DONE, /* the line is complete */
    SL_ANSWER_WAIT, /* watch: nothing to say until there are events */
    SL_ANSWER_BUSY  /* the store's lock is taken; ask again a millisecond later */
};

/* Where an answer has got to. Everything is remembered by name, since the tables change between
 * pieces. */
struct sl_answer {
    struct sl_request ask;
    int stage;
    size_t i, k;
    char tenant[64], service[64]; /* the service being listed */
    char node[64];                /* its last instance */
    struct sl_id id;
    bool comma;
    uint64_t cursor; /* of watch: number of the last event */
};

void sl_answer_start(struct sl_answer *a, const struct sl_request *ask);
enum sl_answer_state sl_answer_step(struct sl_answer *a, starling_node *node, struct sl_rand *rand,
                                    sl_usec now, struct sl_text *out);
/* A whole line: {"ok":false,...}. */
void sl_answer_error(struct sl_text *out, int code, const char *text);

#endif
