#ifndef STAGES_ADALRS_H
#define STAGES_ADALRS_H

/// AdaLRS: a stage finds its learning rate while it trains (arXiv 2506.13274; SAIL-VL2, arXiv 2509.14033). One factor scales the rates of
/// all parts. Steps are taken in windows of k; the velocity v of a window is the negated slope of the least-squares line through its
/// losses, e the standard error of that slope:
///     slope = sum (i - mean i)(l_i - mean l) / S,  S = k (k^2 - 1) / 12,  e^2 = (sum (l_i - mean l)^2 - slope^2 S) / ((k - 2) S)
/// Behind a window at factor f the state is kept and a window is tried at up' f. With d = 2 sqrt(e^2 + e_tried^2), t decisions so far,
/// up' = max(fade^t up, 1), down' = max(fade^t down, 1):
///     v_tried > v + d    faster: f becomes up' f
///     v_tried < v - d    slower: the kept state is put back, f becomes f / down'
///     else               neither: f stays, and so does what the tried window learned
/// A loss above all of the stage's earlier ones, or one that is not finite, ends a try as slower at once. Two windows in a row, tries left
/// out, whose losses clearly rise (v < -2 e) make f smaller without another try. The search lies between two fractions of the planned steps.
/// Our choices, where the reports are silent: e and d, t counts decisions, each window in the range is a decision point.

#include <stdbool.h>
#include <stdint.h>

/// What the recipe says (`adalrs`).
typedef struct gr_adalrs_rule {
    int64_t window;  ///< k, steps; 0: no search
    double up, down; ///< factors of the rate, above 1
    double fade;     ///< of both with each decision, in (0, 1]
    double from, to; ///< fractions of the planned steps between which it searches
} gr_adalrs_rule;

/// Where the search stands; a checkpoint carries it. Zeroed: a stage's beginning.
typedef struct gr_adalrs_state {
    double scale;      ///< f; 0: nothing decided yet, 1. While trying the old one
    int64_t decisions; ///< t
    int64_t rising;    ///< windows at this factor in a row, the newest ones, with a rising loss
    bool trying;
    double velocity, error; ///< while trying: of the window before
    double highest; ///< loss of the stage outside of tries; means something when `losses`
    int64_t losses; ///< of them
    int64_t seen;   ///< losses of the window so far
    double first, sum, moment, squares; ///< of them, less the first: l, i l, l^2
} gr_adalrs_state;

typedef enum gr_adalrs_act {
    GR_ADALRS_GO_ON,
    GR_ADALRS_TRY,     ///< a try begins with the next step
    GR_ADALRS_FASTER,  ///< it was: its rate stays
    GR_ADALRS_NEITHER, ///< the old rate, the new weights
    GR_ADALRS_SLOWER,  ///< the state from before the try, a lower rate
    GR_ADALRS_RISES,   ///< a lower rate without a try
} gr_adalrs_act;
extern const char *const gr_adalrs_names[]; ///< "go on", "try", "faster" ...

/// What one window or try gave, for who tells of it.
typedef struct gr_adalrs_found {
    gr_adalrs_act act;
    double velocity, error;             ///< at the factor of before
    double tried_velocity, tried_error; ///< of a whole try, else NaN
} gr_adalrs_found;

bool gr_adalrs_is_set(const gr_adalrs_rule *rule);
/// What the rates of the next step are multiplied with.
double gr_adalrs_scale(const gr_adalrs_rule *rule, const gr_adalrs_state *state);
/// Steps (first, last] of a stage of so many: those whose losses the search looks at.
void gr_adalrs_range(const gr_adalrs_rule *rule, int64_t steps, int64_t *first, int64_t *last);
/// Whether the loss of step `step` (1, 2 ... `steps`) may lead to anything but going on, so that all weights should be there behind it.
bool gr_adalrs_may_decide(const gr_adalrs_rule *rule, const gr_adalrs_state *state,
                          int64_t step, int64_t steps);
/// Takes in the loss of step `step` of the stage; NaN: the step made no update.
gr_adalrs_found gr_adalrs_take(const gr_adalrs_rule *rule, gr_adalrs_state *state, int64_t step,
                               int64_t steps, double loss);

#endif
