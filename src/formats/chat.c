#include "src/formats/chat.h"

#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/pretokenize.h"
#include "src/ops/loss.h"

#include <string.h>

static const char placeholder[] = "<image>";
enum { PLACEHOLDER_SIZE = sizeof placeholder - 1 };

static const char *const picture_tokens[] = {"<img>", "</img>", "<IMG_CONTEXT>"};

/// A sample in the making. Until the end targets[t] belongs to token t itself: its id, or GR_NO_TARGET.
typedef struct builder {
    const gr_tokenizer *tokenizer;
    const gr_chat_options *options;
    const gr_chat_template *template;
    const int64_t *tiles; ///< of each image; NULL: one each
    int64_t images_done;
    bool counting; ///< turns' texts are left out: their tokens are known
    bool unsure;   ///< ... but not as they are encoded here
    int32_t im_start, im_end, img, img_end, context, endoftext, think, think_end;
    gr_str pending; ///< text since the last special token, not yet encoded
    gr_chat_sample sample;
} builder;

void gr_chat_sample_fini(gr_chat_sample *sample)
{
    gr_ids_fini(&sample->ids);
    gr_ids_fini(&sample->targets);
    gr_ids_fini(&sample->image_rows);
}

static gr_err find_token(const gr_tokenizer *tokenizer, const char *text, int32_t *id)
{
    gr_err err = GR_OK;
    *id = gr_tokenizer_id(tokenizer, text);
    if (*id < 0) {
        GR_FAIL(GR_ERR_DATA, "the tokenizer has no token %s, which conversations need", text);
    }
done:
    return err;
}

static gr_err find_tokens(builder *b, int64_t images)
{
    gr_err err = GR_OK;
    if (b->template->plain) {
        GR_TRY(find_token(b->tokenizer, "<|endoftext|>", &b->endoftext));
    } else {
        GR_TRY(find_token(b->tokenizer, "<|im_start|>", &b->im_start));
        GR_TRY(find_token(b->tokenizer, "<|im_end|>", &b->im_end));
    }
    if (b->template->no_thinking) {
        GR_TRY(find_token(b->tokenizer, "<think>", &b->think));
        GR_TRY(find_token(b->tokenizer, "</think>", &b->think_end));
    }
    if (images > 0) {
        GR_TRY(find_token(b->tokenizer, picture_tokens[0], &b->img));
        GR_TRY(find_token(b->tokenizer, picture_tokens[1], &b->img_end));
        GR_TRY(find_token(b->tokenizer, picture_tokens[2], &b->context));
    }
done:
    return err;
}

gr_err gr_chat_add_picture_tokens(gr_tokenizer *tokenizer, int64_t *added)
{
    gr_err err = GR_OK;
    *added = 0;
    for (size_t i = 0; i < sizeof picture_tokens / sizeof *picture_tokens; i++) {
        if (gr_tokenizer_id(tokenizer, picture_tokens[i]) < 0) {
            GR_TRY(gr_tokenizer_add_special(tokenizer, picture_tokens[i]));
            ++*added;
        }
    }
done:
    return err;
}

static gr_err add_id(builder *b, int32_t id, bool loss)
{
    gr_err err = GR_OK;
    GR_TRY(gr_ids_add(&b->sample.ids, id));
    GR_TRY(gr_ids_add(&b->sample.targets, loss ? id : GR_NO_TARGET));
done:
    return err;
}

/// Encodes the pending text; what looks like a special token in it is ordinary text.
static gr_err flush(builder *b, bool loss)
{
    gr_err err = GR_OK;
    gr_ids *ids = &b->sample.ids;
    if (b->pending.size > 0) {
        GR_TRY(gr_tokenizer_encode(b->tokenizer, b->pending.data, b->pending.size, false, ids));
        gr_str_clear(&b->pending);
    }
    while (b->sample.targets.count < ids->count) {
        int32_t id = ids->data[b->sample.targets.count];
        GR_TRY(gr_ids_add(&b->sample.targets, loss ? id : GR_NO_TARGET));
    }
done:
    return err;
}

static gr_err add_image(builder *b, bool loss)
{
    gr_err err = GR_OK;
    GR_TRY(flush(b, loss));
    GR_TRY(add_id(b, b->img, false));
    int64_t tiles = b->tiles ? b->tiles[b->images_done] : 1;
    GR_ASSERT(tiles > 0);
    b->images_done++;
    for (int64_t i = 0; i < b->options->image_tokens * tiles; i++) {
        GR_TRY(gr_ids_add(&b->sample.image_rows, (int32_t)b->sample.ids.count));
        GR_TRY(add_id(b, b->context, false));
    }
    GR_TRY(add_id(b, b->img_end, false));
done:
    return err;
}

