#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/safetensors.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *test_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", gr_test_dir(), name);
    return path;
}

/// Length, header and `data_size` bytes of data 0, 1, 2 ...
static void build(gr_str *out, const char *header, size_t data_size)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)(strlen(header) >> (8 * i));
    }
    gr_str_clear(out);
    GR_CHECK_OK(gr_str_add_bytes(out, length, sizeof length));
    GR_CHECK_OK(gr_str_add(out, header));
    for (size_t i = 0; i < data_size; i++) {
        unsigned char byte = (unsigned char)i;
        GR_CHECK_OK(gr_str_add_bytes(out, &byte, 1));
    }
}

static gr_err open_bytes(const void *bytes, size_t size, gr_safetensors **out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_file_write(test_path("bytes.safetensors"), bytes, size));
    GR_TRY(gr_safetensors_open(test_path("bytes.safetensors"), out));
done:
    return err;
}

/// Without the sync of gr_file_write, for the tests that open thousands of files.
static gr_err open_quickly(const void *bytes, size_t size, gr_safetensors **out)
{
    FILE *file = fopen(test_path("quick.safetensors"), "wb");
    GR_CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    return gr_safetensors_open(test_path("quick.safetensors"), out);
}

static void test_minimal(void)
{
    gr_str s = {0};
    gr_safetensors *file = NULL;
    GR_CHECK_OK(open_bytes("\x08\0\0\0\0\0\0\0{}      ", 16, &file));
    GR_CHECK_INT(file->count, 0);
    GR_CHECK(gr_safetensors_find(file, "attn.0") == NULL);
    gr_safetensors_close(&file);
    GR_CHECK(file == NULL);

    const char *header =
        "{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}";
    const float values[6] = {0, 1, 2, 3, 4, 5};
    build(&s, header, 0);
    GR_CHECK_INT(s.data[0], 64);
    GR_CHECK_OK(gr_str_add_bytes(&s, values, sizeof values));
    GR_CHECK_OK(open_bytes(s.data, s.size, &file));
    GR_CHECK_INT(file->count, 1);
    const gr_safetensor *t = gr_safetensors_find(file, "attn.0");
    GR_CHECK(t == &file->items[0]);
    GR_CHECK_INT(t->dtype, GR_DTYPE_F32);
    GR_CHECK_INT(t->ndim, 3);
    GR_CHECK_INT(t->shape[0], 1);
    GR_CHECK_INT(t->shape[1], 2);
    GR_CHECK_INT(t->shape[2], 3);
    GR_CHECK_INT(t->count, 6);
    GR_CHECK_BYTES(t->data, values, sizeof values);
    gr_safetensors_close(&file);
    gr_safetensors_close(&file);
    gr_str_fini(&s);
}

static void test_written_bytes(void)
{
    const float values[6] = {0, 1, 2, 3, 4, 5};
    gr_safetensor t = {.name = (char[]){"attn.0"},
                       .dtype = GR_DTYPE_F32,
                       .ndim = 3,
                       .shape = {1, 2, 3},
                       .count = 6,
                       .data = (const unsigned char *)values};
    GR_CHECK_OK(gr_safetensors_write(test_path("one.safetensors"), &t, 1));
    gr_str want = {0};
    build(&want,
          "{\"__metadata__\":{\"format\":\"pt\"},"
          "\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}} ",
          0);
    GR_CHECK_OK(gr_str_add_bytes(&want, values, sizeof values));
    char *got = NULL;
    size_t size = 0;
    GR_CHECK_OK(gr_file_read(test_path("one.safetensors"), 0, &got, &size));
    GR_CHECK_INT((int64_t)size, (int64_t)want.size);
    GR_CHECK_BYTES(got, want.data, want.size);
    GR_FREE(got);
    gr_str_fini(&want);
}

