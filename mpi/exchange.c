#include "mpi/exchange.h"

#include "mpi/internal.h"
#include "mpi/lanes.h"
#include "mpi/tree.h"
#include "src/base/mem.h"

#include <limits.h>
#include <string.h>

enum { UNDER_WAY = 2, TAG_NODE = 11, TAG_SUM = 12 };

/// All receive buffers of a round together hold at most this many elements (64 MiB).
static const int64_t most_received = INT64_C(1) << 24;

/// values[left] += values[right].
typedef struct addition {
    int left, right;
} addition;

/// One round on its way. Slot numbers are rounds modulo UNDER_WAY.
typedef struct slot {
    float *received; ///< the other ranks' nodes, [nodes - own][piece]
    MPI_Request *requests;
    int request_count;
} slot;

struct gri_exchange {
    const gr_world *world;
    int64_t n, piece, rounds;
    int nodes, own_first,
        own;             ///< of all ranks, in order; ours are [own_first, own_first + own)
    int *rank_of_node;   ///< [nodes]
    addition *additions; ///< [nodes - 1]; the sum ends in node 0
    float **values;      ///< [nodes], while a piece is added
    slot slots[UNDER_WAY];
};

void gri_add(float *restrict left, const float *restrict right, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        left[i] = left[i] + right[i];
    }
}

/// The elements of a rank's range that round `round` carries: returns how many, from *start on.
static int piece_of(const gri_exchange *x, int rank, int64_t round, int64_t *start)
{
    // n r may overflow; n = q P + rest does not.
    int64_t q = x->n / x->world->size;
    int64_t rest = x->n % x->world->size;
    int64_t begin = q * rank + rest * rank / x->world->size;
    int64_t end = q * (rank + 1) + rest * (rank + 1) / x->world->size;
    begin += round * x->piece;
    *start = begin;
    int64_t left = end - begin;
    return left <= 0 ? 0 : (int)(left < x->piece ? left : x->piece);
}

