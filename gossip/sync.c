/* sync.c: find out who lacks what, and pay for differences only (PROTOCOL.md, "Reconciling").
 * Equal roots cost the 8 bytes in each beat. Roots that stay different start a walk down the tree: sums of 16
 * children at a time, until a subtree is small enough to be listed; a list is answered with what its sender
 * lacks and with the wish for what it has newer. A joiner is the same exchange against an empty tree. */
#include "base/bytes.h"
#include "base/pack.h"
#include "gossip/core.h"

#define ENTRY_LEN (SL_ID_LEN + 1 + 8 + 8 + 8)
#define WANT_LEN (SL_ID_LEN + 1)

static void send_tree(struct sl_gossip *g, struct conn *c, unsigned depth, uint32_t prefix)
{
    uint8_t out[512], sums[16 * 8];
    struct sl_pack w;
    for (uint32_t i = 0; i < 16; i++)
        sl_put64(sums + 8 * i, g->tree->sum[tree_node(depth + 1, prefix * 16 + i)]);
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 5);
    sl_pack_uint(&w, MSG_TREE);
    sl_pack_uint(&w, depth);
    sl_pack_uint(&w, prefix);
    sl_pack_uint(&w, g->tree->sum[0]);
    sl_pack_bin(&w, sums, sizeof sums);
    out_send(g, c, out, w.len);
    g->stats.sync_bytes += w.len;
}

/* Call `visit` for each fact below a node of the tree. */
static void each_fact(struct sl_gossip *g, unsigned depth, uint32_t prefix,
                      void (*visit)(struct sl_gossip *g, uint32_t member, struct sl_fact *f, void *context),
                      void *context)
{
    uint32_t leaves = 1u << 4 * (TREE_DEPTH - depth), first = prefix * leaves;
    if (g->tree->count[tree_node(depth, prefix)] == 0)
        return;
    for (uint32_t leaf = first; leaf < first + leaves; leaf++) {
        for (uint32_t at = g->pool->leaf[leaf]; at; at = g->pool->identities[at - 1].leaf_next) {
            if (!is_used(g, at - 1) || !member_at(g, at - 1)->in_tree)
                continue;
            uint32_t next = 0;
            for (struct sl_fact *f; (f = fact_next(g, member_at(g, at - 1), &next)) != NULL;)
                visit(g, at - 1, f, context);
        }
    }
}

struct list {
    uint8_t entries[SL_SYNC_ENTRIES_MAX * ENTRY_LEN];
    size_t n;
};

static void list_add(struct sl_gossip *g, uint32_t member, struct sl_fact *f, void *context)
{
    struct list *l = context;
    (void)g;
    (void)member;
    if (l->n == SL_SYNC_ENTRIES_MAX)
        return;
    uint8_t *p = l->entries + ENTRY_LEN * l->n++;
    memcpy(p, sl_fact_origin(f)->b, SL_ID_LEN);
    p[16] = f->kind;
    sl_put64(p + 17, f->version.epoch);
    sl_put64(p + 25, f->version.seq);
    sl_put64(p + 33, f->check);
}

static void send_list(struct sl_gossip *g, struct conn *c, unsigned depth, uint32_t prefix)
{
    struct list l = {.n = 0};
    uint8_t out[sizeof l.entries + 32];
    struct sl_pack w;
    each_fact(g, depth, prefix, list_add, &l);
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 4);
    sl_pack_uint(&w, MSG_LIST);
    sl_pack_uint(&w, depth);
    sl_pack_uint(&w, prefix);
    sl_pack_bin(&w, l.entries, ENTRY_LEN * l.n);
    out_send(g, c, out, w.len);
    g->stats.sync_bytes += w.len;
}

/* A message of 170 bytes may ask for 16 lists. What is not answered is asked for again. */
static bool may_answer(struct sl_gossip *g, struct conn *c, int64_t bytes)
{
    bool may = tokens_take(&c->sync_tokens, &c->sync_at, g->now, SL_SYNC_BYTES_PER_SECOND, SL_SYNC_BYTES_BURST, bytes);
    g->stats.refused_quota += !may;
    return may;
}

static bool is_listed(const struct sl_gossip *g, unsigned depth, uint32_t prefix)
{
    return depth == TREE_DEPTH || g->tree->count[tree_node(depth, prefix)] <= SL_SYNC_LIST_MAX;
}

static int64_t list_price(const struct sl_gossip *g, unsigned depth, uint32_t prefix)
{
    return 32 + ENTRY_LEN * (int64_t)g->tree->count[tree_node(depth, prefix)];
}

