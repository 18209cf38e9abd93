#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"

#include <string.h>

enum { MAX_ID = (1 << 24) - 1 };

/// The map's `type` must be this one.
static gr_err check_type(const gr_node *map, const char *want)
{
    gr_err err = GR_OK;
    const char *type = NULL;
    GR_TRY(gr_node_expect(map, GR_DOC_MAP));
    GR_TRY(gr_node_get_string(map, "type", &type));
    if (strcmp(type, want) != 0) {
        GR_TRY(gr_node_error(map, "type is \"%s\"; only \"%s\" is supported", type, want));
    }
done:
    return err;
}

/// root[key] must be there and have this type.
static gr_err get_typed(const gr_node *root, const char *key, const char *want,
                        const gr_node **out)
{
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(root, key);
    if (!node) {
        GR_TRY(gr_node_error(root, "no %s; only \"%s\" is supported", key, want));
    }
    GR_TRY(check_type(node, want));
    *out = node;
done:
    return err;
}

/// A flag must be as here, or absent.
static gr_err check_flag(const gr_node *map, const char *key, bool want)
{
    gr_err err = GR_OK;
    bool value = want;
    GR_TRY(gr_node_opt_bool(map, key, &value));
    if (value != want) {
        GR_TRY(gr_node_error(map, "%s is %s; only %s is supported", key,
                             value ? "true" : "false", want ? "true" : "false"));
    }
done:
    return err;
}

/// A setting must be absent, null or "".
static gr_err check_unset(const gr_node *map, const char *key)
{
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(map, key);
    if (node && (node->type != GR_DOC_STRING || node->u.string.size > 0)) {
        GR_TRY(gr_node_error(node, "is set; only null is supported"));
    }
done:
    return err;
}

static gr_err check_split(const gr_node *split, const char **pattern)
{
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    const char *behavior = NULL;
    GR_TRY(check_type(split, "Split"));
    GR_TRY(gr_node_get_map(split, "pattern", &map));
    GR_TRY(gr_node_get_string(map, "Regex", pattern));
    GR_TRY(gr_node_get_string(split, "behavior", &behavior));
    if (strcmp(behavior, "Isolated") != 0) {
        GR_TRY(gr_node_error(split, "behavior is \"%s\"; only \"Isolated\" is supported",
                             behavior));
    }
    GR_TRY(check_flag(split, "invert", false));
done:
    return err;
}

/// A Sequence of Split by an expression and ByteLevel, which only maps bytes to symbols.
static gr_err check_pre_tokenizer(const gr_node *root, const char **pattern)
{
    gr_err err = GR_OK;
    const gr_node *sequence = NULL, *parts = NULL;
    GR_TRY(get_typed(root, "pre_tokenizer", "Sequence", &sequence));
    GR_TRY(gr_node_get_list(sequence, "pretokenizers", &parts));
    if (parts->u.list.count != 2) {
        GR_TRY(gr_node_error(parts, "has %lld members; expected Split and ByteLevel",
                             (long long)parts->u.list.count));
    }
    GR_TRY(check_split(&parts->u.list.items[0], pattern));
    const gr_node *bytes = &parts->u.list.items[1];
    GR_TRY(check_type(bytes, "ByteLevel"));
    bool prefix = true, regex = true; // the library's defaults
    GR_TRY(gr_node_opt_bool(bytes, "add_prefix_space", &prefix));
    GR_TRY(gr_node_opt_bool(bytes, "use_regex", &regex));
    if (prefix || regex) {
        GR_TRY(gr_node_error(bytes, "%s is true; only false is supported",
                             prefix ? "add_prefix_space" : "use_regex"));
    }
done:
    return err;
}

static gr_err check_model(const gr_node *model)
{
    gr_err err = GR_OK;
    const gr_node *dropout = gr_node_find(model, "dropout");
    if (dropout) {
        GR_TRY(gr_node_error(dropout, "is set; only null is supported"));
    }
    GR_TRY(check_unset(model, "unk_token"));
    GR_TRY(check_unset(model, "continuing_subword_prefix"));
    GR_TRY(check_unset(model, "end_of_word_suffix"));
    GR_TRY(check_flag(model, "byte_fallback", false));
    GR_TRY(check_flag(model, "ignore_merges", false));
done:
    return err;
}

static gr_err load_vocabulary(const gr_node *vocab, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < vocab->u.list.count; i++) {
        const gr_node *entry = &vocab->u.list.items[i];
        GR_TRY(gr_node_expect(entry, GR_DOC_INT));
        int64_t id = entry->u.integer;
        if (id < 0 || id > MAX_ID) {
            GR_TRY(gr_node_error(entry, "id is %lld; expected 0 to %d", (long long)id,
                                 (int)MAX_ID));
        }
        gri_token token = {.text = (char *)entry->key, .vocabulary = true};
        GR_TRY_CONTEXT(gri_tokenizer_set(t, (int32_t)id, token), "%s", gr_doc_name(vocab->doc));
    }
done:
    return err;
}

