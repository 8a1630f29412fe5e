/* starling.c: look inside a node, and change it, over its debug socket. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/ca.h"
#include "cli/client.h"
#include "cli/common.h"
#include "cli/print.h"
#include "cli/run.h"

static const char usage[] =
    "Usage: starling [OPTION]... COMMAND\n"
    "Look inside a node of the flock, or change it, over its debug socket.\n\n"
    "  members              who is in the flock\n"
    "  services             what they offer\n"
    "  info [NODE]          a node and its counters, or what is known of a member\n"
    "  watch [SERVICE]      changes as they happen\n"
    "  pick SERVICE         one instance for a request, as host:port\n"
    "  weight SERVICE N     change the share of a service of one node, 0 to 1000; base gives it "
    "back\n"
    "  drain                no new requests for any service of one node\n"
    "  leave                one node says goodbye and stops\n"
    "  run ... -- COMMAND   offer a program as a service (see starling run --help)\n"
    "  ca ...               certificates for the nodes of a flock (see starling ca --help)\n"
    "  version              of this program\n\n"
    "  --json               JSON instead of tables: one document, or one a line for watch\n"
    "  --node NAME          ask this node of this host; needed by weight, drain and leave when\n"
    "                       there are several\n"
    "  --socket PATH        ask the node with this debug socket\n"
    "  --flock NAME         of this flock ($STARLING_FLOCK, else default)\n"
    "  --runtime-dir DIR    where nodes keep their sockets ($STARLING_RUNTIME_DIR, else\n"
    "                       $XDG_RUNTIME_DIR/starling, else /tmp/starling-UID)\n"
    "  --tenant NAME        services, info, watch, pick and weight: of this tenant (default)\n"
    "  --strategy NAME      pick: weighted_random (the default), round_robin, least_connections,\n"
    "                       p2c_ewma, rendezvous, healthy_first or local_first\n"
    "  --key TEXT           pick: with rendezvous, whose request it is; the same key finds the "
    "same\n"
    "                       instance\n"
    "  --since N            watch: first what happened after event number N\n"
    "  --help, --version\n\n"
    "Exit status: 0 done, 1 a clear no (nobody to pick, no such node), 2 usage, 3 no node to talk "
    "to.\n";

struct asked {
    struct client_place place;
    bool json;
    const char *tenant, *since, *strategy, *key;
    const char *arg[2]; /* behind the command */
};

/* ---- answers ---------------------------------------------------------------------------- */

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "";
}

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Complain about an answer that says no. */
static int refused(const json_t *answer)
{
    complain("%s", text(answer, "error"));
    return strcmp(text(answer, "code"), "EINVAL") == 0 ? USAGE : NO;
}

/* One question, one answer; *ret_data is borrowed from *ret_answer. */
static int ask(const struct asked *a, bool one, json_t *request, json_t **ret_answer,
               json_t **ret_data)
{
    struct client c;
    char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (line == NULL) {
        complain("out of memory");
        return NO;
    }
    json_t *answer = NULL;
    int status = client_ask(&a->place, one, line, &c, &answer);
    free(line);
    client_close(&c);
    if (status != DONE)
        return status;
    if (!json_is_true(json_object_get(answer, "ok"))) {
        status = refused(answer);
        json_decref(answer);
        return status;
    }
    *ret_answer = answer;
    *ret_data = json_object_get(answer, "data");
    return DONE;
}

/* Ask, and print the data as JSON or through `show`. */
static int ask_and_show(const struct asked *a, bool one, json_t *request,
                        void (*show)(const json_t *data))
{
    json_t *answer, *data;
    int status = ask(a, one, request, &answer, &data);
    if (status != DONE)
        return status;
    if (a->json)
        print_json(data);
    else
        show(data);
    json_decref(answer);
    return DONE;
}

/* ---- members ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int order = strcmp(text(x, "name"), text(y, "name"));
    return order != 0 ? order : strcmp(text(x, "id"), text(y, "id"));
}

/* The same members in order of name and id. */
static json_t *sorted(const json_t *members)
{
    size_t n = json_array_size(members);
    json_t **items = calloc(n + 1, sizeof *items), *list = json_array();
    for (size_t i = 0; items != NULL && i < n; i++)
        items[i] = json_array_get(members, i);
    if (items != NULL)
        qsort(items, n, sizeof(json_t *), by_name);
    for (size_t i = 0; items != NULL && i < n; i++)
        (void)json_array_append(list, items[i]);
    free(items);
    return list;
}

