#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/formats/image_taps.h"
#include "tests/check.h"
#include "tests/image_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_noise(int64_t width, int64_t height, gr_image *image)
{
    *image = (gr_image){.width = width, .height = height};
    image->rgb = gr_mem_alloc((size_t)(width * height * 3), 1);
    for (int64_t i = 0; i < width * height * 3; i++) {
        image->rgb[i] = (unsigned char)gr_rng_u64(5, 6, (uint64_t)i);
    }
}

/// Appendix B.3 of the specification: an 8 x 6 grey image with pixel i = (37 i i + 11 i) mod 256, made with Pillow.
static void make_vector(gr_image *image)
{
    *image = (gr_image){.width = 8, .height = 6, .rgb = gr_mem_alloc(8 * 6 * 3, 1)};
    for (int i = 0; i < 48; i++) {
        memset(image->rgb + 3 * i, (37 * i * i + 11 * i) % 256, 3);
    }
}

static void test_resize_sides(void)
{
    gr_image in = {0}, out = {0}, twice = {0}, once = {0};
    make_vector(&in);
    GR_CHECK_OK(gr_image_resize(&in, GR_IMAGE_BICUBIC, 8, 6, &out));
    GR_CHECK(out.rgb != in.rgb);
    GR_CHECK_BYTES(out.rgb, in.rgb, (size_t)8 * 6 * 3);
    gr_image_fini(&out);
    // Width first, then height.
    GR_CHECK_OK(gr_image_resize(&in, GR_IMAGE_BICUBIC, 3, 6, &out));
    GR_CHECK_OK(gr_image_resize(&out, GR_IMAGE_BICUBIC, 3, 13, &twice));
    GR_CHECK_OK(gr_image_resize(&in, GR_IMAGE_BICUBIC, 3, 13, &once));
    GR_CHECK_BYTES(once.rgb, twice.rgb, (size_t)3 * 13 * 3);
    gr_image_fini(&out);
    gr_image_fini(&once);
    gr_image_fini(&twice);
    GR_CHECK_OK(gr_image_resize(&in, GR_IMAGE_BICUBIC, 1, 1, &out));
    GR_CHECK_INT(out.width * out.height, 1);
    gr_image_fini(&out);
    GR_CHECK_ERR(gr_image_resize(&in, GR_IMAGE_BICUBIC, 0, 4, &out), GR_ERR_DATA, "0 x 4");
    GR_CHECK_ERR(gr_image_resize(&in, GR_IMAGE_BICUBIC, 1 << 15, 1 << 14, &out), GR_ERR_DATA,
                 "32768 x 16384");
    GR_CHECK(out.rgb == NULL);
    gr_image_fini(&in);
}

/// One axis: both passes, plain and AVX2, on memory that ends exactly at the picture's end (the sanitizer sees a read
/// behind it). Noise of extreme bytes, so that sums reach their ends and are clamped.
static void check_twins(gr_image_filter filter, int64_t in, int64_t out, int64_t other)
{
    gri_taps t = {0};
    size_t from = (size_t)(in * other * 3), to = (size_t)(out * other * 3);
    unsigned char *noise = malloc(from), *plain = malloc(to), *fast = malloc(to);
    for (size_t i = 0; i < from; i++) {
        uint64_t bits = gr_rng_u64(7, (uint64_t)(in * 1000 + out), i);
        noise[i] = bits & 256 ? (bits & 512 ? 255 : 0) : (unsigned char)bits;
    }
    GR_CHECK_OK(gri_taps_init(filter, in, out, &t));
    gri_width_plain(&t, other, noise, plain);
    gri_width_avx2(&t, other, noise, fast);
    bool same = GR_CHECK_BYTES(fast, plain, to);
    gri_height_plain(&t, other * 3, noise, plain);
    gri_height_avx2(&t, other * 3, noise, fast);
    if (!(GR_CHECK_BYTES(fast, plain, to) && same)) {
        printf("    %lld -> %lld, other side %lld\n", (long long)in, (long long)out,
               (long long)other);
    }
    gri_taps_fini(&t);
    free(noise);
    free(plain);
    free(fast);
}

