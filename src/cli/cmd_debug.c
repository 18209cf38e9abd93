#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/cli/step_batch.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"

#include <string.h>
#include <sys/resource.h>

static gr_err image_token_of(const char *dir, int64_t *out)
{
    gr_err err = GR_OK;
    gr_tokenizer *tokenizer = NULL;
    bool there = false;
    GR_TRY(gri_has_tokenizer(dir, &there));
    if (there) {
        GR_TRY(gr_tokenizer_load(dir, &tokenizer));
        *out = gr_tokenizer_id(tokenizer, "<IMG_CONTEXT>");
    }
done:
    gr_tokenizer_destroy(&tokenizer);
    return err;
}

// What one step gives, and the list of tensors that is written.
typedef struct result {
    bool has_loss;
    float loss;
    float *logits, *features, *grads[GR_PART_COUNT];
    gr_safetensor *tensors; ///< names owned, data borrowed from above
    int64_t count;
} result;

static void result_fini(result *r)
{
    GR_FREE(r->logits);
    GR_FREE(r->features);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(r->grads[p]);
    }
    for (int64_t i = 0; i < r->count; i++) {
        GR_FREE(r->tensors[i].name);
    }
    GR_FREE(r->tensors);
}

static gr_err add_tensor(result *r, const char *prefix, const char *name, int ndim,
                         const int64_t *shape, const float *data)
{
    gr_err err = GR_OK;
    gr_safetensor *t = &r->tensors[r->count];
    t->name = gr_str_format("%s%s", prefix, name);
    if (!t->name) {
        return GR_ERR_MEMORY;
    }
    t->dtype = GR_DTYPE_F32;
    t->ndim = ndim;
    t->count = 1;
    for (int d = 0; d < ndim; d++) {
        t->shape[d] = shape[d];
        t->count *= shape[d];
    }
    t->data = (const unsigned char *)data;
    r->count++;
    return err;
}

static gr_err compute_loss(gri_session *s, const gri_step_batch *b, gr_part_set train,
                           const char *path, result *r)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(s->model);
    double loss = 0;
    if (b->targets == 0) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: tensor \"labels\": no position has a target (the first of a sequence never "
            "has one)",
            path);
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (train & 1u << p) {
            GR_ALLOC(r->grads[p], params->size[p]);
        }
    }
    GR_TRY_CONTEXT(gr_model_loss_grad(s->model, &b->batch, train, r->grads, &loss), "%s", path);
    r->loss = (float)(loss / (double)b->targets);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        for (int64_t i = 0; r->grads[p] && i < params->size[p]; i++) {
            r->grads[p][i] = (float)(r->grads[p][i] / (double)b->targets);
        }
    }
done:
    return err;
}

// Patches of one picture of the batch.
static int64_t patches_of(const gri_session *s, const gri_step_batch *b)
{
    gr_grid grid = gr_vision_grid(&s->config.vision, b->batch.height, b->batch.width);
    return grid.rows * grid.columns;
}

// How the step is computed, and what is written besides loss and gradients.
typedef struct options {
    gr_part_set train;
    bool recompute, no_logits;
} options;

static gr_err compute(gri_session *s, const gri_step_batch *b, const options *o,
                      const char *path, result *r)
{
    gr_err err = GR_OK;
    gr_trace trace = {0};
    gr_model_set_recompute(s->model, o->recompute);
    if (s->config.parts & 1u << GR_PART_LANGUAGE) {
        GR_TRY(compute_loss(s, b, o->train, path, r));
        r->has_loss = true;
        if (!o->no_logits) {
            GR_ALLOC(r->logits, b->batch.tokens * s->config.language.vocabulary);
        }
        trace.logits = r->logits;
    }
    if (b->batch.images > 0) {
        GR_ALLOC(r->features, b->batch.images * patches_of(s, b) * s->config.vision.width);
        trace.vision_features = r->features;
    }
    GR_TRY_CONTEXT(gr_model_trace(s->model, &b->batch, &trace), "%s", path);
done:
    return err;
}

