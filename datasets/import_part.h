#ifndef DATASETS_IMPORT_PART_H
#define DATASETS_IMPORT_PART_H

/// What an import keeps of a unit (a run of records) until shards are cut: unit-NNNNNNNN.bytes, the samples' images and texts end to end,
/// and unit-NNNNNNNN.index, a line of JSON with the unit's number and one for each record, good or bad. The index comes last, whole, so a unit that has one is done
/// and survives a kill. Neither is synced (that took longer than encoding texts), so after a crash of the machine a part may be short or
/// full of zeros: whoever goes on with parts checks them, and they are synced, all at once, before they are final.
/// Private to datasets/.

#include "datasets/source.h"

typedef struct gri_part_writer {
    char *index_path, *bytes_path; ///< owned
    int fd;                        ///< of the bytes
    int64_t size;
    gr_json index;
} gri_part_writer;
GR_MUST_CHECK gr_err gri_part_create(const char *work, int64_t unit, gri_part_writer *out);
GR_MUST_CHECK gr_err gri_part_add(gri_part_writer *part, const gr_sample *sample);
/// A bad record with this thread's error message as the reason. `file` is its file's name, NULL when the source is one file;
/// `id` may be NULL.
GR_MUST_CHECK gr_err gri_part_reject(gri_part_writer *part, const char *file, gri_place where,
                                     const char *id);
GR_MUST_CHECK gr_err gri_part_finish(gri_part_writer *part);
/// What is not finished is no part. Accepts a zeroed writer.
void gri_part_abandon(gri_part_writer *part);

bool gri_part_done(const char *work, int64_t unit);
/// Reads an earlier run's unit of `records` records and all its bytes: GR_ERR_IO when they are not what was written. `bad`: whether a
/// record is.
GR_MUST_CHECK gr_err gri_part_check(const char *work, int64_t unit, int64_t records, bool *bad);
/// Takes the unit back.
void gri_part_remove(const char *work, int64_t unit);
/// Gives back the space of a unit's bytes; the index stays.
void gri_part_drop_bytes(const char *work, int64_t unit);

/// A record of a part. All is borrowed until the next one.
typedef struct gri_part_item {
    const char *reason; ///< why it is bad; NULL: a sample
    const char *line;   ///< [line_size] its line in the index, with the newline
    size_t line_size;
    const char *source; ///< NULL: unknown
    const char *unit;   ///< of a bad record: where it stands
    int64_t number;
    gr_sample sample; ///< its pointers to bytes are filled by gri_part_bytes
    int64_t bytes;    ///< of images and text
} gri_part_item;

typedef struct gri_part_reader {
    char *index, *bytes_path;
    const char *at, *end;
    int64_t offset; ///< of the next sample's bytes
    int fd;         ///< -1: not open yet
    gr_doc *doc;
    char *block; ///< bytes of the current sample
    const unsigned char **image;
    size_t *image_size;
    int32_t (*pixels)[2];
} gri_part_reader;
GR_MUST_CHECK gr_err gri_part_open(const char *work, int64_t unit, gri_part_reader *out);
GR_MUST_CHECK gr_err gri_part_next(gri_part_reader *part, gri_part_item *out, bool *there);
/// Reads and checks the bytes of the current sample.
GR_MUST_CHECK gr_err gri_part_bytes(gri_part_reader *part, gri_part_item *item);
void gri_part_close(gri_part_reader *part);

#endif
