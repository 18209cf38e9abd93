#include "datasets/synth_task.h"

#include <stdio.h>
#include <string.h>

static const char consonants[] = "BDFGHKLMNPRST", vowels[] = "AEIOU";
enum { CONSONANTS = sizeof consonants - 1, VOWELS = sizeof vowels - 1 };

/// Puts the word somewhere, in some colour and size.
static void write_word(gri_dice *dice, const char *word, gri_problem *p)
{
    gri_mark *m = gri_add_shape(p);
    const int letters = (int)strlen(word);
    m->kind = GRI_MARK_WORD;
    m->colour = (gri_colour)gri_dice_below(dice, GRI_COLOURS);
    m->size = gri_dice_between(dice, 140, 200);
    m->x = gri_dice_between(dice, 150, GRI_SCENE - 150 - letters * GRI_FONT_STEP * m->size);
    m->y = gri_dice_between(dice, 150, GRI_SCENE - 150 - GRI_FONT_HEIGHT * m->size);
    snprintf(m->word, sizeof m->word, "%s", word);
}

void gri_make_ocr(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    static const char *const questions[] = {"Read the word.", "What is written here?"};
    int a = 0, v = 0, b = 0;
    char word[4] = "";
    gri_begin_picture(dice, p);
    do {
        a = gri_dice_below(dice, CONSONANTS);
        v = gri_dice_below(dice, VOWELS);
        b = gri_dice_below(dice, CONSONANTS);
    } while (gri_held_out_word(a, v, b) != (split == GR_SYNTH_TEST));
    word[0] = consonants[a];
    word[1] = vowels[v];
    word[2] = consonants[b];
    write_word(dice, word, p);
    snprintf(p->question, sizeof p->question, "%s", questions[gri_dice_below(dice, 2)]);
    snprintf(p->answer, sizeof p->answer, "%s", word);
    p->chance = split == GR_SYNTH_TEST ? 1.0 / 169 : 1.0 / 676;
}

typedef struct sum {
    int a, b, result;
    bool minus;
} sum;

/// Its result first, evenly. (Each result has sums of both splits: tests/test_synth.c.)
static sum draw_sum(gri_dice *dice, gr_synth_split split)
{
    sum s = {.result = gri_dice_below(dice, 10)};
    do {
        s.minus = gri_dice_below(dice, 2);
        s.a =
            s.minus ? gri_dice_between(dice, s.result, 9) : gri_dice_between(dice, 0, s.result);
        s.b = s.minus ? s.a - s.result : s.result - s.a;
    } while (gri_held_out_sum(s.a, s.minus, s.b) != (split == GR_SYNTH_TEST));
    return s;
}

void gri_make_math(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    static const char *const questions[] = {"What is the result?", "Calculate."};
    char word[8];
    gri_begin_picture(dice, p);
    const sum s = draw_sum(dice, split);
    snprintf(word, sizeof word, "%d%c%d", s.a % 10, s.minus ? '-' : '+', s.b % 10);
    write_word(dice, word, p);
    snprintf(p->question, sizeof p->question, "%s", questions[gri_dice_below(dice, 2)]);
    snprintf(p->answer, sizeof p->answer, "%d", s.result);
    p->chance = 1.0 / 10;
}

static void make_told(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    gri_mark a, b;
    const int direction = gri_dice_below(dice, 4);
    gri_pick_pair(dice, split, &a);
    do {
        gri_pick_pair(dice, split, &b);
    } while (a.shape == b.shape || a.colour == b.colour);
    const char *first = gri_colour_names[a.colour], *second = gri_colour_names[b.colour];
    snprintf(p->question, sizeof p->question,
             "%s %s %s is %s %s %s %s. Where is the %s, seen from the %s?",
             *gri_article(first) && gri_article(first)[1] ? "An" : "A", first,
             gri_shape_names[a.shape], gri_directions[direction], gri_article(second), second,
             gri_shape_names[b.shape], gri_shape_names[b.shape], gri_shape_names[a.shape]);
    snprintf(p->answer, sizeof p->answer, "%s", gri_direction_words[direction ^ 1]);
    p->chance = 1.0 / 4;
}

void gri_make_text(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    if (gri_dice_below(dice, 2)) {
        make_told(dice, split, p);
        return;
    }
    const sum s = draw_sum(dice, split);
    snprintf(p->question, sizeof p->question, "What is %d %c %d?", s.a, s.minus ? '-' : '+',
             s.b);
    snprintf(p->answer, sizeof p->answer, "%d", s.result);
    p->chance = 1.0 / 10;
}
