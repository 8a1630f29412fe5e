/* seeds.c: write the seeds of all corpora, with the encoders that the library has, so that they can
 * be made anew after a change of the wire: tests/fuzz/seeds DIRECTORY (tests/fuzz/corpus). What a
 * fuzzer or a bug has added there is left as it is. */
#include <errno.h>
#include <sodium.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/pack.h"
#include "node/authority.h"
#include "node/grant.h"
#include "node/snapshot_file.h"
#include "store/store.h"
#include "tests/fuzz/core.h"

static const char *top;
static uint8_t buffer[SL_FRAME_MAX], text[4 * SL_FRAME_MAX];

static void save(const char *target, const char *name, const void *p, size_t len)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", top, target);
    FUZZ_CHECK(mkdir(path, 0777) == 0 || errno == EEXIST);
    (void)snprintf(path, sizeof path, "%s/%s/seed-%s", top, target, name);
    FILE *f = fopen(path, "wb");
    FUZZ_CHECK(f != NULL && fwrite(p, 1, len, f) == len && fclose(f) == 0);
}

/* With `lead` bytes in front, as most targets have some. */
static void save_led(const char *target, const char *name, const char *lead, size_t lead_len,
                     const void *p, size_t len)
{
    memcpy(text, lead, lead_len);
    if (len > 0)
        memcpy(text + lead_len, p, len);
    save(target, name, text, lead_len + len);
}

static void save_text(const char *target, const char *name, const char *p)
{
    save(target, name, p, strlen(p));
}

/* ---- services ----------------------------------------------------------------------------- */

static struct sl_service services[3];

static void make_services(void)
{
    static const char *const names[] = {"web", "api", "db"};
    for (size_t i = 0; i < SL_COUNT(services); i++) {
        struct sl_service *s = &services[i];
        *s = (struct sl_service){
            .tenant = "default", .port = (uint16_t)(80 + i), .base_weight = 100, .weight = 50};
        memcpy(s->name, names[i], strlen(names[i]) + 1);
        s->health = (uint8_t)i;
    }
    memcpy(services[1].host, "10.0.0.1", 9);
    memcpy(services[1].version, "1.4.2-rc1", 10);
    memcpy(services[1].note, "HTTP 429", 9);
    services[1].meta[0] = (struct sl_service_meta){sl_span_of("version", 7), sl_span_of("blue", 4)};
    services[1].meta[1] = (struct sl_service_meta){sl_span_of("\xc3\xa9", 2), sl_span_of("", 0)};
    services[1].n_meta = 2;
}

static size_t sections(size_t n, bool vitals, uint8_t *out, size_t cap)
{
    const struct sl_service *list[SL_COUNT(services)];
    for (size_t i = 0; i < n; i++)
        list[i] = &services[i];
    size_t len = vitals ? sl_sections_write_vitals(list, n, out, cap)
                        : sl_sections_write_record(list, n, out, cap);
    FUZZ_CHECK(len > 0);
    return len;
}

/* A piece of fuzz_reveal.c: what it is, and a chunk. */
static void piece(struct sl_pack *w, uint8_t what, const void *p, size_t len)
{
    w->p[w->len] = what;
    sl_put16(w->p + w->len + 1, (uint16_t)len);
    memcpy(w->p + w->len + 3, p, len);
    w->len += 3 + len;
}

/* In clear, and of two tenants, as pieces that are sealed; each way to read them once. */
static void seed_reveal(const uint8_t *record, size_t record_len, const uint8_t *vitals,
                        size_t vitals_len)
{
    static const char *const tenants[] = {"blue", "red"};
    uint8_t sealed[1024];
    save_led("reveal", "clear-record", "\0", 1, record, record_len);
    save_led("reveal", "clear-vitals", "\1", 1, vitals, vitals_len);
    struct sl_pack w = {.p = buffer, .cap = sizeof buffer, .len = 1};
    piece(&w, 0,
          "\x97\xa0\xa3"
          "api"
          "\xa0\x50\xa0\x64\x80",
          12);
    for (size_t t = 0; t < SL_COUNT(tenants); t++) {
        memcpy(services[0].tenant, tenants[t], strlen(tenants[t]) + 1);
        piece(&w, (uint8_t)(1 + 2 * t), sealed, sections(1, false, sealed, sizeof sealed));
    }
    static const char *const ways[] = {"pieces", "one-key", "listed", "named"};
    for (size_t i = 0; i < SL_COUNT(ways); i++) {
        buffer[0] = (uint8_t)(2 | (i > 0 ? 2u << i : 0));
        save("reveal", ways[i], buffer, w.len);
    }
    save("service", "tenant", sealed, sections(1, false, sealed, sizeof sealed));
    w.len = 1;
    buffer[0] = 3;
    piece(&w, 3, sealed, sections(1, true, sealed, sizeof sealed));
    save("reveal", "sealed-vitals", buffer, w.len);
    memcpy(services[0].tenant, "default", 8);
}

