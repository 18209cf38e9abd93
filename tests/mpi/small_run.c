#include "tests/mpi/small_run.h"

#include "datasets/synth.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "tests/mpi/mpi_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char model_text[] =
    "vision: {model_type: aimv2, image_size: 16, patch_size: 4, hidden_size: 16, "
    "num_attention_heads: 2, intermediate_size: 24, num_hidden_layers: 2}\n"
    "connector: {}\n"
    "language: {model_type: qwen2, vocab_size: 912, hidden_size: 16, "
    "num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1, "
    "intermediate_size: 24, max_position_embeddings: 512, rope_theta: 1000000.0, "
    "tie_word_embeddings: true}\n";

/// In the current folder, which is empty.
static gr_err make_files(const char *recipe)
{
    gr_err err = GR_OK;
    char *tokenizer = gr_str_format("%s/tests/fixtures/tokenizer", getenv("GR_SOURCE_DIR"));
    gr_synth_options o = {
        .count = GR_SMALL_SAMPLES, .seed = 1, .side = 56, .quality = -1, .out = "data"};
    gr_import_result result;
    if (!tokenizer || symlink(tokenizer, "tokenizer") != 0) {
        GR_FAIL(GR_ERR_IO, "tokenizer: cannot link: %s", strerror(errno));
    }
    for (int t = 0; t < GR_SYNTH_TASKS; t++) {
        o.weight[t] = 1;
    }
    GR_TRY(gr_synth(&o, NULL, &result));
    GR_TRY(gr_file_write("m.yaml", model_text, strlen(model_text)));
    GR_TRY(gr_file_write("r.yaml", recipe, strlen(recipe)));
done:
    GR_FREE(tokenizer);
    return err;
}

gr_err gr_small_run(const char *recipe)
{
    static int made;
    gr_err err = GR_OK;
    char dir[1024] = "";
    if (gr_test_world->rank == 0) {
        snprintf(dir, sizeof dir, "%s/small%d", gr_test_dir(), made++);
        err = gr_dir_make(dir);
    }
    GR_TRY(gr_world_agree(gr_test_world, err));
    GR_TRY(gr_world_broadcast(gr_test_world, dir, sizeof dir, 0));
    if (chdir(dir) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot enter: %s", dir, strerror(errno));
    }
    GR_TRY(
        gr_world_agree(gr_test_world, gr_test_world->rank == 0 ? make_files(recipe) : GR_OK));
done:
    return err;
}
