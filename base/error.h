/* error.h: one sentence per thread behind the last error code. */
#ifndef SL_BASE_ERROR_H
#define SL_BASE_ERROR_H

#include "base/types.h"

/* Set this thread's error text and return `code`: `return sl_fail(STARLING_EINVAL, "...", ...)`. */
int sl_fail(int code, const char *format, ...) SL_PRINTF(2, 3);
const char *sl_fail_text(void);

#endif
