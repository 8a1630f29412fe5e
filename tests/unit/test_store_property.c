/* test_store_property.c: what holds for the store whatever happens: memory runs out at any call,
 * events come in any order, a watcher hears nothing but changes. Random worlds, each from its seed.
 */
#include "tests/unit/store_help.h"

/* What readers see, as text. */
static void picture(struct sl_store *s, char *out, size_t cap)
{
    static struct starling_member m[64];
    size_t n, len = 0;
    const char *tenant, *name;
    out[0] = '\0';
    sl_store_members(s, SL_COUNT(m), m, sizeof *m, &n);
    ck_assert_uint_le(n, SL_COUNT(m));
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s %d %u %s\n", m[i].name, m[i].status,
                                m[i].n_services, m[i].address);
    for (size_t i = 0; sl_store_service(s, i, &tenant, &name, &n); i++) {
        len += (size_t)snprintf(out + len, cap - len, "%s/%s\n", tenant, name);
        for (size_t k = 0; k < n; k++) {
            const struct sl_instance *inst = sl_store_instance(s, i, k);
            len += (size_t)snprintf(out + len, cap - len, " %s %s:%u %d %d %u %zu %s\n", inst->node,
                                    inst->host, inst->port, inst->status, inst->health,
                                    inst->weight, inst->n_meta, inst->note);
        }
    }
    ck_assert_uint_lt(len, cap - 1);
}

/* ---- out of memory -------------------------------------------------------------------------- */

/* Call again as long as memory is short: it is so once. */
#define AGAIN(call)                                                                                \
    do {                                                                                           \
        int again_ = (call);                                                                       \
        if (again_ == STARLING_ENOMEM)                                                             \
            again_ = (call);                                                                       \
        ck_assert_int_eq(again_, 0);                                                               \
    } while (0)

static void publish_again(struct sl_store *s)
{
    static char before[32768], after[32768];
    picture(s, before, sizeof before);
    int r = sl_store_publish(s, now_of_test);
    if (r == STARLING_ENOMEM) {
        picture(s, after, sizeof after);
        ck_assert_str_eq(after, before);
        r = sl_store_publish(s, now_of_test);
    }
    ck_assert_int_eq(r, 0);
}

/* A life with everything in it; each step may fail once for lack of memory. */
static void live(struct sl_store *s, struct sl_view **ret_view)
{
    struct sl_service services[3] = {a_service("api", 1), a_service("db", 2), a_service("web", 3)};
    add_meta(&services[0], "k", "v");
    struct sl_view_spec spec = a_spec("web", STARLING_ROUND_ROBIN);
    AGAIN(sl_view_open(s, &spec, now_of_test, NULL, ret_view));
    for (unsigned i = 0; i < 10; i++) {
        AGAIN(feed_member(s, i, STARLING_ALIVE));
        AGAIN(feed_record(s, i, services, 1 + i % 3));
        AGAIN(feed_vitals(s, i, services, 1 + i % 3));
    }
    publish_again(s);
    struct sl_view *api;
    spec = a_spec("api", STARLING_LOCAL_FIRST);
    AGAIN(sl_view_open(s, &spec, now_of_test, NULL, &api));
    services[1].health = STARLING_CRITICAL;
    for (unsigned i = 0; i < 8; i++) {
        AGAIN(feed_vitals(s, i, services, 3));
        AGAIN(feed_member(s, i, (enum starling_status)(i % 4)));
    }
    struct sl_id gone = an_id(8);
    sl_store_forget(s, &gone);
    AGAIN(feed_member(s, 20, STARLING_ALIVE));
    AGAIN(feed_record(s, 20, services, 3));
    publish_again(s);
    struct sl_store_member renamed = a_member(9, STARLING_ALIVE);
    set_text(renamed.name, sizeof renamed.name, "zz");
    AGAIN(sl_store_member(s, &renamed));
    AGAIN(feed_record(s, 4, services, 1));
    publish_again(s);
    sl_view_close(s, api);
}

START_TEST(wherever_memory_runs_out_nothing_changes_and_the_call_can_be_repeated)
{
    static char expected[32768], got[32768];
    struct sl_view *v;
    struct memory enough;
    struct sl_store *store;
    memory_init(&enough);
    ck_assert_int_eq(sl_store_new(&enough.alloc, 1, NULL, &store), 0);
    live(store, &v);
    picture(store, expected, sizeof expected);
    sl_store_free(store);
    size_t n_calls = enough.n_calls;
    for (size_t n = 1; n <= n_calls + 1; n++) {
        struct memory short_memory;
        struct sl_store *s;
        memory_init(&short_memory);
        short_memory.fail_at = n;
        AGAIN(sl_store_new(&short_memory.alloc, 1, NULL, &s));
        live(s, &v);
        picture(s, got, sizeof got);
        ck_assert_str_eq(got, expected);
        ck_assert_uint_eq(sl_view_n_fit(v), 1);
        sl_store_free(s);
        ck_assert_msg(short_memory.bytes == 0, "call %zu: %zu bytes leaked", n, short_memory.bytes);
    }
    ck_assert_uint_gt(n_calls, 100);
}
END_TEST

