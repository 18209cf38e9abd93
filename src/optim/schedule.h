#ifndef SRC_OPTIM_SCHEDULE_H
#define SRC_OPTIM_SCHEDULE_H

/// Learning-rate schedules: a linear warm-up, then constant or a cosine to `final_fraction`.

#include "src/base/err.h"

#include <stdint.h>

typedef enum gr_schedule_kind { GR_SCHEDULE_CONSTANT, GR_SCHEDULE_COSINE } gr_schedule_kind;

typedef struct gr_schedule {
    gr_schedule_kind kind;
    int64_t warmup_steps;  ///< step s < warmup_steps has the factor (s + 1) / warmup_steps
    int64_t steps;         ///< length of the stage
    double final_fraction; ///< factor at the last step of a cosine
    double scale;          ///< of all factors
} gr_schedule;

/// Factor for the learning rate at step s = 0 .. steps-1: `scale` times that of the kind. Cosine: f + (1 - f) (1 + cos(pi u)) / 2,
/// u = (s - warmup) / max(steps - 1 - warmup, 1).
double gr_schedule_factor(const gr_schedule *schedule, int64_t step);

#endif
