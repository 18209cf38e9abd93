#ifndef DATASETS_SHARD_FORMAT_H
#define DATASETS_SHARD_FORMAT_H

/// What the writer and the reader of a shard must agree on. Private to datasets/.

#include "datasets/h5.h"
#include "src/base/digest.h"
#include "src/formats/image.h"

#define GRI_SHARD_SCHEMA "gradus-shard"
enum { GRI_SHARD_VERSION = 2 };
/// How a stored picture is decoded: pixels lie as they are to be seen, alpha (in WebP files that came so) over white.
enum { GRI_SHARD_DECODE = GR_IMAGE_OVER_WHITE };

/// Index tables, small enough to be held in memory for one shard: X(name, dataset, element type, columns (0: one-dimensional), rows for
/// N samples and I images; -1: as many as the table before it, which cuts this one, ends at).
#define GRI_TABLE_LIST(X)                                                                      \
    X(GRI_IMAGE_OFFSETS, "image_offsets", GRI_H5_U64, 0, images + 1)                           \
    X(GRI_IMAGE_SIZE, "image_size", GRI_H5_I32, 2, images)                                     \
    X(GRI_TEXT_OFFSETS, "text_offsets", GRI_H5_U64, 0, samples + 1)                            \
    X(GRI_SAMPLE_IMAGES, "sample_images", GRI_H5_U64, 0, samples + 1)                          \
    X(GRI_CONTENT_ID, "content_id", GRI_H5_U64, 2, samples)                                    \
    X(GRI_SOURCE_OFFSETS, "source_offsets", GRI_H5_U64, 0, samples + 1)                        \
    X(GRI_SOURCE_BYTES, "source_bytes", GRI_H5_U8, 0, -1)                                      \
    X(GRI_TASK_OFFSETS, "task_offsets", GRI_H5_U64, 0, samples + 1)                            \
    X(GRI_TASK_BYTES, "task_bytes", GRI_H5_U8, 0, -1)

typedef enum gri_table {
#define GRI_TABLE_ENUM(name, text, type, columns, rows) name,
    GRI_TABLE_LIST(GRI_TABLE_ENUM)
#undef GRI_TABLE_ENUM
        GRI_TABLE_COUNT
} gri_table;

typedef struct gri_table_info {
    const char *name;
    gri_h5_type type;
    int64_t columns, rows;
    size_t row_size; ///< bytes
} gri_table_info;
gri_table_info gri_table_get(gri_table table, int64_t samples, int64_t images);

/// Name of the table with token counts by one tokenizer: "tokens_" and the tokenizer's digest. It is int32 [N]; such tables follow the
/// others in the chain of digests, in the order of the manifest's "tokenizers".
enum { GRI_TOKENS_NAME = 7 + GR_DIGEST_TEXT };
void gri_tokens_name(gr_digest tokenizer, char name[GRI_TOKENS_NAME]);

/// Digest of a sequence of pieces without a stream's memory: XXH3-128 over (the digest so far, the piece's
/// size, the piece's digest), 16 + 8 + 16 bytes, numbers little-endian with the high half first. A chain starts at {0, 0}.
gr_digest gri_digest_link(gr_digest so_far, const void *data, size_t size);
/// The same of a piece whose size and digest are known.
gr_digest gri_digest_link_known(gr_digest so_far, size_t size, gr_digest piece);
/// Links one content id.
gr_digest gri_digest_link_id(gr_digest so_far, gr_digest id);

#endif
