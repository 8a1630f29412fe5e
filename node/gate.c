/* gate.c: count who comes, and have the kernel turn away what is too much.
 *
 * What an address is held to is found by trying: each look halves or doubles what comes through. A newcomer that shares its
 * address with a flood is let in by chance, and tries again; one with an address of its own notices nothing. */
#include "node/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <starling.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

#define BACKLOG                                                                                    \
    64 /* between the kernel and libzmq, which goes on accepting these after the gate is shut */
#define SINK_BACKLOG                                                                               \
    64 /* what does not fit is dropped by the kernel, and comes again after a second */
#define EMPTY_EVERY SL_MS(50)
#define LOOK_EVERY SL_MS(200)
#define LOOKS_PER_SECOND 5
#define FIRST_SHIFT 4 /* an address that comes too often is first held to a sixteenth */
#define SHIFT_MAX 12
#define CALM_LOOKS 5 /* so long little has to come before more is let through */
#define SAY_EVERY SL_SEC(60)
#define KNOWN_MAX 256
#define RULE 12 /* instructions of one source, see put_source */
#define RULES_MAX (RULE * (SL_GATE_SOURCES + 1 + KNOWN_MAX) + 8)
_Static_assert(RULES_MAX <= BPF_MAXINSNS, "the kernel takes no longer filter");

/* ---- sockets ------------------------------------------------------------------------------- */

static socklen_t sockaddr_of(const struct sl_addr *a, struct sockaddr_storage *s)
{
    memset(s, 0, sizeof *s);
    if (a->family == 6) {
        struct sockaddr_in6 *v6 = (void *)s;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(a->port);
        memcpy(&v6->sin6_addr, a->ip, 16);
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (void *)s;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(a->port);
    memcpy(&v4->sin_addr, a->ip, 4);
    return sizeof *v4;
}

static int port_of(int fd, uint16_t *ret)
{
    struct sockaddr_storage s;
    socklen_t len = sizeof s;
    if (getsockname(fd, (struct sockaddr *)&s, &len) < 0)
        return -1;
    *ret = ntohs(s.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&s)->sin6_port
                                         : ((struct sockaddr_in *)(void *)&s)->sin_port);
    return 0;
}

