#include "datasets/import_internal.h"
#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdio.h>

static gr_err note_reject(gri_import *im, const gri_part_item *item)
{
    gr_err err = GR_OK;
    im->result.rejects++;
    GR_TRY(gr_str_add_bytes(&im->rejects, item->line, item->line_size));
    if (!im->first_reject) {
        im->first_reject =
            gr_str_format("%s %lld (id %s): %s", item->unit, (long long)item->number,
                          item->source ? item->source : "unknown", item->reason);
        err = im->first_reject ? GR_OK : GR_ERR_MEMORY;
    }
done:
    return err;
}

static gr_err note_sample(gri_import *im, const gri_part_item *item)
{
    gr_err err = GR_OK;
    if (im->result.samples == im->capacity) {
        int64_t capacity = im->capacity ? 2 * im->capacity : 1024;
        GR_RESIZE(im->ids, im->capacity, capacity);
        im->capacity = capacity;
    }
    im->ids[im->result.samples++] = item->sample.id;
    im->result.images += item->sample.images;
    im->digest = gri_digest_link_id(im->digest, item->sample.id);
done:
    return err;
}

static gr_err survey_unit(gri_import *im, int64_t unit)
{
    gr_err err = GR_OK;
    gri_part_reader part = {.fd = -1};
    gri_part_item item;
    bool there = true;
    GR_TRY(gri_part_open(im->plan.folder.work, unit, &part));
    while (there) {
        GR_TRY(gri_part_next(&part, &item, &there));
        if (there) {
            GR_TRY(item.reason ? note_reject(im, &item) : note_sample(im, &item));
        }
    }
done:
    gri_part_close(&part);
    return err;
}

static gr_err judge_rejects(gri_import *im)
{
    gr_err err = GR_OK;
    const char *source = im->options->source, *out = im->options->out;
    long long allowed = im->options->max_rejects, found = im->result.rejects;
    char all[64] = "the only record is";
    if (found > 1) {
        snprintf(all, sizeof all, "all %lld records are", found);
    }
    if (im->result.samples == 0) {
        im->useless = true;
        GR_FAIL(GR_ERR_DATA,
                "%s: %s bad, nothing to import; the first is %s; "
                "%s/rejects.jsonl lists %s",
                source, all, im->first_reject, out, found == 1 ? "it" : "them");
    }
    if (found > allowed) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: %lld bad record%s, %lld allowed; the first is %s; %s/rejects.jsonl lists "
            "them. Correct the records or allow more rejects: the same command then goes on "
            "with what is done",
            source, found, found == 1 ? "" : "s", allowed, im->first_reject, out);
    }
done:
    return err;
}

gr_err gri_import_survey(gri_import *im)
{
    gr_err err = GR_OK;
    char *seal = NULL;
    if (im->team.rank != 0) {
        goto done;
    }
    for (int64_t unit = 0; unit < im->plan.first[im->plan.source.count]; unit++) {
        GR_TRY(survey_unit(im, unit));
    }
    GR_TRY(gri_write_list(im, "rejects.jsonl", &im->rejects));
    GR_TRY(judge_rejects(im));
    GR_TRY(gri_seal_path(im, &seal));
    GR_TRY(gr_file_write(seal, "", 0));
done:
    GR_FREE(seal);
    return err;
}
