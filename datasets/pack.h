#ifndef DATASETS_PACK_H
#define DATASETS_PACK_H

/// One lane's share of a window as microbatches. Where each sample goes is known before any is read (window.h), so samples are
/// filled in independently, by any thread, each at its own place. Private to datasets/.

#include "datasets/loader.h"
#include "datasets/shard_inside.h"
#include "datasets/window.h"

#include <stdatomic.h>

/// What a sample becomes: borrowed, and the same for all lanes and threads.
typedef struct gri_pack_rules {
    const gr_tokenizer *tokenizer;
    gr_digest tokenizer_digest; ///< finds its counts in data sets
    gr_chat_options chat;
    const gr_vision_config *vision; ///< NULL: no images
    int64_t image_tokens;           ///< of one image, after the pixel shuffle
    float pixel_values[3][256];     ///< what the bytes of pictures stand for: gr_pixels.table
    gri_window_rules window;
    bool drop; ///< bad samples are left out and listed; else they are errors
} gri_pack_rules;

/// Which sample.
typedef struct gri_ref {
    const gr_dataset *dataset;
    int64_t index;
} gri_ref;

/// What a sample was encoded to when it was measured, so that this is done once. `words` NULL: nothing was kept.
typedef struct gri_kept {
    bool placed; ///< `place` is where it lies
    gri_place place;
    bool counted; ///< its size is from the token counts that its data set has
    const int32_t
        *words; ///< ids, targets, image rows, tiles of each picture, end to end; in a gri_store
    int64_t tokens, rows;
    gr_digest text; ///< of the conversation that was encoded: it is not read again
} gri_kept;

/// Memory for what is kept of a window, which many threads fill. What has no room is encoded again.
typedef struct gri_store {
    int32_t *words; ///< [capacity], owned
    int64_t capacity;
    atomic_llong need; ///< words that all samples so far would take
} gri_store;

/// A sample's place in the buffers of its lane, all in elements.
typedef struct gri_seat {
    gri_ref ref;
    gri_size size;
    const gri_kept *kept; ///< borrowed until gri_pack_end; NULL: none
    int64_t batch;        ///< microbatch
    int64_t token;        ///< its first token
    int64_t row;          ///< of the microbatch, where its first token stands
    int64_t image;        ///< its first image
    gr_err err;           ///< GR_OK: it is filled in
    char *reason;         ///< what is wrong with it, owned
} gri_seat;

/// The microbatches of one lane. Buffers hold the whole lane end to end, grow to the largest lane and are
/// used again; `view` points into them.
typedef struct gri_pack {
    gr_lane_batch view;
    int32_t *ids, *targets, *positions; ///< [tokens]
    int32_t *cu_seqlens;                ///< [sequences + microbatches]
    int32_t *image_rows;                ///< [images * image_tokens]
    unsigned char *pixels;              ///< [images, side, side, 3]
    int64_t token_capacity, cut_capacity, row_capacity, pixel_capacity, batch_capacity;
    gri_seat *seats; ///< [seat_count]
    int64_t seat_count, seat_capacity;
    gr_dropped *drops; ///< [seat_capacity]; view.drops
    gr_used *used;     ///< [seat_capacity]; view.used
} gri_pack;

/// What a thread needs while it works.
typedef struct gri_scratch {
    gri_sample_buffer sample;
} gri_scratch;
void gri_scratch_fini(gri_scratch *scratch);

/// How much a sample takes. One that cannot be used or does not fit gets {0, 0}: what is wrong comes out when it is
/// filled in. An error is the shard's or the system's. `kept` is empty and gets where the sample lies, and
/// what was encoded, if `store` has room. With `by_counts` the token counts of the data set are believed where they tell, and
/// nothing is encoded: that they lie comes out when it is filled in.
GR_MUST_CHECK gr_err gri_pack_measure(const gri_pack_rules *rules, gri_ref ref,
                                      gri_scratch *scratch, gri_size *out, gri_store *store,
                                      bool by_counts, gri_kept *kept);
/// The error `code` of this thread again, with data set and sample in front, whose source is read for that alone. What the scratch
/// held is gone.
gr_err gri_pack_name_sample(gr_err code, gri_ref ref, gri_scratch *scratch);
/// Seats the samples of cell `cell` of a packed window; refs[i] and kept[i] are the window's sample i.
GR_MUST_CHECK gr_err gri_pack_begin(gri_pack *pack, const gri_pack_rules *rules,
                                    const gri_window *window, int64_t cell, const gri_ref *refs,
                                    const gri_kept *kept);
/// Reads, encodes and decodes the sample of one seat. What is wrong stays in the seat.
void gri_pack_fill(gri_pack *pack, const gri_pack_rules *rules, int64_t seat,
                   gri_scratch *scratch);
/// After all seats: counts, and the error of the first seat that must not be left out.
GR_MUST_CHECK gr_err gri_pack_end(gri_pack *pack, const gri_pack_rules *rules);
void gri_pack_fini(gri_pack *pack);

#endif
