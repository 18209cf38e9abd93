#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"

#include <string.h>

enum { MAX_ID = (1 << 24) - 1, FEW = 4096 };

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

static gr_err add_split(const gr_node *split, gri_splitter *s)
{
    static const char *const keys[] = {"type", "pattern", "behavior", "invert", NULL};
    gr_err err = GR_OK;
    const gr_node *map = NULL;
    const char *behavior = NULL, *pattern = NULL;
    GR_TRY(gr_node_check_keys(split, keys));
    GR_TRY(gr_node_get_map(split, "pattern", &map));
    GR_TRY(gr_node_get_string(map, "Regex", &pattern));
    GR_TRY(gr_node_get_string(split, "behavior", &behavior));
    if (strcmp(behavior, "Isolated") != 0) {
        GR_TRY(gr_node_error(split, "behavior is \"%s\"; only \"Isolated\" is supported",
                             behavior));
    }
    GR_TRY(check_flag(split, "invert", false));
    GR_TRY_CONTEXT(gri_splitter_add(s, GRI_STEP_EXPRESSION, pattern), "%s",
                   gr_doc_name(split->doc));
done:
    return err;
}

static gr_err add_digits(const gr_node *digits, gri_splitter *s)
{
    static const char *const keys[] = {"type", "individual_digits", NULL};
    gr_err err = GR_OK;
    bool each = false; // the library's default
    GR_TRY(gr_node_check_keys(digits, keys));
    GR_TRY(gr_node_opt_bool(digits, "individual_digits", &each));
    GR_TRY_CONTEXT(gri_splitter_add(s, each ? GRI_STEP_EACH_DIGIT : GRI_STEP_DIGITS, NULL),
                   "%s", gr_doc_name(digits->doc));
done:
    return err;
}

/// ByteLevel maps bytes to symbols, and cuts by GPT-2's expression before unless use_regex is false.
static gr_err add_byte_level(const gr_node *bytes, gri_splitter *s)
{
    static const char *const keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                       NULL};
    gr_err err = GR_OK;
    bool prefix = true, regex = true; // the library's defaults
    GR_TRY(check_type(bytes, "ByteLevel"));
    GR_TRY(gr_node_check_keys(bytes, keys));
    GR_TRY(gr_node_opt_bool(bytes, "add_prefix_space", &prefix));
    GR_TRY(gr_node_opt_bool(bytes, "use_regex", &regex));
    if (prefix) {
        GR_TRY(gr_node_error(bytes, "add_prefix_space is true; only false is supported"));
    }
    if (regex) {
        GR_TRY_CONTEXT(gri_splitter_add(s, GRI_STEP_GPT2, NULL), "%s", gr_doc_name(bytes->doc));
    }
done:
    return err;
}

/// ByteLevel, or a Sequence of Split and Digits that ends in ByteLevel.
static gr_err load_pre_tokenizer(const gr_node *root, gri_splitter *s)
{
    static const char *const keys[] = {"type", "pretokenizers", NULL};
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(root, "pre_tokenizer"), *parts = NULL;
    const char *type = NULL;
    if (!node) {
        GR_TRY(gr_node_error(root, "no pre_tokenizer; only ByteLevel, or a Sequence that ends "
                                   "in it, is supported"));
    }
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_get_string(node, "type", &type));
    if (strcmp(type, "ByteLevel") == 0) {
        GR_TRY(add_byte_level(node, s));
        goto done;
    }
    GR_TRY(check_type(node, "Sequence"));
    GR_TRY(gr_node_check_keys(node, keys));
    GR_TRY(gr_node_get_list(node, "pretokenizers", &parts));
    int64_t last = parts->u.list.count - 1;
    for (int64_t i = 0; i < last; i++) {
        const gr_node *part = &parts->u.list.items[i];
        GR_TRY(gr_node_expect(part, GR_DOC_MAP));
        GR_TRY(gr_node_get_string(part, "type", &type));
        if (strcmp(type, "Split") == 0) {
            GR_TRY(add_split(part, s));
        } else if (strcmp(type, "Digits") == 0) {
            GR_TRY(add_digits(part, s));
        } else {
            GR_TRY(gr_node_error(
                part, "type is \"%s\"; only \"Split\" and \"Digits\" are supported here",
                type));
        }
    }
    if (last < 0) {
        GR_TRY(gr_node_error(parts, "is empty; the last member must be ByteLevel"));
    }
    GR_TRY(add_byte_level(&parts->u.list.items[last], s));
