/* report.c: figures by name, and the document they are printed in. */
#include "tests/sim/report.h"

#include <math.h>

#define NOT NAN /* not measured */

static double ms(sl_usec t)
{
    return (double)t / 1e3;
}

static double hist(const struct sim_hist *h, unsigned percent)
{
    return h->n ? ms(percent == 100 ? h->max : sim_hist_at(h, percent)) : NOT;
}

static double elapsed_s(const struct sim_world *w)
{
    return (double)(w->now - w->zero) / 1e6;
}

static double detect_p50(const struct sim_world *w)
{
    return hist(&w->measure.detect, 50);
}
static double detect_p99(const struct sim_world *w)
{
    return hist(&w->measure.detect, 99);
}
static double detect_max(const struct sim_world *w)
{
    return hist(&w->measure.detect, 100);
}
static double spread_p50(const struct sim_world *w)
{
    return hist(&w->measure.spread, 50);
}
static double spread_p99(const struct sim_world *w)
{
    return hist(&w->measure.spread, 99);
}
static double spread_max(const struct sim_world *w)
{
    return hist(&w->measure.spread, 100);
}

static double recover_p50(const struct sim_world *w)
{
    return hist(&w->measure.recover, 50);
}
static double recover_p99(const struct sim_world *w)
{
    return hist(&w->measure.recover, 99);
}
static double recover_max(const struct sim_world *w)
{
    return hist(&w->measure.recover, 100);
}

static double out_p50(const struct sim_world *w)
{
    return hist(&w->measure.out, 50);
}
static double out_max(const struct sim_world *w)
{
    return hist(&w->measure.out, 100);
}
static double out_healed_max(const struct sim_world *w)
{
    return hist(&w->measure.out_healed, 100);
}

static double converge(const struct sim_world *w)
{
    return w->measure.converged < 0 ? NOT : ms(w->measure.converged);
}

static double converge_first(const struct sim_world *w)
{
    return w->measure.converged_first < 0 ? NOT : ms(w->measure.converged_first);
}

static double settle(const struct sim_world *w)
{
    return w->measure.settled < 0 ? NOT : ms(w->measure.settled);
}

static double false_down(const struct sim_world *w)
{
    return (double)w->measure.n_false_down;
}

/* Of the time at rest where the scenario names one, else of all its time. */
static double per_node_s(const struct sim_world *w, uint64_t at_rest, uint64_t in_all)
{
    const struct sim_window *rest = &w->measure.rest;
    double s = rest->done ? (double)rest->span / 1e6 : elapsed_s(w);
    return s > 0 ? (double)(rest->done ? at_rest : in_all) / s / (double)w->n : NOT;
}

static double bytes_per_node_s(const struct sim_world *w)
{
    return per_node_s(w, w->measure.rest.bytes, w->net.n_bytes - w->measure.zero_bytes);
}

static double msgs_per_node_s(const struct sim_world *w)
{
    return per_node_s(w, w->measure.rest.messages, w->net.n_messages - w->measure.zero_messages);
}

/* What one change costs the whole flock, beyond rest. */
static double bytes_per_change(const struct sim_world *w)
{
    const struct sim_window *load = &w->measure.load, *rest = &w->measure.rest;
    if (!load->done || load->changes == 0)
        return NOT;
    double idle = rest->done ? (double)rest->bytes / (double)rest->span * (double)load->span : 0;
    return ((double)load->bytes - idle) / (double)load->changes;
}

static double connections_max(const struct sim_world *w)
{
    return (double)w->net.connections_max;
}

static double connections_end(const struct sim_world *w)
{
    size_t most = 0;
    for (size_t i = 0; i < w->n; i++)
        most = w->nodes[i].n_links > most ? w->nodes[i].n_links : most;
    return (double)most;
}

static void sum_stats(const struct sim_world *w, struct sl_gossip_stats *ret)
{
    *ret = (struct sl_gossip_stats){0};
    for (size_t i = 0; i < w->n; i++) {
        struct sl_gossip_info info;
        if (w->nodes[i].core == NULL)
            continue;
        sl_gossip_info(w->nodes[i].core, &info);
#define SL_X(name) ret->name += info.stats.name;
        SL_GOSSIP_COUNTERS(SL_X)
#undef SL_X
    }
}

