/* liar.c: hostile members (liar.h). Each lie takes its turn every so often. */
#include "tests/sim/liar.h"

#include <starling.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/pack.h"
#include "tests/sim/world.h"

#define BEAT 1
#define TREE 5
#define FACTS 4 /* a message with facts; docs/PROTOCOL.md, "A link" */
#define PAGE ((size_t)64 * 1024)
#define HEAD 6                    /* array 32 header and the message's type */
#define AHEAD (UINT64_C(1) << 40) /* its versions begin so far above the core's */
#define EPOCH_MAX ((uint64_t)INT64_MAX)
#define CERT_KEY 41 /* where a certificate has its key */

static const struct {
    const char *name;
    unsigned bit;
} names[] = {{"forge", SIM_LIE_FORGE},
             {"replay", SIM_LIE_REPLAY},
             {"withhold", SIM_LIE_WITHHOLD},
             {"accuse", SIM_LIE_ACCUSE},
             {"flood", SIM_LIE_FLOOD},
             {"strangers", SIM_LIE_STRANGERS},
             {"equivocate", SIM_LIE_EQUIVOCATE},
             {"inflate", SIM_LIE_INFLATE},
             {"attract", SIM_LIE_ATTRACT},
             {"claim", SIM_LIE_CLAIM},
             {"jump", SIM_LIE_JUMP},
             {"nag", SIM_LIE_NAG},
             {"bulk", SIM_LIE_BULK},
             {"ask", SIM_LIE_ASK},
             {"all", 0x3fff & ~(unsigned)SIM_LIE_INFLATE}};

unsigned sim_lies_read(const char *text)
{
    unsigned ways = 0;
    for (const char *p = text; *p; p += *p == ',') {
        size_t len = strcspn(p, ","), i = 0;
        while (i < SL_COUNT(names) &&
               (strlen(names[i].name) != len || memcmp(names[i].name, p, len) != 0))
            i++;
        if (i == SL_COUNT(names))
            return 0;
        ways |= names[i].bit;
        p += len;
    }
    return ways;
}

/* ---- frames of facts ---- */

struct frame {
    uint8_t bytes[HEAD + PAGE];
    struct sl_pack w;
    uint32_t n;
};

static void frame_open(struct frame *f)
{
    sl_pack_init(&f->w, f->bytes + HEAD, PAGE);
    f->n = 0;
}

static struct sl_span frame_close(struct frame *f)
{
    f->bytes[0] = 0xdd;
    sl_put32(f->bytes + 1, f->n + 1);
    f->bytes[5] = FACTS;
    return sl_span_of(f->bytes, f->n ? HEAD + f->w.len : 0);
}

static bool frame_add(struct frame *f, const uint8_t *p, size_t len)
{
    if (f->w.len + len + 5 > f->w.cap)
        return false;
    sl_pack_bin(&f->w, p, len);
    f->n++;
    return true;
}

static void keep(struct sim_liar *l, struct sl_span fact)
{
    size_t i = l->n_kept < SIM_LIAR_KEPT ? l->n_kept++ : sl_rand_below(&l->rand, 4 * SIM_LIAR_KEPT);
    if (i >= SIM_LIAR_KEPT) /* some stay for long: the older the better */
        return;
    l->kept[i].bytes = sim_resize(l->kept[i].bytes, fact.len);
    memcpy(l->kept[i].bytes, fact.p, fact.len);
    l->kept[i].len = fact.len;
}

/* Of a message with facts those of `origin`, or all but them; any other message as it is. */
static struct sl_span sift(struct sim_liar *l, struct sl_span in, const struct sl_id *origin,
                           bool of_it)
{
    static struct frame f;
    struct sl_read r;
    size_t n;
    uint64_t type;
    struct sl_span fact;
    frame_open(&f);
    sl_read_init(&r, in.p, in.len);
    if (!sl_read_array(&r, SL_READ_NODES_MAX, &n) || n == 0 ||
        !sl_read_uint(&r, UINT32_MAX, &type) || type != FACTS)
        return in;
    for (size_t i = 1; i < n && sl_read_bin(&r, SL_RECORD_MAX, &fact); i++) {
        bool is_of_it = fact.len >= SL_FACT_MIN && memcmp(fact.p + 4, origin->b, SL_ID_LEN) == 0;
        if (is_of_it == of_it)
            (void)frame_add(&f, fact.p, fact.len);
        if (!is_of_it && l && fact.len >= SL_FACT_MIN)
            keep(l, fact);
    }
    return frame_close(&f);
}

