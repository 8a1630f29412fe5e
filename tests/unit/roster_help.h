/* roster_help.h: instances without a store. */
#ifndef SL_TESTS_ROSTER_HELP_H
#define SL_TESTS_ROSTER_HELP_H

#include "store/roster.h"
#include "tests/unit/store_help.h"

/* The instance of the service on the member; one reference is the caller's. */
static inline struct sl_offer *an_offer(const struct sl_alloc *alloc,
                                        const struct sl_store_member *m,
                                        const struct sl_service *service)
{
    struct sl_seen *seen = sl_seen_new(alloc, m);
    ck_assert_ptr_nonnull(seen);
    struct sl_offer *o = sl_offer_new(alloc, seen, service);
    sl_seen_unref(alloc, seen);
    ck_assert_ptr_nonnull(o);
    return o;
}

#endif
