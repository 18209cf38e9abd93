// When the held-out loss ends a stage.
#include "stages/stage_end.h"
#include "tests/check.h"

/// After how many of the losses the rule ends the stage, and by what; 0: never.
static int64_t end_of(gr_end_rule rule, const double *losses, int64_t count, gr_end *why)
{
    gr_end_state state = {0};
    for (int64_t i = 0; i < count; i++) {
        *why = gr_end_judge(&rule, &state, losses[i]);
        GR_CHECK_INT(state.measured, i + 1);
        if (*why != GR_END_NOT) {
            return i + 1;
        }
    }
    return 0;
}

static void test_rules(void)
{
    static const double losses[] = {3.0, 2.5, 2.45, 2.44, 2.6, 2.3, 2.3, 2.3, 2.4};
    gr_end why = GR_END_NOT;
    const gr_end_rule none = {.target = -1}, target = {.target = 2.44},
                      two = {.target = -1, .patience = 2},
                      coarse = {.target = -1, .patience = 2, .improvement = 0.1},
                      one = {.target = -1, .patience = 1},
                      both = {.target = 2.5, .patience = 1};
    GR_CHECK(!gr_end_rule_is_set(&none) && gr_end_rule_is_set(&target) &&
             gr_end_rule_is_set(&two));
    GR_CHECK_INT(end_of(none, losses, 9, &why), 0);
    GR_CHECK_INT(end_of(target, losses, 9, &why), 4); // reached, not only passed
    GR_CHECK_INT(why, GR_END_TARGET);
    GR_CHECK_INT(end_of(two, losses, 9, &why), 8); // an equal loss is no better one
    GR_CHECK_INT(why, GR_END_PLATEAU);
    GR_CHECK_INT(end_of(coarse, losses, 9, &why), 4);
    GR_CHECK_INT(end_of(one, losses, 9, &why), 5);
    GR_CHECK_INT(end_of(both, losses, 9, &why), 2);
    GR_CHECK_INT(why, GR_END_TARGET);
    // The best is what improvements are counted from, not the last one: slow progress is progress once it adds up.
    static const double slow[] = {3.0, 2.95, 2.89, 2.85, 2.78};
    GR_CHECK_INT(end_of(coarse, slow, 5, &why), 0);
}

static const gr_test tests[] = {{"rules", test_rules}};

GR_TEST_MAIN("stage_end", tests)
