#include "stages/flip.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, FIELDS = 6 };

static const char *const kinds[GR_FLIP_KINDS] = {"",    "gradient", "loss",  "pixels",
                                                 "sum", "weights",  "first", "second"};

/// A whole number from 0 on that ends where the text does, or at `tail`.
static bool read_number(const char *text, const char *tail, int64_t *out)
{
    long long value = -1;
    int end = 0;
    bool fits = sscanf(text, "%lld%n", &value, &end) == 1 && value >= 0 &&
                (!text[end] || strcmp(text + end, tail) == 0);
    *out = value;
    return fits;
}

static bool read_value(const char *text, gr_flip *out)
{
    static const char *const names[] = {"nan", "inf", "-inf"};
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            out->bit = -1;
            out->value = values[i];
            return true;
        }
    }
    return false;
}

static bool read_bit(const char *text, gr_flip *out)
{
    int64_t bit = 0;
    bool fits = read_number(text, "", &bit) && bit < 32;
    out->bit = fits ? (int)bit : 0;
    return fits;
}

/// The kind, which says how many fields there are.
static bool read_kind(const char *text, int count, gr_flip *out)
{
    for (int k = GR_FLIP_GRADIENT; k < GR_FLIP_KINDS; k++) {
        if (strcmp(text, kinds[k]) == 0) {
            out->kind = (gr_flip_kind)k;
        }
    }
    int wanted = out->kind == GR_FLIP_LOSS ? 4 : out->kind == GR_FLIP_PIXELS ? 5 : FIELDS;
    return out->kind != GR_FLIP_NONE && count == wanted;
}

static bool read_place(const char *text, gr_flip *out)
{
    if (out->kind == GR_FLIP_PIXELS) {
        bool fits = gr_digest_parse(text, &out->sample) == GR_OK;
        gr_err_clear();
        return fits;
    }
    out->of_rank =
        text[0] == '@' && (out->kind == GR_FLIP_GRADIENT || out->kind == GR_FLIP_LOSS);
    return read_number(text + out->of_rank, "", &out->place);
}

static bool read_fields(char *const fields[FIELDS], int count, const gr_params *params,
                        gr_flip *out)
{
    if (!read_kind(fields[0], count, out) || !read_place(fields[1], out) ||
        !read_number(fields[2], "+", &out->update)) {
        return false;
    }
    out->again = strchr(fields[2], '+') != NULL;
    if (out->kind == GR_FLIP_LOSS) {
        return read_value(fields[3], out);
    }
    if (out->kind == GR_FLIP_PIXELS) {
        return read_number(fields[3], "", &out->element) && read_value(fields[4], out);
    }
    out->tensor = gr_params_find(params, fields[3]);
    return out->tensor && read_number(fields[4], "", &out->element) &&
           out->element < out->tensor->count &&
           (read_value(fields[5], out) || read_bit(fields[5], out));
}

gr_err gr_flip_read(const gr_params *params, gr_flip *out)
{
    gr_err err = GR_OK;
    const char *text = getenv("GR_FLIP");
    char *copy = NULL, *fields[FIELDS] = {NULL}, *rest = NULL;
    int count = 0;
    *out = (gr_flip){.kind = GR_FLIP_NONE};
    if (!text) {
        goto done;
    }
    GR_STRDUP(copy, text);
    for (char *at = strtok_r(copy, ":", &rest); at; at = strtok_r(NULL, ":", &rest)) {
        if (count < FIELDS) {
            fields[count] = at;
        }
        count++;
    }
    if (count == 0 || !read_fields(fields, count, params, out)) {
        bool lacks = count == FIELDS && !gr_params_find(params, fields[3]);
        *out = (gr_flip){.kind = GR_FLIP_NONE};
        GR_FAIL(
            GR_ERR_USAGE,
            "GR_FLIP=%s: expected gradient:LANE, sum:RANK, weights:RANK, first:RANK or second:RANK, then :UPDATE:TENSOR:ELEMENT:BIT "
            "of a tensor of the model%s; or loss:LANE:UPDATE:VALUE; or pixels:ID:UPDATE:ELEMENT:VALUE. Instead of BIT a VALUE: nan, "
            "inf or -inf; UPDATE+: each time from then on",
            text, lacks ? ", and it has none of that name" : "");
    }
done:
    GR_FREE(copy);
    return err;
}

void gr_flip_fini(gr_flip *flip)
{
    GR_FREE(flip->shown);
    flip->capacity = 0;
}

static bool is_due(const gr_flip *flip, gr_flip_kind kind, gr_flip_place at)
{
    bool now =
        flip->again ? at.update >= flip->update : at.update == flip->update && !flip->done;
    bool of_lane = at.lane >= 0 && !flip->of_rank;
    bool here = kind == GR_FLIP_PIXELS || flip->place == (of_lane ? at.lane : at.rank);
    return flip->kind == kind && now && here;
}

