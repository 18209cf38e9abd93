#include "datasets/synth_task.h"

#include <stdlib.h>
#include <string.h>

/// The multiple of `step` nearest to `value` of those from `least` to `most`; there is one.
static int snap(int value, int step, int least, int most)
{
    const int nearest = (value + step / 2) / step * step;
    const int first = (least + step - 1) / step * step, last = most / step * step;
    return nearest < first ? first : nearest > last ? last : nearest;
}

static void align_shape(gri_mark *m, int step)
{
    const int fine = step / 8;
    m->size -= m->size % fine;
    m->x = snap(m->x, step, m->size, GRI_SCENE - m->size);
    m->y = snap(m->y, step, m->size, GRI_SCENE - m->size);
}

static void align_word(gri_mark *m, int step)
{
    const int letters = (int)strlen(m->word);
    m->size = snap(GRI_SCENE / 4, step, step, GRI_SCENE / 4) / GRI_FONT_STEP;
    m->x = snap(m->x, step, 0, GRI_SCENE - letters * GRI_FONT_STEP * m->size);
    m->y = snap(m->y, step, 0, GRI_SCENE - GRI_FONT_HEIGHT * m->size);
}

/// Two shapes that came to overlap become smaller, both, so that the larger one stays the larger one.
static void part(gri_mark *a, gri_mark *b, int fine)
{
    const int x = abs(a->x - b->x), y = abs(a->y - b->y), apart = x > y ? x : y;
    while (a->size + b->size > apart && a->size > fine && b->size > fine) {
        a->size -= fine;
        b->size -= fine;
    }
}

void gri_scene_align(gri_problem *problem, int lines)
{
    const int step = GRI_SCENE / lines;
    for (int i = 0; i < problem->count; i++) {
        gri_mark *m = &problem->marks[i];
        if (m->kind == GRI_MARK_SHAPE) {
            align_shape(m, step);
        } else if (m->kind == GRI_MARK_WORD) {
            align_word(m, step);
        }
        for (int j = 0; j < i && m->kind == GRI_MARK_SHAPE; j++) {
            part(m, &problem->marks[j], step / 8);
        }
    }
}
