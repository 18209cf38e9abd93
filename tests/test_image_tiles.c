#include "src/base/mem.h"
#include "src/base/rng.h"
#include "tests/check.h"
#include "tests/image_support.h"

#include <string.h>

static const gr_tile_rules twelve = {.side = 448, .fewest = 1, .most = 12, .thumbnail = true};

static void test_limits(void)
{
    gr_tile_rules rules = twelve;
    gr_tile_plan plan = {0};
    rules.fewest = 3;
    GR_CHECK_OK(gr_tiles_plan(&rules, 448, 448, &plan));
    GR_CHECK_INT(plan.first.columns * plan.first.rows, 4); // 1 x 1 is out of question
    rules.thumbnail = false;
    GR_CHECK_OK(gr_tiles_plan(&rules, 448, 448, &plan));
    GR_CHECK_INT(plan.count, 4);
    GR_CHECK_OK(gr_tiles_plan(&twelve, 1, 1 << 20, &plan));
    GR_CHECK_INT(plan.first.columns, 1);
    GR_CHECK_INT(plan.first.rows, 12);
    rules.most = 2;
    GR_CHECK_ERR(gr_tiles_plan(&rules, 4, 4, &plan), GR_ERR_USAGE, "3 to 2");
    rules.fewest = 0;
    GR_CHECK_ERR(gr_tiles_plan(&rules, 4, 4, &plan), GR_ERR_USAGE, "0 to 2");
    rules.fewest = rules.most = 1025;
    GR_CHECK_ERR(gr_tiles_plan(&rules, 4, 4, &plan), GR_ERR_USAGE, "at most 1024");
    rules = twelve;
    rules.side = 0;
    GR_CHECK_ERR(gr_tiles_plan(&rules, 4, 4, &plan), GR_ERR_USAGE, "tiles of 0 pixels");
    GR_CHECK_ERR(gr_tiles_plan(&twelve, 0, 4, &plan), GR_ERR_USAGE, "0 x 4");
    GR_CHECK_ERR(gr_tiles_plan(&twelve, 4, -1, &plan), GR_ERR_USAGE, "4 x -1");
    GR_CHECK_ERR(gr_tiles_plan(&twelve, INT64_MAX, INT64_MAX, &plan), GR_ERR_USAGE,
                 "tiles of a");
}

/// The second scale takes the nearest grid that is not the first, nor a whole part of it; 1 x 1 when none is left.
static void test_second_scale(void)
{
    gr_tile_rules rules = twelve;
    gr_tile_plan plan = {0};
    rules.second_scale = true;
    GR_CHECK_OK(gr_tiles_plan(&rules, 800, 600, &plan)); // 4 x 3, then 3 x 2 at 1.5 (0.166 off)
    GR_CHECK_INT(plan.first.columns, 4);
    GR_CHECK_INT(plan.second.columns, 3);
    GR_CHECK_INT(plan.second.rows, 2);
    GR_CHECK_INT(plan.count, 12 + 6 + 1);
    GR_CHECK_OK(
        gr_tiles_plan(&rules, 448, 448, &plan)); // 1 x 1 divides itself only; 2 x 2 is as near
    GR_CHECK_INT(plan.first.columns * plan.first.rows, 1);
    GR_CHECK_INT(plan.second.columns, 2);
    GR_CHECK_INT(plan.second.rows, 2);
    GR_CHECK_INT(plan.count, 1 + 4);
    rules.most = 1;
    GR_CHECK_OK(gr_tiles_plan(&rules, 448, 448, &plan));
    GR_CHECK_INT(plan.second.columns * plan.second.rows, 1);
    GR_CHECK_INT(plan.count, 2);
}

static void make_picture(gr_image *image)
{
    *image = (gr_image){.width = 13, .height = 9, .rgb = gr_mem_alloc(13 * 9 * 3, 1)};
    for (int i = 0; i < 13 * 9 * 3; i++) {
        image->rgb[i] = (unsigned char)gr_rng_u64(1, 2, (uint64_t)i);
    }
}

