/* core.c: drive one core as node/ would, and look at all that comes out (core.h). */
#include "tests/fuzz/core.h"

#include "base/pack.h"

/* Calls without time moving on: beyond, the core asks for being called without an end. */
#define TURNS_STILL_MAX 1000

const uint8_t fuzz_c_d[SL_KEY_LEN] = "everybody's CURVE key";
static struct fuzz_person self, peers[FUZZ_PEERS];

struct fuzz_person *fuzz_peer(unsigned number)
{
    struct fuzz_person *p = &peers[number % FUZZ_PEERS];
    if (p->cert_len == 0)
        fuzz_person(p, 10 + number % FUZZ_PEERS);
    return p;
}

/* A line is read to its end, as whoever writes it out would. */
static void read_line(void *context, int level, const char *line)
{
    (void)context;
    FUZZ_CHECK(level >= SL_ERROR && level <= SL_DEBUG && strlen(line) > 0);
}

bool fuzz_core_new(struct fuzz_core *c, bool believe, unsigned fail_at)
{
    if (self.cert_len == 0)
        fuzz_person(&self, 1);
    memset(c, 0, sizeof *c);
    c->now = SL_SEC(1000);
    fuzz_memory_init(&c->memory, fail_at);
    c->crypto = fuzz_crypto(&self, believe);
    c->log = (struct sl_log){.write = read_line, .level = SL_DEBUG};
    c->ports = (struct sl_ports){.alloc = &c->memory.alloc, .crypto = &c->crypto, .log = &c->log};
    struct sl_gossip_config config = {.bundle = *fuzz_bundle(),
                                      .cert = sl_span_of(self.cert, self.cert_len),
                                      .addr = fuzz_address(1),
                                      .host = 1,
                                      .zone = "here",
                                      .seed = 1,
                                      .epoch = UINT64_C(1000) << 16,
                                      .wall_offset_us = SL_SEC(FUZZ_WALL_S) - c->now};
    memcpy(config.c_d, fuzz_c_d, sizeof config.c_d);
    if (sl_gossip_new(&config, &c->ports, c->now, &c->g) < 0) {
        FUZZ_CHECK(fail_at > 0 && c->memory.live == 0);
        return false;
    }
    c->base = c->memory.live;
    fuzz_core_drain(c);
    return true;
}

void fuzz_core_free(struct fuzz_core *c)
{
    sl_gossip_free(c->g);
    FUZZ_CHECK(c->memory.live == 0);
    FUZZ_CHECK(c->memory.peak - c->base <= FUZZ_CORE_EXTRA + 4 * c->received);
}

/* ---- out ---------------------------------------------------------------------------------- */

static void look_at(struct fuzz_core *c, const struct sl_out *o)
{
    switch (o->type) {
    case SL_OUT_SEND:
        FUZZ_CHECK(o->bytes.len > 0 && o->bytes.len <= SL_FRAME_MAX);
        if (o->bytes.p[0] == SL_M1 && o->bytes.len <= sizeof c->m1) {
            memcpy(c->m1, o->bytes.p, o->bytes.len);
            c->m1_len = o->bytes.len;
            c->last_dialled = o->link;
        }
        if (c->on_send)
            c->on_send(c->context, o->link, o->bytes);
        break;
    case SL_OUT_DIAL:
    case SL_OUT_PROBE:
        FUZZ_CHECK(o->link % 2 == 1 && (o->addr.family == 4 || o->addr.family == 6) &&
                   o->addr.port != 0);
        break;
    case SL_OUT_BAR:
        return;
    case SL_OUT_CUT:
        FUZZ_CHECK(o->link != 0);
        break;
    }
}

void fuzz_core_drain(struct fuzz_core *c)
{
    struct sl_out o;
    struct sl_event e;
    while (sl_gossip_next_out(c->g, &o))
        look_at(c, &o);
    while (sl_gossip_next_event(c->g, &e))
        FUZZ_CHECK(e.type <= SL_EV_LEFT && (e.type != SL_EV_RECORD || e.fact->kind == SL_RECORD));
}

