/// The known answers of every room, as `gradus doctor` runs them; and that their comparisons can fail.

#include "datasets/known.h"
#include "src/formats/known.h"
#include "src/model/known.h"
#include "src/ops/known.h"
#include "tests/check.h"

#include <math.h>

/// Every known answer of a room's table, of which there must be `count`.
static void check_table(const gr_known *(*table)(int64_t *), int64_t count)
{
    int64_t n = 0;
    const gr_known *known = table(&n);
    GR_CHECK_INT(n, count);
    for (int64_t i = 0; i < n; i++) {
        GR_CHECK_OK(known[i].run());
    }
}

static void test_base(void)
{
    check_table(gr_base_known, 2);
}

static void test_ops(void)
{
    check_table(gr_ops_known, 1);
}

static void test_model(void)
{
    check_table(gr_model_known, 6);
}

static void test_formats(void)
{
    check_table(gr_formats_known, 6);
}

static void test_datasets(void)
{
    check_table(gr_datasets_known, 1);
}

static void test_comparisons_fail(void)
{
    const float got[] = {1, 2.001f}, nan_at_1[] = {1, NAN};
    const double want[] = {1, 2};
    GR_CHECK_OK(gr_known_close("x", 1.01, 1, 0.02, 0));
    GR_CHECK_ERR(gr_known_close("x", 1.03, 1, 0.02, 0), GR_ERR_FAILED,
                 "x: expected 1.000000, got 1.03");
    GR_CHECK_ERR(gr_known_close("x", NAN, 1, 1, 1), GR_ERR_FAILED, "got ");
    GR_CHECK_ERR(gr_known_close("x", INFINITY, 1, 1, 1), GR_ERR_FAILED, "got inf");
    GR_CHECK_OK(gr_known_close_n("x", got, want, 2, 0, 2e-3));
    GR_CHECK_ERR(gr_known_close_n("x", got, want, 2, 0, 1e-4), GR_ERR_FAILED,
                 "x, element 1: expected 2.000000, got 2.00");
    GR_CHECK_ERR(gr_known_close_n("x", nan_at_1, want, 2, 1, 1), GR_ERR_FAILED, "element 1");
    GR_CHECK_OK(gr_known_int("x", 3, 3));
    GR_CHECK_ERR(gr_known_int("x", 4, 3), GR_ERR_FAILED, "x: expected 3, got 4");
    GR_CHECK_OK(gr_known_text("x", "a", "a"));
    GR_CHECK_ERR(gr_known_text("x", "b", "a"), GR_ERR_FAILED, "x: expected \"a\", got \"b\"");
}

static const gr_test tests[] = {
    {"base", test_base},         {"ops", test_ops},
    {"model", test_model},       {"formats", test_formats},
    {"datasets", test_datasets}, {"comparisons can fail", test_comparisons_fail},
};
GR_TEST_MAIN("known", tests)
