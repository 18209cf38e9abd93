#ifndef SRC_FORMATS_TOKENIZER_H
#define SRC_FORMATS_TOKENIZER_H

/// Byte-level BPE as Qwen2's and GPT-2's: added tokens first, NFC, pre-tokenizer steps, bytes to symbols, merges by
/// rank. Ids are those of the Hugging Face tokenizers library; what a file asks for beyond this is refused by
/// name. Reads and writes tokenizer.json. Encoding is thread-safe.

#include "src/base/digest.h"

#include <stdint.h>

typedef struct gr_tokenizer gr_tokenizer;

/// Reads DIR/tokenizer.json; without one, DIR/vocab.json and merges.txt with tokenizer_config.json and, if they are
/// there, added_tokens.json and special_tokens_map.json.
GR_MUST_CHECK gr_err gr_tokenizer_load(const char *dir, gr_tokenizer **out);
/// Whether DIR holds a tokenizer in either form.
GR_MUST_CHECK gr_err gr_tokenizer_exists(const char *dir, bool *out);
void gr_tokenizer_destroy(gr_tokenizer **tokenizer);
/// Writes DIR/tokenizer.json, which the tokenizers library opens, and DIR/tokenizer_config.json: the one it came with
/// (and chat_template.jinja), or a new one. `chat_template` (Jinja, see gr_chat_jinja; NULL: none) goes in where it came
/// without any, or with what `tokenizer train` writes (the template "chat").
GR_MUST_CHECK gr_err gr_tokenizer_save(const gr_tokenizer *tokenizer, const char *dir,
                                       const char *chat_template);
/// Copies the files of a tokenizer, and what stands beside it, as they are.
GR_MUST_CHECK gr_err gr_tokenizer_copy(const char *from, const char *to);
/// Id of the token with this role ("bos_token", "eos_token", "pad_token") by its tokenizer_config.json; without one,
/// <|im_end|> ends and <|endoftext|> pads. -1: none.
int32_t gr_tokenizer_role(const gr_tokenizer *tokenizer, const char *role);

/// Digest of what it does: of the tokenizer.json that would be saved.
GR_MUST_CHECK gr_err gr_tokenizer_digest(const gr_tokenizer *tokenizer, gr_digest *out);

/// Digest of what it does to ordinary text: as it came, without gr_tokenizer_add_special. By it data sets find their counts.
GR_MUST_CHECK gr_err gr_tokenizer_text_digest(const gr_tokenizer *tokenizer, gr_digest *out);

/// Ids 0 .. size-1, added tokens included.
int64_t gr_tokenizer_size(const gr_tokenizer *tokenizer);
/// Id of a whole token (an added token's text, or a symbol string), -1 if there is none.
int32_t gr_tokenizer_id(const gr_tokenizer *tokenizer, const char *token);

/// Gives a text that is no token the id behind the last, as a special token; its digest becomes another's. Not while others
/// encode.
GR_MUST_CHECK gr_err gr_tokenizer_add_special(gr_tokenizer *tokenizer, const char *text);

/// Whether the id is a token's: there may be holes below the size.
bool gr_tokenizer_has(const gr_tokenizer *tokenizer, int64_t id);

/// A growable list of ids.
typedef struct gr_ids {
    int32_t *data;
    int64_t count, capacity;
} gr_ids;
void gr_ids_fini(gr_ids *ids);
GR_MUST_CHECK gr_err gr_ids_add(gr_ids *ids, int32_t id);

/// Appends the ids of `text` (UTF-8, `size` bytes). Invalid UTF-8 is GR_ERR_DATA with the byte's position; a byte for
/// which the vocabulary has no token is, too.
/// `special`: added tokens inside the text become their ids; without it they are ordinary text, as
/// user data must be (a caption that says "<|im_end|>" must not end a turn).
GR_MUST_CHECK gr_err gr_tokenizer_encode(const gr_tokenizer *tokenizer, const char *text,
                                         size_t size, bool special, gr_ids *out);
/// Text of ids in new memory (GR_FREE), with a NUL behind it that `size` (may be NULL) does not count: text may hold NULs
/// itself. Invalid sequences become U+FFFD; special tokens are left out when `skip_special`. Other added tokens
/// (Qwen3's <think>) are text.
GR_MUST_CHECK gr_err gr_tokenizer_decode(const gr_tokenizer *tokenizer, const int32_t *ids,
                                         int64_t count, bool skip_special, char **text,
                                         size_t *size);

/// GR_ERR_DATA, with the text's name, when it is not UTF-8: no tokenizer reads it.
GR_MUST_CHECK gr_err gr_text_check(const char *name, const char *text, size_t size);

/// Learns merges from texts until `vocabulary` ids exist (256 bytes + merges + added tokens). The added tokens are
/// those of section 5.1: <|endoftext|> <|im_start|> <|im_end|> <img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box>
/// </box>. Ties go to the smaller pair of ids, so the result is a function of the texts.
GR_MUST_CHECK gr_err gr_tokenizer_train(const char *const *texts, const size_t *sizes,
                                        int64_t count, int64_t vocabulary, gr_tokenizer **out);

#endif
