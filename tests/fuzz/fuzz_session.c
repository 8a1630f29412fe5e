/* fuzz_session.c: a whole session of one core: connections that come, prove themselves, speak,
 * break and are dialled, time that passes with and without somebody who looks after the core, what
 * the application says meanwhile. The input: a byte of modes (1: every signature verifies; 2: the
 * next byte says which allocation fails), then steps, each a byte and what it takes (enum step). In
 * the first mode an altered fact comes as far as that of a member which signs whatever it likes;
 * without it, steps FACT and HELLO still sign what the input says in a peer's name. */
#include "tests/fuzz/core.h"

/* A step of two bytes may let a peer say some hundred: fuzz_core_free has the sharper limit. */
const struct fuzz_cost fuzz_cost = {.fixed = FUZZ_CORE_EXTRA, .per_byte = 1024};

#define STEPS_MAX 128

enum step {
    RECEIVE,
    RECEIVE_TOO,
    ACCEPT,
    EVENT,
    PASS,
    STALL,
    HELLO,
    ANSWER,
    PUT,
    SEED,
    FACT,
    LEAVE,
    WALL,
    MEET
};

static sl_link link_of(struct sl_span *in)
{
    return fuzz_byte(in);
}

static void sign_and_send(struct fuzz_core *c, struct sl_span *in)
{
    static uint8_t fact[SL_RECORD_MAX];
    sl_link link = link_of(in);
    struct fuzz_person *p = fuzz_peer(fuzz_byte(in));
    uint8_t kind = fuzz_byte(in);
    uint64_t epoch = fuzz_byte(in), seq = fuzz_byte(in);
    struct sl_span body = fuzz_chunk(in);
    size_t len = kind == 0 ? 0 : fuzz_fact(p, kind, epoch, seq, body, fact);
    fuzz_core_fact(c, link, sl_span_of(fact, len));
}

static void put(struct fuzz_core *c, struct sl_span *in)
{
    uint8_t kind = fuzz_byte(in);
    struct sl_span sections = fuzz_chunk(in);
    c->received += sections.len;
    (void)!sl_gossip_put(c->g, c->now, (enum sl_kind)(kind & 7), sections, (kind & 8) != 0);
    fuzz_core_drain(c);
}

static void seed(struct fuzz_core *c, struct sl_span *in)
{
    uint8_t number = fuzz_byte(in);
    struct sl_addr addr = fuzz_address(number & 127);
    if (number & 128)
        sl_gossip_unseed(c->g, &addr);
    else
        sl_gossip_seed(c->g, c->now, &addr);
}

/* A peer connects, proves itself and shows its record. */
static void meet(struct fuzz_core *c, struct sl_span *in)
{
    static uint8_t fact[SL_RECORD_MAX];
    unsigned peer = fuzz_byte(in) % FUZZ_PEERS;
    fuzz_core_accept(c);
    fuzz_core_hello(c, c->last_accepted, peer);
    size_t len = fuzz_record(fuzz_peer(peer), 10 + peer, 1, sl_span_of(NULL, 0), fact);
    fuzz_core_fact(c, c->last_accepted, sl_span_of(fact, len));
}

static void take_step(struct fuzz_core *c, struct sl_span *in)
{
    sl_link link;
    switch ((enum step)(fuzz_byte(in) & 15)) {
    case RECEIVE:
    case RECEIVE_TOO:
        link = link_of(in);
        fuzz_core_receive(c, link, fuzz_chunk(in));
        return;
    case ACCEPT:
        fuzz_core_accept(c);
        return;
    case EVENT:
        link = link_of(in);
        fuzz_core_event(c, link, (enum sl_link_event)(fuzz_byte(in) & 3));
        return;
    case PASS:
        fuzz_core_pass(c, SL_MS(fuzz_number(in)));
        return;
    case STALL:
        fuzz_core_stall(c, SL_MS(fuzz_number(in)));
        return;
    case HELLO:
        link = link_of(in);
        fuzz_core_hello(c, link, fuzz_byte(in));
        return;
    case ANSWER:
        fuzz_core_answer(c, fuzz_byte(in));
        return;
    case PUT:
        put(c, in);
        return;
    case SEED:
        seed(c, in);
        return;
    case FACT:
        sign_and_send(c, in);
        return;
    case LEAVE:
        sl_gossip_leave(c->g, c->now);
        fuzz_core_drain(c);
        return;
    case WALL:
        sl_gossip_wall(c->g, SL_SEC(FUZZ_WALL_S) + SL_SEC(fuzz_number(in)));
        return;
    case MEET:
        meet(c, in);
        return;
    }
}

static void look_inside(struct fuzz_core *c)
{
    struct sl_gossip_info info;
    struct sl_member_info m;
    size_t n = 0;
    sl_gossip_info(c->g, &info);
    for (size_t i = 0; i < sl_gossip_n_members(c->g); i++)
        n += sl_gossip_member(c->g, i, &m);
    FUZZ_CHECK(n == info.n_members && info.n_alive <= n && info.n_links <= SL_LINKS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_core c;
    struct sl_span in = sl_span_of(data, size);
    uint8_t mode = fuzz_byte(&in);
    unsigned fail_at = mode & 2 ? fuzz_byte(&in) : 0;
    if (!fuzz_core_new(&c, (mode & 1) != 0, fail_at))
        return 0;
    for (int i = 0; i < STEPS_MAX && in.len > 0; i++)
        take_step(&c, &in);
    look_inside(&c);
    fuzz_core_free(&c);
    return 0;
}
