#include "src/model/params.h"

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/// What the names of one module have in common while the table is built.
typedef struct builder {
    gr_params *params;
    int64_t capacity;
    gr_part part;
    char prefix[96]; ///< put in front of each name
} builder;

typedef struct init_rule {
    gr_init_kind kind;
    double scale;
} init_rule;

static const init_rule zeros = {GR_INIT_ZERO, 0}, ones = {GR_INIT_ONE, 0};

static GR_PRINTF(2, 3) void set_prefix(builder *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(b->prefix, sizeof b->prefix, fmt, ap);
    va_end(ap);
    GR_ASSERT(n >= 0 && (size_t)n < sizeof b->prefix);
}

/// Adds a tensor behind the last one of the part; trailing sizes of 0 are not dimensions.
static gr_err add(builder *b, const char *name, init_rule init, int64_t n0, int64_t n1,
                  int64_t n2, int64_t n3)
{
    gr_err err = GR_OK;
    gr_params *params = b->params;
    if (params->count == b->capacity) {
        int64_t grown = b->capacity ? 2 * b->capacity : 64;
        GR_RESIZE(params->items, b->capacity, grown);
        b->capacity = grown;
    }
    gr_param *p = &params->items[params->count];
    *p = (gr_param){.part = b->part,
                    .shape = {n0, n1, n2, n3},
                    .offset = params->size[b->part],
                    .count = 1,
                    .init = init.kind,
                    .init_scale = init.scale};
    for (int d = 0; d < GR_MAX_DIMS; d++) {
        if (p->shape[d] == 0) {
            p->shape[d] = 1;
            continue;
        }
        p->count *= p->shape[d];
        p->ndim = d + 1;
    }
    p->decay = p->ndim > 1;
    p->name = gr_str_format("%s%s", b->prefix, name);
    if (!p->name) {
        err = GR_ERR_MEMORY;
        goto done;
    }
    params->count++;
    params->size[b->part] += p->count;
done:
    return err;
}

static gr_err add_vector(builder *b, const char *name, init_rule init, int64_t n)
{
    return add(b, name, init, n, 0, 0, 0);
}

static gr_err add_matrix(builder *b, const char *name, init_rule init, int64_t rows,
                         int64_t columns)
{
    return add(b, name, init, rows, columns, 0, 0);
}

static gr_err add_vision_block(builder *b, const gr_vision_config *v, int64_t i)
{
    gr_err err = GR_OK;
    const init_rule normal = {GR_INIT_NORMAL, v->initializer_range};
    int64_t D = v->width, F = v->mlp_width;
    set_prefix(b, "vision_model.trunk.blocks.%lld.", (long long)i);
    GR_TRY(add_vector(b, "norm_1.weight", ones, D));
    GR_TRY(add_matrix(b, "attn.qkv.weight", normal, 3 * D, D));
    GR_TRY(add_matrix(b, "attn.proj.weight", normal, D, D));
    GR_TRY(add_vector(b, "norm_2.weight", ones, D));
    GR_TRY(add_matrix(b, "mlp.fc1.weight", normal, F, D));
    GR_TRY(add_matrix(b, "mlp.fc3.weight", normal, F, D));
    GR_TRY(add_matrix(b, "mlp.fc2.weight", normal, D, F));
done:
    return err;
}

static gr_err add_vision(builder *b, const gr_vision_config *v)
{
    gr_err err = GR_OK;
    const init_rule normal = {GR_INIT_NORMAL, v->initializer_range};
    int64_t D = v->width, p = v->patch_size;
    set_prefix(b, "vision_model.preprocessor.");
    GR_TRY(add(b, "patchifier.proj.weight", normal, D, v->channels, p, p));
    GR_TRY(add_vector(b, "patchifier.proj.bias", zeros, D));
    GR_TRY(add_vector(b, "patchifier.norm.weight", ones, D));
    GR_TRY(add(b, "pos_embed", normal, 1, gr_vision_tokens(v), D, 0));
    for (int64_t i = 0; i < v->blocks; i++) {
        GR_TRY(add_vision_block(b, v, i));
    }
    set_prefix(b, "vision_model.trunk.");
    GR_TRY(add_vector(b, "post_trunk_norm.weight", ones, D));
done:
    return err;
}

static gr_err add_connector(builder *b, const gr_model_config *config)
{
    gr_err err = GR_OK;
    int64_t I = 4 * config->vision.width, O = config->language.width;
    const init_rule first = {GR_INIT_UNIFORM, 1 / sqrt((double)I)};
    const init_rule second = {GR_INIT_UNIFORM, 1 / sqrt((double)O)};
    set_prefix(b, "mlp1.");
    GR_TRY(add_vector(b, "0.weight", ones, I));
    GR_TRY(add_vector(b, "0.bias", zeros, I));
    GR_TRY(add_matrix(b, "1.weight", first, O, I));
    GR_TRY(add_vector(b, "1.bias", first, O));
    GR_TRY(add_matrix(b, "3.weight", second, O, O));
    GR_TRY(add_vector(b, "3.bias", second, O));
done:
    return err;
}

