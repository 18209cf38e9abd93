#include "src/eval/suite.h"

#include "datasets/conversation.h"
#include "datasets/order.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/answer.h"
#include "src/formats/pictures.h"

#include <string.h>

/// A sample that is being asked about.
typedef struct asked {
    const gr_suite_options *options;
    const char *suite;
    int64_t index;
    const gr_sample *sample;
    gr_conversation talk;
    int64_t *tiles; ///< of each picture
    float *pixels;  ///< of all tiles
} asked;

/// Pictures that the first `turns` turns show: those of their placeholders, or all where the conversation has none.
static int64_t pictures_before(const asked *a, int64_t turns)
{
    static const char placeholder[] = "<image>";
    int64_t before = 0, all = 0;
    for (int64_t i = 0; i < a->talk.count; i++) {
        const gr_chat_turn *turn = &a->talk.turns[i];
        const char *at = turn->assistant || turn->system ? NULL : turn->text;
        while (at && (at = strstr(at, placeholder))) {
            at += strlen(placeholder);
            all++;
            before += i < turns;
        }
    }
    return all > 0 ? before : a->sample->images;
}

static gr_err load_pictures(asked *a)
{
    gr_err err = GR_OK;
    const gr_vision_config *vision = a->options->vision;
    const gr_sample *s = a->sample;
    int64_t tiles = 0, done = 0;
    GR_ALLOC(a->tiles, s->images);
    if (s->images > 0 && !vision) {
        GR_FAIL(GR_ERR_DATA, "%lld picture%s, but the model has no vision part",
                (long long)s->images, GR_PLURAL(s->images));
    }
    for (int64_t i = 0; i < s->images; i++) {
        GR_TRY_CONTEXT(
            gr_picture_tiles_of(vision, s->pixels[i][0], s->pixels[i][1], &a->tiles[i]),
            "picture %lld", (long long)i);
        tiles += a->tiles[i];
    }
    const int64_t side = tiles > 0 ? vision->image_size : 0;
    GR_ALLOC(a->pixels, tiles * 3 * side * side);
    for (int64_t i = 0; i < s->images; done += a->tiles[i++]) {
        GR_TRY_CONTEXT(gr_picture_pixels(vision, GR_IMAGE_OVER_WHITE, "picture", s->image[i],
                                         s->image_size[i], a->tiles[i],
                                         a->pixels + done * 3 * side * side),
                       "picture %lld", (long long)i);
    }
done:
    return err;
}

/// The line of one answer. A NUL ends what the model wrote, as it ends every string of the data.
static gr_err put_line(const asked *a, int64_t turn, const gr_answer *answer, gr_str *lines)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    const gr_chat_turn *turns = a->talk.turns;
    const gr_node *chance = gr_node_find(gr_doc_root(a->talk.doc), "chance");
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "suite", a->suite);
    gr_json_int(&j, "index", a->index);
    gr_json_string(&j, "source", a->sample->source);
    gr_json_string(&j, "task", a->sample->task);
    gr_json_int(&j, "turn", turn);
    gr_json_string(&j, "question", turn > 0 ? turns[turn - 1].text : "");
    gr_json_string(&j, "expected", turns[turn].text);
    gr_json_string(&j, "answer", answer->text);
    gr_json_bool(&j, "right", gr_suite_same(turns[turn].text, answer->text));
    if (chance) {
        gr_node_write(&j, chance);
    }
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add_bytes(lines, j.text.data, j.text.size));
    GR_TRY(gr_str_add(lines, "\n"));
done:
    gr_json_fini(&j);
    return err;
}

