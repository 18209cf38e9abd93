#ifndef SRC_CLI_COMMAND_H
#define SRC_CLI_COMMAND_H

/// The commands: each reads its arguments (argv after the command's own words), calls the rooms
/// below and prints its result on standard output. main.c has the table, prints errors and turns them
/// into exit codes.

#include "src/base/err.h"

typedef gr_err gri_command_fn(int argc, char **argv);

typedef struct gri_command {
    const char *name;    ///< one or two words
    const char *summary; ///< one line
    gri_command_fn *run;
    bool computes; ///< with threads and matrix products: worth a second start (start.h)
} gri_command;

GR_MUST_CHECK gri_command_fn gri_doctor;
GR_MUST_CHECK gri_command_fn gri_model_init, gri_model_info, gri_model_export;
GR_MUST_CHECK gri_command_fn gri_data_import, gri_data_synth, gri_data_info, gri_data_verify;
GR_MUST_CHECK gri_command_fn gri_data_show, gri_data_check;
GR_MUST_CHECK gri_command_fn gri_tokenizer_train, gri_tokenizer_encode, gri_tokenizer_decode;
GR_MUST_CHECK gri_command_fn gri_debug_step, gri_debug_pictures;
GR_MUST_CHECK gri_command_fn gri_generate, gri_eval;
GR_MUST_CHECK gri_command_fn gri_bench_checkpoint, gri_bench_data, gri_bench_matmul,
    gri_bench_reduce, gri_bench_step;
GR_MUST_CHECK gri_command_fn gri_plan, gri_train, gri_verify, gri_diff, gri_report_runs;

#endif
