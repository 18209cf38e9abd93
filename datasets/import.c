// An import in phases, with a meeting of all processes behind each:
//   claim     rank 0 takes the folder; all find the source's files
//   count     the records of each file; from that follows the cut into units, which depends on the source alone
//   encode    each unit becomes a part, by whichever process; a finished part survives a kill
//   survey    rank 0 goes over all records: rejects, duplicates, the digest of the whole
//   cut       where shards begin follows from the samples' sizes in order; each shard is written by whichever process
//   finish    rank 0 writes the manifest
#include "datasets/import.h"

#include "datasets/import_internal.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

gr_err gri_seal_path(const gri_import *im, char **out)
{
    return gr_path_join(im->plan.folder.work, "sealed", out);
}

gr_err gri_entry_path(const gri_import *im, int64_t shard, char **out)
{
    *out = gr_str_format("%s/shard-%05lld.json", im->plan.folder.work, (long long)shard);
    return *out ? GR_OK : GR_ERR_MEMORY;
}

gr_err gri_write_list(const gri_import *im, const char *name, const gr_str *text)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(im->options->out, name, &path));
    if (text->size > 0) {
        GR_TRY(gr_file_write(path, text->data, text->size));
    } else if (unlink(path) != 0 && errno != ENOENT) {
        GR_FAIL(GR_ERR_IO, "%s: cannot remove the list of an earlier import: %s", path,
                strerror(errno));
    }
done:
    GR_FREE(path);
    return err;
}

static gr_err meet(const gri_import *im, gr_err mine)
{
    return im->team.meet ? im->team.meet(im->team.self, mine) : mine;
}

/// A shard names the counts by the tokenizer's digest, so the same one twice has no place.
static gr_err name_tokenizers(const gr_import_options *o, gr_digest *out)
{
    gr_err err = GR_OK;
    for (int64_t k = 0; k < o->tokenizer_count; k++) {
        GR_TRY(gr_tokenizer_digest(o->tokenizers[k], &out[k]));
        for (int64_t i = 0; i < k; i++) {
            if (gr_digest_equal(out[i], out[k])) {
                GR_FAIL(GR_ERR_USAGE,
                        "--tokenizer: number %lld is the same tokenizer as number %lld: name "
                        "each once",
                        (long long)k + 1, (long long)i + 1);
            }
        }
    }
done:
    return err;
}

static gr_err prepare(gri_import *im)
{
    gr_err err = GR_OK;
    const gr_import_options *o = im->options;
    GR_ALLOC(im->tokenizers, o->tokenizer_count);
    GR_TRY(name_tokenizers(o, im->tokenizers));
    if (o->task) {
        GR_TRY(gri_check_utf8("--task", o->task, strlen(o->task)));
    }
    im->counting = (gri_counting){o->tokenizers, im->tokenizers, o->tokenizer_count};
    GR_TRY(gri_source_find(o, &im->plan.source));
    if (im->team.rank == 0) {
        GR_TRY(gri_plan_claim(&im->plan, o));
    } else {
        GR_TRY(gri_plan_join(&im->plan, o->out));
    }
done:
    return err;
}

static gr_err count_records(gri_import *im)
{
    gr_err err = GR_OK;
    for (int64_t f = 0; f < im->plan.source.count; f++) {
        if (gri_is_mine(im, f)) {
            GR_TRY(gri_plan_count(&im->plan, im->options, f));
        }
    }
done:
    return err;
}

static gr_err cut_source(gri_import *im)
{
    gr_err err = GR_OK;
    GR_TRY(gri_plan_cut(&im->plan));
    if (im->plan.total == 0) {
        GR_FAIL(GR_ERR_DATA, "%s: names no record, nothing to import", im->options->source);
    }
done:
    return err;
}

/// Gives the folder back; what can be gone on with stays in it.
static void leave(gri_import *im)
{
    char *plan = NULL;
    bool ours = im->plan.folder.dir && im->plan.folder.lock >= 0;
    if (ours && (im->useless || !gri_plan_has_parts(&im->plan))) {
        // The plan goes first: a kill in between leaves something that is not gone on with.
        if (gr_path_join(im->plan.folder.work, GRI_FOLDER_PLAN, &plan) == GR_OK) {
            unlink(plan);
        }
        gri_folder_clean(&im->plan.folder);
    }
    GR_FREE(plan);
    gri_plan_fini(&im->plan);
}

gr_err gr_import(const gr_import_options *options, const gr_import_team *team,
                 gr_import_result *out)
{
    gr_err err = GR_OK;
    gri_import im = {.options = options,
                     .team = team ? *team : (gr_import_team){.size = 1},
                     .plan.folder.lock = -1};
    GR_TRY(meet(&im, prepare(&im)));
    GR_TRY(meet(&im, count_records(&im)));
    GR_TRY(meet(&im, cut_source(&im)));
    GR_TRY(meet(&im, gri_import_encode(&im)));
    GR_TRY(meet(&im, gri_import_survey(&im)));
    GR_TRY(meet(&im, gri_import_cut(&im)));
    GR_TRY(meet(&im, gri_import_finish(&im)));
    *out = im.result;
done:
    gr_progress_end();
    leave(&im);
    gri_last_picture_fini(&im.last);
    GR_FREE(im.tokenizers);
    GR_FREE(im.ids);
    GR_FREE(im.first_reject);
    gr_str_fini(&im.rejects);
    return err;
}