static gr_err ask_turn(const asked *a, int64_t turn, gr_str *lines)
{
    gr_err err = GR_OK;
    const gr_suite_options *o = a->options;
    const int64_t most = gr_model_get_config(o->model)->language.max_positions;
    const int64_t pictures = pictures_before(a, turn);
    gr_chat_options chat = o->chat;
    gr_chat_sample prompt = {0};
    gr_answer answer = {0};
    int64_t tiles = 0;
    for (int64_t i = 0; i < pictures && i < a->sample->images; i++) {
        tiles += a->tiles[i];
    }
    chat.image_tokens = tiles > 0 ? gr_image_tokens(o->vision) : 0;
    GR_TRY(
        gr_chat_prompt(o->tokenizer, &chat, a->talk.turns, turn, pictures, a->tiles, &prompt));
    if (prompt.ids.count >= most) {
        GR_FAIL(GR_ERR_DATA,
                "turn %lld: the prompt has %lld tokens; the model has %lld positions and needs "
                "one for the answer",
                (long long)turn, (long long)prompt.ids.count, (long long)most);
    }
    GR_TRY(
        gr_answer_write(o->model, o->tokenizer, &prompt, a->pixels, tiles, o->most, &answer));
    GR_TRY(put_line(a, turn, &answer, lines));
done:
    gr_answer_fini(&answer);
    gr_chat_sample_fini(&prompt);
    return err;
}

static gr_err ask_sample(const gr_suite_options *options, const gr_dataset *data, int64_t index,
                         gr_str *lines)
{
    gr_err err = GR_OK;
    gr_sample *sample = NULL;
    asked a = {.options = options, .suite = gr_dataset_path(data), .index = index};
    GR_TRY(gr_dataset_read(data, index, &sample));
    a.sample = sample;
    GR_TRY(gr_conversation_read(sample, &a.talk));
    GR_TRY(load_pictures(&a));
    for (int64_t i = 0; i < a.talk.count; i++) {
        if (a.talk.turns[i].assistant) {
            GR_TRY(ask_turn(&a, i, lines));
        }
    }
done:
    GR_FREE(a.tiles);
    GR_FREE(a.pixels);
    gr_conversation_fini(&a.talk);
    gr_sample_destroy(&sample);
    return err;
}

/// The lines of a rank's share: samples [rank n / size, (rank + 1) n / size).
static gr_err ask_share(const gr_suite_options *options, const gr_dataset *data, int rank,
                        int size, gr_str *lines)
{
    gr_err err = GR_OK;
    const int64_t all = gr_dataset_count(data);
    const int64_t n = options->samples > 0 && options->samples < all ? options->samples : all;
    const int64_t first = n * rank / size, end = n * (rank + 1) / size;
    const double started = gr_clock();
    for (int64_t i = first; i < end; i++) {
        const int64_t index = n < all ? gr_order(0, 0, 0, all, i) : i;
        GR_TRY_CONTEXT(ask_sample(options, data, index, lines), "%s: sample %lld",
                       gr_dataset_path(data), (long long)index);
        gr_progress_bar(10, started, i + 1 - first, end - first, "%s: asking",
                        gr_dataset_path(data));
    }
    gr_progress_end();
done:
    return err;
}

/// Puts the ranks' texts end to end, on rank 0.
static gr_err gather(const gr_world *world, const gr_str *mine, gr_str *out)
{
    gr_err err = GR_OK;
    char *text = NULL;
    for (int r = 0; r < world->size; r++) {
        char *sent = r == world->rank && mine->data ? mine->data : NULL;
        text = sent;
        GR_TRY(gr_world_broadcast_text(world, &text, r));
        if (world->rank == 0 && text) {
            GR_TRY(gr_str_add(out, text));
        }
        if (text != sent) {
            GR_FREE(text);
        }
        text = NULL;
    }
done:
    return err;
}

gr_err gr_suite_ask(const gr_suite_options *options, const gr_dataset *data,
                    const gr_world *world, gr_str *lines)
{
    gr_err err = GR_OK;
    gr_str mine = {0};
    if (!world) {
        GR_TRY(ask_share(options, data, 0, 1, lines));
        goto done;
    }
    GR_TRY(gr_world_agree(world, ask_share(options, data, world->rank, world->size, &mine)));
    GR_TRY(gather(world, &mine, lines));
done:
    gr_str_fini(&mine);
    return err;
}
