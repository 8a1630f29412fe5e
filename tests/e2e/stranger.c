/* stranger.c: connections of people who do not belong here, for tests/e2e/test_admission.py.
 *
 *     stranger KIND ADDRESS PORT COUNT RATE [FROM [FLOCK DOOR]]
 *
 * Makes COUNT connections, RATE a second, with plain sockets (from the address FROM, or from N addresses in turn: FROM+N), does on each what KIND
 * says, and keeps it until the other end closes. CURVE (ZeroMQ RFC 26) is written out here, since libzmq would not
 * stop in the middle. FLOCK and DOOR (hex) are what a bundle holds, for kinds that know the door.
 *
 *     silent     nothing is ever sent
 *     junk       random bytes, at times with a beginning that reads like ZMTP
 *     greeting   a greeting that asks for CURVE
 *     wrong      and a HELLO for another server key
 *     hello      a right HELLO, and nothing after the WELCOME
 *     mute       the whole handshake, and nothing after it
 *     noise      the whole handshake, then random bytes in place of a hello
 *     forged     the whole handshake, then a hello with a certificate that nobody signed
 *     large      the whole handshake, then a message of 4 KiB
 *     long       the whole handshake, then the announcement of a message of 2^40 bytes
 *     named      the whole handshake, every other time under a routing id that libzmq would itself soon give, had nobody
 *                seeded its counter; the others bring none, and so take it nearer to that
 *     posing     such a routing id, and random bytes in place of a hello
 *
 * At the end, or at SIGTERM, one line of JSON: "tried", "connected", "refused" (at connect), "welcomed" (a WELCOME
 * came back), "ready" (handshakes done), "closed" (by the other end), "open" (still), "seconds". */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { GREETING = 64, HELLO = 2 + 200, WELCOME = 2 + 168, EVENTS = 64, LAST_LOOK_MS = 300, FDS = 16384 };

enum kind {
    SILENT,
    JUNK,
    GREET,
    WRONG,
    HELLO_ONLY,
    MUTE,
    NOISE,
    FORGED,
    LARGE,
    LONG,
    NAMED,
    POSING,
    N_KINDS
};
static const char *const kind_names[N_KINDS] = {"silent", "junk", "greeting", "wrong",
                                                "hello",  "mute", "noise",    "forged",
                                                "large",  "long", "named",    "posing"};

enum stage { CONNECTING, GREETED, WELCOMING, READYING, DONE };

struct visitor {
    int fd;
    enum stage stage;
    unsigned nth;
    uint8_t in[GREETING + WELCOME + 512];
    size_t n_in;
    uint8_t secret[32], public[32], shared[32];
};

static enum kind kind;
static struct sockaddr_in to, from;
static unsigned n_from = 1;
static uint8_t flock_id[16], door_public[32];
static uint8_t own_secret[32], own_public[32]; /* the long-term CURVE key: one for all */
static uint32_t first_guess; /* where libzmq's counter starts when nobody seeded rand() */
static unsigned tried, connected, refused, welcomed, ready, closed_by_peer, n_open;
static volatile sig_atomic_t stop;
static int epoll;