static void seed_services(void)
{
    save("service", "none", buffer, sections(0, false, buffer, sizeof buffer));
    save("service", "three", buffer, sections(3, false, buffer, sizeof buffer));
    save("health", "none", buffer, sections(0, true, buffer, sizeof buffer));
    save("health", "three", buffer, sections(3, true, buffer, sizeof buffer));

    save("health", "half-a-character", "\x91\x94\1\0\1\xa1\xc3", 7);

    /* fail_at, range, selector; member 1, its record, its vitals, publish; forget, publish */
    uint8_t record[1024], vitals[1024];
    size_t record_len = sections(3, false, record, sizeof record),
           vitals_len = sections(3, true, vitals, sizeof vitals);
    struct sl_pack w = {.p = buffer, .cap = sizeof buffer};
    static const char lead[] = "\0>=1\0version\0\x10\0\x12";
    memcpy(w.p, lead, sizeof lead - 1);
    w.len = sizeof lead - 1;
    w.p[w.len++] = 0;
    sl_put16(w.p + w.len, (uint16_t)record_len);
    memcpy(w.p + w.len + 2, record, record_len);
    w.len += 2 + record_len;
    w.p[w.len++] = 0x14;
    w.p[w.len++] = 0;
    sl_put16(w.p + w.len, (uint16_t)vitals_len);
    memcpy(w.p + w.len + 2, vitals, vitals_len);
    w.len += 2 + vitals_len;
    memcpy(w.p + w.len, "\x17\0\x10\x02\x17\0\x15\0\x17\0", 10);
    save("store", "life", buffer, w.len + 10);
    buffer[0] = 9;
    save("store", "no-memory", buffer, w.len + 10);

    seed_reveal(record, record_len, vitals, vitals_len);
    static const char spec[] = ">=1.2 <2\0version=blue,!old,zone!=b\0"
                               "1.4.2\0\7\4versionblue\4\0zone";
    save("spec", "match", spec, sizeof spec - 1);
    static const char loose[] = "1.4\0\0v1.4.9+build\0";
    save("spec", "version-alone", loose, sizeof loose - 1);
}

/* ---- facts -------------------------------------------------------------------------------- */

static void seed_bodies(void)
{
    uint8_t inner[1024], deny[(SL_DENY_MAX + 1) * SL_ID_LEN] = {1};
    struct fuzz_person *p = fuzz_peer(0);
    struct sl_record r = {.cert = sl_span_of(p->cert, p->cert_len),
                          .addr = fuzz_address(10),
                          .host = 77,
                          .zone = sl_span_of("here", 4),
                          .flags = SL_RECORD_LASTING};
    r.sections = sl_span_of(inner, sections(3, false, inner, sizeof inner));
    save("record", "v4", buffer, sl_record_write(&r, buffer, sizeof buffer));
    r.addr.family = 6;
    r.sections.len = 0;
    save("record", "v6", buffer, sl_record_write(&r, buffer, sizeof buffer));

    struct sl_vitals v = {.answered = 300,
                          .state = SL_DRAINING,
                          .urgent = 1,
                          .deny = sl_span_of(deny, 2 * SL_ID_LEN)};
    v.sections = sl_span_of(inner, sections(3, true, inner, sizeof inner));
    save("vitals", "deny", buffer, sl_vitals_write(&v, buffer, sizeof buffer));
    v.deny.len = sizeof deny;
    save("vitals", "deny-too-many", buffer, sl_vitals_write(&v, buffer, sizeof buffer));
    v.deny.len = v.sections.len = 0;
    save("vitals", "plain", buffer, sl_vitals_write(&v, buffer, sizeof buffer));

    struct sl_sighting s[] = {{fuzz_peer(1)->id, SL_SILENT, {5, 1}},
                              {fuzz_peer(2)->id, SL_REFUSED, {INT64_MAX, 70000}}};
    save("sightings", "none", buffer, sl_sightings_write(s, 0, buffer, sizeof buffer));
    save("sightings", "two", buffer, sl_sightings_write(s, 2, buffer, sizeof buffer));
    static struct sl_sighting many[SL_SIGHTING_ENTRIES_MAX + 1];
    for (size_t i = 0; i < SL_COUNT(many); i++)
        many[i] = s[0];
    save("sightings", "too-many", buffer,
         sl_sightings_write(many, SL_COUNT(many), buffer, sizeof buffer));
}

