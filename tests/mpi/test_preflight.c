/// The check of a recipe's data against the run itself: what it counts and the memory that it names are those of real steps.

#include "src/base/mem.h"
#include "stages/preflight.h"
#include "tests/mpi/mpi_check.h"
#include "tests/mpi/small_run.h"

enum { SAMPLES = GR_SMALL_SAMPLES, LANES = 4 };

static const char recipe_text[] =
    "seed: 5\nlanes: 4\nmodel: {vision: m.yaml, connector: m.yaml, language: m.yaml}\n"
    "tokenizer: tokenizer\nstages:\n"
    "  - {name: first, trains: [connector], data: [{path: data}], global_batch: 8, window: 3,\n"
    "     sequence_length: 150, max_images: 2, steps: 9, learning_rate: 1.0e-3}\n"
    "  - {name: last, trains: [vision, connector, language], data: [{path: data}], recompute: true,\n"
    "     validation: [{path: data}], global_batch: 8, sequence_length: 150, steps: 9, learning_rate: 1.0e-3}\n";

/// What all steps of a stage took and held.
typedef struct seen {
    int64_t memory, rows, tokens, most_tokens, most_images;
} seen;

static void run_batch(gr_setup *setup, const gr_batch *batch, gr_part_set trains,
                      float *const grads[GR_PART_COUNT], seen *s)
{
    double loss = 0;
    gr_arena_forget_peak(setup->exec->scratch);
    GR_CHECK_OK(gr_model_loss_grad(setup->model, batch, trains, grads, &loss));
    const int64_t peak = gr_arena_peak(setup->exec->scratch);
    s->memory = peak > s->memory ? peak : s->memory;
    s->rows++;
    s->tokens += batch->tokens;
    s->most_tokens = batch->tokens > s->most_tokens ? batch->tokens : s->most_tokens;
    s->most_images = batch->images > s->most_images ? batch->images : s->most_images;
}

static seen run_stage(gr_setup *setup, const gr_recipe_stage *stage, bool validation)
{
    seen s = {0};
    gr_loader *loader = NULL;
    float *grads[GR_PART_COUNT] = {NULL};
    const gr_params *params = gr_model_get_params(setup->model);
    const gr_part_set trains = validation ? 0 : stage->trains;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        grads[p] = gr_mem_alloc((size_t)params->size[p], sizeof **grads);
        GR_CHECK(grads[p] != NULL);
    }
    GR_CHECK_OK(gr_setup_enter_stage(setup, stage));
    if (GR_CHECK_OK(gr_setup_loader(setup, stage, validation, &loader))) {
        for (int64_t i = 0; i < gr_loader_steps(loader) * LANES; i++) {
            const gr_lane_batch *lane = NULL;
            if (GR_CHECK_OK(gr_loader_lane(loader, i / LANES, i % LANES, &lane))) {
                for (int64_t b = 0; b < lane->count; b++) {
                    run_batch(setup, &lane->batches[b], trains, grads, &s);
                }
            }
        }
    }
    gr_loader_destroy(&loader);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(grads[p]);
    }
    return s;
}

static void check_part(gr_setup *setup, const gr_preflight_part *part, const seen *want)
{
    const gr_check_report *r = &part->found;
    GR_CHECK_INT(r->bad, 0);
    GR_CHECK_INT(r->samples, SAMPLES);
    GR_CHECK(r->targets > SAMPLES && r->targets < r->tokens && r->longest <= 150);
    GR_CHECK_INT(r->rows, want->rows);
    GR_CHECK_INT(r->row_tokens, want->tokens);
    GR_CHECK_INT(r->most[GR_CHECK_TOKENS].tokens, want->most_tokens);
    GR_CHECK_INT(r->most[GR_CHECK_IMAGES].images, want->most_images);
    GR_CHECK_INT(part->memory, want->memory);
    GR_CHECK(part->memory > 0 && setup != NULL);
}

static void test_memory(void)
{
    gr_recipe *recipe = NULL;
    gr_setup *setup = NULL;
    gr_preflight p = {0};
    if (GR_CHECK_OK(gr_small_run(recipe_text)) &&
        GR_CHECK_OK(gr_recipe_load("r.yaml", NULL, 0, &recipe)) &&
        GR_CHECK_OK(gr_setup_create(recipe, 1, &setup)) &&
        GR_CHECK_OK(gr_preflight_run(gr_test_world, setup, true, &p))) {
        GR_CHECK(p.good);
        if (GR_CHECK_INT(p.count, 3)) {
            const seen all[] = {run_stage(setup, &recipe->stages[0], false),
                                run_stage(setup, &recipe->stages[1], false),
                                run_stage(setup, &recipe->stages[1], true)};
            for (int i = 0; i < 3; i++) {
                check_part(setup, &p.parts[i], &all[i]);
            }
            GR_CHECK(all[0].memory != all[1].memory);
        }
    }
    GR_CHECK_OK(gr_world_barrier(gr_test_world)); // rank 0 removes the folder
    gr_preflight_fini(&p);
    gr_setup_destroy(&setup);
    gr_recipe_destroy(&recipe);
}

static const gr_test tests[] = {{"memory", test_memory}};
GR_MPI_TEST_MAIN("preflight", tests)
