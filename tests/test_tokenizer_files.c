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
    GR_CHECK_OK(gr_tokenizer_decode(t, got.data, got.count, false, &back, NULL));
    GR_CHECK_BYTES(back, decoded->u.string.data, decoded->u.string.size + 1);
    GR_FREE(back);
    gr_ids_fini(&got);
}

static void check_all_expectations(const gr_tokenizer *t, const char *dir)
{
    gr_doc *doc = NULL;
    char *path = NULL;
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
}

static void test_fixture(void)
{
    gr_tokenizer *t = load_fixture();
    char *dir = fixture_dir();
    GR_CHECK_INT(gr_tokenizer_size(t), 912);
    GR_CHECK_INT(gr_tokenizer_id(t, "<|im_end|>"), 902);
    check_all_expectations(t, dir);
    GR_FREE(dir);
    gr_tokenizer_destroy(&t);
}

/// Digits and GPT-2's expression, no NFC; also after saving, whose class must not be Qwen2's.
static void test_smollm2(void)
{
    gr_tokenizer *t = NULL, *again = NULL;
    char *dir = gr_str_format("%s/tests/fixtures/tokenizer_smollm2", getenv("GR_SOURCE_DIR"));
    char *path = NULL, *config = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_tokenizer_load(dir, &t));
    GR_CHECK_INT(gr_tokenizer_size(t), 612);
    check_all_expectations(t, dir);
    GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir(), NULL));
    GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &again));
    check_all_expectations(again, dir);
    GR_CHECK_OK(gr_path_join(gr_test_dir(), "tokenizer_config.json", &path));
    GR_CHECK_OK(gr_file_read(path, 0, &config, &size));
    GR_CHECK(strstr(config, "\"PreTrainedTokenizerFast\"") != NULL);
    GR_FREE(config);
    GR_FREE(path);
    GR_FREE(dir);
    gr_tokenizer_destroy(&t);
    gr_tokenizer_destroy(&again);
}