static void show_members(const json_t *members)
{
    static const char *const titles[] = {"NAME", "ADDRESS", "STATUS", "ZONE", "SERVICES", "ID"};
    struct table t;
    size_t i;
    const json_t *m;
    table_start(&t, 6, titles);
    for (i = 0; (m = json_array_get(members, i)) != NULL; i++) {
        char id[13];
        (void)snprintf(id, sizeof id, "%s", text(m, "id"));
        table_cell(&t, text(m, "name"));
        table_cell(&t, text(m, "address"));
        table_cell(&t, text(m, "status"));
        table_cell(&t, text(m, "zone"));
        table_cell_number(&t, number(m, "services"));
        table_cell(&t, id);
    }
    table_print(&t);
}

static int members(const struct asked *a)
{
    json_t *answer, *data;
    int status = ask(a, false, json_pack("{s:s}", "cmd", "members"), &answer, &data);
    if (status != DONE)
        return status;
    json_t *list = sorted(data);
    if (a->json)
        print_json(list);
    else
        show_members(list);
    json_decref(list);
    json_decref(answer);
    return DONE;
}

/* ---- services --------------------------------------------------------------------------- */

static void host_port(const json_t *instance, char *out, size_t cap)
{
    const char *host = text(instance, "host");
    bool ipv6 = strchr(host, ':') != NULL;
    (void)snprintf(out, cap, "%s%s%s:%" JSON_INTEGER_FORMAT, ipv6 ? "[" : "", host, ipv6 ? "]" : "",
                   number(instance, "port"));
}

static bool has_note(const json_t *instances)
{
    const json_t *i;
    for (size_t k = 0; (i = json_array_get(instances, k)) != NULL; k++)
        if (text(i, "note")[0] != '\0')
            return true;
    return false;
}

/* The column of notes is there when somebody says something. */
static void start_instances(struct table *t, bool notes)
{
    static const char *const titles[] = {"SERVICE", "NODE", "ADDRESS", "HEALTH", "WEIGHT",
                                         "STATUS",  "ZONE", "VERSION", "NOTE"};
    table_start(t, notes ? 9 : 8, titles);
}

static void add_instance(struct table *t, const json_t *service, const json_t *i)
{
    char name[140], address[100];
    const char *tenant = text(service, "tenant");
    bool plain = strcmp(tenant, "default") == 0;
    (void)snprintf(name, sizeof name, "%s%s%s", plain ? "" : tenant, plain ? "" : "/",
                   text(service, "service"));
    host_port(i, address, sizeof address);
    table_cell(t, name);
    table_cell(t, text(i, "name"));
    table_cell(t, address);
    table_cell(t, text(i, "health"));
    table_cell_number(t, number(i, "weight"));
    table_cell(t, text(i, "status"));
    table_cell(t, text(i, "zone"));
    table_cell(t, text(i, "version"));
    if (t->n_columns > 8)
        table_cell(t, text(i, "note"));
}

static void show_services(const json_t *services)
{
    struct table t;
    size_t s, i;
    bool notes = false;
    const json_t *service, *instances, *instance;
    for (s = 0; (service = json_array_get(services, s)) != NULL; s++)
        notes = notes || has_note(json_object_get(service, "instances"));
    start_instances(&t, notes);
    for (s = 0; (service = json_array_get(services, s)) != NULL; s++) {
        instances = json_object_get(service, "instances");
        for (i = 0; (instance = json_array_get(instances, i)) != NULL; i++)
            add_instance(&t, service, instance);
    }
    table_print(&t);
}

/* The request with the tenant, if one was given; NULL: out of memory. */
static json_t *of_tenant(const struct asked *a, json_t *request)
{
    if (a->tenant == NULL || json_object_set_new(request, "tenant", json_string(a->tenant)) == 0)
        return request;
    json_decref(request);
    return NULL;
}

static int services(const struct asked *a)
{
    return ask_and_show(a, false, of_tenant(a, json_pack("{s:s}", "cmd", "services")),
                        show_services);
}

/* ---- info ------------------------------------------------------------------------------- */

static void show_pairs(json_t *object, const char *title)
{
    const char *key;
    json_t *value;
    if (title != NULL)
        (void)printf("%s\n", title);
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            continue;
        (void)printf("%s%-24s", title != NULL ? "  " : "", key);
        if (json_is_string(value))
            print_text(json_string_value(value));
        else
            (void)json_dumpf(value, stdout, JSON_ENCODE_ANY);
        (void)putchar('\n');
    }
}

static void show_info(const json_t *info)
{
    const char *key;
    json_t *value;
    json_t *object = json_copy((json_t *)(uintptr_t)info); /* jansson's iterators take no const */
    show_pairs(object, NULL);
    json_object_foreach(object, key, value) if (json_is_object(value)) show_pairs(value, key);
    if (json_is_array(json_object_get(object, "instances"))) {
        const json_t *list = json_object_get(object, "instances"), *i;
        struct table t;
        start_instances(&t, has_note(list));
        for (size_t k = 0; (i = json_array_get(list, k)) != NULL; k++)
            add_instance(&t, i, i);
        if (t.n_cells > 0)
            (void)putchar('\n');
        table_print(&t);
    }
    json_decref(object);
}

