#include "src/ops/ops.h"

const gr_ops *gr_ops_cpu(void)
{
    static const gr_ops table = {
#define GR_OPS_ENTRY(name) .name = gr_##name##_cpu,
        GR_OPS_LIST(GR_OPS_ENTRY)
#undef GR_OPS_ENTRY
    };
    return &table;
}
