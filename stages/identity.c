#include "stages/identity.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/ops/exec.h"
#include "stages/recipe_bits.h"

#include <string.h>

static const struct {
    const char *key, *text;
} item_names[GR_IDENTITY_COUNT] = {
#define GR_IDENTITY_NAME(name, key, text) {key, text},
    GR_IDENTITY_LIST(GR_IDENTITY_NAME)
#undef GR_IDENTITY_NAME
};

static gr_digest of_text(const char *text)
{
    return gr_digest_of(text, strlen(text));
}

/// Links digest after digest: the order counts.
static gr_digest link_digests(gr_digest so_far, gr_digest next)
{
    const gr_digest pair[2] = {so_far, next};
    return gr_digest_of(pair, sizeof pair);
}

static gr_err of_recipe(const gr_recipe *recipe, gr_identity *out)
{
    gr_err err = GR_OK;
    char *deciding = NULL, *whole = NULL;
    GR_TRY(gr_recipe_deciding(recipe->doc, &deciding));
    GR_TRY(gr_doc_to_json(recipe->doc, &whole));
    out->items[GR_IDENTITY_RECIPE] = of_text(deciding);
    out->items[GR_IDENTITY_SETTINGS] = of_text(whole);
done:
    GR_FREE(deciding);
    GR_FREE(whole);
    return err;
}

static gr_digest of_data(const gr_setup *setup)
{
    gr_digest all = {0};
    for (int64_t i = 0; i < setup->dataset_count; i++) {
        all = link_digests(all, gr_dataset_digest(setup->datasets[i]));
    }
    return all;
}

static gr_digest of_model(const gr_setup *setup)
{
    const gr_model_config *config = gr_model_get_config(setup->model);
    const gr_params *params = gr_model_get_params(setup->model);
    const gr_vision_config *v = &config->vision;
    const gr_connector_config *c = &config->connector;
    const gr_language_config *l = &config->language;
    // Settings that no shape shows.
    const double settings[] = {
        v->kind,
        (double)v->image_size,
        (double)v->heads,
        v->norm,
        v->mlp,
        v->norm_eps,
        v->drop_path,
        v->image_mean[0],
        v->image_mean[1],
        v->image_mean[2],
        v->image_std[0],
        v->image_std[1],
        v->image_std[2],
        v->pictures.fit,
        (double)v->pictures.edge,
        v->pictures.bilinear,
        v->pictures.rescale,
        (double)v->pictures.fewest,
        (double)v->pictures.most,
        v->pictures.thumbnail,
        v->pictures.second_scale,
        c->norm_eps,
        (double)c->blocks_left_out,
        c->unnormed,
        c->by_column,
        l->kind,
        (double)l->heads,
        (double)l->kv_heads,
        l->norm_eps,
        l->rope_theta,
        l->tied,
    };
    gr_digest all = gr_digest_of(settings, sizeof settings);
    for (int64_t i = 0; i < params->count; i++) {
        all = link_digests(all, of_text(params->items[i].name));
        all = link_digests(all,
                           gr_digest_of(params->items[i].shape, sizeof params->items[i].shape));
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const float *weights = gr_model_weights(setup->model, (gr_part)p);
        if (weights) {
            all = link_digests(
                all, gr_digest_of(weights, (size_t)params->size[p] * sizeof *weights));
        }
    }
    return all;
}

gr_err gr_identity_take(const gr_setup *setup, gr_identity *out)
{
    gr_err err = GR_OK;
    GR_TRY(of_recipe(setup->recipe, out));
    GR_TRY(gr_tokenizer_digest(setup->tokenizer, &out->items[GR_IDENTITY_TOKENIZER]));
    out->items[GR_IDENTITY_DATA] = of_data(setup);
    out->items[GR_IDENTITY_MODEL] = of_model(setup);
    out->items[GR_IDENTITY_KERNEL] = of_text(gr_blas_kernel());
    if (setup->recipe->precision == GR_PRECISION_BF16) { // then oneDNN multiplies
        out->items[GR_IDENTITY_KERNEL] =
            link_digests(out->items[GR_IDENTITY_KERNEL], of_text(gr_onednn_version()));
    }
    out->items[GR_IDENTITY_VERSION] = of_text(GRADUS_VERSION);
done:
    return err;
}

/// all[rank] of every rank: the first difference from rank 0 is everybody's error.
static gr_err compare_ranks(const gr_world *world, const gr_identity *all)
{
    gr_err err = GR_OK;
    for (int rank = 1; rank < world->size; rank++) {
        for (int i = 0; i < GR_IDENTITY_COUNT; i++) {
            if (!gr_digest_equal(all[rank].items[i], all[0].items[i])) {
                GR_FAIL(
                    GR_ERR_RECIPE,
                    "rank %d has another %s than rank 0: the bits would depend on who computes what; give all "
                    "ranks the same files and environment",
                    rank, item_names[i].text);
            }
        }
    }
done:
    return gr_world_alike(world, err);
}

gr_err gr_identity_agree(const gr_world *world, const gr_identity *mine)
{
    gr_err err = GR_OK;
    gr_identity *all = NULL;
    GR_ALLOC(all, world->size);
    GR_TRY(gr_world_gather(world, mine, sizeof *mine, all));
    GR_TRY(compare_ranks(world, all));
done:
    GR_FREE(all);
    return err;
}

void gr_identity_write(const gr_identity *identity, gr_json *json)
{
    for (int i = 0; i < GR_IDENTITY_COUNT; i++) {
        gr_json_digest(json, item_names[i].key, identity->items[i]);
    }
}

/// Versions before "settings" wrote the digest of the whole recipe as "recipe".
static bool is_same(const gr_identity *identity, int i, gr_digest then)
{
    return gr_digest_equal(then, identity->items[i]) ||
           (i == GR_IDENTITY_RECIPE &&
            gr_digest_equal(then, identity->items[GR_IDENTITY_SETTINGS]));
}

gr_err gr_identity_check(const gr_identity *identity, const gr_node *map, const char *path)
{
    gr_err err = GR_OK;
    for (int i = 0; i < GR_IDENTITY_COUNT; i++) {
        const char *text = NULL;
        gr_digest then;
        if (i == GR_IDENTITY_SETTINGS) {
            continue;
        }
        GR_TRY(gr_node_get_string(map, item_names[i].key, &text));
        GR_TRY(gr_digest_parse(text, &then));
        if (is_same(identity, i, then)) {
            continue;
        }
        if (i == GR_IDENTITY_KERNEL || i == GR_IDENTITY_VERSION) {
            gr_log_warn(
                "%s was written with another %s: the bits may differ from those of a run that was never stopped",
                path, item_names[i].text);
            continue;
        }
        GR_FAIL(GR_ERR_RECIPE,
                "%s belongs to another %s; give another --run, or what the run began with",
                path, item_names[i].text);
    }
done:
    return err;
}
