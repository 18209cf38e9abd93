#include "datasets/synth_task.h"

#include <stdio.h>

enum {
    GRID = 3, // cells across
    CELL = GRI_SCENE / GRID
};

/// "red circle"
static void name_mark(const gri_mark *m, char *to, size_t size)
{
    snprintf(to, size, "%s %s", gri_colour_names[m->colour], gri_shape_names[m->shape]);
}

static const char *plural(gri_shape shape)
{
    static const char *const names[GRI_SHAPES] = {"circles",  "squares", "triangles",
                                                  "diamonds", "crosses", "rings"};
    return names[shape];
}

/// Puts the shapes into cells of a grid, small enough to touch no neighbour.
static void scatter(gri_dice *dice, gri_problem *p)
{
    int cells[GRID * GRID];
    for (int i = 0; i < GRID * GRID; i++) {
        cells[i] = i;
    }
    gri_dice_shuffle(dice, cells, GRID * GRID);
    for (int i = 0; i < p->count; i++) {
        gri_mark *m = &p->marks[i];
        m->size = gri_dice_between(dice, 440, 560);
        const int room = CELL / 2 - m->size - 60;
        m->x = CELL / 2 + CELL * (cells[i] % GRID) + gri_dice_between(dice, -room, room);
        m->y = CELL / 2 + CELL * (cells[i] / GRID) + gri_dice_between(dice, -room, room);
    }
}

typedef enum counted { BY_BOTH, BY_SHAPE, BY_COLOUR } counted;

static bool is_counted(counted by, const gri_mark *m, gri_mark kind)
{
    return (by == BY_COLOUR || m->shape == kind.shape) &&
           (by == BY_SHAPE || m->colour == kind.colour);
}

/// Shapes to be counted, and others.
static void add_counted(gri_dice *dice, gr_synth_split split, counted by, gri_mark kind,
                        int count, int others, gri_problem *p)
{
    for (int i = 0; i < count; i++) {
        gri_mark *m = gri_add_shape(p);
        m->colour = kind.colour;
        m->shape = kind.shape;
        if (by == BY_SHAPE) {
            gri_pick_colour(dice, split, m);
        } else if (by == BY_COLOUR) {
            gri_pick_shape(dice, split, m);
        }
    }
    for (int i = 0; i < others; i++) {
        gri_mark *m = gri_add_shape(p);
        do {
            gri_pick_pair(dice, split, m);
        } while (is_counted(by, m, kind));
    }
}

void gri_make_count(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    gri_mark kind = {0};
    char name[64];
    gri_begin_picture(dice, p);
    const int count = gri_dice_between(dice, 1, 5), others = gri_dice_between(dice, 1, 3);
    const counted by = (counted)gri_dice_below(dice, 3);
    gri_pick_pair(dice, split, &kind);
    add_counted(dice, split, by, kind, count, others, p);
    scatter(dice, p);
    snprintf(name, sizeof name, "%s%s%s", by == BY_SHAPE ? "" : gri_colour_names[kind.colour],
             by == BY_SHAPE ? "" : " ", by == BY_COLOUR ? "shapes" : plural(kind.shape));
    if (gri_dice_below(dice, 2)) {
        snprintf(p->question, sizeof p->question, "How many %s are there?", name);
    } else {
        snprintf(p->question, sizeof p->question, "Count the %s.", name);
    }
    snprintf(p->answer, sizeof p->answer, "%d", count);
    p->chance = 1.0 / 5;
}

/// Two shapes of which colour and shape differ.
static void add_two(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    gri_mark *a = gri_add_shape(p), *b = gri_add_shape(p);
    gri_pick_pair(dice, split, a);
    do {
        gri_pick_pair(dice, split, b);
    } while (a->colour == b->colour || a->shape == b->shape);
    a->texture = (gri_texture)gri_dice_below(dice, GRI_TEXTURES);
    b->texture = (gri_texture)gri_dice_below(dice, GRI_TEXTURES);
}

/// Moves the first shape in this direction from the second, clearly.
static void set_apart(gri_dice *dice, int direction, gri_problem *p)
{
    gri_mark *a = &p->marks[0], *b = &p->marks[1];
    const int sign = direction % 2 ? 1 : -1, far = gri_dice_between(dice, 1400, 2100);
    const int x = GRI_SCENE / 2 + gri_dice_between(dice, -250, 250);
    const int y = GRI_SCENE / 2 + gri_dice_between(dice, -250, 250);
    const int along = sign * far / 2, across = gri_dice_between(dice, -120, 120);
    const bool level = direction < 2;
    a->size = gri_dice_between(dice, 440, 620);
    b->size = gri_dice_between(dice, 440, 620);
    a->x = x + (level ? along : across);
    a->y = y + (level ? across : along);
    b->x = x - (level ? along : across);
    b->y = y - (level ? across : along);
}

