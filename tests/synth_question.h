#ifndef TESTS_SYNTH_QUESTION_H
#define TESTS_SYNTH_QUESTION_H

/// Questions of the synthetic curriculum, read as words: what they name, and which answer a direction or a sum makes.

#include "datasets/source_synth.h"
#include "datasets/synth_scene.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SPLITS = 2 };

static const char *const answers[4] = {"left", "right", "above", "below"};
static const char *const relations[4] = {"left of", "right of", "above", "below"};

static inline gri_problem problem_of(gr_synth_task task, int split, int64_t k)
{
    gri_problem p;
    gri_synth_problem(7, task, (gr_synth_split)split, k, &p);
    return p;
}

/// "red circles" or "circles" or "red shapes" to the two words that count.
static inline void parse_kind(const char *text, char colour[16], char shape[16])
{
    char one[16] = "", two[16] = "";
    const int words = sscanf(text, "%15[a-z] %15[a-z]", one, two);
    bool is_colour = false;
    for (int c = 0; c < GRI_COLOURS; c++) {
        is_colour = is_colour || strcmp(one, gri_colour_names[c]) == 0;
    }
    (void)words;
    snprintf(colour, 16, "%s", is_colour ? one : "");
    snprintf(shape, 16, "%s", is_colour ? two : one);
    if (strcmp(shape, "shapes") == 0) {
        shape[0] = '\0';
    }
}

/// Where a point lies from another: as answers.
static inline int direction_of(double dx, double dy)
{
    return fabs(dx) > fabs(dy) ? (dx < 0 ? 0 : 1) : (dy < 0 ? 2 : 3);
}

/// The answer to a question about a relation whose true direction is known.
static inline const char *relate(const char *question, int direction)
{
    if (strncmp(question, "Is the ", 7) != 0) {
        return answers[direction];
    }
    return strstr(question, relations[direction]) ? "yes" : "no";
}

/// The two things that a question names: after the first "the ", and after the last.
static inline void parse_two(const char *question, const char **a, const char **b)
{
    *a = strstr(question, "he ") + 3;
    *b = *a;
    for (const char *at = *a; (at = strstr(at, "the ")); at += 4) {
        *b = at + 4;
    }
}

static char answer_text[200];

static inline const char *add_up(int a, char sign, int b)
{
    snprintf(answer_text, sizeof answer_text, "%d", sign == '-' ? a - b : a + b);
    return answer_text;
}

#endif
