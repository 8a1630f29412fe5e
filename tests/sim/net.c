/* net.c: connections as TCP and CURVE make them, between processes that may be dead, frozen or
 * away. */
#include "tests/sim/net.h"

#include <stdlib.h>

#include "tests/sim/world.h"

#define RTO_FIRST SL_MS(200)  /* Linux: TCP_RTO_MIN */
#define RTO_MAX SL_SEC(120)   /* TCP_RTO_MAX */
#define GIVE_UP SL_MS(924600) /* net.ipv4.tcp_retries2 = 15 */
#define ACK_DELAY SL_MS(40)   /* a reply within this carries the acknowledgement */
#define PROBE_TIMEOUT SL_SEC(2)

/* Bytes on the wire, link layer left out: a segment has 20 (IP) + 20 (TCP) + 12 (time stamps); a
 * message of p bytes is CURVE's MESSAGE command of p + 33 (name 8, nonce 8, authenticator 16,
 * flags 1) in a ZMTP frame with 2 more, or 9 from 256 on. */
#define SEGMENT 52
#define SEGMENT_PAYLOAD 1448
#define CURVE 33
/* SYN 60, SYN-ACK 60, ACK; greetings 2 x 64; HELLO 202, WELCOME 170, INITIATE 306, READY 72
 * (with their frames); eight data segments and four bare acknowledgements. The hello of the core
 * comes on top. */
#define HANDSHAKE_BYTES (60 + 60 + 52 + 128 + 202 + 170 + 306 + 72 + 12 * SEGMENT)
#define CLOSE_BYTES (4 * SEGMENT)
#define REFUSED_BYTES (60 + 40)
#define PROBE_BYTES (60 + 60 + 4 * SEGMENT)

static void append(struct sim_msg **first, struct sim_msg ***end, struct sim_msg *m)
{
    m->next = NULL;
    if (*first == NULL)
        *first = m;
    else
        **end = m;
    *end = &m->next;
}

static struct sim_msg *take(struct sim_msg **first)
{
    struct sim_msg *m = *first;
    if (m)
        *first = m->next;
    return m;
}

static void free_all(struct sim_msg **first)
{
    for (struct sim_msg *m; (m = take(first)) != NULL;)
        free(m);
}

/* ---- life of a connection ---- */

void sim_conn_ref(struct sim_conn *c)
{
    c->refs++;
}

void sim_conn_unref(struct sim_world *w, struct sim_conn *c)
{
    (void)w;
    if (--c->refs > 0)
        return;
    for (int d = 0; d < 2; d++) {
        free_all(&c->dir[d].road);
        free_all(&c->dir[d].held);
    }
    free(c);
}

static void plan(struct sim_world *w, sl_usec at, enum sim_event_kind kind, struct sim_conn *c,
                 unsigned dir)
{
    sim_conn_ref(c);
    sim_at(w, at, kind, 0, dir, c);
}

static struct sim_conn *conn_new(struct sim_world *w)
{
    struct sim_conn *c = sim_zero(sizeof *c);
    c->refs = 1;
    c->dir[0].ack_owed = c->dir[1].ack_owed = SL_NEVER;
    c->prev = w->net.last;
    if (c->prev)
        c->prev->next = c;
    else
        w->net.first = c;
    w->net.last = c;
    return c;
}

static void conn_over(struct sim_world *w, struct sim_conn *c)
{
    if (c->state == SIM_CONN_OVER)
        return;
    c->state = SIM_CONN_OVER;
    *(c->prev ? &c->prev->next : &w->net.first) = c->next;
    *(c->next ? &c->next->prev : &w->net.last) = c->prev;
    sim_conn_unref(w, c);
}

/* ---- links of a node ---- */

static void link_add(struct sim_world *w, size_t node, sl_link link, struct sim_conn *c,
                     unsigned end)
{
    struct sim_node *n = &w->nodes[node];
    if (n->n_links == n->cap_links) {
        n->cap_links = n->cap_links ? 2 * n->cap_links : 16;
        n->links = sim_resize(n->links, n->cap_links * sizeof *n->links);
    }
    n->links[n->n_links++] = (struct sim_link){link, c, end};
    c->end[end].link = link;
    if (n->n_links > n->links_peak)
        n->links_peak = n->n_links;
    if (n->n_links > w->net.connections_max)
        w->net.connections_max = n->n_links;
    if (n->n_links > SL_LINKS_MAX)
        sim_violation(w, "node %zu holds %zu connections, the limit is %d", node, n->n_links,
                      SL_LINKS_MAX);
}

