#include "src/base/mem.h"
#include "src/formats/image_codec.h"
#include "src/formats/image_taps.h"

#include <math.h>
#include <string.h>

static gr_err resize_width(const gr_image *in, gr_image_filter filter, int64_t width,
                           unsigned char *rgb)
{
    gr_err err = GR_OK;
    gri_taps t = {0};
    gri_width_pass *pass = gri_has_avx2() ? gri_width_avx2 : gri_width_plain;
    GR_TRY(gri_taps_init(filter, in->width, width, &t));
    pass(&t, in->height, in->rgb, rgb);
done:
    gri_taps_fini(&t);
    return err;
}

static gr_err resize_height(const gr_image *in, gr_image_filter filter, int64_t height,
                            unsigned char *rgb)
{
    gr_err err = GR_OK;
    gri_taps t = {0};
    gri_height_pass *pass = gri_has_avx2() ? gri_height_avx2 : gri_height_plain;
    GR_TRY(gri_taps_init(filter, in->height, height, &t));
    pass(&t, in->width * 3, in->rgb, rgb);
done:
    gri_taps_fini(&t);
    return err;
}

gr_err gr_image_resize_to(const gr_image *in, gr_image_filter filter, int64_t width,
                          int64_t height, unsigned char *rgb)
{
    gr_err err = GR_OK;
    gr_image wide = {.width = width, .height = in->height};
    GR_TRY(gri_image_check_size("resize", width, height));
    if (height == in->height && width == in->width) {
        memcpy(rgb, in->rgb, (size_t)(width * height * 3));
    } else if (height == in->height) {
        GR_TRY(resize_width(in, filter, width, rgb));
    } else if (width == in->width) {
        GR_TRY(resize_height(in, filter, height, rgb));
    } else {
        GR_ALLOC(wide.rgb, width * in->height * 3);
        GR_TRY(resize_width(in, filter, width, wide.rgb));
        GR_TRY(resize_height(&wide, filter, height, rgb));
    }
done:
    gr_image_fini(&wide);
    return err;
}

gr_err gr_image_resize(const gr_image *in, gr_image_filter filter, int64_t width,
                       int64_t height, gr_image *out)
{
    gr_err err = GR_OK;
    gr_image result = {.width = width, .height = height};
    GR_TRY(gri_image_check_size("resize", width, height));
    GR_ALLOC(result.rgb, width * height * 3);
    GR_TRY(gr_image_resize_to(in, filter, width, height, result.rgb));
    *out = result;
    result = (gr_image){0};
done:
    gr_image_fini(&result);
    return err;
}

gr_err gr_image_resize_crop(const gr_image *in, gr_image_filter filter, int64_t edge,
                            int64_t crop, unsigned char *rgb)
{
    gr_err err = GR_OK;
    gr_image whole = {0};
    bool upright = in->height >= in->width;
    int64_t shorter = upright ? in->width : in->height;
    int64_t longer = upright ? in->height : in->width;
    if (crop < 1 || crop > edge) {
        GR_FAIL(GR_ERR_USAGE,
                "a crop of %lld pixels out of a shorter side of %lld; expected 1 to %lld",
                (long long)crop, (long long)edge, (long long)edge);
    }
    // Python's int(edge * longer / shorter): one rounding, then cut off.
    GR_TRY(gri_image_check_size("resize", edge, 1));
    int64_t stretched = (int64_t)((double)(edge * longer) / (double)shorter);
    if (crop == edge && crop == stretched) {
        GR_TRY(gr_image_resize_to(in, filter, crop, crop, rgb));
        goto done;
    }
    GR_TRY(gr_image_resize(in, filter, upright ? edge : stretched, upright ? stretched : edge,
                           &whole));
    int64_t left = (whole.width - crop) / 2, top = (whole.height - crop) / 2;
    for (int64_t y = 0; y < crop; y++) {
        memcpy(rgb + y * crop * 3, whole.rgb + ((top + y) * whole.width + left) * 3,
               (size_t)crop * 3);
    }
done:
    gr_image_fini(&whole);
    return err;
}

gr_err gr_image_pad_square(const gr_image *in, const unsigned char colour[3], gr_image *out)
{
    gr_err err = GR_OK;
    unsigned char *rgb = NULL;
    int64_t side = in->width > in->height ? in->width : in->height;
    int64_t left = (side - in->width) / 2, top = (side - in->height) / 2;
    GR_TRY(gri_image_check_size("pad to a square", side, side));
    GR_ALLOC(rgb, side * side * 3);
    for (int64_t i = 0; i < side * side; i++) {
        memcpy(rgb + 3 * i, colour, 3);
    }
    for (int64_t y = 0; y < in->height; y++) {
        memcpy(rgb + ((top + y) * side + left) * 3, in->rgb + y * in->width * 3,
               (size_t)in->width * 3);
    }
    *out = (gr_image){.width = side, .height = side, .rgb = rgb};
done:
    return err;
}

void gr_image_values(double scale, const double mean[3], const double std[3],
                     float value[3][256])
{
    for (int64_t c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float pixel = scale == 0 ? (float)v / 255.0F : (float)(v * scale);
            value[c][v] = (pixel - (float)mean[c]) / (float)std[c];
        }
    }
}

void gr_image_normalize(const gr_image *in, double scale, const double mean[3],
                        const double std[3], float *out)
{
    int64_t pixels = in->width * in->height;
    float value[3][256];
    gr_image_values(scale, mean, std, value);
    for (int64_t i = 0; i < pixels; i++) {
        for (int64_t c = 0; c < 3; c++) {
            out[c * pixels + i] = value[c][in->rgb[3 * i + c]];
        }
    }
}