done:
    return err;
}

static gr_err load_normalizer(const gr_node *root, bool *nfc)
{
    gr_err err = GR_OK;
    const gr_node *node = gr_node_find(root, "normalizer");
    *nfc = node != NULL;
    if (node) {
        GR_TRY(check_type(node, "NFC"));
    }
done:
    return err;
}

static gr_err check_model(const gr_node *model)
{
    static const char *const keys[] = {"type",
                                       "dropout",
                                       "unk_token",
                                       "continuing_subword_prefix",
                                       "end_of_word_suffix",
                                       "fuse_unk",
                                       "byte_fallback",
                                       "ignore_merges",
                                       "vocab",
                                       "merges",
                                       NULL};
    gr_err err = GR_OK;
    GR_TRY(gr_node_check_keys(model, keys));
    const gr_node *dropout = gr_node_find(model, "dropout");
    if (dropout) {
        GR_TRY(gr_node_error(dropout, "is set; only null is supported"));
    }
    GR_TRY(check_unset(model, "unk_token"));
    GR_TRY(check_unset(model, "continuing_subword_prefix"));
    GR_TRY(check_unset(model, "end_of_word_suffix"));
    GR_TRY(check_flag(model, "byte_fallback", false));
done:
    return err;
}

gr_err gri_tokenizer_load_vocabulary(const gr_node *vocab, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    // Memory is taken for every id up to the largest: some may be missing, not nearly all.
    int64_t limit = 2 * vocab->u.list.count + FEW;
    limit = limit < MAX_ID ? limit : MAX_ID;
    for (int64_t i = 0; i < vocab->u.list.count; i++) {
        const gr_node *entry = &vocab->u.list.items[i];
        GR_TRY(gr_node_expect(entry, GR_DOC_INT));
        int64_t id = entry->u.integer;
        if (id < 0 || id > limit) {
            GR_TRY(
                gr_node_error(entry, "id is %lld; expected 0 to %lld for a vocabulary of %lld",
                              (long long)id, (long long)limit, (long long)vocab->u.list.count));
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

static gr_err load_merges(const gr_node *merges, gr_tokenizer *t)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < merges->u.list.count; i++) {
        const char *left = NULL, *right = NULL;
        size_t m = 0, n = 0;
        GR_TRY(read_merge(&merges->u.list.items[i], &left, &m, &right, &n));
        GR_TRY_CONTEXT(gri_tokenizer_add_merge_of(t, left, m, right, n), "%s",
                       gr_doc_name(merges->doc));
    }
done:
    return err;
}

/// NFC must leave the text of an added token that is found after NFC as it is.
static gr_err check_normal(const gr_node *flags, const char *content, const gr_tokenizer *t)
{
    gr_err err = GR_OK;
    gri_pieces pieces = {0};
    size_t size = strlen(content), normal_size = 0;
    const char *normal = NULL;
    GR_TRY(gri_utf8_check(content, size));
    GR_TRY(gri_pieces_normalize(&pieces, t->splitter, content, size, &normal, &normal_size));
    if (normal_size != size || memcmp(normal, content, size) != 0) {
        GR_TRY(gr_node_error(flags, "normalized is true for \"%s\", which is not in NFC",
                             content));
    }
done:
    gri_pieces_fini(&pieces);
    return err;
}

gr_err gri_tokenizer_load_added(const gr_node *flags, int64_t id, const char *content,
                                gr_tokenizer *t)
{
    gr_err err = GR_OK;
    gri_token token = {.text = (char *)content, .added = true};
    int64_t limit = t->count + FEW;
    if (id < 0 || id > limit || id > MAX_ID) {
        GR_TRY(gr_node_error(flags, "added token \"%s\" has id %lld; expected 0 to %lld",
                             content, (long long)id, (long long)limit));
    }
    if (flags->type == GR_DOC_MAP) {
        GR_TRY(gr_node_opt_bool(flags, "special", &token.special));
        GR_TRY(gr_node_opt_bool(flags, "normalized", &token.normalized));
        GR_TRY(check_flag(flags, "single_word", false));
        GR_TRY(check_flag(flags, "lstrip", false));
        GR_TRY(check_flag(flags, "rstrip", false));
    }
    if (token.normalized) {
        GR_TRY(check_normal(flags, content, t));
    }
    GR_TRY_CONTEXT(gri_tokenizer_set(t, (int32_t)id, token), "%s", gr_doc_name(flags->doc));
done:
    return err;
}

static gr_err load_added(const gr_node *root, gr_tokenizer *t)
{
    static const char *const keys[] = {"id",     "content", "single_word", "lstrip",
                                       "rstrip", "special", "normalized",  NULL};
    gr_err err = GR_OK;
    const gr_node *list = gr_node_find(root, "added_tokens");
    if (!list) {
        goto done;
    }
    GR_TRY(gr_node_expect(list, GR_DOC_LIST));
    for (int64_t i = 0; i < list->u.list.count; i++) {
        const gr_node *entry = &list->u.list.items[i];
        int64_t id = 0;
        const char *content = NULL;
        GR_TRY(gr_node_expect(entry, GR_DOC_MAP));
        GR_TRY(gr_node_check_keys(entry, keys));
        GR_TRY(gr_node_get_int(entry, "id", 0, MAX_ID, &id));
        GR_TRY(gr_node_get_string(entry, "content", &content));
        GR_TRY(gri_tokenizer_load_added(entry, id, content, t));
    }
done:
    return err;
}

/// A template may only say "the text": what it puts around each text would be around each piece of a
/// conversation, which chat.h writes itself.
static gr_err check_template(const gr_node *template)
{
    static const char *const keys[] = {"Sequence", NULL};
    gr_err err = GR_OK;
    const gr_node *single = NULL, *sequence = NULL;
    const char *id = NULL;
    GR_TRY(gr_node_get_list(template, "single", &single));
    for (int64_t i = 0; i < single->u.list.count; i++) {
        const gr_node *piece = &single->u.list.items[i];
        GR_TRY(gr_node_expect(piece, GR_DOC_MAP));
        if (gr_node_find(piece, "SpecialToken")) {
            GR_TRY(gr_node_error(piece, "a token is put around every text; only templates that "
                                        "add none are supported"));
        }
    }
    if (single->u.list.count != 1) {
        GR_TRY(gr_node_error(single, "%lld pieces; supported is the text alone, once",
                             (long long)single->u.list.count));
    }
    GR_TRY(gr_node_check_keys(&single->u.list.items[0], keys));
    GR_TRY(gr_node_get_map(&single->u.list.items[0], "Sequence", &sequence));
    GR_TRY(gr_node_get_string(sequence, "id", &id));
    if (strcmp(id, "A") != 0) {
        GR_TRY(gr_node_error(sequence, "id is \"%s\"; supported is \"A\", the text", id));
    }
done:
    return err;
}

static gr_err check_post_processor(const gr_node *node)
{
    gr_err err = GR_OK;
    const char *type = NULL;
    const gr_node *list = NULL;
    GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    GR_TRY(gr_node_get_string(node, "type", &type));
    if (strcmp(type, "Sequence") == 0) {
        GR_TRY(gr_node_get_list(node, "processors", &list));
        for (int64_t i = 0; i < list->u.list.count; i++) {
            GR_TRY(check_post_processor(&list->u.list.items[i]));
        }
    } else if (strcmp(type, "TemplateProcessing") == 0) {
        GR_TRY(check_template(node));
    } else if (strcmp(type, "ByteLevel") != 0) {
        GR_TRY(gr_node_error(
            node, "type is \"%s\"; supported are ByteLevel and TemplateProcessing", type));
    }
done:
    return err;
}

static gr_err check_root(const gr_node *root)
{
    static const char *const keys[] = {
        "version",       "truncation",     "padding", "added_tokens", "normalizer",
        "pre_tokenizer", "post_processor", "decoder", "model",        NULL};
    gr_err err = GR_OK;
    const gr_node *node = NULL;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(gr_node_check_keys(root, keys));
    GR_TRY(check_unset(root, "truncation"));
    GR_TRY(check_unset(root, "padding"));
    GR_TRY(get_typed(root, "decoder", "ByteLevel", &node));
    node = gr_node_find(root, "post_processor");
    if (node) {
        GR_TRY(check_post_processor(node));
    }
done:
    return err;
}

static gr_err load_root(const gr_node *root, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    gr_tokenizer *t = NULL;
    gri_splitter *splitter = NULL;
    const gr_node *model = NULL, *vocab = NULL, *merges = NULL;
    bool nfc = false;
    GR_TRY(check_root(root));
    GR_TRY(get_typed(root, "model", "BPE", &model));
    GR_TRY(check_model(model));
    GR_TRY(load_normalizer(root, &nfc));
    GR_TRY(gri_splitter_create(nfc, &splitter));
    GR_TRY(load_pre_tokenizer(root, splitter));
    GR_TRY(gri_tokenizer_create(&splitter, &t));
    GR_TRY(gr_node_opt_bool(model, "ignore_merges", &t->ignore_merges));
    GR_TRY(gr_node_get_map(model, "vocab", &vocab));
    GR_TRY(gri_tokenizer_load_vocabulary(vocab, t));
    GR_TRY(gr_node_get_list(model, "merges", &merges));
    GR_TRY(load_merges(merges, t));
    GR_TRY(load_added(root, t));
    GR_TRY_CONTEXT(gri_tokenizer_seal(t), "%s", gr_doc_name(root->doc));
    *out = t;
    t = NULL;
done:
    gri_splitter_destroy(&splitter);
    gr_tokenizer_destroy(&t);
    return err;
}

gr_err gri_tokenizer_parse(const char *name, const char *text, size_t size, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    GR_TRY(gr_doc_parse_json(name, text, size, GR_ERR_DATA, &doc));
    GR_TRY(load_root(gr_doc_root(doc), out));
done:
    gr_doc_destroy(&doc);
    return err;
}

static gr_err find_files(const char *dir, bool *json, bool *parts)
{
    gr_err err = GR_OK;
    char *path = NULL;
    GR_TRY(gr_path_join(dir, "tokenizer.json", &path));
    *json = gr_file_exists(path);
    GR_FREE(path);
    GR_TRY(gr_path_join(dir, "vocab.json", &path));
    *parts = gr_file_exists(path);
done:
    GR_FREE(path);
    return err;
}

gr_err gr_tokenizer_exists(const char *dir, bool *out)
{
    gr_err err = GR_OK;
    bool json = false, parts = false;
    GR_TRY(find_files(dir, &json, &parts));
    *out = json || parts;
done:
    return err;
}

static gr_err load_json(const char *dir, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    GR_TRY(gr_path_join(dir, "tokenizer.json", &path));
    GR_TRY(gr_file_read(path, 0, &text, &size));
    GR_TRY(gri_tokenizer_parse(path, text, size, out));
done:
    GR_FREE(text);
    GR_FREE(path);
    return err;
}

gr_err gr_tokenizer_load(const char *dir, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    gr_tokenizer *t = NULL;
    bool json = false, parts = false;
    GR_TRY(find_files(dir, &json, &parts));
    if (parts && !json) {
        GR_TRY(gri_tokenizer_load_parts(dir, &t));
    } else {
        GR_TRY(load_json(dir, &t));
    }
    GR_TRY(gri_tokenizer_keep_config(dir, t));
    *out = t;
    t = NULL;
done:
    gr_tokenizer_destroy(&t);
    return err;
}
