// From a scene to pixels. Each pixel is the mean of FINE x FINE points, in integers, so the bytes are the same on every machine.
#include "datasets/synth_scene.h"
#include "src/base/mem.h"

#include <string.h>

enum {
    FINE = 4,                // points across a pixel
    PERIOD = GRI_SCENE / 14, // of stripes and dots: two dark and two light pixels of 56
    RULE = 12                // half the thickness of a chart's rules
};

typedef struct canvas {
    gr_image *image;
    int side;
} canvas;

/// A point in scene units: sample `fine` of pixel `pixel` lies in the middle of its share.
static int place_of(int pixel, int fine, int side)
{
    return (int)(((int64_t)(pixel * FINE + fine) * 2 + 1) * GRI_SCENE /
                 (2 * FINE * (int64_t)side));
}

/// Twice the signed area of (a, b, p): positive where p lies left of a -> b, with y down.
static bool on_side(int ax, int ay, int bx, int by, int px, int py)
{
    return (int64_t)(bx - ax) * (py - ay) - (int64_t)(by - ay) * (px - ax) >= 0;
}

/// Whether the point (dx, dy) from the centre lies in the shape; `r` is half the side of its square.
static bool in_shape(gri_shape shape, int dx, int dy, int r)
{
    const int ax = dx < 0 ? -dx : dx, ay = dy < 0 ? -dy : dy;
    const int64_t far = (int64_t)dx * dx + (int64_t)dy * dy, rr = (int64_t)r * r;
    switch (shape) {
    case GRI_CIRCLE:
        return far <= rr;
    case GRI_SQUARE:
        return 8 * ax <= 7 * r && 8 * ay <= 7 * r; // about as much to see as of the others
    case GRI_TRIANGLE:
        return dy <= r && on_side(-r, r, 0, -r, dx, dy) && on_side(0, -r, r, r, dx, dy);
    case GRI_DIAMOND:
        return ax + ay <= r;
    case GRI_CROSS:
        return (3 * ax <= r && ay <= r) || (3 * ay <= r && ax <= r);
    case GRI_RING:
        return far <= rr && 4 * far >= rr;
    case GRI_SHAPES:
        break;
    }
    return false;
}

/// Whether the texture is light there.
static bool is_light(gri_texture texture, int dx, int dy)
{
    const int x = (dx + 64 * PERIOD) % PERIOD, y = (dy + 64 * PERIOD) % PERIOD;
    switch (texture) {
    case GRI_STRIPED:
        return 2 * y >= PERIOD;
    case GRI_DOTTED:
        return 2 * y >= PERIOD && 2 * x >= PERIOD;
    case GRI_PLAIN:
    case GRI_TEXTURES:
        break;
    }
    return false;
}

static bool in_line(const gri_mark *m, int x, int y)
{
    for (int i = 0; i + 1 < m->count; i++) {
        const int x0 = m->x + i * m->size, x1 = x0 + m->size;
        const int y0 = gri_chart_y(m->value[i]), y1 = gri_chart_y(m->value[i + 1]);
        if (x >= x0 && x <= x1) {
            // Thick by the same height everywhere: a steep line is thinner across.
            const int at = y0 + (int)((int64_t)(y1 - y0) * (x - x0) / (x1 - x0));
            const int steep = y1 > y0 ? y1 - y0 : y0 - y1;
            const int half = 60 + steep / 16;
            return y >= at - half && y <= at + half;
        }
    }
    return false;
}

static bool in_word(const gri_mark *m, int x, int y)
{
    const int dx = x - m->x, dy = y - m->y;
    if (dx < 0 || dy < 0 || dy >= m->size * GRI_FONT_HEIGHT) {
        return false;
    }
    const int column = dx / m->size, letter = column / GRI_FONT_STEP;
    return letter < (int)strlen(m->word) && column % GRI_FONT_STEP < GRI_FONT_WIDTH &&
           gri_font_dot(m->word[letter], dy / m->size, column % GRI_FONT_STEP);
}

/// Whether the mark covers the point, and whether it is light there.
static bool covers(const gri_mark *m, int x, int y, bool *light)
{
    *light = is_light(m->texture, x - m->x, y - m->y);
    switch (m->kind) {
    case GRI_MARK_SHAPE:
        return in_shape(m->shape, x - m->x, y - m->y, m->size);
    case GRI_MARK_BAR:
        return x >= m->x && x < m->x + m->size && y < m->y && y >= gri_chart_y(m->value[0]);
    case GRI_MARK_LINE:
        return in_line(m, x, y);
    case GRI_MARK_WORD:
        return in_word(m, x, y);
    }
    return false;
}