/* Of a node of this host: what it says of itself. Of any other member: what a node knows of it. */
static int info(const struct asked *a)
{
    struct asked own = *a;
    if (a->arg[0] == NULL)
        return ask_and_show(a, false, json_pack("{s:s}", "cmd", "info"), show_info);
    if (a->place.node == NULL && a->place.socket == NULL && client_is_here(&a->place, a->arg[0])) {
        own.place.node = a->arg[0];
        return ask_and_show(&own, true, json_pack("{s:s}", "cmd", "info"), show_info);
    }
    return ask_and_show(a, false,
                        of_tenant(a, json_pack("{s:s,s:s}", "cmd", "info", "node", a->arg[0])),
                        show_info);
}

/* ---- pick and changes ------------------------------------------------------------------- */

static void show_pick(const json_t *instance)
{
    char address[100];
    host_port(instance, address, sizeof address);
    print_text(address);
    (void)putchar('\n');
}

static const char *tenant_of(const struct asked *a)
{
    return a->tenant != NULL ? a->tenant : "default";
}

/* False: the text is none. */
static bool add_text(json_t *request, const char *name, const char *text_or_null)
{
    return text_or_null == NULL ||
           json_object_set_new(request, name, json_string(text_or_null)) == 0;
}

static int pick(const struct asked *a)
{
    json_t *request =
        json_pack("{s:s,s:s,s:s}", "cmd", "pick", "service", a->arg[0], "tenant", tenant_of(a));
    if (!add_text(request, "strategy", a->strategy) || !add_text(request, "key", a->key)) {
        json_decref(request);
        return misused("a strategy and a key are text in UTF-8");
    }
    return ask_and_show(a, false, request, show_pick);
}

static void show_nothing(const json_t *data)
{
    (void)data;
}

static int weight(const struct asked *a)
{
    if (strcmp(a->arg[1], "base") == 0)
        return ask_and_show(a, true,
                            json_pack("{s:s,s:s,s:s,s:s}", "cmd", "weight", "service", a->arg[0],
                                      "tenant", tenant_of(a), "weight", "base"),
                            show_nothing);
    char *end;
    errno = 0;
    long n = strtol(a->arg[1], &end, 10);
    if (errno != 0 || end == a->arg[1] || *end != '\0' || n < 0 || n > STARLING_WEIGHT_MAX)
        return misused("a weight is 0 to %d or base, not '%s'", STARLING_WEIGHT_MAX, a->arg[1]);
    return ask_and_show(a, true,
                        json_pack("{s:s,s:s,s:s,s:I}", "cmd", "weight", "service", a->arg[0],
                                  "tenant", tenant_of(a), "weight", (json_int_t)n),
                        show_nothing);
}

static int drain(const struct asked *a)
{
    return ask_and_show(a, true, json_pack("{s:s}", "cmd", "drain"), show_nothing);
}

static int leave(const struct asked *a)
{
    return ask_and_show(a, true, json_pack("{s:s}", "cmd", "leave"), show_nothing);
}

static int version(const struct asked *a)
{
    if (a->json)
        (void)printf("{\"version\":\"%s\"}\n", starling_version());
    else
        (void)printf("starling %s\n", starling_version());
    return DONE;
}

/* ---- watch ------------------------------------------------------------------------------ */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static void show_event(const json_t *event)
{
    const json_t *data = json_object_get(event, "data");
    print_text(text(event, "at"));
    (void)fputs("  ", stdout);
    print_word(text(event, "type"), 18);
    print_text(text(event, "subject"));
    if (text(data, "address")[0] != '\0') {
        (void)fputs("  ", stdout);
        print_text(text(data, "address"));
    }
    if (text(data, "health")[0] != '\0') {
        (void)fputs("  ", stdout);
        print_word(text(data, "health"), 0);
        (void)printf("  weight %" JSON_INTEGER_FORMAT, number(data, "weight"));
    }
    (void)putchar('\n');
}

/* Until there is something to read; false when interrupted or nobody reads us any more. The signals
 * are blocked except in here, so that none is missed between looking and waiting. */
