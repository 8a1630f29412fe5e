/* verify.c: what it costs a node to check what the others say of themselves.
 *
 * One core with libsodium's signatures knows a flock of 1,000, each of whom offers three services and
 * publishes its record anew every 60 s. Sixteen of them are linked to it; each new record comes over
 * four of these links, as it does in a flock (PROTOCOL.md, "Spreading": 3.8 copies), and the core
 * passes on what it has to. What is counted is the processor time of receiving, verifying, merging,
 * passing on and feeding the registry; not that of ZeroMQ's encryption, nor of making the facts. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/pack.h"
#include "bench/bench.h"
#include "gossip/gossip.h"
#include "gossip/hello.h"
#include "node/crypto.h"
#include "store/store.h"

enum { MEMBERS = 1000, LINKS = 16, COPIES = 4, SERVICES = 3, PERIOD_S = 60 };
enum { WALL_S = 1700000000, FACT_MAX = 2048, ECHOES_MAX = 64 };

struct member {
    struct sl_signer signer;
    struct sl_crypto crypto;
    struct sl_id id;
    uint8_t cert[SL_CERT_MAX];
    size_t cert_len;
    uint8_t fact[FACT_MAX]; /* the newest record */
    size_t fact_len;
};

static struct member self, members[MEMBERS];
static struct sl_bundle bundle;
static struct sl_crypto authority;
static struct sl_signer authority_signer;
static struct sl_gossip *g;
static struct sl_store *store;
static sl_usec now = SL_SEC(1000);
static const uint8_t c_d[SL_KEY_LEN] = "everybody's CURVE key";

/* ---- who there is --------------------------------------------------------------------------- */

static void make_signer(struct sl_signer *s, unsigned number)
{
    uint8_t seed[32] = {(uint8_t)(number >> 8), (uint8_t)number, 1};
    sl_signer_from_seed(s, seed);
}

static void make_authority(void)
{
    make_signer(&authority_signer, 60000);
    authority = sl_crypto_port(&authority_signer);
    sl_flock_id(&authority, "bench", bundle.flock);
    memcpy(bundle.authority[0], authority_signer.public_key, SL_KEY_LEN);
    bundle.n_authorities = 1;
}

static void make_member(struct member *m, unsigned number)
{
    struct sl_cert cert = {.not_after = INT64_C(2) * WALL_S};
    make_signer(&m->signer, number);
    m->crypto = sl_crypto_port(&m->signer);
    sl_issuer_id(&authority, bundle.authority[0], cert.issuer);
    memcpy(cert.flock, bundle.flock, SL_FLOCK_LEN);
    memcpy(cert.key, m->signer.public_key, SL_KEY_LEN);
    (void)snprintf(cert.name, sizeof cert.name, "node-%04u", number);
    m->cert_len = sl_cert_sign(&authority, &cert, m->cert);
    must(m->cert_len > 0, "a certificate");
    sl_node_id(&authority, cert.key, &m->id);
}

static size_t sections_of(unsigned number, uint8_t *out, size_t cap)
{
    static const char key[] = "env", value[] = "production";
    struct sl_service services[SERVICES] = {0};
    const struct sl_service *list[SERVICES];
    for (unsigned i = 0; i < SERVICES; i++) {
        struct sl_service *s = &services[i];
        (void)snprintf(s->tenant, sizeof s->tenant, "default");
        (void)snprintf(s->name, sizeof s->name, "service-%u", (number + i) % 30);
        (void)snprintf(s->version, sizeof s->version, "1.4.2");
        s->port = (uint16_t)(8000 + i);
        s->base_weight = s->weight = 100;
        s->meta[0] = (struct sl_service_meta){sl_span_of(key, sizeof key - 1),
                                              sl_span_of(value, sizeof value - 1)};
        s->n_meta = 1;
        list[i] = s;
    }
    return sl_sections_write_record(list, SERVICES, out, cap);
}

