#ifndef DATASETS_SOURCE_H
#define DATASETS_SOURCE_H

/// What an import reads: files, each a sequence of records that is walked from its beginning. Walking is cheap, reading a
/// record (its pictures are encoded) is not: each process walks and reads its share. Private to datasets/.

#include "datasets/record.h"

typedef struct gri_source_file {
    char *path;
    char *images; ///< folder of its pictures; NULL: its own
    char *task;   ///< of records that name none; NULL: ""
} gri_source_file;

typedef struct gri_source {
    gri_source_file *files; ///< [count], in their order
    int64_t count, capacity;
} gri_source;

/// Finds the files behind options->source. A folder of images that is named but not there is GR_ERR_MISSING.
GR_MUST_CHECK gr_err gri_source_find(const gr_import_options *options, gri_source *out);
GR_MUST_CHECK gr_err gri_source_add(gri_source *source, const char *path, const char *images,
                                    const char *task);
void gri_source_fini(gri_source *source);

/// Where a record stands in its file: {"line", 12}, {"index", 11}, {"record", 11}.
typedef struct gri_place {
    const char *unit;
    int64_t number;
} gri_place;

/// A walk over the records of one file: the first member of each form's own reader.
typedef struct gri_reader gri_reader;
struct gri_reader {
    const gri_source_file *file;
    const gr_import_options *options;
    gri_place place;    ///< of the current record
    const char *notice; ///< what whoever imports the file should know; NULL: nothing
    /// Goes to the next record. *there: there is one. `wanted`: it will be read. Errors are the file's: truncated, another format.
    gr_err (*next)(gri_reader *self, bool wanted, bool *there);
    /// Reads the current record; may be called once, if it was wanted. `out` must hold nothing; its source is set if it has one
    /// even when the record is bad.
    gr_err (*read)(gri_reader *self, gri_record *out);
    void (*destroy)(gri_reader *self);
};

GR_MUST_CHECK gr_err gri_reader_open(const gri_source_file *file,
                                     const gr_import_options *options, gri_reader **out);
void gri_reader_close(gri_reader **reader);

GR_MUST_CHECK gr_err gri_llava_open(const gri_source_file *file,
                                    const gr_import_options *options, gri_reader **out);
GR_MUST_CHECK gr_err gri_tar_open(const gri_source_file *file, const gr_import_options *options,
                                  gri_reader **out);
GR_MUST_CHECK gr_err gri_tsv_open(const gri_source_file *file, const gr_import_options *options,
                                  gri_reader **out);

/// Line and column (both from 1) of `at` in a text, for messages.
void gri_position(const char *text, const char *at, long long *line, long long *column);
/// Whether `text` ends in `end`, whatever the case of its letters.
bool gri_ends_in(const char *text, const char *end);

#endif
