#ifndef MPI_COURIER_H
#define MPI_COURIER_H

/// Private to the room: a thread of this process that carries messages while the main thread computes, one errand after another in
/// the order in which they were sent. Only one thread is ever inside MPI (MPI_THREAD_SERIALIZED): as long as an errand is under
/// way the main thread's calls wait for it (gri_mpi_enter). All ranks must send the same errands in the same order between the same calls.

#include "src/base/err.h"

#include <stdbool.h>

typedef gr_err gri_errand_run(void *data);

/// Owned by the sender, zeroed at first; it must stay where it is until gri_courier_wait.
typedef struct gri_errand {
    gri_errand_run *run;
    void *data;
    bool sent; ///< and not yet waited for
    bool done;
    gr_err err;
    char *message; ///< of err; owned
} gri_errand;

enum { GRI_ERRANDS = 4 }; ///< at most under way

/// Starts the thread, once; it lives until gri_courier_stop.
GR_MUST_CHECK gr_err gri_courier_start(void);
/// When no errand is under way.
void gri_courier_stop(void);

/// Takes no memory and never waits. The thread has been started.
void gri_courier_send(gri_errand *errand);
/// Waits for the errand; its error is this thread's then. GR_OK if it was not sent.
GR_MUST_CHECK gr_err gri_courier_wait(gri_errand *errand);
/// Waits for the errand and leaves this thread's error as it is: for what is torn down.
void gri_courier_forget(gri_errand *errand);
/// Waits until `reached` says so, which is asked again whenever the courier told of progress and when the errand is done.
void gri_courier_wait_until(const gri_errand *errand, bool (*reached)(const void *data),
                            const void *data);

/// Around each of the main thread's calls of MPI; nothing in the courier's own.
void gri_mpi_enter(void);
void gri_mpi_leave(void);

/// For errands: whether this is the courier's thread; between two looks at messages under way; something has moved on.
bool gri_courier_is_me(void);
void gri_courier_rest(void);
void gri_courier_tell(void);

#endif
