#include "mpi/cores.h"

int gri_cores_share(const gri_core_mask *masks, int ranks, int mine)
{
    double share = 0;
    for (int core = 0; core < GR_CPU_MASK_BITS; core++) {
        const uint64_t bit = UINT64_C(1) << core % 64;
        int users = 0;
        for (int r = 0; r < ranks && (masks[mine].words[core / 64] & bit); r++) {
            users += (masks[r].words[core / 64] & bit) != 0;
        }
        share += users > 0 ? 1.0 / users : 0;
    }
    int whole = (int)(share + 1e-6); // thirds of three cores are one
    return whole < 1 ? 1 : whole;
}
