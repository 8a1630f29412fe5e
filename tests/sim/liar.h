/* liar.h: members with a real certificate and a key of their own who do not play by the rules.
 *
 * A liar is a wrapper around an honest core: the core keeps the liar's connections and knows the
 * real state of the flock; the wrapper takes out of what goes in and out whatever does not suit the
 * lie, and adds messages of its own, made with the library's own codec. It can sign with its own
 * key alone, as outside. */
#ifndef SL_SIM_LIAR_H
#define SL_SIM_LIAR_H

#include "gossip/gossip.h"
#include "tests/sim/set.h"

struct sim_world;

enum sim_lie {
    SIM_LIE_FORGE = 1,    /* facts in others' names, newer than theirs; the signature is its own */
    SIM_LIE_REPLAY = 2,   /* what others said before, and their hellos */
    SIM_LIE_WITHHOLD = 4, /* passes nothing on, answers beats */
    SIM_LIE_ACCUSE = 8,   /* sightings against everybody, again as soon as they are answered */
    SIM_LIE_FLOOD = 16,   /* new versions of its own facts, unknown kinds among them */
    SIM_LIE_STRANGERS = 32,  /* records of members whom no authority knows, vitals of nobody */
    SIM_LIE_EQUIVOCATE = 64, /* two facts of one version, one to each half of its neighbours */
    SIM_LIE_INFLATE = 128,   /* its own newest possible version */
    SIM_LIE_ATTRACT = 256,   /* everybody's services, with the largest weight */
    SIM_LIE_CLAIM = 512,     /* a record under another's address */
    SIM_LIE_NAG = 2048,      /* beats that hold something against their receiver */
    SIM_LIE_BULK = 4096,     /* the longest records there are, as often as it may */
    SIM_LIE_ASK = 8192,      /* sums that differ from everybody's, which are answered with lists */
    SIM_LIE_JUMP = 1024      /* tells others that they have said something newer than they have */
};

#define SIM_LIAR_KEPT 64 /* facts kept for a replay */

struct sim_liar {
    unsigned ways; /* 0: it stopped, and is not believed any more by the oracle */
    bool planned;  /* a SIM_LIE is */
    struct sim_set at;
    sl_usec every;
    uint32_t rate; /* facts of a flood to each neighbour, a turn */
    struct sl_rand rand;
    uint64_t turn, seq, offered;
    struct {
        uint8_t *bytes;
        size_t len;
    } kept[SIM_LIAR_KEPT];
    size_t n_kept;
    uint8_t m1[1024]; /* somebody's hello */
    size_t m1_len;
    sl_link next_dial;
};

/* The bits of "forge,accuse"; 0 when there is no such lie. */
unsigned sim_lies_read(const char *text);
/* From now on the node lies, to or about the nodes `at` (copied). ways = 0: it stops. */
void sim_lie(struct sim_world *w, size_t node, unsigned ways, const struct sim_set *at,
             sl_usec every, uint32_t rate);
void sim_liar_turn(struct sim_world *w, size_t node);
void sim_liar_free(struct sim_liar *l);

/* Around a core that lies: what it is told, and what it says. The span is of a buffer that the next
 * call overwrites; of length 0, when nothing is left. */
struct sl_span sim_liar_hears(struct sim_world *w, size_t node, struct sl_span bytes);
struct sl_span sim_liar_says(struct sim_world *w, size_t node, struct sl_span bytes);

#endif
