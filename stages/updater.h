#ifndef STAGES_UPDATER_H
#define STAGES_UPDATER_H

/// From the summed gradient of a step to new parameters: mean over targets, non-finite guard, clipping, schedule, AdamW,
/// on the ranks together (ZeRO stage 1): each rank holds the moments of what it owns of what trains, updates those
/// parameters and gets the others' back.
///
/// The flat space of what trains: the training parts one after another, each at a whole block (mpi/ranges.h), so that no block
/// holds two parts. What lies between them is zero and stays so. The norm is the root of the blocks' sums of squares, in double,
/// added in the order of the blocks: it depends neither on the ranks nor on the threads.

#include "mpi/gather.h"
#include "src/model/model.h"
#include "stages/recipe.h"

/// What the ranks know of a step before its update, the same on all.
typedef struct gr_update_view {
    double norm;  ///< of the mean gradient, before clipping
    bool fits;    ///< an update can be made of it
    int bad_rank; ///< whose own weights or moments are not finite; -1: nobody's
} gr_update_view;

typedef struct gr_updater {
    const gr_world *world; ///< borrowed
    gr_part_set trains;
    /// each training part's place in the space; empty for others
    gr_range parts[GR_PART_COUNT];
    int64_t size; ///< of the space
    gr_owned own; ///< what of it is this rank's
    float *first,
        *second; ///< AdamW's m and v of that, [gr_owned_count], in the space's order; owned
    double *mine, *sums; ///< private: of the own blocks and a flag, and of every rank's
    gr_update_view view; ///< of the gradient that gr_updater_look saw last
    bool looked;         ///< private: and that no update was made of yet
    gr_gather *gather;
    bool owed;       ///< this rank's weights are new, the others' have not been asked for
    int64_t updates; ///< done so far
    struct gr_apart
        *apart; ///< private: master weights shared out; NULL: every rank has them all
} gr_updater;

/// Zero moments for the parts in `trains`. Not collective; call gr_world_agree after it.
GR_MUST_CHECK gr_err gr_updater_create(const gr_world *world, const gr_params *params,
                                       gr_part_set trains, gr_updater **out);
void gr_updater_destroy(gr_updater **updater);
/// What it takes on a rank of any world and sends behind each update; *given_back: bytes of fp32 weights that the rank does not keep
/// while the stage lasts (gr_updater_part). bf16: of products.
gr_cost gr_updater_cost(const gr_world *world, const gr_params *params, gr_part_set trains,
                        bool bf16, int64_t *given_back);

/// Shares master weights out (apart.h), where the model computes in bf16 and there are several ranks; nothing elsewhere. From whole weights.
/// Until gr_updater_unite the fp32 weights of matrices that train hold only where this rank owns them. Collective.
GR_MUST_CHECK gr_err gr_updater_part(gr_updater *updater, gr_model *model);
/// All ranks have all weights again. Nothing where they are not shared out. Collective.
GR_MUST_CHECK gr_err gr_updater_unite(gr_updater *updater, gr_model *model);

/// Elements of the space of these parts; parts[p] is where part p lies in it.
int64_t gr_updater_layout(const gr_params *params, gr_part_set trains,
                          gr_range parts[GR_PART_COUNT]);

/// Where an update also puts its results: the owned elements, as those of `first`. For a checkpoint (saver.h).
typedef struct gr_updater_copy {
    float *weights, *first, *second;
} gr_updater_copy;

typedef struct gr_update_report {
    double grad_norm; ///< of the mean gradient, before clipping
    double scale;     ///< of the summed gradient: one over the targets, times clipping
    double learning_rate[GR_PART_COUNT]; ///< used by this update; 0 for frozen parts
} gr_update_report;

/// What an update of this gradient would meet, ahead of it: the norm, and whether what this rank owns of weights and moments is finite;
/// that travels with the sums of the norm. What gr_updater_gather_start began has ended then. An update that follows does not look again. Collective.
GR_MUST_CHECK gr_err gr_updater_look(gr_updater *updater, const gr_model *model,
                                     const gr_recipe_stage *stage, const float *grads,
                                     int64_t targets, int threads);

/// Whether what this rank owns of weights and moments is finite; else which of them is not ("weights", "AdamW's first moments" ...), first met in
/// *tensor, both borrowed. They stay as they are when all is. Not collective.
void gr_updater_check_own(const gr_updater *updater, const gr_model *model, int threads,
                          const char **what, const char **tensor);

/// One update at `step` of a stage of `schedule`, after which all ranks have all parameters. `grads` [size] holds the summed gradient where this rank owns it, `targets` is the
/// tokens it sums over (> 0); `copy` may be NULL. A gradient that does not fit (gr_update_view) is GR_ERR_NONFINITE, on all ranks, and leaves parameters and
/// moments as they are. Collective.
GR_MUST_CHECK gr_err gr_updater_apply(gr_updater *updater, gr_model *model,
                                      const gr_recipe_stage *stage, const gr_schedule *schedule,
                                      int64_t step, const float *grads, int64_t targets,
                                      int threads, const gr_updater_copy *copy,
                                      gr_update_report *report);

/// The same for the owned parameters only. The others are the old ones until gr_updater_gather_start and gr_updater_wait; nobody may look at
/// weights of what trains before. Collective.
GR_MUST_CHECK gr_err gr_updater_apply_own(gr_updater *updater, gr_model *model,
                                          const gr_recipe_stage *stage,
                                          const gr_schedule *schedule, int64_t step,
                                          const float *grads, int64_t targets, int threads,
                                          const gr_updater_copy *copy,
                                          gr_update_report *report);
/// Weights and moments of what this rank owns become those of `from`, AdamW's count `updates`; all ranks have all parameters then. No update may be
/// owed. Collective.
GR_MUST_CHECK gr_err gr_updater_put_back(gr_updater *updater, gr_model *model,
                                         const gr_updater_copy *from, int64_t updates);
/// Fetches what gr_updater_apply_own left, beside the main thread; nothing if it left nothing. Collective.
GR_MUST_CHECK gr_err gr_updater_gather_start(gr_updater *updater, gr_model *model);
/// Waits until elements [0, end) of the part are there. Errors come with the next update.
void gr_updater_wait(gr_updater *updater, gr_part part, int64_t end);

#endif
