#ifndef DATASETS_RECORD_H
#define DATASETS_RECORD_H

/// One record of a source on its way into a shard: labels, pictures as they will be stored, the checked conversation. Errors
/// GR_ERR_DATA and GR_ERR_MISSING mean that the record is bad; others, that nothing can go on. Private to datasets/.

#include "datasets/import.h"
#include "datasets/shard.h"
#include "src/base/doc.h"
#include "src/base/json.h"
#include "src/formats/image.h"

/// Where a picture stands in a turn's text.
#define GRI_PLACEHOLDER "<image>"

/// The last picture that was encoded: questions about one picture often follow each other.
typedef struct gri_last_picture {
    gr_digest of; ///< the file's bytes
    unsigned char *webp;
    size_t size;
    int32_t pixels[2];
} gri_last_picture;
void gri_last_picture_fini(gri_last_picture *last);

typedef struct gri_record {
    gr_sample sample; ///< points into what follows
    char *source, *task;
    gr_json text;
    int64_t images, capacity; ///< pictures
    unsigned char **image;
    size_t *image_size;
    int32_t (*pixels)[2];
    gri_last_picture *last; ///< borrowed; NULL: none is kept
} gri_record;

/// Appends a picture: checks and encodes it. Takes `*data` (clears it) when it is stored as it is. `name` is for messages.
GR_MUST_CHECK gr_err gri_record_picture(gri_record *record, const gr_import_options *options,
                                        const char *name, char **data, size_t size);
/// The same from a file below `folder`, out of which neither its name nor a link may lead.
GR_MUST_CHECK gr_err gri_record_picture_file(gri_record *record,
                                             const gr_import_options *options,
                                             const char *folder, const char *name, size_t size);
/// The last step: checks the conversation in `node` against the pictures, stores all keys of `node` but those in `left_out`
/// (ended by NULL), takes its "task" or else `task`.
GR_MUST_CHECK gr_err gri_record_finish(gri_record *record, const gr_node *node,
                                       const char *const *left_out, const char *task);
/// Appends a picture of our own, WebP of this quality (negative: lossless).
GR_MUST_CHECK gr_err gri_record_pixels(gri_record *record, const gr_image *image,
                                       double quality);
void gri_record_fini(gri_record *record);

/// No picture's file is larger, nor all parts of a record in an archive together. (Fuzzers get a smaller limit.)
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { GRI_MAX_FILE = 1 << 22 };
#else
enum { GRI_MAX_FILE = 1 << 30 };
#endif
/// Whether the name of a file is absolute or has a part "..".
bool gri_name_climbs(const char *name);
/// GR_ERR_DATA unless the text is UTF-8. `what` is for the message.
GR_MUST_CHECK gr_err gri_check_utf8(const char *what, const char *text, size_t size);
/// Whether the text is one of the list, which NULL ends.
bool gri_is_among(const char *text, const char *const *list);
/// The turn that shows `images` pictures, then `text` (may be NULL), and its answer, as "conversations".
void gri_conversation_put(gr_json *j, int64_t images, const char *text, const char *answer,
                          size_t answer_size);

#endif
