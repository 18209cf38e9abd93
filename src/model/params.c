#include "src/model/params.h"

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "src/model/architecture.h"

#include <math.h>
#include <string.h>

/// The table while it is built.
typedef struct builder {
    gr_params *params;
    int64_t capacity;
    gr_part part;
    int64_t sizes[GRI_SIZES];
    double range, layer_scale; ///< of fresh values
} builder;

/// "vision_model.trunk.blocks.#." and 3 give "vision_model.trunk.blocks.3.NAME".
static char *name_of(const gri_tensor_at *at)
{
    int before = (int)strcspn(at->prefix, "#");
    if (at->block < 0) {
        return gr_str_format("%s%s", at->prefix, at->rule->name);
    }
    return gr_str_format("%.*s%lld%s%s", before, at->prefix, (long long)at->block,
                         at->prefix + before + 1, at->rule->name);
}

static void set_shape(const builder *b, const gri_tensor_rule *rule, gr_param *p)
{
    p->count = 1;
    for (int d = 0; d < GR_MAX_DIMS; d++) {
        p->shape[d] = 1;
        if (rule->shape[d] != GRI_NONE) {
            p->shape[d] = b->sizes[rule->shape[d]];
            p->count *= p->shape[d];
            p->ndim = d + 1;
        }
    }
}

static void set_fresh(const builder *b, const gri_tensor_rule *rule, gr_param *p)
{
    switch (rule->fresh) {
    case GRI_ZEROS:
        p->init = GR_INIT_ZERO;
        break;
    case GRI_ONES:
        p->init = GR_INIT_ONE;
        break;
    case GRI_NORMAL:
        p->init = GR_INIT_NORMAL;
        p->init_scale = b->range;
        break;
    case GRI_SCALE:
        p->init = GR_INIT_CONSTANT;
        p->init_scale = b->layer_scale;
        break;
    case GRI_UNIFORM:
        p->init = GR_INIT_UNIFORM;
        p->init_scale = 1 / sqrt((double)b->sizes[rule->fan]);
        break;
    }
}

/// Adds a tensor behind the last one of the part.
static gr_err add(void *state, const gri_tensor_at *at)
{
    gr_err err = GR_OK;
    builder *b = state;
    gr_params *params = b->params;
    if (params->count == b->capacity) {
        int64_t grown = b->capacity ? 2 * b->capacity : 64;
        GR_RESIZE(params->items, b->capacity, grown);
        b->capacity = grown;
    }
    gr_param *p = &params->items[params->count];
    *p = (gr_param){.part = b->part, .offset = params->size[b->part]};
    set_shape(b, at->rule, p);
    set_fresh(b, at->rule, p);
    p->reached = at->reached;
    p->product = p->ndim > 1 && !at->rule->table;
    p->decay = p->ndim > 1 && p->reached;
    p->name = name_of(at);
    if (!p->name) {
        err = GR_ERR_MEMORY;
        goto done;
    }
    params->count++;
    params->size[b->part] += p->count;
done:
    return err;
}

static gr_err add_part(builder *b, const gr_model_config *config)
{
    gri_sizes_of(config, b->part, b->sizes);
    b->range = b->part == GR_PART_VISION ? config->vision.initializer_range
                                         : config->language.initializer_range;
    b->layer_scale = config->vision.layer_scale;
    return gri_tensors_walk(config, b->part, add, b);
}

static gr_err index_names(gr_params *params)
{
    gr_err err = GR_OK;
    GR_TRY(gr_names_reserve(&params->names, params->count));
    for (int64_t i = 0; i < params->count; i++) {
        gr_names_add(&params->names, params->items[i].name, i);
    }
    gr_names_sort(&params->names);
done:
    return err;
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
    GR_TRY(index_names(b.params));
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
    gr_names_fini(&(*params)->names);
    GR_FREE(*params);
}

const gr_param *gr_params_find(const gr_params *params, const char *name)
{
    const int64_t i = gr_names_find(&params->names, name);
    return i < 0 ? NULL : &params->items[i];
}

static double fresh_value(const gr_param *p, uint64_t seed, uint64_t stream, int64_t i)
{
    switch (p->init) {
    case GR_INIT_ONE:
        return 1;
    case GR_INIT_CONSTANT:
        return p->init_scale;
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
