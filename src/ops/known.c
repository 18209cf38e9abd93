#include "src/ops/known.h"

#include "src/ops/exec.h"
#include "src/ops/ops.h"

#include <math.h>

/// Appendix B.2: the 4 x 4 table sin(0.5 + 0.71 i), brought to 3 x 3 and to 6 x 6 (its first and last row).
static gr_err run_positions(void)
{
    static const double three[9] = {0.422087, 0.704465, 0.335055,  -0.252697, -0.117763,
                                    0.126128, 0.262809, -0.385287, -0.676905};
    static const double first[6] = {0.490659, 0.809594, 1.144926, 1.158682, 0.853645, 0.550613};
    static const double last[6] = {0.507517,  0.089607,  -0.534760,
                                   -0.918345, -1.138770, -1.164346};
    gr_err err = GR_OK;
    gr_exec *ex = NULL;
    float table[16], small[9], large[36];
    GR_TRY(gr_exec_create_cpu(1, 1 << 16, &ex));
    for (int i = 0; i < 16; i++) {
        table[i] = (float)sin(0.5 + 0.71 * i);
    }
    gr_tensor t = gr_tensor_3d(table, 4, 4, 1);
    ex->ops->resize_fwd(ex, t, gr_tensor_3d(small, 3, 3, 1));
    ex->ops->resize_fwd(ex, t, gr_tensor_3d(large, 6, 6, 1));
    GR_TRY(gr_known_close_n("positions, 4 x 4 to 3 x 3", small, three, 9, 0, 1e-6));
    GR_TRY(gr_known_close_n("positions, 4 x 4 to 6 x 6, row 0", large, first, 6, 0, 1e-6));
    GR_TRY(gr_known_close_n("positions, 4 x 4 to 6 x 6, row 5", large + 30, last, 6, 0, 1e-6));
done:
    gr_exec_destroy(&ex);
    return err;
}

static const gr_known table[] = {{"positions", run_positions}};

const gr_known *gr_ops_known(int64_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}
