#ifndef STAGES_DIGEST_FILE_H
#define STAGES_DIGEST_FILE_H

/// Reading RUN/digests.jsonl (step_digest.h), record by record, in constant memory. Inside this room.

#include "src/base/doc.h"

#include <stdio.h>

typedef struct gri_digest_file {
    char *path;
    FILE *stream;
    char *text; ///< of the line
    size_t capacity;
    int64_t line;   ///< its number
    gr_doc *head;   ///< the first line: what the run is made of
    gr_doc *record; ///< the record read last; NULL behind the end
    int64_t update; ///< its update
} gri_digest_file;

/// Opens the file of a run and reads its first line. GR_ERR_MISSING: it has none; a damaged line is GR_ERR_DATA. Close it in any case.
GR_MUST_CHECK gr_err gri_digest_file_open(const char *run, gri_digest_file *out);
/// The next record. A last line without its newline is being written and counts as the end.
GR_MUST_CHECK gr_err gri_digest_file_next(gri_digest_file *file);
/// May be called on a zeroed struct and twice.
void gri_digest_file_close(gri_digest_file *file);

#endif
