/* settings.h: what the world is like, under names that --set, `set` in a scenario and --help
 * share. Rates are in millionths, times in microseconds: nothing that is decided depends on
 * floating point. */
#ifndef SL_SIM_SETTINGS_H
#define SL_SIM_SETTINGS_H

#include "base/types.h"

/* All within `spread`; one every 10 ms; all at once and knowing each other. */
enum sim_start { SIM_START_ALL, SIM_START_STAGGERED, SIM_START_WARM };

struct sim_settings {
    /* network */
    sl_usec delay_min, delay_max; /* one way */
    uint32_t loss;                /* of packets, each way, everywhere */
    uint32_t stall_rate;          /* of messages that find their direction stalled */
    sl_usec stall;                /* for so long */
    uint64_t bandwidth;           /* bytes/s of one direction of a connection; 0 = unlimited */
    uint32_t hwm;                 /* messages on their way in one direction; more are dropped */
    sl_usec dial_timeout;
    /* nodes */
    sl_usec cost;        /* CPU time of one input; 0 = none */
    sl_usec link_cost;   /* besides, of a handshake at either end */
    sl_usec end_cost;    /* besides, of a connection's end, or of a dial that fails */
    uint32_t per_host;   /* nodes on one host */
    uint32_t processors; /* of a host, shared by its nodes; 0 = one for each node */
    uint32_t zones;      /* 0 = none */
    uint32_t seeds;      /* the first so many nodes are everybody's seeds */
    uint32_t services;   /* that each node offers */
    uint32_t stores;     /* the first so many nodes keep a registry */
    uint32_t known;      /* peers that a node remembers over a restart */
    bool reissue;        /* who gives way to a copy of itself takes another key */
    bool lasting;        /* identities are kept on disk */
    uint32_t
        later; /* nodes of a later version, which also publish facts of a kind unknown to this one */
    /* start */
    uint32_t start;     /* enum sim_start */
    sl_usec stand;      /* a warm start takes at least so long, for edges to come up */
    sl_usec spread;     /* nodes start within this time */
    sl_usec settle_max; /* to stand before time 0 of the scenario */
    bool settle;
    /* judging */
    sl_usec grace;       /* healthy for so long before holding it down is wrong */
    sl_usec quiet;       /* nothing changed for so long: all must agree */
    sl_usec quiet_cut;   /* likewise while something is cut */
    uint32_t loss_fine;  /* more loss than this, and a pair is not healthy */
    uint32_t paths_fine; /* of its paths to the healthy; with fewer a node may be held down */
    sl_usec poll;        /* how often agreement is looked for while it is awaited */
    uint32_t pairs_max;  /* observers whose versions of all others are watched */
    uint32_t core_bytes, member_bytes, link_bytes; /* what a node may take: for itself, for each */
    bool strict; /* holding a healthy node down is a violation at once */
};

void sim_settings_init(struct sim_settings *s);
/* "name", "value"; false with a sentence in error[cap] when there is no such setting or no such
 * value. */
bool sim_settings_set(struct sim_settings *s, const char *name, const char *value, char *error,
                      size_t cap);
/* One line a setting: name, default, meaning. */
void sim_settings_help(void (*line)(const char *name, const char *value, const char *meaning));

/* "10s", "1.5ms", "250us", "2m", "1h", "3d"; "0". */
bool sim_parse_time(const char *text, sl_usec *ret);
/* "1%", "0.05%", "0.01"; into millionths. */
bool sim_parse_rate(const char *text, uint32_t *ret);
/* "500us..1500us" or one time. */
bool sim_parse_range(const char *text, sl_usec *ret_low, sl_usec *ret_high);
/* 64 bits, decimal or 0x. */
bool sim_parse_seed(const char *text, uint64_t *ret);
bool sim_parse_count(const char *text, uint64_t max, uint64_t *ret);

#endif
