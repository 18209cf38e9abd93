#include "stages/stage_end.h"

const char *const gr_end_names[] = {
    [GR_END_NOT] = "planned", [GR_END_TARGET] = "target", [GR_END_PLATEAU] = "plateau"};

bool gr_end_rule_is_set(const gr_end_rule *rule)
{
    return rule->target >= 0 || rule->patience > 0;
}

gr_end gr_end_judge(const gr_end_rule *rule, gr_end_state *state, double loss)
{
    const bool better = state->measured == 0 || loss < state->best - rule->improvement;
    state->measured++;
    state->since = better ? 0 : state->since + 1;
    state->best = better ? loss : state->best;
    if (rule->target >= 0 && loss <= rule->target) {
        return GR_END_TARGET;
    }
    return rule->patience > 0 && state->since >= rule->patience ? GR_END_PLATEAU : GR_END_NOT;
}