static bool set_on(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* Listening at `at`; -1 with errno. */
static int listener(const struct sl_addr *at, bool shares, int backlog)
{
    struct sockaddr_storage s;
    socklen_t len = sockaddr_of(at, &s);
    int fd = socket(s.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* An IPv6 listener takes IPv4 as well, as libzmq's own do. */
    if (set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
        (!shares || set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
        (at->family != 6 || set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
        bind(fd, (struct sockaddr *)&s, len) == 0 && listen(fd, backlog) == 0)
        return fd;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return -1;
}

static int cannot_listen(const struct sl_addr *at)
{
    char text[SL_ADDR_TEXT];
    int reason = errno;
    sl_addr_format(text, at);
    if (reason == EADDRINUSE)
        return sl_fail(STARLING_EUNAVAIL,
                       "address %s is in use: stop what listens there, or listen on another port "
                       "(0 = any free one)",
                       text);
    if (reason == EADDRNOTAVAIL || reason == ENODEV)
        return sl_fail(STARLING_EUNAVAIL, "address %s is not one of this host's", text);
    return sl_fail(STARLING_EIO, "cannot listen on %s: %s", text, strerror(reason));
}

/* The first socket says that it shares its port only once it listens: else two processes that start at one moment would
 * both get it. What reaches the second before there is a filter is closed, and comes again. */
int sl_gate_open(struct sl_gate *g, const struct sl_addr *listen, const struct sl_log *log,
                 int *ret_listener, struct sl_addr *ret_bound)
{
    memset(g, 0, sizeof *g);
    g->sink = -1;
    g->log = log;
    g->all.tokens = SL_GATE_ALL_BURST;
    int fd = listener(listen, false, BACKLOG);
    if (fd < 0)
        return cannot_listen(listen);
    *ret_bound = *listen;
    if (port_of(fd, &ret_bound->port) < 0) {
        (void)close(fd);
        return sl_fail(STARLING_EIO, "cannot learn the port that was given: %s", strerror(errno));
    }
    *ret_listener = fd;
    if (set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        g->sink = listener(ret_bound, true, SINK_BACKLOG);
    if (g->sink >= 0)
        sl_gate_set(g, NULL, 0);
    if (g->sink < 0)
        sl_log(log, SL_INFO, "the kernel cannot hold off floods of connections here: %s",
               strerror(errno));
    return 0;
}

void sl_gate_close(struct sl_gate *g)
{
    if (g->sink >= 0)
        (void)close(g->sink);
    g->sink = -1;
}

/* ---- the filter ---------------------------------------------------------------------------- */

/* What a filter returns: the place of a socket in the order in which they began to listen. */
#define LET_IN 0
#define TURN_AWAY 1

struct rules {
    struct sock_filter code[RULES_MAX];
    unsigned short n;
};

static void put(struct rules *r, uint16_t code, unsigned k, uint8_t if_true, uint8_t if_false)
{
    r->code[r->n++] = (struct sock_filter){code, if_true, if_false, k};
}

static void put_chance(struct rules *r, unsigned shift)
{
    put(r, BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_RANDOM), 0, 0);
    put(r, BPF_ALU | BPF_AND | BPF_K, (1u << shift) - 1, 0, 0);
    put(r, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    put(r, BPF_RET | BPF_K, LET_IN, 0, 0);
    put(r, BPF_RET | BPF_K, TURN_AWAY, 0, 0);
}

static unsigned word(const uint8_t *p)
{
    return (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
}

/* If the packet is from this address: let it in by chance. Else: on to what follows. All jumps are within the rule. */
static void put_source(struct rules *r, const struct sl_gate_source *s)
{
    const bool v4 = s->family == 4;
    put(r, BPF_LD | BPF_B | BPF_ABS, (unsigned)SKF_NET_OFF, 0, 0);
    put(r, BPF_ALU | BPF_AND | BPF_K, 0xf0, 0, 0);
    put(r, BPF_JMP | BPF_JEQ | BPF_K, v4 ? 0x40 : 0x60, 0, v4 ? 7 : 9);
    put(r, BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_NET_OFF + (v4 ? 12 : 8)), 0, 0);
    put(r, BPF_JMP | BPF_JEQ | BPF_K, word(s->prefix), 0, v4 ? 5 : 7);
    if (!v4) {
        put(r, BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_NET_OFF + 12), 0, 0);
        put(r, BPF_JMP | BPF_JEQ | BPF_K, word(s->prefix + 4), 0, 5);
    }
    put_chance(r, s->shift);
}

/* IPv4 that came over an IPv6 socket is IPv4 on the wire, where the filter looks. */
static struct sl_gate_source source_of(const struct sl_addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct sl_gate_source s = {.family = a->family};
    if (a->family == 6 && memcmp(a->ip, mapped, sizeof mapped) == 0) {
        s.family = 4;
        memcpy(s.prefix, a->ip + sizeof mapped, 4);
    } else {
        memcpy(s.prefix, a->ip, a->family == 6 ? 8 : 4);
    }
    return s;
}

void sl_gate_set(struct sl_gate *g, const struct sl_addr *known, size_t n_known)
{
    struct rules r = {.n = 0};
    g->changed = false;
    if (g->closed)
        put(&r, BPF_RET | BPF_K, TURN_AWAY, 0, 0);
    for (size_t i = 0; i < SL_GATE_SOURCES; i++) {
        if (g->sources[i].shift > 0)
            put_source(&r, &g->sources[i]);
    }
    for (size_t i = 0; g->all.shift > 0 && i < n_known && i < KNOWN_MAX; i++) {
        const struct sl_gate_source s = source_of(&known[i]);
        put_source(&r, &s);
    }
    if (g->all.shift > 0)
        put_chance(&r, g->all.shift);
    put(&r, BPF_RET | BPF_K, LET_IN, 0, 0);
    struct sock_fprog program;
    memset(&program, 0, sizeof program); /* its padding goes to the kernel as well */
    program.len = r.n;
    program.filter = r.code;
    if (setsockopt(g->sink, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0)
        return;
    /* Without a filter the kernel would share connections out between the two. */
    int reason = errno;
    sl_gate_close(g);
    errno = reason;
}

/* ---- counting ------------------------------------------------------------------------------ */

static void earn(struct sl_gate_source *s, sl_usec now, int64_t per_second, int64_t burst)
{
    int64_t earned = (now - s->tokens_at) * per_second / SL_SEC(1);
    if (earned <= 0)
        return;
    s->tokens = s->tokens + earned > burst ? burst : s->tokens + earned;
    s->tokens_at = now;
}

/* Its place, or the one of whoever has used up least. */
static struct sl_gate_source *find(struct sl_gate *g, sl_usec now, const struct sl_addr *from)
{
    const struct sl_gate_source wanted = source_of(from);
    struct sl_gate_source *spare = NULL;
    for (size_t i = 0; i < SL_GATE_SOURCES; i++) {
        struct sl_gate_source *s = &g->sources[i];
        if (s->family == wanted.family && memcmp(s->prefix, wanted.prefix, sizeof s->prefix) == 0)
            return s;
        if (s->family != 0)
            earn(s, now, SL_GATE_PER_SECOND, SL_GATE_BURST);
        if (spare == NULL || (s->shift == 0 && (spare->shift > 0 || spare->tokens < s->tokens)))
            spare = s;
    }
    if (spare->shift > 0)
        return NULL; /* all are busy: it counts with the rest alone */
    *spare = wanted;
    spare->tokens = SL_GATE_BURST;
    spare->tokens_at = now;
    return spare;
}

static void note(struct sl_gate *g, sl_usec now, struct sl_gate_source *s, int64_t per_second,
                 int64_t burst)
{
    s->came++;
    if (s->shift > 0)
        return;
    earn(s, now, per_second, burst);
    if (s->tokens > 0) {
        s->tokens--;
        return;
    }
    s->shift = FIRST_SHIFT;
    s->came = s->calm = 0;
    g->n_busy++;
    g->changed = true;
    g->look_at = sl_earlier(g->look_at, sl_after(now, LOOK_EVERY));
}

static void say(struct sl_gate *g, sl_usec now, const struct sl_addr *from)
{
    char text[SL_ADDR_TEXT];
    if (now < g->said_at)
        return;
    g->said_at = sl_after(now, SAY_EVERY);
    sl_addr_format_host(text, from);
    sl_log(g->log, SL_WARNING,
           "%s connects too often (more than %d in a row, then %d a second); most of it is turned "
           "away",
           text, SL_GATE_BURST, SL_GATE_PER_SECOND);
}

void sl_gate_came(struct sl_gate *g, sl_usec now, const struct sl_addr *from, bool known)
{
    if (g->sink < 0)
        return;
    const unsigned busy = g->n_busy;
    struct sl_gate_source *s = from->family == 0 ? NULL : find(g, now, from);
    if (s != NULL)
        note(g, now, s, SL_GATE_PER_SECOND, SL_GATE_BURST);
    if (!known && (s == NULL || s->shift == 0))
        note(g, now, &g->all, SL_GATE_ALL_PER_SECOND, SL_GATE_ALL_BURST);
    if (g->n_busy > busy)
        say(g, now, from);
}

void sl_gate_shut(struct sl_gate *g, bool closed)
{
    g->changed |= closed != g->closed;
    g->closed = closed;
}

/* ---- looking ------------------------------------------------------------------------------- */

/* Much more than it may: half as much. For a while less than it may: twice as much, until all comes through. What comes by
 * chance differs from look to look, so there is room between the two. */
static void adapt(struct sl_gate *g, sl_usec now, struct sl_gate_source *s, unsigned per_second)
{
    const unsigned came = s->came * LOOKS_PER_SECOND;
    s->came = 0;
    if (s->shift == 0)
        return;
    s->calm = came < per_second ? s->calm + 1 : 0;
    if (came > 4 * per_second && s->shift < SHIFT_MAX) {
        s->shift++;
        g->changed = true;
    } else if (s->calm >= CALM_LOOKS) {
        s->shift--;
        s->calm = 0;
        g->changed = true;
    }
    if (s->shift > 0)
        return;
    g->n_busy--;
    s->tokens = per_second; /* a second's worth: who goes on is held again soon */
    s->tokens_at = now;
}

/* A reset costs neither end anything, and tells a member at once to try again. */
static void empty_the_sink(struct sl_gate *g)
{
    const struct linger none = {.l_onoff = 1};
    for (unsigned i = 0; i <= SINK_BACKLOG; i++) {
        int fd = accept4(g->sink, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        g->turned_away++;
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        (void)close(fd);
    }
}

bool sl_gate_turn(struct sl_gate *g, sl_usec now)
{
    if (g->sink < 0)
        return false;
    if (now >= g->empty_at) {
        empty_the_sink(g);
        g->empty_at = SL_NEVER;
    }
    if (now >= g->look_at) {
        for (size_t i = 0; i < SL_GATE_SOURCES; i++)
            adapt(g, now, &g->sources[i], SL_GATE_PER_SECOND);
        adapt(g, now, &g->all, SL_GATE_ALL_PER_SECOND);
        g->look_at = SL_NEVER;
    }
    /* Once more after a change: what came before it may still be in the sink. */
    if (g->n_busy > 0 || g->closed || g->changed) {
        g->look_at = g->look_at == SL_NEVER ? sl_after(now, LOOK_EVERY) : g->look_at;
        g->empty_at = g->empty_at == SL_NEVER ? sl_after(now, EMPTY_EVERY) : g->empty_at;
    }
    return g->changed;
}

sl_usec sl_gate_deadline(const struct sl_gate *g)
{
    return g->changed ? 0 : sl_earlier(g->look_at, g->empty_at);
}