// Gradients are called as the model's own files call their tensors, of which some may be pieces of one of our parameters.
static gr_err write(const gri_session *s, const gri_step_batch *b, const char *dir,
                    const char *path, result *r)
{
    gr_err err = GR_OK;
    gr_hf_stored *stored = NULL;
    int64_t count = 0;
    GR_TRY(gr_hf_list_stored(dir, s->config.parts, s->model, &stored, &count));
    GR_ALLOC(r->tensors, count + 3);
    if (r->has_loss) {
        GR_TRY(add_tensor(r, "", "loss", 1, (int64_t[]){1}, &r->loss));
    }
    if (r->logits) {
        const int64_t shape[] = {b->batch.tokens, s->config.language.vocabulary};
        GR_TRY(add_tensor(r, "", "logits", 2, shape, r->logits));
    }
    if (r->features) {
        const int64_t shape[] = {b->batch.images, patches_of(s, b), s->config.vision.width};
        GR_TRY(add_tensor(r, "", "vision_features", 3, shape, r->features));
    }
    for (int64_t i = 0; i < count; i++) {
        const gr_hf_stored *t = &stored[i];
        if (r->grads[t->part]) {
            GR_TRY(add_tensor(r, "grad.", t->name, t->ndim, t->shape,
                              r->grads[t->part] + t->offset));
        }
    }
    GR_TRY(gr_safetensors_write(path, r->tensors, r->count));
done:
    gr_hf_stored_free(&stored, count);
    return err;
}

// The most memory that the process ever held, files that it read included.
static void report_memory(const gri_session *s)
{
    const double gib = 1 << 30;
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    gr_log_info("peak memory %.3f GiB, of it activations %.3f GiB",
                (double)usage.ru_maxrss * 1024 / gib,
                (double)gr_arena_peak(s->exec->scratch) / gib);
}

static gr_err step(const char *dir, const char *batch, const char *out, const char *train,
                   int64_t image_token, int64_t threads, gr_precision precision, options *o)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    gri_step_batch b = {0};
    result r = {0};
    GR_TRY(gri_check_out(out, dir));
    GR_TRY(gri_check_out(out, batch));
    GR_TRY(gri_session_load(dir, GR_PARTS_ALL, threads, precision, &s));
    o->train = s.config.parts;
    if (train && !(s.config.parts & 1u << GR_PART_LANGUAGE)) {
        GR_FAIL(
            GR_ERR_USAGE,
            "debug step: --train %s: nothing can train, since %s has no language part and so no "
            "loss: leave --train out for vision_features alone, or give a whole model",
            train, dir);
    }
    if (train) {
        GR_TRY(gri_parts_parse("debug step", train, s.config.parts, &o->train));
    }
    if (image_token < 0) {
        GR_TRY(image_token_of(dir, &image_token));
    }
    GR_TRY(gri_step_batch_read(batch, &s.config, image_token, &b));
    GR_TRY(compute(&s, &b, o, batch, &r));
    GR_TRY(write(&s, &b, dir, out, &r));
    report_memory(&s);
done:
    result_fini(&r);
    gri_step_batch_fini(&b);
    gri_session_close(&s);
    return err;
}

gr_err gri_debug_step(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *dir = NULL, *batch = NULL, *out = NULL, *train = NULL;
    int64_t image_token = -1, threads = 0;
    options o = {0};
    int precision = GR_PRECISION_FP32;
    bool help = false;
    const gri_arg args[] = {
        GRI_TEXT("model", "DIR", &dir, "model directory", .required = true),
        GRI_TEXT(
            "batch", "FILE.safetensors", &batch,
            "input_ids int64 [T]; labels int64 [T], label t predicted at t - 1, -100 for "
            "none; pixel_values float32 [images, 3, H, W], normalised, of any size in whole "
            "patches; optional cu_seqlens "
            "int32 [sequences + 1]",
            .required = true),
        GRI_TEXT(
            "out", "FILE.safetensors", &out,
            "float32: loss [1], mean over target tokens; logits [T, vocabulary]; "
            "vision_features [images, tokens, width]; grad.NAME of the loss for every "
            "tensor NAME of the model's files that trains; a file of this name is replaced",
            .required = true),
        GRI_TEXT("train", "PARTS", &train,
                 "which of vision,connector,language train (default: all)"),
        GRI_FLAG("recompute", &o.recompute,
                 "keep only the inputs of blocks and compute each again in backward: the same "
                 "bits, less memory"),
        GRI_FLAG("no-logits", &o.no_logits, "leave logits out of the output"),
        GRI_INT("image-token", "ID", &image_token, 0, INT32_MAX,
                "id whose rows pictures replace (default: <IMG_CONTEXT> of the model's "
                "tokenizer)"),
        GRI_CHOICE(
            "precision", "fp32|bf16", &precision,
            "what matrix products read, and what is kept between them; sums, norms, softmax "
            "and loss are fp32 (default: fp32)"),
        GRI_THREADS(&threads),
    };
    GR_TRY(GRI_ARGS_PARSE("debug step",
                          "Computes one batch and writes what came out, for anyone who checks "
                          "the mathematics. Says on standard error how much memory it took.",
                          args, argc, argv, &help));
    if (!help) {
        GR_TRY(step(dir, batch, out, train, image_token, threads, (gr_precision)precision, &o));
    }
done:
    return err;
}
