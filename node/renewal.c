/* renewal.c: take another certificate, other authorities and other doors while everything runs. All of a
 * file or nothing: what is wrong with it is said once, and the node goes on with what it has. */
#include "node/renewal.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/ca.h"
#include "node/feed.h"
#include "node/node.h"
#include "node/tenants.h"

#define RENEW_IT                                                                                   \
    "have it renewed (starling ca rotate FILE), and a node that runs takes it by itself"

void sl_renewal_open(starling_node *node)
{
    struct sl_renewal *r = &node->renewal;
    const char *given = node->settings.credentials, *authority = node->identity.authority;
    if (given[0] != '\0') {
        sl_copy_text(r->file[0].path, sizeof r->file[0].path, given, strlen(given));
        return;
    }
    if (sl_authority_bundle_path(authority, r->file[0].path) < 0 ||
        sl_tenants_path(authority, r->file[1].path) < 0)
        r->file[0].path[0] = r->file[1].path[0] = '\0';
}

/* The first time always: it may have changed since the node read it to start with. */
static bool has_changed(struct sl_watched *w)
{
    struct stat st;
    if (w->path[0] == '\0' || stat(w->path, &st) < 0)
        return false;
    if (w->ino == st.st_ino && w->size == (unsigned long long)st.st_size &&
        w->mtime.tv_sec == st.st_mtim.tv_sec && w->mtime.tv_nsec == st.st_mtim.tv_nsec)
        return false;
    w->ino = st.st_ino;
    w->size = (unsigned long long)st.st_size;
    w->mtime = st.st_mtim;
    return true;
}

static bool any_changed(struct sl_renewal *r)
{
    bool changed = false;
    for (size_t i = 0; i < SL_COUNT(r->file); i++)
        changed |= has_changed(&r->file[i]);
    return changed;
}

void sl_renewal_take(starling_node *node, const struct sl_identity *next)
{
    struct sl_identity *identity = &node->identity;
    pthread_mutex_lock(&node->commands.lock);
    identity->signer = next->signer;
    identity->id = next->id;
    identity->bundle = next->bundle;
    memcpy(identity->cert, next->cert, sizeof identity->cert);
    identity->cert_len = next->cert_len;
    identity->not_before = next->not_before;
    identity->not_after = next->not_after;
    memcpy(identity->door_secret, next->door_secret, sizeof identity->door_secret);
    identity->keyring = next->keyring;
    sl_commands_say_again(&node->commands);
    pthread_mutex_unlock(&node->commands.lock);
}

static void say_taken(const starling_node *node)
{
    const struct sl_identity *identity = &node->identity;
    char serial[SL_SERIAL_TEXT], until[SL_TIME_TEXT];
    sl_identity_serial(identity, serial);
    sl_time_text(identity->not_after, until);
    sl_log(
        &node->log, SL_INFO,
        "%s was taken: node \"%s\" has certificate %s from now on, valid until %s, and trusts %zu "
        "%s behind %s",
        node->settings.credentials[0] != '\0' ? node->settings.credentials : identity->authority,
        identity->name, serial, until, identity->bundle.n_authorities,
        identity->bundle.n_authorities == 1 ? "authority" : "authorities",
        identity->bundle.two_doors ? "two doors" : "one door");
}

static void apply(starling_node *node, sl_usec now, const struct sl_identity *next)
{
    if (sl_transport_doors(node->transport, next) < 0)
        sl_log(&node->log, SL_ERROR,
               "the door that this node listens on stays as it was until it is started again: %s",
               sl_fail_text());
    int r =
        sl_gossip_renew(node->gossip, now, &next->bundle, sl_span_of(next->cert, next->cert_len));
    sl_renewal_take(node, next);
    sl_feed_again(node, now);
    if (r == 0) {
        say_taken(node);
        sl_commands_warn_rights(node);
    } else {
        /* What was checked can fail for want of memory alone. */
        for (size_t i = 0; i < SL_COUNT(node->renewal.file); i++)
            node->renewal.file[i].ino = 0;
        sl_log(&node->log, SL_WARNING, "out of memory for a certificate: it is taken again soon");
    }
    node->life_at = now;
}

static void look_at_the_file(starling_node *node, sl_usec now, int64_t wall_s)
{
    struct sl_identity next;
    if (node->leaving || !any_changed(&node->renewal))
        return;
    const struct sl_settings *s = &node->settings;
    const struct sl_identity_options options = {
        .flock = s->flock,
        .name = s->name,
        .config_dir = s->config_dir,
        .runtime_dir = s->runtime_dir,
        .credentials = s->credentials[0] != '\0' ? s->credentials : NULL,
        .wall_s = wall_s,
        .held = &node->identity,
    };
    if (sl_identity_load(&options, &next) < 0) {
        sl_log(&node->log, SL_ERROR, "%s; node \"%s\" goes on with what it has", sl_fail_text(),
               node->identity.name);
        return;
    }
    if (!sl_identity_same(&next, &node->identity))
        apply(node, now, &next);
    sl_identity_fini(&next);
}

/* ---- the end of its life ---------------------------------------------------------------- */

enum sl_life sl_renewal_note(const struct sl_identity *identity, int64_t wall_s,
                             char out[SL_RENEWAL_NOTE])
{
    char when[SL_TIME_TEXT];
    const enum sl_life life = sl_identity_life(identity, wall_s);
    const int64_t left_s =
        identity->not_after - wall_s + (life == SL_LIFE_ENDED ? SL_CERT_LATELY_S : 0);
    sl_time_text(identity->not_after, when);
    out[0] = '\0';
    switch (life) {
    case SL_LIFE_GOOD:
        break;
    case SL_LIFE_ENDING:
        (void)snprintf(out, SL_RENEWAL_NOTE,
                       "the certificate of node \"%s\" ends on %s, in %lld days and %lld hours: "
                       "" RENEW_IT,
                       identity->name, when, (long long)left_s / 86400,
                       (long long)left_s / 3600 % 24);
        break;
    case SL_LIFE_ENDED:
        (void)snprintf(out, SL_RENEWAL_NOTE,
                       "the certificate of node \"%s\" has expired, on %s: for %lld hours and %lld "
                       "minutes more it is let in by those alone whose own has expired as well; "
                       "" RENEW_IT,
                       identity->name, when, (long long)left_s / 3600, (long long)left_s / 60 % 60);
        break;
    case SL_LIFE_OVER:
        (void)snprintf(out, SL_RENEWAL_NOTE,
                       "the certificate of node \"%s\" has expired, on %s, more than a day ago: "
                       "nobody lets this node in any more; " RENEW_IT,
                       identity->name, when);
        break;
    }
    return life;
}

/* Once a day, and once it has come, each minute. */
static void say_its_end(starling_node *node, sl_usec now, int64_t wall_s)
{
    char note[SL_RENEWAL_NOTE];
    enum sl_life life = sl_identity_life(&node->identity, wall_s);
    if (life == node->life && now < node->life_at)
        return;
    node->life = life;
    node->life_at = sl_after(now, life >= SL_LIFE_ENDED ? SL_SEC(60) : SL_SEC(86400));
    (void)sl_renewal_note(&node->identity, wall_s, note);
    if (note[0] != '\0')
        sl_log(&node->log, life == SL_LIFE_ENDING ? SL_WARNING : SL_ERROR, "%s", note);
}

void sl_renewal_turn(starling_node *node, sl_usec now, int64_t wall_s)
{
    look_at_the_file(node, now, wall_s);
    say_its_end(node, now, wall_s);
}
