#include "mpi/gather_few.h"

#include "mpi/requests.h"
#include "src/base/mem.h"

#include <string.h>

/// What one rank owns of a piece, as far as it is together.
typedef struct item {
    int rank;
    int64_t place, count; ///< in the rank's message
    float *values;
} item;

struct gr_gather_few {
    const gr_world *world;
    item *items;
    int64_t count, capacity;
    int64_t *filled; ///< [ranks] elements of each rank's message
    int64_t most;    ///< of them
    float *mine, *all;
};

static gr_err add_piece(gr_gather_few *few, const gr_owned *owned, gr_gather_piece piece)
{
    gr_err err = GR_OK;
    for (gr_range run = {piece.range.begin, piece.range.begin}; run.end < piece.range.end;) {
        int rank = gr_owned_owner(owned, run.end, &run);
        run = gr_range_overlap(run, piece.range);
        if (few->count == few->capacity) {
            int64_t grown = few->capacity ? 2 * few->capacity : 64;
            GR_RESIZE(few->items, few->capacity, grown);
            few->capacity = grown;
        }
        few->items[few->count++] =
            (item){.rank = rank,
                   .place = few->filled[rank],
                   .count = gr_range_count(run),
                   .values = piece.values + (run.begin - piece.range.begin)};
        few->filled[rank] += gr_range_count(run);
    }
done:
    return err;
}

gr_err gr_gather_few_create(const gr_world *world, int64_t n, const gr_gather_piece *pieces,
                            int64_t count, gr_gather_few **out)
{
    gr_err err = GR_OK;
    gr_gather_few *few = NULL;
    const gr_owned owned = gr_owned_of(n, world->rank, world->size);
    GR_ALLOC(few, 1);
    few->world = world;
    GR_ALLOC(few->filled, world->size);
    for (int64_t i = 0; i < count; i++) {
        GR_TRY(add_piece(few, &owned, pieces[i]));
    }
    for (int rank = 0; rank < world->size; rank++) {
        few->most = few->filled[rank] > few->most ? few->filled[rank] : few->most;
    }
    GR_ALLOC(few->mine, few->most);
    GR_ALLOC(few->all, few->most * world->size);
    *out = few;
    few = NULL;
done:
    gr_gather_few_destroy(&few);
    return err;
}

void gr_gather_few_destroy(gr_gather_few **few)
{
    if (*few) {
        GR_FREE((*few)->items);
        GR_FREE((*few)->filled);
        GR_FREE((*few)->mine);
        GR_FREE((*few)->all);
        GR_FREE(*few);
    }
}

gr_err gr_gather_few_run(gr_gather_few *few)
{
    gr_err err = GR_OK;
    const int me = few->world->rank;
    for (int64_t i = 0; i < few->count; i++) {
        const item *it = &few->items[i];
        if (it->rank == me) {
            memcpy(few->mine + it->place, it->values, (size_t)it->count * sizeof *it->values);
        }
    }
    GR_TRY(gr_world_gather(few->world, few->mine, (size_t)few->most * sizeof *few->mine,
                           few->all));
    gri_messages_count((few->world->size - 1) * few->most * (int64_t)sizeof *few->mine);
    for (int64_t i = 0; i < few->count; i++) {
        const item *it = &few->items[i];
        if (it->rank != me) {
            memcpy(it->values, few->all + it->rank * few->most + it->place,
                   (size_t)it->count * sizeof *it->values);
        }
    }
done:
    return err;
}
