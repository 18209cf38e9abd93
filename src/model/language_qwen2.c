#include "src/model/language_qwen2.h"

#include "src/base/mem.h"

static void bind_layer(const gr_params *params, float *w, int64_t i, gri_block *b)
{
    static const char *const projections[GRI_MAX_PROJECTIONS] = {"q_proj", "k_proj", "v_proj"};
    const char *at = "language_model.model.layers";
    long long n = (long long)i;
    b->projections = GRI_MAX_PROJECTIONS;
    for (int p = 0; p < GRI_MAX_PROJECTIONS; p++) {
        b->qkv[p].weight =
            gri_weight_find(params, w, "%s.%lld.self_attn.%s.weight", at, n, projections[p]);
        b->qkv[p].bias =
            gri_weight_find(params, w, "%s.%lld.self_attn.%s.bias", at, n, projections[p]);
    }
    b->norm1 = gri_weight_find(params, w, "%s.%lld.input_layernorm.weight", at, n);
    b->out.weight = gri_weight_find(params, w, "%s.%lld.self_attn.o_proj.weight", at, n);
    b->norm2 = gri_weight_find(params, w, "%s.%lld.post_attention_layernorm.weight", at, n);
    b->gate.weight = gri_weight_find(params, w, "%s.%lld.mlp.gate_proj.weight", at, n);
    b->up.weight = gri_weight_find(params, w, "%s.%lld.mlp.up_proj.weight", at, n);
    b->down.weight = gri_weight_find(params, w, "%s.%lld.mlp.down_proj.weight", at, n);
}

gr_err gri_language_bind(const gr_language_config *config, const gr_params *params,
                         float *weights, gri_language *out)
{
    gr_err err = GR_OK;
    const char *at = "language_model";
    out->config = config;
    out->embedding = gri_weight_find(params, weights, "%s.model.embed_tokens.weight", at);
    out->norm = gri_weight_find(params, weights, "%s.model.norm.weight", at);
    out->head = config->tied ? out->embedding
                             : gri_weight_find(params, weights, "%s.lm_head.weight", at);
    out->stack.shape = (gri_block_shape){
        .width = config->width,
        .heads = config->heads,
        .kv_heads = config->kv_heads,
        .head_size = config->head_size,
        .mlp_width = config->mlp_width,
        .eps = config->norm_eps,
        .causal = true,
        .rope_theta = config->rope_theta,
    };
    out->stack.count = config->blocks;
    GR_ALLOC(out->stack.blocks, config->blocks);
    for (int64_t i = 0; i < config->blocks; i++) {
        bind_layer(params, weights, i, &out->stack.blocks[i]);
    }
done:
    return err;
}

void gri_language_fini(gri_language *l)
{
    GR_FREE(l->stack.blocks);
}

static void decode(gr_exec *ex, const gri_language *l, const gri_language_input *in, bool keep,
                   gr_tensor h, gri_language_kept *kept)
{
    gr_tensor x = gri_take_matrix(ex, h.shape[0], h.shape[1]);
    ex->ops->embedding_fwd(ex, l->embedding.value, in->ids, x);
    if (gr_tensor_present(in->images)) {
        ex->ops->rows_scatter(ex, in->images, in->image_rows, x);
    }
    kept->last = gri_stack_fwd(ex, &l->stack, in->seq, x, keep ? &kept->blocks : NULL);
    kept->r = gri_take_vector(ex, h.shape[0]);
    ex->ops->rmsnorm_fwd(ex, kept->last, l->norm.value, l->config->norm_eps, h, kept->r);
}

void gri_language_fwd(gr_exec *ex, const gri_language *l, const gri_language_input *in,
                      gr_tensor h, gri_language_kept *kept)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_language_kept passing = {0};
    decode(ex, l, in, kept != NULL, h, kept ? kept : &passing);
    if (!kept) {
        gr_arena_reset(ex->scratch, mark);
    }
}

void gri_language_bwd(gr_exec *ex, const gri_language *l, const gri_language_input *in,
                      const gri_language_kept *kept, gr_tensor dh, float *grads, gr_tensor d)
{
    ex->ops->rmsnorm_bwd(ex, dh, kept->last, l->norm.value, kept->r, d, false,
                         gri_grad(l->norm, grads));
    gri_stack_bwd(ex, &l->stack, in->seq, kept->blocks, grads, d);
    if (grads) {
        ex->ops->embedding_bwd(ex, d, in->ids, gri_grad(l->embedding, grads));
    }
}
