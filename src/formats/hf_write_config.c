#include "src/base/mem.h"
#include "src/formats/hf_internal.h"

enum { INDENT = 2 };

gr_err gri_hf_write_json(const char *dir, const char *name, gr_json *j)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_json_finish(j));
    GR_TRY(gr_str_add(&j->text, "\n"));
    GR_TRY(gr_path_join(dir, name, &path));
    GR_TRY(gr_file_write(path, j->text.data, j->text.size));
done:
    GR_FREE(path);
    return err;
}

gr_err gri_hf_write_full_config(const char *dir, const gr_model_config *config)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = INDENT};
    const gr_connector_config *c = &config->connector;
    gr_json_map_begin(&j, NULL);
    gr_json_list_begin(&j, "architectures");
    gr_json_string(&j, NULL, "SAILVLModel");
    gr_json_list_end(&j);
    gr_json_string(&j, "model_type", "sailvl");
    gr_json_real(&j, "downsample_ratio", 0.5);
    gr_json_string(&j, "ps_version", c->by_column ? "v1" : "v2");
    gr_json_int(&j, "select_layer", -1 - c->blocks_left_out);
    if (c->unnormed != (c->blocks_left_out > 0)) {
        gr_json_bool(&j, "post_layernorm", !c->unnormed);
    }
    gr_json_int(&j, "force_image_size", config->vision.image_size);
    if (config->vision.pictures.fit != GR_FIT_CROP) { // else the preprocessor says it
        gri_hf_tiling_keys(&j, &config->vision.pictures);
    }
    gr_json_string(&j, "template", "chatml");
    gr_json_bool(&j, "tie_word_embeddings", config->language.tied);
    gr_json_string(&j, "torch_dtype", "float32");
    gr_json_map_begin(&j, "vision_config");
    gri_hf_vision_keys(&j, GR_HF_LAYOUT_SAILVIT, GR_DTYPE_F32, &config->vision);
    gr_json_map_end(&j);
    gr_json_map_begin(&j, "llm_config");
    gri_hf_language_keys(&j, GR_DTYPE_F32, &config->language);
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gri_hf_write_json(dir, GRI_HF_CONFIG, &j));
done:
    gr_json_fini(&j);
    return err;
}

gr_err gri_hf_write_vision_config(const char *dir, gr_hf_layout layout, gr_dtype dtype,
                                  const gr_vision_config *v)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = INDENT};
    gr_json_map_begin(&j, NULL);
    gri_hf_vision_keys(&j, layout, dtype, v);
    if (v->position_size && v->position_size != v->image_size) {
        gr_json_int(&j, "force_image_size", v->image_size);
    }
    gr_json_map_end(&j);
    GR_TRY(gri_hf_write_json(dir, GRI_HF_CONFIG, &j));
done:
    gr_json_fini(&j);
    return err;
}

void gri_hf_write_tokens(gr_json *j, const gri_hf_token tokens[GRI_HF_TOKENS])
{
    for (int i = 0; i < GRI_HF_TOKENS; i++) {
        if (tokens[i].said) {
            gr_node_write(j, tokens[i].said);
        } else if (tokens[i].id >= 0) {
            gr_json_int(j, tokens[i].key, tokens[i].id);
        } else {
            gr_json_null(j, tokens[i].key);
        }
    }
}

gr_err gri_hf_write_language_config(const char *dir, gr_dtype dtype, const gri_hf_token *tokens,
                                    const gr_language_config *l)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = INDENT};
    gr_json_map_begin(&j, NULL);
    gri_hf_language_keys(&j, dtype, l);
    if (tokens) {
        gri_hf_write_tokens(&j, tokens);
    }
    gr_json_map_end(&j);
    GR_TRY(gri_hf_write_json(dir, GRI_HF_CONFIG, &j));
done:
    gr_json_fini(&j);
    return err;
}

void gri_hf_tiling_keys(gr_json *j, const gr_picture_rules *r)
{
    bool tiled = r->most > 1;
    gr_json_bool(j, "dynamic_image_size", tiled);
    gr_json_int(j, "min_dynamic_patch", tiled && r->fewest ? r->fewest : 1);
    gr_json_int(j, "max_dynamic_patch", tiled ? r->most : 1);
    gr_json_bool(j, "use_thumbnail", tiled && r->thumbnail);
    gr_json_bool(j, "pad2square", r->fit == GR_FIT_PAD);
    if (tiled && r->second_scale) {
        gr_json_bool(j, "use_msac", true);
    }
}

static void square(gr_json *j, const char *key, int64_t side)
{
    gr_json_map_begin(j, key);
    gr_json_int(j, "height", side);
    gr_json_int(j, "width", side);
    gr_json_map_end(j);
}

static void three_reals(gr_json *j, const char *key, const double values[3])
{
    gr_json_list_begin(j, key);
    for (int i = 0; i < 3; i++) {
        gr_json_real(j, NULL, values[i]);
    }
    gr_json_list_end(j);
}

/// As CLIPImageProcessor, which can do all that gr_picture_rules says of one square; what it has no key for (tiles, padding)
/// stands beside in InternVL's words, for whoever cuts them.
gr_err gri_hf_write_preprocessor(const char *dir, const gr_vision_config *v)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = INDENT};
    const gr_picture_rules *r = &v->pictures;
    bool crop = r->fit == GR_FIT_CROP;
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "image_processor_type", "CLIPImageProcessor");
    gr_json_bool(&j, "do_convert_rgb", true);
    gr_json_bool(&j, "do_resize", true);
    if (crop) {
        gr_json_map_begin(&j, "size");
        gr_json_int(&j, "shortest_edge", r->edge ? r->edge : v->image_size);
        gr_json_map_end(&j);
    } else {
        square(&j, "size", v->image_size);
    }
    gr_json_int(&j, "resample", r->bilinear ? GRI_HF_BILINEAR : GRI_HF_BICUBIC);
    gr_json_bool(&j, "do_center_crop", crop);
    square(&j, "crop_size", v->image_size);
    gr_json_bool(&j, "do_rescale", true);
    gr_json_real(&j, "rescale_factor", r->rescale != 0 ? r->rescale : 1.0 / 255.0);
    gr_json_bool(&j, "do_normalize", true);
    three_reals(&j, "image_mean", v->image_mean);
    three_reals(&j, "image_std", v->image_std);
    if (r->most > 1 || r->fit == GR_FIT_PAD) {
        gri_hf_tiling_keys(&j, r);
    }
    gr_json_map_end(&j);
    GR_TRY(gri_hf_write_json(dir, GRI_HF_PREPROCESSOR, &j));
done:
    gr_json_fini(&j);
    return err;
}
