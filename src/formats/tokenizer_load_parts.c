#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/// The older form of a tokenizer: vocab.json and merges.txt hold the model, tokenizer_config.json says whose class it is,
/// from which NFC and the expression follow.

/// DIR/NAME as a document; *doc stays NULL if there is no such file and it need not be there.
static gr_err load_doc(const char *dir, const char *name, bool required, gr_doc **doc)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(dir, name, &path));
    if (required || gr_file_exists(path)) {
        GR_TRY(gr_doc_load(path, GR_ERR_DATA, doc));
        GR_TRY(gr_node_expect(gr_doc_root(*doc), GR_DOC_MAP));
    }
done:
    GR_FREE(path);
    return err;
}

/// What transformers' class of that name does to a text before the merges.
static gr_err splitter_of_class(const gr_node *config, gri_splitter **out)
{
    gr_err err = GR_OK;
    gri_splitter *s = NULL;
    const char *class = NULL;
    bool prefix = false;
    GR_TRY(gr_node_get_string(config, "tokenizer_class", &class));
    GR_TRY(gr_node_opt_bool(config, "add_prefix_space", &prefix));
    if (prefix) {
        GR_TRY(gr_node_error(config, "add_prefix_space is true; only false is supported"));
    }
    if (strcmp(class, "Qwen2Tokenizer") == 0 || strcmp(class, "Qwen2TokenizerFast") == 0) {
        GR_TRY(gri_splitter_create_qwen2(&s));
    } else if (strcmp(class, "GPT2Tokenizer") == 0 || strcmp(class, "GPT2TokenizerFast") == 0) {
        GR_TRY(gri_splitter_create(false, &s));
        GR_TRY(gri_splitter_add(s, GRI_STEP_GPT2, NULL));
    } else {
        GR_TRY(gr_node_error(config,
                             "tokenizer_class is \"%s\"; without a tokenizer.json only "
                             "Qwen2Tokenizer and GPT2Tokenizer are supported",
                             class));
    }
    *out = s;
    s = NULL;
done:
    gri_splitter_destroy(&s);
    return err;
}

static gr_err add_line(const char *line, size_t size, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    const char *space = memchr(line, ' ', size);
    size_t left = space ? (size_t)(space - line) : size;
    if (!space || memchr(space + 1, ' ', size - left - 1)) {
        GR_FAIL(GR_ERR_DATA, "\"%.*s\"; expected two tokens and one space", (int)size, line);
    }
    GR_TRY(gri_tokenizer_add_merge_of(t, line, left, space + 1, size - left - 1));
done:
    return err;
}

/// A merge a line; only the first line may be a comment, "#version: ...".
static gr_err load_merges(const char *dir, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0, at = 0;
    GR_TRY(gr_path_join(dir, "merges.txt", &path));
    GR_TRY(gr_file_read(path, 0, &text, &size));
    for (int64_t line = 1; at < size; line++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end ? (size_t)(end - text) - at : size - at;
        bool comment = line == 1 && n >= 8 && memcmp(text, "#version", 8) == 0;
        if (n > 0 && !comment) {
            GR_TRY_CONTEXT(add_line(text + at, n, t), "%s:%lld", path, (long long)line);
        }
        at += n + 1;
    }
done:
    GR_FREE(text);
    GR_FREE(path);
    return err;
}

/// {id: {content, flags}} of tokenizer_config.json.
static gr_err load_decoder_table(const gr_node *table, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    GR_TRY(gr_node_expect(table, GR_DOC_MAP));
    for (int64_t i = 0; i < table->u.list.count; i++) {
        const gr_node *entry = &table->u.list.items[i];
        const char *content = NULL;
        char *end = NULL;
        long long id = strtoll(entry->key, &end, 10);
        if (end == entry->key || *end) {
            GR_TRY(gr_node_error(entry, "the key is not an id"));
        }
        GR_TRY(gr_node_expect(entry, GR_DOC_MAP));
        GR_TRY(gr_node_get_string(entry, "content", &content));
        GR_TRY(gri_tokenizer_load_added(entry, id, content, t));
    }
done:
    return err;
}

/// {content: id} of added_tokens.json, which has no flags; tokens that are known already must have the same id.
static gr_err load_added_tokens(const gr_node *map, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < map->u.list.count; i++) {
        const gr_node *entry = &map->u.list.items[i];
        GR_TRY(gr_node_expect(entry, GR_DOC_INT));
        GR_TRY(gri_tokenizer_load_added(entry, entry->u.integer, entry->key, t));
    }
done:
    return err;
}

/// Every string anywhere below `node` that is an added token is a special one.
static void mark_special(const gr_node *node, gr_tokenizer *t)
{
    if (node->type == GR_DOC_STRING) {
        int32_t id = gr_tokenizer_id(t, node->u.string.data);
        if (id >= 0 && t->tokens[id].added) {
            t->tokens[id].special = true;
        }
    } else if (node->type == GR_DOC_LIST || node->type == GR_DOC_MAP) {
        for (int64_t i = 0; i < node->u.list.count; i++) {
            mark_special(&node->u.list.items[i], t);
        }
    }
}

/// What special_tokens_map.json holds, and what tokenizer_config.json gives a role, is special to transformers.
static void mark_roles(const gr_node *config, const gr_node *map, gr_tokenizer *t)
{
    static const char *const roles[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                        "additional_special_tokens"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        const gr_node *node = gr_node_find(config, roles[i]);
        if (node) {
            mark_special(node, t);
        }
    }
    if (map) {
        mark_special(map, t);
    }
}

gr_err gri_tokenizer_load_parts(const char *dir, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    gr_tokenizer *t = NULL;
    gri_splitter *splitter = NULL;
    gr_doc *config = NULL, *vocab = NULL, *added = NULL, *special = NULL;
    GR_TRY(gri_tokenizer_read_config(dir, &config));
    GR_TRY(load_doc(dir, "vocab.json", true, &vocab));
    GR_TRY(load_doc(dir, "added_tokens.json", false, &added));
    GR_TRY(load_doc(dir, "special_tokens_map.json", false, &special));
    GR_TRY(splitter_of_class(gr_doc_root(config), &splitter));
    GR_TRY(gri_tokenizer_create(&splitter, &t));
    GR_TRY(gri_tokenizer_load_vocabulary(gr_doc_root(vocab), t));
    GR_TRY(load_merges(dir, t));
    const gr_node *table = gr_node_find(gr_doc_root(config), "added_tokens_decoder");
    if (table) {
        GR_TRY(load_decoder_table(table, t));
    }
    if (added) {
        GR_TRY(load_added_tokens(gr_doc_root(added), t));
    }
    mark_roles(gr_doc_root(config), special ? gr_doc_root(special) : NULL, t);
    GR_TRY_CONTEXT(gri_tokenizer_seal(t), "%s", dir);
    *out = t;
    t = NULL;
done:
    gr_doc_destroy(&config);
    gr_doc_destroy(&vocab);
    gr_doc_destroy(&added);
    gr_doc_destroy(&special);
    gri_splitter_destroy(&splitter);
    gr_tokenizer_destroy(&t);
    return err;
}