static double repair_bytes(const struct sim_world *w)
{
    struct sl_gossip_stats sum;
    sum_stats(w, &sum);
    return (double)sum.sync_bytes;
}

static double deaths(const struct sim_world *w)
{
    return (double)w->measure.n_deaths;
}

static double detect_missed(const struct sim_world *w)
{
    uint64_t n = w->measure.n_missed;
    for (size_t i = 0; i < w->n; i++)
        n += w->measure.deaths[i] ? w->measure.deaths[i]->n_waiting : 0;
    return (double)n;
}

static double changes(const struct sim_world *w)
{
    return (double)w->measure.n_changes;
}
static double changes_late(const struct sim_world *w)
{
    return (double)w->measure.n_late_changes;
}
static double changes_open(const struct sim_world *w)
{
    return (double)w->measure.n_open_changes;
}
static double verdicts(const struct sim_world *w)
{
    return (double)w->measure.n_status;
}
static double conflicts(const struct sim_world *w)
{
    return (double)w->measure.n_conflicts;
}
static double yields(const struct sim_world *w)
{
    return (double)w->measure.n_yields;
}
static double yield_after(const struct sim_world *w)
{
    return w->measure.n_yields ? ms(w->measure.yielded_at - w->measure.copied_at) : NOT;
}
static double dropped(const struct sim_world *w)
{
    return (double)w->net.n_dropped;
}
static double dials(const struct sim_world *w)
{
    return (double)w->net.n_dials;
}
static double probes(const struct sim_world *w)
{
    return (double)w->net.n_probes;
}
static double verified(const struct sim_world *w)
{
    return (double)w->crypto_count.n_verifies;
}
static double forged(const struct sim_world *w)
{
    return (double)w->crypto_count.n_forged;
}
static double memory_peak(const struct sim_world *w)
{
    return (double)w->memory.peak;
}
/* Of honest nodes, in the window `rest`: the most that one of them sent or heard, and the mean. */
static double others(const struct sim_world *w, bool heard, bool mean)
{
    double sum = 0, most = 0;
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct sim_node *at = &w->nodes[i];
        double v = (double)(heard ? at->rest.heard : at->rest.sent);
        if (at->liar)
            continue;
        n++;
        sum += v;
        most = v > most ? v : most;
    }
    if (!w->measure.rest.done || n == 0)
        return NOT;
    return (mean ? sum / (double)n : most) * 1e6 / (double)w->measure.rest.span;
}

static double sent_mean(const struct sim_world *w)
{
    return others(w, false, true);
}
static double sent_max(const struct sim_world *w)
{
    return others(w, false, false);
}
static double heard_mean(const struct sim_world *w)
{
    return others(w, true, true);
}
static double heard_max(const struct sim_world *w)
{
    return others(w, true, false);
}

static double lies(const struct sim_world *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += w->nodes[i].liar ? w->nodes[i].liar->offered : 0;
    return (double)n;
}

static double doubted(const struct sim_world *w)
{
    return w->measure.rest.done ? (double)w->measure.n_doubted : NOT;
}

static double node_peak(const struct sim_world *w)
{
    return (double)w->measure.node_peak;
}
static double pool_peak(const struct sim_world *w)
{
    return (double)w->pool_account.peak;
}
static double events(const struct sim_world *w)
{
    return (double)w->n_events;
}

/* A name with a dot belongs into the object that the part before it names. */
static const struct figure {
    const char *name;
    double (*of)(const struct sim_world *w);
} figures[] = {
    {"detect_ms.p50", detect_p50},
    {"detect_ms.p99", detect_p99},
    {"detect_ms.max", detect_max},
    {"spread_ms.p50", spread_p50},
    {"spread_ms.p99", spread_p99},
    {"spread_ms.max", spread_max},
    {"recover_ms.p50", recover_p50},
    {"recover_ms.p99", recover_p99},
    {"recover_ms.max", recover_max},
    {"converge_ms", converge},
    {"converge_first_ms", converge_first},
    {"false_down", false_down},
    {"bytes_per_node_s", bytes_per_node_s},
    {"msgs_per_node_s", msgs_per_node_s},
    {"bytes_per_change", bytes_per_change},
    {"connections_max", connections_max},
    {"connections_end", connections_end},
    {"repair_bytes", repair_bytes},
    {"settle_ms", settle},
    {"deaths", deaths},
    {"detect_missed", detect_missed},
    {"changes", changes},
    {"changes_late", changes_late},
    {"changes_open", changes_open},
    {"verdicts", verdicts},
    {"conflicts", conflicts},
    {"yields", yields},
    {"out_ms.p50", out_p50},
    {"out_ms.max", out_max},
    {"out_healed_ms.max", out_healed_max},
    {"yield_ms", yield_after},
    {"dropped", dropped},
    {"dials", dials},
    {"probes", probes},
    {"verified", verified},
    {"forged", forged},
    {"memory_peak_bytes", memory_peak},
    {"events", events},
    {"sent_s.mean", sent_mean},
    {"sent_s.max", sent_max},
    {"heard_s.mean", heard_mean},
    {"heard_s.max", heard_max},
    {"node_peak_bytes", node_peak},
    {"pool_peak_bytes", pool_peak},
    {"lies", lies},
    {"doubted", doubted},
};