static int64_t price_of(const struct sl_gossip *g, unsigned depth, uint32_t prefix)
{
    return is_listed(g, depth, prefix) ? list_price(g, depth, prefix) : 32 + 16 * 8;
}

/* Ask about a subtree: list what is small, split what is not. */
static void ask(struct sl_gossip *g, struct conn *c, unsigned depth, uint32_t prefix)
{
    if (is_listed(g, depth, prefix))
        send_list(g, c, depth, prefix);
    else
        send_tree(g, c, depth, prefix);
}

static void start(struct sl_gossip *g, struct edge *e)
{
    if (e->conn == NONE) /* a last beat over the lesser of two connections, when the better one has ended */
        return;
    e->sync_at = SL_NEVER;
    e->sync_asked = false;
    e->sync_backoff = e->sync_backoff ? sl_earlier(2 * e->sync_backoff, SL_SYNC_BACKOFF_MAX) : SL_SEC(1);
    g->stats.syncs++;
    ask(g, &g->conns[e->conn], 0, 0);
}

bool sync_due(struct sl_gossip *g, struct edge *e)
{
    bool busy = g->now - g->changed_at < SL_SYNC_QUIET;
    if (busy && g->now - e->differ_since < SL_SYNC_BUSY_MAX) {
        e->sync_at = g->now + SL_SYNC_QUIET;
        return false;
    }
    e->sync_at = SL_NEVER;
    e->sync_asked = true;
    return true;
}

void sync_root(struct sl_gossip *g, struct edge *e, uint64_t root)
{
    if (root == g->tree->sum[0]) {
        e->differ_since = e->sync_at = SL_NEVER;
        e->sync_asked = false;
        e->sync_backoff = 0;
        return;
    }
    if (e->differ_since == SL_NEVER)
        e->differ_since = g->now;
    /* A newcomer asks at once, one peer at a time. Among settled nodes a difference is mostly news on its way:
     * wait, and look once more before anything is listed. */
    bool newcomer = g->n_members <= 2 && g->now >= g->joining_until;
    if (newcomer || e->sync_asked) {
        if (newcomer)
            g->joining_until = g->now + SL_SYNC_WAIT;
        start(g, e);
    } else if (e->sync_at == SL_NEVER) {
        sl_usec wait = SL_SYNC_WAIT + e->sync_backoff;
        e->sync_at = g->now + wait + sl_rand_span(&g->rand, 0, wait / 4);
    }
}

static bool read_place(struct sl_read *r, unsigned *ret_depth, uint32_t *ret_prefix)
{
    uint64_t depth, prefix;
    if (!sl_read_uint(r, TREE_DEPTH, &depth) || !sl_read_uint(r, (UINT64_C(1) << 4 * depth) - 1, &prefix))
        return false;
    *ret_depth = (unsigned)depth;
    *ret_prefix = (uint32_t)prefix;
    return true;
}

void sync_tree(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    unsigned depth;
    uint32_t prefix;
    uint64_t root;
    uint8_t sums[16 * 8];
    if (!read_place(r, &depth, &prefix) || depth == TREE_DEPTH || !sl_read_uint(r, UINT64_MAX, &root) ||
        !sl_read_fixed(r, sums, sizeof sums)) {
        g->stats.refused_frame++;
        return;
    }
    g->stats.sync_bytes += sizeof sums;
    if (root == g->tree->sum[0])
        return; /* whatever it was, it arrived meanwhile */
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t child = prefix * 16 + i;
        if (sl_get64(sums + 8 * i) == g->tree->sum[tree_node(depth + 1, child)])
            continue;
        if (!may_answer(g, c, price_of(g, depth + 1, child)))
            return;
        ask(g, c, depth + 1, child);
    }
}

/* ---- a list arrives --------------------------------------------------------------------- */

struct answer {
    const uint8_t *entries;
    size_t n;
    uint32_t conn;
    uint8_t want[SL_SYNC_ENTRIES_MAX * WANT_LEN];
    size_t n_want;
    const struct sl_fact *goodbye; /* sent last: the entries of one origin come one after the other */
};

static int entry_cmp(const uint8_t *p, const struct sl_fact *f)
{
    struct sl_version v = {sl_get64(p + 17), sl_get64(p + 25)};
    int order = sl_version_cmp(v, f->version);
    uint64_t check = sl_get64(p + 33);
    return order ? order : (check > f->check) - (check < f->check);
}

