/// Packed rows through the model: their loss is that of the samples alone.

#include "datasets/loader.h"
#include "src/base/file.h"
#include "src/base/str.h"
#include "src/formats/image.h"
#include "tests/model_support.h"

enum { SAMPLES = 40 };

static gr_err add_sample(gr_dataset_writer *writer, int64_t n)
{
    gr_err err = GR_OK;
    unsigned char *webp = NULL, rgb[6 * 4 * 3];
    size_t size = 0;
    const int32_t pixels[1][2] = {{6, 4}};
    char text[256];
    for (int i = 0; i < 72; i++) {
        rgb[i] = (unsigned char)(n * 31 + i * 11);
    }
    const gr_image image = {6, 4, rgb};
    GR_TRY(gr_image_encode_webp(&image, -1, &webp, &size));
    snprintf(
        text, sizeof text,
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"q%lld\"}, {\"from\": \"gpt\", "
        "\"value\": \"%.*s%lld\"}]}",
        (long long)n, (int)(n * n % 23), "ab ba abba baab ab ba a", (long long)n);
    const gr_sample sample = {.source = "",
                              .text = text,
                              .text_size = strlen(text),
                              .images = n % 4 > 0,
                              .image = (const unsigned char **)&webp,
                              .image_size = &size,
                              .pixels = pixels};
    GR_TRY(gr_dataset_writer_add(writer, &sample));
done:
    GR_FREE(webp);
    return err;
}

static gr_err make_set(gr_dataset **out)
{
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    char *dir = gr_str_format("%s/set", gr_test_dir());
    GR_TRY(gr_dir_remove(dir));
    GR_TRY(gr_dataset_writer_create(dir, 0, &writer));
    for (int64_t n = 0; n < SAMPLES; n++) {
        GR_TRY(add_sample(writer, n));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
    GR_TRY(gr_dataset_open(dir, out));
done:
    gr_dataset_writer_destroy(&writer);
    GR_FREE(dir);
    return err;
}

typedef struct pass {
    double loss;
    int64_t targets, rows;
    gradients g;
} pass;

/// One epoch through the model.
static void run(const gr_dataset *data, const gr_tokenizer *tokenizer, fixture *f,
                int64_t batch, int64_t length, pass *out)
{
    const gr_loader_source source = {.dataset = data, .to = 1};
    const gr_loader_options options = {.sources = &source,
                                       .source_count = 1,
                                       .tokenizer = tokenizer,
                                       .vision = &gr_model_get_config(f->model)->vision,
                                       .global_batch = batch,
                                       .lanes = 1,
                                       .sequence_length = length,
                                       .epochs = 1,
                                       .threads = 2};
    gr_loader *loader = NULL;
    *out = (pass){.g = gradients_create(f->model)};
    if (!GR_CHECK_OK(gr_loader_create(&options, &loader))) {
        return;
    }
    GR_CHECK_OK(gr_loader_expect(loader, 0, gr_loader_steps(loader), 0, 1));
    for (int64_t step = 0; step < gr_loader_steps(loader); step++) {
        const gr_lane_batch *lane = NULL;
        GR_CHECK_OK(gr_loader_lane(loader, step, 0, &lane));
        for (int64_t b = 0; lane && b < lane->count; b++) {
            double loss = 0;
            GR_CHECK_OK(gr_model_loss_grad(f->model, &lane->batches[b], GR_PARTS_ALL,
                                           out->g.part, &loss));
            out->loss += loss;
        }
        out->targets += lane ? lane->targets : 0;
        out->rows += lane ? lane->count : 0;
    }
    gr_loader_destroy(&loader);
}

/// Loss and gradient of all samples, each a row of its own or packed in few rows: the same up to the order of fp32 sums.
static void test_loss(void)
{
    static const char *const texts[] = {"ab ba abba baab q user assistant"};
    const size_t sizes[] = {strlen(texts[0])};
    gr_tokenizer *tokenizer = NULL;
    gr_dataset *data = NULL;
    if (!GR_CHECK_OK(gr_tokenizer_train(texts, sizes, 1, 280, &tokenizer)) ||
        !GR_CHECK_OK(make_set(&data))) {
        return;
    }
    gr_model_config config = tiny_config(GR_PARTS_ALL);
    config.language.vocabulary = gr_tokenizer_size(tokenizer);
    config.language.max_positions = 512;
    fixture f = fixture_create(&config, 2);
    pass alone, packed;
    gr_model_init(f.model, GR_PARTS_ALL, 3);
    run(data, tokenizer, &f, 1, 256, &alone);
    run(data, tokenizer, &f, SAMPLES, 256, &packed);
    GR_CHECK_INT(alone.rows, SAMPLES);
    GR_CHECK(packed.rows < SAMPLES / 4);
    GR_CHECK_INT(alone.targets, packed.targets);
    GR_CHECK(fabs(alone.loss - packed.loss) <= 1e-6 * fabs(alone.loss));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        int64_t n = gr_model_get_params(f.model)->size[p];
        float most = 0;
        for (int64_t i = 0; i < n; i++) {
            most = fmaxf(most, fabsf(alone.g.part[p][i]));
        }
        GR_CHECK(most > 0);
        GR_CHECK_CLOSE(packed.g.part[p], alone.g.part[p], n, 0, 2e-5 * (double)most);
    }
    gradients_destroy(&alone.g);
    gradients_destroy(&packed.g);
    fixture_destroy(&f);
    gr_dataset_close(&data);
    gr_tokenizer_destroy(&tokenizer);
}

static const gr_test tests[] = {
    {"loss", test_loss},
};
GR_TEST_MAIN("packing", tests)