/* Its own facts never come back to the core, which would see a clone in them. */
struct sl_span sim_liar_hears(struct sim_world *w, size_t node, struct sl_span bytes)
{
    struct sim_liar *l = w->nodes[node].liar;
    if (bytes.len > 1 && bytes.len <= sizeof l->m1 && bytes.p[0] == 1 && l->m1_len == 0) {
        memcpy(l->m1, bytes.p, bytes.len);
        l->m1_len = bytes.len;
    }
    return sift(l->ways & SIM_LIE_REPLAY ? l : NULL, bytes, &sim_self(w, node)->id, false);
}

struct sl_span sim_liar_says(struct sim_world *w, size_t node, struct sl_span bytes)
{
    if (!(w->nodes[node].liar->ways & SIM_LIE_WITHHOLD))
        return bytes;
    return sift(NULL, bytes, &sim_self(w, node)->id, true);
}

/* ---- a turn ---- */

struct turn {
    struct sim_world *w;
    size_t node;
    struct sim_node *n;
    struct sim_liar *l;
    struct sim_identity *self;
    uint64_t epoch; /* its core's */
    struct frame f;
};

/* To every neighbour; `half` 1 or 2: to every second one only. */
static void offer(struct turn *t, unsigned half)
{
    struct sl_span bytes = frame_close(&t->f);
    for (size_t i = 0; i < t->n->n_links && bytes.len; i++) {
        if (half && i % 2 != half - 1)
            continue;
        if (sim_send(t->w, t->node, t->n->links[i].link, bytes))
            t->l->offered += t->f.n;
    }
    frame_open(&t->f);
}

/* Signed with the only key it has, whatever the origin. */
static void say(struct turn *t, struct sl_fact_header h, struct sl_span body)
{
    uint8_t bytes[SL_RECORD_MAX];
    size_t len = sl_fact_sign(&t->n->crypto, &t->w->bundle, &h, body, bytes);
    if (len && !frame_add(&t->f, bytes, len)) {
        offer(t, 0);
        (void)frame_add(&t->f, bytes, len);
    }
}

static struct sl_fact_header own(struct turn *t, uint8_t kind)
{
    return (struct sl_fact_header){
        .kind = kind, .origin = t->self->id, .version = {t->epoch, ++t->l->seq}};
}

static void say_vitals(struct turn *t, struct sl_fact_header h, uint64_t answered)
{
    uint8_t body[64];
    struct sl_vitals v = {.answered = answered, .urgent = 1};
    h.kind = SL_VITALS;
    say(t, h, sl_span_of(body, sl_vitals_write(&v, body, sizeof body)));
}

/* The next of those whom it picks on; SIZE_MAX: nobody. */
static size_t victim(struct turn *t, uint64_t number)
{
    size_t n = 0;
    for (size_t i = 0; i < t->w->n; i++)
        n += i != t->node && t->w->nodes[i].liar == NULL && sim_set_has(&t->l->at, i);
    for (size_t i = 0, k = 0; i < t->w->n && n; i++)
        if (i != t->node && t->w->nodes[i].liar == NULL && sim_set_has(&t->l->at, i) &&
            k++ == number % n)
            return i;
    return SIZE_MAX;
}

/* What the core knows of it; false when it does not. */
static bool known(struct turn *t, size_t node, struct sl_member_info *ret)
{
    return node != SIZE_MAX && sl_gossip_find(t->n->core, &sim_self(t->w, node)->id, ret);
}

