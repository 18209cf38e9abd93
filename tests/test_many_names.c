/// A file may have hundreds of thousands of names: none is compared with all others. The linker sends the comparisons of the
/// house's own code through the counters below (tests/CMakeLists.txt).

#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/hf_internal.h"
#include "src/formats/tokenizer_parts.h"
#include "tests/dir_support.h"

#include <math.h>

static int64_t comparisons;

int __real_strcmp(const char *a, const char *b);
int __real_strncmp(const char *a, const char *b, size_t n);
int __real_memcmp(const void *a, const void *b, size_t n);
int __wrap_strcmp(const char *a, const char *b);
int __wrap_strncmp(const char *a, const char *b, size_t n);
int __wrap_memcmp(const void *a, const void *b, size_t n);

int __wrap_strcmp(const char *a, const char *b)
{
    comparisons++;
    return __real_strcmp(a, b);
}

int __wrap_strncmp(const char *a, const char *b, size_t n)
{
    comparisons++;
    return __real_strncmp(a, b, n);
}

int __wrap_memcmp(const void *a, const void *b, size_t n)
{
    comparisons++;
    return __real_memcmp(a, b, n);
}

/// A few times n log n: what sorting the names and finding each a few times takes. Each with each would be n / 2 times n.
static void check_comparisons(int64_t n)
{
    const double most = 6 * (double)n * log2((double)n);
    if (!GR_CHECK((double)comparisons <= most)) {
        printf("    %lld comparisons of %lld names, want at most %.0f\n",
               (long long)comparisons, (long long)n, most);
    }
    GR_CHECK(comparisons >= n);
}

enum { MANY = 20000, FILES = 1000, EACH = 4 };

/// Scalars called "tensor.0" and so on from `first`, in an order that no sort has.
static gr_safetensor *make_tensors(int64_t first, int64_t count)
{
    static const float number = 3;
    gr_safetensor *tensors = gr_mem_alloc((size_t)count, sizeof *tensors);
    for (int64_t i = 0; i < count; i++) {
        tensors[i] = (gr_safetensor){
            .name = gr_str_format("tensor.%lld", (long long)(first + i * 7919 % count)),
            .dtype = GR_DTYPE_F32,
            .count = 1,
            .data = (const unsigned char *)&number,
        };
    }
    return tensors;
}

static void free_tensors(gr_safetensor **tensors, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        GR_FREE((*tensors)[i].name);
    }
    GR_FREE(*tensors);
}

static void test_tensors(void)
{
    gr_safetensors *file = NULL;
    gr_safetensor *tensors = make_tensors(0, MANY);
    const char *path = in_dir(fresh_dir("tensors"), "a.safetensors");
    comparisons = 0;
    GR_CHECK_OK(gr_safetensors_write(path, tensors, MANY));
    check_comparisons(MANY);
    comparisons = 0;
    if (GR_CHECK_OK(gr_safetensors_open(path, &file))) {
        for (int64_t i = 0; i < MANY; i++) {
            GR_CHECK(gr_safetensors_find(file, tensors[i].name) == &file->items[i]);
        }
        GR_CHECK(gr_safetensors_find(file, "tensor.20000") == NULL);
    }
    check_comparisons(MANY);
    gr_safetensors_close(&file);
    GR_FREE(tensors[MANY - 1].name);
    tensors[MANY - 1].name = gr_str_format("%s", tensors[17].name);
    comparisons = 0;
    GR_CHECK_ERR(gr_safetensors_write(path, tensors, MANY), GR_ERR_DATA,
                 "two tensors are called tensor.14623");
    check_comparisons(MANY);
    free_tensors(&tensors, MANY);
}

/// One of the index's files, not synced.
static void write_file(const char *dir, int64_t number, gr_json *weight_map)
{
    char name[64];
    gr_str head = {0};
    gr_safetensor *tensors = make_tensors(number * EACH, EACH);
    snprintf(name, sizeof name, "model-%lld.safetensors", (long long)number);
    GR_CHECK_OK(gr_safetensors_head(name, tensors, EACH, &head));
    for (int64_t i = 0; i < EACH; i++) {
        gr_json_string(weight_map, tensors[i].name, name);
        GR_CHECK_OK(gr_str_add_bytes(&head, tensors[i].data, sizeof(float)));
    }
    GR_CHECK_OK(gr_file_write_unsynced(in_dir(dir, name), head.data, head.size));
    gr_str_fini(&head);
    free_tensors(&tensors, EACH);
}

