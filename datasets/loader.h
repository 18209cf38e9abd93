#ifndef DATASETS_LOADER_H
#define DATASETS_LOADER_H

/// From (step, lane) to packed microbatches. Step s of a stage uses positions [s B, (s + 1) B) of the stage's
/// endless order (epoch after epoch, each a keyed permutation); lane l of L has the positions
/// [s B + floor(l B / L), s B + floor((l + 1) B / L)), packed in order into microbatches of at most `sequence_length`
/// tokens. So what a lane sees depends on (seed, stage, s, l) alone: not on ranks, threads or time; the
/// loader's state is one integer. Nothing is truncated: a sample longer than the row is an error that names it.
/// A background thread prepares what `gr_loader_expect` announced.

#include "datasets/shard.h"
#include "src/formats/chat.h"
#include "src/model/model.h"

/// A data set and the part of it that is used: samples whose place is in [from, to).
typedef struct gr_loader_source {
    const gr_dataset *dataset; ///< borrowed
    double from, to;
} gr_loader_source;

typedef struct gr_loader_options {
    const gr_loader_source *sources; ///< concatenated; copied
    int64_t source_count;
    const gr_tokenizer *tokenizer; ///< borrowed
    gr_chat_options
        chat; ///< its system text is borrowed; image_tokens is set here from `vision`
    const gr_vision_config *
        vision; ///< copied, with its rules about pictures; NULL: samples with images are errors
    int64_t global_batch;    ///< B, samples of one step
    int64_t lanes;           ///< L <= B
    int64_t sequence_length; ///< most tokens of a microbatch
    int64_t max_images;      ///< most tiles of images in a microbatch; 0: no limit
    uint64_t seed, stream;   ///< key of the order
    bool shuffle;            ///< false: order 0, 1, 2 ... (validation)
} gr_loader_options;

typedef struct gr_loader gr_loader;
GR_MUST_CHECK gr_err gr_loader_create(const gr_loader_options *options, gr_loader **out);
void gr_loader_destroy(gr_loader **loader);
/// Samples of one epoch after subsetting.
int64_t gr_loader_epoch_size(const gr_loader *loader);

/// The microbatches of one lane of one step.
typedef struct gr_lane_batch {
    int64_t count;                            ///< microbatches
    gr_batch *batches;                        ///< [count]
    int64_t samples, tokens, targets, images; ///< images: their tiles
} gr_lane_batch;

/// Announces the lanes [first, first + count) of `step` and later steps up to `last_step` (exclusive), in the order in which
/// they will be asked for, so that they are prepared ahead. Optional.
GR_MUST_CHECK gr_err gr_loader_expect(gr_loader *loader, int64_t step, int64_t last_step,
                                      int64_t first, int64_t count);
/// Owned by the loader, valid until the next call. Positions at or beyond `limit` (0: none) are left out: the
/// last, incomplete batch of a validation pass.
GR_MUST_CHECK gr_err gr_loader_lane(gr_loader *loader, int64_t step, int64_t lane,
                                    int64_t limit, const gr_lane_batch **out);
/// Seconds the caller has waited in gr_loader_lane so far.
double gr_loader_waited(const gr_loader *loader);

#endif
