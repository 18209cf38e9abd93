// A data set written by one process, sample by sample.
#include "datasets/manifest.h"
#include "datasets/shard_format.h"
#include "datasets/shard_write.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <unistd.h>

struct gr_dataset_writer {
    gri_folder folder;
    int64_t shard_bytes;
    gri_counting counting;
    gri_shard_writer *shard;     ///< being collected; NULL: none
    int64_t shard_samples, held; ///< its samples and their bytes
    gri_manifest manifest;       ///< finished shards; its digest has all samples
    bool broken, finished;       ///< broken: an add or a shard failed, nothing more is written
};

gr_err gr_dataset_writer_create(const char *dir, int64_t shard_bytes, gr_dataset_writer **out)
{
    gr_err err = GR_OK;
    gr_dataset_writer *w = NULL;
    bool unfinished = false;
    GR_ASSERT(shard_bytes >= 0);
    GR_ALLOC(w, 1);
    GR_TRY(gri_folder_claim(dir, &unfinished, &w->folder));
    if (unfinished) {
        GR_FAIL(GR_ERR_USAGE,
                "%s holds an import that was not finished: give its command again, or remove "
                "the folder",
                dir);
    }
    w->shard_bytes = shard_bytes;
    *out = w;
    w = NULL;
done:
    if (w) {
        gri_folder_leave(&w->folder); // nothing of ours is there yet
        GR_FREE(w);
    }
    return err;
}

gr_err gr_dataset_writer_count_tokens(gr_dataset_writer *w,
                                      const gr_tokenizer *const *tokenizers, int64_t count)
{
    gr_err err = GR_OK;
    gr_digest *digests = NULL;
    GR_ASSERT(!w->shard && w->manifest.count == 0 && !w->manifest.tokenizers);
    GR_ALLOC(digests, count);
    for (int64_t k = 0; k < count; k++) {
        GR_TRY(gr_tokenizer_digest(tokenizers[k], &digests[k]));
    }
    GR_TRY(gri_manifest_tokenizers(&w->manifest, digests, count));
    w->counting = (gri_counting){tokenizers, w->manifest.tokenizers, count};
done:
    GR_FREE(digests);
    return err;
}

static gr_err finish_shard(gr_dataset_writer *w)
{
    gr_err err = GR_OK;
    gri_shard_entry entry = {0};
    GR_TRY(gri_shard_writer_finish(w->shard, &entry));
    GR_TRY(gri_manifest_add(&w->manifest, &entry));
    gri_shard_writer_destroy(&w->shard);
    w->shard_samples = w->held = 0;
done:
    return err;
}

gr_err gr_dataset_writer_add(gr_dataset_writer *w, const gr_sample *sample)
{
    gr_err err = GR_OK;
    GR_ASSERT(!w->broken && !w->finished);
    const int64_t bytes = gri_sample_bytes(sample);
    const gr_digest id = gr_sample_id(sample);
    if (gri_shard_full(w->shard_samples, w->held, bytes, w->shard_bytes)) {
        GR_TRY(finish_shard(w));
    }
    if (!w->shard) {
        GR_TRY(gri_shard_writer_create(&w->folder, w->manifest.count, &w->counting, &w->shard));
    }
    GR_TRY(gri_shard_writer_add(w->shard, sample, id));
    w->shard_samples++;
    w->held += bytes;
    w->manifest.digest = gri_digest_link_id(w->manifest.digest, id);
done:
    w->broken = err != GR_OK;
    return err;
}

gr_err gr_dataset_writer_finish(gr_dataset_writer *w)
{
    gr_err err = GR_OK;
    GR_ASSERT(!w->broken && !w->finished);
    if (w->shard) {
        GR_TRY(finish_shard(w));
    }
    GR_TRY(gri_manifest_save(&w->manifest, w->folder.dir));
    w->finished = true;
done:
    w->broken = err != GR_OK;
    return err;
}

/// Takes back the shards of a data set that was not finished; first the manifest, which is there where writing it failed at last.
static void remove_shards(const gr_dataset_writer *w)
{
    char *manifest = NULL;
    if (gri_manifest_path(w->folder.dir, &manifest) == GR_OK) {
        unlink(manifest);
    }
    GR_FREE(manifest);
    for (int64_t i = 0; i < w->manifest.count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", w->folder.dir, w->manifest.shards[i].name);
        unlink(path);
    }
}

void gr_dataset_writer_destroy(gr_dataset_writer **writer)
{
    gr_dataset_writer *w = *writer;
    if (!w) {
        return;
    }
    gri_shard_writer_destroy(&w->shard);
    if (!w->finished) {
        remove_shards(w);
    }
    gri_folder_clean(&w->folder);
    gri_folder_leave(&w->folder);
    gri_manifest_fini(&w->manifest);
    GR_FREE(*writer);
}
