#include "mpi/world.h"

#include "mpi/cores.h"
#include "mpi/internal.h"
#include "mpi/leaks.h"
#include "mpi/messages.h"
#include "mpi/watchdog.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERDICT_TEXT = 4096 };

/// What the lowest failing rank tells the others.
typedef struct verdict {
    int code;
    char host[256];
    char text[VERDICT_TEXT];
} verdict;

typedef struct world_inside {
    MPI_Comm comm;
    bool error_known; ///< the error on its way out is one that all ranks have
} world_inside;

typedef struct world_storage {
    gr_world world;
    world_inside inside;
} world_storage;

gr_world gr_world_imagined(int rank, int size, int local_size)
{
    return (gr_world){.rank = rank, .size = size, .local_size = local_size, .cores = 1};
}

MPI_Comm gri_comm(const gr_world *world)
{
    return ((const world_inside *)world->inside)->comm;
}

gr_err gr_world_alike(const gr_world *world, gr_err err)
{
    ((world_inside *)world->inside)->error_known = err != GR_OK;
    return err;
}

bool gr_world_knows_error(const gr_world *world)
{
    return world->size == 1 || ((const world_inside *)world->inside)->error_known;
}

gr_err gri_mpi_error(int code, const char *call, const char *file, int line, const char *func)
{
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    (void)MPI_Error_string(code, text, &length);
    return gr_err_set(GR_ERR_UNAVAILABLE, file, line, func, "%s failed: %s", call, text);
}

