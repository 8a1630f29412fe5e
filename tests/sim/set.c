/* set.c: sets of nodes. */
#include "tests/sim/set.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/memory.h"

static size_t words(size_t n)
{
    return n / 64 + 1;
}

void sim_set_init(struct sim_set *s, size_t n)
{
    s->n = n;
    s->bits = sim_zero(words(n) * sizeof *s->bits);
}

void sim_set_fini(struct sim_set *s)
{
    free(s->bits);
    *s = (struct sim_set){0};
}

void sim_set_copy(struct sim_set *to, const struct sim_set *from)
{
    memcpy(to->bits, from->bits, words(to->n) * sizeof *to->bits);
}

void sim_set_all(struct sim_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        sim_set_add(s, i);
}

void sim_set_clear(struct sim_set *s)
{
    memset(s->bits, 0, words(s->n) * sizeof *s->bits);
}

void sim_set_join(struct sim_set *to, const struct sim_set *from)
{
    for (size_t i = 0; i < words(to->n); i++)
        to->bits[i] |= from->bits[i];
}

char *sim_set_text(const struct sim_set *s)
{
    char *text = sim_zero(12 * sim_set_count(s) + 1);
    size_t at = 0;
    for (size_t i = 0, end; i < s->n; i = end + 1) {
        end = i;
        if (!sim_set_has(s, i))
            continue;
        while (end + 1 < s->n && sim_set_has(s, end + 1))
            end++;
        at += (size_t)sprintf(text + at, "%s%zu", at ? "," : "", i);
        if (end > i)
            at += (size_t)sprintf(text + at, "-%zu", end);
    }
    return text;
}

size_t sim_set_count(const struct sim_set *s)
{
    size_t n = 0;
    for (size_t i = 0; i < words(s->n); i++)
        for (uint64_t w = s->bits[i]; w; w &= w - 1)
            n++;
    return n;
}
