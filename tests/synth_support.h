#ifndef TESTS_SYNTH_SUPPORT_H
#define TESTS_SYNTH_SUPPORT_H

/// Looks at synthetic pictures as a stranger would: pixels alone, nothing of what was drawn.

#include "datasets/synth_scene.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/// What stands out of the ground in one piece, or has one colour.
typedef struct seen {
    int left, top, right, bottom; ///< of its pixels, all included
    double x, y, area;            ///< middle and number of pixels
    int colour;                   ///< -1: of none
} seen;

static inline const unsigned char *pixel_at(const gr_image *im, int x, int y)
{
    return im->rgb + 3 * ((int64_t)y * im->width + x);
}

static inline int colour_distance(const unsigned char *a, const unsigned char *b)
{
    int sum = 0;
    for (int i = 0; i < 3; i++) {
        sum += abs(a[i] - b[i]);
    }
    return sum;
}

/// Whether the pixel is mostly no ground, whose colour is that of the corner.
static inline bool stands_out(const gr_image *im, const unsigned char *rgb)
{
    return colour_distance(rgb, im->rgb) > 140; // yellow, the palest, is twice as far
}

/// The colour of our list that the pixel has without any doubt; -1: none.
static inline int colour_of(const unsigned char *rgb)
{
    for (int c = 0; c < GRI_COLOURS; c++) {
        if (colour_distance(rgb, gri_colour_rgb[c]) < 12) {
            return c;
        }
    }
    return -1;
}

static inline void see_pixel(seen *s, int x, int y)
{
    s->left = s->area > 0 && s->left < x ? s->left : x;
    s->top = s->area > 0 && s->top < y ? s->top : y;
    s->right = s->area > 0 && s->right > x ? s->right : x;
    s->bottom = s->area > 0 && s->bottom > y ? s->bottom : y;
    s->x = (s->x * s->area + x) / (s->area + 1);
    s->y = (s->y * s->area + y) / (s->area + 1);
    s->area++;
}

/// All pixels of one colour right of `from`.
static inline seen see_colour(const gr_image *im, int colour, int from)
{
    seen s = {.colour = colour};
    for (int y = 0; y < im->height; y++) {
        for (int x = from; x < im->width; x++) {
            if (colour_of(pixel_at(im, x, y)) == colour) {
                see_pixel(&s, x, y);
            }
        }
    }
    return s;
}

/// Collects the piece that the pixel belongs to, clearing it in `left`.
static inline seen see_piece(const gr_image *im, unsigned char *left, int x, int y, int *stack)
{
    const int w = (int)im->width, h = (int)im->height;
    int count = 0, votes[GRI_COLOURS] = {0}, most = 0;
    seen s = {.colour = -1};
    left[y * w + x] = 0;
    stack[count++] = y * w + x;
    while (count > 0) {
        const int at = stack[--count], px = at % w, py = at / w;
        const int colour = colour_of(im->rgb + 3 * (int64_t)at);
        see_pixel(&s, px, py);
        if (colour >= 0 && ++votes[colour] > most) {
            most = votes[colour];
            s.colour = colour;
        }
        const int next[4] = {px > 0 ? at - 1 : -1, px + 1 < w ? at + 1 : -1,
                             py > 0 ? at - w : -1, py + 1 < h ? at + w : -1};
        for (int i = 0; i < 4; i++) {
            if (next[i] >= 0 && left[next[i]]) {
                left[next[i]] = 0;
                stack[count++] = next[i];
            }
        }
    }
    return s;
}

/// The pieces that stand out of the ground (the colour of the corner), at most `most`.
static inline int see_pieces(const gr_image *im, seen *out, int most)
{
    const int w = (int)im->width, h = (int)im->height;
    unsigned char *left = calloc((size_t)(w * h), 1);
    int *stack = calloc((size_t)(w * h), sizeof *stack);
    int count = 0;
    for (int i = 0; left && stack && i < w * h; i++) {
        left[i] = stands_out(im, im->rgb + 3 * (int64_t)i);
    }
    for (int i = 0; left && stack && i < w * h; i++) {
        if (left[i] && count < most) {
            out[count++] = see_piece(im, left, i % w, i / w, stack);
        }
    }
    free(left);
    free(stack);
    return count;
}

