#ifndef DATASETS_SYNTH_TASK_H
#define DATASETS_SYNTH_TASK_H

/// How each task makes a problem: draws its answer first, then a scene in which it is the answer. Private to datasets/.

#include "datasets/synth_scene.h"

typedef void gri_maker(gri_dice *dice, gr_synth_split split, gri_problem *problem);

gri_maker gri_make_coarse, gri_make_fine;                      // synth_caption.c
gri_maker gri_make_count, gri_make_relation, gri_make_compare; // synth_question.c
gri_maker gri_make_chart;                                      // synth_chart.c
gri_maker gri_make_ocr, gri_make_math, gri_make_text;          // synth_words.c

/// A colour and a shape of this split, evenly among all such pairs.
void gri_pick_pair(gri_dice *dice, gr_synth_split split, gri_mark *mark);
/// A colour (shape) such that the mark's shape (colour) makes a pair of this split.
void gri_pick_colour(gri_dice *dice, gr_synth_split split, gri_mark *mark);
void gri_pick_shape(gri_dice *dice, gr_synth_split split, gri_mark *mark);
/// The next mark of the problem, a plain shape.
gri_mark *gri_add_shape(gri_problem *problem);
/// A ground and a picture.
void gri_begin_picture(gri_dice *dice, gri_problem *problem);

/// "large" or "small", of a shape.
const char *gri_size_name(const gri_mark *mark);
/// "a" or "an" before the word.
const char *gri_article(const char *word);
extern const char
    *const gri_directions[4]; ///< left of, right of, above, below; d ^ 1 is the opposite
/// As an answer: left, right, above, below.
extern const char *const gri_direction_words[4];

#endif
