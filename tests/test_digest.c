#include "tests/check.h"

#include "src/base/cpu.h"
#include "src/base/digest.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <string.h>

static void check_text(gr_digest d, const char *want)
{
    char text[GR_DIGEST_TEXT];
    gr_digest_format(d, text);
    GR_CHECK_STR(text, want);
}

static void fill(unsigned char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        data[i] = (unsigned char)(i * 131 + (i >> 8));
    }
}

static void test_stream_equals_whole(void)
{
    static unsigned char data[70001];
    static const size_t pieces[] = {1, 63, 240, 1024, 70001};
    fill(data, sizeof data);
    gr_digest want = gr_digest_of(data, sizeof data);
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        gr_digest_stream *s = NULL;
        GR_CHECK_OK(gr_digest_stream_create(&s));
        for (size_t at = 0; s && at < sizeof data; at += pieces[p]) {
            size_t left = sizeof data - at;
            gr_digest_stream_add(s, data + at, left < pieces[p] ? left : pieces[p]);
        }
        GR_CHECK(s && gr_digest_equal(gr_digest_stream_result(s), want));
        GR_CHECK(s && gr_digest_equal(gr_digest_stream_result(s), want)); // twice the same
        gr_digest_stream_destroy(&s);
        gr_digest_stream_destroy(&s);
    }
}

/// The library's digest, whatever the width of vectors that long data is read with.
static void test_widths(void)
{
    static unsigned char data[40000];
    fill(data, sizeof data);
    for (size_t size = 0; size < sizeof data; size += 1 + size / 7) {
        for (size_t at = 0; at < 3; at++) {
            gr_digest_stream *s = NULL;
            GR_CHECK_OK(gr_digest_stream_create(&s));
            gr_digest_stream_add(s, data + at, size - (size > at ? at : 0));
            GR_CHECK(gr_digest_equal(gr_digest_stream_result(s),
                                     gr_digest_of(data + at, size - (size > at ? at : 0))));
            gr_digest_stream_destroy(&s);
        }
    }
}

static void test_every_bit_counts(void)
{
    unsigned char data[100];
    fill(data, sizeof data);
    gr_digest want = gr_digest_of(data, sizeof data);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        GR_CHECK(!gr_digest_equal(gr_digest_of(data, sizeof data), want));
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    GR_CHECK(gr_digest_equal(gr_digest_of(data, sizeof data), want));
}

static void test_parse(void)
{
    gr_digest d = {0};
    GR_CHECK_OK(gr_digest_parse("0123456789abcdef00000000000000ff", &d));
    GR_CHECK(d.high == UINT64_C(0x0123456789abcdef) && d.low == 255);
    check_text(d, "0123456789abcdef00000000000000ff");
    static const char *const bad[] = {
        "", "0123456789abcdef00000000000000f", "0123456789abcdef00000000000000fff",
        "0123456789ABCDEF00000000000000ff", "0123456789abcdef00000000000000fg"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        GR_CHECK_ERR(gr_digest_parse(bad[i], &d), GR_ERR_DATA, "32 lower-case hexadecimal");
    }
    GR_CHECK(d.low == 255);
}

static void test_file(void)
{
    static unsigned char data[(2 << 20) + 13]; // three pieces
    char path[512];
    gr_digest d = {0};
    fill(data, sizeof data);
    snprintf(path, sizeof path, "%s/data", gr_test_dir());
    GR_CHECK_OK(gr_file_write(path, data, sizeof data));
    GR_CHECK_OK(gr_digest_of_file(path, &d));
    GR_CHECK(gr_digest_equal(d, gr_digest_of(data, sizeof data)));
    for (int64_t n = 1; n <= 2; n++) {
        gr_mem_fail_at(n);
        GR_CHECK_ERR(gr_digest_of_file(path, &d), GR_ERR_MEMORY, "out of memory");
    }
    gr_mem_fail_at(0);
    GR_CHECK_ERR(gr_digest_of_file("/no/such/file", &d), GR_ERR_MISSING, "/no/such/file");
    GR_CHECK_ERR(gr_digest_of_file("/", &d), GR_ERR_IO, "/: cannot read");
}

static void test_cpu(void)
{
    const gr_cpu *cpu = gr_cpu_get();
    GR_CHECK(cpu == gr_cpu_get());
    GR_CHECK(cpu->name[0] != '\0' && cpu->cores >= 1 && cpu->memory > 1 << 20);
    GR_CHECK(!cpu->avx512_bf16 || cpu->avx512);
}

static const gr_test tests[] = {
    {"pieces give what the whole gives", test_stream_equals_whole},
    {"every width of vectors", test_widths},
    {"every bit counts", test_every_bit_counts},
    {"text", test_parse},
    {"files", test_file},
    {"processor", test_cpu},
};

GR_TEST_MAIN("digest", tests)