static struct sim_link *link_find(struct sim_node *n, sl_link link)
{
    for (size_t i = 0; i < n->n_links; i++)
        if (n->links[i].link == link)
            return &n->links[i];
    return NULL;
}

static void link_drop(struct sim_node *n, sl_link link)
{
    struct sim_link *l = link_find(n, link);
    if (l)
        *l = n->links[--n->n_links];
}

/* ---- chance ---- */

/* How long until something sent now is there, order aside. */
static sl_usec travel(struct sim_world *w, size_t from, size_t to, size_t n_segments)
{
    struct sim_path p;
    sim_path_of(w, from, to, &p);
    sl_usec t = sl_rand_span(&w->net_rand, p.delay_min, p.delay_max), worst = 0;
    for (size_t i = 0; p.loss && i < n_segments; i++) {
        sl_usec wait = 0, rto = RTO_FIRST;
        while (wait < GIVE_UP && sl_rand_below(&w->net_rand, 1000000) < p.loss) {
            wait += rto;
            rto = sl_earlier(2 * rto, RTO_MAX);
        }
        worst = wait > worst ? wait : worst;
    }
    if (w->settings.stall_rate && sl_rand_below(&w->net_rand, 1000000) < w->settings.stall_rate)
        t += w->settings.stall;
    return t + worst;
}

static bool is_lost(struct sim_world *w, size_t from, size_t to)
{
    struct sim_path p;
    sim_path_of(w, from, to, &p);
    return p.loss && sl_rand_below(&w->net_rand, 1000000) < p.loss;
}

/* ---- what is sent ---- */

static void transmit(struct sim_world *w, struct sim_conn *c, unsigned d, struct sim_msg *m)
{
    struct sim_dir *dir = &c->dir[d];
    size_t n_segments = m->len / SEGMENT_PAYLOAD + 1;
    sl_usec at = w->now + travel(w, c->end[d].node, c->end[1 - d].node, n_segments);
    if (w->settings.bandwidth)
        at += (sl_usec)(m->len * UINT64_C(1000000) / w->settings.bandwidth);
    if (at < dir->last_arrival)
        at = dir->last_arrival;
    dir->last_arrival = at;
    append(&dir->road, &dir->road_end, m);
    plan(w, at, SIM_ARRIVE, c, d);
    if (m->last)
        return;
    size_t frame = m->len + CURVE;
    frame += (frame > 255 ? 9 : 2) + n_segments * SEGMENT;
    w->net.n_bytes += frame;
    w->nodes[c->end[d].node].traffic.sent += frame;
    w->nodes[c->end[1 - d].node].traffic.heard += frame;
    struct sim_dir *back = &c->dir[1 - d];
    if (back->ack_owed != SL_NEVER && w->now - back->ack_owed > ACK_DELAY)
        w->net.n_bytes += SEGMENT;
    back->ack_owed = SL_NEVER;
}

/* Every second segment is acknowledged at once, a single one with the reply, or after ACK_DELAY. */
static void acknowledge(struct sim_world *w, struct sim_dir *dir)
{
    if (dir->ack_owed == SL_NEVER) {
        dir->ack_owed = w->now;
        return;
    }
    w->net.n_bytes += SEGMENT;
    dir->ack_owed = w->now - dir->ack_owed > ACK_DELAY ? w->now : SL_NEVER;
}

static void send_last(struct sim_world *w, struct sim_conn *c, unsigned d)
{
    if (c->dir[d].ended || c->state != SIM_CONN_OPEN)
        return;
    c->dir[d].ended = true;
    struct sim_msg *m = sim_zero(sizeof *m);
    m->last = true;
    transmit(w, c, d, m);
}

bool sim_send(struct sim_world *w, size_t node, sl_link link, struct sl_span bytes)
{
    struct sim_link *l = link_find(&w->nodes[node], link);
    if (l == NULL || l->conn->dir[l->end].n >= w->settings.hwm) {
        w->net.n_dropped++;
        return false;
    }
    struct sim_conn *c = l->conn;
    struct sim_dir *dir = &c->dir[l->end];
    struct sim_msg *m = sim_resize(NULL, sizeof *m + bytes.len);
    *m = (struct sim_msg){.len = (uint32_t)bytes.len};
    memcpy(m->bytes, bytes.p, bytes.len);
    dir->n++;
    w->net.n_messages++;
    w->net.n_payload += bytes.len;
    if (c->state == SIM_CONN_OPEN)
        transmit(w, c, l->end, m);
    else
        append(&dir->held, &dir->held_end, m);
    return true;
}

