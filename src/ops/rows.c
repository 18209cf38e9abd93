#include "src/ops/rows.h"

const gr_rows *gri_rows_of(gr_vectors vectors)
{
    GR_ASSERT(gr_cpu_has_vectors(vectors));
    switch (vectors) {
    case GR_VECTORS_AVX2:
        return &gri_rows_avx2;
    case GR_VECTORS_AVX512:
        return &gri_rows_avx512;
    default:
        return &gri_rows_plain;
    }
}
