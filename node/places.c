/* places.c: where others may be found, and which of these places turned out dead. An address
 * file is written by a node once it listens, so an address that refuses belongs to a process
 * that died hard: the file goes, and with it the place. A configured seed stays, however often
 * it refuses. */
#include "node/places.h"

#include <sys/stat.h>

#define SCAN_ALONE SL_SEC(3) /* nobody else is there yet */
#define SCAN_SETTLED SL_SEC(60)
#define SAVE_EVERY SL_SEC(5)

/* ---- a set of addresses ------------------------------------------------------------------- */

static size_t find(const struct sl_addr *list, size_t n, const struct sl_addr *addr)
{
    size_t i = 0;
    while (i < n && !sl_addr_eq(&list[i], addr))
        i++;
    return i;
}

static void add(struct sl_addr *list, size_t *n, size_t cap, const struct sl_addr *addr)
{
    if (*n < cap && find(list, *n, addr) == *n)
        list[(*n)++] = *addr;
}

/* ---- seeds -------------------------------------------------------------------------------- */

struct scan {
    starling_node *node;
    sl_usec now;
};

static void on_file(void *context, const struct sl_addr *addr)
{
    const struct scan *scan = context;
    struct sl_places *p = &scan->node->places;
    if (sl_addr_eq(addr, &scan->node->advertised))
        return;
    add(p->files, &p->n_files, SL_PLACES_KEPT, addr);
    sl_gossip_seed(scan->node->gossip, scan->now, addr);
}

void sl_places_configured(void *context, const struct sl_addr *addr)
{
    starling_node *node = context;
    if (sl_addr_eq(addr, &node->advertised))
        return; /* a list of seeds that is the same everywhere names us, too */
    add(node->places.configured, &node->places.n_configured, SL_PLACES_KEPT, addr);
    sl_gossip_seed(node->gossip, sl_now(), addr);
}

/* Read the directory if it changed since. Times in a file system come from a coarse clock: a
 * directory that was changed within the last second may change again without showing it. */
static void scan_directory(starling_node *node, sl_usec now)
{
    struct sl_places *p = &node->places;
    struct stat st;
    if (stat(node->rundir.path, &st) < 0)
        return;
    if (p->scanned.tv_sec == st.st_mtim.tv_sec && p->scanned.tv_nsec == st.st_mtim.tv_nsec)
        return;
    bool settled = st.st_mtim.tv_sec + 1 < sl_wall_us() / 1000000;
    p->scanned = settled ? st.st_mtim : (struct timespec){0};
    p->n_files = 0;
    struct scan scan = {.node = node, .now = now};
    sl_rundir_scan(&node->rundir, on_file, &scan);
}

/* Our own file may have been swept out of /tmp, or removed by somebody to whom we refused for a
 * moment. */
static void keep_own_file(starling_node *node)
{
    struct stat st;
    if (node->rundir.file[0] == '\0' || lstat(node->rundir.file, &st) == 0)
        return;
    if (sl_rundir_publish(&node->rundir, node->identity.name, node->id_hex, &node->advertised) < 0)
        sl_log(&node->log, SL_WARNING, "the address file %s is gone and cannot be written again",
               node->rundir.file);
}

void sl_places_dialled(starling_node *node, sl_link link, const struct sl_addr *addr)
{
    struct sl_dialled *d = &node->places.dialled[(link >> 1) % SL_DIALLED_KEPT];
    *d = (struct sl_dialled){.link = link, .addr = *addr};
}

void sl_places_refused(starling_node *node, sl_link link)
{
    struct sl_places *p = &node->places;
    const struct sl_dialled *d = &p->dialled[(link >> 1) % SL_DIALLED_KEPT];
    if (d->link != link)
        return;
    size_t i = find(p->files, p->n_files, &d->addr);
    if (i == p->n_files)
        return;
    char text[SL_ADDR_TEXT];
    sl_addr_format(text, &d->addr);
    sl_log(&node->log, SL_INFO, "%s in %s refuses connections; its address file is removed", text,
           node->rundir.path);
    sl_rundir_remove_dead(&node->rundir, &d->addr);
    if (find(p->configured, p->n_configured, &d->addr) == p->n_configured)
        sl_gossip_unseed(node->gossip, &d->addr);
    p->files[i] = p->files[--p->n_files];
    p->scanned = (struct timespec){0};
}

/* ---- known peers -------------------------------------------------------------------------- */

void sl_places_alive(starling_node *node, const struct sl_addr *addr)
{
    struct sl_places *p = &node->places;
    if (node->settings.state_dir[0] == '\0')
        return;
    size_t i = find(p->known, p->n_known, addr);
    if (i < p->n_known && i < p->n_known / 2)
        return; /* new enough: a status that flaps must not write the file again and again */
    if (i == p->n_known && p->n_known < SL_PEERS_MAX)
        p->n_known++;
    else if (i == p->n_known)
        i--; /* the oldest makes room */
    memmove(&p->known[1], &p->known[0], i * sizeof p->known[0]);
    p->known[0] = *addr;
    p->known_changed = true;
}

void sl_places_save(starling_node *node, sl_usec now)
{
    struct sl_places *p = &node->places;
    if (!p->known_changed)
        return;
    p->known_changed = false;
    p->save_at = sl_after(now, SAVE_EVERY);
    if (sl_state_write_peers(node->settings.state_dir, p->known, p->n_known) < 0)
        sl_log(&node->log, SL_WARNING,
               "known peers cannot be written to %s; a restart may need a seed",
               node->settings.state_dir);
}

/* ---- in time ------------------------------------------------------------------------------ */

int sl_places_open(starling_node *node, sl_usec now)
{
    struct sl_places *p = &node->places;
    if (node->settings.state_dir[0] != '\0') {
        int n = sl_state_read_peers(node->settings.state_dir, p->known, SL_PEERS_MAX);
        if (n < 0)
            return n;
        p->n_known = (size_t)n;
        for (size_t i = 0; i < p->n_known; i++)
            sl_gossip_seed(node->gossip, now, &p->known[i]);
    }
    scan_directory(node, now);
    p->scan_at = sl_after(now, SCAN_ALONE);
    return 0;
}

void sl_places_turn(starling_node *node, sl_usec now)
{
    struct sl_places *p = &node->places;
    if (now >= p->scan_at) {
        keep_own_file(node);
        scan_directory(node, now);
        bool alone = sl_store_n_alive(node->store) <= 1;
        p->scan_at = sl_after(now, alone ? SCAN_ALONE : SCAN_SETTLED);
    }
    if (now >= p->save_at)
        sl_places_save(node, now);
}

sl_usec sl_places_deadline(const starling_node *node)
{
    const struct sl_places *p = &node->places;
    return sl_earlier(p->scan_at, p->known_changed ? p->save_at : SL_NEVER);
}
