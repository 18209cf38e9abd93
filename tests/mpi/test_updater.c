#include "src/base/mem.h"
#include "src/optim/adamw.h"
#include "stages/updater.h"
#include "tests/mpi/mpi_check.h"

#include <math.h>
#include <string.h>

/// The state of the optimizer is shared out: what a rank holds falls with the number of ranks.
static void test_memory_falls_with_the_ranks(void)
{
    enum { BLOCKS = 240 };
    const int64_t n = (int64_t)BLOCKS * GR_RANGE_BLOCK;
    const gr_params params = {.size = {n / 2 - 5, 3, n / 2 - 5000}};
    gr_updater *u = NULL;
    int64_t before = gr_mem_used();
    if (GR_CHECK_OK(gr_updater_create(gr_test_world, &params, GR_PARTS_ALL, &u))) {
        GR_CHECK_INT(u->size, n);
        int64_t moments = 8 * gr_owned_most(n, gr_test_world->size);
        int64_t rest = 16 * BLOCKS + (1 << 14); // the blocks' sums, requests
        GR_CHECK_INT(moments, 8 * n / gr_test_world->size);
        GR_CHECK(gr_mem_used() - before >= moments);
        GR_CHECK(gr_mem_used() - before <= moments + rest);
    }
    gr_updater_destroy(&u);
    GR_CHECK_INT(gr_mem_used(), before);
}

/// Parts begin at whole blocks: no block holds two of them.
static void test_layout(void)
{
    const gr_params params = {.size = {1, GR_RANGE_BLOCK, GR_RANGE_BLOCK + 1}};
    gr_range parts[GR_PART_COUNT];
    GR_CHECK_INT(gr_updater_layout(&params, GR_PARTS_ALL, parts), 4 * GR_RANGE_BLOCK);
    GR_CHECK_INT(parts[1].begin, GR_RANGE_BLOCK);
    GR_CHECK_INT(parts[2].begin, 2 * GR_RANGE_BLOCK);
    GR_CHECK_INT(parts[2].end, 3 * GR_RANGE_BLOCK + 1);
    GR_CHECK_INT(gr_updater_layout(&params, 1u << 2, parts), 2 * GR_RANGE_BLOCK);
    GR_CHECK_INT(parts[2].begin, 0);
    GR_CHECK_INT(gr_range_count(parts[0]), 0);
}

/// A model of one part that is large enough for four ranks to have some of it.
static gr_err make_model(gr_exec *ex, gr_model **out)
{
    const gr_model_config config = {.parts = 1u << GR_PART_LANGUAGE,
                                    .language = {.kind = GR_LANGUAGE_QWEN2,
                                                 .vocabulary = 300,
                                                 .width = 48,
                                                 .blocks = 2,
                                                 .heads = 4,
                                                 .kv_heads = 2,
                                                 .head_size = 12,
                                                 .mlp_width = 96,
                                                 .max_positions = 64,
                                                 .rope_theta = 10000,
                                                 .norm_eps = 1e-6,
                                                 .initializer_range = 0.02}};
    gr_err err = gr_model_create(&config, ex, out);
    if (err == GR_OK) {
        gr_model_init(*out, config.parts, 3);
    }
    return err;
}

static const gr_recipe_stage stage = {.name = "s",
                                      .trains = 1u << GR_PART_LANGUAGE,
                                      .learning_rate = {[GR_PART_LANGUAGE] = 1e-2},
                                      .beta1 = 0.9,
                                      .beta2 = 0.95,
                                      .eps = 1e-8,
                                      .weight_decay = 0.1,
                                      .clip = 1};
static const gr_schedule schedule = {.kind = GR_SCHEDULE_CONSTANT, .steps = 10, .scale = 1};
enum { TARGETS = 7, STEPS = 3 };

static float gradient(int64_t i, int64_t step)
{
    return (float)(sin((double)i * 0.7 + (double)step) * pow(10, (double)(i % 5) - 3));
}

