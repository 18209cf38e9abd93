/// tokenizer_config.json and chat_template.jinja: what other programs need beside the tokens. Where a tokenizer came with them
/// they are kept and written back; else they are made.
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/formats/chat.h"
#include "src/formats/tokenizer_parts.h"

#include <stdio.h>
#include <string.h>

#define CONFIG   "tokenizer_config.json"
#define TEMPLATE "chat_template.jinja"

/// transformers writes "no limit" as the integer 1e30, which no 64 bits hold: long integers get a fraction of zero.
static gr_err widen_integers(const char *text, size_t size, gr_str *out)
{
    enum { MOST_DIGITS = 18 };
    gr_err err = GR_OK;
    bool inside = false;
    for (size_t i = 0; i < size;) {
        size_t n = 1;
        bool whole = false;
        if (inside && text[i] == '\\' && i + 1 < size) {
            n = 2;
        } else if (text[i] == '"') {
            inside = !inside;
        } else if (!inside && text[i] >= '0' && text[i] <= '9') {
            while (i + n < size && strchr("0123456789", text[i + n]) && text[i + n]) {
                n++;
            }
            bool fraction = i > 0 && strchr(".eE+", text[i - 1]);
            bool more = i + n < size && text[i + n] && strchr(".eE", text[i + n]);
            whole = n > MOST_DIGITS && !fraction && !more;
        }
        GR_TRY(gr_str_add_bytes(out, text + i, n));
        if (whole) {
            GR_TRY(gr_str_add(out, ".0"));
        }
        i += n;
    }
done:
    return err;
}

gr_err gri_tokenizer_read_config(const char *dir, gr_doc **out)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    gr_str wide = {0};
    GR_TRY(gr_path_join(dir, CONFIG, &path));
    GR_TRY(gr_file_read(path, 0, &text, &size));
    GR_TRY(gr_str_add(&wide, ""));
    GR_TRY(widen_integers(text, size, &wide));
    GR_TRY(gr_doc_parse_json(path, wide.data, wide.size, GR_ERR_DATA, out));
    GR_TRY(gr_node_expect(gr_doc_root(*out), GR_DOC_MAP));
done:
    gr_str_fini(&wide);
    GR_FREE(text);
    GR_FREE(path);
    return err;
}

static gr_err copy_if_there(const char *from, const char *to, const char *name)
{
    gr_err err = GR_OK;
    char *source = NULL, *target = NULL;
    GR_TRY(gr_path_join(from, name, &source));
    GR_TRY(gr_path_join(to, name, &target));
    if (gr_file_exists(source)) {
        GR_TRY(gr_file_copy(source, target));
    }
done:
    GR_FREE(source);
    GR_FREE(target);
    return err;
}

gr_err gr_tokenizer_copy(const char *from, const char *to)
{
    // Last what makes a folder a tokenizer; of the two tokenizer.json is the one that is read.
    static const char *const files[] = {"tokenizer_config.json", "merges.txt",
                                        "added_tokens.json",     "special_tokens_map.json",
                                        "chat_template.jinja",   "generation_config.json",
                                        "tokenizer.json",        "vocab.json"};
    gr_err err = GR_OK;
    bool there = false;
    GR_TRY(gr_tokenizer_exists(from, &there));
    if (!there) {
        GR_FAIL(GR_ERR_MISSING, "%s holds no tokenizer.json or vocab.json", from);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        GR_TRY(copy_if_there(from, to, files[i]));
    }
done:
    return err;
}

gr_err gri_tokenizer_keep_config(const char *dir, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(dir, CONFIG, &path));
    if (gr_file_exists(path)) {
        GR_TRY(gri_tokenizer_read_config(dir, &t->config));
    }
    GR_FREE(path);
    GR_TRY(gr_path_join(dir, TEMPLATE, &path));
    if (gr_file_exists(path)) {
        GR_TRY(gr_file_read(path, 0, &t->chat_template, &t->chat_template_size));
    }
done:
    GR_FREE(path);
    return err;
}

int32_t gr_tokenizer_role(const gr_tokenizer *t, const char *role)
{
    const gr_node *node = t->config ? gr_node_find(gr_doc_root(t->config), role) : NULL;
    if (node && node->type == GR_DOC_MAP) {
        node = gr_node_find(node, "content");
    }
    if (node && node->type == GR_DOC_STRING) {
        return gr_tokenizer_id(t, node->u.string.data);
    }
    if (t->config) {
        return -1;
    }
    bool eos = strcmp(role, "eos_token") == 0, pad = strcmp(role, "pad_token") == 0;
    return eos   ? gr_tokenizer_id(t, "<|im_end|>")
           : pad ? gr_tokenizer_id(t, "<|endoftext|>")
                 : -1;
}

