/* flock_member.c: a service that embeds a node and does what it is told, for tests/e2e/test_picks.py.
 *
 * It may offer the service, and opens a view of it. Commands come as lines on stdin, answers go as
 * lines of JSON to stdout; times are microseconds of CLOCK_MONOTONIC, which all processes of a machine share.
 *      health passing|warning|critical    {"health":"critical","at_us":...} when it was said
 *      flip N HZ                           N changes of health in turn, HZ a second, ends critical
 *      watch NAME                          {"watching":"NAME"} once that node was picked; from then
 *                                          on {"gone":"NAME","last_us":...} when it has not been
 *                                          picked for QUIET_US, with the moment of its last pick
 *      list                                {"list":{"NAME":"passing",...}} as the view has it
 * It leaves at the end of stdin. */
#include <poll.h>
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
    COMMAND_MAX = 256
};

static const char *const health_words[] = {"passing", "warning", "critical"};

struct member {
    starling_view *view;
    starling_registration *offer;    /* NULL: it offers nothing */
    char watched[STARLING_NAME_MAX]; /* "": nobody */
    long long last_us;               /* when the watched one was picked last; 0 = not yet */
    unsigned flips;                  /* still to come */
    long long flip_at_us, flip_every_us;
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

static void set_health(struct member *m, enum starling_health health)
{
    if (m->offer == NULL || starling_set_health(m->offer, health, "told so") < 0)
        die("health");
}

static void say_health(struct member *m, const char *word)
{
    for (int h = STARLING_PASSING; h <= STARLING_CRITICAL; h++) {
        if (strcmp(word, health_words[h]) != 0)
            continue;
        long long at = now_us();
        set_health(m, (enum starling_health)h);
        printf("{\"health\":\"%s\",\"at_us\":%lld}\n", word, at);
        return;
    }
    fprintf(stderr, "flock_member: \"%s\" is no health\n", word);
    exit(EXIT_FAILURE);
}

/* One more flip, and when the next one is due. The last one is to critical. */
static void flip(struct member *m)
{
    m->flips--;
    set_health(m, m->flips % 2 == 0 ? STARLING_CRITICAL : STARLING_PASSING);
    m->flip_at_us += m->flip_every_us;
    if (m->flips == 0)
        printf("{\"flipped\":true,\"at_us\":%lld}\n", now_us());
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
    unsigned n, hz;
    char word[STARLING_NAME_MAX];
    if (sscanf(line, "health %63s", word) == 1) {
        say_health(m, word);
    } else if (sscanf(line, "flip %u %u", &n, &hz) == 2 && n > 0 && hz > 0) {
        m->flips = n;
        m->flip_every_us = 1000000 / hz;
        m->flip_at_us = now_us();
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

static int wait_us(const struct member *m)
{
    long long wait = -1, now = now_us();
    if (m->watched[0] != '\0')
        wait = LOOK_US;
    if (m->flips > 0) {
        long long until = m->flip_at_us > now ? m->flip_at_us - now : 0;
        wait = wait < 0 || until < wait ? until : wait;
    }
    return (int)wait;
}

static void serve(struct member *m)
{
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        int wait = wait_us(m);
        struct timespec t = {.tv_nsec = (long)wait * 1000};
        if (ppoll(&in, 1, wait < 0 ? NULL : &t, NULL) > 0 && !read_commands(m))
            return;
        if (m->flips > 0 && now_us() >= m->flip_at_us)
            flip(m);
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
    struct member m = {0};
    starling_node *node;
    starling_options options = {.name = argv[1]};
    if (starling_open(&options, &node) < 0)
        die("open");
    if (argc == 4) {
        starling_service service = {.name = argv[2], .port = (unsigned)atoi(argv[3])};
        if (starling_register(node, &service, &m.offer) < 0)
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
