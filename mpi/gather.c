#include "mpi/gather.h"

#include "mpi/messages.h"
#include "mpi/requests.h"
#include "src/base/mem.h"

enum { TAG_GATHER = 12 };

struct gr_gather {
    const gr_world *world;
    int64_t n;
    gr_messages messages;
    gri_requests slots[GR_MESSAGES_DEEPEST]; ///< of rounds modulo depth
};

gr_err gr_gather_create(const gr_world *world, int64_t n, gr_gather **out)
{
    gr_err err = GR_OK;
    gr_gather *x = NULL;
    GR_ALLOC(x, 1);
    *x = (gr_gather){.world = world, .n = n, .messages = gr_messages_of(world)};
    for (int i = 0; i < x->messages.depth; i++) {
        GR_TRY(gri_requests_init(world, 2 * (world->size - 1), &x->slots[i]));
    }
    *out = x;
    x = NULL;
done:
    gr_gather_destroy(&x);
    return err;
}

void gr_gather_destroy(gr_gather **gather)
{
    gr_gather *x = *gather;
    if (!x) {
        return;
    }
    for (int i = 0; i < x->messages.depth; i++) {
        gri_requests_fini(&x->slots[i]);
    }
    GR_FREE(*gather);
}

/// What round `round` carries of a rank's share of `part`.
static gr_range piece_of(const gr_gather *x, gr_range part, int rank, int64_t round)
{
    gr_range share = gr_range_overlap(gr_range_of_rank(x->n, rank, x->world->size), part);
    int64_t begin = share.begin + round * x->messages.piece;
    return gr_range_overlap(share,
                            (gr_range){.begin = begin, .end = begin + x->messages.piece});
}

static gr_err post(gr_gather *x, gri_requests *slot, gr_range part, int64_t round,
                   float *values)
{
    gr_err err = GR_OK;
    int rank = x->world->rank, size = x->world->size;
    gr_range own = piece_of(x, part, rank, round);
    for (int step = 1; step < size; step++) {
        int owner = (rank + size - step) % size;
        gr_range piece = piece_of(x, part, owner, round);
        if (gr_range_count(piece) > 0) {
            GR_TRY(gri_requests_receive(slot, values + (piece.begin - part.begin),
                                        gr_range_count(piece), owner, TAG_GATHER));
        }
    }
    for (int step = 1; step < size && gr_range_count(own) > 0; step++) {
        GR_TRY(gri_requests_send(slot, values + (own.begin - part.begin), gr_range_count(own),
                                 (rank + step) % size, TAG_GATHER));
    }
done:
    return err;
}

gr_err gr_gather_run(gr_gather *x, gr_range part, float *values)
{
    gr_err err = GR_OK;
    int64_t longest = gr_range_longest(x->n, x->world->size);
    int64_t rounds = (longest + x->messages.piece - 1) / x->messages.piece;
    rounds = x->world->size > 1 ? rounds : 0;
    for (int64_t round = 0; round < rounds + x->messages.depth; round++) {
        gri_requests *slot = &x->slots[round % x->messages.depth];
        GR_TRY(gri_requests_wait(slot));
        if (round < rounds) {
            GR_TRY(post(x, slot, part, round, values));
        }
    }
done:
    return err;
}
