#include "src/model/config.h"

#include <string.h>

static const char *const part_names[GR_PART_COUNT] = {
#define GR_PART_NAME(name, text) text,
    GR_PART_LIST(GR_PART_NAME)
#undef GR_PART_NAME
};

const char *gr_part_name(gr_part part)
{
    return part_names[part];
}

bool gr_part_parse(const char *text, gr_part *out)
{
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (strcmp(text, part_names[p]) == 0) {
            *out = (gr_part)p;
            return true;
        }
    }
    return false;
}

#define GR_KIND_NAME(name, text) text,

const char *gr_vision_kind_name(gr_vision_kind kind)
{
    static const char *const names[] = {GR_VISION_LIST(GR_KIND_NAME)};
    return names[kind];
}

const char *gr_language_kind_name(gr_language_kind kind)
{
    static const char *const names[] = {GR_LANGUAGE_LIST(GR_KIND_NAME)};
    return names[kind];
}

gr_grid gr_vision_grid(const gr_vision_config *vision, int64_t height, int64_t width)
{
    return (gr_grid){height / vision->patch_size, width / vision->patch_size};
}

gr_grid gr_position_grid(const gr_vision_config *vision)
{
    int64_t side = vision->position_size ? vision->position_size : vision->image_size;
    return gr_vision_grid(vision, side, side);
}

gr_err gr_vision_check_side(const gr_vision_config *vision, const char *side, int64_t pixels)
{
    gr_err err = GR_OK;
    int64_t patch = vision->patch_size;
    if (pixels < patch || pixels > GR_MOST_SIDE ||
        (vision->kind != GR_VISION_SIGLIP && pixels % patch != 0)) {
        GR_FAIL(GR_ERR_DATA,
                "images of %s %lld: expected a multiple of the patch size %lld, at most %d",
                side, (long long)pixels, (long long)patch, GR_MOST_SIDE);
    }
done:
    return err;
}

int64_t gr_model_vision_blocks(const gr_model_config *config)
{
    bool selects = config->parts >> GR_PART_CONNECTOR & 1;
    return config->vision.blocks - (selects ? config->connector.blocks_left_out : 0);
}

int64_t gr_vision_tokens(const gr_vision_config *vision)
{
    gr_grid grid = gr_vision_grid(vision, vision->image_size, vision->image_size);
    return grid.rows * grid.columns;
}

int64_t gr_image_tokens(const gr_vision_config *vision)
{
    return gr_vision_tokens(vision) / 4;
}

/// A named size and the largest one for which no product of sizes overflows 64 bits.
typedef struct size_rule {
    const char *name;
    int64_t value, most;
} size_rule;

static gr_err check_sizes(const char *part, const size_rule *rules, size_t count)
{
    gr_err err = GR_OK;
    for (size_t i = 0; i < count; i++) {
        if (rules[i].value < 1 || rules[i].value > rules[i].most) {
            GR_FAIL(GR_ERR_DATA, "%s: %s is %lld, expected 1 to %lld", part, rules[i].name,
                    (long long)rules[i].value, (long long)rules[i].most);
        }
    }
done:
    return err;
}

static gr_err check_eps(const char *part, double eps)
{
    gr_err err = GR_OK;
    if (!(eps > 0 && eps < 1)) {
        GR_FAIL(GR_ERR_DATA, "%s: the norms' eps is %g, expected a number between 0 and 1",
                part, eps);
    }
done:
    return err;
}

/// A side of pictures in whole patches. SigLIP leaves pixels at the edge unused, others have none.
static gr_err check_side(const gr_vision_config *v, const char *what, int64_t side)
{
    gr_err err = GR_OK;
    if (side < v->patch_size) {
        GR_FAIL(GR_ERR_DATA, "vision: %s %lld is smaller than one patch of %lld", what,
                (long long)side, (long long)v->patch_size);
    }
    if (v->kind != GR_VISION_SIGLIP && side % v->patch_size != 0) {
        GR_FAIL(GR_ERR_DATA, "vision: %s %lld is not a multiple of patch size %lld", what,
                (long long)side, (long long)v->patch_size);
    }
done:
    return err;
}

static gr_err check_vision_sizes(const gr_vision_config *v)
{
    gr_err err = GR_OK;
    int64_t position_size = v->position_size ? v->position_size : v->image_size;
    const size_rule rules[] = {
        {"image size", v->image_size, GR_MOST_SIDE},
        {"position size", position_size, GR_MOST_SIDE},
        {"patch size", v->patch_size, 1 << 10},
        {"width", v->width, 1 << 20},
        {"number of channels", v->channels, 1 << 10},
        {"number of heads", v->heads, 1 << 16},
        {"MLP width", v->mlp_width, 1 << 22},
        {"number of blocks", v->blocks, 1 << 12},
    };
    GR_TRY(check_sizes("vision", rules, sizeof rules / sizeof rules[0]));
    GR_TRY(check_eps("vision", v->norm_eps));
    GR_TRY(check_side(v, "image size", v->image_size));
    GR_TRY(check_side(v, "position size", position_size));
    if (v->channels != 3) {
        GR_FAIL(GR_ERR_DATA, "vision: %lld channels, but pictures have 3",
                (long long)v->channels);
    }
    if (v->width % v->heads != 0) {
        GR_FAIL(GR_ERR_DATA, "vision: width %lld is not a multiple of %lld heads",
                (long long)v->width, (long long)v->heads);
    }
done:
    return err;
}