/// One tensor of each type, odd sizes first so that what follows is unaligned, a scalar, empty ones and
/// names that need escapes.
static void test_round_trip(void)
{
    static const unsigned char data[64] = {1, 2, 3, 250, 0, 77, 128, 255, 9};
    static char names[GR_DTYPE_COUNT + 3][32];
    gr_safetensor in[GR_DTYPE_COUNT + 3] = {{0}};
    int64_t n = 0;
    in[n++] = (gr_safetensor){.dtype = GR_DTYPE_U8, .ndim = 2, .shape = {1, 3}, .count = 3};
    in[n++] = (gr_safetensor){.dtype = GR_DTYPE_F64, .ndim = 0, .count = 1};
    in[n++] = (gr_safetensor){.dtype = GR_DTYPE_F32, .ndim = 3, .shape = {2, 0, 3}};
    for (int d = 0; d < GR_DTYPE_COUNT; d++) {
        in[n++] = (gr_safetensor){
            .dtype = (gr_dtype)d, .ndim = 8, .shape = {1, 1, 1, 5, 1, 1, 1, 1}, .count = 5};
    }
    for (int64_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "\"é\\\n%lld", (long long)i);
        in[i].name = names[i];
        in[i].data = in[i].count ? data + i : NULL;
    }
    GR_CHECK_OK(gr_safetensors_write(test_path("trip.safetensors"), in, n));
    gr_safetensors *file = NULL;
    GR_CHECK_OK(gr_safetensors_open(test_path("trip.safetensors"), &file));
    GR_CHECK_INT(file->count, n);
    for (int64_t i = 0; i < n; i++) {
        const gr_safetensor *out = gr_safetensors_find(file, names[i]);
        if (!GR_CHECK(out != NULL)) {
            continue;
        }
        GR_CHECK_INT(out->dtype, in[i].dtype);
        GR_CHECK_INT(out->ndim, in[i].ndim);
        GR_CHECK_BYTES(out->shape, in[i].shape, sizeof in[i].shape);
        GR_CHECK_INT(out->count, in[i].count);
        GR_CHECK_BYTES(out->data, data + i, (size_t)in[i].count * gr_dtype_size(in[i].dtype));
    }
    gr_safetensors_close(&file);
    GR_CHECK_OK(gr_safetensors_write(test_path("none.safetensors"), NULL, 0));
    GR_CHECK_OK(gr_safetensors_open(test_path("none.safetensors"), &file));
    GR_CHECK_INT(file->count, 0);
    gr_safetensors_close(&file);
}

#define F32(shape, offsets)                                                                    \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data;
    const char *part; ///< of the message
} malformed[] = {
    {"", 0, "header must begin with '{'"},
    {" {}", 0, "header must begin with '{'"},
    {"[]", 0, "header must begin with '{'"},
    {"{", 0, "expected near end of file"},
    {"{} {}", 0, "end of file expected near"},
    {"{\"\xff\":1}", 0, ":1:2: unable to decode byte 0xff"},
    {"{\"\\ud800\":1}", 0, "invalid Unicode"},
    {"{\"a\\u0000b\":" F32("[1]", "[0,4]") "}", 4, "NUL byte in object key"},
    {"{}", 1, "bytes that belong to no tensor"},
    {"{\"a\":1}", 0, "tensor a: expected an object"},
    {"{\"a\":{}}", 0, "tensor a: dtype: expected string, got nothing"},
    {"{\"a\":{\"dtype\":3,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "tensor a: dtype"},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor a: unknown dtype \"F31\""},
    {"{\"a\":{\"dtype\":\"F32\\u0000\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor a: unknown dtype"},
    {"{\"a\":{\"dtype\":\"f32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor a: unknown dtype \"f32\""},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor a: shape: expected list"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a: data_offsets: expected list"},
    {"{\"a\":" F32("[-1]", "[0,4]") "}", 4, "tensor a: shape[0]: expected at least 0, got -1"},
    {"{\"a\":" F32("[1.0]", "[0,4]") "}", 4, "tensor a: shape[0]: expected an integer"},
    {"{\"a\":" F32("[1,\"1\"]", "[0,4]") "}", 4, "tensor a: shape[1]: expected an integer"},
    {"{\"a\":" F32("[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8 dimensions, got 9"},
    {"{\"a\":" F32("[4294967296,4294967296]", "[0,0]") "}", 0,
     "product of its sizes overflows"},
    {"{\"a\":" F32("[4611686018427387904]", "[0,0]") "}", 0, "tensor a: 0 bytes of data"},
    {"{\"a\":" F32("[99999999999999999999]", "[0,4]") "}", 4, "too big integer"},
    {"{\"a\":" F32("[9223372036854775808]", "[0,4]") "}", 4,
     "too big integer near '9223372036854775808'"},
    {"{\"a\":" F32("[1]", "[0,18446744073709551620]") "}", 4, "too big integer"},
    {"{\"a\":" F32("[1]", "[0,4e0]") "}", 4, "data_offsets[1]: expected an integer, got real"},
    {"{\"a\":" F32("[1]", "[0]") "}", 4,
     "tensor a: data_offsets: expected [begin, end], got 1"},
    {"{\"a\":" F32("[1]", "[0,4,4]") "}", 4, "data_offsets: expected [begin, end], got 3"},
    {"{\"a\":" F32("[1]", "[-4,0]") "}", 4, "data_offsets[0]: expected at least 0, got -4"},
    {"{\"a\":" F32("[1]", "[4,0]") "}", 4, "data_offsets [4, 0] do not lie in"},
    {"{\"a\":" F32("[1]", "[0,8]") "}", 4, "data_offsets [0, 8] do not lie in the 4 bytes"},
    {"{\"a\":" F32("[1]", "[0,9223372036854775807]") "}", 4, "do not lie in the 4 bytes"},
    {"{\"a\":" F32("[2]", "[0,4]") "}", 4, "4 bytes of data, expected 2 elements of 4 bytes"},
    {"{\"a\":" F32("[]", "[0,0]") "}", 0, "0 bytes of data, expected 1 elements"},
    {"{\"a\":" F32("[1]", "[4,8]") "}", 8, "tensor a begins at byte 4 of the data, expected 0"},
    {"{\"a\":" F32("[1]", "[0,4]") ",\"b\":" F32("[1]", "[8,12]") "}", 12,
     "tensor b begins at byte 8 of the data, expected 4: tensors must lie end to end, without holes"},
    {"{\"b\":" F32("[2]", "[4,12]") ",\"a\":" F32("[2]", "[0,8]") "}", 12, "without overlap"},
    {"{\"a\":" F32("[1]", "[0,4]") "}", 5, "end at byte 4 of the data, expected its end at 5"},
    {"{\"a\":" F32("[1]", "[0,4]") ",\"a\":" F32("[1]", "[4,8]") "}", 8,
     "duplicate object key near '\"a\"'"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "duplicate object key near '\"shape\"'"},
    {"{\"__metadata__\":3}", 0, "__metadata__: expected an object of strings"},
    {"{\"__metadata__\":{\"k\":3}}", 0, "__metadata__: k: expected a string"},
};

