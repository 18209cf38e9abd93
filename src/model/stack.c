#include "src/base/rng.h"
#include "src/model/block.h"
#include "src/model/course.h"

/// Memory for all that backward needs of a block but its input.
static void take_kept(gr_exec *ex, const gri_stack *stack, int64_t T, gri_block_kept *kept)
{
    gri_attention_take(ex, &stack->shape, stack->blocks, T, kept);
    gri_mlp_take(ex, &stack->shape, stack->blocks, T, kept);
}

/// The factors of the rows of one branch.
static gr_tensor take_stay(gr_exec *ex, gri_sequences seq, int64_t block, int branch)
{
    const int32_t *cu = seq.cu_seqlens.data;
    int64_t sequences = gr_tensor_count(seq.cu_seqlens) - 1;
    double probability = 1 - seq.drop.rise * (double)block;
    gr_tensor factors = gri_take_vector(ex, cu[sequences]);
    for (int64_t i = 0; i < sequences; i++) {
        uint64_t index = (uint64_t)(2 * block + branch) << 32 | (uint64_t)i;
        bool stays = gr_rng_uniform(seq.drop.seed, seq.drop.stream, index) < probability;
        for (int64_t t = cu[i]; t < cu[i + 1]; t++) {
            gr_tensor_f32(factors, 0)[t] = stays ? (float)(1 / probability) : 0.0F;
        }
    }
    return factors;
}

/// Memory for all that backward needs of block i, and which of its paths are dropped.
static void take_block(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                       gri_block_kept *kept)
{
    take_kept(ex, stack, kept->x.shape[0], kept);
    if (seq.drop.rise > 0 && i > 0) {
        kept->stay1 = take_stay(ex, seq, i, 0);
        kept->stay2 = take_stay(ex, seq, i, 1);
    }
}

static void block_fwd(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                      const gri_block_kept *kept, gr_tensor y)
{
    gri_course_reads(stack->course, stack->blocks[i].end);
    gri_attention_branch_fwd(ex, &stack->shape, &stack->blocks[i], seq, kept);
    gri_mlp_fwd(ex, &stack->shape, &stack->blocks[i], kept, y);
}

static void infer(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gri_memory *memory,
                  gr_tensor x)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_block_kept shared = {.x = x};
    take_kept(ex, stack, x.shape[0], &shared);
    for (int64_t i = 0; i < stack->count; i++) {
        seq.memory = memory ? &memory[i] : NULL;
        block_fwd(ex, stack, i, seq, &shared, x);
    }
    gr_arena_reset(ex->scratch, mark);
}

int64_t gri_stack_begin(const gri_stack *stack)
{
    return stack->blocks[0].begin;
}

int64_t gri_stack_end(const gri_stack *stack)
{
    return stack->count > 0 ? stack->blocks[stack->count - 1].end : gri_stack_begin(stack);
}

gri_memory *gri_memory_take(gr_exec *ex, const gri_stack *stack, int64_t capacity)
{
    int64_t width = stack->shape.kv_heads * stack->shape.head_size;
    gri_memory *memory = gr_arena_take(ex->scratch, stack->count * (int64_t)sizeof(gri_memory));
    for (int64_t i = 0; i < stack->count; i++) {
        memory[i] = (gri_memory){.keys = gri_take_factor(ex, capacity, width),
                                 .values = gri_take_factor(ex, capacity, width)};
    }
    return memory;
}

void gri_stack_continue(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                        gri_memory *memory, gr_tensor x)
{
    GR_ASSERT(stack->shape.causal && seq.cu_seqlens.shape[0] == 2);
    infer(ex, stack, seq, memory, x);
}

/// Runs block i for its output alone; its input stays.
static void pass(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq, gr_tensor x,
                 gr_tensor y)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_block_kept passing = {.x = x};
    take_block(ex, stack, i, seq, &passing);
    block_fwd(ex, stack, i, seq, &passing, y);
    gr_arena_reset(ex->scratch, mark);
}

gr_tensor gri_stack_fwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq, gr_tensor x,
                        gri_block_kept **kept)
{
    if (!kept) {
        infer(ex, stack, seq, NULL, x);
        return x;
    }
    *kept = gr_arena_take(ex->scratch, stack->count * (int64_t)sizeof **kept);
    for (int64_t i = 0; i < stack->count; i++) {
        gr_tensor y = gri_take_matrix(ex, x.shape[0], stack->shape.width);
        (*kept)[i] = (gri_block_kept){.x = x};
        if (stack->recompute) {
            pass(ex, stack, i, seq, x, y);
        } else {
            take_block(ex, stack, i, seq, &(*kept)[i]);
            block_fwd(ex, stack, i, seq, &(*kept)[i], y);
        }
        x = y;
    }
    return x;
}

/// What the block's forward pass kept, computed again from its input. Of the MLP's output only what
/// the gradient of its scale needs.
static void recompute(gr_exec *ex, const gri_stack *stack, int64_t i, gri_sequences seq,
                      const float *grads, gri_block_kept *kept)
{
    const gri_block *b = &stack->blocks[i];
    take_block(ex, stack, i, seq, kept);
    gri_attention_branch_fwd(ex, &stack->shape, b, seq, kept);
    int64_t mark = gr_arena_mark(ex->scratch);
    bool output = grads && gri_has(b->scale2);
    gr_tensor act = output ? gri_take_factor(ex, kept->x.shape[0], stack->shape.mlp_width)
                           : gr_tensor_none();
    gri_mlp_inner(ex, &stack->shape, b, kept, act);
    if (output) {
        gri_linear_fwd(ex, &b->down, act, kept->z2);
        gri_branch_drop(ex, kept->stay2, kept->z2);
    }
    gr_arena_reset(ex->scratch, mark);
}

void gri_stack_bwd(gr_exec *ex, const gri_stack *stack, gri_sequences seq,
                   const gri_block_kept *kept, float *grads, gr_tensor d)
{
    for (int64_t i = stack->count - 1; i >= 0; i--) {
        int64_t mark = gr_arena_mark(ex->scratch);
        gri_block_kept k = kept[i];
        if (stack->recompute) {
            recompute(ex, stack, i, seq, grads, &k);
        }
        gri_mlp_bwd(ex, &stack->shape, &stack->blocks[i], &k, grads, d);
        gri_attention_branch_bwd(ex, &stack->shape, &stack->blocks[i], seq, &k, grads, d);
        if (grads) {
            gri_course_made(stack->course, stack->blocks[i].begin);
        }
        gr_arena_reset(ex->scratch, mark);
    }
}
