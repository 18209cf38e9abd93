#include "src/model/vision.h"

#include "src/base/mem.h"

/// Tokens that one group of images has at most when nothing is kept: enough rows for fast products,
/// and little memory.
enum { GROUP_TOKENS = 1024 };

gr_err gri_vision_bind(const gr_model_config *config, const gr_params *params,
                       gri_course *course, gri_vision *out)
{
    gr_err err = GR_OK;
    const gr_vision_config *v = &config->vision;
    bool selects = config->parts >> GR_PART_CONNECTOR & 1;
    out->config = v;
    out->unnormed = selects && config->connector.unnormed;
    out->stack.shape = (gri_block_shape){
        .width = v->width,
        .heads = v->heads,
        .kv_heads = v->heads,
        .head_size = v->width / v->heads,
        .mlp_width = v->mlp_width,
        .eps = v->norm_eps,
        .mlp = v->mlp,
        .norm_whole = true,
    };
    out->stack.count = gr_model_vision_blocks(config);
    GR_ALLOC(out->stack.blocks, v->blocks);
    out->stack.course = course;
    gri_bind(config, params, course, out, out->stack.blocks);
    // [1, entries, D] or [entries, D] in files; [1, 1, D] for the class token.
    gr_tensor *p = &out->positions.value;
    *p = gr_tensor_2d(p->data, gr_tensor_count(*p) / v->width, v->width);
    if (gr_tensor_present(out->class_token.value)) {
        out->class_token.value = gr_tensor_2d(out->class_token.value.data, 1, v->width);
    }
done:
    return err;
}

void gri_vision_fini(gri_vision *v)
{
    GR_FREE(v->stack.blocks);
}

/// Tokens in front of the patches of each image.
static int64_t in_front(const gri_vision *v)
{
    return gr_tensor_present(v->class_token.value) ? 1 : 0;
}

gri_pictures gri_pictures_of(gr_pixels pixels, int64_t count, int64_t channels, int64_t height,
                             int64_t width)
{
    gri_pictures p = {.table = pixels.table, .count = count, .height = height, .width = width};
    if (pixels.bytes) {
        gr_tensor shape = gr_tensor_4d(NULL, count, height, width, channels);
        p.pixels = gr_tensor_like(shape, GR_DTYPE_U8, pixels.bytes);
    } else {
        p.pixels = gr_tensor_4d(pixels.values, count, channels, height, width);
    }
    return p;
}

/// Pictures [from, from + count).
static gri_pictures some_of(gri_pictures p, int64_t from, int64_t count)
{
    p.pixels = gr_tensor_rows(p.pixels, from, count);
    p.count = count;
    return p;
}

static gr_grid grid_of(const gri_vision *v, gri_pictures p)
{
    return gr_vision_grid(v->config, p.height, p.width);
}

static int64_t patches_of(const gri_vision *v, gri_pictures p)
{
    gr_grid grid = grid_of(v, p);
    return grid.rows * grid.columns;
}

/// [rows of all images, D] as [images, rows of one, D].
static gr_tensor by_image(gri_pictures p, gr_tensor x)
{
    return gr_tensor_3d(x.data, p.count, p.count ? x.shape[0] / p.count : 0, x.shape[1]);
}

static gr_tensor take_patches(gr_exec *ex, const gri_vision *v, gri_pictures p)
{
    gr_tensor patches =
        gri_take_matrix(ex, p.count * patches_of(v, p), v->patch.weight.value.shape[1]);
    ex->ops->patchify(ex, p.pixels, p.table, v->config->patch_size, patches);
    return patches;
}

static gri_sequences take_sequences(gr_exec *ex, int64_t images, int64_t tokens)
{
    int32_t *cu = gr_arena_take(ex->scratch, (images + 1) * (int64_t)sizeof *cu);
    for (int64_t i = 0; i <= images; i++) {
        cu[i] = (int32_t)(i * tokens);
    }
    return (gri_sequences){.cu_seqlens = gr_tensor_i32(cu, images + 1),
                           .positions = gr_tensor_none()};
}

/// The part of a position table (or of its gradient) that belongs to patches, as a grid.
static gr_tensor patch_table(const gri_vision *v, gr_tensor table)
{
    gr_grid stored = gr_position_grid(v->config);
    return gr_tensor_3d(gr_tensor_f32(table, in_front(v)), stored.rows, stored.columns,
                        v->config->width);
}