/// What we save (merges as strings) loads to the same.
static void test_save(void)
{
    gr_tokenizer *t = load_fixture(), *again = NULL;
    GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir(), NULL));
    if (GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &again))) {
        GR_CHECK_INT(again->count, t->count);
        GR_CHECK_INT(again->merge_count, t->merge_count);
        GR_CHECK_BYTES(again->merges, t->merges, (size_t)t->merge_count * sizeof *t->merges);
        char *dir = fixture_dir();
        check_all_expectations(again, dir);
        GR_FREE(dir);
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
    GR_CHECK(gr_node_find(gr_doc_root(doc), "chat_template") == NULL);
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
        {"\"type\":\"Sequence\"", "\"type\":\"Whitespace\"",
         "type is \"Whitespace\"; only \"Sequence\""},
        {"\"type\":\"Split\"", "\"type\":\"Metaspace\"",
         "type is \"Metaspace\"; only \"Split\" and \"Digits\""},
        {"\"Regex\":", "\"String\":", "missing"},
        {"\"truncation\":null", "\"truncation\":{\"max_length\":8}", "truncation"},
        {"\"padding\":null", "\"padding\":{}", "padding"},
        {"\"version\":", "\"vision\":", "vision"},
        {"\"fuse_unk\":", "\"fuse\":", "fuse"},
        {"\"pretokenizers\":[", "\"pretokenizers\":[{\"type\":\"ByteLevel\"},",
         "type is \"ByteLevel\"; only \"Split\" and \"Digits\" are supported here"},
        {"\"behavior\":\"Isolated\"", "\"behavior\":\"Removed\"", "behavior is \"Removed\""},
        {"\"invert\":false", "\"invert\":true", "invert is true"},
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true", "add_prefix_space is true"},
        {"\"byte_fallback\":false", "\"byte_fallback\":true", "byte_fallback is true"},
        {"\"dropout\":null", "\"dropout\":0.1", "dropout"},
        {"\"unk_token\":null", "\"unk_token\":\"?\"", "unk_token"},
        {"\"lstrip\":false", "\"lstrip\":true", "lstrip is true"},
        {"\"single_word\":false", "\"single_word\":true", "single_word is true"},
        {"\"content\":\"<img>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
         "\"normalized\":false",
         "\"content\":\"e\\u0301\",\"normalized\":true",
         "normalized is true for \"e\u0301\", which is not in NFC"},
        {"\"id\":903", "\"id\":16777215", "id 16777215; expected 0 to"},
        {"\"id\":903", "\"id\":-1", "-1"},
        {"\"id\":903", "\"id\":99999999999999999999", "tokenizer.json"},
        {"\"!\":0", "\"!\":16000000", "id is 16000000; expected 0 to"},
        {"\"!\":0", "\"!\":\"0\"", "integer"},
        {"\"!\":0", "\"!\":1", "another token has it"},
        {"\"!\":0", "\"\":0", "token 0 is empty"},
        {"\"content\":\"<img>\"", "\"content\":\"!\"",
         "token \"!\" wants id 903, but the same text has another id"},
        {"\"id\":903", "\"id\":902", "token \"<img>\" wants id 902, but another token has it"},
        {"\"merges\":[[", "\"merges\":[[\"!\",\"\xc4\xa3\"],[",
         "merge 0 of \"!\" and \"\xc4\xa3\": the result is not"},
        {"\"merges\":[[", "\"merges\":[[\"r\",\"e\"],[",
         "merge 4 of \"r\" and \"e\" repeats merge 0"},
        {"\"merges\":[[", "\"merges\":[[\"!\"],[", "merge of 1 tokens; expected two"},
        {"\"merges\":[[", "\"merges\":[\"a b c\",[",
         "merge \"a b c\"; expected two tokens and one space"},
        {"\"merges\":[[", "\"merges\":[\"a ?!\",[", "the second is not in the vocabulary"},
        {"\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"Fuse\"",
         "type is \"Fuse\""},
        {"\"post_processor\":{\"type\":\"ByteLevel\"", "\"post_processor\":{\"type\":\"Bert\"",
         "type is \"Bert\"; supported are"},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
         "[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}]",
         "a token is put around every text"},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\"", "single"},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]",
         "0 pieces; supported is the text alone"},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},{\"Sequence\":{\"id\":\"A\"}}]",
         "2 pieces; supported is the text alone"},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}}]",
         "id is \"B\""},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Foo\":{}}]",
         "Foo"},
        {"\"post_processor\":{\"type\":\"ByteLevel\"",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":null}]",
         "SpecialToken"},
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

/// Templates that add nothing, alone and behind another post-processor.
static void test_post_processors(void)
{
    static const char *const said[] = {
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":"
        "\"A\"}}]",
        "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},{"
        "\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}}]}]",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        gr_tokenizer *t = NULL;
        write_changed("\"post_processor\":{\"type\":\"ByteLevel\"", said[i]);
        GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &t));
        gr_tokenizer_destroy(&t);
    }
}

/// A file cut anywhere is refused with its name.
static void test_cut(void)
{
    char *dir = fixture_dir(), *path = NULL, *data = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_path_join(dir, "tokenizer.json", &path));
    GR_CHECK_OK(gr_file_read(path, 0, &data, &size));
    for (size_t n = 0; n < size; n += 1 + n / 7) {
        gr_tokenizer *t = NULL;
        GR_CHECK_ERR(gri_tokenizer_parse("cut.json", data, n, &t), GR_ERR_DATA, "cut.json");
    }
    GR_FREE(data);
    GR_FREE(path);
    GR_FREE(dir);
}

/// Three bytes, one merge, a hole at id 3; what a small file needs besides.
#define SMALL(model, rest)                                                                     \
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","            \
    "\"add_prefix_space\":false,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\"},"     \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":4}," model          \
    "\"merges\":[\"a b\"]}" rest "}"

static gr_tokenizer *parse(const char *text)
{
    gr_tokenizer *t = NULL;
    GR_CHECK_OK(gri_tokenizer_parse("small.json", text, strlen(text), &t));
    return t;
}

