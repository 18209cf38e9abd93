// Pictures: decoded in each way, resized, cut into tiles, turned to numbers.
#include "src/base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "tests/image_support.h"

static void use(const gr_image *image)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.5, 0.5, 0.5};
    static float pixels[3 * 16 * 16];
    const gr_tile_rules rules = {
        .side = 16, .fewest = 1, .most = 4, .thumbnail = true, .second_scale = true};
    gr_tile_plan plan = {0};
    gr_image out = {0};
    GR_ASSERT(gr_image_resize(image, GR_IMAGE_BILINEAR, 16, 16, &out) == GR_OK);
    gr_image_normalize(&out, 0, mean, std, pixels);
    for (int i = 0; i < 3 * 16 * 16; i++) {
        GR_ASSERT(pixels[i] >= -1 && pixels[i] <= 1);
    }
    gr_image_fini(&out);
    GR_ASSERT(gr_tiles_plan(&rules, image->width, image->height, &plan) == GR_OK);
    GR_ASSERT(cut_tiles(&rules, &plan, image, &out) == GR_OK);
    gr_image_fini(&out);
    if (resize_crop(image, GR_IMAGE_BICUBIC, 9, 7, &out) == GR_OK) {
        gr_image_fini(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t used = gr_mem_used();
    for (unsigned how = 0; how < 4; how += 3) {
        gr_image image = {0};
        int64_t width = 0, height = 0;
        gr_err header = gr_image_size("fuzz", data, size, how, &width, &height);
        gr_err err = gr_image_decode("fuzz", data, size, how, &image);
        GR_ASSERT(header == GR_OK || (header == GR_ERR_DATA && err != GR_OK));
        GR_ASSERT(err != GR_OK || (width == image.width && height == image.height));
        GR_ASSERT((err == GR_OK) == (image.rgb != NULL));
        GR_ASSERT(err == GR_OK || err == GR_ERR_DATA);
        if (err == GR_OK) {
            GR_ASSERT(image.width >= 1 && image.height >= 1);
            GR_ASSERT(image.width * image.height <= GR_IMAGE_MAX_PIXELS);
            use(&image);
        }
        gr_image_fini(&image);
    }
    GR_ASSERT(gr_mem_used() == used);
    return 0;
}