static bool stored_grid(const gri_vision *v, gri_pictures pictures)
{
    gr_grid stored = gr_position_grid(v->config), grid = grid_of(v, pictures);
    return stored.rows == grid.rows && stored.columns == grid.columns;
}

/// Positions [tokens of an image, D] for this grid: the table itself, or resized in the arena.
static gr_tensor positions_for(gr_exec *ex, const gri_vision *v, gri_pictures pictures)
{
    gr_tensor table = v->positions.value;
    if (stored_grid(v, pictures)) {
        return table;
    }
    gr_grid grid = grid_of(v, pictures);
    int64_t D = v->config->width, first = in_front(v);
    gr_tensor p = gri_take_matrix(ex, first + grid.rows * grid.columns, D);
    if (first) {
        gr_tensor none = gr_tensor_3d(gr_tensor_f32(p, first), 1, 0, D);
        ex->ops->prepend_fwd(ex, none, gr_tensor_rows(table, 0, first),
                             gr_tensor_3d(p.data, 1, first, D));
    }
    ex->ops->resize_fwd(ex, patch_table(v, table),
                        gr_tensor_3d(gr_tensor_f32(p, first), grid.rows, grid.columns, D));
    return p;
}

/// Adds the gradient of the position table from d [images, tokens, D].
static void positions_bwd(gr_exec *ex, const gri_vision *v, gri_pictures pictures, gr_tensor d,
                          gr_tensor dtable)
{
    if (stored_grid(v, pictures)) {
        ex->ops->positions_bwd(ex, d, dtable);
        return;
    }
    gr_grid grid = grid_of(v, pictures);
    int64_t mark = gr_arena_mark(ex->scratch);
    int64_t D = v->config->width, first = in_front(v), B = d.shape[0];
    gr_tensor dp = gri_take_matrix(ex, grid.rows * grid.columns, D);
    gr_tensor patches = gri_take_matrix(ex, B * dp.shape[0], D);
    gr_tensor apart = gr_tensor_3d(patches.data, B, dp.shape[0], D);
    ex->ops->prepend_bwd(ex, d, apart,
                         first ? gr_tensor_rows(dtable, 0, first) : gr_tensor_none());
    for (int64_t i = 0; i < gr_tensor_count(dp); i++) {
        gr_tensor_f32(dp, 0)[i] = 0;
    }
    ex->ops->positions_bwd(ex, apart, dp);
    ex->ops->resize_bwd(ex, gr_tensor_3d(dp.data, grid.rows, grid.columns, D),
                        patch_table(v, dtable));
    gr_arena_reset(ex->scratch, mark);
}

/// The first block's input [images * tokens, D], with kept->embedded below it.
static gr_tensor embed(gr_exec *ex, const gri_vision *v, gri_vision_kept *kept)
{
    gri_pictures pictures = kept->pictures;
    gri_course_reads(v->stack.course, gri_stack_begin(&v->stack));
    int64_t patches = patches_of(v, pictures), images = pictures.count, D = v->config->width;
    bool normed = gr_tensor_present(v->patch_norm.weight.value);
    gr_tensor x = gri_take_matrix(ex, images * (patches + in_front(v)), D);
    gr_tensor y = normed || in_front(v) ? gri_take_matrix(ex, images * patches, D) : x;
    kept->embedded = y;
    kept->n0 = normed ? gri_norm_take(ex, &v->patch_norm, y.shape[0]) : (gri_norm_kept){0};
    int64_t mark = gr_arena_mark(ex->scratch);
    gri_linear_fwd(ex, &v->patch, take_patches(ex, v, pictures), y);
    if (normed) {
        gri_norm_fwd(ex, &v->patch_norm, v->config->norm_eps, y, x, &kept->n0);
    } else if (in_front(v)) {
        ex->ops->prepend_fwd(ex, by_image(pictures, y), v->class_token.value,
                             by_image(pictures, x));
    }
    ex->ops->positions_fwd(ex, positions_for(ex, v, pictures), by_image(pictures, x));
    gr_arena_reset(ex->scratch, mark);
    return x;
}

static bool has_final_norm(const gri_vision *v)
{
    return gr_tensor_present(v->final_norm.weight.value) && !v->unnormed;
}