/* ---- properties ----------------------------------------------------------------------------- */

enum { WORLD_MEMBERS = 12, WORLD_SERVICES = 4 };

/* The newest words of each member. */
struct world {
    struct {
        bool known;
        enum starling_status status;
        bool offers[WORLD_SERVICES];
        bool speaks[WORLD_SERVICES]; /* has vitals for it */
        unsigned port[WORLD_SERVICES], weight[WORLD_SERVICES];
        enum starling_health health[WORLD_SERVICES];
    } members[WORLD_MEMBERS];
};

static const char *const world_names[WORLD_SERVICES] = {"a", "b", "c", "d"};

static int feed_world_record(struct sl_store *s, const struct world *w, unsigned number)
{
    struct sl_service services[WORLD_SERVICES];
    size_t n = 0;
    for (unsigned i = 0; i < WORLD_SERVICES; i++) {
        if (w->members[number].offers[i])
            services[n++] = a_service(world_names[i], w->members[number].port[i]);
    }
    return feed_record(s, number, services, n);
}

static int feed_world_vitals(struct sl_store *s, const struct world *w, unsigned number)
{
    struct sl_service services[WORLD_SERVICES];
    size_t n = 0;
    for (unsigned i = 0; i < WORLD_SERVICES; i++) {
        if (!w->members[number].speaks[i])
            continue;
        services[n] = a_service(world_names[i], 1);
        services[n].weight = (uint16_t)w->members[number].weight[i];
        services[n++].health = (uint8_t)w->members[number].health[i];
    }
    return feed_vitals(s, number, services, n);
}

/* One thing happens, in the model and in the store. */
static void happen(struct sl_store *s, struct world *w, struct sl_rand *r)
{
    unsigned number = (unsigned)sl_rand_below(r, WORLD_MEMBERS);
    uint64_t what = sl_rand_below(r, 10);
    if (what == 0 && w->members[number].known) {
        struct sl_id id = an_id(number);
        sl_store_forget(s, &id);
        memset(&w->members[number], 0, sizeof w->members[number]);
    } else if (what <= 3 || !w->members[number].known) {
        w->members[number].known = true;
        w->members[number].status = (enum starling_status)sl_rand_below(r, 4);
        ck_assert_int_eq(feed_member(s, number, w->members[number].status), 0);
    } else if (what <= 6) {
        for (unsigned i = 0; i < WORLD_SERVICES; i++) {
            w->members[number].offers[i] = sl_rand_below(r, 2);
            w->members[number].port[i] = 1 + (unsigned)sl_rand_below(r, 3);
        }
        ck_assert_int_eq(feed_world_record(s, w, number), 0);
    } else {
        for (unsigned i = 0; i < WORLD_SERVICES; i++) {
            w->members[number].speaks[i] = sl_rand_below(r, 4) > 0;
            w->members[number].weight[i] = 50 * (unsigned)sl_rand_below(r, 3);
            w->members[number].health[i] = (enum starling_health)sl_rand_below(r, 3);
        }
        ck_assert_int_eq(feed_world_vitals(s, w, number), 0);
    }
}

/* The same picture from the model alone. */
static void picture_of_world(const struct world *w, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (unsigned m = 0; m < WORLD_MEMBERS; m++) {
        unsigned n = 0;
        for (unsigned i = 0; i < WORLD_SERVICES; i++)
            n += w->members[m].offers[i] && w->members[m].status != STARLING_LEFT;
        if (w->members[m].known)
            len += (size_t)snprintf(out + len, cap - len, "n%04u %d %u 10.0.0.%u:7700\n", m,
                                    w->members[m].status, n, m);
    }
    for (unsigned i = 0; i < WORLD_SERVICES; i++) {
        bool any = false;
        for (unsigned m = 0; m < WORLD_MEMBERS; m++) {
            if (!w->members[m].offers[i] || w->members[m].status == STARLING_LEFT)
                continue;
            if (!any)
                len += (size_t)snprintf(out + len, cap - len, "default/%s\n", world_names[i]);
            any = true;
            bool speaks = w->members[m].speaks[i];
            len += (size_t)snprintf(out + len, cap - len, " n%04u 10.0.0.%u:%u %d %d %u 0 \n", m, m,
                                    w->members[m].port[i], w->members[m].status,
                                    speaks ? w->members[m].health[i] : STARLING_PASSING,
                                    speaks ? w->members[m].weight[i] : 100);
        }
    }
}