/* Its record again, newer. */
static void publish(unsigned number, uint64_t seq)
{
    struct member *m = &members[number];
    uint8_t sections[FACT_MAX], body[FACT_MAX];
    struct sl_record record = {.cert = sl_span_of(m->cert, m->cert_len), .host = number + 1};
    record.addr = (struct sl_addr){.family = 4,
                                   .ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number},
                                   .port = 7700};
    record.sections = sl_span_of(sections, sections_of(number, sections, sizeof sections));
    struct sl_fact_header header = {
        .kind = SL_RECORD, .origin = m->id, .version = {UINT64_C(1) << 40, seq}};
    size_t len = sl_record_write(&record, body, sizeof body);
    m->fact_len =
        sl_fact_sign(&m->crypto, &bundle, &header, sl_span_of(body, len), m->fact);
    must(m->fact_len > 0, "a record");
}

/* ---- the core ------------------------------------------------------------------------------- */

static void make_core(void)
{
    static struct sl_log silent;
    static struct sl_ports ports;
    make_member(&self, 50000);
    ports = (struct sl_ports){.alloc = &sl_alloc_system, .crypto = &self.crypto, .log = &silent};
    struct sl_gossip_config config = {.bundle = bundle,
                                      .cert = sl_span_of(self.cert, self.cert_len),
                                      .addr = {.family = 4, .ip = {10, 1, 0, 1}, .port = 7700},
                                      .seed = 1,
                                      .epoch = UINT64_C(1000) << 16,
                                      .wall_offset_us = SL_SEC(WALL_S) - now};
    must(sl_gossip_new(&config, &ports, now, &g) == 0, "a core");
    must(sl_store_new(&sl_alloc_system, 1, NULL, &store) == 0, "a registry");
}

/* The number of a beat, so that it can be answered; 0 for all else. */
static uint64_t beat_of(const struct sl_out *o)
{
    struct sl_read r;
    size_t n;
    uint64_t type, seq;
    sl_read_init(&r, o->bytes.p, o->bytes.len);
    bool beat = o->type == SL_OUT_SEND && sl_read_array(&r, 16, &n) &&
                sl_read_uint(&r, 255, &type) && type == 1 && sl_read_uint(&r, UINT32_MAX, &seq);
    return beat ? seq : 0;
}

/* Our peers hold what we hold, and promise no beat of their own. */
static void answer(sl_link link, uint64_t seq)
{
    struct sl_gossip_info info;
    struct sl_pack w;
    uint8_t out[64];
    sl_gossip_info(g, &info);
    const uint64_t echo[] = {2, seq, 1, 0, 0, info.root, 0, 0}; /* PROTOCOL.md, "A link" */
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, sizeof echo / sizeof echo[0]);
    for (size_t i = 0; i < sizeof echo / sizeof echo[0]; i++)
        sl_pack_uint(&w, echo[i]);
    sl_gossip_receive(g, now, link, out, w.len);
}

static void feed(const struct sl_event *e)
{
    struct sl_record record;
    struct sl_store_member member = {.id = e->id, .self = e->self, .epoch = 1};
    if (e->type != SL_EV_RECORD || !sl_record_read(sl_fact_body(e->fact), &record))
        return;
    member.addr = record.addr;
    must(sl_store_member(store, &member) == 0, "feeding a member");
    must(sl_store_record(store, &e->id, record.sections) == 0, "feeding a record");
}

static void drain(void)
{
    struct sl_out o;
    struct sl_event e;
    struct {
        sl_link link;
        uint64_t seq;
    } echoes[ECHOES_MAX];
    size_t n = 0;
    bool told = false;
    while (sl_gossip_next_out(g, &o)) {
        uint64_t seq = beat_of(&o);
        if (seq != 0 && n < ECHOES_MAX) {
            echoes[n].link = o.link;
            echoes[n++].seq = seq;
        }
    }
    for (size_t i = 0; i < n; i++)
        answer(echoes[i].link, echoes[i].seq);
    while (sl_gossip_next_event(g, &e)) {
        told = true;
        feed(&e);
    }
    must(!told || sl_store_publish(store, now) == 0, "publishing");
}

