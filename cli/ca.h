/* ca.h: `starling ca`. */
#ifndef SL_CLI_CA_H
#define SL_CLI_CA_H

#include <stdbool.h>

/* argv[0] is "ca". An exit status. */
int ca_main(int argc, char **argv);

/* What a file of an authority is, for people or as JSON. */
int ca_show(const char *path, bool json);

#endif
