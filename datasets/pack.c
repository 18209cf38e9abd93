#include "datasets/pack.h"

#include "datasets/encode.h"
#include "datasets/shard_format.h"
#include "src/base/activity.h"
#include "src/base/mem.h"
#include "src/formats/pictures.h"
#include "src/ops/loss.h"

#include <stdio.h>
#include <string.h>

void gri_scratch_fini(gri_scratch *scratch)
{
    gri_sample_buffer_fini(&scratch->sample);
}

/// Room for `need` elements whose old content nobody wants.
#define RESERVE(list, capacity, need)                                                          \
    do {                                                                                       \
        int64_t need_ = (need);                                                                \
        if (need_ > (capacity)) {                                                              \
            GR_FREE(list);                                                                     \
            GR_ALLOC(list, need_ + need_ / 4);                                                 \
        }                                                                                      \
    } while (0)
#define GROWN(capacity, need) ((need) > (capacity) ? (need) + (need) / 4 : (capacity))

static void clear_seats(gri_pack *pack)
{
    for (int64_t i = 0; i < pack->seat_count; i++) {
        GR_FREE(pack->seats[i].reason);
    }
    pack->seat_count = 0;
}

void gri_pack_fini(gri_pack *pack)
{
    clear_seats(pack);
    GR_FREE(pack->ids);
    GR_FREE(pack->targets);
    GR_FREE(pack->positions);
    GR_FREE(pack->cu_seqlens);
    GR_FREE(pack->image_rows);
    GR_FREE(pack->pixels);
    GR_FREE(pack->view.batches);
    GR_FREE(pack->seats);
    GR_FREE(pack->drops);
    GR_FREE(pack->used);
    *pack = (gri_pack){0};
}

static void keep(const gr_sample *sample, const gri_encoded *encoded, gri_store *store,
                 gri_kept *out)
{
    const gr_chat_sample *chat = &encoded->chat;
    const int64_t tokens = chat->ids.count, rows = chat->image_rows.count;
    const int64_t words = 2 * tokens + rows + sample->images;
    const int64_t at = atomic_fetch_add(&store->need, words);
    if (at + words > store->capacity) {
        return;
    }
    int32_t *to = store->words + at;
    memcpy(to, chat->ids.data, (size_t)tokens * sizeof *to);
    memcpy(to + tokens, chat->targets.data, (size_t)tokens * sizeof *to);
    if (rows > 0) {
        memcpy(to + 2 * tokens, chat->image_rows.data, (size_t)rows * sizeof *to);
    }
    for (int64_t i = 0; i < sample->images; i++) {
        to[2 * tokens + rows + i] = (int32_t)encoded->tiles[i];
    }
    out->words = to;
    out->tokens = tokens;
    out->rows = rows;
    out->text = gr_digest_of(sample->text, sample->text_size);
}

gr_err gri_pack_measure(const gri_pack_rules *rules, gri_ref ref, gri_scratch *scratch,
                        gri_size *out, gri_store *store, bool by_counts, gri_kept *kept)
{
    gr_err err = GR_OK;
    gri_encoded encoded = {0};
    int64_t tokens = -1;
    *out = (gri_size){0};
    GR_TRY(gri_dataset_check_shard(ref.dataset, ref.index));
    if (by_counts) {
        GR_TRY(gr_dataset_tokens(ref.dataset, ref.index, rules->tokenizer_digest, &tokens));
    }
    gr_activity_reading(gr_dataset_path(ref.dataset), ref.index);
    err = gri_dataset_read_text(ref.dataset, ref.index, &scratch->sample, &kept->place);
    kept->placed = err == GR_OK;
    err = err ? err : gri_encode_size(rules, scratch->sample.sample, tokens, &encoded);
    err = err ? err : gri_encode_check_fit(rules, encoded.size);
    if (err == GR_ERR_DATA) {
        gr_err_clear();
        err = GR_OK;
        goto done;
    }
    GR_TRY(err);
    kept->counted = encoded.chat.ids.count == 0;
    if (!kept->counted) {
        keep(scratch->sample.sample, &encoded, store, kept);
    }
    *out = encoded.size;
done:
    gri_encoded_fini(&encoded);
    return err;
}

