/* yardstick.c: what this machine needs for work like a node's, without any of ours; for flock.py.
 *
 *     yardstick wake HZ           HZ times a second a message goes over TCP under CURVE to a socket of the same process,
 *                                 and comes back: what a node does at rest, wakes of as many threads included
 *     yardstick admit HZ          the same, each time through a new connection: what a node does for strangers
 *     yardstick START_NS FILE     a program of a node's libraries that began at START_NS of CLOCK_MONOTONIC, makes
 *                                 keys, a file and a socket that listens, and ends
 *
 * The first two answer each line on stdin with one line of JSON: "rounds" since the line before and "cpu_us", what the
 * process took of a processor meanwhile, over all threads. They leave at the end of stdin. The third says "main_ms" and
 * "done_ms", milliseconds since START_NS. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { MESSAGE = 200, KEY_TEXT = 41 };

static void *context, *server, *client;
static char endpoint[256], server_public[KEY_TEXT], server_secret[KEY_TEXT];
static bool anew;

static double clock_us(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "yardstick: %s: %s\n", what, zmq_strerror(errno));
    exit(EXIT_FAILURE);
}

static void set_key(void *socket, int option, const char *key)
{
    must(zmq_setsockopt(socket, option, key, KEY_TEXT) == 0, "a key");
}

static void listen_somewhere(void)
{
    const int yes = 1;
    size_t len = sizeof endpoint;
    context = zmq_ctx_new();
    must(context != NULL, "a context");
    must(zmq_curve_keypair(server_public, server_secret) == 0, "keys");
    server = zmq_socket(context, ZMQ_ROUTER);
    must(server != NULL, "a socket");
    must(zmq_setsockopt(server, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0, "CURVE");
    set_key(server, ZMQ_CURVE_SECRETKEY, server_secret);
    must(zmq_bind(server, "tcp://127.0.0.1:*") == 0, "bind");
    must(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &len) == 0, "endpoint");
}

static void dial(void)
{
    static char public[KEY_TEXT], secret[KEY_TEXT]; /* for all connections, as a node's */
    const int at_once = 0;
    if (public[0] == '\0')
        must(zmq_curve_keypair(public, secret) == 0, "keys");
    client = zmq_socket(context, ZMQ_DEALER);
    must(client != NULL, "a socket");
    must(zmq_setsockopt(client, ZMQ_LINGER, &at_once, sizeof at_once) == 0, "linger");
    set_key(client, ZMQ_CURVE_SERVERKEY, server_public);
    set_key(client, ZMQ_CURVE_PUBLICKEY, public);
    set_key(client, ZMQ_CURVE_SECRETKEY, secret);
    must(zmq_connect(client, endpoint) == 0, "connect");
}

static void begin_round(void)
{
    const char message[MESSAGE] = {0};
    if (client == NULL)
        dial();
    must(zmq_send(client, message, sizeof message, ZMQ_DONTWAIT) >= 0, "send");
}

/* What the server hears goes back: who said it, and what. */
static void echo(void)
{
    char who[256], message[MESSAGE];
    const int len = zmq_recv(server, who, sizeof who, 0);
    const int n = zmq_recv(server, message, sizeof message, 0);
    must(len >= 0 && n >= 0, "hear");
    must(zmq_send(server, who, (size_t)len, ZMQ_SNDMORE) >= 0 &&
             zmq_send(server, message, (size_t)n, 0) >= 0,
         "echo");
}

static void end_round(void)
{
    char message[MESSAGE];
    must(zmq_recv(client, message, sizeof message, 0) >= 0, "hear the echo");
    if (!anew)
        return;
    (void)zmq_close(client);
    client = NULL;
}

/* At uneven times, or yardsticks would come in step and keep the caches warm for each other. Rounds that are due while one
 * lasts are left out: what a machine does late, it does not do twice. */
static int pace(double hz)
{
    double due = clock_us(CLOCK_MONOTONIC), cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    unsigned rounds = 0;
    bool under_way = false;
    char line[16];
    for (;;) {
        double now = clock_us(CLOCK_MONOTONIC);
        if (now >= due) {
            if (!under_way)
                begin_round();
            under_way = true;
            while (due <= now)
                due += 1e6 / hz * (0.5 + randombytes_uniform(1000) / 1e3);
        }
        zmq_pollitem_t items[] = {{.fd = STDIN_FILENO, .events = ZMQ_POLLIN},
                                  {.socket = server, .events = ZMQ_POLLIN},
                                  {.socket = client, .events = ZMQ_POLLIN}};
        must(zmq_poll(items, client != NULL ? 3 : 2, (long)((due - now) / 1e3) + 1) >= 0, "poll");
        if (items[0].revents != 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                break;
            const double spent = clock_us(CLOCK_PROCESS_CPUTIME_ID);
            printf("{\"rounds\":%u,\"cpu_us\":%.1f}\n", rounds, spent - cpu);
            rounds = 0;
            cpu = spent;
        }
        if (items[1].revents != 0)
            echo();
        if (client != NULL && items[2].revents != 0) {
            end_round();
            under_way = false;
            rounds++;
        }
    }
    if (client != NULL)
        (void)zmq_close(client);
    (void)zmq_close(server);
    (void)zmq_ctx_term(context);
    return EXIT_SUCCESS;
}

/* Written beside it and renamed, and read. */
static void keep(const char *file)
{
    char beside[512], bytes[4096];
    randombytes_buf(bytes, sizeof bytes);
    (void)snprintf(beside, sizeof beside, "%s.new", file);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes, beside);
    (void)close(fd);
    must(rename(beside, file) == 0, file);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes, file);
    (void)close(fd);
}

static int start(double started_us, const char *file)
{
    const double main_us = clock_us(CLOCK_MONOTONIC) - started_us;
    must(sodium_init() >= 0, "sodium");
    keep(file);
    listen_somewhere();
    printf("{\"main_ms\":%.3f,\"done_ms\":%.3f}\n", main_us / 1e3,
           (clock_us(CLOCK_MONOTONIC) - started_us) / 1e3);
    (void)zmq_close(server);
    (void)zmq_ctx_term(context);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 3 && atof(argv[1]) > 0)
        return start(atof(argv[1]) / 1e3, argv[2]);
    anew = argc == 3 && strcmp(argv[1], "admit") == 0;
    if (argc != 3 || (!anew && strcmp(argv[1], "wake") != 0) || atof(argv[2]) <= 0) {
        fprintf(stderr, "usage: yardstick wake|admit HZ | START_NS FILE\n");
        return 2;
    }
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    listen_somewhere();
    return pace(atof(argv[2]));
}
