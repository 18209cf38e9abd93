/// Ways in which a run ends badly, for ends.sh: `ends MODE`. All ranks but the last wait for it.

#include "mpi/world.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    gr_world *world = NULL;
    gr_err err = gr_world_create(&world);
    if (err != GR_OK) {
        fprintf(stderr, "%s\n", gr_err_message());
        return gr_err_exit_code(err);
    }
    bool last = world->rank == world->size - 1;
    if (last && strcmp(mode, "assertion") == 0) {
        GR_ASSERT(world->size < 0);
    }
    if (last && strcmp(mode, "failure") == 0) {
        gr_world_destroy(&world, gr_err_exit_code(GR_ERR_DATA));
    }
    err = gr_world_barrier(world);
    gr_world_destroy(&world, 0);
    return gr_err_exit_code(err);
}
