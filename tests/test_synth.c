#include "datasets/source_synth.h"
#include "datasets/synth_task.h"
#include "src/base/digest.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "tests/check.h"
#include "tests/dir_support.h"
#include "tests/synth_question.h"
#include "tests/synth_support.h"

#include <math.h>
#include <stdlib.h>

static void test_held_out(void)
{
    static const char letters[] = "BDFGHKLMNPRST";
    int pairs = 0, words = 0, values = 0, sums[2][10] = {{0}};
    GR_CHECK_INT((int64_t)strlen(letters), 13);
    for (int c = 0; c < GRI_COLOURS; c++) {
        int held = 0;
        for (int s = 0; s < GRI_SHAPES; s++) {
            held += gri_held_out_pair(c, s);
        }
        GR_CHECK(held > 0 && held <= 2);
        pairs += held;
        for (int v = 1; v <= 5; v++) {
            values += gri_held_out_value(c, v);
        }
    }
    GR_CHECK_INT(pairs, 12);
    GR_CHECK_INT(values, 10);
    for (int i = 0; i < 13 * 5 * 13; i++) {
        words += gri_held_out_word(i / 65, i / 13 % 5, i % 13);
    }
    GR_CHECK_INT(words, 169);
    for (int a = 0; a < 10; a++) {
        for (int b = 0; b < 10; b++) {
            if (a + b < 10) {
                sums[gri_held_out_sum(a, false, b)][a + b]++;
            }
            if (a >= b) {
                sums[gri_held_out_sum(a, true, b)][a - b]++;
            }
        }
    }
    for (int r = 0; r < 10; r++) { // or drawing one would never end
        GR_CHECK(sums[0][r] > 0 && sums[1][r] > 0);
    }
}

static bool alike(const gri_problem *a, const gri_problem *b)
{
    return memcmp(a->ground, b->ground, sizeof a->ground) == 0 &&
           memcmp(a->marks, b->marks, sizeof a->marks) == 0 && a->count == b->count &&
           strcmp(a->question, b->question) == 0 && strcmp(a->answer, b->answer) == 0;
}

/// A sample depends on (seed, task, split, k), and these bytes are the curriculum of version 1: runs of others rely on them.
static void test_pure(void)
{
    gr_digest all = {0};
    char text[GR_DIGEST_TEXT];
    for (int n = 0; n < 4 * GR_SYNTH_TASKS * SPLITS; n++) {
        const gr_synth_task task = (gr_synth_task)(n / 2 % GR_SYNTH_TASKS);
        const gri_problem p = problem_of(task, n % 2, n), again = problem_of(task, n % 2, n);
        gri_problem other;
        gr_image image = {0};
        GR_CHECK(alike(&p, &again));
        gri_synth_problem(8, task, (gr_synth_split)(n % 2), n, &other);
        GR_CHECK(!alike(&p, &other) || task == GR_SYNTH_TEXT); // of so few some come again
        if (p.pictured && GR_CHECK_OK(gri_synth_render(&p, 61, &image))) {
            const gr_digest two[2] = {all, gr_digest_of(image.rgb, 61 * 61 * 3)};
            all = gr_digest_of(two, sizeof two);
        }
        const gr_digest three[3] = {all, gr_digest_of(p.question, strlen(p.question)),
                                    gr_digest_of(p.answer, strlen(p.answer))};
        all = gr_digest_of(three, sizeof three);
        gr_image_fini(&image);
    }
    gr_digest_format(all, text);
    GR_CHECK_STR(text, "986d71b7f484274f5357c8e1a2ed384b");
}

static bool shows(const gri_mark *m, const char *colour, const char *shape)
{
    return (!*colour || strcmp(gri_colour_names[m->colour], colour) == 0) &&
           (!*shape ||
            strncmp(gri_shape_names[m->shape], shape, strlen(gri_shape_names[m->shape])) == 0);
}

static int count_kind(const gri_problem *p, const char *text)
{
    char colour[16], shape[16];
    int count = 0;
    parse_kind(text, colour, shape);
    for (int i = 0; i < p->count; i++) {
        count += shows(&p->marks[i], colour, shape);
    }
    return count;
}

static const gri_mark *find_kind(const gri_problem *p, const char *text)
{
    char colour[16], shape[16];
    const gri_mark *found = NULL;
    parse_kind(text, colour, shape);
    for (int i = 0; i < p->count; i++) {
        if (shows(&p->marks[i], colour, shape)) {
            GR_CHECK(!found); // nothing else may be meant
            found = &p->marks[i];
        }
    }
    GR_CHECK(found != NULL);
    return found ? found : p->marks;
}

