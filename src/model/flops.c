#include "src/model/flops.h"

#include <string.h>

bool gr_param_multiplies(const gr_param *p)
{
    static const char *const tables[] = {"pos_embed", "position_embedding", "class_embedding",
                                         "embed_tokens"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (strstr(p->name, tables[i])) {
            return false;
        }
    }
    return p->ndim > 1;
}

int64_t gr_load_rows(const gr_model_config *c, const gr_load *load, const gr_param *p)
{
    switch (p->part) {
    case GR_PART_VISION:
        return load->images * gr_vision_tokens(&c->vision);
    case GR_PART_CONNECTOR:
        return load->images * gr_image_tokens(&c->vision);
    default:
        return strstr(p->name, "lm_head") ? load->targets : load->tokens;
    }
}

/// What the parts that train ask of backward.
typedef struct demand {
    gr_part_set train;
    bool through[GR_PART_COUNT]; ///< gradients pass through this part
} demand;

static demand demand_of(gr_part_set train, const gr_load *load)
{
    demand d = {.train = train};
    bool vision = train >> GR_PART_VISION & 1 && load->images > 0;
    bool connector = train >> GR_PART_CONNECTOR & 1 && load->images > 0;
    d.through[GR_PART_VISION] = vision;
    d.through[GR_PART_CONNECTOR] = vision || connector;
    d.through[GR_PART_LANGUAGE] = vision || connector || train >> GR_PART_LANGUAGE & 1;
    return d;
}

static void add_product(gr_step_flops *f, const demand *d, gr_part part, double flops,
                        bool input)
{
    f->forward += flops;
    f->backward += d->through[part] && input ? flops : 0;
    f->backward += d->through[part] && d->train >> part & 1 ? flops : 0;
}

static void add_attention(gr_step_flops *f, const demand *d, gr_part part, int64_t blocks,
                          int64_t width, double pairs)
{
    double flops = 4 * (double)blocks * (double)width * pairs;
    f->forward += flops;
    f->backward += d->through[part] ? 2 * flops : 0;
}

gr_step_flops gr_model_flops(const gr_model_config *c, const gr_params *params,
                             const gr_load *load, gr_part_set train)
{
    const gr_language_config *l = &c->language;
    demand d = demand_of(train, load);
    gr_step_flops f = {0};
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        if (gr_param_multiplies(p) && p->reached) {
            double flops = 2.0 * (double)gr_load_rows(c, load, p) * (double)p->count;
            bool patches = p->part == GR_PART_VISION && p->ndim == 4;
            add_product(&f, &d, p->part, flops, !patches);
        }
    }
    if (c->parts >> GR_PART_LANGUAGE & 1) {
        if (l->tied) {
            double head = 2.0 * (double)load->targets * (double)l->vocabulary;
            add_product(&f, &d, GR_PART_LANGUAGE, head * (double)l->width, true);
        }
        double length = (double)load->tokens / (double)load->sequences;
        add_attention(&f, &d, GR_PART_LANGUAGE, l->blocks, l->heads * l->head_size,
                      (double)load->sequences * length * (length + 1) / 2);
    }
    if (c->parts >> GR_PART_VISION & 1) {
        double tokens = (double)gr_vision_tokens(&c->vision);
        add_attention(&f, &d, GR_PART_VISION, gr_model_vision_blocks(c), c->vision.width,
                      (double)load->images * tokens * tokens);
    }
    return f;
}