bool sim_report_figure(const struct sim_world *w, const char *name, double *ret, bool *ret_measured)
{
    for (size_t i = 0; i < SL_COUNT(figures); i++) {
        if (strcmp(figures[i].name, name) != 0)
            continue;
        *ret = figures[i].of(w);
        *ret_measured = !isnan(*ret);
        return true;
    }
    return false;
}

static void print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*p);
        else
            fputc(*p, out);
    }
    fputc('"', out);
}

static void print_number(FILE *out, double v)
{
    if (isnan(v))
        fputs("null", out);
    else if (v < 1e15 && v > -1e15 && (double)(long long)v == v)
        fprintf(out, "%.0f", v);
    else
        fprintf(out, "%.3f", v);
}

static void print_figures(FILE *out, const struct sim_world *w)
{
    const char *inside = "";
    size_t inside_len = 0;
    for (size_t i = 0; i < SL_COUNT(figures); i++) {
        const char *name = figures[i].name, *dot = strchr(name, '.');
        size_t len = dot ? (size_t)(dot - name) : 0;
        bool same = len && len == inside_len && memcmp(name, inside, len) == 0;
        if (inside_len && !same)
            fputs("}", out);
        if (!same)
            fputs(",\n ", out);
        else
            fputs(", ", out);
        if (len && !same)
            fprintf(out, "\"%.*s\": {", (int)len, name);
        fprintf(out, "\"%s\": ", dot ? dot + 1 : name);
        print_number(out, figures[i].of(w));
        inside = name;
        inside_len = len;
    }
    fputs(inside_len ? "}" : "", out);
}

static void print_counters(FILE *out, const struct sim_world *w)
{
    struct sl_gossip_stats sum;
    sum_stats(w, &sum);
    const char *comma = "";
    fputs(",\n \"counters\": {", out);
#define SL_X(name)                                                                                 \
    fprintf(out, "%s\"%s\": %llu", comma, #name, (unsigned long long)sum.name);                    \
    comma = ", ";
    SL_GOSSIP_COUNTERS(SL_X)
#undef SL_X
    fputs("}", out);
}

void sim_report_print(FILE *out, const struct sim_world *w, const char *scenario, double real_s,
                      const char *reproduce)
{
    uint64_t trace[2];
    sim_hash_sum(&w->trace, trace);
    fprintf(out, "{\"nodes\": %zu, \"seed\": %llu, \"scenario\": ", w->n,
            (unsigned long long)w->seed);
    print_text(out, scenario);
    fprintf(out, ", \"virtual_s\": %.3f, \"real_s\": %.3f, \"trace\": \"%016llx%016llx\"",
            (double)w->now / 1e6, real_s, (unsigned long long)trace[0],
            (unsigned long long)trace[1]);
    print_figures(out, w);
    print_counters(out, w);
    fputs(",\n \"reproduce\": ", out);
    print_text(out, reproduce);
    fprintf(out, ",\n \"n_violations\": %zu, \"violations\": [", w->n_violations);
    for (size_t i = 0; i < w->n_violations && i < SL_COUNT(w->violations); i++) {
        fputs(i ? ",\n  " : "\n  ", out);
        char text[1024];
        snprintf(text, sizeof text, "%s  [%s]", w->violations[i].text, reproduce);
        print_text(out, text);
    }
    fputs("]}\n", out);
}