static bool is_user(const gr_chat_turn *turn)
{
    return !turn->assistant && !turn->system;
}

/// The turn's text: `in_front` images with a newline each, then the text, in a user's turn with its images.
static gr_err add_turn_text(builder *b, const gr_chat_turn *turn, int64_t in_front, bool loss)
{
    gr_err err = GR_OK;
    const char *at = turn->text;
    size_t left = turn->size;
    b->unsure |=
        b->counting &&
        (in_front > 0 || (!is_user(turn) && memmem(at, left, placeholder, PLACEHOLDER_SIZE)));
    for (int64_t i = 0; i < in_front; i++) {
        GR_TRY(add_image(b, loss));
        GR_TRY(gr_str_add(&b->pending, "\n"));
    }
    while (left > 0) {
        const char *hit =
            is_user(turn) ? memmem(at, left, placeholder, PLACEHOLDER_SIZE) : NULL;
        size_t n = hit ? (size_t)(hit - at) : left;
        if (!b->counting) {
            GR_TRY(gr_str_add_bytes(&b->pending, at, n));
        }
        if (hit) {
            GR_TRY(add_image(b, loss));
            n += PLACEHOLDER_SIZE;
        }
        at += n;
        left -= n;
    }
done:
    return err;
}

/// <|im_start|>, the role, and what an answer begins with; no loss.
static gr_err add_header(builder *b, const char *role, bool assistant)
{
    gr_err err = GR_OK;
    GR_TRY(add_id(b, b->im_start, false));
    GR_TRY(gr_str_add(&b->pending, role));
    GR_TRY(gr_str_add(&b->pending, "\n"));
    GR_TRY(flush(b, false));
    if (assistant && b->template->no_thinking) {
        GR_TRY(add_id(b, b->think, false));
        GR_TRY(gr_str_add(&b->pending, "\n\n"));
        GR_TRY(flush(b, false));
        GR_TRY(add_id(b, b->think_end, false));
        GR_TRY(gr_str_add(&b->pending, "\n\n"));
        GR_TRY(flush(b, false));
    }
done:
    return err;
}

static gr_err add_marked_turn(builder *b, const gr_chat_turn *turn, int64_t in_front)
{
    gr_err err = GR_OK;
    bool loss = turn->assistant || b->options->all_text;
    const char *role = turn->system ? "system" : turn->assistant ? "assistant" : "user";
    GR_TRY(add_header(b, role, turn->assistant));
    GR_TRY(add_turn_text(b, turn, in_front, loss));
    GR_TRY(flush(b, loss));
    GR_TRY(add_id(b, b->im_end, loss));
    GR_TRY(gr_str_add(&b->pending, b->template->after_end));
    GR_TRY(flush(b, false));
done:
    return err;
}

static gr_err add_default_system(builder *b, const gr_chat_turn *turns, int64_t count)
{
    gr_err err = GR_OK;
    const char *system = b->options->system ? b->options->system : b->template->system;
    for (int64_t i = 0; i < count; i++) {
        if (turns[i].system) {
            goto done;
        }
    }
    if (system[0]) {
        gr_chat_turn turn = {.system = true, .text = system, .size = strlen(system)};
        bool counting = b->counting;
        GR_TRY(gri_utf8_check(system, turn.size));
        b->counting = false; // it is no text of the conversation
        GR_TRY(add_marked_turn(b, &turn, 0));
        b->counting = counting;
    }
done:
    return err;
}

static int64_t count_placeholders(const gr_chat_turn *turns, int64_t count)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        const char *end = turns[i].text + turns[i].size;
        const char *at = is_user(&turns[i]) ? turns[i].text : end;
        while (at < end &&
               (at = memmem(at, (size_t)(end - at), placeholder, PLACEHOLDER_SIZE)) != NULL) {
            found++;
            at += PLACEHOLDER_SIZE;
        }
    }
    return found;
}

/// Checks the turns and finds the one that gets the images in front (-1: the text has its placeholders).
static gr_err place_images(const builder *b, const gr_chat_turn *turns, int64_t count,
                           int64_t images, int64_t *front)
{
    gr_err err = GR_OK;
    if (count < 1) {
        GR_FAIL(GR_ERR_DATA, "a conversation without turns");
    }
    *front = -1;
    for (int64_t i = 0; i < count; i++) {
        GR_TRY_CONTEXT(gri_utf8_check(turns[i].text, turns[i].size), "turn %lld", (long long)i);
        if (*front < 0 && (b->template->plain || is_user(&turns[i]))) {
            *front = i;
        }
    }
    int64_t found = count_placeholders(turns, count);
    if (found > 0 || *front < 0) {
        *front = -1;
        if (found != images) {
            GR_FAIL(GR_ERR_DATA, "a conversation with %lld %s placeholder%s and %lld image%s",
                    (long long)found, placeholder, GR_PLURAL(found), (long long)images,
                    GR_PLURAL(images));
        }
    }
done:
    return err;
}