static void test_avx2_has_the_plain_bits(void)
{
    static const int64_t sides[] = {1, 2, 3, 4, 5, 7, 8, 16, 31, 33, 100, 224, 901};
    static const int64_t others[] = {1, 2, 3, 4, 5, 8, 10, 11, 21, 22, 43};
    enum { SIDES = sizeof sides / sizeof sides[0], OTHERS = sizeof others / sizeof others[0] };
    if (!gri_has_avx2()) {
        printf("    no AVX2 on this processor: nothing to compare\n");
        return;
    }
    for (int i = 0; i < SIDES; i++) {
        for (int o = 0; o < SIDES; o++) {
            int64_t other = others[(i * SIDES + o) % OTHERS];
            check_twins(GR_IMAGE_BICUBIC, sides[i], sides[o], other);
            check_twins(GR_IMAGE_BILINEAR, sides[i], sides[o], other);
        }
    }
    check_twins(GR_IMAGE_BICUBIC, 20000, 1,
                3); // more taps than a 32-bit sum of low parts holds
}

/// Sizes are those of transformers 5.24's get_resize_output_image_size(224, default_to_square=False).
static void test_resize_crop(void)
{
    static const struct {
        int64_t width, height, wide, high, left, top;
    } cases[] = {{640, 480, 298, 224, 37, 0},   {1000, 333, 672, 224, 224, 0},
                 {333, 1000, 224, 672, 0, 224}, {5, 7, 224, 313, 0, 44},
                 {224, 224, 224, 224, 0, 0},    {224, 225, 224, 225, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gr_image in = {0}, whole = {0}, out = {0};
        make_noise(cases[i].width, cases[i].height, &in);
        GR_CHECK_OK(
            gr_image_resize(&in, GR_IMAGE_BICUBIC, cases[i].wide, cases[i].high, &whole));
        GR_CHECK_OK(resize_crop(&in, GR_IMAGE_BICUBIC, 224, 224, &out));
        GR_CHECK_INT(out.width, 224);
        GR_CHECK_INT(out.height, 224);
        for (int64_t y = 0; y < 224; y++) {
            GR_CHECK_BYTES(out.rgb + y * 224 * 3,
                           whole.rgb + ((y + cases[i].top) * cases[i].wide + cases[i].left) * 3,
                           224 * 3);
        }
        gr_image_fini(&in);
        gr_image_fini(&whole);
        gr_image_fini(&out);
    }
    gr_image in = {0}, out = {0};
    make_noise(9, 4, &in);
    GR_CHECK_OK(resize_crop(&in, GR_IMAGE_BILINEAR, 8, 5, &out));
    GR_CHECK_INT(out.width * out.height, 25);
    gr_image_fini(&out);
    GR_CHECK_ERR(resize_crop(&in, GR_IMAGE_BICUBIC, 8, 9, &out), GR_ERR_USAGE,
                 "a crop of 9 pixels");
    GR_CHECK_ERR(resize_crop(&in, GR_IMAGE_BICUBIC, 8, 0, &out), GR_ERR_USAGE, "a crop of 0");
    GR_CHECK_ERR(resize_crop(&in, GR_IMAGE_BICUBIC, 1 << 21, 5, &out), GR_ERR_DATA,
                 "2097152 x 1");
    GR_CHECK_ERR(resize_crop(&in, GR_IMAGE_BICUBIC, 1 << 20, 5, &out), GR_ERR_DATA,
                 "2359296 x 1048576");
    GR_CHECK(out.rgb == NULL);
    gr_image_fini(&in);
}

static void test_pad_square(void)
{
    const unsigned char colour[] = {123, 116, 103};
    for (int upright = 0; upright < 2; upright++) {
        gr_image in = {0}, out = {0};
        make_noise(upright ? 4 : 7, upright ? 7 : 4, &in);
        GR_CHECK_OK(gr_image_pad_square(&in, colour, &out));
        GR_CHECK_INT(out.width, 7);
        GR_CHECK_INT(out.height, 7);
        for (int64_t y = 0; y < 7; y++) {
            for (int64_t x = 0; x < 7; x++) {
                int64_t u = upright ? x - 1 : x, v = upright ? y : y - 1; // (7 - 4) / 2 = 1
                bool inside = u >= 0 && u < in.width && v >= 0 && v < in.height;
                GR_CHECK_BYTES(out.rgb + (y * 7 + x) * 3,
                               inside ? in.rgb + (v * in.width + u) * 3 : colour, 3);
            }
        }
        gr_image_fini(&in);
        gr_image_fini(&out);
    }
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
        err = gr_image_resize(&in, GR_IMAGE_BICUBIC, 5, 9, &out);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_image_fini(&out);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK_INT(failures, 12);
    gr_image_fini(&in);
}

/// ImageNet (SAIL-VL, InternVL), CLIP (AIMv2) and SigLIP, as their preprocessor_config.json give them.
/// The same values wherever they are written to, whole cache lines or not, and nothing beside them.
static void test_normalize_odd(void)
{
    enum { MOST = 41 * 3 };
    static const double mean[3] = {0.4, 0.5, 0.6}, std[3] = {0.3, 0.25, 0.2};
    unsigned char rgb[MOST];
    float buffer[MOST + 8], first[3];
    for (int i = 0; i < MOST; i++) {
        rgb[i] = (unsigned char)(i * 37);
    }
    for (int64_t pixels = 1; pixels <= 41; pixels++) {
        for (int64_t shift = 0; shift < 5; shift++) {
            const gr_image image = {.width = pixels, .height = 1, .rgb = rgb};
            for (int i = 0; i < MOST + 8; i++) {
                buffer[i] = -99;
            }
            gr_image_normalize(&image, 0, mean, std, buffer + shift);
            for (int64_t i = 0; i < pixels; i++) {
                const gr_image one = {.width = 1, .height = 1, .rgb = rgb + 3 * i};
                gr_image_normalize(&one, 0, mean, std, first);
                for (int64_t c = 0; c < 3; c++) {
                    GR_CHECK(buffer[shift + c * pixels + i] == first[c]);
                }
            }
            GR_CHECK(buffer[shift + 3 * pixels] == -99 &&
                     (shift == 0 || buffer[shift - 1] == -99));
        }
    }
}

static void test_normalize(void)
{
    static const double families[3][2][3] = {
        {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
        {{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
        {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    };
    unsigned char rgb[256 * 3];
    const gr_image image = {.width = 64, .height = 4, .rgb = rgb};
    float got[256 * 3], want[256 * 3];
    for (int i = 0; i < 256; i++) {
        rgb[3 * i] = (unsigned char)i;
        rgb[3 * i + 1] = (unsigned char)(255 - i);
        rgb[3 * i + 2] = (unsigned char)(i * 7);
    }
    for (int f = 0; f < 3; f++) {
        const double *mean = families[f][0], *std = families[f][1];
        for (int c = 0; c < 3; c++) {
            for (int i = 0; i < 256; i++) {
                want[256 * c + i] = (float)((rgb[3 * i + c] / 255.0 - mean[c]) / std[c]);
            }
        }
        gr_image_normalize(&image, 0, mean, std, got);
        // Three fp32 roundings of numbers of size 1, divided by 0.22.
        GR_CHECK_CLOSE(got, want, 256 * 3, 0, 6e-7);
    }
    GR_CHECK(got[0] == -1 && got[255] == 1); // SigLIP's range, exactly
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
        GR_CHECK_OK(gr_image_decode("own", data, size, 0, &out));
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
    GR_CHECK_OK(gr_image_decode("own", good, good_size, 0, &out));
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
    {"resize_sides", test_resize_sides},
    {"avx2_has_the_plain_bits", test_avx2_has_the_plain_bits},
    {"resize_crop", test_resize_crop},
    {"pad_square", test_pad_square},
    {"allocation_failures", test_allocation_failures},
    {"normalize", test_normalize},
    {"normalize_odd", test_normalize_odd},
    {"webp_lossless", test_webp_lossless},
    {"webp_lossy", test_webp_lossy},
    {"webp_refused", test_webp_refused},
};
GR_TEST_MAIN("image_work", tests)
