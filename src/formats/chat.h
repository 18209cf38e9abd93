#ifndef SRC_FORMATS_CHAT_H
#define SRC_FORMATS_CHAT_H

/// Conversations to token ids and targets, in the ChatML form of Qwen2.5:
///   <|im_start|>system\nSYS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n
/// Each `<image>` in a user's text becomes <img>, <IMG_CONTEXT> times the tokens of all its tiles, </img>; without any, images
/// are put in front of the first user message, each with a newline. Text is tokenised in pieces and never
/// re-tokenised. Targets are shifted: targets[t] is the id that position t must predict, or -100. The answer and
/// its closing <|im_end|> carry loss; everything else carries none. Image tokens never do. What looks like a special token
/// in a turn's text is ordinary text; only a user's text has placeholders.

#include "src/base/doc.h"
#include "src/formats/tokenizer.h"

typedef struct gr_chat_turn {
    bool assistant; ///< else user; "system" turns have both false
    bool system;
    const char *text; ///< UTF-8, borrowed
    size_t size;
} gr_chat_turn;

typedef struct gr_chat_options {
    /// System message put in front when the conversation has none; NULL or "": none.
    const char *system;
    /// Loss on every turn's text and closing mark, not on answers only.
    bool all_text;
    /// No markers: the texts joined by newlines, then <|endoftext|>, all with loss (pretraining). No system message is
    /// added; images without placeholders go in front of the first turn.
    bool plain;
    int64_t image_tokens; ///< context tokens of one tile
    const int64_t *tiles; ///< [images] tiles of each image in order, borrowed; NULL: one each
} gr_chat_options;

typedef struct gr_chat_sample {
    gr_ids ids, targets;
    gr_ids image_rows; ///< positions of the context tokens
} gr_chat_sample;
void gr_chat_sample_fini(gr_chat_sample *sample);

/// Encodes one conversation with `images` images. Bad conversations (no turn, no target,
/// placeholders that do not match the images) are GR_ERR_DATA. Appends to nothing: `out` must be zeroed.
GR_MUST_CHECK gr_err gr_chat_encode(const gr_tokenizer *tokenizer,
                                    const gr_chat_options *options, const gr_chat_turn *turns,
                                    int64_t count, int64_t images, gr_chat_sample *out);
/// The prompt for an answer: the turns, then "<|im_start|>assistant\n". targets stay empty.
GR_MUST_CHECK gr_err gr_chat_prompt(const gr_tokenizer *tokenizer,
                                    const gr_chat_options *options, const gr_chat_turn *turns,
                                    int64_t count, int64_t images, gr_chat_sample *out);

#endif
