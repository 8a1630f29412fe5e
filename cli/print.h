/* print.h: tables for people. Columns are aligned; colour only on a terminal, and not with
 * NO_COLOR. */
#ifndef SL_CLI_PRINT_H
#define SL_CLI_PRINT_H

#include <jansson.h>
#include <stddef.h>

#define COLUMNS_MAX 10

struct table {
    size_t n_columns;
    const char *titles[COLUMNS_MAX];
    char **cells; /* row by row; a cell that could not be kept is NULL and shown empty */
    size_t n_cells, cap;
};

void table_start(struct table *t, size_t n_columns, const char *const *titles);
/* What comes from a peer is shown without its control characters. */
void table_cell(struct table *t, const char *text);
void table_cell_number(struct table *t, json_int_t number);
/* Print and free. */
void table_print(struct table *t);

/* A line of text from a peer, likewise. */
void print_text(const char *text);
/* As above, in the colour of a status, a health or an event. */
void print_word(const char *word, int width);
/* One document, a newline behind it. */
void print_json(const json_t *value);

#endif
