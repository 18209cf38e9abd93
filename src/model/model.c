#include "src/base/activity.h"
#include "src/base/mem.h"
#include "src/model/forward.h"

#include <string.h>

bool gri_has_part(const gr_model *model, gr_part part)
{
    return model->config.parts >> part & 1;
}

static gr_err bind_parts(gr_model *m)
{
    gr_err err = GR_OK;
    if (gri_has_part(m, GR_PART_VISION)) {
        GR_TRY(gri_vision_bind(&m->config, m->params, &m->course[GR_PART_VISION], &m->vision));
    }
    if (gri_has_part(m, GR_PART_CONNECTOR)) {
        gri_connector_bind(&m->config, m->params, &m->course[GR_PART_CONNECTOR], &m->connector);
    }
    if (gri_has_part(m, GR_PART_LANGUAGE)) {
        GR_TRY(gri_language_bind(&m->config, m->params, &m->course[GR_PART_LANGUAGE],
                                 &m->language));
    }
done:
    return err;
}

/// Memory for the numbers of one part; where nothing is computed, addresses that nobody may look at.
static gr_err take_flat(gri_course *course, gr_precision precision)
{
    gr_err err = GR_OK;
    const bool bf16 = precision == GR_PRECISION_BF16;
    gri_flat *flat = &course->flat;
    if (course->ex->counts) {
        gr_arena *arena = course->ex->scratch;
        flat->weights =
            gr_arena_addresses(arena, course->size * (int64_t)sizeof *flat->weights);
        flat->rounded =
            bf16 ? gr_arena_addresses(arena, course->size * (int64_t)sizeof *flat->rounded)
                 : NULL;
        goto done;
    }
    GR_ALLOC(flat->weights, course->size);
    if (bf16) {
        GR_ALLOC(flat->rounded, course->size);
    }
done:
    return err;
}

static void free_flat(const gr_exec *ex, gri_flat *flat)
{
    if (!ex->counts) {
        GR_FREE(flat->weights);
        GR_FREE(flat->rounded);
    }
}

gr_err gr_model_create(const gr_model_config *config, gr_exec *ex, gr_model **out)
{
    gr_err err = GR_OK;
    gr_model *m = NULL;
    GR_ALLOC(m, 1);
    m->config = *config;
    m->ex = ex;
    m->precision = ex->precision;
    GR_TRY(gr_params_create(config, &m->params));
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gri_course *course = &m->course[p];
        *course = (gri_course){.ex = ex, .part = (gr_part)p, .size = m->params->size[p]};
        if (gri_has_part(m, (gr_part)p)) {
            GR_TRY(take_flat(course, m->precision));
        }
    }
    GR_TRY(bind_parts(m));
    *out = m;
    m = NULL;
done:
    gr_model_destroy(&m);
    return err;
}

gr_err gri_model_check(const gr_model *model)
{
    gr_err err = GR_OK;
    if (model->precision != model->ex->precision) {
        GR_FAIL(GR_ERR_USAGE,
                "the model was created for %s, and its context computes in %s now: "
                "gr_exec_set_precision comes before gr_model_create and not again",
                gr_precision_name(model->precision), gr_precision_name(model->ex->precision));
    }
done:
    return err;
}

void gr_model_destroy(gr_model **model)
{
    gr_model *m = *model;
    if (!m) {
        return;
    }
    gri_vision_fini(&m->vision);
    gri_language_fini(&m->language);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        free_flat(m->ex, &m->course[p].flat);
    }
    gr_params_destroy(&m->params);
    GR_FREE(*model);
}

const gr_model_config *gr_model_get_config(const gr_model *model)
{
    return &model->config;
}

const gr_params *gr_model_get_params(const gr_model *model)
{
    return model->params;
}

const float *gr_model_weights(const gr_model *model, gr_part part)
{
    return model->course[part].flat.weights;
}

float *gr_model_edit_weights(gr_model *model, gr_part part)
{
    model->course[part].fresh = 0;
    return model->course[part].flat.weights;
}

void gr_model_set_watch(gr_model *model, gr_model_watch watch)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        model->course[p].watch = watch;
    }
}

void gr_model_refresh(gr_model *model)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gri_course_reads(&model->course[p], model->course[p].size);
    }
}

uint16_t *gr_model_rounded(gr_model *model, gr_part part)
{
    return model->course[part].flat.rounded;
}

void gr_model_round(gr_model *model, gr_part part, int64_t begin, int64_t end)
{
    const gri_flat *flat = &model->course[part].flat;
    gr_tensor from = gr_tensor_1d(flat->weights + begin, end - begin);
    model->ex->ops->round(model->ex, from,
                          gr_tensor_like(from, GR_DTYPE_BF16, flat->rounded + begin));
}

