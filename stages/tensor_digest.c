#include "stages/tensor_digest.h"

#include "src/base/digest.h"

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014) on a Weyl sequence: each bit of both depends on all.
uint64_t gr_digest_mixed(uint64_t digest, uint64_t place)
{
    uint64_t x = digest + (place + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/// The tensor that holds element `at` of the part: the last that begins there or before.
static int64_t tensor_at(const gr_params *params, gr_part part, int64_t at)
{
    int64_t low = params->first[part], high = params->first[part + 1];
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (params->items[middle].offset <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_block(const gr_params *params, gr_part part, gr_range block,
                      const float *values, uint64_t *sums)
{
    const uint64_t place = (uint64_t)(block.begin / GR_RANGE_BLOCK);
    for (int64_t i = tensor_at(params, part, block.begin); i < params->first[part + 1]; i++) {
        const gr_param *p = &params->items[i];
        gr_range piece = gr_range_overlap(block, (gr_range){p->offset, p->offset + p->count});
        if (p->offset >= block.end) {
            break;
        }
        if (gr_range_count(piece) > 0) {
            gr_digest d = gr_digest_of(values + (piece.begin - block.begin),
                                       (size_t)gr_range_count(piece) * sizeof *values);
            uint64_t mixed = gr_digest_mixed(d.low, place);
#pragma omp atomic
            sums[i] += mixed;
        }
    }
}

void gr_tensor_digests_add(const gr_params *params, gr_part part, gr_range range,
                           const float *values, int threads, uint64_t *sums)
{
    GR_ASSERT(range.begin % GR_RANGE_BLOCK == 0);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = range.begin; at < range.end; at += GR_RANGE_BLOCK) {
        gr_range block = gr_range_overlap((gr_range){at, at + GR_RANGE_BLOCK}, range);
        add_block(params, part, block, values + (at - range.begin), sums);
    }
}
