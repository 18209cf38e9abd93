/// The answers of the synthetic curriculum from questions and pixels alone: nothing of what was drawn is known here.

#include "tests/check.h"
#include "tests/synth_question.h"
#include "tests/synth_support.h"

static bool render(const gri_problem *p, int64_t side, gr_image *out)
{
    return GR_CHECK_OK(gri_synth_render(p, side, out));
}

/// Colour and shape of a piece as words.
static void name_piece(const gr_image *im, const seen *s, char *to, size_t size)
{
    GR_CHECK(s->colour >= 0);
    snprintf(to, size, "%s %s", gri_colour_names[s->colour < 0 ? 0 : s->colour],
             gri_shape_names[shape_of(im, s)]);
}

static void look_coarse(const gri_problem *p, const gr_image *im)
{
    seen pieces[8];
    char name[40] = "";
    if (GR_CHECK_INT(see_pieces(im, pieces, 8), 1)) {
        name_piece(im, &pieces[0], name, sizeof name);
    }
    GR_CHECK(strstr(p->answer, name) != NULL && *name);
}

static void look_count(const gri_problem *p, const gr_image *im)
{
    seen pieces[16];
    char colour[16], shape[16], name[40];
    int count = 0;
    const char *kind =
        strncmp(p->question, "How many ", 9) == 0 ? p->question + 9 : p->question + 10;
    parse_kind(kind, colour, shape);
    const int all = see_pieces(im, pieces, 16);
    for (int i = 0; i < all; i++) {
        name_piece(im, &pieces[i], name, sizeof name);
        char *second = strchr(name, ' ');
        *second++ = '\0';
        count += (!*colour || strcmp(colour, name) == 0) &&
                 (!*shape || strncmp(shape, second, strlen(second)) == 0);
    }
    GR_CHECK_INT(count, atoi(p->answer));
}

static int colour_named(const char *text)
{
    int c = 0;
    while (c < GRI_COLOURS - 1 &&
           strncmp(text, gri_colour_names[c], strlen(gri_colour_names[c])) != 0) {
        c++;
    }
    return c;
}

static void look_relation(const gri_problem *p, const gr_image *im)
{
    const char *a = NULL, *b = NULL;
    parse_two(p->question, &a, &b);
    const seen x = see_colour(im, colour_named(a), 0), y = see_colour(im, colour_named(b), 0);
    GR_CHECK(x.area > 4 && y.area > 4);
    GR_CHECK_STR(relate(p->question, direction_of(x.x - y.x, x.y - y.y)), p->answer);
}

static void look_larger(const gri_problem *p, const gr_image *im)
{
    const char *a = NULL, *b = NULL;
    if (strncmp(p->question, "Which is", 8) != 0) {
        return;
    }
    parse_two(p->question, &a, &b);
    const seen x = see_colour(im, colour_named(a), 0), y = see_colour(im, colour_named(b), 0);
    const bool first =
        (x.bottom - x.top + x.right - x.left > y.bottom - y.top + y.right - y.left) ==
        (strstr(p->question, "larger") != NULL);
    GR_CHECK(strncmp(p->answer + 4, first ? a : b, strlen(p->answer + 4)) == 0);
}

static void look_bars(const gri_problem *p, const gr_image *im)
{
    const double pitch = 660.0 * (double)im->width / GRI_SCENE;
    const int from = (int)(im->width * 650 / GRI_SCENE);
    int best = 0, highest = -1;
    if (!strstr(p->question, "bar")) {
        return;
    }
    for (int c = 0; c < GRI_COLOURS; c++) {
        const seen s = see_colour(im, c, from);
        const int height = s.area > 0 ? s.bottom - s.top + 1 : 0;
        best = height > best ? height : best;
        highest = height == best && height > 0 ? c : highest;
        if (strncmp(p->question, "How", 3) == 0 && strstr(p->question, gri_colour_names[c])) {
            GR_CHECK_INT(lround(height / pitch), atoi(p->answer));
        }
    }
    if (strncmp(p->question, "Which", 5) == 0) {
        GR_CHECK_STR(gri_colour_names[highest], p->answer);
    }
}

static void look_word(const gri_problem *p, const gr_image *im)
{
    char word[4];
    read_word(im, word);
    if (p->answer[0] >= 'A') {
        GR_CHECK_STR(word, p->answer);
    } else {
        GR_CHECK_STR(add_up(word[0] - '0', word[1], word[2] - '0'), p->answer);
    }
}

/// The answers once more, from question and pixels alone.
static void test_pixels(void)
{
    static void (*const looks[GR_SYNTH_TASKS])(const gri_problem *, const gr_image *) = {
        [GR_SYNTH_COARSE] = look_coarse,     [GR_SYNTH_COUNT] = look_count,
        [GR_SYNTH_RELATION] = look_relation, [GR_SYNTH_COMPARE] = look_larger,
        [GR_SYNTH_CHART] = look_bars,        [GR_SYNTH_OCR] = look_word,
        [GR_SYNTH_MATH] = look_word,
    };
    for (int n = 0; n < 100 * GR_SYNTH_TASKS * SPLITS; n++) {
        const gr_synth_task task = (gr_synth_task)(n / 2 % GR_SYNTH_TASKS);
        const gri_problem p = problem_of(task, n % 2, n);
        gr_image image = {0};
        if (looks[task] && render(&p, 112 + n % 3 * 56, &image)) {
            looks[task](&p, &image);
        }
        gr_image_fini(&image);
    }
}

static const gr_test tests[] = {
    {"pixels", test_pixels},
};
GR_TEST_MAIN("synth_pixels", tests)