/// One rank's update as it is defined: the whole vector, tensor by tensor. m and v [size of the part].
static gr_err update_alone(gr_model *model, int64_t step, float *m, float *v, double *norm)
{
    gr_err err = GR_OK;
    const gr_params *params = gr_model_get_params(model);
    int64_t n = params->size[GR_PART_LANGUAGE];
    float *grads = NULL, *weights = gr_model_edit_weights(model, GR_PART_LANGUAGE);
    double *sums = NULL, squares = 0;
    GR_ALLOC(grads, n);
    GR_ALLOC(sums, gr_range_blocks(n));
    for (int64_t i = 0; i < n; i++) {
        grads[i] = gradient(i, step);
    }
    gr_square_sums(n, grads, sums, 2);
    for (int64_t i = 0; i < gr_range_blocks(n); i++) {
        squares += sums[i];
    }
    *norm = sqrt(squares) / TARGETS;
    gr_adamw opt = {.learning_rate = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8};
    opt.step = step + 1;
    opt.grad_scale = (*norm > 1 ? 1 / *norm : 1) / TARGETS;
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        opt.weight_decay = p->decay ? 0.1 : 0;
        gr_adamw_update(&opt, p->count, weights + p->offset, grads + p->offset, m + p->offset,
                        v + p->offset, 2);
    }
done:
    GR_FREE(grads);
    GR_FREE(sums);
    return err;
}

/// The ranks' update, of a gradient that means nothing where the rank does not own it.
static gr_err update_together(gr_model *model, gr_updater *u, int64_t step, float bad,
                              const gr_updater_copy *copy, double *norm)
{
    gr_err err = GR_OK;
    gr_update_report report = {0};
    float *grads = NULL;
    GR_ALLOC(grads, u->size);
    for (int64_t i = 0; i < u->size; i++) {
        gr_range run = {0};
        bool own = gr_owned_owner(&u->own, i, &run) == u->own.rank;
        float value = i < u->parts[GR_PART_LANGUAGE].end ? gradient(i, step) : 0;
        grads[i] = own ? value + (i == 5 ? bad : 0) : NAN;
    }
    GR_TRY(
        gr_updater_apply(u, model, &stage, &schedule, step, grads, TARGETS, 1, copy, &report));
    *norm = report.grad_norm;
done:
    GR_FREE(grads);
    return err;
}

static void compare_weights(const gr_model *got, const gr_model *want)
{
    const gr_params *params = gr_model_get_params(want);
    GR_CHECK_BYTES(gr_model_weights(got, GR_PART_LANGUAGE),
                   gr_model_weights(want, GR_PART_LANGUAGE),
                   (size_t)params->size[GR_PART_LANGUAGE] * sizeof(float));
}

/// got: the owned elements only; want: all.
static void compare_owned(const gr_updater *u, const float *got, const float *want)
{
    const gr_range part = u->parts[GR_PART_LANGUAGE];
    for (gr_range piece = {part.begin, part.begin}; gr_owned_next(&u->own, part, &piece);) {
        GR_CHECK_BYTES(got + gr_owned_place(&u->own, piece.begin), want + piece.begin,
                       (size_t)gr_range_count(piece) * sizeof *want);
    }
}

