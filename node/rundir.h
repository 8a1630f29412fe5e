/* rundir.h: how the nodes of one user on one host find each other without configuration.
 * RUNTIME/FLOCK/NAME.addr holds one line, "host:port id"; RUNTIME/FLOCK/NAME.sock is the debug
 * socket. The directory is 0700 and its owner is checked. A node holds an OFD lock on its address
 * file as long as it lives: so a namesake, and whoever finds the address refused, knows whether
 * the file has an owner. A node that dies hard leaves its file behind; whoever finds its address
 * refused removes it. */
#ifndef SL_NODE_RUNDIR_H
#define SL_NODE_RUNDIR_H

#include "base/addr.h"
#include "base/port.h"
#include "node/settings.h"

struct sl_rundir {
    char path[SL_PATH_MAX];  /* RUNTIME/FLOCK */
    char file[SL_PATH_MAX];  /* our address file, "" until written */
    int fd;                  /* of our address file, locked for life; meaningless while file is "" */
};

/* Make RUNTIME and RUNTIME/FLOCK (0700), check owner and mode. 0, EAUTH, EIO. */
int sl_rundir_open(struct sl_rundir *d, const char *runtime_dir, const char *flock) SL_MUST_USE;
/* Write our address file, or write it anew. A live namesake keeps its own: then the file is
 * NAME@IDPREFIX.addr. */
int sl_rundir_publish(struct sl_rundir *d, const char *name, const char *id_hex,
                      const struct sl_addr *addr) SL_MUST_USE;
/* Call `found` for each address file but our own; what cannot be read is skipped. */
void sl_rundir_scan(const struct sl_rundir *d, void (*found)(void *context, const struct sl_addr *addr),
                    void *context);
/* Remove files that name this address (but ours): it refused. */
void sl_rundir_remove_dead(const struct sl_rundir *d, const struct sl_addr *addr);
/* Remove our own file. */
void sl_rundir_close(struct sl_rundir *d);

/* Own a name for life, here and for debug.c: create DIR/NAME<suffix> and lock it; where a live
 * namesake holds it, DIR/NAME@IDPREFIX<suffix>. The lock ends with the descriptor. 0 or EIO. */
int sl_rundir_claim_name(const char *dir, const char *name, const char *id_hex, const char *suffix,
                         char ret_path[SL_PATH_MAX], int *ret_fd) SL_MUST_USE;
#endif
