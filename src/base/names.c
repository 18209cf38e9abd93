#include "src/base/names.h"

#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

gr_err gr_names_reserve(gr_names *names, int64_t count)
{
    gr_err err = GR_OK;
    GR_RESIZE(names->items, names->count, count);
    names->room = count;
done:
    return err;
}

void gr_names_add(gr_names *names, const char *text, int64_t number)
{
    GR_ASSERT(names->count < names->room && number >= 0);
    names->items[names->count++] = (gr_name){.text = text, .number = number};
}

static int compare(const void *left, const void *right)
{
    const gr_name *a = left, *b = right;
    const int order = strcmp(a->text, b->text);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

void gr_names_sort(gr_names *names)
{
    if (names->count > 0) {
        qsort(names->items, (size_t)names->count, sizeof *names->items, compare);
    }
}

int64_t gr_names_find(const gr_names *names, const char *text)
{
    int64_t begin = 0, end = names->count;
    while (begin < end) { // the first that is not smaller
        const int64_t middle = begin + (end - begin) / 2;
        if (strcmp(names->items[middle].text, text) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    const bool found = begin < names->count && strcmp(names->items[begin].text, text) == 0;
    return found ? names->items[begin].number : -1;
}

const char *gr_names_repeated(const gr_names *names)
{
    for (int64_t i = 1; i < names->count; i++) {
        if (strcmp(names->items[i - 1].text, names->items[i].text) == 0) {
            return names->items[i].text;
        }
    }
    return NULL;
}

void gr_names_fini(gr_names *names)
{
    GR_FREE(names->items);
    *names = (gr_names){0};
}
