#include "datasets/import_internal.h"
#include "datasets/manifest.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

static gr_err read_entry(const gri_import *im, int64_t shard, gri_manifest *manifest)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_doc *doc = NULL;
    gri_shard_entry entry = {0};
    GR_TRY(gri_entry_path(im, shard, &path));
    GR_TRY(gr_doc_load(path, GR_ERR_IO, &doc));
    GR_TRY(gri_shard_entry_get(gr_doc_root(doc), &entry));
    GR_TRY(gri_manifest_add(manifest, &entry));
done:
    GR_FREE(entry.name);
    gr_doc_destroy(&doc);
    GR_FREE(path);
    return err;
}

static gr_err write_manifest(const gri_import *im)
{
    gr_err err = GR_OK;
    gri_manifest manifest = {.digest = im->digest};
    GR_TRY(gri_manifest_tokenizers(&manifest, im->tokenizers, im->counting.count));
    for (int64_t s = 0; s < im->shards; s++) {
        GR_TRY(read_entry(im, s, &manifest));
    }
    GR_TRY(gri_manifest_save(&manifest, im->options->out));
done:
    gri_manifest_fini(&manifest);
    return err;
}

/// A sample by its content id.
typedef struct numbered {
    gr_digest id;
    int64_t index;
} numbered;

static int by_id(const void *a, const void *b)
{
    const numbered *x = a, *y = b;
    int order = memcmp(&x->id, &y->id, sizeof x->id); // any order: equal ids come together
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_first(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (x[0] > y[0]) - (x[0] < y[0]);
}

/// One line of duplicates.jsonl: `count` samples that are the same.
static gr_err list_group(const gr_dataset *dataset, const numbered *group, int64_t count,
                         gr_str *out)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_sample *about = NULL;
    gr_json_map_begin(&j, NULL);
    gr_json_digest(&j, "content", group->id);
    gr_json_list_begin(&j, "samples");
    for (int64_t i = 0; i < count; i++) {
        gr_json_int(&j, NULL, group[i].index);
    }
    gr_json_list_end(&j);
    gr_json_list_begin(&j, "ids");
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(gr_dataset_about(dataset, group[i].index, &about));
        gr_json_string(&j, NULL, about->source);
        gr_sample_destroy(&about);
    }
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add_bytes(out, j.text.data, j.text.size));
    GR_TRY(gr_str_add(out, "\n"));
done:
    gr_sample_destroy(&about);
    gr_json_fini(&j);
    return err;
}

/// The groups of equal samples, as {first sample, where in `all`, how many} in the order of their first samples.
static gr_err find_groups(const numbered *all, int64_t count, int64_t (**out)[3],
                          int64_t *groups)
{
    gr_err err = GR_OK;
    int64_t(*list)[3] = NULL;
    int64_t n = 0, capacity = 0;
    for (int64_t i = 0, end = 0; i < count; i = end) {
        for (end = i + 1; end < count && gr_digest_equal(all[end].id, all[i].id);) {
            end++;
        }
        if (end - i == 1) {
            continue;
        }
        if (n == capacity) {
            int64_t more = capacity ? 2 * capacity : 16;
            GR_RESIZE(list, capacity, more);
            capacity = more;
        }
        list[n][0] = all[i].index;
        list[n][1] = i;
        list[n++][2] = end - i;
    }
    if (n > 0) {
        qsort(list, (size_t)n, sizeof *list, by_first);
    }
    *out = list;
    *groups = n;
    list = NULL;
done:
    GR_FREE(list);
    return err;
}

/// Which samples are the same goes to duplicates.jsonl.
static gr_err list_duplicates(gri_import *im, const gr_dataset *dataset)
{
    gr_err err = GR_OK;
    numbered *all = NULL;
    int64_t(*groups)[3] = NULL;
    int64_t count = 0;
    gr_str text = {0};
    GR_ALLOC(all, im->result.samples);
    for (int64_t i = 0; i < im->result.samples; i++) {
        all[i] = (numbered){im->ids[i], i};
    }
    qsort(all, (size_t)im->result.samples, sizeof *all, by_id);
    GR_TRY(find_groups(all, im->result.samples, &groups, &count));
    for (int64_t g = 0; g < count; g++) {
        im->result.duplicates += groups[g][2] - 1;
        GR_TRY(list_group(dataset, all + groups[g][1], groups[g][2], &text));
    }
    GR_TRY(gri_write_list(im, "duplicates.jsonl", &text));
done:
    gr_str_fini(&text);
    GR_FREE(groups);
    GR_FREE(all);
    return err;
}

gr_err gri_import_finish(gri_import *im)
{
    gr_err err = GR_OK;
    gr_dataset *dataset = NULL;
    if (im->team.rank != 0) {
        goto done;
    }
    GR_TRY(write_manifest(im));
    GR_TRY(gr_dataset_open(im->options->out, &dataset));
    im->result.bytes = gr_dataset_bytes(dataset);
    GR_TRY(list_duplicates(im, dataset));
    im->useless = true;
done:
    gr_dataset_close(&dataset);
    return err;
}
