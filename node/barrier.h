/* barrier.h: a memory barrier on all threads of this process at once. */
#ifndef SL_NODE_BARRIER_H
#define SL_NODE_BARRIER_H

#include "store/store.h"

/* For sl_store_new; NULL where the system has none (Linux before 4.14, a seccomp filter without
 * membarrier(2)). Any thread. */
sl_barrier *sl_barrier_of_process(void);

#endif
