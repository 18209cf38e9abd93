// The rows that a plan counts are those that the loader makes; samples that are all alike fill rows as such samples would.
#include "datasets/rows.h"
#include "src/ops/loss.h"
#include "tests/loader_support.h"

enum { MOST_ROWS = 4096 };

/// What was listed.
typedef struct listed {
    gr_row_shape rows[MOST_ROWS];
    int64_t count, tokens, images, targets, sequences, longest;
} listed;

static gr_err list_row(void *context, const gr_row_shape *row)
{
    listed *l = context;
    int64_t tokens = 0;
    for (int64_t i = 0; i < row->sequences; i++) {
        tokens += row->lengths[i];
        l->longest = row->lengths[i] > l->longest ? row->lengths[i] : l->longest;
    }
    GR_CHECK_INT(tokens, row->tokens);
    GR_CHECK(l->count < MOST_ROWS);
    l->rows[l->count++] = *row;
    l->tokens += row->tokens;
    l->images += row->images;
    l->targets += row->targets;
    l->sequences += row->sequences;
    return GR_OK;
}

static int64_t targets_of(const gr_batch *b)
{
    int64_t count = 0;
    for (int64_t t = 0; t < b->tokens; t++) {
        count += b->targets[t] != GR_NO_TARGET;
    }
    return count;
}

/// Each row is the microbatch at its place.
static void compare(gr_loader *loader, const listed *l)
{
    for (int64_t i = 0; i < l->count; i++) {
        const gr_row_shape *row = &l->rows[i];
        const gr_lane_batch *lane = NULL;
        if (!GR_CHECK_OK(gr_loader_lane(loader, row->step, row->lane, &lane)) ||
            !GR_CHECK(row->microbatch < lane->count)) {
            return;
        }
        const gr_batch *b = &lane->batches[row->microbatch];
        GR_CHECK_INT(row->tokens, b->tokens);
        GR_CHECK_INT(row->images, b->images);
        GR_CHECK_INT(row->sequences, b->sequences);
        GR_CHECK_INT(row->targets, targets_of(b));
    }
}

static void test_loader(void)
{
    gr_loader *loader = NULL;
    listed *l = gr_mem_alloc(1, sizeof *l);
    int64_t done = 0;
    if (!set_up() || !GR_CHECK(l != NULL)) {
        return;
    }
    for (int64_t window = 1; window <= 3; window++) {
        gr_loader_options o = options_of(6, LANES, true);
        *l = (listed){0};
        o.window = window;
        o.steps = STEPS;
        GR_CHECK_OK(gr_loader_create(&o, &loader));
        GR_CHECK_OK(gr_loader_rows(loader, 4, list_row, l, &done));
        GR_CHECK_INT(done, (4 + window - 1) / window * window); // whole windows
        GR_CHECK(l->count >= done * LANES);
        GR_CHECK_INT(l->rows[l->count - 1].step, done - 1);
        compare(loader, l);
        *l = (listed){0};
        GR_CHECK_OK(gr_loader_rows(loader, 1000, list_row, l, &done));
        GR_CHECK_INT(done, STEPS);
        gr_loader_destroy(&loader);
    }
    GR_FREE(l);
}

static gr_assumed_rows alike(void)
{
    return (gr_assumed_rows){.samples = 100,
                             .tokens = 10.5,
                             .targets = 3.25,
                             .tiles = 0.5,
                             .global_batch = 16,
                             .lanes = 4,
                             .window = 2,
                             .sequence_length = 32};
}

static void test_assumed(void)
{
    listed *l = gr_mem_alloc(1, sizeof *l);
    gr_assumed_rows a = alike();
    int64_t done = 0;
    if (!GR_CHECK(l != NULL)) {
        return;
    }
    GR_CHECK_OK(gr_assumed_rows_list(&a, 4, list_row, l, &done));
    GR_CHECK_INT(done, 4);
    GR_CHECK_INT(l->sequences, 64); // samples
    GR_CHECK_INT(l->tokens, 64 * 21 / 2);
    GR_CHECK_INT(l->targets, 64 * 13 / 4);
    GR_CHECK_INT(l->images, 32);
    GR_CHECK_INT(l->longest, 11);
    GR_CHECK_INT(
        l->count,
        24); // three of 10 or 11 tokens fill a row, and rows are a multiple of the lanes
    *l = (listed){0};
    GR_CHECK_OK(gr_assumed_rows_list(&a, 1000, list_row, l, &done));
    GR_CHECK_INT(done, 7); // the last step has 4 samples
    GR_CHECK_INT(l->sequences, 100);
    GR_CHECK_INT(l->rows[l->count - 1].step, 6);
    a.sequence_length = 10;
    GR_CHECK_ERR(gr_assumed_rows_list(&a, 1, list_row, l, &done), GR_ERR_RECIPE, "fit no row");
    a = alike();
    a.tiles = 3;
    a.max_images = 2;
    GR_CHECK_ERR(gr_assumed_rows_list(&a, 1, list_row, l, &done), GR_ERR_RECIPE,
                 "max_images 2");
    GR_FREE(l);
}

static void test_end(void)
{
    gr_dataset_close(&dataset);
    gr_tokenizer_destroy(&tokenizer);
}

static const gr_test tests[] = {
    {"loader", test_loader}, {"assumed", test_assumed}, {"end", test_end}};
GR_TEST_MAIN("rows", tests)
