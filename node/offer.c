/* offer.c: a service as an application describes it, checked and copied in the caller's thread. */
#include "node/offer.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

#define META_KEY_MAX 255 /* bytes; its length travels in one byte */

static int check_meta(const starling_service *s, size_t *ret_len)
{
    if (s->n_meta > STARLING_META_PAIRS_MAX)
        return sl_fail(STARLING_ELIMIT, "%zu metadata pairs; at most %d", s->n_meta,
                       STARLING_META_PAIRS_MAX);
    if (s->n_meta > 0 && s->meta == NULL)
        return sl_fail(STARLING_EINVAL, "n_meta is %zu, but meta is NULL", s->n_meta);
    size_t len = 0;
    for (size_t i = 0; i < s->n_meta; i++) {
        const char *key = s->meta[i].key, *value = s->meta[i].value;
        if (key == NULL || value == NULL || key[0] == '\0')
            return sl_fail(STARLING_EINVAL, "metadata pair %zu has no key or no value", i);
        if (strlen(key) > META_KEY_MAX)
            return sl_fail(STARLING_ELIMIT, "metadata key %zu is longer than %d bytes", i,
                           META_KEY_MAX);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(key, s->meta[k].key) == 0)
                return sl_fail(STARLING_EINVAL, "metadata key \"%s\" is there twice", key);
        }
        len += strlen(key) + strlen(value);
        if (len > STARLING_META_BYTES_MAX)
            return sl_fail(STARLING_ELIMIT, "metadata is longer than %d bytes in all",
                           STARLING_META_BYTES_MAX);
    }
    *ret_len = len;
    return 0;
}

static int check_service(const starling_service *s)
{
    if (s->name == NULL || !sl_name_ok(s->name, strlen(s->name)))
        return sl_fail(STARLING_EINVAL, "a service's name is 1-63 of a-z 0-9 . _ -, not \"%.80s\"",
                       s->name != NULL ? s->name : "");
    if (s->tenant != NULL && !sl_name_ok(s->tenant, strlen(s->tenant)))
        return sl_fail(STARLING_EINVAL, "a tenant's name is 1-63 of a-z 0-9 . _ -, not \"%.80s\"",
                       s->tenant);
    if (s->port < 1 || s->port > UINT16_MAX)
        return sl_fail(STARLING_EINVAL, "port %u of service \"%s\" is not in 1-65535", s->port,
                       s->name);
    if (s->version != NULL && strlen(s->version) >= STARLING_NAME_MAX)
        return sl_fail(STARLING_EINVAL, "version of service \"%s\" is longer than %d bytes",
                       s->name, STARLING_NAME_MAX - 1);
    if (s->weight > STARLING_WEIGHT_MAX)
        return sl_fail(STARLING_EINVAL, "weight %u of service \"%s\" is not in 1-%d", s->weight,
                       s->name, STARLING_WEIGHT_MAX);
    if ((unsigned)s->health > STARLING_CRITICAL)
        return sl_fail(STARLING_EINVAL, "health %d of service \"%s\" is none", (int)s->health,
                       s->name);
    return 0;
}

/* Numeric, without a port, and one that a caller can connect to. */
static int check_host(const starling_service *s, char out[64])
{
    struct sl_addr addr;
    char text[SL_ADDR_TEXT];
    out[0] = '\0';
    if (s->host == NULL || s->host[0] == '\0')
        return 0;
    if (sl_addr_parse(&addr, s->host, strlen(s->host), 0) < 0 || addr.port != 0 ||
        sl_addr_is_wildcard(&addr))
        return sl_fail(STARLING_EINVAL,
                       "host \"%.80s\" of service \"%s\" must be a numeric address without a port",
                       s->host, s->name);
    sl_addr_format_host(text, &addr);
    sl_copy_text(out, 64, text, strlen(text));
    return 0;
}

