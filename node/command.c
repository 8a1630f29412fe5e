/* command.c: offering services: from any application thread into the table, from the table to
 * the flock. Whatever a caller did wrong is found in the caller's thread, so that what the I/O
 * thread encodes always fits; it tells only what differs from what it told last. */
#include "node/command.h"

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"
#include "node/offer.h"

void sl_commands_init(struct sl_commands *c)
{
    memset(c, 0, sizeof *c);
    c->weigh_at = SL_NEVER;
    pthread_mutex_init(&c->lock, NULL);
}

void sl_commands_fini(struct sl_commands *c)
{
    /* Callbacks first: one that runs may still use its registration. */
    while (c->fresh != NULL) {
        struct sl_checker *checker = c->fresh;
        c->fresh = checker->next;
        sl_checker_free(checker);
    }
    for (size_t i = 0; i < c->n_offers; i++)
        sl_registration_free(c->offers[i]);
    c->n_offers = 0;
    pthread_mutex_destroy(&c->lock);
}

/* ---- the table, under the lock ----------------------------------------------------------- */

size_t sl_commands_find(const struct sl_commands *c, const char *tenant, const char *name)
{
    size_t i = 0;
    while (i < c->n_offers && (strcmp(c->offers[i]->service.name, name) != 0 ||
                               strcmp(c->offers[i]->service.tenant, tenant) != 0))
        i++;
    return i;
}

/* `all`: also those that are held back, as if they were told. */
static size_t list_offers(const struct sl_commands *c, bool all,
                          const struct sl_service *list[SL_SERVICES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_offers; i++)
        if (all || !c->offers[i]->held)
            list[n++] = &c->offers[i]->service;
    return n;
}

static size_t encode_record(const struct sl_commands *c, bool all, uint8_t *out)
{
    const struct sl_service *list[SL_SERVICES_MAX];
    size_t n = list_offers(c, all, list);
    return sl_sections_write_record(list, n, out, SL_OFFER_RECORD_MAX);
}

static size_t encode_vitals(const struct sl_commands *c, bool all, uint8_t *out)
{
    const struct sl_service *list[SL_SERVICES_MAX];
    size_t n = list_offers(c, all, list);
    return sl_sections_write_vitals(list, n, out, SL_OFFER_VITALS_MAX);
}

static int add_offer(struct sl_commands *c, struct starling_registration *reg)
{
    const char *name = reg->service.name;
    if (c->closed)
        return sl_fail(STARLING_ECLOSED, "the node has left its flock");
    if (sl_commands_find(c, reg->service.tenant, name) < c->n_offers)
        return sl_fail(STARLING_EEXIST, "this node offers service \"%s\" already", name);
    if (c->n_offers == SL_SERVICES_MAX)
        return sl_fail(STARLING_ELIMIT, "a node offers at most %d services", SL_SERVICES_MAX);
    c->offers[c->n_offers++] = reg;
    if (encode_record(c, true, c->scratch) == 0 || encode_vitals(c, true, c->scratch) == 0) {
        c->n_offers--;
        return sl_fail(STARLING_ELIMIT,
                       "with \"%s\" this node's services are longer than the %d bytes of a record",
                       name, SL_OFFER_RECORD_MAX);
    }
    sl_registration_weigh(reg); /* the node may be draining */
    if (reg->checker != NULL) {
        reg->checker->next = c->fresh;
        c->fresh = reg->checker;
    }
    if (reg->held)
        return 0;
    c->record_changed = c->vitals_changed = true;
    /* Ahead of the record at everybody's, too: nobody sees it as fit in between. */
    c->vitals_urgent = c->vitals_urgent || reg->service.health != STARLING_PASSING;
    return 0;
}

static void remove_offer(struct sl_commands *c, const struct starling_registration *reg)
{
    size_t i = 0;
    while (i < c->n_offers && c->offers[i] != reg)
        i++;
    if (i == c->n_offers)
        return;
    c->n_offers--;
    memmove(&c->offers[i], &c->offers[i + 1], (c->n_offers - i) * sizeof c->offers[0]);
    c->record_changed = c->vitals_changed = c->withdrawn = true;
}

/* ---- public ------------------------------------------------------------------------------ */

int starling_register_sized(starling_node *node, const starling_service *service, size_t size,
                            starling_registration **ret_registration)
{
    starling_service s = {0};
    struct starling_registration *reg = NULL;
    int r = sl_node_check(node);
    if (r < 0)
        return r;
    if (service == NULL)
        return sl_fail(STARLING_EINVAL, "service is NULL");
    memcpy(&s, service, size < sizeof s ? size : sizeof s);
    r = sl_registration_new(node, &s, &reg);
    if (r < 0)
        return r;

    struct sl_commands *c = &node->commands;
    pthread_mutex_lock(&c->lock);
    r = add_offer(c, reg);
    pthread_mutex_unlock(&c->lock);
    if (r < 0) {
        sl_checker_free(reg->checker);
        sl_registration_free(reg);
        return r;
    }
    sl_node_wake(node);
    if (ret_registration != NULL)
        *ret_registration = reg;
    return 0;
}

void starling_deregister(starling_registration *reg)
{
    if (reg == NULL || sl_node_check(reg->node) < 0)
        return;
    starling_node *node = reg->node;
    struct sl_checker *checker = reg->checker;
    pthread_mutex_lock(&node->commands.lock);
    remove_offer(&node->commands, reg);
    bool draining = node->commands.draining;
    pthread_mutex_unlock(&node->commands.lock);
    if (draining)
        sl_node_tell_waiters(node); /* its requests are nobody's any more */
    if (checker != NULL) {
        /* Withdrawn first, so that nobody picks it while its callback takes its time. A callback
         * does not wait, neither for itself nor for another that may be waiting for it. */
        sl_call_stop(&checker->call, !sl_call_is_inside(node) && !sl_node_in_callback(node));
        pthread_mutex_lock(&node->commands.lock);
        checker->offer = NULL;
        pthread_mutex_unlock(&node->commands.lock);
    }
    sl_registration_free(reg);
    sl_node_wake(node);
}

