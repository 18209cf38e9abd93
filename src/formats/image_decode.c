#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <string.h>

void gr_image_fini(gr_image *image)
{
    GR_FREE(image->rgb);
    *image = (gr_image){0};
}

gr_err gri_image_check_size(const char *name, int64_t width, int64_t height)
{
    gr_err err = GR_OK;
    if (width < 1 || height < 1 || width > GR_IMAGE_MAX_SIDE || height > GR_IMAGE_MAX_SIDE ||
        width > GR_IMAGE_MAX_PIXELS / height) {
        GR_FAIL(GR_ERR_DATA,
                "%s: image of %lld x %lld pixels; expected 1 to %d pixels, at most %d a side",
                name, (long long)width, (long long)height, (int)GR_IMAGE_MAX_PIXELS,
                (int)GR_IMAGE_MAX_SIDE);
    }
done:
    return err;
}

void gri_image_blend_white(const unsigned char *rgba, int64_t pixels, unsigned char *rgb)
{
    for (int64_t i = 0; i < pixels; i++) {
        unsigned alpha = rgba[4 * i + 3];
        for (int64_t c = 0; c < 3; c++) {
            unsigned sum = rgba[4 * i + c] * alpha + 255 * (255 - alpha);
            rgb[3 * i + c] = (unsigned char)((sum + 127) / 255);
        }
    }
}

static bool begins(const void *data, size_t size, size_t at, const char *magic, size_t n)
{
    return size >= at + n && memcmp((const unsigned char *)data + at, magic, n) == 0;
}

const char *gr_image_kind(const void *data, size_t size)
{
    if (begins(data, size, 0, "\x89PNG\r\n\x1a\n", 8)) {
        return "png";
    }
    if (begins(data, size, 0, "\xff\xd8\xff", 3)) {
        return "jpeg";
    }
    if (begins(data, size, 0, "RIFF", 4) && begins(data, size, 8, "WEBP", 4)) {
        return "webp";
    }
    return NULL;
}

/// By the decoder of its kind, as the picture lies.
static gr_err decode(const char *name, const void *data, size_t size, unsigned how,
                     gr_image *out)
{
    gr_err err = GR_OK;
    const char *kind = gr_image_kind(data, size);
    if (size == 0) {
        GR_FAIL(GR_ERR_DATA, "%s: empty; expected a PNG, JPEG or WebP image", name);
    }
    if (!kind) {
        GR_FAIL(GR_ERR_DATA, "%s: neither PNG, JPEG nor WebP by its first bytes", name);
    }
    if (strcmp(kind, "png") == 0) {
        GR_TRY(gri_png_decode(name, data, size, how, out));
    } else if (strcmp(kind, "jpeg") == 0) {
        GR_TRY(gri_jpeg_decode(name, data, size, how, out));
    } else {
        GR_TRY(gri_webp_decode(name, data, size, how, out));
    }
done:
    return err;
}

gr_err gr_image_decode(const char *name, const void *data, size_t size, unsigned how,
                       gr_image *out)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    unsigned white = how & GR_IMAGE_OVER_WHITE ? GRI_DECODE_OVER_WHITE : 0;
    GR_TRY(decode(name, data, size, white, &image));
    if (how & GR_IMAGE_UPRIGHT) {
        GR_TRY(gri_image_turn(gr_image_orientation(data, size), &image));
    }
    *out = image;
    image = (gr_image){0};
done:
    gr_image_fini(&image);
    return err;
}

gr_err gr_image_size(const char *name, const void *data, size_t size, unsigned how,
                     int64_t *width, int64_t *height)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    GR_TRY(decode(name, data, size, GRI_DECODE_HEADER_ONLY, &image));
    bool turned = (how & GR_IMAGE_UPRIGHT) && gr_image_orientation(data, size) >= 5;
    *width = turned ? image.height : image.width;
    *height = turned ? image.width : image.height;
done:
    return err;
}