static void test_index(void)
{
    const char *dir = fresh_dir("index");
    gr_json j = {0};
    gri_hf_files files = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_map_begin(&j, "weight_map");
    for (int64_t i = 0; i < FILES; i++) {
        write_file(dir, i, &j);
    }
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_CHECK_OK(gri_hf_write_json(dir, GRI_HF_INDEX, &j));
    gr_json_fini(&j);
    comparisons = 0;
    GR_CHECK_OK(gri_hf_files_open(dir, &files));
    check_comparisons(FILES * EACH);
    GR_CHECK_INT(files.count, FILES);
    gri_hf_files_close(&files);
}

static void test_parameters(void)
{
    const gr_model_config config = {
        .parts = 1u << GR_PART_LANGUAGE,
        .language = {.kind = GR_LANGUAGE_QWEN2,
                     .vocabulary = 3,
                     .width = 2,
                     .blocks = 4096,
                     .heads = 1,
                     .kv_heads = 1,
                     .head_size = 2,
                     .mlp_width = 1,
                     .max_positions = 7,
                     .rope_theta = 10000,
                     .norm_eps = 1e-6,
                     .initializer_range = 0.02},
    };
    gr_params *params = NULL;
    comparisons = 0;
    if (GR_CHECK_OK(gr_params_create(&config, &params))) {
        GR_CHECK(params->count > MANY);
        for (int64_t i = 0; i < params->count; i++) {
            GR_CHECK(gr_params_find(params, params->items[i].name) == &params->items[i]);
        }
        GR_CHECK(gr_params_find(params, "language_model") == NULL);
        check_comparisons(params->count);
    }
    gr_params_destroy(&params);
}

/// Added tokens that all begin alike, in a text of as many places where one may begin.
static void test_added_tokens(void)
{
    gr_tokenizer *t = NULL;
    gri_splitter *splitter = NULL;
    gr_str text = {0};
    gr_ids ids = {0};
    GR_CHECK_OK(gri_splitter_create(false, &splitter));
    GR_CHECK_OK(gri_tokenizer_create(&splitter, &t));
    GR_CHECK_OK(gri_tokenizer_set(t, 0, (gri_token){.text = "<", .vocabulary = true}));
    comparisons = 0;
    for (int32_t id = 1; id < MANY; id++) {
        char name[16];
        snprintf(name, sizeof name, "<%d>", id);
        GR_CHECK_OK(gri_tokenizer_set(t, id, (gri_token){.text = name, .added = true}));
        GR_CHECK_OK(gr_str_add(&text, id % 2 ? "<" : "<12>"));
    }
    GR_CHECK_OK(gri_tokenizer_seal(t));
    GR_CHECK_OK(gr_tokenizer_encode(t, text.data, text.size, true, &ids));
    check_comparisons(MANY);
    GR_CHECK_INT(ids.count, MANY - 1);
    GR_CHECK(ids.data[0] == 0 && ids.data[1] == 12);
    gr_ids_fini(&ids);
    gr_str_fini(&text);
    gr_tokenizer_destroy(&t);
}

/// The table itself, empty and with names that repeat.
static void test_table(void)
{
    gr_names names = {0};
    GR_CHECK_INT(gr_names_find(&names, ""), -1);
    GR_CHECK(gr_names_repeated(&names) == NULL);
    gr_names_sort(&names);
    GR_CHECK_OK(gr_names_reserve(&names, 5));
    gr_names_add(&names, "b", 4);
    gr_names_add(&names, "", 3);
    gr_names_add(&names, "ab", 2);
    gr_names_sort(&names);
    GR_CHECK(gr_names_repeated(&names) == NULL);
    gr_names_add(&names, "b", 1);
    gr_names_add(&names, "b", 0);
    gr_names_sort(&names);
    GR_CHECK_STR(gr_names_repeated(&names), "b");
    GR_CHECK_INT(gr_names_find(&names, "b"), 0);
    GR_CHECK_INT(gr_names_find(&names, ""), 3);
    GR_CHECK_INT(gr_names_find(&names, "ab"), 2);
    GR_CHECK_INT(gr_names_find(&names, "a"), -1);
    GR_CHECK_INT(gr_names_find(&names, "c"), -1);
    gr_names_fini(&names);
}

static const gr_test tests[] = {
    {"table", test_table},
    {"tensors of a file", test_tensors},
    {"index of files", test_index},
    {"parameters of a model", test_parameters},
    {"added tokens", test_added_tokens},
};
GR_TEST_MAIN("many_names", tests)
