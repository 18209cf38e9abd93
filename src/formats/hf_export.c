#include "src/base/mem.h"
#include "src/formats/hf_internal.h"

/// DIR/model.safetensors with one part.
static gr_err export_weights(const char *dir, gr_model *model, gr_part part, gri_hf_names names)
{
    gr_err err = GR_OK;
    gri_hf_tensors tensors = {0};
    char *path = NULL;
    if (!(gr_model_get_config(model)->parts & (1u << part))) {
        GR_FAIL(GR_ERR_DATA, "%s: cannot export: the model has no %s part", dir,
                gr_part_name(part));
    }
    GR_TRY(gr_path_join(dir, GRI_HF_WEIGHTS, &path));
    GR_TRY(gri_hf_tensors_create(model, part, names, &tensors));
    GR_TRY(gr_safetensors_write(path, tensors.items, tensors.count));
done:
    gri_hf_tensors_fini(&tensors);
    GR_FREE(path);
    return err;
}

gr_err gr_hf_export_vision(const char *dir, gr_hf_layout layout, gr_model *model)
{
    gr_err err = GR_OK;
    const gr_vision_config *v = &gr_model_get_config(model)->vision;
    bool transformers = layout == GR_HF_LAYOUT_TRANSFORMERS;
    GR_TRY(export_weights(dir, model, GR_PART_VISION,
                          transformers ? GRI_HF_NAMES_TRANSFORMERS : GRI_HF_NAMES_ALONE));
    GR_TRY(gri_hf_write_vision_config(dir, layout, v));
    GR_TRY(gri_hf_write_preprocessor(dir, v));
done:
    return err;
}

gr_err gr_hf_export_language(const char *dir, gr_model *model)
{
    gr_err err = GR_OK;
    GR_TRY(export_weights(dir, model, GR_PART_LANGUAGE, GRI_HF_NAMES_ALONE));
    GR_TRY(gri_hf_write_language_config(dir, &gr_model_get_config(model)->language));
done:
    return err;
}
