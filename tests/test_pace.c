// The speed that the progress line shows.
#include "stages/pace.h"
#include "tests/check.h"

static gr_pace_sum step(double seconds, int64_t samples)
{
    return (gr_pace_sum){.steps = 1,
                         .samples = samples,
                         .tokens = 10 * samples,
                         .seconds = seconds,
                         .data_wait = seconds / 4};
}

static void check_sum(gr_pace_sum got, int64_t steps, int64_t samples, double seconds)
{
    GR_CHECK_INT(got.steps, steps);
    GR_CHECK_INT(got.samples, samples);
    GR_CHECK_INT(got.tokens, 10 * samples);
    GR_CHECK(got.seconds == seconds);
    GR_CHECK(got.data_wait == seconds / 4);
}

/// All steps since the line before, the slow and the fast.
static void test_since_the_last_line(void)
{
    gr_pace pace = {0};
    gr_pace_sum slow = step(4, 8), fast = step(0.5, 8);
    check_sum(gr_pace_add(&pace, 5, &slow), 1, 8, 4);
    check_sum(gr_pace_add(&pace, 5, &fast), 2, 16, 4.5);
    check_sum(gr_pace_add(&pace, 5, &fast), 3, 24, 5);
    gr_pace_restart(&pace);
    check_sum(gr_pace_add(&pace, 5, &fast), 1, 8, 0.5);
}

/// Without a line that stays: what is long ago counts no more, and a window is never a step alone.
static void test_on_a_live_line(void)
{
    gr_pace pace = {0};
    gr_pace_sum slow = step(64, 8), fast = step(1, 8);
    check_sum(gr_pace_add(&pace, 4, &slow), 1, 8, 64);
    for (int i = 1; i <= 4; i++) {
        check_sum(gr_pace_add(&pace, 4, &fast), 1 + i, 8 + 8 * i, 64 + i);
    }
    check_sum(gr_pace_add(&pace, 4, &fast), 5, 40, 5); // the slow step's window is gone
    for (int i = 2; i <= 4; i++) {
        check_sum(gr_pace_add(&pace, 4, &fast), 4 + i, 8 * (4 + i), 4 + i);
    }
    check_sum(gr_pace_add(&pace, 4, &fast), 5, 40, 5);
}

static const gr_test tests[] = {
    {"since the last line", test_since_the_last_line},
    {"on a live line", test_on_a_live_line},
};

GR_TEST_MAIN("pace", tests)
