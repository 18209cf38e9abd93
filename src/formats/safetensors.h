#ifndef SRC_FORMATS_SAFETENSORS_H
#define SRC_FORMATS_SAFETENSORS_H

/// The safetensors file format.
/// Bytes 0-7: header length n, unsigned 64-bit little-endian. Next n bytes: a JSON object
/// {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ...,
///  "__metadata__": {string: string}}. Rest: data; offsets count from its first byte, end is exclusive;
/// entries lie end to end from 0 to the end of the file, without holes or overlap.
/// Source: huggingface/safetensors README.

#include "src/base/file.h"
#include "src/base/names.h"
#include "src/base/str.h"
#include "src/tensor/tensor.h"

typedef struct gr_safetensor {
    char *name;
    gr_dtype dtype;
    int ndim; ///< 0 for a scalar
    int64_t shape[8];
    int64_t count;             ///< elements
    const unsigned char *data; ///< reading: inside the mapped file, perhaps unaligned
} gr_safetensor;

typedef struct gr_safetensors {
    char *path;
    gr_file_map map;
    gr_safetensor *items; ///< in order of their data
    int64_t count;
    gr_names names; ///< of the items
} gr_safetensors;

/// Opens and checks a file completely; errors name file, tensor, expected and got.
GR_MUST_CHECK gr_err gr_safetensors_open(const char *path, gr_safetensors **out);
void gr_safetensors_close(gr_safetensors **file);
/// NULL if there is no tensor of this name.
const gr_safetensor *gr_safetensors_find(const gr_safetensors *file, const char *name);

/// What stands in front of the data of these tensors: length and header as gr_safetensors_write has them. Their data pointers are
/// not looked at. Behind it come their data end to end, in this order.
GR_MUST_CHECK gr_err gr_safetensors_head(const char *path, const gr_safetensor *tensors,
                                         int64_t count, gr_str *out);

/// Writes the tensors (data pointers borrowed) in this order, metadata {"format": "pt"}, header padded to 8
/// bytes; written aside, synced, renamed.
GR_MUST_CHECK gr_err gr_safetensors_write(const char *path, const gr_safetensor *tensors,
                                          int64_t count);

#endif
