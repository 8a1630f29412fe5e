/* find.c: what an application reads: members, views, picks, and waiting for enough of them.
 * Readers go to the store's rosters and take no lock; opening and closing views takes the one
 * that a publish tries. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

/* A view is the store's: the handle is its address, and its user the node. */
static struct sl_view *inside(const starling_view *view)
{
    return (struct sl_view *)(uintptr_t)view;
}

static starling_node *node_of(const starling_view *view)
{
    return sl_view_user(inside(view));
}

/* ---- members ------------------------------------------------------------------------------ */

/* What every listing asks first. */
static int check_list(const starling_node *node, size_t cap, const void *list, size_t size,
                      const size_t *ret_n)
{
    int r = sl_node_check(node);
    if (r < 0)
        return r;
    if (ret_n == NULL)
        return sl_fail(STARLING_EINVAL, "ret_n is NULL");
    if (cap > 0 && (list == NULL || size == 0))
        return sl_fail(STARLING_EINVAL, "cap is %zu, but there is nowhere to copy to", cap);
    return 0;
}

int starling_members_sized(starling_node *node, size_t cap, starling_member *ret_members,
                           size_t size, size_t *ret_n)
{
    int r = check_list(node, cap, ret_members, size, ret_n);
    if (r < 0)
        return r;
    sl_store_members(node->store, cap, ret_members, size, ret_n);
    return 0;
}

/* ---- views -------------------------------------------------------------------------------- */

/* False: it does not fit, and so is nothing that could match. */
static bool put_text(char *out, size_t cap, const char *text)
{
    size_t len = text != NULL ? strnlen(text, cap) : 0;
    if (len == cap)
        return false;
    if (len > 0)
        memcpy(out, text, len);
    return true;
}

static int fill_spec(struct sl_view_spec *spec, const char *service, const starling_view_options *o)
{
    memset(spec, 0, sizeof *spec); /* padding too: views are told apart by their bytes */
    if (service == NULL || !put_text(spec->name, sizeof spec->name, service))
        return sl_fail(STARLING_EINVAL, "a service's name is 1-63 of a-z 0-9 . _ -, not \"%.80s\"",
                       service != NULL ? service : "");
    if (!put_text(spec->tenant, sizeof spec->tenant, o->tenant != NULL ? o->tenant : "default"))
        return sl_fail(STARLING_EINVAL, "a tenant's name is 1-63 of a-z 0-9 . _ -, not \"%.80s\"",
                       o->tenant);
    if (!put_text(spec->version, sizeof spec->version, o->version) ||
        !put_text(spec->select, sizeof spec->select, o->select))
        return sl_fail(STARLING_EINVAL, "the %s of a view of \"%s\" is longer than %zu bytes",
                       o->select != NULL && strlen(o->select) >= sizeof spec->select
                           ? "selector"
                           : "version range",
                       service, sizeof spec->select - 1);
    if ((unsigned)o->strategy > STARLING_LOCAL_FIRST ||
        (o->tiers &
         ~(unsigned)(STARLING_TIER_HEALTHY | STARLING_TIER_LOCAL | STARLING_TIER_STRICT)) != 0 ||
        (unsigned)o->panic > STARLING_PANIC_FAIL || o->load_bound > UINT16_MAX ||
        o->timeout_ms > UINT32_MAX / 1000)
        return sl_fail(STARLING_EINVAL,
                       "strategy %d, tiers %u, panic %d, load_bound %u, timeout_ms %u: "
                       "one of them is none",
                       (int)o->strategy, o->tiers, (int)o->panic, o->load_bound, o->timeout_ms);
    spec->strategy = (uint8_t)o->strategy;
    spec->tiers = (uint8_t)o->tiers;
    spec->panic = (uint8_t)o->panic;
    spec->load_bound = (uint16_t)o->load_bound;
    spec->timeout_us = o->timeout_ms * 1000;
    return 0;
}

