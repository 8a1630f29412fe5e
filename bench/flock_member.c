/* flock_member.c: a service that embeds a node and does what it is told, for tests/e2e/test_picks.py.
 * Its health is the verdict of a check of its own, a call every 50 ms.
 *
 * It may offer the service, and opens a view of it. Commands come as lines on stdin, answers go as
 * lines of JSON to stdout; times are microseconds of CLOCK_MONOTONIC, which all processes of a machine share.
 *      health passing|warning|critical    {"health":"critical","at_us":...}, the moment of the first
 *                                          verdict that says so
 *      flip N                              N verdicts that differ from the one before, the last of
 *                                          them critical; then {"flipped":N,"took_us":...}
 *      watch NAME                          {"watching":"NAME"} once that node was picked; from then
 *                                          on {"gone":"NAME","last_us":...} when it has not been
 *                                          picked for QUIET_US, with the moment of its last pick
 *      list                                {"list":{"NAME":"passing",...}} as the view has it
 * It leaves at the end of stdin. */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <starling.h>

enum {
    LOOK_US = 2000, /* between two looks: fifty processes share the machine's processors */
    PICKS = 60, /* in a look: one of ten instances is missed by all of them in one of 500 looks */
    QUIET_US = 400000, /* not picked for so long: gone. Two hundred looks */
    LIST_MAX = 256,
    CHECK_MS = 50,
    COMMAND_MAX = 256
};

static const char *const health_words[] = {"passing", "warning", "critical"};

struct member {
    starling_view *view;
    char watched[STARLING_NAME_MAX]; /* "": nobody */
    long long last_us;               /* when the watched one was picked last; 0 = not yet */

    pthread_mutex_t lock; /* between the commands and the thread of the check */
    enum starling_health wanted, said;
    unsigned flips, flips_left;
    long long flips_began_us;
};

static long long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "flock_member: %s: %s\n", what, starling_error_text());
    exit(EXIT_FAILURE);
}

/* The check, on a thread of the library's. */
static int verdict(void *context, char note[STARLING_NOTE_MAX])
{
    struct member *m = context;
    pthread_mutex_lock(&m->lock);
    if (m->flips_left > 0) {
        m->wanted = --m->flips_left % 2 == 0 ? STARLING_CRITICAL : STARLING_PASSING;
        if (m->flips_left == 0)
            printf("{\"flipped\":%u,\"took_us\":%lld}\n", m->flips, now_us() - m->flips_began_us);
    } else if (m->said != m->wanted) {
        printf("{\"health\":\"%s\",\"at_us\":%lld}\n", health_words[m->wanted], now_us());
    }
    m->said = m->wanted;
    int health = m->said;
    pthread_mutex_unlock(&m->lock);
    snprintf(note, STARLING_NOTE_MAX, "told so");
    return health;
}

static void want_health(struct member *m, const char *word)
{
    for (int h = STARLING_PASSING; h <= STARLING_CRITICAL; h++) {
        if (strcmp(word, health_words[h]) != 0)
            continue;
        pthread_mutex_lock(&m->lock);
        m->wanted = (enum starling_health)h;
        pthread_mutex_unlock(&m->lock);
        return;
    }
    fprintf(stderr, "flock_member: \"%s\" is no health\n", word);
    exit(EXIT_FAILURE);
}

static void want_flips(struct member *m, unsigned n)
{
    pthread_mutex_lock(&m->lock);
    m->flips = m->flips_left = n;
    m->flips_began_us = now_us();
    pthread_mutex_unlock(&m->lock);
}

static void list(struct member *m)
{
    static starling_instance all[LIST_MAX];
    size_t n;
    if (starling_view_list(m->view, LIST_MAX, all, &n) < 0)
        die("list");
    printf("{\"list\":{");
    for (size_t i = 0; i < n && i < LIST_MAX; i++)
        printf("%s\"%s\":\"%s\"", i > 0 ? "," : "", all[i].node, health_words[all[i].health]);
    printf("}}\n");
}

/* Pick a few times; tell when the watched one came first, and when it came last. */
static void look(struct member *m)
{
    starling_instance who;
    bool picked = false;
    for (int i = 0; i < PICKS && !picked; i++)
        picked = starling_pick(m->view, &who) == 0 && strcmp(who.node, m->watched) == 0;
    long long now = now_us();
    if (picked) {
        if (m->last_us == 0)
            printf("{\"watching\":\"%s\"}\n", m->watched);
        m->last_us = now;
    } else if (m->last_us != 0 && now - m->last_us > QUIET_US) {
        printf("{\"gone\":\"%s\",\"last_us\":%lld}\n", m->watched, m->last_us);
        m->watched[0] = '\0';
    }
}

static void obey(struct member *m, char *line)
{
    unsigned n;
    char word[STARLING_NAME_MAX];
    if (sscanf(line, "health %63s", word) == 1) {
        want_health(m, word);
    } else if (sscanf(line, "flip %u", &n) == 1 && n > 0) {
        want_flips(m, n);
    } else if (sscanf(line, "watch %63s", m->watched) == 1) {
        m->last_us = 0;
    } else if (strcmp(line, "list") == 0) {
        list(m);
    } else {
        fprintf(stderr, "flock_member: what is \"%s\"?\n", line);
        exit(EXIT_FAILURE);
    }
}

/* Take what stdin has; obey whole lines. False at its end. */
static bool read_commands(struct member *m)
{
    static char line[COMMAND_MAX];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, line + len, sizeof line - 1 - len);
    if (n <= 0)
        return false;
    len += (size_t)n;
    line[len] = '\0';
    for (char *end; (end = strchr(line, '\n')) != NULL;) {
        *end = '\0';
        obey(m, line);
        len -= (size_t)(end + 1 - line);
        memmove(line, end + 1, len + 1);
    }
    return len < sizeof line - 1;
}

static void serve(struct member *m)
{
    const struct timespec pause = {.tv_nsec = LOOK_US * 1000};
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        bool watching = m->watched[0] != '\0';
        if (ppoll(&in, 1, watching ? &pause : NULL, NULL) > 0 && !read_commands(m))
            return;
        if (m->watched[0] != '\0')
            look(m);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: flock_member NAME SERVICE [PORT]\n"
                        "PORT: offer the service there as well\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct member m = {.lock = PTHREAD_MUTEX_INITIALIZER};
    starling_node *node;
    starling_options options = {.name = argv[1]};
    if (starling_open(&options, &node) < 0)
        die("open");
    if (argc == 4) {
        starling_service service = {.name = argv[2],
                                    .port = (unsigned)atoi(argv[3]),
                                    .check = STARLING_CHECK_CALL,
                                    .check_call = verdict,
                                    .check_context = &m,
                                    .check_interval_ms = CHECK_MS,
                                    .check_fall = 1};
        if (starling_register(node, &service, NULL) < 0)
            die("register");
    }
    starling_view_options how = {.strategy =
                                     STARLING_WEIGHTED_RANDOM}; /* no tickets to give back */
    if (starling_view_open(node, argv[2], &how, &m.view) < 0)
        die("view");
    printf("{\"open\":\"%s\"}\n", argv[1]);
    serve(&m);
    starling_close(node);
    return EXIT_SUCCESS;
}
