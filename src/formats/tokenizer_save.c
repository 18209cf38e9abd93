#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/formats/tokenizer_parts.h"

#include <string.h>

static void write_type(gr_json *j, const char *key, const char *type)
{
    gr_json_map_begin(j, key);
    gr_json_string(j, "type", type);
}

static void write_byte_level(gr_json *j, const char *key, bool regex)
{
    write_type(j, key, "ByteLevel");
    gr_json_bool(j, "add_prefix_space", false);
    gr_json_bool(j, "trim_offsets", false);
    gr_json_bool(j, "use_regex", regex);
    gr_json_map_end(j);
}

static void write_added_tokens(gr_json *j, const gr_tokenizer *t)
{
    gr_json_list_begin(j, "added_tokens");
    for (int64_t id = 0; id < t->count; id++) {
        if (t->tokens[id].added) {
            gr_json_map_begin(j, NULL);
            gr_json_int(j, "id", id);
            gri_tokenizer_write_flags(j, &t->tokens[id]);
            gr_json_map_end(j);
        }
    }
    gr_json_list_end(j);
}

static void write_split(gr_json *j, const char *pattern)
{
    write_type(j, NULL, "Split");
    gr_json_map_begin(j, "pattern");
    gr_json_string(j, "Regex", pattern);
    gr_json_map_end(j);
    gr_json_string(j, "behavior", "Isolated");
    gr_json_bool(j, "invert", false);
    gr_json_map_end(j);
}

/// GPT-2's expression can only be the last step: it is part of ByteLevel.
static void write_pre_tokenizer(gr_json *j, const gr_tokenizer *t)
{
    bool regex = false;
    write_type(j, "pre_tokenizer", "Sequence");
    gr_json_list_begin(j, "pretokenizers");
    for (int i = 0; i < t->splitter->count; i++) {
        const gri_step *step = &t->splitter->steps[i];
        if (step->kind == GRI_STEP_EXPRESSION) {
            write_split(j, step->pattern);
        } else if (step->kind == GRI_STEP_GPT2) {
            regex = true;
        } else {
            write_type(j, NULL, "Digits");
            gr_json_bool(j, "individual_digits", step->kind == GRI_STEP_EACH_DIGIT);
            gr_json_map_end(j);
        }
    }
    write_byte_level(j, NULL, regex);
    gr_json_list_end(j);
    gr_json_map_end(j);
}

static void write_vocabulary(gr_json *j, const gr_tokenizer *t)
{
    gr_json_map_begin(j, "vocab");
    for (int64_t id = 0; id < t->count; id++) {
        if (t->tokens[id].vocabulary) {
            gr_json_int(j, t->tokens[id].text, id);
        }
    }
    gr_json_map_end(j);
}

static bool has_space(const gr_tokenizer *t)
{
    for (int64_t i = 0; i < t->merge_count; i++) {
        if (strchr(t->tokens[t->merges[i].merged].text, ' ')) {
            return true;
        }
    }
    return false;
}

/// "a b": every version of the tokenizers library reads this form. No byte's symbol is a space; where a file had some
/// all the same, all are written as ["a", "b"].
static gr_err write_merges(gr_json *j, const gr_tokenizer *t)
{
    gr_err err = GR_OK;
    gr_str both = {0};
    bool lists = has_space(t);
    gr_json_list_begin(j, "merges");
    for (int64_t i = 0; i < t->merge_count; i++) {
        const char *left = t->tokens[t->merges[i].left].text;
        const char *right = t->tokens[t->merges[i].right].text;
        if (lists) {
            gr_json_list_begin(j, NULL);
            gr_json_string(j, NULL, left);
            gr_json_string(j, NULL, right);
            gr_json_list_end(j);
            continue;
        }
        gr_str_clear(&both);
        GR_TRY(gr_str_addf(&both, "%s %s", left, right));
        gr_json_string(j, NULL, both.data);
    }
    gr_json_list_end(j);
done:
    gr_str_fini(&both);
    return err;
}

static gr_err write_model(gr_json *j, const gr_tokenizer *t)
{
    gr_err err = GR_OK;
    write_type(j, "model", "BPE");
    gr_json_null(j, "dropout");
    gr_json_null(j, "unk_token");
    gr_json_string(j, "continuing_subword_prefix", "");
    gr_json_string(j, "end_of_word_suffix", "");
    gr_json_bool(j, "fuse_unk", false);
    gr_json_bool(j, "byte_fallback", false);
    gr_json_bool(j, "ignore_merges", t->ignore_merges);
    write_vocabulary(j, t);
    GR_TRY(write_merges(j, t));
    gr_json_map_end(j);
done:
    return err;
}

/// tokenizer.json.
static gr_err render(const gr_tokenizer *t, gr_json *j)
{
    gr_err err = GR_OK;
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "version", "1.0");
    gr_json_null(j, "truncation");
    gr_json_null(j, "padding");
    write_added_tokens(j, t);
    if (t->splitter->nfc) {
        write_type(j, "normalizer", "NFC");
        gr_json_map_end(j);
    } else {
        gr_json_null(j, "normalizer");
    }
    write_pre_tokenizer(j, t);
    write_byte_level(j, "post_processor", false);
    write_byte_level(j, "decoder", false);
    GR_TRY(write_model(j, t));
    gr_json_map_end(j);
    GR_TRY(gr_json_finish(j));
done:
    return err;
}

static gr_err save_tokenizer(const gr_tokenizer *t, const char *dir)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_json j = {.indent = 1};
    GR_TRY(render(t, &j));
    GR_TRY(gr_path_join(dir, "tokenizer.json", &path));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
done:
    GR_FREE(path);
    gr_json_fini(&j);
    return err;
}

gr_err gr_tokenizer_digest(const gr_tokenizer *tokenizer, gr_digest *out)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    GR_TRY(render(tokenizer, &j));
    *out = gr_digest_of(j.text.data, j.text.size);
done:
    gr_json_fini(&j);
    return err;
}

gr_err gr_tokenizer_text_digest(const gr_tokenizer *tokenizer, gr_digest *out)
{
    gr_tokenizer plain = *tokenizer; // a view: everything stays the tokenizer's
    plain.count = plain.came_with > 0 ? plain.came_with : plain.count;
    return gr_tokenizer_digest(&plain, out);
}

gr_err gr_tokenizer_save(const gr_tokenizer *tokenizer, const char *dir,
                         const char *chat_template)
{
    gr_err err = GR_OK;
    GR_TRY(gri_tokenizer_save_config(tokenizer, dir, chat_template));
    GR_TRY(save_tokenizer(tokenizer, dir)); // last: it makes the folder a tokenizer
done:
    return err;
}