/// What the cell holds in all.
typedef struct totals {
    int64_t seats, batches, sequences, tokens, images;
} totals;

static totals count_cell(const gri_window *w, int64_t cell)
{
    totals t = {0};
    for (int64_t r = w->cells[cell]; r < w->cells[cell + 1]; r++) {
        const gri_row *row = &w->rows[r];
        t.seats += row->end - row->begin;
        t.batches++;
        t.tokens += row->tokens;
        t.images += row->images;
    }
    t.sequences = t.seats;
    return t;
}

/// Bytes of one image.
static int64_t image_bytes(const gri_pack_rules *rules)
{
    int64_t side = rules->vision ? rules->vision->image_size : 0;
    return side * side * 3;
}

static gr_err reserve(gri_pack *p, const gri_pack_rules *rules, totals t)
{
    gr_err err = GR_OK;
    int64_t cuts = t.sequences + t.batches, rows = t.images * rules->image_tokens;
    int64_t bytes = t.images * image_bytes(rules);
    int64_t capacity = p->token_capacity;
    RESERVE(p->ids, capacity, t.tokens);
    RESERVE(p->targets, capacity, t.tokens);
    RESERVE(p->positions, capacity, t.tokens);
    p->token_capacity = GROWN(capacity, t.tokens);
    RESERVE(p->cu_seqlens, p->cut_capacity, cuts);
    p->cut_capacity = GROWN(p->cut_capacity, cuts);
    RESERVE(p->image_rows, p->row_capacity, rows);
    p->row_capacity = GROWN(p->row_capacity, rows);
    RESERVE(p->pixels, p->pixel_capacity, bytes);
    p->pixel_capacity = GROWN(p->pixel_capacity, bytes);
    RESERVE(p->view.batches, p->batch_capacity, t.batches);
    p->batch_capacity = GROWN(p->batch_capacity, t.batches);
    RESERVE(p->seats, p->seat_capacity, t.seats);
    RESERVE(p->drops, p->seat_capacity, t.seats);
    RESERVE(p->used, p->seat_capacity, t.seats);
    p->seat_capacity = GROWN(p->seat_capacity, t.seats);
done:
    if (err != GR_OK) { // of buffers that share a capacity some may be gone
        p->token_capacity = p->cut_capacity = p->row_capacity = 0;
        p->pixel_capacity = p->batch_capacity = p->seat_capacity = 0;
    }
    return err;
}

/// Begins a microbatch at these places in the buffers.
static gr_batch *add_batch(gri_pack *p, const gri_pack_rules *rules, const gri_row *row,
                           totals at)
{
    gr_batch *batch = &p->view.batches[p->view.count++];
    *batch = (gr_batch){.tokens = row->tokens,
                        .ids = p->ids + at.tokens,
                        .targets = p->targets + at.tokens,
                        .positions = p->positions + at.tokens,
                        .cu_seqlens = p->cu_seqlens + at.sequences + at.batches,
                        .images = row->images};
    if (row->images > 0) {
        batch->pixels = (gr_pixels){.bytes = p->pixels + at.images * image_bytes(rules),
                                    .table = rules->pixel_values};
        batch->image_rows = p->image_rows + at.images * rules->image_tokens;
    }
    return batch;
}

gr_err gri_pack_begin(gri_pack *pack, const gri_pack_rules *rules, const gri_window *window,
                      int64_t cell, const gri_ref *refs, const gri_kept *kept)
{
    gr_err err = GR_OK;
    totals at = {0};
    clear_seats(pack);
    pack->view = (gr_lane_batch){.batches = pack->view.batches, .packing = window->digest};
    GR_TRY(reserve(pack, rules, count_cell(window, cell)));
    for (int64_t r = window->cells[cell]; r < window->cells[cell + 1]; r++) {
        const gri_row *row = &window->rows[r];
        gr_batch *batch = add_batch(pack, rules, row, at);
        int32_t *cuts = pack->cu_seqlens + at.sequences + at.batches;
        int64_t filled = 0;
        cuts[0] = 0;
        for (int64_t i = row->begin; i < row->end; i++) {
            int64_t n = window->order[i];
            gri_size size = window->sizes[n];
            pack->used[pack->seat_count] = (gr_used){.dataset = refs[n].dataset,
                                                     .index = refs[n].index,
                                                     .batch = at.batches,
                                                     .tokens = size.tokens,
                                                     .images = size.images};
            pack->seats[pack->seat_count++] = (gri_seat){.ref = refs[n],
                                                         .size = size,
                                                         .kept = kept ? &kept[n] : NULL,
                                                         .batch = at.batches,
                                                         .token = at.tokens,
                                                         .row = filled,
                                                         .image = at.images};
            at.tokens += size.tokens;
            at.images += size.images;
            filled += size.tokens;
            if (size.tokens > 0) {
                cuts[++batch->sequences] = (int32_t)filled;
            }
        }
        at.sequences += batch->sequences;
        at.batches++;
    }
    pack->view.used = pack->used;
    pack->view.samples = pack->seat_count;
    pack->view.tokens = at.tokens;
    pack->view.images = at.images;
done:
    return err;
}

