#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/formats/image.h"
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/// Appendix B.3 of the specification: an 8 x 6 grey image with pixel i = (37 i i + 11 i) mod 256, made with Pillow.
static void make_vector(gr_image *image)
{
    *image = (gr_image){.width = 8, .height = 6, .rgb = gr_mem_alloc(8 * 6 * 3, 1)};
    for (int i = 0; i < 48; i++) {
        memset(image->rgb + 3 * i, (37 * i * i + 11 * i) % 256, 3);
    }
}

static void check_grey(const unsigned char *rgb, const int *want, int n)
{
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < 3; c++) {
            GR_CHECK_INT(rgb[3 * i + c], want[i]);
        }
    }
}

static void test_resize_vectors(void)
{
    static const int small[] = {40,  149, 138, 196, 109, 131, 172, 196, 200, 143,
                                105, 167, 161, 150, 88,  200, 157, 128, 161, 122};
    static const int first[] = {0, 19, 89, 169, 118, 106, 144, 211, 146, 101, 99};
    static const int last[] = {255, 211, 188, 192, 39, 89, 184, 157, 205, 156, 65};
    gr_image in = {0}, out = {0};
    make_vector(&in);
    GR_CHECK_OK(gr_image_resize(&in, 5, 4, &out));
    check_grey(out.rgb, small, 20);
    gr_image_fini(&out);
    GR_CHECK_OK(gr_image_resize(&in, 11, 7, &out));
    check_grey(out.rgb, first, 11);
    check_grey(out.rgb + (ptrdiff_t)6 * 11 * 3, last, 11);
    gr_image_fini(&out);
    gr_image_fini(&in);
}

static void test_resize_sides(void)
{
    gr_image in = {0}, out = {0}, twice = {0}, once = {0};
    make_vector(&in);
    GR_CHECK_OK(gr_image_resize(&in, 8, 6, &out));
    GR_CHECK(out.rgb != in.rgb);
    GR_CHECK_BYTES(out.rgb, in.rgb, (size_t)8 * 6 * 3);
    gr_image_fini(&out);
    // Width first, then height.
    GR_CHECK_OK(gr_image_resize(&in, 3, 6, &out));
    GR_CHECK_OK(gr_image_resize(&out, 3, 13, &twice));
    GR_CHECK_OK(gr_image_resize(&in, 3, 13, &once));
    GR_CHECK_BYTES(once.rgb, twice.rgb, (size_t)3 * 13 * 3);
    gr_image_fini(&out);
    gr_image_fini(&once);
    gr_image_fini(&twice);
    GR_CHECK_OK(gr_image_resize(&in, 1, 1, &out));
    GR_CHECK_INT(out.width * out.height, 1);
    gr_image_fini(&out);
    GR_CHECK_ERR(gr_image_resize(&in, 0, 4, &out), GR_ERR_DATA, "0 x 4");
    GR_CHECK_ERR(gr_image_resize(&in, 1 << 15, 1 << 14, &out), GR_ERR_DATA, "32768 x 16384");
    GR_CHECK(out.rgb == NULL);
    gr_image_fini(&in);
}

static void test_allocation_failures(void)
{
    gr_image in = {0};
    make_vector(&in);
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 40; n++) {
        gr_image out = {0};
        gr_mem_fail_at(n);
        err = gr_image_resize(&in, 5, 9, &out);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_image_fini(&out);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK_INT(failures, 11);
    gr_image_fini(&in);
}

static void test_normalize(void)
{
    unsigned char rgb[] = {0, 128, 255, 255, 1, 17};
    const gr_image image = {.width = 2, .height = 1, .rgb = rgb};
    const double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};
    float got[6], want[6];
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 2; i++) {
            want[2 * c + i] = (float)((rgb[3 * i + c] / 255.0 - mean[c]) / std[c]);
        }
    }
    gr_image_normalize(&image, mean, std, got);
    // Three fp32 roundings of numbers of size 1, divided by 0.22.
    GR_CHECK_CLOSE(got, want, 6, 0, 6e-7);
}

