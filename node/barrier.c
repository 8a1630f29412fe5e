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

static bool register_process(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* As the library is loaded: while a process has one thread the kernel need not wait for others, which
 * takes it 8 to 13 ms (strace). What it answers is asked when it matters. */
__attribute__((constructor)) static void register_early(void)
{
    (void)register_process();
}

/* Once more: costs nothing where it was done, and a child after fork() need not ask what it
 * inherits. */
sl_barrier *sl_barrier_of_process(void)
{
    return register_process() && barrier() ? barrier : NULL;
}
