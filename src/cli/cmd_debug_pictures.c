#include "src/base/mem.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"

static gr_err write(const char *path, const gr_vision_config *v,
                    const gri_picture_options *options, const gr_pictures *seen)
{
    gr_err err = GR_OK;
    char pixel_name[] = "pixel_values", tile_name[] = "tiles";
    const int64_t side = v->image_size;
    const gr_safetensor tensors[] = {
        {.name = tile_name,
         .dtype = GR_DTYPE_I64,
         .ndim = 1,
         .shape = {options->files.count},
         .count = options->files.count,
         .data = (const unsigned char *)seen->tiles},
        {.name = pixel_name,
         .dtype = GR_DTYPE_F32,
         .ndim = 4,
         .shape = {seen->count, 3, side, side},
         .count = seen->count * 3 * side * side,
         .data = (const unsigned char *)seen->pixels},
    };
    GR_TRY(gr_safetensors_write(path, tensors, 2));
done:
    return err;
}

gr_err gri_debug_pictures(int argc, char **argv)
{
    gr_err err = GR_OK;
    gri_picture_options options = {0};
    gr_model_config config = {0};
    gr_pictures seen = {0};
    const char *dir = NULL, *out = NULL;
    bool help = false;
    const gri_arg args[] = {
        GRI_TEXT("model", "DIR", &dir, "model directory; its weights are not read",
                 .required = true),
        GRI_PICTURES(&options, "PNG, JPEG or WebP; repeat it for several", .required = true),
        GRI_TEXT("out", "FILE.safetensors", &out,
                 "pixel_values float32 [tiles, 3, H, W], normalised; tiles int64 [pictures], "
                 "how many each picture became; a file of this name is replaced",
                 .required = true),
    };
    GR_TRY(GRI_ARGS_PARSE("debug pictures",
                          "Writes pictures as the model would see them, by its config.json and "
                          "preprocessor_config.json, for anyone who checks the preprocessing.",
                          args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gri_check_out(out, dir));
    for (int64_t i = 0; i < options.files.count; i++) {
        GR_TRY(gri_check_out(out, options.files.items[i]));
    }
    GR_TRY(gr_hf_load_config(dir, &config));
    if (!(config.parts & 1u << GR_PART_VISION)) {
        GR_FAIL(GR_ERR_DATA, "%s: the model has no vision part", dir);
    }
    GR_TRY(gri_pictures_load(&options, &config, &seen));
    GR_TRY(write(out, &config.vision, &options, &seen));
done:
    gr_pictures_fini(&seen);
    gri_list_fini(&options.files);
    return err;
}