static void test_malformed(void)
{
    gr_str s = {0};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        gr_safetensors *file = NULL;
        build(&s, malformed[i].header, malformed[i].data);
        if (!GR_CHECK_ERR(open_bytes(s.data, s.size, &file), GR_ERR_DATA, malformed[i].part)) {
            printf("    in header %s\n", malformed[i].header);
        }
        GR_CHECK(strstr(gr_err_message(), "bytes.safetensors") != NULL);
        GR_CHECK(file == NULL);
    }
    gr_str_fini(&s);
}

/// Nesting is bounded, so that a header cannot exhaust the stack.
static void test_deep(void)
{
    enum { DEPTH = 100000 };
    gr_str s = {0}, header = {0};
    gr_safetensors *file = NULL;
    GR_CHECK_OK(gr_str_add(&header, "{\"a\":"));
    for (int i = 0; i < DEPTH; i++) {
        GR_CHECK_OK(gr_str_add(&header, "["));
    }
    build(&s, header.data, 0);
    GR_CHECK_ERR(open_bytes(s.data, s.size, &file), GR_ERR_DATA, "maximum parsing depth");
    GR_CHECK(file == NULL);
    gr_str_fini(&header);
    gr_str_fini(&s);
}

static void test_bad_length(void)
{
    gr_safetensors *file = NULL;
    GR_CHECK_ERR(open_bytes("", 0, &file), GR_ERR_DATA, "0 bytes, expected at least the 8");
    GR_CHECK_ERR(open_bytes("\x02\0\0\0\0\0\0", 7, &file), GR_ERR_DATA, "7 bytes");
    GR_CHECK_ERR(open_bytes("\x03\0\0\0\0\0\0\0{}", 10, &file), GR_ERR_DATA,
                 "header length 3, but only 2 bytes follow");
    GR_CHECK_ERR(open_bytes("\x01\xe1\xf5\x05\0\0\0\0{}", 10, &file), GR_ERR_DATA,
                 "header length 100000001, expected at most 100000000");
    GR_CHECK_ERR(open_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, &file), GR_ERR_DATA,
                 "header length 18446744073709551615");
    GR_CHECK_ERR(gr_safetensors_open(test_path("absent.safetensors"), &file), GR_ERR_MISSING,
                 "absent.safetensors");
    GR_CHECK(file == NULL);
}

