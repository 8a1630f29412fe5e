/* ca_show.c: `starling ca show`: a file of an authority in words, or as JSON. Never a secret: those
 * were wiped before this sees anything. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/ca.h"
#include "cli/common.h"
#include "cli/print.h"
#include "node/ca.h"

#define DAY_S 86400

static const char *const kind_names[] = {[SL_CA_AUTHORITY] = "authority",
                                         [SL_CA_BUNDLE] = "bundle",
                                         [SL_CA_CREDENTIALS] = "credentials",
                                         [SL_CA_NODE_KEY] = "node key",
                                         [SL_CA_REVOKED] = "revoked"};

static json_t *hex(const uint8_t *p, size_t len)
{
    char text[2 * SL_KEY_LEN + 1];
    sl_hex(text, p, len);
    return json_string(text);
}

static json_t *time_of(int64_t wall_s)
{
    char text[SL_TIME_TEXT];
    sl_time_text(wall_s, text);
    return json_string(text);
}

/* Set, or lose it: jansson takes no notice of NULL, and an answer that lacks a field for want of
 * memory is the least that can go wrong then. */
static void set(json_t *o, const char *key, json_t *value)
{
    (void)json_object_set_new(o, key, value);
}

static void set_bundle(json_t *o, const struct sl_ca_shown *s)
{
    json_t *authorities = json_array(), *doors = json_array();
    for (size_t i = 0; i < s->held.n_authorities; i++)
        (void)json_array_append_new(authorities, json_string(s->authority[i]));
    for (size_t i = 0; i < s->held.n_doors; i++)
        (void)json_array_append_new(doors, json_string(s->door[i]));
    set(o, "authorities", authorities);
    set(o, "doors", doors);
}

/* The keys of tenants that have another than their first. */
static json_t *rotated(const struct sl_tenants *tenants)
{
    json_t *all = json_array();
    for (size_t i = 0; i < tenants->n; i++) {
        const struct sl_rotated *l = &tenants->line[i];
        json_t *o = json_object();
        set(o, "flock", json_string(l->flock));
        set(o, "tenant", json_string(l->tenant));
        set(o, "epoch", json_integer((json_int_t)l->epoch));
        set(o, "use_after", l->use_after > 0 ? time_of(l->use_after) : json_null());
        (void)json_array_append_new(all, o);
    }
    return all;
}

static const char *state_of(const struct sl_cert *cert, int64_t now)
{
    struct sl_identity times = {.not_before = cert->not_before, .not_after = cert->not_after};
    if (now < cert->not_before)
        return "not valid yet";
    switch (sl_identity_life(&times, now)) {
    case SL_LIFE_GOOD:
        return "valid";
    case SL_LIFE_ENDING:
        return "to be renewed";
    case SL_LIFE_ENDED:
    case SL_LIFE_OVER:
        return "expired";
    }
    return "";
}

static int64_t days_left(int64_t until, int64_t now)
{
    return until > now ? (until - now) / DAY_S : 0;
}

/* Which keys of tenants are there; never the keys. */
static json_t *grants(const struct sl_ca_shown *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->held.n_grants; i++) {
        const struct sl_ca_granted *g = &s->grant[i];
        json_t *o = json_object();
        set(o, "tenant", json_string(g->tenant));
        set(o, "epoch", json_integer((json_int_t)g->what.epoch));
        set(o, "use_after", g->what.use_after > 0 ? time_of(g->what.use_after) : json_null());
        set(o, "sound", json_boolean(g->sound));
        (void)json_array_append_new(all, o);
    }
    return all;
}

static void set_certificate(json_t *o, const struct sl_ca_shown *s, int64_t now)
{
    const struct sl_cert *cert = &s->cert;
    json_t *tenants = json_array(), *services = json_array();
    for (size_t i = 0; i < cert->n_tenants; i++)
        (void)json_array_append_new(tenants, json_string(s->tenant[i]));
    for (size_t i = 0; i < cert->n_patterns; i++)
        (void)json_array_append_new(services, json_string(cert->patterns[i]));
    set(o, "flock", json_string(s->held.flock));
    set(o, "flock_id", hex(cert->flock, sizeof cert->flock));
    set(o, "name", json_string(cert->name));
    set(o, "id", hex(cert->id.b, sizeof cert->id.b));
    set(o, "key", json_string(s->key));
    set(o, "serial", hex(cert->serial, sizeof cert->serial));
    set(o, "issuer",
        s->issuer < SL_AUTHORITIES_MAX ? json_string(s->authority[s->issuer]) : json_null());
    set(o, "sound", json_boolean(s->sound));
    set(o, "not_before", time_of(cert->not_before));
    set(o, "not_after", time_of(cert->not_after));
    set(o, "days_left", json_integer((json_int_t)days_left(cert->not_after, now)));
    set(o, "state", json_string(state_of(cert, now)));
    set(o, "tenants", tenants);
    set(o, "grants", grants(s));
    set(o, "services", services);
}

