#ifndef SRC_TENSOR_ARENA_H
#define SRC_TENSOR_ARENA_H

/// An arena: one reserved range of addresses, taken from front to back and given back by
/// resetting to a mark. Pages are touched only when used and stay with the arena, on huge pages
/// where the system has them, so a training step allocates nothing after its first pass.

#include "src/tensor/tensor.h"

typedef struct gr_arena gr_arena;

/// Reserves addresses for `bytes` (0: as many as there is physical memory); uses no memory yet.
GR_MUST_CHECK gr_err gr_arena_create(int64_t bytes, gr_arena **out);
/// For passes that are counted and not computed (ops/exec.h): far more addresses than memory; what is taken is neither poisoned nor
/// watched, so that only what somebody writes takes memory.
GR_MUST_CHECK gr_err gr_arena_create_counting(gr_arena **out);
void gr_arena_destroy(gr_arena **arena);

/// Memory of `bytes`, aligned to 64, NOT cleared. Never fails: where there is not as much, the program ends with the sizes
/// and what would need less (gr_out_of_memory).
void *gr_arena_take(gr_arena *arena, int64_t bytes);
float *gr_arena_f32(gr_arena *arena, int64_t count);

/// Of a counting arena: addresses for as many bytes that nobody may look at, and that count as nothing.
void *gr_arena_addresses(gr_arena *arena, int64_t bytes);

/// Position now; `reset` gives back everything taken after the mark (0: everything).
int64_t gr_arena_mark(const gr_arena *arena);
void gr_arena_reset(gr_arena *arena, int64_t mark);
/// Most bytes ever taken, or since gr_arena_forget_peak.
int64_t gr_arena_peak(const gr_arena *arena);
/// The peak is what is taken now.
void gr_arena_forget_peak(gr_arena *arena);

#endif
