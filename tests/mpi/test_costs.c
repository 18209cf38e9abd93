/// What a plan says that ranks take and send is what they take and send.

#include "mpi/lanes.h"
#include "mpi/messages.h"
#include "src/base/mem.h"
#include "stages/updater.h"
#include "tests/mpi/mpi_check.h"

#include <string.h>

/// Bookkeeping beside the numbers: structures, requests, what an allocation takes on top.
enum { BESIDE = 64 << 10 };

static void check_memory(int64_t took, int64_t planned)
{
    GR_CHECK(took >= planned && took - planned < BESIDE);
}

/// The imagined world says the same as the real one.
static gr_world imagined(void)
{
    const gr_world *w = gr_test_world;
    return gr_world_imagined(w->rank, w->size, w->local_size);
}

static void check_lanes(int64_t lanes, int64_t n)
{
    gr_lanes *x = NULL;
    float *sum = NULL;
    const gr_world world = imagined();
    const gr_cost cost = gr_lanes_cost(&world, lanes, n);
    const int64_t before = gr_mem_used(), sent = gr_messages_sent();
    GR_CHECK_OK(gr_lanes_create(gr_test_world, lanes, n, &x));
    check_memory(gr_mem_used() - before, cost.memory);
    for (int64_t i = 0; i < gr_lanes_count(x); i++) {
        (void)gr_lanes_next(x);
    }
    GR_CHECK_OK(gr_lanes_reduce(x, &sum));
    GR_CHECK_INT(gr_messages_sent() - sent, cost.sent);
    gr_lanes_destroy(&x);
}

static void test_lanes(void)
{
    static const int64_t sizes[] = {0, 1, 4097, 1000000, 3 * (64 << 12) + 5};
    for (int64_t lanes = gr_test_world->size; lanes <= 13; lanes++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            check_lanes(lanes, sizes[i]);
        }
    }
    GR_CHECK_INT(gr_messages_sent() > 0, gr_test_world->size > 1);
}

/// A small language model with tables and matrices longer than a run of blocks.
static gr_model_config config(void)
{
    return (gr_model_config){.parts = 1 << GR_PART_LANGUAGE,
                             .language = {.kind = GR_LANGUAGE_QWEN2,
                                          .vocabulary = 512,
                                          .width = 64,
                                          .blocks = 2,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 16,
                                          .mlp_width = 96,
                                          .max_positions = 64,
                                          .rope_theta = 1e6,
                                          .norm_eps = 1e-6,
                                          .initializer_range = 0.1}};
}

/// An update of the model in this precision, whose gradient is 1 everywhere.
static void check_updater(gr_precision precision)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_model *model = NULL;
    gr_updater *u = NULL;
    float *grads = NULL;
    int64_t given_back = 0;
    const gr_part_set trains = 1 << GR_PART_LANGUAGE;
    const gr_model_config c = config();
    const gr_recipe_stage stage = {
        .name = "s", .trains = trains, .eps = 1e-8, .beta1 = 0.9, .beta2 = 0.99};
    const gr_schedule schedule = {.kind = GR_SCHEDULE_CONSTANT, .steps = 4, .scale = 1};
    gr_update_report report;
    const gr_world world = imagined();
    GR_TRY(gr_exec_create_cpu(1, 1 << 20, &ex));
    if (precision == GR_PRECISION_BF16 && gr_exec_set_precision(ex, precision) != GR_OK) {
        gr_err_clear(); // not on this machine
        goto done;
    }
    GR_TRY(gr_model_create(&c, ex, &model));
    const gr_params *params = gr_model_get_params(model);
    const gr_cost cost =
        gr_updater_cost(&world, params, trains, precision == GR_PRECISION_BF16, &given_back);
    const int64_t before = gr_mem_used();
    GR_TRY(gr_updater_create(gr_test_world, params, trains, &u));
    GR_TRY(gr_updater_part(u, model));
    check_memory(gr_mem_used() - before, cost.memory);
    GR_CHECK(precision == GR_PRECISION_BF16 && gr_test_world->size > 1 ? given_back > 0
                                                                       : given_back == 0);
    GR_ALLOC(grads, u->size);
    for (int64_t i = 0; i < u->size; i++) {
        grads[i] = 1;
    }
    const int64_t sent = gr_messages_sent();
    GR_TRY(gr_updater_apply(u, model, &stage, &schedule, 0, grads, 1, 1, NULL, &report));
    GR_CHECK_INT(gr_messages_sent() - sent, cost.sent);
done:
    GR_CHECK_OK(err);
    gr_updater_destroy(&u);
    gr_model_destroy(&model);
    gr_exec_destroy(&ex);
    GR_FREE(grads);
}

static void test_updater(void)
{
    for (int64_t blocks = 1; blocks <= 64; blocks *= 64) { // many stripes, or one
        gr_owned_set_blocks(blocks);
        check_updater(GR_PRECISION_FP32);
        check_updater(GR_PRECISION_BF16);
    }
}

static const gr_test tests[] = {{"lanes", test_lanes}, {"updater", test_updater}};
GR_MPI_TEST_MAIN("costs", tests)
