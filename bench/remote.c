/* remote.c: the same question asked of Redis and of etcd over loopback, with nobody else asking.
 *
 * Servers are started here, on free ports and in a directory of their own below TMPDIR, and ended by
 * their process ids. Redis is asked in its own protocol, etcd through its JSON gateway, each over one
 * connection that is kept. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/pick_parts.h"

enum { LOOKUPS = 10000, ANSWER_MAX = 4096, TRIES = 400, PAUSE_NS = 25000000 };

struct answer {
    char bytes[ANSWER_MAX];
    size_t len;
};

/* ---- servers -------------------------------------------------------------------------------- */

static bool is_installed(const char *name)
{
    char path[512];
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)len, at, name);
        if (access(path, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static unsigned free_port(void)
{
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
             getsockname(fd, (struct sockaddr *)&addr, &len) == 0,
         "finding a free port");
    close(fd);
    return ntohs(addr.sin_port);
}

static pid_t start(char *const argv[])
{
    fflush(stdout);
    pid_t pid = fork();
    must(pid >= 0, "a child");
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive us, however we end */
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    execvp(argv[0], argv);
    _exit(127);
}

static void end(pid_t pid)
{
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

/* A connection, as soon as somebody listens; -1 when the server ended or never did. */
static int reach(unsigned port, pid_t server)
{
    struct sockaddr_in addr = loopback(port);
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    const struct timeval patience = {.tv_sec = 10}; /* with one answer */
    for (int i = 0; i < TRIES && waitpid(server, NULL, WNOHANG) == 0; i++) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            return fd;
        }
        close(fd);
        nanosleep(&pause, NULL);
    }
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* ---- asking --------------------------------------------------------------------------------- */

typedef bool is_whole(const struct answer *a);

/* "$13\r\n10.0.0.7:8080\r\n", or "+OK\r\n". */
static bool resp_is_whole(const struct answer *a)
{
    const char *line = strstr(a->bytes, "\r\n");
    if (line == NULL)
        return false;
    size_t head = (size_t)(line + 2 - a->bytes);
    return a->bytes[0] != '$' || a->len >= head + strtoul(a->bytes + 1, NULL, 10) + 2;
}

static bool http_is_whole(const struct answer *a)
{
    static const char field[] = "content-length:";
    const char *body = strstr(a->bytes, "\r\n\r\n");
    if (body == NULL)
        return false;
    size_t head = (size_t)(body + 4 - a->bytes);
    for (const char *line = a->bytes; line < body; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, field, sizeof field - 1) == 0)
            return a->len >= head + strtoul(line + sizeof field - 1, NULL, 10);
    }
    return strstr(body, "\r\n0\r\n\r\n") != NULL; /* in chunks */
}

/* False: the connection broke. */
static bool ask(int fd, const char *question, is_whole *whole, struct answer *ret)
{
    size_t len = strlen(question);
    ret->len = 0;
    if (write(fd, question, len) != (ssize_t)len)
        return false;
    do {
        ssize_t n = read(fd, ret->bytes + ret->len, sizeof ret->bytes - 1 - ret->len);
        if (n <= 0)
            return false;
        ret->len += (size_t)n;
        ret->bytes[ret->len] = '\0';
    } while (!whole(ret));
    return true;
}

/* Median microseconds of a lookup; prints it and the slow ones. 0: it did not work. */
static double look_up(int fd, const char *name, const char *put, const char *get, is_whole *whole,
                      const char *found)
{
    static double took[LOOKUPS];
    static struct answer answer;
    if (!ask(fd, put, whole, &answer))
        return 0;
    for (unsigned i = 0; i < LOOKUPS; i++) {
        double begin = wall_ns();
        if (!ask(fd, get, whole, &answer) || strstr(answer.bytes, found) == NULL)
            return 0;
        took[i] = (wall_ns() - begin) / 1000;
    }
    double median = quantile(took, LOOKUPS, 0.5);
    const struct baseline baseline[] = {{"p99_us", quantile(took, LOOKUPS, 0.99)}};
    report(&(struct figure){.bench = "remote",
                            .what = name,
                            .value = median,
                            .unit = "us",
                            .bound = NO_BOUND,
                            .baseline = baseline,
                            .n_baseline = 1});
    return median;
}

/* ---- both ----------------------------------------------------------------------------------- */

static const char redis_name[] = "Redis GET over loopback, median";
static const char etcd_name[] = "etcd range over loopback (JSON gateway), median";

static double ask_redis(const char *dir)
{
    char port[8];
    unsigned number = free_port();
    snprintf(port, sizeof port, "%u", number);
    char *argv[] = {
        "redis-server",         "--port",       port, "--bind", "127.0.0.1", "--save", "", "--dir",
        (char *)(uintptr_t)dir, "--appendonly", "no", NULL};
    if (!is_installed(argv[0])) {
        not_measured("remote", redis_name, "redis-server is not installed");
        return 0;
    }
    pid_t server = start(argv);
    int fd = reach(number, server);
    double us =
        fd < 0 ? 0
               : look_up(fd, redis_name, "*3\r\n$3\r\nSET\r\n$3\r\nweb\r\n$13\r\n10.0.0.7:8080\r\n",
                         "*2\r\n$3\r\nGET\r\n$3\r\nweb\r\n", resp_is_whole, "10.0.0.7:8080");
    if (us <= 0)
        not_measured("remote", redis_name, "redis-server did not answer");
    close(fd);
    end(server);
    return us;
}

/* A request that posts `body`. */
static void write_post(char *out, size_t cap, const char *path, const char *body)
{
    snprintf(out, cap,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             path, strlen(body), body);
}

static double ask_etcd(const char *dir)
{
    char clients[64], peers[64], cluster[96], put[256], get[256];
    unsigned number = free_port();
    snprintf(clients, sizeof clients, "http://127.0.0.1:%u", number);
    snprintf(peers, sizeof peers, "http://127.0.0.1:%u", free_port());
    snprintf(cluster, sizeof cluster, "default=%s", peers);
    char *argv[] = {"etcd",
                    "--data-dir",
                    (char *)(uintptr_t)dir,
                    "--listen-client-urls",
                    clients,
                    "--advertise-client-urls",
                    clients,
                    "--listen-peer-urls",
                    peers,
                    "--initial-advertise-peer-urls",
                    peers,
                    "--initial-cluster",
                    cluster,
                    NULL};
    if (!is_installed(argv[0])) {
        not_measured("remote", etcd_name, "etcd-server is not installed");
        return 0;
    }
    pid_t server = start(argv);
    int fd = reach(number, server);
    /* In base64: web, 10.0.0.7:8080. */
    write_post(put, sizeof put, "/v3/kv/put",
               "{\"key\":\"d2Vi\",\"value\":\"MTAuMC4wLjc6ODA4MA==\"}");
    write_post(get, sizeof get, "/v3/kv/range", "{\"key\":\"d2Vi\"}");
    double us =
        fd < 0 ? 0 : look_up(fd, etcd_name, put, get, http_is_whole, "MTAuMC4wLjc6ODA4MA==");
    if (us <= 0)
        not_measured("remote", etcd_name, "etcd did not answer");
    close(fd);
    end(server);
    return us;
}

void bench_remote(struct lookups *ret)
{
    char dir[256];
    const char *below = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/starling-bench-XXXXXX", below != NULL ? below : "/tmp");
    must(mkdtemp(dir) != NULL, "a temporary directory");
    ret->redis_us = ask_redis(dir);
    ret->etcd_us = ask_etcd(dir);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