void gri_make_relation(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    char a[64], b[64];
    gri_begin_picture(dice, p);
    const int direction = gri_dice_below(dice, 4), form = gri_dice_below(dice, 3);
    add_two(dice, split, p);
    set_apart(dice, direction, p);
    name_mark(&p->marks[0], a, sizeof a);
    name_mark(&p->marks[1], b, sizeof b);
    if (form == 0) {
        snprintf(p->question, sizeof p->question, "Where is the %s, seen from the %s?", a, b);
    } else if (form == 1) {
        snprintf(p->question, sizeof p->question, "The %s is where, next to the %s?", a, b);
    } else {
        const bool yes = gri_dice_below(dice, 2);
        const int said = yes ? direction : (direction + gri_dice_between(dice, 1, 3)) % 4;
        snprintf(p->question, sizeof p->question, "Is the %s %s the %s?", a,
                 gri_directions[said], b);
        snprintf(p->answer, sizeof p->answer, "%s", yes ? "yes" : "no");
        p->chance = 1.0 / 2;
        return;
    }
    snprintf(p->answer, sizeof p->answer, "%s", gri_direction_words[direction]);
    p->chance = 1.0 / 4;
}

/// Side by side or one above the other, each in its half.
static void set_halves(gri_dice *dice, gri_problem *p)
{
    const bool level = gri_dice_below(dice, 2), turned = gri_dice_below(dice, 2);
    for (int i = 0; i < 2; i++) {
        gri_mark *m = &p->marks[i];
        const int half = GRI_SCENE / 4, room = half - m->size - 40;
        const int along =
            half * ((i == 1) != turned ? 3 : 1) + gri_dice_between(dice, -room, room);
        const int free = GRI_SCENE / 2 - m->size - 40;
        const int across = GRI_SCENE / 2 + gri_dice_between(dice, -free, free);
        m->x = level ? along : across;
        m->y = level ? across : along;
    }
}

static void make_larger(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    char a[64], b[64];
    const bool first = gri_dice_below(dice, 2), largest = gri_dice_below(dice, 2);
    add_two(dice, split, p);
    for (int i = 0; i < 2; i++) {
        const bool large = ((i == 0) == first) == largest;
        p->marks[i].size =
            large ? gri_dice_between(dice, 800, 940) : gri_dice_between(dice, 400, 500);
    }
    set_halves(dice, p);
    name_mark(&p->marks[0], a, sizeof a);
    name_mark(&p->marks[1], b, sizeof b);
    snprintf(p->question, sizeof p->question, "Which is %s, the %s or the %s?",
             largest ? "larger" : "smaller", a, b);
    snprintf(p->answer, sizeof p->answer, "the %s", first ? a : b);
}

static void make_more(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    const bool yes = gri_dice_below(dice, 2);
    const int many = gri_dice_between(dice, 2, 4), few = gri_dice_between(dice, 1, many - 1);
    const gri_shape a = (gri_shape)gri_dice_below(dice, GRI_SHAPES);
    const gri_shape b =
        (gri_shape)((a + 1 + (unsigned)gri_dice_below(dice, GRI_SHAPES - 1)) % GRI_SHAPES);
    for (int i = 0; i < many + few; i++) {
        gri_mark *m = gri_add_shape(p);
        m->shape = i < (yes ? many : few) ? a : b;
        gri_pick_colour(dice, split, m);
    }
    scatter(dice, p);
    snprintf(p->question, sizeof p->question, "Are there more %s than %s?", plural(a),
             plural(b));
    snprintf(p->answer, sizeof p->answer, "%s", yes ? "yes" : "no");
}

static void make_alike(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    const bool yes = gri_dice_below(dice, 2);
    gri_mark *a = gri_add_shape(p), *b = gri_add_shape(p);
    gri_pick_pair(dice, split, a);
    do {
        gri_pick_pair(dice, split, b);
    } while (b->colour == a->colour || (b->shape == a->shape) != yes);
    for (int i = 0; i < 2; i++) {
        p->marks[i].size = gri_dice_between(dice, 500, 900);
    }
    set_halves(dice, p);
    snprintf(p->question, sizeof p->question, "Do both have the same shape?");
    snprintf(p->answer, sizeof p->answer, "%s", yes ? "yes" : "no");
}

void gri_make_compare(gri_dice *dice, gr_synth_split split, gri_problem *p)
{
    static gri_maker *const forms[] = {make_larger, make_more, make_alike};
    gri_begin_picture(dice, p);
    forms[gri_dice_below(dice, 3)](dice, split, p);
    p->chance = 1.0 / 2;
}