static void check_encoding(const gr_tokenizer *t, const char *text, const char *want)
{
    gr_ids ids = {0};
    gr_str got = {0};
    GR_CHECK_OK(gr_tokenizer_encode(t, text, strlen(text), true, &ids));
    for (int64_t i = 0; i < ids.count; i++) {
        GR_CHECK_OK(gr_str_addf(&got, "%s%d", i ? " " : "", ids.data[i]));
    }
    GR_CHECK_STR(got.data ? got.data : "", want);
    gr_str_fini(&got);
    gr_ids_fini(&ids);
}

/// SmolLM2's vocabulary lacks bytes that no UTF-8 has; any text that needs a missing one is an error.
static void test_holes(void)
{
    gr_tokenizer *t = parse(SMALL("", ""));
    gr_ids ids = {0};
    char *text = NULL;
    check_encoding(t, "abcba", "4 2 1 0");
    GR_CHECK_INT(gr_tokenizer_size(t), 5);
    GR_CHECK_ERR(gr_tokenizer_encode(t, "abd", 3, true, &ids), GR_ERR_DATA,
                 "byte 0x64, for which the vocabulary has no token");
    GR_CHECK_INT(ids.count, 0);
    int32_t hole = 3;
    GR_CHECK_ERR(gr_tokenizer_decode(t, &hole, 1, false, &text, NULL), GR_ERR_DATA,
                 "id 3 is no token");
    gr_ids_fini(&ids);
    gr_tokenizer_destroy(&t);
}

static void test_ignore_merges(void)
{
    gr_tokenizer *t = parse(SMALL("\"ignore_merges\":true,", ""));
    check_encoding(t, "ab", "4");
    check_encoding(t, "cab", "2 4");
    gr_tokenizer_destroy(&t);
    // "ca" is in the vocabulary, but no merge makes it.
    static const char *const flags[] = {"true", "false"};
    for (int i = 0; i < 2; i++) {
        char *text =
            gr_str_format("{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":"
                          "false},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
                          "\"BPE\",\"ignore_merges\":%s,\"vocab\":{\"a\":0,\"c\":1,\"ca\":2},"
                          "\"merges\":[]}}",
                          flags[i]);
        t = parse(text);
        check_encoding(t, "ca", i ? "1 0" : "2");
        check_encoding(t, "caca", "1 0 1 0");
        GR_CHECK_OK(gr_tokenizer_save(t, gr_test_dir(), NULL));
        gr_tokenizer_destroy(&t);
        GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &t));
        check_encoding(t, "ca", i ? "1 0" : "2");
        GR_CHECK(!t->splitter->nfc && t->splitter->count == 1);
        gr_tokenizer_destroy(&t);
        GR_FREE(text);
    }
}

/// Tokens that are found after NFC: the decomposed text holds them only then.
static void test_normalized(void)
{
    gr_tokenizer *t = parse(
        SMALL("", ",\"added_tokens\":[{\"id\":5,\"content\":\"\u00e9b\",\"normalized\":true},"
                  "{\"id\":6,\"content\":\"bc\",\"normalized\":false}]"));
    check_encoding(t, "ae\u0301ba", "0 5 0");
    check_encoding(t, "a\u00e9ba", "0 5 0");
    check_encoding(t, "bca\u00e9b", "6 0 5"); // one found before NFC, one after
    gr_tokenizer_destroy(&t);
}

static void write_file(const char *name, const char *text)
{
    char *path = NULL;
    GR_CHECK_OK(gr_path_join(gr_test_dir(), name, &path));
    GR_CHECK_OK(gr_file_write(path, text, strlen(text)));
    GR_FREE(path);
}

static void remove_file(const char *name)
{
    char *path = NULL;
    GR_CHECK_OK(gr_path_join(gr_test_dir(), name, &path));
    (void)remove(path);
    GR_FREE(path);
}

