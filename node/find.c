/* find.c: what an application reads: members, views, picks, and waiting for enough of them.
 * Readers go to the store's rosters and take no lock; opening and closing views takes the one
 * that a publish tries. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

struct starling_view {
    starling_node *node;
    struct sl_view *view; /* interned by the store: the same pointer is the same service */
    unsigned opened;      /* times; under store_lock, like `next` */
    starling_view *next;
    char service[STARLING_NAME_MAX];
};

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

static int check_view_options(const char *service, const starling_view_options *options)
{
    if (service == NULL || !sl_name_ok(service, strlen(service)))
        return sl_fail(STARLING_EINVAL, "a service's name is 1-63 of a-z 0-9 . _ -, not \"%.80s\"",
                       service != NULL ? service : "");
    if (options->tenant != NULL && !sl_name_ok(options->tenant, strlen(options->tenant)))
        return sl_fail(STARLING_EINVAL, "a tenant's name is 1-63 of a-z 0-9 . _ -, not \"%.80s\"",
                       options->tenant);
    return 0;
}

/* Under store_lock. The handle that there is, or `fresh`, which is then taken. */
static starling_view *intern(starling_node *node, starling_view *fresh)
{
    for (starling_view *v = node->views; v != NULL; v = v->next) {
        if (v->view == fresh->view) {
            v->opened++;
            return v;
        }
    }
    fresh->opened = 1;
    fresh->next = node->views;
    node->views = fresh;
    return fresh;
}

int starling_view_open_sized(starling_node *node, const char *service,
                             const starling_view_options *options, size_t size,
                             starling_view **ret_view)
{
    starling_view_options o = {0};
    int r = sl_node_check(node);
    if (r < 0)
        return r;
    if (ret_view == NULL)
        return sl_fail(STARLING_EINVAL, "ret_view is NULL");
    if (options != NULL)
        memcpy(&o, options, size < sizeof o ? size : sizeof o);
    r = check_view_options(service, &o);
    if (r < 0)
        return r;

    starling_view *fresh = calloc(1, sizeof *fresh), *view = NULL;
    if (fresh == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for a view");
    fresh->node = node;
    sl_copy_text(fresh->service, sizeof fresh->service, service, strlen(service));
    pthread_mutex_lock(&node->store_lock);
    r = sl_view_open(node->store, o.tenant != NULL ? o.tenant : "default", service, &fresh->view);
    if (r == 0)
        view = intern(node, fresh);
    pthread_mutex_unlock(&node->store_lock);
    if (view != fresh)
        free(fresh);
    if (r < 0)
        return sl_fail(r, "out of memory for a view of \"%s\"", service);
    *ret_view = view;
    return 0;
}

void starling_view_close(starling_view *view)
{
    if (view == NULL || sl_node_check(view->node) < 0)
        return;
    starling_node *node = view->node;
    pthread_mutex_lock(&node->store_lock);
    sl_view_close(node->store, view->view);
    if (--view->opened == 0) {
        starling_view **at = &node->views;
        while (*at != view)
            at = &(*at)->next;
        *at = view->next;
        free(view);
    }
    pthread_mutex_unlock(&node->store_lock);
}

void sl_views_free(starling_node *node)
{
    while (node->views != NULL) {
        starling_view *v = node->views;
        node->views = v->next;
        for (unsigned i = 0; i < v->opened; i++)
            sl_view_close(node->store, v->view);
        free(v);
    }
}

static int check_view(const starling_view *view)
{
    return view != NULL ? sl_node_check(view->node) : sl_fail(STARLING_EINVAL, "view is NULL");
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

int starling_pick_sized(starling_view *view, starling_instance *ret_instance, size_t size)
{
    starling_instance whole;
    int r = check_view(view);
    if (r < 0)
        return r;
    if (ret_instance == NULL || size == 0)
        return sl_fail(STARLING_EINVAL, "there is nowhere to copy the instance to");
    if (size >= sizeof whole) {
        r = sl_view_pick(view->view, own_rand(), ret_instance);
    } else {
        memset(&whole, 0, sizeof whole);
        r = sl_view_pick(view->view, own_rand(), &whole);
        if (r == 0)
            memcpy(ret_instance, &whole, size);
    }
    if (r == 0)
        return 0;
    return sl_fail(r,
                   r == STARLING_ENOENT ? "nobody offers service \"%s\""
                                        : "service \"%s\" is offered, but no instance is fit",
                   view->service);
}

int starling_view_list_sized(starling_view *view, size_t cap, starling_instance *ret_instances,
                             size_t size, size_t *ret_n)
{
    int r = check_view(view);
    if (r == 0)
        r = check_list(view->node, cap, ret_instances, size, ret_n);
    if (r < 0)
        return r;
    sl_view_list(view->view, cap, ret_instances, size, ret_n);
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
    r = sl_view_meta(view->view, &id, key, cap, buffer);
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

/* Wait for a publish later than *seen. 0 or ETIMEDOUT. */
static int wait_publish(starling_node *node, uint64_t *seen, const struct timespec *deadline)
{
    int failed = 0;
    pthread_mutex_lock(&node->wait_lock);
    while (node->published == *seen && failed == 0)
        failed = deadline != NULL
                     ? pthread_cond_timedwait(&node->wait_cond, &node->wait_lock, deadline)
                     : pthread_cond_wait(&node->wait_cond, &node->wait_lock);
    if (node->published != *seen)
        failed = 0;
    *seen = node->published;
    pthread_mutex_unlock(&node->wait_lock);
    return failed;
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
        if (wait_publish(node, &seen, timeout_ms >= 0 ? &deadline : NULL) != 0)
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
    return r < 0 ? r : wait_count(view->node, view->view, n, timeout_ms);
}
