#include "datasets/check.h"

#include "datasets/rows_inside.h"
#include "datasets/shard_format.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/image.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_bad_data(gr_err err)
{
    return err == GR_ERR_DATA || err == GR_ERR_IO || err == GR_ERR_MISSING;
}

/// Where the next word, or text between quotes, ends.
static const char *word_end(const char *at)
{
    const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
    if (end) {
        return end + 1;
    }
    for (end = at + 1; isalnum((unsigned char)*at) && isalnum((unsigned char)*end);) {
        end++;
    }
    return end;
}

/// Numbers, digests and quoted names: what tells one sample from another.
static bool is_particular(const char *at, const char *end)
{
    bool found = *at == '"';
    for (; at < end; at++) {
        found = found || isdigit((unsigned char)*at);
    }
    return found;
}

bool gr_check_same_kind(const char *a, const char *b)
{
    while (*a && *b) {
        const char *a_end = word_end(a), *b_end = word_end(b);
        const bool same = a_end - a == b_end - b && strncmp(a, b, (size_t)(a_end - a)) == 0;
        if (!same && !(is_particular(a, a_end) && is_particular(b, b_end))) {
            return false;
        }
        a = a_end;
        b = b_end;
    }
    return *a == *b;
}

/// Adds faults to the kind that they are of; a new one keeps `bad` as its first.
static void add_kind(gr_check_report *r, const gr_check_bad *bad)
{
    for (int64_t i = 0; i < r->kinds; i++) {
        if (gr_check_same_kind(r->list[i].reason, bad->reason)) {
            r->list[i].count += bad->count;
            return;
        }
    }
    if (r->kinds < GR_CHECK_LISTED) {
        r->list[r->kinds++] = *bad;
    }
}

static void note(gr_check_report *r, int64_t number, bool unusable)
{
    gr_check_bad bad = {.number = number, .count = 1};
    snprintf(bad.reason, sizeof bad.reason, "%s", gr_err_message());
    add_kind(r, &bad);
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

static gr_err check_pictures(const gr_sample *sample)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY_CONTEXT(check_picture(sample, i), "image %lld", (long long)i);
    }
done:
    return err;
}

/// What depends on the stage.
static gr_err check_text(const gri_pack_rules *rules, const gr_sample *sample,
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
    r->samples++;
    r->images += encoded.size.images;
    r->tokens += encoded.size.tokens;
    r->targets += gri_count_targets(encoded.chat.targets.data, encoded.chat.targets.count);
    r->longest = encoded.size.tokens > r->longest ? encoded.size.tokens : r->longest;
done:
    gri_encoded_fini(&encoded);
    return err;
}

static gr_err check_sample(const gri_pack_rules *rules, gri_ref ref, gri_scratch *scratch,
                           gr_seen *seen, bool *unusable, gr_check_report *r)
{
    gr_err err = GR_OK;
    gri_place place = {0};
    const bool was_seen = gr_seen_has(seen, ref.dataset, ref.index);
    *unusable = true;
    GR_TRY(gri_dataset_check_shard(ref.dataset, ref.index));
    err = was_seen ? gri_dataset_read_text(ref.dataset, ref.index, &scratch->sample, &place)
                   : gri_dataset_read_content(ref.dataset, ref.index, NULL, &scratch->sample);
    *unusable = err != GR_OK && err != GR_ERR_DATA;
    GR_TRY(err);
    err = was_seen ? GR_OK : check_pictures(scratch->sample.sample);
    if (err == GR_OK && !was_seen) {
        GR_TRY(gr_seen_add(seen, ref.dataset, ref.index));
    }
    err = err ? err : check_text(rules, scratch->sample.sample, r);
    err = err ? gri_pack_name_sample(err, ref, scratch) : GR_OK;
done:
    return err;
}

gr_err gr_loader_check_samples(const gr_loader *loader, int rank, int size, gr_seen *seen,
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
                           seen, &unusable, out);
        if (err != GR_OK && is_bad_data(err)) {
            note(out, n, unusable);
            err = GR_OK;
        }
        GR_TRY(err);
        // Each process has about as much to do: rank 0, which speaks, speaks for all.
        gr_progress_bar(5.0, started, (n - from + 1) * count / (to - from), count,
                        "checking samples (%lld bad%s)", (long long)out->bad,
                        size > 1 ? " among this rank's" : "");
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

static gr_err add_row(void *report, const gr_row_shape *shape)
{
    gr_check_report *r = report;
    gr_check_row row = {.step = shape->step,
                        .lane = shape->lane,
                        .microbatch = shape->microbatch,
                        .tokens = shape->tokens,
                        .images = shape->images,
                        .targets = shape->targets};
    for (int64_t i = 0; i < shape->sequences; i++) {
        row.longest = shape->lengths[i] > row.longest ? shape->lengths[i] : row.longest;
    }
    r->rows++;
    r->row_tokens += row.tokens;
    for (int set = 1; set < GR_CHECK_SETS; set++) {
        keep_row(r, set, &row);
    }
    return GR_OK;
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
        GR_TRY(gri_rows_of_window(loader, n, &load, &scratch, add_row, report));
        gr_progress_bar(5.0, started, n + size < windows ? n + 1 : windows, windows,
                        "packing windows");
    }
done:
    gr_progress_end();
    gri_load_fini(&load);
    gri_scratch_fini(&scratch);
    return err;
}

void gr_check_add(gr_check_report *sum, const gr_check_report *part)
{
    for (int64_t i = 0; i < part->kinds; i++) {
        add_kind(sum, &part->list[i]);
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
