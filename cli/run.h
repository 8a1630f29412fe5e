/* run.h: `starling run`, a wrapper that offers a program as a service. */
#ifndef SL_CLI_RUN_H
#define SL_CLI_RUN_H

/* argv[0] is "run". The program's exit status, 128 + signal, or 125-127. */
int run_main(int argc, char **argv);

#endif
