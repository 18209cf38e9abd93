#include "src/model/vision_aimv2.h"

#include "src/base/mem.h"

/// Tokens that one group of images has at most when nothing is kept: enough rows for fast products,
/// and little memory.
enum { GROUP_TOKENS = 1024 };

static void bind_block(const gr_params *params, float *w, int64_t i, gri_block *b)
{
    const char *at = "vision_model.trunk.blocks";
    long long n = (long long)i;
    b->projections = 1;
    b->norm1 = gri_weight_find(params, w, "%s.%lld.norm_1.weight", at, n);
    b->qkv[0].weight = gri_weight_find(params, w, "%s.%lld.attn.qkv.weight", at, n);
    b->out.weight = gri_weight_find(params, w, "%s.%lld.attn.proj.weight", at, n);
    b->norm2 = gri_weight_find(params, w, "%s.%lld.norm_2.weight", at, n);
    b->gate.weight = gri_weight_find(params, w, "%s.%lld.mlp.fc1.weight", at, n);
    b->up.weight = gri_weight_find(params, w, "%s.%lld.mlp.fc3.weight", at, n);
    b->down.weight = gri_weight_find(params, w, "%s.%lld.mlp.fc2.weight", at, n);
}

gr_err gri_vision_bind(const gr_vision_config *config, const gr_params *params, float *weights,
                       gri_vision *out)
{
    gr_err err = GR_OK;
    const char *at = "vision_model.preprocessor";
    out->config = config;
    out->patch.weight = gri_weight_find(params, weights, "%s.patchifier.proj.weight", at);
    out->patch.bias = gri_weight_find(params, weights, "%s.patchifier.proj.bias", at);
    out->patch_norm = gri_weight_find(params, weights, "%s.patchifier.norm.weight", at);
    out->positions = gri_weight_find(params, weights, "%s.pos_embed", at);
    out->positions.value = gr_tensor_2d(gr_tensor_f32(out->positions.value, 0),
                                        gr_vision_tokens(config), config->width);
    out->final_norm =
        gri_weight_find(params, weights, "vision_model.trunk.post_trunk_norm.weight");
    out->stack.shape = (gri_block_shape){
        .width = config->width,
        .heads = config->heads,
        .kv_heads = config->heads,
        .head_size = config->width / config->heads,
        .mlp_width = config->mlp_width,
        .eps = config->norm_eps,
    };
    out->stack.count = config->blocks;
    GR_ALLOC(out->stack.blocks, config->blocks);
    for (int64_t i = 0; i < config->blocks; i++) {
        bind_block(params, weights, i, &out->stack.blocks[i]);
    }
done:
    return err;
}

void gri_vision_fini(gri_vision *v)
{
    GR_FREE(v->stack.blocks);
}

/// [T, D] as [images, tokens of an image, D].
static gr_tensor by_image(const gri_vision *v, gr_tensor x)
{
    int64_t N = gr_vision_tokens(v->config);
    return gr_tensor_3d(gr_tensor_f32(x, 0), x.shape[0] / N, N, x.shape[1]);
}

static gr_tensor take_patches(gr_exec *ex, const gri_vision *v, gr_tensor pixels)
{
    gr_tensor patches = gri_take_matrix(ex, pixels.shape[0] * gr_vision_tokens(v->config),
                                        v->patch.weight.value.shape[1]);
    ex->ops->patchify(ex, pixels, v->config->patch_size, patches);
    return patches;
}

static gri_sequences take_sequences(gr_exec *ex, int64_t images, int64_t tokens)
{
    int32_t *cu = gr_arena_take(ex->scratch, (images + 1) * (int64_t)sizeof *cu);
    for (int64_t i = 0; i <= images; i++) {
        cu[i] = (int32_t)(i * tokens);
    }
    return (gri_sequences){.cu_seqlens = gr_tensor_i32(cu, images + 1)};
}

static gr_tensor embed(gr_exec *ex, const gri_vision *v, gri_vision_kept *kept)
{
    int64_t T = kept->pixels.shape[0] * gr_vision_tokens(v->config), D = v->config->width;
    gr_tensor x = gri_take_matrix(ex, T, D);
    kept->embedded = gri_take_matrix(ex, T, D);
    kept->r0 = gri_take_vector(ex, T);
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_linear_fwd(ex, &v->patch, take_patches(ex, v, kept->pixels), kept->embedded);
    gr_arena_reset(ex->scratch, mark);
    ex->ops->rmsnorm_fwd(ex, kept->embedded, v->patch_norm.value, v->config->norm_eps, x,
                         kept->r0);
    ex->ops->positions_fwd(ex, v->positions.value, by_image(v, x));
    return x;
}

static void encode(gr_exec *ex, const gri_vision *v, gr_tensor pixels, bool keep,
                   gr_tensor features, gri_vision_kept *kept)
{
    kept->pixels = pixels;
    kept->seq = take_sequences(ex, pixels.shape[0], gr_vision_tokens(v->config));
    gr_tensor x = embed(ex, v, kept);
    kept->last = gri_stack_fwd(ex, &v->stack, kept->seq, x, keep ? &kept->blocks : NULL);
    kept->r = gri_take_vector(ex, x.shape[0]);
    ex->ops->rmsnorm_fwd(ex, kept->last, v->final_norm.value, v->config->norm_eps, features,
                         kept->r);
}

void gri_vision_fwd(gr_exec *ex, const gri_vision *v, const float *pixels, int64_t images,
                    gr_tensor features, gri_vision_kept *kept)
{
    int64_t S = v->config->image_size, C = v->config->channels;
    int64_t N = gr_vision_tokens(v->config);
    int64_t group = kept ? images : N < GROUP_TOKENS ? GROUP_TOKENS / N : 1;
    for (int64_t from = 0; from < images; from += group) {
        int64_t count = images - from < group ? images - from : group;
        int64_t mark = gr_arena_mark(ex->scratch);
        gri_vision_kept passing = {0};
        encode(ex, v, gr_tensor_4d(pixels + from * C * S * S, count, C, S, S), kept != NULL,
               gr_tensor_rows(features, from * N, count * N), kept ? kept : &passing);
        if (!kept) {
            gr_arena_reset(ex->scratch, mark);
        }
    }
}

void gri_vision_bwd(gr_exec *ex, const gri_vision *v, const gri_vision_kept *kept,
                    gr_tensor dfeatures, float *grads)
{
    const gr_ops *ops = ex->ops;
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor d = gri_take_matrix(ex, dfeatures.shape[0], dfeatures.shape[1]);
    gr_tensor dembedded = gri_take_matrix(ex, dfeatures.shape[0], dfeatures.shape[1]);
    ops->rmsnorm_bwd(ex, dfeatures, kept->last, v->final_norm.value, kept->r, d, false,
                     gri_grad(v->final_norm, grads));
    gri_stack_bwd(ex, &v->stack, kept->seq, kept->blocks, grads, d);
    ops->positions_bwd(ex, by_image(v, d), gri_grad(v->positions, grads));
    ops->rmsnorm_bwd(ex, d, kept->embedded, v->patch_norm.value, kept->r0, dembedded, false,
                     gri_grad(v->patch_norm, grads));
    gri_linear_bwd_weight(ex, &v->patch, dembedded, take_patches(ex, v, kept->pixels), grads);
    gr_arena_reset(ex->scratch, mark);
}
