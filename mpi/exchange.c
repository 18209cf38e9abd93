#include "mpi/exchange.h"

#include "mpi/lanes.h"
#include "mpi/messages.h"
#include "mpi/ranges.h"
#include "mpi/requests.h"
#include "mpi/tree.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"

#include <string.h>

enum { TAG_NODE = 11 };

/// All receive buffers of a round together hold at most this many elements (64 MiB).
static const int64_t most_received = INT64_C(1) << 24;

/// values[left] += values[right].
typedef struct addition {
    int left, right;
} addition;

/// One round on its way. Slot numbers are rounds modulo depth.
typedef struct slot {
    float *received; ///< the other ranks' nodes, [nodes - own][piece]
    gri_requests requests;
} slot;

struct gri_exchange {
    const gr_world *world;
    gr_owned owned;
    int64_t piece, rounds;
    int64_t a_stripe; ///< rounds
    int depth;
    int nodes, own_first,
        own;             ///< of all ranks, in order; ours are [own_first, own_first + own)
    int *rank_of_node;   ///< [nodes]
    addition *additions; ///< [nodes - 1]; the sum ends in node 0
    float **values;      ///< [nodes], while a piece is added
    slot slots[GR_MESSAGES_DEEPEST];
};

void gri_add(float *restrict left, const float *restrict right, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        left[i] = left[i] + right[i];
    }
}

static int64_t stripe_of(const gri_exchange *x, int64_t round)
{
    return (x->rounds - 1 - round) / x->a_stripe;
}

/// What round `round` carries of a rank's run: returns how many elements, from *start on.
static int64_t piece_of(const gri_exchange *x, int rank, int64_t round, int64_t *start)
{
    gr_owned owned = gr_owned_by(&x->owned, rank);
    gr_range run = gr_owned_run(&owned, stripe_of(x, round));
    *start = run.begin + round % x->a_stripe * x->piece;
    int64_t left = run.end - *start;
    return left <= 0 ? 0 : left < x->piece ? left : x->piece;
}

/// Nodes of the ranks [first, end).
static int count_nodes(const gr_world *world, int64_t lanes, int first, int end)
{
    int nodes = 0;
    for (int rank = first; rank < end; rank++) {
        int64_t lane = 0, count = 0;
        gri_counter counter;
        gr_lanes_of_rank(lanes, rank, world->size, &lane, &count);
        (void)gri_counter_run(&counter, lanes, lane, count);
        nodes += counter.count;
    }
    return nodes;
}

/// Which rank holds which node, and the additions that join all nodes to the root.
static void plan(gri_exchange *x, int64_t lanes)
{
    gri_counter owner;
    int held[GRI_TREE_NODES]; // the nodes whose values the owner's counter holds
    int node = 0, additions = 0;
    gri_counter_init(&owner, lanes);
    for (int rank = 0; rank < x->world->size; rank++) {
        int64_t first = 0, count = 0;
        gri_counter run;
        gr_lanes_of_rank(lanes, rank, x->world->size, &first, &count);
        (void)gri_counter_run(&run, lanes, first, count);
        if (rank == x->world->rank) {
            x->own_first = node;
            x->own = run.count;
        }
        for (int i = 0; i < run.count; i++) {
            x->rank_of_node[node] = rank;
            held[owner.count] = node++;
            int last = owner.count;
            for (int adds = gri_counter_push(&owner, run.node[i]); adds > 0; adds--, last--) {
                x->additions[additions++] = (addition){held[last - 1], held[last]};
            }
        }
    }
    GR_ASSERT(owner.count == 1 && additions == x->nodes - 1);
}

/// Rounds, and how long their pieces are.
static void set_rounds(gri_exchange *x)
{
    gr_messages messages = gr_messages_of(x->world);
    int64_t longest = gr_owned_longest(&x->owned);
    int64_t most = most_received / x->nodes > 1 ? most_received / x->nodes : 1;
    x->depth = messages.depth;
    x->piece = messages.piece < most ? messages.piece : most;
    x->piece = x->piece < longest ? x->piece : longest;
    x->piece = x->piece > 1 ? x->piece : 1;
    x->a_stripe = (longest + x->piece - 1) / x->piece;
    x->rounds = gr_owned_stripes(&x->owned) * x->a_stripe;
}

static gr_err take_slots(gri_exchange *x)
{
    gr_err err = GR_OK;
    int others = x->nodes - x->own;
    int requests = others + x->own * (x->world->size - 1);
    for (int i = 0; i < x->depth; i++) {
        GR_ALLOC(x->slots[i].received, others * x->piece);
        GR_TRY(gri_requests_init(x->world, requests, &x->slots[i].requests));
    }
done:
    return err;
}

