/* files.h: small files, written whole or not at all. Failures set the error text, which names the
 * file; errno is left as the system set it, for a caller with somewhere else to go. */
#ifndef SL_NODE_FILES_H
#define SL_NODE_FILES_H

#include <sys/types.h>

#include "base/types.h"

/* Read at most cap bytes; the number read, STARLING_ENOENT, STARLING_ELIMIT (longer than cap),
 * STARLING_EIO. Does not follow a symbolic link and never blocks on a FIFO. */
ssize_t sl_file_read(const char *path, void *buffer, size_t cap);
/* As above, and the file must be ours (or root's) and closed to group and others: else
 * STARLING_EAUTH. */
ssize_t sl_file_read_secret(const char *path, void *buffer, size_t cap);
/* A secret that an operator put there and named: a link is followed, and root's file may be
 * readable by its group (that is how a cluster mounts a secret for a process that is not root).
 * Else as above. */
ssize_t sl_file_read_given(const char *path, void *buffer, size_t cap);
/* Temporary name in the same directory, write, fsync, rename. 0 or STARLING_EIO. */
int sl_file_write(const char *path, const void *p, size_t len, mode_t mode) SL_MUST_USE;
/* Make the file, whole, if nothing has that name; of many who try at once one succeeds. 0,
 * STARLING_EEXIST (left untouched), STARLING_EIO. */
int sl_file_create(const char *path, const void *p, size_t len, mode_t mode) SL_MUST_USE;
/* mkdir -p with mode 0700 for what is made; the last one must be a directory of ours, not open to
 * others' writing. 0, EAUTH, EIO. */
int sl_dir_make(const char *path) SL_MUST_USE;
#endif
