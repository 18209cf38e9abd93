/// Batches that do not fit a model, generation, and vision in groups of images.

#include "tests/model_support.h"

/// Untied and with large weights: tied tiny models only repeat their last token.
static fixture random_fixture(gr_part_set parts)
{
    gr_model_config config = tiny_config(parts);
    config.language.tied = false;
    config.language.initializer_range = 1;
    fixture f = fixture_create(&config, 1);
    gr_model_init(f.model, parts, 11);
    return f;
}

static gr_err loss_of(fixture *f, const gr_batch *batch)
{
    double loss = 0;
    gr_err err = gr_model_loss(f->model, batch, &loss);
    GR_CHECK_INT(gr_arena_mark(f->ex->scratch), 0);
    return err;
}

/// One entry of a good batch made wrong, and put back.
static void check_wrong(fixture *f, const gr_batch *batch, int32_t *entry, int32_t wrong,
                        const char *part)
{
    int32_t good = *entry;
    *entry = wrong;
    GR_CHECK_ERR(loss_of(f, batch), GR_ERR_DATA, part);
    *entry = good;
    GR_CHECK_OK(loss_of(f, batch));
}

static void test_wrong_entries(void)
{
    static const int images[2] = {1, 0};
    fixture f = random_fixture(GR_PARTS_ALL);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 2, 5, 0);
    GR_CHECK_INT(b.batch.tokens, 15);
    check_wrong(&f, &b.batch, &b.ids[6], 24, "ids[6]: expected 0 to 23, got 24");
    check_wrong(&f, &b.batch, &b.ids[14], -1, "ids[14]");
    check_wrong(&f, &b.batch, &b.targets[13], 24, "targets[13]");
    check_wrong(&f, &b.batch, &b.targets[0], -1, "targets[0]");
    check_wrong(&f, &b.batch, &b.positions[3], -1, "positions[3]");
    check_wrong(&f, &b.batch, &b.positions[3], 64, "positions[3]");
    check_wrong(&f, &b.batch, &b.image_rows[3], 15, "image_rows[3]: expected 0 to 14, got 15");
    check_wrong(&f, &b.batch, &b.image_rows[0], -1, "image_rows[0]");
    check_wrong(&f, &b.batch, &b.image_rows[2], b.image_rows[0], "twice");
    check_wrong(&f, &b.batch, &b.cu_seqlens[0], 1, "cu_seqlens[0]");
    check_wrong(&f, &b.batch, &b.cu_seqlens[1], 16, "cu_seqlens[1]");
    check_wrong(&f, &b.batch, &b.cu_seqlens[1], -1, "cu_seqlens[1]");
    check_wrong(&f, &b.batch, &b.cu_seqlens[2], 14, "cu_seqlens[2]: expected 15");
    int32_t row = b.image_rows[1];
    b.ids[row] = 99;
    GR_CHECK_OK(loss_of(&f, &b.batch));
    batch_destroy(&b);
    fixture_destroy(&f);
}

static void test_wrong_parts(void)
{
    static const int images[1] = {1};
    fixture all = random_fixture(GR_PARTS_ALL), text = random_fixture(1u << GR_PART_LANGUAGE);
    fixture vision = random_fixture(1u << GR_PART_VISION);
    own_batch b = batch_create(gr_model_get_config(all.model), images, 1, 5, 0);
    gr_batch few = b.batch, only = {.images = 1, .pixels = {.values = b.pixels}};
    GR_CHECK_ERR(loss_of(&text, &b.batch), GR_ERR_DATA, "no vision part");
    GR_CHECK_ERR(loss_of(&vision, &b.batch), GR_ERR_DATA, "no language part");
    GR_CHECK_ERR(loss_of(&vision, &only), GR_ERR_DATA, "needs a language model");
    few.images = 3;
    GR_CHECK_ERR(loss_of(&all, &few), GR_ERR_DATA, "3 images need 12 rows");
    few.images = INT32_MAX / 16 + 1;
    GR_CHECK_ERR(loss_of(&all, &few), GR_ERR_DATA, "expected 0 to 126322567");
    few.images = -1;
    GR_CHECK_ERR(loss_of(&all, &few), GR_ERR_DATA, "-1 images");
    few.tokens = -1;
    GR_CHECK_ERR(loss_of(&all, &few), GR_ERR_DATA, "-1 tokens");
    GR_CHECK_ERR(gr_model_trace(vision.model, &b.batch, &(gr_trace){0}), GR_ERR_DATA,
                 "no language part");
    batch_destroy(&b);
    fixture_destroy(&all);
    fixture_destroy(&text);
    fixture_destroy(&vision);
}

