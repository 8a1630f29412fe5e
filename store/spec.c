/* spec.c: version ranges and selectors, read where they stand: a roster is made when something
 * changed, so there is nothing to gain from a compiled form. */
#include "store/spec.h"

#include <starling.h>

#include "base/bytes.h"

/* ---- versions ------------------------------------------------------------------------------- */

#define PARTS 4

struct version {
    uint32_t part[PARTS];
    unsigned n;  /* parts that were there */
    bool before; /* "-rc1" and the like */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads at most `len` bytes. */
static bool read_version(const char *text, size_t len, struct version *ret)
{
    size_t i = len > 0 && text[0] == 'v' ? 1 : 0;
    *ret = (struct version){0};
    while (i < len && is_digit(text[i])) {
        uint32_t v = 0;
        for (; i < len && is_digit(text[i]); i++)
            v = v < 100000000 ? v * 10 + (uint32_t)(text[i] - '0')
                              : v; /* absurd, but no overflow */
        if (ret->n == PARTS)
            return false;
        ret->part[ret->n++] = v;
        if (i + 1 >= len || text[i] != '.' || !is_digit(text[i + 1]))
            break;
        i++;
    }
    ret->before = i < len && text[i] == '-';
    return ret->n > 0 && (i == len || text[i] == '-' || text[i] == '+');
}

static int compare_versions(const struct version *a, const struct version *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    }
    return (int)b->before - (int)a->before;
}

enum relation { LIKE, EQUAL, LESS, LESS_OR_EQUAL, MORE, MORE_OR_EQUAL };

/* The next term of *p; false at the end, or (then *ret_bad) where one cannot be read. */
static bool next_range(const char **p, enum relation *ret, struct version *ret_version,
                       bool *ret_bad)
{
    const char *c = *p;
    while (*c == ' ')
        c++;
    *ret_bad = false;
    if (*c == '\0')
        return false;
    enum relation r = *c == '<' ? LESS : *c == '>' ? MORE : *c == '=' ? EQUAL : LIKE;
    c += r != LIKE;
    if ((r == LESS || r == MORE) && *c == '=') {
        r = r == LESS ? LESS_OR_EQUAL : MORE_OR_EQUAL;
        c++;
    }
    size_t len = strcspn(c, " ");
    *ret_bad = !read_version(c, len, ret_version);
    *ret = r;
    *p = c + len;
    return !*ret_bad;
}

static bool in_range(enum relation r, const struct version *v, const struct version *limit)
{
    int c = compare_versions(v, limit, r == LIKE ? limit->n : PARTS);
    switch (r) {
    case LIKE:
    case EQUAL:
        return c == 0;
    case LESS:
        return c < 0;
    case LESS_OR_EQUAL:
        return c <= 0;
    case MORE:
        return c > 0;
    case MORE_OR_EQUAL:
        return c >= 0;
    }
    return false;
}

static bool version_matches(const char *ranges, const char *text)
{
    struct version v, limit;
    enum relation r;
    bool bad;
    if (ranges[0] == '\0')
        return true;
    if (!read_version(text, strlen(text), &v))
        return false;
    while (next_range(&ranges, &r, &limit, &bad)) {
        if (!in_range(r, &v, &limit))
            return false;
    }
    return true;
}

/* ---- selectors ------------------------------------------------------------------------------ */

struct term {
    const char *key, *value; /* value NULL: whether there is one */
    size_t key_len, value_len;
    bool negated;
};

/* The next term of *p; false at the end. An empty key is a fault. */
static bool next_term(const char **p, struct term *ret)
{
    const char *c = *p;
    while (*c == ' ' || *c == ',')
        c++;
    if (*c == '\0')
        return false;
    size_t len = strcspn(c, ",");
    *p = c + len;
    *ret = (struct term){.key = c};
    if (*c == '!') {
        ret->negated = true;
        ret->key++;
        len--;
    }
    const char *equals = memchr(ret->key, '=', len);
    ret->key_len = len;
    if (equals) {
        ret->key_len = (size_t)(equals - ret->key);
        ret->value = equals + 1;
        ret->value_len = len - ret->key_len - 1;
        if (ret->key_len > 0 && equals[-1] == '!') {
            ret->key_len--;
            ret->negated = !ret->negated;
        }
    }
    return true;
}

static bool has(const struct sl_instance *inst, const struct term *t)
{
    const uint8_t *p = inst->meta;
    for (size_t i = 0; i < inst->n_meta; i++) {
        size_t key_len = p[0], value_len = sl_get16(p + 1);
        const uint8_t *key = p + 3;
        p = key + key_len + value_len;
        if (key_len != t->key_len || memcmp(key, t->key, key_len) != 0)
            continue;
        return !t->value ||
               (value_len == t->value_len && memcmp(key + key_len, t->value, value_len) == 0);
    }
    return false;
}

/* ---- both ----------------------------------------------------------------------------------- */

const char *sl_view_fault(const struct sl_view_spec *spec)
{
    struct version limit;
    struct term t;
    enum relation r;
    const char *p = spec->version;
    bool bad;
    if (!sl_name_ok(spec->tenant, strlen(spec->tenant)))
        return "the tenant's name is not 1-63 of a-z 0-9 . _ -";
    if (!sl_name_ok(spec->name, strlen(spec->name)))
        return "the service's name is not 1-63 of a-z 0-9 . _ -";
    if (spec->strategy > STARLING_LOCAL_FIRST)
        return "there is no such strategy";
    if (spec->load_bound != 0 && spec->load_bound < 100)
        return "a load bound below 100 percent cannot be kept";
    while (next_range(&p, &r, &limit, &bad))
        ;
    if (bad)
        return "a version range is like \">=1.2 <2\" or \"1.4\"";
    for (p = spec->select; next_term(&p, &t);) {
        if (t.key_len == 0)
            return "a selector is like \"key=value,other!=value,key,!key\"";
    }
    return NULL;
}

bool sl_spec_matches(const struct sl_view_spec *spec, const struct sl_instance *inst)
{
    struct term t;
    if (!version_matches(spec->version, inst->version))
        return false;
    for (const char *p = spec->select; next_term(&p, &t);) {
        if (has(inst, &t) == t.negated)
            return false;
    }
    return true;
}
