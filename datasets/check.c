#include "datasets/check.h"

#include "datasets/encode.h"
#include "datasets/loader_internal.h"
#include "datasets/shard_format.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/image.h"
#include "src/ops/loss.h"

#include <stdio.h>

static bool is_bad_data(gr_err err)
{
    return err == GR_ERR_DATA || err == GR_ERR_IO || err == GR_ERR_MISSING;
}

static void note(gr_check_report *r, int64_t number, bool unusable)
{
    if (r->bad < GR_CHECK_LISTED) {
        gr_check_bad *bad = &r->list[r->bad];
        bad->number = number;
        snprintf(bad->reason, sizeof bad->reason, "%s", gr_err_message());
    }
    r->bad++;
    r->unusable += unusable;
    gr_err_clear();
}

/// The picture has pixels, and as many as the tables say: from those its tiles were counted.
static gr_err check_picture(const gr_sample *sample, int64_t i)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    GR_TRY(gr_image_decode("picture", sample->image[i], sample->image_size[i], GRI_SHARD_DECODE,
                           &image));
    if (image.width != sample->pixels[i][0] || image.height != sample->pixels[i][1]) {
        GR_FAIL(GR_ERR_DATA, "%lld x %lld pixels, the index table says %d x %d",
                (long long)image.width, (long long)image.height, sample->pixels[i][0],
                sample->pixels[i][1]);
    }
done:
    gr_image_fini(&image);
    return err;
}

static int64_t count_targets(const int32_t *targets, int64_t tokens)
{
    int64_t count = 0;
    for (int64_t t = 0; t < tokens; t++) {
        count += targets[t] != GR_NO_TARGET;
    }
    return count;
}

static gr_err check_content(const gri_pack_rules *rules, const gr_sample *sample,
                            gr_check_report *r)
{
    gr_err err = GR_OK;
    gri_encoded encoded = {0};
    GR_TRY(gri_encode_any(rules, sample, &encoded));
    if (encoded.size.tokens > rules->window.sequence_length) {
        r->too_long++;
        r->longest_bad =
            encoded.size.tokens > r->longest_bad ? encoded.size.tokens : r->longest_bad;
    }
    GR_TRY(gri_encode_check_fit(rules, encoded.size));
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY_CONTEXT(check_picture(sample, i), "image %lld", (long long)i);
    }
    r->samples++;
    r->images += encoded.size.images;
    r->tokens += encoded.size.tokens;
    r->targets += count_targets(encoded.chat.targets.data, encoded.chat.targets.count);
    r->longest = encoded.size.tokens > r->longest ? encoded.size.tokens : r->longest;
done:
    gri_encoded_fini(&encoded);
    return err;
}

static gr_err check_sample(const gri_pack_rules *rules, gri_ref ref, gri_scratch *scratch,
                           bool *unusable, gr_check_report *r)
{
    gr_err err = GR_OK;
    *unusable = true;
    GR_TRY(gri_dataset_check_shard(ref.dataset, ref.index));
    err = gri_dataset_read(ref.dataset, ref.index, &scratch->sample);
    *unusable = err != GR_OK && err != GR_ERR_DATA;
    GR_TRY(err);
    GR_TRY_CONTEXT(check_content(rules, scratch->sample.sample, r), "%s: sample %lld (\"%s\")",
                   gr_dataset_path(ref.dataset), (long long)ref.index,
                   scratch->sample.sample->source);
done:
    return err;
}

gr_err gr_loader_check_samples(const gr_loader *loader, int rank, int size,
                               gr_check_report *out)
{
    gr_err err = GR_OK;
    gri_scratch scratch = {0};
    const int64_t count = gr_loader_epoch_size(loader);
    const int64_t each = count / size, more = count % size;
    const int64_t from = each * rank + (rank < more ? rank : more);
    const int64_t to = from + each + (rank < more);
    const double started = gr_clock();
    *out = (gr_check_report){0};
    for (int64_t n = from; n < to; n++) {
        bool unusable = false;
        err = check_sample(gri_loader_rules(loader), gri_loader_sample(loader, n), &scratch,
                           &unusable, out);
        if (err != GR_OK && is_bad_data(err)) {
            note(out, n, unusable);
            err = GR_OK;
        }
        GR_TRY(err);
        gr_progress_bar(5.0, started, n - from + 1, to - from, "checking samples (%lld bad)",
                        (long long)out->bad);
    }
done:
    gr_progress_end();
    gri_scratch_fini(&scratch);
    return err;
}

/// How large the row is by a set of measures.
static int64_t measure_row(const gr_check_row *row, int set, int64_t image_tokens)
{
    return (set & GR_CHECK_TOKENS ? row->tokens : 0) +
           (set & GR_CHECK_IMAGES ? row->images * image_tokens : 0) +
           (set & GR_CHECK_TARGETS ? row->targets : 0) +
           (set & GR_CHECK_LONGEST ? row->longest : 0);
}

/// Of two alike the earlier one stays, whichever process found it.
static bool is_before(const gr_check_row *a, const gr_check_row *b)
{
    return a->step != b->step   ? a->step < b->step
           : a->lane != b->lane ? a->lane < b->lane
                                : a->microbatch < b->microbatch;
}

