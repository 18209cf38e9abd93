#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/session.h"
#include "src/eval/bench_reduce.h"

#include <stdio.h>

static void print_reduce(const gr_bench_reduce *b, const gr_world *world)
{
    const double ms = 1e3;
    printf("vector    %.1f MiB of fp32, %d ranks%s, messages of %lld KiB, %d round%s of them "
           "under way\n",
           (double)b->elements * 4 / (1 << 20), world->size,
           world->local_size == world->size ? " on one node" : "",
           (long long)(b->messages.piece * 4 / 1024), b->messages.depth,
           b->messages.depth == 1 ? "" : "s");
    printf("reduce-scatter  %9.2f ms   MPI_Reduce_scatter_block %9.2f ms   %5.2f times\n",
           b->reduce_scatter * ms, b->mpi_reduce_scatter * ms, b->scatter_ratio);
    printf("and gather      %9.2f ms   MPI_Allreduce            %9.2f ms   %5.2f times\n",
           (b->reduce_scatter + b->gather) * ms, b->mpi_all * ms, b->all_ratio);
}

static gr_err reduce_json(const gr_bench_reduce *b, const gr_world *world)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "ranks", world->size);
    gr_json_int(&j, "ranks_of_node", world->local_size);
    gr_json_int(&j, "elements", b->elements);
    gr_json_int(&j, "piece_elements", b->messages.piece);
    gr_json_int(&j, "depth", b->messages.depth);
    gr_json_real(&j, "reduce_scatter_seconds", b->reduce_scatter);
    gr_json_real(&j, "gather_seconds", b->gather);
    gr_json_real(&j, "mpi_reduce_scatter_block_seconds", b->mpi_reduce_scatter);
    gr_json_real(&j, "mpi_allreduce_seconds", b->mpi_all);
    gr_json_real(&j, "reduce_scatter_ratio", b->scatter_ratio);
    gr_json_real(&j, "reduce_scatter_gather_ratio", b->all_ratio);
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_json_fini(&j);
    return err;
}

/// Of one rank nothing is added and nothing sent; a time would be that of nothing.
static gr_err check_ranks(const gr_world *world)
{
    gr_err err = GR_OK;
    if (world->size == 1) {
        GR_FAIL(GR_ERR_USAGE, "bench reduce: one rank has nothing to add up: start several, "
                              "mpirun -n P gradus bench reduce");
    }
done:
    return err;
}

static gr_err on_ranks(const gr_bench_reduce_options *options, bool json)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    gr_bench_reduce result = {0};
    GR_TRY(gr_world_create(&world));
    err = gr_world_alike(world, check_ranks(world));
    err = err ? err : gr_bench_reduce_run(world, options, &result);
    if (err == GR_OK && world->rank == 0) {
        if (json) {
            err = reduce_json(&result, world);
        } else {
            print_reduce(&result, world);
        }
    }
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_bench_reduce(int argc, char **argv)
{
    gr_err err = GR_OK;
    gr_bench_reduce_options options = {.rounds = 9};
    int64_t mib = 100, piece = 0, depth = 0;
    bool json = false, help = false;
    const gri_arg args[] = {
        GRI_INT("mib", "N", &mib, 1, 8191, "MiB of one vector of fp32 (default: 100)"),
        GRI_INT("piece", "KIB", &piece, 1, 1 << 20,
                "KiB of one message at most (default: as the transport wants it)"),
        GRI_INT("depth", "N", &depth, 1, GR_MESSAGES_DEEPEST,
                "rounds of messages under way (default: as the transport wants it)"),
        GRI_INT("rounds", "N", &options.rounds, 1, 1000, "rounds that count (default: 9)"),
        GRI_FLAG("json", &json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "bench reduce",
        "Times the sum of one vector a rank, in the fixed order that makes a run's bits the same on any number of "
        "ranks, in turns with the MPI library's own sums: mpirun -n P gradus bench reduce. Prints medians and the "
        "library's time over ours.",
        args, argc, argv, &help));
    if (help) {
        goto done;
    }
    options.elements = mib * (1 << 18);
    options.messages = (gr_messages){.piece = piece * 256, .depth = (int)depth};
    GR_TRY(on_ranks(&options, json));
done:
    return err;
}
