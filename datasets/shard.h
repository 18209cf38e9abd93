#ifndef DATASETS_SHARD_H
#define DATASETS_SHARD_H

/// One shard: a plain HDF5 file that any HDF5 tool opens. N samples, I images, contiguous
/// datasets, no variable-length types:
///
///   attribute schema      string  "gradus-shard"
///   attribute version     int32   2
///   attribute creator     string  "gradus VERSION"
///   /image_bytes          uint8  [total]      WebP files, end to end
///   /image_offsets        uint64 [I + 1]      image i is bytes [offsets[i], offsets[i + 1])
///   /image_size           int32  [I, 2]       width, height in pixels
///   /text_bytes           uint8  [total]      conversations, UTF-8 JSON, end to end
///   /text_offsets         uint64 [N + 1]
///   /sample_images        uint64 [N + 1]      sample n owns images [sample_images[n], sample_images[n + 1])
///   /content_id           uint64 [N, 2]       XXH3-128 of the sample (high, low), see gr_sample_id
///   /source_bytes         uint8  [total]      the records' ids in their source, UTF-8, end to end
///   /source_offsets       uint64 [N + 1]
///   /task_bytes           uint8  [total]      what kind of task each sample is, UTF-8, end to end; "" where nobody said
///   /task_offsets         uint64 [N + 1]
///   /tokens_DIGEST        int32  [N]          optional, one for each tokenizer (DIGEST: 32 hexadecimal digits of
///                                             gr_tokenizer_digest): tokens of all turns' texts, each piece between <image>
///                                             placeholders encoded alone; no markers of a template, no image tokens
///
/// Version 1 had no tasks; it is refused: import the source again.
/// A conversation is {"conversations": [{"from": "human" | "gpt" | "system", "value": "..."}], ...}; extra keys of
/// the source record survive (its "id" is in source_bytes). A data set is a folder of shard-NNNNN.h5 with manifest.json: schema, counts,
/// tokenizers that counted, and name, counts, size and digests per shard. HDF5 is called from one thread at a time; image and text bytes are read with pread at the
/// dataset's file offset.

#include "src/base/digest.h"
#include "src/formats/tokenizer.h"

typedef struct gr_sample {
    const char *source; ///< id in the source; NULL: ""
    const char *task;   ///< "ocr", "caption", ...; NULL: "", nobody said
    const char *text;   ///< conversation JSON
    size_t text_size;
    int64_t images;
    const unsigned char **image; ///< [images] WebP bytes
    const size_t *image_size;    ///< [images]
    const int32_t (*pixels)[2];  ///< [images] width, height
    gr_digest id;
} gr_sample;

/// Digest over image count, each image's bytes with its length, and the conversation text with its length.
gr_digest gr_sample_id(const gr_sample *sample);

/// Writing a data set: a folder that must be empty or absent (an old rejects.jsonl may be there) and that no other process
/// is writing to; shards are cut at `shard_bytes` of images and text (0: 1 GiB). Destroying an unfinished writer takes its shards
/// back.
typedef struct gr_dataset_writer gr_dataset_writer;
GR_MUST_CHECK gr_err gr_dataset_writer_create(const char *dir, int64_t shard_bytes,
                                              gr_dataset_writer **out);
/// Each sample's tokens by these tokenizers (borrowed) will be stored. Before the first sample, at most once.
GR_MUST_CHECK gr_err gr_dataset_writer_count_tokens(gr_dataset_writer *writer,
                                                    const gr_tokenizer *const *tokenizers,
                                                    int64_t count);
/// Appends a copy of the sample (its id is computed here).
GR_MUST_CHECK gr_err gr_dataset_writer_add(gr_dataset_writer *writer, const gr_sample *sample);
/// Finishes the last shard and writes the manifest; a folder without manifest is no data set.
GR_MUST_CHECK gr_err gr_dataset_writer_finish(gr_dataset_writer *writer);
void gr_dataset_writer_destroy(gr_dataset_writer **writer);

/// Reading. Opening reads the manifest and asks the folder whether the shards are there; none is opened. A shard's size,
/// schema and index tables are checked when its first sample is asked for. What stays in memory is where the tables
/// lie, some hundred bytes a shard; an entry is read with pread when its sample is. At most
/// GR_DATASET_OPEN_SHARDS descriptors stay open, those used last.
enum { GR_DATASET_OPEN_SHARDS = 64 };
typedef struct gr_dataset gr_dataset;
GR_MUST_CHECK gr_err gr_dataset_open(const char *dir, gr_dataset **out);
void gr_dataset_close(gr_dataset **dataset);
int64_t gr_dataset_count(const gr_dataset *dataset);
int64_t gr_dataset_images(const gr_dataset *dataset);
int64_t gr_dataset_bytes(const gr_dataset *dataset);
int64_t gr_dataset_shards(const gr_dataset *dataset);
/// First sample of shard `shard`; the number of samples for the number of shards.
int64_t gr_dataset_shard_first(const gr_dataset *dataset, int64_t shard);
const char *gr_dataset_path(const gr_dataset *dataset);
/// Digest over the content ids in order: names the data of a run.
gr_digest gr_dataset_digest(const gr_dataset *dataset);
/// Content id of sample `index`. Thread-safe.
GR_MUST_CHECK gr_err gr_dataset_id(const gr_dataset *dataset, int64_t index, gr_digest *out);
/// The first sample with this content id (32 hexadecimal digits), else with this source. Reads every id in turn. GR_ERR_USAGE: none has.
GR_MUST_CHECK gr_err gr_dataset_find(const gr_dataset *dataset, const char *id, int64_t *out);
/// The first sample with this source, whatever it looks like. Otherwise the same.
GR_MUST_CHECK gr_err gr_dataset_find_source(const gr_dataset *dataset, const char *source,
                                            int64_t *out);
/// What the index tables say about sample `index`: all but the bytes, so `text` and `image` are NULL. Free with gr_sample_destroy.
/// Thread-safe.
GR_MUST_CHECK gr_err gr_dataset_about(const gr_dataset *dataset, int64_t index,
                                      gr_sample **out);
/// Tokens of sample `index` by the tokenizer of this digest; -1 when that one did not count. Thread-safe.
GR_MUST_CHECK gr_err gr_dataset_tokens(const gr_dataset *dataset, int64_t index,
                                       gr_digest tokenizer, int64_t *out);
/// The tokenizers that counted.
const gr_digest *gr_dataset_tokenizers(const gr_dataset *dataset, int64_t *count);
/// Reads sample `index`, checks its content id (GR_ERR_DATA names shard and sample), and gives it in memory of its own: free with
/// gr_sample_destroy. Thread-safe.
GR_MUST_CHECK gr_err gr_dataset_read(const gr_dataset *dataset, int64_t index, gr_sample **out);
void gr_sample_destroy(gr_sample **sample);

#endif
