#ifndef TESTS_IMAGE_SUPPORT_H
#define TESTS_IMAGE_SUPPORT_H

#include "src/base/mem.h"
#include "src/formats/image_tiles.h"

/// gr_image_resize_crop into memory of its own.
static inline gr_err resize_crop(const gr_image *in, gr_image_filter filter, int64_t edge,
                                 int64_t crop, gr_image *out)
{
    gr_err err = GR_OK;
    gr_image square = {.width = crop, .height = crop};
    GR_ALLOC(square.rgb, crop * crop * 3);
    GR_TRY(gr_image_resize_crop(in, filter, edge, crop, square.rgb));
    *out = square;
    square = (gr_image){0};
done:
    gr_image_fini(&square);
    return err;
}

/// gr_tiles_cut into memory of its own.
static inline gr_err cut_tiles(const gr_tile_rules *rules, const gr_tile_plan *plan,
                               const gr_image *in, gr_image *out)
{
    gr_err err = GR_OK;
    gr_image tiles = {.width = rules->side, .height = plan->count * rules->side};
    GR_ALLOC(tiles.rgb, tiles.width * tiles.height * 3);
    GR_TRY(gr_tiles_cut(rules, plan, in, tiles.rgb));
    *out = tiles;
    tiles = (gr_image){0};
done:
    gr_image_fini(&tiles);
    return err;
}

#endif