/* ---- in ----------------------------------------------------------------------------------- */

void fuzz_core_accept(struct fuzz_core *c)
{
    c->last_accepted += 2;
    (void)!sl_gossip_accept(c->g, c->now, c->last_accepted, fuzz_c_d);
    fuzz_core_drain(c);
}

void fuzz_core_receive(struct fuzz_core *c, sl_link link, struct sl_span bytes)
{
    static const uint8_t nothing[1];
    c->received += bytes.len;
    sl_gossip_receive(c->g, c->now, link, bytes.len > 0 ? bytes.p : nothing, bytes.len);
    fuzz_core_drain(c);
}

void fuzz_core_event(struct fuzz_core *c, sl_link link, enum sl_link_event event)
{
    sl_gossip_link(c->g, c->now, link, event);
    fuzz_core_drain(c);
}

static struct sl_hello hello_of(struct fuzz_person *p, const struct sl_crypto *crypto)
{
    return (struct sl_hello){.crypto = crypto,
                             .bundle = fuzz_bundle(),
                             .cert = sl_span_of(p->cert, p->cert_len),
                             .id = p->id,
                             .wall_s = FUZZ_WALL_S};
}

void fuzz_core_hello(struct fuzz_core *c, sl_link link, unsigned peer)
{
    struct fuzz_person *p = fuzz_peer(peer);
    struct sl_hello h = hello_of(p, &p->crypto);
    uint8_t nonce[SL_NONCE_LEN] = {(uint8_t)link}, m1[SL_M1_MAX];
    size_t len = sl_hello_dial(&h, fuzz_c_d, nonce, NULL, m1);
    fuzz_core_receive(c, link, sl_span_of(m1, len));
}

void fuzz_core_answer(struct fuzz_core *c, unsigned peer)
{
    struct fuzz_person *p = fuzz_peer(peer);
    /* Whoever it wanted: it is to find out by itself that this is somebody else. */
    struct sl_crypto crypto = fuzz_crypto(p, true);
    struct sl_hello h = hello_of(p, &crypto);
    struct sl_cert cert;
    uint8_t nonce[SL_NONCE_LEN] = {1}, m1[SL_M1_MAX], m2[SL_M1_MAX];
    size_t len;
    if (c->m1_len == 0)
        return;
    memcpy(m1, c->m1, c->m1_len);
    if (sl_hello_accept(&h, fuzz_c_d, sl_span_of(m1, c->m1_len), nonce, &cert, m2, &len) == SL_OK)
        fuzz_core_receive(c, c->last_dialled, sl_span_of(m2, len));
}

void fuzz_core_fact(struct fuzz_core *c, sl_link link, struct sl_span fact)
{
    static uint8_t message[SL_RECORD_MAX + 16];
    struct sl_pack w;
    sl_pack_init(&w, message, sizeof message);
    sl_pack_array(&w, 2);
    sl_pack_uint(&w, 4);
    sl_pack_bin(&w, fact.p, fact.len);
    fuzz_core_receive(c, link, sl_span_of(message, w.len));
}

/* ---- time --------------------------------------------------------------------------------- */

void fuzz_core_pass(struct fuzz_core *c, sl_usec span)
{
    sl_usec end = c->now + span;
    for (unsigned still = 0; c->turns < FUZZ_TURNS_MAX; c->turns++) {
        sl_usec due = sl_gossip_deadline(c->g);
        if (due > end)
            break;
        still = due > c->now ? 0 : still + 1;
        FUZZ_CHECK(still < TURNS_STILL_MAX);
        c->now = due > c->now ? due : c->now;
        sl_gossip_tick(c->g, c->now);
        fuzz_core_drain(c);
    }
    c->now = end;
}

void fuzz_core_stall(struct fuzz_core *c, sl_usec span)
{
    c->now += span;
    sl_gossip_tick(c->g, c->now);
    fuzz_core_drain(c);
}