static gr_err train_of(fixture *f, const gr_batch *batch, gr_part_set train, float *language)
{
    float *const grads[GR_PART_COUNT] = {[GR_PART_LANGUAGE] = language};
    double loss = 0;
    return gr_model_loss_grad(f->model, batch, train, grads, &loss);
}

static void test_wrong_train(void)
{
    static const int images[1] = {0};
    fixture f = random_fixture(1u << GR_PART_LANGUAGE);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 1, 5, 0);
    float *grads = zeros(gr_model_get_params(f.model)->size[GR_PART_LANGUAGE]);
    const gr_part_set language = 1u << GR_PART_LANGUAGE;
    GR_CHECK_OK(train_of(&f, &b.batch, language, grads));
    GR_CHECK_ERR(train_of(&f, &b.batch, language, NULL), GR_ERR_USAGE, "grads[2] is NULL");
    GR_CHECK_ERR(train_of(&f, &b.batch, GR_PARTS_ALL, grads), GR_ERR_USAGE,
                 "the vision part is to train, and the model has none");
    GR_CHECK_ERR(train_of(&f, &b.batch, 8 | language, grads), GR_ERR_USAGE, "0xc");
    GR_FREE(grads);
    batch_destroy(&b);
    fixture_destroy(&f);
}

/// A context whose precision changed after the model was made is refused by everything that computes. (Set by hand, so
/// that it is seen without bf16, too.)
static void test_precision_changed(void)
{
    static const int images[1] = {1};
    static const gr_precision other[] = {GR_PRECISION_BF16, GR_PRECISION_FP32};
    fixture f = random_fixture(GR_PARTS_ALL);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 1, 5, 0);
    const char *part = "created for fp32, and its context computes in bf16 now";
    float *logits = zeros(b.batch.tokens * 24);
    int32_t ids[2];
    int64_t count = 0;
    gr_generation_end end;
    const gr_generation how = {.most = 2};
    f.ex->precision = other[f.ex->precision];
    GR_CHECK_ERR(loss_of(&f, &b.batch), GR_ERR_USAGE, part);
    GR_CHECK_ERR(gr_model_trace(f.model, &b.batch, &(gr_trace){.logits = logits}), GR_ERR_USAGE,
                 part);
    GR_CHECK_ERR(gr_generate(f.model, &b.batch, &how, ids, &count, &end), GR_ERR_USAGE, part);
    f.ex->precision = other[f.ex->precision];
    GR_CHECK_OK(loss_of(&f, &b.batch));
    GR_FREE(logits);
    batch_destroy(&b);
    fixture_destroy(&f);
}

/// More images than one group holds give what each gives alone.
static void test_groups(void)
{
    enum { IMAGES = 70, NUMBERS = 16 * 8 };
    fixture f = random_fixture(1u << GR_PART_VISION);
    float *pixels = zeros(IMAGES * 192), *together = zeros(IMAGES * NUMBERS), alone[NUMBERS];
    for (int64_t i = 0; i < IMAGES * 192; i++) {
        pixels[i] = (float)gr_rng_normal(1, 2, (uint64_t)i);
    }
    gr_batch batch = {.images = IMAGES, .pixels = {.values = pixels}};
    GR_CHECK_OK(gr_model_trace(f.model, &batch, &(gr_trace){.vision_features = together}));
    for (int i = 0; i < IMAGES; i++) {
        gr_batch one = {.images = 1, .pixels = {.values = pixels + (ptrdiff_t)i * 192}};
        GR_CHECK_OK(gr_model_trace(f.model, &one, &(gr_trace){.vision_features = alone}));
        GR_CHECK_CLOSE(together + (ptrdiff_t)i * NUMBERS, alone, NUMBERS, 1e-5, 1e-6);
    }
    GR_FREE(pixels);
    GR_FREE(together);
    fixture_destroy(&f);
}

