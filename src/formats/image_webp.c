#include "src/base/mem.h"
#include "src/formats/image_codec.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/encode.h>

static const char *status_text(VP8StatusCode status)
{
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "out of memory in libwebp";
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return "truncated";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "a feature that libwebp does not know";
    default:
        return "broken";
    }
}

static gr_err decode_into(const char *name, const void *data, size_t size, bool alpha,
                          gr_image *image, unsigned char *pixels)
{
    gr_err err = GR_OK;
    int channels = alpha ? 4 : 3;
    WebPDecoderConfig config;
    GR_ASSERT(WebPInitDecoderConfig(&config));
    config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = (int)image->width * channels;
    config.output.u.RGBA.size = (size_t)(image->width * image->height * channels);
    VP8StatusCode status = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    if (status != VP8_STATUS_OK) {
        GR_FAIL(status == VP8_STATUS_OUT_OF_MEMORY ? GR_ERR_MEMORY : GR_ERR_DATA,
                "%s: bad WebP: %s", name, status_text(status));
    }
done:
    return err;
}

gr_err gri_webp_decode(const char *name, const void *data, size_t size, unsigned how,
                       gr_image *out)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    unsigned char *rgba = NULL;
    WebPBitstreamFeatures features;
    VP8StatusCode status = WebPGetFeatures(data, size, &features);
    if (status != VP8_STATUS_OK) {
        GR_FAIL(GR_ERR_DATA, "%s: bad WebP: %s", name, status_text(status));
    }
    if (features.has_animation) {
        GR_FAIL(GR_ERR_DATA, "%s: an animated WebP; expected a still image", name);
    }
    image.width = features.width;
    image.height = features.height;
    GR_TRY(gri_image_check_size(name, image.width, image.height));
    if (how & GRI_DECODE_HEADER_ONLY) {
        goto finish;
    }
    GR_ALLOC(image.rgb, image.width * image.height * 3);
    if ((how & GRI_DECODE_OVER_WHITE) && features.has_alpha) {
        GR_ALLOC(rgba, image.width * image.height * 4);
        GR_TRY(decode_into(name, data, size, true, &image, rgba));
        gri_image_blend_white(rgba, image.width * image.height, image.rgb);
    } else {
        GR_TRY(decode_into(name, data, size, false, &image, image.rgb));
    }
finish:
    *out = image;
    image = (gr_image){0};
done:
    GR_FREE(rgba);
    gr_image_fini(&image);
    return err;
}

/// `method` 4 is libwebp's middle between speed and size.
static bool configure(double quality, WebPConfig *config)
{
    if (!WebPConfigInit(config)) {
        return false;
    }
    config->method = 4;
    if (quality < 0) {
        config->lossless = 1;
        config->exact = 1;
    } else {
        config->quality = (float)quality;
    }
    return WebPValidateConfig(config) != 0;
}

gr_err gr_image_encode_webp(const gr_image *in, double quality, unsigned char **data,
                            size_t *size)
{
    gr_err err = GR_OK;
    WebPConfig config;
    WebPPicture picture = {0};
    WebPMemoryWriter writer = {0};
    unsigned char *copy = NULL;
    if (!configure(quality, &config)) {
        GR_FAIL(GR_ERR_USAGE, "WebP quality %g; expected 0 to 100, or below 0 for lossless",
                quality);
    }
    if (in->width < 1 || in->height < 1 || in->width > WEBP_MAX_DIMENSION ||
        in->height > WEBP_MAX_DIMENSION) {
        GR_FAIL(GR_ERR_DATA, "an image of %lld x %lld cannot be WebP; expected 1 to %d a side",
                (long long)in->width, (long long)in->height, WEBP_MAX_DIMENSION);
    }
    GR_ASSERT(WebPPictureInit(&picture));
    WebPMemoryWriterInit(&writer);
    picture.use_argb = config.lossless;
    picture.width = (int)in->width;
    picture.height = (int)in->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &writer;
    if (!WebPPictureImportRGB(&picture, in->rgb, (int)in->width * 3) ||
        !WebPEncode(&config, &picture)) {
        GR_FAIL(GR_ERR_FAILED, "libwebp cannot encode %lld x %lld pixels: error %d",
                (long long)in->width, (long long)in->height, (int)picture.error_code);
    }
    GR_ALLOC(copy, writer.size);
    memcpy(copy, writer.mem, writer.size);
    *data = copy;
    *size = writer.size;
done:
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&writer);
    return err;
}
