/* print.c: tables for people.
 * Names, zones and versions are chosen by peers: a terminal must not obey them, so control
 * characters are shown as '?'. */
#include "cli/print.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void table_start(struct table *t, size_t n_columns, const char *const *titles)
{
    *t = (struct table){.n_columns = n_columns};
    memcpy(t->titles, titles, n_columns * sizeof *titles);
}

/* C0, DEL and C1 (U+0080 to U+009F, in UTF-8 C2 80 to C2 9F). */
static void disarm(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            c[0] = c[1] = '?';
    }
}

void table_cell(struct table *t, const char *text)
{
    if (t->n_cells == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2;
        char **grown = realloc(t->cells, cap * sizeof *grown);
        if (grown == NULL)
            return;
        t->cells = grown;
        t->cap = cap;
    }
    char *copy = strdup(text != NULL ? text : "");
    if (copy != NULL)
        disarm(copy);
    t->cells[t->n_cells++] = copy;
}

void table_cell_number(struct table *t, json_int_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, number);
    table_cell(t, text);
}

/* Characters, where a character is a code point: near enough for names. */
static int width(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static bool colourful(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

static const char *colour_of(const char *word)
{
    static const struct {
        const char *word, *colour;
    } colours[] = {
        {"alive", "32"},
        {"suspect", "33"},
        {"down", "31"},
        {"left", "2"},
        {"passing", "32"},
        {"warning", "33"},
        {"critical", "31"},
        {"member_up", "32"},
        {"member_suspect", "33"},
        {"member_down", "31"},
        {"member_left", "2"},
        {"instance_added", "32"},
        {"instance_removed", "31"},
        {"conflict", "31"},
        {"resync", "33"},
        {"panic", "31"},
        {"calm", "32"},
    };
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i].word, word) == 0)
            return colours[i].colour;
    return NULL;
}

static void print_padded(const char *text, const char *colour, int wide)
{
    if (colour != NULL)
        (void)printf("\033[%sm%s\033[0m", colour, text);
    else
        (void)fputs(text, stdout);
    for (int i = width(text); i < wide; i++)
        (void)putchar(' ');
}

void print_word(const char *word, int wide)
{
    print_padded(word, colourful() ? colour_of(word) : NULL, wide);
}

void print_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return;
    disarm(copy);
    (void)fputs(copy, stdout);
    free(copy);
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
    const char *text = t->cells[row * t->n_columns + column];
    return text != NULL ? text : "";
}

void table_print(struct table *t)
{
    int widths[COLUMNS_MAX] = {0};
    size_t n_rows = t->n_columns > 0 ? t->n_cells / t->n_columns : 0;
    bool colours = colourful();
    for (size_t c = 0; c < t->n_columns; c++) {
        widths[c] = width(t->titles[c]);
        for (size_t r = 0; r < n_rows; r++)
            if (width(cell(t, r, c)) > widths[c])
                widths[c] = width(cell(t, r, c));
    }
    for (size_t c = 0; c < t->n_columns; c++)
        print_padded(t->titles[c], colours ? "1" : NULL, c + 1 < t->n_columns ? widths[c] + 2 : 0);
    (void)putchar('\n');
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t c = 0; c < t->n_columns; c++)
            print_padded(cell(t, r, c), colours ? colour_of(cell(t, r, c)) : NULL,
                         c + 1 < t->n_columns ? widths[c] + 2 : 0);
        (void)putchar('\n');
    }
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

void print_json(const json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)putchar('\n');
}