/// The two halves of "a b" or ["a", "b"].
static gr_err read_merge(const gr_node *entry, const char **left, size_t *left_size,
                         const char **right, size_t *right_size)
{
    gr_err err = GR_OK;
    if (entry->type == GR_DOC_STRING) {
        const char *space = strchr(entry->u.string.data, ' ');
        if (!space || strchr(space + 1, ' ')) {
            GR_TRY(gr_node_error(entry, "merge \"%s\"; expected two tokens and one space",
                                 entry->u.string.data));
        }
        *left = entry->u.string.data;
        *left_size = (size_t)(space - *left);
        *right = space + 1;
        *right_size = strlen(*right);
        goto done;
    }
    GR_TRY(gr_node_expect(entry, GR_DOC_LIST));
    if (entry->u.list.count != 2) {
        GR_TRY(gr_node_error(entry, "merge of %lld tokens; expected two",
                             (long long)entry->u.list.count));
    }
    GR_TRY(gr_node_expect(&entry->u.list.items[0], GR_DOC_STRING));
    GR_TRY(gr_node_expect(&entry->u.list.items[1], GR_DOC_STRING));
    *left = entry->u.list.items[0].u.string.data;
    *left_size = entry->u.list.items[0].u.string.size;
    *right = entry->u.list.items[1].u.string.data;
    *right_size = entry->u.list.items[1].u.string.size;
done:
    return err;
}

static gr_err load_merge(const gr_node *entry, gr_str *both, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    const char *left = NULL, *right = NULL;
    size_t m = 0, n = 0;
    GR_TRY(read_merge(entry, &left, &m, &right, &n));
    gr_str_clear(both);
    GR_TRY(gr_str_add_bytes(both, left, m));
    GR_TRY(gr_str_add_bytes(both, right, n));
    gri_merge merge = {.left = gri_text_table_find(&t->ids, left, m),
                       .right = gri_text_table_find(&t->ids, right, n),
                       .merged = gri_text_table_find(&t->ids, both->data, both->size)};
    if (merge.left < 0 || merge.right < 0 || merge.merged < 0) {
        GR_TRY(gr_node_error(entry,
                             "merge of \"%.*s\" and \"%.*s\": %s is not in the vocabulary",
                             (int)m, left, (int)n, right,
                             merge.left < 0    ? "the first"
                             : merge.right < 0 ? "the second"
                                               : "the result"));
    }
    GR_TRY(gri_tokenizer_add_merge(t, merge));
done:
    return err;
}

static gr_err load_merges(const gr_node *merges, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    gr_str both = {0};
    for (int64_t i = 0; i < merges->u.list.count; i++) {
        GR_TRY(load_merge(&merges->u.list.items[i], &both, t));
    }
done:
    gr_str_fini(&both);
    return err;
}

static gr_err load_added(const gr_node *entry, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    int64_t id = 0;
    const char *content = NULL;
    bool special = false;
    GR_TRY(gr_node_expect(entry, GR_DOC_MAP));
    GR_TRY(gr_node_get_int(entry, "id", 0, MAX_ID, &id));
    GR_TRY(gr_node_get_string(entry, "content", &content));
    GR_TRY(gr_node_opt_bool(entry, "special", &special));
    GR_TRY(check_flag(entry, "single_word", false));
    GR_TRY(check_flag(entry, "lstrip", false));
    GR_TRY(check_flag(entry, "rstrip", false));
    GR_TRY(check_flag(entry, "normalized", false));
    gri_token token = {.text = (char *)content, .added = true, .special = special};
    GR_TRY_CONTEXT(gri_tokenizer_set(t, (int32_t)id, token), "%s", gr_doc_name(entry->doc));
done:
    return err;
}

static gr_err load_root(const gr_node *root, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    gr_tokenizer *t = NULL;
    const gr_node *node = NULL, *model = NULL, *vocab = NULL, *merges = NULL;
    const char *pattern = NULL;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(get_typed(root, "model", "BPE", &model));
    GR_TRY(check_model(model));
    GR_TRY(get_typed(root, "normalizer", "NFC", &node));
    GR_TRY(check_pre_tokenizer(root, &pattern));
    GR_TRY(get_typed(root, "decoder", "ByteLevel", &node));
    if (gr_node_find(root, "post_processor")) {
        GR_TRY(get_typed(root, "post_processor", "ByteLevel", &node));
    }
    GR_TRY_CONTEXT(gri_tokenizer_create(pattern, &t), "%s", gr_doc_name(root->doc));
    GR_TRY(gr_node_get_map(model, "vocab", &vocab));
    GR_TRY(load_vocabulary(vocab, t));
    GR_TRY(gr_node_get_list(model, "merges", &merges));
    GR_TRY(load_merges(merges, t));
    node = gr_node_find(root, "added_tokens");
    if (node) {
        GR_TRY(gr_node_expect(node, GR_DOC_LIST));
        for (int64_t i = 0; i < node->u.list.count; i++) {
            GR_TRY(load_added(&node->u.list.items[i], t));
        }
    }
    GR_TRY_CONTEXT(gri_tokenizer_seal(t), "%s", gr_doc_name(root->doc));
    *out = t;
    t = NULL;
done:
    gr_tokenizer_destroy(&t);
    return err;
}

gr_err gr_tokenizer_load(const char *dir, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_doc *doc = NULL;
    GR_TRY(gr_path_join(dir, "tokenizer.json", &path));
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, &doc));
    GR_TRY(load_root(gr_doc_root(doc), out));
done:
    gr_doc_destroy(&doc);
    GR_FREE(path);
    return err;
}
