/* state.h: what survives a restart: STATE/peers, one "host:port" a line, written atomically.
 * (The node's key, STATE/node.key, is identity.c's.) */
#ifndef SL_NODE_STATE_H
#define SL_NODE_STATE_H

#include "base/addr.h"

#define SL_PEERS_MAX 1024

/* Read known peers; a damaged line is skipped. Number read, or EIO. A missing file is 0 peers. */
int sl_state_read_peers(const char *state_dir, struct sl_addr *ret_peers, size_t cap) SL_MUST_USE;
int sl_state_write_peers(const char *state_dir, const struct sl_addr *peers, size_t n) SL_MUST_USE;
/* Make DIR if it is not there (0700). 0, EAUTH (foreign owner), EIO. */
int sl_state_make_dir(const char *dir) SL_MUST_USE;
/* Own DIR until sl_state_unlock, by a lock on DIR/lock: two processes in one directory would be two
 * with one key. 0 and a descriptor; STARLING_EUNAVAIL (somebody else has it: a sentence that names the
 * process); STARLING_EIO (it cannot be locked: read-only, or a file system without locks). */
int sl_state_lock(const char *dir, int *ret_fd) SL_MUST_USE;
/* fd < 0: nothing. A child of a fork() that has the descriptor as well gives the lock up with us. */
void sl_state_unlock(int fd);
#endif
