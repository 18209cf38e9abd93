#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/tokenizer_parts.h"
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *fixture_dir(void)
{
    return gr_str_format("%s/tests/fixtures/tokenizer", getenv("GR_SOURCE_DIR"));
}

/// The file that the tokenizers library wrote (merges as lists).
static gr_tokenizer *load_fixture(void)
{
    gr_tokenizer *t = NULL;
    char *dir = fixture_dir();
    GR_CHECK_OK(gr_tokenizer_load(dir, &t));
    GR_FREE(dir);
    return t;
}

static void check_ids(const gr_ids *got, const gr_node *want, const char *text)
{
    GR_CHECK_INT(got->count, want->u.list.count);
    for (int64_t i = 0; i < got->count && i < want->u.list.count; i++) {
        if (!GR_CHECK_INT(got->data[i], want->u.list.items[i].u.integer)) {
            printf("    id %lld of %s\n", (long long)i, text);
        }
    }
}

/// One text: ids as the tokenizers library has them, and the text that it decodes them to.
static void check_expectation(const gr_tokenizer *t, const gr_node *entry)
{
    const gr_node *text = gr_node_find(entry, "text");
    const gr_node *decoded = gr_node_find(entry, "decoded");
    const gr_node *ids = gr_node_find(entry, "ids");
    const gr_node *special = gr_node_find(entry, "special");
    gr_ids got = {0};
    char *back = NULL;
    GR_CHECK_OK(gr_tokenizer_encode(t, text->u.string.data, text->u.string.size,
                                    special->u.boolean, &got));
    check_ids(&got, ids, text->u.string.data);
    GR_CHECK_OK(gr_tokenizer_decode(t, got.data, got.count, false, &back));
    GR_CHECK_BYTES(back, decoded->u.string.data, decoded->u.string.size + 1);
    GR_FREE(back);
    gr_ids_fini(&got);
}

static void check_all_expectations(const gr_tokenizer *t)
{
    gr_doc *doc = NULL;
    char *dir = fixture_dir(), *path = NULL;
    GR_CHECK_OK(gr_path_join(dir, "expected.json", &path));
    if (GR_CHECK_OK(gr_doc_load(path, GR_ERR_DATA, &doc))) {
        const gr_node *list = gr_doc_root(doc);
        GR_CHECK(list->u.list.count >= 50);
        for (int64_t i = 0; i < list->u.list.count; i++) {
            check_expectation(t, &list->u.list.items[i]);
        }
    }
    gr_doc_destroy(&doc);
    GR_FREE(path);
    GR_FREE(dir);
}

static void test_fixture(void)
{
    gr_tokenizer *t = load_fixture();
    GR_CHECK_INT(gr_tokenizer_size(t), 912);
    GR_CHECK_INT(gr_tokenizer_id(t, "<|im_end|>"), 902);
    check_all_expectations(t);
    gr_tokenizer_destroy(&t);
}

/// What we save (merges as strings) loads to the same.
static void test_save(void)
{
    gr_tokenizer *t = load_fixture(), *again = NULL;
    GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir()));
    if (GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &again))) {
        GR_CHECK_INT(again->count, t->count);
        GR_CHECK_INT(again->merge_count, t->merge_count);
        GR_CHECK_BYTES(again->merges, t->merges, (size_t)t->merge_count * sizeof *t->merges);
        check_all_expectations(again);
    }
    gr_doc *doc = NULL;
    char *path = NULL;
    const char *text = NULL;
    GR_CHECK_OK(gr_path_join(gr_test_dir(), "tokenizer_config.json", &path));
    GR_CHECK_OK(gr_doc_load(path, GR_ERR_DATA, &doc));
    GR_CHECK_OK(gr_node_get_string(gr_doc_root(doc), "tokenizer_class", &text));
    GR_CHECK_STR(text, "Qwen2Tokenizer");
    GR_CHECK_OK(gr_node_get_string(gr_doc_root(doc), "eos_token", &text));
    GR_CHECK_STR(text, "<|im_end|>");
    GR_CHECK_OK(gr_node_get_string(gr_doc_root(doc), "pad_token", &text));
    GR_CHECK_STR(text, "<|endoftext|>");
    GR_CHECK_OK(gr_node_get_string(gr_doc_root(doc), "chat_template", &text));
    GR_CHECK(strstr(text, "'<|im_start|>' + message['role'] + '\\n'") != NULL);
    gr_doc_destroy(&doc);
    GR_FREE(path);
    gr_tokenizer_destroy(&t);
    gr_tokenizer_destroy(&again);
}

