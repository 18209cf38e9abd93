#include "datasets/import_internal.h"
#include "datasets/manifest.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"

/// Where the cut stands: the shard that the next sample goes to, unless it is full.
typedef struct cutter {
    int64_t shard, samples, held; ///< number, and what is in it so far
    gri_shard_writer *writer;     ///< NULL: the shard is another's, or finished before
    int64_t from, to;             ///< units that began and ended in this shard
} cutter;

static gr_err begin_shard(const gri_import *im, cutter *c)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gri_entry_path(im, c->shard, &path));
    if (gri_is_mine(im, c->shard) && !gr_file_exists(path)) {
        GR_TRY(gri_shard_writer_create(&im->plan.folder, c->shard, &im->counting, &c->writer));
    }
done:
    GR_FREE(path);
    return err;
}

/// Publishes the shard, notes its entry, gives back the space of the parts that are wholly in it.
static gr_err end_shard(const gri_import *im, cutter *c)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    char *path = NULL;
    gri_shard_entry entry = {0};
    if (c->writer) {
        GR_TRY(gri_shard_writer_finish(c->writer, &entry));
        gri_shard_entry_put(&j, &entry);
        GR_TRY(gr_json_finish(&j));
        GR_TRY(gri_entry_path(im, c->shard, &path));
        GR_TRY(gr_file_write(path, j.text.data, j.text.size));
        for (int64_t unit = c->from; unit < c->to; unit++) {
            gri_part_drop_bytes(im->plan.folder.work, unit);
        }
        gri_shard_writer_destroy(&c->writer);
    }
    c->shard++;
    c->samples = c->held = 0;
done:
    gr_json_fini(&j);
    GR_FREE(path);
    return err;
}

/// A part that was sealed was whole and synced: it is not made again, since the shards so far follow from the parts.
static gr_err read_sealed(const gri_import *im, gri_part_reader *part, gri_part_item *item)
{
    gr_err err = gri_part_bytes(part, item);
    if (err == GR_ERR_IO) {
        gr_err_context(
            "a finished part is damaged; is the disk sound? Remove the folder %s and import again",
            im->options->out);
    }
    return err;
}

static gr_err cut_sample(const gri_import *im, cutter *c, gri_part_reader *part,
                         gri_part_item *item, int64_t unit)
{
    gr_err err = GR_OK;
    if (gri_shard_full(c->samples, c->held, item->bytes, im->options->shard_bytes)) {
        GR_TRY(end_shard(im, c));
        c->from = c->to = unit + 1; // this unit reaches into two shards
    }
    if (c->samples == 0) {
        GR_TRY(begin_shard(im, c));
    }
    if (c->writer) {
        GR_TRY(read_sealed(im, part, item));
        GR_TRY(gri_shard_writer_add(c->writer, &item->sample, item->sample.id));
    }
    c->samples++;
    c->held += item->bytes;
done:
    return err;
}

static gr_err cut_unit(const gri_import *im, cutter *c, int64_t unit)
{
    gr_err err = GR_OK;
    gri_part_reader part = {.fd = -1};
    gri_part_item item;
    bool there = true;
    GR_TRY(gri_part_open(im->plan.folder.work, unit, &part));
    while (there) {
        GR_TRY(gri_part_next(&part, &item, &there));
        if (there && !item.reason) {
            GR_TRY(cut_sample(im, c, &part, &item, unit));
        }
    }
    c->to = unit + 1;
done:
    gri_part_close(&part);
    return err;
}

gr_err gri_import_cut(gri_import *im)
{
    gr_err err = GR_OK;
    cutter c = {0};
    const int64_t units = im->plan.first[im->plan.source.count];
    const double started = gr_clock();
    for (int64_t unit = 0; unit < units; unit++) {
        GR_TRY(cut_unit(im, &c, unit));
        gr_progress_bar(5.0, started, unit + 1, units, "writing shards (%lld so far)",
                        (long long)c.shard);
    }
    if (c.samples > 0) {
        GR_TRY(end_shard(im, &c));
    }
    im->shards = c.shard;
done:
    gr_progress_end();
    gri_shard_writer_destroy(&c.writer);
    return err;
}
