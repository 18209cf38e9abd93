#include "datasets/encode.h"

#include "datasets/conversation.h"
#include "src/base/mem.h"
#include "src/formats/pictures.h"

static gr_err count_tiles(const gri_pack_rules *rules, const gr_sample *sample,
                          gri_encoded *out)
{
    gr_err err = GR_OK;
    GR_ALLOC(out->tiles, sample->images);
    if (sample->images > 0 && !rules->vision) {
        GR_FAIL(GR_ERR_DATA, "%lld image%s, but the model has no vision part",
                (long long)sample->images, GR_PLURAL(sample->images));
    }
    for (int64_t i = 0; i < sample->images; i++) {
        GR_TRY_CONTEXT(gr_picture_tiles_of(rules->vision, sample->pixels[i][0],
                                           sample->pixels[i][1], &out->tiles[i]),
                       "image %lld", (long long)i);
        out->size.images += out->tiles[i];
    }
done:
    return err;
}

/// Encodes the turns, or only counts their ids where `text_tokens` tells (-1: it does not).
static gr_err encode_turns(const gri_pack_rules *rules, const gr_sample *sample,
                           int64_t text_tokens, gri_encoded *out)
{
    gr_err err = GR_OK;
    gr_conversation c = {0};
    GR_TRY(gr_conversation_read(sample, &c));
    if (text_tokens >= 0) {
        int64_t tokens = -1;
        GR_TRY(gr_chat_count(rules->tokenizer, &rules->chat, c.turns, c.count, sample->images,
                             out->tiles, text_tokens, &tokens));
        out->size.tokens = tokens;
        if (tokens >= 0) {
            goto done;
        }
    }
    GR_TRY(gr_chat_encode(rules->tokenizer, &rules->chat, c.turns, c.count, sample->images,
                          out->tiles, &out->chat));
    GR_ASSERT(out->chat.targets.count == out->chat.ids.count);
    GR_ASSERT(out->chat.image_rows.count == out->size.images * rules->image_tokens);
    out->size.tokens = out->chat.ids.count;
done:
    gr_conversation_fini(&c);
    return err;
}

/// Nothing is truncated: what does not fit in an empty microbatch is refused.
gr_err gri_encode_check_fit(const gri_pack_rules *rules, gri_size size)
{
    gr_err err = GR_OK;
    const gri_window_rules *row = &rules->window;
    if (size.tokens > row->sequence_length) {
        GR_FAIL(GR_ERR_DATA,
                "%lld tokens, but sequence_length is %lld: raise it or take the sample out of "
                "the data set",
                (long long)size.tokens, (long long)row->sequence_length);
    }
    if (row->max_images > 0 && size.images > row->max_images) {
        bool tiled = rules->vision && rules->vision->pictures.most > 1;
        GR_FAIL(
            GR_ERR_DATA,
            "%lld %s, but max_images is %lld: raise it or take the sample out of the data set",
            (long long)size.images, tiled ? "tiles of images" : "images",
            (long long)row->max_images);
    }
done:
    return err;
}

gr_err gri_encode_any(const gri_pack_rules *rules, const gr_sample *sample, gri_encoded *out)
{
    return gri_encode_size(rules, sample, -1, out);
}

gr_err gri_encode_size(const gri_pack_rules *rules, const gr_sample *sample,
                       int64_t text_tokens, gri_encoded *out)
{
    gr_err err = GR_OK;
    gri_encoded encoded = {0};
    GR_TRY(count_tiles(rules, sample, &encoded));
    GR_TRY(encode_turns(rules, sample, text_tokens, &encoded));
    *out = encoded;
    encoded = (gri_encoded){0};
done:
    gri_encoded_fini(&encoded);
    return err;
}

gr_err gri_encode(const gri_pack_rules *rules, const gr_sample *sample, gri_encoded *out)
{
    gr_err err = GR_OK;
    GR_TRY(gri_encode_any(rules, sample, out));
    err = gri_encode_check_fit(rules, out->size);
    if (err != GR_OK) {
        gri_encoded_fini(out);
    }
    GR_TRY(err);
done:
    return err;
}

void gri_encoded_fini(gri_encoded *encoded)
{
    gr_chat_sample_fini(&encoded->chat);
    GR_FREE(encoded->tiles);
    encoded->size = (gri_size){0};
}