/* What is the same before every change of a registration: 0 with the lock held. */
int sl_change_begin(starling_registration *reg)
{
    if (reg == NULL)
        return sl_fail(STARLING_EINVAL, "registration is NULL");
    int r = sl_node_check(reg->node);
    if (r < 0)
        return r;
    struct sl_commands *c = &reg->node->commands;
    pthread_mutex_lock(&c->lock);
    if (!c->closed)
        return 0;
    pthread_mutex_unlock(&c->lock);
    return sl_fail(STARLING_ECLOSED, "the node has left its flock");
}

void sl_change_end(starling_registration *reg)
{
    struct sl_commands *c = &reg->node->commands;
    c->vitals_changed = c->vitals_urgent = true;
    pthread_mutex_unlock(&c->lock);
    sl_node_wake(reg->node);
}

int starling_set_health(starling_registration *reg, enum starling_health health, const char *note)
{
    if ((unsigned)health > STARLING_CRITICAL)
        return sl_fail(STARLING_EINVAL, "health %d is none", (int)health);
    int r = sl_change_begin(reg);
    if (r < 0)
        return r;
    sl_registration_say(reg, health, note != NULL ? note : "");
    sl_change_end(reg);
    return 0;
}

int starling_renew(starling_registration *reg)
{
    int r = sl_change_begin(reg);
    if (r < 0)
        return r;
    pthread_mutex_t *lock = &reg->node->commands.lock;
    if (reg->checker == NULL || reg->checker->kind != STARLING_CHECK_TTL) {
        pthread_mutex_unlock(lock);
        return sl_fail(STARLING_EINVAL, "service \"%s\" is not registered with STARLING_CHECK_TTL",
                       reg->service.name);
    }
    atomic_store_explicit(&reg->checker->renewed, sl_now(), memory_order_release);
    /* The I/O thread looks when the last renewal it knows of ends; sooner only for a change. */
    bool changes = reg->found != STARLING_PASSING || reg->held;
    pthread_mutex_unlock(lock);
    if (changes)
        sl_node_wake(reg->node);
    return 0;
}

void sl_node_leave(starling_node *node)
{
    node->commands.leaving = true;
    sl_node_wake(node);
}

/* ---- telling the flock, on the I/O thread -------------------------------------------------- */

static void keep(struct sl_saying *say, const uint8_t *bytes, size_t len, bool urgent)
{
    if (len == 0 || (len == say->len && memcmp(say->bytes, bytes, len) == 0))
        return; /* nothing that the flock does not know */
    memcpy(say->bytes, bytes, len);
    say->len = len;
    say->due = true;
    say->urgent = say->urgent || urgent;
}

/* Copy what changed out of the table. False: an application thread is in it. */
static bool look(starling_node *node, sl_usec now)
{
    struct sl_commands *c = &node->commands;
    struct sl_checker *gone = NULL;
    if (pthread_mutex_trylock(&c->lock) != 0)
        return false;
    sl_checks_meet(node, &gone);
    sl_weigh_turn(node, now);
    if (c->record_changed)
        keep(&c->record, c->scratch, encode_record(c, false, c->scratch), c->withdrawn);
    if (c->vitals_changed)
        keep(&c->vitals, c->scratch, encode_vitals(c, false, c->scratch), c->vitals_urgent);
    c->record_first = c->record_first || c->withdrawn;
    c->leaving = c->leaving || c->leave;
    c->closed = c->closed || c->leaving;
    c->record_changed = c->vitals_changed = c->withdrawn = c->vitals_urgent = false;
    pthread_mutex_unlock(&c->lock);
    sl_checks_bury(node, gone);
    return true;
}

/* Put one of the two, if it is due. When to come back, SL_NEVER when it is said. */
static sl_usec say(starling_node *node, sl_usec now, enum sl_kind kind)
{
    struct sl_commands *c = &node->commands;
    struct sl_saying *what = kind == SL_RECORD ? &c->record : &c->vitals;
    if (!what->due)
        return SL_NEVER;
    sl_usec allowed = c->said - SL_SAY_BURST * SL_SAY_EVERY;
    if (now < allowed)
        return allowed;
    int r =
        sl_gossip_put(node->gossip, now, kind, sl_span_of(what->bytes, what->len), what->urgent);
    if (r == STARLING_ENOMEM)
        return sl_after(now, SL_MS(100));
    if (r < 0)
        sl_log(&node->log, SL_ERROR, "services of this node were refused (%s); others keep the old",
               starling_strerror(r));
    c->said = (c->said > now ? c->said : now) + SL_SAY_EVERY;
    what->due = what->urgent = false;
    return SL_NEVER;
}

sl_usec sl_commands_turn(starling_node *node, sl_usec now)
{
    struct sl_commands *c = &node->commands;
    if (!look(node, now))
        return sl_after(now, SL_MS(1));
    /* A new service's health goes before the record that shows it, so that nobody sees one that
     * starts critical as fit; for one that is withdrawn it is the other way round. */
    bool record_first = c->record_first;
    sl_usec again = say(node, now, record_first ? SL_RECORD : SL_VITALS);
    if (again == SL_NEVER)
        again = say(node, now, record_first ? SL_VITALS : SL_RECORD);
    if (again == SL_NEVER)
        c->record_first = false;
    return sl_earlier(again, c->weigh_at);
}