/// What the reader must accept: any order of entries, no metadata or null, keys of later versions.
static void test_accepted(void)
{
    static const char *const headers[] = {
        "{\"b\":" F32("[1]", "[4,8]") ",\"a\":" F32("[]", "[0,4]") "}",
        "{\"__metadata__\":null,\"a\":" F32("[2]", "[0,8]") "}  ",
        "{\"__metadata__\":{\"a\":\"b\"},\"z\":" F32("[0]", "[4,4]") ",\"b\":" F32(
            "[1]", "[4,8]") ",\"a\":" F32("[1]", "[0,4]") "}",
        "{\"a\":{\"shape\":[2],\"later\":1,\"data_offsets\":[0,8],\"dtype\":\"I32\"}}",
    };
    gr_str s = {0};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        gr_safetensors *file = NULL;
        build(&s, headers[i], 8);
        if (GR_CHECK_OK(open_bytes(s.data, s.size, &file))) {
            GR_CHECK_STR(file->items[0].name, "a");
            GR_CHECK_INT(file->items[0].data[3], 3);
        }
        gr_safetensors_close(&file);
    }
    gr_str_fini(&s);
}

/// A small file with a type of each size, as our writer makes it.
static void small_file(char **bytes, size_t *size)
{
    static const unsigned char data[32] = {1, 2, 3, 4, 5, 6};
    const gr_safetensor in[] = {
        {"w", GR_DTYPE_F32, 2, {2, 3}, 6, data},
        {"b", GR_DTYPE_BF16, 1, {3}, 3, data},
        {"s", GR_DTYPE_U8, 0, {0}, 1, data},
    };
    GR_CHECK_OK(gr_safetensors_write(test_path("small.safetensors"), in, 3));
    GR_CHECK_OK(gr_file_read(test_path("small.safetensors"), 0, bytes, size));
}

static void test_truncated(void)
{
    char *bytes = NULL;
    size_t size = 0;
    small_file(&bytes, &size);
    for (size_t n = 0; n <= size; n++) {
        gr_safetensors *file = NULL;
        gr_err err = open_quickly(bytes, n, &file);
        GR_CHECK_INT(err, n == size ? GR_OK : GR_ERR_DATA);
        gr_safetensors_close(&file);
    }
    GR_FREE(bytes);
}

/// The items of an opened file cover its data end to end with what their shapes say.
static void check_consistent(const gr_safetensors *file)
{
    const unsigned char *end = file->map.data + file->map.size;
    const unsigned char *at = file->count ? file->items[0].data : end;
    for (int64_t i = 0; i < file->count; i++) {
        const gr_safetensor *t = &file->items[i];
        int64_t count = 1;
        for (int d = 0; d < t->ndim; d++) {
            count *= t->shape[d];
        }
        GR_CHECK_INT(t->count, count);
        GR_CHECK(t->data == at);
        at += (size_t)count * gr_dtype_size(t->dtype);
    }
    GR_CHECK(at == end);
}

static void test_bit_flips(void)
{
    char *bytes = NULL;
    size_t size = 0;
    int accepted = 0;
    small_file(&bytes, &size);
    size_t header_end = 8 + (size_t)(unsigned char)bytes[0] + 256 * (size_t)bytes[1];
    GR_CHECK(header_end < size);
    for (size_t bit = 0; bit < header_end * 8; bit++) {
        gr_safetensors *file = NULL;
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << (bit % 8)));
        gr_err err = open_quickly(bytes, size, &file);
        GR_CHECK(err == GR_OK || err == GR_ERR_DATA);
        if (err == GR_OK) {
            accepted++;
            check_consistent(file);
        }
        gr_safetensors_close(&file);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
    GR_CHECK(accepted > 0); // a flip inside a name gives another name
    GR_FREE(bytes);
}

