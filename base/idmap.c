/* idmap.c: find the index behind a node id.
 * Filled to at most four fifths, so that a pair costs 5-10 bytes and a probe stays short; grows by
 * doubling and never shrinks, since a flock that was once large tends to be so again. */
#include "base/idmap.h"

#include <assert.h>
#include <starling.h>

#include "base/bytes.h"

#define CAP_MIN 8u
#define CAP_MAX (UINT32_C(1) << 31)

void sl_idmap_init(struct sl_idmap *m, const struct sl_alloc *alloc, const uint8_t key[16],
                   const struct sl_id *(*id_of)(void *context, uint32_t index), void *context)
{
    *m = (struct sl_idmap){.alloc = alloc, .id_of = id_of, .context = context};
    memcpy(m->key, key, sizeof m->key);
}

void sl_idmap_fini(struct sl_idmap *m)
{
    if (m->slots)
        sl_alloc_free(m->alloc, m->slots, m->cap * sizeof *m->slots);
    m->slots = NULL;
    m->cap = m->n = 0;
}

/* The slot where probing for `id` starts in a table of `cap`. */
static uint32_t home(const struct sl_idmap *m, const struct sl_id *id, uint32_t cap)
{
    return (uint32_t)sl_siphash(m->key, id->b, sizeof id->b) & (cap - 1);
}

/* The slot that holds `id`, or the free one where it would go. The map is never full. */
static uint32_t probe(const struct sl_idmap *m, const struct sl_id *id)
{
    uint32_t i = home(m, id, m->cap);
    while (m->slots[i] != 0 && !sl_id_eq(m->id_of(m->context, m->slots[i] - 1), id))
        i = (i + 1) & (m->cap - 1);
    return i;
}

uint32_t sl_idmap_find(const struct sl_idmap *m, const struct sl_id *id)
{
    if (m->n == 0)
        return SL_IDMAP_NONE;
    uint32_t slot = m->slots[probe(m, id)];
    return slot == 0 ? SL_IDMAP_NONE : slot - 1;
}

static int grow(struct sl_idmap *m)
{
    if (m->cap == CAP_MAX)
        return STARLING_ENOMEM;
    uint32_t cap = m->cap == 0 ? CAP_MIN : m->cap * 2;
    uint32_t *slots = sl_alloc_zero(m->alloc, cap * sizeof *slots);
    if (!slots)
        return STARLING_ENOMEM;
    for (uint32_t i = 0; i < m->cap; i++) {
        if (m->slots[i] == 0)
            continue;
        uint32_t at = home(m, m->id_of(m->context, m->slots[i] - 1), cap);
        while (slots[at] != 0)
            at = (at + 1) & (cap - 1);
        slots[at] = m->slots[i];
    }
    if (m->slots)
        sl_alloc_free(m->alloc, m->slots, m->cap * sizeof *m->slots);
    m->slots = slots;
    m->cap = cap;
    return 0;
}

int sl_idmap_add(struct sl_idmap *m, const struct sl_id *id, uint32_t index)
{
    assert(index != SL_IDMAP_NONE);
    if (((uint64_t)m->n + 1) * 5 > (uint64_t)m->cap * 4) {
        int r = grow(m);
        if (r < 0)
            return r;
    }
    uint32_t i = probe(m, id);
    assert(m->slots[i] == 0);
    m->slots[i] = index + 1;
    m->n++;
    return 0;
}

void sl_idmap_remove(struct sl_idmap *m, const struct sl_id *id)
{
    if (m->n == 0)
        return;
    uint32_t mask = m->cap - 1;
    uint32_t hole = probe(m, id);
    if (m->slots[hole] == 0)
        return;
    m->n--;
    /* Shift back whatever follows and may stand in the hole: all whose home is not behind it. */
    for (uint32_t i = (hole + 1) & mask; m->slots[i] != 0; i = (i + 1) & mask) {
        uint32_t from = home(m, m->id_of(m->context, m->slots[i] - 1), m->cap);
        if (((i - from) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = 0;
}