static uint8_t facts[5][SL_RECORD_MAX];
static size_t fact_lens[SL_COUNT(facts)];

/* One of each kind, of a later kind, and a record of somebody else. */
static void make_facts(void)
{
    uint8_t inner[1024], body[1024];
    struct sl_vitals v = {.state = SL_RUNNING};
    v.sections = sl_span_of(inner, sections(3, true, inner, sizeof inner));
    struct sl_sighting s = {fuzz_peer(1)->id, SL_SILENT, {5, 1}};
    size_t body_len = sl_sightings_write(&s, 1, body, sizeof body);
    fact_lens[1] = fuzz_vitals(fuzz_peer(0), 2, &v, facts[1]);
    fact_lens[2] =
        fuzz_fact(fuzz_peer(0), SL_SIGHTINGS, 5, 3, sl_span_of(body, body_len), facts[2]);
    fact_lens[3] = fuzz_fact(fuzz_peer(0), 9, 5, 4, sl_span_of("later", 5), facts[3]);
    fact_lens[4] = fuzz_record(fuzz_peer(4), 14, 1, sl_span_of(NULL, 0), facts[4]);
    size_t len = sections(3, false, inner, sizeof inner);
    fact_lens[0] = fuzz_record(fuzz_peer(0), 10, 1, sl_span_of(inner, len), facts[0]);
}

static void seed_facts(void)
{
    size_t len = 2;
    static const char *const names[] = {"record", "vitals", "sightings", "later", "other"};
    for (size_t i = 0; i < SL_COUNT(facts); i++) {
        uint8_t one[2 + 2 + SL_RECORD_MAX] = {1};
        sl_put16(one + 2, (uint16_t)fact_lens[i]);
        memcpy(one + 4, facts[i], fact_lens[i]);
        save("fact", names[i], one, 4 + fact_lens[i]);
        memcpy(buffer + len, one + 2, 2 + fact_lens[i]);
        len += 2 + fact_lens[i];
    }
    buffer[0] = 0;
    buffer[1] = 0;
    save("fact", "all", buffer, len);
    buffer[1] = 7;
    save("fact", "no-memory", buffer, len);
    save("cert", "plain", fuzz_peer(0)->cert, fuzz_peer(0)->cert_len);

    struct sl_cert cert = {.not_after = 10,
                           .n_tenants = 2,
                           .n_patterns = 2,
                           .name = "n-1",
                           .patterns = {"api-*", "*"}};
    len = sl_cert_encode(&cert, buffer, sizeof buffer);
    save("cert", "tenants", buffer, len + SL_SIG_LEN);
}

/* ---- links -------------------------------------------------------------------------------- */