static gr_err check_statistic(const char *name, int channel, double value, double least)
{
    gr_err err = GR_OK;
    if (!(value >= least && value <= GR_MOST_STATISTIC)) { // a NaN fails here too
        GR_FAIL(GR_ERR_DATA, "vision: %s[%d] is %g, expected a number from %g to %g", name,
                channel, value, least, GR_MOST_STATISTIC);
    }
done:
    return err;
}

static gr_err check_vision(const gr_vision_config *v)
{
    gr_err err = GR_OK;
    if (v->kind < 0 || v->kind >= GR_VISION_KINDS) {
        GR_FAIL(GR_ERR_DATA, "vision: unknown kind %d", (int)v->kind);
    }
    GR_TRY(check_vision_sizes(v));
    for (int c = 0; c < 3; c++) {
        GR_TRY(check_statistic("image_mean", c, v->image_mean[c], -GR_MOST_STATISTIC));
        GR_TRY(check_statistic("image_std", c, v->image_std[c], GR_LEAST_STD));
    }
done:
    return err;
}

/// The connector behind its encoder.
static gr_err check_connector(const gr_model_config *config)
{
    gr_err err = GR_OK;
    const gr_vision_config *v = &config->vision;
    const gr_connector_config *c = &config->connector;
    gr_grid grid = gr_vision_grid(v, v->image_size, v->image_size);
    if (grid.rows % 2 != 0) {
        GR_FAIL(
            GR_ERR_DATA,
            "vision: the grid of %lld x %lld patches is odd, but the connector merges 2 x 2: "
            "set force_image_size to an even number of patches of %lld pixels",
            (long long)grid.rows, (long long)grid.columns, (long long)v->patch_size);
    }
    if (c->blocks_left_out < 0 || c->blocks_left_out >= v->blocks) {
        GR_FAIL(GR_ERR_DATA, "connector: select_layer %lld, expected -%lld to -1",
                (long long)(-1 - c->blocks_left_out), (long long)v->blocks);
    }
done:
    return err;
}

static gr_err check_language(const gr_language_config *l)
{
    gr_err err = GR_OK;
    const size_rule rules[] = {
        {"vocabulary", l->vocabulary, 1 << 24},
        {"width", l->width, 1 << 20},
        {"number of blocks", l->blocks, 1 << 12},
        {"number of heads", l->heads, 1 << 12},
        {"number of key/value heads", l->kv_heads, 1 << 12},
        {"head size", l->head_size, 1 << 12},
        {"MLP width", l->mlp_width, 1 << 22},
        {"number of positions", l->max_positions, INT32_MAX},
    };
    GR_TRY(check_sizes("language", rules, sizeof rules / sizeof rules[0]));
    GR_TRY(check_eps("language", l->norm_eps));
    if (l->kind < 0 || l->kind >= GR_LANGUAGE_KINDS) {
        GR_FAIL(GR_ERR_DATA, "language: unknown kind %d", (int)l->kind);
    }
    if (l->heads % l->kv_heads != 0) {
        GR_FAIL(GR_ERR_DATA, "language: %lld heads are not a multiple of %lld key/value heads",
                (long long)l->heads, (long long)l->kv_heads);
    }
    if (l->head_size % 2 != 0) {
        GR_FAIL(GR_ERR_DATA, "language: head size %lld is odd, but rotary positions turn pairs",
                (long long)l->head_size);
    }
    if (!(l->rope_theta > 1)) {
        GR_FAIL(GR_ERR_DATA, "language: rope_theta is %g, expected a number above 1",
                l->rope_theta);
    }
done:
    return err;
}

static bool has(const gr_model_config *config, gr_part part)
{
    return config->parts >> part & 1;
}

gr_err gr_model_config_check_parts(const gr_model_config *config)
{
    gr_err err = GR_OK;
    if (config->parts == 0 || config->parts > GR_PARTS_ALL) {
        GR_FAIL(GR_ERR_DATA, "the model has no part");
    }
    if (has(config, GR_PART_VISION)) {
        GR_TRY(check_vision(&config->vision));
    }
    if (has(config, GR_PART_CONNECTOR)) {
        GR_TRY(check_eps("connector", config->connector.norm_eps));
    }
    if (has(config, GR_PART_CONNECTOR) && has(config, GR_PART_VISION)) {
        GR_TRY(check_connector(config));
    }
    if (has(config, GR_PART_LANGUAGE)) {
        GR_TRY(check_language(&config->language));
    }
done:
    return err;
}

gr_err gr_model_config_check(const gr_model_config *config)
{
    gr_err err = GR_OK;
    bool both = has(config, GR_PART_VISION) && has(config, GR_PART_LANGUAGE);
    GR_TRY(gr_model_config_check_parts(config));
    if (has(config, GR_PART_CONNECTOR) != both) {
        GR_FAIL(GR_ERR_DATA,
                "a model is vision, connector and language together, or vision alone, or "
                "language alone; parts of several files are put together by a recipe");
    }
done:
    return err;
}
