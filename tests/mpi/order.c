/// What the loader gives to each lane in one epoch, for order.sh: `order SET TOKENIZER OUT [STEP...]`.
/// Each rank writes OUT.RANK: for each step and each of its lanes a line "STEP LANE rows DIGEST", over every bit of the
/// microbatches in their order, and a line "STEP LANE used INDEX ID" for each sample. With STEPs, OUT.STEP.RANK instead: three steps from there
/// on, by a loader that begins there. How many threads work depends on the rank, on purpose.
#include "datasets/loader.h"
#include "datasets/shard_format.h"
#include "mpi/world.h"
#include "tests/pixels_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 16, LANES = 8, WINDOW = 3, SIDE = 64, AT_ONCE = 3 };

static const gr_vision_config vision = {.image_size = SIDE,
                                        .patch_size = 8,
                                        .channels = 3,
                                        .image_mean = {0.5, 0.25, 0.125},
                                        .image_std = {0.5, 0.25, 2.0}};

typedef struct job {
    gr_world *world;
    gr_dataset *dataset;
    gr_tokenizer *tokenizer;
    const char *out;
} job;

/// As the model sees them: fp32 [3, SIDE, SIDE] of each picture, end to end.
static gr_digest link_pixels(gr_digest sum, const gr_batch *b)
{
    size_t size = (size_t)b->images * 3 * SIDE * SIDE * sizeof(float);
    float *pixels = malloc(size ? size : 1);
    GR_ASSERT(pixels);
    pixel_values(b, SIDE, pixels);
    sum = gri_digest_link(sum, pixels, size);
    free(pixels);
    return sum;
}

static gr_digest digest_of(const gr_lane_batch *lane)
{
    gr_digest sum = {0};
    for (int64_t i = 0; i < lane->count; i++) {
        const gr_batch *b = &lane->batches[i];
        size_t word = sizeof(int32_t), tokens = (size_t)b->tokens * word;
        int64_t rows = b->images * gr_image_tokens(&vision);
        sum = gri_digest_link(sum, b->ids, tokens);
        sum = gri_digest_link(sum, b->targets, tokens);
        sum = gri_digest_link(sum, b->positions, tokens);
        sum = gri_digest_link(sum, b->cu_seqlens, (size_t)(b->sequences + 1) * word);
        sum = gri_digest_link(sum, b->image_rows, (size_t)rows * word);
        sum = link_pixels(sum, b);
    }
    return sum;
}

static gr_err write_lane(gr_loader *loader, int64_t step, int64_t lane, FILE *file)
{
    gr_err err = GR_OK;
    const gr_lane_batch *batch = NULL;
    char text[GR_DIGEST_TEXT];
    GR_TRY(gr_loader_lane(loader, step, lane, &batch));
    gr_digest_format(digest_of(batch), text);
    fprintf(file, "%" PRId64 " %" PRId64 " rows %s\n", step, lane, text);
    for (int64_t i = 0; i < batch->samples; i++) {
        gr_digest id = {0};
        GR_TRY(gr_dataset_id(batch->used[i].dataset, batch->used[i].index, &id));
        gr_digest_format(id, text);
        fprintf(file, "%" PRId64 " %" PRId64 " used %" PRId64 " %s\n", step, lane,
                batch->used[i].index, text);
    }
done:
    return err;
}

/// The lanes of this rank from `step` on, `most` steps of them.
static gr_err write_steps(const job *j, int64_t step, int64_t most, FILE *file)
{
    gr_err err = GR_OK;
    gr_loader *loader = NULL;
    const int rank = j->world->rank, size = j->world->size;
    const int64_t first = (int64_t)rank * LANES / size,
                  end = (int64_t)(rank + 1) * LANES / size;
    const gr_loader_source source = {.dataset = j->dataset, .to = 1};
    const gr_loader_options options = {.sources = &source,
                                       .source_count = 1,
                                       .tokenizer = j->tokenizer,
                                       .vision = &vision,
                                       .global_batch = BATCH,
                                       .lanes = LANES,
                                       .window = WINDOW,
                                       .sequence_length = 2048,
                                       .max_images = 4,
                                       .seed = 5,
                                       .stream = 6,
                                       .shuffle = true,
                                       .epochs = 1,
                                       .threads = 1 + (rank + size) % 3};
    GR_TRY(gr_loader_create(&options, &loader));
    int64_t steps = gr_loader_steps(loader), last = step + most < steps ? step + most : steps;
    if (step > last) {
        GR_FAIL(GR_ERR_USAGE, "step %lld: the epoch has %lld", (long long)step,
                (long long)steps);
    }
    GR_TRY(gr_loader_expect(loader, step, last, first, end - first));
    for (int64_t s = step; s < last; s++) {
        for (int64_t lane = first; lane < end; lane++) {
            GR_TRY(write_lane(loader, s, lane, file));
        }
    }
done:
    gr_loader_destroy(&loader);
    return err;
}

/// `text`: the step to begin at; NULL: the whole epoch.
static gr_err write_file(const job *j, const char *text)
{
    gr_err err = GR_OK;
    char name[4096];
    snprintf(name, sizeof name, "%s%s%s.%d", j->out, text ? "." : "", text ? text : "",
             j->world->rank);
    FILE *file = fopen(name, "w");
    if (!file) {
        GR_FAIL(GR_ERR_IO, "%s: cannot write it", name);
    }
    GR_TRY(write_steps(j, text ? strtoll(text, NULL, 10) : 0, text ? AT_ONCE : INT64_MAX / 2,
                       file));
    if (fflush(file) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot write it", name);
    }
done:
    if (file) {
        fclose(file);
    }
    return err;
}

static gr_err run(int argc, char **argv, job *j)
{
    gr_err err = GR_OK;
    if (argc < 4) {
        GR_FAIL(GR_ERR_USAGE, "usage: order SET TOKENIZER OUT [STEP...]");
    }
    j->out = argv[3];
    GR_TRY(gr_dataset_open(argv[1], &j->dataset));
    GR_TRY(gr_tokenizer_load(argv[2], &j->tokenizer));
    for (int i = 4; i < argc || i == 4; i++) {
        GR_TRY(write_file(j, i < argc ? argv[i] : NULL));
    }
done:
    return err;
}

int main(int argc, char **argv)
{
    job j = {0};
    gr_err err = gr_world_create(&j.world);
    if (err != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
        return gr_err_exit_code(err);
    }
    err = run(argc, argv, &j);
    if (err != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
    }
    gr_dataset_close(&j.dataset);
    gr_tokenizer_destroy(&j.tokenizer);
    gr_world_destroy(&j.world, err == GR_OK ? 0 : gr_err_exit_code(err));
    return gr_err_exit_code(err);
}
