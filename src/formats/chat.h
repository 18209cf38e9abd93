#ifndef SRC_FORMATS_CHAT_H
#define SRC_FORMATS_CHAT_H

/// Conversations to token ids and targets, in the ChatML form that all templates share:
///   <|im_start|>system\nSYS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n
/// A template says what stands after <|im_end|>, which system message there is by default, and whether an answer
/// begins with an empty thought. Each `<image>` in a user's text becomes <img>, <IMG_CONTEXT> times its tokens,
/// </img>; without any, images are put in front of the first user message, each with a newline. Text is
/// tokenised in pieces and never re-tokenised. Targets are shifted: targets[t] is the id that position t must predict, or
/// -100. The answer and its closing <|im_end|> carry loss; everything else carries none. Image tokens never do.
/// What looks like a special token in a turn's text is ordinary text; only a user's text has placeholders.

#include "src/base/doc.h"
#include "src/formats/tokenizer.h"

typedef struct gr_chat_turn {
    bool assistant; ///< else user; "system" turns have both false
    bool system;
    const char *text; ///< UTF-8, borrowed
    size_t size;
} gr_chat_turn;

/// How a family of models writes conversations: a row of one table.
typedef struct gr_chat_template {
    const char *name;
    const char *system;    ///< message put in front when a conversation has none; "": none
    const char *after_end; ///< text after <|im_end|>, without loss
    /// An answer begins with <think>\n\n</think>\n\n (two tokens that the tokenizer must have, and text), without loss:
    /// the model is told that it need not think.
    bool no_thinking;
    /// No markers: the texts joined by newlines, then <|endoftext|>, all with loss (pretraining). No system message is
    /// added; images without placeholders go in front of the first turn.
    bool plain;
} gr_chat_template;
/// All templates, ended by one without a name: chat (no system message), plain, qwen2.5, qwen3, sailvl (SAIL-VL 1.x and 2),
/// internvl2.5, smollm2.
extern const gr_chat_template gr_chat_templates[];
extern const char *const gr_chat_template_names; ///< "chat, plain, ..." for messages
/// NULL if there is none of this name.
const gr_chat_template *gr_chat_template_find(const char *name);

typedef struct gr_chat_options {
    const gr_chat_template *template; ///< NULL: "chat"
    /// System message of conversations that have none; NULL: the template's own, "": none.
    const char *system;
    /// Loss on every turn's text and closing mark, not on answers only.
    bool all_text;
    int64_t image_tokens; ///< context tokens of one tile
} gr_chat_options;

typedef struct gr_chat_sample {
    gr_ids ids, targets;
    gr_ids image_rows; ///< positions of the context tokens
} gr_chat_sample;
void gr_chat_sample_fini(gr_chat_sample *sample);

/// Adds the tokens that pictures need (<img>, </img>, <IMG_CONTEXT>) where the tokenizer has none, as that of a language model
/// which never saw pictures; *added: how many.
GR_MUST_CHECK gr_err gr_chat_add_picture_tokens(gr_tokenizer *tokenizer, int64_t *added);
/// Encodes one conversation with `images` images of tiles[i] tiles each (NULL: one each). Bad conversations (no turn, no
/// target, placeholders that do not match the images) are GR_ERR_DATA. Appends to nothing: `out` must be
/// zeroed.
GR_MUST_CHECK gr_err gr_chat_encode(const gr_tokenizer *tokenizer,
                                    const gr_chat_options *options, const gr_chat_turn *turns,
                                    int64_t count, int64_t images, const int64_t *tiles,
                                    gr_chat_sample *out);
/// How many ids that would be, with the same errors, if the texts of all turns make `text_tokens` ids when each piece between
/// placeholders is encoded alone: none is encoded here. -1 where that number does not tell: a plain template, images in front, a
/// placeholder that is ordinary text.
GR_MUST_CHECK gr_err gr_chat_count(const gr_tokenizer *tokenizer,
                                   const gr_chat_options *options, const gr_chat_turn *turns,
                                   int64_t count, int64_t images, const int64_t *tiles,
                                   int64_t text_tokens, int64_t *out);
/// The same as a Jinja template for other programs (of `options` the template and the system message), in new memory
/// (GR_FREE). Pictures are not in it: their placeholders are the tokenizing program's.
GR_MUST_CHECK gr_err gr_chat_jinja(const gr_chat_options *options, char **out);
/// The prompt for an answer: the turns, then "<|im_start|>assistant\n" and, where the template has it, the empty thought.
/// targets stay empty.
GR_MUST_CHECK gr_err gr_chat_prompt(const gr_tokenizer *tokenizer,
                                    const gr_chat_options *options, const gr_chat_turn *turns,
                                    int64_t count, int64_t images, const int64_t *tiles,
                                    gr_chat_sample *out);

#endif
