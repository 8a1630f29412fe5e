/* core.h: one core among peers that are played, for the targets that feed it whole messages and
 * sessions. */
#ifndef SL_TESTS_FUZZ_CORE_H
#define SL_TESTS_FUZZ_CORE_H

#include "gossip/gossip.h"
#include "gossip/hello.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_PEERS 6

/* Of one session: a fuzzer learns more from many short ones. */
#define FUZZ_TURNS_MAX 200

/* What a core may hold beyond four bytes for each that came: places for connections, most of all.
 */
#define FUZZ_CORE_EXTRA 65536

struct fuzz_core {
    struct fuzz_memory memory;
    struct sl_crypto crypto;
    struct sl_log log;
    struct sl_ports ports;
    struct sl_gossip *g;
    sl_usec now;
    size_t base;     /* bytes that it held when it was new */
    size_t received; /* bytes since, of peers and of the application */
    unsigned turns;  /* in which time passed, up to FUZZ_TURNS_MAX */
    sl_link last_accepted, last_dialled;
    uint8_t m1[SL_M1_MAX]; /* of the last dial */
    size_t m1_len;
    void (*on_send)(void *context, sl_link link, struct sl_span bytes); /* NULL = nobody looks */
    void *context;
};

/* Peers by their number below FUZZ_PEERS; the core itself is nobody of them. */
struct fuzz_person *fuzz_peer(unsigned number);

/* False: out of memory, which only happens with fail_at. */
bool fuzz_core_new(struct fuzz_core *c, bool believe, unsigned fail_at);
/* Looks whether everything was given back, and how much there was at most. */
void fuzz_core_free(struct fuzz_core *c);

/* The CURVE key that everybody dials with. */
extern const uint8_t fuzz_c_d[SL_KEY_LEN];
/* A peer connects; the next even number. */
void fuzz_core_accept(struct fuzz_core *c);
void fuzz_core_receive(struct fuzz_core *c, sl_link link, struct sl_span bytes);
void fuzz_core_event(struct fuzz_core *c, sl_link link, enum sl_link_event event);
/* The first message of a dialling peer over an accepted link, or a peer's answer to the last dial.
 */
void fuzz_core_hello(struct fuzz_core *c, sl_link link, unsigned peer);
void fuzz_core_answer(struct fuzz_core *c, unsigned peer);
/* A message with one fact. */
void fuzz_core_fact(struct fuzz_core *c, sl_link link, struct sl_span fact);
/* Time passes: looked after all the while, or not. */
void fuzz_core_pass(struct fuzz_core *c, sl_usec span);
void fuzz_core_stall(struct fuzz_core *c, sl_usec span);
/* Take what it wants to happen and to tell. */
void fuzz_core_drain(struct fuzz_core *c);

#endif
