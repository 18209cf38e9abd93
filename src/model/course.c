#include "src/model/course.h"

void gri_course_reads(gri_course *c, int64_t end)
{
    if (c->watch.reads) {
        c->watch.reads(c->watch.data, c->part, end);
    }
    if (c->flat.rounded && !c->apart && end > c->fresh) {
        gr_tensor from = gr_tensor_1d(c->flat.weights + c->fresh, end - c->fresh);
        c->ex->ops->round(c->ex, from,
                          gr_tensor_like(from, GR_DTYPE_BF16, c->flat.rounded + c->fresh));
        c->fresh = end;
    }
}

void gri_course_made(const gri_course *c, int64_t begin)
{
    if (c->watch.made) {
        c->watch.made(c->watch.data, c->part, begin);
    }
}