void gr_model_set_apart(gr_model *model, gr_part part, bool apart)
{
    gri_course *course = &model->course[part];
    GR_ASSERT(course->flat.rounded || !apart);
    if (apart) {
        gri_course_reads(course, course->size);
    }
    course->apart = apart;
    course->fresh = course->size;
}

void gr_model_set_pictures(gr_model *model, const gr_picture_rules *rules)
{
    model->config.vision.pictures = *rules;
}

void gr_model_set_recompute(gr_model *model, bool on)
{
    model->vision.stack.recompute = on;
    model->language.stack.recompute = on;
}

void gr_model_init(gr_model *model, gr_part_set parts, uint64_t seed)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (parts >> p & 1 && gri_has_part(model, (gr_part)p)) {
            gr_params_init(model->params, (gr_part)p, seed,
                           gr_model_edit_weights(model, (gr_part)p));
        }
    }
}

void gri_picture_size(const gr_model *model, const gr_batch *batch, int64_t *height,
                      int64_t *width)
{
    *height = batch->height ? batch->height : model->config.vision.image_size;
    *width = batch->width ? batch->width : model->config.vision.image_size;
}

gr_grid gri_batch_grid(const gr_model *model, const gr_batch *batch)
{
    int64_t height = 0, width = 0;
    gri_picture_size(model, batch, &height, &width);
    return gr_vision_grid(&model->config.vision, height, width);
}

gr_tensor gri_as_grid(const gr_model *model, const gr_batch *batch, gr_tensor features)
{
    gr_grid grid = gri_batch_grid(model, batch);
    return gr_tensor_4d(features.data, batch->images, grid.rows, grid.columns,
                        features.shape[1]);
}

void gri_images_fwd(const gr_model *model, const gr_batch *batch, bool keep_vision,
                    bool keep_connector, gri_images *out)
{
    gr_exec *ex = model->ex;
    const gr_vision_config *v = &model->config.vision;
    int64_t images = batch->images, height = 0, width = 0;
    *out = (gri_images){.vision = {.drop_path = batch->drop_path,
                                   .seed = batch->noise_seed,
                                   .stream = batch->noise_stream}};
    if (images == 0) {
        return;
    }
    gr_grid grid = gri_batch_grid(model, batch);
    int64_t patches = grid.rows * grid.columns;
    gri_picture_size(model, batch, &height, &width);
    out->features = gri_take_matrix(ex, images * patches, v->width);
    if (gri_has_part(model, GR_PART_CONNECTOR)) {
        out->outputs =
            gri_take_matrix(ex, images * (patches / 4), model->config.language.width);
    }
    gri_vision_fwd(ex, &model->vision,
                   gri_pictures_of(batch->pixels, images, v->channels, height, width),
                   out->features, keep_vision ? &out->vision : NULL);
    if (gr_tensor_present(out->outputs)) {
        gri_connector_fwd(ex, &model->connector, gri_as_grid(model, batch, out->features),
                          out->outputs, keep_connector ? &out->connector : NULL);
    }
}

/// One training or validation step in flight.
typedef struct step {
    const gr_model *model;
    const gr_batch *batch;
    float *grads[GR_PART_COUNT]; ///< NULL where nothing trains
    bool below;                  ///< the gradient goes on below the language model
    bool backward;               ///< there is anything to compute a gradient for
    gri_images images;
    gri_language_input input;
    gri_language_kept kept;
} step;

/// The loss, and with s->backward the gradient d of the language model's input rows.
static double language_step(step *s, gr_tensor d)
{
    gr_exec *ex = s->model->ex;
    const gri_language *l = &s->model->language;
    float *grads = s->grads[GR_PART_LANGUAGE];
    double loss = 0;
    gr_tensor h = gri_take_matrix(ex, s->batch->tokens, s->model->config.language.width);
    gr_tensor dh = s->backward ? gri_take_matrix(ex, h.shape[0], h.shape[1]) : gr_tensor_none();
    gri_language_fwd(ex, l, &s->input, h, s->backward ? &s->kept : NULL);
    ex->ops->cross_entropy(ex, h, l->head.factor,
                           gr_tensor_i32(s->batch->targets, s->batch->tokens), dh,
                           gri_grad(l->head, grads), &loss);
    if (s->backward) {
        gr_activity_phase(GR_PHASE_BACKWARD);
        gri_language_bwd(ex, l, &s->input, &s->kept, dh, grads, d);
    }
    return loss;
}

/// Connector and vision, from the gradient of the connector's outputs, which has taken their
/// place. The features' gradient takes the place of the features: nothing reads them any more.
static void images_bwd(step *s)
{
    const gr_model *m = s->model;
    bool vision = s->grads[GR_PART_VISION] != NULL;
    gri_connector_bwd(m->ex, &m->connector, &s->images.connector, s->batch->images,
                      s->images.outputs, s->grads[GR_PART_CONNECTOR],
                      vision ? gri_as_grid(m, s->batch, s->images.features) : gr_tensor_none());
    if (vision) {
        gri_vision_bwd(m->ex, &m->vision, &s->images.vision, s->images.features,
                       s->grads[GR_PART_VISION]);
    }
}