/* Time passes up to `end`; the core is called whenever it asks to be. */
static void pass(sl_usec end)
{
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

static void receive(sl_link link, const struct member *m)
{
    uint8_t message[FACT_MAX + 16];
    struct sl_pack w;
    sl_pack_init(&w, message, sizeof message);
    sl_pack_array(&w, 2);
    sl_pack_uint(&w, 4);
    sl_pack_bin(&w, m->fact, m->fact_len);
    sl_gossip_receive(g, now, link, message, w.len);
    drain();
}

static sl_link link_of(unsigned peer)
{
    return 2 * (sl_link)(peer + 1); /* accepted links have even numbers */
}

static void connect_peer(unsigned peer)
{
    struct member *m = &members[peer];
    struct sl_hello h = {.crypto = &m->crypto,
                         .bundle = &bundle,
                         .cert = sl_span_of(m->cert, m->cert_len),
                         .id = m->id,
                         .wall_s = WALL_S};
    uint8_t nonce[SL_NONCE_LEN] = {(uint8_t)peer}, m1[SL_M1_MAX];
    must(sl_gossip_accept(g, now, link_of(peer), c_d), "a place for a link");
    size_t len = sl_hello_dial(&h, c_d, nonce, NULL, m1);
    sl_gossip_receive(g, now, link_of(peer), m1, len);
    drain();
    receive(link_of(peer), m);
}

static void make_flock(void)
{
    make_authority();
    make_core();
    for (unsigned i = 0; i < MEMBERS; i++) {
        make_member(&members[i], i);
        publish(i, 1);
    }
    for (unsigned i = 0; i < LINKS; i++)
        connect_peer(i);
    for (unsigned i = LINKS; i < MEMBERS; i++) {
        pass(now + SL_MS(10));
        receive(link_of(i % LINKS), &members[i]);
    }
    pass(now + SL_SEC(5));
}

/* ---- what is measured ----------------------------------------------------------------------- */

static uint64_t verified(void)
{
    struct sl_gossip_info info;
    sl_gossip_info(g, &info);
    return info.stats.facts_verified;
}

/* A minute of the flock, or a minute in which nobody says anything new: nanoseconds of processor. */
static double minute(bool news)
{
    double begin = cpu_ns();
    for (unsigned i = 0; i < MEMBERS; i++) {
        for (unsigned copy = 0; news && copy < COPIES; copy++)
            receive(link_of((i + 5 * copy) % LINKS), &members[i]);
        pass(now + SL_SEC(PERIOD_S) / MEMBERS);
    }
    return cpu_ns() - begin;
}

/* The signatures of these records alone. */
static double bare(void)
{
    double begin = cpu_ns();
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *m = &members[i];
        size_t len = m->fact_len - SL_SIG_LEN;
        must(crypto_sign_verify_detached(m->fact + len, m->fact, len, m->signer.public_key) != 2,
             "verifying"); /* without the domain in front it does not hold, at the same price */
    }
    return cpu_ns() - begin;
}

int main(void)
{
    double busy[ROUNDS], idle[ROUNDS], signature[ROUNDS];
    must(sl_crypto_setup() == 0, "libsodium");
    make_flock();
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < MEMBERS; i++)
            publish(i, 2 + round);
        idle[round] = minute(false);
        uint64_t before = verified();
        busy[round] = minute(true);
        must(verified() == before + MEMBERS, "each record verified once");
        signature[round] = bare();
    }
    const double all = quantile(busy, ROUNDS, 0.5), rest = quantile(idle, ROUNDS, 0.5);
    const struct baseline baseline[] = {
        {"bare_signature_us", quantile(signature, ROUNDS, 0.5) / MEMBERS / 1e3},
        {"bytes_of_a_record", (double)members[0].fact_len},
        {"copies", COPIES},
        {"links", LINKS},
        {"percent_of_a_core_without_news", 100 * rest / (PERIOD_S * 1e9)}};
    report(&(struct figure){
        .bench = "verify",
        .what = "records of three services checked, merged and passed on, by one core at work",
        .value = MEMBERS / ((all - rest) / 1e9),
        .unit = "facts/s",
        .baseline = baseline,
        .n_baseline = 5});
    report(&(struct figure){
        .bench = "verify",
        .what = "of a core: 1,000 nodes with three services, published anew every 60 s",
        .value = 100 * all / (PERIOD_S * 1e9),
        .unit = "%",
        .bound = AT_MOST,
        .limit = 1,
        .baseline = baseline,
        .n_baseline = 5});
    sl_gossip_free(g);
    sl_store_free(store);
    return n_missed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
