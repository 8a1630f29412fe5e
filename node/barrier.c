/* barrier.c: membarrier(2), private and expedited: an interrupt to each processor that runs a thread
 * of this process, and nothing at all to the others. */
#include "node/barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* Registered anew by every store: cheap, and a child after fork() need not ask what it inherits. */
sl_barrier *sl_barrier_of_process(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        return NULL;
    return barrier() ? barrier : NULL;
}