/// A step over bytes and one over the numbers that they stand for have the same bits.
static void test_bytes(void)
{
    enum { SIDE = 8, PIXELS = SIDE * SIDE };
    static const int images[3] = {2, 0, 1};
    fixture f = random_fixture(GR_PARTS_ALL);
    const gr_params *params = gr_model_get_params(f.model);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 3, 5, 0);
    unsigned char bytes[3 * PIXELS * 3];
    float table[3][256], *grads[2][GR_PART_COUNT];
    double loss[2] = {0};
    GR_CHECK_INT(gr_model_get_config(f.model)->vision.image_size, SIDE);
    for (int i = 0; i < 3 * 256; i++) {
        table[i / 256][i % 256] = (float)sin(0.01 * i);
    }
    for (int i = 0; i < 3 * PIXELS * 3; i++) {
        int at = i / 3 % PIXELS, c = i % 3, image = i / 3 / PIXELS;
        bytes[i] = (unsigned char)(i * 89 + i / 7 * 31);
        b.pixels[(image * 3 + c) * PIXELS + at] = table[c][bytes[i]];
    }
    gr_batch other = b.batch;
    other.pixels = (gr_pixels){.bytes = bytes, .table = table};
    for (int k = 0; k < 2; k++) {
        for (int p = 0; p < GR_PART_COUNT; p++) {
            grads[k][p] = zeros(params->size[p]);
        }
        GR_CHECK_OK(gr_model_loss_grad(f.model, k ? &other : &b.batch, GR_PARTS_ALL, grads[k],
                                       &loss[k]));
    }
    GR_CHECK_BYTES(&loss[0], &loss[1], sizeof loss[0]);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_CHECK_BYTES(grads[0][p], grads[1][p], (size_t)params->size[p] * sizeof(float));
        GR_FREE(grads[0][p]);
        GR_FREE(grads[1][p]);
    }
    batch_destroy(&b);
    fixture_destroy(&f);
}

static int32_t likeliest(const float *logits, int64_t n)
{
    int32_t best = 0;
    for (int32_t v = 1; v < n; v++) {
        best = logits[v] > logits[best] ? v : best;
    }
    return best;
}

/// The greedy continuation, one whole forward pass of the public trace at a time.
static void continue_slowly(fixture *f, const gr_batch *prompt, int64_t count, int32_t *out)
{
    int32_t ids[64], positions[64], cu[2] = {0};
    float *logits = zeros(64 * 24);
    memcpy(ids, prompt->ids, (size_t)prompt->tokens * sizeof *ids);
    for (int32_t i = 0; i < 64; i++) {
        positions[i] = i;
    }
    gr_batch b = *prompt;
    b.ids = ids;
    b.positions = positions;
    b.cu_seqlens = cu;
    for (int64_t i = 0; i < count; i++) {
        cu[1] = (int32_t)b.tokens;
        GR_CHECK_OK(gr_model_trace(f->model, &b, &(gr_trace){.logits = logits}));
        out[i] = likeliest(logits + (b.tokens - 1) * 24, 24);
        ids[b.tokens++] = out[i];
    }
    GR_FREE(logits);
}

static gr_generation_end last_end;

static gr_err generate(fixture *f, const gr_batch *prompt, gr_generation how, int32_t *out,
                       int64_t *count)
{
    return gr_generate(f->model, prompt, &how, out, count, &last_end);
}

