#include "datasets/synth_task.h"

#include <stdio.h>
#include <string.h>

/// Half the side of a quarter of the picture.
enum { QUARTER = GRI_SCENE / 4 };

static int pairs_of(gr_synth_split split)
{
    return split == GR_SYNTH_TEST ? 12 : 36;
}

void gri_make_coarse(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    static const struct {
        const char *question, *before, *after;
        bool article;
    } words[] = {
        {"What is this?", "", "", true},
        {"Describe the picture.", "There is ", ".", true},
        {"Name the colour and the shape.", "", "", false},
    };
    gri_begin_picture(dice, p);
    gri_mark *m = gri_add_shape(p);
    gri_pick_pair(dice, split, m);
    m->size = gri_dice_between(dice, 650, 1300);
    m->x = gri_dice_between(dice, m->size + 100, GRI_SCENE - m->size - 100);
    m->y = gri_dice_between(dice, m->size + 100, GRI_SCENE - m->size - 100);
    const int form = gri_dice_below(dice, 3);
    const char *colour = gri_colour_names[m->colour];
    snprintf(p->question, sizeof p->question, "%s", words[form].question);
    snprintf(p->answer, sizeof p->answer, "%s%s%s%s %s%s", words[form].before,
             words[form].article ? gri_article(colour) : "", words[form].article ? " " : "",
             colour, gri_shape_names[m->shape], words[form].after);
    p->chance = 1.0 / pairs_of(split);
}

static void add_fine(gri_dice *dice, gr_synth_split split, int place, gri_problem *p)
{
    gri_mark *m = gri_add_shape(p);
    gri_pick_pair(dice, split, m);
    const bool large = gri_dice_below(dice, 2);
    m->texture = (gri_texture)gri_dice_below(dice, GRI_TEXTURES);
    m->size = large ? gri_dice_between(dice, 740, 880) : gri_dice_between(dice, 380, 470);
    const int room = QUARTER - m->size - 40;
    m->x = QUARTER * (place % 2 ? 3 : 1) + gri_dice_between(dice, -room, room);
    m->y = QUARTER * (place / 2 ? 3 : 1) + gri_dice_between(dice, -room, room);
}

static const char *place_name(const gri_mark *m)
{
    static const char *const names[] = {"top left", "top right", "bottom left", "bottom right"};
    return names[(m->x > GRI_SCENE / 2) + 2 * (m->y > GRI_SCENE / 2)];
}

const char *gri_size_name(const gri_mark *m)
{
    return m->size > 600 ? "large" : "small";
}

/// "large striped red circle"
static void describe(const gri_mark *m, char *to, size_t size)
{
    snprintf(to, size, "%s %s %s %s", gri_size_name(m), gri_texture_names[m->texture],
             gri_colour_names[m->colour], gri_shape_names[m->shape]);
}

void gri_make_fine(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    int places[4] = {0, 1, 2, 3};
    char text[2][64];
    gri_begin_picture(dice, p);
    const int count = gri_dice_between(dice, 1, 2);
    gri_dice_shuffle(dice, places, 4);
    const bool turned = count == 2 && places[0] > places[1]; // told in reading order
    for (int i = 0; i < count; i++) {
        add_fine(dice, split, places[turned ? 1 - i : i], p);
        describe(&p->marks[i], text[i], sizeof text[i]);
    }
    const char *first = place_name(&p->marks[0]), *second = place_name(&p->marks[count - 1]);
    if (gri_dice_below(dice, 2)) {
        snprintf(p->question, sizeof p->question, "Describe the picture in detail.");
        snprintf(p->answer, sizeof p->answer, "A %s at the %s", text[0], first);
        if (count == 2) {
            const size_t n = strlen(p->answer);
            snprintf(p->answer + n, sizeof p->answer - n, " and a %s at the %s", text[1],
                     second);
        }
        strncat(p->answer, ".", sizeof p->answer - strlen(p->answer) - 1);
    } else {
        snprintf(p->question, sizeof p->question, "What is where?");
        snprintf(p->answer, sizeof p->answer, "%s: %s", first, text[0]);
        if (count == 2) {
            const size_t n = strlen(p->answer);
            snprintf(p->answer + n, sizeof p->answer - n, "; %s: %s", second, text[1]);
        }
    }
    p->chance =
        0.5 / (4 * 2 * GRI_TEXTURES * pairs_of(split)); // of one shape, half the samples
}
