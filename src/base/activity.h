#ifndef SRC_BASE_ACTIVITY_H
#define SRC_BASE_ACTIVITY_H

/// What this process is doing, for whoever watches it (mpi/watchdog.h). The main thread writes as it goes, any thread reads. Cheap:
/// some atomics, and a text a sample; nothing here changes a result.

#include "src/base/err.h"

#include <stdint.h>

#define GR_PHASE_LIST(X)                                                                       \
    X(GR_PHASE_START, "opening") /* recipe, model, data; also between stages */                \
    X(GR_PHASE_DATA, "data")                                                                   \
    X(GR_PHASE_FORWARD, "forward")                                                             \
    X(GR_PHASE_BACKWARD, "backward")                                                           \
    X(GR_PHASE_REDUCE, "reduce") /* gradients added over the ranks */                          \
    X(GR_PHASE_UPDATE, "update")                                                               \
    X(GR_PHASE_CHECKPOINT, "checkpoint")

typedef enum gr_phase {
#define GR_PHASE_ENUM(name, text) name,
    GR_PHASE_LIST(GR_PHASE_ENUM)
#undef GR_PHASE_ENUM
        GR_PHASE_COUNT
} gr_phase;

/// "forward". Static text.
const char *gr_phase_name(gr_phase phase);

typedef struct gr_activity {
    gr_phase phase;
    bool waiting;        ///< for other ranks, inside a call of MPI
    uint64_t pulse;      ///< moves as long as work does
    int64_t steps;       ///< of training that were done, in all
    int64_t stage_steps; ///< of them in this stage
    double slowest;      ///< seconds of the slowest of them
    double step_seconds; ///< since the step under way began; 0 outside of steps
    char place[112];     ///< "stage first, step 7"; "" before the first
    char sample
        [160]; ///< computed, or in the data phase read: "sample 12 of data"; "" before the first
} gr_activity;

/// Something was done: a product's tile, a sample, a message. Any thread.
void gr_activity_pulse(void);
/// A sample is being read. Any thread.
void gr_activity_reading(const char *path, int64_t index);
/// From the main thread.
void gr_activity_phase(gr_phase phase);
void gr_activity_place(const char *fmt, ...) GR_PRINTF(1, 2);
/// The first sample of what is computed now.
void gr_activity_sample(const char *path, int64_t index);
/// Before and after a call in which other ranks are waited for.
void gr_activity_wait(bool waiting);
/// Seconds that the main thread has spent between such calls so far. From the main thread.
double gr_activity_waited(void);
/// A stage begins: no step of it was done.
void gr_activity_stage(void);
void gr_activity_step_begin(void);
void gr_activity_step_end(void);

void gr_activity_read(gr_activity *out);

#endif
