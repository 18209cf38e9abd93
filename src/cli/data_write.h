#ifndef SRC_CLI_DATA_WRITE_H
#define SRC_CLI_DATA_WRITE_H

/// What the commands that make data sets do alike: alone or under mpirun, tokenizers that count, the result's lines.

#include "datasets/import.h"
#include "src/cli/args.h"

/// Makes the data set; collective in the team.
typedef gr_err gri_data_writer(void *self, const gr_tokenizer *const *tokenizers, int64_t count,
                               const gr_import_team *team, gr_import_result *result);
/// Runs it on all ranks (alone, MPI is not started) with the tokenizers of these folders, and prints what came out. `out` is the
/// data set's folder.
GR_MUST_CHECK gr_err gri_data_write(gri_data_writer *write, void *self,
                                    const gri_list *tokenizers, const char *out);

/// What --encode says: "keep" (only where `keep` is not NULL), "lossless" (quality -1) or a quality from 0 to 100.
GR_MUST_CHECK gr_err gri_data_encode(const char *command, const char *text, bool *keep,
                                     double *quality);

#endif