/// The fixture with the first `old` replaced by `new`.
static void write_changed(const char *old, const char *new)
{
    char *dir = fixture_dir(), *path = NULL, *data = NULL;
    size_t size = 0;
    gr_str changed = {0};
    GR_CHECK_OK(gr_path_join(dir, "tokenizer.json", &path));
    GR_CHECK_OK(gr_file_read(path, 0, &data, &size));
    char *hit = strstr(data, old);
    if (GR_CHECK(hit != NULL)) {
        GR_CHECK_OK(gr_str_add_bytes(&changed, data, (size_t)(hit - data)));
        GR_CHECK_OK(gr_str_add(&changed, new));
        GR_CHECK_OK(gr_str_add(&changed, hit + strlen(old)));
    }
    GR_FREE(path);
    GR_CHECK_OK(gr_path_join(gr_test_dir(), "tokenizer.json", &path));
    GR_CHECK_OK(gr_file_write(path, changed.data, changed.size));
    gr_str_fini(&changed);
    GR_FREE(data);
    GR_FREE(path);
    GR_FREE(dir);
}

static void test_refused(void)
{
    static const struct {
        const char *old, *new, *message;
    } cases[] = {
        {"\"type\":\"BPE\"", "\"type\":\"WordPiece\"",
         "type is \"WordPiece\"; only \"BPE\" is supported"},
        {"\"type\":\"NFC\"", "\"type\":\"NFKC\"",
         "type is \"NFKC\"; only \"NFC\" is supported"},
        {"\"normalizer\":{\"type\":\"NFC\"}", "\"normalizer\":null", "no normalizer"},
        {"\"type\":\"Sequence\"", "\"type\":\"Whitespace\"",
         "type is \"Whitespace\"; only \"Sequence\""},
        {"\"type\":\"Split\"", "\"type\":\"Digits\"", "type is \"Digits\"; only \"Split\""},
        {"\"behavior\":\"Isolated\"", "\"behavior\":\"Removed\"", "behavior is \"Removed\""},
        {"\"invert\":false", "\"invert\":true", "invert is true"},
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true", "add_prefix_space is true"},
        {"\"use_regex\":false", "\"use_regex\":true", "use_regex is true"},
        {"\"ignore_merges\":false", "\"ignore_merges\":true", "ignore_merges is true"},
        {"\"byte_fallback\":false", "\"byte_fallback\":true", "byte_fallback is true"},
        {"\"dropout\":null", "\"dropout\":0.1", "dropout"},
        {"\"unk_token\":null", "\"unk_token\":\"?\"", "unk_token"},
        {"\"lstrip\":false", "\"lstrip\":true", "lstrip is true"},
        {"\"normalized\":false", "\"normalized\":true", "normalized is true"},
        {"\"content\":\"<img>\"", "\"content\":\"!\"",
         "token \"!\" wants id 903, but the same text has another id"},
        {"\"id\":903", "\"id\":902", "token \"<img>\" wants id 902, but another token has it"},
        {"\"!\":0", "\"!!!!\":0", "no token \"!\" for byte 33"},
        {"\"merges\":[[", "\"merges\":[[\"!\",\"\xc4\xa3\"],[",
         "merge of \"!\" and \"\xc4\xa3\": the result is not"},
        {"\"merges\":[[", "\"merges\":[[\"!\"],[", "merge of 1 tokens; expected two"},
        {"\"merges\":[[", "\"merges\":[\"a b c\",[",
         "merge \"a b c\"; expected two tokens and one space"},
        {"\"merges\":[[", "\"merges\":[\"a ?!\",[", "the second is not in the vocabulary"},
        {"\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"Fuse\"",
         "type is \"Fuse\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_tokenizer *t = NULL;
        write_changed(cases[i].old, cases[i].new);
        GR_CHECK_ERR(gr_tokenizer_load(gr_test_dir(), &t), GR_ERR_DATA, cases[i].message);
        GR_CHECK_ERR(gr_tokenizer_load(gr_test_dir(), &t), GR_ERR_DATA, "tokenizer.json");
        GR_CHECK(t == NULL);
    }
    gr_tokenizer *t = NULL;
    GR_CHECK_ERR(gr_tokenizer_load("/nowhere", &t), GR_ERR_MISSING, "/nowhere/tokenizer.json");
}

/// Every 37th request of a load fails once.
static void test_load_allocation_failures(void)
{
    char *dir = fixture_dir();
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 100000; n += 37) {
        gr_tokenizer *t = NULL;
        gr_mem_fail_at(n);
        err = gr_tokenizer_load(dir, &t);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_tokenizer_destroy(&t);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures > 20);
    GR_FREE(dir);
}

static void test_save_allocation_failures(void)
{
    gr_tokenizer *t = NULL;
    GR_CHECK_OK(gr_tokenizer_train(NULL, NULL, 0, 268, &t));
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 100; n++) {
        gr_mem_fail_at(n);
        err = gr_tokenizer_save(t, gr_test_dir());
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures >= 4);
    GR_CHECK_ERR(gr_tokenizer_save(t, "/nowhere"), GR_ERR_IO, "/nowhere/tokenizer.json");
    gr_tokenizer_destroy(&t);
}

static const gr_test tests[] = {
    {"fixture", test_fixture},
    {"save", test_save},
    {"refused", test_refused},
    {"load_allocation_failures", test_load_allocation_failures},
    {"save_allocation_failures", test_save_allocation_failures},
};
GR_TEST_MAIN("tokenizer_files", tests)
