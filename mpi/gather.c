#include "mpi/gather.h"

#include "mpi/messages.h"
#include "mpi/requests.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"

#include <stdatomic.h>
#include <string.h>

enum { TAG_GATHER = 12 };

struct gr_gather {
    const gr_world *world;
    gr_owned owned;
    int64_t a_stripe; ///< rounds
    gr_messages messages;
    gri_requests slots[GR_MESSAGES_DEEPEST]; ///< of rounds modulo depth
    gri_errand errand;
    gr_gather_few *few;
    gr_gather_part parts[GR_GATHER_PARTS]; ///< of the errand
    int part_count;
    atomic_llong there; ///< elements of the space before this one have come
};

gr_err gr_gather_create(const gr_world *world, int64_t n, gr_gather **out)
{
    gr_err err = GR_OK;
    gr_gather *x = NULL;
    GR_ALLOC(x, 1);
    *x = (gr_gather){.world = world,
                     .owned = gr_owned_of(n, world->rank, world->size),
                     .messages = gr_messages_of(world)};
    x->a_stripe = (gr_owned_longest(&x->owned) + x->messages.piece - 1) / x->messages.piece;
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
    gri_courier_forget(&x->errand);
    for (int i = 0; i < x->messages.depth; i++) {
        gri_requests_fini(&x->slots[i]);
    }
    GR_FREE(*gather);
}

/// What round `round` of the whole space carries of a rank's share of `part`.
static gr_range piece_of(const gr_gather *x, gr_range part, int rank, int64_t round)
{
    gr_owned owned = gr_owned_by(&x->owned, rank);
    gr_range run = gr_owned_run(&owned, round / x->a_stripe);
    int64_t begin = run.begin + round % x->a_stripe * x->messages.piece;
    gr_range piece = {begin, begin + x->messages.piece};
    return gr_range_overlap(gr_range_overlap(run, piece), part);
}

/// Where a number of the part lies.
static void *number(const gr_gather_part *part, int64_t at)
{
    int64_t i = at - part->part.begin;
    return part->values ? (void *)(part->values + i) : (void *)(part->rounded + i);
}

static gr_err post(gr_gather *x, gri_requests *slot, const gr_gather_part *part, int64_t round)
{
    gr_err err = GR_OK;
    int rank = x->world->rank, size = x->world->size;
    MPI_Datatype type = part->values ? MPI_FLOAT : MPI_UINT16_T;
    gr_range own = piece_of(x, part->part, rank, round);
    for (int step = 1; step < size; step++) {
        int owner = (rank + size - step) % size;
        gr_range piece = piece_of(x, part->part, owner, round);
        if (gr_range_count(piece) > 0) {
            GR_TRY(gri_requests_receive(slot, number(part, piece.begin), gr_range_count(piece),
                                        type, owner, TAG_GATHER));
        }
    }
    for (int step = 1; step < size && gr_range_count(own) > 0; step++) {
        GR_TRY(gri_requests_send(slot, number(part, own.begin), gr_range_count(own), type,
                                 (rank + step) % size, TAG_GATHER));
    }
done:
    return err;
}

/// Of the stripes that hold `part`.
static void rounds_of(const gr_gather *x, gr_range part, int64_t *first, int64_t *end)
{
    int64_t stripe = x->owned.run * x->owned.size;
    bool any = x->owned.size > 1 && gr_range_count(part) > 0;
    *first = part.begin / stripe * x->a_stripe;
    *end = any ? ((part.end - 1) / stripe + 1) * x->a_stripe : *first;
}

/// Whoever waits for parameters, once round `done` of a part, counted from its first, is through.
static void tell(gr_gather *x, int64_t done, const gr_gather_part *gathered)
{
    gr_range part = gathered->part;
    if (gri_courier_is_me() && !gathered->ahead && done >= 0 && (done + 1) % x->a_stripe == 0) {
        int64_t stripe = x->owned.run * x->owned.size;
        int64_t end = (part.begin / stripe + (done + 1) / x->a_stripe) * stripe;
        atomic_store_explicit(&x->there, end < part.end ? end : part.end, memory_order_release);
        gri_courier_tell();
    }
}

gr_err gr_gather_run(gr_gather *x, const gr_gather_part *part)
{
    gr_err err = GR_OK;
    int64_t first = 0, end = 0;
    rounds_of(x, part->part, &first, &end);
    for (int64_t round = first; round < end + x->messages.depth; round++) {
        gri_requests *slot = &x->slots[round % x->messages.depth];
        GR_TRY(gri_requests_wait(slot));
        tell(x, round - x->messages.depth - first, part);
        if (round < end) {
            GR_TRY(post(x, slot, part, round));
            gr_failpoint(GR_AT_GATHER_POSTED);
        }
    }
    gr_failpoint(GR_AT_GATHER_DONE);
done:
    return err;
}

static gr_err run_parts(void *gather)
{
    gr_err err = GR_OK;
    gr_gather *x = gather;
    if (x->few) {
        GR_TRY(gr_gather_few_run(x->few));
    }
    for (int i = 0; i < x->part_count; i++) {
        GR_TRY(gr_gather_run(x, &x->parts[i]));
    }
done:
    return err;
}

gr_err gr_gather_start(gr_gather *x, gr_gather_few *few, const gr_gather_part *parts, int count)
{
    gr_err err = GR_OK;
    GR_ASSERT(count <= GR_GATHER_PARTS);
    GR_TRY(gri_courier_start());
    memcpy(x->parts, parts, (size_t)count * sizeof *parts);
    x->part_count = count;
    x->few = few;
    atomic_store(&x->there, 0);
    x->errand.run = run_parts;
    x->errand.data = x;
    gri_courier_send(&x->errand);
done:
    return err;
}

typedef struct place {
    gr_gather *gather;
    int64_t end;
} place;

static bool is_there(const void *data)
{
    const place *p = data;
    return atomic_load_explicit(&p->gather->there, memory_order_acquire) >= p->end;
}

void gr_gather_wait(gr_gather *x, int64_t end)
{
    const place p = {x, end};
    gri_courier_wait_until(&x->errand, is_there, &p);
}

gr_err gr_gather_finish(gr_gather *x)
{
    return gri_courier_wait(&x->errand);
}
