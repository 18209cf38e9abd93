#include "src/base/mem.h"
#include "src/eval/suite.h"

#include <math.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/// Where the text ends when white space and full stops behind it do not count.
static const char *end_of(const char *text)
{
    const char *end = text + strlen(text);
    while (end > text && (is_space(end[-1]) || end[-1] == '.')) {
        end--;
    }
    return end;
}

/// The next character as it is compared, 0 at the end; a run of white space is one blank.
static char next_of(const char **at, const char *end)
{
    if (*at >= end) {
        return 0;
    }
    const char c = *(*at)++;
    if (!is_space(c)) {
        return lower(c);
    }
    while (*at < end && is_space(**at)) {
        ++*at;
    }
    return ' ';
}

bool gr_suite_same(const char *expected, const char *answer)
{
    const char *a = expected + strspn(expected, " \t\n\v\f\r"), *a_end = end_of(a);
    const char *b = answer + strspn(answer, " \t\n\v\f\r"), *b_end = end_of(b);
    for (;;) {
        const char x = next_of(&a, a_end), y = next_of(&b, b_end);
        if (x != y || !x) {
            return x == y;
        }
    }
}

void gr_suite_interval(int64_t right, int64_t asked, double *low, double *high)
{
    const double z = 1.959964, n = (double)asked, p = (double)right / n;
    const double middle = p + z * z / (2 * n);
    const double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    *low = right == 0 ? 0 : (middle - half) / (1 + z * z / n);
    *high = right == asked ? 1 : (middle + half) / (1 + z * z / n);
}

typedef struct tally {
    gr_suite_score *scores;
    int64_t count;
} tally;

/// The score of this task of this suite, made at its first line.
static gr_err find_score(tally *t, const char *suite, const char *task, gr_suite_score **out)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < t->count; i++) {
        if (strcmp(t->scores[i].suite, suite) == 0 && strcmp(t->scores[i].task, task) == 0) {
            *out = &t->scores[i];
            return GR_OK;
        }
    }
    GR_RESIZE(t->scores, t->count, t->count + 1);
    gr_suite_score *score = &t->scores[t->count++];
    *score = (gr_suite_score){0};
    GR_STRDUP(score->suite, suite);
    GR_STRDUP(score->task, task);
    *out = score;
done:
    return err;
}

static gr_err add_line(tally *t, const gr_node *line)
{
    gr_err err = GR_OK;
    const char *suite = NULL, *task = NULL;
    gr_suite_score *score = NULL;
    bool right = false;
    double chance = -1;
    GR_TRY(gr_node_get_string(line, "suite", &suite));
    GR_TRY(gr_node_get_string(line, "task", &task));
    GR_TRY(gr_node_opt_bool(line, "right", &right));
    GR_TRY(gr_node_opt_real(line, "chance", 0, 1, &chance));
    GR_TRY(find_score(t, suite, task, &score));
    score->asked++;
    score->right += right;
    score->chance = chance < 0 || score->chance < 0
                        ? -1
                        : score->chance + (chance - score->chance) / (double)score->asked;
done:
    return err;
}

gr_err gr_suite_tally(const char *lines, size_t size, gr_suite_score **out, int64_t *count)
{
    gr_err err = GR_OK;
    tally t = {0};
    gr_doc *doc = NULL;
    const char *end = lines + size;
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));
        stop = stop ? stop : end;
        GR_TRY(gr_doc_parse_json("answer", lines, (size_t)(stop - lines), GR_ERR_DATA, &doc));
        GR_TRY(gr_node_expect(gr_doc_root(doc), GR_DOC_MAP));
        GR_TRY(add_line(&t, gr_doc_root(doc)));
        gr_doc_destroy(&doc);
        lines = stop + 1;
    }
    *out = t.scores;
    *count = t.count;
    t = (tally){0};
done:
    gr_doc_destroy(&doc);
    gr_suite_scores_free(&t.scores, t.count);
    return err;
}

void gr_suite_scores_free(gr_suite_score **scores, int64_t count)
{
    for (int64_t i = 0; *scores && i < count; i++) {
        GR_FREE((*scores)[i].suite);
        GR_FREE((*scores)[i].task);
    }
    GR_FREE(*scores);
}
