/// The check of a recipe's data against the run itself: what it counts and the memory that it names are those of real steps.

#include "datasets/synth.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "stages/preflight.h"
#include "tests/mpi/mpi_check.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 60, STEPS = 9, LANES = 4 };

static const char model_text[] =
    "vision: {model_type: aimv2, image_size: 16, patch_size: 4, hidden_size: 16, "
    "num_attention_heads: 2, intermediate_size: 24, num_hidden_layers: 2}\n"
    "connector: {}\n"
    "language: {model_type: qwen2, vocab_size: 912, hidden_size: 16, "
    "num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1, "
    "intermediate_size: 24, max_position_embeddings: 512, rope_theta: 1000000.0, "
    "tie_word_embeddings: true}\n";

static const char recipe_text[] =
    "seed: 5\nlanes: 4\nmodel: {vision: %s/m.yaml, connector: %s/m.yaml, language: %s/m.yaml}\n"
    "tokenizer: %s/tests/fixtures/tokenizer\nstages:\n"
    "  - {name: first, trains: [connector], data: [{path: %s/data}], global_batch: 8, window: 3,\n"
    "     sequence_length: 150, max_images: 2, steps: 9, learning_rate: 1.0e-3}\n"
    "  - {name: last, trains: [vision, connector, language], data: [{path: %s/data}], recompute: true,\n"
    "     validation: [{path: %s/data}], global_batch: 8, sequence_length: 150, steps: 9, learning_rate: 1.0e-3}\n";

static void write_file(const char *dir, const char *name, const char *text)
{
    char *path = NULL;
    GR_CHECK_OK(gr_path_join(dir, name, &path));
    GR_CHECK_OK(gr_file_write(path, text, strlen(text)));
    GR_FREE(path);
}

/// Rank 0 makes data, model and recipe; "DIR/r.yaml".
static char *make_recipe(void)
{
    char dir[1024] = "";
    if (gr_test_world->rank == 0) {
        snprintf(dir, sizeof dir, "%s", gr_test_dir());
        char *data = gr_str_format("%s/data", dir);
        char *text =
            gr_str_format(recipe_text, dir, dir, dir, getenv("GR_SOURCE_DIR"), dir, dir, dir);
        gr_synth_options o = {
            .count = SAMPLES, .seed = 1, .side = 56, .quality = -1, .out = data};
        gr_import_result result;
        for (int t = 0; t < GR_SYNTH_TASKS; t++) {
            o.weight[t] = 1;
        }
        GR_CHECK_OK(gr_dir_remove(data));
        GR_CHECK_OK(gr_synth(&o, NULL, &result));
        write_file(dir, "m.yaml", model_text);
        write_file(dir, "r.yaml", text);
        GR_FREE(data);
        GR_FREE(text);
    }
    GR_CHECK_OK(gr_world_broadcast(gr_test_world, dir, sizeof dir, 0));
    return gr_str_format("%s/r.yaml", dir);
}

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
    char *path = make_recipe();
    gr_recipe *recipe = NULL;
    gr_setup *setup = NULL;
    gr_preflight p = {0};
    if (path && GR_CHECK_OK(gr_recipe_load(path, NULL, 0, &recipe)) &&
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
    GR_FREE(path);
}

static const gr_test tests[] = {{"memory", test_memory}};
GR_MPI_TEST_MAIN("preflight", tests)