static const char *derive_compare(const gri_problem *p)
{
    const char *a = NULL, *b = NULL;
    if (strncmp(p->question, "Do both", 7) == 0) {
        return p->marks[0].shape == p->marks[1].shape ? "yes" : "no";
    }
    if (strncmp(p->question, "Are there more ", 15) == 0) {
        const int first = count_kind(p, p->question + 15);
        const int second = count_kind(p, strstr(p->question, " than ") + 6);
        GR_CHECK(first != second && first + second == p->count);
        return first > second ? "yes" : "no";
    }
    parse_two(p->question, &a, &b);
    const gri_mark *x = find_kind(p, a), *y = find_kind(p, b);
    const bool larger = strstr(p->question, "larger") != NULL;
    const gri_mark *best = (x->size > y->size) == larger ? x : y;
    GR_CHECK(abs(x->size - y->size) > GRI_SCENE / 20);
    snprintf(answer_text, sizeof answer_text, "the %s %s", gri_colour_names[best->colour],
             gri_shape_names[best->shape]);
    return answer_text;
}

static const char *derive_chart(const gri_problem *p)
{
    const char *colour = strstr(p->question, "the ");
    if (strncmp(p->question, "Which bar", 9) == 0) {
        int best = 0, ties = 0;
        for (int i = 1; i < p->count; i++) {
            best = p->marks[i].value[0] > p->marks[best].value[0] ? i : best;
        }
        for (int i = 0; i < p->count; i++) {
            ties += p->marks[i].value[0] == p->marks[best].value[0];
        }
        GR_CHECK_INT(ties, 1);
        return gri_colour_names[p->marks[best].colour];
    }
    if (strncmp(p->question, "Which line", 10) == 0) {
        const int one = p->marks[0].value[3], two = p->marks[1].value[3];
        GR_CHECK(one != two);
        return gri_colour_names[p->marks[one > two ? 0 : 1].colour];
    }
    for (int i = 0; i < p->count; i++) {
        const char *name = gri_colour_names[p->marks[i].colour];
        if (strncmp(colour + 4, name, strlen(name)) != 0) {
            continue;
        }
        if (strncmp(p->question, "Does", 4) == 0) {
            return p->marks[i].value[3] > p->marks[i].value[0] ? "rise" : "fall";
        }
        snprintf(answer_text, sizeof answer_text, "%d", p->marks[i].value[0]);
        return answer_text;
    }
    GR_CHECK(!"the chart has no such colour");
    return "";
}

static const char *derive_text(const gri_problem *p)
{
    int a = 0, b = 0;
    char sign = 0;
    if (sscanf(p->question, "What is %d %c %d?", &a, &sign, &b) == 3) {
        return add_up(a, sign, b);
    }
    for (int d = 0; d < 4; d++) { // "A x is D a y. Where is the y, seen from the x?"
        if (strstr(p->question, relations[d])) {
            return answers[d ^ 1];
        }
    }
    GR_CHECK(!"neither a sum nor a relation");
    return "";
}

/// The words for a shape that a fine caption must hold.
static bool tells(const char *answer, const gri_mark *m)
{
    char words[80], place[24];
    snprintf(words, sizeof words, "%s %s %s %s", m->size > GRI_SCENE / 7 ? "large" : "small",
             gri_texture_names[m->texture], gri_colour_names[m->colour],
             gri_shape_names[m->shape]);
    snprintf(place, sizeof place, "%s %s", 2 * m->y < GRI_SCENE ? "top" : "bottom",
             2 * m->x < GRI_SCENE ? "left" : "right");
    const char *at = strstr(answer, words), *other = strstr(answer, place);
    return at && other;
}

static void check_caption(const gri_problem *p)
{
    int words = 0;
    for (const char *at = p->answer; *at; at++) {
        words += *at == ' ';
    }
    for (int i = 0; i < p->count; i++) {
        GR_CHECK(tells(p->answer, &p->marks[i]));
    }
    const bool sentence = strncmp(p->answer, "A ", 2) == 0;
    GR_CHECK_INT(words + 1, p->count == 1 ? (sentence ? 9 : 6) : (sentence ? 19 : 12));
}

