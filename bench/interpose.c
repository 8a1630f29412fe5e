/* interpose.c: count calls for memory and for locks, by functions of the same names in front of libc's.
 * The program's own symbols come first for whoever looks them up, libc itself included. What
 * libc locks inside itself does not pass here; a lock that waits shows as a system call. */
#include "bench/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static atomic_bool counting;
static atomic_ulong n_memory, n_locks;

static void count(atomic_ulong *counter)
{
    if (atomic_load_explicit(&counting, memory_order_relaxed))
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void calls_count(void)
{
    atomic_store(&n_memory, 0);
    atomic_store(&n_locks, 0);
    atomic_store(&counting, true);
}

struct calls calls_counted(void)
{
    atomic_store(&counting, false);
    return (struct calls){.memory = atomic_load(&n_memory), .locks = atomic_load(&n_locks)};
}

#define SHOWN __attribute__((visibility("default")))

/* ---- memory --------------------------------------------------------------------------------- */

/* glibc's own names of what is replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);

SHOWN void *malloc(size_t size)
{
    count(&n_memory);
    return __libc_malloc(size);
}

SHOWN void *calloc(size_t n, size_t size)
{
    count(&n_memory);
    return __libc_calloc(n, size);
}

SHOWN void *realloc(void *ptr, size_t size)
{
    count(&n_memory);
    return __libc_realloc(ptr, size);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size)
{
    count(&n_memory);
    return __libc_memalign(alignment, size);
}

SHOWN int posix_memalign(void **ret, size_t alignment, size_t size)
{
    count(&n_memory);
    void *p = __libc_memalign(alignment, size);
    if (p == NULL)
        return ENOMEM;
    *ret = p;
    return 0;
}

SHOWN void free(void *ptr)
{
    count(&n_memory);
    __libc_free(ptr);
}

/* ---- locks ---------------------------------------------------------------------------------- */

typedef int lock_call(void *lock);

static int pass_on(_Atomic(void *) *real, const char *name, void *lock)
{
    void *function = atomic_load_explicit(real, memory_order_relaxed);
    if (function == NULL) {
        function = dlsym(RTLD_NEXT, name);
        if (function == NULL)
            abort();
        atomic_store_explicit(real, function, memory_order_relaxed);
    }
    lock_call *call;
    memcpy(&call, &function, sizeof call); /* POSIX promises what ISO C does not */
    count(&n_locks);
    return call(lock);
}

#define LOCK_CALL(name, type)                                                                      \
    SHOWN int name(type *lock)                                                                     \
    {                                                                                              \
        static _Atomic(void *) real;                                                               \
        return pass_on(&real, #name, lock);                                                        \
    }

LOCK_CALL(pthread_mutex_lock, pthread_mutex_t)
LOCK_CALL(pthread_mutex_trylock, pthread_mutex_t)
LOCK_CALL(pthread_mutex_unlock, pthread_mutex_t)
LOCK_CALL(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK_CALL(pthread_rwlock_wrlock, pthread_rwlock_t)
LOCK_CALL(pthread_rwlock_tryrdlock, pthread_rwlock_t)
LOCK_CALL(pthread_rwlock_trywrlock, pthread_rwlock_t)
LOCK_CALL(pthread_rwlock_unlock, pthread_rwlock_t)
