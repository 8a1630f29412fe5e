/* revocations.c: how a node comes by lists of revoked certificates, and keeps what it was told. One
 * list, laid beside the credentials of one node that runs, is enough for a flock. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"
#include "node/node.h"

static void beside(char out[PATH_MAX], const char *path, const char *end)
{
    int n = snprintf(out, PATH_MAX, "%s%s", path, end);
    if (n < 0 || n >= PATH_MAX)
        out[0] = '\0'; /* the path itself was opened, so this is a few characters from the limit */
}

static void read_list(starling_node *node, sl_usec now, const char *path)
{
    struct sl_revoked list;
    int r = sl_revoked_file_read(path, &list);
    if (r == STARLING_ENOENT)
        return;
    if (r == 0) {
        r = sl_gossip_revoke(node->gossip, now,
                             sl_span_of(list.entries, list.n * SL_REVOCATION_LEN));
        if (r < 0)
            sl_log(&node->log, SL_ERROR,
                   "%s has an entry that no authority signed; those behind it "
                   "are not read",
                   path);
        sl_revoked_free(&list, &sl_alloc_system);
        return;
    }
    sl_log(&node->log, SL_ERROR, "revoked certificates cannot be read: %s", sl_fail_text());
}

/* The list was laid there, or exchanged, since it was read. */
static bool has_changed(struct sl_revocations *r)
{
    struct stat st;
    if (r->given[0] == '\0' || stat(r->given, &st) < 0)
        return false;
    if (r->ino == st.st_ino && r->mtime.tv_sec == st.st_mtim.tv_sec &&
        r->mtime.tv_nsec == st.st_mtim.tv_nsec)
        return false;
    r->ino = st.st_ino;
    r->mtime = st.st_mtim;
    return true;
}

void sl_revocations_turn(starling_node *node, sl_usec now)
{
    struct sl_revocations *r = &node->revocations;
    if (has_changed(r))
        read_list(node, now, r->given);
    const struct sl_span all = sl_gossip_revoked(node->gossip);
    size_t n = all.len / SL_REVOCATION_LEN;
    if (n == r->n_kept || r->kept[0] == '\0')
        return;
    r->n_kept = n; /* also when it fails: it is said once, and tried again with the next one */
    if (sl_revoked_file_write(r->kept, all) < 0)
        sl_log(&node->log, SL_WARNING, "revoked certificates are not kept: %s", sl_fail_text());
}

void sl_revocations_open(starling_node *node, sl_usec now)
{
    struct sl_revocations *r = &node->revocations;
    const struct sl_settings *s = &node->settings;
    beside(r->given, s->credentials[0] != '\0' ? s->credentials : node->identity.authority,
           ".revoked");
    if (s->state_dir[0] != '\0') {
        beside(r->kept, s->state_dir, "/revoked");
        if (r->kept[0] != '\0')
            read_list(node, now, r->kept);
        r->n_kept = sl_gossip_revoked(node->gossip).len / SL_REVOCATION_LEN;
    }
    sl_revocations_turn(node, now);
}
