#include "src/base/doc.h"
#include "src/base/mem.h"
#include "src/formats/hf_internal.h"
#include "src/formats/tables.h"

#include <string.h>

static gr_err add_file(const char *path, gri_hf_files *files)
{
    gr_err err = GR_OK;
    if (files->count == files->room) {
        const int64_t room = files->room ? 2 * files->room : 4;
        GR_RESIZE(files->items, files->count, room);
        files->room = room;
    }
    GR_TRY(gr_safetensors_open(path, &files->items[files->count]));
    files->count++;
done:
    return err;
}

/// The opened file of this name, opened now if need be. `known`: the numbers of the opened ones.
static gr_err file_named(const char *dir, const gr_node *entry, gri_text_table *known,
                         gri_hf_files *files, const gr_safetensors **out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    const char *name = entry->u.string.data;
    if (name[0] == '\0' || strchr(name, '/') || strlen(name) != entry->u.string.size) {
        GR_TRY(gr_node_error(
            entry, "expected the name of a file in the same folder, got \"%s\"", name));
    }
    int32_t number = gri_text_table_find(known, name, entry->u.string.size);
    if (number < 0) {
        number = (int32_t)files->count;
        GR_TRY(gr_path_join(dir, name, &path));
        GR_TRY_CONTEXT(add_file(path, files), "named in %s for %s", gr_doc_name(entry->doc),
                       entry->key);
        GR_TRY(gri_text_table_put(known, name, entry->u.string.size, number));
    }
    *out = files->items[number];
done:
    GR_FREE(path);
    return err;
}

/// Every tensor of the index is in the file that it names.
static gr_err open_indexed(const char *dir, const gr_node *weight_map, gri_hf_files *files)
{
    gr_err err = GR_OK;
    gri_text_table known = {0};
    for (int64_t i = 0; i < weight_map->u.list.count; i++) {
        const gr_node *entry = &weight_map->u.list.items[i];
        const gr_safetensors *file = NULL;
        GR_TRY(gr_node_expect(entry, GR_DOC_STRING));
        GR_TRY(file_named(dir, entry, &known, files, &file));
        if (!gr_safetensors_find(file, entry->key)) {
            GR_TRY(
                gr_node_error(entry,
                              "tensor %s is not in %s; the index and the files do not belong "
                              "together, copy the directory again",
                              entry->key, file->path));
        }
    }
done:
    gri_text_table_fini(&known);
    return err;
}

/// Every tensor of the files is in the index, under its file.
static gr_err check_listed(const gr_node *weight_map, const gri_hf_files *files)
{
    gr_err err = GR_OK;
    gr_names names = {0};
    GR_TRY(gr_names_reserve(&names, weight_map->u.list.count));
    for (int64_t i = 0; i < weight_map->u.list.count; i++) {
        gr_names_add(&names, weight_map->u.list.items[i].key, i);
    }
    gr_names_sort(&names);
    for (int64_t i = 0; i < files->count; i++) {
        const gr_safetensors *file = files->items[i];
        for (int64_t k = 0; k < file->count; k++) {
            const int64_t n = gr_names_find(&names, file->items[k].name);
            if (n < 0 || strcmp(weight_map->u.list.items[n].u.string.data,
                                gr_path_base(file->path)) != 0) {
                GR_FAIL(GR_ERR_DATA,
                        "%s: tensor %s is in this file, but %s does not say so; the index and "
                        "the files do not belong together, copy the directory again",
                        file->path, file->items[k].name, gr_doc_name(weight_map->doc));
            }
        }
    }
done:
    gr_names_fini(&names);
    return err;
}

static gr_err open_by_index(const char *path, const char *dir, gri_hf_files *files)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_node *weight_map = NULL;
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_expect(gr_doc_root(doc), GR_DOC_MAP));
    GR_TRY(gr_node_get_map(gr_doc_root(doc), "weight_map", &weight_map));
    GR_TRY(open_indexed(dir, weight_map, files));
    GR_TRY(check_listed(weight_map, files));
done:
    gr_doc_destroy(&doc);
    return err;
}

/// Beside an index that does not name it, model.safetensors holds other weights: transformers opens that one.
static gr_err check_one_set(const char *index, const char *single, const gri_hf_files *files)
{
    gr_err err = GR_OK;
    bool there = false;
    GR_TRY(gr_path_exists(single, &there)); // what cannot be looked at is no second set
    bool named = !there || gr_dir_exists(single);
    for (int64_t i = 0; i < files->count; i++) {
        named = named || strcmp(gr_path_base(files->items[i]->path), GRI_HF_WEIGHTS) == 0;
    }
    if (!named) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: stands beside %s, which names other files: two sets of weights; remove the "
            "one that is not meant",
            single, index);
    }
done:
    return err;
}

gr_err gri_hf_files_open(const char *dir, gri_hf_files *out)
{
    gr_err err = GR_OK;
    gri_hf_files files = {0};
    char *index = NULL, *single = NULL;
    GR_TRY(gr_path_join(dir, GRI_HF_INDEX, &index));
    GR_TRY(gr_path_join(dir, GRI_HF_WEIGHTS, &single));
    if (gr_file_exists(index)) {
        GR_TRY(open_by_index(index, dir, &files));
        GR_TRY(check_one_set(index, single, &files));
    } else if (gr_file_exists(single)) {
        GR_TRY(add_file(single, &files));
    } else {
        GR_FAIL(GR_ERR_MISSING, "%s: no weights: neither %s nor %s is there", dir, GRI_HF_INDEX,
                GRI_HF_WEIGHTS);
    }
    *out = files;
    files = (gri_hf_files){0};
done:
    gri_hf_files_close(&files);
    GR_FREE(index);
    GR_FREE(single);
    return err;
}

void gri_hf_files_close(gri_hf_files *files)
{
    for (int64_t i = 0; i < files->count; i++) {
        gr_safetensors_close(&files->items[i]);
    }
    GR_FREE(files->items);
    *files = (gri_hf_files){0};
}

gr_err gri_hf_has_weights(const char *dir, bool *out)
{
    gr_err err = GR_OK;
    char *index = NULL, *single = NULL;
    GR_TRY(gr_path_join(dir, GRI_HF_INDEX, &index));
    GR_TRY(gr_path_join(dir, GRI_HF_WEIGHTS, &single));
    *out = gr_file_exists(index) || gr_file_exists(single);
done:
    GR_FREE(index);
    GR_FREE(single);
    return err;
}
