#ifndef STAGES_SAMPLE_LIST_H
#define STAGES_SAMPLE_LIST_H

/// The samples that records name (step_digest.h), to find those that both runs read and not with the same content. A sample that is
/// longer in one run moves others: then lanes have other samples, and the cause is found so. Inside this room.

#include "src/base/doc.h"

/// "SET:INDEX:TOKENS[:PIXELS]"
typedef struct gri_listed_sample {
    long long set, index;
    char tokens[9], pixels[9]; ///< digests as text, "" without pictures
} gri_listed_sample;

/// Reads the sample at *at and moves behind it; false at the end.
bool gri_next_sample(const char **at, gri_listed_sample *out);
/// "sample INDEX of PATH", by the first line of the file.
GR_MUST_CHECK gr_err gri_name_sample(const gr_node *head, const gri_listed_sample *sample,
                                     char *text, size_t size);
/// "tokens", "pixels" or both: in what two samples differ. NULL: in nothing.
const char *gri_samples_differ(const gri_listed_sample *a, const gri_listed_sample *b);

typedef struct gri_sample_list {
    gri_listed_sample *items; ///< owned
    int64_t count, capacity;
} gri_sample_list;

/// Adds all samples of a record.
GR_MUST_CHECK gr_err gri_sample_list_add(gri_sample_list *list, const gr_node *record);
/// The first sample, by set and number, that both lists have and not alike, and how many there are; 0: none. Sorts both.
int64_t gri_sample_list_changed(gri_sample_list lists[2], gri_listed_sample out[2]);
void gri_sample_list_fini(gri_sample_list *list);

#endif
