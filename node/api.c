/* api.c: the public calls about a node as a whole: opening and closing it. Offering is in
 * command.c, finding in find.c, watching in watch.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/barrier.h"
#include "node/feed.h"
#include "node/loop.h"
#include "node/places.h"

/* ---- about -------------------------------------------------------------------------------- */

#define TEXT_OF(x) #x
#define DIGITS_OF(x) TEXT_OF(x)

const char *starling_version(void)
{
    return DIGITS_OF(STARLING_VERSION_MAJOR) "." DIGITS_OF(STARLING_VERSION_MINOR) "." DIGITS_OF(
        STARLING_VERSION_PATCH);
}

const char *starling_strerror(int error)
{
    if (error >= 0)
        return "success";
    switch ((enum starling_error)error) {
    case STARLING_EINVAL:
        return "invalid argument or setting";
    case STARLING_ENOMEM:
        return "out of memory";
    case STARLING_ENOENT:
        return "no such thing";
    case STARLING_EEXIST:
        return "it is there already";
    case STARLING_EUNAVAIL:
        return "not available";
    case STARLING_EBUSY:
        return "busy, try again";
    case STARLING_ETIMEDOUT:
        return "timed out";
    case STARLING_ELIMIT:
        return "a limit is reached";
    case STARLING_EAUTH:
        return "credentials are missing, damaged or not to be trusted";
    case STARLING_EFORK:
        return "the node belongs to the parent process";
    case STARLING_ECLOSED:
        return "the node has stopped";
    case STARLING_EIO:
        return "the system refused";
    }
    return "unknown error";
}

const char *starling_error_text(void)
{
    return sl_fail_text();
}

/* ---- clocks, processes, checks ------------------------------------------------------------ */

sl_usec sl_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return SL_SEC(t.tv_sec) + t.tv_nsec / 1000;
}

int64_t sl_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return SL_SEC(t.tv_sec) + t.tv_nsec / 1000;
}

/* Counted in each child, since getpid() is a system call and a pick makes none. */
static atomic_uint process = 1;
static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static int process_error;