void sim_conn_close(struct sim_world *w, struct sim_conn *c, unsigned end, bool told)
{
    struct sim_end *e = &c->end[end];
    if (!e->open)
        return;
    e->open = false;
    if (e->link)
        link_drop(&w->nodes[e->node], e->link);
    if (told && c->end[1 - end].open) {
        w->net.n_bytes += CLOSE_BYTES;
        send_last(w, c, end);
    }
    if (!c->end[1 - end].open)
        conn_over(w, c);
}

/* ---- what arrives ---- */

static void answer(struct sim_world *w, struct sim_conn *c, unsigned end, enum sl_link_event event,
                   sl_usec wait)
{
    struct sim_item *item = sim_zero(sizeof *item);
    item->kind = SIM_ITEM_LINK;
    item->process = c->end[end].process;
    item->conn = c;
    item->dir = end;
    item->event = event;
    sim_conn_ref(c);
    sim_at(w, w->now + wait, SIM_ANSWER, c->end[end].node, 0, item);
}

static bool is_there(const struct sim_world *w, const struct sim_end *e)
{
    const struct sim_node *n = &w->nodes[e->node];
    return n->core != NULL && n->process == e->process;
}

static void deliver(struct sim_world *w, struct sim_conn *c, unsigned d, struct sim_msg *m)
{
    struct sim_end *e = &c->end[1 - d];
    if (!is_there(w, e) || !e->open) {
        /* Its kernel knows no such connection: a reset. After our own close it has been said. */
        if (!m->last && c->end[d].open)
            send_last(w, c, 1 - d);
        free(m);
        return;
    }
    if (!m->last)
        acknowledge(w, &c->dir[d]);
    struct sim_item *item = sim_zero(sizeof *item);
    item->kind = SIM_ITEM_MESSAGE;
    item->process = e->process;
    item->conn = c;
    item->dir = d;
    item->msg = m;
    sim_conn_ref(c);
    sim_input(w, e->node, item);
}

static void hold(struct sim_world *w, struct sim_conn *c, unsigned d, struct sim_msg *m)
{
    struct sim_dir *dir = &c->dir[d];
    struct sim_path p;
    sim_path_of(w, c->end[d].node, c->end[1 - d].node, &p);
    if (dir->held == NULL) {
        dir->held_since = w->now;
        plan(w, w->now + GIVE_UP, SIM_GIVE_UP, c, d);
    }
    if (!p.held || p.cut)
        dir->resent = true;
    append(&dir->held, &dir->held_end, m);
    if (c->is_stuck)
        return;
    c->is_stuck = true;
    c->next_stuck = w->net.stuck;
    w->net.stuck = c;
    sim_conn_ref(c);
}

static void arrive(struct sim_world *w, struct sim_conn *c, unsigned d)
{
    struct sim_dir *dir = &c->dir[d];
    struct sim_msg *m = take(&dir->road);
    if (c->state == SIM_CONN_OVER)
        free(m);
    else if (dir->held || sim_blocked(w, c->end[d].node, c->end[1 - d].node))
        hold(w, c, d, m);
    else
        deliver(w, c, d, m);
}

static void flush(struct sim_world *w, struct sim_conn *c, unsigned d)
{
    struct sim_dir *dir = &c->dir[d];
    dir->flush_planned = false;
    while (dir->held && c->state == SIM_CONN_OPEN &&
           !sim_blocked(w, c->end[d].node, c->end[1 - d].node))
        deliver(w, c, d, take(&dir->held));
    if (dir->held == NULL)
        dir->resent = false;
}

/* When TCP tries again what it has been trying since `since`: 200 ms later, 400 ms after that
 * ... */
static sl_usec next_resend(sl_usec since, sl_usec now)
{
    sl_usec at = since;
    for (sl_usec rto = RTO_FIRST; at < now; rto = sl_earlier(2 * rto, RTO_MAX))
        at += rto;
    return at;
}

static void release(struct sim_world *w, struct sim_conn *c)
{
    for (unsigned d = 0; d < 2; d++) {
        struct sim_dir *dir = &c->dir[d];
        if (!dir->held || dir->flush_planned || sim_blocked(w, c->end[d].node, c->end[1 - d].node))
            continue;
        dir->flush_planned = true;
        plan(w, dir->resent ? next_resend(dir->held_since, w->now) : w->now, SIM_FLUSH, c, d);
    }
}

void sim_net_release(struct sim_world *w)
{
    for (struct sim_conn **at = &w->net.stuck; *at;) {
        struct sim_conn *c = *at;
        if (c->state == SIM_CONN_OPEN && (c->dir[0].held || c->dir[1].held)) {
            release(w, c);
            at = &c->next_stuck;
            continue;
        }
        *at = c->next_stuck;
        c->is_stuck = false;
        sim_conn_unref(w, c);
    }
}

