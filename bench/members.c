/* members.c: members that a store is told of. */
#include "bench/members.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

static struct sl_id id_of(unsigned number)
{
    struct sl_id id = {{0xb0, (uint8_t)(number >> 8), (uint8_t)number}};
    return id;
}

static struct sl_service service_of(const struct told *member)
{
    static const char key[] = "env", value[] = "production";
    struct sl_service s = {.tenant = "default", .name = "web", .version = "1.4.2"};
    s.port = (uint16_t)(1024 + member->number);
    s.base_weight = 100;
    s.weight = (uint16_t)member->weight;
    s.health = (uint8_t)member->health;
    s.meta[0] = (struct sl_service_meta){sl_span_of(key, sizeof key - 1),
                                         sl_span_of(value, sizeof value - 1)};
    s.n_meta = 1;
    return s;
}

void tell_vitals(struct sl_store *s, const struct told *member)
{
    struct sl_service service = service_of(member);
    const struct sl_service *list[] = {&service};
    uint8_t bytes[SL_VITALS_SECTIONS_MAX];
    struct sl_id id = id_of(member->number);
    size_t len = sl_sections_write_vitals(list, 1, bytes, sizeof bytes);
    must(sl_store_vitals(s, &id, sl_span_of(bytes, len)) == 0, "feeding vitals");
}

void tell(struct sl_store *s, const struct told *member)
{
    unsigned n = member->number;
    struct sl_store_member m = {.id = id_of(n), .epoch = 1, .self = member->self};
    m.addr =
        (struct sl_addr){.family = 4, .ip = {10, 0, (uint8_t)(n >> 8), (uint8_t)n}, .port = 7700};
    snprintf(m.name, sizeof m.name, "node-%04u", n);
    snprintf(m.zone, sizeof m.zone, "%s", member->zone != NULL ? member->zone : "eu-1");
    must(sl_store_member(s, &m) == 0, "feeding a member");
    if (!member->offers)
        return;
    struct sl_service service = service_of(member);
    const struct sl_service *list[] = {&service};
    uint8_t bytes[SL_RECORD_SECTIONS_MAX];
    size_t len = sl_sections_write_record(list, 1, bytes, sizeof bytes);
    tell_vitals(s, member); /* first: nobody sees it with another health in between */
    must(sl_store_record(s, &m.id, sl_span_of(bytes, len)) == 0, "feeding a record");
}

void tell_gone(struct sl_store *s, unsigned number)
{
    struct sl_id id = id_of(number);
    sl_store_forget(s, &id);
}

void tell_readers(struct sl_store *s, sl_usec now)
{
    struct sl_change change;
    must(sl_store_publish(s, now) == 0, "publishing");
    while (sl_store_next_change(s, &change)) {
    }
}

unsigned number_of(const starling_instance *who)
{
    return (unsigned)strtoul(who->node + sizeof "node-" - 1, NULL, 10);
}
