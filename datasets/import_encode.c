#include "datasets/import_internal.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"

static void show_progress(const gri_import *im)
{
    if (im->options->form == GR_IMPORT_SYNTH) {
        gr_progress_bar(5.0, im->started, im->done, im->records, "drawing samples");
    } else {
        gr_progress_bar(5.0, im->started, im->done, im->records, "encoding records (%lld bad)",
                        (long long)im->spoiled);
    }
}

static bool is_reject(gr_err err)
{
    return err == GR_ERR_DATA || err == GR_ERR_MISSING;
}

/// Reads the reader's current record into the part.
static gr_err encode_record(gri_import *im, gri_reader *reader, gri_part_writer *part)
{
    gr_err err = GR_OK;
    gri_record record = {.last = &im->last};
    err = reader->read(reader, &record);
    if (is_reject(err)) {
        bool several = im->plan.source.count > 1;
        GR_TRY(gri_part_reject(part, several ? gr_path_base(reader->file->path) : NULL,
                               reader->place, record.source));
        im->spoiled++;
    } else {
        GR_TRY(err);
        GR_TRY(gri_part_add(part, &record.sample));
    }
    im->done++;
    show_progress(im);
done:
    gri_record_fini(&record);
    return err;
}

/// Goes to the next record, which must be there: the file was counted.
static gr_err walk(gri_reader *reader, bool wanted)
{
    gr_err err = GR_OK;
    bool there = false;
    GR_TRY(reader->next(reader, wanted, &there));
    if (!there) {
        GR_FAIL(GR_ERR_IO, "%s: it has fewer records than when it was counted: who changes it?",
                reader->file->path);
    }
done:
    return err;
}

/// Whether this process still has to encode the unit.
static bool is_wanted(const gri_import *im, int64_t unit)
{
    return gri_is_mine(im, unit) && !gri_part_done(im->plan.folder.work, unit);
}

/// Encodes the next `count` records of the reader as one unit.
static gr_err encode_unit(gri_import *im, gri_reader *reader, int64_t unit, int64_t count)
{
    gr_err err = GR_OK;
    gri_part_writer part = {.fd = -1};
    GR_TRY(gri_part_create(im->plan.folder.work, unit, &part));
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(walk(reader, true));
        GR_TRY(encode_record(im, reader, &part));
    }
    GR_TRY(gri_part_finish(&part));
done:
    gri_part_abandon(&part);
    return err;
}

/// Records of unit `unit` of file `f`.
static int64_t unit_records(const gri_plan *plan, int64_t f, int64_t unit)
{
    int64_t before = (unit - plan->first[f]) * plan->unit, left = plan->records[f] - before;
    return left < plan->unit ? left : plan->unit;
}

/// Behind the last unit of file `f` that this process still has to encode; where the file begins when there is none.
static int64_t last_wanted(const gri_import *im, int64_t f)
{
    int64_t unit = im->plan.first[f + 1];
    while (unit > im->plan.first[f] && !is_wanted(im, unit - 1)) {
        unit--;
    }
    return unit;
}

static gr_err encode_file(gri_import *im, int64_t f)
{
    gr_err err = GR_OK;
    gri_reader *reader = NULL;
    const int64_t end = last_wanted(im, f);
    if (end == im->plan.first[f]) {
        goto done;
    }
    GR_TRY(gri_reader_open(&im->plan.source.files[f], im->options, &reader));
    for (int64_t unit = im->plan.first[f]; unit < end; unit++) {
        int64_t count = unit_records(&im->plan, f, unit);
        if (is_wanted(im, unit)) {
            GR_TRY(encode_unit(im, reader, unit, count));
        } else {
            for (int64_t i = 0; i < count; i++) {
                GR_TRY(walk(reader, false));
            }
        }
    }
done:
    gri_reader_close(&reader);
    return err;
}

/// Takes back a unit of an earlier run that has bad records, which are tried again, or that a crash of the machine damaged. Reading it
/// costs little beside making it.
static gr_err take_back(gri_import *im, int64_t unit, int64_t records)
{
    gr_err err = GR_OK;
    bool bad = false;
    const char *work = im->plan.folder.work;
    err = gri_part_check(work, unit, records, &bad);
    if (err == GR_ERR_IO) {
        gr_log_warn("%s; these records are encoded again", gr_err_message());
        gr_err_clear();
        bad = true;
        err = GR_OK;
    }
    GR_TRY(err);
    if (bad) {
        gri_part_remove(work, unit);
    }
done:
    return err;
}

static gr_err is_sealed(const gri_import *im, bool *out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gri_seal_path(im, &path));
    *out = gr_file_exists(path);
done:
    GR_FREE(path);
    return err;
}

gr_err gri_import_encode(gri_import *im)
{
    gr_err err = GR_OK;
    const gri_plan *plan = &im->plan;
    bool sealed = false;
    GR_TRY(is_sealed(im, &sealed));
    if (sealed) {
        goto done;
    }
    for (int64_t f = 0; f < plan->source.count; f++) {
        for (int64_t unit = plan->first[f]; unit < plan->first[f + 1]; unit++) {
            const int64_t records = unit_records(plan, f, unit);
            if (gri_is_mine(im, unit) && gri_part_done(plan->folder.work, unit)) {
                GR_TRY(take_back(im, unit, records));
            }
            im->records += is_wanted(im, unit) ? records : 0;
        }
    }
    im->started = gr_clock();
    for (int64_t f = 0; f < plan->source.count; f++) {
        GR_TRY(encode_file(im, f));
    }
    GR_TRY(gr_dir_sync_all(plan->folder.work)); // rank 0 seals them next
done:
    gr_progress_end();
    return err;
}
