#ifndef SRC_FORMATS_ANSWER_H
#define SRC_FORMATS_ANSWER_H

/// A model's answer to a conversation, the likeliest token each time.

#include "src/formats/chat.h"
#include "src/model/model.h"

typedef struct gr_answer {
    int32_t *ids;
    int64_t count;
    gr_generation_end end;
    double seconds; ///< the prompt's pass among them
    char *text;     ///< may hold NULs; without special tokens
    size_t size;
} gr_answer;

/// Continues `prompt` (gr_chat_prompt), whose pictures are `images` tiles, pixels [images, 3, S, S], by at most max_new tokens. It ends at what closes a
/// turn or a text in the templates, or at what the tokenizer's own files say ends a text. Free with gr_answer_fini.
GR_MUST_CHECK gr_err gr_answer_write(gr_model *model, const gr_tokenizer *tokenizer,
                                     const gr_chat_sample *prompt, const float *pixels,
                                     int64_t images, int64_t max_new, gr_answer *out);
void gr_answer_fini(gr_answer *answer);

#endif
