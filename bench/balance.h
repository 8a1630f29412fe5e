/* balance.h: the parts of bench/balance. All in virtual time; the same seed gives the same figures. */
#ifndef SL_BENCH_BALANCE_H
#define SL_BENCH_BALANCE_H

#include "bench/bench.h"
#include "bench/members.h"

#define BALANCE_EPOCH SL_SEC(1000) /* when everybody is there; an hour later nobody is new */
#define BALANCE_BEGIN (BALANCE_EPOCH + SL_SEC(3600))

/* A view of "web" in that store. */
struct sl_view *balance_view(struct sl_store *s, enum starling_strategy strategy, unsigned tiers);

void bench_spread(void); /* balance_spread.c */
void bench_load(void);   /* balance_load.c */

#endif
