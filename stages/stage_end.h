#ifndef STAGES_STAGE_END_H
#define STAGES_STAGE_END_H

/// When a stage is over before its planned steps: by its held-out loss, which has the same bits on every rank.

#include <stdbool.h>
#include <stdint.h>

/// What the recipe says (`ends`).
typedef struct gr_end_rule {
    double target; ///< over at a held-out loss of this or less; below 0: no target
    int64_t
        patience; ///< over after so many validations in a row without a better one; 0: never
    double improvement; ///< a better one is lower than the best by more than this
} gr_end_rule;

/// Where a stage stands; a checkpoint carries it. Zeroed: nothing measured yet.
typedef struct gr_end_state {
    double best;      ///< lowest held-out loss by the rule; means something when `measured`
    int64_t measured; ///< validations so far, the one before the first step among them
    int64_t since;    ///< validations since the best one
} gr_end_state;

typedef enum gr_end {
    GR_END_NOT,
    GR_END_TARGET,
    GR_END_PLATEAU,
} gr_end;
extern const char *const gr_end_names[]; ///< "planned", "target", "plateau"

/// Whether any validation can end the stage.
bool gr_end_rule_is_set(const gr_end_rule *rule);
/// Takes a further held-out loss into the state and says whether the stage is over.
gr_end gr_end_judge(const gr_end_rule *rule, gr_end_state *state, double loss);

#endif
