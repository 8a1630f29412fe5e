/* resolve.c: from seeds by name to addresses, over and over.
 * Names are asked in rounds. A round has a c-ares channel of its own, so that resolv.conf and
 * hosts are read anew each time: laptops move, containers are given their resolver late. Nothing
 * here waits. */
#include "node/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <starling.h>

#include "base/error.h"
#include "node/crypto.h"

#define ADDRESSES_MAX 256     /* of one name that are reported in a round */
#define QUERY_TIMEOUT_MS 2000 /* of one server, first try; c-ares doubles it */
#define QUERY_TRIES 3
#define RETRY_FIRST SL_SEC(1)  /* after a round in which a name failed; doubles to ROUND_EVERY */
#define ROUND_EVERY SL_SEC(30) /* jittered by a fifth */

struct name {
    struct sl_resolver *owner;
    char host[256];
    uint16_t port;
    int status;    /* of the last answer, ARES_...; -1 = never asked */
    size_t n_last; /* addresses in the last good answer */
};

struct sl_resolver {
    const struct sl_alloc *alloc;
    const struct sl_log *log;
    void (*found)(void *context, const struct sl_addr *addr);
    void *context;
    struct sl_rand rand;
    struct sl_addr numeric[SL_SEEDS_MAX];
    size_t n_numeric;
    bool told_numeric;
    struct name names[SL_SEEDS_MAX];
    size_t n_names;
    ares_channel channel; /* of the round under way, else NULL */
    size_t n_waiting;
    sl_usec now; /* of the last turn */
    sl_usec next_round;
    sl_usec retry;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void library_init(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

int sl_resolver_new(const struct sl_seed *seeds, size_t n, const struct sl_alloc *alloc,
                    const struct sl_log *log,
                    void (*found)(void *context, const struct sl_addr *addr), void *context,
                    struct sl_resolver **ret)
{
    (void)pthread_once(&library_once, library_init);
    if (library_status != ARES_SUCCESS)
        return sl_fail(STARLING_EIO, "c-ares does not start: %s", ares_strerror(library_status));
    struct sl_resolver *r = sl_alloc_zero(alloc, sizeof *r);
    if (r == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory");
    r->alloc = alloc;
    r->log = log;
    r->found = found;
    r->context = context;
    r->retry = RETRY_FIRST;
    uint64_t seed;
    sl_entropy(&seed, sizeof seed);
    sl_rand_seed(&r->rand, seed);
    for (size_t i = 0; i < n && i < SL_SEEDS_MAX; i++) {
        struct sl_addr a;
        if (sl_addr_parse(&a, seeds[i].host, strlen(seeds[i].host), seeds[i].port) == 0) {
            a.port = seeds[i].port;
            r->numeric[r->n_numeric++] = a;
            continue;
        }
        struct name *name = &r->names[r->n_names++];
        memcpy(name->host, seeds[i].host, sizeof name->host);
        name->port = seeds[i].port;
        name->owner = r;
        name->status = -1;
    }
    *ret = r;
    return 0;
}

void sl_resolver_free(struct sl_resolver *r)
{
    if (r == NULL)
        return;
    if (r->channel != NULL)
        ares_destroy(r->channel);
    sl_alloc_free(r->alloc, r, sizeof *r);
}

/* ---- answers ---------------------------------------------------------------------------- */

static bool to_addr(const struct ares_addrinfo_node *node, uint16_t port, struct sl_addr *ret)
{
    struct sl_addr a = {.port = port};
    if (node->ai_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, node->ai_addr, sizeof in);
        a.family = 4;
        memcpy(a.ip, &in.sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, node->ai_addr, sizeof in6);
        if (in6.sin6_scope_id != 0) /* link-local: sl_addr has no place for the interface */
            return false;
        a.family = 6;
        memcpy(a.ip, &in6.sin6_addr, 16);
    } else {
        return false;
    }
    *ret = a;
    return !sl_addr_is_wildcard(&a);
}

/* One line for each change, not one for each round. */
static void tell_change(struct name *name, int status, size_t n)
{
    struct sl_resolver *r = name->owner;
    if (status != ARES_SUCCESS && status != name->status)
        sl_log(r->log, SL_WARNING, "seed %s cannot be resolved: %s; asking again", name->host,
               ares_strerror(status));
    if (status == ARES_SUCCESS && (name->status != ARES_SUCCESS || n != name->n_last))
        sl_log(r->log, SL_INFO, "seed %s has %zu addresses", name->host, n);
    name->status = status;
    if (status == ARES_SUCCESS)
        name->n_last = n;
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct name *name = context;
    struct sl_resolver *r = name->owner;
    (void)timeouts;
    r->n_waiting--;
    size_t n = 0;
    if (status == ARES_SUCCESS && info != NULL) {
        for (struct ares_addrinfo_node *i = info->nodes; i != NULL && n < ADDRESSES_MAX;
             i = i->ai_next) {
            struct sl_addr a;
            if (to_addr(i, name->port, &a)) {
                r->found(r->context, &a);
                n++;
            }
        }
        if (n == 0)
            status = ARES_ENODATA;
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    if (status != ARES_EDESTRUCTION && status != ARES_ECANCELLED)
        tell_change(name, status, n);
}

/* ---- rounds ----------------------------------------------------------------------------- */

static void end_round(struct sl_resolver *r)
{
    bool failed = false;
    for (size_t i = 0; i < r->n_names; i++)
        failed = failed || r->names[i].status != ARES_SUCCESS;
    sl_usec wait = failed ? r->retry : ROUND_EVERY;
    r->retry = failed ? sl_earlier(2 * r->retry, ROUND_EVERY) : RETRY_FIRST;
    r->next_round = sl_after(r->now, sl_rand_span(&r->rand, wait - wait / 5, wait + wait / 5));
    if (r->channel != NULL)
        ares_destroy(r->channel);
    r->channel = NULL;
}

static void start_round(struct sl_resolver *r)
{
    struct ares_options options = {.timeout = QUERY_TIMEOUT_MS, .tries = QUERY_TRIES};
    int status = ares_init_options(&r->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (status != ARES_SUCCESS) {
        r->channel = NULL;
        for (size_t i = 0; i < r->n_names; i++)
            tell_change(&r->names[i], status, 0);
        return;
    }
    static const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    for (size_t i = 0; i < r->n_names; i++) {
        r->n_waiting++;
        ares_getaddrinfo(r->channel, r->names[i].host, NULL, &hints, answered, &r->names[i]);
    }
}

size_t sl_resolver_poll(struct sl_resolver *r, struct pollfd *fds, size_t cap)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    size_t n = 0;
    if (r->channel == NULL)
        return 0;
    int bits = ares_getsock(r->channel, sockets, ARES_GETSOCK_MAXNUM);
    for (int i = 0; i < ARES_GETSOCK_MAXNUM && n < cap; i++) {
        short events = 0;
        if (ARES_GETSOCK_READABLE((unsigned)bits, i))
            events |= POLLIN;
        if (ARES_GETSOCK_WRITABLE((unsigned)bits, i))
            events |= POLLOUT;
        if (events == 0)
            break;
        fds[n++] = (struct pollfd){.fd = sockets[i], .events = events};
    }
    return n;
}

void sl_resolver_turn(struct sl_resolver *r, sl_usec now, const struct pollfd *fds, size_t n)
{
    r->now = now;
    if (!r->told_numeric) {
        r->told_numeric = true;
        for (size_t i = 0; i < r->n_numeric; i++)
            r->found(r->context, &r->numeric[i]);
    }
    if (r->n_names == 0)
        return;
    if (r->channel != NULL) {
        for (size_t i = 0; i < n; i++) {
            bool in = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
            bool out = (fds[i].revents & POLLOUT) != 0;
            if (in || out)
                ares_process_fd(r->channel, in ? fds[i].fd : ARES_SOCKET_BAD,
                                out ? fds[i].fd : ARES_SOCKET_BAD);
        }
        ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* time-outs */
        if (r->n_waiting == 0)
            end_round(r);
    } else if (r->next_round <= now) {
        start_round(r);
        if (r->n_waiting == 0) /* answered from the hosts file, or no channel */
            end_round(r);
    }
}

sl_usec sl_resolver_deadline(const struct sl_resolver *r)
{
    if (!r->told_numeric)
        return 0;
    if (r->n_names == 0)
        return SL_NEVER;
    if (r->channel == NULL)
        return r->next_round;
    struct timeval left, *until = ares_timeout(r->channel, NULL, &left);
    if (until == NULL)
        return sl_after(r->now, SL_SEC(1));
    return sl_after(r->now, SL_SEC(until->tv_sec) + until->tv_usec);
}