int starling_view_open_sized(starling_node *node, const char *service,
                             const starling_view_options *options, size_t size,
                             starling_view **ret_view)
{
    starling_view_options o = {0};
    struct sl_view_spec spec;
    int r = sl_node_check(node);
    if (r < 0)
        return r;
    if (ret_view == NULL)
        return sl_fail(STARLING_EINVAL, "ret_view is NULL");
    if (options != NULL)
        memcpy(&o, options, size < sizeof o ? size : sizeof o);
    r = fill_spec(&spec, service, &o);
    if (r < 0)
        return r;
    pthread_mutex_lock(&node->store_lock);
    struct sl_view *view = sl_view_again(node->store, &spec);
    bool fresh = view == NULL;
    if (fresh)
        r = sl_view_open(node->store, &spec, sl_now(), node, &view);
    pthread_mutex_unlock(&node->store_lock);
    if (r == STARLING_EINVAL)
        return sl_fail(r, "view of \"%s\": %s", service, sl_view_fault(&spec));
    if (r < 0)
        return sl_fail(r, "out of memory for a view of \"%s\"", service);
    if (fresh) {
        sl_commands_ask_tenant(node, spec.tenant);
        sl_node_wake(node); /* the I/O thread may have to count for it */
    }
    *ret_view = (starling_view *)view;
    return 0;
}

void starling_view_close(starling_view *view)
{
    if (view == NULL || sl_node_check(node_of(view)) < 0)
        return;
    starling_node *node = node_of(view);
    pthread_mutex_lock(&node->store_lock);
    sl_view_close(node->store, inside(view));
    pthread_mutex_unlock(&node->store_lock);
}

static int check_view(const starling_view *view)
{
    return view != NULL ? sl_node_check(node_of(view)) : sl_fail(STARLING_EINVAL, "view is NULL");
}

uint32_t sl_coarse_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

/* This thread's generator: a child after fork() must not draw what its parent draws. */
static struct sl_rand *own_rand(void)
{
    static _Thread_local struct {
        struct sl_rand r;
        unsigned process; /* that seeded it; 0 = nobody */
    } own;
    if (own.process != sl_process()) {
        uint64_t seed;
        sl_entropy(&seed, sizeof seed);
        sl_rand_seed(&own.r, seed);
        own.process = sl_process();
    }
    return &own.r;
}

static int pick(starling_view *view, struct sl_pick *how, starling_instance *ret_instance,
                size_t size)
{
    starling_instance whole;
    struct sl_view *v = inside(view);
    int r;
    how->rand = own_rand();
    how->now_ms = sl_view_wants_time(v) ? sl_coarse_ms() : 0;
    if (size >= sizeof whole) {
        r = sl_view_pick(v, how, ret_instance);
    } else {
        memset(&whole, 0, sizeof whole);
        r = sl_view_pick(v, how, &whole);
        if (r == 0)
            memcpy(ret_instance, &whole, size);
    }
    if (r == 0)
        return 0;
    return sl_fail(r,
                   r == STARLING_ENOENT ? "nobody offers service \"%s\""
                   : how->n_tried > 0
                       ? "service \"%s\" is offered, but no instance is fit that was not tried"
                       : "service \"%s\" is offered, but no instance is fit",
                   sl_view_service(v));
}

int starling_pick_sized(starling_view *view, starling_instance *ret_instance, size_t size)
{
    struct sl_pick how = {0};
    int r = check_view(view);
    if (r < 0)
        return r;
    if (ret_instance == NULL || size == 0)
        return sl_fail(STARLING_EINVAL, "there is nowhere to copy the instance to");
    return pick(view, &how, ret_instance, size);
}

int starling_pick_with_sized(starling_view *view, const starling_pick_options *options,
                             size_t options_size, starling_instance *ret_instance, size_t size)
{
    starling_pick_options o = {0};
    int r = check_view(view);
    if (r < 0)
        return r;
    if (ret_instance == NULL || size == 0)
        return sl_fail(STARLING_EINVAL, "there is nowhere to copy the instance to");
    if (options != NULL)
        memcpy(&o, options, options_size < sizeof o ? options_size : sizeof o);
    if ((o.key == NULL && o.key_len > 0) || (o.tried == NULL && o.n_tried > 0))
        return sl_fail(STARLING_EINVAL, "%s is NULL",
                       o.key == NULL && o.key_len > 0 ? "key" : "tried");
    if (o.n_tried > 0 && size < offsetof(starling_instance, id) + sizeof ret_instance->id)
        return sl_fail(STARLING_EINVAL, "instances of %zu bytes have no id", size);
    struct sl_pick how = {.key = sl_span_of(o.key, o.key_len),
                          .tried = o.tried,
                          .n_tried = o.n_tried,
                          .stride = size};
    return pick(view, &how, ret_instance, size);
}