static bool wait_for_event(const struct client *c, const sigset_t *outside)
{
    while (!interrupted && !client_ready(c)) {
        struct pollfd fds[2] = {{.fd = c->fd, .events = POLLIN},
                                {.fd = STDOUT_FILENO, .events = 0}};
        if (ppoll(fds, 2, NULL, outside) < 0)
            continue;
        if ((fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
            return false;
        if (fds[0].revents != 0)
            return true;
    }
    return !interrupted;
}

static int follow(struct client *c, bool as_json)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct timeval for_ever = {0};
    sigset_t ends, outside;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, &outside);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof for_ever);
    while (wait_for_event(c, &outside)) {
        json_t *event = client_next(c);
        if (event == NULL) {
            complain("the node has gone");
            return NO_NODE;
        }
        if (json_is_false(json_object_get(event, "ok"))) {
            int status = refused(event);
            json_decref(event);
            return status;
        }
        if (as_json)
            print_json(event);
        else
            show_event(event);
        json_decref(event);
        if (fflush(stdout) != 0) /* nobody reads on */
            break;
    }
    return DONE;
}

static int watch(const struct asked *a)
{
    json_t *request = of_tenant(a, json_pack("{s:s}", "cmd", "watch")), *answer;
    if (a->since != NULL) {
        char *end;
        errno = 0;
        long long since = strtoll(a->since, &end, 10);
        if (errno != 0 || end == a->since || *end != '\0' || since < 0) {
            json_decref(request);
            return misused("--since takes the number of an event, not '%s'", a->since);
        }
        (void)json_object_set_new(request, "since", json_integer(since));
    }
    if (a->arg[0] != NULL)
        (void)json_object_set_new(request, "service", json_string(a->arg[0]));
    char *line = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (line == NULL) {
        complain("out of memory");
        return NO;
    }
    struct client c;
    int status = client_ask(&a->place, false, line, &c, &answer);
    free(line);
    if (status != DONE)
        return status;
    if (json_is_true(json_object_get(answer, "ok")))
        status = follow(&c, a->json);
    else
        status = refused(answer);
    json_decref(answer);
    client_close(&c);
    return status;
}

/* ---- main ------------------------------------------------------------------------------- */

static const struct command {
    const char *name;
    int (*run)(const struct asked *a);
    int n_min, n_max; /* arguments */
    const char *needs;
} commands[] = {
    {"members", members, 0, 0, ""},
    {"services", services, 0, 0, ""},
    {"info", info, 0, 1, ""},
    {"watch", watch, 0, 1, ""},
    {"pick", pick, 1, 1, "the name of a service"},
    {"weight", weight, 2, 2, "a service and a weight"},
    {"drain", drain, 0, 0, ""},
    {"leave", leave, 0, 0, ""},
    {"version", version, 0, 0, ""},
};

static int dispatch(struct asked *a, int argc, char **argv)
{
    if (argc == 0)
        return misused("no command");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, argv[0]) != 0)
            continue;
        if (argc - 1 < c->n_min)
            return misused("%s needs %s", c->name, c->needs);
        if (argc - 1 > c->n_max)
            return misused("do not know what to do with '%s'", argv[c->n_max + 1]);
        for (int k = 1; k < argc; k++)
            a->arg[k - 1] = argv[k];
        int status = c->run(a);
        if (fflush(stdout) != 0 && status == DONE && errno != EPIPE) {
            complain("cannot write the answer: %s", strerror(errno));
            return NO;
        }
        return status;
    }
    if (strcmp(argv[0], "run") == 0)
        return misused("options of run come behind it");
    if (strcmp(argv[0], "ca") == 0)
        return misused("options of ca come behind it");
    return misused("'%s' is not a command", argv[0]);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"node", required_argument, NULL, 'n'},
                                          {"socket", required_argument, NULL, 's'},
                                          {"flock", required_argument, NULL, 'f'},
                                          {"runtime-dir", required_argument, NULL, 'r'},
                                          {"tenant", required_argument, NULL, 't'},
                                          {"since", required_argument, NULL, 'S'},
                                          {"strategy", required_argument, NULL, 'p'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
    struct asked a = {0};
    int c;
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return run_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "ca") == 0)
        return ca_main(argc - 1, argv + 1);
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        switch (c) {
        case 'j':
            a.json = true;
            break;
        case 'n':
            a.place.node = optarg;
            break;
        case 's':
            a.place.socket = optarg;
            break;
        case 'f':
            a.place.flock = optarg;
            break;
        case 'r':
            a.place.runtime_dir = optarg;
            break;
        case 't':
            a.tenant = optarg;
            break;
        case 'S':
            a.since = optarg;
            break;
        case 'p':
            a.strategy = optarg;
            break;
        case 'k':
            a.key = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return DONE;
        case 'V':
            return version(&a);
        case ':':
            return misused("%s needs a value", argv[optind - 1]);
        default:
            return misused("unknown option %s", argv[optind - 1]);
        }
    }
    return dispatch(&a, argc - optind, argv + optind);
}