static void test_generate(void)
{
    static const int images[1] = {1};
    enum { NEW = 12 };
    fixture f = random_fixture(GR_PARTS_ALL);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 1, 5, 0);
    int32_t want[NEW], got[NEW] = {0}, many[64];
    int64_t count = -1;
    b.batch.targets = NULL;
    continue_slowly(&f, &b.batch, NEW, want);
    GR_CHECK_OK(generate(&f, &b.batch, (gr_generation){.most = NEW}, got, &count));
    GR_CHECK_INT(count, NEW);
    GR_CHECK_INT(last_end, GR_GENERATION_LENGTH);
    GR_CHECK_BYTES(got, want, sizeof want);
    GR_CHECK(want[0] != want[1] && want[1] != want[NEW - 1]);
    int64_t before = 0;
    while (want[before] != want[NEW / 2]) {
        before++;
    }
    GR_CHECK_OK(generate(&f, &b.batch,
                         (gr_generation){.most = NEW, .stop = &want[NEW / 2], .stops = 1}, got,
                         &count));
    GR_CHECK_INT(count, before);
    GR_CHECK_INT(last_end, GR_GENERATION_STOPPED);
    GR_CHECK_OK(generate(&f, &b.batch, (gr_generation){0}, got, &count));
    GR_CHECK_INT(count, 0);
    GR_CHECK_ERR(generate(&f, &b.batch, (gr_generation){.most = -1}, got, &count), GR_ERR_USAGE,
                 "-1 new ids");
    GR_CHECK_OK(generate(&f, &b.batch, (gr_generation){.most = 1000}, many, &count));
    GR_CHECK_INT(count, 64 - b.batch.tokens);
    GR_CHECK_INT(last_end, GR_GENERATION_POSITIONS);
    GR_CHECK_OK(
        generate(&f, &b.batch, (gr_generation){.most = NEW, .ids = want[0]}, got, &count));
    GR_CHECK_INT(count, NEW);
    for (int64_t i = 0; i < count; i++) {
        GR_CHECK(got[i] < want[0]);
    }
    bool usable[24]; // a hole in the middle, then nothing but holes
    for (int v = 0; v < 24; v++) {
        usable[v] = v != want[0];
    }
    const gr_generation holes = {.most = NEW, .ids = 24, .usable = usable};
    GR_CHECK_OK(generate(&f, &b.batch, holes, got, &count));
    GR_CHECK_INT(count, NEW);
    for (int64_t i = 0; i < count; i++) {
        GR_CHECK(got[i] != want[0]);
    }
    memset(usable, 0, sizeof usable);
    GR_CHECK_ERR(generate(&f, &b.batch, holes, got, &count), GR_ERR_DATA,
                 "none of 24 ids may be chosen");
    GR_CHECK_INT(gr_arena_mark(f.ex->scratch), 0);
    batch_destroy(&b);
    fixture_destroy(&f);
}

static void test_generate_bf16(void)
{
    with_bf16_fixtures(test_generate);
}

static void test_generate_wrong(void)
{
    static const int images[2] = {0, 0};
    fixture f = random_fixture(1u << GR_PART_LANGUAGE);
    fixture vision = random_fixture(1u << GR_PART_VISION);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 2, 5, 0);
    int32_t out[4];
    int64_t count = 0;
    GR_CHECK_ERR(generate(&f, &b.batch, (gr_generation){.most = 4}, out, &count), GR_ERR_DATA,
                 "one sequence, got 2");
    GR_CHECK_ERR(generate(&vision, &b.batch, (gr_generation){.most = 4}, out, &count),
                 GR_ERR_DATA, "needs a language model");
    b.batch.sequences = 1;
    b.batch.tokens = 5;
    const gr_param *head =
        gr_params_find(gr_model_get_params(f.model), "language_model.lm_head.weight");
    gr_model_edit_weights(f.model, GR_PART_LANGUAGE)[head->offset] = NAN;
    GR_CHECK_ERR(generate(&f, &b.batch, (gr_generation){.most = 4}, out, &count),
                 GR_ERR_NONFINITE, "not finite");
    GR_CHECK_INT(gr_arena_mark(f.ex->scratch), 0);
    batch_destroy(&b);
    fixture_destroy(&f);
    fixture_destroy(&vision);
}

static const gr_test tests[] = {
    {"wrong_entries", test_wrong_entries},
    {"wrong_parts", test_wrong_parts},
    {"wrong_train", test_wrong_train},
    {"precision_changed", test_precision_changed},
    {"groups", test_groups},
    {"bytes", test_bytes},
    {"generate", test_generate},
    {"generate_bf16", test_generate_bf16, bf16_missing},
    {"generate_wrong", test_generate_wrong},
};
GR_TEST_MAIN("model_batch", tests)
