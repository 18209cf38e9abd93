#include "datasets/pack.h"

#include "datasets/shard_format.h"
#include "src/base/mem.h"
#include "src/formats/pictures.h"

#include <string.h>

static gr_err reserve(gri_ints *list, int64_t more)
{
    gr_err err = GR_OK;
    int64_t need = list->count + more;
    if (need > list->capacity) {
        int64_t capacity = need > 2 * list->capacity ? need : 2 * list->capacity;
        GR_RESIZE(list->data, list->capacity, capacity);
        list->capacity = capacity;
    }
done:
    return err;
}

static gr_err add_ints(gri_ints *list, const int32_t *values, int64_t count)
{
    gr_err err = GR_OK;
    GR_TRY(reserve(list, count));
    if (count > 0) {
        memcpy(list->data + list->count, values, (size_t)count * sizeof *values);
    }
    list->count += count;
done:
    return err;
}

static gr_err add_int(gri_ints *list, int64_t value)
{
    int32_t narrow = (int32_t)value;
    return add_ints(list, &narrow, 1);
}

void gri_pack_begin(gri_pack *pack)
{
    pack->ids.count = pack->targets.count = pack->positions.count = 0;
    pack->cu_seqlens.count = pack->image_rows.count = 0;
    pack->view = (gr_lane_batch){.batches = pack->view.batches};
}

void gri_pack_fini(gri_pack *pack)
{
    gri_ints *lists[] = {&pack->ids, &pack->targets, &pack->positions, &pack->cu_seqlens,
                         &pack->image_rows};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        GR_FREE(lists[i]->data);
    }
    GR_FREE(pack->pixels);
    GR_FREE(pack->view.batches);
    *pack = (gri_pack){0};
}

static gr_err begin_microbatch(gri_pack *pack)
{
    gr_err err = GR_OK;
    if (pack->view.count == pack->capacity) {
        int64_t capacity = pack->capacity ? 2 * pack->capacity : 4;
        GR_RESIZE(pack->view.batches, pack->capacity, capacity);
        pack->capacity = capacity;
    }
    GR_TRY(add_int(&pack->cu_seqlens, 0));
    pack->view.batches[pack->view.count++] = (gr_batch){0};
done:
    return err;
}

/// The turns of a stored conversation; they borrow their text from the document.
static gr_err read_turns(const gr_node *root, gr_chat_turn **out, int64_t *count)
{
    gr_err err = GR_OK;
    const gr_node *list = NULL;
    gr_chat_turn *turns = NULL;
    GR_TRY(gr_node_expect(root, GR_DOC_MAP));
    GR_TRY(gr_node_get_list(root, "conversations", &list));
    GR_ALLOC(turns, list->u.list.count);
    for (int64_t i = 0; i < list->u.list.count; i++) {
        const gr_node *turn = &list->u.list.items[i];
        const char *from = NULL;
        GR_TRY(gr_node_expect(turn, GR_DOC_MAP));
        GR_TRY(gr_node_get_string(turn, "from", &from));
        GR_TRY(gr_node_get_string(turn, "value", &turns[i].text));
        turns[i].size = strlen(turns[i].text);
        turns[i].assistant = strcmp(from, "gpt") == 0;
        turns[i].system = strcmp(from, "system") == 0;
        if (!turns[i].assistant && !turns[i].system && strcmp(from, "human") != 0) {
            GR_TRY(gr_node_error(turn, "from \"%s\", expected human, gpt or system", from));
        }
    }
    *out = turns;
    turns = NULL;
    *count = list->u.list.count;
done:
    GR_FREE(turns);
    return err;
}

static gr_err encode(const gri_pack_rules *rules, const gr_sample *sample, const int64_t *tiles,
                     gr_chat_sample *out)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    gr_chat_turn *turns = NULL;
    int64_t count = 0;
    GR_TRY(
        gr_doc_parse_json("conversation", sample->text, sample->text_size, GR_ERR_DATA, &doc));
    GR_TRY(read_turns(gr_doc_root(doc), &turns, &count));
    GR_TRY(gr_chat_encode(rules->tokenizer, &rules->chat, turns, count, sample->images, tiles,
                          out));
    GR_ASSERT(out->targets.count == out->ids.count);
done:
    GR_FREE(turns);
    gr_doc_destroy(&doc);
    return err;
}

/// Nothing is truncated: what does not fit in an empty microbatch is refused.
static gr_err check_fit(const gri_pack_rules *rules, int64_t tokens, int64_t images)
{
    gr_err err = GR_OK;
    if (tokens > rules->sequence_length) {
        GR_FAIL(GR_ERR_DATA,
                "%lld tokens, but sequence_length is %lld: raise it or take the sample out of "
                "the data set",
                (long long)tokens, (long long)rules->sequence_length);
    }
    if (rules->max_images > 0 && images > rules->max_images) {
        bool tiled = rules->vision && rules->vision->pictures.most > 1;
        GR_FAIL(
            GR_ERR_DATA,
            "%lld %s, but max_images is %lld: raise it or take the sample out of the data set",
            (long long)images, tiled ? "tiles of images" : "images",
            (long long)rules->max_images);
    }
done:
    return err;
}

/// Whether a sample of this size still goes into the last microbatch.
static bool has_room(const gri_pack *pack, const gri_pack_rules *rules, int64_t tokens,
                     int64_t images)
{
    if (pack->view.count == 0) {
        return false;
    }
    const gr_batch *last = &pack->view.batches[pack->view.count - 1];
    return last->tokens + tokens <= rules->sequence_length &&
           (rules->max_images == 0 || last->images + images <= rules->max_images);
}

