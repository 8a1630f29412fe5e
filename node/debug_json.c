/* debug_json.c: what the node knows, as JSON.
 * Only looks; everything here runs on the I/O thread, between messages. */
#include "node/debug_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"

json_t *sl_json_text(const char *text, size_t len)
{
    json_t *s = json_stringn(text, len);
    if (s != NULL)
        return s;
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++)
        copy[i] = (char)((unsigned char)text[i] < 0x80 ? text[i] : '?');
    s = json_stringn(copy, len);
    free(copy);
    return s;
}

static json_t *text_of(const char *text)
{
    return sl_json_text(text, strlen(text));
}

json_t *sl_json_object(const char *key, ...)
{
    json_t *object = json_object();
    bool whole = object != NULL;
    va_list args;
    va_start(args, key);
    while (key != NULL) { /* to the end in any case: each value is ours to free */
        json_t *value = va_arg(args, json_t *);
        if (object == NULL)
            json_decref(value);
        else if (json_object_set_new(object, key, value) < 0)
            whole = false;
        key = va_arg(args, const char *);
    }
    va_end(args);
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

const char *sl_json_code(int error)
{
    static const char *const codes[] = {"",         "EINVAL",  "ENOMEM",    "ENOENT", "EEXIST",
                                        "EUNAVAIL", "EBUSY",   "ETIMEDOUT", "ELIMIT", "EAUTH",
                                        "EFORK",    "ECLOSED", "EIO"};
    if (error >= 0 || (size_t)-error >= SL_COUNT(codes))
        return "EIO";
    return codes[-error];
}

json_t *sl_json_error(int code, const char *text)
{
    return sl_json_object("ok", json_false(), "error", text_of(text), "code",
                          json_string(sl_json_code(code)), NULL);
}

static const char *status_name(unsigned status)
{
    static const char *const names[] = {"alive", "suspect", "down", "left"};
    return status < SL_COUNT(names) ? names[status] : "unknown";
}

static const char *health_name(unsigned health)
{
    static const char *const names[] = {"passing", "warning", "critical"};
    return health < SL_COUNT(names) ? names[health] : "unknown";
}

static json_t *id_text(const struct sl_id *id)
{
    char hex[STARLING_ID_MAX];
    sl_hex(hex, id->b, SL_ID_LEN);
    return json_string(hex);
}

/* ---- members and instances -------------------------------------------------------------- */

static bool read_record(const struct sl_member_info *m, struct sl_record *ret)
{
    return m->record != NULL && sl_record_read(sl_fact_body(m->record), ret);
}

void sl_json_member_name(const starling_node *node, const struct sl_member_info *m, char out[64])
{
    struct sl_record record;
    struct sl_cert cert;
    out[0] = '\0';
    if (read_record(m, &record) && sl_cert_decode(&node->crypto, record.cert, &cert))
        sl_copy_text(out, 64, cert.name, strlen(cert.name));
}

json_t *sl_json_member(const starling_node *node, const struct sl_member_info *m, sl_usec now)
{
    char name[64], address[SL_ADDR_TEXT] = "";
    struct sl_record record = {0};
    bool known = read_record(m, &record);
    sl_json_member_name(node, m, name);
    if (known)
        sl_addr_format(address, &record.addr);
    const char *status = m->self && node->out ? "yielded" : status_name(m->status);
    sl_usec heard = m->self || m->heard_us > now ? 0 : now - m->heard_us;
    return sl_json_object(
        "id", id_text(&m->id), "name", text_of(name), "address", json_string(address), "zone",
        sl_json_text(known ? (const char *)record.zone.p : "", known ? record.zone.len : 0),
        "status", json_string(status), "epoch", json_integer((json_int_t)m->version.epoch),
        "heard_ms", json_integer(heard / 1000), "services",
        json_integer((json_int_t)sl_store_n_services(node->store, &m->id)), "self",
        json_boolean(m->self), "neighbour", json_boolean(m->neighbour), NULL);
}

static json_t *meta_object(const struct sl_instance *i)
{
    json_t *object = json_object();
    size_t at = 0;
    for (size_t n = 0; object != NULL && n < i->n_meta && i->meta_len - at >= 3; n++) {
        size_t key_len = i->meta[at], value_len = sl_get16(i->meta + at + 1);
        at += 3;
        if (i->meta_len - at < key_len + value_len)
            break;
        const char *text = (const char *)i->meta + at;
        json_t *key = sl_json_text(text, key_len);
        json_t *value = sl_json_text(text + key_len, value_len);
        int bad = json_object_set_new(object, key != NULL ? json_string_value(key) : NULL, value);
        json_decref(key);
        if (bad < 0) {
            json_decref(object);
            return NULL;
        }
        at += key_len + value_len;
    }
    return object;
}

json_t *sl_json_instance(const struct sl_instance *i)
{
    return sl_json_object("node", id_text(&i->id), "name", text_of(i->node), "host",
                          text_of(i->host), "port", json_integer(i->port), "health",
                          json_string(health_name(i->health)), "weight", json_integer(i->weight),
                          "status", json_string(status_name(i->status)), "zone", text_of(i->zone),
                          "version", text_of(i->version), "meta", meta_object(i), "note",
                          text_of(i->note), NULL);
}

json_t *sl_json_picked(const char *tenant, const char *service, const starling_instance *i)
{
    bool suspect = (i->flags & STARLING_F_SUSPECT) != 0;
    return sl_json_object(
        "tenant", text_of(tenant), "service", text_of(service), "node", text_of(i->id), "name",
        text_of(i->node), "host", text_of(i->host), "port", json_integer(i->port), "health",
        json_string(health_name(i->health)), "weight", json_integer(i->weight), "status",
        json_string(status_name(suspect ? STARLING_SUSPECT : STARLING_ALIVE)), "zone",
        text_of(i->zone), "version", text_of(i->version), "stale",
        json_boolean((i->flags & STARLING_F_STALE) != 0), "panic",
        json_boolean((i->flags & STARLING_F_PANIC) != 0), NULL);
}

/* ---- events ----------------------------------------------------------------------------- */

static const char *event_name(enum starling_event_type type)
{
    switch (type) {
    case STARLING_MEMBER_UP:
        return "member_up";
    case STARLING_MEMBER_SUSPECT:
        return "member_suspect";
    case STARLING_MEMBER_DOWN:
        return "member_down";
    case STARLING_MEMBER_LEFT:
        return "member_left";
    case STARLING_INSTANCE_ADDED:
        return "instance_added";
    case STARLING_INSTANCE_CHANGED:
        return "instance_changed";
    case STARLING_INSTANCE_REMOVED:
        return "instance_removed";
    case STARLING_CONFLICT:
        return "conflict";
    case STARLING_RESYNC:
        return "resync";
    case STARLING_PANIC:
        return "panic";
    case STARLING_CALM:
        return "calm";
    }
    return "unknown";
}

/* UTC, "2026-01-31T12:00:00.000Z". */
static json_t *time_text(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[40], whole[64];
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return json_string("");
    (void)snprintf(whole, sizeof whole, "%s.%03dZ", text, (int)(wall_ms % 1000));
    return json_string(whole);
}

json_t *sl_json_event(const starling_event *e)
{
    char subject[2 * STARLING_NAME_MAX + 1];
    bool service = e->type == STARLING_PANIC || e->type == STARLING_CALM;
    bool instance = e->service[0] != '\0' && !service;
    (void)snprintf(subject, sizeof subject, "%s%s%s", e->service, instance ? "@" : "", e->node);
    json_t *data;
    if (e->type == STARLING_RESYNC)
        data = json_object();
    else if (service)
        data = sl_json_object("tenant", text_of(e->tenant), "service", text_of(e->service), NULL);
    else if (instance)
        data = sl_json_object("node", text_of(e->id), "name", text_of(e->node), "address",
                              text_of(e->address), "tenant", text_of(e->tenant), "service",
                              text_of(e->service), "health", json_string(health_name(e->health)),
                              "weight", json_integer(e->weight), NULL);
    else
        data = sl_json_object("node", text_of(e->id), "name", text_of(e->node), "address",
                              text_of(e->address), NULL);
    return sl_json_object("seq", json_integer((json_int_t)e->seq), "at", time_text(e->wall_ms),
                          "type", json_string(event_name(e->type)), "subject", text_of(subject),
                          "data", data, NULL);
}