static int count_nodes(const gr_world *world, int64_t lanes)
{
    int nodes = 0;
    for (int rank = 0; rank < world->size; rank++) {
        int64_t first = 0, count = 0;
        gri_counter counter;
        gr_lanes_of_rank(lanes, rank, world->size, &first, &count);
        (void)gri_counter_run(&counter, lanes, first, count);
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

gr_err gri_exchange_create(const gr_world *world, int64_t lanes, int64_t n, int64_t piece,
                           gri_exchange **out)
{
    gr_err err = GR_OK;
    gri_exchange *x = NULL;
    GR_ALLOC(x, 1);
    *x = (gri_exchange){.world = world, .n = n, .nodes = count_nodes(world, lanes)};
    GR_ALLOC(x->rank_of_node, x->nodes);
    GR_ALLOC(x->additions, x->nodes);
    GR_ALLOC(x->values, x->nodes);
    plan(x, lanes);

    int64_t longest = n / world->size + (n % world->size != 0);
    int64_t most = most_received / x->nodes > 1 ? most_received / x->nodes : 1;
    x->piece = piece < most ? piece : most;
    x->piece = x->piece < longest ? x->piece : longest;
    x->piece = x->piece > 1 ? x->piece : 1;
    x->rounds = (longest + x->piece - 1) / x->piece;
    int others = x->nodes - x->own;
    int requests = others + x->own * (world->size - 1);
    int gather_requests = 2 * (world->size - 1);
    for (int i = 0; i < UNDER_WAY; i++) {
        GR_ALLOC(x->slots[i].received, others * x->piece);
        GR_ALLOC(x->slots[i].requests, requests > gather_requests ? requests : gather_requests);
    }
    *out = x;
    x = NULL;
done:
    gri_exchange_destroy(&x);
    return err;
}

void gri_exchange_destroy(gri_exchange **exchange)
{
    gri_exchange *x = *exchange;
    if (!x) {
        return;
    }
    for (int i = 0; i < UNDER_WAY; i++) {
        GR_FREE(x->slots[i].received);
        GR_FREE(x->slots[i].requests);
    }
    GR_FREE(x->values);
    GR_FREE(x->additions);
    GR_FREE(x->rank_of_node);
    GR_FREE(*exchange);
}

static gr_err post_receive(gri_exchange *x, slot *s, float *to, int count, int rank, int tag)
{
    gr_err err = GR_OK;
    GRI_MPI(MPI_Irecv, to, count, MPI_FLOAT, rank, tag, gri_comm(x->world),
            &s->requests[s->request_count]);
    s->request_count++;
done:
    return err;
}

static gr_err post_send(gri_exchange *x, slot *s, const float *from, int count, int rank,
                        int tag)
{
    gr_err err = GR_OK;
    GRI_MPI(MPI_Isend, from, count, MPI_FLOAT, rank, tag, gri_comm(x->world),
            &s->requests[s->request_count]);
    s->request_count++;
done:
    return err;
}

static gr_err wait_all(slot *s)
{
    gr_err err = GR_OK;
    int count = s->request_count;
    s->request_count = 0;
    GRI_MPI(MPI_Waitall, count, s->requests, MPI_STATUSES_IGNORE);
done:
    return err;
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

/// Between two ranks messages keep their order, so a rank's nodes need no tags of their own.
static gr_err post_nodes(gri_exchange *x, slot *s, float *const *nodes, int64_t round)
{
    gr_err err = GR_OK;
    int64_t start = 0;
    int count = piece_of(x, x->world->rank, round, &start);
    for (int node = 0; node < x->nodes && count > 0; node++) {
        if (x->rank_of_node[node] != x->world->rank) {
            GR_TRY(post_receive(x, s, value_of(x, s, nodes, node, start), count,
                                x->rank_of_node[node], TAG_NODE));
        }
    }
    for (int step = 1; step < x->world->size; step++) {
        int owner = (x->world->rank + step) % x->world->size;
        count = piece_of(x, owner, round, &start);
        for (int i = 0; i < x->own && count > 0; i++) {
            GR_TRY(post_send(x, s, nodes[i] + start, count, owner, TAG_NODE));
        }
    }
done:
    return err;
}

static gr_err add_nodes(gri_exchange *x, slot *s, float *const *nodes, int64_t round)
{
    gr_err err = GR_OK;
    GR_TRY(wait_all(s));
    int64_t start = 0;
    int count = piece_of(x, x->world->rank, round, &start);
    for (int node = 0; node < x->nodes; node++) {
        x->values[node] = value_of(x, s, nodes, node, start);
    }
    for (int i = 0; i < x->nodes - 1; i++) {
        gri_add(x->values[x->additions[i].left], x->values[x->additions[i].right], count);
    }
    if (x->values[0] != nodes[0] + start) {
        memcpy(nodes[0] + start, x->values[0], (size_t)count * sizeof(float));
    }
done:
    return err;
}

static gr_err post_sums(gri_exchange *x, slot *s, float *const *nodes, int64_t round)
{
    gr_err err = GR_OK;
    int64_t own_start = 0, start = 0;
    int own_count = piece_of(x, x->world->rank, round, &own_start);
    for (int step = 1; step < x->world->size; step++) {
        int owner = (x->world->rank + step) % x->world->size;
        int count = piece_of(x, owner, round, &start);
        if (count > 0) {
            GR_TRY(post_receive(x, s, nodes[0] + start, count, owner, TAG_SUM));
        }
    }
    for (int step = 1; step < x->world->size && own_count > 0; step++) {
        int other = (x->world->rank + step) % x->world->size;
        GR_TRY(post_send(x, s, nodes[0] + own_start, own_count, other, TAG_SUM));
    }
done:
    return err;
}

gr_err gri_exchange_run(gri_exchange *x, float *const *nodes)
{
    gr_err err = GR_OK;
    for (int64_t round = 0; round < x->rounds + UNDER_WAY; round++) {
        slot *s = &x->slots[round % UNDER_WAY];
        if (round >= UNDER_WAY) {
            GR_TRY(add_nodes(x, s, nodes, round - UNDER_WAY));
        }
        if (round < x->rounds) {
            GR_TRY(post_nodes(x, s, nodes, round));
        }
    }
    // Only now, when all our nodes are sent, may sums overwrite the first of them.
    for (int64_t round = 0; round < x->rounds + UNDER_WAY; round++) {
        slot *s = &x->slots[round % UNDER_WAY];
        GR_TRY(wait_all(s));
        if (round < x->rounds) {
            GR_TRY(post_sums(x, s, nodes, round));
        }
    }
done:
    return err;
}