static double run(step *s)
{
    gr_exec *ex = s->model->ex;
    int64_t start = gr_arena_mark(ex->scratch);
    gr_activity_phase(GR_PHASE_FORWARD);
    gri_images_fwd(s->model, s->batch, s->grads[GR_PART_VISION] != NULL, s->below, &s->images);
    s->input = gri_language_input_take(s->model, s->batch, s->images.outputs);
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor d = s->backward
                      ? gri_take_matrix(ex, s->batch->tokens, s->model->config.language.width)
                      : gr_tensor_none();
    double loss = language_step(s, d);
    if (s->below) {
        ex->ops->rows_gather(ex, d, s->input.image_rows, s->images.outputs);
        gr_arena_reset(ex->scratch, mark);
        images_bwd(s);
    }
    gr_arena_reset(ex->scratch, start);
    return loss;
}

/// Parts that train are there, and so is room for their gradients.
static gr_err check_train(const gr_model *model, gr_part_set train, float *const *grads)
{
    gr_err err = GR_OK;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (train >> p & 1 && !gri_has_part(model, (gr_part)p)) {
            GR_FAIL(GR_ERR_USAGE, "the %s part is to train, and the model has none",
                    gr_part_name((gr_part)p));
        }
        if (train >> p & 1 && !grads[p]) {
            GR_FAIL(GR_ERR_USAGE, "the %s part is to train, and grads[%d] is NULL",
                    gr_part_name((gr_part)p), p);
        }
    }
    if (train > GR_PARTS_ALL) {
        GR_FAIL(GR_ERR_USAGE, "parts to train: %#x, expected bits of %#x", train, GR_PARTS_ALL);
    }
done:
    return err;
}

gr_err gr_model_loss_grad(gr_model *model, const gr_batch *batch, gr_part_set train,
                          float *const grads[GR_PART_COUNT], double *loss)
{
    gr_err err = GR_OK;
    step s = {.model = model, .batch = batch};
    GR_TRY(gri_model_check(model));
    GR_TRY(check_train(model, train, grads));
    GR_TRY(gri_batch_check(model, batch, true));
    if (!gri_has_part(model, GR_PART_LANGUAGE)) {
        GR_FAIL(GR_ERR_DATA, "a loss needs a language model, and the model has none");
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        bool reached = p == GR_PART_LANGUAGE || batch->images > 0;
        s.grads[p] = train >> p & 1 && reached ? grads[p] : NULL;
    }
    s.below = s.grads[GR_PART_VISION] || s.grads[GR_PART_CONNECTOR];
    s.backward = s.below || s.grads[GR_PART_LANGUAGE];
    *loss = batch->tokens > 0 ? run(&s) : 0;
done:
    return err;
}

gr_err gr_model_loss(gr_model *model, const gr_batch *batch, double *loss)
{
    float *const none[GR_PART_COUNT] = {NULL};
    return gr_model_loss_grad(model, batch, 0, none, loss);
}

static void copy_out(gr_tensor from, float *to)
{
    if (to && gr_tensor_present(from)) {
        memcpy(to, from.data, (size_t)gr_tensor_count(from) * sizeof *to);
    }
}

static void trace_logits(const gr_model *model, const gr_batch *batch, gr_tensor outputs,
                         float *logits)
{
    const gr_language_config *l = &model->config.language;
    gri_language_input in = gri_language_input_take(model, batch, outputs);
    gr_tensor h = gri_take_matrix(model->ex, batch->tokens, l->width);
    gri_language_fwd(model->ex, &model->language, &in, h, NULL);
    model->ex->ops->linear_fwd(model->ex, h, model->language.head.factor, gr_tensor_none(),
                               gr_tensor_2d(logits, batch->tokens, l->vocabulary));
}

gr_err gr_model_trace(gr_model *model, const gr_batch *batch, const gr_trace *out)
{
    gr_err err = GR_OK;
    int64_t mark = gr_arena_mark(model->ex->scratch);
    gri_images images = {0};
    GR_TRY(gri_model_check(model));
    GR_TRY(gri_batch_check(model, batch, false));
    gri_images_fwd(model, batch, false, false, &images);
    copy_out(images.features, out->vision_features);
    copy_out(images.outputs, out->connector);
    if (out->logits && batch->tokens > 0) {
        trace_logits(model, batch, images.outputs, out->logits);
    }
done:
    gr_arena_reset(model->ex->scratch, mark);
    return err;
}
