/* debug_json.h: members, instances, events and counters as JSON. Field names are fixed
 * (docs/DEBUG-SOCKET.md); every function returns NULL when memory is short. */
#ifndef SL_NODE_DEBUG_JSON_H
#define SL_NODE_DEBUG_JSON_H

#include <jansson.h>

#include "node/node.h"

/* Peers choose some texts, and JSON must be UTF-8: what is not becomes '?'. */
json_t *sl_json_text(const char *text, size_t len);
/* Put every value, or free the object and return NULL: pairs of const char *, json_t *, ended by
 * NULL. */
json_t *sl_json_object(const char *key, ...);

/* "EINVAL" and so on, as in starling.h. */
const char *sl_json_code(int error);
/* {"ok":false,"error":...,"code":...} */
json_t *sl_json_error(int code, const char *text);

void sl_json_member_name(const starling_node *node, const struct sl_member_info *m, char out[64]);
json_t *sl_json_member(const starling_node *node, const struct sl_member_info *m, sl_usec now);
json_t *sl_json_instance(const struct sl_instance *i);
/* What a pick gave. */
json_t *sl_json_picked(const char *tenant, const char *service, const starling_instance *i);
json_t *sl_json_event(const starling_event *e);
/* The node itself: who it is, what it counts. */
json_t *sl_json_info(const starling_node *node, sl_usec now);

#endif