static void seed_hello(void)
{
    struct fuzz_person self, *peer = fuzz_peer(0);
    static const uint8_t c_d[SL_KEY_LEN] = "a dialler's CURVE key", nonce[SL_NONCE_LEN] = "a nonce";
    fuzz_person(&self, 1);
    struct sl_hello h = {.crypto = &self.crypto,
                         .bundle = fuzz_bundle(),
                         .cert = sl_span_of(self.cert, self.cert_len),
                         .id = self.id,
                         .wall_s = FUZZ_WALL_S};
    struct sl_hello other = {.crypto = &peer->crypto,
                             .bundle = fuzz_bundle(),
                             .id = peer->id,
                             .wall_s = FUZZ_WALL_S,
                             .cert = sl_span_of(peer->cert, peer->cert_len)};
    uint8_t m1[SL_M1_MAX], m2[SL_M1_MAX];
    struct sl_cert cert;
    size_t len2, len = sl_hello_dial(&other, c_d, nonce, &self.id, m1);
    save_led("hello", "m1", "\0", 1, m1, len);
    save_led("hello", "m1-any-signature", "\1", 1, m1, len);
    len = sl_hello_dial(&h, c_d, nonce, NULL, m1);
    FUZZ_CHECK(sl_hello_accept(&other, c_d, sl_span_of(m1, len), nonce, &cert, m2, &len2) == SL_OK);
    save_led("hello", "m2", "\2", 1, m2, len2);
    save_led("hello", "m2-any-signature", "\3", 1, m2, len2);
}

/* Alone, and in a session: two peers meet the core, one of them says it, a second passes. */
static void message(const char *name, struct sl_pack *w)
{
    static const uint8_t met[] = {0, 0x0d, 0, 0x0d, 1, 0, 2}, passed[] = {4, 3, 0xe8};
    FUZZ_CHECK(!w->failed);
    save_led("message", name, "\0", 1, w->p, w->len);
    memcpy(text, met, sizeof met);
    sl_put16(text + sizeof met, (uint16_t)w->len);
    memcpy(text + sizeof met + 2, w->p, w->len);
    memcpy(text + sizeof met + 2 + w->len, passed, sizeof passed);
    save("session", name, text, sizeof met + 2 + w->len + sizeof passed);
}

static struct sl_pack *begin(struct sl_pack *w, size_t n, uint64_t type)
{
    sl_pack_init(w, buffer, sizeof buffer);
    sl_pack_array(w, n);
    sl_pack_uint(w, type);
    return w;
}

static void numbers(struct sl_pack *w, size_t n, uint64_t first)
{
    for (size_t i = 0; i < n; i++)
        sl_pack_uint(w, first + i);
}

static void seed_messages(void)
{
    struct sl_pack w;
    uint8_t entry[41] = {0}, sums[128] = {1};
    memcpy(entry, fuzz_peer(1)->id.b, SL_ID_LEN);
    entry[16] = SL_RECORD;
    entry[24] = 5;
    entry[32] = 9;
    numbers(begin(&w, 6, 1), 5, 100);
    message("beat", &w);
    numbers(begin(&w, 8, 2), 7, 1);
    message("echo", &w);
    numbers(begin(&w, 3, 3), 2, 1);
    message("ack", &w);
    (void)begin(&w, 1 + SL_COUNT(facts), 4);
    for (size_t i = 0; i < SL_COUNT(facts); i++)
        sl_pack_bin(&w, facts[i], fact_lens[i]);
    message("facts", &w);
    save_led("message", "facts-any-signature", "\1", 1, w.p, w.len);
    numbers(begin(&w, 5, 5), 1, 0);
    numbers(&w, 2, 0);
    sl_pack_bin(&w, sums, sizeof sums);
    message("tree", &w);
    numbers(begin(&w, 4, 6), 1, 0);
    numbers(&w, 1, 0);
    sl_pack_bin(&w, entry, sizeof entry);
    message("list", &w);
    (void)begin(&w, 2, 7);
    sl_pack_bin(&w, entry, 17);
    message("want", &w);
    entry[16] = 0;
    (void)begin(&w, 2, 7);
    sl_pack_bin(&w, entry, 17);
    message("want-of-no-kind", &w);
    (void)begin(&w, 1, 8);
    message("heard", &w);
    (void)begin(&w, 2, 9);
    sl_pack_bin(&w, "\x06\x04\x7f\0\0\1\x1b\x59", 8);
    message("refer", &w);
    numbers(begin(&w, 3, 77), 1, 1);
    sl_pack_nil(&w);
    message("later", &w);
}

/* ---- a session ---------------------------------------------------------------------------- */

