#ifndef DATASETS_SYNTH_SCENE_H
#define DATASETS_SYNTH_SCENE_H

/// What a synthetic picture shows, in units of 1 / GRI_SCENE of its side, so that a scene is the same at any size; and the
/// problem it poses. Private to datasets/.

#include "datasets/synth_draw.h"
#include "src/base/json.h"
#include "src/formats/image.h"

enum { GRI_SCENE = 4096, GRI_MARKS = 8, GRI_WORD = 16, GRI_POINTS = 4 };

// X(name, red, green, blue)
#define GRI_COLOUR_LIST(X)                                                                     \
    X(RED, "red", 208, 24, 32)                                                                 \
    X(ORANGE, "orange", 240, 128, 16)                                                          \
    X(YELLOW, "yellow", 224, 200, 0)                                                           \
    X(GREEN, "green", 16, 136, 48)                                                             \
    X(CYAN, "cyan", 0, 176, 200)                                                               \
    X(BLUE, "blue", 24, 56, 208)                                                               \
    X(PURPLE, "purple", 136, 24, 168)                                                          \
    X(BLACK, "black", 16, 16, 16)
typedef enum gri_colour {
#define GRI_COLOUR_ENUM(name, text, red, green, blue) GRI_##name,
    GRI_COLOUR_LIST(GRI_COLOUR_ENUM)
#undef GRI_COLOUR_ENUM
        GRI_COLOURS
} gri_colour;

#define GRI_SHAPE_LIST(X)                                                                      \
    X(CIRCLE, "circle")                                                                        \
    X(SQUARE, "square")                                                                        \
    X(TRIANGLE, "triangle")                                                                    \
    X(DIAMOND, "diamond")                                                                      \
    X(CROSS, "cross")                                                                          \
    X(RING, "ring")
typedef enum gri_shape {
#define GRI_SHAPE_ENUM(name, text) GRI_##name,
    GRI_SHAPE_LIST(GRI_SHAPE_ENUM)
#undef GRI_SHAPE_ENUM
        GRI_SHAPES
} gri_shape;

typedef enum gri_texture { GRI_PLAIN, GRI_STRIPED, GRI_DOTTED, GRI_TEXTURES } gri_texture;

extern const char *const gri_colour_names[GRI_COLOURS];
extern const char *const gri_shape_names[GRI_SHAPES];
extern const char *const gri_texture_names[GRI_TEXTURES];
extern const unsigned char gri_colour_rgb[GRI_COLOURS][3];

typedef enum gri_mark_kind {
    GRI_MARK_SHAPE,
    GRI_MARK_BAR,
    GRI_MARK_LINE,
    GRI_MARK_WORD
} gri_mark_kind;

/// One thing in the picture.
typedef struct gri_mark {
    gri_mark_kind kind;
    gri_colour colour;
    gri_shape shape;
    gri_texture texture;
    int x, y;  ///< centre of a shape, left top of a word, left foot of a bar or line
    int size;  ///< half the side of a shape's square; width of a bar; of a letter's dot
    int count; ///< points of a line; 1 of a bar
    int value[GRI_POINTS]; ///< 1 .. 5, of a bar or line
    char word[GRI_WORD];
} gri_mark;

typedef struct gri_problem {
    unsigned char ground[3]; ///< colour behind all
    bool pictured;           ///< there is a picture
    bool axis; ///< with a chart's axis: rules at the values 1 to 5, and their numbers
    gri_mark marks[GRI_MARKS];
    int count;
    char question[160], answer[160];
    double chance; ///< of a guess among the answers that could be right
} gri_problem;

/// Whether only the test split has this combination.
bool gri_held_out_pair(int colour, int shape);
bool gri_held_out_word(int first, int vowel, int last);
bool gri_held_out_value(int colour, int value);
bool gri_held_out_sum(int a, bool minus, int b);

/// Sample k of the task. 0 <= k < GR_SYNTH_MOST.
void gri_synth_problem(uint64_t seed, gr_synth_task task, gr_synth_split split, int64_t k,
                       gri_problem *out);
/// Its picture, side x side.
GR_MUST_CHECK gr_err gri_synth_render(const gri_problem *problem, int64_t side, gr_image *out);
/// Puts shapes and words on `lines` lines each way (synth.h); nothing is cut off, and what stood apart does not overlap.
void gri_scene_align(gri_problem *problem, int lines);
/// The marks in words: "large striped red circle at 3 7; ...", places in tenths of the side from left and top; "red bar 3", "blue line 4 2 5
/// 2", "word D U B". Appends to `out`.
GR_MUST_CHECK gr_err gri_scene_tell(const gri_problem *problem, gr_str *out);
/// The marks as a list named "scene".
void gri_scene_put(gr_json *j, const gri_problem *problem);

/// Where charts stand: value v (0: the foot) of an axis, and the left of column i.
int gri_chart_y(int value);
enum { GRI_CHART_LEFT = 700, GRI_CHART_STEP = 1050, GRI_CHART_BAR = 700 };

/// Height and width of letters in dots, and what lies between two letters.
enum { GRI_FONT_HEIGHT = 7, GRI_FONT_WIDTH = 5, GRI_FONT_STEP = 6 };
/// Whether the letter (A-Z, 0-9, + - = ?) has a dot there; another letter has none.
bool gri_font_dot(char letter, int row, int column);

#endif
