/* snapshot.c: when what is remembered is served, when it is given up, and when it is written.
 *
 * The flock has answered once a neighbour is proven and either everybody remembered is known, or
 * nobody new was heard of for QUIET: a newcomer asks its first neighbour at once for all that it
 * holds (PROTOCOL.md, "Reconciling"), which comes in pages a quarter of a second apart. Then whom
 * the flock does not know is forgotten. Without an answer nothing changes, for a day. Until then
 * nothing is written either: a node alone knows less than its file does. */
#include "node/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "node/files.h"
#include "node/node.h"

#define QUIET SL_SEC(2)
#define ANSWER_MAX SL_SEC(30) /* so long is waited for the news to end */

#define SAVE_FIRST SL_SEC(1) /* after a change */
#define SAVE_EVERY SL_SEC(5)
#define SAVE_BYTES_PER_SECOND (16 * 1024) /* a large flock changes all the time: spare the disk */
#define SAVE_AGAIN SL_SEC(3600)

#define PATH_BYTES_MAX 1100
#define STACK_BYTES (512 * 1024) /* as in loop.c, and for the same reason */

static bool path_of(const starling_node *node, char out[PATH_BYTES_MAX])
{
    int len = snprintf(out, PATH_BYTES_MAX, "%s/snapshot", node->settings.state_dir);
    return len > 0 && len < PATH_BYTES_MAX;
}

/* ---- from the disk to the store ----------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct sl_remembered *x = a, *y = b;
    return sl_id_cmp(&x->id, &y->id);
}

/* 0 or STARLING_ENOMEM. */
static int feed(starling_node *node, const struct sl_snapshot_entry *entry)
{
    struct sl_store_member member = {
        .id = entry->id, .addr = entry->addr, .epoch = entry->epoch, .status = STARLING_SUSPECT};
    memcpy(member.name, entry->name, sizeof entry->name);
    memcpy(member.zone, entry->zone, sizeof entry->zone);
    int r = sl_store_member(node->store, &member);
    if (r == 0)
        r = sl_store_vitals(
            node->store, &entry->id,
            sl_sections_reveal_kept(&node->reveal, SL_VITALS, &entry->id, entry->vitals));
    if (r == 0)
        r = sl_store_record(
            node->store, &entry->id,
            sl_sections_reveal_kept(&node->reveal, SL_RECORD, &entry->id, entry->record));
    return r;
}

/* 0 or STARLING_ENOMEM; then nothing is remembered. */
static int remember(starling_node *node, struct sl_span entries)
{
    struct sl_snapshot *s = &node->snapshot;
    struct sl_snapshot_entry entry;
    struct sl_span rest = entries;
    size_t n = 0;
    while (sl_snapshot_next(&rest, &entry))
        n++;
    struct sl_remembered *list = calloc(n > 0 ? n : 1, sizeof *list);
    if (list == NULL)
        return STARLING_ENOMEM;
    int r = 0;
    n = 0;
    for (rest = entries; r == 0 && sl_snapshot_next(&rest, &entry);) {
        if (sl_id_eq(&entry.id, &node->identity.id) || /* what this node offers it says itself */
            sl_gossip_is_revoked(node->gossip, &entry.id, entry.serial))
            continue;
        list[n] = (struct sl_remembered){.id = entry.id, .epoch = entry.epoch};
        memcpy(list[n++].serial, entry.serial, sizeof entry.serial);
        r = feed(node, &entry);
    }
    for (size_t i = 0; r < 0 && i < n; i++)
        sl_store_forget(node->store, &list[i].id);
    if (r < 0 || n == 0) {
        free(list);
        return r;
    }
    qsort(list, n, sizeof *list, by_id);
    s->remembered = list;
    s->n_remembered = s->n_missing = n;
    return 0;
}

static void serve(starling_node *node, sl_usec now, struct sl_span file, const char *path)
{
    struct sl_snapshot *s = &node->snapshot;
    struct sl_span entries;
    int64_t wall_s = sl_wall_us() / 1000000, written_s;
    const char *fault = sl_snapshot_check(file, &s->owner, wall_s, &entries, &written_s);
    if (fault != NULL) {
        sl_log(&node->log, SL_WARNING, "%s %s; it is ignored, others are found as without it", path,
               fault);
        return;
    }
    if (remember(node, entries) < 0) {
        sl_log(&node->log, SL_WARNING, "out of memory for %s; it is ignored", path);
        return;
    }
    if (s->remembered == NULL)
        return;
    int64_t age_s = written_s < wall_s ? wall_s - written_s : 0;
    s->expire_at = sl_after(now, SL_SEC(SL_SNAPSHOT_LIFE_S - age_s));
    sl_store_stale(node->store, true);
    node->publish_at = now;
    sl_log(&node->log, SL_INFO,
           "%zu members are remembered from %lld s ago; picks are flagged stale until the flock "
           "answers",
           s->n_remembered, (long long)age_s);
}