/* What a real core said to the one that is fuzzed, as steps of fuzz_session.c. */
struct session {
    struct sl_pack steps;
    struct fuzz_core *listener;
    struct sl_gossip *peer;
    sl_usec now;
};

static void step(struct session *s, const void *p, size_t len)
{
    FUZZ_CHECK(len <= s->steps.cap - s->steps.len);
    memcpy(s->steps.p + s->steps.len, p, len);
    s->steps.len += len;
}

static void listener_said(void *context, sl_link link, struct sl_span bytes)
{
    struct session *s = context;
    if (link == 2)
        sl_gossip_receive(s->peer, s->now, 1, bytes.p, bytes.len);
}

static void peer_says(struct session *s)
{
    struct sl_out o;
    struct sl_event e;
    while (sl_gossip_next_out(s->peer, &o)) {
        uint8_t head[4] = {0, 2, (uint8_t)(o.bytes.len >> 8), (uint8_t)o.bytes.len};
        if (o.type == SL_OUT_DIAL && o.link == 1) {
            step(s, "\2", 1);
            fuzz_core_accept(s->listener);
        } else if (o.type == SL_OUT_SEND && o.link == 1) {
            static uint8_t copy[SL_FRAME_MAX];
            memcpy(copy, o.bytes.p, o.bytes.len); /* it is answered before the next is asked for */
            size_t len = o.bytes.len;
            step(s, head, sizeof head);
            step(s, copy, len);
            fuzz_core_receive(s->listener, 2, sl_span_of(copy, len));
        }
    }
    while (sl_gossip_next_event(s->peer, &e))
        continue;
}

static void live_session(struct session *s, int turns)
{
    for (int i = 0; i < turns; i++) {
        static const uint8_t pass[] = {4, 0, 50};
        sl_gossip_tick(s->peer, s->now);
        peer_says(s);
        step(s, pass, sizeof pass);
        fuzz_core_pass(s->listener, SL_MS(50));
        s->now += SL_MS(50);
        peer_says(s);
    }
}