/// vocab.json, merges.txt and what comes with them.
static void test_parts(void)
{
    gr_tokenizer *t = NULL;
    char *text = NULL;
    bool there = true;
    remove_file("tokenizer.json");
    GR_CHECK_OK(gr_tokenizer_exists(gr_test_dir(), &there));
    GR_CHECK(!there);
    write_file("vocab.json", "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"1\":4,\"#\":5,\"#b\":6}");
    GR_CHECK_OK(gr_tokenizer_exists(gr_test_dir(), &there));
    GR_CHECK(there);
    write_file("merges.txt", "#version: 0.2\na b\n# b\n");
    write_file(
        "tokenizer_config.json",
        "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"pad_token\":\"<v>\",\"added_tokens_decoder\":{\"7\":{\"content\":"
        "\"<s>\",\"special\":true,\"normalized\":false}}}");
    write_file("added_tokens.json", "{\"<s>\":7,\"<t>\":8,\"<u>\":9,\"<v>\":10}");
    write_file("special_tokens_map.json", "{\"eos_token\":{\"content\":\"<t>\"}}");
    if (GR_CHECK_OK(gr_tokenizer_load(gr_test_dir(), &t))) {
        check_encoding(t, "cab#b<s><t>11<u>", "2 3 6 7 8 4 4 9");
        GR_CHECK(t->tokens[7].special && t->tokens[8].special && !t->tokens[9].special);
        GR_CHECK(t->tokens[10].special); // the configuration gives it a role
        // What is not special is text: Qwen3's <think>, say.
        const int32_t ids[] = {2, 7, 9, 8, 10, 0};
        GR_CHECK_OK(gr_tokenizer_decode(t, ids, 6, true, &text, NULL));
        GR_CHECK_STR(text, "c<u>a");
        GR_FREE(text);
        GR_CHECK(gri_splitter_is_qwen2(t->splitter));
    }
    gr_tokenizer_destroy(&t);
    static const struct {
        const char *file, *text, *message;
    } cases[] = {
        {"merges.txt", "a b\nab\n", "merges.txt:2: \"ab\"; expected two tokens and one space"},
        {"merges.txt", "a b\n#version 1\n", "merges.txt:2: merge 1 of \"#version\" and \"1\""},
        {"merges.txt", "a b\na b\n",
         "merges.txt:2: merge 1 of \"a\" and \"b\" repeats merge 0"},
        {"merges.txt", "a b\r\n", "merges.txt:1"},
        {"vocab.json", "[]", "vocab.json"},
        {"vocab.json", "{\"a\":0,\"b\":0}", "another token has it"},
        {"vocab.json", "{\"<|x|>\":0}", "is not in the vocabulary"},
        {"added_tokens.json", "{\"<s>\":6}", "the same text has another id"},
        {"added_tokens.json", "{\"<s>\":\"7\"}", "added_tokens.json"},
        {"tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\"}",
         "tokenizer_class is \"LlamaTokenizer\""},
        {"tokenizer_config.json", "{}", "tokenizer_class"},
        {"tokenizer_config.json",
         "{\"tokenizer_class\":\"GPT2Tokenizer\",\"added_tokens_decoder\":{\"x\":{}}}",
         "the key is not an id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = NULL, *before = NULL;
        size_t size = 0;
        GR_CHECK_OK(gr_path_join(gr_test_dir(), cases[i].file, &path));
        GR_CHECK_OK(gr_file_read(path, 0, &before, &size));
        write_file(cases[i].file, cases[i].text);
        GR_CHECK_ERR(gr_tokenizer_load(gr_test_dir(), &t), GR_ERR_DATA, cases[i].message);
        write_file(cases[i].file, before);
        GR_FREE(before);
        GR_FREE(path);
    }
    remove_file("merges.txt");
    GR_CHECK_ERR(gr_tokenizer_load(gr_test_dir(), &t), GR_ERR_MISSING, "merges.txt");
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
        err = gr_tokenizer_save(t, gr_test_dir(), NULL);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures >= 4);
    GR_CHECK_ERR(gr_tokenizer_save(t, "/nowhere", NULL), GR_ERR_IO,
                 "/nowhere/tokenizer_config.json");
    gr_tokenizer_destroy(&t);
}