/// The ranks together do what one alone does, to the last bit, and all have all parameters.
static void same_bits_as_one_rank(void)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_model *one = NULL, *many = NULL;
    gr_updater *u = NULL;
    float *m = NULL, *v = NULL;
    gr_updater_copy copy = {0};
    double norm_one = 0, norm_many = 0;
    GR_TRY(gr_exec_create_cpu(1, 0, &ex));
    GR_TRY(make_model(ex, &one));
    GR_TRY(make_model(ex, &many));
    const gr_params *params = gr_model_get_params(one);
    GR_CHECK(params->size[GR_PART_LANGUAGE] > 8 * GR_RANGE_BLOCK);
    GR_ALLOC(m, params->size[GR_PART_LANGUAGE]);
    GR_ALLOC(v, params->size[GR_PART_LANGUAGE]);
    GR_TRY(gr_updater_create(gr_test_world, params, stage.trains, &u));
    GR_ALLOC(copy.weights, gr_owned_count(&u->own));
    GR_ALLOC(copy.first, gr_owned_count(&u->own));
    GR_ALLOC(copy.second, gr_owned_count(&u->own));
    for (int64_t step = 0; step < STEPS; step++) {
        GR_TRY(update_alone(one, step, m, v, &norm_one));
        GR_TRY(update_together(many, u, step, 0, step == STEPS - 1 ? &copy : NULL, &norm_many));
        GR_CHECK_BYTES(&norm_many, &norm_one, sizeof norm_one);
        compare_weights(many, one);
    }
    // The last update left a copy of what is owned, unaligned tensors and all.
    compare_owned(u, u->first, m);
    compare_owned(u, u->second, v);
    compare_owned(u, copy.first, m);
    compare_owned(u, copy.second, v);
    compare_owned(u, copy.weights, gr_model_weights(one, GR_PART_LANGUAGE));
    // An infinite gradient where rank 0 owns it only: all ranks say so, and no weight is touched.
    GR_CHECK_ERR(update_together(many, u, STEPS, INFINITY, NULL, &norm_many), GR_ERR_NONFINITE,
                 "the gradient is not finite");
    GR_CHECK(gr_world_knows_error(gr_test_world));
    compare_weights(many, one);
    GR_CHECK_INT(u->updates, STEPS);
done:
    GR_CHECK_OK(err);
    GR_FREE(copy.weights);
    GR_FREE(copy.first);
    GR_FREE(copy.second);
    GR_FREE(m);
    GR_FREE(v);
    gr_updater_destroy(&u);
    gr_model_destroy(&one);
    gr_model_destroy(&many);
    gr_exec_destroy(&ex);
}

static void test_same_bits_as_one_rank(void)
{
    same_bits_as_one_rank();
    gr_owned_set_blocks(1);
    same_bits_as_one_rank();
    gr_owned_set_blocks(GR_OWNED_BLOCKS);
}

/// What one rank owns and what is too large for AdamW is seen by all before an update; nothing is changed by looking.
static void test_look(void)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_model *model = NULL, *untouched = NULL;
    gr_updater *u = NULL;
    double norm = 0;
    const char *what = NULL, *tensor = NULL;
    const int last = gr_test_world->size - 1;
    GR_TRY(gr_exec_create_cpu(1, 0, &ex));
    GR_TRY(make_model(ex, &model));
    GR_TRY(make_model(ex, &untouched));
    GR_TRY(gr_updater_create(gr_test_world, gr_model_get_params(model), stage.trains, &u));
    gr_updater_check_own(u, model, 2, &what, &tensor);
    GR_CHECK(!what && !tensor);
    // Finite, but its square is not; clipping makes it small.
    GR_TRY(update_together(model, u, 0, 1e30F, NULL, &norm));
    GR_CHECK(stage.clip > 0 && u->view.fits && isfinite(norm) && u->view.bad_rank < 0);
    if (gr_test_world->rank == last) {
        u->second[0] = INFINITY;
    }
    memcpy(gr_model_edit_weights(untouched, GR_PART_LANGUAGE),
           gr_model_weights(model, GR_PART_LANGUAGE),
           (size_t)gr_model_get_params(model)->size[GR_PART_LANGUAGE] * sizeof(float));
    GR_CHECK_ERR(update_together(model, u, 1, 0, NULL, &norm), GR_ERR_NONFINITE,
                 "weights or moments are not");
    GR_CHECK_INT(u->view.bad_rank, last);
    GR_CHECK_INT(u->updates, 1);
    compare_weights(model, untouched);
    gr_updater_check_own(u, model, 2, &what, &tensor);
    GR_CHECK((what != NULL) == (gr_test_world->rank == last));
    if (what) {
        GR_CHECK_STR(what, "AdamW's second moments");
    }
done:
    GR_CHECK_OK(err);
    gr_updater_destroy(&u);
    gr_model_destroy(&model);
    gr_model_destroy(&untouched);
    gr_exec_destroy(&ex);
}

static const gr_test tests[] = {
    {"memory_falls_with_the_ranks", test_memory_falls_with_the_ranks},
    {"layout", test_layout},
    {"same_bits_as_one_rank", test_same_bits_as_one_rank},
    {"look", test_look},
};
GR_MPI_TEST_MAIN("updater", tests)
