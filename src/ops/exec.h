#ifndef SRC_OPS_EXEC_H
#define SRC_OPS_EXEC_H

/// Where and how an operation runs: the device's table, its threads and its scratch memory.

#include "src/base/cpu.h"
#include "src/tensor/arena.h"

typedef struct gr_ops gr_ops;
struct gr_rows;
struct gr_tally;

/// What matrix products read, and may be stored between them. Sums, norms, softmax, loss and master weights are fp32.
typedef enum gr_precision {
    GR_PRECISION_FP32,
    GR_PRECISION_BF16, ///< both factors rounded to bf16, sums in fp32 (oneDNN)
} gr_precision;
/// "fp32", "bf16".
const char *gr_precision_name(gr_precision precision);

typedef struct gr_exec {
    const gr_ops *ops;          ///< the device's operations (ops.h)
    int threads;                ///< OpenMP threads; changes the speed, never the bits
    const struct gr_rows *rows; ///< vectors of this processor (rows.h); never change the bits
    gr_precision precision;     ///< of products
    gr_arena *scratch; ///< activations and work space; operations give back what they take
    bool counts;       ///< operations take their scratch, and compute nothing
    struct gr_tally *
        tally; ///< adds up what operations are asked for (tally.h); borrowed; NULL: nobody does
} gr_exec;

/// A CPU context with its own arena of `arena_bytes` (0: as much as the machine has). Makes the BLAS
/// single-threaded: threads of ours call it, each on its own tile. Vectors: gr_cpu_vectors. GR_ERR_MEMORY where a limit of
/// addresses has no room for the buffers of the BLAS.
GR_MUST_CHECK gr_err gr_exec_create_cpu(int threads, int64_t arena_bytes, gr_exec **out);
/// A context in which the same code runs and nothing is computed: operations take and give back the scratch memory that they would, and
/// look at none of it. So a pass tells how much memory it needs, and its tally how much work it is, without that memory and in no time. What
/// lists and places depend on (ids, targets, lengths) is read as ever. Models made in it have addresses for weights (gr_arena_addresses).
/// Any precision will do: nothing runs.
GR_MUST_CHECK gr_err gr_exec_create_counting(int threads, gr_precision precision,
                                             gr_exec **out);
void gr_exec_destroy(gr_exec **ex);

/// Products from now on. bf16 where it cannot run (no oneDNN in this build, no AVX512_BF16 in the processor) is
/// GR_ERR_UNAVAILABLE.
GR_MUST_CHECK gr_err gr_exec_set_precision(gr_exec *ex, gr_precision precision);
/// Version of oneDNN, "2.6.3"; NULL when this build has none. Static text.
const char *gr_onednn_version(void);

/// Kernel set that OpenBLAS runs ("Haswell", "Zen", "SkylakeX"); static text.
const char *gr_blas_kernel(void);
/// The OPENBLAS_CORETYPE that this processor wants and OpenBLAS did not choose, or NULL when all is
/// well or the user set the variable. The library reads it when it loads, so the program must
/// start itself again with it (src/cli/main.c).
const char *gr_blas_better_kernel(void);

#endif