/* Reachable, with a weight, whatever its health. */
static bool is_there(const struct world *w, unsigned m, unsigned i)
{
    return w->members[m].known && w->members[m].offers[i] &&
           w->members[m].status <= STARLING_SUSPECT &&
           (!w->members[m].speaks[i] || w->members[m].weight[i] > 0);
}

static bool is_fit(const struct world *w, unsigned m, unsigned i, enum starling_status status)
{
    if (!w->members[m].known || !w->members[m].offers[i] || w->members[m].status != status)
        return false;
    if (!w->members[m].speaks[i])
        return true;
    return w->members[m].health[i] != STARLING_CRITICAL && w->members[m].weight[i] > 0;
}

/* Picks from service i are those the model allows. */
static void check_picks(struct sl_view *v, const struct world *w, unsigned i, struct sl_rand *r,
                        unsigned seed)
{
    unsigned n_fit = 0, n_suspect = 0, n_listed_ = 0, n_there = 0;
    for (unsigned m = 0; m < WORLD_MEMBERS; m++) {
        n_there += is_there(w, m, i);
        n_fit += is_fit(w, m, i, STARLING_ALIVE);
        n_suspect += is_fit(w, m, i, STARLING_SUSPECT);
        n_listed_ += w->members[m].offers[i] && w->members[m].status != STARLING_LEFT;
    }
    bool panic = n_there >= 3 && 2 * (n_fit + n_suspect) < n_there;
    ck_assert_uint_eq(sl_view_n_fit(v), n_fit);
    for (int k = 0; k < 8; k++) {
        unsigned got = 0;
        int result = pick(v, r, &got);
        int expected = panic || n_fit + n_suspect > 0 ? 0
                       : n_listed_ > 0       ? STARLING_EUNAVAIL
                                             : STARLING_ENOENT;
        ck_assert_msg(result == expected, "seed %u: pick says %d, not %d", seed, result, expected);
        if (result == 0)
            ck_assert_msg(panic ? is_there(w, got, i)
                                : is_fit(w, got, i, n_fit > 0 ? STARLING_ALIVE : STARLING_SUSPECT),
                          "seed %u: %u was picked", seed, got);
    }
}

START_TEST(whatever_happens_readers_see_what_a_plain_model_says)
{
    static char expected[32768], got[32768];
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct memory m;
        struct sl_store *s;
        struct sl_view *views[WORLD_SERVICES];
        struct world w = {0};
        struct sl_rand r;
        memory_init(&m);
        sl_rand_seed(&r, seed);
        ck_assert_int_eq(sl_store_new(&m.alloc, seed, NULL, &s), 0);
        for (unsigned i = 0; i < WORLD_SERVICES; i++)
            views[i] = open_view(s, world_names[i]);
        for (int round = 0; round < 60; round++) {
            for (uint64_t k = sl_rand_below(&r, 12); k > 0; k--)
                happen(s, &w, &r);
            publish(s);
            picture(s, got, sizeof got);
            picture_of_world(&w, expected, sizeof expected);
            ck_assert_msg(strcmp(got, expected) == 0, "seed %u round %d:\n%s\nnot\n%s", seed, round,
                          got, expected);
            for (unsigned i = 0; i < WORLD_SERVICES; i++)
                check_picks(views[i], &w, i, &r, seed);
        }
        sl_store_free(s);
        ck_assert_uint_eq(m.bytes, 0);
    }
}
END_TEST

/* What a watcher knows from changes alone. */
struct watcher {
    int status[WORLD_MEMBERS]; /* -1: never heard of */
    bool panic[WORLD_SERVICES];
    bool there[WORLD_MEMBERS][WORLD_SERVICES];
    unsigned weight[WORLD_MEMBERS][WORLD_SERVICES];
    int health[WORLD_MEMBERS][WORLD_SERVICES];
};

static void hear(struct watcher *w, const struct sl_change *c, unsigned seed)
{
    unsigned m = (unsigned)strtoul(c->node + 1, NULL, 10), i = (unsigned)(c->service[0] - 'a');
    ck_assert_int_ne(c->type, SL_CHANGES_LOST);
    if (c->type == SL_SERVICE_PANIC || c->type == SL_SERVICE_CALM) {
        ck_assert_msg(w->panic[i] == (c->type == SL_SERVICE_CALM), "seed %u: told twice", seed);
        w->panic[i] = c->type == SL_SERVICE_PANIC;
        return;
    }
    if (c->type == SL_MEMBER_STATUS) {
        w->status[m] = c->status;
        return;
    }
    ck_assert_msg(w->there[m][i] == (c->type != SL_INSTANCE_ADDED),
                  "seed %u: change %d of %s/%s does not follow", seed, c->type, c->node,
                  c->service);
    w->there[m][i] = c->type != SL_INSTANCE_REMOVED;
    w->weight[m][i] = c->weight;
    w->health[m][i] = c->health;
}

