#include "src/model/language.h"

#include "src/base/mem.h"

gr_err gri_language_bind(const gr_model_config *config, const gr_params *params,
                         gri_course *course, gri_language *out)
{
    gr_err err = GR_OK;
    const gr_language_config *l = &config->language;
    out->config = l;
    out->stack.shape = (gri_block_shape){
        .width = l->width,
        .heads = l->heads,
        .kv_heads = l->kv_heads,
        .head_size = l->head_size,
        .mlp_width = l->mlp_width,
        .eps = l->norm_eps,
        .causal = true,
        .rope_theta = l->rope_theta,
    };
    out->stack.count = l->blocks;
    GR_ALLOC(out->stack.blocks, l->blocks);
    out->stack.course = course;
    gri_bind(config, params, course, out, out->stack.blocks);
    if (l->tied) {
        out->head = out->embedding;
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
    gri_course *course = l->stack.course;
    gr_tensor x = gri_take_matrix(ex, h.shape[0], h.shape[1]);
    gri_course_reads(course, gri_stack_begin(&l->stack));
    ex->ops->embedding_fwd(ex, l->embedding.value, in->ids, x);
    if (gr_tensor_present(in->images)) {
        ex->ops->rows_scatter(ex, in->images, in->image_rows, x);
    }
    if (in->memory) {
        gri_stack_continue(ex, &l->stack, in->seq, in->memory, x);
        kept->last = x;
    } else {
        kept->last = gri_stack_fwd(ex, &l->stack, in->seq, x, keep ? &kept->blocks : NULL);
    }
    gri_course_reads(course, course->size); // the head, too, which comes next
    kept->n = gri_norm_take(ex, &l->norm, h.shape[0]);
    gri_norm_fwd(ex, &l->norm, l->config->norm_eps, kept->last, h, &kept->n);
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
    gri_norm_bwd(ex, &l->norm, dh, kept->last, &kept->n, d, false, grads);
    if (grads) {
        gri_course_made(l->stack.course, gri_stack_end(&l->stack));
    }
    gri_stack_bwd(ex, &l->stack, in->seq, kept->blocks, grads, d);
    if (grads) {
        ex->ops->embedding_bwd(ex, d, in->ids, gri_grad(l->embedding, grads));
        gri_course_made(l->stack.course, 0);
    }
}
