/* check.h: does the program answer at its port? A TCP connect, now and again, without waiting. */
#ifndef SL_CLI_CHECK_H
#define SL_CLI_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CHECK_FIRST_MS 50 /* between tries until the first pass */
#define CHECK_TIMEOUT_MS 1000
#define CHECK_FALL 3 /* failures in a row until it is critical; one pass mends it */

enum check_news { CHECK_NOTHING, CHECK_FIRST_PASS, CHECK_PASSING, CHECK_CRITICAL };

struct check {
    struct sockaddr_storage addr;
    socklen_t addr_len;
    int64_t every_ms;
    int fd;      /* of the connect under way, or -1 */
    int64_t due; /* next try, or the latest end of this one; milliseconds */
    bool passed_once;
    bool critical;
    unsigned n_failed; /* in a row */
};

/* host is numeric. 0 or -1. */
int check_init(struct check *c, const char *host, unsigned port, int64_t every_ms);
void check_fini(struct check *c);
/* Do what is due. `ready`: its descriptor polled. */
enum check_news check_turn(struct check *c, int64_t now, bool ready);

#endif
