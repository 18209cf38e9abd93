#include "src/base/mem.h"
#include "src/formats/hf_internal.h"
#include "src/formats/tokenizer.h"

#define GENERATION "generation_config.json"

/// The type of all tensors of a part; F32 where they differ or are of a type that is only read.
static gr_dtype common_dtype(const gri_hf_files *files, gr_vision_kind kind, gr_part part)
{
    gr_dtype common = GR_DTYPE_COUNT;
    gri_hf_place place;
    for (int64_t i = 0; i < files->count; i++) {
        for (int64_t k = 0; k < files->items[i]->count; k++) {
            const gr_safetensor *t = &files->items[i]->items[k];
            if (gri_hf_place_of(kind, t->name, &place) && place.part == part) {
                common =
                    common == GR_DTYPE_COUNT || common == t->dtype ? t->dtype : GR_DTYPE_F32;
            }
        }
    }
    return common == GR_DTYPE_BF16 || common == GR_DTYPE_F16 ? common : GR_DTYPE_F32;
}

gr_err gr_hf_stored_dtype(const char *dir, gr_part part, gr_dtype *out)
{
    gr_err err = GR_OK;
    gr_model_config config = {0};
    gri_hf_files files = {0};
    GR_TRY(gr_hf_load_config(dir, &config));
    GR_TRY(gri_hf_files_open(dir, &files));
    *out = common_dtype(&files, config.vision.kind, part);
done:
    gri_hf_files_close(&files);
    return err;
}

/// DIR/model.safetensors with one part.
static gr_err export_weights(const char *dir, gr_model *model, gr_part part, gri_hf_names names,
                             gr_dtype dtype)
{
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    char *path = NULL;
    if (!(gr_model_get_config(model)->parts & (1u << part))) {
        GR_FAIL(GR_ERR_DATA, "%s: cannot export: the model has no %s part", dir,
                gr_part_name(part));
    }
    GR_TRY(gr_path_join(dir, GRI_HF_WEIGHTS, &path));
    GR_TRY(gri_hf_tensors_create(model, part, names, dtype, &tensors));
    GR_TRY(gr_safetensors_write(path, tensors.items, tensors.count));
done:
    gri_hf_tensors_fini(&tensors);
    GR_FREE(path);
    return err;
}

gr_err gr_hf_export_vision(const char *dir, gr_hf_layout layout, gr_dtype dtype,
                           gr_model *model)
{
    gr_err err = GR_OK;
    const gr_vision_config *v = &gr_model_get_config(model)->vision;
    bool transformers = layout == GR_HF_LAYOUT_TRANSFORMERS;
    GR_TRY(export_weights(dir, model, GR_PART_VISION,
                          transformers ? GRI_HF_NAMES_TRANSFORMERS : GRI_HF_NAMES_ALONE,
                          dtype));
    GR_TRY(gri_hf_write_preprocessor(dir, v));
    GR_TRY(
        gri_hf_write_vision_config(dir, layout, dtype, v)); // last: it makes the folder a model
done:
    return err;
}

/// The language part's map in a config.json.
static const gr_node *language_of(const gr_node *root)
{
    static const char *const keys[] = {"llm_config", "text_config"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const gr_node *map = gr_node_find(root, keys[i]);
        if (map && map->type == GR_DOC_MAP) {
            return map;
        }
    }
    return root;
}

/// An id of the vocabulary, or a list of such.
static gr_err check_ids(const gr_node *said, int64_t vocabulary)
{
    gr_err err = GR_OK;
    const bool list = said->type == GR_DOC_LIST;
    const int64_t count = list ? said->u.list.count : 1;
    for (int64_t i = 0; i < count; i++) {
        const gr_node *id = list ? &said->u.list.items[i] : said;
        GR_TRY(gr_node_expect(id, GR_DOC_INT));
        if (id->u.integer < 0 || id->u.integer >= vocabulary) {
            GR_TRY(gr_node_error(id, "expected an id of the vocabulary, 0 to %lld, got %lld",
                                 (long long)vocabulary - 1, (long long)id->u.integer));
        }
    }
done:
    return err;
}

/// Which tokens begin, end and fill: by the source's config.json, else by its tokenizer.
static gr_err find_tokens(const char *from, int64_t vocabulary, gr_doc **doc,
                          gri_hf_token tokens[GRI_HF_TOKENS])
{
    static const char *const roles[] = {"bos_token", "eos_token", "pad_token"};
    gr_err err = GR_OK;
    char *path = NULL;
    gr_tokenizer *tokenizer = NULL;
    bool there = false;
    GR_TRY(gr_path_join(from, GRI_HF_CONFIG, &path));
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, doc));
    GR_TRY(gr_node_expect(gr_doc_root(*doc), GR_DOC_MAP));
    GR_TRY(gr_tokenizer_exists(from, &there));
    if (there) {
        GR_TRY(gr_tokenizer_load(from, &tokenizer));
    }
    for (int i = 0; i < GRI_HF_TOKENS; i++) {
        tokens[i].said = gr_node_find(language_of(gr_doc_root(*doc)), tokens[i].key);
        if (tokens[i].said) {
            GR_TRY(check_ids(tokens[i].said, vocabulary));
        }
        tokens[i].id = there ? gr_tokenizer_role(tokenizer, roles[i]) : -1;
    }
done:
    gr_tokenizer_destroy(&tokenizer);
    GR_FREE(path);
    return err;
}

/// generation_config.json: the source's, or one that says when to stop.
static gr_err export_generation(const char *dir, const char *from,
                                const gri_hf_token tokens[GRI_HF_TOKENS])
{
    gr_err err = GR_OK;
    char *source = NULL, *target = NULL;
    gr_json j = {.indent = 2};
    GR_TRY(gr_path_join(from, GENERATION, &source));
    GR_TRY(gr_path_join(dir, GENERATION, &target));
    if (gr_file_exists(source)) {
        GR_TRY(gr_file_copy(source, target));
        goto done;
    }
    gr_json_map_begin(&j, NULL);
    gr_json_bool(&j, "_from_model_config", true);
    gri_hf_write_tokens(&j, tokens);
    gr_json_map_end(&j);
    GR_TRY(gri_hf_write_json(dir, GENERATION, &j));
done:
    gr_json_fini(&j);
    GR_FREE(source);
    GR_FREE(target);
    return err;
}

gr_err gr_hf_export_language(const char *dir, const char *from, gr_dtype dtype, gr_model *model)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    bool there = false;
    gri_hf_token tokens[GRI_HF_TOKENS] = {
        {.key = "bos_token_id"}, {.key = "eos_token_id"}, {.key = "pad_token_id"}};
    if (from) { // before anything is written
        GR_TRY(
            find_tokens(from, gr_model_get_config(model)->language.vocabulary, &doc, tokens));
    }
    GR_TRY(export_weights(dir, model, GR_PART_LANGUAGE, GRI_HF_NAMES_ALONE, dtype));
    if (from) {
        GR_TRY(gr_tokenizer_exists(from, &there));
        GR_TRY(there ? gr_tokenizer_copy(from, dir) : GR_OK);
        GR_TRY(export_generation(dir, from, tokens));
    }
    // Last: it makes the folder a model.
    GR_TRY(gri_hf_write_language_config(dir, dtype, from ? tokens : NULL,
                                        &gr_model_get_config(model)->language));
done:
    gr_doc_destroy(&doc);
    return err;
}
