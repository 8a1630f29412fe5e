/* memory.h: how many bytes this process holds, counted where it asks for them. */
#ifndef SL_TESTS_FUZZ_MEMORY_H
#define SL_TESTS_FUZZ_MEMORY_H

#include <stddef.h>

/* Start; what is held before does not count. One thread. */
void memory_count(void);
/* Stop; the most that was held at a time since. */
size_t memory_peak(void);

#endif