/// The warning names the place, as the variable did.
static void tell(gr_flip *flip, gr_flip_place at, const char *what)
{
    char place[64], id[GR_DIGEST_TEXT], done[64];
    bool lane = flip->kind == GR_FLIP_GRADIENT || flip->kind == GR_FLIP_LOSS;
    flip->done = true;
    snprintf(place, sizeof place, "%s %lld", lane ? "lane" : "rank",
             (long long)(lane ? at.lane : at.rank));
    if (flip->kind == GR_FLIP_PIXELS) {
        gr_digest_format(flip->sample, id);
        snprintf(place, sizeof place, "sample %s", id);
    }
    snprintf(done, sizeof done, "is set to %g", (double)flip->value);
    if (flip->bit >= 0) {
        snprintf(done, sizeof done, "is flipped");
    }
    gr_progress_end();
    gr_log_warn("GR_FLIP: step %lld of the run, %s of %s: %s %s", (long long)at.update,
                kinds[flip->kind], place, what, done);
}

void gr_flip_number(gr_flip *flip, gr_flip_kind kind, gr_flip_place at, float *value)
{
    char what[320];
    if (!value || !is_due(flip, kind, at)) {
        return;
    }
    if (flip->bit >= 0) {
        uint32_t bits = 0;
        memcpy(&bits, value, sizeof bits);
        bits ^= UINT32_C(1) << flip->bit;
        memcpy(value, &bits, sizeof bits);
        snprintf(what, sizeof what, "bit %d of element %lld of %s", flip->bit,
                 (long long)flip->element, flip->tensor->name);
    } else {
        *value = flip->value;
        snprintf(what, sizeof what, "element %lld of %s", (long long)flip->element,
                 flip->tensor->name);
    }
    tell(flip, at, what);
}

void gr_flip_apply(gr_flip *flip, gr_flip_kind kind, gr_flip_place at, float *values)
{
    if (flip->kind == kind && values) {
        gr_flip_number(flip, kind, at, values + flip->tensor->offset + flip->element);
    }
}

void gr_flip_loss(gr_flip *flip, gr_flip_place at, double *loss)
{
    if (is_due(flip, GR_FLIP_LOSS, at)) {
        *loss = (double)flip->value;
        tell(flip, at, "it");
    }
}

/// The first picture of the sample in the microbatch; -1: it is not there, or has none.
static gr_err find_pictures(const gr_flip *flip, const gr_lane_batch *lane, int64_t number,
                            int64_t *first)
{
    gr_err err = GR_OK;
    int64_t image = 0;
    *first = -1;
    for (int64_t i = 0; i < lane->samples && *first < 0; i++) {
        const gr_used *u = &lane->used[i];
        gr_digest id;
        if (u->batch != number) {
            continue;
        }
        GR_TRY(gr_dataset_id(u->dataset, u->index, &id));
        if (u->images > 0 && gr_digest_equal(id, flip->sample)) {
            *first = image;
        }
        image += u->images;
    }
done:
    return err;
}

/// What the bytes stand for: [images, height, width, 3] to [images, 3, height, width].
static void as_numbers(const gr_pixels *from, int64_t images, int64_t pixels, float *to)
{
    for (int64_t i = 0; i < images * pixels * CHANNELS; i++) {
        int64_t image = i / (pixels * CHANNELS), c = i / pixels % CHANNELS, at = i % pixels;
        to[i] = from->table[c][from->bytes[(image * pixels + at) * CHANNELS + c]];
    }
}

gr_err gr_flip_pixels(gr_flip *flip, gr_flip_place at, const gr_lane_batch *lane,
                      int64_t number, int64_t side, gr_batch *batch)
{
    gr_err err = GR_OK;
    const int64_t image = side * side * CHANNELS, size = batch->images * image;
    int64_t first = 0;
    char what[64];
    if (!is_due(flip, GR_FLIP_PIXELS, at) || !batch->pixels.bytes) {
        goto done;
    }
    GR_TRY(find_pictures(flip, lane, number, &first));
    if (first < 0) {
        goto done;
    }
    if (size > flip->capacity) {
        GR_RESIZE(flip->shown, flip->capacity, size);
        flip->capacity = size;
    }
    as_numbers(&batch->pixels, batch->images, side * side, flip->shown);
    flip->shown[first * image + flip->element % image] = flip->value;
    batch->pixels = (gr_pixels){.values = flip->shown};
    snprintf(what, sizeof what, "number %lld of its first picture",
             (long long)(flip->element % image));
    tell(flip, at, what);
done:
    return err;
}
