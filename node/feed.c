/* feed.c: what the core learned goes to the store; what the store shows differently goes to
 * whoever watches. An event of the core says only that something about a member is new: what is
 * fed is what the core holds by then, so that feeding twice, or once for two events, comes to
 * the same. */
#include "node/feed.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/places.h"

_Static_assert((int)SL_ALIVE == (int)STARLING_ALIVE && (int)SL_SUSPECT == (int)STARLING_SUSPECT &&
                   (int)SL_DOWN == (int)STARLING_DOWN && (int)SL_LEFT == (int)STARLING_LEFT,
               "a verdict is a status");

/* ---- from the core to the store ----------------------------------------------------------- */

/* Name and the like of a member, as its record says. False when there is no record. */
static bool member_of(const starling_node *node, const struct sl_member_info *info,
                      struct sl_store_member *ret, struct sl_record *ret_record,
                      struct sl_cert *ret_cert)
{
    if (info->record == NULL || !sl_record_read(sl_fact_body(info->record), ret_record) ||
        !sl_cert_decode(&node->crypto, ret_record->cert, ret_cert))
        return false;
    *ret = (struct sl_store_member){.id = info->id,
                                    .addr = ret_record->addr,
                                    .epoch = info->record->version.epoch,
                                    .status = (uint8_t)info->status,
                                    .self = info->self};
    sl_copy_text(ret->name, sizeof ret->name, ret_cert->name, strlen(ret_cert->name));
    sl_copy_text(ret->zone, sizeof ret->zone, (const char *)ret_record->zone.p,
                 ret_record->zone.len);
    return true;
}

/* What of a member's sections is for the store. `is_new`: it has not been counted yet. */
static struct sl_span reveal(starling_node *node, enum sl_kind kind, const struct sl_id *origin,
                             const struct sl_cert *cert, struct sl_span said, bool is_new)
{
    struct sl_reveal *r = &node->reveal;
    struct sl_span plain = sl_sections_reveal(r, kind, origin, cert, said);
    if (is_new) {
#define SL_X(name) node->sections.name += r->found.name;
        SL_SECTIONS_COUNTERS(SL_X)
#undef SL_X
    }
    return plain;
}

/* All that the core holds of one member; `why` is what happened. 0 or STARLING_ENOMEM. */
static int feed(starling_node *node, const struct sl_member_info *info, enum sl_event_type why)
{
    struct sl_store_member member;
    struct sl_record record;
    struct sl_vitals vitals;
    struct sl_cert cert;
    if (!member_of(node, info, &member, &record, &cert))
        return 0;
    if (!member.self && member.status == STARLING_ALIVE)
        sl_places_alive(node, &member.addr);
    bool outdated = !member.self && sl_snapshot_heard(node, &member.id, member.epoch);
    int r = sl_store_member(node->store, &member);
    if (r == 0 && outdated) /* the health of another life */
        r = sl_store_vitals(node->store, &info->id, (struct sl_span){0});
    /* Health first: a new service that starts critical is never seen as fit. */
    if (r == 0 && info->vitals != NULL && sl_vitals_read(sl_fact_body(info->vitals), &vitals))
        r = sl_store_vitals(
            node->store, &info->id,
            reveal(node, SL_VITALS, &info->id, &cert, vitals.sections, why == SL_EV_VITALS));
    if (r == 0)
        r = sl_store_record(
            node->store, &info->id,
            reveal(node, SL_RECORD, &info->id, &cert, record.sections, why == SL_EV_RECORD));
    return r;
}

static void conflict(starling_node *node, const struct sl_id *id)
{
    struct sl_member_info info;
    struct sl_store_member member;
    struct sl_record record;
    struct sl_cert cert;
    starling_event event = {.type = STARLING_CONFLICT};
    sl_hex(event.id, id->b, SL_ID_LEN);
    if (sl_gossip_find(node->gossip, id, &info) &&
        member_of(node, &info, &member, &record, &cert)) {
        sl_copy_text(event.node, sizeof event.node, member.name, strlen(member.name));
        sl_addr_format(event.address, &member.addr);
    }
    sl_log(&node->log, SL_WARNING,
           "node %s (%s) at %s is not the only one of its name or key; both stay, use ids",
           event.node, event.id, event.address);
    sl_events_add(node, &event);
    if (node->debug != NULL)
        sl_debug_events(node->debug);
}

