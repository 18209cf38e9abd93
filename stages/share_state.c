#include "stages/share_state.h"

#include "src/base/mem.h"
#include "src/formats/hf.h"
#include "src/formats/safetensors.h"

#include <string.h>

enum { COPY_ELEMENTS = 1 << 18 };

/// Entries of the optimizer's file for one moment of one part, in the order of the flat space.
static gr_err name_moments(const gr_params *params, gr_part part, const char *prefix,
                           gr_safetensor *list, int64_t *n)
{
    gr_err err = GR_OK;
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        const gr_param *p = &params->items[i];
        gr_safetensor *t = &list[*n];
        t->name = gr_str_format("%s.%s", prefix, p->name);
        if (!t->name) {
            GR_TRY(GR_ERR_MEMORY);
        }
        t->dtype = GR_DTYPE_F32;
        t->ndim = p->ndim;
        memcpy(t->shape, p->shape, sizeof p->shape);
        t->count = p->count;
        *n += 1;
    }
done:
    return err;
}

static gr_err moments_head(const gr_params *params, gr_part_set trains, const char *name,
                           gr_str *head)
{
    static const char *const prefixes[] = {"exp_avg", "exp_avg_sq"};
    gr_err err = GR_OK;
    gr_safetensor *list = NULL;
    int64_t n = 0;
    GR_ALLOC(list, 2 * params->count);
    for (int moment = 0; moment < 2; moment++) {
        for (int p = 0; p < GR_PART_COUNT; p++) {
            if (trains & (1u << p)) {
                GR_TRY(name_moments(params, (gr_part)p, prefixes[moment], list, &n));
            }
        }
    }
    GR_TRY(gr_safetensors_head(name, list, n, head));
done:
    for (int64_t i = 0; list && i < n; i++) {
        GR_FREE(list[i].name);
    }
    GR_FREE(list);
    return err;
}

/// Where a part begins in arrays of the owned elements.
static int64_t place_in_own(const gr_updater *u, int part)
{
    return gr_owned_place(&u->own, u->parts[part].begin);
}

gr_err gri_share_add_moments(gri_share *share, const gr_params *params, const gr_updater *u,
                             const gr_updater_copy *copy)
{
    static const char name[] = "gradus/optimizer.safetensors";
    gr_err err = GR_OK;
    const float *const moments[] = {copy ? copy->first : u->first,
                                    copy ? copy->second : u->second};
    gr_str head = {0};
    GR_TRY(moments_head(params, u->trains, name, &head));
    gri_share_add_file(share, name, &head);
    for (int moment = 0; moment < 2; moment++) {
        for (int p = 0; p < GR_PART_COUNT; p++) {
            if (u->trains & (1u << p)) {
                gri_share_add_section(share, u->own, u->parts[p], true,
                                      moments[moment] + place_in_own(u, p));
            }
        }
    }
done:
    gr_str_fini(&head);
    return err;
}

gr_err gri_share_add_part(gri_share *share, gr_model *model, gr_part part, const gr_updater *u,
                          const gr_updater_copy *copy)
{
    gr_err err = GR_OK;
    gr_str head = {0};
    const float *weights = gr_model_weights(model, part);
    int64_t size = gr_model_get_params(model)->size[part];
    GR_TRY(gr_hf_part_head(model, part, &head));
    gri_share_add_file(share, gr_hf_part_file(part), &head);
    if (u && u->trains & (1u << part)) {
        gri_share_add_section(share, u->own, u->parts[part], copy != NULL,
                              copy ? copy->weights + place_in_own(u, part) : weights);
    } else {
        gr_owned owned = gr_owned_of(size, share->world->rank, share->world->size);
        gri_share_add_section(share, owned, (gr_range){0, size}, false, weights);
    }
done:
    gr_str_fini(&head);
    return err;
}

static void copy_elements(float *to, const float *from, int64_t count, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i += COPY_ELEMENTS) {
        int64_t n = count - i < COPY_ELEMENTS ? count - i : COPY_ELEMENTS;
        memcpy(to + i, from + i, (size_t)n * sizeof *to);
    }
}

void gri_copy_state(const gr_model *model, const gr_updater *u, const gr_updater_copy *to,
                    int threads)
{
    int64_t count = gr_owned_count(&u->own);
    copy_elements(to->first, u->first, count, threads);
    copy_elements(to->second, u->second, count, threads);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        const float *weights = gr_model_weights(model, (gr_part)p);
        for (gr_range mine = {u->parts[p].begin, u->parts[p].begin};
             gr_owned_next(&u->own, u->parts[p], &mine);) {
            copy_elements(to->weights + gr_owned_place(&u->own, mine.begin),
                          weights + (mine.begin - u->parts[p].begin), gr_range_count(mine),
                          threads);
        }
    }
}
