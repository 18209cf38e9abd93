#ifndef STAGES_PEAK_H
#define STAGES_PEAK_H

/// What a step's speed is a share of: the matrix products alone, as fast as all ranks together do them.

#include "mpi/world.h"
#include "stages/lane_step.h"

/// Floating-point operations a second of the plain matrix product (src/ops/measure.h), in the precision and with the threads of `exec`, on all ranks
/// at once: the fastest of a few rounds, each as long as its slowest rank took, some tenths of a second in all. Collective.
GR_MUST_CHECK gr_err gr_peak_measure(const gr_world *world, gr_exec *exec, double *rate);

/// Operations that the lanes of one step needed (src/model/flops.h): its pictures, tokens and targets, in sequences of their mean length.
double gr_peak_operations(const gr_model *model, gr_part_set trains,
                          const gr_lane_totals *totals);

#endif
