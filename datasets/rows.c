#include "datasets/rows.h"

#include "datasets/rows_inside.h"
#include "src/base/mem.h"
#include "src/ops/loss.h"

int64_t gri_count_targets(const int32_t *targets, int64_t tokens)
{
    int64_t count = 0;
    for (int64_t t = 0; t < tokens; t++) {
        count += targets[t] != GR_NO_TARGET;
    }
    return count;
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
        *targets = gri_count_targets(kept->words + kept->tokens, kept->tokens);
    } else if (load->window.sizes[i].tokens > 0) { // its text was read, and is still there
        GR_TRY(gri_encode(gri_loader_rules(loader), scratch->sample.sample, &encoded));
        *targets = gri_count_targets(encoded.chat.targets.data, encoded.chat.targets.count);
    }
done:
    gri_encoded_fini(&encoded);
    return err;
}

/// Calls for one row. lengths: room for the window's samples.
static gr_err call_row(const gri_window *w, const gri_row *row, const int64_t *targets,
                       int64_t *lengths, gr_row_shape shape, gr_row_fn *call, void *context)
{
    for (int64_t i = row->begin; i < row->end; i++) {
        const int64_t n = w->order[i];
        shape.targets += targets[n];
        if (w->sizes[n].tokens > 0) {
            lengths[shape.sequences++] = w->sizes[n].tokens;
        }
    }
    shape.tokens = row->tokens;
    shape.images = row->images;
    shape.lengths = lengths;
    return call(context, &shape);
}

/// Calls for each row of a packed window.
static gr_err call_rows(const gri_window *w, const int64_t *targets, int64_t first_step,
                        int64_t lanes, gr_row_fn *call, void *context)
{
    gr_err err = GR_OK;
    int64_t *lengths = NULL;
    GR_ALLOC(lengths, w->count);
    for (int64_t cell = 0; cell < w->steps * lanes; cell++) {
        for (int64_t i = w->cells[cell]; i < w->cells[cell + 1]; i++) {
            const gr_row_shape shape = {.step = first_step + cell / lanes,
                                        .lane = cell % lanes,
                                        .microbatch = i - w->cells[cell]};
            GR_TRY(call_row(w, &w->rows[i], targets, lengths, shape, call, context));
        }
    }
done:
    GR_FREE(lengths);
    return err;
}

gr_err gri_rows_of_window(const gr_loader *loader, int64_t number, gri_load *load,
                          gri_scratch *scratch, gr_row_fn *call, void *context)
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
    GR_TRY(call_rows(&load->window, targets, number * gri_loader_window_steps(loader),
                     rules->lanes, call, context));
done:
    GR_FREE(targets);
    return err;
}

gr_err gr_loader_rows(const gr_loader *loader, int64_t steps, gr_row_fn *call, void *context,
                      int64_t *done)
{
    gr_err err = GR_OK;
    gri_load load = {0};
    gri_scratch scratch = {0};
    const int64_t all = gr_loader_steps(loader);
    *done = 0;
    for (int64_t n = 0; *done < steps && *done < all; n++) {
        GR_TRY(gri_rows_of_window(loader, n, &load, &scratch, call, context));
        *done += load.window.steps;
    }
done:
    gri_load_fini(&load);
    gri_scratch_fini(&scratch);
    return err;
}

/// How much sample `i` adds to what i samples of this mean have, rounded.
static int64_t share(double mean, int64_t i)
{
    return (int64_t)(mean * (double)(i + 1) + 0.5) - (int64_t)(mean * (double)i + 0.5);
}

static gr_err check_assumed(const gr_assumed_rows *a, const gri_window_rules *rules,
                            gri_size size)
{
    gr_err err = GR_OK;
    if (!gri_size_fits(rules, size)) {
        GR_FAIL(GR_ERR_RECIPE,
                "samples are assumed to have %g tokens in %g tiles, which fit no row of "
                "sequence_length %lld and max_images %lld",
                a->tokens, a->tiles, (long long)a->sequence_length, (long long)a->max_images);
    }
done:
    return err;
}

static gr_err assume_window(const gr_assumed_rows *a, const gri_window_rules *rules,
                            int64_t number, gri_window *w, gr_row_fn *call, void *context)
{
    gr_err err = GR_OK;
    int64_t *targets = NULL;
    const int64_t most = a->window * a->global_batch, first = number * most;
    const int64_t count = a->samples - first < most ? a->samples - first : most;
    GR_TRY(gri_window_begin(w, rules, number, count,
                            (count + a->global_batch - 1) / a->global_batch));
    GR_ALLOC(targets, count);
    for (int64_t i = 0; i < count; i++) {
        const gri_size size = {share(a->tokens, first + i), share(a->tiles, first + i)};
        GR_TRY(check_assumed(a, rules, size));
        w->sizes[i] = size;
        targets[i] = share(a->targets, first + i);
    }
    GR_TRY(gri_window_pack(w, rules));
    GR_TRY(call_rows(w, targets, number * a->window, rules->lanes, call, context));
done:
    GR_FREE(targets);
    return err;
}

gr_err gr_assumed_rows_list(const gr_assumed_rows *rows, int64_t steps, gr_row_fn *call,
                            void *context, int64_t *done)
{
    gr_err err = GR_OK;
    gri_window w = {0};
    const gri_window_rules rules = {.lanes = rows->lanes,
                                    .sequence_length = rows->sequence_length,
                                    .max_images = rows->max_images};
    *done = 0;
    for (int64_t n = 0; *done < steps && n * rows->window * rows->global_batch < rows->samples;
         n++) {
        GR_TRY(assume_window(rows, &rules, n, &w, call, context));
        *done += w.steps;
    }
done:
    gri_window_fini(&w);
    return err;
}