void gri_tokenizer_write_flags(gr_json *j, const gri_token *token)
{
    gr_json_string(j, "content", token->text);
    gr_json_bool(j, "single_word", false);
    gr_json_bool(j, "lstrip", false);
    gr_json_bool(j, "rstrip", false);
    gr_json_bool(j, "normalized", token->normalized);
    gr_json_bool(j, "special", token->special);
}

static void write_decoder_table(gr_json *j, const gr_tokenizer *t)
{
    gr_json_map_begin(j, "added_tokens_decoder");
    for (int64_t id = 0; id < t->count; id++) {
        if (t->tokens[id].added) {
            char key[24];
            snprintf(key, sizeof key, "%lld", (long long)id);
            gr_json_map_begin(j, key);
            gri_tokenizer_write_flags(j, &t->tokens[id]);
            gr_json_map_end(j);
        }
    }
    gr_json_map_end(j);
}

static void write_role(gr_json *j, const gr_tokenizer *t, const char *role)
{
    int32_t id = gr_tokenizer_role(t, role);
    if (id >= 0) {
        gr_json_string(j, role, t->tokens[id].text);
    } else {
        gr_json_null(j, role);
    }
}

/// Of a tokenizer that had none.
static void write_new(gr_json *j, const gr_tokenizer *t)
{
    // transformers builds the steps of a class it knows itself; others it takes from tokenizer.json.
    gr_json_string(j, "tokenizer_class",
                   gri_splitter_is_qwen2(t->splitter) ? "Qwen2Tokenizer"
                                                      : "PreTrainedTokenizerFast");
    gr_json_bool(j, "add_bos_token", false);
    gr_json_bool(j, "add_prefix_space", false);
    write_decoder_table(j, t);
    write_role(j, t, "bos_token");
    write_role(j, t, "eos_token");
    write_role(j, t, "pad_token");
    gr_json_null(j, "unk_token");
    gr_json_bool(j, "clean_up_tokenization_spaces", false);
    gr_json_string(j, "errors", "replace");
    gr_json_int(j, "model_max_length", 32768);
    gr_json_bool(j, "split_special_tokens", false);
}

/// Whether another chat template may take the place of what stands in the file: nothing, or what a new tokenizer gets.
static gr_err may_replace(const gr_tokenizer *t, bool *out)
{
    gr_err err = GR_OK;
    char *first = NULL;
    const gr_chat_options options = {0};
    const gr_node *said =
        t->config ? gr_node_find(gr_doc_root(t->config), "chat_template") : NULL;
    *out = !t->chat_template && (!said || said->type == GR_DOC_NULL);
    if (said && said->type == GR_DOC_STRING && !t->chat_template) {
        GR_TRY(gr_chat_jinja(&options, &first));
        *out = strcmp(said->u.string.data, first) == 0;
    }
done:
    GR_FREE(first);
    return err;
}

static gr_err save_config(const gr_tokenizer *t, const char *dir, const char *chat_template)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_json j = {.indent = 1};
    const gr_node *kept = t->config ? gr_doc_root(t->config) : NULL;
    bool replaces = false;
    GR_TRY(may_replace(t, &replaces));
    replaces = replaces && chat_template;
    gr_json_map_begin(&j, NULL);
    for (int64_t i = 0; kept && i < kept->u.list.count; i++) {
        const gr_node *item = &kept->u.list.items[i];
        if (replaces && strcmp(item->key, "chat_template") == 0) {
            continue;
        }
        if (t->came_with > 0 && strcmp(item->key, "added_tokens_decoder") == 0) {
            write_decoder_table(&j, t); // transformers leaves out what is not in it
        } else if (item->type != GR_DOC_NULL || strcmp(item->key, "chat_template") != 0) {
            gr_node_write(&j, item);
        }
    }
    if (!kept) {
        write_new(&j, t);
    }
    if (replaces) {
        gr_json_string(&j, "chat_template", chat_template);
    }
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_path_join(dir, CONFIG, &path));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
done:
    GR_FREE(path);
    gr_json_fini(&j);
    return err;
}

gr_err gri_tokenizer_save_config(const gr_tokenizer *t, const char *dir,
                                 const char *chat_template)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(save_config(t, dir, chat_template));
    if (t->chat_template) {
        GR_TRY(gr_path_join(dir, TEMPLATE, &path));
        GR_TRY(gr_file_write(path, t->chat_template, t->chat_template_size));
    }
done:
    GR_FREE(path);
    return err;
}