void sl_snapshot_open(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    char path[PATH_BYTES_MAX];
    s->answered_at = s->save_at = s->again_at = SL_NEVER;
    s->kept = node->settings.state_dir[0] != '\0' && path_of(node, path);
    if (!s->kept)
        return;
    sl_snapshot_owner_init(&s->owner, &node->crypto, node->identity.bundle.flock,
                           &node->identity.id, node->identity.signer.seed);
    uint8_t *file = malloc(SL_SNAPSHOT_BYTES_MAX);
    ssize_t len =
        file != NULL ? sl_file_read_secret(path, file, SL_SNAPSHOT_BYTES_MAX) : STARLING_ENOMEM;
    if (len >= 0)
        serve(node, now, sl_span_of(file, (size_t)len), path);
    else if (len != STARLING_ENOENT)
        sl_log(&node->log, SL_WARNING, "%s; it is ignored, others are found as without it",
               file != NULL ? sl_fail_text() : "out of memory for the snapshot");
    free(file);
}

/* ---- until the flock answers -------------------------------------------------------------- */

bool sl_snapshot_waits(const starling_node *node)
{
    return node->snapshot.remembered != NULL;
}

size_t sl_snapshot_remembered(const starling_node *node)
{
    return sl_snapshot_waits(node) ? node->snapshot.n_missing : 0;
}

bool sl_snapshot_heard(starling_node *node, const struct sl_id *id, uint64_t epoch)
{
    struct sl_snapshot *s = &node->snapshot;
    const struct sl_remembered key = {.id = *id};
    if (s->remembered == NULL)
        return false;
    struct sl_remembered *m =
        bsearch(&key, s->remembered, s->n_remembered, sizeof *s->remembered, by_id);
    if (m == NULL || m->known)
        return false;
    m->known = true;
    s->n_missing--;
    return m->epoch != epoch;
}

/* Nothing is remembered any more: the store has what the core knows. */
static void give_up(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    for (size_t i = 0; i < s->n_remembered; i++) {
        if (!s->remembered[i].known)
            sl_store_forget(node->store, &s->remembered[i].id);
    }
    free(s->remembered);
    s->remembered = NULL;
    sl_store_stale(node->store, node->isolated);
    node->publish_at = sl_earlier(node->publish_at, now);
}

/* Somebody remembered may have been revoked meanwhile. Whom the core has a record of it puts out itself. */
static void drop_revoked(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    size_t n_revoked = sl_gossip_revoked(node->gossip).len, kept = 0;
    if (s->n_revoked == n_revoked) /* the set only grows */
        return;
    s->n_revoked = n_revoked;
    for (size_t i = 0; i < s->n_remembered; i++) {
        const struct sl_remembered *m = &s->remembered[i];
        if (m->known || !sl_gossip_is_revoked(node->gossip, &m->id, m->serial)) {
            s->remembered[kept++] = *m;
            continue;
        }
        sl_store_forget(node->store, &m->id);
        s->n_missing--;
        node->publish_at = sl_earlier(node->publish_at, now);
    }
    s->n_remembered = kept;
}

static bool has_answered(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    struct sl_gossip_info g;
    sl_gossip_info(node->gossip, &g);
    if (g.n_edges == 0) {
        s->answered_at = SL_NEVER;
        return false;
    }
    if (s->answered_at == SL_NEVER)
        s->answered_at = s->grew_at = now;
    if (g.n_members > s->n_members)
        s->grew_at = now;
    s->n_members = g.n_members;
    return s->n_missing == 0 || now >= sl_after(s->grew_at, QUIET) ||
           now >= sl_after(s->answered_at, ANSWER_MAX);
}

static void look(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    if (has_answered(node, now)) {
        sl_log(&node->log, SL_INFO,
               "the flock has answered: it knows %zu of %zu remembered members, others are "
               "forgotten",
               s->n_remembered - s->n_missing, s->n_remembered);
        give_up(node, now);
        sl_snapshot_changed(node, now);
    } else if (now >= s->expire_at) {
        sl_log(&node->log, SL_WARNING,
               "nobody has answered since the start, and what is remembered is a day old: %zu "
               "members are forgotten",
               s->n_missing);
        give_up(node, now);
    }
}

