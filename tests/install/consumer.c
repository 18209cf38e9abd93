// A program of somebody else: it makes a tiny language model and asks it for the loss of three tokens.
#include <gradus/base/err.h>
#include <gradus/model/model.h>

#include <stdio.h>

int main(void)
{
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    gr_model *model = NULL;
    const gr_model_config config = {.parts = 1u << GR_PART_LANGUAGE,
                                    .language = {.kind = GR_LANGUAGE_QWEN2,
                                                 .vocabulary = 10,
                                                 .width = 8,
                                                 .blocks = 1,
                                                 .heads = 2,
                                                 .kv_heads = 1,
                                                 .head_size = 4,
                                                 .mlp_width = 12,
                                                 .max_positions = 8,
                                                 .rope_theta = 1e4,
                                                 .norm_eps = 1e-6,
                                                 .tied = true}};
    const int32_t ids[] = {1, 5, 3}, targets[] = {5, 3, -100}, positions[] = {0, 1, 2};
    const int32_t ends[] = {0, 3};
    const gr_batch batch = {.tokens = 3,
                            .ids = ids,
                            .targets = targets,
                            .positions = positions,
                            .sequences = 1,
                            .cu_seqlens = ends};
    double loss = 0;
    GR_TRY(gr_exec_create_cpu(1, 64 << 20, &ex));
    GR_TRY(gr_model_create(&config, ex, &model));
    GR_TRY(gr_model_loss(model, &batch, &loss)); // all weights are 0: ln 10 per target
    printf("loss %.6f\n", loss / 2);
done:
    gr_model_destroy(&model);
    gr_exec_destroy(&ex);
    if (err != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
    }
    return gr_err_exit_code(err);
}
