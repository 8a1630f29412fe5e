/* idmap.h: node id to index. Open addressing with linear probing over 32-bit slots: the ids
 * themselves stay where the caller keeps them, so that a pair costs 5-10 bytes. Keyed with SipHash,
 * since peers choose their ids. Deletion shifts back, so there are no tombstones to clean up. */
#ifndef SL_BASE_IDMAP_H
#define SL_BASE_IDMAP_H

#include "base/port.h"

#define SL_IDMAP_NONE UINT32_MAX

struct sl_idmap {
    uint32_t *slots; /* index + 1, 0 = free */
    uint32_t cap;    /* power of two, or 0 */
    uint32_t n;
    uint8_t key[16];
    const struct sl_alloc *alloc;
    /* The id behind an index. */
    const struct sl_id *(*id_of)(void *context, uint32_t index);
    void *context;
};

void sl_idmap_init(struct sl_idmap *m, const struct sl_alloc *alloc, const uint8_t key[16],
                   const struct sl_id *(*id_of)(void *context, uint32_t index), void *context);
void sl_idmap_fini(struct sl_idmap *m);
uint32_t sl_idmap_find(const struct sl_idmap *m, const struct sl_id *id);
/* `index` must not be in the map under this id. 0 or STARLING_ENOMEM. */
int sl_idmap_add(struct sl_idmap *m, const struct sl_id *id, uint32_t index) SL_MUST_USE;
void sl_idmap_remove(struct sl_idmap *m, const struct sl_id *id);

#endif