/* What its sender does not list, it lacks. */
static void push_unlisted(struct sl_gossip *g, uint32_t member, struct sl_fact *f, void *context)
{
    struct answer *a = context;
    for (size_t i = 0; i < a->n; i++) {
        const uint8_t *p = a->entries + ENTRY_LEN * i;
        if (p[16] == f->kind && memcmp(p, sl_fact_origin(f)->b, SL_ID_LEN) == 0)
            return;
    }
    spread_push(g, member, f->kind, a->conn);
}

static void want_add(struct answer *a, const uint8_t *entry)
{
    memcpy(a->want + WANT_LEN * a->n_want++, entry, WANT_LEN);
}

static void compare_entry(struct sl_gossip *g, struct answer *a, const uint8_t *p)
{
    struct sl_id id;
    struct sl_version version = {sl_get64(p + 17), sl_get64(p + 25)};
    uint8_t kind = p[16];
    memcpy(id.b, p, SL_ID_LEN);
    if (kind == 0)
        return;
    uint32_t index = table_find(g, &id);
    if (index == NONE) {
        /* Whoever missed a goodbye holds a dead member that we have forgotten; its own word tells it so, ours would not
         * do (simulator, swarm, seed 36). */
        struct sl_fact *goodbye = grave_goodbye(g, &id);
        if (!grave_holds(g, &id, version))
            want_add(a, p);
        else if (goodbye && sl_version_cmp(version, goodbye->version) < 0 && goodbye != a->goodbye) {
            a->goodbye = goodbye;
            spread_fact(g, goodbye, a->conn);
        } else if (!goodbye && kind == SL_RECORD) {
            grave_tell(g, a->conn, &id);
        }
        return;
    }
    const struct member *m = member_at(g, index);
    struct sl_fact *f = fact_of_any(g, m, kind);
    if (m->status == SL_LEFT) { /* it is in no tree: whoever lists it has missed its goodbye (simulator, swarm, seed 1708) */
        spread_push(g, index, SL_VITALS, a->conn);
        return;
    }
    if (!f) {
        if (version.epoch >= newest(g, m).epoch)
            want_add(a, p);
        return;
    }
    int order = entry_cmp(p, f);
    if (order > 0)
        want_add(a, p);
    else if (order < 0)
        spread_push(g, index, kind, a->conn);
}

void sync_list(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    unsigned depth;
    uint32_t prefix;
    struct sl_span entries;
    if (!read_place(r, &depth, &prefix) ||
        !sl_read_bin(r, (size_t)SL_SYNC_ENTRIES_MAX * ENTRY_LEN, &entries) || entries.len % ENTRY_LEN) {
        g->stats.refused_frame++;
        return;
    }
    g->stats.sync_bytes += entries.len;
    if (!may_answer(g, c, list_price(g, depth, prefix))) /* each fact below is looked for in it */
        return;
    struct answer a = {.entries = entries.p, .n = entries.len / ENTRY_LEN, .conn = (uint32_t)(c - g->conns)};
    for (size_t i = 0; i < a.n; i++)
        compare_entry(g, &a, a.entries + ENTRY_LEN * i);
    each_fact(g, depth, prefix, push_unlisted, &a);
    if (a.n_want == 0)
        return;
    uint8_t out[sizeof a.want + 16];
    struct sl_pack w;
    sl_pack_init(&w, out, sizeof out);
    sl_pack_array(&w, 2);
    sl_pack_uint(&w, MSG_WANT);
    sl_pack_bin(&w, a.want, WANT_LEN * a.n_want);
    out_send(g, c, out, w.len);
    g->stats.sync_bytes += w.len;
}

void sync_want(struct sl_gossip *g, struct conn *c, struct sl_read *r)
{
    struct sl_span want;
    if (!sl_read_bin(r, (size_t)SL_SYNC_ENTRIES_MAX * WANT_LEN, &want) || want.len % WANT_LEN) {
        g->stats.refused_frame++;
        return;
    }
    g->stats.sync_bytes += want.len;
    for (size_t i = 0; i < want.len / WANT_LEN; i++) {
        struct sl_id id;
        const uint8_t *p = want.p + WANT_LEN * i;
        memcpy(id.b, p, SL_ID_LEN);
        uint32_t index = table_find(g, &id);
        if (index != NONE && p[16] != 0) /* no fact is of kind 0, and no table has a place for it */
            spread_push(g, index, p[16], (uint32_t)(c - g->conns));
    }
}