static void give_up(struct sim_world *w, struct sim_conn *c, unsigned d)
{
    struct sim_dir *dir = &c->dir[d];
    if (c->state != SIM_CONN_OPEN || !dir->held || dir->held_since + GIVE_UP != w->now)
        return;
    free_all(&dir->held);
    if (c->end[d].open)
        answer(w, c, d, SL_LINK_DOWN, 0);
}

void sim_conn_reset(struct sim_world *w, struct sim_conn *c)
{
    w->net.n_resets++;
    for (unsigned end = 0; end < 2; end++) {
        free_all(&c->dir[end].held);
        if (c->end[end].open)
            answer(w, c, end, SL_LINK_DOWN, 0);
    }
}

/* ---- dialling ---- */

void sim_dial(struct sim_world *w, size_t node, sl_link link, const struct sl_addr *addr)
{
    struct sim_node *n = &w->nodes[node];
    w->net.n_dials++;
    if (link % 2 == 0 || link_find(n, link)) {
        sim_violation(w, "node %zu dials under number %llu, which is even or in use", node,
                      (unsigned long long)link);
        return;
    }
    struct sim_conn *c = conn_new(w);
    c->end[0] = (struct sim_end){.node = (uint32_t)node, .process = n->process, .open = true};
    memcpy(c->c_d, n->c_d, sizeof c->c_d);
    c->addr = *addr;
    c->dialled = w->now;
    link_add(w, node, link, c, 0);
    size_t to = sim_node_at(w, addr);
    sl_usec wait = to == SIZE_MAX
                       ? 0
                       : sl_rand_span(&w->net_rand, w->settings.delay_min, w->settings.delay_max);
    plan(w, w->now + wait, SIM_SYN, c, 0);
    plan(w, w->now + w->settings.dial_timeout, SIM_DIAL_TIMEOUT, c, 0);
}

/* The first packet of a connection gets through, there and back. */
static bool syn_passes(struct sim_world *w, size_t from, size_t to)
{
    return to != SIZE_MAX && !sim_blocked(w, from, to) && !sim_blocked(w, to, from) &&
           !is_lost(w, from, to) && !is_lost(w, to, from);
}

static void syn(struct sim_world *w, struct sim_conn *c)
{
    size_t from = c->end[0].node, to = sim_node_at(w, &c->addr);
    if (c->state != SIM_CONN_DIALLED)
        return;
    if (!syn_passes(w, from, to)) {
        /* TCP tries again after 1 and 3 seconds. */
        if (++c->tries <= 2)
            plan(w, c->dialled + (c->tries == 1 ? SL_SEC(1) : SL_SEC(3)), SIM_SYN, c, 0);
        return;
    }
    struct sim_node *n = &w->nodes[to];
    if (n->core == NULL) {
        w->net.n_bytes += REFUSED_BYTES;
        answer(w, c, 0, SL_LINK_REFUSED, travel(w, to, from, 1));
        return;
    }
    c->end[1] = (struct sim_end){.node = (uint32_t)to, .process = n->process};
    c->state = SIM_CONN_SHAKING;
    c->tries = 0;
    struct sim_item *item = sim_zero(sizeof *item);
    item->kind = SIM_ITEM_HANDSHAKE;
    item->process = n->process;
    item->conn = c;
    sim_conn_ref(c);
    sim_input(w, to, item);
}

/* One round trip for TCP, two for ZMTP and CURVE; the first half of one has passed. */
void sim_shake(struct sim_world *w, struct sim_conn *c)
{
    if (c->state != SIM_CONN_SHAKING)
        return;
    sl_usec t = 0;
    for (int i = 0; i < 5; i++)
        t += travel(w, c->end[i % 2 == 0].node, c->end[i % 2].node, 1);
    plan(w, w->now + t, SIM_OPEN, c, 0);
}

void sim_shaken(struct sim_world *w, struct sim_conn *c)
{
    struct sim_end *a = &c->end[0], *b = &c->end[1];
    if (c->state != SIM_CONN_SHAKING)
        return;
    if (!is_there(w, b)) {
        answer(w, c, 0, SL_LINK_DOWN, travel(w, b->node, a->node, 1));
        return;
    }
    c->state = SIM_CONN_OPEN;
    b->open = true;
    w->net.n_bytes += HANDSHAKE_BYTES;
    w->nodes[a->node].traffic.sent += HANDSHAKE_BYTES / 2;
    w->nodes[b->node].traffic.sent += HANDSHAKE_BYTES / 2;
    w->nodes[a->node].traffic.heard += HANDSHAKE_BYTES / 2;
    w->nodes[b->node].traffic.heard += HANDSHAKE_BYTES / 2;
    while (c->dir[0].held)
        transmit(w, c, 0, take(&c->dir[0].held));
}

