#include "datasets/synth_task.h"

#include <stdio.h>

enum { VALUES = 5, BARS = 3 };

int gri_chart_y(int value)
{
    return 3800 - 660 * value;
}

static gri_mark *add_column(gri_problem *p, gri_mark_kind kind)
{
    gri_mark *m = gri_add_shape(p);
    m->kind = kind;
    m->x = GRI_CHART_LEFT;
    m->y = gri_chart_y(0);
    m->count = kind == GRI_MARK_BAR ? 1 : GRI_POINTS;
    m->size = kind == GRI_MARK_BAR ? GRI_CHART_BAR : GRI_CHART_STEP;
    return m;
}

static bool is_taken(const gri_problem *p, const gri_mark *m)
{
    for (const gri_mark *other = p->marks; other < m; other++) {
        if (other->colour == m->colour) {
            return true;
        }
    }
    return false;
}

/// A colour that no mark before has; with this value it is of the split.
static void pick_hue(gri_dice *dice, bool held_out, int value, const gri_problem *p,
                     gri_mark *m)
{
    do {
        m->colour = (gri_colour)gri_dice_below(dice, GRI_COLOURS);
    } while (gri_held_out_value(m->colour, value) != held_out || is_taken(p, m));
}

/// Bars of which the first is asked about; the others' values are at most `most`, and they are as in train.
static void add_bars(gri_dice *dice, gr_synth_split split, int value, int most, gri_problem *p)
{
    int columns[BARS] = {0, 1, 2};
    gri_dice_shuffle(dice, columns, BARS);
    for (int i = 0; i < BARS; i++) {
        gri_mark *m = add_column(p, GRI_MARK_BAR);
        m->value[0] = i == 0 ? value : gri_dice_between(dice, 1, most);
        pick_hue(dice, split == GR_SYNTH_TEST && i == 0, m->value[0], p, m);
        m->x += GRI_CHART_STEP * columns[i];
    }
}

static void make_highest(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    const int value = gri_dice_between(dice, 2, VALUES);
    add_bars(dice, split, value, value - 1, p);
    snprintf(p->question, sizeof p->question, "Which bar is the highest?");
    snprintf(p->answer, sizeof p->answer, "%s", gri_colour_names[p->marks[0].colour]);
    p->chance = 1.0 / BARS;
}

static void make_value(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    const int value = gri_dice_between(dice, 1, VALUES);
    add_bars(dice, split, value, VALUES, p);
    snprintf(p->question, sizeof p->question, "How high is the %s bar?",
             gri_colour_names[p->marks[0].colour]);
    snprintf(p->answer, sizeof p->answer, "%d", value);
    p->chance = 1.0 / VALUES;
}

/// A line that ends at this value.
static gri_mark *add_line(gri_dice *dice, bool held_out, int last, gri_problem *p)
{
    gri_mark *m = add_column(p, GRI_MARK_LINE);
    pick_hue(dice, held_out, last, p, m);
    for (int i = 0; i + 1 < GRI_POINTS; i++) {
        m->value[i] = gri_dice_between(dice, 1, VALUES);
    }
    m->value[GRI_POINTS - 1] = last;
    return m;
}

static void make_higher(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    const bool first = gri_dice_below(dice, 2), test = split == GR_SYNTH_TEST;
    const int high = gri_dice_between(dice, 2, VALUES),
              low = gri_dice_between(dice, 1, high - 1);
    add_line(dice, test, first ? high : low, p);
    add_line(dice, test, first ? low : high, p);
    snprintf(p->question, sizeof p->question, "Which line ends higher, %s or %s?",
             gri_colour_names[p->marks[0].colour], gri_colour_names[p->marks[1].colour]);
    snprintf(p->answer, sizeof p->answer, "%s",
             gri_colour_names[p->marks[first ? 0 : 1].colour]);
    p->chance = 1.0 / 2;
}

/// One line, rising or falling by steps.
static void make_rising(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    const bool rises = gri_dice_below(dice, 2);
    const int low = gri_dice_between(dice, 1, VALUES - 1);
    const int high = gri_dice_between(dice, low + 1, VALUES);
    gri_mark *m = add_line(dice, split == GR_SYNTH_TEST, rises ? high : low, p);
    m->value[0] = rises ? low : high;
    for (int i = 1; i + 1 < GRI_POINTS; i++) {
        m->value[i] =
            m->value[0] + (m->value[GRI_POINTS - 1] - m->value[0]) * i / (GRI_POINTS - 1);
    }
    snprintf(p->question, sizeof p->question, "Does the %s line rise or fall?",
             gri_colour_names[m->colour]);
    snprintf(p->answer, sizeof p->answer, "%s", rises ? "rise" : "fall");
    p->chance = 1.0 / 2;
}

void gri_make_chart(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    static gri_maker *const forms[] = {make_highest, make_value, make_higher, make_rising};
    gri_begin_picture(dice, p);
    p->axis = true;
    forms[gri_dice_below(dice, 4)](dice, split, p);
}
