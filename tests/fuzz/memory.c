/* memory.c: count memory by functions of libc's names in front of libc's, or, under a sanitizer
 * that has put itself there, by the hooks that it offers. So nobody is missed: libjansson and libc
 * itself are counted too. */
#include "tests/fuzz/memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool counting;
static int64_t live, peak; /* below zero: what was there before has been given back */

static void took(size_t size)
{
    if (!counting)
        return;
    live += (int64_t)size;
    peak = live > peak ? live : peak;
}

static void gave(size_t size)
{
    if (counting)
        live -= (int64_t)size;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HOOKS
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HOOKS
#endif

#ifdef HOOKS

int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
                                              void (*given)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

static void hook_taken(const volatile void *p, size_t size)
{
    (void)p;
    took(size);
}

static void hook_given(const volatile void *p)
{
    if (counting && p != NULL)
        gave(__sanitizer_get_allocated_size(p));
}

static void start(void)
{
    static bool installed;
    if (!installed && __sanitizer_install_malloc_and_free_hooks(hook_taken, hook_given) == 0)
        abort();
    installed = true;
}

#else

#define SHOWN __attribute__((visibility("default")))

/* glibc's own names of what is replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);

static void *counted(void *p)
{
    if (p != NULL)
        took(malloc_usable_size(p));
    return p;
}

SHOWN void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

SHOWN void *calloc(size_t n, size_t size)
{
    return counted(__libc_calloc(n, size));
}

SHOWN void *realloc(void *ptr, size_t size)
{
    size_t before = ptr != NULL ? malloc_usable_size(ptr) : 0;
    void *p = __libc_realloc(ptr, size);
    if (p == NULL)
        return NULL;
    gave(before);
    return counted(p);
}

SHOWN void free(void *ptr)
{
    if (ptr != NULL)
        gave(malloc_usable_size(ptr));
    __libc_free(ptr);
}

static void start(void)
{
}

#endif

void memory_count(void)
{
    start();
    live = peak = 0;
    counting = true;
}

size_t memory_peak(void)
{
    counting = false;
    return (size_t)peak;
}
