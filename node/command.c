/* command.c: offering services: from any application thread into the table, from the table to
 * the flock. Whatever a caller did wrong is found in the caller's thread, so that what the I/O
 * thread encodes always fits; it tells only what differs from what it told last. */
#include "node/command.h"

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"
#include "node/offer.h"
#include "node/rights.h"
#include "node/sections.h"

void sl_commands_init(struct sl_commands *c)
{
    memset(c, 0, sizeof *c);
    c->weigh_at = c->seal_at = SL_NEVER;
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

/* Into c->scratch; 0 when it does not fit. */
static size_t encode(starling_node *node, enum sl_kind kind, bool all, uint64_t *ret_sum)
{
    struct sl_commands *c = &node->commands;
    const struct sl_service *list[SL_SERVICES_MAX];
    size_t n = list_offers(c, all, list);
    const struct sl_sealer sealer = {.keyring = &node->identity.keyring,
                                     .origin = &node->identity.id,
                                     .wall_s = sl_wall_us() / 1000000,
                                     .plain = c->plain,
                                     .sealed = c->sealed,
                                     .cap = sizeof c->sealed};
    return sl_sections_write(&sealer, kind, list, n, c->scratch,
                             kind == SL_RECORD ? SL_OFFER_RECORD_MAX : SL_OFFER_VITALS_MAX,
                             ret_sum);
}

/* Whatever their weights become: the longest is told. */
static bool all_fit(starling_node *node)
{
    struct sl_commands *c = &node->commands;
    uint16_t weights[SL_SERVICES_MAX];
    uint64_t sum;
    for (size_t i = 0; i < c->n_offers; i++) {
        weights[i] = c->offers[i]->service.weight;
        c->offers[i]->service.weight = STARLING_WEIGHT_MAX;
    }
    bool fit = encode(node, SL_RECORD, true, &sum) > 0 && encode(node, SL_VITALS, true, &sum) > 0;
    for (size_t i = 0; i < c->n_offers; i++)
        c->offers[i]->service.weight = weights[i];
    return fit;
}

/* What others would ignore is a sentence here. */
static int check_rights(const starling_node *node, const struct sl_service *s)
{
    const struct sl_identity *identity = &node->identity;
    struct sl_cert cert;
    uint8_t tenant[8];
    if (!sl_cert_decode(&node->crypto, sl_span_of(identity->cert, identity->cert_len), &cert))
        return sl_fail(STARLING_EAUTH, "the certificate of node \"%s\" is damaged", identity->name);
    if (!sl_cert_may_offer(&cert, s->name))
        return sl_fail(STARLING_EAUTH,
                       "the certificate of node \"%s\" does not let it offer \"%s\": have one "
                       "issued that does (starling ca issue --service PATTERN)",
                       identity->name, s->name);
    if (strcmp(s->tenant, SL_DEFAULT_TENANT) == 0)
        return 0;
    sl_tenant_id(&node->crypto, identity->bundle.flock, s->tenant, tenant);
    if (sl_cert_has_tenant(&cert, tenant) && sl_keyring_has(&identity->keyring, s->tenant))
        return 0;
    return sl_fail(STARLING_EAUTH,
                   "node \"%s\" has no key of tenant \"%s\", which service \"%s\" is for: have "
                   "credentials issued that grant it (starling ca issue --tenant %s)",
                   identity->name, s->tenant, s->name, s->tenant);
}

void sl_commands_warn_rights(starling_node *node)
{
    struct sl_commands *c = &node->commands;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_offers; i++)
        if (check_rights(node, &c->offers[i]->service) < 0)
            sl_log(&node->log, SL_WARNING, "others ignore service \"%s\" from now on: %s",
                   c->offers[i]->service.name, sl_fail_text());
    pthread_mutex_unlock(&c->lock);
}

