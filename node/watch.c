/* watch.c: the ring of events, and watches as cursors into it. A watch that fell behind by the
 * whole ring gets one RESYNC in place of what it lost. A watch that has nothing to read moves
 * along with the ring, so that a filter for a quiet service never falls behind. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

struct starling_watch {
    starling_node *node;
    int fd;                          /* eventfd */
    char tenant[STARLING_NAME_MAX];  /* whose instance events come */
    char service[STARLING_NAME_MAX]; /* "" = every event */
    /* under events.lock */
    uint64_t cursor; /* number of the last event seen */
    bool waits;      /* something is there to read, and fd says so */
    starling_watch *next;
};

/* ---- the ring, under its lock ------------------------------------------------------------- */

static bool fell_behind(const struct sl_events *e, uint64_t cursor)
{
    uint64_t oldest = e->next_seq > SL_EVENTS_KEPT ? e->next_seq - SL_EVENTS_KEPT : 1;
    /* A number that was never given came from another life of this node. */
    return cursor >= e->next_seq || cursor + 1 < oldest;
}

/* What the filter lets through: of instance events its tenant's alone. */
static bool matches(const starling_event *event, const char *tenant, const char *service)
{
    if (event->type == STARLING_RESYNC)
        return true;
    if (event->tenant[0] != '\0' && strcmp(event->tenant, tenant) != 0)
        return false;
    return service[0] == '\0' || strcmp(event->service, service) == 0;
}

/* Pass over what the filter hides. True when an event (or a RESYNC) waits behind the cursor. */
static bool skip(const struct sl_events *e, uint64_t *cursor, const char *tenant,
                 const char *service)
{
    if (fell_behind(e, *cursor))
        return true;
    while (*cursor + 1 < e->next_seq &&
           !matches(&e->ring[(*cursor + 1) % SL_EVENTS_KEPT], tenant, service))
        ++*cursor;
    return *cursor + 1 < e->next_seq;
}

static bool next(const struct sl_events *e, uint64_t *cursor, const char *tenant,
                 const char *service, starling_event *ret)
{
    if (!skip(e, cursor, tenant, service))
        return false;
    if (fell_behind(e, *cursor)) {
        *cursor = e->next_seq - 1; /* whoever lists again now has all of it */
        *ret = (starling_event){
            .seq = *cursor, .wall_ms = sl_wall_us() / 1000, .type = STARLING_RESYNC};
        return true;
    }
    ++*cursor;
    *ret = e->ring[*cursor % SL_EVENTS_KEPT];
    return true;
}

/* Make the descriptor say whether something waits. */
static void show(starling_watch *w)
{
    bool waits = skip(&w->node->events, &w->cursor, w->tenant, w->service) ||
                 atomic_load_explicit(&w->node->stopped, memory_order_acquire);
    eventfd_t ignored;
    if (waits && !w->waits)
        (void)eventfd_write(w->fd, 1);
    else if (!waits && w->waits)
        (void)eventfd_read(w->fd, &ignored);
    w->waits = waits;
}

/* ---- for the I/O thread ------------------------------------------------------------------- */

void sl_events_add(starling_node *node, starling_event *event)
{
    struct sl_events *e = &node->events;
    event->wall_ms = sl_wall_us() / 1000;
    pthread_mutex_lock(&e->lock);
    event->seq = e->next_seq++;
    e->ring[event->seq % SL_EVENTS_KEPT] = *event;
    for (starling_watch *w = e->watches; w != NULL; w = w->next) {
        if (!w->waits)
            show(w);
    }
    pthread_mutex_unlock(&e->lock);
    if (node->options.on_event != NULL && matches(event, SL_DEFAULT_TENANT, ""))
        node->options.on_event(node->options.event_context, event);
}

bool sl_events_next(struct sl_events *e, const char *tenant, const char *service, uint64_t *cursor,
                    starling_event *ret)
{
    pthread_mutex_lock(&e->lock);
    bool found = next(e, cursor, tenant, service, ret);
    pthread_mutex_unlock(&e->lock);
    return found;
}

/* The node has stopped: whoever polls a watch wakes, and hears ECLOSED after the last event. */
void sl_watches_tell_stopped(starling_node *node)
{
    pthread_mutex_lock(&node->events.lock);
    for (starling_watch *w = node->events.watches; w != NULL; w = w->next)
        show(w);
    pthread_mutex_unlock(&node->events.lock);
}