static gr_err add_language_layer(builder *b, const gr_language_config *l, int64_t i)
{
    gr_err err = GR_OK;
    const init_rule normal = {GR_INIT_NORMAL, l->initializer_range};
    int64_t D = l->width, F = l->mlp_width;
    int64_t Q = l->heads * l->head_size, K = l->kv_heads * l->head_size;
    set_prefix(b, "language_model.model.layers.%lld.", (long long)i);
    GR_TRY(add_vector(b, "input_layernorm.weight", ones, D));
    GR_TRY(add_matrix(b, "self_attn.q_proj.weight", normal, Q, D));
    GR_TRY(add_vector(b, "self_attn.q_proj.bias", zeros, Q));
    GR_TRY(add_matrix(b, "self_attn.k_proj.weight", normal, K, D));
    GR_TRY(add_vector(b, "self_attn.k_proj.bias", zeros, K));
    GR_TRY(add_matrix(b, "self_attn.v_proj.weight", normal, K, D));
    GR_TRY(add_vector(b, "self_attn.v_proj.bias", zeros, K));
    GR_TRY(add_matrix(b, "self_attn.o_proj.weight", normal, D, Q));
    GR_TRY(add_vector(b, "post_attention_layernorm.weight", ones, D));
    GR_TRY(add_matrix(b, "mlp.gate_proj.weight", normal, F, D));
    GR_TRY(add_matrix(b, "mlp.up_proj.weight", normal, F, D));
    GR_TRY(add_matrix(b, "mlp.down_proj.weight", normal, D, F));
done:
    return err;
}

static gr_err add_language(builder *b, const gr_language_config *l)
{
    gr_err err = GR_OK;
    const init_rule normal = {GR_INIT_NORMAL, l->initializer_range};
    set_prefix(b, "language_model.");
    GR_TRY(add_matrix(b, "model.embed_tokens.weight", normal, l->vocabulary, l->width));
    for (int64_t i = 0; i < l->blocks; i++) {
        GR_TRY(add_language_layer(b, l, i));
    }
    set_prefix(b, "language_model.");
    GR_TRY(add_vector(b, "model.norm.weight", ones, l->width));
    if (!l->tied) {
        GR_TRY(add_matrix(b, "lm_head.weight", normal, l->vocabulary, l->width));
    }
done:
    return err;
}

static gr_err add_part(builder *b, const gr_model_config *config)
{
    switch (b->part) {
    case GR_PART_VISION:
        return add_vision(b, &config->vision);
    case GR_PART_CONNECTOR:
        return add_connector(b, config);
    case GR_PART_LANGUAGE:
        return add_language(b, &config->language);
    default:
        return GR_OK;
    }
}

gr_err gr_params_create(const gr_model_config *config, gr_params **out)
{
    gr_err err = GR_OK;
    builder b = {0};
    GR_TRY(gr_model_config_check(config));
    GR_ALLOC(b.params, 1);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        b.part = (gr_part)p;
        if (config->parts >> p & 1) {
            GR_TRY(add_part(&b, config));
        }
        b.params->first[p + 1] = b.params->count;
    }
    *out = b.params;
    b.params = NULL;
done:
    gr_params_destroy(&b.params);
    return err;
}

void gr_params_destroy(gr_params **params)
{
    if (!*params) {
        return;
    }
    for (int64_t i = 0; i < (*params)->count; i++) {
        GR_FREE((*params)->items[i].name);
    }
    GR_FREE((*params)->items);
    GR_FREE(*params);
}

const gr_param *gr_params_find(const gr_params *params, const char *name)
{
    for (int64_t i = 0; i < params->count; i++) {
        if (strcmp(params->items[i].name, name) == 0) {
            return &params->items[i];
        }
    }
    return NULL;
}

static double fresh_value(const gr_param *p, uint64_t seed, uint64_t stream, int64_t i)
{
    switch (p->init) {
    case GR_INIT_ONE:
        return 1;
    case GR_INIT_NORMAL:
        return p->init_scale * gr_rng_normal(seed, stream, (uint64_t)i);
    case GR_INIT_UNIFORM:
        return p->init_scale * (2 * gr_rng_uniform(seed, stream, (uint64_t)i) - 1);
    default:
        return 0;
    }
}

void gr_params_init(const gr_params *params, gr_part part, uint64_t seed, float *flat)
{
    for (int64_t n = params->first[part]; n < params->first[part + 1]; n++) {
        const gr_param *p = &params->items[n];
        uint64_t stream = gr_rng_stream(p->name);
        for (int64_t i = 0; i < p->count; i++) {
            flat[p->offset + i] = (float)fresh_value(p, seed, stream, i);
        }
    }
}
