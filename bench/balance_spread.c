/* balance_spread.c: shares of a million picks: by weight, by key, by zone, and of those who are new. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/balance.h"

enum { PICKS = 1000000, N = 10, ZONES = 3, SERVERS = 12, CLIENTS = 24 };

static unsigned weight_of(unsigned i)
{
    return 50 + i * 37 % 101; /* 50-150 */
}

/* Count PICKS by the number of who was picked. */
static void count_picks(struct sl_view *view, bool by_key, uint64_t seed, double *counts, size_t n)
{
    struct sl_rand rand;
    sl_rand_seed(&rand, seed);
    memset(counts, 0, n * sizeof *counts);
    for (uint64_t i = 0; i < PICKS; i++) {
        starling_instance who;
        struct sl_pick how = {.rand = &rand, .now_ms = (uint32_t)(BALANCE_BEGIN / 1000 + i / 1000)};
        if (by_key)
            how.key = sl_span_of(&i, sizeof i);
        must(sl_view_pick(view, &how, &who) == 0 && number_of(&who) < n, "picking");
        counts[number_of(&who)]++;
    }
}

static struct sl_store *ten_instances(void)
{
    struct sl_store *s;
    must(sl_store_new(&sl_alloc_system, 1, NULL, &s) == 0, "a store");
    for (unsigned i = 0; i < N; i++)
        tell(s, &(struct told){.number = i, .offers = true, .weight = weight_of(i)});
    tell_readers(s, BALANCE_EPOCH);
    tell_readers(s, BALANCE_BEGIN);
    return s;
}

/* What chance alone does to the share furthest off: three deviations of the smallest one. */
static double chance_percent(double share)
{
    return 300 * sqrt((1 - share) / (share * PICKS));
}

static void bench_by_weight(const char *name, enum starling_strategy strategy)
{
    struct sl_store *s = ten_instances();
    struct sl_view *view = balance_view(s, strategy, 0);
    double counts[N], sum = 0, worst = 0, least = 1;
    count_picks(view, strategy == STARLING_RENDEZVOUS, 1, counts, N);
    for (unsigned i = 0; i < N; i++)
        sum += weight_of(i);
    for (unsigned i = 0; i < N; i++) {
        double share = weight_of(i) / sum;
        worst = fmax(worst, fabs(counts[i] / PICKS / share - 1));
        least = fmin(least, share);
    }
    const struct baseline baseline[] = {{"three_sigma_of_chance_percent", chance_percent(least)}};
    char what[96];
    snprintf(what, sizeof what, "%s: furthest from its share, 10 unequal weights", name);
    report(&(struct figure){.bench = "spread",
                            .what = what,
                            .value = 100 * worst,
                            .unit = "%",
                            .bound = AT_MOST,
                            .limit = 2,
                            .baseline = baseline,
                            .n_baseline = 1});
    sl_view_close(s, view);
    sl_store_free(s);
}

/* ---- zones ---------------------------------------------------------------------------------- */

/* Two servers of twelve are in zone a, five in b, five in c; of 24 clients eight in each. So a
 * client in a has S / C = (2/12) / (10/36) = 0.6 of its requests served there. */
static const char *const zones[ZONES] = {"a", "b", "c"};

static unsigned zone_of_server(unsigned i)
{
    return i < 2 ? 0 : i < 7 ? 1 : 2;
}

static struct sl_store *seen_from(unsigned zone)
{
    struct sl_store *s;
    must(sl_store_new(&sl_alloc_system, 1, NULL, &s) == 0, "a store");
    for (unsigned i = 0; i < SERVERS; i++)
        tell(s, &(struct told){
                    .number = i, .zone = zones[zone_of_server(i)], .offers = true, .weight = 100});
    for (unsigned i = 0; i < CLIENTS; i++)
        tell(s, &(struct told){.number = SERVERS + i, .zone = zones[i % ZONES], .self = i == zone});
    tell_readers(s, BALANCE_EPOCH);
    tell_readers(s, BALANCE_BEGIN);
    return s;
}