static void forge(struct turn *t)
{
    struct sl_member_info m;
    for (uint32_t k = 0; k < t->l->rate; k++) {
        if (!known(t, victim(t, t->l->turn), &m))
            continue;
        struct sl_fact_header h = {.origin = m.id, .version = m.version};
        h.version.seq += 1 + k;
        if (t->l->turn % 2) {
            say_vitals(t, h, UINT64_MAX);
            continue;
        }
        h.kind = SL_RECORD; /* with a certificate that nobody signed: it is not even looked at as a forgery */
        say(t, h, sl_span_of((const uint8_t *)"\x90", 1));
    }
    offer(t, 0);
}

/* Each of them hears that it has itself said something newer than it has. */
static void jump(struct turn *t)
{
    struct sl_member_info m;
    if (!known(t, victim(t, t->l->turn), &m))
        return;
    struct sl_fact_header h = {.origin = m.id, .version = {m.version.epoch + 65536, 1}};
    if (t->l->turn % 2)
        h.version.epoch = EPOCH_MAX;
    say_vitals(t, h, 0);
    offer(t, 0);
}

static void replay(struct turn *t)
{
    for (size_t i = 0; i < t->l->rate && t->l->n_kept; i++) {
        size_t k = sl_rand_below(&t->l->rand, t->l->n_kept);
        if (!frame_add(&t->f, t->l->kept[k].bytes, t->l->kept[k].len))
            break;
    }
    offer(t, 0);
    size_t to = victim(t, t->l->turn);
    if (t->l->turn % 10 || t->l->m1_len == 0 || to == SIZE_MAX)
        return;
    struct sl_addr addr = sim_address(t->w, to);
    t->l->next_dial += 2;
    sim_dial(t->w, t->node, t->l->next_dial, &addr);
    (void)sim_send(t->w, t->node, t->l->next_dial, sl_span_of(t->l->m1, t->l->m1_len));
}

/* Its neighbours, where its word has weight; then others, of which there are new ones in each turn. */
static void accuse(struct turn *t)
{
    struct sl_sighting list[SL_SIGHTING_ENTRIES_MAX];
    struct sl_member_info m;
    uint8_t body[SL_SIGHTINGS_MAX];
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < t->w->n && n < SL_COUNT(list); k++) {
            size_t i = pass ? (k + t->l->turn * 16) % t->w->n : k;
            if (i == t->node || t->w->nodes[i].liar || !sim_set_has(&t->l->at, i) ||
                !known(t, i, &m) || m.neighbour != (pass == 0))
                continue;
            list[n++] = (struct sl_sighting){
                .accused = m.id, .how = t->l->turn % 2 ? SL_SILENT : SL_REFUSED, .seen = m.version};
        }
    size_t len = sl_sightings_write(list, n, body, sizeof body - SL_FACT_MIN);
    say(t, own(t, SL_SIGHTINGS), sl_span_of(body, len));
    offer(t, 0);
}

static void flood(struct turn *t)
{
    uint8_t body[256];
    for (uint32_t k = 0; k < t->l->rate; k++) {
        if (k % 4 == 0) {
            say_vitals(t, own(t, SL_VITALS), 0);
            continue;
        }
        for (size_t i = 0; i < sizeof body; i += 8)
            sl_put64(body + i, sl_rand_u64(&t->l->rand));
        say(t, own(t, (uint8_t)(4 + sl_rand_below(&t->l->rand, 252))),
            sl_span_of(body, sizeof body));
    }
    offer(t, 0);
}

static void bulk(struct turn *t)
{
    uint8_t *sections = sim_zero(SL_RECORD_MAX), *body = sim_zero(SL_RECORD_MAX);
    struct sl_record r = {.cert = sl_span_of(t->self->cert, t->self->cert_len),
                          .addr = sim_address(t->w, t->node),
                          .sections = sl_span_of(sections, SL_RECORD_MAX - 1024)};
    memcpy(r.c_d, t->n->c_d, sizeof r.c_d);
    say(t, own(t, SL_RECORD),
        sl_span_of(body, sl_record_write(&r, body, SL_RECORD_MAX - SL_FACT_MIN)));
    offer(t, 0);
    free(sections);
    free(body);
}

