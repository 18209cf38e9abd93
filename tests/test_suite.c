// What counts as the expected answer, and the scores that follow.
#include "src/eval/suite.h"
#include "tests/check.h"

#include <math.h>
#include <string.h>

static void test_same(void)
{
    GR_CHECK(gr_suite_same("A red ring.", "a red  ring"));
    GR_CHECK(gr_suite_same("7", " 7.\n"));
    GR_CHECK(gr_suite_same("", " . "));
    GR_CHECK(gr_suite_same("\xc3\x84", "\xc3\x84"));
    GR_CHECK(!gr_suite_same("\xc3\x84", "\xc3\xa4")); // only ASCII's case
    GR_CHECK(!gr_suite_same("a red ring", "red ring"));
    GR_CHECK(!gr_suite_same("1", "10"));
    GR_CHECK(!gr_suite_same("10", "1"));
    GR_CHECK(!gr_suite_same("3.5", "35"));
    GR_CHECK(!gr_suite_same("a b", "ab"));
    GR_CHECK(!gr_suite_same("", "a"));
}

// Wilson's interval by the formula's roots: |p - share| = z sqrt(share (1 - share) / n) at both ends.
static void test_interval(void)
{
    const int64_t cases[][2] = {{0, 10}, {1, 10}, {50, 100}, {250, 250}, {7, 1000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double n = (double)cases[i][1], p = (double)cases[i][0] / n;
        double low = 0, high = 0;
        gr_suite_interval(cases[i][0], cases[i][1], &low, &high);
        GR_CHECK(low >= 0 && low <= p && p <= high && high <= 1);
        GR_CHECK(fabs(fabs(p - low) - 1.959964 * sqrt(low * (1 - low) / n)) < 1e-9);
        GR_CHECK(fabs(fabs(p - high) - 1.959964 * sqrt(high * (1 - high) / n)) < 1e-9);
    }
}

static void test_tally(void)
{
    static const char lines[] =
        "{\"suite\":\"s\",\"task\":\"a\",\"right\":true,\"chance\":0.5}\n"
        "{\"suite\":\"s\",\"task\":\"b\",\"right\":false}\n"
        "{\"suite\":\"s\",\"task\":\"a\",\"right\":false,\"chance\":0.25}\n"
        "{\"suite\":\"t\",\"task\":\"a\",\"right\":true,\"chance\":1}\n"
        "{\"suite\":\"s\",\"task\":\"b\",\"right\":true,\"chance\":1}\n";
    gr_suite_score *scores = NULL;
    int64_t count = 0;
    GR_CHECK_OK(gr_suite_tally(lines, strlen(lines), &scores, &count));
    GR_CHECK_INT(count, 3);
    if (count != 3) {
        return;
    }
    GR_CHECK(strcmp(scores[0].task, "a") == 0 && scores[0].asked == 2 && scores[0].right == 1);
    GR_CHECK(scores[0].chance == 0.375);
    GR_CHECK(strcmp(scores[1].task, "b") == 0 && scores[1].asked == 2 && scores[1].right == 1);
    GR_CHECK(scores[1].chance == -1); // one sample did not say
    GR_CHECK(strcmp(scores[2].suite, "t") == 0 && scores[2].asked == 1 &&
             scores[2].chance == 1);
    gr_suite_scores_free(&scores, count);
    GR_CHECK_ERR(gr_suite_tally("{\"suite\":\"s\"}\n", 14, &scores, &count), GR_ERR_DATA,
                 "task");
}

static const gr_test tests[] = {
    {"same", test_same}, {"interval", test_interval}, {"tally", test_tally}};

GR_TEST_MAIN("suite", tests)