static void in_child(void)
{
    atomic_fetch_add_explicit(&process, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    process_error = pthread_atfork(NULL, NULL, in_child);
}

unsigned sl_process(void)
{
    return atomic_load_explicit(&process, memory_order_relaxed);
}

int sl_node_check(const starling_node *node)
{
    if (node == NULL)
        return sl_fail(STARLING_EINVAL, "the handle is NULL");
    if (node->process != sl_process())
        return sl_fail(STARLING_EFORK,
                       "the node belongs to the parent process: exec, or open one of your own");
    return 0;
}

void sl_node_wake(starling_node *node)
{
    (void)eventfd_write(node->wake_fd, 1); /* full: it is awake */
}

bool sl_node_wait_news(starling_node *node, uint64_t *seen, const struct timespec *deadline)
{
    int failed = 0;
    pthread_mutex_lock(&node->wait_lock);
    while (node->published == *seen && failed == 0)
        failed = deadline != NULL
                     ? pthread_cond_timedwait(&node->wait_cond, &node->wait_lock, deadline)
                     : pthread_cond_wait(&node->wait_cond, &node->wait_lock);
    bool news = node->published != *seen;
    *seen = node->published;
    pthread_mutex_unlock(&node->wait_lock);
    return news;
}

void sl_node_tell_waiters(starling_node *node)
{
    pthread_mutex_lock(&node->wait_lock);
    node->published++;
    pthread_cond_broadcast(&node->wait_cond);
    pthread_mutex_unlock(&node->wait_lock);
}

/* ---- the log ------------------------------------------------------------------------------ */

static void write_log(void *context, int level, const char *line)
{
    static const char *const words[] = {"", "error", "warning", "info", "debug"};
    const starling_node *node = context;
    if (node->options.log != NULL) {
        node->options.log(node->options.log_context, level, line);
        return;
    }
    /* One write for a line: those of several nodes and of the host do not mix. */
    char text[1024];
    int len = snprintf(text, sizeof text, "starling %s %s: %s\n", node->settings.name,
                       level >= SL_ERROR && level <= SL_DEBUG ? words[level] : "", line);
    if (len <= 0)
        return;
    if ((size_t)len >= sizeof text) {
        len = (int)sizeof text - 1;
        text[len - 1] = '\n';
    }
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        return; /* nowhere left to say it */
}

static void choose_log(starling_node *node)
{
    int level = node->settings.log_level;
    if (node->options.log != NULL)
        level = node->options.log_level > 0 ? node->options.log_level : SL_INFO;
    node->log =
        (struct sl_log){.write = level > 0 ? write_log : NULL, .context = node, .level = level};
}

/* ---- opening and closing ------------------------------------------------------------------ */

static starling_node *node_new(const starling_options *options)
{
    starling_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->options = *options;
    node->process = sl_process();
    node->wake_fd = node->state_fd = -1;
    node->events.next_seq = 1;
    node->publish_at = node->refeed_at = SL_NEVER;
    sl_probes_init(&node->probes);
    sl_commands_init(&node->commands);
    pthread_mutex_init(&node->store_lock, NULL);
    pthread_mutex_init(&node->events.lock, NULL);
    pthread_mutex_init(&node->wait_lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&node->wait_cond, &attr);
    pthread_condattr_destroy(&attr);
    return node;
}

/* The thread has ended, or never began. */
static void node_free(starling_node *node)
{
    sl_loop_fini(node);
    sl_checks_free(&node->checks); /* waits for callbacks that run */
    sl_watches_free(node);
    sl_commands_fini(&node->commands);
    sl_store_free(node->store);
    sl_identity_fini(&node->identity);
    sl_own_id_free(node);
    sl_state_unlock(node->state_fd);
    if (node->wake_fd >= 0)
        (void)close(node->wake_fd);
    pthread_cond_destroy(&node->wait_cond);
    pthread_mutex_destroy(&node->wait_lock);
    pthread_mutex_destroy(&node->events.lock);
    pthread_mutex_destroy(&node->store_lock);
    free(node);
}

static int open_identity(starling_node *node)
{
    const struct sl_settings *s = &node->settings;
    if (s->state_dir[0] != '\0') {
        int r = sl_state_make_dir(s->state_dir);
        if (r == 0)
            r = sl_state_lock(s->state_dir, &node->state_fd);
        if (r == STARLING_EIO) { /* a node that cannot write there can still read its key */
            sl_log(&node->log, SL_WARNING, "%s; nothing keeps a second node out of it",
                   sl_fail_text());
            r = 0;
        }
        if (r < 0)
            return r;
    }
    struct sl_identity_options options = {
        .flock = s->flock,
        .name = s->name,
        .config_dir = s->config_dir,
        .runtime_dir = s->runtime_dir,
        .state_dir = s->state_dir[0] != '\0' ? s->state_dir : NULL,
        .credentials = s->credentials[0] != '\0' ? s->credentials : NULL,
        .wall_s = sl_wall_us() / 1000000,
    };
    int r = sl_identity_load(&options, &node->identity);
    if (r < 0)
        return r;
    node->crypto = sl_crypto_port(&node->identity.signer);
    node->reveal.crypto = &node->crypto;
    node->reveal.keyring = &node->identity.keyring;
    node->reveal.flock = node->identity.bundle.flock;
    return sl_own_id_set(node);
}

static int open_transport(starling_node *node)
{
    struct sl_addr bound;
    sl_settings_choose_listen(&node->settings);
    int r = sl_transport_open(&node->settings.listen, &node->identity, &sl_alloc_system, &node->log,
                              &node->transport, &bound);
    if (r < 0)
        return r;
    node->advertised = node->settings.advertise.family != 0 ? node->settings.advertise : bound;
    if (node->advertised.port == 0)
        node->advertised.port = bound.port;
    sl_addr_format(node->address, &node->advertised);
    return 0;
}

/* Who shares a host with whom. The boot id comes first: containers of one host share it, while
 * the machine id of an image is the same on every host. Keyed with the flock, so that it names
 * the host to nobody else. 0 = unknown. */
static uint64_t host_hash(const uint8_t flock[SL_FLOCK_LEN])
{
    static const char *const paths[] = {"/proc/sys/kernel/random/boot_id", "/etc/machine-id"};
    char text[64];
    for (size_t i = 0; i < SL_COUNT(paths); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t len = read(fd, text, sizeof text);
        (void)close(fd);
        if (len >= 16)
            return sl_siphash(flock, text, (size_t)len);
    }
    return 0;
}

uint64_t sl_epoch_of(int64_t wall_us, uint64_t chance)
{
    return ((uint64_t)(wall_us / 1000) << 16 | (chance & 0xffff)) & INT64_MAX;
}

static int open_core(starling_node *node, sl_usec now, sl_barrier *barrier)
{
    uint64_t chance[4];
    int64_t wall = sl_wall_us();
    sl_entropy(chance, sizeof chance);
    sl_rand_seed(&node->checks.rand, chance[3]);
    node->wall_offset_us = wall - now;
    node->ports =
        (struct sl_ports){.alloc = &sl_alloc_system, .crypto = &node->crypto, .log = &node->log};
    struct sl_gossip_config config = {
        .bundle = node->identity.bundle,
        .cert = sl_span_of(node->identity.cert, node->identity.cert_len),
        .addr = node->advertised,
        .host = host_hash(node->identity.bundle.flock),
        .lasting = node->identity.lasting,
        .seed = chance[0],
        .epoch = sl_epoch_of(wall, chance[1]),
        .wall_offset_us = node->wall_offset_us,
    };
    memcpy(config.c_d, node->identity.dial_public, SL_KEY_LEN);
    sl_copy_text(config.zone, sizeof config.zone, node->settings.zone, strlen(node->settings.zone));
    int r = sl_gossip_new(&config, &node->ports, now, &node->gossip);
    if (r < 0)
        return sl_fail(r,
                       r == STARLING_EAUTH ? "the certificate of node \"%s\" does not verify; "
                                             "issue it anew for this flock"
                                           : "out of memory for node \"%s\"",
                       node->identity.name);
    r = sl_store_new(&sl_alloc_system, chance[2], barrier, &node->store);
    return r < 0 ? sl_fail(r, "out of memory for node \"%s\"", node->identity.name) : 0;
}

static int open_doors(starling_node *node, sl_usec now)
{
    const struct sl_settings *s = &node->settings;
    int r = sl_resolver_new(s->seeds, s->n_seeds, &sl_alloc_system, &node->log,
                            sl_places_configured, node, &node->resolver);
    if (r < 0)
        return r;
    r = sl_debug_open(node, node->rundir.path, node->identity.name, node->id_hex, &node->debug);
    if (r < 0)
        return r;
    r = sl_rundir_publish(&node->rundir, node->identity.name, node->id_hex, &node->advertised);
    if (r < 0)
        return r;
    return sl_places_open(node, now);
}

/* The caller's, who may free them; the settings hold copies. */
static void forget_strings(starling_options *options)
{
    *options = (starling_options){.log = options->log,
                                  .log_context = options->log_context,
                                  .log_level = options->log_level,
                                  .on_event = options->on_event,
                                  .event_context = options->event_context};
}

static int node_open(starling_node *node)
{
    int r = sl_crypto_setup();
    if (r == 0)
        r = sl_settings_load(&node->options, &node->settings);
    if (r < 0)
        return r;
    forget_strings(&node->options);
    choose_log(node);
    node->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (node->wake_fd < 0)
        return sl_fail(STARLING_ELIMIT,
                       "no descriptor is left for a node: raise the limit (ulimit -n)");
    /* Before libzmq's threads: with one thread there is nobody whom the kernel must wait for, with
     * more it waits for a grace period of its own, 5 to 15 ms. */
    sl_barrier *barrier = sl_barrier_of_process();
    r = sl_rundir_open(&node->rundir, node->settings.runtime_dir, node->settings.flock);
    if (r == 0)
        r = open_identity(node);
    if (r == 0)
        r = open_transport(node);
    node->started = sl_now();
    if (r == 0)
        r = open_core(node, node->started, barrier);
    if (r == 0)
        sl_revocations_open(node, node->started); /* before it meets anybody */
    if (r == 0)
        sl_renewal_open(node);
    if (r == 0)
        r = open_doors(node, node->started);
    if (r < 0)
        return r;
    sl_snapshot_open(node, node->started);
    /* So that a node sees itself as soon as it is open; events are told by the I/O thread alone. */
    node->deliver_at = sl_after(node->started, 1);
    sl_loop_pump(node, node->started);
    return sl_loop_start(node);
}

int starling_open_sized(const starling_options *options, size_t size, starling_node **ret_node)
{
    starling_options o = {0};
    sigset_t all, old;
    if (ret_node == NULL)
        return sl_fail(STARLING_EINVAL, "ret_node is NULL");
    if (options != NULL)
        memcpy(&o, options, size < sizeof o ? size : sizeof o);
    if (pthread_once(&process_once, watch_forks) != 0 || process_error != 0)
        return sl_fail(STARLING_ENOMEM, "out of memory for a fork handler");
    starling_node *node = node_new(&o);
    if (node == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for a node");

    /* Threads inherit the mask, libzmq's as well: a signal is the host's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = node_open(node);
    if (r < 0)
        node_free(node);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0)
        return r;
    *ret_node = node;
    return 0;
}

void starling_close(starling_node *node)
{
    if (node == NULL || sl_node_check(node) < 0 || sl_node_in_callback(node) ||
        sl_call_is_inside(node))
        return;
    pthread_mutex_lock(&node->commands.lock);
    node->commands.leave = node->commands.closed = true;
    pthread_mutex_unlock(&node->commands.lock);
    sl_node_wake(node);
    pthread_join(node->thread, NULL);
    node_free(node);
}

/* ---- names ------------------------------------------------------------------------------- */

const char *starling_node_flock(const starling_node *node)
{
    return node != NULL ? node->settings.flock : "";
}

const char *starling_node_name(const starling_node *node)
{
    return node != NULL ? node->identity.name : "";
}

const char *starling_node_id(const starling_node *node)
{
    /* Pairs with the store in sl_own_id_set(). */
    return node != NULL ? atomic_load_explicit(&node->id_hex, memory_order_acquire) : "";
}

const char *starling_node_address(const starling_node *node)
{
    return node != NULL ? node->address : "";
}
