#include "datasets/synth_task.h"

const char *const gr_synth_task_names[GR_SYNTH_TASKS] = {
#define TASK_NAME(name, text) text,
    GR_SYNTH_TASK_LIST(TASK_NAME)
#undef TASK_NAME
};
#define TASK_COMMA(name, text) text ", "
static const char all_tasks[] = GR_SYNTH_TASK_LIST(TASK_COMMA) "or several with commas between";
#undef TASK_COMMA
const char *const gr_synth_task_all = all_tasks;

const char *const gri_colour_names[GRI_COLOURS] = {
#define COLOUR_NAME(name, text, red, green, blue) text,
    GRI_COLOUR_LIST(COLOUR_NAME)
#undef COLOUR_NAME
};
const unsigned char gri_colour_rgb[GRI_COLOURS][3] = {
#define COLOUR_RGB(name, text, red, green, blue) {red, green, blue},
    GRI_COLOUR_LIST(COLOUR_RGB)
#undef COLOUR_RGB
};
const char *const gri_shape_names[GRI_SHAPES] = {
#define SHAPE_NAME(name, text) text,
    GRI_SHAPE_LIST(SHAPE_NAME)
#undef SHAPE_NAME
};
const char *const gri_texture_names[GRI_TEXTURES] = {"plain", "striped", "dotted"};
const char *const gri_directions[4] = {"left of", "right of", "above", "below"};
const char *const gri_direction_words[4] = {"left", "right", "above", "below"};

bool gri_held_out_pair(int colour, int shape)
{
    return (colour + 3 * shape) % 4 == 0;
}

bool gri_held_out_word(int first, int vowel, int last)
{
    return (first + vowel + last) % 5 == 0;
}

bool gri_held_out_value(int colour, int value)
{
    return (colour + value) % 4 == 0;
}

bool gri_held_out_sum(int a, bool minus, int b)
{
    return (a + 2 * b + minus) % 5 == 0;
}

void gri_pick_pair(gri_dice *dice, gr_synth_split split, gri_mark *mark)
{
    do {
        mark->colour = (gri_colour)gri_dice_below(dice, GRI_COLOURS);
        mark->shape = (gri_shape)gri_dice_below(dice, GRI_SHAPES);
    } while (gri_held_out_pair(mark->colour, mark->shape) != (split == GR_SYNTH_TEST));
}

void gri_pick_colour(gri_dice *dice, gr_synth_split split, gri_mark *mark)
{
    do {
        mark->colour = (gri_colour)gri_dice_below(dice, GRI_COLOURS);
    } while (gri_held_out_pair(mark->colour, mark->shape) != (split == GR_SYNTH_TEST));
}

void gri_pick_shape(gri_dice *dice, gr_synth_split split, gri_mark *mark)
{
    do {
        mark->shape = (gri_shape)gri_dice_below(dice, GRI_SHAPES);
    } while (gri_held_out_pair(mark->colour, mark->shape) != (split == GR_SYNTH_TEST));
}

gri_mark *gri_add_shape(gri_problem *problem)
{
    GR_ASSERT(problem->count < GRI_MARKS);
    gri_mark *mark = &problem->marks[problem->count++];
    *mark = (gri_mark){.kind = GRI_MARK_SHAPE};
    return mark;
}

void gri_begin_picture(gri_dice *dice, gri_problem *problem)
{
    problem->pictured = true;
    for (int i = 0; i < 3; i++) {
        problem->ground[i] = (unsigned char)gri_dice_between(dice, 232, 251);
    }
}

const char *gri_article(const char *word)
{
    switch (*word) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return "an";
    default:
        return "a";
    }
}

void gri_synth_problem(uint64_t seed, gr_synth_task task, gr_synth_split split, int64_t k,
                       gri_problem *out)
{
    static gri_maker *const makers[GR_SYNTH_TASKS] = {
        [GR_SYNTH_COARSE] = gri_make_coarse,     [GR_SYNTH_FINE] = gri_make_fine,
        [GR_SYNTH_OCR] = gri_make_ocr,           [GR_SYNTH_COUNT] = gri_make_count,
        [GR_SYNTH_RELATION] = gri_make_relation, [GR_SYNTH_COMPARE] = gri_make_compare,
        [GR_SYNTH_CHART] = gri_make_chart,       [GR_SYNTH_MATH] = gri_make_math,
        [GR_SYNTH_TEXT] = gri_make_text,
    };
    gri_dice dice = gri_dice_of(seed, task, split, k);
    *out = (gri_problem){0};
    makers[task](&dice, split, out);
}

static void put_values(gr_json *j, const gri_mark *m)
{
    gr_json_list_begin(j, "values");
    for (int i = 0; i < m->count; i++) {
        gr_json_int(j, NULL, m->value[i]);
    }
    gr_json_list_end(j);
}

static void put_mark(gr_json *j, const gri_mark *m)
{
    static const char *const kinds[] = {"shape", "bar", "line", "word"};
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "kind", kinds[m->kind]);
    gr_json_string(j, "colour", gri_colour_names[m->colour]);
    if (m->kind == GRI_MARK_SHAPE) {
        gr_json_string(j, "shape", gri_shape_names[m->shape]);
        gr_json_string(j, "texture", gri_texture_names[m->texture]);
    }
    if (m->kind == GRI_MARK_SHAPE || m->kind == GRI_MARK_WORD) {
        gr_json_int(j, "x", m->x);
        gr_json_int(j, "y", m->y);
        gr_json_int(j, "size", m->size);
    } else {
        put_values(j, m);
    }
    if (m->kind == GRI_MARK_WORD) {
        gr_json_string(j, "word", m->word);
    }
    gr_json_map_end(j);
}

void gri_scene_put(gr_json *j, const gri_problem *problem)
{
    gr_json_list_begin(j, "scene");
    for (int i = 0; i < problem->count; i++) {
        put_mark(j, &problem->marks[i]);
    }
    gr_json_list_end(j);
}