/// Ends every rank; a process alone is left to abort().
static void abort_all(void)
{
    int size = 1;
    (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
    gr_watchdog_stop(gr_err_exit_code(GR_ERR_FAILED));
    if (size > 1) {
        MPI_Abort(MPI_COMM_WORLD, gr_err_exit_code(GR_ERR_FAILED));
    }
}

/// What Open MPI is told where the user says nothing; other libraries do not read it.
static const struct setting {
    const char *name, *value;
} settings[] = {
    // Started without a launcher, it would start a daemon beside the process just in case it spawns others. It never
    // does; without the daemon the start takes half the time.
    {"OMPI_MCA_ess_singleton_isolated", "1"},
    // A message that is longer asks the receiver first. Ours always finds a receive posted: without the question a
    // gigabit link is 95 % full, with it 55 to 70 (docs/measurements.md).
    {"OMPI_MCA_btl_tcp_eager_limit", "1048576"},
};
enum { OURS = sizeof settings / sizeof *settings };

static gr_err start_mpi(void)
{
    gr_err err = GR_OK;
    bool ours[OURS];
    for (int i = 0; i < OURS; i++) {
        ours[i] = !getenv(settings[i].name);
        if (ours[i]) {
            (void)setenv(settings[i].name, settings[i].value, 1);
        }
    }
    int provided = 0, size = 0;
    gri_leaks_pause();
    GRI_MPI(MPI_Init_thread, NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    gri_leaks_resume();
    if (provided < MPI_THREAD_SERIALIZED) {
        GR_FAIL(GR_ERR_UNAVAILABLE,
                "the MPI library gives thread level %d, MPI_THREAD_SERIALIZED (%d) is needed",
                provided, MPI_THREAD_SERIALIZED);
    }
    GRI_MPI(MPI_Comm_size, MPI_COMM_WORLD, &size);
    GR_TRY(gri_guard_launch(size));
done:
    if (err != GR_OK && size == 1) {
        gri_leaks_check();
        MPI_Finalize();
    }
    for (int i = 0; i < OURS; i++) {
        if (ours[i]) {
            (void)unsetenv(settings[i].name); // mpirun as a child of ours must not inherit it
        }
    }
    return err;
}

/// The masks of all ranks of the node, and what they leave for this one. Collective over the node.
static gr_err share_cores(MPI_Comm node, int rank, int ranks, int *cores)
{
    gr_err err = GR_OK;
    gri_core_mask mine, *all = NULL;
    int known = gr_cpu_mask(mine.words), everywhere = 0;
    GR_ALLOC(all, ranks);
    GRI_MPI(MPI_Allgather, &mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine, MPI_BYTE,
            node);
    GRI_MPI(MPI_Allreduce, &known, &everywhere, 1, MPI_INT, MPI_MIN, node);
    int whole =
        gr_cpu_get()->cores / ranks; // a machine with more cores than masks are looked at
    *cores = everywhere ? gri_cores_share(all, ranks, rank) : whole < 1 ? 1 : whole;
done:
    GR_FREE(all);
    return err;
}

/// Ranks on this node and the cores of this one.
static gr_err look_at_node(gr_world *world)
{
    gr_err err = GR_OK;
    int rank = 0;
    MPI_Comm node = MPI_COMM_NULL;
    GRI_MPI(MPI_Comm_split_type, gri_comm(world), MPI_COMM_TYPE_SHARED, world->rank,
            MPI_INFO_NULL, &node);
    GRI_MPI(MPI_Comm_size, node, &world->local_size);
    GRI_MPI(MPI_Comm_rank, node, &rank);
    GR_TRY(share_cores(node, rank, world->local_size, &world->cores));
done:
    if (node != MPI_COMM_NULL) {
        (void)MPI_Comm_free(&node);
    }
    return err;
}

gr_err gr_world_create(gr_world **out)
{
    gr_err err = GR_OK;
    world_storage *storage = NULL;
    GR_ALLOC(storage, 1);
    storage->inside.comm = MPI_COMM_NULL;
    gr_world *world = &storage->world;
    world->inside = &storage->inside;
    GR_TRY(start_mpi());
    GRI_MPI(MPI_Comm_dup, MPI_COMM_WORLD, &storage->inside.comm);
    GRI_MPI(MPI_Comm_set_errhandler, storage->inside.comm, MPI_ERRORS_RETURN);
    GRI_MPI(MPI_Comm_size, storage->inside.comm, &world->size);
    GRI_MPI(MPI_Comm_rank, storage->inside.comm, &world->rank);
    GR_TRY(look_at_node(world));
    gr_log_set_rank(world->rank, world->size);
    gr_abort_set_hook(abort_all);
    *out = world;
    storage = NULL;
done:
    gr_mem_free(storage);
    return err;
}

void gr_world_destroy(gr_world **world, int exit_code_if_failed)
{
    if (!*world) {
        return;
    }
    fflush(NULL);
    gr_watchdog_stop(exit_code_if_failed);
    if (exit_code_if_failed && (*world)->size > 1) {
        MPI_Abort(MPI_COMM_WORLD, exit_code_if_failed);
    }
    gr_abort_set_hook(NULL);
    gri_courier_stop();
    MPI_Comm comm = gri_comm(*world);
    MPI_Comm_free(&comm);
    gri_leaks_check();
    MPI_Finalize();
    gr_mem_free(*world); // the first member of its storage
    *world = NULL;
    if (exit_code_if_failed) {
        exit(exit_code_if_failed);
    }
}

/// Tells all ranks what went wrong on rank `lowest`.
static gr_err spread_verdict(const gr_world *world, gr_err mine, int lowest)
{
    gr_err err = GR_OK;
    verdict v = {.code = mine};
    if (world->rank == lowest) {
        (void)gethostname(v.host, sizeof v.host - 1);
        snprintf(v.text, sizeof v.text, "%s", gr_err_message());
    }
    GRI_MPI(MPI_Bcast, &v, (int)sizeof v, MPI_BYTE, lowest, gri_comm(world));
    if (world->rank == lowest) {
        gr_err_context("rank %d on %s", lowest, v.host);
        return mine; // with its own trail
    }
    GR_FAIL((gr_err)v.code, "rank %d on %s: %s", lowest, v.host, v.text);
done:
    return err;
}

gr_err gr_world_agree(const gr_world *world, gr_err mine)
{
    if (world->size == 1) {
        return mine;
    }
    gr_err err = GR_OK;
    int failing = mine == GR_OK ? INT_MAX : world->rank;
    int lowest = INT_MAX;
    GRI_MPI(MPI_Allreduce, &failing, &lowest, 1, MPI_INT, MPI_MIN, gri_comm(world));
    err = lowest == INT_MAX ? GR_OK : spread_verdict(world, mine, lowest);
    GR_TRY(gr_world_alike(world, err));
done:
    return err;
}

gr_err gr_world_broadcast(const gr_world *world, void *data, size_t size, int root)
{
    gr_err err = GR_OK;
    char *bytes = data;
    while (size > 0) {
        int64_t most = gr_messages_most();
        int now = size < (size_t)most ? (int)size : (int)most;
        GRI_MPI(MPI_Bcast, bytes, now, MPI_BYTE, root, gri_comm(world));
        bytes += now;
        size -= (size_t)now;
    }
done:
    return err;
}

gr_err gr_world_broadcast_text(const gr_world *world, char **text, int root)
{
    gr_err err = GR_OK;
    int64_t size = *text ? (int64_t)strlen(*text) + 1 : 0;
    GR_TRY(gr_world_broadcast(world, &size, sizeof size, root));
    if (world->rank != root && size > 0) {
        *text = gr_mem_alloc((size_t)size, 1);
        err = *text ? GR_OK : GR_ERR_MEMORY;
    }
    GR_TRY(gr_world_agree(world, err));
    if (size > 0) {
        GR_TRY(gr_world_broadcast(world, *text, (size_t)size, root));
    }
done:
    return err;
}

gr_err gr_world_gather(const gr_world *world, const void *mine, size_t size, void *all)
{
    gr_err err = GR_OK;
    size_t ranks = (size_t)world->size;
    if (size <= (size_t)gr_messages_most() / ranks) {
        GRI_MPI(MPI_Allgather, mine, (int)size, MPI_BYTE, all, (int)size, MPI_BYTE,
                gri_comm(world));
        goto done;
    }
    char *bytes = all;
    memcpy(bytes + (size_t)world->rank * size, mine, size);
    for (int root = 0; root < world->size; root++) {
        GR_TRY(gr_world_broadcast(world, bytes + (size_t)root * size, size, root));
    }
done:
    return err;
}

gr_err gr_world_barrier(const gr_world *world)
{
    gr_err err = GR_OK;
    GRI_MPI(MPI_Barrier, gri_comm(world));
done:
    return err;
}

gr_err gr_world_max(const gr_world *world, int64_t mine, int64_t *out)
{
    gr_err err = GR_OK;
    int64_t most = 0;
    GRI_MPI(MPI_Allreduce, &mine, &most, 1, MPI_INT64_T, MPI_MAX, gri_comm(world));
    *out = most;
done:
    return err;
}