/* Each member calls as much as any other: so it is assumed, and so it is here. */
static void bench_zones(void)
{
    double members[ZONES] = {2 + 8, 5 + 8, 5 + 8}, servers[ZONES] = {2, 5, 5};
    double load[SERVERS] = {0}, worst_share = 0, worst_load = 0;
    for (unsigned zone = 0; zone < ZONES; zone++) {
        struct sl_store *s = seen_from(zone);
        struct sl_view *view = balance_view(s, STARLING_WEIGHTED_RANDOM, STARLING_TIER_LOCAL);
        double counts[SERVERS], local = 0;
        count_picks(view, false, zone + 1, counts, SERVERS);
        for (unsigned i = 0; i < SERVERS; i++) {
            local += zone_of_server(i) == zone ? counts[i] / PICKS : 0;
            load[i] += counts[i] / PICKS * members[zone] / (SERVERS + CLIENTS);
        }
        double intended = fmin(1, servers[zone] / SERVERS * (SERVERS + CLIENTS) / members[zone]);
        worst_share = fmax(worst_share, fabs(local / intended - 1));
        sl_view_close(s, view);
        sl_store_free(s);
    }
    for (unsigned i = 0; i < SERVERS; i++)
        worst_load = fmax(worst_load, fabs(load[i] * SERVERS - 1));
    const struct figure figures[] = {
        {"spread", "zones: furthest from min(1, S / C), seen from each of three", 100 * worst_share,
         "%", AT_MOST, 2, NULL, 0},
        {"spread", "zones: server furthest from an equal share of all clients' picks",
         100 * worst_load, "%", AT_MOST, 2, NULL, 0}};
    report(&figures[0]);
    report(&figures[1]);
}

/* ---- slow start ----------------------------------------------------------------------------- */

/* Publish whenever the store wants to, up to `now`. */
static void pass_time(struct sl_store *s, sl_usec from, sl_usec now)
{
    for (sl_usec at = sl_store_deadline(s); at <= now; at = sl_store_deadline(s))
        tell_readers(s, at > from ? at : from);
}

/* The furthest that the newest instance's share is from weight x max(0.1, t / 30 s), in percent of
 * its full weight. Looked at between the store's own steps as well. */
static double follow_ramp(struct sl_store *s, struct sl_view *view, sl_usec began)
{
    static const double at_s[] = {0, 2.9, 5.5, 10, 15.9, 20, 25.5, 29.9, 31, 60};
    double others = 0, worst = 0, counts[N];
    sl_usec last = began;
    for (unsigned i = 1; i < N; i++)
        others += weight_of(i);
    for (size_t k = 0; k < sizeof at_s / sizeof at_s[0]; k++) {
        sl_usec now = began + (sl_usec)(at_s[k] * 1e6);
        pass_time(s, last, now);
        last = now;
        count_picks(view, false, k + 1, counts, N);
        double share = counts[0] / PICKS, seen = share / (1 - share) * others / weight_of(0);
        worst = fmax(worst, fabs(seen - fmin(1, fmax(0.1, at_s[k] / 30))));
    }
    return 100 * worst;
}

static void report_ramp(const char *what, double percent)
{
    report(&(struct figure){.bench = "spread",
                            .what = what,
                            .value = percent,
                            .unit = "% of its weight",
                            .bound = AT_MOST,
                            .limit = 4, /* it rises once a second: a thirtieth */
                            .n_baseline = 0});
}

static void bench_ramp(enum starling_strategy strategy, const char *name)
{
    char what[128];
    struct sl_store *s = ten_instances();
    struct sl_view *view = balance_view(s, strategy, 0);
    struct told first = {.number = 0, .offers = true, .weight = weight_of(0)};
    tell_gone(s, 0);
    tell_readers(s, BALANCE_BEGIN + SL_SEC(1));
    tell(s, &first);
    tell_readers(s, BALANCE_BEGIN + SL_SEC(100));
    snprintf(what, sizeof what, "a newcomer off weight x max(0.1, t / 30 s), %s", name);
    report_ramp(what, follow_ramp(s, view, BALANCE_BEGIN + SL_SEC(100)));

    first.health = STARLING_CRITICAL;
    tell_vitals(s, &first);
    tell_readers(s, BALANCE_BEGIN + SL_SEC(300));
    first.health = STARLING_PASSING;
    tell_vitals(s, &first);
    tell_readers(s, BALANCE_BEGIN + SL_SEC(400));
    snprintf(what, sizeof what, "one that recovers off weight x max(0.1, t / 30 s), %s", name);
    report_ramp(what, follow_ramp(s, view, BALANCE_BEGIN + SL_SEC(400)));
    sl_view_close(s, view);
    sl_store_free(s);
}

void bench_spread(void)
{
    bench_by_weight("round_robin", STARLING_ROUND_ROBIN);
    bench_by_weight("weighted_random", STARLING_WEIGHTED_RANDOM);
    bench_by_weight("rendezvous, a million keys", STARLING_RENDEZVOUS);
    bench_zones();
    bench_ramp(STARLING_WEIGHTED_RANDOM, "weighted_random");
    bench_ramp(STARLING_ROUND_ROBIN, "round_robin");
}
