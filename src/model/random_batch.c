#include "src/model/random_batch.h"

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/ops/loss.h"

/// Image rows first, then text; the last sequence takes what is left over of the text.
static void fill_sequence(gr_random_batch *b, int64_t s, int64_t image_tokens, int64_t tokens,
                          double vocabulary)
{
    int64_t sequences = b->batch.sequences, first = b->cu_seqlens[s];
    int64_t text = tokens / sequences + (s == sequences - 1 ? tokens % sequences : 0);
    int64_t images = s < b->batch.images ? image_tokens : 0;
    for (int64_t i = 0; i < images + text; i++) {
        int64_t t = first + i;
        b->positions[t] = (int32_t)i;
        b->ids[t] = (int32_t)(vocabulary * gr_rng_uniform(1, 1, (uint64_t)t));
        b->target_ids[t] = GR_NO_TARGET;
        if (i < images) {
            b->image_rows[s * image_tokens + i] = (int32_t)t;
        } else if (i < images + text - 1) {
            b->target_ids[t] = (int32_t)(vocabulary * gr_rng_uniform(1, 2, (uint64_t)t));
            b->targets++;
        }
    }
    b->cu_seqlens[s + 1] = (int32_t)(first + images + text);
}

static gr_err check(const gr_model_config *c, int64_t images, int64_t tokens)
{
    gr_err err = GR_OK;
    if (!(c->parts >> GR_PART_LANGUAGE & 1)) {
        GR_FAIL(GR_ERR_USAGE, "a step needs a loss, and the model has no language part");
    }
    if (images > 0 && !(c->parts >> GR_PART_VISION & 1)) {
        GR_FAIL(GR_ERR_USAGE,
                "the model has no vision part and cannot take %lld image%s: ask for 0 images",
                (long long)images, images == 1 ? "" : "s");
    }
    const int64_t image_tokens = images > 0 ? gr_image_tokens(&c->vision) : 0;
    const int64_t sequences = images > 0 ? images : 1;
    const int64_t longest = image_tokens + tokens / sequences + tokens % sequences;
    if (longest > c->language.max_positions) {
        GR_FAIL(
            GR_ERR_USAGE,
            "the longest of %lld sequences has %lld tokens, %lld of them of a picture, and the "
            "model %lld positions: ask for fewer tokens",
            (long long)sequences, (long long)longest, (long long)image_tokens,
            (long long)c->language.max_positions);
    }
    if (tokens / sequences + tokens % sequences < 2) {
        GR_FAIL(GR_ERR_USAGE,
                "%lld text tokens for %lld sequences leave no target: expected at least 2 each",
                (long long)tokens, (long long)sequences);
    }
done:
    return err;
}

gr_err gr_random_batch_create(const gr_model_config *c, int64_t images, int64_t tokens,
                              gr_random_batch *out)
{
    gr_err err = GR_OK;
    gr_random_batch b = {0};
    GR_TRY(check(c, images, tokens));
    int64_t image_tokens = images > 0 ? gr_image_tokens(&c->vision) : 0;
    int64_t values = images * c->vision.channels * c->vision.image_size * c->vision.image_size;
    b.batch.images = images;
    b.batch.tokens = images * image_tokens + tokens;
    b.batch.sequences = images > 0 ? images : 1;
    GR_ALLOC(b.ids, b.batch.tokens);
    GR_ALLOC(b.target_ids, b.batch.tokens);
    GR_ALLOC(b.positions, b.batch.tokens);
    GR_ALLOC(b.cu_seqlens, b.batch.sequences + 1);
    GR_ALLOC(b.image_rows, images * image_tokens);
    GR_ALLOC(b.pixels, values);
    for (int64_t s = 0; s < b.batch.sequences; s++) {
        fill_sequence(&b, s, image_tokens, tokens, (double)c->language.vocabulary);
    }
    for (int64_t i = 0; i < values; i++) {
        b.pixels[i] = (float)(2 * gr_rng_uniform(1, 3, (uint64_t)i) - 1);
    }
    b.batch.ids = b.ids;
    b.batch.targets = b.target_ids;
    b.batch.positions = b.positions;
    b.batch.cu_seqlens = b.cu_seqlens;
    b.batch.image_rows = b.image_rows;
    b.batch.pixels.values = b.pixels;
    *out = b;
    b = (gr_random_batch){0};
done:
    gr_random_batch_fini(&b);
    return err;
}

void gr_random_batch_fini(gr_random_batch *b)
{
    GR_FREE(b->ids);
    GR_FREE(b->target_ids);
    GR_FREE(b->positions);
    GR_FREE(b->cu_seqlens);
    GR_FREE(b->image_rows);
    GR_FREE(b->pixels);
}