static void add_tokens(gri_pack *p, const gri_pack_rules *rules, const gri_seat *seat,
                       const gr_chat_sample *encoded)
{
    size_t bytes = (size_t)seat->size.tokens * sizeof *p->ids;
    memcpy(p->ids + seat->token, encoded->ids.data, bytes);
    memcpy(p->targets + seat->token, encoded->targets.data, bytes);
    for (int64_t t = 0; t < seat->size.tokens; t++) {
        p->positions[seat->token + t] = (int32_t)t;
    }
    for (int64_t r = 0; r < encoded->image_rows.count; r++) {
        p->image_rows[seat->image * rules->image_tokens + r] =
            (int32_t)(seat->row + encoded->image_rows.data[r]);
    }
}

static bool is_kept(const gri_seat *seat)
{
    return seat->kept && seat->kept->words;
}

/// Encodes the sample, or takes what was kept of it. `view` is valid as long as `encoded` and what was kept.
static gr_err encode_seat(const gri_pack_rules *rules, const gri_seat *seat,
                          const gr_sample *sample, gri_encoded *encoded, gr_chat_sample *view)
{
    gr_err err = GR_OK;
    const gri_kept *kept = seat->kept;
    if (!is_kept(seat)) {
        GR_TRY(gri_encode(rules, sample, encoded));
        *view = encoded->chat;
        goto done;
    }
    GR_ALLOC(encoded->tiles, sample->images);
    int32_t *words = (int32_t *)kept->words; // a view has no const, but is only read
    view->ids = (gr_ids){.data = words, .count = kept->tokens};
    view->targets = (gr_ids){.data = words + kept->tokens, .count = kept->tokens};
    view->image_rows = (gr_ids){.data = words + 2 * kept->tokens, .count = kept->rows};
    for (int64_t i = 0; i < sample->images; i++) {
        encoded->tiles[i] = words[2 * kept->tokens + kept->rows + i];
    }
    encoded->size = seat->size;
done:
    return err;
}

/// A wrong count is no bad sample, which could be left out: rows would depend on who counted.
static gr_err check_count(const gri_seat *seat, const gri_encoded *encoded)
{
    gr_err err = GR_OK;
    if (seat->kept && seat->kept->counted && encoded->size.tokens != seat->size.tokens) {
        GR_FAIL(GR_ERR_FAILED,
                "%lld tokens, but %lld by the token count that its data set has of this "
                "tokenizer: make the data set again from its source",
                (long long)encoded->size.tokens, (long long)seat->size.tokens);
    }
done:
    return err;
}

static gr_err add_sample(gri_pack *p, const gri_pack_rules *rules, const gri_seat *seat,
                         const gr_sample *sample)
{
    gr_err err = GR_OK;
    gri_encoded encoded = {0};
    gr_chat_sample view = {0};
    int64_t image = seat->image;
    GR_TRY(encode_seat(rules, seat, sample, &encoded, &view));
    GR_TRY(check_count(seat, &encoded));
    if (encoded.size.tokens != seat->size.tokens || encoded.size.images != seat->size.images) {
        GR_FAIL(GR_ERR_DATA,
                "%lld tokens and %lld images, but %lld and %lld a moment ago: the data set "
                "changed while it was read",
                (long long)encoded.size.tokens, (long long)encoded.size.images,
                (long long)seat->size.tokens, (long long)seat->size.images);
    }
    add_tokens(p, rules, seat, &view);
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY_CONTEXT(gr_picture_bytes(rules->vision, GRI_SHARD_DECODE, "image",
                                        sample->image[i], sample->image_size[i],
                                        encoded.tiles[i],
                                        p->pixels + image * image_bytes(rules)),
                       "image %lld", (long long)i);
        image += encoded.tiles[i];
    }