/// Tile `number` of `tiles` shows tile (column, row) of the picture resized to a grid.
static void check_tile(const gr_image *tiles, int64_t number, const gr_image *in,
                       gr_tile_grid grid, int64_t column, int64_t row)
{
    gr_image whole = {0};
    int64_t side = tiles->width;
    GR_CHECK_OK(
        gr_image_resize(in, GR_IMAGE_BICUBIC, grid.columns * side, grid.rows * side, &whole));
    for (int64_t y = 0; y < side; y++) {
        GR_CHECK_BYTES(tiles->rgb + (number * side + y) * side * 3,
                       whole.rgb + ((row * side + y) * whole.width + column * side) * 3,
                       (size_t)side * 3);
    }
    gr_image_fini(&whole);
}

static void test_cut(void)
{
    const gr_tile_grid one = {1, 1};
    gr_tile_rules rules = {.side = 4, .fewest = 1, .most = 6, .thumbnail = true};
    gr_tile_plan plan = {0};
    gr_image in = {0}, out = {0};
    make_picture(&in);
    for (int second = 0; second < 2; second++) {
        rules.second_scale = second;
        GR_CHECK_OK(gr_tiles_plan(&rules, in.width, in.height, &plan));
        GR_CHECK_INT(plan.first.columns, 3);
        GR_CHECK_INT(plan.first.rows, 2);
        GR_CHECK_OK(cut_tiles(&rules, &plan, &in, &out));
        GR_CHECK_INT(out.width, 4);
        GR_CHECK_INT(out.height, 4 * plan.count);
        for (int64_t i = 0; i < 6; i++) {
            check_tile(&out, i, &in, plan.first, i % 3, i / 3);
        }
        for (int64_t i = 0; i < plan.second.columns * plan.second.rows; i++) {
            check_tile(&out, 6 + i, &in, plan.second, i % plan.second.columns,
                       i / plan.second.columns);
        }
        GR_CHECK_INT(plan.count > 7, second);
        check_tile(&out, plan.count - 1, &in, one, 0, 0);
        gr_image_fini(&out);
    }
    gr_image_fini(&in);
}

/// One tile of the whole is the plain resize; with a second scale it comes last.
static void test_cut_single(void)
{
    const gr_tile_grid one = {1, 1};
    gr_tile_rules rules = {.side = 14, .fewest = 1, .most = 2, .thumbnail = true};
    gr_tile_plan plan = {0};
    gr_image in = {0}, out = {0};
    make_picture(&in);
    rules.most = 1;
    GR_CHECK_OK(gr_tiles_plan(&rules, in.width, in.height, &plan));
    GR_CHECK_OK(cut_tiles(&rules, &plan, &in, &out));
    GR_CHECK_INT(out.height, 14);
    check_tile(&out, 0, &in, one, 0, 0);
    gr_image_fini(&out);
    rules.most = 2;
    rules.second_scale = true;
    GR_CHECK_OK(gr_tiles_plan(&rules, in.width, in.height, &plan));
    GR_CHECK_INT(plan.first.columns, 1);
    GR_CHECK_INT(plan.second.columns, 2);
    GR_CHECK_OK(cut_tiles(&rules, &plan, &in, &out));
    check_tile(&out, 0, &in, plan.second, 0, 0);
    check_tile(&out, 1, &in, plan.second, 1, 0);
    check_tile(&out, 2, &in, one, 0, 0);
    gr_image_fini(&out);
    gr_image_fini(&in);
}

static void test_allocation_failures(void)
{
    gr_tile_rules rules = {.side = 4, .fewest = 1, .most = 6, .thumbnail = true};
    gr_tile_plan plan = {0};
    gr_image in = {0};
    make_picture(&in);
    GR_CHECK_OK(gr_tiles_plan(&rules, in.width, in.height, &plan));
    int64_t used = gr_mem_used();
    gr_err err = GR_ERR_MEMORY;
    int failures = 0;
    for (int n = 1; err == GR_ERR_MEMORY && n < 99; n++) {
        gr_image out = {0};
        gr_mem_fail_at(n);
        err = cut_tiles(&rules, &plan, &in, &out);
        gr_mem_fail_at(0);
        failures += err == GR_ERR_MEMORY;
        gr_image_fini(&out);
        GR_CHECK_INT(gr_mem_used(), used);
    }
    GR_CHECK_OK(err);
    GR_CHECK(failures > 10);
    gr_image_fini(&in);
}

static const gr_test tests[] = {
    {"limits", test_limits},
    {"second_scale", test_second_scale},
    {"cut", test_cut},
    {"cut_single", test_cut_single},
    {"allocation_failures", test_allocation_failures},
};
GR_TEST_MAIN("image_tiles", tests)
