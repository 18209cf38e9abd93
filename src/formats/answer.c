#include "src/formats/answer.h"

#include "src/base/log.h"
#include "src/base/mem.h"

void gr_answer_fini(gr_answer *answer)
{
    GR_FREE(answer->ids);
    GR_FREE(answer->text);
}

gr_err gr_answer_write(gr_model *model, const gr_tokenizer *tokenizer,
                       const gr_chat_sample *prompt, const float *pixels, int64_t images,
                       int64_t max_new, gr_answer *out)
{
    gr_err err = GR_OK;
    gr_answer a = {0};
    int32_t *positions = NULL;
    bool *usable = NULL;
    const int64_t tokens = prompt->ids.count;
    const int32_t ends[] = {0, (int32_t)tokens};
    const int32_t stop[] = {gr_tokenizer_id(tokenizer, "<|im_end|>"),
                            gr_tokenizer_id(tokenizer, "<|endoftext|>"),
                            gr_tokenizer_role(tokenizer, "eos_token")};
    const int64_t known = gr_tokenizer_size(tokenizer);
    GR_ALLOC(positions, tokens);
    GR_ALLOC(a.ids, max_new);
    GR_ALLOC(usable, known);
    for (int64_t id = 0; id < known; id++) {
        usable[id] = gr_tokenizer_has(tokenizer, id);
    }
    for (int64_t t = 0; t < tokens; t++) {
        positions[t] = (int32_t)t;
    }
    const gr_batch batch = {
        .tokens = tokens,
        .ids = prompt->ids.data,
        .positions = positions,
        .sequences = 1,
        .cu_seqlens = ends,
        .images = images,
        .pixels = {.values = pixels},
        .image_rows = prompt->image_rows.data,
    };
    const gr_generation how = {
        .most = max_new, .ids = known, .usable = usable, .stop = stop, .stops = 3};
    const double start = gr_clock();
    GR_TRY(gr_generate(model, &batch, &how, a.ids, &a.count, &a.end));
    a.seconds = gr_clock() - start;
    GR_TRY(gr_tokenizer_decode(tokenizer, a.ids, a.count, true, &a.text, &a.size));
    *out = a;
    a = (gr_answer){0};
done:
    gr_answer_fini(&a);
    GR_FREE(usable);
    GR_FREE(positions);
    return err;
}