done:
    gri_encoded_fini(&encoded);
    return err;
}

/// Weight 0: the sequence stays, with nothing in it and no target; its pictures are black.
static void blank(gri_pack *p, const gri_pack_rules *rules, const gri_seat *seat)
{
    for (int64_t t = 0; t < seat->size.tokens; t++) {
        p->ids[seat->token + t] = 0;
        p->targets[seat->token + t] = GR_NO_TARGET;
        p->positions[seat->token + t] = (int32_t)t;
    }
    for (int64_t r = 0; r < seat->size.images * rules->image_tokens; r++) {
        p->image_rows[seat->image * rules->image_tokens + r] = (int32_t)(seat->row + r);
    }
    if (seat->size.images > 0) {
        memset(p->pixels + seat->image * image_bytes(rules), 0,
               (size_t)(seat->size.images * image_bytes(rules)));
    }
}

gr_err gri_pack_name_sample(gr_err code, gri_ref ref, gri_scratch *scratch)
{
    char message[4096];
    snprintf(message, sizeof message, "%s", gr_err_message());
    bool read = gri_dataset_read_about(ref.dataset, ref.index, &scratch->sample) == GR_OK;
    return gr_err_set(code, __FILE__, __LINE__, __func__, "%s: sample %lld (\"%s\"): %s",
                      gr_dataset_path(ref.dataset), (long long)ref.index,
                      read ? scratch->sample.sample->source : "source cannot be read", message);
}

/// Reads what is not known of the sample, and checks its content id.
static gr_err read_seat(const gri_seat *seat, gri_sample_buffer *buffer)
{
    const gri_kept *kept = seat->kept;
    const gri_ref ref = seat->ref;
    gr_activity_reading(gr_dataset_path(ref.dataset), ref.index);
    if (is_kept(seat)) {
        return gri_dataset_read_pictures(ref.dataset, ref.index, &kept->place, kept->text,
                                         buffer);
    }
    return gri_dataset_read_content(ref.dataset, ref.index,
                                    kept && kept->placed ? &kept->place : NULL, buffer);
}

static gr_err fill(gri_pack *p, const gri_pack_rules *rules, const gri_seat *seat,
                   gri_scratch *scratch)
{
    gr_err err = GR_OK;
    GR_TRY(read_seat(seat, &scratch->sample));
    err = add_sample(p, rules, seat, scratch->sample.sample);
    err = err == GR_OK ? GR_OK : gri_pack_name_sample(err, seat->ref, scratch);
done:
    return err;
}

void gri_pack_fill(gri_pack *pack, const gri_pack_rules *rules, int64_t seat,
                   gri_scratch *scratch)
{
    gri_seat *s = &pack->seats[seat];
    s->err = fill(pack, rules, s, scratch);
    if (s->err != GR_OK) {
        s->reason = gr_mem_strdup(gr_err_message());
        blank(pack, rules, s);
        gr_err_clear();
    }
}

gr_err gri_pack_end(gri_pack *pack, const gri_pack_rules *rules)
{
    gr_err err = GR_OK;
    gr_lane_batch *view = &pack->view;
    for (int64_t i = 0; i < pack->seat_count; i++) {
        const gri_seat *s = &pack->seats[i];
        if (s->err != GR_OK && !(s->err == GR_ERR_DATA && rules->drop)) {
            GR_FAIL(s->err, "%s", s->reason ? s->reason : "out of memory");
        }
        if (s->err != GR_OK) {
            pack->drops[view->dropped++] =
                (gr_dropped){s->ref.dataset, s->ref.index, s->reason ? s->reason : ""};
        }
    }
    view->drops = pack->drops;
    for (int64_t t = 0; t < view->tokens; t++) {
        view->targets += pack->targets[t] != GR_NO_TARGET;
    }
done:
    return err;
}
