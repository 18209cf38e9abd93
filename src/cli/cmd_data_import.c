#include "datasets/import.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct import_arguments {
    gr_import_options options;
    gri_list tokenizers; ///< folders
    const char *encode;
    int form, alpha, exif;
} import_arguments;

static gr_err parse_encode(const char *text, gr_import_options *o)
{
    gr_err err = GR_OK;
    char *end = NULL;
    o->keep = strcmp(text, "keep") == 0;
    o->quality = -1;
    if (o->keep || strcmp(text, "lossless") == 0) {
        goto done;
    }
    o->quality = strtod(text, &end);
    if (end == text || *end || !(o->quality >= 0 && o->quality <= 100)) {
        GR_FAIL(
            GR_ERR_USAGE,
            "data import: --encode: expected keep, lossless or a quality from 0 to 100, got "
            "\"%s\"",
            text);
    }
done:
    return err;
}

static void print_result(const gr_import_result *r, const char *out)
{
    printf("samples %lld\nimages %lld\nbytes %lld\nrejects %lld\nduplicates %lld\n",
           (long long)r->samples, (long long)r->images, (long long)r->bytes,
           (long long)r->rejects, (long long)r->duplicates);
    if (r->rejects > 0) {
        gr_log_warn("%lld bad records were left out: see %s/rejects.jsonl",
                    (long long)r->rejects, out);
    }
    if (r->duplicates > 0) {
        gr_log_info("%lld samples are the same as earlier ones: see %s/duplicates.jsonl",
                    (long long)r->duplicates, out);
    }
}

static gr_err meet(void *world, gr_err mine)
{
    return gr_world_agree(world, mine);
}

/// Alone, or with the other ranks; the tokenizers are read on each.
static gr_err import(const import_arguments *a, gr_world *world)
{
    gr_err err = GR_OK;
    gr_tokenizer **tokenizers = NULL;
    gr_import_options o = a->options;
    gr_import_result result = {0};
    gr_import_team team = {.size = 1};
    if (world) {
        team = (gr_import_team){world->rank, world->size, meet, world};
    }
    GR_ALLOC(tokenizers, a->tokenizers.count);
    for (int64_t i = 0; i < a->tokenizers.count && err == GR_OK; i++) {
        err = gr_tokenizer_load(a->tokenizers.items[i], &tokenizers[i]);
    }
    GR_TRY(world ? gr_world_agree(world, err) : err);
    o.tokenizers = (const gr_tokenizer *const *)tokenizers;
    o.tokenizer_count = a->tokenizers.count;
    GR_TRY(gr_import(&o, &team, &result));
    if (team.rank == 0) {
        print_result(&result, o.out);
    }
done:
    for (int64_t i = 0; tokenizers && i < a->tokenizers.count; i++) {
        gr_tokenizer_destroy(&tokenizers[i]);
    }
    GR_FREE(tokenizers);
    return err;
}

static gr_err import_on_ranks(const import_arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    GR_TRY(gr_world_create(&world));
    err = import(a, world);
    gri_world_leave(&world, err);
done:
    return err;
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
                 "keep (default): WebP files stay as they are, others become lossless WebP; "
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
        "command goes on.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(parse_encode(a.encode, o));
    o->form = (gr_import_form)a.form;
    o->drop_alpha = a.alpha == 1;
    o->ignore_exif = a.exif == 1;
    // Alone, MPI is not needed and not started.
    GR_TRY(gr_world_launched() ? import_on_ranks(&a) : import(&a, NULL));
done:
    gri_list_fini(&a.tokenizers);
    return err;
}