/* ---- from the core to the disk ------------------------------------------------------------ */

/* A file on its way: a thread of its own seals it and waits for the disk, which may take seconds,
 * while the node is expected to answer. */
struct sl_saving {
    starling_node *node; /* to be roused; outlives the thread */
    pthread_t thread;
    atomic_bool done; /* stored last by the thread; pairs with the load in finish */
    int result;
    char error[256];
    char path[PATH_BYTES_MAX];
    int64_t wall_s;
    struct sl_pack w; /* over `bytes` */
    uint8_t bytes[];
};

static void *save_main(void *arg)
{
    struct sl_saving *saving = arg;
    /* Fixed from opening until this thread has been joined. */
    const struct sl_snapshot_owner *owner = &saving->node->snapshot.owner;
    (void)pthread_setname_np(pthread_self(), "starling-disk");
    size_t len = sl_snapshot_end(&saving->w, owner, saving->wall_s);
    saving->result = sl_file_write(saving->path, saving->bytes, len, 0600);
    if (saving->result < 0) {
        const char *text = sl_fail_text();
        sl_copy_text(saving->error, sizeof saving->error, text, strlen(text));
    }
    starling_node *node = saving->node;
    atomic_store_explicit(&saving->done, true, memory_order_release);
    sl_node_wake(node);
    return NULL;
}

static void complain(starling_node *node, const char *why)
{
    if (!node->snapshot.complained)
        sl_log(&node->log, SL_WARNING, "%s; a restart finds others only when they answer", why);
    node->snapshot.complained = true;
}

/* Take what became of the last file; `wait` for it, or leave it when it is not done. */
static void finish(starling_node *node, bool wait)
{
    struct sl_saving *saving = node->snapshot.saving;
    if (saving == NULL || (!wait && !atomic_load_explicit(&saving->done, memory_order_acquire)))
        return;
    pthread_join(saving->thread, NULL);
    if (saving->result < 0) {
        complain(node, saving->error);
        node->snapshot.sum = 0; /* the disk does not have it: try again */
        node->snapshot.changed = true;
    } else {
        node->snapshot.complained = false;
    }
    node->snapshot.saving = NULL;
    free(saving);
}

static bool start(struct sl_saving *saving)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    int failed = pthread_create(&saving->thread, &attr, save_main, saving);
    (void)pthread_attr_destroy(&attr);
    return failed == 0;
}

/* Sections of a member, as it sent them. */
struct kept {
    uint8_t record[SL_RECORD_MAX], vitals[SL_VITALS_MAX];
};

/* Of a member that is reachable and offers something that this node can read. Borrows from `room`. */
static bool entry_of(starling_node *node, const struct sl_member_info *m, struct kept *room,
                     struct sl_snapshot_entry *ret)
{
    struct sl_record record;
    struct sl_vitals vitals;
    struct sl_cert cert;
    if (m->self || m->status > SL_SUSPECT || m->record == NULL || m->record->who == NULL ||
        !sl_record_read(sl_fact_body(m->record), &record) || record.sections.len <= 1 ||
        !sl_cert_decode(&node->crypto, record.cert, &cert))
        return false; /* an empty list is one byte */
    record.sections =
        sl_sections_keep(&node->reveal, SL_RECORD, &m->id, &cert, record.sections, room->record);
    if (record.sections.len <= 1)
        return false;
    const struct sl_who *who = m->record->who;
    if (record.cert.len < SL_CERT_SERIAL_AT + sizeof ret->serial)
        return false;
    *ret = (struct sl_snapshot_entry){.id = m->id,
                                      .addr = record.addr,
                                      .epoch = m->record->version.epoch,
                                      .record = record.sections};
    sl_copy_text(ret->name, sizeof ret->name, (const char *)who->name.p, who->name.len);
    sl_copy_text(ret->zone, sizeof ret->zone, (const char *)who->zone.p, who->zone.len);
    memcpy(ret->serial, record.cert.p + SL_CERT_SERIAL_AT, sizeof ret->serial);
    if (m->vitals != NULL && sl_vitals_read(sl_fact_body(m->vitals), &vitals))
        ret->vitals = sl_sections_keep(&node->reveal, SL_VITALS, &m->id, &cert, vitals.sections,
                                       room->vitals);
    return true;
}