static bool file_says(const char *dir, const char *name, const char *part)
{
    char *path = NULL, *text = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_path_join(dir, name, &path));
    bool says = gr_file_read(path, 0, &text, &size) == GR_OK && strstr(text, part) != NULL;
    gr_err_clear();
    GR_FREE(text);
    GR_FREE(path);
    return says;
}

/// What stood beside a tokenizer is written back; a chat template comes in where there was none.
static void test_config(void)
{
    static const char name[] = "tokenizer_config.json";
    gr_tokenizer *t = load_fixture();
    const char *dir = gr_test_dir();
    char *again = gr_str_format("%s/again", dir);
    GR_CHECK_OK(gr_dir_make(again));
    GR_CHECK_INT(gr_tokenizer_role(t, "eos_token"), gr_tokenizer_id(t, "<|im_end|>"));
    GR_CHECK_INT(gr_tokenizer_role(t, "bos_token"), -1);
    GR_CHECK_OK(gr_tokenizer_save(t, dir, "{{ 'new' }}"));
    GR_CHECK(file_says(dir, name, "\"chat_template\": \"{{ 'new' }}\""));
    gr_tokenizer_destroy(&t);

    static const struct {
        const char *config, *jinja; ///< what stands there
        const char *want;           ///< in what is written
        bool new_template;
    } cases[] = {
        {"{\"eos_token\": \"<|endoftext|>\", \"model_max_length\": 1000000000000000019884624838656, "
         "\"a\": [{\"b\": -3}, \"1000000000000000019884624838656\\\"\"]}",
         NULL, "\"1000000000000000019884624838656\\\"\"", true},
        {"{\"chat_template\": \"old\", \"eos_token\": {\"content\": \"<|endoftext|>\"}}", NULL,
         "\"chat_template\": \"old\"", false},
        {"{\"chat_template\": null, \"eos_token\": \"<|endoftext|>\"}", NULL, "eos_token",
         true},
        {"{\"eos_token\": \"<|endoftext|>\"}", "older", "eos_token", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(name, cases[i].config);
        if (cases[i].jinja) {
            write_file("chat_template.jinja", cases[i].jinja);
        }
        if (GR_CHECK_OK(gr_tokenizer_load(dir, &t))) {
            GR_CHECK_INT(gr_tokenizer_role(t, "eos_token"),
                         gr_tokenizer_id(t, "<|endoftext|>"));
            GR_CHECK_INT(gr_tokenizer_role(t, "pad_token"), -1);
            GR_CHECK_OK(gr_tokenizer_save(t, again, "{{ 'new' }}"));
            GR_CHECK(file_says(again, name, cases[i].want));
            GR_CHECK(file_says(again, name, "{{ 'new' }}") == cases[i].new_template);
            GR_CHECK(file_says(again, "chat_template.jinja", "older") ==
                     (cases[i].jinja != NULL));
            gr_tokenizer_destroy(&t);
            GR_CHECK_OK(gr_tokenizer_load(again, &t));
            gr_tokenizer_destroy(&t);
        }
    }
    write_file(name, "[]");
    GR_CHECK_ERR(gr_tokenizer_load(dir, &t), GR_ERR_DATA,
                 "tokenizer_config.json: expected a map");
    write_file(name, "{\"a\": 1");
    GR_CHECK_ERR(gr_tokenizer_load(dir, &t), GR_ERR_DATA, "tokenizer_config.json");
    remove_file(name);
    remove_file("chat_template.jinja");
    GR_FREE(again);
}

static const gr_test tests[] = {
    {"config", test_config},
    {"fixture", test_fixture},
    {"smollm2", test_smollm2},
    {"save", test_save},
    {"refused", test_refused},
    {"post_processors", test_post_processors},
    {"cut", test_cut},
    {"holes", test_holes},
    {"ignore_merges", test_ignore_merges},
    {"normalized", test_normalized},
    {"parts", test_parts},
    {"load_allocation_failures", test_load_allocation_failures},
    {"save_allocation_failures", test_save_allocation_failures},
};
GR_TEST_MAIN("tokenizer_files", tests)
