#include "src/base/failpoint.h"
#include "src/base/new_dir.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/formats/hf.h"

#include <stdio.h>

// Every id of the tokenizer must have a row in the embedding.
static gr_err check_vocabulary(const char *dir, const gr_model_config *config)
{
    gr_err err = GR_OK;
    gr_tokenizer *tokenizer = NULL;
    GR_TRY(gr_tokenizer_load(dir, &tokenizer));
    GR_TRY(gri_check_vocabulary(dir, tokenizer, config));
done:
    gr_tokenizer_destroy(&tokenizer);
    return err;
}

gr_err gri_model_init(int argc, char **argv)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    const char *config = NULL, *out = NULL, *tokenizer = NULL;
    int64_t seed = 0;
    bool help = false;
    gr_new_dir dir = {0};
    const gri_arg args[] = {
        GRI_TEXT("config", "FILE.yaml", &config, "the model's kinds and sizes",
                 .required = true),
        GRI_INT("seed", "S", &seed, 0, INT64_MAX,
                "names the random numbers: the same seed gives the same bits anywhere",
                .required = true),
        GRI_TEXT("out", "DIR", &out, "new folder for the model", .required = true),
        GRI_TEXT("tokenizer", "DIR", &tokenizer, "folder whose tokenizer files are copied in"),
    };
    GR_TRY(GRI_ARGS_PARSE("model init",
                          "Creates a model with fresh weights and writes it as a Hugging Face "
                          "directory.",
                          args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_failpoint_arm(0, 1));
    GR_TRY(gri_session_create(config, GR_PARTS_ALL, 1, GR_PRECISION_FP32, &s));
    if (tokenizer) {
        GR_TRY(check_vocabulary(tokenizer, &s.config));
    }
    GR_TRY(gr_new_dir_begin(out, &dir));
    gr_model_init(s.model, s.config.parts, (uint64_t)seed);
    if (tokenizer) { // config.json, without which nobody opens the folder, comes last
        GR_TRY(gr_tokenizer_copy(tokenizer, dir.work));
    }
    GR_TRY(gr_hf_save(dir.work, s.model));
done:
    err = gr_new_dir_end(&dir, err);
    gri_session_close(&s);
    return err;
}

// The part alone as its own model, with the tokenizer (where there is one) when it is the language part. dtype GR_DTYPE_COUNT: as stored.
static gr_err export_part(const char *from, const char *to, gr_part part, gr_hf_layout layout,
                          gr_dtype dtype)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gr_new_dir dir = {0};
    GR_TRY(gri_session_load(from, 1u << part, 1, GR_PRECISION_FP32, &s));
    if (dtype == GR_DTYPE_COUNT) {
        GR_TRY(gr_hf_stored_dtype(from, part, &dtype));
    }
    GR_TRY(gr_new_dir_begin(to, &dir));
    if (part == GR_PART_VISION) {
        GR_TRY(gr_hf_export_vision(dir.work, layout, dtype, s.model));
    } else {
        GR_TRY(gr_hf_export_language(dir.work, from, dtype, s.model));
    }
done:
    err = gr_new_dir_end(&dir, err);
    gri_session_close(&s);
    return err;
}

gr_err gri_model_export(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *from = NULL, *out = NULL;
    static const gr_dtype dtypes[] = {GR_DTYPE_COUNT, GR_DTYPE_F32, GR_DTYPE_BF16,
                                      GR_DTYPE_F16};
    int layout = -1, part = 0, dtype = 0;
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("CHECKPOINT", &from, "model directory", .required = true),
        GRI_TEXT("out", "DIR", &out, "new folder for the part", .required = true),
        GRI_CHOICE("part", "vision|language", &part, "which part (default: vision)"),
        GRI_CHOICE(
            "layout", "sailvit|transformers", &layout,
            "tensor names of the vision part: the original ones of SAILViT, InternViT or SigLIP "
            "(default), or those of transformers' own class, which opens without foreign code"),
        GRI_CHOICE("dtype", "source|fp32|bf16|fp16", &dtype,
                   "type of the weights: the checkpoint's own (default; training writes fp32), "
                   "or this one, rounded to nearest; a weight beyond its range is an error"),
    };
    GR_TRY(
        GRI_ARGS_PARSE("model export",
                       "Writes one part of a model as a model of its own. A language part is "
                       "written as transformers has it, with the tokenizer.",
                       args, argc, argv, &help));
    if (help) {
        goto done;
    }
    if (part == 1 && layout >= 0) {
        GR_FAIL(GR_ERR_USAGE, "model export: --layout is for --part vision");
    }
    GR_TRY(gr_failpoint_arm(0, 1));
    GR_TRY(export_part(from, out, part == 0 ? GR_PART_VISION : GR_PART_LANGUAGE,
                       layout == 1 ? GR_HF_LAYOUT_TRANSFORMERS : GR_HF_LAYOUT_SAILVIT,
                       dtypes[dtype]));
done:
    return err;
}
