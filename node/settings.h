/* settings.h: one name, three spellings (docs/DESIGN.md, "Settings"): an option set in the program beats
 * the environment, which beats the file. */
#ifndef SL_NODE_SETTINGS_H
#define SL_NODE_SETTINGS_H

#include <starling.h>

#include "base/addr.h"
#include "base/limits.h"

#define SL_SEEDS_MAX 64
#define SL_PATH_MAX 1024

struct sl_seed {
    char host[256]; /* numeric or a name */
    uint16_t port;
};

struct sl_settings {
    char flock[64], name[64], zone[64];
    struct sl_addr listen;     /* family 0 = decide: loopback, or the interface that routes to a seed */
    struct sl_addr advertise;  /* family 0 = what is listened on */
    struct sl_seed seeds[SL_SEEDS_MAX];
    size_t n_seeds;
    char state_dir[SL_PATH_MAX], runtime_dir[SL_PATH_MAX], config_dir[SL_PATH_MAX],
        credentials[SL_PATH_MAX]; /* "" = none */
    unsigned leave_ms;
    int log_level; /* of STARLING_LOG / --log; 0 = silent */
};

/* Merge and check options, environment and file; generates a name where none is given. 0, or EINVAL with a
 * text that names the setting, where it was set (file and line, variable, option) and what is allowed. */
int sl_settings_load(const starling_options *options, struct sl_settings *ret) SL_MUST_USE;
/* "error", "warning", "info", "debug" to 1..4; 0 when it is none of them. */
int sl_log_level_parse(const char *text);
/* The runtime directory when nothing is set: $XDG_RUNTIME_DIR/starling, else /tmp/starling-UID. */
void sl_settings_runtime_dir(char out[SL_PATH_MAX]);
/* Resolve `listen` when it was left open: loopback, or the address of the interface that routes to the
 * first numeric seed that is not on this host; port 0. */
void sl_settings_choose_listen(struct sl_settings *settings);
#endif
