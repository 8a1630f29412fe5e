/* core_help.h: one core among peers that are played: what reaches it is made here, what it does is looked at. */
#ifndef SL_TESTS_CORE_HELP_H
#define SL_TESTS_CORE_HELP_H

#include <check.h>

#include "base/pack.h"
#include "flock.h"
#include "gossip/hello.h"

#define PEERS 6

static struct person self, peers[PEERS];
static struct sl_gossip *g;
static struct sl_log quiet;
static struct sl_ports ports;
static sl_usec now;
static uint8_t bytes[SL_FRAME_MAX];
static uint8_t c_peer[32] = "a peer's CURVE key";

/* What it wanted to send and to tell since the test last looked, for who wants to look. */
static void (*on_out)(const struct sl_out *o);
static void (*on_event)(const struct sl_event *e);

/* Peers that answer beats: the core then has no reason to doubt itself, or them. */
static bool answering;

struct echo {
    sl_link link;
    uint64_t seq;
};

static inline bool is_beat(const struct sl_out *o, uint64_t *ret_seq)
{
    struct sl_read r;
    size_t n;
    uint64_t type;
    sl_read_init(&r, o->bytes.p, o->bytes.len);
    return o->type == SL_OUT_SEND && sl_read_array(&r, 16, &n) && sl_read_uint(&r, 255, &type) && type == 1 &&
           sl_read_uint(&r, UINT32_MAX, ret_seq);
}

static inline void send_echo(const struct echo *e)
{
    uint8_t out[64];
    struct sl_pack w;
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 8);
    sl_pack_uint(&w, 2);
    sl_pack_uint(&w, e->seq);
    for (int element = 0; element < 3; element++)
        sl_pack_uint(&w, element == 0); /* seq, promise, free slots */
    sl_pack_uint(&w, i.root);
    sl_pack_uint(&w, 0);
    sl_pack_uint(&w, 0);
    sl_gossip_receive(g, now, e->link, out, w.len);
}

static inline void drain(void)
{
    struct sl_out o;
    struct sl_event e;
    struct echo echoes[32];
    size_t n = 0;
    while (sl_gossip_next_out(g, &o)) {
        if (on_out)
            on_out(&o);
        if (answering && n < 32 && is_beat(&o, &echoes[n].seq))
            echoes[n++].link = o.link;
    }
    for (size_t i = 0; i < n; i++)
        send_echo(&echoes[i]);
    if (n > 0)
        drain();
    while (sl_gossip_next_event(g, &e)) {
        if (on_event)
            on_event(&e);
    }
}

static inline struct sl_gossip *core_new(void)
{
    struct sl_gossip *core;
    struct sl_gossip_config c = {.bundle = bundle, .cert = sl_span_of(self.cert, self.cert_len),
                                 .addr = address_number(1), .seed = 1, .epoch = UINT64_C(1000) << 16,
                                 .wall_offset_us = SL_SEC(1700000000)};
    ports = (struct sl_ports){.alloc = &sl_alloc_system, .crypto = &self.crypto, .log = &quiet};
    ck_assert_int_eq(sl_gossip_new(&c, &ports, now, &core), 0);
    return core;
}

/* Open a link to the core as peer `p`. */
static inline void link_as(const struct person *p, sl_link link)
{
    struct sl_hello h = {.crypto = &p->crypto, .bundle = &bundle, .cert = sl_span_of(p->cert, p->cert_len),
                         .id = p->id, .wall_s = 1700000000};
    uint8_t nonce[SL_NONCE_LEN] = {(uint8_t)link}, m1[SL_M1_MAX];
    ck_assert(sl_gossip_accept(g, now, link, c_peer));
    sl_gossip_receive(g, now, link, m1, sl_hello_dial(&h, c_peer, nonce, NULL, m1));
    drain();
}

static inline void setup(void)
{
    flock_make(1);
    person_make(&self, 1);
    for (uint8_t i = 0; i < PEERS; i++)
        person_make(&peers[i], (uint8_t)(10 + i));
    now = SL_SEC(1000);
    answering = false;
    g = core_new();
    link_as(&peers[0], 2);
}

static inline void teardown(void)
{
    sl_gossip_free(g);
}

/* Hand the core one fact over the link of peer 0. */
static inline void give(const uint8_t *fact, size_t len)
{
    size_t n = 0;
    bytes[n++] = 0x92; /* [4, bin] */
    bytes[n++] = 4;
    bytes[n++] = 0xc5;
    bytes[n++] = (uint8_t)(len >> 8);
    bytes[n++] = (uint8_t)len;
    memcpy(bytes + n, fact, len);
    sl_gossip_receive(g, now, 2, bytes, n + len);
    drain();
}

static inline void give_record(unsigned p, uint64_t epoch, uint64_t seq)
{
    uint8_t fact[SL_RECORD_MAX];
    give(fact, record_make(&peers[p], (uint8_t)(10 + p), epoch, seq, fact));
}

static inline void give_vitals(unsigned p, uint64_t epoch, uint64_t seq, struct sl_vitals v)
{
    uint8_t fact[SL_VITALS_MAX];
    give(fact, vitals_make(&peers[p], epoch, seq, v, fact));
}

static inline void accuse(unsigned by, uint64_t seq, unsigned whom, uint64_t seen)
{
    uint8_t fact[SL_SIGHTINGS_MAX];
    struct sl_sighting s = {.accused = peers[whom].id, .how = SL_SILENT, .seen = {5, seen}};
    give(fact, sighting_make(&peers[by], 5, seq, &s, 1, fact));
}

static inline enum sl_status status_of(unsigned p)
{
    struct sl_member_info m;
    ck_assert(sl_gossip_find(g, &peers[p].id, &m));
    return m.status;
}

static inline struct sl_version version_of(unsigned p)
{
    struct sl_member_info m;
    return sl_gossip_find(g, &peers[p].id, &m) ? m.version : (struct sl_version){0, 0};
}

static inline struct sl_gossip_stats stats(void)
{
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    return i.stats;
}

static inline uint64_t root(void)
{
    struct sl_gossip_info i;
    sl_gossip_info(g, &i);
    return i.root;
}

/* Everybody is here, and long enough for their word to count. */
static inline void everybody(void)
{
    for (unsigned p = 0; p < PEERS; p++) {
        give_record(p, 5, 1);
        give_vitals(p, 5, 2, (struct sl_vitals){0});
    }
}

/* Let time pass as an attentive driver does: called whenever something is due. */
static inline void pass(sl_usec span)
{
    sl_usec end = now + span;
    for (;;) {
        sl_usec due = sl_gossip_deadline(g);
        if (due > end)
            break;
        now = due > now ? due : now;
        sl_gossip_tick(g, now);
        drain();
    }
    now = end;
}

#endif