static void test_memory_follows_the_file(void)
{
    gr_str s = {0};
    gr_safetensors *file = NULL;
    build(&s, "{\"a\":" F32("[1000000000,1000000000]", "[0,4000000000000000000]") "}", 4);
    int64_t used = gr_mem_used(), requests = gr_mem_requests();
    GR_CHECK_ERR(open_bytes(s.data, s.size, &file), GR_ERR_DATA, "do not lie in");
    GR_CHECK_INT(gr_mem_used(), used);
    GR_CHECK(gr_mem_peak() < 1000000);
    GR_CHECK(gr_mem_requests() > requests);
    gr_str_fini(&s);
}

static void test_refused_names(void)
{
    const gr_safetensor twice[] = {{"w", GR_DTYPE_F32, 1, {0}, 0, NULL},
                                   {"v", GR_DTYPE_F32, 1, {0}, 0, NULL},
                                   {"w", GR_DTYPE_F32, 1, {0}, 0, NULL}};
    const gr_safetensor metadata = {"__metadata__", GR_DTYPE_F32, 1, {0}, 0, NULL};
    const char *path = test_path("names.safetensors");
    GR_CHECK_ERR(gr_safetensors_write(path, twice, 3), GR_ERR_DATA, "two tensors are called w");
    GR_CHECK_ERR(gr_safetensors_write(path, &metadata, 1), GR_ERR_DATA, "__metadata__");
    GR_CHECK(!gr_file_exists(path));
}

/// A failed write leaves the old file and nothing beside it.
static void test_failed_write(void)
{
    char *bytes = NULL, *after = NULL, **names = NULL;
    size_t size = 0, after_size = 0;
    int64_t count = 0, left = 0;
    const gr_safetensor t = {"w", GR_DTYPE_U8, 1, {3}, 3, (const unsigned char *)"abc"};
    char folder[1024], path[1100];
    snprintf(folder, sizeof folder, "%s/failing", gr_test_dir());
    snprintf(path, sizeof path, "%s/f.safetensors", folder);
    GR_CHECK_ERR(gr_safetensors_write(path, &t, 1), GR_ERR_IO, "f.safetensors");
    GR_CHECK_OK(gr_dir_make(folder));
    GR_CHECK_OK(gr_safetensors_write(path, &t, 1));
    GR_CHECK_OK(gr_file_read(path, 0, &bytes, &size));
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int64_t n = 0;
    while (err == GR_ERR_MEMORY && n < 1000) {
        gr_mem_fail_at(++n);
        err = gr_safetensors_write(path, &t, 1);
        gr_mem_fail_at(0);
        GR_CHECK_INT(gr_mem_used(), used);
        if (gr_dir_list(folder, &names, &count) == GR_OK) {
            left += count;
            gr_dir_list_free(&names, count);
        }
    }
    GR_CHECK_INT(err, GR_OK);
    GR_CHECK(n > 3);
    GR_CHECK_INT(left, n); // one name each time
    GR_CHECK_OK(gr_file_read(path, 0, &after, &after_size));
    GR_CHECK_INT((int64_t)after_size, (int64_t)size);
    GR_CHECK_BYTES(after, bytes, size);
    GR_FREE(bytes);
    GR_FREE(after);
}

static void test_open_allocation_failures(void)
{
    char *bytes = NULL;
    size_t size = 0;
    small_file(&bytes, &size);
    GR_FREE(bytes);
    int64_t used = gr_mem_used(), n = 0;
    gr_err err = GR_ERR_MEMORY;
    while (err == GR_ERR_MEMORY && n < 1000) {
        gr_safetensors *file = NULL;
        gr_mem_fail_at(++n);
        err = gr_safetensors_open(test_path("small.safetensors"), &file);
        gr_mem_fail_at(0);
        GR_CHECK((file == NULL) == (err != GR_OK));
        gr_safetensors_close(&file);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_INT(err, GR_OK);
    GR_CHECK(n > 5);
}

static const gr_test tests[] = {
    {"minimal", test_minimal},
    {"written_bytes", test_written_bytes},
    {"round_trip", test_round_trip},
    {"malformed", test_malformed},
    {"deep", test_deep},
    {"bad_length", test_bad_length},
    {"accepted", test_accepted},
    {"truncated", test_truncated},
    {"bit_flips", test_bit_flips},
    {"memory_follows_the_file", test_memory_follows_the_file},
    {"refused_names", test_refused_names},
    {"failed_write", test_failed_write},
    {"open_allocation_failures", test_open_allocation_failures},
};
GR_TEST_MAIN("safetensors", tests)
