#include "src/base/mem.h"
#include "src/formats/image.h"

#include <png.h>
#include <string.h>

gr_err gr_image_encode_png(const gr_image *in, unsigned char **data, size_t *size)
{
    gr_err err = GR_OK;
    unsigned char *bytes = NULL;
    png_alloc_size_t need = 0;
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)in->width,
                     .height = (png_uint_32)in->height,
                     .format = PNG_FORMAT_RGB};
    if (!png_image_write_get_memory_size(png, need, 0, in->rgb, 0, NULL)) {
        GR_FAIL(GR_ERR_FAILED, "a picture of %lld x %lld pixels cannot become a PNG: %s",
                (long long)in->width, (long long)in->height, png.message);
    }
    GR_ALLOC(bytes, need);
    if (!png_image_write_to_memory(&png, bytes, &need, 0, in->rgb, 0, NULL)) {
        GR_FAIL(GR_ERR_FAILED, "a picture of %lld x %lld pixels cannot become a PNG: %s",
                (long long)in->width, (long long)in->height, png.message);
    }
    *data = bytes;
    *size = need;
    bytes = NULL;
done:
    GR_FREE(bytes);
    png_image_free(&png);
    return err;
}