static void open_up(struct sim_world *w, struct sim_conn *c)
{
    struct sim_end *a = &c->end[0], *b = &c->end[1];
    if (c->state != SIM_CONN_SHAKING)
        return;
    if (sim_blocked(w, a->node, b->node) || sim_blocked(w, b->node, a->node)) {
        if (c->tries < 5)
            plan(w, w->now + (RTO_FIRST << c->tries++), SIM_OPEN, c, 0);
        return;
    }
    if (!is_there(w, b)) {
        answer(w, c, 0, SL_LINK_DOWN, travel(w, b->node, a->node, 1));
        return;
    }
    if (w->settings.link_cost == 0) {
        sim_shaken(w, c);
        return;
    }
    struct sim_item *item = sim_zero(sizeof *item);
    item->kind = SIM_ITEM_SHAKEN;
    item->process = a->process;
    item->conn = c;
    sim_conn_ref(c);
    sim_input(w, a->node, item);
}

static void dial_timeout(struct sim_world *w, struct sim_conn *c)
{
    if ((c->state == SIM_CONN_DIALLED || c->state == SIM_CONN_SHAKING) && c->end[0].open)
        answer(w, c, 0, SL_LINK_DOWN, 0);
}

/* ---- probes: a plain connect, closed at once ---- */

void sim_probe(struct sim_world *w, size_t node, sl_link link, const struct sl_addr *addr)
{
    struct sim_probe *p = sim_zero(sizeof *p);
    *p = (struct sim_probe){.node = (uint32_t)node,
                            .process = w->nodes[node].process,
                            .link = link,
                            .addr = *addr,
                            .since = w->now};
    w->net.n_probes++;
    sim_at(w, w->now + sl_rand_span(&w->net_rand, w->settings.delay_min, w->settings.delay_max),
           SIM_PROBE, node, 0, p);
}

static void probe(struct sim_world *w, struct sim_probe *p)
{
    size_t to = sim_node_at(w, &p->addr);
    bool passes = syn_passes(w, p->node, to);
    if (!passes && p->tries++ == 0) {
        sim_at(w, p->since + SL_SEC(1), SIM_PROBE, p->node, 0, p);
        return;
    }
    struct sim_item *item = sim_zero(sizeof *item);
    item->kind = SIM_ITEM_LINK;
    item->process = p->process;
    item->link = p->link;
    sl_usec at = p->since + PROBE_TIMEOUT;
    item->event = SL_LINK_SILENT;
    if (passes) {
        item->event = w->nodes[to].core ? SL_LINK_OPEN : SL_LINK_REFUSED;
        w->net.n_bytes += item->event == SL_LINK_OPEN ? PROBE_BYTES : REFUSED_BYTES;
        at = sl_earlier(at, w->now + travel(w, to, p->node, 1));
    }
    sim_at(w, at, SIM_ANSWER, p->node, 0, item);
    free(p);
}

/* ---- events ---- */

void sim_net_event(struct sim_world *w, const struct sim_event *e)
{
    if (e->kind == SIM_PROBE) {
        probe(w, e->p);
        return;
    }
    struct sim_conn *c = e->p;
    if (e->kind == SIM_ARRIVE)
        arrive(w, c, (unsigned)e->n);
    else if (e->kind == SIM_FLUSH)
        flush(w, c, (unsigned)e->n);
    else if (e->kind == SIM_GIVE_UP)
        give_up(w, c, (unsigned)e->n);
    else if (e->kind == SIM_SYN)
        syn(w, c);
    else if (e->kind == SIM_OPEN)
        open_up(w, c);
    else if (e->kind == SIM_DIAL_TIMEOUT)
        dial_timeout(w, c);
    sim_conn_unref(w, c);
}

bool sim_net_accept(struct sim_world *w, struct sim_conn *c)
{
    struct sim_node *n = &w->nodes[c->end[1].node];
    n->next_accept += 2;
    if (!sl_gossip_accept(n->core, sim_mono(w, n), n->next_accept, c->c_d))
        return false;
    link_add(w, c->end[1].node, n->next_accept, c, 1);
    return true;
}

void sim_net_fini(struct sim_world *w)
{
    while (w->net.first)
        conn_over(w, w->net.first);
    while (w->net.stuck) {
        struct sim_conn *c = w->net.stuck;
        w->net.stuck = c->next_stuck;
        sim_conn_unref(w, c);
    }
    sim_rules_fini(w);
}
