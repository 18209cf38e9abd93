#ifndef DATASETS_IMPORT_H
#define DATASETS_IMPORT_H

/// Import of other formats into a data set.
///
/// llava: a JSON list or JSONL of {"id", "image": "a.png" | ["a.png", ...], "conversations": [{"from", "value"}, ...]}, as LLaVA,
/// ShareGPT4V, LLaVA-OneVision and InternVL have it ("images" is read as "image"; "messages": [{"role", "content"}, ...] as "conversations"), or an InternVL meta file, a map
/// {NAME: {"annotation": FILE, "root": FOLDER}}. The id (or "#INDEX", "#LINE" without one) is the sample's source.
///
/// webdataset: a tar (also compressed with gzip, zstd, xz or bzip2), or a folder of such; several put end to end in one file are refused. Consecutive entries with the same name
/// up to the first dot of its last part are one record: pictures (.jpg .jpeg .png .webp), .json, .txt. The .json may
/// hold "conversations"; else the .txt (or the .json's "caption", as img2dataset writes it) is the answer to a turn that shows
/// the pictures. The name is the source.
///
/// vlmeval: a TSV with a header, as VLMEvalKit reads it: question, answer, and if there are index, image (base64, a list of such, or the
/// index of another row), image_path, hint, A, B, C ..., category (the task). The question is put as VLMEvalKit puts it.
///
/// All other keys survive in the stored conversation, in their order. The task is the record's "task", else the meta file's NAME, else the
/// options' task. Alpha is blended over white and EXIF orientation applied, unless the options say otherwise: a shard holds
/// pixels as they are to be seen, its readers apply no EXIF.

#include "src/base/err.h"
#include "src/formats/tokenizer.h"

#include <stdint.h>

typedef enum gr_import_form {
    GR_IMPORT_LLAVA,
    GR_IMPORT_WEBDATASET,
    GR_IMPORT_VLMEVAL,
    GR_IMPORT_SYNTH, ///< not a form of files: gr_synth (synth.h)
} gr_import_form;
#define GR_IMPORT_FORMS "llava|webdataset|vlmeval"

typedef struct gr_import_options {
    gr_import_form form;
    const char *source; ///< file or folder
    const char
        *images;     ///< folder the image names are relative to; NULL: the folder of `source`
    const char *out; ///< folder of the data set
    int64_t shard_bytes; ///< 0: 1 GiB
    bool
        keep; ///< WebP files stay as they are, byte for byte, unless they must be turned, blended or shrunk; those and
              ///< others are encoded with `quality`
    bool drop_alpha;     ///< as Pillow's convert("RGB") does, instead of blending it over white
    bool ignore_exif;    ///< orientation is not applied, as in the models' own preprocessing
    double quality;      ///< WebP quality 0..100; negative: lossless
    int64_t max_side;    ///< larger pictures are scaled down to this longest side; 0: never
    int64_t max_rejects; ///< more bad records than this fail the import
    const char *task;    ///< of samples whose record names none; NULL: ""
    const char *prompt;  ///< what stands behind the pictures of a caption; NULL: nothing
    /// [tokenizer_count] whose token counts are stored; two that are equal are GR_ERR_USAGE
    const gr_tokenizer *const *tokenizers;
    int64_t tokenizer_count;
    const struct gr_synth_options *synth; ///< with GR_IMPORT_SYNTH, borrowed
} gr_import_options;

/// The processes that share an import. All call gr_import with the same options; the data set is the same, byte for byte, for any
/// `size`.
typedef struct gr_import_team {
    int rank, size;
    /// Waits for all, and gives each the error of the lowest rank that has one. `self` goes with it.
    gr_err (*meet)(void *self, gr_err mine);
    void *self;
} gr_import_team;

/// Counts; `duplicates`: samples whose content id an earlier one has.
typedef struct gr_import_result {
    int64_t samples, images, rejects, duplicates, bytes;
} gr_import_result;

/// Collective in the team (NULL: alone); the result is rank 0's. Bad records go to OUT/rejects.jsonl with their place, id and
/// reason, duplicates with all their places to OUT/duplicates.jsonl. A picture must be a regular file inside the folder of
/// images, also when its name is a link. GR_ERR_DATA when no record is good or more are bad than allowed.
///
/// An import that failed or was killed is gone on with by the same call, to the same bytes; records that were bad are tried again. With other
/// options, or another source, what was done there is refused with GR_ERR_USAGE, which names the first difference: nobody loses hours by a slip.
/// When a file of the source has changed (size, time), all begins afresh. (A picture that was changed in between is not noticed.) GR_ERR_USAGE
/// when OUT holds a data set or another process writes there.
GR_MUST_CHECK gr_err gr_import(const gr_import_options *options, const gr_import_team *team,
                               gr_import_result *out);

#endif