/// The square or oblong around a mark, in scene units.
typedef struct box {
    int left, top, right, bottom;
} box;

static box box_of(const gri_mark *m)
{
    switch (m->kind) {
    case GRI_MARK_SHAPE:
        return (box){m->x - m->size, m->y - m->size, m->x + m->size, m->y + m->size};
    case GRI_MARK_BAR:
        return (box){m->x, gri_chart_y(5), m->x + m->size, m->y};
    case GRI_MARK_WORD:
        return (box){m->x, m->y, m->x + (int)strlen(m->word) * GRI_FONT_STEP * m->size,
                     m->y + GRI_FONT_HEIGHT * m->size};
    case GRI_MARK_LINE:
        break;
    }
    return (box){0, 0, GRI_SCENE, GRI_SCENE};
}

/// The pixel that holds the place, inside the picture.
static int pixel_of(int place, int side)
{
    const int pixel = (int)((int64_t)place * side / GRI_SCENE);
    return pixel < 0 ? 0 : pixel >= side ? side - 1 : pixel;
}

static void paint_pixel(const canvas *c, const gri_mark *m, int px, int py)
{
    int dark = 0, pale = 0;
    for (int fy = 0; fy < FINE; fy++) {
        const int y = place_of(py, fy, c->side);
        for (int fx = 0; fx < FINE; fx++) {
            bool light = false;
            if (covers(m, place_of(px, fx, c->side), y, &light)) {
                dark += !light;
                pale += light;
            }
        }
    }
    unsigned char *rgb = c->image->rgb + 3 * ((int64_t)py * c->side + px);
    const int bare = FINE * FINE - dark - pale;
    for (int i = 0; i < 3; i++) {
        const int full = gri_colour_rgb[m->colour][i], faded = (full + 255) / 2;
        rgb[i] =
            (unsigned char)((rgb[i] * bare + full * dark + faded * pale + FINE * FINE / 2) /
                            (FINE * FINE));
    }
}

static void paint(const canvas *c, const gri_mark *m)
{
    const box b = box_of(m);
    for (int y = pixel_of(b.top, c->side); y <= pixel_of(b.bottom, c->side); y++) {
        for (int x = pixel_of(b.left, c->side); x <= pixel_of(b.right, c->side); x++) {
            paint_pixel(c, m, x, y);
        }
    }
}

/// A grey rule at each value, so that bars can be read, and its number.
static void paint_axis(const canvas *c)
{
    for (int value = 0; value <= 5; value++) {
        const int top = pixel_of(gri_chart_y(value) - RULE, c->side);
        const int bottom = pixel_of(gri_chart_y(value) + RULE, c->side);
        for (int y = top; y <= bottom; y++) {
            for (int x = pixel_of(GRI_CHART_LEFT - 100, c->side); x < c->side; x++) {
                memset(c->image->rgb + 3 * ((int64_t)y * c->side + x), 176, 3);
            }
        }
        gri_mark number = {.kind = GRI_MARK_WORD, .colour = GRI_BLACK, .x = 120, .size = 76};
        number.y = gri_chart_y(value) - number.size * GRI_FONT_HEIGHT / 2;
        number.word[0] = (char)('0' + value);
        if (value > 0) {
            paint(c, &number);
        }
    }
}

gr_err gri_synth_render(const gri_problem *problem, int64_t side, gr_image *out)
{
    gr_err err = GR_OK;
    gr_image image = {.width = side, .height = side};
    GR_ASSERT(problem->pictured && side >= 1 && side <= GR_SYNTH_MOST_SIDE);
    GR_ALLOC(image.rgb, side * side * 3);
    for (int64_t i = 0; i < side * side; i++) {
        memcpy(image.rgb + 3 * i, problem->ground, 3);
    }
    const canvas c = {&image, (int)side};
    if (problem->axis) {
        paint_axis(&c);
    }
    for (int i = 0; i < problem->count; i++) {
        paint(&c, &problem->marks[i]);
    }
    *out = image;
    image = (gr_image){0};
done:
    gr_image_fini(&image);
    return err;
}
