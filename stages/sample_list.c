#include "stages/sample_list.h"

#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gri_next_sample(const char **at, gri_listed_sample *out)
{
    int size = 0;
    *out = (gri_listed_sample){0};
    if (sscanf(*at, "%lld:%lld:%8[0-9a-f]%n", &out->set, &out->index, out->tokens, &size) !=
        3) {
        return false;
    }
    *at += size;
    if (sscanf(*at, ":%8[0-9a-f]%n", out->pixels, &size) == 1) {
        *at += size;
    }
    *at += strspn(*at, " ");
    return true;
}

gr_err gri_name_sample(const gr_node *head, const gri_listed_sample *sample, char *text,
                       size_t size)
{
    gr_err err = GR_OK;
    const gr_node *sets = NULL;
    GR_TRY(gr_node_get_list(head, "sets", &sets));
    if (sample->set < 0 || sample->set >= sets->u.list.count) {
        GR_TRY(gr_node_error(sets, "a record names data set %lld", sample->set));
    }
    const gr_node *set = &sets->u.list.items[sample->set];
    GR_TRY(gr_node_expect(set, GR_DOC_STRING));
    snprintf(text, size, "sample %lld of %s", sample->index, set->u.string.data);
done:
    return err;
}

const char *gri_samples_differ(const gri_listed_sample *a, const gri_listed_sample *b)
{
    bool tokens = strcmp(a->tokens, b->tokens) != 0;
    bool pixels = strcmp(a->pixels, b->pixels) != 0;
    return tokens && pixels ? "tokens and pixels"
           : tokens         ? "tokens"
           : pixels         ? "pixels"
                            : NULL;
}

static gr_err add_lane(gri_sample_list *list, const char *text)
{
    gr_err err = GR_OK;
    gri_listed_sample sample;
    while (gri_next_sample(&text, &sample)) {
        if (list->count == list->capacity) {
            int64_t capacity = list->capacity ? 2 * list->capacity : 64;
            GR_RESIZE(list->items, list->capacity, capacity);
            list->capacity = capacity;
        }
        list->items[list->count++] = sample;
    }
done:
    return err;
}

gr_err gri_sample_list_add(gri_sample_list *list, const gr_node *record)
{
    gr_err err = GR_OK;
    const gr_node *lanes = NULL;
    const char *text = NULL;
    if (gr_node_find(record, "skipped")) {
        goto done; // a step without an update lists none
    }
    GR_TRY(gr_node_get_list(record, "lanes", &lanes));
    for (int64_t i = 0; i < lanes->u.list.count; i++) {
        GR_TRY(gr_node_expect(&lanes->u.list.items[i], GR_DOC_MAP));
        GR_TRY(gr_node_get_string(&lanes->u.list.items[i], "samples", &text));
        GR_TRY(add_lane(list, text));
    }
done:
    return err;
}

static int by_number(const void *a, const void *b)
{
    const gri_listed_sample *x = a, *y = b;
    int set = (x->set > y->set) - (x->set < y->set);
    return set ? set : (x->index > y->index) - (x->index < y->index);
}

int64_t gri_sample_list_changed(gri_sample_list lists[2], gri_listed_sample out[2])
{
    int64_t changed = 0, i = 0, j = 0;
    for (int r = 0; r < 2; r++) {
        if (lists[r].count > 0) {
            qsort(lists[r].items, (size_t)lists[r].count, sizeof *lists[r].items, by_number);
        }
    }
    while (i < lists[0].count && j < lists[1].count) {
        const gri_listed_sample *a = &lists[0].items[i], *b = &lists[1].items[j];
        int order = by_number(a, b);
        if (order == 0 && gri_samples_differ(a, b) && changed++ == 0) {
            out[0] = *a;
            out[1] = *b;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return changed;
}

void gri_sample_list_fini(gri_sample_list *list)
{
    GR_FREE(list->items);
    *list = (gri_sample_list){0};
}