static void fill(starling_node *node, struct sl_pack *w)
{
    struct sl_member_info m;
    struct sl_snapshot_entry entry;
    struct kept room;
    size_t n = sl_gossip_n_members(node->gossip);
    for (size_t i = 0; i < n; i++) {
        if (sl_gossip_member(node->gossip, i, &m) && entry_of(node, &m, &room, &entry))
            (void)sl_snapshot_add(w, &entry); /* no room: a smaller one may still fit */
    }
}

/* `anyway`: also when the disk has the same, since the file is getting old. */
static void save(starling_node *node, sl_usec now, bool anyway)
{
    struct sl_snapshot *s = &node->snapshot;
    s->changed = false;
    s->save_at = sl_after(now, SAVE_EVERY);
    s->again_at = sl_after(now, SAVE_AGAIN);
    /* Pages that are not written to cost nothing. */
    struct sl_saving *saving = malloc(sizeof *saving + SL_SNAPSHOT_BYTES_MAX);
    if (saving == NULL) {
        complain(node, "out of memory for the snapshot");
        return;
    }
    sl_snapshot_begin(&saving->w, saving->bytes, SL_SNAPSHOT_BYTES_MAX);
    fill(node, &saving->w);
    struct sl_span entries = sl_snapshot_entries(&saving->w);
    uint64_t sum = sl_siphash(s->owner.key, entries.p, entries.len);
    if ((sum == s->sum && !anyway) || !path_of(node, saving->path)) {
        free(saving);
        return;
    }
    saving->wall_s = sl_wall_us() / 1000000;
    saving->node = node;
    saving->result = 0;
    atomic_init(&saving->done, false);
    sl_usec pause = SL_SEC(entries.len / SAVE_BYTES_PER_SECOND);
    s->save_at = sl_after(now, pause > SAVE_EVERY ? pause : SAVE_EVERY);
    if (!start(saving)) {
        complain(node, "no thread for writing the snapshot");
        free(saving);
        return;
    }
    s->saving = saving;
    s->sum = sum;
}

void sl_snapshot_changed(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    if (!s->kept)
        return;
    if (s->save_at == SL_NEVER || s->save_at < now)
        s->save_at = sl_after(now, SAVE_FIRST);
    s->changed = s->seen_any = true;
}

void sl_snapshot_pause(starling_node *node)
{
    finish(node, true);
}

void sl_snapshot_rekey(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    if (!s->kept)
        return;
    sl_snapshot_owner_init(&s->owner, &node->crypto, node->identity.bundle.flock,
                           &node->identity.id, node->identity.signer.seed);
    s->sum = 0; /* what the disk has is another's */
    sl_snapshot_changed(node, now);
}

/* ---- in time ------------------------------------------------------------------------------ */

static bool may_save(const starling_node *node)
{
    const struct sl_snapshot *s = &node->snapshot;
    return s->kept && s->seen_any && s->remembered == NULL && !node->out; /* that view is old */
}

void sl_snapshot_turn(starling_node *node, sl_usec now)
{
    struct sl_snapshot *s = &node->snapshot;
    finish(node, false);
    if (s->remembered != NULL) {
        drop_revoked(node, now);
        look(node, now);
    }
    if (!may_save(node) || node->leaving || s->saving != NULL)
        return;
    if (now >= s->again_at)
        save(node, now, true);
    else if (s->changed && now >= s->save_at)
        save(node, now, false);
}

sl_usec sl_snapshot_deadline(const starling_node *node)
{
    const struct sl_snapshot *s = &node->snapshot;
    if (s->remembered != NULL) {
        sl_usec quiet = s->answered_at != SL_NEVER ? sl_after(s->grew_at, QUIET) : SL_NEVER;
        return sl_earlier(s->expire_at, quiet);
    }
    if (!may_save(node) || node->leaving || s->saving != NULL) /* the thread wakes us */
        return SL_NEVER;
    return sl_earlier(s->again_at, s->changed ? s->save_at : SL_NEVER);
}

void sl_snapshot_leave(starling_node *node, sl_usec now)
{
    if (!may_save(node))
        return;
    finish(node, true);
    save(node, now, true);
}

void sl_snapshot_close(starling_node *node)
{
    finish(node, true);
    free(node->snapshot.remembered);
    node->snapshot.remembered = NULL;
    sl_snapshot_owner_fini(&node->snapshot.owner);
    node->snapshot.kept = false;
}