static void copy_meta(struct starling_registration *reg, const starling_service *s)
{
    uint8_t *p = reg->bytes;
    reg->service.n_meta = s->n_meta;
    for (size_t i = 0; i < s->n_meta; i++) {
        size_t key_len = strlen(s->meta[i].key), value_len = strlen(s->meta[i].value);
        memcpy(p, s->meta[i].key, key_len);
        memcpy(p + key_len, s->meta[i].value, value_len);
        reg->service.meta[i].key = sl_span_of(p, key_len);
        reg->service.meta[i].value = sl_span_of(p + key_len, value_len);
        p += key_len + value_len;
    }
}

int sl_registration_new(starling_node *node, const starling_service *s,
                        struct starling_registration **ret)
{
    size_t meta_len = 0;
    char host[64];
    int r = check_service(s);
    if (r == 0)
        r = check_host(s, host);
    if (r == 0)
        r = check_meta(s, &meta_len);
    if (r < 0)
        return r;

    struct starling_registration *reg = calloc(1, sizeof *reg + meta_len);
    if (reg == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for service \"%s\"", s->name);
    struct sl_service *service = &reg->service;
    reg->node = node;
    const char *tenant = s->tenant != NULL ? s->tenant : SL_DEFAULT_TENANT;
    sl_copy_text(service->tenant, sizeof service->tenant, tenant, strlen(tenant));
    sl_copy_text(service->name, sizeof service->name, s->name, strlen(s->name));
    sl_copy_text(service->host, sizeof service->host, host, strlen(host));
    if (s->version != NULL)
        sl_copy_text(service->version, sizeof service->version, s->version, strlen(s->version));
    service->port = (uint16_t)s->port;
    service->base_weight = (uint16_t)(s->weight != 0 ? s->weight : STARLING_WEIGHT_DEFAULT);
    service->weight = service->base_weight;
    service->health = (uint8_t)s->health;
    copy_meta(reg, s);
    reg->base = service->weight;
    sl_shed_init(&reg->load, node->started, sl_now());
    const char *fault = sl_service_fault(service);
    r = fault == NULL ? sl_checker_new(node, s, &reg->checker)
                      : sl_fail(STARLING_EINVAL, "service \"%s\": %s", s->name, fault);
    if (r < 0) {
        sl_registration_free(reg);
        return r;
    }
    if (reg->checker == NULL) {
        reg->said = service->health;
    } else { /* no more than the verdict before the first */
        reg->found = service->health;
        reg->held = reg->checker->state.held;
        reg->checker->offer = reg;
    }
    *ret = reg;
    return 0;
}

void sl_registration_free(struct starling_registration *reg)
{
    free(reg);
}

/* ---- the parts of health and weight --------------------------------------------------------- */

static void tell_health(struct starling_registration *reg)
{
    bool check = reg->found > reg->said || (reg->found == reg->said && reg->said_note[0] == '\0');
    struct sl_service *s = &reg->service;
    s->health = check ? reg->found : reg->said;
    memcpy(s->note, check ? reg->found_note : reg->said_note, sizeof s->note);
    if (sl_service_fault(s) != NULL)
        s->note[0] = '\0'; /* the health must get through, words that are no text need not */
}

void sl_registration_say(struct starling_registration *reg, enum starling_health health,
                         const char *note)
{
    reg->said = (uint8_t)health;
    sl_check_note(reg->said_note, note);
    tell_health(reg);
}

void sl_registration_judge(struct starling_registration *reg, enum starling_health health,
                           const char *note, bool held)
{
    struct sl_commands *c = &reg->node->commands;
    uint8_t before = reg->service.health;
    bool appears = reg->held && !held;
    reg->found = (uint8_t)health;
    sl_check_note(reg->found_note, note);
    reg->held = held;
    tell_health(reg);
    if (held)
        return;
    c->vitals_changed = true;
    c->record_changed = c->record_changed || appears;
    /* One that appears passing is news like any other service; see add_offer. */
    bool news = appears ? reg->service.health != STARLING_PASSING : reg->service.health != before;
    c->vitals_urgent = c->vitals_urgent || news;
}

void sl_registration_weigh(struct starling_registration *reg)
{
    unsigned weight = sl_shed_weight(&reg->load, reg->base);
    if (reg->overridden)
        weight = reg->override;
    if (reg->node->commands.draining)
        weight = 0;
    reg->service.weight = (uint16_t)weight;
}
