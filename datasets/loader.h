#ifndef DATASETS_LOADER_H
#define DATASETS_LOADER_H

/// From (step, lane) to packed microbatches. A stage's order is endless: position g is a sample by a pure function of (seed,
/// stream, g), see mixture.h. It is cut into windows of `window` steps of B samples each. The samples of a window become
/// rows of at most `sequence_length` tokens and rows are dealt to the window's steps and their lanes (window.h), so that
/// rows are full and lanes have the same number of pictures. With window 1 step s has exactly the positions [s B, (s + 1) B);
/// with more, about as many. So what a lane sees depends on (seed, stream, s, l) alone: not on ranks, threads or
/// time; the loader's state is one integer, and it can start at any step. Nothing is truncated: a sample longer than the row is an
/// error that names it, or is left out and listed (`drop`). Each position is used exactly once.
/// Background threads read, decode and resample what `gr_loader_expect` announced.

#include "datasets/shard.h"
#include "src/formats/chat.h"
#include "src/model/model.h"

/// A data set and the part of it that is used: samples whose place is in [from, to).
typedef struct gr_loader_source {
    const gr_dataset *dataset; ///< borrowed
    double from, to;
    const char
        *task; ///< and which are of this task; NULL: of any; borrowed while the loader is made
    /// share of the stage's samples, relative to the other sources; 0: none has one
    double weight;
    double max_repeats; ///< most passes over it in a stage; 0: no limit
} gr_loader_source;

typedef struct gr_loader_options {
    const gr_loader_source *sources; ///< concatenated; copied
    int64_t source_count;
    const gr_tokenizer *tokenizer; ///< borrowed
    /// its system text is borrowed; image_tokens is set here from `vision`
    gr_chat_options chat;
    /// copied, with its rules about pictures; NULL: samples with images are errors
    const gr_vision_config *vision;
    int64_t global_batch;    ///< B, samples of one step
    int64_t lanes;           ///< L <= B
    int64_t window;          ///< steps that are packed together; 0 is 1
    int64_t sequence_length; ///< most tokens of a microbatch
    int64_t max_images;      ///< most tiles of images in a microbatch; 0: no limit
    uint64_t seed, stream;   ///< key of the order
    bool shuffle;            ///< false: order 0, 1, 2 ... (validation)
    /// samples that cannot be used get weight 0 and are listed; else they are errors
    bool drop;
    int64_t steps; ///< length of the stage; 0: as `epochs` says
    double epochs; ///< length in epochs, the last step may be smaller; 0 with steps 0: endless
    int threads;   ///< that work ahead; 0 is 1
} gr_loader_options;

typedef struct gr_loader gr_loader;
GR_MUST_CHECK gr_err gr_loader_create(const gr_loader_options *options, gr_loader **out);
void gr_loader_destroy(gr_loader **loader);
/// Samples of one epoch after subsetting.
int64_t gr_loader_epoch_size(const gr_loader *loader);
/// Steps of the stage; INT64_MAX when it is endless. 0 when `epochs` is less than half a sample.
int64_t gr_loader_steps(const gr_loader *loader);

/// A sample that was left out.
typedef struct gr_dropped {
    const gr_dataset *dataset;
    int64_t index;
    const char *reason; ///< names the sample
} gr_dropped;

/// Where a sample went.
typedef struct gr_used {
    const gr_dataset *dataset;
    int64_t index;
    int64_t batch; ///< which microbatch of the lane
    int64_t tokens,
        images; ///< that it takes there, behind those before it; 0: it was left out unmeasured
} gr_used;

/// The microbatches of one lane of one step.
typedef struct gr_lane_batch {
    int64_t count;                            ///< microbatches
    gr_batch *batches;                        ///< [count]
    int64_t samples, tokens, targets, images; ///< images: their tiles
    const gr_used *used;                      ///< [samples], in the order of their sequences
    int64_t dropped;                          ///< of `samples`, those that have weight 0
    const gr_dropped *drops;                  ///< [dropped]
    /// of the sizes of all samples of the window, from which every lane's rows follow: ranks that have another read other data
    gr_digest packing;
} gr_lane_batch;

/// Announces the lanes [first, first + count) of `step` and later steps up to `last_step` (exclusive), in the order in which
/// they will be asked for, so that they are prepared ahead. Optional.
GR_MUST_CHECK gr_err gr_loader_expect(gr_loader *loader, int64_t step, int64_t last_step,
                                      int64_t first, int64_t count);
/// Owned by the loader, valid until the next call. Steps behind the stage's end are empty.
GR_MUST_CHECK gr_err gr_loader_lane(gr_loader *loader, int64_t step, int64_t lane,
                                    const gr_lane_batch **out);
/// Seconds the caller has waited in gr_loader_lane so far.
double gr_loader_waited(const gr_loader *loader);

#endif