static void watch_free(starling_watch *w)
{
    (void)close(w->fd);
    free(w);
}

void sl_watches_free(starling_node *node)
{
    while (node->events.watches != NULL) {
        starling_watch *w = node->events.watches;
        node->events.watches = w->next;
        watch_free(w);
    }
}

/* ---- public ------------------------------------------------------------------------------- */

static int add_watch(starling_node *node, starling_watch *w, uint64_t since)
{
    struct sl_events *e = &node->events;
    int r = 0;
    pthread_mutex_lock(&e->lock);
    if (e->n_watches < SL_WATCHES_MAX) {
        w->cursor = since > 0 ? since : e->next_seq - 1;
        show(w);
        w->next = e->watches;
        e->watches = w;
        e->n_watches++;
    } else {
        r = STARLING_ELIMIT;
    }
    pthread_mutex_unlock(&e->lock);
    return r == 0 ? 0 : sl_fail(r, "a node has at most %d watches", SL_WATCHES_MAX);
}

int starling_watch_open_sized(starling_node *node, const starling_watch_filter *filter, size_t size,
                              starling_watch **ret_watch)
{
    starling_watch_filter f = {0};
    int r = sl_node_check(node);
    if (r < 0)
        return r;
    if (ret_watch == NULL)
        return sl_fail(STARLING_EINVAL, "ret_watch is NULL");
    if (filter != NULL)
        memcpy(&f, filter, size < sizeof f ? size : sizeof f);
    if (f.service != NULL && !sl_name_ok(f.service, strlen(f.service)))
        return sl_fail(STARLING_EINVAL, "no service is named \"%.80s\"", f.service);
    if (f.tenant == NULL)
        f.tenant = SL_DEFAULT_TENANT;
    if (!sl_name_ok(f.tenant, strlen(f.tenant)))
        return sl_fail(STARLING_EINVAL, "no tenant is named \"%.80s\"", f.tenant);

    starling_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for a watch");
    w->node = node;
    sl_copy_text(w->tenant, sizeof w->tenant, f.tenant, strlen(f.tenant));
    if (f.service != NULL)
        sl_copy_text(w->service, sizeof w->service, f.service, strlen(f.service));
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->fd < 0) {
        free(w);
        return sl_fail(STARLING_ELIMIT, "no descriptor is left for a watch");
    }
    r = add_watch(node, w, f.since);
    if (r < 0) {
        watch_free(w);
        return r;
    }
    sl_commands_ask_tenant(node, w->tenant);
    *ret_watch = w;
    return 0;
}

int starling_watch_fd(starling_watch *watch)
{
    if (watch == NULL)
        return sl_fail(STARLING_EINVAL, "watch is NULL");
    int r = sl_node_check(watch->node);
    return r < 0 ? r : watch->fd;
}

int starling_watch_next_sized(starling_watch *watch, starling_event *ret_event, size_t size)
{
    starling_event event;
    if (watch == NULL || ret_event == NULL)
        return sl_fail(STARLING_EINVAL, "%s is NULL", watch == NULL ? "watch" : "ret_event");
    int r = sl_node_check(watch->node);
    if (r < 0)
        return r;
    struct sl_events *e = &watch->node->events;
    pthread_mutex_lock(&e->lock);
    bool found = next(e, &watch->cursor, watch->tenant, watch->service, &event);
    show(watch);
    pthread_mutex_unlock(&e->lock);
    if (found)
        memcpy(ret_event, &event, size < sizeof event ? size : sizeof event);
    else if (atomic_load_explicit(&watch->node->stopped, memory_order_acquire))
        return sl_fail(STARLING_ECLOSED, "the node has left the flock and stopped");
    return found ? 1 : 0;
}

void starling_watch_close(starling_watch *watch)
{
    if (watch == NULL || sl_node_check(watch->node) < 0)
        return;
    struct sl_events *e = &watch->node->events;
    pthread_mutex_lock(&e->lock);
    starling_watch **at = &e->watches;
    while (*at != NULL && *at != watch)
        at = &(*at)->next;
    if (*at != NULL) {
        *at = watch->next;
        e->n_watches--;
    }
    pthread_mutex_unlock(&e->lock);
    watch_free(watch);
}
