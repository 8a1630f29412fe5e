/* sections.c: what this node offers, as bytes for its record and its vitals. A tenant's services are
 * sealed together, so that others learn their size in steps and not their number. */
#include "node/sections.h"

#include <starling.h>

#include "base/bytes.h"
#include "base/pack.h"

/* Where the bytes go, and what they say. */
struct writer {
    const struct sl_sealer *sealer;
    enum sl_kind kind;
    size_t note_max; /* of vitals */
    struct sl_pack pack;
    uint64_t sum;
};

static void add_to_sum(struct writer *w, const uint8_t *p, size_t len)
{
    static const uint8_t no_key[16];
    uint8_t both[16];
    sl_put64(both, w->sum);
    sl_put64(both + 8, sl_siphash(no_key, p, len));
    w->sum = sl_siphash(no_key, both, sizeof both);
}

/* The services of one tenant; their number. */
static size_t of_tenant(const struct sl_service *const *services, size_t n, const char *tenant,
                        const struct sl_service **ret)
{
    size_t n_ret = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(services[i]->tenant, tenant) == 0)
            ret[n_ret++] = services[i];
    }
    return n_ret;
}

/* The first tenant behind `last` (NULL: the very first) that is sealed; NULL: there is none. One
 * whose key has gone is passed over: what others are told of the rest must not depend on it. */
static const char *next_tenant(const struct sl_keyring *keyring,
                               const struct sl_service *const *services, size_t n, const char *last)
{
    const char *next = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *tenant = services[i]->tenant;
        if (strcmp(tenant, SL_DEFAULT_TENANT) == 0 || (last && strcmp(tenant, last) <= 0) ||
            (next && strcmp(tenant, next) >= 0) || !sl_keyring_has(keyring, tenant))
            continue;
        next = tenant;
    }
    return next;
}

/* One tenant's, into `plain`. */
static size_t write_plain(struct writer *w, const struct sl_service *const *list, size_t n)
{
    const struct sl_sealer *s = w->sealer;
    size_t len = w->kind == SL_RECORD
                     ? sl_sections_write_record(list, n, s->plain, s->cap)
                     : sl_sections_write_short(list, n, w->note_max, s->plain, s->cap);
    w->pack.failed = w->pack.failed || len == 0;
    add_to_sum(w, s->plain, len);
    return len;
}

static void add_clear(struct writer *w, const struct sl_service *const *list, size_t n)
{
    struct sl_read r;
    sl_read_init(&r, w->sealer->plain, write_plain(w, list, n));
    if (sl_read_array(&r, SL_SERVICES_MAX, &n))
        sl_pack_raw(&w->pack, sl_span_of(r.p, (size_t)(r.end - r.p)));
}

static void add_sealed(struct writer *w, const char *tenant, const struct sl_service *const *list,
                       size_t n)
{
    const struct sl_sealer *s = w->sealer;
    size_t len = write_plain(w, list, n), sealed_len = 0;
    if (len > 0)
        sealed_len = sl_keyring_seal(s->keyring, w->kind, s->origin, tenant,
                                     sl_span_of(s->plain, len), s->wall_s, s->sealed, s->cap);
    if (sealed_len == 0) {
        w->pack.failed = true;
        return;
    }
    add_to_sum(w, s->sealed, SL_TENANT_LEN + 4); /* under which key, and in whose fact it opens */
    add_to_sum(w, s->origin->b, SL_ID_LEN);
    sl_pack_bin(&w->pack, s->sealed, sealed_len);
}

static void write_all(struct writer *w, const struct sl_service *const *services, size_t n)
{
    const struct sl_keyring *keyring = w->sealer->keyring;
    const struct sl_service *list[SL_SERVICES_MAX];
    const char *tenant = NULL;
    size_t n_list = of_tenant(services, n, SL_DEFAULT_TENANT, list), n_sealed = 0;
    while ((tenant = next_tenant(keyring, services, n, tenant)) != NULL)
        n_sealed++;
    sl_pack_array(&w->pack, n_list + n_sealed);
    add_clear(w, list, n_list);
    while (!w->pack.failed && (tenant = next_tenant(keyring, services, n, tenant)) != NULL) {
        n_list = of_tenant(services, n, tenant, list);
        add_sealed(w, tenant, list, n_list);
    }
}

size_t sl_sections_write(const struct sl_sealer *sealer, enum sl_kind kind,
                         const struct sl_service *const *services, size_t n, uint8_t *out,
                         size_t cap, uint64_t *ret_sum)
{
    if (n > SL_SERVICES_MAX)
        return 0;
    /* Health must get out; words about it as far as there is room. */
    for (size_t note_max = STARLING_NOTE_MAX - 1;; note_max /= 2) {
        struct writer w = {.sealer = sealer, .kind = kind, .note_max = note_max};
        sl_pack_init(&w.pack, out, cap);
        write_all(&w, services, n);
        if (!w.pack.failed) {
            *ret_sum = w.sum;
            return w.pack.len;
        }
        if (note_max == 0 || kind == SL_RECORD)
            return 0;
    }
}