static int add_offer(starling_node *node, struct starling_registration *reg)
{
    struct sl_commands *c = &node->commands;
    const char *name = reg->service.name;
    if (c->closed)
        return sl_fail(STARLING_ECLOSED, "the node has left its flock");
    if (sl_commands_find(c, reg->service.tenant, name) < c->n_offers)
        return sl_fail(STARLING_EEXIST, "this node offers service \"%s\" already", name);
    if (c->n_offers == SL_SERVICES_MAX)
        return sl_fail(STARLING_ELIMIT, "a node offers at most %d services", SL_SERVICES_MAX);
    int r = check_rights(node, &reg->service);
    if (r < 0)
        return r;
    c->offers[c->n_offers++] = reg;
    if (!all_fit(node)) {
        c->n_offers--;
        return sl_fail(STARLING_ELIMIT,
                       "with \"%s\" this node's services are longer than the %d bytes of a record, "
                       "or their health than %d",
                       name, SL_OFFER_RECORD_MAX, SL_OFFER_VITALS_MAX);
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
    r = add_offer(node, reg);
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

void sl_commands_ask_tenant(starling_node *node, const char *tenant)
{
    struct sl_commands *c = &node->commands;
    pthread_mutex_lock(&c->lock);
    if (!sl_keyring_has(&node->identity.keyring, tenant) &&
        strcmp(c->unknown_tenant, tenant) != 0) {
        sl_copy_text(c->unknown_tenant, sizeof c->unknown_tenant, tenant, strlen(tenant));
        c->unknown_told = false;
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- telling the flock, on the I/O thread -------------------------------------------------- */

static void keep(starling_node *node, struct sl_saying *say, enum sl_kind kind, bool urgent)
{
    uint64_t sum;
    size_t len = encode(node, kind, false, &sum);
    if (len == 0 || (say->len > 0 && say->sum == sum))
        return; /* nothing that the flock does not know */
    memcpy(say->bytes, node->commands.scratch, len);
    say->len = len;
    say->sum = sum;
    say->due = true;
    say->urgent = say->urgent || urgent;
}

void sl_commands_say_again(struct sl_commands *c)
{
    c->record_changed = c->vitals_changed = true;
}

static bool any_sealed(const struct sl_commands *c)
{
    size_t i = 0;
    while (i < c->n_offers && strcmp(c->offers[i]->service.tenant, SL_DEFAULT_TENANT) == 0)
        i++;
    return i < c->n_offers;
}

/* A tenant's next key is in use from a time on, at which nothing else may happen. */
static void look_at_keys(struct sl_commands *c, sl_usec now)
{
    bool due = c->seal_at != SL_NEVER && now >= c->seal_at;
    if (!any_sealed(c)) {
        c->seal_at = SL_NEVER;
        return;
    }
    if (due)
        sl_commands_say_again(c);
    if (due || c->seal_at == SL_NEVER)
        c->seal_at = sl_after(now, SL_SEAL_EVERY);
}

/* Copy what changed out of the table. False: an application thread is in it. */
static bool look(starling_node *node, sl_usec now)
{
    struct sl_commands *c = &node->commands;
    struct sl_checker *gone = NULL;
    char unknown[STARLING_NAME_MAX] = "";
    if (pthread_mutex_trylock(&c->lock) != 0)
        return false;
    sl_checks_meet(node, &gone);
    sl_weigh_turn(node, now);
    look_at_keys(c, now);
    if (c->record_changed)
        keep(node, &c->record, SL_RECORD, c->withdrawn);
    if (c->vitals_changed)
        keep(node, &c->vitals, SL_VITALS, c->vitals_urgent);
    c->record_first = c->record_first || c->withdrawn;
    c->leaving = c->leaving || c->leave;
    c->closed = c->closed || c->leaving;
    c->record_changed = c->vitals_changed = c->withdrawn = c->vitals_urgent = false;
    if (!c->unknown_told)
        memcpy(unknown, c->unknown_tenant, sizeof unknown);
    c->unknown_told = true;
    pthread_mutex_unlock(&c->lock);
    if (unknown[0] != '\0')
        sl_log(&node->log, SL_WARNING,
               "a view or a watch asks for tenant %s, of which this node has no key: it finds "
               "nothing (starling ca issue --tenant %s)",
               unknown, unknown);
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
    return sl_earlier(again, sl_earlier(c->weigh_at, c->seal_at));
}