static json_t *revoked(const struct sl_revoked *list)
{
    static const char *const reasons[] = {"", "key-lost", "replaced", "gone"};
    json_t *all = json_array();
    struct sl_revocation r;
    for (size_t i = 0; i < list->n; i++) {
        json_t *o = json_object();
        if (sl_revocation_read(list->entries[i], &r)) {
            set(o, "flock_id", hex(r.flock, sizeof r.flock));
            set(o, "id", hex(r.id.b, sizeof r.id.b));
            set(o, "serial", hex(r.serial, sizeof r.serial));
            set(o, "signer_id", hex(r.signer, sizeof r.signer));
            set(o, "at", time_of(r.at));
            set(o, "until", time_of(r.until));
            set(o, "reason", json_string(r.reason < SL_COUNT(reasons) ? reasons[r.reason] : ""));
        }
        (void)json_array_append_new(all, o);
    }
    return all;
}

static json_t *as_json(const char *path, const struct sl_ca_shown *s, int64_t now)
{
    json_t *o = json_object();
    set(o, "file", json_string(path));
    set(o, "kind", json_string(kind_names[s->kind]));
    switch (s->kind) {
    case SL_CA_CREDENTIALS:
        set_certificate(o, s, now);
        set_bundle(o, s);
        break;
    case SL_CA_AUTHORITY:
        set(o, "tenants", rotated(&s->tenants));
        set_bundle(o, s);
        break;
    case SL_CA_BUNDLE:
        set_bundle(o, s);
        break;
    case SL_CA_NODE_KEY:
        set(o, "id", hex(s->id.b, sizeof s->id.b));
        set(o, "key", json_string(s->key));
        break;
    case SL_CA_REVOKED:
        set(o, "revoked", revoked(&s->revoked));
        break;
    }
    return o;
}

/* ---- for people ------------------------------------------------------------------------- */

static void line(const char *key, const char *value)
{
    (void)printf("%-12s", key);
    print_text(value);
    (void)putchar('\n');
}

static void show_bundle(const struct sl_ca_shown *s)
{
    char text[2 * SL_FINGERPRINT_TEXT];
    bool node = s->kind == SL_CA_CREDENTIALS;
    for (size_t i = 0; i < s->held.n_authorities; i++) {
        (void)snprintf(text, sizeof text, "%s%s", s->authority[i],
                       node ? (i == s->issuer ? "  issued it" : "") : (i == 0 ? "  signs" : ""));
        line("authority", text);
    }
    for (size_t i = 0; i < s->held.n_doors; i++) {
        (void)snprintf(text, sizeof text, "%s%s", s->door[i],
                       i == 0 ? "  listened on" : "  dialled");
        line("door", text);
    }
}

#define KEY_TEXT 80

/* "key 2 used from 2026-01-31T12:00:00Z on"; of a first key the number alone. */
static void key_text(uint32_t epoch, int64_t use_after, char out[KEY_TEXT])
{
    char when[SL_TIME_TEXT];
    sl_time_text(use_after, when);
    (void)snprintf(out, KEY_TEXT, "key %lu%s%s%s", (unsigned long)epoch,
                   use_after > 0 ? " used from " : "", use_after > 0 ? when : "",
                   use_after > 0 ? " on" : "");
}

static void show_rotated(const struct sl_tenants *tenants)
{
    char text[256], key[KEY_TEXT];
    for (size_t i = 0; i < tenants->n; i++) {
        const struct sl_rotated *l = &tenants->line[i];
        key_text(l->epoch, l->use_after, key);
        (void)snprintf(text, sizeof text, "%s of flock %s, %s", l->tenant, l->flock, key);
        line("tenant", text);
    }
}