static void seed_session(void)
{
    static struct fuzz_core listener;
    struct fuzz_person *p = fuzz_peer(3);
    struct fuzz_memory memory;
    struct sl_log quiet = {0};
    uint8_t inner[1024];
    fuzz_memory_init(&memory, 0);
    struct sl_ports ports = {.alloc = &memory.alloc, .crypto = &p->crypto, .log = &quiet};
    FUZZ_CHECK(fuzz_core_new(&listener, false, 0));
    struct session s = {
        .steps = {.p = buffer, .cap = sizeof buffer}, .listener = &listener, .now = listener.now};
    struct sl_gossip_config config = {.bundle = *fuzz_bundle(),
                                      .cert = sl_span_of(p->cert, p->cert_len),
                                      .addr = fuzz_address(13),
                                      .seed = 2,
                                      .epoch = UINT64_C(1000) << 16,
                                      .wall_offset_us = SL_SEC(FUZZ_WALL_S) - s.now};
    memcpy(config.c_d, fuzz_c_d, sizeof config.c_d);
    FUZZ_CHECK(sl_gossip_new(&config, &ports, s.now, &s.peer) == 0);
    struct sl_addr to = fuzz_address(1);
    listener.on_send = listener_said;
    listener.context = &s;
    sl_gossip_seed(s.peer, s.now, &to);
    step(&s, "\0", 1);
    live_session(&s, 10);
    size_t len = sections(3, false, inner, sizeof inner);
    FUZZ_CHECK(sl_gossip_put(s.peer, s.now, SL_RECORD, sl_span_of(inner, len), false) == 0);
    live_session(&s, 30);
    sl_gossip_leave(s.peer, s.now);
    live_session(&s, 10);
    save("session", "live", buffer, s.steps.len);
    buffer[0] = 1;
    save("session", "live-any-signature", buffer, s.steps.len);
    save_led("session", "live-no-memory", "\3\x13", 2, buffer + 1, s.steps.len - 1);
    sl_gossip_free(s.peer);
    fuzz_core_free(&listener);

    /* three meet it, one dial is answered by whom it did not want, stalls, links break, it leaves
     */
    static const char met[] = "\0\x0d\0\x0d\1\x0d\2\4\7\xd0\x09\x20\4\0\1\7\5\4\1\0\3\2\0\5\x10\0\3"
                              "\4\1\4\x7f\xff\x0b\4\1\0";
    save("session", "meet", met, sizeof met - 1);
    static const char facts_of[] = "\0\x0d\0\x0d\1\x0a\2\1\2\6\2\0\5\x94\1\0\0\xc4\0\x0a\2\1\3\6\3"
                                   "\0\1\x90\x0a\2\1\7\6\4\0\3new\4\x10\0";
    save("session", "signed-facts", facts_of, sizeof facts_of - 1);
    static const char say[] =
        "\0\x08\1\0\1\x90\x08\x0a\0\1\x90\x08\7\0\3new\x0d\0\4\1\0\x0c\xff\xff\4\1\0";
    save("session", "say", say, sizeof say - 1);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void seed_files(void)
{
    static const char magic[16] = "starling/1 auth";
    save_text("peers", "three", "10.0.0.1:7700\n[::1]:1\nnonsense\n1.2.3.4:65535\n10.0.0.9:77");
    save_text("settings", "all",
              "# a comment\nflock = test\nname = n1\nlisten = 127.0.0.1:0\nadvertise=[::1]:7700\n"
              "seeds = a.example:1, 10.0.0.1\nseeds = b\nzone = here\nstate_dir = /tmp/s\n"
              "runtime_dir = /tmp/r\nconfig_dir = /tmp/c\nleave_ms = 500\nlog = debug\n");
    save_text("settings", "section", "[x]\nflock = a\n");
    save_text("settings", "continued", "seeds = a\n  b\n; more\nname = N\n");
    memcpy(buffer, magic, sizeof magic);
    memset(buffer + sizeof magic, 7, 64);
    (void)crypto_generichash(buffer + 80, 16, buffer, 80, NULL, 0);
    save_led("authority", "good", "\0", 1, buffer, 96);
    save_led("authority", "summed", "\1", 1, buffer, 96);

    struct fuzz_person *p = fuzz_peer(0);
    char hex[2 * SL_CERT_MAX + 1], key[65];
    sl_hex(hex, p->cert, p->cert_len);
    sl_hex(key, p->signer.public_key, SL_KEY_LEN);
    int len = snprintf((char *)buffer, sizeof buffer,
                       "# of n10\nauthority = %s\nauthority = %s\ndoor = %s\ncertificate = %.200s\n"
                       "certificate = %s\nkey = %s\n",
                       key, key, key, hex, hex + 200, key);
    save("credentials", "good", buffer, (size_t)len);
    static char digits[2 * SL_CERT_MAX + 3];
    memset(digits, 'a', sizeof digits - 1);
    len = snprintf((char *)buffer, sizeof buffer, "authority=%s\ndoor=%s\ncertificate=%s\nkey=%s\n",
                   key, key, digits, key);
    save("credentials", "certificate-too-long", buffer, (size_t)len);
    len = snprintf((char *)buffer, sizeof buffer,
                   "authority=%s\ndoor=%s\ncertificate=%s\nkey=%.63s\n", key, key, hex, key);
    save("credentials", "one-digit-less", buffer, (size_t)len);
}

/* A grant of the node whose key is all sevens, with signatures as they are: no model can make one. */
static void seed_tenants(void)
{
    static const uint8_t seven[32] = {7, 7, 7, 7, 7, 7, 7, 7}, door[32] = {1};
    struct sl_signer authority, node;
    struct sl_tenant_epoch what = {.tenant = {1, 2, 3}, .epoch = 2, .use_after = FUZZ_WALL_S};
    uint8_t flock[SL_FLOCK_LEN], grant[SL_GRANT_LEN];
    char of_authority[65], of_door[65], of_node[65], of_grant[2 * SL_GRANT_LEN + 1];
    struct fuzz_person *p = fuzz_peer(0);
    char cert[2 * SL_CERT_MAX + 1];
    sl_signer_from_seed(&authority, door);
    sl_signer_from_seed(&node, seven);
    sl_flock_id(&p->crypto, "test", flock);
    FUZZ_CHECK(sl_grant_make(&authority, flock, &what, node.public_key, seven, grant) == 0);
    sl_hex(of_authority, authority.public_key, SL_KEY_LEN);
    sl_hex(of_door, door, sizeof door);
    sl_hex(of_node, seven, sizeof seven);
    sl_hex(of_grant, grant, sizeof grant);
    sl_hex(cert, p->cert, p->cert_len);
    int len = snprintf((char *)buffer, sizeof buffer,
                       "authority = %s\ndoor = %s\ncertificate = %s\ntenant = shop\ngrant = %s\n"
                       "grant = %s\nkey = %s\n",
                       of_authority, of_door, cert, of_grant, of_grant, of_node);
    save("credentials", "grants", buffer, (size_t)len);
    len = snprintf((char *)buffer, sizeof buffer,
                   "authority = %s\ndoor = %s\ncertificate = %s\ngrant = %s\ngrant = %.358s\n"
                   "grant = %s\nkey = %s\n",
                   of_authority, of_door, cert, of_grant, of_grant, of_grant, of_node);
    save("credentials", "grant-of-two-digits-less", buffer, (size_t)len);

    static const char list[] = "\1# a comment\nprod shop 1 0\nprod shop 2 1700000000\n"
                               "test bank 4294967295 999999999999999999\n";
    save("tenants", "three", list, sizeof list - 1);
    static const char third[] = "\1prod shop 1 0\nprod shop 2 5\nprod shop 3 6\n";
    save("tenants", "third", third, sizeof third - 1);

    struct sl_keyring ring;
    uint8_t root_flock[SL_FLOCK_LEN] = {0}, seed[32] = {0};
    const struct sl_id origin = {{7}};
    sl_keyring_init(&ring, root_flock);
    sl_keyring_take_seed(&ring, seed);
    size_t n = sl_keyring_seal(&ring, SL_VITALS, &origin, "shop", sl_span_of("services", 8),
                               FUZZ_WALL_S, buffer, sizeof buffer);
    save_led("sealed", "sealed", "\0", 1, buffer, n);
    save_led("sealed", "text", "\1", 1, "services", 8);
    memset(buffer, 0, 64);
    save_led("sealed", "no-padding", "\2", 1, buffer, 64);
    buffer[10] = 0x80;
    save_led("sealed", "padding", "\2", 1, buffer, 64);
}

static void seed_snapshot(void)
{
    struct fuzz_person self;
    static struct sl_snapshot_owner owner;
    static const uint8_t seed[32];
    uint8_t record[1024], vitals[1024];
    struct sl_pack w;
    fuzz_person(&self, 1);
    sl_snapshot_owner_init(&owner, &self.crypto, fuzz_bundle()->flock, &self.id, seed);
    sl_snapshot_begin(&w, buffer, sizeof buffer);
    for (unsigned i = 0; i < 2; i++) {
        struct sl_snapshot_entry e = {
            .id = fuzz_peer(i)->id, .addr = fuzz_address(10 + i), .epoch = 5};
        (void)snprintf(e.name, sizeof e.name, "n%u", 10 + i);
        e.record = sl_span_of(record, sections(3, false, record, sizeof record));
        e.vitals = sl_span_of(vitals, sections(3, true, vitals, sizeof vitals));
        FUZZ_CHECK(sl_snapshot_add(&w, &e));
    }
    size_t len = sl_snapshot_end(&w, &owner, FUZZ_WALL_S - 60);
    struct sl_span entries = sl_snapshot_entries(&w);
    save_led("snapshot", "file", "\0", 1, buffer, len);
    save_led("snapshot", "entries", "\1", 1, entries.p, entries.len);
}

static void seed_lines(void)
{
    static const char *const lines[] = {"help",
                                        "info n1",
                                        "watch 12 api",
                                        "pick api default rendezvous a-key",
                                        "weight api base",
                                        "weight api 500 default"};
    char name[32];
    for (size_t i = 0; i < SL_COUNT(lines); i++) {
        (void)snprintf(name, sizeof name, "words-%zu", i);
        save_text("request", name, lines[i]);
    }
    memset(buffer, 'k', 256);
    buffer[256] = '\0';
    (void)snprintf((char *)text, sizeof text, "pick api default rendezvous %s", (char *)buffer);
    save_text("request", "key-too-long", (char *)text);
    save_text("request", "json-pick",
              "{\"cmd\":\"pick\",\"service\":\"api\",\"tenant\":\"default\",\"strategy\":\"p2c_"
              "ewma\",\"key\":null}");
    save_text("request", "json-watch",
              " {\"cmd\":\"watch\",\"since\":9223372036854775807,\"service\":\"\\u0061\"}\r");
    save_text("request", "json-weight", "{\"cmd\":\"weight\",\"service\":\"api\",\"weight\":1000}");

    static const char *const addresses[] = {"127.0.0.1:7700", "[::1]:7700",      "::ffff:1.2.3.4",
                                            "[fe80::1]",      "host.example:80", "1.2.3.4"};
    for (size_t i = 0; i < SL_COUNT(addresses); i++) {
        (void)snprintf(name, sizeof name, "text-%zu", i);
        save_led("addr", name, "\x1e\x14", 2, addresses[i], strlen(addresses[i]));
    }
    save("addr", "bytes-4", "\4\x7f\0\0\1\x1e\x14", 7);
    save("addr", "bytes-6", "\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x1e\x14", 19);

    static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nall ok\n";
    static const char chunked[] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        "3;x=y\r\nall\r\n3\r\n ok\r\n0\r\n\r\n";
    static const char busy[] = "HTTP/1.0 429 Too Many\r\n\r\n";
    static char longest[2048];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "HTTP/1.1 200 ", 13);
    longest[1000] = '\n';
    save_led("http", "long-lines", "\xff\0\0\0", 4, longest, sizeof longest);
    save_led("http", "plain", "\6\0\0ok\0", 6, plain, sizeof plain - 1);
    save_led("http", "chunked", "\1\0\xc8l ok\0", 8, chunked, sizeof chunked - 1);
    save_led("http", "busy", "\0\0\0\0", 4, busy, sizeof busy - 1);
}

