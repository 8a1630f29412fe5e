/* suite.h: what every test program in C needs: to run its tests, a directory of its own, and to wait for
 * a state, with a deadline that only a failure reaches. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <ftw.h>
#include <starling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

/* TAP on stdout; the exit status of main. */
static inline int run_suite(Suite *suite)
{
    SRunner *r = srunner_create(suite);
    srunner_set_tap(r, "-");
    srunner_run_all(r, CK_SILENT);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define PATIENCE_MS 20000

static inline void breathe(void)
{
    struct timespec t = {.tv_nsec = 5000000};
    nanosleep(&t, NULL);
}

/* Ask again until it is so. */
#define until(condition)                                                                           \
    do {                                                                                           \
        int tries_ = PATIENCE_MS / 5;                                                              \
        while (!(condition) && tries_-- > 0)                                                       \
            breathe();                                                                             \
        ck_assert_msg(tries_ > 0, "never so: %s (%s)", #condition, starling_error_text());         \
    } while (0)

#define must(call)                                                                                 \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        ck_assert_msg(r_ == 0, "%s: %d, %s", #call, r_, starling_error_text());                    \
    } while (0)

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* With all that is in it. */
static inline void folder_remove(const char *path)
{
    (void)nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
