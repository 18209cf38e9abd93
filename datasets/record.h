#ifndef DATASETS_RECORD_H
#define DATASETS_RECORD_H

/// One record of a LLaVA file, checked and with its pictures encoded. Private to datasets/.

#include "datasets/import.h"
#include "datasets/shard.h"
#include "src/base/doc.h"
#include "src/base/json.h"

typedef struct gri_record {
    gr_sample sample; ///< points into what follows
    char *source;
    gr_json text;
    int64_t images; ///< pictures that own memory
    unsigned char **image;
    size_t *image_size;
    int32_t (*pixels)[2];
} gri_record;

/// The record's id in new memory: a string, an integer's digits, or "#NUMBER" when it has none.
GR_MUST_CHECK gr_err gri_record_id(const gr_node *node, int64_t number, char **out);
/// GR_ERR_DATA and GR_ERR_MISSING mean that the record is bad; other errors, that nothing can go on. Image names
/// are relative to `folder`. `out` must be zeroed; free it with gri_record_fini in any case.
GR_MUST_CHECK gr_err gri_record_read(const gr_node *node, int64_t number, const char *folder,
                                     const gr_import_options *options, gri_record *out);
void gri_record_fini(gri_record *record);

#endif
