#ifndef SRC_FORMATS_IMAGE_TILES_H
#define SRC_FORMATS_IMAGE_TILES_H

/// Dynamic tiling of InternVL and SAIL-VL: a picture becomes columns x rows square tiles whose grid fits its aspect best,
/// and a small view of the whole. Source: OpenGVLab/InternVL train/dataset.py, dynamic_preprocess.

#include "src/formats/image.h"

enum { GR_TILES_MOST = 1024 };

typedef struct gr_tile_rules {
    int64_t side;         ///< of a tile, pixels (the model's image_size)
    int64_t fewest, most; ///< tiles of the grid, 1 <= fewest <= most <= GR_TILES_MOST
    bool thumbnail;       ///< the whole picture as a last tile, when there is more than one
    /// SAIL-VL's `msac`: a second grid between the first and the thumbnail, which it brings along
    bool second_scale;
    gr_image_filter filter; ///< bicubic in every published model
} gr_tile_rules;

typedef struct gr_tile_grid {
    int64_t columns, rows;
} gr_tile_grid;

/// Which tiles a picture becomes.
typedef struct gr_tile_plan {
    gr_tile_grid first;
    gr_tile_grid second; ///< 0 x 0 without a second scale
    bool thumbnail;
    int64_t count; ///< of all tiles
} gr_tile_plan;

/// The plan for a picture of this size. Of all grids with fewest <= columns * rows <= most, by rising area and inside one
/// area by rising columns: the first whose columns / rows is nearest to width / height (as doubles); a later one that is
/// exactly as near takes its place if the picture has more than half the pixels of its tiles. second: the same among the
/// grids that do not divide the first (1 x 1 if none is left). Sizes or rules out of range: GR_ERR_USAGE.
GR_MUST_CHECK gr_err gr_tiles_plan(const gr_tile_rules *rules, int64_t width, int64_t height,
                                   gr_tile_plan *out);
/// The tiles of the plan, one under the other, into `rgb` [count, side, side, 3], which the caller has.
/// Each grid is the picture resized to columns * side x rows * side whatever its aspect, cut row by row.
GR_MUST_CHECK gr_err gr_tiles_cut(const gr_tile_rules *rules, const gr_tile_plan *plan,
                                  const gr_image *in, unsigned char *rgb);

#endif
