#include "stages/apart.h"

#include "src/base/mem.h"

/// A tensor's place in the space.
static gr_range place_of(const gr_updater *u, const gr_param *p)
{
    int64_t begin = u->parts[p->part].begin + p->offset;
    return (gr_range){begin, begin + p->count};
}

/// Gives back the memory of what others own of a matrix.
static void forget_others(const gr_updater *u, const gr_param *p, float *values)
{
    gr_range tensor = place_of(u, p);
    for (gr_range run = {tensor.begin, tensor.begin}; run.end < tensor.end;) {
        int owner = gr_owned_owner(&u->own, run.end, &run);
        gr_range piece = gr_range_overlap(run, tensor);
        if (owner != u->own.rank) {
            gr_mem_forget(values + (piece.begin - tensor.begin),
                          (size_t)gr_range_count(piece) * sizeof *values);
        }
    }
}

static void add_part(gr_apart *a, gr_gather_part part)
{
    GR_ASSERT(a->count < GR_GATHER_PARTS);
    a->parts[a->count++] = part;
}

/// What of one part travels: its short values to `pieces`, long ones and the copies to the list.
static void plan_part(const gr_updater *u, gr_model *model, gr_part part, gr_apart *a,
                      gr_gather_piece *pieces, int64_t *count)
{
    const gr_params *params = gr_model_get_params(model);
    float *weights = gr_model_edit_weights(model, part);
    gr_model_set_apart(model, part, true);
    for (int64_t i = params->first[part]; i < params->first[part + 1]; i++) {
        const gr_param *p = &params->items[i];
        float *values = weights + p->offset;
        if (p->product) {
            forget_others(u, p, values);
        } else if (p->count < u->own.run) {
            pieces[(*count)++] = (gr_gather_piece){place_of(u, p), values};
        } else {
            add_part(a, (gr_gather_part){place_of(u, p), .values = values, .ahead = true});
        }
    }
    add_part(a, (gr_gather_part){u->parts[part], .rounded = gr_model_rounded(model, part)});
}

gr_err gri_apart_create(const gr_updater *u, gr_model *model, gr_apart **out)
{
    gr_err err = GR_OK;
    gr_apart *a = NULL;
    gr_gather_piece *pieces = NULL;
    int64_t count = 0;
    GR_ALLOC(a, 1);
    GR_ALLOC(pieces, gr_model_get_params(model)->count);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (u->trains >> p & 1) {
            plan_part(u, model, (gr_part)p, a, pieces, &count);
        }
    }
    GR_TRY(gr_gather_few_create(u->world, u->size, pieces, count, &a->few));
    *out = a;
    a = NULL;
done:
    GR_FREE(pieces);
    gri_apart_destroy(&a);
    return err;
}

/// Elements of a range that the rank owns.
static int64_t owned_of(const gr_owned *owned, gr_range range)
{
    return gr_owned_place(owned, range.end) - gr_owned_place(owned, range.begin);
}

/// Short values of the rank: its part of what gr_gather_few sends.
static int64_t short_values(const gr_owned *owned, const gr_params *params,
                            const gr_range parts[GR_PART_COUNT])
{
    int64_t count = 0;
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        const gr_range part = parts[p->part];
        const gr_range at = {part.begin + p->offset, part.begin + p->offset + p->count};
        if (gr_range_count(part) > 0 && !p->product && p->count < owned->run) {
            count += owned_of(owned, at);
        }
    }
    return count;
}

gr_cost gri_apart_cost(const gr_world *world, const gr_params *params, gr_part_set trains,
                       int64_t *given_back)
{
    gr_range parts[GR_PART_COUNT];
    const int64_t others = world->size - 1, f32 = sizeof(float), b16 = sizeof(uint16_t);
    const gr_owned own =
        gr_owned_of(gr_updater_layout(params, trains, parts), world->rank, world->size);
    gr_cost cost = {0};
    int64_t most = 0;
    *given_back = 0;
    for (int rank = 0; rank < world->size; rank++) {
        const gr_owned owned = gr_owned_by(&own, rank);
        const int64_t count = short_values(&owned, params, parts);
        most = count > most ? count : most;
    }
    cost.memory = most * (world->size + 1) * f32;
    cost.sent = most * others * f32;
    for (int64_t i = 0; i < params->count; i++) {
        const gr_param *p = &params->items[i];
        const gr_range part = parts[p->part];
        const gr_range at = {part.begin + p->offset, part.begin + p->offset + p->count};
        const int64_t mine = gr_range_count(part) > 0 ? owned_of(&own, at) : 0;
        if (gr_range_count(part) > 0 && p->product) {
            *given_back += (p->count - mine) * f32;
        } else if (p->count >= own.run) {
            cost.sent += mine * others * f32;
        }
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        cost.sent += owned_of(&own, parts[p]) * others * b16;
    }
    return cost;
}

void gri_apart_destroy(gr_apart **apart)
{
    if (*apart) {
        gr_gather_few_destroy(&(*apart)->few);
        GR_FREE(*apart);
    }
}

void gri_apart_round(const gr_updater *u, gr_model *model, gr_part part)
{
    const gr_range place = u->parts[part];
    for (gr_range piece = {place.begin, place.begin}; gr_owned_next(&u->own, place, &piece);) {
        gr_model_round(model, part, piece.begin - place.begin, piece.end - place.begin);
    }
}