/* "shop, key 1, key 2 used from 2026-01-31T12:00:00Z on". */
static void show_tenant(const struct sl_ca_shown *s, size_t n)
{
    char text[512], key[KEY_TEXT];
    const bool in_clear = strcmp(s->tenant[n], SL_DEFAULT_TENANT) == 0;
    size_t len = (size_t)snprintf(text, sizeof text, "%s", s->tenant[n]);
    bool found = false;
    for (size_t i = 0; i < s->held.n_grants; i++) {
        const struct sl_tenant_epoch *what = &s->grant[i].what;
        /* A file of some other hand may have any number of one tenant: what fits is shown. */
        if (memcmp(what->tenant, s->cert.tenants[n], SL_TENANT_LEN) != 0 ||
            len + KEY_TEXT + 40 > sizeof text)
            continue;
        found = true;
        key_text(what->epoch, what->use_after, key);
        len += (size_t)snprintf(text + len, sizeof text - len, ", %s%s", key,
                                s->grant[i].sound ? "" : " (not good: no node takes it)");
    }
    if (!found)
        (void)snprintf(text + len, sizeof text - len,
                       in_clear ? ", in clear" : ", and no key: it cannot be read");
    line("tenant", text);
}

static void show_certificate(const json_t *o, const struct sl_ca_shown *s)
{
    static const char *const keys[] = {"name", "id", "serial", "not_before", "not_after"};
    static const char *const titles[] = {"node", "id", "serial", "from", "until"};
    char text[160];
    if (s->held.flock[0] != '\0')
        line("flock", s->held.flock);
    else
        line("flock id", json_string_value(json_object_get(o, "flock_id")));
    for (size_t i = 0; i < SL_COUNT(keys); i++)
        line(titles[i], json_string_value(json_object_get(o, keys[i])));
    (void)snprintf(text, sizeof text, "%s, %lld days left",
                   json_string_value(json_object_get(o, "state")),
                   (long long)json_integer_value(json_object_get(o, "days_left")));
    line("state", text);
    if (!s->sound)
        line("", s->issuer == SL_AUTHORITIES_MAX
                     ? "none of these authorities issued it: no node takes it"
                     : "the signature or the key is not the certificate's: no node takes it");
    for (size_t i = 0; i < s->cert.n_tenants; i++)
        show_tenant(s, i);
    if (s->cert.n_tenants == 0)
        line("tenant", "(all)");
    for (size_t i = 0; i < s->cert.n_patterns; i++)
        line("service", s->cert.patterns[i]);
    if (s->cert.n_patterns == 0)
        line("service", "(all)");
}

static void show_revoked(const json_t *list)
{
    static const char *const titles[] = {"ID", "SERIAL", "AT", "UNTIL", "REASON"};
    static const char *const keys[] = {"id", "serial", "at", "until", "reason"};
    struct table t;
    const json_t *o;
    table_start(&t, SL_COUNT(titles), titles);
    for (size_t i = 0; (o = json_array_get(list, i)) != NULL; i++) {
        for (size_t k = 0; k < SL_COUNT(keys); k++) {
            const char *text = json_string_value(json_object_get(o, keys[k]));
            bool all = text != NULL && text[strspn(text, "0")] == '\0' && text[0] != '\0';
            table_cell(&t, text == NULL ? "" : all ? "(all of its key)" : text);
        }
    }
    table_print(&t);
}

static void show_words(const json_t *o, const struct sl_ca_shown *s)
{
    line("kind", kind_names[s->kind]);
    switch (s->kind) {
    case SL_CA_CREDENTIALS:
        show_certificate(o, s);
        show_bundle(s);
        break;
    case SL_CA_AUTHORITY:
        show_bundle(s);
        show_rotated(&s->tenants);
        break;
    case SL_CA_BUNDLE:
        show_bundle(s);
        break;
    case SL_CA_NODE_KEY:
        line("id", json_string_value(json_object_get(o, "id")));
        break;
    case SL_CA_REVOKED:
        show_revoked(json_object_get(o, "revoked"));
        break;
    }
}

int ca_show(const char *path, bool json)
{
    struct sl_ca_shown shown;
    int r = sl_ca_look(path, &shown);
    if (r < 0) {
        complain("%s", sl_fail_text());
        return NO;
    }
    json_t *o = as_json(path, &shown, (int64_t)time(NULL));
    if (json)
        print_json(o);
    else
        show_words(o, &shown);
    json_decref(o);
    sl_ca_shown_fini(&shown);
    return DONE;
}
