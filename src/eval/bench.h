#ifndef SRC_EVAL_BENCH_H
#define SRC_EVAL_BENCH_H

/// Speed of this build on this machine, always beside the rate of the matrix product that was
/// measured in the same run, in turns: machines are shared, so only such shares can be compared.

#include "datasets/shard.h"
#include "src/formats/tokenizer.h"
#include "src/model/flops.h"
#include "src/model/model.h"
#include "src/ops/measure.h"

typedef struct gr_bench_step_options {
    int64_t images, tokens; ///< pictures, and text tokens beside theirs
    gr_part_set train;
    int64_t rounds;
    gr_clock_fn *now;
} gr_bench_step_options;

/// Medians over the rounds. Rates are operations per second of the chosen clock.
typedef struct gr_bench_step {
    gr_load load;
    gr_step_flops flops;
    double product;                            ///< rate of the matrix product alone
    double forward, backward, update, seconds; ///< of one step; seconds is their sum
    double forward_share, backward_share;      ///< of the product's rate
    double share;                              ///< of the whole step, update included
    int64_t memory; ///< most bytes in use: parameters, gradients, moments, arena
} gr_bench_step;

/// One packed row: with S = max(images, 1) sequences, each with one picture and its part of the text. Every
/// text token but the first has a target. In each round the product is timed, a forward pass
/// (gr_model_loss), forward and backward together (gr_model_loss_grad), and AdamW over what trains;
/// backward is the difference. The first round warms up and is not counted. Changes the weights.
GR_MUST_CHECK gr_err gr_bench_step_run(gr_model *model, gr_exec *ex,
                                       const gr_bench_step_options *options,
                                       gr_bench_step *out);

/// One product of a training step: rows [N, I] through a weight [O, I].
typedef struct gr_bench_product {
    const char *part;
    int64_t rows, inputs, outputs;
    double forward, input, weight; ///< rates of y, of dx and of dw
} gr_bench_product;

typedef struct gr_bench_matmul {
    double product;             ///< rate of the plain product: gr_product_measure
    gr_bench_product *products; ///< [count], owned; in the order of the model
    int64_t count;
} gr_bench_matmul;

/// The distinct products of the model's layers for this load, in `ex`'s threads. The output projection is
/// cut to its first 8192 words. Free with gr_bench_matmul_fini.
GR_MUST_CHECK gr_err gr_bench_matmul_run(const gr_model_config *config, gr_exec *ex,
                                         int64_t images, int64_t tokens, gr_clock_fn *now,
                                         gr_bench_matmul *out);
void gr_bench_matmul_fini(gr_bench_matmul *b);

typedef struct gr_bench_data_options {
    const gr_dataset *dataset; ///< borrowed, as are the next two
    const gr_tokenizer *tokenizer;
    const gr_vision_config *vision;
    int64_t samples; ///< of one round, a multiple of global_batch
    int64_t global_batch, lanes, window, sequence_length;
    /// at most `lanes`: the loader makes the lanes of the first of so many ranks, whatever it must do for all of them
    int64_t ranks;
    int64_t rounds;
    int threads;
    gr_clock_fn *now;
} gr_bench_data_options;

typedef struct gr_bench_data {
    int64_t samples, images, tokens, rows; ///< of one round, in the lanes of the one rank
    double alone, loader; ///< seconds of a round (alone: for so many pictures), medians
    double share;         ///< median of alone / loader
    double fill;          ///< tokens over rows times sequence_length
    /// over the steps: pictures of the lane with most over these lanes' mean
    double worst_balance;
} gr_bench_data;

/// The loader (reading, content ids, tokens, packing, decoding, resampling) in turns with decoding and resampling
/// alone, of the same pictures out of memory in as many threads. The first `samples` samples in file order; a round
/// before the first warms up and is not counted.
GR_MUST_CHECK gr_err gr_bench_data_run(const gr_bench_data_options *options,
                                       gr_bench_data *out);

#endif
