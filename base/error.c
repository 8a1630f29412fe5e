/* error.c: the sentence behind this thread's last error code.
 * The one piece of state the rooms without I/O share, and it is per thread: a text is for a person,
 * never for a decision. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 512

static _Thread_local char text[TEXT_MAX];

int sl_fail(int code, const char *format, ...)
{
    /* Built aside: the arguments may quote the text that is about to be replaced. */
    char line[TEXT_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0)
        line[0] = '\0';
    memcpy(text, line, strlen(line) + 1);
    return code;
}

const char *sl_fail_text(void)
{
    return text;
}
