/* interpose.h: count the calls for memory and for locks that this process makes. */
#ifndef SL_BENCH_INTERPOSE_H
#define SL_BENCH_INTERPOSE_H

struct calls {
    unsigned long memory; /* malloc, calloc, realloc, free and their like */
    unsigned long locks;  /* mutexes, rwlocks: taken, tried or released */
};

/* From any thread; calls_counted gives those since calls_count. */
void calls_count(void);
struct calls calls_counted(void);

#endif