static void make_noise(int64_t width, int64_t height, gr_image *image)
{
    *image = (gr_image){.width = width, .height = height};
    image->rgb = gr_mem_alloc((size_t)(width * height * 3), 1);
    for (int64_t i = 0; i < width * height * 3; i++) {
        image->rgb[i] = (unsigned char)gr_rng_u64(5, 6, (uint64_t)i);
    }
}

static void test_webp_lossless(void)
{
    static const int64_t sides[][2] = {{1, 1}, {3, 2}, {65, 33}};
    for (int i = 0; i < 3; i++) {
        gr_image in = {0}, out = {0};
        unsigned char *data = NULL;
        size_t size = 0;
        make_noise(sides[i][0], sides[i][1], &in);
        GR_CHECK_OK(gr_image_encode_webp(&in, -1, &data, &size));
        GR_CHECK_STR(gr_image_kind(data, size), "webp");
        GR_CHECK_OK(gr_image_decode("own", data, size, false, &out));
        GR_CHECK_INT(out.width, in.width);
        GR_CHECK_INT(out.height, in.height);
        GR_CHECK_BYTES(out.rgb, in.rgb, (size_t)(in.width * in.height * 3));
        GR_FREE(data);
        gr_image_fini(&in);
        gr_image_fini(&out);
    }
}

/// A smooth picture survives quality 90 within a few grey levels, and a worse quality makes a smaller file.
static void test_webp_lossy(void)
{
    gr_image in = {.width = 64, .height = 48, .rgb = gr_mem_alloc(64 * 48 * 3, 1)}, out = {0};
    for (int i = 0; i < 64 * 48; i++) {
        memset(in.rgb + 3 * i, (int)lround(128 + 100 * sin(i % 64 / 9.0) * cos(i / 64.0 / 9)),
               3);
    }
    unsigned char *good = NULL, *bad = NULL;
    size_t good_size = 0, bad_size = 0;
    GR_CHECK_OK(gr_image_encode_webp(&in, 90, &good, &good_size));
    GR_CHECK_OK(gr_image_encode_webp(&in, 5, &bad, &bad_size));
    GR_CHECK(bad_size < good_size);
    GR_CHECK_OK(gr_image_decode("own", good, good_size, false, &out));
    int worst = 0;
    for (int i = 0; i < 64 * 48 * 3; i++) {
        int off = abs(out.rgb[i] - in.rgb[i]);
        worst = off > worst ? off : worst;
    }
    GR_CHECK(worst <= 8);
    GR_FREE(good);
    GR_FREE(bad);
    gr_image_fini(&in);
    gr_image_fini(&out);
}

static void test_webp_refused(void)
{
    gr_image in = {0};
    unsigned char *data = NULL;
    size_t size = 0;
    make_noise(16384, 1, &in);
    GR_CHECK_ERR(gr_image_encode_webp(&in, 50, &data, &size), GR_ERR_DATA, "16384 x 1");
    in.width = 0;
    GR_CHECK_ERR(gr_image_encode_webp(&in, 50, &data, &size), GR_ERR_DATA, "0 x 1");
    GR_CHECK_ERR(gr_image_encode_webp(&in, 101, &data, &size), GR_ERR_USAGE, "quality 101");
    GR_CHECK(data == NULL);
    gr_image_fini(&in);
}

static const gr_test tests[] = {
    {"resize_vectors", test_resize_vectors},
    {"resize_sides", test_resize_sides},
    {"allocation_failures", test_allocation_failures},
    {"normalize", test_normalize},
    {"webp_lossless", test_webp_lossless},
    {"webp_lossy", test_webp_lossy},
    {"webp_refused", test_webp_refused},
};
GR_TEST_MAIN("image_work", tests)