/// How much of the piece's box its upper and lower third, its middle and its quarters hold.
static inline int shape_of(const gr_image *im, const seen *s)
{
    const int w = s->right - s->left + 1, h = s->bottom - s->top + 1;
    const double full = s->area / (w * h);
    double upper = 0, lower = 0;
    for (int y = s->top; y <= s->bottom; y++) {
        for (int x = s->left; x <= s->right; x++) {
            const bool on = stands_out(im, pixel_at(im, x, y));
            upper += on && 3 * (y - s->top) < h;
            lower += on && 3 * (s->bottom - y) < h;
        }
    }
    const unsigned char *middle = pixel_at(im, s->left + w / 2, s->top + h / 2);
    int inner = 0; // of four points that a diamond holds and a cross does not
    for (int i = 0; i < 4; i++) {
        const double dx = i % 2 ? 0.45 : -0.45, dy = i / 2 ? 0.45 : -0.45;
        inner += stands_out(im, pixel_at(im, s->left + (int)((1 + dx) * w / 2),
                                         s->top + (int)((1 + dy) * h / 2)));
    }
    if (!stands_out(im, middle)) {
        return GRI_RING;
    }
    if (full > 0.93) {
        return GRI_SQUARE;
    }
    if (full > 0.74) {
        return GRI_CIRCLE;
    }
    if (lower > 2 * upper) {
        return GRI_TRIANGLE;
    }
    return inner >= 3 ? GRI_DIAMOND : GRI_CROSS;
}

/// Dots that the letter at this place does not have as the picture shows them.
static inline int misread(const gr_image *im, char letter, double left, double top, double dot)
{
    int wrong = 0;
    for (int d = 0; d < GRI_FONT_HEIGHT * GRI_FONT_WIDTH; d++) {
        const int row = d / GRI_FONT_WIDTH, column = d % GRI_FONT_WIDTH;
        const int x = (int)(left + (column + 0.5) * dot), y = (int)(top + (row + 0.5) * dot);
        const bool on = x >= 0 && x < im->width && stands_out(im, pixel_at(im, x, y));
        wrong += on != gri_font_dot(letter, row, column);
    }
    return wrong;
}

/// The three letters that fit best from here on; how many dots are wrong.
static inline int spell(const gr_image *im, double left, double top, double dot, char text[4])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=?";
    int sum = 0;
    for (int i = 0; i < 3; i++) {
        int least = INT_MAX;
        for (const char *l = letters; *l; l++) {
            const int wrong = misread(im, *l, left + i * GRI_FONT_STEP * dot, top, dot);
            if (wrong < least) {
                least = wrong;
                text[i] = *l;
            }
        }
        sum += least;
    }
    text[3] = '\0';
    return sum;
}

/// Reads a word of three letters of full height.
static inline void read_word(const gr_image *im, char word[4])
{
    seen all = {0};
    int least = INT_MAX;
    for (int i = 0; i < im->width * im->height; i++) {
        if (stands_out(im, im->rgb + 3 * (int64_t)i)) {
            see_pixel(&all, i % (int)im->width, i / (int)im->width);
        }
    }
    const double height = (all.bottom - all.top + 1) / (double)GRI_FONT_HEIGHT;
    for (int n = 0; n < 10;
         n++) { // the height may be off by a part of a pixel, the first column empty
        char text[4];
        const double dot = height * (0.96 + 0.02 * (n / 2));
        const int wrong = spell(im, all.left - n % 2 * dot, all.top, dot, text);
        if (wrong < least) {
            least = wrong;
            memcpy(word, text, 4);
        }
    }
}

#endif
