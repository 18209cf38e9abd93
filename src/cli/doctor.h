#ifndef SRC_CLI_DOCTOR_H
#define SRC_CLI_DOCTOR_H

/// The report of `gradus doctor`: one line per check, and the groups of checks.

#include "mpi/world.h"
#include "src/base/json.h"

typedef enum gri_verdict { GRI_OK, GRI_WARN, GRI_FAIL, GRI_VERDICTS } gri_verdict;

/// What was found so far; rank 0 speaks.
typedef struct gri_report {
    bool json, speaks;
    gr_json j; ///< the list of checks, when `json`
    int counts[GRI_VERDICTS];
    gr_err err;       ///< code of the first GRI_FAIL
    gr_str failed;    ///< names of the checks that failed
    bool no_products; ///< not even one can be computed here
} gri_report;

/// Adds one check: a short name, and what was found and, unless all is well, what to do. `code` counts for GRI_FAIL: the
/// error that the command ends with.
GR_MUST_CHECK gr_err gri_report_add(gri_report *r, gri_verdict verdict, gr_err code,
                                    const char *check, const char *fmt, ...) GR_PRINTF(5, 6);

/// Processor, cores, threads, memory, huge pages, open files, disk.
GR_MUST_CHECK gr_err gri_doctor_machine(gri_report *r, const gr_world *world);
/// MPI and its launch (world is NULL when it did not start: `world_err`, with its message in this thread).
GR_MUST_CHECK gr_err gri_doctor_mpi(gri_report *r, const gr_world *world, gr_err world_err);
/// BLAS kernels and their rate, libraries with versions, and what could be built in and was not.
GR_MUST_CHECK gr_err gri_doctor_libraries(gri_report *r, const gr_world *world);
/// The mathematics (known.h of each room, src/eval/selftest.h). Collective when there is a world.
GR_MUST_CHECK gr_err gri_doctor_mathematics(gri_report *r, const gr_world *world);

#endif
