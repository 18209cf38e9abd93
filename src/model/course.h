#ifndef SRC_MODEL_COURSE_H
#define SRC_MODEL_COURSE_H

/// Private to the room: how far a pass has come in the flat space of one part. A forward pass reads it from the front to the
/// back, a backward pass finishes its gradients from the back to the front. Layers tell the course where they are; it tells
/// whoever watches the model, and makes the bf16 copy of what is read next.

#include "src/model/layer.h"
#include "src/model/model.h"

typedef struct gri_course {
    gr_exec *ex; ///< borrowed
    gr_part part;
    gri_flat flat;
    int64_t size;  ///< of the flat space
    int64_t fresh; ///< elements from the front on whose bf16 copies are of today's weights
    bool apart;    ///< who makes the copies is not the course (gr_model_set_apart)
    gr_model_watch watch;
} gri_course;

/// Elements [0, end) are read next. Cheap where they were before.
void gri_course_reads(gri_course *course, int64_t end);
/// The gradients of elements [begin, size) are complete.
void gri_course_made(const gri_course *course, int64_t begin);

#endif