static void strangers(struct turn *t)
{
    uint8_t cert[SL_CERT_MAX], body[SL_CERT_MAX + 256];
    for (uint32_t k = 0; k < t->l->rate; k++) {
        struct sl_fact_header h = {.kind = SL_RECORD, .version = {t->epoch, 1}};
        struct sl_record r = {.cert = sl_span_of(cert, t->self->cert_len),
                              .addr = sim_address(t->w, t->node)};
        memcpy(cert, t->self->cert, t->self->cert_len);
        sl_put64(cert + CERT_KEY, sl_rand_u64(&t->l->rand));
        sl_node_id(&t->n->crypto, cert + CERT_KEY, &h.origin);
        if (k % 2)
            say_vitals(t, h, 0);
        else
            say(t, h, sl_span_of(body, sl_record_write(&r, body, sizeof body)));
    }
    offer(t, 0);
}

static void equivocate(struct turn *t)
{
    struct sl_fact_header h = own(t, SL_VITALS);
    say_vitals(t, h, 0);
    offer(t, 1);
    say_vitals(t, h, 1);
    offer(t, 2);
}

static void inflate(struct turn *t)
{
    struct sl_fact_header h = {.origin = t->self->id, .version = {EPOCH_MAX, UINT64_MAX}};
    if (t->l->turn % 10)
        h.version.epoch = t->epoch;
    say_vitals(t, h, 0);
    offer(t, 0);
}

static void attract(struct turn *t)
{
    struct sl_service all[SL_SERVICES_MAX];
    const struct sl_service *list[SL_SERVICES_MAX];
    uint8_t body[SL_VITALS_MAX];
    size_t n = 0;
    for (; n < 20; n++) {
        all[n] = (struct sl_service){.port = 8000, .base_weight = 65535, .weight = 65535};
        snprintf(all[n].tenant, sizeof all[n].tenant, "default");
        snprintf(all[n].name, sizeof all[n].name, "service-%02zu", n);
        list[n] = &all[n];
    }
    sl_usec now = sim_mono(t->w, t->n);
    size_t len = sl_sections_write_record(list, n, body, sizeof body - 512);
    if (t->l->turn > 0 ||
        sl_gossip_put(t->n->core, now, SL_RECORD, sl_span_of(body, len), false) < 0)
        return;
    len = sl_sections_write_vitals(list, n, body, sizeof body - 1024);
    (void)!sl_gossip_put(t->n->core, now, SL_VITALS, sl_span_of(body, len), true);
    sim_drain(t->w, t->node);
}

/* For five seconds each of them shares its address with the liar, who is the newer one there. */
static void claim(struct turn *t)
{
    uint8_t body[SL_CERT_MAX + 256];
    size_t whose = victim(t, (uint64_t)((t->w->now - t->w->zero) / SL_SEC(5)));
    if (whose == SIZE_MAX)
        return;
    struct sl_record r = {.cert = sl_span_of(t->self->cert, t->self->cert_len),
                          .addr = sim_address(t->w, whose)};
    memcpy(r.c_d, t->n->c_d, sizeof r.c_d);
    say(t, own(t, SL_RECORD), sl_span_of(body, sl_record_write(&r, body, sizeof body)));
    offer(t, 0);
}

/* Each neighbour hears that its newest word is held against it. */
static void nag(struct turn *t)
{
    struct sl_gossip_info info;
    struct sl_member_info m;
    sl_gossip_info(t->n->core, &info);
    for (size_t i = 0; i < t->n->n_links; i++) {
        const struct sim_link *l = &t->n->links[i];
        uint8_t out[64];
        struct sl_pack w;
        if (l->conn->state != SIM_CONN_OPEN || !known(t, l->conn->end[1 - l->end].node, &m))
            continue;
        sl_pack_init(&w, out, sizeof out);
        sl_pack_array(&w, 6);
        sl_pack_uint(&w, BEAT);
        sl_pack_uint(&w, 1 + sl_rand_below(&t->l->rand, UINT32_MAX));
        sl_pack_uint(&w, 0);
        sl_pack_uint(&w, info.root);
        sl_pack_uint(&w, m.version.epoch);
        sl_pack_uint(&w, m.version.seq);
        (void)sim_send(t->w, t->node, l->link, sl_span_of(out, w.len));
    }
}