gr_err gri_exchange_create(const gr_world *world, int64_t lanes, int64_t n, gri_exchange **out)
{
    gr_err err = GR_OK;
    gri_exchange *x = NULL;
    GR_ALLOC(x, 1);
    *x = (gri_exchange){.world = world,
                        .owned = gr_owned_of(n, world->rank, world->size),
                        .nodes = count_nodes(world, lanes, 0, world->size)};
    GR_ALLOC(x->rank_of_node, x->nodes);
    GR_ALLOC(x->additions, x->nodes);
    GR_ALLOC(x->values, x->nodes);
    plan(x, lanes);
    set_rounds(x);
    GR_TRY(take_slots(x));
    *out = x;
    x = NULL;
done:
    gri_exchange_destroy(&x);
    return err;
}

gr_cost gri_exchange_cost(const gr_world *world, int64_t lanes, int64_t n)
{
    gri_exchange x = {.world = world,
                      .owned = gr_owned_of(n, world->rank, world->size),
                      .nodes = count_nodes(world, lanes, 0, world->size),
                      .own = count_nodes(world, lanes, world->rank, world->rank + 1)};
    set_rounds(&x);
    return (gr_cost){.memory = x.depth * (x.nodes - x.own) * x.piece * (int64_t)sizeof(float),
                     .sent = x.own * (n - gr_owned_count(&x.owned)) * (int64_t)sizeof(float)};
}

void gri_exchange_destroy(gri_exchange **exchange)
{
    gri_exchange *x = *exchange;
    if (!x) {
        return;
    }
    for (int i = 0; i < x->depth; i++) {
        GR_FREE(x->slots[i].received);
        gri_requests_fini(&x->slots[i].requests);
    }
    GR_FREE(x->values);
    GR_FREE(x->additions);
    GR_FREE(x->rank_of_node);
    GR_FREE(*exchange);
}

/// Where the owner finds this node's piece that begins at element `start`.
static float *value_of(gri_exchange *x, slot *s, float *const *nodes, int node, int64_t start)
{
    if (node < x->own_first) {
        return s->received + node * x->piece;
    }
    if (node < x->own_first + x->own) {
        return nodes[node - x->own_first] + start;
    }
    return s->received + (node - x->own) * x->piece;
}

static gr_err post_nodes(gri_exchange *x, slot *s, float *const *nodes, int64_t round)
{
    gr_err err = GR_OK;
    int64_t start = 0;
    int64_t count = piece_of(x, x->world->rank, round, &start);
    for (int node = 0; node < x->nodes && count > 0; node++) {
        if (x->rank_of_node[node] != x->world->rank) {
            GR_TRY(gri_requests_receive(&s->requests, value_of(x, s, nodes, node, start), count,
                                        MPI_FLOAT, x->rank_of_node[node], TAG_NODE));
        }
    }
    for (int step = 1; step < x->world->size; step++) {
        int owner = (x->world->rank + step) % x->world->size;
        count = piece_of(x, owner, round, &start);
        for (int i = 0; i < x->own && count > 0; i++) {
            GR_TRY(gri_requests_send(&s->requests, nodes[i] + start, count, MPI_FLOAT, owner,
                                     TAG_NODE));
        }
    }
done:
    return err;
}

static gr_err add_nodes(gri_exchange *x, slot *s, float *const *nodes, int64_t round)
{
    gr_err err = GR_OK;
    GR_TRY(gri_requests_wait(&s->requests));
    int64_t start = 0;
    int64_t count = piece_of(x, x->world->rank, round, &start);
    for (int node = 0; node < x->nodes && count > 0; node++) {
        x->values[node] = value_of(x, s, nodes, node, start);
    }
    for (int i = 0; i < x->nodes - 1 && count > 0; i++) {
        gri_add(x->values[x->additions[i].left], x->values[x->additions[i].right], count);
    }
    if (count > 0 && x->values[0] != nodes[0] + start) {
        memcpy(nodes[0] + start, x->values[0], (size_t)count * sizeof(float));
    }
done:
    return err;
}

/// Until the round's values are there, the messages under way are moved on.
static gr_err wait_ready(gri_exchange *x, int64_t round, gri_is_ready *ready, void *data)
{
    gr_err err = GR_OK;
    gr_range stripe = gr_owned_stripe(&x->owned, stripe_of(x, round));
    while (round % x->a_stripe == 0 && !ready(data, stripe)) {
        for (int i = 0; i < x->depth; i++) {
            bool done = false;
            GR_TRY(gri_requests_test(&x->slots[i].requests, &done));
        }
        gri_courier_rest();
    }
done:
    return err;
}

gr_err gri_exchange_run(gri_exchange *x, float *const *nodes, gri_is_ready *ready, void *data)
{
    gr_err err = GR_OK;
    for (int64_t round = 0; round < x->rounds + x->depth; round++) {
        slot *s = &x->slots[round % x->depth];
        if (round >= x->depth) {
            GR_TRY(add_nodes(x, s, nodes, round - x->depth));
            gr_failpoint(GR_AT_REDUCE_ADDED);
        }
        if (round < x->rounds) {
            GR_TRY(wait_ready(x, round, ready, data));
            GR_TRY(post_nodes(x, s, nodes, round));
            gr_failpoint(GR_AT_REDUCE_POSTED);
        }
    }
done:
    return err;
}
