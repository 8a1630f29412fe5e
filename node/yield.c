/* yield.c: another process lives with this node's key, and this one has given way. With a user's own authority it takes
 * another key, and the place of the old one in the state directory is the new one's, so that the next start does not
 * meet the other again. With credentials of an authority elsewhere only an operator can say who is who. */
#include "node/yield.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

#define SAY_EVERY SL_SEC(60)

/* The application may hold any text that it was ever given: they all stay until the node is closed. */
int sl_own_id_set(starling_node *node)
{
    struct sl_own_id *id = malloc(sizeof *id + STARLING_ID_MAX);
    if (id == NULL)
        return sl_fail(STARLING_ENOMEM, "out of memory for an id");
    sl_hex(id->hex, node->identity.id.b, SL_ID_LEN);
    id->before = node->own_ids;
    node->own_ids = id;
    /* Pairs with the load in starling_node_id(). */
    atomic_store_explicit(&node->id_hex, id->hex, memory_order_release);
    return 0;
}

void sl_own_id_free(starling_node *node)
{
    for (struct sl_own_id *id = node->own_ids, *before; id != NULL; id = before) {
        before = id->before;
        free(id);
    }
    node->own_ids = NULL;
}

static void tell(starling_node *node)
{
    starling_event event = {.type = STARLING_CONFLICT};
    sl_copy_text(event.node, sizeof event.node, node->identity.name, strlen(node->identity.name));
    sl_copy_text(event.id, sizeof event.id, node->id_hex, STARLING_ID_MAX - 1);
    sl_copy_text(event.address, sizeof event.address, node->address, strlen(node->address));
    sl_events_add(node, &event);
    if (node->debug != NULL)
        sl_debug_events(node->debug);
}

/* 0 or an error with its text. */
static int be_somebody_else(starling_node *node, sl_usec now)
{
    const struct sl_settings *s = &node->settings;
    const struct sl_identity_options options = {
        .flock = s->flock,
        .name = node->identity.name,
        .state_dir = s->state_dir[0] != '\0' ? s->state_dir : NULL,
        .wall_s = sl_wall_us() / 1000000,
    };
    struct sl_identity next;
    uint64_t chance;
    sl_snapshot_pause(node); /* a file on its way is sealed with the old key */
    int r = sl_identity_rekey(&options, &node->identity, &next);
    if (r < 0)
        return r;
    sl_renewal_take(node,
                    &next); /* what is sealed is bound to whose fact it is in, and said again */
    sl_identity_fini(&next);
    r = sl_own_id_set(node);
    if (r < 0)
        return r;
    sl_entropy(&chance, sizeof chance);
    r = sl_gossip_rekey(node->gossip, now, sl_span_of(node->identity.cert, node->identity.cert_len),
                        sl_epoch_of(sl_wall_us(), chance));
    if (r < 0)
        return sl_fail(r, "out of memory for another identity");
    sl_snapshot_rekey(node, now);
    if (sl_rundir_publish(&node->rundir, node->identity.name, node->id_hex, &node->advertised) < 0)
        sl_log(&node->log, SL_WARNING, "%s", sl_fail_text());
    return 0;
}

void sl_yield(starling_node *node, sl_usec now)
{
    const char *old = node->id_hex;
    sl_log(&node->log, SL_ERROR,
           "another process lives with the key of node \"%s\" (%.8s): a copied machine, state "
           "directory or credentials file? This one, at %s, gives way",
           node->identity.name, old, node->address);
    tell(node);
    if (node->leaving)
        return;
    bool ours = node->identity.authority[0] != '\0';
    int r = ours ? be_somebody_else(node, now) : 0;
    if (ours && r == 0) {
        sl_log(&node->log, SL_WARNING,
               "node \"%s\" was %.8s and has another key: it is %.8s now, and offers what it did",
               node->identity.name, old, node->id_hex);
        return;
    }
    if (r < 0)
        sl_log(&node->log, SL_ERROR, "node \"%s\" gets no other key: %s", node->identity.name,
               sl_fail_text());
    node->out = true;
    sl_yield_turn(node, now);
}

void sl_yield_turn(starling_node *node, sl_usec now)
{
    if (!node->out || now < node->out_said_at)
        return;
    node->out_said_at = sl_after(now, SAY_EVERY);
    sl_log(
        &node->log, SL_ERROR,
        "node \"%s\" (%.8s) is out of the flock, since another process lives with its key; picks "
        "are flagged stale. Stop one of the two, or give it credentials of its own (starling ca "
        "issue), and start it again",
        node->identity.name, node->id_hex);
}