/// The answer from what is in the scene.
static const char *derive(gr_synth_task task, const gri_problem *p)
{
    const char *a = NULL, *b = NULL, *name = gri_colour_names[p->marks[0].colour];
    switch (task) {
    case GR_SYNTH_COARSE:
        snprintf(answer_text, sizeof answer_text, "%s%s%s %s%s",
                 strncmp(p->question, "Desc", 4) == 0 ? "There is " : "",
                 strncmp(p->question, "Name", 4) == 0 ? ""
                 : *name == 'o'                       ? "an "
                                                      : "a ",
                 name, gri_shape_names[p->marks[0].shape],
                 strncmp(p->question, "Desc", 4) == 0 ? "." : "");
        return answer_text;
    case GR_SYNTH_FINE:
        check_caption(p);
        return p->answer;
    case GR_SYNTH_COUNT:
        a = strncmp(p->question, "How many ", 9) == 0 ? p->question + 9 : p->question + 10;
        snprintf(answer_text, sizeof answer_text, "%d", count_kind(p, a));
        return answer_text;
    case GR_SYNTH_RELATION:
        parse_two(p->question, &a, &b);
        return relate(p->question, direction_of(find_kind(p, a)->x - find_kind(p, b)->x,
                                                find_kind(p, a)->y - find_kind(p, b)->y));
    case GR_SYNTH_COMPARE:
        return derive_compare(p);
    case GR_SYNTH_CHART:
        return derive_chart(p);
    case GR_SYNTH_OCR:
        return p->marks[0].word;
    case GR_SYNTH_MATH:
        return add_up(p->marks[0].word[0] - '0', p->marks[0].word[1],
                      p->marks[0].word[2] - '0');
    case GR_SYNTH_TEXT:
        return derive_text(p);
    case GR_SYNTH_TASKS:
        break;
    }
    return "";
}

static void test_answers(void)
{
    for (int n = 0; n < 1000 * GR_SYNTH_TASKS * SPLITS; n++) {
        const gr_synth_task task = (gr_synth_task)(n / 2 % GR_SYNTH_TASKS);
        const gri_problem p = problem_of(task, n % 2, n / 2 / GR_SYNTH_TASKS);
        if (!GR_CHECK_STR(derive(task, &p), p.answer)) {
            printf("%s\n", p.question);
        }
        GR_CHECK(p.pictured == (task != GR_SYNTH_TEXT));
        GR_CHECK(p.chance > 0 && p.chance <= 0.5);
    }
}

/// Every combination in a scene of `train` is one of train; what `test` asks about is none.
static void test_splits(void)
{
    static const char consonants[] = "BDFGHKLMNPRST", vowels[] = "AEIOU";
    for (int n = 0; n < 1000 * GR_SYNTH_TASKS * SPLITS; n++) {
        const gr_synth_task task = (gr_synth_task)(n / 2 % GR_SYNTH_TASKS);
        const bool test = n % 2;
        const gri_problem p = problem_of(task, n % 2, n / 2 / GR_SYNTH_TASKS);
        for (int i = 0; i < p.count; i++) {
            const gri_mark *m = &p.marks[i];
            const char *w = m->word;
            switch (m->kind) {
            case GRI_MARK_SHAPE:
                GR_CHECK_INT(gri_held_out_pair(m->colour, m->shape), test);
                break;
            case GRI_MARK_BAR:
                GR_CHECK_INT(gri_held_out_value(m->colour, m->value[0]), test && i == 0);
                break;
            case GRI_MARK_LINE:
                GR_CHECK_INT(gri_held_out_value(m->colour, m->value[3]), test);
                break;
            case GRI_MARK_WORD:
                if (task == GR_SYNTH_MATH) {
                    GR_CHECK_INT(gri_held_out_sum(w[0] - '0', w[1] == '-', w[2] - '0'), test);
                } else {
                    GR_CHECK_INT(
                        gri_held_out_word((int)(strchr(consonants, w[0]) - consonants),
                                          (int)(strchr(vowels, w[1]) - vowels),
                                          (int)(strchr(consonants, w[2]) - consonants)),
                        test);
                }
                break;
            }
        }
        int a = 0, b = 0;
        char sign = 0;
        if (sscanf(p.question, "What is %d %c %d?", &a, &sign, &b) == 3) {
            GR_CHECK_INT(gri_held_out_sum(a, sign == '-', b), test);
        }
    }
}