/* The root of a tree that has nothing in common with anybody's. */
static void ask(struct turn *t)
{
    uint8_t out[256], sums[16 * 8];
    for (size_t i = 0; i < t->n->n_links * t->l->rate; i++) {
        struct sl_pack w;
        for (size_t k = 0; k < sizeof sums; k += 8)
            sl_put64(sums + k, sl_rand_u64(&t->l->rand));
        sl_pack_init(&w, out, sizeof out);
        sl_pack_array(&w, 5);
        sl_pack_uint(&w, TREE);
        sl_pack_uint(&w, 0);
        sl_pack_uint(&w, 0);
        sl_pack_uint(&w, sl_rand_u64(&t->l->rand));
        sl_pack_bin(&w, sums, sizeof sums);
        (void)sim_send(t->w, t->node, t->n->links[i % t->n->n_links].link, sl_span_of(out, w.len));
    }
}

static const struct {
    unsigned bit;
    void (*turn)(struct turn *t);
} turns[] = {{SIM_LIE_FORGE, forge},         {SIM_LIE_JUMP, jump},
             {SIM_LIE_REPLAY, replay},       {SIM_LIE_CLAIM, claim},
             {SIM_LIE_ACCUSE, accuse},       {SIM_LIE_FLOOD, flood},
             {SIM_LIE_STRANGERS, strangers}, {SIM_LIE_EQUIVOCATE, equivocate},
             {SIM_LIE_INFLATE, inflate},     {SIM_LIE_NAG, nag},
             {SIM_LIE_BULK, bulk},
             {SIM_LIE_ASK, ask},           {SIM_LIE_ATTRACT, attract}};

void sim_liar_turn(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    struct sim_liar *l = n->liar;
    l->planned = l->ways != 0;
    if (!l->planned)
        return;
    sim_at(w, w->now + l->every, SIM_LIE, node, 0, NULL);
    if (n->core == NULL || n->life != SIM_RUNNING)
        return;
    struct sl_gossip_info info;
    sl_gossip_info(n->core, &info);
    struct turn *t = sim_zero(sizeof *t);
    *t = (struct turn){.w = w,
                       .node = node,
                       .n = n,
                       .l = l,
                       .self = sim_self(w, node),
                       .epoch = info.version.epoch};
    frame_open(&t->f);
    for (size_t i = 0; i < SL_COUNT(turns); i++)
        if (l->ways & turns[i].bit)
            turns[i].turn(t);
    free(t);
    l->turn++;
    w->measure.changed = w->now; /* the flock is not at rest */
    w->measure.quiet_judged = false;
}

void sim_lie(struct sim_world *w, size_t node, unsigned ways, const struct sim_set *at,
             sl_usec every, uint32_t rate)
{
    struct sim_node *n = &w->nodes[node];
    if (n->liar == NULL && ways == 0)
        return;
    sim_say(w, "node %zu lies%s", node, ways ? "" : " no more");
    if (n->liar == NULL) {
        n->liar = sim_zero(sizeof *n->liar);
        sl_rand_seed(&n->liar->rand, sim_seed(w->seed, "liar", node));
        n->liar->seq = AHEAD;
        n->liar->next_dial = (UINT64_C(1) << 40) + 1;
        sim_set_init(&n->liar->at, w->n);
    }
    struct sim_liar *l = n->liar;
    l->ways = ways;
    l->every = every;
    l->rate = rate;
    l->turn = 0;
    if (at) {
        sim_set_copy(&l->at, at);
    }
    w->n_liars += ways != 0;
    sim_measure_changed(w);
    if (!l->planned && ways) {
        l->planned = true;
        sim_at(w, w->now, SIM_LIE, node, 0, NULL);
    }
}

void sim_liar_free(struct sim_liar *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < SIM_LIAR_KEPT; i++)
        free(l->kept[i].bytes);
    sim_set_fini(&l->at);
    free(l);
}
