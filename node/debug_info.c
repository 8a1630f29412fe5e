/* debug_info.c: `info`: who this node is and everything it counts.
 * Counters are named as in the structs they come from, so that a figure can be followed to its
 * line. */
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "node/debug_json.h"
#include "node/files.h"

#define COUNT(object, stats, name)                                                                 \
    json_object_set_new(object, #name, json_integer((json_int_t)(stats).name))

static json_t *gossip_counters(const struct sl_gossip_info *info)
{
    json_t *o = json_object();
    int bad = 0;
#define SL_X(name) bad |= COUNT(o, info->stats, name);
    SL_GOSSIP_COUNTERS(SL_X)
#undef SL_X
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *transport_counters(const struct sl_transport *transport)
{
    struct sl_transport_stats s;
    json_t *o = json_object();
    int bad = 0;
    sl_transport_stats(transport, &s);
    bad |= COUNT(o, s, accepted);
    bad |= COUNT(o, s, handshakes);
    bad |= COUNT(o, s, handshakes_failed);
    bad |= COUNT(o, s, zap_allowed);
    bad |= COUNT(o, s, zap_refused);
    bad |= COUNT(o, s, zap_barred);
    bad |= COUNT(o, s, no_user_id);
    bad |= COUNT(o, s, multipart);
    bad |= COUNT(o, s, brought_identity);
    bad |= COUNT(o, s, oversized);
    bad |= COUNT(o, s, send_dropped);
    bad |= COUNT(o, s, lobby_evicted);
    bad |= COUNT(o, s, turned_away);
    bad |= COUNT(o, s, links_in);
    bad |= COUNT(o, s, links_out);
    bad |= COUNT(o, s, half_open);
    bad |= COUNT(o, s, held_off);
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *store_counters(const struct sl_store *store)
{
    struct sl_store_stats s;
    json_t *o = json_object();
    int bad = 0;
    sl_store_stats(store, &s);
    bad |= COUNT(o, s, sections_refused);
    bad |= COUNT(o, s, rosters_published);
    bad |= COUNT(o, s, rosters_freed);
    bad |= COUNT(o, s, services);
    bad |= COUNT(o, s, instances);
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *sections_counters(const struct sl_sections_stats *s)
{
    json_t *o = json_object();
    int bad = 0;
#define SL_X(name) bad |= COUNT(o, *s, name);
    SL_SECTIONS_COUNTERS(SL_X)
#undef SL_X
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}

/* Of the whole process; 0 where /proc is not to be read. */
static long resident_kb(void)
{
    char text[128];
    long pages_all, pages = 0;
    ssize_t len = sl_file_read("/proc/self/statm", text, sizeof text - 1);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    if (sscanf(text, "%ld %ld", &pages_all, &pages) != 2)
        return 0;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Which one is in use, and what the node holds of it. */
static json_t *certificate(const starling_node *node)
{
    static const char *const states[] = {[SL_LIFE_GOOD] = "valid",
                                         [SL_LIFE_ENDING] = "to be renewed",
                                         [SL_LIFE_ENDED] = "expired",
                                         [SL_LIFE_OVER] = "expired, more than a day ago"};
    const struct sl_identity *identity = &node->identity;
    char serial[SL_SERIAL_TEXT], until[SL_TIME_TEXT], note[SL_RENEWAL_NOTE];
    enum sl_life life = sl_renewal_note(identity, sl_wall_us() / 1000000, note);
    sl_identity_serial(identity, serial);
    sl_time_text(identity->not_after, until);
    return sl_json_object("serial", json_string(serial), "not_after", json_string(until), "state",
                          json_string(states[life]), "note", json_string(note), "authorities",
                          json_integer((json_int_t)identity->bundle.n_authorities), "doors",
                          json_integer(identity->bundle.two_doors ? 2 : 1), NULL);
}

json_t *sl_json_info(const starling_node *node, sl_usec now)
{
    struct sl_gossip_info g;
    char root[17], expires[SL_TIME_TEXT];
    uint8_t root_bytes[8];
    sl_gossip_info(node->gossip, &g);
    sl_put64(root_bytes, g.root);
    sl_hex(root, root_bytes, sizeof root_bytes);
    sl_time_text(node->identity.not_after, expires);
    return sl_json_object(
        "id", json_string(node->id_hex), "name", json_string(node->identity.name), "address",
        json_string(node->address), "flock", json_string(node->settings.flock), "zone",
        json_string(node->settings.zone), "expires", json_string(expires), "certificate",
        certificate(node), "version", json_string(starling_version()), "pid",
        json_integer(getpid()), "uptime_ms", json_integer((now - node->started) / 1000), "epoch",
        json_integer((json_int_t)g.version.epoch), "root", json_string(root), "members",
        json_integer((json_int_t)g.n_members), "alive", json_integer((json_int_t)g.n_alive),
        "isolated", json_boolean(g.isolated), "yielded", json_boolean(g.yielded), "remembered",
        json_integer((json_int_t)sl_snapshot_remembered(node)), "edges",
        json_integer((json_int_t)g.n_edges), "links", json_integer((json_int_t)g.n_links), "facts",
        json_integer((json_int_t)g.n_facts), "revoked",
        json_integer((json_int_t)(sl_gossip_revoked(node->gossip).len / SL_REVOCATION_LEN)),
        "memory_kb", json_integer(resident_kb()), "gossip", gossip_counters(&g), "transport",
        transport_counters(node->transport), "store", store_counters(node->store), "sections",
        sections_counters(&node->sections), NULL);
}
