// The search for a learning rate.
#include "stages/adalrs.h"
#include "tests/check.h"

#include <math.h>

static const gr_adalrs_rule rule = {
    .window = 4, .up = 3, .down = 2, .fade = 0.9, .from = 0.1, .to = 0.8};
enum { STEPS = 40 }; // windows of steps 5 to 8, 9 to 12 ... 29 to 32

/// Four losses; returns what the last of them led to, and that those before led to nothing.
static gr_adalrs_found take4(gr_adalrs_state *s, int64_t *step, const double losses[4])
{
    gr_adalrs_found found = {0};
    for (int i = 0; i < 4; i++) {
        GR_CHECK_INT(found.act, GR_ADALRS_GO_ON);
        found = gr_adalrs_take(&rule, s, ++*step, STEPS, losses[i]);
    }
    return found;
}

/// Before the range: the losses only say what the highest is.
static gr_adalrs_state begin(int64_t *step)
{
    static const double first[4] = {9, 8, 8, 8};
    gr_adalrs_state s = {0};
    *step = 0;
    GR_CHECK_INT(take4(&s, step, first).act, GR_ADALRS_GO_ON);
    GR_CHECK_INT(s.seen, 0);
    GR_CHECK(s.highest == 9 && gr_adalrs_scale(&rule, &s) == 1);
    return s;
}

static const double slow[4] = {5, 4.9, 4.8, 4.7}, fast[4] = {4, 3.5, 3, 2.5},
                    noisy[4] = {5, 3, 6, 4}, up[4] = {4, 4.2, 4.4, 4.6};

static void test_velocity(void)
{
    int64_t step = 0;
    gr_adalrs_state s = begin(&step);
    // Slope of 5, 3, 6, 4 over 0..3: (-1.5 5 - 0.5 3 + 0.5 6 + 1.5 4) / 5 = 0; sum of squares about the mean 4.5: 5.
    const gr_adalrs_found found = take4(&s, &step, noisy);
    const double none = 0, error = sqrt(5.0 / 2 / 5);
    GR_CHECK_CLOSE_F64(&found.velocity, &none, 1, 0, 1e-15);
    GR_CHECK_CLOSE_F64(&found.error, &error, 1, 1e-15, 0);
    s = begin(&step);
    const double velocity = 0.1;
    const gr_adalrs_found straight = take4(&s, &step, slow);
    GR_CHECK_CLOSE_F64(&straight.velocity, &velocity, 1, 1e-14, 0);
    GR_CHECK(straight.error >= 0 && straight.error < 1e-7);
}

static void test_faster_fades(void)
{
    int64_t step = 0;
    gr_adalrs_state s = begin(&step);
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_TRY);
    GR_CHECK(gr_adalrs_scale(&rule, &s) == 3);
    GR_CHECK_INT(take4(&s, &step, fast).act, GR_ADALRS_FASTER);
    GR_CHECK(gr_adalrs_scale(&rule, &s) == 3);
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_TRY);
    const double tried = 3 * 3 * 0.9, lower = 3 / (2 * 0.9);
    double scale = gr_adalrs_scale(&rule, &s);
    GR_CHECK_CLOSE_F64(&scale, &tried, 1, 1e-12, 0);
    GR_CHECK_INT(take4(&s, &step, up).act, GR_ADALRS_SLOWER);
    scale = gr_adalrs_scale(&rule, &s);
    GR_CHECK_CLOSE_F64(&scale, &lower, 1, 1e-12, 0);
}

static void test_neither(void)
{
    int64_t step = 0;
    gr_adalrs_state s = begin(&step);
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_TRY);
    GR_CHECK_INT(take4(&s, &step, noisy).act, GR_ADALRS_NEITHER);
    GR_CHECK(gr_adalrs_scale(&rule, &s) == 1);
    GR_CHECK_INT(s.decisions, 1);
}