/// Answers of questions with the same chance: how often the commonest comes.
typedef struct tally {
    double chance;
    int total, kinds, counts[1024];
    char names[1024][40];
} tally;

static void add_answer(tally *list, const gri_problem *p, const char *answer)
{
    tally *t = list;
    while (t->total > 0 && fabs(t->chance - p->chance) > 1e-9) {
        t++;
    }
    t->chance = p->chance;
    t->total++;
    int i = 0;
    while (i < t->kinds && strcmp(t->names[i], answer) != 0) {
        i++;
    }
    if (i == t->kinds && GR_CHECK(i < 1024)) {
        snprintf(t->names[t->kinds++], sizeof t->names[0], "%s", answer);
    }
    t->counts[i]++;
}

/// What a choice of two was answered with: the one named first or last. Of three bars, which it is by their place.
static const char *role_of(const gri_problem *p)
{
    static char place[8];
    if (strstr(p->question, " or the ") || strncmp(p->question, "Which line", 10) == 0) {
        const char *name = strncmp(p->answer, "the ", 4) == 0 ? p->answer + 4 : p->answer;
        const char *comma = strchr(p->question, ',') + 2;
        comma += strncmp(comma, "the ", 4) == 0 ? 4 : 0;
        return strncmp(comma, name, strlen(name)) == 0 ? "first" : "second";
    }
    if (strncmp(p->question, "Which bar", 9) == 0) {
        snprintf(place, sizeof place, "%d", p->marks[0].x);
        return place;
    }
    return p->answer;
}

/// No constant answer beats the chance that the sample states, but for 4 standard deviations of 6,000 draws.
static void test_chance(void)
{
    static tally lists[GR_SYNTH_TASKS][SPLITS][8];
    static const gr_synth_task tasks[] = {GR_SYNTH_COUNT,   GR_SYNTH_RELATION, GR_SYNTH_OCR,
                                          GR_SYNTH_COMPARE, GR_SYNTH_CHART,    GR_SYNTH_MATH,
                                          GR_SYNTH_TEXT};
    for (int n = 0; n < 7 * SPLITS * 6000; n++) {
        const gr_synth_task task = tasks[n / 2 % 7];
        const gri_problem p = problem_of(task, n % 2, n / 14);
        add_answer(lists[task][n % 2], &p, role_of(&p));
    }
    for (int n = 0; n < GR_SYNTH_TASKS * SPLITS * 8; n++) {
        const tally *t = &lists[n / 16][n / 8 % 2][n % 8];
        for (int i = 0; i < t->kinds; i++) {
            const double got = (double)t->counts[i] / t->total;
            const double sigma = sqrt(t->chance * (1 - t->chance) / t->total);
            if (!GR_CHECK(got < t->chance + 4 * sigma)) {
                printf("task %d: %s is %g of the answers, chance %g\n", n / 16, t->names[i],
                       got, t->chance);
            }
        }
    }
}

/// Letters that look alike could not be read.
static void test_font(void)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=?";
    for (const char *a = letters; *a; a++) {
        for (const char *b = a + 1; *b; b++) {
            int apart = 0;
            for (int d = 0; d < GRI_FONT_HEIGHT * GRI_FONT_WIDTH; d++) {
                apart += gri_font_dot(*a, d / GRI_FONT_WIDTH, d % GRI_FONT_WIDTH) !=
                         gri_font_dot(*b, d / GRI_FONT_WIDTH, d % GRI_FONT_WIDTH);
            }
            if (!GR_CHECK(apart >= 2)) {
                printf("%c and %c differ in %d dots\n", *a, *b, apart);
            }
        }
    }
    GR_CHECK(!gri_font_dot('*', 0, 0));
}

static void test_shares(void)
{
    gr_synth_options o = {
        .weight = {[GR_SYNTH_COARSE] = 2, [GR_SYNTH_COUNT] = 1, [GR_SYNTH_TEXT] = 4},
        .first = 100};
    int64_t next[GR_SYNTH_TASKS] = {0};
    for (int64_t i = 0; i < 7000; i++) {
        gr_synth_task task;
        int64_t k = 0;
        gri_synth_turn(&o, i, &task, &k);
        GR_CHECK_INT(k, 100 + next[task]++);
        for (int t = 0; t < GR_SYNTH_TASKS; t++) { // never more than two forks' fractions off
            GR_CHECK(fabs((double)next[t] - (double)((i + 1) * o.weight[t]) / 7) < 2);
        }
    }
    GR_CHECK_INT(next[GR_SYNTH_COARSE], 2000);
    GR_CHECK_INT(next[GR_SYNTH_COUNT], 1000);
    GR_CHECK_INT(next[GR_SYNTH_TEXT], 4000);
    GR_CHECK_INT(gri_share(GR_SYNTH_MOST, 8999999, 9000000), 281474945435658);
}

