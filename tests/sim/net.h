/* net.h: connections over a network that behaves like TCP (net.c), and what breaks it (rules.c).
 *
 * A direction of a connection delivers in order and never loses: a lost packet is a wait for its
 * resend, a cut is silence in which messages wait, and after a quarter of an hour TCP gives up.
 * Messages are lost only when a queue is full or when the connection ends. */
#ifndef SL_SIM_NET_H
#define SL_SIM_NET_H

#include "gossip/gossip.h"
#include "tests/sim/set.h"

struct sim_world;
struct sim_event;
struct sim_item;

struct sim_msg {
    struct sim_msg *next;
    uint32_t len;
    bool last; /* no bytes: the other end is closed (FIN or RST) */
    uint8_t bytes[];
};

/* From end d to end 1 - d. */
struct sim_dir {
    struct sim_msg *road, **road_end; /* on their way, in order of arrival */
    struct sim_msg *held, **held_end; /* arrived where they cannot pass now */
    sl_usec last_arrival;
    sl_usec held_since;
    uint32_t n; /* messages sent and not yet read */
    bool flush_planned;
    bool resent; /* what is held was lost on its way: TCP sends it again when its clock says so */
    bool ended;  /* the last message is on its way */
    sl_usec ack_owed; /* since when a segment is not acknowledged; SL_NEVER = none is */
};

enum sim_conn_state { SIM_CONN_DIALLED, SIM_CONN_SHAKING, SIM_CONN_OPEN, SIM_CONN_OVER };

struct sim_end {
    uint32_t node, process;
    sl_link link; /* 0: not known to its core */
    bool open;
};

struct sim_conn {
    struct sim_conn *prev, *next;
    struct sim_end end[2]; /* 0 dialled */
    struct sim_dir dir[2];
    enum sim_conn_state state;
    uint32_t refs; /* events and items that name it, and the lists */
    struct sim_conn *next_stuck;
    bool is_stuck;
    uint8_t c_d[SL_KEY_LEN];
    struct sl_addr addr;
    sl_usec dialled;
    unsigned tries;
};

struct sim_probe {
    uint32_t node, process;
    sl_link link;
    struct sl_addr addr;
    sl_usec since;
    unsigned tries;
};

enum sim_rule_kind { SIM_CUT, SIM_HOLD, SIM_LOSS, SIM_DELAY };

/* What is wrong between two sets of nodes. */
struct sim_rule {
    enum sim_rule_kind kind;
    bool used, one_way, has_salt;
    struct sim_set from, to;
    uint32_t edges; /* of the pairs, in millionths, drawn by hash */
    uint64_t salt;  /* of that hash; drawn when the scenario gives none */
    uint64_t number;
    uint32_t loss;
    sl_usec delay_min, delay_max;
};
#define SIM_RULES_MAX 128

struct sim_net {
    struct sim_conn *first, *last;
    struct sim_rule rules[SIM_RULES_MAX];
    size_t n_rules; /* up to the last one in use */
    size_t n_used;
    uint64_t n_rules_made;
    struct sim_conn *stuck; /* those in which something may be held back */
    size_t connections_max; /* of one node, ever */
    uint64_t n_bytes;       /* on the wire, headers and acknowledgements included */
    uint64_t n_messages, n_payload, n_dropped, n_dials, n_probes, n_resets;
};

/* What lies between two nodes, one way. */
struct sim_path {
    bool cut, held;
    uint32_t loss;
    sl_usec delay_min, delay_max;
};

/* ---- rules.c ---- */
void sim_path_of(const struct sim_world *w, size_t from, size_t to, struct sim_path *ret);
/* Nothing passes now: cut, held, or one of the hosts is away. */
bool sim_blocked(const struct sim_world *w, size_t from, size_t to);
/* Nothing is wrong between the two that the oracle would excuse (settings.loss_fine). */
bool sim_pair_fine(const struct sim_world *w, size_t a, size_t b);
/* Whether a rule with such a share meets this pair. */
bool sim_is_drawn(const struct sim_rule *r, size_t from, size_t to);
/* Two nodes with one signature have the same paths to all others; 0: nothing is known of it. */
uint64_t sim_rules_signature(const struct sim_world *w, size_t node);
/* The rule's sets are taken over. Its number, or -1 when there are too many. */
int sim_rule_add(struct sim_world *w, struct sim_rule rule, sl_usec span);
void sim_rule_end(struct sim_world *w, uint64_t number);
/* All of a kind; kind < 0 = all. */
void sim_heal(struct sim_world *w, int kind);
void sim_rules_fini(struct sim_world *w);

/* ---- net.c ---- */
void sim_net_event(struct sim_world *w, const struct sim_event *e);
void sim_net_fini(struct sim_world *w);
/* Messages held back by a path that is open again go on. */
void sim_net_release(struct sim_world *w);
void sim_conn_ref(struct sim_conn *c);
void sim_conn_unref(struct sim_world *w, struct sim_conn *c);
void sim_dial(struct sim_world *w, size_t node, sl_link link, const struct sl_addr *addr);
void sim_probe(struct sim_world *w, size_t node, sl_link link, const struct sl_addr *addr);
/* False when the queue is full or the link not open. */
bool sim_send(struct sim_world *w, size_t node, sl_link link, struct sl_span bytes);
/* This end goes; the other one hears of it if `told` (and the network lets it). */
void sim_conn_close(struct sim_world *w, struct sim_conn *c, unsigned end, bool told);
/* Both ends hear of it at once, what is on its way is lost. */
void sim_conn_reset(struct sim_world *w, struct sim_conn *c);
/* The first message of a dialled connection reached the process: does its core take it? */
bool sim_net_accept(struct sim_world *w, struct sim_conn *c);
/* A dial reached the process. */
void sim_shake(struct sim_world *w, struct sim_conn *c);
/* The dialler has done its part of the handshake too. */
void sim_shaken(struct sim_world *w, struct sim_conn *c);

#endif
