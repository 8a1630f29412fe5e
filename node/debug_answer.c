/* debug_answer.c: one step of an answer at a time.
 * A list of 20,000 members is never in memory as text: each step adds one of them. Between steps
 * the tables change, so a place in a list is a name, and the index beside it only a hint where to
 * look. */
#include "node/debug_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/debug_json.h"

/* ---- text ------------------------------------------------------------------------------- */

void sl_text_fini(struct sl_text *t)
{
    free(t->p);
    *t = (struct sl_text){0};
}

void sl_text_add(struct sl_text *t, const char *p, size_t len)
{
    if (t->sent > 0) { /* reuse the room of what has gone */
        memmove(t->p, t->p + t->sent, t->len - t->sent);
        t->len -= t->sent;
        t->sent = 0;
    }
    if (t->failed || len > SL_TEXT_MAX - t->len) {
        t->failed = true;
        return;
    }
    if (t->len + len > t->cap) {
        size_t cap = t->cap < 4096 ? 4096 : t->cap;
        while (cap < t->len + len)
            cap *= 2;
        char *grown = realloc(t->p, cap);
        if (grown == NULL) {
            t->failed = true;
            return;
        }
        t->p = grown;
        t->cap = cap;
    }
    memcpy(t->p + t->len, p, len);
    t->len += len;
}

static void add(struct sl_text *t, const char *text)
{
    sl_text_add(t, text, strlen(text));
}

static int add_dumped(const char *p, size_t len, void *context)
{
    sl_text_add(context, p, len);
    return 0;
}