static gr_synth_options all_tasks(const char *out, int64_t count)
{
    gr_synth_options o = {.count = count, .seed = 7, .side = 56, .quality = -1, .out = out};
    for (int t = 0; t < GR_SYNTH_TASKS; t++) {
        o.weight[t] = 1;
    }
    return o;
}

static void check_stored(const gr_dataset *data, int64_t i, const gr_synth_options *o)
{
    gr_sample *sample = NULL;
    gr_synth_task task;
    int64_t k = 0;
    gri_problem p;
    gr_image want = {0}, got = {0};
    if (!GR_CHECK_OK(gr_dataset_read(data, i, &sample))) {
        return;
    }
    gri_synth_turn(o, i, &task, &k);
    gri_synth_problem(o->seed, task, o->split, k, &p);
    GR_CHECK_STR(sample->task, gr_synth_task_names[task]);
    GR_CHECK_INT(sample->images, task != GR_SYNTH_TEXT);
    GR_CHECK(strstr(sample->text, p.question) != NULL);
    if (p.pictured && GR_CHECK_OK(gri_synth_render(&p, o->side, &want)) &&
        sample->images == 1 &&
        GR_CHECK_OK(
            gr_image_decode("image", sample->image[0], sample->image_size[0], 0, &got)) &&
        GR_CHECK_INT(got.width, o->side) && GR_CHECK_INT(got.height, o->side)) {
        GR_CHECK_BYTES(got.rgb, want.rgb, (size_t)(o->side * o->side * 3));
    }
    gr_image_fini(&want);
    gr_image_fini(&got);
    gr_sample_destroy(&sample);
}

/// Every task of each split at several sizes, through shards.
static void test_stored(void)
{
    static const int64_t sides[] = {48, 56, 97, 112, 448};
    for (int n = 0; n < 5 * SPLITS; n++) {
        gr_synth_options o = all_tasks(fresh_dir("stored"), 27);
        gr_import_result result;
        gr_dataset *data = NULL;
        o.side = sides[n / 2];
        o.split = (gr_synth_split)(n % 2);
        o.first = n;
        GR_CHECK_OK(gr_synth(&o, NULL, &result));
        GR_CHECK_INT(result.samples, 27);
        GR_CHECK_INT(result.images, 24);
        GR_CHECK_INT(result.rejects + result.duplicates, 0);
        if (GR_CHECK_OK(gr_dataset_open(o.out, &data))) {
            for (int64_t i = 0; i < gr_dataset_count(data); i++) {
                check_stored(data, i, &o);
            }
        }
        gr_dataset_close(&data);
    }
}

/// Nothing is cut off at the picture's border, at any size the same, and shapes lie apart; on a grid they may touch.
static void check_inside(int lines)
{
    for (int n = 0; n < 200 * GR_SYNTH_TASKS * SPLITS; n++) {
        gri_problem p =
            problem_of((gr_synth_task)(n / 2 % GR_SYNTH_TASKS), n % 2, n / 2 / GR_SYNTH_TASKS);
        if (lines > 0) {
            gri_scene_align(&p, lines);
        }
        for (int i = 0; i < p.count; i++) {
            const gri_mark *m = &p.marks[i];
            const int letters = (int)strlen(m->word) * GRI_FONT_STEP * m->size;
            if (m->kind == GRI_MARK_SHAPE) {
                GR_CHECK(m->x >= m->size && m->x + m->size <= GRI_SCENE);
                GR_CHECK(m->y >= m->size && m->y + m->size <= GRI_SCENE);
            } else if (m->kind == GRI_MARK_WORD) {
                GR_CHECK(m->x >= 0 && m->x + letters <= GRI_SCENE);
                GR_CHECK(m->y >= 0 && m->y + GRI_FONT_HEIGHT * m->size <= GRI_SCENE);
            }
            for (int j = 0; j < i && m->kind == GRI_MARK_SHAPE; j++) {
                const gri_mark *o = &p.marks[j];
                const int apart = m->size + o->size - (lines > 0);
                GR_CHECK(abs(m->x - o->x) > apart || abs(m->y - o->y) > apart);
            }
        }
    }
}

