#ifndef STAGES_PLAN_MEASURE_H
#define STAGES_PLAN_MEASURE_H

/// How fast this machine does what a planned run consists of: operations at the model's own widths, in a pass of the model with as few blocks
/// and tokens as take about a second, and the rest by elements.

#include "stages/plan.h"

typedef struct gr_plan_rates {
    double
        product; ///< of a rank: the plain matrix product's operations per second (ops/measure.h)
    gr_precision measured; ///< bf16 where that runs here, or fp32
    gr_tally *pass;        ///< seconds of each operation, owned
    double pass_flops, pass_seconds;
    int64_t vision_blocks, language_blocks, vocabulary, tokens; ///< of the pass
    bool whole; ///< it was the model and the row as they are
    /// seconds of one element, fp32
    double adamw, squares, clear, add, digest;
    double send;    ///< of a byte to a rank of the same node, as it leaves its rank
    bool exchanged; ///< `send` was measured between ranks; else it follows from copying
    double text,
        picture; ///< processor seconds of the loader: of a sample's text, of all else of a sample; 0: no data here
} gr_plan_rates;

/// Measures with the threads of a rank. `world`: ranks that measure at the same time, as they would train, and the slowest counts; NULL:
/// this process alone. Collective.
GR_MUST_CHECK gr_err gr_plan_measure(gr_plan *plan, const gr_world *world, gr_clock_fn *now,
                                     gr_plan_rates *out);
void gr_plan_rates_fini(gr_plan_rates *rates);

#endif