static gr_err add_turns(builder *b, const gr_chat_turn *turns, int64_t count, int64_t images)
{
    gr_err err = GR_OK;
    int64_t front = -1;
    GR_ASSERT(images == 0 || b->options->image_tokens > 0);
    GR_TRY(place_images(b, turns, count, images, &front));
    GR_TRY(find_tokens(b, images));
    if (!b->template->plain) {
        GR_TRY(add_default_system(b, turns, count));
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t in_front = i == front ? images : 0;
        if (!b->template->plain) {
            GR_TRY(add_marked_turn(b, &turns[i], in_front));
            continue;
        }
        if (i > 0) {
            GR_TRY(gr_str_add(&b->pending, "\n"));
        }
        GR_TRY(add_turn_text(b, &turns[i], in_front, true));
    }
    GR_TRY(flush(b, true));
done:
    return err;
}

/// From "the token itself" to "the token that comes next".
static gr_err shift_targets(gr_ids *targets)
{
    gr_err err = GR_OK;
    int64_t learned = 0;
    for (int64_t t = 0; t < targets->count; t++) {
        targets->data[t] = t + 1 < targets->count ? targets->data[t + 1] : GR_NO_TARGET;
        learned += targets->data[t] != GR_NO_TARGET;
    }
    if (learned == 0) {
        GR_FAIL(GR_ERR_DATA,
                "a conversation of %lld token%s without a target: it needs an answer",
                (long long)targets->count, GR_PLURAL(targets->count));
    }
done:
    return err;
}

static builder builder_of(const gr_tokenizer *tokenizer, const gr_chat_options *options,
                          const int64_t *tiles)
{
    const gr_chat_template *template = options->template;
    return (builder){.tokenizer = tokenizer,
                     .options = options,
                     .template = template ? template : gr_chat_template_find("chat"),
                     .tiles = tiles};
}

/// A whole conversation with its targets; builder and sample stay the caller's to free.
static gr_err build(builder *b, const gr_chat_turn *turns, int64_t count, int64_t images)
{
    gr_err err = GR_OK;
    GR_TRY(add_turns(b, turns, count, images));
    if (b->template->plain) {
        GR_TRY(add_id(b, b->endoftext, true));
    }
    GR_TRY(shift_targets(&b->sample.targets));
done:
    return err;
}

gr_err gr_chat_count(const gr_tokenizer *tokenizer, const gr_chat_options *options,
                     const gr_chat_turn *turns, int64_t count, int64_t images,
                     const int64_t *tiles, int64_t text_tokens, int64_t *out)
{
    gr_err err = GR_OK;
    builder b = builder_of(tokenizer, options, tiles);
    *out = -1;
    if (b.template->plain) {
        goto done;
    }
    b.counting = true;
    GR_TRY(build(&b, turns, count, images));
    *out = b.unsure ? -1 : b.sample.ids.count + text_tokens;
done:
    gr_str_fini(&b.pending);
    gr_chat_sample_fini(&b.sample);
    return err;
}

gr_err gr_chat_encode(const gr_tokenizer *tokenizer, const gr_chat_options *options,
                      const gr_chat_turn *turns, int64_t count, int64_t images,
                      const int64_t *tiles, gr_chat_sample *out)
{
    gr_err err = GR_OK;
    builder b = builder_of(tokenizer, options, tiles);
    GR_TRY(build(&b, turns, count, images));
    *out = b.sample;
    b.sample = (gr_chat_sample){0};
done:
    gr_str_fini(&b.pending);
    gr_chat_sample_fini(&b.sample);
    return err;
}

gr_err gr_chat_prompt(const gr_tokenizer *tokenizer, const gr_chat_options *options,
                      const gr_chat_turn *turns, int64_t count, int64_t images,
                      const int64_t *tiles, gr_chat_sample *out)
{
    gr_err err = GR_OK;
    builder b = builder_of(tokenizer, options, tiles);
    GR_TRY(add_turns(&b, turns, count, images));
    if (!b.template->plain) {
        GR_TRY(add_header(&b, "assistant", true));
    }
    gr_ids_fini(&b.sample.targets);
    *out = b.sample;
    b.sample = (gr_chat_sample){0};
done:
    gr_str_fini(&b.pending);
    gr_chat_sample_fini(&b.sample);
    return err;
}