static void test_inside(void)
{
    check_inside(0);
    for (int lines = GR_SYNTH_LEAST_GRID; lines <= GR_SYNTH_MOST_GRID;
         lines += lines < 16 ? 1 : 8) {
        check_inside(lines);
    }
}

/// On a grid centres and first letters stand on its lines; names of places and sizes stay true.
static void test_aligned(void)
{
    for (int n = 0; n < 200 * GR_SYNTH_TASKS; n++) {
        const gri_problem p = problem_of((gr_synth_task)(n % GR_SYNTH_TASKS), 0, n);
        gri_problem q = p;
        gri_scene_align(&q, 8);
        for (int i = 0; i < p.count; i++) {
            const gri_mark *m = &q.marks[i];
            if (m->kind == GRI_MARK_SHAPE || m->kind == GRI_MARK_WORD) {
                GR_CHECK(m->x % (GRI_SCENE / 8) == 0 && m->y % (GRI_SCENE / 8) == 0);
            }
            if (n % GR_SYNTH_TASKS == GR_SYNTH_FINE) { // which names sizes
                GR_CHECK_STR(gri_size_name(m), gri_size_name(&p.marks[i]));
            }
            for (int j = 0; j < i;
                 j++) { // which is larger, and which lies further right or down
                GR_CHECK((q.marks[i].size > q.marks[j].size) <=
                         (p.marks[i].size > p.marks[j].size));
                GR_CHECK(q.marks[i].x <= q.marks[j].x || p.marks[i].x > p.marks[j].x);
                GR_CHECK(q.marks[i].y <= q.marks[j].y || p.marks[i].y > p.marks[j].y);
            }
        }
    }
}

static void check_bad(gr_synth_options o, const char *part)
{
    gr_import_result result;
    GR_CHECK_ERR(gr_synth(&o, NULL, &result), GR_ERR_USAGE, part);
}

static void test_bad(void)
{
    const gr_synth_options good = all_tasks(fresh_dir("bad"), 10);
    gr_synth_task task;
    gr_synth_options o = good;
    memset(o.weight, 0, sizeof o.weight);
    check_bad(o, "no task has a weight");
    o.weight[GR_SYNTH_OCR] = -1;
    check_bad(o, "weight of task ocr: expected 0 to 1000000, got -1");
    o = good;
    o.side = 47;
    check_bad(o, "expected 48 to 2048 pixels, got 47");
    o.grid = 7;
    o.side = 48;
    check_bad(o, "grid: expected 0 or 8 to 64 lines, got 7");
    o.grid = 65;
    check_bad(o, "got 65");
    o.grid = 0;
    o.side = 2049;
    check_bad(o, "got 2049");
    o = good;
    o.count = 0;
    check_bad(o, "got 0 from 0 on");
    o = good;
    o.first = GR_SYNTH_MOST - 5;
    check_bad(o, "expected 1 or more samples below");
    o = good;
    o.quality = 101;
    check_bad(o, "at most 100");
    o.quality = NAN;
    check_bad(o, "at most 100");
    GR_CHECK(gr_synth_task_parse("ocr", 3, &task) && task == GR_SYNTH_OCR);
    GR_CHECK(!gr_synth_task_parse("oc", 2, &task) && !gr_synth_task_parse("", 0, &task));
}

static void test_memory(void)
{
    for (int64_t n = 1; n < 100000; n++) {
        gr_synth_options o = all_tasks(fresh_dir("memory"), 9);
        gr_import_result result;
        gr_mem_fail_at(n);
        const gr_err err = gr_synth(&o, NULL, &result);
        gr_mem_fail_at(0);
        if (err == GR_OK) {
            GR_CHECK(n > 100);
            return;
        }
        GR_CHECK_INT(err, GR_ERR_MEMORY);
    }
    GR_CHECK(!"it never succeeds");
}

static const gr_test tests[] = {
    {"held out", test_held_out}, {"pure", test_pure},     {"answers", test_answers},
    {"splits", test_splits},     {"chance", test_chance}, {"font", test_font},
    {"shares", test_shares},     {"stored", test_stored}, {"inside", test_inside},
    {"aligned", test_aligned},   {"bad", test_bad},       {"memory", test_memory},
};
GR_TEST_MAIN("synth", tests)