START_TEST(a_watcher_who_hears_every_change_knows_what_is_reachable)
{
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct memory memory_of_world;
        struct sl_store *s;
        struct world w = {0};
        struct watcher watcher = {0};
        struct sl_rand r;
        struct sl_change c;
        memory_init(&memory_of_world);
        sl_rand_seed(&r, seed);
        ck_assert_int_eq(sl_store_new(&memory_of_world.alloc, seed, NULL, &s), 0);
        for (int round = 0; round < 100; round++) {
            for (uint64_t k = sl_rand_below(&r, 8); k > 0; k--)
                happen(s, &w, &r);
            publish(s);
            if (round % 3 == 0)
                continue; /* changes wait, and stay in order */
            while (sl_store_next_change(s, &c))
                hear(&watcher, &c, seed);
            for (unsigned m = 0; m < WORLD_MEMBERS; m++) {
                bool reachable = w.members[m].known && w.members[m].status <= STARLING_SUSPECT;
                if (w.members[m].known)
                    ck_assert_int_eq(watcher.status[m], w.members[m].status);
                for (unsigned i = 0; i < WORLD_SERVICES; i++) {
                    bool there = reachable && w.members[m].offers[i];
                    bool speaks = w.members[m].speaks[i];
                    ck_assert_msg(watcher.there[m][i] == there, "seed %u round %d", seed, round);
                    if (!there)
                        continue;
                    ck_assert_uint_eq(watcher.weight[m][i], speaks ? w.members[m].weight[i] : 100);
                    ck_assert_int_eq(watcher.health[m][i],
                                     speaks ? (int)w.members[m].health[i] : STARLING_PASSING);
                }
            }
        }
        sl_store_free(s);
        ck_assert_uint_eq(memory_of_world.bytes, 0);
    }
}
END_TEST

/* Feed the final words of a world in some order, publishing now and then. */
static void feed_in_order(struct sl_store *s, const struct world *w, struct sl_rand *r)
{
    unsigned order[WORLD_MEMBERS * 2], n = 0;
    for (unsigned i = 0; i < WORLD_MEMBERS * 2; i++)
        order[n++] = i;
    for (unsigned m = 0; m < WORLD_MEMBERS; m++) {
        /* Where the member starts does not matter either. */
        if (w->members[m].known)
            ck_assert_int_eq(feed_member(s, m, (enum starling_status)sl_rand_below(r, 4)), 0);
    }
    for (unsigned i = n; i > 1; i--) {
        unsigned k = (unsigned)sl_rand_below(r, i), swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned m = order[i] / 2;
        if (!w->members[m].known)
            continue;
        ck_assert_int_eq(order[i] % 2 ? feed_world_record(s, w, m) : feed_world_vitals(s, w, m), 0);
        if (sl_rand_below(r, 4) == 0)
            ck_assert_int_eq(feed_member(s, m, w->members[m].status), 0);
        if (sl_rand_below(r, 5) == 0)
            publish(s);
    }
    for (unsigned m = 0; m < WORLD_MEMBERS; m++) {
        if (w->members[m].known)
            ck_assert_int_eq(feed_member(s, m, w->members[m].status), 0);
    }
    publish(s);
}

START_TEST(any_order_of_the_same_words_gives_the_same_rosters)
{
    static char expected[32768], got[32768];
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct world w = {0};
        struct sl_rand r;
        sl_rand_seed(&r, seed);
        for (int order = 0; order < 10; order++) {
            struct memory m;
            struct sl_store *s;
            memory_init(&m);
            ck_assert_int_eq(sl_store_new(&m.alloc, (uint64_t)order, NULL, &s), 0);
            if (order == 0) {
                for (int k = 0; k < 200; k++)
                    happen(s, &w, &r);
                publish(s);
                picture(s, expected, sizeof expected);
            } else {
                feed_in_order(s, &w, &r);
                picture(s, got, sizeof got);
                ck_assert_msg(strcmp(got, expected) == 0, "seed %u order %d:\n%s\nnot\n%s", seed,
                              order, got, expected);
            }
            sl_store_free(s);
            ck_assert_uint_eq(m.bytes, 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_property");
    TCase *t = tcase_create("memory");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, wherever_memory_runs_out_nothing_changes_and_the_call_can_be_repeated);
    suite_add_tcase(s, t);
    t = tcase_create("properties");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, whatever_happens_readers_see_what_a_plain_model_says);
    tcase_add_test(t, a_watcher_who_hears_every_change_knows_what_is_reachable);
    tcase_add_test(t, any_order_of_the_same_words_gives_the_same_rosters);
    suite_add_tcase(s, t);
    return run_suite(s);
}
