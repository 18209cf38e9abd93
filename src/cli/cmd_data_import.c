#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/data_write.h"

#include <stdlib.h>
#include <string.h>

typedef struct import_arguments {
    gr_import_options options;
    gri_list tokenizers; ///< folders
    const char *encode;
    int form, alpha, exif;
} import_arguments;

static gr_err write_import(void *self, const gr_tokenizer *const *tokenizers, int64_t count,
                           const gr_import_team *team, gr_import_result *result)
{
    const import_arguments *a = self;
    gr_import_options o = a->options;
    o.tokenizers = tokenizers;
    o.tokenizer_count = count;
    return gr_import(&o, team, result);
}

gr_err gri_data_import(int argc, char **argv)
{
    gr_err err = GR_OK;
    import_arguments a = {.encode = "keep"};
    gr_import_options *o = &a.options;
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("SOURCE", &o->source,
                 "llava: JSON or JSONL file, or an InternVL meta file; webdataset: tar or "
                 "folder of tars; vlmeval: TSV",
                 .required = true),
        GRI_CHOICE("from", GR_IMPORT_FORMS, &a.form,
                   "form of the source: llava (also ShareGPT4V, LLaVA-OneVision, InternVL), "
                   "webdataset (also img2dataset) or vlmeval",
                   .required = true),
        GRI_TEXT("images", "DIR", &o->images,
                 "folder that image names are relative to (default: the source's)"),
        GRI_TEXT("out", "DIR", &o->out,
                 "new folder for the data set, or one with an import that was not finished",
                 .required = true),
        GRI_INT("shard-bytes", "N", &o->shard_bytes, 1, INT64_MAX,
                "a shard is closed at this size (default: 1 GiB)"),
        GRI_TEXT("encode", "keep|lossless|QUALITY", &a.encode,
                 "keep (default): WebP files stay as they are unless they must be turned, "
                 "blended or shrunk; those and others become lossless WebP; "
                 "lossless or 0..100: all pictures are encoded so"),
        GRI_CHOICE("alpha", "white|drop", &a.alpha,
                   "transparent pictures are blended over white (default), or lose their alpha "
                   "as with Pillow's convert(\"RGB\")"),
        GRI_CHOICE("exif", "apply|ignore", &a.exif,
                   "pictures are turned as their EXIF orientation says (default), or stored as "
                   "they lie"),
        GRI_INT("max-side", "N", &o->max_side, 1, 1 << 20,
                "larger pictures are scaled down to this longest side (default: never)"),
        GRI_INT("max-rejects", "N", &o->max_rejects, 0, INT64_MAX,
                "more bad records than this fail the import (default: 0)"),
        GRI_TEXT("task", "NAME", &o->task, "task of samples whose record names none"),
        GRI_TEXT(
            "prompt", "TEXT", &o->prompt,
            "webdataset: what is asked about the pictures of a caption (default: nothing)"),
        GRI_LIST("tokenizer", "DIR", &a.tokenizers,
                 "stores how many tokens each sample's texts have; may be repeated"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "data import",
        "Makes a data set from the records of other formats. Bad records are "
        "listed with their reason in OUT/rejects.jsonl, equal ones in "
        "OUT/duplicates.jsonl. Under mpirun the ranks share the work; the files "
        "are the same for any number of them. After a failure or a kill the same "
        "command goes on; another one is refused there.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gri_data_encode("data import", a.encode, &o->keep, &o->quality));
    o->form = (gr_import_form)a.form;
    o->drop_alpha = a.alpha == 1;
    o->ignore_exif = a.exif == 1;
    GR_TRY(gri_data_write(write_import, &a, &a.tokenizers, o->out));
done:
    gri_list_fini(&a.tokenizers);
    return err;
}
