#include "src/formats/image_tiles.h"

#include "src/base/mem.h"

#include <math.h>
#include <string.h>

/// Whether the grid covers `other` a whole number of times both ways.
static bool divides(gr_tile_grid grid, gr_tile_grid other)
{
    return other.columns % grid.columns == 0 && other.rows % grid.rows == 0;
}

/// The grid nearest to the picture's aspect; those that divide `taken` are left out (0 x 0: none is).
/// Distances are compared as the doubles they are: InternVL's choice hangs on their ties and rounding.
static gr_tile_grid nearest_grid(const gr_tile_rules *rules, int64_t width, int64_t height,
                                 gr_tile_grid taken)
{
    gr_tile_grid best = {1, 1};
    double aspect = (double)width / (double)height, distance = INFINITY;
    double pixels = (double)(width * height), side = (double)rules->side;
    for (int64_t area = rules->fewest; area <= rules->most; area++) {
        for (int64_t columns = 1; columns <= area; columns++) {
            gr_tile_grid grid = {columns, area / columns};
            if (area % columns != 0 || (taken.columns > 0 && divides(grid, taken))) {
                continue;
            }
            double d = fabs(aspect - (double)grid.columns / (double)grid.rows);
            bool fills = pixels > 0.5 * side * side * (double)columns * (double)grid.rows;
            if (d < distance || (d == distance && fills)) {
                distance = d;
                best = grid;
            }
        }
    }
    return best;
}

static gr_err check_rules(const gr_tile_rules *r, int64_t width, int64_t height)
{
    gr_err err = GR_OK;
    if (r->side < 1 || r->side > GR_IMAGE_MAX_SIDE || r->fewest < 1 || r->most < r->fewest ||
        r->most > GR_TILES_MOST) {
        GR_FAIL(GR_ERR_USAGE,
                "tiles of %lld pixels, %lld to %lld of them; expected 1 to %d pixels, at least "
                "1 tile, at most %d, and no more at least than at most",
                (long long)r->side, (long long)r->fewest, (long long)r->most,
                (int)GR_IMAGE_MAX_SIDE, (int)GR_TILES_MOST);
    }
    if (width < 1 || height < 1 || width > GR_IMAGE_MAX_PIXELS / height) {
        GR_FAIL(GR_ERR_USAGE, "tiles of a picture of %lld x %lld pixels; expected 1 to %d",
                (long long)width, (long long)height, (int)GR_IMAGE_MAX_PIXELS);
    }
done:
    return err;
}

gr_err gr_tiles_plan(const gr_tile_rules *rules, int64_t width, int64_t height,
                     gr_tile_plan *out)
{
    gr_err err = GR_OK;
    gr_tile_plan plan = {0};
    GR_TRY(check_rules(rules, width, height));
    plan.first = nearest_grid(rules, width, height, (gr_tile_grid){0});
    if (rules->second_scale) {
        plan.second = nearest_grid(rules, width, height, plan.first);
    }
    int64_t first = plan.first.columns * plan.first.rows;
    plan.thumbnail = (rules->thumbnail || rules->second_scale) && first > 1;
    plan.count = first + plan.second.columns * plan.second.rows + plan.thumbnail;
    *out = plan;
done:
    return err;
}

/// Resizes to the grid and writes its tiles, one under the other, to `to`; moves `to` behind them. A single column is that already.
static gr_err put_grid(const gr_tile_rules *rules, gr_tile_grid grid, const gr_image *in,
                       unsigned char **to)
{
    gr_err err = GR_OK;
    gr_image whole = {0};
    const int64_t side = rules->side, row = side * 3;
    if (grid.columns == 1) {
        GR_TRY(gr_image_resize_to(in, rules->filter, side, grid.rows * side, *to));
        *to += grid.rows * side * row;
        goto done;
    }
    GR_TRY(gr_image_resize(in, rules->filter, grid.columns * side, grid.rows * side, &whole));
    for (int64_t tile = 0; tile < grid.columns * grid.rows; tile++) {
        int64_t left = tile % grid.columns, top = tile / grid.columns * side;
        for (int64_t y = 0; y < side; y++) {
            const unsigned char *from = whole.rgb + (top + y) * whole.width * 3 + left * row;
            memcpy(*to, from, (size_t)row);
            *to += row;
        }
    }
done:
    gr_image_fini(&whole);
    return err;
}

gr_err gr_tiles_cut(const gr_tile_rules *rules, const gr_tile_plan *plan, const gr_image *in,
                    unsigned char *rgb)
{
    gr_err err = GR_OK;
    const gr_tile_grid one = {1, 1};
    // SAIL-VL puts the second grid before the first one's last tile: the thumbnail, or else its only tile.
    bool single = plan->first.columns * plan->first.rows == 1;
    unsigned char *to = rgb;
    if (!single) {
        GR_TRY(put_grid(rules, plan->first, in, &to));
    }
    if (plan->second.columns > 0) {
        GR_TRY(put_grid(rules, plan->second, in, &to));
    }
    if (single || plan->thumbnail) {
        GR_TRY(put_grid(rules, one, in, &to));
    }
    GR_ASSERT(to == rgb + plan->count * rules->side * rules->side * 3);
done:
    return err;
}