int starling_done_sized(starling_view *view, const starling_instance *who, size_t size,
                        enum starling_outcome outcome, uint32_t latency_us)
{
    int r = check_view(view);
    if (r < 0)
        return r;
    if (who == NULL || size < offsetof(starling_instance, ticket) + sizeof who->ticket)
        return sl_fail(STARLING_EINVAL, "who is no instance that was picked");
    if ((unsigned)outcome > STARLING_CANCELLED)
        return sl_fail(STARLING_EINVAL, "outcome %d is none", (int)outcome);
    if (who->ticket != 0)
        (void)sl_view_done(inside(view), sl_coarse_ms(), who->ticket, (int)outcome, latency_us);
    return 0;
}

int starling_view_list_sized(starling_view *view, size_t cap, starling_instance *ret_instances,
                             size_t size, size_t *ret_n)
{
    int r = check_view(view);
    if (r == 0)
        r = check_list(node_of(view), cap, ret_instances, size, ret_n);
    if (r < 0)
        return r;
    sl_view_list(inside(view), cap, ret_instances, size, ret_n);
    return 0;
}

int starling_instance_meta_sized(starling_view *view, const starling_instance *who, size_t size,
                                 const char *key, size_t cap, char *buffer)
{
    starling_instance w = {0};
    struct sl_id id;
    int r = check_view(view);
    if (r < 0)
        return r;
    if (who == NULL || key == NULL || buffer == NULL)
        return sl_fail(STARLING_EINVAL, "%s is NULL",
                       who == NULL   ? "who"
                       : key == NULL ? "key"
                                     : "buffer");
    memcpy(&w, who, size < sizeof w ? size : sizeof w);
    w.id[sizeof w.id - 1] = '\0';
    if (!sl_unhex(id.b, SL_ID_LEN, w.id, strlen(w.id)))
        return sl_fail(STARLING_EINVAL, "the instance was neither picked nor listed");
    r = sl_view_meta(inside(view), &id, key, cap, buffer);
    if (r == STARLING_ENOENT)
        return sl_fail(r, "the instance has no metadata \"%.80s\", or has gone", key);
    if (r == STARLING_ELIMIT)
        return sl_fail(r, "metadata \"%.80s\" does not fit into %zu bytes", key, cap);
    return r;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static struct timespec deadline_after(int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Until `view` (or, where it is NULL, the node) counts n. */
static int wait_count(starling_node *node, struct sl_view *view, unsigned n, int timeout_ms)
{
    struct timespec deadline;
    uint64_t seen;
    if (sl_node_in_callback(node))
        return sl_fail(STARLING_EINVAL, "waiting from inside a callback would wait for itself");
    if (timeout_ms >= 0)
        deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&node->wait_lock);
    seen = node->published;
    pthread_mutex_unlock(&node->wait_lock);
    for (;;) {
        size_t count = view != NULL ? sl_view_n_fit(view) : sl_store_n_alive(node->store);
        /* Pairs with the store in loop.c: what is there after the end does not change any more. */
        if (atomic_load_explicit(&node->stopped, memory_order_acquire))
            return sl_fail(STARLING_ECLOSED, "the node has left its flock");
        if (count >= n)
            return 0;
        if (!sl_node_wait_news(node, &seen, timeout_ms >= 0 ? &deadline : NULL))
            return sl_fail(STARLING_ETIMEDOUT, "%zu of %u %s within %d ms", count, n,
                           view != NULL ? "instances fit" : "members alive", timeout_ms);
    }
}

int starling_wait_members(starling_node *node, unsigned n, int timeout_ms)
{
    int r = sl_node_check(node);
    return r < 0 ? r : wait_count(node, NULL, n, timeout_ms);
}

int starling_wait_fit(starling_view *view, unsigned n, int timeout_ms)
{
    int r = check_view(view);
    return r < 0 ? r : wait_count(node_of(view), inside(view), n, timeout_ms);
}