static gr_err add_tokens(gri_pack *pack, const gr_chat_sample *encoded)
{
    gr_err err = GR_OK;
    gr_batch *last = &pack->view.batches[pack->view.count - 1];
    GR_TRY(add_ints(&pack->ids, encoded->ids.data, encoded->ids.count));
    GR_TRY(add_ints(&pack->targets, encoded->targets.data, encoded->targets.count));
    for (int64_t t = 0; t < encoded->ids.count; t++) {
        GR_TRY(add_int(&pack->positions, t));
        pack->view.targets += encoded->targets.data[t] != -100;
    }
    for (int64_t r = 0; r < encoded->image_rows.count; r++) {
        GR_TRY(add_int(&pack->image_rows, last->tokens + encoded->image_rows.data[r]));
    }
    last->tokens += encoded->ids.count;
    last->sequences++;
    GR_TRY(add_int(&pack->cu_seqlens, last->tokens));
    pack->view.tokens += encoded->ids.count;
done:
    return err;
}

/// Room for the pixels of `tiles` more.
static gr_err reserve_pixels(gri_pack *pack, int64_t values, int64_t tiles)
{
    gr_err err = GR_OK;
    int64_t need = (pack->view.images + tiles) * values;
    if (need > pack->pixel_capacity) {
        int64_t capacity = need > 2 * pack->pixel_capacity ? need : 2 * pack->pixel_capacity;
        GR_RESIZE(pack->pixels, pack->pixel_capacity, capacity);
        pack->pixel_capacity = capacity;
    }
done:
    return err;
}

/// The tiles of one image, to the end of the pixels.
static gr_err add_image(gri_pack *pack, const gr_vision_config *vision, const void *bytes,
                        size_t size, int64_t tiles)
{
    gr_err err = GR_OK;
    const int64_t values = 3 * vision->image_size * vision->image_size;
    GR_TRY(reserve_pixels(pack, values, tiles));
    GR_TRY(gr_picture_pixels(vision, GRI_SHARD_DECODE, "image", bytes, size, tiles,
                             pack->pixels + pack->view.images * values));
    pack->view.images += tiles;
    pack->view.batches[pack->view.count - 1].images += tiles;
done:
    return err;
}

/// How many tiles each image becomes, and all together; from headers alone.
static gr_err count_tiles(const gri_pack_rules *rules, const gr_sample *sample, int64_t **tiles,
                          int64_t *total)
{
    gr_err err = GR_OK;
    *total = 0;
    GR_ALLOC(*tiles, sample->images);
    if (sample->images > 0 && !rules->vision) {
        GR_FAIL(GR_ERR_DATA, "%lld images, but the model has no vision part",
                (long long)sample->images);
    }
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY_CONTEXT(gr_picture_tiles(rules->vision, GRI_SHARD_DECODE, "image",
                                        sample->image[i], sample->image_size[i], &(*tiles)[i]),
                       "image %lld", (long long)i);
        *total += (*tiles)[i];
    }
done:
    return err;
}

static gr_err add_sample(gri_pack *pack, const gri_pack_rules *rules, const gr_sample *sample)
{
    gr_err err = GR_OK;
    gr_chat_sample encoded = {0};
    int64_t *tiles = NULL, total = 0;
    GR_TRY(count_tiles(rules, sample, &tiles, &total));
    GR_TRY(encode(rules, sample, tiles, &encoded));
    GR_ASSERT(encoded.image_rows.count == total * rules->image_tokens);
    GR_TRY(check_fit(rules, encoded.ids.count, total));
    if (!has_room(pack, rules, encoded.ids.count, total)) {
        GR_TRY(begin_microbatch(pack));
    }
    GR_TRY(add_tokens(pack, &encoded));
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY_CONTEXT(
            add_image(pack, rules->vision, sample->image[i], sample->image_size[i], tiles[i]),
            "image %lld", (long long)i);
    }
    pack->view.samples++;
done:
    GR_FREE(tiles);
    gr_chat_sample_fini(&encoded);
    return err;
}

gr_err gri_pack_add(gri_pack *pack, const gri_pack_rules *rules, const gr_dataset *dataset,
                    int64_t index)
{
    gr_err err = GR_OK;
    gr_sample *sample = NULL;
    GR_TRY(gr_dataset_read(dataset, index, &sample));
    GR_TRY_CONTEXT(add_sample(pack, rules, sample), "%s: sample %lld (\"%s\")",
                   gr_dataset_path(dataset), (long long)index, sample->source);
done:
    gr_sample_destroy(&sample);
    return err;
}

void gri_pack_end(gri_pack *pack, const gri_pack_rules *rules)
{
    int64_t tokens = 0, cuts = 0, images = 0;
    int64_t side = rules->vision ? rules->vision->image_size : 0;
    for (int64_t b = 0; b < pack->view.count; b++) {
        gr_batch *batch = &pack->view.batches[b];
        batch->ids = pack->ids.data + tokens;
        batch->targets = pack->targets.data + tokens;
        batch->positions = pack->positions.data + tokens;
        batch->cu_seqlens = pack->cu_seqlens.data + cuts;
        if (batch->images > 0) {
            batch->pixels = pack->pixels + images * 3 * side * side;
            batch->image_rows = pack->image_rows.data + images * rules->image_tokens;
        }
        tokens += batch->tokens;
        cuts += batch->sequences + 1;
        images += batch->images;
    }
}