/* 0 or STARLING_ENOMEM. */
static int take(starling_node *node, const struct sl_event *event, sl_usec now)
{
    struct sl_member_info info;
    switch (event->type) {
    case SL_EV_STATUS:
    case SL_EV_RECORD:
    case SL_EV_VITALS:
        if (!event->self)
            sl_snapshot_changed(node, now);
        return sl_gossip_find(node->gossip, &event->id, &info) ? feed(node, &info, event->type) : 0;
    case SL_EV_FORGOTTEN:
        sl_snapshot_changed(node, now);
        sl_store_forget(node->store, &event->id);
        return 0;
    case SL_EV_CONFLICT:
        conflict(node, &event->id);
        return 0;
    case SL_EV_YIELDED:
        sl_yield(node, now);
        return 0;
    case SL_EV_STALE:
        node->isolated = event->status == SL_DOWN;
        sl_store_stale(node->store, node->isolated || sl_snapshot_waits(node));
        sl_log(&node->log, event->status == SL_DOWN ? SL_WARNING : SL_INFO, "%s",
               event->status == SL_DOWN ? "cut off from the flock; picks are flagged stale"
                                        : "back in the flock");
        return 0;
    case SL_EV_LEFT:
        node->left = node->leaving;
        return 0;
    }
    return 0;
}

static void refeed(starling_node *node, sl_usec now)
{
    struct sl_member_info info;
    size_t n = sl_gossip_n_members(node->gossip);
    node->refeed_at = SL_NEVER;
    for (size_t i = 0; i < n; i++) {
        if (sl_gossip_member(node->gossip, i, &info) && feed(node, &info, SL_EV_STATUS) < 0) {
            node->refeed_at = sl_after(now, SL_SEC(1));
            break;
        }
    }
    node->publish_at = now;
}

void sl_feed_again(starling_node *node, sl_usec now)
{
    node->refeed_at = now;
}

void sl_feed_take(starling_node *node, sl_usec now)
{
    struct sl_event event;
    while (sl_gossip_next_event(node->gossip, &event)) {
        if (take(node, &event, now) < 0 && node->refeed_at == SL_NEVER) {
            sl_log(&node->log, SL_ERROR,
                   "out of memory for what others offer; tried again in a second");
            node->refeed_at = sl_after(now, SL_SEC(1));
        }
        node->publish_at = sl_earlier(node->publish_at, now);
    }
    if (now >= node->refeed_at)
        refeed(node, now);
}

/* ---- from the store to the application ---------------------------------------------------- */

static enum starling_event_type event_type(const struct sl_change *change)
{
    switch (change->type) {
    case SL_INSTANCE_ADDED:
        return STARLING_INSTANCE_ADDED;
    case SL_INSTANCE_CHANGED:
        return STARLING_INSTANCE_CHANGED;
    case SL_INSTANCE_REMOVED:
        return STARLING_INSTANCE_REMOVED;
    case SL_SERVICE_PANIC:
        return STARLING_PANIC;
    case SL_SERVICE_CALM:
        return STARLING_CALM;
    case SL_CHANGES_LOST:
        return STARLING_RESYNC;
    case SL_MEMBER_STATUS:
        break;
    }
    switch ((enum starling_status)change->status) {
    case STARLING_SUSPECT:
        return STARLING_MEMBER_SUSPECT;
    case STARLING_DOWN:
        return STARLING_MEMBER_DOWN;
    case STARLING_LEFT:
        return STARLING_MEMBER_LEFT;
    case STARLING_ALIVE:
        break;
    }
    return STARLING_MEMBER_UP;
}

/* A service as people are told: with its tenant, unless that is the default. */
static const char *title(const starling_event *event, char out[2 * STARLING_NAME_MAX])
{
    bool plain = strcmp(event->tenant, SL_DEFAULT_TENANT) == 0;
    (void)snprintf(out, 2 * STARLING_NAME_MAX, "%s%s%s", plain ? "" : event->tenant,
                   plain ? "" : "/", event->service);
    return out;
}

static void tell_service(starling_node *node, const struct sl_change *change)
{
    char text[2 * STARLING_NAME_MAX];
    bool panic = change->type == SL_SERVICE_PANIC;
    starling_event event = {.type = event_type(change)};
    sl_copy_text(event.service, sizeof event.service, change->service, strlen(change->service));
    sl_copy_text(event.tenant, sizeof event.tenant, change->tenant, strlen(change->tenant));
    sl_log(&node->log, panic ? SL_WARNING : SL_INFO,
           panic ? "service %s: fewer than half are fit; picks spread over all of them"
                 : "service %s: enough are fit again",
           title(&event, text));
    sl_events_add(node, &event);
}