/* Takes the value; NULL (no memory) spoils the text. */
static void add_json(struct sl_text *t, json_t *value)
{
    if (value == NULL ||
        json_dump_callback(value, add_dumped, t, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
        t->failed = true;
    json_decref(value);
}

static enum sl_answer_state whole(struct sl_text *out, json_t *data)
{
    add(out, "{\"ok\":true,\"data\":");
    add_json(out, data);
    add(out, "}\n");
    return SL_ANSWER_DONE;
}

void sl_answer_error(struct sl_text *out, int code, const char *text)
{
    add_json(out, sl_json_error(code, text));
    add(out, "\n");
}

static enum sl_answer_state fail(struct sl_text *out, int code, const char *text)
{
    sl_answer_error(out, code, text);
    return SL_ANSWER_DONE;
}

static void add_item(struct sl_answer *a, struct sl_text *out, json_t *item)
{
    if (a->comma)
        add(out, ",");
    a->comma = true;
    add_json(out, item);
}

/* ---- members ---------------------------------------------------------------------------- */

static enum sl_answer_state members(struct sl_answer *a, starling_node *node, sl_usec now,
                                    struct sl_text *out)
{
    struct sl_member_info m;
    if (a->stage == 0) {
        add(out, "{\"ok\":true,\"data\":[");
        a->stage = 1;
    }
    while (a->i < sl_gossip_n_members(node->gossip)) {
        if (!sl_gossip_member(node->gossip, a->i++, &m))
            continue;
        add_item(a, out, sl_json_member(node, &m, now));
        return SL_ANSWER_MORE;
    }
    add(out, "]}\n");
    return SL_ANSWER_DONE;
}

/* ---- services --------------------------------------------------------------------------- */

enum { SERVICES_START, SERVICES_NEXT, SERVICES_INSIDE };

static int compare_service(const struct sl_answer *a, const char *tenant, const char *name)
{
    int c = strcmp(tenant, a->tenant);
    return c != 0 ? c : strcmp(name, a->service);
}

/* Move a->i to the service being listed; false when it has gone. */
static bool find_service(struct sl_answer *a, const starling_node *node)
{
    const char *tenant, *name;
    size_t n;
    if (sl_store_service(node->store, a->i, &tenant, &name, &n) &&
        compare_service(a, tenant, name) == 0)
        return true;
    for (size_t i = 0; sl_store_service(node->store, i, &tenant, &name, &n); i++) {
        if (compare_service(a, tenant, name) == 0) {
            a->i = i;
            return true;
        }
    }
    return false;
}

/* The first service of the tenant behind the one listed last; begins its object. */
static bool next_service(struct sl_answer *a, const starling_node *node, struct sl_text *out)
{
    const char *tenant, *name;
    size_t n;
    size_t i = find_service(a, node) ? a->i : 0;
    while (sl_store_service(node->store, i, &tenant, &name, &n) &&
           compare_service(a, tenant, name) <= 0)
        i++;
    if (!sl_store_service(node->store, i, &tenant, &name, &n) || strcmp(tenant, a->ask.tenant) != 0)
        return false;
    a->i = i;
    a->k = 0;
    a->node[0] = '\0';
    memset(&a->id, 0, sizeof a->id);
    sl_copy_text(a->tenant, sizeof a->tenant, tenant, strlen(tenant));
    sl_copy_text(a->service, sizeof a->service, name, strlen(name));

    add(out, a->comma ? ",{\"tenant\":" : "{\"tenant\":");
    add_json(out, sl_json_text(tenant, strlen(tenant)));
    add(out, ",\"service\":");
    add_json(out, sl_json_text(name, strlen(name)));
    add(out, ",\"instances\":[");
    a->comma = false;
    return true;
}

static bool behind_last(const struct sl_answer *a, const struct sl_instance *i)
{
    int c = strcmp(i->node, a->node);
    return c != 0 ? c > 0 : sl_id_cmp(&i->id, &a->id) > 0;
}

static const struct sl_instance *next_instance(struct sl_answer *a, const starling_node *node)
{
    const struct sl_instance *i;
    if (!find_service(a, node))
        return NULL;
    if (a->k > 0) { /* the table moved? then look from the start */
        i = sl_store_instance(node->store, a->i, a->k - 1);
        if (i == NULL || strcmp(i->node, a->node) != 0 || !sl_id_eq(&i->id, &a->id))
            a->k = 0;
    }
    while ((i = sl_store_instance(node->store, a->i, a->k)) != NULL) {
        a->k++;
        if (behind_last(a, i)) {
            sl_copy_text(a->node, sizeof a->node, i->node, strlen(i->node));
            a->id = i->id;
            return i;
        }
    }
    return NULL;
}

static enum sl_answer_state services(struct sl_answer *a, starling_node *node, struct sl_text *out)
{
    if (a->stage == SERVICES_START) {
        add(out, "{\"ok\":true,\"data\":[");
        sl_copy_text(a->tenant, sizeof a->tenant, a->ask.tenant, strlen(a->ask.tenant));
        a->stage = SERVICES_NEXT;
    }
    if (a->stage == SERVICES_NEXT) {
        if (!next_service(a, node, out)) {
            add(out, "]}\n");
            return SL_ANSWER_DONE;
        }
        a->stage = SERVICES_INSIDE;
        return SL_ANSWER_MORE;
    }
    const struct sl_instance *i = next_instance(a, node);
    if (i != NULL) {
        add_item(a, out, sl_json_instance(i));
        return SL_ANSWER_MORE;
    }
    add(out, "]}");
    a->comma = true;
    a->stage = SERVICES_NEXT;
    return SL_ANSWER_MORE;
}

/* ---- info NODE -------------------------------------------------------------------------- */

static bool is_called(const starling_node *node, const struct sl_member_info *m, const char *text)
{
    char name[64], hex[STARLING_ID_MAX];
    size_t len = strlen(text);
    sl_json_member_name(node, m, name);
    sl_hex(hex, m->id.b, SL_ID_LEN);
    return strcmp(name, text) == 0 || (len >= 6 && strncmp(hex, text, len) == 0);
}

/* What the member offers to the tenant. */
static json_t *instances_of(const starling_node *node, const struct sl_id *id, const char *asked)
{
    json_t *list = json_array();
    const char *tenant, *name;
    size_t n;
    for (size_t s = 0; sl_store_service(node->store, s, &tenant, &name, &n); s++) {
        for (size_t k = 0; k < n && strcmp(tenant, asked) == 0; k++) {
            const struct sl_instance *i = sl_store_instance(node->store, s, k);
            if (i == NULL || !sl_id_eq(&i->id, id))
                continue;
            json_t *o = sl_json_instance(i);
            if (json_object_set_new(o, "tenant", sl_json_text(tenant, strlen(tenant))) < 0 ||
                json_object_set_new(o, "service", sl_json_text(name, strlen(name))) < 0) {
                json_decref(o);
                o = NULL;
            }
            if (json_array_append_new(list, o) < 0) {
                json_decref(list);
                return NULL;
            }
        }
    }
    return list;
}

static enum sl_answer_state member_info(const struct sl_answer *a, starling_node *node, sl_usec now,
                                        struct sl_text *out)
{
    struct sl_member_info m, found = {0};
    unsigned n = 0;
    char text[160];
    for (size_t i = 0; i < sl_gossip_n_members(node->gossip); i++) {
        if (sl_gossip_member(node->gossip, i, &m) && is_called(node, &m, a->ask.node)) {
            found = m;
            n++;
        }
    }
    if (n == 0) {
        (void)snprintf(text, sizeof text, "no member of flock %s is called %s",
                       node->settings.flock, a->ask.node);
        return fail(out, STARLING_ENOENT, text);
    }
    if (n > 1) {
        (void)snprintf(text, sizeof text, "%u members are called %s: give the id", n, a->ask.node);
        return fail(out, STARLING_EINVAL, text);
    }
    json_t *o = sl_json_member(node, &found, now);
    if (json_object_set_new(o, "instances", instances_of(node, &found.id, a->ask.tenant)) < 0) {
        json_decref(o);
        o = NULL;
    }
    return whole(out, o);
}

/* ---- watch ------------------------------------------------------------------------------ */

static uint64_t newest_event(starling_node *node)
{
    (void)pthread_mutex_lock(&node->events.lock);
    uint64_t seq = node->events.next_seq - 1;
    (void)pthread_mutex_unlock(&node->events.lock);
    return seq;
}

static enum sl_answer_state watch(struct sl_answer *a, starling_node *node, struct sl_text *out)
{
    if (a->stage == 0) {
        uint64_t newest = newest_event(node);
        a->cursor = a->ask.has_since && a->ask.since < newest ? a->ask.since : newest;
        a->stage = 1;
        (void)whole(out, sl_json_object("seq", json_integer((json_int_t)a->cursor), NULL));
        return SL_ANSWER_MORE;
    }
    starling_event e;
    if (!sl_events_next(&node->events, a->ask.tenant, a->ask.service, &a->cursor, &e))
        return SL_ANSWER_WAIT;
    add_json(out, sl_json_event(&e));
    add(out, "\n");
    return SL_ANSWER_MORE;
}

/* ---- pick and changes ------------------------------------------------------------------- */

static enum sl_answer_state pick(const struct sl_answer *a, starling_node *node,
                                 struct sl_rand *rand, sl_usec now, struct sl_text *out)
{
    struct sl_view *view;
    struct sl_view_spec spec;
    struct sl_pick how = {
        .rand = rand, .now_ms = sl_coarse_ms(), .key = sl_span_of(a->ask.key, a->ask.key_len)};
    starling_instance who = {0};
    char text[200];
    memset(&spec, 0, sizeof spec);
    spec.strategy = (uint8_t)a->ask.strategy;
    sl_copy_text(spec.tenant, sizeof spec.tenant, a->ask.tenant, strlen(a->ask.tenant));
    sl_copy_text(spec.name, sizeof spec.name, a->ask.service, strlen(a->ask.service));
    if (pthread_mutex_trylock(&node->store_lock) != 0)
        return SL_ANSWER_BUSY;
    int r = sl_view_open(node->store, &spec, now, NULL, &view);
    if (r == 0) {
        r = sl_view_pick(view, &how, &who);
        if (r == 0) /* nobody will say how it went */
            (void)sl_view_done(view, how.now_ms, who.ticket, STARLING_CANCELLED, 0);
        sl_view_close(node->store, view);
    }
    (void)pthread_mutex_unlock(&node->store_lock);
    if (r == 0)
        return whole(out, sl_json_picked(a->ask.tenant, a->ask.service, &who));
    const char *service = a->ask.service;
    if (r == STARLING_ENOENT)
        (void)snprintf(text, sizeof text, "nobody offers %s", service);
    else if (r == STARLING_EUNAVAIL)
        (void)snprintf(text, sizeof text, "%s is offered, but no instance is fit", service);
    else
        (void)snprintf(text, sizeof text, "cannot look up %s: %s", service, starling_strerror(r));
    return fail(out, r, text);
}

static enum sl_answer_state done(starling_node *node, struct sl_text *out, int r)
{
    if (r < 0)
        return fail(out, r, sl_fail_text());
    return whole(out, sl_json_object("node", json_string(node->id_hex), "name",
                                     json_string(node->identity.name), NULL));
}

static enum sl_answer_state help(struct sl_text *out)
{
    static const char *const lines[] = {
        "members: who is in the flock",
        "services [TENANT]: what they offer",
        "info [NODE [TENANT]]: this node and its counters, or what it knows of a member",
        "watch [SINCE [SERVICE [TENANT]]]: events as they happen, after event number SINCE",
        "pick SERVICE [TENANT [STRATEGY [KEY]]]: one instance for a request",
        "weight SERVICE N [TENANT]: change the share of a service of this node, 0-1000; N may be",
        "  base: the share it gives itself again",
        "drain: weight 0 for all services of this node",
        "leave: this node says goodbye and stops",
        "version: of the library",
        "TENANT is default where it is not given",
    };
    json_t *list = json_array();
    for (size_t i = 0; i < SL_COUNT(lines); i++) {
        if (json_array_append_new(list, json_string(lines[i])) < 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    }
    return whole(out, list);
}

/* ---- all -------------------------------------------------------------------------------- */

void sl_answer_start(struct sl_answer *a, const struct sl_request *ask)
{
    *a = (struct sl_answer){.ask = *ask};
}

enum sl_answer_state sl_answer_step(struct sl_answer *a, starling_node *node, struct sl_rand *rand,
                                    sl_usec now, struct sl_text *out)
{
    switch (a->ask.cmd) {
    case SL_ASK_HELP:
        return help(out);
    case SL_ASK_VERSION:
        return whole(out, sl_json_object("version", json_string(starling_version()), NULL));
    case SL_ASK_MEMBERS:
        return members(a, node, now, out);
    case SL_ASK_SERVICES:
        return services(a, node, out);
    case SL_ASK_INFO:
        return a->ask.node[0] != '\0' ? member_info(a, node, now, out)
                                      : whole(out, sl_json_info(node, now));
    case SL_ASK_WATCH:
        return watch(a, node, out);
    case SL_ASK_PICK:
        return pick(a, node, rand, now, out);
    case SL_ASK_WEIGHT:
        return done(
            node, out,
            sl_node_set_weight(node, a->ask.tenant, a->ask.service, a->ask.base, a->ask.weight));
    case SL_ASK_DRAIN:
        return done(node, out, sl_node_drain(node));
    case SL_ASK_LEAVE:
        sl_node_leave(node);
        return done(node, out, 0);
    }
    return SL_ANSWER_DONE;
}
