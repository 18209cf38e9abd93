#ifndef DATASETS_H5_H
#define DATASETS_H5_H

/// The few things we ask of HDF5, each call under one process-wide lock (the library need not be built
/// thread-safe), with its own error printing off and its innermost message inside ours. Bad files are
/// GR_ERR_DATA when reading, GR_ERR_IO when writing. Private to datasets/.

#include "src/base/err.h"

#include <stdint.h>

/// Of the library in use.
void gri_h5_version(unsigned *major, unsigned *minor, unsigned *release);

typedef struct gri_h5 gri_h5;
typedef enum gri_h5_type { GRI_H5_U8, GRI_H5_I32, GRI_H5_U64 } gri_h5_type;

/// No file locks are taken: shards are written aside and renamed, and network file systems may lack them.
GR_MUST_CHECK gr_err gri_h5_create(const char *path, gri_h5 **out);
GR_MUST_CHECK gr_err gri_h5_open(const char *path, gri_h5 **out);
/// Closes a file that was written, reporting what the library could not write.
/// After a failed write the library keeps its descriptor until the process ends.
GR_MUST_CHECK gr_err gri_h5_finish(gri_h5 *h5);
void gri_h5_destroy(gri_h5 **h5);

/// Attributes of the root: a fixed-length string, an int32.
GR_MUST_CHECK gr_err gri_h5_put_text(gri_h5 *h5, const char *name, const char *value);
GR_MUST_CHECK gr_err gri_h5_put_int(gri_h5 *h5, const char *name, int32_t value);
/// At most `size` - 1 bytes of it.
GR_MUST_CHECK gr_err gri_h5_get_text(gri_h5 *h5, const char *name, char *value, size_t size);
GR_MUST_CHECK gr_err gri_h5_get_int(gri_h5 *h5, const char *name, int32_t *value);

/// A contiguous dataset [rows] (columns 0) or [rows, columns] from memory.
GR_MUST_CHECK gr_err gri_h5_write(gri_h5 *h5, const char *name, gri_h5_type type, int64_t rows,
                                  int64_t columns, const void *data);
/// A contiguous dataset uint8 [size] from the first `size` bytes of a file, piece by piece.
GR_MUST_CHECK gr_err gri_h5_write_file(gri_h5 *h5, const char *name, int fd,
                                       const char *fd_path, int64_t size);
/// Where the bytes of a contiguous uint8 dataset lie in the file.
GR_MUST_CHECK gr_err gri_h5_locate(gri_h5 *h5, const char *name, int64_t *offset,
                                   int64_t *size);
/// Where a contiguous dataset of this type and shape (rows -1: any) begins in the file: what stands there is
/// little-endian.
GR_MUST_CHECK gr_err gri_h5_locate_table(gri_h5 *h5, const char *name, gri_h5_type type,
                                         int64_t rows, int64_t columns, int64_t *offset);

#endif