static bool is_more(const gr_check_row *a, const gr_check_row *b, int set, int64_t image_tokens)
{
    const int64_t more = measure_row(a, set, image_tokens) - measure_row(b, set, image_tokens);
    const int64_t all = measure_row(a, GR_CHECK_SETS - 1, image_tokens) -
                        measure_row(b, GR_CHECK_SETS - 1, image_tokens);
    return more != 0 ? more > 0 : all != 0 ? all > 0 : is_before(a, b);
}

static void keep_row(gr_check_report *r, int set, const gr_check_row *row)
{
    if (row->tokens > 0 && is_more(row, &r->most[set], set, r->image_tokens)) {
        r->most[set] = *row;
    }
}

static gr_check_row row_of(const gri_window *w, const gri_row *row, const int64_t *targets)
{
    gr_check_row out = {.tokens = row->tokens, .images = row->images};
    for (int64_t i = row->begin; i < row->end; i++) {
        const int64_t n = w->order[i], tokens = w->sizes[n].tokens;
        out.targets += targets[n];
        out.longest = tokens > out.longest ? tokens : out.longest;
    }
    return out;
}

static void add_rows(const gri_window *w, const int64_t *targets, int64_t first_step,
                     int64_t lanes, gr_check_report *r)
{
    for (int64_t cell = 0; cell < w->steps * lanes; cell++) {
        for (int64_t i = w->cells[cell]; i < w->cells[cell + 1]; i++) {
            gr_check_row row = row_of(w, &w->rows[i], targets);
            row.step = first_step + cell / lanes;
            row.lane = cell % lanes;
            row.microbatch = i - w->cells[cell];
            r->rows++;
            r->row_tokens += row.tokens;
            for (int set = 1; set < GR_CHECK_SETS; set++) {
                keep_row(r, set, &row);
            }
        }
    }
}

/// Size of sample i of the window as the loader takes it, and its targets.
static gr_err measure_sample(const gr_loader *loader, gri_load *load, int64_t i,
                             gri_scratch *scratch, int64_t *targets)
{
    gr_err err = GR_OK;
    gri_encoded encoded = {0};
    GR_TRY(gri_loader_measure(loader, load, i, false, scratch));
    *targets = 0;
    const gri_kept *kept = &load->kept[i];
    if (kept->words) {
        *targets = count_targets(kept->words + kept->tokens, kept->tokens);
    } else if (load->window.sizes[i].tokens > 0) { // its text was read, and is still there
        GR_TRY(gri_encode(gri_loader_rules(loader), scratch->sample.sample, &encoded));
        *targets = count_targets(encoded.chat.targets.data, encoded.chat.targets.count);
    }
done:
    gri_encoded_fini(&encoded);
    return err;
}

static gr_err check_window(const gr_loader *loader, int64_t number, gri_load *load,
                           gri_scratch *scratch, gr_check_report *report)
{
    gr_err err = GR_OK;
    int64_t *targets = NULL;
    const gri_window_rules *rules = &gri_loader_rules(loader)->window;
    GR_TRY(gri_loader_begin(loader, number, load));
    GR_ALLOC(targets, load->window.count);
    for (int64_t i = 0; i < load->window.count; i++) {
        GR_TRY(measure_sample(loader, load, i, scratch, &targets[i]));
    }
    GR_TRY(gri_window_pack(&load->window, rules));
    add_rows(&load->window, targets, number * gri_loader_window_steps(loader), rules->lanes,
             report);
done:
    GR_FREE(targets);
    return err;
}

gr_err gr_loader_check_rows(const gr_loader *loader, int rank, int size,
                            gr_check_report *report)
{
    gr_err err = GR_OK;
    gri_load load = {0};
    gri_scratch scratch = {0};
    const int64_t steps = gr_loader_steps(loader);
    const int64_t windows =
        steps == INT64_MAX || steps == 0 ? 0 : gri_loader_window_of(loader, steps - 1) + 1;
    const double started = gr_clock();
    report->image_tokens = gri_loader_rules(loader)->image_tokens;
    for (int64_t n = rank; n < windows; n += size) {
        GR_TRY(check_window(loader, n, &load, &scratch, report));
        gr_progress_bar(5.0, started, n + 1, windows, "packing windows");
    }
done:
    gr_progress_end();
    gri_load_fini(&load);
    gri_scratch_fini(&scratch);
    return err;
}

void gr_check_add(gr_check_report *sum, const gr_check_report *part)
{
    const int64_t listed = part->bad < GR_CHECK_LISTED ? part->bad : GR_CHECK_LISTED;
    for (int64_t i = 0; i < listed && sum->bad + i < GR_CHECK_LISTED; i++) {
        sum->list[sum->bad + i] = part->list[i];
    }
    sum->samples += part->samples;
    sum->images += part->images;
    sum->tokens += part->tokens;
    sum->targets += part->targets;
    sum->longest = part->longest > sum->longest ? part->longest : sum->longest;
    sum->bad += part->bad;
    sum->unusable += part->unusable;
    sum->too_long += part->too_long;
    sum->longest_bad =
        part->longest_bad > sum->longest_bad ? part->longest_bad : sum->longest_bad;
    sum->rows += part->rows;
    sum->row_tokens += part->row_tokens;
    sum->image_tokens =
        part->image_tokens > sum->image_tokens ? part->image_tokens : sum->image_tokens;
    for (int set = 1; set < GR_CHECK_SETS; set++) {
        keep_row(sum, set, &part->most[set]);
    }
}