/* Every form of an element once, and calls that want them. */
static void seed_pack(void)
{
    static const char forms[] =
        "\x0d\x0c\x04\x06\x08\x0b\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c"
        "\x7f\xc4\1a\xa1"
        "b\xc0\x92\1\2\x81\1\2\xc2\xc7\1\2x"
        "\xca"
        "1234\xcb"
        "12345678\xcc\1\xcd\0\1\xce\0\0\0\1\xcf\0\0\0\0\0\0\0\1\xd0\1\xd3\0\0\0\0\0\0\0\1"
        "\xd4\1x\xd8\1"
        "1234567890123456\xd9\1c\xda\0\1d\xdc\0\1\1\xde\0\1\1\1\xff";
    save("pack", "forms", forms, sizeof forms - 1);
    static const char deep[] = "\1\x0c\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\1";
    save("pack", "deep", deep, sizeof deep - 1);
    static const char more[] = "\3\x60\x62\x6c\xdc\x03\xe8\1\2\3\xde\x03\xe8\1\2\3";
    save("pack", "more-than-there-is", more, sizeof more - 1);
    save_led("pack", "map-of-more", "\1\x62", 2, more + 10, 6);
    static const char *const bombs[] = {"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff",
                                        "\xc6\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
                                        "\xc9\xff\xff\xff\xff"};
    for (size_t i = 0; i < SL_COUNT(bombs); i++) {
        char name[32], lead[] = {7, 0x60, 0x62, 0x66, 0x68, 0x6c, 0x70, 0x72};
        (void)snprintf(name, sizeof name, "bomb-%zu", i);
        save_led("pack", name, lead, sizeof lead, bombs[i], 5);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s DIRECTORY (tests/fuzz/corpus)\n", argv[0]);
        return 2;
    }
    top = argv[1];
    make_services();
    make_facts();
    seed_services();
    seed_bodies();
    seed_facts();
    seed_hello();
    seed_messages();
    seed_session();
    seed_files();
    seed_tenants();
    seed_snapshot();
    seed_lines();
    seed_pack();
    return 0;
}