static void on_term(int number)
{
    (void)number;
    stop = 1;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "stranger: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void put64(uint8_t *p, uint64_t x)
{
    for (int i = 7; i >= 0; i--, x >>= 8)
        p[i] = (uint8_t)x;
}

/* ---- what the flock's bundle gives away ---------------------------------------------------- */

static void know_the_door(const char *flock, const char *door_hex)
{
    static const char domain[] = "starling/1 door";
    uint8_t door[32], text[sizeof domain + sizeof flock_id], secret[32];
    char name[128];
    size_t len;
    if (sodium_hex2bin(door, sizeof door, door_hex, strlen(door_hex), NULL, &len, NULL) != 0 ||
        len != sizeof door)
        die("the door is no hex of 32 bytes");
    int n = snprintf(name, sizeof name, "starling/1 flock%c%s", 0, flock);
    crypto_generichash(flock_id, sizeof flock_id, (const uint8_t *)name, (unsigned long long)n,
                       NULL, 0);
    memcpy(text, domain, sizeof domain);
    memcpy(text + sizeof domain, flock_id, sizeof flock_id);
    crypto_generichash(secret, sizeof secret, text, sizeof text, door, sizeof door);
    crypto_scalarmult_base(door_public, secret);
}

/* ---- the handshake, RFC 26 ----------------------------------------------------------------- */

static void nonce_of(uint8_t nonce[24], const char *prefix, uint64_t counter)
{
    memcpy(nonce, prefix, 16);
    put64(nonce + 16, counter);
}

static bool put(const struct visitor *v, const void *bytes, size_t len)
{
    return send(v->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static void greet(const struct visitor *v)
{
    uint8_t greeting[GREETING] = {0xff};
    greeting[9] = 0x7f;
    greeting[10] = 3;
    memcpy(greeting + 12, "CURVE", 5);
    (void)put(v, greeting, sizeof greeting);
}

static void say_hello(struct visitor *v)
{
    uint8_t hello[HELLO] = {4, 200, 5, 'H', 'E', 'L', 'L', 'O', 1, 0}, nonce[24], zeros[64] = {0},
            other[32];
    const uint8_t *server = door_public;
    if (kind == WRONG) {
        randombytes_buf(other, sizeof other);
        server = other;
    }
    crypto_box_keypair(v->public, v->secret);
    memcpy(hello + 82, v->public, 32);
    put64(hello + 114, 1);
    nonce_of(nonce, "CurveZMQHELLO---", 1);
    if (crypto_box_easy(hello + 122, zeros, sizeof zeros, nonce, server, v->secret) != 0)
        die("HELLO");
    (void)put(v, hello, sizeof hello);
}

/* Metadata: what kind of socket this is, and the routing id that it brings. */
static size_t put_metadata(const struct visitor *v, uint8_t *p)
{
    static const uint8_t type[] = "\013Socket-Type\0\0\0\6DEALER\010Identity\0\0\0";
    size_t len = sizeof type - 1;
    memcpy(p, type, len);
    const bool brings = (kind == NAMED && v->nth % 2 == 0) || kind == POSING;
    p[len++] = brings ? 5 : 0;
    if (brings) {
        uint32_t id = first_guess + 1 + randombytes_uniform(256);
        p[len++] = 0;
        for (int i = 0; i < 4; i++)
            p[len++] = (uint8_t)(id >> (24 - 8 * i)); /* big-endian, as libzmq writes its counter */
    }
    return len;
}

static void initiate(struct visitor *v, const uint8_t *welcome)
{
    uint8_t plain[144], nonce[24], vouch[64], box[512], message[700] = {6};
    memcpy(nonce, "WELCOME-", 8);
    memcpy(nonce + 8, welcome + 10, 16);
    if (crypto_box_open_easy(plain, welcome + 26, 144, nonce, door_public, v->secret) != 0)
        return;
    welcomed++;
    if (kind == HELLO_ONLY)
        return;
    const uint8_t *server = plain, *cookie = plain + 32;
    if (crypto_box_beforenm(v->shared, server, v->secret) != 0)
        return;

    memcpy(box, own_public, 32);
    randombytes_buf(box + 32, 16);
    memcpy(vouch, v->public, 32);
    memcpy(vouch + 32, door_public, 32);
    memcpy(nonce, "VOUCH---", 8);
    memcpy(nonce + 8, box + 32, 16);
    if (crypto_box_easy(box + 48, vouch, sizeof vouch, nonce, server, own_secret) != 0)
        return;
    size_t len = 128 + put_metadata(v, box + 128), body = 9 + 96 + 8 + 16 + len;
    put64(message + 1, body);
    memcpy(message + 9, "\010INITIATE", 9);
    memcpy(message + 18, cookie, 96);
    put64(message + 114, 2);
    nonce_of(nonce, "CurveZMQINITIATE", 2);
    (void)crypto_box_easy_afternm(message + 122, box, len, nonce, v->shared);
    (void)put(v, message, 9 + body);
}

/* ---- what is said after it ----------------------------------------------------------------- */

/* One message of `len` bytes at plain + 1. */
static void say(const struct visitor *v, uint8_t *plain, size_t len)
{
    static uint8_t message[8192];
    uint8_t nonce[24];
    const size_t body = 8 + 8 + 16 + 1 + len;
    size_t at = 0;
    message[at++] = body > 255 ? 2 : 0;
    if (body > 255) {
        put64(message + at, body);
        at += 8;
    } else {
        message[at++] = (uint8_t)body;
    }
    memcpy(message + at, "\7MESSAGE", 8);
    put64(message + at + 8, 3);
    nonce_of(nonce, "CurveZMQMESSAGEC", 3);
    plain[0] = 0;
    (void)crypto_box_easy_afternm(message + at + 16, plain, 1 + len, nonce, v->shared);
    (void)put(v, message, at + body);
}

/* Well formed to the last byte, but its certificate is signed by chance. */
static size_t forge(uint8_t *m1)
{
    static const uint8_t name[] = "\010stranger";
    uint8_t *p = m1, *cert;
    randombytes_buf(m1, 512);
    p[0] = p[1] = p[2] = 1;
    memset(p + 19, 0, 16); /* whoever answers */
    cert = p + 45;
    p = cert;
    *p = 1;
    memcpy(p + 25, flock_id, 16);
    p += 41 + 32;
    *p++ = 0;
    put64(p, 0);
    put64(p + 8, 4102444800);
    memcpy(p + 16, name, sizeof name - 1);
    p += 16 + sizeof name - 1;
    *p++ = 0;
    *p++ = 0;
    p += 64;
    m1[43] = (uint8_t)((p - cert) >> 8);
    m1[44] = (uint8_t)(p - cert);
    return (size_t)(p - m1) + 64;
}

static void speak(const struct visitor *v)
{
    static const uint8_t endless[] = {2, 0,   0,   1,   0,   0,   0,   0,  0,
                                      7, 'M', 'E', 'S', 'S', 'A', 'G', 'E'};
    uint8_t plain[1 + 4096];
    switch (kind) {
    case NOISE:
    case POSING:
        randombytes_buf(plain, 300);
        say(v, plain, 1 + randombytes_uniform(298));
        break;
    case FORGED:
        say(v, plain, forge(plain + 1));
        break;
    case LARGE:
        say(v, plain, 4096);
        break;
    case LONG:
        (void)put(v, endless, sizeof endless);
        break;
    case SILENT:
    case JUNK:
    case GREET:
    case WRONG:
    case HELLO_ONLY:
    case MUTE:
    case NAMED:
    case N_KINDS:
        break;
    }
}

static void throw_junk(const struct visitor *v)
{
    uint8_t junk[400];
    size_t len = 1 + randombytes_uniform(sizeof junk);
    randombytes_buf(junk, sizeof junk);
    switch (v->nth % 4) {
    case 1: /* half a greeting, then anything */
        memcpy(junk, "\xff\0\0\0\0\0\0\0\1\x7f\3\0CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 33);
        break;
    case 2: /* a whole greeting, then anything */
        greet(v);
        break;
    case 3: /* and a command that is longer than memory */
        greet(v);
        memcpy(junk, "\6\0\0\xff\xff\xff\xff\xff\xff", 9);
        break;
    default:
        break;
    }
    (void)put(v, junk, len);
}

/* ---- connections --------------------------------------------------------------------------- */

static struct visitor *here[FDS]; /* by descriptor */

static void end(struct visitor *v)
{
    here[v->fd] = NULL;
    (void)close(v->fd);
    n_open--;
    free(v);
}

static void begin(unsigned nth)
{
    struct visitor *v = calloc(1, sizeof *v);
    const int one = 1;
    tried++;
    if (v == NULL)
        die("memory");
    v->nth = nth;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (v->fd < 0 || v->fd >= FDS)
        die("socket");
    here[v->fd] = v;
    n_open++;
    (void)setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in mine = from;
    mine.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + nth % n_from);
    if (from.sin_family != 0 && bind(v->fd, (struct sockaddr *)&mine, sizeof mine) < 0)
        die("bind");
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = v};
    if ((connect(v->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &want) < 0) {
        refused++;
        end(v);
    }
}

static void arrived(struct visitor *v)
{
    v->stage = GREETED;
    connected++;
    if (kind == JUNK)
        throw_junk(v);
    else if (kind != SILENT)
        greet(v);
    if (kind >= WRONG)
        say_hello(v);
}

/* Everything has its fixed length but READY, after which we do not listen any more. */
static void heard(struct visitor *v)
{
    if (kind < WRONG)
        return;
    if (v->stage == GREETED && v->n_in >= GREETING)
        v->stage = WELCOMING;
    if (v->stage == WELCOMING && v->n_in >= GREETING + WELCOME) {
        v->stage = READYING;
        initiate(v, v->in + GREETING);
    }
    if (v->stage == READYING && v->n_in > GREETING + WELCOME + 8 &&
        memcmp(v->in + GREETING + WELCOME + 2, "\5READY", 6) == 0) {
        v->stage = DONE;
        ready++;
        speak(v);
    }
}

static void look(struct visitor *v, uint32_t events)
{
    if (v->stage == CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        if ((events & (EPOLLERR | EPOLLHUP)) != 0 &&
            (getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0)) {
            refused++;
            end(v);
            return;
        }
        arrived(v);
    }
    for (;;) {
        uint8_t scrap[1024];
        const size_t room = sizeof v->in - v->n_in;
        ssize_t n =
            recv(v->fd, room > 0 ? v->in + v->n_in : scrap, room > 0 ? room : sizeof scrap, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            closed_by_peer++;
            end(v);
            return;
        }
        v->n_in += room > 0 ? (size_t)n : 0;
        heard(v);
    }
}

static void run(unsigned count, double rate)
{
    struct epoll_event events[EVENTS];
    const double start = now_s();
    double last = start;
    while (!stop && (tried < count || (n_open > 0 && now_s() - last < LAST_LOOK_MS / 1e3))) {
        /* What could not be made in time is not made up for at once: never more than 20 in a row. */
        unsigned due = (unsigned)((now_s() - start) * rate) + 1;
        for (unsigned i = 0; i < 20 && tried < due && tried < count; i++, last = now_s())
            begin(tried);
        int n = epoll_wait(epoll, events, EVENTS, tried < count ? 1 : 20);
        for (int i = 0; i < n; i++)
            look(events[i].data.ptr, events[i].events);
    }
    printf("{\"kind\":\"%s\",\"tried\":%u,\"connected\":%u,\"refused\":%u,\"welcomed\":%u,"
           "\"ready\":%u,\"closed\":%u,"
           "\"open\":%u,\"seconds\":%.3f}\n",
           kind_names[kind], tried, connected, refused, welcomed, ready, closed_by_peer, n_open,
           last - start);
    for (int fd = 0; fd < FDS; fd++) {
        if (here[fd] != NULL)
            end(here[fd]);
    }
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    /* As libzmq draws it. The first draw is the ZAP handler's, the second the listener's. */
    for (int i = 0; i < 2; i++) {
        uint32_t low = (uint32_t)rand(), high = (uint32_t)rand();
        first_guess = high << 31 | low;
    }
    while (argc > 1 && kind < N_KINDS && strcmp(argv[1], kind_names[kind]) != 0)
        kind++;
    if (argc < 6 || kind == N_KINDS || (kind > WRONG && argc < 9) || sodium_init() < 0) {
        fprintf(stderr, "usage: stranger KIND ADDRESS PORT COUNT RATE [FROM [FLOCK DOOR]]\n");
        return 2;
    }
    char *plus = argc > 6 ? strchr(argv[6], '+') : NULL;
    if (plus != NULL) {
        n_from = (unsigned)atoi(plus + 1);
        *plus = '\0';
    }
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1 ||
        (argc > 6 && inet_pton(AF_INET, argv[6], &from.sin_addr) != 1))
        die("address");
    n_from += n_from == 0;
    if (argc > 6)
        from.sin_family = AF_INET;
    if (argc > 8)
        know_the_door(argv[7], argv[8]);
    crypto_box_keypair(own_public, own_secret);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)signal(SIGTERM, on_term);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll");
    run((unsigned)atoi(argv[4]), atof(argv[5]));
    return EXIT_SUCCESS;
}