/// A loss above all of the stage's own is no longer waited out.
static void test_abandoned(void)
{
    int64_t step = 0;
    gr_adalrs_state s = begin(&step);
    GR_CHECK(!gr_adalrs_may_decide(&rule, &s, 5, STEPS));
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_TRY);
    GR_CHECK_INT(gr_adalrs_take(&rule, &s, ++step, STEPS, 8.9).act, GR_ADALRS_GO_ON);
    GR_CHECK(gr_adalrs_may_decide(&rule, &s, step + 1, STEPS));
    GR_CHECK_INT(gr_adalrs_take(&rule, &s, ++step, STEPS, 9.1).act, GR_ADALRS_SLOWER);
    GR_CHECK(gr_adalrs_scale(&rule, &s) == 0.5 && s.seen == 0 && s.highest == 9);
}

/// A step without an update ends a try, also behind the range; elsewhere it is as if it had not been.
static void test_skipped(void)
{
    int64_t step = 0;
    gr_adalrs_state s = begin(&step);
    GR_CHECK_INT(gr_adalrs_take(&rule, &s, ++step, STEPS, NAN).act, GR_ADALRS_GO_ON);
    GR_CHECK_INT(s.seen, 0);
    GR_CHECK(s.highest == 9);
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_TRY);
    const gr_adalrs_found found = gr_adalrs_take(&rule, &s, ++step, STEPS, NAN);
    GR_CHECK_INT(found.act, GR_ADALRS_SLOWER);
    GR_CHECK(isnan(found.tried_velocity) && found.velocity > 0);
    s.trying = true;
    GR_CHECK_INT(gr_adalrs_take(&rule, &s, STEPS, STEPS, INFINITY).act, GR_ADALRS_SLOWER);
    // A window whose last loss is still to come decides nothing behind the range.
    s = (gr_adalrs_state){.seen = 3};
    GR_CHECK(gr_adalrs_may_decide(&rule, &s, 32, STEPS));
    GR_CHECK(!gr_adalrs_may_decide(&rule, &s, 33, STEPS));
}

/// Two windows that rise, with a try between them that decided nothing.
static void test_rises(void)
{
    int64_t step = 0;
    gr_adalrs_state s = begin(&step);
    GR_CHECK_INT(take4(&s, &step, up).act, GR_ADALRS_TRY);
    GR_CHECK_INT(take4(&s, &step, noisy).act, GR_ADALRS_NEITHER);
    GR_CHECK_INT(take4(&s, &step, up).act, GR_ADALRS_RISES);
    const double scale = gr_adalrs_scale(&rule, &s), lower = 1 / (2 * 0.9);
    GR_CHECK_CLOSE_F64(&scale, &lower, 1, 1e-14, 0);
    GR_CHECK_INT(s.rising, 0);
}

/// No try begins that does not end in the range; nothing is decided behind it.
static void test_range(void)
{
    int64_t step = 28;
    gr_adalrs_state s = {.losses = 28, .highest = 9};
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_GO_ON); // steps 29 to 32, the last ones
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_GO_ON);
    GR_CHECK_INT(s.seen, 0);
    step = 24;
    s = (gr_adalrs_state){.losses = 24, .highest = 9};
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_TRY);
    GR_CHECK_INT(take4(&s, &step, fast).act, GR_ADALRS_FASTER);
    // Factors that have faded away try nothing.
    step = 4;
    s = (gr_adalrs_state){.losses = 4, .highest = 9, .decisions = 100};
    GR_CHECK_INT(take4(&s, &step, slow).act, GR_ADALRS_GO_ON);
}

static const gr_test tests[] = {
    {"velocity", test_velocity}, {"faster, and fades", test_faster_fades},
    {"neither", test_neither},   {"abandoned", test_abandoned},
    {"skipped", test_skipped},   {"rises", test_rises},
    {"range", test_range}};

GR_TEST_MAIN("adalrs", tests)
