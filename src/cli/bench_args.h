#ifndef SRC_CLI_BENCH_ARGS_H
#define SRC_CLI_BENCH_ARGS_H

/// What the commands of `gradus bench` that time one process share: clock and precision, as arguments and in their JSON.

#include "src/base/json.h"
#include "src/cli/args.h"
#include "src/eval/bench.h"

#define GRI_CLOCK(out_)                                                                        \
    GRI_CHOICE("clock", "wall|cpu", (out_),                                                    \
               "time that passes, or processor time of all threads: on a machine that others " \
               "use, cpu with --threads 1 (default: wall)")

#define GRI_PRECISION(out_)                                                                    \
    GRI_CHOICE("precision", "fp32|bf16", (out_),                                               \
               "what matrix products read, and what is kept between them (default: fp32)")

/// Of the choice that GRI_CLOCK made.
gr_clock_fn *gri_clock_of(int choice);
void gri_describe_run(gr_json *j, const gr_exec *ex, int clock);

#endif
