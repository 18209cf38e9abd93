#ifndef DATASETS_IMPORT_H
#define DATASETS_IMPORT_H

/// Import of LLaVA JSON or JSONL: a list of {"id", "image": "a.png" | ["a.png", ...], "conversations": [...]}.
/// The stored conversation has all keys of the record but "image" and "id", in their order; the id (or "#INDEX",
/// "#LINE" without one) is kept as the sample's source. Alpha is blended over white and EXIF orientation applied, unless
/// the options say otherwise: a shard holds pixels as they are to be seen, its readers apply no EXIF.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_import_options {
    const char *source; ///< JSON or JSONL file
    const char
        *images;     ///< folder the image names are relative to; NULL: the folder of `source`
    const char *out; ///< folder of the data set
    int64_t shard_bytes; ///< 0: 1 GiB
    bool
        keep; ///< WebP files stay as they are, byte for byte and of any size, unless they must be turned or lose their alpha;
              ///< others are encoded with `quality`
    bool drop_alpha;     ///< as Pillow's convert("RGB") does, instead of blending it over white
    bool ignore_exif;    ///< orientation is not applied, as in the models' own preprocessing
    double quality;      ///< WebP quality 0..100; negative: lossless
    int64_t max_side;    ///< larger pictures are scaled down to this longest side; 0: never
    int64_t max_rejects; ///< more bad records than this fail the import
} gr_import_options;

typedef struct gr_import_result {
    int64_t samples, images, rejects, duplicates, bytes;
} gr_import_result;

/// Bad records go to OUT/rejects.jsonl with line, id and reason. A picture must be a regular file inside the folder of
/// images, also when its name is a link. GR_ERR_DATA when no record is good.
GR_MUST_CHECK gr_err gr_import_llava(const gr_import_options *options, gr_import_result *out);

#endif