/// The rate rises linearly from 0 at the first of all blocks to the config's at the last.
static gri_drop drop_of(const gri_vision *v, const gri_vision_kept *kept)
{
    int64_t last = v->config->blocks - 1;
    return (gri_drop){.rise = last > 0 ? v->config->drop_path / (double)last : 0,
                      .seed = kept->seed,
                      .stream = kept->stream};
}

static void encode(gr_exec *ex, const gri_vision *v, gri_pictures pictures, bool keep,
                   gr_tensor features, gri_vision_kept *kept)
{
    kept->pictures = pictures;
    kept->seq = take_sequences(ex, pictures.count, patches_of(v, pictures) + in_front(v));
    kept->seq.drop = keep && kept->drop_path ? drop_of(v, kept) : (gri_drop){0};
    gr_tensor x = embed(ex, v, kept);
    kept->last = gri_stack_fwd(ex, &v->stack, kept->seq, x, keep ? &kept->blocks : NULL);
    gri_course_reads(v->stack.course, v->stack.course->size);
    if (has_final_norm(v)) {
        kept->n = gri_norm_take(ex, &v->final_norm, x.shape[0]);
        gri_norm_fwd(ex, &v->final_norm, v->config->norm_eps, kept->last, features, &kept->n);
    } else {
        ex->ops->prepend_bwd(ex, by_image(pictures, kept->last), by_image(pictures, features),
                             gr_tensor_none());
    }
}

void gri_vision_fwd(gr_exec *ex, const gri_vision *v, gri_pictures pictures, gr_tensor features,
                    gri_vision_kept *kept)
{
    int64_t N = patches_of(v, pictures), images = pictures.count;
    int64_t group = kept ? images : N < GROUP_TOKENS ? GROUP_TOKENS / N : 1;
    for (int64_t from = 0; from < images; from += group) {
        int64_t count = images - from < group ? images - from : group;
        int64_t mark = gr_arena_mark(ex->scratch);
        gri_vision_kept passing = {0};
        encode(ex, v, some_of(pictures, from, count), kept != NULL,
               gr_tensor_rows(features, from * N, count * N), kept ? kept : &passing);
        if (!kept) {
            gr_arena_reset(ex->scratch, mark);
        }
    }
}

/// Below the blocks: positions, class token, patch norm, patches.
static void embed_bwd(gr_exec *ex, const gri_vision *v, const gri_vision_kept *kept,
                      gr_tensor d, float *grads)
{
    gri_pictures pictures = kept->pictures;
    gr_tensor dembedded = d;
    positions_bwd(ex, v, pictures, by_image(pictures, d), gri_grad(v->positions, grads));
    if (gr_tensor_present(v->patch_norm.weight.value)) {
        dembedded = gri_take_matrix(ex, kept->embedded.shape[0], d.shape[1]);
        gri_norm_bwd(ex, &v->patch_norm, d, kept->embedded, &kept->n0, dembedded, false, grads);
    } else if (in_front(v)) {
        dembedded = gri_take_matrix(ex, kept->embedded.shape[0], d.shape[1]);
        ex->ops->prepend_bwd(ex, by_image(pictures, d), by_image(pictures, dembedded),
                             gri_grad(v->class_token, grads));
    }
    gri_linear_bwd_weight(ex, &v->patch, dembedded, take_patches(ex, v, pictures), grads);
}

void gri_vision_bwd(gr_exec *ex, const gri_vision *v, const gri_vision_kept *kept,
                    gr_tensor dfeatures, float *grads)
{
    int64_t mark = gr_arena_mark(ex->scratch);
    gr_tensor d = gri_take_matrix(ex, kept->last.shape[0], kept->last.shape[1]);
    if (has_final_norm(v)) {
        gri_norm_bwd(ex, &v->final_norm, dfeatures, kept->last, &kept->n, d, false, grads);
    } else {
        ex->ops->prepend_fwd(ex, by_image(kept->pictures, dfeatures), gr_tensor_none(),
                             by_image(kept->pictures, d));
    }
    gri_course_made(v->stack.course, gri_stack_end(&v->stack));
    gri_stack_bwd(ex, &v->stack, kept->seq, kept->blocks, grads, d);
    embed_bwd(ex, v, kept, d, grads);
    gri_course_made(v->stack.course, 0);
    gr_arena_reset(ex->scratch, mark);
}