static void tell(starling_node *node, const struct sl_change *change)
{
    static const char *const words[] = {
        [STARLING_MEMBER_UP] = "alive",           [STARLING_MEMBER_SUSPECT] = "suspect",
        [STARLING_MEMBER_DOWN] = "down",          [STARLING_MEMBER_LEFT] = "gone: it left",
        [STARLING_INSTANCE_ADDED] = "offered",    [STARLING_INSTANCE_CHANGED] = "changed",
        [STARLING_INSTANCE_REMOVED] = "withdrawn"};
    if (change->type == SL_CHANGES_LOST) {
        starling_event lost = {.type = STARLING_RESYNC};
        sl_events_add(node, &lost);
        return;
    }
    if (change->type == SL_SERVICE_PANIC || change->type == SL_SERVICE_CALM) {
        tell_service(node, change);
        return;
    }
    char text[2 * STARLING_NAME_MAX];
    starling_event event = {.type = event_type(change),
                            .health = (enum starling_health)change->health,
                            .weight = change->weight};
    sl_hex(event.id, change->id.b, SL_ID_LEN);
    sl_copy_text(event.node, sizeof event.node, change->node, strlen(change->node));
    sl_copy_text(event.address, sizeof event.address, change->address, strlen(change->address));
    sl_copy_text(event.service, sizeof event.service, change->service, strlen(change->service));
    sl_copy_text(event.tenant, sizeof event.tenant, change->tenant, strlen(change->tenant));
    if (change->type == SL_MEMBER_STATUS)
        sl_log(&node->log, SL_INFO, "node %s (%.8s) at %s is %s", event.node, event.id,
               event.address, words[event.type]);
    else
        sl_log(&node->log, SL_DEBUG, "service %s of node %s at %s is %s (health %d, weight %u)",
               title(&event, text), event.node, event.address, words[event.type], (int)event.health,
               event.weight);
    sl_events_add(node, &event);
}

/* False: there is none, or an application holds the lock. */
static bool next_change(starling_node *node, struct sl_change *ret, bool *ret_busy)
{
    *ret_busy = pthread_mutex_trylock(&node->store_lock) != 0;
    if (*ret_busy)
        return false;
    bool any = sl_store_next_change(node->store, ret);
    pthread_mutex_unlock(&node->store_lock);
    return any;
}

static void deliver(starling_node *node, sl_usec now)
{
    struct sl_change change;
    bool any = false, busy;
    /* Told without the lock: a callback may open views. */
    while (next_change(node, &change, &busy)) {
        tell(node, &change);
        any = true;
    }
    node->changes_wait = busy;
    if (busy)
        node->deliver_at = sl_after(now, SL_MS(1));
    if (!any)
        return;
    if (!busy)
        node->deliver_at = sl_after(now, SL_BATCH);
    if (node->debug != NULL)
        sl_debug_events(node->debug);
}

/* The lock is an application's while it opens or closes a view: this thread does not wait for
 * it. */
static void publish(starling_node *node, sl_usec now)
{
    if (pthread_mutex_trylock(&node->store_lock) != 0) {
        node->publish_at = sl_after(now, SL_MS(1));
        return;
    }
    int r = sl_store_publish(node->store, now);
    pthread_mutex_unlock(&node->store_lock);
    node->publish_at = r < 0 ? sl_after(now, SL_MS(100)) : SL_NEVER;
    if (r < 0)
        return;
    node->changes_wait = true;
    sl_node_tell_waiters(node);
}

void sl_feed_publish(starling_node *node, sl_usec now)
{
    if (now >= node->publish_at || now >= sl_store_deadline(node->store))
        publish(node, now);
    /* What the application is told it can also see. */
    if (node->changes_wait && node->publish_at == SL_NEVER && now >= node->deliver_at)
        deliver(node, now);
}

sl_usec sl_feed_deadline(const starling_node *node)
{
    sl_usec at = sl_earlier(node->publish_at, node->refeed_at);
    if (node->publish_at == SL_NEVER) /* else it was tried, and is tried again then */
        at = sl_earlier(at, sl_store_deadline(node->store));
    return node->changes_wait ? sl_earlier(at, node->deliver_at) : at;
}
