#include "src/formats/pictures.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/formats/image_tiles.h"

enum { MOST_BYTES = 1 << 30 };

static gr_image_filter filter_of(const gr_vision_config *v)
{
    return v->pictures.bilinear ? GR_IMAGE_BILINEAR : GR_IMAGE_BICUBIC;
}

static bool is_tiled(const gr_vision_config *v)
{
    return v->pictures.most > 1;
}

static gr_tile_rules grid_of(const gr_vision_config *v)
{
    const gr_picture_rules *r = &v->pictures;
    return (gr_tile_rules){.side = v->image_size,
                           .fewest = r->fewest ? r->fewest : 1,
                           .most = r->most,
                           .thumbnail = r->thumbnail,
                           .second_scale = r->second_scale,
                           .filter = filter_of(v)};
}

/// The colour that is black after normalisation, as Python's int(255 * mean) cuts it off.
static void padding_colour(const gr_vision_config *v, unsigned char colour[3])
{
    for (int c = 0; c < 3; c++) {
        double value = 255 * v->image_mean[c];
        colour[c] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/// The whole picture as one square.
static gr_err fit(const gr_vision_config *v, const gr_image *in, unsigned char *out)
{
    gr_err err = GR_OK;
    gr_image padded = {0};
    unsigned char colour[3];
    const int64_t side = v->image_size;
    switch (v->pictures.fit) {
    case GR_FIT_CROP:
        GR_TRY(gr_image_resize_crop(in, filter_of(v),
                                    v->pictures.edge ? v->pictures.edge : side, side, out));
        break;
    case GR_FIT_PAD:
        padding_colour(v, colour);
        GR_TRY(gr_image_pad_square(in, colour, &padded));
        GR_TRY(gr_image_resize_to(&padded, filter_of(v), side, side, out));
        break;
    case GR_FIT_STRETCH:
        GR_TRY(gr_image_resize_to(in, filter_of(v), side, side, out));
        break;
    }
done:
    gr_image_fini(&padded);
    return err;
}

/// All tiles, one under the other.
static gr_err cut(const gr_vision_config *v, const char *name, const gr_image *in,
                  int64_t tiles, unsigned char *out)
{
    gr_err err = GR_OK;
    gr_tile_plan plan = {.count = 1};
    const gr_tile_rules grid = grid_of(v);
    if (is_tiled(v)) {
        GR_TRY(gr_tiles_plan(&grid, in->width, in->height, &plan));
    }
    if (plan.count != tiles) {
        GR_FAIL(GR_ERR_DATA, "%s: %lld tiles, but its header promised %lld", name,
                (long long)plan.count, (long long)tiles);
    }
    if (is_tiled(v)) {
        GR_TRY(gr_tiles_cut(&grid, &plan, in, out));
    } else {
        GR_TRY(fit(v, in, out));
    }
done:
    return err;
}

gr_err gr_picture_tiles_of(const gr_vision_config *vision, int64_t width, int64_t height,
                           int64_t *tiles)
{
    gr_err err = GR_OK;
    gr_tile_plan plan = {.count = 1};
    if (is_tiled(vision)) {
        const gr_tile_rules grid = grid_of(vision);
        GR_TRY(gr_tiles_plan(&grid, width, height, &plan));
    }
    *tiles = plan.count;
done:
    return err;
}

gr_err gr_picture_tiles(const gr_vision_config *vision, unsigned how, const char *name,
                        const void *data, size_t size, int64_t *tiles)
{
    gr_err err = GR_OK;
    int64_t width = 0, height = 0;
    if (is_tiled(vision)) {
        GR_TRY(gr_image_size(name, data, size, how, &width, &height));
    }
    GR_TRY(gr_picture_tiles_of(vision, width, height, tiles));
done:
    return err;
}

gr_err gr_picture_bytes(const gr_vision_config *vision, unsigned how, const char *name,
                        const void *data, size_t size, int64_t tiles, unsigned char *out)
{
    gr_err err = GR_OK;
    gr_image image = {0};
    GR_TRY(gr_image_decode(name, data, size, how, &image));
    GR_TRY_CONTEXT(cut(vision, name, &image, tiles, out), "%s", name);
done:
    gr_image_fini(&image);
    return err;
}

void gr_picture_values(const gr_vision_config *vision, float value[3][256])
{
    gr_image_values(vision->pictures.rescale, vision->image_mean, vision->image_std, value);
}

gr_err gr_picture_pixels(const gr_vision_config *vision, unsigned how, const char *name,
                         const void *data, size_t size, int64_t tiles, float *out)
{
    gr_err err = GR_OK;
    unsigned char *bytes = NULL;
    const int64_t side = vision->image_size, values = 3 * side * side;
    GR_ALLOC(bytes, tiles * values);
    GR_TRY(gr_picture_bytes(vision, how, name, data, size, tiles, bytes));
    for (int64_t i = 0; i < tiles; i++) {
        const gr_image tile = {side, side, bytes + i * values};
        gr_image_normalize(&tile, vision->pictures.rescale, vision->image_mean,
                           vision->image_std, out + i * values);
    }
done:
    GR_FREE(bytes);
    return err;
}

gr_err gr_picture_file_tiles(const gr_vision_config *vision, unsigned how, const char *path,
                             int64_t *tiles)
{
    gr_err err = GR_OK;
    char *data = NULL;
    size_t size = 0;
    GR_TRY(gr_file_read(path, MOST_BYTES, &data, &size));
    GR_TRY(gr_picture_tiles(vision, how, path, data, size, tiles));
done:
    GR_FREE(data);
    return err;
}

static gr_err add_file(const gr_vision_config *v, unsigned how, const char *path,
                       int64_t *tiles, gr_pictures *out)
{
    gr_err err = GR_OK;
    char *data = NULL;
    size_t size = 0;
    const int64_t values = 3 * v->image_size * v->image_size;
    GR_TRY(gr_file_read(path, MOST_BYTES, &data, &size));
    GR_TRY(gr_picture_tiles(v, how, path, data, size, tiles));
    GR_RESIZE(out->pixels, out->count * values, (out->count + *tiles) * values);
    GR_TRY(
        gr_picture_pixels(v, how, path, data, size, *tiles, out->pixels + out->count * values));
    out->count += *tiles;
done:
    GR_FREE(data);
    return err;
}

gr_err gr_pictures_load(const gr_vision_config *vision, unsigned how, const char *const *paths,
                        int64_t count, gr_pictures *out)
{
    gr_err err = GR_OK;
    gr_pictures p = {0};
    GR_ALLOC(p.tiles, count);
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(add_file(vision, how, paths[i], &p.tiles[i], &p));
    }
    *out = p;
    p = (gr_pictures){0};
done:
    gr_pictures_fini(&p);
    return err;
}

void gr_pictures_fini(gr_pictures *pictures)
{
    GR_FREE(pictures->pixels);
    GR_FREE(pictures->tiles);
    pictures->count = 0;
}
